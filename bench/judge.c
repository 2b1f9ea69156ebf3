/*
 * judge - how often the judge is wrong, and how soon it is right, beside what others do with the same traffic.
 *
 *     judge [--runs N] [--peers N] [--fleets N]
 *
 * Simulated fleets (judge_world.h): half an hour of blue, then half an hour of green with a look every second. Printed: the
 * share of healthy greens that are turned back (bound: 5 %), and after how many records a worse one is found in the median,
 * for the judge and for
 *
 *   kayenta  Mann-Whitney on values of ten seconds, 98 % interval, tolerance 0.25 of the estimated shift; judged every five
 *            minutes on all there is so far
 *   argo     a measurement a minute, worse when three in a row fail
 *   flagger  a check a minute, worse when five in all fail
 *
 * And canaries, as many of each kind as `--fleets` says: three of twelve partitions that differ by nature (each has an error rate of
 * its own, a gamma variable of variance 0.5 around 0.5 %, and latencies of its own, a factor of exp(0.5 N)), a look every five seconds;
 * judged partition by partition, and as if all were alike.
 *
 * The last two need a threshold from somebody who knows the future: here it is twice blue's error rate, and 1.2 times blue's
 * p99. The last line is JSON; judge_plot.py draws it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "judge_world.h"

#define BLUE_S 1800
#define GREEN_S 1800
#define STEP_S 10 /* of a Kayenta value */
#define TABLE 8192
#define CURVE 20

/* Latencies by table: a draw is a look-up. */
static int buckets[2][TABLE]; /* as blue, slower */
static double normals[TABLE];

struct scene {
    const char *name;
    bool bursty;
    double worse, slower; /* green's error rate and latency, in times blue's */
};

static const struct scene scenes[] = {
    { "healthy", false, 1, 1 },
    { "healthy, errors in bursts", true, 1, 1 },
    { "errors 0.5% -> 1.5%", false, 3, 1 },
    { "errors 0.5% -> 1.5%, in bursts", true, 3, 1 },
    { "latency x1.3", false, 1, 1.3 },
};

struct trace { /* of every second */
    double records[BLUE_S + GREEN_S], errors[BLUE_S + GREEN_S];
    uint16_t latency[BLUE_S + GREEN_S][64]; /* bucket of each record, as many as there were */
};

#define SCENES ((int)ARRAY_COUNT(scenes))

static void tables_make(double median_ms, double sigma, double slower)
{
    int at = 0;

    /* The quantiles of the normal distribution, by counting. */
    for (double z = -5, below = 0; z < 5 && at < TABLE; z += 1e-4) {
        below += 1e-4 * exp(-z * z / 2) / 2.5066282746310002;
        while (at < TABLE && below >= (at + 0.5) / TABLE)
            normals[at++] = z;
    }
    while (at < TABLE)
        normals[at++] = 5;
    for (int i = 0; i < TABLE; i++) {
        buckets[0][i] = histogram_bucket((int64_t)(1000 * median_ms * exp(sigma * normals[i])));
        buckets[1][i] = histogram_bucket((int64_t)(1000 * median_ms * slower * exp(sigma * normals[i])));
    }
}

static void trace_make(struct trace *t, const struct scene *scene, uint64_t seed)
{
    struct world w = { .random = seed * 7919 + 17, .rate = 20, .errors = 0.005, .bursty = scene->bursty };

    for (int s = 0; s < BLUE_S + GREEN_S; s++) {
        const int *table = buckets[s >= BLUE_S && scene->slower > 1];
        struct judge_figures f;

        world_figures(&w, &f, (int64_t)s * 1000, 1000, s >= BLUE_S ? scene->worse : 1, 1);
        if (f.records > 64)
            f.records = 64;
        t->records[s] = f.records;
        t->errors[s] = f.errors > f.records ? f.records : f.errors;
        for (int i = 0; i < (int)f.records; i++)
            t->latency[s][i] = (uint16_t)table[(int)(world_uniform(&w) * TABLE)];
    }
}

