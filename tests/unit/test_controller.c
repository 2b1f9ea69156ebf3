/*
 * controller: the mirror and the strict bodies as pure functions; then whole controllers, in process, on the embedded
 * broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "http/client.h"

#define WAIT_MS 60000

/* --- the mirror --------------------------------------------------------------------------------------------------- */

struct log {
    struct mirror mirror;
    int64_t offset;
    char story[4000];
};

static void on_change(void *opaque, const struct mirror_change *change)
{
    static const char *const names[] = { "claim", "head", "shard", "op", "passes", "gone", "void" };
    struct log *log = opaque;
    size_t len = strlen(log->story);

    snprintf(log->story + len, sizeof(log->story) - len, "%s%s@%lld", len ? " " : "", names[change->type],
             (long long)change->offset);
}

static void log_open(struct log *log)
{
    memset(log, 0, sizeof(*log));
    assert_int_equal(mirror_init(&log->mirror, on_change, log), ERR_OK);
}

static void log_put(struct log *log, const char *key, const char *value, size_t len)
{
    const struct kafka_record rec = {
        .key = key, .key_len = strlen(key), .value = value, .value_len = len, .offset = log->offset++
    };

    mirror_record(&log->mirror, &rec);
}

static void log_claim(struct log *log, const char *controller)
{
    struct claim claim = { .unix_ms = 1 };
    struct str text = STR_WITH_MAX(4096);
    struct errmsg m = { 0 };

    text_copy(claim.controller, sizeof(claim.controller), controller);
    text_copy(claim.host, sizeof(claim.host), "h");
    text_copy(claim.version, sizeof(claim.version), "1");
    assert_int_equal(claim_encode(&text, &claim, &m), ERR_OK);
    log_put(log, "term", text.buf, text.len);
    str_free(&text);
}

static void make_fleet(struct fleet *f, struct baton *batons, int count, int64_t term, uint64_t epoch)
{
    fleet_init(f, batons, count);
    spec_defaults(&f->spec);
    text_copy(f->spec.fleet, sizeof(f->spec.fleet), "payments");
    text_copy(f->spec.topics[0], sizeof(f->spec.topics[0]), "orders");
    text_copy(f->spec.colors[BLUE].group, sizeof(f->spec.colors[BLUE].group), "payments-blue");
    text_copy(f->spec.colors[GREEN].group, sizeof(f->spec.colors[GREEN].group), "payments-green");
    f->spec.topic_count = 1;
    f->exists = true;
    f->version = f->applied = (struct version){ term, epoch };
    f->baton_count = count;
    for (int i = 0; i < count; i++)
        batons[i] = (struct baton){
            .partition = i, .from = 100 + i, .epoch = 1, .order = 1, .doubt = OFFSET_NONE, .taken = true
        };
}

static void log_fleet(struct log *log, int count, int64_t term, uint64_t epoch, bool head)
{
    struct baton *batons = calloc((size_t)count, sizeof(*batons));
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct fleet f;
    struct errmsg m = { 0 };
    char key[RECORD_KEY_MAX];

    make_fleet(&f, batons, count, term, epoch);
    for (int shard = 0; count > SHARD_BATONS && shard * SHARD_BATONS < count; shard++) {
        str_clear(&text);
        assert_int_equal(fleet_encode(&text, &f, shard, &m), ERR_OK);
        snprintf(key, sizeof(key), "fleet/payments/batons/%d", shard);
        log_put(log, key, text.buf, text.len);
    }
    str_clear(&text);
    if (head && fleet_encode(&text, &f, -1, &m) < 0)
        fail_msg("%s", m.text);
    if (head)
        log_put(log, "fleet/payments", text.buf, text.len);
    str_free(&text);
    free(batons);
}

static void log_op(struct log *log, uint32_t number, int64_t term, const char *reason)
{
    struct op op = { .number = number,
                     .kind = OP_SWITCH,
                     .state = OP_COMPLETE,
                     .to = GREEN,
                     .stages = { .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 } };
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct baton batons[1];
    struct fleet f;
    struct errmsg m = { 0 };
    char key[RECORD_KEY_MAX];

    make_fleet(&f, batons, 1, term, 50);
    op.created_unix_ms = 1000;
    op.ended_unix_ms = 2000;
    op.deadline_ms = 1000;
    text_copy(op.reason, sizeof(op.reason), reason);
    text_copy(op.by, sizeof(op.by), "test");
    text_copy(op.request_id, sizeof(op.request_id), "r1");
    if (op_encode(&text, &op, &f, &m) < 0)
        fail_msg("%s", m.text);
    snprintf(key, sizeof(key), "switch/payments/%u", number);
    log_put(log, key, text.buf, text.len);
    str_free(&text);
}

