/*
 * dlq - see dlq.h.
 */
#include "run/dlq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/admin.h"
#include "kafka/client.h"

#define ASK_MS_MAX 10000

struct dlq {
    struct kafka_handle handle;
    rd_kafka_queue_t *queue;
    char *topic;
    dlq_said *said;
    void *opaque;
};

static void dlq_configure(rd_kafka_conf_t *conf, void *opaque)
{
    (void)opaque;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
}

int dlq_open(struct dlq **ret, const struct kafka_settings *settings, const char *topic, int wake_fd, dlq_said *said,
             void *opaque, struct errmsg *m)
{
    /* One request at a time: a broker that does not know the producer yet takes its second request though it has refused
     * the first (NOT_ENOUGH_REPLICAS), and librdkafka then says that the first is in, too. */
    /* clang-format off */
    static const char *const extra[] = {
        "enable.idempotence", "true",
        "acks", "all",
        "max.in.flight.requests.per.connection", "1",
        "message.timeout.ms", "30000",
        "allow.auto.create.topics", "false",
        NULL
    };
    /* clang-format on */
    struct dlq *d = calloc(1, sizeof(*d));
    int partitions = 0, r;

    if (!d || !(d->topic = strdup(topic))) {
        free(d);
        return err_set(m, ERR_NOMEM, "out of memory");
    }
    d->said = said;
    d->opaque = opaque;
    r = kafka_handle_open(&d->handle, RD_KAFKA_PRODUCER, "dead letters", settings, extra, dlq_configure, d, m);
    if (r == ERR_OK)
        r = kafka_topic_partitions(&d->handle, topic, &partitions, ASK_MS_MAX, m);
    if (r == ERR_OK && partitions == 0)
        r = err_set(m, ERR_NOT_FOUND,
                    "there is no topic '%s' for dead letters; make it: kafka-topics.sh --bootstrap-server %s --create "
                    "--topic %s",
                    topic, d->handle.bootstrap, topic);
    if (r < 0) {
        dlq_close(d);
        return r;
    }
    d->queue = rd_kafka_queue_get_main(d->handle.rk);
    kafka_queue_wake(d->queue, wake_fd);
    *ret = d;
    return ERR_OK;
}

static void add_own(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

static rd_kafka_headers_t *letter_headers(const struct record_view *r, const char *error)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    const char *name;
    const void *value;
    size_t len;
    char number[32];

    for (int i = 0; headers && r->header(r->self, i, &name, &value, &len); i++)
        rd_kafka_header_add(headers, name, -1, value, value ? (ssize_t)len : 0);
    if (!headers)
        return NULL;
    add_own(headers, "baton-error", error);
    add_own(headers, "baton-topic", r->topic);
    snprintf(number, sizeof(number), "%d", r->partition);
    add_own(headers, "baton-partition", number);
    snprintf(number, sizeof(number), "%lld", (long long)r->offset);
    add_own(headers, "baton-offset", number);
    add_own(headers, "baton-fleet", r->fleet);
    add_own(headers, "baton-color", r->color);
    snprintf(number, sizeof(number), "%d", r->attempt);
    add_own(headers, "baton-attempts", number);
    return headers;
}

int dlq_send(struct dlq *d, const struct record_view *r, const char *error, void *letter, struct errmsg *m)
{
    rd_kafka_headers_t *headers = letter_headers(r, error);
    rd_kafka_resp_err_t code;

    if (!headers)
        return err_set(m, ERR_NOMEM, "out of memory");
    code = rd_kafka_producev(d->handle.rk, RD_KAFKA_V_TOPIC(d->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(r->key, r->key_len),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value, r->value_len),
                             RD_KAFKA_V_TIMESTAMP(r->timestamp_ms > 0 ? r->timestamp_ms : 0),
                             RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(letter), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_OK; /* the headers are librdkafka's now */
    rd_kafka_headers_destroy(headers);
    return err_set(m, ERR_KAFKA, "%s", rd_kafka_err2str(code));
}

void dlq_turn(struct dlq *d)
{
    rd_kafka_event_t *event;

    while ((event = rd_kafka_queue_poll(d->queue, 0))) {
        const rd_kafka_message_t *message;

        while (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR && (message = rd_kafka_event_message_next(event)))
            d->said(d->opaque, message->_private, message->err ? rd_kafka_err2str(message->err) : NULL);
        rd_kafka_event_destroy(event);
    }
}

void dlq_close(struct dlq *d)
{
    if (!d)
        return;
    if (d->queue) {
        rd_kafka_queue_io_event_enable(d->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(d->queue);
    }
    if (d->handle.rk)
        rd_kafka_purge(d->handle.rk,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    kafka_handle_close(&d->handle);
    free(d->topic);
    free(d);
}
