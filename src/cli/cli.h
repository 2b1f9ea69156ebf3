/*
 * cli - what every command of `baton` is given, and how it ends.
 *
 * Data goes to stdout, everything else to stderr; colors only where a person looks. One map has the exit codes;
 * --help and the manual page print it.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "cli/args.h"
#include "cli/look.h"
#include "core/spec.h"

#define EXIT_MAP(X)                                                                     \
    X(DONE, 0, "done")                                                                  \
    X(FAILED, 1, "failed, or refused by the preflight")                                 \
    X(USAGE, 2, "the command line is wrong")                                            \
    X(NOT_FOUND, 3, "there is no such fleet, switch or file")                           \
    X(NOT_ALLOWED, 4, "not allowed: token, TLS, SASL or an ACL")                        \
    X(CONFLICT, 5, "another operation is under way")                                    \
    X(ROLLED_BACK, 6, "the operation was rolled back")                                  \
    X(NEEDS_OPERATOR, 7, "the operation could not end by itself and needs an operator") \
    X(DEADLINE, 124, "no answer within the time there was")                             \
    X(LOOKED_AWAY, 130, "interrupted; an operation that was under way goes on")

enum exit_code {
#define EXIT_ENUM(name, number, text) EXITS_##name = (number),
    EXIT_MAP(EXIT_ENUM)
#undef EXIT_ENUM
};

struct api;

struct cli {
    struct args args;
    struct look out, err; /* of stdout and stderr */
    bool json;            /* -o json */
    bool wide;
    bool quiet;
    struct api *api; /* opened by cli_api(), closed by main */
};

/* Commands, one a subject; each returns an exit code and has printed what there was to print. */
int cmd_serve(struct cli *cli);
int cmd_broker(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_agent(struct cli *cli);
int cmd_conformance(struct cli *cli);
int cmd_fleet_apply(struct cli *cli);
int cmd_fleet_list(struct cli *cli);
int cmd_fleet_show(struct cli *cli);
int cmd_fleet_delete(struct cli *cli);
int cmd_plan(struct cli *cli);
int cmd_switch(struct cli *cli);
int cmd_rollback(struct cli *cli);
int cmd_pause(struct cli *cli);
int cmd_resume(struct cli *cli);
int cmd_throttle(struct cli *cli);
int cmd_hold(struct cli *cli);
int cmd_promote(struct cli *cli);
int cmd_abort(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_lag(struct cli *cli);
int cmd_judge(struct cli *cli);
int cmd_history(struct cli *cli);
int cmd_receipt(struct cli *cli);
int cmd_demo(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_man(struct cli *cli);
int cmd_help(struct cli *cli);

/* A fleet file, checked; `ret` gets its text. An exit code, with the message said. */
int cli_fleet_read(struct cli *cli, const char *name, struct str *ret, struct spec *spec);

/* Writes a page to stdout or stderr; EXITS_FAILED when it cannot (a full disk is not "done"). */
int cli_print(const struct str *page);
void cli_say(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* stderr, not with -q */
/* "baton: ..." on stderr, red where there is color; returns `code`. */
int cli_fail(const struct cli *cli, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int cli_print_json(const json_t *json);
int exit_of_error(int error);                /* enum err -> exit code */
void cli_log_settings(const struct args *a); /* of commands that run on: -v, -q, --log-level, --log-format */

/* Help texts, made from the tables. */
void help_overview(struct str *ret, const struct look *look);
void help_command(struct str *ret, const struct look *look, const struct command *c);
void help_group(struct str *ret, const struct look *look, const char *group);
int completion_write(struct str *ret, const char *shell); /* ERR_NOT_FOUND: no such shell */
void man_write(struct str *ret);
void markdown_write(struct str *ret); /* docs/cli.md */

/*
 * Ctrl-C and SIGTERM, counted; the descriptor turns readable with each. The third ends the process at once.
 * Called more than once it changes nothing. -1: it cannot be had.
 */
int interrupts_catch(void);
int interrupts_count(void);
/*
 * While a request is out that cannot be called back, and nobody looks at the descriptor: the first signal says `words` (a whole
 * line, which stays the caller's) on stderr and ends the process with EXITS_LOOKED_AWAY. NULL: as before.
 */
void interrupts_last_words(const char *words);
void interrupts_drain(void);

#endif
