# The aws command line tool and boto3, pinned, in a virtual environment under target/. Sourced, in the project's
# directory; sets `python`, the directory of their programs. Needs Python 3.
# shellcheck shell=bash

target=${CARGO_TARGET_DIR:-target}
environment=$target/conformance-venv
requirements=tests/conformance/requirements.txt
if ! cmp -s "$requirements" "$environment/.installed" 2>/dev/null; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$environment/.installed"
fi
python=$(cd "$environment/bin" && pwd)
