/*
 * controller - see controller.h and internal.h: the loop, from Kafka's wake-up to the end of a turn.
 *
 * A turn reads what the two topics, the appender, the brokers and the election have brought, lets the reign step (it
 * appends, and runs effects of what is acknowledged), then answers calls. Librdkafka wakes the loop by one eventfd; a
 * tick of 100 ms carries the time.
 */
#include "controller/controller.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settle.h"
#include "controller/configmap.h"
#include "controller/internal.h"
#include "controller/keeper.h"
#include "controller/posted.h"
#include "controller/watch.h"
#include "http/parse.h"
#include "http/server.h"
#include "http/tls.h"

#define OPEN_MS_MAX 9000
#define KNOWN_MS_MAX 5000 /* until every broker has heard of a topic that was just made */
#define KNOWN_POLL_MS 100
#define TICK_MS 100
#define SESSION_MS 6000
#define SETTLE_EVERY_MS (15 * 60 * 1000)
#define SETTLE_MS 5000 /* after the replay: by then connections are up, and a reign has begun */
#define RECORDS_A_TURN 500
#define EVENTS_KEPT 1024
#define CLOSE_CALLS_MS_MAX 1500 /* what is being answered still is */
#define CLOSE_BATCH_MS_MAX 5000 /* the batch that is out is waited for */
#define FLUSH_MS_MAX 2000
#define TROUBLE_EVERY_MS 1000
#define PROBE_EVERY_MS 5000

void controller_wake(struct controller *c)
{
    if (c->turn_event)
        event_active(c->turn_event, EV_TIMEOUT, 0);
}

const char *controller_role_name(enum controller_role role)
{
    static const char *const names[] = { "replaying", "following", "leading" };

    return names[role];
}

/* --- appends ------------------------------------------------------------------------------------------------------ */

static struct append *append(struct controller *c, enum append_kind kind, bool control, const char *key,
                             const char *value, size_t len)
{
    struct append *a = calloc(1, sizeof(*a));
    struct errmsg m = { 0 };

    ASSERT(a != NULL);
    a->token = ++c->append_last;
    a->kind = kind;
    a->reign = c->reign.number;
    snprintf(a->what, sizeof(a->what), "%.79s", key);
    if (kafka_append(c->appender, a->token, control ? c->control_topic : c->reports_topic, control ? 0 : -1, key, value,
                     len, &m) < 0) {
        log_error("append_refused", "key=\"%s\" error=\"%s\"", key, m.text);
        if ((kind == APPEND_CLAIM || kind == APPEND_BATCH) && !c->reign_failed[0])
            snprintf(c->reign_failed, sizeof(c->reign_failed), "%.500s", m.text);
        free(a);
        return NULL;
    }
    *c->appends_end = a;
    c->appends_end = &a->next;
    return a;
}

bool controller_append(struct controller *c, enum append_kind kind, struct led *led, bool control, const char *key,
                       const char *value, size_t len)
{
    struct append *a = append(c, kind, control, key, value, len);

    if (a)
        a->led = led;
    return a != NULL;
}

bool controller_append_report(struct controller *c, struct call *call, const char *key, const char *json, size_t len)
{
    struct append *a = append(c, APPEND_REPORT, false, key, json, len);

    if (a) {
        a->call = call;
        call->append = a;
    }
    return a != NULL;
}

/* --- the control log ---------------------------------------------------------------------------------------------- */

static void on_mirror_changed(void *opaque, const struct mirror_change *change)
{
    struct controller *c = opaque;
    struct entry *e = change->fleet ? entry_make(c, change->fleet->name) : NULL;

    ASSERT(e || change->type == MIRROR_CLAIM);
    feeds_log_changed(c->feeds, change);
    reign_log_changed(c, change);
    metrics_log_changed(c, change);
    events_log_changed(c, change);
    if (change->type == MIRROR_CLAIM && c->replayed && strcmp(c->mirror.claim.controller, c->id) != 0)
        log_info("leader", "controller=%s host=%s address=%s term=%lld", c->mirror.claim.controller,
                 c->mirror.claim.host, c->mirror.claim.address[0] ? c->mirror.claim.address : "none",
                 (long long)c->mirror.terms.highest);
    if (change->type == MIRROR_HEAD && c->orphans)
        orphans_adopt(c, e);
    if (change->type != MIRROR_GONE || change->key.kind != RECORD_HEAD)
        return;
    watch_disinherit(e);
    posted_forget(c->posted);
    if (!e->led)
        entry_orphan_all(e);
}

