/*
 * judge_kept - what a judge leaves to the one after it, when the leader is lost: the yardstick and how its bets stand.
 *
 * It comes from a record, so every number is looked at before it counts: with whatever it gets, the judge works on with what it can work
 * with.
 */
#include "core/judge_internal.h"

#include <stdio.h>
#include <string.h>

static int metric_by_name(const struct judge *j, const char *name)
{
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        if (j->cases[metric].on && strcmp(judge_metric_name(j, metric), name) == 0)
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
        ret->slow += g[i].spreads[METRIC_LATENCY].above[judge_slow_bucket(&j->policy)];
        ret->seconds += g[i].seconds;
        ret->rate_max = g[i].rate_max > ret->rate_max ? g[i].rate_max : ret->rate_max;
        ret->lag_max_s = g[i].lag_max_s > ret->lag_max_s ? g[i].lag_max_s : ret->lag_max_s;
    }
    ret->stratum_count = j->frozen_count;
    memcpy(ret->strata, j->frozen, (size_t)j->frozen_count * sizeof(j->frozen[0]));
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++)
        for (int i = 0; i < j->cases[metric].bet_count && j->cases[metric].on; i++) {
            struct judge_kept_bet *kept = &ret->bets[ret->bet_count++];

            snprintf(kept->name, sizeof(kept->name), "%s", judge_metric_name(j, metric));
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
    if (!begun || !sane(b->part_n) || !sane(b->part_e) || !sane(b->part_control_e) || !sane(b->passes))
        b->part_n = b->part_e = b->part_control_e = b->passes = 0;
    if (!begun || !sane(b->n) || !sane(b->x) || !sane(b->late_n) || !sane(b->late_x) || !sane(b->control_n) ||
        !sane(b->control_x))
        b->n = b->x = b->late_n = b->late_x = b->control_n = b->control_x = 0;
}

/* A fleet that has grown meanwhile has other strata: then nothing is told apart. */
static void strata_restore(struct judge *j, const struct judge_kept *kept)
{
    bool fit = kept->stratum_count == j->stratum_max;

    for (int i = 0; i < kept->stratum_count && fit; i++) {
        const struct judge_stratum *s = &kept->strata[i];

        fit = sane(s->done) && sane(s->failed) && s->failed <= s->done && sane(s->timed);
        for (int k = 0; k < JUDGE_QUANTILES; k++)
            fit = fit && sane(s->above[k]) && s->above[k] <= s->timed && s->bounds[k] < WORK_BUCKETS;
        j->frozen[i] = *s;
    }
    j->frozen_count = fit ? kept->stratum_count : 0;
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
            if (strcmp(kept->bets[i].name, judge_metric_name(j, metric)) == 0 && bets < c->bet_count) {
                bet_restore(&c->bets[bets++], &kept->bets[i].bet, begun);
                c->looks = begun ? kept->bets[i].looks : 0;
            }
    }
    j->restored = true;
    strata_restore(j, kept);
    judge_strata_pull(j);
    if (sane(kept->records) && sane(kept->errors) && kept->errors <= kept->records) {
        g->spreads[METRIC_ERROR_RATE].n = kept->records;
        g->spreads[METRIC_ERROR_RATE].above[0] = kept->errors;
    }
    if (sane(kept->timed) && sane(kept->slow) && kept->slow <= kept->timed) {
        g->spreads[METRIC_LATENCY].n = kept->timed;
        g->spreads[METRIC_LATENCY].above[judge_slow_bucket(policy)] = kept->slow;
    }
    if (sane(kept->seconds) && sane(kept->rate_max)) {
        g->seconds = kept->seconds;
        g->rate_max = kept->rate_max;
    }
    g->lag_max_s = sane(kept->lag_max_s) ? kept->lag_max_s : 0;
    judge_lag_floor(j);
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
