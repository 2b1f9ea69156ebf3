/*
 * settings - librdkafka's properties by name, checked when they are given and not when they are used.
 *
 * The list of names comes from librdkafka itself, so that a new one needs nothing here, and a wrong one gets its nearest
 * neighbour for an answer. What only consumers or only producers understand reaches only these.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "kafka/internal.h"

#define SETTINGS_MAX 256
#define SETTING_VALUE_MAX (64 * 1024) /* a certificate chain in PEM fits */
#define SETTINGS_FILE_MAX (512 * 1024)
#define PROPERTIES_MAX 512

/* ---- the properties librdkafka knows ---- */

enum property_side { SIDE_BOTH, SIDE_CONSUMER, SIDE_PRODUCER };

struct property {
    char name[64];
    enum property_side side;
    bool topic; /* a topic property: understood by the global configuration, which hands it on */
};

static struct property properties[PROPERTIES_MAX];
static const char *property_names[PROPERTIES_MAX];
static int property_count;
static pthread_once_t properties_once = PTHREAD_ONCE_INIT;

/* One line of rd_kafka_conf_properties_show(): "name | C/P | range | default | importance | description". */
static void property_read(const char *line, bool topic)
{
    struct property *p = &properties[property_count];
    char name[64], side[8];

    if (property_count == PROPERTIES_MAX || sscanf(line, "%63[a-z0-9._] | %7s |", name, side) != 2)
        return;
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->side = side[0] == 'C' ? SIDE_CONSUMER : side[0] == 'P' ? SIDE_PRODUCER : SIDE_BOTH;
    p->topic = topic;
    property_names[property_count] = p->name;
    property_count++;
}

/* The list has no other door than a table printed to a FILE. */
static void properties_load(void)
{
    char *text = NULL, *line, *rest;
    size_t size = 0;
    bool topic = false;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return;
    rd_kafka_conf_properties_show(f);
    if (fclose(f) == 0) {
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            if (strncmp(line, "## Topic", 8) == 0)
                topic = true;
            property_read(line, topic);
        }
    }
    free(text);
}

static const struct property *property_find(const char *name)
{
    pthread_once(&properties_once, properties_load);
    for (int i = 0; i < property_count; i++)
        if (strcmp(properties[i].name, name) == 0)
            return &properties[i];
    return NULL;
}

/* Names that people bring along from the Java client. */
static const struct {
    const char *java, *ours;
} java_names[] = {
    { "sasl.jaas.config", "sasl.username and sasl.password" },
    { "ssl.truststore.location", "ssl.ca.location (a PEM file)" },
    { "ssl.truststore.password", "ssl.ca.location (a PEM file, without a password)" },
    { "ssl.truststore.type", "ssl.ca.location (a PEM file)" },
    { "ssl.truststore.certificates", "ssl.ca.pem" },
    { "ssl.keystore.type", "ssl.keystore.location (PKCS#12) or ssl.key.location and ssl.certificate.location (PEM)" },
    { "max.poll.records", "nothing: libbaton hands out one record at a time" },
};

static int unknown_name(const char *name, struct errmsg *m)
{
    const char *near;

    pthread_once(&properties_once, properties_load);
    near = suggest(name, property_names, (size_t)property_count);
    if (near)
        return err_set(m, ERR_INVALID, "setting '%s' is not known to librdkafka: did you mean '%s'?", name, near);
    return err_set(m, ERR_INVALID, "setting '%s' is not known to librdkafka %s", name, rd_kafka_version_str());
}

/* ---- settings ---- */

struct setting {
    char *name;
    char *value;
};

struct kafka_settings {
    struct setting items[SETTINGS_MAX];
    int count;
    rd_kafka_conf_t *check; /* every value is tried here first */
};

struct kafka_settings *kafka_settings_new(void)
{
    struct kafka_settings *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->check = rd_kafka_conf_new();
    return s;
}

void kafka_settings_free(struct kafka_settings *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].value);
    }
    if (s->check)
        rd_kafka_conf_destroy(s->check);
    free(s);
}

/* The alias is kept under the name that everybody uses. */
static const char *setting_canonical(const char *name)
{
    return strcmp(name, "metadata.broker.list") == 0 ? "bootstrap.servers" : name;
}

static struct setting *setting_find(const struct kafka_settings *s, const char *name)
{
    name = setting_canonical(name);
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->items[i].name, name) == 0)
            return (struct setting *)&s->items[i];
    return NULL;
}

static int setting_put(struct kafka_settings *s, const char *name, const char *value, struct errmsg *m)
{
    struct setting *at = setting_find(s, name);
    char *copy = strdup(value);

    if (!copy)
        return err_set(m, ERR_NOMEM, "setting '%s'", name);
    if (at) {
        free(at->value);
        at->value = copy;
        return ERR_OK;
    }
    if (s->count == SETTINGS_MAX) {
        free(copy);
        return err_set(m, ERR_TOO_LARGE, "setting '%s': more than %d settings", name, SETTINGS_MAX);
    }
    s->items[s->count].name = strdup(setting_canonical(name));
    if (!s->items[s->count].name) {
        free(copy);
        return err_set(m, ERR_NOMEM, "setting '%s'", name);
    }
    s->items[s->count++].value = copy;
    return ERR_OK;
}

