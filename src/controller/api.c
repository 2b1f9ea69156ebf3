/*
 * api - the routes and what each does. One table; docs/openapi.yaml is compared with it by a test.
 *
 * A handler answers the call, parks it (call_wait) or gives it to somebody who will answer it (state TAKEN). It may
 * be run again for the same call as often as needed, so it changes nothing before it knows that it can go through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/configmap.h"
#include "controller/internal.h"
#include "controller/keeper.h"
#include "http/parse.h"
#include "http/server.h"

#define SHOWN_SOON_MS 2000        /* how long a follower waits for an operation that the leader has just begun */
#define BIRTH_BOUNDS_MS_MAX 10000 /* how long a new fleet waits for its partitions to have leaders */
#define BIRTH_TOPIC_MS_MAX 2000   /* and for a topic to be known at all, which may also be a slip of the pen */
#define BIRTH_AGAIN_MS 200

struct target { /* what the path names */
    char fleet[FLEET_NAME_MAX + 1];
    uint32_t number;
    char group[GROUP_NAME_MAX + 1];
};

typedef void handler(struct controller *c, struct call *call, const struct target *target);

enum when { AT_ONCE, REPLAYED, LEADING };

struct route {
    struct api_route api;
    enum when when;
    handler *handle;
};

/* --- small things ------------------------------------------------------------------------------------------------- */

static void get_health(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    call_json(call, 200, json_pack("{s:s, s:I}", "status", "alive", "up_ms", (json_int_t)(clock_ms() - c->opened_ms)));
}

static void get_ready(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    if (c->stopping)
        call_error(call, 503, "unavailable", NULL, NULL, "the controller is stopping");
    else if (c->trouble[0])
        call_error(call, 503, "unavailable", NULL, NULL, "%s", c->trouble);
    else if (c->mirror.newer[0])
        call_error(call, 503, "unavailable", "run a newer Baton", NULL, "%s", c->mirror.newer);
    else if (!c->replayed)
        call_error(call, 503, "unavailable", "try again in a moment", NULL, "the log is being replayed");
    else
        call_json(call, 200,
                  json_pack("{s:s, s:s}", "status", "ready", "role",
                            controller_role_name(controller_leads(c) ? CONTROLLER_LEADING : CONTROLLER_FOLLOWING)));
}

static void get_version(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    call_json(call, 200,
              json_pack("{s:s, s:s, s:s}", "version", BATON_VERSION, "librdkafka", rd_kafka_version_str(), "controller",
                        c->id));
}

static void get_metrics(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    metrics_get(c, call);
}

static void get_leader(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    call_json(call, 200, view_leader(c));
}

static void get_lags(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    lag_answer(c, call, NULL);
}

static void get_lag(struct controller *c, struct call *call, const struct target *target)
{
    lag_answer(c, call, target->group);
}

static void get_events(struct controller *c, struct call *call, const struct target *target)
{
    (void)c;
    (void)target;
    call_error(call, 400, "invalid", "use controller_watch() in process", NULL, "events are a stream of their own");
}

