/*
 * switch - see switch.h. The rules are numbered as in docs/protocol.md.
 *
 * Every step: note the event's fact; survey what the members say of each baton; advance: one walk over the batons that orders,
 * asks, grants and settles whatever the facts allow; then the operation as a whole moves on, back or ends.
 */
#include "core/switch.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define RETRY_MS 200          /* after a reading that failed or did not settle the matter */
#define GROUPS_BUSY_MS 1000   /* how often the groups' members are read while somebody is waited for ... */
#define GROUPS_QUIET_MS 10000 /* ... and else */
#define ANSWER_MS_MAX 15000   /* a reading that has not come back by then is asked for again */

#define PROOF_MS_MAX 3000 /* for the first positions of what came back */
#define STARTS_RETRY_MS 1000
#define LOAD_WINDOW_MS 5000 /* how far a holder moves on is measured over so long at least */

#define TO(state) (1u << (state))

static const uint32_t op_next[OP_STATE_COUNT] = {
    [OP_PASSING] = TO(OP_OBSERVING) | TO(OP_COMPLETE) | TO(OP_RETURNING) | TO(OP_NEEDS_OPERATOR),
    [OP_OBSERVING] = TO(OP_PASSING) | TO(OP_COMPLETE) | TO(OP_RETURNING),
    [OP_RETURNING] = TO(OP_ROLLED_BACK) | TO(OP_NEEDS_OPERATOR),
    [OP_COMPLETE] = 0,
    [OP_ROLLED_BACK] = 0,
    [OP_NEEDS_OPERATOR] = 0,
};

/* From which state a baton may come to which. A grant to the same color is a resume; held -> held is an order taken back. */
static const uint32_t right_next[RIGHT_COUNT] = {
    [RIGHT_HELD] = TO(RIGHT_RELEASING),
    [RIGHT_RELEASING] = TO(RIGHT_HELD) | TO(RIGHT_GRANTED) | TO(RIGHT_PAUSED),
    [RIGHT_PAUSED] = TO(RIGHT_GRANTED),
    [RIGHT_GRANTED] = TO(RIGHT_HELD) | TO(RIGHT_RELEASING),
};

/* --- writing the document -------------------------------------------------------------------------------------------------------- */

/* One epoch a step: everything that a step changes goes into one batch. */
static uint64_t touch(struct switcher *s, int64_t now_unix_us)
{
    s->surveyed = false;
    if (!s->bumped) {
        s->bumped = true;
        s->fleet->version.epoch++;
        s->fleet->applied = s->fleet->version;
        s->fleet->written_unix_us = now_unix_us;
        s->dirty.head = true;
    }
    return s->fleet->version.epoch;
}

static struct baton *baton_change(struct switcher *s, int i, int64_t now_unix_us)
{
    touch(s, now_unix_us);
    s->dirty.shards[i / SHARD_BATONS] = true;
    return &s->fleet->batons[i];
}

static void baton_move(struct baton *b, enum right to)
{
    ASSERT(right_next[b->state] & TO(to));
    MET("right", b->state, to);
    b->state = to;
}

static void fact_reset(struct baton_fact *fact)
{
    fact->token = 0;
    fact->retry_ms = 0;
    fact->waits_doubt = false;
}

static void baton_order(struct switcher *s, int i, int64_t now_unix_us)
{
    struct baton *b = baton_change(s, i, now_unix_us);

    baton_move(b, RIGHT_RELEASING);
    b->order = s->fleet->version.epoch;
    fact_reset(&s->facts[i]);
}

/* An order is taken back: same grant, new word. */
static void baton_restore(struct switcher *s, int i, int64_t now_unix_us)
{
    struct baton *b = baton_change(s, i, now_unix_us);

    baton_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);
    b->order = s->fleet->version.epoch;
    fact_reset(&s->facts[i]);
}

static void baton_grant(struct switcher *s, int i, enum color to, int64_t from, int64_t now_unix_us)
{
    struct baton *b = baton_change(s, i, now_unix_us);

    ASSERT(b->state == RIGHT_PAUSED || !s->facts[i].busy[b->holder]); /* I1: nobody of the other color is at work */
    baton_move(b, RIGHT_GRANTED);
    if (b->holder != to)
        b->doubt = OFFSET_NONE; /* listed, or passed; a resume lists nothing, so there it stays */
    b->holder = to;
    b->from = from;
    b->epoch = b->order = s->fleet->version.epoch;
    b->taken = false;
    fact_reset(&s->facts[i]);
}

/* --- effects ------------------------------------------------------------------------------------------------------------------------ */

void switcher_effects_clear(struct switcher_effects *fx)
{
    fx->count = fx->baton_count = 0;
}

static struct switcher_effect *effect(struct switcher_effects *fx, enum switcher_effect_type type)
{
    struct switcher_effect *e = &fx->items[fx->count];

    ASSERT(fx->count < SWITCHER_EFFECTS_MAX);
    fx->count++;
    memset(e, 0, sizeof(*e));
    e->type = type;
    e->first = fx->baton_count;
    return e;
}

static void effect_add(struct switcher_effects *fx, struct switcher_effect *e, int baton)
{
    ASSERT(fx->baton_count < fx->baton_max);
    fx->batons[fx->baton_count++] = baton;
    e->count++;
}

static void reply(struct switcher *s, struct switcher_effects *fx, enum reply_status status, const char *text)
{
    struct switcher_effect *e = effect(fx, SWITCHER_REPLY);

    e->status = status;
    e->number = s->op.number;
    snprintf(e->request_id, sizeof(e->request_id), "%s", s->order.request_id);
    snprintf(e->text, sizeof(e->text), "%s", text);
    s->order_given = false;
}

/* --- members ------------------------------------------------------------------------------------------------------------------------ */

static struct switcher_member *member_find(struct switcher *s, const char *incarnation)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (s->members[i].used && strcmp(s->members[i].report->incarnation, incarnation) == 0)
            return &s->members[i];
    return NULL;
}

/* A member's clock minus ours lies between what a report's way here and a document's way there allow. */
static void member_skew(struct switcher_member *m, int64_t now_unix_us)
{
    const struct report *r = m->report;
    const int64_t low = r->sent_unix_us - now_unix_us, high = r->heard_unix_us - r->heard_written_unix_us;

    if (!m->skew_known || low > m->skew_low_us)
        m->skew_low_us = low;
    if (r->heard_written_unix_us != 0 && (!m->skew_known || high < m->skew_high_us)) {
        m->skew_high_us = high;
        m->skew_known = true;
    }
}

static int64_t member_time(const struct switcher_member *m, int64_t member_unix_us)
{
    if (member_unix_us == 0 || !m->skew_known || (m->skew_low_us <= 0 && m->skew_high_us >= 0))
        return member_unix_us; /* the clocks may well be the same */
    return member_unix_us - (m->skew_low_us + m->skew_high_us) / 2;
}

/* Rule 12: what the member has done and could not commit. Known to be committed by now, it is no doubt any more. */
static void member_doubts(struct switcher *s, const struct report *r, int64_t now_unix_us)
{
    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = part->doubt == OFFSET_NONE ? -1 : fleet_find(s->fleet, part->topic, part->partition);
        const struct report_part *owned = i < 0 ? NULL : s->facts[i].owned[r->color];

        if (i < 0 || s->fleet->batons[i].holder != r->color || s->fleet->batons[i].doubt >= part->doubt)
            continue;
        if (owned && owned != part && owned->order == s->fleet->batons[i].order && owned->committed >= part->doubt)
            continue;
        baton_change(s, i, now_unix_us)->doubt = part->doubt;
    }
}

/* How fast a partition's holder moves on, for the stages of a switch. */
static void member_loads(struct switcher *s, const struct report *r, int64_t now_ms)
{
    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = part->local == LOCAL_ACTIVE && part->position >= 0
                          ? fleet_find(s->fleet, part->topic, part->partition)
                          : -1;
        struct baton_fact *fact = i < 0 ? NULL : &s->facts[i];
        int64_t load;

        if (!fact ||
            (fact->load_ms && part->position >= fact->load_position && now_ms - fact->load_ms < LOAD_WINDOW_MS))
            continue;
        if (fact->load_ms && part->position >= fact->load_position) {
            load = (int64_t)((double)(part->position - fact->load_position) * 60000 / (double)(now_ms - fact->load_ms));
            fact->load = fact->load_known ? (fact->load + load) / 2 : load;
            fact->load_known = true;
        }
        fact->load_ms = now_ms ? now_ms : 1;
        fact->load_position = part->position;
    }
}

