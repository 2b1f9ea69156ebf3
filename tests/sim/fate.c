/*
 * fate - the operator, the producer, and the faults that strike by themselves.
 *
 * Faults come where they hurt: a part of them right after a record of the control log, when both sides are on the move, the
 * others at any time. Each world has so many and no more; when they are over, everything has to come to rest.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

/* --- the operator ---------------------------------------------------------------------------------------------------------------- */

static void operator_send(struct world *w, enum order_kind kind, const char *request_id)
{
    struct told *t = told_new(SWITCHER_ORDER, sizeof(struct order));
    struct order *o = (struct order *)(t + 1);

    *o = (struct order){ .kind = kind, .observe_ms = -1, .deadline_ms = -1, .replay = w->config.replay };
    o->force =
        chance(w, w->config.weight[FAULT_VERDICT] ? 700 : 0); /* a version that was turned back: refused without */
    if (kind == ORDER_SWITCH && w->config.stages > 1) {
        o->stages.count = w->config.stages;
        for (int i = 0; i < w->config.stages; i++)
            o->stages.items[i] = (struct stage_size){ .kind = STAGE_SHARE, .amount = 100 * (i + 1) / w->config.stages };
    }
    if (kind == ORDER_THROTTLE)
        o->keep = 1 + below(w, w->partitions);
    o->to_given =
        kind == ORDER_SWITCH && (w->mixed || chance(w, 200)); /* after "needs operator" the color has to be named */
    o->to = (enum color)below(w, COLOR_COUNT);
    snprintf(o->request_id, sizeof(o->request_id), "%s", request_id);
    t->ev.order = o;
    put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                        .kind = AT_CONTROLLER_EVENT,
                        .who = w->leader,
                        .life = w->controllers[w->leader].life,
                        .payload = t });
}

/* He asks what would become of it, and now and then writes the fleet file anew: neither may change what is under way. */
static void operator_plans(struct world *w, enum order_kind kind)
{
    const struct controller *c = leader(w);
    struct told *t = told_new(SWITCHER_ORDER, sizeof(struct order)), *edit;
    struct order *o = (struct order *)(t + 1);
    struct spec *spec;

    *o = (struct order){ .kind = kind, .dry_run = true, .observe_ms = -1, .deadline_ms = -1 };
    snprintf(o->request_id, sizeof(o->request_id), "plan%d", w->requests);
    t->ev.order = o;
    controller_queue(w, w->leader, t);
    if (!c || !c->fleet.exists)
        return;
    edit = told_new(SWITCHER_SPEC, sizeof(*spec));
    edit->ev.spec = spec = (struct spec *)(edit + 1);
    *spec = c->fleet.spec;
    spec->history_count = 2;
    controller_queue(w, w->leader, edit);
}

void operator_order(struct world *w, enum order_kind kind)
{
    static const char *const names[ORDER_KIND_COUNT] = { "switch",   "rollback", "pause",   "resume",
                                                         "throttle", "hold",     "promote", "abort" };

    char another[16];

    say(w, "operator: %s", names[kind]);
    w->order_out = true;
    w->ordered_ms = w->now_ms;
    snprintf(w->request_id, sizeof(w->request_id), "r%d", ++w->requests);
    snprintf(another, sizeof(another), "another%d", w->requests);
    if (strikes(w, FAULT_ORDER_LOST, w->config.chance[FAULT_ORDER_LOST]) && chance(w, 500))
        return; /* it never came; else it came and its answer will not */
    operator_send(w, kind, w->request_id);
    if (strikes(w, FAULT_ORDER_LOST, w->config.chance[FAULT_ORDER_LOST]))
        operator_send(w, kind, w->request_id); /* asked twice, meant once */
    if (w->requests % 4 == 1)
        operator_plans(w, kind);
    if (kind == ORDER_SWITCH && w->config.weight[FAULT_SECOND_ORDER] && strikes(w, FAULT_SECOND_ORDER, 300))
        operator_send(w, chance(w, 500) ? ORDER_SWITCH : ORDER_ROLLBACK, another);
}

