/*
 * spec_write - a spec back to JSON and to YAML, both canonical: every option, in the table's order, and they read
 * back the same.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "wire/json_write.h"
#include "wire/spec_tree.h"

static const char *choice_name(const struct spec *spec, const struct spec_option *o, char ret[SPEC_KEY_MAX])
{
    char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX];
    unsigned number;
    int count;

    memcpy(&number, (const char *)spec + o->at, sizeof(number));
    spec_choice_index(o->choices, "", names, &count);
    ASSERT(number < (unsigned)count);
    memcpy(ret, names[number], SPEC_KEY_MAX);
    return ret;
}

/* NULL when out of memory: half a list of topics must never reach the log. */
static json_t *texts_to_json(const struct spec *spec, enum option_type type)
{
    const int count = type == OPTION_TOPICS ? spec->topic_count : spec->stage_count;
    json_t *list = json_array();

    for (int i = 0; list && i < count; i++) {
        char percent[16];
        const char *text = percent;

        if (type == OPTION_TOPICS)
            text = spec->topics[i];
        else
            snprintf(percent, sizeof(percent), "%d%%", spec->stages_percent[i]);
        if (json_array_append_new(list, json_string(text)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *option_to_json(const struct spec *spec, const struct spec_option *o)
{
    const char *at = (const char *)spec + o->at;
    char text[SPEC_KEY_MAX];
    int64_t ms;

    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_GROUP:
        return json_string(at);
    case OPTION_CHOICE:
        return json_string(choice_name(spec, o, text));
    case OPTION_DURATION:
        memcpy(&ms, at, sizeof(ms));
        return json_string(format_duration(text, ms));
    case OPTION_INT:
        return json_integer(*(const int *)at);
    case OPTION_PERCENTS:
    case OPTION_TOPICS:
        return texts_to_json(spec, o->type);
    }
    return NULL;
}

/* Sets root.a.b of "a.b"; false when out of memory. */
static bool set_path(json_t *root, const char *path, json_t *value)
{
    char key[SPEC_KEY_MAX];
    const char *dot;
    json_t *at = root;

    for (; (dot = strchr(path, '.')); path = dot + 1) {
        json_t *below;

        snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
        below = json_object_get(at, key);
        if (!below) {
            below = json_object();
            if (json_object_set_new(at, key, below) < 0) {
                json_decref(value);
                return false;
            }
        }
        at = below;
    }
    return json_object_set_new(at, path, value) == 0;
}

json_t *spec_to_json(const struct spec *spec)
{
    json_t *root = json_object();

    for (int i = 0; root && i < spec_option_count; i++)
        if (!set_path(root, spec_options[i].key, option_to_json(spec, &spec_options[i]))) {
            json_decref(root);
            root = NULL;
        }
    return root;
}

/* Without quotes only what no YAML reader takes for anything but a text. */
static void add_yaml_text(struct str *ret, const char *text)
{
    static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };
    bool plain = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
    struct json_out o = { .text = ret };

    for (const char *p = text; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            plain = false;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            plain = false;
    if (plain)
        str_add(ret, text);
    else
        json_put_text(&o, NULL, text);
}

static void add_yaml_value(struct str *ret, const struct spec *spec, const struct spec_option *o)
{
    const char *at = (const char *)spec + o->at;
    char text[SPEC_KEY_MAX];
    int64_t ms;

    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_GROUP:
        add_yaml_text(ret, at);
        break;
    case OPTION_CHOICE:
        str_add(ret, choice_name(spec, o, text));
        break;
    case OPTION_DURATION:
        memcpy(&ms, at, sizeof(ms));
        str_add(ret, format_duration(text, ms));
        break;
    case OPTION_INT:
        str_addf(ret, "%d", *(const int *)at);
        break;
    case OPTION_PERCENTS:
        for (int i = 0; i < spec->stage_count; i++)
            str_addf(ret, "%s%d%%", i > 0 ? ", " : "[", spec->stages_percent[i]);
        str_add_char(ret, ']');
        break;
    case OPTION_TOPICS:
        for (int i = 0; i < spec->topic_count; i++) {
            str_add(ret, i > 0 ? ", " : "[");
            add_yaml_text(ret, spec->topics[i]);
        }
        str_add_char(ret, ']');
        break;
    }
}

/* The keys that lead to an option, each on a line of its own unless the option before went through it already. */
static void add_yaml_keys(struct str *ret, const char *key, const char *before)
{
    int depth = 0;
    bool same = true;

    for (const char *part = key; part; depth++) {
        const char *dot = strchr(part, '.');
        const size_t end = dot ? (size_t)(dot - key) + 1 : strlen(key);

        same = same && dot && strncmp(key, before, end) == 0;
        if (!same)
            str_addf(ret, "%*s%.*s:", 2 * depth, "", (int)strcspn(part, "."), part);
        if (!same && dot)
            str_add_char(ret, '\n');
        part = dot ? dot + 1 : NULL;
    }
}

int spec_to_yaml(struct str *ret, const struct spec *spec, struct errmsg *m)
{
    const char *before = "";

    for (int i = 0; i < spec_option_count; i++) {
        add_yaml_keys(ret, spec_options[i].key, before);
        str_add_char(ret, ' ');
        add_yaml_value(ret, spec, &spec_options[i]);
        str_add_char(ret, '\n');
        before = spec_options[i].key;
    }
    return str_error(ret) ? err_set(m, str_error(ret), "write the fleet file") : ERR_OK;
}
