/*
 * view - the state as JSON, for the API and the events. docs/openapi.yaml describes every field.
 *
 * Read from the mirror, so what is shown is in the log, by leader and follower alike; the leader waits with a read
 * until the mirror has what it has written. Who is waited for only the leader knows.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "controller/internal.h"
#include "controller/throttling.h"

#define WAITING_MAX 32

static json_t *text(const char *value)
{
    json_t *json = json_string(value);

    return json ? json : json_string("(not UTF-8)");
}

static void put(json_t *object, const char *key, json_t *value)
{
    ASSERT(json_object_set_new(object, key, value) == 0);
}

static json_t *time_or_null(int64_t unix_ms)
{
    char ret[32];

    return unix_ms > 0 ? json_string(clock_format_unix_ms(ret, unix_ms)) : json_null();
}

static json_t *offset_or_null(int64_t offset)
{
    return offset >= 0 ? json_integer(offset) : json_null();
}

json_t *view_findings(const struct findings *f)
{
    json_t *list = json_array();

    for (int i = 0; i < f->count; i++) {
        json_t *one = json_object();

        put(one, "severity", text(severity_name(f->items[i].severity)));
        put(one, "code", text(f->items[i].code));
        put(one, "what", text(f->items[i].what));
        put(one, "why", text(f->items[i].why));
        put(one, "mend", text(f->items[i].mend));
        json_array_append_new(list, one);
    }
    return list;
}

json_t *view_leader(const struct controller *c)
{
    const struct claim *claim = &c->mirror.claim;
    json_t *json = json_object();

    put(json, "known", json_boolean(c->mirror.claim_known));
    put(json, "term", c->mirror.terms.highest >= 0 ? json_integer(c->mirror.terms.highest) : json_null());
    put(json, "controller", text(claim->controller));
    put(json, "host", text(claim->host));
    put(json, "address", text(claim->address));
    put(json, "version", text(claim->version));
    put(json, "since", time_or_null(claim->unix_ms));
    put(json, "self", json_boolean(controller_leads(c)));
    return json;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

int entry_op(struct op *ret, const struct entry *e, uint32_t number, struct errmsg *m)
{
    const struct mirror_op *o = mirror_op_find(e->mirror, number);
    const size_t room = (size_t)e->mirror->fleet.baton_count + 1;
    int r;

    if (!o || !o->op.bytes)
        return err_set(m, ERR_NOT_FOUND, "fleet '%s' has no operation %u", e->mirror->name, number);
    ret->forth = calloc(room, sizeof(*ret->forth));
    ret->back = calloc(room, sizeof(*ret->back));
    ASSERT(ret->forth && ret->back);
    r = mirror_op_decode(ret, o, ret->forth, ret->back, (int)room, m);
    if (r < 0) {
        free(ret->forth);
        free(ret->back);
    }
    return r;
}

static json_t *view_progress(const struct switcher *s)
{
    struct progress p;

    switcher_progress(s, &p);
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "total", p.total, "ordered", p.ordered, "granted", p.granted, "taken",
                     p.taken, "returned", p.returned);
}

static json_t *view_waiting(const struct switcher *s)
{
    struct waiting *list = calloc(WAITING_MAX, sizeof(*list));
    json_t *json = json_array();
    int count;

    ASSERT(list != NULL);
    count = switcher_waiting(s, list, WAITING_MAX, clock_ms());
    for (int i = 0; i < count; i++) {
        json_t *one = json_object();

        put(one, "who", text(list[i].who));
        put(one, "what", text(list[i].what));
        json_array_append_new(json, one);
    }
    free(list);
    return json;
}

/* Progress of an operation that nobody here leads: counted from the log alone. */
static json_t *progress_from_log(struct entry *e, const struct op *op)
{
    struct switcher *s;
    json_t *json;

    if (!op->forth)
        return json_null();
    s = calloc(1, sizeof(*s));
    ASSERT(s != NULL);
    s->fleet = &e->mirror->fleet;
    s->op = *op;
    json = view_progress(s);
    free(s);
    return json;
}