static void on_control_record(void *opaque, const struct kafka_record *rec)
{
    struct controller *c = opaque;

    feeds_record_begin(c->feeds, rec);
    mirror_record(&c->mirror, rec);
    feeds_record_end(c->feeds);
}

/* The log began anew under our feet (topic made again, or truncated): so do we. */
static void replay_again(struct controller *c)
{
    if (c->reign.state != CLAIM_NONE)
        reign_end(c, "the control log is read again from its beginning", true);
    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next) {
        struct entry *e = f->opaque;

        for (int i = 0; e && f->fleet.exists && i < e->member_count; i++)
            orphan_make(c, &f->fleet, e->members[i].report);
        if (e && f->fleet.exists)
            e->member_count = 0;
        entry_free(e);
        f->opaque = NULL;
    }
    feeds_forget(c->feeds);
    posted_forget(c->posted);
    mirror_deinit(&c->mirror);
    ASSERT(mirror_init(&c->mirror, on_mirror_changed, c) == ERR_OK);
    c->acked_offset = -1;
    c->replayed = false;
    c->reports_open = false;
    c->replay_question = ++c->question_last;
    kafka_reader_ask_end(c->control, c->replay_question, OPEN_MS_MAX);
}

/* --- the reports -------------------------------------------------------------------------------------------------- */

static bool member_known(const struct entry *e, const char *incarnation)
{
    const struct report *r;
    int64_t heard_ms;

    for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
        if (!strcmp(r->incarnation, incarnation))
            return true;
    return false;
}

static void take_report(struct controller *c, struct entry *e, const struct record_key *key,
                        const struct kafka_record *rec)
{
    const struct fleet *fleet = e->led ? led_fleet(e->led) : &e->mirror->fleet;
    struct report *report = posted_get(c->posted, key->id, fleet->spec.topic_count, rec->value, rec->value_len);
    struct errmsg why = { 0 };

    if (!report && report_decode(&report, fleet, rec->value, rec->value_len, &why) < 0) {
        log_warn("report_corrupt", "fleet=%s incarnation=%s offset=%lld error=\"%s\", skipped", key->fleet, key->id,
                 (long long)rec->offset, why.text);
        return;
    }
    if (strcmp(report->fleet, key->fleet) != 0 || strcmp(report->incarnation, key->id) != 0) {
        log_warn("report_corrupt", "fleet=%s incarnation=%s offset=%lld, it is another's, skipped", key->fleet, key->id,
                 (long long)rec->offset);
        report_free(report);
        return;
    }
    if (c->replayed && c->watches && (report->goodbye || !member_known(e, key->id)))
        events_member(e, report, report->goodbye ? "left" : "came");
    tally_report(e, report);
    free(report->signals); /* they are counted: nobody else asks for them */
    report->signals = NULL;
    entry_report_take(e, report);
}

static void on_reports_record(void *opaque, const struct kafka_record *rec)
{
    struct controller *c = opaque;
    struct record_key key;
    struct entry *e;

    record_key_parse(&key, rec->key ? rec->key : "", rec->key ? rec->key_len : 0, false);
    switch (key.kind) {
    case RECORD_ORDER:
        handed_record(c, key.id, rec->value, rec->value_len);
        break;
    case RECORD_REPORT:
        e = entry_get(c, key.fleet);
        if (!e && mirror_find(&c->mirror, key.fleet))
            e = entry_make(c, key.fleet)->led ? entry_make(c, key.fleet)
                                              : NULL; /* just born: the log says so in a moment */
        if (e && rec->value)
            take_report(c, e, &key, rec);
        else if (e)
            entry_report_gone(e, key.id);
        else
            orphan_set(c, &key, rec->value, rec->value_len);
        break;
    case RECORD_YARDSTICK:
        e = entry_make(c, key.fleet);
        if (e)
            watch_inherit(e, rec->value, rec->value_len);
        break;
    case RECORD_TERM:
    case RECORD_HEAD:
    case RECORD_SHARD:
    case RECORD_OP:
    case RECORD_PASSES:
    case RECORD_UNKNOWN:
        log_warn("report_unknown", "offset=%lld key=\"%.*s\", skipped", (long long)rec->offset,
                 rec->key ? (int)rec->key_len : 0, rec->key ? rec->key : "");
        break;
    }
}

