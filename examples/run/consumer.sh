#!/usr/bin/env bash
# consumer - a whole consumer in a shell: a line in, "ok" out.
#
#     baton run payments --color blue -- bash consumer.sh
set -o pipefail

work() {
    printf '%s\n' "$1" >&2 # the record as JSON; stdout is for acknowledgements
}

while IFS= read -r line; do
    if work "$line" >/dev/null </dev/null; then
        echo ok # the oldest line that is not done: this one
    else
        echo "error exit code $?"
    fi
done
