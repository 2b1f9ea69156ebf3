/*
 * judge_baseline - figures as "how many of n lay above each bucket", and what is normal of them.
 *
 * Everything that is compared becomes "x bad of n": records that failed, records slower than what the old color's 50th, 90th and 99th
 * percentile was, intervals in which the lag grew, readings of a signal beyond the old color's 95th percentile. One mechanism then
 * serves all: the bet (judge_bet.c).
 *
 * The baseline sums these over half an hour and the one before. Beside the sums stands how far they wander from block to block, for
 * records do not fail each for itself: the design effect says how many of them are worth one that does.
 */
#include "core/judge_internal.h"

#include <string.h>

#define BLOCKS_MIN 6 /* fewer say nothing about how the figures spread */
#define DOUBT(count) \
    (2 * sqrt(2.0 / ((count)-1)))     /* two standard errors of a dispersion that was measured on so many blocks */
#define LONG_BLOCK (JUDGE_BLOCKS - 1) /* counts where there are surely spells ... */
#define LONGER 1.5                    /* ... and more where they outlast the shorter ones */

const double judge_quantiles[JUDGE_QUANTILES] = { 0.5, 0.9, 0.99, 0.999 };
static const int64_t block_ms[JUDGE_BLOCKS] = { 0, 30000, 150000 }; /* 0: an interval */

/* --- figures ------------------------------------------------------------------------------------------------------ */

const char *judge_metric_name(const struct judge *j, int metric)
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

/* A signal that is the same for both colors can break a limit, but tells nothing about a color. */
static bool signal_by_color(const struct signal_policy *p)
{
    return strstr(p->query, "$color") || strstr(p->query, "$group") || strstr(p->query, "$version");
}

bool judge_metric_on(const struct judge_policy *p, int metric)
{
    if (metric < METRIC_SIGNAL)
        return p->metrics >> metric & 1;
    return metric - METRIC_SIGNAL < p->signal_count && signal_by_color(&p->signals[metric - METRIC_SIGNAL]);
}

bool judge_metric_votes(int metric)
{
    return metric <= METRIC_LAG;
}

/*
 * Figures of one metric as "how many of n lay above each bucket". False: unknown. More bad than there were, a negative
 * number, no number: unknown too, whoever sent it.
 */
bool judge_figures_above(struct judge_open_block *ret, const struct judge_policy *p, const struct judge_figures *f,
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

/* --- what is normal ----------------------------------------------------------------------------------------------- */

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

void judge_blocks_close(struct judge *j, int64_t now_ms)
{
    for (int size = 0; size < JUDGE_BLOCKS; size++)
        if (now_ms - j->open_since_ms[size] >= (size == 0 ? j->policy.interval_ms : block_ms[size]))
            block_close(j, size, now_ms);
}

void judge_blocks_drop(struct judge *j, int64_t now_ms)
{
    memset(j->open, 0, sizeof(j->open));
    for (int size = 0; size < JUDGE_BLOCKS; size++)
        j->open_since_ms[size] = now_ms;
}

void judge_baseline_add(struct judge *j, const struct judge_figures *f)
{
    struct judge_generation *g = &j->generations[0];
    struct judge_open_block figures;

    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        if (!judge_metric_on(&j->policy, metric) && metric != METRIC_ERROR_RATE)
            continue;
        if (!judge_figures_above(&figures, &j->policy, f, metric))
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
double judge_design_effect(const struct judge *j, int metric, int bucket)
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
        if (size == LONG_BLOCK && d <= 1 + DOUBT(count))
            continue;
        if (size == LONG_BLOCK &&
            d >= LONGER * effect) /* of so few blocks it is told badly; what outlasts them, in part */
            d *= (1 + DOUBT(count)) * smaller(larger(d / (2 * effect), 1), 2);
        effect = d > effect ? d : effect;
    }
    return effect < 0 ? effect : effect < 1 ? 1 : effect;
}

/* The share of the baseline above a bucket, and of how many; 0: nothing is known. */
double judge_baseline_share(const struct judge *j, int metric, int bucket, double *ret_share)
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
int judge_baseline_quantile(const struct judge *j, int metric, double q)
{
    double share;
    int i = 0;

    while (i < HISTOGRAM_BUCKETS - 1 && (judge_baseline_share(j, metric, i, &share), share > 1 - q))
        i++;
    return i;
}

double judge_seconds(const struct judge *j)
{
    return j->generations[0].seconds + j->generations[1].seconds;
}
