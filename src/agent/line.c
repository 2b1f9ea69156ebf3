/* line - see line.h. */
#include "agent/line.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "http/token.h"

#define HEAD_BYTES_MAX 16384

struct line {
    const struct line_config *config;
    struct evhttp_connection *connection;
    struct evhttp_request *request; /* NULL: none is out */
    struct event *late;
    line_answered *on_answer;
    void *opaque;
    char host_header[LINE_HOST_MAX + 20];
};

/* --- addresses and tokens ------------------------------------------------------------------------------------------ */

bool line_address_parse(struct line_address *ret, const char *url)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL, *host = uri ? evhttp_uri_get_host(uri) : NULL;
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const bool fine = scheme && strcmp(scheme, "http") == 0 && host && *host && strlen(host) <= LINE_HOST_MAX &&
                      (!path || strlen(path) <= LINE_PATH_MAX) && !evhttp_uri_get_userinfo(uri) &&
                      !evhttp_uri_get_query(uri) && !evhttp_uri_get_fragment(uri);

    if (fine) {
        const size_t bracket = host[0] == '[';

        snprintf(ret->host, sizeof(ret->host), "%.*s", (int)(strlen(host) - 2 * bracket), host + bracket);
        ret->port = evhttp_uri_get_port(uri) > 0 ? evhttp_uri_get_port(uri) : 80;
        text_copy(ret->path, sizeof(ret->path), path && strcmp(path, "/") != 0 ? path : "");
    }
    if (uri)
        evhttp_uri_free(uri);
    return fine;
}

int line_token_check(const char *token_file, struct errmsg *m)
{
    char token[TOKEN_MAX + 1];
    const int r = token_file ? token_read(token, token_file, 1, m) : ERR_OK;

    explicit_bzero(token, sizeof(token));
    return r;
}

static void authorize(struct evkeyvalq *headers, const char *token_file)
{
    char token[TOKEN_MAX + 1], header[TOKEN_MAX + 16];
    struct errmsg m = { 0 };

    if (!token_file || token_read(token, token_file, 1, &m) < 0)
        return;
    snprintf(header, sizeof(header), "Bearer %s", token);
    evhttp_add_header(headers, "Authorization", header);
    explicit_bzero(token, sizeof(token));
    explicit_bzero(header, sizeof(header));
}

/* --- a request ----------------------------------------------------------------------------------------------------- */

static void answer(struct line *l, const struct line_answer *answer)
{
    event_del(l->late);
    l->request = NULL;
    l->on_answer(l->opaque, answer);
}

static void on_reply(struct evhttp_request *request, void *opaque)
{
    struct evbuffer *body = request ? evhttp_request_get_input_buffer(request) : NULL;
    const size_t len = body ? evbuffer_get_length(body) : 0;

    answer(opaque, &(struct line_answer){ .status = request ? evhttp_request_get_response_code(request) : 0,
                                          .body = len > 0 ? (const char *)evbuffer_pullup(body, -1) : "",
                                          .len = len });
}

/* A body that is too long, one that was cut: libevent says so here, and calls on_reply() with nothing or not at all. */
static void on_error(enum evhttp_request_error error, void *opaque)
{
    (void)error;
    (void)opaque;
}

static void on_late(evutil_socket_t fd, short what, void *opaque)
{
    struct line *l = opaque;

    (void)fd;
    (void)what;
    if (l->request)
        evhttp_cancel_request(l->request);
    answer(l, &(struct line_answer){ .late = true, .body = "" });
}

bool line_busy(const struct line *l)
{
    return l->request != NULL;
}

void line_send(struct line *l, enum evhttp_cmd_type method, const char *path, const char *body, size_t len)
{
    const struct timeval late = { .tv_sec = l->config->answer_ms_max / 1000,
                                  .tv_usec = l->config->answer_ms_max % 1000 * 1000 };
    struct evkeyvalq *headers;

    ASSERT(!l->request);
    l->request = must(evhttp_request_new(on_reply, l));
    evhttp_request_set_error_cb(l->request, on_error);
    headers = evhttp_request_get_output_headers(l->request);
    evhttp_add_header(headers, "Host", l->host_header);
    evhttp_add_header(headers, "Accept", "application/json");
    authorize(headers, l->config->token_file);
    if (body) {
        evhttp_add_header(headers, "Content-Type", "application/json");
        evbuffer_add(evhttp_request_get_output_buffer(l->request), body, len);
    }
    event_add(l->late, &late);
    if (evhttp_make_request(l->connection, l->request, method, path) < 0)
        answer(l, &(struct line_answer){ .body = "" });
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

struct line *line_open(struct event_base *base, const struct line_address *address, const struct line_config *config,
                       line_answered *on_answer, void *opaque)
{
    struct line *l = must(calloc(1, sizeof(*l)));

    l->config = config;
    l->on_answer = on_answer;
    l->opaque = opaque;
    snprintf(l->host_header, sizeof(l->host_header), strchr(address->host, ':') ? "[%s]:%d" : "%s:%d", address->host,
             address->port);
    l->connection = must(evhttp_connection_base_new(base, NULL, address->host, (unsigned short)address->port));
    evhttp_connection_set_max_headers_size(l->connection, HEAD_BYTES_MAX);
    evhttp_connection_set_max_body_size(l->connection, (ev_ssize_t)config->body_bytes_max);
    evhttp_connection_set_retries(l->connection, 0);
    l->late = must(evtimer_new(base, on_late, l));
    return l;
}

void line_close(struct line *l)
{
    if (!l)
        return;
    if (l->request)
        evhttp_cancel_request(l->request);
    evhttp_connection_free(l->connection);
    event_free(l->late);
    free(l);
}
