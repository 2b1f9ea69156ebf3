/* whole - see whole.h. */
#include "core/whole.h"

#include <string.h>

#include "base/check.h"

#define EMPTY_LISTINGS 2
#define BIRTH_MS 2000  /* words of the agent before us may still take effect for so long */
#define CLEAN_MS 12000 /* a stop takes 10 s at most (Spring's shutdownTimeout), a dead member stays for its session */

static const char *const want_names[WHOLE_WANT_COUNT] = {
    [WHOLE_AS_IS] = "as-is", [WHOLE_STOP] = "stop", [WHOLE_RUN] = "run"
};

const char *whole_want_name(enum whole_want want)
{
    ASSERT((unsigned)want < WHOLE_WANT_COUNT);
    return want_names[want];
}

void whole_init(struct whole *w, struct holder *h, int64_t now_ms)
{
    struct whole_part *parts = w->parts;

    *w = (struct whole){
        .holder = h, .parts = parts, .busy = true, .started_ms = now_ms + BIRTH_MS, .want_ms = now_ms, .loss_ms = now_ms
    };
}

void whole_assigned(struct whole *w, int part)
{
    w->parts[part] = (struct whole_part){ .committed = OFFSET_NONE, .start = OFFSET_NONE, .end = OFFSET_NONE };
}

/* --- what is wanted ------------------------------------------------------------------------------------------------ */

bool whole_holds(const struct whole *w)
{
    const struct fleet *f = w->holder->fleet;

    for (int i = 0; i < f->baton_count; i++)
        if (f->batons[i].partition < 0 || f->batons[i].holder != w->holder->config.color ||
            f->batons[i].state != RIGHT_HELD)
            return false;
    return f->exists && f->baton_count > 0 && !w->holder->closing;
}

static enum whole_want want_of(const struct whole *w)
{
    const struct holder *h = w->holder;
    const struct fleet *f = h->fleet;

    if (!f->exists || h->estranged)
        return WHOLE_AS_IS;
    for (int i = 0; i < f->baton_count; i++)
        if (f->batons[i].partition < 0)
            return WHOLE_AS_IS; /* its shard is not read yet: nothing is known of it */
    if (!whole_holds(w))
        return WHOLE_STOP;
    for (int i = 0; i < f->baton_count; i++) {
        const int at = holder_find(h, f->batons[i].topic, f->batons[i].partition);

        if (at < 0 || h->parts[at].state != PART_ACTIVE)
            return WHOLE_AS_IS;
    }
    return WHOLE_RUN;
}

bool whole_turn(struct whole *w, int64_t now_ms)
{
    const enum whole_want want = want_of(w);

    if (want == w->want)
        return false;
    w->want = want;
    w->want_ms = now_ms;
    return true;
}

/* --- the shadow: records come and go unseen ------------------------------------------------------------------------ */

static void shadow_busy(struct whole *w, int i, int64_t committed)
{
    struct holder_part *p = &w->holder->parts[i];
    const int64_t low = committed > p->committed ? committed : p->committed;

    window_reset(&p->window, low);
    window_push(&p->window, low);
}

/* It stands still, and this is where. */
static void shadow_drained(struct whole *w, int i, int64_t now_unix_us)
{
    struct holder_part *p = &w->holder->parts[i];

    window_reset(&p->window, w->parts[i].committed != OFFSET_NONE ? w->parts[i].committed : window_low(&p->window));
    p->drained_unix_us =
        p->stopped_unix_us ? p->stopped_unix_us : now_unix_us; /* its last record: nobody knows; no sooner */
    w->holder->report_due = true;
}

void whole_started(struct whole *w, int64_t now_ms)
{
    for (int i = 0; i < w->holder->part_max && !w->busy; i++)
        if (w->holder->parts[i].used && w->holder->parts[i].state == PART_ACTIVE)
            shadow_busy(w, i, w->parts[i].start);
    if (!w->busy)
        w->holder->report_due = true;
    w->busy = true;
    w->empty_count = 0;
    w->started_ms = now_ms > w->started_ms ? now_ms : w->started_ms;
}