static void on_report(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    struct report *new = ev->report;
    struct switcher_member *m = member_find(s, new->incarnation);

    if (m && new->sequence <= m->report->sequence)
        return; /* rule 13: ev->report goes back unused */
    for (int i = 0; !m && i < MEMBERS_MAX; i++)
        if (!s->members[i].used)
            m = &s->members[i];
    if (!m) {
        s->members_overflow = true;
        return;
    }
    if (new->goodbye) {
        struct switcher_effect *e =
            effect(fx, SWITCHER_FORGET); /* its key gets a tombstone, which comes back as REPORT_GONE */

        snprintf(e->incarnation, sizeof(e->incarnation), "%s", new->incarnation);
    }
    if (!m->used)
        memset(m, 0, sizeof(*m));
    ev->report = m->used ? m->report : NULL;
    m->used = true;
    m->report = new;
    m->heard_ms = ev->now_ms;
    m->gone = m->forgotten = false;
    m->missing_since_ms = 0;
    m->ends_token = 0;
    member_skew(m, ev->now_unix_us);
    member_doubts(s, new, ev->now_unix_us);
    member_loads(s, new, ev->now_ms);
}

static bool member_counts(const struct switcher_member *m, enum color c)
{
    return m->used && !m->forgotten && !m->report->goodbye && m->report->color == c;
}

static bool acknowledged(const struct switcher *s, const struct report *r, uint64_t order)
{
    return r->applied.term == s->fleet->version.term && r->applied.epoch >= order;
}

/* Every member of the color has applied the order (rules 4, 5, 7). */
static bool all_acknowledged(const struct switcher *s, enum color c, uint64_t order)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (member_counts(&s->members[i], c) && !acknowledged(s, s->members[i].report, order))
            return false;
    return !s->members_overflow;
}

static bool part_busy(const struct report_part *part, const struct baton *b)
{
    return part->local == LOCAL_ACTIVE || part->local == LOCAL_DRAINING || part->in_flight > 0 ||
           part->order != b->order;
}

static void throttle_pick(struct switcher *s);

static void survey(struct switcher *s)
{
    s->surveyed = true;
    if (s->op.kind == OP_THROTTLE && !op_ended(&s->op))
        throttle_pick(s);
    for (int i = 0; i < s->fleet->baton_count; i++)
        for (int c = 0; c < COLOR_COUNT; c++) {
            s->facts[i].busy[c] = false;
            s->facts[i].owned[c] = NULL;
            s->facts[i].owner[c] = -1;
        }
    for (int m = 0; m < MEMBERS_MAX; m++) {
        const struct report *r = s->members[m].report;

        if (!s->members[m].used || s->members[m].forgotten || r->goodbye)
            continue;
        for (int k = 0; k < r->part_count; k++) {
            const struct report_part *part = &r->parts[k];
            const int i = fleet_find(s->fleet, part->topic, part->partition);
            struct baton_fact *fact = i < 0 ? NULL : &s->facts[i];

            if (!fact)
                continue;
            if (part_busy(part, &s->fleet->batons[i]))
                fact->busy[r->color] = true;
            if (part->owned && (fact->owner[r->color] < 0 || part->order >= fact->owned[r->color]->order)) {
                fact->owned[r->color] = part;
                fact->owner[r->color] = m;
            }
        }
    }
}

const struct report *switcher_report(struct switcher *s, const char *incarnation)
{
    const struct switcher_member *m = member_find(s, incarnation);

    return m && !m->forgotten && !m->report->goodbye ? m->report : NULL;
}

/*
 * A member that was thought gone and has come back may have spoken before its tombstone came to the log. This reign knows it; who
 * leads next would not, and would not wait for it (I8). So what it said is said again.
 */
static void on_report_gone(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    struct switcher_member *m = member_find(s, ev->incarnation);

    ev->report = NULL;
    if (m && !m->forgotten && !m->report->goodbye) {
        struct switcher_effect *e = effect(fx, SWITCHER_RESTORE);

        snprintf(e->incarnation, sizeof(e->incarnation), "%s", m->report->incarnation);
        return;
    }
    if (!m)
        return;
    ev->report = m->report;
    memset(m, 0, sizeof(*m));
}

static bool group_lists(const struct group_view *g, const struct report *r)
{
    for (int i = 0; i < g->member_count; i++)
        if (r->member_id[0] && strcmp(g->members[i].member_id, r->member_id) == 0)
            return true;
    return false;
}

/* Rule 9: not listed, in a group that is not rebalancing, for gone_after since this leader first saw that, and silent as long. */
static void on_groups(struct switcher *s, const struct switcher_event *ev)
{
    const int64_t gone_after_ms = spec_gone_after_ms(&s->fleet->spec);

    s->groups_out = false;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        struct switcher_member *m = &s->members[i];
        const struct group_view *g = m->used ? &ev->groups[m->report->color] : NULL;

        if (!m->used || m->gone || m->report->goodbye || (!g->known && !g->unsupported))
            continue;
        if (g->known && group_lists(g, m->report)) {
            m->missing_since_ms = 0;
            continue;
        }
        if (m->missing_since_ms == 0)
            m->missing_since_ms = ev->now_ms;
        /* an answer that took its time says how it was when it was asked for */
        if (g->rebalancing || s->groups_asked_ms - m->missing_since_ms < gone_after_ms ||
            ev->now_ms - m->heard_ms < gone_after_ms)
            continue;
        m->gone = true;
    }
}

/* Partitions on which a lost member may have work that it never committed (rule 10): what it owned or had in flight. */
static int member_works(const struct switcher *s, const struct report *r, int *batons)
{
    int n = 0;

    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = fleet_find(s->fleet, part->topic, part->partition);

        if (i >= 0 && s->fleet->batons[i].holder == r->color && (part->owned || part->in_flight > 0)) {
            if (batons)
                batons[n] = i;
            n++;
        }
    }
    return n;
}

/* --- the operation as a whole ------------------------------------------------------------------------------------------------------- */

static void op_touch(struct switcher *s)
{
    s->surveyed = false;
    s->dirty.op = true;
    s->op.epoch_last = s->fleet->version.epoch;
}

static void passes_touch(struct switcher *s)
{
    s->op.pass_count = s->fleet->baton_count;
    for (int i = 0; i * SHARD_BATONS < s->op.pass_count; i++)
        s->dirty.passes[i] = true;
}

static bool in_two_hands(const struct fleet *f)
{
    for (int i = 1; i < f->baton_count; i++)
        if (f->batons[i].holder != f->batons[0].holder)
            return true;
    return false;
}

/* One color has them all, and is at work: whatever came before, nobody is needed any more. */
static bool in_one_hand(const struct fleet *f)
{
    for (int i = 0; i < f->baton_count; i++)
        if (f->batons[i].state != RIGHT_HELD)
            return false;
    return f->baton_count > 0 && !in_two_hands(f);
}

/* What a fleet is when nothing is under way: of a throttle only the document knows. */
static enum phase phase_at_rest(const struct fleet *f)
{
    int paused = 0;

    for (int i = 0; i < f->baton_count; i++)
        paused += f->batons[i].state == RIGHT_PAUSED;
    return paused == 0 ? PHASE_STEADY : paused == f->baton_count ? PHASE_PAUSED : PHASE_THROTTLED;
}

static const enum phase phases[OP_KIND_COUNT][OP_STATE_COUNT] = {
    [OP_SWITCH] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY, PHASE_STEADY, PHASE_NEEDS_OPERATOR },
    [OP_ROLLBACK] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY, PHASE_STEADY,
                      PHASE_NEEDS_OPERATOR },
    [OP_PAUSE] = { PHASE_PAUSING, PHASE_PAUSED, PHASE_RETURNING, PHASE_PAUSED, PHASE_STEADY, PHASE_NEEDS_OPERATOR },
    [OP_RESUME] = { PHASE_RESUMING, PHASE_STEADY, PHASE_RETURNING, PHASE_STEADY, PHASE_PAUSED, PHASE_NEEDS_OPERATOR },
    [OP_THROTTLE] = { PHASE_THROTTLING, PHASE_THROTTLED, PHASE_RETURNING, PHASE_THROTTLED, PHASE_THROTTLED,
                      PHASE_NEEDS_OPERATOR },
};

