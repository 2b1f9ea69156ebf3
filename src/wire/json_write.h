/*
 * json_write - JSON straight into a str, one value after the other.
 *
 * No tree is built, so the cost is that of the text; commas are seen to. Text that is no UTF-8 is written with '?'
 * for each wrong byte: a strange client id must not make a record that nobody can read.
 *
 *     struct json_out o = { .text = ret };
 *     json_open(&o, NULL, '{');
 *     json_put_int(&o, "epoch", 17);
 *     json_open(&o, "from", '[');
 *     json_put_int(&o, NULL, 120034);
 *     json_close(&o, ']');
 *     json_close(&o, '}');
 */
#ifndef WIRE_JSON_WRITE_H
#define WIRE_JSON_WRITE_H

#include <jansson.h>

#include "base/str.h"

struct json_out {
    struct str *text;
    bool comma; /* the next value needs one before it */
};

/* `key` is NULL for an item of an array; a key is one of ours and is not escaped. */
void json_open(struct json_out *o, const char *key, char bracket);
void json_close(struct json_out *o, char bracket);
void json_put_text(struct json_out *o, const char *key, const char *text);
void json_put_int(struct json_out *o, const char *key, int64_t value);
void json_put_uint(struct json_out *o, const char *key, uint64_t value); /* at most 2^63-1: ASSERTed */
void json_put_real(struct json_out *o, const char *key, double value);   /* to nine digits; null when it is no number */
void json_put_bool(struct json_out *o, const char *key, bool value);
void json_put_null(struct json_out *o, const char *key);
/* Microseconds as milliseconds with three decimals; null when negative (not known). */
void json_put_us_as_ms(struct json_out *o, const char *key, int64_t us);
void json_put_tree(struct json_out *o, const char *key, const json_t *tree);

/* A number, or null for `none`. */
static inline void json_put_int_or_null(struct json_out *o, const char *key, int64_t value, int64_t none)
{
    if (value == none)
        json_put_null(o, key);
    else
        json_put_int(o, key, value);
}

/* Is all of it UTF-8, so that it comes back as it went? */
bool json_text_is_clean(const char *text);

#endif
