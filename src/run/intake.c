/*
 * intake - see intake.h.
 */
#include "run/intake.h"

#include <baton/baton.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100 /* how soon it hears that it shall stop */

static void *intake_thread(void *opaque)
{
    struct intake *in = opaque;
    struct baton_record *records[INTAKE_MAX];
    const uint64_t one = 1;

    pthread_mutex_lock(&in->lock);
    while (!in->stop && !in->error) {
        int room = INTAKE_MAX - in->count, count;

        if (room > in->allowed)
            room = in->allowed;
        if (room <= 0) {
            pthread_cond_wait(&in->changed, &in->lock);
            continue;
        }
        in->allowed -= room;
        in->asked = room;
        pthread_mutex_unlock(&in->lock);
        count = baton_poll(in->consumer, records, room, POLL_MS);
        if (count == BATON_ERR_NOMEM) {
            usleep(POLL_MS * 1000);
            count = 0;
        }
        pthread_mutex_lock(&in->lock);
        in->asked = 0;
        in->allowed += room - (count > 0 ? count : 0);
        if (count > 0) {
            memcpy(in->records + in->count, records, (size_t)count * sizeof(records[0]));
            in->count += count;
        } else if (count < 0) {
            in->error = count;
        }
        if (count != 0 && write(in->wake_fd, &one, sizeof(one)) < 0) {
            /* full: it is readable anyway */
        }
    }
    pthread_mutex_unlock(&in->lock);
    return NULL;
}

int intake_start(struct intake *in, struct baton_consumer *consumer, int wake_fd, struct errmsg *m)
{
    *in = (struct intake){ .consumer = consumer, .wake_fd = wake_fd };
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->changed, NULL);
    if (pthread_create(&in->thread, NULL, intake_thread, in) != 0)
        return err_set(m, ERR_IO, "cannot start a thread");
    in->runs = true;
    return ERR_OK;
}

int intake_take(struct intake *in, struct baton_record **ret, int *error)
{
    int count;

    pthread_mutex_lock(&in->lock);
    count = in->count;
    memcpy(ret, in->records, (size_t)count * sizeof(ret[0]));
    in->count = 0;
    *error = in->error;
    pthread_mutex_unlock(&in->lock);
    return count;
}

void intake_allow(struct intake *in, int count)
{
    pthread_mutex_lock(&in->lock);
    count -= in->count + in->asked;
    in->allowed = count > 0 ? count : 0;
    pthread_cond_signal(&in->changed);
    pthread_mutex_unlock(&in->lock);
}

void intake_stop(struct intake *in)
{
    if (!in->runs)
        return;
    pthread_mutex_lock(&in->lock);
    in->stop = true;
    pthread_cond_signal(&in->changed);
    pthread_mutex_unlock(&in->lock);
    pthread_join(in->thread, NULL);
    in->runs = false;
}
