/*
 * api - see api.h.
 */
#include "cli/api.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/pick.h"
#include "cli/render.h"
#include "controller/controller.h"
#include "core/limits.h"
#include "http/client.h"
#include "kafka/client.h"
#include "kafka/log.h"

#define SERVER_STANDARD "http://127.0.0.1:8080"
#define PATIENCE_MS 30000
#define ASTRAY_MS 300 /* between two questions who leads */

struct api {
    const struct cli *cli;
    struct event_base *base;
    struct event *interrupted; /* a signal came */
    struct event *timer;
    struct event *key;        /* stdin, only while somebody wants keys */
    struct http_client *http; /* one of these two */
    struct controller *controller;
    char by[128];
    char pressed;
    bool signalled;
};

const char *who_am_i(char ret[128])
{
    const struct passwd *pw = getpwuid(geteuid());
    char host[64] = "";

    if (gethostname(host, sizeof(host)) != 0)
        text_copy(host, sizeof(host), "?");
    host[sizeof(host) - 1] = 0;
    snprintf(ret, 128, "%.60s@%s", pw && pw->pw_name ? pw->pw_name : "?", host);
    return ret;
}

int kafka_settings_of(struct kafka_settings **ret, const struct cli *cli, struct errmsg *m)
{
    const struct args *a = &cli->args;
    struct kafka_settings *s = kafka_settings_new();
    int r = ERR_OK;

    if (!s)
        return err_set(m, ERR_NOMEM, "out of memory");
    if (a->value[OPT_CONFIG])
        r = kafka_settings_load(s, a->value[OPT_CONFIG], m);
    if (r == ERR_OK && a->value[OPT_BOOTSTRAP])
        r = kafka_settings_set(s, "bootstrap.servers", a->value[OPT_BOOTSTRAP], m);
    for (int i = 0; i < a->many_count && r == ERR_OK; i++) {
        const char *equals = strchr(a->many[i], '=');
        char name[128];

        if (a->many_id[i] != OPT_PROPERTY)
            continue;
        if (!equals || equals == a->many[i] || (size_t)(equals - a->many[i]) >= sizeof(name)) {
            r = err_set(m, ERR_INVALID, "-X %s: write it as name=value", a->many[i]);
            break;
        }
        snprintf(name, sizeof(name), "%.*s", (int)(equals - a->many[i]), a->many[i]);
        r = kafka_settings_set(s, name, equals + 1, m);
    }
    if (r < 0) {
        kafka_settings_free(s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}

static void on_interrupted(evutil_socket_t fd, short what, void *opaque)
{
    struct api *api = opaque;

    (void)fd;
    (void)what;
    interrupts_drain();
    api->signalled = true;
    event_base_loopbreak(api->base);
}

static void on_time(evutil_socket_t fd, short what, void *opaque)
{
    struct api *api = opaque;

    (void)fd;
    (void)what;
    event_base_loopbreak(api->base);
}

static void on_key(evutil_socket_t fd, short what, void *opaque)
{
    struct api *api = opaque;

    (void)what;
    if (read(fd, &api->pressed, 1) != 1)
        event_del(api->key);
    event_base_loopbreak(api->base);
}

void api_interrupts(struct api *api)
{
    int fd = interrupts_catch();

    if (fd < 0 || api->interrupted)
        return;
    api->interrupted = event_new(api->base, fd, EV_READ | EV_PERSIST, on_interrupted, api);
    if (api->interrupted)
        event_add(api->interrupted, NULL);
}

static int open_http(struct api *api, const struct cli *cli, struct errmsg *m)
{
    const struct http_client_config config = {
        .server = cli->args.value[OPT_SERVER] ? cli->args.value[OPT_SERVER] : SERVER_STANDARD,
        .token_file = cli->args.value[OPT_TOKEN_FILE],
        .ca_file = cli->args.value[OPT_CA_FILE],
        .by = api->by,
        .connect_ms = 5000,
    };

    return http_client_open(&api->http, &config, m);
}

static int open_controller(struct api *api, const struct cli *cli, const struct kafka_settings *settings,
                           struct errmsg *m)
{
    const struct controller_config config = {
        .kafka = settings,
        .prefix = cli->args.value[OPT_PREFIX],
        .lead = CONTROLLER_COMMAND,
        .topics_keep =
            !cli->args.command->changes, /* who only looks, and perhaps at the wrong Kafka, leaves no trace */
        .by = api->by,
    };

    int r = controller_open(&api->controller, api->base, &config, m);

    if (r == ERR_NOT_FOUND && config.topics_keep)
        return err_set(m, r,
                       "no Baton lives on this Kafka yet, or its --prefix is another one: %s%s is missing. The first "
                       "'baton serve' or 'baton fleet apply' makes it",
                       config.prefix ? config.prefix : "", CONTROL_TOPIC);
    return r;
}

int api_open(struct api **ret, const struct cli *cli, struct errmsg *m)
{
    struct api *api = calloc(1, sizeof(*api));
    struct kafka_settings *settings = NULL;
    const struct args *a = &cli->args;
    int r;

    if (!api)
        return err_set(m, ERR_NOMEM, "out of memory");
    if (a->times[OPT_SERVER] && a->times[OPT_BOOTSTRAP]) {
        r = err_set(m, ERR_INVALID,
                    "--server and --bootstrap are both given: ask a controller, or work straight on Kafka");
        goto fail;
    }
    api->cli = cli;
    who_am_i(api->by);
    evthread_use_pthreads();
    api->base = event_base_new();
    api->timer = api->base ? event_new(api->base, -1, 0, on_time, api) : NULL;
    if (!api->timer) {
        r = err_set(m, ERR_IO, "cannot make an event loop");
        goto fail;
    }
    r = kafka_settings_of(&settings, cli, m);
    if (r < 0)
        goto fail;
    /* What was typed wins over the environment; a server over brokers. */
    if (a->times[OPT_SERVER] ||
        (!a->times[OPT_BOOTSTRAP] && (a->value[OPT_SERVER] || !kafka_settings_get(settings, "bootstrap.servers"))))
        r = open_http(api, cli, m);
    else {
        api_interrupts(api); /* a controller leaves cleanly on Ctrl-C, so that the next one leads at once */
        r = open_controller(api, cli, settings, m);
    }
    if (r < 0)
        goto fail;
    kafka_settings_free(settings);
    *ret = api;
    return ERR_OK;
fail:
    kafka_settings_free(settings);
    api_close(api);
    return r;
}

void api_close(struct api *api)
{
    if (!api)
        return;
    controller_close(api->controller);
    http_client_close(api->http);
    if (api->interrupted)
        event_free(api->interrupted);
    if (api->timer)
        event_free(api->timer);
    if (api->key)
        event_free(api->key);
    if (api->base)
        event_base_free(api->base);
    free(api);
}

bool api_in_process(const struct api *api)
{
    return api->controller != NULL;
}

bool api_leads(struct api *api)
{
    struct controller_state state;

    if (!api->controller)
        return false;
    controller_state(api->controller, &state);
    return state.role == CONTROLLER_LEADING;
}

void api_reply_free(struct api_reply *reply)
{
    free(reply->text);
    json_decref(reply->json);
    *reply = (struct api_reply){ 0 };
}

/* ---- asking ---- */

struct asked {
    struct api *api;
    struct api_reply *reply;
    bool answered;
    bool failed;
};

static void on_answer(void *opaque, const struct api_answer *answer)
{
    struct asked *asked = opaque;

    asked->reply->status = answer->status;
    asked->reply->text = malloc(answer->body_len + 1);
    asked->reply->len = answer->body_len;
    asked->answered = true;
    asked->failed = !asked->reply->text;
    if (asked->reply->text) {
        memcpy(asked->reply->text, answer->body, answer->body_len);
        asked->reply->text[answer->body_len] = 0;
    }
    event_base_loopbreak(asked->api->base);
}

static int call_controller(struct api *api, struct api_reply *ret, const char *method, const char *path,
                           const char *content_type, const char *body, size_t body_len, struct errmsg *m)
{
    char bare[FLEET_PATH_MAX + 80];
    const char *query = strchr(path, '?');
    const struct api_request request = { .method = method,
                                         .path = bare,
                                         .query = query ? query + 1 : NULL,
                                         .content_type = content_type,
                                         .body = body,
                                         .body_len = body_len,
                                         .by = api->by,
                                         .patience_ms = PATIENCE_MS };
    struct asked asked = { .api = api, .reply = ret };
    int64_t deadline_ms = clock_ms() + PATIENCE_MS + 5000;
    int seen = interrupts_count();
    bool told = false;

    snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(path, "?"), path);
    controller_request(api->controller, &request, on_answer, &asked);
    while (!asked.answered && clock_ms() < deadline_ms) {
        /* The first Ctrl-C lets an answer that is near still come; the second does not wait for it. */
        if (interrupts_count() > seen + 1)
            break;
        if (interrupts_count() > seen && !told)
            cli_say(api->cli, "waiting for the answer that is under way; Ctrl-C again does not wait for it");
        told = interrupts_count() > seen;
        event_base_loop(api->base, EVLOOP_ONCE);
    }
    if (!asked.answered) {
        controller_forget(api->controller, on_answer, &asked);
        return err_set(m, ERR_TIMEOUT, "no answer to %s %s; the order may have been taken: look with 'baton status'",
                       method, path);
    }
    return asked.failed ? err_set(m, ERR_NOMEM, "out of memory") : ERR_OK;
}

/*
 * A controller that follows may name a leader that has just died: whoever leads next is known to it within the session
 * timeout, so it is asked again. An order carries its own id and is carried out once, however often it is sent.
 */
static int call_http(struct api *api, struct api_reply *ret, const char *method, const char *path,
                     const char *content_type, const char *body, size_t body_len, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    struct http_reply reply = { 0 };
    bool told = false;
    int r;

    for (;;) {
        r = http_client_request(api->http, &reply, method, path, content_type, body, body_len, m);
        if (r == ERR_OK || !http_client_led_astray(api->http) || clock_ms() >= until_ms)
            break;
        if (!told)
            cli_say(api->cli, "the leader does not answer (%.*s); asking again who leads", (int)strcspn(m->text, ";"),
                    m->text);
        told = true;
        if (api_wait(api, ASTRAY_MS, NULL))
            break;
    }
    if (r < 0)
        return r;
    ret->status = reply.status;
    ret->text = reply.body;
    ret->len = reply.body_len;
    reply.body = NULL;
    http_reply_free(&reply);
    return ERR_OK;
}

int api_call(struct api *api, struct api_reply *ret, const char *method, const char *path, const char *content_type,
             const char *body, size_t body_len, struct errmsg *m)
{
    int r;

    *ret = (struct api_reply){ 0 };
    if (api->controller)
        r = call_controller(api, ret, method, path, content_type, body, body_len, m);
    else
        r = call_http(api, ret, method, path, content_type, body, body_len, m);
    if (r < 0) {
        api_reply_free(ret);
        return r;
    }
    ret->json = json_loadb(ret->text, ret->len, JSON_REJECT_DUPLICATES, NULL);
    return ERR_OK;
}

bool api_wait(struct api *api, int timeout_ms, int *ret_key)
{
    int64_t until_ms = clock_ms() + timeout_ms, left_ms;

    if (ret_key && !api->key) {
        api->key = event_new(api->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_key, api);
        if (api->key)
            event_add(api->key, NULL);
    }
    api->pressed = 0;
    api->signalled = false;
    /* The timer may fire a moment early by our clock, and the loop may be left for other reasons: armed each time. */
    while (!api->signalled && !api->pressed && (left_ms = until_ms - clock_ms()) > 0) {
        struct timeval left = { left_ms / 1000, left_ms % 1000 * 1000 };

        event_add(api->timer, &left);
        event_base_loop(api->base, EVLOOP_NO_EXIT_ON_EMPTY);
    }
    event_del(api->timer);
    if (ret_key)
        *ret_key = (unsigned char)api->pressed;
    return api->signalled;
}

/* ---- for commands ---- */

int exit_of_error(int error)
{
    switch ((enum err)error) {
    case ERR_OK:
        return EXITS_DONE;
    case ERR_INVALID:
        return EXITS_USAGE;
    case ERR_NOT_FOUND:
        return EXITS_NOT_FOUND;
    case ERR_DENIED:
        return EXITS_NOT_ALLOWED;
    case ERR_CONFLICT:
        return EXITS_CONFLICT;
    case ERR_TIMEOUT:
        return EXITS_DEADLINE;
    case ERR_NOMEM:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_UNAVAILABLE:
    case ERR_TOO_LARGE:
    case ERR_NEWER:
    case ERR_STATE:
    case ERR_CLOSED:
    case ERR_KAFKA:
    case ERR_INTERNAL:
        break;
    }
    return EXITS_FAILED;
}

int exit_of_status(int status, const json_t *answer)
{
    if (status >= 200 && status < 300)
        return EXITS_DONE;
    if (status == 404)
        return EXITS_NOT_FOUND;
    if (status == 401 || status == 403)
        return EXITS_NOT_ALLOWED;
    if (status == 409)
        return EXITS_CONFLICT;
    if (status == 408 || status == 504 || word_is(pick_text(answer, "error.code", ""), "timeout"))
        return EXITS_DEADLINE;
    return EXITS_FAILED;
}

int cli_api(struct cli *cli)
{
    struct errmsg m = { 0 };
    int r;

    if (cli->api)
        return EXITS_DONE;
    r = api_open(&cli->api, cli, &m);
    return r < 0 ? cli_fail(cli, exit_of_error(r), "%s", m.text) : EXITS_DONE;
}

/*
 * A change cannot be called back once it is sent, and libcurl is not waited for with a Ctrl-C at hand: what is known is said by the
 * signal itself. (A controller in this process is asked by call_controller(), which says so.) `ret` must live while it is out.
 */
static void last_words(const struct api *api, char ret[FLEET_PATH_MAX + 128], const char *method, const char *path)
{
    const char *fleet = strncmp(path, "/v1/fleets/", 11) == 0 ? path + 11 : "";
    const char *plan = strstr(path, "/plan");

    if (api_in_process(api) || word_is(method, "GET") || (plan && !plan[5]) || interrupts_catch() < 0)
        return;
    snprintf(
        ret, FLEET_PATH_MAX + 128,
        "\nbaton: interrupted before the answer came: the order may have been taken; look with: baton status %.*s\n",
        (int)strcspn(fleet, "/"), fleet);
    interrupts_last_words(ret);
}

/* Its exit code; only that no answer came (ret->text NULL) has been printed. */
static int ask(struct cli *cli, struct api_reply *ret, const char *method, const char *path, const char *content_type,
               const char *body, size_t len)
{
    struct errmsg m = { 0 };
    char words[FLEET_PATH_MAX + 128];
    int r, code = cli_api(cli), seen = interrupts_count();

    *ret = (struct api_reply){ 0 };
    if (code != EXITS_DONE)
        return code;
    last_words(cli->api, words, method, path);
    r = api_call(cli->api, ret, method, path, content_type, body, len, &m);
    interrupts_last_words(NULL);
    if (r < 0)
        return cli_fail(cli, r == ERR_TIMEOUT && interrupts_count() > seen ? EXITS_LOOKED_AWAY : exit_of_error(r), "%s",
                        m.text);
    return exit_of_status(ret->status, ret->json);
}

void cli_call_failed(struct cli *cli, struct api_reply *reply)
{
    struct str page = STR_WITH_MAX(1024 * 1024);

    if (!reply->text)
        return;
    if (cli->json && reply->json)
        cli_print_json(reply->json);
    render_error(&page, &cli->err, reply->status, reply->json);
    fputs(page.buf, stderr);
    str_free(&page);
    api_reply_free(reply);
}

int cli_call_text(struct cli *cli, struct api_reply *ret, const char *method, const char *path,
                  const char *content_type, const char *body, size_t len)
{
    const int code = ask(cli, ret, method, path, content_type, body, len);

    if (code != EXITS_DONE)
        cli_call_failed(cli, ret);
    return code;
}

int cli_call_quietly(struct cli *cli, struct api_reply *ret, const char *method, const char *path, const json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int code;

    *ret = (struct api_reply){ 0 };
    if (body && !text)
        return cli_fail(cli, EXITS_FAILED, "out of memory");
    code = ask(cli, ret, method, path, text ? "application/json" : NULL, text, text ? strlen(text) : 0);
    free(text);
    return code;
}

int cli_call(struct cli *cli, struct api_reply *ret, const char *method, const char *path, json_t *body_take)
{
    const int code = cli_call_quietly(cli, ret, method, path, body_take);

    json_decref(body_take);
    if (code != EXITS_DONE)
        cli_call_failed(cli, ret);
    return code;
}

void path_escape(char *ret, size_t ret_size, const char *text)
{
    size_t at = 0;

    for (; *text && at + 4 < ret_size; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
            c == '.')
            ret[at++] = (char)c;
        else
            at += (size_t)snprintf(ret + at, ret_size - at, "%%%02X", c);
    }
    ret[at] = 0;
}

