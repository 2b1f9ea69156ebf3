/*
 * lag - how far any consumer group of the cluster is behind, read from the brokers, again and again.
 *
 * A refresh asks for the groups, then for what they have committed (one request a group, those of a broker on one connection),
 * then for the ends of the logs (in requests of a few hundred partitions, one broker each), and only then makes it all known at
 * once: whoever looks between two calls of lag_reader_poll() sees one refresh, never half of one. Commits are read before ends,
 * so no lag is negative by the order of reading. What could not be read (a broker gone, an ACL) is unknown in this refresh, the
 * rest is fresh.
 *
 * Nothing here waits. The answers come to a queue of the handle, which rings wake_fd; lag_reader_poll() takes a bounded number of
 * them. One thread. The handle must be a consumer with a group id that never subscribes (kafka/admin.h says why); for all groups of
 * a large cluster it should be one of its own, since large answers keep librdkafka's main thread busy.
 */
#ifndef KAFKA_LAG_H
#define KAFKA_LAG_H

#include "core/lag.h"
#include "core/limits.h"
#include "kafka/client.h"

#define LAG_GROUPS_MAX 100000
#define LAG_PARTITIONS_MAX 1000000

struct lag_reader_config {
    const char *const *groups; /* copied; NULL: all groups of the cluster */
    int group_count;
    /*
     * Follow the brokers' log of commits with these settings, if they let us, and ask groups only when it does not tell what they
     * have committed: a refresh then costs what has changed. For a reader that stays; NULL: ask all of them every time. Copied.
     */
    const struct kafka_settings *follow;
    bool uncommitted; /* measure against the high watermark instead of the last stable offset */
    int timeout_ms;   /* of each request; 0: 5 s */
};

struct lag_reader;
int lag_reader_open(struct lag_reader **ret, struct kafka_handle *consumer, int wake_fd,
                    const struct lag_reader_config *config, struct errmsg *m);
/* Waits for what is under way: no longer than its time-outs, and at most 6 s. */
void lag_reader_close(struct lag_reader *r);
/* From the next refresh on these groups; NULL: all. */
void lag_reader_groups(struct lag_reader *r, const char *const *groups, int count);
/* Begins a refresh; false: one is under way. */
bool lag_reader_refresh(struct lag_reader *r);
/* True: a refresh has just been made known. Call it when wake_fd rings; it rings again while there is more to do. */
bool lag_reader_poll(struct lag_reader *r);
/* The newest refresh. */
struct lag_refresh {
    uint64_t number;    /* 0: none yet */
    int64_t at_unix_ms; /* when its ends were read */
    int64_t took_ms;
    int group_count, partition_count; /* group-partitions */
    char trouble[512];                /* "": everything could be read */
};
const struct lag_refresh *lag_reader_last(const struct lag_reader *r);

struct lag_group {
    char name[GROUP_NAME_MAX + 1];
    const char *state;    /* "Stable", "Empty", "Dead" ...; "Unknown" when the brokers do not say */
    const char *protocol; /* "classic", "consumer"; "" when the brokers do not say */
    char trouble[160];    /* "": its commits were read */
    int row_count;
    int64_t lag; /* sum over the partitions where it is known */
    int unknown; /* partitions where it is not */
    int64_t lost;
    struct time_lag time; /* the oldest of its partitions */
};
struct lag_row {
    const char *topic;
    int32_t partition;
    int64_t committed;         /* OFFSET_UNKNOWN: none */
    int64_t committed_unix_ms; /* when this offset was first seen; 0: nothing is committed */
    int64_t end, log_start;    /* OFFSET_UNKNOWN: not known */
    struct lag lag;
    struct time_lag time;
    const char *why; /* what a broker said where the lag is not known; "" */
};
/* Sorted by name; rows by topic and partition. Pointers live until the next lag_reader_poll(). */
int lag_group_count(const struct lag_reader *r);
const struct lag_group *lag_group_at(const struct lag_reader *r, int i);
const struct lag_group *lag_group_find(const struct lag_reader *r, const char *name);
struct lag_row lag_row_at(const struct lag_reader *r, const struct lag_group *g, int i);

#endif
