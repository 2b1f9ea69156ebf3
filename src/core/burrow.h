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
 *   C8 an end below the committed offset: lag 0, OK    sampled after the commit: UNKNOWN, the topic was made anew or cut
 *   C9 lag 1 that never goes, on a topic that does     UNKNOWN: a transaction's marker, or a last record that was never
 *      not move: STALL or STOP for ever                committed as done
 *   C10 a deleted group stays, as STOP, for 7 days     its tombstones are heard, it is gone (burrow_commit_gone())
 *
 * Pure: the caller passes the time and everything that was seen. All memory is the store's own and bounded: see
 * struct burrow_limits. docs/burrow.md says the rest.
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

/* --- the store of one cluster --------------------------------------------------------------------------------------- */

/*
 * What comes beyond these is left out and counted. A ring of commits takes 40 bytes a slot and 40 for itself, one of ends 16 a
 * slot: with 10 slots and all bounds reached, 210 MB.
 */
struct burrow_limits {
    int groups, topics;
    int topic_partitions; /* of all topics together */
    int group_partitions; /* with a ring; of all groups together */
};
#define BURROW_LIMITS ((struct burrow_limits){ 20000, 20000, 200000, 400000 })
#define BURROW_SLOTS_MAX 1000
#define BURROW_NAME_MAX 255 /* of groups and topics; longer ones are left out */

struct burrow_config {
    int intervals;          /* slots of every ring, 1 to BURROW_SLOTS_MAX */
    int64_t min_distance_s; /* a commit that comes sooner after the last overwrites it */
    int64_t expire_group_s; /* a group that has not committed for so long is forgotten */
    struct burrow_limits limits;
    struct burrow_policy policy;
};
#define BURROW_CONFIG                                  \
    ((struct burrow_config){ .intervals = 10,          \
                             .expire_group_s = 604800, \
                             .limits = BURROW_LIMITS,  \
                             .policy = { .commit_interval_ms = BURROW_COMMIT_INTERVAL_MS } })

struct burrow;
struct burrow *burrow_new(const struct burrow_config *config); /* NULL: no memory */
void burrow_free(struct burrow *b);
const struct burrow_config *burrow_config(const struct burrow *b);

/* Why something was not kept. */
enum burrow_taken {
    BURROW_TAKEN,
    BURROW_EXPIRED, /* older than expire_group_s */
    BURROW_NO_END,  /* the end of that partition is not known yet */
    BURROW_LATE,    /* older than all of a full ring, or there already */
    BURROW_NO_ROOM, /* a bound was reached, or memory */
};
/* The end of a partition's log, sampled at at_ms. partition_count: of the topic. */
enum burrow_taken burrow_end(struct burrow *b, const char *topic, int32_t partition, int32_t partition_count,
                             int64_t offset, int64_t at_ms);
/* offset, order, timestamp_ms and replayed are read; the rest is made here. now_s: the wall clock. */
enum burrow_taken burrow_commit(struct burrow *b, const char *group, const char *topic, int32_t partition,
                                const struct burrow_commit *commit, int64_t now_s);
/* A tombstone: the group's offset there was deleted or has expired. Burrow's own rules do not hear it. */
void burrow_commit_gone(struct burrow *b, const char *group, const char *topic, int32_t partition);
enum burrow_taken burrow_owner(struct burrow *b, const char *group, const char *topic, int32_t partition,
                               const char *owner, const char *client_id);
void burrow_owners_clear(struct burrow *b, const char *group);
void burrow_topic_delete(struct burrow *b, const char *topic);                    /* from all groups too */
void burrow_group_delete(struct burrow *b, const char *group, const char *topic); /* topic NULL: all of it */
uint64_t burrow_left_out(const struct burrow *b);                                 /* how often a bound was met */

/* What is kept. Callbacks come in the order of names; nothing may be changed from within. */
typedef void burrow_name(void *opaque, const char *name);
void burrow_topics(const struct burrow *b, burrow_name *each, void *opaque);
void burrow_groups(const struct burrow *b, burrow_name *each, void *opaque);
void burrow_topic_groups(const struct burrow *b, const char *topic, burrow_name *each, void *opaque);

/* The newest end of each partition, `known` false: not sampled yet. False: no such topic. */
typedef void burrow_topic_end(void *opaque, int32_t partition, bool known, int64_t end);
bool burrow_topic(const struct burrow *b, const char *topic, burrow_topic_end *each, void *opaque);

struct burrow_partition {
    const char *topic;
    int32_t partition;
    const char *owner, *client_id; /* "" when not known */
    struct burrow_window window;
};
typedef void burrow_each(void *opaque, const struct burrow_partition *p);
/* False: there is no such group (any more: one that has expired is forgotten here). */
bool burrow_group(struct burrow *b, const char *group, int64_t now_s, burrow_each *each, void *opaque);

/* A group as a whole. NOTFOUND has complete 1 and nothing else. */
struct burrow_group_verdict {
    enum burrow_status status;
    float complete; /* share of the partitions whose window is full */
    int partition_count;
    uint64_t total_lag;
    bool has_max; /* false: no partition at all */
    struct burrow_partition max;
    struct burrow_verdict max_verdict;
};
typedef void burrow_judged(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *verdict);
/* each (NULL: nobody) gets every partition's verdict. What ret points to lives until the store is changed. */
void burrow_group_judge(struct burrow_group_verdict *ret, struct burrow *b, const char *group, int64_t now_s,
                        burrow_judged *each, void *opaque);

#endif