/* --- the election ------------------------------------------------------------------------------------------------- */

static void on_election(void *opaque, enum election_news news)
{
    struct controller *c = opaque;

    c->election_trouble[0] = '\0';
    switch (news) {
    case ELECTION_GAINED:
        c->elected = true;
        c->other_leads = false;
        reign_elected(c);
        break;
    case ELECTION_OTHER:
        c->other_leads = true;
        break;
    case ELECTION_LOST:
        c->elected = c->other_leads = false;
        reign_end(c, "the group has given the lead to another controller, or the session was lost", false);
        break;
    }
    controller_wake(c);
}

static void join(struct controller *c)
{
    struct errmsg m = { 0 };

    if (c->stopping || !c->replayed || c->mirror.newer[0] || election_joined(c->election) ||
        election_join(c->election, &m) == ERR_OK)
        return;
    if (strncmp(c->election_trouble, m.text, 500) != 0)
        log_error("election_failed", "error=\"%s\", trying again", m.text);
    snprintf(c->election_trouble, sizeof(c->election_trouble), "%.500s", m.text);
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void poll_readers(struct controller *c)
{
    struct errmsg m = { 0 };
    int r = kafka_reader_poll(c->control, RECORDS_A_TURN, on_control_record, c, &m);

    if (r == ERR_CORRUPT)
        replay_again(c);
    else if (r < 0 && r != ERR_UNAVAILABLE) /* that is told by look_for_trouble() */
        log_warn("control_log_trouble", "error=\"%s\", trying on", m.text);
    if (r >= RECORDS_A_TURN)
        controller_wake(c);
    if (!c->reports_open)
        return;
    r = kafka_reader_poll(c->reports, RECORDS_A_TURN, on_reports_record, c, &m);
    if (r == ERR_CORRUPT && c->reign.state != CLAIM_NONE)
        reign_end(c, "the reports are read again from their beginning", true);
    else if (r < 0 && r != ERR_UNAVAILABLE)
        log_warn("reports_trouble", "error=\"%s\", trying on", m.text);
    if (r >= RECORDS_A_TURN)
        controller_wake(c);
}

/* First the control log to its end, then the reports, since those can only be read by who knows the fleets. */
static void replay_turn(struct controller *c)
{
    int64_t end;
    enum kafka_end state;

    if (c->replayed)
        return;
    state = kafka_reader_end(c->reports_open ? c->reports : c->control, c->replay_question, &end);
    if (state == KAFKA_END_PENDING)
        return;
    if (state == KAFKA_END_REACHED && c->reports_open) {
        c->replayed = true;
        c->settle_ms = clock_ms() + SETTLE_MS;
        log_info("replayed", "fleets=%d position=%lld took_ms=%lld", c->mirror.fleet_count,
                 (long long)c->mirror.position, (long long)(clock_ms() - c->opened_ms));
        if (c->config.lead == CONTROLLER_SERVE)
            join(c);
        controller_wake(c);
        return;
    }
    c->reports_open = c->reports_open || state == KAFKA_END_REACHED;
    c->replay_question = ++c->question_last;
    kafka_reader_ask_end(c->reports_open ? c->reports : c->control, c->replay_question, OPEN_MS_MAX);
    controller_wake(c);
}

static void poll_kafka(struct controller *c)
{
    struct kafka_appended acked;
    struct errmsg m = { 0 };

    poll_readers(c);
    while (kafka_appender_poll(c->appender, &acked))
        reign_appended(c, &acked);
    brokers_poll(c->brokers);
    if (election_poll(c->election, &m) < 0) {
        log_error("election_failed", "error=\"%s\"", m.text);
        snprintf(c->election_trouble, sizeof(c->election_trouble), "%.500s", m.text);
    }
}

static void turn(struct controller *c)
{
    poll_kafka(c);
    replay_turn(c);
    reign_turn(c);
    handed_turn(c);
    sampler_turn(c);
    calls_turn(c);
    events_turn(c);
    feeds_turn(c->feeds);
    keeper_turn(c->keeper);
    configmaps_turn(c->configmaps);
}

static void controller_turn(struct controller *c)
{
    const int64_t began_us = clock_us();

    turn(c);
    histogram_add(&c->metrics.turns, clock_us() - began_us, 1);
}

static void on_wake(evutil_socket_t fd, short what, void *opaque)
{
    (void)what;
    kafka_eventfd_clear(fd);
    controller_turn(opaque);
}

static void on_turn(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    controller_turn(opaque);
}

/* A broker that hangs breaks no connection: only a question shows it. */
static bool probe(struct controller *c, struct errmsg *m)
{
    const enum kafka_end end = c->probe ? kafka_reader_end(c->control, c->probe, NULL) : KAFKA_END_PENDING;

    if (end != KAFKA_END_PENDING) {
        c->silent = end == KAFKA_END_FAILED;
        c->probe = 0;
    }
    if (c->replayed && !c->probe && clock_ms() - c->probe_ms >= PROBE_EVERY_MS) {
        c->probe = ++c->question_last;
        c->probe_ms = clock_ms();
        kafka_reader_ask_end(c->control, c->probe, PROBE_EVERY_MS - 1000);
    }
    return c->silent && err_set(m, ERR_UNAVAILABLE, "the brokers do not answer: the end of '%s' could not be read",
                                c->control_topic);
}

/* What keeps Kafka from us, and the end of it, each said once. */
static void look_for_trouble(struct controller *c)
{
    struct errmsg m = { 0 };
    const bool trouble = kafka_trouble(kafka_reader_handle(c->control), &m) < 0 || probe(c, &m);

    if (trouble && !c->trouble[0])
        log_error("kafka_unreachable", "error=\"%s\", trying on", m.text);
    if (!trouble && c->trouble[0])
        log_info("kafka_reachable", "trying is over");
    text_copy(c->trouble, sizeof(c->trouble), "");
    if (trouble)
        snprintf(c->trouble, sizeof(c->trouble), "%.500s", m.text);
}

static void on_tick(evutil_socket_t fd, short what, void *opaque)
{
    struct controller *c = opaque;
    const int64_t now_ms = clock_ms();

    (void)fd;
    (void)what;
    if (now_ms - c->trouble_ms >= TROUBLE_EVERY_MS) {
        c->trouble_ms = now_ms;
        look_for_trouble(c);
    }
    if (c->settle_ms && now_ms >= c->settle_ms) {
        c->settle_ms = now_ms + SETTLE_EVERY_MS;
        if (c->config.lead == CONTROLLER_SERVE)
            memory_settle();
    }
    reign_tick(c);
    if (c->config.lead == CONTROLLER_SERVE && c->reign.state == CLAIM_NONE)
        join(c);
    metrics_tick(c);
    controller_turn(c);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static char *copy_or_null(const char *text)
{
    char *to = text && *text ? strdup(text) : NULL;

    ASSERT(to || !text || !*text);
    return to;
}

static int open_names(struct controller *c, const struct controller_config *config, struct errmsg *m)
{
    const char *prefix = config->prefix ? config->prefix : "";

    c->config = *config;
    if (config->burrow)
        c->burrow_options = *config->burrow;
    else
        burrow_options_default(&c->burrow_options);
    c->prefix = copy_or_null(prefix);
    c->by = copy_or_null(config->by);
    c->advertise = copy_or_null(config->advertise);
    if (snprintf(c->control_topic, sizeof(c->control_topic), "%s%s", prefix, CONTROL_TOPIC) >=
            (int)sizeof(c->control_topic) ||
        snprintf(c->reports_topic, sizeof(c->reports_topic), "%s%s", prefix, REPORTS_TOPIC) >=
            (int)sizeof(c->reports_topic) ||
        snprintf(c->group, sizeof(c->group), "%s%s", prefix, CONTROLLER_GROUP) >= (int)sizeof(c->group))
        return err_set(m, ERR_INVALID, "prefix '%.40s...' is too long: a topic's name has at most %d letters", prefix,
                       TOPIC_NAME_MAX);
    if (c->advertise && strncmp(c->advertise, "http://", 7) != 0 && strncmp(c->advertise, "https://", 8) != 0)
        return err_set(m, ERR_INVALID, "advertised address '%s' must begin with http:// or https://", c->advertise);
    if (c->advertise && c->advertise[strlen(c->advertise) - 1] == '/')
        c->advertise[strlen(c->advertise) - 1] = '\0';
    if (c->advertise && strlen(c->advertise) >= sizeof(c->mirror.claim.address))
        return err_set(m, ERR_TOO_LARGE, "the advertised address is too long");
    random_hex(c->id, 32);
    if (gethostname(c->host, sizeof(c->host) - 1) < 0)
        text_copy(c->host, sizeof(c->host), "unknown");
    return ERR_OK;
}

/* The topic is there, topics_ensure() has seen it: a broker that does not know it has not heard of it yet. */
static int open_reader(struct controller *c, struct kafka_reader **ret, const char *topic, struct errmsg *m)
{
    const int64_t deadline_ms = clock_ms() + KNOWN_MS_MAX;
    const struct timespec pause = { .tv_nsec = KNOWN_POLL_MS * 1000000L };
    int r;

    while ((r = kafka_reader_open(ret, c->settings, topic, c->wake_fd, m)) == ERR_NOT_FOUND && clock_ms() < deadline_ms)
        nanosleep(&pause, NULL);
    return r;
}

static int open_kafka(struct controller *c, const struct controller_config *config, struct errmsg *m)
{
    int r = kafka_version_check(m);

    if (r < 0)
        return r;
    c->settings = kafka_settings_copy(config->kafka);
    if (!c->settings)
        return err_set(m, ERR_NOMEM, "copy settings");
    c->wake_fd = kafka_eventfd(m);
    if (c->wake_fd < 0)
        return c->wake_fd;
    r = kafka_appender_open(&c->appender, c->settings, c->control_topic, c->wake_fd, m);
    if (r == ERR_OK)
        r = topics_ensure(kafka_appender_handle(c->appender), c->prefix ? c->prefix : "", !config->topics_keep,
                          OPEN_MS_MAX, m);
    if (r == ERR_OK)
        r = open_reader(c, &c->control, c->control_topic, m);
    if (r == ERR_OK)
        r = open_reader(c, &c->reports, c->reports_topic, m);
    if (r == ERR_OK)
        r = brokers_open(&c->brokers, kafka_reader_handle(c->control), c->wake_fd, m);
    if (r == ERR_OK)
        r = sampler_open(c, m);
    if (r == ERR_OK)
        r = election_open(&c->election, c->settings, c->group, c->control_topic,
                          config->session_ms > 0 ? config->session_ms : SESSION_MS, c->wake_fd, on_election, c, m);
    return r;
}

/* "http://10.0.0.5:8484" of what is listened on: what others are sent to. A wildcard address is no address to go to. */
static void advertise_default(struct controller *c)
{
    const char *listening = http_server_address(c->http, 0);
    const bool tls = c->config.tls_cert != NULL;
    char text[300 + sizeof(c->host)], host[300];
    int port;

    if (c->advertise || !listening || !http_host_split(listening, host, sizeof(host), &port))
        return;
    if (!strcmp(host, "0.0.0.0") || !strcmp(host, "::"))
        snprintf(text, sizeof(text), "http%s://%s:%d", tls ? "s" : "", c->host, port);
    else
        snprintf(text, sizeof(text), "http%s://%s", tls ? "s" : "", listening);
    if (strlen(text) < sizeof(c->mirror.claim.address))
        c->advertise = copy_or_null(text);
}

static int open_http(struct controller *c, const struct controller_config *config, struct errmsg *m)
{
    char host[300] = "";
    const char *hosts[2] = { c->host, host };
    int port, r;
    struct http_server_config http = {
        .listen = config->listen,
        .listen_count = config->listen_count,
        .token_file = config->token_file,
        .member_token_file = config->member_token_file,
        .connections_max = config->connections_max,
        .body_bytes_max = RECORD_BYTES_MAX + 1024, /* a report is as large as a record */
        .tls_cert = config->tls_cert,
        .tls_key = config->tls_key,
        .hosts = hosts,
        .host_count = 1,
        .refusal = http_refusal_json,
        .refusal_type = "application/json",
    };

    if (config->listen_count == 0)
        return ERR_OK;
    if (c->advertise && http_host_split(strstr(c->advertise, "://") + 3, host, sizeof(host), &port))
        http.host_count = 2;
    r = http_server_open(&c->http, c->base, &http, http_handle, c, m);
    if (r == ERR_OK)
        advertise_default(c);
    return r;
}

static int open_events(struct controller *c, struct errmsg *m)
{
    const struct timeval tick = { .tv_usec = TICK_MS * 1000 };

    c->wake_event = event_new(c->base, c->wake_fd, EV_READ | EV_PERSIST, on_wake, c);
    c->tick_event = event_new(c->base, -1, EV_PERSIST, on_tick, c);
    c->turn_event = event_new(c->base, -1, 0, on_turn, c);
    if (!c->wake_event || !c->tick_event || !c->turn_event || event_add(c->wake_event, NULL) < 0 ||
        event_add(c->tick_event, &tick) < 0)
        return err_set(m, ERR_NOMEM, "event loop");
    return ERR_OK;
}

int controller_open(struct controller **ret, struct event_base *base, const struct controller_config *config,
                    struct errmsg *m)
{
    struct controller *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return err_set(m, ERR_NOMEM, "open controller");
    c->base = base;
    c->wake_fd = -1;
    c->calls_end = &c->calls;
    c->appends_end = &c->appends;
    claim_init(&c->reign);
    c->acked_offset = -1;
    c->group_members = -1;
    c->opened_ms = clock_ms();
    c->ring = events_ring_new(EVENTS_KEPT);
    metrics_open(c);
    c->feeds = feeds_new(c);
    c->posted = posted_new();
    r = mirror_init(&c->mirror, on_mirror_changed, c) == ERR_OK ? open_names(c, config, m)
                                                                : err_set(m, ERR_NOMEM, "open controller");
    if (r == ERR_OK)
        r = open_http(c, config, m); /* first: a wrong address is known at once */
    if (r == ERR_OK)
        r = open_kafka(c, config, m);
    if (r == ERR_OK && config->redis)
        r = keeper_open(&c->keeper, c, config->redis, m);
    if (r == ERR_OK && config->configmap)
        r = configmaps_open(&c->configmaps, c, config->configmap, m);
    if (r == ERR_OK)
        r = open_events(c, m);
    if (r < 0) {
        controller_close(c);
        return r;
    }
    if (config->burrow)
        c->burrow = burrow_follower_start(&c->burrow_options, c->settings);
    c->config.burrow = NULL;
    c->config.listen = NULL; /* borrowed: not to be looked at again */
    c->config.kafka = NULL;
    c->config.redis = NULL;
    c->config.configmap = NULL;
    c->replay_question = ++c->question_last;
    kafka_reader_ask_end(c->control, c->replay_question, OPEN_MS_MAX);
    controller_wake(c);
    *ret = c;
    return ERR_OK;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static int calls_taken(const struct controller *c)
{
    int count = 0;

    for (const struct call *call = call_after(c, NULL); call; call = call_after(c, call))
        count += call->state == CALL_TAKEN;
    return count;
}

/* The tick keeps this going; what is under way gets its time, and no more. */
static void close_wait(struct controller *c)
{
    const int64_t began_ms = clock_ms();

    while (clock_ms() - began_ms < CLOSE_BATCH_MS_MAX) {
        const bool answered = calls_taken(c) == 0 && http_server_pending(c->http) == 0;

        if (reign_idle(c) && (answered || clock_ms() - began_ms > CLOSE_CALLS_MS_MAX))
            break;
        event_base_loop(c->base, EVLOOP_ONCE);
    }
}

static void close_calls(struct controller *c)
{
    for (struct call *call = call_after(c, NULL), *next; call; call = next) {
        next = call_after(c, call);
        if (call->state != CALL_DONE)
            call_error(call, 503, "unavailable", "send it again: another controller will answer", NULL,
                       "the controller is stopping");
    }
    while (c->calls) {
        struct call *call = c->calls;

        c->calls = call->next;
        call_free(call);
    }
    for (int i = 0; i < 100 && http_server_pending(c->http) > 0; i++)
        event_base_loop(c->base, EVLOOP_ONCE | (i < 50 ? EVLOOP_NONBLOCK : 0)); /* the last answers go out */
}

static void close_fleets(struct controller *c)
{
    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next)
        entry_free(f->opaque);
    mirror_deinit(&c->mirror);
    while (c->orphans) {
        struct orphan *o = c->orphans;

        c->orphans = o->next;
        free(o->json);
        free(o);
    }
    while (c->appends) {
        struct append *a = c->appends;

        c->appends = a->next;
        free(a);
    }
    handed_free(c);
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

void controller_close(struct controller *c)
{
    const int64_t began_ms = clock_ms();

    if (!c)
        return;
    c->stopping = true;
    http_server_stop(c->http);
    if (c->turn_event) {
        events_end(c);
        feeds_forget(c->feeds);
        close_wait(c);
        if (c->reign.state == CLAIM_LEADING)
            log_info("lead_handed_over", "term=%lld", (long long)c->reign.term);
        reign_end(c, NULL, false);
        close_calls(c);
    }
    keeper_close(c->keeper);
    configmaps_close(c->configmaps);
    metrics_close(c);
    burrow_follower_stop(c->burrow);
    election_close(c->election);
    kafka_appender_close(c->appender, FLUSH_MS_MAX);
    sampler_close(c);
    brokers_close(c->brokers);
    kafka_reader_close(c->reports);
    kafka_reader_close(c->control);
    http_server_close(c->http);
    close_fleets(c);
    events_ring_free(c->ring);
    feeds_free(c->feeds);
    posted_free(c->posted);
    shown_forget(c, 0);
    free_event(c->wake_event);
    free_event(c->tick_event);
    free_event(c->turn_event);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    kafka_settings_free(c->settings);
    free(c->prefix);
    free(c->by);
    free(c->advertise);
    log_debug("controller_closed", "took_ms=%lld", (long long)(clock_ms() - began_ms));
    free(c);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

void controller_state(const struct controller *c, struct controller_state *ret)
{
    const struct claim *claim = &c->mirror.claim;

    memset(ret, 0, sizeof(*ret));
    ret->role = controller_leads(c) ? CONTROLLER_LEADING : c->replayed ? CONTROLLER_FOLLOWING : CONTROLLER_REPLAYING;
    text_copy(ret->controller, sizeof(ret->controller), c->id);
    ret->term = c->mirror.terms.highest;
    ret->leader_known = c->mirror.claim_known;
    text_copy(ret->leader, sizeof(ret->leader), claim->controller);
    text_copy(ret->leader_host, sizeof(ret->leader_host), claim->host);
    text_copy(ret->leader_address, sizeof(ret->leader_address), claim->address);
    text_copy(ret->trouble, sizeof(ret->trouble), c->trouble);
}

const char *controller_listening(const struct controller *c, int i)
{
    return http_server_address(c->http, i);
}
