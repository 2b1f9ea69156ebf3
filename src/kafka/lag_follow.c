/*
 * lag_follow - see lag_follow.h.
 *
 * Fetches are large and rare: nobody waits for a record but the next refresh. Small queues, since all that is kept of a record is a
 * mark at a group.
 */
#include "kafka/lag_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/limits.h"

#define BATCH 500

struct lag_follower {
    struct kafka_handle handle;
    rd_kafka_queue_t *queue;
    int64_t *positions;
    int partitions;
};

int lag_follower_open(struct lag_follower **ret, const struct kafka_settings *s, int partitions, struct errmsg *m)
{
    /* clang-format off: a pair a line */
    static const char *const extra[] = { "group.id",
                                         "baton-lag",
                                         "enable.auto.commit",
                                         "false",
                                         "enable.auto.offset.store",
                                         "false",
                                         "enable.metrics.push",
                                         "false",
                                         "allow.auto.create.topics",
                                         "false",
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
    rd_kafka_queue_destroy(f->queue);
    rd_kafka_assign(f->handle.rk, NULL);
    kafka_handle_close(&f->handle);
    free(f->positions);
    free(f);
}

/* An int16 and so many letters; NULL: there are not so many, or more than fit. */
static const unsigned char *text_read(char *ret, size_t max, const unsigned char *at, const unsigned char *end)
{
    size_t len;

    if (!at || end - at < 2)
        return NULL;
    len = (size_t)at[0] << 8 | at[1];
    at += 2;
    if (len > max || len > (size_t)(end - at))
        return NULL;
    memcpy(ret, at, len);
    ret[len] = '\0';
    return at + len;
}

/* Keys of kind 0 and 1 are commits: group, topic, int32 partition. Others are of members, and none of our business. */
static void tell(const rd_kafka_message_t *msg, lag_followed *on_commit, void *opaque)
{
    const unsigned char *at = msg->key, *end = at ? at + msg->key_len : NULL;
    char group[GROUP_NAME_MAX + 1], topic[TOPIC_NAME_MAX + 1];

    if (!at || msg->key_len < 2 || at[0] != 0 || at[1] > 1)
        return;
    at = text_read(group, GROUP_NAME_MAX, at + 2, end);
    at = text_read(topic, TOPIC_NAME_MAX, at, end);
    if (at && end - at == 4)
        on_commit(opaque, group, topic,
                  (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]));
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

bool lag_follower_poll(struct lag_follower *f, int max, lag_followed *on_commit, void *opaque)
{
    rd_kafka_message_t *batch[BATCH];
    bool fine = true;
    ssize_t count;

    do {
        count = rd_kafka_consume_batch_queue(f->queue, 0, batch, BATCH);
        for (ssize_t i = 0; i < count; i++) {
            const rd_kafka_message_t *msg = batch[i];
            const bool ours = msg->rkt && msg->partition >= 0 && msg->partition < f->partitions;

            if (!msg->err)
                tell(msg, on_commit, opaque);
            if (ours && (!msg->err || msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
                f->positions[msg->partition] = msg->err ? msg->offset : msg->offset + 1;
            fine = fine && (!msg->err || passes(msg->err));
            rd_kafka_message_destroy(batch[i]);
        }
        max -= (int)count;
    } while (count == BATCH && max > 0 && fine);
    return fine;
}

int lag_follower_partitions(const struct lag_follower *f)
{
    return f->partitions;
}

int64_t lag_follower_position(const struct lag_follower *f, int partition)
{
    return f->positions[partition];
}
