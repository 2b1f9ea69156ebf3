/*
 * verdict_json - what the judge said, with its evidence: the same object in the operation's record, in the receipt and on
 * the command line. And what it leaves to the judge of the next leader, in the record of an operation under way; and work by partition
 * or stratum, as reports and recordings tell it.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"

void verdict_put(struct json_out *o, const char *key, const struct judge_verdict *v)
{
    json_open(o, key, '{');
    json_put_text(o, "verdict", verdict_name(v->verdict));
    json_put_text(o, "rule", judge_rule_name(v->rule));
    json_put_bool(o, "blind", v->blind);
    json_put_int(o, "after_ms", v->after_ms);
    json_put_int(o, "looks", v->looks);
    json_put_text(o, "sentence", v->sentence);
    json_open(o, "metrics", '[');
    for (int i = 0; i < v->metric_count; i++) {
        const struct judge_evidence *e = &v->metrics[i];

        json_open(o, NULL, '{');
        json_put_text(o, "name", e->name);
        json_put_text(o, "state", metric_state_name(e->state));
        json_put_bool(o, "votes", e->votes);
        json_put_real(o, "records", e->records);
        json_put_real(o, "bad", e->bad);
        json_put_real(o, "observed", e->observed);
        json_put_real(o, "expected", e->expected);
        json_put_real(o, "tolerated", e->tolerated);
        json_put_real(o, "e_value", e->e_value);
        json_put_real(o, "e_bound", e->e_bound);
        json_put_real(o, "e_promote", e->e_promote);
        json_put_real(o, "design_effect", e->design_effect);
        json_put_int(o, "looks", e->looks);
        json_put_text(o, "sentence", e->sentence);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
}

static void read_evidence(struct judge_evidence *e, const struct json_at *at)
{
    json_copy_text(at, "name", e->name, sizeof(e->name));
    json_name(at, "state", &e->state, metric_state_parse);
    e->votes = json_flag(at, "votes");
    e->records = json_real_or(at, "records", 0);
    e->bad = json_real_or(at, "bad", 0);
    e->observed = json_real_or(at, "observed", NAN);
    e->expected = json_real_or(at, "expected", NAN);
    e->tolerated = json_real_or(at, "tolerated", NAN);
    e->e_value = json_real_or(at, "e_value", NAN);
    e->e_bound = json_real_or(at, "e_bound", NAN);
    e->e_promote = json_real_or(at, "e_promote", NAN);
    e->design_effect = json_real_or(at, "design_effect", NAN);
    e->looks = record_count(at, "looks");
    json_copy_text(at, "sentence", e->sentence, sizeof(e->sentence));
}

void verdict_read(struct judge_verdict *ret, const struct json_at *at)
{
    struct json_at list;

    memset(ret, 0, sizeof(*ret));
    json_name(at, "verdict", &ret->verdict, verdict_parse);
    json_name(at, "rule", &ret->rule, judge_rule_parse);
    ret->blind = json_flag_or(at, "blind", false);
    ret->after_ms = record_count(at, "after_ms");
    ret->looks = record_count(at, "looks");
    json_copy_text(at, "sentence", ret->sentence, sizeof(ret->sentence));
    if (!json_array_member(&list, at, "metrics", JUDGE_METRICS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);

        read_evidence(&ret->metrics[ret->metric_count++], &item);
    }
}

static const size_t old_color[] = {
    offsetof(struct judge_kept, records), offsetof(struct judge_kept, errors),  offsetof(struct judge_kept, timed),
    offsetof(struct judge_kept, slow),    offsetof(struct judge_kept, seconds), offsetof(struct judge_kept, rate_max),
};
static const size_t yardstick[] = {
    offsetof(struct judge_bet, share),
    offsetof(struct judge_bet, tolerated),
    offsetof(struct judge_bet, design),
};
static const size_t counts[] = {
    offsetof(struct judge_bet, log_promote), offsetof(struct judge_bet, n),      offsetof(struct judge_bet, x),
    offsetof(struct judge_bet, late_n),      offsetof(struct judge_bet, late_x), offsetof(struct judge_bet, control_n),
    offsetof(struct judge_bet, control_x),
};

static const size_t by_partition[] = {
    offsetof(struct judge_bet, part_n),
    offsetof(struct judge_bet, part_e),
    offsetof(struct judge_bet, part_control_e),
    offsetof(struct judge_bet, passes),
};

/* Numbers of a struct as a list. */
static void put_reals(struct json_out *o, const char *key, const void *of, const size_t *at, size_t count)
{
    double value;

    json_open(o, key, '[');
    for (size_t i = 0; i < count; i++) {
        memcpy(&value, (const char *)of + at[i], sizeof(value));
        json_put_real(o, NULL, value);
    }
    json_close(o, ']');
}

