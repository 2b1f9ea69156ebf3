/* documents - see documents.h. */
#include "channel/documents.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/record.h"

int documents_open(struct documents *d)
{
    terms_init(&d->terms);
    d->doc.fleet.batons = calloc(SHARD_BATONS, sizeof(*d->doc.fleet.batons));
    return d->doc.fleet.batons ? ERR_OK : ERR_NOMEM;
}

static void head_drop(struct documents *d)
{
    free(d->head);
    d->head = NULL;
}

void documents_close(struct documents *d)
{
    head_drop(d);
    free(d->doc.fleet.batons);
    d->doc.fleet.batons = NULL;
}

int64_t documents_read_to(const struct documents *d, int64_t position)
{
    return d->unreadable_count > 0 && d->unreadable_at < position ? d->unreadable_at : position;
}

static void note_unreadable(struct documents *d, int slot, int64_t offset, int code, const char *why)
{
    d->trouble(d->opaque, offset, code, why);
    if (d->unreadable[slot])
        return;
    d->unreadable[slot] = true;
    if (d->unreadable_count++ == 0)
        d->unreadable_at = offset;
}

static void note_readable(struct documents *d, int slot)
{
    d->unreadable_count -= d->unreadable[slot];
    d->unreadable[slot] = false;
}

/* The head waits for a shard that cannot be read. */
static int head_keep(struct documents *d, const struct kafka_record *rec)
{
    d->head = malloc(rec->value_len + 1);
    if (!d->head)
        return ERR_NOMEM;
    memcpy(d->head, rec->value, rec->value_len);
    d->head_len = rec->value_len;
    d->head_offset = rec->offset;
    return ERR_OK;
}

static int decode(struct documents *d, const struct record_key *key, const char *value, size_t len, struct errmsg *m)
{
    struct baton *batons = d->doc.fleet.batons;

    for (bool again = false;; again = true) {
        int r;

        memset(&d->doc, 0, sizeof(d->doc));
        fleet_init(&d->doc.fleet, batons, SHARD_BATONS);
        r = fleet_decode(&d->doc, key, d->fleet, value, len, m);
        /* jansson may take an allocation that failed for a wrong word: what is corrupt is so a second time, too */
        if (r != ERR_CORRUPT || again)
            return r;
    }
}

/* What it waited for can be read again. */
static int head_take(struct documents *d, int64_t position)
{
    struct record_key key = { .kind = RECORD_HEAD, .shard = -1 };
    int r;

    text_copy(key.fleet, sizeof(key.fleet), d->name);
    r = decode(d, &key, d->head, d->head_len, NULL);
    if (r == ERR_OK)
        d->take(d->opaque, &d->doc, d->head_offset, position);
    head_drop(d);
    return r == ERR_NOMEM ? r : ERR_OK;
}

int documents_read(struct documents *d, const struct kafka_record *rec, int64_t position)
{
    struct record_key key;
    struct errmsg m = { 0 };
    int64_t term;
    int slot, r;

    record_key_parse(&key, rec->key, rec->key_len, true);
    if (key.kind == RECORD_TERM && rec->value)
        terms_claim(&d->terms, rec->offset);
    if ((key.kind != RECORD_HEAD && key.kind != RECORD_SHARD) || strcmp(key.fleet, d->name) != 0 ||
        key.shard >= SHARDS_MAX)
        return ERR_OK;
    if (rec->value && record_term(&term, rec->value, rec->value_len, NULL) == ERR_OK && !terms_valid(&d->terms, term))
        return ERR_OK; /* a deposed leader's, readable or not */
    slot = key.kind == RECORD_HEAD ? 0 : 1 + key.shard;
    if (key.kind == RECORD_HEAD)
        head_drop(d);
    if (key.kind == RECORD_SHARD && !rec->value) {
        note_readable(d, slot); /* a smaller fleet's head no longer counts it */
        return ERR_OK;
    }
    r = decode(d, &key, rec->value, rec->value_len, &m);
    if (r == ERR_NOMEM)
        return r;
    if (r < 0) {
        note_unreadable(d, slot, rec->offset, r, m.text);
        return ERR_OK;
    }
    note_readable(d, slot);
    if (key.kind == RECORD_HEAD && rec->value && d->unreadable_count > 0)
        return head_keep(d, rec);
    d->take(d->opaque, &d->doc, rec->offset, documents_read_to(d, position));
    return d->head && d->unreadable_count == 0 ? head_take(d, position) : ERR_OK;
}
