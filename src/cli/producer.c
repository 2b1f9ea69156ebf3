/*
 * producer - see producer.h.
 */
#include "cli/producer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/audit.h"
#include "core/limits.h"
#include "kafka/client.h"

#define TICK_MS 5

struct producer {
    struct kafka_handle handle;
    struct audit *audit;
    pthread_t thread;
    char topic[TOPIC_NAME_MAX + 1];
    int partition_count, rate;
    int64_t number; /* of the next record */
    _Atomic int64_t acknowledged;
    _Atomic int64_t refused;
    atomic_bool audit_full;
    atomic_bool stop;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
    struct producer *p = opaque;

    (void)rk;
    if (msg->err) {
        atomic_fetch_add(&p->refused, 1);
        return;
    }
    if (!audit_produced(p->audit, msg->partition, msg->offset, (int64_t)(intptr_t)msg->_private))
        atomic_store(&p->audit_full, true);
    atomic_fetch_add(&p->acknowledged, 1);
}

static void configure(rd_kafka_conf_t *conf, void *opaque)
{
    (void)opaque;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static void produce(struct producer *p)
{
    char key[32], value[96];
    int64_t number = p->number;
    rd_kafka_resp_err_t err;

    snprintf(key, sizeof(key), "order-%" PRId64, number);
    snprintf(value, sizeof(value), "{\"order\":%" PRId64 ",\"cents\":%d}", number, (int)(number * 7919 % 100000));
    do {
        err = rd_kafka_producev(p->handle.rk, RD_KAFKA_V_TOPIC(p->topic),
                                RD_KAFKA_V_PARTITION((int32_t)(number % p->partition_count)),
                                RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, strlen(value)),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)(intptr_t)number),
                                RD_KAFKA_V_END);
        rd_kafka_poll(p->handle.rk, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && !atomic_load(&p->stop));
    if (err)
        atomic_fetch_add(&p->refused, 1);
    p->number++;
}

static void *producer_thread(void *opaque)
{
    struct producer *p = opaque;
    const struct timespec tick = { 0, TICK_MS * 1000000L };
    int64_t began_us = clock_us();

    while (!atomic_load(&p->stop)) {
        int64_t due = (clock_us() - began_us) * p->rate / 1000000;

        while (p->number < due && !atomic_load(&p->stop))
            produce(p);
        rd_kafka_poll(p->handle.rk, 0);
        nanosleep(&tick, NULL);
    }
    return NULL;
}

int producer_start(struct producer **ret, const struct kafka_settings *settings, const char *topic, int partition_count,
                   int rate, struct audit *audit, struct errmsg *m)
{
    static const char *const extra[] = { "enable.idempotence", "true", "linger.ms", "2", NULL };
    struct producer *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return err_set(m, ERR_NOMEM, "out of memory");
    p->audit = audit;
    p->partition_count = partition_count;
    p->rate = rate;
    snprintf(p->topic, sizeof(p->topic), "%s", topic);
    r = kafka_handle_open(&p->handle, RD_KAFKA_PRODUCER, "demo-producer", settings, extra, configure, p, m);
    if (r < 0) {
        free(p);
        return r;
    }
    if (pthread_create(&p->thread, NULL, producer_thread, p) != 0) {
        kafka_handle_close(&p->handle);
        free(p);
        return err_set(m, ERR_IO, "cannot start a thread");
    }
    *ret = p;
    return ERR_OK;
}

int64_t producer_count(const struct producer *p)
{
    return atomic_load(&p->acknowledged);
}

int producer_stop(struct producer *p, int timeout_ms, struct errmsg *m)
{
    int r = ERR_OK;

    if (!p)
        return ERR_OK;
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    if (rd_kafka_flush(p->handle.rk, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        r = err_set(m, ERR_TIMEOUT, "the brokers did not acknowledge all records within %d s", timeout_ms / 1000);
    else if (atomic_load(&p->refused) > 0)
        r = err_set(m, ERR_KAFKA, "the brokers refused %lld records", (long long)atomic_load(&p->refused));
    else if (atomic_load(&p->audit_full))
        r = err_set(m, ERR_TOO_LARGE, "more records than the audit has room for");
    kafka_handle_close(&p->handle);
    free(p);
    return r;
}