/* How long each state of an operation may last. */
static int64_t op_lasts_ms(const struct switcher *s, enum op_state state)
{
    switch (state) {
    case OP_PASSING:
        return s->op.deadline_ms;
    case OP_OBSERVING:
        return s->op.observe_ms;
    case OP_RETURNING: /* longer than the way forth: a member that went silent meanwhile has to be known as gone first */
        return s->op.deadline_ms + spec_gone_after_ms(&s->fleet->spec);
    case OP_COMPLETE:
    case OP_ROLLED_BACK:
    case OP_NEEDS_OPERATOR:
        break;
    }
    return 0;
}

static void op_enter(struct switcher *s, enum op_state state, int64_t now_unix_us)
{
    const int64_t now_unix_ms = now_unix_us / 1000, lasts_ms = op_lasts_ms(s, state);
    struct op *op = &s->op;

    touch(s, now_unix_us);
    op->state = state;
    op->held = false;
    op->judged = op->judged && state != OP_OBSERVING; /* each stage has a verdict of its own */
    op->stage_began_unix_ms = now_unix_ms;
    op->deadline_unix_ms = op_ended(op) ? 0 : now_unix_ms + lasts_ms;
    s->deadline_ms = s->now_ms + lasts_ms;
    if (op_ended(op))
        op->ended_unix_ms = now_unix_ms;
    if (state == OP_COMPLETE)
        s->fleet->active = op->to;
    if (op_ended(op) && s->fleet->baton_count > 0 && !in_two_hands(s->fleet))
        s->fleet->active = s->fleet->batons[0].holder; /* whatever was meant: who holds all is active */
    s->fleet->phase = phases[op->kind][state];
    if (op_ended(op) && state != OP_NEEDS_OPERATOR)
        s->fleet->phase = phase_at_rest(s->fleet);
    if (s->fleet->phase == PHASE_STEADY && op_ended(op) && in_two_hands(s->fleet))
        s->fleet->phase = PHASE_NEEDS_OPERATOR; /* a pause or a resume mends nothing */
    s->fleet->deadline_unix_ms = op->deadline_unix_ms;
    op_touch(s);
    passes_touch(s);
}

static void op_move(struct switcher *s, enum op_state to, int64_t now_unix_us)
{
    ASSERT(op_next[s->op.state] & TO(to));
    MET("operation", s->op.state, to);
    op_enter(s, to, now_unix_us);
}

static bool passing_between_colors(const struct op *op)
{
    return op->kind == OP_SWITCH || op->kind == OP_ROLLBACK;
}

/* The way back: what is not granted stays with its holder under a new word; what is granted is passed back (rule 9). */
static void turn_back(struct switcher *s, enum op_cause cause, const char *why, int64_t now_unix_us)
{
    ASSERT(s->op.state == OP_PASSING || s->op.state == OP_OBSERVING);
    s->op.cause = cause;
    s->op.by_hand = false;
    snprintf(s->op.why, sizeof(s->op.why), "%s", why);
    if (cause == CAUSE_VERDICT && s->op.verdict.verdict == VERDICT_WORSE)
        fleet_failed_add(s->fleet, s->op.version_to, s->op.number);
    for (int i = 0; i < s->fleet->baton_count; i++)
        if (s->fleet->batons[i].state == RIGHT_RELEASING)
            baton_restore(s, i, now_unix_us);
    op_move(s, OP_RETURNING, now_unix_us);
}

static void give_up(struct switcher *s, const char *why, int64_t now_unix_us)
{
    snprintf(s->op.why + strlen(s->op.why), sizeof(s->op.why) - strlen(s->op.why), "%s%s",
             s->op.why[0] ? "; then " : "", why);
    for (int i = 0; i < s->fleet->baton_count; i++)
        if (s->fleet->batons[i].state == RIGHT_RELEASING)
            baton_restore(s, i, now_unix_us);
    op_move(s, OP_NEEDS_OPERATOR, now_unix_us);
}

/* Has this operation come to pause it? What was paused before has an older word. */
static bool paused_here(const struct switcher *s, const struct baton *b)
{
    return b->state == RIGHT_PAUSED && b->order >= s->op.epoch_first;
}

/* A throttle found it paused: it has a grant of this operation since, or was born in it, or its word is older. */
static bool throttle_found_paused(const struct switcher *s, const struct baton *b)
{
    return b->epoch >= s->op.epoch_first || (b->state == RIGHT_PAUSED && !paused_here(s, b));
}

/* Of `count` in a row the k-th, when `some` are taken evenly. */
static bool evenly(int k, int some, int count)
{
    return (int64_t)(k + 1) * some / count > (int64_t)k * some / count;
}

/*
 * Which partitions a throttle lets work: of those that worked, or all of these and some that did not. Taken evenly over the fleet, so
 * that every topic and every member has its share; from the document alone, so that the next leader takes the same.
 */
static void throttle_pick(struct switcher *s)
{
    const struct fleet *f = s->fleet;
    int worked = 0, paused = 0, of_worked, of_paused, w = 0, p = 0;

    for (int i = 0; i < f->baton_count; i++)
        worked += !throttle_found_paused(s, &f->batons[i]);
    paused = f->baton_count - worked;
    of_worked = s->op.keep < worked ? s->op.keep : worked;
    of_paused = s->op.keep - of_worked < paused ? s->op.keep - of_worked : paused;
    for (int i = 0; i < f->baton_count; i++)
        s->facts[i].keep =
            throttle_found_paused(s, &f->batons[i]) ? evenly(p++, of_paused, paused) : evenly(w++, of_worked, worked);
}

/* Some partition has to stop for it; else it only lets more of them work. */
static bool throttle_narrows(const struct switcher *s)
{
    bool narrows = false;

    for (int i = 0; i < s->fleet->baton_count; i++)
        narrows = narrows || (!s->facts[i].keep && !throttle_found_paused(s, &s->fleet->batons[i]));
    return narrows;
}

/* Where a baton has to go now: its right place, or out of it. */
enum aim { AIM_REST, AIM_PASS, AIM_PAUSE, AIM_RESUME };

struct aim_of {
    enum aim aim;
    enum color to;
    bool back; /* on the way back: its passage goes into op.back */
};

static struct aim_of aim_of(const struct switcher *s, int i)
{
    const struct baton *b = &s->fleet->batons[i];
    const struct op *op = &s->op;
    struct aim_of a = { .aim = AIM_REST, .to = b->holder };

    if (op_ended(op))
        return a;
    a.back = op->state == OP_RETURNING;
    switch (op->kind) {
    case OP_SWITCH:
    case OP_ROLLBACK:
        a.to = a.back ? op->from : op->to;
        if (b->holder != a.to && (a.back ? b->epoch >= op->epoch_first : op->forth[i].stage <= op->stage))
            a.aim = AIM_PASS;
        break;
    case OP_PAUSE:
        if (a.back ? paused_here(s, b) : b->state != RIGHT_PAUSED)
            a.aim = a.back ? AIM_RESUME : AIM_PAUSE;
        break;
    case OP_THROTTLE:
        if (a.back ? paused_here(s, b) : s->facts[i].keep && b->state == RIGHT_PAUSED)
            a.aim = AIM_RESUME;
        else if (!a.back && !s->facts[i].keep && b->state != RIGHT_PAUSED)
            a.aim = AIM_PAUSE;
        break;
    case OP_RESUME:
        if (b->state == RIGHT_PAUSED)
            a.aim = AIM_RESUME;
        break;
    }
    return a;
}

/* Rule 6, as the holder's color would apply it: where it would begin, or has ended. OFFSET_NONE: the commit is somebody else's. */
static int64_t released_offset(const struct baton *b, int64_t committed, struct mark mark)
{
    if (committed == OFFSET_NONE)
        mark.kind = MARK_NOTHING;
    switch (mark.kind) {
    case MARK_NOTHING:
        return b->from;
    case MARK_FOLLOW:
        return b->taken ? OFFSET_NONE : b->from; /* a late follow-commit over a holder's (rule 7) */
    case MARK_FOREIGN:
        return b->taken ? committed : b->from;
    case MARK_EPOCH:
        if (mark.epoch > b->epoch)
            return OFFSET_NONE;
        return mark.epoch == b->epoch ? committed : b->from;
    }
    return OFFSET_NONE;
}

static struct pass *pass_of(struct switcher *s, int i, bool back)
{
    return back ? &s->op.back[i] : &s->op.forth[i];
}

static void pass_clear(struct pass *p)
{
    memset(p, 0, sizeof(*p));
    p->released = p->committed = p->from = p->first = p->log_start = OFFSET_NONE;
    p->doubt = p->repeat_to = p->replay_from = OFFSET_NONE;
}

