/*
 * thread - starts a thread of Baton's own: no signal is ever delivered to it, since signals are for the program's own
 * threads (of a library's host), or for the loop (of a controller).
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

struct errmsg;

/* *ret_runs: there is one to be joined; false after an error (ERR_IO). */
int thread_start(pthread_t *ret, bool *ret_runs, void *(*run)(void *opaque), void *opaque, struct errmsg *m);

#endif
