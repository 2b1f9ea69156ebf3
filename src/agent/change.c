/* change - see change.h. */
#include "agent/change.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/command.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/json_write.h"

#define RETRY_MS 1000
#define RETRY_MS_MAX 60000
#define END_MS_MAX 5000 /* between SIGTERM and SIGKILL */
#define TROUBLE_MAX 256

extern char **environ;

struct change {
    struct change_config config;
    struct event *child;    /* SIGCHLD */
    char *wanted;           /* the newest document, NULL: none yet */
    char *running, *told;   /* what the command was given, what it took; NULL: nothing */
    char *signalled;        /* the document of the last signal */
    pid_t signalled_pid;    /* to whom */
    pid_t pid;              /* of the command, 0: none runs */
    int64_t began_ms;       /* when it was started */
    int64_t killed_ms;      /* when it was told to end, 0: it was not */
    int64_t retry_ms;       /* not before */
    int64_t retry_after_ms; /* of the next failure */
    char trouble[TROUBLE_MAX], signal_trouble[TROUBLE_MAX];
};

/* --- the document -------------------------------------------------------------------------------------------------- */

/* What stands alone in a shell's `case`: is all of it ours, nothing, or is it changing hands? */
static const char *state_of(const struct fleet *f, enum color color)
{
    int ours = 0, still = 0;

    for (int i = 0; i < f->baton_count; i++) {
        still += f->batons[i].state == RIGHT_HELD;
        ours += f->batons[i].state == RIGHT_HELD && f->batons[i].holder == color;
    }
    if (still < f->baton_count || (ours > 0 && ours < still))
        return "changing";
    return ours > 0 ? "working" : "standing-by";
}

