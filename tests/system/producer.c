/*
 * producer - numbered records at a steady rate, on bare librdkafka: what the system tests feed a fleet with.
 *
 * Payload: "<running number> <unix_us>", and a third word of x when --pad asks for more bytes. Record n goes to partition n % P; P follows the topic when partitions are
 * added. Idempotent and acks=all, so a record is in the topic once or the run has failed. Runs until SIGTERM, then
 * flushes and writes what the brokers acknowledged:
 *
 *     {"topic":"orders","produced":1200,"failed":0,"acknowledged":{"0":100,"1":100,...}}
 *
 * SIGUSR1 produces one record to every partition at once, whatever the rate. "ready" on stdout: the first one is in.
 */
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARTITIONS_MAX 8192
#define RATE_MAX 1000000
#define PAD_MAX 10000
#define FLUSH_MS_MAX 60000
#define METADATA_NS 500000000LL
#define SILENT_MS 3000

static volatile sig_atomic_t stop, burst;

struct producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    const char *topic_name, *bootstrap;
    int partitions;
    int64_t number, failed;
    int64_t delivered, delivered_seen, silent_ns; /* nothing has been acknowledged since then */
    int64_t acknowledged[PARTITIONS_MAX];
    bool said_ready;
    int pad;
};

static void on_signal(int number)
{
    if (number == SIGUSR1)
        burst = 1;
    else
        stop = 1;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "producer: %s: %s\n", what, why);
    _Exit(1);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct producer *p = opaque;

    (void)rk;
    if (m->err) {
        if (p->failed++ == 0)
            fprintf(stderr, "producer: %s [%" PRId32 "]: %s\n", p->topic_name, m->partition, rd_kafka_err2str(m->err));
        return;
    }
    p->acknowledged[m->partition]++;
    p->delivered++;
    if (!p->said_ready) {
        p->said_ready = true;
        puts("ready");
        fflush(stdout);
    }
}

/*
 * A broker that shuts down may answer Metadata with no broker at all; librdkafka then knows none, and is silent for ever (src/kafka/revive.c).
 * So it is reminded while there is something to be acknowledged and nothing is.
 */
static void remind(struct producer *p)
{
    const int64_t now = now_ns(CLOCK_MONOTONIC);

    if (p->delivered != p->delivered_seen || p->delivered + p->failed == p->number) {
        p->delivered_seen = p->delivered;
        p->silent_ns = now;
    } else if (now - p->silent_ns > SILENT_MS * 1000000LL) {
        rd_kafka_brokers_add(p->rk, p->bootstrap);
        p->silent_ns = now;
    }
}