void operator_told(struct world *w, const struct switcher_effect *e)
{
    if (strcmp(e->request_id, w->request_id) != 0) {
        if (e->status == REPLY_ACCEPTED) /* the other operator was quicker */
            w->watched = e->number;
        return;
    }
    w->order_out = false;
    if (e->status == REPLY_ACCEPTED) {
        w->watched = e->number;
        say(w, "operator: accepted as %u", e->number);
    } else {
        w->result->refused++;
        say(w, "operator: refused (%d) %s %s", (int)e->status, e->text,
            leader(w) && leader(w)->switcher.findings.count ? leader(w)->switcher.findings.items[0].what : "");
    }
}

/* A fleet is deleted at rest, and made again with what its group has committed. */
static void operator_remakes(struct world *w, struct controller *c)
{
    if (c->busy || c->inbox)
        return;
    for (int i = 0; i < c->fleet.baton_count; i++)
        if (c->fleet.batons[i].holder != c->fleet.batons[0].holder || c->fleet.batons[i].state != RIGHT_HELD) {
            w->remaking = false;
            return;
        }
    fault_met(w, FAULT_REMADE);
    say(w, "operator: the fleet is deleted");
    controller_deletes(w, w->leader);
    controller_loses(w, w->leader);
    put(w, (struct at){ .ms = w->now_ms + 3 * SESSION_MS, .kind = AT_CONTROLLER_LEADS, .who = w->leader });
    w->remaking = false;
}

static bool some_paused(const struct controller *c)
{
    bool some = false;

    for (int i = 0; i < c->fleet.baton_count; i++)
        some = some || c->fleet.batons[i].state == RIGHT_PAUSED;
    return some;
}

static enum order_kind operator_wish(struct world *w, const struct controller *c)
{
    if (c->fleet.phase == PHASE_THROTTLED && !w->calm && chance(w, 300))
        return chance(w, 500) ? ORDER_THROTTLE : ORDER_PAUSE;
    if (some_paused(c))
        return !w->calm && chance(w, 150) ? ORDER_THROTTLE : ORDER_RESUME;
    if (!w->calm && w->config.weight[FAULT_PAUSE] && chance(w, 250)) {
        fault_met(w, FAULT_PAUSE);
        return chance(w, 500) ? ORDER_PAUSE : ORDER_THROTTLE;
    }
    return c->switcher.op.number && chance(w, 350) ? ORDER_ROLLBACK : ORDER_SWITCH;
}

void operator_at(struct world *w)
{
    struct controller *c = leader(w);
    const struct op *op = c ? &c->switcher.op : NULL;

    put(w, (struct at){ .ms = w->now_ms + 40, .kind = AT_OPERATOR, .who = -1 });
    rules_deadline(w);
    if (w->order_out && w->now_ms - w->ordered_ms > 3000)
        w->order_out = false; /* went down with a leader, or on its way */
    if (!c || !c->fleet.exists || w->order_out)
        return;
    if (!op_ended(op)) {
        if (!w->calm && w->config.weight[FAULT_REGRET] && op->state != OP_RETURNING && strikes(w, FAULT_REGRET, 150))
            operator_order(w, chance(w, 500) ? ORDER_ROLLBACK : ORDER_ABORT);
        else if (!w->calm && op->kind == OP_SWITCH && op->state == OP_OBSERVING && chance(w, op->held ? 500 : 40))
            operator_order(w, op->held || chance(w, 500) ? ORDER_PROMOTE : ORDER_HOLD);
        else if (w->calm && op->held)
            operator_order(w, ORDER_PROMOTE);
        return;
    }
    if (w->watched && op->number >= w->watched) {
        w->result->completed += op->state == OP_COMPLETE;
        w->result->rolled_back += op->state == OP_ROLLED_BACK;
        w->result->need_operator += op->state == OP_NEEDS_OPERATOR;
        w->whole += op_between_colors(op);
        w->watched = 0;
        if (w->orders_left > 0)
            w->orders_left--;
    }
    if (w->remaking && !w->calm) {
        operator_remakes(w, c);
        return;
    }
    if (c->fleet.phase == PHASE_PAUSED || some_paused(c) || (w->calm ? w->whole == 0 : w->orders_left > 0))
        operator_order(w, operator_wish(w, c));
}

