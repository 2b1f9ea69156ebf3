/*
 * internal - what server.c (addresses, newcomers, bounds) and exchange.c (one connection's life) share.
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "http/parse.h"
#include "http/server.h"
#include "http/tls.h"
#include "http/token.h"

#define LISTEN_MAX 8
#define TOKEN_MIN 16

enum exchange_state { X_HEAD, X_BODY, X_HANDLED, X_STREAM, X_SENDING, X_LINGER, X_DOOMED };

struct http_exchange { /* a connection, and the request it carries now */
    struct http_server *server;
    struct http_exchange *next, **link;
    struct bufferevent *bev;
    struct event *timer;
    enum exchange_state state;
    char peer[80];
    char *head_text;
    struct http_head head;
    char *body;
    size_t body_len;
    bool head_only; /* HEAD */
    bool close_after;
    bool eof;         /* the peer will send no more; it may still read */
    bool over;        /* beyond connections_max: it is told so */
    bool refused;     /* there may be unread bytes */
    int64_t began_ms; /* of the request; 0 between requests */
    unsigned breath;  /* in which it was accepted */
    int64_t since_ms; /* we wait for the peer since then: to send a whole request, or to read an answer */
    http_hung_up *on_hung_up;
    void *hung_up_opaque;
    struct http_pieces pieces; /* of the answer, more NULL: there are none (left) */
};

struct http_server {
    struct event_base *base;
    http_handler *handler;
    void *opaque;
    struct evconnlistener *listeners[LISTEN_MAX];
    char addresses[LISTEN_MAX][300];
    int listener_count;
    struct http_tls *tls;
    char token[TOKEN_MAX + 1], member_token[TOKEN_MAX + 1]; /* "": none */
    char **hosts;
    int host_count;
    http_refusal *refusal;
    char refusal_type[64];
    int connections_max, connection_count, stream_count;
    int places; /* connections_max, or fewer while there are no descriptors for more */
    size_t head_bytes_max, body_bytes_max;
    size_t output_bytes_max, output_bytes; /* what all peers have not read yet */
    int seconds_max;
    bool stopping;
    struct event *sweep;
    struct event *breath; /* fires in the turn after newcomers came: accepting goes on */
    unsigned breaths;     /* so many so far */
    int accepted;         /* since the last one */
    int64_t full_ms;      /* since when all places are at work; 0: they are not */
    int64_t failed_ms;    /* when accepting failed for want of descriptors; 0: it does not */
    struct http_exchange *all;
};

/* --- exchange.c --------------------------------------------------------------------------------------------------- */

/* Takes the socket, whatever comes of it. over: it is told to come again later. */
void exchange_accept(struct http_server *s, int fd, const char *peer, bool over);
void exchange_free(struct http_exchange *x);
/* It waits for its peer, to send or to read, not for us: it may be let go to make room. */
bool exchange_waits(const struct http_exchange *x);
void exchange_sweep(struct http_server *s);

/* --- server.c ----------------------------------------------------------------------------------------------------- */

/* Keeps what is queued for all peers within its bound: who has left most of it unread is hung up on. */
void server_shed(struct http_server *s);

#endif
