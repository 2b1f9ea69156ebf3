/* application - see application.h. */
#include "agent/application.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/token.h"

#define ANSWER_MS_MAX 2000 /* the contract says a second */
#define HEAD_BYTES_MAX 16384

struct application {
    struct event_base *base;
    struct evhttp_connection *connection;
    char *host, *path, *authorization;
    char host_header[300];
    struct event *late;
    struct evhttp_request *request; /* NULL: none is out */
    bool timed_out;
    application_answered *on_answer;
    void *opaque;
    int64_t asked_ms;
    uint64_t revision;
    int status; /* of the answer that is being given */
};

static int url_parse(struct application *a, int *ret_port, const char *url, struct errmsg *m)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL, *host = uri ? evhttp_uri_get_host(uri) : NULL;
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const bool fine = scheme && strcmp(scheme, "http") == 0 && host && *host && !evhttp_uri_get_userinfo(uri) &&
                      !evhttp_uri_get_query(uri) && !evhttp_uri_get_fragment(uri);

    if (fine) {
        *ret_port = evhttp_uri_get_port(uri) > 0 ? evhttp_uri_get_port(uri) : 80;
        a->host = strdup(host);
        a->path = strdup(path && *path && strcmp(path, "/") != 0 ? path : LIFECYCLE_PATH);
        snprintf(a->host_header, sizeof(a->host_header), strchr(host, ':') ? "[%.250s]:%d" : "%.250s:%d", host,
                 *ret_port);
    }
    if (uri)
        evhttp_uri_free(uri);
    if (!fine)
        return err_set(m, ERR_INVALID, "'%.200s' is no address of an application: write it as http://127.0.0.1:8081",
                       url);
    return a->host && a->path ? ERR_OK : err_set(m, ERR_NOMEM, "out of memory");
}

static void give(struct application *a, int error, const char *why, struct observed *observed)
{
    struct application_answer answer = {
        .error = error, .status = a->status, .observed = observed, .asked_ms = a->asked_ms, .revision = a->revision
    };

    text_copy(answer.why, sizeof(answer.why), why);
    a->on_answer(a->opaque, &answer);
}

static void give_status(struct application *a, int status)
{
    char why[200];

    if (status == 401 || status == 403)
        snprintf(why, sizeof(why), "it answered %d: give the agent its token (--application-token-file)", status);
    else if (status >= 300 && status < 400)
        snprintf(why, sizeof(why), "it answered %d, a redirect: give the address of the process itself", status);
    else if (status == 404)
        snprintf(why, sizeof(why), "it answered 404: it does not serve %.100s", a->path);
    else
        snprintf(why, sizeof(why), "it answered %d", status);
    give(a, status == 409 && a->revision ? ERR_CONFLICT : ERR_CORRUPT, why, NULL);
}

static void on_reply(struct evhttp_request *request, void *opaque)
{
    struct application *a = opaque;
    const int status = request ? evhttp_request_get_response_code(request) : 0;
    struct observed *observed = NULL;
    struct errmsg m = { 0 };
    struct evbuffer *body;
    size_t len;
    int r;

    event_del(a->late);
    a->request = NULL;
    a->status = status;
    if (status == 0) {
        give(a, ERR_UNAVAILABLE, "nothing answers there: is it running?", NULL);
        return;
    }
    if (status != 200) {
        give_status(a, status);
        return;
    }
    body = evhttp_request_get_input_buffer(request);
    len = evbuffer_get_length(body);
    r = observed_decode(&observed, len > 0 ? (const char *)evbuffer_pullup(body, -1) : "", len, &m);
    if (r < 0) {
        struct errmsg why = { 0 };

        err_set(&why, r, "its answer is no lifecycle document: %.300s", m.text);
        give(a, r, why.text, NULL);
        return;
    }
    give(a, ERR_OK, "", observed);
}

/* A body that is too long, one that was cut: libevent says so here, and calls on_reply() with nothing or not at all. */
static void on_error(enum evhttp_request_error error, void *opaque)
{
    (void)error;
    (void)opaque;
}

static void on_late(evutil_socket_t fd, short what, void *opaque)
{
    struct application *a = opaque;

    (void)fd;
    (void)what;
    if (a->request)
        evhttp_cancel_request(a->request);
    a->request = NULL;
    give(a, ERR_TIMEOUT, "it did not answer within 2 s", NULL);
}

bool application_busy(const struct application *a)
{
    return a->request != NULL;
}

static void send_request(struct application *a, enum evhttp_cmd_type method, uint64_t revision, const char *body,
                         size_t len)
{
    const struct timeval late = { .tv_sec = ANSWER_MS_MAX / 1000 };
    struct evkeyvalq *headers;

    ASSERT(!a->request);
    a->asked_ms = clock_ms();
    a->revision = revision;
    a->status = 0;
    a->request = must(evhttp_request_new(on_reply, a));
    evhttp_request_set_error_cb(a->request, on_error);
    headers = evhttp_request_get_output_headers(a->request);
    evhttp_add_header(headers, "Host", a->host_header);
    evhttp_add_header(headers, "Accept", "application/json");
    if (a->authorization)
        evhttp_add_header(headers, "Authorization", a->authorization);
    if (body) {
        evhttp_add_header(headers, "Content-Type", "application/json");
        evbuffer_add(evhttp_request_get_output_buffer(a->request), body, len);
    }
    event_add(a->late, &late);
    if (evhttp_make_request(a->connection, a->request, method, a->path) < 0) {
        event_del(a->late);
        a->request = NULL;
        give(a, ERR_UNAVAILABLE, "nothing answers there: is it running?", NULL);
    }
}

void application_get(struct application *a)
{
    send_request(a, EVHTTP_REQ_GET, 0, NULL, 0);
}

void application_put(struct application *a, uint64_t revision, const char *body, size_t len)
{
    send_request(a, EVHTTP_REQ_PUT, revision, body, len);
}

int application_open(struct application **ret, struct event_base *base, const char *url, const char *token_file,
                     application_answered *on_answer, void *opaque, struct errmsg *m)
{
    struct application *a = must(calloc(1, sizeof(*a)));
    char token[TOKEN_MAX + 1];
    int port = 0, r;

    a->base = base;
    a->on_answer = on_answer;
    a->opaque = opaque;
    r = url_parse(a, &port, url, m);
    if (r == ERR_OK && token_file) {
        r = token_read(token, token_file, 1, m);
        if (r == ERR_OK && asprintf(&a->authorization, "Bearer %s", token) < 0)
            a->authorization = must(NULL);
        explicit_bzero(token, sizeof(token));
    }
    if (r < 0) {
        application_close(a);
        return r;
    }
    a->connection = must(evhttp_connection_base_new(base, NULL, a->host, (unsigned short)port));
    evhttp_connection_set_max_headers_size(a->connection, HEAD_BYTES_MAX);
    evhttp_connection_set_max_body_size(a->connection, LIFECYCLE_BYTES_MAX);
    evhttp_connection_set_retries(a->connection, 0);
    a->late = must(evtimer_new(base, on_late, a));
    *ret = a;
    return ERR_OK;
}

void application_close(struct application *a)
{
    if (!a)
        return;
    if (a->request)
        evhttp_cancel_request(a->request);
    if (a->connection)
        evhttp_connection_free(a->connection);
    if (a->late)
        event_free(a->late);
    if (a->authorization)
        explicit_bzero(a->authorization, strlen(a->authorization));
    free(a->authorization);
    free(a->host);
    free(a->path);
    free(a);
}
