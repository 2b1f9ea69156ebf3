/*
 * demo - all of Baton in under a minute, with a judge of its own.
 *
 * Real processes of this very program: a broker (or the Kafka it is told), a controller, two blue and two green
 * consumers (examples/orders.c), and a producer of numbered records. A switch in two stages, a rollback, and a switch
 * during which a consumer is killed with SIGKILL; then every record the brokers acknowledged is looked for in what the
 * consumers wrote into their databases. Nothing is left behind: processes, the folder, on a real Kafka also topics and
 * groups.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/api.h"
#include "cli/children.h"
#include "cli/demo_view.h"
#include "cli/ledger.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/producer.h"
#include "cli/render.h"
#include "kafka/log.h"

#define PAGE_MAX (4u * 1024 * 1024)
#define RATE_STANDARD 2000
#define CONSUMERS 4
#define CONSUMER_FIRST 2 /* children: broker, controller, consumers */
#define CHILDREN (CONSUMER_FIRST + CONSUMERS)
#define VICTIM 1 /* the second blue one */
#define READY_MS 30000
#define OPERATION_MS 40000
#define CATCH_UP_MS 30000
#define LOOK_MS 60
#define RATES_MS 250
#define STANDSTILLS_MAX 4096
#define MORE_MAX 128

struct demo {
    struct cli *cli;     /* as called */
    struct cli asker;    /* asks our own controller */
    char self[PATH_MAX]; /* this program */
    char folder[64];
    char name[32]; /* fleet and topic: baton-demo-3f9c */
    char prefix[40];
    char bootstrap[512];
    char server[128];
    char fleet_path[64];
    bool embedded;
    struct kafka_settings *settings;
    struct child children[CHILDREN];
    struct ledger ledgers[CONSUMERS];
    bool killed[CONSUMERS];
    struct producer *producer;
    struct audit *audit;
    struct demo_view view;
    json_t *status; /* newest */
    bool live;
    int64_t began_ms, rates_ms, asked_ms;
    int64_t done_before[2];
    struct standstills {
        int64_t us[STANDSTILLS_MAX];
        int count;
    } orderly, after_kill; /* a killed consumer's partitions stand still until Kafka gives them away */
    int switches;
    json_t *receipts;     /* of all operations, in their order */
    char *more[MORE_MAX]; /* librdkafka properties for the consumers */
    int more_count;
    int64_t judged_ms, settle_until_ms;
    int code; /* what it ends with */
};

static const char *const color_names[2] = { "blue", "green" };
static const char *const versions[2] = { "v1", "v2" };

/* ---- telling ---- */

static void draw(struct demo *d)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    if (!d->live)
        return;
    d->view.elapsed_ms = clock_ms() - d->began_ms;
    d->view.frame++;
    demo_picture(&page, &d->cli->err, &d->view, clock_unix_ms());
    live_draw(page.buf);
    str_free(&page);
}

