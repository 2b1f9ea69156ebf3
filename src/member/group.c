/* group - see group.h. */
#include "member/group.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "member/carry.h"
#include "member/flow.h"
#include "member/intake.h"

#define METADATA_MS_MAX 2000
#define BARRED_MS 3000 /* between two tries to commit while the group does not know us */

typedef rd_kafka_topic_partition_list_t tp_list;

/* --- joining --- */

/* Rebalances come as events on this thread, never as callbacks within a call. */
static void configure(rd_kafka_conf_t *conf, void *opaque)
{
    (void)opaque;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT);
}

static int open_handle(struct baton_consumer *c, struct errmsg *m)
{
    const char *assignor = options_assignor(&c->options);
    struct kafka_settings *settings;
    rd_kafka_queue_t *records;
    int r = options_consumer(&c->options, &c->fleet.spec, &settings, m);

    if (r < 0)
        return r;
    r = kafka_handle_open(&c->main, RD_KAFKA_CONSUMER, "group", settings, NULL, configure, c, m);
    kafka_settings_free(settings);
    if (r < 0)
        return r;
    text_copy(c->report.assignor, sizeof(c->report.assignor), assignor);
    rd_kafka_poll_set_consumer(c->main.rk);
    c->group_queue = rd_kafka_queue_get_consumer(c->main.rk);
    c->commit_queue = rd_kafka_queue_new(c->main.rk);
    records = rd_kafka_queue_new(c->main.rk);
    kafka_queue_wake(c->group_queue, c->wake_fd);
    kafka_queue_wake(c->commit_queue, c->wake_fd);
    pthread_mutex_lock(&c->lock);
    c->main_open = true;
    c->intake.queue = records;
    intake_wake_all(c);
    pthread_mutex_unlock(&c->lock);
    return ERR_OK;
}

/*
 * The first attach of a partition whose leader the handle does not know costs up to a second: it is asked for when the
 * group is joined, and (without waiting) when a partition comes that was not there then.
 */
