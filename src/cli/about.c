/*
 * about - what every command prints with, and the commands that explain the program itself.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
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

    if (json_dumpf(json, stdout, JSON_REAL_PRECISION(15) | (person ? JSON_INDENT(2) : JSON_COMPACT)) != 0)
        return EXITS_FAILED;
    fputc('\n', stdout);
    return EXITS_DONE;
}

/* On stderr, broken at words where a terminal is; a text of several lines keeps them. */
static void say(const struct cli *cli, const char *head, const char *text)
{
    struct str page = STR_WITH_MAX(16384), line = STR_WITH_MAX(8192), clean = STR_WITH_MAX(8192);
    int indent = look_columns(head);

    str_add(&page, head);
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, "\n");

        str_clear(&line);
        str_clear(&clean);
        str_add_bytes(&line, at, len);
        look_clean(&clean, line.buf);
        if (at == text)
            look_wrap(&page, clean.buf, cli->err.width, indent);
        else
            str_addf(&page, "\n%*s%s", indent, "", clean.buf); /* a quoted line: its columns count */
        at += len + (at[len] != 0);
    }
    fprintf(stderr, "%s\n", page.buf);
    str_free(&page);
    str_free(&line);
    str_free(&clean);
}

void cli_say(const struct cli *cli, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(8192);
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    say(cli, "", text.buf);
    str_free(&text);
}

int cli_fail(const struct cli *cli, int code, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(8192), head = STR_WITH_MAX(64);
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    look_add(&head, &cli->err, RED, "baton:");
    str_add_char(&head, ' ');
    say(cli, head.buf, text.buf);
    str_free(&text);
    str_free(&head);
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

#ifndef WITH_DEMO
int cmd_demo(struct cli *cli)
{
    return cli_fail(cli, EXITS_FAILED,
                    "this baton was built without SQLite (libsqlite3-dev), which the demo's consumers write into");
}
#endif

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

    if (cli->args.times[OPT_MARKDOWN])
        markdown_write(&page);
    else
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
