/*
 * demo_watch - tells the demo's story and keeps its picture up to date while time passes.
 */
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/demo_run.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/producer.h"
#include "cli/render.h"

#define LOOK_MS 60
#define RATES_MS 250

const char *const demo_color_names[2] = { "blue", "green" };
const char *const demo_versions[2] = { "v1", "v2" };

void demo_draw(struct demo *d)
{
    struct str page = STR_WITH_MAX(DEMO_PAGE_MAX);

    if (!d->live)
        return;
    d->view.elapsed_ms = clock_ms() - d->began_ms;
    d->view.frame++;
    demo_picture(&page, &d->cli->err, &d->view, clock_unix_ms());
    live_draw(page.buf);
    str_free(&page);
}

/* One line of the story. */
void demo_tell(struct demo *d, enum style style, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(DEMO_PAGE_MAX), line = STR_WITH_MAX(DEMO_PAGE_MAX),
               fitted = STR_WITH_MAX(DEMO_PAGE_MAX);
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
        demo_draw(d);
    } else {
        fputs(line.buf, stderr);
    }
    str_free(&text);
    str_free(&line);
    str_free(&fitted);
}

bool demo_fail(struct demo *d, const struct errmsg *m)
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

void demo_look(struct demo *d)
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
bool demo_step(struct demo *d)
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
    for (int i = 0; i < DEMO_CHILDREN; i++) {
        struct child *c = &d->children[i];

        if (c->name[0] && !c->expected && !child_runs(c)) {
            child_last_words(c, words, sizeof(words));
            err_set(&m, ERR_CLOSED, "%s ended by itself: %s", c->name, words);
            return demo_fail(d, &m);
        }
    }
    demo_look(d);
    count_done(d);
    demo_draw(d);
    return true;
}

bool demo_wait(struct demo *d, demo_condition *met, int timeout_ms, const char *what)
{
    int64_t until_ms = clock_ms() + timeout_ms;
    struct errmsg m = { 0 };

    while (!met(d)) {
        if (!demo_step(d))
            return false;
        if (clock_ms() > until_ms) {
            err_set(&m, ERR_TIMEOUT, "%s did not come about within %d s", what, timeout_ms / 1000);
            return demo_fail(d, &m);
        }
    }
    return true;
}