/* One line of the story. */
static void tell(struct demo *d, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void tell(struct demo *d, enum style style, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(PAGE_MAX), line = STR_WITH_MAX(PAGE_MAX), fitted = STR_WITH_MAX(PAGE_MAX);
    const struct look *look = &d->cli->err;
    va_list ap;

    if (d->cli->quiet)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    look_addf(&line, look, DIM, "%5.1f s  ", (double)(clock_ms() - d->began_ms) / 1000);
    str_add(&line, look_code(look, style));
    look_wrap(&line, text.buf, look->width, 9);
    if (style != PLAIN)
        str_add(&line, look_code(look, PLAIN));
    str_add_char(&line, '\n');
    if (d->live) {
        live_above(line.buf);
        draw(d);
    } else {
        fputs(line.buf, stderr);
    }
    str_free(&text);
    str_free(&line);
    str_free(&fitted);
}

static bool fail(struct demo *d, const struct errmsg *m)
{
    if (interrupts_count() > 0) {
        d->code = EXITS_LOOKED_AWAY;
        return false;
    }
    live_end(false);
    d->live = false;
    d->code = cli_fail(d->cli, EXITS_FAILED, "demo: %s", m->text);
    return false;
}

/* ---- time passing ---- */

static void look_at_status(struct demo *d)
{
    struct errmsg m = { 0 };
    struct api_reply reply;
    json_t *p;
    size_t i;

    if (!d->asker.api || api_call(d->asker.api, &reply, "GET", d->fleet_path, NULL, NULL, 0, &m) < 0)
        return;
    if (reply.status == 200 && json_is_object(reply.json)) {
        json_decref(d->status);
        d->status = json_incref(reply.json);
    }
    api_reply_free(&reply);
    json_array_foreach((json_t *)pick(d->status, "partitions"), i, p)
    {
        const char *state = pick_text(p, "state", ""), *holder = pick_text(p, "holder", "?");

        if (i < DEMO_PARTITIONS)
            d->view.holders[i] = word_is(state, "releasing") || word_is(state, "granted") ? 'r' : holder[0];
    }
    d->view.op = pick(d->status, "operation");
    if (!json_is_object(d->view.op) || op_has_ended(d->view.op))
        d->view.op = NULL;
}

static void count_done(struct demo *d)
{
    int64_t now_ms = clock_ms();

    if (now_ms - d->rates_ms < RATES_MS)
        return;
    for (int c = 0; c < 2; c++) {
        struct demo_color *color = &d->view.colors[c];

        color->done = 0;
        for (int i = c * 2; i < c * 2 + 2; i++)
            color->done += ledger_count(&d->ledgers[i]);
        memmove(color->rates, color->rates + 1, sizeof(color->rates) - sizeof(color->rates[0]));
        color->rates[DEMO_HISTORY - 1] = (int)((color->done - d->done_before[c]) * 1000 / (now_ms - d->rates_ms));
        d->done_before[c] = color->done;
    }
    if (d->producer)
        d->view.produced = producer_count(d->producer);
    d->rates_ms = now_ms;
}

/* False: a signal, or a process that ended by itself. */
static bool step(struct demo *d)
{
    struct errmsg m = { 0 };
    char words[400];

    if (d->asker.api)
        api_wait(d->asker.api, LOOK_MS, NULL);
    else
        poll(NULL, 0, LOOK_MS);
    if (interrupts_count() > 0) {
        d->code = EXITS_LOOKED_AWAY;
        return false;
    }
    for (int i = 0; i < CHILDREN; i++) {
        struct child *c = &d->children[i];

        if (c->name[0] && !c->expected && !child_runs(c)) {
            child_last_words(c, words, sizeof(words));
            err_set(&m, ERR_CLOSED, "%s ended by itself: %s", c->name, words);
            return fail(d, &m);
        }
    }
    look_at_status(d);
    count_done(d);
    draw(d);
    return true;
}

typedef bool condition(struct demo *d);

static bool wait_for(struct demo *d, condition *met, int timeout_ms, const char *what)
{
    int64_t until_ms = clock_ms() + timeout_ms;
    struct errmsg m = { 0 };

    while (!met(d)) {
        if (!step(d))
            return false;
        if (clock_ms() > until_ms) {
            err_set(&m, ERR_TIMEOUT, "%s did not come about within %d s", what, timeout_ms / 1000);
            return fail(d, &m);
        }
    }
    return true;
}

/* ---- setting up ---- */

static void random_name(struct demo *d)
{
    unsigned char bytes[4];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        uint32_t clock = (uint32_t)clock_unix_us();

        memcpy(bytes, &clock, sizeof(bytes));
    }
    snprintf(d->name, sizeof(d->name), "baton-demo-%02x%02x%02x", bytes[0], bytes[1], bytes[2]);
    snprintf(d->prefix, sizeof(d->prefix), "%s.", d->name);
    snprintf(d->fleet_path, sizeof(d->fleet_path), "/v1/fleets/%s", d->name);
}

static bool make_folder(struct demo *d)
{
    const char *tmp = getenv("TMPDIR");
    struct errmsg m = { 0 };
    ssize_t len = readlink("/proc/self/exe", d->self, sizeof(d->self) - 1);

    if (len <= 0) {
        err_set(&m, ERR_IO, "find this program: %s", strerror(errno));
        return fail(d, &m);
    }
    d->self[len] = 0;
    snprintf(d->folder, sizeof(d->folder), "%s/baton-demo-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(d->folder)) {
        err_set(&m, ERR_IO, "make a folder %s: %s", d->folder, strerror(errno));
        d->folder[0] = 0;
        return fail(d, &m);
    }
    for (int i = 0; i < CONSUMERS; i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s-%d.db", d->folder, color_names[i / 2], i % 2 + 1);
        ledger_init(&d->ledgers[i], path);
    }
    return true;
}

