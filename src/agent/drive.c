/* drive - see drive.h; the two commands stand here. */
#include "agent/drive.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/command.h"
#include "agent/stream.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/json_write.h"

#define COMMAND_MS_MAX 60000 /* then it is killed, and counts as failed */

extern char **environ;

enum which { NEITHER, STOP, START, WHICH_COUNT };
static const char *const which_names[WHICH_COUNT] = { [NEITHER] = "", [STOP] = "stop", [START] = "start" };
static const char *const which_options[WHICH_COUNT] = { [STOP] = "--stop", [START] = "--start" };

struct drive {
    const struct drive_config *config;
    struct stream *stream; /* NULL: the commands */
    void (*changed)(void *opaque);
    void *opaque;
    struct event *child;
    pid_t pid; /* of the command that runs, 0: none */
    enum which runs, next, told;
    int64_t began_ms;
    bool killed;
    char trouble[DRIVE_WHY_MAX];
};

bool drive_wanted(const struct drive_config *config)
{
    return config->url_count > 0 || config->pods_file || config->start;
}

static void note(struct drive *d, const char *why)
{
    if (strcmp(d->trouble, why) != 0 && *why)
        log_warn("command_trouble", "error=\"%s\", trying again", why);
    snprintf(d->trouble, sizeof(d->trouble), "%s", why);
}

static void command_begin(struct drive *d)
{
    int r;

    if (d->pid || d->next == NEITHER)
        return;
    r = command_start(&d->pid, d->next == START ? d->config->start : d->config->stop, -1, environ);
    if (r != 0) {
        char why[DRIVE_WHY_MAX];

        snprintf(why, sizeof(why), "%s cannot be run: %s", which_options[d->next], strerror(r));
        note(d, why);
        return;
    }
    d->runs = d->next;
    d->next = NEITHER;
    d->began_ms = clock_ms();
    d->killed = false;
}

static void command_ended(struct drive *d, int status)
{
    char why[DRIVE_WHY_MAX];

    d->pid = 0;
    if (d->killed)
        snprintf(why, sizeof(why), "%s took longer than %d s and was ended", which_options[d->runs],
                 COMMAND_MS_MAX / 1000);
    else
        command_status_text(why, sizeof(why), which_options[d->runs], status);
    if (!*why) {
        if (d->told != d->runs)
            log_info("command_done", "command=%s", which_names[d->runs]);
        d->told = d->runs;
    }
    d->runs = NEITHER;
    note(d, why);
    command_begin(d);
    d->changed(d->opaque);
}

static void command_turn(struct drive *d)
{
    int status;

    if (d->pid && waitpid(d->pid, &status, WNOHANG) == d->pid)
        command_ended(d, status);
    if (d->pid && !d->killed && clock_ms() - d->began_ms >= COMMAND_MS_MAX) {
        d->killed = true;
        kill(-d->pid, SIGKILL);
    }
}

static void on_child(evutil_socket_t number, short what, void *opaque)
{
    (void)number;
    (void)what;
    command_turn(opaque);
}

static void tell(struct drive *d, enum which which)
{
    if (d->stream) {
        stream_tell(d->stream, which == START);
        return;
    }
    d->next = d->runs == which ? NEITHER : which;
    command_begin(d);
}

void drive_stop(struct drive *d)
{
    tell(d, STOP);
}

void drive_start(struct drive *d)
{
    tell(d, START);
}

bool drive_pending(const struct drive *d, int64_t now_ms)
{
    return d->stream ? stream_pending(d->stream, now_ms) : d->runs != NEITHER;
}

uint64_t drive_losses(const struct drive *d)
{
    return d->stream ? stream_losses(d->stream) : 0;
}

const char *drive_trouble(const struct drive *d)
{
    return d->stream ? stream_trouble(d->stream) : d->trouble;
}

bool drive_knows(const struct drive *d, const char *host)
{
    return d->stream ? stream_knows(d->stream, host) : true;
}

void drive_turn(struct drive *d, const struct fleet *fleet, const char *group)
{
    if (d->stream)
        stream_turn(d->stream, fleet, group);
    else
        command_turn(d);
}

void drive_show(const struct drive *d, struct json_out *o)
{
    if (d->stream) {
        stream_show(d->stream, o);
        return;
    }
    json_open(o, "command", '{');
    json_put_text(o, "told", which_names[d->told]);
    json_put_text(o, "runs", which_names[d->runs]);
    json_put_text(o, "trouble", d->trouble);
    json_close(o, '}');
}

int drive_open(struct drive **ret, struct event_base *base, const struct drive_config *config, const char *fleet,
               const char *color, void (*changed)(void *opaque), void *opaque, struct errmsg *m)
{
    struct drive *d = must(calloc(1, sizeof(*d)));
    int r = ERR_OK;

    d->config = config;
    d->changed = changed;
    d->opaque = opaque;
    if (config->start) {
        setenv("BATON_FLEET", fleet, 1);
        setenv("BATON_COLOR", color, 1);
        d->child = must(evsignal_new(base, SIGCHLD, on_child, d));
        event_add(d->child, NULL);
    } else {
        r = stream_open(&d->stream, base, config, changed, opaque, m);
    }
    if (r < 0) {
        drive_close(d);
        return r;
    }
    *ret = d;
    return ERR_OK;
}

void drive_close(struct drive *d)
{
    if (!d)
        return;
    stream_close(d->stream);
    command_kill(d->pid);
    if (d->child)
        event_free(d->child);
    free(d);
}
