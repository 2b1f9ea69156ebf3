/*
 * controller - the shell of a switcher: reads both logs, steps, appends what changed as one batch, and only then runs the effects.
 *
 * How it comes to lead is core/claim's; replay, healing and the order of a batch are core/replay's, as in src/controller (mirror.c,
 * reign.c). One that is replaced without knowing goes on as long as it does not see the other's claim: its late records are what rule 14
 * is about.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

struct controller *leader(struct world *w)
{
    return w->leader >= 0 && leads(&w->controllers[w->leader]) ? &w->controllers[w->leader] : NULL;
}

/* --- events for the switcher ---------------------------------------------------------------------------------------------------- */

struct told *told_new(enum switcher_event_type type, size_t more)
{
    struct told *t = arena(sizeof(*t) + more);

    t->ev.type = type;
    return t;
}

static void *told_more(struct told *t)
{
    return t + 1;
}

void controller_queue(struct world *w, int n, struct told *t)
{
    struct controller *c = &w->controllers[n];

    t->next = NULL;
    *c->inbox_end = t;
    c->inbox_end = &t->next;
    if (!c->busy)
        put(w, (struct at){ .ms = w->now_ms, .kind = AT_CONTROLLER_TURN, .who = n, .life = c->life });
}

static void controller_send(struct world *w, int n, struct told *t, int64_t delay_ms)
{
    put(w, (struct at){ .ms = w->now_ms + delay_ms,
                        .kind = AT_CONTROLLER_EVENT,
                        .who = n,
                        .life = w->controllers[n].life,
                        .payload = t });
}

void controllers_notice(struct world *w)
{
    for (int n = 0; n < w->config.controllers; n++)
        if (leads(&w->controllers[n]) || claim_under_way(&w->controllers[n].reign))
            put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                                .kind = AT_CONTROLLER_READ,
                                .who = n,
                                .life = w->controllers[n].life });
}

/* --- what it appends --------------------------------------------------------------------------------------------------------------------- */

struct batch {
    int count, room;
    struct control_record *records;
};

struct hand { /* what a controller writes with */
    struct world *w;
    int n;
    struct batch *batch;
};

static const struct doc *doc_present(const struct controller *c, enum doc_kind kind, int shard)
{
    const int first = kind == DOC_SHARD ? shard * SHARD_BATONS : 0, left = c->fleet.baton_count - first;
    const int count = kind == DOC_SHARD && left > SHARD_BATONS ? SHARD_BATONS : left;
    struct doc *doc = arena_raw(sizeof(*doc));

    doc->kind = kind;
    doc->version = c->fleet.version;
    doc->shard = shard;
    doc->fleet = c->fleet;
    doc->fleet.baton_count = count;
    doc->fleet.batons =
        kind == DOC_HEAD ? NULL : arena_copy(&c->fleet.batons[first], (size_t)count * sizeof(struct baton));
    return doc;
}

static const struct op *passes_present(const struct controller *c, int shard)
{
    const size_t first = (size_t)shard * SHARD_BATONS, max = (size_t)c->fleet.baton_max;
    const size_t count = max - first < SHARD_BATONS ? max - first : SHARD_BATONS;
    struct op *op = arena_raw(sizeof(*op)); /* nothing else of it is looked at */

    op->number = c->switcher.op.number;
    op->forth = arena_copy(&c->forth[first], count * sizeof(struct pass));
    op->back = arena_copy(&c->back[first], count * sizeof(struct pass));
    op->pass_count = (int)count;
    return op;
}

static const struct op *op_present(const struct controller *c)
{
    struct op *op = arena_copy(&c->switcher.op, sizeof(*op));

    op->forth = op->back = NULL;
    return op;
}

static struct control_record tombstone(const struct controller *c, int n, const struct replay_key *key)
{
    struct control_record r = { .key = *key, .gone = true, .writer = n, .term = c->reign.term };

    if (key->kind == REPLAY_HEAD) {
        struct doc *doc = arena(sizeof(*doc));

        doc->kind = DOC_GONE;
        r.doc = doc;
    }
    return r;
}

/* One that nothing waits for. */
static bool append_tombstone(void *opaque, const struct replay_key *key, enum replay_text text)
{
    const struct hand *hand = opaque;

    ASSERT(text == REPLAY_NOTHING);
    log_append(hand->w, tombstone(&hand->w->controllers[hand->n], hand->n, key));
    return true;
}