static bool start_broker(struct demo *d)
{
    char topic[64];
    const char *const argv[] = { d->self, "broker", "--quiet", "--prefix", d->prefix, "--topic", topic, NULL };
    struct errmsg m = { 0 };

    snprintf(topic, sizeof(topic), "%s=%d", d->name, DEMO_PARTITIONS);
    if (child_start(&d->children[0], "broker", d->folder, argv, true, &m) < 0 ||
        child_line(&d->children[0], d->bootstrap, sizeof(d->bootstrap), READY_MS, &m) < 0 ||
        kafka_settings_set(d->settings, "bootstrap.servers", d->bootstrap, &m) < 0)
        return fail(d, &m);
    tell(d, PLAIN, "an embedded broker on %s (a mock, not Kafka)", d->bootstrap);
    return true;
}

static bool meet_kafka(struct demo *d)
{
    struct kafka_handle h = { 0 };
    struct errmsg m = { 0 };
    int r;

    snprintf(d->bootstrap, sizeof(d->bootstrap), "%s", kafka_settings_get(d->settings, "bootstrap.servers"));
    r = kafka_handle_open(&h, RD_KAFKA_CONSUMER, "demo", d->settings, NULL, NULL, NULL, &m);
    if (r < 0)
        return fail(d, &m);
    r = kafka_handle_connect(&h, 10000, &m);
    if (r == ERR_OK)
        r = kafka_topic_create(&h, d->name, DEMO_PARTITIONS, NULL, 10000, &m);
    kafka_handle_close(&h);
    if (r < 0)
        return fail(d, &m);
    tell(d, PLAIN, "Kafka at %s, topic %s", d->bootstrap, d->name);
    return true;
}

/* --config and -X of the command line, for children. */
static int pass_on(const struct args *a, const char **argv, int argc)
{
    if (a->value[OPT_CONFIG]) {
        argv[argc++] = "--config";
        argv[argc++] = a->value[OPT_CONFIG];
    }
    for (int i = 0; i < a->many_count; i++)
        if (a->many_id[i] == OPT_PROPERTY) {
            argv[argc++] = "-X";
            argv[argc++] = a->many[i];
        }
    return argc;
}

static bool start_controller(struct demo *d)
{
    const char *argv[16 + 2 * MANY_MAX] = { d->self,    "serve",       "--bootstrap", d->bootstrap,
                                            "--listen", "127.0.0.1:0", "--prefix",    d->prefix };
    struct child *c = &d->children[1];
    char line[160] = "";
    struct errmsg m = { 0 };
    char *url;

    pass_on(&d->cli->args, argv, 8);
    if (child_start(c, "controller", d->folder, argv, true, &m) < 0 ||
        child_line(c, line, sizeof(line), READY_MS, &m) < 0)
        return fail(d, &m);
    url = strstr(line, "http://");
    snprintf(d->server, sizeof(d->server), "%s", url ? url : "");
    d->asker = (struct cli){ .out = d->cli->out, .err = d->cli->err };
    d->asker.args.value[OPT_SERVER] = d->server;
    d->asker.args.times[OPT_SERVER] = 1;
    if (api_open(&d->asker.api, &d->asker, &m) < 0)
        return fail(d, &m);
    api_interrupts(d->asker.api);
    tell(d, PLAIN, "a controller on %s", d->server);
    return true;
}

static bool apply_fleet(struct demo *d)
{
    char yaml[512];
    struct api_reply reply;
    struct errmsg m = { 0 };

    /* Short times, so that a killed consumer is missed within the demo's minute. */
    snprintf(yaml, sizeof(yaml),
             "fleet: %s\ntopics: [%s]\nswitch:\n  observe: 0s\n  deadline: 30s\n"
             "members:\n  session_timeout: 6s\n  processing_max: 1s\n  follow_interval: 1s\n",
             d->name, d->name);
    if (api_call(d->asker.api, &reply, "PUT", d->fleet_path, "application/yaml", yaml, strlen(yaml), &m) < 0)
        return fail(d, &m);
    if (reply.status >= 300) {
        err_set(&m, ERR_STATE, "the fleet file was refused: %s",
                pick_text(reply.json, "error.message", "for no reason that Baton understands"));
        api_reply_free(&reply);
        return fail(d, &m);
    }
    api_reply_free(&reply);
    return true;
}

