/*
 * client - librdkafka handles made alike: settings by name, one log, and sentences instead of codes.
 *
 * A `struct kafka_settings` collects librdkafka properties in the order given; every handle is made from
 * a copy. Failures that end in endless retry inside librdkafka (no broker, TLS or SASL refused, missing ACL) are
 * collected by the error callback and told by kafka_trouble(): the broker, the cause, the mend.
 */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

/* 2.15's header has one function that returns a const int */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-qualifiers"
#include <librdkafka/rdkafka.h>
#pragma GCC diagnostic pop
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
/* Setting number `index`, from 0, in the order given; false past the last. */
bool kafka_settings_at(const struct kafka_settings *s, int index, const char **name, const char **value);
/* "name=value" lines, '#' comments: librdkafka's own properties, as --config FILE. */
int kafka_settings_load(struct kafka_settings *s, const char *path, struct errmsg *m);

/* What both kinds of handle understand (addresses, TLS, SASL, sockets): for Baton's own handles, so that an application's
 * tuning of its consumer does not reach them. */
struct kafka_settings *kafka_settings_common(const struct kafka_settings *s);

enum kafka_trouble_kind {
    KAFKA_TROUBLE_NONE,
    KAFKA_TROUBLE_RESOLVE,    /* no such host */
    KAFKA_TROUBLE_REFUSED,    /* nothing listens, no route */
    KAFKA_TROUBLE_SILENT,     /* connection set-up or request timed out */
    KAFKA_TROUBLE_TLS,        /* handshake failed: certificate, version */
    KAFKA_TROUBLE_NOT_TLS,    /* we speak TLS, the port does not */
    KAFKA_TROUBLE_WANTS_TLS,  /* we speak plain, the port hangs up at the first word */
    KAFKA_TROUBLE_WANTS_SASL, /* it hangs up at the first request that needs a login */
    KAFKA_TROUBLE_NOT_KAFKA,  /* what answers there is something else */
    KAFKA_TROUBLE_SASL,       /* login refused */
    KAFKA_TROUBLE_LOST,       /* a connection that worked broke */
    KAFKA_TROUBLE_FATAL,      /* librdkafka gave this handle up */
    KAFKA_TROUBLE_COUNT
};

/* What goes wrong between a handle and its brokers: the newest, until a connection is up again; thread-safe. */
struct kafka_trouble {
    pthread_mutex_t lock;
    enum kafka_trouble_kind kind;
    int64_t since_ms;  /* 0: none */
    int64_t failed_ms; /* the last failure */
    rd_kafka_resp_err_t code;
    char broker[300];
    char reason[512];
    bool fatal;
    bool told;             /* kafka_trouble_lasting() has told it */
    uint32_t kinds_logged; /* each kind is logged once in one trouble */
    int brokers_down;      /* failures seen since the last success */
};

/* Which connections are up (revive.c); under the trouble's lock. */
#define KAFKA_CONNECTIONS_MAX 256
struct kafka_connections {
    uint64_t up[KAFKA_CONNECTIONS_MAX];
    int up_count;
    bool was_up;                /* one to a broker that was learned, since the handle was last revived */
    int64_t again_ms, pause_ms; /* revived in vain so far: when it is the next time, and how long the pause was */
    int64_t changed_ms;
};

/* Must not move while it is open. */
struct kafka_handle {
    rd_kafka_t *rk;
    struct kafka_trouble trouble;
    struct kafka_connections connections;
    const char *role;          /* for the log: "election", "reader", "reports" */
    char bootstrap[300];       /* for sentences and commands, cut when it is longer */
    char user[128];            /* sasl.username, for the ACL commands */
    struct kafka_handle *next; /* of all that are open, so that a log line finds its handle */
    bool closing, reviving;    /* under the lock of that list */
};

/* type RD_KAFKA_CONSUMER or _PRODUCER. `extra` are name, value pairs ended by NULL that win over the settings.
 * opaque: for the caller's callbacks, rd_kafka_opaque(). configure (may be NULL) sets callbacks on the conf. */
int kafka_handle_open(struct kafka_handle *ret, rd_kafka_type_t type, const char *role, const struct kafka_settings *s,
                      const char *const *extra, void (*configure)(rd_kafka_conf_t *conf, void *opaque), void *opaque,
                      struct errmsg *m);
void kafka_handle_close(struct kafka_handle *h);
/* Waits until a broker has answered this handle once, at most timeout_ms; ERR_UNAVAILABLE or ERR_DENIED with broker, cause, mend. */
int kafka_handle_connect(struct kafka_handle *h, int timeout_ms, struct errmsg *m);
/* A sentence with cause and mend for a code that a call on this handle gave. Returns an enum err. */
int kafka_explain(struct kafka_handle *h, rd_kafka_resp_err_t code, const char *doing, struct errmsg *m);

/* The present trouble as a sentence; 0: there is none. */
int kafka_trouble(struct kafka_handle *h, struct errmsg *m);
/* The same once it has lasted min_ms, and only once until it ends: for loops that poll. */
int kafka_trouble_lasting(struct kafka_handle *h, int64_t min_ms, struct errmsg *m);
/*
 * Brings back handles that have lost all their brokers (revive.c), all that are open in this process; never waits, does something
 * at most once a second. kafka_reader_poll() calls it, so whoever follows a log need not.
 */
void kafka_revive(void);
/* Is this librdkafka's mock cluster (`baton broker`)? Asks at most timeout_ms; ERR_... when no broker answers, else 0 or 1. */
int kafka_is_embedded(struct kafka_handle *h, int timeout_ms, struct errmsg *m);

/* librdkafka's log line as one of ours: for handles that are not made here (the embedded broker). */
void kafka_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* Checks the run-time version. */
int kafka_version_check(struct errmsg *m);

/* An eventfd (non-blocking) that librdkafka writes to when a queue turns non-empty. */
int kafka_eventfd(struct errmsg *m); /* fd or enum err */
void kafka_eventfd_clear(int fd);
void kafka_eventfd_ring(int fd); /* wakes whoever waits for it */
void kafka_queue_wake(rd_kafka_queue_t *queue, int fd);

#endif
