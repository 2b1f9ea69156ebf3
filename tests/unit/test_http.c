/* http: the parser, the server against hostile and ordinary clients, the client of the CLI against the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "http/client.h"
#include "http/parse.h"
#include "http/server.h"

#define WAIT_MS 30000

/* --- parse -------------------------------------------------------------------------------------------------------- */

static int parse(struct http_head *ret, char *copy, size_t size, const char *text)
{
    const char *why = NULL;
    int status;

    assert_true(text_copy(copy, size, text));
    status = http_head_parse(ret, copy, &why);
    assert_true(status == 0 || (why && *why));
    return status;
}

static void head_is_parsed(void **state)
{
    struct http_head head;
    char copy[1000], value[20];

    (void)state;
    assert_int_equal(
        parse(&head, copy, sizeof(copy),
              "POST /v1/fl%65ets/a%20b?x=1&name=J%C3%B6rg+K HTTP/1.1\r\nHost: h:1\r\nContent-Length: 12\r\n"
              "X-Thing: \t a b \t\r\nExpect: 100-continue"),
        0);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.path, "/v1/fleets/a b");
    assert_string_equal(http_head_field(&head, "x-thing"), "a b");
    assert_string_equal(http_head_field(&head, "absent"), "");
    assert_int_equal(head.body_bytes, 12);
    assert_true(head.keep_alive && head.expect_continue);
    assert_true(http_query_get(head.query, "name", value, sizeof(value)));
    assert_string_equal(value, "J\xc3\xb6rg K");
    assert_false(http_query_get(head.query, "nam", value, sizeof(value)));
    assert_false(http_query_get(head.query, "name", value, 3));
}

static void unclean_heads_are_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "", 400 },
        { "GET / HTTP/1.1", 400 }, /* no Host */
        { "GET / HTTP/2.0\r\nHost: h", 505 },
        { "GET http://h/ HTTP/1.1\r\nHost: h", 400 },
        { "GET /%zz HTTP/1.1\r\nHost: h", 400 },
        { "GET /a%00b HTTP/1.1\r\nHost: h", 400 },
        { "GET /a%0ab HTTP/1.1\r\nHost: h", 400 },
        { "GET /../etc HTTP/1.1\r\nHost: h", 400 },
        { "GET /a/%2e%2e/b HTTP/1.1\r\nHost: h", 400 },
        { "GET /a b HTTP/1.1\r\nHost: h", 505 },
        { "G ET / HTTP/1.1\r\nHost: h", 505 },
        { "G(T / HTTP/1.1\r\nHost: h", 400 },
        { "GET / HTTP/1.1\nHost: h", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\nHost: i", 400 },
        { "GET / HTTP/1.1\r\nHost : h", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\n folded: x", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\nnocolon", 400 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA: b\001c", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:", 400 },
        { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked", 411 },
        { "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nAuthorization: b", 400 },
    };
    struct http_head head;
    char copy[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int status = parse(&head, copy, sizeof(copy), cases[i].text);

        if (status != cases[i].status)
            fail_msg("case %zu: %d instead of %d", i, status, cases[i].status);
    }
    assert_int_equal(parse(&head, copy, sizeof(copy), "GET /..a/b.. HTTP/1.0"), 0);
    assert_false(head.keep_alive);
}

static void hosts_are_told_apart(void **state)
{
    char host[50];
    int port;

    (void)state;
    assert_true(http_host_is_loopback("localhost:1") && http_host_is_loopback("127.8.9.1") &&
                http_host_is_loopback("[::1]:80"));
    assert_false(http_host_is_loopback("10.0.0.1:1"));
    assert_false(http_host_is_loopback("127.0.0.1.evil.example"));
    assert_true(http_host_is_address("10.0.0.1:1") && http_host_is_address("[fe80::1]"));
    assert_false(http_host_is_address("evil.example:80"));
    assert_true(http_host_split("[::1]:8484", host, sizeof(host), &port));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 8484);
    assert_false(http_host_split("::1", host, sizeof(host), &port));
    assert_false(http_host_split("h:", host, sizeof(host), &port));
    assert_false(http_host_split("h:99999", host, sizeof(host), &port));
    assert_false(http_host_split("", host, sizeof(host), &port));
}

/* --- a server on a thread of its own ------------------------------------------------------------------------------ */

struct world {
    struct event_base *base;
    struct http_server *server;
    pthread_t thread;
    char address[80];
    char other[80]; /* where /moved points to */
    struct http_exchange *parked;
    int hung_up;
    int pending; /* as last counted, -1: not yet */
    int pieces, pieces_over;
    pthread_mutex_t lock;
};

