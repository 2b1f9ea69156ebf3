/*
 * keeper - keeps every fleet's part of the control log in a Redis, and answers what members ask there (redis/keys.h).
 *
 * The controller that leads is the source, Kafka's log the truth, the Redis a notice board: once a second, and whenever
 * there is news, the keeper compares what the stream's last entry says with what it wrote itself, in the same script that
 * writes. Is it another entry, or none (a restart, a fail-over, FLUSHALL, an eviction, another controller), it writes the stream
 * anew as a whole, unless the stream is ahead of this controller: then it is this one that is stale, and it writes nothing.
 * A position guards more strictly than a term would, since a record of a later term has a later offset. A stream that is
 * ahead of the log's very end was made from a log that is gone.
 *
 * A controller that does not lead writes nothing of its own accord. But when it sees requests that nobody takes, it takes
 * them, and writes what they need: so members are answered while there is no leader, too.
 *
 * Two threads talk to the Redis, one writes and one takes requests; keeper_turn() exchanges with them what is to be done
 * and what came of it. asks.h says what members may ask.
 */
#ifndef CONTROLLER_KEEPER_H
#define CONTROLLER_KEEPER_H

#include "controller/feed.h"
#include "core/plan.h"
#include "redis/client.h"

struct keeper;
/* Fails for a wrong configuration only: a Redis that cannot be reached is tried again and again, and said. */
int keeper_open(struct keeper **ret, struct controller *c, const struct redis_config *config, struct errmsg *m);
void keeper_turn(struct keeper *k);
void keeper_close(
    struct keeper *k); /* no request of it may be under way any more: after controller_forget() or answers */
/* What is wrong with the Redis as it is set up, or that it is not there. */
void keeper_findings(struct keeper *k, struct findings *ret);

#endif
