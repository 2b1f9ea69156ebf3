/*
 * test_verdict - what the judge makes of figures that are rarely asked for, and the sentences in which it says so.
 *
 * test_judge holds its odds against simulated traffic; here figures are steady, so each story has one end: signals of either
 * sense, refreshes of metadata, lag with its limit, its backlog and a control, time that counts for nobody, a baseline of the
 * wrong color. What people read at three in the morning is part of it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/judge.h"
#include "core/op.h"

#define PARTS 2
#define LOOK_MS 10000

struct court {
    struct judge judge;
    struct judge_policy policy;
    struct judge_progress progress[PARTS];
    struct judge_sample sample;
    struct judge_part parts[PARTS];
    struct judge_verdict said;
};

static void sample_clear(struct court *c)
{
    memset(&c->sample.of, 0, sizeof(c->sample.of));
    for (int i = 0; i < SIGNALS_MAX; i++)
        c->sample.of[BLUE].signals[i] = c->sample.of[GREEN].signals[i] = NAN;
}

static struct court *court_new(unsigned metrics)
{
    struct court *c = calloc(1, sizeof(*c));

    c->policy = (struct judge_policy){ .mode = JUDGE_AUTO,
                                       .alpha_ppm = 40000,
                                       .interval_ms = LOOK_MS,
                                       .records_min = 100,
                                       .tolerance_ppm = 250000,
                                       .metrics = metrics,
                                       .catch_up_ms = 600000,
                                       .crash_loop = 3,
                                       .crash_window_ms = 120000 };
    c->sample.now_ms = 1000000;
    sample_clear(c);
    return c;
}

/* One more interval of the same figures while `active` works alone. */
static void watch(struct court *c, enum color active)
{
    c->sample.now_ms += LOOK_MS;
    judge_baseline(&c->judge, active, &c->sample);
}

static enum verdict look(struct court *c)
{
    enum verdict v;

    c->sample.now_ms += LOOK_MS;
    v = judge_step(&c->judge, &c->sample);
    judge_explain(&c->judge, &c->said);
    assert_int_equal(v, c->said.verdict);
    return v;
}

static enum verdict looks(struct court *c, int count)
{
    enum verdict v = VERDICT_UNDECIDED;

    for (int i = 0; i < count; i++)
        v = look(c);
    return v;
}

static void says(const struct court *c, const char *text)
{
    if (!strstr(c->said.sentence, text))
        fail_msg("said '%s', not '%s'", c->said.sentence, text);
}

static void begin(struct court *c)
{
    judge_begin(&c->judge, &c->policy, GREEN, 1, c->sample.now_ms);
    sample_clear(c);
}

/* --- signals ---------------------------------------------------------------------------------------------------------------- */

