#include "controller/brokers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define ANSWER_MS_MAX 5000
#define CONFIG_FRESH_MS 60000
#define CONFIG_REFUSED_MS 600000 /* a broker that does not answer is not asked again so soon */
#define CONFIG_ANSWER_MS 3000

struct ask {
    struct ask *next;
    uint64_t token;
    brokers_answered *answered;
    void *opaque;
};

/* Of a topic or a broker, by the newest answer. */
struct config {
    struct config *next;
    rd_kafka_ResourceType_t type;
    char name[TOPIC_NAME_MAX + 1]; /* of a broker its id */
    int64_t again_ms;              /* not asked before */
    bool out;
    int64_t retention_ms;                /* of a topic */
    struct coordinator_view coordinator; /* of a broker */
};

struct brokers {
    struct kafka_admin *admin;
    struct kafka_handle *handle;
    rd_kafka_queue_t *config_queue;
    uint64_t token_last;
    struct ask *asks;
    struct config *configs;
    struct reading *readings; /* that wait for one of them */
};

struct reading {
    struct reading *next; /* of brokers.readings */
    struct brokers *brokers;
    unsigned what;
    reading_done *done;
    void *opaque;
    struct fleet fleet;
    struct kafka_tp *tps;
    struct snapshot snapshot;
    const struct config *awaited[COLOR_COUNT]; /* NULL: nothing is */
    int pending;
    bool bounds_asked;
};

/* As for all memory of a controller. */
static void must_ask(int r)
{
    ASSERT(r == ERR_OK);
}

int brokers_open(struct brokers **ret, struct kafka_handle *consumer, int wake_fd, struct errmsg *m)
{
    struct brokers *b = must(calloc(1, sizeof(*b)));
    int r = kafka_admin_open(&b->admin, consumer, wake_fd, m);

    if (r < 0) {
        free(b);
        return r;
    }
    b->handle = consumer;
    b->config_queue = must(rd_kafka_queue_new(consumer->rk));
    kafka_queue_wake(b->config_queue, wake_fd);
    *ret = b;
    return ERR_OK;
}

void brokers_close(struct brokers *b)
{
    if (!b)
        return;
    while (b->asks) {
        struct ask *a = b->asks;

        b->asks = a->next;
        free(a);
    }
    while (b->configs) {
        struct config *c = b->configs;

        b->configs = c->next;
        free(c);
    }
    rd_kafka_queue_destroy(b->config_queue);
    kafka_admin_close(b->admin);
    free(b);
}

static uint64_t ask_add(struct brokers *b, brokers_answered *answered, void *opaque)
{
    struct ask *a = must(calloc(1, sizeof(*a)));

    a->token = ++b->token_last;
    a->answered = answered;
    a->opaque = opaque;
    a->next = b->asks;
    b->asks = a;
    return a->token;
}

void brokers_forget(struct brokers *b, void *opaque)
{
    for (struct ask **at = &b->asks; *at;) {
        struct ask *a = *at;

        if (a->opaque != opaque) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        free(a);
    }
}

void brokers_offsets(struct brokers *b, const char *group, const struct kafka_tp *tps, int count,
                     brokers_answered *answered, void *opaque)
{
    must_ask(kafka_admin_offsets(b->admin, ask_add(b, answered, opaque), group, tps, count, ANSWER_MS_MAX));
}

void brokers_ends(struct brokers *b, const struct kafka_tp *tps, int count, brokers_answered *answered, void *opaque)
{
    must_ask(kafka_admin_ends(b->admin, ask_add(b, answered, opaque), tps, count, ANSWER_MS_MAX));
}

static void brokers_stable_ends(struct brokers *b, const struct kafka_tp *tps, int count, brokers_answered *answered,
                                void *opaque)
{
    must_ask(kafka_admin_stable_ends(b->admin, ask_add(b, answered, opaque), tps, count, ANSWER_MS_MAX));
}

void brokers_starts(struct brokers *b, const struct kafka_tp *tps, int count, brokers_answered *answered, void *opaque)
{
    must_ask(kafka_admin_starts(b->admin, ask_add(b, answered, opaque), tps, count, ANSWER_MS_MAX));
}

