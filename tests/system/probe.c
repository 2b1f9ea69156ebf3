/*
 * probe - asks and changes a Kafka cluster on bare librdkafka, for the system tests: none of Baton's code is in it.
 *
 *     probe BOOTSTRAP create TOPIC PARTITIONS REPLICATION [name=value]...
 *     probe BOOTSTRAP delete TOPIC...                      (missing ones are fine)
 *     probe BOOTSTRAP partitions TOPIC COUNT               grow a topic
 *     probe BOOTSTRAP topics                               {"topic":partitions,...}
 *     probe BOOTSTRAP starts|ends TOPIC                    {"0":offset,...}
 *     probe BOOTSTRAP shorten TOPIC PARTITION OFFSET       delete the records below, as retention does
 *     probe BOOTSTRAP committed GROUP TOPIC                {"0":{"offset":12,"metadata":"..."},...}; -1001: none
 *     probe BOOTSTRAP commit GROUP TOPIC PARTITION OFFSET [METADATA]   through AlterConsumerGroupOffsets
 *     probe BOOTSTRAP foreign GROUP TOPIC PARTITION OFFSET  as an operator's tool would into a living group (transaction)
 *     probe BOOTSTRAP open TOPIC PARTITION                  a record in a transaction that is left open, for five minutes
 *     probe BOOTSTRAP settle                                aborts it
 *     probe BOOTSTRAP undecided GROUP TOPIC PARTITION OFFSET  the same, but the transaction is left open; the next `foreign` aborts it
 *     probe BOOTSTRAP groups                               {"group":"state",...}
 *     probe BOOTSTRAP group GROUP                          {"state":"Stable","members":[{...}]}
 *     probe BOOTSTRAP forget GROUP...                      delete groups (missing ones are fine)
 *     probe BOOTSTRAP put TOPIC PARTITION KEY VALUE        one record; VALUE "-": a tombstone
 *     probe BOOTSTRAP dump TOPIC                           one JSON line a record: partition, offset, key, value
 *
 * JSON on stdout; exit 1 with a sentence on stderr.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 20000

static rd_kafka_t *rk;
static rd_kafka_queue_t *queue;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "probe: %s: %s\n", what, why);
    _Exit(1);
}

static rd_kafka_t *handle(rd_kafka_type_t type, const char *bootstrap, const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];
    rd_kafka_t *ret;

    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("bootstrap.servers", why);
    for (; settings && *settings; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            die(settings[0], why);
    ret = rd_kafka_new(type, conf, why, sizeof(why));
    if (!ret)
        die("rd_kafka_new", why);
    return ret;
}

static rd_kafka_AdminOptions_t *options(rd_kafka_admin_op_t op)
{
    char why[512];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(rk, op);

    if (rd_kafka_AdminOptions_set_request_timeout(o, TIMEOUT_MS, why, sizeof(why)))
        die("timeout", why);
    return o;
}

static rd_kafka_event_t *answer(const char *what)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, TIMEOUT_MS + 5000);

    if (!ev)
        die(what, "no answer");
    if (rd_kafka_event_error(ev))
        die(what, rd_kafka_event_error_string(ev));
    return ev;
}

static void json_text(const char *text, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 32)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static int partitions_of(const char *topic)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t r = rd_kafka_metadata(rk, 0, t, &md, TIMEOUT_MS);
    int count;

    if (r)
        die(topic, rd_kafka_err2str(r));
    if (md->topic_cnt != 1 || md->topics[0].err)
        die(topic, md->topic_cnt == 1 ? rd_kafka_err2str(md->topics[0].err) : "no such topic");
    count = md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(t);
    return count;
}

static void check_topics(const char *what, const rd_kafka_topic_result_t **t, size_t count, rd_kafka_resp_err_t fine)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t r = rd_kafka_topic_result_error(t[i]);

        if (r && r != fine)
            die(what, rd_kafka_topic_result_error_string(t[i]) ? rd_kafka_topic_result_error_string(t[i])
                                                               : rd_kafka_err2str(r));
    }
}

static void do_create(int argc, char **argv)
{
    char why[512];
    rd_kafka_NewTopic_t *t;
    rd_kafka_event_t *ev;
    size_t n;
    const rd_kafka_topic_result_t **res;

    if (argc < 3)
        die("create", "TOPIC PARTITIONS REPLICATION");
    t = rd_kafka_NewTopic_new(argv[0], atoi(argv[1]), atoi(argv[2]), why, sizeof(why));
    if (!t)
        die("create", why);
    for (int i = 3; i < argc; i++) {
        char *eq = strchr(argv[i], '=');

        if (!eq)
            die(argv[i], "name=value");
        *eq = '\0';
        rd_kafka_NewTopic_set_config(t, argv[i], eq + 1);
    }
    rd_kafka_CreateTopics(rk, &t, 1, options(RD_KAFKA_ADMIN_OP_CREATETOPICS), queue);
    ev = answer("create");
    res = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    check_topics("create", res, n, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void do_delete(int argc, char **argv)
{
    rd_kafka_DeleteTopic_t *t[64];
    rd_kafka_event_t *ev;
    size_t n;
    const rd_kafka_topic_result_t **res;

    if (argc < 1 || argc > 64)
        die("delete", "TOPIC...");
    for (int i = 0; i < argc; i++)
        t[i] = rd_kafka_DeleteTopic_new(argv[i]);
    rd_kafka_DeleteTopics(rk, t, (size_t)argc, options(RD_KAFKA_ADMIN_OP_DELETETOPICS), queue);
    ev = answer("delete");
    res = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ev), &n);
    check_topics("delete", res, n, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

static void do_shorten(int argc, char **argv)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_list_t *got;
    rd_kafka_DeleteRecords_t *del;
    rd_kafka_event_t *ev;

    if (argc != 3)
        die("shorten", "TOPIC PARTITION OFFSET");
    rd_kafka_topic_partition_list_add(list, argv[0], atoi(argv[1]))->offset = atoll(argv[2]);
    del = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &del, 1, options(RD_KAFKA_ADMIN_OP_DELETERECORDS), queue);
    ev = answer("shorten");
    got = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(ev));
    if (got->cnt != 1 || got->elems[0].err)
        die("shorten", got->cnt == 1 ? rd_kafka_err2str(got->elems[0].err) : "no answer");
}

static void do_partitions(int argc, char **argv)
{
    char why[512];
    rd_kafka_NewPartitions_t *t;
    rd_kafka_event_t *ev;
    size_t n;
    const rd_kafka_topic_result_t **res;

    if (argc != 2)
        die("partitions", "TOPIC COUNT");
    t = rd_kafka_NewPartitions_new(argv[0], (size_t)atoi(argv[1]), why, sizeof(why));
    if (!t)
        die("partitions", why);
    rd_kafka_CreatePartitions(rk, &t, 1, options(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS), queue);
    ev = answer("partitions");
    res = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(ev), &n);
    check_topics("partitions", res, n, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void do_topics(int argc, char **argv)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t r = rd_kafka_metadata(rk, 1, NULL, &md, TIMEOUT_MS);

    (void)argc;
    (void)argv;
    if (r)
        die("topics", rd_kafka_err2str(r));
    putchar('{');
    for (int i = 0; i < md->topic_cnt; i++)
        printf("%s\"%s\":%d", i ? "," : "", md->topics[i].topic, md->topics[i].partition_cnt);
    puts("}");
}

static void do_offsets(const char *topic, rd_kafka_OffsetSpec_t which)
{
    int count = partitions_of(topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    rd_kafka_event_t *ev;
    const rd_kafka_ListOffsetsResultInfo_t **infos;
    size_t n;

    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = which;
    rd_kafka_ListOffsets(rk, list, options(RD_KAFKA_ADMIN_OP_LISTOFFSETS), queue);
    ev = answer("offsets");
    infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(ev), &n);
    putchar('{');
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *tp = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);

        if (tp->err)
            die("offsets", rd_kafka_err2str(tp->err));
        printf("%s\"%" PRId32 "\":%" PRId64, i ? "," : "", tp->partition, tp->offset);
    }
    puts("}");
}

static void do_starts(int argc, char **argv)
{
    if (argc != 1)
        die("starts", "TOPIC");
    do_offsets(argv[0], RD_KAFKA_OFFSET_SPEC_EARLIEST);
}

static void do_ends(int argc, char **argv)
{
    if (argc != 1)
        die("ends", "TOPIC");
    do_offsets(argv[0], RD_KAFKA_OFFSET_SPEC_LATEST);
}

static void do_committed(int argc, char **argv)
{
    int count;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_ListConsumerGroupOffsets_t *ask;
    const rd_kafka_group_result_t **groups;
    const rd_kafka_topic_partition_list_t *got;
    rd_kafka_event_t *ev;
    size_t n;

    if (argc != 2)
        die("committed", "GROUP TOPIC");
    count = partitions_of(argv[1]);
    list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, argv[1], i);
    ask = rd_kafka_ListConsumerGroupOffsets_new(argv[0], list);
    rd_kafka_ListConsumerGroupOffsets(rk, &ask, 1, options(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS), queue);
    ev = answer("committed");
    groups = rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(ev), &n);
    if (n != 1)
        die("committed", "no answer for the group");
    if (rd_kafka_group_result_error(groups[0]))
        die("committed", rd_kafka_error_string(rd_kafka_group_result_error(groups[0])));
    got = rd_kafka_group_result_partitions(groups[0]);
    putchar('{');
    for (int i = 0; i < got->cnt; i++) {
        printf("%s\"%" PRId32 "\":{\"offset\":%" PRId64 ",\"metadata\":", i ? "," : "", got->elems[i].partition,
               got->elems[i].offset);
        json_text(got->elems[i].metadata ? got->elems[i].metadata : "", got->elems[i].metadata_size);
        putchar('}');
    }
    puts("}");
}

static rd_kafka_topic_partition_list_t *one_offset(char **argv)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, argv[1], (int32_t)atol(argv[2]))->offset = atoll(argv[3]);
    return list;
}

static void do_commit(int argc, char **argv)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_AlterConsumerGroupOffsets_t *ask;
    const rd_kafka_group_result_t **groups;
    rd_kafka_event_t *ev;
    size_t n;

    if (argc < 4)
        die("commit", "GROUP TOPIC PARTITION OFFSET [METADATA]");
    list = one_offset(argv);
    if (argc > 4) {
        list->elems[0].metadata = strdup(argv[4]);
        list->elems[0].metadata_size = strlen(argv[4]);
    }
    ask = rd_kafka_AlterConsumerGroupOffsets_new(argv[0], list);
    rd_kafka_AlterConsumerGroupOffsets(rk, &ask, 1, options(RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS), queue);
    ev = answer("commit");
    groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(ev), &n);
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_list_t *got = rd_kafka_group_result_partitions(groups[i]);

        if (rd_kafka_group_result_error(groups[i]))
            die("commit", rd_kafka_error_string(rd_kafka_group_result_error(groups[i])));
        for (int j = 0; got && j < got->cnt; j++)
            if (got->elems[j].err)
                die("commit", rd_kafka_err2str(got->elems[j].err));
    }
}

static void ok(const char *what, rd_kafka_error_t *e)
{
    if (e)
        die(what, rd_kafka_error_string(e));
}

/* A classic group takes offsets from a transactional producer that is no member of it: what Baton must notice. */
static void transact(const char *bootstrap, int argc, char **argv, bool decide)
{
    const char *settings[] = { "transactional.id", "baton-system-probe", NULL };
    rd_kafka_consumer_group_metadata_t *meta;
    rd_kafka_t *p;

    if (argc != 4)
        die("foreign", "GROUP TOPIC PARTITION OFFSET");
    p = handle(RD_KAFKA_PRODUCER, bootstrap, settings);
    meta = rd_kafka_consumer_group_metadata_new(argv[0]);
    ok("init_transactions", rd_kafka_init_transactions(p, TIMEOUT_MS));
    ok("begin_transaction", rd_kafka_begin_transaction(p));
    ok("send_offsets", rd_kafka_send_offsets_to_transaction(p, one_offset(argv), meta, TIMEOUT_MS));
    if (decide)
        ok("commit_transaction", rd_kafka_commit_transaction(p, TIMEOUT_MS));
    rd_kafka_destroy(p);
}

