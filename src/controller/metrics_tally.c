/*
 * metrics_tally - sums over a fleet's members that only grow, though members come and go.
 *
 * A member's report holds what it did since it started. Added up here is the difference to its report before, so nothing
 * is lost when it goes, and what it did before this controller listened is not counted at all. The report before is kept
 * apart from the member itself: a member that was given up may speak again.
 *
 * A member that was never heard of is new when it has only just begun to report: then all it says is counted. Else it is
 * one whose reports this controller missed, and its first one is where counting begins.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "controller/internal.h"
#include "controller/metrics.h"
#include "core/judge.h"

#define NEW_SEQUENCE_MAX 16
#define FORGET_MS (10 * 60 * 1000)

/*
 * A member's counts, kept until its next report: thousands of members tell them, and nearly all buckets are empty. So of the
 * words of struct signals those that are not zero, behind a bit for each.
 */
#define SIGNAL_WORDS (sizeof(struct signals) / sizeof(uint64_t))
_Static_assert(sizeof(struct signals) % sizeof(uint64_t) == 0, "struct signals is made of words");

struct packed {
    uint64_t there[(SIGNAL_WORDS + 63) / 64];
    uint64_t words[];
};

struct heard {
    char incarnation[INCARNATION_MAX + 1];
    uint64_t sequence, done, gated;
    struct packed *signals; /* NULL: it has told none */
    struct part_work *works;
    int work_count;
    int64_t at_ms;
};

struct tally {
    struct tally_color of[COLOR_COUNT];
    struct work *works[COLOR_COUNT]; /* by stratum, of a fleet of ... */
    int works_batons;                /* ... so many partitions; 0: none yet */
    struct heard **heard;
    int heard_count, heard_room;
    uint64_t ended[OP_KIND_COUNT][OP_STATE_COUNT];
    uint32_t ended_number; /* the last operation that was counted */
    struct histogram standstill;
};

static struct tally *tally_of(struct entry *e)
{
    if (!e->tally)
        e->tally = calloc(1, sizeof(*e->tally));
    ASSERT(e->tally != NULL);
    return e->tally;
}

const struct tally_color *tally_color(const struct entry *e, enum color color)
{
    static const struct tally_color none;

    return e->tally ? &e->tally->of[color] : &none;
}

static void forget(struct tally *t, int i)
{
    free(t->heard[i]->signals);
    free(t->heard[i]->works);
    free(t->heard[i]);
    t->heard[i] = t->heard[--t->heard_count];
}

/* Whoever has been silent for long goes; when there are still too many, whoever was for longest. */
static void make_room(struct tally *t, int64_t now_ms)
{
    int oldest = 0;

    for (int i = t->heard_count - 1; i >= 0; i--)
        if (now_ms - t->heard[i]->at_ms > FORGET_MS)
            forget(t, i);
    for (int i = 1; i < t->heard_count; i++)
        if (t->heard[i]->at_ms < t->heard[oldest]->at_ms)
            oldest = i;
    if (t->heard_count >= MEMBERS_MAX)
        forget(t, oldest);
}

static struct heard *heard_find(const struct tally *t, const char *incarnation, int *ret_index)
{
    for (int i = 0; i < t->heard_count; i++)
        if (strcmp(t->heard[i]->incarnation, incarnation) == 0) {
            *ret_index = i;
            return t->heard[i];
        }
    return NULL;
}

static struct heard *heard_add(struct tally *t, const char *incarnation, int64_t now_ms)
{
    struct heard *h = calloc(1, sizeof(*h));

    if (t->heard_count == t->heard_room) {
        make_room(t, now_ms);
        t->heard_room = t->heard_count < t->heard_room ? t->heard_room : t->heard_room ? 2 * t->heard_room : 4;
        t->heard = realloc(t->heard, (size_t)t->heard_room * sizeof(struct heard *));
    }
    ASSERT(h != NULL && t->heard != NULL);
    text_copy(h->incarnation, sizeof(h->incarnation), incarnation);
    t->heard[t->heard_count++] = h;
    return h;
}

const struct work *tally_works(const struct entry *e, enum color color, int *ret_count)
{
    *ret_count = e->tally ? judge_stratum_count(e->tally->works_batons) : 0;
    return *ret_count > 0 ? e->tally->works[color] : NULL;
}

static void works_forget(struct tally *t)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        free(t->works[c]);
        t->works[c] = NULL;
    }
    t->works_batons = 0;
}

/* A fleet that grows has other strata: the sums begin anew. */
static void works_make(struct tally *t, int baton_count)
{
    if (t->works_batons == baton_count)
        return;
    works_forget(t);
    for (int c = 0; c < COLOR_COUNT; c++) {
        t->works[c] = calloc((size_t)judge_stratum_count(baton_count) + 1, sizeof(*t->works[c]));
        must(t->works[c]);
    }
    t->works_batons = baton_count;
}

static bool same_partition(const struct part_work *a, const struct part_work *b)
{
    return a->topic == b->topic && a->partition == b->partition;
}

static const struct work *work_before(const struct heard *h, const struct part_work *w, int guess)
{
    if (guess < h->work_count && same_partition(&h->works[guess], w))
        return &h->works[guess].work;
    for (int i = 0; i < h->work_count; i++)
        if (same_partition(&h->works[i], w))
            return &h->works[i].work;
    return NULL;
}

