/* watch - see watch.h. */
#include "controller/watch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "controller/prometheus.h"
#include "core/judge.h"
#include "wire/json_write.h"
#include "wire/record_common.h"

#define KEPT_MAX 720                /* samples */
#define KEPT_BYTES_MAX (512 * 1024) /* of all of them */
#define KEPT_PARTS_MAX 256          /* partitions in one of them; of more none are kept */
#define LIVE_MS_MIN 5000            /* a member is alive for so long after a report, and for three of its intervals */
#define QUERY_EVERY_MS 5000         /* Prometheus is not asked more often */
#define QUERY_MS_MAX 4000
#define PARTS_NONE UINT64_C(0)
#define KEEP_EVERY_MS 10000            /* how much of the judge's evidence a lost leader takes with it ... */
#define LEAVE_EVERY_MS (5 * 60 * 1000) /* ... and of what it saw of the old color alone; at first it is told sooner */
#define LEFT_MS_MAX (2 * 60 * 60 * 1000)
#define LEFT_SECONDS_MIN 1800 /* who has watched so long himself needs nobody else's */

/* A query for one color, and its newest answer. */
struct question {
    struct watch *watch;
    int signal;
    enum color color;
    bool out;
    int64_t asked_ms, answered_ms; /* 0: never */
    struct prometheus_figure figure;
    char told[32]; /* how the reason began that was told last; "": it was known */
};

struct watch {
    struct entry *e;
    struct judge_policy policy;
    struct judge judge;
    struct judge_progress *progress;
    int progress_max;
    int64_t looked_ms; /* 0: not yet */
    struct tally_color before[COLOR_COUNT];
    struct work *works_before[COLOR_COUNT], *works[COLOR_COUNT]; /* by stratum: at the last look, and since */
    struct work *strata;                                         /* the judge's */
    int stratum_count;
    bool works_known;                         /* `before` is of the same strata */
    uint64_t owners[COLOR_COUNT];             /* who had which partition at the last look */
    uint64_t alive[COLOR_COUNT][MEMBERS_MAX]; /* members at the last look, by the hash of their incarnation */
    int alive_count[COLOR_COUNT];
    uint32_t number;  /* operation and stage that judge_begin() was told of */
    int stage;        /* -1: none yet, and the yardstick is kept */
    uint32_t handed;  /* the operation that was given what a leader before had seen, 0: none */
    int64_t left_ms;  /* when what was seen was last left for the next leader, 0: not yet ... */
    double left_s;    /* ... and how long had been watched then */
    int64_t saved_ms; /* when the operation's record was last given what the next judge needs, 0: not of this stage */
    struct question questions[SIGNALS_MAX][COLOR_COUNT];
    struct judge_part *parts;
    struct judge_sample sample;
    char *kept[KEPT_MAX]; /* a ring */
    int kept_first, kept_count;
    size_t kept_bytes;
};

/* --- making it ----------------------------------------------------------------------------------------------------- */

void watch_free(struct entry *e)
{
    struct watch *w = e->watch;

    if (!w)
        return;
    for (int i = 0; i < SIGNALS_MAX; i++)
        for (int c = 0; c < COLOR_COUNT; c++)
            prometheus_forget(e->c->prometheus, &w->questions[i][c]);
    for (int i = 0; i < w->kept_count; i++)
        free(w->kept[(w->kept_first + i) % KEPT_MAX]);
    for (int c = 0; c < COLOR_COUNT; c++) {
        free(w->works_before[c]);
        free(w->works[c]);
    }
    free(w->strata);
    free(w->progress);
    free(w->parts);
    free(w);
    e->watch = NULL;
}

/* A fleet that is edited, or grows, begins anew: other metrics, other partitions. */
static bool fits(const struct watch *w, const struct fleet *f)
{
    return f->baton_count <= w->progress_max && judge_stratum_count(f->baton_count) == w->stratum_count &&
           memcmp(&w->policy, &f->spec.judge, sizeof(w->policy)) == 0; // NOLINT: both came out of one zeroed struct
}

static void works_make(struct watch *w, const struct fleet *f)
{
    const size_t room = (size_t)judge_stratum_count(f->baton_count) + 1;

    w->stratum_count = judge_stratum_count(f->baton_count);
    for (int c = 0; c < COLOR_COUNT; c++) {
        w->works_before[c] = calloc(room, sizeof(*w->works_before[c]));
        w->works[c] = calloc(room, sizeof(*w->works[c]));
        must(w->works_before[c]);
        must(w->works[c]);
    }
    w->strata = calloc(2 * room, sizeof(*w->strata));
    must(w->strata);
    judge_strata(&w->judge, w->strata, w->stratum_count);
}