static void do_foreign(const char *bootstrap, int argc, char **argv)
{
    transact(bootstrap, argc, argv, true);
}

static void do_undecided(const char *bootstrap, int argc, char **argv)
{
    transact(bootstrap, argc, argv, false);
}

static rd_kafka_t *transactional(const char *bootstrap)
{
    const char *settings[] = { "transactional.id", "baton-system-open", "transaction.timeout.ms", "300000", NULL };
    rd_kafka_t *p = handle(RD_KAFKA_PRODUCER, bootstrap, settings);

    ok("init_transactions", rd_kafka_init_transactions(p, TIMEOUT_MS)); /* what was open is aborted */
    return p;
}

static void do_open(const char *bootstrap, int argc, char **argv)
{
    rd_kafka_t *p;

    if (argc != 2)
        die("open", "TOPIC PARTITION");
    p = transactional(bootstrap);
    ok("begin_transaction", rd_kafka_begin_transaction(p));
    if (rd_kafka_producev(p, RD_KAFKA_V_TOPIC(argv[0]), RD_KAFKA_V_PARTITION((int32_t)strtol(argv[1], NULL, 10)),
                          RD_KAFKA_V_VALUE("undecided", 9), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) ||
        rd_kafka_flush(p, TIMEOUT_MS))
        die("open", "the record was not taken");
    rd_kafka_destroy(p);
}

