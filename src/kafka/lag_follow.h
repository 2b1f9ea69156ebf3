/*
 * lag_follow - where groups have committed since one last looked: by following the brokers' own log of commits.
 *
 * A hint, never a value: what a group has committed is read from its coordinator, and this says what need not be asked. So only the
 * keys of commits (and of their tombstones) are read: group, topic, partition. Committed records only: a commit within a transaction
 * is news when the transaction is.
 */
#ifndef KAFKA_LAG_FOLLOW_H
#define KAFKA_LAG_FOLLOW_H

#include "kafka/client.h"

#define LAG_FOLLOW_TOPIC "__consumer_offsets"

struct lag_follower;
/* From the present end on; never waits. */
int lag_follower_open(struct lag_follower **ret, const struct kafka_settings *s, int partitions, struct errmsg *m);
void lag_follower_close(struct lag_follower *f);
/* Up to `max` records; false: it has missed something, or may not read, and is of no use any more. */
typedef void lag_followed(void *opaque, const char *group, const char *topic, int32_t partition);
bool lag_follower_poll(struct lag_follower *f, int max, lag_followed *on_commit, void *opaque);
int lag_follower_partitions(const struct lag_follower *f);
/* All before it has been told; -1: not known yet. */
int64_t lag_follower_position(const struct lag_follower *f, int partition);

#endif