/* --- the producer -------------------------------------------------------------------------------------------------------------------- */

void produce(struct world *w)
{
    if (w->calm || w->records_left <= 0)
        return;
    for (int i = 1 + below(w, 4); i > 0 && w->records_left > 0; i--) {
        const int p = below(w, w->partitions);
        const int64_t n = 1 + below(w, 3);

        if (w->ends[p] + n > w->done_room || (w->truth[p].cuts > 0 && !w->truth[p].cut_seen))
            continue; /* an offset beyond the end shows a cut, until as much is produced again: Kafka itself cannot see it then */
        w->ends[p] += n;
        w->records_left -= n;
        members_fetch(w, p);
    }
    put(w, (struct at){ .ms = w->now_ms + 5 + below(w, 40), .kind = AT_PRODUCE, .who = -1 });
}

/* --- faults ------------------------------------------------------------------------------------------------------------------------------ */

static int pick_member(struct world *w)
{
    const int first = below(w, w->incarnations);

    for (int i = 0; i < w->incarnations; i++) {
        const int n = (first + i) % w->incarnations;
        const struct member *m = &w->members[n];

        if (m->exists && m->alive && !m->stopped && !m->closing && !m->coordinator_cut && !m->log_cut && !m->log_lags &&
            !m->old)
            return n;
    }
    return -1;
}

static void member_blind(struct world *w, int n, int64_t lasts_ms, bool lags)
{
    struct member *m = &w->members[n];

    say(w, "member %s %s the control log for %lld ms", m->incarnation, lags ? "lags behind" : "cannot read",
        (long long)lasts_ms);
    for (int i = 0; i < w->partitions_max; i++)
        if (m->parts[i].used)
            coverage_part(FAULT_CUT_LOG, (unsigned)m->parts[i].state);
    *(lags ? &m->log_lags : &m->log_cut) = true;
    put(w, (struct at){ .ms = w->now_ms + lasts_ms, .kind = AT_MEMBER_SEES, .who = n, .life = m->life });
}

static int64_t while_ms(struct world *w)
{
    return chance(w, 500) ? 20 + below(w, SESSION_MS) : 20 + below(w, 5 * SESSION_MS);
}

/* Another takes the lead; what becomes of the old leader is the caller's. */
void replace_leader(struct world *w, bool same, int64_t after_ms)
{
    if (!same) {
        w->leader = (w->leader + 1) % w->config.controllers;
        controller_loses(w, w->leader); /* a zombie that comes to its senses */
    }
    put(w, (struct at){ .ms = w->now_ms + after_ms, .kind = AT_CONTROLLER_LEADS, .who = w->leader });
}

/* The moment between a grant and its taking is short: here all takers fall asleep in it. */
static bool takers_stop(struct world *w)
{
    bool takes[COLOR_COUNT] = { false };

    for (int p = 0; p < w->partitions; p++)
        takes[w->truth[p].holder] = takes[w->truth[p].holder] || w->truth[p].state == RIGHT_GRANTED;
    if (!takes[BLUE] && !takes[GREEN])
        return false;
    for (int n = 0; n < w->incarnations; n++) {
        const struct member *m = &w->members[n];

        if (m->exists && m->alive && !m->stopped && !m->closing && takes[m->color] && chance(w, 800))
            member_stop(w, n, SESSION_MS + below(w, 4 * SESSION_MS));
    }
    return true;
}