static void do_settle(const char *bootstrap, int argc, char **argv)
{
    (void)argv;
    if (argc != 0)
        die("settle", "");
    rd_kafka_destroy(transactional(bootstrap));
}

static void do_groups(int argc, char **argv)
{
    const rd_kafka_ListConsumerGroups_result_t *result;
    const rd_kafka_ConsumerGroupListing_t **g;
    rd_kafka_event_t *ev;
    size_t n;

    (void)argv;
    if (argc != 0)
        die("groups", "no arguments");
    rd_kafka_ListConsumerGroups(rk, options(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS), queue);
    ev = answer("groups");
    result = rd_kafka_event_ListConsumerGroups_result(ev);
    if (rd_kafka_ListConsumerGroups_result_errors(result, &n), n > 0)
        die("groups", rd_kafka_error_string(rd_kafka_ListConsumerGroups_result_errors(result, &n)[0]));
    g = rd_kafka_ListConsumerGroups_result_valid(result, &n);
    printf("{");
    for (size_t i = 0; i < n; i++) {
        printf("%s", i ? "," : "");
        json_text(rd_kafka_ConsumerGroupListing_group_id(g[i]), strlen(rd_kafka_ConsumerGroupListing_group_id(g[i])));
        printf(":\"%s\"", rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(g[i])));
    }
    puts("}");
}

