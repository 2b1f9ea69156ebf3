/*
 * switch_op - the operation as a whole: what it wants of each baton, its stages, what ends it, and the way back.
 *
 * The drawing stands in op.h. It passes the batons of a stage, observes them, goes on to the next; or turns back, and then whatever is not
 * granted stays with its holder, and what is granted is passed back (rule 9). Every state has a deadline (rule 15): that of this reign's
 * monotonic clock counts, and a new leader takes over what is left of it. A verdict of the judge is a fact like others; what follows from
 * it the fleet's policy says (op_observe()).
 *
 * aim_of() is all that a pass knows of the operation: where a baton has to go now.
 */
#include "core/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define PROOF_MS_MAX 3000 /* for the first positions of what came back */

#define TO(state) (1u << (state))

static const uint32_t op_next[OP_STATE_COUNT] = {
    [OP_PASSING] = TO(OP_OBSERVING) | TO(OP_COMPLETE) | TO(OP_RETURNING) | TO(OP_NEEDS_OPERATOR),
    [OP_OBSERVING] = TO(OP_PASSING) | TO(OP_COMPLETE) | TO(OP_RETURNING),
    [OP_RETURNING] = TO(OP_ROLLED_BACK) | TO(OP_NEEDS_OPERATOR),
    [OP_COMPLETE] = 0,
    [OP_ROLLED_BACK] = 0,
    [OP_NEEDS_OPERATOR] = 0,
};

static const enum phase phases[OP_KIND_COUNT][OP_STATE_COUNT] = {
    [OP_SWITCH] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY, PHASE_STEADY, PHASE_NEEDS_OPERATOR },
    [OP_ROLLBACK] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY, PHASE_STEADY,
                      PHASE_NEEDS_OPERATOR },
    [OP_PAUSE] = { PHASE_PAUSING, PHASE_PAUSED, PHASE_RETURNING, PHASE_PAUSED, PHASE_STEADY, PHASE_NEEDS_OPERATOR },
    [OP_RESUME] = { PHASE_RESUMING, PHASE_STEADY, PHASE_RETURNING, PHASE_STEADY, PHASE_PAUSED, PHASE_NEEDS_OPERATOR },
    [OP_THROTTLE] = { PHASE_THROTTLING, PHASE_THROTTLED, PHASE_RETURNING, PHASE_THROTTLED, PHASE_THROTTLED,
                      PHASE_NEEDS_OPERATOR },
};

