/*
 * doc_json - the fleet document as records: a head with its batons, or a head and shards of SHARD_BATONS.
 *
 * The index of a baton is its identity, so their order survives exactly: neighbours that follow each other in the
 * table and agree in all names become one run (runs.h), nothing is sorted. A shard is written before its head, so it
 * must be read before anybody has the head: it brings the topics' names along.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"
#include "wire/runs.h"
#include "wire/spec.h"
#include "wire/spec_tree.h"

static bool same_run(const struct baton *a, const struct baton *b)
{
    return a->topic == b->topic && a->state == b->state && a->holder == b->holder && a->epoch == b->epoch &&
           a->order == b->order && a->taken == b->taken;
}

/* Written only where it is not what the state says by itself. */
static bool taken_by_state(enum right state)
{
    return state != RIGHT_GRANTED;
}

static void put_run(struct json_out *o, const struct fleet *f, const struct baton *b, int count)
{
    int64_t from[RUN_MAX], doubt[RUN_MAX];

    for (int i = 0; i < count; i++) {
        from[i] = b[i].from;
        doubt[i] = b[i].doubt;
    }
    json_open(o, NULL, '{');
    json_put_text(o, "topic", f->spec.topics[b->topic]);
    run_put_partitions(o, b->partition, count);
    json_put_text(o, "state", right_name(b->state));
    json_put_text(o, "holder", color_name(b->holder));
    json_put_uint(o, "epoch", b->epoch);
    json_put_uint(o, "order", b->order);
    if (b->taken != taken_by_state(b->state))
        json_put_bool(o, "taken", b->taken);
    column_put(o, "from", from, count, OFFSET_NONE);
    column_put(o, "doubt", doubt, count, OFFSET_NONE);
    json_close(o, '}');
}

static void put_batons(struct json_out *o, const struct fleet *f, int first, int count)
{
    json_open(o, "batons", '[');
    for (int i = first; i < first + count;) {
        const struct baton *b = &f->batons[i];
        int run = 1;

        ASSERT(b->topic < f->spec.topic_count);
        while (i + run < first + count && b[run].partition == b->partition + run && same_run(b, &b[run]))
            run++;
        put_run(o, f, b, run);
        i += run;
    }
    json_close(o, ']');
}

static int head_encode(struct str *ret, const struct fleet *f, struct errmsg *m)
{
    json_t *spec = spec_to_json(&f->spec);
    struct json_out o;
    size_t start;

    if (!spec)
        return err_set(m, ERR_NOMEM, "write the document of '%s'", f->spec.fleet);
    o = record_begin(ret, &start);
    record_put_version(&o, f->version);
    json_put_text(&o, "fleet", f->spec.fleet);
    json_put_text(&o, "phase", phase_name(f->phase));
    json_put_text(&o, "active", color_name(f->active));
    json_open(&o, "switch", '{');
    json_put_uint(&o, "number", f->switch_number);
    json_put_int(&o, "deadline_unix_ms", f->deadline_unix_ms);
    json_put_text(&o, "reason", f->reason);
    json_close(&o, '}');
    if (f->failed_count > 0) {
        json_open(&o, "failed", '[');
        for (int i = 0; i < f->failed_count; i++) {
            json_open(&o, NULL, '{');
            json_put_text(&o, "version", f->failed[i].version);
            json_put_uint(&o, "number", f->failed[i].number);
            json_close(&o, '}');
        }
        json_close(&o, ']');
    }
    if (f->speakers[BLUE][0] || f->speakers[GREEN][0]) {
        json_open(&o, "speakers", '{');
        for (int c = 0; c < COLOR_COUNT; c++)
            json_put_text(&o, color_name((enum color)c), f->speakers[c]);
        json_close(&o, '}');
    }
    json_put_int(&o, "written_unix_us", f->written_unix_us);
    json_put_tree(&o, "spec", spec);
    json_put_int(&o, "baton_count", f->baton_count);
    if (f->baton_count <= SHARD_BATONS)
        put_batons(&o, f, 0, f->baton_count);
    json_decref(spec);
    return record_end(&o, start, m, "the head of a fleet document");
}

