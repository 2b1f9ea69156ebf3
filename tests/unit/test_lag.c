/*
 * lag - the figures of core/lag: facts in, a number or the reason for none; the table of kafka-lag-exporter by its own tests'
 * values (time_lag_cases.json), and what is read from it here.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/lag.h"

/* --- in records --------------------------------------------------------------------------------------------------- */

static void test_records(void **state)
{
    const int64_t none = OFFSET_UNKNOWN;
    static const struct lag_facts any = { .log_start = 0, .committed_epoch = -1, .end_epoch = -1 };
    const struct {
        const char *what;
        int64_t committed, end, log_start;
        int32_t committed_epoch, end_epoch;
        enum lag_state expect;
        int64_t records, lost;
    } cases[] = {
        { "behind", 10, 25, 0, 3, 3, LAG_KNOWN, 15, 0 },
        { "at the end", 25, 25, 0, 3, 3, LAG_KNOWN, 0, 0 },
        { "empty log", 0, 0, 0, -1, 0, LAG_KNOWN, 0, 0 },
        { "retention has passed the commit", 10, 25, 20, 3, 3, LAG_KNOWN, 5, 10 },
        { "retention took all", 10, 25, 25, 3, 3, LAG_KNOWN, 0, 15 },
        { "the start was read later than the end", 10, 25, 30, 3, 3, LAG_KNOWN, 0, 15 },
        { "start not known", 10, 25, none, 3, 3, LAG_KNOWN, 15, 0 },
        { "nothing committed", none, 25, 0, -1, 3, LAG_NO_COMMIT, 0, 0 },
        { "nothing committed, nothing known", none, none, none, -1, -1, LAG_NO_COMMIT, 0, 0 },
        { "end not known", 10, none, 0, 3, -1, LAG_NO_END, 0, 0 },
        { "truncated", 30, 25, 0, 3, 3, LAG_AHEAD, 0, 0 },
        { "truncated, epochs not known", 30, 25, 0, -1, -1, LAG_AHEAD, 0, 0 },
        { "made again and grown past the commit", 30, 80, 0, 7, 0, LAG_AHEAD, 0, 0 },
        { "the leader has changed since", 30, 80, 0, 2, 7, LAG_KNOWN, 50, 0 },
        { "an old broker tells no epoch", 30, 80, 0, 7, -1, LAG_KNOWN, 50, 0 },
        { "large", 0, INT64_MAX, 0, 0, 0, LAG_KNOWN, INT64_MAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct lag_facts f = any;
        struct lag lag;

        f.committed = cases[i].committed;
        f.end = cases[i].end;
        f.log_start = cases[i].log_start;
        f.committed_epoch = cases[i].committed_epoch;
        f.end_epoch = cases[i].end_epoch;
        lag = lag_of(&f);
        if (lag.state != cases[i].expect || lag.records != cases[i].records || lag.lost != cases[i].lost)
            fail_msg("%s: %s, %lld behind, %lld lost", cases[i].what, lag_state_name(lag.state), (long long)lag.records,
                     (long long)lag.lost);
    }
}

/* What is known of topic and commit goes before any figure. */
static void test_no_number_rather_than_a_wrong_one(void **state)
{
    struct lag_facts f = { .committed = 10, .end = 25, .log_start = 0, .committed_epoch = 1, .end_epoch = 1 };

    (void)state;
    f.remade = true;
    assert_int_equal(lag_of(&f).state, LAG_REMADE);
    f.unread = true;
    assert_int_equal(lag_of(&f).state, LAG_UNREAD);
    f.gone = true;
    assert_int_equal(lag_of(&f).state, LAG_NO_TOPIC);
    f = (struct lag_facts){ .committed = OFFSET_UNKNOWN, .end = 25, .remade = true };
    assert_int_equal(lag_of(&f).state, LAG_NO_COMMIT);
    for (int s = 0; s < LAG_STATE_COUNT; s++)
        assert_true(strlen(lag_state_name((enum lag_state)s)) > 0);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

struct table {
    struct curve curve;
    struct curve_point memory[128];
};

static void table_init(struct table *t, int size)
{
    assert_in_range(size, CURVE_POINTS_MIN, ARRAY_COUNT(t->memory));
    t->curve = (struct curve){ .points = t->memory, .room = size, .size = size };
}

static void expect_lookup(const char *test, const struct table *t, int64_t offset, const json_t *expected)
{
    const char *word = json_string_value(expected);
    double at_ms = NAN, want;
    enum curve_answer answer = curve_predict(&t->curve, offset, &at_ms);

    if (word && !strcmp(word, "LagIsZero")) {
        if (answer != CURVE_LAG_IS_ZERO)
            fail_msg("%s: at %lld the lag is zero, not %d, %g", test, (long long)offset, (int)answer, at_ms);
        return;
    }
    if (word && !strcmp(word, "TooFewPoints")) {
        if (answer != CURVE_TOO_FEW_POINTS)
            fail_msg("%s: too few points for %lld, not %d, %g", test, (long long)offset, (int)answer, at_ms);
        return;
    }
    want = word ? (!strcmp(word, "-inf") ? -INFINITY : INFINITY) : json_number_value(expected);
    if (word && strcmp(word, "-inf") != 0 && strcmp(word, "+inf") != 0)
        fail_msg("%s: what is '%s'?", test, word);
    if (answer != CURVE_PREDICTED || (at_ms != want && !(fabs(at_ms - want) <= 1e-9 * fabs(want))))
        fail_msg("%s: at %lld %.17g was expected, not %d, %.17g", test, (long long)offset, want, (int)answer, at_ms);
}

/* TIME_LAG_CASES may name another file of the same form. */
static void test_vectors(void **state)
{
    const char *path = getenv("TIME_LAG_CASES");
    json_error_t why;
    json_t *all, *c, *p;
    size_t i, k;

    (void)state;
    all = json_load_file(path ? path : TIME_LAG_CASES, 0, &why);
    if (!all)
        fail_msg("%s:%d: %s", path ? path : TIME_LAG_CASES, why.line, why.text);
    assert_true(json_array_size(json_object_get(all, "cases")) >= 9);
    json_array_foreach(json_object_get(all, "cases"), i, c)
    {
        const char *test = json_string_value(json_object_get(json_object_get(c, "source"), "test"));
        const json_t *length = json_object_get(c, "expected_length"),
                     *length_4 = json_object_get(c, "length_after_4_points");
        struct table t;

        table_init(&t, (int)json_integer_value(json_object_get(c, "size")));
        json_array_foreach(json_object_get(c, "points"), k, p)
        {
            curve_add(&t.curve, json_integer_value(json_array_get(p, 0)), json_integer_value(json_array_get(p, 1)));
            if (k == 3 && length_4)
                assert_int_equal(t.curve.count, json_integer_value(length_4));
        }
        if (length)
            assert_int_equal(t.curve.count, json_integer_value(length));
        json_array_foreach(json_object_get(c, "lookups"), k, p)
            expect_lookup(test ? test : "unnamed", &t, json_integer_value(json_array_get(p, 0)), json_array_get(p, 1));
    }
    json_decref(all);
}

/* The same answers whether its memory was large from the beginning or grew. */
static void test_grows(void **state)
{
    struct table whole, grown;
    struct curve_point small[2], middle[5];
    double a, b;

    (void)state;
    table_init(&whole, 8);
    grown.curve = (struct curve){ .points = small, .room = 2, .size = 8 };
    for (int i = 0; i < 40; i++) {
        const int64_t offset = i / 3 * 7, at_ms = i * 10;

        if (curve_full(&grown.curve))
            curve_move(&grown.curve, grown.curve.room == 2 ? middle : grown.memory, grown.curve.room == 2 ? 5 : 8);
        assert_int_equal(curve_add(&whole.curve, offset, at_ms), curve_add(&grown.curve, offset, at_ms));
        assert_int_equal(whole.curve.count, grown.curve.count);
        for (int64_t o = -3; o < offset + 10; o++) {
            a = b = 0;
            assert_int_equal(curve_predict(&whole.curve, o, &a), curve_predict(&grown.curve, o, &b));
            assert_true(a == b || (isnan(a) && isnan(b)));
        }
    }
    assert_int_equal(whole.curve.count, 8);
    assert_int_equal(curve_at(&whole.curve, 7).at_ms, 390);
}

/* --- in time ------------------------------------------------------------------------------------------------------ */

static void expect_age(const struct table *t, int64_t committed, int64_t now_ms, enum time_lag_state expect, int64_t ms)
{
    const struct time_lag got = curve_time_lag(&t->curve, committed, now_ms);

    if (got.state != expect || got.ms != ms)
        fail_msg("committed %lld at %lld: state %d, %lld ms", (long long)committed, (long long)now_ms, (int)got.state,
                 (long long)got.ms);
}

static void test_age(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, 60);
    expect_age(&t, 5, 1000, TIME_LAG_UNKNOWN, 0);
    curve_add(&t.curve, 100, 1000);
    expect_age(&t, 50, 1000, TIME_LAG_UNKNOWN, 0);
    expect_age(&t, 100, 1500, TIME_LAG_KNOWN, 0);
    curve_add(&t.curve, 100, 61000); /* idle for a minute */
    expect_age(&t, 100, 61000, TIME_LAG_KNOWN, 0);
    expect_age(&t, 50, 61000, TIME_LAG_AT_LEAST, 60000); /* before our time: no extrapolation, no infinity */
    curve_add(&t.curve, 200, 62000);
    expect_age(&t, 150, 63000, TIME_LAG_KNOWN, 1500);
    expect_age(&t, 100, 63000, TIME_LAG_KNOWN, 2000); /* the idle minute is not the record's age */
    expect_age(&t, 99, 63000, TIME_LAG_AT_LEAST, 62000);
    expect_age(&t, 200, 63000, TIME_LAG_KNOWN, 0);
    expect_age(&t, 250, 63000, TIME_LAG_KNOWN, 0); /* committed after the end was read */
    expect_age(&t, 199, 61000, TIME_LAG_KNOWN, 0); /* a clock that went back makes nothing negative */
    curve_clear(&t.curve);
    expect_age(&t, 150, 63000, TIME_LAG_UNKNOWN, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records), cmocka_unit_test(test_no_number_rather_than_a_wrong_one),
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_grows),
        cmocka_unit_test(test_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
