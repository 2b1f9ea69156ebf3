/*
 * json_read - strict, bounded reading of JSON that came from outside.
 *
 * The first failure sticks: later reads do nothing and give the least value, so a page of reads needs one look at
 * `reader.error`. The sentence names the place like a path: "batons[3].partitions: a text is wanted, here is a number".
 * Members that nobody asks for are skipped.
 */
#ifndef WIRE_JSON_READ_H
#define WIRE_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define JSON_DEPTH_MAX 12

struct json_reader {
    struct errmsg *m; /* may be NULL */
    int error;        /* 0 or the first failure */
};

/* A value and how one came to it; lives on the stack, below those it came from. */
struct json_at {
    struct json_reader *reader;
    const struct json_at *up; /* NULL: the whole */
    const char *key;          /* NULL: an item of an array */
    size_t index;
    json_t *value; /* NULL: not there */
};

/* The text as a tree (json_decref() it): one object, duplicate keys refused. ERR_CORRUPT or ERR_NOMEM. */
int json_read_tree(json_t **ret, const char *text, size_t len, size_t bytes_max, struct errmsg *m);

struct json_at json_root(struct json_reader *reader, json_t *value);
struct json_at json_member(const struct json_at *at, const char *key);
struct json_at json_item(const struct json_at *at, size_t index);
/* Member that must be an object (an array); false, and a failure, when it is not. */
bool json_object_member(struct json_at *ret, const struct json_at *at, const char *key);
bool json_array_member(struct json_at *ret, const struct json_at *at, const char *key, size_t count_max);
bool json_has(const struct json_at *at, const char *key);

/* Fails with ERR_CORRUPT at this place (or at its member `key`, unless NULL). */
void json_fail(const struct json_at *at, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A whole number in [min, max]; the member (or, with key NULL, the value itself) must be there. */
int64_t json_int(const struct json_at *at, const char *key, int64_t min, int64_t max);
/* The same; absent or null gives `none`. */
int64_t json_int_or(const struct json_at *at, const char *key, int64_t min, int64_t max, int64_t none);
/* Any number; absent or null gives `none`. */
double json_real_or(const struct json_at *at, const char *key, double none);
bool json_flag(const struct json_at *at, const char *key);
bool json_flag_or(const struct json_at *at, const char *key, bool none);
/* Borrowed from the tree; "" after a failure. */
const char *json_text(const struct json_at *at, const char *key);
void json_copy_text(const struct json_at *at, const char *key, char *ret, size_t ret_size);

/* Reads a name with one of the core's *_parse functions. */
#define json_name(at, key, ret, parse)                                                 \
    do {                                                                               \
        const char *json_name_ = json_text(at, key);                                   \
        if (!(at)->reader->error && !parse(ret, json_name_))                           \
            json_fail(at, key, "'%.40s' is none of the names known here", json_name_); \
    } while (0)

#endif