/* What the consumers are told beyond the demo's own: the lines of --config and each -X, as NAME=VALUE. */
static bool more_options(struct demo *d)
{
    const struct args *a = &d->cli->args;
    FILE *file = a->value[OPT_CONFIG] ? fopen(a->value[OPT_CONFIG], "re") : NULL;
    char line[1024];

    while (file && fgets(line, sizeof(line), file) && d->more_count < MORE_MAX) {
        char *at = line + strspn(line, " \t"), *value = strchr(at, '='), *end;

        at[strcspn(at, "\r\n")] = 0;
        if (*at == '#' || !value)
            continue;
        for (end = value; end > at && strchr(" \t", end[-1]); end--)
            ;
        *value++ = 0;
        *end = 0;
        value += strspn(value, " \t");
        if (!word_is(at, "bootstrap.servers") && asprintf(&d->more[d->more_count], "%s=%s", at, value) >= 0)
            d->more_count++;
    }
    if (file)
        fclose(file);
    for (int i = 0; i < a->many_count && d->more_count < MORE_MAX; i++)
        if (a->many_id[i] == OPT_PROPERTY && (d->more[d->more_count] = strdup(a->many[i])))
            d->more_count++;
    return true;
}

static bool start_consumer(struct demo *d, int i)
{
    const char *color = color_names[i / 2];
    char name[32], client[64], prefix[80], version[64];
    const char *argv[16 + MORE_MAX] = {
        d->self, "demo-consumer", d->name, color, d->bootstrap, d->ledgers[i].path, "session.timeout.ms=6000",
        client,  prefix,          version
    };
    struct errmsg m = { 0 };

    snprintf(name, sizeof(name), "%s-%d", color, i % 2 + 1);
    snprintf(client, sizeof(client), "client.id=%s", name);
    snprintf(prefix, sizeof(prefix), "baton.control.prefix=%s", d->prefix);
    snprintf(version, sizeof(version), "baton.version=%s", versions[i / 2]);
    for (int k = 0; k < d->more_count; k++)
        argv[10 + k] = d->more[k];
    if (child_start(&d->children[CONSUMER_FIRST + i], name, d->folder, argv, false, &m) < 0)
        return fail(d, &m);
    d->view.colors[i / 2].running++;
    return true;
}

/* Every partition has an owner in both colors, and every consumer has said that it is ready. */
static bool all_ready(struct demo *d)
{
    const json_t *partitions = pick(d->status, "partitions");
    size_t i;
    json_t *p, *member;

    if (json_array_size(partitions) != DEMO_PARTITIONS)
        return false;
    json_array_foreach((json_t *)partitions, i,
                       p) if (!pick_text(p, "owner.blue", NULL) || !pick_text(p, "owner.green", NULL)) return false;
    for (int c = 0; c < 2; c++) {
        const json_t *members = pick(json_object_get(pick(d->status, "colors"), color_names[c]), "members");

        if (json_array_size(members) != 2)
            return false;
        json_array_foreach((json_t *)members, i, member) if (!pick_bool(member, "ready", false) ||
                                                             pick_int(member, "partitions", 0) == 0) return false;
    }
    return d->view.colors[0].done > 0;
}

static bool set_up(struct demo *d)
{
    int64_t rate = RATE_STANDARD;
    struct errmsg m = { 0 };

    if (d->cli->args.value[OPT_RATE] && parse_int64(&rate, d->cli->args.value[OPT_RATE], 1, 100000, &m) < 0) {
        err_wrap(&m, ERR_INVALID, "--rate");
        fail(d, &m);
        d->code = EXITS_USAGE;
        return false;
    }
    d->view.doing = "starting";
    d->view.rate = (int)rate;
    if (!make_folder(d) || !(d->embedded ? start_broker(d) : meet_kafka(d)) || !start_controller(d) || !apply_fleet(d))
        return false;
    for (int i = 0; i < CONSUMERS; i++)
        if (!start_consumer(d, i))
            return false;
    if (producer_start(&d->producer, d->settings, d->name, DEMO_PARTITIONS, (int)rate, d->audit, &m) < 0)
        return fail(d, &m);
    d->view.doing = "consumers join their groups";
    if (!wait_for(d, all_ready, READY_MS, "the start of 2 + 2 consumers"))
        return false;
    tell(d, PLAIN, "%d records/s; 2 blue consumers (%s) work, 2 green (%s) stand by", (int)rate, versions[0],
         versions[1]);
    return true;
}

/* ---- operations ---- */

struct order_of_demo {
    const char *what;  /* end of the path */
    const char *typed; /* as one would type it */
    const char *body;
};

