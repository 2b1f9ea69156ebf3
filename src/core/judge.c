/*
 * judge - see judge.h; the formulae and their sources stand in docs/judge.md.
 *
 * Everything that is compared becomes "x bad of n": records that failed, records slower than what the old color's 50th,
 * 90th and 99th percentile was, intervals in which the lag grew, readings of a signal beyond the old color's 95th
 * percentile. One mechanism then serves all: the bet.
 */
#include "core/judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "core/names.h"

#define BLOCKS_MIN 6 /* fewer say nothing about how the figures spread */
#define DOUBT(count) \
    (2 * sqrt(2.0 / ((count)-1))) /* two standard errors of a dispersion that was measured on so many blocks */
#define GENERATION_MS 1800000
#define GAP_INTERVALS 5  /* a longer silence between two samples starts blocks anew */
#define SHARE_FLOOR 1e-4 /* no share below it is told apart */
#define SHARE_CEILING 0.95
#define MIRROR 2.0            /* `ok` means: surely below this many times the tolerated odds */
#define LOG_BETA 2.995732     /* log 20: `ok` is wrong once in 20 */
#define LOG_MAX 700.0         /* exp() of more is no number */
#define LOG_FIRST (-0.223144) /* log 0.8: the stake on "it began at once"; the other fifth is for what begins later */
#define SPLIT_MS 10000
#define LAG_LOOK_MS 5000
#define LAG_FLOOR_S 10.0 /* three times what the old color was behind at most, between these two */
#define LAG_FLOOR_S_MIN 3.0
#define LAG_WORSE 3.0     /* floors: near saturation a queue swings; below this it is never called worse */
#define LAG_PART_MIN 20   /* so few records of one partition are never much */
#define LAG_PART_MS 60000 /* one partition far behind for so long is not `drained`; a batch is worked off by then */
#define DRAINED_MS 15000
#define RECENT_MS 60000
#define LIMIT_RECORDS_MIN 20
#define LIMIT_LOOKS 3
#define WINDOW_MS 30000       /* three samples of the ends, as Burrow takes them */
#define EXCLUDED_MS_MAX 60000 /* and at most a third of the time: a rebalance storm is a failure of its own */
#define CONTROL_SHARE 0.25 /* the old color's part, measured on the new one's, from which on it serves as the control */
#define STALE_LOOKS 3

static const double ratios[JUDGE_ALTERNATIVES] = { 1.25, 1.5, 2, 3, 5, 10 };
static const double quantiles[JUDGE_QUANTILES] = { 0.5, 0.9, 0.99, 0.999 };
static const int quantiles_voting = 3; /* of the rarest too few are seen to say ok ... */
#define RAREST 2.0                     /* ... and so many times as many pass: who has just begun pauses more often */
#define LONG_BLOCK (JUDGE_BLOCKS - 1)  /* counts where there are surely spells that outlast the shorter ones: */
#define LONGER 1.5
static const int64_t block_ms[JUDGE_BLOCKS] = { 0, 30000, 150000 }; /* 0: an interval */
static const double lag_shares[3] = { 0.6, 0.75, 0.95 };

static const char *const verdict_names[VERDICT_COUNT] = {
    [VERDICT_UNDECIDED] = "undecided",
    [VERDICT_OK] = "ok",
    [VERDICT_WORSE] = "worse",
};
static const char *const judge_rule_names[JUDGE_RULE_COUNT] = {
    [RULE_NONE] = "none",
    [RULE_EVIDENCE] = "evidence",
    [RULE_LIMIT] = "limit",
    [RULE_BREAKER] = "breaker",
    [RULE_CATCH_UP] = "catch-up",
    [RULE_NO_PROGRESS] = "no-progress",
    [RULE_CRASH_LOOP] = "crash-loop",
    [RULE_VANISHED] = "vanished",
    [RULE_WINDOW] = "window",
};
static const char *const metric_state_names[METRIC_STATE_COUNT] = {
    [METRIC_UNKNOWN] = "unknown",
    [METRIC_UNDECIDED] = "undecided",
    [METRIC_OK] = "ok",
    [METRIC_WORSE] = "worse",
};

static const char *const judge_mode_names[JUDGE_MODE_COUNT] = {
    [JUDGE_GUARD] = "guard",
    [JUDGE_AUTO] = "auto",
    [JUDGE_OFF] = "off",
};

NAMED(verdict, enum verdict, verdict_names, VERDICT_COUNT)
NAMED(judge_mode, enum judge_mode, judge_mode_names, JUDGE_MODE_COUNT)
NAMED(judge_rule, enum judge_rule, judge_rule_names, JUDGE_RULE_COUNT)
NAMED(metric_state, enum metric_state, metric_state_names, METRIC_STATE_COUNT)

/* --- numbers ---------------------------------------------------------------------------------------------------------------- */

static bool sane(double v)
{
    return v >= 0 && v < 1e15; /* false for NAN */
}

/* Wilson's bounds of a share, x of n at z standard errors; upper or lower. */
static double wilson(double x, double n, double z, int side)
{
    const double p = x / n, zz = z * z;

    return (p + zz / (2 * n) + side * z * sqrt(p * (1 - p) / n + zz / (4 * n * n))) / (1 + zz / n);
}

/* The z above which a normal value lies with the chance `tail` (0 .. 0.5); good to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
static double normal_tail(double tail)
{
    const double t = sqrt(-2 * log(tail));

    return t -
           (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
}

static double log_add(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;

    return high + log1p(exp(low - high));
}

static double log_mean(const double *logs, int count)
{
    double sum = logs[0];

    for (int i = 1; i < count; i++)
        sum = log_add(sum, logs[i]);
    return sum - log(count);
}

static double cap(double log_stake)
{
    return log_stake > LOG_MAX ? LOG_MAX : log_stake < -LOG_MAX ? -LOG_MAX : log_stake;
}

/* `times` the odds of p. Below 1 for every p below 1; for a small p the same as `times` p. */
static double odds_times(double p, double times)
{
    return times * p / (1 - p + times * p);
}

/* How much likelier x bad of n are at p1 than at p0. */
static double log_likelihood(double x, double n, double p0, double p1)
{
    return x * log(p1 / p0) + (n - x) * log((1 - p1) / (1 - p0));
}

/* --- metrics ---------------------------------------------------------------------------------------------------------------- */

static const char *metric_name(const struct judge *j, int metric)
{
    static const char *const names[METRIC_SIGNAL] = {
        [METRIC_ERROR_RATE] = "error_rate",
        [METRIC_LATENCY] = "latency",
        [METRIC_LAG] = "lag",
        [METRIC_METADATA] = "metadata",
    };

    return metric < METRIC_SIGNAL ? names[metric] : j->policy.signals[metric - METRIC_SIGNAL].name;
}

/* Readings of a signal are sorted into the same buckets as times: by size, to an eighth. */
static int signal_bucket(const struct signal_policy *p, double level)
{
    const double bounded = level > 1e10 ? 1e10 : level < 0 ? 0 : level;
    const int bucket = histogram_bucket((int64_t)(bounded * 1e6));

    return p->worse == SIGNAL_LOWER_IS_WORSE ? HISTOGRAM_BUCKETS - 1 - bucket : bucket;
}

static bool signal_known(double level)
{
    return level > -1e15 && level < 1e15;
}

/* A signal that is the same for both colors can break a limit, but tells nothing about a color. */
static bool signal_by_color(const struct signal_policy *p)
{
    return strstr(p->query, "$color") || strstr(p->query, "$group") || strstr(p->query, "$version");
}

static bool metric_on(const struct judge_policy *p, int metric)
{
    if (metric < METRIC_SIGNAL)
        return p->metrics >> metric & 1;
    return metric - METRIC_SIGNAL < p->signal_count && signal_by_color(&p->signals[metric - METRIC_SIGNAL]);
}

