/*
 * document - the fleet document as it comes out of the log: one record a line, applied one after the other as every
 * reader does. A record that names a shard is read as that shard, an empty line is a tombstone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/record.h"

#define BATON_MAX (3 * SHARD_BATONS)

static struct record_key key_of(const char *line, size_t len)
{
    struct record_key key = { .kind = RECORD_HEAD, .fleet = "payments", .shard = -1 };
    const char *shard = memmem(line, len, "\"shard\":", 8);

    if (shard && shard + 8 < line + len) {
        key.kind = RECORD_SHARD;
        key.shard = shard[8] >= '0' && shard[8] <= '9' ? shard[8] - '0' : 0;
    }
    return key;
}

static void batons_equal(const struct fleet *a, const struct fleet *b)
{
    ASSERT(a->baton_count == b->baton_count);
    for (int i = 0; i < a->baton_count; i++) {
        const struct baton *x = &a->batons[i], *y = &b->batons[i];

        ASSERT(x->topic == y->topic && x->partition == y->partition && x->state == y->state);
        ASSERT(x->holder == y->holder && x->from == y->from && x->epoch == y->epoch);
        ASSERT(x->order == y->order && x->taken == y->taken && x->doubt == y->doubt);
    }
}

/* A whole fleet is written as its leader writes it, shards before the head, and another reader makes the same of it. */
static void written(const struct fleet *f, struct baton *room, struct baton *scratch)
{
    const int shards = f->baton_count > SHARD_BATONS ? (f->baton_count + SHARD_BATONS - 1) / SHARD_BATONS : 0;
    struct fleet again;

    fleet_init(&again, room, BATON_MAX);
    for (int shard = shards - 1; shard >= -1; shard--) {
        struct record_key key = { .kind = shard < 0 ? RECORD_HEAD : RECORD_SHARD, .shard = shard };
        struct doc doc = { .fleet = { .batons = scratch, .baton_max = SHARD_BATONS } };
        struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
        struct errmsg m;

        memcpy(key.fleet, f->spec.fleet, sizeof(key.fleet));
        fuzz_accepted(fleet_encode(&text, f, shard, &m), &m, f->reason);
        fuzz_accepted(fleet_decode(&doc, &key, NULL, text.buf, text.len, &m), &m, text.buf);
        ASSERT(fleet_apply(&again, &doc) == DOC_APPLIED);
        str_free(&text);
    }
    ASSERT(again.phase == f->phase && again.active == f->active && again.switch_number == f->switch_number);
    ASSERT(version_compare(again.applied, f->version) == 0 && text_equal(again.reason, f->reason));
    batons_equal(f, &again);
}

void fuzz_document(const char *text, size_t len)
{
    static struct baton batons[BATON_MAX], room[BATON_MAX], scratch[SHARD_BATONS];
    const char *end = text + len;
    struct fleet fleet;

    fleet_init(&fleet, batons, BATON_MAX);
    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line)), *stop = newline ? newline : end;
        const size_t line_len = (size_t)(stop - line);
        const struct record_key key = key_of(line, line_len);
        struct doc doc = { .fleet = { .batons = scratch, .baton_max = SHARD_BATONS } };
        char *copy = fuzz_copy(line, line_len);
        const struct version before = fleet.version;
        struct errmsg m;

        if (fleet_decode(&doc, &key, fleet.exists ? &fleet : NULL, copy, line_len, &m) == ERR_OK) {
            fleet_apply(&fleet, &doc);
            ASSERT(version_compare(fleet.version, before) >= 0); /* I4 */
            if (fleet.exists && fleet_valid(&fleet, NULL))
                written(&fleet, room, scratch);
        }
        free(copy);
        line = stop + 1;
    }
}
