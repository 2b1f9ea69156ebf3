/*
 * agent - `baton agent`: the command line of src/agent, checked and handed on.
 */
#include <string.h>

#include "agent/agent.h"
#include "base/check.h"
#include "base/log.h"
#include "cli/api.h"
#include "kafka/client.h"

#define LISTEN_STANDARD "127.0.0.1:8090"
#define GRACE_STANDARD_MS 25000
#define GRACE_MS_MIN 6000 /* commit and leave take five seconds of it */
#define GRACE_MS_MAX 3600000
#define CHANGE_STANDARD_MS 30000
#define CHANGE_MS_MIN 100
#define CHANGE_MS_MAX 3600000

static const char *listen_of(const struct args *a)
{
    for (int i = 0; i < a->many_count; i++)
        if (a->many_id[i] == OPT_LISTEN)
            return a->many[i];
    return LISTEN_STANDARD;
}

/* How the controller is heard; the last of the table is what nothing else says. */
static const struct way {
    enum option_id option, token_file, ca_file;
    enum channel_kind kind;
} ways[] = {
    { OPT_SERVER, OPT_MEMBER_TOKEN_FILE, OPT_CA_FILE, CHANNEL_HTTP },
    { OPT_REDIS, OPT_REDIS_PASSWORD_FILE, OPT_REDIS_CA, CHANNEL_REDIS },
    { OPT_CONFIGMAP, OPT_CONFIGMAP_TOKEN_FILE, OPT_CONFIGMAP_CA, CHANNEL_CONFIGMAP },
    { OPT_CONFIGMAP_FILE, OPT_CONFIGMAP_TOKEN_FILE, OPT_CONFIGMAP_CA, CHANNEL_FILE },
    { OPT_BOOTSTRAP, OPT_MEMBER_TOKEN_FILE, OPT_CA_FILE, CHANNEL_KAFKA },
};

/* Is it an application that nobody has changed? */
static bool drives(const struct args *a)
{
    return a->times[OPT_SPRING_STREAM] > 0 || a->value[OPT_PODS_FILE] || a->value[OPT_START] || a->value[OPT_STOP];
}

static int drive_of(struct drive_config *ret, const struct args *a, struct errmsg *m)
{
    const bool addresses = a->times[OPT_SPRING_STREAM] > 0 || a->value[OPT_PODS_FILE];
    const char *actuator = a->value[OPT_ACTUATOR] ? a->value[OPT_ACTUATOR] : "/actuator",
               *binding = a->value[OPT_BINDING];

    if (!drives(a))
        return !binding && !a->value[OPT_ACTUATOR] && !a->value[OPT_READY_ALARM]
                   ? ERR_OK
                   : err_set(m, ERR_INVALID,
                             "--binding, --actuator and --ready-alarm belong to --spring-stream: give that");
    if (a->value[OPT_APPLICATION])
        return err_set(
            m, ERR_INVALID,
            "--application keeps the lifecycle contract, --spring-stream and --start are for one that nobody has "
            "changed: give one of them");
    if (addresses && (a->value[OPT_START] || a->value[OPT_STOP]))
        return err_set(m, ERR_INVALID, "--spring-stream and --start are two ways to stop and start it: give one");
    if (!a->value[OPT_START] != !a->value[OPT_STOP])
        return err_set(m, ERR_INVALID, "--start and --stop go together");
    if (addresses && (!binding || !*binding || strcspn(binding, "/?#% ") != strlen(binding)))
        return err_set(m, ERR_INVALID,
                       "which binding consumes? Give --binding orders-in-0, as the application's "
                       "configuration names it");
    if (actuator[0] != '/' || strlen(actuator) > 100 || strcspn(actuator, "?#% ") != strlen(actuator) ||
        (binding && strlen(binding) > 100))
        return err_set(m, ERR_INVALID,
                       "--actuator is a path, as in /actuator, and neither it nor --binding is longer "
                       "than 100 characters");
    *ret = (struct drive_config){ .pods_file = a->value[OPT_PODS_FILE],
                                  .binding = binding,
                                  .actuator = strcmp(actuator, "/") == 0 ? "" : actuator,
                                  .token_file = a->value[OPT_APPLICATION_TOKEN_FILE],
                                  .start = a->value[OPT_START],
                                  .stop = a->value[OPT_STOP] };
    for (int i = 0; i < a->many_count; i++)
        if (a->many_id[i] == OPT_SPRING_STREAM)
            ret->urls[ret->url_count++] = a->many[i];
    if (a->value[OPT_READY_ALARM]) {
        int r = parse_duration_ms(&ret->alarm_ms, a->value[OPT_READY_ALARM], 100, CHANGE_MS_MAX, m);

        return r < 0 ? err_wrap(m, r, "--ready-alarm") : ERR_OK;
    }
    return ERR_OK;
}