static bool metric_votes(int metric)
{
    return metric <= METRIC_LAG;
}

/*
 * Figures of one metric as "how many of n lay above each bucket". False: unknown. More bad than there were, a negative
 * number, no number: unknown too, whoever sent it.
 */
static bool figures_above(struct judge_open_block *ret, const struct judge_policy *p, const struct judge_figures *f,
                          int metric)
{
    const struct histogram *h = metric == METRIC_LATENCY ? &f->latency : &f->metadata;
    const int bucket = metric < METRIC_SIGNAL || !signal_known(f->signals[metric - METRIC_SIGNAL])
                           ? -1
                           : signal_bucket(&p->signals[metric - METRIC_SIGNAL], f->signals[metric - METRIC_SIGNAL]);
    double above = 0;

    switch (metric) {
    case METRIC_ERROR_RATE:
        ret->n = f->records;
        ret->above[0] = f->errors;
        return f->counted && sane(f->records) && sane(f->errors) && f->errors <= f->records;
    case METRIC_LAG:
        return false;
    case METRIC_LATENCY:
    case METRIC_METADATA:
        if (metric == METRIC_LATENCY ? !f->latency_known : !f->metadata_known)
            return false;
        for (int i = HISTOGRAM_BUCKETS - 1; i >= 0; i--) {
            ret->above[i] = above;
            above += (double)h->counts[i];
        }
        ret->n = above;
        return sane(above);
    default:
        if (bucket < 0)
            return false;
        for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
            ret->above[i] = i < bucket;
        ret->n = 1;
        return true;
    }
}

static int buckets_of(int metric)
{
    return metric == METRIC_ERROR_RATE ? 1 : HISTOGRAM_BUCKETS;
}

/* --- the baseline ----------------------------------------------------------------------------------------------------------- */

static void block_close(struct judge *j, int size, int64_t now_ms)
{
    const double seconds = (double)(now_ms - j->open_since_ms[size]) / 1000;
    struct judge_generation *g = &j->generations[0];

    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        struct judge_open_block *open = &j->open[size][metric];
        struct judge_spread *spread = &g->spreads[metric];

        if (open->n <= 0)
            continue;
        spread->blocks[size].count++;
        spread->blocks[size].n += open->n;
        for (int i = 0; i < buckets_of(metric); i++) {
            spread->blocks[size].x[i] += open->above[i];
            spread->blocks[size].xx[i] += open->above[i] * open->above[i] / open->n;
        }
        if (metric == METRIC_ERROR_RATE && size == 1 && open->n / seconds > g->rate_max)
            g->rate_max = open->n / seconds;
        memset(open, 0, sizeof(*open));
    }
    j->open_since_ms[size] = now_ms;
}

static void blocks_drop(struct judge *j, int64_t now_ms)
{
    memset(j->open, 0, sizeof(j->open));
    for (int size = 0; size < JUDGE_BLOCKS; size++)
        j->open_since_ms[size] = now_ms;
}

static void baseline_add(struct judge *j, const struct judge_figures *f)
{
    struct judge_generation *g = &j->generations[0];
    struct judge_open_block figures;

    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        if (!metric_on(&j->policy, metric) && metric != METRIC_ERROR_RATE)
            continue;
        if (!figures_above(&figures, &j->policy, f, metric))
            continue;
        g->spreads[metric].n += figures.n;
        for (int size = 0; size < JUDGE_BLOCKS; size++)
            j->open[size][metric].n += figures.n;
        for (int i = 0; i < buckets_of(metric); i++) {
            g->spreads[metric].above[i] += figures.above[i];
            for (int size = 0; size < JUDGE_BLOCKS; size++)
                j->open[size][metric].above[i] += figures.above[i];
        }
    }
}

/*
 * How much more the bad ones vary from block to block than if each record failed for itself (Pearson's dispersion): a
 * burst, one bad batch, then counts about once. -1: too few blocks to say.
 */
static double design_effect(const struct judge *j, int metric, int bucket)
{
    double effect = -1;

    for (int size = 0; size < JUDGE_BLOCKS; size++) {
        double n = 0, x = 0, xx = 0, p, d = 1;
        int count = 0;

        for (int g = 0; g < 2; g++) {
            const struct judge_spread *s = &j->generations[g].spreads[metric];

            n += s->blocks[size].n;
            x += s->blocks[size].x[bucket];
            xx += s->blocks[size].xx[bucket];
            count += s->blocks[size].count;
        }
        if (count < BLOCKS_MIN)
            continue;
        p = x / n;
        if (p > 0 && p < 1)
            d = (xx - 2 * p * x + p * p * n) / ((count - 1) * p * (1 - p));
        if (size == LONG_BLOCK && (d <= 1 + DOUBT(count) || d < LONGER * effect))
            continue;
        if (size == LONG_BLOCK)
            d *= 1 + DOUBT(count); /* of so few blocks it is told badly how much */
        effect = d > effect ? d : effect;
    }
    return effect < 0 ? effect : effect < 1 ? 1 : effect;
}

/* The share of the baseline above a bucket, and of how many; 0: nothing is known. */
static double baseline_share(const struct judge *j, int metric, int bucket, double *ret_share)
{
    double n = 0, x = 0;

    for (int g = 0; g < 2; g++) {
        n += j->generations[g].spreads[metric].n;
        x += j->generations[g].spreads[metric].above[bucket];
    }
    *ret_share = n > 0 ? x / n : 0;
    return n;
}

/* The least bucket above which at most 1 - q of the baseline lay. */
static int baseline_quantile(const struct judge *j, int metric, double q)
{
    double share;
    int i = 0;

    while (i < HISTOGRAM_BUCKETS - 1 && (baseline_share(j, metric, i, &share), share > 1 - q))
        i++;
    return i;
}

void judge_init(struct judge *j, const struct judge_policy *policy, struct judge_progress *progress, int progress_max)
{
    memset(j, 0, sizeof(*j));
    j->policy = *policy;
    j->progress = progress;
    j->progress_max = progress_max;
    j->lag_floor_s = LAG_FLOOR_S;
    memset(progress, 0, (size_t)progress_max * sizeof(*progress));
}

/* --- lag and progress --------------------------------------------------------------------------------------------------------- */

/* Counts partitions that stand still though records wait. One that was not shown for some looks begins anew. */
static void progress_look(struct judge *j, const struct judge_sample *s)
{
    j->stuck = 0;
    for (int i = 0; i < s->part_count; i++) {
        const struct judge_part *part = &s->parts[i];
        struct judge_progress *p;

        if (part->baton < 0 || part->baton >= j->progress_max)
            continue;
        p = &j->progress[part->baton];
        if (p->seen_ms == 0 || s->now_ms - p->seen_ms > GAP_INTERVALS * j->policy.interval_ms) {
            p->stuck_before = p->stuck_before && p->position == part->position;
            p->position = part->position;
            p->since_ms = s->now_ms;
        }
        if (part->position > p->position || part->position >= part->end) {
            p->stuck_before = p->stuck_before && p->position == part->position;
            p->position = part->position;
            p->since_ms = s->now_ms;
        }
        p->seen_ms = s->now_ms;
        if (j->policy.no_progress_ms <= 0 || s->now_ms - p->since_ms < j->policy.no_progress_ms)
            continue;
        if (!j->judging)
            p->stuck_before = true;
        else if (!p->stuck_before && j->stuck++ == 0)
            j->stuck_baton = part->baton;
    }
}

/* Others have the partitions from now on: the clocks begin anew, what stood still already is known. */
static void progress_pause(struct judge *j)
{
    for (int i = 0; i < j->progress_max; i++) {
        struct judge_progress *p = &j->progress[i];

        p->seen_ms = p->end_ms = p->behind_since_ms = 0;
        p->behind = false;
    }
}

