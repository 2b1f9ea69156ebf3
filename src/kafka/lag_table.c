/*
 * lag_table - see lag_table.h.
 */
#include "kafka/lag_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"

#define TOPIC_PARTITIONS_MAX 200000

/* Room for one more of `count` things. */
static void *room_for(void *things, int *room, int count, size_t size)
{
    if (count < *room)
        return things;
    *room = *room ? *room * 2 : 64;
    return must(reallocarray(things, (size_t)*room, size));
}

void lag_table_init(struct lag_table *t)
{
    memset(t, 0, sizeof(*t));
    t->last_topic = -1;
}

static void entry_free(struct lag_entry *e)
{
    free(e->rows);
    free(e->next);
    free(e);
}

void lag_table_deinit(struct lag_table *t)
{
    for (int i = 0; i < t->topic_count; i++) {
        free(t->topics[i]->name);
        free(t->topics[i]->parts);
        free(t->topics[i]);
    }
    for (int i = 0; i < t->part_count; i++)
        free(t->parts[i].curve.points);
    for (int i = 0; i < t->next_count; i++)
        if (!lag_table_find(t, t->next_groups[i]->known.name))
            entry_free(t->next_groups[i]);
    for (int i = 0; i < t->group_count; i++)
        entry_free(t->groups[i]);
    free(t->topics);
    free(t->by_name);
    free(t->parts);
    free(t->groups);
    free(t->next_groups);
    free(t->ends);
    lag_table_init(t);
}

/* --- topics and partitions ---------------------------------------------------------------------------------------- */

