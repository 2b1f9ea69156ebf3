/* record_common - see record_common.h. */
#include "wire/record_common.h"

#include <string.h>

struct json_out record_begin(struct str *text, size_t *ret_start)
{
    struct json_out o = { .text = text };

    *ret_start = text->len;
    json_open(&o, NULL, '{');
    json_put_int(&o, "format", RECORD_FORMAT);
    return o;
}

void record_put_version(struct json_out *o, struct version version)
{
    json_put_int(o, "term", version.term);
    json_put_uint(o, "epoch", version.epoch);
}

int record_end(struct json_out *o, size_t start, struct errmsg *m, const char *what)
{
    json_close(o, '}');
    if (str_error(o->text) == ERR_NOMEM)
        return err_set(m, ERR_NOMEM, "write %s", what);
    if (str_error(o->text) || o->text->len - start > RECORD_BYTES_MAX)
        return err_set(m, ERR_TOO_LARGE, "%s does not fit into a record of %d bytes", what, RECORD_BYTES_MAX);
    return ERR_OK;
}

int record_read(json_t **ret_tree, struct json_at *ret, struct json_reader *reader, const char *json, size_t len,
                struct errmsg *m)
{
    json_t *tree;
    int64_t format;
    int r = json_read_tree(&tree, json, len, RECORD_BYTES_MAX, m);

    if (r < 0)
        return r;
    *reader = (struct json_reader){ .m = m };
    *ret = json_root(reader, tree);
    format = json_int(ret, "format", 1, INT64_MAX);
    r = reader->error;
    if (r == ERR_OK && format > RECORD_FORMAT)
        r = err_set(m, ERR_NEWER, "it is of format %lld, this Baton reads formats up to %d: run a newer one",
                    (long long)format, RECORD_FORMAT);
    if (r < 0) {
        json_decref(tree);
        return r;
    }
    *ret_tree = tree;
    return ERR_OK;
}

int64_t record_count(const struct json_at *at, const char *key)
{
    return json_int(at, key, 0, INT64_MAX);
}

struct version record_version(const struct json_at *record)
{
    return (struct version){ .term = record_count(record, "term"), .epoch = (uint64_t)record_count(record, "epoch") };
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool fleet_name_valid(const char *name)
{
    const size_t len = strlen(name);

    if (len == 0 || len > FLEET_NAME_MAX || !is_lower_or_digit(name[0]) || !is_lower_or_digit(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_or_digit(name[i]) && name[i] != '-')
            return false;
    return true;
}

bool id_valid(const char *id, size_t len_max)
{
    const size_t len = strlen(id);

    if (len == 0 || len > len_max)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_or_digit(id[i]) && !(id[i] >= 'A' && id[i] <= 'Z') && !strchr("-_.", id[i]))
            return false;
    return true;
}
