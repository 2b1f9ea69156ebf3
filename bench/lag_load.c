/*
 * lag_load - something to measure lag by: topics with records, and groups that have committed in them.
 *
 *     lag_load BOOTSTRAP make TOPICS PARTITIONS RECORDS GROUPS TOPICS_A_GROUP
 *     lag_load BOOTSTRAP commit FIRST LAST TOPICS TOPICS_A_GROUP PARTITIONS OFFSET
 *
 * Topic i is lag-bench-i, group i is lag-group-i, which commits in TOPICS_A_GROUP topics, beginning with topic i. `make` commits 0
 * everywhere; `commit` commits OFFSET as groups FIRST to LAST. Ordinary admin calls, since these groups have no members.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-qualifiers"
#include <librdkafka/rdkafka.h>
#pragma GCC diagnostic pop

#define WINDOW 8
#define ANSWER_MS 60000

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (!msg->err)
        return;
    fprintf(stderr, "lag_load: produce: %s\n", rd_kafka_err2str(msg->err));
    exit(1);
}

static rd_kafka_t *handle(rd_kafka_type_t type, const char *bootstrap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why));
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_conf_set(conf, type == RD_KAFKA_CONSUMER ? "group.id" : "linger.ms",
                      type == RD_KAFKA_CONSUMER ? "lag-load" : "20", why, sizeof(why));
    rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk) {
        fprintf(stderr, "lag_load: %s\n", why);
        exit(1);
    }
    return rk;
}

static void topic_name(char ret[64], int i)
{
    snprintf(ret, 64, "lag-bench-%03d", i);
}

static void answer(rd_kafka_queue_t *queue, const char *doing)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);

    if (!event || rd_kafka_event_error(event)) {
        fprintf(stderr, "lag_load: %s: %s\n", doing, event ? rd_kafka_event_error_string(event) : "no answer");
        exit(1);
    }
    rd_kafka_event_destroy(event);
}

static void make_topics(rd_kafka_t *rk, rd_kafka_queue_t *queue, int topics, int partitions)
{
    for (int i = 0; i < topics; i++) {
        char name[64], why[256];
        rd_kafka_NewTopic_t *topic;

        topic_name(name, i);
        topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof(why));
        rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
        answer(queue, "create topics");
        rd_kafka_NewTopic_destroy(topic);
    }
}

/* Thousands of partitions are not made in a moment; who asked for them too early would only hold it up. */
static void await_topics(rd_kafka_t *rk, int partitions)
{
    for (int tries = 0; tries < 600; tries++, usleep(500000)) {
        const struct rd_kafka_metadata *metadata;
        int led = 0;

        if (rd_kafka_metadata(rk, 1, NULL, &metadata, ANSWER_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        for (int i = 0; i < metadata->topic_cnt; i++)
            for (int p = 0; p < metadata->topics[i].partition_cnt; p++)
                led += strncmp(metadata->topics[i].topic, "lag-bench-", 10) == 0 &&
                       metadata->topics[i].partitions[p].leader >= 0;
        rd_kafka_metadata_destroy(metadata);
        if (led == partitions)
            return;
    }
    fprintf(stderr, "lag_load: the topics are not there\n");
    exit(1);
}

static void make_records(const char *bootstrap, int topics, int partitions, int records)
{
    rd_kafka_t *producer = handle(RD_KAFKA_PRODUCER, bootstrap);

    for (int r = 0; r < records; r++)
        for (int i = 0; i < topics; i++) {
            char name[64];

            topic_name(name, i);
            for (int p = 0; p < partitions; p++)
                while (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(p),
                                         RD_KAFKA_V_VALUE((void *)(uintptr_t) "x", 1),
                                         RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                    rd_kafka_poll(producer, 10);
        }
    if (rd_kafka_flush(producer, 300000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "lag_load: %d records were not produced in time\n", rd_kafka_outq_len(producer));
        exit(1);
    }
    rd_kafka_destroy(producer);
}

struct load {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int topics, topics_each, partitions;
    int64_t offset;
};

static void commit(const struct load *l, int group)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(l->topics_each * l->partitions);
    rd_kafka_AlterConsumerGroupOffsets_t *ask;
    char name[64];

    for (int t = 0; t < l->topics_each; t++) {
        topic_name(name, (group + t) % l->topics);
        for (int p = 0; p < l->partitions; p++)
            rd_kafka_topic_partition_list_add(list, name, p)->offset = l->offset;
    }
    snprintf(name, sizeof(name), "lag-group-%03d", group);
    ask = rd_kafka_AlterConsumerGroupOffsets_new(name, list);
    rd_kafka_AlterConsumerGroupOffsets(l->rk, &ask, 1, NULL, l->queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(ask);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The group that could not commit, since its coordinator is just being made: it tries again. -1: done. */
static int refused(const struct load *l, const char **ret_why)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(l->queue, ANSWER_MS);
    const rd_kafka_group_result_t **groups;
    size_t count = 0;
    int ret = -1;

    if (!event || rd_kafka_event_error(event)) {
        fprintf(stderr, "lag_load: commit: %s\n", event ? rd_kafka_event_error_string(event) : "no answer");
        exit(1);
    }
    groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event),
                                                              &count);
    if (count == 1) {
        const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
        const char *number = strrchr(rd_kafka_group_result_name(groups[0]), '-');
        rd_kafka_resp_err_t code = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));

        for (int i = 0; list && i < list->cnt && !code; i++)
            code = list->elems[i].err;
        if (code && number)
            ret = atoi(number + 1);
        *ret_why = rd_kafka_err2str(code);
    }
    rd_kafka_event_destroy(event);
    return ret;
}

static void commit_all(const struct load *l, int first, int last)
{
    int out = 0, tries = 1000;
    const char *why = "";

    for (int g = first; g <= last || out > 0;) {
        int again;

        if (g <= last && out < WINDOW) {
            commit(l, g++);
            out++;
            continue;
        }
        again = refused(l, &why);
        out--;
        if (again < 0)
            continue;
        if (tries-- == 0) {
            fprintf(stderr, "lag_load: group %d cannot commit: %s\n", again, why);
            exit(1);
        }
        usleep(50000);
        commit(l, again);
        out++;
    }
}

int main(int argc, char **argv)
{
    struct load l = { 0 };
    int n[6] = { 0 };
    const int make = argc == 8 && strcmp(argv[2], "make") == 0;

    if (!make && (argc != 9 || strcmp(argv[2], "commit") != 0)) {
        fprintf(stderr, "lag_load: see the top of lag_load.c\n");
        return 2;
    }
    for (int i = 3; i < argc; i++)
        n[i - 3] = atoi(argv[i]);
    l.rk = handle(RD_KAFKA_CONSUMER, argv[1]);
    l.queue = rd_kafka_queue_new(l.rk);
    l.topics = make ? n[0] : n[2];
    l.topics_each = make ? n[4] : n[3];
    l.partitions = make ? n[1] : n[4];
    l.offset = make ? 0 : n[5];
    if (make) {
        make_topics(l.rk, l.queue, l.topics, l.partitions);
        await_topics(l.rk, l.topics * l.partitions);
        make_records(argv[1], l.topics, l.partitions, n[2]);
    }
    commit_all(&l, make ? 0 : n[0], make ? n[3] - 1 : n[1]);
    rd_kafka_queue_destroy(l.queue);
    rd_kafka_destroy(l.rk);
    return 0;
}