static void warm(struct baton_consumer *c, struct intake_topic *t, rd_kafka_topic_t *rkt, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;

    if (rd_kafka_metadata(c->main.rk, 0, rkt, &metadata, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (metadata->topic_cnt == 1)
        t->known = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
}

static void warm_new(struct baton_consumer *c, const struct holder_topic_partition *tps, int count)
{
    for (int i = 0; i < count; i++) {
        struct intake_topic *t = &c->intake.topics[tps[i].topic];

        if (tps[i].partition < t->known || !t->reference)
            continue;
        t->known = tps[i].partition + 1;
        warm(c, t, t->reference, 0);
    }
}

static int subscribe(struct baton_consumer *c, struct errmsg *m)
{
    const struct spec *spec = &c->fleet.spec;
    tp_list *list = rd_kafka_topic_partition_list_new(spec->topic_count);
    rd_kafka_resp_err_t err;

    for (int i = 0; i < spec->topic_count; i++) {
        rd_kafka_topic_partition_list_add(list, spec->topics[i], RD_KAFKA_PARTITION_UA);
        if (!c->intake.topics[i].reference) {
            rd_kafka_topic_t *rkt = rd_kafka_topic_new(c->main.rk, spec->topics[i], NULL);

            if (!rkt)
                continue;
            warm(c, &c->intake.topics[i], rkt, METADATA_MS_MAX);
            pthread_mutex_lock(&c->lock);
            c->intake.topics[i].reference = rkt;
            pthread_mutex_unlock(&c->lock);
        }
    }
    err = rd_kafka_subscribe(c->main.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        return kafka_explain(&c->main, err, "subscribe to the fleet's topics", m);
    c->topics_subscribed = spec->topic_count;
    log_info("joining", "fleet=%s color=%s group=%s topics=%d", spec->fleet, color_name(c->options.color),
             spec->colors[c->options.color].group, spec->topic_count);
    return ERR_OK;
}

int group_join(struct baton_consumer *c, struct errmsg *m)
{
    int r = c->main_open ? ERR_OK : open_handle(c, m);

    return r < 0 ? r : subscribe(c, m);
}

int group_fits(const struct baton_consumer *c, const struct fleet *next, struct errmsg *m)
{
    const char *group = next->spec.colors[c->options.color].group;

    if (!c->main_open)
        return ERR_OK;
    if (strcmp(group, c->fleet.spec.colors[c->options.color].group) != 0)
        return err_set(m, ERR_CONFLICT, "the fleet file now names group '%s' for %s: restart this consumer", group,
                       color_name(c->options.color));
    for (int i = 0; i < c->topics_subscribed; i++)
        if (i >= next->spec.topic_count || strcmp(next->spec.topics[i], c->fleet.spec.topics[i]) != 0)
            return err_set(m, ERR_CONFLICT, "the fleet was made anew with other topics: restart this consumer");
    return ERR_OK;
}

/* --- rebalances --- */

/* The partitions of the event as the holder names them; those of unknown topics are left out. *ret is the caller's. */
static int partitions_of(const struct baton_consumer *c, const tp_list *list, struct holder_topic_partition **ret)
{
    const int count = list ? list->cnt : 0; /* may be 0, with elems NULL */
    int n = 0;

    *ret = calloc(count > 0 ? (size_t)count : 1, sizeof(**ret));
    if (!*ret)
        return ERR_NOMEM;
    for (int i = 0; i < count; i++) {
        const int topic = fleet_topic(&c->fleet, list->elems[i].topic);

        if (topic >= 0)
            (*ret)[n++] = (struct holder_topic_partition){ (uint16_t)topic, list->elems[i].partition };
    }
    return n;
}

static int slots_used(const struct baton_consumer *c)
{
    int n = 0;

    for (int i = 0; i < c->holder.part_max; i++)
        n += c->holder.parts[i].used;
    return n;
}

/* The group's name for us changes with a lost session. */
static void learn_member_id(struct baton_consumer *c)
{
    char *id = rd_kafka_memberid(c->main.rk);

    pthread_mutex_lock(&c->lock);
    text_copy(c->member_id, sizeof(c->member_id), id ? id : "");
    pthread_mutex_unlock(&c->lock);
    if (id)
        rd_kafka_mem_free(c->main.rk, id);
}

/* What is revoked and the group no longer has us for: nothing can be committed, so waiting for it is of no use. */
static void lose(struct baton_consumer *c)
{
    carry_step(c, (struct holder_event){ .type = HOLDER_LOST, .tps = c->revoked, .tp_count = c->revoked_count });
}

static void on_rebalance(struct baton_consumer *c, rd_kafka_event_t *event)
{
    const bool assign = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    const char *protocol = rd_kafka_rebalance_protocol(c->main.rk);
    struct holder_topic_partition *tps = NULL;
    enum holder_event_type type = HOLDER_ASSIGNED;
    int count;

    c->eager = protocol && strcmp(protocol, "EAGER") == 0;
    flow_owe(c, assign ? ANSWER_ASSIGN : ANSWER_REVOKE);
    if (c->leaving) { /* nobody asks the holder any more; librdkafka waits all the same */
        flow_answer(c);
        return;
    }
    learn_member_id(c);
    if (assign)
        consumer_note_why(c, "");
    count = partitions_of(c, rd_kafka_event_topic_partition_list(event), &tps);
    if (count < 0 || (assign && carry_reserve(c, slots_used(c) + count) < 0)) {
        consumer_fail(c, ERR_NOMEM, "out of memory for the partitions of a rebalance");
        flow_answer(c);
        free(tps);
        return;
    }
    if (assign) {
        c->commits_barred_ms = 0;
        warm_new(c, tps, count);
    } else /* a call of ours may have cleared librdkafka's flag before we saw this; a lost session has no member id */
        type = rd_kafka_assignment_lost(c->main.rk) || c->member_id[0] == '\0' ? HOLDER_LOST : HOLDER_REVOKED;
    log_debug("rebalance", "event=%s partitions=%d",
              assign                ? "assigned"
              : type == HOLDER_LOST ? "lost"
                                    : "revoked",
              count);
    free(c->revoked);
    c->revoked = tps;
    c->revoked_count = count;
    carry_step(c, (struct holder_event){ .type = type, .tps = tps, .tp_count = count });
}

/* The handle is dead: everything it had is lost. */
static void lose_all(struct baton_consumer *c)
{
    struct holder_topic_partition *tps = calloc((size_t)c->holder.part_max, sizeof(*tps));
    int n = 0;

    for (int i = 0; tps && i < c->holder.part_max; i++)
        if (c->holder.parts[i].used && c->holder.parts[i].assigned)
            tps[n++] = (struct holder_topic_partition){ c->holder.parts[i].topic, c->holder.parts[i].partition };
    if (n > 0)
        carry_step(c, (struct holder_event){ .type = HOLDER_LOST, .tps = tps, .tp_count = n });
    free(tps);
}

/* --- trouble --- */

static void on_error(struct baton_consumer *c, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    char fatal[512], doing[GROUP_NAME_MAX + 40];
    struct errmsg m = { 0 };

    if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event)) {
        c->fatal = true;
        code = rd_kafka_fatal_error(c->main.rk, fatal, sizeof(fatal));
        err_set(&m, ERR_KAFKA, "Kafka has put this consumer out: %s (%s)", fatal, rd_kafka_err2name(code));
        consumer_fail(c, ERR_KAFKA, m.text);
        lose_all(c);
        return;
    }
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT: /* the connections' own trouble is told by kafka/client */
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return;
    default:
        break;
    }
    if (code == c->group_error_told)
        return;
    c->group_error_told = code;
    snprintf(doing, sizeof(doing), "work in group '%s'", c->fleet.spec.colors[c->options.color].group);
    kafka_explain(&c->main, code, doing, &m);
    log_warn("group_trouble", "error=\"%s\" detail=\"%s\", librdkafka tries again", m.text,
             rd_kafka_event_error_string(event));
    consumer_note_why(c, m.text);
}

