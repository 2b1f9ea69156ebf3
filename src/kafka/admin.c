/*
 * admin - questions to the brokers that nobody waits for (alter.c has those that somebody does).
 *
 * A question is one or more requests of librdkafka (at most 500 partitions each: its ListOffsets is quadratic in the
 * partitions of one call) whose results come to one queue; the last one makes the answer. Every question is answered
 * exactly once: what fails, and what times out, is an answer too. Whether topics exist is asked on a thread of its own:
 * the only call that every broker answers, the embedded one included, is a blocking one.
 *
 * The handle must be a consumer with a group id that never subscribes. Of a producer, or a consumer without a group id,
 * librdkafka dereferences a null pointer when a coordinator has moved (kafka_admin_open() refuses both). And it should
 * fetch nothing: a broker answers the requests of one connection in order, so a question behind a long poll waits for
 * it. kafka_reader_handle() is a right one.
 */
#include "kafka/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "kafka/internal.h"

#define CHUNK_PARTITIONS 500
#define QUESTION_PARTITIONS_MAX (2 * BATONS_MAX)
#define QUESTION_TOPICS_MAX 1024
#define GROUP_MEMBERS_MAX 10000
#define GROUP_PARTITIONS_MAX 100000
#define CLOSE_GRACE_MS 500 /* for librdkafka to notice that a question has timed out */
#define CLOSE_MS_MAX 6000

/* ---- one question ---- */

struct question;

struct request {
    struct question *question;
    int first, count; /* of answer->tps */
};

struct question {
    struct question *next; /* of all that are open */
    struct kafka_answer *answer;
    int *order; /* indexes of answer->tps, sorted by topic and partition */
    struct request *requests;
    int outstanding;
    /* a topics question: for the thread */
    int64_t deadline_ms;
};

struct kafka_admin {
    struct kafka_handle *handle;
    rd_kafka_queue_t *queue;
    int wake_fd;
    struct question *open; /* wait for events of the queue ... */
    int64_t open_by_ms;    /* ... the last of which comes by then */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct question *topics;            /* wait for the thread, oldest first */
    struct question *done, **done_tail; /* answered */
    bool stopping;
    bool thread_runs;
    pthread_t thread;
};

void kafka_answer_free(struct kafka_answer *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->group.member_count; i++)
        free(a->group_assigned ? a->group_assigned[i] : NULL);
    free(a->group_assigned);
    free(a->group_assigned_count);
    free(a->group.members);
    free(a->tps);
    free(a->topics);
    free(a);
}

static void question_free(struct question *q)
{
    if (!q)
        return;
    kafka_answer_free(q->answer);
    free(q->order);
    free(q->requests);
    free(q);
}

static struct question *question_new(enum kafka_answer_type type, uint64_t token)
{
    struct question *q = calloc(1, sizeof(*q));

    if (q)
        q->answer = calloc(1, sizeof(*q->answer));
    if (!q || !q->answer) {
        free(q);
        return NULL;
    }
    q->answer->type = type;
    q->answer->token = token;
    return q;
}

static void question_done(struct kafka_admin *a, struct question *q)
{
    q->next = NULL;
    pthread_mutex_lock(&a->lock);
    *a->done_tail = q;
    a->done_tail = &q->next;
    pthread_mutex_unlock(&a->lock);
    if (a->wake_fd >= 0)
        kafka_eventfd_ring(a->wake_fd);
}

/* The first failure of a question is the one that is told. */
static void answer_fail(struct kafka_answer *answer, int error, const struct errmsg *m)
{
    if (answer->error)
        return;
    answer->error = error;
    answer->message = *m;
}

static void question_refuse(struct kafka_admin *a, struct question *q, int error, const char *why)
{
    struct errmsg m = { 0 };

    err_set(&m, error, "%s", why);
    answer_fail(q->answer, error, &m);
    question_done(a, q);
}

/* ---- partitions of a question, found again in whatever order results have ---- */

static int tp_compare(const struct kafka_tp *a, const char *topic, int32_t partition)
{
    int r = strcmp(a->topic, topic);

    return r ? r : (a->partition > partition) - (a->partition < partition);
}

static int order_compare(const void *a, const void *b, void *tps)
{
    const struct kafka_tp *all = tps, *right = &all[*(const int *)b];

    return tp_compare(&all[*(const int *)a], right->topic, right->partition);
}

