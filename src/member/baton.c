/*
 * baton - the public functions: arguments checked, the rest handed to the parts that do it.
 */
#include "baton/baton.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "member/consumer.h"
#include "member/intake.h"
#include "member/loop.h"

/* The public numbers are the core's. */
#define SAME(name) _Static_assert((int)BATON_ERR_##name == (int)ERR_##name, #name);
SAME(NOMEM)
SAME(IO)
SAME(INVALID)
SAME(NOT_FOUND)
SAME(CORRUPT)
SAME(CONFLICT)
SAME(DENIED)
SAME(TIMEOUT)
SAME(UNAVAILABLE)
SAME(TOO_LARGE)
SAME(NEWER)
SAME(STATE)
SAME(CLOSED)
SAME(KAFKA)
SAME(INTERNAL)

const char *baton_error_text(int error)
{
    return err_text(error);
}

const char *baton_version(void)
{
    return BATON_VERSION;
}

/* Who runs out of memory says for what; that it was memory is said here. */
static void why_write(char *ret, size_t ret_size, int code, const char *text)
{
    const bool bare = code == ERR_NOMEM && text[0] != '\0' && !strstr(text, err_text(ERR_NOMEM));

    snprintf(ret, ret_size, "%s%s%s", bare ? err_text(ERR_NOMEM) : "", bare ? ": " : "",
             text[0] != '\0' ? text : err_text(code));
}

/* Tells `why` of a failure; returns `code`. */
static int explain(char *why, size_t why_size, int code, const struct errmsg *m)
{
    if (why && why_size > 0)
        why_write(why, why_size, code, m->text);
    return code;
}

/* --- shared by the parts --- */

