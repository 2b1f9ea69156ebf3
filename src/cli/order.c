/*
 * order - the commands that change a fleet, and looking on until they end.
 *
 * An order is accepted with a number; from then on it lives in the control log and goes on whether anybody looks
 * or not. So looking on only asks again and again: a lost answer, a controller that was replaced, a Ctrl-C change
 * nothing. One case is different: with --bootstrap, and nobody else to lead, this command is the controller, and
 * is told so.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/api.h"
#include "cli/live.h"
#include "cli/order.h"
#include "cli/pick.h"
#include "cli/render.h"
#include "core/spec.h"
#include "wire/spec.h"

#define PAGE_MAX (4u * 1024 * 1024)
#define LOOK_MS 120 /* between two looks at an operation */
#define BEHIND_MS_MAX 5000
#define LOST_LOOK_MS 500     /* between two looks at members that crashed ... */
#define LOST_SLACK_MS 15000  /* ... and how much longer than they may need to count as gone */
#define SILENCE_MS_MAX 60000 /* how long the controller may be out of reach before we stop looking */

/* ---- looking on ---- */

struct follow {
    struct cli *cli;
    const char *fleet; /* for people */
    char path[FLEET_PATH_MAX + 64];
    int64_t number;
    json_t *op;      /* the newest */
    struct str line; /* last printed, where no terminal is */
    bool live;
    bool back;   /* it is a switch, and its rollback was ordered */
    bool warned; /* that this command leads by itself */
    int64_t silent_since_ms;
    bool silence_told;
};

static void follow_show(struct follow *f)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    if (f->cli->quiet)
        return;
    if (f->live) {
        render_progress(&page, &f->cli->err, f->fleet, f->op, clock_unix_ms());
        live_draw(page.buf);
    } else {
        render_progress_line(&page, f->fleet, f->op);
        if (!word_is(page.buf, f->line.buf)) {
            fprintf(stderr, "%s\n", page.buf);
            fflush(stderr);
            str_clear(&f->line);
            str_add(&f->line, page.buf);
        }
    }
    str_free(&page);
}

static void follow_say(struct follow *f, const char *text)
{
    struct str line = STR_WITH_MAX(PAGE_MAX);

    look_wrap(&line, text, f->cli->err.width, 0);
    str_add_char(&line, '\n');
    if (f->live)
        live_above(line.buf);
    else
        fputs(line.buf, stderr);
    str_free(&line);
}

/* Asks once; false: gave up, *ret_code says how. */
static bool follow_ask(struct follow *f, int *ret_code)
{
    struct errmsg m = { 0 };
    struct api_reply reply;
    int r = api_call(f->cli->api, &reply, "GET", f->path, NULL, NULL, 0, &m), status = r == ERR_OK ? reply.status : 0;
    char text[sizeof(m.text) + 64];
    int64_t silent_ms = f->silent_since_ms ? clock_ms() - f->silent_since_ms : 0;

    if (status == 200 && json_is_object(reply.json)) {
        json_decref(f->op);
        f->op = json_incref(reply.json);
        f->silent_since_ms = 0;
        f->silence_told = false;
        api_reply_free(&reply);
        return true;
    }
    /* A controller that only follows may be behind the one that took the order: it is asked again. */
    if (status == 401 || status == 403 || (status == 404 && silent_ms > BEHIND_MS_MAX)) {
        live_end(true);
        f->live = false;
        *ret_code = cli_fail(f->cli, exit_of_status(status, reply.json), "%s",
                             pick_text(reply.json, "error.message", "the controller does not answer that any more"));
        api_reply_free(&reply);
        return false;
    }
    if (r == ERR_OK)
        err_set(&m, ERR_UNAVAILABLE, "%s", pick_text(reply.json, "error.message", "no controller leads at present"));
    api_reply_free(&reply);
    if (f->silent_since_ms == 0)
        f->silent_since_ms = clock_ms();
    if (!f->silence_told && silent_ms > BEHIND_MS_MAX / 2) {
        f->silence_told = true;
        snprintf(text, sizeof(text), "no word from the controller, asking again: %s", m.text);
        follow_say(f, text);
    } else if (silent_ms > SILENCE_MS_MAX) {
        live_end(true);
        f->live = false;
        *ret_code = cli_fail(f->cli, EXITS_DEADLINE, "no word from the controller for a minute: %s", m.text);
        return false;
    }
    return true;
}

