/*
 * controller - keeps the fleets' batons: follows the control log, stands for election, and leads when elected.
 *
 * One event loop, one turn (STYLE section 7). The same code is `baton serve` and, in process, every command that was
 * given --bootstrap: controller_request() is the one way in, for HTTP, for the CLI and for orders that come through
 * Kafka.
 *
 *                     log replayed               partition assigned, claim written, reports read
 *     (open) REPLAYING ------------> FOLLOWING ---------------------------------------> LEADING
 *                                        ^                                                 |
 *                                        +-------------------------------------------------+
 *                                          partition lost, a newer claim, an append that failed
 *
 * It promises: nothing is answered or ordered before it is in the log; a follower changes nothing; a reign that ends,
 * for whatever reason, leaves nothing behind but the log. It fails at open within 10 s with a sentence (no broker,
 * TLS or SASL refused, missing ACL, topics that are not as they must be); later trouble is logged and shows in
 * /readyz.
 */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/server.h"

struct burrow_options;
struct controller;
struct event_base;
struct kafka_settings;
struct kube_config;
struct redis_config;

enum controller_lead {
    CONTROLLER_SERVE,   /* stands for election at once and for as long as it runs */
    CONTROLLER_COMMAND, /* reads; stands for election only when a request changes something and nobody leads */
};

/* Which groups' lags a serving controller samples. */
enum controller_lag { CONTROLLER_LAG_FLEETS, CONTROLLER_LAG_ALL, CONTROLLER_LAG_OFF };

struct controller_config {
    const struct kafka_settings *kafka; /* copied */
    const char *prefix;                 /* before both topics and the group; NULL: none */
    enum controller_lead lead;
    bool topics_keep; /* true: do not create the two topics when they are missing, fail with the command that does */
    const char *const *listen; /* "127.0.0.1:8484", "[::1]:8484", port 0: any free one; none in command mode */
    int listen_count;
    const char *advertise; /* "http://10.0.0.5:8484": where others reach it; NULL: made from the first listen address */
    const char *token_file;              /* one line; NULL: none, then only loopback addresses may be listened on */
    const char *member_token_file;       /* a second one, good for members' streams and reports alone; NULL: none */
    const struct redis_config *redis;    /* copied; NULL: no member hears through a Redis */
    const struct kube_config *configmap; /* copied; NULL: no member hears through ConfigMaps */
    int connections_max;                 /* of the HTTP server; 0: 256, half of them streams */
    bool open_reads;                     /* with a token: reads need none */
    const char *tls_cert, *tls_key;      /* PEM files, both or none */
    int session_ms; /* of the controllers' group: how soon a killed leader is missed; 0: 6 s, a broker's usual least */
    enum controller_lag lag;
    int64_t lag_interval_ms; /* 0: 10 s */
    const char *by;          /* command mode: who asks, when a request does not say */
    const struct burrow_options
        *burrow;                      /* copied; NULL: burrow_options_default(), from the first request under /v3 on */
    const char *prometheus_auth_file; /* one line: a token, or user:password; NULL: none */
    const char *prometheus_ca_file;   /* PEM; NULL: the system's */
    int metrics_partitions_max;       /* of all fleets together, with series of their own on /metrics */
    bool metrics_kafka_exporter;      /* /metrics shows groups and topics by the names of kafka_exporter too */
};

/*
 * Connects and checks the topics (blocks, 10 s at most), opens the listeners, and begins to replay on `base`, which
 * stays the caller's and outlives the controller.
 */
int controller_open(struct controller **ret, struct event_base *base, const struct controller_config *config,
                    struct errmsg *m);
/*
 * Clean hand-over: no new requests, finish the batch that is out (5 s at most), leave the group so that the next one
 * leads at once. Runs the loop itself: call it after event_base_dispatch() has returned, never from a callback. NULL
 * is fine.
 */
void controller_close(struct controller *c);

/* One request, whoever brought it. Everything is borrowed for the call. */
struct api_request {
    const char *method;       /* "GET", "PUT", "POST", "DELETE" */
    const char *path;         /* "/v1/fleets/payments" */
    const char *query;        /* "a=b&c=d", NULL or "" */
    const char *content_type; /* of the body; NULL: application/json */
    const char *accept;       /* NULL: whatever there is */
    const char *body;         /* NULL: none */
    size_t body_len;
    const char *by;         /* who asks, for the history; a "by" in the body wins */
    const char *request_id; /* the same id twice is the same request; NULL: one is made */
    int64_t patience_ms;    /* 0: 30 s. Then 503 with what was waited for */
    bool pieces;            /* a long answer may come as pieces */
};
struct api_answer {
    int status;               /* HTTP's */
    const char *content_type; /* "application/json" */
    const char *body;         /* terminated; "" when there is none */
    size_t body_len;
    const char *location;      /* of a 307: the same path on the leader; else NULL */
    struct http_pieces pieces; /* more is not NULL: in place of the body. The receiver's: over() is its to call */
};
typedef void api_answered(void *opaque, const struct api_answer *answer);

/*
 * Answers exactly once, from the loop, never before it returns. Waits for the replay to end. A change goes to the
 * leader: this process, when it leads; in serve mode a follower answers 307 (503 when nobody leads within 10 s); in
 * command mode it leads by itself when nobody does. A leader without an address, and any leader in command mode, gets
 * the request through Kafka.
 */
void controller_request(struct controller *c, const struct api_request *request, api_answered *answered, void *opaque);
/* The answer is no longer wanted: it is not called any more. What was ordered stays ordered. */
void controller_forget(struct controller *c, api_answered *answered, void *opaque);

enum controller_role { CONTROLLER_REPLAYING, CONTROLLER_FOLLOWING, CONTROLLER_LEADING };
const char *controller_role_name(enum controller_role role);
struct controller_state {
    enum controller_role role;
    char controller[64]; /* our own random id */
    int64_t term;        /* newest claim in the log; -1: none yet */
    bool leader_known;   /* the one below may be dead: the log only knows who claimed last */
    char leader[64];     /* its id; equal to `controller` when we lead */
    char leader_host[256];
    char leader_address[300]; /* "": a command that leads by itself */
    char trouble[512];        /* "": Kafka is reachable */
};
void controller_state(const struct controller *c, struct controller_state *ret);
/* The i-th address listened on, with the real port: "127.0.0.1:40123"; NULL beyond the last. */
const char *controller_listening(const struct controller *c, int i);

/*
 * Server-sent events in process, for `status --watch` and `switch` with --bootstrap: the same as GET /v1/events. `id`
 * is NULL for events that do not stand in the control log. Returns a handle for controller_unwatch().
 */
typedef void controller_event(void *opaque, const char *id, const char *type, const char *json);
struct controller_watch;
struct controller_watch *controller_watch(struct controller *c, const char *last_event_id, controller_event *on_event,
                                          void *opaque);
void controller_unwatch(struct controller *c, struct controller_watch *watch);

/* The served routes, for --help, docs and the test that compares them with docs/openapi.yaml. */
struct api_route {
    const char *method;
    const char *path; /* "/v1/fleets/{fleet}" */
    bool changes;     /* needs the token and the leader */
    bool open;        /* needs no token even where reads do */
    const char *summary;
};
const struct api_route *api_routes(int *ret_count);

#endif
