#!/bin/sh
# Runs a command again for as long as it ends with 2 (incomplete), with PAUSE_SECONDS (60) between.
#
#   until-done.sh run-one.sh NAME
#
# Ctrl-C ends the command, which saves its state, and then the loop.
set -u

stopped=''
trap 'stopped=yes' INT TERM HUP
code=2
while [ "$code" -eq 2 ] && [ -z "$stopped" ]; do
    "$@"
    code=$?
    if [ "$code" -eq 2 ] && [ -z "$stopped" ]; then
        sleep "${PAUSE_SECONDS-60}"
    fi
done
exit "$code"