static void arrivals_add(double *arrivals, double arrived, double seconds)
{
    const double rate = arrived / seconds, weight = seconds > 30 ? 1 : seconds / 30;

    *arrivals = *arrivals > 0 ? *arrivals + weight * (rate - *arrivals) : rate;
}

/* How many seconds of arrivals a lag is. */
static double seconds_of(double lag, double arrivals)
{
    return arrivals > 0 ? lag / arrivals : 1e9;
}

/* What one partition has waiting; what stood still under the old color already waits for nobody. */
static double part_lag(struct judge *j, const struct judge_part *part, int64_t now_ms)
{
    const double lag =
        part->end > part->position && part->position >= 0 ? (double)part->end - (double)part->position : 0;
    struct judge_progress *p;
    double seconds;

    if (part->baton < 0 || part->baton >= j->progress_max)
        return lag;
    p = &j->progress[part->baton];
    if (p->end_ms > 0 && now_ms > p->end_ms && part->end >= p->end)
        arrivals_add(&p->arrivals, (double)part->end - (double)p->end, (double)(now_ms - p->end_ms) / 1000);
    p->end = part->end;
    p->end_ms = now_ms;
    p->lag = p->stuck_before ? 0 : lag;
    seconds = p->lag < LAG_PART_MIN ? 0 : seconds_of(p->lag, p->arrivals);
    if (seconds <= j->lag_floor_s)
        p->behind_since_ms = 0;
    else if (p->behind_since_ms == 0)
        p->behind_since_ms = now_ms;
    if (seconds > j->lag.worst_s)
        j->lag.worst_s = seconds;
    if (p->behind_since_ms > 0 && now_ms - p->behind_since_ms > j->lag.behind_ms)
        j->lag.behind_ms = now_ms - p->behind_since_ms;
    return p->lag;
}

static void lag_read(struct judge *j, const struct judge_sample *s, double seconds)
{
    double lag = 0, ends = 0;

    j->lag.worst_s = 0;
    j->lag.behind_ms = 0;
    for (int i = 0; i < s->part_count; i++) {
        lag += part_lag(j, &s->parts[i], s->now_ms);
        ends += (double)s->parts[i].end;
    }
    if (j->lag.known && j->lag.parts == s->part_count && seconds > 0 && ends >= j->lag.ends)
        arrivals_add(&j->lag.arrivals, ends - j->lag.ends, seconds);
    if (!j->lag.known) {
        if (j->lag.backlog <= 0) /* or kept from another judge */
            j->lag.backlog = lag;
        j->lag.before = lag;
        j->lag.at_ms = s->now_ms;
        j->lag.control_before = s->control_lag_known ? (double)s->control_lag : 0;
    }
    j->lag.known = true;
    j->lag.lag = lag;
    j->lag.ends = ends;
    j->lag.parts = s->part_count;
}

/* How far all together are behind; a few records are never much. */
static double lag_seconds(const struct judge *j)
{
    return j->lag.lag < 2 ? 0 : seconds_of(j->lag.lag, j->lag.arrivals);
}

/* The same of all together, or of the partition that is furthest behind. */
static double lag_worst_seconds(const struct judge *j)
{
    return j->lag.worst_s > lag_seconds(j) ? j->lag.worst_s : lag_seconds(j);
}

/* Did the lag grow, of all together and of the partitions that were far behind by themselves? Only what was far behind counts. */
enum lag_bet { LAG_ALL, LAG_PARTS, LAG_BETS };
struct lag_step {
    bool counts[LAG_BETS], grew[LAG_BETS];
};

/* Once every five seconds. The trend of its level is never tested: a queue has one. */
static bool lag_step(struct judge *j, const struct judge_sample *s, struct lag_step *ret)
{
    const double control = s->control_lag_known ? (double)s->control_lag : 0;
    const bool both = s->control_lag_known && control > j->lag.control_before && control > j->lag.lag / 10;
    double grown = 0;
    bool behind = false;

    if (s->now_ms - j->lag.at_ms < LAG_LOOK_MS)
        return false;
    for (int i = 0; i < s->part_count; i++) {
        struct judge_progress *p;

        if (s->parts[i].baton < 0 || s->parts[i].baton >= j->progress_max)
            continue;
        p = &j->progress[s->parts[i].baton];
        grown += p->behind ? p->lag - p->before : 0;
        behind = behind || p->behind;
        p->before = p->lag;
        p->behind = p->behind_since_ms > 0;
    }
    *ret = (struct lag_step){ .counts = { j->lag.behind && !both, behind && !both },
                              .grew = { j->lag.lag > j->lag.before, grown > 0 } };
    j->lag.before = j->lag.lag;
    j->lag.behind = lag_seconds(j) > j->lag_floor_s;
    j->lag.control_before = control;
    j->lag.at_ms = s->now_ms;
    return true;
}

static bool window_bad(const struct judge_sample *s)
{
    return burrow_group_worse(BURROW_OK, s->window) == BURROW_ERR;
}

/* --- the old color alone --------------------------------------------------------------------------------------------------------- */

void judge_baseline(struct judge *j, enum color active, const struct judge_sample *s)
{
    struct judge_generation *g = &j->generations[0];
    const int64_t before_ms = j->last_ms, gap_ms = s->now_ms - before_ms;
    struct lag_step step;

    if (j->judging && active == j->from && !j->restored) { /* turned back: what was gathered before is of this color */
        memset(&j->lag, 0, sizeof(j->lag));
        progress_pause(j);
        blocks_drop(j, s->now_ms);
        j->judging = false;
        j->lag_floor_s = LAG_FLOOR_S;
        j->last_ms = s->now_ms;
        return;
    }
    if (j->judging || active != j->from || before_ms == 0) { /* another color's figures, or none yet */
        memset(j->generations, 0, sizeof(j->generations));
        memset(&j->lag, 0, sizeof(j->lag));
        memset(j->progress, 0, (size_t)j->progress_max * sizeof(*j->progress));
        blocks_drop(j, s->now_ms);
        j->judging = j->restored = false;
        j->lag_floor_s = LAG_FLOOR_S;
        j->from = active;
        g->since_ms = j->last_ms = s->now_ms;
        return;
    }
    if (gap_ms <= 0)
        return;
    j->last_ms = s->now_ms;
    if (s->now_ms - g->since_ms > GENERATION_MS) {
        j->generations[1] = *g;
        memset(g, 0, sizeof(*g));
        g->since_ms = s->now_ms;
    }
    if (s->excluded || gap_ms > GAP_INTERVALS * j->policy.interval_ms) {
        blocks_drop(j, s->now_ms);
        return;
    }
    g->seconds += (double)gap_ms / 1000;
    g->window_bad = g->window_bad || window_bad(s);
    baseline_add(j, &s->of[active]);
    for (int size = 0; size < JUDGE_BLOCKS; size++)
        if (s->now_ms - j->open_since_ms[size] >= (size == 0 ? j->policy.interval_ms : block_ms[size]))
            block_close(j, size, s->now_ms);
    if (!s->lag_known)
        return;
    progress_look(j, s);
    lag_read(j, s, (double)gap_ms / 1000);
    if (lag_worst_seconds(j) > g->lag_max_s)
        g->lag_max_s = lag_worst_seconds(j);
    if (lag_step(j, s, &step) && step.counts[LAG_ALL]) {
        g->lag_counted++;
        g->lag_grew += step.grew[LAG_ALL];
    }
}

/* --- bets ----------------------------------------------------------------------------------------------------------------------- */

static void bet_open(struct judge_bet *b)
{
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++)
        b->log_stakes[k] = LOG_FIRST;
    b->log_promote = 0;
    b->n = b->x = b->late_n = b->late_x = b->control_n = b->control_x = 0;
}

static void bets_open(struct judge *j, int64_t now_ms)
{
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        for (int i = 0; i < j->cases[metric].bet_count; i++)
            bet_open(&j->cases[metric].bets[i]);
    j->splits = 0;
    j->split_ms = now_ms;
}

