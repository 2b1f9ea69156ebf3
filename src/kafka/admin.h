/*
 * admin - what the brokers know, read without blocking.
 *
 * Every question carries a token; answers come as events on the handle's admin queue (and wake its eventfd) and are turned
 * into plain structs by kafka_admin_poll(). Offsets are read with require_stable; commits before ends. Not for a
 * producer handle (a librdkafka assertion ends the process there): use a consumer that never subscribes.
 */
#ifndef KAFKA_ADMIN_H
#define KAFKA_ADMIN_H

#include "core/plan.h"
#include "kafka/client.h"

struct kafka_tp {
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    int64_t offset;   /* answer; OFFSET_NONE: nothing */
    struct mark mark; /* answer of offsets */
    bool failed;
    rd_kafka_resp_err_t code;
};

enum kafka_answer_type {
    KAFKA_ANSWER_OFFSETS,
    KAFKA_ANSWER_ENDS,
    KAFKA_ANSWER_STARTS,
    KAFKA_ANSWER_GROUP,
    KAFKA_ANSWER_TOPICS,
    KAFKA_ANSWER_METADATA,
    KAFKA_ANSWER_COMMITTED
};

struct kafka_topic_info {
    char topic[TOPIC_NAME_MAX + 1];
    bool exists;
    int partition_count;
    char why[160];
};

struct kafka_answer {
    enum kafka_answer_type type;
    uint64_t token;
    int error; /* enum err of the whole; message says it */
    struct errmsg message;
    struct kafka_tp *tps; /* OFFSETS, ENDS, STARTS, COMMITTED (failed, code): in the order asked */
    int tp_count;
    struct group_view group;          /* GROUP; owner is NULL, assignments below */
    struct kafka_tp **group_assigned; /* per member of group: its partitions ... */
    int *group_assigned_count;        /* ... and how many */
    struct kafka_topic_info *topics;  /* TOPICS */
    int topic_count;
};
void kafka_answer_free(struct kafka_answer *a);

/* A handle right for kafka_admin_open(): it asks, and fetches nothing. group: any name, nothing is ever joined. */
int kafka_asker_open(struct kafka_handle *ret, const struct kafka_settings *s, const char *group, struct errmsg *m);

struct kafka_admin;
int kafka_admin_open(struct kafka_admin **ret, struct kafka_handle *consumer, int wake_fd, struct errmsg *m);
/* Waits for the answers that are outstanding: no longer than their time-outs, and at most 6 s. */
void kafka_admin_close(struct kafka_admin *a);
/* Each copies its input. timeout_ms bounds the answer, failures are answers too; after ERR_NOMEM there will be none. */
int kafka_admin_offsets(struct kafka_admin *a, uint64_t token, const char *group, const struct kafka_tp *tps, int count,
                        int timeout_ms);
int kafka_admin_ends(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count, int timeout_ms);
/* Last stable offsets, answered as ENDS: what lies beyond belongs to an open transaction. */
int kafka_admin_stable_ends(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count,
                            int timeout_ms);
int kafka_admin_starts(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count, int timeout_ms);
/* Sets what a group without members has committed: offset and mark of each. While it has members, the brokers refuse (CONFLICT). */
int kafka_admin_commit(struct kafka_admin *a, uint64_t token, const char *group, const struct kafka_tp *tps, int count,
                       int timeout_ms);
/* Only to see how long the brokers take for it: the answer says nothing but whether it failed. */
int kafka_admin_metadata(struct kafka_admin *a, uint64_t token, const char **topics, int count, int timeout_ms);
/* These two are the controller's, which ends when memory does. */
void kafka_admin_group(struct kafka_admin *a, uint64_t token, const char *group, int timeout_ms);
void kafka_admin_topics(struct kafka_admin *a, uint64_t token, const char *const *topics, int count, int timeout_ms);
/* The next answer or NULL; never waits. The caller frees it. */
struct kafka_answer *kafka_admin_poll(struct kafka_admin *a);

/* Blocking ones, for the CLI and for opening. */
/* A topic's configuration value as text ("" when it is not set); ERR_NOT_FOUND when there is no such topic. ERR_STATE: the broker does not answer such questions (embedded broker). */
int kafka_topic_config(struct kafka_handle *h, const char *topic, const char *name, char *ret, size_t ret_size,
                       int timeout_ms, struct errmsg *m);
int kafka_topic_create(struct kafka_handle *h, const char *topic, int partitions, const char *const *configs,
                       int timeout_ms, struct errmsg *m);
int kafka_topic_partitions(struct kafka_handle *h, const char *topic, int *ret, int timeout_ms,
                           struct errmsg *m); /* 0: none */
/* Deletes a group's committed offsets or sets them, group empty: for `fleet delete` and tests. */
int kafka_group_commit(struct kafka_handle *h, const char *group, const struct kafka_tp *tps, int count, int timeout_ms,
                       struct errmsg *m);

#endif
