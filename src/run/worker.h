/*
 * worker - one process of the command: its life, its stdin and its stdout. What the lines mean is the caller's.
 *
 * Its stdin gets lines, in big writes; what the pipe does not take waits in `out`, and worker_room() says no while that
 * is much. Its stdout gives lines back through a callback, each at most WORKER_LINE_MAX long. Its stderr is ours. It
 * is the head of a process group of its own, so that a shell's children end with it, and it is killed when we die.
 *
 * The thread that starts workers must live as long as they shall: the kernel kills them with it.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

#define WORKER_LINE_MAX (1024 * 1024) /* of its stdout */
#define WORKER_OUT_ENOUGH (256 * 1024)
#define WORKER_OUT_MAX ((size_t)2 * 1024 * 1024 * 1024 - 1)

struct worker {
    pid_t pid;      /* 0: none runs */
    int in, out_fd; /* its stdin and stdout, -1: closed */
    struct str out; /* lines on their way to its stdin */
    size_t sent;    /* of them, so many bytes are gone */
    char *line;     /* what came from its stdout and has no end yet */
    size_t line_len, line_room;
    bool dropping; /* within a line that is too long */
};

enum worker_said { WORKER_SAID_LINE, WORKER_SAID_TOO_MUCH }; /* TOO_MUCH: a line beyond the bound was dropped */
typedef void worker_said(void *opaque, enum worker_said what, const char *line, size_t len);

void worker_init(struct worker *w);
/*
 * Finds the program (a path, or a word looked up in PATH): ERR_NOT_FOUND or ERR_DENIED. ret is the caller's to free.
 */
int worker_find(char **ret, const char *word, struct errmsg *m);
/* environment: ended by NULL. */
int worker_start(struct worker *w, const char *program, char *const *argv, char *const *environment, struct errmsg *m);
bool worker_room(const struct worker *w);
/* Writes what the pipe takes. False: it does not read any more (it closed its stdin, or ended). */
bool worker_write(struct worker *w);
/* Reads what there is. False: its stdout is at its end. */
bool worker_read(struct worker *w, worker_said *said, void *opaque);
void worker_close_stdin(struct worker *w);
/* Closes its stdin as soon as all is written. */
void worker_finish(struct worker *w);
void worker_signal(struct worker *w, int number); /* to all of its group */
/* It was waited for: closes what is left of it. */
void worker_ended(struct worker *w);
void worker_deinit(struct worker *w);

#endif
