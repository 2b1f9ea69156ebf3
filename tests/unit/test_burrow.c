/*
 * Burrow's rules, against cases made from Burrow's own unit tests (burrow_cases.json says which), and the corrected ones.
 *
 *     test_burrow [FILE]    FILE: further cases, in the form of burrow_cases.json
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/check.h"
#include "controller/burrow.h"
#include "controller/burrow_pack.h"
#include "kafka/commits.h"

#define NOW_S 1700000000
#define T0_MS (NOW_S * 1000LL - 100000)
#define SLOTS_MAX 100

static json_t *cases;

/* --- reading the cases -------------------------------------------------------------------------------------------- */

static int64_t ms_of(const json_t *v)
{
    long long plus = 0;

    if (json_is_integer(v))
        return json_integer_value(v);
    if (sscanf(json_string_value(v), "T0 + %lld", &plus) != 1)
        fail_msg("what time is '%s'?", json_string_value(v));
    return T0_MS + plus;
}

static struct burrow_commit commit_of(const json_t *v)
{
    const json_t *lag = json_object_get(v, "lag");

    return (struct burrow_commit){ .offset = json_integer_value(json_object_get(v, "offset")),
                                   .order = json_integer_value(json_object_get(v, "order")),
                                   .timestamp_ms = ms_of(json_object_get(v, "timestamp_ms")),
                                   .lag = (uint64_t)json_integer_value(lag),
                                   .lag_known = json_is_integer(lag) };
}

struct given {
    struct burrow_commit commits[SLOTS_MAX];
    int64_t ends[SLOTS_MAX];
    struct burrow_window window;
    struct burrow_policy policy;
    int64_t now_s;
};

static void given_of(struct given *ret, const json_t *input)
{
    const json_t *window = json_object_get(input, "window"), *ends = json_object_get(input, "broker_offsets"),
                 *minimum = json_object_get(input, "minimum_complete"), *slots = json_object_get(input, "intervals");

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < json_array_size(window) && i < SLOTS_MAX; i++)
        if (!json_is_null(json_array_get(window, i)))
            ret->commits[ret->window.count++] = commit_of(json_array_get(window, i));
    for (size_t i = 0; i < json_array_size(ends) && i < SLOTS_MAX; i++)
        ret->ends[ret->window.end_count++] = json_integer_value(json_array_get(ends, i));
    ret->window.commits = ret->commits;
    ret->window.slots = slots ? (int)json_integer_value(slots) : (int)json_array_size(window);
    ret->window.ends = ret->ends;
    ret->window.current_lag = (uint64_t)json_integer_value(json_object_get(input, "current_lag"));
    ret->policy =
        (struct burrow_policy){ .rules = BURROW_RULES_BURROW,
                                .allowed_lag = (uint64_t)json_integer_value(json_object_get(input, "allowed_lag")),
                                .minimum_complete = (float)json_number_value(minimum),
                                .commit_interval_ms = BURROW_COMMIT_INTERVAL_MS };
    ret->now_s = json_integer_value(json_object_get(input, "now_s"));
}

static void expect_sign(const char *id, const json_t *rules, const char *name, int is)
{
    const json_t *v = json_object_get(rules, name);

    if (v && (json_is_integer(v) ? (int)json_integer_value(v) : json_is_true(v)) != is)
        fail_msg("%s: %s is %d", id, name, is);
}

static const char *text_of(const json_t *v, const char *name)
{
    const char *text = json_string_value(json_object_get(v, name));

    return text ? text : "";
}