/*
 * What begins late must be found as well: every ten seconds a little of the stake that was kept back is put on "it begins
 * now". All weights together are 1, so the bound on false alarms stays what it is.
 */
static void bets_split(struct judge *j, int64_t now_ms)
{
    double weight;

    if (now_ms - j->split_ms < SPLIT_MS)
        return;
    j->split_ms = now_ms;
    j->splits++;
    weight = log(0.2 / ((double)j->splits * (j->splits + 1)));
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        for (int i = 0; i < j->cases[metric].bet_count; i++)
            for (int k = 0; k < JUDGE_ALTERNATIVES; k++) {
                double *stake = &j->cases[metric].bets[i].log_stakes[k];

                *stake = log_add(*stake, weight);
            }
}

/* x bad of n, where at most p0 are tolerated. A winning streak is forgotten beyond twice what `ok` needs. */
static void bet_add(struct judge_bet *b, double x, double n, double p0)
{
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++)
        b->log_stakes[k] = cap(b->log_stakes[k] + log_likelihood(x, n, p0, odds_times(p0, ratios[k])) / b->design);
    b->log_promote -= log_likelihood(x, n, p0, odds_times(p0, MIRROR)) / b->design;
    if (b->log_promote > 2 * LOG_BETA)
        b->log_promote = 2 * LOG_BETA;
    b->log_promote = cap(b->log_promote);
}

/* One interval. In a canary the old color's partitions are the better yardstick: what hits both hurts nobody's case. */
static void bet_look(struct judge_bet *b, double passes, const struct judge_open_block *new,
                     const struct judge_open_block *old)
{
    const double x = new->above[b->bucket], n = new->n, before = log_mean(b->log_stakes, JUDGE_ALTERNATIVES);
    double stake;

    b->n += n;
    b->x += x;
    if (n > 0 && old && old->n >= CONTROL_SHARE * n) {
        const double control_x = old->above[b->bucket];

        b->control_n += old->n;
        b->control_x += control_x;
        bet_add(b, x, x + control_x, passes * n / (passes * n + old->n));
    } else if (b->usable) {
        bet_add(b, x, n, b->tolerated);
    }
    stake = log_mean(b->log_stakes, JUDGE_ALTERNATIVES);
    if (n > 0 && stake <= before && stake < LOG_FIRST)
        b->late_n = b->late_x = 0;
    b->late_n += n;
    b->late_x += x;
}

static void lag_bet_look(struct judge_bet *b, bool grew)
{
    b->n++;
    b->x += grew;
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++) {
        const double p1 = k < (int)ARRAY_COUNT(lag_shares) ? lag_shares[k] : 0;

        if (p1 > b->tolerated)
            b->log_stakes[k] = cap(b->log_stakes[k] + log_likelihood(grew, 1, b->tolerated, p1));
    }
}

/* The stake of a metric's case: the mean of its bets is a bet. */
static double case_log_stake(const struct judge_case *c, int metric)
{
    double logs[JUDGE_QUANTILES] = { 0 };

    if (c->bet_count <= 0)
        return 0;
    for (int i = 0; i < c->bet_count; i++)
        logs[i] =
            log_mean(c->bets[i].log_stakes, metric == METRIC_LAG ? (int)ARRAY_COUNT(lag_shares) : JUDGE_ALTERNATIVES);
    return log_mean(logs, c->bet_count);
}

static double case_log_promote(const struct judge_case *c)
{
    double least = c->bet_count == 0 ? 0 : LOG_MAX;

    for (int i = 0; i < c->bet_count && i < quantiles_voting; i++)
        if (c->bets[i].log_promote < least)
            least = c->bets[i].log_promote;
    return least;
}

static double case_records(const struct judge_case *c)
{
    return c->bet_count == 0 ? 0 : c->bets[0].n;
}

/* How many times the old color's share passes. */
static double case_passes(const struct judge *j, int bet)
{
    return (1 + (double)j->policy.tolerance_ppm / PPM) * (bet < quantiles_voting ? 1 : RAREST);
}

static void case_freeze(struct judge *j, int metric, double z)
{
    struct judge_case *c = &j->cases[metric];

    c->bet_count = metric == METRIC_LATENCY ? JUDGE_QUANTILES : 1;
    for (int i = 0; i < c->bet_count; i++) {
        struct judge_bet *b = &c->bets[i];
        double n, effect;

        if (metric == METRIC_LATENCY)
            b->bucket = baseline_quantile(j, metric, quantiles[i]);
        else if (metric != METRIC_ERROR_RATE)
            b->bucket = baseline_quantile(j, metric, 0.95);
        n = baseline_share(j, metric, b->bucket, &b->share);
        effect = design_effect(j, metric, b->bucket);
        b->usable = n > 0 && effect > 0;
        b->design = effect > 0 ? effect : 1;
        b->tolerated = b->usable ? case_passes(j, i) * wilson(b->share * n / b->design, n / b->design, z, 1) : 0;
        if (b->tolerated < SHARE_FLOOR)
            b->tolerated = SHARE_FLOOR;
        if (b->tolerated > SHARE_CEILING)
            b->tolerated = SHARE_CEILING;
    }
}

/* An old color that was never far behind makes it visible sooner that the new one is. */
static void lag_floor_set(struct judge *j)
{
    const struct judge_generation *g = j->generations;
    const double floor_s = 3 * (g[0].lag_max_s > g[1].lag_max_s ? g[0].lag_max_s : g[1].lag_max_s);

    j->lag_floor_s = floor_s <= 0 || floor_s > LAG_FLOOR_S ? LAG_FLOOR_S
                     : floor_s < LAG_FLOOR_S_MIN           ? LAG_FLOOR_S_MIN
                                                           : floor_s;
}

static void lag_freeze(struct judge *j, double z)
{
    const double counted = j->generations[0].lag_counted + j->generations[1].lag_counted;
    const double grew = j->generations[0].lag_grew + j->generations[1].lag_grew;
    struct judge_case *c = &j->cases[METRIC_LAG];

    lag_floor_set(j);
    c->bet_count = LAG_BETS;
    for (int i = 0; i < LAG_BETS; i++) {
        struct judge_bet *b = &c->bets[i];

        b->design = 1;
        b->usable = true;
        b->share = counted > 0 ? grew / counted : NAN;
        b->tolerated = counted > 0 ? wilson(grew, counted, z, 1) : 0; /* an old color that could not keep up either */
        if (b->tolerated < 0.5)
            b->tolerated = 0.5;
        if (b->tolerated > SHARE_CEILING)
            b->tolerated = SHARE_CEILING;
    }
}

/*
 * The false alarms that are allowed, alpha, are spent half on bets lost by chance and half on baselines that chance made
 * too good; each half is shared by the metrics, the first also by the stages and their two phases, catching up and steady.
 */