static struct kafka_settings *settings_filter(const struct kafka_settings *s, bool common_only)
{
    struct kafka_settings *copy = kafka_settings_new();

    if (!copy)
        return NULL;
    for (int i = 0; i < s->count; i++) {
        const struct property *p = property_find(s->items[i].name);

        if (common_only && p && (p->side != SIDE_BOTH || p->topic))
            continue;
        if (setting_put(copy, s->items[i].name, s->items[i].value, NULL) < 0) {
            kafka_settings_free(copy);
            return NULL;
        }
    }
    return copy;
}

struct kafka_settings *kafka_settings_copy(const struct kafka_settings *s)
{
    return settings_filter(s, false);
}

struct kafka_settings *kafka_settings_common(const struct kafka_settings *s)
{
    return settings_filter(s, true);
}

const char *kafka_settings_get(const struct kafka_settings *s, const char *name)
{
    const struct setting *at = setting_find(s, name);

    return at ? at->value : NULL;
}

bool kafka_settings_at(const struct kafka_settings *s, int index, const char **name, const char **value)
{
    if (index >= s->count)
        return false;
    *name = s->items[index].name;
    *value = s->items[index].value;
    return true;
}

int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct errmsg *m)
{
    char why[400];

    for (size_t i = 0; i < ARRAY_COUNT(java_names); i++)
        if (strcmp(java_names[i].java, name) == 0)
            return err_set(m, ERR_INVALID, "setting '%s' is the Java client's: here it is %s", name,
                           java_names[i].ours);
    switch (rd_kafka_conf_set(conf, name, value, why, sizeof(why))) {
    case RD_KAFKA_CONF_OK:
        return ERR_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return unknown_name(name, m);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    return err_set(m, ERR_INVALID, "setting '%s': %s", name, why);
}

int kafka_settings_set(struct kafka_settings *s, const char *name, const char *value, struct errmsg *m)
{
    int r;

    if (!name[0])
        return err_set(m, ERR_INVALID, "a setting without a name: write NAME=VALUE");
    if (strlen(value) > SETTING_VALUE_MAX)
        return err_set(m, ERR_TOO_LARGE, "setting '%s': longer than %d bytes", name, SETTING_VALUE_MAX);
    r = kafka_conf_set(s->check, name, value, m);
    if (r < 0)
        return r;
    return setting_put(s, name, value, m);
}

static char *trim(char *text)
{
    char *end;

    while (isspace((unsigned char)*text))
        text++;
    end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

static int settings_line(struct kafka_settings *s, char *line, struct errmsg *m)
{
    char *text = trim(line), *equals;

    if (!text[0] || text[0] == '#')
        return ERR_OK;
    equals = strchr(text, '=');
    if (!equals)
        return err_set(m, ERR_INVALID, "no '=' in it: write NAME=VALUE, or # before a comment");
    *equals = '\0';
    return kafka_settings_set(s, trim(text), trim(equals + 1), m);
}

int kafka_settings_load(struct kafka_settings *s, const char *path, struct errmsg *m)
{
    char *line = NULL;
    size_t room = 0, total = 0;
    ssize_t len;
    int number = 0, r = ERR_OK;
    FILE *f = fopen(path, "re");

    if (!f)
        return err_set(m, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "settings file '%s': %s", path, strerror(errno));
    while (r == ERR_OK && (len = getline(&line, &room, f)) >= 0) {
        number++;
        total += (size_t)len;
        if (total > SETTINGS_FILE_MAX)
            r = err_set(m, ERR_TOO_LARGE, "longer than %d bytes", SETTINGS_FILE_MAX);
        else if (strlen(line) != (size_t)len)
            r = err_set(m, ERR_INVALID, "a zero byte in it: this is not a text file");
        else
            r = settings_line(s, line, m);
    }
    if (r == ERR_OK && ferror(f))
        r = err_set(m, ERR_IO, "%s", strerror(errno));
    free(line);
    fclose(f);
    return r < 0 ? err_wrap(m, r, "settings file '%s', line %d", path, number) : ERR_OK;
}

/* Of a consumer's settings a producer gets none, and the reverse: librdkafka would only warn. */
static bool setting_fits(const char *name, rd_kafka_type_t type)
{
    const struct property *p = property_find(name);

    return !p || p->side == SIDE_BOTH || (p->side == SIDE_CONSUMER) == (type == RD_KAFKA_CONSUMER);
}

int kafka_settings_apply(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct kafka_settings *s, struct errmsg *m)
{
    for (int i = 0; i < s->count; i++) {
        int r = setting_fits(s->items[i].name, type) ? kafka_conf_set(conf, s->items[i].name, s->items[i].value, m)
                                                     : ERR_OK;

        if (r < 0)
            return r;
    }
    return ERR_OK;
}
