#!/bin/sh
# check.sh LIBRARY LIST - the symbols that libbaton shows are those on the list, no more and no less.
#
# A function is added to the list with the release that brings it; none is ever taken off.
set -eu
library=$1 list=$2
shown=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort)
if [ "$shown" != "$(cat "$list")" ]; then
    echo "the symbols of $library are not those of $list:" >&2
    printf '%s\n' "$shown" | diff "$list" - >&2
    exit 1
fi
