/*
 * client - every librdkafka handle of Baton is born, explained and ended here.
 *
 * What librdkafka cannot do at once it tries again for ever: a wrong port, an expired certificate and a missing
 * password look alike from its API, namely like nothing. The truth stands in its log lines of facility FAIL, so that
 * is where this module takes it from: on_log() files the newest failure of each handle as its `trouble`, an
 * interceptor on the brokers' state ends it when a connection is up. Both run on librdkafka's threads and need
 * nobody to poll. Trouble is logged when it starts and when it ends; librdkafka's own lines go to the debug log,
 * warnings to the warnings, nothing to stderr behind our back.
 *
 * The one failure that has no log line is a host that swallows packets; there the time-out itself is the news.
 *
 * Which words librdkafka uses for which failure was observed on 2.15.1 (docs/librdkafka.md); a wording that is not
 * known still ends up in the sentence, only without a mend of its own.
 */
#include "kafka/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define SETTINGS_MAX 256
#define SETTING_VALUE_MAX (64 * 1024) /* a certificate chain in PEM fits */
#define SETTINGS_FILE_MAX (512 * 1024)
#define PROPERTIES_MAX 512
#define CONNECT_SLICE_MS_MIN 20
#define CONNECT_SLICE_MS_MAX 250
#define HUNG_UP_MS 500      /* a connection that ends so soon was not wanted */
#define HUNG_UP_TIMES 3     /* or the broker was just going down: a second and a third time tell */
#define HUNG_UP_SPAN_MS 40000 /* librdkafka repeats the same line after 30 s */
#define VERDICT_AGE_MS 1500 /* a refused login or handshake is believed after so long */

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

static int conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct errmsg *m)
{
    char why[400];

    for (size_t i = 0; i < ARRAY_COUNT(java_names); i++)
        if (strcmp(java_names[i].java, name) == 0)
            return err_set(m, ERR_INVALID, "setting '%s' is the Java client's: here it is %s", name, java_names[i].ours);
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
    r = conf_set(s->check, name, value, m);
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

/* ---- trouble: from librdkafka's log lines ---- */

static struct kafka_handle *handles; /* newest first: a freed rd_kafka_t's address may come again */
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;

static void handle_register(struct kafka_handle *h)
{
    pthread_mutex_lock(&handles_lock);
    h->next = handles;
    handles = h;
    pthread_mutex_unlock(&handles_lock);
}

static void handle_unregister(struct kafka_handle *h)
{
    pthread_mutex_lock(&handles_lock);
    for (struct kafka_handle **at = &handles; *at; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            break;
        }
    }
    pthread_mutex_unlock(&handles_lock);
}

/* What a text says, in the order of asking: the first that is found counts. */
static const struct {
    const char *text;
    enum kafka_trouble_kind kind;
} trouble_words[] = {
    { "Failed to resolve", KAFKA_TROUBLE_RESOLVE },
    { "Connection setup timed out", KAFKA_TROUBLE_SILENT },
    { "connecting to a PLAINTEXT broker listener", KAFKA_TROUBLE_NOT_TLS },
    { "wrong version number", KAFKA_TROUBLE_NOT_TLS },
    { "packet length too long", KAFKA_TROUBLE_NOT_TLS },
    { "during SSL connection handshake", KAFKA_TROUBLE_NOT_TLS },
    { "SSL handshake failed", KAFKA_TROUBLE_TLS },
    { "Failed to verify broker certificate", KAFKA_TROUBLE_TLS },
    { "did not provide a certificate", KAFKA_TROUBLE_TLS },
    { "SSL transport error", KAFKA_TROUBLE_LOST },
    { "Invalid response size", KAFKA_TROUBLE_NOT_KAFKA },
    { "connecting to a SSL listener", KAFKA_TROUBLE_WANTS_TLS },
    { "requesting ApiVersion", KAFKA_TROUBLE_WANTS_TLS },
    { "verify that security.protocol", KAFKA_TROUBLE_WANTS_SASL },
    { "SASL", KAFKA_TROUBLE_SASL },
    { "AUTH_", KAFKA_TROUBLE_SASL },
    { "timed out", KAFKA_TROUBLE_SILENT },
    { "Connect to ", KAFKA_TROUBLE_REFUSED },
};

