#!/usr/bin/env bash
# Fault campaign, long form: many runs of the program against the simulator, each with a random mix of
# faults and random kill -9. Reaches nothing but 127.0.0.1. tests/faults.rs is the short form.
#
#   tests/campaign/faults.sh [--runs N] [--seed FIRST] [--points N] [--jobs N] [--seconds LIMIT] [--keep DIR]
#
#   --runs     runs, one for each seed from FIRST on                                  [default: 20]
#   --seed     the first seed; a run is repeated by --runs 1 and its seed             [default: 1]
#   --points   recovery points in each run                                            [default: 60]
#   --jobs     runs at the same time                                                  [default: 2]
#   --seconds  begin no more runs after this long                                     [default: 1800]
#   --keep     keep ledgers, summaries and logs of failed runs here                   [default: a new directory]
#
# In a run, faults come for the first 12 seconds. An operator runs `copy`, is killed up to six times at random
# moments and runs `copy --resume` each time, then goes on with `copy --resume` until it ends with 0, and runs
# `verify`. A run fails if a point was copied twice, if one is missing in the end, if an item was given up on
# (none of the faults warrants that), or if the program does not end within three minutes of the last fault.
# Exit code: 0 if no run failed. Needs bash and a built binary (cargo build, or $BINARY).
set -euo pipefail
script=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
# shellcheck source=tests/campaign/common.sh
source "$(dirname "$script")/common.sh"

FAULTS_END=12
MOST_KILLS=6
# Resumes after the faults that may still end with something else than 0.
MOST_LATE=3
readonly FAULTS_END MOST_KILLS MOST_LATE

# Faults that a run may meet, and the operations that they may hit.
KINDS=(Throttling ThrottlingException TooManyRequestsException RequestLimitExceeded ServiceUnavailable
    ServiceUnavailableException InternalError InternalFailure RequestTimeout RequestTimeoutException
    LimitExceededException:StartCopyJob ExpiredToken ExpiredTokenException InvalidClientTokenId
    UnrecognizedClientException 500 502 503 504 reset lost hang hang-after late slow half html wrong-type
    empty-page duplicate:StartCopyJob)
OPERATIONS=(:StartCopyJob :StartCopyJob :ListCopyJobs :DescribeCopyJob "")
WORLDS=("" "" "" "--list-lag 1" "--list-lag 1.5 --no-token-replay" "--no-token-replay" "--unlisted-share 0.1"
    "--stuck-share 0.05 --stuck-seconds 6" "--unknown-share 0.3" "--clock-skew 600" "--clock-skew=-600"
    "--max-jobs 7" "--calls-per-second 40 --burst 20" "--credential-lifetime 4" "--per-resource 3")

# The operator's part: runs inside of the simulator. Leaves the number of kills, and what went wrong.
operator() {
    local seed=$1 kills=0 most rounds=0 late=0 status pid
    RANDOM=$seed
    export SHUFFLE_AWS_VAULTS_LIST_GRACE=3
    copy() {
        become_copy v1 "$1" --poll-interval 0.3 --connect-timeout 1 --read-timeout 1 --summary-output summary.json
    }
    most=$((RANDOM % (MOST_KILLS + 1)))
    while ((kills < most)); do
        copy "" &
        pid=$!
        sleep "$((RANDOM % 3)).$((RANDOM % 10))$((RANDOM % 10))"
        if kill -KILL "$pid" 2>/dev/null; then kills=$((kills + 1)); else most=0; fi
        wait "$pid" || true
    done
    echo "$kills" >kills
    while :; do
        status=0
        (copy "timeout -s KILL $MOST_SECONDS") || status=$?
        ((status == 0)) && break
        if ((status == 137)); then
            echo "copy did not end" >problem
            return
        fi
        ((SECONDS > FAULTS_END)) && late=$((late + 1))
        if ((late > MOST_LATE)); then
            echo "copy ends with $status though the faults are over" >problem
            return
        fi
        sleep 1
    done
    # Faults are over by now, or verify would meet them too.
    while ((SECONDS <= FAULTS_END)); do sleep 1; done
    shuffle-aws-vaults verify "${ACCOUNTS[@]}" --vault v1 ||
        echo "verify ends with $?" >problem
}

