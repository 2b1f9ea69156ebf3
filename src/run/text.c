/*
 * text - see text.h.
 */
#include "run/text.h"

#include <stdio.h>
#include <string.h>

#define JSON_DEPTH_MAX 200

/* Of a byte in a JSON string: PLAIN is copied, the others are looked at. */
enum { PLAIN, ESCAPE, WIDE };

static unsigned char kind_of(unsigned char c)
{
    return c >= 0x80 ? WIDE : c < 0x20 || c == '"' || c == '\\' ? ESCAPE : PLAIN;
}

/* How many of these bytes need no look: eight at a time. */
static size_t plain_run(const unsigned char *at, size_t len)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t n = 0;

    while (n + 8 <= len) {
        uint64_t w, quote, slash;

        memcpy(&w, at + n, sizeof(w));
        quote = w ^ (ones * '"');
        slash = w ^ (ones * '\\');
        /* a high bit where a byte is >= 0x80, < 0x20, a quote or a backslash; it may also be set behind such a byte */
        if ((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & highs)
            break;
        n += 8;
    }
    while (n < len && kind_of(at[n]) == PLAIN)
        n++;
    return n;
}

/* Length of the UTF-8 sequence at `at`, 0: it is none (overlong and surrogates included). */
static size_t wide_len(const unsigned char *at, size_t len)
{
    size_t n = at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

static void add_escape(struct str *s, unsigned char c)
{
    static const char letters[] = "btn\vfr"; /* of 8 to 13; 11 has none */
    char text[8] = { '\\', (char)c };

    if (c >= 8 && c <= 13 && c != 11)
        text[1] = letters[c - 8];
    else if (c < 0x20)
        snprintf(text, sizeof(text), "\\u%04x", c);
    str_add(s, text);
}

void text_cut(struct str *s, size_t len)
{
    if (str_error(s))
        return;
    s->len = len;
    s->buf[len] = '\0';
}

bool text_add_string(struct str *s, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    size_t before = s->len, done = 0, i = 0;

    str_add_char(s, '"');
    while ((i += plain_run(at + i, len - i)) < len) {
        size_t n = kind_of(at[i]) == WIDE ? wide_len(at + i, len - i) : 1;

        if (n == 0) {
            text_cut(s, before);
            return false;
        }
        if (kind_of(at[i]) == ESCAPE) {
            str_add_bytes(s, at + done, i - done);
            add_escape(s, at[i]);
            done = i + 1;
        }
        i += n;
    }
    if (len > done)
        str_add_bytes(s, at + done, len - done);
    str_add_char(s, '"');
    return true;
}

void text_add_base64(struct str *s, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes;
    char out[4 * 64];
    size_t n = 0;

    str_add_char(s, '"');
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t w = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (left > 2 ? at[i + 2] : 0);

        out[n++] = digits[w >> 18];
        out[n++] = digits[w >> 12 & 63];
        out[n++] = left > 1 ? digits[w >> 6 & 63] : '=';
        out[n++] = left > 2 ? digits[w & 63] : '=';
        if (n == sizeof(out)) {
            str_add_bytes(s, out, n);
            n = 0;
        }
    }
    if (n)
        str_add_bytes(s, out, n);
    str_add_char(s, '"');
}

size_t number_text(char ret[NUMBER_MAX], int64_t number)
{
    char text[NUMBER_MAX];
    size_t at = sizeof(text);
    uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do
        text[--at] = (char)('0' + n % 10);
    while (n /= 10);
    if (number < 0)
        text[--at] = '-';
    memcpy(ret, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

/* ---- is it JSON? ---- */

struct scan {
    const unsigned char *at, *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool skip_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return false;
    s->at += len;
    return true;
}

static bool skip_digits(struct scan *s)
{
    const unsigned char *before = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > before;
}

static bool skip_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!skip_digits(s))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!skip_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_escape(struct scan *s)
{
    if (s->end - s->at < 2)
        return false;
    if (s->at[1] == 'u') {
        if (s->end - s->at < 6)
            return false;
        for (int i = 2; i < 6; i++)
            if (!s->at[i] || !strchr("0123456789abcdefABCDEF", s->at[i]))
                return false;
        s->at += 6;
        return true;
    }
    if (!s->at[1] || !strchr("\"\\/bfnrt", s->at[1]))
        return false;
    s->at += 2;
    return true;
}

static bool skip_string(struct scan *s)
{
    s->at++;
    for (;;) {
        size_t n;

        s->at += plain_run(s->at, (size_t)(s->end - s->at));
        if (s->at == s->end || *s->at < 0x20)
            return false;
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (*s->at == '\\') {
            if (!skip_escape(s))
                return false;
            continue;
        }
        n = wide_len(s->at, (size_t)(s->end - s->at));
        if (n == 0)
            return false;
        s->at += n;
    }
}

/* `"name" :` of an object's member. */
static bool skip_name(struct scan *s)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != '"' || !skip_string(s))
        return false;
    skip_blanks(s);
    return skip_word(s, ":");
}

static bool skip_scalar(struct scan *s)
{
    switch (*s->at) {
    case '"':
        return skip_string(s);
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return (*s->at == '-' || (*s->at >= '0' && *s->at <= '9')) && skip_number(s);
    }
}

bool text_is_json(const void *bytes, size_t len)
{
    struct scan s = { .at = bytes, .end = (const unsigned char *)bytes + len };
    char closes[JSON_DEPTH_MAX];
    int depth = 0;

    for (;;) {
        char open;

        skip_blanks(&s);
        if (s.at == s.end)
            return false;
        open = (char)*s.at;
        if (open == '{' || open == '[') {
            if (depth == JSON_DEPTH_MAX)
                return false;
            closes[depth++] = open == '{' ? '}' : ']';
            s.at++;
            skip_blanks(&s);
            if (s.at == s.end)
                return false;
            if (*s.at != (unsigned char)closes[depth - 1]) {
                if (open == '{' && !skip_name(&s))
                    return false;
                continue; /* to its first value */
            }
            s.at++; /* empty */
            depth--;
        } else if (!skip_scalar(&s)) {
            return false;
        }
        /* behind a value */
        for (;;) {
            skip_blanks(&s);
            if (depth == 0)
                return s.at == s.end;
            if (s.at == s.end)
                return false;
            if (*s.at != (unsigned char)closes[depth - 1])
                break;
            s.at++;
            depth--;
        }
        if (!skip_word(&s, ",") || (closes[depth - 1] == '}' && !skip_name(&s)))
            return false;
    }
}

void text_add_json(struct str *s, const void *bytes, size_t len)
{
    size_t from = s->len;

    str_add_bytes(s, bytes, len);
    if (str_error(s))
        return;
    for (char *at = s->buf + from; (at = strpbrk(at, "\r\n")); at++)
        *at = ' ';
}