/* Ctrl-C came: true when we stop looking. */
static bool follow_interrupted(struct follow *f)
{
    if (!api_leads(f->cli->api) || f->warned)
        return true;
    f->warned = true;
    follow_say(f, "This command is the controller: nobody else leads, and without one the operation stands still "
                  "where it is. Ctrl-C again leaves it there; its state is in Kafka, and the next controller goes on.");
    return false;
}

static int follow_left(struct follow *f, bool led)
{
    if (led)
        cli_say(f->cli,
                "%s %lld of %s stands where it is until a controller leads again: 'baton serve', or 'baton switch %s' "
                "with --bootstrap, which sees it through.",
                pick_text(f->op, "kind", "operation"), (long long)f->number, f->fleet, f->fleet);
    else
        cli_say(f->cli, "%s %lld of %s goes on; look again with 'baton status %s --watch'.",
                pick_text(f->op, "kind", "operation"), (long long)f->number, f->fleet, f->fleet);
    return EXITS_LOOKED_AWAY;
}

/* Who orders a rollback of what is under way wants it rolled back. */
static int exit_of_state(const struct follow *f)
{
    const char *state = pick_text(f->op, "state", "");

    return word_is(state, f->back ? "rolled-back" : "complete") ? EXITS_DONE
           : word_is(state, "rolled-back")                      ? EXITS_ROLLED_BACK
                                                                : EXITS_NEEDS_OPERATOR;
}

/* How it ended, and the receipt in short. */
static int follow_result(struct follow *f)
{
    struct cli *cli = f->cli;
    struct str page = STR_WITH_MAX(PAGE_MAX);
    char path[FLEET_PATH_MAX + 80];
    struct api_reply receipt = { 0 };
    struct errmsg m = { 0 };
    int code = exit_of_state(f), r;

    snprintf(path, sizeof(path), "%s/receipt", f->path);
    r = api_call(cli->api, &receipt, "GET", path, NULL, NULL, 0, &m);
    if (r < 0 || receipt.status != 200)
        json_decref(receipt.json), receipt.json = NULL;
    if (cli->json) {
        if (cli_print_json(receipt.json ? receipt.json : f->op) != EXITS_DONE)
            code = EXITS_FAILED;
    } else {
        render_end(&page, &cli->out, f->fleet, f->op);
        if (receipt.json)
            render_receipt_short(&page, &cli->out, receipt.json);
        look_addf(&page, &cli->out, DIM, "  The whole receipt: baton receipt %s %lld", f->fleet, (long long)f->number);
        str_add_char(&page, '\n');
        if (word_is(pick_text(f->op, "state", ""), "needs-operator"))
            str_addf(&page,
                     "  'baton status %s' shows who holds what; mend what the cause names, then 'baton rollback %s' or "
                     "'baton switch %s'.\n",
                     f->fleet, f->fleet, f->fleet);
        if (cli_print(&page) != EXITS_DONE)
            code = EXITS_FAILED;
    }
    str_free(&page);
    api_reply_free(&receipt);
    return code;
}

int order_follow(struct cli *cli, const char *fleet, const char *name, json_t *first, bool rollback, int seen)
{
    struct follow f = {
        .cli = cli,
        .fleet = name,
        .number = pick_int(first, "number", 0),
        .line = STR_WITH_MAX(PAGE_MAX),
        .op = json_incref(first),
        .back = rollback && !word_is(pick_text(first, "kind", ""), "rollback"),
    };
    int code = EXITS_DONE;
    bool led = false;

    snprintf(f.path, sizeof(f.path), "/v1/fleets/%s/switches/%lld", fleet, (long long)f.number);
    api_interrupts(cli->api);
    f.live = cli->err.terminal && !cli->quiet && !cli->args.times[OPT_VERBOSE];
    if (f.live)
        live_begin(&cli->err, STDERR_FILENO, false);
    for (;;) {
        follow_show(&f);
        if (op_has_ended(f.op) || json_is_true(pick(f.op, "held"))) { /* held: a person has to say how it goes on */
            live_end(true);
            code = follow_result(&f);
            break;
        }
        if (interrupts_count() == seen)
            api_wait(cli->api, LOOK_MS, NULL);
        if (interrupts_count() > seen) {
            seen = interrupts_count();
            led = api_leads(cli->api);
            if (follow_interrupted(&f)) {
                live_end(true);
                code = follow_left(&f, led);
                break;
            }
        }
        if (!follow_ask(&f, &code))
            break;
    }
    live_end(true);
    json_decref(f.op);
    str_free(&f.line);
    return code;
}

