/*
 * completion - scripts for bash, zsh and fish, made from the tables.
 *
 * The scripts hold all words, so pressing Tab starts nothing, except for fleet names: those come from
 * `baton status -o json`, quietly and with nothing shown when no controller answers.
 */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"

static const char *option_choices(const struct command *c, const struct option *o)
{
    return o->id == OPT_OUTPUT && c->output ? c->output : o->choices;
}

static void words_add(struct str *ret, const char *choices)
{
    for (const char *at = choices; *at; at++)
        str_add_char(ret, *at == '|' ? ' ' : *at);
}

/* First words of all commands, each once. */
static void firsts_add(struct str *ret)
{
    char last[32] = "";

    for (int i = 0; i < command_count; i++) {
        char first[32];

        snprintf(first, sizeof(first), "%.*s", (int)strcspn(commands[i].name, " "), commands[i].name);
        if (word_is(first, last))
            continue;
        str_addf(ret, "%s%s", ret->len && ret->buf[ret->len - 1] != '\'' ? " " : "", first);
        text_copy(last, sizeof(last), first);
    }
}

static void seconds_add(struct str *ret, const char *group)
{
    size_t len = strlen(group);
    bool some = false;

    for (int i = 0; i < command_count; i++)
        if (!strncmp(commands[i].name, group, len) && commands[i].name[len] == ' ') {
            str_addf(ret, "%s%s", some ? " " : "", commands[i].name + len + 1);
            some = true;
        }
}

/* The group a command is in ("fleet"), told once for the first of it. */
static bool group_first(int index, char *ret, size_t ret_size)
{
    size_t len = strcspn(commands[index].name, " ");

    if (!commands[index].name[len])
        return false;
    snprintf(ret, ret_size, "%.*s", (int)len, commands[index].name);
    return index == 0 || strncmp(commands[index - 1].name, commands[index].name, len + 1) != 0;
}

static void bash_write(struct str *ret)
{
    char group[32];

    str_add(ret,
            "# bash completion for baton; made by 'baton completion bash'\n"
            "_baton_fleets()\n{\n"
            "    local i server=()\n"
            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
            "        case ${COMP_WORDS[i]} in\n"
            "            --server|--token-file|--ca-file) server+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i+1]}\") ;;\n"
            "        esac\n"
            "    done\n"
            "    timeout 2 baton fleet list -q -o json \"${server[@]}\" 2>/dev/null |\n"
            "        grep -o '\"name\": *\"[^\"]*\"' | cut -d'\"' -f4\n"
            "}\n\n"
            "_baton()\n{\n"
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
            "    local i command='' words='' options='' args=0 takes=' ");
    for (enum option_id i = 0; i < OPT_COUNT; i++) {
        if (options[i].value)
            str_addf(ret, "--%s ", options[i].name);
        if (options[i].value && options[i].letter)
            str_addf(ret, "-%c ", options[i].letter);
    }
    str_add(ret, "'\n"
                 "    COMPREPLY=()\n"
                 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "        case ${COMP_WORDS[i]} in\n"
                 "            -*) [[ $takes == *\" ${COMP_WORDS[i]} \"* ]] && ((i++)) ;;\n"
                 "            =) ((i++)) ;;\n"
                 "            *)\n"
                 "                case $command in\n"
                 "                    ''");
    for (int i = 0; i < command_count; i++)
        if (group_first(i, group, sizeof(group)))
            str_addf(ret, "|%s", group);
    str_add(ret, ") command=\"${command:+$command }${COMP_WORDS[i]}\" ;;\n"
                 "                    *) ((args++)) ;;\n"
                 "                esac ;;\n"
                 "        esac\n"
                 "    done\n"
                 "    case $command in\n"
                 "        '') words='");
    firsts_add(ret);
    str_add(ret, "' ;;\n");
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        if (group_first(i, group, sizeof(group))) {
            str_addf(ret, "        '%s') words='", group);
            seconds_add(ret, group);
            str_add(ret, "' ;;\n");
        }
        str_addf(ret, "        '%s')\n            options='", c->name);
        for (enum option_id o = 0; o < OPT_COUNT; o++)
            if (command_takes(c, o))
                str_addf(ret, "--%s ", options[o].name);
        str_add(ret, "'\n            case $prev in\n");
        for (enum option_id o = 0; o < OPT_COUNT; o++) {
            if (!command_takes(c, o) || options[o].complete != COMPLETE_CHOICES)
                continue;
            str_addf(ret, "                --%s", options[o].name);
            if (options[o].letter)
                str_addf(ret, "|-%c", options[o].letter);
            str_add(ret, ") COMPREPLY=($(compgen -W '");
            words_add(ret, option_choices(c, &options[o]));
            str_add(ret, "' -- \"$cur\")); return ;;\n");
        }
        str_add(ret, "            esac\n");
        if (c->complete[0] == COMPLETE_FLEET)
            str_add(ret, "            ((args == 0)) && [[ $cur != -* ]] && words=$(_baton_fleets)\n");
        else if (c->complete[0] == COMPLETE_CHOICES) {
            str_add(ret, "            ((args == 0)) && words='");
            words_add(ret, c->choices);
            str_add(ret, "'\n");
        } else if (c->complete[0] == COMPLETE_COMMAND) {
            str_add(ret, "            words='");
            firsts_add(ret);
            str_add(ret, "'\n");
        } else if (c->complete[0] == COMPLETE_FILE)
            str_add(ret, "            [[ $cur != -* ]] && { COMPREPLY=($(compgen -f -- \"$cur\")); return; }\n");
        str_add(ret, "            ;;\n");
    }
    str_add(ret, "    esac\n    case $prev in\n        ");
    for (int o = 0, some = 0; o < OPT_COUNT; o++)
        if (options[o].complete == COMPLETE_FILE)
            str_addf(ret, "%s--%s", some++ ? "|" : "", options[o].name);
    str_add(ret, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                 "    esac\n"
                 "    [[ $takes == *\" $prev \"* ]] && return\n"
                 "    [[ $cur == -* || -z $words ]] && words=$options\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "}\ncomplete -o filenames -F _baton baton\n");
}