/* A signal is judged when it tells the colors apart, whatever its sense; a level far out on the good side is good. */
static void a_signal_is_bad_on_its_bad_side(void **state)
{
    static const struct {
        const char *query;
        enum signal_worse worse;
        double level;
        enum verdict verdict;
    } cases[] = {
        { "cpu{color=\"$color\"}", SIGNAL_HIGHER_IS_WORSE, 4, VERDICT_WORSE },
        { "cpu{color=\"$color\"}", SIGNAL_HIGHER_IS_WORSE, 1e12, VERDICT_WORSE }, /* beyond the last bucket */
        { "cpu{group=\"$group\"}", SIGNAL_HIGHER_IS_WORSE, 0.2, VERDICT_UNDECIDED },
        { "cpu{group=\"$group\"}", SIGNAL_HIGHER_IS_WORSE, -3, VERDICT_UNDECIDED },
        { "hits{version=\"$version\"}", SIGNAL_LOWER_IS_WORSE, 0.1, VERDICT_WORSE },
        { "hits{version=\"$version\"}", SIGNAL_LOWER_IS_WORSE, 9, VERDICT_UNDECIDED },
        { "cpu", SIGNAL_HIGHER_IS_WORSE, 4, VERDICT_UNDECIDED }, /* the same for both: tells nothing about a color */
        { "cpu{color=\"$color\"}", SIGNAL_HIGHER_IS_WORSE, -1e20, VERDICT_UNDECIDED }, /* no number */
        { "cpu{color=\"$color\"}", SIGNAL_HIGHER_IS_WORSE, 1e20, VERDICT_UNDECIDED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct court *c = court_new(0);

        c->policy.signal_count = 1;
        c->policy.signals[0].worse = cases[i].worse;
        snprintf(c->policy.signals[0].name, sizeof(c->policy.signals[0].name), "figure");
        snprintf(c->policy.signals[0].query, sizeof(c->policy.signals[0].query), "%s", cases[i].query);
        judge_init(&c->judge, &c->policy, c->progress, PARTS);
        for (int k = 0; k < 120; k++) {
            c->sample.of[BLUE].signals[0] = 0.4 + 0.1 * (k % 4);
            watch(c, BLUE);
        }
        begin(c);
        c->sample.of[GREEN].counted = true;
        c->sample.of[GREEN].records = 100;
        c->sample.of[GREEN].signals[0] = cases[i].level;
        if (looks(c, 40) != cases[i].verdict)
            fail_msg("line %zu: %s", i, c->said.sentence);
        if (cases[i].verdict == VERDICT_WORSE) {
            says(c, "readings lay beyond 0.");
            says(c, "by chance once in");
        }
        free(c);
    }
}

/* A hard limit holds whatever the other color does, in the sense of the signal; one good look begins anew. */
static void a_limit_has_a_sense(void **state)
{
    static const struct {
        enum signal_worse worse;
        double good, bad;
    } cases[] = { { SIGNAL_HIGHER_IS_WORSE, 5, 5.1 }, { SIGNAL_LOWER_IS_WORSE, 5, 4.9 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct court *c = court_new(0);
        double *level = &c->sample.of[GREEN].signals[0];

        c->policy.mode = JUDGE_GUARD;
        c->policy.signal_count = 1;
        c->policy.signals[0] =
            (struct signal_policy){ .name = "depth", .worse = cases[i].worse, .limited = true, .limit = 5 };
        judge_init(&c->judge, &c->policy, c->progress, PARTS);
        begin(c);
        *level = cases[i].bad;
        assert_int_equal(looks(c, 2), VERDICT_UNDECIDED);
        *level = cases[i].good;
        assert_int_equal(look(c), VERDICT_UNDECIDED);
        says(c, "nothing speaks against green");
        *level = cases[i].bad;
        assert_int_equal(looks(c, 2), VERDICT_UNDECIDED);
        assert_int_equal(look(c), VERDICT_WORSE);
        assert_int_equal(c->said.rule, RULE_LIMIT);
        says(c, "depth is");
        says(c, "for 3 looks, the limit is 5");
        free(c);
    }
}

/* --- refreshes of metadata --------------------------------------------------------------------------------------------------- */

static void slow_refreshes_are_worse(void **state)
{
    struct court *c = court_new(1 << METRIC_METADATA);

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    for (int k = 0; k < 120; k++) {
        c->sample.of[BLUE].metadata_known = true;
        memset(&c->sample.of[BLUE].metadata, 0, sizeof(c->sample.of[BLUE].metadata));
        histogram_add(&c->sample.of[BLUE].metadata, 4000 + 100 * (k % 10), 10);
        watch(c, BLUE);
    }
    begin(c);
    c->sample.of[GREEN].counted = true;
    c->sample.of[GREEN].records = 10;
    c->sample.of[GREEN].metadata_known = true;
    histogram_add(&c->sample.of[GREEN].metadata, 4000, 10);
    assert_int_equal(looks(c, 20), VERDICT_UNDECIDED); /* it may only say no, so nobody says ok */
    says(c, "no figure is there that could say ok");
    assert_int_equal(c->said.metrics[0].state, METRIC_OK);
    assert_false(c->said.metrics[0].votes);
    memset(&c->sample.of[GREEN].metadata, 0, sizeof(c->sample.of[GREEN].metadata));
    histogram_add(&c->sample.of[GREEN].metadata, 900000, 10);
    assert_int_equal(looks(c, 40), VERDICT_WORSE);
    says(c, "metadata: ");
    says(c, "refreshes took");
    free(c);
}

/* --- lag -------------------------------------------------------------------------------------------------------------------- */

/* A color that is so much behind: `arrivals` come in each look. */
static void behind(struct court *c, int64_t lag, int64_t arrivals)
{
    c->sample.lag_known = true;
    c->sample.parts = c->parts;
    c->sample.part_count = 1;
    c->parts[0].baton = 0;
    c->parts[0].end += arrivals;
    c->parts[0].position = c->parts[0].end - lag;
}

static void a_lag_has_a_limit_once_it_was_worked_off(void **state)
{
    struct court *c = court_new(1 << METRIC_LAG);

    (void)state;
    c->policy.time_lag_limit_ms = 60000;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    begin(c);
    for (int i = 0; i < 6; i++) {
        behind(c, 10, 1000); /* 100 a second */
        assert_int_not_equal(look(c), VERDICT_WORSE);
    }
    assert_int_equal(c->said.verdict, VERDICT_OK);
    says(c, "green is as good as blue");
    for (int i = 0; i < 2; i++) { /* 70 seconds of arrivals */
        behind(c, 7000, 1000);
        assert_int_equal(look(c), VERDICT_UNDECIDED);
    }
    behind(c, 100, 1000);
    assert_int_equal(look(c), VERDICT_UNDECIDED); /* the looks in a row begin anew */
    for (int i = 0; i < 2; i++) {
        behind(c, 7000, 1000);
        assert_int_not_equal(look(c), VERDICT_WORSE);
    }
    behind(c, 7000, 1000);
    assert_int_equal(look(c), VERDICT_WORSE);
    assert_int_equal(c->said.rule, RULE_LIMIT);
    says(c, "lag: 7000 records, 70 s of arrivals, the limit is 60 s");
    assert_string_equal(c->said.metrics[0].sentence, c->said.sentence);
    assert_int_equal(c->said.metrics[0].state, METRIC_WORSE);
    free(c);
}

/* A backlog has its time, by what the old color could do where that is known; what is left then is said. */
static void a_backlog_has_its_time(void **state)
{
    (void)state;
    for (int hurried = 0; hurried < 2; hurried++) {
        struct court *c = court_new(1 << METRIC_LAG);
        int found = 0;

        judge_init(&c->judge, &c->policy, c->progress, PARTS);
        for (int k = 0; k < 60; k++) { /* now and then blue had to hurry: 200 a second instead of 100 */
            c->sample.of[BLUE].counted = true;
            c->sample.of[BLUE].records = hurried && k % 20 < 3 ? 2000 : 1000;
            behind(c, 5000, 1000); /* and it was behind, always as much */
            watch(c, BLUE);
        }
        begin(c);
        c->sample.of[GREEN].counted = true;
        c->sample.of[GREEN].records = 900;
        for (int i = 1; i <= 70 && !found; i++) {
            behind(c, 5000, 1000);
            if (look(c) == VERDICT_WORSE)
                found = i;
            else if (i == 2)
                says(c, "green catches up, 5000 records are left");
        }
        if (hurried) /* its time is over after twice what blue would have needed; from then on it is judged like any other */
            assert_int_equal(found, 0);
        else {
            assert_int_equal(found, 61);
            assert_int_equal(c->said.rule, RULE_CATCH_UP);
            says(c, "5000 records are left of a backlog of 5000 after 610 s");
        }
        free(c);
    }
}

/* What grows for both colors is no fault of the new one. */
static void a_lag_that_grows_for_both_is_nobodys(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        struct court *c = court_new(1 << METRIC_LAG);
        enum verdict v = VERDICT_UNDECIDED;

        judge_init(&c->judge, &c->policy, c->progress, PARTS);
        for (int k = 0; k < 60; k++) {
            behind(c, 10, 1000);
            watch(c, BLUE);
        }
        begin(c);
        c->sample.control_lag_known = true;
        for (int i = 0; i < 40 && v != VERDICT_WORSE; i++) {
            c->sample.control_lag = both ? 5000 + 500 * i : 10;
            behind(c, 5000 + 500 * i, 1000);
            v = look(c);
        }
        assert_int_equal(v == VERDICT_WORSE, !both);
        free(c);
    }
}

/* --- time that counts for nobody ------------------------------------------------------------------------------------------------ */

static void an_outage_is_excluded_but_not_for_ever(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE);
    struct judge_figures *f = &c->sample.of[GREEN];

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    begin(c);
    *f = (struct judge_figures){ .counted = true, .records = 100, .errors = 90 };
    c->sample.excluded = true;
    assert_int_equal(looks(c, 6), VERDICT_UNDECIDED); /* a minute of a broker's trouble */
    assert_int_equal(looks(c, 3), VERDICT_WORSE);     /* a storm of it is a failure of its own */
    assert_int_equal(c->said.rule, RULE_BREAKER);
    free(c);
}