void brokers_group(struct brokers *b, const char *group, brokers_answered *answered, void *opaque)
{
    kafka_admin_group(b->admin, ask_add(b, answered, opaque), group, ANSWER_MS_MAX);
}

void brokers_topics(struct brokers *b, const char *const *topics, int count, brokers_answered *answered, void *opaque)
{
    kafka_admin_topics(b->admin, ask_add(b, answered, opaque), topics, count, ANSWER_MS_MAX);
}

struct kafka_tp *brokers_tps(const struct fleet *f, const int *list, int count)
{
    struct kafka_tp *tps = must(calloc((size_t)count + 1, sizeof(*tps)));

    for (int i = 0; i < count; i++) {
        const struct baton *baton = &f->batons[list ? list[i] : i];

        ASSERT(baton->topic < f->spec.topic_count);
        text_copy(tps[i].topic, sizeof(tps[i].topic), f->spec.topics[baton->topic]);
        tps[i].partition = baton->partition;
        tps[i].offset = OFFSET_NONE;
    }
    return tps;
}

/* --- configurations: of topics, and of brokers -------------------------------------------------------------------- */

static struct config *config_of(struct brokers *b, rd_kafka_ResourceType_t type, const char *name)
{
    struct config *c = b->configs;

    while (c && (c->type != type || strcmp(c->name, name) != 0))
        c = c->next;
    if (c)
        return c;
    c = must(calloc(1, sizeof(*c)));
    c->type = type;
    text_copy(c->name, sizeof(c->name), name);
    c->retention_ms = -1;
    c->next = b->configs;
    b->configs = c;
    return c;
}

