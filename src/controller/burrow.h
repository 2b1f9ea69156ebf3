/*
 * burrow - Burrow's HTTP v3, served from Kafka's own log of commits.
 *
 *   burrow_options.c  what may be set, one table      burrow_store.c  the windows, burrow_pack.c in few bytes
 *   burrow_follow.c   a thread that fills the store   burrow_http.c   routes and answers
 *                                                     burrow_metrics.c  the page for Prometheus
 *
 * The thread follows __consumer_offsets from its beginning, as Burrow does, and samples the ends of all topics; it starts with the
 * first request that wants to know something, so a controller that nobody asks this way pays nothing. It has handles
 * and a lock of its own: a slow broker or a large replay never keeps the controller's loop from passing batons.
 */
#ifndef CONTROLLER_BURROW_H
#define CONTROLLER_BURROW_H

#include <jansson.h>
#include <pthread.h>

#include "base/err.h"
#include "base/str.h"
#include "controller/burrow_store.h"
#include "http/server.h"

struct kafka_settings;

#define BURROW_CLUSTER_MAX 63

struct burrow_options {
    char cluster[BURROW_CLUSTER_MAX + 1]; /* how the cluster is called in paths and answers */
    int64_t rules;                        /* enum burrow_rules */
    int64_t intervals, allowed_lag;
    int64_t min_distance_ms, expire_group_ms, offset_refresh_ms, topic_refresh_ms, commit_interval_ms;
    int64_t minimum_complete_percent;
};
void burrow_options_default(struct burrow_options *o);
/* "intervals=15,min-distance=1s": the names are Burrow's. Errors name the option, the value and a right one. */
int burrow_options_set(struct burrow_options *o, const char *text, struct errmsg *m);
/* One line an option, for the documentation: "name=DEFAULT  help". */
void burrow_options_help(struct str *ret);

/* --- burrow_follow.c ---------------------------------------------------------------------------------------------- */

struct burrow_follower;
/* Starts the thread. Settings are copied. NULL: no memory. */
struct burrow_follower *burrow_follower_start(const struct burrow_options *o, const struct kafka_settings *s);
/* Waits for the thread: at most as long as a question to the brokers that is out, 6 s. NULL is fine. */
void burrow_follower_stop(struct burrow_follower *f);
/*
 * The store, locked until burrow_follower_unlock(); NULL: it has not been filled up to what stood in the log at the start (yet). Then
 * ret_trouble, when it is not "", says what is in the way.
 */
struct burrow *burrow_follower_lock(struct burrow_follower *f, char *ret_trouble, size_t ret_trouble_size);
void burrow_follower_unlock(struct burrow_follower *f);

/* --- burrow_metrics.c --------------------------------------------------------------------------------------------- */

/* Burrow's own page for Prometheus. `store` is the follower's, locked now; `cluster` lives as long as the page. */
struct http_pieces burrow_metrics(struct burrow_follower *follower, const struct burrow *store, const char *cluster);

/* --- burrow_http.c ------------------------------------------------------------------------------------------------ */

struct controller;
struct call;
bool burrow_path(const char *path); /* is it one of Burrow's? */
/*
 * Adds "label" and "label_why" to each of a group's "partitions", which are sorted, and "label" to the group. Nothing where
 * commits are not followed (yet).
 */
void burrow_label(struct controller *c, json_t *json, const char *group);
void burrow_answer(struct controller *c, struct call *call);

#endif