/* Within '...' of zsh's _arguments: quotes, brackets and colons are taken out. */
static void zsh_text(struct str *ret, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            str_add(ret, "'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            str_addf(ret, "\\%c", *text);
        else
            str_add_char(ret, *text);
    }
}

static void zsh_option(struct str *ret, const struct command *c, const struct option *o)
{
    const char *choices = option_choices(c, o);
    const char *action = o->complete == COMPLETE_FILE ? "_files" : " ";

    for (int pass = 0; pass < (o->letter ? 2 : 1); pass++) {
        str_add(ret, "            '");
        if (o->many)
            str_add_char(ret, '*');
        if (pass)
            str_addf(ret, "-%c", o->letter);
        else
            str_addf(ret, "--%s%s", o->name, o->value ? "=" : "");
        str_add_char(ret, '[');
        zsh_text(ret, o->help);
        str_add_char(ret, ']');
        if (o->value) {
            str_add_char(ret, ':');
            zsh_text(ret, o->value);
            str_add_char(ret, ':');
            if (choices) {
                str_add_char(ret, '(');
                words_add(ret, choices);
                str_add_char(ret, ')');
            } else
                str_add(ret, action);
        }
        str_add(ret, "' \\\n");
    }
}

static void zsh_write(struct str *ret)
{
    char group[32];

    str_add(ret,
            "#compdef baton\n# zsh completion for baton; made by 'baton completion zsh'\n\n"
            "_baton_fleets()\n{\n"
            "    local -a names\n"
            "    names=(${(f)\"$(timeout 2 baton fleet list -q -o json 2>/dev/null | grep -o '\"name\": *\"[^\"]*\"' | "
            "cut -d'\"' -f4)\"})\n"
            "    compadd -a names\n"
            "}\n\n"
            "_baton()\n{\n"
            "    local command=''\n"
            "    local -i i=2\n"
            "    for ((; i < CURRENT; i++)); do\n"
            "        [[ $words[i] == -* ]] && continue\n"
            "        case $command in\n"
            "            ''");
    for (int i = 0; i < command_count; i++)
        if (group_first(i, group, sizeof(group)))
            str_addf(ret, "|%s", group);
    str_add(ret, ") command=\"${command:+$command }$words[i]\" ;;\n"
                 "            *) break ;;\n"
                 "        esac\n"
                 "    done\n"
                 "    case $command in\n"
                 "        '')\n            local -a all\n            all=(\n");
    for (int i = 0; i < command_count; i++) {
        if (strchr(commands[i].name, ' ')) {
            if (group_first(i, group, sizeof(group)))
                str_addf(ret, "                '%s:create, list, show and delete fleets'\n", group);
            continue;
        }
        str_addf(ret, "                '%s:", commands[i].name);
        zsh_text(ret, commands[i].help);
        str_add(ret, "'\n");
    }
    str_add(ret, "            )\n            _describe command all ;;\n");
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        if (group_first(i, group, sizeof(group))) {
            str_addf(ret, "        '%s') compadd ", group);
            seconds_add(ret, group);
            str_add(ret, " ;;\n");
        }
        str_addf(ret, "        '%s')\n            ", c->name);
        for (const char *at = c->name; (at = strchr(at, ' ')); at++)
            str_add(ret, "shift words; ((CURRENT--)); "); /* _arguments counts from the command's last word */
        str_add(ret, "shift words; ((CURRENT--))\n            _arguments -S \\\n");
        for (enum option_id o = 0; o < OPT_COUNT; o++)
            if (command_takes(c, o))
                zsh_option(ret, c, &options[o]);
        if (c->complete[0] == COMPLETE_FLEET)
            str_add(ret, "            '1:fleet:_baton_fleets'");
        else if (c->complete[0] == COMPLETE_FILE)
            str_add(ret, "            '1:file:_files'");
        else if (c->complete[0] == COMPLETE_CHOICES || c->complete[0] == COMPLETE_COMMAND) {
            str_add(ret, "            '1:");
            str_add(ret, c->complete[0] == COMPLETE_COMMAND ? "command" : c->arguments);
            str_add(ret, ":(");
            if (c->complete[0] == COMPLETE_COMMAND)
                firsts_add(ret);
            else
                words_add(ret, c->choices);
            str_add(ret, ")'");
        } else
            str_add(ret, "            && return");
        str_add(ret, " ;;\n");
    }
    str_add(ret, "    esac\n}\n\n"
                 "if [[ $funcstack[1] == _baton ]]; then\n    _baton \"$@\"\nelse\n    compdef _baton baton\nfi\n");
}

