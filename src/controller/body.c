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

enum field_kind {
    FIELD_TEXT,
    FIELD_COLOR,
    FIELD_STAGES,
    FIELD_KEEP,
    FIELD_DURATION,
    FIELD_BOOL,
    FIELD_JUDGE,
    FIELD_ORDER_KIND
};

#define ON(kind) (1u << (kind))
#define ON_ALL (ON(ORDER_KIND_COUNT) - 1)
#define ON_NEW (ON_ALL & ~(ON(ORDER_HOLD) | ON(ORDER_PROMOTE) | ON(ORDER_ABORT))) /* what begins an operation */

/* Which order has which field. "kind" stands only in a plan. */
static const struct field {
    const char *name;
    enum field_kind kind;
    size_t at, room;
    unsigned orders;
} fields[] = {
    { "kind", FIELD_ORDER_KIND, offsetof(struct order, kind), 0, 0 },
    { "to", FIELD_COLOR, offsetof(struct order, to), 0, ON(ORDER_SWITCH) },
    { "stages", FIELD_STAGES, offsetof(struct order, stages), 0, ON(ORDER_SWITCH) },
    { "partitions", FIELD_KEEP, offsetof(struct order, keep), 0, ON(ORDER_THROTTLE) },
    { "observe", FIELD_DURATION, offsetof(struct order, observe_ms), 0, ON(ORDER_SWITCH) },
    { "deadline", FIELD_DURATION, offsetof(struct order, deadline_ms), 1, ON_NEW },
    { "replay", FIELD_BOOL, offsetof(struct order, replay), 0, ON(ORDER_ROLLBACK) },
    { "judge", FIELD_JUDGE, offsetof(struct order, judge), 0, ON(ORDER_SWITCH) },
    { "force", FIELD_BOOL, offsetof(struct order, force), 0, ON(ORDER_SWITCH) },
    { "reason", FIELD_TEXT, offsetof(struct order, reason), REASON_MAX + 1, ON_ALL },
    { "by", FIELD_TEXT, offsetof(struct order, by), BY_MAX + 1, ON_ALL },
    { "request_id", FIELD_TEXT, offsetof(struct order, request_id), REQUEST_ID_MAX + 1, ON_ALL },
    { "dry_run", FIELD_BOOL, offsetof(struct order, dry_run), 0, ON_NEW },
};

static const char *const order_names[ORDER_KIND_COUNT] = { "switch",   "rollback", "pause",   "resume",
                                                           "throttle", "hold",     "promote", "abort" };

static int stages_read(struct order *o, const struct spec *spec, const json_t *value, struct errmsg *m)
{
    static const char wanted[] = "'stages' is a list like [\"10%\", \"50%\", \"100%\"]";
    int r = json_is_array(value) ? ERR_OK : err_set(m, ERR_INVALID, "%s", wanted);

    for (size_t i = 0; r == ERR_OK && i < json_array_size(value); i++) {
        const json_t *stage = json_array_get(value, i);
        char number[32];

        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(stage));
        if (!json_is_integer(stage) && !json_is_string(stage))
            return err_set(m, ERR_INVALID, "%s", wanted);
        r = stages_add(&o->stages, spec, json_is_integer(stage) ? number : json_string_value(stage), m);
    }
    if (r == ERR_OK)
        r = stages_end(&o->stages, m);
    return r < 0 ? err_wrap(m, r, "'stages'") : ERR_OK;
}

/* "25%" or a number: how many partitions go on working. */
static int keep_read(struct order *o, const json_t *value, struct errmsg *m)
{
    const char *text = json_string_value(value);
    int64_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    int r = ERR_OK;

    o->keep_percent = text && strchr(text, '%');
    if (o->keep_percent)
        r = parse_percent(&o->keep, text, m);
    else if (text)
        r = parse_int64(&number, text, 1, BATONS_MAX, m);
    if (r == ERR_OK && !o->keep_percent && (number < 1 || number > BATONS_MAX))
        r = err_set(m, ERR_INVALID, "write how many partitions go on working, as in 4 or \"25%%\"; none is a pause");
    if (r == ERR_OK && !o->keep_percent)
        o->keep = (int)number;
    return r < 0 ? err_wrap(m, r, "'partitions'") : ERR_OK;
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

static int field_read(struct order *o, const struct spec *spec, const struct field *field, const json_t *value,
                      struct errmsg *m)
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
        return stages_read(o, spec, value, m);
    case FIELD_KEEP:
        return keep_read(o, value, m);
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

    for (size_t i = 0; text && i < ORDER_HOLD; i++) /* what only steers cannot be planned */
        if (!strcmp(order_names[i], text)) {
            o->kind = (enum order_kind)i;
            return ERR_OK;
        }
    return err_set(m, ERR_INVALID, "'kind' must be \"switch\", \"rollback\", \"pause\", \"resume\" or \"throttle\"");
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

int body_order(struct order *ret, const struct spec *spec, const char *json, size_t len, enum order_kind kind,
               bool kind_given, struct errmsg *m)
{
    struct order o = { .kind = kind, .observe_ms = -1, .deadline_ms = -1 };
    json_error_t why;
    json_t *tree;
    const char *name;
    json_t *value;
    int r = ERR_OK;

    if (strspn(json, " \t\r\n") == len) {
        if (kind == ORDER_THROTTLE)
            return err_set(m, ERR_INVALID, "a throttle says how many partitions go on working: {\"partitions\": 4}");
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
            r = field ? field_read(&o, spec, field, value, m) : unknown_field(name, &o, kind_given, m);
            if (r < 0)
                break;
        }
    json_decref(tree);
    if (r == ERR_OK && o.kind == ORDER_THROTTLE && o.keep == 0)
        r = err_set(m, ERR_INVALID, "'partitions' is missing: how many of them go on working, as in 4 or \"25%%\"");
    if (r == ERR_OK)
        *ret = o;
    return r;
}