int fleet_encode(struct str *ret, const struct fleet *f, int shard, struct errmsg *m)
{
    const int first = shard * SHARD_BATONS;
    struct json_out o;
    size_t start;
    int count;

    if (shard < 0)
        return head_encode(ret, f, m);
    ASSERT(f->baton_count > SHARD_BATONS && first < f->baton_count);
    count = f->baton_count - first < SHARD_BATONS ? f->baton_count - first : SHARD_BATONS;
    o = record_begin(ret, &start);
    record_put_version(&o, f->version);
    json_put_text(&o, "fleet", f->spec.fleet);
    json_put_int(&o, "shard", shard);
    json_open(&o, "topics", '[');
    for (int i = 0; i < f->spec.topic_count; i++)
        json_put_text(&o, NULL, f->spec.topics[i]);
    json_close(&o, ']');
    put_batons(&o, f, first, count);
    return record_end(&o, start, m, "a shard of a fleet document");
}

/* One entry of "batons" onto the end of f's table. */
static void read_run(struct fleet *f, const struct json_at *at, int count_max, struct partition_set *seen)
{
    const int64_t epoch_max = (int64_t)f->version.epoch;
    const char *topic = json_text(at, "topic");
    int64_t from[RUN_MAX], doubt[RUN_MAX];
    struct baton b = { 0 };
    int topic_index = fleet_topic(f, topic), count;

    if (topic_index < 0)
        json_fail(at, "topic", "'%.80s' is none of the fleet's topics", topic);
    count = run_partitions(at, &b.partition, count_max);
    json_name(at, "state", &b.state, right_parse);
    json_name(at, "holder", &b.holder, color_parse);
    b.epoch = (uint64_t)json_int(at, "epoch", 1, epoch_max);
    b.order = (uint64_t)json_int(at, "order", (int64_t)b.epoch, epoch_max);
    b.taken = json_flag_or(at, "taken", taken_by_state(b.state));
    column_read(at, "from", from, count, 0, INT64_MAX, OFFSET_NONE);
    column_read(at, "doubt", doubt, count, 0, INT64_MAX, OFFSET_NONE);
    for (int i = 0; i < count && !at->reader->error; i++) {
        struct baton *to = &f->batons[f->baton_count];
        const enum partition_added added = partition_set_add(seen, topic_index, b.partition + i);

        if (from[i] == OFFSET_NONE)
            json_fail(at, "from", "partition %d has none", (int)(b.partition + i));
        if (added == PARTITION_KNOWN)
            json_fail(at, "partitions", "%.80s/%d stands there twice", topic, (int)(b.partition + i));
        if (added == PARTITION_NOMEM)
            at->reader->error = err_set(at->reader->m, ERR_NOMEM, "read batons");
        if (!at->reader->error && f->baton_count == f->baton_max)
            at->reader->error = err_set(at->reader->m, ERR_TOO_LARGE, "more than %d batons", f->baton_max);
        if (at->reader->error)
            return;
        *to = b;
        to->topic = (uint16_t)topic_index;
        to->partition = b.partition + i;
        to->from = from[i];
        to->doubt = doubt[i];
        f->baton_count++;
    }
}

/* All of "batons"; at least one when `some`. */
static void read_batons(struct fleet *f, const struct json_at *record, bool some)
{
    struct partition_set seen = { 0 };
    struct json_at list;

    f->baton_count = 0;
    if (!json_array_member(&list, record, "batons", SHARD_BATONS))
        return;
    if (some && json_array_size(list.value) == 0)
        json_fail(record, "batons", "there is none");
    for (size_t i = 0; i < json_array_size(list.value) && !record->reader->error; i++) {
        const struct json_at at = json_item(&list, i);

        read_run(f, &at, SHARD_BATONS - f->baton_count, &seen);
    }
    partition_set_deinit(&seen);
}

