/*
 * loop - the library's thread: what happens outside becomes the holder's events, the holder's effects happen outside.
 *
 * One turn reads everything that has come: records of the control log, rebalances, answers of the brokers,
 * acknowledged reports; each is one step of the holder, and the effects of a step are carried out, in their order,
 * before the next. All sources write to one eventfd when they turn non-empty, and every turn reads each of them until
 * it is empty.
 *
 * The thread's life: the control log is opened when it exists (until then: patience, and a line in the log), read to
 * its end; when the fleet's document is there the group is joined with what it says; closing ends with the goodbye
 * report.
 */
#ifndef MEMBER_LOOP_H
#define MEMBER_LOOP_H

#include "member/consumer.h"

int loop_start(struct baton_consumer *c, struct errmsg *m);
/* Frees what the thread used; it has ended. The group's handle goes here too, so records must have been released. */
void loop_release(struct baton_consumer *c);

/* Partitions that Kafka assigns, and those of them that are active. Under the lock. */
void loop_count(const struct baton_consumer *c, int *assigned, int *active, bool *fenced);

#endif