/* A gap, a step back in time, and what is excluded leave no mark in the baseline. */
static void a_baseline_keeps_only_what_was_steady(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE);
    struct judge_figures *f = &c->sample.of[BLUE];

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    for (int i = 0; i < 200; i++) {
        *f = (struct judge_figures){ .counted = true, .records = 1000, .errors = 1 + i % 2 };
        if (i % 10 == 3) { /* half of it fails, and it does not count */
            c->sample.excluded = i % 20 == 3;
            c->sample.now_ms += c->sample.excluded ? 0 : 100 * LOOK_MS;
            f->errors = 500;
        }
        watch(c, BLUE);
        c->sample.excluded = false;
        judge_baseline(&c->judge, BLUE, &c->sample); /* the same moment once more */
    }
    begin(c);
    c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 1000, .errors = 1 };
    assert_int_equal(looks(c, 30), VERDICT_OK);
    assert_true(c->said.metrics[0].expected < 0.002);
    c->sample.of[GREEN].errors = 20;
    assert_int_equal(looks(c, 10), VERDICT_WORSE);
    says(c, "records failed");
    free(c);
}

/* --- what was so before --------------------------------------------------------------------------------------------------------- */

/* What the old color did not do better is not held against the new one, be it ever so bad. */
static void what_was_bad_before_is_no_fault(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE | 1 << METRIC_LATENCY);

    (void)state;
    c->policy.error_rate_limit_ppm = 50000;
    c->policy.latency_p99_limit_ms = 100;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    for (int i = 0; i < 60; i++) {
        c->sample.of[BLUE] =
            (struct judge_figures){ .counted = true, .records = 100, .errors = 90 + i % 3, .latency_known = true };
        histogram_add(&c->sample.of[BLUE].latency, 900000, 100);
        watch(c, BLUE);
    }
    begin(c);
    c->sample.of[GREEN] =
        (struct judge_figures){ .counted = true, .records = 100, .errors = 91, .latency_known = true };
    histogram_add(&c->sample.of[GREEN].latency, 900000, 100);
    assert_int_not_equal(looks(c, 40), VERDICT_WORSE);
    assert_true(c->said.metrics[0].tolerated <= 0.95);
    free(c);
}

