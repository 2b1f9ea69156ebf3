/*
 * alter - what is changed at the brokers, or asked of them, by somebody who waits for the answer.
 *
 * For the command line and for opening: topics and their configuration, a group's offsets. The embedded broker answers
 * none of the questions about topics but lets them time out; it is known by its cluster id and not asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "kafka/admin.h"
#include "kafka/internal.h"

rd_kafka_AdminOptions_t *kafka_options_new(struct kafka_handle *h, rd_kafka_admin_op_t op, int timeout_ms, void *opaque)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(h->rk, op);
    char why[128];

    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms > 0 ? timeout_ms : 1, why, sizeof(why));
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    return options;
}

/* The result, or NULL and the reason: librdkafka answers at the time-out itself; the second more is for a stuck one. */
static rd_kafka_event_t *event_wait(struct kafka_handle *h, rd_kafka_queue_t *queue, int timeout_ms, const char *doing,
                                    struct errmsg *m, int *ret_error)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);

    if (!event) {
        *ret_error = kafka_explain(h, RD_KAFKA_RESP_ERR__TIMED_OUT, doing, m);
        return NULL;
    }
    if (rd_kafka_event_error(event)) {
        *ret_error = kafka_explain(h, rd_kafka_event_error(event), doing, m);
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

int kafka_topic_partitions(struct kafka_handle *h, const char *topic, int *ret, int timeout_ms, struct errmsg *m)
{
    return kafka_topic_ask(h, topic, ret, clock_ms() + timeout_ms, NULL, NULL, m);
}

static int config_find(const rd_kafka_ConfigResource_t *resource, const char *name, char *ret, size_t ret_size,
                       struct errmsg *m)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

    ret[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) != 0)
            continue;
        if (value && !text_copy(ret, ret_size, value))
            return err_set(m, ERR_TOO_LARGE, "value of '%s' is longer than %zu bytes", name, ret_size - 1);
        break;
    }
    return ERR_OK;
}

