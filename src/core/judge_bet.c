/*
 * judge_bet - one bet a figure that "no more than this share is bad", and a metric's case made of bets.
 *
 * A bet is an e-process: its stake grows only if the share is larger than tolerated, so whoever stops when it has grown m/alpha-fold is
 * wrong in at most alpha of all switches, however often he looks. It is spread over alternatives (how much worse) and over beginnings
 * (since when); all weights together are 1. The mirrored bet, against "twice the odds that are tolerated", is what makes an `ok`.
 */
#include "core/judge_internal.h"

#include "base/check.h"

#define LOG_FIRST (-0.223144) /* log 0.8: the stake on "it began at once"; the other fifth is for what begins later */
#define SPLIT_MS 10000
#define LAG_PART_MS 60000 /* one partition far behind for so long is not `drained`; a batch is worked off by then */
#define DRAINED_MS 15000
#define STALE_LOOKS 3

static const double ratios[JUDGE_ALTERNATIVES] = { 1.25, 1.5, 2, 3, 5, 10 };
static const int quantiles_voting = 3; /* of the rarest too few are seen to say ok ... */
#define RAREST 2.0                     /* ... and so many times as many pass: who has just begun pauses more often */
static const double lag_shares[3] = { 0.6, 0.75, 0.95 };

/* --- a bet -------------------------------------------------------------------------------------------------------- */

static void bet_open(struct judge_bet *b)
{
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++)
        b->log_stakes[k] = LOG_FIRST;
    b->log_promote = 0;
    b->n = b->x = b->late_n = b->late_x = b->control_n = b->control_x = 0;
    b->part_n = b->part_e = b->part_control_e = b->passes = 0;
}

void judge_bets_open(struct judge *j, int64_t now_ms)
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
void judge_bets_split(struct judge *j, int64_t now_ms)
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

/*
 * One interval. In a canary the old color's partitions are the better yardstick: what hits both hurts nobody's case. What either has is
 * measured by what its partitions had before; the yardstick may be too good by chance, so a little more passes.
 */
void judge_bet_look(struct judge_bet *b, double passes, double z, const struct expected *new,
                    const struct expected *old)
{
    const double before = log_mean(b->log_stakes, JUDGE_ALTERNATIVES), n = new->n;
    bool control = n > 0 && old && old->n >= CONTROL_SHARE * n;
    double stake;

    b->n += n;
    b->x += new->x;
    if (new->by_partition) {
        passes *= exp(z * sqrt(b->design * (new->variance + (control ? old->variance : 0))));
        control =
            control && passes * new->e <= SHARE_CEILING *(passes * new->e + old->e); /* its own must be seen, too */
        b->passes = passes;
        b->part_n += n;
        b->part_e += new->e;
        b->part_control_e += control ? old->e : 0;
    }
    if (control) {
        b->control_n += old->n;
        b->control_x += old->x;
        bet_add(b, new->x, new->x + old->x, passes * new->e / (passes * new->e + old->e));
    } else if (b->usable && n > 0) {
        bet_add(b, new->x, n, new->by_partition ? within(passes * new->e / n) : b->tolerated);
    }
    stake = log_mean(b->log_stakes, JUDGE_ALTERNATIVES);
    if (n > 0 && stake <= before && stake < LOG_FIRST)
        b->late_n = b->late_x = 0;
    b->late_n += n;
    b->late_x += new->x;
}

void judge_bet_look_lag(struct judge_bet *b, bool grew)
{
    b->n++;
    b->x += grew;
    for (int k = 0; k < JUDGE_ALTERNATIVES; k++) {
        const double p1 = k < (int)ARRAY_COUNT(lag_shares) ? lag_shares[k] : 0;

        if (p1 > b->tolerated)
            b->log_stakes[k] = cap(b->log_stakes[k] + log_likelihood(grew, 1, b->tolerated, p1));
    }
}

/* --- a metric's case ---------------------------------------------------------------------------------------------- */

