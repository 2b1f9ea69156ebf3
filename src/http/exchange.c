/*
 * exchange - the life of one connection: a request, its answer, the next request.
 *
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
#include "http/internal.h"

#include <event2/buffer.h>
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

#define STREAM_SECONDS 15
#define HEAD_BYTES_MAX (16 * 1024) /* of an answer */
#define STREAM_BACKLOG_MAX (1024 * 1024)
#define SLACK 4096 /* what may be read beyond the part of a request that is waited for */

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

static void exchange_end_pieces(struct http_exchange *x)
{
    if (x->pieces.more)
        x->pieces.over(x->pieces.opaque);
    x->pieces.more = NULL;
}

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *opaque)
{
    struct http_server *s = opaque;

    (void)output;
    s->output_bytes += info->n_added;
    s->output_bytes -= info->n_deleted;
}

void exchange_free(struct http_exchange *x)
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
    if (x->bev) {
        evbuffer_remove_cb(bufferevent_get_output(x->bev), on_output, s);
        s->output_bytes -= evbuffer_get_length(bufferevent_get_output(x->bev));
        bufferevent_free(x->bev);
    }
    exchange_end_pieces(x);
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

void exchange_sweep(struct http_server *s)
{
    struct http_exchange *next;

    for (struct http_exchange *x = s->all; x; x = next) {
        next = x->next; // NOLINT: whoever was freed is in the list no more
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

bool exchange_waits(const struct http_exchange *x)
{
    return x->state == X_HEAD || x->state == X_BODY || x->state == X_SENDING || x->state == X_LINGER;
}

void server_shed(struct http_server *s)
{
    while (s->output_bytes > s->output_bytes_max) { /* asked for at each answer: not summed up each time */
        struct http_exchange *most = NULL;
        size_t all = 0, largest = 0;

        for (struct http_exchange *x = s->all; x; x = x->next) {
            const size_t queued = x->state == X_DOOMED ? 0 : evbuffer_get_length(bufferevent_get_output(x->bev));

            all += queued;
            if (queued > largest) {
                largest = queued;
                most = x;
            }
        }
        if (all <= s->output_bytes_max || !most)
            return;
        log_debug("http_reader_slow", "peer=%s unread=%zu, hung up on", most->peer, largest);
        exchange_doom(most);
    }
}

static void exchange_set_timer(struct http_exchange *x, int seconds)
{
    struct timeval tv = { .tv_sec = seconds };

    event_del(x->timer);
    if (seconds > 0)
        event_add(x->timer, &tv);
}

/*
 * What fits into the socket is sent at once: an answer or an event mostly costs one system call, and none to wait for room.
 * False: out of memory.
 */
static bool exchange_put(struct http_exchange *x, const char *bytes, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(x->bev);

    if (!x->server->tls && evbuffer_get_length(out) == 0) {
        const ssize_t sent = send(bufferevent_getfd(x->bev), bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0) { /* else the loop learns what is wrong */
            bytes += sent;
            len -= (size_t)sent;
        }
    }
    return len == 0 || evbuffer_add(out, bytes, len) == 0;
}

#define LENGTH_UNKNOWN (-1) /* the body ends with the connection */
#define LENGTH_CHUNKS (-2)  /* RFC 9112, 7.1 */

/* The head of an answer, and its body where that is at hand. */
static void exchange_put_head(struct http_exchange *x, int status, const char *content_type, int64_t length,
                              const char *location, const char *body)
{
    struct str text = STR_WITH_MAX(2 * HEAD_BYTES_MAX);
    const size_t body_len = body && length > 0 ? (size_t)length : 0;
    const bool together = body_len <= HEAD_BYTES_MAX;
    char date[64];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    str_addf(&text, "HTTP/1.1 %d %s\r\nDate: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
             status, reason_phrase(status), date);
    if (content_type && *content_type)
        str_addf(&text, "Content-Type: %s\r\n", content_type);
    if (length >= 0 && status != 204)
        str_addf(&text, "Content-Length: %lld\r\n", (long long)length);
    if (length == LENGTH_CHUNKS)
        str_add(&text, "Transfer-Encoding: chunked\r\n");
    if (location)
        str_addf(&text, "Location: %s\r\n", location);
    if (status == 401)
        str_add(&text, "WWW-Authenticate: Bearer\r\n");
    if (status == 503)
        str_add(&text, "Retry-After: 1\r\n");
    if (x->close_after || length == LENGTH_UNKNOWN)
        str_add(&text, "Connection: close\r\n");
    str_add(&text, "\r\n");
    if (together)
        str_add_bytes(&text, body, body_len);
    if (str_error(&text) || !exchange_put(x, text.buf, text.len) || (!together && !exchange_put(x, body, body_len)))
        exchange_doom(x);
    str_free(&text);
}

static void exchange_log(const struct http_exchange *x, int status, size_t bytes)
{
    char path[300];

    log_debug("http_request", "peer=%s method=%s path=%s status=%d bytes=%zu ms=%lld", x->peer,
              x->head.method ? (x->head_only ? "HEAD" : x->head.method) : "-",
              log_quote(path, sizeof(path), x->head.path ? x->head.path : ""), status, bytes,
              (long long)(clock_ms() - x->began_ms));
}

/* on_writable() is called in a moment, or when what did not fit into the socket has gone out. */
static void exchange_sent(struct http_exchange *x)
{
    bufferevent_trigger(x->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
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
    exchange_put_head(x, status, content_type, (int64_t)body_len, location, x->head_only ? NULL : body);
    if (x->state == X_DOOMED)
        return;
    x->state = X_SENDING;
    x->since_ms = clock_ms();
    exchange_set_timer(x, x->server->seconds_max);
    exchange_sent(x);
    server_shed(x->server);
}

/* The next piece into the output; false: the answer cannot be ended, and the peer shall see that. */
static bool exchange_put_piece(struct http_exchange *x)
{
    struct evbuffer *out = bufferevent_get_output(x->bev);
    struct str piece = STR_WITH_MAX(HTTP_PIECE_MAX);
    const int more = x->pieces.more(x->pieces.opaque, &piece);
    const bool good = more >= 0 && !str_error(&piece);

    if (good && piece.len > 0) { /* a chunk of no bytes would be the end */
        if (!x->head.http_1_0)
            evbuffer_add_printf(out, "%zx\r\n", piece.len);
        evbuffer_add(out, piece.buf, piece.len);
        if (!x->head.http_1_0)
            evbuffer_add(out, "\r\n", 2);
    }
    if (good && more == 0) {
        exchange_end_pieces(x);
        if (!x->head.http_1_0)
            evbuffer_add(out, "0\r\n\r\n", 5);
    }
    str_free(&piece);
    return good;
}

void http_answer_pieces(struct http_exchange *x, int status, const char *content_type, struct http_pieces pieces)
{
    ASSERT(x->state != X_SENDING && x->state != X_STREAM);
    x->on_hung_up = NULL;
    x->pieces = pieces;
    if (x->state == X_DOOMED || x->head_only)
        exchange_end_pieces(x);
    if (x->state == X_DOOMED)
        return;
    x->close_after = x->eof || x->server->stopping || !x->head.keep_alive || x->head.http_1_0;
    exchange_log(x, status, 0);
    exchange_put_head(x, status, content_type, x->head.http_1_0 ? LENGTH_UNKNOWN : LENGTH_CHUNKS, NULL, NULL);
    if (x->state == X_DOOMED)
        return;
    x->state = X_SENDING;
    x->since_ms = clock_ms();
    exchange_set_timer(x, x->server->seconds_max);
    exchange_sent(x); /* on_writable() asks for the first piece */
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
    if (x->server->stream_count >= x->server->connections_max - x->server->connections_max / 4) {
        exchange_refuse(x, 503, "too many event streams are open; try again later");
        return false;
    }
    exchange_log(x, 200, 0);
    x->server->stream_count++;
    x->state = X_STREAM;
    exchange_put_head(x, 200, "text/event-stream", LENGTH_UNKNOWN, NULL, NULL);
    exchange_set_timer(x, STREAM_SECONDS);
    return true;
}

void http_stream_send(struct http_exchange *x, const char *bytes, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(x->bev);

    ASSERT(x->state == X_STREAM || x->state == X_DOOMED);
    if (x->state == X_DOOMED)
        return;
    if (evbuffer_get_length(out) + len > STREAM_BACKLOG_MAX || !exchange_put(x, bytes, len))
        exchange_doom(x);
    else
        server_shed(x->server);
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
    exchange_sent(x);
}

static bool token_right(const char *token, const char *authorization)
{
    const size_t len = strlen(token);

    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    authorization += 7 + strspn(authorization + 7, " ");
    return strlen(authorization) == len && secret_equal(authorization, token, len);
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
    const char *authorization = http_head_field(head, "authorization");
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
        .authorized = !s->token[0] || token_right(s->token, authorization),
    };

    request.authorized_member =
        request.authorized || (s->member_token[0] && token_right(s->member_token, authorization));
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
        bufferevent_setwatermark(x->bev, EV_READ, 0, (size_t)x->head.body_bytes + SLACK);
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
    while (x->pieces.more && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
        if (!exchange_put_piece(x)) {
            exchange_free(x);
            return;
        }
        exchange_set_timer(x, x->server->seconds_max); /* it reads */
    }
    if (evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
        server_shed(x->server);
        return;
    }
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
    x->since_ms = clock_ms();
    bufferevent_setwatermark(bev, EV_READ, 0, x->server->head_bytes_max + SLACK);
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

void exchange_accept(struct http_server *s, int fd, const char *peer, bool over)
{
    struct http_exchange *x = calloc(1, sizeof(*x));
    int one = 1;

    if (!x) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    x->server = s;
    x->over = over;
    x->breath = s->breaths;
    x->since_ms = clock_ms();
    text_copy(x->peer, sizeof(x->peer), peer);
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
    if (!evbuffer_add_cb(bufferevent_get_output(x->bev), on_output, s)) {
        exchange_free(x);
        return;
    }
    bufferevent_setcb(x->bev, on_readable, on_writable, on_event, x);
    bufferevent_setwatermark(x->bev, EV_READ, 0, s->head_bytes_max + SLACK);
    bufferevent_enable(x->bev, EV_READ | EV_WRITE);
    exchange_set_timer(x, s->seconds_max);
}
