/*
 * lag_follow - see lag_follow.h.
 *
 * Fetches are large and rare: nobody waits for a record but the next refresh. Small queues, since all that is kept of a record is a
 * number in a row.
 */
#include "kafka/lag_follow.h"

#include <stdlib.h>

#include "base/check.h"
#include "kafka/internal.h"

#define BATCH 500

struct lag_follower {
    struct kafka_handle handle;
    rd_kafka_queue_t *queue;
    int64_t *positions;
    int partitions;
};

int lag_follower_open(struct lag_follower **ret, const struct kafka_settings *s, int partitions, int wake_fd,
                      struct errmsg *m)
{
    /* clang-format off: a pair a line */
    static const char *const extra[] = { KAFKA_LOOKS_ON("baton-lag"),
                                         "enable.partition.eof",
                                         "true",
                                         "isolation.level",
                                         "read_committed",
                                         "auto.offset.reset",
                                         "error",
                                         "fetch.min.bytes",
                                         "16384",
                                         "fetch.wait.max.ms",
                                         "500",
                                         "queued.min.messages",
                                         "1000",
                                         "queued.max.messages.kbytes",
                                         "1024",
                                         "fetch.queue.backoff.ms",
                                         "50",
                                         NULL };
    /* clang-format on */
    struct lag_follower *f = must(calloc(1, sizeof(*f)));
    struct kafka_settings *common = kafka_settings_common(s);
    rd_kafka_topic_partition_list_t *list;
    int r = common ? kafka_handle_open(&f->handle, RD_KAFKA_CONSUMER, "commits", common, extra, NULL, NULL, m)
                   : err_set(m, ERR_NOMEM, "copy settings");

    kafka_settings_free(common);
    if (r < 0) {
        free(f);
        return r;
    }
    f->partitions = partitions;
    f->positions = must(calloc((size_t)partitions, sizeof(*f->positions)));
    f->queue = must(rd_kafka_queue_get_consumer(f->handle.rk));
    if (wake_fd >= 0)
        kafka_queue_wake(f->queue, wake_fd);
    list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++) {
        f->positions[i] = -1;
        rd_kafka_topic_partition_list_add(list, LAG_FOLLOW_TOPIC, i)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_assign(f->handle.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    *ret = f;
    return ERR_OK;
}

void lag_follower_close(struct lag_follower *f)
{
    if (!f)
        return;
    rd_kafka_queue_io_event_enable(f->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(f->queue);
    rd_kafka_assign(f->handle.rk, NULL);
    kafka_handle_close(&f->handle);
    free(f->positions);
    free(f);
}

/* What is no commit is of members, and none of our business. */
static void tell(const rd_kafka_message_t *msg, lag_followed *each, void *opaque)
{
    struct kafka_commit commit;
    const enum kafka_commits kind = kafka_commits_decode(&commit, msg->key, msg->key_len, msg->payload, msg->len);

    if (commit.topic[0])
        each(opaque, &commit, kind == KAFKA_COMMITS_COMMIT);
}

/* Troubles of a connection come and go, and nothing is missed meanwhile. */
static bool passes(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PARTITION_EOF || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__RESOLVE ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR || code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH;
}

int lag_follower_poll(struct lag_follower *f, int max, lag_followed *each, void *opaque)
{
    rd_kafka_message_t *batch[BATCH];
    int taken = 0;
    bool fine = true;
    ssize_t count;

    do {
        count = rd_kafka_consume_batch_queue(f->queue, 0, batch, BATCH);
        for (ssize_t i = 0; i < count; i++) {
            const rd_kafka_message_t *msg = batch[i];
            const bool ours = msg->rkt && msg->partition >= 0 && msg->partition < f->partitions;

            if (!msg->err)
                tell(msg, each, opaque);
            if (ours && (!msg->err || msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
                f->positions[msg->partition] = msg->err ? msg->offset : msg->offset + 1;
            fine = fine && (!msg->err || passes(msg->err));
            rd_kafka_message_destroy(batch[i]);
        }
        taken += count > 0 ? (int)count : 0;
    } while (count == BATCH && taken < max && fine);
    return fine ? taken : -1;
}

int lag_follower_partitions(const struct lag_follower *f)
{
    return f->partitions;
}

int64_t lag_follower_position(const struct lag_follower *f, int partition)
{
    return f->positions[partition];
}
