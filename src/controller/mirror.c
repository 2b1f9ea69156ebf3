#include "controller/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/log.h"

#define PACK_BYTES_MIN 512 /* shorter texts stay as they are */

static void text_free(struct mirror_text *t)
{
    free(t->bytes);
    *t = (struct mirror_text){ 0 };
}

static void text_set(struct mirror_text *t, const char *bytes, size_t len)
{
    text_free(t);
    t->bytes = must(malloc(len + 1));
    memcpy(t->bytes, bytes, len);
    t->bytes[len] = '\0';
    t->len = (uint32_t)len;
}

static void text_pack(struct mirror_text *t)
{
    uLongf packed = compressBound(t->len);
    Bytef *to;

    if (!t->bytes || t->packed_len || t->len < PACK_BYTES_MIN)
        return;
    to = malloc(packed);
    if (to && compress2(to, &packed, (const Bytef *)t->bytes, t->len, 6) == Z_OK && packed < t->len) {
        char *small = realloc(to, packed);

        free(t->bytes);
        t->bytes = small ? small : (char *)to;
        t->packed_len = (uint32_t)packed;
        return;
    }
    free(to);
}

char *mirror_text_get(const struct mirror_text *t, size_t *ret_len)
{
    uLongf len = t->len;
    char *text;

    if (!t->bytes)
        return NULL;
    text = must(malloc((size_t)t->len + 1));
    if (!t->packed_len)
        memcpy(text, t->bytes, t->len);
    else
        ASSERT(uncompress((Bytef *)text, &len, (const Bytef *)t->bytes, t->packed_len) == Z_OK && len == t->len);
    text[t->len] = '\0';
    *ret_len = t->len;
    return text;
}

static void op_free(struct mirror_op *o)
{
    if (!o)
        return;
    text_free(&o->op);
    for (int i = 0; i < o->passes_count; i++)
        text_free(&o->passes[i]);
    free(o->passes);
    free(o);
}

static void ops_clear(struct mirror_fleet *f)
{
    for (int i = 0; i < f->log.op_count; i++)
        op_free(f->log.ops[i].kept);
    free(f->log.ops);
}

int mirror_init(struct mirror *m, mirror_changed *changed, void *opaque)
{
    memset(m, 0, sizeof(*m));
    terms_init(&m->terms);
    m->changed = changed;
    m->opaque = opaque;
    m->scratch_batons = calloc(SHARD_BATONS, sizeof(*m->scratch_batons));
    return m->scratch_batons ? ERR_OK : ERR_NOMEM;
}

void mirror_deinit(struct mirror *m)
{
    while (m->fleets) {
        struct mirror_fleet *f = m->fleets;

        m->fleets = f->next;
        ops_clear(f);
        free(f->fleet.batons);
        free(f);
    }
    free(m->scratch_batons);
    m->scratch_batons = NULL;
}

struct mirror_fleet *mirror_find(const struct mirror *m, const char *name)
{
    for (struct mirror_fleet *f = m->fleets; f; f = f->next)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

struct mirror_fleet *mirror_add(struct mirror *m, const char *name)
{
    struct mirror_fleet *f = mirror_find(m, name), **at = &m->fleets;

    if (f || m->fleet_count == MIRROR_FLEETS_MAX)
        return f;
    f = must(calloc(1, sizeof(*f)));
    ASSERT(text_copy(f->name, sizeof(f->name), name));
    fleet_init(&f->fleet, NULL, 0);
    replay_init(&f->log, &f->fleet, NULL, 0);
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
    m->fleet_count++;
    return f;
}

const struct mirror_op *mirror_op_at(const struct mirror_fleet *f, int i)
{
    return f->log.ops[i].kept;
}

const struct mirror_op *mirror_op_find(const struct mirror_fleet *f, uint32_t number)
{
    const struct replay_op *op = replay_find(&f->log, number);

    return op ? op->kept : NULL;
}

const struct mirror_op *mirror_op_newest(const struct mirror_fleet *f)
{
    const struct replay_op *op = replay_newest(&f->log);

    return op ? op->kept : NULL;
}

static void op_pack(struct mirror_op *o)
{
    text_pack(&o->op);
    for (int i = 0; i < o->passes_count; i++)
        text_pack(&o->passes[i]);
}

/* One more operation finds room; beyond MIRROR_OPS_MAX the oldest is forgotten. */
static void ops_room(struct replay_fleet *log)
{
    const int doubled = log->op_max ? 2 * log->op_max : 8;

    if (log->op_count < log->op_max || log->op_max == MIRROR_OPS_MAX)
        return;
    log->op_max = doubled < MIRROR_OPS_MAX ? doubled : MIRROR_OPS_MAX;
    log->ops = must(realloc(log->ops, (size_t)log->op_max * sizeof(*log->ops)));
}

/* Where the texts of an operation stand. */
static struct mirror_op *op_kept(struct replay_fleet *log, struct replay_op *op)
{
    struct mirror_op *o = op->kept;

