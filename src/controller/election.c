#include "controller/election.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"

/*
 * In a session. A heartbeat's answer is how a member learns that the leader has left, so this is what a hand-over
 * takes: 200 ms of 6 s.
 */
#define HEARTBEATS 30

/*
 * So long an election waits at most for somebody who does not come. It is Kafka's "rebalance timeout", five minutes unless told:
 * a coordinator that cannot write for some seconds (too few replicas in sync) drops the end of a dead member's session
 * ("Ignoring it", says its log, 4.3.1) and then waits for the dead.
 */
#define REBALANCE_MS 30000

struct election {
    struct kafka_handle handle;
    struct kafka_settings *settings;
    rd_kafka_queue_t *queue;
    int wake_fd;
    char session_ms[16], heartbeat_ms[16], rebalance_ms[16];
    char group[GROUP_NAME_MAX + 1];
    char topic[TOPIC_NAME_MAX + 1];
    election_heard *heard;
    void *opaque;
    bool joined;
    bool assigned;
    bool closing;
    bool dead; /* librdkafka gave the handle up: it is made anew */
    rd_kafka_resp_err_t told;
};

static bool holds_ours(const struct election *e, const rd_kafka_topic_partition_list_t *parts)
{
    for (int i = 0; parts && i < parts->cnt; i++)
        if (!strcmp(parts->elems[i].topic, e->topic) && parts->elems[i].partition == 0)
            return true;
    return false;
}

static void lose(struct election *e)
{
    if (!e->assigned)
        return;
    e->assigned = false;
    if (!e->closing)
        e->heard(e->opaque, ELECTION_LOST);
}

/* Every callback is answered, with nothing: librdkafka acknowledges its target to the group, not what is attached. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *parts, void *opaque)
{
    struct election *e = opaque;
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
    const char *protocol = rd_kafka_rebalance_protocol(rk); /* NULL: the group has been closed meanwhile */
    const bool eager = protocol && !strcmp(protocol, "EAGER");
    rd_kafka_error_t *error = NULL;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (eager)
            rd_kafka_assign(rk, nothing);
        else
            error = rd_kafka_incremental_assign(rk, nothing);
        if (holds_ours(e, parts))
            e->assigned = true;
        if (!e->closing)
            e->heard(e->opaque, e->assigned ? ELECTION_GAINED : ELECTION_OTHER);
    } else {
        if (eager)
            rd_kafka_assign(rk, NULL);
        else
            error = rd_kafka_incremental_unassign(rk, nothing);
        if (holds_ours(e, parts) || code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
            lose(e);
    }
    if (error) {
        log_warn("election_answer_failed", "error=\"%s\"", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(nothing);
}

static void configure(rd_kafka_conf_t *conf, void *opaque)
{
    (void)opaque;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

static int election_start(struct election *e, struct errmsg *m)
{
    const char *const extra[] = { "group.id",
                                  e->group,
                                  "group.protocol",
                                  "classic",
                                  "partition.assignment.strategy",
                                  "cooperative-sticky",
                                  "session.timeout.ms",
                                  e->session_ms,
                                  "heartbeat.interval.ms",
                                  e->heartbeat_ms,
                                  "max.poll.interval.ms",
                                  e->rebalance_ms,
                                  "enable.auto.commit",
                                  "false",
                                  "enable.auto.offset.store",
                                  "false",
                                  "allow.auto.create.topics",
                                  "false",
                                  NULL };
    int r = kafka_handle_open(&e->handle, RD_KAFKA_CONSUMER, "election", e->settings, extra, configure, e, m);

    if (r < 0)
        return r;
    rd_kafka_poll_set_consumer(e->handle.rk);
    e->queue = rd_kafka_queue_get_consumer(e->handle.rk);
    ASSERT(e->queue != NULL);
    kafka_queue_wake(e->queue, e->wake_fd);
    return ERR_OK;
}

static void election_stop(struct election *e)
{
    e->closing = true;
    if (e->handle.rk && e->joined)
        rd_kafka_consumer_close(e->handle.rk);
    if (e->queue) {
        rd_kafka_queue_io_event_enable(e->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(e->queue);
    }
    e->queue = NULL;
    kafka_handle_close(&e->handle);
    e->joined = e->assigned = e->closing = e->dead = false;
}

int election_open(struct election **ret, const struct kafka_settings *s, const char *group, const char *topic,
                  int session_ms, int wake_fd, election_heard *heard, void *opaque, struct errmsg *m)
{
    struct election *e = calloc(1, sizeof(*e));
    int r;

    if (!e)
        return err_set(m, ERR_NOMEM, "open election");
    snprintf(e->session_ms, sizeof(e->session_ms), "%d", session_ms);
    snprintf(e->heartbeat_ms, sizeof(e->heartbeat_ms), "%d", session_ms / HEARTBEATS);
    snprintf(e->rebalance_ms, sizeof(e->rebalance_ms), "%d", session_ms > REBALANCE_MS ? session_ms : REBALANCE_MS);
    e->wake_fd = wake_fd;
    e->heard = heard;
    e->opaque = opaque;
    e->settings = kafka_settings_common(s);
    if (!e->settings)
        r = err_set(m, ERR_NOMEM, "copy settings");
    else if (!text_copy(e->group, sizeof(e->group), group) || !text_copy(e->topic, sizeof(e->topic), topic))
        r = err_set(m, ERR_TOO_LARGE, "the prefix is too long");
    else
        r = ERR_OK; /* the handle is made with the first join: a command that only reads needs none */
    if (r < 0) {
        election_close(e);
        return err_wrap(m, r, "open election");
    }
    *ret = e;
    return ERR_OK;
}

void election_close(struct election *e)
{
    if (!e)
        return;
    if (e->handle.rk)
        election_stop(e);
    kafka_settings_free(e->settings);
    free(e);
}

int election_join(struct election *e, struct errmsg *m)
{
    rd_kafka_topic_partition_list_t *topics;
    rd_kafka_resp_err_t code;
    int r;

    if (e->joined)
        return ERR_OK;
    if (!e->handle.rk) {
        r = election_start(e, m);
        if (r < 0)
            return r;
    }
    topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, e->topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(e->handle.rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_explain(&e->handle, code, "join the controllers' group", m);
    e->joined = true;
    e->told = RD_KAFKA_RESP_ERR_NO_ERROR;
    return ERR_OK;
}

void election_leave(struct election *e)
{
    if (!e->joined)
        return;
    e->joined = false;
    e->assigned = false; /* whoever leaves has stopped already: no news of it */
    rd_kafka_unsubscribe(e->handle.rk);
}

bool election_joined(const struct election *e)
{
    return e->joined;
}

int election_poll(struct election *e, struct errmsg *m)
{
    rd_kafka_message_t *message;
    char doing[GROUP_NAME_MAX + 40];
    int r = ERR_OK;

    if (!e->handle.rk)
        return ERR_OK;
    while ((message = rd_kafka_consumer_poll(e->handle.rk, 0))) {
        const rd_kafka_resp_err_t code = message->err;

        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != e->told && e->joined) {
            e->told = code;
            snprintf(doing, sizeof(doing), "join group '%s'", e->group);
            r = kafka_explain(&e->handle, code, doing, m);
        }
        rd_kafka_message_destroy(message);
    }
    if (rd_kafka_fatal_error(e->handle.rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR && !e->dead) {
        e->dead = true;
        r = kafka_explain(&e->handle, RD_KAFKA_RESP_ERR__FATAL, "the controllers' group", m);
        lose(e);
        election_stop(e); /* the next join makes a new one */
    }
    return r;
}
