#!/usr/bin/env bash
# Fuzzes each target for a number of seconds (default 60) with libFuzzer, or only those that are named:
#   tests/fuzz/run.sh 3600 journal resume
# Needs cargo-fuzz (cargo install --locked cargo-fuzz) and a nightly toolchain, or RUSTC_BOOTSTRAP=1 in the environment,
# with which the default one serves. What it finds on the way stays in target/fuzz; an input that fails is printed,
# and belongs into corpus/ with the mending.
set -euo pipefail
cd "$(dirname "$0")/../.."
fuzz=(cargo +nightly fuzz)
if [ -n "${RUSTC_BOOTSTRAP:-}" ]; then
    fuzz=(cargo fuzz)
fi
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <("${fuzz[@]}" list --fuzz-dir tests/fuzz)
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/fuzz}
for target in "${targets[@]}"; do
    grown=$CARGO_TARGET_DIR/corpus/$target
    mkdir -p "$grown" "$CARGO_TARGET_DIR/artifacts/$target"
    # Loopback connections and threads of the simulator are no leaks.
    "${fuzz[@]}" run --fuzz-dir tests/fuzz --sanitizer none "$target" "$grown" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$CARGO_TARGET_DIR/artifacts/$target/"
done