/* Two partitions stand still, and nobody is heard of at the same look: what was seen first is what is said, and it stays. */
static void the_first_reason_stays(void **state)
{
    struct court *c = court_new(0);

    (void)state;
    c->policy.mode = JUDGE_GUARD;
    c->policy.no_progress_ms = 2 * LOOK_MS;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    begin(c);
    c->sample.lag_known = true;
    c->sample.parts = c->parts;
    c->sample.part_count = 2;
    c->parts[0] = (struct judge_part){ .baton = 0, .position = 5, .end = 9 };
    c->parts[1] = (struct judge_part){ .baton = 1, .position = 5, .end = 9 };
    assert_int_equal(looks(c, 2), VERDICT_UNDECIDED);
    c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 100, .errors = 100 };
    assert_int_equal(look(c), VERDICT_WORSE);
    assert_int_equal(c->said.rule, RULE_NO_PROGRESS);
    says(c, "2 partitions have records waiting and have stood still for 20 s");
    assert_int_equal(looks(c, 5), VERDICT_WORSE);
    assert_int_equal(c->said.rule, RULE_NO_PROGRESS);
    free(c);
}

/* Partitions come and go between two looks: what their ends add up to is no arrival. */
static void partitions_that_come_are_no_arrivals(void **state)
{
    struct court *c = court_new(1 << METRIC_LAG);

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    begin(c);
    for (int i = 0; i < 4; i++) {
        behind(c, 10, 1000);
        look(c);
    }
    assert_int_equal(c->judge.lag.arrivals, 100);
    c->parts[1] = (struct judge_part){ .baton = 1, .position = 900000, .end = 900000 };
    behind(c, 10, 1000);
    c->sample.part_count = 2;
    look(c);
    assert_int_equal(c->judge.lag.arrivals, 100);
    c->parts[1].end = c->parts[1].position = 0; /* made again: ends fall */
    look(c);
    assert_int_equal(c->judge.lag.arrivals, 100);
    c->sample.now_ms += 60000; /* after a long gap the old figure counts no more */
    c->parts[0].end += 70 * 50;
    c->parts[0].position = c->parts[0].end;
    look(c);
    assert_int_equal(c->judge.lag.arrivals, 50);
    assert_int_not_equal(c->said.verdict, VERDICT_WORSE);
    free(c);
}

/* --- what is said ------------------------------------------------------------------------------------------------------------------ */

static void why_there_is_no_verdict_is_said(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE);

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    judge_explain(&c->judge, &c->said);
    says(c, "nothing is being judged");
    assert_int_equal(judge_step(&c->judge, &c->sample), VERDICT_UNDECIDED);
    c->policy.warmup_ms = 30000;
    begin(c);
    look(c);
    says(c, "green has not shown any work yet");
    c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 100 };
    looks(c, 2);
    says(c, "green warms up, 10 s of 30 s");
    looks(c, 3);
    says(c, "error_rate: unknown: there is nothing to compare it with");
    assert_true(c->said.blind);
    sample_clear(c);
    looks(c, 5);
    says(c, "error_rate: unknown: no figures have come for a while");
    free(c);
}