static bool batch_record(void *opaque, const struct replay_key *key, enum replay_text text)
{
    const struct hand *hand = opaque;
    const struct controller *c = &hand->w->controllers[hand->n];
    const bool sharded = c->fleet.baton_count > SHARD_BATONS;
    struct batch *b = hand->batch;
    struct control_record r = { .key = *key, .writer = hand->n, .term = c->reign.term };

    if (text == REPLAY_NOTHING) {
        r = tombstone(c, hand->n, key);
    } else if (text == REPLAY_AGAIN) {
        const struct kept *kept = replay_find(&c->log, key->number)->kept;

        r.again = true;
        r.op = key->kind == REPLAY_OP ? kept->op : kept->passes[key->shard];
    } else if (key->kind == REPLAY_HEAD || key->kind == REPLAY_SHARD) {
        r.doc = doc_present(c, key->kind == REPLAY_SHARD ? DOC_SHARD : sharded ? DOC_HEAD : DOC_WHOLE, key->shard);
    } else {
        r.op = key->kind == REPLAY_OP ? op_present(c) : passes_present(c, key->shard);
    }
    if (b->count == b->room) {
        struct control_record *grown = arena((size_t)(b->room ? 2 * b->room : 4) * sizeof(*grown));

        if (b->count)
            memcpy(grown, b->records, (size_t)b->count * sizeof(*grown));
        b->records = grown;
        b->room = b->room ? 2 * b->room : 4;
    }
    b->records[b->count++] = r;
    return true;
}

static struct batch *batch_of(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    struct hand hand = { w, n, arena(sizeof(struct batch)) };

    if (c->pen.heal)
        say(w, "the leader writes all of it again: a dead term's record was the newest of its key");
    replay_write(&c->pen, &c->log, &c->switcher, batch_record, &hand);
    return hand.batch;
}

void controller_deletes(struct world *w, int n)
{
    replay_delete(&w->controllers[n].log, &w->controllers[n].switcher, append_tombstone, &(struct hand){ w, n, NULL });
}

/* --- effects ------------------------------------------------------------------------------------------------------------------------ */

static void fill_groups(struct world *w, struct group_view *groups)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        struct group_view *g = &groups[c];
        int members[LIVES_MAX];

        *g = (struct group_view){ .known = true, .rebalancing = group_rebalancing(w, (enum color)c) };
        g->member_count = group_members(w, (enum color)c, members);
        g->members = arena((size_t)(g->member_count + 1) * sizeof(*g->members));
        for (int i = 0; i < g->member_count; i++)
            text_copy(g->members[i].member_id, sizeof(g->members[i].member_id), w->members[members[i]].incarnation);
    }
}

static void effect_read(struct world *w, int n, const struct switcher_effect *e)
{
    struct controller *c = &w->controllers[n];
    const bool offsets = e->type == SWITCHER_READ_OFFSETS;
    struct told *t =
        told_new(offsets ? SWITCHER_OFFSETS : SWITCHER_ENDS, (size_t)e->count * sizeof(struct switcher_reading));
    struct switcher_reading *readings = told_more(t);

    t->asked_ms = w->now_ms;
    t->ev.token = e->token;
    t->ev.color = e->color;
    t->ev.failed = c->cut_all || strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]);
    t->ev.reading_count = e->count;
    t->ev.readings = readings;
    for (int i = 0; i < e->count; i++) {
        const int baton = c->fx.batons[e->first + i], p = c->fleet.batons[baton].partition;

        readings[i] = (struct switcher_reading){ .baton = baton, .offset = w->ends[p] };

        if (offsets) {
            readings[i].offset = w->groups[e->color].committed[p];
            readings[i].mark = w->groups[e->color].mark[p];
        }
    }
    controller_send(w, n, t, hop_ms(w));
}

static void effect_read_all(struct world *w, int n, const struct switcher_effect *e)
{
    struct told *t = told_new(SWITCHER_SNAPSHOT, sizeof(struct snapshot));
    struct snapshot *s = told_more(t);

    t->ev.token = e->token;
    t->ev.snapshot = s;
    fill_groups(w, s->groups);
    s->topics[0] = (struct topic_view){ .exists = true, .partition_count = w->partitions, .retention_ms = -1 };
    s->partition_count = w->partitions;
    s->partitions = arena((size_t)w->partitions * sizeof(*s->partitions));
    for (int p = 0; p < w->partitions; p++) {
        s->partitions[p].log_end = w->ends[p];
        for (int k = 0; k < COLOR_COUNT; k++) {
            s->partitions[p].committed[k] = w->groups[k].committed[p];
            s->partitions[p].mark[k] = w->groups[k].mark[p];
        }
    }
    controller_send(w, n, t, hop_ms(w));
}

