/*
 * reign - what this controller does while it leads. How it comes to lead and ceases to is core/claim's.
 *
 * One switcher a fleet (core/switch.h). What it changed is appended as one batch; until all of it is acknowledged the
 * fleet takes no further step, and only then are the effects of the step run: nothing is said before it is written
 * (I7). Batches of different fleets are out at the same time.
 *
 * An append that fails or times out may be in the log or not, so memory may be ahead of it: the reign ends, the
 * switchers are thrown away, and the next reign (perhaps ours, a second later) begins from the mirror, which knows
 * only the log.
 *
 * Healing (PROTOCOL rule 14): when the newest record of a key is void, the whole fleet is written again, old
 * operations too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "controller/posted.h"

#define ASK_MS_MAX 5000
#define ASKS_MAX 32 /* questions for the end of the reports that are out at a time */
#define PARTITIONS_EVERY_MS 10000
#define EFFECTS_ENOUGH 8 /* no further step is taken before these are run */

struct inbox_event {
    struct inbox_event *next;
    struct switcher_event ev;
    char incarnation[INCARNATION_MAX + 1];
    struct switcher_reading *readings;
    struct reading *reading;
    struct order *order;
    struct spec *spec;
    struct judge_verdict *verdict;
    struct judge_kept *kept;
    int64_t *first_offsets;
    struct call *after; /* answered when what this changed is in the log */
};

/* A question to the brokers that a switcher's effect, or the look for new partitions, has asked. */
struct led_read {
    struct led_read *next;
    struct led *led;
    enum switcher_event_type type;
    uint64_t token;
    enum color color;
    int topic;
    int *batons;
    int count;
    struct reading *reading;
};

struct led {
    struct led *next;
    struct controller *c;
    struct entry *entry;
    struct switcher switcher;
    struct fleet fleet;
    struct baton_fact *facts;
    struct pass *forth, *back;
    struct stage_item *items;
    int room; /* of fleet.batons and the four above */
    struct switcher_effects fx;
    struct inbox_event *inbox, **inbox_end;
    int acks_out;
    bool fx_waiting; /* effects of the batch that is out */
    bool tick_queued;
    struct replay_pen pen;
    bool deleting;
    struct call *after, *orders;
    struct led_read *reads;
    bool too_many_told;
};

/* Only noted: nothing is freed under somebody's feet. reign_turn() ends the reign. */
static void reign_fail(struct controller *c, const char *why)
{
    if (!c->reign_failed[0])
        snprintf(c->reign_failed, sizeof(c->reign_failed), "%.500s", why);
    controller_wake(c);
}

bool controller_leads(const struct controller *c)
{
    return c->reign.state == CLAIM_LEADING && !c->reign_failed[0];
}

const struct switcher *led_switcher(const struct led *l)
{
    return &l->switcher;
}

struct fleet *led_fleet(struct led *l)
{
    return &l->fleet;
}

bool led_member(const struct led *l, int i, const struct report **ret, int64_t *ret_heard_ms)
{
    for (int k = 0; k < MEMBERS_MAX; k++) {
        const struct switcher_member *m = &l->switcher.members[k];

        if (!m->used || i-- > 0)
            continue;
        *ret = m->report;
        *ret_heard_ms = m->heard_ms;
        return true;
    }
    return false;
}

/* --- storage ------------------------------------------------------------------------------------------------------ */

static void led_room(struct led *l, int need)
{
    const int old = l->room, room = (need + 63) / 64 * 64;

    if (room <= old)
        return;
    l->fleet.batons = must(realloc(l->fleet.batons, (size_t)room * sizeof(*l->fleet.batons)));
    l->facts = must(realloc(l->facts, (size_t)room * sizeof(*l->facts)));
    l->forth = must(realloc(l->forth, (size_t)room * sizeof(*l->forth)));
    l->back = must(realloc(l->back, (size_t)room * sizeof(*l->back)));
    l->items = must(realloc(l->items, (size_t)room * sizeof(*l->items)));
    l->fx.batons = must(realloc(l->fx.batons, 4 * (size_t)room * sizeof(*l->fx.batons)));
    memset(l->fleet.batons + old, 0, (size_t)(room - old) * sizeof(*l->fleet.batons));
    memset(l->facts + old, 0, (size_t)(room - old) * sizeof(*l->facts));
    memset(l->forth + old, 0, (size_t)(room - old) * sizeof(*l->forth));
    memset(l->back + old, 0, (size_t)(room - old) * sizeof(*l->back));
    memset(l->items + old, 0, (size_t)(room - old) * sizeof(*l->items));
    l->room = room;
    l->fleet.baton_max = room;
    l->fx.baton_max = 4 * room;
    l->switcher.facts = l->facts;
    l->switcher.items = l->items;
    l->switcher.op.forth = l->forth;
    l->switcher.op.back = l->back;
}

static struct led *led_new(struct entry *e, int baton_count)
{
    struct led *l = must(calloc(1, sizeof(*l)));

    l->c = e->c;
    l->entry = e;
    l->inbox_end = &l->inbox;
    fleet_init(&l->fleet, NULL, 0);
    led_room(l, baton_count + 1);
    switcher_init(&l->switcher,
                  &(struct switcher_memory){
                      .fleet = &l->fleet, .facts = l->facts, .forth = l->forth, .back = l->back, .items = l->items });
    return l;
}

/* Copies document and newest operation from the log's mirror. */
static int led_load(struct led *l, struct errmsg *m)
{
    const struct mirror_fleet *from = l->entry->mirror;
    const struct mirror_op *newest = mirror_op_newest(from);
    struct baton *batons = l->fleet.batons;
    const char *why;
    struct op op;
    int r;

    l->fleet = from->fleet;
    l->fleet.batons = batons;
    l->fleet.baton_max = l->room;
    if (from->fleet.baton_count > 0)
        memcpy(batons, from->fleet.batons, (size_t)from->fleet.baton_count * sizeof(*batons));
    if (!fleet_valid(&l->fleet, &why))
        return err_set(m, ERR_CORRUPT, "the document of fleet '%s' does not hold together: %s", from->name, why);
    if (!newest)
        return ERR_OK;
    r = mirror_op_decode(&op, newest, l->forth, l->back, l->room, m);
    if (r < 0)
        return err_wrap(m, r, "operation %u of fleet '%s'", newest->number, from->name);
    l->switcher.op = op;
    return ERR_OK;
}

