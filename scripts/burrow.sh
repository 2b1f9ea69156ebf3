#!/bin/sh
# burrow.sh - sees to it that the real Burrow, beside which Baton's answers are compared, is there; prints its program.
#
# It is Debian's package, unpacked and not installed: an installed one would run as a service. apt-get checks that the
# package is Debian's. A second run does nothing; an interrupted one leaves nothing half-made. Where the distribution has no
# such package it says so and fails.
#
#   BATON_CACHE     where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
set -eu

say() { printf 'burrow: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
folder=$cache/burrow
program=$folder/usr/bin/Burrow

if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/burrow.lock"
flock 9
if [ -x "$program" ]; then # another run was faster
    echo "$program"
    exit 0
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "it comes as a Debian package, and there is no apt-get here"
rm -rf "$cache"/burrow.?????? # what a killed run left; we hold the lock
work=$(mktemp -d "$cache/burrow.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
say "fetching the package 'burrow' once (3 MB)"
cd "$work"
if ! apt-get download burrow >"$cache/burrow.log" 2>&1 9>&- </dev/null; then
    # lists of packages that are missing or old: what they name may be gone
    if [ "$(id -u)" = 0 ]; then
        apt-get update >>"$cache/burrow.log" 2>&1 9>&- </dev/null || true
    fi
    apt-get download burrow >>"$cache/burrow.log" 2>&1 9>&- </dev/null ||
        die "apt-get could not download it; what it said is in $cache/burrow.log"
fi
dpkg-deb -x burrow_*.deb out
rm -rf "$folder"
mv out "$folder"
[ -x "$program" ] || die "the package holds no usr/bin/Burrow"
say "ready"
echo "$program"
