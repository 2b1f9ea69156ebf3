/*
 * worker - see worker.h.
 */
#include "run/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_BYTES (1024 * 1024)
#define READ_STEP (64 * 1024)
#define READ_TURN (4 * READ_STEP) /* then others have their turn */
#define OUT_KEEP (1024 * 1024)    /* memory that an empty `out` may keep */

void worker_init(struct worker *w)
{
    *w = (struct worker){ .in = -1, .out_fd = -1, .out = STR_WITH_MAX(WORKER_OUT_MAX) };
}

/* ---- its beginning ---- */

static bool runs(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int worker_find(char **ret, const char *word, struct errmsg *m)
{
    const char *at = getenv("PATH");
    char path[PATH_MAX];

    if (!*word)
        return err_set(m, ERR_INVALID, "the command is an empty word");
    if (strchr(word, '/')) {
        if (access(word, F_OK) != 0)
            return err_set(m, ERR_NOT_FOUND, "command '%s': %s", word, strerror(errno));
        if (!runs(word))
            return err_set(m, ERR_DENIED, "command '%s' cannot be run: chmod +x it, or name its interpreter before it",
                           word);
        *ret = strdup(word);
        return *ret ? ERR_OK : err_set(m, ERR_NOMEM, "out of memory");
    }
    for (at = at ? at : "/usr/local/bin:/usr/bin:/bin"; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        int len = (int)strcspn(at, ":");

        if (snprintf(path, sizeof(path), "%.*s%s%s", len, at, len ? "/" : "./", word) < (int)sizeof(path) &&
            runs(path)) {
            *ret = strdup(path);
            return *ret ? ERR_OK : err_set(m, ERR_NOMEM, "out of memory");
        }
    }
    return err_set(m, ERR_NOT_FOUND, "command '%s' is in no folder of PATH%s", word,
                   runs(word) ? "; it is here: write ./ before it" : "");
}

/* Between fork and exec: only what is safe in a child of a program with threads. */
_Noreturn static void become(const char *program, char *const *argv, char *const *environment, pid_t parent, int in,
                             int out)
{
    static const int defaults[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1, SIGUSR2 };
    static const char sorry[] = "baton: the command cannot be run (a missing interpreter in its first line?)\n";
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died meanwhile, and would not be noticed any more */
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        signal(defaults[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execve(program, argv, environment);
    if (write(STDERR_FILENO, sorry, sizeof(sorry) - 1) < 0) {
        /* nobody listens */
    }
    _exit(127);
}

static void close_pair(int pair[2])
{
    if (pair[0] >= 0) {
        close(pair[0]);
        close(pair[1]);
    }
}

int worker_start(struct worker *w, const char *program, char *const *argv, char *const *environment, struct errmsg *m)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 };
    pid_t parent = getpid(), pid;

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        goto fail;
    fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES); /* where the system allows it: fewer turns for big records */
    if (fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0)
        goto fail;
    pid = fork();
    if (pid < 0)
        goto fail;
    if (pid == 0)
        become(program, argv, environment, parent, in[0], out[1]);
    setpgid(pid, pid);
    close(in[0]);
    close(out[1]);
    w->pid = pid;
    w->in = in[1];
    w->out_fd = out[0];
    w->sent = w->line_len = 0;
    w->dropping = false;
    str_clear(&w->out);
    return ERR_OK;
fail:
    err_set(m, ERR_IO, "start the command: %s", strerror(errno));
    close_pair(in);
    close_pair(out);
    return ERR_IO;
}

/* ---- what goes through it ---- */

bool worker_room(const struct worker *w)
{
    return w->in >= 0 && w->out.len - w->sent < WORKER_OUT_ENOUGH;
}

bool worker_write(struct worker *w)
{
    while (w->in >= 0 && w->sent < w->out.len) {
        ssize_t n = write(w->in, w->out.buf + w->sent, w->out.len - w->sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (n < 0) {
            worker_close_stdin(w);
            return false;
        }
        w->sent += (size_t)n;
    }
    if (w->sent == w->out.len) {
        if (w->out.room > OUT_KEEP)
            str_free(&w->out);
        else
            str_clear(&w->out);
        w->sent = 0;
    }
    return w->in >= 0;
}

/* Tells the whole lines of `line`, keeps the rest. */
static void tell(struct worker *w, worker_said *said, void *opaque)
{
    char *at = w->line, *end = w->line + w->line_len, *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (w->dropping)
            w->dropping = false;
        else
            said(opaque, WORKER_SAID_LINE, at, (size_t)(newline - at));
        at = newline + 1;
    }
    w->line_len = (size_t)(end - at);
    memmove(w->line, at, w->line_len);
    if (w->dropping) {
        w->line_len = 0;
    } else if (w->line_len > WORKER_LINE_MAX) {
        said(opaque, WORKER_SAID_TOO_MUCH, w->line, w->line_len);
        w->dropping = true;
        w->line_len = 0;
    }
}

static bool line_grow(struct worker *w)
{
    size_t room = w->line_room ? w->line_room * 2 : 2 * READ_STEP;
    char *line;

    if (w->line_room - w->line_len >= READ_STEP)
        return true;
    line = realloc(w->line, room); /* at most a line, a read and a doubling */
    if (!line)
        return false;
    w->line = line;
    w->line_room = room;
    return true;
}

bool worker_read(struct worker *w, worker_said *said, void *opaque)
{
    for (size_t all = 0; w->out_fd >= 0 && all < READ_TURN;) {
        ssize_t n;

        if (!line_grow(w))
            return true; /* no memory now: the rest stays in the pipe */
        n = read(w->out_fd, w->line + w->line_len, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (n <= 0) {
            if (w->line_len && !w->dropping) /* a last line without its end */
                said(opaque, WORKER_SAID_LINE, w->line, w->line_len);
            w->line_len = 0;
            close(w->out_fd);
            w->out_fd = -1;
            return false;
        }
        w->line_len += (size_t)n;
        all += (size_t)n;
        tell(w, said, opaque);
        if (n < READ_STEP)
            return true;
    }
    return w->out_fd >= 0;
}

/* ---- its end ---- */

void worker_close_stdin(struct worker *w)
{
    if (w->in >= 0)
        close(w->in);
    w->in = -1;
    str_free(&w->out);
    w->sent = 0;
}

void worker_finish(struct worker *w)
{
    if (w->in >= 0 && w->sent == w->out.len)
        worker_close_stdin(w);
}

void worker_signal(struct worker *w, int number)
{
    if (w->pid > 0 && kill(-w->pid, number) != 0)
        kill(w->pid, number);
}

void worker_ended(struct worker *w)
{
    worker_close_stdin(w);
    if (w->out_fd >= 0)
        close(w->out_fd);
    w->out_fd = -1;
    w->pid = 0;
    w->line_len = 0;
}

void worker_deinit(struct worker *w)
{
    worker_close_stdin(w);
    if (w->out_fd >= 0)
        close(w->out_fd);
    free(w->line);
    w->line = NULL;
}