static void inbox_event_free(struct inbox_event *ie)
{
    report_free(ie->ev.report);
    free(ie->readings);
    reading_free(ie->reading);
    free(ie->order);
    free(ie->spec);
    free(ie->verdict);
    free(ie->kept);
    free(ie->first_offsets);
    free(ie);
}

static void led_read_free(struct led *l, struct led_read *read)
{
    struct led_read **at = &l->reads;

    while (*at != read)
        at = &(*at)->next;
    *at = read->next;
    brokers_forget(l->c->brokers, read);
    reading_free(read->reading);
    free(read->batons);
    free(read);
}

static void calls_again(struct call **list)
{
    while (*list) {
        struct call *call = *list;

        *list = call->led_next;
        call->led_next = NULL;
        call->led = NULL;
        call->done_status = 0; /* whether it is done is not known: it is asked anew, and the next leader knows its id */
        call_again(call);
    }
}

/* The storage alone: nothing outside knows it (any more). */
static void led_deinit(struct led *l)
{
    free(l->fleet.batons);
    free(l->facts);
    free(l->forth);
    free(l->back);
    free(l->items);
    free(l->fx.batons);
    free(l);
}

/* Gives everything back that others own: members, calls, answers that are out. */
static void led_free(struct led *l, bool to_orphans)
{
    struct controller *c = l->c;
    struct led **at = &c->leds;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->entry->led = NULL;
    for (struct append *a = c->appends; a; a = a->next)
        if (a->led == l)
            a->led = NULL;
    for (struct reports_ask **ask = &c->asks; *ask;) {
        struct reports_ask *gone = *ask;

        if (gone->led != l) {
            ask = &gone->next;
            continue;
        }
        *ask = gone->next;
        free(gone);
    }
    while (l->reads)
        led_read_free(l, l->reads);
    for (int i = 0; i < MEMBERS_MAX; i++) {
        struct report *report = l->switcher.members[i].used ? l->switcher.members[i].report : NULL;

        if (report && to_orphans)
            orphan_make(c, &l->fleet, report);
        else if (report)
            entry_report_take(l->entry, report);
    }
    while (l->inbox) {
        struct inbox_event *ie = l->inbox;

        l->inbox = ie->next;
        if (ie->ev.type == SWITCHER_REPORT && ie->ev.report) {
            if (to_orphans)
                orphan_make(c, &l->fleet, ie->ev.report);
            else
                entry_report_take(l->entry, ie->ev.report);
            ie->ev.report = NULL;
        } else if (ie->ev.type == SWITCHER_REPORT_GONE) {
            entry_report_gone(l->entry, ie->incarnation);
        }
        if (ie->after) {
            ie->after->led_next = l->after;
            l->after = ie->after;
        }
        inbox_event_free(ie);
    }
    calls_again(&l->after);
    calls_again(&l->orders);
    led_deinit(l);
}

static struct inbox_event *led_post(struct led *l, enum switcher_event_type type)
{
    struct inbox_event *ie = must(calloc(1, sizeof(*ie)));

    ie->ev.type = type;
    *l->inbox_end = ie;
    l->inbox_end = &ie->next;
    controller_wake(l->c);
    return ie;
}

void led_report_take(struct led *l, struct report *report)
{
    led_post(l, SWITCHER_REPORT)->ev.report = report;
}

void led_report_gone(struct led *l, const char *incarnation)
{
    struct inbox_event *ie = led_post(l, SWITCHER_REPORT_GONE);

    text_copy(ie->incarnation, sizeof(ie->incarnation), incarnation);
}

void led_verdict_take(struct led *l, const struct judge_verdict *verdict, uint32_t number, int stage)
{
    struct inbox_event *ie = led_post(l, SWITCHER_VERDICT);

    ie->verdict = must(malloc(sizeof(*verdict)));
    *ie->verdict = *verdict;
    ie->ev.verdict = ie->verdict;
    ie->ev.number = number;
    ie->ev.stage = stage;
}

void led_kept_take(struct led *l, const struct judge_kept *kept, uint32_t number)
{
    struct inbox_event *ie = led_post(l, SWITCHER_KEPT);

    ie->kept = must(malloc(sizeof(*kept)));
    *ie->kept = *kept;
    ie->ev.kept = ie->kept;
    ie->ev.number = number;
}

static struct inbox_event *inbox_pop(struct led *l)
{
    struct inbox_event *ie = l->inbox;

    l->inbox = ie->next;
    if (!l->inbox)
        l->inbox_end = &l->inbox;
    return ie;
}

/* --- the batch ---------------------------------------------------------------------------------------------------- */

static bool batch_put(struct led *l, const struct record_key *key, const struct str *text)
{
    char name[RECORD_KEY_MAX];

    record_key_format(name, key);
    if (!controller_append(l->c, APPEND_BATCH, l, true, name, text ? text->buf : NULL, text ? text->len : 0))
        return false;
    l->acks_out++;
    return true;
}

static struct record_key led_key(const struct led *l, enum record_kind kind, uint32_t number, int shard)
{
    struct record_key key = { .kind = kind, .number = number, .shard = shard };

    text_copy(key.fleet, sizeof(key.fleet), l->entry->mirror->name);
    return key;
}

static struct record_key replay_record_key(const char *fleet, const struct replay_key *which)
{
    static const enum record_kind kinds[] = { [REPLAY_HEAD] = RECORD_HEAD,
                                              [REPLAY_SHARD] = RECORD_SHARD,
                                              [REPLAY_OP] = RECORD_OP,
                                              [REPLAY_PASSES] = RECORD_PASSES };
    struct record_key key = { .kind = kinds[which->kind], .number = which->number, .shard = which->shard };

    text_copy(key.fleet, sizeof(key.fleet), fleet);
    return key;
}

