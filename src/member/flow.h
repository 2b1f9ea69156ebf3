/*
 * flow - what librdkafka fetches, kept in line with what the holder wants, and the answers to rebalances.
 *
 * The holder's ATTACH and DETACH only mark lanes; flow_apply() then makes librdkafka's assignment what is marked. So
 * the order of calls that each protocol needs stands in one place:
 *
 *   cooperative, KIP-848   incremental_unassign of what is attached and not wanted, incremental_assign of what is new,
 *                          at its offset
 *   eager                  assign(NULL), then assign(all that is wanted, each at its position): without the NULL
 *                          librdkafka ends the process; what flows stands still for a moment
 *   standby = paused       everything assigned is attached; not wanted means paused, wanted anew means seek, resume,
 *                          seek (a resume alone does not wake librdkafka's fetcher for up to a second)
 *
 * While a rebalance waits for its answer nothing is assigned or unassigned: any such call would *be* the answer,
 * given before the records in flight are done. librdkafka pauses everything meanwhile, and the lanes are shut.
 *
 * Nor is it answered before the commits that were on their way when it came are: such a commit may carry the
 * generation before, and when librdkafka hears ILLEGAL_GENERATION outside of a rebalance, it gives up the whole
 * assignment.
 *
 * A change of what flows is made while no thread carries records, so none can come from before the change.
 */
#ifndef MEMBER_FLOW_H
#define MEMBER_FLOW_H

#include "member/consumer.h"

/* The library's thread, without the lock, all of them. */
void flow_attach(struct baton_consumer *c, int slot, int64_t offset);
void flow_detach(struct baton_consumer *c, int slot);
/* Makes it so, unless an answer is owed: then that does it. */
void flow_apply(struct baton_consumer *c);
/* A rebalance's event has come. */
void flow_owe(struct baton_consumer *c, enum answer answer);
/* The holder has answered; librdkafka hears it now or, with commits still out, from flow_settle() in a later turn. */
void flow_answer(struct baton_consumer *c);
/* Every turn: answers that waited, changes that failed. */
void flow_settle(struct baton_consumer *c);
/* Partitions whose position the log does not have (any more): begins at the end that is nearer, and says so. */
void flow_repair(struct baton_consumer *c);

#endif
