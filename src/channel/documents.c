/* documents - see documents.h. */
#include "channel/documents.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/record.h"

int documents_open(struct documents *d)
{
    uptake_init(&d->uptake);
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
    return uptake_read_to(&d->uptake, position);
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
    if (r == ERR_NOMEM)
        return r;
    if (r == ERR_OK)
        d->take(d->opaque, &d->doc, d->head_offset, position);
    uptake_head_taken(&d->uptake);
    head_drop(d);
    return ERR_OK;
}

int documents_read(struct documents *d, const struct kafka_record *rec, int64_t position)
{
    struct uptake_record r = { .gone = !rec->value, .offset = rec->offset };
    struct record_key key;
    struct errmsg m = { 0 };
    int code, kept = ERR_OK;

    record_key_parse(&key, rec->key, rec->key_len, true);
    if (key.kind == RECORD_TERM && rec->value)
        terms_claim(&d->uptake.terms, rec->offset);
    if ((key.kind != RECORD_HEAD && key.kind != RECORD_SHARD) || strcmp(key.fleet, d->name) != 0 ||
        key.shard >= SHARDS_MAX)
        return ERR_OK;
    r.shard = key.kind == RECORD_HEAD ? -1 : key.shard;
    r.termless = rec->value && record_term(&r.term, rec->value, rec->value_len, NULL) != ERR_OK;
    if (!uptake_counts(&d->uptake, &r))
        return ERR_OK; /* a deposed leader's, readable or not */
    code = r.gone && r.shard >= 0 ? ERR_OK : decode(d, &key, rec->value, rec->value_len, &m);
    if (code == ERR_NOMEM)
        return code;
    if (code < 0)
        d->trouble(d->opaque, rec->offset, code, m.text);
    if (r.shard < 0)
        head_drop(d);
    switch (uptake_step(&d->uptake, &r, code == ERR_OK)) {
    case UPTAKE_NOTHING:
        break;
    case UPTAKE_KEEP:
        kept = head_keep(d, rec);
        break;
    case UPTAKE_TAKE:
        d->take(d->opaque, &d->doc, rec->offset, documents_read_to(d, position));
        break;
    }
    return kept == ERR_OK && uptake_head_due(&d->uptake) ? head_take(d, position) : kept;
}