/* Ordered, perhaps for the second time: what an order that was taken back had noted is void. */
static void pass_begin(struct pass *p, const struct baton *b)
{
    const int64_t replay_from = p->replay_from;
    const uint8_t stage = p->stage;

    pass_clear(p);
    p->replay_from = replay_from;
    p->stage = stage;
    p->ordered = true;
    p->order = b->order;
}

/* What the old holder's owner says of its release. */
static void pass_note_release(struct switcher *s, struct pass *p, int i, enum color c, int64_t now_unix_us)
{
    const struct baton_fact *fact = &s->facts[i];
    const struct switcher_member *m = fact->owner[c] < 0 ? NULL : &s->members[fact->owner[c]];

    if (p->release_heard_unix_us == 0)
        p->release_heard_unix_us = now_unix_us;
    if (!m || fact->owned[c]->drained_unix_us == 0)
        return;
    if (fact->owned[c]->local == LOCAL_RELEASED)
        p->released = fact->owned[c]->committed;
    if (p->drained_unix_us == 0) { /* the first to stop counts: whoever owns it later has not worked on it since */
        p->stopped_unix_us = member_time(m, fact->owned[c]->stopped_unix_us);
        p->drained_unix_us = member_time(m, fact->owned[c]->drained_unix_us);
    }
    snprintf(p->released_by, sizeof(p->released_by), "%s", m->report->incarnation);
}

/* The committed offset of a quiet baton has been read back: rule 4 is complete, rule 5 may follow. */
static void baton_released(struct switcher *s, int i, const struct switcher_reading *reading,
                           const struct switcher_event *ev)
{
    struct baton *b = &s->fleet->batons[i];
    const struct aim_of a = aim_of(s, i);
    const struct report_part *owned = s->facts[i].owned[b->holder];
    const bool list = s->op.on_doubt == DOUBT_LIST || s->op.on_unreachable == UNREACHABLE_FENCE;
    const int64_t o = released_offset(b, reading->offset, reading->mark);
    const bool began = b->taken || (reading->mark.kind == MARK_EPOCH && reading->mark.epoch == b->epoch);
    struct pass *p = pass_of(s, i, a.back);
    char why[256];
    int64_t from = o;

    if (o == OFFSET_NONE || (owned && owned->local == LOCAL_RELEASED && owned->committed != o)) {
        if (s->op.state == OP_RETURNING) {
            s->facts[i].retry_ms = ev->now_ms + RETRY_MS; /* until the deadline; then a person has to look */
            return;
        }
        snprintf(why, sizeof(why),
                 "%.80s/%d: released at %lld, but group %.60s has %lld committed: somebody else commits there",
                 s->fleet->spec.topics[b->topic], (int)b->partition, owned ? (long long)owned->committed : -1LL,
                 s->fleet->spec.colors[b->holder].group, (long long)reading->offset);
        turn_back(s, CAUSE_FOREIGN_COMMIT, why, ev->now_unix_us);
        return;
    }
    if (b->doubt > o && !began) /* a start is committed before the first record: who was lost had not begun */
        baton_change(s, i, ev->now_unix_us)->doubt = OFFSET_NONE;
    if (b->doubt > o && !list) {
        b->taken = true; /* the mark shows it, so it goes back to held, */
        baton_restore(s, i,
                      ev->now_unix_us); /* its color does that again first, and then it is ordered anew (rule 10) */
        return;
    }
    if (a.aim == AIM_PAUSE) {
        b = baton_change(s, i, ev->now_unix_us);
        baton_move(b, RIGHT_PAUSED);
        b->from = o;
        b->order = s->fleet->version.epoch;
        fact_reset(&s->facts[i]);
        return;
    }
    pass_note_release(s, p, i, b->holder, ev->now_unix_us);
    if (p->released != OFFSET_NONE && p->released != o) { /* said by one who had lost the partition and did not know */
        p->released = OFFSET_NONE;
        p->released_by[0] = '\0';
    }
    if (p->replay_from != OFFSET_NONE && p->replay_from < o) {
        from = p->replay_from;
        p->repeat_to = o;
    }
    p->ordered = true; /* perhaps by a former reign, and what it noted went with it */
    p->order = b->order;
    p->committed = o;
    p->from = from;
    p->doubt = b->doubt > o ? b->doubt : OFFSET_NONE;
    baton_grant(s, i, a.to, from, ev->now_unix_us);
    p->grant = b->epoch;
    if (p->doubt != OFFSET_NONE || p->repeat_to != OFFSET_NONE)
        s->dirty.passes[i / SHARD_BATONS] = true;
    ASSERT(p->from == p->committed || p->repeat_to == p->committed); /* I2, I3 */
}

/* Is this baton released as far as the members can say (rule 4), and may the other color have it (rules 5 and 7)? */
static bool baton_quiet(const struct switcher *s, int i, const struct aim_of *a)
{
    const struct baton *b = &s->fleet->batons[i];

    return s->barrier_read >= b->order && !s->facts[i].busy[b->holder] && all_acknowledged(s, b->holder, b->order) &&
           (a->to == b->holder || all_acknowledged(s, a->to, b->order));
}

static bool doubt_keeps(const struct switcher *s, const struct baton *b)
{
    return b->doubt != OFFSET_NONE && s->op.on_doubt == DOUBT_WAIT && s->op.on_unreachable != UNREACHABLE_FENCE;
}

/*
 * Rule 10: the holder itself, at work, has done again and committed what was in doubt. What the brokers show is not enough: a
 * commit that the lost member had under way may land there late, while its successor begins below it.
 */
static bool doubt_passed(const struct baton *b, const struct report_part *owned)
{
    return owned && owned->order == b->order && owned->local == LOCAL_ACTIVE && owned->committed >= b->doubt;
}

/* True: its committed offset has to be read from the brokers. */
static bool baton_advance(struct switcher *s, int i, const struct switcher_event *ev)
{
    struct baton *b = &s->fleet->batons[i];
    struct baton_fact *fact = &s->facts[i];
    const struct aim_of a = aim_of(s, i);
    bool ask = false;

    if (b->state == RIGHT_GRANTED && fact->owned[b->holder] && fact->owned[b->holder]->order == b->order &&
        fact->owned[b->holder]->local == LOCAL_ACTIVE) {
        b = baton_change(s, i, ev->now_unix_us);
        baton_move(b, RIGHT_HELD);
        b->taken = true;
    }
    switch (b->state) {
    case RIGHT_HELD:
        if (a.aim != AIM_PASS && a.aim != AIM_PAUSE)
            break;
        if (b->doubt != OFFSET_NONE && doubt_passed(b, fact->owned[b->holder]))
            baton_change(s, i, ev->now_unix_us)->doubt = OFFSET_NONE;
        fact->waits_doubt = doubt_keeps(s, b);
        if (fact->waits_doubt)
            break;
        baton_order(s, i, ev->now_unix_us);
        pass_begin(pass_of(s, i, a.back), b);
        break;
    case RIGHT_GRANTED:
        if (a.aim == AIM_PASS && a.back) { /* never taken: the way back need not wait for it */
            baton_order(s, i, ev->now_unix_us);
            pass_begin(pass_of(s, i, true), b);
        }
        break;
    case RIGHT_RELEASING:
        if (a.aim != AIM_PASS && a.aim != AIM_PAUSE) {
            baton_restore(s, i, ev->now_unix_us); /* an order of a former reign that nobody wants any more */
            break;
        }
        if (fact->owned[b->holder] && fact->owned[b->holder]->local == LOCAL_RELEASED &&
            fact->owned[b->holder]->order == b->order && pass_of(s, i, a.back)->release_heard_unix_us == 0)
            pass_note_release(s, pass_of(s, i, a.back), i, b->holder, ev->now_unix_us);
        ask = baton_quiet(s, i, &a);
        break;
    case RIGHT_PAUSED:
        if (a.aim == AIM_RESUME)
            baton_grant(s, i, b->holder, b->from, ev->now_unix_us);
        break;
    }
    if (fact->token && ev->now_ms - fact->asked_ms > ANSWER_MS_MAX)
        fact->token = 0;
    return ask && fact->token == 0 && ev->now_ms >= fact->retry_ms;
}

