/* clock - see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"

#define UNIX_MS_MAX 253402300799999LL /* the last millisecond of the year 9999 */

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;

    ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

int64_t clock_unix_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

int64_t clock_unix_ms(void)
{
    return clock_unix_us() / 1000;
}

const char *clock_format_unix_ms(char ret[32], int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    size_t len;

    if (unix_ms < 0 || unix_ms > UNIX_MS_MAX || !gmtime_r(&seconds, &tm)) {
        snprintf(ret, 32, "-"); /* Kafka's "no timestamp" is -1: showing 1969 for it would be a lie */
        return ret;
    }
    len = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + len, 32 - len, ".%03dZ", (int)(unix_ms % 1000));
    return ret;
}
