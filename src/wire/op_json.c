/*
 * op_json - one operation and its passes as records: what the receipt is made of.
 *
 * The op is one record; the passes, one a baton in the order of the fleet's table, stand in records of SHARD_BATONS.
 * A pass in which nothing has happened is left out, and so is every number that is not known, for a small canary of a
 * large fleet changes little. Incarnations are long and few, so each record lists them once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"

#define NAMES_MAX (4 * SHARD_BATONS) /* two incarnations for each of two passes of a baton */

/* "10%", "3", or a list of [topic, partition]: the topic by its index, so that the record is read without the fleet. */
static void put_stages(struct json_out *o, const struct stages *s)
{
    json_open(o, "stages", '[');
    for (int i = 0; i < s->count; i++) {
        const struct stage_size *stage = &s->items[i];
        char word[16];

        if (stage->kind != STAGE_NAMES) {
            snprintf(word, sizeof(word), "%d%s", stage->amount, stage->kind == STAGE_SHARE ? "%" : "");
            json_put_text(o, NULL, word);
            continue;
        }
        json_open(o, NULL, '[');
        for (int n = stage->first; n < stage->first + stage->amount; n++) {
            json_open(o, NULL, '[');
            json_put_int(o, NULL, s->names[n].topic);
            json_put_int(o, NULL, s->names[n].partition);
            json_close(o, ']');
        }
        json_close(o, ']');
    }
    json_close(o, ']');
}

int op_encode(struct str *ret, const struct op *op, const struct fleet *f, struct errmsg *m)
{
    size_t start;
    struct json_out o = record_begin(ret, &start);

    record_put_version(&o, f->version);
    json_put_text(&o, "fleet", f->spec.fleet);
    json_put_int(&o, "number", op->number);
    json_put_text(&o, "kind", op_kind_name(op->kind));
    json_put_text(&o, "state", op_state_name(op->state));
    json_put_text(&o, "from", color_name(op->from));
    json_put_text(&o, "to", color_name(op->to));
    json_put_bool(&o, "replay", op->replay);
    json_put_int(&o, "of_number", op->of_number);
    put_stages(&o, &op->stages);
    json_put_int(&o, "stage", op->stage);
    json_put_bool(&o, "by_hand", op->by_hand);
    json_put_text(&o, "steered", op->steered);
    json_put_int(&o, "keep", op->keep);
    json_put_bool(&o, "by_signal", op->by_signal);
    json_put_int(&o, "observe_ms", op->observe_ms);
    json_put_int(&o, "deadline_ms", op->deadline_ms);
    json_put_text(&o, "on_unreachable", on_unreachable_name(op->on_unreachable));
    json_put_text(&o, "on_doubt", on_doubt_name(op->on_doubt));
    json_put_text(&o, "reason", op->reason);
    json_put_text(&o, "by", op->by);
    json_put_text(&o, "request_id", op->request_id);
    json_put_text(&o, "version_from", op->version_from);
    json_put_text(&o, "version_to", op->version_to);
    json_put_int(&o, "created_unix_ms", op->created_unix_ms);
    json_put_int(&o, "ended_unix_ms", op->ended_unix_ms);
    json_put_int(&o, "stage_began_unix_ms", op->stage_began_unix_ms);
    json_put_int(&o, "deadline_unix_ms", op->deadline_unix_ms);
    json_put_text(&o, "cause", op_cause_name(op->cause));
    json_put_text(&o, "why", op->why);
    json_put_text(&o, "judge", judge_mode_name(op->judge));
    json_put_bool(&o, "held", op->held);
    if (op->judged)
        verdict_put(&o, "verdict", &op->verdict);
    if (op->kept.known && !op_ended(op))
        kept_put(&o, "kept", &op->kept);
    json_put_uint(&o, "epoch_first", op->epoch_first);
    json_put_uint(&o, "epoch_last", op->epoch_last);
    return record_end(&o, start, m, "an operation");
}