static void on_hung_up(void *opaque)
{
    struct world *w = opaque;

    pthread_mutex_lock(&w->lock);
    w->hung_up++;
    w->parked = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* Pieces as long as their number says; the one after the last cannot be made where /broken was asked. */
#define PIECE_COUNT 100
static int piece(struct world *w, struct str *to, bool broken)
{
    for (int i = 0; i < w->pieces * 100; i++)
        str_addf(to, "%05d:", w->pieces);
    if (++w->pieces <= PIECE_COUNT)
        return 1;
    return broken ? -1 : 0;
}

static int piece_more(void *opaque, struct str *to)
{
    return piece(opaque, to, false);
}

static int piece_broken(void *opaque, struct str *to)
{
    return piece(opaque, to, true);
}

static void pieces_over(void *opaque)
{
    struct world *w = opaque;

    pthread_mutex_lock(&w->lock);
    w->pieces_over++;
    pthread_mutex_unlock(&w->lock);
}

static void handle(void *opaque, struct http_exchange *x, const struct http_request *r)
{
    struct world *w = opaque;
    struct str text = STR_WITH_MAX(8192);
    char location[200];

    if (!strcmp(r->path, "/park")) {
        pthread_mutex_lock(&w->lock);
        w->parked = x;
        pthread_mutex_unlock(&w->lock);
        http_exchange_on_hung_up(x, on_hung_up, w);
    } else if (!strcmp(r->path, "/flood")) {
        static char block[64 * 1024];

        memset(block, 'x', sizeof(block));
        http_stream(x);
        http_exchange_on_hung_up(x, on_hung_up, w);
        for (int i = 0; i < 400; i++)
            http_stream_send(x, block, sizeof(block));
    } else if (!strcmp(r->path, "/events")) {
        if (!http_stream(x))
            return;
        str_addf(&text, ": hello\nretry: 1\n\nid: 7\nevent: leader\ndata: {\"last\":\"%s\"}\n\n", r->last_event_id);
        str_add(&text, "event: member\ndata: one\ndata: two\n\nid: 9\ndata: x\n\n");
        http_stream_send(x, text.buf, text.len);
        http_stream_end(x);
    } else if (!strcmp(r->path, "/moved")) {
        snprintf(location, sizeof(location), "http://%s/moved?a=b", w->other);
        http_answer(x, w->other[0] ? 307 : 200, NULL, r->body, r->body_len, w->other[0] ? location : NULL);
    } else if (!strcmp(r->path, "/pieces") || !strcmp(r->path, "/broken")) {
        w->pieces = 0; /* the first is empty */
        http_answer_pieces(x, 200, "text/plain",
                           (struct http_pieces){ .more = r->path[1] == 'b' ? piece_broken : piece_more,
                                                 .over = pieces_over,
                                                 .opaque = w });
    } else if (!strcmp(r->path, "/elsewhere")) {
        http_answer(x, 307, NULL, "", 0, "http://127.0.0.1:1/other");
    } else {
        str_addf(&text, "%s %s?%s body=%zu:%s by=%s auth=%d", r->method, r->path, r->query, r->body_len, r->body, r->by,
                 r->authorized);
        http_answer(x, 200, "text/plain", text.buf, text.len, NULL);
    }
    str_free(&text);
}

static void *world_run(void *opaque)
{
    struct world *w = opaque;

    event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void world_open(struct world *w, const struct http_server_config *extra)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    struct http_server_config config = extra ? *extra : (struct http_server_config){ 0 };
    struct errmsg m = { 0 };

    memset(w, 0, sizeof(*w));
    evthread_use_pthreads();
    pthread_mutex_init(&w->lock, NULL);
    config.listen = listen;
    config.listen_count = 1;
    w->base = event_base_new();
    if (http_server_open(&w->server, w->base, &config, handle, w, &m) < 0)
        fail_msg("%s", m.text);
    text_copy(w->address, sizeof(w->address), http_server_address(w->server, 0));
    assert_int_equal(pthread_create(&w->thread, NULL, world_run, w), 0);
}

static void world_close(struct world *w)
{
    event_base_loopbreak(w->base);
    pthread_join(w->thread, NULL);
    http_server_close(w->server);
    event_base_loop(w->base,
                    EVLOOP_NONBLOCK); /* libevent frees a connection after the callback of it that it has put off */
    event_base_free(w->base);
    pthread_mutex_destroy(&w->lock);
}

/* What the server's thread writes is read under the lock: UNTIL(SEEN(&w, w.hung_up == 1)). */
#define SEEN(w, what) (pthread_mutex_lock(&(w)->lock), seen(w, what))
#define UNTIL(condition)                                                      \
    for (int64_t until_ms = clock_ms() + WAIT_MS; !(condition); usleep(1000)) \
        if (clock_ms() >= until_ms)                                           \
    fail_msg("not within %d ms: %s", WAIT_MS, #condition)

static bool seen(struct world *w, bool what)
{
    pthread_mutex_unlock(&w->lock);
    return what;
}

static void pending_count(evutil_socket_t fd, short what, void *opaque)
{
    struct world *w = opaque;

    (void)fd;
    (void)what;
    pthread_mutex_lock(&w->lock);
    w->pending = http_server_pending(w->server);
    pthread_mutex_unlock(&w->lock);
}

/* The server is its thread's alone, so that one counts. */
static int pending(struct world *w)
{
    int count = -1;

    w->pending = -1;
    event_base_once(w->base, -1, EV_TIMEOUT, pending_count, w, NULL);
    UNTIL(SEEN(w, (count = w->pending) >= 0));
    return count;
}

static int dial(const struct world *w)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strchr(w->address, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the server has hung up: what it said is read anyway */
        text += n;
        len -= (size_t)n;
    }
}

/* Reads until the server closes or `until` stands in the answer. */
static char *hear(int fd, const char *until)
{
    static char all[128 * 1024];
    const int64_t end_ms = clock_ms() + WAIT_MS;
    size_t len = 0;

    all[0] = '\0';
    while (len < sizeof(all) - 1 && !(until && strstr(all, until))) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (clock_ms() >= end_ms)
            fail_msg("no answer in time, so far: %s", all);
        if (poll(&p, 1, 100) <= 0)
            continue;
        n = recv(fd, all + len, sizeof(all) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        all[len] = '\0';
    }
    return all;
}

static char *ask(const struct world *w, const char *request)
{
    int fd = dial(w);
    char *answer;

    say(fd, request);
    answer = hear(fd, NULL);
    close(fd);
    return answer;
}

static void wait_for_over(struct world *w, int count)
{
    UNTIL(SEEN(w, w->pieces_over >= count));
    assert_true(SEEN(w, w->pieces_over == count));
}

#define ASK_AND_CLOSE "Host: 127.0.0.1\r\nConnection: close\r\n"

static void a_request_is_answered(void **state)
{
    struct world w;
    char *answer;

    (void)state;
    world_open(&w, NULL);
    answer = ask(&w, "POST /x?q=1 HTTP/1.1\r\n" ASK_AND_CLOSE "X-Baton-By: jane\r\nContent-Length: 4\r\n\r\nbody");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "Content-Length: "));
    assert_non_null(strstr(answer, "POST /x?q=1 body=4:body by=jane auth=1"));
    answer = ask(&w, "HEAD /x HTTP/1.1\r\n" ASK_AND_CLOSE "\r\n");
    assert_non_null(strstr(answer, "200 OK"));
    assert_null(strstr(answer, "GET /x"));
    world_close(&w);
}