/* One record of the document or of an operation. */
static bool batch_encode(struct led *l, struct str *text, enum record_kind kind, const struct op *op, int shard)
{
    const struct record_key key = led_key(l, kind, op ? op->number : 0, shard);
    struct errmsg m = { 0 };
    int r = ERR_INTERNAL;

    str_clear(text);
    if (kind == RECORD_HEAD)
        r = fleet_encode(text, &l->fleet, -1, &m);
    else if (kind == RECORD_SHARD)
        r = fleet_encode(text, &l->fleet, shard, &m);
    else if (kind == RECORD_OP)
        r = op_encode(text, op, &l->fleet, &m);
    else if (kind == RECORD_PASSES)
        r = passes_encode(text, op, shard, &l->fleet, &m);
    if (r < 0) {
        log_error("record_not_written", "fleet=%s error=\"%s\"", key.fleet, m.text);
        reign_fail(l->c, m.text);
        return false;
    }
    return batch_put(l, &key, text);
}

/* From the last true text, under our term. False: it cannot be read. */
static bool batch_again(struct led *l, struct str *text, const struct record_key *key)
{
    const struct mirror_op *o = mirror_op_find(l->entry->mirror, key->number);
    struct op op;
    struct errmsg m = { 0 };
    bool good;

    op.forth = must(calloc((size_t)l->room, sizeof(*op.forth)));
    op.back = must(calloc((size_t)l->room, sizeof(*op.back)));
    good = mirror_op_decode(&op, o, op.forth, op.back, l->room, &m) == ERR_OK &&
           batch_encode(l, text, key->kind, &op, key->shard);
    free(op.forth);
    free(op.back);
    return good;
}

struct batch {
    struct led *l;
    struct str text;
};

/* A record of a batch, as core/replay wants it. */
static bool batch_record(void *opaque, const struct replay_key *which, enum replay_text text)
{
    struct batch *b = opaque;
    const struct record_key key = replay_record_key(b->l->entry->mirror->name, which);
    const bool of_op = key.kind == RECORD_OP || key.kind == RECORD_PASSES;

    if (text == REPLAY_PRESENT)
        return batch_encode(b->l, &b->text, key.kind, of_op ? &b->l->switcher.op : NULL, key.shard);
    if (text == REPLAY_AGAIN && batch_again(b->l, &b->text, &key))
        return true;
    return !b->l->c->reign_failed[0] && batch_put(b->l, &key, NULL);
}

static bool dirty_any(const struct switcher_dirty *dirty)
{
    bool any = dirty->head || dirty->op;

    for (int i = 0; i < SHARDS_MAX; i++)
        any |= dirty->shards[i] || dirty->passes[i];
    return any;
}

static void batch_append(struct led *l)
{
    struct batch b = { .l = l, .text = STR_WITH_MAX(RECORD_BYTES_MAX + 1) };

    if (l->pen.heal)
        log_warn("healing",
                 "fleet=%s, the newest record of a key is a deposed leader's or corrupt; all of it is written again",
                 l->entry->mirror->name);
    replay_write(&l->pen, &l->entry->mirror->log, &l->switcher, batch_record, &b);
    str_free(&b.text);
}

/* --- tombstones that nothing waits for ----------------------------------------------------------------------------- */

struct burial {
    struct controller *c;
    const char *fleet;
};

static bool bury_record(void *opaque, const struct replay_key *which, enum replay_text text)
{
    const struct burial *b = opaque;
    const struct record_key key = replay_record_key(b->fleet, which);
    char name[RECORD_KEY_MAX];

    ASSERT(text == REPLAY_NOTHING);
    record_key_format(name, &key);
    return controller_append(b->c, APPEND_LOOSE, NULL, true, name, NULL, 0);
}

/* What is left of a fleet that does not exist. */
static void bury(struct controller *c, const struct mirror_fleet *f)
{
    replay_bury(&f->log, bury_record, &(struct burial){ c, f->name });
}

/* --- effects ------------------------------------------------------------------------------------------------------ */

static struct led_read *read_new(struct led *l, enum switcher_event_type type, const struct switcher_effect *effect)
{
    struct led_read *read = must(calloc(1, sizeof(*read)));

    read->led = l;
    read->type = type;
    read->token = effect ? effect->token : 0;
    read->color = effect ? effect->color : BLUE;
    read->count = effect ? effect->count : 0;
    read->batons = must(calloc((size_t)read->count + 1, sizeof(*read->batons)));
    if (read->count > 0)
        memcpy(read->batons, &l->fx.batons[effect->first], (size_t)read->count * sizeof(*read->batons));
    read->next = l->reads;
    l->reads = read;
    return read;
}

/* OFFSETS, ENDS and STARTS: one event with a reading for each baton. */
static void on_tps(void *opaque, struct kafka_answer *a)
{
    struct led_read *read = opaque;
    struct inbox_event *ie = led_post(read->led, read->type);

    ie->ev.token = read->token;
    ie->ev.color = read->color;
    ie->ev.failed = a->error < 0 || a->tp_count != read->count;
    ie->readings = must(calloc((size_t)read->count + 1, sizeof(*ie->readings)));
    for (int i = 0; i < read->count; i++) {
        const struct kafka_tp *tp = ie->ev.failed ? NULL : &a->tps[i];

        ie->readings[i].baton = read->batons[i];
        ie->readings[i].failed = !tp || tp->failed;
        ie->readings[i].offset = tp ? tp->offset : OFFSET_NONE;
        ie->readings[i].mark = tp ? tp->mark : (struct mark){ .kind = MARK_NOTHING };
    }
    ie->ev.readings = ie->readings;
    ie->ev.reading_count = read->count;
    if (ie->ev.failed)
        log_warn("brokers_answer_failed", "fleet=%s error=\"%s\", asked again", read->led->entry->mirror->name,
                 a->message.text);
    led_read_free(read->led, read);
}

/* GROUPS and SNAPSHOT. */
static void on_reading(void *opaque, struct reading *r)
{
    struct led_read *read = opaque;
    struct inbox_event *ie = led_post(read->led, read->type);

    ie->reading = r;
    ie->ev.token = read->token;
    ie->ev.groups = reading_snapshot(r)->groups;
    ie->ev.snapshot = reading_snapshot(r);
    read->reading = NULL;
    led_read_free(read->led, read);
}