static struct entry *find_fleet(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = entry_get(c, target->fleet);
    const char *names[FLEETS_MAX], *near;
    size_t count = 0;

    if (e)
        return e;
    for (const struct mirror_fleet *f = c->mirror.fleets; f && count < FLEETS_MAX; f = f->next)
        if (f->fleet.exists)
            names[count++] = f->name;
    near = suggest(target->fleet, names, count);
    call_error(call, 404, "not-found", "'baton fleet list' shows all", NULL, "there is no fleet '%s'%s%s%s",
               target->fleet, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static void get_fleets(struct controller *c, struct call *call, const struct target *target)
{
    (void)target;
    call_json(call, 200, view_fleets(c));
}

static void on_fleet_reading(void *opaque, struct reading *r)
{
    struct call *call = opaque;
    struct entry *e = entry_get(call->c, reading_fleet(r)->spec.fleet);

    call->reading = NULL;
    if (!e)
        call_error(call, 404, "not-found", NULL, NULL, "the fleet has been deleted meanwhile");
    else if (reading_snapshot(r)->error[0])
        call_error(call, 503, "unavailable", NULL, NULL, "the brokers could not be asked: %s",
                   reading_snapshot(r)->error);
    else
        call_json(call, 200, view_fleet(e, reading_snapshot(r)));
    reading_free(r);
}

static void get_fleet(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    char offsets[8];

    if (!e)
        return;
    if (http_query_get(call->query, "offsets", offsets, sizeof(offsets)) && !strcmp(offsets, "true")) {
        call->state = CALL_TAKEN;
        call->reading =
            brokers_read(c->brokers, READING_OFFSETS | READING_BOUNDS, &e->mirror->fleet, on_fleet_reading, call);
        return;
    }
    call_json(call, 200, view_fleet(e, NULL));
}

static void get_signals(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);

    if (!e)
        return;
    if (controller_leads(c))
        watch_get(e, call);
    else
        call_to_leader(call);
}

static void get_switches(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    struct errmsg m = { 0 };
    json_t *json;
    int r;

    if (!e)
        return;
    r = view_switches(&json, e, &m);
    if (r < 0)
        call_fail(call, r, &m);
    else
        call_json(call, 200, json);
}

/* True: the operation is not here, and the call has been parked or answered. A follower may be a moment behind. */
static bool op_missing(struct controller *c, struct call *call, struct entry *e, uint32_t number)
{
    const struct mirror_op *o = mirror_op_find(e->mirror, number);

    if (o && o->op.bytes)
        return false;
    if (!controller_leads(c) && number > e->mirror->fleet.switch_number &&
        number - e->mirror->fleet.switch_number < 10 && clock_ms() - call->began_ms < SHOWN_SOON_MS) {
        call_wait(call, "the operation to be seen in the log");
        return true;
    }
    call_error(call, 404, "not-found", "'baton history' shows all that are kept", NULL,
               "fleet '%s' has no operation %u", e->mirror->name, number);
    return true;
}

static void get_switch(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    struct errmsg m = { 0 };
    json_t *json;
    int r;

    if (!e || op_missing(c, call, e, target->number))
        return;
    r = view_switch(&json, e, target->number, &m);
    if (r < 0)
        call_fail(call, r, &m);
    else
        call_json(call, 200, json);
}

static void get_receipt(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    struct str text = STR_WITH_MAX(API_BODY_MAX);
    struct errmsg m = { 0 };
    int r;

    if (!e || op_missing(c, call, e, target->number))
        return;
    r = view_receipt(&text, e, target->number, &m);
    if (r < 0) {
        str_free(&text);
        call_fail(call, r, &m);
    } else {
        call_str(call, 200, &text);
    }
}

static void get_verify(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);

    if (e && !op_missing(c, call, e, target->number))
        verify_begin(e, call, target->number);
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

void api_order_planned(struct call *call, const struct findings *findings)
{
    call_json(call, 200,
              json_pack("{s:b, s:i, s:o}", "ok", findings->refusals == 0, "findings_total", findings->total, "findings",
                        view_findings(findings)));
}

/* False: answered with what is wrong. */
static bool order_read(struct call *call, const struct entry *e, struct order *ret, enum order_kind kind,
                       bool kind_given)
{
    struct errmsg m = { 0 };
    int r;

    if (call->body_len > 0 && call->content_type[0] && strncasecmp(call->content_type, "application/json", 16) != 0) {
        call_error(call, 415, "invalid", "send Content-Type: application/json", NULL,
                   "an order is a JSON object, not %.80s", call->content_type);
        return false;
    }
    r = body_order(ret, &e->mirror->fleet.spec, call->body, call->body_len, kind, kind_given, &m);
    if (r < 0) {
        call_fail(call, r, &m);
        return false;
    }
    if (ret->request_id[0])
        text_copy(call->request_id, sizeof(call->request_id), ret->request_id);
    else
        text_copy(ret->request_id, sizeof(ret->request_id), call->request_id);
    if (!ret->by[0])
        text_copy(ret->by, sizeof(ret->by), call->by[0] ? call->by : "unknown");
    return true;
}

static void channel_findings(const struct entry *e, struct findings *ret)
{
    keeper_findings(e->c->keeper, ret);
    configmaps_findings(e->c->configmaps, &e->mirror->fleet, ret);
}

static void on_plan_reading(void *opaque, struct reading *r)
{
    struct call *call = opaque;
    struct entry *e = entry_get(call->c, reading_fleet(r)->spec.fleet);
    struct findings *findings = calloc(1, sizeof(*findings));
    struct errmsg m = { 0 };
    int error;

    ASSERT(findings != NULL);
    call->reading = NULL;
    error = e ? plan_on_copy(e, call->order, r, findings, &m)
              : err_set(&m, ERR_NOT_FOUND, "the fleet has been deleted meanwhile");
    if (error < 0)
        call_fail(call, error, &m);
    else {
        channel_findings(e, findings);
        watch_findings(e, findings);
        api_order_planned(call, findings);
    }
    free(findings);
    reading_free(r);
}

static void plan(struct controller *c, struct call *call, struct entry *e, struct order *order)
{
    order->dry_run = true;
    free(call->order);
    call->order = malloc(sizeof(*order));
    ASSERT(call->order != NULL);
    *call->order = *order;
    call->state = CALL_TAKEN;
    call->reading = brokers_read(c->brokers, READING_GROUPS | READING_OFFSETS | READING_BOUNDS | READING_TOPICS,
                                 &e->mirror->fleet, on_plan_reading, call);
}

static void post_plan(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    struct order order;

    if (e && order_read(call, e, &order, ORDER_SWITCH, true))
        plan(c, call, e, &order);
}

/* The same request id in the history: what became of it. */
static bool answered_before(struct entry *e, struct call *call)
{
    struct errmsg ignored;

    for (int i = e->mirror->log.op_count - 1; i >= 0; i--) {
        json_t *json;
        struct op op;

        if (mirror_op_decode(&op, mirror_op_at(e->mirror, i), NULL, NULL, 0, &ignored) < 0 ||
            strcmp(op.request_id, call->request_id) != 0)
            continue;
        if (view_switch(&json, e, op.number, &ignored) < 0)
            return false;
        call_json(call, 202, json);
        return true;
    }
    return false;
}

static bool led_here(struct call *call, struct entry *e)
{
    if (e->led)
        return true;
    call_error(call, 503, "unavailable", NULL, NULL, "fleet '%s' cannot be changed: %s", e->mirror->name,
               e->mirror->broken[0] ? e->mirror->broken : "its document is not led");
    return false;
}

static void order_take(struct controller *c, struct call *call, const struct target *target, enum order_kind kind)
{
    struct entry *e = find_fleet(c, call, target);
    struct order order;

    if (!e || !order_read(call, e, &order, kind, false))
        return;
    if (order.dry_run) {
        plan(c, call, e, &order);
        return;
    }
    if (!controller_leads(c)) {
        call_to_leader(call);
        return;
    }
    if (!answered_before(e, call) && led_here(call, e))
        led_order_take(e->led, call, &order);
}

static void post_switch(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_SWITCH);
}