static int question_partitions(struct question *q, const struct kafka_tp *tps, int count)
{
    struct kafka_answer *answer = q->answer;

    answer->tps = calloc((size_t)count + 1, sizeof(*answer->tps));
    q->order = calloc((size_t)count + 1, sizeof(*q->order));
    if (!answer->tps || !q->order)
        return ERR_NOMEM;
    answer->tp_count = count;
    for (int i = 0; i < count; i++) {
        struct kafka_tp *tp = &answer->tps[i];

        *tp = tps[i];
        tp->offset = OFFSET_NONE;
        tp->mark = (struct mark){ .kind = MARK_NOTHING };
        tp->failed = true; /* until a result says otherwise */
        tp->code = RD_KAFKA_RESP_ERR__NOENT;
        q->order[i] = i;
    }
    qsort_r(q->order, (size_t)count, sizeof(*q->order), order_compare, answer->tps);
    return ERR_OK;
}

static struct kafka_tp *question_find(const struct question *q, const char *topic, int32_t partition)
{
    struct kafka_tp *tps = q->answer->tps;
    int low = 0, high = q->answer->tp_count;

    while (low < high) {
        int mid = low + (high - low) / 2, r = tp_compare(&tps[q->order[mid]], topic, partition);

        if (r == 0)
            return &tps[q->order[mid]];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static rd_kafka_topic_partition_list_t *request_list(const struct request *req, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(req->count);

    for (int i = 0; i < req->count; i++) {
        const struct kafka_tp *tp = &req->question->answer->tps[req->first + i];

        rd_kafka_topic_partition_list_add(list, tp->topic, tp->partition)->offset = offset;
    }
    return list;
}

static void question_open(struct kafka_admin *a, struct question *q, int requests, int timeout_ms)
{
    const int64_t by_ms = clock_ms() + timeout_ms;

    q->outstanding = requests;
    q->next = a->open;
    a->open = q;
    if (by_ms > a->open_by_ms)
        a->open_by_ms = by_ms;
}

/*
 * A question about partitions, cut into *ret_requests requests; 0: there is nothing to ask, or too much, and it is
 * answered already. NULL: no memory, nothing will be answered.
 */
static struct question *question_cut(struct kafka_admin *a, enum kafka_answer_type type, uint64_t token,
                                     const struct kafka_tp *tps, int count, int timeout_ms, int *ret_requests)
{
    const bool too_many = count < 0 || count > QUESTION_PARTITIONS_MAX;
    const int requests = too_many ? 0 : (count + CHUNK_PARTITIONS - 1) / CHUNK_PARTITIONS;
    struct question *q = question_new(type, token);

    if (!q)
        return NULL;
    q->requests = calloc((size_t)requests + 1, sizeof(*q->requests));
    if (!q->requests || (!too_many && question_partitions(q, tps, count) < 0)) {
        question_free(q);
        return NULL;
    }
    for (int i = 0; i < requests; i++) {
        int left = count - i * CHUNK_PARTITIONS;

        q->requests[i] = (struct request){ .question = q,
                                           .first = i * CHUNK_PARTITIONS,
                                           .count = left < CHUNK_PARTITIONS ? left : CHUNK_PARTITIONS };
    }
    *ret_requests = requests;
    if (too_many)
        question_refuse(a, q, ERR_TOO_LARGE, "more partitions in one question than a fleet may have");
    else if (requests == 0)
        question_done(a, q);
    else
        question_open(a, q, requests, timeout_ms);
    return q;
}

/* ---- asking ---- */

int kafka_admin_offsets(struct kafka_admin *a, uint64_t token, const char *group, const struct kafka_tp *tps, int count,
                        int timeout_ms)
{
    int requests = 0;
    struct question *q = question_cut(a, KAFKA_ANSWER_OFFSETS, token, tps, count, timeout_ms, &requests);

    for (int i = 0; i < requests; i++) {
        rd_kafka_AdminOptions_t *options =
            kafka_options_new(a->handle, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout_ms, &q->requests[i]);
        rd_kafka_topic_partition_list_t *list = request_list(&q->requests[i], RD_KAFKA_OFFSET_INVALID);
        rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(group, list);

        /* offsets of a transaction that is not yet decided are waited for */
        rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
        rd_kafka_ListConsumerGroupOffsets(a->handle->rk, &ask, 1, options, a->queue);
        rd_kafka_ListConsumerGroupOffsets_destroy(ask);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_AdminOptions_destroy(options);
    }
    return q ? ERR_OK : ERR_NOMEM;
}

int kafka_admin_commit(struct kafka_admin *a, uint64_t token, const char *group, const struct kafka_tp *tps, int count,
                       int timeout_ms)
{
    int requests = 0;
    struct question *q = question_cut(a, KAFKA_ANSWER_COMMITTED, token, tps, count, timeout_ms, &requests);

    for (int i = 0; i < requests; i++) {
        rd_kafka_AdminOptions_t *options =
            kafka_options_new(a->handle, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout_ms, &q->requests[i]);
        rd_kafka_topic_partition_list_t *list = request_list(&q->requests[i], RD_KAFKA_OFFSET_INVALID);
        rd_kafka_AlterConsumerGroupOffsets_t *ask;

        for (int k = 0; k < list->cnt; k++) {
            list->elems[k].offset = tps[q->requests[i].first + k].offset;
            kafka_mark_attach(&list->elems[k], tps[q->requests[i].first + k].mark);
        }
        ask = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
        rd_kafka_AlterConsumerGroupOffsets(a->handle->rk, &ask, 1, options, a->queue);
        rd_kafka_AlterConsumerGroupOffsets_destroy(ask);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_AdminOptions_destroy(options);
    }
    return q ? ERR_OK : ERR_NOMEM;
}

static int ask_bounds(struct kafka_admin *a, enum kafka_answer_type type, bool stable, uint64_t token,
                      const struct kafka_tp *tps, int count, int timeout_ms)
{
    int requests = 0;
    struct question *q = question_cut(a, type, token, tps, count, timeout_ms, &requests);

    for (int i = 0; i < requests; i++) {
        rd_kafka_AdminOptions_t *options =
            kafka_options_new(a->handle, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms, &q->requests[i]);
        rd_kafka_topic_partition_list_t *list =
            request_list(&q->requests[i],
                         type == KAFKA_ANSWER_ENDS ? RD_KAFKA_OFFSET_SPEC_LATEST : RD_KAFKA_OFFSET_SPEC_EARLIEST);

        rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
            options, stable ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
        rd_kafka_ListOffsets(a->handle->rk, list, options, a->queue);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_AdminOptions_destroy(options);
    }
    return q ? ERR_OK : ERR_NOMEM;
}

int kafka_admin_ends(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count, int timeout_ms)
{
    return ask_bounds(a, KAFKA_ANSWER_ENDS, false, token, tps, count, timeout_ms);
}

int kafka_admin_stable_ends(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count,
                            int timeout_ms)
{
    return ask_bounds(a, KAFKA_ANSWER_ENDS, true, token, tps, count, timeout_ms);
}

int kafka_admin_starts(struct kafka_admin *a, uint64_t token, const struct kafka_tp *tps, int count, int timeout_ms)
{
    return ask_bounds(a, KAFKA_ANSWER_STARTS, false, token, tps, count, timeout_ms);
}

int kafka_admin_metadata(struct kafka_admin *a, uint64_t token, const char **topics, int count, int timeout_ms)
{
    struct question *q = question_new(KAFKA_ANSWER_METADATA, token);
    rd_kafka_TopicCollection_t *collection;
    rd_kafka_AdminOptions_t *options;

    if (q)
        q->requests = calloc(1, sizeof(*q->requests));
    if (!q || !q->requests) {
        question_free(q);
        return ERR_NOMEM;
    }
    q->requests[0].question = q;
    question_open(a, q, 1, timeout_ms);
    options = kafka_options_new(a->handle, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms, &q->requests[0]);
    collection = rd_kafka_TopicCollection_of_topic_names(topics, (size_t)count);
    rd_kafka_DescribeTopics(a->handle->rk, collection, options, a->queue);
    rd_kafka_TopicCollection_destroy(collection);
    rd_kafka_AdminOptions_destroy(options);
    return ERR_OK;
}

void kafka_admin_group(struct kafka_admin *a, uint64_t token, const char *group, int timeout_ms)
{
    struct question *q = must(question_new(KAFKA_ANSWER_GROUP, token));
    rd_kafka_AdminOptions_t *options;

    q->requests = must(calloc(1, sizeof(*q->requests)));
    q->requests[0].question = q;
    question_open(a, q, 1, timeout_ms);
    options = kafka_options_new(a->handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms, &q->requests[0]);
    rd_kafka_DescribeConsumerGroups(a->handle->rk, &group, 1, options, a->queue);
    rd_kafka_AdminOptions_destroy(options);
}

/* ---- results ---- */

static void request_failed(struct kafka_admin *a, struct request *req, rd_kafka_resp_err_t code, const char *doing)
{
    struct errmsg m = { 0 };
    struct kafka_answer *answer = req->question->answer;
    int r = kafka_explain(a->handle, code, doing, &m);

    answer_fail(answer, r, &m);
    for (int i = 0; i < req->count; i++)
        answer->tps[req->first + i].code = code;
}

static void result_offsets(struct kafka_admin *a, struct request *req, const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result((rd_kafka_event_t *)event), &count);
    const rd_kafka_topic_partition_list_t *list;

    if (count != 1 || rd_kafka_group_result_error(groups[0])) {
        request_failed(a, req,
                       count == 1 ? rd_kafka_error_code(rd_kafka_group_result_error(groups[0]))
                                  : RD_KAFKA_RESP_ERR__BAD_MSG,
                       "read committed offsets");
        return;
    }
    list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *got = &list->elems[i];
        struct kafka_tp *tp = question_find(req->question, got->topic, got->partition);

        if (!tp)
            continue;
        tp->code = got->err;
        tp->failed = got->err != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (tp->failed || got->offset < 0)
            continue;
        tp->offset = got->offset;
        tp->mark = mark_parse(got->metadata_size ? got->metadata : "", got->metadata_size);
        ASSERT(tp->mark.kind != MARK_NOTHING);
    }
}

