/*
 * trouble - what librdkafka keeps to itself: why a handle and its brokers do not come together.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "kafka/internal.h"

#define REVIVE_EVERY_MS 1000
#define HUNG_UP_MS 500        /* a connection that ends so soon was not wanted */
#define HUNG_UP_TIMES 4       /* or the broker was just going down: only the next times tell */
#define HUNG_UP_SPAN_MS 40000 /* librdkafka repeats the same line after 30 s */
#define VERDICT_AGE_MS 1500   /* a refused login or handshake is believed after so long */
#define GUESS_AGE_MS 5000     /* what is guessed from a connection that was hung up on */

static struct kafka_handle *handles; /* newest first: a freed rd_kafka_t's address may come again */
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t revived = PTHREAD_COND_INITIALIZER;

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
                       "the name of broker %s cannot be resolved: correct bootstrap.servers, or the name service (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_REFUSED:
        return err_set(m, ERR_UNAVAILABLE, "broker %s cannot be reached: start it, or correct bootstrap.servers (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_SILENT:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s does not answer: check the address, and firewalls between here and there (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_TLS:
        mend = strstr(t->reason, "certificate verify failed") || strstr(t->reason, "verify broker certificate")
                   ? "set ssl.ca.location to the CA that signed the broker's certificate, and address the broker by a "
                     "name "
                     "that stands in it"
               : strstr(t->reason, "certificate required") || strstr(t->reason, "bad certificate") ||
                       strstr(t->reason, "handshake failure")
                   ? "the broker asks for a client certificate: set ssl.certificate.location and ssl.key.location"
                   : "check the ssl.* settings against the broker's listener";
        return err_set(m, ERR_DENIED, "TLS with broker %s failed: %s (%s)", broker, mend, t->reason);
    case KAFKA_TROUBLE_NOT_TLS:
        return err_set(
            m, ERR_UNAVAILABLE,
            "broker %s does not speak TLS on this port: use its TLS port, or set security.protocol to plaintext or "
            "sasl_plaintext (%s)",
            broker, t->reason);
    case KAFKA_TROUBLE_WANTS_TLS:
        return err_set(m, ERR_UNAVAILABLE,
                       "broker %s hangs up at the first word: this port wants TLS (set security.protocol to ssl or "
                       "sasl_ssl, or use its plaintext port), or what it forwards to is down (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_WANTS_SASL:
        return err_set(m, ERR_DENIED,
                       "broker %s hangs up at the first request: this port wants a login (set security.protocol to "
                       "sasl_plaintext or sasl_ssl, and sasl.mechanism, sasl.username and sasl.password), or what it "
                       "forwards to is down (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_NOT_KAFKA:
        return err_set(m, ERR_UNAVAILABLE,
                       "what answers at %s does not speak Kafka's protocol: correct bootstrap.servers, or set "
                       "security.protocol to ssl "
                       "if it is a TLS port (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_SASL:
        return err_set(m, ERR_DENIED,
                       "broker %s refused the login: check sasl.username, sasl.password and sasl.mechanism (%s)",
                       broker, t->reason);
    case KAFKA_TROUBLE_LOST:
        return err_set(m, ERR_UNAVAILABLE,
                       "the connection to broker %s is lost: it is tried again until it answers (%s)", broker,
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

static bool trouble_hung_up(enum kafka_trouble_kind kind)
{
    return kind == KAFKA_TROUBLE_WANTS_TLS || kind == KAFKA_TROUBLE_WANTS_SASL;
}

/* Believed, and not of yesterday. The caller holds the lock. */
static bool trouble_counts(const struct kafka_trouble *t)
{
    if (t->since_ms == 0)
        return false;
    return !trouble_hung_up(t->kind) ||
           (t->brokers_down >= HUNG_UP_TIMES && clock_ms() - t->failed_ms <= HUNG_UP_SPAN_MS);
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
        if (t->kind != kind)
            t->brokers_down = 0;
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
    news = !(t->kinds_logged & 1u << t->kind) && trouble_counts(t);
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
    }
    pthread_mutex_unlock(&t->lock);
    if (ended)
        log_info("kafka_trouble_ended", "role=%s broker=%s lasted_ms=%lld", h->role, broker, (long long)lasted_ms);
}

/* Once more after it had hung up: librdkafka does not log the same failure again so soon, so the attempts are counted. */
static void trouble_again(struct kafka_handle *h, enum kafka_trouble_kind kind, const char *broker)
{
    struct kafka_trouble *t = &h->trouble;
    struct errmsg m = { 0 };
    char quoted[1100];

    pthread_mutex_lock(&t->lock);
    if (t->kind == kind && strcmp(t->broker, broker) == 0) {
        t->failed_ms = clock_ms();
        if (++t->brokers_down == HUNG_UP_TIMES && !(t->kinds_logged & 1u << kind)) {
            t->kinds_logged |= 1u << kind;
            trouble_sentence(t, &m);
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (m.text[0])
        log_warn("kafka_trouble", "role=%s error=%s, trying again until it ends", h->role,
                 log_quote(quoted, sizeof(quoted), m.text));
}

void kafka_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char quoted[700];

    /* FAIL and ERROR are told as trouble, in words of our own. */
    log_event(level <= 4 && strcmp(facility, "FAIL") != 0 && strcmp(facility, "ERROR") != 0 ? LOG_WARN : LOG_DEBUG,
              "librdkafka", "client=%s facility=%s level=%d %s", rk ? rd_kafka_name(rk) : "-", facility, level,
              log_quote(quoted, sizeof(quoted), text));
}

/* The log's sink may be anybody's code: it is called without our locks. */
static void trouble_file(const rd_kafka_t *rk, enum kafka_trouble_kind kind, rd_kafka_resp_err_t fatal,
                         const char *broker, const char *reason)
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

static rd_kafka_resp_err_t on_broker_state(rd_kafka_t *rk, int32_t broker_id, const char *secproto, const char *name,
                                           int port, const char *state, void *opaque)
{
    char broker[300];

    (void)rk;
    (void)secproto;
    revive_note(opaque, broker_id, name, port, state);
    snprintf(broker, sizeof(broker), "%s:%d", name, port);
    if (strcmp(state, "APIVERSION_QUERY") == 0) {
        trouble_again(opaque, KAFKA_TROUBLE_WANTS_TLS, broker);
    } else if (strcmp(state, "UP") == 0) {
        trouble_again(opaque, KAFKA_TROUBLE_WANTS_SASL, broker);
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

/*
 * One handle a second. librdkafka is not called with handles_lock held: it may log with its own locks held, and then wants ours.
 */
void kafka_revive(void)
{
    static int64_t looked_ms;
    const int64_t now_ms = clock_ms();
    struct kafka_handle *h = NULL;

    pthread_mutex_lock(&handles_lock);
    if (now_ms - looked_ms >= REVIVE_EVERY_MS) {
        looked_ms = now_ms;
        for (h = handles; h; h = h->next)
            if (!h->closing && revive_due(h, now_ms))
                break;
    }
    if (h)
        h->reviving = true;
    pthread_mutex_unlock(&handles_lock);
    if (!h)
        return;
    revive(h);
    pthread_mutex_lock(&handles_lock);
    h->reviving = false;
    pthread_cond_broadcast(&revived);
    pthread_mutex_unlock(&handles_lock);
}

void trouble_closing(struct kafka_handle *h)
{
    pthread_mutex_lock(&handles_lock);
    h->closing = true;
    while (h->reviving)
        pthread_cond_wait(&revived, &handles_lock);
    pthread_mutex_unlock(&handles_lock);
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

void trouble_watch(struct kafka_handle *h, rd_kafka_conf_t *conf)
{
    pthread_mutex_init(&h->trouble.lock, NULL);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_interceptor_add_on_new(conf, "baton", on_new, h);
}

void trouble_unwatch(struct kafka_handle *h)
{
    handle_unregister(h);
    pthread_mutex_destroy(&h->trouble.lock);
}

/*
 * Trouble that waiting does not mend. That a port wants TLS or a login is only a guess from its hanging up: one broker of three
 * that is down behind a load balancer does the same, and the other two answer in a moment. So it is believed when nobody else has
 * answered for some seconds.
 */
bool trouble_is_verdict(struct kafka_handle *h)
{
    struct kafka_trouble *t = &h->trouble;
    bool known, guessed, verdict;
    int64_t lasts_ms;

    pthread_mutex_lock(&t->lock);
    lasts_ms = clock_ms() - t->since_ms;
    known = t->kind == KAFKA_TROUBLE_TLS || t->kind == KAFKA_TROUBLE_NOT_TLS || t->kind == KAFKA_TROUBLE_NOT_KAFKA ||
            t->kind == KAFKA_TROUBLE_SASL || t->fatal;
    guessed = trouble_hung_up(t->kind) && h->connections.up_count == 0;
    verdict = trouble_counts(t) && ((known && lasts_ms >= VERDICT_AGE_MS) || (guessed && lasts_ms >= GUESS_AGE_MS));
    pthread_mutex_unlock(&t->lock);
    return verdict;
}

/* ---- sentences for codes ---- */

/* What each resource needs, as Kafka's own tool is told it. */
static int explain_denied(const struct kafka_handle *h, const char *doing, const char *what, const char *option,
                          const char *operations, struct errmsg *m)
{
    return err_set(
        m, ERR_DENIED,
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
            return err_set(m, ERR_UNAVAILABLE, "%s: no broker of %s is connected: check that they run", doing,
                           h->bootstrap);
        return err_set(m, ERR_TIMEOUT,
                       "%s: no answer in time from the brokers at %s: check that they run and are not overloaded (%s)",
                       doing, h->bootstrap, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "topic", "--topic TOPIC",
                              "--operation Describe --operation Read --operation Write", m);
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "group", "--group GROUP", "--operation Describe --operation Read", m);
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "cluster", "--cluster", "--operation Create --operation IdempotentWrite", m);
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return explain_denied(h, doing, "transactional id", "--transactional-id ID",
                              "--operation Describe --operation Write", m);
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return err_set(m, ERR_DENIED,
                       "%s: the brokers at %s refused the login: check sasl.username, sasl.password and "
                       "sasl.mechanism",
                       doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return err_set(m, ERR_NOT_FOUND, "%s: the brokers at %s have no such topic or partition", doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND:
        return err_set(m, ERR_NOT_FOUND, "%s: the brokers at %s have no such group", doing, h->bootstrap);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return err_set(m, ERR_TOO_LARGE,
                       "%s: the record is larger than the topic allows: raise max.message.bytes of the topic (%s)",
                       doing, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
        return err_set(m, ERR_UNAVAILABLE,
                       "%s: fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers "
                       "back (%s)",
                       doing, rd_kafka_err2name(code));
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return err_set(m, ERR_KAFKA,
                       "%s: fewer brokers run than default.replication.factor asks for: start them, or create the "
                       "topic by hand",
                       doing);
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
        return err_set(m, ERR_CONFLICT, "%s: consumers of the group are still connected: stop them first", doing);
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        return err_set(m, ERR_STATE, "%s: the brokers at %s do not support it (%s)", doing, h->bootstrap,
                       rd_kafka_err2str(code));
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
