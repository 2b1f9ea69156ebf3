/*
 * server - see server.h: addresses, tokens, and who gets a connection when there are more peers than places.
 *
 * An honest peer sends its request at once and reads its answer. So at the bound the one that has been waited for
 * longest makes room, whether it is idle, drips or does not read: a flood of any kind pushes out itself. Only where all
 * places are at work for somebody does a newcomer wait before the door, for a second; then it is told to come again, or,
 * far beyond, not even that.
 *
 * After some newcomers the loop takes a breath, so that those who have a place are served during a flood. Where the
 * process is out of descriptors, there are fewer places for a minute, and a longer breath; libevent alone would call
 * again at once, for ever.
 */
#include <errno.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "http/internal.h"

#define OVER_MAX 32 /* connections beyond the bound that are told so */
#define ACCEPTS_A_BREATH 32
#define FULL_MS_MAX 1000
#define FULL_LOOK_MS 5
#define ACCEPT_FAILED_MS 50
#define PLACES_BACK_MS 60000
#define PLACES_GIVEN_UP 8 /* when descriptors run out: so that Kafka can be reached again, too */

static void on_sweep(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    exchange_sweep(opaque);
}

/* --- newcomers ---------------------------------------------------------------------------------------------------- */

/* Something has come that is not read yet: it is not this peer that we wait for. */
static bool exchange_has_news(const struct http_exchange *x)
{
    int bytes = 0;

    return x->state == X_HEAD && x->began_ms == 0 && ioctl(bufferevent_getfd(x->bev), FIONREAD, &bytes) == 0 &&
           bytes > 0;
}

/* Who has been waited for longest, NULL: nobody is. Newest stand first; who came in this turn could not be read yet. */
static struct http_exchange *server_oldest(struct http_server *s)
{
    struct http_exchange *oldest;

    do {
        oldest = NULL;
        for (struct http_exchange *x = s->all; x; x = x->next)
            if (exchange_waits(x) && x->breath != s->breaths && (!oldest || x->since_ms <= oldest->since_ms))
                oldest = x;
        if (!oldest || !exchange_has_news(oldest))
            return oldest;
        oldest->breath = s->breaths;
    } while (true);
}

static bool server_let_go(struct http_server *s)
{
    struct http_exchange *oldest = server_oldest(s);

    if (oldest)
        exchange_free(oldest);
    return oldest != NULL;
}

/* All places are at work: newcomers wait before the door for a moment, since most work is short; then they are told. */
static bool server_full(struct http_server *s)
{
    if (s->connection_count < s->places || server_oldest(s)) {
        s->full_ms = 0;
        return false;
    }
    if (s->full_ms == 0)
        s->full_ms = clock_ms();
    return clock_ms() - s->full_ms < FULL_MS_MAX;
}

/* No newcomers until the breath is over. */
static void server_breathe(struct http_server *s, int ms)
{
    const struct timeval tv = { .tv_usec = ms * 1000 };

    for (int i = 0; i < s->listener_count; i++)
        evconnlistener_disable(s->listeners[i]);
    event_add(s->breath, &tv);
}

static void on_breath(evutil_socket_t fd, short what, void *opaque)
{
    struct http_server *s = opaque;

    (void)fd;
    (void)what;
    s->accepted = 0;
    s->breaths++;
    if (server_full(s)) {
        server_breathe(s, FULL_LOOK_MS);
        return;
    }
    for (int i = 0; i < s->listener_count && !s->stopping; i++)
        evconnlistener_enable(s->listeners[i]);
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
    char peer[80];
    bool over;

    (void)listener;
    if (s->failed_ms && clock_ms() - s->failed_ms > PLACES_BACK_MS) {
        s->failed_ms = 0;
        s->places = s->connections_max;
        log_info("http_accept_again", "places=%d", s->places);
    }
    if (++s->accepted == 1)
        event_add(s->breath, &(struct timeval){ 0 });
    over = s->connection_count >= s->places && !server_let_go(s);
    if (over && s->connection_count >= s->places + OVER_MAX) {
        close(fd);
        return;
    }
    peer_format(peer, sizeof(peer), address, (socklen_t)len);
    exchange_accept(s, fd, peer, over);
    if (s->accepted >= ACCEPTS_A_BREATH || (s->connection_count >= s->places && !server_oldest(s)))
        server_breathe(s, 0);
}

/* Out of descriptors or memory: told when it begins and when it is over. */
static void on_accept_error(struct evconnlistener *listener, void *opaque)
{
    struct http_server *s = opaque;
    const int code = EVUTIL_SOCKET_ERROR();
    const bool told = s->failed_ms != 0;

    (void)listener;
    s->failed_ms = clock_ms();
    s->places = s->connection_count > 2 * PLACES_GIVEN_UP ? s->connection_count - PLACES_GIVEN_UP : PLACES_GIVEN_UP;
    if (!told)
        log_warn("http_accept_failed", "error=\"%s\" connections=%d, going on with %d of %d places for a minute",
                 evutil_socket_error_to_string(code), s->connection_count, s->places, s->connections_max);
    while (s->connection_count > s->places && server_let_go(s))
        continue;
    server_breathe(s, ACCEPT_FAILED_MS);
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

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
                                       SOMAXCONN, info->ai_addr, (int)info->ai_addrlen);
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
    s->places = s->connections_max;
    s->head_bytes_max = config->head_bytes_max ? config->head_bytes_max : 16 * 1024;
    s->body_bytes_max = config->body_bytes_max ? config->body_bytes_max : 256 * 1024;
    s->seconds_max = config->seconds_max ? config->seconds_max : 30;
    s->refusal = config->refusal;
    text_copy(s->refusal_type, sizeof(s->refusal_type), config->refusal_type ? config->refusal_type : "text/plain");
    s->output_bytes_max = config->output_bytes_max ? config->output_bytes_max : 32 * 1024 * 1024;
    s->sweep = evtimer_new(base, on_sweep, s);
    s->breath = evtimer_new(base, on_breath, s);
    r = s->sweep && s->breath ? server_copy_hosts(s, config, m) : err_set(m, ERR_NOMEM, "HTTP server");
    if (r == ERR_OK && config->token_file)
        r = token_read(s->token, config->token_file, TOKEN_MIN, m);
    if (r == ERR_OK && config->member_token_file && !config->token_file)
        r = err_set(m, ERR_INVALID,
                    "a token for members does nothing where everybody may do everything; give --token-file too");
    if (r == ERR_OK && config->member_token_file)
        r = token_read(s->member_token, config->member_token_file, TOKEN_MIN, m);
    if (r == ERR_OK && s->member_token[0] && !strcmp(s->token, s->member_token))
        r = err_set(m, ERR_INVALID,
                    "the members' token is the operators' own: make another one with: openssl rand -hex 32");
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
    if (s->breath)
        event_free(s->breath);
    for (int i = 0; i < s->host_count; i++)
        free(s->hosts[i]);
    free(s->hosts);
    http_tls_close(s->tls);
    secret_clear(s->token, sizeof(s->token));
    secret_clear(s->member_token, sizeof(s->member_token));
    free(s);
}

const char *http_server_address(const struct http_server *s, int i)
{
    return s && i >= 0 && i < s->listener_count ? s->addresses[i] : NULL;
}
