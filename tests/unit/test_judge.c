/* test_judge - the judge: its error bounds in simulated traffic, its rules as stories, and figures that mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../bench/judge_world.h"
#include "base/check.h"

#define PARTS 8

struct bench {
    struct judge *judge;
    struct judge_policy policy;
    struct judge_progress progress[PARTS];
    struct judge_sample sample;
    struct judge_part parts[PARTS];
    struct judge_verdict verdict;
    int64_t now_ms;
};

/* One metric, one stage: alpha 4 % is then a bound of 100, as in the simulations that docs/judge.md quotes. */
static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof(*b));

    b->judge = malloc(sizeof(*b->judge));
    b->policy = (struct judge_policy){
        .mode = JUDGE_AUTO,
        .alpha_ppm = 40000,
        .interval_ms = 10000,
        .records_min = 100,
        .tolerance_ppm = 250000,
        .metrics = 1 << METRIC_ERROR_RATE,
        .no_progress_ms = 60000,
        .catch_up_ms = 600000,
        .crash_loop = 3,
        .crash_window_ms = 120000,
    };
    b->now_ms = 1000000;
    world_sample_init(&b->sample);
    return b;
}

static void bench_start(struct bench *b)
{
    judge_init(b->judge, &b->policy, b->progress, PARTS);
}

static void bench_free(struct bench *b)
{
    free(b->judge);
    free(b);
}

static void baseline(struct bench *b, struct world *w, int looks)
{
    for (int i = 0; i <= looks; i++) {
        b->now_ms += b->policy.interval_ms;
        b->sample.now_ms = b->now_ms;
        world_figures(w, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, 1, 1);
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    memset(&b->sample.of[BLUE].latency, 0, sizeof(b->sample.of[BLUE].latency));
    b->sample.of[BLUE].counted = b->sample.of[BLUE].latency_known = false;
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
}

static enum verdict look(struct bench *b)
{
    enum verdict v;

    b->now_ms += b->policy.interval_ms;
    b->sample.now_ms = b->now_ms;
    v = judge_step(b->judge, &b->sample);
    judge_explain(b->judge, &b->verdict);
    assert_int_equal(v, b->verdict.verdict);
    return v;
}

/* Looks at green's traffic until a verdict against it; ms until then, -1: none in so many looks. */
static int64_t worse_after(struct bench *b, struct world *w, int looks, double worse, double slower)
{
    const int64_t began_ms = b->now_ms;

    for (int i = 0; i < looks; i++) {
        b->now_ms += b->policy.interval_ms;
        b->sample.now_ms = b->now_ms;
        world_figures(w, &b->sample.of[GREEN], b->now_ms, b->policy.interval_ms, worse, slower);
        if (judge_step(b->judge, &b->sample) == VERDICT_WORSE)
            return b->now_ms - began_ms;
    }
    return -1;
}

/* The judge is lost with its leader, and another one goes on with what was kept. */
static void next_leader(struct bench *b, int kept_stage, int stage)
{
    struct judge_kept kept;

    judge_keep(b->judge, &kept, kept_stage);
    memset(b->judge, 0xa5, sizeof(*b->judge));
    bench_start(b);
    b->now_ms += 7654321; /* another machine's clock */
    judge_restore(b->judge, &kept, b->verdict.verdict ? &b->verdict : NULL, &b->policy, GREEN, 1, stage, b->now_ms);
}

/* --- histograms -------------------------------------------------------------------------------------------------------------- */

static void histograms_are_exact_to_an_eighth(void **state)
{
    struct histogram h = { 0 }, more = { 0 }, sum, since;

    (void)state;
    for (int64_t us = 0; us < 100000; us += 1 + us / 50) {
        const int bucket = histogram_bucket(us);

        assert_true(us < histogram_bound_us(bucket));
        assert_true(bucket == 0 || us >= histogram_bound_us(bucket - 1));
        assert_true((double)histogram_bound_us(bucket) <= (double)us * 1.125 + 1);
    }
    assert_int_equal(histogram_bucket(-5), 0);
    assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_quantile_us(&h, 0.5), -1);
    histogram_add(&h, 1000, 90);
    histogram_add(&h, 50000, 10);
    histogram_add(&more, 50000, 100);
    sum = h;
    histogram_merge(&sum, &more);
    assert_int_equal(histogram_count(&sum), 200);
    assert_true(histogram_quantile_us(&h, 0.5) <= 1125);
    assert_true(histogram_quantile_us(&sum, 0.5) >= 50000);
    assert_true(histogram_since(&since, &sum, &h));
    assert_memory_equal(&since, &more, sizeof(since));
    assert_false(histogram_since(&since, &h, &sum));
    histogram_add(&sum, 50000, UINT64_MAX);
    assert_true(histogram_count(&sum) == UINT64_MAX);
}

