/* options - see options.h. */
#include "member/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"

enum kind { KIND_TEXT, KIND_FLEET, KIND_COLOR, KIND_STANDBY, KIND_CHANNEL, KIND_MS, KIND_COUNT };

#define AT(field) offsetof(struct options, field), sizeof(((struct options *)NULL)->field)

static const struct option {
    const char *name;
    enum kind kind;
    size_t at, size;
    int64_t min, max;
    const char *standard; /* as a user would write it */
    const char *help;
} table[] = {
    { "baton.fleet", KIND_FLEET, AT(fleet), 1, FLEET_NAME_MAX, "",
      "Name of the fleet, as in its fleet file. Must be given." },
    { "baton.color", KIND_COLOR, AT(color), 0, 0, "", "The slot this version runs in: blue or green. Must be given." },
    { "baton.version", KIND_TEXT, AT(version), 0, VERSION_MAX, "",
      "Label of what runs, an image tag or a commit; all consumers of a color should agree." },
    { "baton.control.prefix", KIND_TEXT, AT(prefix), 0, PREFIX_MAX, "",
      "Put before the names of Baton's topics, the same as the controller's." },
    { "baton.standby", KIND_STANDBY, AT(standby), 0, 0, "detached",
      "How it stands by: detached hands librdkafka no partition, paused hands it all of them, paused." },
    { "baton.channel", KIND_CHANNEL, AT(channel), 0, 0, "kafka",
      "How it hears from the controller: kafka reads and writes Baton's topics; http asks a controller to do it, redis "
      "does so through a Redis, configmap through a Kubernetes cluster, and none of these needs rights on them." },
    { "baton.controllers", KIND_TEXT, AT(controllers), 0, CONTROLLERS_TEXT_MAX, "",
      "Of baton.channel=http: addresses of controllers, such as http://10.0.0.5:8080,http://10.0.0.6:8080." },
    { "baton.token.file", KIND_TEXT, AT(token_file), 0, FILE_NAME_MAX, "",
      "Of baton.channel=http: a file with the controllers' token for members (--member-token-file of `baton serve`)." },
    { "baton.ca.file", KIND_TEXT, AT(ca_file), 0, FILE_NAME_MAX, "",
      "Of baton.channel=http, redis or configmap: certificates that sign the server's own, instead of the system's (in "
      "a "
      "pod, its cluster's)." },
    { "baton.redis", KIND_TEXT, AT(redis), 0, CONTROLLERS_TEXT_MAX, "",
      "Of baton.channel=redis: the controllers' Redis, such as redis://USER@10.0.0.7:6379/0, rediss:// for TLS; of "
      "several, the first that answers and can be written to." },
    { "baton.redis.password.file", KIND_TEXT, AT(redis_password_file), 0, FILE_NAME_MAX, "",
      "Of baton.channel=redis: a file with the password, alone on its line." },
    { "baton.redis.cert.file", KIND_TEXT, AT(redis_cert_file), 0, FILE_NAME_MAX, "",
      "Of baton.channel=redis: a PEM file with a certificate and its key, for a rediss:// server that asks for one." },
    { "baton.configmap", KIND_TEXT, AT(configmap), 0, CONTROLLERS_TEXT_MAX, "",
      "Of baton.channel=configmap: in-cluster, in-cluster/NAMESPACE, or https://HOST:PORT/NAMESPACE of an API "
      "server." },
    { "baton.configmap.token.file", KIND_TEXT, AT(configmap_token_file), 0, FILE_NAME_MAX, "",
      "Of baton.channel=configmap: a file with the token, read before each request; in a pod, its own." },
    { "baton.in.flight.max", KIND_COUNT, AT(in_flight_max), 1, 65536, "1024",
      "Records of one partition that may be in flight, rounded up to a power of two." },
    { "baton.commit.interval.ms", KIND_MS, AT(commit_interval_ms), 10, 60000, "1000",
      "How often progress is committed; a hand-over never waits for it." },
    { "baton.revoke.timeout.ms", KIND_MS, AT(revoke_timeout_ms), 0, 300000, "5000",
      "How long a rebalance waits for records in flight of partitions that move to another consumer." },
    { "baton.close.timeout.ms", KIND_MS, AT(close_timeout_ms), 0, 3600000, "30000",
      "How long baton_close() waits for records in flight when it is told -1." },
    { "baton.connect.timeout.ms", KIND_MS, AT(connect_timeout_ms), 100, 600000, "10000",
      "How long baton_open() tries to reach a broker." },
    { "baton.report.interval.ms", KIND_MS, AT(report_interval_ms), 500, 10000, "1000",
      "How often it speaks to the controller when nothing changes; in a fleet of more than 500 partitions less "
      "often." },
};
#define TABLE_COUNT ((int)ARRAY_COUNT(table))