static double records_until(const struct trace *t, int seconds)
{
    double n = 0;

    for (int s = BLUE_S; s < BLUE_S + seconds; s++)
        n += t->records[s];
    return n;
}

/* --- the judge ------------------------------------------------------------------------------------------------------------------ */

static void sample_of(struct judge_sample *s, const struct trace *t, int second, enum color color)
{
    struct judge_figures *f = &s->of[color];

    memset(&f->latency, 0, sizeof(f->latency));
    s->now_ms = (int64_t)(second + 1) * 1000;
    f->counted = f->latency_known = true;
    f->records = t->records[second];
    f->errors = t->errors[second];
    for (int i = 0; i < (int)f->records; i++)
        f->latency.counts[t->latency[second][i]]++;
}

/* Errors and latency are judged: these worlds have no lag, and nobody in them stops or starts. */
static struct judge_policy policy_of(int64_t interval_ms)
{
    return (struct judge_policy){
        .mode = JUDGE_AUTO,
        .alpha_ppm = 50000,
        .interval_ms = interval_ms,
        .records_min = 100,
        .tolerance_ppm = 250000,
        .metrics = 1 << METRIC_ERROR_RATE | 1 << METRIC_LATENCY,
        .no_progress_ms = 60000,
        .catch_up_ms = 600000,
        .crash_loop = 3,
        .crash_window_ms = 120000,
    };
}

/* Seconds of green until it is worse; -1: never. *ret_ok: it ends as ok. */
static int judge_run(struct judge *j, const struct trace *t, bool *ret_ok)
{
    const struct judge_policy policy = policy_of(1000);
    struct judge_progress nobody[1];
    struct judge_sample s;

    world_sample_init(&s);
    judge_init(j, &policy, nobody, 1);
    for (int second = 0; second < BLUE_S; second++) {
        sample_of(&s, t, second, BLUE);
        judge_baseline(j, BLUE, &s);
    }
    judge_begin(j, &policy, GREEN, 1, (int64_t)BLUE_S * 1000);
    world_sample_init(&s);
    for (int second = BLUE_S; second < BLUE_S + GREEN_S; second++) {
        sample_of(&s, t, second, GREEN);
        if (judge_step(j, &s) == VERDICT_WORSE)
            return second - BLUE_S + 1;
    }
    *ret_ok = j->verdict == VERDICT_OK;
    return -1;
}

/* --- peers ---------------------------------------------------------------------------------------------------------------------- */

static double p99_us(const struct trace *t, int from, int to)
{
    struct histogram h = { 0 };

    for (int s = from; s < to; s++)
        for (int i = 0; i < (int)t->records[s]; i++)
            h.counts[t->latency[s][i]]++;
    return (double)histogram_quantile_us(&h, 0.99);
}

static double rate(const struct trace *t, int from, int to)
{
    double n = 0, x = 0;

    for (int s = from; s < to; s++) {
        n += t->records[s];
        x += t->errors[s];
    }
    return n > 0 ? x / n : 0;
}

