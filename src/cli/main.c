/*
 * main - `baton`: reads the command line, runs the command, ends with its exit code.
 *
 * --help on anything and 'help' print to stdout and are "done"; a wrong command line is answered on stderr with the
 * nearest thing that exists. What could not be written to stdout is a failure, whatever the command did.
 */
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/api.h"
#include "cli/ledger.h"
#include "kafka/client.h"

#define PAGE_MAX (64u * 1024 * 1024)

/* `baton`, `baton --help`, `baton fleet`: no command to run. */
static int without_command(struct cli *cli)
{
    bool asked = cli->args.times[OPT_HELP] > 0, group = cli->args.group[0] != 0;
    struct str page = STR_WITH_MAX(PAGE_MAX);

    if (group)
        help_group(&page, asked ? &cli->out : &cli->err, cli->args.group);
    else
        help_overview(&page, asked ? &cli->out : &cli->err);
    fputs(page.buf, asked ? stdout : stderr);
    str_free(&page);
    return asked ? EXITS_DONE : EXITS_USAGE;
}

static int usage_error(struct cli *cli, const struct errmsg *m)
{
    const struct command *c = cli->args.command;

    cli_fail(cli, EXITS_USAGE, "%s", m->text);
    if (c)
        fprintf(stderr, "Usage: baton %s%s%s%s; 'baton %s --help' explains it.\n", c->name, *c->arguments ? " " : "",
                c->arguments, c->rest ? "" : " [OPTIONS]", c->name);
    else
        fprintf(stderr, "'baton help' lists the commands.\n");
    return EXITS_USAGE;
}

static int run(struct cli *cli)
{
    const struct command *c = cli->args.command;
    struct errmsg m = { 0 };

    if (!c)
        return without_command(cli);
    if (cli->args.times[OPT_HELP]) {
        struct str page = STR_WITH_MAX(PAGE_MAX);
        int code;

        help_command(&page, &cli->out, c);
        code = cli_print(&page);
        str_free(&page);
        return code;
    }
    if (kafka_version_check(&m) < 0)
        return cli_fail(cli, EXITS_FAILED, "%s", m.text);
    return c->run(cli);
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    struct errmsg m = { 0 };
    bool no_color;
    int code, r;

#ifdef WITH_DEMO
    /* The demo's consumers: an example that reads a command line of its own; nobody's command, so in no table. */
    if (argc > 1 && word_is(argv[1], "demo-consumer"))
        return orders_main(argc - 1, argv + 1);
#endif
    setlocale(LC_CTYPE, "");
    r = args_parse(&cli.args, argc, argv, getenv, &m);
    no_color = cli.args.times[OPT_NO_COLOR] > 0;
    look_of(&cli.out, STDOUT_FILENO, no_color);
    look_of(&cli.err, STDERR_FILENO, no_color);
    if (r < 0)
        return usage_error(&cli, &m);
    cli.json = word_is(cli.args.value[OPT_OUTPUT], "json");
    cli.wide = word_is(cli.args.value[OPT_OUTPUT], "wide");
    cli.quiet = cli.args.times[OPT_QUIET] > 0;
    log_set_level(cli.args.times[OPT_VERBOSE] > 1 ? LOG_DEBUG : cli.args.times[OPT_VERBOSE] ? LOG_INFO : LOG_ERROR);
    code = run(&cli);
    api_close(cli.api);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXITS_DONE)
        code = cli_fail(&cli, EXITS_FAILED, "cannot write to standard output");
    return code;
}