/* Of those that have some, in the order of their enums. */
#define CHOICES_MAX 4
static const char *const choices[][CHOICES_MAX] = {
    [KIND_STANDBY] = { "detached", "paused" }, [KIND_CHANNEL] = { "kafka", "http", "redis", "configmap" }
};

/* librdkafka's that Baton must own. A value of NULL is never accepted. */
static const struct owned {
    const char *name, *value, *why;
} owned[] = {
    { "enable.auto.commit", "false", "Baton commits when baton_done() was called, with a mark that a hand-over needs" },
    { "enable.auto.offset.store", "false", "Baton knows which records are done, librdkafka only which were fetched" },
    { "enable.partition.eof", "true", "a partition taken over at its end is recognized by it" },
    { "auto.offset.reset", NULL, "where a fleet begins stands in its fleet file, as offset_reset" },
};

static const struct option *option_find(const char *name)
{
    for (int i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static int64_t power_of_two(int64_t n)
{
    int64_t p = 1;

    while (p < n)
        p *= 2;
    return p;
}

/* A DNS label. */
static bool is_fleet_name(const char *name)
{
    int len = 0;

    for (const char *at = name; *at; at++, len++)
        if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9') && *at != '-')
            return false;
    return len > 0 && len <= FLEET_NAME_MAX && name[0] != '-' && name[len - 1] != '-';
}

static int choice_write(int *at, const struct option *opt, const char *value, struct errmsg *m)
{
    const char *const *names = choices[opt->kind];

    for (int i = 0; i < CHOICES_MAX && names[i]; i++)
        if (strcmp(value, names[i]) == 0) {
            *at = i;
            return ERR_OK;
        }
    return err_set(m, ERR_INVALID, "%s: '%s' is neither %s%s%s nor %s", opt->name, value, names[0],
                   names[2] ? ", " : "", names[2] ? names[1] : "", names[2] ? names[2] : names[1]);
}

static int option_write(struct options *o, const struct option *opt, const char *value, struct errmsg *m)
{
    void *at = (char *)o + opt->at;
    int64_t number;
    int r;

    switch (opt->kind) {
    case KIND_FLEET:
        if (!is_fleet_name(value))
            return err_set(m, ERR_INVALID, "%s: '%s' is no fleet name: 1 to %d of a-z, 0-9 and '-', such as payments",
                           opt->name, value, FLEET_NAME_MAX);
        text_copy(at, opt->size, value);
        return ERR_OK;
    case KIND_TEXT:
        if (!text_copy(at, opt->size, value))
            return err_set(m, ERR_TOO_LARGE, "%s: longer than %lld characters", opt->name, (long long)opt->max);
        return ERR_OK;
    case KIND_COLOR:
        if (!color_parse(at, value))
            return err_set(m, ERR_INVALID, "%s: '%s' is neither blue nor green", opt->name, value);
        o->color_given = true;
        return ERR_OK;
    case KIND_STANDBY:
    case KIND_CHANNEL: /* an enum is as wide as an int */
        return choice_write(at, opt, value, m);
    case KIND_MS:
    case KIND_COUNT:
        r = parse_int64(&number, value, opt->min, opt->max, m);
        if (r < 0)
            return err_wrap(m, r, "%s", opt->name);
        *(int64_t *)at = opt->kind == KIND_COUNT ? power_of_two(number) : number;
        return ERR_OK;
    }
    return ERR_INTERNAL;
}

int options_init(struct options *o, struct errmsg *m)
{
    *o = (struct options){ .kafka = kafka_settings_new() };
    if (!o->kafka)
        return err_set(m, ERR_NOMEM, "settings");
    for (int i = 0; i < TABLE_COUNT; i++)
        if (table[i].standard[0] != '\0')
            ASSERT(option_write(o, &table[i], table[i].standard, m) == ERR_OK);
    return ERR_OK;
}

void options_deinit(struct options *o)
{
    kafka_settings_free(o->kafka);
    o->kafka = NULL;
}

/* "fleet" and "batn.fleet" both mean baton.fleet. */
static const char *nearest_own(const char *name)
{
    const char *names[TABLE_COUNT], *tails[TABLE_COUNT], *near;

    for (int i = 0; i < TABLE_COUNT; i++) {
        names[i] = table[i].name;
        tails[i] = table[i].name + strlen("baton.");
    }
    near = suggest(name, names, TABLE_COUNT);
    if (near)
        return near;
    near = suggest(name, tails, TABLE_COUNT);
    for (int i = 0; near && i < TABLE_COUNT; i++)
        if (tails[i] == near)
            return names[i];
    return NULL;
}

/* Does librdkafka know the name at all? */
static bool kafka_knows(const char *name)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    size_t size = 0;
    const bool known = rd_kafka_conf_get(conf, name, NULL, &size) == RD_KAFKA_CONF_OK;

    rd_kafka_conf_destroy(conf);
    return known;
}

int options_set(struct options *o, const char *name, const char *value, struct errmsg *m)
{
    const struct option *opt = option_find(name);
    const char *near;

    if (opt)
        return option_write(o, opt, value, m);
    for (size_t i = 0; i < ARRAY_COUNT(owned); i++)
        if (strcmp(owned[i].name, name) == 0 && (!owned[i].value || strcmp(owned[i].value, value) != 0))
            return err_set(m, ERR_INVALID, "%s: Baton owns it: %s. Remove it", name, owned[i].why);
    if (strncmp(name, "baton.", 6) != 0 && kafka_knows(name))
        return kafka_settings_set(o->kafka, name, value, m);
    near = nearest_own(name);
    if (near)
        return err_set(m, ERR_INVALID, "unknown option '%s', did you mean '%s'?", name, near);
    if (strncmp(name, "baton.", 6) == 0)
        return err_set(m, ERR_INVALID, "unknown option '%s': Baton %s has none of that name", name, BATON_VERSION);
    return kafka_settings_set(o->kafka, name, value, m);
}

static int give(char *ret, size_t ret_size, const char *text)
{
    return text_copy(ret, ret_size, text) ? ERR_OK : ERR_TOO_LARGE;
}

int options_get(const struct options *o, const char *name, char *ret, size_t ret_size)
{
    const struct option *opt = option_find(name);
    const void *at;
    const char *value;
    char number[32];

    if (!opt) {
        value = kafka_settings_get(o->kafka, name);
        return value ? give(ret, ret_size, value) : ERR_NOT_FOUND;
    }
    at = (const char *)o + opt->at;
    switch (opt->kind) {
    case KIND_FLEET:
    case KIND_TEXT:
        return give(ret, ret_size, at);
    case KIND_COLOR:
        return give(ret, ret_size, o->color_given ? color_name(o->color) : "");
    case KIND_STANDBY:
    case KIND_CHANNEL:
        return give(ret, ret_size, choices[opt->kind][*(const int *)at]);
    case KIND_MS:
    case KIND_COUNT:
        snprintf(number, sizeof(number), "%lld", (long long)*(const int64_t *)at);
        return give(ret, ret_size, number);
    }
    return ERR_INTERNAL;
}

bool options_describe(int index, const char **name, const char **standard, const char **help)
{
    if (index < 0 || index >= TABLE_COUNT)
        return false;
    *name = table[index].name;
    *standard = table[index].standard;
    *help = table[index].help;
    return true;
}

bool options_server_side(const struct options *o)
{
    const char *protocol = kafka_settings_get(o->kafka, "group.protocol");

    return protocol && strcmp(protocol, "consumer") == 0;
}

const char *options_assignor(const struct options *o)
{
    const char *assignor = kafka_settings_get(o->kafka, "partition.assignment.strategy");

    if (options_server_side(o))
        return "consumer";
    return assignor ? assignor : "cooperative-sticky";
}

void options_client_id(const struct options *o, char *ret, size_t ret_size)
{
    const char *own = kafka_settings_get(o->kafka, "client.id");

    if (own)
        snprintf(ret, ret_size, "%s", own);
    else
        snprintf(ret, ret_size, "%s-%s", o->fleet, color_name(o->color));
}

int options_check(const struct options *o, struct errmsg *m)
{
    static const char *const brokers[] = { "session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type",
                                           "partition.assignment.strategy" };
    const char *bootstrap = kafka_settings_get(o->kafka, "bootstrap.servers");
    const char *list = kafka_settings_get(o->kafka, "metadata.broker.list");

    if (o->fleet[0] == '\0')
        return err_set(m, ERR_INVALID, "baton.fleet is not set: it names the fleet, such as payments");
    if (!o->color_given)
        return err_set(m, ERR_INVALID, "baton.color is not set: blue or green");
    if ((!bootstrap || bootstrap[0] == '\0') && (!list || list[0] == '\0'))
        return err_set(m, ERR_INVALID, "bootstrap.servers is not set: the address of a broker, such as localhost:9092");
    if (o->channel == CHANNEL_HTTP && o->controllers[0] == '\0')
        return err_set(m, ERR_INVALID,
                       "baton.controllers is not set: with baton.channel=http it names the controllers, such as "
                       "http://10.0.0.5:8080");
    if (o->channel != CHANNEL_HTTP && o->controllers[0] != '\0')
        return err_set(m, ERR_INVALID,
                       "baton.controllers is set, and baton.channel is not http: set one or remove the other");
    if (o->channel == CHANNEL_REDIS && o->redis[0] == '\0')
        return err_set(m, ERR_INVALID,
                       "baton.redis is not set: with baton.channel=redis it names the Redis, such as "
                       "redis://10.0.0.7:6379");
    if (o->channel != CHANNEL_REDIS && o->redis[0] != '\0')
        return err_set(m, ERR_INVALID,
                       "baton.redis is set, and baton.channel is not redis: set one or remove the other");
    if (o->channel == CHANNEL_CONFIGMAP && o->configmap[0] == '\0')
        return err_set(
            m, ERR_INVALID,
            "baton.configmap is not set: with baton.channel=configmap it names the API server and namespace, "
            "such as in-cluster");
    if (o->channel != CHANNEL_CONFIGMAP && o->configmap[0] != '\0')
        return err_set(m, ERR_INVALID,
                       "baton.configmap is set, and baton.channel is not configmap: set one or remove the other");
    for (size_t i = 0; options_server_side(o) && i < ARRAY_COUNT(brokers); i++)
        if (kafka_settings_get(o->kafka, brokers[i]))
            return err_set(m, ERR_INVALID, "%s: with group.protocol=consumer it is the brokers' to set. Remove it",
                           brokers[i]);
    return ERR_OK;
}

int64_t options_session_ms(const struct options *o, const struct spec *spec)
{
    const char *own = kafka_settings_get(o->kafka, "session.timeout.ms");
    const int64_t own_ms = own ? strtoll(own, NULL, 10) : 0;

    return own_ms > 0 && own_ms < spec->session_timeout_ms ? own_ms : spec->session_timeout_ms;
}

/* Sets what the program left open. */
static int complete(struct kafka_settings *s, const char *name, const char *value, struct errmsg *m)
{
    return kafka_settings_get(s, name) ? ERR_OK : kafka_settings_set(s, name, value, m);
}

static int complete_group(const struct options *o, const struct spec *spec, struct kafka_settings *s, struct errmsg *m)
{
    const char *wanted = spec->colors[o->color].group;
    const char *own = kafka_settings_get(s, "group.id");

    if (own && strcmp(own, wanted) != 0)
        return err_set(
            m, ERR_CONFLICT,
            "group.id is '%s' here and '%s' for %s in the fleet file of '%s': remove it here, or change the file", own,
            wanted, color_name(o->color), o->fleet);
    return complete(s, "group.id", wanted, m);
}

static int complete_session(const struct options *o, const struct spec *spec, struct kafka_settings *s,
                            struct errmsg *m)
{
    const char *own = kafka_settings_get(s, "session.timeout.ms");
    char ms[32];

    if (options_server_side(o))
        return ERR_OK; /* the brokers' setting; librdkafka refuses ours */
    if (own && strtoll(own, NULL, 10) > spec->session_timeout_ms)
        return err_set(
            m, ERR_CONFLICT,
            "session.timeout.ms is %s here and session_timeout %lld ms in the fleet file of '%s': the controller would "
            "think this consumer gone too early. Remove it here, or raise the file's",
            own, (long long)spec->session_timeout_ms, o->fleet);
    snprintf(ms, sizeof(ms), "%lld", (long long)spec->session_timeout_ms);
    return complete(s, "session.timeout.ms", ms, m);
}

int options_consumer(const struct options *o, const struct spec *spec, struct kafka_settings **ret, struct errmsg *m)
{
    struct kafka_settings *s = kafka_settings_copy(o->kafka);
    char client_id[CLIENT_ID_MAX + 1];
    int r;

    if (!s)
        return err_set(m, ERR_NOMEM, "settings");
    options_client_id(o, client_id, sizeof(client_id));
    r = complete_group(o, spec, s, m);
    if (r == ERR_OK)
        r = complete_session(o, spec, s, m);
    if (r == ERR_OK && !options_server_side(o))
        r = complete(s, "partition.assignment.strategy", "cooperative-sticky", m);
    if (r == ERR_OK)
        r = complete(s, "client.id", client_id, m);
    if (r == ERR_OK)
        r = complete(s, "fetch.wait.max.ms", "50", m);
    if (r == ERR_OK)
        r = complete(s, "fetch.queue.backoff.ms", "10", m);
    if (r == ERR_OK)
        r = kafka_settings_set(s, "enable.auto.commit", "false", m);
    if (r == ERR_OK)
        r = kafka_settings_set(s, "enable.auto.offset.store", "false", m);
    if (r == ERR_OK)
        r = kafka_settings_set(s, "enable.partition.eof", "true", m);
    if (r == ERR_OK)
        r = kafka_settings_set(s, "auto.offset.reset", "error", m); /* a gap is never jumped over in silence */
    if (r < 0) {
        kafka_settings_free(s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}