static void controller_effect(struct world *w, int n, const struct switcher_effect *e)
{
    struct controller *c = &w->controllers[n];
    struct told *t;

    switch (e->type) {
    case SWITCHER_READ_REPORTS: /* answered when it has read so far */
        c->reports_token = e->token;
        c->reports_asks_ms = w->now_ms;
        c->reports_wanted = w->report_count;
        put(w, (struct at){ .ms = w->now_ms + hop_ms(w), .kind = AT_CONTROLLER_READ, .who = n, .life = c->life });
        break;
    case SWITCHER_READ_OFFSETS:
    case SWITCHER_READ_ENDS:
        effect_read(w, n, e);
        break;
    case SWITCHER_READ_STARTS: /* nothing is ever removed here: the log starts at 0 */
        t = told_new(SWITCHER_STARTS, (size_t)e->count * sizeof(struct switcher_reading));
        t->ev.token = e->token;
        t->ev.failed = true;
        controller_send(w, n, t, hop_ms(w));
        break;
    case SWITCHER_READ_GROUPS:
        if (c->cut_all)
            break;
        t = told_new(SWITCHER_GROUPS, COLOR_COUNT * sizeof(struct group_view));
        fill_groups(w, told_more(t));
        t->ev.groups = told_more(t);
        controller_send(w, n, t, hop_ms(w));
        break;
    case SWITCHER_READ_ALL:
        if (!c->cut_all)
            effect_read_all(w, n, e);
        break;
    case SWITCHER_FORGET: {
        char *incarnation = arena(sizeof(e->incarnation));

        if (!switcher_still_forgets(&c->switcher, e->incarnation))
            break;
        say(w, "controller %d forgets member %s", n, e->incarnation);
        rules_forgets(w, n, e->incarnation);
        memcpy(incarnation, e->incarnation, sizeof(e->incarnation));
        put(w, (struct at){
                   .ms = w->now_ms + hop_ms(w), .kind = AT_CONTROLLER_FORGETS, .who = n, .payload = incarnation });
        break;
    }
    case SWITCHER_RESTORE: {
        const struct report *r = switcher_report(&c->switcher, e->incarnation);

        if (r)
            put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                                .kind = AT_CONTROLLER_RESTORES,
                                .who = n,
                                .payload = (void *)(uintptr_t)r });
        break;
    }
    case SWITCHER_REPLY:
        if (n == w->leader)
            operator_told(w, e);
        break;
    case SWITCHER_DROP_OP:
        replay_drop(&c->log, e->number, append_tombstone, &(struct hand){ w, n, NULL });
        break;
    }
}

/* --- its turn --------------------------------------------------------------------------------------------------------------------------- */

/* What people are told of an operation: it adds up, and as long as it is under way somebody or something is named. */
static void told_people(struct world *w, const struct controller *c)
{
    struct progress p;
    struct waiting who[4];
    const int count = switcher_waiting(&c->switcher, who, ARRAY_COUNT(who), clock_of_ms(w, &c->clock));

    switcher_progress(&c->switcher, &p);
    MUST(p.total <= c->fleet.baton_count && p.ordered + p.granted <= c->fleet.baton_count &&
         p.taken <= c->fleet.baton_count && p.returned <= c->fleet.baton_count && "the progress adds up");
    MUST((!op_ended(&c->switcher.op) || count == 0) && "nobody is waited for when nothing is under way");
    for (int i = 0; i < count; i++)
        MUST(who[i].who[0] && who[i].what[0] && "who is waited for has a name, and a reason");
}