static void post_rollback(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_ROLLBACK);
}

static void post_pause(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_PAUSE);
}

static void post_resume(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_RESUME);
}

static void post_throttle(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_THROTTLE);
}

static void post_hold(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_HOLD);
}

static void post_promote(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_PROMOTE);
}

static void post_abort(struct controller *c, struct call *call, const struct target *target)
{
    order_take(c, call, target, ORDER_ABORT);
}

/* --- a fleet is made, changed, deleted ---------------------------------------------------------------------------- */

static bool is_yaml(const char *type)
{
    static const char *const types[] = { "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml" };

    for (size_t i = 0; i < ARRAY_COUNT(types); i++)
        if (!strncasecmp(type, types[i], strlen(types[i])))
            return true;
    return false;
}

static int spec_read_json(struct spec *ret, const struct call *call, struct errmsg *m)
{
    json_error_t why;
    json_t *json = json_loadb(call->body, call->body_len, JSON_REJECT_DUPLICATES, &why);
    int r;

    if (!json)
        return err_set(m, ERR_INVALID, "the body is not JSON: line %d, column %d: %.120s", why.line, why.column,
                       why.text);
    r = spec_from_json(ret, json, m);
    json_decref(json);
    return r;
}

/* False: answered with what is wrong. */
static bool spec_read(struct call *call, const struct target *target)
{
    char name[200] = "fleet file";
    struct errmsg m = { 0 };
    int r;

    free(call->spec);
    call->spec = calloc(1, sizeof(*call->spec));
    ASSERT(call->spec != NULL);
    http_query_get(call->query, "file", name, sizeof(name));
    if (call->body_len > SPEC_BYTES_MAX)
        r = err_set(&m, ERR_TOO_LARGE, "a fleet file has at most %d bytes", SPEC_BYTES_MAX);
    else if (is_yaml(call->content_type))
        r = spec_from_yaml(call->spec, name, call->body, call->body_len, &m);
    else if (!call->content_type[0] || !strncasecmp(call->content_type, "application/json", 16))
        r = spec_read_json(call->spec, call, &m);
    else {
        call_error(call, 415, "invalid", "send application/yaml or application/json", NULL,
                   "a fleet file is YAML or JSON, not %.80s", call->content_type);
        return false;
    }
    if (r == ERR_OK)
        r = spec_validate(call->spec, &m);
    if (r == ERR_OK && strcmp(call->spec->fleet, target->fleet) != 0)
        r = err_set(&m, ERR_INVALID, "the body describes fleet '%s', the path names '%s'", call->spec->fleet,
                    target->fleet);
    if (r < 0)
        call_fail(call, r == ERR_CORRUPT ? ERR_INVALID : r, &m);
    return r == ERR_OK;
}