/* A partition that the report before did not tell of has been counted from 0 on since. */
static void works_add(struct tally *t, const struct fleet *f, const struct report *r, const struct heard *h)
{
    works_make(t, f->baton_count);
    for (int i = 0; i < r->work_count; i++) {
        const struct work *now = &r->works[i].work, *before = work_before(h, &r->works[i], i);
        const int baton = fleet_find(f, r->works[i].topic, r->works[i].partition);
        struct work since;

        if (baton >= 0)
            work_merge(&t->works[r->color][judge_stratum_of(baton, f->baton_count)],
                       before && work_since(&since, now, before) ? &since : now);
    }
}

static struct packed *signals_pack(const struct signals *s)
{
    uint64_t words[SIGNAL_WORDS];
    struct packed *p;
    size_t count = 0;

    memcpy(words, s, sizeof(words));
    for (size_t i = 0; i < SIGNAL_WORDS; i++)
        count += words[i] != 0;
    p = must(calloc(1, sizeof(*p) + count * sizeof(p->words[0])));
    count = 0;
    for (size_t i = 0; i < SIGNAL_WORDS; i++)
        if (words[i] != 0) {
            p->there[i / 64] |= UINT64_C(1) << i % 64;
            p->words[count++] = words[i];
        }
    return p;
}

static void signals_unpack(struct signals *ret, const struct packed *p)
{
    uint64_t words[SIGNAL_WORDS] = { 0 };
    size_t count = 0;

    for (size_t i = 0; p && i < SIGNAL_WORDS; i++)
        if (p->there[i / 64] >> i % 64 & 1)
            words[i] = p->words[count++];
    memcpy(ret, words, sizeof(words));
}

static void heard_note(struct heard *h, const struct report *r, int64_t now_ms)
{
    free(h->works);
    h->works = r->work_count > 0 ? malloc((size_t)r->work_count * sizeof(*h->works)) : NULL;
    h->work_count = r->work_count;
    if (r->work_count > 0) {
        must(h->works);
        memcpy(h->works, r->works, (size_t)r->work_count * sizeof(*h->works));
    }
    h->sequence = r->sequence;
    h->done = r->records_done;
    h->gated = r->records_gated;
    if (r->signals) {
        free(h->signals);
        h->signals = signals_pack(r->signals);
    }
    h->at_ms = now_ms;
}

void tally_report(struct entry *e, const struct report *r)
{
    struct tally *t = tally_of(e);
    struct tally_color *sum = &t->of[r->color];
    const int64_t now_ms = clock_ms();
    int index = t->heard_count;
    struct heard *h = heard_find(t, r->incarnation, &index);
    bool counts = h != NULL;

    if (h && r->sequence <= h->sequence) /* rule 13 */
        return;
    if (!h) {
        h = heard_add(t, r->incarnation, now_ms);
        index = t->heard_count - 1;
        counts = e->c->replayed && r->sequence <= NEW_SEQUENCE_MAX;
    }
    sum->reports += e->c->replayed;
    if (counts) {
        sum->done += r->records_done >= h->done ? r->records_done - h->done : 0;
        sum->gated += r->records_gated >= h->gated ? r->records_gated - h->gated : 0;
        if (r->signals) {
            struct signals before;

            signals_unpack(&before, h->signals);
            signals_add_since(&sum->signals, r->signals, &before);
        }
        if (r->work_count > 0)
            works_add(t, &e->mirror->fleet, r, h);
    }
    if (r->goodbye)
        forget(t, index);
    else
        heard_note(h, r, now_ms);
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    while (t->heard_count > 0)
        forget(t, t->heard_count - 1);
    works_forget(t);
    free(t->heard);
    free(t);
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void add_standstills(struct histogram *h, const struct pass *passes, int count)
{
    for (int i = 0; i < count; i++)
        if (passes[i].ordered && pass_standstill_us(&passes[i]) >= 0)
            histogram_add(h, pass_standstill_us(&passes[i]), 1);
}

/* Written again by a new leader it is still the same operation: each is counted once. */
void tally_log_changed(struct entry *e, const struct mirror_change *change)
{
    const struct mirror_op *o = change->type == MIRROR_OP ? mirror_op_find(e->mirror, change->key.number) : NULL;
    struct tally *t;
    struct errmsg ignored;
    struct op op;

    if (!o || mirror_op_decode(&op, o, NULL, NULL, 0, &ignored) < 0 || !op_ended(&op))
        return;
    t = tally_of(e);
    if (op.number <= t->ended_number)
        return;
    t->ended_number = op.number;
    if (!e->c->replayed || entry_op(&op, e, op.number, &ignored) < 0)
        return;
    t->ended[op.kind][op.state]++;
    add_standstills(&t->standstill, op.forth, op.pass_count);
    add_standstills(&t->standstill, op.back, op.pass_count);
    free(op.forth);
    free(op.back);
}

uint64_t tally_ended(const struct entry *e, enum op_kind kind, enum op_state state)
{
    return e->tally ? e->tally->ended[kind][state] : 0;
}

const struct histogram *tally_standstill(const struct entry *e)
{
    static const struct histogram none;

    return e->tally ? &e->tally->standstill : &none;
}