static bool order(struct demo *d, const struct order_of_demo *o, int64_t *ret_number)
{
    char path[128];
    struct api_reply reply;
    struct errmsg m = { 0 };

    tell(d, BOLD, "$ baton %s", o->typed);
    snprintf(path, sizeof(path), "%s/%s", d->fleet_path, o->what);
    if (api_call(d->asker.api, &reply, "POST", path, "application/json", o->body, strlen(o->body), &m) < 0)
        return fail(d, &m);
    if (reply.status >= 300) {
        struct str page = STR_WITH_MAX(PAGE_MAX);

        render_error(&page, &d->cli->err, reply.status, reply.json);
        live_end(false);
        d->live = false;
        fputs(page.buf, stderr);
        str_free(&page);
        err_set(&m, ERR_STATE, "'baton %s' was refused", o->typed);
        api_reply_free(&reply);
        return fail(d, &m);
    }
    *ret_number = pick_int(reply.json, "number", 0);
    api_reply_free(&reply);
    return true;
}

static bool op_over(struct demo *d)
{
    return op_has_ended(pick(d->status, "operation"));
}

/* Its standstills, and what it lists as possibly repeated. */
static void receipt_take(struct demo *d, const json_t *receipt, struct standstills *standstills)
{
    static const char *const ways[2] = { "forth", "back" };
    size_t i;
    json_t *p;

    json_array_foreach((json_t *)pick(receipt, "partitions"), i, p)
    {
        for (int w = 0; w < 2; w++) {
            const json_t *pass = json_object_get(p, ways[w]), *maybe = json_object_get(pass, "possibly_repeated");
            int64_t us = receipt_us(pass, "standstill_ms");

            if (us >= 0 && standstills->count < STANDSTILLS_MAX)
                standstills->us[standstills->count++] = us;
            if (json_is_object(maybe))
                audit_listed(d->audit, (int)pick_int(p, "partition", -1), pick_int(maybe, "from", 0),
                             pick_int(maybe, "to", 0));
        }
    }
}

/* Its end as two lines of the story, its receipt for the end. */
static bool conclude(struct demo *d, int64_t number, const char *state)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    char path[128], p50[32], max[32];
    struct api_reply reply;
    struct errmsg m = { 0 };
    const json_t *op = pick(d->status, "operation");
    const char *ended = pick_text(op, "state", "?");

    snprintf(path, sizeof(path), "%s/switches/%" PRId64 "/receipt", d->fleet_path, number);
    if (api_call(d->asker.api, &reply, "GET", path, NULL, NULL, 0, &m) < 0)
        return fail(d, &m);
    json_array_append(d->receipts, reply.json);
    d->switches++;
    render_end(&page, &(struct look){ .unicode = d->cli->err.unicode }, "demo", op);
    page.buf[strcspn(page.buf, "\n")] = 0;
    tell(d, word_is(ended, "complete") ? GREEN_INK : YELLOW, "%s",
         strchr(page.buf, ':') ? strchr(page.buf, ':') + 2 : page.buf);
    if (*pick_text(op, "why", ""))
        tell(d, PLAIN, "cause: %s", pick_text(op, "why", ""));
    tell(d, PLAIN, "lost %" PRId64 ", repeated %" PRId64 ", standstill p50 %s, max %s",
         pick_int(reply.json, "totals.lost", -1), pick_int(reply.json, "totals.repeated", -1),
         render_us(p50, receipt_us(reply.json, "totals.standstill_ms.p50")),
         render_us(max, receipt_us(reply.json, "totals.standstill_ms.max")));
    str_free(&page);
    api_reply_free(&reply);
    if (word_is(ended, state))
        return true;
    err_set(&m, ERR_STATE, "operation %" PRId64 " ended '%s' where '%s' was expected: %s", number, ended, state,
            pick_text(op, "why", ""));
    return fail(d, &m);
}

static bool perform(struct demo *d, const struct order_of_demo *o, const char *state)
{
    int64_t number;

    d->view.doing = o->typed;
    if (!order(d, o, &number))
        return false;
    look_at_status(d);
    return wait_for(d, op_over, OPERATION_MS, "the end of the operation") && conclude(d, number, state);
}

/* A few seconds of ordinary work, for the eye. */
static bool a_while(struct demo *d, int ms, const char *doing)
{
    int64_t until_ms = clock_ms() + ms;

    d->view.doing = doing;
    while (clock_ms() < until_ms)
        if (!step(d))
            return false;
    return true;
}

