/*
 * log - see log.h.
 *
 * A line leaves by one write(), so lines of several threads do not mix. What others send (client ids, broker texts)
 * may hold line ends or bytes that are no UTF-8; such bytes are escaped here, so nobody can forge a line or spoil the
 * JSON. A line has a bound; a longer text ends in "...".
 *
 * As JSON, the leading key=value pairs become fields:
 *
 *     {"time":"...","level":"warn","event":"append_failed","fields":{"error":"no"},"message":"retrying in 1 s"}
 */
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

#define TEXT_BYTES_MAX 1536
#define LINE_BYTES_MAX (6 * TEXT_BYTES_MAX + 512) /* JSON: up to six bytes for one */

static log_sink *_Atomic current_sink;
static void *_Atomic current_opaque;
static atomic_int level_least = LOG_INFO;
static atomic_bool as_json;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

/* Output that fits by construction or is cut; one byte stays for the line's end. */
struct out {
    char *buf;
    size_t size, len;
};

static void out_bytes(struct out *o, const char *bytes, size_t len)
{
    if (len < o->size - o->len) {
        memcpy(o->buf + o->len, bytes, len);
        o->len += len;
    }
}

static void out_text(struct out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
}

/* Bytes of the UTF-8 character at `s`; 0 when it is none. */
static size_t utf8_bytes(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t need = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < need; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
        (u[0] == 0xf4 && u[1] > 0x8f))
        return 0; /* overlong, half a surrogate pair, beyond Unicode */
    return need;
}

/* One character of `s`, escaped where it must be; how many bytes of `s` it was. */
static size_t out_character(struct out *o, const char *s, bool json)
{
    size_t bytes = utf8_bytes(s);
    char escape[8];

    if (json && (*s == '"' || *s == '\\'))
        snprintf(escape, sizeof(escape), "\\%c", *s);
    else if (*s == '\n' || *s == '\r' || *s == '\t')
        snprintf(escape, sizeof(escape), "\\%c", *s == '\n' ? 'n' : *s == '\r' ? 'r' : 't');
    else if (bytes == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f))
        snprintf(escape, sizeof(escape), json ? "\\u%04x" : "\\x%02x", (unsigned)(unsigned char)*s);
    else if (bytes == 0)
        snprintf(escape, sizeof(escape), json ? "\\ufffd" : "\\x%02x", (unsigned)(unsigned char)*s);
    else {
        out_bytes(o, s, bytes);
        return bytes;
    }
    out_text(o, escape);
    return 1;
}

static void out_json_string(struct out *o, const char *text, size_t len)
{
    out_text(o, "\"");
    for (size_t i = 0; i < len;)
        i += out_character(o, text + i, true);
    out_text(o, "\"");
}

/* The value of a pair, which may stand between quotes as log_quote() wrote it; returns what follows it. */
static const char *out_json_value(struct out *o, const char *at)
{
    size_t len;

    if (*at != '"') {
        len = strcspn(at, " ,");
        out_json_string(o, at, len);
        return at + len;
    }
    at++;
    out_text(o, "\"");
    while (*at && *at != '"') {
        if (*at == '\\' && at[1])
            at++;
        at += out_character(o, at, true);
    }
    out_text(o, "\"");
    return *at ? at + 1 : at;
}

static void out_json_fields(struct out *o, const char *text)
{
    bool first = true;

    out_text(o, ",\"fields\":{");
    for (;;) {
        size_t key = 0;

        while (isalnum((unsigned char)text[key]) || text[key] == '_' || text[key] == '.')
            key++;
        if (key == 0 || text[key] != '=')
            break;
        out_text(o, first ? "" : ",");
        out_json_string(o, text, key);
        out_text(o, ":");
        text = out_json_value(o, text + key + 1);
        text += strspn(text, " ,");
        first = false;
    }
    out_text(o, "},\"message\":");
    out_json_string(o, text, strlen(text));
}

static bool put_line(enum log_level level, const char *event, const char *text)
{
    char line[LINE_BYTES_MAX], time[32];
    struct out o = { .buf = line, .size = sizeof(line) };
    size_t done = 0;

    clock_format_unix_ms(time, clock_unix_ms());
    if (as_json) {
        out_text(&o, "{\"time\":\"");
        out_text(&o, time);
        out_text(&o, "\",\"level\":\"");
        out_text(&o, level_names[level]);
        out_text(&o, "\",\"event\":");
        out_json_string(&o, event, strlen(event));
        out_json_fields(&o, text);
        out_text(&o, "}");
    } else {
        out_text(&o, time);
        out_text(&o, " ");
        out_text(&o, level_names[level]);
        out_text(&o, level == LOG_INFO || level == LOG_WARN ? "  " : " ");
        out_text(&o, event);
        out_text(&o, *text ? " " : "");
        while (*text)
            text += out_character(&o, text, false);
    }
    ASSERT(o.len < sizeof(line));
    line[o.len++] = '\n';
    while (done < o.len) {
        ssize_t n = write(STDERR_FILENO, line + done, o.len - done);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            done += (size_t)n;
    }
    return true;
}

/* A line that cannot be written (a full disk, a reader that is gone) is counted, and the count told once there is room. */
static void write_line(enum log_level level, const char *event, const char *text)
{
    static atomic_uint lost;
    const unsigned count = atomic_exchange(&lost, 0);
    char told[64];

    snprintf(told, sizeof(told), "count=%u, standard error could not be written", count);
    if (count > 0 && !put_line(LOG_WARN, "log_lines_lost", told))
        atomic_fetch_add(&lost, count + 1);
    else if (!put_line(level, event, text))
        atomic_fetch_add(&lost, 1);
}

void log_set_sink(log_sink *sink, void *opaque)
{
    current_opaque = opaque;
    current_sink = sink;
}

void log_set_level(enum log_level least)
{
    level_least = (int)least;
}

void log_set_json(bool json)
{
    as_json = json;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    int saved_errno = errno; /* a caller may still want it after it has logged */
    char text[TEXT_BYTES_MAX];
    log_sink *sink = current_sink;
    va_list ap;
    int len;

    if ((int)level < level_least)
        return;
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len < 0)
        text[0] = 0;
    if (len >= (int)sizeof(text))
        memcpy(text + sizeof(text) - 4, "...", 4);
    if (sink)
        sink(current_opaque, level, event, text);
    else
        write_line(level, event, text);
    errno = saved_errno;
}

const char *log_quote(char *ret, unsigned long ret_size, const char *text)
{
    struct out o = { .buf = ret, .size = ret_size - 1 }; /* 1: the closing quote */
    size_t cut = 0;

    ASSERT(ret_size >= 8);
    out_text(&o, "\"");
    while (*text) {
        size_t before = o.len;

        text += out_character(&o, text, true);
        if (before + 3 < o.size)
            cut = before; /* "..." still fits here */
        if (o.len == before) {
            o.len = cut;
            out_text(&o, "...");
            break;
        }
    }
    ret[o.len] = '"';
    ret[o.len + 1] = 0;
    return ret;
}