static void flush(struct producer *p, const char *why)
{
    for (int waited_ms = 0; waited_ms < FLUSH_MS_MAX; waited_ms += SILENT_MS) {
        if (rd_kafka_flush(p->rk, SILENT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        remind(p);
    }
    die("flush", why);
}

static void produce(struct producer *p, int32_t partition)
{
    char text[64 + PAD_MAX];
    int len = snprintf(text, 64, "%" PRId64 " %" PRId64, p->number, now_ns(CLOCK_REALTIME) / 1000);

    if (p->pad > 0) {
        text[len++] = ' ';
        memset(text + len, 'x', (size_t)p->pad);
        len += p->pad;
    }
    while (rd_kafka_produce(p->topic, partition, RD_KAFKA_MSG_F_COPY, text, (size_t)len, NULL, 0, NULL) < 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();

        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || stop)
            die("produce", rd_kafka_err2str(code));
        rd_kafka_poll(p->rk, 10);
        remind(p);
    }
    p->number++;
}

/* 0 while the topic is not known yet. */
static int count_partitions(struct producer *p, int timeout_ms)
{
    const struct rd_kafka_metadata *md;
    int count = 0;

    if (rd_kafka_metadata(p->rk, 0, p->topic, &md, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return p->partitions;
    if (md->topic_cnt == 1 && md->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
        count = md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    if (count > PARTITIONS_MAX)
        die("topic", "has too many partitions for this program");
    return count > p->partitions ? count : p->partitions;
}

/*
 * One to each partition, and acknowledged before the next. A broker that does not know the producer yet takes its second
 * request though it has refused the first (NOT_ENOUGH_REPLICAS), and librdkafka then says that the first is in, too.
 */
static void introduce(struct producer *p)
{
    for (int i = 0; i < p->partitions; i++)
        produce(p, i);
    flush(p, "the first records were not acknowledged in time");
}

static void run(struct producer *p, double rate, double seconds, bool grows)
{
    int64_t began = now_ns(CLOCK_MONOTONIC), looked = began, due_last = 0;

    while (!stop) {
        int64_t now = now_ns(CLOCK_MONOTONIC);
        int64_t due = (int64_t)((double)(now - began) * rate / 1e9);
        struct timespec nap = { .tv_nsec = 1000000 };

        if (seconds > 0 && (double)(now - began) >= seconds * 1e9)
            break;
        if (due - due_last > (int64_t)rate) /* stopped or starved for more than a second: do not make up for it */
            due_last = due - (int64_t)rate;
        for (; due_last < due && !stop; due_last++)
            produce(p, (int32_t)(p->number % p->partitions));
        if (burst) {
            burst = 0;
            for (int i = 0; i < p->partitions; i++)
                produce(p, i);
        }
        if (grows && now - looked > METADATA_NS) {
            looked = now;
            p->partitions = count_partitions(p, 1000);
        }
        rd_kafka_poll(p->rk, 0);
        remind(p);
        nanosleep(&nap, NULL);
    }
}

static void write_result(const struct producer *p, const char *path)
{
    FILE *f = path ? fopen(path, "w") : stdout;

    if (!f)
        die(path, strerror(errno));
    fprintf(f, "{\"topic\":\"%s\",\"produced\":%" PRId64 ",\"failed\":%" PRId64 ",\"acknowledged\":{", p->topic_name,
            p->number, p->failed);
    for (int i = 0; i < p->partitions; i++)
        fprintf(f, "%s\"%d\":%" PRId64, i ? "," : "", i, p->acknowledged[i]);
    fputs("}}\n", f);
    if (fflush(f) != 0 || (path && fclose(f) != 0))
        die("result", strerror(errno));
}

static void conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die(name, why);
}

int main(int argc, char **argv)
{
    static struct producer p;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct sigaction action = { .sa_handler = on_signal };
    const char *out = NULL;
    double rate = 1000, seconds = 0;
    bool grows = false;
    char why[512];

    conf_set(conf, "enable.idempotence", "true");
    conf_set(conf, "linger.ms", "5");
    conf_set(conf, "queue.buffering.max.messages", "1000000");
    conf_set(conf, "message.timeout.ms", "0"); /* nothing is given up while it runs: brokers come back */
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!strcmp(name, "--grows")) {
            grows = true;
            continue;
        }
        if (!value)
            die(name, "wants a value");
        i++;
        if (!strcmp(name, "--bootstrap"))
            conf_set(conf, "bootstrap.servers", p.bootstrap = value);
        else if (!strcmp(name, "--topic"))
            p.topic_name = value;
        else if (!strcmp(name, "--rate"))
            rate = strtod(value, NULL);
        else if (!strcmp(name, "--seconds"))
            seconds = strtod(value, NULL);
        else if (!strcmp(name, "--out"))
            out = value;
        else if (!strcmp(name, "--pad"))
            p.pad = atoi(value);
        else if (!strcmp(name, "--linger-ms"))
            conf_set(conf, "linger.ms", value);
        else
            die(name, "unknown option");
    }
    if (!p.topic_name || rate < 0 || rate > RATE_MAX || p.pad < 0 || p.pad > PAD_MAX)
        die("usage", "--bootstrap HOST:PORT --topic T [--rate N] [--seconds N] [--out FILE] [--linger-ms N] [--pad "
                     "BYTES] [--grows]");

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    rd_kafka_conf_set_opaque(conf, &p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    p.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!p.rk)
        die("rd_kafka_new", why);
    p.topic = rd_kafka_topic_new(p.rk, p.topic_name, NULL);
    if (!p.topic)
        die("rd_kafka_topic_new", rd_kafka_err2str(rd_kafka_last_error()));
    for (int tries = 0; p.partitions == 0 && tries < 30 && !stop; tries++) {
        p.partitions = count_partitions(&p, 1000);
        if (p.partitions == 0)
            usleep(200000);
    }
    if (p.partitions == 0)
        die(p.topic_name, "no such topic, or no broker");
    if (rate > 0)
        introduce(&p);
    run(&p, rate, seconds, grows);
    flush(&p, "not all records were acknowledged in time");
    write_result(&p, out);
    rd_kafka_topic_destroy(p.topic);
    rd_kafka_destroy(p.rk);
    return p.failed ? 1 : 0;
}
