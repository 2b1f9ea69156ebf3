/*
 * test_judge_fleets - made-up fleets before the judge: every way to be worse that we could think of, and every way to be
 * as good that looks suspicious.
 *
 * Twelve partitions of two records a second, six members with two each, records of 20 ms, one in two hundred fails; half an
 * hour of blue, then green with a look every five seconds, under the policy that a fleet file has unless told otherwise.
 * A row bends one thing. The table says what share of the runs has to be turned back, and how soon; a healthy fleet may be
 * turned back as often as judge.alpha allows. One process of a partition is one queue: what is not worked off waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../bench/judge_world.h"
#include "base/check.h"

#define PARTS 12
#define MEMBERS 6
#define BLUE_S 1800
#define LOOK_S 5
#define NORMALS 4096

static double normals[NORMALS];

/* What happens in one second in one partition; a row bends it. */
struct second {
    uint64_t seed; /* of the run */
    int at_s;      /* since green began, below 0: blue is at work */
    int part, member;
    bool green;  /* it has the partition */
    double done; /* records done by green so far */
    double rate; /* arrivals a second */
    double errors, slower;
    double stuck_share, stuck_slower; /* so many records are so much slower still */
    double most;                      /* so many are done in a second at most; 0: no matter */
    bool still;                       /* nothing is done */
    bool back;                        /* what was done is done again */
    bool down;                        /* the member is not there */
    bool excluded;                    /* a rebalance */
};

struct row {
    const char *name;
    void (*bend)(struct second *s);
    int green_s;
    int found_min, found_max; /* percent of runs */
    int seconds_max;          /* median until found; 0: not looked at */
    int canary;               /* so many partitions pass; 0: all */
};

struct bench {
    struct judge *judge;
    struct judge_policy policy;
    struct judge_progress progress[PARTS];
    struct judge_part parts[PARTS];
    struct work works[COLOR_COUNT][PARTS], strata[2 * PARTS];
    struct judge_sample sample;
    struct judge_verdict verdict;
    double waiting[PARTS], left[PARTS];
    int64_t ends[PARTS], backs[PARTS];
    bool down[MEMBERS];
};

static const struct judge_policy usual = {
    .mode = JUDGE_AUTO,
    .alpha_ppm = 50000,
    .interval_ms = LOOK_S * 1000,
    .warmup_ms = 30000,
    .records_min = 100,
    .tolerance_ppm = 250000,
    .metrics = 1 << METRIC_ERROR_RATE | 1 << METRIC_LATENCY | 1 << METRIC_LAG,
    .no_progress_ms = 60000,
    .catch_up_ms = 600000,
    .crash_loop = 3,
    .crash_window_ms = 600000,
};

/* --- one second ----------------------------------------------------------------------------------------------------- */

static double normal(struct world *w)
{
    return normals[(int)(world_uniform(w) * NORMALS)];
}

static void second_done(struct bench *b, struct world *w, const struct second *s)
{
    const enum color color = s->green ? GREEN : BLUE;
    struct judge_figures *f = &b->sample.of[color];
    struct work *work = &b->works[color][s->part];
    double arrived = world_poisson(w, s->rate), left_ms = 1000, most = s->most + b->left[s->part];
    bool failed;

    b->ends[s->part] += (int64_t)arrived;
    b->waiting[s->part] += arrived;
    while (b->waiting[s->part] >= 1 && left_ms > 0 && !s->still && !s->down) {
        const double ms = 20 * exp(0.5 * normal(w)) * s->slower *
                          (s->stuck_share > 0 && world_uniform(w) < s->stuck_share ? s->stuck_slower : 1);

        if (s->most > 0 && most-- < 1)
            break;
        left_ms -= ms;
        if (left_ms < 0 && world_uniform(w) * ms > ms + left_ms)
            break; /* it ends in the next second */
        b->waiting[s->part]--;
        failed = world_uniform(w) < s->errors;
        f->records++;
        f->errors += failed;
        histogram_add(&f->latency, (int64_t)(1000 * ms), 1);
        work->done++;
        work->failed += failed;
        work->times[work_bucket(histogram_bucket((int64_t)(1000 * ms)))]++;
    }
    b->left[s->part] = s->most > 0 ? most - floor(most) : 0;
}