static void expect_partition(const json_t *one)
{
    const json_t *expected = json_object_get(one, "expected"), *rules = json_object_get(expected, "rules");
    const char *id = text_of(one, "id");
    struct burrow_verdict v;
    struct burrow_signs s;
    struct given g;

    given_of(&g, json_object_get(one, "input"));
    burrow_judge(&v, &g.window, &g.policy, g.now_s);
    if (strcmp(burrow_status_name(v.status), text_of(expected, "status")) != 0)
        fail_msg("%s: %s, not %s", id, burrow_status_name(v.status), text_of(expected, "status"));
    if (g.window.count == 0)
        return;
    burrow_signs(&s, &g.window, g.policy.allowed_lag, g.now_s);
    expect_sign(id, rules, "lag_always_not_zero", s.lag_always_not_zero);
    expect_sign(id, rules, "rewind_index", s.rewind_index);
    expect_sign(id, rules, "offsets_stopped", s.stopped);
    expect_sign(id, rules, "offsets_stalled", s.stalled);
    expect_sign(id, rules, "lag_not_decreasing", s.lag_not_decreasing);
    expect_sign(id, rules, "recent_lag_zero", s.recent_lag_zero);
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

static void partitions_are_labelled_as_burrow_does(void **state)
{
    const json_t *upstream = json_object_get(cases, "partition_evaluation"),
                 *derived = json_object_get(json_object_get(cases, "derived_partition_evaluation"), "cases");

    (void)state;
    for (size_t i = 0; i < json_array_size(upstream); i++)
        expect_partition(json_array_get(upstream, i));
    for (size_t i = 0; i < json_array_size(derived); i++)
        expect_partition(json_array_get(derived, i));
}

/* False alarms are none any more, missed ones are raised, and what was right stays. */
static void corrected_differs_where_burrow_misleads(void **state)
{
    const json_t *derived = json_object_get(json_object_get(cases, "derived_partition_evaluation"), "cases");

    (void)state;
    for (size_t i = 0; i < json_array_size(derived); i++) {
        const json_t *one = json_array_get(derived, i);
        const char *assessment = text_of(one, "assessment"), *was = text_of(json_object_get(one, "expected"), "status"),
                   *is;
        const bool wrong = !strncmp(assessment, "FALSE", 5) || !strncmp(assessment, "MISSED", 6);
        struct burrow_verdict v;
        struct given g;

        given_of(&g, json_object_get(one, "input"));
        g.policy.rules = BURROW_RULES_CORRECTED;
        burrow_judge(&v, &g.window, &g.policy, g.now_s);
        is = burrow_status_name(v.status);
        if (!strcmp(is, was) == wrong)
            fail_msg("%s (%s): %s by Burrow, %s corrected", text_of(one, "id"), assessment, was, is);
    }
}

/* A window on paper: commits every `gap_ms`, "offset:lag" each; the last one was made `silence_ms` ago. */
struct paper {
    const char *commits;
    int64_t gap_ms, silence_ms;
    int slots; /* 0: as many as there are commits */
    const char *burrow, *corrected;
    int64_t end_after; /* one end sampled now; 0: last offset + last lag */
    bool replayed;
};

static void window_on_paper(struct given *ret, const struct paper *p)
{
    const char *at = p->commits;
    int used;
    long long offset, lag;

    memset(ret, 0, sizeof(*ret));
    while (sscanf(at, "%lld:%lld%n", &offset, &lag, &used) == 2) {
        ret->commits[ret->window.count++] = (struct burrow_commit){
            .offset = offset, .lag = (uint64_t)lag, .lag_known = lag >= 0, .replayed = p->replayed
        };
        at += used;
    }
    for (int i = 0; i < ret->window.count; i++)
        ret->commits[i].timestamp_ms = NOW_S * 1000LL - p->silence_ms - (ret->window.count - 1 - i) * p->gap_ms;
    ret->ends[0] = p->end_after ? p->end_after : offset + (lag > 0 ? lag : 50);
    ret->window.end_count = 1;
    ret->window.commits = ret->commits;
    ret->window.ends = ret->ends;
    ret->window.slots = p->slots ? p->slots : ret->window.count;
    ret->window.current_lag = ret->ends[0] > offset ? (uint64_t)(ret->ends[0] - offset) : 0;
    ret->policy.commit_interval_ms = BURROW_COMMIT_INTERVAL_MS;
}

static const struct paper papers[] = {
    /* C1, C2: the start, and what is too fast */
    { "10:90", 0, 1000, 10, "STOP", "UNKNOWN", 0, 0 },
    { "10:90", 0, 299000, 10, "STOP", "UNKNOWN", 0, 0 },
    { "10:90", 0, 301000, 10, "STOP", "STOP", 0, 0 },
    { "10:90 20:80 30:70", 100, 2000, 10, "STOP", "UNKNOWN", 0, 0 },
    { "10:90 20:80 30:70", 100, 2000, 3, "STOP", "OK", 0, 0 },
    { "10:90 20:80 30:70", 100, 14000, 3, "STOP", "OK", 0, 0 },
    { "10:90 20:80 30:70", 100, 16000, 3, "STOP", "STOP", 0, 0 },
    { "10:90 20:80 30:70 40:60", 60000, 181000, 4, "STOP", "STOP", 0, 0 },
    { "10:90 20:80 30:70 40:60", 60000, 179000, 4, "OK", "OK", 0, 0 },
    { "10:90 20:80 30:70 40:60 50:50 60:40 70:30", 5000, 29000, 0, "OK", "OK", 0, 0 },
    { "10:90 20:80 30:70 40:60 50:50 60:40 70:30", 5000, 31000, 0, "STOP", "STOP", 0, 0 },
    /* C4: a second rewind; and one that was made good */
    { "10:90 5:95 12:88 20:80 15:85", 10000, 1000, 0, "OK", "REWIND", 0, 0 },
    { "10:90 5:95 12:88 20:80 25:75", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "30:90 5:95 12:88 20:80 25:75", 10000, 1000, 0, "REWIND", "REWIND", 0, 0 },
    /* C5: after a zero, after a decrease */
    { "10:0 20:50 30:90 40:120", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "10:0 20:50 30:90 40:120 50:160", 10000, 1000, 0, "OK", "WARN", 0, 0 },
    { "10:900 20:50 30:90 40:120 50:160", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "10:60 20:50 30:90 40:120 50:160", 10000, 1000, 0, "OK", "WARN", 0, 0 },
    { "10:60 200:50 300:90 400:120 500:160", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "10:0 10:0 10:0 10:0 10:50", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "10:0 10:50 10:50 10:50 10:50 10:50", 10000, 1000, 0, "OK", "STALL", 0, 0 },
    { "10:0 10:50 10:50 10:50", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "10:50 10:50 10:50 10:50", 10000, 1000, 0, "STALL", "STALL", 0, 0 },
    /* C6, C7 */
    { "10:50 20:50 30:50 40:50", 10000, 1000, 0, "WARN", "OK", 0, 0 },
    { "10:-1 20:-1 30:-1 40:-1", 10000, 1000, 0, "WARN", "UNKNOWN", 0, 0 },
    { "10:-1 10:-1 10:-1 10:-1", 10000, 1000, 0, "STALL", "UNKNOWN", 0, 0 },
    { "10:-1 20:40 30:50 40:60", 10000, 1000, 0, "WARN", "WARN", 0, 0 },
    { "10:40 20:50 30:60 40:70", 10000, 1000, 0, "WARN", "UNKNOWN", 0, true },
    /* C8 */
    { "10:40 20:50 30:60 40:70", 10000, 1000, 0, "OK", "UNKNOWN", 20, 0 },
    { "10:40 20:50 30:60 40:70", 10000, 1000, 0, "OK", "OK", 40, 0 },
    { "500:0 500:0 3:7 5:5", 10000, 1000, 0, "REWIND", "UNKNOWN", 10, 0 }, /* the group is at work in the new one */
    { "500:0 500:0 3:7 500:9", 10000, 1000, 0, "OK", "OK", 509, 0 },       /* the new one has outgrown the old */
    /* set back and on by hand */
    { "100:0 200:0 50:200 80:170", 10000, 1000, 0, "REWIND", "REWIND", 0, 0 },
    { "10:500 20:490 510:0 510:0 510:30", 10000, 1000, 0, "OK", "OK", 0, 0 },
    { "30:10 20:20 30:15", 10000, 1000, 0, "OK", "OK", 0, 0 },
    /* clocks: all at one moment, from the future */
    { "10:90 20:80 30:70", 0, 1000, 0, "STOP", "OK", 0, 0 },
    { "10:90 20:80 30:70", 10000, -60000, 0, "OK", "OK", 0, 0 },
    { "10:50 10:50 10:50", 10000, -60000, 0, "STALL", "STALL", 0, 0 },
    /* a lag in the middle that is not known hides no stall, and makes none */
    { "10:-1", 0, 1000, 10, "STOP", "UNKNOWN", 0, 0 },
    { "10:50 10:-1 10:50 10:50", 10000, 1000, 0, "STALL", "STALL", 0, 0 },
    { "10:-1 10:-1 10:50 10:50 10:50", 10000, 1000, 0, "STALL", "STALL", 0, 0 },
    { "10:-1 10:-1 10:50 10:50", 10000, 1000, 0, "STALL", "UNKNOWN", 0, 0 },
    { "10:50 10:-1 10:0 10:50 10:50", 10000, 1000, 0, "OK", "OK", 0, 0 },
    /* after a decrease it grows, but not to where it was */
    { "10:100 20:90 30:95 40:97 50:99", 10000, 1000, 0, "OK", "OK", 0, 0 },
};

static void the_table_of_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(papers); i++) {
        struct burrow_verdict v;
        struct given g;

        window_on_paper(&g, &papers[i]);
        g.policy.rules = BURROW_RULES_BURROW;
        burrow_judge(&v, &g.window, &g.policy, NOW_S);
        if (strcmp(burrow_status_name(v.status), papers[i].burrow) != 0)
            fail_msg("line %zu, burrow: %s (%s)", i, burrow_status_name(v.status), v.why);
        g.policy.rules = BURROW_RULES_CORRECTED;
        burrow_judge(&v, &g.window, &g.policy, NOW_S);
        if (strcmp(burrow_status_name(v.status), papers[i].corrected) != 0)
            fail_msg("line %zu, corrected: %s (%s)", i, burrow_status_name(v.status), v.why);
    }
}

