/*
 * c11_threads - C11's threads said in pthreads, for ThreadSanitizer alone.
 *
 * It knows pthreads and no others: a thread that librdkafka starts by thrd_create() has no place in its books and ends
 * the process, and what mtx_lock() orders looks like a race. So in a build with b_sanitize=thread these stand before
 * the C library's. They hold what librdkafka uses.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#define SHOWN __attribute__((visibility("default")))

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");

static int result(int error)
{
    return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : error == EBUSY ? thrd_busy : thrd_error;
}

static pthread_mutex_t *mutex(mtx_t *m)
{
    return (pthread_mutex_t *)(void *)m;
}

static pthread_cond_t *condition(cnd_t *c)
{
    return (pthread_cond_t *)(void *)c;
}

struct start {
    thrd_start_t function;
    void *opaque;
};

static void *run(void *opaque)
{
    const struct start start = *(struct start *)opaque;

    free(opaque);
    return (void *)(intptr_t)start.function(start.opaque);
}

SHOWN int thrd_create(thrd_t *ret, thrd_start_t function, void *opaque)
{
    struct start *start = malloc(sizeof(*start));
    int error;

    if (!start)
        return thrd_nomem;
    *start = (struct start){ function, opaque };
    error = pthread_create(ret, NULL, run, start);
    if (error)
        free(start);
    return result(error);
}

SHOWN int thrd_join(thrd_t thread, int *ret)
{
    void *value;
    const int error = pthread_join(thread, &value);

    if (!error && ret)
        *ret = (int)(intptr_t)value;
    return result(error);
}

SHOWN int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t how;

    pthread_mutexattr_init(&how);
    pthread_mutexattr_settype(&how, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    return result(pthread_mutex_init(mutex(m), &how));
}

SHOWN int mtx_lock(mtx_t *m)
{
    return result(pthread_mutex_lock(mutex(m)));
}

SHOWN int mtx_trylock(mtx_t *m)
{
    return result(pthread_mutex_trylock(mutex(m)));
}

SHOWN int mtx_unlock(mtx_t *m)
{
    return result(pthread_mutex_unlock(mutex(m)));
}

SHOWN void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy(mutex(m));
}

SHOWN int cnd_init(cnd_t *c)
{
    return result(pthread_cond_init(condition(c), NULL));
}

SHOWN int cnd_signal(cnd_t *c)
{
    return result(pthread_cond_signal(condition(c)));
}

SHOWN int cnd_broadcast(cnd_t *c)
{
    return result(pthread_cond_broadcast(condition(c)));
}

SHOWN int cnd_wait(cnd_t *c, mtx_t *m)
{
    return result(pthread_cond_wait(condition(c), mutex(m)));
}

SHOWN int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
    return result(pthread_cond_timedwait(condition(c), mutex(m), until));
}

SHOWN void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy(condition(c));
}
