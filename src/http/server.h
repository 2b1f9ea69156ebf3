/*
 * server - HTTP/1.1 on a libevent loop, small and bounded: it knows nothing of Baton's routes.
 *
 * One handler gets every request and answers it now or later, as a whole or as a stream of server-sent events.
 * Every input has a bound: connections, bytes and number of headers, bytes of the body, seconds for each; and so has what
 * peers leave unread. At the bound of connections the one that has owed a request for longest makes room. What is
 * over a bound or is not clean HTTP (two lengths, a transfer coding, control characters) is answered with a
 * sentence, and the connection is closed.
 *
 * It does what keeps a browser from being used against a server on loopback: a request with an Origin that is not
 * its Host is refused, and, where there is no token, so is a Host that is neither an IP address nor "localhost" nor
 * one of `hosts` (a name that an attacker's DNS points to loopback).
 *
 * libevent's own evhttp was not taken. In 2.1 its bounds are the bytes of a head and of a body and the seconds between
 * two reads: connections have no bound at all, a head that comes drop by drop has no end, and nobody hears of a request,
 * and of the token in it, before its whole body is in memory. Each of these would have to be built around it.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct event_base;
struct http_server;
struct http_exchange; /* one request and its answer; the server's, gone once answered or hung up */

struct http_request {
    const char *method; /* a HEAD comes as GET; its answer is sent without the body */
    const char *path;   /* decoded, no query; begins with '/' and holds no ".." */
    const char *query;  /* as sent, "" */
    const char *host;
    const char *content_type; /* "" */
    const char *accept;       /* "" */
    const char *last_event_id;
    const char *user_agent;
    const char *request_id; /* X-Request-Id, "" */
    const char *by;         /* X-Baton-By, "" */
    const char *body;       /* terminated */
    size_t body_len;
    const char *peer;       /* "10.0.0.7:51234" */
    bool authorized;        /* the bearer token was right, or the server has none */
    bool authorized_member; /* the same, or it was the lesser token */
};

/* Answers through http_answer() or http_stream(), at once or later. */
typedef void http_handler(void *opaque, struct http_exchange *x, const struct http_request *request);
/* The peer hung up before the answer was given, or left a stream: the exchange is gone when this returns. */
typedef void http_hung_up(void *opaque);
/* Writes the body of a refusal that the server itself makes; the default is plain text. */
typedef void http_refusal(void *opaque, int status, const char *why, char *ret, size_t ret_size);

struct http_server_config {
    const char *const *listen; /* "127.0.0.1:8484" */
    int listen_count;
    const char *token_file;        /* read once, one line of 16 to 512 visible characters; NULL: none */
    const char *member_token_file; /* a second, lesser one; NULL: none */
    const char *tls_cert, *tls_key;
    const char *const *hosts; /* further names that Host may have when there is no token */
    int host_count;
    http_refusal *refusal;    /* NULL: plain text */
    const char *refusal_type; /* its content type */
    int connections_max;      /* 0: 256; three quarters of them may be streams */
    size_t head_bytes_max;    /* 0: 16 KiB */
    size_t body_bytes_max;    /* 0: 256 KiB */
    size_t output_bytes_max;  /* 0: 32 MiB, what all peers together have not read yet */
    int seconds_max;          /* 0: 30, for the head, for the body, for an idle connection, for a reader that stalls */
};

/* ERR_DENIED with the mend: a listen address that is not loopback, and no token file. */
int http_server_open(struct http_server **ret, struct event_base *base, const struct http_server_config *config,
                     http_handler *handler, void *opaque, struct errmsg *m);
/* No new connections and requests; answers that are out still go out. */
void http_server_stop(struct http_server *s);
/* Exchanges whose answer is not given or not sent yet; streams do not count. */
int http_server_pending(const struct http_server *s);
void http_server_close(struct http_server *s); /* hangs up on all that is left; nobody is called */
const char *http_server_address(const struct http_server *s, int i); /* "127.0.0.1:40123"; NULL beyond the last */

/* Ends the exchange. location, content_type: NULL for none. Everything is copied. */
void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t body_len,
                 const char *location);
/*
 * The same with a body that is too long for one text: it is made piece by piece, each when the peer has taken the one
 * before, so memory holds one. more() adds a piece, with at most `max` bytes for `to`: 1 when there may be another, 0 when
 * that was the last, -1 when the rest cannot be made (the connection breaks off, so that nobody takes a part for
 * the whole). over() is called once, whatever happens, also when the server closes.
 */
struct http_pieces {
    int (*more)(void *opaque, struct str *to);
    void (*over)(void *opaque);
    void *opaque;
};
#define HTTP_PIECE_MAX (16 * 1024 * 1024)
void http_answer_pieces(struct http_exchange *x, int status, const char *content_type, struct http_pieces pieces);
/*
 * Sends the head of an event stream; http_stream_send() what follows; the server itself sends a comment every 15 s.
 * False: too many streams; the exchange has been answered 503.
 */
bool http_stream(struct http_exchange *x);
/* A peer that reads too slowly is hung up on a little later (on_hung_up is called); it resumes by Last-Event-ID. */
void http_stream_send(struct http_exchange *x, const char *bytes, size_t len);
void http_stream_end(struct http_exchange *x); /* on_hung_up is not called */
void http_exchange_on_hung_up(struct http_exchange *x, http_hung_up *on_hung_up, void *opaque);

#endif
