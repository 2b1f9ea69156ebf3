/*
 * man - baton.1, made from the tables of commands, options, exit codes and the fleet file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "wire/spec.h"

/* Text as roff: '-' is a minus, a '.' or '\'' at the start of a line is no request; lines are broken at blanks. */
static void roff_text(struct str *ret, const char *text, int columns)
{
    int column = 0;

    for (; *text; text++) {
        if (*text == ' ' && column + (int)strcspn(text + 1, " \n") > columns) {
            str_add_char(ret, '\n');
            column = 0;
            continue;
        }
        if (column == 0 && (*text == '.' || *text == '\''))
            str_add(ret, "\\&");
        column = *text == '\n' ? 0 : column + 1;
        if (*text == '\\')
            str_add(ret, "\\e");
        else if (*text == '-')
            str_add(ret, "\\-");
        else
            str_add_char(ret, *text);
    }
}

static void roff(struct str *ret, const char *text)
{
    roff_text(ret, text, 70);
}

static void term(struct str *ret, const char *left)
{
    str_add(ret, ".TP\n\\fB");
    roff(ret, left);
    str_add(ret, "\\fR\n");
}

static void option_entry(struct str *ret, const struct option *o)
{
    str_add(ret, ".TP\n\\fB");
    if (o->letter)
        str_addf(ret, "\\-%c\\fR, \\fB", o->letter);
    str_add(ret, "\\-\\-");
    roff(ret, o->name);
    str_add(ret, "\\fR");
    if (o->value) {
        str_add(ret, " \\fI");
        roff(ret, o->value);
        str_add(ret, "\\fR");
    }
    str_add_char(ret, '\n');
    roff(ret, o->help);
    if (o->choices)
        str_addf(ret, " One of %s.", o->choices);
    if (o->many)
        str_add(ret, " May be given more than once.");
    str_add_char(ret, '\n');
}

static void command_entry(struct str *ret, const struct command *c)
{
    str_add(ret, ".SS ");
    str_addf(ret, "baton %s", c->name);
    if (*c->arguments) {
        str_add(ret, " \\fI");
        roff(ret, c->arguments);
        str_add(ret, "\\fR");
    }
    str_add_char(ret, '\n');
    roff(ret, c->help);
    str_add_char(ret, '\n');
    if (c->details) {
        str_add(ret, ".PP\n");
        roff(ret, c->details);
        str_add_char(ret, '\n');
    }
    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (!options[i].everywhere && command_takes(c, i))
            option_entry(ret, &options[i]);
    for (size_t i = 0; i < ARRAY_COUNT(c->examples) && c->examples[i][0]; i++) {
        str_add(ret, i ? ".PP\n" : ".PP\nExamples:\n.PP\n");
        str_add(ret, ".nf\n.RS 4\n# ");
        roff(ret, c->examples[i][1]);
        str_add_char(ret, '\n');
        roff_text(ret, c->examples[i][0], 1000); /* a command stays on one line */
        str_add(ret, "\n.RE\n.fi\n");
    }
}

void man_write(struct str *ret)
{
    str_addf(ret, ".\\\" made by 'baton man'\n.TH BATON 1 \"\" \"Baton %s\" \"User Commands\"\n", BATON_VERSION);
    str_add(ret, ".SH NAME\nbaton \\- hand the partitions of running Kafka consumers from one version to the next\n"
                 ".SH SYNOPSIS\n.B baton\n.I COMMAND\n.RI [ ARGUMENTS ]\n.RI [ OPTIONS ]\n"
                 ".SH DESCRIPTION\n");
    roff(ret, "A fleet is one application that consumes Kafka topics. It runs in two colors, blue and green: the "
              "version that works "
              "and the version that comes next. For every partition exactly one color holds the baton, the right to "
              "process it. "
              "Baton passes the batons from one color to the other, partition by partition, at the very offset where "
              "the first one "
              "stopped, and writes a receipt.\n");
    str_add(ret, ".PP\n");
    roff(ret, "All state is in Kafka. A command asks a controller (--server) or works straight on Kafka (--bootstrap); "
              "then it leads by "
              "itself for as long as it runs, unless a controller does.\n");
    str_add(ret, ".SH COMMANDS\n");
    for (int i = 0; i < command_count; i++)
        command_entry(ret, &commands[i]);
    str_add(ret, ".SH OPTIONS OF EVERY COMMAND\n");
    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (options[i].everywhere)
            option_entry(ret, &options[i]);
    str_add(ret, ".SH FLEET FILE\n");
    roff(ret, "YAML; a dot in a name below is nesting. Unknown names, wrong units and duplicates are refused with line "
              "and column.\n");
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];

        term(ret, o->key);
        roff(ret, o->help);
        if (o->choices) {
            str_add(ret, " One of ");
            roff(ret, o->choices);
            str_add_char(ret, '.');
        }
        if (o->standard && *o->standard) {
            str_add(ret, " Default: ");
            roff(ret, o->standard);
            str_add_char(ret, '.');
        } else if (!o->standard)
            str_add(ret, " Must be given.");
        str_add_char(ret, '\n');
    }
    str_add(ret, ".SH EXIT STATUS\n");
#define EXIT_ENTRY(name, number, text) \
    term(ret, #number);                \
    roff(ret, text);                   \
    str_add_char(ret, '\n');
    EXIT_MAP(EXIT_ENTRY)
#undef EXIT_ENTRY
    str_add(ret, ".SH ENVIRONMENT\n");
    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (options[i].env) {
            term(ret, options[i].env);
            str_add(ret, "Stands for \\fB\\-\\-");
            roff(ret, options[i].name);
            str_add(ret, "\\fR where that is not given.\n");
        }
    term(ret, "NO_COLOR");
    str_add(ret, "No colors, whatever it is set to, unless that is nothing.\n");
}