static void read_tps(struct led *l, enum switcher_event_type type, const struct switcher_effect *effect)
{
    struct led_read *read = read_new(l, type, effect);
    struct kafka_tp *tps = brokers_tps(&l->fleet, read->batons, read->count);

    if (type == SWITCHER_OFFSETS)
        brokers_offsets(l->c->brokers, l->fleet.spec.colors[effect->color].group, tps, read->count, on_tps, read);
    else if (type == SWITCHER_STARTS)
        brokers_starts(l->c->brokers, tps, read->count, on_tps, read);
    else
        brokers_ends(l->c->brokers, tps, read->count, on_tps, read);
    free(tps);
}

static void read_snapshot(struct led *l, enum switcher_event_type type, const struct switcher_effect *effect,
                          unsigned what)
{
    struct led_read *read = read_new(l, type, effect);

    read->reading = brokers_read(l->c->brokers, what, &l->fleet, on_reading, read);
}

static void ask_reports(struct controller *c, struct led *l, uint64_t switcher_token)
{
    struct reports_ask *ask = must(calloc(1, sizeof(*ask)));

    ask->led = l;
    ask->switcher_token = switcher_token;
    ask->next = c->asks;
    c->asks = ask;
}

static void run_forget(struct led *l, const struct switcher_effect *effect)
{
    struct record_key key = led_key(l, RECORD_REPORT, 0, -1);
    char name[RECORD_KEY_MAX];

    if (!switcher_still_forgets(&l->switcher, effect->incarnation))
        return;
    text_copy(key.id, sizeof(key.id), effect->incarnation);
    record_key_format(name, &key);
    log_info("member_forgotten", "fleet=%s incarnation=%s", key.fleet, effect->incarnation);
    controller_append(l->c, APPEND_LOOSE, NULL, false, name, NULL, 0);
}

/* A tombstone has buried what a member has said since: who leads next has to know it. */
static void run_restore(struct led *l, const struct switcher_effect *effect)
{
    const struct report *r = switcher_report(&l->switcher, effect->incarnation);
    struct record_key key = led_key(l, RECORD_REPORT, 0, -1);
    struct str value = STR_WITH_MAX(RECORD_BYTES_MAX);
    char name[RECORD_KEY_MAX];
    struct errmsg m;

    if (r && report_encode(&value, r, &l->fleet, &m) < 0) {
        log_warn("member_not_restored", "fleet=%s incarnation=%s error=\"%s\", its next report does it", key.fleet,
                 effect->incarnation, m.text);
    } else if (r) {
        text_copy(key.id, sizeof(key.id), effect->incarnation);
        record_key_format(name, &key);
        log_info("member_came_back", "fleet=%s incarnation=%s", key.fleet, effect->incarnation);
        controller_append(l->c, APPEND_LOOSE, NULL, false, name, value.buf, value.len);
    }
    str_free(&value);
}

static void reply_to(struct led *l, struct call *call, const struct switcher_effect *effect)
{
    switch (effect->status) {
    case REPLY_ACCEPTED:
        call_json(call, 202, view_op(l->entry, &l->switcher.op, true));
        break;
    case REPLY_PLANNED:
        api_order_planned(call, &l->switcher.findings);
        break;
    case REPLY_REFUSED:
        call_error(call, 422, "refused", "see the findings: each says how to mend it",
                   view_findings(&l->switcher.findings), "%s", effect->text);
        break;
    case REPLY_CONFLICT:
        call_error(call, 409, "conflict", NULL, NULL, "%s", effect->text);
        break;
    case REPLY_UNAVAILABLE:
        call_error(call, 503, "unavailable", NULL, NULL, "%s", effect->text);
        break;
    }
}

static void run_reply(struct led *l, const struct switcher_effect *effect)
{
    for (struct call **at = &l->orders; *at;) {
        struct call *call = *at;

        if (strcmp(call->request_id, effect->request_id) != 0) {
            at = &call->led_next;
            continue;
        }
        *at = call->led_next;
        call->led_next = NULL;
        call->led = NULL;
        reply_to(l, call, effect);
    }
}

static void effects_run(struct led *l)
{
    for (int i = 0; i < l->fx.count; i++) {
        const struct switcher_effect *effect = &l->fx.items[i];

        switch (effect->type) {
        case SWITCHER_READ_REPORTS:
            ask_reports(l->c, l, effect->token);
            break;
        case SWITCHER_READ_OFFSETS:
            read_tps(l, SWITCHER_OFFSETS, effect);
            break;
        case SWITCHER_READ_ENDS:
            read_tps(l, SWITCHER_ENDS, effect);
            break;
        case SWITCHER_READ_STARTS:
            read_tps(l, SWITCHER_STARTS, effect);
            break;
        case SWITCHER_READ_GROUPS:
            read_snapshot(l, SWITCHER_GROUPS, effect, READING_GROUPS);
            break;
        case SWITCHER_READ_ALL:
            read_snapshot(l, SWITCHER_SNAPSHOT, effect,
                          READING_GROUPS | READING_OFFSETS | READING_BOUNDS | READING_TOPICS);
            break;
        case SWITCHER_FORGET:
            run_forget(l, effect);
            break;
        case SWITCHER_RESTORE:
            run_restore(l, effect);
            break;
        case SWITCHER_REPLY:
            run_reply(l, effect);
            break;
        case SWITCHER_DROP_OP:
            replay_drop(&l->entry->mirror->log, effect->number, bury_record,
                        &(struct burial){ l->c, l->entry->mirror->name });
            break;
        }
    }
    switcher_effects_clear(&l->fx);
    l->fx_waiting = false;
}

/* --- a fleet's turn ----------------------------------------------------------------------------------------------- */