static int read_stage_names(struct stages *s, const struct json_at *list, struct errmsg *m)
{
    int r = json_array_size(list->value) > STAGE_NAMES_MAX ? err_set(m, ERR_INVALID, "too many names") : ERR_OK;

    for (size_t i = 0; i < json_array_size(list->value) && r == ERR_OK && !list->reader->error; i++) {
        const struct json_at name = json_item(list, i);
        struct json_at topic, partition;

        if (json_array_size(name.value) != 2)
            return err_set(m, ERR_INVALID, "a name is [topic, partition]");
        topic = json_item(&name, 0);
        partition = json_item(&name, 1);
        r = stages_add_name(s, (uint16_t)json_int(&topic, NULL, 0, TOPICS_MAX - 1),
                            (int32_t)json_int(&partition, NULL, 0, INT32_MAX), m);
    }
    return r;
}

static void read_stages(struct stages *s, const struct json_at *record)
{
    static const struct spec nothing; /* names stand there by index */
    struct json_at list;
    struct errmsg m = { 0 };
    int r = ERR_OK;

    if (!json_array_member(&list, record, "stages", STAGES_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && r == ERR_OK && !record->reader->error; i++) {
        const struct json_at item = json_item(&list, i);

        r = json_is_array(item.value) ? read_stage_names(s, &item, &m)
                                      : stages_add(s, &nothing, json_text(&item, NULL), &m);
    }
    if (r == ERR_OK)
        r = stages_end(s, &m);
    if (r < 0 && !record->reader->error)
        json_fail(record, "stages", "%s", m.text);
}

static void read_op(struct op *op, const struct json_at *record)
{
    struct json_at verdict, kept;

    op->number = (uint32_t)json_int(record, "number", 1, UINT32_MAX);
    json_name(record, "kind", &op->kind, op_kind_parse);
    json_name(record, "state", &op->state, op_state_parse);
    json_name(record, "from", &op->from, color_parse);
    json_name(record, "to", &op->to, color_parse);
    op->replay = json_flag(record, "replay");
    op->of_number = (uint32_t)json_int(record, "of_number", 0, UINT32_MAX);
    read_stages(&op->stages, record);
    op->stage = (int)json_int(record, "stage", 0, op->stages.count > 0 ? op->stages.count - 1 : 0);
    op->by_hand = json_flag(record, "by_hand");
    json_copy_text(record, "steered", op->steered, sizeof(op->steered));
    op->keep = (int)json_int(record, "keep", 0, BATONS_MAX);
    op->by_signal = json_flag_or(record, "by_signal", false);
    op->observe_ms = record_count(record, "observe_ms");
    op->deadline_ms = record_count(record, "deadline_ms");
    json_name(record, "on_unreachable", &op->on_unreachable, on_unreachable_parse);
    json_name(record, "on_doubt", &op->on_doubt, on_doubt_parse);
    json_copy_text(record, "reason", op->reason, sizeof(op->reason));
    json_copy_text(record, "by", op->by, sizeof(op->by));
    json_copy_text(record, "request_id", op->request_id, sizeof(op->request_id));
    json_copy_text(record, "version_from", op->version_from, sizeof(op->version_from));
    json_copy_text(record, "version_to", op->version_to, sizeof(op->version_to));
    op->created_unix_ms = record_count(record, "created_unix_ms");
    op->ended_unix_ms = record_count(record, "ended_unix_ms");
    op->stage_began_unix_ms = record_count(record, "stage_began_unix_ms");
    op->deadline_unix_ms = record_count(record, "deadline_unix_ms");
    json_name(record, "cause", &op->cause, op_cause_parse);
    json_copy_text(record, "why", op->why, sizeof(op->why));
    if (json_has(record, "judge")) /* written since there is a judge */
        json_name(record, "judge", &op->judge, judge_mode_parse);
    op->held = json_flag_or(record, "held", false);
    op->judged = json_has(record, "verdict") && json_object_member(&verdict, record, "verdict");
    if (op->judged)
        verdict_read(&op->verdict, &verdict);
    if (json_has(record, "kept") && json_object_member(&kept, record, "kept"))
        kept_read(&op->kept, &kept);
    op->epoch_first = (uint64_t)record_count(record, "epoch_first");
    op->epoch_last = (uint64_t)record_count(record, "epoch_last");
}

int op_decode(struct op *ret, const char *json, size_t len, struct errmsg *m)
{
    struct op op = { .forth = ret->forth, .back = ret->back, .pass_count = ret->pass_count };
    struct json_reader reader;
    struct json_at record;
    json_t *tree;
    int r = record_read(&tree, &record, &reader, json, len, m);

    if (r < 0)
        return r;
    record_version(&record);
    read_op(&op, &record);
    json_decref(tree);
    if (reader.error)
        return reader.error;
    *ret = op;
    return ERR_OK;
}

/* The incarnations of one record, each once. Few in truth; were they many, equal neighbours are still found at once. */
struct names {
    const char *items[NAMES_MAX];
    int count;
};

static int name_index(const struct names *names, const char *name)
{
    for (int i = names->count - 1; i >= 0; i--)
        if (strcmp(names->items[i], name) == 0)
            return i;
    return -1;
}

static void gather_name(struct names *names, const char *name)
{
    if (name[0] && name_index(names, name) < 0) {
        ASSERT(names->count < NAMES_MAX);
        names->items[names->count++] = name;
    }
}

static const struct pass pass_untouched = {
    .released = OFFSET_NONE,
    .committed = OFFSET_NONE,
    .from = OFFSET_NONE,
    .first = OFFSET_NONE,
    .doubt = OFFSET_NONE,
    .repeat_to = OFFSET_NONE,
    .replay_from = OFFSET_NONE,
    .log_start = OFFSET_NONE,
};

static bool pass_is_untouched(const struct pass *p)
{
    const struct pass *u = &pass_untouched;

    return !p->ordered && !p->taken && p->order == 0 && p->grant == 0 && p->released == u->released &&
           p->committed == u->committed && p->from == u->from && p->first == u->first && p->log_start == u->log_start &&
           p->given_again == 0 && p->doubt == u->doubt && p->repeat_to == u->repeat_to &&
           p->replay_from == u->replay_from && !p->released_by[0] && !p->taken_by[0] && p->stopped_unix_us == 0 &&
           p->drained_unix_us == 0 && p->attached_unix_us == 0 && p->first_unix_us == 0 &&
           p->release_heard_unix_us == 0 && p->take_heard_unix_us == 0;
}

static void put_known(struct json_out *o, const char *key, int64_t value, int64_t none)
{
    if (value != none)
        json_put_int(o, key, value);
}

static void put_pass(struct json_out *o, const char *key, const struct pass *p, const struct names *names)
{
    if (pass_is_untouched(p))
        return;
    json_open(o, key, '{');
    json_put_bool(o, "ordered", p->ordered);
    json_put_bool(o, "taken", p->taken);
    json_put_uint(o, "order", p->order);
    json_put_uint(o, "grant", p->grant);
    put_known(o, "released", p->released, OFFSET_NONE);
    put_known(o, "committed", p->committed, OFFSET_NONE);
    put_known(o, "from", p->from, OFFSET_NONE);
    put_known(o, "first", p->first, OFFSET_NONE);
    put_known(o, "log_start", p->log_start, OFFSET_NONE);
    put_known(o, "given_again", p->given_again, 0);
    put_known(o, "doubt", p->doubt, OFFSET_NONE);
    put_known(o, "repeat_to", p->repeat_to, OFFSET_NONE);
    put_known(o, "replay_from", p->replay_from, OFFSET_NONE);
    if (p->released_by[0])
        json_put_int(o, "released_by", name_index(names, p->released_by));
    if (p->taken_by[0])
        json_put_int(o, "taken_by", name_index(names, p->taken_by));
    put_known(o, "stopped_unix_us", p->stopped_unix_us, 0);
    put_known(o, "drained_unix_us", p->drained_unix_us, 0);
    put_known(o, "attached_unix_us", p->attached_unix_us, 0);
    put_known(o, "first_unix_us", p->first_unix_us, 0);
    put_known(o, "release_heard_unix_us", p->release_heard_unix_us, 0);
    put_known(o, "take_heard_unix_us", p->take_heard_unix_us, 0);
    json_close(o, '}');
}

/* With which stage each baton of the record passes; left out when all pass with the first. */
static void put_stage_of(struct json_out *o, const struct op *op, int first, int end)
{
    int later = 0;

    for (int i = first; i < end; i++)
        later += op->forth[i].stage;
    if (later == 0)
        return;
    json_open(o, "stage_of", '[');
    for (int i = first; i < end; i++)
        json_put_int(o, NULL, op->forth[i].stage);
    json_close(o, ']');
}

int passes_encode(struct str *ret, const struct op *op, int shard, const struct fleet *f, struct errmsg *m)
{
    const int first = shard * SHARD_BATONS;
    const int end = op->pass_count - first < SHARD_BATONS ? op->pass_count : first + SHARD_BATONS;
    struct names *names = calloc(1, sizeof(*names));
    struct json_out o;
    size_t start;
    int r;

    ASSERT(shard >= 0 && shard < SHARDS_MAX && op->pass_count <= f->baton_count);
    if (!names)
        return err_set(m, ERR_NOMEM, "write passes");
    for (int i = first; i < end; i++) {
        gather_name(names, op->forth[i].released_by);
        gather_name(names, op->forth[i].taken_by);
        gather_name(names, op->back[i].released_by);
        gather_name(names, op->back[i].taken_by);
    }
    o = record_begin(ret, &start);
    record_put_version(&o, f->version);
    json_put_text(&o, "fleet", f->spec.fleet);
    json_put_int(&o, "number", op->number);
    json_put_int(&o, "shard", shard);
    json_put_int(&o, "pass_count", op->pass_count);
    json_open(&o, "members", '[');
    for (int i = 0; i < names->count; i++)
        json_put_text(&o, NULL, names->items[i]);
    json_close(&o, ']');
    put_stage_of(&o, op, first, end);
    json_open(&o, "passes", '[');
    for (int i = first; i < end; i++) {
        if (pass_is_untouched(&op->forth[i]) && pass_is_untouched(&op->back[i]))
            continue;
        json_open(&o, NULL, '{');
        json_put_int(&o, "baton", i);
        json_put_text(&o, "topic", f->spec.topics[f->batons[i].topic]);
        json_put_int(&o, "partition", f->batons[i].partition);
        put_pass(&o, "forth", &op->forth[i], names);
        put_pass(&o, "back", &op->back[i], names);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    r = record_end(&o, start, m, "the passes of an operation");
    free(names);
    return r;
}

static void read_name(char ret[INCARNATION_MAX + 1], const struct json_at *pass, const char *key,
                      const struct json_at *names)
{
    const int64_t last = (int64_t)json_array_size(names->value) - 1;
    struct json_at name;

    if (!json_has(pass, key))
        return;
    if (last < 0) {
        json_fail(pass, key, "members is empty");
        return;
    }
    name = json_item(names, (size_t)json_int(pass, key, 0, last));
    json_copy_text(&name, NULL, ret, INCARNATION_MAX + 1);
}

static int64_t offset_or_none(const struct json_at *at, const char *key)
{
    return json_int_or(at, key, 0, INT64_MAX, OFFSET_NONE);
}

static int64_t time_or_0(const struct json_at *at, const char *key)
{
    return json_int_or(at, key, 0, INT64_MAX, 0);
}

static void read_pass(struct pass *p, const struct json_at *entry, const char *key, const struct json_at *names)
{
    struct json_at at;

    if (!json_has(entry, key) || !json_object_member(&at, entry, key))
        return;
    p->ordered = json_flag(&at, "ordered");
    p->taken = json_flag(&at, "taken");
    p->order = (uint64_t)record_count(&at, "order");
    p->grant = (uint64_t)record_count(&at, "grant");
    p->released = offset_or_none(&at, "released");
    p->committed = offset_or_none(&at, "committed");
    p->from = offset_or_none(&at, "from");
    p->first = offset_or_none(&at, "first");
    p->log_start = offset_or_none(&at, "log_start");
    p->given_again = json_has(&at, "given_again") ? record_count(&at, "given_again") : 0;
    p->doubt = offset_or_none(&at, "doubt");
    p->repeat_to = offset_or_none(&at, "repeat_to");
    p->replay_from = offset_or_none(&at, "replay_from");
    read_name(p->released_by, &at, "released_by", names);
    read_name(p->taken_by, &at, "taken_by", names);
    p->stopped_unix_us = time_or_0(&at, "stopped_unix_us");
    p->drained_unix_us = time_or_0(&at, "drained_unix_us");
    p->attached_unix_us = time_or_0(&at, "attached_unix_us");
    p->first_unix_us = time_or_0(&at, "first_unix_us");
    p->release_heard_unix_us = time_or_0(&at, "release_heard_unix_us");
    p->take_heard_unix_us = time_or_0(&at, "take_heard_unix_us");
}

/* The passes of this record: into op->forth and op->back, which have room for pass_max. */
static void read_passes(struct op *op, int pass_max, int shard, const struct json_at *record)
{
    const int total = (int)json_int(record, "pass_count", 1, BATONS_MAX), first = shard * SHARD_BATONS;
    const int end = total - first < SHARD_BATONS ? total : first + SHARD_BATONS;
    struct json_at list, names;
    int next = first;

    if (total > pass_max && !record->reader->error)
        record->reader->error =
            err_set(record->reader->m, ERR_TOO_LARGE, "%d passes, there is room for %d", total, pass_max);
    if (end <= first)
        json_fail(record, "pass_count", "%d passes do not reach into shard %d", total, shard);
    if (!json_array_member(&names, record, "members", NAMES_MAX) ||
        !json_array_member(&list, record, "passes", SHARD_BATONS))
        return;
    for (int i = op->pass_count < first ? op->pass_count : first; i < end; i++)
        op->forth[i] = op->back[i] = pass_untouched;
    for (size_t i = 0; i < json_array_size(list.value) && !record->reader->error; i++) {
        const struct json_at entry = json_item(&list, i);
        const int baton = (int)json_int(&entry, "baton", next, end - 1);

        if (record->reader->error)
            return;
        read_pass(&op->forth[baton], &entry, "forth", &names);
        read_pass(&op->back[baton], &entry, "back", &names);
        next = baton + 1;
    }
    if (json_has(record, "stage_of") && json_array_member(&list, record, "stage_of", SHARD_BATONS))
        for (int i = first; i < end && i - first < (int)json_array_size(list.value); i++) {
            const struct json_at item = json_item(&list, (size_t)(i - first));

            op->forth[i].stage = (uint8_t)json_int(&item, NULL, 0, STAGES_MAX - 1);
        }
    if (end > op->pass_count)
        op->pass_count = end;
}

int passes_decode(struct op *op, int pass_max, int shard, const char *json, size_t len, struct errmsg *m)
{
    struct json_reader reader;
    struct json_at record;
    uint32_t number;
    json_t *tree;
    int r;

    ASSERT(shard >= 0 && shard < SHARDS_MAX);
    r = record_read(&tree, &record, &reader, json, len, m);
    if (r < 0)
        return r;
    record_version(&record);
    number = (uint32_t)json_int(&record, "number", 1, UINT32_MAX);
    if (op->number != 0 && op->number != number)
        json_fail(&record, "number", "it is not that of operation %u", (unsigned)op->number);
    if (json_int(&record, "shard", 0, SHARDS_MAX - 1) != shard)
        json_fail(&record, "shard", "it is not %d, as the key says", shard);
    read_passes(op, pass_max, shard, &record);
    json_decref(tree);
    return reader.error;
}
