/*
 * burrow - the rules; the table in burrow.h is the map.
 *
 * Times are reckoned as Burrow reckons them: `now` in whole seconds, all else in milliseconds, and sums that wrap instead of
 * overflowing, since a timestamp is whatever a client has written.
 */
#include "core/burrow.h"

#include <string.h>

#include "base/check.h"

#define EVIDENCE_COMMITS 3   /* C1, C7 */
#define EVIDENCE_INTERVALS 2 /* C1 */
#define QUIET_GAPS 3         /* C2, C5: that many times the longest gap, or the commit interval */
#define QUIET_MS_MAX \
    300000                 /* C2: max.poll.interval.ms of Kafka's own consumers: after that they are out of the group */
#define RUN_COMMITS 4      /* C5 */
#define LEFTOVER_LAG 1     /* C9 */
#define LEFTOVER_SAMPLES 2 /* C9 */

static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t ms_of(int64_t s)
{
    return (int64_t)((uint64_t)s * 1000);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static const struct burrow_commit *newest(const struct burrow_window *w)
{
    return &w->commits[w->count - 1];
}

static int64_t span_ms(const struct burrow_window *w)
{
    return minus(newest(w)->timestamp_ms, w->commits[0].timestamp_ms);
}

static int64_t silence_ms(const struct burrow_window *w, int64_t now_s)
{
    return minus(ms_of(now_s), newest(w)->timestamp_ms);
}

/* --- Burrow's own rules ------------------------------------------------------------------------------------------- */

static bool lag_always_not_zero(const struct burrow_window *w, uint64_t allowed_lag)
{
    for (int i = 0; i < w->count; i++)
        if (w->commits[i].lag_known && w->commits[i].lag <= allowed_lag)
            return false;
    return true;
}

static int rewind_index(const struct burrow_window *w)
{
    for (int i = 1; i < w->count; i++)
        if (w->commits[i].offset < w->commits[i - 1].offset)
            return i;
    return -1;
}

static bool rewind_recovered(const struct burrow_window *w, int index)
{
    for (int i = index; i < w->count; i++)
        if (w->commits[i].offset >= w->commits[index - 1].offset)
            return true;
    return false;
}

static bool stalled(const struct burrow_window *w)
{
    for (int i = 1; i < w->count; i++)
        if (w->commits[i].offset != w->commits[i - 1].offset)
            return false;
    return true;
}

static bool lag_not_decreasing(const struct burrow_window *w)
{
    const struct burrow_commit *before = NULL;

    for (int i = 0; i < w->count; i++) {
        if (!w->commits[i].lag_known)
            continue;
        if (before && w->commits[i].lag < before->lag)
            return false;
        before = &w->commits[i];
    }
    return true;
}

static bool recent_lag_zero(const struct burrow_window *w)
{
    for (int i = 0; i < w->end_count; i++)
        if (w->ends[i] <= newest(w)->offset)
            return true;
    return false;
}

void burrow_signs(struct burrow_signs *ret, const struct burrow_window *w, uint64_t allowed_lag, int64_t now_s)
{
    ASSERT(w->count > 0);
    *ret = (struct burrow_signs){
        .lag_always_not_zero = lag_always_not_zero(w, allowed_lag),
        .rewind_index = rewind_index(w),
        .stopped = silence_ms(w, now_s) > span_ms(w),
        .stalled = stalled(w),
        .lag_not_decreasing = lag_not_decreasing(w),
        .recent_lag_zero = recent_lag_zero(w),
    };
    ret->rewind_recovered = ret->rewind_index > 0 && rewind_recovered(w, ret->rewind_index);
}

static enum burrow_status judge_as_burrow(const struct burrow_window *w, uint64_t allowed_lag, int64_t now_s,
                                          const char **ret_why)
{
    struct burrow_signs s;

    *ret_why = "its lag is no more than is allowed";
    if (w->current_lag <= allowed_lag)
        return BURROW_OK;
    burrow_signs(&s, w, allowed_lag, now_s);
    *ret_why = "it has been silent for longer than its window spans";
    if (s.stopped && !s.recent_lag_zero)
        return BURROW_STOP;
    *ret_why = "it went back and has not come to where it had been";
    if (s.rewind_index > 0 && !s.rewind_recovered)
        return BURROW_REWIND;
    *ret_why = "its lag was zero within the window";
    if (!s.lag_always_not_zero)
        return BURROW_OK;
    *ret_why = "it commits the same offset again and again";
    if (s.stalled)
        return BURROW_STALL;
    *ret_why = "its lag never gets less";
    if (s.lag_not_decreasing)
        return BURROW_WARN;
    *ret_why = "its lag got less within the window";
    return BURROW_OK;
}

/* --- the corrected ones ------------------------------------------------------------------------------------------- */

/* C3: an end that was reached, sampled when the last commit had been made. */
static bool sampled_after(const struct burrow_window *w, int i)
{
    return !w->end_ms || w->end_ms[i] >= newest(w)->timestamp_ms;
}

static bool caught_up_since(const struct burrow_window *w)
{
    for (int i = 0; i < w->end_count; i++)
        if (w->ends[i] <= newest(w)->offset && sampled_after(w, i))
            return true;
    return false;
}

/* C8: what stands beyond the end was committed in another log, or in one that was longer. */
static bool end_is_below(const struct burrow_window *w)
{
    if (w->end_count == 0 || !sampled_after(w, w->end_count - 1))
        return false;
    for (int i = 0; i < w->count; i++)
        if (w->commits[i].offset > w->ends[w->end_count - 1])
            return true;
    return false;
}

/* C9 */
static bool is_leftover(const struct burrow_window *w)
{
    if (w->current_lag > LEFTOVER_LAG || w->end_count < LEFTOVER_SAMPLES)
        return false;
    for (int i = 1; i < w->end_count; i++)
        if (w->ends[i] != w->ends[0])
            return false;
    return true;
}

/* C2, C5: for how long a group that commits like this one may well do nothing. */
static int64_t quiet_ms(const struct burrow_window *w, const struct burrow_policy *policy)
{
    int64_t gap_ms = policy->commit_interval_ms;

    for (int i = 1; i < w->count; i++)
        gap_ms = larger(gap_ms, minus(w->commits[i].timestamp_ms, w->commits[i - 1].timestamp_ms));
    return gap_ms < INT64_MAX / QUIET_GAPS ? QUIET_GAPS * gap_ms : INT64_MAX;
}

/* C4 */
static bool is_behind_itself(const struct burrow_window *w)
{
    for (int i = 0; i < w->count; i++)
        if (w->commits[i].offset > newest(w)->offset)
            return true;
    return false;
}

/* C7 */
static bool lag_counts(const struct burrow_commit *c)
{
    return c->lag_known && !c->replayed;
}

/* C5: the newest commits of which each has a lag, and none a smaller one than the one before. */
struct run {
    int known;         /* commits in it */
    int known_total;   /* commits of the whole window whose lag counts */
    uint64_t lag_most; /* of the whole window */
    const struct burrow_commit *first, *last;
};

static struct run run_of(const struct burrow_window *w, uint64_t allowed_lag)
{
    struct run run = { 0 };
    bool over = false;

    for (int i = w->count - 1; i >= 0; i--) {
        const struct burrow_commit *c = &w->commits[i];

        if (!lag_counts(c))
            continue;
        run.known_total++;
        if (c->lag > run.lag_most)
            run.lag_most = c->lag;
        over = over || c->lag <= allowed_lag || (run.first && c->lag > run.first->lag);
        if (over)
            continue;
        run.known++;
        run.first = c;
        run.last = run.last ? run.last : c;
    }
    return run;
}

static bool run_is_warning(const struct run *run)
{
    const bool whole = run->known == run->known_total;

    if (run->known < EVIDENCE_COMMITS || run->last->lag <= run->first->lag) /* C6 */
        return false;
    if (whole)
        return true;
    return run->known >= RUN_COMMITS && run->last->lag == run->lag_most && run->last->offset >= run->first->offset &&
           run->last->lag > (uint64_t)minus(run->last->offset, run->first->offset);
}

/* At one offset, with work to do, for the whole window or for longer than is usual. */
static bool is_stalled(const struct burrow_window *w, uint64_t allowed_lag, int64_t quiet)
{
    int first = w->count, known = 0;

    for (; first > 0 && w->commits[first - 1].offset == newest(w)->offset; first--) {
        if (!lag_counts(&w->commits[first - 1]))
            continue;
        if (w->commits[first - 1].lag <= allowed_lag)
            break;
        known++;
    }
    if (known < EVIDENCE_COMMITS)
        return false;
    return first == 0 || minus(newest(w)->timestamp_ms, w->commits[first].timestamp_ms) > quiet;
}

static enum burrow_status judge_corrected(const struct burrow_window *w, const struct burrow_policy *policy,
                                          int64_t now_s, const char **ret_why)
{
    const int64_t quiet = quiet_ms(w, policy), silence = silence_ms(w, now_s);
    const bool evidence = w->count >= EVIDENCE_COMMITS &&
                          (w->count >= w->slots || span_ms(w) >= EVIDENCE_INTERVALS * policy->commit_interval_ms);
    struct run run;

    *ret_why = "the log ends before what it has committed: the topic was made anew, or cut";
    if (end_is_below(w))
        return BURROW_UNKNOWN;
    *ret_why = "its lag is no more than is allowed";
    if (w->current_lag <= policy->allowed_lag)
        return BURROW_OK;
    *ret_why = "the last of a topic that does not move: a transaction's marker, or a record not committed as done";
    if (is_leftover(w))
        return BURROW_UNKNOWN;
    *ret_why = "it has been silent for longer than is usual with it";
    if (!caught_up_since(w) &&
        ((evidence && silence > span_ms(w) && silence > quiet) || silence > larger(quiet, QUIET_MS_MAX)))
        return BURROW_STOP;
    *ret_why = "too few commits were seen to say";
    if (!evidence)
        return BURROW_UNKNOWN;
    *ret_why = "it went back and has not come to where it had been";
    if (is_behind_itself(w))
        return BURROW_REWIND;
    run = run_of(w, policy->allowed_lag);
    *ret_why = "its lag was known at too few commits to say";
    if (run.known_total < EVIDENCE_COMMITS)
        return BURROW_UNKNOWN;
    *ret_why = "it commits the same offset again and again";
    if (is_stalled(w, policy->allowed_lag, quiet))
        return BURROW_STALL;
    *ret_why = "its lag grows from commit to commit";
    if (run_is_warning(&run))
        return BURROW_WARN;
    *ret_why = "it works its lag off";
    return BURROW_OK;
}

/* --- one partition ------------------------------------------------------------------------------------------------ */

void burrow_judge(struct burrow_verdict *ret, const struct burrow_window *w, const struct burrow_policy *policy,
                  int64_t now_s)
{
    /* Burrow cuts the empty slots off but for the last one, so an empty ring of N counts as 1/N. */
    const int kept = w->count > 0 ? w->count : 1;

    *ret = (struct burrow_verdict){ .status = BURROW_OK, .why = "nothing was ever committed there" };
    if (w->slots == 0)
        return;
    ret->complete = kept < w->slots ? (float)kept / (float)w->slots : 1.0F;
    if (w->count == 0)
        return;
    ret->start = &w->commits[0];
    ret->end = newest(w);
    ret->why = "its window is less full than is asked for";
    if (ret->complete < policy->minimum_complete)
        return;
    ret->status = policy->rules == BURROW_RULES_BURROW ? judge_as_burrow(w, policy->allowed_lag, now_s, &ret->why)
                                                       : judge_corrected(w, policy, now_s, &ret->why);
}

const char *burrow_status_name(enum burrow_status status)
{
    static const char *const names[] = { "NOTFOUND", "OK", "WARN", "ERR", "STOP", "STALL", "REWIND", "UNKNOWN" };

    ASSERT((size_t)status < ARRAY_COUNT(names));
    return names[status];
}

const char *burrow_rules_name(enum burrow_rules rules)
{
    return rules == BURROW_RULES_BURROW ? "burrow" : "corrected";
}

/* --- a ring of commits ------------------------------------------------------------------------------------------- */

bool burrow_ring_find(struct burrow_place *ret, const struct burrow_ring *r, int64_t order)
{
    const bool full = r->count == r->slots;
    int at = r->count;

    if (full && r->commits[0].order >= order)
        return false;
    while (at > 0 && r->commits[at - 1].order > order)
        at--;
    if (at > 0 && r->commits[at - 1].order == order)
        return false;
    *ret = (struct burrow_place){ .at = at, .append = at == r->count };
    if (full && !ret->append && at == 1)
        *ret = (struct burrow_place){ .at = 0, .replaces = true };
    return true;
}

static bool is_too_soon(const struct burrow_ring *r, struct burrow_place place, const struct burrow_commit *commit,
                        int64_t min_distance_s)
{
    return !place.replaces && place.at > 0 &&
           minus(commit->timestamp_ms, r->commits[place.at - 1].timestamp_ms) < ms_of(min_distance_s);
}

void burrow_ring_put(struct burrow_ring *r, struct burrow_place place, const struct burrow_commit *commit,
                     int64_t min_distance_s)
{
    struct burrow_commit one = *commit;

    if (is_too_soon(r, place, commit, min_distance_s)) {
        place = (struct burrow_place){ .at = place.at - 1, .replaces = true };
        one.timestamp_ms = r->commits[place.at].timestamp_ms;
    }
    if (!place.replaces && r->count == r->slots) { /* the oldest goes */
        place.at--;
        memmove(&r->commits[0], &r->commits[1], (size_t)place.at * sizeof(one));
    } else if (!place.replaces) {
        memmove(&r->commits[place.at + 1], &r->commits[place.at], (size_t)(r->count - place.at) * sizeof(one));
        r->count++;
    }
    r->commits[place.at] = one;
}

/* --- a group ----------------------------------------------------------------------------------------------------- */

/* UNKNOWN, the highest number, is worse than OK and better than everything else. */
enum burrow_status burrow_group_worse(enum burrow_status group, enum burrow_status partition)
{
    if (partition == BURROW_UNKNOWN)
        return group == BURROW_OK ? BURROW_UNKNOWN : group;
    if (partition > BURROW_ERR)
        partition = BURROW_ERR;
    if (group == BURROW_UNKNOWN)
        return partition == BURROW_OK ? group : partition;
    return partition > group ? partition : group;
}