void judge_begin(struct judge *j, const struct judge_policy *policy, enum color to, int stages, int64_t now_ms)
{
    const double half = (double)policy->alpha_ppm / PPM / 2;
    const bool restored = j->restored && color_other(to) == j->from; /* a later stage: the yardstick stays */
    int metrics = 0;
    double z;

    j->policy = *policy;
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        struct judge_case *c = &j->cases[metric];
        const bool on = policy->mode == JUDGE_AUTO && metric_on(policy, metric);

        if (!restored)
            memset(c, 0, sizeof(*c));
        c->on = on && (!restored || c->bet_count > 0);
        c->looks = c->known_ms = 0;
        c->over_limit = 0;
        metrics += on;
    }
    if (metrics == 0)
        metrics = 1;
    z = normal_tail(half / metrics);
    if (z < 2.326)
        z = 2.326;
    j->log_bound = log(metrics * 2.0 * (stages < 1 ? 1 : stages) / half);
    if (color_other(to) != j->from) { /* what was gathered is of the color that is judged now */
        memset(j->generations, 0, sizeof(j->generations));
        memset(j->progress, 0, (size_t)j->progress_max * sizeof(*j->progress));
    }
    for (int metric = 0; metric < JUDGE_METRICS_MAX && !restored; metric++)
        if (j->cases[metric].on && metric == METRIC_LAG)
            lag_freeze(j, z);
        else if (j->cases[metric].on)
            case_freeze(j, metric, z);
    progress_pause(j);
    blocks_drop(j, now_ms);
    memset(&j->lag, 0, sizeof(j->lag));
    memset(j->recent, 0, sizeof(j->recent));
    memset(j->births, 0, sizeof(j->births));
    j->judging = true;
    j->from = color_other(to);
    j->to = to;
    j->began_ms = j->last_ms = now_ms;
    j->evidence_ms = j->steady_ms = j->drained_since_ms = j->excluded_ms = 0;
    j->birth_next = j->silent_looks = j->stuck = 0;
    j->window_bad_ms = 0;
    j->looks = 0;
    j->verdict = VERDICT_UNDECIDED;
    j->rule = RULE_NONE;
    bets_open(j, now_ms);
}

/* --- one judge after another ------------------------------------------------------------------------------------------------------ */

static int slow_bucket_of(const struct judge_policy *p)
{
    return histogram_bucket(p->latency_p99_limit_ms * 1000);
}

static int metric_by_name(const struct judge *j, const char *name)
{
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        if (j->cases[metric].on && strcmp(metric_name(j, metric), name) == 0)
            return metric;
    return -1;
}

void judge_keep(const struct judge *j, struct judge_kept *ret, int stage)
{
    const struct judge_generation *g = j->generations;

    memset(ret, 0, sizeof(*ret));
    ret->known = true;
    ret->stage = stage;
    ret->begun = j->judging;
    ret->evidence = j->evidence_ms != 0;
    ret->steady = j->steady_ms != 0;
    ret->after_ms = j->last_ms - j->began_ms;
    ret->evidence_ms = ret->evidence ? j->last_ms - j->evidence_ms : 0;
    ret->splits = j->splits;
    ret->backlog = j->lag.backlog;
    for (int i = 0; i < 2; i++) {
        ret->records += g[i].spreads[METRIC_ERROR_RATE].n;
        ret->errors += g[i].spreads[METRIC_ERROR_RATE].above[0];
        ret->timed += g[i].spreads[METRIC_LATENCY].n;
        ret->slow += g[i].spreads[METRIC_LATENCY].above[slow_bucket_of(&j->policy)];
        ret->seconds += g[i].seconds;
        ret->rate_max = g[i].rate_max > ret->rate_max ? g[i].rate_max : ret->rate_max;
        ret->lag_max_s = g[i].lag_max_s > ret->lag_max_s ? g[i].lag_max_s : ret->lag_max_s;
    }
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        for (int i = 0; i < j->cases[metric].bet_count && j->cases[metric].on; i++) {
            struct judge_kept_bet *kept = &ret->bets[ret->bet_count++];

            snprintf(kept->name, sizeof(kept->name), "%s", metric_name(j, metric));
            kept->looks = j->cases[metric].looks;
            kept->bet = j->cases[metric].bets[i];
        }
}

void judge_freeze(struct judge *j, struct judge_kept *ret, const struct judge_policy *policy, enum color to, int stages,
                  int64_t now_ms)
{
    judge_begin(j, policy, to, stages, now_ms);
    j->judging = false;
    judge_keep(j, ret, 0);
}

/* Numbers from a record: whatever they are, the judge works on with what it can work with. */
static void bet_restore(struct judge_bet *b, const struct judge_bet *kept, bool begun)
{
    const struct judge_bet blank = *b;

    *b = *kept;
    b->bucket = kept->bucket < 0 ? 0 : kept->bucket < HISTOGRAM_BUCKETS ? kept->bucket : HISTOGRAM_BUCKETS - 1;
    b->tolerated = kept->tolerated >= SHARE_FLOOR && kept->tolerated <= SHARE_CEILING ? kept->tolerated : SHARE_CEILING;
    b->design = kept->design >= 1 && kept->design < 1e9 ? kept->design : 1e9;
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++)
        b->log_stakes[k] = begun && fabs(kept->log_stakes[k]) <= LOG_MAX ? kept->log_stakes[k] : blank.log_stakes[k];
    b->log_promote = begun && fabs(kept->log_promote) <= LOG_MAX ? kept->log_promote : 0;
    if (!begun || !sane(b->n) || !sane(b->x) || !sane(b->late_n) || !sane(b->late_x) || !sane(b->control_n) ||
        !sane(b->control_x))
        b->n = b->x = b->late_n = b->late_x = b->control_n = b->control_x = 0;
}

void judge_restore(struct judge *j, const struct judge_kept *kept, const struct judge_verdict *verdict,
                   const struct judge_policy *policy, enum color to, int stages, int stage, int64_t now_ms)
{
    const bool begun = kept->begun && kept->stage == stage;
    struct judge_generation *g = &j->generations[0];

    memset(j->generations, 0, sizeof(j->generations));
    j->restored = false;
    judge_begin(j, policy, to, stages, now_ms);
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        struct judge_case *c = &j->cases[metric];
        int bets = 0;

        for (int i = 0; i < kept->bet_count && i < JUDGE_KEPT_MAX && c->on; i++)
            if (strcmp(kept->bets[i].name, metric_name(j, metric)) == 0 && bets < c->bet_count) {
                bet_restore(&c->bets[bets++], &kept->bets[i].bet, begun);
                c->looks = begun ? kept->bets[i].looks : 0;
            }
    }
    j->restored = true;
    if (sane(kept->records) && sane(kept->errors) && kept->errors <= kept->records) {
        g->spreads[METRIC_ERROR_RATE].n = kept->records;
        g->spreads[METRIC_ERROR_RATE].above[0] = kept->errors;
    }
    if (sane(kept->timed) && sane(kept->slow) && kept->slow <= kept->timed) {
        g->spreads[METRIC_LATENCY].n = kept->timed;
        g->spreads[METRIC_LATENCY].above[slow_bucket_of(policy)] = kept->slow;
    }
    if (sane(kept->seconds) && sane(kept->rate_max)) {
        g->seconds = kept->seconds;
        g->rate_max = kept->rate_max;
    }
    g->lag_max_s = sane(kept->lag_max_s) ? kept->lag_max_s : 0;
    lag_floor_set(j);
    if (!begun)
        return;
    j->began_ms = now_ms - kept->after_ms;
    j->evidence_ms = kept->evidence ? now_ms - kept->evidence_ms : 0;
    j->steady_ms = kept->steady ? now_ms : 0;
    j->splits = kept->splits;
    j->lag.backlog = sane(kept->backlog) ? kept->backlog : 0;
    if (!verdict || verdict->verdict != VERDICT_WORSE)
        return;
    j->verdict = VERDICT_WORSE;
    j->rule = verdict->rule;
    j->worse_ms = now_ms;
    snprintf(j->worse_why, sizeof(j->worse_why), "%.199s", verdict->sentence);
    for (int i = 0; i < verdict->metric_count; i++)
        if (verdict->metrics[i].state == METRIC_WORSE && metric_by_name(j, verdict->metrics[i].name) >= 0)
            j->worse_metric = metric_by_name(j, verdict->metrics[i].name);
}

/* --- rules ----------------------------------------------------------------------------------------------------------------------- */