static void refuse_birth(struct call *call, const char *mend, const char *what)
{
    struct entry *e = entry_make(call->c, call->spec->fleet);

    if (e)
        e->birth = NULL;
    call_error(call, 422, "refused", mend, NULL, "%s", what);
}

/*
 * The brokers do not know enough, perhaps only yet: a topic that was just created is not known to each of them at once,
 * and its partitions have no leaders in the first moment. Asked again for so long, then refused.
 */
static void birth_again(struct call *call, int64_t patience_ms, const char *mend, const char *what)
{
    const int64_t now_ms = clock_ms();
    struct entry *e = entry_make(call->c, call->spec->fleet);

    if (now_ms - call->birth_ms >= patience_ms) {
        refuse_birth(call, mend, what);
        return;
    }
    if (e)
        e->birth = NULL;
    call->again_ms = now_ms + BIRTH_AGAIN_MS;
    call_wait(call, "the brokers to know the fleet's topics and their leaders");
}

/* Where a fleet's batons begin: where the active color's group stands, else by its offset_reset. */
static bool birth_batons(struct call *call, const struct fleet *f, const struct snapshot *now, struct baton *batons,
                         uint64_t *ret_epoch)
{
    const struct spec *spec = &f->spec;
    char what[400];

    for (int i = 0; i < f->baton_count; i++) {
        const struct partition_view *view = &now->partitions[i];
        const char *topic = spec->topics[f->batons[i].topic];
        const int partition = (int)f->batons[i].partition;

        batons[i] = f->batons[i];
        for (int color = 0; color < COLOR_COUNT; color++)
            if (view->mark[color].kind == MARK_EPOCH && view->mark[color].epoch >= *ret_epoch)
                *ret_epoch = view->mark[color].epoch + 1;
        batons[i].from = view->committed[spec->first_active];
        if (batons[i].from != OFFSET_NONE)
            continue;
        if (spec->offset_reset == RESET_NONE) {
            snprintf(what, sizeof(what), "group '%.120s' has nothing committed for %.120s/%d, and offset_reset is none",
                     spec->colors[spec->first_active].group, topic, partition);
            refuse_birth(
                call, "commit a starting point (kafka-consumer-groups.sh --reset-offsets), or say earliest or latest",
                what);
            return false;
        }
        batons[i].from = spec->offset_reset == RESET_EARLIEST ? view->log_start : view->log_end;
        if (batons[i].from == OFFSET_NONE) {
            snprintf(what, sizeof(what), "the brokers do not say where %.120s/%d begins and ends", topic, partition);
            birth_again(call, BIRTH_BOUNDS_MS_MAX, "see whether the partition has a leader, then try again", what);
            return false;
        }
    }
    return true;
}

static void on_birth_reading(void *opaque, struct reading *r)
{
    struct call *call = opaque;
    struct controller *c = call->c;
    struct entry *e = entry_make(c, call->spec->fleet);
    const struct fleet *f = reading_fleet(r);
    struct baton *batons = calloc((size_t)f->baton_count + 1, sizeof(*batons));
    uint64_t epoch = e->mirror->log.epoch_highest + 1;
    char what[400];

    ASSERT(batons != NULL);
    call->reading = NULL;
    if (reading_snapshot(r)->error[0]) {
        snprintf(what, sizeof(what), "the brokers could not be asked: %.300s", reading_snapshot(r)->error);
        e->birth = NULL;
        call_error(call, 503, "unavailable", NULL, NULL, "%s", what);
    } else if (!controller_leads(c) || e->led || e->mirror->fleet.exists) {
        e->birth = NULL;
        call_again(call); /* the world has changed meanwhile */
    } else if (birth_batons(call, f, reading_snapshot(r), batons, &epoch)) {
        e->birth = NULL;
        reign_birth_take(c, e, call, call->spec, batons, f->baton_count, epoch);
    }
    free(batons);
    reading_free(r);
}

