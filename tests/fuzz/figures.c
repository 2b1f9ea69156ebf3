/* figures - durations, percentages and whole numbers, as people write them and as we write them back. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void duration(const char *text, int64_t min, int64_t max)
{
    char written[32];
    int64_t ms, again;
    struct errmsg m;

    if (parse_duration_ms(&ms, text, min, max, &m) < 0)
        return;
    ASSERT(ms >= min && ms <= max);
    fuzz_accepted(parse_duration_ms(&again, format_duration(written, ms), min, max, &m), &m, written);
    ASSERT(again == ms);
}

/* Any number is written; one that is not negative is read back. */
static void duration_written(const char *bytes)
{
    char written[32];
    struct errmsg m;
    int64_t ms, again;

    memcpy(&ms, bytes, sizeof(ms));
    format_duration(written, ms);
    if (ms < 0)
        return;
    fuzz_accepted(parse_duration_ms(&again, written, 0, INT64_MAX, &m), &m, written);
    ASSERT(again == ms);
}

void fuzz_figures(const char *bytes, size_t len)
{
    static const char *const words[] = { "fleet", "topics", "deadline", "members", "session_timeout" };
    char *text = fuzz_copy(bytes, len);
    struct str written = STR_WITH_MAX(64);
    struct errmsg m;
    int64_t number, again;
    int percent;

    duration(text, 0, INT64_MAX);
    duration(text, 1000, 3600000);
    if (parse_percent(&percent, text, &m) == ERR_OK) {
        ASSERT(percent >= 1 && percent <= 100);
    }
    if (parse_int64(&number, text, INT64_MIN, INT64_MAX, &m) == ERR_OK) {
        str_addf(&written, "%lld", (long long)number);
        fuzz_accepted(parse_int64(&again, written.buf, INT64_MIN, INT64_MAX, &m), &m, written.buf);
        ASSERT(again == number);
    }
    if (len >= sizeof(int64_t))
        duration_written(text);
    suggest(text, words, ARRAY_COUNT(words));
    str_free(&written);
    free(text);
}
