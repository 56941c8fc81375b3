#!/usr/bin/env bash
# Holds the simulator to AWS's published model, by clients that nobody here wrote: the aws command line
# tool and boto3. Needs Python 3; installs both, pinned, into a virtual environment under target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/conformance
# shellcheck source=tests/conformance/environment.sh
source "$here/environment.sh"
cargo build --locked --quiet
exec "$target/debug/shuffle-aws-vaults" simulate --seed-file "$here/seed.json" --vault generated=2500 \
    --job-seconds 0.3-0.6 -- env PATH="$python:$PATH" python "$here/check.py"
