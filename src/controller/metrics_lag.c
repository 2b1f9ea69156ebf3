/*
 * metrics_lag - how far both groups of a fleet are behind, read from the brokers every ten seconds, and more often
 * where the judge wants it.
 *
 * Only the leader reads, a command only for the judge. A reading that fails leaves the one before; after half a minute that is
 * not said any more: no number is better than an old one. Ends are kept as curves, so lag is also told as time; that
 * costs a kilobyte a partition, and is done for as many as the page shows one by one.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "controller/internal.h"
#include "controller/metrics.h"

#define READ_EVERY_MS 10000
#define READ_MS_MAX 30000 /* it is not said longer than this after it was read */
#define CURVE_POINTS 60   /* ten minutes */

struct lags {
    struct reading *out; /* under way */
    int64_t asked_ms, read_ms, read_unix_ms;
    struct lag_part *parts;
    int part_count;
    struct curve *curves; /* one a part, of the first so many */
    int curve_count;
};

const struct lag_part *lags_read(const struct entry *e, int *ret_count, int64_t *ret_unix_ms)
{
    const struct lags *l = e->lags;

    if (!l || l->read_ms == 0 || clock_ms() - l->read_ms > READ_MS_MAX)
        return NULL;
    *ret_count = l->part_count;
    *ret_unix_ms = l->read_unix_ms;
    return l->parts;
}

int lags_shown(const struct entry *e)
{
    return e->lags ? e->lags->curve_count : 0;
}

static void curves_free(struct controller *c, struct lags *l)
{
    for (int i = 0; i < l->curve_count; i++)
        free(l->curves[i].points);
    free(l->curves);
    l->curves = NULL;
    c->metrics.shown -= l->curve_count;
    l->curve_count = 0;
}

void lags_free(struct entry *e)
{
    struct lags *l = e->lags;

    if (!l)
        return;
    reading_free(l->out);
    curves_free(e->c, l);
    free(l->parts);
    free(l);
    e->lags = NULL;
}

/* Batons are only ever appended to a fleet, so what is there stays where it is; a fleet made anew begins anew. */
static void make_room(struct controller *c, struct lags *l, const struct fleet *f)
{
    int curve_count;
    bool same = l->part_count <= f->baton_count;

    for (int i = 0; i < l->part_count && same; i++)
        same = l->parts[i].topic == f->batons[i].topic && l->parts[i].partition == f->batons[i].partition;
    if (!same)
        curves_free(c, l);
    curve_count = l->curve_count + c->config.metrics_partitions_max - c->metrics.shown;
    curve_count = curve_count < f->baton_count ? curve_count : f->baton_count;
    c->metrics.shown += curve_count - l->curve_count;
    l->parts = realloc(l->parts, ((size_t)f->baton_count + 1) * sizeof(*l->parts));
    l->curves = realloc(l->curves, ((size_t)curve_count + 1) * sizeof(*l->curves));
    ASSERT(l->parts && l->curves);
    for (; l->curve_count < curve_count; l->curve_count++) {
        struct curve *curve = &l->curves[l->curve_count];

        *curve = (struct curve){ .points = calloc(CURVE_POINTS, sizeof(*curve->points)),
                                 .room = CURVE_POINTS,
                                 .size = CURVE_POINTS };
        ASSERT(curve->points != NULL);
    }
    l->part_count = f->baton_count;
}

static void read_part(struct lags *l, int i, const struct baton *b, const struct partition_view *view, int64_t now_ms)
{
    struct lag_part *p = &l->parts[i];

    *p = (struct lag_part){ .topic = b->topic,
                            .partition = b->partition,
                            .log_start = view->log_start,
                            .log_end = view->log_end,
                            .stable_end = view->stable_end };
    if (i < l->curve_count && view->log_end != OFFSET_NONE) {
        struct curve *c = &l->curves[i];

        if (c->count > 0 && curve_at(c, c->count - 1).offset > view->log_end)
            curve_clear(c); /* truncated, or another topic of this name */
        curve_add(c, view->log_end, now_ms);
    }
    for (int color = 0; color < COLOR_COUNT; color++) {
        p->committed[color] = view->committed[color];
        p->lag[color] = lag_of(&(struct lag_facts){ .committed = view->committed[color],
                                                    .end = view->log_end,
                                                    .log_start = view->log_start,
                                                    .committed_epoch = -1,
                                                    .end_epoch = -1 });
        if (i < l->curve_count && p->lag[color].state == LAG_KNOWN)
            p->time[color] = curve_time_lag(&l->curves[i], view->committed[color], now_ms);
    }
}

static void on_read(void *opaque, struct reading *r)
{
    struct entry *e = opaque;
    struct lags *l = e->lags;
    const struct fleet *f = reading_fleet(r);
    const struct snapshot *s = reading_snapshot(r);

    l->out = NULL;
    if (!s->error[0] && s->partition_count == f->baton_count) {
        l->read_ms = clock_ms();
        l->read_unix_ms = clock_unix_ms();
        make_room(e->c, l, f);
        for (int i = 0; i < f->baton_count; i++)
            read_part(l, i, &f->batons[i], &s->partitions[i], l->read_ms);
    }
    reading_free(r);
}

static bool fleet_whole(const struct fleet *f)
{
    for (int i = 0; i < f->baton_count; i++)
        if (f->batons[i].partition < 0)
            return false; /* its shard has not been read yet */
    return f->exists && f->baton_count > 0;
}

void lags_tick(struct entry *e, int64_t now_ms)
{
    const int64_t watch_ms = watch_lag_ms(e);
    struct lags *l = e->lags;

    if (l && (l->out || now_ms - l->asked_ms < (watch_ms > 0 && watch_ms < READ_EVERY_MS ? watch_ms : READ_EVERY_MS)))
        return;
    if (watch_ms == 0 && e->c->config.lead != CONTROLLER_SERVE)
        return;
    if (e->c->stopping || !controller_leads(e->c) || !fleet_whole(&e->mirror->fleet))
        return;
    if (!l)
        l = e->lags = calloc(1, sizeof(*l));
    ASSERT(l != NULL);
    l->asked_ms = now_ms;
    l->out = brokers_read(e->c->brokers, READING_OFFSETS | READING_BOUNDS | (watch_ms > 0 ? READING_STABLE : 0u),
                          &e->mirror->fleet, on_read, e);
}
