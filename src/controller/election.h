/*
 * election - who leads is whom Kafka assigns the one partition of the control topic in the controllers' group.
 *
 * A consumer that joins and fetches nothing: it answers every rebalance callback with an empty incremental
 * assignment, so it is a member like any other and Kafka never fences it. Cooperative-sticky, since with range a
 * newcomer takes the lead just by joining. A clean leave hands over within milliseconds; after a kill the group
 * notices when the session (6 s) ends.
 *
 * Being elected is not leading: two may believe it for a while. The claim in the log decides (reign.h).
 */
#ifndef CONTROLLER_ELECTION_H
#define CONTROLLER_ELECTION_H

#include "kafka/log.h"

enum election_news {
    ELECTION_GAINED, /* the partition is ours */
    ELECTION_OTHER,  /* we are a member, and somebody else has it */
    ELECTION_LOST,   /* it was ours: revoked, or lost with the session */
};

struct election;
/* From election_poll(), so from the loop. */
typedef void election_heard(void *opaque, enum election_news news);

int election_open(struct election **ret, const struct kafka_settings *s, const char *group, const char *topic,
                  int session_ms, int wake_fd, election_heard *heard, void *opaque, struct errmsg *m);
void election_close(struct election *e); /* leaves the group; blocks until the broker knows, 2 s at most */
/* Both may be called at any time; joining twice is one joining. */
int election_join(struct election *e, struct errmsg *m);
void election_leave(struct election *e);
bool election_joined(const struct election *e);
/* Serves callbacks; ERR_... with a sentence when the group cannot be joined (told once until it changes). */
int election_poll(struct election *e, struct errmsg *m);

#endif
