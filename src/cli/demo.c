/*
 * demo - all of Baton in under a minute, with a judge of its own.
 *
 * Real processes of this very program: a broker (or the Kafka it is told), a controller, two blue and two green
 * consumers (examples/orders.c), and a producer of numbered records. A switch in two stages, a rollback, and a switch
 * during which a consumer is killed with SIGKILL; then every record the brokers acknowledged is looked for in what the
 * consumers wrote into their databases. Nothing is left behind: processes, the folder, on a real Kafka also topics and
 * groups.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/api.h"
#include "cli/demo_run.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/producer.h"
#include "cli/render.h"
#include "kafka/client.h"

#define RATE_STANDARD 2000
#define VICTIM 1 /* the second blue consumer */
#define OPERATION_MS 90000
#define CATCH_UP_MS 60000

/* ---- the start ---- */

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
        const json_t *members = pick(json_object_get(pick(d->status, "colors"), demo_color_names[c]), "members");

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
        demo_fail(d, &m);
        d->code = EXITS_USAGE;
        return false;
    }
    d->view.doing = "starting";
    d->view.rate = (int)rate;
    if (!stage_folder(d) || !(d->embedded ? stage_broker(d) : stage_kafka(d)) || !stage_controller(d) ||
        !stage_fleet(d))
        return false;
    for (int i = 0; i < DEMO_CONSUMERS; i++)
        if (!stage_consumer(d, i))
            return false;
    if (producer_start(&d->producer, d->settings, d->name, DEMO_PARTITIONS, (int)rate, d->audit, &m) < 0)
        return demo_fail(d, &m);
    d->view.doing = "consumers join their groups";
    if (!demo_wait(d, all_ready, DEMO_READY_MS, "the start of 2 + 2 consumers"))
        return false;
    demo_tell(d, PLAIN, "%d records/s; 2 blue consumers (%s) work, 2 green (%s) stand by", (int)rate, demo_versions[0],
              demo_versions[1]);
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

    demo_tell(d, BOLD, "$ baton %s", o->typed);
    snprintf(path, sizeof(path), "%s/%s", d->fleet_path, o->what);
    if (api_call(d->asker.api, &reply, "POST", path, "application/json", o->body, strlen(o->body), &m) < 0)
        return demo_fail(d, &m);
    if (reply.status >= 300) {
        struct str page = STR_WITH_MAX(DEMO_PAGE_MAX);

        render_error(&page, &d->cli->err, reply.status, reply.json);
        live_end(false);
        d->live = false;
        fputs(page.buf, stderr);
        str_free(&page);
        err_set(&m, ERR_STATE, "'baton %s' was refused", o->typed);
        api_reply_free(&reply);
        return demo_fail(d, &m);
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

            if (us >= 0 && standstills->count < DEMO_STANDSTILLS_MAX)
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
    struct str page = STR_WITH_MAX(DEMO_PAGE_MAX);
    char path[128], p50[32], max[32];
    struct api_reply reply;
    struct errmsg m = { 0 };
    const json_t *op = pick(d->status, "operation");
    const char *ended = pick_text(op, "state", "?");

    snprintf(path, sizeof(path), "%s/switches/%" PRId64 "/receipt", d->fleet_path, number);
    if (api_call(d->asker.api, &reply, "GET", path, NULL, NULL, 0, &m) < 0)
        return demo_fail(d, &m);
    json_array_append(d->receipts, reply.json);
    d->switches++;
    render_end(&page, &(struct look){ .unicode = d->cli->err.unicode }, "demo", op);
    page.buf[strcspn(page.buf, "\n")] = 0;
    demo_tell(d, word_is(ended, "complete") ? GREEN_INK : YELLOW, "%s",
              strchr(page.buf, ':') ? strchr(page.buf, ':') + 2 : page.buf);
    if (*pick_text(op, "why", ""))
        demo_tell(d, PLAIN, "cause: %s", pick_text(op, "why", ""));
    demo_tell(d, PLAIN, "lost %" PRId64 ", repeated %" PRId64 ", standstill p50 %s, max %s",
              pick_int(reply.json, "totals.lost", -1), pick_int(reply.json, "totals.repeated", -1),
              render_us(p50, receipt_us(reply.json, "totals.standstill_ms.p50")),
              render_us(max, receipt_us(reply.json, "totals.standstill_ms.max")));
    str_free(&page);
    api_reply_free(&reply);
    if (word_is(ended, state))
        return true;
    err_set(&m, ERR_STATE, "operation %" PRId64 " ended '%s' where '%s' was expected: %s", number, ended, state,
            pick_text(op, "why", ""));
    return demo_fail(d, &m);
}

static bool perform(struct demo *d, const struct order_of_demo *o, const char *state)
{
    int64_t number = 0;

    d->view.doing = o->typed;
    if (!order(d, o, &number))
        return false;
    demo_look(d);
    return demo_wait(d, op_over, OPERATION_MS, "the end of the operation") && conclude(d, number, state);
}

