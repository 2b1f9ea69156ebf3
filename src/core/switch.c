/*
 * switch - see switch.h; the rules are numbered as in docs/protocol.md, and switch_internal.h says in which order to read the parts.
 *
 * Here is the way in. Every step: note the event's fact; survey what the members say of each baton; then one walk over the batons orders,
 * asks, grants and settles whatever the facts allow, and the operation as a whole moves on, back or ends. Beside it: how a fleet is born
 * and grows, how a reign begins, and what people are shown of the way.
 */
#include "core/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* --- the fleet grows or changes ----------------------------------------------------------------------------------- */

static bool born_paused(enum phase phase)
{
    return phase == PHASE_PAUSED || phase == PHASE_PAUSING || phase == PHASE_THROTTLED || phase == PHASE_THROTTLING;
}

/* Rule 8: born held by the active color, from its first offset. A paused or throttled fleet's is born paused. */
static void on_partitions(struct switcher *s, const struct switcher_event *ev)
{
    for (int32_t p = 0; p < ev->partition_count; p++) {
        const int i = s->fleet->baton_count;
        struct baton *b;

        if (fleet_find(s->fleet, ev->topic, p) >= 0 || i >= s->fleet->baton_max)
            continue;
        s->fleet->baton_count++;
        s->fleet->batons[i] = (struct baton){ .partition = -1 };
        memset(&s->facts[i], 0, sizeof(s->facts[i]));
        s->facts[i].owner[BLUE] = s->facts[i].owner[GREEN] = -1;
        pass_clear(&s->op.forth[i]);
        pass_clear(&s->op.back[i]);
        if (!op_ended(&s->op))
            s->op.forth[i].stage = (uint8_t)(s->op.stages.count - 1);
        b = word_change(s, i, ev->now_unix_us);
        *b = (struct baton){
            .topic = (uint16_t)ev->topic,
            .partition = p,
            .state = born_paused(s->fleet->phase) ? RIGHT_PAUSED : RIGHT_HELD,
            .holder = s->fleet->active,
            .from = ev->first_offsets[p],
            .epoch = s->fleet->version.epoch,
            .order = s->fleet->version.epoch,
            .taken = true,
            .doubt = OFFSET_NONE,
        };
        if (s->op.pass_count > 0)
            s->op.pass_count = s->fleet->baton_count;
    }
}

