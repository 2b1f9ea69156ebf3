/*
 * interrupts - Ctrl-C and SIGTERM as a number and a descriptor.
 *
 * The handler counts and writes to an eventfd, nothing else. The third signal ends the process: somebody
 * means it, and the state is in Kafka. The terminal is put right before. The first one ends it when last words are set.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/live.h"

static volatile sig_atomic_t count;
static const char *volatile last_words;
static int wake_fd = -1;

static void on_signal(int number)
{
    const uint64_t one = 1;
    const char *words = last_words;
    int saved = errno;

    (void)number;
    count++;
    if (words) {
        if (write(STDERR_FILENO, words, strlen(words)) < 0) {
            /* nobody to tell */
        }
        _exit(EXITS_LOOKED_AWAY);
    }
    if (count >= 3) {
        live_restore();
        _exit(EXITS_LOOKED_AWAY);
    }
    if (write(wake_fd, &one, sizeof(one)) < 0) {
        /* full: it is readable anyway */
    }
    errno = saved;
}

int interrupts_catch(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    if (wake_fd >= 0)
        return wake_fd;
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0)
        return -1;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    return wake_fd;
}

void interrupts_last_words(const char *words)
{
    last_words = words;
}

int interrupts_count(void)
{
    return count;
}

void interrupts_drain(void)
{
    uint64_t ignored;

    if (wake_fd >= 0 && read(wake_fd, &ignored, sizeof(ignored)) < 0) {
        /* empty: nothing to drain */
    }
}
