/*
 * args - what was typed, by two tables: options and commands.
 *
 * The parser, --help, the completions of three shells and the manual page read the same tables, so none of
 * them can promise what another does not know. Parsing is pure: words in, values or a sentence out.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum option_id {
    OPT_SERVER,
    OPT_BOOTSTRAP,
    OPT_CONFIG,
    OPT_PROPERTY,
    OPT_PREFIX,
    OPT_TOKEN_FILE,
    OPT_CA_FILE,
    OPT_OUTPUT,
    OPT_NO_COLOR,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_HELP,
    /* of some commands */
    OPT_TO,
    OPT_STAGES,
    OPT_PARTITIONS,
    OPT_OBSERVE,
    OPT_DEADLINE,
    OPT_REASON,
    OPT_REPLAY,
    OPT_DRY_RUN,
    OPT_AUTO,
    OPT_NO_JUDGE,
    OPT_FORCE,
    OPT_POLICY,
    OPT_NO_WAIT,
    OPT_WATCH,
    OPT_VERIFY,
    OPT_LIMIT,
    OPT_YES,
    OPT_LISTEN,
    OPT_ADVERTISE,
    OPT_MEMBER_TOKEN_FILE,
    OPT_CONNECTIONS,
    OPT_REDIS,
    OPT_REDIS_PASSWORD_FILE,
    OPT_REDIS_CA,
    OPT_REDIS_CERT,
    OPT_CONFIGMAP,
    OPT_CONFIGMAP_TOKEN_FILE,
    OPT_CONFIGMAP_CA,
    OPT_CONFIGMAP_FILE,
    OPT_OPEN_READS,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_SESSION,
    OPT_TOPICS_KEEP,
    OPT_BURROW,
    OPT_METRICS_PARTITIONS,
    OPT_METRICS_KAFKA_EXPORTER,
    OPT_PROMETHEUS_AUTH_FILE,
    OPT_PROMETHEUS_CA,
    OPT_LOG_FORMAT,
    OPT_LOG_LEVEL,
    OPT_TOPIC,
    OPT_PORT,
    OPT_RATE,
    OPT_MARKDOWN,
    OPT_EXACT,
    OPT_LAG,
    OPT_LAG_INTERVAL,
    /* of `run` */
    OPT_COLOR,
    OPT_APP_VERSION,
    OPT_TO_URL,
    OPT_ORDER,
    OPT_CONCURRENCY,
    OPT_BATCH,
    OPT_VALUE,
    OPT_FIELDS,
    OPT_RECORD_TIMEOUT,
    OPT_ON_ERROR,
    OPT_RETRIES,
    OPT_DLQ,
    OPT_GRACE,
    /* of `agent` */
    OPT_APPLICATION,
    OPT_APPLICATION_TOKEN_FILE,
    OPT_ON_CHANGE,
    OPT_ON_CHANGE_TIMEOUT,
    OPT_SIGNAL,
    OPT_PID_FILE,
    OPT_SPRING_STREAM,
    OPT_BINDING,
    OPT_ACTUATOR,
    OPT_PODS_FILE,
    OPT_START,
    OPT_STOP,
    OPT_READY_ALARM,
    OPT_COUNT
};

/* What a shell offers for a value or an argument. */
enum complete { COMPLETE_NONE, COMPLETE_FILE, COMPLETE_FLEET, COMPLETE_CHOICES, COMPLETE_COMMAND };

struct option {
    enum option_id id;   /* its own place in the table */
    const char *name;    /* "server": --server */
    char letter;         /* 'o', 0: none */
    const char *value;   /* "URL", NULL: a flag */
    bool many;           /* may be given more than once, all count */
    bool everywhere;     /* belongs to every command */
    const char *env;     /* taken from there when it is not given */
    const char *choices; /* "table|json", NULL: any */
    enum complete complete;
    const char *help; /* one sentence */
};
extern const struct option options[OPT_COUNT];

#define ARGS_MAX 8
#define MANY_MAX 64

struct cli;
typedef unsigned __int128 option_set; /* gcc's and clang's: there are more options than 64 */
struct command {
    const char *name;      /* "fleet apply": words are parted by one blank */
    const char *arguments; /* "[FLEET] [NUMBER]" */
    int arg_min, arg_max;
    option_set options;         /* OPTION_BIT() of its own ones */
    bool changes;               /* it may make Baton's topics where there are none yet */
    bool rest;                  /* what stands behind `--` is another program's command line */
    const char *output;         /* choices of -o where they are not "table|json"; "" : it prints no data */
    enum complete complete[2];  /* of its arguments */
    const char *choices;        /* of the first argument: "bash|zsh|fish" */
    const char *help;           /* one sentence */
    const char *details;        /* what else one should know; may be NULL */
    const char *examples[4][2]; /* command line, what it does */
    int (*run)(struct cli *cli);
};
#define OPTION_BIT(id) ((option_set)1 << (id))
_Static_assert(OPT_COUNT <= 8 * sizeof(option_set), "a command's options are bits of one word");

extern const struct command commands[];
extern const int command_count;

struct args {
    const struct command *command; /* NULL: none was typed */
    const char *value[OPT_COUNT];  /* NULL: not given; a flag that was given: "" */
    const char *many[MANY_MAX];
    enum option_id many_id[MANY_MAX];
    int many_count;
    int times[OPT_COUNT];        /* how often: -v -v */
    const char *words[ARGS_MAX]; /* arguments of the command */
    int word_count;
    char *const *rest; /* of a command with `rest`: the words behind `--`, ended by NULL; NULL: there was none */
    char group[32];    /* "fleet" when that was typed and no command of it; else "" */
};

/*
 * Reads argv (argv[0] is skipped). getenv_fn: getenv, or a test's. On an error `ret->command` is the command as
 * far as it was understood, so that the hint names the right --help.
 */
int args_parse(struct args *ret, int argc, char **argv, char *(*getenv_fn)(const char *name), struct errmsg *m);

/* One name may mean one thing to one command and another to the next (--to): the option that `c` takes, else the first. */
const struct option *option_find(const struct command *c, const char *name);
/* The table's entry; NULL when there is none. */
const struct command *command_find(const char *name);
bool command_takes(const struct command *c, enum option_id id);

/* "1 of 'a|b|c'" helpers for whoever walks choices: copies the n-th into ret, false past the last. */
bool choice_at(char *ret, size_t ret_size, const char *choices, int n);
bool choice_has(const char *choices, const char *word);

#endif