static struct watch *watch_of(struct entry *e)
{
    const struct fleet *f = &e->mirror->fleet;
    const struct judge_policy policy = spec_judge(&f->spec);
    struct watch *w = e->watch;

    if (w && fits(w, f))
        return w;
    watch_free(e);
    w = e->watch = calloc(1, sizeof(*w));
    must(w);
    w->e = e;
    w->policy = f->spec.judge;
    w->progress_max = f->baton_count;
    w->progress = calloc((size_t)f->baton_count + 1, sizeof(*w->progress));
    w->parts = calloc((size_t)f->baton_count + 1, sizeof(*w->parts));
    must(w->progress);
    must(w->parts);
    judge_init(&w->judge, &policy, w->progress, w->progress_max);
    works_make(w, f);
    for (int i = 0; i < SIGNALS_MAX; i++)
        for (int c = 0; c < COLOR_COUNT; c++)
            w->questions[i][c] = (struct question){ .watch = w, .signal = i, .color = (enum color)c };
    return w;
}

/* --- members ------------------------------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t h, const char *text)
{
    for (h ^= UINT64_C(14695981039346656037); *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return h;
}

static bool is_live(const struct report *r, int64_t heard_ms, int64_t now_ms)
{
    const int64_t patience_ms = 3 * r->report_interval_ms > LIVE_MS_MIN ? 3 * r->report_interval_ms : LIVE_MS_MIN;

    return !r->goodbye && now_ms - heard_ms <= patience_ms;
}

static uint64_t slot_of(const struct report *r)
{
    return hash(hash(0, r->client_id), r->host);
}

static int peers_of(const struct watch *w, const struct report *of, int64_t now_ms)
{
    const struct report *r;
    int64_t heard_ms;
    int count = 0;

    for (int i = 0; entry_member(w->e, i, &r, &heard_ms); i++)
        count += r->color == of->color && is_live(r, heard_ms, now_ms) && slot_of(r) == slot_of(of);
    return count;
}

static bool was_alive(const struct watch *w, enum color color, uint64_t who)
{
    for (int i = 0; i < w->alive_count[color]; i++)
        if (w->alive[color][i] == who)
            return true;
    return false;
}

/* Who is there, who is new, and has Kafka given somebody other partitions since the last look? */
static void look_at_members(struct watch *w, enum color judged, bool first, struct judge_sample *s)
{
    uint64_t alive[COLOR_COUNT][MEMBERS_MAX], owners[COLOR_COUNT] = { PARTS_NONE, PARTS_NONE };
    int count[COLOR_COUNT] = { 0 };
    const struct report *r;
    int64_t heard_ms;

    for (int i = 0; entry_member(w->e, i, &r, &heard_ms); i++) {
        const uint64_t who = hash(0, r->incarnation);

        if (!is_live(r, heard_ms, s->now_ms))
            continue;
        for (int k = 0; k < r->part_count; k++)
            if (r->parts[k].owned)
                owners[r->color] ^= (who ^ ((uint64_t)r->parts[k].topic << 32 | (uint32_t)r->parts[k].partition)) *
                                    UINT64_C(0x9e3779b97f4a7c15);
        s->live[r->color]++;
        if (!r->client_id[0])
            continue; /* it does not say yet which process it is: its birth is counted when it does */
        if (count[r->color] < MEMBERS_MAX)
            alive[r->color][count[r->color]++] = who;
        if (first || r->color != judged || was_alive(w, r->color, who) || s->birth_count == JUDGE_BIRTHS_MAX)
            continue;
        s->births[s->birth_count++] = (struct judge_birth){ .slot = slot_of(r), .peers = peers_of(w, r, s->now_ms) };
    }
    for (int c = 0; c < COLOR_COUNT; c++) {
        s->excluded = s->excluded || (!first && owners[c] != w->owners[c]);
        w->owners[c] = owners[c];
        w->alive_count[c] = count[c];
        memcpy(w->alive[c], alive[c], (size_t)count[c] * sizeof(alive[c][0]));
    }
    s->members_known = true;
}

