#!/bin/sh
# alloc.sh OUTPUT.o LIBRARY... - one object of our own code, whose every allocation goes through fail_malloc() and its like: a
# test decides which of them fails, and librdkafka's are left alone.
set -eu
output=$1
shift
ld -r -o "$output" --whole-archive "$@"
objcopy --redefine-sym malloc=fail_malloc --redefine-sym calloc=fail_calloc --redefine-sym realloc=fail_realloc \
    --redefine-sym strdup=fail_strdup "$output"
