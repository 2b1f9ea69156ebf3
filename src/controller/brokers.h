/*
 * brokers - questions to the brokers, each with the callback that gets its answer.
 *
 * On top of kafka_admin: an answer finds who asked, and several questions become one `struct snapshot` (a reading).
 * In a reading committed offsets are asked before the ends of the logs, so that no lag is ever negative.
 *
 * Retention is a configuration of the topic; it is read in the background and remembered for a minute, since brokers
 * that do not answer such questions (the embedded one) would hold up every preflight. How long a broker makes a group wait is
 * remembered as long, but the first reading of a foreign fleet waits for it: a broker that describes its groups answers.
 */
#ifndef CONTROLLER_BROKERS_H
#define CONTROLLER_BROKERS_H

#include "core/fleet.h"
#include "kafka/admin.h"

struct brokers;
typedef void brokers_answered(void *opaque, struct kafka_answer *answer); /* borrowed */

int brokers_open(struct brokers **ret, struct kafka_handle *consumer, int wake_fd, struct errmsg *m);
void brokers_close(struct brokers *b); /* nobody is called */
void brokers_poll(struct brokers *b);
void brokers_forget(struct brokers *b, void *opaque); /* whatever this one asked is not answered any more */

void brokers_offsets(struct brokers *b, const char *group, const struct kafka_tp *tps, int count,
                     brokers_answered *answered, void *opaque);
void brokers_ends(struct brokers *b, const struct kafka_tp *tps, int count, brokers_answered *answered, void *opaque);
void brokers_starts(struct brokers *b, const struct kafka_tp *tps, int count, brokers_answered *answered, void *opaque);
void brokers_group(struct brokers *b, const char *group, brokers_answered *answered, void *opaque);
void brokers_topics(struct brokers *b, const char *const *topics, int count, brokers_answered *answered, void *opaque);

/* Topic and partition of batons, for the questions above; free() it. NULL list: the first `count` of the fleet. */
struct kafka_tp *brokers_tps(const struct fleet *f, const int *list, int count);

/*
 * retention.ms as far as it is known, -1: unlimited or unknown; asks anew in the background when that is a minute
 * old.
 */
int64_t brokers_retention_ms(struct brokers *b, const char *topic);

enum reading_what {
    READING_GROUPS =
        1, /* members of both groups and who owns which partition; of a foreign fleet, what makes them wait */
    READING_OFFSETS = 2, /* committed offsets and marks of both groups */
    READING_BOUNDS = 4,  /* start and end of each partition's log */
    READING_TOPICS = 8,  /* partition counts and retention */
    READING_STABLE = 16, /* with the bounds: last stable offsets too */
};
struct reading;
/* The reading is the receiver's from here on: reading_free(). */
typedef void reading_done(void *opaque, struct reading *r);
/* `fleet`: spec and batons count; copied. */
struct reading *brokers_read(struct brokers *b, unsigned what, const struct fleet *fleet, reading_done *done,
                             void *opaque);
void reading_free(struct reading *r); /* also one that is still out: done is not called any more. NULL is fine */
const struct fleet *reading_fleet(const struct reading *r);
/* Its partitions are in the order of the fleet's batons. */
const struct snapshot *reading_snapshot(const struct reading *r);

#endif