static void birth_add_topic(struct fleet *f, int topic, int partition_count)
{
    for (int p = 0; p < partition_count; p++)
        f->batons[f->baton_count++] = (struct baton){
            .topic = (uint16_t)topic, .partition = p, .holder = f->spec.first_active, .doubt = OFFSET_NONE
        };
}

static void on_birth_topics(void *opaque, struct kafka_answer *a)
{
    struct call *call = opaque;
    struct fleet f = { .spec = *call->spec };
    char what[400] = "";
    bool missing = false;
    int total = 0;

    for (int i = 0; i < f.spec.topic_count && !what[0]; i++) {
        missing = a->error == ERR_OK && i < a->topic_count && !a->topics[i].exists;
        if (a->error < 0 || i >= a->topic_count)
            snprintf(what, sizeof(what), "the topics could not be read: %.300s", a->message.text);
        else if (missing)
            snprintf(what, sizeof(what), "topic '%.120s': %.160s", f.spec.topics[i],
                     a->topics[i].why[0] ? a->topics[i].why : "there is no such topic");
        else
            total += a->topics[i].partition_count;
    }
    if (!what[0] && total > BATONS_MAX)
        snprintf(what, sizeof(what), "the topics have %d partitions, a fleet can have %d", total, BATONS_MAX);
    if (what[0]) {
        if (missing)
            birth_again(call, BIRTH_TOPIC_MS_MAX, "create the topic, or mend its name in the fleet file", what);
        else
            refuse_birth(call,
                         a->error < 0 ? "try again when the brokers answer"
                                      : "take fewer topics, or split them over two fleets",
                         what);
        return;
    }
    f.batons = calloc((size_t)total + 1, sizeof(*f.batons));
    ASSERT(f.batons != NULL);
    f.baton_max = total;
    for (int i = 0; i < f.spec.topic_count; i++)
        birth_add_topic(&f, i, a->topics[i].partition_count);
    call->reading = brokers_read(call->c->brokers, READING_OFFSETS | READING_BOUNDS, &f, on_birth_reading, call);
    free(f.batons);
}

static void fleet_birth(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = entry_make(c, target->fleet);
    const char *topics[TOPICS_MAX];
    int fleets = 0;

    for (const struct mirror_fleet *f = c->mirror.fleets; f; f = f->next)
        fleets += f->fleet.exists;
    if (!e || fleets >= FLEETS_MAX) {
        call_error(call, 422, "refused", "delete a fleet that is not needed any more", NULL,
                   "there are %d fleets already, which is the most", fleets);
        return;
    }
    if (e->birth || e->led) {
        call_wait(call, "another request that makes this fleet");
        return;
    }
    for (int i = 0; i < call->spec->topic_count; i++)
        topics[i] = call->spec->topics[i];
    e->birth = call;
    if (call->birth_ms == 0)
        call->birth_ms = clock_ms();
    call->state = CALL_TAKEN;
    brokers_topics(c->brokers, topics, call->spec->topic_count, on_birth_topics, call);
}

/* What an edited fleet file may not change: NULL, or a sentence. */
static const char *spec_forbidden(const struct spec *old, const struct spec *new, char ret[400])
{
    if (new->topic_count < old->topic_count)
        return "topics can be appended to a fleet, not removed";
    for (int i = 0; i < old->topic_count; i++)
        if (strcmp(old->topics[i], new->topics[i]) != 0) {
            snprintf(ret, 400, "topic '%.120s' stands where '%.120s' was: topics can only be appended", new->topics[i],
                     old->topics[i]);
            return ret;
        }
    for (int c = 0; c < COLOR_COUNT; c++)
        if (strcmp(old->colors[c].group, new->colors[c].group) != 0) {
            snprintf(ret, 400, "the group of %s cannot change from '%.120s' to '%.120s'", color_name((enum color)c),
                     old->colors[c].group, new->colors[c].group);
            return ret;
        }
    return old->strategy != new->strategy ? "the strategy of a fleet cannot change" : NULL;
}

/* It was made or changed: as it is now, and what its members' channels have to say of it. */
static void answer_applied(struct call *call, int status, struct entry *e)
{
    struct findings *findings = must(calloc(1, sizeof(*findings)));
    json_t *json = view_fleet(e, NULL);

    channel_findings(e, findings);
    json_object_set_new(json, "findings", view_findings(findings));
    call_json(call, status, json);
    free(findings);
}