static void controller_turn(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const struct op *op = &c->switcher.op;
    const enum op_state state = op->state;
    const uint32_t number = op->number;
    struct batch *b;

    if (!leads(c) || c->busy)
        return;
    switcher_effects_clear(&c->fx);
    while (c->inbox && c->fx.count < SWITCHER_EFFECTS_MAX - 16 && c->fx.baton_count <= 2 * w->partitions_max) {
        struct told *t = c->inbox;
        const struct report *given = t->ev.report;
        const bool counted =
            t->ev.type == SWITCHER_REPORT_GONE && switcher_report(&c->switcher, t->ev.incarnation) != NULL;

        c->inbox = t->next;
        if (!c->inbox)
            c->inbox_end = &c->inbox;
        t->ev.now_ms = clock_of_ms(w, &c->clock);
        t->ev.now_unix_us = clock_of_unix_us(w, &c->clock);
        if (t->ev.type == SWITCHER_OFFSETS && !t->ev.failed)
            rules_read_back(w, n, t);
        switcher_step(&c->switcher, &t->ev, &c->fx);
        if (t->ev.type == SWITCHER_REPORT)
            rules_report_taken(w, n, given, t->ev.report);
        else if (t->ev.type == SWITCHER_REPORT_GONE)
            rules_buried(w, n, t->ev.incarnation, counted);
        if (t->ev.type == SWITCHER_REPORT_GONE && t->ev.report)
            c->report_taken[member_number(t->ev.incarnation)] = 0;
    }
    if (op->number != number || op->state != state)
        say(w, "controller %d: %s %u is %s %s", n, op_kind_name(op->kind), op->number, op_state_name(op->state),
            op->why);
    told_people(w, c);
    b = batch_of(w, n);
    c->busy = true;
    put(w, (struct at){ .ms = w->now_ms + (b->count ? hop_ms(w) : 0),
                        .kind = AT_CONTROLLER_APPEND,
                        .who = n,
                        .life = c->life,
                        .payload = b });
}

/* --- reigns ------------------------------------------------------------------------------------------------------------------------------- */

void controller_reset(struct controller *c)
{
    c->inbox = NULL;
    c->inbox_end = &c->inbox;
    c->busy = c->cut_log = c->cut_all = false;
    c->lag_until_ms = c->log_lag_until_ms = c->again_ms = 0;
    c->life++;
}

void controller_die(struct controller *c)
{
    controller_reset(c);
    claim_init(&c->reign);
    c->fresh = true;
    c->loses = c->lost = false;
    c->process++;
}

static void keep(const struct replay_change *change, const struct control_record *r)
{
    struct kept *kept;

    if (!change->op)
        return;
    if (!change->op->kept)
        change->op->kept = arena(sizeof(*kept));
    kept = change->op->kept;
    if (change->fate == REPLAY_KEPT)
        *(r->key.kind == REPLAY_OP ? &kept->op : &kept->passes[r->key.shard]) = r->op;
}

/* Reads on from where it stands, up to what was written by then. */
static void read_log(struct world *w, struct controller *c, int64_t seen_ms)
{
    for (; c->log_next < w->log_count && w->log[c->log_next].ms <= seen_ms; c->log_next++) {
        const struct control_record *r = &w->log[c->log_next];
        const struct replay_record record = {
            .key = r->key, .what = r->gone ? REPLAY_TOMBSTONE : REPLAY_RECORD, .term = r->term, .doc = r->doc
        };
        struct replay_change change;

        if (r->compacted)
            continue;
        if (r->claim) {
            terms_claim(&c->terms, c->log_next);
            continue;
        }
        change = replay_step(&c->log, &c->terms, &record);
        keep(&change, r);
        if (leads(c))
            replay_behind(&c->pen, &c->switcher, &record, change.fate);
    }
}

/* What it begins its reign with: the document and the newest operation as the log has them. */
static void load(struct controller *c)
{
    const struct replay_op *newest = replay_newest(&c->log);
    const struct kept *kept = newest ? newest->kept : NULL;
    struct baton *batons = c->fleet.batons;

    c->fleet = c->mirrored;
    c->fleet.batons = batons;
    memcpy(batons, c->mirrored.batons, (size_t)c->mirrored.baton_count * sizeof(*batons));
    if (!kept)
        return;
    c->switcher.op = *kept->op;
    c->switcher.op.forth = c->forth;
    c->switcher.op.back = c->back;
    for (int i = 0; i < SHARDS_MAX; i++)
        if (kept->passes[i] && (newest->passes_known & (1u << i))) {
            const size_t bytes = (size_t)kept->passes[i]->pass_count * sizeof(struct pass);

            memcpy(&c->forth[i * SHARD_BATONS], kept->passes[i]->forth, bytes);
            memcpy(&c->back[i * SHARD_BATONS], kept->passes[i]->back, bytes);
        }
}

