/*
 * judge - see judge.h; the formulae and their sources stand in docs/judge.md, and judge_internal.h says in which order to read the parts.
 *
 * Here is a judge's life: judge_baseline() while the old color works alone, judge_begin() when a stage has passed, judge_step() once an
 * interval from then on. A step looks at the plain rules first, which need no baseline; then, once the new color is warm, each metric's
 * case has one interval more; then all cases are weighed.
 */
#include "core/judge_internal.h"

#include <string.h>

#include "core/names.h"

#define GENERATION_MS 1800000
#define EXCLUDED_MS_MAX 60000 /* and at most a third of the time: a rebalance storm is a failure of its own */
#define LAG_WORSE 3.0         /* floors: near saturation a queue swings; below this it is never called worse */

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

void judge_init(struct judge *j, const struct judge_policy *policy, struct judge_progress *progress, int progress_max)
{
    memset(j, 0, sizeof(*j));
    j->policy = *policy;
    j->progress = progress;
    j->progress_max = progress_max;
    j->lag_floor_s = LAG_FLOOR_S;
    memset(progress, 0, (size_t)progress_max * sizeof(*progress));
}

/* --- the old color alone ------------------------------------------------------------------------------------------ */

void judge_baseline(struct judge *j, enum color active, const struct judge_sample *s)
{
    struct judge_generation *g = &j->generations[0];
    const int64_t before_ms = j->last_ms, gap_ms = s->now_ms - before_ms;
    struct lag_step step;

    if (j->judging && active == j->from && !j->restored) { /* turned back: what was gathered before is of this color */
        memset(&j->lag, 0, sizeof(j->lag));
        judge_progress_pause(j);
        judge_blocks_drop(j, s->now_ms);
        j->judging = false;
        j->lag_floor_s = LAG_FLOOR_S;
        j->last_ms = s->now_ms;
        return;
    }
    if (j->judging || active != j->from || before_ms == 0) { /* another color's figures, or none yet */
        memset(j->generations, 0, sizeof(j->generations));
        judge_strata_forget(j);
        memset(&j->lag, 0, sizeof(j->lag));
        memset(j->progress, 0, (size_t)j->progress_max * sizeof(*j->progress));
        judge_blocks_drop(j, s->now_ms);
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
        judge_strata_age(j);
        g->since_ms = s->now_ms;
    }
    if (s->excluded || gap_ms > GAP_INTERVALS * j->policy.interval_ms) {
        judge_blocks_drop(j, s->now_ms);
        return;
    }
    g->seconds += (double)gap_ms / 1000;
    g->window_bad = g->window_bad || judge_window_bad(s);
    judge_baseline_add(j, &s->of[active]);
    judge_strata_add(j, s->works[active]);
    judge_blocks_close(j, s->now_ms);
    if (!s->lag_known)
        return;
    judge_progress_look(j, s);
    judge_lag_read(j, s, (double)gap_ms / 1000);
    if (judge_lag_worst_seconds(j) > g->lag_max_s)
        g->lag_max_s = judge_lag_worst_seconds(j);
    if (judge_lag_step(j, s, &step) && step.counts[LAG_ALL]) {
        g->lag_counted++;
        g->lag_grew += step.grew[LAG_ALL];
    }
}

/* --- a stage has passed ------------------------------------------------------------------------------------------- */

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
        const bool on = policy->mode == JUDGE_AUTO && judge_metric_on(policy, metric);

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
    j->z = z;
    j->log_bound = log(metrics * 2.0 * (stages < 1 ? 1 : stages) / half);
    if (color_other(to) != j->from) { /* what was gathered is of the color that is judged now */
        memset(j->generations, 0, sizeof(j->generations));
        judge_strata_forget(j);
        memset(j->progress, 0, (size_t)j->progress_max * sizeof(*j->progress));
    }
    if (!restored)
        judge_strata_freeze(j);
    memset(j->mix, 0, sizeof(j->mix));
    for (int metric = 0; metric < JUDGE_METRICS_MAX && !restored; metric++)
        if (j->cases[metric].on && metric == METRIC_LAG)
            judge_case_freeze_lag(j, z);
        else if (j->cases[metric].on)
            judge_case_freeze(j, metric, z);
    judge_strata_pull(j);
    judge_progress_pause(j);
    judge_blocks_drop(j, now_ms);
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
    judge_bets_open(j, now_ms);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

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
    const double seconds = judge_seconds(j);
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

    judge_lag_read(j, s, seconds);
    if (c->on && counts) {
        c->known_ms = s->now_ms;
        c->looks++;
    }
    if (judge_lag_seconds(j) > j->lag_floor_s)
        j->drained_since_ms = 0;
    else if (j->drained_since_ms == 0)
        j->drained_since_ms = s->now_ms;
    if (j->steady_ms != 0 && j->policy.time_lag_limit_ms > 0 && s->now_ms - j->lag.at_ms >= LAG_LOOK_MS) {
        const double worst_s = judge_lag_worst_seconds(j);

        j->lag.over_limit = worst_s * 1000 > (double)j->policy.time_lag_limit_ms ? j->lag.over_limit + 1 : 0;
        if (j->lag.over_limit >= LIMIT_LOOKS)
            judge_worse(j, RULE_LIMIT, METRIC_LAG, "lag: %.0f records, %.0f s of arrivals, the limit is %lld s",
                        j->lag.lag, worst_s > 1e6 ? 1e6 : worst_s, (long long)(j->policy.time_lag_limit_ms / 1000));
    }
    if (judge_lag_step(j, s, &step) && counts)
        for (int i = 0; i < c->bet_count && c->on; i++)
            if (step.counts[i])
                judge_bet_look_lag(&c->bets[i], step.grew[i]);
    if (c->on && j->drained_since_ms == 0 && j->steady_ms == 0 && s->now_ms - j->began_ms > j->policy.catch_up_ms)
        judge_worse(j, RULE_CATCH_UP, METRIC_LAG, "lag: %.0f records are left of a backlog of %.0f after %lld s",
                    j->lag.lag, j->lag.backlog, (long long)(s->now_ms - j->began_ms) / 1000);
}

