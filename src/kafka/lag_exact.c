/*
 * lag_exact - see lag_exact.h.
 *
 * A consumer of its own with small fetches, which reads committed records only: an aborted one is nobody's work. A partition leaves
 * the assignment with its first record, so that the others have the broker's next answer to themselves.
 */
#include "kafka/lag_exact.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "kafka/internal.h"

#define POLL_MS 200

static int ask_compare(const void *a, const void *b)
{
    const struct lag_exact *l = a, *r = b;
    const int by_topic = strcmp(l->topic, r->topic);

    return by_topic ? by_topic : (l->partition > r->partition) - (l->partition < r->partition);
}

static struct lag_exact *ask_find(struct lag_exact *asks, int count, const char *topic, int32_t partition)
{
    const struct lag_exact key = { .topic = topic, .partition = partition };

    return bsearch(&key, asks, (size_t)count, sizeof(*asks), ask_compare);
}

static rd_kafka_topic_partition_list_t *all_of(const struct lag_exact *asks, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, asks[i].topic, asks[i].partition)->offset = asks[i].offset;
    return list;
}

static void one_done(rd_kafka_t *rk, const struct lag_exact *ask)
{
    rd_kafka_topic_partition_list_t *list = all_of(ask, 1);

    rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, list));
    rd_kafka_topic_partition_list_destroy(list);
}

/* True: this partition is answered. */
static bool take(struct lag_exact *ask, const rd_kafka_message_t *msg)
{
    rd_kafka_timestamp_type_t type;

    if (!ask || ask->state != LAG_EXACT_UNREAD)
        return false;
    if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || (!msg->err && msg->offset >= ask->end)) {
        ask->state = LAG_EXACT_NO_RECORD;
        return true;
    }
    if (msg->err)
        return false;
    ask->state = LAG_EXACT_RECORD;
    ask->timestamp_ms = rd_kafka_message_timestamp(msg, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
        ask->timestamp_ms = -1;
    return true;
}

static int read_all(struct kafka_handle *h, struct lag_exact *asks, int count, int64_t deadline_ms, struct errmsg *m)
{
    rd_kafka_topic_partition_list_t *list = all_of(asks, count);
    rd_kafka_error_t *error;
    rd_kafka_resp_err_t last = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int left = count;

    error = rd_kafka_incremental_assign(h->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error) {
        last = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        return kafka_explain(h, last, "read the records after the commits", m);
    }
    while (left > 0 && clock_ms() < deadline_ms) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(h->rk, POLL_MS);
        struct lag_exact *ask;

        if (!msg)
            continue;
        ask = msg->rkt ? ask_find(asks, count, rd_kafka_topic_name(msg->rkt), msg->partition) : NULL;
        if (msg->err && msg->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            last = msg->err;
        if (take(ask, msg)) {
            left--;
            one_done(h->rk, ask);
        }
        rd_kafka_message_destroy(msg);
    }
    return left == 0 ? ERR_OK : kafka_explain(h, last, "read the records after the commits", m);
}

int lag_exact_read(const struct kafka_settings *s, struct lag_exact *asks, int count, int timeout_ms, struct errmsg *m)
{
    /* clang-format off: a pair a line */
    static const char *const extra[] = { KAFKA_LOOKS_ON("baton-lag"),
                                         "enable.partition.eof",
                                         "true",
                                         "isolation.level",
                                         "read_committed",
                                         "auto.offset.reset",
                                         "earliest",
                                         "fetch.wait.max.ms",
                                         "50",
                                         "max.partition.fetch.bytes",
                                         "16384",
                                         "queued.min.messages",
                                         "1",
                                         NULL };
    /* clang-format on */
    const int64_t deadline_ms = clock_ms() + timeout_ms;
    struct kafka_settings *common;
    struct kafka_handle h;
    int r;

    for (int i = 0; i < count; i++) {
        asks[i].state = LAG_EXACT_UNREAD;
        asks[i].timestamp_ms = -1;
    }
    if (count == 0)
        return ERR_OK;
    qsort(asks, (size_t)count, sizeof(*asks), ask_compare);
    common = kafka_settings_common(s);
    r = common ? kafka_handle_open(&h, RD_KAFKA_CONSUMER, "lag", common, extra, NULL, NULL, m)
               : err_set(m, ERR_NOMEM, "copy settings");
    kafka_settings_free(common);
    if (r < 0)
        return r;
    r = read_all(&h, asks, count, deadline_ms, m);
    rd_kafka_assign(h.rk, NULL);
    kafka_handle_close(&h);
    return r;
}
