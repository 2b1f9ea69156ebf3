/* command - see command.h. */
#include "agent/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int command_start(pid_t *ret, const char *line, int in, char *const *environment)
{
    char *const argv[] = { "sh", "-c", (char *)line, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    pid_t pid;
    int r;

    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    r = posix_spawn(&pid, "/bin/sh", &files, &how, argv, environment);
    if (r == 0)
        *ret = pid;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return r;
}

void command_status_text(char *ret, size_t room, const char *name, int status)
{
    ret[0] = '\0';
    if (WIFSIGNALED(status))
        snprintf(ret, room, "%s was ended by signal %d", name, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(ret, room, "%s ended with %d", name, WEXITSTATUS(status));
}

void command_kill(pid_t pid)
{
    if (pid == 0)
        return;
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