/* --- figures ------------------------------------------------------------------------------------------------------- */

static bool histogram_between(struct histogram *ret, const struct histogram *now, const struct histogram *before)
{
    return histogram_since(ret, now, before) && histogram_count(ret) > 0;
}

static void look_at_figures(struct watch *w, bool first, struct judge_sample *s)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        const struct tally_color *now = tally_color(w->e, (enum color)c), *before = &w->before[c];
        struct judge_figures *f = &s->of[c];

        if (!first && s->live[c] > 0) {
            f->counted = true;
            f->records = (double)(now->done - before->done);
            f->errors = (double)(signals_failed(&now->signals) - signals_failed(&before->signals));
            if (f->errors > f->records)
                f->errors = f->records; /* a failure is told a moment before its record is done */
            f->latency_known = histogram_between(&f->latency, &now->signals.processing, &before->signals.processing);
            f->metadata_known = histogram_between(&f->metadata, &now->signals.metadata, &before->signals.metadata);
        }
        w->before[c] = *now;
    }
}

/* The same by stratum. Sums that have begun anew meanwhile, since the fleet has grown, tell nothing of this interval. */
static void look_at_works(struct watch *w, struct judge_sample *s)
{
    bool known = w->works_known;

    w->works_known = true;
    for (int c = 0; c < COLOR_COUNT; c++) {
        int count;
        const struct work *now = tally_works(w->e, (enum color)c, &count);

        w->works_known = w->works_known && now && count == w->stratum_count;
        for (int i = 0; i < w->stratum_count && w->works_known; i++) {
            known = known && work_since(&w->works[c][i], &now[i], &w->works_before[c][i]);
            w->works_before[c][i] = now[i];
        }
    }
    for (int c = 0; c < COLOR_COUNT && known && w->works_known; c++)
        s->works[c] = s->of[c].counted ? w->works[c] : NULL;
}

/* --- lag ----------------------------------------------------------------------------------------------------------- */

/*
 * What the owner has done: records that were delivered and are not done are still to be done. Of an agent's application only the
 * position is known; what its report has in flight stands for that.
 */
static int64_t done_of(const struct report *r, const struct report_part *p)
{
    return strncmp(r->library, "agent", 5) == 0 ? p->position : p->position - p->in_flight;
}

/* Where the owner stands, by its report; else what its group has committed. */
static void positions_of_reports(const struct watch *w, enum color color, int64_t *positions)
{
    const struct fleet *f = &w->e->mirror->fleet;
    const struct report *r;
    int64_t heard_ms;

    for (int i = 0; entry_member(w->e, i, &r, &heard_ms); i++)
        for (int k = 0; k < r->part_count && r->color == color && !r->goodbye; k++) {
            const int baton = r->parts[k].owned && r->parts[k].position != OFFSET_NONE
                                  ? fleet_find(f, r->parts[k].topic, r->parts[k].partition)
                                  : -1;

            if (baton >= 0 && done_of(r, &r->parts[k]) > positions[baton])
                positions[baton] = done_of(r, &r->parts[k]);
        }
}

static void look_at_lag(struct watch *w, enum color judged, struct judge_sample *s)
{
    const struct fleet *f = &w->e->mirror->fleet;
    int64_t at_unix_ms;
    int count = 0, unread = 0;
    const struct lag_part *parts = lags_read(w->e, &count, &at_unix_ms);
    int64_t *positions = calloc((size_t)f->baton_count + 1, sizeof(*positions));

    must(positions);
    s->parts = w->parts;
    s->lag_known = parts && count == f->baton_count &&
                   clock_unix_ms() - at_unix_ms <= 2 * w->policy.interval_ms + watch_lag_ms(w->e);
    s->control_lag_known = s->lag_known;
    for (int i = 0; i < count && s->lag_known; i++)
        positions[i] = parts[i].committed[judged];
    if (s->lag_known)
        positions_of_reports(w, judged, positions);
    for (int i = 0; i < count && s->lag_known; i++) {
        const struct baton *b = &f->batons[i];

        unread += b->holder == judged && parts[i].stable_end == OFFSET_NONE;
        if (b->state != RIGHT_HELD || parts[i].stable_end == OFFSET_NONE)
            continue;
        if (b->holder == judged && positions[i] != OFFSET_NONE)
            w->parts[s->part_count++] =
                (struct judge_part){ .baton = i, .position = positions[i], .end = parts[i].stable_end };
        else if (b->holder != judged && parts[i].lag[b->holder].state == LAG_KNOWN)
            s->control_lag += parts[i].lag[b->holder].records;
    }
    if (unread > 0 && s->part_count == 0) /* that there is nothing left to do is not known either */
        s->lag_known = s->control_lag_known = false;
    free(positions);
}