/* ---- the acts ---- */

static bool first_stage_passed(struct demo *d)
{
    return word_is(pick_text(d->status, "operation.state", ""), "observing") || op_over(d);
}

static bool act_kill(struct demo *d)
{
    static const struct order_of_demo halves = {
        "switches", "switch --to green --stages 50%,100% --observe 2s --deadline 25s",
        "{\"to\":\"green\",\"stages\":[\"50%\",\"100%\"],\"observe\":\"2s\",\"deadline\":\"25s\","
        "\"reason\":\"a consumer will be killed\"}"
    };
    struct child *victim = &d->children[CONSUMER_FIRST + VICTIM];
    int64_t number;

    d->view.doing = halves.typed;
    if (!order(d, &halves, &number))
        return false;
    look_at_status(d);
    if (!wait_for(d, first_stage_passed, OPERATION_MS, "the first stage"))
        return false;
    tell(d, RED, "$ kill -9 %d   (%s, in the middle of the switch)", (int)victim->pid, victim->name);
    child_signal(victim, SIGKILL);
    d->killed[VICTIM] = true;
    d->view.colors[0].running--;
    d->view.colors[0].killed++;
    d->view.doing = "silence is not consent: Baton waits for the killed one, then goes back";
    return wait_for(d, op_over, OPERATION_MS, "the end of the switch") && conclude(d, number, "rolled-back");
}

static bool acts(struct demo *d)
{
    static const struct order_of_demo there = {
        "switches", "switch --to green --stages 50%,100% --observe 1s",
        "{\"to\":\"green\",\"stages\":[\"50%\",\"100%\"],\"observe\":\"1s\",\"reason\":\"deploy v2\"}"
    };
    static const struct order_of_demo back = { "rollback", "rollback", "{\"reason\":\"second thoughts\"}" };

    return a_while(d, 1500, "blue works") && perform(d, &there, "complete") && a_while(d, 1500, "green works") &&
           perform(d, &back, "complete") && a_while(d, 1000, "blue works again") && act_kill(d);
}

/* ---- the end ---- */

static bool caught_up(struct demo *d)
{
    int64_t lines = 0;

    for (int i = 0; i < CONSUMERS; i++)
        lines += ledger_count(&d->ledgers[i]);
    return lines >= d->view.produced;
}

/* Records that consumers say they have done, and that stand in no ledger twice only because its key forbids it. */
static int64_t hidden_repeats(struct demo *d)
{
    int64_t hidden = 0;

    for (int i = 0; i < CONSUMERS; i++) {
        const json_t *members = pick(json_object_get(pick(d->status, "colors"), color_names[i / 2]), "members");
        int64_t lines = ledger_count(&d->ledgers[i]);
        size_t k;
        json_t *member;

        json_array_foreach((json_t *)members, k, member)
        {
            int64_t done = pick_int(member, "records_done", 0);

            if (!d->killed[i] && done > lines &&
                word_is(pick_text(member, "client_id", ""), d->children[CONSUMER_FIRST + i].name))
                hidden += done - lines;
        }
    }
    return hidden;
}

static int read_ledgers(struct demo *d, struct errmsg *m)
{
    int r = ERR_OK;

    audit_forget_processed(d->audit);
    for (int i = 0; i < CONSUMERS && r == ERR_OK; i++)
        r = ledger_read(&d->ledgers[i], d->audit, i, m);
    return r;
}