static void a_connection_serves_many(void **state)
{
    struct world w;
    char *answer;
    int fd;

    (void)state;
    world_open(&w, NULL);
    fd = dial(&w);
    say(fd, "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_non_null(strstr(hear(fd, "GET /1"), "200 OK"));
    say(fd, "\r\nPOST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: "
            "localhost\r\n\r\n"
            "GET /4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    answer = hear(fd, NULL); /* pipelined: answered in order, then closed */
    assert_non_null(strstr(answer, "POST /2? body=3:abc"));
    assert_true(strstr(answer, "GET /3") < strstr(answer, "GET /4"));
    close(fd);
    fd = dial(&w);
    say(fd, "POST /5 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    hear(fd, "100 Continue\r\n\r\n");
    say(fd, "ok");
    hear(fd, "body=2:ok");
    close(fd);
    fd = dial(&w); /* half closed after the request, as nc does */
    say(fd, "GET /6 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_non_null(strstr(hear(fd, NULL), "GET /6"));
    close(fd);
    world_close(&w);
}

static void bounds_are_kept(void **state)
{
    const struct http_server_config config = {
        .head_bytes_max = 1000, .body_bytes_max = 100, .seconds_max = 1, .connections_max = 3
    };
    struct linger at_once = { .l_onoff = 1 };
    struct world w;
    char big[3000];
    int fd, fds[3];

    (void)state;
    world_open(&w, &config);
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    fd = dial(&w);
    say(fd, "GET /");
    say(fd, big);
    assert_non_null(strstr(hear(fd, NULL), " 431 "));
    close(fd);
    assert_non_null(strstr(ask(&w, "POST / HTTP/1.1\r\n" ASK_AND_CLOSE "Content-Length: 101\r\n\r\n"), " 413 "));
    fd = dial(&w); /* a head that never ends, drop by drop: one bound for all of it */
    for (int i = 0; i < 8; i++) {
        say(fd, "G");
        usleep(200 * 1000);
    }
    assert_non_null(strstr(hear(fd, NULL), " 408 "));
    close(fd);
    assert_non_null(strstr(ask(&w, "POST / HTTP/1.1\r\n" ASK_AND_CLOSE "Content-Length: 9\r\n\r\nabc"), " 408 "));
    for (int i = 0; i < 3; i++) { /* all connections busy: the next is told so */
        fds[i] = dial(&w);
        say(fds[i], "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    UNTIL(strstr(ask(&w, "GET /busy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), " 503 "));
    for (int i = 0; i < 3; i++) { /* by a reset: after a mere close they might still read their answers */
        setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fds[i]);
    }
    UNTIL(pending(&w) == 0);
    assert_non_null(strstr(ask(&w, "GET /again HTTP/1.1\r\n" ASK_AND_CLOSE "\r\n"), " 200 "));
    world_close(&w);
}

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_long_answer_comes_in_pieces(void **state)
{
    struct http_client_config config = { 0 };
    struct http_client *client;
    struct http_reply reply;
    struct errmsg m = { 0 };
    struct world w;
    char server[100], *answer;
    int fd;

    (void)state;
    world_open(&w, NULL);
    snprintf(server, sizeof(server), "http://%s", w.address);
    config.server = server;
    assert_int_equal(http_client_open(&client, &config, &m), 0);
    for (int turn = 1; turn <= 2; turn++) { /* the connection goes on behind it */
        if (http_client_request(client, &reply, "GET", "/pieces", NULL, NULL, 0, &m) < 0)
            fail_msg("%s", m.text);
        assert_int_equal(reply.body_len, 600 * (PIECE_COUNT * (PIECE_COUNT + 1) / 2));
        for (size_t number = 1, at = 0; number <= PIECE_COUNT; at += 600 * number, number++)
            assert_int_equal(strtol(reply.body + at, NULL, 10), number);
        http_reply_free(&reply);
        wait_for_over(&w, turn);
    }
    assert_true(http_client_request(client, &reply, "GET", "/broken", NULL, NULL, 0, &m) < 0);
    wait_for_over(&w, 3);
    http_client_close(client);

    answer = ask(&w, "HEAD /pieces HTTP/1.1\r\n" ASK_AND_CLOSE "\r\n");
    assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    wait_for_over(&w, 4);
    answer = ask(&w, "GET /pieces HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"); /* knows no chunks */
    assert_null(strstr(answer, "chunked"));
    assert_non_null(strstr(answer, "\r\n\r\n00001:00001:"));
    wait_for_over(&w, 5);
    fd = dial(&w);
    say(fd, "GET /pieces HTTP/1.1\r\n" ASK_AND_CLOSE "\r\n");
    hear(fd, "00003:");
    close(fd); /* in the midst of it */
    wait_for_over(&w, 6);
    world_close(&w);
}

static void the_token_is_needed(void **state)
{
    char path[] = "/tmp/test-http-token-XXXXXX";
    struct http_server_config config = { .token_file = path };
    struct world w;

    (void)state;
    write_file(path, "0123456789abcdef-secret\n");
    world_open(&w, &config);
    assert_non_null(strstr(ask(&w, "GET / HTTP/1.1\r\n" ASK_AND_CLOSE "\r\n"), "auth=0"));
    assert_non_null(strstr(
        ask(&w, "GET / HTTP/1.1\r\n" ASK_AND_CLOSE "Authorization: Bearer 0123456789abcdef-secreT\r\n\r\n"), "auth=0"));
    assert_non_null(
        strstr(ask(&w, "GET / HTTP/1.1\r\n" ASK_AND_CLOSE "Authorization: Bearer 0123456789abcdef\r\n\r\n"), "auth=0"));
    assert_non_null(strstr(
        ask(&w, "GET / HTTP/1.1\r\n" ASK_AND_CLOSE "Authorization: bearer 0123456789abcdef-secret\r\n\r\n"), "auth=1"));
    /* with a token any name may stand in Host: who knows the token is no web page */
    assert_non_null(strstr(ask(&w, "GET / HTTP/1.1\r\nHost: baton.example\r\nConnection: close\r\n\r\n"), " 200 "));
    world_close(&w);
    unlink(path);
}

static void a_browser_is_no_way_in(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, NULL);
    assert_non_null(strstr(ask(&w, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), " 403 "));
    assert_non_null(
        strstr(ask(&w, "POST / HTTP/1.1\r\n" ASK_AND_CLOSE "Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n"),
               " 403 "));
    assert_non_null(
        strstr(ask(&w, "POST / HTTP/1.1\r\n" ASK_AND_CLOSE "Origin: null\r\nContent-Length: 0\r\n\r\n"), " 403 "));
    assert_non_null(strstr(
        ask(&w, "POST / HTTP/1.1\r\n" ASK_AND_CLOSE "Origin: http://127.0.0.1\r\nContent-Length: 0\r\n\r\n"), " 200 "));
    world_close(&w);
}

static void only_loopback_without_a_token(void **state)
{
    static const char *const open_address[] = { "0.0.0.0:0" }, *const broken[] = { "127.0.0.1" };
    struct http_server_config config = { .listen = open_address, .listen_count = 1 };
    struct event_base *base = event_base_new();
    char path[] = "/tmp/test-http-token-XXXXXX";
    struct http_server *server = NULL;
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_DENIED);
    assert_non_null(strstr(m.text, "--token-file"));
    config.listen = broken;
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_INVALID);
    write_file(path, "short\n");
    config.listen = open_address;
    config.token_file = path;
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "openssl rand"));
    config.token_file = "/nonexistent/token";
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_NOT_FOUND);
    config.token_file = NULL;
    config.tls_cert = path;
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_INVALID);
    config.tls_key = path;
    assert_int_equal(http_server_open(&server, base, &config, handle, NULL, &m), ERR_INVALID);
    assert_null(server);
    unlink(path);
    event_base_free(base);
}