static void a_dead_terms_record_is_void_and_remembered(void **state)
{
    struct mirror_fleet *f;
    struct log log;

    (void)state;
    log_open(&log);
    log_claim(&log, "a");           /* 0 */
    log_fleet(&log, 3, 0, 5, true); /* 1 */
    log_claim(&log, "b");           /* 2: a is deposed */
    log_fleet(&log, 3, 0, 9, true); /* 3: its late word */
    f = mirror_find(&log.mirror, "payments");
    assert_string_equal(log.story, "claim@0 head@1 claim@2 void@3");
    assert_int_equal(f->fleet.version.epoch, 5);
    assert_int_equal(f->log.epoch_highest, 5);
    assert_true(replay_needs_heal(&f->log));
    assert_string_equal(log.mirror.claim.controller, "b");
    assert_int_equal(log.mirror.terms.highest, 2);
    log_fleet(&log, 3, 2, 6, true); /* 4: healed */
    assert_false(replay_needs_heal(&f->log));
    assert_int_equal(f->fleet.version.term, 2);
    log_put(&log, "fleet/payments", "{ nonsense", 10); /* 5: corrupt: like a void one */
    assert_true(replay_needs_heal(&f->log));
    assert_int_equal(f->fleet.version.epoch, 6);
    log_put(&log, "fleet/payments", NULL, 0); /* 6 */
    assert_false(f->fleet.exists);
    assert_false(replay_needs_heal(&f->log));
    assert_int_equal(f->log.epoch_highest, 6); /* for whoever makes it again */
    mirror_deinit(&log.mirror);
}

static void shards_make_a_whole(void **state)
{
    const char *why;
    struct mirror_fleet *f;
    struct log log;

    (void)state;
    log_open(&log);
    log_claim(&log, "a");
    log_fleet(&log, 1300, 0, 2, true);
    assert_string_equal(log.story, "claim@0 shard@1 shard@2 shard@3 head@4");
    f = mirror_find(&log.mirror, "payments");
    assert_int_equal(f->fleet.baton_count, 1300);
    assert_true(fleet_valid(&f->fleet, &why));
    assert_int_equal(f->fleet.batons[1299].from, 1399);
    log_claim(&log, "b");
    log_fleet(&log, 1300, 0, 3, false); /* shards of a dead term */
    assert_true(f->log.shard_void[0] && f->log.shard_void[1] && f->log.shard_void[2] && !f->log.head_void);
    mirror_deinit(&log.mirror);
}

static void history_is_kept_small_and_reads_back(void **state)
{
    struct mirror_fleet *f;
    struct errmsg m = { 0 };
    struct log log;
    struct op op;
    char reason[REASON_MAX + 1];

    (void)state;
    log_open(&log);
    memset(reason, 'x', REASON_MAX);
    reason[REASON_MAX] = '\0';
    log_claim(&log, "a");
    log_fleet(&log, 1, 0, 1, true);
    for (uint32_t n = 1; n <= 4; n++)
        log_op(&log, n, 0, reason);
    f = mirror_find(&log.mirror, "payments");
    assert_int_equal(f->log.op_count, 4);
    assert_true(mirror_op_at(f, 0)->op.packed_len > 0 &&
                mirror_op_at(f, 3)->op.packed_len == 0); /* the newest is read often */
    assert_int_equal(mirror_op_decode(&op, mirror_op_find(f, 2), NULL, NULL, 0, &m), ERR_OK);
    assert_int_equal(op.number, 2);
    assert_string_equal(op.reason, reason);
    assert_int_equal(mirror_op_newest(f)->number, 4);
    log_put(&log, "switch/payments/1", NULL, 0);
    assert_int_equal(f->log.op_count, 3);
    assert_null(mirror_op_find(f, 1));
    log_claim(&log, "b");
    log_op(&log, 7, 0, "late"); /* of a dead term: no operation, but its key is remembered */
    assert_int_equal(mirror_op_newest(f)->number, 4);
    assert_true(replay_needs_heal(&f->log));
    mirror_deinit(&log.mirror);
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static void orders_are_read_strictly(void **state)
{
    static const struct {
        const char *json, *says;
    } bad[] = {
        { "{\"stags\":[\"100%\"]}", "did you mean 'stages'?" },
        { "{\"to\":\"red\"}", "\"blue\" or \"green\"" },
        { "{\"to\":\"blue\",\"to\":\"green\"}", "not JSON" },
        { "{\"stages\":[]}", "'stages'" },
        { "{\"stages\":[\"50%\",\"10%\"]}", "must grow" },
        { "{\"stages\":[\"50%\"]}", "100%" },
        { "{\"stages\":[0,100]}", "is no stage" },
        { "{\"stages\":[\"orders/7\",\"order/7\",\"100%\"]}", "did you mean 'orders'" },
        { "{\"partitions\":4}", "unknown field 'partitions'" },
        { "{\"observe\":30}", "like \"30s\"" },
        { "{\"observe\":\"30\"}", "'observe'" },
        { "{\"deadline\":\"0s\"}", "'deadline'" },
        { "{\"reason\":\"a\\u0007\"}", "control characters" },
        { "{\"request_id\":\"a/b\"}", "request_id" },
        { "{\"replay\":true}", "unknown field 'replay'" },
        { "{\"dry_run\":1}", "true or false" },
        { "{\"kind\":\"pause\"}", "unknown field 'kind'" },
        { "[]", "an object" },
        { "{", "not JSON" },
    };
    const struct spec spec = { .topics = { "orders" }, .topic_count = 1 };
    struct order o;
    struct errmsg m;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        m = (struct errmsg){ 0 };
        assert_int_equal(body_order(&o, &spec, bad[i].json, strlen(bad[i].json), ORDER_SWITCH, false, &m), ERR_INVALID);
        if (!strstr(m.text, bad[i].says) && strcmp(bad[i].says, "an object") != 0)
            fail_msg("%s: %s", bad[i].json, m.text);
    }
    assert_int_equal(body_order(&o, &spec, "", 0, ORDER_PAUSE, false, &m), ERR_OK);
    assert_int_equal(o.deadline_ms, -1);
    static const char good[] = "{\"to\":\"green\",\"stages\":[\"10%\",50,\"orders/0\",\"orders/"
                               "7\",\"100%\"],\"observe\":\"0s\",\"deadline\":\"1m30s\","
                               "\"reason\":\"deploy\",\"by\":\"jane\",\"request_id\":\"A-1_b.2\",\"dry_run\":true}";
    if (body_order(&o, &spec, good, strlen(good), ORDER_SWITCH, false, &m) < 0)
        fail_msg("%s", m.text);
    assert_true(o.to_given && o.to == GREEN && o.dry_run);
    assert_int_equal(o.stages.count, 4);
    assert_int_equal(o.stages.items[1].kind, STAGE_NUMBER);
    assert_int_equal(o.stages.items[1].amount, 50);
    assert_int_equal(o.stages.items[2].kind, STAGE_NAMES);
    assert_int_equal(o.stages.items[2].amount, 2);
    assert_int_equal(o.observe_ms, 0);
    assert_int_equal(o.deadline_ms, 90000);
    assert_int_equal(body_order(&o, &spec, "{\"kind\":\"rollback\",\"replay\":true}", 33, ORDER_SWITCH, true, &m),
                     ERR_OK);
    assert_int_equal(o.kind, ORDER_ROLLBACK);
    assert_int_equal(body_order(&o, &spec, "{\"partitions\":\"25%\"}", 20, ORDER_THROTTLE, false, &m), ERR_OK);
    assert_true(o.keep == 25 && o.keep_percent);
    assert_int_equal(body_order(&o, &spec, "{\"partitions\":0}", 16, ORDER_THROTTLE, false, &m), ERR_INVALID);
    assert_int_equal(body_order(&o, &spec, "", 0, ORDER_THROTTLE, false, &m), ERR_INVALID);
    assert_int_equal(body_order(&o, &spec, "", 0, ORDER_PROMOTE, false, &m), ERR_OK);
    assert_int_equal(body_order(&o, &spec, "{\"deadline\":\"1s\"}", 17, ORDER_ABORT, false, &m), ERR_INVALID);
}