/* A passage is proven when its new holder has seen a first position; only then has the stage passed. */
static void pass_prove(struct switcher *s, int i, bool back, int64_t now_unix_us)
{
    const struct baton *b = &s->fleet->batons[i];
    const struct baton_fact *fact = &s->facts[i];
    const struct report_part *part = fact->owned[b->holder], *before = fact->owned[color_other(b->holder)];
    const struct switcher_member *m;
    struct pass *p = pass_of(s, i, back);

    if (p->taken || b->state != RIGHT_HELD || b->holder != (back ? s->op.from : s->op.to) ||
        b->epoch <= s->op.epoch_first)
        return; /* not passed by this operation */
    if (!part || part->order != b->order || part->local != LOCAL_ACTIVE || part->first < b->from)
        return; /* not seen to flow yet */
    m = &s->members[fact->owner[b->holder]];
    if (p->grant !=
        b->epoch) {    /* granted by a former reign: what it noted went with it; the document has the essence */
        pass_clear(p); /* nothing is listed there: what is listed is written before its grant is */
        p->ordered = true;
        p->grant = b->epoch;
        p->committed = p->from = b->from;
        if (before && before->committed == b->from) /* what it said of this release, not of an older one */
            pass_note_release(s, p, i, color_other(b->holder), 0);
    }
    p->taken = true;
    p->first = part->first;
    p->attached_unix_us = member_time(m, part->attached_unix_us);
    p->first_unix_us = member_time(m, part->first_unix_us);
    p->take_heard_unix_us = now_unix_us;
    snprintf(p->taken_by, sizeof(p->taken_by), "%s", m->report->incarnation);
}

/* Every baton of the stage is where it should be; on the way forth proven to flow, too. */
static bool stage_passed(const struct switcher *s)
{
    const struct op *op = &s->op;

    for (int i = 0; i < s->fleet->baton_count; i++) {
        const struct baton *b = &s->fleet->batons[i];
        const struct aim_of a = aim_of(s, i);

        if (a.aim != AIM_REST)
            return false;
        if (b->state == RIGHT_PAUSED && !passing_between_colors(op))
            continue;
        if (b->state != RIGHT_HELD)
            return false;
        if (passing_between_colors(op) && op->state == OP_PASSING && op->forth[i].ordered && !op->forth[i].taken)
            return false;
    }
    return true;
}

/*
 * On the way back it is enough that the partitions are home: a color that worked before needs no proof, and an application
 * that is busy with a slow record cannot give one. The receipt's figures are waited for a moment.
 */
static bool back_home(struct switcher *s, int64_t now_ms)
{
    bool proven = true;

    if (!stage_passed(s)) {
        s->home_ms = 0;
        return false;
    }
    if (s->home_ms == 0)
        s->home_ms = now_ms;
    for (int i = 0; i < s->fleet->baton_count; i++)
        proven = proven && (!s->op.back[i].ordered || s->op.back[i].taken);
    return proven || now_ms - s->home_ms >= PROOF_MS_MAX;
}

/* By the monotonic clock of this reign: the wall clock may jump. */
static bool deadline_passed(const struct switcher *s)
{
    return s->now_ms >= s->deadline_ms;
}

/* Is there a way back? What only lets more partitions work has none: they would have to be stopped, which a pause does. */
static bool op_returns(const struct switcher *s)
{
    return s->op.kind != OP_RESUME && (s->op.kind != OP_THROTTLE || throttle_narrows(s));
}

static void next_stage(struct switcher *s, int64_t now_unix_us)
{
    s->op.by_hand = false;
    if (s->op.stage + 1 < s->op.stages.count) {
        s->op.stage++;
        op_move(s, OP_PASSING, now_unix_us);
        return;
    }
    if (s->op.kind == OP_SWITCH)
        fleet_failed_drop(s->fleet, s->op.version_to);
    op_move(s, OP_COMPLETE, now_unix_us);
}

/* It stays as it is until a verdict, or a person, ends it; the way back stays open. */
static void hold(struct switcher *s, int64_t now_unix_us)
{
    if (s->op.held)
        return;
    touch(s, now_unix_us);
    s->op.held = true;
    s->op.deadline_unix_ms = s->fleet->deadline_unix_ms = 0;
    op_touch(s);
}

/* A stage is being watched: what the judge says, and what the policy makes of it. */
static void observe(struct switcher *s, int64_t now_unix_us)
{
    const struct judge_policy *policy = &s->fleet->spec.judge;
    const struct judge_verdict *v = &s->op.verdict;
    const bool judged = s->op.judged && s->op.judge != JUDGE_OFF;
    const bool full = s->op.stage + 1 == s->op.stages.count;
    const enum on_worse on_worse = full ? policy->on_worse_full : policy->on_worse;

    if (judged && v->verdict == VERDICT_WORSE) {
        if (on_worse == WORSE_ROLLBACK)
            turn_back(s, CAUSE_VERDICT, v->sentence, now_unix_us);
        else
            hold(s, now_unix_us);
    } else if (s->op.by_hand) {
        hold(s, now_unix_us);
    } else if (judged && v->verdict == VERDICT_OK && (s->op.held || policy->promote == PROMOTE_EARLY)) {
        next_stage(s, now_unix_us);
    } else if (s->op.held || !deadline_passed(s)) {
        return;
    } else if (s->op.judge != JUDGE_AUTO || (judged && v->verdict == VERDICT_OK) ||
               policy->on_undecided == UNDECIDED_PROMOTE) {
        next_stage(s, now_unix_us);
    } else if (policy->on_undecided == UNDECIDED_ROLLBACK && judged && !v->blind) {
        turn_back(s, CAUSE_VERDICT, v->sentence, now_unix_us);
    } else {
        hold(s, now_unix_us);
    }
}

/* The newest look. It is written when it says something new; what came between stands in the next record. */
static void on_verdict(struct switcher *s, const struct switcher_event *ev)
{
    const struct judge_verdict *old = &s->op.verdict, *new = ev->verdict;

    if (s->op.state != OP_OBSERVING || ev->number != s->op.number || ev->stage != s->op.stage)
        return;
    if (!s->op.judged || old->verdict != new->verdict || old->rule != new->rule || old->blind != new->blind) {
        touch(s, ev->now_unix_us);
        op_touch(s);
    }
    s->op.verdict = *new;
    s->op.judged = true;
}

static void on_kept(struct switcher *s, const struct switcher_event *ev)
{
    if (op_ended(&s->op) || ev->number != s->op.number)
        return;
    s->op.kept = *ev->kept;
    op_touch(s);
}

static void op_advance(struct switcher *s, const struct switcher_event *ev)
{
    struct op *op = &s->op;
    char text[32 + 64];
    int missing = 0;

    switch (op->state) {
    case OP_PASSING:
        if (stage_passed(s)) {
            if (passing_between_colors(op))
                op_move(s, OP_OBSERVING, ev->now_unix_us);
            else
                op_move(s, OP_COMPLETE, ev->now_unix_us);
        } else if (deadline_passed(s) && !op_returns(s)) {
            give_up(s, "the deadline passed before every partition was taken up again", ev->now_unix_us);
        } else if (deadline_passed(s)) {
            turn_back(s, CAUSE_DEADLINE, "the deadline passed before every partition had moved", ev->now_unix_us);
        }
        break;
    case OP_OBSERVING:
        if (!stage_passed(s)) /* a partition was born meanwhile */
            op_move(s, OP_PASSING, ev->now_unix_us);
        else
            observe(s, ev->now_unix_us);
        break;
    case OP_RETURNING:
        if (back_home(s, ev->now_ms)) {
            op_move(s, OP_ROLLED_BACK, ev->now_unix_us);
        } else if (deadline_passed(s)) {
            for (int i = 0; i < s->fleet->baton_count; i++)
                missing += aim_of(s, i).aim != AIM_REST ||
                           (s->fleet->batons[i].state != RIGHT_HELD && s->fleet->batons[i].state != RIGHT_PAUSED);
            snprintf(text, sizeof(text), "the way back did not end in time: %d partitions are not home", missing);
            give_up(s, text, ev->now_unix_us);
        }
        break;
    case OP_COMPLETE:
    case OP_ROLLED_BACK:
    case OP_NEEDS_OPERATOR:
        break;
    }
}

/* Counts no more. Its key gets a tombstone; when that is read back, its report is given back (REPORT_GONE). */
static void member_forget(struct switcher_member *m, struct switcher_effects *fx)
{
    struct switcher_effect *e = effect(fx, SWITCHER_FORGET);

    m->forgotten = true;
    snprintf(e->incarnation, sizeof(e->incarnation), "%s", m->report->incarnation);
}

static void member_gone(struct switcher *s, struct switcher_member *m, const struct switcher_event *ev,
                        struct switcher_effects *fx)
{
    char why[256];