static void result_committed(struct kafka_admin *a, struct request *req, const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result((rd_kafka_event_t *)event), &count);
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    const rd_kafka_topic_partition_list_t *list = count == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    rd_kafka_resp_err_t code = count == 1 ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__BAD_MSG;

    if (error)
        code = rd_kafka_error_code(error);
    for (int i = 0; !code && list && i < list->cnt; i++) {
        struct kafka_tp *tp = question_find(req->question, list->elems[i].topic, list->elems[i].partition);

        if (!tp)
            continue;
        tp->code = list->elems[i].err;
        tp->failed = tp->code != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (tp->failed)
            code = tp->code;
    }
    if (code)
        request_failed(a, req, code, "set committed offsets");
}

static void result_bounds(struct request *req, const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result((rd_kafka_event_t *)event), &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *got = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        struct kafka_tp *tp = question_find(req->question, got->topic, got->partition);

        if (!tp)
            continue;
        tp->code = got->err;
        tp->failed = got->err != RD_KAFKA_RESP_ERR_NO_ERROR || got->offset < 0;
        if (!tp->failed)
            tp->offset = got->offset;
    }
}

static bool member_read(struct group_member *ret, const rd_kafka_MemberDescription_t *from)
{
    const char *instance = rd_kafka_MemberDescription_group_instance_id(from);

    /* A member id that were cut would be another's: evidence is keyed by it. */
    if (!text_copy(ret->member_id, sizeof(ret->member_id), rd_kafka_MemberDescription_consumer_id(from)))
        return false;
    snprintf(ret->client_id, sizeof(ret->client_id), "%s", rd_kafka_MemberDescription_client_id(from));
    snprintf(ret->host, sizeof(ret->host), "%s", rd_kafka_MemberDescription_host(from));
    snprintf(ret->instance_id, sizeof(ret->instance_id), "%s", instance ? instance : "");
    return true;
}