void whole_lost(struct whole *w, int64_t now_ms)
{
    w->loss_ms = now_ms;
}

/* Ours, and at work under its grant, perhaps: nothing is started before all are ours. */
static bool worked(const struct whole *w, const struct holder_part *p)
{
    const struct fleet *f = w->holder->fleet;
    const int i = fleet_find(f, p->topic, p->partition);

    return i >= 0 && f->batons[i].holder == w->holder->config.color && fleet_can_have_been_whole(f, i);
}

bool whole_wants_end(const struct whole *w, int part)
{
    const struct holder_part *p = &w->holder->parts[part];

    return p->used && (w->loss_ms != 0 || (w->want == WHOLE_RUN && p->first == OFFSET_NONE));
}

void whole_ends(struct whole *w, const struct holder_part_at *parts, int count, int64_t asked_ms)
{
    const bool settles = w->loss_ms != 0 && asked_ms > w->loss_ms;

    for (int k = 0; k < count; k++) {
        struct holder_part *p = &w->holder->parts[parts[k].part];
        struct whole_part *s = &w->parts[parts[k].part];

        s->end = parts[k].offset;
        if (settles && worked(w, p) && s->end > s->committed && s->end > p->doubt && s->end > 0)
            p->doubt = s->end;
    }
    if (!settles)
        return;
    w->loss_ms = 0;
    w->holder->report_due = true;
}

/* --- what the brokers show ----------------------------------------------------------------------------------------- */

bool whole_listed(struct whole *w, const struct whole_listing *listing)
{
    if (!listing->known)
        return false;
    w->member_count = listing->member_count;
    w->at_rest = listing->at_rest;
    if (!listing->at_rest || listing->member_count > 0) {
        w->holder->report_due = w->holder->report_due || !w->busy;
        w->busy = true;
        w->empty_count = 0;
        return false;
    }
    if (!w->busy || w->want != WHOLE_STOP || listing->asked_ms <= w->started_ms || listing->asked_ms < w->want_ms ||
        ++w->empty_count < EMPTY_LISTINGS)
        return false;
    if (listing->asked_ms - w->want_ms > CLEAN_MS)
        whole_lost(w, listing->asked_ms);
    w->busy = false;
    w->proof++;
    w->holder->report_due = true;
    return true;
}

uint64_t whole_proof(const struct whole *w)
{
    return w->busy ? 0 : w->proof;
}

void whole_read(struct whole *w, const struct holder_part_at *parts, int count, int64_t asked_ms, uint64_t proof)
{
    for (int k = 0; k < count; k++) {
        struct whole_part *s = &w->parts[parts[k].part];
        const struct holder_part *p = &w->holder->parts[parts[k].part];

        if (asked_ms <= s->set_ms)
            continue;
        if (p->state == PART_ACTIVE && p->window.open > 0 && parts[k].offset > p->committed) {
            w->done += s->committed != OFFSET_NONE && parts[k].offset > s->committed
                           ? (uint64_t)(parts[k].offset - s->committed)
                           : 0;
            shadow_busy(w, parts[k].part, parts[k].offset);
        }
        s->committed = parts[k].offset;
        s->committed_mark = parts[k].mark;
    }
    w->read_ms = asked_ms;
    w->read_proof = proof != 0 && proof == whole_proof(w) ? proof : 0;
}

/* It stands still, and what was read is where. */
static bool still(const struct whole *w)
{
    return !w->busy && w->read_proof == w->proof && w->loss_ms == 0;
}

/* --- answers to the holder ----------------------------------------------------------------------------------------- */

void whole_ask(struct whole *w, enum whole_wait waits, uint64_t token, const struct holder_part_at *at, int64_t now_ms)
{
    struct whole_part *s = &w->parts[at->part];

    s->waits = waits;
    s->token = token;
    s->offset = at->offset;
    s->mark = at->mark;
    s->asked_ms = now_ms;
    s->setting = false;
}