/* --- bounds and power ------------------------------------------------------------------------------------------------------------ */

/*
 * The rows that were simulated before the judge was written: an hour of blue, an hour of green with a look every ten
 * seconds. Shares of runs and mean delays, within the error of so few runs.
 */
static void error_rates_as_simulated_before(void **state)
{
    static const struct {
        double rate, errors;
        bool bursty;
        double worse;
        int found_min, found_max; /* percent of runs */
        double delay_s;           /* mean; 0: not looked at */
    } rows[] = { { 2, 0.001, false, 1, 0, 1, 0 },      { 2, 0.01, false, 1, 0, 1, 0 },
                 { 20, 0.01, false, 1, 0, 1, 0 },      { 200, 0.01, false, 1, 0, 1, 0 },
                 { 20, 0.01, true, 1, 0, 2, 0 },       { 200, 0.01, true, 1, 0, 2, 0 },
                 { 2, 0.001, false, 5, 30, 60, 0 },    { 2, 0.01, false, 5, 99, 100, 147 },
                 { 20, 0.01, false, 2, 99, 100, 253 }, { 20, 0.01, false, 5, 99, 100, 17 },
                 { 200, 0.01, false, 2, 99, 100, 25 }, { 20, 0.01, true, 5, 99, 100, 34 },
                 { 200, 0.01, true, 2, 98, 100, 270 } };
    const int runs = 200;
    struct bench *b = bench_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int found = 0;
        double delay_s = 0;

        for (int run = 0; run < runs; run++) {
            struct world w = { .random = (uint64_t)run * 977 + i,
                               .rate = rows[i].rate,
                               .errors = rows[i].errors,
                               .bursty = rows[i].bursty };
            int64_t after_ms;

            b->now_ms = 1000000;
            bench_start(b);
            baseline(b, &w, 360);
            after_ms = worse_after(b, &w, 360, rows[i].worse, 1);
            found += after_ms >= 0;
            delay_s += after_ms >= 0 ? (double)after_ms / 1000 / runs : 0;
        }
        delay_s = found ? delay_s * runs / found : 0;
        if (found * 100 < rows[i].found_min * runs || found * 100 > rows[i].found_max * runs ||
            (rows[i].delay_s > 0 && (delay_s < rows[i].delay_s * 0.7 || delay_s > rows[i].delay_s * 1.3)))
            fail_msg("%g/s, %g%%%s, x%g: found %d of %d after %.0f s, expected %d to %d%% after %.0f s", rows[i].rate,
                     100 * rows[i].errors, rows[i].bursty ? " in bursts" : "", rows[i].worse, found, runs, delay_s,
                     rows[i].found_min, rows[i].found_max, rows[i].delay_s);
        print_message("%g/s, %g%%%s, x%g: %d of %d after %.0f s\n", rows[i].rate, 100 * rows[i].errors,
                      rows[i].bursty ? " in bursts" : "", rows[i].worse, found, runs, delay_s);
    }
    bench_free(b);
}

/* Begins late: a green that was good for twenty minutes has no credit to spend. */
static void what_begins_late_is_found(void **state)
{
    struct bench *b = bench_new();
    struct world w = { .random = 7, .rate = 20, .errors = 0.01 };
    int64_t after_ms;

    (void)state;
    bench_start(b);
    baseline(b, &w, 360);
    assert_int_equal(worse_after(b, &w, 120, 1, 1), -1);
    after_ms = worse_after(b, &w, 60, 5, 1);
    assert_in_range(after_ms, 1, 90000);
    bench_free(b);
}