/* --- where it wants each baton ------------------------------------------------------------------------------------ */

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
void op_throttle_pick(struct switcher *s)
{
    const struct fleet *f = s->fleet;
    int worked = 0, paused = 0, of_worked, of_paused, w = 0, p = 0;

    if (s->op.kind != OP_THROTTLE || op_ended(&s->op))
        return;
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

struct aim_of aim_of(const struct switcher *s, int i)
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

/* --- from state to state ------------------------------------------------------------------------------------------ */

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

void op_touch(struct switcher *s)
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

void op_enter(struct switcher *s, enum op_state state, int64_t now_unix_us)
{
    const int64_t now_unix_ms = now_unix_us / 1000, lasts_ms = op_lasts_ms(s, state);
    struct op *op = &s->op;

    word_touch(s, now_unix_us);
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

/* The way back: what is not granted stays with its holder under a new word; what is granted is passed back (rule 9). */
void op_turn_back(struct switcher *s, enum op_cause cause, const char *why, int64_t now_unix_us)
{
    ASSERT(s->op.state == OP_PASSING || s->op.state == OP_OBSERVING);
    s->op.cause = cause;
    s->op.by_hand = false;
    snprintf(s->op.why, sizeof(s->op.why), "%s", why);
    if (cause == CAUSE_VERDICT && s->op.verdict.verdict == VERDICT_WORSE)
        fleet_failed_add(s->fleet, s->op.version_to, s->op.number);
    for (int i = 0; i < s->fleet->baton_count; i++)
        if (s->fleet->batons[i].state == RIGHT_RELEASING)
            word_restore(s, i, now_unix_us);
    op_move(s, OP_RETURNING, now_unix_us);
}

static void op_give_up(struct switcher *s, const char *why, int64_t now_unix_us)
{
    snprintf(s->op.why + strlen(s->op.why), sizeof(s->op.why) - strlen(s->op.why), "%s%s",
             s->op.why[0] ? "; then " : "", why);
    for (int i = 0; i < s->fleet->baton_count; i++)
        if (s->fleet->batons[i].state == RIGHT_RELEASING)
            word_restore(s, i, now_unix_us);
    op_move(s, OP_NEEDS_OPERATOR, now_unix_us);
}

/* Is there a way back? What only lets more partitions work has none: they would have to be stopped, which a pause does. */
bool op_returns(const struct switcher *s)
{
    return s->op.kind != OP_RESUME && (s->op.kind != OP_THROTTLE || throttle_narrows(s));
}

void op_next_stage(struct switcher *s, int64_t now_unix_us)
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
void op_hold(struct switcher *s, int64_t now_unix_us)
{
    if (s->op.held)
        return;
    word_touch(s, now_unix_us);
    s->op.held = true;
    s->op.deadline_unix_ms = s->fleet->deadline_unix_ms = 0;
    op_touch(s);
}

/* --- what moves it ------------------------------------------------------------------------------------------------ */

/* The newest look. It is written when it says something new; what came between stands in the next record. */
void op_on_verdict(struct switcher *s, const struct switcher_event *ev)
{
    const struct judge_verdict *old = &s->op.verdict, *new = ev->verdict;

    if (s->op.state != OP_OBSERVING || ev->number != s->op.number || ev->stage != s->op.stage)
        return;
    if (!s->op.judged || old->verdict != new->verdict || old->rule != new->rule || old->blind != new->blind) {
        word_touch(s, ev->now_unix_us);
        op_touch(s);
    }
    s->op.verdict = *new;
    s->op.judged = true;
}

void op_on_kept(struct switcher *s, const struct switcher_event *ev)
{
    if (op_ended(&s->op) || ev->number != s->op.number)
        return;
    s->op.kept = *ev->kept;
    op_touch(s);
}

/* By the monotonic clock of this reign: the wall clock may jump. */
static bool deadline_passed(const struct switcher *s)
{
    return s->now_ms >= s->deadline_ms;
}

/* A stage is being watched: what the judge says, and what the policy makes of it. */
static void op_observe(struct switcher *s, int64_t now_unix_us)
{
    const struct judge_policy *policy = &s->fleet->spec.judge;
    const struct judge_verdict *v = &s->op.verdict;
    const bool judged = s->op.judged && s->op.judge != JUDGE_OFF;
    const bool full = s->op.stage + 1 == s->op.stages.count;
    const enum on_worse on_worse = full ? policy->on_worse_full : policy->on_worse;

    if (judged && v->verdict == VERDICT_WORSE) {
        if (on_worse == WORSE_ROLLBACK)
            op_turn_back(s, CAUSE_VERDICT, v->sentence, now_unix_us);
        else
            op_hold(s, now_unix_us);
    } else if (s->op.by_hand) {
        op_hold(s, now_unix_us);
    } else if (judged && v->verdict == VERDICT_OK && (s->op.held || policy->promote == PROMOTE_EARLY)) {
        op_next_stage(s, now_unix_us);
    } else if (s->op.held || !deadline_passed(s)) {
        return;
    } else if (s->op.judge != JUDGE_AUTO || (judged && v->verdict == VERDICT_OK) ||
               policy->on_undecided == UNDECIDED_PROMOTE) {
        op_next_stage(s, now_unix_us);
    } else if (policy->on_undecided == UNDECIDED_ROLLBACK && judged && !v->blind) {
        op_turn_back(s, CAUSE_VERDICT, v->sentence, now_unix_us);
    } else {
        op_hold(s, now_unix_us);
    }
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
        if (b->state == RIGHT_PAUSED && !op_between_colors(op))
            continue;
        if (b->state != RIGHT_HELD)
            return false;
        if (op_between_colors(op) && op->state == OP_PASSING && op->forth[i].ordered && !op->forth[i].taken)
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

void op_advance(struct switcher *s, const struct switcher_event *ev)
{
    struct op *op = &s->op;
    char text[32 + 64];
    int missing = 0;

    if (op_ended(op))
        return;
    switch (op->state) {
    case OP_PASSING:
        if (stage_passed(s)) {
            if (op_between_colors(op))
                op_move(s, OP_OBSERVING, ev->now_unix_us);
            else
                op_move(s, OP_COMPLETE, ev->now_unix_us);
        } else if (deadline_passed(s) && !op_returns(s)) {
            op_give_up(s, "the deadline passed before every partition was taken up again", ev->now_unix_us);
        } else if (deadline_passed(s)) {
            op_turn_back(s, CAUSE_DEADLINE, "the deadline passed before every partition had moved", ev->now_unix_us);
        }
        break;
    case OP_OBSERVING:
        if (!stage_passed(s)) /* a partition was born meanwhile */
            op_move(s, OP_PASSING, ev->now_unix_us);
        else
            op_observe(s, ev->now_unix_us);
        break;
    case OP_RETURNING:
        if (back_home(s, ev->now_ms)) {
            op_move(s, OP_ROLLED_BACK, ev->now_unix_us);
        } else if (deadline_passed(s)) {
            for (int i = 0; i < s->fleet->baton_count; i++)
                missing += aim_of(s, i).aim != AIM_REST ||
                           (s->fleet->batons[i].state != RIGHT_HELD && s->fleet->batons[i].state != RIGHT_PAUSED);
            snprintf(text, sizeof(text), "the way back did not end in time: %d partitions are not home", missing);
            op_give_up(s, text, ev->now_unix_us);
        }
        break;
    case OP_COMPLETE:
    case OP_ROLLED_BACK:
    case OP_NEEDS_OPERATOR:
        break;
    }
}

/* A person has put right what needed one: all is in one hand again. */
void op_settle(struct switcher *s, int64_t now_unix_us)
{
    if (s->fleet->phase != PHASE_NEEDS_OPERATOR || !op_ended(&s->op) || !in_one_hand(s->fleet))
        return;
    word_touch(s, now_unix_us);
    s->fleet->phase = PHASE_STEADY;
    s->fleet->active = s->fleet->batons[0].holder;
}

/* What a new leader makes of the operation that it finds in the log. */
void op_reign(struct switcher *s, int64_t now_unix_us)
{
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
        s->deadline_ms = s->now_ms + (left_ms < 0 ? 0 : left_ms > lasts_ms ? lasts_ms : left_ms);
        op_touch(s);
    }
}
