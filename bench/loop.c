/*
 * loop - one and the same consumer loop, on libbaton and on bare librdkafka: what does Baton cost a record?
 *
 *     baton   baton_poll() in batches, baton_done_all()
 *     batch   rd_kafka_consume_batch_queue(), offsets stored, librdkafka's own auto commit
 *     poll    rd_kafka_consumer_poll() one by one, offsets stored: the loop that most programs have
 *
 * The work is the same small sum over the payload, and the bare loops have libbaton's defaults where those differ from
 * librdkafka's own: with its fetch.queue.backoff.ms of 1000 a loop that once ran its queue full stands still for most of
 * a second. Counted from the first record on, which starts the clock, until the given number: one JSON object
 * {"mode":..,"records":..,"seconds":..,"cpu_seconds":..,"sum":..} on stdout. The CPU is that of the whole process
 * (getrusage), librdkafka's and libbaton's threads included.
 */
#include <baton/baton.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH 500
#define OPTIONS_MAX 64
#define PATIENCE_S 120

static struct {
    const char *mode, *topic;
    int64_t records;
    const char *names[OPTIONS_MAX], *values[OPTIONS_MAX];
    int option_count;
    int64_t done;
    uint64_t sum;
    double began_s, began_cpu_s;
} l;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "loop: %s: %s\n", what, why);
    _Exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void work(const void *value, size_t len)
{
    const unsigned char *bytes = value;

    for (size_t i = 0; i < len; i++)
        l.sum = l.sum * 31 + bytes[i];
    l.done++;
}

static void count(int64_t n)
{
    if (n > 0 && l.began_s == 0) {
        l.began_s = now_s();
        l.began_cpu_s = cpu_s();
    }
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *parts, void *opaque)
{
    (void)opaque;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        rd_kafka_error_destroy(rd_kafka_incremental_assign(rk, parts));
    else
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, parts));
}

static rd_kafka_t *bare_open(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    const char *const fixed[][2] = {
        { "enable.auto.offset.store", "false" }, { "auto.commit.interval.ms", "1000" },
        { "auto.offset.reset", "earliest" },     { "fetch.wait.max.ms", "50" },
        { "fetch.queue.backoff.ms", "10" },      { "partition.assignment.strategy", "cooperative-sticky" }
    };
    char why[512];
    rd_kafka_t *rk;

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (rd_kafka_conf_set(conf, fixed[i][0], fixed[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            die(fixed[i][0], why);
    for (int i = 0; i < l.option_count; i++)
        if (rd_kafka_conf_set(conf, l.names[i], l.values[i], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            die(l.names[i], why);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!rk)
        die("rd_kafka_new", why);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_add(topics, l.topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(rk, topics))
        die(l.topic, "cannot subscribe");
    rd_kafka_topic_partition_list_destroy(topics);
    return rk;
}

static void bare_message(rd_kafka_message_t *m)
{
    if (!m->err) {
        work(m->payload, m->len);
        rd_kafka_error_destroy(rd_kafka_offset_store_message(m));
    }
    rd_kafka_message_destroy(m);
}

static void run_batch(double until)
{
    rd_kafka_t *rk = bare_open();
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_message_t *messages[BATCH];

    while (l.done < l.records && now_s() < until) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);

        count(n);
        for (ssize_t i = 0; i < n; i++)
            bare_message(messages[i]);
    }
}

static void run_poll(double until)
{
    rd_kafka_t *rk = bare_open();

    while (l.done < l.records && now_s() < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);

        if (!m)
            continue;
        count(!m->err);
        bare_message(m);
    }
}

static void run_baton(double until)
{
    struct baton_record *records[BATCH];
    struct baton_consumer *consumer;
    char why[BATON_WHY_MAX];

    if (baton_new(&consumer) < 0)
        die("baton_new", "out of memory");
    for (int i = 0; i < l.option_count; i++)
        if (baton_set(consumer, l.names[i], l.values[i], why, sizeof(why)) < 0)
            die("option", why);
    if (baton_open(consumer, why, sizeof(why)) < 0)
        die("open", why);
    while (l.done < l.records && now_s() < until) {
        int n = baton_poll(consumer, records, BATCH, 100);

        if (n < 0)
            die("poll", baton_error_text(n));
        count(n);
        for (int i = 0; i < n; i++) {
            size_t len;
            const void *value = baton_record_value(records[i], &len);

            work(value, len);
        }
        baton_done_all(records, n);
    }
}

static const struct {
    const char *name;
    void (*run)(double until);
} modes[] = { { "baton", run_baton }, { "batch", run_batch }, { "poll", run_poll } };

int main(int argc, char **argv)
{
    void (*run)(double until) = NULL;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--mode"))
            l.mode = argv[i + 1];
        else if (!strcmp(argv[i], "--topic"))
            l.topic = argv[i + 1];
        else if (!strcmp(argv[i], "--records"))
            l.records = atoll(argv[i + 1]);
        else if (strncmp(argv[i], "--", 2) != 0 || l.option_count == OPTIONS_MAX)
            die(argv[i], "unknown option");
        else {
            l.names[l.option_count] = argv[i] + 2;
            l.values[l.option_count++] = argv[i + 1];
        }
    }
    for (size_t i = 0; l.mode && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, l.mode))
            run = modes[i].run;
    if (!run || !l.topic || l.records < 1)
        die("usage", "--mode baton|batch|poll --topic T --records N [--PROPERTY VALUE]...");
    run(now_s() + PATIENCE_S);
    if (l.done < l.records)
        die("records", "did not all come in time");
    printf("{\"mode\":\"%s\",\"records\":%" PRId64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"sum\":%" PRIu64 "}\n",
           l.mode, l.done, now_s() - l.began_s, cpu_s() - l.began_cpu_s, l.sum);
    fflush(stdout);
    _Exit(0); /* leaving the group is not what is measured */
}