/* The place of the name among the sorted ones, or where it belongs. */
static int topic_place(const struct lag_table *t, const char *name, bool *ret_found)
{
    int low = 0, high = t->topic_count;

    while (low < high) {
        const int mid = low + (high - low) / 2, r = strcmp(t->topics[t->by_name[mid]]->name, name);

        if (r == 0) {
            *ret_found = true;
            return mid;
        }
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_found = false;
    return low;
}

static int32_t topic_find(struct lag_table *t, const char *name, int *ret_place)
{
    bool found;

    if (t->last_topic >= 0 && strcmp(t->topics[t->last_topic]->name, name) == 0)
        return t->last_topic;
    *ret_place = topic_place(t, name, &found);
    if (!found)
        return -1;
    t->last_topic = t->by_name[*ret_place];
    return t->last_topic;
}

int32_t lag_table_topic(struct lag_table *t, const char *name)
{
    int place = 0, room = t->topic_room;
    int32_t found = topic_find(t, name, &place);
    struct lag_topic *topic;

    if (found >= 0)
        return found;
    if (!*name || strlen(name) > TOPIC_NAME_MAX || t->topic_count >= LAG_PARTITIONS_MAX)
        return -1;
    topic = must(calloc(1, sizeof(*topic)));
    topic->name = must(strdup(name));
    t->by_name = room_for(t->by_name, &room, t->topic_count, sizeof(*t->by_name));
    t->topics = room_for(t->topics, &t->topic_room, t->topic_count, sizeof(struct lag_topic *));
    memmove(&t->by_name[place + 1], &t->by_name[place], (size_t)(t->topic_count - place) * sizeof(*t->by_name));
    t->by_name[place] = t->topic_count;
    t->topics[t->topic_count] = topic;
    t->topic_count++;
    for (int i = place; i < t->topic_count; i++)
        t->topics[t->by_name[i]]->rank = i;
    t->last_topic = t->topic_count - 1;
    return t->last_topic;
}

static void parts_grow(struct lag_topic *topic, int32_t partition)
{
    int room = topic->part_room ? topic->part_room : 8;

    while (room <= partition)
        room *= 2;
    if (room == topic->part_room)
        return;
    topic->parts = must(reallocarray(topic->parts, (size_t)room, sizeof(*topic->parts)));
    for (int i = topic->part_room; i < room; i++)
        topic->parts[i] = -1;
    topic->part_room = room;
}

static int32_t part_of(struct lag_table *t, int32_t topic_index, int32_t partition)
{
    struct lag_topic *topic = t->topics[topic_index];
    struct lag_part *part;

    if (partition < 0 || partition >= TOPIC_PARTITIONS_MAX)
        return -1;
    if (partition < topic->part_room && topic->parts[partition] >= 0)
        return topic->parts[partition];
    if (t->part_count >= LAG_PARTITIONS_MAX)
        return -1;
    parts_grow(topic, partition);
    t->parts = room_for(t->parts, &t->part_room, t->part_count, sizeof(*t->parts));
    part = &t->parts[t->part_count];
    *part = (struct lag_part){ .topic = topic_index,
                               .partition = partition,
                               .leader = -1,
                               .end = OFFSET_UNKNOWN,
                               .high = OFFSET_UNKNOWN,
                               .start = OFFSET_UNKNOWN,
                               .end_epoch = -1,
                               .curve = { .size = LAG_CURVE_POINTS } };
    topic->parts[partition] = t->part_count;
    t->ends_stale = true;
    return t->part_count++;
}

int32_t lag_table_part(struct lag_table *t, const char *topic, int32_t partition)
{
    const int32_t index = lag_table_topic(t, topic);

    return index < 0 ? -1 : part_of(t, index, partition);
}

int32_t lag_table_part_find(struct lag_table *t, const char *topic, int32_t partition)
{
    int place;
    const int32_t index = topic_find(t, topic, &place);

    return index >= 0 && partition >= 0 && partition < t->topics[index]->part_room ? t->topics[index]->parts[partition]
                                                                                   : -1;
}

/* What was is no guide any more. */
static void part_forget(struct lag_part *part)
{
    curve_clear(&part->curve);
    part->start = OFFSET_UNKNOWN;
    part->start_ms = 0;
}

static void topic_remade(struct lag_table *t, struct lag_topic *topic, int64_t now_unix_ms)
{
    topic->remade_unix_ms = now_unix_ms;
    for (int i = 0; i < topic->part_room; i++)
        if (topic->parts[i] >= 0)
            part_forget(&t->parts[topic->parts[i]]);
}

/* A broker's word on a topic: which one it is, how many partitions it has, who leads them. */
void lag_table_described(struct lag_table *t, const rd_kafka_TopicDescription_t *d, int64_t now_ms, int64_t now_unix_ms)
{
    const int32_t index = lag_table_topic(t, rd_kafka_TopicDescription_name(d));
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(d);
    const rd_kafka_TopicPartitionInfo_t **infos;
    const rd_kafka_Uuid_t *id;
    struct lag_topic *topic;
    size_t count = 0;

    if (index < 0)
        return;
    topic = t->topics[index];
    topic->gone = error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    topic->described_ms = now_ms;
    if (error)
        return;
    id = rd_kafka_TopicDescription_topic_id(d);
    if (topic->id_high || topic->id_low)
        if (rd_kafka_Uuid_most_significant_bits(id) != topic->id_high ||
            rd_kafka_Uuid_least_significant_bits(id) != topic->id_low)
            topic_remade(t, topic, now_unix_ms);
    topic->id_high = rd_kafka_Uuid_most_significant_bits(id);
    topic->id_low = rd_kafka_Uuid_least_significant_bits(id);
    infos = rd_kafka_TopicDescription_partitions(d, &count);
    topic->partition_count = count < TOPIC_PARTITIONS_MAX ? (int)count : TOPIC_PARTITIONS_MAX;
    for (size_t i = 0; i < count; i++) {
        const int partition = rd_kafka_TopicPartitionInfo_partition(infos[i]);
        const rd_kafka_Node_t *leader = rd_kafka_TopicPartitionInfo_leader(infos[i]);

        if (partition >= 0 && partition < topic->part_room && topic->parts[partition] >= 0)
            t->parts[topic->parts[partition]].leader = leader ? rd_kafka_Node_id(leader) : -1;
    }
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static int entry_compare(const void *a, const void *b)
{
    return strcmp((*(struct lag_entry *const *)a)->known.name, (*(struct lag_entry *const *)b)->known.name);
}

struct lag_entry *lag_table_find(const struct lag_table *t, const char *name)
{
    int low = 0, high = t->group_count;

    while (low < high) {
        const int mid = low + (high - low) / 2, r = strcmp(t->groups[mid]->known.name, name);

        if (r == 0)
            return t->groups[mid];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

void lag_table_begin(struct lag_table *t)
{
    t->next_count = 0;
    for (int i = 0; i < t->group_count; i++)
        t->groups[i]->keep = false;
}

struct lag_entry *lag_table_keep(struct lag_table *t, const char *name)
{
    struct lag_entry *e = lag_table_find(t, name);

    if (e && e->keep)
        return e;
    if (strlen(name) > GROUP_NAME_MAX || t->next_count >= LAG_GROUPS_MAX)
        return NULL;
    if (!e) {
        e = must(calloc(1, sizeof(*e)));
        text_copy(e->known.name, sizeof(e->known.name), name);
        e->known.state = e->state = "Unknown";
        e->known.protocol = e->protocol = "";
        e->whole = 2; /* what it commits before it is in the table is not noticed */
    }
    e->keep = true;
    e->listed = e->read = e->failed = false;
    t->next_groups = room_for(t->next_groups, &t->next_room, t->next_count, sizeof(struct lag_entry *));
    t->next_groups[t->next_count++] = e;
    return e;
}

static int row_compare(const void *a, const void *b, void *opaque)
{
    const struct lag_table *t = opaque;
    const struct lag_part *l = &t->parts[((const struct lag_commits *)a)->part],
                          *r = &t->parts[((const struct lag_commits *)b)->part];

    if (l->topic != r->topic)
        return t->topics[l->topic]->rank < t->topics[r->topic]->rank ? -1 : 1;
    return (l->partition > r->partition) - (l->partition < r->partition);
}

static void rows_sort(struct lag_table *t, struct lag_commits *rows, int count)
{
    for (int i = 1; i < count; i++) {
        if (row_compare(&rows[i - 1], &rows[i], t) > 0) {
            qsort_r(rows, (size_t)count, sizeof(*rows), row_compare, t);
            return;
        }
    }
}

/*
 * Both sorted: what the group had before tells since when an offset is the one it is. The first time nothing is known of that;
 * the moment of reading is as good as any.
 */
static void rows_inherit(struct lag_table *t, const struct lag_entry *e, struct lag_commits *rows, int count)
{
    int old = 0;

    for (int i = 0; i < count; i++) {
        while (old < e->known.row_count && row_compare(&e->rows[old], &rows[i], t) < 0)
            old++;
        if (old < e->known.row_count && e->rows[old].part == rows[i].part) {
            if (rows[i].unread)
                rows[i].committed = e->rows[old].committed;
            if (e->rows[old].committed == rows[i].committed)
                rows[i].since_unix_ms = e->rows[old].since_unix_ms;
            if (rows[i].dirty < e->rows[old].dirty)
                rows[i].dirty = e->rows[old].dirty;
        }
    }
}

void lag_table_commits(struct lag_table *t, struct lag_entry *e, const rd_kafka_topic_partition_list_t *list,
                       int64_t now_unix_ms)
{
    const int count = list ? list->cnt : 0;
    struct lag_commits *rows = must(calloc((size_t)count + 1, sizeof(*rows)));
    int n = 0;

    for (int i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *got = &list->elems[i];
        const int32_t part = lag_table_part(t, got->topic, got->partition);

        if (part < 0 || (got->err == RD_KAFKA_RESP_ERR_NO_ERROR && got->offset < 0))
            continue;
        rows[n++] = (struct lag_commits){ .part = part,
                                          .epoch = rd_kafka_topic_partition_get_leader_epoch(got),
                                          .unread = got->err != RD_KAFKA_RESP_ERR_NO_ERROR,
                                          .dirty = got->err != RD_KAFKA_RESP_ERR_NO_ERROR,
                                          .committed = got->err ? OFFSET_UNKNOWN : got->offset,
                                          .news = OFFSET_UNKNOWN,
                                          .since_unix_ms = now_unix_ms };
    }
    rows_sort(t, rows, n);
    rows_inherit(t, e, rows, n);
    free(e->next);
    e->next = rows;
    e->next_count = n;
    e->read = true;
    e->failed = false;
    e->read_ms = clock_ms();
}

static struct lag_commits *row_find(struct lag_table *t, struct lag_commits *rows, int count, int32_t part)
{
    const struct lag_commits key = { .part = part };
    int low = 0, high = count;

    while (low < high) {
        const int mid = low + (high - low) / 2, r = row_compare(&rows[mid], &key, t);

        if (r == 0)
            return &rows[mid];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* What is known, to be changed. */
static void next_begin(struct lag_entry *e)
{
    const size_t count = (size_t)e->known.row_count;

    if (e->read)
        return;
    free(e->next);
    e->next = must(calloc(count + 1, sizeof(*e->next)));
    if (count > 0)
        memcpy(e->next, e->rows, count * sizeof(*e->next));
    e->next_count = e->known.row_count;
    e->read = true;
}

void lag_table_commits_again(struct lag_table *t, struct lag_entry *e, const rd_kafka_topic_partition_list_t *list,
                             int64_t now_unix_ms)
{
    if (e->failed)
        return; /* another part of the same question was not answered */
    next_begin(e);
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *got = &list->elems[i];
        const int32_t part = lag_table_part_find(t, got->topic, got->partition);
        struct lag_commits *row = part < 0 ? NULL : row_find(t, e->next, e->next_count, part);

        if (!row)
            continue;
        row->unread = got->err != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (row->unread)
            row->dirty = 1;
        else if (got->offset != row->committed) {
            row->committed = got->offset < 0 ? OFFSET_UNKNOWN : got->offset;
            row->since_unix_ms = now_unix_ms;
        }
        row->epoch = rd_kafka_topic_partition_get_leader_epoch(got);
    }
}

static struct lag_commits *row_followed(struct lag_table *t, struct lag_entry *e, int32_t part)
{
    const int next = e->after_last < e->known.row_count ? e->after_last : 0;
    struct lag_commits *row = NULL;

    if (e->known.row_count > 0)
        row = e->rows[next].part == part ? &e->rows[next] : row_find(t, e->rows, e->known.row_count, part);
    if (row)
        e->after_last = (int)(row - e->rows) + 1;
    return row;
}

void lag_table_followed(struct lag_table *t, const struct kafka_commit *commit, bool known)
{
    struct lag_commits *row;
    struct lag_entry *e;
    int32_t part;

    if (!t->last_entry || strcmp(t->last_entry->known.name, commit->group) != 0)
        t->last_entry = lag_table_find(t, commit->group);
    e = t->last_entry;
    if (!e)
        return; /* what it has committed is asked when it is listed */
    part = lag_table_part_find(t, commit->topic, commit->partition);
    row = part < 0 ? NULL : row_followed(t, e, part);
    if (!row) {
        e->whole = 2; /* it has not committed there before */
        return;
    }
    e->news = true;
    row->news = known && commit->offset >= 0 ? commit->offset : OFFSET_UNKNOWN;
    row->news_epoch = commit->epoch;
    if (row->news < 0)
        row->dirty = 2;
}

/* What was seen of the group since its rows were copied or read anew. */
static void rows_later(struct lag_table *t, struct lag_entry *e)
{
    int old = 0;

    for (int i = 0; i < e->next_count; i++) {
        while (old < e->known.row_count && row_compare(&e->rows[old], &e->next[i], t) < 0)
            old++;
        if (old >= e->known.row_count || e->rows[old].part != e->next[i].part)
            continue;
        e->next[i].news = e->rows[old].news;
        e->next[i].news_epoch = e->rows[old].news_epoch;
        if (e->next[i].dirty < e->rows[old].dirty)
            e->next[i].dirty = e->rows[old].dirty;
    }
}

void lag_table_news(struct lag_table *t, struct lag_entry *e, int64_t now_unix_ms)
{
    if (!e->news || e->failed)
        return;
    next_begin(e);
    rows_later(t, e);
    for (int i = 0; i < e->next_count; i++) {
        struct lag_commits *row = &e->next[i];

        if (row->news < 0)
            continue;
        if (row->committed != row->news)
            row->since_unix_ms = now_unix_ms;
        row->committed = row->news;
        row->epoch = row->news_epoch;
        row->unread = false;
        row->news = OFFSET_UNKNOWN;
    }
    for (int i = 0; i < e->known.row_count; i++)
        e->rows[i].news = OFFSET_UNKNOWN;
    e->news = false;
}

void lag_table_failed(struct lag_entry *e, rd_kafka_resp_err_t code)
{
    e->failed = true;
    e->read = false;
    snprintf(e->why, sizeof(e->why), "its commits could not be read: %s", rd_kafka_err2str(code));
}

/* What counts in this refresh: what was read, or else what is known. */
static const struct lag_commits *rows_now(const struct lag_entry *e, int *ret_count)
{
    *ret_count = e->read ? e->next_count : e->known.row_count;
    return e->read ? e->next : e->rows;
}

static int end_compare(const void *a, const void *b, void *opaque)
{
    const struct lag_commits l = { .part = *(const int32_t *)a }, r = { .part = *(const int32_t *)b };

    return row_compare(&l, &r, opaque);
}

void lag_table_wanted(struct lag_table *t)
{
    int count;

    for (int i = 0; i < t->part_count; i++) {
        struct lag_part *part = &t->parts[i];

        part->lagging = part->past_stable = false;
        part->read_end = part->read_high = OFFSET_UNKNOWN;
        part->read_epoch = -1;
        part->read_code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    for (int g = 0; g < t->next_count; g++) {
        const struct lag_commits *rows = rows_now(t->next_groups[g], &count);

        for (int i = 0; i < count; i++)
            t->parts[rows[i].part].lagging = true; /* a mark for the loop below */
    }
    for (int i = 0; i < t->part_count; i++) {
        t->ends_stale = t->ends_stale || t->parts[i].wanted != t->parts[i].lagging;
        t->parts[i].wanted = t->parts[i].lagging;
        t->parts[i].lagging = false;
    }
    if (!t->ends_stale)
        return;
    t->ends_stale = false;
    t->ends = must(reallocarray(t->ends, (size_t)t->part_count + 1, sizeof(*t->ends)));
    t->end_count = 0;
    for (int i = 0; i < t->part_count; i++)
        if (t->parts[i].wanted)
            t->ends[t->end_count++] = i;
    qsort_r(t->ends, (size_t)t->end_count, sizeof(*t->ends), end_compare, t);
}

void lag_table_troubled(struct lag_table *t, int64_t now_ms)
{
    int count;

    for (int g = 0; g < t->next_count; g++) {
        const struct lag_commits *rows = rows_now(t->next_groups[g], &count);

        for (int i = 0; i < count; i++) {
            struct lag_part *part = &t->parts[rows[i].part];

            if (rows[i].committed < 0 || part->read_end < 0)
                continue;
            if (rows[i].committed < part->read_end &&
                (part->start_ms == 0 || now_ms - part->start_ms >= LAG_START_FRESH_MS))
                part->lagging = true;
            if (rows[i].committed > part->read_end)
                part->past_stable = true;
        }
    }
}

/* --- making it known ---------------------------------------------------------------------------------------------- */

static void part_publish(struct lag_part *part, int64_t ends_ms)
{
    struct curve *c = &part->curve;

    /* another log of the same name, or a part of it is gone */
    if (part->read_end >= 0 && c->count > 0 && part->read_end < curve_at(c, c->count - 1).offset)
        part_forget(part);
    part->end = part->read_end;
    part->high = part->read_high;
    part->end_epoch = part->read_epoch;
    part->code = part->read_code;
    if (part->end < 0)
        return;
    if (curve_full(c)) {
        const int room = c->room ? (c->room * 2 < c->size ? c->room * 2 : c->size) : 4;
        struct curve_point *old = c->points, *points = must(calloc((size_t)room, sizeof(*points)));

        curve_move(c, points, room);
        free(old);
    }
    curve_add(c, part->end, ends_ms);
}

/* Partitions of the group's topics in which it has committed nothing. */
static void rows_fill(struct lag_table *t, struct lag_entry *e)
{
    struct lag_commits *rows;
    int missing = 0, n = 0;

    for (int i = 0; i < e->next_count;) {
        const int32_t topic = t->parts[e->next[i].part].topic;
        const int begin = i;

        while (i < e->next_count && t->parts[e->next[i].part].topic == topic)
            i++;
        if (t->topics[topic]->partition_count > i - begin)
            missing += t->topics[topic]->partition_count - (i - begin);
    }
    if (missing == 0)
        return;
    rows = must(calloc((size_t)(e->next_count + missing), sizeof(*rows)));
    for (int i = 0; i < e->next_count;) {
        const int32_t topic = t->parts[e->next[i].part].topic;
        const int count = t->topics[topic]->partition_count;

        for (int32_t p = 0;; p++) {
            const bool mine = i < e->next_count && t->parts[e->next[i].part].topic == topic;

            if (mine && t->parts[e->next[i].part].partition == p)
                rows[n++] = e->next[i++];
            else if (mine || p < count) {
                const int32_t part = p < count && n < e->next_count + missing ? part_of(t, topic, p) : -1;

                if (part >= 0)
                    rows[n++] = (struct lag_commits){
                        .part = part, .epoch = -1, .committed = OFFSET_UNKNOWN, .news = OFFSET_UNKNOWN
                    };
            } else
                break;
        }
    }
    free(e->next);
    e->next = rows;
    e->next_count = n;
}

static void time_lag_worse(struct time_lag *worst, struct time_lag one)
{
    if (one.state != TIME_LAG_UNKNOWN && (worst->state == TIME_LAG_UNKNOWN || one.ms > worst->ms))
        *worst = one;
}

static void entry_sum(const struct lag_table *t, struct lag_entry *e, int64_t ends_ms)
{
    struct lag_group *g = &e->known;
    bool ageless = false; /* somebody is behind, and it is not known how long */

    g->lag = g->lost = 0;
    g->unknown = 0;
    g->time = (struct time_lag){ .state = TIME_LAG_UNKNOWN };
    for (int i = 0; i < g->row_count; i++) {
        const struct lag_row row = lag_table_row(t, e, i, ends_ms);

        if (row.lag.state != LAG_KNOWN) {
            g->unknown++;
            continue;
        }
        if (__builtin_add_overflow(g->lag, row.lag.records, &g->lag))
            g->lag = INT64_MAX;
        if (__builtin_add_overflow(g->lost, row.lag.lost, &g->lost))
            g->lost = INT64_MAX;
        time_lag_worse(&g->time, row.time);
        ageless = ageless || row.time.state == TIME_LAG_UNKNOWN;
    }
    if (ageless)
        g->time.state = g->time.ms > 0 ? TIME_LAG_AT_LEAST : TIME_LAG_UNKNOWN;
}

static void entry_publish(struct lag_table *t, struct lag_entry *e)
{
    e->failed_last = e->failed;
    e->known.state = e->state;
    e->known.protocol = e->protocol;
    text_copy(e->known.trouble, sizeof(e->known.trouble), e->failed ? e->why : "");
    if (!e->read)
        return;
    rows_fill(t, e);
    if (e->news)
        rows_later(t, e);
    free(e->rows);
    e->rows = e->next;
    e->known.row_count = e->next_count;
    e->next = NULL;
    e->next_count = 0;
    e->read = false;
}

void lag_table_publish(struct lag_table *t, int64_t ends_ms)
{
    for (int i = 0; i < t->part_count; i++)
        if (t->parts[i].wanted)
            part_publish(&t->parts[i], ends_ms);
    for (int i = 0; i < t->group_count; i++)
        if (!t->groups[i]->keep)
            entry_free(t->groups[i]);
    t->last_entry = NULL;
    free(t->groups);
    t->groups = t->next_groups;
    t->group_count = t->next_count;
    t->next_groups = NULL;
    t->next_count = t->next_room = 0;
    if (t->group_count > 0)
        qsort(t->groups, (size_t)t->group_count, sizeof(struct lag_entry *), entry_compare);
    for (int i = 0; i < t->group_count; i++) {
        entry_publish(t, t->groups[i]);
        entry_sum(t, t->groups[i], ends_ms);
    }
}

struct lag_row lag_table_row(const struct lag_table *t, const struct lag_entry *e, int i, int64_t ends_ms)
{
    const struct lag_commits *commits = &e->rows[i];
    const struct lag_part *part = &t->parts[commits->part];
    const struct lag_topic *topic = t->topics[part->topic];
    /* who has committed past the last stable offset reads what is not yet decided */
    const int64_t end = commits->committed > part->end && part->high >= 0 && part->end >= 0 ? part->high : part->end;
    const struct lag_facts facts = {
        .committed = commits->committed,
        .end = end,
        .log_start = part->start,
        .committed_epoch = commits->epoch,
        .end_epoch = part->end_epoch,
        .unread = commits->unread || e->failed_last,
        .remade = topic->remade_unix_ms > commits->since_unix_ms,
        .gone = topic->gone,
    };
    struct lag_row ret = {
        .topic = topic->name,
        .partition = part->partition,
        .committed = commits->committed,
        .committed_unix_ms = commits->committed < 0 ? 0 : commits->since_unix_ms,
        .end = end,
        .log_start = part->start,
        .lag = lag_of(&facts),
        .time = { .state = TIME_LAG_UNKNOWN },
        .why = "",
    };

    if (ret.lag.state == LAG_NO_END && part->code)
        ret.why = rd_kafka_err2str(part->code);
    else if (ret.lag.state == LAG_UNREAD)
        ret.why = e->known.trouble;
    if (ret.lag.state == LAG_KNOWN && ret.lag.records == 0)
        ret.time.state = TIME_LAG_KNOWN;
    else if (ret.lag.state == LAG_KNOWN && end == part->end) /* the curve knows nothing of what is not yet decided */
        ret.time = curve_time_lag(&part->curve, end - ret.lag.records, ends_ms);
    return ret;
}