/* State changes are logged here and nowhere else: the operation before and after its step. */
static void step_log(const struct led *l, const struct op *before, enum phase phase_before)
{
    const struct op *op = &l->switcher.op;
    char reason[300], why[300];

    if (op->number != before->number)
        log_info("operation_begins", "fleet=%s number=%u kind=%s from=%s to=%s by=%s reason=%s request=%s",
                 l->entry->mirror->name, op->number, op_kind_name(op->kind), color_name(op->from), color_name(op->to),
                 op->by, log_quote(reason, sizeof(reason), op->reason), op->request_id);
    else if (op->number && (op->state != before->state || op->stage != before->stage || op->held != before->held))
        log_info("operation_moves", "fleet=%s number=%u kind=%s state=%s stage=%d/%d%s cause=%s why=%s epoch=%llu",
                 l->entry->mirror->name, op->number, op_kind_name(op->kind), op_state_name(op->state), op->stage + 1,
                 op->stages.count, op->held ? " held" : "", op_cause_name(op->cause),
                 log_quote(why, sizeof(why), op->why), (unsigned long long)l->fleet.version.epoch);
    if (l->fleet.phase != phase_before)
        log_info("phase", "fleet=%s phase=%s active=%s term=%lld epoch=%llu", l->entry->mirror->name,
                 phase_name(l->fleet.phase), color_name(l->fleet.active), (long long)l->fleet.version.term,
                 (unsigned long long)l->fleet.version.epoch);
}

static void step_member_log(const struct led *l, const struct switcher_event *ev)
{
    const struct report *r = ev->report;

    for (int i = 0; i < MEMBERS_MAX; i++)
        if (l->switcher.members[i].used && !strcmp(l->switcher.members[i].report->incarnation, r->incarnation))
            return;
    log_info("member_seen", "fleet=%s color=%s incarnation=%s client=%s host=%s version=%s", l->entry->mirror->name,
             color_name(r->color), r->incarnation, r->client_id, r->host, r->version);
}

static void led_step(struct led *l, struct inbox_event *ie)
{
    struct switcher_event *ev = &ie->ev;
    const struct op before = l->switcher.op;
    const enum phase phase_before = l->fleet.phase;

    ev->now_ms = clock_ms();
    ev->now_unix_us = clock_unix_us();
    ev->incarnation = ie->incarnation;
    ev->order = ie->order;
    ev->spec = ie->spec;
    ev->first_offsets = ie->first_offsets;
    if (ev->type == SWITCHER_TICK)
        l->tick_queued = false;
    if (ev->type == SWITCHER_REPORT)
        step_member_log(l, ev);
    if (ev->type == SWITCHER_PARTITIONS)
        led_room(l, l->fleet.baton_count + ev->partition_count);
    switcher_step(&l->switcher, ev, &l->fx);
    step_log(l, &before, phase_before);
    if (ie->after) {
        ie->after->led_next = l->after;
        l->after = ie->after;
        ie->after = NULL;
    }
    inbox_event_free(ie); /* with the report that came back */
}

static void after_done(struct led *l)
{
    while (l->after) {
        struct call *call = l->after;

        l->after = call->led_next;
        call->led_next = NULL;
        call->led = NULL;
        call->need_position = l->c->acked_offset + 1;
        call_again(call);
    }
}

/* The fleet's tombstones are in the log. */
static void led_deleted(struct led *l)
{
    log_info("fleet_deleted", "fleet=%s", l->entry->mirror->name);
    after_done(l);
    led_free(l, true);
}

/* False: the fleet is gone. */
static bool led_turn(struct led *l)
{
    struct controller *c = l->c;

    while (l->acks_out == 0 && !c->reign_failed[0]) {
        if (l->deleting) {
            led_deleted(l);
            return false;
        }
        if (l->fx_waiting)
            effects_run(l);
        after_done(l);
        if (!l->inbox && !l->pen.heal && !dirty_any(&l->switcher.dirty))
            return true;
        while (l->inbox && l->fx.count < EFFECTS_ENOUGH && l->fx.baton_count <= l->room)
            led_step(l, inbox_pop(l));
        l->fx_waiting = true;
        if (l->pen.heal || dirty_any(&l->switcher.dirty))
            batch_append(l);
    }
    return true;
}

/* --- what callers ask for ----------------------------------------------------------------------------------------- */

void led_order_post(struct led *l, const struct order *order)
{
    struct inbox_event *ie = led_post(l, SWITCHER_ORDER);

    ie->order = must(malloc(sizeof(*order)));
    *ie->order = *order;
}

void led_order_take(struct led *l, struct call *call, const struct order *order)
{
    call->state = CALL_TAKEN;
    call->led = l;
    for (const struct call *other = l->orders; other; other = other->led_next)
        if (!strcmp(other->request_id, call->request_id)) { /* the same request again: answered with the first */
            call->led_next = l->orders;
            l->orders = call;
            return;
        }
    call->led_next = l->orders;
    l->orders = call;
    led_order_post(l, order);
}

void led_spec_take(struct led *l, struct call *call, const struct spec *spec)
{
    struct inbox_event *ie = led_post(l, SWITCHER_SPEC);

    call->state = CALL_TAKEN;
    call->led = l;
    call->done_status = 200;
    ie->spec = must(malloc(sizeof(*spec)));
    *ie->spec = *spec;
    ie->after = call;
    l->c->partitions_ms = 0; /* an appended topic's partitions are born soon */
}

static void list_remove(struct call **at, const struct call *call)
{
    while (*at && *at != call)
        at = &(*at)->led_next;
    if (*at)
        *at = call->led_next;
}

void led_call_forget(struct led *l, struct call *call)
{
    list_remove(&l->after, call);
    list_remove(&l->orders, call);
    for (struct inbox_event *ie = l->inbox; ie; ie = ie->next)
        if (ie->after == call)
            ie->after = NULL;
    call->led = NULL;
    call->led_next = NULL;
}

void led_delete_take(struct led *l, struct call *call)
{
    struct batch b = { .l = l };

    if (l->acks_out > 0 || l->inbox) {
        call_wait(call, "the fleet's present work to be written");
        return;
    }
    replay_delete(&l->entry->mirror->log, &l->switcher, batch_record, &b);
    l->deleting = true;
    call->state = CALL_TAKEN;
    call->led = l;
    call->done_status = 204;
    call->led_next = l->after;
    l->after = call;
    controller_wake(l->c);
}

static struct led *led_begin(struct entry *e, int baton_count)
{
    struct led *l = led_new(e, baton_count);

