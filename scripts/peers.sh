#!/bin/sh
# peers.sh - brings the clients that other languages have for Kafka, in exact versions: `baton run` is measured against them, and
# integrations/ is tested with them.
#
#   scripts/peers.sh [python|node|go] prints the folder, one that does not change:
#
#   python/      a venv with confluent-kafka
#   node/        node_modules with @confluentinc/kafka-javascript
#   agent-go     tests/system/agent_app_go, built (only when asked for go)
#   go/          bench/run_peer.go, built (only when asked for nothing)
#
# Exit 3 where the language's own tools are missing; asked for nothing it brings what can be had. Into BATON_CACHE,
# ~/.cache/baton; nothing is done twice.
set -eu

confluent_kafka=2.16.1       # PyPI
kafka_javascript=1.10.1     # npm, @confluentinc/kafka-javascript
franz_go=1.22.2             # github.com/twmb/franz-go; tests/system/agent_app_go/go.mod says the same

case ${1:-python} in
python | node | go) ;;
*) echo "usage: scripts/peers.sh [python|node|go]" >&2 && exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
into=${BATON_CACHE:-$HOME/.cache/baton}/peers-$confluent_kafka-$kafka_javascript-$franz_go
mkdir -p "$into"
exec 9>"$into/.lock"
flock 9

# done_once NAME COMMAND...: a mark says that it was done; what it says goes to a log, which is shown only when it fails
done_once() {
    mark=$into/.$1
    shift
    [ ! -e "$mark" ] || return 0
    echo "peers: $*: once, some minutes at most" | tr _ ' ' >&2
    ("$@") >"$into/log" 2>&1 9>&- || { tail -n 30 "$into/log" >&2; return 1; }
    : >"$mark"
}

python_client() {
    rm -rf "$into/python"
    python3 -m venv "$into/python" || return 1
    "$into/python/bin/pip" install --quiet --disable-pip-version-check "confluent-kafka==$confluent_kafka"
}

# The package's own way downloads a binary, or zlib, OpenSSL, zstd and curl, from where not everybody may go. So it is built on
# the librdkafka that Baton uses, of the same version, and the C++ wrapper that the package brings.
node_client() {
    rm -rf "$into/node"
    mkdir -p "$into/node/lib"
    cd "$into/node"
    npm install --silent --ignore-scripts --no-audit --no-fund --no-save "@confluentinc/kafka-javascript@$kafka_javascript" || return 1
    client=$into/node/node_modules/@confluentinc/kafka-javascript
    source=$client/deps/librdkafka
    rdkafka=$("$root/scripts/librdkafka.sh") || return 1
    : >"$source/config.h" # of the C library's build
    cd lib
    c++ -O2 -fPIC -c "$source"/src-cpp/*.cpp || return 1
    ar rcs librdkafka-wrapper.a ./*.o
    echo "GROUP ( $into/node/lib/librdkafka-wrapper.a -lrdkafka -lz -lzstd -lssl -lcrypto )" >librdkafka++.a
    cd "$client"
    headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")") # else they are downloaded
    [ ! -e "$headers/include/node/node.h" ] || export npm_config_nodedir="$headers"
    BUILD_LIBRDKAFKA=0 CXXFLAGS="-I$source/src-cpp -I$source/src" LDFLAGS="-L$into/node/lib${rdkafka:+ -L$rdkafka/..}" \
        ../../.bin/node-pre-gyp rebuild --build-from-source || return 1
    cd "$into/node"
    node -e "require('@confluentinc/kafka-javascript')"
}

go_consumer() {
    rm -rf "$into/go"
    mkdir -p "$into/go"
    cp "$root/bench/run_peer.go" "$into/go/main.go"
    (cd "$into/go" && go mod init peer && go get "github.com/twmb/franz-go/pkg/kgo@v$franz_go" && go build -buildvcs=false -o peer .)
}

go_agent() {
    (cd "$root/tests/system/agent_app_go" && go build -buildvcs=false -o "$into/agent-go" .)
}

sum() { cat "$@" | cksum | cut -d' ' -f1; }

# bring LANGUAGE, whose tools are there
bring() {
    case $1 in
    python) done_once python python_client ;;
    node) done_once node-client node_client ;;
    go) done_once "agent-go-$(sum "$root"/integrations/go/*.go "$root"/tests/system/agent_app_go/*.go)" go_agent ;;
    peer) done_once "go-$(sum "$root/bench/run_peer.go")" go_consumer ;;
    esac
}

# tools LANGUAGE: what it needs on the machine
tools() {
    case $1 in
    python) echo python3 ;;
    node) echo node npm c++ ;;
    go | peer) echo go ;;
    esac
}

there() {
    command -v "$1" >/dev/null || return 1
    [ "$1" != go ] || go version | grep -q 'go1\.\(2[1-9]\|[3-9][0-9]\)' # from 1.21 on it fetches the newer one that a module wants
}

for language in ${1:-python node peer}; do
    for tool in $(tools "$language"); do
        there "$tool" && continue
        echo "peers: no '$tool' here, or too old a one, so nothing in its language" >&2
        [ -z "${1:-}" ] || exit 3
        continue 2
    done
    bring "$language" || [ -z "${1:-}" ] || exit 1
done
echo "$into"