/* Asks when what is known is old; true: the answer is still to come. */
static bool config_ask(struct brokers *b, struct config *c)
{
    rd_kafka_ConfigResource_t *resource;
    rd_kafka_AdminOptions_t *options;

    if (c->out || clock_ms() < c->again_ms)
        return c->out;
    resource = must(rd_kafka_ConfigResource_new(c->type, c->name));
    options = must(rd_kafka_AdminOptions_new(b->handle->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
    rd_kafka_AdminOptions_set_request_timeout(options, CONFIG_ANSWER_MS, NULL, 0);
    rd_kafka_AdminOptions_set_opaque(options, c);
    rd_kafka_DescribeConfigs(b->handle->rk, &resource, 1, options, b->config_queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return c->out = true;
}

int64_t brokers_retention_ms(struct brokers *b, const char *topic)
{
    struct config *c = config_of(b, RD_KAFKA_RESOURCE_TOPIC, topic);

    config_ask(b, c);
    return c->retention_ms;
}

/* The entry's value, NULL: there is none. */
static const char *entry_value(const rd_kafka_ConfigEntry_t **entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

static void take_retention(struct config *c, const rd_kafka_ConfigEntry_t **entries, size_t count)
{
    const char *ms = entry_value(entries, count, "retention.ms"),
               *policy = entry_value(entries, count, "cleanup.policy");
    const bool expires = !policy || strstr(policy, "delete"); /* only compacted: nothing expires by age */

    if (!ms || !expires || parse_int64(&c->retention_ms, ms, -1, INT64_MAX, NULL) < 0)
        c->retention_ms = -1;
}

static void take_coordinator(struct config *c, const rd_kafka_ConfigEntry_t **entries, size_t count)
{
    struct coordinator_view *view = &c->coordinator;
    const char *delay = entry_value(entries, count, "group.initial.rebalance.delay.ms"),
               *heartbeat = entry_value(entries, count, "group.consumer.heartbeat.interval.ms");

    view->known = delay && parse_int64(&view->delay_ms, delay, 0, INT32_MAX, NULL) == ERR_OK;
    if (!view->known)
        snprintf(view->why, sizeof(view->why), "it has no group.initial.rebalance.delay.ms");
    if (!heartbeat || parse_int64(&view->heartbeat_ms, heartbeat, 0, INT32_MAX, NULL) < 0)
        view->heartbeat_ms = 0;
}

static void readings_go_on(struct brokers *b, const struct config *c);

static void config_answered(struct brokers *b, rd_kafka_event_t *event)
{
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    struct config *c = rd_kafka_event_opaque(event);
    const rd_kafka_ConfigResource_t **resources;
    const rd_kafka_ConfigEntry_t **entries;
    const char *why = "";
    size_t count = 0, entry_count = 0;

    resources = result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
    if (rd_kafka_event_error(event))
        why = rd_kafka_event_error_string(event);
    else if (count != 1)
        why = "an answer without it";
    else if (rd_kafka_ConfigResource_error(resources[0]))
        why = rd_kafka_err2str(rd_kafka_ConfigResource_error(resources[0]));
    c->out = false;
    c->again_ms = clock_ms() + (*why ? CONFIG_REFUSED_MS : CONFIG_FRESH_MS);
    if (*why) {
        log_debug("config_unknown", "of=%s error=\"%s\"", c->name, why);
        c->coordinator.known = false;
        snprintf(c->coordinator.why, sizeof(c->coordinator.why), "%.150s", why);
    } else {
        entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
        (c->type == RD_KAFKA_RESOURCE_TOPIC ? take_retention : take_coordinator)(c, entries, entry_count);
    }
    readings_go_on(b, c);
}

void brokers_poll(struct brokers *b)
{
    struct kafka_answer *answer;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(b->config_queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
            config_answered(b, event);
        rd_kafka_event_destroy(event);
    }
    while ((answer = kafka_admin_poll(b->admin))) {
        struct ask **at = &b->asks;

        while (*at && (*at)->token != answer->token)
            at = &(*at)->next;
        if (*at) {
            struct ask *a = *at;

            *at = a->next;
            a->answered(a->opaque, answer);
            free(a);
        }
        kafka_answer_free(answer);
    }
}

/* --- readings ----------------------------------------------------------------------------------------------------- */

static void reading_awaits_not(struct reading *r)
{
    struct reading **at = &r->brokers->readings;

    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    memset(r->awaited, 0, sizeof(r->awaited));
}

void reading_free(struct reading *r)
{
    if (!r)
        return;
    brokers_forget(r->brokers, r);
    reading_awaits_not(r);
    for (int c = 0; c < COLOR_COUNT; c++) {
        free(r->snapshot.groups[c].members);
        free(r->snapshot.groups[c].owner);
    }
    free(r->snapshot.partitions);
    free(r->fleet.batons);
    free(r->tps);
    free(r);
}

const struct fleet *reading_fleet(const struct reading *r)
{
    return &r->fleet;
}

const struct snapshot *reading_snapshot(const struct reading *r)
{
    return &r->snapshot;
}

static void reading_fail(struct reading *r, const char *doing, const struct kafka_answer *a)
{
    if (!r->snapshot.error[0])
        snprintf(r->snapshot.error, sizeof(r->snapshot.error), "%.80s: %.170s", doing,
                 a->message.text[0] ? a->message.text : err_text(a->error));
}

static void reading_bounds(struct reading *r);

static void reading_answered(struct reading *r)
{
    if (--r->pending > 0)
        return;
    if ((r->what & READING_BOUNDS) && !r->bounds_asked && !r->snapshot.error[0]) {
        reading_bounds(r);
        return;
    }
    r->done(r->opaque, r);
}

static void on_starts(void *opaque, struct kafka_answer *a)
{
    struct reading *r = opaque;

    if (a->error < 0)
        reading_fail(r, "read where the partitions' logs begin", a);
    for (int i = 0; a->error == ERR_OK && i < a->tp_count; i++)
        r->snapshot.partitions[i].log_start = a->tps[i].failed ? OFFSET_NONE : a->tps[i].offset;
    reading_answered(r);
}

static void on_ends(void *opaque, struct kafka_answer *a)
{
    struct reading *r = opaque;

    if (a->error < 0)
        reading_fail(r, "read where the partitions' logs end", a);
    for (int i = 0; a->error == ERR_OK && i < a->tp_count; i++)
        r->snapshot.partitions[i].log_end = a->tps[i].failed ? OFFSET_NONE : a->tps[i].offset;
    reading_answered(r);
}

static void on_stable_ends(void *opaque, struct kafka_answer *a)
{
    struct reading *r = opaque;

    if (a->error < 0)
        reading_fail(r, "read the partitions' last stable offsets", a);
    for (int i = 0; a->error == ERR_OK && i < a->tp_count; i++)
        r->snapshot.partitions[i].stable_end = a->tps[i].failed ? OFFSET_NONE : a->tps[i].offset;
    reading_answered(r);
}

static void reading_bounds(struct reading *r)
{
    r->bounds_asked = true;
    r->pending = r->what & READING_STABLE ? 3 : 2;
    if (r->what & READING_STABLE)
        brokers_stable_ends(r->brokers, r->tps, r->fleet.baton_count, on_stable_ends, r);
    brokers_starts(r->brokers, r->tps, r->fleet.baton_count, on_starts, r);
    brokers_ends(r->brokers, r->tps, r->fleet.baton_count, on_ends, r);
}

static void take_offsets(struct reading *r, enum color color, const struct kafka_answer *a)
{
    if (a->error < 0) {
        char doing[200];

        snprintf(doing, sizeof(doing), "read the committed offsets of group '%.120s'",
                 r->fleet.spec.colors[color].group);
        reading_fail(r, doing, a);
    }
    for (int i = 0; a->error == ERR_OK && i < a->tp_count; i++) {
        struct partition_view *view = &r->snapshot.partitions[i];

        if (a->tps[i].failed && !r->snapshot.error[0])
            snprintf(r->snapshot.error, sizeof(r->snapshot.error), "read the committed offset of %.100s/%d: %s",
                     a->tps[i].topic, (int)a->tps[i].partition, rd_kafka_err2str(a->tps[i].code));
        view->committed[color] = a->tps[i].failed ? OFFSET_NONE : a->tps[i].offset;
        view->mark[color] = a->tps[i].failed ? (struct mark){ .kind = MARK_NOTHING } : a->tps[i].mark;
    }
    reading_answered(r);
}

static void on_offsets_blue(void *opaque, struct kafka_answer *a)
{
    take_offsets(opaque, BLUE, a);
}

static void on_offsets_green(void *opaque, struct kafka_answer *a)
{
    take_offsets(opaque, GREEN, a);
}

static void take_owners(struct reading *r, struct group_view *view, const struct kafka_answer *a)
{
    view->owner = must(calloc((size_t)r->fleet.baton_count + 1, sizeof(*view->owner)));
    for (int i = 0; i < r->fleet.baton_count; i++)
        view->owner[i] = -1;
    for (int member = 0; member < view->member_count; member++)
        for (int k = 0; a->group_assigned && k < a->group_assigned_count[member]; k++) {
            const struct kafka_tp *tp = &a->group_assigned[member][k];
            const int topic = fleet_topic(&r->fleet, tp->topic);
            const int baton = topic < 0 ? -1 : fleet_find(&r->fleet, topic, tp->partition);

            if (baton >= 0)
                view->owner[baton] = member;
        }
}

/* A foreign application stands still for as long as its group's coordinator has been told to wait. */
static void take_coordinators(struct reading *r, enum color color)
{
    struct brokers *b = r->brokers;
    char name[16];
    struct config *c;

    snprintf(name, sizeof(name), "%d", (int)r->snapshot.groups[color].coordinator);
    c = config_of(b, RD_KAFKA_RESOURCE_BROKER, name);
    c->coordinator.id = r->snapshot.groups[color].coordinator;
    if (!config_ask(b, c)) {
        r->snapshot.coordinators[color] = c->coordinator;
        return;
    }
    if (!r->awaited[BLUE] && !r->awaited[GREEN]) {
        r->next = b->readings;
        b->readings = r;
    }
    r->awaited[color] = c;
    r->pending++;
}

static struct reading *reading_awaiting(struct brokers *b, const struct config *c)
{
    struct reading *r = b->readings;

    while (r && r->awaited[BLUE] != c && r->awaited[GREEN] != c)
        r = r->next;
    return r;
}

static void readings_go_on(struct brokers *b, const struct config *c)
{
    struct reading *r;

    while ((r = reading_awaiting(b, c))) {
        for (int color = 0; color < COLOR_COUNT; color++)
            if (r->awaited[color] == c) {
                r->snapshot.coordinators[color] = c->coordinator;
                r->awaited[color] = NULL;
                r->pending--;
            }
        if (!r->awaited[BLUE] && !r->awaited[GREEN])
            reading_awaits_not(r);
        r->pending++;
        reading_answered(r); /* done with it, it may be gone */
    }
}

static void take_group(struct reading *r, enum color color, struct kafka_answer *a)
{
    struct group_view *view = &r->snapshot.groups[color];

    *view = a->group;
    a->group.members = NULL; /* ours now; the count stays, the answer frees the assignments by it */
    view->owner = NULL;
    if (a->error < 0) {
        view->known = false;
        snprintf(view->why, sizeof(view->why), "%.150s", a->message.text);
    }
    if (view->known)
        take_owners(r, view, a);
    if (view->known && view->coordinator >= 0 && r->fleet.spec.strategy == STRATEGY_FOREIGN)
        take_coordinators(r, color);
    reading_answered(r);
}

static void on_group_blue(void *opaque, struct kafka_answer *a)
{
    take_group(opaque, BLUE, a);
}

static void on_group_green(void *opaque, struct kafka_answer *a)
{
    take_group(opaque, GREEN, a);
}

static void on_topics(void *opaque, struct kafka_answer *a)
{
    struct reading *r = opaque;

    for (int i = 0; i < r->fleet.spec.topic_count; i++) {
        struct topic_view *view = &r->snapshot.topics[i];

        if (a->error < 0 || i >= a->topic_count) {
            snprintf(view->why, sizeof(view->why), "%.150s", a->message.text);
            continue;
        }
        view->exists = a->topics[i].exists;
        view->partition_count = a->topics[i].partition_count;
        text_copy(view->why, sizeof(view->why), a->topics[i].why);
        view->retention_ms = view->exists ? brokers_retention_ms(r->brokers, r->fleet.spec.topics[i]) : -1;
    }
    reading_answered(r);
}

static void reading_ask_topics(struct reading *r)
{
    const char *topics[TOPICS_MAX];

    for (int i = 0; i < r->fleet.spec.topic_count; i++) {
        topics[i] = r->fleet.spec.topics[i];
        brokers_retention_ms(r->brokers, topics[i]); /* asked now, perhaps known when the rest is */
    }
    brokers_topics(r->brokers, topics, r->fleet.spec.topic_count, on_topics, r);
}

struct reading *brokers_read(struct brokers *b, unsigned what, const struct fleet *fleet, reading_done *done,
                             void *opaque)
{
    struct reading *r = must(calloc(1, sizeof(*r)));
    const int count = fleet->baton_count;

    r->brokers = b;
    r->what = what;
    r->done = done;
    r->opaque = opaque;
    r->fleet = *fleet;
    r->fleet.batons = must(calloc((size_t)count + 1, sizeof(*r->fleet.batons)));
    r->fleet.baton_max = count;
    if (count > 0)
        memcpy(r->fleet.batons, fleet->batons, (size_t)count * sizeof(*fleet->batons));
    r->tps = brokers_tps(&r->fleet, NULL, count);
    r->snapshot.partitions = must(calloc((size_t)count + 1, sizeof(*r->snapshot.partitions)));
    r->snapshot.partition_count = count;
    for (int i = 0; i < count; i++)
        r->snapshot.partitions[i] = (struct partition_view){ .committed = { OFFSET_NONE, OFFSET_NONE },
                                                             .log_start = OFFSET_NONE,
                                                             .log_end = OFFSET_NONE,
                                                             .stable_end = OFFSET_NONE };
    for (int i = 0; i < TOPICS_MAX; i++)
        r->snapshot.topics[i].retention_ms = -1;
    r->pending = 1; /* ours: nothing is done before all is asked */
    if (what & READING_OFFSETS) {
        r->pending += 2;
        brokers_offsets(b, fleet->spec.colors[BLUE].group, r->tps, count, on_offsets_blue, r);
        brokers_offsets(b, fleet->spec.colors[GREEN].group, r->tps, count, on_offsets_green, r);
    }
    if (what & READING_GROUPS) {
        r->pending += 2;
        brokers_group(b, fleet->spec.colors[BLUE].group, on_group_blue, r);
        brokers_group(b, fleet->spec.colors[GREEN].group, on_group_green, r);
    }
    if (what & READING_TOPICS) {
        r->pending++;
        reading_ask_topics(r);
    }
    r->pending--;
    if (r->pending == 0 && (what & READING_BOUNDS))
        reading_bounds(r);
    ASSERT(r->pending > 0);
    return r;
}