static enum kafka_trouble_kind trouble_kind(const char *text)
{
    const char *after = strstr(text, "(after ");
    char state[40];
    int ms;

    for (size_t i = 0; i < ARRAY_COUNT(trouble_words); i++)
        if (strstr(text, trouble_words[i].text))
            return trouble_words[i].kind;
    /* Hung up on: how far it came says why. */
    if (after && sscanf(after, "(after %dms in state %39[A-Z_]", &ms, state) == 2) {
        if (strcmp(state, "APIVERSION_QUERY") == 0)
            return KAFKA_TROUBLE_WANTS_TLS;
        if (strcmp(state, "UP") == 0 && ms < HUNG_UP_MS)
            return KAFKA_TROUBLE_WANTS_SASL;
    }
    return KAFKA_TROUBLE_LOST;
}

/* "sasl_ssl://b1.example:9093/bootstrap" -> "b1.example:9093" */
static void broker_address(char *ret, size_t ret_size, const char *name, size_t len)
{
    const char *end = name + len, *p;

    for (p = name; p + 3 <= end; p++) {
        if (strncmp(p, "://", 3) == 0) {
            name = p + 3;
            break;
        }
    }
    for (p = name; p < end && *p != '/'; p++)
        ;
    snprintf(ret, ret_size, "%.*s", (int)(p - name), name);
}

/*
 * "[thrd:B]: B: reason (after 3ms in state CONNECT)": B is the broker's name. A coordinator's line has its role first:
 * "[thrd:GroupCoordinator]: GroupCoordinator: b1.example:9092: reason".
 */
static void trouble_split(const char *line, char *broker, size_t broker_size, char *reason, size_t reason_size)
{
    const char *text = line, *colon, *after;
    size_t len;

    if (strncmp(text, "[thrd:", 6) == 0 && (after = strstr(text, "]: ")))
        text = after + 3;
    if (strncmp(text, "GroupCoordinator: ", 18) == 0)
        text += 18;
    else if (strncmp(text, "TxnCoordinator: ", 16) == 0)
        text += 16;
    colon = strstr(text, ": ");
    if (!colon) {
        broker[0] = '\0';
        snprintf(reason, reason_size, "%s", text);
        return;
    }
    broker_address(broker, broker_size, text, (size_t)(colon - text));
    snprintf(reason, reason_size, "%s", colon + 2);
    /* how long it took in which state helps librdkafka's authors */
    after = strstr(reason, " (after ");
    len = after ? (size_t)(after - reason) : strlen(reason);
    reason[len] = '\0';
}

