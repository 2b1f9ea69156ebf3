/*
 * burrow - is a consumer group well? Asked of a short window of its commits, as Burrow asks.
 *
 * Burrow keeps, for each partition of each group, the last `intervals` commits and the last `intervals` ends of the log, and
 * labels the partition OK, WARN, STOP, STALL or REWIND from them alone: no threshold has to be chosen. Two sets of rules
 * are kept here, and one word chooses (BURROW_RULES_...):
 *
 *   burrow     what Burrow 1.9.5 says, bug for bug, so that dashboards and alerts which were built on it see what they know;
 *   corrected  the default. The same window and the same labels, without the alarms that were false and with those that were
 *              missed. Where the window proves nothing the answer is UNKNOWN, which is neither good nor bad.
 *
 *   burrow                                             corrected
 *   ------------------------------------------------   ------------------------------------------------------------------
 *   C1 one commit is a window                          fewer than 3 commits, or less than 2 commit intervals between the
 *                                                      first and the last of a window that is not full: UNKNOWN
 *   C2 stopped: silent for longer than the window      ... and for longer than 3 times its longest gap and 3 commit
 *      spans, be that a millisecond                    intervals; in any case after 5 min, be there one commit only
 *   C3 an end sampled at any time, even long before    only an end sampled after the last commit shows that the group
 *      the last commit, excuses silence                had caught up
 *   C4 only the first rewind of a window is looked at  a group is rewound while it is behind where it has been
 *   C5 one commit at zero lag, or one that lowered     the newest run of commits is judged by itself: at least 4 whose lag
 *      the lag, silences WARN and STALL for the        grows to the most of the window and is more than the run worked
 *      whole window                                    off: WARN; at one offset for as long as in C2: STALL
 *   C6 a lag that stays equal is WARN                  WARN needs a lag that grew
 *   C7 lags not known (back-fill) count as growing     UNKNOWN until 3 commits were seen when they were made. A commit
 *                                                      that was replayed has no lag of its own: the end is a later one
 *   C8 an end below the committed offset: lag 0, OK;   sampled after the last commit: UNKNOWN, the topic was made anew or
 *      once the group commits in the new log: REWIND   cut, as long as a commit beyond the end is in the window
 *   C9 lag 1 that never goes, on a topic that does     UNKNOWN: a transaction's marker, or a last record that was never
 *      not move: STALL or STOP for ever                committed as done
 *   C10 a deleted group stays, as STOP, for 7 days     its tombstones are heard, it is gone (burrow_store.h)
 *   C11 who asks for a group that has members but no   it is not found either, and its owners are there from the first
 *      commit yet makes its owners be forgotten        commit on
 *
 * Pure: the caller passes the time and everything that was seen, and has the memory. controller/burrow_store.h keeps the
 * windows of a whole cluster; docs/burrow.md says the rest.
 */
#ifndef CORE_BURROW_H
#define CORE_BURROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are Burrow's own (its Prometheus metrics show them); UNKNOWN is Baton's. */
enum burrow_status {
    BURROW_NOTFOUND = 0, /* groups only */
    BURROW_OK = 1,
    BURROW_WARN = 2,
    BURROW_ERR = 3, /* groups only: some partition is STOP, STALL or REWIND */
    BURROW_STOP = 4,
    BURROW_STALL = 5,
    BURROW_REWIND = 6,
    BURROW_UNKNOWN = 7, /* corrected rules only */
};
const char *burrow_status_name(enum burrow_status status);

enum burrow_rules { BURROW_RULES_CORRECTED, BURROW_RULES_BURROW };
const char *burrow_rules_name(enum burrow_rules rules);

struct burrow_policy {
    enum burrow_rules rules;
    uint64_t allowed_lag;       /* a lag up to this is none */
    float minimum_complete;     /* a window less full than this is not judged; 0 judges all */
    int64_t commit_interval_ms; /* how often consumers commit that have work; corrected rules only */
};
#define BURROW_COMMIT_INTERVAL_MS 5000 /* auto.commit.interval.ms of Kafka's own consumers */

/* --- one partition ------------------------------------------------------------------------------------------------ */

struct burrow_commit {
    int64_t offset;
    int64_t order; /* which of two commits is the later: where its record stands in __consumer_offsets */
    int64_t timestamp_ms;
    uint64_t lag;        /* when it was made: the end then - offset, at least 0 */
    uint32_t observed_s; /* when it was seen */
    bool lag_known;
    bool replayed; /* seen long after it was made: lag was reckoned from a later end */
};

struct burrow_window {
    const struct burrow_commit *commits; /* oldest first */
    int count;
    int slots;             /* of the ring they are kept in; 0: nothing was ever committed here */
    const int64_t *ends;   /* of the log, oldest first */
    const int64_t *end_ms; /* when each was sampled; NULL: not known */
    int end_count;
    uint64_t current_lag; /* newest end - newest commit, at least 0 */
};

/* What each of Burrow's rules says by itself. The window has at least one commit. */
struct burrow_signs {
    bool lag_always_not_zero;
    int rewind_index; /* of the first commit below the one before; -1: none */
    bool rewind_recovered;
    bool stopped;
    bool stalled;
    bool lag_not_decreasing;
    bool recent_lag_zero;
};
void burrow_signs(struct burrow_signs *ret, const struct burrow_window *w, uint64_t allowed_lag, int64_t now_s);

struct burrow_verdict {
    enum burrow_status status;
    float complete;                          /* how full the window is */
    const struct burrow_commit *start, *end; /* of the window; NULL: empty */
    const char *why;                         /* half a sentence, never NULL */
};
void burrow_judge(struct burrow_verdict *ret, const struct burrow_window *w, const struct burrow_policy *policy,
                  int64_t now_s);

/* --- a ring of commits ------------------------------------------------------------------------------------------- */

#define BURROW_SLOTS_MAX 1000

struct burrow_ring {
    int count, slots;
    struct burrow_commit *commits; /* oldest first: the ring is short, and moved rather than turned */
};
/* Where a commit goes. */
struct burrow_place {
    int at;
    bool append;   /* newer than all: it has a lag, its time is the group's last commit */
    bool replaces; /* takes the slot; else stands before it */
};
/*
 * False: it is older than all of a full ring, or there already. Its order alone decides (where its record stands in
 * __consumer_offsets), never its time:
 *
 *     newer than all   at the end; when the ring is full the oldest goes
 *     older than some  (the back-fill) between its neighbours, without a lag; in a full ring the oldest goes. One that would
 *                      stand right behind the oldest of a full ring takes its place
 */
bool burrow_ring_find(struct burrow_place *ret, const struct burrow_ring *r, int64_t order);
/*
 * One that comes less than min_distance_s after the one before it overwrites that one and keeps its time, so that a group
 * which commits all the time still gets a window that spans some. That holds for time that runs backwards too.
 */
void burrow_ring_put(struct burrow_ring *r, struct burrow_place place, const struct burrow_commit *commit,
                     int64_t min_distance_s);

/* --- a group ----------------------------------------------------------------------------------------------------- */

/* The worse of a group's status so far and a partition's; begins with OK. */
enum burrow_status burrow_group_worse(enum burrow_status group, enum burrow_status partition);

#endif