static bool fault_member(struct world *w, enum fault f)
{
    const int n = w->incarnations ? pick_member(w) : -1;
    const int64_t lasts_ms = while_ms(w);

    if (n < 0)
        return false;
    fault_met(w, f);
    switch (f) {
    case FAULT_CRASH_MEMBER:
        member_kill(w, n);
        break;
    case FAULT_STOP_MEMBER:
        member_stop(w, n, lasts_ms);
        break;
    case FAULT_STOP_LONG:
        member_stop(w, n, 2 * SESSION_MS + WORK_MS_BOUND + below(w, 4 * SESSION_MS));
        break;
    case FAULT_CUT_COORDINATOR:
        member_cut(w, n, lasts_ms);
        break;
    case FAULT_CUT_LOG:
        member_blind(w, n, lasts_ms, false);
        break;
    case FAULT_REREAD_LOG:
        say(w, "member %s reads the control log again from its beginning", w->members[n].incarnation);
        w->members[n].log_next = 0;
        put(w, (struct at){ .ms = w->now_ms, .kind = AT_MEMBER_READ, .who = n, .life = w->members[n].life });
        break;
    case FAULT_OLD_MEMBER:
        say(w, "member %s is too old to read every record", w->members[n].incarnation);
        w->members[n].old = true;
        put(w, (struct at){ .ms = w->now_ms + lasts_ms, .kind = AT_MEMBER_SEES, .who = n, .life = w->members[n].life });
        break;
    case FAULT_LAG_LOG:
        member_blind(w, n, chance(w, 700) ? 20 + below(w, 200) : lasts_ms, true);
        break;
    case FAULT_CUT_BOTH:
        member_cut(w, n, SESSION_MS + 2 * lasts_ms);
        member_blind(w, n, SESSION_MS + 2 * lasts_ms, false);
        break;
    default:
        say(w, "member %s closes", w->members[n].incarnation);
        w->members[n].closing = true;
        member_send(w, n, answer_new(HOLDER_CLOSE, 0, 0), 1);
        if (chance(w, 300))
            member_send(w, n, answer_new(HOLDER_ABANDON, 0, 0), 20 + below(w, 300));
        put(w, (struct at){
                   .ms = w->now_ms + 10 + below(w, 1000), .kind = AT_MEMBER_STARTS, .who = (int)w->members[n].color });
        break;
    }
    return true;
}

static bool fault_leader(struct world *w, enum fault f)
{
    const int n = w->leader;
    struct controller *c = &w->controllers[n];

    if ((!leads(c) && !claim_under_way(&c->reign)) ||
        ((f == FAULT_ZOMBIE_CONTROLLER || f == FAULT_LOSE_LEASE) && w->config.controllers < 2))
        return false;
    fault_met(w, f);
    coverage_claim(f, (unsigned)c->reign.state);
    if (f == FAULT_LOSE_LEASE) {
        say(w, "controller %d has lost the lead", n);
        replace_leader(w, false, 1 + below(w, 60));
        c->loses = true;
        put(w, (struct at){ .ms = w->now_ms + below(w, chance(w, 500) ? 8 : 400),
                            .kind = AT_CONTROLLER_LOSES,
                            .who = n,
                            .life = c->process });
    } else if (f == FAULT_LAG_CONTROLLER) {
        c->log_lag_ms = 20 + below(w, 600);
        c->log_lag_until_ms = w->now_ms + 200 + below(w, 3000);
        say(w, "controller %d reads the control log %lld ms late", n, (long long)c->log_lag_ms);
    } else if (f == FAULT_LAG_REPORTS) {
        c->lag_ms = 20 + below(w, 300);
        c->lag_until_ms = w->now_ms + 200 + below(w, 3000);
        say(w, "controller %d reads the reports %lld ms late", w->leader, (long long)c->lag_ms);
    } else if (f == FAULT_CRASH_CONTROLLER) {
        say(w, "controller %d is killed", w->leader);
        controller_die(c);
        replace_leader(w, w->config.controllers < 2 || chance(w, 300), 20 + below(w, 1200));
    } else if (f == FAULT_STOP_CONTROLLER) {
        if (c->busy)
            return false; /* it finishes its turn first */
        say(w, "controller %d stops and hands over", w->leader);
        controller_die(c);
        replace_leader(w, w->config.controllers < 2, 5 + below(w, 50));
    } else {
        say(w, "controller %d is replaced and does not know", w->leader);
        if (chance(w, 500))
            c->cut_all = true;
        else
            c->cut_log = true;
        replace_leader(w, false, 5 + below(w, 600));
    }
    return true;
}