/* Nothing is fetched before the last one is attached: want_of() sees to that. */
void whole_attach(struct whole *w, const struct holder_part_at *at)
{
    w->parts[at->part].start = at->offset;
    w->parts[at->part].end = OFFSET_NONE;
    if (w->busy)
        shadow_busy(w, at->part, at->offset);
}

static bool answer(struct whole *w, int part, enum holder_event_type type, bool failed, struct holder_event *ev,
                   struct holder_part_at *at)
{
    struct whole_part *s = &w->parts[part];

    *at = (struct holder_part_at){ .part = part, .offset = s->offset, .mark = s->mark };
    if (type == HOLDER_OFFSETS) {
        at->offset = s->committed;
        at->mark = s->committed_mark;
    }
    *ev = (struct holder_event){ .type = type, .token = s->token, .failed = failed, .parts = at, .part_count = 1 };
    s->waits = WHOLE_WAITS_NOT;
    s->setting = false;
    return true;
}

/*
 * A start that was worked out from a reading may be set as long as the application has stood still since that reading. If it has not (it
 * ran on when the agent came up, and an order came in between), where it stands now counts, if it is of the same grant.
 */
static bool start_settled(const struct whole *w, int part)
{
    const struct whole_part *s = &w->parts[part];

    return s->read_epoch != w->holder->parts[part].epoch || s->read_proof == w->proof;
}

static bool answer_start(struct whole *w, int part, struct holder_event *ev, struct holder_part_at *at)
{
    struct whole_part *s = &w->parts[part];
    struct holder_part *p = &w->holder->parts[part];
    const struct mark mark = s->committed_mark;

    if (whole_holds(w)) /* it may run, and begins or goes on where its group stands */
        return answer(w, part, HOLDER_COMMITTED, false, ev, at);
    if (!still(w) || start_settled(w, part))
        return false; /* whole_sets() */
    s->read_proof = w->proof;
    if (s->committed == OFFSET_NONE || s->committed == s->offset ||
        !(mark.kind == MARK_FOREIGN || (mark.kind == MARK_EPOCH && mark.epoch == p->epoch)))
        return false;
    window_reset(&p->window, s->committed);
    return answer(w, part, HOLDER_COMMITTED, true, ev, at);
}

static bool answer_commit(struct whole *w, int part, struct holder_event *ev, struct holder_part_at *at)
{
    struct whole_part *s = &w->parts[part];
    struct holder_part *p = &w->holder->parts[part];

    if (p->state == PART_STARTING)
        return answer_start(w, part, ev, at);
    if (p->state != PART_COMMITTING)
        return answer(w, part, HOLDER_COMMITTED, false, ev, at); /* progress: the brokers had it when it was read */
    if (whole_holds(w)) /* the order was taken back: it goes on where its group stands */
        return answer(w, part, HOLDER_COMMITTED, false, ev, at);
    if (!still(w) || s->committed == OFFSET_NONE || s->committed == s->offset)
        return false;                       /* whole_sets() */
    window_reset(&p->window, s->committed); /* it has been at work since */
    return answer(w, part, HOLDER_COMMITTED, true, ev, at);
}

static bool answer_read(struct whole *w, int part, struct holder_event *ev, struct holder_part_at *at)
{
    struct whole_part *s = &w->parts[part];
    const struct holder_part *p = &w->holder->parts[part];
    const int baton = fleet_find(w->holder->fleet, p->topic, p->partition);

    if (w->read_ms <= s->asked_ms || (!still(w) && !whole_holds(w)))
        return false;
    s->read_epoch = baton < 0 ? 0 : w->holder->fleet->batons[baton].epoch; /* that of the start that follows */
    s->read_proof = still(w) ? w->proof : 0;
    return answer(w, part, HOLDER_OFFSETS, false, ev, at);
}