/* C3: an end that was passed before the last commit does not excuse; C9: a topic that does not move. */
static void ends_count_by_their_time(void **state)
{
    const struct paper p = { "10:90 20:80 30:70", 10000, 40000, 0, "", "", 0, 0 };
    const int64_t last_ms = NOW_S * 1000LL - 40000;
    int64_t times[SLOTS_MAX] = { last_ms - 5000, last_ms + 5000 };
    struct burrow_verdict v;
    struct given g;

    (void)state;
    window_on_paper(&g, &p);
    g.ends[0] = 25;
    g.ends[1] = 100;
    g.window.end_count = 2;
    g.window.end_ms = times;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_STOP);
    times[0] = last_ms;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_OK);
    times[0] = last_ms - 5000;
    g.policy.rules = BURROW_RULES_BURROW;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_OK);

    g.policy.rules = BURROW_RULES_CORRECTED; /* an end that is older than the commit says nothing against it */
    g.ends[0] = g.ends[1] = 25;
    times[1] = last_ms - 1000;
    g.window.current_lag = 0;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_OK);
    times[1] = last_ms;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_UNKNOWN);

    g.ends[0] = g.ends[1] = 31;
    g.window.current_lag = 1;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_UNKNOWN);
    g.ends[0] = 30;
    times[0] = last_ms - 2000;
    burrow_judge(&v, &g.window, &g.policy, NOW_S);
    assert_int_equal(v.status, BURROW_STOP); /* it moved: somebody wrote, and nobody read */
}

static void how_full_a_window_is(void **state)
{
    struct burrow_commit commits[10] = { { .offset = 1 } };
    struct burrow_window w = { .commits = commits, .slots = 10, .current_lag = 7 };
    struct burrow_policy policy = { .rules = BURROW_RULES_BURROW };
    struct burrow_verdict v;

    (void)state;
    burrow_judge(&v, &w, &policy, 100); /* an owner and no commit */
    assert_int_equal(v.status, BURROW_OK);
    assert_true(v.complete == 0.1F && !v.start && !v.end);
    w.count = 3;
    burrow_judge(&v, &w, &policy, 100);
    assert_int_equal(v.status, BURROW_STOP);
    assert_true(v.complete == 3.0F / 10.0F && v.start == &commits[0] && v.end == &commits[2]);
    policy.minimum_complete = 0.31F;
    burrow_judge(&v, &w, &policy, 100);
    assert_int_equal(v.status, BURROW_OK);
    policy.minimum_complete = 0.3F; /* float against float */
    burrow_judge(&v, &w, &policy, 100);
    assert_int_equal(v.status, BURROW_STOP);
    w.slots = 0;
    burrow_judge(&v, &w, &policy, 100);
    assert_int_equal(v.status, BURROW_OK);
    assert_true(v.complete == 0.0F);
}

/* --- rings -------------------------------------------------------------------------------------------------------- */

static struct burrow *store_of(const json_t *config, enum burrow_rules rules)
{
    struct burrow_config c = BURROW_CONFIG;
    const json_t *intervals = json_object_get(config, "intervals"), *expire = json_object_get(config, "expire_group_s");

    if (intervals)
        c.intervals = (int)json_integer_value(intervals);
    if (expire)
        c.expire_group_s = json_integer_value(expire);
    c.min_distance_s = json_integer_value(json_object_get(config, "min_distance_s"));
    c.policy.rules = rules;
    return burrow_new(&c);
}

struct seen {
    struct burrow_partition parts[8];
    int count;
};

static void see(void *opaque, const struct burrow_partition *p)
{
    struct seen *seen = opaque;

    assert_true(seen->count < 8);
    seen->parts[seen->count++] = *p;
}

