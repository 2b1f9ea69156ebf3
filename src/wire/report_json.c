/*
 * report_json - what a member says of itself, as a record of baton.reports.
 *
 * Partitions that are in one state and follow each other make a run (runs.h). Times are told as "so many microseconds
 * before this report was made": short while they matter, and no number is lost. Entries of topics that the reader's
 * fleet does not know are dropped: the member has read a newer document.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"
#include "wire/runs.h"

/* The columns of a run, one row each: how a number of a part is called, bounded and left out. */
enum column_kind { COLUMN_OFFSET, COLUMN_COUNT32, COLUMN_TIME };
static const struct {
    const char *key;
    enum column_kind kind;
    size_t at;
} columns[] = {
    { "position", COLUMN_OFFSET, offsetof(struct report_part, position) },
    { "committed", COLUMN_OFFSET, offsetof(struct report_part, committed) },
    { "in_flight", COLUMN_COUNT32, offsetof(struct report_part, in_flight) },
    { "doubt", COLUMN_OFFSET, offsetof(struct report_part, doubt) },
    { "given_again", COLUMN_COUNT32, offsetof(struct report_part, given_again) },
    { "first", COLUMN_OFFSET, offsetof(struct report_part, first) },
    { "stopped_us_ago", COLUMN_TIME, offsetof(struct report_part, stopped_unix_us) },
    { "drained_us_ago", COLUMN_TIME, offsetof(struct report_part, drained_unix_us) },
    { "attached_us_ago", COLUMN_TIME, offsetof(struct report_part, attached_unix_us) },
    { "first_us_ago", COLUMN_TIME, offsetof(struct report_part, first_unix_us) },
};

/* A time that has not come is told as the one difference that no two times from 0 on have. */
#define AGO_NONE INT64_MIN

/* A process that did a thousand million records a second would get here in a hundred days; no sum of buckets overflows. */
#define SIGNALS_COUNT_MAX (INT64_C(1) << 53)

static int64_t column_none(enum column_kind kind)
{
    return kind == COLUMN_OFFSET ? OFFSET_NONE : kind == COLUMN_COUNT32 ? 0 : AGO_NONE;
}

static int64_t column_get(const struct report_part *p, size_t column, int64_t sent_unix_us)
{
    const char *at = (const char *)p + columns[column].at;
    int64_t value;

    if (columns[column].kind == COLUMN_COUNT32)
        return *(const int32_t *)at;
    value = *(const int64_t *)at;
    if (columns[column].kind == COLUMN_TIME)
        return value == 0 ? AGO_NONE : sent_unix_us - value;
    return value;
}

static bool same_run(const struct report_part *a, const struct report_part *b)
{
    return a->topic == b->topic && a->order == b->order && a->local == b->local && a->owned == b->owned;
}

static void put_run(struct json_out *o, const struct fleet *f, const struct report *r, const struct report_part *p,
                    int count)
{
    int64_t values[RUN_MAX];

    json_open(o, NULL, '{');
    json_put_text(o, "topic", f->spec.topics[p->topic]);
    run_put_partitions(o, p->partition, count);
    json_put_text(o, "local", local_state_name(p->local));
    json_put_bool(o, "owned", p->owned);
    json_put_uint(o, "order", p->order);
    for (size_t c = 0; c < ARRAY_COUNT(columns); c++) {
        for (int i = 0; i < count; i++)
            values[i] = column_get(&p[i], c, r->sent_unix_us);
        column_put(o, columns[c].key, values, count, column_none(columns[c].kind));
    }
    json_close(o, '}');
}

/* Pairs of bucket and count: a few dozen of the buckets are ever used. */
static void put_histogram(struct json_out *o, const char *key, const struct histogram *h)
{
    if (histogram_count(h) == 0)
        return;
    json_open(o, key, '{');
    json_put_uint(o, "sum_us", h->sum_us);
    json_open(o, "buckets", '[');
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->counts[i] > 0) {
            json_put_int(o, NULL, i);
            json_put_uint(o, NULL, h->counts[i]);
        }
    json_close(o, ']');
    json_close(o, '}');
}

static void put_signals(struct json_out *o, const struct signals *s)
{
    json_open(o, "signals", '{');
    json_open(o, "failed", '[');
    for (int i = 0; i < s->failed_count; i++) {
        json_open(o, NULL, '{');
        json_put_text(o, "class", s->failed[i].name);
        json_put_uint(o, "count", s->failed[i].count);
        json_close(o, '}');
    }
    json_close(o, ']');
    put_histogram(o, "processing", &s->processing);
    put_histogram(o, "poll_gap", &s->poll_gap);
    put_histogram(o, "metadata", &s->metadata);
    json_close(o, '}');
}