static void put_fleet(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = entry_get(c, target->fleet);
    const struct switcher *s;
    const char *forbidden;
    char text[400];

    if (!spec_read(call, target))
        return;
    if (!controller_leads(c)) {
        call_to_leader(call);
        return;
    }
    if (!e) {
        fleet_birth(c, call, target);
        return;
    }
    if (!led_here(call, e))
        return;
    s = led_switcher(e->led);
    forbidden = spec_forbidden(&s->fleet->spec, call->spec, text);
    if (forbidden)
        call_error(call, 422, "refused", "delete the fleet and make it anew, or make a second one", NULL, "%s",
                   forbidden);
    else if (!op_ended(&s->op))
        call_error(call, 409, "conflict", "apply the file again when it has ended", NULL, "%s %u is under way",
                   op_kind_name(s->op.kind), s->op.number);
    else if (!memcmp(&s->fleet->spec, call->spec, sizeof(*call->spec))) // NOLINT: both came out of one zeroed struct
        answer_applied(call, 200, e);                                   /* nothing to write */
    else
        led_spec_take(e->led, call, call->spec);
}

static void delete_fleet(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = find_fleet(c, call, target);
    const struct switcher *s;

    if (!e)
        return;
    if (!controller_leads(c)) {
        call_to_leader(call);
        return;
    }
    if (!led_here(call, e))
        return;
    s = led_switcher(e->led);
    if (!op_ended(&s->op))
        call_error(call, 409, "conflict", "wait until it has ended, or roll it back", NULL, "%s %u is under way",
                   op_kind_name(s->op.kind), s->op.number);
    else
        led_delete_take(e->led, call);
}

/* --- members without rights on Baton's topics ---------------------------------------------------------------------- */

static void get_log(struct controller *c, struct call *call, const struct target *target)
{
    (void)c;
    (void)target;
    call_error(call, 400, "invalid", "ask over HTTP", NULL, "the log is a stream of its own");
}

static void get_log_end(struct controller *c, struct call *call, const struct target *target)
{
    if (c->replayed)
        feeds_end(c->feeds, call, target->fleet);
    else
        call_wait(call, "the replay of the log");
}

