/*
 * record_key - the keys of both topics, and what kind of record stands behind one.
 *
 * A key that is not exactly one of ours is RECORD_UNKNOWN and skipped: a newer Baton may keep more kinds of records.
 * In `baton.reports` the first word is a fleet's name or "order", so no fleet is called that (spec.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"

#define PARTS_MAX 5

void record_key_format(char ret[RECORD_KEY_MAX], const struct record_key *key)
{
    int len = 0;

    switch (key->kind) {
    case RECORD_TERM:
        len = snprintf(ret, RECORD_KEY_MAX, "term");
        break;
    case RECORD_HEAD:
        len = snprintf(ret, RECORD_KEY_MAX, "fleet/%s", key->fleet);
        break;
    case RECORD_SHARD:
        len = snprintf(ret, RECORD_KEY_MAX, "fleet/%s/batons/%d", key->fleet, key->shard);
        break;
    case RECORD_OP:
        len = snprintf(ret, RECORD_KEY_MAX, "switch/%s/%" PRIu32, key->fleet, key->number);
        break;
    case RECORD_PASSES:
        len = snprintf(ret, RECORD_KEY_MAX, "switch/%s/%" PRIu32 "/batons/%d", key->fleet, key->number, key->shard);
        break;
    case RECORD_REPORT:
        len = snprintf(ret, RECORD_KEY_MAX, "%s/%s", key->fleet, key->id);
        break;
    case RECORD_ORDER:
        len = snprintf(ret, RECORD_KEY_MAX, "order/%s", key->id);
        break;
    case RECORD_YARDSTICK:
        len = snprintf(ret, RECORD_KEY_MAX, "judge/%s/yardstick", key->fleet);
        break;
    case RECORD_UNKNOWN:
        ret[0] = 0;
        break;
    }
    ASSERT(len < RECORD_KEY_MAX);
}

/* Splits at slashes, in place; 0 when there are too many parts. */
static int split(char *text, const char *parts[PARTS_MAX])
{
    int count = 0;

    for (char *p = text; p;) {
        char *slash = strchr(p, '/');

        if (count == PARTS_MAX)
            return 0;
        parts[count++] = p;
        if (slash)
            *slash = 0;
        p = slash ? slash + 1 : NULL;
    }
    return count;
}

/* A number written as we write it: "01" would be a second key for 1. */
static bool parse_number(int64_t *ret, const char *text, int64_t min, int64_t max)
{
    if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1]))
        return false;
    return parse_int64(ret, text, min, max, NULL) == ERR_OK;
}

static enum record_kind parse_control(struct record_key *key, const char *const *parts, int count)
{
    const bool fleet = strcmp(parts[0], "fleet") == 0, op = strcmp(parts[0], "switch") == 0;
    int64_t number = 0, shard = 0;

    if (count == 1 && strcmp(parts[0], "term") == 0)
        return RECORD_TERM;
    if (count < 2 || (!fleet && !op) || !fleet_name_valid(parts[1]) ||
        !text_copy(key->fleet, sizeof(key->fleet), parts[1]))
        return RECORD_UNKNOWN;
    if (fleet && count == 2)
        return RECORD_HEAD;
    if (fleet && count == 4 && strcmp(parts[2], "batons") == 0 && parse_number(&shard, parts[3], 0, SHARDS_MAX - 1)) {
        key->shard = (int)shard;
        return RECORD_SHARD;
    }
    if (!op || count < 3 || !parse_number(&number, parts[2], 1, UINT32_MAX))
        return RECORD_UNKNOWN;
    key->number = (uint32_t)number;
    if (count == 3)
        return RECORD_OP;
    if (count == 5 && strcmp(parts[3], "batons") == 0 && parse_number(&shard, parts[4], 0, SHARDS_MAX - 1)) {
        key->shard = (int)shard;
        return RECORD_PASSES;
    }
    return RECORD_UNKNOWN;
}

static enum record_kind parse_report(struct record_key *key, const char *const *parts, int count)
{
    const bool order = strcmp(parts[0], "order") == 0;

    if (count == 3 && strcmp(parts[0], "judge") == 0 && strcmp(parts[2], "yardstick") == 0 &&
        fleet_name_valid(parts[1]) && text_copy(key->fleet, sizeof(key->fleet), parts[1]))
        return RECORD_YARDSTICK;
    if (count != 2 || !id_valid(parts[1], order ? REQUEST_ID_MAX : INCARNATION_MAX) ||
        !text_copy(key->id, sizeof(key->id), parts[1]))
        return RECORD_UNKNOWN;
    if (order)
        return RECORD_ORDER;
    if (!fleet_name_valid(parts[0]) || !text_copy(key->fleet, sizeof(key->fleet), parts[0]))
        return RECORD_UNKNOWN;
    return RECORD_REPORT;
}

void record_key_parse(struct record_key *ret, const char *key, size_t len, bool control)
{
    struct record_key parsed = { .kind = RECORD_UNKNOWN, .shard = -1 };
    char text[RECORD_KEY_MAX];
    const char *parts[PARTS_MAX];
    int count = 0;

    if (len > 0 && len < sizeof(text) && !memchr(key, 0, len)) {
        memcpy(text, key, len);
        text[len] = 0;
        count = split(text, parts);
    }
    if (count > 0)
        parsed.kind = control ? parse_control(&parsed, parts, count) : parse_report(&parsed, parts, count);
    *ret = parsed.kind == RECORD_UNKNOWN ? (struct record_key){ .kind = RECORD_UNKNOWN, .shard = -1 } : parsed;
}
