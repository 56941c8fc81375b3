#!/usr/bin/env bash
# Kill campaign: kill -9 of the release binary at random moments, hundreds a minute, while answers are lost (5 % of
# starts), calls are throttled (3 %), lists lag by a second and the journal is folded each 5 kB. Reaches nothing but 127.0.0.1.
#
#   tests/campaign/kills.sh [--kills N] [--points N] [--seed S] [--lanes N] [--seconds LIMIT] [--binary PATH] [--keep DIR]
#
#   --kills    kill -9 that hit a running process                                     [default: 300]
#   --points   recovery points in each vault                                          [default: 40]
#   --seed     seed of the moments and the simulator                                  [default: 1]
#   --lanes    vaults at the same time                                                [default: 8]
#   --seconds  no more kills after this long                                          [default: 1800]
#   --binary   the program                                        [default: target/release/shuffle-aws-vaults]
#   --keep     keep everything of rounds that failed here                             [default: a new directory]
#
# In a round, one simulator serves up to 20 vaults; it honours idempotency tokens in even rounds and forgets them in
# odd ones, where `--list-grace` is longer than the lag of the lists. Each vault has a home of its own. `copy` of it,
# and then `copy --resume`, is killed 5 to 500 ms after its start, 5 to 24 times, and then goes on until it ends with 0.
# In the end `verify` looks at all vaults. A round fails if a point was copied twice or not at all, if a process ends
# with anything but 0 or 2 (or at last with anything but 0), or if a home holds anything but one finished state file.
# Prints one line; exit code 0 if no round failed. Needs bash, jq and a built binary (cargo build --release).
set -euo pipefail
script=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
# shellcheck source=tests/campaign/common.sh
source "$(dirname "$script")/common.sh"

VAULTS=20
MOST_KILLS=200
# Runs after the last kill that may end with 2: a start stays in doubt.
MOST_RESUMES=6
readonly VAULTS MOST_KILLS MOST_RESUMES