/* The color that was watched is not the one to compare with: what is known of it does not count. */
static void a_baseline_is_of_the_other_color(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE);

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    for (int i = 0; i < 60; i++) {
        c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 1000, .errors = 1 + i % 2 };
        watch(c, GREEN);
    }
    begin(c); /* to green */
    c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 1000, .errors = 1 };
    assert_int_equal(looks(c, 30), VERDICT_UNDECIDED);
    says(c, "there is nothing to compare it with");
    free(c);
}

/* With a baseline it says how much more it has to see, and ok in the end. */
static void an_ok_takes_so_many_records(void **state)
{
    struct court *c = court_new(1 << METRIC_ERROR_RATE);

    (void)state;
    judge_init(&c->judge, &c->policy, c->progress, PARTS);
    for (int i = 0; i < 60; i++) {
        c->sample.of[BLUE] = (struct judge_figures){ .counted = true, .records = 1000, .errors = 9 + i % 3 };
        watch(c, BLUE);
    }
    begin(c);
    c->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 100, .errors = 1 };
    assert_int_equal(looks(c, 2), VERDICT_UNDECIDED);
    says(c, "more records would do");
    says(c, "blue had 1%");
    assert_int_equal(looks(c, 60), VERDICT_OK);
    assert_int_equal(c->said.rule, RULE_EVIDENCE);
    assert_true(c->said.metrics[0].e_promote >= 20);
    free(c);
}

/* --- names ---------------------------------------------------------------------------------------------------------------------- */

#define NAMES_READ_BACK(noun, type, count)                             \
    do {                                                               \
        type v = (type)0;                                              \
                                                                       \
        for (int i = 0; i < (int)(count); i++) {                       \
            assert_true(noun##_parse(&v, noun##_name((type)i)));       \
            assert_int_equal(v, i);                                    \
        }                                                              \
        assert_false(noun##_parse(&v, "nothing of the kind"));         \
        assert_false(noun##_parse(&v, NULL));                          \
        assert_int_equal(v, (int)(count)-1); /* unknown: left alone */ \
    } while (0)

static void every_word_is_read_back(void **state)
{
    (void)state;
    NAMES_READ_BACK(verdict, enum verdict, VERDICT_COUNT);
    NAMES_READ_BACK(judge_mode, enum judge_mode, JUDGE_MODE_COUNT);
    NAMES_READ_BACK(judge_rule, enum judge_rule, JUDGE_RULE_COUNT);
    NAMES_READ_BACK(metric_state, enum metric_state, METRIC_STATE_COUNT);
    NAMES_READ_BACK(op_kind, enum op_kind, OP_KIND_COUNT);
    NAMES_READ_BACK(op_state, enum op_state, OP_STATE_COUNT);
    NAMES_READ_BACK(op_cause, enum op_cause, CAUSE_COUNT);
    NAMES_READ_BACK(color, enum color, COLOR_COUNT);
    NAMES_READ_BACK(right, enum right, RIGHT_COUNT);
    NAMES_READ_BACK(local_state, enum local_state, LOCAL_STATE_COUNT);
    NAMES_READ_BACK(phase, enum phase, PHASE_COUNT);
    NAMES_READ_BACK(strategy, enum strategy, STRATEGY_COUNT);
    NAMES_READ_BACK(on_unreachable, enum on_unreachable, ON_UNREACHABLE_COUNT);
    NAMES_READ_BACK(on_doubt, enum on_doubt, ON_DOUBT_COUNT);
    NAMES_READ_BACK(offset_reset, enum offset_reset, OFFSET_RESET_COUNT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_is_bad_on_its_bad_side),
        cmocka_unit_test(a_limit_has_a_sense),
        cmocka_unit_test(slow_refreshes_are_worse),
        cmocka_unit_test(a_lag_has_a_limit_once_it_was_worked_off),
        cmocka_unit_test(a_backlog_has_its_time),
        cmocka_unit_test(a_lag_that_grows_for_both_is_nobodys),
        cmocka_unit_test(an_outage_is_excluded_but_not_for_ever),
        cmocka_unit_test(a_baseline_keeps_only_what_was_steady),
        cmocka_unit_test(why_there_is_no_verdict_is_said),
        cmocka_unit_test(a_baseline_is_of_the_other_color),
        cmocka_unit_test(an_ok_takes_so_many_records),
        cmocka_unit_test(every_word_is_read_back),
        cmocka_unit_test(what_was_bad_before_is_no_fault),
        cmocka_unit_test(the_first_reason_stays),
        cmocka_unit_test(partitions_that_come_are_no_arrivals),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