void consumer_wake(struct baton_consumer *c)
{
    const uint64_t one = 1;

    if (c->wake_pending || c->wake_fd < 0)
        return;
    c->wake_pending = true;
    if (write(c->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

void consumer_fail(struct baton_consumer *c, int code, const char *why)
{
    bool first;

    pthread_mutex_lock(&c->lock);
    first = !c->failed;
    if (first) {
        c->failed = code;
        why_write(c->why, sizeof(c->why), code, why);
        intake_wake_all(c);
        consumer_wake(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (first)
        log_error("failed", "fleet=%s color=%s error=\"%s\", leaving the group", c->options.fleet,
                  color_name(c->options.color), why);
}

void consumer_note_why(struct baton_consumer *c, const char *why)
{
    pthread_mutex_lock(&c->lock);
    if (!c->failed)
        text_copy(c->why, sizeof(c->why), why);
    pthread_mutex_unlock(&c->lock);
}

/* --- making --- */

int baton_new(struct baton_consumer **ret)
{
    struct baton_consumer *c = calloc(1, sizeof(*c));

    if (!c)
        return ERR_NOMEM;
    c->wake_fd = -1;
    if (options_init(&c->options, NULL) < 0 || intake_init(&c->intake) < 0) {
        options_deinit(&c->options);
        free(c);
        return ERR_NOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->closed_cond, NULL);
    *ret = c;
    return ERR_OK;
}

int baton_set(struct baton_consumer *c, const char *name, const char *value, char *why, size_t why_size)
{
    struct errmsg m = { 0 };
    int r;

    if (!name || !value)
        r = err_set(&m, ERR_INVALID, "baton_set: name and value must be given");
    else if (c->life != LIFE_NEW)
        r = err_set(&m, ERR_STATE, "%s: options are set before baton_open()", name);
    else
        r = options_set(&c->options, name, value, &m);
    return r < 0 ? explain(why, why_size, r, &m) : ERR_OK;
}

int baton_option(int index, const char **name, const char **standard, const char **help)
{
    return options_describe(index, name, standard, help) ? ERR_OK : ERR_NOT_FOUND;
}

/* Who it is, in its reports: from the first one on, since the judge counts the starts of a process by it. */
static int identity(struct baton_consumer *c, struct errmsg *m)
{
    static const char digits[] = "0123456789abcdef";
    const char *instance = kafka_settings_get(c->options.kafka, "group.instance.id");
    unsigned char random[16];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set(m, ERR_IO, "no random bytes for a name");
    for (size_t i = 0; i < sizeof(random); i++) {
        c->incarnation[2 * i] = digits[random[i] >> 4];
        c->incarnation[2 * i + 1] = digits[random[i] & 15];
    }
    if (gethostname(c->report.host, sizeof(c->report.host) - 1) < 0)
        c->report.host[0] = '\0';
    text_copy(c->report.fleet, sizeof(c->report.fleet), c->options.fleet);
    text_copy(c->report.incarnation, sizeof(c->report.incarnation), c->incarnation);
    text_copy(c->report.version, sizeof(c->report.version), c->options.version);
    options_client_id(&c->options, c->report.client_id, sizeof(c->report.client_id));
    text_copy(c->report.instance_id, sizeof(c->report.instance_id), instance ? instance : "");
    text_copy(c->report.library, sizeof(c->report.library), BATON_VERSION);
    snprintf(c->control_topic, sizeof(c->control_topic), "%s%s", c->options.prefix, CONTROL_TOPIC);
    snprintf(c->reports_topic, sizeof(c->reports_topic), "%s%s", c->options.prefix, REPORTS_TOPIC);
    return ERR_OK;
}

void consumer_channel(const struct baton_consumer *c, struct channel_config *ret)
{
    const struct options *o = &c->options;
    const struct {
        const char *servers, *token_file;
    } ways[] = { [CHANNEL_KAFKA] = { "", "" },
                 [CHANNEL_HTTP] = { o->controllers, o->token_file },
                 [CHANNEL_REDIS] = { o->redis, o->redis_password_file },
                 [CHANNEL_CONFIGMAP] = { o->configmap, o->configmap_token_file } };

    *ret = (struct channel_config){ .kind = c->options.channel,
                                    .kafka = c->options.kafka,
                                    .fleet = c->options.fleet,
                                    .control_topic = c->control_topic,
                                    .reports_topic = c->reports_topic,
                                    .prefix = c->options.prefix,
                                    .servers = ways[o->channel].servers,
                                    .token_file = ways[o->channel].token_file,
                                    .ca_file = c->options.ca_file,
                                    .cert_file = c->options.redis_cert_file,
                                    .wake_fd = c->wake_fd };
}

int baton_open(struct baton_consumer *c, char *why, size_t why_size)
{
    struct channel_config config;
    struct errmsg m = { 0 };
    int r;

    if (c->life != LIFE_NEW)
        r = err_set(&m, ERR_STATE, "baton_open: it was opened before");
    else
        r = options_check(&c->options, &m);
    if (r == ERR_OK)
        r = identity(c, &m);
    if (r == ERR_OK) {
        consumer_channel(c, &config);
        r = channel_reach(&config, (int)c->options.connect_timeout_ms, &m);
    }
    if (r == ERR_OK) {
        c->life = LIFE_OPEN;
        r = loop_start(c, &m);
        if (r < 0) {
            c->life = LIFE_NEW;
            loop_release(c);
        }
    }
    return r < 0 ? explain(why, why_size, r, &m) : ERR_OK;
}

/* --- records --- */

int baton_poll(struct baton_consumer *c, struct baton_record **ret, int max, int timeout_ms)
{
    return max < 1 ? ERR_INVALID : intake_poll(c, ret, max, timeout_ms);
}

void baton_done(struct baton_record *record)
{
    intake_done(record->consumer, &record, 1);
}

void baton_done_all(struct baton_record *const *records, int count)
{
    if (count > 0)
        intake_done(records[0]->consumer, records, count);
}

void baton_failed(struct baton_record *record, const char *failure)
{
    struct baton_consumer *c = record->consumer;

    intake_failed(c, record, failure ? failure : "");
    intake_done(c, &record, 1);
}

void baton_given_again(struct baton_record *record)
{
    intake_given_again(record->consumer, record);
}

int baton_give_back(struct baton_record *record)
{
    return intake_give_back(record->consumer, record);
}

const char *baton_record_topic(const struct baton_record *record)
{
    return rd_kafka_topic_name(record->message->rkt);
}

int32_t baton_record_partition(const struct baton_record *record)
{
    return record->message->partition;
}

int64_t baton_record_offset(const struct baton_record *record)
{
    return record->offset;
}

static const void *bytes(const void *at, size_t size, size_t *len)
{
    if (len)
        *len = at ? size : 0;
    return at;
}

const void *baton_record_key(const struct baton_record *record, size_t *len)
{
    return bytes(record->message->key, record->message->key_len, len);
}

const void *baton_record_value(const struct baton_record *record, size_t *len)
{
    return bytes(record->message->payload, record->message->len, len);
}

int64_t baton_record_timestamp_ms(const struct baton_record *record)
{
    rd_kafka_timestamp_type_t type;
    const int64_t ms = rd_kafka_message_timestamp(record->message, &type);

    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : ms;
}

int baton_record_header(const struct baton_record *record, int index, const char **name, const void **value,
                        size_t *len)
{
    rd_kafka_headers_t *headers;
    const void *at;
    size_t size;

    if (index < 0 || rd_kafka_message_headers(record->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_all(headers, (size_t)index, name, &at, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_NOT_FOUND;
    *value = bytes(at, size, len);
    return ERR_OK;
}

const char *baton_record_fleet(const struct baton_record *record)
{
    return record->consumer->options.fleet;
}

const char *baton_record_color(const struct baton_record *record)
{
    return color_name(record->consumer->options.color);
}

uint64_t baton_record_epoch(const struct baton_record *record)
{
    return record->epoch;
}

/* --- the end --- */

int baton_close(struct baton_consumer *c, int timeout_ms)
{
    const int64_t wait_ms = timeout_ms < 0 ? c->options.close_timeout_ms : timeout_ms;
    bool clean, join;

    pthread_mutex_lock(&c->lock);
    if (c->life == LIFE_NEW) {
        pthread_mutex_unlock(&c->lock);
        return ERR_OK;
    }
    if (c->life == LIFE_OPEN) {
        c->life = LIFE_CLOSING;
        c->close_by_ms = clock_ms() + wait_ms;
        intake_wake_all(c);
        consumer_wake(c);
    }
    while (c->life != LIFE_CLOSED)
        pthread_cond_wait(&c->closed_cond, &c->lock);
    clean = c->clean;
    join = c->thread_runs;
    c->thread_runs = false;
    pthread_mutex_unlock(&c->lock);
    if (join) {
        pthread_join(c->thread, NULL);
        log_info("closed", "fleet=%s color=%s clean=%s", c->options.fleet, color_name(c->options.color),
                 clean ? "yes" : "no");
    }
    return c->fatal ? ERR_KAFKA : clean ? ERR_OK : ERR_TIMEOUT;
}

void baton_free(struct baton_consumer *c)
{
    if (!c)
        return;
    baton_close(c, 0);
    intake_release(c);
    loop_release(c);
    intake_deinit(&c->intake);
    options_deinit(&c->options);
    pthread_cond_destroy(&c->closed_cond);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* --- looking --- */

static const char *state_name(const struct baton_consumer *c, int active, bool fenced)
{
    if (c->failed)
        return "failed";
    switch (c->life) {
    case LIFE_NEW:
        return "new";
    case LIFE_CLOSING:
        return "closing";
    case LIFE_CLOSED:
        return "closed";
    case LIFE_OPEN:
        break;
    }
    if (!c->main_open)
        return "waiting";
    if (!c->holder.joined)
        return "joining";
    return fenced ? "fenced" : active > 0 ? "active" : "standby";
}

static int give_number(char *ret, size_t ret_size, long long n)
{
    const int len = snprintf(ret, ret_size, "%lld", n);

    return len < 0 || (size_t)len >= ret_size ? ERR_TOO_LARGE : ERR_OK;
}

static int give_text(char *ret, size_t ret_size, const char *text)
{
    return text_copy(ret, ret_size, text) ? ERR_OK : ERR_TOO_LARGE;
}

static int give_applied(const struct baton_consumer *c, char *ret, size_t ret_size)
{
    const int len = snprintf(ret, ret_size, "%lld/%llu", (long long)c->fleet.applied.term,
                             (unsigned long long)c->fleet.applied.epoch);

    return len < 0 || (size_t)len >= ret_size ? ERR_TOO_LARGE : ERR_OK;
}

static int get_locked(struct baton_consumer *c, const char *name, char *ret, size_t ret_size)
{
    int assigned, active;
    bool fenced;

    loop_count(c, &assigned, &active, &fenced);
    if (strcmp(name, "baton.state") == 0)
        return give_text(ret, ret_size, state_name(c, active, fenced));
    if (strcmp(name, "baton.why") == 0)
        return give_text(ret, ret_size, c->why);
    if (strcmp(name, "baton.group") == 0)
        return give_text(ret, ret_size, c->fleet.exists ? c->fleet.spec.colors[c->options.color].group : "");
    if (strcmp(name, "baton.member.id") == 0)
        return give_text(ret, ret_size, c->member_id);
    if (strcmp(name, "baton.incarnation") == 0)
        return give_text(ret, ret_size, c->incarnation);
    if (strcmp(name, "baton.applied") == 0)
        return give_applied(c, ret, ret_size);
    if (strcmp(name, "baton.assigned") == 0)
        return give_number(ret, ret_size, assigned);
    if (strcmp(name, "baton.active") == 0)
        return give_number(ret, ret_size, active);
    if (strcmp(name, "baton.in.flight") == 0)
        return give_number(ret, ret_size, c->intake.in_flight);
    if (strcmp(name, "baton.done") == 0)
        return give_number(ret, ret_size, (long long)c->holder.records_done);
    if (strcmp(name, "baton.failed") == 0)
        return give_number(ret, ret_size, (long long)signals_failed(&c->signals));
    if (strcmp(name, "baton.gated") == 0)
        return give_number(ret, ret_size, (long long)c->holder.records_gated);
    return options_get(&c->options, name, ret, ret_size);
}

int baton_get(struct baton_consumer *c, const char *name, char *ret, size_t ret_size)
{
    int r;

    if (!name || !ret || ret_size == 0)
        return ERR_INVALID;
    pthread_mutex_lock(&c->lock);
    r = get_locked(c, name, ret, ret_size);
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* --- log --- */

static baton_log_function *host_log; /* set before the first consumer is made, so no lock */
static void *host_log_opaque;

static void host_sink(void *opaque, enum log_level level, const char *event, const char *text)
{
    (void)opaque;
    host_log(host_log_opaque, (int)level, event, text);
}

void baton_log_to(baton_log_function *log, void *opaque, int level_least)
{
    host_log = log;
    host_log_opaque = opaque;
    log_set_sink(log ? host_sink : NULL, NULL);
    log_set_level(level_least < LOG_DEBUG   ? LOG_DEBUG
                  : level_least > LOG_ERROR ? LOG_ERROR
                                            : (enum log_level)level_least);
}
