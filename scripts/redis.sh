#!/bin/sh
# redis.sh - sees to it that a real Redis, against which the Redis channel is tested, is there; prints its redis-server.
#
# The system's redis-server (or valkey-server) is taken when it is on the PATH. Else Debian's (or Ubuntu's) packages are
# fetched and unpacked into the cache, not installed: an installed one would run as a service. A second run does nothing; an
# interrupted one leaves nothing half-made. `redis.sh look` fetches nothing, and fails when there is none.
#
#   BATON_CACHE  where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
set -eu

say() { printf 'redis: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
folder=$cache/redis

found() {
    command -v redis-server || command -v valkey-server || { [ -x "$folder/redis-server" ] && echo "$folder/redis-server"; }
}

found && exit 0
[ "${1:-}" != look ] || die "there is none yet: scripts/redis.sh fetches it once"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "put redis-server on the PATH: without apt-get this script cannot bring it"

mkdir -p "$cache"
exec 9>"$cache/redis.lock"
flock 9
found && exit 0              # another run was faster
rm -rf "$cache"/redis.?????? # what a killed run left; we hold the lock
work=$(mktemp -d "$cache/redis.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work" # apt downloads as a user of its own when root asks
log=$cache/redis-fetch.log
packages="redis-server redis-tools libjemalloc2 liblzf1 libatomic1"

say "fetching Redis once into $folder (2 MB)"
{
    cd "$work"
    # shellcheck disable=SC2086 # the packages are words
    if ! apt-get -qq -o DPkg::Lock::Timeout=300 download $packages; then
        if [ "$(id -u)" -eq 0 ]; then
            apt-get -qq -o DPkg::Lock::Timeout=300 update
        else
            sudo -n apt-get -qq -o DPkg::Lock::Timeout=300 update
        fi
        apt-get -qq -o DPkg::Lock::Timeout=300 download $packages
    fi
    mkdir out
    for package in *.deb; do
        dpkg-deb -x "$package" out
    done
    # It finds its own libraries wherever the folder is, and behaves like the program itself.
    cat >out/redis-server <<'END'
#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/usr/bin/redis-server" "$@"
END
    chmod 755 out/redis-server
} >"$log" 2>&1 9>&- </dev/null || {
    tail -n 20 "$log" >&2
    die "apt-get could not fetch it; all of its output is in $log"
}
"$work/out/redis-server" --version >>"$log" 2>&1 || die "redis-server does not run here, see $log"
rm -rf "$folder"
mv "$work/out" "$folder"
say "ready"
echo "$folder/redis-server"