/* Cause and mend of the trouble at hand; returns the enum err. The caller holds the lock. */
static int trouble_sentence(const struct kafka_trouble *t, struct errmsg *m)
{
    const char *broker = t->broker[0] ? t->broker : "(unknown)";
    const char *mend;

    switch (t->kind) {
    case KAFKA_TROUBLE_NONE:
    case KAFKA_TROUBLE_COUNT:
        break;
    case KAFKA_TROUBLE_RESOLVE:
        return err_set(m, ERR_UNAVAILABLE,
                       "the name of broker %s cannot be resolved: correct bootstrap.servers, or the name service (%s)", broker,
                       t->reason);
    case KAFKA_TROUBLE_REFUSED:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s cannot be reached: start it, or correct bootstrap.servers (%s)", broker, t->reason);
    case KAFKA_TROUBLE_SILENT:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s does not answer: check the address, and firewalls between here and there (%s)", broker,
                       t->reason);
    case KAFKA_TROUBLE_TLS:
        mend = strstr(t->reason, "certificate verify failed") || strstr(t->reason, "verify broker certificate")
                   ? "set ssl.ca.location to the CA that signed the broker's certificate, and address the broker by a name "
                     "that stands in it"
               : strstr(t->reason, "certificate required") || strstr(t->reason, "bad certificate") ||
                       strstr(t->reason, "handshake failure")
                   ? "the broker asks for a client certificate: set ssl.certificate.location and ssl.key.location"
                   : "check the ssl.* settings against the broker's listener";
        return err_set(m, ERR_UNAVAILABLE, "TLS with broker %s failed: %s (%s)", broker, mend, t->reason);
    case KAFKA_TROUBLE_NOT_TLS:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s does not speak TLS on this port: use its TLS port, or set security.protocol to plaintext or "
                       "sasl_plaintext (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_WANTS_TLS:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s hangs up at the first word: this port wants TLS; set security.protocol to ssl or sasl_ssl, or use "
                       "its plaintext port (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_WANTS_SASL:
        return err_set(m, ERR_DENIED,
                       "broker %s hangs up at the first request: this port wants a login; set security.protocol to sasl_plaintext or "
                       "sasl_ssl, and sasl.mechanism, sasl.username and sasl.password (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_NOT_KAFKA:
        return err_set(m, ERR_UNAVAILABLE,
                       "what answers at %s does not speak Kafka's protocol: correct bootstrap.servers, or set security.protocol to ssl "
                       "if it is a TLS port (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_SASL:
        return err_set(m, ERR_DENIED,
                       "broker %s refused the login: check sasl.username, sasl.password and sasl.mechanism (%s)", broker,
                       t->reason);
    case KAFKA_TROUBLE_LOST:
        return err_set(m, ERR_UNAVAILABLE, "the connection to broker %s is lost: it is tried again until it answers (%s)", broker,
                       t->reason);
    case KAFKA_TROUBLE_FATAL:
        return err_set(m, ERR_KAFKA, "librdkafka gave this client up, it must be made anew (%s)", t->reason);
    }
    return ERR_OK;
}

/* A connection that works and goes away while nothing is asked of it is everyday life: brokers close idle ones. */
static bool trouble_harmless(int level, enum kafka_trouble_kind kind)
{
    return level >= 6 && kind == KAFKA_TROUBLE_LOST;
}

/* Files it; true: it is news, and *ret says it. */
static bool trouble_begin(struct kafka_handle *h, enum kafka_trouble_kind kind, const char *broker, const char *reason,
                          struct errmsg *ret)
{
    struct kafka_trouble *t = &h->trouble;
    bool news;

    pthread_mutex_lock(&t->lock);
    /* A refused login says more than the lost connection that follows it. */
    if (t->kind == KAFKA_TROUBLE_NONE || kind != KAFKA_TROUBLE_LOST) {
        t->kind = kind;
        snprintf(t->broker, sizeof(t->broker), "%s", broker);
        snprintf(t->reason, sizeof(t->reason), "%s", reason);
    }
    if (t->since_ms == 0) {
        t->since_ms = clock_ms();
        t->told = false;
        t->kinds_logged = 0;
    }
    t->brokers_down++;
    t->failed_ms = clock_ms();
    news = !(t->kinds_logged & 1u << t->kind) && (t->kind != KAFKA_TROUBLE_WANTS_SASL || t->brokers_down >= HUNG_UP_TIMES);
    if (!news) {
        pthread_mutex_unlock(&t->lock);
        return false;
    }
    t->kinds_logged |= 1u << t->kind;
    trouble_sentence(t, ret);
    pthread_mutex_unlock(&t->lock);
    return news;
}

/* A port that wants a login is UP for a moment every time: being up proves nothing there, quiet does. */
static bool trouble_over(const struct kafka_trouble *t)
{
    if (t->since_ms == 0 || t->fatal)
        return false;
    return t->kind != KAFKA_TROUBLE_WANTS_SASL || clock_ms() - t->failed_ms > HUNG_UP_SPAN_MS;
}

static void trouble_end(struct kafka_handle *h, const char *broker)
{
    struct kafka_trouble *t = &h->trouble;
    struct errmsg m = { 0 };
    char quoted[1100];
    int64_t lasted_ms = 0;
    bool ended = false;

    pthread_mutex_lock(&t->lock);
    if (trouble_over(t)) {
        ended = t->kinds_logged != 0;
        lasted_ms = clock_ms() - t->since_ms;
        t->kind = KAFKA_TROUBLE_NONE;
        t->since_ms = 0;
        t->code = RD_KAFKA_RESP_ERR_NO_ERROR;
        t->told = false;
        t->brokers_down = 0;
    } else if (t->kind == KAFKA_TROUBLE_WANTS_SASL && strcmp(t->broker, broker) == 0) {
        /* up once more after it had hung up: librdkafka does not log the same failure again so soon */
        t->failed_ms = clock_ms();
        if (++t->brokers_down == HUNG_UP_TIMES) {
            t->kinds_logged |= 1u << t->kind;
            trouble_sentence(t, &m);
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (m.text[0])
        log_warn("kafka_trouble", "role=%s error=%s, trying again until it ends", h->role,
                 log_quote(quoted, sizeof(quoted), m.text));
    if (ended)
        log_info("kafka_trouble_ended", "role=%s broker=%s lasted_ms=%lld", h->role, broker, (long long)lasted_ms);
}

void kafka_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char quoted[700];

    /* FAIL and ERROR are told as trouble, in words of our own. */
    log_event(level <= 4 && strcmp(facility, "FAIL") != 0 && strcmp(facility, "ERROR") != 0 ? LOG_WARN : LOG_DEBUG, "librdkafka",
              "client=%s facility=%s level=%d %s", rk ? rd_kafka_name(rk) : "-", facility, level,
              log_quote(quoted, sizeof(quoted), text));
}

/* The log's sink may be anybody's code: it is called without our locks. */
static void trouble_file(const rd_kafka_t *rk, enum kafka_trouble_kind kind, rd_kafka_resp_err_t fatal, const char *broker,
                         const char *reason)
{
    struct errmsg m = { 0 };
    const char *role = "";
    char quoted[1100];
    bool news = false;

    pthread_mutex_lock(&handles_lock);
    for (struct kafka_handle *h = handles; h; h = h->next) {
        if (h->rk != rk)
            continue;
        news = trouble_begin(h, kind, broker, reason, &m);
        role = h->role;
        if (fatal) {
            pthread_mutex_lock(&h->trouble.lock);
            h->trouble.fatal = true;
            h->trouble.code = fatal;
            pthread_mutex_unlock(&h->trouble.lock);
        }
        break;
    }
    pthread_mutex_unlock(&handles_lock);
    if (news)
        log_warn("kafka_trouble", "role=%s error=%s, trying again until it ends", role,
                 log_quote(quoted, sizeof(quoted), m.text));
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char broker[300], reason[512];
    enum kafka_trouble_kind kind;

    kafka_log(rk, level, facility, text);
    if (strcmp(facility, "FAIL") != 0 || level > 6)
        return;
    kind = trouble_kind(text);
    if (trouble_harmless(level, kind))
        return;
    trouble_split(text, broker, sizeof(broker), reason, sizeof(reason));
    trouble_file(rk, kind, RD_KAFKA_RESP_ERR_NO_ERROR, broker, reason);
}

/* Only what the log does not say: that the whole handle is finished. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    char fatal[512];
    rd_kafka_resp_err_t cause;

    (void)opaque;
    if (code != RD_KAFKA_RESP_ERR__FATAL)
        return;
    cause = rd_kafka_fatal_error(rk, fatal, sizeof(fatal));
    trouble_file(rk, KAFKA_TROUBLE_FATAL, RD_KAFKA_RESP_ERR__FATAL, "", cause ? fatal : reason);
}

static rd_kafka_resp_err_t on_broker_state(rd_kafka_t *rk, int32_t broker_id, const char *secproto, const char *name, int port,
                                           const char *state, void *opaque)
{
    (void)rk;
    (void)broker_id;
    (void)secproto;
    if (strcmp(state, "UP") == 0) {
        char broker[300];

        snprintf(broker, sizeof(broker), "%s:%d", name, port);
        trouble_end(opaque, broker);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Runs inside rd_kafka_new(), before the first connection: no failure is missed. */
static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *why, size_t why_size)
{
    struct kafka_handle *h = opaque;

    (void)conf;
    (void)why;
    (void)why_size;
    h->rk = rk;
    handle_register(h);
    return rd_kafka_interceptor_add_on_broker_state_change(rk, "baton", on_broker_state, h);
}

/* Believed, and not of yesterday. The caller holds the lock. */
static bool trouble_counts(const struct kafka_trouble *t)
{
    if (t->since_ms == 0)
        return false;
    return t->kind != KAFKA_TROUBLE_WANTS_SASL ||
           (t->brokers_down >= HUNG_UP_TIMES && clock_ms() - t->failed_ms <= HUNG_UP_SPAN_MS);
}

int kafka_trouble(struct kafka_handle *h, struct errmsg *m)
{
    int r = ERR_OK;

    pthread_mutex_lock(&h->trouble.lock);
    if (trouble_counts(&h->trouble))
        r = trouble_sentence(&h->trouble, m);
    pthread_mutex_unlock(&h->trouble.lock);
    return r;
}

int kafka_trouble_lasting(struct kafka_handle *h, int64_t min_ms, struct errmsg *m)
{
    struct kafka_trouble *t = &h->trouble;
    int r = ERR_OK;

    pthread_mutex_lock(&t->lock);
    if (trouble_counts(t) && !t->told && (t->fatal || clock_ms() - t->since_ms >= min_ms)) {
        t->told = true;
        r = trouble_sentence(t, m);
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

/* ---- sentences for codes ---- */

/* What each resource needs, as Kafka's own tool is told it. */
static int explain_denied(const struct kafka_handle *h, const char *doing, const char *what, const char *option,
                          const char *operations, struct errmsg *m)
{
    return err_set(m, ERR_DENIED,
                   "%s: broker at %s does not allow it: a rule for the %s is missing; mend: kafka-acls.sh --bootstrap-server %s "
                   "--add --allow-principal User:%s %s %s",
                   doing, h->bootstrap, what, h->bootstrap, h->user[0] ? h->user : "NAME", operations, option);
}

int kafka_explain(struct kafka_handle *h, rd_kafka_resp_err_t code, const char *doing, struct errmsg *m)
{
    rd_kafka_resp_err_t cause;
    char why[64];
    int r;

    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return ERR_OK;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        r = kafka_trouble(h, m);
        if (r < 0)
            return err_wrap(m, r, "%s", doing);
        if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            return err_set(m, ERR_UNAVAILABLE, "%s: no broker of %s is connected: check that they run", doing, h->bootstrap);
        return err_set(m, ERR_TIMEOUT, "%s: no answer in time from the brokers at %s: check that they run and are not overloaded (%s)",
                       doing, h->bootstrap, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "topic", "--topic TOPIC", "--operation Describe --operation Read --operation Write", m);
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "group", "--group GROUP", "--operation Describe --operation Read", m);
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "cluster", "--cluster", "--operation Create --operation IdempotentWrite", m);
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "transactional id", "--transactional-id ID", "--operation Describe --operation Write", m);
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return err_set(m, ERR_DENIED, "%s: the brokers at %s refused the login: check sasl.username, sasl.password and "
                                      "sasl.mechanism", doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return err_set(m, ERR_NOT_FOUND, "%s: the brokers at %s have no such topic or partition", doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND:
        return err_set(m, ERR_NOT_FOUND, "%s: the brokers at %s have no such group", doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return err_set(m, ERR_TOO_LARGE, "%s: the record is larger than the topic allows: raise max.message.bytes of the topic (%s)",
                       doing, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
        return err_set(m, ERR_UNAVAILABLE, "%s: fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers "
                                           "back (%s)", doing, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return err_set(m, ERR_KAFKA, "%s: fewer brokers run than default.replication.factor asks for: start them, or create the "
                                     "topic by hand", doing);
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
        return err_set(m, ERR_CONFLICT, "%s: consumers of the group are still connected: stop them first", doing);
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        return err_set(m, ERR_STATE, "%s: the brokers at %s do not support it (%s)", doing, h->bootstrap, rd_kafka_err2str(code));
    case RD_KAFKA_RESP_ERR__FATAL:
        cause = rd_kafka_fatal_error(h->rk, why, sizeof(why));
        if (cause && cause != RD_KAFKA_RESP_ERR__FATAL)
            return kafka_explain(h, cause, doing, m);
        break;
    default:
        break;
    }
    return err_set(m, ERR_KAFKA, "%s: %s (%s)", doing, rd_kafka_err2str(code), rd_kafka_err2name(code));
}

/* ---- handles ---- */

/* Ours, where the user has said nothing. */
static const char *const handle_defaults[] = {
    "socket.connection.setup.timeout.ms", "8000", /* a host that swallows packets is trouble after 8 s, not 30 */
    "reconnect.backoff.max.ms", "2000",           /* a broker that is back is noticed within 2 s, not 10 */
    /* half of it passes before a new handle opens its second connection, and every handle needs two: 5 ms, not 50 */
    "reconnect.backoff.ms", "10",
    "socket.keepalive.enable", "true",
    "client.id", "baton",
};

static bool setting_fits(const char *name, rd_kafka_type_t type)
{
    const struct property *p = property_find(name);

    return !p || p->side == SIDE_BOTH || (p->side == SIDE_CONSUMER) == (type == RD_KAFKA_CONSUMER);
}

static int handle_configure(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct kafka_settings *s, const char *const *extra,
                            struct errmsg *m)
{
    int r;

    for (size_t i = 0; i < ARRAY_COUNT(handle_defaults); i += 2) {
        r = conf_set(conf, handle_defaults[i], handle_defaults[i + 1], m);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < s->count; i++) {
        if (!setting_fits(s->items[i].name, type))
            continue;
        r = conf_set(conf, s->items[i].name, s->items[i].value, m);
        if (r < 0)
            return r;
    }
    for (int i = 0; extra && extra[i]; i += 2) {
        r = conf_set(conf, extra[i], extra[i + 1], m);
        if (r < 0)
            return r;
    }
    return ERR_OK;
}

int kafka_handle_open(struct kafka_handle *ret, rd_kafka_type_t type, const char *role, const struct kafka_settings *s,
                      const char *const *extra, void (*configure)(rd_kafka_conf_t *conf, void *opaque), void *opaque,
                      struct errmsg *m)
{
    const char *bootstrap = kafka_settings_get(s, "bootstrap.servers"), *user = kafka_settings_get(s, "sasl.username");
    rd_kafka_conf_t *conf;
    char why[512];
    int r;

    r = kafka_version_check(m);
    if (r < 0)
        return r;
    if (!bootstrap || !bootstrap[0])
        return err_set(m, ERR_INVALID, "no brokers given: set bootstrap.servers=HOST:PORT[,HOST:PORT...]");
    conf = rd_kafka_conf_new();
    r = handle_configure(conf, type, s, extra, m);
    if (r < 0) {
        rd_kafka_conf_destroy(conf);
        return err_wrap(m, r, "%s client", role);
    }
    memset(ret, 0, sizeof(*ret));
    pthread_mutex_init(&ret->trouble.lock, NULL);
    ret->role = role;
    snprintf(ret->bootstrap, sizeof(ret->bootstrap), "%s", bootstrap);
    snprintf(ret->user, sizeof(ret->user), "%s", user ? user : "");
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_conf_interceptor_add_on_new(conf, "baton", on_new, ret);
    if (configure)
        configure(conf, opaque);
    ret->rk = NULL;
    if (!rd_kafka_new(type, conf, why, sizeof(why))) {
        rd_kafka_conf_destroy(conf);
        handle_unregister(ret);
        pthread_mutex_destroy(&ret->trouble.lock);
        memset(ret, 0, sizeof(*ret));
        return err_set(m, ERR_INVALID, "%s client: %s", role, why);
    }
    ASSERT(ret->rk != NULL);
    return ERR_OK;
}

void kafka_handle_close(struct kafka_handle *h)
{
    if (!h || !h->rk)
        return;
    rd_kafka_destroy(h->rk);
    handle_unregister(h);
    pthread_mutex_destroy(&h->trouble.lock);
    memset(h, 0, sizeof(*h));
}

/* Trouble that waiting does not mend. */
static bool trouble_is_verdict(struct kafka_handle *h)
{
    struct kafka_trouble *t = &h->trouble;
    bool verdict;

    pthread_mutex_lock(&t->lock);
    verdict = trouble_counts(t) && clock_ms() - t->since_ms >= VERDICT_AGE_MS &&
              (t->kind == KAFKA_TROUBLE_TLS || t->kind == KAFKA_TROUBLE_NOT_TLS || t->kind == KAFKA_TROUBLE_WANTS_TLS ||
               t->kind == KAFKA_TROUBLE_WANTS_SASL || t->kind == KAFKA_TROUBLE_NOT_KAFKA || t->kind == KAFKA_TROUBLE_SASL || t->fatal);
    pthread_mutex_unlock(&t->lock);
    return verdict;
}

/*
 * Asks the brokers something small, so that the handle connects now. A consumer with a group id whose main thread was
 * quicker than its list of brokers does so only after a second. rd_kafka_metadata() without a topic would ask for all
 * topics of the cluster; this one's name is not allowed in Kafka, so that no broker ever creates it.
 */
static void connect_kick(struct kafka_handle *h, int slice_ms)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(h->rk, "baton/connect", NULL);

    if (!rkt)
        return;
    if (rd_kafka_metadata(h->rk, 0, rkt, &metadata, slice_ms) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
}

/* The first answer of any broker brings the cluster's id, which librdkafka keeps. */
static char *cluster_id(struct kafka_handle *h, int timeout_ms, struct errmsg *m, int *ret_error)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    int slice_ms = CONNECT_SLICE_MS_MIN;
    char *id;

    while (!(id = rd_kafka_clusterid(h->rk, 0))) {
        int64_t left_ms = deadline_ms - clock_ms();

        if (trouble_is_verdict(h) || left_ms <= 0)
            break;
        /* in slices that grow: topic_ask_until() says why */
        connect_kick(h, left_ms < slice_ms ? (int)left_ms : slice_ms);
        slice_ms = slice_ms * 2 < CONNECT_SLICE_MS_MAX ? slice_ms * 2 : CONNECT_SLICE_MS_MAX;
    }
    if (id)
        return id;
    *ret_error = kafka_trouble(h, m);
    *ret_error = *ret_error ? err_wrap(m, *ret_error, "connect")
                            : err_set(m, ERR_UNAVAILABLE,
                                      "connect: no answer from %s within %d ms: check the address, that a broker runs there, and "
                                      "firewalls between",
                                      h->bootstrap, timeout_ms);
    return NULL;
}

int kafka_handle_connect(struct kafka_handle *h, int timeout_ms, struct errmsg *m)
{
    int r = ERR_OK;
    char *id = cluster_id(h, timeout_ms, m, &r);

    if (id)
        rd_kafka_mem_free(h->rk, id);
    return r;
}

int kafka_is_embedded(struct kafka_handle *h, int timeout_ms, struct errmsg *m)
{
    int r = ERR_OK;
    char *id = cluster_id(h, timeout_ms, m, &r);

    if (!id)
        return r;
    r = strncmp(id, "mockCluster", 11) == 0;
    rd_kafka_mem_free(h->rk, id);
    return r;
}

int kafka_version_check(struct errmsg *m)
{
    if (rd_kafka_version() < KAFKA_VERSION_MIN)
        return err_set(m, ERR_STATE,
                       "librdkafka %s is loaded, 2.12 or newer is needed (older ones lose and repeat records): put a newer one "
                       "first in the library path",
                       rd_kafka_version_str());
    return ERR_OK;
}

/* ---- queues and event loops ---- */

int kafka_eventfd(struct errmsg *m)
{
    /* Non-blocking: librdkafka writes with its locks held, a full blocking one would stop it. */
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? err_set(m, ERR_IO, "eventfd: %s", strerror(errno)) : fd;
}

void kafka_eventfd_clear(int fd)
{
    uint64_t count;
    ssize_t r = read(fd, &count, sizeof(count));

    ASSERT(r == (ssize_t)sizeof(count) || errno == EAGAIN || errno == EINTR);
}

void kafka_eventfd_ring(int fd)
{
    static const uint64_t one = 1;
    ssize_t r = write(fd, &one, sizeof(one));

    (void)r; /* full means awake */
}

void kafka_queue_wake(rd_kafka_queue_t *queue, int fd)
{
    static const uint64_t one = 1;

    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
}
