/*
 * check - see check.h.
 *
 * The handler is for the simulation, which wants to print the seed and the story of the world that broke a fact, and
 * then to go on with the next world: it leaves by longjmp(), so nothing may be locked or half-written here when it is
 * called. It is one per thread, for worlds may run side by side.
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static _Thread_local void (*check_handler)(const char *fact, const char *file, int line);

void check_set_handler(void (*handler)(const char *fact, const char *file, int line))
{
    check_handler = handler;
}

void check_failed(const char *fact, const char *file, int line)
{
    if (check_handler)
        check_handler(fact, file, line);
    fprintf(stderr,
            "baton: this does not hold: %s (%s:%d)\n"
            "baton: stopping at once, since a wrong hand-over is worse than none; please report this line\n",
            fact, file, line);
    abort();
}
