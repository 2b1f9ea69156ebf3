/*
 * lag_api - the controller samples lags, and GET /v1/lag tells them.
 *
 * A serving controller, leader or not, refreshes a reader of lags (kafka/lag.h) every ten seconds: of its fleets' groups, or with
 * --lag all of every group of the cluster. It runs in the controller's turns, a few answers of the brokers a turn. The fleets' few
 * groups are asked for by the handle that also asks on the switchers' behalf; for a whole cluster there is one of its own, whose
 * large answers hold up nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "controller/lag_view.h"
#include "http/parse.h"

#define INTERVAL_MS 10000
#define EMBEDDED_MS 2000  /* known since the log was opened */
#define GROUP "baton-lag" /* which never joins and never commits */

struct lags_sampler {
    struct lag_reader *reader;
    struct kafka_handle own; /* --lag all */
    int64_t due_ms;
    bool troubled;
};

int sampler_open(struct controller *c, struct errmsg *m)
{
    const bool all = c->config.lag == CONTROLLER_LAG_ALL;
    const struct lag_reader_config config = { .follow = all ? c->settings : NULL };
    int r = ERR_OK;

    /* the embedded broker does not answer such questions */
    if (c->config.lead != CONTROLLER_SERVE || c->config.lag == CONTROLLER_LAG_OFF ||
        kafka_is_embedded(kafka_reader_handle(c->control), EMBEDDED_MS, NULL) == 1)
        return ERR_OK;
    c->sampler = calloc(1, sizeof(*c->sampler));
    ASSERT(c->sampler != NULL);
    if (all)
        r = kafka_asker_open(&c->sampler->own, c->settings, GROUP, m);
    if (r == ERR_OK)
        r = lag_reader_open(&c->sampler->reader, all ? &c->sampler->own : kafka_reader_handle(c->control), c->wake_fd,
                            &config, m);
    return r;
}

void sampler_close(struct controller *c)
{
    if (!c->sampler)
        return;
    lag_reader_close(c->sampler->reader);
    kafka_handle_close(&c->sampler->own);
    free(c->sampler);
    c->sampler = NULL;
}

/* The groups of the fleets as they are now; false: there is none. */
static bool fleets_groups(struct controller *c)
{
    const char *names[FLEETS_MAX * COLOR_COUNT];
    int count = 0;

    for (const struct mirror_fleet *f = c->mirror.fleets; f && count + COLOR_COUNT <= (int)ARRAY_COUNT(names);
         f = f->next)
        for (int color = 0; f->fleet.exists && color < COLOR_COUNT; color++)
            names[count++] = f->fleet.spec.colors[color].group;
    lag_reader_groups(c->sampler->reader, names, count);
    return count > 0;
}

void sampler_turn(struct controller *c)
{
    struct lags_sampler *s = c->sampler;
    const int64_t now_ms = clock_ms();

    if (!s)
        return;
    if (c->replayed && !c->stopping && now_ms >= s->due_ms) {
        s->due_ms = now_ms + (c->config.lag_interval_ms > 0 ? c->config.lag_interval_ms : INTERVAL_MS);
        if (c->config.lag == CONTROLLER_LAG_ALL || fleets_groups(c))
            lag_reader_refresh(s->reader);
    }
    if (lag_reader_poll(s->reader)) {
        const char *trouble = lag_reader_last(s->reader)->trouble;

        if (trouble[0] && !s->troubled)
            log_warn("lag_trouble", "error=\"%s\", what is concerned is unknown until it is over", trouble);
        if (!trouble[0] && s->troubled)
            log_info("lag_again", "all lags can be read");
        s->troubled = trouble[0] != '\0';
    }
}

const struct lag_reader *sampler_reader(const struct controller *c)
{
    return c->sampler && lag_reader_last(c->sampler->reader)->number > 0 ? c->sampler->reader : NULL;
}

/* --- GET /v1/lag -------------------------------------------------------------------------------------------------- */

static void group_answer(struct controller *c, struct call *call, const char *name, const char *topic)
{
    const struct lag_group *g = lag_group_find(c->sampler->reader, name);

    if (g) {
        json_t *json = lag_view_group(c->sampler->reader, g, topic);

        burrow_label(c, json, name);
        call_json(call, 200, json);
    } else if (c->config.lag == CONTROLLER_LAG_FLEETS)
        call_error(call, 404, "not-found", "run 'baton serve --lag all', or 'baton lag GROUP --bootstrap HOST:PORT'",
                   NULL, "no fleet has a group '%s', and this controller samples only the fleets' groups", name);
    else
        call_error(call, 404, "not-found", "GET /v1/lag, or 'baton lag', shows all", NULL, "there is no group '%s'",
                   name);
}

void lag_answer(struct controller *c, struct call *call, const char *group)
{
    char name[GROUP_NAME_MAX + 1], topic[TOPIC_NAME_MAX + 1];
    const bool one_topic = http_query_get(call->query, "topic", topic, sizeof(topic));

    if (!group && http_query_get(call->query, "group", name, sizeof(name)))
        group = name;
    if (!c->sampler) {
        call_error(
            call, 404, "not-found", "run 'baton serve' without --lag off, or 'baton lag --bootstrap HOST:PORT'", NULL,
            "this controller samples no lags: --lag off, or its broker is the embedded one, which does not tell them");
        return;
    }
    if (c->config.lag == CONTROLLER_LAG_FLEETS && c->replayed && c->mirror.fleet_count == 0 && !group) {
        call_json(call, 200, lag_view_groups(c->sampler->reader)); /* there is nothing to wait for */
        return;
    }
    if (lag_reader_last(c->sampler->reader)->number == 0) {
        call_wait(call, "the first reading of lags");
        return;
    }
    if (group)
        group_answer(c, call, group, one_topic ? topic : NULL);
    else
        call_json(call, 200, lag_view_groups(c->sampler->reader));
}
