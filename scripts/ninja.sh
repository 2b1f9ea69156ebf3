#!/bin/sh
# ninja.sh FOLDER JOBS - ninja that is silent when there is nothing to do.
set -eu

if ! ninja -C "$1" -n | grep -q 'no work to do'; then
    exec ninja -C "$1" -j "$2"
fi
