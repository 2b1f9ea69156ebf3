/*
 * floor - the least a hand-over over Kafka can cost, measured on bare librdkafka without any of Baton's code.
 *
 * The standstill of a partition is made of five steps, one after the other, none of which can be left out when the state is
 * to live in Kafka and what one side says is to be checked against the brokers:
 *
 *     commit       the old side commits where it stopped
 *     report hop   it says so on a topic; the controller reads it
 *     read-back    the controller reads the committed offsets from the brokers
 *     grant hop    it writes the grant to a topic; the new side reads it
 *     assign       the new side fetches from there; its first record comes
 *
 * This program does just these, for all partitions at once, as fast as it can, with the two sides in one thread: whatever
 * an implementation adds, it cannot be below. Blue and green change places in every round. One JSON object on stdout:
 * {"rounds":N,"standstill_us":[...one a partition and round...],"steps_us":{"commit":[...],...}}
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARTITIONS_MAX 1024
#define ROUNDS_MAX 10000
#define WORK_US 250000
#define PATIENCE_US 30000000
#define WARM_ROUNDS 6 /* not counted: the first attach of a topic costs a handle half a second, once */

enum step { STEP_COMMIT, STEP_REPORT, STEP_READ_BACK, STEP_GRANT, STEP_ASSIGN, STEP_COUNT };
static const char *const step_names[STEP_COUNT] = { "commit", "report_hop", "read_back", "grant_hop", "assign" };

struct side {
    rd_kafka_t *consumer;
    const char *group;
};

static struct {
    const char *bootstrap, *topic, *reports, *control;
    int partitions, rounds;
    struct side sides[2];
    rd_kafka_t *producer, *reports_reader, *control_reader;
    rd_kafka_t *
        admin; /* of its own: on a handle that also fetches, a question waits for the fetch that lingers at the broker */
    rd_kafka_queue_t *admin_queue;
    int64_t next[PARTITIONS_MAX], last_us[PARTITIONS_MAX];
    int64_t *standstill_us; /* rounds * partitions */
    int64_t steps_us[STEP_COUNT][ROUNDS_MAX];
    int standstills;
} f = { .rounds = 100 };

static void die(const char *what, const char *why)
{
    fprintf(stderr, "floor: %s: %s\n", what, why);
    _Exit(1);
}

static void check(const char *what, rd_kafka_resp_err_t code)
{
    if (code)
        die(what, rd_kafka_err2str(code));
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static rd_kafka_t *handle(rd_kafka_type_t type, const char *group)
{
    const char *const settings[][2] = { { "bootstrap.servers", f.bootstrap },
                                        { "group.id", group },
                                        { "enable.auto.commit", "false" },
                                        { "fetch.wait.max.ms", "50" },
                                        { "auto.offset.reset", "earliest" },
                                        { "enable.idempotence", "true" },
                                        { "linger.ms", "0" } };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];
    rd_kafka_t *rk;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const int of_consumer = i >= 1 && i <= 4, of_producer = i >= 5;

        if ((of_consumer && type == RD_KAFKA_PRODUCER) || (of_producer && type == RD_KAFKA_CONSUMER))
            continue;
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            die(settings[i][0], why);
    }
    rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk)
        die("rd_kafka_new", why);
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* A topic that was made a moment ago may have no leader yet: asked again. */
static int64_t end_of(rd_kafka_t *rk, const char *topic, int partition)
{
    const int64_t until = now_us() + PATIENCE_US;
    int64_t low, high;
    rd_kafka_resp_err_t r;

    while ((r = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, 10000)) && now_us() < until)
        rd_kafka_poll(rk, 100);
    check(topic, r);
    return high;
}

static void follow_from_end(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = end_of(rk, topic, 0);
    check("assign", rd_kafka_assign(rk, list));
    rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_topic_partition_list_t *all_at_next(void)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(f.partitions);

    for (int i = 0; i < f.partitions; i++)
        rd_kafka_topic_partition_list_add(list, f.topic, i)->offset = f.next[i];
    return list;
}