static void worse(struct judge *j, enum judge_rule rule, int metric, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void worse(struct judge *j, enum judge_rule rule, int metric, const char *fmt, ...)
{
    va_list ap;

    if (j->verdict == VERDICT_WORSE)
        return;
    j->verdict = VERDICT_WORSE;
    j->rule = rule;
    j->worse_metric = metric;
    j->worse_ms = j->last_ms;
    va_start(ap, fmt);
    vsnprintf(j->worse_why, sizeof(j->worse_why), fmt, ap);
    va_end(ap);
}

static void births_look(struct judge *j, const struct judge_sample *s)
{
    for (int i = 0; i < s->birth_count && i < JUDGE_BIRTHS_MAX; i++) {
        const int peers = s->births[i].peers < 1 ? 1 : s->births[i].peers;
        int starts = 0;

        j->births[j->birth_next].slot = s->births[i].slot;
        j->births[j->birth_next].at_ms = s->now_ms;
        j->birth_next = (j->birth_next + 1) % JUDGE_BIRTH_RING;
        for (int k = 0; k < JUDGE_BIRTH_RING; k++)
            starts += j->births[k].at_ms > 0 && j->births[k].slot == s->births[i].slot &&
                      s->now_ms - j->births[k].at_ms <= j->policy.crash_window_ms;
        if (starts >= j->policy.crash_loop * peers)
            worse(j, RULE_CRASH_LOOP, 0, "a member of %s started %d times within %d s", color_name(j->to), starts,
                  (int)(j->policy.crash_window_ms / 1000));
    }
}

/* All of the new color silent, and somebody else heard: else it is us who hear nothing. */
static void members_look(struct judge *j, const struct judge_sample *s)
{
    if (!s->members_known || s->live[j->to] > 0 || s->live[j->from] <= 0) {
        j->silent_looks = 0;
        return;
    }
    if (++j->silent_looks >= 2)
        worse(j, RULE_VANISHED, 0, "no member of %s has been heard for %d looks, while %d of %s are", color_name(j->to),
              j->silent_looks, s->live[j->from], color_name(j->from));
}

static void recent_add(struct judge *j, const struct judge_recent *look)
{
    if (look->n <= 0 && look->timed <= 0)
        return;
    j->recent[j->recent_next] = *look;
    j->recent_next = (j->recent_next + 1) % JUDGE_RECENT;
}

/* Of the last minute; where that has too few records, of as many looks before it as it takes. */
static struct judge_recent recent_sum(const struct judge *j, int64_t now_ms, int *ret_looks)
{
    struct judge_recent sum = { 0 };

    *ret_looks = 0;
    for (int i = 1; i <= JUDGE_RECENT; i++) {
        const struct judge_recent *look = &j->recent[(j->recent_next + JUDGE_RECENT - i) % JUDGE_RECENT];

        if (look->at_ms == 0 || (look->at_ms <= now_ms - RECENT_MS && sum.n >= LIMIT_RECORDS_MIN))
            break;
        sum.n += look->n;
        sum.x += look->x;
        sum.timed += look->timed;
        sum.slow += look->slow;
        ++*ret_looks;
    }
    return sum;
}

static bool over(double x, double n, double limit)
{
    return n >= LIMIT_RECORDS_MIN && wilson(x, n, 2.326, -1) > limit;
}

/* Limits and breaker, over the last minute or the last twenty records. A limit that the old color breaks as well is not held against the new one. */
static void limits_look(struct judge *j, const struct judge_sample *s)
{
    const struct judge_policy *p = &j->policy;
    const double error_limit = (double)p->error_rate_limit_ppm / PPM;
    const int slow_bucket = slow_bucket_of(p);
    struct judge_recent look = { .at_ms = s->now_ms }, sum;
    struct judge_open_block figures;
    double share, n;
    int looks;

    if (figures_above(&figures, p, &s->of[j->to], METRIC_ERROR_RATE)) {
        look.n = figures.n;
        look.x = figures.above[0];
    }
    if (figures_above(&figures, p, &s->of[j->to], METRIC_LATENCY)) {
        look.timed = figures.n;
        look.slow = figures.above[slow_bucket];
    }
    recent_add(j, &look);
    sum = recent_sum(j, s->now_ms, &looks);
    n = baseline_share(j, METRIC_ERROR_RATE, 0, &share);
    if (sum.n >= LIMIT_RECORDS_MIN && looks >= 3 && sum.x > 0.5 * sum.n && !(n > 0 && share > 0.25))
        worse(j, RULE_BREAKER, METRIC_ERROR_RATE, "%.0f of the last %.0f records failed", sum.x, sum.n);
    if (p->error_rate_limit_ppm > 0 && over(sum.x, sum.n, error_limit) && !over(share * n, n, error_limit))
        worse(j, RULE_LIMIT, METRIC_ERROR_RATE,
              "error rate: %.0f of the last %.0f records failed (%.2f%%), the limit is %.2f%%", sum.x, sum.n,
              100 * sum.x / sum.n, 100 * error_limit);
    if (p->latency_p99_limit_ms > 0 && over(sum.slow, sum.timed, 0.01) &&
        !(n = baseline_share(j, METRIC_LATENCY, slow_bucket, &share), over(share * n, n, 0.01)))
        worse(j, RULE_LIMIT, METRIC_LATENCY,
              "latency: %.0f of the last %.0f records took longer than %lld ms (%.2f%%), the limit for p99", sum.slow,
              sum.timed, (long long)p->latency_p99_limit_ms, 100 * sum.slow / sum.timed);
}

static void signals_look(struct judge *j, const struct judge_sample *s)
{
    for (int i = 0; i < j->policy.signal_count; i++) {
        const struct signal_policy *p = &j->policy.signals[i];
        const double level = s->of[j->to].signals[i];
        int *over_limit = &j->cases[METRIC_SIGNAL + i].over_limit;

        if (!p->limited || !signal_known(level))
            continue;
        if (p->worse == SIGNAL_LOWER_IS_WORSE ? level >= p->limit : level <= p->limit)
            *over_limit = 0;
        else if (++*over_limit >= LIMIT_LOOKS)
            worse(j, RULE_LIMIT, METRIC_SIGNAL + i, "%s is %.6g for %d looks, the limit is %.6g", p->name, level,
                  *over_limit, p->limit);
    }
}

/* Not before the backlog is worked off: right after a switch a window is short, and says the least. */
static void window_look(struct judge *j, const struct judge_sample *s)
{
    const bool before = j->restored || j->generations[0].window_bad || j->generations[1].window_bad;

    if (j->policy.window == WINDOW_NONE || j->steady_ms == 0 || before || !window_bad(s)) {
        j->window_bad_ms = 0;
        return;
    }
    if (j->window_bad_ms == 0)
        j->window_bad_ms = s->now_ms;
    if (s->now_ms - j->window_bad_ms >= WINDOW_MS)
        worse(j, RULE_WINDOW, METRIC_LAG, "by %s rules the window of the commits of %s has been %s for %d s",
              j->policy.window == WINDOW_BURROW ? "Burrow's" : "the corrected", color_name(j->to),
              burrow_status_name(s->window), (int)(s->now_ms - j->window_bad_ms) / 1000);
}

/* --- looks ----------------------------------------------------------------------------------------------------------------------- */

/* Too much time that counts for neither side would let a rebalance storm pass. */
static bool excluded(struct judge *j, const struct judge_sample *s, int64_t gap_ms)
{
    if (!s->excluded)
        return false;
    j->excluded_ms += gap_ms;
    return j->excluded_ms <= EXCLUDED_MS_MAX || 3 * j->excluded_ms <= s->now_ms - j->began_ms;
}

/* Longest time to work off the backlog: twice what the old color would have needed where that is known. */
static int64_t drain_ms(const struct judge *j)
{
    const struct judge_generation *g = j->generations;
    const double seconds = g[0].seconds + g[1].seconds;
    const double usual =
        seconds > 0 ? (g[0].spreads[METRIC_ERROR_RATE].n + g[1].spreads[METRIC_ERROR_RATE].n) / seconds : 0;
    const double best = g[0].rate_max > g[1].rate_max ? g[0].rate_max : g[1].rate_max;
    double ms;

    if (best <= 1.2 * usual)
        return j->policy.catch_up_ms; /* it never had to hurry, so nobody knows how fast it is */
    ms = 2000 * j->lag.backlog / (best - usual);
    return ms < 30000 ? 30000 : ms > (double)j->policy.catch_up_ms ? j->policy.catch_up_ms : (int64_t)ms;
}

static void lag_look(struct judge *j, const struct judge_sample *s, double seconds, bool counts)
{
    struct judge_case *c = &j->cases[METRIC_LAG];
    struct lag_step step;

    lag_read(j, s, seconds);
    if (c->on && counts) {
        c->known_ms = s->now_ms;
        c->looks++;
    }
    if (lag_seconds(j) > j->lag_floor_s)
        j->drained_since_ms = 0;
    else if (j->drained_since_ms == 0)
        j->drained_since_ms = s->now_ms;
    if (j->steady_ms != 0 && j->policy.time_lag_limit_ms > 0 && s->now_ms - j->lag.at_ms >= LAG_LOOK_MS) {
        const double worst_s = lag_worst_seconds(j);

        j->lag.over_limit = worst_s * 1000 > (double)j->policy.time_lag_limit_ms ? j->lag.over_limit + 1 : 0;
        if (j->lag.over_limit >= LIMIT_LOOKS)
            worse(j, RULE_LIMIT, METRIC_LAG, "lag: %.0f records, %.0f s of arrivals, the limit is %lld s", j->lag.lag,
                  worst_s > 1e6 ? 1e6 : worst_s, (long long)(j->policy.time_lag_limit_ms / 1000));
    }
    if (lag_step(j, s, &step) && counts)
        for (int i = 0; i < c->bet_count && c->on; i++)
            if (step.counts[i])
                lag_bet_look(&c->bets[i], step.grew[i]);
    if (c->on && j->drained_since_ms == 0 && j->steady_ms == 0 && s->now_ms - j->began_ms > j->policy.catch_up_ms)
        worse(j, RULE_CATCH_UP, METRIC_LAG, "lag: %.0f records are left of a backlog of %.0f after %lld s", j->lag.lag,
              j->lag.backlog, (long long)(s->now_ms - j->began_ms) / 1000);
}

static void case_look(struct judge *j, int metric, const struct judge_sample *s)
{
    struct judge_case *c = &j->cases[metric];
    struct judge_open_block new, old;
    bool control;

    if (metric == METRIC_LATENCY && s->of[j->to].counted && s->of[j->to].records <= 0)
        c->known_ms = s->now_ms; /* that nothing was done is known, too */
    if (!figures_above(&new, &j->policy, &s->of[j->to], metric))
        return;
    control = metric < METRIC_SIGNAL && figures_above(&old, &j->policy, &s->of[j->from], metric);
    c->known_ms = s->now_ms;
    c->looks++;
    for (int i = 0; i < c->bet_count; i++)
        bet_look(&c->bets[i], case_passes(j, i), &new, control ? &old : NULL);
}

/* The clock starts with the first records done, and the first figures after that are those of a cold start. */
static bool warmed_up(struct judge *j, const struct judge_sample *s)
{
    const struct judge_figures *f = &s->of[j->to];
    const bool evidence = (f->counted && f->records > 0) || (f->latency_known && histogram_count(&f->latency) > 0) ||
                          (j->lag.known && j->lag.lag > 0);

    if (j->evidence_ms == 0 && evidence)
        j->evidence_ms = s->now_ms;
    return j->evidence_ms != 0 && s->now_ms - j->evidence_ms >= j->policy.warmup_ms;
}

static bool case_stale(const struct judge *j, const struct judge_case *c)
{
    return c->known_ms == 0 || j->last_ms - c->known_ms > STALE_LOOKS * j->policy.interval_ms + LAG_LOOK_MS;
}

static enum metric_state case_state(const struct judge *j, int metric)
{
    const struct judge_case *c = &j->cases[metric];

    if (j->verdict == VERDICT_WORSE && j->worse_metric == metric && (j->rule == RULE_EVIDENCE || j->rule == RULE_LIMIT))
        return METRIC_WORSE;
    if (case_stale(j, c))
        return METRIC_UNKNOWN;
    if (metric == METRIC_LAG)
        return j->drained_since_ms != 0 && j->last_ms - j->drained_since_ms >= DRAINED_MS &&
                       j->lag.behind_ms < LAG_PART_MS
                   ? METRIC_OK
                   : METRIC_UNDECIDED;
    if (!c->bets[0].usable && c->bets[0].control_n <= 0)
        return METRIC_UNKNOWN; /* nothing to compare with */
    if (!metric_votes(metric))
        return METRIC_OK; /* nothing speaks against it */
    return case_records(c) >= j->policy.records_min && case_log_promote(c) >= LOG_BETA ? METRIC_OK : METRIC_UNDECIDED;
}

static enum verdict weigh(const struct judge *j)
{
    int votes = 0;

    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        const enum metric_state state = j->cases[metric].on ? case_state(j, metric) : METRIC_OK;

        if (!j->cases[metric].on || (state == METRIC_UNKNOWN && j->policy.on_unknown == UNKNOWN_IGNORE))
            continue;
        if (state != METRIC_OK)
            return VERDICT_UNDECIDED;
        votes += metric_votes(metric);
    }
    return votes > 0 && j->steady_ms != 0 ? VERDICT_OK : VERDICT_UNDECIDED;
}