static void assigned_read(struct kafka_tp **ret, int *ret_count, const rd_kafka_MemberDescription_t *from)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    int count = list ? list->cnt : 0;

    if (count > GROUP_PARTITIONS_MAX)
        count = GROUP_PARTITIONS_MAX;
    *ret = must(calloc((size_t)count + 1, sizeof(**ret)));
    for (int i = 0; i < count; i++) {
        struct kafka_tp *tp = &(*ret)[*ret_count];

        if (!text_copy(tp->topic, sizeof(tp->topic), list->elems[i].topic))
            continue;
        tp->partition = list->elems[i].partition;
        tp->offset = OFFSET_NONE;
        (*ret_count)++;
    }
}

/*
 * Only `stable` and `empty` (or no group at all) are rest. librdkafka does not know the names of KIP-848's states and
 * says UNKNOWN for them; an unknown state of any group is taken for a rebalance too: nobody is declared gone by it.
 */
static bool state_is_rest(rd_kafka_consumer_group_state_t state)
{
    return state == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE || state == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY ||
           state == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
}

static void result_group(struct kafka_admin *a, struct request *req, const rd_kafka_event_t *event)
{
    struct kafka_answer *answer = req->question->answer;
    struct group_view *group = &answer->group;
    size_t count = 0, members;
    const rd_kafka_ConsumerGroupDescription_t **all = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result((rd_kafka_event_t *)event), &count);
    const rd_kafka_ConsumerGroupDescription_t *it;
    const rd_kafka_Node_t *node;
    const rd_kafka_error_t *error;
    const char *assignor;

    if (count != 1) {
        request_failed(a, req, RD_KAFKA_RESP_ERR__BAD_MSG, "describe the group");
        return;
    }
    it = all[0];
    error = rd_kafka_ConsumerGroupDescription_error(it);
    node = rd_kafka_ConsumerGroupDescription_coordinator(it);
    group->coordinator = node ? rd_kafka_Node_id(node) : -1;
    if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        group->known = true;
        return;
    }
    if (error) {
        request_failed(a, req, rd_kafka_error_code(error), "describe the group");
        return;
    }
    members = rd_kafka_ConsumerGroupDescription_member_count(it);
    if (members > GROUP_MEMBERS_MAX) {
        snprintf(group->why, sizeof(group->why), "it has %zu members, more than %d", members, GROUP_MEMBERS_MAX);
        return;
    }
    group->rebalancing = !state_is_rest(rd_kafka_ConsumerGroupDescription_state(it));
    group->consumer_protocol = rd_kafka_ConsumerGroupDescription_type(it) == RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER;
    assignor = rd_kafka_ConsumerGroupDescription_partition_assignor(it);
    snprintf(group->assignor, sizeof(group->assignor), "%s", assignor ? assignor : "");
    group->members = must(calloc(members + 1, sizeof(*group->members)));
    answer->group_assigned = must(calloc(members + 1, sizeof(*answer->group_assigned)));
    answer->group_assigned_count = must(calloc(members + 1, sizeof(*answer->group_assigned_count)));
    for (size_t i = 0; i < members; i++) {
        const rd_kafka_MemberDescription_t *from = rd_kafka_ConsumerGroupDescription_member(it, i);

        if (!member_read(&group->members[i], from)) {
            snprintf(group->why, sizeof(group->why), "a member id is longer than %d bytes", MEMBER_ID_MAX);
            return;
        }
        group->member_count = (int)i + 1;
        assigned_read(&answer->group_assigned[i], &answer->group_assigned_count[i], from);
    }
    group->known = true;
}

