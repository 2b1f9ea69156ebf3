/*
 * switch_order - what an operator, or a program, asks for.
 *
 *     order_on_order()    the same request again: its answer again. Else it steers what is under way, or is refused at once, or begins
 *     order_plan()        ... what it would become; a switch and a rollback wait for a snapshot of the brokers first
 *     order_on_snapshot() the preflight (plan.h), the partitions of each stage (stage.h); planned, refused, or
 *     order_begin()       it begins
 *
 * One order is checked at a time. Every one is answered exactly once, a late answer of the brokers included.
 */
#include "core/switch_internal.h"

#include <stdio.h>
#include <string.h>

static void order_reply(struct switcher *s, struct switcher_effects *fx, enum reply_status status, const char *text)
{
    struct switcher_effect *e = effect_add(fx, SWITCHER_REPLY);

    e->status = status;
    e->number = s->op.number;
    snprintf(e->request_id, sizeof(e->request_id), "%s", s->order.request_id);
    snprintf(e->text, sizeof(e->text), "%s", text);
    s->order_given = false;
}

/* --- what it would become ----------------------------------------------------------------------------------------- */

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
    if (!op_between_colors(op))
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
static void order_plan(struct switcher *s, const struct switcher_event *ev)
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
    if (op_between_colors(op))
        op->to = o->to_given ? o->to : color_other(s->fleet->active);
    op->from = op_between_colors(op) ? color_other(op->to) : op->to;
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

static void order_begin(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
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
    s->op.epoch_first = word_touch(s, ev->now_unix_us);
    op_enter(s, OP_PASSING, ev->now_unix_us);
    if (s->op.number > history) {
        struct switcher_effect *e = effect_add(fx, SWITCHER_DROP_OP);

        e->number = s->op.number - history;
    }
    order_reply(s, fx, REPLY_ACCEPTED, "");
}

/* --- refused, or steered ------------------------------------------------------------------------------------------ */

/* Why a rollback has nothing to take back: what is asked for must not become a switch to a color that nobody has named. */
static void why_no_way_back(const struct switcher *s, char *ret_why, size_t room)
{
    if (op_between_colors(&s->op) && s->op.number > 0)
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
static bool order_steer(struct switcher *s, const struct order *o, int64_t now_unix_us, char *ret_why, size_t room)
{
    struct op *op = &s->op;
    const bool switches = op_between_colors(op) && op->state != OP_RETURNING;
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
        op_turn_back(s, CAUSE_OPERATOR, o->reason[0] ? o->reason : "the operator asked for it", now_unix_us);
    } else if (o->kind == ORDER_PROMOTE && op->state == OP_OBSERVING) {
        op_next_stage(s, now_unix_us);
    } else {
        op->by_hand = o->kind == ORDER_HOLD;
        word_touch(s, now_unix_us);
        op_touch(s);
        if (op->state == OP_OBSERVING)
            op_hold(s, now_unix_us);
    }
    return true;
}

/* --- taken -------------------------------------------------------------------------------------------------------- */

void order_on_order(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    const struct order *o = ev->order;
    const bool under_way = !op_ended(&s->op), steers = o->kind >= ORDER_HOLD;
    struct order waiting = s->order;
    const bool was_waiting = s->order_given;
    char text[240];

    s->order = *o; /* order_reply() names it */
    if (o->request_id[0] && s->op.number && !o->dry_run &&
        (strcmp(s->op.request_id, o->request_id) == 0 || strcmp(s->op.steered, o->request_id) == 0)) {
        order_reply(s, fx, REPLY_ACCEPTED, "");
    } else if (steers) {
        const bool done = order_steer(s, o, ev->now_unix_us, text, sizeof(text));

        order_reply(s, fx, done ? REPLY_ACCEPTED : REPLY_CONFLICT, done ? "" : text);
    } else if (was_waiting) {
        order_reply(s, fx, REPLY_CONFLICT, "another order is being checked at this moment");
    } else if (under_way && o->kind == ORDER_ROLLBACK && !o->dry_run && op_between_colors(&s->op) &&
               s->op.state != OP_RETURNING) {
        op_turn_back(s, CAUSE_OPERATOR, o->reason[0] ? o->reason : "the operator asked for it", ev->now_unix_us);
        order_reply(s, fx, REPLY_ACCEPTED, "");
    } else if (under_way && !o->dry_run) {
        snprintf(text, sizeof(text), "%s %u is under way (%s)", op_kind_name(s->op.kind), (unsigned)s->op.number,
                 op_state_name(s->op.state));
        order_reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_ROLLBACK && !under_way && to_take_back(&s->op) == 0) {
        why_no_way_back(s, text, sizeof(text));
        order_reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_RESUME && s->fleet->phase != PHASE_PAUSED && s->fleet->phase != PHASE_THROTTLED &&
               s->fleet->phase != PHASE_NEEDS_OPERATOR) {
        order_reply(s, fx, REPLY_CONFLICT, "the fleet is not paused");
    } else if (o->kind == ORDER_THROTTLE && s->fleet->spec.strategy == STRATEGY_FOREIGN) {
        order_reply(
            s, fx, REPLY_CONFLICT,
            "a foreign fleet is stopped and started whole: it cannot be throttled; pause and resume it instead");
    } else if (o->kind == ORDER_THROTTLE && !throttle_changes(s, o, text, sizeof(text))) {
        order_reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_SWITCH && !stages_known(s, o, text, sizeof(text))) {
        order_reply(s, fx, REPLY_CONFLICT, text);
    } else if (o->kind == ORDER_PAUSE && s->fleet->phase == PHASE_PAUSED) {
        order_reply(s, fx, REPLY_CONFLICT, "the fleet is paused already");
    } else {
        s->order_given = true;
        order_plan(s, ev);
        if (o->kind != ORDER_SWITCH && o->kind != ORDER_ROLLBACK && !o->dry_run) {
            order_begin(s, ev, fx);
        } else {
            struct switcher_effect *e = effect_add(fx, SWITCHER_READ_ALL);

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

void order_on_snapshot(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
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
        order_reply(s, fx, REPLY_PLANNED, "");
    else if (!op_ended(&s->op))
        order_reply(s, fx, REPLY_CONFLICT, "another operation has begun meanwhile");
    else if (s->findings.refusals > 0)
        order_reply(s, fx, REPLY_REFUSED, "the preflight found a reason not to begin");
    else
        order_begin(s, ev, fx);
}

void order_on_tick(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    if (s->order_given && ev->now_ms - s->snapshot_asked_ms > ANSWER_MS_MAX)
        order_reply(s, fx, REPLY_UNAVAILABLE, "the brokers did not answer the preflight's questions in time");
}
