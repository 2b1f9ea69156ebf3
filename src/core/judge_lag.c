/*
 * judge_lag - what waits, counted in seconds of arrivals, and who stands still.
 *
 * A lag of records says little: a thousand are nothing where ten thousand arrive in a second. Far behind is what lies beyond a floor, which
 * the old color's own lag sets. The bet is only ever on "does it grow where it is far behind": a queue has a trend by nature.
 */
#include "core/judge_internal.h"

#define LAG_FLOOR_S_MIN 3.0
#define LAG_PART_MIN 20 /* so few records of one partition are never much */

/* Counts partitions that stand still though records wait. One that was not shown for some looks begins anew. */
void judge_progress_look(struct judge *j, const struct judge_sample *s)
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
void judge_progress_pause(struct judge *j)
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

void judge_lag_read(struct judge *j, const struct judge_sample *s, double seconds)
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
double judge_lag_seconds(const struct judge *j)
{
    return j->lag.lag < 2 ? 0 : seconds_of(j->lag.lag, j->lag.arrivals);
}

/* The same of all together, or of the partition that is furthest behind. */
double judge_lag_worst_seconds(const struct judge *j)
{
    return j->lag.worst_s > judge_lag_seconds(j) ? j->lag.worst_s : judge_lag_seconds(j);
}

/* Once every five seconds. The trend of its level is never tested: a queue has one. */
bool judge_lag_step(struct judge *j, const struct judge_sample *s, struct lag_step *ret)
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
    j->lag.behind = judge_lag_seconds(j) > j->lag_floor_s;
    j->lag.control_before = control;
    j->lag.at_ms = s->now_ms;
    return true;
}

/* An old color that was never far behind makes it visible sooner that the new one is. */
void judge_lag_floor(struct judge *j)
{
    const struct judge_generation *g = j->generations;
    const double floor_s = 3 * (g[0].lag_max_s > g[1].lag_max_s ? g[0].lag_max_s : g[1].lag_max_s);

    j->lag_floor_s = floor_s <= 0 || floor_s > LAG_FLOOR_S ? LAG_FLOOR_S
                     : floor_s < LAG_FLOOR_S_MIN           ? LAG_FLOOR_S_MIN
                                                           : floor_s;
}