static void look_begin(struct bench *b)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        memset(&b->sample.of[c], 0, sizeof(b->sample.of[c]));
        b->sample.live[c] = MEMBERS;
        b->sample.works[c] = b->works[c];
    }
    memset(b->works, 0, sizeof(b->works));
    b->sample.excluded = false;
    b->sample.birth_count = 0;
    b->sample.part_count = 0;
}

static void look_end(struct bench *b, int at_s, const struct row *row, double *ret_done)
{
    struct judge_figures *green = &b->sample.of[GREEN];

    for (int c = 0; c < COLOR_COUNT; c++) {
        struct judge_figures *f = &b->sample.of[c];

        f->counted = true;
        f->latency_known = histogram_count(&f->latency) > 0;
        for (int i = 0; i < SIGNALS_MAX; i++)
            f->signals[i] = NAN;
    }
    if (at_s < 0 || (row->canary == 0 && at_s >= 0))
        b->sample.of[at_s < 0 ? GREEN : BLUE].counted = false;
    for (int i = 0; i < (at_s < 0 || row->canary == 0 ? PARTS : row->canary); i++)
        b->parts[b->sample.part_count++] = (struct judge_part){
            .baton = i, .position = b->ends[i] - (int64_t)b->waiting[i] - b->backs[i], .end = b->ends[i]
        };
    *ret_done += green->records;
    b->sample.now_ms = (int64_t)(BLUE_S + at_s + LOOK_S + 1000) * 1000;
    b->sample.lag_known = b->sample.members_known = true;
    b->sample.parts = b->parts;
}

/* Half of the canaries lose the leader after five minutes: another judge goes on with what was kept. */
static void next_leader(struct bench *b, int64_t now_ms)
{
    struct judge_kept kept;

    judge_keep(b->judge, &kept, 0);
    memset(b->judge, 0xa5, sizeof(*b->judge));
    judge_init(b->judge, &b->policy, b->progress, PARTS);
    judge_strata(b->judge, b->strata, PARTS);
    judge_restore(b->judge, &kept, NULL, &b->policy, GREEN, 2, 0, now_ms);
}

/* Seconds of green until it is worse, -1: never. */
static int run(struct bench *b, const struct row *row, uint64_t seed)
{
    struct world w = { .random = seed * 7919 + 17 };
    double done = 0;

    memset(b->waiting, 0, sizeof(b->waiting));
    memset(b->ends, 0, sizeof(b->ends));
    memset(b->backs, 0, sizeof(b->backs));
    memset(b->down, 0, sizeof(b->down));
    world_sample_init(&b->sample);
    b->policy = usual;
    judge_init(b->judge, &b->policy, b->progress, PARTS);
    judge_strata(b->judge, b->strata, PARTS);
    for (int at_s = -BLUE_S; at_s < row->green_s; at_s += LOOK_S) {
        if (at_s == 0)
            judge_begin(b->judge, &b->policy, GREEN, row->canary ? 2 : 1, (int64_t)(BLUE_S + 1000) * 1000);
        if (at_s == 300 && row->canary > 0 && seed % 2 == 1)
            next_leader(b, (int64_t)(BLUE_S + at_s + 1000) * 1000);
        look_begin(b);
        for (int i = 0; i < LOOK_S * PARTS; i++) {
            struct second s = {
                .seed = seed, .at_s = at_s + i / PARTS, .part = i % PARTS, .member = i % PARTS / 2, .done = done
            };

            s.green = at_s >= 0 && (row->canary == 0 || s.part < row->canary);
            s.rate = 2;
            s.errors = 0.005;
            s.slower = 1;
            row->bend(&s);
            second_done(b, &w, &s);
            b->backs[s.part] = s.back ? 30 : 0;
            b->sample.excluded = b->sample.excluded || s.excluded;
            if (b->down[s.member] && !s.down && s.part % 2 == 0)
                b->sample.births[b->sample.birth_count++] =
                    (struct judge_birth){ .slot = (uint64_t)s.member, .peers = 1 };
            b->down[s.member] = s.down;
        }
        look_end(b, at_s, row, &done);
        if (at_s < 0)
            judge_baseline(b->judge, BLUE, &b->sample);
        else if (judge_step(b->judge, &b->sample) == VERDICT_WORSE)
            return at_s + LOOK_S;
    }
    return -1;
}