static void case_look(struct judge *j, int metric, const struct judge_sample *s)
{
    struct judge_case *c = &j->cases[metric];
    const enum color colors[2] = { j->to, j->from };
    struct judge_open_block figures[2];
    bool control, told;

    if (metric == METRIC_LATENCY && s->of[j->to].counted && s->of[j->to].records <= 0)
        c->known_ms = s->now_ms; /* that nothing was done is known, too */
    if (!judge_figures_above(&figures[0], &j->policy, &s->of[j->to], metric))
        return;
    control = metric < METRIC_SIGNAL && judge_figures_above(&figures[1], &j->policy, &s->of[j->from], metric);
    told =
        (metric == METRIC_ERROR_RATE || metric == METRIC_LATENCY) && s->works[j->to] && (!control || s->works[j->from]);
    c->known_ms = s->now_ms;
    c->looks++;
    for (int i = 0; i < c->bet_count; i++) {
        struct judge_bet *b = &c->bets[i];
        struct expected of[2];
        bool all = told && j->frozen_count > 0;

        for (int k = 0; k < 1 + control && all; k++) {
            judge_strata_expect(j, &of[k], metric, i, s->works[colors[k]], j->mix[colors[k]]);
            all = judge_strata_tell(j, b, &of[k], &figures[k]) || figures[k].n <= 0;
        }
        for (int k = 0; k < 1 + control && !all; k++)
            of[k] = (struct expected){ .n = figures[k].n, .x = figures[k].above[b->bucket], .e = figures[k].n };
        judge_bet_look(b, judge_case_passes(j, i), j->z, &of[0], control ? &of[1] : NULL);
    }
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

static enum verdict weigh(const struct judge *j)
{
    int votes = 0;

    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        const enum metric_state state = j->cases[metric].on ? judge_case_state(j, metric) : METRIC_OK;

        if (!j->cases[metric].on || (state == METRIC_UNKNOWN && j->policy.on_unknown == UNKNOWN_IGNORE))
            continue;
        if (state != METRIC_OK)
            return VERDICT_UNDECIDED;
        votes += judge_metric_votes(metric);
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
    judge_births_look(j, s);
    judge_members_look(j, s);
    judge_window_look(j, s);
    if (s->lag_known) {
        judge_progress_look(j, s);
        if (j->stuck > 0)
            judge_worse(j, RULE_NO_PROGRESS, METRIC_LAG,
                        "%d partitions have records waiting and have stood still for %d s", j->stuck,
                        (int)(j->policy.no_progress_ms / 1000));
        lag_look(j, s, (double)gap_ms / 1000, counts);
    }
    if (!counts)
        return j->verdict;
    judge_limits_look(j, s);
    judge_signals_look(j, s);
    if (!warmed_up(j, s))
        return j->verdict;
    if (j->steady_ms == 0 && (!s->lag_known || j->drained_since_ms != 0 || s->now_ms - j->began_ms > drain_ms(j))) {
        j->steady_ms = s->now_ms; /* another phase, other odds: all bets begin anew */
        judge_bets_open(j, s->now_ms);
    }
    judge_bets_split(j, s->now_ms);
    judge_strata_mix(j, s);
    for (int metric = 0; metric < JUDGE_METRICS_MAX; metric++) {
        struct judge_case *c = &j->cases[metric];

        if (c->on && metric != METRIC_LAG)
            case_look(j, metric, s);
        if (c->on && judge_case_log_stake(c, metric) >= j->log_bound &&
            (metric == METRIC_LAG ? judge_lag_worst_seconds(j) >= LAG_WORSE * j->lag_floor_s
                                  : metric > METRIC_LAG || judge_case_records(c) >= j->policy.records_min))
            judge_worse(j, RULE_EVIDENCE, metric, "%s", "");
    }
    if (j->verdict != VERDICT_WORSE)
        j->verdict = weigh(j);
    return j->verdict;
}
