/*
 * err - see err.h.
 *
 * Both functions write their text aside first, so an argument may well be the `text` that is being replaced.
 */
#include "base/err.h"

#undef err_set /* macros for analyzers: err.h */
#undef err_wrap

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut must not end in half a character: terminals and JSON both choke on it. */
static void drop_half_character(char *text, size_t len)
{
    size_t start = len, need;

    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    start--;
    if (((unsigned char)text[start] & 0xe0) == 0xc0)
        need = 2;
    else if (((unsigned char)text[start] & 0xf0) == 0xe0)
        need = 3;
    else if (((unsigned char)text[start] & 0xf8) == 0xf0)
        need = 4;
    else
        return;
    if (len - start < need)
        text[start] = 0;
}

int err_set(struct errmsg *m, int code, const char *fmt, ...)
{
    char text[sizeof(m->text)];
    va_list ap;
    int len;

    if (!m)
        return code;
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len < 0)
        text[0] = 0;
    if (len >= (int)sizeof(text))
        drop_half_character(text, sizeof(text) - 1);
    memcpy(m->text, text, strlen(text) + 1);
    return code;
}

int err_wrap(struct errmsg *m, int code, const char *fmt, ...)
{
    char head[sizeof(m->text)], tail[sizeof(m->text)];
    va_list ap;
    int len;

    if (!m)
        return code;
    va_start(ap, fmt);
    len = vsnprintf(head, sizeof(head), fmt, ap);
    va_end(ap);
    if (len < 0)
        head[0] = 0;
    snprintf(tail, sizeof(tail), "%s", m->text[0] ? m->text : err_text(code));
    return err_set(m, code, "%s: %s", head, tail);
}

const char *err_text(int code)
{
    switch (code) {
    case ERR_OK:
        return "success";
#define ERR_TEXT(name, number, text) \
    case ERR_##name:                 \
        return text;
        ERR_MAP(ERR_TEXT)
#undef ERR_TEXT
    }
    return "unknown error";
}