static void do_group(int argc, char **argv)
{
    const char *names[1];
    const rd_kafka_ConsumerGroupDescription_t **d;
    rd_kafka_event_t *ev;
    size_t n;

    if (argc != 1)
        die("group", "GROUP");
    names[0] = argv[0];
    rd_kafka_DescribeConsumerGroups(rk, names, 1, options(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS), queue);
    ev = answer("group");
    d = rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(ev), &n);
    if (n != 1)
        die("group", "no answer");
    if (rd_kafka_ConsumerGroupDescription_error(d[0])) {
        printf("{\"state\":\"Dead\",\"members\":[]}\n");
        return;
    }
    printf("{\"state\":\"%s\",\"assignor\":\"%s\",\"members\":[",
           rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(d[0])),
           rd_kafka_ConsumerGroupDescription_partition_assignor(d[0]));
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(d[0]); i++) {
        const rd_kafka_MemberDescription_t *m = rd_kafka_ConsumerGroupDescription_member(d[0], i);
        const rd_kafka_MemberAssignment_t *a = rd_kafka_MemberDescription_assignment(m);
        const rd_kafka_topic_partition_list_t *tps = a ? rd_kafka_MemberAssignment_partitions(a) : NULL;

        printf("%s{\"client_id\":", i ? "," : "");
        json_text(rd_kafka_MemberDescription_client_id(m), strlen(rd_kafka_MemberDescription_client_id(m)));
        printf(",\"member_id\":");
        json_text(rd_kafka_MemberDescription_consumer_id(m), strlen(rd_kafka_MemberDescription_consumer_id(m)));
        printf(",\"host\":");
        json_text(rd_kafka_MemberDescription_host(m), strlen(rd_kafka_MemberDescription_host(m)));
        printf(",\"partitions\":%d}", tps ? tps->cnt : 0);
    }
    puts("]}");
}

