/*
 * agent - `baton agent`: the command line of src/agent, checked and handed on.
 */
#include <string.h>

#include "agent/agent.h"
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

static int config_of(struct agent_config *ret, const struct args *a, struct errmsg *m)
{
    const bool http = a->times[OPT_SERVER] > 0, redis = a->times[OPT_REDIS] > 0;
    int64_t grace_ms = GRACE_STANDARD_MS, change_ms = CHANGE_STANDARD_MS;
    int r;

    if (!a->value[OPT_COLOR])
        return err_set(m, ERR_INVALID, "which color? Give --color blue or --color green");
    if (!a->value[OPT_APPLICATION] && !a->value[OPT_ON_CHANGE] && !a->value[OPT_SIGNAL])
        return err_set(m, ERR_INVALID,
                       "which application? Give --application http://127.0.0.1:PORT, or, for one that can only be "
                       "told, --on-change COMMAND or --signal NAME");
    if (!a->value[OPT_SIGNAL] != !a->value[OPT_PID_FILE])
        return err_set(m, ERR_INVALID, "--signal and --pid-file go together: what to send, and to whom");
    if (http && redis)
        return err_set(m, ERR_INVALID, "--server and --redis are two ways to the controller: give one");
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
        .channel = http    ? CHANNEL_HTTP
                   : redis ? CHANNEL_REDIS
                           : CHANNEL_KAFKA,
        .servers = http    ? a->value[OPT_SERVER]
                   : redis ? a->value[OPT_REDIS]
                           : "",
        .token_file = a->value[redis ? OPT_REDIS_PASSWORD_FILE : OPT_MEMBER_TOKEN_FILE],
        .ca_file = a->value[redis ? OPT_REDIS_CA : OPT_CA_FILE],
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
    return ERR_OK;
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
