/*
 * client - librdkafka handles made alike: settings by name, one log, and sentences instead of codes.
 *
 * A `struct kafka_settings` collects librdkafka properties in the order given; every handle is made from
 * a copy. Failures that end in endless retry inside librdkafka (no broker, TLS or SASL refused, missing ACL) are
 * collected by the error callback and told by kafka_trouble(): the broker, the cause, the mend.
 */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define KAFKA_VERSION_MIN 0x020c00ff /* 2.12: older ones lose and repeat records on our path */

struct kafka_settings;
struct kafka_settings *kafka_settings_new(void);
struct kafka_settings *kafka_settings_copy(const struct kafka_settings *s);
void kafka_settings_free(struct kafka_settings *s);
/* Checked against librdkafka at once: unknown name -> "did you mean", bad value -> its reason. */
int kafka_settings_set(struct kafka_settings *s, const char *name, const char *value, struct errmsg *m);
const char *kafka_settings_get(const struct kafka_settings *s, const char *name); /* NULL: not set */
/* "name=value" lines, '#' comments: librdkafka's own properties, as --config FILE. */
int kafka_settings_load(struct kafka_settings *s, const char *path, struct errmsg *m);

/* What goes wrong between a handle and its brokers, newest first told; thread-safe. */
struct kafka_trouble {
    pthread_mutex_t lock;
    int64_t since_ms;       /* 0: none */
    rd_kafka_resp_err_t code;
    char broker[300];
    char reason[512];
    bool fatal;
    int brokers_down;       /* ALL_BROKERS_DOWN seen since the last success */
};

struct kafka_handle {
    rd_kafka_t *rk;
    struct kafka_trouble trouble;
    const char *role; /* for the log: "election", "reader", "reports" */
};

/* type RD_KAFKA_CONSUMER or _PRODUCER. `extra` are name, value pairs ended by NULL that win over the settings.
 * opaque: for the caller's callbacks, rd_kafka_opaque(). configure (may be NULL) sets callbacks on the conf. */
int kafka_handle_open(struct kafka_handle *ret, rd_kafka_type_t type, const char *role, const struct kafka_settings *s,
                      const char *const *extra, void (*configure)(rd_kafka_conf_t *conf, void *opaque), void *opaque,
                      struct errmsg *m);
void kafka_handle_close(struct kafka_handle *h);
/* Waits until a broker answered a metadata request, at most timeout_ms; ERR_UNAVAILABLE or ERR_DENIED with broker, cause, mend. */
int kafka_handle_connect(struct kafka_handle *h, int timeout_ms, struct errmsg *m);
/* A sentence with cause and mend for a code that a call on this handle gave. Returns an enum err. */
int kafka_explain(struct kafka_handle *h, rd_kafka_resp_err_t code, const char *doing, struct errmsg *m);

/* Checks the run-time version. */
int kafka_version_check(struct errmsg *m);

/* An eventfd (non-blocking) that librdkafka writes to when a queue turns non-empty. */
int kafka_eventfd(struct errmsg *m); /* fd or enum err */
void kafka_eventfd_clear(int fd);
void kafka_queue_wake(rd_kafka_queue_t *queue, int fd);

#endif
