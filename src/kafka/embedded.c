/*
 * embedded - librdkafka's mock cluster as a broker for the demo and for fast tests.
 *
 * It is no Kafka: nothing is compacted, a partition keeps its newest 5 MB or 100,000 records, groups cannot be
 * described, nothing is on disk. Baton recognises it by its cluster id and says so (topics.c, plan).
 *
 * The mock listens on a port that the system chose and offers no way to name one. So a fixed port is a small relay to
 * it: clients bootstrap through the relay, learn the true address from the metadata, and go on without it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "kafka/log.h"

#include <librdkafka/rdkafka_mock.h> /* wants rdkafka.h before it */

#define REBALANCE_DELAY_MS 100 /* of a group's first members; 3 s on a real broker */
#define TOPIC_PARTITIONS_MAX 4096
#define RELAY_PAIRS_MAX 128
#define RELAY_BYTES 16384

/* ---- the relay ---- */

struct stream {
    int from, to;
    char bytes[RELAY_BYTES];
    size_t start, end; /* what is read and not yet written */
};

struct pair {
    struct stream there, back;
};

struct relay {
    int listener;
    int stop[2]; /* a pipe: written to end the thread */
    struct sockaddr_in target;
    struct pair *pairs[RELAY_PAIRS_MAX];
    pthread_t thread;
};

static void pair_close(struct relay *r, int index)
{
    close(r->pairs[index]->there.from);
    close(r->pairs[index]->there.to);
    free(r->pairs[index]);
    r->pairs[index] = NULL;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Moves what can be moved; false: an end has hung up. */
static bool stream_move(struct stream *s, bool readable)
{
    if (s->start == s->end && readable) {
        ssize_t n = recv(s->from, s->bytes, sizeof(s->bytes), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && !would_block()))
            return false;
        s->start = 0;
        s->end = n > 0 ? (size_t)n : 0;
    }
    while (s->start < s->end) {
        ssize_t n = send(s->to, s->bytes + s->start, s->end - s->start, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return would_block();
        s->start += (size_t)n;
    }
    return true;
}

static void relay_accept(struct relay *r)
{
    int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC), mock, free_at = -1;
    struct pair *p;

    if (client < 0)
        return;
    for (int i = 0; i < RELAY_PAIRS_MAX && free_at < 0; i++)
        if (!r->pairs[i])
            free_at = i;
    mock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p = calloc(1, sizeof(*p));
    if (free_at < 0 || mock < 0 || !p || connect(mock, (struct sockaddr *)&r->target, sizeof(r->target)) < 0) {
        close(client);
        if (mock >= 0)
            close(mock);
        free(p);
        return;
    }
    p->there.from = p->back.to = client;
    p->there.to = p->back.from = mock;
    r->pairs[free_at] = p;
}

/* A stream is read when it is empty, and written to when it is not. */
static short pair_events(const struct stream *out, const struct stream *in)
{
    return (short)((out->start == out->end ? POLLIN : 0) | (in->start < in->end ? POLLOUT : 0));
}