/* ---- orders ---- */

static void random_id(char ret[33])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        memset(bytes, (int)clock_unix_us(), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

/*
 * "10%,orders/0,orders/7,100%" -> ["10%","orders/0","orders/7","100%"]. Whether a partition is the fleet's only the controller
 * knows; the rest is said here, before anything is sent.
 */
static int stages_json(json_t *body, const char *text, struct errmsg *m)
{
    static const struct spec nothing;
    struct stages stages = { .count = 0 };
    json_t *list = json_array();
    int r = ERR_OK;

    json_object_set_new(body, "stages", list);
    for (const char *at = text; r == ERR_OK; at++) {
        char word[STAGE_WORD_MAX];
        size_t len;

        at += strspn(at, " ");
        len = strcspn(at, ",");
        snprintf(word, sizeof(word), "%.*s", (int)(len < sizeof(word) ? len : sizeof(word) - 1), at);
        r = strchr(word, '/') ? stages_add_name(&stages, 0, stages.name_count, m)
                              : stages_add(&stages, &nothing, word, m);
        json_array_append_new(list, json_string(word));
        at += len;
        if (!*at)
            break;
    }
    if (r == ERR_OK)
        r = stages_end(&stages, m);
    return r < 0 ? err_wrap(m, r, "--stages") : ERR_OK;
}

/* "4", "25%" */
static int partitions_json(json_t *body, const char *text, struct errmsg *m)
{
    int64_t number;
    int percent, r;

    r = strchr(text, '%') ? parse_percent(&percent, text, m) : parse_int64(&number, text, 1, BATONS_MAX, m);
    json_object_set_new(body, "partitions", json_string(text));
    return r < 0 ? err_wrap(m, r, "--partitions") : ERR_OK;
}

static int duration_json(json_t *body, const char *key, const char *text, int64_t min_ms, struct errmsg *m)
{
    int64_t ms;
    int r = parse_duration_ms(&ms, text, min_ms, 7 * 86400000LL, m);

    if (r < 0)
        return err_wrap(m, r, "--%s", key);
    json_object_set_new(body, key, json_string(text));
    return ERR_OK;
}

/* The order's body from what was typed; NULL after a message. */
static json_t *order_body(struct cli *cli)
{
    const struct args *a = &cli->args;
    json_t *body = json_object();
    struct errmsg m = { 0 };
    char id[33], by[128];
    int r = ERR_OK;

    random_id(id);
    json_object_set_new(body, "request_id", json_string(id));
    json_object_set_new(body, "by", json_string(who_am_i(by)));
    if (a->value[OPT_TO])
        json_object_set_new(body, "to", json_string(a->value[OPT_TO]));
    if (a->value[OPT_STAGES])
        r = stages_json(body, a->value[OPT_STAGES], &m);
    if (r == ERR_OK && a->value[OPT_PARTITIONS] && !word_is(a->value[OPT_PARTITIONS], "all"))
        r = partitions_json(body, a->value[OPT_PARTITIONS], &m);
    if (r == ERR_OK && a->value[OPT_OBSERVE])
        r = duration_json(body, "observe", a->value[OPT_OBSERVE], 0, &m);
    if (r == ERR_OK && a->value[OPT_DEADLINE])
        r = duration_json(body, "deadline", a->value[OPT_DEADLINE], 1, &m);
    if (a->value[OPT_REASON])
        json_object_set_new(body, "reason", json_string(a->value[OPT_REASON]));
    if (a->times[OPT_AUTO] && a->times[OPT_NO_JUDGE] && r == ERR_OK)
        r = err_set(&m, ERR_INVALID, "--auto and --no-judge contradict each other");
    if (a->times[OPT_AUTO] || a->times[OPT_NO_JUDGE])
        json_object_set_new(body, "judge", json_string(a->times[OPT_AUTO] ? "auto" : "off"));
    if (a->times[OPT_FORCE])
        json_object_set_new(body, "force", json_true());
    if (a->times[OPT_REPLAY])
        json_object_set_new(body, "replay", json_true());
    if (r == ERR_OK && a->value[OPT_REASON] && strlen(a->value[OPT_REASON]) > REASON_MAX)
        r = err_set(&m, ERR_INVALID, "--reason: at most %d bytes", REASON_MAX);
    if (r == ERR_OK && a->value[OPT_REASON] && !json_object_get(body, "reason"))
        r = err_set(&m, ERR_INVALID, "--reason: this is no UTF-8 text");
    if (r == ERR_OK)
        return body;
    cli_fail(cli, EXITS_USAGE, "%s", m.text);
    json_decref(body);
    return NULL;
}

static const char *word(const struct cli *cli, int i)
{
    return i < cli->args.word_count ? cli->args.words[i] : NULL;
}

/*
 * Another operation is under way. Where this command leads (nobody else did), going away would leave that one
 * standing: it is seen through first. The order itself was refused all the same.
 */
static int order_conflict(struct cli *cli, const char *fleet, const char *name)
{
    char path[FLEET_PATH_MAX + 32];
    struct api_reply reply;
    json_t *op;

    snprintf(path, sizeof(path), "/v1/fleets/%s", fleet);
    if (cli_call(cli, &reply, "GET", path, NULL) != EXITS_DONE)
        return EXITS_CONFLICT;
    op = json_object_get(reply.json, "operation");
    if (!json_is_object(op) || op_has_ended(op)) {
        api_reply_free(&reply);
        return EXITS_CONFLICT; /* nothing is under way: it was refused for what the fleet is */
    }
    if (api_leads(cli->api)) {
        cli_say(cli, "Nobody else leads, so this command sees that one through.");
        order_follow(cli, fleet, name, op, false, interrupts_count());
    } else {
        cli_say(cli, "Look on with 'baton status %s --watch', or take it back with 'baton rollback %s'.", name, name);
    }
    api_reply_free(&reply);
    return EXITS_CONFLICT;
}

/* What has become of it, in a line. */
static void say_taken(const struct cli *cli, const char *what, const char *name, const json_t *op)
{
    const char *kind = pick_text(op, "kind", what);
    const int64_t number = pick_int(op, "number", 0), stage = pick_int(op, "stage", 0) + 1;
    const long long stages = (long long)pick_count(op, "stages");

    if (word_is(what, "hold"))
        cli_say(cli,
                "%s %lld of %s stays at stage %lld of %lld; go on with 'baton promote %s', or take it back with 'baton "
                "abort %s'.",
                kind, (long long)number, name, (long long)stage, stages, name, name);
    else if (word_is(what, "promote") && word_is(pick_text(op, "state", ""), "complete"))
        cli_say(cli, "%s %lld of %s is complete.", kind, (long long)number, name);
    else if (word_is(what, "promote"))
        cli_say(cli, "%s %lld of %s goes on with stage %lld of %lld; look on with 'baton status %s --watch'.", kind,
                (long long)number, name, (long long)stage, stages, name);
    else
        cli_say(cli, "%s %lld of %s is accepted; look on with 'baton status %s --watch'.", kind, (long long)number,
                name, name);
}

/* ---- members that crashed ---- */

/* The first of them, when nothing else refuses. */
static const json_t *lost_member(const json_t *findings)
{
    const json_t *finding, *ret = NULL;
    size_t i;

    json_array_foreach(findings, i, finding)
    {
        if (!word_is(pick_text(finding, "severity", ""), "refusal"))
            continue;
        if (!word_is(pick_text(finding, "code", ""), "member-not-listed"))
            return NULL;
        ret = ret ? ret : finding;
    }
    return ret;
}

/* How long the fleet's members may take to count as gone; 0 when it cannot be told. */
static int64_t gone_after_ms(struct cli *cli, const char *fleet)
{
    struct spec *spec = calloc(1, sizeof(*spec));
    char path[FLEET_PATH_MAX + 32];
    struct api_reply reply = { 0 };
    struct errmsg m;
    int64_t ret = 0;

    snprintf(path, sizeof(path), "/v1/fleets/%s", fleet);
    if (spec && cli_call_quietly(cli, &reply, "GET", path, NULL) == EXITS_DONE &&
        spec_from_json(spec, pick(reply.json, "spec"), &m) == ERR_OK)
        ret = spec_gone_after_ms(spec);
    api_reply_free(&reply);
    free(spec);
    return ret;
}

/*
 * A member that crashed counts as gone when a controller has seen it missing for long enough (rule 9), which commands
 * that come and go never have. So where this one leads, since nobody else does, it stays and looks on, until nothing of
 * that kind is found any more. False: Ctrl-C. What else speaks against the order is said when it is sent again.
 */
static bool outwait_lost(struct cli *cli, const char *fleet, const char *kind, json_t *order, const json_t *lost,
                         int seen)
{
    const int64_t until_ms = clock_ms() + gone_after_ms(cli, fleet) + LOST_SLACK_MS;
    char path[FLEET_PATH_MAX + 32];
    json_t *body = json_copy(order);
    bool found = true;

    cli_say(cli,
            "%s. Nobody else leads, so this command looks on until it counts as gone, for %lld s at most; nothing is "
            "ordered before. Ctrl-C: leave it.",
            pick_text(lost, "what", "a member is lost"), (long long)(until_ms - clock_ms() + 999) / 1000);
    snprintf(path, sizeof(path), "/v1/fleets/%s/plan", fleet);
    json_object_set_new(body, "kind", json_string(kind));
    api_interrupts(cli->api);
    while (found && clock_ms() < until_ms) {
        struct api_reply reply;

        if (interrupts_count() == seen)
            api_wait(cli->api, LOST_LOOK_MS, NULL);
        if (interrupts_count() > seen)
            break;
        found = cli_call_quietly(cli, &reply, "POST", path, body) == EXITS_DONE &&
                lost_member(pick(reply.json, "findings"));
        api_reply_free(&reply);
    }
    json_decref(body);
    if (interrupts_count() > seen)
        cli_say(cli, "Nothing was ordered.");
    return interrupts_count() == seen;
}

/* ---- sending ---- */

/* As cli_call(). `kind`: as plans call it, NULL: it has none. `seen`: interrupts_count() before. */
static int order_post(struct cli *cli, struct api_reply *ret, const char *fleet, const char *what, const char *kind,
                      json_t *body_take, int seen)
{
    char path[FLEET_PATH_MAX + 32], id[33];
    const json_t *lost;
    int code;

    snprintf(path, sizeof(path), "/v1/fleets/%s/%s", fleet, what);
    code = cli_call_quietly(cli, ret, "POST", path, body_take);
    lost = code == EXITS_FAILED && kind && ret->text ? lost_member(pick(ret->json, "error.findings")) : NULL;
    if (lost && api_leads(cli->api) && !cli->args.times[OPT_NO_WAIT] && interrupts_count() == seen) {
        const bool waited = outwait_lost(cli, fleet, kind, body_take, lost, seen);

        api_reply_free(ret);
        random_id(id); /* an order of its own: the first one was answered */
        json_object_set_new(body_take, "request_id", json_string(id));
        code = waited ? cli_call_quietly(cli, ret, "POST", path, body_take) : EXITS_LOOKED_AWAY;
    }
    json_decref(body_take);
    if (code != EXITS_DONE)
        cli_call_failed(cli, ret);
    return code;
}

static int order_send(struct cli *cli, const char *what, const char *kind)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX];
    json_t *body = order_body(cli);
    struct api_reply reply;
    int code, seen = interrupts_count();

    if (!body)
        return EXITS_USAGE;
    code = cli_fleet(cli, word(cli, 0), fleet, name);
    if (code != EXITS_DONE) {
        json_decref(body);
        return code;
    }
    code = order_post(cli, &reply, fleet, what, kind, body, seen);
    if (code == EXITS_CONFLICT)
        return order_conflict(cli, fleet, name);
    if (code != EXITS_DONE)
        return code;
    if (cli->args.times[OPT_NO_WAIT] && api_leads(cli->api))
        cli_say(cli, "--no-wait: nobody else leads, so this command stays and sees it through.");
    else if (cli->args.times[OPT_NO_WAIT]) {
        code = cli->json ? cli_print_json(reply.json) : EXITS_DONE;
        say_taken(cli, what, name, reply.json);
        api_reply_free(&reply);
        return code;
    }
    code = order_follow(cli, fleet, name, reply.json, word_is(what, "rollback") || word_is(what, "abort"), seen);
    api_reply_free(&reply);
    return code;
}

