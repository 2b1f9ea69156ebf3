#!/bin/sh
# klag.sh - sees to it that klag-exporter, the peer that `bench/run.py lag` compares with, is there; prints its path.
#
# From crates.io by cargo, some ten minutes of a processor, once. It brings librdkafka with it and needs SASL's headers, a C++
# compiler and cmake besides cargo. A second run does nothing.
#
#   BATON_CACHE     where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
set -eu

version=0.1.29
say() { printf 'klag: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
program=$cache/klag-exporter/bin/klag-exporter

mkdir -p "$cache"
exec 9>"$cache/klag.lock"
flock 9
if [ -x "$program" ] && [ "$("$program" --version)" = "klag-exporter $version" ]; then
    echo "$program"
    exit 0
fi
command -v cargo >/dev/null || die "'cargo' is missing (Debian: cargo, or https://rustup.rs)"
if [ ! -e /usr/include/sasl/sasl.h ]; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "SASL's headers are missing (Debian: libsasl2-dev)"
    apt-get install -y -q --no-install-recommends libsasl2-dev >&2
fi
say "building klag-exporter $version once into $cache/klag-exporter"
nice -n 19 cargo install -q klag-exporter --version "$version" --root "$cache/klag-exporter" >&2 || die "cargo could not build it"
echo "$program"
