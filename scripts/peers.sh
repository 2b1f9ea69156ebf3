#!/bin/sh
# peers.sh - brings the clients that `baton run` is measured against: for Python, Node and Go, in exact versions.
#
#   scripts/peers.sh [python] prints the folder, one that does not change: python/ (a venv), node/, go/ (a consumer, built)
#
# A language whose interpreter is missing is left out. Into BATON_CACHE, ~/.cache/baton; nothing is done twice.
set -eu

confluent_kafka=2.16.1       # PyPI
kafka_javascript=1.10.1     # npm, @confluentinc/kafka-javascript
kafkajs=2.2.4              # npm, where the one before cannot be built: it downloads from far and wide
franz_go=1.22.2             # github.com/twmb/franz-go

root=$(cd "$(dirname "$0")/.." && pwd)
into=${BATON_CACHE:-$HOME/.cache/baton}/peers-$confluent_kafka-$kafka_javascript-$franz_go
mkdir -p "$into"

# done_once NAME COMMAND...: a mark says that it was done
done_once() {
    mark=$into/.$1
    shift
    [ -e "$mark" ] || { "$@" >&2 && : >"$mark"; }
}

python() {
    rm -rf "$into/python"
    python3 -m venv "$into/python"
    "$into/python/bin/pip" install --quiet --disable-pip-version-check "confluent-kafka==$confluent_kafka"
}

node_client() {
    rm -rf "$into/node"
    mkdir -p "$into/node"
    cd "$into/node"
    npm install --silent --no-audit --no-fund --no-save "@confluentinc/kafka-javascript@$kafka_javascript" ||
        npm install --silent --no-audit --no-fund --no-save "kafkajs@$kafkajs"
    cd "$root"
}

go_consumer() {
    rm -rf "$into/go"
    mkdir -p "$into/go"
    cp "$root/bench/run_peer.go" "$into/go/main.go"
    (cd "$into/go" && go mod init peer && go get "github.com/twmb/franz-go/pkg/kgo@v$franz_go" && go build -o peer .)
}

if command -v python3 >/dev/null; then done_once python python; fi
if [ "${1:-}" = python ]; then
    echo "$into"
    exit 0
fi
if command -v npm >/dev/null; then done_once node node_client || echo "peers: no client for Node" >&2; fi
if command -v go >/dev/null; then done_once "go-$(cksum <"$root/bench/run_peer.go" | cut -d' ' -f1)" go_consumer; fi
echo "$into"