static void expect_ring(const char *id, const struct burrow_window *w, const json_t *ring)
{
    if (w->count != (int)json_array_size(ring))
        fail_msg("%s: %d commits, not %zu", id, w->count, json_array_size(ring));
    for (int i = 0; i < w->count; i++) {
        const json_t *one = json_array_get(ring, (size_t)i);
        const struct burrow_commit e = commit_of(one), *is = &w->commits[i];

        if (is->offset != e.offset || is->timestamp_ms != e.timestamp_ms || is->lag_known != e.lag_known ||
            (e.lag_known && is->lag != e.lag) || (json_object_get(one, "order") && is->order != e.order))
            fail_msg("%s: slot %d holds offset %lld order %lld time %lld lag %lld", id, i, (long long)is->offset,
                     (long long)is->order, (long long)is->timestamp_ms, is->lag_known ? (long long)is->lag : -1);
    }
}

/* Upstream's tests of the ring have times of 1970; those that tell the age are given in T0. */
static int64_t now_for(const json_t *commits)
{
    return json_is_string(json_object_get(json_array_get(commits, 0), "timestamp_ms")) ? NOW_S : 1000;
}

static void expect_store(const json_t *one)
{
    const json_t *input = json_object_get(one, "input"), *expected = json_object_get(one, "expected"),
                 *commits = json_object_get(input, "commits_in_arrival_order"), *end, *v;
    const char *id = text_of(one, "id");
    struct burrow *b = store_of(json_object_get(one, "config"), BURROW_RULES_BURROW);
    const bool exists = !json_is_false(json_object_get(expected, "group_exists"));
    int64_t now_s = exists ? now_for(commits) : NOW_S;
    struct seen seen = { .count = 0 };

    assert_non_null(b);
    end = json_object_get(input, "broker_end_offset");
    if (end)
        assert_int_equal(burrow_end(b, "t", 0, 1, json_integer_value(end), 1), BURROW_TAKEN);
    for (size_t i = 0; i < json_array_size(commits); i++) {
        const struct burrow_commit c = commit_of(json_array_get(commits, i));

        burrow_commit(b, "g", "t", 0, &c, now_s);
    }
    if (json_object_get(input, "commit")) {
        const struct burrow_commit c = commit_of(json_object_get(input, "commit"));

        assert_int_equal(burrow_commit(b, "g", "notopic", 0, &c, 10), BURROW_NO_END);
    }
    if (json_object_get(input, "owner"))
        burrow_owner(b, "g", "t", 0, text_of(input, "owner"), text_of(input, "client_id"));
    if (burrow_group(b, "g", now_s, see, &seen) != exists)
        fail_msg("%s: the group is %s", id, exists ? "missing" : "there");
    v = json_object_get(expected, "ring_oldest_first");
    if (!v)
        v = json_object_get(expected, "offsets");
    if (v)
        expect_ring(id, &seen.parts[0].window, v);
    if (json_object_get(expected, "current_lag")) {
        assert_int_equal(seen.parts[0].window.current_lag,
                         json_integer_value(json_object_get(expected, "current_lag")));
        assert_string_equal(seen.parts[0].owner, text_of(expected, "owner"));
        assert_string_equal(seen.parts[0].client_id, text_of(expected, "client_id"));
    }
    burrow_free(b);
}

/* A late commit that takes the place of a full ring's oldest keeps its own time, however soon it came. */
static void what_takes_a_place_is_not_merged(void **state)
{
    struct burrow_commit slots[3] = { { .order = 10, .timestamp_ms = 1000 },
                                      { .order = 20, .timestamp_ms = 5000 },
                                      { .order = 30, .timestamp_ms = 9000 } };
    struct burrow_ring r = { 3, 3, slots };
    struct burrow_place place;

    (void)state;
    assert_true(burrow_ring_find(&place, &r, 15));
    burrow_ring_put(&r, place, &(struct burrow_commit){ .order = 15, .timestamp_ms = 1001 }, 1);
    assert_true(r.count == 3 && slots[0].order == 15 && slots[0].timestamp_ms == 1001);
    assert_true(burrow_ring_find(&place, &r, 25)); /* any other is */
    burrow_ring_put(&r, place, &(struct burrow_commit){ .order = 25, .timestamp_ms = 5001 }, 1);
    assert_true(r.count == 3 && slots[1].order == 25 && slots[1].timestamp_ms == 5000);
}

