/*
 * serve - `baton serve` and `baton broker`: what runs until it is told to stop.
 *
 * Each prints one line on stdout once it can be used, so that a script which starts it knows where and when.
 */
#include <event2/event.h>
#include <event2/thread.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/log.h"
#include "cli/api.h"
#include "controller/burrow.h"
#include "controller/controller.h"
#include "core/limits.h"
#include "kafka/client.h"
#include "kafka/log.h"
#include "kube/client.h"
#include "redis/client.h"

#define METRICS_PARTITIONS_STANDARD 1000
#define METRICS_PARTITIONS_MAX 100000
#define LISTEN_STANDARD "127.0.0.1:8080"
#define LISTEN_MAX 16
#define CONNECTIONS_MAX 100000
#define FILES_BESIDE 256 /* connections to the brokers, log, epoll */
#define EMBEDDED_PARTITIONS_MAX 256

/* ---- serve ---- */

static void on_stop(evutil_socket_t number, short what, void *opaque)
{
    (void)what;
    log_info("stopping", "signal=%d, handing over; a second signal ends at once", (int)number);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    event_base_loopbreak(opaque);
}

static int many_of(const struct args *a, enum option_id id, const char *ret[], int max)
{
    int count = 0;

    for (int i = 0; i < a->many_count; i++)
        if (a->many_id[i] == id && count < max)
            ret[count++] = a->many[i];
    return count;
}

static void serve_config(struct controller_config *ret, const struct args *a, const struct kafka_settings *settings,
                         const char *listen[LISTEN_MAX])
{
    *ret = (struct controller_config){
        .kafka = settings,
        .prefix = a->value[OPT_PREFIX],
        .lead = CONTROLLER_SERVE,
        .listen = listen,
        .listen_count = many_of(a, OPT_LISTEN, listen, LISTEN_MAX),
        .advertise = a->value[OPT_ADVERTISE],
        .token_file = a->value[OPT_TOKEN_FILE],
        .member_token_file = a->value[OPT_MEMBER_TOKEN_FILE],
        .open_reads = a->times[OPT_OPEN_READS] > 0,
        .tls_cert = a->value[OPT_TLS_CERT],
        .tls_key = a->value[OPT_TLS_KEY],
        .topics_keep = a->times[OPT_TOPICS_KEEP] > 0,
        .lag = word_is(a->value[OPT_LAG], "all")   ? CONTROLLER_LAG_ALL
               : word_is(a->value[OPT_LAG], "off") ? CONTROLLER_LAG_OFF
                                                   : CONTROLLER_LAG_FLEETS,
        .metrics_kafka_exporter = a->times[OPT_METRICS_KAFKA_EXPORTER] > 0,
        .prometheus_auth_file = a->value[OPT_PROMETHEUS_AUTH_FILE],
        .prometheus_ca_file = a->value[OPT_PROMETHEUS_CA],
    };
    if (ret->listen_count == 0) {
        listen[0] = LISTEN_STANDARD;
        ret->listen_count = 1;
    }
}

void cli_log_settings(const struct args *a)
{
    static const char *const levels[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
    };

    log_set_level(a->times[OPT_VERBOSE] ? LOG_DEBUG : a->times[OPT_QUIET] ? LOG_WARN : LOG_INFO);
    for (enum log_level i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (word_is(a->value[OPT_LOG_LEVEL], levels[i]))
            log_set_level(i);
    log_set_json(word_is(a->value[OPT_LOG_FORMAT], "json"));
}

/* As many files as are wanted, or as many as the system lets us: a server without files says so by itself. */
static void files_max_raise(int64_t wanted)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || (int64_t)files.rlim_cur >= wanted)
        return;
    files.rlim_cur = (int64_t)files.rlim_max < wanted ? files.rlim_max : (rlim_t)wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0 && (int64_t)files.rlim_cur < wanted)
        log_warn("files_few", "limit=%lld wanted=%lld, raise it (ulimit -n, LimitNOFILE) for so many connections",
                 (long long)files.rlim_cur, (long long)wanted);
}