/* In short; the receipt has the evidence. Of an operation that is being led: the newest word, else the newest written one. */
static json_t *view_verdict(const struct op *op)
{
    const struct judge_verdict *v = &op->verdict;

    if (!op->judged)
        return json_null();
    return json_pack("{s:s, s:s, s:b, s:I, s:s}", "verdict", verdict_name(v->verdict), "rule", judge_rule_name(v->rule),
                     "blind", (int)v->blind, "looks", (json_int_t)v->looks, "sentence", v->sentence);
}

json_t *view_op(struct entry *e, const struct op *op, bool live)
{
    const struct switcher *s = e->led ? led_switcher(e->led) : NULL;
    const bool ours = s && s->op.number == op->number;
    json_t *json = json_object(), *stages = json_array();

    for (int i = 0; i < op->stages.count; i++) {
        struct str stage = STR_WITH_MAX(STAGE_NAMES_MAX * STAGE_WORD_MAX);

        stage_text(&stage, op, &e->mirror->fleet, i);
        json_array_append_new(stages, json_string(stage.buf));
        str_free(&stage);
    }
    put(json, "number", json_integer(op->number));
    put(json, "fleet", text(e->mirror->name));
    put(json, "kind", text(op_kind_name(op->kind)));
    put(json, "state", text(op_state_name(op->state)));
    put(json, "from", text(color_name(op->from)));
    put(json, "to", text(color_name(op->to)));
    put(json, "version_from", text(op->version_from));
    put(json, "version_to", text(op->version_to));
    put(json, "replay", json_boolean(op->replay));
    put(json, "of_number", op->of_number ? json_integer(op->of_number) : json_null());
    put(json, "stages", stages);
    put(json, "stage", json_integer(op->stage));
    put(json, "held", json_boolean(op->held));
    put(json, "partitions", op->kind == OP_THROTTLE ? json_integer(op->keep) : json_null());
    put(json, "observe_ms", json_integer(op->observe_ms));
    put(json, "deadline_ms", json_integer(op->deadline_ms));
    put(json, "judge", text(judge_mode_name(op->judge)));
    put(json, "held", json_boolean(op->held));
    put(json, "verdict", view_verdict(ours ? &s->op : op));
    put(json, "cause", text(op_cause_name(op->cause)));
    put(json, "why", text(op->why));
    put(json, "reason", text(op->reason));
    put(json, "by", text(op->by));
    put(json, "by_signal", json_boolean(op->by_signal));
    put(json, "request_id", text(op->request_id));
    put(json, "created", time_or_null(op->created_unix_ms));
    put(json, "ended", time_or_null(op->ended_unix_ms));
    put(json, "deadline", time_or_null(op->deadline_unix_ms));
    if (live) {
        put(json, "progress", ours ? view_progress(s) : progress_from_log(e, op));
        put(json, "waiting", ours && !op_ended(op) ? view_waiting(s) : json_array());
    }
    return json;
}

static json_t *view_op_free(struct entry *e, struct op *op)
{
    json_t *json = view_op(e, op, true);

    free(op->forth);
    free(op->back);
    return json;
}

int view_switch(json_t **ret, struct entry *e, uint32_t number, struct errmsg *m)
{
    struct op op;
    int r = entry_op(&op, e, number, m);

    if (r == ERR_OK)
        *ret = view_op_free(e, &op);
    return r;
}

int view_switches(json_t **ret, struct entry *e, struct errmsg *m)
{
    json_t *list = json_array();

    for (int i = e->mirror->log.op_count - 1; i >= 0; i--) {
        struct op op;
        int r;

        if (!mirror_op_at(e->mirror, i)->op.bytes)
            continue;
        r = mirror_op_decode(&op, mirror_op_at(e->mirror, i), NULL, NULL, 0, m);
        if (r < 0) {
            json_decref(list);
            return r;
        }
        json_array_append_new(list, view_op(e, &op, false));
    }
    *ret = json_pack("{s:o}", "switches", list);
    return ERR_OK;
}

