#!/usr/bin/env bash
# Copies and lists with three programs, each against the same simulated AWS, and prints what each took: a shell loop
# over the aws command line tool (loop.sh), a boto3 thread pool (pool.py), and this program's release build.
# Reaches nothing but 127.0.0.1.
#
#   tests/performance/compare.sh [quick]
#
# Takes about 10 minutes on two cores once everything is built, `quick` about 3; prints Markdown tables. Needs Python 3; the aws tool and boto3
# are those of tests/conformance, in a virtual environment under target/.
#
# Copy jobs take 2 to 4 s and are looked at each second, by all three with as many at once. The aws tool copies fewer in
# all, because each of its calls is a process that takes about a second of a core.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/conformance/environment.sh
source tests/conformance/environment.sh
here=$PWD/tests/performance
cargo build --release --locked --quiet
binary=$(cd "$target/release" && pwd)/shuffle-aws-vaults
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PATH="$(dirname "$binary"):$python:$PATH"

# Jobs at once; points of the pool and of this program; points of the aws tool.
widths=("10 300 60" "50 1500 100")
listed=100000
if [ "${1:-}" = quick ]; then
    widths=("10 60 20" "50 300 50")
    listed=20000
fi

# measured POINTS COMMAND...: measure.py in a simulation of its own, with nothing of this environment.
measured() {
    local points=$1
    shift
    mkdir "$scratch/home"
    (cd "$scratch/home" && env -i HOME="$scratch/home" PATH="$PATH" timeout 1200 "$binary" simulate --vault v1="$points" \
        --resources "$points" --types EFS --job-seconds 2-4 -- python "$here/measure.py" "$@" 2>"$scratch/log") || {
        cat "$scratch/log" >&2
        exit 1
    }
    rm -rf "$scratch/home"
}

echo "Load of the machine at the beginning (1, 5, 15 min): $(cut -d' ' -f1-3 /proc/loadavg); $(nproc) processors"
echo "The aws tool copies fewer points: each of its calls is a process that takes about a second of a core"
for one in "${widths[@]}"; do
    read -r width points few <<<"$one"
    printf '\nCopying, %s at once\n\n' "$width"
    python "$here/measure.py" heading copy
    measured "$few" copy "aws tool in a loop" "$width" "$here/loop.sh" "$width"
    measured "$points" copy "boto3 thread pool" "$width" python "$here/pool.py" copy "$width"
    measured "$points" copy "shuffle-aws-vaults" "$width" shuffle-aws-vaults copy --source-account 123456789012 \
        --dest-account 987654321098 --vault v1 --workers 10 --max-in-flight "$width" --poll-interval 1 --progress none
done
printf '\nListing %s points\n\n' "$listed"
python "$here/measure.py" heading list
measured "$listed" list "aws tool" aws backup list-recovery-points-by-backup-vault --backup-vault-name v1 --page-size 1000
measured "$listed" list "boto3 paginator" python "$here/pool.py" list
measured "$listed" list "shuffle-aws-vaults" shuffle-aws-vaults list --source-account 123456789012 --vault v1 --output ndjson
printf '\nLoad of the machine at the end: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