static void birth(struct world *w, struct controller *c)
{
    struct spec spec = { .topic_count = 1,
                         .first_active = BLUE,
                         .stages = { .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 },
                         .observe_ms = 30,
                         .deadline_ms = w->config.deadline_ms,
                         .session_timeout_ms = SESSION_MS,
                         .processing_ms_max = WORK_MS_BOUND,
                         .follow_interval_ms = 300,
                         .history_count = 2 };
    struct baton batons[PARTITIONS_MAX];
    uint64_t epoch = 1;

    snprintf(spec.fleet, sizeof(spec.fleet), "f");
    snprintf(spec.topics[0], sizeof(spec.topics[0]), "t");
    spec.on_unreachable = w->config.fence ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
    spec.judge.mode = w->config.weight[FAULT_VERDICT] ? JUDGE_AUTO : JUDGE_GUARD;
    spec.judge.on_undecided = w->config.weight[FAULT_VERDICT] > 1 ? UNDECIDED_HOLD : UNDECIDED_ROLLBACK;
    spec.on_doubt = w->config.list_doubt ? DOUBT_LIST : DOUBT_WAIT;
    memset(batons, 0, sizeof(batons));
    for (int p = 0; p < w->partitions; p++) { /* a fleet that was there before goes on where its active color stands */
        const enum color active = w->truth[p].holder;

        batons[p].partition = p;
        spec.first_active = active;
        batons[p].from = w->groups[active].committed[p] < 0 ? 0 : w->groups[active].committed[p];
        for (int k = 0; k < COLOR_COUNT; k++)
            if (w->groups[k].mark[p].kind == MARK_EPOCH && w->groups[k].mark[p].epoch >= epoch)
                epoch = w->groups[k].mark[p].epoch + 1;
    }
    switcher_birth(&c->switcher, &spec, (struct version){ c->reign.term, epoch }, batons, w->partitions,
                   clock_of_unix_us(w, &c->clock));
}

/* It leads from here on: what it had read of the reports while it claimed waits in its inbox. */
static void begin(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const size_t max = (size_t)w->partitions_max;
    struct switcher_memory memory;

    fleet_init(&c->fleet, arena(max * sizeof(struct baton)), w->partitions_max);
    c->facts = arena(max * sizeof(*c->facts));
    c->forth = arena((max + SHARD_BATONS) * sizeof(*c->forth));
    c->back = arena((max + SHARD_BATONS) * sizeof(*c->back));
    c->fx.batons = arena(4 * max * sizeof(*c->fx.batons));
    c->fx.baton_max = 4 * (int)max;
    memory = (struct switcher_memory){ &c->fleet, c->facts, c->forth, c->back, arena(max * sizeof(struct stage_item)) };
    switcher_init(&c->switcher, &memory);
    w->led_since_ms = w->now_ms;
    w->result->failovers += c->reign.term > 0;
    say(w, "controller %d leads with term %lld", n, (long long)c->reign.term);
    c->pen = (struct replay_pen){ 0 };
    if (c->mirrored.exists)
        load(c);
    rules_leads(w, n);
    if (c->mirrored.exists) {
        replay_reign(&c->pen, &c->log);
        switcher_reign(&c->switcher, c->reign.term, clock_of_ms(w, &c->clock), clock_of_unix_us(w, &c->clock));
    } else {
        replay_bury(&c->log, append_tombstone, &(struct hand){ w, n, NULL });
        birth(w, c);
    }
    controller_queue(w, n, told_new(SWITCHER_TICK, 0));
}

/* --- the claim ---------------------------------------------------------------------------------------------------------------------------- */

static void dies(struct world *w, int n, int64_t again_ms)
{
    controller_die(&w->controllers[n]);
    if (n == w->leader)
        put(w, (struct at){ .ms = w->now_ms + again_ms, .kind = AT_CONTROLLER_LEADS, .who = n });
}

static void read_soon(struct world *w, int n)
{
    put(w, (struct at){
               .ms = w->now_ms + hop_ms(w), .kind = AT_CONTROLLER_READ, .who = n, .life = w->controllers[n].life });
}

static void claim_effect(struct world *w, int n, enum claim_effect effect)
{
    struct controller *c = &w->controllers[n];

    switch (effect) {
    case CLAIM_NOTHING:
        break;
    case CLAIM_ASK_LOG:
        c->log_wanted = strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]) ? -1 : w->log_count;
        read_soon(w, n);
        break;
    case CLAIM_APPEND:
        rules_claims(w, n);
        put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                            .kind = AT_CONTROLLER_CLAIM,
                            .who = n,
                            .life = c->process,
                            .a = (int64_t)c->reign.number });
        break;
    case CLAIM_ASK_REPORTS:
        c->reports_next = 0;
        c->reports_token = 0;
        c->reports_wanted = w->report_count;
        c->reports_asked_ms = 0;
        memset(c->read_back, 0, sizeof(c->read_back));
        memset(c->report_taken, 0, sizeof(c->report_taken));
        read_soon(w, n);
        fault_soon(w, 4); /* so short is this */
        break;
    case CLAIM_LEAD:
        begin(w, n);
        fault_soon(w, 25);
        break;
    case CLAIM_STOP:
    case CLAIM_STEP_DOWN:
        say(w, "controller %d does not lead any more: %s", n, c->reign.why ? c->reign.why : "it was told so");
        controller_reset(c);
        if (effect == CLAIM_STOP)
            break;
        put(w, (struct at){ .ms = w->now_ms + TICK_MS, .kind = AT_CONTROLLER_TICK, .who = n, .life = c->life });
        if (n == w->leader) /* it leaves the group: another is elected, or the same when it has joined again */
            replace_leader(w, w->config.controllers < 2 || chance(w, 500), CLAIM_REST_MS + below(w, 300));
        break;
    }
}

