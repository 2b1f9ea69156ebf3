/*
 * client - requests of the CLI to a controller, by libcurl; blocks.
 *
 * A 307 is followed by hand, at most 3 times: method and body are kept, only the host may change (the path must be
 * the one asked for), never from https to http. The token goes along, since the server that was trusted with it
 * named the leader; it is never sent anywhere else. A proxy from the environment is not used for a loopback address.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/sse.h"

struct http_client;

struct http_client_config {
    const char *server;     /* "http://127.0.0.1:8484" */
    const char *token_file; /* NULL: none */
    const char *ca_file;    /* PEM; NULL: the system's */
    const char *by;         /* sent as X-Baton-By, NULL: none */
    bool foreign;           /* no controller of ours: refusals do not tell of `baton serve` */
    int64_t connect_ms;     /* 0: 5 s */
    int64_t timeout_ms;     /* of a whole request, 0: 60 s */
};

struct http_reply {
    int status;
    char *content_type; /* never NULL */
    char *body;         /* terminated, never NULL, at most 64 MiB */
    size_t body_len;
    int retry_after_s; /* 0: it does not say */
};

/* server: scheme http or https, no path but "/", no user and password in it. */
int http_client_open(struct http_client **ret, const struct http_client_config *config, struct errmsg *m);
void http_client_close(struct http_client *c);
/* In place of the token file's, from the next request on: for tokens that change. */
int http_client_token_set(struct http_client *c, const char *token, struct errmsg *m);

/*
 * path with its query. body NULL: none. Any status is a success here: only what kept an answer from coming is an
 * error (ERR_UNAVAILABLE: cannot connect; ERR_TIMEOUT; ERR_DENIED: certificate, a redirect that may not be
 * followed), with cause and mend.
 */
int http_client_request(struct http_client *c, struct http_reply *ret, const char *method, const char *path,
                        const char *content_type, const char *body, size_t body_len, struct errmsg *m);
/*
 * The last request failed at a controller that the given server had named as the leader: it may be dead while nobody
 * leads in its place yet. The given server will know, so asking again is worth while; the request was not answered.
 */
bool http_client_led_astray(const struct http_client *c);
/* The last request was sent, or a part of it: it may have been carried out, whatever came back. */
bool http_client_sent(const struct http_client *c);
void http_reply_free(struct http_reply *reply);

/*
 * Server-sent events until on_event or on_idle says false (then 0), the stream breaks (ERR_UNAVAILABLE: call again,
 * it resumes behind the last id it saw) or the server refuses (ERR_DENIED, ERR_NOT_FOUND ...). id is "" for events
 * without one. on_idle is called at least every 200 ms and may be NULL.
 */
typedef bool http_on_idle(void *opaque);
int http_client_events(struct http_client *c, const char *path, http_on_event *on_event, http_on_idle *on_idle,
                       void *opaque, struct errmsg *m);

/*
 * A stream of lines (without their ends), as Kubernetes' watches are: until on_line or on_idle says false (0), the server ends
 * it in order (ERR_CLOSED), it breaks or falls silent (ERR_UNAVAILABLE), or is refused (as above). ret_status: HTTP's.
 */
typedef bool http_on_line(void *opaque, const char *line, size_t len);
struct http_lines {
    size_t line_bytes_max;
    int64_t silence_ms_max;
    http_on_line *on_line;
    http_on_idle *on_idle;
    void *opaque;
};
int http_client_lines(struct http_client *c, long *ret_status, const char *path, const struct http_lines *lines,
                      struct errmsg *m);

#endif
