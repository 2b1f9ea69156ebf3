/*
 *                     head complete           body complete          answered            sent
 *   (accepted) HEAD ---------------> BODY ------------------> HANDLED ---------> SENDING -----> HEAD or closed
 *                |  bound, time-out,   |                         |
 *                |  unclean            |                         +---- STREAM (until either side ends it)
 *                +-------------------> SENDING, then LINGER for a second, then closed
 *
 * LINGER reads and forgets: a socket closed with unread bytes resets the connection, and the refusal in it would be
 * lost.
 *
 * A connection is freed only from the loop (its own callbacks, or the `doomed` sweep), never inside a call that the
 * handler made.
 */
#include "http/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "http/parse.h"
#include "http/tls.h"

#define LISTEN_MAX 8
#define TOKEN_MIN 16
#define TOKEN_MAX 512
#define STREAM_SECONDS 15
#define STREAM_BACKLOG_MAX (1024 * 1024)
#define OVER_MAX 32 /* connections beyond the bound that are told so */

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
    int64_t idle_ms;  /* when it was accepted, 0: it has been served before */
    http_hung_up *on_hung_up;
    void *hung_up_opaque;
};

struct http_server {
    struct event_base *base;
    http_handler *handler;
    void *opaque;
    struct evconnlistener *listeners[LISTEN_MAX];
    char addresses[LISTEN_MAX][300];
    int listener_count;
    struct http_tls *tls;
    char token[TOKEN_MAX + 1]; /* "": none */
    char **hosts;
    int host_count;
    http_refusal *refusal;
    char refusal_type[64];
    int connections_max, connection_count, stream_count;
    size_t head_bytes_max, body_bytes_max;
    int seconds_max;
    bool stopping;
    struct event *sweep;
    struct http_exchange *all;
};

static void exchange_advance(struct http_exchange *x);

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 307, "Temporary Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };

    for (size_t i = 0; i < ARRAY_COUNT(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status";
}

static void exchange_forget_request(struct http_exchange *x)
{
    free(x->head_text);
    free(x->body);
    x->head_text = NULL;
    x->body = NULL;
    x->body_len = 0;
    x->on_hung_up = NULL;
    x->head_only = false;
    memset(&x->head, 0, sizeof(x->head));
}

static void exchange_free(struct http_exchange *x)
{
    struct http_server *s = x->server;

    if (x->state == X_STREAM)
        s->stream_count--;
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    s->connection_count--;
    if (x->timer)
        event_free(x->timer);
    if (x->bev)
        bufferevent_free(x->bev);
    exchange_forget_request(x);
    free(x);
}

/* From the loop only: the peer is gone, or is to be. */
static void exchange_hang_up(struct http_exchange *x)
{
    if (x->on_hung_up && (x->state == X_HANDLED || x->state == X_STREAM)) {
        http_hung_up *on_hung_up = x->on_hung_up;

        x->on_hung_up = NULL;
        on_hung_up(x->hung_up_opaque);
    }
    exchange_free(x);
}

static void exchange_doom(struct http_exchange *x)
{
    if (x->state == X_STREAM)
        x->server->stream_count--;
    x->state = X_DOOMED;
    event_active(x->server->sweep, EV_TIMEOUT, 0);
}

static void on_sweep(evutil_socket_t fd, short what, void *opaque)
{
    struct http_server *s = opaque;
    struct http_exchange *next;

    (void)fd;
    (void)what;
    for (struct http_exchange *x = s->all; x; x = next) {
        next = x->next;
        if (x->state != X_DOOMED)
            continue;
        if (x->on_hung_up) {
            http_hung_up *on_hung_up = x->on_hung_up;

            x->on_hung_up = NULL;
            on_hung_up(x->hung_up_opaque);
        }
        exchange_free(x);
        next = s->all; /* the callback may have changed the list; doomed ones are few */
    }
}

static void exchange_set_timer(struct http_exchange *x, int seconds)
{
    struct timeval tv = { .tv_sec = seconds };

    event_del(x->timer);
    if (seconds > 0)
        event_add(x->timer, &tv);
}

/* The head of an answer; bodies of unknown length are streams. */
static void exchange_put_head(struct http_exchange *x, int status, const char *content_type, int64_t length,
                              const char *location)
{
    struct evbuffer *out = bufferevent_get_output(x->bev);
    char date[64];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
                        status, reason_phrase(status), date);
    if (content_type && *content_type)
        evbuffer_add_printf(out, "Content-Type: %s\r\n", content_type);
    if (length >= 0 && status != 204)
        evbuffer_add_printf(out, "Content-Length: %lld\r\n", (long long)length);
    if (location)
        evbuffer_add_printf(out, "Location: %s\r\n", location);
    if (status == 401)
        evbuffer_add_printf(out, "WWW-Authenticate: Bearer\r\n");
    if (status == 503)
        evbuffer_add_printf(out, "Retry-After: 1\r\n");
    if (x->close_after || length < 0)
        evbuffer_add_printf(out, "Connection: close\r\n");
    evbuffer_add(out, "\r\n", 2);
}