static void post_report(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e;

    if (!c->replayed) {
        call_wait(call, "the replay of the log");
        return;
    }
    e = find_fleet(c, call, target);
    if (e)
        feeds_report(call, e);
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

/*
 *      method  path                                          changes open  summary                           when
 * handler
 */
static const struct route routes[] = {
    { { "GET", "/v1/fleets", false, false, "All fleets in brief" }, REPLAYED, get_fleets },
    { { "GET", "/v1/fleets/{fleet}", false, false, "One fleet: members, partitions, operation" }, REPLAYED, get_fleet },
    { { "PUT", "/v1/fleets/{fleet}", true, false, "Make a fleet, or change its policies" }, REPLAYED, put_fleet },
    { { "DELETE", "/v1/fleets/{fleet}", true, false, "Forget a fleet" }, REPLAYED, delete_fleet },
    { { "POST", "/v1/fleets/{fleet}/plan", false, false, "Preflight: what would an order meet" }, REPLAYED, post_plan },
    { { "GET", "/v1/fleets/{fleet}/signals", false, false, "What the judge was told" }, REPLAYED, get_signals },
    { { "GET", "/v1/fleets/{fleet}/switches", false, false, "Operations, newest first" }, REPLAYED, get_switches },
    { { "POST", "/v1/fleets/{fleet}/switches", true, false, "Switch to the other color" }, REPLAYED, post_switch },
    { { "GET", "/v1/fleets/{fleet}/switches/{number}", false, false, "One operation with its progress" },
      REPLAYED,
      get_switch },
    { { "GET", "/v1/fleets/{fleet}/switches/{number}/receipt", false, false, "Its receipt" }, REPLAYED, get_receipt },
    { { "GET", "/v1/fleets/{fleet}/switches/{number}/verify", false, false, "The receipt against the brokers" },
      REPLAYED,
      get_verify },
    { { "POST", "/v1/fleets/{fleet}/rollback", true, false, "Go back to the other color" }, REPLAYED, post_rollback },
    { { "POST", "/v1/fleets/{fleet}/pause", true, false, "Hold all batons: nobody processes" }, REPLAYED, post_pause },
    { { "GET", "/v1/fleets/{fleet}/log", false, false, "Its part of the control log, as server-sent events" },
      AT_ONCE,
      get_log },
    { { "GET", "/v1/fleets/{fleet}/log/end", false, false, "Where the control log ends now" }, AT_ONCE, get_log_end },
    { { "POST", "/v1/fleets/{fleet}/reports", true, false, "A member's report" }, AT_ONCE, post_report },
    { { "GET", "/v1/lag", false, false, "How far consumer groups are behind" }, AT_ONCE, get_lags },
    { { "GET", "/v1/lag/{group}", false, false, "One group, by partition" }, AT_ONCE, get_lag },
    { { "POST", "/v1/fleets/{fleet}/resume", true, false, "Set a paused or throttled fleet going" },
      REPLAYED,
      post_resume },
    { { "POST", "/v1/fleets/{fleet}/throttle", true, false, "Let a share of the partitions work" },
      REPLAYED,
      post_throttle },
    { { "POST", "/v1/fleets/{fleet}/hold", true, false, "Stay at the present stage" }, REPLAYED, post_hold },
    { { "POST", "/v1/fleets/{fleet}/promote", true, false, "Go on to the next stage now" }, REPLAYED, post_promote },
    { { "POST", "/v1/fleets/{fleet}/abort", true, false, "Take back what is under way" }, REPLAYED, post_abort },
    { { "GET", "/v1/leader", false, false, "Who leads" }, AT_ONCE, get_leader },
    { { "GET", "/metrics", false, false, "Metrics for Prometheus" }, AT_ONCE, get_metrics },
    { { "GET", "/v1/events", false, false, "Server-sent events" }, AT_ONCE, get_events },
    { { "GET", "/healthz", false, true, "Is the process alive" }, AT_ONCE, get_health },
    { { "GET", "/readyz", false, true, "Is the log replayed and Kafka reachable" }, AT_ONCE, get_ready },
    { { "GET", "/version", false, true, "Versions" }, AT_ONCE, get_version },
};

const struct api_route *api_routes(int *ret_count)
{
    static struct api_route list[ARRAY_COUNT(routes)];

    for (size_t i = 0; i < ARRAY_COUNT(routes); i++)
        list[i] = routes[i].api;
    *ret_count = (int)ARRAY_COUNT(routes);
    return list;
}

static bool segment_take(struct target *target, const char *name, const char *value, size_t len)
{
    char text[GROUP_NAME_MAX + 1];
    int64_t number;

    if (len == 0 || len >= sizeof(text))
        return false;
    memcpy(text, value, len);
    text[len] = '\0';
    if (!strncmp(name, "{fleet}", 7))
        return text_copy(target->fleet, sizeof(target->fleet), text);
    if (!strncmp(name, "{group}", 7))
        return text_copy(target->group, sizeof(target->group), text);
    if (parse_int64(&number, text, 1, UINT32_MAX, NULL) < 0)
        return false;
    target->number = (uint32_t)number;
    return true;
}

static bool path_matches(const char *pattern, const char *path, struct target *target)
{
    memset(target, 0, sizeof(*target));
    while (*pattern && *path) {
        const size_t pattern_len = strcspn(pattern + 1, "/"), len = strcspn(path + 1, "/");

        if (*path != '/')
            return false;
        if (pattern[1] == '{') {
            if (!segment_take(target, pattern + 1, path + 1, len))
                return false;
        } else if (pattern_len != len || strncmp(pattern + 1, path + 1, len) != 0) {
            return false;
        }
        pattern += 1 + pattern_len;
        path += 1 + len;
    }
    return !*pattern && !*path;
}

static const struct route *route_find(const char *method, const char *path, struct target *target, bool *ret_path_known)
{
    *ret_path_known = false;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!path_matches(routes[i].api.path, path, target))
            continue;
        *ret_path_known = true;
        if (!strcmp(routes[i].api.method, method))
            return &routes[i];
    }
    return NULL;
}

const struct api_route *api_route_find(const char *method, const char *path, bool *ret_path_known)
{
    struct target ignored;
    const struct route *route = route_find(method, path, &ignored, ret_path_known);

    return route ? &route->api : NULL;
}

/* What the members' token is good for. */
static bool for_members(const struct route *route)
{
    return route->handle == get_log || route->handle == get_log_end || route->handle == post_report;
}

/* What was asked for is in the log; it is answered once the mirror shows it. */
static void answer_done(struct controller *c, struct call *call, const struct target *target)
{
    struct entry *e = entry_get(c, target->fleet);

    if (call->done_status == 204)
        call_text(call, 204, NULL, "", 0);
    else if (e)
        answer_applied(call, call->done_status, e);
    else
        call_error(call, 404, "not-found", NULL, NULL, "the fleet has been deleted meanwhile");
}

