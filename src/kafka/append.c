/*
 * append - the one way by which Baton writes: acknowledged by all replicas, in order, once.
 *
 * An idempotent producer keeps the order of what was appended to one partition and repeats nothing of its own, also
 * over a broker's restart. After 10 s without an acknowledgement it gives up: the record may be in the log nevertheless
 * (ERR_TIMEOUT), and the caller reads the log to its end before it believes anything.
 *
 * A producer that librdkafka declares fatal never works again. Once everything appended through it has been answered,
 * the next kafka_append() makes a new one, at most every 5 s: the order between the two is kept, since nothing of the old one is on its way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "kafka/log.h"

#define DELIVERY_MS_MAX "10000"
#define WARM_MS_MAX 400
#define RENEW_MS_MIN 5000 /* a producer that is refused for good is not made anew with every record */

/* A token is kept as the message's opaque pointer. */
_Static_assert(sizeof(void *) >= sizeof(uint64_t), "tokens need pointers of 64 bits");

struct kafka_appender {
    struct kafka_handle handle;
    struct kafka_settings *settings;
    rd_kafka_queue_t *queue; /* the main one: delivery reports and errors */
    int wake_fd;
    rd_kafka_event_t *event; /* being read */
    int64_t unanswered;
    int64_t started_ms;
    char topic[TOPIC_NAME_MAX + 1];
};

static void appender_configure(rd_kafka_conf_t *conf, void *opaque)
{
    (void)opaque;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
}

static int appender_start(struct kafka_appender *a, struct errmsg *m)
{
    /* clang-format off: a pair a line */
    static const char *const extra[] = {
        "enable.idempotence",
        "true",
        "acks",
        "all",
        "linger.ms",
        "0",
        "message.timeout.ms",
        DELIVERY_MS_MAX,
        "request.timeout.ms",
        "5000",
        "compression.type",
        "none",
        "partitioner",
        "murmur2_random",
        "queue.buffering.max.kbytes",
        "65536",
        "enable.metrics.push",
        "false",
        "allow.auto.create.topics",
        "false", /* else a topic that was deleted comes back without its configuration */
        NULL
    };
    /* clang-format on */
    int partitions;
    int r = kafka_handle_open(&a->handle, RD_KAFKA_PRODUCER, "appender", a->settings, extra, appender_configure, a, m);

    if (r < 0)
        return r;
    a->started_ms = clock_ms();
    /* A producer asks for its id when it is born, before it is connected, and again half a second later, or as soon as
     * any metadata comes in: so it is given some. That there is no such topic, or no broker, is no matter here. */
    kafka_topic_partitions(&a->handle, a->topic, &partitions, WARM_MS_MAX, NULL);
    a->queue = rd_kafka_queue_get_main(a->handle.rk);
    if (a->wake_fd >= 0)
        kafka_queue_wake(a->queue, a->wake_fd);
    return ERR_OK;
}

static void appender_stop(struct kafka_appender *a)
{
    if (a->event)
        rd_kafka_event_destroy(a->event);
    a->event = NULL;
    if (a->queue) {
        rd_kafka_queue_io_event_enable(a->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(a->queue);
    }
    a->queue = NULL;
    kafka_handle_close(&a->handle);
}

int kafka_appender_open(struct kafka_appender **ret, const struct kafka_settings *s, const char *topic, int wake_fd,
                        struct errmsg *m)
{
    struct kafka_appender *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return err_set(m, ERR_NOMEM, "open appender");
    a->wake_fd = wake_fd;
    a->settings = kafka_settings_common(s);
    if (!text_copy(a->topic, sizeof(a->topic), topic))
        r = err_set(m, ERR_INVALID, "the name of topic '%.40s...' is longer than %d letters", topic, TOPIC_NAME_MAX);
    else
        r = a->settings ? appender_start(a, m) : err_set(m, ERR_NOMEM, "copy settings");
    if (r < 0) {
        kafka_appender_close(a, 0);
        return err_wrap(m, r, "open appender");
    }
    *ret = a;
    return ERR_OK;
}

void kafka_appender_close(struct kafka_appender *a, int flush_ms)
{
    if (!a)
        return;
    if (a->handle.rk) {
        if (flush_ms > 0)
            rd_kafka_flush(a->handle.rk, flush_ms);
        rd_kafka_purge(a->handle.rk,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
    appender_stop(a);
    kafka_settings_free(a->settings);
    free(a);
}

struct kafka_handle *kafka_appender_handle(struct kafka_appender *a)
{
    return &a->handle;
}

/* A fatal producer without anything on its way is replaced. */
static int appender_renew(struct kafka_appender *a, struct errmsg *m)
{
    char why[256];

    if (rd_kafka_fatal_error(a->handle.rk, why, sizeof(why)) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_OK;
    if (a->unanswered > 0 || clock_ms() - a->started_ms < RENEW_MS_MIN)
        return kafka_explain(&a->handle, RD_KAFKA_RESP_ERR__FATAL, "append", m);
    log_warn("appender_renewed", "error=\"%s\", a new producer takes over", why);
    appender_stop(a);
    return appender_start(a, m);
}

int kafka_append(struct kafka_appender *a, uint64_t token, const char *topic, int32_t partition, const char *key,
                 const char *value, size_t value_len, struct errmsg *m)
{
    rd_kafka_resp_err_t code;
    char doing[TOPIC_NAME_MAX + 40];
    int r;

    if (!a->handle.rk)
        r = appender_start(a, m);
    else
        r = appender_renew(a, m);
    if (r < 0)
        return r;
    code = rd_kafka_producev(a->handle.rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                             RD_KAFKA_V_KEY(key, strlen(key)),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? value_len : 0),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)token),
                             RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        a->unanswered++;
        return ERR_OK;
    }
    snprintf(doing, sizeof(doing), "append to '%s'", topic);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return err_set(m, ERR_UNAVAILABLE, "%s: too many records wait for the brokers at %s already", doing,
                       a->handle.bootstrap);
    return kafka_explain(&a->handle, code, doing, m);
}

static int appended_error(struct kafka_appender *a, const rd_kafka_message_t *message)
{
    switch (rd_kafka_message_status(message)) {
    case RD_KAFKA_MSG_STATUS_PERSISTED:
        /* A repeated request whose first answer was lost may come back without its offset. A claim's offset is its term,
         * so a record that is there, nobody knows where, counts as one that may be there. */
        return message->offset >= 0 ? ERR_OK : ERR_TIMEOUT;
    case RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED:
        return ERR_TIMEOUT;
    case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
        break;
    }
    if (message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        return ERR_TIMEOUT;
    return kafka_explain(&a->handle, message->err, "append", NULL);
}

bool kafka_appender_poll(struct kafka_appender *a, struct kafka_appended *ret)
{
    const rd_kafka_message_t *message;

    if (!a->queue)
        return false;
    for (;;) {
        if (!a->event)
            a->event = rd_kafka_queue_poll(a->queue, 0);
        if (!a->event)
            return false;
        message = rd_kafka_event_type(a->event) == RD_KAFKA_EVENT_DR ? rd_kafka_event_message_next(a->event) : NULL;
        if (message)
            break;
        rd_kafka_event_destroy(a->event);
        a->event = NULL;
    }
    a->unanswered--;
    *ret = (struct kafka_appended){ .token = (uint64_t)(uintptr_t)message->_private,
                                    .error = appended_error(a, message),
                                    .offset = message->offset,
                                    .code = message->err };
    return true;
}