/* --- what is bent --------------------------------------------------------------------------------------------------- */

#define BEND(name) static void name(struct second *s)

static bool green(const struct second *s)
{
    return s->green;
}

BEND(as_good)
{
    (void)s;
}

/* A gamma variable that is the same for `every_s` seconds and for all partitions, other in each run. */
static double spell(const struct second *s, int every_s)
{
    struct world g = { .random = s->seed * 1000003 + (uint64_t)((s->at_s + BLUE_S) / every_s) };

    world_uniform(&g);
    return world_gamma(&g);
}

BEND(errors_by_minute)
{
    s->errors *= spell(s, 60);
}
BEND(errors_by_five_minutes)
{
    s->errors *= spell(s, 300);
}
BEND(slow_by_minute)
{
    s->slower = 0.75 + 0.25 * spell(s, 60);
}
BEND(slow_by_five_minutes)
{
    s->slower = 0.75 + 0.25 * spell(s, 300);
}
BEND(twice_the_traffic)
{
    s->rate *= s->at_s >= 0 ? 2 : 1;
}
BEND(a_tenth_of_the_traffic)
{
    s->rate /= 10;
}
BEND(a_hot_partition)
{
    s->rate = s->part == 3 ? 20 : 0.4;
}
BEND(busy_90)
{
    s->slower = 0.9 / (2 * 0.02266);
}
BEND(busy_98)
{
    s->slower = 0.98 / (2 * 0.02266);
}
BEND(partitions_differ)
{
    s->errors = s->part == 0 ? 0.03 : 0.002;
}
BEND(both_fail)
{
    s->errors = s->at_s > 300 ? 0.05 : 0.005;
}
BEND(each_restarts_once)
{
    s->down = s->at_s >= 60 * (s->member + 1) && s->at_s < 60 * (s->member + 1) + 10;
}
BEND(batches)
{
    s->rate = (s->at_s + BLUE_S) % 60 == s->part ? 120 : 0;
}
BEND(poison_all_along)
{
    s->still = s->part == 5 && s->at_s >= -900;
}

/* One holds the big customers: three times as slow; another has errors of its own. */
BEND(by_nature)
{
    s->slower = s->part == 0 ? 3 : s->part == 7 ? 2 : 1;
    s->errors = s->part == 1 ? 0.02 : s->part == 8 ? 0.01 : 0.002;
}
BEND(by_nature_and_all_slower)
{
    by_nature(s);
    s->slower *= s->at_s > 300 ? 2 : 1;
    s->errors *= s->at_s > 600 ? 4 : 1;
}
BEND(by_nature_and_traffic_moves)
{
    by_nature(s);
    s->rate = s->at_s > 120 && s->part < 2 ? 6 : 2;
}
BEND(by_nature_a_trickle)
{
    by_nature(s);
    s->rate = s->part < 2 ? 0.05 : 2;
}
BEND(blue_is_sick)
{
    by_nature(s);
    s->errors *= s->at_s > 300 && !s->green ? 10 : 1;
    s->slower *= s->at_s > 300 && !s->green ? 3 : 1;
}
BEND(traffic_halves)
{
    s->rate *= s->at_s > 600 ? 0.5 : 1;
}
BEND(traffic_doubles)
{
    s->rate *= s->at_s > 600 ? 2 : 1;
}
BEND(quiet)
{
    s->rate = s->part == 0 ? 0.02 : 0;
}
BEND(pauses)
{
    s->still = (s->at_s + BLUE_S) % 120 < 20;
}

