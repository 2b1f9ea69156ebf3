/*
 * command - a line for /bin/sh, as an operator gave it: in a process group of its own, no signal blocked or ignored, and what it writes
 * goes to standard error. Whoever starts it waits for it (SIGCHLD), and ends what takes too long.
 */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

/* in: what it reads, -1: nothing. Returns 0, or an errno. */
int command_start(pid_t *ret, const char *line, int in, char *const *environment);
/* Why it failed, by its status; "" when it ended well. `name`: how to call it in the sentence. */
void command_status_text(char *ret, size_t room, const char *name, int status);
/* Ends all of it, and waits for that. 0: none runs. */
void command_kill(pid_t pid);

#endif