static void request_result(struct kafka_admin *a, struct request *req, rd_kafka_event_t *event)
{
    static const char *const doing[] = { "read committed offsets", "read log ends", "read log starts",
                                         "describe the group",     "read topics",   "describe topics",
                                         "set committed offsets" };
    struct kafka_answer *answer = req->question->answer;
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);

    if (code) {
        request_failed(a, req, code, doing[answer->type]);
        return;
    }
    switch (answer->type) {
    case KAFKA_ANSWER_OFFSETS:
        result_offsets(a, req, event);
        break;
    case KAFKA_ANSWER_ENDS:
    case KAFKA_ANSWER_STARTS:
        result_bounds(req, event);
        break;
    case KAFKA_ANSWER_GROUP:
        result_group(a, req, event);
        break;
    case KAFKA_ANSWER_COMMITTED:
        result_committed(a, req, event);
        break;
    case KAFKA_ANSWER_TOPICS:
    case KAFKA_ANSWER_METADATA:
        break;
    }
}

static bool metadata_stale(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__NOENT || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR || code == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE;
}

/*
 * librdkafka's ListOffsets believes in the metadata that the handle happens to have, for 15 min: a partition that had no
 * leader then has none, and one whose leader has changed since (every restart of a broker) is asked with the old leader
 * epoch, which is refused each time. It asks nobody again. So somebody else does, without waiting for the answer, and
 * the caller's next try finds the leader.
 */
