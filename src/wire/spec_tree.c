/*
 * spec_tree - see spec_tree.h; and JSON into such a tree.
 */
#include "wire/spec_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spec_tree *spec_tree_new(void)
{
    return calloc(1, sizeof(struct spec_tree));
}

void spec_tree_free(struct spec_tree *tree)
{
    if (!tree)
        return;
    for (int i = 0; i < tree->count; i++) {
        free(tree->values[i].key);
        free(tree->values[i].text);
    }
    free(tree);
}

struct spec_value *spec_tree_add(struct spec_tree *tree, struct spec_value *up, enum spec_kind kind)
{
    struct spec_value *v;

    if (tree->count == SPEC_VALUES_MAX)
        return NULL;
    v = &tree->values[tree->count++];
    v->kind = kind;
    if (up && up->last)
        up->last->next = v;
    else if (up)
        up->first = v;
    if (up)
        up->last = v;
    return v;
}

static struct spec_value *add_json(struct spec_tree *tree, struct spec_value *up, const json_t *json, int depth);

/* False: too large. */
static bool add_json_members(struct spec_tree *tree, struct spec_value *v, const json_t *json, int depth)
{
    const char *key;
    json_t *member;
    size_t index;

    if (json_is_array(json)) {
        json_array_foreach(json, index, member) if (!add_json(tree, v, member, depth + 1)) return false;
        return true;
    }
    json_object_foreach((json_t *)json, key, member)
    {
        struct spec_value *added = add_json(tree, v, member, depth + 1);

        if (!added)
            return false;
        added->key = strdup(key);
        if (!added->key)
            return false;
    }
    return true;
}

/* NULL: too deep, too many values or out of memory. */
static struct spec_value *add_json(struct spec_tree *tree, struct spec_value *up, const json_t *json, int depth)
{
    const enum spec_kind kind = json_is_null(json)     ? SPEC_NULL
                                : json_is_string(json) ? SPEC_TEXT
                                : json_is_number(json) ? SPEC_NUMBER
                                : json_is_array(json)  ? SPEC_LIST
                                : json_is_object(json) ? SPEC_MAP
                                                       : SPEC_OTHER;
    struct spec_value *v = depth > SPEC_DEPTH_MAX ? NULL : spec_tree_add(tree, up, kind);
    char digits[32];

    if (!v)
        return NULL;
    if (json_is_real(json))
        snprintf(digits, sizeof(digits), "%.17g", json_real_value(json));
    else if (kind == SPEC_NUMBER)
        snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(json));
    if (kind == SPEC_TEXT || kind == SPEC_NUMBER) {
        v->text = strdup(kind == SPEC_TEXT ? json_string_value(json) : digits);
        if (!v->text)
            return NULL;
    }
    return (kind != SPEC_LIST && kind != SPEC_MAP) || add_json_members(tree, v, json, depth) ? v : NULL;
}

static int read_json(struct spec *ret, const json_t *json, bool skip_unknown, struct spec_fault *fault)
{
    struct spec_tree *tree = spec_tree_new();
    int r = ERR_NOMEM;

    snprintf(fault->what, sizeof(fault->what), "out of memory");
    if (tree && add_json(tree, NULL, json, 0)) {
        r = spec_from_tree(ret, tree, skip_unknown, fault);
    } else if (tree) {
        snprintf(fault->what, sizeof(fault->what), "it has more than %d values or is nested deeper than %d levels",
                 SPEC_VALUES_MAX, SPEC_DEPTH_MAX);
        r = ERR_INVALID;
    }
    spec_tree_free(tree);
    return r;
}

int spec_from_json(struct spec *ret, const json_t *json, struct errmsg *m)
{
    struct spec_fault fault;
    int r = read_json(ret, json, false, &fault);

    return r < 0 ? err_set(m, r, "%s", fault.what) : ERR_OK;
}

void spec_from_record(struct spec *ret, const struct json_at *at)
{
    struct spec_fault fault;
    int r = at->reader->error ? ERR_OK : read_json(ret, at->value, true, &fault);

    if (r == ERR_NOMEM)
        at->reader->error = err_set(at->reader->m, r, "read a spec");
    else if (r < 0)
        json_fail(at, NULL, "%s", fault.what);
}