BEND(by_nature_errors_x3)
{
    by_nature(s);
    s->errors *= green(s) ? 3 : 1;
}
BEND(by_nature_slower_x13)
{
    by_nature(s);
    s->slower *= green(s) ? 1.3 : 1;
}
BEND(by_nature_one_slower)
{
    by_nature(s);
    s->slower *= green(s) && s->part == 2 ? 2 : 1;
}
BEND(by_nature_all_slower_green_more)
{
    by_nature_and_all_slower(s);
    s->slower *= green(s) ? 1.5 : 1;
}
BEND(by_nature_the_bad_one_worse)
{
    by_nature(s);
    s->errors *= green(s) && s->part == 1 ? 4 : 1;
}
BEND(bad_at_the_start)
{
    s->errors = green(s) && s->at_s < 120 ? 0.2 : 0.005;
}
BEND(leaks)
{
    s->slower *= green(s) ? 1 + s->at_s / 1200.0 : 1;
}
BEND(a_class_of_its_own)
{
    s->errors += green(s) ? 0.01 : 0;
}
BEND(larger_batches)
{
    s->slower *= green(s) ? 5 : 1; /* each record waits for its batch */
}
BEND(green_pauses)
{
    s->still = green(s) && s->at_s % 120 < 20;
}
BEND(slow_at_the_minute)
{
    s->slower *= green(s) && s->at_s % 60 < 6 ? 8 : 1;
}
BEND(two_of_six_slower)
{
    s->slower *= green(s) && s->member < 2 ? 1.6 : 1;
}

BEND(errors_x3)
{
    s->errors *= green(s) ? 3 : 1;
}
BEND(slower_x13)
{
    s->slower *= green(s) ? 1.3 : 1;
}
BEND(a_partition_too_slow)
{
    s->slower *= green(s) && s->part == 4 ? 28 : 1;
}
BEND(a_partition_stands)
{
    s->still = green(s) && s->part == 4;
}
BEND(a_partition_fails)
{
    if (green(s) && s->part == 4)
        s->errors = 1;
}
BEND(keys_fail)
{
    s->errors += green(s) ? 0.02 : 0;
}
BEND(a_member_slow)
{
    s->slower *= green(s) && s->member == 2 ? 3 : 1;
}
BEND(a_member_fails)
{
    if (green(s) && s->member == 2)
        s->errors = 0.2;
}
BEND(creeping)
{
    s->slower *= green(s) ? 1 + s->at_s / 600.0 : 1;
}
BEND(bad_after_1000)
{
    s->errors *= green(s) && s->done > 1000 ? 5 : 1;
}
BEND(some_hang)
{
    s->stuck_share = green(s) ? 0.005 : 0;
    s->stuck_slower = 50;
}
BEND(behind_slowly)
{
    s->slower = green(s) ? 1.07 / (2 * 0.02266) : 0.8 / (2 * 0.02266);
}
BEND(behind_without_latency)
{
    s->most = green(s) ? 1.92 : 0;
}
BEND(a_partition_behind_slowly)
{
    s->most = green(s) && s->part == 4 ? 1.6 : 0;
}
BEND(crashes_by_150)
{
    s->down = green(s) && s->member == 1 && s->at_s % 150 > 140;
}
BEND(crashes_by_270)
{
    s->down = green(s) && s->member == 1 && s->at_s % 270 > 260;
}
BEND(little_and_all_fail)
{
    s->rate = 0.01;
    s->errors = green(s) ? 1 : 0;
}
BEND(little_and_stands)
{
    s->rate = 0.01;
    s->still = green(s);
}
BEND(the_same_again)
{
    s->still = green(s) && s->part == 4;
    s->back = s->still && s->at_s % 10 < 5;
}
BEND(fails_in_spells)
{
    s->errors = green(s) && s->at_s % 300 > 270 ? 0.1 : 0.005;
}
BEND(storm)
{
    s->excluded = green(s) && s->at_s % 20 < 10;
    s->still = s->excluded;
    s->errors *= green(s) ? 4 : 1;
}