static void fish_text(struct str *ret, const char *text)
{
    for (; *text; text++)
        if (*text == '\'' || *text == '\\')
            str_addf(ret, "\\%c", *text);
        else
            str_add_char(ret, *text);
}

static void fish_option(struct str *ret, const struct command *c, const struct option *o)
{
    str_addf(ret, "complete -c baton -n '__baton_is %s' -l %s", c->name, o->name);
    if (o->letter)
        str_addf(ret, " -s %c", o->letter);
    if (o->value)
        str_addf(ret, " -r%s", o->complete == COMPLETE_FILE ? "F" : "f");
    if (o->value && option_choices(c, o)) {
        str_add(ret, " -a '");
        words_add(ret, option_choices(c, o));
        str_add(ret, "'");
    }
    str_add(ret, " -d '");
    fish_text(ret, o->help);
    str_add(ret, "'\n");
}

static void fish_write(struct str *ret)
{
    char group[32];

    str_add(ret, "# fish completion for baton; made by 'baton completion fish'\n"
                 "function __baton_words\n"
                 "    set -l skip 0\n"
                 "    for word in (commandline -opc)[2..-1]\n"
                 "        if test $skip = 1\n            set skip 0\n            continue\n        end\n"
                 "        switch $word\n"
                 "            case ");
    for (enum option_id i = 0; i < OPT_COUNT; i++) {
        if (options[i].value)
            str_addf(ret, "--%s ", options[i].name);
        if (options[i].value && options[i].letter)
            str_addf(ret, "-%c ", options[i].letter);
    }
    str_add(
        ret,
        "\n                set skip 1\n"
        "            case '-*'\n"
        "            case '*'\n                echo $word\n"
        "        end\n    end\nend\n\n"
        "function __baton_is\n"
        "    set -l words (__baton_words)\n"
        "    for i in (seq (count $argv))\n"
        "        test \"$words[$i]\" = \"$argv[$i]\"; or return 1\n"
        "    end\n    return 0\nend\n\n"
        "function __baton_next\n"
        "    __baton_is $argv; and test (count (__baton_words)) = (count $argv)\nend\n\n"
        "function __baton_fleets\n"
        "    timeout 2 baton fleet list -q -o json 2>/dev/null | string match -rga '\"name\": *\"([^\"]*)\"'\nend\n\n"
        "complete -c baton -f\n");
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        const char *space = strchr(c->name, ' ');

        if (group_first(i, group, sizeof(group)))
            str_addf(ret,
                     "complete -c baton -n 'test (count (__baton_words)) = 0' -a %s -d 'create, list, show and delete "
                     "fleets'\n",
                     group);
        if (space)
            str_addf(ret, "complete -c baton -n '__baton_next %.*s' -a %s -d '", (int)(space - c->name), c->name,
                     space + 1);
        else
            str_addf(ret, "complete -c baton -n 'test (count (__baton_words)) = 0' -a %s -d '", c->name);
        fish_text(ret, c->help);
        str_add(ret, "'\n");
        if (c->complete[0] == COMPLETE_FLEET)
            str_addf(ret, "complete -c baton -n '__baton_next %s' -a '(__baton_fleets)'\n", c->name);
        else if (c->complete[0] == COMPLETE_FILE)
            str_addf(ret, "complete -c baton -n '__baton_next %s' -F\n", c->name);
        else if (c->complete[0] == COMPLETE_CHOICES || c->complete[0] == COMPLETE_COMMAND) {
            str_addf(ret, "complete -c baton -n '__baton_next %s' -a '", c->name);
            if (c->complete[0] == COMPLETE_COMMAND)
                firsts_add(ret);
            else
                words_add(ret, c->choices);
            str_add(ret, "'\n");
        }
        for (enum option_id o = 0; o < OPT_COUNT; o++)
            if (command_takes(c, o))
                fish_option(ret, c, &options[o]);
    }
}

int completion_write(struct str *ret, const char *shell)
{
    static const struct {
        const char *shell;
        void (*write)(struct str *ret);
    } shells[] = { { "bash", bash_write }, { "zsh", zsh_write }, { "fish", fish_write } };

    for (size_t i = 0; i < ARRAY_COUNT(shells); i++)
        if (word_is(shells[i].shell, shell)) {
            shells[i].write(ret);
            return str_error(ret);
        }
    return ERR_NOT_FOUND;
}