static void do_forget(int argc, char **argv)
{
    rd_kafka_DeleteGroup_t *g[64];
    const rd_kafka_group_result_t **groups;
    rd_kafka_event_t *ev;
    size_t n;

    if (argc < 1 || argc > 64)
        die("forget", "GROUP...");
    for (int i = 0; i < argc; i++)
        g[i] = rd_kafka_DeleteGroup_new(argv[i]);
    rd_kafka_DeleteGroups(rk, g, (size_t)argc, options(RD_KAFKA_ADMIN_OP_DELETEGROUPS), queue);
    ev = answer("forget");
    groups = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(ev), &n);
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_error_t *e = rd_kafka_group_result_error(groups[i]);

        if (e && rd_kafka_error_code(e) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
            die("forget", rd_kafka_error_string(e));
    }
}

static void do_put(const char *bootstrap, int argc, char **argv)
{
    rd_kafka_t *p;
    rd_kafka_resp_err_t r;
    const char *value;

    if (argc != 4)
        die("put", "TOPIC PARTITION KEY VALUE");
    p = handle(RD_KAFKA_PRODUCER, bootstrap, NULL);
    value = strcmp(argv[3], "-") != 0 ? argv[3] : NULL;
    r = rd_kafka_producev(p, RD_KAFKA_V_TOPIC(argv[0]), RD_KAFKA_V_PARTITION((int32_t)atol(argv[1])),
                          RD_KAFKA_V_KEY(argv[2], strlen(argv[2])),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (r || rd_kafka_flush(p, TIMEOUT_MS) || rd_kafka_outq_len(p) > 0)
        die("put", rd_kafka_err2str(r));
    rd_kafka_destroy(p);
}

static void do_dump(const char *bootstrap, int argc, char **argv)
{
    const char *settings[] = { "group.id",
                               "baton-system-probe-dump",
                               "enable.partition.eof",
                               "true",
                               "auto.offset.reset",
                               "earliest",
                               "enable.auto.commit",
                               "false",
                               NULL };
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_t *c;
    int count, ended = 0;

    if (argc != 1)
        die("dump", "TOPIC");
    count = partitions_of(argv[0]);
    list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, argv[0], i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    c = handle(RD_KAFKA_CONSUMER, bootstrap, settings);
    rd_kafka_assign(c, list);
    while (ended < count) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c, TIMEOUT_MS);

        if (!m)
            die("dump", "no answer");
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ended++;
        } else if (m->err) {
            die("dump", rd_kafka_message_errstr(m));
        } else {
            printf("{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"key\":", m->partition, m->offset);
            json_text(m->key ? m->key : "", m->key_len);
            printf(",\"value\":");
            if (m->payload)
                json_text(m->payload, m->len);
            else
                printf("null");
            puts("}");
        }
        rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(c);
    rd_kafka_destroy(c);
}

static const struct {
    const char *name;
    void (*run)(int argc, char **argv);
    void (*run_alone)(const char *bootstrap, int argc, char **argv); /* makes its own handle */
} commands[] = {
    { "create", do_create, NULL },       { "delete", do_delete, NULL },   { "partitions", do_partitions, NULL },
    { "topics", do_topics, NULL },       { "starts", do_starts, NULL },   { "ends", do_ends, NULL },
    { "committed", do_committed, NULL }, { "commit", do_commit, NULL },   { "foreign", NULL, do_foreign },
    { "group", do_group, NULL },         { "forget", do_forget, NULL },   { "put", NULL, do_put },
    { "open", NULL, do_open },           { "settle", NULL, do_settle },   { "undecided", NULL, do_undecided },
    { "dump", NULL, do_dump },           { "shorten", do_shorten, NULL }, { "groups", do_groups, NULL },
};

int main(int argc, char **argv)
{
    const char *settings[] = { "group.id", "baton-system-probe", NULL };

    if (argc < 3)
        die("usage", "probe BOOTSTRAP COMMAND ...");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, argv[2]) != 0)
            continue;
        rk = handle(RD_KAFKA_CONSUMER, argv[1], settings);
        queue = rd_kafka_queue_new(rk);
        if (commands[i].run)
            commands[i].run(argc - 3, argv + 3);
        else
            commands[i].run_alone(argv[1], argc - 3, argv + 3);
        _Exit(fflush(stdout) != 0); /* librdkafka's threads are at work: no exit handlers under their feet */
    }
    die(argv[2], "unknown command");
}