/* --- the window of commits ------------------------------------------------------------------------------------------ */

struct labelling {
    struct burrow_policy policy;
    enum burrow_status group, bad; /* bad: the first label that makes the group ERR; OK: none */
    int64_t now_s;
};

static void on_window(void *opaque, const struct burrow_partition *p)
{
    struct labelling *l = opaque;
    struct burrow_verdict v;

    burrow_judge(&v, &p->window, &l->policy, l->now_s);
    l->group = burrow_group_worse(l->group, v.status);
    if (l->group == BURROW_ERR && l->bad == BURROW_OK)
        l->bad = v.status;
}

/* The follower is started by who asks first; until it has read what was committed so far, nothing is known. */
static enum burrow_status look_at_window(const struct watch *w, enum color judged)
{
    struct controller *c = w->e->c;
    struct labelling l = { .group = BURROW_OK, .bad = BURROW_OK, .now_s = clock_unix_ms() / 1000 };
    struct burrow *store;
    char trouble[512];
    bool found;

    if (w->policy.window == WINDOW_NONE)
        return BURROW_UNKNOWN;
    if (!c->burrow)
        c->burrow = burrow_follower_start(&c->burrow_options, c->settings);
    store = c->burrow ? burrow_follower_lock(c->burrow, trouble, sizeof(trouble)) : NULL;
    if (!store)
        return BURROW_UNKNOWN;
    l.policy = burrow_config(store)->policy;
    l.policy.rules = w->policy.window == WINDOW_BURROW ? BURROW_RULES_BURROW : BURROW_RULES_CORRECTED;
    found = burrow_group(store, w->e->mirror->fleet.spec.colors[judged].group, l.now_s, on_window, &l);
    burrow_follower_unlock(c->burrow);
    return !found ? BURROW_NOTFOUND : l.bad != BURROW_OK ? l.bad : l.group;
}

/* --- Prometheus ---------------------------------------------------------------------------------------------------- */

static const char *version_of(const struct entry *e, enum color color)
{
    const struct report *r;
    int64_t heard_ms;

    for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
        if (r->color == color && !r->goodbye && r->version[0])
            return r->version;
    return "";
}

/* $color and the like; what stands for them goes into quotes of PromQL, so quotes in it are escaped. */
void watch_query(struct str *ret, const struct entry *e, const char *query, enum color color)
{
    const struct spec *spec = &e->mirror->fleet.spec;
    const struct {
        const char *name, *value;
    } words[] = {
        { "$fleet", spec->fleet },
        { "$color", color_name(color) },
        { "$group", spec->colors[color].group },
        { "$version", version_of(e, color) },
    };

    for (size_t i; *query; query++) {
        for (i = 0; i < ARRAY_COUNT(words); i++)
            if (strncmp(query, words[i].name, strlen(words[i].name)) == 0)
                break;
        if (i == ARRAY_COUNT(words)) {
            str_add_char(ret, *query);
            continue;
        }
        for (const char *v = words[i].value; *v; v++) {
            if (*v == '"' || *v == '\\' || *v == '\'')
                str_add_char(ret, '\\');
            str_add_char(ret, *v);
        }
        query += strlen(words[i].name) - 1;
    }
}

static void on_figure(void *opaque, const struct prometheus_figure *figure)
{
    struct question *q = opaque;
    const struct signal_policy *policy = &q->watch->policy.signals[q->signal];

    q->out = false;
    q->answered_ms = clock_ms();
    q->figure = *figure;
    if (!figure->known && strncmp(q->told, figure->why, sizeof(q->told) - 1) != 0)
        log_warn("signal_unknown", "fleet=%s signal=%s color=%s error=\"%s\", trying on", q->watch->e->mirror->name,
                 policy->name, color_name(q->color), figure->why);
    if (figure->known && q->told[0])
        log_info("signal_known", "fleet=%s signal=%s color=%s", q->watch->e->mirror->name, policy->name,
                 color_name(q->color));
    snprintf(q->told, sizeof(q->told), "%s", figure->known ? "" : figure->why);
}

