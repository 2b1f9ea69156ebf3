/*
 * children - processes the demo starts, and their certain end.
 *
 * Each gets a process group of its own (a Ctrl-C of the terminal reaches the demo alone, which then ends them in order)
 * and dies with the demo, whatever becomes of that (PR_SET_PDEATHSIG). What they say goes to a file in the demo's
 * folder.
 */
#ifndef CLI_CHILDREN_H
#define CLI_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define CHILDREN_MAX 16

struct child {
    char name[32];
    char log[160]; /* where it writes what it has to say */
    pid_t pid;     /* 0: not running */
    int out;       /* its stdout, -1: goes to the log */
    bool expected; /* we ended it: its end is no failure */
    int status;    /* of waitpid, once it ended */
};

/* argv[0] is the program's path. with_out: its stdout is a pipe that child_line() reads. */
int child_start(struct child *ret, const char *name, const char *folder, const char *const *argv, bool with_out,
                struct errmsg *m);
/*
 * The next line of its stdout, without the line end. ERR_TIMEOUT; ERR_CLOSED when it ended or a signal came (then
 * interrupts_count() says so). Whatever else it says later is dropped.
 */
int child_line(struct child *c, char *ret, size_t ret_size, int timeout_ms, struct errmsg *m);
/* Notices its end. True: it runs. */
bool child_runs(struct child *c);
void child_signal(struct child *c, int number);
/* SIGTERM to all, at most patience_ms for them to go, then SIGKILL; none is left when it returns. */
void children_end(struct child *children, int count, int patience_ms);
/* The last lines of its log, for an error; "" when there are none. */
void child_last_words(const struct child *c, char *ret, size_t ret_size);

#endif
