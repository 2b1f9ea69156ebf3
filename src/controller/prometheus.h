/*
 * prometheus - asks a Prometheus for one number, without waiting.
 *
 * An instant query (GET /api/v1/query) whose answer is one number is a figure. Everything else is *unknown*, with the reason
 * in a sentence: no connection, too slow, an error of Prometheus', a page of HTML, no series, several, NaN, infinity, a
 * number of another time. Nothing is retried: the next look asks again. Redirects are not followed.
 *
 * libcurl is loaded with the first question; it works on the controller's event loop, so nothing here blocks.
 */
#ifndef CONTROLLER_PROMETHEUS_H
#define CONTROLLER_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PROMETHEUS_WHY_MAX 255
#define PROMETHEUS_ASKS_MAX 256 /* at a time; what is more is unknown */
#define PROMETHEUS_BYTES_MAX (1024 * 1024)
#define PROMETHEUS_STALE_MS 60000 /* how far its clock, or the number's age, may be off */

struct prometheus;
struct event_base;

struct prometheus_config {
    const char *auth_file; /* one line: a bearer token, or user:password; NULL: none. Read for every question */
    const char *ca_file;   /* PEM; NULL: the system's */
};

struct prometheus_figure {
    bool known;
    double value;
    char why[PROMETHEUS_WHY_MAX + 1]; /* of what is unknown */
};

typedef void prometheus_answered(void *opaque, const struct prometheus_figure *figure);

int prometheus_open(struct prometheus **ret, struct event_base *base, const struct prometheus_config *config,
                    struct errmsg *m);
void prometheus_close(struct prometheus *p); /* nobody is called */
/* Answers exactly once, never before it returns. url: "http://prometheus:9090", may have a path. */
void prometheus_ask(struct prometheus *p, const char *url, const char *query, int64_t timeout_ms,
                    prometheus_answered *answered, void *opaque);
void prometheus_forget(struct prometheus *p, void *opaque); /* whatever this one asked is not answered any more */

/* What an answer says; pure. */
void prometheus_read(struct prometheus_figure *ret, int status, const char *content_type, const char *body, size_t len,
                     int64_t now_unix_ms);

#endif
