#!/bin/sh
# prometheus.sh - sees to it that a real Prometheus and its promtool, against which Baton's metrics are tested, are there;
# prints the folder that holds both.
#
# The system's are taken when they are on the PATH. Else Debian's (or Ubuntu's) package is fetched and unpacked into the
# cache, not installed: its service would start a Prometheus on this machine. A second run does nothing; an interrupted one
# leaves nothing half-made.
#
#   BATON_CACHE  where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
set -eu

say() { printf 'prometheus: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
folder=$cache/prometheus

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    dirname "$(command -v promtool)"
    exit 0
fi
if [ -x "$folder/usr/bin/promtool" ]; then
    echo "$folder/usr/bin"
    exit 0
fi
command -v apt-get >/dev/null || die "put prometheus and promtool on the PATH: without apt-get this script cannot bring them"

mkdir -p "$cache"
exec 9>"$cache/prometheus.lock"
flock 9
if [ -x "$folder/usr/bin/promtool" ]; then # another run was faster
    echo "$folder/usr/bin"
    exit 0
fi
rm -rf "$cache"/prometheus.?????? # what a killed run left; we hold the lock
work=$(mktemp -d "$cache/prometheus.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work" # apt downloads as a user of its own when root asks
log=$cache/prometheus.log

say "fetching Prometheus once into $folder (35 MB)"
{
    cd "$work"
    if ! apt-get -qq -o DPkg::Lock::Timeout=300 download prometheus; then
        if [ "$(id -u)" -eq 0 ]; then
            apt-get -qq -o DPkg::Lock::Timeout=300 update
        else
            sudo -n apt-get -qq -o DPkg::Lock::Timeout=300 update
        fi
        apt-get -qq -o DPkg::Lock::Timeout=300 download prometheus
    fi
    mkdir out
    dpkg-deb -x prometheus_*.deb out
} >"$log" 2>&1 9>&- </dev/null || {
    tail -n 20 "$log" >&2
    die "apt-get could not fetch it; all of its output is in $log"
}
"$work/out/usr/bin/promtool" --version >>"$log" 2>&1 || die "promtool does not run here, see $log"
rm -rf "$folder"
mv "$work/out" "$folder"
say "ready"
echo "$folder/usr/bin"