    l->next = e->c->leds;
    e->c->leds = l;
    return l;
}

/* From here on the switcher has the members. */
static void led_take_members(struct led *l)
{
    struct entry *e = l->entry;

    e->led = l;
    for (int i = 0; i < e->member_count; i++)
        led_report_take(l, e->members[i].report);
    e->member_count = 0;
    orphans_adopt(l->c, e);
}

void reign_birth_take(struct controller *c, struct entry *e, struct call *call, const struct spec *spec,
                      const struct baton *batons, int baton_count, uint64_t epoch)
{
    struct led *l = led_begin(e, baton_count);

    switcher_birth(&l->switcher, spec, (struct version){ .term = c->reign.term, .epoch = epoch }, batons, baton_count,
                   clock_unix_us());
    led_take_members(l);
    log_info("fleet_born", "fleet=%s partitions=%d active=%s epoch=%llu", spec->fleet, baton_count,
             color_name(l->fleet.active), (unsigned long long)epoch);
    call->state = CALL_TAKEN;
    call->led = l;
    call->done_status = 201;
    led_post(l, SWITCHER_TICK)->after = call;
}

/* --- new partitions ----------------------------------------------------------------------------------------------- */

static void on_starts(void *opaque, struct kafka_answer *a)
{
    struct led_read *read = opaque;
    struct inbox_event *ie;
    bool failed = a->error < 0 || a->tp_count != read->count;

    for (int i = 0; i < read->count && !failed; i++)
        failed = a->tps[i].failed || a->tps[i].offset < 0;
    if (!failed) {
        ie = led_post(read->led, SWITCHER_PARTITIONS);
        ie->ev.topic = read->topic;
        ie->ev.partition_count = read->count;
        ie->first_offsets = must(calloc((size_t)read->count + 1, sizeof(*ie->first_offsets)));
        for (int i = 0; i < read->count; i++)
            ie->first_offsets[i] = a->tps[i].offset;
        log_info("partitions_found", "fleet=%s topic=%s partitions=%d", read->led->entry->mirror->name,
                 read->led->fleet.spec.topics[read->topic], read->count);
    }
    led_read_free(read->led, read); /* after a failure the next look asks again */
}

static void led_grow(struct led *l, int topic, int partition_count)
{
    struct led_read *read;
    struct kafka_tp *tps;
    int known = 0;

    for (int i = 0; i < l->fleet.baton_count; i++)
        known += l->fleet.batons[i].topic == topic;
    for (read = l->reads; read; read = read->next)
        if (read->type == SWITCHER_PARTITIONS && read->topic == topic)
            return;
    if (partition_count <= known || l->deleting)
        return;
    if (l->fleet.baton_count + partition_count - known > BATONS_MAX) {
        if (!l->too_many_told)
            log_error("partitions_too_many", "fleet=%s limit=%d, the newest partitions of %s belong to nobody",
                      l->entry->mirror->name, BATONS_MAX, l->fleet.spec.topics[topic]);
        l->too_many_told = true;
        return;
    }
    read = read_new(l, SWITCHER_PARTITIONS, NULL);
    read->topic = topic;
    read->count = partition_count;
    tps = must(calloc((size_t)partition_count + 1, sizeof(*tps)));
    for (int i = 0; i < partition_count; i++) {
        text_copy(tps[i].topic, sizeof(tps[i].topic), l->fleet.spec.topics[topic]);
        tps[i].partition = i;
    }
    brokers_starts(l->c->brokers, tps, partition_count, on_starts, read);
    free(tps);
}

static void on_topics(void *opaque, struct kafka_answer *a)
{
    struct controller *c = opaque;

    c->partitions_out = false;
    for (int i = 0; a->error == ERR_OK && i < a->topic_count; i++)
        for (struct led *l = c->leds; l; l = l->next) {
            const int topic = fleet_topic(&l->fleet, a->topics[i].topic);

            if (topic >= 0 && a->topics[i].exists && l->fleet.exists)
                led_grow(l, topic, a->topics[i].partition_count);
        }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All fleets' topics in one question. */
static void partitions_ask(struct controller *c)
{
    const char **topics;
    int count = 0, unique = 0, room = 0;

    for (const struct led *l = c->leds; l; l = l->next)
        room += l->fleet.spec.topic_count;
    c->partitions_ms = clock_ms();
    if (room == 0)
        return;
    topics = must(calloc((size_t)room, sizeof(*topics)));
    for (const struct led *l = c->leds; l; l = l->next)
        for (int i = 0; i < l->fleet.spec.topic_count; i++)
            topics[count++] = l->fleet.spec.topics[i];
    qsort(topics, (size_t)count, sizeof(*topics), compare_names);
    for (int i = 0; i < count; i++)
        if (unique == 0 || strcmp(topics[unique - 1], topics[i]) != 0)
            topics[unique++] = topics[i];
    c->partitions_out = true;
    brokers_topics(c->brokers, topics, unique, on_topics, c);
    free(topics);
}

void reign_partitions_soon(struct controller *c)
{
    c->partitions_ms = 0;
}

/* --- coming to lead ----------------------------------------------------------------------------------------------- */

static void claim_append(struct controller *c)
{
    struct claim claim = { .unix_ms = clock_unix_ms() };
    struct str text = STR_WITH_MAX(4096);
    struct errmsg m = { 0 };

    text_copy(claim.controller, sizeof(claim.controller), c->id);
    text_copy(claim.host, sizeof(claim.host), c->host);
    text_copy(claim.address, sizeof(claim.address), c->advertise ? c->advertise : "");
    text_copy(claim.version, sizeof(claim.version), BATON_VERSION);
    if (claim_encode(&text, &claim, &m) < 0)
        reign_fail(c, m.text);
    else
        controller_append(c, APPEND_CLAIM, NULL, true, "term", text.buf, text.len);
    str_free(&text);
}

static void lead_fleet(struct controller *c, struct mirror_fleet *f)
{
    struct entry *e;
    struct errmsg why = { 0 };
    struct led *l;

    if (!f->fleet.exists) {
        bury(c, f);
        return;
    }
    if (f->broken[0]) {
        log_error("fleet_not_led", "fleet=%s error=\"%s\", it stays as it is", f->name, f->broken);
        return;
    }
    e = entry_make(c, f->name);
    l = led_begin(e, f->fleet.baton_count);
    if (led_load(l, &why) < 0) {
        snprintf(f->broken, sizeof(f->broken), "%.250s", why.text);
        log_error("fleet_not_led", "fleet=%s error=\"%s\", it stays as it is", f->name, why.text);
        led_free(l, false);
        return;
    }
    switcher_reign(&l->switcher, c->reign.term, clock_ms(), clock_unix_us());
    led_take_members(l);
    replay_reign(&l->pen, &f->log);
    led_post(l, SWITCHER_TICK);
}

static void lead_begin(struct controller *c)
{
    log_info("leading", "term=%lld fleets=%d took_ms=%lld", (long long)c->reign.term, c->mirror.fleet_count,
             (long long)(clock_ms() - c->reign.since_ms));
    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next)
        lead_fleet(c, f);
    reign_partitions_soon(c);
}