/* --- receipts against brokers ------------------------------------------------------------------------------------- */

static void check_receipt_of(enum strategy strategy, const struct partition_view *now, uint64_t baton_epoch,
                             bool agrees, const char *code)
{
    struct baton batons[1];
    struct fleet f;
    struct pass forth = { .ordered = true,
                          .order = 4,
                          .grant = 5,
                          .released = 120,
                          .committed = 120,
                          .from = 120,
                          .first = 120,
                          .doubt = OFFSET_NONE,
                          .repeat_to = OFFSET_NONE,
                          .taken = true };
    struct pass back = { .doubt = OFFSET_NONE };
    const struct op op = {
        .number = 1, .kind = OP_SWITCH, .from = BLUE, .to = GREEN, .forth = &forth, .back = &back, .pass_count = 1
    };
    const struct snapshot snapshot = { .partitions = (struct partition_view *)now, .partition_count = 1 };
    json_t *json;
    char *text;

    make_fleet(&f, batons, 1, 3, 9);
    f.spec.strategy = strategy;
    batons[0].epoch = batons[0].order = baton_epoch;
    json = verify_receipt(&op, &f, &snapshot);
    text = json_dumps(json, JSON_COMPACT);
    if (json_is_true(json_object_get(json, "agrees")) != agrees || (code && !strstr(text, code)))
        fail_msg("wanted %d %s: %s", agrees, code ? code : "", text);
    assert_int_equal(json_integer_value(json_object_get(json, "partitions")), 1);
    free(text);
    json_decref(json);
}

static void check_receipt(const struct partition_view *now, uint64_t baton_epoch, bool agrees, const char *code)
{
    check_receipt_of(STRATEGY_SEPARATE_GROUPS, now, baton_epoch, agrees, code);
}

static void receipts_meet_the_brokers(void **state)
{
    struct partition_view now = { .committed = { 120, 150 },
                                  .mark = { { .kind = MARK_EPOCH, .epoch = 1 }, { .kind = MARK_EPOCH, .epoch = 5 } },
                                  .log_start = 0,
                                  .log_end = 200 };
    struct partition_view v = now;

    (void)state;
    check_receipt(&v, 5, true, NULL);
    v.committed[BLUE] = 150;
    v.mark[BLUE].kind = MARK_FOLLOW;
    check_receipt(&v, 5, true, "moved-on-by-follow");
    v.mark[BLUE].kind = MARK_FOREIGN;
    check_receipt(&v, 5, false, "old-color-moved");
    v = now;
    v.committed[BLUE] = 119;
    check_receipt(&v, 5, false, "old-color-moved");
    v = now;
    v.committed[BLUE] = 170;
    v.mark[BLUE] = (struct mark){ .kind = MARK_EPOCH, .epoch = 8 };
    check_receipt(&v, 8, true, "moved-on-by-grant");
    v = now;
    v.committed[GREEN] = 119;
    check_receipt(&v, 5, false, "new-color-behind");
    v = now;
    v.committed[GREEN] = OFFSET_NONE;
    check_receipt(&v, 5, false, "new-color-nothing");
    v = now;
    v.mark[GREEN].kind = MARK_FOREIGN;
    check_receipt(&v, 5, false, "new-color-unmarked");
    v = now;
    v.mark[GREEN].epoch = 4;
    check_receipt(&v, 5, false, "new-color-unmarked");
    v = now;
    v.log_start = 130;
    check_receipt(&v, 5, true, "log-shortened");
}

