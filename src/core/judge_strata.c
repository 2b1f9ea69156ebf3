/*
 * judge_strata - partitions differ by nature, so each is compared with itself under the old color.
 *
 * A stratum is a partition, or a few neighbours of very many. From the frozen baseline each has its own share of failures and its own
 * quantiles; where too little is known of one, it is taken to be one of many (pull_of()). From these comes how many bad records were to
 * be expected of the partitions that a color has now, and how well that is known.
 */
#include "core/judge_internal.h"

#include <string.h>

#include "base/check.h"

#define STRATUM_DONE_MIN 20  /* of fewer records under the old color nothing is said of a partition ... */
#define STRATUM_TIMED_MIN 60 /* ... and of fewer times */
#define STRATUM_ABOVE 20     /* times above a bound, where there are so few that its quantile is a guess */
#define PULL_MIN 0.5         /* bad records of all strata that stand for what is not known of one */
#define PULL_MAX 1e6
#define STRATA_COVER 0.8 /* so much of the figures has to be told by partition */

/* --- under the old color ------------------------------------------------------------------------------------------ */

int judge_stratum_count(int baton_count)
{
    return baton_count < JUDGE_STRATA_MAX ? baton_count : JUDGE_STRATA_MAX;
}

int judge_stratum_of(int baton, int baton_count)
{
    return baton_count <= JUDGE_STRATA_MAX ? baton : (int)((int64_t)baton * JUDGE_STRATA_MAX / baton_count);
}

void judge_strata_forget(struct judge *j)
{
    if (j->strata)
        memset(j->strata, 0, 2 * (size_t)j->stratum_max * sizeof(*j->strata));
}

void judge_strata(struct judge *j, struct work *strata, int stratum_count)
{
    ASSERT(stratum_count <= JUDGE_STRATA_MAX);
    j->strata = strata;
    j->stratum_max = stratum_count;
    judge_strata_forget(j);
}

void judge_strata_age(struct judge *j)
{
    if (!j->strata)
        return;
    memcpy(j->strata + j->stratum_max, j->strata, (size_t)j->stratum_max * sizeof(*j->strata));
    memset(j->strata, 0, (size_t)j->stratum_max * sizeof(*j->strata));
}

void judge_strata_add(struct judge *j, const struct work *works)
{
    for (int i = 0; i < j->stratum_max && works; i++)
        work_merge(&j->strata[i], &works[i]);
}

/* --- frozen ------------------------------------------------------------------------------------------------------- */

static double works_above(const struct work *w, int bucket)
{
    double above = 0;

    for (int i = bucket + 1; i < WORK_BUCKETS; i++)
        above += w->times[i];
    return above;
}

static struct work stratum_sum(const struct judge *j, int i)
{
    struct work sum = j->strata[i];

    work_merge(&sum, &j->strata[j->stratum_max + i]);
    return sum;
}

static bool few_above(const struct judge_stratum *s, int k)
{
    return (1 - judge_quantiles[k]) * (double)s->timed < STRATUM_ABOVE;
}

/* How far the quantile of those lies above the one before, all taken together, that have too few times for one of their own. */
static int common_step(const struct judge *j, int k)
{
    double timed = 0, above;
    int step = -1;

    for (int i = 0; i < j->stratum_max; i++)
        timed += few_above(&j->frozen[i], k) ? (double)j->frozen[i].timed : 0;
    do {
        above = 0;
        step++;
        for (int i = 0; i < j->stratum_max; i++)
            if (j->frozen[i].timed > 0 && few_above(&j->frozen[i], k)) {
                const struct work sum = stratum_sum(j, i);

                above += works_above(&sum, (k > 0 ? j->frozen[i].bounds[k - 1] : 0) + step);
            }
    } while (above > larger((1 - judge_quantiles[k]) * timed, STRATUM_ABOVE) && step < WORK_BUCKETS);
    return step;
}

/* Each partition's own quantiles, so that what is slow by nature is measured by itself. */
static void bounds_freeze(struct judge *j, int k)
{
    const int step = common_step(j, k);

    for (int i = 0; i < j->stratum_max; i++) {
        struct judge_stratum *s = &j->frozen[i];
        const struct work sum = stratum_sum(j, i);
        int bound = (k > 0 ? s->bounds[k - 1] : 0) + (few_above(s, k) ? step : 0);

        while (!few_above(s, k) && works_above(&sum, bound) > (1 - judge_quantiles[k]) * (double)s->timed)
            bound++;
        s->bounds[k] = (uint8_t)(bound < WORK_BUCKETS ? bound : WORK_BUCKETS - 1);
        s->above[k] = s->timed > 0 ? (float)works_above(&sum, s->bounds[k]) : 0;
    }
}

void judge_strata_freeze(struct judge *j)
{
    double done = 0, share;

    for (int i = 0; i < j->stratum_max; i++) {
        const struct work sum = stratum_sum(j, i);
        const double timed = (double)work_timed(&sum);

        j->frozen[i] = (struct judge_stratum){ .done = (float)sum.done,
                                               .failed = (float)(sum.failed < sum.done ? sum.failed : sum.done),
                                               .timed = timed < STRATUM_TIMED_MIN ? 0 : (float)timed };
        done += sum.done;
    }
    for (int k = 0; k < JUDGE_QUANTILES; k++)
        bounds_freeze(j, k);
    j->frozen_count =
        done > 0 && done >= STRATA_COVER * judge_baseline_share(j, METRIC_ERROR_RATE, 0, &share) ? j->stratum_max : 0;
}

