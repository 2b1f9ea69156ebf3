/*
 * status - what is going on, once or for as long as one looks.
 *
 * --watch on a terminal takes the whole screen and redraws it; elsewhere a line is printed whenever something
 * changed, so that a log file tells the story and does not grow while nothing happens.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/render.h"

#define PAGE_MAX (16u * 1024 * 1024)
#define WATCH_STEADY_MS 1000
#define WATCH_BUSY_MS 200

struct watch {
    struct cli *cli;
    char path[FLEET_PATH_MAX + 32];
    char name[FLEET_PATH_MAX]; /* "": all fleets */
    json_t *seen;              /* what was last told, without what always changes */
    char told[2048];           /* last line */
    char trouble[1100];        /* "": answers come */
};

static void page_of(struct str *ret, const struct watch *w, const struct look *look, const json_t *answer)
{
    if (w->name[0])
        render_status(ret, look, answer, w->cli->wide, clock_unix_ms());
    else
        render_fleets(ret, look, answer);
}

/* Without what changes with every look. */
static json_t *lasting(const json_t *answer)
{
    static const char *const colors[] = { "blue", "green" };
    json_t *copy = json_deep_copy(answer), *item;
    size_t i;

    for (size_t c = 0; c < 2; c++) {
        const json_t *members = pick(json_object_get(pick(copy, "colors"), colors[c]), "members");

        json_array_foreach((json_t *)members, i, item)
        {
            json_object_del(item, "heard_ms_ago");
            json_object_del(item, "in_flight");
        }
    }
    json_array_foreach((json_t *)pick(copy, "partitions"), i, item) json_object_del(item, "committed");
    return copy;
}

static bool busy(const json_t *answer)
{
    const json_t *op = pick(answer, "operation");

    return json_is_object(op) && !op_has_ended(op);
}

static void tell_line(struct watch *w, const json_t *answer)
{
    struct str line = STR_WITH_MAX(PAGE_MAX);
    char time[32];

    if (busy(answer))
        render_progress_line(&line, w->name, pick(answer, "operation"));
    else {
        look_clean(&line, w->name);
        str_add(&line, sentence_is_verb(answer) ? " " : ": ");
        render_sentence(&line, &(struct look){ 0 }, answer, 0);
    }
    if (strncmp(line.buf, w->told, sizeof(w->told) - 1) != 0) {
        clock_format_unix_ms(time, clock_unix_ms());
        printf("%s %s\n", time, line.buf);
        snprintf(w->told, sizeof(w->told), "%s", line.buf);
    }
    str_free(&line);
}

static void tell_fleets(struct watch *w, const json_t *answer, bool changed)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    if (changed) {
        page_of(&page, w, &w->cli->out, answer);
        printf("%s\n", page.buf);
    }
    str_free(&page);
}

static void tell(struct watch *w, const json_t *answer)
{
    json_t *now = lasting(answer);
    bool changed = !w->seen || !json_equal(now, w->seen);

    if (w->cli->json && changed) {
        json_dumpf(answer, stdout, JSON_REAL_PRECISION(15) | JSON_COMPACT);
        fputc('\n', stdout);
    } else if (!w->cli->json && w->name[0])
        tell_line(w, answer);
    else if (!w->cli->json)
        tell_fleets(w, answer, changed);
    fflush(stdout);
    json_decref(w->seen);
    w->seen = now;
}

static void draw(struct watch *w, const json_t *answer)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    const struct look *look = &w->cli->out;

    page_of(&page, w, look, answer);
    if (w->trouble[0]) {
        str_add_char(&page, '\n');
        look_add(&page, look, RED, "This picture is old: ");
        str_add(&page, w->trouble);
        str_add_char(&page, '\n');
    }
    str_add_char(&page, '\n');
    look_add(&page, look, DIM, "q or Ctrl-C ends looking, nothing else");
    str_add_char(&page, '\n');
    live_draw(page.buf);
    str_free(&page);
}

/* Asks; an answer that does not come leaves the old one standing. False: there is nothing to look at any more. */
static bool look_again(struct watch *w, json_t **answer, int *ret_code)
{
    struct errmsg m = { 0 };
    struct api_reply reply;
    int r = api_call(w->cli->api, &reply, "GET", w->path, NULL, NULL, 0, &m);

    if (r == ERR_OK && reply.status == 200 && json_is_object(reply.json)) {
        json_decref(*answer);
        *answer = json_incref(reply.json);
        if (w->trouble[0] && !w->cli->out.terminal)
            cli_say(w->cli, "the controller answers again");
        w->trouble[0] = 0;
    } else {
        bool first = !w->trouble[0];

        snprintf(w->trouble, sizeof(w->trouble), "%s",
                 r < 0 ? m.text
                       : pick_text(reply.json, "error.message", "the controller gave no answer Baton understands"));
        if (r == ERR_OK && (reply.status == 404 || reply.status == 401 || reply.status == 403)) {
            *ret_code = exit_of_status(reply.status, reply.json);
            api_reply_free(&reply);
            return false;
        }
        if (first && !w->cli->out.terminal)
            cli_say(w->cli, "no answer, asking again: %s", w->trouble);
    }
    api_reply_free(&reply);
    return true;
}

static int watch(struct watch *w, json_t *answer)
{
    struct cli *cli = w->cli;
    bool screen = cli->out.terminal && !cli->json;
    int code = EXITS_DONE, key = 0, seen;

    json_incref(answer);
    api_interrupts(cli->api);
    seen = interrupts_count();
    if (screen)
        live_begin(&cli->out, STDOUT_FILENO, true);
    do {
        if (screen)
            draw(w, answer);
        else
            tell(w, answer);
        if (ferror(stdout))
            break;
        api_wait(cli->api, busy(answer) ? WATCH_BUSY_MS : WATCH_STEADY_MS,
                 screen && isatty(STDIN_FILENO) ? &key : NULL);
    } while (interrupts_count() == seen && key != 'q' && key != 'Q' && key != 3 && look_again(w, &answer, &code));
    live_end(false);
    if (code != EXITS_DONE)
        cli_fail(cli, code, "%s", w->trouble);
    json_decref(answer);
    json_decref(w->seen);
    return code;
}

int cmd_status(struct cli *cli)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct watch w = { .cli = cli, .path = "/v1/fleets" };
    char fleet[FLEET_PATH_MAX];
    struct api_reply reply = { 0 };
    int code;

    if (cli->args.word_count == 0) {
        code = cli_call(cli, &reply, "GET", w.path, NULL);
        if (code != EXITS_DONE)
            return code;
        if (pick_count(reply.json, "fleets") == 1)
            code = cli_fleet(cli, pick_text(json_array_get(pick(reply.json, "fleets"), 0), "name", ""), fleet, w.name);
        if (w.name[0])
            api_reply_free(&reply);
    } else {
        code = cli_fleet(cli, cli->args.words[0], fleet, w.name);
    }
    if (code == EXITS_DONE && w.name[0]) {
        snprintf(w.path, sizeof(w.path), "/v1/fleets/%s%s", fleet, cli->wide ? "?offsets=true" : "");
        code = cli_call(cli, &reply, "GET", w.path, NULL);
    }
    if (code != EXITS_DONE)
        return code;
    if (cli->args.times[OPT_WATCH])
        code = watch(&w, reply.json);
    else if (cli->json)
        code = cli_print_json(reply.json);
    else {
        page_of(&page, &w, &cli->out, reply.json);
        code = cli_print(&page);
    }
    str_free(&page);
    api_reply_free(&reply);
    return code;
}
