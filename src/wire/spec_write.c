/*
 * spec_write - a spec back to JSON and to YAML, both canonical: every option, in the table's order, and they read
 * back the same.
 */
#include <stdio.h>
#include <stdlib.h>
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
    const int count = type == OPTION_TOPICS ? spec->topic_count : stages_word_count(&spec->stages);
    json_t *list = json_array();

    for (int i = 0; list && i < count; i++) {
        char word[STAGE_WORD_MAX];
        const char *text = word;

        if (type == OPTION_TOPICS)
            text = spec->topics[i];
        else
            stages_word(word, &spec->stages, spec, i);
        if (json_array_append_new(list, json_string(text)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Reads back as the same number. */
static const char *limit_text(char ret[32], double limit)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(ret, 32, "%.*g", digits, limit);
        if (strtod(ret, NULL) == limit)
            break;
    }
    return ret;
}

static const char *worse_text(enum signal_worse worse)
{
    return worse == SIGNAL_LOWER_IS_WORSE ? "lower" : "higher";
}

static json_t *signals_to_json(const struct judge_policy *p)
{
    json_t *list = json_array();

    for (int i = 0; list && i < p->signal_count; i++) {
        const struct signal_policy *s = &p->signals[i];
        json_t *one = json_pack("{s:s, s:s, s:s}", "name", s->name, "query", s->query, "worse", worse_text(s->worse));
        char limit[32];
        bool good = one != NULL;

        if (good && s->limited)
            good = json_object_set_new(one, "limit", json_string(limit_text(limit, s->limit))) == 0;
        if (!good) {
            json_decref(one);
            one = NULL;
        }
        if (!one || json_array_append_new(list, one) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* "25%" or "4" */
static const char *keep_text(char ret[32], const char *at)
{
    struct keep keep;

    memcpy(&keep, at, sizeof(keep));
    snprintf(ret, 32, "%d%s", keep.amount, keep.percent ? "%" : "");
    return ret;
}

/* As a text, as the limits of signals are: it reads back as the same number. */
static const char *decimal_text(char ret[32], const char *at)
{
    double number;

    memcpy(&number, at, sizeof(number));
    return limit_text(ret, number);
}

static json_t *words_to_json(const struct spec_option *o, unsigned bits)
{
    char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX];
    json_t *list = json_array();
    int count;

    spec_choice_index(o->choices, "", names, &count);
    for (int i = 0; list && i < count; i++)
        if ((bits >> i & 1) && json_array_append_new(list, json_string(names[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

/* 0, or an empty text, of an option that has a word for it. */
static bool is_zero(const struct spec *spec, const struct spec_option *o)
{
    const char *at = (const char *)spec + o->at;
    int64_t ms;

    if (spec_option_is_text(o))
        return !at[0];
    if (o->type != OPTION_DURATION)
        return *(const int *)at == 0;
    memcpy(&ms, at, sizeof(ms));
    return ms == 0;
}

static json_t *option_to_json(const struct spec *spec, const struct spec_option *o)
{
    const char *at = (const char *)spec + o->at;
    char text[SPEC_KEY_MAX];
    int64_t ms;

    if (spec_option_zero(o) && is_zero(spec, o))
        return json_string(spec_option_zero(o));
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_GROUP:
    case OPTION_URL:
        return json_string(at);
    case OPTION_SHARE:
        return json_string(format_share(text, *(const int *)at));
    case OPTION_DECIMAL:
        return json_string(decimal_text(text, at));
    case OPTION_KEEP:
        return json_string(keep_text(text, at));
    case OPTION_WORDS:
        return words_to_json(o, *(const unsigned *)at);
    case OPTION_SIGNALS:
        return signals_to_json(&spec->judge);
    case OPTION_CHOICE:
        return json_string(choice_name(spec, o, text));
    case OPTION_DURATION:
        memcpy(&ms, at, sizeof(ms));
        return json_string(format_duration(text, ms));
    case OPTION_INT:
        return json_integer(*(const int *)at);
    case OPTION_STAGES:
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

static void add_yaml_signals(struct str *ret, const struct judge_policy *p)
{
    str_add_char(ret, '[');
    for (int i = 0; i < p->signal_count; i++) {
        const struct signal_policy *s = &p->signals[i];
        struct json_out o = { .text = ret };
        char limit[32];

        str_addf(ret, "%s{name: ", i > 0 ? ", " : "");
        add_yaml_text(ret, s->name);
        str_add(ret, ", query: ");
        json_put_text(&o, NULL, s->query);
        str_addf(ret, ", worse: %s", worse_text(s->worse));
        if (s->limited)
            str_addf(ret, ", limit: %s", limit_text(limit, s->limit));
        str_add_char(ret, '}');
    }
    str_add_char(ret, ']');
}

static void add_yaml_words(struct str *ret, const struct spec_option *o, unsigned bits)
{
    char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX];
    int count, shown = 0;

    spec_choice_index(o->choices, "", names, &count);
    str_add_char(ret, '[');
    for (int i = 0; i < count; i++)
        if (bits >> i & 1)
            str_addf(ret, "%s%s", shown++ > 0 ? ", " : "", names[i]);
    str_add_char(ret, ']');
}

static void add_yaml_value(struct str *ret, const struct spec *spec, const struct spec_option *o)
{
    const char *at = (const char *)spec + o->at;
    char text[SPEC_KEY_MAX];
    int64_t ms;

    if (spec_option_zero(o) && is_zero(spec, o)) {
        str_add(ret, spec_option_zero(o));
        return;
    }
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_GROUP:
    case OPTION_URL:
        add_yaml_text(ret, at);
        break;
    case OPTION_SHARE:
        str_add(ret, format_share(text, *(const int *)at));
        break;
    case OPTION_DECIMAL:
        str_add(ret, decimal_text(text, at));
        break;
    case OPTION_KEEP:
        str_add(ret, keep_text(text, at));
        break;
    case OPTION_WORDS:
        add_yaml_words(ret, o, *(const unsigned *)at);
        break;
    case OPTION_SIGNALS:
        add_yaml_signals(ret, &spec->judge);
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
    case OPTION_STAGES:
        for (int i = 0; i < stages_word_count(&spec->stages); i++) {
            char word[STAGE_WORD_MAX];

            stages_word(word, &spec->stages, spec, i);
            str_addf(ret, "%s%s", i > 0 ? ", " : "[", word);
        }
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