void change_document(struct str *ret, const struct fleet *f, const char *fleet, enum color color)
{
    struct json_out o = { .text = ret };

    str_clear(ret);
    if (!f->exists)
        return;
    json_open(&o, NULL, '{');
    json_put_text(&o, "fleet", fleet);
    json_put_text(&o, "color", color_name(color));
    json_put_text(&o, "state", state_of(f, color));
    json_put_text(&o, "active", color_name(f->active));
    json_put_uint(&o, "switch", f->switch_number);
    json_open(&o, "partitions", '[');
    for (int i = 0; i < f->baton_count; i++) {
        const struct baton *b = &f->batons[i];

        if (b->partition < 0)
            continue; /* its shard is not read yet */
        json_open(&o, NULL, '{');
        json_put_text(&o, "topic", f->spec.topics[b->topic]);
        json_put_int(&o, "partition", b->partition);
        json_put_text(&o, "holder", color_name(b->holder));
        json_put_text(&o, "state", right_name(b->state));
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
}

/* --- the signal ---------------------------------------------------------------------------------------------------- */

int change_signal_parse(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = { { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "HUP", SIGHUP } };

    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        if (strcmp(name, signals[i].name) == 0)
            return signals[i].number;
    return 0;
}

/* 0: there is none, and `why` says so. */
static pid_t pid_read(const char *path, char *why)
{
    char text[32] = "";
    FILE *f = fopen(path, "re");
    char *end = NULL;
    long pid = 0;

    if (!f) {
        snprintf(why, TROUBLE_MAX, "pid file %.150s: %s", path, strerror(errno));
        return 0;
    }
    if (fgets(text, sizeof(text), f))
        pid = strtol(text, &end, 10);
    fclose(f);
    if (pid > 1 && pid < INT32_MAX && (*end == '\0' || *end == '\n'))
        return (pid_t)pid;
    snprintf(why, TROUBLE_MAX, "pid file %.150s holds no process id", path);
    return 0;
}

static void note(char *trouble, const char *why)
{
    if (strcmp(trouble, why) == 0)
        return;
    if (*why)
        log_warn("change_untold", "error=\"%s\", trying again", why);
    snprintf(trouble, TROUBLE_MAX, "%s", why);
}

static void signal_turn(struct change *c)
{
    char why[TROUBLE_MAX] = "";
    pid_t pid;

    if (c->config.signal == 0 || !c->wanted)
        return;
    pid = pid_read(c->config.pid_file, why);
    if (pid > 0 && pid == c->signalled_pid && c->signalled && strcmp(c->signalled, c->wanted) == 0) {
        note(c->signal_trouble, "");
        return;
    }
    if (pid > 0 && kill(pid, c->config.signal) < 0)
        snprintf(why, sizeof(why), "signal process %d: %s", (int)pid, strerror(errno));
    note(c->signal_trouble, why);
    if (*why)
        return;
    c->signalled_pid = pid;
    free(c->signalled);
    c->signalled = must(strdup(c->wanted));
    log_info("change_signalled", "pid=%d signal=%d", (int)pid, c->config.signal);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

/* "NAME=value" of a member of the document, for programs that would rather not read JSON. */
static void environment_add(char **ret, int *count, const char *name, const char *document, const char *member)
{
    char wanted[40];
    const char *at;
    size_t len;

    snprintf(wanted, sizeof(wanted), "\"%s\":", member);
    at = must(strstr(document, wanted));
    at += strlen(wanted);
    at += *at == '"';
    len = strcspn(at, "\",}");
    must(asprintf(&ret[(*count)++], "%s=%.*s", name, (int)len, at) > 0 ? ret : NULL);
}

/* What the agent has, and ours. */
static char **environment_new(const char *document, int *ret_own)
{
    static const char *const members[][2] = { { "BATON_FLEET", "fleet" },
                                              { "BATON_COLOR", "color" },
                                              { "BATON_STATE", "state" },
                                              { "BATON_ACTIVE", "active" },
                                              { "BATON_SWITCH", "switch" } };
    int given = 0, count = 0;
    char **ret;

    while (environ[given])
        given++;
    ret = must(calloc((size_t)given + ARRAY_COUNT(members) + 1, sizeof(*ret)));
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        environment_add(ret, &count, members[i][0], document, members[i][1]);
    *ret_own = count;
    for (int i = 0; i < given; i++)
        if (strncmp(environ[i], "BATON_", 6) != 0)
            ret[count++] = environ[i];
    return ret;
}

/* The document as a file that is nowhere: nothing has to be written while the command reads, or does not. */
static int document_open(const char *document)
{
    const size_t len = strlen(document);
    int fd = memfd_create("baton-change", MFD_CLOEXEC);

    if (fd >= 0 && (write(fd, document, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void failed(struct change *c, const char *why)
{
    note(c->trouble, why);
    c->retry_ms = clock_ms() + c->retry_after_ms;
    c->retry_after_ms = 2 * c->retry_after_ms < RETRY_MS_MAX ? 2 * c->retry_after_ms : RETRY_MS_MAX;
}

static void start(struct change *c)
{
    const int in = document_open(c->wanted);
    char why[TROUBLE_MAX];
    int own, r = in < 0 ? errno : 0;

    if (r == 0) {
        char **environment = environment_new(c->wanted, &own);

        r = command_start(&c->pid, c->config.command, in, environment);
        for (int i = 0; i < own; i++)
            free(environment[i]);
        free(environment);
        close(in);
    }
    if (r != 0) {
        snprintf(why, sizeof(why), "the command cannot be started: %s", strerror(r));
        failed(c, why);
        return;
    }
    free(c->running);
    c->running = must(strdup(c->wanted));
    c->began_ms = clock_ms();
    c->killed_ms = 0;
}

static void ended(struct change *c, int status)
{
    char why[TROUBLE_MAX];

    c->pid = 0;
    if (c->killed_ms)
        snprintf(why, sizeof(why), "the command took longer than %lld ms and was ended",
                 (long long)c->config.timeout_ms);
    else
        command_status_text(why, sizeof(why), "the command", status);
    if (*why) {
        failed(c, why);
        return;
    }
    log_info("change_told", "took_ms=%lld", (long long)(clock_ms() - c->began_ms));
    note(c->trouble, "");
    free(c->told);
    c->told = c->running;
    c->running = NULL;
    c->retry_ms = 0;
    c->retry_after_ms = RETRY_MS;
}

static void command_turn(struct change *c)
{
    const int64_t now_ms = clock_ms();
    int status;

    if (c->pid && waitpid(c->pid, &status, WNOHANG) == c->pid)
        ended(c, status);
    if (c->pid && !c->killed_ms && now_ms - c->began_ms >= c->config.timeout_ms) {
        c->killed_ms = now_ms;
        kill(-c->pid, SIGTERM);
    } else if (c->pid && c->killed_ms && now_ms - c->killed_ms >= END_MS_MAX) {
        kill(-c->pid, SIGKILL);
    }
    if (c->config.command && c->wanted && !c->pid && now_ms >= c->retry_ms &&
        (!c->told || strcmp(c->told, c->wanted) != 0))
        start(c);
}

void change_turn(struct change *c)
{
    if (!c)
        return;
    command_turn(c);
    signal_turn(c);
}

static void on_child(evutil_socket_t number, short what, void *opaque)
{
    (void)number;
    (void)what;
    change_turn(opaque);
}

void change_tell(struct change *c, const char *document)
{
    if (*document && (!c->wanted || strcmp(c->wanted, document) != 0)) {
        free(c->wanted);
        c->wanted = must(strdup(document));
        c->retry_ms = 0; /* another document may fare better */
        c->retry_after_ms = RETRY_MS;
    }
    change_turn(c);
}

const char *change_trouble(const struct change *c)
{
    if (!c->wanted)
        return "nothing is known yet";
    if (c->trouble[0] || c->signal_trouble[0])
        return c->trouble[0] ? c->trouble : c->signal_trouble;
    return c->config.command && (!c->told || strcmp(c->told, c->wanted) != 0) ? "the command runs" : "";
}

int change_open(struct change **ret, struct event_base *base, const struct change_config *config, struct errmsg *m)
{
    struct change *c;
    char why[TROUBLE_MAX];

    if (config->signal && !config->pid_file)
        return err_set(m, ERR_INVALID, "whom to signal? Give --pid-file FILE");
    c = must(calloc(1, sizeof(*c)));
    c->config = *config;
    c->retry_after_ms = RETRY_MS;
    c->child = must(evsignal_new(base, SIGCHLD, on_child, c));
    event_add(c->child, NULL);
    if (config->signal && pid_read(config->pid_file, why) == 0)
        log_warn("change_nobody", "error=\"%s\", waiting for it", why);
    *ret = c;
    return ERR_OK;
}

void change_close(struct change *c)
{
    if (!c)
        return;
    command_kill(c->pid);
    event_free(c->child);
    free(c->wanted);
    free(c->running);
    free(c->told);
    free(c->signalled);
    free(c);
}
