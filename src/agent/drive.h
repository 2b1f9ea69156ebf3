/*
 * drive - stops and starts all processes of a color: by Spring Cloud Stream's own endpoint (stream.h), or by two commands.
 *
 * It carries words, and promises nothing: whether the application has stopped only the brokers know (core/whole.h). A word is
 * given to every process, and given again by whoever wants it to hold.
 */
#ifndef AGENT_DRIVE_H
#define AGENT_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct event_base;
struct fleet;
struct json_out;

#define DRIVE_PODS_MAX 64
#define DRIVE_WHY_MAX 400

struct drive_config {
    const char *urls[DRIVE_PODS_MAX]; /* "http://10.0.0.7:8080", one process each */
    int url_count;
    const char *pods_file;    /* more of them, one a line, read anew again and again; NULL: none */
    const char *binding;      /* "orders-in-0" */
    const char *actuator;     /* "/actuator" */
    const char *token_file;   /* NULL: none */
    const char *start, *stop; /* for /bin/sh -c; NULL: the addresses are driven */
    int64_t alarm_ms;         /* a start that has not shown by then is said, 0: as the brokers' delays want it */
};
/* Is an application to be driven from outside at all? */
bool drive_wanted(const struct drive_config *config);

struct drive;
int drive_open(struct drive **ret, struct event_base *base, const struct drive_config *config, const char *fleet,
               const char *color, void (*changed)(void *opaque), void *opaque, struct errmsg *m);
void drive_close(struct drive *d);
/* Reads the list of addresses again, ends what takes too long, looks at processes that have not been looked at. group: the color's. */
void drive_turn(struct drive *d, const struct fleet *fleet, const char *group);
/* Tells every process. The word that is on its way is answered first; one that is waiting is replaced. */
void drive_stop(struct drive *d);
void drive_start(struct drive *d);
/* A word is on its way, or one to start has not been answered and may still take effect. */
bool drive_pending(const struct drive *d, int64_t now_ms);
/* So often a process did not answer, or left the list before it had been stopped: it may have died. */
uint64_t drive_losses(const struct drive *d);
/* What is wrong with the first process that something is wrong with, "" when nothing is. */
const char *drive_trouble(const struct drive *d);
/* Is a member on this host, as the brokers write it ("/10.0.0.7"), one of the processes? True too where nobody can know. */
bool drive_knows(const struct drive *d, const char *host);
/* Members of an object: "pods" or "commands". */
void drive_show(const struct drive *d, struct json_out *o);

#endif