static void rings_are_kept_as_burrow_does(void **state)
{
    const json_t *all = json_object_get(cases, "storage_ring");

    (void)state;
    for (size_t i = 0; i < json_array_size(all); i++)
        expect_store(json_array_get(all, i));
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static struct burrow *setup_of(const json_t *setup)
{
    struct burrow *b = store_of(setup, BURROW_RULES_BURROW);
    const char *group, *topic, *partition;
    json_t *topics, *partitions, *list;

    json_object_foreach(json_object_get(setup, "broker_offsets"), topic, partitions)
        json_object_foreach(partitions, partition, list) for (size_t i = 0; i < json_array_size(list); i++)
            burrow_end(b, topic, atoi(partition), (int)json_object_size(partitions),
                       json_integer_value(json_array_get(list, i)), 1);
    json_object_foreach(json_object_get(setup, "groups"), group, topics) json_object_foreach(topics, topic, partitions)
        json_object_foreach(partitions, partition, list) for (size_t i = 0; i < json_array_size(list); i++)
    {
        const struct burrow_commit c = commit_of(json_array_get(list, i));

        assert_int_equal(burrow_commit(b, group, topic, atoi(partition), &c, NOW_S), BURROW_TAKEN);
    }
    return b;
}

struct listing {
    const json_t *expected; /* of the partitions listed */
    bool all;
    int count;
};

static void on_listed(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *v)
{
    struct listing *l = opaque;
    const json_t *e = json_array_get(l->expected, (size_t)l->count);

    if (!l->all && v->status <= BURROW_OK)
        return;
    l->count++;
    if (!e)
        return;
    assert_string_equal(p->topic, text_of(e, "topic"));
    assert_int_equal(p->partition, json_integer_value(json_object_get(e, "partition")));
    assert_string_equal(burrow_status_name(v->status), text_of(e, "status"));
    assert_true(v->complete == (float)json_number_value(json_object_get(e, "complete")));
}

static void expect_group(const json_t *one)
{
    const json_t *input = json_object_get(one, "input"), *expected = json_object_get(one, "expected"), *v;
    struct burrow *b = setup_of(json_object_get(json_object_get(cases, "group_setups"), text_of(input, "setup")));
    struct listing listing = { .expected = json_object_get(expected, "partitions"),
                               .all = json_is_true(json_object_get(input, "show_all")) };
    struct burrow_group_verdict g;
    char topic[100];

    if (sscanf(text_of(input, "before"), "delete topic %99s", topic) == 1)
        burrow_topic_delete(b, topic);
    burrow_group_judge(&g, b, text_of(input, "group"), NOW_S, on_listed, &listing);
    assert_string_equal(burrow_status_name(g.status), text_of(expected, "status"));
    assert_true(g.complete == (float)json_number_value(json_object_get(expected, "complete")));
    if ((v = json_object_get(expected, "partition_count")))
        assert_int_equal(g.partition_count, json_integer_value(v));
    if ((v = json_object_get(expected, "totallag")))
        assert_int_equal(g.total_lag, json_integer_value(v));
    if ((v = json_object_get(expected, "partitions_listed")))
        assert_int_equal(listing.count, json_integer_value(v));
    if ((v = json_object_get(expected, "maxlag"))) {
        assert_int_equal(g.max_verdict.start->offset, json_integer_value(json_object_get(v, "start_offset")));
        assert_int_equal(g.max_verdict.end->offset, json_integer_value(json_object_get(v, "end_offset")));
    }
    burrow_free(b);
}

static void groups_are_labelled_as_burrow_does(void **state)
{
    const json_t *all = json_object_get(cases, "group_evaluation");

    (void)state;
    for (size_t i = 0; i < json_array_size(all); i++)
        expect_group(json_array_get(all, i));
}

static void commit_at(struct burrow *b, const char *group, const char *topic, int32_t p, int64_t offset, int64_t ago_s)
{
    const struct burrow_commit c = { .offset = offset,
                                     .order = NOW_S - ago_s,
                                     .timestamp_ms = (NOW_S - ago_s) * 1000LL };

    assert_int_equal(burrow_commit(b, group, topic, p, &c, NOW_S), BURROW_TAKEN);
}

static void names_list(void *opaque, const char *name)
{
    strcat(opaque, name);
    strcat(opaque, " ");
}

static void what_goes_away(void **state)
{
    struct burrow *b = store_of(NULL, BURROW_RULES_CORRECTED);
    struct seen seen = { .count = 0 };
    char names[200] = "";

    (void)state;
    for (int p = 0; p < 3; p++)
        burrow_end(b, "orders", p, 3, 100, NOW_S * 1000LL);
    burrow_end(b, "bills", 0, 1, 100, NOW_S * 1000LL);
    commit_at(b, "one", "orders", 1, 50, 20);
    commit_at(b, "one", "bills", 0, 50, 10);
    commit_at(b, "two", "orders", 0, 50, 10);
    assert_true(burrow_group(b, "one", NOW_S, see, &seen)); /* topics by name, all partitions of each */
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.parts[0].topic, "bills");
    assert_int_equal(seen.parts[2].window.current_lag, 50);
    assert_int_equal(seen.parts[1].window.slots, 0);
    burrow_topic_groups(b, "orders", names_list, names);
    assert_string_equal(names, "one two ");

    burrow_commit_gone(b, "one", "bills", 0); /* a tombstone: the topic, and with the last one the group */
    names[0] = 0;
    burrow_topic_groups(b, "bills", names_list, names);
    assert_string_equal(names, "");
    burrow_commit_gone(b, "one", "orders", 0);
    burrow_commit_gone(b, "one", "orders", 7);
    burrow_commit_gone(b, "one", "orders", 1);
    burrow_groups(b, names_list, names);
    assert_string_equal(names, "two ");

    burrow_topic_delete(b, "orders");
    seen.count = 0;
    assert_true(burrow_group(b, "two", NOW_S, see, &seen));
    assert_int_equal(seen.count, 0);
    assert_false(burrow_group(b, "two", NOW_S + 604800, see, &seen)); /* expired: forgotten when asked for */
    names[0] = 0;
    burrow_groups(b, names_list, names);
    assert_string_equal(names, "");
    burrow_free(b);
}

/* C11: a group is asked for before it has committed. */
static void owners_before_commits(void **state)
{
    (void)state;
    for (int rules = BURROW_RULES_CORRECTED; rules <= BURROW_RULES_BURROW; rules++) {
        struct burrow *b = store_of(NULL, (enum burrow_rules)rules);
        struct seen seen = { .count = 0 };

        assert_int_equal(burrow_owner(b, "g", "t", 0, "/10.0.0.1", "c"), BURROW_NO_END);
        burrow_end(b, "t", 0, 1, 100, NOW_S * 1000LL);
        assert_int_equal(burrow_owner(b, "g", "t", 0, "/10.0.0.1", "c"), BURROW_TAKEN);
        assert_false(burrow_group(b, "g", NOW_S, see, &seen));
        commit_at(b, "g", "t", 0, 1, 3);
        assert_true(burrow_group(b, "g", NOW_S, see, &seen));
        assert_string_equal(seen.parts[0].owner, rules == BURROW_RULES_BURROW ? "" : "/10.0.0.1");
        burrow_owners_clear(b, "g");
        seen.count = 0;
        assert_true(burrow_group(b, "g", NOW_S, see, &seen));
        assert_string_equal(seen.parts[0].owner, "");
        burrow_free(b);
    }
}

