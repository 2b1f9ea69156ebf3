/* replay - see replay.h. */
#include "core/replay.h"

#include <string.h>

#include "base/check.h"

_Static_assert(SHARDS_MAX <= 32, "replay_op has a bit for each shard of passes");

void replay_init(struct replay_fleet *f, struct fleet *fleet, struct replay_op *ops, int op_max)
{
    memset(f, 0, sizeof(*f));
    f->fleet = fleet;
    f->ops = ops;
    f->op_max = op_max;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

struct replay_op *replay_find(const struct replay_fleet *f, uint32_t number)
{
    for (int i = f->op_count - 1; i >= 0; i--)
        if (f->ops[i].number == number)
            return &f->ops[i];
    return NULL;
}

struct replay_op *replay_newest(const struct replay_fleet *f)
{
    for (int i = f->op_count - 1; i >= 0; i--)
        if (f->ops[i].known)
            return &f->ops[i];
    return NULL;
}

static void *op_remove(struct replay_fleet *f, struct replay_op *op)
{
    void *kept = op->kept;

    f->op_count--;
    memmove(op, op + 1, (size_t)(&f->ops[f->op_count] - op) * sizeof(*op));
    return kept;
}

static struct replay_op *op_add(struct replay_fleet *f, uint32_t number, void **ret_dropped)
{
    struct replay_op *op = replay_find(f, number);
    int at;

    if (op)
        return op;
    ASSERT(f->op_max > 0);
    if (f->op_count == f->op_max)
        *ret_dropped = op_remove(f, &f->ops[0]);
    for (at = f->op_count; at > 0 && f->ops[at - 1].number > number; at--)
        f->ops[at] = f->ops[at - 1];
    f->op_count++;
    f->ops[at] = (struct replay_op){ .number = number };
    return &f->ops[at];
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

bool replay_counts(const struct terms *t, const struct replay_record *r)
{
    return r->what == REPLAY_RECORD && terms_valid(t, r->term);
}

static uint32_t bit(int shard)
{
    return UINT32_C(1) << shard;
}

/* Is the newest record of the key void? */
static void mark(struct replay_fleet *f, const struct replay_key *key, struct replay_op *op, bool is_void)
{
    switch (key->kind) {
    case REPLAY_HEAD:
        f->head_void = is_void;
        break;
    case REPLAY_SHARD:
        f->shard_void[key->shard] = is_void;
        break;
    case REPLAY_OP:
        op->void_newest = is_void;
        break;
    case REPLAY_PASSES:
        op->passes_void = is_void ? op->passes_void | bit(key->shard) : op->passes_void & ~bit(key->shard);
        break;
    }
}

/* An operation that has lost a record stays as long as it has its own, or another key of it is marked. */
static void op_lost(struct replay_fleet *f, const struct replay_key *key, struct replay_change *ret)
{
    struct replay_op *op = ret->op;

    if (key->kind == REPLAY_PASSES) {
        op->passes_known &= ~bit(key->shard);
    } else {
        op->known = false;
        op->passes_known = 0;
        ret->dropped = op->kept;
        op->kept = NULL;
    }
    if (op->known || op->void_newest || op->passes_void)
        return;
    if (op->kept)
        ret->dropped = op->kept;
    op_remove(f, op);
    ret->op = NULL;
}

static void step_gone(struct replay_fleet *f, const struct replay_key *key, struct replay_change *ret)
{
    static const struct doc gone = { .kind = DOC_GONE };
    const bool of_op = key->kind == REPLAY_OP || key->kind == REPLAY_PASSES;

    if (of_op && !ret->op)
        return;
    mark(f, key, ret->op, false);
    if (key->kind == REPLAY_HEAD) {
        fleet_apply(f->fleet, &gone);
        fleet_init(f->fleet, f->fleet->batons, f->fleet->baton_max);
    } else if (of_op) {
        op_lost(f, key, ret);
    }
}

static enum replay_fate step_doc(struct replay_fleet *f, const struct doc *doc)
{
    switch (fleet_apply(f->fleet, doc)) {
    case DOC_STALE:
        return REPLAY_STALE;
    case DOC_FITS_NOT:
        return REPLAY_FITS_NOT;
    case DOC_APPLIED:
        break;
    }
    if (f->epoch_highest < doc->version.epoch)
        f->epoch_highest = doc->version.epoch;
    return REPLAY_KEPT;
}

struct replay_change replay_step(struct replay_fleet *f, const struct terms *t, const struct replay_record *r)
{
    struct replay_change ret = { .fate = REPLAY_VOID };
    const bool of_op = r->key.kind == REPLAY_OP || r->key.kind == REPLAY_PASSES;

    ASSERT(r->key.shard < SHARDS_MAX);
    if (r->what == REPLAY_TOMBSTONE) {
        ret.fate = REPLAY_GONE;
        ret.op = of_op ? replay_find(f, r->key.number) : NULL;
        step_gone(f, &r->key, &ret);
        return ret;
    }
    if (of_op)
        ret.op = op_add(f, r->key.number, &ret.dropped);
    if (replay_counts(t, r))
        ret.fate = of_op ? REPLAY_KEPT : step_doc(f, r->doc);
    if (ret.fate == REPLAY_KEPT && r->key.kind == REPLAY_OP)
        ret.op->known = true;
    else if (ret.fate == REPLAY_KEPT && of_op)
        ret.op->passes_known |= bit(r->key.shard);
    if (ret.fate != REPLAY_FITS_NOT)
        mark(f, &r->key, ret.op, ret.fate != REPLAY_KEPT);
    return ret;
}

bool replay_needs_heal(const struct replay_fleet *f)
{
    bool heal = f->head_void;

    for (int i = 0; i < SHARDS_MAX; i++)
        heal |= f->shard_void[i];
    for (int i = 0; i < f->op_count; i++)
        heal |= f->ops[i].void_newest || f->ops[i].passes_void;
    return heal;
}

/* --- what a leader reads behind its own writes -------------------------------------------------------------------- */

void replay_reign(struct replay_pen *pen, const struct replay_fleet *f)
{
    pen->heal = replay_needs_heal(f);
    pen->sharded = f->fleet->baton_count > SHARD_BATONS;
}

static bool has_shard(const struct switcher *s, int shard)
{
    return s->fleet->baton_count > SHARD_BATONS && shard * SHARD_BATONS < s->fleet->baton_count;
}

/* A tombstone of what we have and have not deleted: a deposed leader's. It carries no term. */
static bool gone_is_foreign(const struct switcher *s, const struct replay_key *key)
{
    switch (key->kind) {
    case REPLAY_HEAD:
        return true;
    case REPLAY_SHARD:
        return has_shard(s, key->shard);
    case REPLAY_OP:
    case REPLAY_PASSES:
        break;
    }
    return s->op.number && key->number == s->op.number;
}

void replay_behind(struct replay_pen *pen, const struct switcher *s, const struct replay_record *r,
                   enum replay_fate fate)
{
    if (fate == REPLAY_VOID || fate == REPLAY_STALE || (fate == REPLAY_GONE && gone_is_foreign(s, &r->key)))
        pen->heal = true;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool put_one(replay_put *put, void *opaque, enum replay_kind kind, uint32_t number, int shard,
                    enum replay_text text)
{
    const struct replay_key key = { .kind = kind, .number = number, .shard = shard };

    return put(opaque, &key, text);
}

/* An operation of the history: from its last true text; without one, gone. */
static bool heal_op(const struct replay_op *op, replay_put *put, void *opaque)
{
    bool good = true;

    for (int i = 0; i < SHARDS_MAX && good; i++)
        if (op->passes_void & bit(i))
            good = put_one(put, opaque, REPLAY_PASSES, op->number, i,
                           op->known && (op->passes_known & bit(i)) ? REPLAY_AGAIN : REPLAY_NOTHING);
    if (good && op->void_newest)
        good = put_one(put, opaque, REPLAY_OP, op->number, -1, op->known ? REPLAY_AGAIN : REPLAY_NOTHING);
    return good;
}

/* Passes under the number of the present operation that it does not have: of one that a deposed leader began. */
static bool heal_present(const struct replay_op *op, int pass_count, replay_put *put, void *opaque)
{
    bool good = true;

    for (int i = 0; i < SHARDS_MAX && good; i++)
        if ((op->passes_void & bit(i)) && i * SHARD_BATONS >= pass_count)
            good = put_one(put, opaque, REPLAY_PASSES, op->number, i, REPLAY_NOTHING);
    return good;
}

static bool heal(const struct replay_fleet *f, struct switcher *s, replay_put *put, void *opaque)
{
    bool good = true;

    s->dirty.head = true;
    s->dirty.op = s->op.number > 0;
    for (int i = 0; i * SHARD_BATONS < s->fleet->baton_count; i++)
        s->dirty.shards[i] = true;
    for (int i = 0; i * SHARD_BATONS < s->op.pass_count; i++)
        s->dirty.passes[i] = true;
    for (int i = 0; i < SHARDS_MAX && good; i++)
        if (f->shard_void[i] && !has_shard(s, i))
            good = put_one(put, opaque, REPLAY_SHARD, 0, i, REPLAY_NOTHING);
    for (int i = 0; i < f->op_count && good; i++)
        good = f->ops[i].number == s->op.number ? heal_present(&f->ops[i], s->op.pass_count, put, opaque)
                                                : heal_op(&f->ops[i], put, opaque);
    return good;
}

void replay_write(struct replay_pen *pen, const struct replay_fleet *f, struct switcher *s, replay_put *put,
                  void *opaque)
{
    struct switcher_dirty *dirty = &s->dirty;
    const bool shards = s->fleet->baton_count > SHARD_BATONS;
    bool good = !pen->heal || heal(f, s, put, opaque);

    pen->heal = false;
    if (shards && !pen->sharded) /* it has outgrown one record: the batons of old were in the head */
        for (int i = 0; i * SHARD_BATONS < s->fleet->baton_count; i++)
            dirty->shards[i] = true;
    pen->sharded = pen->sharded || shards;
    for (int i = 0; good && i * SHARD_BATONS < s->op.pass_count; i++)
        if (dirty->passes[i])
            good = put_one(put, opaque, REPLAY_PASSES, s->op.number, i, REPLAY_PRESENT);
    for (int i = 0; good && shards && i * SHARD_BATONS < s->fleet->baton_count; i++)
        if (dirty->shards[i])
            good = put_one(put, opaque, REPLAY_SHARD, 0, i, REPLAY_PRESENT);
    if (good && dirty->head)
        good = put_one(put, opaque, REPLAY_HEAD, 0, -1, REPLAY_PRESENT);
    if (good && dirty->op)
        put_one(put, opaque, REPLAY_OP, s->op.number, -1, REPLAY_PRESENT);
    memset(dirty, 0, sizeof(*dirty));
}

static bool drop_op(const struct replay_op *op, replay_put *put, void *opaque)
{
    bool good = true;

    for (int i = 0; i < SHARDS_MAX && good; i++)
        if ((op->passes_known | op->passes_void) & bit(i))
            good = put_one(put, opaque, REPLAY_PASSES, op->number, i, REPLAY_NOTHING);
    return good && put_one(put, opaque, REPLAY_OP, op->number, -1, REPLAY_NOTHING);
}

void replay_drop(const struct replay_fleet *f, uint32_t number, replay_put *put, void *opaque)
{
    const struct replay_op *newest = replay_newest(f);
    bool good = newest != NULL;

    for (int i = 0; good && f->ops[i].number <= number && f->ops[i].number < newest->number; i++)
        good = drop_op(&f->ops[i], put, opaque); /* and any older one that was left */
}

void replay_delete(const struct replay_fleet *f, const struct switcher *s, replay_put *put, void *opaque)
{
    struct replay_op present = { .number = s->op.number }; /* what was written of it need not have been read back yet */
    bool good = true;

    for (int i = 0; i < f->op_count && good; i++)
        if (f->ops[i].number == present.number)
            present = f->ops[i];
        else
            good = drop_op(&f->ops[i], put, opaque);
    for (int i = 0; i * SHARD_BATONS < s->op.pass_count; i++)
        present.passes_known |= bit(i);
    if (good && present.number)
        good = drop_op(&present, put, opaque);
    for (int i = 0; i < SHARDS_MAX && good; i++)
        if (f->shard_void[i] || has_shard(s, i))
            good = put_one(put, opaque, REPLAY_SHARD, 0, i, REPLAY_NOTHING);
    if (good)
        put_one(put, opaque, REPLAY_HEAD, 0, -1, REPLAY_NOTHING);
}

void replay_bury(const struct replay_fleet *f, replay_put *put, void *opaque)
{
    bool good = !f->head_void || put_one(put, opaque, REPLAY_HEAD, 0, -1, REPLAY_NOTHING);

    for (int i = 0; i < SHARDS_MAX && good; i++)
        if (f->shard_void[i])
            good = put_one(put, opaque, REPLAY_SHARD, 0, i, REPLAY_NOTHING);
    for (int i = 0; i < f->op_count && good; i++) /* what is left of a deleted fleet, void or not */
        good = drop_op(&f->ops[i], put, opaque);
}
