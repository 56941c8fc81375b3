#!/usr/bin/env bash
# A whole migration against the simulator, with the release binary: what a point costs, and how near the rate comes to
# what the jobs in flight allow. Reaches nothing but 127.0.0.1.
#
#   tests/performance/migration.sh [--points N] [--in-flight N|auto] [--quota N] [--workers N] [--jobs MIN-MAX] [--scale S]
#       [--poll SECONDS] [--interrupt TIMES] [--binary PATH] [--keep DIR]
#
#   --points     recovery points, two of each resource                                [default: 10000]
#   --in-flight  jobs in flight                                                       [default: 100]
#   --quota      jobs that the simulated AWS takes at a time; 0 is no limit           [default: 0]
#   --workers    concurrent calls                                                     [default: 50]
#   --jobs       seconds that a copy job takes, by the simulator's clock              [default: 300-900]
#   --scale      simulated seconds in one                                             [default: 60]
#   --poll       time between polls, real                                             [default: 0.5]
#   --interrupt  how often the run is interrupted (SIGTERM) and resumed on the way    [default: 0]
#
# Prints one line: points, seconds, points a second and their share of the ideal (jobs in flight / mean job time),
# StartCopyJob calls, calls for polls, CPU of the client for a point, its peak memory, most open files, bytes of the state
# file for a point, doubles (must be 0). The seconds are those of all processes, planning and closing included.
# Needs bash, curl, jq and a built binary (cargo build --release).
set -euo pipefail
# shellcheck source=tests/campaign/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../campaign/common.sh"

points=10000 in_flight=100 quota=0 workers=50 jobs=300-900 scale=60 poll=0.5 interrupt=0
while (($#)); do
    case $1 in
    --points) points=$2 ;;
    --in-flight) in_flight=$2 ;;
    --quota) quota=$2 ;;
    --workers) workers=$2 ;;
    --jobs) jobs=$2 ;;
    --scale) scale=$2 ;;
    --poll) poll=$2 ;;
    --interrupt) interrupt=$2 ;;
    --binary) binary=$2 ;;
    --keep) keep=$2 ;;
    *) usage "${BASH_SOURCE[0]}" ;;
    esac
    shift 2
done
prepare release

# What the client's process has used so far: CPU in ticks, peak memory in kB, open files.
watch() {
    local pid=$1 most=0 files cpu=0 memory=0 line
    while kill -0 "$pid" 2>/dev/null; do
        files=$(ls "/proc/$pid/fd" 2>/dev/null | wc -l) || true
        ((files > most)) && most=$files
        line=$(cat "/proc/$pid/stat" 2>/dev/null) || break
        [[ -n $line ]] && read -r -a fields <<<"${line##*) }" && cpu=$((fields[11] + fields[12]))
        memory=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null || echo "$memory")
        [[ -n $memory ]] && printf '%s %s %s\n' "$cpu" "$memory" "$most" >"$HOME/used.$pid"
        sleep 0.2
    done
}

migrate() {
    local resume= status pid
    for ((n = 0; n <= interrupt + 5; n++)); do
        # shellcheck disable=SC2086
        "$binary" copy "${ACCOUNTS[@]}" --vault v1 --workers "$workers" --max-in-flight "$in_flight" --poll-interval "$poll" \
            --state-file "$HOME/s.json" --summary-output "$HOME/summary.$n.json" --quiet $resume &
        pid=$!
        watch $pid &
        if ((n < interrupt)); then
            # After its share of the copies.
            while kill -0 $pid 2>/dev/null &&
                (($(curl -s "$AWS_ENDPOINT_URL/_counts" | jq .copied_points) < points * (n + 1) / (interrupt + 1))); do sleep 2; done
            kill -TERM $pid 2>/dev/null || true
        fi
        status=0
        wait $pid || status=$?
        ((status == 0)) && break
        ((status == 2)) || exit $status
        resume=--resume
    done
    wait
    curl -s "$AWS_ENDPOINT_URL/_counts" >"$HOME/counts.json"
    exit $status
}

HOME=$keep
mkdir -p "$keep"
export -f migrate watch
export binary workers in_flight poll points interrupt HOME
declare -p ACCOUNTS >"$keep/accounts"
status=0
"$binary" simulate --vault "v1=$points" --job-seconds "$jobs" --time-scale "$scale" --max-jobs "$quota" -- \
    bash -c "set -u; source '$keep/accounts'; HOME='$keep'; migrate" >"$keep/log" 2>&1 </dev/null || status=$?
if ((status)); then
    tail -n 20 "$keep/log" >&2
    echo "the run ended with $status; everything is in $keep" >&2
    exit 1
fi
most() { cat "$keep"/used.* | awk -v field="$1" '$field > most { most = $field } END { print most + 0 }'; }
ticks=$(cat "$keep"/used.* | awk '{ sum += $1 } END { print sum }')
state=$(stat -c %s "$keep/s.json" 2>/dev/null || stat -f %z "$keep/s.json")
jq -r --arg seconds "$(jq -s 'map(.duration_seconds) | add' "$keep"/summary.*.json)" --arg points "$points" \
    --arg in_flight "$([[ $in_flight == auto ]] && echo "$quota" || echo "$in_flight")" \
    --arg jobs "$jobs" --arg scale "$scale" --arg cpu "$(awk "BEGIN { print $ticks / $(getconf CLK_TCK) }")" \
    --arg memory "$(most 2)" --arg files "$(most 3)" --arg state "$state" '
    ($jobs | split("-") | map(tonumber) | add / 2) as $job
    | ($points | tonumber) as $points | ($seconds | tonumber) as $seconds
    | (($in_flight | tonumber) / $job * ($scale | tonumber)) as $ideal
    | "\($points) points in \($seconds * 10 | round / 10) s: \($points / $seconds | round) a second, "
    + "\($points / $seconds / $ideal * 1000 | round / 10) % of the ideal; "
    + "\(.calls.StartCopyJob) StartCopyJob, \(.calls.ListCopyJobs // 0) ListCopyJobs, \(.calls.DescribeCopyJob // 0) DescribeCopyJob; "
    + "\(($cpu | tonumber) / $points * 1e6 | round) us of CPU a point, peak \(($memory | tonumber) / 1024 | round) MiB, "
    + "\($files) files, \(($state | tonumber) / $points | round) B of state a point; "
    + "\(.copied_points) copied, \(.duplicates) doubled, \(.errors // {} | tojson)"' "$keep/counts.json"
