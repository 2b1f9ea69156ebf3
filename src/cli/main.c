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
#include "kafka/client.h"

#define PAGE_MAX (64u * 1024 * 1024)

int cli_print(const struct str *page)
{
    if (str_error(page) || fwrite(page->buf, 1, page->len, stdout) != page->len)
        return EXITS_FAILED;
    return EXITS_DONE;
}

int cli_print_json(const json_t *json)
{
    bool person = isatty(STDOUT_FILENO);

    if (json_dumpf(json, stdout, person ? JSON_INDENT(2) : JSON_COMPACT) != 0)
        return EXITS_FAILED;
    fputc('\n', stdout);
    return EXITS_DONE;
}

void cli_say(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int cli_fail(const struct cli *cli, int code, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(8192), clean = STR_WITH_MAX(8192);
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    look_clean(&clean, text.buf);
    fprintf(stderr, "%sbaton:%s %s\n", look_code(&cli->err, RED), look_code(&cli->err, PLAIN), clean.buf);
    str_free(&text);
    str_free(&clean);
    return code;
}

int cmd_version(struct cli *cli)
{
    json_t *json;
    int code;

    if (!cli->json) {
        printf("baton %s (librdkafka %s)\n", BATON_VERSION, rd_kafka_version_str());
        return EXITS_DONE;
    }
    json = json_pack("{s:s, s:s}", "version", BATON_VERSION, "librdkafka", rd_kafka_version_str());
    code = json ? cli_print_json(json) : EXITS_FAILED;
    json_decref(json);
    return code;
}

static int print_page(struct str *page)
{
    int code = cli_print(page);

    str_free(page);
    return code;
}

int cmd_completion(struct cli *cli)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    completion_write(&page, cli->args.words[0]); /* the table checked the name */
    return print_page(&page);
}

int cmd_man(struct cli *cli)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    (void)cli;
    man_write(&page);
    return print_page(&page);
}

int cmd_help(struct cli *cli)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    char name[] = "baton";
    char *argv[4] = { name };
    struct args args;
    struct errmsg m = { 0 };
    int argc = 1;

    if (cli->args.word_count == 0) {
        help_overview(&page, &cli->out);
        return print_page(&page);
    }
    for (int i = 0; i < cli->args.word_count; i++)
        argv[argc++] = (char *)cli->args.words[i];
    if (cli->args.words[0][0] == '-' || (args_parse(&args, argc, argv, getenv, &m) < 0 && !args.command))
        return cli_fail(cli, EXITS_USAGE, "%s", m.text[0] ? m.text : "'help' takes the name of a command");
    if (args.command)
        help_command(&page, &cli->out, args.command);
    else
        help_group(&page, &cli->out, args.group);
    return print_page(&page);
}

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
        fprintf(stderr, "Usage: baton %s%s%s [OPTIONS]; 'baton %s --help' explains it.\n", c->name,
                *c->arguments ? " " : "", c->arguments, c->name);
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

        help_command(&page, &cli->out, c);
        return print_page(&page);
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
