/*
 * run - `baton run`: the command line of src/run, checked and handed on.
 */
#include <baton/baton.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/api.h"
#include "kafka/client.h"
#include "run/run.h"

#define BATON_OPTIONS_MAX MANY_MAX

static int count_of(int *ret, const struct args *a, enum option_id id, int standard, int min, int max, struct errmsg *m)
{
    int64_t number = standard;
    int r = a->value[id] ? parse_int64(&number, a->value[id], min, max, m) : ERR_OK;

    *ret = (int)number;
    return r < 0 ? err_wrap(m, r, "--%s", options[id].name) : ERR_OK;
}

static int time_of(int64_t *ret, const struct args *a, enum option_id id, int64_t standard_ms, int64_t min_ms,
                   struct errmsg *m)
{
    int r = ERR_OK;

    *ret = standard_ms;
    if (a->value[id])
        r = parse_duration_ms(ret, a->value[id], min_ms, 3600000, m);
    return r < 0 ? err_wrap(m, r, "--%s", options[id].name) : ERR_OK;
}

/* The place of a word in "a|b|c", which is its enum's; the first when it is left out. */
static int choice_of(const struct args *a, enum option_id id)
{
    char choice[32];

    for (int i = 0; a->value[id] && choice_at(choice, sizeof(choice), options[id].choices, i); i++)
        if (!strcmp(choice, a->value[id]))
            return i;
    return 0;
}

/* What contradicts itself, or cannot be read. */
static int config_of(struct run_config *ret, const struct args *a, struct errmsg *m)
{
    int r;

    if (!a->value[OPT_COLOR])
        return err_set(m, ERR_INVALID, "which color? Give --color blue or --color green");
    if (a->rest && !a->rest[0])
        return err_set(m, ERR_INVALID, "there is no command behind --");
    if (!a->rest == !a->value[OPT_TO_URL])
        return err_set(m, ERR_INVALID, "who gets the records? Give a command behind --, or --to URL%s",
                       a->rest ? ", not both" : "");
    if (a->value[OPT_SERVER] && a->times[OPT_SERVER])
        return err_set(m, ERR_INVALID, "'run' is a consumer: give it --bootstrap HOST:PORT, not --server");
    *ret = (struct run_config){
        .fleet = a->words[0],
        .color = a->value[OPT_COLOR],
        .version = a->value[OPT_APP_VERSION],
        .prefix = a->value[OPT_PREFIX],
        .command = a->rest,
        .url = a->value[OPT_TO_URL],
        .ca_file = a->value[OPT_CA_FILE],
        .token_file = a->value[OPT_TOKEN_FILE],
        .order = (enum order)choice_of(a, OPT_ORDER),
        .value = (enum value_form)choice_of(a, OPT_VALUE),
        .on_error = (enum on_error)choice_of(a, OPT_ON_ERROR),
        .dlq = a->value[OPT_DLQ],
        .fields = FIELDS_ALL,
    };
    if (ret->dlq && !a->value[OPT_ON_ERROR])
        ret->on_error = ON_ERROR_DLQ;
    if (!ret->dlq && ret->on_error == ON_ERROR_DLQ)
        return err_set(m, ERR_INVALID, "--on-error dlq needs --dlq TOPIC");
    if (ret->dlq && ret->on_error != ON_ERROR_DLQ)
        return err_set(m, ERR_INVALID, "--dlq is for --on-error dlq, not for --on-error %s", a->value[OPT_ON_ERROR]);
    if (ret->on_error == ON_ERROR_RETRY && a->value[OPT_RETRIES])
        return err_set(m, ERR_INVALID, "--retries needs --on-error skip, dlq or stop: what shall become of it then?");
    if (a->value[OPT_FIELDS] && ret->url)
        return err_set(m, ERR_INVALID, "--fields is for the lines of a command, not for --to");
    if (a->value[OPT_FIELDS] && (r = line_fields(&ret->fields, a->value[OPT_FIELDS], m)) < 0)
        return err_wrap(m, r, "--fields");
    if ((r = count_of(&ret->concurrency, a, OPT_CONCURRENCY, 1, 1, RUN_CONCURRENCY_MAX, m)) < 0 ||
        (r = count_of(&ret->batch, a, OPT_BATCH, 1, 1, RUN_BATCH_MAX, m)) < 0 ||
        (r = count_of(&ret->retries, a, OPT_RETRIES, 3, 0, 1000000, m)) < 0 ||
        (r = time_of(&ret->record_timeout_ms, a, OPT_RECORD_TIMEOUT, 30000, 0, m)) < 0 ||
        (r = time_of(&ret->grace_ms, a, OPT_GRACE, 25000, 1000, m)) < 0)
        return r;
    return ERR_OK;
}

/* -X baton.NAME=VALUE is libbaton's; the rest is librdkafka's. */
static int split_properties(struct args *a, char *owned[BATON_OPTIONS_MAX], const char *ret[BATON_OPTIONS_MAX][2],
                            int *ret_count, struct errmsg *m)
{
    int kept = 0, count = 0;

    for (int i = 0; i < a->many_count; i++) {
        bool ours = a->many_id[i] == OPT_PROPERTY && !strncmp(a->many[i], "baton.", 6);
        char *equals;

        if (!ours) {
            a->many_id[kept] = a->many_id[i];
            a->many[kept++] = a->many[i];
            continue;
        }
        owned[count] = strdup(a->many[i]);
        equals = owned[count] ? strchr(owned[count], '=') : NULL;
        if (!equals) {
            free(owned[count]);
            *ret_count = count;
            return err_set(m, ERR_INVALID, "-X %s: write it as name=value", a->many[i]);
        }
        *equals = '\0';
        ret[count][0] = owned[count];
        ret[count][1] = equals + 1;
        count++;
    }
    a->many_count = kept;
    *ret_count = count;
    return ERR_OK;
}

int cmd_run(struct cli *cli)
{
    struct kafka_settings *settings = NULL;
    char *owned[BATON_OPTIONS_MAX];
    const char *baton[BATON_OPTIONS_MAX][2];
    struct run_config config;
    struct errmsg m = { 0 };
    int count = 0, code = EXITS_USAGE, r;

    cli_log_settings(&cli->args);
    r = config_of(&config, &cli->args, &m);
    if (r == ERR_OK)
        r = split_properties(&cli->args, owned, baton, &count, &m);
    if (r == ERR_OK)
        r = kafka_settings_of(&settings, cli, &m);
    if (r == ERR_OK && !kafka_settings_get(settings, "bootstrap.servers"))
        r = err_set(&m, ERR_INVALID, "which Kafka? Give --bootstrap HOST:PORT, or bootstrap.servers in --config FILE");
    if (r == ERR_OK) {
        config.kafka = settings;
        config.baton = baton;
        config.baton_count = count;
        r = run(&config, &m);
        code = r < 0 ? exit_of_error(r) : r;
    }
    if (r < 0)
        cli_fail(cli, code, "%s", m.text);
    kafka_settings_free(settings);
    for (int i = 0; i < count; i++)
        free(owned[i]);
    return code;
}
