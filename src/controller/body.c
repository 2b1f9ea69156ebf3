/*
 * body - the JSON body of an order, strict: an unknown field is named with "did you mean", figures have units and
 * bounds.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "controller/internal.h"

#define BODY_BYTES_MAX (64 * 1024)
#define DURATION_MS_MAX (7 * 24 * 3600 * 1000LL)

enum field_kind { FIELD_TEXT, FIELD_COLOR, FIELD_STAGES, FIELD_DURATION, FIELD_BOOL, FIELD_JUDGE, FIELD_ORDER_KIND };

#define ON(kind) (1u << (kind))
#define ON_ALL (ON(ORDER_SWITCH) | ON(ORDER_ROLLBACK) | ON(ORDER_PAUSE) | ON(ORDER_RESUME))

/* Which order has which field. "kind" stands only in a plan. */
static const struct field {
    const char *name;
    enum field_kind kind;
    size_t at, room;
    unsigned orders;
} fields[] = {
    { "kind", FIELD_ORDER_KIND, offsetof(struct order, kind), 0, 0 },
    { "to", FIELD_COLOR, offsetof(struct order, to), 0, ON(ORDER_SWITCH) },
    { "stages", FIELD_STAGES, offsetof(struct order, stages_percent), 0, ON(ORDER_SWITCH) },
    { "observe", FIELD_DURATION, offsetof(struct order, observe_ms), 0, ON(ORDER_SWITCH) },
    { "deadline", FIELD_DURATION, offsetof(struct order, deadline_ms), 1, ON_ALL },
    { "replay", FIELD_BOOL, offsetof(struct order, replay), 0, ON(ORDER_ROLLBACK) },
    { "judge", FIELD_JUDGE, offsetof(struct order, judge), 0, ON(ORDER_SWITCH) },
    { "force", FIELD_BOOL, offsetof(struct order, force), 0, ON(ORDER_SWITCH) },
    { "reason", FIELD_TEXT, offsetof(struct order, reason), REASON_MAX + 1, ON_ALL },
    { "by", FIELD_TEXT, offsetof(struct order, by), BY_MAX + 1, ON_ALL },
    { "request_id", FIELD_TEXT, offsetof(struct order, request_id), REQUEST_ID_MAX + 1, ON_ALL },
    { "dry_run", FIELD_BOOL, offsetof(struct order, dry_run), 0, ON_ALL },
};

static const char *const order_names[] = { "switch", "rollback", "pause", "resume" };

static int stage_add(struct order *o, const json_t *stage, struct errmsg *m)
{
    int percent = 0, r;

    if (o->stage_count == STAGES_MAX)
        return err_set(m, ERR_INVALID, "'stages' has more than %d entries", STAGES_MAX);
    if (json_is_integer(stage)) {
        const json_int_t value = json_integer_value(stage);

        percent = value >= 1 && value <= 100 ? (int)value : 0;
        r = percent ? ERR_OK : err_set(m, ERR_INVALID, "'stages': %lld is not between 1 and 100", (long long)value);
    } else if (json_is_string(stage)) {
        r = parse_percent(&percent, json_string_value(stage), m);
        if (r < 0)
            err_wrap(m, r, "'stages'");
    } else {
        r = err_set(m, ERR_INVALID, "'stages' is a list like [\"10%%\", \"50%%\", \"100%%\"]");
    }
    if (r < 0)
        return r;
    if (o->stage_count > 0 && percent <= o->stages_percent[o->stage_count - 1])
        return err_set(m, ERR_INVALID, "'stages' must grow: %d%% does not follow %d%%", percent,
                       o->stages_percent[o->stage_count - 1]);
    o->stages_percent[o->stage_count++] = percent;
    return ERR_OK;
}

static int stages_read(struct order *o, const json_t *value, struct errmsg *m)
{
    if (!json_is_array(value) || json_array_size(value) == 0)
        return err_set(m, ERR_INVALID, "'stages' is a list like [\"10%%\", \"50%%\", \"100%%\"]");
    for (size_t i = 0; i < json_array_size(value); i++) {
        int r = stage_add(o, json_array_get(value, i), m);

        if (r < 0)
            return r;
    }
    if (o->stages_percent[o->stage_count - 1] != 100)
        return err_set(m, ERR_INVALID, "the last of 'stages' must be 100%%");
    return ERR_OK;
}

static bool clean_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

bool body_id_clean(const char *id)
{
    return *id && strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(id);
}