static void put_works(struct json_out *o, const struct fleet *f, const struct report *r)
{
    json_open(o, "work", '[');
    for (int i = 0; i < r->work_count;) {
        const int topic = r->works[i].topic;

        json_open(o, NULL, '{');
        json_put_text(o, "topic", f->spec.topics[topic]);
        json_open(o, "parts", '[');
        for (; i < r->work_count && r->works[i].topic == topic; i++)
            work_put(o, r->works[i].partition, &r->works[i].work);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
}

int report_encode(struct str *ret, const struct report *r, const struct fleet *f, struct errmsg *m)
{
    struct json_out o;
    size_t start;
    int error;

    for (int i = 0; i < r->part_count; i++)
        if (r->parts[i].topic >= f->spec.topic_count) /* the fleet was deleted and made again meanwhile */
            return err_set(m, ERR_STATE, "a partition is of topic %d, the fleet has %d", r->parts[i].topic,
                           f->spec.topic_count);
    for (int i = 0; i < r->work_count; i++)
        ASSERT(r->works[i].topic < f->spec.topic_count); /* they are of parts */
    o = record_begin(ret, &start);
    json_put_text(&o, "fleet", r->fleet);
    json_put_text(&o, "color", color_name(r->color));
    json_put_text(&o, "incarnation", r->incarnation);
    json_put_text(&o, "member_id", r->member_id);
    json_put_text(&o, "client_id", r->client_id);
    json_put_text(&o, "host", r->host);
    json_put_text(&o, "version", r->version);
    json_put_text(&o, "library", r->library);
    json_put_uint(&o, "sequence", r->sequence);
    json_open(&o, "applied", '{');
    record_put_version(&o, r->applied);
    json_close(&o, '}');
    json_put_bool(&o, "ready", r->ready);
    json_put_bool(&o, "goodbye", r->goodbye);
    json_put_bool(&o, "eager", r->eager);
    json_put_text(&o, "assignor", r->assignor);
    json_put_text(&o, "instance_id", r->instance_id);
    json_put_int(&o, "report_interval_ms", r->report_interval_ms);
    json_put_int(&o, "sent_unix_us", r->sent_unix_us);
    json_put_int(&o, "heard_written_unix_us", r->heard_written_unix_us);
    json_put_int(&o, "heard_unix_us", r->heard_unix_us);
    json_put_uint(&o, "records_done", r->records_done);
    json_put_uint(&o, "records_gated", r->records_gated);
    json_put_uint(&o, "stale_ignored", r->stale_ignored);
    if (r->signals)
        put_signals(&o, r->signals);
    json_open(&o, "parts", '[');
    for (int i = 0; i < r->part_count;) {
        const struct report_part *p = &r->parts[i];
        int count = 1;

        while (i + count < r->part_count && count < RUN_MAX && p[count].partition == p->partition + count &&
               same_run(p, &p[count]))
            count++;
        put_run(&o, f, r, p, count);
        i += count;
    }
    json_close(&o, ']');
    if (r->work_count > 0)
        put_works(&o, f, r);
    error = record_end(&o, start, m, "the report");
    if (error == ERR_TOO_LARGE)
        return err_wrap(m, error, "member %.40s owns %d partitions: start more members", r->client_id, r->part_count);
    return error;
}

static void read_member(struct report *r, const struct json_at *record)
{
    struct json_at applied;

    json_copy_text(record, "fleet", r->fleet, sizeof(r->fleet));
    json_name(record, "color", &r->color, color_parse);
    json_copy_text(record, "incarnation", r->incarnation, sizeof(r->incarnation));
    json_copy_text(record, "member_id", r->member_id, sizeof(r->member_id));
    json_copy_text(record, "client_id", r->client_id, sizeof(r->client_id));
    json_copy_text(record, "host", r->host, sizeof(r->host));
    json_copy_text(record, "version", r->version, sizeof(r->version));
    json_copy_text(record, "library", r->library, sizeof(r->library));
    r->sequence = (uint64_t)record_count(record, "sequence");
    if (json_object_member(&applied, record, "applied")) {
        r->applied.term = json_int(&applied, "term", -1, INT64_MAX);
        r->applied.epoch = (uint64_t)record_count(&applied, "epoch");
    }
    r->ready = json_flag(record, "ready");
    r->goodbye = json_flag(record, "goodbye");
    r->eager = json_flag(record, "eager");
    json_copy_text(record, "assignor", r->assignor, sizeof(r->assignor));
    json_copy_text(record, "instance_id", r->instance_id, sizeof(r->instance_id));
    r->report_interval_ms = record_count(record, "report_interval_ms");
    r->sent_unix_us = record_count(record, "sent_unix_us");
    r->heard_written_unix_us = record_count(record, "heard_written_unix_us");
    r->heard_unix_us = record_count(record, "heard_unix_us");
    r->records_done = (uint64_t)record_count(record, "records_done");
    r->records_gated = (uint64_t)record_count(record, "records_gated");
    r->stale_ignored = (uint64_t)record_count(record, "stale_ignored");
}

static void read_histogram(struct histogram *h, const struct json_at *signals, const char *key)
{
    struct json_at at, buckets;
    int64_t last = -1;

    if (!json_has(signals, key) || !json_object_member(&at, signals, key) ||
        !json_array_member(&buckets, &at, "buckets", 2 * HISTOGRAM_BUCKETS))
        return;
    if (json_array_size(buckets.value) > 0) /* a sum of nothing is none */
        h->sum_us = (uint64_t)record_count(&at, "sum_us");
    if (json_array_size(buckets.value) % 2 != 0)
        json_fail(&at, "buckets", "they are not pairs of bucket and count");
    for (size_t i = 0; i + 1 < json_array_size(buckets.value) && !at.reader->error; i += 2) {
        const struct json_at bucket = json_item(&buckets, i), count = json_item(&buckets, i + 1);

        last = json_int(&bucket, NULL, last + 1, HISTOGRAM_BUCKETS - 1);
        if (!at.reader->error)
            h->counts[last] = (uint64_t)json_int(&count, NULL, 1, SIGNALS_COUNT_MAX);
    }
}

static void read_failed(struct signals *s, const struct json_at *signals)
{
    struct json_at list;

    if (!json_array_member(&list, signals, "failed", FAILURE_CLASSES_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !list.reader->error; i++) {
        const struct json_at one = json_item(&list, i);
        struct failure_class *f = &s->failed[s->failed_count++];

        json_copy_text(&one, "class", f->name, sizeof(f->name));
        f->count = (uint64_t)json_int(&one, "count", 0, SIGNALS_COUNT_MAX);
        if (!id_valid(f->name, FAILURE_CLASS_MAX))
            json_fail(&one, "class", "it is not of letters, digits, '-', '_' and '.'");
        for (int k = 0; k < s->failed_count - 1; k++)
            if (strcmp(s->failed[k].name, f->name) == 0)
                json_fail(&one, "class", "'%s' stands there twice", f->name);
    }
}

static void read_signals(struct report *r, const struct json_at *record)
{
    struct json_at at;

    if (!json_has(record, "signals") || !json_object_member(&at, record, "signals"))
        return;
    r->signals = calloc(1, sizeof(*r->signals));
    if (!r->signals) {
        record->reader->error = err_set(record->reader->m, ERR_NOMEM, "read a report");
        return;
    }
    read_failed(r->signals, &at);
    read_histogram(&r->signals->processing, &at, "processing");
    read_histogram(&r->signals->poll_gap, &at, "poll_gap");
    read_histogram(&r->signals->metadata, &at, "metadata");
}

static void read_column(struct report_part *p, const struct json_at *run, size_t column, int count,
                        int64_t sent_unix_us)
{
    const enum column_kind kind = columns[column].kind;
    const int64_t none = column_none(kind);
    /* A time is from 1 to INT64_MAX: so far it may lie before or behind this report. */
    const int64_t min = kind == COLUMN_TIME ? sent_unix_us - INT64_MAX : 0;
    const int64_t max = kind == COLUMN_TIME ? sent_unix_us - 1 : kind == COLUMN_COUNT32 ? INT32_MAX : INT64_MAX;
    int64_t values[RUN_MAX];

    column_read(run, columns[column].key, values, count, min, max, none);
    for (int i = 0; i < count; i++) {
        char *at = (char *)&p[i] + columns[column].at;

        if (kind == COLUMN_COUNT32)
            *(int32_t *)at = (int32_t)values[i];
        else if (kind == COLUMN_TIME)
            *(int64_t *)at = values[i] == none ? 0 : sent_unix_us - values[i];
        else
            *(int64_t *)at = values[i];
    }
}

static bool reserve_parts(struct report *r, int more)
{
    struct report_part *parts;
    int room = r->part_max > 0 ? r->part_max : 16;

    while (room < r->part_count + more)
        room *= 2;
    parts = room > r->part_max ? realloc(r->parts, (size_t)room * sizeof(*parts)) : r->parts;
    if (!parts)
        return false;
    r->parts = parts;
    r->part_max = room;
    return true;
}

static void read_run(struct report *r, const struct fleet *f, const struct json_at *run, struct partition_set *seen)
{
    const int room = BATONS_MAX - r->part_count;
    const char *topic = json_text(run, "topic");
    const int topic_index = fleet_topic(f, topic);
    struct report_part part = { .topic = (uint16_t)topic_index };
    struct report_part *p;
    int count = run_partitions(run, &part.partition, room < RUN_MAX ? room : RUN_MAX);

    json_name(run, "local", &part.local, local_state_parse);
    part.owned = json_flag(run, "owned");
    part.order = (uint64_t)record_count(run, "order");
    if (run->reader->error || topic_index < 0)
        return;
    if (!reserve_parts(r, count)) {
        run->reader->error = err_set(run->reader->m, ERR_NOMEM, "read a report");
        return;
    }
    p = &r->parts[r->part_count];
    for (int i = 0; i < count; i++) {
        const enum partition_added added = partition_set_add(seen, topic_index, part.partition + i);

        if (added == PARTITION_KNOWN)
            json_fail(run, "partitions", "%.80s/%d stands there twice", topic, (int)(part.partition + i));
        if (added == PARTITION_NOMEM)
            run->reader->error = err_set(run->reader->m, ERR_NOMEM, "read a report");
        p[i] = part;
        p[i].partition += i;
    }
    for (size_t c = 0; c < ARRAY_COUNT(columns); c++)
        read_column(p, run, c, count, r->sent_unix_us);
    r->part_count += count;
}

static void read_work(struct report *r, const struct json_at *list, int topic)
{
    struct part_work w = { .topic = (uint16_t)topic };

    w.partition = work_read(&w.work, list, INT32_MAX);
    for (int i = 0; i < r->work_count; i++)
        if (r->works[i].topic == w.topic && r->works[i].partition == w.partition)
            json_fail(list, NULL, "partition %d stands there twice", (int)w.partition);
    if (!list->reader->error && topic >= 0 && r->work_count < WORK_PARTS_MAX)
        r->works[r->work_count++] = w;
}

/* Of topics that this reader does not know nothing is kept. */
static void read_works(struct report *r, const struct fleet *f, const struct json_at *record)
{
    struct json_at topics, parts;

    if (!json_has(record, "work") || !json_array_member(&topics, record, "work", WORK_PARTS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(topics.value) && !record->reader->error; i++) {
        const struct json_at one = json_item(&topics, i);
        const int topic = fleet_topic(f, json_text(&one, "topic"));
        struct part_work *works;

        if (!json_array_member(&parts, &one, "parts", WORK_PARTS_MAX))
            return;
        works = realloc(r->works, ((size_t)r->work_count + json_array_size(parts.value) + 1) * sizeof(*works));
        if (!works) {
            record->reader->error = err_set(record->reader->m, ERR_NOMEM, "read a report");
            return;
        }
        r->works = works;
        for (size_t k = 0; k < json_array_size(parts.value) && !record->reader->error; k++) {
            const struct json_at part = json_item(&parts, k);

            read_work(r, &part, topic);
        }
    }
}

static void read_report(struct report *r, const struct fleet *f, const struct json_at *record)
{
    struct partition_set seen = { 0 };
    struct json_at list;

    read_member(r, record);
    read_signals(r, record);
    read_works(r, f, record);
    if (!fleet_name_valid(r->fleet) || (f->spec.fleet[0] && strcmp(f->spec.fleet, r->fleet) != 0))
        json_fail(record, "fleet", "'%.63s' is not '%s'", r->fleet, f->spec.fleet);
    if (!id_valid(r->incarnation, INCARNATION_MAX))
        json_fail(record, "incarnation", "it is not of letters, digits, '-', '_' and '.'");
    if (!json_array_member(&list, record, "parts", BATONS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !record->reader->error; i++) {
        const struct json_at run = json_item(&list, i);

        read_run(r, f, &run, &seen);
    }
    partition_set_deinit(&seen);
}

int report_decode(struct report **ret, const struct fleet *f, const char *json, size_t len, struct errmsg *m)
{
    struct report *report;
    struct json_reader reader;
    struct json_at record;
    json_t *tree;
    int r = record_read(&tree, &record, &reader, json, len, m);

    if (r < 0)
        return r;
    report = calloc(1, sizeof(*report));
    if (report)
        read_report(report, f, &record);
    else
        reader.error = err_set(m, ERR_NOMEM, "read a report");
    json_decref(tree);
    if (reader.error) {
        report_free(report);
        return reader.error;
    }
    *ret = report;
    return ERR_OK;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    free(r->parts);
    free(r->signals);
    free(r->works);
    free(r);
}