static void on_spec(struct switcher *s, const struct switcher_event *ev)
{
    word_touch(s, ev->now_unix_us);
    s->fleet->spec = *ev->spec;
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

static void note(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    switch (ev->type) {
    case SWITCHER_TICK:
        members_on_tick(s, ev, fx);
        order_on_tick(s, ev, fx);
        break;
    case SWITCHER_ORDER:
        order_on_order(s, ev, fx);
        break;
    case SWITCHER_SNAPSHOT:
        order_on_snapshot(s, ev, fx);
        break;
    case SWITCHER_REPORT:
        member_on_report(s, ev, fx);
        break;
    case SWITCHER_REPORT_GONE:
        member_on_report_gone(s, ev, fx);
        break;
    case SWITCHER_GROUPS:
        members_on_groups(s, ev);
        break;
    case SWITCHER_ENDS:
        member_on_ends(s, ev, fx);
        break;
    case SWITCHER_REPORTS_READ:
        pass_on_reports_read(s, ev);
        break;
    case SWITCHER_OFFSETS:
        pass_on_offsets(s, ev);
        break;
    case SWITCHER_STARTS:
        pass_on_starts(s, ev);
        break;
    case SWITCHER_VERDICT:
        op_on_verdict(s, ev);
        break;
    case SWITCHER_KEPT:
        op_on_kept(s, ev);
        break;
    case SWITCHER_PARTITIONS:
        on_partitions(s, ev);
        break;
    case SWITCHER_SPEC:
        on_spec(s, ev);
        break;
    }
}

static void survey(struct switcher *s)
{
    s->surveyed = true;
    op_throttle_pick(s);
    members_survey(s);
}

static void switcher_check(const struct switcher *s)
{
    const struct fleet *f = s->fleet;

    fleet_check(f);
    ASSERT(s->barrier_read <= s->barrier_asked);
    if (!f->exists || !op_ended(&s->op))
        return;
    for (int i = 0; i < f->baton_count; i++) { /* I6: an end leaves nothing on the move, and one color active */
        ASSERT(f->batons[i].state != RIGHT_RELEASING);
        if (s->op.number && s->op.state == OP_COMPLETE && op_between_colors(&s->op))
            ASSERT(f->batons[i].holder == f->active);
    }
}

void switcher_step(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    if (!s->fleet->exists)
        return;
    s->now_ms = ev->now_ms;
    s->bumped = false;
    if (!s->surveyed)
        survey(s);
    note(s, ev, fx);
    survey(s);
    op_advance(s, ev); /* before the walk: a deadline, a verdict; then what the walk has settled */
    passes_advance(s, ev, fx);
    op_advance(s, ev);
    op_settle(s, ev->now_unix_us);
    members_advance(s, ev, fx);
    passes_read_starts(s, fx);
    switcher_check(s);
}

void switcher_init(struct switcher *s, const struct switcher_memory *memory)
{
    memset(s, 0, sizeof(*s));
    s->fleet = memory->fleet;
    s->facts = memory->facts;
    s->items = memory->items;
    s->op.forth = memory->forth;
    s->op.back = memory->back;
    memset(s->facts, 0, (size_t)s->fleet->baton_max * sizeof(*s->facts));
    for (int i = 0; i < s->fleet->baton_max; i++) {
        pass_clear(&s->op.forth[i]);
        pass_clear(&s->op.back[i]);
    }
}

void switcher_birth(struct switcher *s, const struct spec *spec, struct version version, const struct baton *batons,
                    int baton_count, int64_t now_unix_us)
{
    struct fleet *f = s->fleet;

    ASSERT(baton_count <= f->baton_max);
    f->spec = *spec;
    f->version = f->applied = version;
    f->phase = PHASE_STEADY;
    f->active = spec->first_active;
    f->switch_number = 0;
    f->failed_count = 0;
    f->deadline_unix_ms = 0;
    f->reason[0] = '\0';
    f->written_unix_us = now_unix_us;
    f->baton_count = baton_count;
    f->exists = true;
    memset(&s->op, 0, offsetof(struct op, forth));
    s->op.pass_count = 0;
    for (int i = 0; i < baton_count; i++) {
        f->batons[i] = batons[i];
        f->batons[i].state = RIGHT_HELD;
        f->batons[i].holder = f->active;
        f->batons[i].epoch = f->batons[i].order = version.epoch;
        f->batons[i].taken = true;
        f->batons[i].doubt = OFFSET_NONE;
        s->dirty.shards[i / SHARD_BATONS] = true;
    }
    s->dirty.head = true;
    s->barrier_asked = s->barrier_read = 0;
    fleet_check(f);
}

void switcher_reign(struct switcher *s, int64_t term, int64_t now_ms, int64_t now_unix_us)
{
    ASSERT(s->fleet->exists && term > s->fleet->version.term);
    s->now_ms = now_ms;
    s->fleet->version.term = term;
    word_touch(s, now_unix_us);
    s->bumped = false;
    op_reign(s, now_unix_us);
    members_reign(s);
}

/* --- for people --------------------------------------------------------------------------------------------------- */

void switcher_progress(const struct switcher *s, struct progress *ret)
{
    const struct op *op = &s->op;
    int work = 0;

    memset(ret, 0, sizeof(*ret));
    if (op->number == 0)
        return;
    for (int i = 0; i < s->fleet->baton_count; i++) {
        const struct baton *b = &s->fleet->batons[i];
        const struct pass *p = op->back[i].ordered ? &op->back[i] : &op->forth[i];

        ret->total += op->forth[i].stage <= op->stage;
        ret->ordered += b->state == RIGHT_RELEASING;
        ret->granted += b->state == RIGHT_GRANTED;
        work += b->state != RIGHT_PAUSED;
        if (op->kind == OP_PAUSE)
            ret->taken += b->state == RIGHT_PAUSED;
        else if (op->kind != OP_THROTTLE)
            ret->taken += p == &op->forth[i] && p->taken && b->holder == op->to;
        ret->returned += op->back[i].ordered && op->back[i].taken;
    }
    if (op->kind == OP_THROTTLE) /* how many are as they shall be */
        ret->taken = ret->total - (work > op->keep ? work - op->keep : op->keep - work);
}

static bool waiting_add(struct waiting *ret, int *n, int max)
{
    if (*n >= max)
        return false;
    memset(&ret[*n], 0, sizeof(ret[*n]));
    (*n)++;
    return true;
}

static void waiting_member(const struct switcher *s, const struct switcher_member *m, struct waiting *w, int64_t now_ms)
{
    const struct report *r = m->report;
    int in_flight = 0, parts = 0, first = -1;

    snprintf(w->who, sizeof(w->who), "%s (%s, %s)", r->client_id[0] ? r->client_id : r->incarnation,
             color_name(r->color), r->host);
    for (int k = 0; k < r->part_count; k++)
        if (r->parts[k].in_flight > 0 && r->parts[k].local == LOCAL_DRAINING) {
            in_flight += r->parts[k].in_flight;
            first = parts++ == 0 ? k : first;
        }
    if (now_ms - m->heard_ms > 2 * r->report_interval_ms)
        snprintf(w->what, sizeof(w->what), "silent for %lld s", (long long)(now_ms - m->heard_ms) / 1000);
    else if (first >= 0)
        snprintf(w->what, sizeof(w->what), "has %d records in flight on %d partitions, first %.60s/%d", in_flight,
                 parts, s->fleet->spec.topics[r->parts[first].topic], (int)r->parts[first].partition);
    else
        snprintf(w->what, sizeof(w->what), "has applied epoch %llu of %llu", (unsigned long long)r->applied.epoch,
                 (unsigned long long)s->barrier_asked);
}

int switcher_waiting(const struct switcher *s, struct waiting *ret, int max, int64_t now_ms)
{
    int n = 0, doubts = 0, untaken = 0, unproven = 0;

    if (op_ended(&s->op))
        return 0;
    for (int i = 0; i < MEMBERS_MAX && n < max; i++) {
        const struct switcher_member *m = &s->members[i];
        bool draining = false;

        if (!member_counts(m, BLUE) && !member_counts(m, GREEN))
            continue;
        for (int k = 0; k < m->report->part_count; k++)
            draining = draining || m->report->parts[k].local == LOCAL_DRAINING;
        if ((draining || !member_acknowledged(s, m->report, s->barrier_asked)) && waiting_add(ret, &n, max))
            waiting_member(s, m, &ret[n - 1], now_ms);
    }
    for (int i = 0; i < s->fleet->baton_count; i++) {
        doubts += s->facts[i].waits_doubt;
        untaken += s->fleet->batons[i].state == RIGHT_GRANTED;
        unproven += s->op.forth[i].grant != 0 && !s->op.forth[i].taken && s->fleet->batons[i].state == RIGHT_HELD;
    }
    if (doubts && waiting_add(ret, &n, max)) {
        snprintf(ret[n - 1].who, sizeof(ret[n - 1].who), "%s", color_name(s->op.from));
        snprintf(ret[n - 1].what, sizeof(ret[n - 1].what),
                 "does again on %d partitions what a lost member left uncommitted", doubts);
    }
    if (untaken + unproven && waiting_add(ret, &n, max)) {
        snprintf(ret[n - 1].who, sizeof(ret[n - 1].who), "%s",
                 color_name(s->op.state == OP_RETURNING ? s->op.from : s->op.to));
        snprintf(ret[n - 1].what, sizeof(ret[n - 1].what), "takes %d granted partitions, fetches the first of %d",
                 untaken, unproven);
    }
    return n;
}