static void reign_over(struct controller *c)
{
    while (c->leds)
        led_free(c->leds, false);
    while (c->asks) {
        struct reports_ask *ask = c->asks;

        c->asks = ask->next;
        free(ask);
    }
    for (struct handed_order *o = c->handed; o; o = o->next)
        o->taken = false;
    brokers_forget(c->brokers, c);
    c->partitions_out = false;
}

/* One step of the claim, and what it asks for. why: of an event that ends the reign, NULL: the claimant knows, or there is none. */
static void reign_step(struct controller *c, struct claim_event *ev, const char *why)
{
    const int64_t term = c->reign.term;
    const enum claim_state state = c->reign.state;
    enum claim_effect effect;

    ev->now_ms = clock_ms();
    effect = claim_step(&c->reign, ev);
    if (c->reign.state != state)
        controller_wake(c);
    switch (effect) {
    case CLAIM_NOTHING:
        break;
    case CLAIM_ASK_LOG:
        c->reign_failed[0] = '\0';
        log_info("elected", "controller=%s, reading the log before it leads", c->id);
        c->reign_question = ++c->question_last;
        kafka_reader_ask_end(c->control, c->reign_question, ASK_MS_MAX);
        break;
    case CLAIM_APPEND:
        claim_append(c);
        break;
    case CLAIM_ASK_REPORTS:
        ask_reports(c, NULL, c->reign.number);
        break;
    case CLAIM_LEAD:
        lead_begin(c);
        break;
    case CLAIM_STOP:
    case CLAIM_STEP_DOWN:
        if (!why)
            why = c->reign.why;
        if (why)
            log_warn("reign_ends", "term=%lld error=\"%s\"%s", (long long)term, why,
                     effect == CLAIM_STEP_DOWN ? ", joining the election again in 1 s" : "");
        reign_over(c);
        if (effect == CLAIM_STOP)
            break;
        c->elected = c->other_leads = false;
        election_leave(c->election);
        break;
    }
}

void reign_elected(struct controller *c)
{
    if (!c->mirror.newer[0]) {
        reign_step(c, &(struct claim_event){ .type = CLAIM_ELECTED }, NULL);
    } else if (c->reign.state == CLAIM_NONE || c->reign.state == CLAIM_RESTING) {
        /* it must not keep the lead from one that can read the log */
        log_error("will_not_lead", "error=\"%s\", run a newer Baton", c->mirror.newer);
        election_leave(c->election);
    }
}

void reign_end(struct controller *c, const char *why, bool rest)
{
    c->reign_failed[0] = '\0';
    posted_forget(c->posted); /* of fleets as they were to be, perhaps: what was not written is void */
    reign_step(c, &(struct claim_event){ .type = rest ? CLAIM_FAILED : CLAIM_LOST }, why);
}

void reign_appended(struct controller *c, const struct kafka_appended *acked)
{
    struct append **at = &c->appends, *a;

    while (*at && (*at)->token != acked->token)
        at = &(*at)->next;
    if (!*at)
        return;
    a = *at;
    *at = a->next;
    if (!*at)
        c->appends_end = at;
    if (a->call)
        a->call->append = NULL;
    if (a->kind == APPEND_REPORT) {
        if (a->call && acked->error < 0)
            call_error(a->call, 503, "unavailable", "send it again", NULL, "the report was not acknowledged: %s",
                       err_text(acked->error));
        else if (a->call)
            call_text(a->call, 204, NULL, "", 0);
        controller_wake(c);
    } else if (acked->error < 0 && a->kind == APPEND_LOOSE) {
        log_warn("append_failed", "key=\"%s\" error=\"%s\"", a->what, err_text(acked->error));
    } else if (acked->error < 0 && a->reign == c->reign.number) {
        char why[200];

        snprintf(why, sizeof(why), "append of '%s' failed: %s", a->what, rd_kafka_err2str(acked->code));
        reign_fail(c, why);
    } else if (acked->error == ERR_OK && a->kind == APPEND_CLAIM) {
        reign_step(c, &(struct claim_event){ .type = CLAIM_WRITTEN, .number = a->reign, .offset = acked->offset },
                   NULL);
    } else if (acked->error == ERR_OK && a->kind == APPEND_BATCH) {
        if (acked->offset > c->acked_offset)
            c->acked_offset = acked->offset;
        if (a->led)
            a->led->acks_out--;
        controller_wake(c);
    }
    free(a);
}

bool reign_idle(const struct controller *c)
{
    for (const struct append *a = c->appends; a; a = a->next)
        if (a->kind == APPEND_BATCH && a->led)
            return false;
    return true;
}

