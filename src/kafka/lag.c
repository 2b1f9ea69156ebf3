/*
 * lag - see lag.h: the questions of a refresh, one phase after the other, and what their answers do to the table (lag_table.c).
 *
 *     IDLE -> GROUPS -> FOLLOW -> COMMITS -> ENDS -> TOPICS -> BOUNDS -> IDLE, and all of it is known
 *
 * GROUPS   who is there, and in which state.
 * FOLLOW   if the log of commits is followed (lag_follow.c): where does it end, and have we got there? Then it tells what has been
 *          committed. A group is asked nevertheless where the log tells less (a new group, a new partition, an expired commit: in this
 *          refresh and the next, since a coordinator may answer from the moment before), where an open transaction hides the end of its
 *          part of the log, and every few minutes in any case. If the log cannot be followed, or is behind, all are asked.
 * COMMITS  one request a group for all it has committed, or some for what is not known. What was followed counts with the answers.
 * ENDS     the ends of the partitions that somebody has committed in, grouped by their leaders, some dozens a request.
 * TOPICS   ids, leaders and partition counts of topics that are new, that look strange, or were last looked at a minute ago.
 * BOUNDS   what only few partitions need: where the log starts, if somebody is behind in it and a minute has passed; the high
 *          watermark, if somebody has committed past the last stable offset.
 *
 * A phase has a window of requests that are out. Each has a time-out, and a phase that got no answer at all for so long gives the
 * rest up, so that a cluster whose brokers are gone does not hold up a refresh for ever; who failed last time is asked last.
 */
#include "kafka/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "kafka/internal.h"
#include "kafka/lag_follow.h"
#include "kafka/lag_table.h"

#define TIMEOUT_MS 5000
#define WINDOW_GROUPS 32
#define WINDOW_CHUNKS 16
#define CHUNK_PARTITIONS 50 /* librdkafka is quadratic in the partitions of one call */
#define CHUNK_TOPICS 500
#define TOPICS_FRESH_MS 60000
#define EVENTS_A_POLL 4
#define CLOSE_GRACE_MS 500
#define CLOSE_MS_MAX 6000
#define EMBEDDED_MS 200
#define FOLLOW_MS_MAX 1500 /* for the follower to get on */
#define FOLLOW_RECORDS_A_POLL 2000
#define FOLLOW_AGAIN_MS 60000   /* after it could not */
#define COMMITS_FRESH_MS 300000 /* no group goes unasked for longer */

enum phase_name { IDLE, GROUPS, FOLLOW, COMMITS, ENDS, TOPICS, BOUNDS };

enum bound { BOUND_END, BOUND_START, BOUND_HIGH, BOUND_FOLLOW, BOUND_FOLLOW_HIGH, BOUND_NONE };

/* One request that is out. */
struct asked {
    struct lag_entry *entry; /* COMMITS */
    bool whole;
    enum bound bound; /* ENDS, BOUNDS: of these of the list */
    int first, count;
};

/* What a phase has to ask, in this order. */
struct todo {
    int32_t index; /* of a group, a partition or a topic */
    int32_t leader;
    int first, count; /* COMMITS: of `again`; count 0: all that the group has committed */
    enum bound bound;
};

struct lag_reader {
    struct kafka_handle *handle;
    rd_kafka_queue_t *queue;
    int wake_fd;
    struct lag_reader_config config;
    char **groups; /* NULL: all */
    int group_count;
    int embedded; /* -1: not known yet */

    struct lag_table table;
    enum phase_name phase;
    struct todo *todo;
    int todo_count, todo_room, todo_next, out;
    int32_t *again; /* rows of groups to ask for again */
    int again_count, again_room;
    int64_t began_ms, began_unix_ms, ends_ms, ends_unix_ms;
    int64_t answered_ms; /* the last answer of this phase, or its beginning */
    int64_t out_by_ms;   /* by when what is out is answered */
    bool strange;
    struct lag_refresh refresh, last; /* the one under way, the one that is known */
    int64_t known_ms;                 /* when its ends were read */

    struct kafka_settings *follow; /* NULL: the log of commits is not followed */
    struct lag_follower *follower; /* NULL: not now */
    int64_t follow_again_ms;
    int64_t *follow_ends,
        *follow_high;  /* of this refresh, one a partition: up to open transactions, and with them; -1: not known */
    int64_t follow_ms; /* when it last told something */
    bool followed;     /* all groups have been asked since it has followed */
    bool caught_up;    /* it has told all that was committed before this refresh, but for open transactions */
};