static void nothing_grows_without_bound(void **state)
{
    struct burrow_config config = BURROW_CONFIG;
    struct burrow *b;
    char name[300];

    (void)state;
    config.limits = (struct burrow_limits){ .groups = 2, .topics = 2, .topic_partitions = 5, .group_partitions = 3 };
    b = burrow_new(&config);
    assert_int_equal(burrow_end(b, "a", 3, 4, 1, 1), BURROW_TAKEN);
    assert_int_equal(burrow_end(b, "b", 0, 2, 1, 1), BURROW_NO_ROOM);
    assert_int_equal(burrow_end(b, "b", 0, 1, 1, 1), BURROW_TAKEN);
    assert_int_equal(burrow_end(b, "c", 0, 1, 1, 1), BURROW_NO_ROOM);
    assert_int_equal(burrow_end(b, "a", -1, 4, 1, 1), BURROW_NO_END);
    assert_int_equal(burrow_end(b, "a", 4, 4, 1, 1), BURROW_NO_END);
    for (int p = 0; p < 3; p++)
        burrow_end(b, "a", p, 4, 1, 1);
    commit_at(b, "g", "a", 0, 1, 3);
    commit_at(b, "h", "a", 0, 1, 3);
    assert_int_equal(burrow_owner(b, "i", "a", 0, "/10.0.0.1", "c"), BURROW_NO_ROOM);
    commit_at(b, "h", "a", 1, 1, 3);
    assert_int_equal(burrow_owner(b, "h", "a", 2, "/10.0.0.1", "c"), BURROW_NO_ROOM);
    memset(name, 'x', sizeof(name));
    name[299] = 0;
    burrow_topic_delete(b, "b");
    assert_int_equal(burrow_end(b, name, 0, 1, 1, 1), BURROW_NO_ROOM);
    assert_int_equal(burrow_left_out(b), 5);
    burrow_group_delete(b, "h", NULL); /* what was freed may be used again */
    assert_int_equal(burrow_owner(b, "i", "a", 0, "/10.0.0.1", "c"), BURROW_TAKEN);
    burrow_free(b);
}

/* Whatever the order of arrival, a ring is in order and no longer than it may be. */
static void any_order_of_arrival(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (int world = 0; world < 2000; world++) {
        struct burrow_config config = BURROW_CONFIG;
        struct burrow *b;
        struct seen seen;

        config.intervals = 1 + world % 7;
        config.min_distance_s = world % 3;
        b = burrow_new(&config);
        burrow_end(b, "t", 0, 1, 1000, 1);
        for (int i = 0; i < 30; i++) {
            struct burrow_commit c;

            seed = seed * 1664525U + 1013904223U;
            c = (struct burrow_commit){ .offset = (int64_t)(seed >> 8) % 1200,
                                        .order = (int64_t)(seed >> 16) % 40,
                                        .timestamp_ms = T0_MS + (int64_t)(seed >> 12) % 20000 };
            burrow_commit(b, "g", "t", 0, &c, NOW_S);
            seen.count = 0;
            assert_true(burrow_group(b, "g", NOW_S, see, &seen));
            assert_in_range(seen.parts[0].window.count, 1, config.intervals);
            for (int k = 1; k < seen.parts[0].window.count; k++)
                assert_true(seen.parts[0].window.commits[k - 1].order < seen.parts[0].window.commits[k].order);
        }
        burrow_free(b);
    }
}

/* --- packing ------------------------------------------------------------------------------------------------------ */

static uint64_t dice(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33 ^ *seed << 31;
}

/* Of any size, and with the first and the last of each. */
static int64_t any_number(uint64_t *seed)
{
    static const int64_t odd[] = { 0, -1, 1, INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 127, 128, -64, -65 };
    const uint64_t v = dice(seed);

    return v % 3 == 0 ? odd[dice(seed) % ARRAY_COUNT(odd)] : (int64_t)(dice(seed) >> v % 64);
}

static void expect_packed(const struct burrow_commit *commits, int count, size_t bytes_max)
{
    struct burrow_commit out[SLOTS_MAX];
    uint8_t packed[SLOTS_MAX * BURROW_PACKED_MAX];
    const size_t size = burrow_pack(packed, commits, count);

    assert_in_range(size, 0, bytes_max);
    burrow_unpack(out, count, packed);
    for (int i = 0; i < count; i++) {
        assert_int_equal(out[i].offset, commits[i].offset);
        assert_int_equal(out[i].order, commits[i].order);
        assert_int_equal(out[i].timestamp_ms, commits[i].timestamp_ms);
        assert_int_equal(out[i].observed_s, commits[i].observed_s);
        assert_int_equal(out[i].lag_known, commits[i].lag_known);
        assert_int_equal(out[i].lag, commits[i].lag_known ? commits[i].lag : 0);
        assert_int_equal(out[i].replayed, commits[i].replayed);
    }
}

static void what_is_packed_comes_out_again(void **state)
{
    struct burrow_commit commits[SLOTS_MAX];
    uint64_t seed = 11;

    (void)state;
    for (int world = 0; world < 5000; world++) {
        const int count = (int)(dice(&seed) % 12);

        for (int i = 0; i < count; i++)
            commits[i] = (struct burrow_commit){ .offset = any_number(&seed),
                                                 .order = any_number(&seed),
                                                 .timestamp_ms = any_number(&seed),
                                                 .lag = (uint64_t)any_number(&seed),
                                                 .observed_s = (uint32_t)any_number(&seed),
                                                 .lag_known = dice(&seed) % 4,
                                                 .replayed = dice(&seed) % 2 };
        expect_packed(commits, count, (size_t)count * BURROW_PACKED_MAX);
    }
    for (int i = 0; i < 10; i++) /* of a busy partition: a thousand records in five seconds, and the groups beside it */
        commits[i] = (struct burrow_commit){ .offset = 70123456 + 1000 * i + i % 3 * 7,
                                             .order = 912345678 + 2500 * i,
                                             .timestamp_ms = NOW_S * 1000LL + 5003 * i,
                                             .lag = 1500 + (uint64_t)(i % 4) * 130,
                                             .observed_s = (uint32_t)(NOW_S + 5 * i),
                                             .lag_known = true };
    expect_packed(commits, 10, (10 + 2) * BURROW_PACKED_USUAL + 8);
}