static void hanging_up_is_noticed(void **state)
{
    struct world w;
    struct linger at_once = { .l_onoff = 1 };
    int fd;

    (void)state;
    world_open(&w, NULL);
    fd = dial(&w);
    say(fd, "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n");
    UNTIL(SEEN(&w, w.parked != NULL));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd); /* a reset */
    UNTIL(SEEN(&w, w.hung_up == 1));
    fd = dial(&w); /* a stream whose reader does not read is ended, and its memory with it */
    say(fd, "GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n");
    UNTIL(SEEN(&w, w.hung_up == 2));
    close(fd);
    world_close(&w);
}

/* --- the client --------------------------------------------------------------------------------------------------- */

static struct http_client *client_of(const struct world *w, const char *token_file)
{
    struct http_client *client = NULL;
    struct errmsg m = { 0 };
    char url[100];

    snprintf(url, sizeof(url), "http://%s/", w->address);
    if (http_client_open(&client, &(struct http_client_config){ .server = url, .token_file = token_file, .by = "jane" },
                         &m) < 0)
        fail_msg("%s", m.text);
    return client;
}

static void the_client_asks(void **state)
{
    struct http_client *client;
    struct http_reply reply;
    struct errmsg m = { 0 };
    struct world w;

    (void)state;
    world_open(&w, NULL);
    client = client_of(&w, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_client_request(client, &reply, "POST", "/v1/x?q=1", "application/json", "{}", 2, &m),
                         ERR_OK);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.content_type, "text/plain");
        assert_string_equal(reply.body, "POST /v1/x?q=1 body=2:{} by=jane auth=1");
        http_reply_free(&reply);
    }
    assert_int_equal(http_client_request(client, &reply, "DELETE", "/v1/x", NULL, NULL, 0, &m), ERR_OK);
    assert_string_equal(reply.body, "DELETE /v1/x? body=0: by=jane auth=1");
    http_reply_free(&reply);
    http_client_close(client);
    world_close(&w);
}

