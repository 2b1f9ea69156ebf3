/* throttling - see throttling.h. */
#include "controller/throttling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "controller/prometheus.h"
#include "controller/watch.h"
#include "core/throttle.h"
#include "http/tls.h"

#define LOOK_MS 1000
#define QUERY_EVERY_MS 5000
#define QUERY_MS_MAX 4000
#define FIGURE_MS 12000 /* an answer counts for as long as the next ones may take */
#define RECORDS_MIN 20  /* fewer say nothing of a share or a percentile ... */
#define WINDOW_MS 60000 /* ... unless no more come in a minute */
#define BY "throttle_when"

struct throttling {
    struct entry *e;
    struct throttle_policy policy;
    struct throttle state;
    int64_t looked_ms;
    /* the newest figure */
    double figure; /* NAN: unknown, and `why` */
    int64_t figure_ms;
    char why[PROMETHEUS_WHY_MAX + 1];
    char told[32]; /* how the reason began that was told last; "": it was known */
    /* of a query */
    bool out;
    int64_t asked_ms;
    /* of members' figures: counts at the beginning of the window */
    enum color color;
    struct tally_color from;
    int64_t window_ms; /* 0: none has begun */
    bool too_few_told;
};

void throttling_free(struct entry *e)
{
    if (!e->throttling)
        return;
    prometheus_forget(e->c->prometheus, e->throttling);
    free(e->throttling);
    e->throttling = NULL;
}

static struct throttling *throttling_of(struct entry *e)
{
    const struct throttle_policy *policy = &e->mirror->fleet.spec.throttle;

    if (e->throttling &&
        memcmp(&e->throttling->policy, policy, sizeof(*policy)) != 0) // NOLINT: both came out of one zeroed struct
        throttling_free(e);
    if (!e->throttling) {
        e->throttling = must(calloc(1, sizeof(*e->throttling)));
        e->throttling->e = e;
        e->throttling->policy = *policy;
        e->throttling->figure = (double)NAN;
        snprintf(e->throttling->why, sizeof(e->throttling->why), "no figure has come yet");
    }
    return e->throttling;
}

/* --- the figure ---------------------------------------------------------------------------------------------------- */

static void figure_set(struct throttling *t, double figure, const char *why)
{
    t->figure = figure;
    t->figure_ms = clock_ms();
    snprintf(t->why, sizeof(t->why), "%s", isnan(figure) ? why : "");
    if (isnan(figure) && strncmp(t->told, why, sizeof(t->told) - 1) != 0)
        log_warn("throttle_signal_unknown", "fleet=%s error=\"%s\", nothing changes meanwhile", t->e->mirror->name,
                 why);
    if (!isnan(figure) && t->told[0])
        log_info("throttle_signal_known", "fleet=%s", t->e->mirror->name);
    snprintf(t->told, sizeof(t->told), "%s", t->why);
}

static void on_figure(void *opaque, const struct prometheus_figure *figure)
{
    struct throttling *t = opaque;

    t->out = false;
    figure_set(t, figure->known ? figure->value : (double)NAN, figure->why);
}

static void ask(struct throttling *t, int64_t now_ms)
{
    const struct fleet *f = &t->e->mirror->fleet;
    struct prometheus *prometheus = watch_prometheus(t->e->c);
    struct str query = STR_WITH_MAX(WATCH_QUERY_BYTES_MAX);

    if (!prometheus || t->out || (t->asked_ms > 0 && now_ms - t->asked_ms < QUERY_EVERY_MS))
        return;
    watch_query(&query, t->e, t->policy.query, f->active);
    t->out = true;
    t->asked_ms = now_ms;
    prometheus_ask(prometheus, f->spec.prometheus_url, query.buf, QUERY_MS_MAX, on_figure, t);
    str_free(&query);
}

static void window_begin(struct throttling *t, const struct tally_color *now, int64_t now_ms)
{
    t->color = t->e->mirror->fleet.active;
    t->from = *now;
    t->window_ms = now_ms;
}