/* Commits that move on, or a group with members and nothing left to read, are what the brokers show of an application that works. */
static void show_first(struct whole *w, int part, int64_t now_ms, int64_t now_unix_us)
{
    struct whole_part *s = &w->parts[part];
    struct holder_part *p = &w->holder->parts[part];
    const bool moved = s->committed != OFFSET_NONE && s->committed > s->start && w->read_ms > w->want_ms;
    const bool at_end = s->end != OFFSET_NONE && s->end <= s->start && w->member_count > 0 && w->at_rest;

    if (w->want != WHOLE_RUN || !w->busy || p->state != PART_ACTIVE || p->first != OFFSET_NONE || (!moved && !at_end))
        return;
    window_reset(&p->window, s->start);
    if (moved)
        holder_deliver(w->holder, part, s->start, now_ms, now_unix_us);
    else
        holder_at_end(w->holder, part, s->start, now_unix_us);
    shadow_busy(w, part, moved ? s->committed : s->start);
}

bool whole_answer(struct whole *w, int part, struct holder_event *ev, struct holder_part_at *at, int64_t now_ms,
                  int64_t now_unix_us)
{
    struct whole_part *s = &w->parts[part];
    struct holder_part *p = &w->holder->parts[part];

    if (p->state == PART_DRAINING && p->window.open > 0 && still(w))
        shadow_drained(w, part, now_unix_us);
    show_first(w, part, now_ms, now_unix_us);
    if (s->waits != WHOLE_WAITS_NOT && p->token != s->token)
        s->waits = WHOLE_WAITS_NOT; /* the holder waits for it no more */
    if (s->setting)
        return false;
    switch (s->waits) {
    case WHOLE_WAITS_NOT:
        return false;
    case WHOLE_WAITS_READ:
        return answer_read(w, part, ev, at);
    case WHOLE_WAITS_COMMIT:
        return answer_commit(w, part, ev, at);
    case WHOLE_WAITS_FOLLOW: /* a standby's group is left as it is: what stands there is the application's own */
        return answer(w, part, HOLDER_ACTIVE_OFFSETS, true, ev, at);
    }
    return false;
}

/* A start is set as the rules want it; a release where the brokers say that it stopped. */
bool whole_sets(const struct whole *w, int part)
{
    const struct whole_part *s = &w->parts[part];
    const struct holder_part *p = &w->holder->parts[part];

    if (w->busy || whole_holds(w) || s->waits != WHOLE_WAITS_COMMIT || s->setting || p->token != s->token)
        return false;
    return p->state == PART_STARTING ? start_settled(w, part) : p->state == PART_COMMITTING && still(w);
}

bool whole_set(struct whole *w, int part, bool failed, struct holder_event *ev, struct holder_part_at *at,
               int64_t now_ms)
{
    struct whole_part *s = &w->parts[part];

    if (!s->setting)
        return false;
    if (!failed) {
        s->committed = s->offset;
        s->committed_mark = s->mark;
        s->set_ms = now_ms;
    }
    return answer(w, part, HOLDER_COMMITTED, failed, ev, at);
}

bool whole_waits(const struct whole *w)
{
    if ((w->want == WHOLE_STOP && w->busy) || w->loss_ms != 0)
        return true;
    for (int i = 0; i < w->holder->part_max; i++)
        if (w->holder->parts[i].used &&
            (w->parts[i].waits == WHOLE_WAITS_READ || w->parts[i].waits == WHOLE_WAITS_COMMIT ||
             (w->want == WHOLE_RUN && w->holder->parts[i].first == OFFSET_NONE)))
            return true;
    return false;
}

bool whole_shown(const struct whole *w)
{
    for (int i = 0; i < w->holder->part_max; i++)
        if (w->holder->parts[i].used && w->holder->parts[i].first == OFFSET_NONE)
            return false;
    return true;
}

void whole_report(const struct whole *w, struct report *ret)
{
    for (int i = 0; i < ret->part_count && w->busy; i++) {
        struct report_part *p = &ret->parts[i];

        if (p->local == LOCAL_ACTIVE)
            continue;
        p->local = LOCAL_DRAINING;
        p->in_flight = p->in_flight > 0 ? p->in_flight : 1;
    }
}