    member_forget(m, fx);
    s->surveyed = false;
    if (op_ended(&s->op) || !passing_between_colors(&s->op) || s->op.on_unreachable == UNREACHABLE_FENCE)
        return;
    if (!(s->op.state == OP_PASSING && m->report->color == s->op.from) &&
        !(s->op.state == OP_OBSERVING && m->report->color == s->op.to))
        return; /* only one that held what is passed, or that is being observed, turns it back */
    snprintf(why, sizeof(why), "member %.64s (%.64s) of %s went without a goodbye", m->report->client_id,
             m->report->host, color_name(m->report->color));
    turn_back(s, CAUSE_MEMBER_GONE, why, ev->now_unix_us);
}

/* Members that went without a goodbye: what they may have done is read, written down, and only then are they forgotten. */
static void gone_advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    for (int k = 0; k < MEMBERS_MAX; k++) {
        struct switcher_member *m = &s->members[k];
        struct switcher_effect *e;
        int n;

        if (!m->used || !m->gone || m->forgotten || m->ends_token)
            continue;
        n = member_works(s, m->report, NULL);
        if (n == 0) {
            member_gone(s, m, ev, fx);
            return; /* one a step */
        }
        ASSERT(fx->baton_count + n <= fx->baton_max);
        e = effect(fx, SWITCHER_READ_ENDS);
        e->token = m->ends_token = ++s->token_last;
        member_works(s, m->report, &fx->batons[fx->baton_count]);
        fx->baton_count += n;
        e->count = n;
        return;
    }
}

static void on_ends(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    for (int k = 0; k < MEMBERS_MAX; k++) {
        struct switcher_member *m = &s->members[k];

        if (!m->used || !m->gone || m->ends_token != ev->token)
            continue;
        m->ends_token = 0;
        for (int i = 0; i < ev->reading_count; i++)
            if (ev->failed || ev->readings[i].failed)
                return; /* asked again in the next step */
        for (int i = 0; i < ev->reading_count; i++) {
            const struct switcher_reading *r = &ev->readings[i];
            const struct baton *b = &s->fleet->batons[r->baton];

            if (b->holder == m->report->color && r->offset > b->doubt)
                baton_change(s, r->baton, ev->now_unix_us)->doubt = r->offset;
        }
        member_gone(s, m, ev, fx);
        return;
    }
}

static void on_offsets(struct switcher *s, const struct switcher_event *ev)
{
    for (int k = 0; k < ev->reading_count; k++) {
        const struct switcher_reading *r = &ev->readings[k];
        const int i = r->baton;
        struct baton *b = &s->fleet->batons[i];
        struct baton_fact *fact = &s->facts[i];
        struct aim_of a;

        if (i >= s->fleet->baton_count || fact->token != ev->token)
            continue;
        fact->token = 0;
        if (ev->failed || r->failed || b->order != fact->token_order) {
            fact->retry_ms = ev->now_ms + RETRY_MS;
            continue;
        }
        a = aim_of(s, i);
        if (b->state == RIGHT_RELEASING && (a.aim == AIM_PASS || a.aim == AIM_PAUSE) && baton_quiet(s, i, &a))
            baton_released(s, i, r, ev);
    }
}

/* A new holder's first position lies beyond what it was told: has retention taken what is between? */
static bool start_wanted(const struct pass *p)
{
    return p->taken && p->log_start == OFFSET_NONE && p->first > p->from;
}

static void starts_advance(struct switcher *s, struct switcher_effects *fx)
{
    struct switcher_effect *e = NULL;

    if (!s->op.number || (s->starts_ms && s->now_ms - s->starts_ms < STARTS_RETRY_MS))
        return;
    for (int i = 0; i < s->op.pass_count; i++) {
        if (!start_wanted(&s->op.forth[i]) && !start_wanted(&s->op.back[i]))
            continue;
        if (!e) {
            e = effect(fx, SWITCHER_READ_STARTS);
            e->token = s->starts_token = ++s->token_last;
            s->starts_ms = s->now_ms;
        }
        effect_add(fx, e, i);
    }
}

static void on_starts(struct switcher *s, const struct switcher_event *ev)
{
    if (ev->token != s->starts_token || ev->failed)
        return; /* of a former operation; or asked again in a moment */
    s->starts_token = 0;
    for (int k = 0; k < ev->reading_count; k++) {
        const struct switcher_reading *r = &ev->readings[k];

        if (r->failed || r->offset < 0 || r->baton >= s->op.pass_count)
            continue;
        for (int back = 0; back < 2; back++) {
            struct pass *p = pass_of(s, r->baton, back);

            if (!start_wanted(p))
                continue;
            p->log_start = r->offset;
            s->dirty.passes[r->baton / SHARD_BATONS] = true;
        }
    }
}

static void advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    struct switcher_effect *reads[COLOR_COUNT] = { NULL };
    uint64_t newest = s->barrier_asked;

    if (!op_ended(&s->op))
        op_advance(s, ev);
    for (int i = 0; i < s->fleet->baton_count; i++) {
        struct baton *b = &s->fleet->batons[i];

        s->facts[i].waits_doubt = s->facts[i].waits_doubt && b->state == RIGHT_HELD;
        if (baton_advance(s, i, ev)) {
            s->facts[i].token_order = b->order;
            s->facts[i].asked_ms = ev->now_ms;
            s->facts[i].wanted = true;
        }
        if (b->state == RIGHT_RELEASING && b->order > newest)
            newest = b->order;
        if (!op_ended(&s->op) && passing_between_colors(&s->op))
            pass_prove(s, i, s->op.state == OP_RETURNING && s->op.back[i].ordered, ev->now_unix_us);
    }
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < s->fleet->baton_count; i++) {
            if (!s->facts[i].wanted || s->fleet->batons[i].holder != (enum color)c)
                continue;
            if (!reads[c]) {
                reads[c] = effect(fx, SWITCHER_READ_OFFSETS);
                reads[c]->color = (enum color)c;
                reads[c]->token = ++s->token_last;
            }
            s->facts[i].wanted = false;
            s->facts[i].token = reads[c]->token;
            effect_add(fx, reads[c], i);
        }
    if (newest > s->barrier_asked || (s->barrier_read < s->barrier_asked && s->barrier_token == 0)) {
        struct switcher_effect *e =
            effect(fx, SWITCHER_READ_REPORTS); /* rule 2: after the append, read what the others wrote */

        s->barrier_asked = newest;
        s->barrier_token = e->token = ++s->token_last;
    }
    if (!op_ended(&s->op))
        op_advance(s, ev);
    if (s->fleet->phase == PHASE_NEEDS_OPERATOR && op_ended(&s->op) && in_one_hand(s->fleet)) {
        touch(s, ev->now_unix_us);
        s->fleet->phase = PHASE_STEADY;
        s->fleet->active = s->fleet->batons[0].holder;
    }
}

/* --- orders ----------------------------------------------------------------------------------------------------------------------------- */

static void version_of(const struct switcher *s, enum color c, char ret[VERSION_MAX + 1])
{
    ret[0] = '\0';
    for (int i = 0; i < MEMBERS_MAX && !ret[0]; i++)
        if (member_counts(&s->members[i], c))
            snprintf(ret, VERSION_MAX + 1, "%s", s->members[i].report->version);
}

/*
 * The switch that a rollback would take back now, 0: none. Typed twice a rollback must not go forth again: the second one finds nothing.
 * A pause and a resume carry the number on.
 */
static uint32_t to_take_back(const struct op *op)
{
    if (op->number == 0)
        return 0;
    if (!passing_between_colors(op))
        return op->of_number;
    if ((op->kind == OP_ROLLBACK && op->state == OP_COMPLETE) || (op->kind == OP_SWITCH && op->state == OP_ROLLED_BACK))
        return 0;
    return op->number;
}

static int order_keep(const struct switcher *s, const struct order *o)
{
    return o->keep_percent ? (int)(((int64_t)s->fleet->baton_count * o->keep + 99) / 100) : o->keep;
}