/* Its commits carry no mark, and it moves where it works. */
static void receipts_of_a_foreign_fleet_meet_the_brokers(void **state)
{
    const struct partition_view now = { .committed = { 120, 150 },
                                        .mark = { { .kind = MARK_FOREIGN }, { .kind = MARK_FOREIGN } },
                                        .log_end = 200 };
    struct partition_view v = now;

    (void)state;
    check_receipt_of(STRATEGY_FOREIGN, &v, 5, true, NULL);
    v.committed[BLUE] = 170;
    check_receipt_of(STRATEGY_FOREIGN, &v, 8, true, "moved-on-by-grant");
    check_receipt_of(STRATEGY_FOREIGN, &v, 5, false, "old-color-moved"); /* while green holds the baton */
    v = now;
    v.committed[GREEN] = 119;
    check_receipt_of(STRATEGY_FOREIGN, &v, 5, false, "new-color-behind");
}

/* --- the routes and their description ----------------------------------------------------------------------------- */

static FILE *open_source(const char *name)
{
    const char *slash = strrchr(__FILE__, '/');
    char path[4096];

    snprintf(path, sizeof(path), "%.*s/../../%s", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".", name);
    return fopen(path, "r");
}

/* docs/openapi.yaml: "  /v1/fleets/{fleet}:" and, below it, "    get:"; nothing else is indented so. */
static void openapi_has_the_routes(void **state)
{
    FILE *file = open_source("docs/openapi.yaml");
    char line[2000], path[301] = "", method[20];
    int count, found = 0;
    const struct api_route *routes = api_routes(&count);
    bool in_paths = false;

    (void)state;
    if (!file)
        fail_msg("docs/openapi.yaml is not to be found beside this test's source");
    while (fgets(line, sizeof(line), file)) {
        bool served = false;

        if (line[0] != ' ' && line[0] != '\n' && line[0] != '#')
            in_paths = !strncmp(line, "paths:", 6);
        if (!in_paths)
            continue;
        if (sscanf(line, "  /%298[^:]:", path + 1) == 1 && line[2] == '/') {
            path[0] = '/';
            continue;
        }
        if (strncmp(line, "    ", 4) != 0 || line[4] == ' ' || sscanf(line, "    %19[a-z]:", method) != 1 ||
            !strcmp(method, "parameters"))
            continue;
        for (int i = 0; i < count; i++)
            served |= !strcasecmp(routes[i].method, method) && !strcmp(routes[i].path, path);
        if (!served)
            fail_msg("docs/openapi.yaml describes %s %s, which is not served", method, path);
        found++;
    }
    fclose(file);
    assert_int_equal(found, count);
}

/* --- whole controllers on the embedded broker --------------------------------------------------------------------- */

struct world {
    struct event_base *base;
    struct embedded_broker *broker;
    struct kafka_settings *settings;
};

static void world_open(struct world *w)
{
    struct errmsg m = { 0 };

    w->base = event_base_new();
    w->settings = kafka_settings_new();
    if (embedded_broker_open(&w->broker, 0, &m) < 0 || embedded_broker_topic(w->broker, "orders", 4, &m) < 0 ||
        kafka_settings_set(w->settings, "bootstrap.servers", embedded_broker_bootstrap(w->broker), &m) < 0)
        fail_msg("%s", m.text);
}

static void world_close(struct world *w)
{
    kafka_settings_free(w->settings);
    embedded_broker_close(w->broker);
    event_base_free(w->base);
}

static struct controller *start(struct world *w, enum controller_lead lead, bool listens)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    const struct controller_config config = {
        .kafka = w->settings, .lead = lead, .listen = listen, .listen_count = listens, .by = "test", .session_ms = 2000
    };
    struct controller *c = NULL;
    struct errmsg m = { 0 };

    if (controller_open(&c, w->base, &config, &m) < 0)
        fail_msg("%s", m.text);
    return c;
}

struct answer {
    bool came;
    int status;
    json_t *json;
    char text[4000];
    char location[400];
};

static void on_answer(void *opaque, const struct api_answer *answer)
{
    struct answer *a = opaque;

    a->came = true;
    a->status = answer->status;
    snprintf(a->text, sizeof(a->text), "%s", answer->body);
    snprintf(a->location, sizeof(a->location), "%s", answer->location ? answer->location : "");
    a->json = json_loads(answer->body, 0, NULL);
}

static void run_until(struct world *w, const bool *done)
{
    const int64_t end_ms = clock_ms() + WAIT_MS;

    while (!*done) {
        event_base_loop(w->base, EVLOOP_ONCE);
        if (clock_ms() >= end_ms)
            fail_msg("not done in time");
    }
}

