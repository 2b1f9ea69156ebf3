#!/bin/sh
# librdkafka.sh - sees to it that there is a librdkafka that Baton can trust, and prints where pkg-config finds it.
#
# Releases below 2.12 lose and repeat records when partitions are paused, moved or handed over (docs/librdkafka.md), and
# that is what most distributions ship. So: a system library of 2.12 or newer is used as it is (one empty line on stdout:
# no extra folder is needed), otherwise the pinned 2.15.1 is built once into the user's cache (its pkg-config folder on
# stdout). The source is the copy that Confluent ships inside its npm package, for registries are reachable from many
# places where GitHub's release archives are not. Nothing is unpacked before its checksum agrees.
#
# A second run does nothing. The result appears by one rename, so an interrupted build leaves nothing half-made, and two
# runs at once wait for each other.
#
#   BATON_CACHE          where to keep it; default ${XDG_CACHE_HOME:-~/.cache}/baton
#   BATON_RDKAFKA=build  do not look for a system library; =look: never build, fail when there is none yet
#   JOBS                 compilers at a time; default: as many as there are processors
set -eu

version=2.15.1
version_min=2.12
package='@confluentinc/kafka-javascript@1.10.1' # its dist.integrity follows, without "sha512-"
sha512_base64='KVePUBn21EqCVP9mfxzEuM3SYJHHEF7X+iiC2e43QQgDSyEaksInmCGooT3w5q+cNAdkSCrK71j0ICfqoSqZLw=='

# No libcurl: it would bring TLS, LDAP and Kerberos libraries into every process (4 MB of them). What it is for, SASL OAUTHBEARER
# with OIDC, wants a system librdkafka, and so does Kerberos (GSSAPI). -fPIC: libbaton.so carries it.
options='--enable-ssl --enable-zlib --enable-zstd --disable-curl --disable-gssapi --disable-lz4-ext --disable-syslog'
cflags='-O2 -g -fPIC'
recipe="7 $version $options $cflags"

say() { printf 'librdkafka: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

if [ "${BATON_RDKAFKA:-}" != build ] && pkg-config --atleast-version=$version_min rdkafka 2>/dev/null; then
    echo
    exit 0
fi

cache=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
prefix=$cache/librdkafka-$version
stamp=$prefix/recipe

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
    echo "$prefix/lib/pkgconfig"
    exit 0
fi

[ "${BATON_RDKAFKA:-}" != look ] || exit 1
mkdir -p "$cache"
exec 9>"$cache/librdkafka.lock"
flock 9
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then # another run was faster
    echo "$prefix/lib/pkgconfig"
    exit 0
fi

for tool in npm make "${CC:-cc}" tar; do
    command -v "$tool" >/dev/null || die "'$tool' is missing; run scripts/setup.sh, it installs all that is needed"
done

rm -rf "$cache"/librdkafka.?????? # what a killed run left; we hold the lock
work=$(mktemp -d "$cache/librdkafka.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
log=$cache/librdkafka.log

# run STEP COMMAND...: its chatter goes to a log, which is shown only when it fails
run() {
    step=$1
    shift
    if ! "$@" >"$log" 2>&1 9>&-; then
        tail -n 30 "$log" >&2
        die "$step failed; all of its output is in $log"
    fi
}

say "the system has none of $version_min or newer; building $version once into $prefix (a minute or so)"
cd "$work"
run "npm pack $package" npm pack --ignore-scripts --silent "$package"
set -- *.tgz
[ -f "$1" ] || die "npm pack $package left no archive"
[ "$(sha512sum <"$1" | cut -d' ' -f1)" = "$(echo $sha512_base64 | base64 -d | od -An -v -tx1 | tr -d ' \n')" ] ||
    die "$package is not what it was when this script was written (its checksum differs); refusing to build it"

run 'tar' tar -xzf "$1" --no-same-owner package/deps/librdkafka
cd package/deps/librdkafka
# Two ways in which a question to a group's coordinator is ended twice, and the second end ends the process: it cannot be
# sent because its connection has just dropped (confluentinc/librdkafka#5397), or it has timed out while the coordinator was
# looked for. Without the first end, and with the answer counted before the question is let go, both fail in the ordinary way.
sed -i '/^rd_kafka_admin_coord_request(/,/^}/ {
    /^        if (err) {$/,/^        }$/d
    /add_source(eonce, "coordinator response");$/d
    s/^        rko = rd_kafka_enq_once_del_source_return(eonce, "coordinator request");$/        rd_kafka_enq_once_add_source(eonce, "coordinator response");\n&/
}' src/rdkafka_admin.c
[ "$(sed -n '/^rd_kafka_admin_coord_request(/,/^}/p' src/rdkafka_admin.c | grep -c 'worker_destroy\|^        return err;$\|^        rd_kafka_enq_once_add_source(')" = 2 ] ||
    die "src/rdkafka_admin.c does not look as it did when this script was written"
# Who coordinates a group is remembered for as long as somebody asks, though the broker that was is dead and forgotten, or
# says that it is not the coordinator any more: no question to that group is answered ever again. A second is long enough.
sed -i '/^rd_kafka_coord_cache_find(/,/^}/ {
    /cce->cce_ts_used = rd_clock();/d
}
/^rd_kafka_broker_t \*rd_kafka_coord_cache_get(/,/^}/ {
    /^                return NULL;$/a\        if (cce->cce_ts_used + 1000 * 1000 < rd_clock()) {\n                rd_kafka_coord_cache_entry_destroy(cc, cce);\n                return NULL;\n        }
}
/^static void rd_kafka_coord_cache_add(/,/^}/ {
    s/^        if (cce->cce_rkb != rkb) {$/        cce->cce_ts_used = rd_clock();\n&/
}' src/rdkafka_coord.c
[ "$(grep -c 'cce_ts_used' src/rdkafka_coord.c)" = 4 ] || die "src/rdkafka_coord.c does not look as it did when this script was written"
# Under KIP-848 a coordinator tells a member its new assignment once. When that answer came too late, librdkafka asked again
# with a heartbeat that does not make the broker repeat it: the member kept what it should have let go, and the group never
# came to rest. A heartbeat that timed out is now treated like one whose connection broke: the next one says everything.
sed -i '/^void rd_kafka_cgrp_handle_ConsumerGroupHeartbeat(/,/^}/ {
    s/^        case RD_KAFKA_RESP_ERR__TRANSPORT:$/&\n        case RD_KAFKA_RESP_ERR__TIMED_OUT:/
}' src/rdkafka_cgrp.c
[ "$(sed -n '/^void rd_kafka_cgrp_handle_ConsumerGroupHeartbeat(/,/^}/p' src/rdkafka_cgrp.c | grep -c 'case RD_KAFKA_RESP_ERR__TIMED_OUT:')" = 1 ] ||
    die "src/rdkafka_cgrp.c does not look as it did when this script was written"
