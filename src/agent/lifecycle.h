/*
 * lifecycle - the document of docs/lifecycle.md as text, both ways: what an application says, and what it is told.
 *
 * What an application says came from outside: every number has its bounds, every text its length, and the sentence of a
 * refusal names the place. Whether it is true is for others to find out (member.c).
 */
#ifndef AGENT_LIFECYCLE_H
#define AGENT_LIFECYCLE_H

#include "base/err.h"
#include "base/str.h"
#include "core/fleet.h"

#define LIFECYCLE_PATH "/baton/v1/lifecycle"
#define LIFECYCLE_BYTES_MAX (4 * 1024 * 1024)
#define INSTANCE_MAX 36
#define INSTANCE_MIN 8
#define ASSIGNOR_MAX 47

enum observed_state { OBSERVED_HELD, OBSERVED_READY, OBSERVED_RUNNING, OBSERVED_DRAINING, OBSERVED_STATE_COUNT };
const char *observed_state_name(enum observed_state s);
bool observed_state_parse(enum observed_state *ret, const char *name);

struct observed_part {
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    int64_t assignment;
    bool assigned;
    enum observed_state state;
    uint64_t epoch;
    int64_t first, position, committed; /* OFFSET_NONE */
    int64_t committed_ago_ms;           /* -1: never */
    int32_t in_flight;
};

struct observed {
    char instance[INSTANCE_MAX + 1];
    char group[GROUP_NAME_MAX + 1];
    char member_id[MEMBER_ID_MAX + 1];
    char client_id[CLIENT_ID_MAX + 1];
    char assignor[ASSIGNOR_MAX + 1];
    bool joined, left;
    uint64_t done;
    char agent[INCARNATION_MAX + 1]; /* of the PUT it accepted last, "" before the first */
    uint64_t accepted;               /* its revision */
    struct version version;          /* its term and epoch */
    uint64_t revision;               /* that its loop has acted upon */
    struct observed_part *parts;
    int part_count;
};

/* ERR_CORRUPT with a sentence: it is no such document. observed_free() takes what succeeded, and NULL. */
int observed_decode(struct observed **ret, const char *json, size_t len, struct errmsg *m);
void observed_free(struct observed *o);
/* The client id by which Kafka lists a member that leaves its member_id empty: CLIENT_ID-INSTANCE. */
#define OBSERVED_CLIENT_ID_MAX (CLIENT_ID_MAX + INSTANCE_MAX + 1)
void observed_client_id(char ret[OBSERVED_CLIENT_ID_MAX + 1], const struct observed *o);

enum word_told { TELL_HOLD, TELL_READY, TELL_RUN, TELL_COUNT };
const char *word_told_name(enum word_told w);
bool word_told_parse(enum word_told *ret, const char *name);

struct desired_part {
    const char *topic;
    int32_t partition;
    int64_t assignment;
    enum word_told word;
    uint64_t epoch; /* of READY and RUN, with the rest */
    int64_t from;
    struct mark mark;
};

struct desired {
    const char *instance, *agent, *fleet;
    enum color color;
    uint64_t revision;
    struct version version;
    int64_t commit_every_ms, fence_ms;
    bool leave;
    const struct desired_part *parts;
    int part_count;
};

int desired_encode(struct str *ret, const struct desired *d, struct errmsg *m);

#endif