static void read_reals(const struct json_at *at, const char *key, void *of, const size_t *where, size_t count)
{
    struct json_at list;
    double value;

    if (!json_array_member(&list, at, key, count))
        return;
    if (json_array_size(list.value) != count)
        json_fail(at, key, "%zu numbers are wanted", count);
    for (size_t i = 0; i < count && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);

        value = json_real_or(&item, NULL, NAN);
        memcpy((char *)of + where[i], &value, sizeof(value));
    }
}

static void stakes_at(size_t ret[JUDGE_ALTERNATIVES])
{
    for (size_t i = 0; i < JUDGE_ALTERNATIVES; i++)
        ret[i] = offsetof(struct judge_bet, log_stakes) + i * sizeof(double);
}

#define STRATUM_RECORDS_MAX 1e15 /* no fleet comes near */

static void put_strata(struct json_out *o, const struct judge_kept *k)
{
    json_open(o, "strata", '[');
    for (int i = 0; i < k->stratum_count; i++) {
        const struct judge_stratum *s = &k->strata[i];

        json_open(o, NULL, '[');
        json_put_real(o, NULL, s->done);
        json_put_real(o, NULL, s->failed);
        json_put_real(o, NULL, s->timed);
        for (int q = 0; q < JUDGE_QUANTILES && s->timed > 0; q++) {
            json_put_int(o, NULL, s->bounds[q]);
            json_put_real(o, NULL, s->above[q]);
        }
        json_close(o, ']');
    }
    json_close(o, ']');
}

/* Counts of records, weighed. What cannot be counted (null too, which stands for no number) is none, and never gets into a sum. */
static float count_at(const struct json_at *list, size_t i)
{
    const struct json_at item = json_item(list, i);
    const double value = json_real_or(&item, NULL, 0);

    return value >= 0 && value <= STRATUM_RECORDS_MAX ? (float)value : 0;
}

static void read_stratum(struct judge_stratum *ret, const struct json_at *list)
{
    const size_t size = json_array_size(list->value), whole = 3 + 2 * JUDGE_QUANTILES;

    if (size != 3 && size != whole)
        json_fail(list, NULL, "3 or %zu numbers are wanted", whole);
    *ret = (struct judge_stratum){ .done = count_at(list, 0), .failed = count_at(list, 1) };
    ret->timed = size == whole ? count_at(list, 2) : 0;
    for (size_t q = 0; q < JUDGE_QUANTILES && size == whole; q++) {
        const struct json_at bound = json_item(list, 3 + 2 * q);

        ret->bounds[q] = (uint8_t)json_int(&bound, NULL, 0, WORK_BUCKETS - 1);
        ret->above[q] = count_at(list, 4 + 2 * q);
    }
}

static void read_strata(struct judge_kept *ret, const struct json_at *at)
{
    struct json_at list;

    if (!json_has(at, "strata") || !json_array_member(&list, at, "strata", JUDGE_STRATA_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);

        read_stratum(&ret->strata[ret->stratum_count++], &item);
    }
}

void work_put(struct json_out *o, int number, const struct work *w)
{
    json_open(o, NULL, '[');
    json_put_int(o, NULL, number);
    json_put_uint(o, NULL, w->done);
    json_put_uint(o, NULL, w->failed);
    for (int i = 0; i < WORK_BUCKETS; i++)
        if (w->times[i] > 0) {
            json_put_int(o, NULL, i);
            json_put_uint(o, NULL, w->times[i]);
        }
    json_close(o, ']');
}

int work_read(struct work *ret, const struct json_at *list, int number_max)
{
    const size_t size = json_array_size(list->value);
    const struct json_at number = json_item(list, 0), done = json_item(list, 1), failed = json_item(list, 2);
    int64_t last = -1;

    memset(ret, 0, sizeof(*ret));
    if (size < 3 || size % 2 == 0) {
        json_fail(list, NULL, "a number, done, failed and then pairs of bucket and count are wanted");
        return 0;
    }
    ret->done = (uint32_t)json_int(&done, NULL, 0, UINT32_MAX);
    ret->failed = (uint32_t)json_int(&failed, NULL, 0, UINT32_MAX);
    for (size_t i = 3; i + 1 < size && !list->reader->error; i += 2) {
        const struct json_at bucket = json_item(list, i), count = json_item(list, i + 1);

        last = json_int(&bucket, NULL, last + 1, WORK_BUCKETS - 1);
        if (!list->reader->error)
            ret->times[last] = (uint32_t)json_int(&count, NULL, 1, UINT32_MAX);
    }
    return (int)json_int(&number, NULL, 0, number_max);
}

void works_put(struct json_out *o, const char *key, const struct work *works, int count)
{
    json_open(o, key, '[');
    for (int i = 0; i < count; i++)
        if (works[i].done > 0)
            work_put(o, i, &works[i]);
    json_close(o, ']');
}

void works_read(struct work *ret, int count, const struct json_at *at, const char *key)
{
    struct json_at list;
    struct work one;

    memset(ret, 0, (size_t)count * sizeof(*ret));
    if (!json_array_member(&list, at, key, (size_t)count))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);
        const int number = work_read(&one, &item, count - 1);

        if (!at->reader->error)
            ret[number] = one;
    }
}