# Kills copies of one vault so many times, then lets it end. Leaves `kills resumes` and what went wrong.
vault() {
    local name=$1 most=$2 deadline=$3 kills=0 resumes=0 status pid ends=0
    export HOME=$PWD/homes/$name
    mkdir -p "$HOME"
    copy() {
        become_copy "$name" "$1" --poll-interval 0.1 --journal-limit 0.005 --log-file "$HOME/log" --quiet
    }
    counted() { compgen -G "$HOME/.shuffle-aws-vaults/*.json" >/dev/null && resumes=$((resumes + 1)) || true; }
    # A run that has ended with 0 leaves nothing to kill.
    while ((kills < most && EPOCHSECONDS < deadline)); do
        counted
        copy "" &
        pid=$!
        sleep "0.$(printf %03d $((RANDOM % 496 + 5)))"
        if kill -KILL "$pid" 2>/dev/null; then kills=$((kills + 1)); fi
        status=0
        wait "$pid" || status=$?
        case $status in
        137 | 2) ;;
        0) ends=1; break ;;
        *) echo "$name: a run ended with $status" >>problem ;;
        esac
    done
    for ((n = 0; n < MOST_RESUMES && ends == 0; n++)); do
        counted
        status=0
        (copy "timeout -s KILL $MOST_SECONDS") || status=$?
        ((status == 0)) && ends=1
    done
    ((ends)) || echo "$name: ends with $status" >>problem
    echo "$kills $resumes" >>kills
    local left=("$HOME"/.shuffle-aws-vaults/* "$HOME"/.shuffle-aws-vaults/.[!.]*)
    if [[ ${#left[@]} != 2 || ${left[0]} != *.json || -e ${left[1]} ]]; then
        echo "$name: left behind: ${left[*]}" >>problem
    elif ! jq -e '.finished == true' "${left[0]}" >/dev/null; then
        echo "$name: not a finished state: ${left[0]}" >>problem
    fi
}

# A round's operator, inside of the simulator: vaults until so many kills are planned.
operator() {
    local seed=$1 quota=$2 lanes=$3 deadline=$4 grace=$5 n planned=0 most all=()
    export SHUFFLE_AWS_VAULTS_LIST_GRACE=$grace
    : >kills
    for ((n = 1; n <= VAULTS && planned < quota && EPOCHSECONDS < deadline; n++)); do
        RANDOM=$((seed * VAULTS + n))
        most=$((RANDOM % 20 + 5))
        ((most > quota - planned)) && most=$((quota - planned))
        planned=$((planned + most))
        all+=(--vault "v$n")
        while (($(jobs -pr | wc -l) >= lanes)); do wait -n || true; done
        vault "v$n" "$most" "$deadline" &
    done
    wait
    # Lists lag, for verify too.
    sleep 1.5
    shuffle-aws-vaults verify "${ACCOUNTS[@]}" "${all[@]}" || echo "verify ends with $?" >>problem
}

kills=300 points=40 seed=1 lanes=8 limit=1800 keep= binary=
while (($#)); do
    case $1 in
    --operator) shift; operator "$@"; exit ;;
    --kills) kills=$2 ;;
    --points) points=$2 ;;
    --seed) seed=$2 ;;
    --lanes) lanes=$2 ;;
    --seconds) limit=$2 ;;
    --binary) binary=$2 ;;
    --keep) keep=$2 ;;
    *) usage "$script" ;;
    esac
    shift 2
done
prepare release
command -v jq >/dev/null || { echo "jq is needed" >&2; exit 1; }

deadline=$((EPOCHSECONDS + limit))
killed=0 resumed=0 planned=0 starts=0 duplicates=0 lost=0 bad=0
for ((round = 0; killed < kills && EPOCHSECONDS < deadline; round++)); do
    # Both kinds of rounds in any campaign.
    quota=$(((kills + 1) / 2))
    ((quota > MOST_KILLS)) && quota=$MOST_KILLS
    ((quota > kills - killed)) && quota=$((kills - killed))
    dir=$keep/$round
    options="--job-seconds 0.1-0.6 --list-lag 1 --resources $points --random-seed $((seed * 1000 + round))"
    options+=" --fault lost:StartCopyJob=0.05 --fault ThrottlingException=0.03"
    for ((n = 1; n <= VAULTS; n++)); do options+=" --vault v$n=$points"; done
    grace=0.5
    ((round % 2)) && grace=3 && options+=" --no-token-replay"
    simulated "$dir" "$options" bash "$script" --operator $((seed * 1000 + round)) "$quota" "$lanes" "$deadline" "$grace"

    read -r vaults k r < <(awk '{k += $1; r += $2} END {print NR, k + 0, r + 0}' "$dir/kills")
    copied=$(number copied_points "$dir/ledger.json")
    twice=$(number duplicates "$dir/ledger.json")
    killed=$((killed + k)) resumed=$((resumed + r)) planned=$((planned + vaults * points))
    starts=$((starts + $(jq '.calls.StartCopyJob // 0' "$dir/ledger.json")))
    # A ledger that is not there counts as lost, and as twice.
    duplicates=$((duplicates + ${twice:-1})) lost=$((lost + vaults * points - ${copied:-0}))
    if [[ -e $dir/problem || ${twice:-1} != 0 || ${copied:-0} != "$((vaults * points))" ]]; then
        bad=$((bad + 1))
        echo "FAILED round $round of seed $seed: ${copied:-0} of $((vaults * points)) copied, ${twice:-?} twice; files: $dir"
        cat "$dir/problem" 2>/dev/null || true
    else
        rm -rf "${dir:?}"
    fi
done
((killed >= kills)) || echo "the time is over: $killed of $kills kills"
echo "$killed kills, $resumed resumes, $planned points, $starts starts: $duplicates duplicates, $lost losses, $bad failed rounds in $SECONDS seconds"
((bad == 0))