/* --- commits --- */

static void on_committed(struct baton_consumer *c, rd_kafka_event_t *event)
{
    struct ask *ask = carry_find(c, (uint64_t)(uintptr_t)rd_kafka_event_opaque(event));
    const tp_list *list = rd_kafka_event_topic_partition_list(event);
    const rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    bool *failed;

    if (!ask)
        return;
    if (err)
        log_debug("commit_failed", "error=%s partitions=%d", rd_kafka_err2name(err), ask->count);
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        c->commits_barred_ms = clock_ms() + BARRED_MS; /* each such answer would throw us out of the join under way */
    failed = calloc(ask->count > 0 ? (size_t)ask->count : 1, sizeof(*failed));
    if (!failed || err || !list || list->cnt != ask->count) {
        free(failed);
        carry_answer(c, ask, NULL,
                     true); /* one that failed may take others of its request along: all are tried again */
        if (c->owed == ANSWER_REVOKE && !c->owed_due &&
            (err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION))
            lose(c);
        return;
    }
    for (int i = 0; i < ask->count; i++) {
        const struct holder_part *p = &c->holder.parts[ask->parts[i].part];
        const char *topic = c->fleet.spec.topics[p->topic];
        const rd_kafka_topic_partition_t *tp = &list->elems[i]; /* librdkafka sorts by topic before it sends */

        if (tp->partition != p->partition || strcmp(tp->topic, topic) != 0)
            tp = rd_kafka_topic_partition_list_find(list, topic, p->partition);
        failed[i] = !tp || tp->err;
    }
    carry_answer(c, ask, failed, false);
    free(failed);
}

/* --- the way in --- */

/* Lanes are fed from another queue; a record here came past its lane and would be missed: attach its partition anew. */
static void on_stray(struct baton_consumer *c, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;

    while ((message = rd_kafka_event_message_next(event))) {
        const int topic = message->rkt ? fleet_topic(&c->fleet, rd_kafka_topic_name(message->rkt)) : -1;
        const int slot = topic < 0 || message->err ? -1 : holder_find(&c->holder, topic, message->partition);

        if (slot < 0 || !c->intake.lanes[slot].attached)
            continue;
        log_error("stray_record", "topic=%s partition=%d offset=%lld, attaching the partition anew",
                  rd_kafka_topic_name(message->rkt), message->partition, (long long)message->offset);
        flow_attach(c, slot, c->holder.parts[slot].window.position);
    }
    flow_apply(c);
}

static void on_event(struct baton_consumer *c, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE:
        c->group_error_told = RD_KAFKA_RESP_ERR_NO_ERROR;
        on_rebalance(c, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        on_error(c, event);
        break;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        on_committed(c, event);
        break;
    case RD_KAFKA_EVENT_FETCH:
        on_stray(c, event);
        break;
    default:
        break;
    }
}

/*
 * librdkafka sends a rebalance only when the one before is answered. But an unassign of ours (a detach) that meets a
 * revocation whose event we have not read yet is such an answer, and the assignment that follows is then in the queue
 * right behind. It waits here: as long as it is not answered, the group cannot give away what we still finish.
 */
static rd_kafka_event_t *next_event(struct baton_consumer *c)
{
    rd_kafka_event_t *event = c->next_rebalance;

    if (event && c->owed != ANSWER_NONE)
        return NULL;
    c->next_rebalance = NULL;
    if (!event)
        event = rd_kafka_queue_poll(c->group_queue, 0);
    if (!event || rd_kafka_event_type(event) != RD_KAFKA_EVENT_REBALANCE || c->owed == ANSWER_NONE || c->leaving)
        return event;
    c->next_rebalance = event;
    return NULL;
}

void group_events(struct baton_consumer *c)
{
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(c->commit_queue, 0)) || (event = next_event(c))) {
        on_event(c, event);
        rd_kafka_event_destroy(event);
    }
    if (c->leaving && !c->left && rd_kafka_consumer_closed(c->main.rk))
        c->left = true;
}

void group_release(struct baton_consumer *c)
{
    if (!c->main_open)
        return;
    rd_kafka_queue_io_event_enable(c->group_queue, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(c->commit_queue, -1, NULL, 0);
    if (c->next_rebalance)
        rd_kafka_event_destroy(c->next_rebalance);
    c->next_rebalance = NULL;
    free(c->revoked);
    c->revoked = NULL;
    rd_kafka_queue_destroy(c->group_queue);
    rd_kafka_queue_destroy(c->commit_queue);
    kafka_handle_close(&c->main);
    c->main_open = false;
}