/* The windows of a group are unpacked one after the other; that of the most lag is there at the end. */
static void the_max_of_a_group_stays(void **state)
{
    struct burrow *b = store_of(NULL, BURROW_RULES_CORRECTED);
    struct burrow_group_verdict g;

    (void)state;
    for (int p = 0; p < 5; p++)
        burrow_end(b, "t", p, 5, 100, NOW_S * 1000LL);
    for (int p = 0; p < 5; p++)
        for (int i = 0; i < 4; i++)
            commit_at(b, "g", "t", p, 10 * ((p + 3) % 5) + i, 20 - i);
    burrow_group_judge(&g, b, "g", NOW_S, NULL, NULL); /* offsets 30, 40, 0, 10, 20 and three more */
    assert_true(g.has_max);
    assert_int_equal(g.max.partition, 2);
    assert_int_equal(g.max.window.current_lag, 97);
    assert_int_equal(g.max_verdict.start->offset, 0);
    assert_int_equal(g.max_verdict.end->offset, 3);
    assert_ptr_equal(g.max_verdict.end, &g.max.window.commits[3]);
    assert_int_equal(g.total_lag, 5 * 97 - 100);
    burrow_free(b);
}

/* A member's partitions share its name; who comes later has a name of its own. */
static void owners_of_many_partitions(void **state)
{
    struct burrow *b = store_of(NULL, BURROW_RULES_CORRECTED);
    struct seen seen = { .count = 0 };

    (void)state;
    for (int p = 0; p < 4; p++) {
        burrow_end(b, "t", p, 4, 100, NOW_S * 1000LL);
        commit_at(b, "g", "t", p, 1, 3);
    }
    burrow_owner(b, "g", "t", 0, "/one", "c");
    burrow_owner(b, "g", "t", 1, "/one", "c");
    burrow_owner(b, "g", "t", 2, "/one", "d");
    burrow_owner(b, "g", "t", 0, "/two", "");
    assert_true(burrow_group(b, "g", NOW_S, see, &seen));
    assert_string_equal(seen.parts[0].owner, "/two");
    assert_string_equal(seen.parts[0].client_id, "");
    assert_string_equal(seen.parts[1].owner, "/one");
    assert_string_equal(seen.parts[1].client_id, "c");
    assert_ptr_not_equal(seen.parts[2].owner, seen.parts[1].owner);
    assert_string_equal(seen.parts[2].client_id, "d");
    assert_string_equal(seen.parts[3].owner, "");
    burrow_free(b);
}

/* --- records of __consumer_offsets -------------------------------------------------------------------------------- */

struct bytes {
    uint8_t at[600];
    size_t len;
};

static void put(struct bytes *b, uint64_t v, size_t bytes)
{
    while (bytes-- > 0)
        b->at[b->len++] = (uint8_t)(v >> (8 * bytes));
}

static void put_text(struct bytes *b, const char *text, bool flexible)
{
    put(b, flexible ? strlen(text) + 1 : strlen(text), flexible ? 1 : 2);
    memcpy(b->at + b->len, text, strlen(text));
    b->len += strlen(text);
}

static struct bytes key_of(int version, const char *group, const char *topic, int32_t partition)
{
    struct bytes b = { .len = 0 };

    put(&b, (uint64_t)version, 2);
    put_text(&b, group, false);
    if (topic) {
        put_text(&b, topic, false);
        put(&b, (uint32_t)partition, 4);
    }
    return b;
}

static struct bytes value_of(int version, int64_t offset, const char *metadata, int64_t at_ms)
{
    struct bytes b = { .len = 0 };

    put(&b, (uint64_t)version, 2);
    put(&b, (uint64_t)offset, 8);
    if (version >= 3)
        put(&b, 7, 4);
    put_text(&b, metadata, version >= 4);
    put(&b, (uint64_t)at_ms, 8);
    if (version == 1)
        put(&b, (uint64_t)at_ms + 1, 8);
    if (version >= 4)
        put(&b, 0, 1);
    return b;
}

static void commits_are_read(void **state)
{
    struct kafka_commit c;

    (void)state;
    for (int version = 0; version <= 4; version++) {
        const struct bytes k = key_of(version & 1, "a group", "orders", 7),
                           v = value_of(version, 1LL << 40, "baton/1 epoch=3", 1700000000123);

        assert_int_equal(kafka_commits_decode(&c, k.at, k.len, v.at, v.len), KAFKA_COMMITS_COMMIT);
        assert_string_equal(c.group, "a group");
        assert_string_equal(c.topic, "orders");
        assert_int_equal(c.partition, 7);
        assert_int_equal(c.offset, 1LL << 40);
        assert_int_equal(c.timestamp_ms, 1700000000123);
        for (size_t cut = 0; cut < k.len; cut++) /* cut anywhere: broken, never read beyond */
            assert_int_equal(kafka_commits_decode(&c, k.at, cut, v.at, v.len), KAFKA_COMMITS_BROKEN);
        for (size_t cut = 0; cut < v.len - 9; cut++)
            assert_int_equal(kafka_commits_decode(&c, k.at, k.len, v.at, cut), KAFKA_COMMITS_BROKEN);
        assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_GONE);
    }
}

static void what_is_no_commit(void **state)
{
    struct bytes k = key_of(1, "g", "t", 0), v = value_of(5, 1, "", 1);
    struct kafka_commit c;
    char name[400];

    (void)state;
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, v.at, v.len), KAFKA_COMMITS_NEWER);
    for (int kind = 3; kind <= 8; kind++) { /* of a KIP-848 group */
        k = key_of(kind, "g", NULL, 0);
        assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_MEMBERS);
        assert_string_equal(c.group, "g");
    }
    k = key_of(9, "g", NULL, 0); /* of a share group */
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_OTHER);
    k = key_of(2, "g", NULL, 0);
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_GROUP);
    k = key_of(1, "g", "t", -1);
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_BROKEN);
    memset(name, 'n', sizeof(name));
    name[300] = 0;
    k = key_of(1, name, "t", 0);
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_BROKEN);
    k = key_of(1, "g", "t", 0);
    k.at[4] = 0; /* a zero byte in a name */
    assert_int_equal(kafka_commits_decode(&c, k.at, k.len, NULL, 0), KAFKA_COMMITS_BROKEN);
    assert_int_equal(kafka_commits_decode(&c, "", 0, NULL, 0), KAFKA_COMMITS_BROKEN);
}