struct prometheus *watch_prometheus(struct controller *c)
{
    const struct prometheus_config config = { .auth_file = c->config.prometheus_auth_file,
                                              .ca_file = c->config.prometheus_ca_file };
    struct errmsg ignored;

    if (!c->prometheus && prometheus_open(&c->prometheus, c->base, &config, &ignored) < 0)
        return NULL;
    return c->prometheus;
}

static void ask_prometheus(struct watch *w, int64_t now_ms)
{
    const char *url = w->e->mirror->fleet.spec.prometheus_url;
    struct prometheus *prometheus = w->policy.signal_count > 0 && url[0] ? watch_prometheus(w->e->c) : NULL;

    if (!prometheus)
        return;
    for (int i = 0; i < w->policy.signal_count; i++)
        for (int color = 0; color < COLOR_COUNT; color++) {
            struct question *q = &w->questions[i][color];
            struct str query = STR_WITH_MAX(WATCH_QUERY_BYTES_MAX);

            if (q->out || (q->asked_ms > 0 && now_ms - q->asked_ms < QUERY_EVERY_MS))
                continue;
            watch_query(&query, w->e, w->policy.signals[i].query, (enum color)color);
            q->out = true;
            q->asked_ms = now_ms;
            prometheus_ask(prometheus, url, query.buf, QUERY_MS_MAX, on_figure, q);
            str_free(&query);
        }
}

/* An answer counts for as long as the next one may take. */
static bool is_known(const struct watch *w, const struct question *q, int64_t now_ms)
{
    return q->answered_ms > 0 && q->figure.known &&
           now_ms - q->answered_ms <= 2 * QUERY_EVERY_MS + w->policy.interval_ms;
}

static void look_at_signals(const struct watch *w, struct judge_sample *s)
{
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < SIGNALS_MAX; i++) {
            const struct question *q = &w->questions[i][c];

            s->of[c].signals[i] =
                i < w->policy.signal_count && is_known(w, q, s->now_ms) ? q->figure.value : (double)NAN;
        }
}

int watch_signals(const struct entry *e, int *ret_known)
{
    const struct watch *w = e->watch;
    int count = 0;

    *ret_known = 0;
    for (int i = 0; w && i < w->policy.signal_count; i++)
        for (int c = 0; c < COLOR_COUNT; c++) {
            count++;
            *ret_known += is_known(w, &w->questions[i][c], clock_ms());
        }
    return count;
}

/* Prometheus' own reason, in place of "no figures have come". */
static void say_why(const struct watch *w, enum color judged, struct judge_verdict *v)
{
    for (int i = 0; i < v->metric_count; i++)
        for (int k = 0; k < w->policy.signal_count; k++) {
            const struct question *q = &w->questions[k][judged];
            struct judge_evidence *e = &v->metrics[i];
            const bool first = strcmp(v->sentence, e->sentence) == 0;

            if (e->state != METRIC_UNKNOWN || strcmp(e->name, w->policy.signals[k].name) != 0 || q->answered_ms == 0 ||
                q->figure.known)
                continue;
            snprintf(e->sentence, sizeof(e->sentence), "%s: unknown: %.190s", e->name, q->figure.why);
            if (first)
                snprintf(v->sentence, sizeof(v->sentence), "%s", e->sentence);
        }
}

void watch_findings(const struct entry *e, struct findings *ret)
{
    const enum color active = e->mirror->fleet.active;
    char what[400];

    for (int i = 0; e->watch && i < e->watch->policy.signal_count; i++) {
        const struct question *q = &e->watch->questions[i][active];

        if (q->answered_ms == 0 || q->figure.known)
            continue;
        snprintf(what, sizeof(what), "signal %s of %s is unknown: %s", e->watch->policy.signals[i].name,
                 color_name(active), q->figure.why);
        findings_add(ret, FINDING_WARNING, "signal-unknown", what,
                     "without it there is nothing to compare the new color with; it turns nothing back, and keeps ok "
                     "from being said",
                     "mend the query or prometheus.url in the fleet file, or take the signal out of it");
    }
}

/* --- what was seen, kept ------------------------------------------------------------------------------------------- */

static void put_real(struct json_out *o, const char *key, double value)
{
    json_t *number = isfinite(value) ? json_real(value) : json_null();

    json_put_tree(o, key, number);
    json_decref(number);
}