int kafka_topic_config(struct kafka_handle *h, const char *topic, const char *name, char *ret, size_t ret_size,
                       int timeout_ms, struct errmsg *m)
{
    rd_kafka_ConfigResource_t *resource;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;
    char doing[TOPIC_NAME_MAX + 60];
    int r = kafka_is_embedded(h, timeout_ms, m);

    if (r < 0)
        return r;
    if (r)
        return err_set(m, ERR_STATE, "the embedded broker has no topic configuration");
    snprintf(doing, sizeof(doing), "read the configuration of topic '%s'", topic);
    resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    options = kafka_options_new(h, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms, NULL);
    queue = rd_kafka_queue_new(h->rk);
    rd_kafka_DescribeConfigs(h->rk, &resource, 1, options, queue);
    event = event_wait(h, queue, timeout_ms, doing, m, &r);
    if (event) {
        size_t count = 0;
        const rd_kafka_ConfigResource_t **all =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        rd_kafka_resp_err_t code = count == 1 ? rd_kafka_ConfigResource_error(all[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;

        r = code ? kafka_explain(h, code, doing, m) : config_find(all[0], name, ret, ret_size, m);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
    return r;
}

static int create_result(struct kafka_handle *h, rd_kafka_event_t *event, const char *doing, struct errmsg *m)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **all =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t code = count == 1 ? rd_kafka_topic_result_error(all[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    const char *why = count == 1 ? rd_kafka_topic_result_error_string(all[0]) : NULL;
    int r;

    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return err_set(m, ERR_CONFLICT, "%s: it exists already", doing);
    r = kafka_explain(h, code, doing, m);
    if (r == ERR_KAFKA && why) /* the broker knows best: an invalid configuration, a policy */
        return err_set(m, ERR_KAFKA, "%s: %s (%s)", doing, why, rd_kafka_err2name(code));
    return r;
}

int kafka_topic_create(struct kafka_handle *h, const char *topic, int partitions, const char *const *configs,
                       int timeout_ms, struct errmsg *m)
{
    rd_kafka_NewTopic_t *created;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;
    char doing[TOPIC_NAME_MAX + 40], why[256];
    int r = kafka_is_embedded(h, timeout_ms, m);

    if (r < 0)
        return r;
    if (r)
        return err_set(m, ERR_STATE,
                       "the embedded broker creates no topics on request: name them to `baton broker` when it starts");
    snprintf(doing, sizeof(doing), "create topic '%s'", topic);
    created = rd_kafka_NewTopic_new(topic, partitions, -1 /* the broker's default */, why, sizeof(why));
    if (!created)
        return err_set(m, ERR_INVALID, "%s: %s", doing, why);
    for (int i = 0; configs && configs[i]; i += 2)
        rd_kafka_NewTopic_set_config(created, configs[i], configs[i + 1]);
    options = kafka_options_new(h, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms, NULL);
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, why, sizeof(why));
    queue = rd_kafka_queue_new(h->rk);
    rd_kafka_CreateTopics(h->rk, &created, 1, options, queue);
    event = event_wait(h, queue, timeout_ms, doing, m, &r);
    if (event) {
        r = create_result(h, event, doing, m);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(created);
    return r;
}

/* Both kinds of change answer with a list of partitions. */
static int group_changed(struct kafka_handle *h, const rd_kafka_group_result_t **groups, size_t count,
                         const char *doing, struct errmsg *m)
{
    const rd_kafka_topic_partition_list_t *list;

    if (count != 1)
        return kafka_explain(h, RD_KAFKA_RESP_ERR__BAD_MSG, doing, m);
    if (rd_kafka_group_result_error(groups[0]))
        return kafka_explain(h, rd_kafka_error_code(rd_kafka_group_result_error(groups[0])), doing, m);
    list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++) {
        if (list->elems[i].err) {
            int r = kafka_explain(h, list->elems[i].err, doing, m);

            return err_wrap(m, r, "%s/%d", list->elems[i].topic, (int)list->elems[i].partition);
        }
    }
    return ERR_OK;
}

static int offsets_alter(struct kafka_handle *h, const char *group, const rd_kafka_topic_partition_list_t *list,
                         int timeout_ms, const char *doing, struct errmsg *m)
{
    rd_kafka_AlterConsumerGroupOffsets_t *alter = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        kafka_options_new(h, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout_ms, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(h->rk);
    rd_kafka_event_t *event;
    int r = ERR_OK;

    rd_kafka_AlterConsumerGroupOffsets(h->rk, &alter, 1, options, queue);
    event = event_wait(h, queue, timeout_ms, doing, m, &r);
    if (event) {
        size_t count = 0;
        const rd_kafka_group_result_t **groups =
            rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event),
                                                             &count);

        r = group_changed(h, groups, count, doing, m);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_AlterConsumerGroupOffsets_destroy(alter);
    return r;
}

static int offsets_delete(struct kafka_handle *h, const char *group, const rd_kafka_topic_partition_list_t *list,
                          int timeout_ms, const char *doing, struct errmsg *m)
{
    rd_kafka_DeleteConsumerGroupOffsets_t *del = rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        kafka_options_new(h, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, timeout_ms, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(h->rk);
    rd_kafka_event_t *event;
    int r = ERR_OK;

    rd_kafka_DeleteConsumerGroupOffsets(h->rk, &del, 1, options, queue);
    event = event_wait(h, queue, timeout_ms, doing, m, &r);
    if (event) {
        size_t count = 0;
        const rd_kafka_group_result_t **groups =
            rd_kafka_DeleteConsumerGroupOffsets_result_groups(rd_kafka_event_DeleteConsumerGroupOffsets_result(event),
                                                              &count);

        r = group_changed(h, groups, count, doing, m);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(del);
    return r;
}

void kafka_mark_attach(rd_kafka_topic_partition_t *to, struct mark mark)
{
    char text[MARK_TEXT_MAX];

    if (mark.kind != MARK_EPOCH && mark.kind != MARK_FOLLOW)
        return;
    mark_format(text, mark);
    to->metadata = strdup(text); /* librdkafka frees it with the list */
    to->metadata_size = to->metadata ? strlen(text) : 0;
}

int kafka_group_commit(struct kafka_handle *h, const char *group, const struct kafka_tp *tps, int count, int timeout_ms,
                       struct errmsg *m)
{
    rd_kafka_topic_partition_list_t *set = rd_kafka_topic_partition_list_new(count),
                                    *del = rd_kafka_topic_partition_list_new(count);
    char doing[GROUP_NAME_MAX + 60];
    int r = ERR_OK;

    for (int i = 0; i < count; i++) {
        if (tps[i].offset == OFFSET_NONE) {
            rd_kafka_topic_partition_list_add(del, tps[i].topic, tps[i].partition);
        } else {
            rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(set, tps[i].topic, tps[i].partition);

            tp->offset = tps[i].offset;
            kafka_mark_attach(tp, tps[i].mark);
        }
    }
    if (set->cnt) {
        snprintf(doing, sizeof(doing), "set offsets of group '%s'", group);
        r = offsets_alter(h, group, set, timeout_ms, doing, m);
    }
    if (r == ERR_OK && del->cnt) {
        snprintf(doing, sizeof(doing), "delete offsets of group '%s'", group);
        r = offsets_delete(h, group, del, timeout_ms, doing, m);
        if (r == ERR_NOT_FOUND)
            r = ERR_OK; /* no group, no offsets: as wanted */
    }
    rd_kafka_topic_partition_list_destroy(set);
    rd_kafka_topic_partition_list_destroy(del);
    return r;
}