# A rebalance that is answered after the consumer's close has gone through is thrown away without a reply, and the thread that
# answered waits for one for ever: a program that is stopped while its group rebalances may hang.
sed -i '/^static rd_kafka_op_res_t rd_kafka_cgrp_op_serve(.*,$/,/^}/ {
    /rkcg_terminated/,/return RD_KAFKA_OP_RES_HANDLED/ s/rd_kafka_op_destroy(rko);/rd_kafka_op_reply(rko, RD_KAFKA_RESP_ERR__DESTROY);/
}' src/rdkafka_cgrp.c
[ "$(grep -c 'rd_kafka_op_reply(rko, RD_KAFKA_RESP_ERR__DESTROY);' src/rdkafka_cgrp.c)" = 1 ] ||
    die "src/rdkafka_cgrp.c does not look as it did when this script was written"
# CXX: the C++ wrapper is not built, but configure insists on a compiler for it.
# shellcheck disable=SC2086 # the options are words
run 'configure' env CFLAGS="$cflags" CXX="${CC:-cc}" bash ./configure $options
for feature in SSL ZLIB ZSTD; do
    grep -q "^#define WITH_$feature 1" config.h ||
        die "configure found no $feature; run scripts/setup.sh, it installs what is missing (see $log)"
done
run 'make' make -j"${JOBS:-$(nproc)}" -C src librdkafka.a

mkdir -p "$work/out/lib/pkgconfig" "$work/out/include/librdkafka" "$work/out/share/doc/librdkafka"
cp src/librdkafka.a "$work/out/lib/"
cp src/rdkafka.h src/rdkafka_mock.h "$work/out/include/librdkafka/"
cp LICENSES.txt CONFIGURATION.md "$work/out/share/doc/librdkafka/"
# Only the static library is there, so all it needs stands in Libs. `pinned` is for src/member/meson.build.
cat >"$work/out/lib/pkgconfig/rdkafka.pc" <<PC
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include
pinned=yes

Name: librdkafka
Description: The Apache Kafka C/C++ library (static, built for Baton)
Version: $version
Requires: zlib libcrypto libssl libzstd
Cflags: -I\${includedir}
Libs: -L\${libdir} -lrdkafka -lm -ldl -lpthread -lrt
PC
printf '%s\n' "$recipe" >"$work/out/recipe"
rm -rf "$prefix"
mv "$work/out" "$prefix"
say "built $version"
echo "$prefix/lib/pkgconfig"
