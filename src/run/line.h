/*
 * line - a record as the command or the HTTP endpoint gets it: one line of JSON, or a CloudEvent.
 *
 * Nothing of a record is lost on the way. A key or value that is no UTF-8 comes as `key_base64` or `value_base64`
 * instead; one that is absent (a tombstone) is null; headers keep their order and may repeat. docs/run.md describes
 * every member. Pure: the record is seen through `struct record_view`.
 */
#ifndef RUN_LINE_H
#define RUN_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Which members a line has, beside its id; all of them where nothing else is asked for. */
#define FIELD_MAP(X) X(topic) X(partition) X(offset) X(epoch) X(attempt) X(timestamp) X(key) X(headers) X(value)
enum field {
#define FIELD_ENUM(name) FIELD_##name,
    FIELD_MAP(FIELD_ENUM)
#undef FIELD_ENUM
        FIELD_COUNT
};
#define FIELDS_ALL ((1u << FIELD_COUNT) - 1)

enum value_form { VALUE_TEXT, VALUE_JSON, VALUE_BASE64 };

struct record_view {
    const char *fleet, *color, *topic;
    int32_t partition;
    int64_t offset, timestamp_ms; /* -1: it has none */
    uint64_t epoch;
    const void *key, *value; /* NULL: absent */
    size_t key_len, value_len;
    int attempt; /* 1: handed out for the first time */
    /* Header number `index`; false past the last. */
    bool (*header)(const void *self, int index, const char **name, const void **value, size_t *len);
    const void *self;
};

/* "key,value": a bit for each of the enum. */
int line_fields(unsigned *ret, const char *list, struct errmsg *m);
/* The record as a JSON object; id 0: without one. ERR_INVALID: the value is not what `form` wants; nothing is added. */
int line_add_record(struct str *s, const struct record_view *r, uint64_t id, enum value_form form, unsigned fields,
                    struct errmsg *m);
/* The record as a CloudEvent in JSON. The same errors. */
int line_add_event(struct str *s, const struct record_view *r, enum value_form form, struct errmsg *m);

#endif
