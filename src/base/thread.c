#include "base/thread.h"

#include <signal.h>
#include <string.h>

#include "base/err.h"

int thread_start(pthread_t *ret, bool *ret_runs, void *(*run)(void *opaque), void *opaque, struct errmsg *m)
{
    sigset_t all, before;
    int e;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(ret, NULL, run, opaque);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *ret_runs = e == 0;
    return e == 0 ? ERR_OK : err_set(m, ERR_IO, "start a thread: %s", strerror(e));
}
