/*
 * log - the two topics of Baton: baton.control (one partition) and baton.reports.
 *
 * topics_ensure() makes or checks them. A `struct kafka_reader` follows one of them from its beginning and hands every record to a
 * callback in log order; it also answers "read to the end that is present now". Appends go through a
 * `struct kafka_appender`: idempotent, acks=all, linger 0, answers as events.
 */
#ifndef KAFKA_LOG_H
#define KAFKA_LOG_H

#include "kafka/admin.h"

#define CONTROL_TOPIC "baton.control"
#define REPORTS_TOPIC "baton.reports"
#define CONTROLLER_GROUP "baton.controller"

/*
 * Both topics exist and are as docs/control-log.md wants them: control has one partition, both are compacted. `create`:
 * make what is missing. Errors name the exact kafka-topics.sh / kafka-configs.sh command. prefix: "" or a name put before the topics (and the group) ("team-a." -> team-a.baton.control).
 * On the embedded broker configuration cannot be read: that is noted, not refused.
 */
int topics_ensure(struct kafka_handle *h, const char *prefix, bool create, int timeout_ms, struct errmsg *m);

struct kafka_record {
    const char *key;
    size_t key_len;
    const char *value; /* NULL: a tombstone */
    size_t value_len;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
};

/*
 * A follower of a whole topic on a handle of its own (manual assignment, no group). Records arrive in kafka_reader_poll().
 */
struct kafka_reader;
int kafka_reader_open(struct kafka_reader **ret, const struct kafka_settings *s, const char *topic, int wake_fd,
                      struct errmsg *m);
void kafka_reader_close(struct kafka_reader *r);
/* A handle that fetches nothing, right for kafka_admin_open(): no long poll is ever in front of its questions. Close the
 * admin before the reader. */
struct kafka_handle *kafka_reader_handle(struct kafka_reader *r);
/* Up to `max` records to on_record; returns how many, or an enum err: a trouble that lasts (5 s), a topic that went away or may not
 * be read, each told once by *m and then retried. ERR_CORRUPT: what was not yet read has been removed, or the topic was made
 * anew; the log is handed out again from its beginning and open questions for its end fail. Never waits. */
int kafka_reader_poll(struct kafka_reader *r, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                      void *opaque, struct errmsg *m);
/* One past the last record handed out of a partition (control transactions' markers and gaps included once the end was seen). */
int64_t kafka_reader_position(const struct kafka_reader *r, int32_t partition);
/*
 * "Where is the end now?" A fresh question to the broker (ListOffsets), never the client's cache. The answer is true in kafka_reader_end_reached() when
 * every partition has been handed out up to the ends the broker gave for that token.
 */
void kafka_reader_ask_end(struct kafka_reader *r, uint64_t token, int timeout_ms);
enum kafka_end { KAFKA_END_PENDING, KAFKA_END_REACHED, KAFKA_END_FAILED };
enum kafka_end kafka_reader_end(struct kafka_reader *r, uint64_t token, int64_t *ret_end_of_partition_0);

struct kafka_appender;
struct kafka_appended {
    uint64_t token;
    int error; /* enum err; ERR_TIMEOUT: it may be in the log nevertheless */
    int64_t offset;
    rd_kafka_resp_err_t code;
};
/* topic: one that will be written to; asking for it is what connects. */
int kafka_appender_open(struct kafka_appender **ret, const struct kafka_settings *s, const char *topic, int wake_fd,
                        struct errmsg *m);
void kafka_appender_close(struct kafka_appender *a, int flush_ms);
struct kafka_handle *kafka_appender_handle(struct kafka_appender *a);
/* value NULL: a tombstone. Copies. partition -1: by key. Order is kept among appends to one partition. */
int kafka_append(struct kafka_appender *a, uint64_t token, const char *topic, int32_t partition, const char *key,
                 const char *value, size_t value_len, struct errmsg *m);
/* The next acknowledgement; false: none now. */
bool kafka_appender_poll(struct kafka_appender *a, struct kafka_appended *ret);

/* The embedded broker (librdkafka's mock cluster): `baton broker`, demo and fast tests. */
struct embedded_broker;
int embedded_broker_open(struct embedded_broker **ret, int port /* 0: any */, struct errmsg *m);
const char *embedded_broker_bootstrap(const struct embedded_broker *b);
int embedded_broker_topic(struct embedded_broker *b, const char *topic, int partitions, struct errmsg *m);
void embedded_broker_close(struct embedded_broker *b);

#endif