static double stratum_n(const struct judge_stratum *s, int metric)
{
    return metric == METRIC_ERROR_RATE ? s->done : s->timed;
}

static double stratum_x(const struct judge_stratum *s, int metric, int k)
{
    return metric == METRIC_ERROR_RATE ? s->failed : s->above[k];
}

/*
 * What is known of a stratum is its own figures and that it is one of many: a gamma prior around the share of all, as narrow as
 * the strata are alike (their Pearson dispersion, and two standard errors in favor of their being different). With few bad ones
 * it is most of what is known, with many nothing.
 */
static struct judge_pull pull_of(const struct judge *j, int metric, int k, double design)
{
    double n = 0, x = 0, chi = 0, p, apart;
    int count = 0;

    for (int i = 0; i < j->frozen_count; i++) {
        n += stratum_n(&j->frozen[i], metric);
        x += stratum_x(&j->frozen[i], metric, k);
    }
    if (n <= 0)
        return (struct judge_pull){ 0 };
    p = within(x / n);
    for (int i = 0; i < j->frozen_count; i++) {
        const double known = stratum_n(&j->frozen[i], metric), off = stratum_x(&j->frozen[i], metric, k) - p * known;

        count += known > 0;
        chi += known > 0 ? off * off / (p * (1 - p) * known) : 0;
    }
    count = count > 1 ? count - 1 : 1;
    apart = larger(chi / design, count) - count + 2 * sqrt(2.0 * count); /* squares of errors more than by chance */
    p = smaller(larger(x * (1 - p) / (design * apart), PULL_MIN), PULL_MAX);
    return (struct judge_pull){ .bad = p, .records = p / larger(x / n, SHARE_FLOOR) };
}

void judge_strata_pull(struct judge *j)
{
    j->pulls[0] = pull_of(j, METRIC_ERROR_RATE, 0, j->cases[METRIC_ERROR_RATE].bets[0].design);
    for (int k = 0; k < JUDGE_QUANTILES; k++)
        j->pulls[1 + k] = pull_of(j, METRIC_LATENCY, k, j->cases[METRIC_LATENCY].bets[k].design);
}

/* --- what was to be expected -------------------------------------------------------------------------------------- */

/* Which partitions a color works on, by records done in this stage. */
void judge_strata_mix(struct judge *j, const struct judge_sample *s)
{
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < j->frozen_count && s->works[c]; i++)
            j->mix[c][i] += (float)s->works[c][i].done;
}

/* `mix` decides how well the expected is known: a look has too few records of each partition for that. */
void judge_strata_expect(const struct judge *j, struct expected *ret, int metric, int k, const struct work *works,
                         const float *mix)
{
    const struct judge_pull *pull = &j->pulls[metric == METRIC_ERROR_RATE ? 0 : 1 + k];
    double e = 0, v = 0;

    *ret = (struct expected){ .by_partition = true };
    for (int i = 0; i < j->frozen_count; i++) {
        const struct judge_stratum *s = &j->frozen[i];
        const double known = stratum_n(s, metric) + pull->records;
        const double share = (stratum_x(s, metric, k) + pull->bad) / known;
        const double now = metric == METRIC_ERROR_RATE ? works[i].done : (double)work_timed(&works[i]);

        if (stratum_n(s, metric) < STRATUM_DONE_MIN)
            continue;
        ret->n += now;
        ret->x += metric == METRIC_ERROR_RATE ? smaller(works[i].failed, works[i].done)
                                              : works_above(&works[i], s->bounds[k]);
        ret->e += now * share;
        e += (double)mix[i] * share;
        v += (double)mix[i] * (double)mix[i] * share * (1 - share) / known;
    }
    ret->variance = e > 0 ? v / (e * e) : 0;
}

/* By partition where nearly all of the figures are told so, and of the old color's as well where it serves as control. */
bool judge_strata_tell(const struct judge *j, const struct judge_bet *b, const struct expected *of,
                       const struct judge_open_block *figures)
{
    return b->usable && j->frozen_count > 0 && of->n > 0 && of->n >= STRATA_COVER * figures->n;
}

/* How often the old color failed: where that is known, with the partitions that the new one has. */
double judge_strata_errors(const struct judge *j, double *ret_share)
{
    double all = 0, mix = 0, x = 0;

    for (int i = 0; i < j->frozen_count; i++) {
        const struct judge_stratum *s = &j->frozen[i];

        all += j->mix[j->to][i];
        if (s->done < STRATUM_DONE_MIN)
            continue;
        mix += j->mix[j->to][i];
        x += (double)j->mix[j->to][i] * s->failed / s->done;
    }
    if (mix <= 0 || mix < STRATA_COVER * all)
        return judge_baseline_share(j, METRIC_ERROR_RATE, 0, ret_share);
    *ret_share = x / mix;
    return mix;
}