static struct bytes group_value_of(int version, const char *protocol)
{
    const bool flexible = version >= 4;
    struct bytes b = { .len = 0 }, assignment = { .len = 0 };

    put(&assignment, 1, 2);
    put(&assignment, 1, 4);
    put_text(&assignment, "orders", false);
    put(&assignment, 2, 4);
    put(&assignment, 3, 4);
    put(&assignment, 5, 4);
    put(&assignment, 0xffffffff, 4);
    put(&b, (uint64_t)version, 2);
    put_text(&b, protocol, flexible);
    put(&b, 9, 4);
    put_text(&b, "range", flexible);
    put_text(&b, "leader", flexible);
    if (version >= 2)
        put(&b, 1, 8);
    put(&b, flexible ? 2 : 1, flexible ? 1 : 4);
    put_text(&b, "member", flexible);
    if (version >= 3) /* the instance id is null */
        put(&b, flexible ? 0 : 0xffff, flexible ? 1 : 2);
    put_text(&b, "client", flexible);
    put_text(&b, "/10.0.0.1", flexible);
    put(&b, 1, version >= 1 ? 8 : 4);
    put(&b, flexible ? 3 : 2, flexible ? 1 : 4);
    put(&b, 0, 2);
    put(&b, flexible ? assignment.len + 1 : assignment.len, flexible ? 1 : 4);
    memcpy(b.at + b.len, assignment.at, assignment.len);
    b.len += assignment.len;
    if (flexible)
        put(&b, 0, 1);
    return b;
}

static void on_owner(void *opaque, const char *topic, int32_t partition, const char *host, const char *client_id)
{
    char *text = opaque;

    snprintf(text + strlen(text), 100, "%s-%d %s %s; ", topic, (int)partition, host, client_id);
}

static void owners_are_read(void **state)
{
    char text[4000];

    (void)state;
    for (int version = 0; version <= 4; version++) {
        struct bytes v = group_value_of(version, "consumer");

        text[0] = 0;
        assert_true(kafka_commits_owners(v.at, v.len, on_owner, text));
        assert_string_equal(text, "orders-3 /10.0.0.1 client; orders-5 /10.0.0.1 client; ");
        for (size_t cut = 0; cut < v.len; cut++) {
            text[0] = 0;
            assert_false(kafka_commits_owners(v.at, cut, on_owner, text));
        }
        v = group_value_of(version, "connect");
        text[0] = 0;
        assert_true(kafka_commits_owners(v.at, v.len, on_owner, text));
        assert_string_equal(text, "");
    }
    assert_true(kafka_commits_owners(NULL, 0, on_owner, text));
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static void options_say_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "intervals", "NAME=VALUE" },          { "interval=3", "did you mean 'intervals'?" },
        { "intervals=0", "intervals: " },       { "rules=right", "neither 'corrected' nor 'burrow'" },
        { "min-distance=1", "min-distance: " }, { "min-distance=1500ms", "whole seconds" },
        { "cluster=a/b", "cluster: 'a/b'" },    { "minimum-complete=101%", "minimum-complete: " },
    };
    struct burrow_options o, before;
    struct str help = STR_WITH_MAX(4000);

    (void)state;
    burrow_options_default(&o);
    assert_string_equal(o.cluster, "local");
    assert_true(o.rules == BURROW_RULES_CORRECTED && o.intervals == 10 && o.expire_group_ms == 604800000);
    before = o;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct errmsg m = { 0 };

        assert_int_equal(burrow_options_set(&o, wrong[i].text, &m), ERR_INVALID);
        if (!strstr(m.text, wrong[i].says))
            fail_msg("%s: %s", wrong[i].text, m.text);
        assert_memory_equal(&o, &before, sizeof(o));
    }
    assert_int_equal(burrow_options_set(&o, "rules=burrow,cluster=prod,minimum-complete=50%,allowed-lag=3", NULL),
                     ERR_OK);
    assert_true(o.rules == BURROW_RULES_BURROW && o.minimum_complete_percent == 50 && o.allowed_lag == 3);
    burrow_options_help(&help);
    assert_non_null(strstr(help.buf, "offset-refresh=10s"));
    str_free(&help);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_are_labelled_as_burrow_does),
        cmocka_unit_test(corrected_differs_where_burrow_misleads),
        cmocka_unit_test(the_table_of_differences),
        cmocka_unit_test(ends_count_by_their_time),
        cmocka_unit_test(how_full_a_window_is),
        cmocka_unit_test(rings_are_kept_as_burrow_does),
        cmocka_unit_test(what_takes_a_place_is_not_merged),
        cmocka_unit_test(groups_are_labelled_as_burrow_does),
        cmocka_unit_test(what_goes_away),
        cmocka_unit_test(owners_before_commits),
        cmocka_unit_test(nothing_grows_without_bound),
        cmocka_unit_test(any_order_of_arrival),
        cmocka_unit_test(what_is_packed_comes_out_again),
        cmocka_unit_test(the_max_of_a_group_stays),
        cmocka_unit_test(owners_of_many_partitions),
        cmocka_unit_test(commits_are_read),
        cmocka_unit_test(what_is_no_commit),
        cmocka_unit_test(owners_are_read),
        cmocka_unit_test(options_say_what_is_wrong),
    };
    const char *path = argc > 1 ? argv[1] : BURROW_CASES;
    json_error_t error;
    int failed;

    cases = json_load_file(path, 0, &error);
    if (!cases) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return 2;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(cases);
    return failed;
}
