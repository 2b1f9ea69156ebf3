/*
 * markdown - docs/cli.md, made from the tables of commands, options and exit codes, so that it cannot lag behind.
 */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"

/* Text of a page or a table's cell: what Markdown or a cell would take for its own is escaped. */
static void text_add(struct str *ret, const char *text)
{
    for (; *text; text++) {
        if (strchr("|*_<>[]`", *text))
            str_add_char(ret, '\\');
        str_add_char(ret, *text);
    }
}

/* "| `-o`, `--output FORMAT` | ... |" */
static void option_row(struct str *ret, const struct command *c, const struct option *o)
{
    const char *choices = o->id == OPT_OUTPUT && c && c->output ? c->output : o->choices;
    char word[64];

    str_add(ret, "| ");
    if (o->letter)
        str_addf(ret, "`-%c`, ", o->letter);
    str_addf(ret, "`--%s%s%s` | ", o->name, o->value ? " " : "", o->value ? o->value : "");
    text_add(ret, o->help);
    for (int i = 0; choices && choice_at(word, sizeof(word), choices, i); i++)
        str_addf(ret, "%s`%s`", i ? ", " : " One of ", word);
    str_add(ret, choices ? "." : "");
    if (o->many && !strstr(o->help, "more than once"))
        str_add(ret, " May be given more than once.");
    if (o->env)
        str_addf(ret, " In the environment: `%s`.", o->env);
    str_add(ret, " |\n");
}

static void option_table(struct str *ret, const struct command *c)
{
    str_add(ret, "\n| option | |\n|---|---|\n");
    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (options[i].everywhere == !c && (!c || command_takes(c, i)))
            option_row(ret, c, &options[i]);
}

static void command_section(struct str *ret, const struct command *c)
{
    char word[64];

    str_addf(ret, "\n## baton %s\n\n```\nbaton %s%s%s%s\n```\n\n", c->name, c->name, *c->arguments ? " " : "",
             c->arguments, c->rest ? "" : " [OPTIONS]");
    text_add(ret, c->help);
    if (c->details) {
        str_add_char(ret, ' ');
        text_add(ret, c->details);
    }
    for (int i = 0; c->choices && choice_at(word, sizeof(word), c->choices, i); i++)
        str_addf(ret, "%s`%s`", i ? ", " : " One of ", word);
    str_add(ret, c->choices ? ".\n" : "\n");
    if (c->output && *c->output)
        for (int i = 0; choice_at(word, sizeof(word), c->output, i); i++)
            str_addf(ret, "%s`-o %s`", i ? ", " : "\nPrints as ", word);
    str_add(ret, c->output && *c->output ? ".\n" : "");
    if (c->options)
        option_table(ret, c);
    if (c->examples[0][0])
        str_add(ret, "\n```sh\n");
    for (size_t i = 0; i < ARRAY_COUNT(c->examples) && c->examples[i][0]; i++)
        str_addf(ret, "%s  # %s\n", c->examples[i][0], c->examples[i][1]);
    if (c->examples[0][0])
        str_add(ret, "```\n");
}

void markdown_write(struct str *ret)
{
    str_add(ret, "# The command line\n\n"
                 "<!-- made by `baton man --markdown > docs/cli.md`; a test compares both -->\n\n"
                 "A command asks a controller (`--server`) or works straight on Kafka (`--bootstrap`). Data goes to "
                 "standard output, all else to standard error. `baton COMMAND --help` says the same as this page.\n\n"
                 "| command | |\n|---|---|\n");
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        str_addf(ret, "| [`%s%s%s`](#baton-", c->name, *c->arguments ? " " : "", c->arguments);
        for (const char *at = c->name; *at; at++)
            str_add_char(ret, *at == ' ' ? '-' : *at);
        str_add(ret, ") | ");
        text_add(ret, c->help);
        str_add(ret, " |\n");
    }
    str_add(ret, "\n## Options of every command\n");
    option_table(ret, NULL);
    str_add(ret, "\n## Exit codes\n\n| code | |\n|---|---|\n");
#define EXIT_ROW(name, number, text)         \
    str_addf(ret, "| %d | ", (int)(number)); \
    text_add(ret, text);                     \
    str_add(ret, " |\n");
    EXIT_MAP(EXIT_ROW)
#undef EXIT_ROW
    for (int i = 0; i < command_count; i++)
        command_section(ret, &commands[i]);
}