static void *relay_thread(void *opaque)
{
    struct relay *r = opaque;

    for (;;) {
        struct pollfd fds[2 + 2 * RELAY_PAIRS_MAX];
        int index[RELAY_PAIRS_MAX], count = 0;

        fds[0] = (struct pollfd){ .fd = r->stop[0], .events = POLLIN };
        fds[1] = (struct pollfd){ .fd = r->listener, .events = POLLIN };
        for (int i = 0; i < RELAY_PAIRS_MAX; i++) {
            struct pair *p = r->pairs[i];

            if (!p)
                continue;
            fds[2 + 2 * count] = (struct pollfd){ .fd = p->there.from, .events = pair_events(&p->there, &p->back) };
            fds[3 + 2 * count] = (struct pollfd){ .fd = p->back.from, .events = pair_events(&p->back, &p->there) };
            index[count++] = i;
        }
        if (poll(fds, 2 + 2 * (nfds_t)count, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            break;
        for (int i = 0; i < count; i++) {
            struct pair *p = r->pairs[index[i]];

            if (!stream_move(&p->there, fds[2 + 2 * i].revents != 0) ||
                !stream_move(&p->back, fds[3 + 2 * i].revents != 0))
                pair_close(r, index[i]);
        }
        if (fds[1].revents)
            relay_accept(r);
    }
    for (int i = 0; i < RELAY_PAIRS_MAX; i++)
        if (r->pairs[i])
            pair_close(r, i);
    return NULL;
}

static void relay_close(struct relay *r)
{
    if (!r)
        return;
    if (r->stop[1] >= 0) {
        ssize_t n = write(r->stop[1], "x", 1);

        ASSERT(n == 1);
        pthread_join(r->thread, NULL);
        close(r->stop[0]);
        close(r->stop[1]);
    }
    if (r->listener >= 0)
        close(r->listener);
    free(r);
}

static int relay_open(struct relay **ret, int port, int target_port, struct errmsg *m)
{
    struct relay *r = calloc(1, sizeof(*r));
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    int on = 1;

    if (!r)
        return err_set(m, ERR_NOMEM, "listen on port %d", port);
    r->stop[0] = r->stop[1] = -1;
    r->target = at;
    r->target.sin_port = htons((uint16_t)target_port);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->listener < 0 || setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(r->listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(r->listener, 64) < 0) {
        int error = errno;

        relay_close(r);
        return err_set(m, ERR_IO, "listen on 127.0.0.1:%d: %s%s", port, strerror(error),
                       error == EADDRINUSE ? "; stop what runs there, or give another --port" : "");
    }
    if (pipe2(r->stop, O_CLOEXEC) < 0 || pthread_create(&r->thread, NULL, relay_thread, r) != 0) {
        if (r->stop[0] >= 0) {
            close(r->stop[0]);
            close(r->stop[1]);
            r->stop[1] = -1;
        }
        relay_close(r);
        return err_set(m, ERR_IO, "listen on 127.0.0.1:%d: no thread or pipe for it", port);
    }
    *ret = r;
    return ERR_OK;
}

/* ---- the broker ---- */

struct embedded_broker {
    rd_kafka_t *rk; /* the mock lives in it */
    rd_kafka_mock_cluster_t *cluster;
    struct relay *relay;
    char bootstrap[64];
};

int embedded_broker_topic(struct embedded_broker *b, const char *topic, int partitions, struct errmsg *m)
{
    rd_kafka_resp_err_t code;

    if (!topic[0] || strlen(topic) > TOPIC_NAME_MAX ||
        strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(topic))
        return err_set(m, ERR_INVALID, "'%.60s' is no name for a topic: letters, digits, '.', '_' and '-', at most %d",
                       topic, TOPIC_NAME_MAX);
    if (partitions < 1 || partitions > TOPIC_PARTITIONS_MAX)
        return err_set(m, ERR_INVALID, "topic '%s': %d partitions; 1 to %d are possible", topic, partitions,
                       TOPIC_PARTITIONS_MAX);
    code = rd_kafka_mock_topic_create(b->cluster, topic, partitions, 1);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return err_set(m, ERR_CONFLICT, "topic '%s' exists already", topic);
    if (code)
        return err_set(m, ERR_KAFKA, "create topic '%s': %s", topic, rd_kafka_err2str(code));
    return ERR_OK;
}

static int broker_start(struct embedded_broker *b, int port, struct errmsg *m)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *address;
    char why[256];
    int r;

    rd_kafka_conf_set_log_cb(conf, kafka_log);
    if (rd_kafka_conf_set(conf, "client.id", "baton-broker", why, sizeof(why)) != RD_KAFKA_CONF_OK ||
        !(b->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)))) {
        rd_kafka_conf_destroy(conf);
        return err_set(m, ERR_INTERNAL, "%s", why);
    }
    b->cluster = rd_kafka_mock_cluster_new(b->rk, 1);
    if (!b->cluster)
        return err_set(m, ERR_IO, "no listening socket on the loopback address");
    rd_kafka_mock_group_initial_rebalance_delay_ms(b->cluster, REBALANCE_DELAY_MS);
    address = rd_kafka_mock_cluster_bootstraps(b->cluster);
    snprintf(b->bootstrap, sizeof(b->bootstrap), "%s", address);
    if (port) {
        const char *colon = strrchr(address, ':');

        r = relay_open(&b->relay, port, colon ? atoi(colon + 1) : 0, m);
        if (r < 0)
            return r;
        snprintf(b->bootstrap, sizeof(b->bootstrap), "127.0.0.1:%d", port);
    }
    /* else the first client that asks for one would make it, with the mock's default of four partitions */
    r = embedded_broker_topic(b, CONTROL_TOPIC, 1, m);
    return r < 0 ? r : embedded_broker_topic(b, REPORTS_TOPIC, 1, m);
}

int embedded_broker_open(struct embedded_broker **ret, int port, struct errmsg *m)
{
    struct embedded_broker *b;
    int r;

    if (port < 0 || port > 65535)
        return err_set(m, ERR_INVALID, "port %d: 1 to 65535 are possible, 0 is any", port);
    b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(m, ERR_NOMEM, "start the embedded broker");
    r = broker_start(b, port, m);
    if (r < 0) {
        embedded_broker_close(b);
        return err_wrap(m, r, "start the embedded broker");
    }
    *ret = b;
    return ERR_OK;
}

const char *embedded_broker_bootstrap(const struct embedded_broker *b)
{
    return b->bootstrap;
}

void embedded_broker_close(struct embedded_broker *b)
{
    if (!b)
        return;
    relay_close(b->relay);
    if (b->cluster)
        rd_kafka_mock_cluster_destroy(b->cluster);
    if (b->rk)
        rd_kafka_destroy(b->rk);
    free(b);
}