    if (o)
        return o;
    o = op->kept = must(calloc(1, sizeof(*o)));
    o->number = op->number;
    if (op > log->ops && op == &log->ops[log->op_count - 1])
        op_pack(op[-1].kept); /* history from now on */
    return o;
}

static struct mirror_text *op_passes(struct mirror_op *o, int shard)
{
    if (shard >= o->passes_count) {
        o->passes = must(realloc(o->passes, (size_t)(shard + 1) * sizeof(*o->passes)));
        for (int i = o->passes_count; i <= shard; i++)
            o->passes[i] = (struct mirror_text){ 0 };
        o->passes_count = shard + 1;
    }
    return &o->passes[shard];
}

int mirror_op_decode(struct op *ret, const struct mirror_op *o, struct pass *forth, struct pass *back, int pass_max,
                     struct errmsg *m)
{
    size_t len;
    char *text = mirror_text_get(&o->op, &len);
    int r;

    if (!text)
        return err_set(m, ERR_NOT_FOUND, "operation %u", o->number);
    memset(ret, 0, sizeof(*ret));
    r = op_decode(ret, text, len, m);
    free(text);
    ret->forth = forth;
    ret->back = back;
    ret->pass_count = 0;
    if (r < 0 || !forth)
        return r;
    for (int shard = 0; shard < o->passes_count; shard++) {
        text = mirror_text_get(&o->passes[shard], &len);
        if (!text)
            continue;
        r = passes_decode(ret, pass_max, shard, text, len, m);
        free(text);
        if (r < 0)
            return r;
    }
    return ERR_OK;
}

static void tell(struct mirror *m, const struct mirror_change *change)
{

    if (m->changed)
        m->changed(m->opaque, change);
}

static bool fleet_room(struct mirror_fleet *f, int need)
{
    struct baton *batons;

    ASSERT(need > 0);
    if (need > BATONS_MAX)
        return false;
    need = (need + 63) / 64 * 64;
    batons = must(realloc(f->fleet.batons, (size_t)need * sizeof(*batons)));
    memset(batons + f->fleet.baton_max, 0, (size_t)(need - f->fleet.baton_max) * sizeof(*batons));
    f->fleet.batons = batons;
    f->fleet.baton_max = need;
    return true;
}

static void on_claim(struct mirror *m, const struct record_key *key, const struct kafka_record *rec)
{
    struct errmsg why = { 0 };

    if (!rec->value || rec->offset <= m->terms.highest)
        return;
    terms_claim(&m->terms, rec->offset); /* whatever it says, its place in the log counts */
    memset(&m->claim, 0, sizeof(m->claim));
    m->claim_known = claim_decode(&m->claim, rec->value, rec->value_len, &why) == ERR_OK;
    if (!m->claim_known) {
        m->corrupt++;
        log_warn("claim_unreadable", "offset=%lld error=\"%s\", it counts as a term nevertheless",
                 (long long)rec->offset, why.text);
    }
    tell(m, &(struct mirror_change){ .type = MIRROR_CLAIM, .key = *key, .offset = rec->offset });
}

/* Parses a record that counts: a document into m->scratch; an operation is kept as text, but only when it can be read. */
static int parse(struct mirror *m, struct mirror_fleet *f, const struct record_key *key, const struct kafka_record *rec,
                 struct errmsg *why)
{
    struct doc *doc = &m->scratch;
    struct op op = { 0 };
    int need, r;