/* Asks and expects `status`; the JSON is the caller's. */
static json_t *ask(struct world *w, struct controller *c, const char *method, const char *path, const char *body,
                   int status)
{
    struct answer a = { 0 };
    const struct api_request request = {
        .method = method,
        .path = path,
        .content_type = body && body[0] != '{' ? "application/yaml" : "application/json",
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .patience_ms = WAIT_MS,
    };

    controller_request(c, &request, on_answer, &a);
    run_until(w, &a.came);
    if (a.status != status)
        fail_msg("%s %s: %d instead of %d: %s", method, path, a.status, status, a.text);
    return a.json;
}

static void wait_role(struct world *w, struct controller *c, enum controller_role role)
{
    const int64_t end_ms = clock_ms() + WAIT_MS;
    struct controller_state now;

    for (;;) {
        controller_state(c, &now);
        if (now.role == role)
            return;
        event_base_loop(w->base, EVLOOP_ONCE);
        if (clock_ms() >= end_ms)
            fail_msg("still %s instead of %s", controller_role_name(now.role), controller_role_name(role));
    }
}

#define FLEET "fleet: payments\ntopics: [orders]\n"

static const char *text_at(json_t *json, const char *key)
{
    const char *value = json_string_value(json_object_get(json, key));

    return value ? value : "(none)";
}

static void a_fleet_lives(void **state)
{
    struct world w;
    struct controller *c;
    json_t *json;

    (void)state;
    world_open(&w);
    c = start(&w, CONTROLLER_SERVE, false);
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments", NULL, 404));
    json_decref(ask(&w, c, "PUT", "/v1/fleets/other", FLEET, 400));
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", "fleet: payments\ntopics: [nosuch]\n", 422));
    json = ask(&w, c, "PUT", "/v1/fleets/payments", FLEET, 201);
    assert_string_equal(text_at(json, "phase"), "steady");
    assert_int_equal(json_array_size(json_object_get(json, "partitions")), 4);
    json_decref(json);
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", FLEET "switch:\n  deadline: 45s\n", 200));
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", "fleet: payments\ntopics: [orders2]\n", 422));
    json = ask(&w, c, "GET", "/v1/fleets", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json, "fleets")), 1);
    json_decref(json);
    json = ask(&w, c, "POST", "/v1/fleets/payments/plan", "{\"to\":\"green\"}", 200);
    assert_true(json_is_false(json_object_get(json, "ok"))); /* nobody stands by */
    assert_true(json_array_size(json_object_get(json, "findings")) > 0);
    json_decref(json);
    json = ask(&w, c, "POST", "/v1/fleets/payments/switches", "{\"to\":\"green\",\"by\":\"jane\"}", 422);
    assert_string_equal(text_at(json_object_get(json, "error"), "code"), "refused");
    assert_true(json_array_size(json_object_get(json_object_get(json, "error"), "findings")) > 0);
    json_decref(json);
    json_decref(ask(&w, c, "POST", "/v1/fleets/payments/switches", "{\"too\":\"green\"}", 400));
    json_decref(ask(&w, c, "POST", "/v1/fleets/payment/pause", "", 404));
    json = ask(&w, c, "POST", "/v1/fleets/payments/pause", "{\"request_id\":\"p1\",\"reason\":\"look\"}", 202);
    assert_int_equal(json_integer_value(json_object_get(json, "number")), 1);
    json_decref(json);
    for (int64_t end_ms = clock_ms() + WAIT_MS;;) {
        json = ask(&w, c, "GET", "/v1/fleets/payments/switches/1", NULL, 200);
        if (!strcmp(text_at(json, "state"), "complete"))
            break;
        json_decref(json);
        assert_true(clock_ms() < end_ms);
    }
    assert_string_equal(text_at(json, "reason"), "look");
    assert_string_equal(text_at(json, "by"), "test");
    json_decref(json);
    json = ask(&w, c, "POST", "/v1/fleets/payments/pause", "{\"request_id\":\"p1\"}",
               202); /* the same request: the same answer */
    assert_int_equal(json_integer_value(json_object_get(json, "number")), 1);
    json_decref(json);
    json_decref(ask(&w, c, "POST", "/v1/fleets/payments/pause", "{}", 409));
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments/switches/1/receipt", NULL, 200));
    json = ask(&w, c, "GET", "/v1/fleets/payments/switches/1/verify", NULL, 200);
    assert_true(json_is_true(json_object_get(json, "agrees")));
    json_decref(json);
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments/switches/2", NULL, 404));
    json_decref(ask(&w, c, "DELETE", "/v1/fleets/payments", NULL, 204));
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments", NULL, 404));
    json_decref(ask(&w, c, "PATCH", "/v1/fleets", NULL, 405));
    json_decref(ask(&w, c, "GET", "/v2", NULL, 404));
    controller_close(c);
    world_close(&w);
}