static void put_buckets(struct json_out *o, const char *key, const struct histogram *h)
{
    json_open(o, key, '[');
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->counts[i] > 0) {
            json_put_int(o, NULL, i);
            json_put_uint(o, NULL, h->counts[i]);
        }
    json_close(o, ']');
}

static void put_figures(struct json_out *o, const struct watch *w, enum color color)
{
    const struct judge_figures *f = &w->sample.of[color];

    json_open(o, color_name(color), '{');
    json_put_int(o, "members", w->sample.live[color]);
    if (f->counted) {
        json_put_int(o, "records", (int64_t)f->records);
        json_put_int(o, "errors", (int64_t)f->errors);
    }
    if (f->latency_known)
        put_buckets(o, "latency", &f->latency);
    if (f->metadata_known)
        put_buckets(o, "metadata", &f->metadata);
    if (w->sample.works[color])
        works_put(o, "work", w->works[color], w->stratum_count);
    json_open(o, "signals", '[');
    for (int i = 0; i < w->policy.signal_count; i++)
        put_real(o, NULL, f->signals[i]);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_sample(struct json_out *o, const struct watch *w, const struct op *op, const char *what)
{
    const struct judge_sample *s = &w->sample;

    json_open(o, NULL, '{');
    json_put_int(o, "at_unix_ms", clock_unix_ms());
    json_put_int(o, "at_ms", s->now_ms);
    json_put_text(o, "what", what);
    json_put_text(o, "active", color_name(w->e->mirror->fleet.active));
    json_put_int(o, "operation", op->number);
    json_put_int(o, "stage", op->stage);
    json_put_bool(o, "excluded", s->excluded);
    for (int c = 0; c < COLOR_COUNT; c++)
        put_figures(o, w, (enum color)c);
    if (s->control_lag_known)
        json_put_int(o, "control_lag", s->control_lag);
    if (s->lag_known && s->part_count <= KEPT_PARTS_MAX) {
        json_open(o, "parts", '[');
        for (int i = 0; i < s->part_count; i++) {
            json_put_int(o, NULL, s->parts[i].baton);
            json_put_int(o, NULL, s->parts[i].position);
            json_put_int(o, NULL, s->parts[i].end);
        }
        json_close(o, ']');
    }
    if (w->policy.window != WINDOW_NONE)
        json_put_text(o, "window", burrow_status_name(s->window));
    json_open(o, "births", '[');
    for (int i = 0; i < s->birth_count; i++) {
        char slot[20];

        snprintf(slot, sizeof(slot), "%016" PRIx64, s->births[i].slot);
        json_put_text(o, NULL, slot);
        json_put_int(o, NULL, s->births[i].peers);
    }
    json_close(o, ']');
    json_close(o, '}');
}

static void forget_oldest(struct watch *w)
{
    w->kept_bytes -= strlen(w->kept[w->kept_first]);
    free(w->kept[w->kept_first]);
    w->kept_first = (w->kept_first + 1) % KEPT_MAX;
    w->kept_count--;
}

static void keep(struct watch *w, const struct op *op, const char *what)
{
    struct str text = STR_WITH_MAX(KEPT_BYTES_MAX / 4);
    struct json_out o = { .text = &text };
    size_t len;

    put_sample(&o, w, op, what);
    len = text.len;
    if (str_error(&text)) {
        str_free(&text);
        return;
    }
    while (w->kept_count == KEPT_MAX || (w->kept_count > 0 && w->kept_bytes + len > KEPT_BYTES_MAX))
        forget_oldest(w);
    w->kept[(w->kept_first + w->kept_count) % KEPT_MAX] = strdup(text.buf);
    must(w->kept[(w->kept_first + w->kept_count) % KEPT_MAX]);
    w->kept_count++;
    w->kept_bytes += len;
    str_free(&text);
}

void watch_get(struct entry *e, struct call *call)
{
    const struct watch *w = e->watch;
    struct str text = STR_WITH_MAX(2 * KEPT_BYTES_MAX);

    str_addf(&text, "{\"format\":1,\"fleet\":\"%s\",\"signals\":[", e->mirror->name);
    for (int i = 0; i < e->mirror->fleet.spec.judge.signal_count; i++)
        str_addf(&text, "%s\"%s\"", i ? "," : "", e->mirror->fleet.spec.judge.signals[i].name);
    str_add(&text, "],\"samples\":[");
    for (int i = 0; w && i < w->kept_count; i++)
        str_addf(&text, "%s\n%s", i ? "," : "", w->kept[(w->kept_first + i) % KEPT_MAX]);
    str_add(&text, "\n]}\n");
    if (str_error(&text))
        call_error(call, 500, "internal", NULL, NULL, "the samples are too large");
    else
        call_text(call, 200, "application/json", text.buf, text.len);
    str_free(&text);
}

/* --- what was seen, left for the next leader -------------------------------------------------------------------------- */

void watch_inherit(struct entry *e, const char *text, size_t len)
{
    struct yardstick *y = text ? must(malloc(sizeof(*y))) : NULL;
    struct errmsg why = { 0 };

    if (y && (yardstick_decode(y, text, len, &why) < 0 || strcmp(y->fleet, e->mirror->name) != 0)) {
        log_warn("yardstick_corrupt", "fleet=%s error=\"%s\", skipped", e->mirror->name,
                 why.text[0] ? why.text : "it is another's");
        free(y);
        return;
    }
    free(e->yardstick);
    e->yardstick = y;
}

void watch_disinherit(struct entry *e)
{
    struct record_key key = { .kind = RECORD_YARDSTICK };
    char name[RECORD_KEY_MAX];

    if (!e->yardstick)
        return;
    free(e->yardstick);
    e->yardstick = NULL;
    text_copy(key.fleet, sizeof(key.fleet), e->mirror->name);
    record_key_format(name, &key);
    if (e->led)
        controller_append(e->c, APPEND_LOOSE, NULL, false, name, NULL, 0);
}

/* Of the color that works now, of the version that works now, and not of another day. */
static const struct yardstick *inherited(const struct watch *w, enum color color)
{
    const struct yardstick *y = w->e->yardstick;
    const int64_t age_ms = y ? clock_unix_ms() - y->at_unix_ms : 0;

    return y && y->color == color && strcmp(y->version, version_of(w->e, color)) == 0 && age_ms >= -LEFT_MS_MAX &&
                   age_ms <= LEFT_MS_MAX
               ? y
               : NULL;
}

/* The better one, NULL: what was seen here. */
static const struct yardstick *better(const struct watch *w, enum color color)
{
    const struct yardstick *y = inherited(w, color);
    const double seconds = judge_seconds(&w->judge);

    return y && seconds < LEFT_SECONDS_MIN && seconds < y->kept.seconds ? y : NULL;
}

/* A copy of the judge is frozen: this one goes on gathering. */
static void leave(struct watch *w, enum color active, int64_t now_ms)
{
    const struct fleet *f = &w->e->mirror->fleet;
    const double seconds = judge_seconds(&w->judge);
    struct judge_policy policy = spec_judge(&f->spec);
    struct record_key key = { .kind = RECORD_YARDSTICK };
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct yardstick *y;
    struct judge *frozen;
    char name[RECORD_KEY_MAX];
    struct errmsg m;

    if (seconds * 1000 < 6.0 * (double)policy.interval_ms || better(w, active) ||
        (w->left_ms > 0 && now_ms - w->left_ms < LEAVE_EVERY_MS && seconds < 2 * w->left_s))
        return;
    w->left_ms = now_ms;
    w->left_s = seconds;
    y = must(calloc(1, sizeof(*y)));
    frozen = must(malloc(sizeof(*frozen)));
    *frozen = w->judge;
    frozen->progress_max = 0; /* that is not copied */
    policy.mode = JUDGE_AUTO; /* whoever switches may want it judged */
    judge_freeze(frozen, &y->kept, &policy, color_other(active), f->spec.stages.count, now_ms);
    y->color = active;
    y->at_unix_ms = clock_unix_ms();
    text_copy(y->fleet, sizeof(y->fleet), w->e->mirror->name);
    text_copy(y->version, sizeof(y->version), version_of(w->e, active));
    text_copy(key.fleet, sizeof(key.fleet), w->e->mirror->name);
    record_key_format(name, &key);
    if (yardstick_encode(&text, y, &m) < 0)
        log_warn("yardstick_not_left", "fleet=%s error=\"%s\", a new leader gathers it anew", w->e->mirror->name,
                 m.text);
    else
        controller_append(w->e->c, APPEND_LOOSE, NULL, false, name, text.buf, text.len);
    str_free(&text);
    free(frozen);
    free(y);
}

/* --- the look ------------------------------------------------------------------------------------------------------ */

static void look(struct watch *w, const struct op *op, int64_t now_ms)
{
    const bool observing = op->number > 0 && op->state == OP_OBSERVING && op->judge != JUDGE_OFF;
    const bool first = w->looked_ms == 0;
    const enum color active = w->e->mirror->fleet.active;
    const enum color judged = observing ? op->to : active;
    struct judge_sample *s = &w->sample;

    *s = (struct judge_sample){ .now_ms = now_ms, .excluded = w->e->c->trouble[0] != '\0' };
    look_at_members(w, judged, first, s);
    look_at_figures(w, first, s);
    look_at_works(w, s);
    look_at_lag(w, judged, s);
    look_at_signals(w, s);
    s->window = look_at_window(w, judged);
    if (observing) {
        struct judge_verdict verdict;

        judge_step(&w->judge, s);
        judge_explain(&w->judge, &verdict);
        say_why(w, judged, &verdict);
        led_verdict_take(w->e->led, &verdict, op->number, op->stage);
        if (w->saved_ms == 0 || (op->judge == JUDGE_AUTO && now_ms - w->saved_ms >= KEEP_EVERY_MS)) {
            struct judge_kept kept;

            judge_keep(&w->judge, &kept, op->stage);
            led_kept_take(w->e->led, &kept, op->number);
            w->saved_ms = now_ms;
        }
    } else if (op_ended(op) && w->e->mirror->fleet.phase == PHASE_STEADY) {
        judge_baseline(&w->judge, active, s);
        leave(w, active, now_ms);
    }
    keep(w, op, observing ? "look" : op_ended(op) ? "baseline" : "passing");
}

/*
 * The yardstick is kept as soon as a switch has begun, and with a stage that has passed its judging begins: on that of another
 * leader, or of a watch before this one, where there is one.
 */
static void begin(struct watch *w, const struct op *op, int64_t now_ms)
{
    const bool known = op->number == w->number; /* its yardstick is this watch's, or is in it already */
    const struct yardstick *before = known || op->kept.known ? NULL : better(w, color_other(op->to));
    struct judge_policy policy = spec_judge(&w->e->mirror->fleet.spec);
    struct judge_kept kept;

    policy.mode = op->judge;
    if (op->state == OP_PASSING && before) {
        if (w->handed != op->number)
            led_kept_take(w->e->led, &before->kept, op->number);
        w->handed = op->number;
    } else if (op->state == OP_PASSING && !known && !op->kept.known) {
        judge_freeze(&w->judge, &kept, &policy, op->to, op->stages.count, now_ms);
        led_kept_take(w->e->led, &kept, op->number);
        w->number = op->number;
        w->stage = -1;
    }
    if (op->state != OP_OBSERVING || (known && op->stage == w->stage))
        return;
    if (before)
        judge_restore(&w->judge, &before->kept, NULL, &policy, op->to, op->stages.count, op->stage, now_ms);
    else if (!known && op->kept.known)
        judge_restore(&w->judge, &op->kept, op->judged ? &op->verdict : NULL, &policy, op->to, op->stages.count,
                      op->stage, now_ms);
    else
        judge_begin(&w->judge, &policy, op->to, op->stages.count, now_ms);
    w->number = op->number;
    w->stage = op->stage;
    w->saved_ms = 0;
}

int64_t watch_lag_ms(const struct entry *e)
{
    return !e->watch ? 0 : e->watch->policy.interval_ms > 1000 ? e->watch->policy.interval_ms : 1000;
}

void watch_tick(struct entry *e, int64_t now_ms)
{
    const struct switcher *s = e->led ? led_switcher(e->led) : NULL;
    const struct fleet *f = &e->mirror->fleet;
    struct watch *w;

    if (!s || !f->exists || f->baton_count == 0 ||
        (f->spec.judge.mode == JUDGE_OFF && (op_ended(&s->op) || s->op.judge == JUDGE_OFF))) {
        if (!e->led || !f->exists)
            watch_free(e);
        return;
    }
    w = watch_of(e);
    if (!op_ended(&s->op) && s->op.judge != JUDGE_OFF)
        begin(w, &s->op, now_ms);
    ask_prometheus(w, now_ms);
    if (w->looked_ms > 0 && now_ms - w->looked_ms < w->policy.interval_ms)
        return;
    look(w, &s->op, now_ms);
    w->looked_ms = now_ms;
}
