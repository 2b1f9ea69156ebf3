/*
 * dlq - the dead letters: records that could not be processed go to a topic, with headers that say why.
 *
 * Key, value, headers and timestamp stay as they were. Added: baton-error, baton-topic, baton-partition,
 * baton-offset, baton-fleet, baton-color, baton-attempts. A letter counts only once its brokers have acknowledged it
 * (acks=all, idempotent); until then it is the caller's to try again, so no record is lost between the two topics.
 */
#ifndef RUN_DLQ_H
#define RUN_DLQ_H

#include "base/err.h"
#include "run/line.h"

struct dlq;
struct kafka_settings;

/* The brokers have said: error NULL: it is safe, else why not. */
typedef void dlq_said(void *opaque, void *letter, const char *error);

/* wake_fd: an eventfd, rung when dlq_turn() has something to say. ERR_NOT_FOUND: there is no such topic. */
int dlq_open(struct dlq **ret, const struct kafka_settings *settings, const char *topic, int wake_fd, dlq_said *said,
             void *opaque, struct errmsg *m);
/* Everything is copied. On an error nothing was sent, and nothing will be said. */
int dlq_send(struct dlq *d, const struct record_view *r, const char *error, void *letter, struct errmsg *m);
void dlq_turn(struct dlq *d);
void dlq_close(struct dlq *d);

#endif