static void the_next_leads_at_once(void **state)
{
    struct world w;
    struct controller *first, *second;
    struct answer a = { 0 };
    struct controller_state now;
    int64_t began_ms, term;
    json_t *json;

    (void)state;
    world_open(&w);
    first = start(&w, CONTROLLER_SERVE, true);
    json_decref(ask(&w, first, "PUT", "/v1/fleets/payments", FLEET, 201));
    wait_role(&w, first, CONTROLLER_LEADING);
    second = start(&w, CONTROLLER_SERVE, true);
    wait_role(&w, second, CONTROLLER_FOLLOWING);
    json = ask(&w, second, "GET", "/v1/fleets/payments", NULL, 200); /* a follower reads itself */
    assert_int_equal(json_array_size(json_object_get(json, "partitions")), 4);
    json_decref(json);
    json_decref(ask(&w, second, "POST", "/v1/fleets/payments/plan", "{}", 200)); /* and plans */
    controller_request(second,
                       &(struct api_request){ .method = "POST", .path = "/v1/fleets/payments/pause", .query = "x=1" },
                       on_answer, &a);
    run_until(&w, &a.came);
    assert_int_equal(a.status, 307);
    assert_non_null(strstr(a.location, controller_listening(first, 0)));
    assert_non_null(strstr(a.location, "/v1/fleets/payments/pause?x=1"));
    json_decref(a.json);
    controller_state(first, &now);
    term = now.term;
    began_ms = clock_ms();
    controller_close(first);
    wait_role(&w, second, CONTROLLER_LEADING);
    print_message("handed over in %lld ms\n", (long long)(clock_ms() - began_ms));
    controller_state(second, &now);
    assert_true(now.term > term);
    json = ask(&w, second, "POST", "/v1/fleets/payments/pause", "{}", 202);
    assert_int_equal(json_integer_value(json_object_get(json, "number")), 1);
    json_decref(json);
    controller_close(second);
    world_close(&w);
}

static void commands_lead_or_hand_over(void **state)
{
    struct world w;
    struct controller *command, *other, *server;
    struct controller_state now;
    json_t *json;

    (void)state;
    world_open(&w);
    command = start(&w, CONTROLLER_COMMAND, false);
    json_decref(ask(&w, command, "GET", "/v1/fleets", NULL, 200));
    controller_state(command, &now);
    assert_int_equal(now.role, CONTROLLER_FOLLOWING); /* reading changes nothing */
    assert_int_equal(now.term, -1);
    json_decref(ask(&w, command, "PUT", "/v1/fleets/payments", FLEET, 201));
    controller_state(command, &now);
    assert_int_equal(now.role, CONTROLLER_LEADING);
    other = start(&w, CONTROLLER_COMMAND, false); /* a second command hands its order to the first, through Kafka */
    json = ask(&w, other, "POST", "/v1/fleets/payments/pause", "{\"by\":\"jim\"}", 202);
    assert_string_equal(text_at(json, "by"), "jim");
    json_decref(json);
    json_decref(ask(&w, other, "PUT", "/v1/fleets/second", "fleet: second\ntopics: [orders]\n", 201));
    controller_state(other, &now);
    assert_int_equal(now.role, CONTROLLER_FOLLOWING);
    server = start(&w, CONTROLLER_SERVE, true); /* a server whose leader has no address does the same */
    wait_role(&w, server, CONTROLLER_FOLLOWING);
    json_decref(ask(&w, server, "POST", "/v1/fleets/second/pause", "{}", 202));
    controller_close(command);
    controller_close(other);
    wait_role(&w, server, CONTROLLER_LEADING);
    controller_close(server);
    world_close(&w);
}

struct story {
    char text[8000];
    char last_id[32];
};

static void on_event(void *opaque, const char *id, const char *type, const char *json)
{
    struct story *story = opaque;
    size_t len = strlen(story->text);

    (void)json;
    snprintf(story->text + len, sizeof(story->text) - len, "%s ", type);
    if (id)
        snprintf(story->last_id, sizeof(story->last_id), "%s", id);
}

static void events_outlive_their_controller(void **state)
{
    struct world w;
    struct controller *first, *second;
    struct controller_watch *watch;
    struct story story = { 0 }, rest = { 0 };

    (void)state;
    world_open(&w);
    first = start(&w, CONTROLLER_SERVE, false);
    watch = controller_watch(first, NULL, on_event, &story);
    json_decref(ask(&w, first, "PUT", "/v1/fleets/payments", FLEET, 201));
    assert_string_equal(story.text, "leader fleet ");
    controller_unwatch(first, watch);
    json_decref(ask(&w, first, "DELETE", "/v1/fleets/payments", NULL, 204));
    json_decref(ask(&w, first, "GET", "/v1/fleets", NULL, 200));
    assert_string_equal(story.text, "leader fleet ");
    controller_close(first);
    second = start(&w, CONTROLLER_COMMAND, false);
    json_decref(ask(&w, second, "GET", "/v1/fleets", NULL, 200));
    watch = controller_watch(second, story.last_id, on_event, &rest); /* resumed at another: what came since */
    assert_string_equal(rest.text, "deleted ");
    controller_unwatch(second, watch);
    rest = (struct story){ 0 };
    watch = controller_watch(second, "999999", on_event, &rest);
    assert_string_equal(rest.text, "reset ");
    controller_unwatch(second, watch);
    controller_close(second);
    world_close(&w);
}