static void exchange_log(const struct http_exchange *x, int status, size_t bytes)
{
    char path[300];

    log_debug("http_request", "peer=%s method=%s path=%s status=%d bytes=%zu ms=%lld", x->peer,
              x->head.method ? (x->head_only ? "HEAD" : x->head.method) : "-",
              log_quote(path, sizeof(path), x->head.path ? x->head.path : ""), status, bytes,
              (long long)(clock_ms() - x->began_ms));
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body, size_t body_len,
                 const char *location)
{
    ASSERT(x->state != X_SENDING && x->state != X_STREAM);
    x->on_hung_up = NULL;
    if (x->state == X_DOOMED)
        return;
    if (x->eof || x->server->stopping || !x->head.keep_alive)
        x->close_after = true;
    exchange_log(x, status, body_len);
    exchange_put_head(x, status, content_type, (int64_t)body_len, location);
    if (!x->head_only && body_len > 0)
        evbuffer_add(bufferevent_get_output(x->bev), body, body_len);
    x->state = X_SENDING;
    exchange_set_timer(x, x->server->seconds_max);
    bufferevent_enable(x->bev, EV_WRITE);
}

/* A refusal of the server's own: what follows in the stream cannot be trusted, so the connection ends. */
static void exchange_refuse(struct http_exchange *x, int status, const char *why)
{
    char body[1024];

    x->close_after = x->refused = true;
    if (x->server->refusal)
        x->server->refusal(x->server->opaque, status, why, body, sizeof(body));
    else
        snprintf(body, sizeof(body), "%s\n", why);
    http_answer(x, status, x->server->refusal ? x->server->refusal_type : "text/plain; charset=utf-8", body,
                strlen(body), NULL);
}

void http_exchange_on_hung_up(struct http_exchange *x, http_hung_up *on_hung_up, void *opaque)
{
    x->on_hung_up = on_hung_up;
    x->hung_up_opaque = opaque;
}

bool http_stream(struct http_exchange *x)
{
    ASSERT(x->state == X_HANDLED || x->state == X_DOOMED);
    if (x->state == X_DOOMED)
        return false;
    if (x->server->stream_count >= x->server->connections_max / 2) {
        exchange_refuse(x, 503, "too many event streams are open; try again later");
        return false;
    }
    exchange_log(x, 200, 0);
    x->server->stream_count++;
    x->state = X_STREAM;
    exchange_put_head(x, 200, "text/event-stream", -1, NULL);
    exchange_set_timer(x, STREAM_SECONDS);
    return true;
}

void http_stream_send(struct http_exchange *x, const char *bytes, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(x->bev);

    ASSERT(x->state == X_STREAM || x->state == X_DOOMED);
    if (x->state == X_DOOMED)
        return;
    if (evbuffer_get_length(out) + len > STREAM_BACKLOG_MAX || evbuffer_add(out, bytes, len) < 0)
        exchange_doom(x);
}