static void the_client_follows_to_the_leader_only(void **state)
{
    char path[] = "/tmp/test-http-token-XXXXXX";
    struct http_server_config config = { .token_file = path };
    struct http_client *client;
    struct http_reply reply;
    struct errmsg m = { 0 };
    struct world follower, leader;

    (void)state;
    write_file(path, "0123456789abcdef-secret\n");
    world_open(&follower, &config);
    world_open(&leader, &config);
    text_copy(follower.other, sizeof(follower.other), leader.address);
    client = client_of(&follower, path);
    assert_int_equal(http_client_request(client, &reply, "POST", "/moved?a=b", "application/json", "{\"to\":1}", 8, &m),
                     ERR_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"to\":1}"); /* method and body were kept */
    http_reply_free(&reply);
    assert_int_equal(http_client_request(client, &reply, "POST", "/moved?c=d", "application/json", "", 0, &m),
                     ERR_DENIED);
    assert_int_equal(http_client_request(client, &reply, "GET", "/elsewhere", NULL, NULL, 0, &m), ERR_DENIED);
    assert_false(http_client_led_astray(client));
    text_copy(leader.other, sizeof(leader.other), follower.address); /* each says the other leads */
    assert_int_equal(http_client_request(client, &reply, "POST", "/moved?a=b", NULL, NULL, 0, &m), ERR_UNAVAILABLE);
    assert_true(http_client_led_astray(client));
    text_copy(follower.other, sizeof(follower.other), "127.0.0.1:1"); /* a leader that died */
    assert_int_equal(http_client_request(client, &reply, "POST", "/moved?a=b", NULL, NULL, 0, &m), ERR_UNAVAILABLE);
    assert_true(http_client_led_astray(client));
    text_copy(follower.other, sizeof(follower.other), ""); /* it leads by now */
    assert_int_equal(http_client_request(client, &reply, "POST", "/moved?a=b", NULL, NULL, 0, &m), ERR_OK);
    assert_false(http_client_led_astray(client));
    http_reply_free(&reply);
    http_client_close(client);
    world_close(&follower);
    world_close(&leader);
    unlink(path);
}