/* A deposed leader writes late; the one that leads writes the truth again at once (PROTOCOL rule 14). */
static void a_late_word_is_healed(void **state)
{
    struct world w;
    struct controller *c;
    struct mirror_fleet *f;
    struct baton batons[4];
    struct fleet late;
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct errmsg m = { 0 };
    struct kafka_appender *zombie;
    struct kafka_appended acked;
    int64_t position, end_ms;

    (void)state;
    world_open(&w);
    c = start(&w, CONTROLLER_SERVE, false);
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", FLEET, 201));
    make_fleet(&late, batons, 4, 0, 999);
    late.version.term = c->reign.term - 1 >= 0 ? c->reign.term - 1 : 0;
    late.active = GREEN;
    assert_int_equal(c->reign.term,
                     0); /* the very first record: there is no lower term to claim, so one more reign is needed */
    controller_close(c);
    c = start(&w, CONTROLLER_SERVE, false);
    wait_role(&w, c, CONTROLLER_LEADING);
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments", NULL, 200));
    assert_true(c->reign.term > 0);
    f = mirror_find(&c->mirror, "payments");
    position = c->mirror.position;
    assert_int_equal(kafka_appender_open(&zombie, w.settings, CONTROL_TOPIC, -1, &m), ERR_OK);
    assert_int_equal(fleet_encode(&text, &late, -1, &m), ERR_OK);
    assert_int_equal(kafka_append(zombie, 1, CONTROL_TOPIC, 0, "fleet/payments", text.buf, text.len, &m), ERR_OK);
    for (end_ms = clock_ms() + WAIT_MS;
         c->mirror.voids == 0 || replay_needs_heal(&f->log) || c->mirror.position < position + 2;) {
        event_base_loop(w.base, EVLOOP_ONCE);
        kafka_appender_poll(zombie, &acked);
        assert_true(clock_ms() < end_ms);
    }
    assert_int_equal(f->fleet.active, BLUE);
    assert_int_equal(f->fleet.version.term, c->reign.term);
    position = c->mirror.position;
    assert_int_equal(kafka_append(zombie, 2, CONTROL_TOPIC, 0, "fleet/payments", NULL, 0, &m),
                     ERR_OK); /* a tombstone has no term at all */
    for (end_ms = clock_ms() + WAIT_MS; !f->fleet.exists || c->mirror.position < position + 2;) {
        event_base_loop(w.base, EVLOOP_ONCE);
        kafka_appender_poll(zombie, &acked);
        assert_true(clock_ms() < end_ms);
    }
    kafka_appender_close(zombie, 1000);
    str_free(&text);
    controller_close(c);
    world_close(&w);
}

/* Waits until the controller has read so many reports. */
static void reports_read(struct world *w, struct controller *c, struct kafka_appender *member, int64_t position)
{
    const int64_t end_ms = clock_ms() + WAIT_MS;
    struct kafka_appended acked;

    while (kafka_reader_position(c->reports, 0) < position) {
        event_base_loop(w->base, EVLOOP_ONCE);
        kafka_appender_poll(member, &acked);
        if (clock_ms() >= end_ms)
            fail_msg("no report %lld in time", (long long)position);
    }
}

/*
 * A member that was thought gone has spoken before its tombstone came: the leader says again what that has buried, so that the next
 * one knows the member, too (I8).
 */
static void a_buried_report_is_said_again(void **state)
{
    struct report report = { .fleet = "payments", .color = GREEN, .incarnation = "0123456789abcdef", .sequence = 7 };
    const struct report *known;
    int64_t position, heard_ms;
    struct world w;
    struct controller *c;
    struct entry *e;
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct errmsg m = { 0 };
    struct kafka_appender *member;

    (void)state;
    world_open(&w);
    c = start(&w, CONTROLLER_SERVE, false);
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", FLEET, 201));
    report.report_interval_ms = 1000;
    assert_int_equal(report_encode(&text, &report, &entry_get(c, "payments")->mirror->fleet, &m), ERR_OK);
    position = kafka_reader_position(c->reports, 0);
    assert_int_equal(kafka_appender_open(&member, w.settings, REPORTS_TOPIC, -1, &m), ERR_OK);
    assert_int_equal(kafka_append(member, 1, REPORTS_TOPIC, 0, "payments/0123456789abcdef", text.buf, text.len, &m),
                     ERR_OK);
    reports_read(&w, c, member, position + 1);
    assert_int_equal(kafka_append(member, 2, REPORTS_TOPIC, 0, "payments/0123456789abcdef", NULL, 0, &m), ERR_OK);
    reports_read(&w, c, member, position + 3); /* the tombstone, and what the leader says of it */
    controller_close(c);
    c = start(&w, CONTROLLER_SERVE, false);
    wait_role(&w, c, CONTROLLER_LEADING);
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments", NULL, 200));
    e = entry_get(c, "payments");
    reports_read(&w, c, member, position + 3);
    for (const int64_t end_ms = clock_ms() + WAIT_MS; !entry_member(e, 0, &known, &heard_ms);) {
        event_base_loop(w.base, EVLOOP_ONCE);
        assert_true(clock_ms() < end_ms);
    }
    assert_string_equal(known->incarnation, report.incarnation);
    assert_int_equal(known->sequence, 7);
    assert_int_equal(known->color, GREEN);
    kafka_appender_close(member, 1000);
    str_free(&text);
    controller_close(c);
    world_close(&w);
}

