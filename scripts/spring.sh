#!/bin/sh
# spring.sh - builds the Spring starter, and for the system tests an application with it on Boot 3.5 and one on Boot 4, and one without it on each.
#
#   scripts/spring.sh [BUILD] prints the folder: BUILD/spring, with orders.jar in boot3, boot4, stream-boot3 and stream-boot4
#
# Maven fetches what is missing into its own repository (some 100 MB, once). Nothing is done again as long as the sources are the same.
set -eu

say() { printf 'spring: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
command -v mvn >/dev/null || die "'mvn' is missing; run 'scripts/setup.sh test', it installs all that the tests need"
mkdir -p "$build/spring"
into=$(cd "$build/spring" && pwd)

exec 9>"$into/lock"
flock 9
sum=$(cd "$root" && find integrations/spring/pom.xml integrations/spring/src/main tests/system/spring -type f ! -name '.*' -print |
    LC_ALL=C sort | xargs cksum | cksum)
if [ "$sum" != "$(cat "$into/sum" 2>/dev/null)" ]; then
    say "building the starter and four applications in $into (a minute; longer where Maven has to fetch first)"
    mvn -q -B -ntp -Dstyle.color=never -f "$root/tests/system/spring" -Dmaven.test.skip=true -Dbaton.target="$into" package \
        >"$into/maven.log" 2>&1 9>&- </dev/null || {
        tail -n 20 "$into/maven.log" >&2
        die "Maven could not build it; all of its output is in $into/maven.log"
    }
    echo "$sum" >"$into/sum"
fi
echo "$into"
