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

static void op_deinit(struct mirror_op *o)
{
    text_free(&o->op);
    for (int i = 0; i < o->passes_count; i++)
        text_free(&o->passes[i]);
    free(o->passes);
    *o = (struct mirror_op){ 0 };
}

static void ops_clear(struct mirror_fleet *f)
{
    for (int i = 0; i < f->op_count; i++)
        op_deinit(&f->ops[i]);
    free(f->ops);
    f->ops = NULL;
    f->op_count = f->op_room = 0;
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
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
    m->fleet_count++;
    return f;
}

const struct mirror_op *mirror_op_find(const struct mirror_fleet *f, uint32_t number)
{
    for (int i = f->op_count - 1; i >= 0; i--)
        if (f->ops[i].number == number)
            return &f->ops[i];
    return NULL;
}

const struct mirror_op *mirror_op_newest(const struct mirror_fleet *f)
{
    for (int i = f->op_count - 1; i >= 0; i--)
        if (f->ops[i].op.bytes)
            return &f->ops[i];
    return NULL;
}

static void op_pack(struct mirror_op *o)
{
    text_pack(&o->op);
    for (int i = 0; i < o->passes_count; i++)
        text_pack(&o->passes[i]);
}

static void op_remove(struct mirror_fleet *f, int i)
{
    op_deinit(&f->ops[i]);
    memmove(&f->ops[i], &f->ops[i + 1], (size_t)(f->op_count - i - 1) * sizeof(*f->ops));
    f->op_count--;
}

static struct mirror_op *op_add(struct mirror_fleet *f, uint32_t number)
{
    struct mirror_op *o = (struct mirror_op *)mirror_op_find(f, number);
    int at;

