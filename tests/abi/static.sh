#!/bin/sh
# static.sh LIBRARY LIST - libbaton.a defines nothing beyond the public functions that could meet a name of its host.
set -eu
library=$1 list=$2
shown=$(nm --defined-only --extern-only "$library" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort)
[ "$shown" = "$(cat "$list")" ] || { printf '%s\n' "$shown" | diff "$list" - >&2; exit 1; }
