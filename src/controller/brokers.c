#include "controller/brokers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define ANSWER_MS_MAX 5000
#define RETENTION_FRESH_MS 60000
#define RETENTION_REFUSED_MS 600000 /* a broker that does not answer is not asked again so soon */
#define RETENTION_ANSWER_MS 3000

struct ask {
    struct ask *next;
    uint64_t token;
    brokers_answered *answered;
    void *opaque;
};

struct retention {
    struct retention *next;
    char topic[TOPIC_NAME_MAX + 1];
    int64_t ms;
    int64_t again_ms; /* not asked before */
    bool out;
};

struct brokers {
    struct kafka_admin *admin;
    struct kafka_handle *handle;
    rd_kafka_queue_t *config_queue;
    uint64_t token_last;
    struct ask *asks;
    struct retention *retentions;
};

struct reading {
    struct brokers *brokers;
    unsigned what;
    reading_done *done;
    void *opaque;
    struct fleet fleet;
    struct kafka_tp *tps;
    struct snapshot snapshot;
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
    while (b->retentions) {
        struct retention *r = b->retentions;

        b->retentions = r->next;
        free(r);
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

/* --- retention ---------------------------------------------------------------------------------------------------- */

static struct retention *retention_of(struct brokers *b, const char *topic)
{
    struct retention *r = b->retentions;

    while (r && strcmp(r->topic, topic) != 0)
        r = r->next;
    if (r)
        return r;
    r = must(calloc(1, sizeof(*r)));
    text_copy(r->topic, sizeof(r->topic), topic);
    r->ms = -1;
    r->next = b->retentions;
    b->retentions = r;
    return r;
}

static void retention_ask(struct brokers *b, struct retention *r)
{
    rd_kafka_ConfigResource_t *resource = must(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, r->topic));
    rd_kafka_AdminOptions_t *options =
        must(rd_kafka_AdminOptions_new(b->handle->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));

    rd_kafka_AdminOptions_set_request_timeout(options, RETENTION_ANSWER_MS, NULL, 0);
    rd_kafka_AdminOptions_set_opaque(options, r);
    rd_kafka_DescribeConfigs(b->handle->rk, &resource, 1, options, b->config_queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    r->out = true;
}

int64_t brokers_retention_ms(struct brokers *b, const char *topic)
{
    struct retention *r = retention_of(b, topic);

    if (!r->out && clock_ms() >= r->again_ms)
        retention_ask(b, r);
    return r->ms;
}

static void retention_answered(rd_kafka_event_t *event)
{
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    struct retention *r = rd_kafka_event_opaque(event);
    const rd_kafka_ConfigResource_t **resources;
    const rd_kafka_ConfigEntry_t **entries;
    size_t count = 0, entry_count = 0;
    bool read = false;

    r->out = false;
    r->again_ms = clock_ms() + RETENTION_FRESH_MS;
    resources = result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
    if (rd_kafka_event_error(event) || count != 1 || rd_kafka_ConfigResource_error(resources[0])) {
        r->again_ms = clock_ms() + RETENTION_REFUSED_MS;
        log_debug("retention_unknown", "topic=%s error=\"%s\"", r->topic, rd_kafka_event_error_string(event));
        return;
    }
    entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]), *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (!strcmp(name, "retention.ms") && value)
            read = parse_int64(&r->ms, value, -1, INT64_MAX, NULL) == ERR_OK;
        if (!strcmp(name, "cleanup.policy") && value && !strstr(value, "delete")) {
            r->ms = -1; /* only compacted: nothing expires by age */
            return;
        }
    }
    if (!read)
        r->ms = -1;
}

void brokers_poll(struct brokers *b)
{
    struct kafka_answer *answer;
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(b->config_queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
            retention_answered(event);
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

void reading_free(struct reading *r)
{
    if (!r)
        return;
    brokers_forget(r->brokers, r);
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
