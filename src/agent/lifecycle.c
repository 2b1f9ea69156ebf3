/* lifecycle - see lifecycle.h. */
#include "agent/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/names.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

#define COUNT_MAX (INT64_MAX / 4)

static const char *const observed_states[OBSERVED_STATE_COUNT] = { [OBSERVED_HELD] = "held",
                                                                   [OBSERVED_READY] = "ready",
                                                                   [OBSERVED_RUNNING] = "running",
                                                                   [OBSERVED_DRAINING] = "draining" };
static const char *const words[TELL_COUNT] = { [TELL_HOLD] = "hold", [TELL_READY] = "ready", [TELL_RUN] = "run" };

NAMED(observed_state, enum observed_state, observed_states, OBSERVED_STATE_COUNT)
NAMED(word_told, enum word_told, words, TELL_COUNT)

static void read_part(struct observed_part *p, const struct json_at *at)
{
    json_copy_text(at, "topic", p->topic, sizeof(p->topic));
    p->partition = (int32_t)json_int(at, "partition", 0, INT32_MAX);
    p->assignment = json_int(at, "assignment", 1, COUNT_MAX);
    p->assigned = json_flag(at, "assigned");
    json_name(at, "state", &p->state, observed_state_parse);
    p->epoch = (uint64_t)json_int(at, "epoch", 0, COUNT_MAX);
    p->first = json_int_or(at, "first", 0, COUNT_MAX, OFFSET_NONE);
    p->position = json_int_or(at, "position", 0, COUNT_MAX, OFFSET_NONE);
    p->committed = json_int_or(at, "committed", 0, COUNT_MAX, OFFSET_NONE);
    p->committed_ago_ms = json_int_or(at, "committed_ago_ms", 0, COUNT_MAX, -1);
    p->in_flight = (int32_t)json_int(at, "in_flight", 0, INT32_MAX);
    if (!at->reader->error && p->committed > p->position)
        json_fail(at, "committed", "%lld lies beyond the position", (long long)p->committed);
    if (!at->reader->error && p->first > p->position)
        json_fail(at, "first", "%lld lies beyond the position", (long long)p->first);
    if (!at->reader->error && p->position == OFFSET_NONE && p->state != OBSERVED_HELD)
        json_fail(at, "position", "it is null, but the partition is %s", observed_states[p->state]);
}

static bool instance_valid(const char *text)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";

    return strlen(text) >= INSTANCE_MIN && text[strspn(text, letters)] == '\0';
}

static void read_parts(struct observed *o, const struct json_at *parts)
{
    o->part_count = (int)json_array_size(parts->value);
    o->parts = calloc((size_t)o->part_count + 1, sizeof(*o->parts));
    if (!o->parts) {
        o->part_count = 0;
        json_fail(parts, NULL, "out of memory");
        return;
    }
    for (int i = 0; i < o->part_count; i++) {
        const struct json_at item = json_item(parts, (size_t)i);

        read_part(&o->parts[i], &item);
    }
}

static void read_observed(struct observed *o, const struct json_at *at)
{
    struct json_at desired, observed, parts;

    json_int(at, "lifecycle", 1, 1);
    json_copy_text(at, "instance", o->instance, sizeof(o->instance));
    if (!at->reader->error && !instance_valid(o->instance))
        json_fail(at, "instance", "8 to 36 letters, digits and '-' are wanted");
    json_copy_text(at, "group", o->group, sizeof(o->group));
    json_copy_text(at, "member_id", o->member_id, sizeof(o->member_id));
    if (json_has(at, "client_id"))
        json_copy_text(at, "client_id", o->client_id, sizeof(o->client_id));
    if (json_has(at, "assignor"))
        json_copy_text(at, "assignor", o->assignor, sizeof(o->assignor));
    o->joined = json_flag(at, "joined");
    o->left = json_flag(at, "left");
    o->done = (uint64_t)json_int_or(at, "done", 0, COUNT_MAX, 0);
    if (json_has(at, "desired") && json_object_member(&desired, at, "desired")) {
        json_copy_text(&desired, "agent", o->agent, sizeof(o->agent));
        o->accepted = (uint64_t)json_int(&desired, "revision", 1, COUNT_MAX);
        o->version.term = json_int(&desired, "term", 0, COUNT_MAX);
        o->version.epoch = (uint64_t)json_int(&desired, "epoch", 0, COUNT_MAX);
    }
    if (!json_object_member(&observed, at, "observed"))
        return;
    o->revision = (uint64_t)json_int(&observed, "revision", 0, COUNT_MAX);
    if (!at->reader->error && o->revision > o->accepted)
        json_fail(&observed, "revision", "%llu has never been accepted", (unsigned long long)o->revision);
    if (json_array_member(&parts, &observed, "partitions", BATONS_MAX))
        read_parts(o, &parts);
}

int observed_decode(struct observed **ret, const char *json, size_t len, struct errmsg *m)
{
    struct json_reader reader = { .m = m };
    struct observed *o;
    struct json_at root;
    json_t *tree;
    int r = json_read_tree(&tree, json, len, LIFECYCLE_BYTES_MAX, m);

    if (r < 0)
        return r;
    o = calloc(1, sizeof(*o));
    if (!o) {
        json_decref(tree);
        return err_set(m, ERR_NOMEM, "the application's document");
    }
    root = json_root(&reader, tree);
    read_observed(o, &root);
    json_decref(tree);
    if (reader.error) {
        observed_free(o);
        return reader.error;
    }
    *ret = o;
    return ERR_OK;
}

void observed_free(struct observed *o)
{
    if (!o)
        return;
    free(o->parts);
    free(o);
}

void observed_client_id(char ret[OBSERVED_CLIENT_ID_MAX + 1], const struct observed *o)
{
    snprintf(ret, OBSERVED_CLIENT_ID_MAX + 1, "%s%s%s", o->client_id, o->client_id[0] ? "-" : "", o->instance);
}

static void write_part(struct json_out *out, const struct desired_part *p)
{
    char mark[MARK_TEXT_MAX];

    json_open(out, NULL, '{');
    json_put_text(out, "topic", p->topic);
    json_put_int(out, "partition", p->partition);
    json_put_int(out, "assignment", p->assignment);
    json_put_text(out, "state", words[p->word]);
    if (p->word != TELL_HOLD) {
        mark_format(mark, p->mark);
        json_put_uint(out, "epoch", p->epoch);
        json_put_int(out, "from", p->from);
        json_put_text(out, "metadata", mark);
    }
    json_close(out, '}');
}

int desired_encode(struct str *ret, const struct desired *d, struct errmsg *m)
{
    struct json_out out = { .text = ret };

    json_open(&out, NULL, '{');
    json_put_int(&out, "lifecycle", 1);
    json_put_text(&out, "instance", d->instance);
    json_put_text(&out, "agent", d->agent);
    json_put_uint(&out, "revision", d->revision);
    json_put_int(&out, "term", d->version.term);
    json_put_uint(&out, "epoch", d->version.epoch);
    json_put_text(&out, "fleet", d->fleet);
    json_put_text(&out, "color", color_name(d->color));
    json_put_int(&out, "commit_every_ms", d->commit_every_ms);
    json_put_int(&out, "fence_ms", d->fence_ms);
    json_put_bool(&out, "leave", d->leave);
    json_open(&out, "partitions", '[');
    for (int i = 0; i < d->part_count; i++)
        write_part(&out, &d->parts[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    return str_error(ret) < 0 ? err_set(m, str_error(ret), "the document for the application") : ERR_OK;
}