static void trouble(struct lag_reader *r, const char *doing, rd_kafka_resp_err_t code)
{
    struct errmsg m = { 0 };

    if (r->refresh.trouble[0])
        return; /* the first one is told */
    kafka_explain(r->handle, code, doing, &m);
    snprintf(r->refresh.trouble, sizeof(r->refresh.trouble), "%.500s", m.text);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static rd_kafka_AdminOptions_t *ask(struct lag_reader *r, rd_kafka_admin_op_t op, const struct asked *what)
{
    struct asked *asked = must(malloc(sizeof(*asked)));
    const int64_t now_ms = clock_ms();

    *asked = *what;
    r->out++;
    r->out_by_ms = now_ms + r->config.timeout_ms;
    return kafka_options_new(r->handle, op, r->config.timeout_ms, asked);
}

static void ask_groups(struct lag_reader *r)
{
    rd_kafka_AdminOptions_t *options = ask(r, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, &(struct asked){ 0 });

    rd_kafka_ListConsumerGroups(r->handle->rk, options, r->queue);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_commits(struct lag_reader *r, const struct todo *todo)
{
    struct lag_entry *e = r->table.next_groups[todo->index];
    rd_kafka_AdminOptions_t *options =
        ask(r, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, &(struct asked){ .entry = e, .whole = todo->count == 0 });
    rd_kafka_topic_partition_list_t *list = todo->count ? rd_kafka_topic_partition_list_new(todo->count) : NULL;
    rd_kafka_ListConsumerGroupOffsets_t *request;

    for (int i = 0; i < todo->count; i++) {
        const struct lag_part *part = &r->table.parts[e->rows[r->again[todo->first + i]].part];

        rd_kafka_topic_partition_list_add(list, r->table.topics[part->topic]->name, part->partition);
    }
    request = rd_kafka_ListConsumerGroupOffsets_new(e->known.name, list);
    if (list)
        rd_kafka_topic_partition_list_destroy(list);

    rd_kafka_ListConsumerGroupOffsets(r->handle->rk, &request, 1, options, r->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_bounds(struct lag_reader *r, const struct todo *todo, int count)
{
    static const int64_t specs[] = { [BOUND_END] = RD_KAFKA_OFFSET_SPEC_LATEST,
                                     [BOUND_START] = RD_KAFKA_OFFSET_SPEC_EARLIEST,
                                     [BOUND_HIGH] = RD_KAFKA_OFFSET_SPEC_LATEST };
    const bool stable = todo->bound == BOUND_END && !r->config.uncommitted;
    const struct asked what = { .bound = todo->bound, .first = (int)(todo - r->todo), .count = count };
    rd_kafka_AdminOptions_t *options = ask(r, RD_KAFKA_ADMIN_OP_LISTOFFSETS, &what);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
        options, stable ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
    for (int i = 0; i < count; i++) {
        const struct lag_part *part = &r->table.parts[todo[i].index];

        rd_kafka_topic_partition_list_add(list, r->table.topics[part->topic]->name, part->partition)->offset =
            specs[todo->bound];
    }
    rd_kafka_ListOffsets(r->handle->rk, list, options, r->queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_follow_end(struct lag_reader *r, enum bound bound, int64_t *ends)
{
    const int count = lag_follower_partitions(r->follower);
    rd_kafka_AdminOptions_t *options = ask(r, RD_KAFKA_ADMIN_OP_LISTOFFSETS, &(struct asked){ .bound = bound });
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
        options,
        bound == BOUND_FOLLOW ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, LAG_FOLLOW_TOPIC, i)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
        ends[i] = -1;
    }
    rd_kafka_ListOffsets(r->handle->rk, list, options, r->queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
}

static void ask_follow_topic(struct lag_reader *r)
{
    rd_kafka_AdminOptions_t *options = ask(r, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, &(struct asked){ .bound = BOUND_NONE });
    const char *name = LAG_FOLLOW_TOPIC;
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);

    rd_kafka_DescribeTopics(r->handle->rk, topics, options, r->queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
}

/* Where the log of commits ends, or first of all how many partitions it has. */
static void ask_follow(struct lag_reader *r)
{
    if (!r->follower) {
        ask_follow_topic(r);
        return;
    }
    ask_follow_end(r, BOUND_FOLLOW, r->follow_ends);
    ask_follow_end(r, BOUND_FOLLOW_HIGH, r->follow_high);
}

static void ask_topics(struct lag_reader *r, const struct todo *todo, int count)
{
    rd_kafka_AdminOptions_t *options = ask(r, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, &(struct asked){ 0 });
    const char **names = must(calloc((size_t)count, sizeof(*names)));
    rd_kafka_TopicCollection_t *topics;

    for (int i = 0; i < count; i++)
        names[i] = r->table.topics[todo[i].index]->name;
    topics = rd_kafka_TopicCollection_of_topic_names(names, (size_t)count);
    rd_kafka_DescribeTopics(r->handle->rk, topics, options, r->queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    free(names);
}

/* --- what a phase has to ask -------------------------------------------------------------------------------------- */

static void todo_add(struct lag_reader *r, int32_t index, int32_t leader, enum bound bound)
{
    if (r->todo_count == r->todo_room) {
        r->todo_room = r->todo_room ? r->todo_room * 2 : 256;
        r->todo = must(reallocarray(r->todo, (size_t)r->todo_room, sizeof(*r->todo)));
    }
    r->todo[r->todo_count++] = (struct todo){ .index = index, .leader = leader, .bound = bound };
}

static int todo_compare(const void *a, const void *b)
{
    const struct todo *l = a, *r = b;

    if (l->bound != r->bound)
        return l->bound < r->bound ? -1 : 1;
    if (l->leader != r->leader)
        return l->leader < r->leader ? -1 : 1;
    return (l->index > r->index) - (l->index < r->index);
}

/* Whatever is committed from now on will be told. */
static bool follower_stands(const struct lag_reader *r)
{
    if (!r->follower)
        return false;
    for (int i = 0; i < lag_follower_partitions(r->follower); i++)
        if (lag_follower_position(r->follower, i) < 0)
            return false;
    return true;
}

/*
 * The partition of the log of commits that all of a group's commits are in: by its name as Java hashes it. -1: the name has other
 * letters than ASCII, which Java hashes in UTF-16.
 */
static int follow_partition(const char *group, int partitions)
{
    uint32_t hash = 0;

    for (const char *c = group; *c; c++) {
        if (*c & 0x80)
            return -1;
        hash = 31 * hash + (unsigned char)*c;
    }
    /* its absolute value; Kafka takes 0 for the one that has none */
    return hash == UINT32_C(0x80000000) ? 0 : (int)((hash & 0x80000000 ? -hash : hash) % (uint32_t)partitions);
}

static bool part_stands(const struct lag_reader *r, int partition)
{
    return r->follow_high[partition] >= 0 && lag_follower_position(r->follower, partition) >= r->follow_high[partition];
}

/* All that the group had committed before this refresh has been told, and no open transaction hides any of it. */
static bool group_stands(const struct lag_reader *r, const char *group)
{
    const int partitions = r->caught_up ? lag_follower_partitions(r->follower) : 0;
    const int its = partitions ? follow_partition(group, partitions) : -1;
    bool all = partitions > 0;

    if (its >= 0)
        return part_stands(r, its);
    for (int i = 0; i < partitions; i++)
        all = all && part_stands(r, i);
    return all;
}

/* Of what it has committed only that which is not known: some requests, or none. */
static void again_todo(struct lag_reader *r, int32_t index)
{
    struct lag_entry *e = r->table.next_groups[index];
    int first = r->again_count;

    for (int i = 0; i < e->known.row_count; i++) {
        if (!e->rows[i].dirty)
            continue;
        e->rows[i].dirty--;
        if (r->again_count == r->again_room) {
            r->again_room = r->again_room ? r->again_room * 2 : 1024;
            r->again = must(reallocarray(r->again, (size_t)r->again_room, sizeof(*r->again)));
        }
        r->again[r->again_count++] = i;
    }
    for (; first < r->again_count; first += CHUNK_PARTITIONS) {
        const int left = r->again_count - first;

        todo_add(r, index, 0, BOUND_NONE);
        r->todo[r->todo_count - 1].first = first;
        r->todo[r->todo_count - 1].count = left < CHUNK_PARTITIONS ? left : CHUNK_PARTITIONS;
    }
}

/* Those that did not answer last time come last: they may take up the whole window. */
static void commits_todo(struct lag_reader *r)
{
    const bool all = !r->followed, stands = follower_stands(r);

    r->again_count = 0;
    for (int i = 0; all && stands && i < r->table.next_count; i++)
        r->table.next_groups[i]->whole =
            2; /* for its coordinator may answer from the moment before we began to follow */
    for (int late = 0; late <= 1; late++) {
        for (int i = 0; i < r->table.next_count; i++) {
            const struct lag_entry *e = r->table.next_groups[i];

            if (e->failed_last != (late == 1))
                continue;
            if (all || late || e->whole > 0 || r->began_ms - e->read_ms >= COMMITS_FRESH_MS ||
                !group_stands(r, e->known.name))
                todo_add(r, i, 0, BOUND_NONE);
            else
                again_todo(r, i);
        }
    }
    r->followed = stands; /* whoever does not answer now is asked again by itself */
}

static void ends_todo(struct lag_reader *r)
{
    for (int i = 0; i < r->table.next_count; i++)
        if (group_stands(r, r->table.next_groups[i]->known.name))
            lag_table_news(&r->table, r->table.next_groups[i], r->began_unix_ms);
    lag_table_wanted(&r->table);
    for (int i = 0; i < r->table.end_count; i++)
        todo_add(r, r->table.ends[i], r->table.parts[r->table.ends[i]].leader, BOUND_END);
}

static bool is_embedded(struct lag_reader *r)
{
    if (r->embedded < 0)
        r->embedded = kafka_is_embedded(r->handle, EMBEDDED_MS, NULL);
    return r->embedded == 1;
}

/* The embedded broker lets such questions time out. */
static void topics_todo(struct lag_reader *r)
{
    const struct lag_table *t = &r->table;
    int last = -1;

    if (is_embedded(r))
        return;
    for (int i = 0; i < t->end_count; i++) {
        const int32_t topic = t->parts[t->ends[i]].topic;

        if (topic != last && (r->strange || t->topics[topic]->gone || !t->topics[topic]->described_ms ||
                              r->began_ms - t->topics[topic]->described_ms >= TOPICS_FRESH_MS))
            todo_add(r, topic, 0, BOUND_END);
        last = topic;
    }
}

static void bounds_todo(struct lag_reader *r)
{
    lag_table_troubled(&r->table, r->began_ms);
    for (int i = 0; i < r->table.end_count; i++) {
        const int32_t index = r->table.ends[i];
        const struct lag_part *part = &r->table.parts[index];

        if (part->lagging)
            todo_add(r, index, part->leader, BOUND_START);
        if (part->past_stable && !r->config.uncommitted)
            todo_add(r, index, part->leader, BOUND_HIGH);
    }
}

/* --- phases ------------------------------------------------------------------------------------------------------- */

static void refresh_known(struct lag_reader *r)
{
    struct lag_table *t = &r->table;

    lag_table_publish(t, r->ends_ms);
    r->refresh.number = r->last.number + 1;
    r->refresh.at_unix_ms = r->ends_unix_ms;
    r->refresh.took_ms = clock_ms() - r->began_ms;
    r->refresh.group_count = t->group_count;
    r->refresh.partition_count = 0;
    for (int i = 0; i < t->group_count; i++) {
        r->refresh.partition_count += t->groups[i]->known.row_count;
        if (t->groups[i]->known.trouble[0] && !r->refresh.trouble[0])
            snprintf(r->refresh.trouble, sizeof(r->refresh.trouble), "group '%s': %s", t->groups[i]->known.name,
                     t->groups[i]->known.trouble);
    }
    r->last = r->refresh;
    r->known_ms = r->ends_ms;
}

static void phase_begin(struct lag_reader *r, enum phase_name phase)
{
    static void (*const todo[])(struct lag_reader * r) = {
        [COMMITS] = commits_todo, [ENDS] = ends_todo, [TOPICS] = topics_todo, [BOUNDS] = bounds_todo
    };

    r->phase = phase;
    r->answered_ms = r->follow_ms = clock_ms();
    r->todo_count = r->todo_next = 0;
    if (phase == FOLLOW && r->follow && !is_embedded(r) && (r->follower || r->began_ms >= r->follow_again_ms))
        ask_follow(r);
    if (phase == IDLE || phase == GROUPS || phase == FOLLOW)
        return;
    todo[phase](r);
    if ((phase == ENDS || phase == BOUNDS) && r->todo_count > 0)
        qsort(r->todo, (size_t)r->todo_count, sizeof(*r->todo), todo_compare);
}

/* How many of the next can go into one request. */
static int chunk(const struct lag_reader *r, int max)
{
    const struct todo *first = &r->todo[r->todo_next];
    int count = 1;

    while (r->todo_next + count < r->todo_count && count < max && first[count].leader == first->leader &&
           first[count].bound == first->bound)
        count++;
    return count;
}

static void ask_next(struct lag_reader *r)
{
    const struct todo *next = &r->todo[r->todo_next];
    const int count = r->phase == COMMITS ? 1 : chunk(r, r->phase == TOPICS ? CHUNK_TOPICS : CHUNK_PARTITIONS);

    r->todo_next += count;
    if (r->phase == COMMITS)
        ask_commits(r, next);
    else if (r->phase == TOPICS)
        ask_topics(r, next, count);
    else
        ask_bounds(r, next, count);
}

/* Nobody has answered for as long as a request may take: the rest would only wait as well. */
static void phase_give_up(struct lag_reader *r)
{
    for (; r->todo_next < r->todo_count; r->todo_next++)
        if (r->phase == COMMITS)
            lag_table_failed(r->table.next_groups[r->todo[r->todo_next].index], RD_KAFKA_RESP_ERR__TIMED_OUT);
}

static void on_followed(void *opaque, const struct kafka_commit *commit, bool known)
{
    struct lag_reader *r = opaque;

    lag_table_followed(&r->table, commit, known);
}

static void follow_end(struct lag_reader *r)
{
    lag_follower_close(r->follower);
    r->follower = NULL;
    r->followed = r->caught_up = false;
    r->follow_again_ms = clock_ms() + FOLLOW_AGAIN_MS;
}

/* True: no reason to wait for the follower, or not any longer. */
static bool follow_done(struct lag_reader *r)
{
    bool asked = r->follower != NULL;

    r->caught_up = r->follower != NULL;
    for (int i = 0; r->follower && i < lag_follower_partitions(r->follower); i++) {
        asked = asked && r->follow_ends[i] >= 0;
        r->caught_up = r->caught_up && asked && lag_follower_position(r->follower, i) >= r->follow_ends[i];
    }
    return r->caught_up || !asked || clock_ms() - r->follow_ms >= FOLLOW_MS_MAX ||
           clock_ms() - r->answered_ms >= r->config.timeout_ms;
}

/* Asks what the window has room for, and goes on to the next phase when all is answered. True: the refresh is known. */
static bool phases(struct lag_reader *r)
{
    while (r->phase != IDLE) {
        const int window = r->phase == COMMITS ? WINDOW_GROUPS : WINDOW_CHUNKS;

        if (clock_ms() - r->answered_ms >= r->config.timeout_ms)
            phase_give_up(r);
        while (r->out < window && r->todo_next < r->todo_count)
            ask_next(r);
        if (r->out > 0 || (r->phase == FOLLOW && !follow_done(r)))
            return false;
        if (r->phase == ENDS) {
            r->ends_ms = clock_ms();
            r->ends_unix_ms = clock_unix_ms();
        }
        if (r->phase == BOUNDS) {
            phase_begin(r, IDLE);
            refresh_known(r);
            return true;
        }
        phase_begin(r, r->phase + 1);
    }
    return false;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static bool group_wanted(const struct lag_reader *r, const char *name)
{
    return !r->groups || bsearch(&name, r->groups, (size_t)r->group_count, sizeof(char *), name_compare) != NULL;
}

static void group_listed(struct lag_reader *r, const rd_kafka_ConsumerGroupListing_t *listing)
{
    static const char *const protocols[] = { [RD_KAFKA_CONSUMER_GROUP_TYPE_UNKNOWN] = "",
                                             [RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER] = "consumer",
                                             [RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC] = "classic" };
    const char *name = rd_kafka_ConsumerGroupListing_group_id(listing);
    const rd_kafka_consumer_group_type_t type = rd_kafka_ConsumerGroupListing_type(listing);
    struct lag_entry *e = group_wanted(r, name) ? lag_table_keep(&r->table, name) : NULL;

    if (!e)
        return;
    e->listed = true;
    e->state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(listing));
    e->protocol = (unsigned)type < ARRAY_COUNT(protocols) ? protocols[type] : "";
}

/* Groups that were named are there, listed or not; of all groups those that are listed, or may be. */
static void take_groups(struct lag_reader *r, rd_kafka_event_t *event)
{
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(event);
    const rd_kafka_ConsumerGroupListing_t **groups = NULL;
    const rd_kafka_error_t **errors = NULL;
    size_t count = 0, error_count = 0;
    bool all;

    if (!code) {
        groups = rd_kafka_ListConsumerGroups_result_valid(result, &count);
        errors = rd_kafka_ListConsumerGroups_result_errors(result, &error_count);
    }
    if (is_embedded(r))
        snprintf(r->refresh.trouble, sizeof(r->refresh.trouble),
                 "the embedded broker tells neither which groups there are nor all that one has committed: ask a real "
                 "Kafka");
    else if (code || error_count > 0)
        trouble(r, "list the groups", code ? code : rd_kafka_error_code(errors[0]));
    all = !code && error_count == 0;
    for (int i = 0; i < r->group_count; i++)
        lag_table_keep(&r->table, r->groups[i]);
    for (int i = 0; !r->groups && !all && i < r->table.group_count; i++)
        lag_table_keep(&r->table, r->table.groups[i]->known.name);
    for (size_t i = 0; i < count; i++)
        group_listed(r, groups[i]);
    for (int i = 0; i < r->table.next_count; i++) {
        struct lag_entry *e = r->table.next_groups[i];

        if (e->listed)
            continue;
        e->state = all && !is_embedded(r) ? "Dead" : "Unknown";
        e->protocol = "";
    }
}

static void take_commits(struct lag_reader *r, rd_kafka_event_t *event, const struct asked *asked)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_group_result_t **groups = NULL;
    size_t count = 0;

    if (!code)
        groups = rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event),
                                                                 &count);
    if (!code && count != 1)
        code = RD_KAFKA_RESP_ERR__BAD_MSG;
    if (!code && rd_kafka_group_result_error(groups[0]))
        code = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
    if (asked->whole && asked->entry->whole > 0)
        asked->entry->whole--;
    if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) /* nothing is committed by who is not there */
        lag_table_commits(&r->table, asked->entry, NULL, r->began_unix_ms);
    else if (code)
        lag_table_failed(asked->entry, code);
    else if (!asked->whole)
        lag_table_commits_again(&r->table, asked->entry, rd_kafka_group_result_partitions(groups[0]), r->began_unix_ms);
    else
        lag_table_commits(&r->table, asked->entry, rd_kafka_group_result_partitions(groups[0]), r->began_unix_ms);
}

static bool leader_moved(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__NOENT || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR || code == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE;
}

/*
 * librdkafka asks the leader that it happens to believe in, and never looks for another by itself (kafka/admin.c). The question
 * that is not waited for makes it look; the next refresh finds the leader.
 */
static void leader_ask(struct lag_reader *r, const char *topic)
{
    const struct rd_kafka_metadata *ignored = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(r->handle->rk, topic, NULL);

    if (rkt && rd_kafka_metadata(r->handle->rk, 0, rkt, &ignored, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(ignored);
    if (rkt)
        rd_kafka_topic_destroy(rkt);
}

static void leaders_ask(struct lag_reader *r, const struct todo *todo, int count)
{
    int32_t told = -1;

    for (int i = 0; i < count; i++) {
        const int32_t topic = r->table.parts[todo[i].index].topic;

        if (topic != told)
            leader_ask(r, r->table.topics[topic]->name);
        told = topic;
    }
}

static void take_bound(struct lag_reader *r, struct lag_part *part, enum bound bound,
                       const rd_kafka_topic_partition_t *got)
{
    const int64_t offset = got->err || got->offset < 0 ? OFFSET_UNKNOWN : got->offset;
    rd_kafka_resp_err_t code = got->err;

    /* a leader that did not answer in time leaves its partitions as they were asked: without offset, without error */
    if (offset < 0 && !code)
        code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    switch (bound) {
    case BOUND_END:
        part->read_end = offset;
        part->read_code = code;
        part->read_epoch = offset < 0 ? -1 : rd_kafka_topic_partition_get_leader_epoch(got);
        if (offset < 0 || offset < part->end)
            r->strange = true;
        break;
    case BOUND_HIGH:
        part->read_high = offset;
        break;
    case BOUND_START:
        part->start = offset;
        part->start_ms = offset < 0 ? 0 : clock_ms();
        break;
    case BOUND_FOLLOW:
    case BOUND_FOLLOW_HIGH:
    case BOUND_NONE:
        break;
    }
}

static void take_bounds(struct lag_reader *r, rd_kafka_event_t *event, const struct asked *asked)
{
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_ListOffsetsResultInfo_t **infos = NULL;
    const char *told = "";
    size_t count = 0;

    if (code) {
        trouble(r, "read the ends of logs", code);
        r->strange = true;
        leaders_ask(r, &r->todo[asked->first], asked->count);
        return;
    }
    infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *got = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        const int32_t index = lag_table_part_find(&r->table, got->topic, got->partition);

        if (index < 0)
            continue;
        take_bound(r, &r->table.parts[index], asked->bound, got);
        if (leader_moved(got->err) && strcmp(told, got->topic) != 0) {
            told = got->topic;
            leader_ask(r, told);
        }
    }
}

static void take_topics(struct lag_reader *r, rd_kafka_event_t *event)
{
    const rd_kafka_TopicDescription_t **topics;
    size_t count = 0;

    if (rd_kafka_event_error(event)) {
        trouble(r, "describe the topics", rd_kafka_event_error(event));
        return;
    }
    topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        lag_table_described(&r->table, topics[i], r->began_ms, r->began_unix_ms);
}

static void take_follow_ends(struct lag_reader *r, rd_kafka_event_t *event, enum bound bound)
{
    int64_t *ends = bound == BOUND_FOLLOW ? r->follow_ends : r->follow_high;
    const rd_kafka_ListOffsetsResultInfo_t **infos;
    size_t count = 0;

    if (rd_kafka_event_error(event) || !r->follower)
        return;
    infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *got = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);

        if (!got->err && got->partition >= 0 && got->partition < lag_follower_partitions(r->follower))
            ends[got->partition] = got->offset;
        else if (leader_moved(got->err))
            leader_ask(r, got->topic);
    }
}

/* Nobody has ever committed, or we may not look: all groups are asked in every refresh, and it is tried again. */
static void take_follow_topic(struct lag_reader *r, rd_kafka_event_t *event)
{
    const rd_kafka_TopicDescription_t **topics;
    struct errmsg m = { 0 };
    size_t count = 0, partitions = 0;

    r->follow_again_ms = r->began_ms + FOLLOW_AGAIN_MS;
    if (rd_kafka_event_error(event))
        return;
    topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
    if (count == 1 && !rd_kafka_TopicDescription_error(topics[0]))
        rd_kafka_TopicDescription_partitions(topics[0], &partitions);
    if (partitions == 0 || partitions > LAG_PARTITIONS_MAX ||
        lag_follower_open(&r->follower, r->follow, (int)partitions, r->wake_fd, &m) < 0)
        return;
    r->follow_ends = must(reallocarray(r->follow_ends, 2 * partitions, sizeof(*r->follow_ends)));
    r->follow_high = r->follow_ends + partitions;
    for (size_t i = 0; i < 2 * partitions; i++)
        r->follow_ends[i] = -1;
}

static void take(struct lag_reader *r, rd_kafka_event_t *event)
{
    struct asked *asked = rd_kafka_event_opaque(event);

    if (!asked)
        return;
    r->out--;
    if (!rd_kafka_event_error(event))
        r->answered_ms = clock_ms();
    switch (r->phase) {
    case IDLE: /* closing */
        break;
    case GROUPS:
        take_groups(r, event);
        break;
    case FOLLOW:
        if (asked->bound == BOUND_NONE)
            take_follow_topic(r, event);
        else
            take_follow_ends(r, event, asked->bound);
        break;
    case COMMITS:
        take_commits(r, event, asked);
        break;
    case ENDS:
    case BOUNDS:
        take_bounds(r, event, asked);
        break;
    case TOPICS:
        take_topics(r, event);
        break;
    }
    free(asked);
}

static void follow_poll(struct lag_reader *r)
{
    const int taken = lag_follower_poll(r->follower, FOLLOW_RECORDS_A_POLL, on_followed, r);

    if (taken < 0)
        follow_end(r);
    if (taken > 0)
        r->follow_ms = clock_ms();
    if (taken >= FOLLOW_RECORDS_A_POLL && r->wake_fd >= 0)
        kafka_eventfd_ring(r->wake_fd); /* librdkafka rings only when its queue had been empty */
}

bool lag_reader_poll(struct lag_reader *r)
{
    if (r->follower)
        follow_poll(r);
    for (int i = 0; i < EVENTS_A_POLL && r->out > 0; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(r->queue, 0);

        if (!event)
            break;
        take(r, event);
        rd_kafka_event_destroy(event);
        if (i == EVENTS_A_POLL - 1 && r->wake_fd >= 0)
            kafka_eventfd_ring(r->wake_fd);
    }
    return phases(r);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

bool lag_reader_refresh(struct lag_reader *r)
{
    if (r->phase != IDLE)
        return false;
    kafka_revive();
    lag_table_begin(&r->table);
    r->refresh = (struct lag_refresh){ 0 };
    r->strange = false;
    r->began_ms = clock_ms();
    r->began_unix_ms = clock_unix_ms();
    phase_begin(r, GROUPS);
    ask_groups(r);
    return true;
}

static void groups_free(struct lag_reader *r)
{
    for (int i = 0; i < r->group_count; i++)
        free(r->groups[i]);
    free(r->groups);
    r->groups = NULL;
    r->group_count = 0;
}

void lag_reader_groups(struct lag_reader *r, const char *const *groups, int count)
{
    groups_free(r);
    if (!groups)
        return;
    r->groups = must(calloc((size_t)count + 1, sizeof(char *)));
    for (int i = 0; i < count; i++)
        r->groups[i] = must(strdup(groups[i]));
    r->group_count = count;
    if (count > 0)
        qsort(r->groups, (size_t)count, sizeof(char *), name_compare);
}

int lag_reader_open(struct lag_reader **ret, struct kafka_handle *consumer, int wake_fd,
                    const struct lag_reader_config *config, struct errmsg *m)
{
    rd_kafka_queue_t *group_queue =
        rd_kafka_type(consumer->rk) == RD_KAFKA_CONSUMER ? rd_kafka_queue_get_consumer(consumer->rk) : NULL;
    struct lag_reader *r;

    if (!group_queue)
        return err_set(m, ERR_INVALID, "questions to the brokers need a consumer with a group.id");
    rd_kafka_queue_destroy(group_queue);
    r = must(calloc(1, sizeof(*r)));
    r->handle = consumer;
    r->wake_fd = wake_fd;
    r->config = *config;
    r->config.groups = NULL;
    r->config.follow = NULL;
    if (config->follow)
        r->follow = must(kafka_settings_copy(config->follow));
    if (r->config.timeout_ms <= 0)
        r->config.timeout_ms = TIMEOUT_MS;
    r->embedded = -1;
    lag_table_init(&r->table);
    lag_reader_groups(r, config->groups, config->group_count);
    r->queue = must(rd_kafka_queue_new(consumer->rk));
    if (wake_fd >= 0)
        kafka_queue_wake(r->queue, wake_fd);
    *ret = r;
    return ERR_OK;
}

/* What was asked is answered before anybody takes the handle down: kafka/admin.c says why. */
void lag_reader_close(struct lag_reader *r)
{
    int64_t until_ms;

    if (!r)
        return;
    r->phase = IDLE;
    until_ms = r->out_by_ms + CLOSE_GRACE_MS;
    if (until_ms > clock_ms() + CLOSE_MS_MAX)
        until_ms = clock_ms() + CLOSE_MS_MAX;
    rd_kafka_queue_io_event_enable(r->queue, -1, NULL, 0);
    for (int64_t left_ms; r->out > 0 && (left_ms = until_ms - clock_ms()) > 0;) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(r->queue, (int)left_ms);

        if (event) {
            take(r, event);
            rd_kafka_event_destroy(event);
        }
    }
    rd_kafka_queue_destroy(r->queue);
    lag_follower_close(r->follower);
    kafka_settings_free(r->follow);
    free(r->follow_ends);
    lag_table_deinit(&r->table);
    groups_free(r);
    free(r->todo);
    free(r->again);
    free(r);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

const struct lag_refresh *lag_reader_last(const struct lag_reader *r)
{
    return &r->last;
}

int lag_group_count(const struct lag_reader *r)
{
    return r->table.group_count;
}

const struct lag_group *lag_group_at(const struct lag_reader *r, int i)
{
    return i >= 0 && i < r->table.group_count ? &r->table.groups[i]->known : NULL;
}

const struct lag_group *lag_group_find(const struct lag_reader *r, const char *name)
{
    const struct lag_entry *e = lag_table_find(&r->table, name);

    return e ? &e->known : NULL;
}

struct lag_row lag_row_at(const struct lag_reader *r, const struct lag_group *g, int i)
{
    ASSERT(i >= 0 && i < g->row_count);
    return lag_table_row(&r->table, (const struct lag_entry *)g, i, r->known_ms);
}