static bool fault_broker(struct world *w, enum fault f)
{
    const int p = below(w, w->partitions), c = below(w, COLOR_COUNT);
    struct group *g = &w->groups[c];

    if (f == FAULT_GROW) {
        if (w->partitions == w->partitions_max)
            return false;
        fault_met(w, f);
        say(w, "partition %d is added", w->partitions);
        w->partitions++;
        group_balance(w, BLUE);
        group_balance(w, GREEN);
    } else if (f == FAULT_COMPACTION) {
        fault_met(w, f);
        say(w, "the logs are compacted");
        log_compact(w);
    } else if (f == FAULT_CUT_END) {
        if (w->ends[p] == 0)
            return false;
        fault_met(w, f);
        judge_cut(w, p, below(w, (int)w->ends[p]));
        say(w, "the log of partition %d is cut at %lld", p, (long long)w->ends[p]);
        members_fetch(w, p);
    } else { /* somebody else's commit, backwards: his repeats are his */
        if (g->committed[p] <= 0 || w->truth[p].holder != (enum color)c)
            return false;
        fault_met(w, f);
        g->committed[p] = below(w, (int)g->committed[p]);
        g->mark[p] = (struct mark){ .kind = MARK_FOREIGN };
        w->truth[p].reset = true;
        say(w, "somebody else commits %d at %lld into %s's group", p, (long long)g->committed[p],
            color_name((enum color)c));
    }
    return true;
}

static bool fault_strikes(struct world *w, enum fault f)
{
    switch (f) {
    case FAULT_CRASH_MEMBER:
    case FAULT_STOP_MEMBER:
    case FAULT_STOP_LONG:
    case FAULT_CUT_COORDINATOR:
    case FAULT_CUT_LOG:
    case FAULT_LAG_LOG:
    case FAULT_CUT_BOTH:
    case FAULT_CLOSE_MEMBER:
    case FAULT_REREAD_LOG:
    case FAULT_OLD_MEMBER:
        return fault_member(w, f);
    case FAULT_JOIN_MEMBER:
        fault_met(w, f);
        member_start(w, (enum color)below(w, COLOR_COUNT));
        return true;
    case FAULT_CRASH_CONTROLLER:
    case FAULT_STOP_CONTROLLER:
    case FAULT_ZOMBIE_CONTROLLER:
    case FAULT_LAG_REPORTS:
    case FAULT_LOSE_LEASE:
    case FAULT_LAG_CONTROLLER:
        return fault_leader(w, f);
    case FAULT_GROW:
    case FAULT_COMPACTION:
    case FAULT_CUT_END:
    case FAULT_FOREIGN_COMMIT:
        return fault_broker(w, f);
    case FAULT_CLOCK_JUMP:
        fault_met(w, f);
        w->clocks_lie = true;
        w->controllers[w->leader].clock.wall_us += 1000 * (int64_t)(below(w, 7200000) - 3600000);
        if (w->incarnations)
            w->members[below(w, w->incarnations)].clock.wall_us += 1000 * (int64_t)(below(w, 7200000) - 3600000);
        return true;
    case FAULT_REMADE: /* a tombstone carries no term: only where no deposed leader could be told of it late */
        w->remaking = w->config.controllers == 1;
        return w->remaking;
    case FAULT_TAKERS_STOP:
        if (!takers_stop(w))
            return false;
        fault_met(w, f);
        return true;
    default:
        return false; /* the operator's own */
    }
}

static enum fault fault_draw(struct world *w)
{
    int sum = 0, pick;

    for (int f = 0; f < FAULT_STRIKES_COUNT; f++)
        sum += w->config.weight[f];
    pick = below(w, sum);
    for (int f = 0; f < FAULT_STRIKES_COUNT; f++) {
        pick -= w->config.weight[f];
        if (pick < 0)
            return (enum fault)f;
    }
    return FAULT_COUNT;
}

void fault_at(struct world *w)
{
    enum fault f;

    if (w->calm || w->faults_left <= 0)
        return;
    f = fault_draw(w);
    if (f != FAULT_COUNT && fault_strikes(w, f))
        w->faults_left--;
}

/* A record of the log was written, or a leader is about to move: one more fault, within so long. */
void fault_soon(struct world *w, int within_ms)
{
    if (!w->calm && w->faults_left > 0 && chance(w, w->config.at_append))
        put(w, (struct at){ .ms = w->now_ms + below(w, within_ms), .kind = AT_FAULT, .who = -1 });
}