void kept_put(struct json_out *o, const char *key, const struct judge_kept *k)
{
    size_t stakes[JUDGE_ALTERNATIVES];

    stakes_at(stakes);
    json_open(o, key, '{');
    json_put_int(o, "stage", k->stage);
    json_put_bool(o, "begun", k->begun);
    json_put_bool(o, "evidence", k->evidence);
    json_put_bool(o, "steady", k->steady);
    json_put_int(o, "after_ms", k->after_ms);
    json_put_int(o, "evidence_ms", k->evidence_ms);
    json_put_int(o, "splits", k->splits);
    json_put_real(o, "backlog", k->backlog);
    json_put_real(o, "lag_max_s", k->lag_max_s);
    put_reals(o, "old", k, old_color, ARRAY_COUNT(old_color));
    json_open(o, "bets", '[');
    for (int i = 0; i < k->bet_count; i++) {
        const struct judge_kept_bet *b = &k->bets[i];

        json_open(o, NULL, '{');
        json_put_text(o, "name", b->name);
        json_put_int(o, "looks", b->looks);
        json_put_bool(o, "usable", b->bet.usable);
        json_put_int(o, "bucket", b->bet.bucket);
        put_reals(o, "yardstick", &b->bet, yardstick, ARRAY_COUNT(yardstick));
        put_reals(o, "stakes", &b->bet, stakes, ARRAY_COUNT(stakes));
        put_reals(o, "counts", &b->bet, counts, ARRAY_COUNT(counts));
        if (b->bet.part_n > 0)
            put_reals(o, "by_partition", &b->bet, by_partition, ARRAY_COUNT(by_partition));
        json_close(o, '}');
    }
    json_close(o, ']');
    if (k->stratum_count > 0)
        put_strata(o, k);
    json_close(o, '}');
}

void kept_read(struct judge_kept *ret, const struct json_at *at)
{
    size_t stakes[JUDGE_ALTERNATIVES];
    struct json_at list;

    stakes_at(stakes);
    memset(ret, 0, sizeof(*ret));
    ret->known = true;
    ret->stage = (int)json_int(at, "stage", 0, STAGES_MAX - 1);
    ret->begun = json_flag(at, "begun");
    ret->evidence = json_flag(at, "evidence");
    ret->steady = json_flag(at, "steady");
    ret->after_ms = record_count(at, "after_ms");
    ret->evidence_ms = record_count(at, "evidence_ms");
    ret->splits = (int)json_int(at, "splits", 0, INT32_MAX - 1);
    ret->backlog = json_real_or(at, "backlog", 0);
    ret->lag_max_s = json_real_or(at, "lag_max_s", 0);
    read_reals(at, "old", ret, old_color, ARRAY_COUNT(old_color));
    read_strata(ret, at);
    if (!json_array_member(&list, at, "bets", JUDGE_KEPT_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);
        struct judge_kept_bet *b = &ret->bets[ret->bet_count++];

        json_copy_text(&item, "name", b->name, sizeof(b->name));
        b->looks = record_count(&item, "looks");
        b->bet.usable = json_flag(&item, "usable");
        b->bet.bucket = (int)json_int(&item, "bucket", 0, HISTOGRAM_BUCKETS - 1);
        read_reals(&item, "yardstick", &b->bet, yardstick, ARRAY_COUNT(yardstick));
        read_reals(&item, "stakes", &b->bet, stakes, ARRAY_COUNT(stakes));
        read_reals(&item, "counts", &b->bet, counts, ARRAY_COUNT(counts));
        if (json_has(&item, "by_partition"))
            read_reals(&item, "by_partition", &b->bet, by_partition, ARRAY_COUNT(by_partition));
    }
}

int yardstick_encode(struct str *ret, const struct yardstick *y, struct errmsg *m)
{
    size_t start;
    struct json_out o = record_begin(ret, &start);

    json_put_text(&o, "fleet", y->fleet);
    json_put_text(&o, "color", color_name(y->color));
    json_put_text(&o, "version", y->version);
    json_put_int(&o, "at_unix_ms", y->at_unix_ms);
    kept_put(&o, "kept", &y->kept);
    return record_end(&o, start, m, "the judge's yardstick");
}

int yardstick_decode(struct yardstick *ret, const char *json, size_t len, struct errmsg *m)
{
    struct json_reader reader;
    struct json_at record, kept;
    json_t *tree;
    int r = record_read(&tree, &record, &reader, json, len, m);

    if (r < 0)
        return r;
    memset(ret, 0, sizeof(*ret));
    json_copy_text(&record, "fleet", ret->fleet, sizeof(ret->fleet));
    json_name(&record, "color", &ret->color, color_parse);
    json_copy_text(&record, "version", ret->version, sizeof(ret->version));
    ret->at_unix_ms = record_count(&record, "at_unix_ms");
    if (json_object_member(&kept, &record, "kept"))
        kept_read(&ret->kept, &kept);
    json_decref(tree);
    return reader.error;
}