static int serve_run(struct cli *cli, struct event_base *base, const struct controller_config *config)
{
    struct event *stops[2] = { evsignal_new(base, SIGINT, on_stop, base), evsignal_new(base, SIGTERM, on_stop, base) };
    struct controller *controller = NULL;
    struct errmsg m = { 0 };
    int code = EXITS_DONE, r;

    if (!stops[0] || !stops[1] || event_add(stops[0], NULL) != 0 || event_add(stops[1], NULL) != 0) {
        code = cli_fail(cli, EXITS_FAILED, "cannot make an event loop");
        goto out;
    }
    r = controller_open(&controller, base, config, &m);
    if (r < 0) {
        code = cli_fail(cli, exit_of_error(r), "%s", m.text);
        goto out;
    }
    for (int i = 0; controller_listening(controller, i); i++)
        printf("listening on %s://%s\n", config->tls_cert ? "https" : "http", controller_listening(controller, i));
    fflush(stdout);
    event_base_dispatch(base);
    controller_close(controller);
    log_info("stopped", "the state is in Kafka");
out:
    for (size_t i = 0; i < ARRAY_COUNT(stops); i++)
        if (stops[i])
            event_free(stops[i]);
    return code;
}

int cmd_serve(struct cli *cli)
{
    const struct args *a = &cli->args;
    const char *listen[LISTEN_MAX];
    struct kafka_settings *settings;
    struct burrow_options burrow;
    const struct redis_config redis = { .servers = a->value[OPT_REDIS],
                                        .password_file = a->value[OPT_REDIS_PASSWORD_FILE],
                                        .ca_file = a->value[OPT_REDIS_CA],
                                        .cert_file = a->value[OPT_REDIS_CERT] };
    const struct kube_config kube = { .server = a->value[OPT_CONFIGMAP],
                                      .token_file = a->value[OPT_CONFIGMAP_TOKEN_FILE],
                                      .ca_file = a->value[OPT_CONFIGMAP_CA] };
    struct controller_config config;
    struct event_base *base;
    struct errmsg m = { 0 };
    int64_t lag_interval_ms = 0;
    int64_t metrics_partitions = METRICS_PARTITIONS_STANDARD;
    int64_t session_ms = 0, connections = 0;
    int code, r;

    cli_log_settings(a);
    if (a->value[OPT_METRICS_PARTITIONS] &&
        parse_int64(&metrics_partitions, a->value[OPT_METRICS_PARTITIONS], 0, METRICS_PARTITIONS_MAX, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--metrics-partitions: %s", m.text);
    if (a->value[OPT_SESSION] && parse_duration_ms(&session_ms, a->value[OPT_SESSION], 1000, 600000, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--session: %s", m.text);
    if (a->value[OPT_CONNECTIONS] && parse_int64(&connections, a->value[OPT_CONNECTIONS], 16, CONNECTIONS_MAX, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--connections: %s", m.text);
    burrow_options_default(&burrow);
    if (a->value[OPT_BURROW] && burrow_options_set(&burrow, a->value[OPT_BURROW], &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--burrow: %s", m.text);
    if (!redis.servers && (redis.password_file || redis.ca_file || redis.cert_file))
        return cli_fail(cli, EXITS_USAGE, "which Redis? Give --redis URL, such as redis://10.0.0.7:6379");
    if (!kube.server && (kube.token_file || kube.ca_file))
        return cli_fail(cli, EXITS_USAGE,
                        "which API server? Give --configmap in-cluster, or --configmap https://HOST:PORT/NAMESPACE");
    if (a->times[OPT_SERVER])
        return cli_fail(cli, EXITS_USAGE, "'serve' is the server: give it --bootstrap HOST:PORT, not --server");
    if (a->value[OPT_LAG_INTERVAL] &&
        parse_duration_ms(&lag_interval_ms, a->value[OPT_LAG_INTERVAL], 1000, 3600000, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--lag-interval: %s", m.text);
    r = kafka_settings_of(&settings, cli, &m);
    if (r < 0)
        return cli_fail(cli, exit_of_error(r), "%s", m.text);
    if (!kafka_settings_get(settings, "bootstrap.servers")) {
        kafka_settings_free(settings);
        return cli_fail(cli, EXITS_USAGE,
                        "which Kafka? Give --bootstrap HOST:PORT, or bootstrap.servers in --config FILE");
    }
    signal(SIGPIPE, SIG_IGN);
    evthread_use_pthreads();
    base = event_base_new();
    serve_config(&config, a, settings, listen);
    config.session_ms = (int)session_ms;
    config.lag_interval_ms = lag_interval_ms;
    config.metrics_partitions_max = (int)metrics_partitions;
    config.burrow = a->value[OPT_BURROW] ? &burrow : NULL;
    config.redis = redis.servers ? &redis : NULL;
    config.configmap = kube.server ? &kube : NULL;
    config.connections_max = (int)connections;
    files_max_raise(connections + FILES_BESIDE);
    code = base ? serve_run(cli, base, &config) : cli_fail(cli, EXITS_FAILED, "cannot make an event loop");
    if (base)
        event_base_free(base);
    kafka_settings_free(settings);
    return code;
}

/* ---- broker ---- */

static int broker_topics(struct embedded_broker *broker, const struct args *a, struct errmsg *m)
{
    const char *prefix = a->value[OPT_PREFIX] ? a->value[OPT_PREFIX] : "";
    char name[TOPIC_NAME_MAX + 1];
    int r = ERR_OK;

    /*
     * The two topics of Baton itself, which the broker makes by itself when there is no prefix: it has no
     * CreateTopics, and would give others 4 partitions.
     */
    if (*prefix) {
        snprintf(name, sizeof(name), "%s%s", prefix, CONTROL_TOPIC);
        r = embedded_broker_topic(broker, name, 1, m);
        snprintf(name, sizeof(name), "%s%s", prefix, REPORTS_TOPIC);
        if (r == ERR_OK)
            r = embedded_broker_topic(broker, name, 1, m);
    }
    for (int i = 0; i < a->many_count && r == ERR_OK; i++) {
        const char *equals = strchr(a->many[i], '=');
        int64_t partitions = 1;

        if (a->many_id[i] != OPT_TOPIC)
            continue;
        if (equals && parse_int64(&partitions, equals + 1, 1, EMBEDDED_PARTITIONS_MAX, m) < 0)
            return err_wrap(m, ERR_INVALID, "--topic %s", a->many[i]);
        if (!text_copy(name, sizeof(name), a->many[i]) || !*name || equals == a->many[i])
            return err_set(m, ERR_INVALID, "--topic %.80s: write it as NAME=COUNT, as in orders=12", a->many[i]);
        name[strcspn(name, "=")] = 0;
        r = embedded_broker_topic(broker, name, (int)partitions, m);
    }
    return r;
}

int cmd_broker(struct cli *cli)
{
    struct embedded_broker *broker = NULL;
    struct pollfd wake = { .events = POLLIN };
    struct errmsg m = { 0 };
    int64_t port = 0;
    int r = ERR_OK;

    if (cli->args.value[OPT_PORT] && parse_int64(&port, cli->args.value[OPT_PORT], 1, 65535, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--port: %s", m.text);
    signal(SIGPIPE, SIG_IGN);
    wake.fd = interrupts_catch();
    r = embedded_broker_open(&broker, (int)port, &m);
    if (r == ERR_OK)
        r = broker_topics(broker, &cli->args, &m);
    if (r < 0) {
        embedded_broker_close(broker);
        return cli_fail(cli, exit_of_error(r), "%s", m.text);
    }
    if (cli->json)
        printf("{\"bootstrap\":\"%s\"}\n", embedded_broker_bootstrap(broker));
    else
        printf("%s\n", embedded_broker_bootstrap(broker));
    fflush(stdout);
    cli_say(
        cli,
        "This is librdkafka's mock cluster, not Kafka: everything is in memory and gone at the end. Ctrl-C ends it.");
    while (interrupts_count() == 0)
        poll(&wake, 1, -1);
    embedded_broker_close(broker);
    return EXITS_DONE;
}