/* What the order would become. */
static void op_plan(struct switcher *s, const struct switcher_event *ev)
{
    static const enum op_kind kinds[] = {
        [ORDER_SWITCH] = OP_SWITCH, [ORDER_ROLLBACK] = OP_ROLLBACK, [ORDER_PAUSE] = OP_PAUSE,
        [ORDER_RESUME] = OP_RESUME, [ORDER_THROTTLE] = OP_THROTTLE,
    };
    const struct order *o = &s->order;
    const struct spec *spec = &s->fleet->spec;
    struct op *op = &s->asked;

    memset(op, 0, sizeof(*op));
    op->number = s->fleet->switch_number + 1;
    op->kind = kinds[o->kind];
    op->from = op->to = s->fleet->active;
    if (op->kind == OP_SWITCH || op->kind == OP_ROLLBACK)
        op->to = o->to_given ? o->to : color_other(s->fleet->active);
    op->from = op->kind == OP_SWITCH || op->kind == OP_ROLLBACK ? color_other(op->to) : op->to;
    op->replay = o->replay;
    op->of_number = op->kind == OP_SWITCH ? 0 : to_take_back(&s->op);
    stages_whole(&op->stages);
    if (op->kind == OP_SWITCH)
        op->stages = o->stages.count ? o->stages : spec->stages;
    op->keep = op->kind == OP_THROTTLE ? order_keep(s, o) : 0;
    op->by_signal = o->by_signal;
    op->observe_ms = op->kind != OP_SWITCH ? 0 : o->observe_ms >= 0 ? o->observe_ms : spec->observe_ms;
    op->deadline_ms = o->deadline_ms >= 0 ? o->deadline_ms : spec->deadline_ms;
    op->judge = op->kind != OP_SWITCH ? JUDGE_OFF : o->judge_given ? o->judge : spec->judge.mode;
    op->on_unreachable = spec->on_unreachable;
    op->on_doubt = spec->on_doubt;
    snprintf(op->reason, sizeof(op->reason), "%s", o->reason);
    snprintf(op->by, sizeof(op->by), "%s", o->by);
    snprintf(op->request_id, sizeof(op->request_id), "%s", o->request_id);
    version_of(s, op->from, op->version_from);
    version_of(s, op->to, op->version_to);
    op->created_unix_ms = ev->now_unix_us / 1000;
}

static void op_begin(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    struct pass *forth = s->op.forth, *back = s->op.back;
    const uint32_t history = (uint32_t)s->fleet->spec.history_count;

    for (int i = 0; i < s->fleet->baton_max; i++) {
        const int64_t replay_from =
            s->asked.replay && s->op.state == OP_COMPLETE && forth[i].grant ? forth[i].from : OFFSET_NONE;

        pass_clear(&forth[i]);
        pass_clear(&back[i]);
        forth[i].replay_from = replay_from;
        if (s->asked.kind == OP_SWITCH && i < s->fleet->baton_count)
            forth[i].stage = s->items[i].stage;
    }
    s->starts_token = 0;
    s->op = s->asked;
    s->op.forth = forth;
    s->op.back = back;
    s->fleet->switch_number = s->op.number;
    snprintf(s->fleet->reason, sizeof(s->fleet->reason), "%s", s->op.reason);
    s->op.epoch_first = touch(s, ev->now_unix_us);
    op_enter(s, OP_PASSING, ev->now_unix_us);
    if (s->op.number > history) {
        struct switcher_effect *e = effect(fx, SWITCHER_DROP_OP);

        e->number = s->op.number - history;
    }
    reply(s, fx, REPLY_ACCEPTED, "");
}

/* Why a rollback has nothing to take back: what is asked for must not become a switch to a color that nobody has named. */
static void why_no_way_back(const struct switcher *s, char *ret_why, size_t room)
{
    if (passing_between_colors(&s->op) && s->op.number > 0)
        snprintf(ret_why, room, "%s %u has left %s active already: there is nothing more to take back",
                 op_kind_name(s->op.kind), (unsigned)s->op.number, color_name(s->fleet->active));
    else
        snprintf(ret_why, room,
                 "no switch of this fleet is there to take back; to pass it on, name the color: switch --to");
}

/* Partitions that are named in the stages are the fleet's. */
static bool stages_known(const struct switcher *s, const struct order *o, char *ret_why, size_t room)
{
    const struct stages *stages = o->stages.count ? &o->stages : &s->fleet->spec.stages;
    const int unknown = stages_unknown_name(stages, s->fleet);

    if (unknown >= 0)
        snprintf(ret_why, room, "%.150s/%d, named in the stages, is no partition of the fleet",
                 s->fleet->spec.topics[stages->names[unknown].topic], (int)stages->names[unknown].partition);
    return unknown < 0;
}

static bool throttle_changes(const struct switcher *s, const struct order *o, char *ret_why, size_t room)
{
    const int keep = order_keep(s, o), all = s->fleet->baton_count;
    int work = 0;

    for (int i = 0; i < all; i++)
        work += s->fleet->batons[i].state != RIGHT_PAUSED;
    if (keep >= all)
        snprintf(ret_why, room, "the fleet has %d partitions: all of them working is no throttle, a resume lifts one",
                 all);
    else if (keep == work)
        snprintf(ret_why, room, "%d of %d partitions work already", work, all);
    return keep < all && keep != work;
}

/* What is under way is held where it is, goes on at once, or is taken back. */
static bool steer(struct switcher *s, const struct order *o, int64_t now_unix_us, char *ret_why, size_t room)
{
    struct op *op = &s->op;
    const bool switches = passing_between_colors(op) && op->state != OP_RETURNING;
    const char *kind = op_ended(op) ? "" : op_kind_name(op->kind);

    if (op_ended(op)) {
        snprintf(ret_why, room, "nothing is under way%s",
                 o->kind == ORDER_ABORT ? ": a switch that has ended is taken back by a rollback" : "");
        return false;
    }
    if (op->state == OP_RETURNING) {
        snprintf(ret_why, room, "%s %u is on its way back already", kind, (unsigned)op->number);
        return false;
    }
    if (o->kind == ORDER_ABORT ? !op_returns(s) : !switches) {
        snprintf(ret_why, room, "%s %u has no stages and no way back: it ends in a moment", kind, (unsigned)op->number);
        return false;
    }
    if (o->kind == ORDER_PROMOTE && op->state == OP_PASSING && !op->by_hand) {
        snprintf(ret_why, room, "stage %d of %d is still passing: there is nothing to go on to yet", op->stage + 1,
                 op->stages.count);
        return false;
    }
    snprintf(op->steered, sizeof(op->steered), "%s", o->request_id);
    if (o->kind == ORDER_ABORT) {
        turn_back(s, CAUSE_OPERATOR, o->reason[0] ? o->reason : "the operator asked for it", now_unix_us);
    } else if (o->kind == ORDER_PROMOTE && op->state == OP_OBSERVING) {
        next_stage(s, now_unix_us);
    } else {
        op->by_hand = o->kind == ORDER_HOLD;
        touch(s, now_unix_us);
        op_touch(s);
        if (op->state == OP_OBSERVING)
            hold(s, now_unix_us);
    }
    return true;
}

static void on_order(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    const struct order *o = ev->order;
    const bool under_way = !op_ended(&s->op), steers = o->kind >= ORDER_HOLD;
    struct order waiting = s->order;
    const bool was_waiting = s->order_given;
    char text[240];

    s->order = *o; /* reply() names it */
    if (o->request_id[0] && s->op.number && !o->dry_run &&
        (strcmp(s->op.request_id, o->request_id) == 0 || strcmp(s->op.steered, o->request_id) == 0)) {
        reply(s, fx, REPLY_ACCEPTED, "");
    } else if (steers) {
        const bool done = steer(s, o, ev->now_unix_us, text, sizeof(text));

        reply(s, fx, done ? REPLY_ACCEPTED : REPLY_CONFLICT, done ? "" : text);
    } else if (was_waiting) {
        reply(s, fx, REPLY_CONFLICT, "another order is being checked at this moment");
    } else if (under_way && o->kind == ORDER_ROLLBACK && !o->dry_run && passing_between_colors(&s->op) &&
               s->op.state != OP_RETURNING) {
        turn_back(s, CAUSE_OPERATOR, o->reason[0] ? o->reason : "the operator asked for it", ev->now_unix_us);
        reply(s, fx, REPLY_ACCEPTED, "");
    } else if (under_way && !o->dry_run) {
        snprintf(text, sizeof(text), "%s %u is under way (%s)", op_kind_name(s->op.kind), (unsigned)s->op.number,
                 op_state_name(s->op.state));
        reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_ROLLBACK && !under_way && to_take_back(&s->op) == 0) {
        why_no_way_back(s, text, sizeof(text));
        reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_RESUME && s->fleet->phase != PHASE_PAUSED && s->fleet->phase != PHASE_THROTTLED &&
               s->fleet->phase != PHASE_NEEDS_OPERATOR) {
        reply(s, fx, REPLY_CONFLICT, "the fleet is not paused");
    } else if (o->kind == ORDER_THROTTLE && !throttle_changes(s, o, text, sizeof(text))) {
        reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_SWITCH && !stages_known(s, o, text, sizeof(text))) {
        reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_PAUSE && s->fleet->phase == PHASE_PAUSED) {
        reply(s, fx, REPLY_CONFLICT, "the fleet is paused already");
    } else {
        s->order_given = true;
        op_plan(s, ev);
        if (o->kind != ORDER_SWITCH && o->kind != ORDER_ROLLBACK && !o->dry_run) {
            op_begin(s, ev, fx);
        } else {
            struct switcher_effect *e = effect(fx, SWITCHER_READ_ALL);

            s->snapshot_token = e->token = ++s->token_last;
            s->snapshot_asked_ms = ev->now_ms;
        }
    }
    if (was_waiting) {
        s->order = waiting;
        s->order_given = true;
    }
}