/* Lines may be more than records (Kafka's repeats after the kill): what counts is that nothing is missing. */
static bool settled(struct demo *d)
{
    struct audit_result result;
    struct errmsg m = { 0 };

    if (!caught_up(d) || clock_ms() - d->judged_ms < 500)
        return false;
    d->judged_ms = clock_ms();
    if (read_ledgers(d, &m) < 0)
        return false;
    audit_judge(d->audit, &result);
    return result.lost == 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void standstill_of(struct standstills *all, struct demo_standstill *ret)
{
    int n = all->count;

    *ret = (struct demo_standstill){ .known = n, .p50_us = -1, .p99_us = -1, .max_us = -1 };
    if (n == 0)
        return;
    qsort(all->us, (size_t)n, sizeof(all->us[0]), by_size);
    ret->p50_us = all->us[(n * 50 + 99) / 100 - 1];
    ret->p99_us = all->us[(n * 99 + 99) / 100 - 1];
    ret->max_us = all->us[n - 1];
}

static json_t *ms_json(int64_t us)
{
    return us < 0 ? json_null() : json_real((double)us / 1000);
}

static json_t *result_json(const struct demo *d, const struct audit_result *a, const struct demo_standstill *s,
                           const struct demo_standstill *killed)
{
    json_t *json = json_object();

    json_object_set_new(json, "produced", json_integer(a->produced));
    json_object_set_new(json, "switches", json_integer(d->switches));
    json_object_set_new(json, "lost", json_integer(a->lost));
    json_object_set_new(json, "repeated", json_integer(a->repeated));
    json_object_set_new(json, "unlisted_repeats", json_integer(a->unlisted));
    json_object_set_new(json, "repeated_within_color_after_kill", json_integer(a->repeated_by_kafka));
    json_object_set_new(json, "strange", json_integer(a->strange));
    json_object_set_new(json, "standstill_ms_p50", ms_json(s->p50_us));
    json_object_set_new(json, "standstill_ms_p99", ms_json(s->p99_us));
    json_object_set_new(json, "standstill_ms_max", ms_json(s->max_us));
    json_object_set_new(json, "standstill_ms_max_after_kill", ms_json(killed->max_us));
    json_object_set_new(json, "passes", json_integer(s->known));
    json_object_set_new(json, "embedded_broker", json_boolean(d->embedded));
    json_object_set_new(json, "seconds", json_real((double)(clock_ms() - d->began_ms) / 1000));
    return json;
}

/* Everybody still runs: nothing is lost only because it was not waited for. */
static bool last_look(struct demo *d, struct audit_result *ret)
{
    struct errmsg m = { 0 };
    int64_t hidden;

    d->view.doing = "the producer has stopped; the rest is processed";
    if (producer_stop(d->producer, 10000, &m) < 0) {
        d->producer = NULL;
        return fail(d, &m);
    }
    d->producer = NULL;
    for (size_t i = 0; i < json_array_size(d->receipts); i++) /* the last one had the kill */
        receipt_take(d, json_array_get(d->receipts, i),
                     i + 1 < json_array_size(d->receipts) ? &d->orderly : &d->after_kill);
    audit_judge(d->audit, ret);
    d->view.produced = ret->produced;
    d->settle_until_ms = clock_ms() + CATCH_UP_MS;
    while (!settled(d) && clock_ms() < d->settle_until_ms) /* what is missing then is lost, and said */
        if (!step(d))
            return false;
    if (!a_while(d, 1500, "the last reports come in"))
        return false;
    if (read_ledgers(d, &m) < 0)
        return fail(d, &m);
    audit_judge(d->audit, ret);
    hidden = hidden_repeats(d);
    ret->repeated += hidden;
    ret->unlisted += hidden;
    return true;
}

static void report(struct demo *d, const struct audit_result *a)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct demo_standstill standstill, after_kill;
    bool good = a->lost == 0 && a->unlisted == 0 && a->strange == 0;

    standstill_of(&d->orderly, &standstill);
    standstill_of(&d->after_kill, &after_kill);
    if (d->cli->json) {
        json_t *json = result_json(d, a, &standstill, &after_kill);

        cli_print_json(json);
        json_decref(json);
    } else {
        str_add_char(&page, '\n');
        str_add(&page, "The receipt of the first switch, as 'baton receipt' prints it:\n\n");
        render_receipt(&page, &d->cli->out, json_array_get(d->receipts, 0));
        str_add_char(&page, '\n');
        demo_audit_page(&page, &d->cli->out, a, &standstill, &after_kill);
        cli_print(&page);
    }
    str_free(&page);
    d->code = good ? EXITS_DONE : EXITS_FAILED;
}