# The options of the simulator for a seed, one line.
mix() {
    local n kind
    RANDOM=$1
    printf -- '--vault v1=%s --job-seconds 0.1-%s --late-seconds 2 --random-seed %s' "$points" "$((RANDOM % 3 + 1))" "$1"
    local world=${WORLDS[RANDOM % ${#WORLDS[@]}]}
    [[ -n $world ]] && printf ' %s' "$world"
    for ((n = RANDOM % 4 + 1; n > 0; n--)); do
        kind=${KINDS[RANDOM % ${#KINDS[@]}]}
        # Twice is twice where tokens are forgotten: no client can help it.
        [[ $kind == duplicate* && $world == *no-token-replay* ]] && kind=lost:StartCopyJob
        [[ $kind != *:* && $kind != empty-page ]] && kind+=${OPERATIONS[RANDOM % ${#OPERATIONS[@]}]}
        printf -- ' --fault %s=0.%02d@0-%s' "$kind" "$((RANDOM % 30 + 3))" "$FAULTS_END"
    done
}

# One run: prints `seed kills faults duplicates missing given_up problem`.
run() {
    local seed=$1 dir=$keep/$1 copied faults given_up duplicates problem
    simulated "$dir" "$(mix "$seed")" bash "$script" --operator "$seed"
    faults=$(awk '/^  "faults": \{/ {on = 1; next} on && /\}/ {exit} on {gsub(/[^0-9]/, "", $NF); n += $NF} END {print n + 0}' "$dir/ledger.json")
    copied=$(number copied_points "$dir/ledger.json")
    duplicates=$(number duplicates "$dir/ledger.json")
    given_up=$(number failed "$dir/summary.json")
    problem=$(cat "$dir/problem" 2>/dev/null || true)
    echo "$seed $(cat "$dir/kills" 2>/dev/null || echo 0) ${faults:-0} ${duplicates:-0} $((points - ${copied:-0})) ${given_up:-0} ${problem// /_}"
}

runs=20 seed=1 points=60 jobs=2 limit=1800 keep= binary=${BINARY:-}
while (($#)); do
    case $1 in
    --operator) operator "$2"; exit ;;
    --runs) runs=$2 ;;
    --seed) seed=$2 ;;
    --points) points=$2 ;;
    --jobs) jobs=$2 ;;
    --seconds) limit=$2 ;;
    --keep) keep=$2 ;;
    *) usage "$script" ;;
    esac
    shift 2
done
prepare debug

results=$keep/results
: >"$results"
begun=0
for ((n = seed; n < seed + runs; n++)); do
    ((SECONDS > limit)) && { echo "the time is over: $begun of $runs runs were begun"; break; }
    while (($(jobs -pr | wc -l) >= jobs)); do wait -n || true; done
    run "$n" >>"$results" &
    begun=$((begun + 1))
done
wait

bad=0
while read -r n kills faults duplicates missing given_up problem; do
    if [[ $duplicates != 0 || $missing != 0 || $given_up != 0 || -n ${problem:-} ]]; then
        bad=$((bad + 1))
        echo "FAILED seed $n: $duplicates copied twice, $missing missing, $given_up given up, ${problem:-ended} ($kills kills, $faults faults)"
        echo "  again:   tests/campaign/faults.sh --runs 1 --seed $n --points $points"
        echo "  options: simulate $(cat "$keep/$n/options")"
        echo "  files:   $keep/$n"
    else
        rm -rf "${keep:?}/$n"
    fi
done < <(sort -n "$results")
awk -v bad="$bad" '{k += $2; f += $3; d += $4; if ($5 > 0) m += $5; g += $6}
    END {printf "%d runs, %d faults, %d kills: %d duplicates, %d losses, %d items given up, %d failed runs\n", NR, f, k, d, m, g, bad}' "$results"
((bad == 0))