void http_stream_end(struct http_exchange *x)
{
    x->on_hung_up = NULL;
    if (x->state != X_STREAM)
        return;
    x->server->stream_count--;
    x->state = X_SENDING;
    x->close_after = true;
    exchange_set_timer(x, x->server->seconds_max);
    bufferevent_trigger(x->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
}

static bool token_right(const struct http_server *s, const char *authorization)
{
    size_t len = strlen(s->token);

    if (len == 0)
        return true;
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    authorization += 7 + strspn(authorization + 7, " ");
    return strlen(authorization) == len && secret_equal(authorization, s->token, len);
}

static bool host_allowed(const struct http_server *s, const char *host_port)
{
    char host[256];
    int port;

    if (s->token[0] || http_host_is_address(host_port) || http_host_is_loopback(host_port))
        return true;
    if (!http_host_split(host_port, host, sizeof(host), &port))
        return false;
    for (int i = 0; i < s->host_count; i++)
        if (!strcasecmp(s->hosts[i], host))
            return true;
    return false;
}

/* "http://host:port" against "host:port". */
static bool origin_is_host(const char *origin, const char *host)
{
    const char *rest = strstr(origin, "://");

    return rest && !strcasecmp(rest + 3, host);
}

static void exchange_handle(struct http_exchange *x)
{
    const struct http_head *head = &x->head;
    struct http_server *s = x->server;
    const char *origin = http_head_field(head, "origin");
    struct http_request request = {
        .method = head->method,
        .path = head->path,
        .query = head->query,
        .host = http_head_field(head, "host"),
        .content_type = http_head_field(head, "content-type"),
        .accept = http_head_field(head, "accept"),
        .last_event_id = http_head_field(head, "last-event-id"),
        .user_agent = http_head_field(head, "user-agent"),
        .request_id = http_head_field(head, "x-request-id"),
        .by = http_head_field(head, "x-baton-by"),
        .body = x->body,
        .body_len = x->body_len,
        .peer = x->peer,
        .authorized = token_right(s, http_head_field(head, "authorization")),
    };

    if (!strcmp(request.method, "HEAD")) {
        x->head_only = true;
        request.method = "GET";
    }
    exchange_set_timer(x, 0);
    x->state = X_HANDLED;
    if (x->over)
        exchange_refuse(x, 503, "too many connections are open; try again later");
    else if (*origin && !origin_is_host(origin, request.host))
        exchange_refuse(x, 403, "a request from another origin (a web page elsewhere) is not taken");
    else if (!host_allowed(s, request.host))
        exchange_refuse(
            x, 403,
            "the Host header names neither an IP address nor localhost; without a token no other name is taken");
    else
        s->handler(s->opaque, x, &request);
}

/* True: a whole head was there and is good. */
static bool exchange_read_head(struct http_exchange *x)
{
    struct evbuffer *in = bufferevent_get_input(x->bev);
    struct evbuffer_ptr end;
    const char *why = "";
    int status;

    while (evbuffer_get_length(in) >= 2) { /* blank lines before a request are forgiven (RFC 9112, 2.2) */
        char two[2];

        evbuffer_copyout(in, two, 2);
        if (memcmp(two, "\r\n", 2) != 0)
            break;
        evbuffer_drain(in, 2);
    }
    end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0 || (size_t)end.pos > x->server->head_bytes_max) {
        if (end.pos >= 0 || evbuffer_get_length(in) > x->server->head_bytes_max)
            exchange_refuse(x, 431, "the request's head is larger than allowed");
        return false;
    }
    x->began_ms = clock_ms();
    x->head_text = malloc((size_t)end.pos + 1);
    if (!x->head_text) {
        exchange_refuse(x, 503, "out of memory");
        return false;
    }
    evbuffer_remove(in, x->head_text, (size_t)end.pos);
    evbuffer_drain(in, 4);
    x->head_text[end.pos] = '\0';
    if (strlen(x->head_text) != (size_t)end.pos)
        status = 400, why = "the request's head holds a zero byte";
    else
        status = http_head_parse(&x->head, x->head_text, &why);
    if (!status && (uint64_t)x->head.body_bytes > x->server->body_bytes_max)
        status = 413, why = "the body is larger than allowed";
    if (status) {
        x->head.method = NULL; /* not to be trusted, not logged */
        x->head.path = NULL;
        exchange_refuse(x, status, why);
        return false;
    }
    return true;
}