static void the_client_says_what_is_wrong(void **state)
{
    static const char *const bad[] = { "127.0.0.1:8484", "ftp://h",      "http://",
                                       "http://h/path",  "http://u:p@h", "http://h:x" };
    struct http_client *client = NULL;
    struct http_reply reply;
    struct errmsg m = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_client_open(&client, &(struct http_client_config){ .server = bad[i] }, &m), ERR_INVALID);
    assert_int_equal(http_client_open(&client, &(struct http_client_config){ .server = "http://127.0.0.1:9" }, &m),
                     ERR_OK);
    assert_int_equal(http_client_request(client, &reply, "GET", "/", NULL, NULL, 0, &m), ERR_UNAVAILABLE);
    assert_non_null(strstr(m.text, "baton serve"));
    assert_non_null(strstr(m.text, "--bootstrap"));
    http_client_close(client);
}

struct seen {
    char text[1000];
    int left;
};

static bool on_event(void *opaque, const char *id, const char *type, const char *data)
{
    struct seen *seen = opaque;
    size_t len = strlen(seen->text);

    snprintf(seen->text + len, sizeof(seen->text) - len, "[%s|%s|%s]", id, type, data);
    return --seen->left > 0;
}

static void events_come_and_resume(void **state)
{
    struct seen seen = { .left = 100 };
    struct http_client *client;
    struct errmsg m = { 0 };
    struct world w;

    (void)state;
    world_open(&w, NULL);
    client = client_of(&w, NULL);
    assert_int_equal(http_client_events(client, "/events", on_event, NULL, &seen, &m),
                     ERR_UNAVAILABLE); /* the server ended it */
    assert_string_equal(seen.text, "[7|leader|{\"last\":\"\"}][|member|one\ntwo][9|message|x]");
    seen = (struct seen){ .left = 1 };
    assert_int_equal(http_client_events(client, "/events", on_event, NULL, &seen, &m), ERR_OK);
    assert_string_equal(seen.text, "[7|leader|{\"last\":\"9\"}]");
    http_client_close(client);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_is_parsed),
        cmocka_unit_test(unclean_heads_are_refused),
        cmocka_unit_test(hosts_are_told_apart),
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(a_connection_serves_many),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(a_long_answer_comes_in_pieces),
        cmocka_unit_test(the_token_is_needed),
        cmocka_unit_test(a_browser_is_no_way_in),
        cmocka_unit_test(only_loopback_without_a_token),
        cmocka_unit_test(hanging_up_is_noticed),
        cmocka_unit_test(the_client_asks),
        cmocka_unit_test(the_client_follows_to_the_leader_only),
        cmocka_unit_test(the_client_says_what_is_wrong),
        cmocka_unit_test(events_come_and_resume),
    };

    signal(SIGPIPE, SIG_IGN); /* as every program of Baton does */
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