    if (key->kind == RECORD_PASSES)
        return ERR_OK;
    if (key->kind == RECORD_OP) {
        r = op_decode(&op, rec->value, rec->value_len, why);
        if (r == ERR_OK && op.number != key->number)
            r = err_set(why, ERR_CORRUPT, "number %u in a record of number %u", op.number, key->number);
        return r;
    }
    memset(doc, 0, sizeof(*doc));
    fleet_init(&doc->fleet, m->scratch_batons, SHARD_BATONS);
    r = fleet_decode(doc, key, f->fleet.exists ? &f->fleet : NULL, rec->value, rec->value_len, why);
    if (r < 0)
        return r;
    need = (doc->kind == DOC_SHARD ? doc->shard * SHARD_BATONS : 0) + doc->fleet.baton_count;
    if (need > f->fleet.baton_max && !fleet_room(f, need))
        return err_set(why, ERR_TOO_LARGE, "more than %d batons", BATONS_MAX);
    return ERR_OK;
}

/* Of a living term, and cannot be read. */
static void on_unreadable(struct mirror *m, struct mirror_fleet *f, const struct kafka_record *rec, int error,
                          const struct errmsg *why)
{
    m->corrupt++;
    snprintf(error == ERR_NEWER ? m->newer : f->broken, sizeof(f->broken), "record %lld of the control log: %.200s",
             (long long)rec->offset, why->text);
    log_error("record_unreadable",
              "offset=%lld key=\"%.*s\" error=\"%s\", no controller will change this fleet before it is mended",
              (long long)rec->offset, (int)rec->key_len, rec->key, why->text);
}

/* The texts follow what the record has changed. */
static void keep_text(struct mirror_fleet *f, const struct replay_key *key, const struct replay_change *change,
                      const struct kafka_record *rec)
{
    struct mirror_op *o = change->op ? op_kept(&f->log, change->op) : NULL;

    op_free(change->dropped);
    if (o && change->fate == REPLAY_KEPT)
        text_set(key->kind == REPLAY_OP ? &o->op : op_passes(o, key->shard), rec->value, rec->value_len);
    else if (o && change->fate == REPLAY_GONE && key->kind == REPLAY_PASSES && key->shard < o->passes_count)
        text_free(&o->passes[key->shard]);
}

static const struct {
    enum replay_kind kind;
    enum mirror_change_type type;
} kinds[] = {
    [RECORD_HEAD] = { REPLAY_HEAD, MIRROR_HEAD },
    [RECORD_SHARD] = { REPLAY_SHARD, MIRROR_SHARD },
    [RECORD_OP] = { REPLAY_OP, MIRROR_OP },
    [RECORD_PASSES] = { REPLAY_PASSES, MIRROR_PASSES },
};

static void step(struct mirror *m, struct mirror_fleet *f, const struct record_key *key, const struct kafka_record *rec,
                 const struct replay_record *record)
{
    struct mirror_change change = { .fleet = f, .key = *key, .offset = rec->offset, .record = record };
    const bool fleet_goes = record->what == REPLAY_TOMBSTONE && key->kind == RECORD_HEAD;
    struct replay_change done;

    ops_room(&f->log);
    if (fleet_goes) { /* told first: the listener still needs the names of the topics */
        change.type = MIRROR_GONE;
        change.fate = REPLAY_GONE;
        tell(m, &change);
    }
    done = replay_step(&f->log, &m->terms, record);
    keep_text(f, &record->key, &done, rec);
    if (done.fate == REPLAY_STALE) {
        m->voids++;
        log_warn("record_stale", "offset=%lld key=\"%.*s\", skipped: it is older than what was there",
                 (long long)rec->offset, (int)rec->key_len, rec->key);
    }
    if (key->kind == RECORD_HEAD && (done.fate == REPLAY_KEPT || done.fate == REPLAY_GONE))
        f->broken[0] = '\0';
    change.fate = done.fate;
    change.type = done.fate == REPLAY_KEPT   ? kinds[key->kind].type
                  : done.fate == REPLAY_GONE ? MIRROR_GONE
                                             : MIRROR_VOID;
    if (!fleet_goes)
        tell(m, &change);
}

static void on_fleet_record(struct mirror *m, const struct record_key *key, const struct kafka_record *rec)
{
    struct replay_record record = { .key = { kinds[key->kind].kind, key->number, key->shard },
                                    .what = REPLAY_TOMBSTONE,
                                    .doc = &m->scratch };
    struct mirror_fleet *f = mirror_add(m, key->fleet);
    struct errmsg why = { 0 };
    int r = ERR_OK;

    if (!f) {
        log_error("fleets_too_many", "fleet=%s limit=%d, it is not followed", key->fleet, MIRROR_FLEETS_MAX);
        return;
    }
    if (rec->value && rec->value_len > 0) {
        r = record_term(&record.term, rec->value, rec->value_len, &why);
        record.what = r < 0 ? REPLAY_CORRUPT : REPLAY_RECORD;
    }
    if (r == ERR_NEWER) {
        snprintf(m->newer, sizeof(m->newer), "record %lld of the control log: %.200s", (long long)rec->offset,
                 why.text);
        log_error("record_newer", "offset=%lld error=\"%s\", this controller will not lead", (long long)rec->offset,
                  why.text);
        return;
    }
    if (record.what == REPLAY_CORRUPT) {
        m->corrupt++;
        log_warn("record_corrupt", "offset=%lld key=\"%.*s\" error=\"%s\", skipped", (long long)rec->offset,
                 (int)rec->key_len, rec->key, why.text);
    } else if (replay_counts(&m->terms, &record)) {
        r = parse(m, f, key, rec, &why);
        if (r < 0) {
            on_unreadable(m, f, rec, r, &why);
            return;
        }
    } else if (record.what == REPLAY_RECORD) {
        m->voids++;
        log_info("record_void", "offset=%lld key=\"%.*s\" term=%lld highest=%lld, a deposed leader wrote it late",
                 (long long)rec->offset, (int)rec->key_len, rec->key, (long long)record.term,
                 (long long)m->terms.highest);
    }
    step(m, f, key, rec, &record);
}

void mirror_record(struct mirror *m, const struct kafka_record *rec)
{
    struct record_key key;

    m->position = rec->offset + 1;
    record_key_parse(&key, rec->key ? rec->key : "", rec->key ? rec->key_len : 0, true);
    if (key.kind == RECORD_TERM)
        on_claim(m, &key, rec);
    else if (key.kind == RECORD_HEAD || key.kind == RECORD_SHARD || key.kind == RECORD_OP || key.kind == RECORD_PASSES)
        on_fleet_record(m, &key, rec);
    else
        log_warn("record_unknown", "offset=%lld key=\"%.*s\", skipped", (long long)rec->offset,
                 rec->key ? (int)rec->key_len : 0, rec->key ? rec->key : "");
}