/* Called for every change of the mirror, so behind our own writes too. */
void reign_log_changed(struct controller *c, const struct mirror_change *change)
{
    struct entry *e = change->fleet ? change->fleet->opaque : NULL;

    if (change->type == MIRROR_CLAIM || c->reign.state != CLAIM_LEADING)
        return;
    ASSERT(change->fleet);
    if (e && e->led && !e->led->deleting)
        replay_behind(&e->led->pen, &e->led->switcher, change->record, change->fate);
    else if (change->type == MIRROR_VOID && !change->fleet->fleet.exists)
        bury(c, change->fleet);
    controller_wake(c);
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void asks_answered(struct controller *c)
{
    for (struct reports_ask **at = &c->asks; *at;) {
        struct reports_ask *ask = *at;
        enum kafka_end end = KAFKA_END_PENDING;
        int64_t ignored;

        if (ask->token)
            end = kafka_reader_end(c->reports, ask->token, &ignored);
        if (end == KAFKA_END_FAILED)
            ask->token = 0; /* asked anew */
        if (end != KAFKA_END_REACHED) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        if (ask->led)
            led_post(ask->led, SWITCHER_REPORTS_READ)->ev.token = ask->switcher_token;
        else
            reign_step(c, &(struct claim_event){ .type = CLAIM_REPORTS_READ, .number = ask->switcher_token }, NULL);
        free(ask);
    }
}

static void asks_send(struct controller *c)
{
    int out = 0;

    for (const struct reports_ask *ask = c->asks; ask; ask = ask->next)
        out += ask->token != 0;
    for (struct reports_ask *ask = c->asks; ask && out < ASKS_MAX; ask = ask->next)
        if (!ask->token) {
            out++;
            ask->token = ++c->question_last;
            kafka_reader_ask_end(c->reports, ask->token, ASK_MS_MAX);
        }
}

/* What the control log has brought, for the claim: how far it is read, and whether that is where its end was. */
static void claim_turn(struct controller *c)
{
    const struct mirror *m = &c->mirror;
    struct claim_event log = { .type = CLAIM_LOG, .position = m->position, .highest = m->terms.highest };
    struct claim_event caught_up = { .type = CLAIM_CAUGHT_UP, .number = c->reign.number };
    enum kafka_end end;
    int64_t ignored;

    log.ours = m->claim_known && !strcmp(m->claim.controller, c->id);
    reign_step(c, &log, NULL);
    if (c->reign.state != CLAIM_CATCH_UP)
        return;
    end = kafka_reader_end(c->control, c->reign_question, &ignored);
    caught_up.failed = end == KAFKA_END_FAILED;
    if (end != KAFKA_END_PENDING)
        reign_step(c, &caught_up, NULL);
}

void reign_turn(struct controller *c)
{
    struct led *next;

    if (c->mirror.newer[0] && (claim_under_way(&c->reign) || c->reign.state == CLAIM_LEADING))
        reign_fail(c, c->mirror.newer);
    if (!c->reign_failed[0])
        claim_turn(c);
    if (!c->reign_failed[0])
        asks_answered(c);
    for (struct led *l = c->leds; l && !c->reign_failed[0]; l = next) {
        next = l->next;
        led_turn(l);
    }
    asks_send(c);
    if (c->reign_failed[0]) {
        char why[sizeof(c->reign_failed)];

        text_copy(why, sizeof(why), c->reign_failed);
        reign_end(c, why, true);
    }
}

void reign_tick(struct controller *c)
{
    reign_step(c, &(struct claim_event){ .type = CLAIM_TICK }, NULL);
    for (struct led *l = c->leds; l; l = l->next)
        if (!l->tick_queued && l->acks_out == 0) {
            l->tick_queued = true;
            led_post(l, SWITCHER_TICK);
        }
    if (c->reign.state == CLAIM_LEADING && !c->partitions_out &&
        (c->partitions_ms == 0 || clock_ms() - c->partitions_ms > PARTITIONS_EVERY_MS))
        partitions_ask(c);
}

/* --- planning on a copy ------------------------------------------------------------------------------------------- */

static const struct switcher_effect *find_effect(const struct led *l, enum switcher_effect_type type)
{
    for (int i = 0; i < l->fx.count; i++)
        if (l->fx.items[i].type == type)
            return &l->fx.items[i];
    return NULL;
}

static int plan_steps(struct led *l, const struct order *order, const struct snapshot *snapshot, struct findings *ret,
                      struct errmsg *m)
{
    struct switcher_event ev = {
        .type = SWITCHER_ORDER, .now_ms = clock_ms(), .now_unix_us = clock_unix_us(), .order = order
    };
    const struct switcher_effect *effect;

    switcher_step(&l->switcher, &ev, &l->fx);
    effect = find_effect(l, SWITCHER_REPLY);
    if (effect) { /* answered without a look at the brokers: it would be refused as things stand */
        memset(ret, 0, sizeof(*ret));
        findings_add(ret, FINDING_REFUSAL, "conflict", effect->text,
                     "only one operation at a time can be right about who holds what",
                     "wait until it has ended, or order the opposite");
        return ERR_OK;
    }
    effect = find_effect(l, SWITCHER_READ_ALL);
    if (!effect)
        return err_set(m, ERR_INTERNAL, "the plan asked for nothing");
    ev = (struct switcher_event){ .type = SWITCHER_SNAPSHOT, .now_ms = clock_ms(), .now_unix_us = clock_unix_us() };
    ev.token = effect->token;
    ev.snapshot = snapshot;
    switcher_effects_clear(&l->fx);
    switcher_step(&l->switcher, &ev, &l->fx);
    if (!find_effect(l, SWITCHER_REPLY))
        return err_set(m, ERR_INTERNAL, "the plan was not answered");
    *ret = l->switcher.findings;
    return ERR_OK;
}

/*
 * Runs the very code that an order would run, on a copy that nobody follows; the members' reports are lent for its
 * duration.
 */
int plan_on_copy(struct entry *e, const struct order *order, struct reading *reading, struct findings *ret,
                 struct errmsg *m)
{
    struct led *l = led_new(e, e->mirror->fleet.baton_count);
    const struct report *report;
    int64_t heard_ms;
    int r = led_load(l, m);

    for (int i = 0; i < MEMBERS_MAX && r == ERR_OK && entry_member(e, i, &report, &heard_ms); i++)
        l->switcher.members[i] =
            (struct switcher_member){ .used = true, .report = (struct report *)report, .heard_ms = heard_ms };
    if (r == ERR_OK)
        r = plan_steps(l, order, reading_snapshot(reading), ret, m);
    led_deinit(l);
    return r;
}
