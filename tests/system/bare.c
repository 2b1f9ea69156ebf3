/*
 * bare - a consumer on librdkafka alone, in one ordinary group, that writes down every record it processes.
 *
 * Two uses: a consumer that Baton knows nothing about (which a preflight must name), and the peer of the benchmark: the
 * same work, updated by restarting one consumer after the other. It does what a careful program does without Baton:
 * commits what it processed when partitions are taken away and when it ends, and leaves the group cleanly on SIGTERM.
 *
 * The lines are those of worker.c, with epoch 0 and whatever color it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bare: %s: %s\n", what, why);
    _Exit(1);
}

static int64_t now_unix_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *parts, void *opaque)
{
    const bool cooperative = !strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE");
    rd_kafka_error_t *e = NULL;

    (void)opaque;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (cooperative)
            e = rd_kafka_incremental_assign(rk, parts);
        else
            rd_kafka_assign(rk, parts);
    } else {
        if (!rd_kafka_assignment_lost(rk))
            rd_kafka_commit(rk, NULL, 0); /* what is stored: nothing stored yet is an answer too */
        if (cooperative)
            e = rd_kafka_incremental_unassign(rk, parts);
        else
            rd_kafka_assign(rk, NULL);
    }
    if (e)
        die("rebalance", rd_kafka_error_string(e));
}

static void process(int fd, const char *color, const rd_kafka_message_t *m)
{
    char number[24] = "-1", line[512];
    const char *value = m->payload;
    int n;

    for (size_t i = 0; i < m->len && i < sizeof(number) - 1 && value[i] >= '0' && value[i] <= '9'; i++) {
        number[i] = value[i];
        number[i + 1] = '\0';
    }
    n = snprintf(line, sizeof(line), "%" PRId32 " %" PRId64 " %s 0 %s %" PRId64 " %s\n", m->partition, m->offset, number, color,
                 now_unix_us(), rd_kafka_topic_name(m->rkt));
    if (write(fd, line, (size_t)n) != n)
        die("write", strerror(errno));
}

int main(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    struct sigaction action = { .sa_handler = on_signal };
    const char *color = "blue";
    char why[512];
    rd_kafka_t *rk;
    int fd = -1;

    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (!strcmp(name, "--topic"))
            rd_kafka_topic_partition_list_add(topics, value, RD_KAFKA_PARTITION_UA);
        else if (!strcmp(name, "--color"))
            color = value;
        else if (!strcmp(name, "--out"))
            fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        else if (strncmp(name, "--", 2) != 0 ||
                 rd_kafka_conf_set(conf, name + 2, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
            die(name, why);
    }
    if (fd < 0 || topics->cnt == 0)
        die("usage", "--out FILE --topic T [--topic U] [--color C] --group.id G --bootstrap.servers B [--PROPERTY VALUE]...");
    if (rd_kafka_conf_set(conf, "enable.auto.offset.store", "false", why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("enable.auto.offset.store", why);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!rk)
        die("rd_kafka_new", why);
    rd_kafka_poll_set_consumer(rk);
    if (rd_kafka_subscribe(rk, topics))
        die("subscribe", "refused");
    while (!stop) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);

        if (!m)
            continue;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_error_t *e;

            process(fd, color, m);
            e = rd_kafka_offset_store_message(m); /* refused when the partition has just gone: fine */
            rd_kafka_error_destroy(e);
        }
        rd_kafka_message_destroy(m);
    }
    rd_kafka_commit(rk, NULL, 0);
    rd_kafka_consumer_close(rk);
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_destroy(rk);
    return 0;
}