enum verdict judge_step(struct judge *j, const struct judge_sample *s)
{
    const int64_t gap_ms = s->now_ms - j->last_ms;
    bool counts;

    if (!j->judging || j->verdict == VERDICT_WORSE || gap_ms <= 0)
        return j->verdict;
    j->last_ms = s->now_ms;
    j->looks++;
    counts = !excluded(j, s, gap_ms);
    births_look(j, s);
    members_look(j, s);
    window_look(j, s);
    if (s->lag_known) {
        progress_look(j, s);
        if (j->stuck > 0)
            worse(j, RULE_NO_PROGRESS, METRIC_LAG, "%d partitions have records waiting and have stood still for %d s",
                  j->stuck, (int)(j->policy.no_progress_ms / 1000));
        lag_look(j, s, (double)gap_ms / 1000, counts);
    }
    if (!counts)
        return j->verdict;
    limits_look(j, s);
    signals_look(j, s);
    if (!warmed_up(j, s))
        return j->verdict;
    if (j->steady_ms == 0 && (!s->lag_known || j->drained_since_ms != 0 || s->now_ms - j->began_ms > drain_ms(j))) {
        j->steady_ms = s->now_ms; /* another phase, other odds: all bets begin anew */
        bets_open(j, s->now_ms);
    }
    bets_split(j, s->now_ms);
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        struct judge_case *c = &j->cases[metric];

        if (c->on && metric != METRIC_LAG)
            case_look(j, metric, s);
        if (c->on && case_log_stake(c, metric) >= j->log_bound &&
            (metric == METRIC_LAG ? lag_worst_seconds(j) >= LAG_WORSE * j->lag_floor_s
                                  : metric > METRIC_LAG || case_records(c) >= j->policy.records_min))
            worse(j, RULE_EVIDENCE, metric, "%s", "");
    }
    if (j->verdict != VERDICT_WORSE)
        j->verdict = weigh(j);
    return j->verdict;
}

/* --- for people ------------------------------------------------------------------------------------------------------------------- */

/* The bet that says most against the new color. */
static const struct judge_bet *case_bet(const struct judge_case *c)
{
    const struct judge_bet *most = &c->bets[0];

    for (int i = 1; i < c->bet_count; i++)
        if (log_mean(c->bets[i].log_stakes, JUDGE_ALTERNATIVES) > log_mean(most->log_stakes, JUDGE_ALTERNATIVES))
            most = &c->bets[i];
    return most;
}

