/*
 * children - see children.h.
 */
#include "cli/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

/* Between fork and exec: only what is safe in a child of a program with threads. */
_Noreturn static void become(const char *const *argv, pid_t parent, int out, int log)
{
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died meanwhile, and would not be noticed any more */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(out >= 0 ? out : log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

int child_start(struct child *ret, const char *name, const char *folder, const char *const *argv, bool with_out,
                struct errmsg *m)
{
    int out[2] = { -1, -1 }, log;
    pid_t parent = getpid(), pid;

    *ret = (struct child){ .out = -1 };
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->log, sizeof(ret->log), "%s/%s.log", folder, name);
    log = open(ret->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || (with_out && pipe2(out, O_CLOEXEC) != 0)) {
        int saved = errno;

        if (log >= 0)
            close(log);
        return err_set(m, ERR_IO, "start %s: %s", name, strerror(saved));
    }
    pid = fork();
    if (pid == 0)
        become(argv, parent, out[1], log);
    close(log);
    if (out[1] >= 0)
        close(out[1]);
    if (pid < 0) {
        if (out[0] >= 0)
            close(out[0]);
        return err_set(m, ERR_IO, "start %s: %s", name, strerror(errno));
    }
    setpgid(pid, pid);
    ret->pid = pid;
    ret->out = out[0];
    return ERR_OK;
}

int child_line(struct child *c, char *ret, size_t ret_size, int timeout_ms, struct errmsg *m)
{
    int64_t until_ms = clock_ms() + timeout_ms;
    struct pollfd fds[2] = { { .fd = c->out, .events = POLLIN }, { .fd = interrupts_catch(), .events = POLLIN } };
    char last_words[400];
    size_t len = 0;

    while (clock_ms() < until_ms) {
        char letter;
        ssize_t n;

        if (interrupts_count() > 0)
            return err_set(m, ERR_CLOSED, "interrupted");
        if (poll(fds, fds[1].fd >= 0 ? 2 : 1, 50) <= 0 || !fds[0].revents)
            continue;
        n = read(c->out, &letter, 1);
        if (n <= 0) {
            child_last_words(c, last_words, sizeof(last_words));
            return err_set(m, ERR_CLOSED, "%s ended before it was ready: %s", c->name, last_words);
        }
        if (letter == '\n') {
            ret[len] = 0;
            return ERR_OK;
        }
        if (len + 1 < ret_size)
            ret[len++] = letter;
    }
    return err_set(m, ERR_TIMEOUT, "%s is not ready after %d s", c->name, timeout_ms / 1000);
}

bool child_runs(struct child *c)
{
    if (c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
        c->pid = 0;
    return c->pid > 0;
}

void child_signal(struct child *c, int number)
{
    c->expected = true;
    if (child_runs(c))
        kill(c->pid, number);
}

static bool all_gone(struct child *children, int count)
{
    bool gone = true;

    for (int i = 0; i < count; i++)
        gone = !child_runs(&children[i]) && gone;
    return gone;
}

void children_end(struct child *children, int count, int patience_ms)
{
    int64_t until_ms = clock_ms() + patience_ms;

    for (int i = 0; i < count; i++)
        child_signal(&children[i], SIGTERM);
    while (!all_gone(children, count) && clock_ms() < until_ms)
        poll(NULL, 0, 10);
    for (int i = 0; i < count; i++) {
        if (child_runs(&children[i])) {
            kill(children[i].pid, SIGKILL);
            waitpid(children[i].pid, &children[i].status, 0);
            children[i].pid = 0;
        }
        if (children[i].out >= 0)
            close(children[i].out);
        children[i].out = -1;
    }
}

void child_last_words(const struct child *c, char *ret, size_t ret_size)
{
    FILE *file = fopen(c->log, "re");
    char line[400];

    snprintf(ret, ret_size, "it said nothing");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            snprintf(ret, ret_size, "%s", line);
    }
    fclose(file);
}