int view_receipt(struct str *ret, struct entry *e, uint32_t number, struct errmsg *m)
{
    struct op op;
    int r = entry_op(&op, e, number, m);

    if (r < 0)
        return r;
    r = receipt_encode(ret, &op, &e->mirror->fleet, m);
    free(op.forth);
    free(op.back);
    return r;
}

/* --- fleets ------------------------------------------------------------------------------------------------------- */

static void count_members(const struct entry *e, int ret[COLOR_COUNT])
{
    const struct report *r;
    int64_t heard_ms;

    ret[BLUE] = ret[GREEN] = 0;
    for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
        if (!r->goodbye)
            ret[r->color]++;
}

json_t *view_fleets(struct controller *c)
{
    json_t *list = json_array();

    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next) {
        int members[COLOR_COUNT];

        if (!f->fleet.exists)
            continue;
        count_members(entry_make(c, f->name), members);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:{s:i, s:i}, s:I}", "name", f->name, "phase",
                                              phase_name(f->fleet.phase), "active", color_name(f->fleet.active),
                                              "partitions", f->fleet.baton_count, "members", "blue", members[BLUE],
                                              "green", members[GREEN], "switch", (json_int_t)f->fleet.switch_number));
    }
    return json_pack("{s:o}", "fleets", list);
}

static json_t *view_member(const struct report *r, int64_t heard_ms)
{
    json_t *json = json_object();
    int owned = 0, active = 0, in_flight = 0;

    for (int i = 0; i < r->part_count; i++) {
        owned += r->parts[i].owned;
        active += r->parts[i].local == LOCAL_ACTIVE;
        in_flight += r->parts[i].in_flight;
    }
    put(json, "incarnation", text(r->incarnation));
    put(json, "member_id", text(r->member_id));
    put(json, "client_id", text(r->client_id));
    put(json, "host", text(r->host));
    put(json, "version", text(r->version));
    put(json, "library", text(r->library));
    put(json, "assignor", text(r->assignor));
    put(json, "ready", json_boolean(r->ready));
    put(json, "applied_term", json_integer(r->applied.term));
    put(json, "applied_epoch", json_integer((json_int_t)r->applied.epoch));
    put(json, "partitions", json_integer(owned));
    put(json, "active", json_integer(active));
    put(json, "in_flight", json_integer(in_flight));
    put(json, "records_done", json_integer((json_int_t)r->records_done));
    put(json, "records_gated", json_integer((json_int_t)r->records_gated));
    put(json, "heard_ms_ago", json_integer(clock_ms() - heard_ms));
    if (r->rival[0])
        put(json, "rival", text(r->rival));
    return json;
}

static json_t *view_color(const struct entry *e, enum color color)
{
    const struct fleet *f = &e->mirror->fleet;
    json_t *json = json_object(), *members = json_array();
    const struct report *r;
    int64_t heard_ms;

    for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
        if (r->color == color && !r->goodbye)
            json_array_append_new(members, view_member(r, heard_ms));
    put(json, "group", text(f->spec.colors[color].group));
    put(json, "holds", json_integer(fleet_count_held(f, color)));
    put(json, "members", members);
    return json;
}

/* Per baton and color: the report of the member that Kafka gives the partition, or NULL. */
static const struct report **find_owners(const struct entry *e)
{
    const struct fleet *f = &e->mirror->fleet;
    const struct report **owners = calloc((size_t)f->baton_count * COLOR_COUNT + 1, sizeof(*owners));
    const struct report *r;
    int64_t heard_ms;

    ASSERT(owners != NULL);
    for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
        for (int k = 0; k < r->part_count && !r->goodbye; k++) {
            const int baton = r->parts[k].owned ? fleet_find(f, r->parts[k].topic, r->parts[k].partition) : -1;

            if (baton >= 0)
                owners[baton * COLOR_COUNT + (int)r->color] = r;
        }
    return owners;
}

static json_t *view_owner(const struct report *r)
{
    return !r ? json_null() : text(r->client_id[0] ? r->client_id : r->incarnation);
}

