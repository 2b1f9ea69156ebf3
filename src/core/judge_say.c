/*
 * judge_say - the verdict and each metric's case, in sentences and in numbers.
 */
#include "core/judge_internal.h"

#include <stdio.h>
#include <string.h>

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
    const double quantile = 100 * judge_quantiles[metric == METRIC_LATENCY ? b - j->cases[metric].bets : 0];

    switch (metric) {
    case METRIC_ERROR_RATE:
        snprintf(ret, size, "%.0f of %.0f records failed (%.3g%%)", x, n, percent);
        break;
    case METRIC_LATENCY:
        if (b->part_n > 0)
            snprintf(ret, size, "%.0f of %.0f records took longer than %.4g%% of their partition's did (%.3g%%)", x, n,
                     quantile, percent);
        else
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

/* What it is compared with. */
static void say_yardstick(const struct judge *j, int metric, const struct judge_bet *b, char *ret, size_t size)
{
    const char *old = color_name(j->from);
    const double share = b->part_n > 0 ? b->part_e / b->part_n : 0;

    if (controlled(b) && b->part_control_e > 0)
        snprintf(ret, size, "; %s had %.3g%% with the same partitions, and with its others has %.3g%% now, had %.3g%%",
                 old, 100 * share, 100 * b->control_x / b->control_n, 100 * b->part_control_e / b->control_n);
    else if (controlled(b))
        snprintf(ret, size, "; %s at the same time %.3g%%, if its partitions are alike", old,
                 100 * b->control_x / b->control_n);
    else if (b->part_n > 0)
        snprintf(ret, size, "; %s had %.3g%% with the same partitions, up to %.3g%% passes", old, 100 * share,
                 100 * within(b->passes * share));
    else if (b->usable && metric != METRIC_LAG)
        snprintf(ret, size, "; %s had %.3g%%, up to %.3g%% passes", old, 100 * b->share, 100 * b->tolerated);
}

static void evidence_say(const struct judge *j, int metric, struct judge_evidence *e)
{
    const struct judge_case *c = &j->cases[metric];
    const struct judge_bet *b = case_bet(c);
    const double needed = records_needed(b);
    char bad[120], than[140] = "", so[100] = "";

    if (j->verdict == VERDICT_WORSE && j->rule == RULE_LIMIT && j->worse_metric == metric) {
        snprintf(e->sentence, sizeof(e->sentence), "%s", j->worse_why);
        return;
    }
    if (e->state == METRIC_UNKNOWN) {
        snprintf(e->sentence, sizeof(e->sentence), "%s: unknown: %s", e->name,
                 c->known_ms == 0 ? "no figures have come"
                 : judge_case_stale(j, c)
                     ? "no figures have come for a while"
                     : "there is nothing to compare it with, since the old color was not watched long enough");
        return;
    }
    if (e->state == METRIC_WORSE && b->late_n > 0 && b->late_n < b->n)
        say_bad(j, metric, b, b->late_x, b->late_n, bad, sizeof(bad));
    else
        say_bad(j, metric, b, b->x, b->n, bad, sizeof(bad));
    say_yardstick(j, metric, b, than, sizeof(than));
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
    snprintf(e->name, sizeof(e->name), "%s", judge_metric_name(j, metric));
    e->state = judge_case_state(j, metric);
    e->votes = judge_metric_votes(metric);
    e->records = b->n;
    e->bad = b->x;
    e->observed = b->n > 0 ? b->x / b->n : NAN;
    e->expected = controlled(b) && b->part_control_e > 0 ? b->part_e / b->part_n * b->control_x / b->part_control_e
                  : controlled(b)                        ? b->control_x / b->control_n
                  : b->part_n > 0                        ? b->part_e / b->part_n
                  : b->usable                            ? b->share
                                                         : NAN;
    e->tolerated = b->part_n > 0 ? within(b->passes * b->part_e / b->part_n) : b->tolerated;
    e->e_value = exp(judge_case_log_stake(c, metric));
    e->e_bound = exp(j->log_bound);
    e->e_promote = exp(judge_case_log_promote(c));
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