/*
 * Picks the partitions of each stage, and tells how even the pick is. A load is how fast the holder moves on, where that was seen of
 * every partition; else what the log holds of it, which is the load over the time of retention.
 */
static void choose_stages(struct switcher *s, const struct snapshot *snapshot)
{
    const int count = s->fleet->baton_count;
    const struct stages *stages = &s->asked.stages;
    bool seen = true;
    char what[200];

    for (int i = 0; i < count; i++)
        seen = seen && s->facts[i].load_known;
    for (int i = 0; i < count; i++) {
        const struct partition_view *v = i < snapshot->partition_count ? &snapshot->partitions[i] : NULL;
        const int64_t held = v && v->log_end > v->log_start && v->log_start >= 0 ? v->log_end - v->log_start : 0;

        s->items[i] = (struct stage_item){ .load = seen ? s->facts[i].load : held, .baton = i };
    }
    stages_pick(stages, s->fleet, s->items, count);
    for (int k = 0; k + 1 < stages->count; k++) {
        int partitions, percent;

        stages_share(s->items, count, k, &partitions, &percent);
        if (percent < 0)
            snprintf(what, sizeof(what), "stage %d: %d of %d partitions", k + 1, partitions, count);
        else
            snprintf(what, sizeof(what), "stage %d: %d of %d partitions, %d %% of the load", k + 1, partitions, count,
                     percent);
        findings_add(&s->findings, FINDING_NOTE, "stage", what,
                     percent < 0 ? "nothing is known of their load: they are taken evenly over the fleet"
                     : seen      ? "the load is what the fleet works through at present"
                                 : "the load is what the log holds: the fleet was not watched for long enough yet",
                     "nothing; name partitions (--stages orders/0,orders/7,100%) to choose others");
    }
}

static void on_snapshot(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    const struct report *reports[MEMBERS_MAX];
    struct plan_input in = {
        .fleet = s->fleet, .op = &s->asked, .reports = reports, .snapshot = ev->snapshot, .force = s->order.force
    };

    if (!s->order_given || ev->token != s->snapshot_token)
        return;
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (member_counts(&s->members[i], BLUE) || member_counts(&s->members[i], GREEN))
            reports[in.report_count++] = s->members[i].report;
    memset(&s->findings, 0, sizeof(s->findings));
    plan_check(&s->findings, &in);
    if (s->asked.kind == OP_SWITCH && !ev->snapshot->error[0])
        choose_stages(s, ev->snapshot);
    if (s->members_overflow)
        findings_add(&s->findings, FINDING_REFUSAL, "too-many-members",
                     "the fleet has more members than Baton keeps track of",
                     "a member that is not known could be at work unseen", "run fewer, larger members (512 at most)");
    if (s->order.dry_run)
        reply(s, fx, REPLY_PLANNED, "");
    else if (!op_ended(&s->op))
        reply(s, fx, REPLY_CONFLICT, "another operation has begun meanwhile");
    else if (s->findings.refusals > 0)
        reply(s, fx, REPLY_REFUSED, "the preflight found a reason not to begin");
    else
        op_begin(s, ev, fx);
}

/* --- the fleet grows or changes ----------------------------------------------------------------------------------------------------------- */

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
        b = baton_change(s, i, ev->now_unix_us);
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
    touch(s, ev->now_unix_us);
    s->fleet->spec = *ev->spec;
}

static void on_tick(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    bool waited = !op_ended(&s->op);

    for (int i = 0; i < MEMBERS_MAX && !waited; i++)
        waited =
            s->members[i].used && ev->now_ms - s->members[i].heard_ms > 2 * s->members[i].report->report_interval_ms;
    if (s->groups_out && ev->now_ms - s->groups_asked_ms > ANSWER_MS_MAX)
        s->groups_out = false;
    if (!s->groups_out && ev->now_ms - s->groups_asked_ms >= (waited ? GROUPS_BUSY_MS : GROUPS_QUIET_MS)) {
        effect(fx, SWITCHER_READ_GROUPS);
        s->groups_out = true;
        s->groups_asked_ms = ev->now_ms;
    }
    if (s->order_given && ev->now_ms - s->snapshot_asked_ms > ANSWER_MS_MAX)
        reply(s, fx, REPLY_UNAVAILABLE, "the brokers did not answer the preflight's questions in time");
}

static void note(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    switch (ev->type) {
    case SWITCHER_TICK:
        on_tick(s, ev, fx);
        break;
    case SWITCHER_REPORT:
        on_report(s, ev, fx);
        break;
    case SWITCHER_REPORT_GONE:
        on_report_gone(s, ev, fx);
        break;
    case SWITCHER_REPORTS_READ:
        if (ev->token != s->barrier_token)
            break;
        s->barrier_token = 0;
        if (!ev->failed)
            s->barrier_read = s->barrier_asked;
        break;
    case SWITCHER_OFFSETS:
        on_offsets(s, ev);
        break;
    case SWITCHER_ENDS:
        on_ends(s, ev, fx);
        break;
    case SWITCHER_STARTS:
        on_starts(s, ev);
        break;
    case SWITCHER_GROUPS:
        on_groups(s, ev);
        break;
    case SWITCHER_SNAPSHOT:
        on_snapshot(s, ev, fx);
        break;
    case SWITCHER_ORDER:
        on_order(s, ev, fx);
        break;
    case SWITCHER_PARTITIONS:
        on_partitions(s, ev);
        break;
    case SWITCHER_VERDICT:
        on_verdict(s, ev);
        break;
    case SWITCHER_KEPT:
        on_kept(s, ev);
        break;
    case SWITCHER_SPEC:
        on_spec(s, ev);
        break;
    }
}

/* --- the way in ------------------------------------------------------------------------------------------------------------------------------ */

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
    touch(s, now_unix_us);
    s->bumped = false;
    if (op_ended(&s->op)) { /* the head of an operation whose own record was never written says what never began */
        const bool needed =
            (s->op.number && s->op.state == OP_NEEDS_OPERATOR && !in_one_hand(s->fleet)) || in_two_hands(s->fleet);

        s->fleet->phase = phase_at_rest(s->fleet);
        if (needed && s->fleet->phase == PHASE_STEADY)
            s->fleet->phase = PHASE_NEEDS_OPERATOR;
        s->fleet->deadline_unix_ms = 0;
    } else { /* what is left of its time; clocks that differ neither lengthen it nor make it negative */
        const int64_t left_ms = s->op.deadline_unix_ms - now_unix_us / 1000, lasts_ms = op_lasts_ms(s, s->op.state);

        ASSERT(s->op.state < OP_STATE_COUNT);
        s->fleet->phase = phases[s->op.kind][s->op.state];
        s->deadline_ms = now_ms + (left_ms < 0 ? 0 : left_ms > lasts_ms ? lasts_ms : left_ms);
        op_touch(s);
    }
    /* The first reading of the groups is due at once: nobody's absence counts from before this reign. */
    s->groups_asked_ms = now_ms - GROUPS_QUIET_MS;
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
        if (s->op.number && s->op.state == OP_COMPLETE && passing_between_colors(&s->op))
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
    advance(s, ev, fx);
    gone_advance(s, ev, fx);
    starts_advance(s, fx);
    switcher_check(s);
}

bool switcher_still_forgets(const struct switcher *s, const char *incarnation)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (s->members[i].used && strcmp(s->members[i].report->incarnation, incarnation) == 0)
            return s->members[i].forgotten || s->members[i].report->goodbye;
    return true;
}

/* --- for people -------------------------------------------------------------------------------------------------------------------------------- */

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
        if ((draining || !acknowledged(s, m->report, s->barrier_asked)) && waiting_add(ret, &n, max))
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
