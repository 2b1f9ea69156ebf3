/*
 * str - see str.h.
 *
 * Memory doubles from STR_ROOM_FIRST up to the bound and one more byte for the terminator. An addition that does not
 * fit is left out as a whole: half a line in a document would be worse than the error that says so.
 */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

#define STR_ROOM_FIRST 64

char str_empty[1] = "";

static void str_check(const struct str *s)
{
    ASSERT(s->buf);
    ASSERT(s->max < SIZE_MAX);
    ASSERT(s->len <= s->max);
    ASSERT(s->buf[s->len] == 0);
    if (s->room == 0)
        ASSERT(s->buf == str_empty && s->len == 0);
    else
        ASSERT(s->len < s->room && s->room <= s->max + 1);
}

/* Room for `more` bytes and a terminator, or the error that sticks. */
static bool str_reserve(struct str *s, size_t more)
{
    size_t room = s->room ? s->room : STR_ROOM_FIRST, need;
    char *buf;

    str_check(s);
    if (s->error)
        return false;
    if (more > s->max - s->len) {
        s->error = ERR_TOO_LARGE;
        return false;
    }
    need = s->len + more + 1;
    if (need <= s->room)
        return true;
    while (room < need)
        room = room > s->max / 2 ? s->max + 1 : room * 2;
    if (room > s->max + 1)
        room = s->max + 1;
    buf = realloc(s->room ? s->buf : NULL, room);
    if (!buf) {
        s->error = ERR_NOMEM;
        return false;
    }
    buf[s->len] = 0;
    s->buf = buf;
    s->room = room;
    return true;
}

void str_free(struct str *s)
{
    if (s->room)
        free(s->buf);
    *s = STR_WITH_MAX(s->max);
}

void str_clear(struct str *s)
{
    if (s->room)
        s->buf[0] = 0;
    s->len = 0;
    s->error = ERR_OK;
}

int str_error(const struct str *s)
{
    return s->error;
}

void str_add_bytes(struct str *s, const void *bytes, size_t len)
{
    if (!str_reserve(s, len) || len == 0)
        return;
    memcpy(s->buf + s->len, bytes, len);
    s->len += len;
    s->buf[s->len] = 0;
}

void str_add(struct str *s, const char *text)
{
    str_add_bytes(s, text, strlen(text));
}

void str_add_char(struct str *s, char c)
{
    str_add_bytes(s, &c, 1);
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    ASSERT(len >= 0);
    if (!str_reserve(s, (size_t)len) || len == 0)
        return;
    vsnprintf(s->buf + s->len, (size_t)len + 1, fmt, ap);
    s->len += (size_t)len;
    str_check(s);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(s, fmt, ap);
    va_end(ap);
}

char *str_take(struct str *s)
{
    char *text = NULL;

    if (!s->error)
        str_reserve(s, 0); /* an empty text is the caller's to free(), too */
    if (!s->error) {
        text = s->buf;
        s->room = 0;
    }
    str_free(s);
    return text;
}

bool text_copy(char *ret, size_t ret_size, const char *text)
{
    size_t len = strlen(text);

    ASSERT(ret_size > 0);
    if (len >= ret_size) {
        ret[0] = 0;
        return false;
    }
    memmove(ret, text, len + 1);
    return true;
}

bool text_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}