static void claim_tell(struct world *w, int n, struct claim_event ev)
{
    struct controller *c = &w->controllers[n];
    enum claim_effect effect;

    ev.now_ms = clock_of_ms(w, &c->clock);
    effect = claim_step(&c->reign, &ev);
    if (effect != CLAIM_NOTHING && n == w->leader &&
        strikes(w, FAULT_CRASH_CONTROLLER_EFFECT, w->config.chance[FAULT_CRASH_CONTROLLER_EFFECT])) {
        say(w, "controller %d dies on its way to the lead", n);
        dies(w, n, 20 + below(w, 800));
        return;
    }
    claim_effect(w, n, effect);
}

void controller_elected(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];

    if (c->loses)
        controller_loses(w, n); /* the group tells one thing after the other */
    if (leads(c) || claim_under_way(&c->reign))
        return;
    controller_reset(c);
    clock_draw(w, &c->clock);
    c->lost = false;
    if (c->fresh) {
        c->fresh = false;
        c->log_next = 0;
        terms_init(&c->terms);
        fleet_init(&c->mirrored, arena((size_t)w->partitions_max * sizeof(struct baton)), w->partitions_max);
        replay_init(&c->log, &c->mirrored, arena(KEPT_MAX * sizeof(struct replay_op)), KEPT_MAX);
    }
    c->log_elected = w->log_count;
    say(w, "controller %d is elected", n);
    fault_soon(w, 25);
    put(w, (struct at){ .ms = w->now_ms + TICK_MS, .kind = AT_CONTROLLER_TICK, .who = n, .life = c->life });
    claim_tell(w, n, (struct claim_event){ .type = CLAIM_ELECTED });
}

void controller_loses(struct world *w, int n)
{
    w->controllers[n].loses = false;
    w->controllers[n].lost = true;
    claim_tell(w, n, (struct claim_event){ .type = CLAIM_LOST });
}

/* A claim reaches the log, or does not, or late; its answer finds the process that has sent it, or nobody. */
static void claim_arrives(struct world *w, struct at *at)
{
    const struct controller *c = &w->controllers[at->who];
    const bool late = at->b;
    int64_t offset = -1;

    if (at->life != c->process && chance(w, 500))
        return; /* it went down with it */
    if (!late && strikes(w, FAULT_CLAIM_LATE, w->config.chance[FAULT_CLAIM_LATE]))
        put(w, (struct at){ .ms = w->now_ms + 20 + below(w, 1500),
                            .kind = AT_CONTROLLER_CLAIM,
                            .who = at->who,
                            .life = at->life,
                            .a = at->a,
                            .b = true });
    else if (late || !strikes(w, FAULT_APPEND_FAILED, w->config.chance[FAULT_APPEND_FAILED]))
        offset = log_append(w, (struct control_record){
                                   .claim = true, .writer = at->who, .process = at->life, .number = (uint64_t)at->a });
    if (late || strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]))
        return; /* nobody waits for an answer, or it never comes */
    if (offset >= 0 && strikes(w, FAULT_CLAIM_UNHEARD, w->config.chance[FAULT_CLAIM_UNHEARD]))
        offset = -1;
    if (offset >= 0)
        fault_soon(w, 25);
    put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                        .kind = AT_CONTROLLER_CLAIMED,
                        .who = at->who,
                        .life = at->life,
                        .a = at->a,
                        .b = offset });
}

