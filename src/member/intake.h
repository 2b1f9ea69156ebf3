/*
 * intake - the way of a record from librdkafka to the program and back.
 *
 * All partitions' records arrive in one queue of librdkafka. A program's thread that finds nothing ready becomes the
 * one that fetches, takes a batch, sorts it into lanes (one a partition) and goes on as everybody: it takes the lanes
 * in turn, past the holder's gate. Records whose partition was detached meanwhile are dropped at the lane's door:
 * librdkafka's own version numbers see to those still in its queue, intake_hold() to those that a thread is just
 * carrying here.
 *
 * librdkafka's queue is in the order of its fetches: a partition with a backlog stands before the first record of the next.
 * So a partition that has just been attached is looked for behind the others, and every lane gives a few records at a
 * time: its standstill is not the time that the program takes for the others' backlog.
 *
 * A record costs no allocation beyond librdkafka's; the pool only grows, to what was once in flight and ready together.
 */
#ifndef MEMBER_INTAKE_H
#define MEMBER_INTAKE_H

#include "member/consumer.h"

int intake_init(struct intake *in);
/* Every message that is still out is given back; the queue and topics too. Before the handle is closed. */
void intake_release(struct baton_consumer *c);
void intake_deinit(struct intake *in);

/* --- the program's threads --- */

int intake_poll(struct baton_consumer *c, struct baton_record **ret, int max, int timeout_ms);
void intake_done(struct baton_consumer *c, struct baton_record *const *records, int count);

/* It is counted as failed; done it is not yet. */
void intake_failed(struct baton_consumer *c, const struct baton_record *record, const char *failure);
/* ERR_STATE: it is still the program's. */
int intake_give_back(struct baton_consumer *c, struct baton_record *record);
void intake_given_again(struct baton_consumer *c, const struct baton_record *record);

/* --- the library's thread, under the lock --- */

/* Lanes for `count` slots; ERR_NOMEM. */
int intake_grow(struct baton_consumer *c, int count);
/* Records of this topic and partition go to this slot's lane. ERR_NOMEM. */
int intake_route(struct baton_consumer *c, int topic, int32_t partition, int slot);
/* What is fetched from now on belongs to this lane. */
void intake_open(struct baton_consumer *c, int slot);
/* Throws away what is taken and not delivered, and shuts the lane. */
void intake_purge(struct baton_consumer *c, int slot);
/* From the return on no thread carries records; none will until intake_unhold(). Gives the lock away while it waits. */
void intake_hold(struct baton_consumer *c);
void intake_unhold(struct baton_consumer *c);
/* What was done of the report's parts, into its works. */
void intake_report(struct baton_consumer *c, struct report *r);
/* Everybody inside baton_poll() looks up: closing, failed. */
void intake_wake_all(struct baton_consumer *c);

#endif
