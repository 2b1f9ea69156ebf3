/*
 * lag - see lag.h.
 */
#include "core/lag.h"

#include <string.h>

#include "base/check.h"

const char *lag_state_name(enum lag_state s)
{
    static const char *const names[LAG_STATE_COUNT] = {
        [LAG_KNOWN] = "known",
        [LAG_NO_COMMIT] = "no-commit",
        [LAG_UNREAD] = "commit-unread",
        [LAG_NO_END] = "end-unread",
        [LAG_AHEAD] = "ahead-of-log",
        [LAG_REMADE] = "topic-remade",
        [LAG_NO_TOPIC] = "topic-deleted",
    };

    ASSERT((unsigned)s < LAG_STATE_COUNT);
    return names[s];
}

/* Leader epochs only grow in the life of a topic: a commit of a later one than the log's is a commit in another log. */
static bool ahead(const struct lag_facts *f)
{
    return f->committed > f->end || (f->committed_epoch >= 0 && f->end_epoch >= 0 && f->committed_epoch > f->end_epoch);
}

struct lag lag_of(const struct lag_facts *f)
{
    struct lag ret = { .state = LAG_KNOWN };
    int64_t from = f->committed;

    if (f->gone)
        ret.state = LAG_NO_TOPIC;
    else if (f->unread)
        ret.state = LAG_UNREAD;
    else if (f->committed < 0)
        ret.state = LAG_NO_COMMIT;
    else if (f->remade)
        ret.state = LAG_REMADE;
    else if (f->end < 0)
        ret.state = LAG_NO_END;
    else if (ahead(f))
        ret.state = LAG_AHEAD;
    if (ret.state != LAG_KNOWN)
        return ret;
    if (f->log_start > from) {
        /* the start may have been read after the end, and have moved past it meanwhile */
        from = f->log_start < f->end ? f->log_start : f->end;
        ret.lost = from - f->committed;
    }
    ret.records = f->end - from;
    return ret;
}

/* --- the curve ---------------------------------------------------------------------------------------------------- */

static void curve_check(const struct curve *c)
{
    ASSERT(c->size >= CURVE_POINTS_MIN);
    ASSERT(c->count >= 0 && c->count <= c->room && c->room <= c->size);
    ASSERT(c->first == 0 || (c->first > 0 && c->first < c->room));
}

static struct curve_point *point(const struct curve *c, int i)
{
    return &c->points[(c->first + i) % c->room];
}

void curve_clear(struct curve *c)
{
    c->first = c->count = 0;
}

bool curve_full(const struct curve *c)
{
    return c->count == c->room && c->room < c->size;
}

void curve_move(struct curve *c, struct curve_point *points, int room)
{
    for (int i = 0; i < c->count; i++)
        points[i] = *point(c, i);
    c->points = points;
    c->room = room;
    c->first = 0;
    curve_check(c);
}

struct curve_point curve_at(const struct curve *c, int i)
{
    ASSERT(i >= 0 && i < c->count);
    return *point(c, i);
}

bool curve_add(struct curve *c, int64_t offset, int64_t at_ms)
{
    curve_check(c);
    ASSERT(!curve_full(c));
    if (c->count > 0) {
        const struct curve_point newest = *point(c, c->count - 1);

        if (at_ms <= newest.at_ms || offset < newest.offset)
            return false;
        if (c->count > 1 && offset == newest.offset && offset == point(c, c->count - 2)->offset) {
            point(c, c->count - 1)->at_ms = at_ms;
            return true;
        }
    }
    if (c->count == c->room) {
        c->first = (c->first + 1) % c->room;
        c->count--;
    }
    c->count++;
    *point(c, c->count - 1) = (struct curve_point){ .offset = offset, .at_ms = at_ms };
    return true;
}

/* The right end of the newest piece that holds the offset; 0: none does. Offsets never fall along the curve. */
static int piece_of(const struct curve *c, int64_t offset)
{
    int low = 0, high = c->count; /* points before low are <= offset */

    if (c->count == 0 || offset < point(c, 0)->offset || offset > point(c, c->count - 1)->offset)
        return 0;
    while (low < high) {
        const int mid = low + (high - low) / 2;

        if (point(c, mid)->offset <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low < c->count ? low : c->count - 1;
}

/* In floating point throughout: a difference of two offsets may not fit into 64 bits, and a flat line divides by zero. */
static double between(struct curve_point left, struct curve_point right, int64_t offset)
{
    const double rise = (double)right.offset - (double)left.offset;

    return (double)right.at_ms -
           ((double)right.offset - (double)offset) * ((double)right.at_ms - (double)left.at_ms) / rise;
}

enum curve_answer curve_predict(const struct curve *c, int64_t offset, double *ret_at_ms)
{
    int right;

    if (c->count > 0 && offset == point(c, c->count - 1)->offset)
        return CURVE_LAG_IS_ZERO;
    if (c->count < 2)
        return CURVE_TOO_FEW_POINTS;
    right = piece_of(c, offset);
    *ret_at_ms = right > 0 ? between(*point(c, right - 1), *point(c, right), offset)
                           : between(*point(c, 0), *point(c, c->count - 1), offset);
    return CURVE_PREDICTED;
}

struct time_lag curve_time_lag(const struct curve *c, int64_t committed, int64_t now_ms)
{
    struct time_lag ret = { .state = TIME_LAG_KNOWN };
    double at_ms = 0;

    if (c->count > 0 && committed >= point(c, c->count - 1)->offset)
        return ret;
    if (c->count < 2)
        return (struct time_lag){ .state = TIME_LAG_UNKNOWN };
    if (committed < point(c, 0)->offset) {
        ret.state = TIME_LAG_AT_LEAST;
        ret.ms = now_ms - point(c, 0)->at_ms;
    } else {
        ASSERT(curve_predict(c, committed, &at_ms) == CURVE_PREDICTED);
        ret.ms = now_ms - (int64_t)at_ms;
    }
    if (ret.ms < 0)
        ret.ms = 0;
    return ret;
}
