/*
 * parse - figures as people write them, and "did you mean" (str.h).
 *
 * strtoll() and friends skip blanks, take signs, stop at the first odd letter and wrap at the ends; a slip in a
 * deadline is found at three in the morning. So digits are read one by one, and all that is not understood is refused
 * with the text itself and a right one.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define SHOWN_BYTES 64         /* of a wrong text, in the sentence about it */
#define SUGGEST_LETTERS_MAX 64 /* longer words get no suggestion */

/* Largest first, each at most once. */
static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

/* Reads digits at *at into *ret and moves *at behind them; false when there are none or too many. */
static bool read_digits(int64_t *ret, const char **at)
{
    const char *p = *at;
    int64_t value = 0;

    while (*p >= '0' && *p <= '9') {
        int digit = *p++ - '0';

        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p == *at)
        return false;
    *ret = value;
    *at = p;
    return true;
}

/* Finds the unit at *at, from `first` on: those before it are larger or used up. */
static bool read_unit(size_t *ret, const char **at, size_t first)
{
    size_t len = 0;

    while (isalpha((unsigned char)(*at)[len]))
        len++;
    for (size_t i = first; i < ARRAY_COUNT(units); i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, *at, len) == 0) {
            *ret = i;
            *at += len;
            return true;
        }
    }
    return false;
}

static bool read_duration(int64_t *ret, const char *text)
{
    int64_t sum = 0, value;
    size_t next = 0, unit;

    do {
        if (!read_digits(&value, &text) || !read_unit(&unit, &text, next))
            return false;
        if (value > (INT64_MAX - sum) / units[unit].ms)
            return false;
        sum += value * units[unit].ms;
        next = unit + 1;
    } while (*text);
    *ret = sum;
    return true;
}

int parse_duration_ms(int64_t *ret, const char *text, int64_t min_ms, int64_t max_ms, struct errmsg *m)
{
    char shown[SHOWN_BYTES], low[32], high[32];
    int64_t ms;

    if (!read_duration(&ms, text))
        return err_set(m, ERR_INVALID,
                       "%s is not a duration: write whole numbers with a unit of d, h, m, s or ms, largest first, "
                       "as in 30s, 1m30s or 250ms",
                       log_quote(shown, sizeof(shown), text));
    if (ms < min_ms || ms > max_ms)
        return err_set(m, ERR_INVALID, "%s is out of range: allowed are %s to %s",
                       log_quote(shown, sizeof(shown), text), format_duration(low, min_ms),
                       format_duration(high, max_ms));
    *ret = ms;
    return ERR_OK;
}

int parse_percent(int *ret, const char *text, struct errmsg *m)
{
    char shown[SHOWN_BYTES];
    const char *at = text;
    int64_t value;

    if (!read_digits(&value, &at) || !text_equal(at, "%") || value < 1 || value > 100)
        return err_set(m, ERR_INVALID, "%s is not a percentage: write 1%% to 100%%, as in 25%%",
                       log_quote(shown, sizeof(shown), text));
    *ret = (int)value;
    return ERR_OK;
}

int parse_share_ppm(int *ret, const char *text, int min_ppm, int max_ppm, struct errmsg *m)
{
    char shown[SHOWN_BYTES], low[32], high[32];
    const char *at = text;
    int64_t whole, ppm;
    int unit = 1000;
    bool good = read_digits(&whole, &at) && whole <= 100000;

    ppm = good ? whole * 10000 : 0;
    if (good && *at == '.') {
        for (at++; *at >= '0' && *at <= '9' && unit > 0; at++, unit /= 10)
            ppm += (*at - '0') * unit;
        good = at[-1] != '.';
    }
    if (!good || !text_equal(at, "%"))
        return err_set(m, ERR_INVALID, "%s is not a share: write a percentage with at most four decimals, as in 0.5%%",
                       log_quote(shown, sizeof(shown), text));
    if (ppm < min_ppm || ppm > max_ppm)
        return err_set(m, ERR_INVALID, "%s is out of range: allowed are %s to %s",
                       log_quote(shown, sizeof(shown), text), format_share(low, min_ppm), format_share(high, max_ppm));
    *ret = (int)ppm;
    return ERR_OK;
}

int parse_int64(int64_t *ret, const char *text, int64_t min, int64_t max, struct errmsg *m)
{
    char shown[SHOWN_BYTES];
    const char *at = text;
    bool negative = *at == '-';
    int64_t value;

    if (negative)
        at++;
    if (!read_digits(&value, &at) || *at)
        return err_set(m, ERR_INVALID, "%s is not a whole number: write one from %lld to %lld",
                       log_quote(shown, sizeof(shown), text), (long long)min, (long long)max);
    if (negative)
        value = -value;
    if (value < min || value > max)
        return err_set(m, ERR_INVALID, "%s is out of range: allowed are %lld to %lld",
                       log_quote(shown, sizeof(shown), text), (long long)min, (long long)max);
    *ret = value;
    return ERR_OK;
}

const char *format_share(char ret[32], int ppm)
{
    int len = snprintf(ret, 32, "%d.%04d", ppm / 10000, ppm % 10000);

    while (ret[len - 1] == '0')
        len--;
    if (ret[len - 1] == '.')
        len--;
    snprintf(ret + len, 32 - (size_t)len, "%%");
    return ret;
}

const char *format_duration(char ret[32], int64_t ms)
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    int len = 0;

    if (ms == 0) {
        snprintf(ret, 32, "0s");
        return ret;
    }
    if (ms < 0)
        ret[len++] = '-';
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        uint64_t count = left / (uint64_t)units[i].ms;

        if (count > 0)
            len += snprintf(ret + len, 32 - (size_t)len, "%llu%s", (unsigned long long)count, units[i].name);
        left -= count * (uint64_t)units[i].ms;
    }
    ASSERT(len < 32);
    return ret;
}

/* Letters to add, drop, change or swap with their neighbour to make `b` of `a`; case is forgiven. */
static int edit_distance(const char *a, const char *b)
{
    int before[SUGGEST_LETTERS_MAX + 1], above[SUGGEST_LETTERS_MAX + 1], row[SUGGEST_LETTERS_MAX + 1];
    int a_len = (int)strlen(a), b_len = (int)strlen(b);

    for (int j = 0; j <= b_len; j++)
        above[j] = before[j] = j;
    for (int i = 1; i <= a_len; i++) {
        row[0] = i;
        for (int j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            int best = above[j - 1] + (x != y);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && tolower((unsigned char)a[i - 2]) == y &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        memcpy(before, above, sizeof(before));
        memcpy(above, row, sizeof(above));
    }
    return above[b_len];
}

const char *suggest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t letters = strlen(word);
    int least = (int)letters / 3 + 1;

    if (letters > SUGGEST_LETTERS_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        int distance;

        if (strlen(candidates[i]) > SUGGEST_LETTERS_MAX)
            continue;
        distance = edit_distance(word, candidates[i]);
        if (distance < least) {
            least = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