    if (o)
        return o;
    if (f->op_count == MIRROR_OPS_MAX)
        op_remove(f, 0);
    if (f->op_count == f->op_room) {
        f->op_room = f->op_room ? f->op_room * 2 : 8;
        f->ops = must(realloc(f->ops, (size_t)f->op_room * sizeof(*f->ops)));
    }
    for (at = f->op_count; at > 0 && f->ops[at - 1].number > number; at--)
        f->ops[at] = f->ops[at - 1];
    f->op_count++;
    f->ops[at] = (struct mirror_op){ .number = number };
    if (at == f->op_count - 1 && at > 0)
        op_pack(&f->ops[at - 1]); /* history from now on */
    return &f->ops[at];
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

bool mirror_needs_heal(const struct mirror_fleet *f)
{
    bool heal = f->head_void;

    for (int i = 0; i < SHARDS_MAX; i++)
        heal |= f->shard_void[i];
    for (int i = 0; i < f->op_count; i++) {
        heal |= f->ops[i].op.void_newest;
        for (int k = 0; k < f->ops[i].passes_count; k++)
            heal |= f->ops[i].passes[k].void_newest;
    }
    return heal;
}

/* Where the newest record of the key is remembered to be void; NULL: the key has no such place. */
static bool *void_mark(struct mirror_fleet *f, const struct record_key *key)
{
    struct mirror_op *o;

    switch (key->kind) {
    case RECORD_HEAD:
        return &f->head_void;
    case RECORD_SHARD:
        return &f->shard_void[key->shard];
    case RECORD_OP:
    case RECORD_PASSES:
        o = op_add(f, key->number);
        return key->kind == RECORD_OP ? &o->op.void_newest : &op_passes(o, key->shard)->void_newest;
    case RECORD_TERM:
    case RECORD_REPORT:
    case RECORD_ORDER:
    case RECORD_UNKNOWN:
        break;
    }
    return NULL;
}

static void tell(struct mirror *m, enum mirror_change_type type, struct mirror_fleet *f, const struct record_key *key,
                 int64_t offset)
{
    const struct mirror_change change = { .type = type, .fleet = f, .key = *key, .offset = offset };

    if (m->changed)
        m->changed(m->opaque, &change);
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

static int apply_doc(struct mirror *m, struct mirror_fleet *f, const struct record_key *key,
                     const struct kafka_record *rec, struct errmsg *why)
{
    struct doc *doc = &m->scratch;
    int need, r;

    memset(doc, 0, sizeof(*doc));
    fleet_init(&doc->fleet, m->scratch_batons, SHARD_BATONS);
    r = fleet_decode(doc, key, f->fleet.exists ? &f->fleet : NULL, rec->value ? rec->value : "", rec->value_len, why);
    if (r < 0)
        return r;
    need =
        (doc->kind == DOC_SHARD ? doc->shard * SHARD_BATONS : 0) + (doc->kind == DOC_GONE ? 0 : doc->fleet.baton_count);
    if (need > f->fleet.baton_max && !fleet_room(f, need))
        return err_set(why, ERR_TOO_LARGE, "more than %d batons", BATONS_MAX);
    if (fleet_apply(&f->fleet, doc) == DOC_STALE)
        return err_set(why, ERR_STATE, "it is older than what was there");
    if (f->epoch_highest < doc->version.epoch)
        f->epoch_highest = doc->version.epoch;
    if (doc->kind == DOC_GONE)
        fleet_init(&f->fleet, f->fleet.batons, f->fleet.baton_max);
    return ERR_OK;
}

/* Operations and passes are kept as text, but only when they can be read. */
static int apply_op(struct mirror_fleet *f, const struct record_key *key, const struct kafka_record *rec,
                    struct errmsg *why)
{
    struct mirror_text *t;
    struct op op = { 0 };
    int r;

    if (key->kind == RECORD_OP) {
        r = op_decode(&op, rec->value, rec->value_len, why);
        if (r < 0)
            return r;
        if (op.number != key->number)
            return err_set(why, ERR_CORRUPT, "number %u in a record of number %u", op.number, key->number);
        t = &op_add(f, key->number)->op;
    } else {
        t = op_passes(op_add(f, key->number), key->shard);
    }
    text_set(t, rec->value, rec->value_len);
    return ERR_OK;
}

static void apply_gone(struct mirror *m, struct mirror_fleet *f, const struct record_key *key, int64_t offset)
{
    struct errmsg ignored;
    struct mirror_op *o;
    bool *mark;

    switch (key->kind) {
    case RECORD_HEAD: /* told first: the listener still needs the names of the topics */
        tell(m, MIRROR_GONE, f, key, offset);
        apply_doc(m, f, key, &(struct kafka_record){ .value = "" }, &ignored);
        f->head_void = false;
        f->broken[0] = '\0';
        return;
    case RECORD_OP:
        o = (struct mirror_op *)mirror_op_find(f, key->number);
        if (o)
            op_remove(f, (int)(o - f->ops));
        break;
    case RECORD_PASSES:
        o = (struct mirror_op *)mirror_op_find(f, key->number);
        if (o && key->shard < o->passes_count)
            text_free(&o->passes[key->shard]);
        if (o && !o->op.bytes)
            op_remove(f, (int)(o - f->ops));
        break;
    case RECORD_SHARD:
        mark = void_mark(f, key);
        *mark = false;
        break;
    case RECORD_TERM:
    case RECORD_REPORT:
    case RECORD_ORDER:
    case RECORD_UNKNOWN:
        return;
    }
    tell(m, MIRROR_GONE, f, key, offset);
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
    tell(m, MIRROR_CLAIM, NULL, key, rec->offset);
}

static void on_void(struct mirror *m, struct mirror_fleet *f, const struct record_key *key, int64_t offset)
{
    bool *mark = void_mark(f, key);

    if (mark)
        *mark = true;
    tell(m, MIRROR_VOID, f, key, offset);
}

static void on_valid(struct mirror *m, struct mirror_fleet *f, const struct record_key *key,
                     const struct kafka_record *rec)
{
    const bool doc = key->kind == RECORD_HEAD || key->kind == RECORD_SHARD;
    struct errmsg why = { 0 };
    int r = doc ? apply_doc(m, f, key, rec, &why) : apply_op(f, key, rec, &why);

    if (r == ERR_STATE) {
        m->voids++;
        log_warn("record_stale", "offset=%lld key=\"%.*s\", skipped: %s", (long long)rec->offset, (int)rec->key_len,
                 rec->key, why.text);
        on_void(m, f, key, rec->offset);
        return;
    }
    if (r < 0) {
        m->corrupt++;
        snprintf(r == ERR_NEWER ? m->newer : f->broken, sizeof(f->broken), "record %lld of the control log: %.200s",
                 (long long)rec->offset, why.text);
        log_error("record_unreadable",
                  "offset=%lld key=\"%.*s\" error=\"%s\", no controller will change this fleet before it is mended",
                  (long long)rec->offset, (int)rec->key_len, rec->key, why.text);
        return;
    }
    *void_mark(f, key) = false;
    if (key->kind == RECORD_HEAD)
        f->broken[0] = '\0';
    tell(m,
         key->kind == RECORD_HEAD    ? MIRROR_HEAD
         : key->kind == RECORD_SHARD ? MIRROR_SHARD
         : key->kind == RECORD_OP    ? MIRROR_OP
                                     : MIRROR_PASSES,
         f, key, rec->offset);
}

static void on_fleet_record(struct mirror *m, const struct record_key *key, const struct kafka_record *rec)
{
    struct mirror_fleet *f = mirror_add(m, key->fleet);
    struct errmsg why = { 0 };
    int64_t term;
    int r;

    if (!f) {
        log_error("fleets_too_many", "fleet=%s limit=%d, it is not followed", key->fleet, MIRROR_FLEETS_MAX);
        return;
    }
    if (!rec->value || rec->value_len == 0) {
        apply_gone(m, f, key, rec->offset);
        return;
    }
    r = record_term(&term, rec->value, rec->value_len, &why);
    if (r == ERR_OK && terms_valid(&m->terms, term)) {
        on_valid(m, f, key, rec);
        return;
    }
    if (r == ERR_NEWER) {
        snprintf(m->newer, sizeof(m->newer), "record %lld of the control log: %.200s", (long long)rec->offset,
                 why.text);
        log_error("record_newer", "offset=%lld error=\"%s\", this controller will not lead", (long long)rec->offset,
                  why.text);
        return;
    }
    if (r < 0) {
        m->corrupt++;
        log_warn("record_corrupt", "offset=%lld key=\"%.*s\" error=\"%s\", skipped", (long long)rec->offset,
                 (int)rec->key_len, rec->key, why.text);
    } else {
        m->voids++;
        log_info("record_void", "offset=%lld key=\"%.*s\" term=%lld highest=%lld, a deposed leader wrote it late",
                 (long long)rec->offset, (int)rec->key_len, rec->key, (long long)term, (long long)m->terms.highest);
    }
    on_void(m, f, key, rec->offset);
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
