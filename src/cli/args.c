/*
 * args - reads a command line by the tables.
 *
 * Options may stand anywhere, before the command too; `--` ends them. `--name value`, `--name=value`, `-o json`,
 * `-ojson` and joined flags (`-qv`) are understood, abbreviations are not: a script that relies on one breaks with
 * the next option. A word that is not known is answered with the nearest one that is.
 */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/look.h"

bool choice_at(char *ret, size_t ret_size, const char *choices, int n)
{
    const char *at = choices;

    for (; at && n > 0; n--) {
        at = strchr(at, '|');
        if (at)
            at++;
    }
    if (!at || !*at)
        return false;
    snprintf(ret, ret_size, "%.*s", (int)strcspn(at, "|"), at);
    return true;
}

bool choice_has(const char *choices, const char *word)
{
    char choice[32];

    for (int i = 0; choice_at(choice, sizeof(choice), choices, i); i++)
        if (word_is(choice, word))
            return true;
    return false;
}

bool command_takes(const struct command *c, enum option_id id)
{
    if (id == OPT_OUTPUT && c->output && !*c->output)
        return false;
    return options[id].everywhere || (c->options & OPTION_BIT(id));
}

const struct command *command_find(const char *name)
{
    for (int i = 0; i < command_count; i++)
        if (word_is(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const struct option *option_find(const struct command *c, const char *name)
{
    const struct option *first = NULL;

    for (enum option_id i = 0; i < OPT_COUNT; i++) {
        if (!word_is(options[i].name, name))
            continue;
        if (c && command_takes(c, i))
            return &options[i];
        first = first ? first : &options[i];
    }
    return first;
}

static bool is_group(const char *word)
{
    size_t len = strlen(word);

    for (int i = 0; i < command_count; i++)
        if (!strncmp(commands[i].name, word, len) && commands[i].name[len] == ' ')
            return true;
    return false;
}

/* A command that is not there: the nearest one, among the first words or within a group. */
static int command_unknown(const char *group, const char *word, struct errmsg *m)
{
    const char *near[64];
    char firsts[64][32];
    size_t count = 0, len = strlen(group);

    for (int i = 0; i < command_count && count < ARRAY_COUNT(near); i++) {
        const char *name = commands[i].name;

        ASSERT(name);
        if (len && (strncmp(name, group, len) != 0 || name[len] != ' '))
            continue;
        name += len ? len + 1 : 0;
        snprintf(firsts[count], sizeof(firsts[count]), "%.*s", (int)strcspn(name, " "), name);
        near[count] = firsts[count];
        count++;
    }
    const char *meant = suggest(word, near, count);

    if (meant)
        return err_set(m, ERR_INVALID, "there is no command '%s%s%s', did you mean '%s%s%s'?", group, len ? " " : "",
                       word, group, len ? " " : "", meant);
    return err_set(m, ERR_INVALID, "there is no command '%s%s%s'", group, len ? " " : "", word);
}

static int option_unknown(const struct command *c, const char *word, struct errmsg *m)
{
    const char *near[OPT_COUNT];
    size_t count = 0;

    for (enum option_id i = 0; i < OPT_COUNT; i++)
        if (!c || command_takes(c, i))
            near[count++] = options[i].name;
    const char *meant = suggest(word, near, count);

    for (int i = 0; c && i < OPT_COUNT; i++)
        if (word_is(options[i].name, word)) /* known, but not here */
            return err_set(m, ERR_INVALID, "'%s' takes no option --%s", c->name, word);
    if (meant)
        return err_set(m, ERR_INVALID, "there is no option --%s, did you mean --%s?", word, meant);
    return err_set(m, ERR_INVALID, "there is no option --%s", word);
}

static int option_take(struct args *a, const struct option *o, const char *value, struct errmsg *m)
{
    a->times[o->id]++;
    if (o->many) {
        if (a->many_count == MANY_MAX)
            return err_set(m, ERR_TOO_LARGE, "more than %d of --%s and the like", MANY_MAX, o->name);
        a->many_id[a->many_count] = o->id;
        a->many[a->many_count++] = value;
    } else if (o->value && a->times[o->id] > 1 && !word_is(a->value[o->id], value)) {
        return err_set(m, ERR_INVALID, "--%s is given twice: '%s' and '%s'", o->name, a->value[o->id], value);
    }
    a->value[o->id] = value;
    return ERR_OK;
}

static int option_long(struct args *a, const char *word, char **argv, int argc, int *at, struct errmsg *m)
{
    size_t len = strcspn(word, "=");
    char name[64];
    const char *value = word[len] ? word + len + 1 : NULL;

    if (len >= sizeof(name))
        return err_set(m, ERR_INVALID, "there is no option --%.40s...", word);
    memcpy(name, word, len);
    name[len] = 0;
    const struct option *o = option_find(a->command, name);

    if (!o)
        return option_unknown(a->command, name, m);
    if (!o->value && value)
        return err_set(m, ERR_INVALID, "--%s takes no value, it was given '%s'", name, value);
    if (o->value && !value && *at + 1 >= argc)
        return err_set(m, ERR_INVALID, "--%s needs a value: --%s %s", name, name, o->value);
    if (o->value && !value)
        value = argv[++*at];
    return option_take(a, o, value ? value : "", m);
}

static int option_short(struct args *a, const char *word, char **argv, int argc, int *at, struct errmsg *m)
{
    for (; *word; word++) {
        const struct option *o = NULL;
        const char *value = "";
        int r;

        for (enum option_id i = 0; i < OPT_COUNT; i++)
            if (options[i].letter == *word)
                o = &options[i];
        if (!o)
            return err_set(m, ERR_INVALID, "there is no option -%c", *word);
        if (o->value) {
            if (word[1])
                value = word + 1 + (word[1] == '=');
            else if (*at + 1 < argc)
                value = argv[++*at];
            else
                return err_set(m, ERR_INVALID, "-%c needs a value: -%c %s", *word, *word, o->value);
        }
        r = option_take(a, o, value, m);
        if (r < 0 || o->value)
            return r;
    }
    return ERR_OK;
}

/* A word that is no option: a command, the second half of one, or an argument. */
static int word_take(struct args *a, const char *word, struct errmsg *m)
{
    char name[80];

    if (!a->command) {
        snprintf(name, sizeof(name), "%s%s%.40s", a->group, *a->group ? " " : "", word);
        a->command = command_find(name);
        if (a->command || !*word)
            return a->command ? ERR_OK : err_set(m, ERR_INVALID, "the command is an empty word");
        if (!*a->group && is_group(word)) {
            snprintf(a->group, sizeof(a->group), "%s", word);
            return ERR_OK;
        }
        return command_unknown(a->group, word, m);
    }
    if (a->word_count == a->command->arg_max || a->word_count == ARGS_MAX)
        return err_set(m, ERR_INVALID, "'%s' takes %s: what is '%s'?%s", a->command->name,
                       *a->command->arguments ? a->command->arguments : "no argument", word,
                       a->command->rest ? " The command to run stands behind --" : "");
    a->words[a->word_count++] = word;
    return ERR_OK;
}

static int choices_check(const struct args *a, const struct option *o, const char *value, struct errmsg *m)
{
    const char *choices = o->choices;
    const char *near[8];
    char words[8][32];
    size_t count = 0;

    if (o->id == OPT_OUTPUT && a->command->output)
        choices = a->command->output;
    if (!choices || choice_has(choices, value))
        return ERR_OK;
    while (count < ARRAY_COUNT(near) && choice_at(words[count], sizeof(words[count]), choices, (int)count)) {
        near[count] = words[count];
        count++;
    }
    const char *meant = suggest(value, near, count);

    return err_set(m, ERR_INVALID, "--%s is one of %s, not '%s'%s%s%s", o->name, choices, value,
                   meant ? ", did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

/* What can be said only once the command is known; options may stand before it. */
static int args_check(struct args *a, char *(*getenv_fn)(const char *name), struct errmsg *m)
{
    const struct command *c = a->command;
    int r;

    for (enum option_id i = 0; i < OPT_COUNT; i++) {
        const struct option *o = &options[i], *meant = option_find(c, o->name);

        if (a->times[i] && meant != o && !a->times[meant->id]) { /* it stood before the command was known */
            a->times[meant->id] = a->times[i];
            a->value[meant->id] = a->value[i];
            a->times[i] = 0;
            a->value[i] = NULL;
        }
        if (a->times[i] && !command_takes(c, i))
            return err_set(m, ERR_INVALID, "'%s' takes no option --%s", c->name, o->name);
        if (!a->times[i] && o->env && command_takes(c, i)) {
            const char *value = getenv_fn(o->env);

            a->value[i] = value && *value ? value : NULL;
        }
        if (a->value[i] && o->value && (r = choices_check(a, o, a->value[i], m)) < 0)
            return r;
    }
    if (a->times[OPT_HELP])
        return ERR_OK;
    if (a->word_count < c->arg_min)
        return err_set(m, ERR_INVALID, "'%s' needs %s", c->name, c->arguments);
    if (c->choices && a->word_count && !choice_has(c->choices, a->words[0]))
        return err_set(m, ERR_INVALID, "'%s' takes one of %s, not '%s'", c->name, c->choices, a->words[0]);
    return ERR_OK;
}

int args_parse(struct args *ret, int argc, char **argv, char *(*getenv_fn)(const char *name), struct errmsg *m)
{
    bool ended = false;
    int r = ERR_OK;

    memset(ret, 0, sizeof(*ret));
    for (int i = 1; i < argc && r == ERR_OK; i++) {
        const char *word = argv[i];

        if (!ended && word_is(word, "--") && ret->command && ret->command->rest) {
            ret->rest = argv + i + 1;
            break;
        }
        if (!ended && word_is(word, "--"))
            ended = true;
        else if (!ended && word[0] == '-' && word[1] == '-')
            r = option_long(ret, word + 2, argv, argc, &i, m);
        else if (!ended && word[0] == '-' && word[1])
            r = option_short(ret, word + 1, argv, argc, &i, m);
        else
            r = word_take(ret, word, m);
    }
    if (r == ERR_OK && ret->command)
        r = args_check(ret, getenv_fn, m);
    return r;
}
