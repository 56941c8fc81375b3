# What the campaigns share. Sourced; reaches nothing but 127.0.0.1.
# shellcheck shell=bash

ACCOUNTS=(--source-account 123456789012 --dest-account 987654321098)
# A run that takes longer than this does not end by itself.
MOST_SECONDS=180
readonly ACCOUNTS MOST_SECONDS

# become_copy VAULT BEFORE [OPTION...]: turns this shell into a copy of the vault, which goes on where an earlier
# one in this HOME was killed. BEFORE may hold words that go before the program.
become_copy() {
    local vault=$1 before=$2 resume=
    shift 2
    # A process killed early leaves a lock file and nothing to resume.
    compgen -G "$HOME/.shuffle-aws-vaults/*.json" >/dev/null && resume=--resume
    # shellcheck disable=SC2086
    exec $before shuffle-aws-vaults copy "${ACCOUNTS[@]}" --vault "$vault" "$@" $resume
}

# A number of a JSON document that is laid out over lines.
number() { sed -n "s/^  \"$1\": \([0-9]*\),\{0,1\}$/\1/p" "$2" 2>/dev/null || true; }

# simulated DIR OPTIONS COMMAND...: runs the command against a simulator, in DIR, with nothing of this environment.
# Leaves ledger.json, a log, and in `problem` what went wrong.
simulated() {
    local dir=$1 options=$2
    shift 2
    mkdir -p "$dir/home"
    echo "$options" >"$dir/options"
    # shellcheck disable=SC2086
    (cd "$dir" && env -i HOME="$dir/home" PATH="$PATH" "$binary" simulate $options --ledger "$dir/ledger.json" -- "$@") \
        >"$dir/log" 2>&1 </dev/null || echo "the run ended with $?" >>"$dir/problem"
}

# The comment at the beginning of a campaign is its help.
usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$1"
    exit 1
}

# Sets `binary` (unless it is set) to the program as built with this profile, and makes the directory `keep`.
prepare() {
    local root
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    binary=${binary:-${CARGO_TARGET_DIR:-$root/target}/$1/shuffle-aws-vaults}
    [[ -x $binary ]] || { echo "no binary at $binary: build it first, or name another" >&2; exit 1; }
    binary=$(cd "$(dirname "$binary")" && pwd)/$(basename "$binary")
    keep=${keep:-$(mktemp -d)}
    mkdir -p "$keep"
    keep=$(cd "$keep" && pwd)
}
