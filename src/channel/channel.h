/*
 * channel - how the fleet's document reaches a member, and how its reports get back.
 *
 *     controller --- records of the control log, in log order ---> member
 *     controller <-- reports, each acknowledged when it stands in baton.reports --- member
 *
 * One interface for every way (DESIGN section 7), in the terms of PROTOCOL rules 2 and 3: records carry the offsets of the
 * control log, whatever brought them, and "where is the end now?" is answered with an offset that was read from the
 * brokers after the question, when everything before it has been handed out. So a member works the same over all of them, and
 * a way that loses, repeats or delays records costs time, never a wrong hand-over.
 *
 *   kafka   reads baton.control and writes baton.reports itself
 *   http    a controller does both for it: server-sent events down, POST up; needs no rights on Baton's topics
 *   redis   the same through a Redis, in which the controller that leads keeps the fleet's records
 *   configmap   the same through ConfigMaps of a Kubernetes cluster, which are watched
 *   file    such a ConfigMap, mounted as a folder: records come, nothing goes back, so it is for those who only want to know
 *
 * Thread: the one that opened it. Nothing here waits except open, reach and close.
 */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include "kafka/log.h"

enum channel_kind { CHANNEL_KAFKA, CHANNEL_HTTP, CHANNEL_REDIS, CHANNEL_CONFIGMAP, CHANNEL_FILE };

#define CHANNEL_SERVERS_MAX 8

struct channel_config {
    enum channel_kind kind;
    const struct kafka_settings *kafka; /* for `kafka`, and for the questions of each to the brokers */
    const char *fleet;
    const char *control_topic, *reports_topic; /* of `kafka` */
    const char *prefix;                        /* before the names of the keys of `redis`; "" for none */
    const char
        *servers; /* "http://a:8080,http://b:8080" or "redis://a:6379", up to CHANNEL_SERVERS_MAX; of `configmap` the
                            API server and namespace (kube/client.h), of `file` the folder */
    const char *token_file, *ca_file; /* of `http`, `redis` (there it holds the password), `configmap`; "" for none */
    const char *cert_file;            /* of `redis`; "" for none */
    int wake_fd;                      /* an eventfd, written to when there is something to poll */
};

struct channel;

/* Can it work at all? Says what is wrong, and how to mend it, after timeout_ms at most. What only takes its time (a topic
 * that is not there yet) is no error. */
int channel_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m);
/* ERR_NOT_FOUND and ERR_UNAVAILABLE may mend themselves: try again. */
int channel_open(struct channel **ret, const struct channel_config *config, struct errmsg *m);
/* Gives outstanding reports flush_ms to arrive. NULL is fine. */
void channel_close(struct channel *c, int flush_ms);

/*
 * Up to `max` records of the fleet (and whatever else the way carries: look at the key) to on_record; the answer is that of
 * kafka_reader_poll(): how many, ERR_CORRUPT when the log is handed out again from its beginning, another code for a
 * trouble, told once, that it goes on trying to get over.
 */
int channel_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                 void *opaque, struct errmsg *m);
/* All records below it have been handed out. */
int64_t channel_position(const struct channel *c);
/* "Where is the end now?" The same token again asks anew. Lets at least 32 questions wait at a time. */
void channel_ask_end(struct channel *c, uint64_t token, int timeout_ms);
enum kafka_end channel_end(struct channel *c, uint64_t token, int64_t *ret_end);

/* The report of this member, under its key. Copies. */
int channel_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len, struct errmsg *m);
/* The next acknowledgement; false: none now. */
bool channel_reported(struct channel *c, struct kafka_appended *ret);

/* A handle that only asks the brokers: for kafka_admin_open(). Close that before the channel. */
struct kafka_handle *channel_handle(struct channel *c);
/* Is something wrong with the way just now? A sentence, else 0. */
int channel_trouble(struct channel *c, struct errmsg *m);
/* Do reports and questions find a way back? */
bool channel_goes_up(enum channel_kind kind);

/* --- for the ways themselves --- */

struct channel_ops {
    int (*reach)(const struct channel_config *config, int timeout_ms, struct errmsg *m);
    int (*open)(struct channel **ret, const struct channel_config *config, struct errmsg *m);
    void (*close)(struct channel *c, int flush_ms);
    int (*poll)(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                void *opaque, struct errmsg *m);
    int64_t (*position)(const struct channel *c);
    void (*ask_end)(struct channel *c, uint64_t token, int timeout_ms);
    enum kafka_end (*end)(struct channel *c, uint64_t token, int64_t *ret_end);
    int (*report)(struct channel *c, uint64_t token, const char *key, const char *json, size_t len, struct errmsg *m);
    bool (*reported)(struct channel *c, struct kafka_appended *ret);
    struct kafka_handle *(*handle)(struct channel *c);
    int (*trouble)(struct channel *c, struct errmsg *m);
};

/* The first member of every way's own struct. */
struct channel {
    const struct channel_ops *ops;
};

extern const struct channel_ops channel_kafka, channel_http, channel_redis, channel_configmap, channel_file;

#endif