/* A few seconds of ordinary work, for the eye. */
static bool a_while(struct demo *d, int ms, const char *doing)
{
    int64_t until_ms = clock_ms() + ms;

    d->view.doing = doing;
    while (clock_ms() < until_ms)
        if (!demo_step(d))
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
    struct child *victim = &d->children[DEMO_CONSUMER_FIRST + VICTIM];
    int64_t number = 0;

    d->view.doing = halves.typed;
    if (!order(d, &halves, &number))
        return false;
    demo_look(d);
    if (!demo_wait(d, first_stage_passed, OPERATION_MS, "the first stage"))
        return false;
    demo_tell(d, RED, "$ kill -9 %d   (%s, in the middle of the switch)", (int)victim->pid, victim->name);
    child_signal(victim, SIGKILL);
    d->killed[VICTIM] = true;
    d->view.colors[0].running--;
    d->view.colors[0].killed++;
    d->view.doing = "silence is not consent: Baton waits for the killed one, then goes back";
    return demo_wait(d, op_over, OPERATION_MS, "the end of the switch") && conclude(d, number, "rolled-back");
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

    for (int i = 0; i < DEMO_CONSUMERS; i++)
        lines += ledger_count(&d->ledgers[i]);
    return lines >= d->view.produced;
}

/* Records that consumers say they have done, and that stand in no ledger twice only because its key forbids it. */
static int64_t hidden_repeats(struct demo *d)
{
    int64_t hidden = 0;

    for (int i = 0; i < DEMO_CONSUMERS; i++) {
        const json_t *members = pick(json_object_get(pick(d->status, "colors"), demo_color_names[i / 2]), "members");
        int64_t lines = ledger_count(&d->ledgers[i]);
        size_t k;
        json_t *member;

        json_array_foreach((json_t *)members, k, member)
        {
            int64_t done = pick_int(member, "records_done", 0);

            if (!d->killed[i] && done > lines &&
                word_is(pick_text(member, "client_id", ""), d->children[DEMO_CONSUMER_FIRST + i].name))
                hidden += done - lines;
        }
    }
    return hidden;
}

static int read_ledgers(struct demo *d, struct errmsg *m)
{
    int r = ERR_OK;

    audit_forget_processed(d->audit);
    for (int i = 0; i < DEMO_CONSUMERS && r == ERR_OK; i++)
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
    int64_t hidden, until_ms;

    d->view.doing = "the producer has stopped; the rest is processed";
    if (producer_stop(d->producer, 10000, &m) < 0) {
        d->producer = NULL;
        return demo_fail(d, &m);
    }
    d->producer = NULL;
    for (size_t i = 0; i < json_array_size(d->receipts); i++) /* the last one had the kill */
        receipt_take(d, json_array_get(d->receipts, i),
                     i + 1 < json_array_size(d->receipts) ? &d->orderly : &d->after_kill);
    audit_judge(d->audit, ret);
    d->view.produced = ret->produced;
    until_ms = clock_ms() + CATCH_UP_MS;
    while (!settled(d) && clock_ms() < until_ms) /* what is missing then is lost, and said */
        if (!demo_step(d))
            return false;
    if (!a_while(d, 1500, "the last reports come in"))
        return false;
    if (read_ledgers(d, &m) < 0)
        return demo_fail(d, &m);
    audit_judge(d->audit, ret);
    hidden = hidden_repeats(d);
    ret->repeated += hidden;
    ret->unlisted += hidden;
    return true;
}

static void report(struct demo *d, const struct audit_result *a)
{
    struct str page = STR_WITH_MAX(DEMO_PAGE_MAX);
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

static void open_audit(struct demo *d)
{
    for (int i = 0; i < DEMO_CONSUMERS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%s-%d", demo_color_names[i / 2], i % 2 + 1);
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
    for (int i = 0; i < DEMO_CHILDREN; i++)
        d->children[i].out = -1;
    memset(d->view.holders, '?', DEMO_PARTITIONS);
    for (int c = 0; c < 2; c++)
        d->view.colors[c].version = demo_versions[c];
    code = kafka_settings_of(&d->settings, cli, &m);
    if (code < 0) {
        audit_free(d->audit);
        json_decref(d->receipts);
        free(d);
        return cli_fail(cli, exit_of_error(code), "%s", m.text);
    }
    signal(SIGPIPE, SIG_IGN);
    unsetenv("BATON_TOKEN_FILE"); /* of somebody else's controller: ours has none */
    interrupts_catch();
    stage_name(d);
    stage_options(d);
    open_audit(d);
    d->embedded = !kafka_settings_get(d->settings, "bootstrap.servers");
    d->live = cli->err.terminal && !cli->quiet && !cli->args.times[OPT_VERBOSE];
    if (d->live)
        live_begin(&cli->err, STDERR_FILENO, false);
    if (set_up(d) && acts(d) && last_look(d, &result)) {
        d->view.doing = "everything is processed";
        d->view.finished = true;
        demo_draw(d);
        live_end(true);
        report(d, &result);
    }
    stage_clear(d);
    if (d->code == EXITS_LOOKED_AWAY)
        cli_say(cli, "stopped; nothing is left behind");
    code = d->code;
    free(d);
    return code;
}