static int way_of(const struct way **ret, const struct args *a, struct errmsg *m)
{
    const struct way *way = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(ways) - 1; i++) {
        if (a->times[ways[i].option] == 0)
            continue;
        if (way)
            return err_set(m, ERR_INVALID, "--%s and --%s are two ways to the controller: give one",
                           options[way->option].name, options[ways[i].option].name);
        way = &ways[i];
    }
    *ret = way ? way : &ways[ARRAY_COUNT(ways) - 1];
    if (!channel_goes_up((*ret)->kind) && (a->value[OPT_APPLICATION] || drives(a)))
        return err_set(m, ERR_INVALID,
                       "--configmap-file brings documents and takes nothing back, so an agent that reads it can only "
                       "tell: with --application, which hands partitions over, give --configmap, --server, --redis or "
                       "none of them (Kafka)");
    return ERR_OK;
}

static int config_of(struct agent_config *ret, const struct args *a, struct errmsg *m)
{
    const struct way *way = NULL;
    int64_t grace_ms = GRACE_STANDARD_MS, change_ms = CHANGE_STANDARD_MS;
    int r;

    if (!a->value[OPT_COLOR])
        return err_set(m, ERR_INVALID, "which color? Give --color blue or --color green");
    if (!a->value[OPT_APPLICATION] && !a->value[OPT_ON_CHANGE] && !a->value[OPT_SIGNAL] && !drives(a))
        return err_set(
            m, ERR_INVALID,
            "which application? Give --application http://127.0.0.1:PORT; for one that nobody has changed "
            "--spring-stream URL, or --start and --stop COMMAND; or, for one that can only be told, --on-change "
            "COMMAND or --signal NAME");
    if (a->times[OPT_LISTEN] > 1)
        return err_set(m, ERR_INVALID, "an agent listens at one address: give --listen once");
    if (!a->value[OPT_SIGNAL] != !a->value[OPT_PID_FILE])
        return err_set(m, ERR_INVALID, "--signal and --pid-file go together: what to send, and to whom");
    r = way_of(&way, a, m);
    if (r < 0)
        return r;
    if (a->value[OPT_ON_CHANGE_TIMEOUT] &&
        (r = parse_duration_ms(&change_ms, a->value[OPT_ON_CHANGE_TIMEOUT], CHANGE_MS_MIN, CHANGE_MS_MAX, m)) < 0)
        return err_wrap(m, r, "--on-change-timeout");
    if (a->value[OPT_GRACE] &&
        (r = parse_duration_ms(&grace_ms, a->value[OPT_GRACE], GRACE_MS_MIN, GRACE_MS_MAX, m)) < 0)
        return err_wrap(m, r, "--grace");
    *ret = (struct agent_config){
        .fleet = a->words[0],
        .color = word_is(a->value[OPT_COLOR], "green") ? GREEN : BLUE,
        .version = a->value[OPT_APP_VERSION],
        .prefix = a->value[OPT_PREFIX],
        .channel = way->kind,
        .servers = way->kind == CHANNEL_KAFKA ? "" : a->value[way->option],
        .token_file = a->value[way->token_file],
        .ca_file = a->value[way->ca_file],
        .cert_file = a->value[OPT_REDIS_CERT],
        .application = a->value[OPT_APPLICATION],
        .application_token_file = a->value[OPT_APPLICATION_TOKEN_FILE],
        .listen = listen_of(a),
        .listen_token_file = a->value[OPT_TOKEN_FILE],
        .grace_ms = grace_ms,
        .change = { .command = a->value[OPT_ON_CHANGE],
                    .timeout_ms = change_ms,
                    .signal = a->value[OPT_SIGNAL] ? change_signal_parse(a->value[OPT_SIGNAL]) : 0,
                    .pid_file = a->value[OPT_PID_FILE] },
    };
    return drive_of(&ret->drive, a, m);
}

int cmd_agent(struct cli *cli)
{
    struct kafka_settings *settings = NULL;
    struct agent_config config;
    struct errmsg m = { 0 };
    int code = EXITS_DONE, r;

    cli_log_settings(&cli->args);
    r = config_of(&config, &cli->args, &m);
    if (r == ERR_OK)
        r = kafka_settings_of(&settings, cli, &m);
    if (r == ERR_OK && !kafka_settings_get(settings, "bootstrap.servers"))
        r = err_set(&m, ERR_INVALID, "which Kafka? Give --bootstrap HOST:PORT, or bootstrap.servers in --config FILE");
    if (r < 0) {
        code = EXITS_USAGE;
    } else {
        config.kafka = settings;
        r = agent_run(&config, &m);
        code = r < 0 ? exit_of_error(r) : EXITS_DONE;
    }
    if (r < 0)
        cli_fail(cli, code, "%s", m.text);
    kafka_settings_free(settings);
    return code;
}