static const struct row rows[] = {
    { "as good", as_good, 1800, 0, 5, 0, 0 },
    { "as good, errors in spells of a minute", errors_by_minute, 1800, 0, 5, 0, 0 },
    { "as good, errors in spells of 5 min", errors_by_five_minutes, 1800, 0, 5, 0, 0 },
    { "as good, slow spells of a minute", slow_by_minute, 1800, 0, 5, 0, 0 },
    { "as good, slow spells of 5 min", slow_by_five_minutes, 1800, 0, 20, 0, 0 },
    { "as good, twice the traffic", twice_the_traffic, 1800, 0, 5, 0, 0 },
    { "as good, little traffic", a_tenth_of_the_traffic, 1800, 0, 5, 0, 0 },
    { "as good, a hot partition", a_hot_partition, 1800, 0, 5, 0, 0 },
    { "as good, 90 % busy", busy_90, 1800, 0, 5, 0, 0 },
    { "as good, 98 % busy", busy_98, 1800, 0, 15, 0, 0 },
    { "as good, batches", batches, 1800, 0, 5, 0, 0 },
    { "as good, a canary, all fail more", both_fail, 1800, 0, 5, 0, 3 },
    { "as good, a canary, partitions differ", partitions_differ, 1800, 0, 5, 0, 3 },
    { "as good, a canary, by nature", by_nature, 1800, 0, 5, 0, 3 },
    { "as good, a canary, all get slower", by_nature_and_all_slower, 1800, 0, 5, 0, 3 },
    { "as good, a canary, traffic moves", by_nature_and_traffic_moves, 1800, 0, 5, 0, 3 },
    { "as good, all, traffic moves", by_nature_and_traffic_moves, 1800, 0, 5, 0, 0 },
    { "as good, a canary of a trickle", by_nature_a_trickle, 1800, 0, 5, 0, 2 },
    { "as good, a canary, blue is sick", blue_is_sick, 1800, 0, 5, 0, 3 },
    { "as good, the traffic halves", traffic_halves, 1800, 0, 5, 0, 0 },
    { "as good, the traffic doubles", traffic_doubles, 1800, 0, 5, 0, 0 },
    { "as good, quiet", quiet, 1800, 0, 5, 0, 0 },
    { "as good, both pause", pauses, 1800, 0, 5, 0, 0 },
    { "as good, each restarts once", each_restarts_once, 900, 0, 5, 0, 0 },
    { "as good, poison all along", poison_all_along, 900, 0, 5, 0, 0 },
    { "a canary by nature, errors x3", by_nature_errors_x3, 1800, 60, 100, 1300, 3 },
    { "a canary of alike ones, errors x3", errors_x3, 1800, 80, 100, 1200, 3 },
    { "a canary by nature, latency x1.3", by_nature_slower_x13, 900, 99, 100, 300, 3 },
    { "a canary by nature, one of three slow", by_nature_one_slower, 900, 99, 100, 300, 3 },
    { "a canary, all slower, it more", by_nature_all_slower_green_more, 900, 99, 100, 300, 3 },
    { "a canary, the bad partition worse", by_nature_the_bad_one_worse, 1800, 90, 100, 900, 3 },
    { "errors x3", errors_x3, 900, 99, 100, 200, 0 },
    { "bad at the start only", bad_at_the_start, 900, 99, 100, 120, 0 },
    { "leaks for 20 minutes", leaks, 1800, 99, 100, 400, 0 },
    { "a class of errors of its own", a_class_of_its_own, 1800, 99, 100, 300, 0 },
    { "larger batches", larger_batches, 900, 99, 100, 100, 0 },
    { "pauses 20 s of 120, not seen", green_pauses, 1800, 0, 5, 0, 0 },
    { "slow for 6 s of each minute", slow_at_the_minute, 1800, 99, 100, 300, 0 },
    { "two of six members x1.6", two_of_six_slower, 900, 99, 100, 300, 0 },
    { "latency x1.3", slower_x13, 900, 99, 100, 60, 0 },
    { "a partition too slow", a_partition_too_slow, 900, 99, 100, 300, 0 },
    { "a partition stands", a_partition_stands, 900, 99, 100, 70, 0 },
    { "a partition fails", a_partition_fails, 900, 99, 100, 60, 0 },
    { "2 % of the keys fail", keys_fail, 900, 99, 100, 120, 0 },
    { "one of six members is slow", a_member_slow, 900, 99, 100, 100, 0 },
    { "one of six members fails", a_member_fails, 900, 99, 100, 100, 0 },
    { "creeping latency", creeping, 900, 99, 100, 300, 0 },
    { "bad after 1000 records", bad_after_1000, 900, 99, 100, 200, 0 },
    { "1 in 200 takes 50 times as long", some_hang, 900, 90, 100, 400, 0 },
    { "falls behind slowly, records slow", behind_slowly, 900, 99, 100, 100, 0 },
    { "falls behind slowly, records quick", behind_without_latency, 1800, 80, 100, 1300, 0 },
    { "a partition falls behind slowly", a_partition_behind_slowly, 1800, 99, 100, 900, 0 },
    { "a member crashes every 150 s", crashes_by_150, 900, 99, 100, 500, 0 },
    { "a member crashes every 270 s", crashes_by_270, 1800, 99, 100, 900, 0 },
    { "little traffic, all fail", little_and_all_fail, 1800, 99, 100, 300, 0 },
    { "little traffic, stands", little_and_stands, 900, 99, 100, 200, 0 },
    { "the same records again and again", the_same_again, 900, 99, 100, 70, 0 },
    { "fails in spells", fails_in_spells, 1800, 99, 100, 900, 0 },
    { "rebalances without an end, errors x4", storm, 900, 99, 100, 300, 0 },
};

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* How many of so many runs were turned back; the seconds that took are in `taken`, in order, and in `said` what was said of the last. */
static int row_run(struct bench *b, const struct row *row, int runs, int *taken, char *said, size_t size)
{
    int found = 0;

    said[0] = '\0';
    for (int k = 0; k < runs; k++) {
        const int s = run(b, row, (uint64_t)k);

        judge_explain(b->judge, &b->verdict);
        if (s >= 0)
            taken[found++] = s;
        if (s >= 0 || found == 0)
            snprintf(said, size, "%s, %s", judge_rule_name(b->verdict.rule), b->verdict.sentence);
    }
    qsort(taken, (size_t)found, sizeof(*taken), compare_ints);
    return found;
}

static void fleets(void **state)
{
    const int runs = 20;
    struct bench *b = calloc(1, sizeof(*b));
    int *taken = calloc((size_t)runs, sizeof(*taken)), wrong = 0;
    char said[400];

    (void)state;
    assert_true(b && taken);
    b->judge = malloc(sizeof(*b->judge));
    assert_non_null(b->judge);
    for (int i = 0; i < NORMALS; i++) {
        struct world w = { .random = (uint64_t)i };

        normals[i] = world_normal(&w);
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const int found = row_run(b, row, runs, taken, said, sizeof(said));
        const int median_s = found > 0 ? taken[found / 2] : 0;
        const bool fits = found * 100 >= row->found_min * runs && found * 100 <= row->found_max * runs &&
                          (row->seconds_max == 0 || median_s <= row->seconds_max);

        print_message("%s %-38s %3d of %d, median %4d s: %s\n", fits ? "  " : "!!", row->name, found, runs, median_s,
                      said);
        wrong += !fits;
    }
    assert_int_equal(wrong, 0);
    free(taken);
    free(b->judge);
    free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(fleets) };

    return cmocka_run_group_tests_name("judge_fleets", tests, NULL, NULL);
}
