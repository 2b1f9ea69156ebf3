/*
 * ack - see ack.h. A bare number, which is what a fast command sends, is read here; JSON is left to jansson.
 */
#include "run/ack.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define SHOWN_MAX 60 /* bytes of a wrong line that the complaint quotes */

static const char mend[] =
    "an acknowledgement is the line's id, 'ok', or JSON with \"id\"; what is none belongs to stderr";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What a log may hold of a stranger's bytes. */
static void shown(char ret[SHOWN_MAX + 4], const char *line, size_t len)
{
    size_t n = len < SHOWN_MAX ? len : SHOWN_MAX;

    for (size_t i = 0; i < n; i++)
        ret[i] = line[i] >= ' ' && line[i] < 0x7f && line[i] != '"' ? line[i] : '?';
    snprintf(ret + n, 4, "%s", len > n ? "..." : "");
}

static int wrong(const char *line, size_t len, const char *what, struct errmsg *m)
{
    char text[SHOWN_MAX + 4];

    shown(text, line, len);
    return err_set(m, ERR_INVALID, "'%s' %s: %s", text, what, mend);
}

static bool read_id(uint64_t *ret, const char *at, size_t len)
{
    uint64_t id = 0;

    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        id = id * 10 + (uint64_t)(at[i] - '0');
    }
    *ret = id;
    return true;
}

static bool read_whole(int64_t *ret, const json_t *value, int64_t max)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return false;
    *ret = json_integer_value(value);
    return true;
}

static int read_object(struct ack *ret, const json_t *o, const char *line, size_t len, struct errmsg *m)
{
    const json_t *id = json_object_get(o, "id"), *error = json_object_get(o, "error"),
                 *done = json_object_get(o, "done"), *topic = json_object_get(o, "topic");
    int64_t number = 0, partition = 0;

    if (id) {
        if (json_is_string(id) ? !read_id(&ret->id, json_string_value(id), json_string_length(id))
                               : !read_whole(&number, id, INT64_MAX))
            return wrong(line, len, "has an \"id\" that is no whole number", m);
        if (!json_is_string(id))
            ret->id = (uint64_t)number;
        ret->about = ACK_LINE;
    } else if (topic) {
        if (!json_is_string(topic) || json_string_length(topic) >= sizeof(ret->topic) ||
            !read_whole(&partition, json_object_get(o, "partition"), INT32_MAX) ||
            !read_whole(&ret->offset, json_object_get(o, "offset"), INT64_MAX))
            return wrong(line, len, "names no record: it takes \"topic\", \"partition\" and \"offset\"", m);
        snprintf(ret->topic, sizeof(ret->topic), "%s", json_string_value(topic));
        ret->partition = (int32_t)partition;
        ret->about = ACK_RECORD;
    } else {
        return wrong(line, len, "has neither \"id\" nor \"topic\"", m);
    }
    if (error && !json_is_null(error)) {
        if (!json_is_string(error))
            return wrong(line, len, "has an \"error\" that is no text", m);
        ret->failed = true;
        snprintf(ret->error, sizeof(ret->error), "%s", json_string_value(error));
    }
    if (done && (!ret->failed || ret->about != ACK_LINE || !read_whole(&ret->done, done, INT32_MAX)))
        return wrong(line, len, "has a \"done\" that is no count of records before an \"error\"", m);
    return ERR_OK;
}

int ack_parse(struct ack *ret, const char *line, size_t len, struct errmsg *m)
{
    json_t *o;
    int r;

    ret->about = ACK_NOTHING;
    ret->failed = false;
    ret->done = -1;
    ret->error[0] = '\0';
    while (len && is_blank(line[len - 1]))
        len--;
    while (len && is_blank(line[0])) {
        line++;
        len--;
    }
    if (len == 0)
        return ERR_OK;
    if (len > 2 && line[0] == '"' && line[len - 1] == '"' && read_id(&ret->id, line + 1, len - 2))
        ret->about = ACK_LINE;
    else if (read_id(&ret->id, line, len))
        ret->about = ACK_LINE;
    else if (len == 2 && memcmp(line, "ok", 2) == 0)
        ret->about = ACK_OLDEST;
    else if (len >= 5 && memcmp(line, "error", 5) == 0 && (len == 5 || is_blank(line[5]))) {
        ret->about = ACK_OLDEST;
        ret->failed = true;
        snprintf(ret->error, sizeof(ret->error), "%.*s", (int)(len > 6 ? len - 6 : 0), line + (len > 6 ? 6 : len));
    }
    if (ret->about != ACK_NOTHING)
        return ERR_OK;
    o = line[0] == '{' ? json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!o)
        return wrong(line, len, line[0] == '{' ? "is no clean JSON" : "is no acknowledgement", m);
    r = read_object(ret, o, line, len, m);
    json_decref(o);
    return r;
}
