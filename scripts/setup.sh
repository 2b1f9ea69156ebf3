#!/bin/sh
# setup.sh - installs what is missing to build Baton ("build"), to run the tests too ("test"), to fuzz it ("fuzz"),
# to search its model ("model"), or to read it with analyzers ("static").
#
#   scripts/setup.sh [build|test|fuzz|model|static]
#
# Does nothing, and says nothing, where all is there. Asks nothing: apt-get as root, or through sudo. On a system without
# apt-get it names what is missing and leaves the installing to you. Made for Debian 12 and newer, and Ubuntu 24.04.
#
# Kafka itself and librdkafka are not here: scripts/kafka.sh and scripts/librdkafka.sh bring the exact versions.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# for whom, how it is seen to be there, of what name, in which Debian package
table='
build command   cc                 gcc
build header    stdio.h            libc6-dev
build command   make               make
build command   ninja              ninja-build
build command   meson              meson
build command   python3            python3
build command   pkg-config         pkg-config
build module    libevent_core      libevent-dev
build module    libevent_extra     libevent-dev
build module    libevent_pthreads  libevent-dev
build module    libevent_openssl   libevent-dev
build module    openssl            libssl-dev
build module    libcurl            libcurl4-openssl-dev
build module    hiredis            libhiredis-dev
build module    jansson            libjansson-dev
build module    libfyaml           libfyaml-dev
build module    smartcols          libsmartcols-dev
build module    sqlite3            libsqlite3-dev
build module    cmocka             libcmocka-dev
build module    zlib               zlib1g-dev
build module    libzstd            libzstd-dev
build rdkafka   npm                npm
test  command   mvn                maven
test  java      17                 default-jdk-headless
test  python    prometheus_client  python3-prometheus-client
test  command   c++                g++
test  command   npm                npm
fuzz  command   clang              clang
fuzz  fuzzer    -fsanitize=fuzzer  libclang-rt-VERSION-dev
fuzz  command   llvm-symbolizer    llvm
model command   spin               spin
static command  clang-tidy         clang-tidy
'

there() { # how, what
    case $1 in
    command) command -v "$2" ;;
    header) printf '#include <%s>\n' "$2" | cc -E - ;;
    module) pkg-config --exists "$2" ;;
    fuzzer) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang "$2" -x c - -o /dev/null ;;
    # npm only fetches librdkafka's source: not needed where the system's is new enough, or one was built before
    rdkafka) pkg-config --atleast-version=2.12 rdkafka || command -v "$2" || BATON_RDKAFKA=look "$(dirname "$0")/librdkafka.sh" ;;
    python) /usr/bin/python3 -c "import $2" ;;
    java) command -v javac && [ "$(javac -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')" -ge "$2" ] ;;
    *) die "setup.sh: what is '$1'?" ;;
    esac >/dev/null 2>&1
}

missing() { # for whom; prints the packages
    echo "$table" | while read -r whom how what package; do
        case $whom in
        '') continue ;;
        build) ;;
        *) [ "$1" = "$whom" ] || continue ;;
        esac
        there "$how" "$what" || echo "$package" | sed "s/VERSION/$(clang_version)/"
    done | sort -u | tr '\n' ' '
}

clang_version() { # of the system's clang, there or to be installed
    apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1
}

# as_root COMMAND...
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@" # may ask for your password, and nothing else
    else
        sudo -n "$@"
    fi
}

whom=${1:-build}
case $whom in
build | test | fuzz | model | static) ;;
*) die "usage: scripts/setup.sh [build|test|fuzz|model|static]" ;;
esac

packages=$(missing "$whom")
[ -n "$packages" ] || exit 0

command -v apt-get >/dev/null ||
    die "missing, by their Debian names: $packages- this script installs them only with apt-get (Debian 12, Ubuntu 24.04 or newer); install your system's counterparts and run this again"
[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    die "missing: $packages- you are not root and have no sudo; let root run: apt-get update && apt-get install --no-install-recommends $packages"

say "installing $packages(a minute or so)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # the packages are words
{
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            install -y --no-install-recommends $packages
} >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get failed (see above); as root, run: apt-get update && apt-get install --no-install-recommends $packages"
}

packages=$(missing "$whom")
[ -z "$packages" ] ||
    die "still missing or too old after installing: $packages- this system's packages may be older than Debian 12's or Ubuntu 24.04's"
say "all there"