/* Latency x1.3 is found, the same latency is not, and a healthy green is ok in the end. */
static void latency_is_judged_by_its_quantiles(void **state)
{
    int found = 0, wrong = 0, ok = 0;

    (void)state;
    for (int run = 0; run < 20; run++) {
        struct bench *b = bench_new();
        struct world w = { .random = (uint64_t)run, .rate = 20, .errors = 0.01, .median_ms = 20, .sigma = 0.5 };

        b->policy.metrics |= 1 << METRIC_LATENCY;
        bench_start(b);
        baseline(b, &w, 120);
        wrong += worse_after(b, &w, 120, 1, 1) >= 0;
        judge_explain(b->judge, &b->verdict);
        ok += b->verdict.verdict == VERDICT_OK;
        judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
        found += worse_after(b, &w, 120, 1, 1.3) >= 0;
        bench_free(b);
    }
    assert_int_equal(wrong, 0);
    assert_true(ok >= 18);
    assert_int_equal(found, 20);
}

/* What hits both colors at once is nobody's fault; what hits green alone is. */
static void a_canary_is_measured_against_the_rest(void **state)
{
    struct bench *b = bench_new();
    struct world blue = { .random = 1, .rate = 18, .errors = 0.005 },
                 green = { .random = 2, .rate = 2, .errors = 0.005 };

    (void)state;
    bench_start(b);
    baseline(b, &blue, 360);
    for (int i = 0; i < 180; i++) {
        world_figures(&blue, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, i < 90 ? 1 : 20, 1);
        world_figures(&green, &b->sample.of[GREEN], b->now_ms, b->policy.interval_ms, i < 90 ? 1 : 20, 1);
        if (look(b) == VERDICT_WORSE)
            fail_msg("an outage of both: %s", b->verdict.sentence);
    }
    for (int i = 0; i < 60; i++) {
        world_figures(&blue, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, 1, 1);
        world_figures(&green, &b->sample.of[GREEN], b->now_ms, b->policy.interval_ms, 20, 1);
        if (look(b) == VERDICT_WORSE)
            break;
    }
    assert_int_equal(b->verdict.verdict, VERDICT_WORSE);
    assert_int_equal(b->verdict.rule, RULE_EVIDENCE);
    assert_non_null(strstr(b->verdict.sentence, "blue at the same time"));
    bench_free(b);
}

/* --- lag ------------------------------------------------------------------------------------------------------------------------- */

/* A queue with arrivals that wander (AR(1)), sampled every five seconds; commits come up to a second late. */
static int64_t lag_alarm(struct bench *b, uint64_t seed, double utilisation, double backlog, bool *ret_ok)
{
    struct world w = { .random = seed };
    const double rate = 100, capacity = rate / utilisation;
    double queue = backlog, load = 0, end = backlog + 1000, jitter;

    bench_start(b);
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
    b->sample.lag_known = true;
    b->sample.parts = b->parts;
    b->sample.part_count = 1;
    for (int i = 0; i < 720; i++) {
        double arrived;

        b->now_ms += 5000;
        load = 0.9 * load + 0.03 * world_normal(&w);
        arrived = world_poisson(&w, 5 * rate * exp(load));
        end += arrived;
        queue = queue + arrived > 5 * capacity ? queue + arrived - 5 * capacity : 0;
        jitter = world_uniform(&w) * rate;
        b->sample.now_ms = b->now_ms;
        b->parts[0].baton = 0;
        b->parts[0].end = (int64_t)end;
        b->parts[0].position = (int64_t)(end - queue - jitter);
        if (judge_step(b->judge, &b->sample) == VERDICT_WORSE)
            return (i + 1) * 5;
        *ret_ok = b->judge->verdict == VERDICT_OK;
    }
    return -1;
}

static void lag_as_simulated_before(void **state)
{
    static const struct {
        double utilisation, backlog_s;
        int found_min, found_max;
        int mean_s_max;
    } rows[] = { { 0.7, 0, 0, 0, 0 },        { 0.9, 0, 0, 1, 0 },       { 0.7, 300, 0, 0, 0 },    { 0.9, 300, 0, 2, 0 },
                 { 1.05, 0, 98, 100, 1000 }, { 1.2, 0, 100, 100, 200 }, { 2.0, 0, 100, 100, 100 } };
    const int runs = 100;
    struct bench *b = bench_new();

    (void)state;
    b->policy.metrics = 1 << METRIC_LAG;
    b->policy.interval_ms = 5000;
    b->policy.catch_up_ms = 86400000;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int found = 0, oks = 0;
        double delay_s = 0;

        for (int run = 0; run < runs; run++) {
            bool ok = false;
            const int64_t s = lag_alarm(b, (uint64_t)run * 31 + i, rows[i].utilisation, 100 * rows[i].backlog_s, &ok);

            found += s >= 0;
            oks += ok;
            delay_s += s >= 0 ? (double)s : 0;
        }
        print_message("lag at %g%%, backlog %g s: %d of %d after %.0f s; ok in the end: %d\n",
                      100 * rows[i].utilisation, rows[i].backlog_s, found, runs, found ? delay_s / found : 0, oks);
        assert_in_range(found * 100 / runs, rows[i].found_min, rows[i].found_max);
        if (rows[i].mean_s_max > 0)
            assert_true(delay_s / found <= rows[i].mean_s_max);
        else
            assert_true(oks >= runs * 3 / 4);
    }
    bench_free(b);
}