/* What the log and the reports have brought, for the claim. */
static void claim_read(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const struct control_record *highest = c->terms.highest >= 0 ? &w->log[c->terms.highest] : NULL;

    claim_tell(w, n,
               (struct claim_event){ .type = CLAIM_LOG,
                                     .position = c->log_next,
                                     .highest = c->terms.highest,
                                     .ours = highest && highest->writer == n && highest->process == c->process });
    rules_log_read(w, n);
    if (c->reign.state == CLAIM_CATCH_UP && c->log_next >= c->log_wanted)
        claim_tell(w, n,
                   (struct claim_event){
                       .type = CLAIM_CAUGHT_UP, .number = c->reign.number, .failed = c->log_wanted < 0 });
}

/* An operator makes a fleet again when the members of the deleted one have finished: what they do later belongs to no document. */
static bool work_in_hand(const struct world *w)
{
    for (int n = 0; n < w->incarnations; n++)
        for (int i = 0; w->members[n].exists && w->members[n].alive && i < w->partitions_max; i++)
            if (w->members[n].parts[i].used && w->members[n].parts[i].state != PART_IDLE &&
                w->members[n].parts[i].state != PART_RELEASED)
                return true;
    return false;
}

static void controller_read(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const int64_t seen_ms = w->now_ms < c->lag_until_ms ? w->now_ms - c->lag_ms : w->now_ms;
    const int64_t log_seen_ms = w->now_ms < c->log_lag_until_ms ? w->now_ms - c->log_lag_ms : w->now_ms;

    if (!c->cut_log && !c->cut_all) {
        read_log(w, c, log_seen_ms);
        claim_read(w, n);
    }
    if ((log_seen_ms < w->now_ms || seen_ms < w->now_ms) && c->again_ms <= w->now_ms) {
        c->again_ms = w->now_ms + (log_seen_ms < seen_ms ? c->log_lag_ms : c->lag_ms);
        put(w, (struct at){ .ms = c->again_ms, .kind = AT_CONTROLLER_READ, .who = n, .life = c->life });
    }
    if (c->reign.state != CLAIM_REPORTS && !leads(c))
        return;
    if (c->cut_all)
        return;
    for (; c->reports_next < w->report_count; c->reports_next++) {
        const struct report_record *r = &w->reports[c->reports_next];
        struct told *t;

        if (r->ms > seen_ms)
            break;
        if (r->compacted)
            continue;
        t = told_new(r->report ? SWITCHER_REPORT : SWITCHER_REPORT_GONE, 0);
        t->ev.report = r->report;
        t->ev.incarnation = r->incarnation;
        controller_queue(w, n, t);
    }
    if (c->reports_token && strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]))
        c->reports_wanted = INT64_MAX; /* the reading fails */
    if (c->reports_token && (c->reports_next >= c->reports_wanted || c->reports_wanted == INT64_MAX)) {
        struct told *t = told_new(SWITCHER_REPORTS_READ, 0);

        t->ev.token = c->reports_token;
        t->ev.failed = c->reports_next < c->reports_wanted;
        if (!t->ev.failed)
            c->reports_asked_ms = c->reports_asks_ms;
        c->reports_token = 0;
        controller_queue(w, n, t);
    }
    if (c->reign.state == CLAIM_REPORTS && c->reports_next >= c->reports_wanted)
        claim_tell(w, n, (struct claim_event){ .type = CLAIM_REPORTS_READ, .number = c->reign.number });
}

/*
 * Where the world is judged, a stage needs an ok to count, and the judge may say anything at any moment, of a stage that is
 * over, too. In the end it says ok: a fleet that is held for want of a verdict ends when there is one.
 */
static void controller_judge(struct world *w, int n)
{
    const struct op *op = &w->controllers[n].switcher.op;
    struct judge_verdict *v;
    struct told *t;

    if (!w->config.weight[FAULT_VERDICT] || op->state != OP_OBSERVING || !(w->calm || strikes(w, FAULT_VERDICT, 400)))
        return;
    t = told_new(SWITCHER_VERDICT, sizeof(*v));
    t->ev.verdict = v = told_more(t);
    t->ev.number = op->number;
    t->ev.stage = op->stage - (!w->calm && chance(w, 200));
    v->verdict = w->calm ? VERDICT_OK : (enum verdict)below(w, VERDICT_COUNT);
    v->blind = chance(w, 500);
    snprintf(v->sentence, sizeof(v->sentence), "so says the judge");
    controller_queue(w, n, t);
}

