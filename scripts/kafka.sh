#!/bin/sh
# kafka.sh - sees to it that the real Apache Kafka, against which Baton is tested, is there; prints its folder.
#
#   kafka.sh [--pin]          4.3.1
#   kafka.sh 3.9.1 [--pin]    the last one that Burrow can read; it brings ZooKeeper, which Burrow needs, as well
#
# The folder holds lib/*.jar: `java -cp 'lib/*' kafka.Kafka server.properties` is a broker. The jars come from Maven's
# repository and are used only when all of them, and nothing else, are what SHA256SUMS in scripts/kafka
# (or scripts/kafka-3.9.1) says. A second run
# does nothing; an interrupted one leaves nothing half-made.
#
#   BATON_CACHE     where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
#   --pin           after a change of pom.xml: fetch anew and write SHA256SUMS
set -eu

version=4.3.1
pins=kafka
if [ "${1:-}" = 3.9.1 ]; then
    version=$1
    pins=kafka-$1
    shift
fi
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

say() { printf 'kafka: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

here=$(cd "$(dirname "$0")/$pins" && pwd)
cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
folder=$cache/kafka-$version
stamp=$folder/SHA256SUMS

if [ "${1:-}" != --pin ] && cmp -s "$stamp" "$here/SHA256SUMS"; then
    echo "$folder"
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/kafka.lock"
flock 9
if [ "${1:-}" != --pin ] && cmp -s "$stamp" "$here/SHA256SUMS"; then # another run was faster
    echo "$folder"
    exit 0
fi
command -v mvn >/dev/null || die "'mvn' is missing; run 'scripts/setup.sh test', it installs all that the tests need"

rm -rf "$cache"/kafka.?????? # what a killed run left; we hold the lock
work=$(mktemp -d "$cache/kafka.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
log=$cache/kafka.log

say "fetching Apache Kafka $version once into $folder (54 MB)"
mvn -q -B -ntp -f "$here/pom.xml" $plugin:copy-dependencies -DoutputDirectory="$work/out/lib" >"$log" 2>&1 9>&- </dev/null || {
    tail -n 30 "$log" >&2
    die "Maven could not fetch it; all of its output is in $log"
}
cd "$work/out/lib"
sha256sum -- *.jar >"$work/out/SHA256SUMS"
if [ "${1:-}" = --pin ]; then
    cp "$work/out/SHA256SUMS" "$here/SHA256SUMS"
elif ! diff "$here/SHA256SUMS" "$work/out/SHA256SUMS" >&2; then
    die "what Maven brought is not what scripts/$pins/SHA256SUMS lists (see above); refusing to run it"
fi
rm -rf "$folder"
mv "$work/out" "$folder"
say "ready"
echo "$folder"