/* Would it be refused? `kind`: "switch". */
static int order_plan(struct cli *cli, const char *kind)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX], path[FLEET_PATH_MAX + 32];
    struct str page = STR_WITH_MAX(PAGE_MAX);
    json_t *body = order_body(cli);
    struct api_reply reply;
    int code;
    bool ok;

    if (!body)
        return EXITS_USAGE;
    code = cli_fleet(cli, word(cli, 0), fleet, name);
    if (code != EXITS_DONE) {
        json_decref(body);
        return code;
    }
    json_object_set_new(body, "kind", json_string(kind));
    snprintf(path, sizeof(path), "/v1/fleets/%s/plan", fleet);
    code = cli_call(cli, &reply, "POST", path, body);
    if (code != EXITS_DONE)
        return code;
    ok = pick_bool(reply.json, "ok", false);
    if (cli->json)
        code = cli_print_json(reply.json);
    else {
        look_clean(&page, name);
        str_add(&page, ": ");
        look_addf(&page, &cli->out, ok ? GREEN_INK : RED, ok ? "a %s could begin now" : "a %s would be refused", kind);
        str_add(&page, pick_count(reply.json, "findings") ? ".\n" : "; nothing to remark.\n");
        render_findings(&page, &cli->out, pick(reply.json, "findings"));
        code = cli_print(&page);
    }
    str_free(&page);
    api_reply_free(&reply);
    return code == EXITS_DONE && !ok ? EXITS_FAILED : code;
}