/* One measurement a minute: bad if the error rate is above twice blue's, or p99 above 1.2 times blue's. */
static int threshold_run(const struct trace *t, int row, int total)
{
    const double error_max = 2 * rate(t, 0, BLUE_S), p99_max = 1.2 * p99_us(t, 0, BLUE_S);
    int in_row = 0, in_all = 0;

    for (int s = BLUE_S; s + 60 <= BLUE_S + GREEN_S; s += 60) {
        const bool bad = rate(t, s, s + 60) > error_max || p99_us(t, s, s + 60) > p99_max;

        in_row = bad ? in_row + 1 : 0;
        in_all += bad;
        if (in_row >= row || in_all >= total)
            return s + 60 - BLUE_S;
    }
    return -1;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Is green higher by more than a quarter of the estimated shift, surely? The interval is of Hodges and Lehmann's estimate. */
static bool mann_whitney_high(const double *blue, int n1, const double *green, int n2, double *room)
{
    const double sigma = sqrt((double)n1 * n2 * (n1 + n2 + 1) / 12);
    const int count = n1 * n2;
    int low = (int)(count / 2.0 - 2.326 * sigma);

    for (int i = 0; i < n1; i++)
        for (int k = 0; k < n2; k++)
            room[i * n2 + k] = green[k] - blue[i];
    qsort(room, (size_t)count, sizeof(*room), compare_doubles);
    return room[low < 0 ? 0 : low] > 0.25 * fabs(room[count / 2]);
}

static int kayenta_run(const struct trace *t, double *room)
{
    double blue[2][BLUE_S / STEP_S], green[2][GREEN_S / STEP_S];

    for (int i = 0; i < BLUE_S / STEP_S; i++) {
        blue[0][i] = rate(t, i * STEP_S, (i + 1) * STEP_S);
        blue[1][i] = p99_us(t, i * STEP_S, (i + 1) * STEP_S);
    }
    for (int i = 0; i < GREEN_S / STEP_S; i++) {
        green[0][i] = rate(t, BLUE_S + i * STEP_S, BLUE_S + (i + 1) * STEP_S);
        green[1][i] = p99_us(t, BLUE_S + i * STEP_S, BLUE_S + (i + 1) * STEP_S);
    }
    for (int s = 300; s <= GREEN_S; s += 300)
        for (int metric = 0; metric < 2; metric++)
            if (mann_whitney_high(blue[metric], s / STEP_S, green[metric], s / STEP_S, room))
                return s;
    return -1;
}

/* --- canaries of fleets whose partitions differ ------------------------------------------------------------------------------------ */

#define PARTS 12
#define CANARY 3
#define LOOK_S 5

static const struct fleet_scene {
    const char *name;
    double worse, slower;           /* green, in times blue */
    double both_worse, both_slower; /* from the fifth minute on, for both */
} fleet_scenes[] = {
    { "canary as good", 1, 1, 1, 1 },
    { "canary as good, all get worse", 1, 1, 3, 1.5 },
    { "canary errors x3", 3, 1, 1, 1 },
    { "canary latency x1.3", 1, 1.3, 1, 1 },
    { "canary x1.3, all get worse", 1, 1.3, 3, 1.5 },
};
#define FLEET_SCENES ((int)ARRAY_COUNT(fleet_scenes))

struct fleet_bench {
    struct judge judge;
    struct judge_sample sample;
    struct work works[COLOR_COUNT][PARTS], strata[2 * PARTS];
    double errors[PARTS], log_slower[PARTS];
};

static void fleet_look(struct fleet_bench *b, struct world *w, const struct fleet_scene *scene, int at_s)
{
    const bool later = at_s >= 300;

    memset(b->works, 0, sizeof(b->works));
    for (int c = 0; c < COLOR_COUNT; c++)
        memset(&b->sample.of[c].latency, 0, sizeof(b->sample.of[c].latency));
    for (int c = 0; c < COLOR_COUNT; c++)
        b->sample.of[c].records = b->sample.of[c].errors = 0;
    for (int p = 0; p < PARTS; p++) {
        const enum color color = at_s >= 0 && p < CANARY ? GREEN : BLUE;
        const double errors = b->errors[p] * (color == GREEN ? scene->worse : 1) * (later ? scene->both_worse : 1);
        const double slower =
            b->log_slower[p] + log((color == GREEN ? scene->slower : 1) * (later ? scene->both_slower : 1));
        struct judge_figures *f = &b->sample.of[color];
        struct work *work = &b->works[color][p];

        for (int n = (int)world_poisson(w, 2 * LOOK_S); n > 0; n--) {
            const double normal = normals[(int)(world_uniform(w) * TABLE)];
            const int bucket = histogram_bucket((int64_t)(20000 * exp(0.5 * normal + slower)));
            const bool failed = world_uniform(w) < errors;

            f->records++;
            f->errors += failed;
            f->latency.counts[bucket]++;
            work->done++;
            work->failed += failed;
            work->times[work_bucket(bucket)]++;
        }
    }
    for (int c = 0; c < COLOR_COUNT; c++)
        b->sample.of[c].counted = b->sample.of[c].latency_known = b->sample.of[c].records > 0;
    b->sample.now_ms = (int64_t)(BLUE_S + at_s + LOOK_S) * 1000;
}

/* Records of green until it is worse; -1: never. */
static double fleet_run(struct fleet_bench *b, const struct fleet_scene *scene, uint64_t seed, bool by_partition)
{
    const struct judge_policy policy = policy_of(LOOK_S * 1000);
    struct world w = { .random = seed * 104729 + 71 };
    struct judge_progress nobody[1];
    double records = 0;

    for (int p = 0; p < PARTS; p++) {
        b->errors[p] = 0.005 * world_gamma(&w);
        b->log_slower[p] = 0.5 * world_normal(&w);
    }
    world_sample_init(&b->sample);
    for (int c = 0; c < COLOR_COUNT; c++)
        b->sample.works[c] = by_partition ? b->works[c] : NULL;
    judge_init(&b->judge, &policy, nobody, 1);
    judge_strata(&b->judge, b->strata, PARTS);
    for (int at_s = -BLUE_S; at_s < GREEN_S; at_s += LOOK_S) {
        if (at_s == 0)
            judge_begin(&b->judge, &policy, GREEN, 2, (int64_t)BLUE_S * 1000);
        fleet_look(b, &w, scene, at_s);
        if (at_s < 0) {
            judge_baseline(&b->judge, BLUE, &b->sample);
            continue;
        }
        records += b->sample.of[GREEN].records;
        if (judge_step(&b->judge, &b->sample) == VERDICT_WORSE)
            return records;
    }
    return -1;
}

/* --- what is printed ------------------------------------------------------------------------------------------------------------- */

struct result {
    int runs, found, oks;
    double *records;
};

static void result_add(struct result *r, const struct trace *t, int seconds)
{
    r->runs++;
    if (seconds >= 0)
        r->records[r->found++] = records_until(t, seconds);
}

/* Over all runs: one that found nothing has needed more than all. -1: more than half found nothing. */
static double result_median(struct result *r)
{
    qsort(r->records, (size_t)r->found, sizeof(*r->records), compare_doubles);
    return r->found * 2 > r->runs ? r->records[r->runs / 2] : -1;
}

/* After how many records 5 %, 10 % ... 100 % of all runs were turned back: the curve of the plot. */
static void result_curve(const struct result *r)
{
    for (int i = 1; i <= CURVE; i++) {
        const int at = (r->runs * i + CURVE - 1) / CURVE - 1;

        printf("%s%.0f", i > 1 ? "," : "", at < r->found ? r->records[at] : -1);
    }
}

static void result_print(const char *name, const char *who, struct result *r)
{
    const double median = result_median(r), share = 100.0 * r->found / r->runs;
    char bar[21] = "";

    memset(bar, '#', (size_t)(share / 5 + 0.5));
    bar[(int)(share / 5 + 0.5)] = '\0';
    printf("%-32s %-9s %6d %8.2f%% |%-20s|", name, who, r->runs, share, bar);
    if (median >= 0)
        printf(" %8.0f records", median);
    printf("\n");
}

static int number_after(int argc, char **argv, const char *name, int otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return atoi(argv[i + 1]);
    return otherwise;
}

/* How often each kind of canary is turned back, and after how many of its records. */
static void fleets_print(int runs)
{
    static const char *const how[2] = { "parts", "as alike" };
    struct fleet_bench *b = malloc(sizeof(*b));
    struct result r = { .records = malloc(sizeof(double) * (size_t)runs) };

    ASSERT(b && r.records);
    for (int i = 0; i < FLEET_SCENES; i++)
        for (int k = 0; k < 2; k++) {
            const bool healthy = fleet_scenes[i].worse <= 1 && fleet_scenes[i].slower <= 1;
            const int count = healthy && k == 0 ? runs : (runs + 9) / 10;

            r.runs = r.found = 0;
            for (int run = 0; run < count; run++) {
                const double records = fleet_run(b, &fleet_scenes[i], (uint64_t)run, k == 0);

                r.runs++;
                if (records >= 0)
                    r.records[r.found++] = records;
            }
            result_print(fleet_scenes[i].name, how[k], &r);
            fflush(stdout);
        }
    free(r.records);
    free(b);
}

int main(int argc, char **argv)
{
    static const char *const who[] = { "baton", "kayenta", "argo", "flagger" };
    const int runs = number_after(argc, argv, "--runs", 10000), peers = number_after(argc, argv, "--peers", 300);
    const int fleets = number_after(argc, argv, "--fleets", 1000);
    double *room = malloc(sizeof(*room) * (GREEN_S / STEP_S) * (BLUE_S / STEP_S));
    struct judge *j = malloc(sizeof(*j));
    struct trace *t = malloc(sizeof(*t));
    struct result results[SCENES][4];

    ASSERT(room && j && t && runs > 0 && peers > 0 && fleets > 0);
    tables_make(20, 0.5, 1.3);
    printf("%-32s %-8s %6s %9s  %-20s  %s\n", "green", "judged by", "runs", "turned", "back", "median until then");
    for (int i = 0; i < SCENES; i++) {
        const bool healthy = scenes[i].worse <= 1 && scenes[i].slower <= 1;
        const int of_baton = healthy ? runs : peers;

        for (int k = 0; k < 4; k++) {
            results[i][k] =
                (struct result){ .records = malloc(sizeof(double) * (size_t)(of_baton > peers ? of_baton : peers)) };
            ASSERT(results[i][k].records);
        }
        for (int run = 0; run < of_baton || run < peers; run++) {
            bool ok = false;

            trace_make(t, &scenes[i], (uint64_t)run);
            if (run < of_baton)
                result_add(&results[i][0], t, judge_run(j, t, &ok));
            results[i][0].oks += ok;
            if (run >= peers)
                continue;
            result_add(&results[i][1], t, kayenta_run(t, room));
            result_add(&results[i][2], t, threshold_run(t, 3, 1000));
            result_add(&results[i][3], t, threshold_run(t, 1000, 5));
        }
        for (int k = 0; k < 4; k++)
            result_print(scenes[i].name, who[k], &results[i][k]);
        if (healthy)
            printf("%-32s %-8s %6d %8.2f%% are ok at the end\n", scenes[i].name, who[0], runs,
                   100.0 * results[i][0].oks / runs);
        fflush(stdout);
    }
    fleets_print(fleets);
    printf("{\"judge\":{\"bound_percent\":5,\"looks\":%d,\"scenes\":[", GREEN_S);
    for (int i = 0; i < SCENES; i++) {
        printf("%s{\"name\":\"%s\"", i ? "," : "", scenes[i].name);
        for (int k = 0; k < 4; k++) {
            printf(",\"%s\":{\"runs\":%d,\"turned_back_percent\":%.3f,\"median_records\":%.0f,\"curve\":[", who[k],
                   results[i][k].runs, 100.0 * results[i][k].found / results[i][k].runs, result_median(&results[i][k]));
            result_curve(&results[i][k]);
            printf("]}");
        }
        printf("}");
    }
    printf("]}}\n");
    for (int i = 0; i < SCENES; i++)
        for (int k = 0; k < 4; k++)
            free(results[i][k].records);
    free(room);
    free(t);
    free(j);
    return 0;
}
