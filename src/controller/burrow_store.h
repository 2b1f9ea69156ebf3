/*
 * burrow_store - the windows of one cluster: rings of ends by topic-partition, rings of commits by group-partition.
 *
 * It is fed with what Kafka says, in any order, and asked for what is kept and for verdicts (core/burrow.h). It reads no
 * clock and knows no Kafka. Not thread-safe: who shares it has a lock. Names come out sorted.
 */
#ifndef CONTROLLER_BURROW_STORE_H
#define CONTROLLER_BURROW_STORE_H

#include "core/burrow.h"

/*
 * What comes beyond these is left out and counted. A ring of commits takes some 8 bytes a slot and 40 for itself (burrow_pack.h), one of ends
 * 16 a slot: with 10 slots and all bounds reached, 90 MB.
 */
struct burrow_limits {
    int groups, topics;
    int topic_partitions; /* of all topics together */
    int group_partitions; /* with a ring; of all groups together */
};
#define BURROW_LIMITS ((struct burrow_limits){ 20000, 20000, 200000, 400000 })
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

/* What is kept. Callbacks come in the order of names; nothing may be changed from within, and a window is gone with its callback. */
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
/* each (NULL: nobody) gets every partition's verdict. What ret points to lives until the store is changed, or judges again. */
void burrow_group_judge(struct burrow_group_verdict *ret, struct burrow *b, const char *group, int64_t now_s,
                        burrow_judged *each, void *opaque);

#endif
