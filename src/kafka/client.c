/*
 * client - every librdkafka handle of Baton is born here, and connected before anybody waits for it.
 *
 * A handle that was just made has, left to itself, its first answers after up to a second and a half: librdkafka opens a
 * second connection only some time after the first, and looks again for a broker, a leader or a producer's id only
 * when a timer of its own fires. What this module does about it is in connect_kick() and kafka_topic_ask().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/limits.h"
#include "kafka/internal.h"

#define SLICE_MS_MIN 20
#define SLICE_MS_MAX 500 /* how soon a stop or a verdict is noticed */
#define QUIET_MS 1000    /* a wait that is longer is told */

/* Ours, where the user has said nothing. */
static const char *const handle_defaults[] = {
    "socket.connection.setup.timeout.ms",
    "8000", /* a host that swallows packets is trouble after 8 s, not 30 */
    "reconnect.backoff.max.ms",
    "2000", /* a broker that is back is noticed within 2 s, not 10 */
    /* half of it passes before a new handle opens its second connection, and every handle needs two: 5 ms, not 50 */
    "reconnect.backoff.ms",
    "10",
    "socket.keepalive.enable",
    "true",
    "client.id",
    "baton",
};

static int handle_configure(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct kafka_settings *s,
                            const char *const *extra, struct errmsg *m)
{
    int r = ERR_OK;

    for (size_t i = 0; r == ERR_OK && i < ARRAY_COUNT(handle_defaults); i += 2)
        r = kafka_conf_set(conf, handle_defaults[i], handle_defaults[i + 1], m);
    if (r == ERR_OK)
        r = kafka_settings_apply(conf, type, s, m);
    for (int i = 0; r == ERR_OK && extra && extra[i]; i += 2)
        r = kafka_conf_set(conf, extra[i], extra[i + 1], m);
    return r;
}

int kafka_handle_open(struct kafka_handle *ret, rd_kafka_type_t type, const char *role, const struct kafka_settings *s,
                      const char *const *extra, void (*configure)(rd_kafka_conf_t *conf, void *opaque), void *opaque,
                      struct errmsg *m)
{
    const char *bootstrap = kafka_settings_get(s, "bootstrap.servers"), *user = kafka_settings_get(s, "sasl.username");
    rd_kafka_conf_t *conf;
    char why[512];
    int r;

    r = kafka_version_check(m);
    if (r < 0)
        return r;
    if (!bootstrap || !bootstrap[0])
        return err_set(m, ERR_INVALID, "no brokers given: set bootstrap.servers=HOST:PORT[,HOST:PORT...]");
    conf = rd_kafka_conf_new();
    r = handle_configure(conf, type, s, extra, m);
    if (r < 0) {
        rd_kafka_conf_destroy(conf);
        return err_wrap(m, r, "%s client", role);
    }
    memset(ret, 0, sizeof(*ret));
    ret->role = role;
    snprintf(ret->bootstrap, sizeof(ret->bootstrap), "%s", bootstrap);
    snprintf(ret->user, sizeof(ret->user), "%s", user ? user : "");
    rd_kafka_conf_set_opaque(conf, opaque);
    trouble_watch(ret, conf); /* sets ret->rk before the first connection */
    if (configure)
        configure(conf, opaque);
    if (!rd_kafka_new(type, conf, why, sizeof(why))) {
        rd_kafka_conf_destroy(conf);
        trouble_unwatch(ret);
        memset(ret, 0, sizeof(*ret));
        return err_set(m, ERR_INVALID, "%s client: %s", role, why);
    }
    ASSERT(ret->rk != NULL);
    return ERR_OK;
}

void kafka_handle_close(struct kafka_handle *h)
{
    if (!h || !h->rk)
        return;
    trouble_closing(h);
    rd_kafka_destroy(h->rk);
    trouble_unwatch(h);
    memset(h, 0, sizeof(*h));
}

/* Somebody waits for a first answer: a broker that is just starting gets its time, and the log says for whom. */
struct patience {
    int64_t began_ms, deadline_ms;
    int slice_ms; /* grows: kafka_topic_ask() says why */
    bool told;
};

static struct patience patience_until(int64_t deadline_ms)
{
    return (struct patience){ .began_ms = clock_ms(), .deadline_ms = deadline_ms, .slice_ms = SLICE_MS_MIN };
}

/* How long the next try may take; 0: no more tries. */
static int patience_slice(struct patience *p, const struct kafka_handle *h)
{
    const int64_t now_ms = clock_ms(), left_ms = p->deadline_ms - now_ms;
    const int slice_ms = p->slice_ms;

    if (left_ms <= 0)
        return 0;
    if (!p->told && now_ms - p->began_ms >= QUIET_MS) {
        p->told = true;
        log_info("waiting_for_broker", "bootstrap=%s role=%s for_ms=%lld", h->bootstrap, h->role, (long long)left_ms);
    }
    p->slice_ms = slice_ms * 2 < SLICE_MS_MAX ? slice_ms * 2 : SLICE_MS_MAX;
    return left_ms < slice_ms ? (int)left_ms : slice_ms;
}

