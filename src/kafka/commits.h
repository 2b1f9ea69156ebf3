/*
 * commits - records of __consumer_offsets, Kafka's own log of commits and groups, as structs. No I/O.
 *
 * What OffsetFetch does not tell stands there: each single commit with its time, also one that repeats an offset, and which
 * client is given which partition. Value versions 0 to 4; newer ones are KAFKA_COMMITS_NEWER, other keys (those of
 * share groups and of Streams groups) KAFKA_COMMITS_OTHER. Of KIP-848 groups only who has changed. Everything comes from a broker but may have been cut or
 * written by anybody: whatever does not parse is KAFKA_COMMITS_BROKEN, never a crash.
 */
#ifndef KAFKA_COMMITS_H
#define KAFKA_COMMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/limits.h"

enum kafka_commits {
    KAFKA_COMMITS_COMMIT, /* all fields */
    KAFKA_COMMITS_GONE,   /* a tombstone: group, topic, partition */
    KAFKA_COMMITS_GROUP,  /* a group's members have changed: group; kafka_commits_owners() tells them */
    KAFKA_COMMITS_MEMBERS, /* the same of a KIP-848 group, whose records name topics by id: group; its coordinator tells them by name */
    KAFKA_COMMITS_OTHER,
    KAFKA_COMMITS_NEWER, /* of a commit: group, topic, partition */
    KAFKA_COMMITS_BROKEN,
};

struct kafka_commit {
    char group[GROUP_NAME_MAX + 1];
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    int64_t offset;
    int32_t epoch; /* of the log's leader when it was read so far; -1: not told */
    int64_t timestamp_ms;
};

/* value NULL: a tombstone */
enum kafka_commits kafka_commits_decode(struct kafka_commit *ret, const void *key, size_t key_len, const void *value,
                                        size_t value_len);

/* Which client was given what: once for each partition of each member. False: broken on the way. */
typedef void kafka_commits_owner(void *opaque, const char *topic, int32_t partition, const char *host,
                                 const char *client_id);
bool kafka_commits_owners(const void *value, size_t value_len, kafka_commits_owner *each, void *opaque);

#endif