/* --- rules as stories -------------------------------------------------------------------------------------------------------------- */

static void begin(struct bench *b)
{
    b->policy.mode = JUDGE_GUARD; /* the rules hold without any statistics */
    b->policy.interval_ms = 5000;
    bench_start(b);
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
}

static int looks_until_worse(struct bench *b, int looks)
{
    for (int i = 1; i <= looks; i++)
        if (look(b) == VERDICT_WORSE)
            return i;
    return 0;
}

static void a_partition_that_stands_still(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->sample.lag_known = true;
    b->sample.parts = b->parts;
    b->sample.part_count = 2;
    b->parts[0] = (struct judge_part){ .baton = 3, .position = 10, .end = 11 };
    b->parts[1] = (struct judge_part){ .baton = 4, .position = 10, .end = 10 }; /* nothing to do is no standstill */
    begin(b);
    assert_int_equal(looks_until_worse(b, 20), 13);
    assert_int_equal(b->verdict.rule, RULE_NO_PROGRESS);
    assert_non_null(strstr(b->verdict.sentence, "1 partitions have records waiting"));

    b->parts[0].end = 10; /* somebody's open transaction: the last stable offset stands still */
    begin(b);
    assert_int_equal(looks_until_worse(b, 30), 0);

    b->parts[0].end = 11; /* blue stood there before: a poisonous record, not green */
    bench_start(b);
    for (int i = 0; i < 30; i++) {
        b->now_ms += 5000;
        b->sample.now_ms = b->now_ms;
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
    assert_int_equal(looks_until_worse(b, 30), 0);
    b->parts[0].position++;
    b->parts[0].end++; /* past it, and stuck again: that one is green's */
    assert_int_equal(looks_until_worse(b, 30), 13);
    bench_free(b);
}

static void a_process_that_starts_again_and_again(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    begin(b);
    for (int i = 0; i < 10; i++) { /* ten of one host, each restarted once */
        b->sample.births[0] = (struct judge_birth){ .slot = 5, .peers = 10 };
        b->sample.birth_count = 1;
        assert_int_equal(look(b), VERDICT_UNDECIDED);
    }
    b->sample.births[0] = (struct judge_birth){ .slot = 6, .peers = 1 };
    assert_int_equal(looks_until_worse(b, 5), 3);
    assert_int_equal(b->verdict.rule, RULE_CRASH_LOOP);

    b->policy.crash_window_ms = 10000;
    begin(b);
    for (int i = 0; i < 20; i++) { /* now and then is no loop */
        b->sample.birth_count = i % 3 == 0;
        assert_int_equal(look(b), VERDICT_UNDECIDED);
    }
    bench_free(b);
}

static void a_color_that_vanishes(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    begin(b);
    b->sample.members_known = true;
    assert_int_equal(looks_until_worse(b, 10), 0); /* nobody is heard: it is us */
    b->sample.live[BLUE] = 2;
    b->sample.live[GREEN] = 2;
    assert_int_equal(looks_until_worse(b, 10), 0);
    b->sample.live[GREEN] = 0;
    assert_int_equal(looks_until_worse(b, 10), 2);
    assert_int_equal(b->verdict.rule, RULE_VANISHED);
    b->sample.live[GREEN] = 2; /* what was said stays said */
    assert_int_equal(look(b), VERDICT_WORSE);
    bench_free(b);
}

/* Burrow's word, where the fleet file asks for it: once the backlog is worked off, for half a minute, and not when blue's was the same. */
static void a_window_of_commits_that_is_bad(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    b->policy.window = WINDOW_BURROW;
    b->sample.lag_known = true;
    b->sample.parts = b->parts;
    b->sample.part_count = 1;
    b->parts[0] = (struct judge_part){ .baton = 1, .position = 10, .end = 10 };
    b->sample.of[GREEN] = (struct judge_figures){ .counted = true, .records = 1, .errors = 0 };
    begin(b);
    b->sample.window = BURROW_STALL;
    assert_int_equal(looks_until_worse(b, 20), 8); /* the first look shows that there is no backlog */
    assert_int_equal(b->verdict.rule, RULE_WINDOW);
    assert_string_equal(b->verdict.sentence,
                        "by Burrow's rules the window of the commits of green has been STALL for 30 s");

    begin(b);
    for (int i = 0; i < 30; i++) { /* now and then, or not known */
        b->sample.window = i % 6 == 5 ? BURROW_UNKNOWN : i % 6 == 2 ? BURROW_WARN : BURROW_STOP;
        assert_int_equal(look(b), VERDICT_UNDECIDED);
    }
    b->policy.window = WINDOW_NONE;
    b->sample.window = BURROW_STOP;
    begin(b);
    assert_int_equal(looks_until_worse(b, 30), 0);

    b->policy.window = WINDOW_CORRECTED; /* blue was so too */
    b->now_ms += 5000;
    bench_start(b);
    for (int i = 0; i < 10; i++) {
        b->now_ms += 5000;
        b->sample.now_ms = b->now_ms;
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
    assert_int_equal(looks_until_worse(b, 30), 0);
    bench_free(b);
}

static void limits_and_the_breaker(void **state)
{
    struct bench *b = bench_new();
    struct judge_figures *f = &b->sample.of[GREEN];

    (void)state;
    begin(b);
    *f = (struct judge_figures){ .counted = true, .records = 10, .errors = 6 };
    assert_int_equal(looks_until_worse(b, 10), 3);
    assert_int_equal(b->verdict.rule, RULE_BREAKER);

    b->policy.error_rate_limit_ppm = 50000;
    begin(b);
    *f = (struct judge_figures){ .counted = true, .records = 1000, .errors = 49 };
    assert_int_equal(looks_until_worse(b, 30), 0);
    f->errors = 80;
    assert_true(looks_until_worse(b, 6) > 0);
    assert_int_equal(b->verdict.rule, RULE_LIMIT);

    b->policy.latency_p99_limit_ms = 100;
    begin(b);
    *f = (struct judge_figures){ .latency_known = true };
    histogram_add(&f->latency, 50000, 990);
    histogram_add(&f->latency, 300000, 9);
    assert_int_equal(looks_until_worse(b, 30), 0);
    histogram_add(&f->latency, 300000, 20);
    assert_true(looks_until_worse(b, 6) > 0);

    b->policy.signal_count = 1;
    b->policy.signals[0] = (struct signal_policy){ .name = "cpu", .limited = true, .limit = 0.9 };
    begin(b);
    memset(f, 0, sizeof(*f));
    f->signals[0] = 0.95;
    assert_int_equal(look(b), VERDICT_UNDECIDED);
    f->signals[0] = NAN; /* Prometheus is down: neither good nor bad */
    assert_int_equal(looks_until_worse(b, 30), 0);
    f->signals[0] = 0.95;
    assert_int_equal(looks_until_worse(b, 6), 2);
    assert_non_null(strstr(b->verdict.sentence, "cpu is 0.95"));
    bench_free(b);
}

/* --- bad input ---------------------------------------------------------------------------------------------------------------------- */

static void what_is_missing_is_neither_good_nor_bad(void **state)
{
    struct bench *b = bench_new();
    struct world w = { .random = 3, .rate = 20, .errors = 0.01 };

    (void)state;
    b->policy.signal_count = 1;
    snprintf(b->policy.signals[0].name, sizeof(b->policy.signals[0].name), "cpu");
    snprintf(b->policy.signals[0].query, sizeof(b->policy.signals[0].query), "cpu{color=\"$color\"}");
    bench_start(b);
    baseline(b, &w, 360);
    for (int i = 0; i < 100; i++) /* good in all that is known, and one signal is not */
        assert_int_equal(worse_after(b, &w, 1, 1, 1), -1);
    assert_int_equal(look(b), VERDICT_UNDECIDED);
    assert_non_null(strstr(b->verdict.sentence, "cpu: unknown"));
    b->policy.on_unknown = UNKNOWN_IGNORE;
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
    assert_int_equal(worse_after(b, &w, 100, 1, 1), -1);
    assert_int_equal(look(b), VERDICT_OK);

    bench_start(b); /* nothing at all is known */
    judge_begin(b->judge, &b->policy, GREEN, 1, b->now_ms);
    world_sample_init(&b->sample);
    assert_int_equal(looks_until_worse(b, 100), 0);
    assert_int_equal(b->verdict.verdict, VERDICT_UNDECIDED);
    bench_free(b);
}

static void nonsense_is_safe(void **state)
{
    static const double nonsense[] = { NAN, INFINITY, -INFINITY, -1, 1e300, 1e16, 0 };
    struct bench *b = bench_new();
    struct world w = { .random = 11, .rate = 20, .errors = 0.01 };

    (void)state;
    b->policy.metrics = 15;
    bench_start(b);
    baseline(b, &w, 60);
    for (int i = 0; i < 5000; i++) {
        const double n = nonsense[(unsigned)(world_uniform(&w) * 7)], x = nonsense[(unsigned)(world_uniform(&w) * 7)];

        b->sample.of[GREEN].counted = b->sample.of[BLUE].counted = true;
        b->sample.of[GREEN].records = n;
        b->sample.of[GREEN].errors = n == 0 && x == 0 ? 5 : x;
        b->sample.of[BLUE].records = x;
        b->sample.of[BLUE].errors = n;
        b->sample.of[GREEN].latency_known = true;
        b->sample.of[GREEN].latency.counts[5] = UINT64_MAX;
        b->sample.of[GREEN].signals[0] = x;
        b->sample.lag_known = true;
        b->sample.parts = b->parts;
        b->sample.part_count = PARTS;
        for (int k = 0; k < PARTS; k++)
            b->parts[k] = (struct judge_part){ .baton = k * 1000 - 1, .position = i % 2 ? INT64_MAX : -1 };
        assert_int_not_equal(look(b), VERDICT_WORSE);
        b->now_ms -= i % 3 == 0 ? 30000 : 0; /* a clock that goes back */
        for (int k = 0; k < b->verdict.metric_count; k++)
            assert_true(b->verdict.metrics[k].e_value >= 0);
    }
    bench_free(b);
}

static void a_judge_goes_on_where_another_was(void **state)
{
    int64_t alone, after;

    (void)state;
    for (int late = 0; late < 2; late++) {
        struct bench *b = bench_new();
        struct world w = { .random = 11, .rate = 20, .errors = 0.01, .median_ms = 20, .sigma = 0.5 }, same;

        b->policy.metrics |= 1 << METRIC_LATENCY;
        bench_start(b);
        baseline(b, &w, 100);
        assert_int_equal(worse_after(b, &w, 5, 3, 1), -1); /* three times as many errors, and not yet surely */
        same = w;
        alone = worse_after(b, &w, 100, 3, 1);
        assert_true(alone > 0);

        w = (struct world){ .random = 11, .rate = 20, .errors = 0.01, .median_ms = 20, .sigma = 0.5 };
        bench_start(b);
        b->now_ms = 1000000;
        baseline(b, &w, 100);
        worse_after(b, &w, 5, 3, 1);
        judge_explain(b->judge, &b->verdict);
        next_leader(b, 0, late); /* the next stage has passed meanwhile: its bets begin anew, on the same yardstick */
        after = worse_after(b, &same, 100, 3, 1);
        if (late)
            assert_true(after >= alone);
        else
            assert_int_equal(after, alone); /* to the look */
        judge_explain(b->judge, &b->verdict);
        assert_int_equal(b->verdict.rule, RULE_EVIDENCE);
        assert_true(b->verdict.metrics[0].expected > 0.005 && b->verdict.metrics[0].expected < 0.02);
        next_leader(b, 0, 0);
        judge_explain(b->judge, &b->verdict);
        assert_int_equal(b->verdict.verdict, VERDICT_WORSE); /* what was said stays said, before any look */
        assert_int_equal(look(b), VERDICT_WORSE);
        assert_int_equal(b->verdict.metrics[0].state, METRIC_WORSE);
        bench_free(b);
    }
}

/* A leader that judges a later stage on the yardstick that was kept does not make one of nothing. */
static void the_yardstick_outlives_stages_and_leaders(void **state)
{
    struct bench *b = bench_new();
    struct world w = { .random = 12, .rate = 20, .errors = 0.01 };
    double expected;

    (void)state;
    bench_start(b);
    baseline(b, &w, 100);
    look(b);
    expected = b->verdict.metrics[0].expected;
    next_leader(b, 0, 1);
    judge_begin(b->judge, &b->policy, GREEN, 3, b->now_ms);
    assert_true(worse_after(b, &w, 200, 5, 1) > 0);
    judge_explain(b->judge, &b->verdict);
    assert_true(b->verdict.metrics[0].expected == expected);
    for (int i = 0; i < 20; i++) { /* and a healthy one is said to be so */
        next_leader(b, 1, 2);
        assert_int_equal(worse_after(b, &w, 10, 1, 1), -1);
    }
    bench_free(b);
}

/* A switch that comes to nothing before it was observed leaves the baseline as it was. */
static void what_was_frozen_too_early_goes_on(void **state)
{
    struct bench *b = bench_new();
    struct world w = { .random = 13, .rate = 20, .errors = 0.01 };
    struct judge_kept kept, later;

    (void)state;
    bench_start(b);
    baseline(b, &w, 100);
    look(b);
    bench_start(b);
    for (int i = 0; i <= 50; i++) {
        b->sample.now_ms = b->now_ms += b->policy.interval_ms;
        world_figures(&w, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, 1, 1);
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    judge_freeze(b->judge, &kept, &b->policy, GREEN, 1, b->now_ms);
    assert_true(kept.known && !kept.begun && kept.bet_count == 1 && kept.bets[0].bet.usable && kept.records > 5000);
    for (int i = 0; i <= 50; i++) {
        b->sample.now_ms = b->now_ms += b->policy.interval_ms;
        world_figures(&w, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, 1, 1);
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    judge_freeze(b->judge, &later, &b->policy, GREEN, 1, b->now_ms);
    assert_true(later.records > 1.8 * kept.records);
    bench_free(b);
}

/* One that was turned back as well: the next switch is not judged on the few seconds since. */
static void what_was_gathered_outlives_a_way_back(void **state)
{
    struct bench *b = bench_new();
    struct world w = { .random = 14, .rate = 20, .errors = 0.01 };
    struct judge_kept kept;

    (void)state;
    bench_start(b);
    baseline(b, &w, 100);
    assert_true(worse_after(b, &w, 100, 10, 1) > 0);
    memset(&b->sample.of[GREEN], 0, sizeof(b->sample.of[GREEN]));
    for (int i = 0; i < 3; i++) {
        b->sample.now_ms = b->now_ms += b->policy.interval_ms;
        world_figures(&w, &b->sample.of[BLUE], b->now_ms, b->policy.interval_ms, 1, 1);
        judge_baseline(b->judge, BLUE, &b->sample);
    }
    judge_freeze(b->judge, &kept, &b->policy, GREEN, 1, b->now_ms);
    assert_true(kept.records > 20000 && kept.bets[0].bet.usable && kept.bets[0].bet.share < 0.02);

    judge_begin(b->judge, &b->policy, GREEN, 1,
                b->now_ms); /* this one stays: green's figures are gathered from nothing */
    assert_int_equal(worse_after(b, &w, 20, 1, 1), -1);
    b->sample.now_ms = b->now_ms += b->policy.interval_ms;
    judge_baseline(b->judge, GREEN, &b->sample);
    judge_freeze(b->judge, &kept, &b->policy, BLUE, 1, b->now_ms);
    assert_true(kept.records == 0);
    bench_free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(histograms_are_exact_to_an_eighth),
        cmocka_unit_test(error_rates_as_simulated_before),
        cmocka_unit_test(what_begins_late_is_found),
        cmocka_unit_test(latency_is_judged_by_its_quantiles),
        cmocka_unit_test(a_canary_is_measured_against_the_rest),
        cmocka_unit_test(lag_as_simulated_before),
        cmocka_unit_test(a_partition_that_stands_still),
        cmocka_unit_test(a_process_that_starts_again_and_again),
        cmocka_unit_test(a_color_that_vanishes),
        cmocka_unit_test(a_window_of_commits_that_is_bad),
        cmocka_unit_test(limits_and_the_breaker),
        cmocka_unit_test(a_judge_goes_on_where_another_was),
        cmocka_unit_test(the_yardstick_outlives_stages_and_leaders),
        cmocka_unit_test(what_was_frozen_too_early_goes_on),
        cmocka_unit_test(what_was_gathered_outlives_a_way_back),
        cmocka_unit_test(what_is_missing_is_neither_good_nor_bad),
        cmocka_unit_test(nonsense_is_safe),
    };

    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
