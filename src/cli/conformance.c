/*
 * conformance - `baton conformance URL`: which rules of the lifecycle contract an application keeps.
 */
#include <string.h>

#include "agent/conformance.h"
#include "base/check.h"
#include "cli/api.h"
#include "cli/cli.h"

struct page {
    struct table *table;
    json_t *checks;
    int count, failed;
};

static void on_checked(void *opaque, const char *name, enum conformance_result result, const char *why)
{
    static const struct {
        const char *word;
        enum style style;
    } results[] = { [CONFORMANCE_OK] = { "ok", PLAIN },
                    [CONFORMANCE_FAILED] = { "failed", RED },
                    [CONFORMANCE_SKIPPED] = { "skipped", DIM } };
    struct page *p = opaque;

    p->count++;
    p->failed += result == CONFORMANCE_FAILED;
    table_row(p->table);
    table_cell(p->table, results[result].style, "%s", results[result].word);
    table_cell(p->table, PLAIN, "%s", name);
    table_cell(p->table, PLAIN, "%s", why);
    json_array_append_new(p->checks,
                          json_pack("{s:s,s:s,s:s}", "check", name, "result", results[result].word, "why", why));
}

int cmd_conformance(struct cli *cli)
{
    struct conformance_config config = { .application = cli->args.words[0],
                                         .application_token_file = cli->args.value[OPT_APPLICATION_TOKEN_FILE] };
    struct page p = { .table = table_new(&cli->out), .checks = json_array() };
    struct str text = STR_WITH_MAX(256 * 1024);
    struct kafka_settings *settings = NULL;
    struct errmsg m = { 0 };
    int code = EXITS_USAGE, r;

    table_column(p.table, "RESULT", TABLE_LEFT);
    table_column(p.table, "CHECK", TABLE_LEFT);
    table_column(p.table, "WHY", TABLE_WRAP);
    r = kafka_settings_of(&settings, cli, &m);
    if (r == ERR_OK && !kafka_settings_get(settings, "bootstrap.servers"))
        r = err_set(
            &m, ERR_INVALID,
            "which Kafka does it consume from? Give --bootstrap HOST:PORT: the brokers are asked whether it is so");
    if (r == ERR_OK) {
        config.kafka = settings;
        r = conformance_run(&config, on_checked, &p, &m);
        code = r < 0 ? exit_of_error(r) : r > 0 ? EXITS_FAILED : EXITS_DONE;
    }
    if (table_end(p.table, &text) < 0)
        code = cli_fail(cli, EXITS_FAILED, "out of memory");
    if (p.count > 0 && cli->json) {
        json_t *all = json_pack("{s:O,s:i}", "checks", p.checks, "failed", p.failed);

        cli_print_json(all);
        json_decref(all);
    }
    if (p.count > 0 && !cli->json)
        cli_print(&text);
    if (r < 0)
        cli_fail(cli, code, "%s", m.text);
    else if (!cli->json)
        cli_say(cli, "%d checks, %d failed\n", p.count, p.failed);
    json_decref(p.checks);
    str_free(&text);
    kafka_settings_free(settings);
    return code;
}
