/*
 * intake - the thread that asks libbaton for records, as many as the main thread has room for.
 *
 * baton_poll() waits, and the main thread has pipes to watch; so one thread waits there and rings an eventfd. It
 * carries no more than it was allowed, which is how a slow command slows down the fetching.
 */
#ifndef RUN_INTAKE_H
#define RUN_INTAKE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

#define INTAKE_MAX 1024 /* records between the two threads */

struct baton_consumer;
struct baton_record;

struct intake {
    struct baton_consumer *consumer;
    int wake_fd;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* the rest */
    pthread_cond_t changed;
    struct baton_record *records[INTAKE_MAX];
    int count;
    int asked;   /* of baton_poll() at this moment */
    int allowed; /* that it may ask for beyond these */
    bool stop;
    int error; /* of baton_poll(), for good */
};

int intake_start(struct intake *in, struct baton_consumer *consumer, int wake_fd, struct errmsg *m);
/* What came, at most INTAKE_MAX; returns how many. *error: 0, or why nothing comes any more. */
int intake_take(struct intake *in, struct baton_record **ret, int *error);
/* From now on at most `count` more, those asked for and those not yet taken included. */
void intake_allow(struct intake *in, int count);
/* Nothing more comes when it returns; what came and was not taken is still to be taken. */
void intake_stop(struct intake *in);

#endif