static void controller_tick(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];

    claim_tell(w, n, (struct claim_event){ .type = CLAIM_TICK });
    if (c->reign.state != CLAIM_NONE)
        put(w, (struct at){ .ms = w->now_ms + TICK_MS, .kind = AT_CONTROLLER_TICK, .who = n, .life = c->life });
    if (!leads(c))
        return;
    if (c->fleet.exists && c->fleet.baton_count < w->partitions && !c->cut_all && !c->inbox) {
        struct told *t = told_new(SWITCHER_PARTITIONS, (size_t)w->partitions * sizeof(int64_t));

        t->ev.partition_count = w->partitions;
        t->ev.first_offsets = told_more(t);
        controller_queue(w, n, t);
    }
    controller_judge(w, n);
    controller_queue(w, n, told_new(SWITCHER_TICK, 0));
}

static void controller_append(struct world *w, struct at *at)
{
    struct controller *c = &w->controllers[at->who];
    const struct batch *b = at->payload;
    int count = b->count;
    bool good = at->life == c->life;

    if (good && count > 0 && strikes(w, FAULT_APPEND_FAILED, w->config.chance[FAULT_APPEND_FAILED])) {
        say(w, "controller %d: a batch fails, its reign is over", at->who);
        claim_tell(w, at->who, (struct claim_event){ .type = CLAIM_FAILED });
        good = false;
    }
    if (!good)
        count = below(w, count + 1); /* of a lost leader's last batch some may still arrive */
    for (int i = 0; i < count; i++) {
        b->records[i].writer = at->who;
        log_append(w, b->records[i]);
    }
    if (count > 0)
        fault_soon(w, 25);
    if (good && at->life == c->life)
        put(w, (struct at){ .ms = w->now_ms + (count ? hop_ms(w) : 0),
                            .kind = AT_CONTROLLER_ACKED,
                            .who = at->who,
                            .life = c->life });
}

static void controller_acked(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];

    c->busy = false;
    for (int i = 0; i < c->fx.count; i++) {
        if (n == w->leader &&
            strikes(w, FAULT_CRASH_CONTROLLER_EFFECT, w->config.chance[FAULT_CRASH_CONTROLLER_EFFECT])) {
            say(w, "controller %d dies between two effects", n);
            dies(w, n, 20 + below(w, 800));
            return;
        }
        controller_effect(w, n, &c->fx.items[i]);
    }
    c->fx.count = 0;
    if (c->inbox)
        put(w, (struct at){ .ms = w->now_ms, .kind = AT_CONTROLLER_TURN, .who = n, .life = c->life });
}

void controller_at(struct world *w, struct at *at)
{
    const int n = at->who;
    struct controller *c = &w->controllers[n];

    if (at->kind == AT_CONTROLLER_LEADS) {
        if (w->log_count > 0 && !w->fleet_exists && work_in_hand(w))
            put(w, (struct at){ .ms = w->now_ms + 100, .kind = AT_CONTROLLER_LEADS, .who = n });
        else if (n == w->leader)
            controller_elected(w, n);
        return;
    }
    if (at->kind == AT_CONTROLLER_LOSES) {
        if (at->life == c->process && c->loses)
            controller_loses(w, n);
        return;
    }
    if (at->kind == AT_CONTROLLER_CLAIM) { /* sent is sent */
        claim_arrives(w, at);
        return;
    }
    if (at->kind == AT_CONTROLLER_CLAIMED) {
        if (at->life != c->process || c->cut_all)
            return;
        claim_tell(w, n,
                   (struct claim_event){
                       .type = CLAIM_WRITTEN, .number = (uint64_t)at->a, .failed = at->b < 0, .offset = at->b });
        read_soon(w, n);
        fault_soon(w, 4);
        return;
    }
    if (at->kind == AT_CONTROLLER_APPEND) {
        controller_append(w, at);
        return;
    }
    if (at->kind == AT_CONTROLLER_FORGETS) { /* sent is sent, whatever becomes of the leader */
        reports_append(w, at->payload, NULL);
        return;
    }
    if (at->kind == AT_CONTROLLER_RESTORES) {
        struct report *r = at->payload;

        say(w, "controller %d says again what %s has said", n, r->incarnation);
        reports_append(w, r->incarnation, r);
        return;
    }
    if (at->life != c->life)
        return;
    if (at->kind == AT_CONTROLLER_TICK)
        controller_tick(w, n);
    else if (at->kind == AT_CONTROLLER_READ)
        controller_read(w, n);
    else if (!leads(c))
        return;
    else if (at->kind == AT_CONTROLLER_TURN)
        controller_turn(w, n);
    else if (at->kind == AT_CONTROLLER_ACKED)
        controller_acked(w, n);
    else
        controller_queue(w, n, at->payload);
}