/* The stake of a metric's case: the mean of its bets is a bet. */
double judge_case_log_stake(const struct judge_case *c, int metric)
{
    double logs[JUDGE_QUANTILES] = { 0 };

    if (c->bet_count <= 0)
        return 0;
    for (int i = 0; i < c->bet_count; i++)
        logs[i] =
            log_mean(c->bets[i].log_stakes, metric == METRIC_LAG ? (int)ARRAY_COUNT(lag_shares) : JUDGE_ALTERNATIVES);
    return log_mean(logs, c->bet_count);
}

double judge_case_log_promote(const struct judge_case *c)
{
    double least = c->bet_count == 0 ? 0 : LOG_MAX;

    for (int i = 0; i < c->bet_count && i < quantiles_voting; i++)
        if (c->bets[i].log_promote < least)
            least = c->bets[i].log_promote;
    return least;
}

double judge_case_records(const struct judge_case *c)
{
    return c->bet_count == 0 ? 0 : c->bets[0].n;
}

/* How many times the old color's share passes. */
double judge_case_passes(const struct judge *j, int bet)
{
    return (1 + (double)j->policy.tolerance_ppm / PPM) * (bet < quantiles_voting ? 1 : RAREST);
}

void judge_case_freeze(struct judge *j, int metric, double z)
{
    struct judge_case *c = &j->cases[metric];

    c->bet_count = metric == METRIC_LATENCY ? JUDGE_QUANTILES : 1;
    for (int i = 0; i < c->bet_count; i++) {
        struct judge_bet *b = &c->bets[i];
        double n, effect;

        if (metric == METRIC_LATENCY)
            b->bucket = judge_baseline_quantile(j, metric, judge_quantiles[i]);
        else if (metric != METRIC_ERROR_RATE)
            b->bucket = judge_baseline_quantile(j, metric, 0.95);
        n = judge_baseline_share(j, metric, b->bucket, &b->share);
        effect = judge_design_effect(j, metric, b->bucket);
        b->usable = n > 0 && effect > 0;
        b->design = effect > 0 ? effect : 1;
        b->tolerated = b->usable ? judge_case_passes(j, i) * wilson(b->share * n / b->design, n / b->design, z, 1) : 0;
        b->tolerated = within(b->tolerated);
    }
}

void judge_case_freeze_lag(struct judge *j, double z)
{
    const double counted = j->generations[0].lag_counted + j->generations[1].lag_counted;
    const double grew = j->generations[0].lag_grew + j->generations[1].lag_grew;
    struct judge_case *c = &j->cases[METRIC_LAG];

    judge_lag_floor(j);
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

bool judge_case_stale(const struct judge *j, const struct judge_case *c)
{
    return c->known_ms == 0 || j->last_ms - c->known_ms > STALE_LOOKS * j->policy.interval_ms + LAG_LOOK_MS;
}

enum metric_state judge_case_state(const struct judge *j, int metric)
{
    const struct judge_case *c = &j->cases[metric];

    if (j->verdict == VERDICT_WORSE && j->worse_metric == metric && (j->rule == RULE_EVIDENCE || j->rule == RULE_LIMIT))
        return METRIC_WORSE;
    if (judge_case_stale(j, c))
        return METRIC_UNKNOWN;
    if (metric == METRIC_LAG)
        return j->drained_since_ms != 0 && j->last_ms - j->drained_since_ms >= DRAINED_MS &&
                       j->lag.behind_ms < LAG_PART_MS
                   ? METRIC_OK
                   : METRIC_UNDECIDED;
    if (!c->bets[0].usable && c->bets[0].control_n <= 0)
        return METRIC_UNKNOWN; /* nothing to compare with */
    if (!judge_metric_votes(metric))
        return METRIC_OK; /* nothing speaks against it */
    return judge_case_records(c) >= j->policy.records_min && judge_case_log_promote(c) >= LOG_BETA ? METRIC_OK
                                                                                                   : METRIC_UNDECIDED;
}