/* Memory may be ahead of the log: the reign ends, and what was asked for is answered by the next one. */
static void a_failed_append_ends_the_reign(void **state)
{
    struct answer a = { 0 };
    struct world w;
    struct controller *c;
    int64_t term;

    (void)state;
    world_open(&w);
    c = start(&w, CONTROLLER_SERVE, false);
    json_decref(ask(&w, c, "PUT", "/v1/fleets/payments", FLEET, 201));
    term = c->reign.term;
    controller_request(
        c, &(struct api_request){ .method = "POST", .path = "/v1/fleets/payments/pause", .request_id = "p" }, on_answer,
        &a);
    snprintf(c->reign_failed, sizeof(c->reign_failed), "the test says so");
    run_until(&w, &a.came);
    assert_int_equal(a.status, 202);
    assert_int_equal(json_integer_value(json_object_get(a.json, "number")), 1);
    assert_true(c->reign.term > term);
    json_decref(a.json);
    json_decref(ask(&w, c, "GET", "/v1/fleets/payments/switches/1", NULL, 200));
    controller_close(c);
    world_close(&w);
}

/* The client blocks, so it asks from a thread of its own while the controller runs here. */
struct asking {
    char url[100];
    int status, refused, ready;
    char body[2000];
    bool done;
};

static void *ask_by_http(void *opaque)
{
    struct asking *asking = opaque;
    struct http_client *client = NULL;
    struct http_reply reply;

    if (http_client_open(&client, &(struct http_client_config){ .server = asking->url, .by = "jane" }, NULL) ==
            ERR_OK &&
        http_client_request(client, &reply, "PUT", "/v1/fleets/payments", "application/yaml", FLEET, strlen(FLEET),
                            NULL) == ERR_OK) {
        asking->status = reply.status;
        snprintf(asking->body, sizeof(asking->body), "%s", reply.body);
        http_reply_free(&reply);
    }
    if (client && http_client_request(client, &reply, "POST", "/v1/fleets/payments/switches", "application/json", "{}",
                                      2, NULL) == ERR_OK) {
        asking->refused = reply.status;
        http_reply_free(&reply);
    }
    if (client && http_client_request(client, &reply, "GET", "/readyz", NULL, NULL, 0, NULL) == ERR_OK) {
        asking->ready = reply.status;
        http_reply_free(&reply);
    }
    http_client_close(client);
    __atomic_store_n(&asking->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void http_reaches_the_api(void **state)
{
    struct asking asking = { 0 };
    struct world w;
    struct controller *c;
    pthread_t thread;

    (void)state;
    world_open(&w);
    c = start(&w, CONTROLLER_SERVE, true);
    snprintf(asking.url, sizeof(asking.url), "http://%s", controller_listening(c, 0));
    assert_int_equal(pthread_create(&thread, NULL, ask_by_http, &asking), 0);
    for (int64_t end_ms = clock_ms() + WAIT_MS; !__atomic_load_n(&asking.done, __ATOMIC_ACQUIRE);) {
        event_base_loop(w.base, EVLOOP_ONCE);
        assert_true(clock_ms() < end_ms);
    }
    pthread_join(thread, NULL);
    assert_int_equal(asking.status, 201);
    assert_non_null(strstr(asking.body, "\"name\":\"payments\""));
    assert_int_equal(asking.refused, 422);
    assert_int_equal(asking.ready, 200);
    controller_close(c);
    world_close(&w);
}

static void trouble_is_told_in_time(void **state)
{
    struct kafka_settings *settings = kafka_settings_new();
    struct event_base *base = event_base_new();
    const int64_t began_ms = clock_ms();
    struct controller *c = NULL;
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(kafka_settings_set(settings, "bootstrap.servers", "127.0.0.1:9", &m), ERR_OK);
    assert_true(controller_open(&c, base, &(struct controller_config){ .kafka = settings }, &m) < 0);
    assert_true(clock_ms() - began_ms < WAIT_MS);
    assert_non_null(strstr(m.text, "127.0.0.1:9"));
    assert_null(c);
    kafka_settings_free(settings);
    event_base_free(base);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_terms_record_is_void_and_remembered),
        cmocka_unit_test(shards_make_a_whole),
        cmocka_unit_test(history_is_kept_small_and_reads_back),
        cmocka_unit_test(orders_are_read_strictly),
        cmocka_unit_test(receipts_meet_the_brokers),
        cmocka_unit_test(receipts_of_a_foreign_fleet_meet_the_brokers),
        cmocka_unit_test(openapi_has_the_routes),
        cmocka_unit_test(a_fleet_lives),
        cmocka_unit_test(the_next_leads_at_once),
        cmocka_unit_test(commands_lead_or_hand_over),
        cmocka_unit_test(events_outlive_their_controller),
        cmocka_unit_test(a_late_word_is_healed),
        cmocka_unit_test(a_buried_report_is_said_again),
        cmocka_unit_test(a_failed_append_ends_the_reign),
        cmocka_unit_test(http_reaches_the_api),
        cmocka_unit_test(trouble_is_told_in_time),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (!getenv("TEST_LOG"))
        log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
