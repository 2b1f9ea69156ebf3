#!/bin/sh
# ninja.sh FOLDER JOBS [TARGET...] - ninja that is silent when there is nothing to do.
set -eu

folder=$1 jobs=$2
shift 2
if ! ninja -C "$folder" -n "$@" | grep -q 'no work to do'; then
    exec ninja -C "$folder" -j "$jobs" "$@"
fi
