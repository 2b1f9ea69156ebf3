/*
 * internal - what the files of this folder share and nobody else needs.
 */
#ifndef KAFKA_INTERNAL_H
#define KAFKA_INTERNAL_H

#include "core/types.h"
#include "kafka/client.h"

/* One property, checked; errors name it. */
int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct errmsg *m);
/* All of s that this type of handle understands. */
int kafka_settings_apply(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct kafka_settings *s, struct errmsg *m);

/* From rd_kafka_new() on h->rk is known to the log, and its failures are filed in h->trouble. */
void trouble_watch(struct kafka_handle *h, rd_kafka_conf_t *conf);
void trouble_closing(struct kafka_handle *h);    /* before rd_kafka_destroy(): kafka_revive() lets go of it */
void trouble_unwatch(struct kafka_handle *h);    /* after rd_kafka_destroy() */
bool trouble_is_verdict(struct kafka_handle *h); /* waiting does not mend it */

/* revive.c; both for trouble.c, which knows all handles. */
void revive_note(struct kafka_handle *h, int32_t broker_id, const char *name, int port, const char *state);
bool revive_due(struct kafka_handle *h, int64_t now_ms);
void revive(struct kafka_handle *h);

/* How many partitions a topic has, 0: there is no such topic. stop (may be NULL) ends the asking early. */
int kafka_topic_ask(struct kafka_handle *h, const char *topic, int *ret, int64_t deadline_ms,
                    bool (*stop)(void *opaque), void *opaque, struct errmsg *m);

/* Properties of a consumer that only looks on: it joins no group, commits nothing and makes no topic. */
#define KAFKA_LOOKS_ON(group)                                                                                          \
    "group.id", group, "enable.auto.commit", "false", "enable.auto.offset.store", "false", "enable.metrics.push",      \
        "false", "allow.auto.create.topics", "false"

/* The mark as the commit's metadata; nothing for one that has none. */
void kafka_mark_attach(rd_kafka_topic_partition_t *to, struct mark mark);
rd_kafka_AdminOptions_t *kafka_options_new(struct kafka_handle *h, rd_kafka_admin_op_t op, int timeout_ms,
                                           void *opaque);

#endif
