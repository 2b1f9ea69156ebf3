/*
 * api - one way to ask, whoever answers: a controller by HTTP, or the controller inside this very command.
 *
 * With --bootstrap the command opens a controller of its own (command mode: it leads only when a request changes
 * something and nobody leads, else it hands the request to the leader through Kafka). That one lives on the event
 * loop which api_call() and api_wait() run, so whoever waits, waits by api_wait().
 */
#ifndef CLI_API_H
#define CLI_API_H

#include <jansson.h>

#include "cli/cli.h"

struct kafka_settings;

struct api_reply {
    int status;
    char *text; /* the body, never NULL after success */
    size_t len;
    json_t *json; /* NULL: the body is no JSON */
};

/* Fails within 10 s when nothing can be reached, with a sentence that says what to look at. */
int api_open(struct api **ret, const struct cli *cli, struct errmsg *m);
void api_close(struct api *api);
/* Any status is a success; an error means that no answer came. body NULL: none. */
int api_call(struct api *api, struct api_reply *ret, const char *method, const char *path, const char *content_type,
             const char *body, size_t body_len, struct errmsg *m);
void api_reply_free(struct api_reply *reply);
/* This command is the controller that leads. */
bool api_leads(struct api *api);
/* From now on Ctrl-C and SIGTERM end a wait instead of the process; for commands that look on. */
void api_interrupts(struct api *api);
bool api_in_process(const struct api *api);
/*
 * Lets time pass, at most timeout_ms. Returns early, true, on a signal. With ret_key (may be NULL) also on a key
 * of stdin, which stands there then, 0: none.
 */
bool api_wait(struct api *api, int timeout_ms, int *ret_key);

/* For commands: opens the api once; prints why not and returns an exit code, or EXITS_DONE. */
int cli_api(struct cli *cli);
/*
 * Asks; on a 2xx fills ret. Else has printed why (error, mend, findings; as JSON on stdout with -o json) and
 * returns the exit code. body as JSON is taken (json_decref'd); NULL: none.
 */
int cli_call(struct cli *cli, struct api_reply *ret, const char *method, const char *path, json_t *body_take);
/* The same, but an answer that is no 2xx is left in ret, unprinted: for cli_call_failed(), which prints and frees it */
int cli_call_quietly(struct cli *cli, struct api_reply *ret, const char *method, const char *path, const json_t *body);
void cli_call_failed(struct cli *cli, struct api_reply *reply);
int cli_call_text(struct cli *cli, struct api_reply *ret, const char *method, const char *path,
                  const char *content_type, const char *body, size_t len);
int exit_of_status(int status, const json_t *answer);

/*
 * The fleet that is meant: the one named, or the only one there is. ret holds 3 * FLEET_NAME_MAX + 1, escaped for
 * a path.
 */
#define FLEET_PATH_MAX 400
int cli_fleet(struct cli *cli, const char *named, char ret[FLEET_PATH_MAX], char ret_name[FLEET_PATH_MAX]);
void path_escape(char *ret, size_t ret_size, const char *text);

/* The --bootstrap, --config and -X of the command line. */
int kafka_settings_of(struct kafka_settings **ret, const struct cli *cli, struct errmsg *m);
/* "jane@host" */
const char *who_am_i(char ret[128]);

#endif
