/*
 * revive - a handle that librdkafka has left without any broker gets its bootstrap servers again.
 *
 * A broker that is fenced for a moment (the only one of a small cluster, after a pause longer than its session with the KRaft
 * controller, or while it starts) answers Metadata with no brokers at all. librdkafka 2.15 then takes leave of every
 * broker it knows, and since none of them has failed, nothing makes it begin anew: the handle is silent for ever.
 * Seen with `kill -STOP` on a single Kafka 4.3.1 for 14 s.
 *
 * So each handle's connections are counted (an interceptor tells their states). None up, none trying for some seconds, and one was up
 * before: rd_kafka_brokers_add() with the bootstrap servers. Where that was not the cause it does no harm: librdkafka
 * forgets such a broker as soon as it has learned the real ones.
 *
 * The answer that comes then may name no brokers either (seen with two of three brokers starting on a machine that had no
 * time for them: a member waited for ever for the end of the control log). So it is done again, with growing pauses, until a
 * broker that was learned is up. They grow because a handle that nobody needs at the moment looks the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "kafka/internal.h"

#define AGAIN_MS_MIN 5000
#define AGAIN_MS_MAX 300000
#define SILENT_MS 3000 /* longer than the longest pause between two tries to connect (handle_defaults) */

/* Which connection; logical ones (GroupCoordinator) are extra ones to a broker that is known anyway. */
static uint64_t connection_hash(int32_t broker_id, const char *name, int port)
{
    uint64_t hash = 1469598103934665603u ^ (uint32_t)broker_id;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return ((hash ^ (uint32_t)port) * 1099511628211u) | 1;
}

void revive_note(struct kafka_handle *h, int32_t broker_id, const char *name, int port, const char *state)
{
    struct kafka_connections *c = &h->connections;
    const uint64_t hash = connection_hash(broker_id, name, port);
    int at = 0;

    if (strcmp(name, "GroupCoordinator") == 0 || strcmp(name, "TxnCoordinator") == 0)
        return;
    pthread_mutex_lock(&h->trouble.lock);
    while (at < c->up_count && c->up[at] != hash)
        at++;
    if (strcmp(state, "UP") != 0) {
        if (at < c->up_count)
            c->up[at] = c->up[--c->up_count];
    } else if (at == c->up_count && at < KAFKA_CONNECTIONS_MAX) {
        c->up[c->up_count++] = hash;
        if (broker_id >= 0) { /* not a bootstrap connection, which is let go of as soon as it has done its work */
            c->was_up = true;
            c->again_ms = c->pause_ms = 0;
        }
    }
    c->changed_ms = clock_ms();
    pthread_mutex_unlock(&h->trouble.lock);
}

bool revive_due(struct kafka_handle *h, int64_t now_ms)
{
    struct kafka_connections *c = &h->connections;
    bool due;

    pthread_mutex_lock(&h->trouble.lock);
    due = c->up_count == 0 && now_ms - c->changed_ms >= SILENT_MS &&
          (c->was_up || (c->again_ms > 0 && now_ms >= c->again_ms));
    if (due) {
        c->was_up = false;
        c->pause_ms = 2 * c->pause_ms < AGAIN_MS_MIN ? AGAIN_MS_MIN : 2 * c->pause_ms;
        if (c->pause_ms > AGAIN_MS_MAX)
            c->pause_ms = AGAIN_MS_MAX;
        c->again_ms = now_ms + c->pause_ms;
    }
    pthread_mutex_unlock(&h->trouble.lock);
    return due;
}

void revive(struct kafka_handle *h)
{
    char servers[8192];
    size_t size = sizeof(servers);

    if (rd_kafka_conf_get(rd_kafka_conf(h->rk), "bootstrap.servers", servers, &size) != RD_KAFKA_CONF_OK)
        return;
    log_info("handle_revived", "role=%s bootstrap=%s, librdkafka is connected to no broker", h->role, h->bootstrap);
    rd_kafka_brokers_add(h->rk, servers);
}