static int field_read(struct order *o, const struct field *field, const json_t *value, struct errmsg *m)
{
    char *at = (char *)o + field->at;
    const char *text = json_string_value(value);

    switch (field->kind) {
    case FIELD_TEXT:
        if (!text || !clean_text(text) || !text_copy(at, field->room, text))
            return err_set(m, ERR_INVALID, "'%s' must be a text of at most %zu bytes without control characters",
                           field->name, field->room - 1);
        if (!strcmp(field->name, "request_id") && !body_id_clean(text))
            return err_set(m, ERR_INVALID, "'request_id' may hold letters, digits, '-', '_' and '.'");
        return ERR_OK;
    case FIELD_COLOR:
        o->to_given = true;
        if (!text || !color_parse((enum color *)(void *)at, text))
            return err_set(m, ERR_INVALID, "'to' must be \"blue\" or \"green\"");
        return ERR_OK;
    case FIELD_STAGES:
        return stages_read(o, value, m);
    case FIELD_DURATION:
        if (!text)
            return err_set(m, ERR_INVALID, "'%s' must be a time like \"30s\"", field->name);
        if (parse_duration_ms((int64_t *)(void *)at, text, (int64_t)field->room, DURATION_MS_MAX, m) < 0)
            return err_wrap(m, ERR_INVALID, "'%s'", field->name);
        return ERR_OK;
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return err_set(m, ERR_INVALID, "'%s' must be true or false", field->name);
        *(bool *)(void *)at = json_is_true(value);
        return ERR_OK;
    case FIELD_JUDGE:
        o->judge_given = true;
        if (!text || !judge_mode_parse((enum judge_mode *)(void *)at, text))
            return err_set(m, ERR_INVALID, "'judge' must be \"guard\", \"auto\" or \"off\"");
        return ERR_OK;
    case FIELD_ORDER_KIND:
        return ERR_OK; /* read first */
    }
    return ERR_INTERNAL;
}

static int kind_read(struct order *o, const json_t *value, struct errmsg *m)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < ARRAY_COUNT(order_names); i++)
        if (!strcmp(order_names[i], text)) {
            o->kind = (enum order_kind)i;
            return ERR_OK;
        }
    return err_set(m, ERR_INVALID, "'kind' must be \"switch\", \"rollback\", \"pause\" or \"resume\"");
}

static int unknown_field(const char *name, const struct order *o, bool kind_given, struct errmsg *m)
{
    const char *names[ARRAY_COUNT(fields)], *near;
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        if ((fields[i].orders & ON(o->kind)) || (kind_given && fields[i].kind == FIELD_ORDER_KIND))
            names[count++] = fields[i].name;
    near = suggest(name, names, count);
    return err_set(m, ERR_INVALID, "unknown field '%.60s' in a %s%s%s%s", name, order_names[o->kind],
                   near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int body_order(struct order *ret, const char *json, size_t len, enum order_kind kind, bool kind_given, struct errmsg *m)
{
    struct order o = { .kind = kind, .observe_ms = -1, .deadline_ms = -1 };
    json_error_t why;
    json_t *tree;
    const char *name;
    json_t *value;
    int r = ERR_OK;

    if (strspn(json, " \t\r\n") == len) {
        *ret = o; /* no body: all as the fleet has it */
        return ERR_OK;
    }
    if (len > BODY_BYTES_MAX)
        return err_set(m, ERR_TOO_LARGE, "an order has at most %d bytes", BODY_BYTES_MAX);
    tree = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
    if (!tree)
        return err_set(m, ERR_INVALID, "the body is not JSON: line %d, column %d: %.120s", why.line, why.column,
                       why.text);
    if (!json_is_object(tree))
        r = err_set(m, ERR_INVALID, "the body must be a JSON object");
    if (r == ERR_OK && kind_given && json_object_get(tree, "kind"))
        r = kind_read(&o, json_object_get(tree, "kind"), m);
    if (r == ERR_OK)
        json_object_foreach(tree, name, value)
        {
            const struct field *field = NULL;

            for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
                if (!strcmp(fields[i].name, name) &&
                    ((fields[i].orders & ON(o.kind)) || (kind_given && fields[i].kind == FIELD_ORDER_KIND)))
                    field = &fields[i];
            r = field ? field_read(&o, field, value, m) : unknown_field(name, &o, kind_given, m);
            if (r < 0)
                break;
        }
    json_decref(tree);
    if (r == ERR_OK)
        *ret = o;
    return r;
}
