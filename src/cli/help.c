/*
 * help - the pages of --help, made from the tables of options, commands, exit codes and the fleet file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "wire/spec.h"

#define HELP_COLUMNS_MAX 100

static int page_width(const struct look *look)
{
    return look->width && look->width < HELP_COLUMNS_MAX ? look->width : HELP_COLUMNS_MAX;
}

/* "  left        right, wrapped under itself" */
static void pair(struct str *ret, const struct look *look, const char *left, const char *right, int column)
{
    int columns = look_columns(left) + 2;

    str_add(ret, "  ");
    look_add(ret, look, BOLD, left);
    if (columns + 2 > column)
        str_addf(ret, "\n%*s", column, "");
    else
        str_addf(ret, "%*s", column - columns, "");
    look_wrap(ret, right, page_width(look), column);
    str_add_char(ret, '\n');
}

static void paragraph(struct str *ret, const struct look *look, const char *text)
{
    look_wrap(ret, text, page_width(look), 0);
    str_add(ret, "\n\n");
}

static void heading(struct str *ret, const struct look *look, const char *text)
{
    look_add(ret, look, BOLD, text);
    str_add_char(ret, '\n');
}

/* "-o, --output FORMAT" */
static void option_left(struct str *ret, const struct option *o)
{
    if (o->letter)
        str_addf(ret, "-%c, ", o->letter);
    str_addf(ret, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
}

static void option_line(struct str *ret, const struct look *look, const struct command *c, const struct option *o)
{
    struct str left = STR_WITH_MAX(200), right = STR_WITH_MAX(1000);
    const char *choices = o->id == OPT_OUTPUT && c && c->output ? c->output : o->choices;

    option_left(&left, o);
    str_add(&right, o->help);
    if (choices)
        str_addf(&right, " One of %s.", choices);
    if (o->env)
        str_addf(&right, " [%s]", o->env);
    pair(ret, look, left.buf, right.buf, 28);
    str_free(&left);
    str_free(&right);
}

static void option_list(struct str *ret, const struct look *look, const struct command *c, bool everywhere)
{
    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (options[i].everywhere == everywhere && (!c || command_takes(c, i)))
            option_line(ret, look, c, &options[i]);
}

static void exit_codes(struct str *ret, const struct look *look)
{
    char code[8];

    heading(ret, look, "Exit codes");
#define EXIT_LINE(name, number, text)             \
    snprintf(code, sizeof(code), "%d", (number)); \
    pair(ret, look, code, text, 8);
    EXIT_MAP(EXIT_LINE)
#undef EXIT_LINE
}

static void command_line(struct str *ret, const struct look *look, const struct command *c)
{
    struct str left = STR_WITH_MAX(200);

    str_addf(&left, "%s%s%s", c->name, *c->arguments ? " " : "", c->arguments);
    pair(ret, look, left.buf, c->help, 28);
    str_free(&left);
}

void help_overview(struct str *ret, const struct look *look)
{
    paragraph(ret, look,
              "Baton hands the partitions of running Kafka consumers from one version of an application (blue) to the "
              "next (green): no record lost, none processed twice unless the receipt names it.");
    look_add(ret, look, BOLD, "Usage");
    str_add(ret, "  baton COMMAND [ARGUMENTS] [OPTIONS]\n\n");
    heading(ret, look, "Commands");
    for (int i = 0; i < command_count; i++)
        command_line(ret, look, &commands[i]);
    str_add_char(ret, '\n');
    heading(ret, look, "Options of every command");
    option_list(ret, look, NULL, true);
    str_add_char(ret, '\n');
    exit_codes(ret, look);
    str_add(ret, "\n'baton help COMMAND' explains one, with examples; 'baton demo' shows all of it.\n");
}

void help_group(struct str *ret, const struct look *look, const char *group)
{
    size_t len = strlen(group);

    look_add(ret, look, BOLD, "Usage");
    str_addf(ret, "  baton %s COMMAND\n\n", group);
    heading(ret, look, "Commands");
    for (int i = 0; i < command_count; i++)
        if (!strncmp(commands[i].name, group, len) && commands[i].name[len] == ' ')
            command_line(ret, look, &commands[i]);
}

static void fleet_file(struct str *ret, const struct look *look)
{
    heading(ret, look, "The fleet file (YAML; dots are nesting)");
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];
        struct str right = STR_WITH_MAX(2000);

        str_add(&right, o->help);
        if (o->choices)
            str_addf(&right, " One of %s.", o->choices);
        if (o->standard && *o->standard)
            str_addf(&right, " Default: %s.", o->standard);
        else if (!o->standard)
            str_add(&right, " Must be given.");
        if (o->example)
            str_addf(&right, " Example: %s", o->example);
        pair(ret, look, o->key, right.buf, 28);
        str_free(&right);
    }
    str_add_char(ret, '\n');
}

void help_command(struct str *ret, const struct look *look, const struct command *c)
{
    look_add(ret, look, BOLD, "Usage");
    str_addf(ret, "  baton %s%s%s%s\n\n", c->name, *c->arguments ? " " : "", c->arguments, c->rest ? "" : " [OPTIONS]");
    paragraph(ret, look, c->help);
    if (c->details)
        paragraph(ret, look, c->details);
    if (c->examples[0][0]) {
        heading(ret, look, "Examples");
        for (size_t i = 0; i < ARRAY_COUNT(c->examples) && c->examples[i][0]; i++) {
            str_addf(ret, "  %s\n      ", c->examples[i][0]);
            look_add(ret, look, DIM, c->examples[i][1]);
            str_add_char(ret, '\n');
        }
        str_add_char(ret, '\n');
    }
    if (c->options) {
        heading(ret, look, "Options");
        option_list(ret, look, c, false);
        str_add_char(ret, '\n');
    }
    heading(ret, look, "Options of every command");
    option_list(ret, look, c, true);
    str_add_char(ret, '\n');
    if (c->run == cmd_fleet_apply)
        fleet_file(ret, look);
    exit_codes(ret, look);
}
