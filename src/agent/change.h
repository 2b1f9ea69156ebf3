/*
 * change - for an application that can do no more: a command that is run, a signal that is sent, when its color's part has changed.
 *
 *                     other document                    exit 0
 *     TOLD <------------------------------> RUNNING -------------> TOLD
 *                                             |  ^
 *         anything else, or too long: killed  v  |  1 s later, then 2 s, 4 s, ... a minute
 *                                            FAILED
 *
 * Level-triggered: what is told is the whole state as it is now, never a step of it. States that came and went while the command ran
 * are not told; one that could not be told is told again until it could. A new process behind the pid file, and a new
 * agent, are told anew.
 *
 * It is telling, not handing over: nothing is known of what the application did then, so nothing is promised (docs/agent.md).
 */
#ifndef AGENT_CHANGE_H
#define AGENT_CHANGE_H

#include "base/err.h"
#include "base/str.h"
#include "core/fleet.h"

struct event_base;
struct change;

struct change_config {
    const char *command; /* for /bin/sh -c; NULL: none */
    int64_t timeout_ms;  /* of a run */
    int signal;          /* 0: none */
    const char *pid_file;
};

/* What concerns a color, as JSON; "" while there is no such fleet. */
void change_document(struct str *ret, const struct fleet *f, const char *fleet, enum color color);

/* "USR1", "SIGUSR1": 0 when it is none that may be sent. */
int change_signal_parse(const char *name);

int change_open(struct change **ret, struct event_base *base, const struct change_config *config, struct errmsg *m);
/* Ends what runs. NULL is fine. */
void change_close(struct change *c);
/* The newest document. Copies. */
void change_tell(struct change *c, const char *document);
/* Tries again what failed, ends what takes too long; to be called every second or so. */
void change_turn(struct change *c);
/* Why the newest document has not been told, "": it has. */
const char *change_trouble(const struct change *c);

#endif