/* What the members counted since the window began, once it is enough; a minute without a record says nothing. */
static void count(struct throttling *t, int64_t now_ms)
{
    const struct tally_color *now = tally_color(t->e, t->e->mirror->fleet.active);
    const bool of_time = t->policy.signal == THROTTLE_LATENCY_P99, full = now_ms - t->window_ms >= WINDOW_MS;
    struct histogram processing;
    double records, figure;

    if (t->window_ms == 0 || t->color != t->e->mirror->fleet.active || now->done < t->from.done ||
        !histogram_since(&processing, &now->signals.processing, &t->from.signals.processing)) {
        window_begin(t, now, now_ms);
        return;
    }
    records = of_time ? (double)histogram_count(&processing) : (double)(now->done - t->from.done);
    if (records < RECORDS_MIN && !full)
        return;
    if (records < 1) {
        figure_set(t, (double)NAN, "no record was done for a minute");
    } else {
        figure = of_time ? (double)histogram_quantile_us(&processing, 0.99) / 1e6
                         : (double)(signals_failed(&now->signals) - signals_failed(&t->from.signals)) / records;
        figure_set(t, figure > 1 && !of_time ? 1 : figure, "");
    }
    window_begin(t, now, now_ms);
}

static double figure_now(const struct throttling *t, int64_t now_ms)
{
    const int64_t lasts_ms = t->policy.signal == THROTTLE_QUERY ? FIGURE_MS : WINDOW_MS + 2 * LOOK_MS;

    return t->figure_ms > 0 && now_ms - t->figure_ms <= lasts_ms ? t->figure : (double)NAN;
}

/* --- the order ----------------------------------------------------------------------------------------------------- */

static void give_order(struct throttling *t, enum throttle_word word, double figure)
{
    const struct throttle_policy *p = &t->policy;
    const bool narrow = word == THROTTLE_NARROW;
    const int all = t->e->mirror->fleet.baton_count, keep = keep_of(&p->keep, all);
    struct order order = { .kind = narrow ? ORDER_THROTTLE : ORDER_RESUME,
                           .by_signal = true,
                           .keep = p->keep.amount,
                           .keep_percent = p->keep.percent,
                           .observe_ms = -1,
                           .deadline_ms = -1,
                           .by = BY };

    if (narrow && keep >= all) {
        if (!t->too_few_told)
            log_warn("throttle_in_vain", "fleet=%s partitions=%d keep=%d, throttle_when.partitions keeps all at work",
                     t->e->mirror->name, all, keep);
        t->too_few_told = true;
        return;
    }
    snprintf(order.reason, sizeof(order.reason), "%s is %.6g, %s %.6g for %lld s", throttle_signal_name(p->signal),
             figure, narrow ? "above" : "at most", narrow ? p->above : p->until,
             (long long)(narrow ? p->wait_ms : p->rest_ms) / 1000);
    random_hex(order.request_id, 32);
    led_order_post(t->e->led, &order);
}

void throttling_tick(struct entry *e, int64_t now_ms)
{
    const struct switcher *s = e->led ? led_switcher(e->led) : NULL;
    const struct fleet *f = &e->mirror->fleet;
    struct throttling *t;
    enum throttle_word word;

    if (!s || !f->exists || f->baton_count == 0 || f->spec.throttle.signal == THROTTLE_NONE) {
        throttling_free(e);
        return;
    }
    t = throttling_of(e);
    if (t->looked_ms > 0 && now_ms - t->looked_ms < LOOK_MS)
        return;
    t->looked_ms = now_ms;
    if (t->policy.signal == THROTTLE_QUERY)
        ask(t, now_ms);
    else
        count(t, now_ms);
    word = throttle_step(&t->state, &t->policy, s->fleet, &s->op, figure_now(t, now_ms), now_ms);
    if (word != THROTTLE_STAY)
        give_order(t, word, t->figure);
}

json_t *throttling_view(const struct entry *e)
{
    const struct throttling *t = e->throttling;
    const struct switcher *s = e->led ? led_switcher(e->led) : NULL;
    const int64_t now_ms = clock_ms();
    double figure;

    if (!t || !s)
        return json_null();
    figure = figure_now(t, now_ms);
    return json_pack("{s:s, s:s, s:o, s:s, s:f, s:f, s:i, s:i}", "state",
                     throttle_place_name(throttle_place(s->fleet, &s->op)), "signal",
                     throttle_signal_name(t->policy.signal), "figure", isnan(figure) ? json_null() : json_real(figure),
                     "unknown",
                     !isnan(figure) ? ""
                     : t->why[0]    ? t->why
                                    : "no figure has come for a while",
                     "above", t->policy.above, "until", t->policy.until, "partitions",
                     keep_of(&t->policy.keep, e->mirror->fleet.baton_count), "beyond_s",
                     t->state.since_ms > 0 ? (int)((now_ms - t->state.since_ms) / 1000) : 0);
}