/*
 * Asks the brokers something small, so that the handle connects now. A consumer with a group id whose main thread was
 * quicker than its list of brokers does so only after a second. rd_kafka_metadata() without a topic would ask for all
 * topics of the cluster; this one's name is not allowed in Kafka, so that no broker ever creates it. librdkafka then asks
 * for it once a second as long as the handle lives: handles that stay are connected by a topic that they need anyway
 * (kafka_topic_partitions()).
 */
static void connect_kick(struct kafka_handle *h, int slice_ms)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(h->rk, "baton/connect", NULL);

    if (!rkt)
        return;
    if (rd_kafka_metadata(h->rk, 0, rkt, &metadata, slice_ms) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
}

/* The first answer of any broker brings the cluster's id, which librdkafka keeps. */
static char *cluster_id(struct kafka_handle *h, int timeout_ms, struct errmsg *m, int *ret_error)
{
    struct patience p = patience_until(clock_ms() + timeout_ms);
    int slice_ms;
    char *id;

    while (!(id = rd_kafka_clusterid(h->rk, 0)) && !trouble_is_verdict(h) && (slice_ms = patience_slice(&p, h)) > 0)
        connect_kick(h, slice_ms);
    if (id)
        return id;
    *ret_error = kafka_trouble(h, m);
    *ret_error =
        *ret_error
            ? err_wrap(m, *ret_error, "connect")
            : err_set(m, ERR_UNAVAILABLE,
                      "connect: no answer from %s within %d ms: check the address, that a broker runs there, and "
                      "firewalls between",
                      h->bootstrap, timeout_ms);
    return NULL;
}

int kafka_handle_connect(struct kafka_handle *h, int timeout_ms, struct errmsg *m)
{
    int r = ERR_OK;
    char *id = cluster_id(h, timeout_ms, m, &r);

    if (id)
        rd_kafka_mem_free(h->rk, id);
    return r;
}

int kafka_is_embedded(struct kafka_handle *h, int timeout_ms, struct errmsg *m)
{
    int r = ERR_OK;
    char *id = cluster_id(h, timeout_ms, m, &r);

    if (!id)
        return r;
    r = strncmp(id, "mockCluster", 11) == 0;
    rd_kafka_mem_free(h->rk, id);
    return r;
}

int kafka_version_check(struct errmsg *m)
{
    if (rd_kafka_version() < KAFKA_VERSION_MIN)
        return err_set(
            m, ERR_STATE,
            "librdkafka %s is loaded, 2.12 or newer is needed (older ones lose and repeat records): put a newer one "
            "first in the library path",
            rd_kafka_version_str());
    return ERR_OK;
}

/* ---- topics ---- */

/* Asks for one topic; *ret: how many partitions, 0: there is no such topic. */
static int topic_ask(struct kafka_handle *h, const char *topic, int *ret, int timeout_ms, struct errmsg *m)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(h->rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code;
    char doing[TOPIC_NAME_MAX + 40];
    int r = ERR_OK;

    snprintf(doing, sizeof(doing), "read topic '%s'", topic);
    if (!rkt)
        return kafka_explain(h, rd_kafka_last_error(), doing, m);
    code = rd_kafka_metadata(h->rk, 0, rkt, &metadata, timeout_ms);
    rd_kafka_topic_destroy(rkt);
    if (code)
        return kafka_explain(h, code, doing, m);
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        *ret = 0;
    else if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        r = kafka_explain(h, code, doing, m);
    else if (metadata->topics[0].partition_cnt > 0)
        *ret = metadata->topics[0].partition_cnt;
    else /* there, but this broker has not heard of its partitions */
        r = err_set(m, ERR_UNAVAILABLE, "%s: the brokers at %s are just making it: try again", doing, h->bootstrap);
    rd_kafka_metadata_destroy(metadata);
    return r;
}

/*
 * In slices that grow: a call that finds no connection asks for one, in vain when another was opened in the last
 * milliseconds, and then waits for a timer of one second. The next call asks again.
 */
int kafka_topic_ask(struct kafka_handle *h, const char *topic, int *ret, int64_t deadline_ms,
                    bool (*stop)(void *opaque), void *opaque, struct errmsg *m)
{
    struct patience p = patience_until(deadline_ms);
    int slice_ms = patience_slice(&p, h), r;

    do
        r = topic_ask(h, topic, ret, slice_ms > 0 ? slice_ms : 1, m);
    while ((r == ERR_TIMEOUT || r == ERR_UNAVAILABLE) && !(stop && stop(opaque)) && !trouble_is_verdict(h) &&
           (slice_ms = patience_slice(&p, h)) > 0);
    return r;
}

/* ---- queues and event loops ---- */

int kafka_eventfd(struct errmsg *m)
{
    /* Non-blocking: librdkafka writes with its locks held, a full blocking one would stop it. */
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? err_set(m, ERR_IO, "eventfd: %s", strerror(errno)) : fd;
}

void kafka_eventfd_clear(int fd)
{
    uint64_t count;
    ssize_t r = read(fd, &count, sizeof(count));

    ASSERT(r == (ssize_t)sizeof(count) || errno == EAGAIN || errno == EINTR);
}

void kafka_eventfd_ring(int fd)
{
    static const uint64_t one = 1;
    ssize_t r = write(fd, &one, sizeof(one));

    (void)r; /* full means awake */
}

void kafka_queue_wake(rd_kafka_queue_t *queue, int fd)
{
    static const uint64_t one = 1;

    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
}
