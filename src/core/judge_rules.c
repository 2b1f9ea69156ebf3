/*
 * judge_rules - what is worse without any statistics: crash loops, silence, limits, a breaker, a window of commits by Burrow's rules.
 *
 * They look at the last minutes only, and hold nothing against the new color that the old one did as well. The first that breaks
 * decides, and says why.
 */
#include "core/judge_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define RECENT_MS 60000
#define LIMIT_RECORDS_MIN 20
#define WINDOW_MS 30000 /* three samples of the ends, as Burrow takes them */

void judge_worse(struct judge *j, enum judge_rule rule, int metric, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void judge_worse(struct judge *j, enum judge_rule rule, int metric, const char *fmt, ...)
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

void judge_births_look(struct judge *j, const struct judge_sample *s)
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
            judge_worse(j, RULE_CRASH_LOOP, 0, "a member of %s started %d times within %d s", color_name(j->to), starts,
                        (int)(j->policy.crash_window_ms / 1000));
    }
}

/* All of the new color silent, and somebody else heard: else it is us who hear nothing. */
void judge_members_look(struct judge *j, const struct judge_sample *s)
{
    if (!s->members_known || s->live[j->to] > 0 || s->live[j->from] <= 0) {
        j->silent_looks = 0;
        return;
    }
    if (++j->silent_looks >= 2)
        judge_worse(j, RULE_VANISHED, 0, "no member of %s has been heard for %d looks, while %d of %s are",
                    color_name(j->to), j->silent_looks, s->live[j->from], color_name(j->from));
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

int judge_slow_bucket(const struct judge_policy *p)
{
    return histogram_bucket(p->latency_p99_limit_ms * 1000);
}

/* Limits and breaker, over the last minute or the last twenty records. A limit that the old color breaks as well is not held against the new one. */
void judge_limits_look(struct judge *j, const struct judge_sample *s)
{
    const struct judge_policy *p = &j->policy;
    const double error_limit = (double)p->error_rate_limit_ppm / PPM;
    const int slow_bucket = judge_slow_bucket(p);
    struct judge_recent look = { .at_ms = s->now_ms }, sum;
    struct judge_open_block figures;
    double share, n;
    int looks;

    if (judge_figures_above(&figures, p, &s->of[j->to], METRIC_ERROR_RATE)) {
        look.n = figures.n;
        look.x = figures.above[0];
    }
    if (judge_figures_above(&figures, p, &s->of[j->to], METRIC_LATENCY)) {
        look.timed = figures.n;
        look.slow = figures.above[slow_bucket];
    }
    recent_add(j, &look);
    sum = recent_sum(j, s->now_ms, &looks);
    n = judge_strata_errors(j, &share);
    if (sum.n >= LIMIT_RECORDS_MIN && looks >= 3 && sum.x > 0.5 * sum.n && !(n > 0 && share > 0.25))
        judge_worse(j, RULE_BREAKER, METRIC_ERROR_RATE, "%.0f of the last %.0f records failed", sum.x, sum.n);
    if (p->error_rate_limit_ppm > 0 && over(sum.x, sum.n, error_limit) && !over(share * n, n, error_limit))
        judge_worse(j, RULE_LIMIT, METRIC_ERROR_RATE,
                    "error rate: %.0f of the last %.0f records failed (%.2f%%), the limit is %.2f%%", sum.x, sum.n,
                    100 * sum.x / sum.n, 100 * error_limit);
    if (p->latency_p99_limit_ms > 0 && over(sum.slow, sum.timed, 0.01) &&
        !(n = judge_baseline_share(j, METRIC_LATENCY, slow_bucket, &share), over(share * n, n, 0.01)))
        judge_worse(j, RULE_LIMIT, METRIC_LATENCY,
                    "latency: %.0f of the last %.0f records took longer than %lld ms (%.2f%%), the limit for p99",
                    sum.slow, sum.timed, (long long)p->latency_p99_limit_ms, 100 * sum.slow / sum.timed);
}

void judge_signals_look(struct judge *j, const struct judge_sample *s)
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
            judge_worse(j, RULE_LIMIT, METRIC_SIGNAL + i, "%s is %.6g for %d looks, the limit is %.6g", p->name, level,
                        *over_limit, p->limit);
    }
}

bool judge_window_bad(const struct judge_sample *s)
{
    return burrow_group_worse(BURROW_OK, s->window) == BURROW_ERR;
}

/* Not before the backlog is worked off: right after a switch a window is short, and says the least. */
void judge_window_look(struct judge *j, const struct judge_sample *s)
{
    const bool before = j->restored || j->generations[0].window_bad || j->generations[1].window_bad;

    if (j->policy.window == WINDOW_NONE || j->steady_ms == 0 || before || !judge_window_bad(s)) {
        j->window_bad_ms = 0;
        return;
    }
    if (j->window_bad_ms == 0)
        j->window_bad_ms = s->now_ms;
    if (s->now_ms - j->window_bad_ms >= WINDOW_MS)
        judge_worse(j, RULE_WINDOW, METRIC_LAG, "by %s rules the window of the commits of %s has been %s for %d s",
                    j->policy.window == WINDOW_BURROW ? "Burrow's" : "the corrected", color_name(j->to),
                    burrow_status_name(s->window), (int)(s->now_ms - j->window_bad_ms) / 1000);
}
