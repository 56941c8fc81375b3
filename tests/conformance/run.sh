#!/usr/bin/env bash
# Holds the simulator to AWS's published model, by clients that nobody here wrote: the aws command line
# tool and boto3. Needs Python 3; installs both, pinned, into a virtual environment under target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/conformance
target=${CARGO_TARGET_DIR:-target}
environment=$target/conformance-venv
stamp=$environment/.installed
if ! cmp -s "$here/requirements.txt" "$stamp" 2>/dev/null; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$stamp"
fi
cargo build --locked --quiet
python=$(cd "$environment/bin" && pwd)
exec "$target/debug/shuffle-aws-vaults" simulate --seed-file "$here/seed.json" --vault generated=2500 \
    --job-seconds 0.3-0.6 -- env PATH="$python:$PATH" python "$here/check.py"