static json_t *view_partitions(const struct entry *e, const struct snapshot *now)
{
    const struct fleet *f = &e->mirror->fleet;
    const struct report **owners = find_owners(e);
    json_t *list = json_array();

    for (int i = 0; i < f->baton_count; i++) {
        const struct baton *b = &f->batons[i];
        json_t *json = json_object();

        if (b->partition < 0 || b->topic >= f->spec.topic_count) {
            json_decref(json);
            continue; /* its shard has not been read yet */
        }
        put(json, "topic", text(f->spec.topics[b->topic]));
        put(json, "partition", json_integer(b->partition));
        put(json, "state", text(right_name(b->state)));
        put(json, "holder", text(color_name(b->holder)));
        put(json, "from", offset_or_null(b->from));
        put(json, "epoch", json_integer((json_int_t)b->epoch));
        put(json, "order", json_integer((json_int_t)b->order));
        put(json, "doubt", offset_or_null(b->doubt));
        put(json, "owner",
            json_pack("{s:o, s:o}", "blue", view_owner(owners[i * COLOR_COUNT + BLUE]), "green",
                      view_owner(owners[i * COLOR_COUNT + GREEN])));
        if (now && i < now->partition_count) {
            put(json, "committed",
                json_pack("{s:o, s:o}", "blue", offset_or_null(now->partitions[i].committed[BLUE]), "green",
                          offset_or_null(now->partitions[i].committed[GREEN])));
            put(json, "log_start", offset_or_null(now->partitions[i].log_start));
            put(json, "log_end", offset_or_null(now->partitions[i].log_end));
        }
        json_array_append_new(list, json);
    }
    free(owners);
    return list;
}

static json_t *view_operation(struct entry *e)
{
    const struct mirror_op *newest = mirror_op_newest(e->mirror);
    struct errmsg ignored;
    struct op op;

    if (!newest || entry_op(&op, e, newest->number, &ignored) < 0)
        return json_null();
    return view_op_free(e, &op);
}

json_t *view_fleet(struct entry *e, const struct snapshot *now)
{
    const struct fleet *f = &e->mirror->fleet;
    json_t *json = json_object();

    put(json, "name", text(e->mirror->name));
    put(json, "phase", text(phase_name(f->phase)));
    put(json, "active", text(color_name(f->active)));
    put(json, "reason", text(f->reason));
    put(json, "term", json_integer(f->version.term));
    put(json, "epoch", json_integer((json_int_t)f->version.epoch));
    put(json, "switch", json_integer(f->switch_number));
    put(json, "throttle_when", throttling_view(e));
    put(json, "broken", e->mirror->broken[0] ? text(e->mirror->broken) : json_null());
    put(json, "leader", view_leader(e->c));
    put(json, "spec", spec_to_json(&f->spec));
    put(json, "colors", json_pack("{s:o, s:o}", "blue", view_color(e, BLUE), "green", view_color(e, GREEN)));
    put(json, "partitions", view_partitions(e, now));
    put(json, "operation", view_operation(e));
    return json;
}

json_t *view_fleet_event(const struct entry *e)
{
    const struct fleet *f = &e->mirror->fleet;
    int states[RIGHT_COUNT] = { 0 };
    json_t *batons = json_object(), *json = json_object();

    for (int i = 0; i < f->baton_count; i++)
        states[f->batons[i].state]++;
    for (int i = 0; i < RIGHT_COUNT; i++)
        put(batons, right_name((enum right)i), json_integer(states[i]));
    put(json, "fleet", text(e->mirror->name));
    put(json, "phase", text(phase_name(f->phase)));
    put(json, "active", text(color_name(f->active)));
    put(json, "term", json_integer(f->version.term));
    put(json, "epoch", json_integer((json_int_t)f->version.epoch));
    put(json, "switch", json_integer(f->switch_number));
    put(json, "holds", json_pack("{s:i, s:i}", "blue", fleet_count_held(f, BLUE), "green", fleet_count_held(f, GREEN)));
    put(json, "batons", batons);
    return json;
}