static void leaders_refresh(struct kafka_admin *a, const struct request *req)
{
    const struct kafka_answer *answer = req->question->answer;
    const char *asked = "";

    if (answer->type != KAFKA_ANSWER_ENDS && answer->type != KAFKA_ANSWER_STARTS)
        return;
    for (int i = req->first; i < req->first + req->count; i++) {
        const struct kafka_tp *tp = &answer->tps[i];
        const struct rd_kafka_metadata *ignored = NULL;
        rd_kafka_topic_t *topic;

        if (!metadata_stale(tp->code) || strcmp(asked, tp->topic) == 0)
            continue;
        asked = tp->topic;
        topic = rd_kafka_topic_new(a->handle->rk, tp->topic, NULL);
        if (topic && rd_kafka_metadata(a->handle->rk, 0, topic, &ignored, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_metadata_destroy(ignored);
        if (topic)
            rd_kafka_topic_destroy(topic);
    }
}

/* A group that cannot be read is an answer with a reason, and a broker that cannot list groups is no failure. */
static void group_finish(struct kafka_answer *answer)
{
    struct group_view *group = &answer->group;

    if (answer->type != KAFKA_ANSWER_GROUP || !answer->error)
        return;
    group->known = false;
    group->unsupported = answer->error == ERR_STATE;
    snprintf(group->why, sizeof(group->why), "%.*s", (int)sizeof(group->why) - 1, answer->message.text);
    if (group->unsupported)
        answer->error = ERR_OK;
}

static void event_take(struct kafka_admin *a, rd_kafka_event_t *event)
{
    struct request *req = rd_kafka_event_opaque(event);
    struct question *q;

    if (!req)
        return;
    q = req->question;
    request_result(a, req, event);
    leaders_refresh(a, req);
    if (--q->outstanding > 0)
        return;
    for (struct question **at = &a->open; *at; at = &(*at)->next) {
        if (*at == q) {
            *at = q->next;
            break;
        }
    }
    group_finish(q->answer);
    question_done(a, q);
}

struct kafka_answer *kafka_admin_poll(struct kafka_admin *a)
{
    struct kafka_answer *answer = NULL;
    struct question *q;
    rd_kafka_event_t *event;

    /* To the bottom: librdkafka wakes us once, and then not before its queue has been read. */
    while ((event = rd_kafka_queue_poll(a->queue, 0))) {
        event_take(a, event);
        rd_kafka_event_destroy(event);
    }
    pthread_mutex_lock(&a->lock);
    q = a->done;
    if (q) {
        a->done = q->next;
        if (!a->done)
            a->done_tail = &a->done;
    }
    pthread_mutex_unlock(&a->lock);
    if (q) {
        answer = q->answer;
        q->answer = NULL;
        question_free(q);
    }
    return answer;
}

/* ---- topics, on a thread ---- */

static bool admin_stopping(void *opaque)
{
    struct kafka_admin *a = opaque;
    bool stopping;

    pthread_mutex_lock(&a->lock);
    stopping = a->stopping;
    pthread_mutex_unlock(&a->lock);
    return stopping;
}

static void topics_answer(struct kafka_admin *a, struct question *q)
{
    struct kafka_answer *answer = q->answer;

    for (int i = 0; i < answer->topic_count && !answer->error; i++) {
        struct kafka_topic_info *info = &answer->topics[i];
        struct errmsg m = { 0 };
        int r = kafka_topic_ask(a->handle, info->topic, &info->partition_count, q->deadline_ms, admin_stopping, a, &m);

        info->exists = r == ERR_OK && info->partition_count > 0;
        if (r == ERR_TIMEOUT || r == ERR_UNAVAILABLE)
            answer_fail(answer, r, &m); /* the same for all that follow */
        else if (r < 0)
            snprintf(info->why, sizeof(info->why), "%.*s", (int)sizeof(info->why) - 1, m.text);
        else if (!info->exists)
            snprintf(info->why, sizeof(info->why), "there is no such topic");
    }
}

static void *topics_thread(void *opaque)
{
    struct kafka_admin *a = opaque;

    pthread_mutex_lock(&a->lock);
    while (!a->stopping) {
        struct question *q = a->topics;

        if (!q) {
            pthread_cond_wait(&a->changed, &a->lock);
            continue;
        }
        a->topics = q->next;
        pthread_mutex_unlock(&a->lock);
        topics_answer(a, q);
        question_done(a, q);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

void kafka_admin_topics(struct kafka_admin *a, uint64_t token, const char *const *topics, int count, int timeout_ms)
{
    struct question *q = must(question_new(KAFKA_ANSWER_TOPICS, token)), **at;

    if (count < 0 || count > QUESTION_TOPICS_MAX) {
        question_refuse(a, q, ERR_TOO_LARGE, "more topics in one question than a fleet may have");
        return;
    }
    q->answer->topics = must(calloc((size_t)count + 1, sizeof(*q->answer->topics)));
    q->answer->topic_count = count;
    for (int i = 0; i < count; i++) {
        if (!text_copy(q->answer->topics[i].topic, sizeof(q->answer->topics[i].topic), topics[i])) {
            question_refuse(a, q, ERR_INVALID, "a topic's name is longer than Kafka allows");
            return;
        }
    }
    q->deadline_ms = clock_ms() + timeout_ms;
    if (!a->thread_runs) {
        if (pthread_create(&a->thread, NULL, topics_thread, a) != 0) {
            question_refuse(a, q, ERR_NOMEM, "no thread for reading topics");
            return;
        }
        a->thread_runs = true;
    }
    pthread_mutex_lock(&a->lock);
    for (at = &a->topics; *at; at = &(*at)->next)
        ;
    *at = q;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

/* ---- life ---- */

int kafka_asker_open(struct kafka_handle *ret, const struct kafka_settings *s, const char *group, struct errmsg *m)
{
    /* clang-format off: a pair a line */
    const char *const extra[] = { KAFKA_LOOKS_ON(group), "queued.max.messages.kbytes", "64", NULL };
    /* clang-format on */
    struct kafka_settings *common = kafka_settings_common(s);
    int r = common ? kafka_handle_open(ret, RD_KAFKA_CONSUMER, "questions", common, extra, NULL, NULL, m)
                   : err_set(m, ERR_NOMEM, "copy settings");

    kafka_settings_free(common);
    return r;
}

int kafka_admin_open(struct kafka_admin **ret, struct kafka_handle *consumer, int wake_fd, struct errmsg *m)
{
    struct kafka_admin *a;
    rd_kafka_queue_t *group_queue;

    group_queue = rd_kafka_type(consumer->rk) == RD_KAFKA_CONSUMER ? rd_kafka_queue_get_consumer(consumer->rk) : NULL;
    if (!group_queue)
        return err_set(m, ERR_INVALID, "questions to the brokers need a consumer with a group.id");
    rd_kafka_queue_destroy(group_queue);
    a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(m, ERR_NOMEM, "open the questions to the brokers");
    a->handle = consumer;
    a->wake_fd = wake_fd;
    a->done_tail = &a->done;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->queue = rd_kafka_queue_new(consumer->rk);
    if (wake_fd >= 0)
        kafka_queue_wake(a->queue, wake_fd);
    *ret = a;
    return ERR_OK;
}

/*
 * What was asked is answered, or timed out, before anybody takes the handle down: a question that is under way then is the
 * one thing by which a librdkafka that is not ours ends the process (docs/librdkafka.md).
 */
static void answers_wait(struct kafka_admin *a)
{
    const int64_t by_ms = a->open_by_ms + CLOSE_GRACE_MS, at_most_ms = clock_ms() + CLOSE_MS_MAX;
    const int64_t until_ms = by_ms < at_most_ms ? by_ms : at_most_ms;
    int64_t left_ms;

    while (a->open && (left_ms = until_ms - clock_ms()) > 0) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, (int)left_ms);

        if (event)
            event_take(a, event);
        rd_kafka_event_destroy(event);
    }
}

static void questions_free(struct question *q)
{
    while (q) {
        struct question *next = q->next;

        question_free(q);
        q = next;
    }
}

void kafka_admin_close(struct kafka_admin *a)
{
    if (!a)
        return;
    if (a->thread_runs) {
        pthread_mutex_lock(&a->lock);
        a->stopping = true;
        pthread_cond_signal(&a->changed);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    rd_kafka_queue_io_event_enable(a->queue, -1, NULL, 0);
    answers_wait(a);
    /* Results still under way go to a queue without a reader; their opaque is never looked at. */
    rd_kafka_queue_destroy(a->queue);
    questions_free(a->open);
    questions_free(a->topics);
    questions_free(a->done);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