int cli_fleet(struct cli *cli, const char *named, char ret[FLEET_PATH_MAX], char ret_name[FLEET_PATH_MAX])
{
    struct api_reply reply;
    const json_t *fleets;
    int code = EXITS_DONE;

    if (named) {
        if (!*named || strlen(named) > FLEET_NAME_MAX)
            return cli_fail(cli, EXITS_NOT_FOUND, "there is no fleet '%.80s': a name has 1 to %d letters", named,
                            FLEET_NAME_MAX);
        path_escape(ret, FLEET_PATH_MAX, named);
        text_copy(ret_name, FLEET_PATH_MAX, named);
        return EXITS_DONE;
    }
    code = cli_call(cli, &reply, "GET", "/v1/fleets", NULL);
    if (code != EXITS_DONE)
        return code;
    fleets = pick(reply.json, "fleets");
    if (json_array_size(fleets) == 1) {
        named = pick_text(json_array_get(fleets, 0), "name", "");
        path_escape(ret, FLEET_PATH_MAX, named);
        text_copy(ret_name, FLEET_PATH_MAX, named);
    } else if (json_array_size(fleets) == 0) {
        code = cli_fail(cli, EXITS_NOT_FOUND,
                        "there is no fleet yet: write a fleet file and run 'baton fleet apply FILE'");
    } else {
        struct str names = STR_WITH_MAX(FLEET_NAME_MAX * 20);

        for (size_t i = 0; i < json_array_size(fleets) && !str_error(&names); i++) {
            str_add(&names, i ? ", " : "");
            look_clean(&names, pick_text(json_array_get(fleets, i), "name", "?"));
        }
        code = cli_fail(cli, EXITS_USAGE, "there are %zu fleets, name one: %s%s", json_array_size(fleets), names.buf,
                        str_error(&names) ? " ..." : "");
        str_free(&names);
    }
    api_reply_free(&reply);
    return code;
}
