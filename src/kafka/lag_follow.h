/*
 * lag_follow - what groups have committed since one last looked, by following the brokers' own log of commits.
 *
 * Committed records only, in the order of the log: the last one of a group's partition is what its coordinator answers, also when
 * commits within transactions and others mix, for a coordinator goes by that order too. Of a record that tells no offset (a
 * tombstone, a version newer than we know) only that there was one: the coordinator has to be asked.
 *
 * Records behind an open transaction are not told before it ends, those of other groups neither: lag.c asks for these groups.
 */
#ifndef KAFKA_LAG_FOLLOW_H
#define KAFKA_LAG_FOLLOW_H

#include "kafka/client.h"
#include "kafka/commits.h"

#define LAG_FOLLOW_TOPIC "__consumer_offsets"

struct lag_follower;
/* From the present end on; never waits. wake_fd rings when there is something to poll. */
int lag_follower_open(struct lag_follower **ret, const struct kafka_settings *s, int partitions, int wake_fd,
                      struct errmsg *m);
void lag_follower_close(struct lag_follower *f);
/* About `max` records; how many there were; -1: it has missed something, or may not read, and is of no use any more. */
typedef void lag_followed(void *opaque, const struct kafka_commit *commit, bool known);
int lag_follower_poll(struct lag_follower *f, int max, lag_followed *each, void *opaque);
int lag_follower_partitions(const struct lag_follower *f);
/* All before it has been told; -1: not known yet. */
int64_t lag_follower_position(const struct lag_follower *f, int partition);

#endif
