/*
 * mutate - changes of JSON that stay JSON: a value for another, a member gone, an item twice.
 *
 * libFuzzer's own changes of bytes break the syntax nearly every time, and what lies behind it is hardly met. So two
 * changes of three are made in the tree, of one line (records are one line each); the rest, and all input that is no
 * JSON, is left to libFuzzer. Same seed, same change.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (unsigned)(dice_state % sides);
}

/* A place in the tree: a member of an object or an item of an array. */
struct place {
    json_t *in;
    const char *key;
    size_t index;
    unsigned met;
};

/* One place below `json`, each as likely as the others. */
static void choose(struct place *ret, json_t *json)
{
    const char *key;
    json_t *value;
    size_t index;

    json_object_foreach(json, key, value)
    {
        if (dice(++ret->met) == 0) {
            ret->in = json;
            ret->key = key;
        }
        choose(ret, value);
    }
    json_array_foreach(json, index, value)
    {
        if (dice(++ret->met) == 0) {
            ret->in = json;
            ret->index = index;
        }
        choose(ret, value);
    }
}

static json_t *value_of(const struct place *p)
{
    return json_is_object(p->in) ? json_object_get(p->in, p->key) : json_array_get(p->in, p->index);
}

static json_t *text_changed(const json_t *old)
{
    char text[600] = "";
    size_t len = 0;

    if (json_is_string(old) && json_string_length(old) < sizeof(text) / 2) {
        len = json_string_length(old);
        memcpy(text, json_string_value(old), len);
    }
    len = LLVMFuzzerMutate((uint8_t *)text, len, sizeof(text));
    return json_stringn(text, len); /* NULL: no UTF-8 any more */
}

static json_t *number_changed(const json_t *old)
{
    static const int64_t edges[] = {
        0,    1,     -1,    2,         99,         100,       101,           511,       512,          513,
        1024, 16383, 16384, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1
    };
    const int64_t number = json_integer_value(old);

    if (dice(3) == 0 && number > INT64_MIN + 16 && number < INT64_MAX - 16)
        return json_integer(number + (int64_t)dice(33) - 16);
    return json_integer(edges[dice(ARRAY_COUNT(edges))]);
}

static void set(const struct place *p, json_t *take)
{
    if (take && json_is_object(p->in))
        json_object_set_new(p->in, p->key, take);
    else if (take)
        json_array_set_new(p->in, p->index, take);
}

static void change(json_t *tree)
{
    struct place at = { 0 }, other = { 0 };
    json_t *old;

    choose(&at, tree);
    choose(&other, tree);
    if (!at.in)
        return;
    old = value_of(&at);
    switch (dice(8)) {
    case 0:
    case 1:
        set(&at, number_changed(old));
        break;
    case 2:
    case 3:
        set(&at, text_changed(old));
        break;
    case 4:
        set(&at, dice(3) == 0 ? json_null() : json_boolean(dice(2)));
        break;
    case 5: /* another place's value, unless the tree would hold itself */
        set(&at, json_deep_copy(value_of(&other)));
        break;
    case 6:
        if (json_is_object(at.in))
            json_object_del(at.in, at.key);
        else
            json_array_remove(at.in, at.index);
        break;
    case 7:
        if (json_is_array(at.in))
            json_array_insert_new(at.in, at.index, json_deep_copy(old));
        else if (json_is_array(old))
            json_array_append_new(old, json_deep_copy(json_array_get(old, 0)));
        break;
    }
}

/* The new length of the line, 0: it is no JSON, or does not fit. */
static size_t line_changed(char *line, size_t len, size_t room)
{
    json_t *tree = json_loadb(line, len, 0, NULL);
    char *text = NULL;
    size_t text_len = 0;

    for (unsigned i = 1 + dice(3); tree && i > 0; i--)
        change(tree);
    if (tree)
        text = json_dumps(tree, JSON_COMPACT);
    if (text && strlen(text) <= room) {
        text_len = strlen(text);
        memcpy(line, text, text_len);
    }
    free(text);
    json_decref(tree);
    return text_len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    char *text = (char *)data, *line = text, *end = text + size, *stop, *rest;
    size_t len, rest_len;

    dice_state = (uint64_t)seed * 2654435769u + 1;
    if (dice(3) == 0 || size == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned skip = dice(3); skip > 0; skip--) {
        char *newline = memchr(line, '\n', (size_t)(end - line));

        line = newline && newline + 1 < end ? newline + 1 : line;
    }
    stop = memchr(line, '\n', (size_t)(end - line));
    rest_len = stop ? (size_t)(end - stop) : 0;
    rest = fuzz_copy(end - rest_len, rest_len);
    len = line_changed(line, (size_t)(end - line) - rest_len, max_size - (size_t)(line - text) - rest_len);
    if (len > 0)
        memcpy(line + len, rest, rest_len);
    free(rest);
    return len > 0 ? (size_t)(line - text) + len + rest_len : LLVMFuzzerMutate(data, size, max_size);
}