static void remove_topics(struct demo *d)
{
    char control[80], reports[80], group[3][80];
    const char *const topics[3] = { d->name, control, reports };
    struct kafka_handle h = { 0 };
    struct errmsg m = { 0 };
    rd_kafka_DeleteTopic_t *t[3];
    rd_kafka_DeleteGroup_t *g[3];
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;

    if (d->embedded || !d->bootstrap[0] ||
        kafka_handle_open(&h, RD_KAFKA_CONSUMER, "demo", d->settings, NULL, NULL, NULL, &m) < 0)
        return;
    snprintf(control, sizeof(control), "%s%s", d->prefix, CONTROL_TOPIC);
    snprintf(reports, sizeof(reports), "%s%s", d->prefix, REPORTS_TOPIC);
    snprintf(group[0], sizeof(group[0]), "%s-blue", d->name);
    snprintf(group[1], sizeof(group[1]), "%s-green", d->name);
    snprintf(group[2], sizeof(group[2]), "%s%s", d->prefix, CONTROLLER_GROUP);
    queue = rd_kafka_queue_new(h.rk);
    for (int i = 0; i < 3; i++) {
        t[i] = rd_kafka_DeleteTopic_new(topics[i]);
        g[i] = rd_kafka_DeleteGroup_new(group[i]);
    }
    rd_kafka_DeleteTopics(h.rk, t, 3, NULL, queue);
    rd_kafka_DeleteGroups(h.rk, g, 3, NULL, queue);
    for (int i = 0; i < 2; i++) {
        event = rd_kafka_queue_poll(queue, 10000);
        if (event && rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
            cli_say(d->cli, "demo: could not remove its %s: %s",
                    rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT ? "topics" : "groups",
                    rd_kafka_event_error_string(event));
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(t, 3);
    rd_kafka_DeleteGroup_destroy_array(g, 3);
    rd_kafka_queue_destroy(queue);
    kafka_handle_close(&h);
}

static void remove_folder(struct demo *d)
{
    DIR *dir = d->folder[0] ? opendir(d->folder) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (d->folder[0])
        rmdir(d->folder);
}

/* In the order in which nobody misses another: consumers leave their groups while there is a broker. */
static void clean_up(struct demo *d)
{
    struct errmsg m = { 0 };

    live_end(d->code == EXITS_DONE);
    d->live = false;
    if (d->producer)
        producer_stop(d->producer, 500, &m);
    children_end(&d->children[CONSUMER_FIRST], CONSUMERS, 5000);
    api_close(d->asker.api);
    children_end(&d->children[1], 1, 5000);
    remove_topics(d);
    children_end(&d->children[0], 1, 2000);
    for (int i = 0; i < CONSUMERS; i++)
        ledger_deinit(&d->ledgers[i]);
    remove_folder(d);
    for (int i = 0; i < d->more_count; i++)
        free(d->more[i]);
    json_decref(d->status);
    json_decref(d->receipts);
    audit_free(d->audit);
    kafka_settings_free(d->settings);
}

static void open_audit(struct demo *d)
{
    for (int i = 0; i < CONSUMERS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%s-%d", color_names[i / 2], i % 2 + 1);
        audit_consumer(d->audit, i, name, i / 2 == 1, i == VICTIM);
    }
}

int cmd_demo(struct cli *cli)
{
    struct demo *d = calloc(1, sizeof(*d));
    struct audit_result result;
    struct errmsg m = { 0 };
    int code;

    if (!d || !(d->audit = audit_new(DEMO_PARTITIONS)) || !(d->receipts = json_array())) {
        if (d)
            audit_free(d->audit);
        free(d);
        return cli_fail(cli, EXITS_FAILED, "out of memory");
    }
    d->cli = cli;
    d->began_ms = d->rates_ms = clock_ms();
    for (int i = 0; i < CHILDREN; i++)
        d->children[i].out = -1;
    memset(d->view.holders, '?', DEMO_PARTITIONS);
    for (int c = 0; c < 2; c++)
        d->view.colors[c].version = versions[c];
    code = kafka_settings_of(&d->settings, cli, &m);
    if (code < 0) {
        audit_free(d->audit);
        json_decref(d->receipts);
        free(d);
        return cli_fail(cli, exit_of_error(code), "%s", m.text);
    }
    signal(SIGPIPE, SIG_IGN);
    interrupts_catch();
    random_name(d);
    more_options(d);
    open_audit(d);
    d->embedded = !kafka_settings_get(d->settings, "bootstrap.servers");
    d->live = cli->err.terminal && !cli->quiet && !cli->args.times[OPT_VERBOSE];
    if (d->live)
        live_begin(&cli->err, STDERR_FILENO, false);
    if (set_up(d) && acts(d) && last_look(d, &result)) {
        d->view.doing = "everything is processed";
        d->view.finished = true;
        draw(d);
        live_end(true);
        report(d, &result);
    }
    clean_up(d);
    if (d->code == EXITS_LOOKED_AWAY)
        cli_say(cli, "stopped; nothing is left behind");
    code = d->code;
    free(d);
    return code;
}
