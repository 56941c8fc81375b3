#!/bin/sh
# One run of a list of runs: begins it, or goes on with it where it stopped.
#
#   run-one.sh [NAME | INDEX] [OPTION OF copy]...
#
# RUNS_FILE is the list, one run a line: a name, then options of `copy` for one source vault. Blank lines and
# lines that begin with # do not count. INDEX counts from 0; without NAME or INDEX it is the one that Kubernetes
# or AWS Batch gives. State and summaries are kept in STATE_DIRECTORY/NAME, so lines may be moved, not renamed.
# The exit code is the program's: 0 all done, 1 stop and look, 2 run again.
set -eu

fail() {
    printf 'run-one: %s\n' "$1" >&2
    exit 1
}

case ${1-} in
'' | -*) which=${JOB_COMPLETION_INDEX-${AWS_BATCH_JOB_ARRAY_INDEX-}} ;;
*) which=$1 && shift ;;
esac
[ -n "$which" ] || fail 'which run? give its name or index (run-one.sh NAME), or run it as an array or indexed job'
[ -n "${RUNS_FILE-}" ] || fail 'RUNS_FILE is not set: it names the list of runs'
[ -n "${STATE_DIRECTORY-}" ] || fail 'STATE_DIRECTORY is not set: it names the directory of the state files'
[ -r "$RUNS_FILE" ] || fail "the list of runs $RUNS_FILE cannot be read"

return=$(printf '\r')
run='' run_options='' names=' ' line=0 index=0
while read -r name options || [ -n "$name" ]; do
    line=$((line + 1))
    case $name in
    '' | '#'*) continue ;;
    [!A-Za-z]* | *[!A-Za-z0-9._-]*)
        fail "$RUNS_FILE, line $line: a name begins with a letter and has letters, digits, '.', '_' and '-' only" ;;
    esac
    case $options in
    *"$return"*) fail "$RUNS_FILE, line $line: it ends as on Windows; save the file with plain line ends" ;;
    esac
    case $names in
    *" $name "*) fail "$RUNS_FILE, line $line: $name is there twice; two runs cannot share a state" ;;
    esac
    names="$names$name "
    if [ "$which" = "$name" ] || [ "$which" = "$index" ]; then
        run=$name run_options=$options
    fi
    index=$((index + 1))
done <"$RUNS_FILE"
[ -n "$run" ] || fail "$RUNS_FILE has no run $which; it has $index (indexes from 0):$names"

directory=$STATE_DIRECTORY/$run
mkdir -p "$directory"
state=$directory/state.json
resume=''
[ ! -e "$state" ] || resume=--resume
case " $* " in
*' --reset '*) resume='' ;;
esac

time=$(date -u +%Y%m%dT%H%M%SZ)
attempt=1
while [ -e "$directory/summary-$time-$attempt.json" ]; do
    attempt=$((attempt + 1))
done

set -f
# `exec`: signals go to the program itself, and its exit code is this script's.
# shellcheck disable=SC2086 # the line's options are words
exec shuffle-aws-vaults copy $run_options --state-file "$state" \
    --summary-output "$directory/summary-$time-$attempt.json" --yes $resume "$@"