static bool exchange_read_body(struct http_exchange *x)
{
    struct evbuffer *in = bufferevent_get_input(x->bev);
    size_t want = (size_t)x->head.body_bytes;

    if (evbuffer_get_length(in) < want)
        return false;
    x->body = malloc(want + 1);
    if (!x->body) {
        exchange_refuse(x, 503, "out of memory");
        return false;
    }
    evbuffer_remove(in, x->body, want);
    x->body[want] = '\0';
    x->body_len = want;
    return true;
}

static void exchange_advance(struct http_exchange *x)
{
    if (x->state == X_HEAD && exchange_read_head(x)) {
        x->state = X_BODY;
        exchange_set_timer(x, x->server->seconds_max);
        if (x->head.expect_continue && x->head.body_bytes > 0)
            evbuffer_add_printf(bufferevent_get_output(x->bev), "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (x->state == X_BODY && exchange_read_body(x))
        exchange_handle(x);
}

static void on_readable(struct bufferevent *bev, void *opaque)
{
    struct http_exchange *x = opaque;
    struct evbuffer *in = bufferevent_get_input(bev);

    if (x->state == X_STREAM || x->state == X_LINGER || x->state == X_DOOMED) {
        evbuffer_drain(in, evbuffer_get_length(in)); /* nothing more is expected */
        return;
    }
    if (x->state == X_HEAD && evbuffer_get_length(in) > 0 && x->began_ms == 0) {
        x->began_ms = clock_ms(); /* from the first byte on: one bound for the whole head */
        exchange_set_timer(x, x->server->seconds_max);
    }
    exchange_advance(x);
}

static void on_writable(struct bufferevent *bev, void *opaque)
{
    struct http_exchange *x = opaque;

    if (x->state != X_SENDING || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (x->close_after && x->refused && !x->eof && !x->server->tls) {
        shutdown(bufferevent_getfd(bev), SHUT_WR);
        evbuffer_drain(bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
        x->state = X_LINGER;
        exchange_set_timer(x, 1);
        return;
    }
    if (x->close_after) {
        exchange_free(x);
        return;
    }
    exchange_forget_request(x);
    x->state = X_HEAD;
    x->began_ms = 0;
    x->idle_ms = 0;
    exchange_set_timer(x, x->server->seconds_max);
    if (evbuffer_get_length(bufferevent_get_input(bev)) > 0)
        bufferevent_trigger(bev, EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

static void on_event(struct bufferevent *bev, short what, void *opaque)
{
    struct http_exchange *x = opaque;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return;
    if ((what & BEV_EVENT_EOF) && (x->state == X_HANDLED || x->state == X_SENDING)) {
        x->eof = true; /* half closed: it may still read its answer */
        x->close_after = true;
        bufferevent_disable(x->bev, EV_READ);
        return;
    }
    if (x->state == X_DOOMED)
        return;
    exchange_hang_up(x);
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
    struct http_exchange *x = opaque;

    (void)fd;
    (void)what;
    switch (x->state) {
    case X_HEAD:
        if (x->began_ms == 0) {
            exchange_free(x); /* idle */
            break;
        }
        exchange_refuse(x, 408, "the request's head did not come in time");
        break;
    case X_BODY:
        exchange_refuse(x, 408, "the request's body did not come in time");
        break;
    case X_STREAM:
        http_stream_send(x, ": alive\n\n", 9);
        exchange_set_timer(x, STREAM_SECONDS);
        break;
    case X_SENDING: /* it does not read its answer */
    case X_LINGER:
        exchange_free(x);
        break;
    case X_HANDLED:
    case X_DOOMED:
        break;
    }
}

/*
 * At the bound an idle connection makes room; otherwise the newcomer is told to come again, or, far beyond, not even
 * that.
 */
static bool server_make_room(struct http_server *s, bool *ret_over)
{
    const int64_t now_ms = clock_ms();
    struct http_exchange *oldest = NULL;

    *ret_over = s->connection_count >= s->connections_max;
    if (!*ret_over)
        return true;
    for (struct http_exchange *x = s->all; x; x = x->next)
        if (x->state == X_HEAD && x->began_ms == 0 && now_ms - x->idle_ms > 1000)
            oldest = x; /* newest stand first */
    if (!oldest)
        return s->connection_count < s->connections_max + OVER_MAX;
    exchange_free(oldest);
    *ret_over = s->connection_count >= s->connections_max;
    return true;
}

static void peer_format(char *ret, size_t ret_size, const struct sockaddr *address, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getnameinfo(address, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(ret, ret_size, "unknown");
    else
        snprintf(ret, ret_size, strchr(host, ':') ? "[%.56s]:%s" : "%.56s:%s", host, port);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                      void *opaque)
{
    struct http_server *s = opaque;
    struct http_exchange *x;
    bool over;
    int one = 1;

    (void)listener;
    if (!server_make_room(s, &over)) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    x = calloc(1, sizeof(*x));
    if (!x) {
        close(fd);
        return;
    }
    x->server = s;
    x->over = over;
    x->idle_ms = clock_ms();
    peer_format(x->peer, sizeof(x->peer), address, (socklen_t)len);
    x->next = s->all;
    x->link = &s->all;
    if (s->all)
        s->all->link = &x->next;
    s->all = x;
    s->connection_count++;
    x->timer = evtimer_new(s->base, on_timer, x);
    x->bev = s->tls ? http_tls_accept(s->tls, s->base, fd) : bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!x->timer || !x->bev) {
        if (!x->bev)
            close(fd);
        exchange_free(x);
        return;
    }
    bufferevent_setcb(x->bev, on_readable, on_writable, on_event, x);
    bufferevent_setwatermark(x->bev, EV_READ, 0, s->head_bytes_max + s->body_bytes_max + 4096);
    bufferevent_enable(x->bev, EV_READ | EV_WRITE);
    exchange_set_timer(x, s->seconds_max);
}

static void on_accept_error(struct evconnlistener *listener, void *opaque)
{
    int code = EVUTIL_SOCKET_ERROR();

    (void)listener;
    (void)opaque;
    log_warn("http_accept_failed", "error=\"%s\"", evutil_socket_error_to_string(code));
}

static int server_read_token(struct http_server *s, const char *path, struct errmsg *m)
{
    char text[TOKEN_MAX + 3];
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file)
        return err_set(m, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open token file '%s': %s", path, strerror(errno));
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
            len = 0;
    if (len < TOKEN_MIN || len > TOKEN_MAX)
        return err_set(m, ERR_INVALID,
                       "token file '%s' must hold one line of %d to %d visible characters and nothing else; "
                       "make one with: openssl rand -hex 32",
                       path, TOKEN_MIN, TOKEN_MAX);
    memcpy(s->token, text, len + 1);
    return ERR_OK;
}

static int server_load_tls(struct http_server *s, const struct http_server_config *config, struct errmsg *m)
{
    char why[512];

    if (!config->tls_cert && !config->tls_key)
        return ERR_OK;
    if (!config->tls_cert || !config->tls_key)
        return err_set(m, ERR_INVALID,
                       "a TLS certificate and its key belong together: give both --tls-cert and --tls-key");
    if (!http_tls_open(&s->tls, config->tls_cert, config->tls_key, why, sizeof(why)))
        return err_set(m, ERR_INVALID, "%s", why);
    return ERR_OK;
}

static bool address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int server_listen_at(struct http_server *s, const struct addrinfo *info, const char *text, struct errmsg *m)
{
    struct evconnlistener *listener;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);

    if (s->listener_count == LISTEN_MAX)
        return err_set(m, ERR_TOO_LARGE, "at most %d addresses can be listened on", LISTEN_MAX);
    if (!s->token[0] && !address_is_loopback(info->ai_addr))
        return err_set(m, ERR_DENIED,
                       "listen on '%s': anyone who reaches it could switch fleets, since there is no token; "
                       "give --token-file FILE, or listen on 127.0.0.1",
                       text);
    errno = 0;
    listener = evconnlistener_new_bind(s->base, on_accept, s,
                                       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC |
                                           (info->ai_family == AF_INET6 ? LEV_OPT_BIND_IPV6ONLY : 0),
                                       128, info->ai_addr, (int)info->ai_addrlen);
    if (!listener)
        return err_set(m, ERR_IO, "listen on '%s': %s%s", text, strerror(errno),
                       errno == EADDRINUSE ? "; stop the program that has the port, or give another one with --listen"
                                           : "");
    evconnlistener_set_error_cb(listener, on_accept_error);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&bound, &len);
    s->listeners[s->listener_count] = listener;
    peer_format(s->addresses[s->listener_count], sizeof(s->addresses[0]), (struct sockaddr *)&bound, len);
    s->listener_count++;
    return ERR_OK;
}

static int server_listen(struct http_server *s, const char *text, struct errmsg *m)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
    char host[256], service[16];
    int port, r;

    if (!http_host_split(text, host, sizeof(host), &port) || port < 0)
        return err_set(m, ERR_INVALID, "listen address '%s' is not of the form 127.0.0.1:8484 or [::1]:8484", text);
    snprintf(service, sizeof(service), "%d", port);
    r = getaddrinfo(host, service, &hints, &found);
    if (r != 0)
        return err_set(m, ERR_INVALID, "listen address '%s': %s", text, gai_strerror(r));
    r = server_listen_at(s, found, text, m);
    freeaddrinfo(found);
    return r;
}

static int server_copy_hosts(struct http_server *s, const struct http_server_config *config, struct errmsg *m)
{
    s->hosts = calloc((size_t)config->host_count + 1, sizeof(*s->hosts));
    for (int i = 0; s->hosts && i < config->host_count; i++) {
        s->hosts[i] = strdup(config->hosts[i]);
        if (!s->hosts[i])
            break;
        s->host_count++;
    }
    return s->host_count == config->host_count && s->hosts ? ERR_OK : err_set(m, ERR_NOMEM, "HTTP server");
}

int http_server_open(struct http_server **ret, struct event_base *base, const struct http_server_config *config,
                     http_handler *handler, void *opaque, struct errmsg *m)
{
    struct http_server *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return err_set(m, ERR_NOMEM, "HTTP server");
    s->base = base;
    s->handler = handler;
    s->opaque = opaque;
    s->connections_max = config->connections_max ? config->connections_max : 256;
    s->head_bytes_max = config->head_bytes_max ? config->head_bytes_max : 16 * 1024;
    s->body_bytes_max = config->body_bytes_max ? config->body_bytes_max : 1024 * 1024;
    s->seconds_max = config->seconds_max ? config->seconds_max : 30;
    s->refusal = config->refusal;
    text_copy(s->refusal_type, sizeof(s->refusal_type), config->refusal_type ? config->refusal_type : "text/plain");
    s->sweep = evtimer_new(base, on_sweep, s);
    r = s->sweep ? server_copy_hosts(s, config, m) : err_set(m, ERR_NOMEM, "HTTP server");
    if (r == ERR_OK && config->token_file)
        r = server_read_token(s, config->token_file, m);
    if (r == ERR_OK)
        r = server_load_tls(s, config, m);
    for (int i = 0; r == ERR_OK && i < config->listen_count; i++)
        r = server_listen(s, config->listen[i], m);
    if (r < 0) {
        http_server_close(s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}

void http_server_stop(struct http_server *s)
{
    struct http_exchange *next;

    if (!s || s->stopping)
        return;
    s->stopping = true;
    for (int i = 0; i < s->listener_count; i++)
        evconnlistener_disable(s->listeners[i]);
    for (struct http_exchange *x = s->all; x; x = next) {
        next = x->next;
        if (x->state == X_HEAD || x->state == X_BODY)
            exchange_free(x);
    }
}

int http_server_pending(const struct http_server *s)
{
    int count = 0;

    for (const struct http_exchange *x = s ? s->all : NULL; x; x = x->next)
        count += x->state == X_HANDLED || x->state == X_SENDING;
    return count;
}

void http_server_close(struct http_server *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->listener_count; i++)
        evconnlistener_free(s->listeners[i]);
    while (s->all)
        exchange_free(s->all);
    if (s->sweep)
        event_free(s->sweep);
    for (int i = 0; i < s->host_count; i++)
        free(s->hosts[i]);
    free(s->hosts);
    http_tls_close(s->tls);
    secret_clear(s->token, sizeof(s->token));
    free(s);
}

const char *http_server_address(const struct http_server *s, int i)
{
    return s && i >= 0 && i < s->listener_count ? s->addresses[i] : NULL;
}