static void read_failed(struct fleet *f, const struct json_at *record)
{
    struct json_at list;

    f->failed_count = 0;
    if (!json_has(record, "failed") || !json_array_member(&list, record, "failed", FAILED_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !record->reader->error; i++) {
        const struct json_at item = json_item(&list, i);
        struct failed_version *failed = &f->failed[f->failed_count++];

        json_copy_text(&item, "version", failed->version, sizeof(failed->version));
        failed->number = (uint32_t)json_int(&item, "number", 1, UINT32_MAX);
    }
}

static void read_speakers(struct fleet *f, const struct json_at *record)
{
    struct json_at speakers;

    memset(f->speakers, 0, sizeof(f->speakers));
    if (!json_has(record, "speakers") || !json_object_member(&speakers, record, "speakers"))
        return;
    for (int c = 0; c < COLOR_COUNT; c++)
        json_copy_text(&speakers, color_name((enum color)c), f->speakers[c], sizeof(f->speakers[c]));
}

static void read_head(struct doc *doc, const struct json_at *record)
{
    struct fleet *f = &doc->fleet;
    struct json_at op, spec;
    int count;

    json_name(record, "phase", &f->phase, phase_parse);
    json_name(record, "active", &f->active, color_parse);
    if (json_object_member(&op, record, "switch")) {
        f->switch_number = (uint32_t)json_int(&op, "number", 0, UINT32_MAX);
        f->deadline_unix_ms = record_count(&op, "deadline_unix_ms");
        json_copy_text(&op, "reason", f->reason, sizeof(f->reason));
    }
    read_failed(f, record);
    read_speakers(f, record);
    f->written_unix_us = record_count(record, "written_unix_us");
    if (json_object_member(&spec, record, "spec"))
        spec_from_record(&f->spec, &spec);
    if (!record->reader->error && strcmp(f->spec.fleet, json_text(record, "fleet")) != 0)
        json_fail(record, "spec.fleet", "it is not that of the record");
    count = (int)json_int(record, "baton_count", 0, BATONS_MAX);
    if (count > SHARD_BATONS) {
        doc->kind = DOC_HEAD;
        f->baton_count = count;
        return;
    }
    doc->kind = DOC_WHOLE;
    if (count > f->baton_max && !record->reader->error)
        record->reader->error =
            err_set(record->reader->m, ERR_TOO_LARGE, "%d batons, there is room for %d", count, f->baton_max);
    read_batons(f, record, false);
    if (f->baton_count != count)
        json_fail(record, "batons", "%d batons where baton_count says %d", f->baton_count, count);
}

/* A shard's own list of topics, which must agree with the head's as far as both go: topics are only ever appended. */
static void read_topics(struct fleet *f, const struct json_at *record, const struct fleet *head)
{
    struct json_at list;

    if (!json_array_member(&list, record, "topics", TOPICS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !record->reader->error; i++) {
        const struct json_at at = json_item(&list, i);
        const int index = f->spec.topic_count;

        json_copy_text(&at, NULL, f->spec.topics[index], sizeof(f->spec.topics[index]));
        if (!record->reader->error && fleet_topic(f, f->spec.topics[index]) >= 0)
            json_fail(&at, NULL, "'%.80s' stands there twice", f->spec.topics[index]);
        if (head && head->exists && index < head->spec.topic_count &&
            strcmp(head->spec.topics[index], f->spec.topics[index]) != 0)
            json_fail(&at, NULL, "the head has '%.80s' there", head->spec.topics[index]);
        f->spec.topic_count++;
    }
}

static void read_doc(struct doc *doc, const struct json_at *record, const struct record_key *key,
                     const struct fleet *head)
{
    struct fleet *f = &doc->fleet;

    doc->version = record_version(record);
    f->version = f->applied = doc->version;
    if (strcmp(json_text(record, "fleet"), key->fleet) != 0)
        json_fail(record, "fleet", "it is not '%s', as the key says", key->fleet);
    if (key->kind == RECORD_HEAD) {
        read_head(doc, record);
        return;
    }
    doc->kind = DOC_SHARD;
    doc->shard = (int)json_int(record, "shard", 0, SHARDS_MAX - 1);
    if (doc->shard != key->shard)
        json_fail(record, "shard", "it is not %d, as the key says", key->shard);
    text_copy(f->spec.fleet, sizeof(f->spec.fleet), key->fleet);
    read_topics(f, record, head);
    read_batons(f, record, true);
}

int fleet_decode(struct doc *doc, const struct record_key *key, const struct fleet *head, const char *json, size_t len,
                 struct errmsg *m)
{
    struct baton *batons = doc->fleet.batons;
    const int baton_max = doc->fleet.baton_max;
    struct json_reader reader;
    struct json_at record;
    json_t *tree;
    const char *why;
    int r;

    ASSERT(key->kind == RECORD_HEAD || key->kind == RECORD_SHARD);
    memset(doc, 0, sizeof(*doc));
    fleet_init(&doc->fleet, batons, baton_max);
    doc->shard = key->shard;
    doc->kind = DOC_GONE;
    if (len == 0)
        return ERR_OK;
    r = record_read(&tree, &record, &reader, json, len, m);
    if (r < 0)
        return r;
    read_doc(doc, &record, key, head);
    r = reader.error;
    json_decref(tree);
    if (r == ERR_OK && doc->kind == DOC_WHOLE && !fleet_valid(&doc->fleet, &why))
        r = err_set(m, ERR_CORRUPT, "%s", why);
    doc->fleet.exists = r == ERR_OK && doc->kind != DOC_SHARD;
    return r;
}
