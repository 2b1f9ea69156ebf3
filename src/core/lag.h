/*
 * lag - how far a group is behind in a partition: in records, and in time.
 *
 * In records: the end of the log minus what is committed. A commit below the start of the log counts from that start, and what
 * retention took away before it was processed is said apart (`lost`). Where a number would be wrong there is none, but the reason:
 * nothing committed, an end that could not be read, a commit behind the end (the log was truncated, or the topic is another one
 * of the same name, which the leader epoch of the commit shows too).
 *
 * In time: how old is the oldest record that is not processed yet? The ends of a log, read again and again, are a curve of
 * (end offset, time); the time at which the log had grown past the committed offset is when the first unprocessed record was
 * written. `struct curve` is the table that kafka-lag-exporter keeps, point for point and bit for bit (curve_predict());
 * curve_time_lag() is our reading of it, which never extrapolates: before the oldest point it says "at least".
 *
 * Pure. Times are those of one clock of the caller.
 */
#ifndef CORE_LAG_H
#define CORE_LAG_H

#include <stdbool.h>
#include <stdint.h>

#define OFFSET_UNKNOWN INT64_C(-1)

enum lag_state {
    LAG_KNOWN,
    LAG_NO_COMMIT, /* the group has committed nothing here */
    LAG_UNREAD,    /* its commit could not be read this time */
    LAG_NO_END,    /* the end of the log could not be read this time */
    LAG_AHEAD,     /* committed past the end: truncated log, or a topic of the same name made again */
    LAG_REMADE,    /* the topic was deleted and made again after the commit */
    LAG_NO_TOPIC,  /* the topic is deleted */
    LAG_STATE_COUNT
};
const char *lag_state_name(enum lag_state s); /* "known", "no-commit", ...; never NULL */

struct lag_facts {
    int64_t committed;       /* OFFSET_UNKNOWN: nothing */
    int64_t end;             /* OFFSET_UNKNOWN: could not be read */
    int64_t log_start;       /* OFFSET_UNKNOWN: not known, then nothing is known to be lost */
    int32_t committed_epoch; /* leader epochs, -1: not known */
    int32_t end_epoch;
    bool unread;       /* the commit could not be read */
    bool remade, gone; /* what is known of the topic: another one since the commit, deleted */
};
struct lag {
    enum lag_state state;
    int64_t records; /* LAG_KNOWN; else 0 and not to be looked at */
    int64_t lost;    /* records that retention took before the group had processed them */
};
struct lag lag_of(const struct lag_facts *f);

struct curve_point {
    int64_t offset, at_ms;
};
/* The points are the caller's memory of `room` points, which may grow between two calls; never more than `size` are kept. */
struct curve {
    struct curve_point *points; /* a ring, oldest at `first` */
    int room, size, first, count;
};
#define CURVE_POINTS_MIN 2
void curve_clear(struct curve *c);
/* The next curve_add() may want more room than there is (count == room < size). curve_move() takes larger memory into use. */
bool curve_full(const struct curve *c);
void curve_move(struct curve *c, struct curve_point *points, int room); /* the old memory is the caller's to free */
/*
 * Rejected (false): a time that is not newer than the newest, an offset below the newest. When the two newest points have this
 * offset already, the newest one's time moves: a flat run keeps its first and last point. Else the oldest goes when it is full.
 */
bool curve_add(struct curve *c, int64_t offset, int64_t at_ms);
struct curve_point curve_at(const struct curve *c, int i); /* 0: the oldest */

/* When was `offset` the end of the log? Exactly as the table of kafka-lag-exporter answers, infinities and extrapolation included. */
enum curve_answer { CURVE_PREDICTED, CURVE_LAG_IS_ZERO, CURVE_TOO_FEW_POINTS };
enum curve_answer curve_predict(const struct curve *c, int64_t offset, double *ret_at_ms);

enum time_lag_state { TIME_LAG_UNKNOWN, TIME_LAG_KNOWN, TIME_LAG_AT_LEAST };
struct time_lag {
    enum time_lag_state state;
    int64_t ms; /* never negative */
};
/* How old, at now_ms, is the oldest record not below `committed`? */
struct time_lag curve_time_lag(const struct curve *c, int64_t committed, int64_t now_ms);

#endif
