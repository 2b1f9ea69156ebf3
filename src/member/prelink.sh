#!/bin/sh
# prelink.sh OUTPUT.a WORKDIR LIBRARY... - one archive with one object, of which only baton_* is visible.
set -eu
output=$1 work=$2
shift 2
mkdir -p "$work"
ld -r -o "$work/libbaton.o" --whole-archive "$@"
objcopy --wildcard --keep-global-symbol='baton_*' "$work/libbaton.o"
rm -f "$output"
ar rcs "$output" "$work/libbaton.o"