void api_dispatch(struct controller *c, struct call *call)
{
    struct target target;
    bool path_known;
    const struct route *route = route_find(call->method, call->path, &target, &path_known);

    if (!route && burrow_path(call->path))
        burrow_answer(c, call);
    else if (!route && path_known)
        call_error(call, 405, "method-not-allowed", NULL, NULL, "%s is not possible on %.200s", call->method,
                   call->path);
    else if (!route)
        call_error(call, 404, "not-found", "the routes stand in docs/openapi.yaml", NULL, "there is nothing at %.200s",
                   call->path);
    else if (route->when == AT_ONCE)
        route->handle(c, call, &target);
    else if (c->stopping)
        call_error(call, 503, "unavailable", "send it again: another controller will answer", NULL,
                   "the controller is stopping");
    else if (!c->replayed)
        call_wait(call, "the replay of the log");
    else if (call->need_position > c->mirror.position || (controller_leads(c) && c->acked_offset >= c->mirror.position))
        call_wait(call, "the log to be read back");
    else if (call->done_status)
        answer_done(c, call, &target);
    else if (shown_before(call))
        return;
    else if (c->mirror.newer[0] && route->api.changes)
        call_error(call, 503, "unavailable", "run a newer Baton", NULL, "%s", c->mirror.newer);
    else
        route->handle(c, call, &target);
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

struct http_ticket {
    struct controller *c;
    struct http_exchange *x;
};

static void http_answered(void *opaque, const struct api_answer *answer)
{
    struct http_ticket *ticket = opaque;

    if (answer->pieces.more)
        http_answer_pieces(ticket->x, answer->status, answer->content_type, answer->pieces);
    else
        http_answer(ticket->x, answer->status, answer->content_type, answer->body, answer->body_len, answer->location);
    free(ticket);
}

static void http_gone(void *opaque)
{
    struct http_ticket *ticket = opaque;

    controller_forget(ticket->c, http_answered, ticket);
    free(ticket);
}

static void http_refuse(struct http_exchange *x, int status, const char *message, const char *mend)
{
    struct str body = STR_WITH_MAX(8192);

    error_encode(&body, code_of_status(status), message, mend, NULL, NULL);
    http_answer(x, status, "application/json", body.buf, body.len, NULL);
    str_free(&body);
}

void http_refusal_json(void *opaque, int status, const char *why, char *ret, size_t ret_size)
{
    struct str body = STR_WITH_MAX(1000);

    (void)opaque;
    error_encode(&body, code_of_status(status), why, NULL, NULL, NULL);
    text_copy(ret, ret_size, body.buf);
    str_free(&body);
}

void http_handle(void *opaque, struct http_exchange *x, const struct http_request *request)
{
    struct controller *c = opaque;
    struct target target;
    bool path_known;
    const struct route *route = route_find(request->method, request->path, &target, &path_known);
    const bool open = route && (route->api.open || (!route->api.changes && c->config.open_reads) ||
                                (request->authorized_member && for_members(route)));
    const bool burrow = c->config.open_reads && burrow_path(request->path) && !strcmp(request->method, "GET");
    struct http_ticket *ticket;

    if (!open && !burrow && !request->authorized) {
        http_refuse(x, 401, "the bearer token is missing or wrong", "give --token-file with the controller's token");
        return;
    }
    if (route && route->handle == get_events && !c->stopping) {
        events_stream(c, x, request->last_event_id);
        return;
    }
    if (route && route->handle == get_log && !c->stopping) {
        if (!feeds_stream(c->feeds, x, target.fleet))
            http_refuse(x, 503, "the control log is being replayed", "try again in a moment");
        return;
    }
    if (strlen(request->method) > 7) {
        http_refuse(x, 405, "the method is not known", NULL);
        return;
    }
    ticket = calloc(1, sizeof(*ticket));
    ASSERT(ticket != NULL);
    ticket->c = c;
    ticket->x = x;
    http_exchange_on_hung_up(x, http_gone, ticket);
    controller_request(c,
                       &(struct api_request){
                           .method = request->method,
                           .path = request->path,
                           .query = request->query,
                           .content_type = request->content_type,
                           .accept = request->accept,
                           .body = request->body,
                           .body_len = request->body_len,
                           .by = request->by[0] ? request->by : request->peer,
                           .request_id = request->request_id,
                           .pieces = true,
                       },
                       http_answered, ticket);
}