/* How many more records make it `ok`, if it goes on like the old color; 0: not to be said. */
static double records_needed(const struct judge_bet *b)
{
    const double step = -log_likelihood(b->share, 1, b->tolerated, odds_times(b->tolerated, MIRROR)) / b->design;

    return b->usable && step > 0 && b->log_promote < LOG_BETA ? (LOG_BETA - b->log_promote) / step : 0;
}

static double bound_of(const struct judge *j, int metric, int bucket)
{
    const struct signal_policy *p = &j->policy.signals[metric >= METRIC_SIGNAL ? metric - METRIC_SIGNAL : 0];
    const bool lower = metric >= METRIC_SIGNAL && p->worse == SIGNAL_LOWER_IS_WORSE;
    const int mirrored = lower ? HISTOGRAM_BUCKETS - 2 - bucket : bucket;

    return mirrored < 0 ? 0 : (double)histogram_bound_us(mirrored) / (metric >= METRIC_SIGNAL ? 1e6 : 1e3);
}

static void say_bad(const struct judge *j, int metric, const struct judge_bet *b, double x, double n, char *ret,
                    size_t size)
{
    const double percent = n > 0 ? 100 * x / n : 0, bound = bound_of(j, metric, b->bucket);

    switch (metric) {
    case METRIC_ERROR_RATE:
        snprintf(ret, size, "%.0f of %.0f records failed (%.3g%%)", x, n, percent);
        break;
    case METRIC_LATENCY:
        snprintf(ret, size, "%.0f of %.0f records took %.3g ms or longer (%.3g%%)", x, n, bound, percent);
        break;
    case METRIC_LAG:
        snprintf(ret, size, "%.0f records; it grew in %.0f of %.0f intervals that began behind", j->lag.lag, x, n);
        break;
    case METRIC_METADATA:
        snprintf(ret, size, "%.0f of %.0f refreshes took %.3g ms or longer (%.3g%%)", x, n, bound, percent);
        break;
    default:
        snprintf(ret, size, "%.0f of %.0f readings lay beyond %.3g (%.3g%%)", x, n, bound, percent);
        break;
    }
}

/* Was the old color at work all the time, or did it only finish what it had begun? */
static bool controlled(const struct judge_bet *b)
{
    return b->control_n > 0 && b->control_n >= CONTROL_SHARE * b->n;
}

static void evidence_say(const struct judge *j, int metric, struct judge_evidence *e)
{
    const struct judge_case *c = &j->cases[metric];
    const struct judge_bet *b = case_bet(c);
    const double needed = records_needed(b);
    char bad[100], than[100] = "", so[100] = "";

    if (j->verdict == VERDICT_WORSE && j->rule == RULE_LIMIT && j->worse_metric == metric) {
        snprintf(e->sentence, sizeof(e->sentence), "%s", j->worse_why);
        return;
    }
    if (e->state == METRIC_UNKNOWN) {
        snprintf(e->sentence, sizeof(e->sentence), "%s: unknown: %s", e->name,
                 c->known_ms == 0 ? "no figures have come"
                 : case_stale(j, c)
                     ? "no figures have come for a while"
                     : "there is nothing to compare it with, since the old color was not watched long enough");
        return;
    }
    if (e->state == METRIC_WORSE && b->late_n > 0 && b->late_n < b->n)
        say_bad(j, metric, b, b->late_x, b->late_n, bad, sizeof(bad));
    else
        say_bad(j, metric, b, b->x, b->n, bad, sizeof(bad));
    if (controlled(b))
        snprintf(than, sizeof(than), "; %s at the same time %.3g%%", color_name(j->from),
                 100 * b->control_x / b->control_n);
    else if (b->usable && metric != METRIC_LAG)
        snprintf(than, sizeof(than), "; %s had %.3g%%, up to %.3g%% passes", color_name(j->from), 100 * b->share,
                 100 * b->tolerated);
    if (e->state == METRIC_WORSE)
        snprintf(so, sizeof(so), "; by chance once in %.3g times, once in %.3g is enough", e->e_value, e->e_bound);
    else if (e->state == METRIC_UNDECIDED && e->votes && needed > 0)
        snprintf(so, sizeof(so), "; about %.0f more records would do", needed);
    snprintf(e->sentence, sizeof(e->sentence), "%s: %s%s%s", e->name, bad, than, so);
}

static void evidence_fill(const struct judge *j, int metric, struct judge_evidence *e)
{
    const struct judge_case *c = &j->cases[metric];
    const struct judge_bet *b = case_bet(c);

    memset(e, 0, sizeof(*e));
    snprintf(e->name, sizeof(e->name), "%s", metric_name(j, metric));
    e->state = case_state(j, metric);
    e->votes = metric_votes(metric);
    e->records = b->n;
    e->bad = b->x;
    e->observed = b->n > 0 ? b->x / b->n : NAN;
    e->expected = controlled(b) ? b->control_x / b->control_n : b->usable ? b->share : NAN;
    e->tolerated = b->tolerated;
    e->e_value = exp(case_log_stake(c, metric));
    e->e_bound = exp(j->log_bound);
    e->e_promote = exp(case_log_promote(c));
    e->design_effect = b->design;
    e->looks = c->looks;
    evidence_say(j, metric, e);
}

static const struct judge_evidence *evidence_in(const struct judge_verdict *v, enum metric_state state)
{
    for (int i = 0; i < v->metric_count; i++)
        if (v->metrics[i].state == state && (v->metrics[i].votes || state != METRIC_UNDECIDED))
            return &v->metrics[i];
    return NULL;
}

static void verdict_say(const struct judge *j, struct judge_verdict *v)
{
    const struct judge_evidence *e = evidence_in(v, METRIC_WORSE);

    switch (j->verdict) {
    case VERDICT_WORSE:
        snprintf(v->sentence, sizeof(v->sentence), "%s", j->rule == RULE_EVIDENCE && e ? e->sentence : j->worse_why);
        return;
    case VERDICT_OK:
        snprintf(v->sentence, sizeof(v->sentence), "%s is as good as %s in every figure that counts", color_name(j->to),
                 color_name(j->from));
        return;
    case VERDICT_UNDECIDED:
        break;
    }
    e = j->policy.on_unknown == UNKNOWN_HOLD ? evidence_in(v, METRIC_UNKNOWN) : NULL;
    v->blind = e != NULL;
    if (!e)
        e = evidence_in(v, METRIC_UNDECIDED);
    if (j->policy.mode != JUDGE_AUTO)
        snprintf(v->sentence, sizeof(v->sentence), "nothing speaks against %s; its figures are not judged",
                 color_name(j->to));
    else if (j->evidence_ms == 0)
        snprintf(v->sentence, sizeof(v->sentence), "%s has not shown any work yet", color_name(j->to));
    else if (j->last_ms - j->evidence_ms < j->policy.warmup_ms)
        snprintf(v->sentence, sizeof(v->sentence), "%s warms up, %lld s of %lld s", color_name(j->to),
                 (long long)(j->last_ms - j->evidence_ms) / 1000, (long long)j->policy.warmup_ms / 1000);
    else if (j->steady_ms == 0)
        snprintf(v->sentence, sizeof(v->sentence), "%s catches up, %.0f records are left", color_name(j->to),
                 j->lag.lag);
    else
        snprintf(v->sentence, sizeof(v->sentence), "%s", e ? e->sentence : "no figure is there that could say ok");
}

void judge_explain(const struct judge *j, struct judge_verdict *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->verdict = j->verdict;
    ret->rule = j->verdict == VERDICT_OK ? RULE_EVIDENCE : j->rule;
    ret->after_ms = j->judging ? j->last_ms - j->began_ms : 0;
    ret->looks = j->looks;
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        if (j->cases[metric].on)
            evidence_fill(j, metric, &ret->metrics[ret->metric_count++]);
    if (!j->judging)
        snprintf(ret->sentence, sizeof(ret->sentence), "nothing is being judged");
    else
        verdict_say(j, ret);
}