static int order_or_plan(struct cli *cli, const char *kind, const char *what)
{
    return cli->args.times[OPT_DRY_RUN] ? order_plan(cli, kind) : order_send(cli, what, kind);
}

int cmd_plan(struct cli *cli)
{
    return order_plan(cli, "switch");
}

int cmd_switch(struct cli *cli)
{
    return order_or_plan(cli, "switch", "switches");
}

int cmd_rollback(struct cli *cli)
{
    return order_or_plan(cli, "rollback", "rollback");
}

int cmd_pause(struct cli *cli)
{
    return order_or_plan(cli, "pause", "pause");
}

int cmd_resume(struct cli *cli)
{
    return order_or_plan(cli, "resume", "resume");
}

/* All of them working is no throttle any more: a resume. */
int cmd_throttle(struct cli *cli)
{
    const char *partitions = cli->args.value[OPT_PARTITIONS];

    if (!partitions)
        return cli_fail(cli, EXITS_USAGE, "--partitions is missing: how many go on working, as in 4, 25%% or all");
    if (word_is(partitions, "all"))
        return order_or_plan(cli, "resume", "resume");
    return order_or_plan(cli, "throttle", "throttle");
}

/* A word to what is under way: it is done when it is taken, and who wants to look on does. */
static int steer(struct cli *cli, const char *what)
{
    cli->args.times[OPT_NO_WAIT] = 1;
    return order_send(cli, what, NULL);
}

int cmd_hold(struct cli *cli)
{
    return steer(cli, "hold");
}

int cmd_promote(struct cli *cli)
{
    return steer(cli, "promote");
}

int cmd_abort(struct cli *cli)
{
    return order_send(cli, "abort", NULL);
}
