/* json_write - see json_write.h. */
#include "wire/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

static void begin_value(struct json_out *o, const char *key)
{
    if (o->comma)
        str_add_char(o->text, ',');
    if (key) {
        str_add_char(o->text, '"');
        str_add(o->text, key);
        str_add_bytes(o->text, "\":", 2);
    }
    o->comma = true;
}

void json_open(struct json_out *o, const char *key, char bracket)
{
    begin_value(o, key);
    str_add_char(o->text, bracket);
    o->comma = false;
}

void json_close(struct json_out *o, char bracket)
{
    str_add_char(o->text, bracket);
    o->comma = true;
}

/*
 * Length of the UTF-8 character at `p`, 0 when there is none: no overlong forms, no surrogates, nothing above
 * U+10FFFF. The terminator stops every reading, as it is no continuation byte.
 */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        const unsigned low = p[0] == 0xe0 ? 0xa0 : 0x80, high = p[0] == 0xed ? 0x9f : 0xbf;

        return p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        const unsigned low = p[0] == 0xf0 ? 0x90 : 0x80, high = p[0] == 0xf4 ? 0x8f : 0xbf;

        return p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80 ? 4 : 0;
    }
    return 0;
}

bool json_text_is_clean(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    while (*p) {
        const size_t len = utf8_length(p);

        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_escaped(struct str *text, const unsigned char **at)
{
    const unsigned char *p = *at;
    const size_t len = utf8_length(p);

    *at += len > 0 ? len : 1;
    if (len == 0)
        str_add_char(text, '?');
    else if (len > 1)
        str_add_bytes(text, p, len);
    else if (*p == '"' || *p == '\\')
        str_addf(text, "\\%c", *p);
    else if (*p == '\n')
        str_add_bytes(text, "\\n", 2);
    else
        str_addf(text, "\\u%04x", *p);
}

void json_put_text(struct json_out *o, const char *key, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    begin_value(o, key);
    str_add_char(o->text, '"');
    while (*p) {
        const unsigned char *run = p;

        while (is_plain(*p))
            p++;
        str_add_bytes(o->text, run, (size_t)(p - run));
        if (*p)
            add_escaped(o->text, &p);
    }
    str_add_char(o->text, '"');
}

/* By hand: a fleet of 16,384 batons has some 100,000 numbers, and printf() takes five times as long. */
void json_put_int(struct json_out *o, const char *key, int64_t value)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--p = '-';
    begin_value(o, key);
    str_add_bytes(o->text, p, (size_t)(digits + sizeof(digits) - p));
}

void json_put_uint(struct json_out *o, const char *key, uint64_t value)
{
    ASSERT(value <= INT64_MAX);
    json_put_int(o, key, (int64_t)value);
}

void json_put_real(struct json_out *o, const char *key, double value)
{
    char digits[32];

    if (!isfinite(value)) {
        json_put_null(o, key);
        return;
    }
    snprintf(digits, sizeof(digits), "%.9g", value);
    begin_value(o, key);
    str_add(o->text, digits);
}

void json_put_bool(struct json_out *o, const char *key, bool value)
{
    begin_value(o, key);
    str_add(o->text, value ? "true" : "false");
}

void json_put_null(struct json_out *o, const char *key)
{
    begin_value(o, key);
    str_add_bytes(o->text, "null", 4);
}

void json_put_us_as_ms(struct json_out *o, const char *key, int64_t us)
{
    if (us < 0) {
        json_put_null(o, key);
        return;
    }
    begin_value(o, key);
    str_addf(o->text, "%" PRId64 ".%03d", us / 1000, (int)(us % 1000));
}

static int add_dumped(const char *bytes, size_t len, void *text)
{
    str_add_bytes(text, bytes, len);
    return 0;
}

void json_put_tree(struct json_out *o, const char *key, const json_t *tree)
{
    begin_value(o, key);
    if (json_dump_callback(tree, add_dumped, o->text, JSON_COMPACT | JSON_ENCODE_ANY) != 0 && !o->text->error)
        o->text->error = ERR_NOMEM;
}