/* One topic hop: append, and the reader on the other side has it. */
static void hop(const char *topic, rd_kafka_t *reader, const char *text)
{
    const int64_t until = now_us() + PATIENCE_US;

    check(topic, rd_kafka_producev(f.producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                   RD_KAFKA_V_VALUE((void *)(uintptr_t)text, strlen(text)),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
    while (now_us() < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 1000);
        const int it = m && !m->err && m->len == strlen(text) && !memcmp(m->payload, text, m->len);

        if (m)
            rd_kafka_message_destroy(m);
        if (it)
            return;
    }
    die(topic, "the record did not come through");
}

static void read_back(const struct side *old)
{
    rd_kafka_topic_partition_list_t *list = all_at_next();
    rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(old->group, list);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(f.admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    const rd_kafka_topic_partition_list_t *got;
    const rd_kafka_group_result_t **groups;
    rd_kafka_event_t *ev;
    size_t n;

    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
    rd_kafka_ListConsumerGroupOffsets(f.admin, &ask, 1, options, f.admin_queue);
    ev = rd_kafka_queue_poll(f.admin_queue, 30000);
    if (!ev || rd_kafka_event_error(ev))
        die("read-back", ev ? rd_kafka_event_error_string(ev) : "no answer");
    groups = rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(ev), &n);
    got = n == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    for (int i = 0; got && i < got->cnt; i++)
        if (got->elems[i].offset != f.next[got->elems[i].partition])
            die("read-back", "the brokers have another offset than was committed");
    rd_kafka_event_destroy(ev);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(ask);
    rd_kafka_topic_partition_list_destroy(list);
}

static void take(rd_kafka_message_t *m, int64_t now)
{
    if (m->offset != f.next[m->partition])
        die("records", "one was lost or repeated");
    f.next[m->partition] = m->offset + 1;
    f.last_us[m->partition] = now;
}

/* Works for a while; at its end every partition's last record is known. */
static void work(struct side *side)
{
    const int64_t until = now_us() + WORK_US;

    while (now_us() < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(side->consumer, 10);

        if (m && m->err)
            die("consume", rd_kafka_message_errstr(m));
        if (m)
            take(m, now_us());
        if (m)
            rd_kafka_message_destroy(m);
    }
}

static void pass(struct side *old, struct side *new, int round)
{
    rd_kafka_topic_partition_list_t *list;
    int64_t stop_us[PARTITIONS_MAX], t[STEP_COUNT + 1];
    char text[64];
    int seen = 0;

    snprintf(text, sizeof(text), "round %d", round);
    t[0] = now_us();
    check("assign nothing", rd_kafka_assign(old->consumer, NULL));
    memcpy(stop_us, f.last_us, sizeof(stop_us));
    list = all_at_next();
    check("commit", rd_kafka_commit(old->consumer, list, 0));
    t[1] = now_us();
    hop(f.reports, f.reports_reader, text);
    t[2] = now_us();
    read_back(old);
    t[3] = now_us();
    hop(f.control, f.control_reader, text);
    t[4] = now_us();
    check("assign", rd_kafka_assign(new->consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
    while (seen < f.partitions) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(new->consumer, 1000);
        const int64_t now = now_us();

        if (now - t[4] > PATIENCE_US)
            die("assign", "not every partition had a record in time");
        if (!m)
            continue;
        if (m->err)
            die("consume", rd_kafka_message_errstr(m));
        if (f.last_us[m->partition] <= t[4]) {
            if (round >= 0)
                f.standstill_us[f.standstills++] = now - stop_us[m->partition];
            seen++;
        }
        take(m, now);
        rd_kafka_message_destroy(m);
    }
    t[5] = now_us();
    for (int i = 0; i < STEP_COUNT && round >= 0; i++)
        f.steps_us[i][round] = t[i + 1] - t[i];
}

static void print_numbers(const char *name, const int64_t *us, int count, const char *after)
{
    printf("\"%s\":[", name);
    for (int i = 0; i < count; i++)
        printf("%s%" PRId64, i ? "," : "", us[i]);
    printf("]%s", after);
}

static void begin(void)
{
    rd_kafka_topic_partition_list_t *list;

    f.producer = handle(RD_KAFKA_PRODUCER, "");
    f.reports_reader = handle(RD_KAFKA_CONSUMER, "floor-controller");
    f.control_reader = handle(RD_KAFKA_CONSUMER, "floor-member");
    f.admin = handle(RD_KAFKA_CONSUMER, "floor-admin");
    f.admin_queue = rd_kafka_queue_new(f.admin);
    follow_from_end(f.reports_reader, f.reports);
    follow_from_end(f.control_reader, f.control);
    f.sides[0].group = "floor-blue";
    f.sides[1].group = "floor-green";
    for (int i = 0; i < 2; i++) {
        f.sides[i].consumer = handle(RD_KAFKA_CONSUMER, f.sides[i].group);
        for (int p = 0; i == 0 && p < f.partitions; p++)
            f.next[p] = end_of(f.sides[i].consumer, f.topic, p);
        list = all_at_next(); /* the first commit finds the coordinator: not to be counted */
        check("commit", rd_kafka_commit(f.sides[i].consumer, list, 0));
        rd_kafka_topic_partition_list_destroy(list);
    }
    list = all_at_next();
    check("assign", rd_kafka_assign(f.sides[0].consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
    hop(f.reports, f.reports_reader, "warm");
    hop(f.control, f.control_reader, "warm");
    read_back(&f.sides[0]);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--bootstrap"))
            f.bootstrap = argv[i + 1];
        else if (!strcmp(argv[i], "--topic"))
            f.topic = argv[i + 1];
        else if (!strcmp(argv[i], "--reports"))
            f.reports = argv[i + 1];
        else if (!strcmp(argv[i], "--control"))
            f.control = argv[i + 1];
        else if (!strcmp(argv[i], "--partitions"))
            f.partitions = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--rounds"))
            f.rounds = atoi(argv[i + 1]);
        else
            die(argv[i], "unknown option");
    }
    if (!f.bootstrap || !f.topic || !f.reports || !f.control || f.partitions < 1 || f.partitions > PARTITIONS_MAX ||
        f.rounds < 1 || f.rounds > ROUNDS_MAX)
        die("usage", "--bootstrap B --topic T --partitions P --reports R --control C [--rounds N]");
    f.standstill_us = calloc((size_t)f.rounds * (size_t)f.partitions, sizeof(*f.standstill_us));
    if (!f.standstill_us)
        die("memory", "none left");
    begin();
    for (int round = -WARM_ROUNDS; round < f.rounds; round++) {
        const int old = (round + WARM_ROUNDS) % 2;

        work(&f.sides[old]);
        pass(&f.sides[old], &f.sides[!old], round);
    }
    printf("{\"rounds\":%d,", f.rounds);
    print_numbers("standstill_us", f.standstill_us, f.standstills, ",\"steps_us\":{");
    for (int i = 0; i < STEP_COUNT; i++)
        print_numbers(step_names[i], f.steps_us[i], f.rounds, i + 1 < STEP_COUNT ? "," : "}}\n");
    _Exit(fflush(stdout) != 0); /* librdkafka's threads are at work: no exit handlers under their feet */
}
