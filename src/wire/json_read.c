/* json_read - see json_read.h. */
#include "wire/json_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define PATH_BYTES_MAX 200
#define WHAT_BYTES_MAX 300

/* jansson recurses to 2,048 levels; ours are few, so depth is measured before it begins. */
static bool too_deep(const char *text, size_t len)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!quoted && (text[i] == '}' || text[i] == ']'))
            depth--;
    }
    return false;
}

int json_read_tree(json_t **ret, const char *text, size_t len, size_t bytes_max, struct errmsg *m)
{
    json_error_t error;
    json_t *tree;

    if (len == 0)
        return err_set(m, ERR_CORRUPT, "it is empty");
    if (len > bytes_max)
        return err_set(m, ERR_CORRUPT, "it has %zu bytes, more than the %zu allowed", len, bytes_max);
    if (too_deep(text, len))
        return err_set(m, ERR_CORRUPT, "it is nested deeper than %d levels", JSON_DEPTH_MAX);
    tree = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!tree && (json_error_code(&error) == json_error_out_of_memory || !error.text[0])) /* it may say nothing then */
        return err_set(m, ERR_NOMEM, "read JSON");
    if (!tree)
        return err_set(m, ERR_CORRUPT, "not JSON: %s (line %d, column %d)", error.text, error.line, error.column);
    if (!json_is_object(tree)) {
        json_decref(tree);
        return err_set(m, ERR_CORRUPT, "not a JSON object");
    }
    *ret = tree;
    return ERR_OK;
}

struct json_at json_root(struct json_reader *reader, json_t *value)
{
    return (struct json_at){ .reader = reader, .value = value };
}

struct json_at json_member(const struct json_at *at, const char *key)
{
    return (struct json_at){ .reader = at->reader, .up = at, .key = key, .value = json_object_get(at->value, key) };
}

struct json_at json_item(const struct json_at *at, size_t index)
{
    return (
        struct json_at){ .reader = at->reader, .up = at, .index = index, .value = json_array_get(at->value, index) };
}

static void add_path(struct str *path, const struct json_at *at)
{
    if (!at || !at->up)
        return;
    add_path(path, at->up);
    if (!at->key)
        str_addf(path, "[%zu]", at->index);
    else
        str_addf(path, "%s%s", path->len > 0 ? "." : "", at->key);
}

void json_fail(const struct json_at *at, const char *key, const char *fmt, ...)
{
    struct str path = STR_WITH_MAX(PATH_BYTES_MAX);
    char what[WHAT_BYTES_MAX];
    va_list ap;

    if (at->reader->error)
        return;
    add_path(&path, at);
    if (key)
        str_addf(&path, "%s%s", path.len > 0 ? "." : "", key);
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    at->reader->error = path.len > 0 ? err_set(at->reader->m, ERR_CORRUPT, "%s: %s", path.buf, what)
                                     : err_set(at->reader->m, ERR_CORRUPT, "%s", what);
    str_free(&path);
}

static const char *kind_name(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a point";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static void fail_kind(const struct json_at *at, const char *key, const char *wanted, const json_t *value)
{
    json_fail(at, key, "%s is wanted, here is %s", wanted, kind_name(value));
}

/* The member, or the value itself without a key; NULL after a failure. */
static const json_t *value_at(const struct json_at *at, const char *key)
{
    if (at->reader->error)
        return NULL;
    return key ? json_object_get(at->value, key) : at->value;
}

bool json_object_member(struct json_at *ret, const struct json_at *at, const char *key)
{
    if (at->reader->error)
        return false;
    *ret = json_member(at, key);
    if (!json_is_object(ret->value))
        fail_kind(at, key, "an object", ret->value);
    return !at->reader->error;
}

bool json_array_member(struct json_at *ret, const struct json_at *at, const char *key, size_t count_max)
{
    if (at->reader->error)
        return false;
    *ret = json_member(at, key);
    if (!json_is_array(ret->value))
        fail_kind(at, key, "a list", ret->value);
    else if (json_array_size(ret->value) > count_max)
        json_fail(at, key, "%zu items, at most %zu are allowed", json_array_size(ret->value), count_max);
    return !at->reader->error;
}

bool json_has(const struct json_at *at, const char *key)
{
    const json_t *value = value_at(at, key);

    return value && !json_is_null(value);
}

int64_t json_int(const struct json_at *at, const char *key, int64_t min, int64_t max)
{
    const json_t *value = value_at(at, key);
    int64_t number;

    if (at->reader->error)
        return min;
    if (!json_is_integer(value)) {
        fail_kind(at, key, "a whole number", value);
        return min;
    }
    number = json_integer_value(value);
    if (number < min || number > max) {
        json_fail(at, key, "%" PRId64 " is not from %" PRId64 " to %" PRId64, number, min, max);
        return min;
    }
    return number;
}

int64_t json_int_or(const struct json_at *at, const char *key, int64_t min, int64_t max, int64_t none)
{
    const json_t *value = value_at(at, key);

    return value && !json_is_null(value) ? json_int(at, key, min, max) : none;
}

double json_real_or(const struct json_at *at, const char *key, double none)
{
    const json_t *value = value_at(at, key);

    if (at->reader->error || !value || json_is_null(value))
        return none;
    if (!json_is_number(value)) {
        fail_kind(at, key, "a number", value);
        return none;
    }
    return json_number_value(value);
}

bool json_flag(const struct json_at *at, const char *key)
{
    const json_t *value = value_at(at, key);

    if (!at->reader->error && !json_is_boolean(value))
        fail_kind(at, key, "true or false", value);
    return !at->reader->error && json_is_true(value);
}

bool json_flag_or(const struct json_at *at, const char *key, bool none)
{
    return json_has(at, key) ? json_flag(at, key) : none;
}

const char *json_text(const struct json_at *at, const char *key)
{
    const json_t *value = value_at(at, key);

    if (!at->reader->error && !json_is_string(value))
        fail_kind(at, key, "a text", value);
    return at->reader->error ? "" : json_string_value(value);
}

void json_copy_text(const struct json_at *at, const char *key, char *ret, size_t ret_size)
{
    const char *text = json_text(at, key);

    if (!text_copy(ret, ret_size, text))
        json_fail(at, key, "%zu bytes, at most %zu are allowed", strlen(text), ret_size - 1);
}
