/*
 * holder - see holder.h for the machine and the rules it follows.
 *
 * A step has three parts: the event notes a fact; every partition is brought in line with the document (reconcile), which only
 * marks what is wanted of the outside; the wants are gathered into effects, so that one commit carries many partitions.
 */
#include "core/holder.h"

#include <string.h>

#include "base/check.h"

/* What one step owes a partition, in the order in which it is carried out. */
enum { WANT_DETACH = 1, WANT_ATTACH = 2, WANT_COMMIT = 4, WANT_READ = 8, WANT_FOLLOW = 16, WANT_LOG_END = 32 };

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    enum local_state local; /* as reports call it */
    uint32_t next;
} part_states[PART_STATE_COUNT] = {
    [PART_IDLE] = { "idle", LOCAL_STANDBY, TO(PART_READING) | TO(PART_STARTING) },
    [PART_READING] = { "reading", LOCAL_STANDBY, TO(PART_STARTING) | TO(PART_IDLE) },
    [PART_STARTING] = { "starting", LOCAL_STANDBY, TO(PART_ACTIVE) | TO(PART_RELEASED) | TO(PART_IDLE) },
    [PART_ACTIVE] = { "active", LOCAL_ACTIVE, TO(PART_DRAINING) },
    [PART_DRAINING] = { "draining", LOCAL_DRAINING, TO(PART_COMMITTING) | TO(PART_ACTIVE) | TO(PART_IDLE) },
    [PART_COMMITTING] = { "committing", LOCAL_DRAINING, TO(PART_RELEASED) | TO(PART_IDLE) },
    [PART_RELEASED] = { "released", LOCAL_RELEASED, TO(PART_READING) | TO(PART_IDLE) },
};

const char *part_state_name(enum part_state s)
{
    ASSERT((unsigned)s < PART_STATE_COUNT);
    return part_states[s].name;
}

/* What the document asks of this color for one baton: ours | another's, by state. */
enum word {
    WORD_NOTHING, /* no baton: default paused (rule 8) */
    WORD_PROCESS,
    WORD_RELEASE, /* stop, drain, commit, say so */
    WORD_REST,    /* released, kept by nobody on purpose */
    WORD_FOLLOW,  /* another's, and standing still enough to follow (rule 7) */
    WORD_QUIET,   /* another's, and on the move */
};

static const enum word words[2][RIGHT_COUNT] = {
    { [RIGHT_HELD] = WORD_FOLLOW,
      [RIGHT_RELEASING] = WORD_QUIET,
      [RIGHT_PAUSED] = WORD_FOLLOW,
      [RIGHT_GRANTED] = WORD_QUIET },
    { [RIGHT_HELD] = WORD_PROCESS,
      [RIGHT_RELEASING] = WORD_RELEASE,
      [RIGHT_PAUSED] = WORD_REST,
      [RIGHT_GRANTED] = WORD_PROCESS },
};

static const struct baton *baton_of(const struct holder *h, struct holder_part *p)
{
    const struct fleet *f = h->fleet;

    if (!f->exists)
        return NULL;
    if (p->baton < 0 || p->baton >= f->baton_count || f->batons[p->baton].topic != p->topic ||
        f->batons[p->baton].partition != p->partition)
        p->baton = fleet_find(f, p->topic, p->partition);
    return p->baton < 0 ? NULL : &f->batons[p->baton];
}

static enum word word_of(const struct holder *h, const struct baton *b)
{
    return b ? words[b->holder == h->config.color][b->state] : WORD_NOTHING;
}

static void part_check(const struct holder *h, const struct holder_part *p)
{
    if (p->state == PART_ACTIVE) {
        const struct baton *b = baton_of(h, (struct holder_part *)p);

        ASSERT(p->assigned);
        ASSERT(p->barrier == BARRIER_PASSED);                          /* rule 2 */
        ASSERT(word_of(h, b) == WORD_PROCESS && b->epoch == p->epoch); /* I1, I5 */
        ASSERT(!h->closing && !p->revoking && !p->lost);
        ASSERT(p->committed <= window_low(&p->window));
    }
    if (p->state == PART_IDLE || p->state == PART_READING || p->state == PART_RELEASED)
        ASSERT(p->window.open == 0);
    if (p->state == PART_READING || p->state == PART_STARTING)
        ASSERT(p->assigned);
}

static void holder_check(const struct holder *h)
{
    ASSERT(version_compare(h->acknowledged, h->fleet->applied) <= 0); /* I4: never acknowledges what it has not */
    ASSERT(h->report_acked <= h->report_sequence);
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used)
            part_check(h, &h->parts[i]);
}

static void part_move(struct holder *h, struct holder_part *p, enum part_state to)
{
    ASSERT(part_states[p->state].next & TO(to));
    MET("part", p->state, to);
    p->state = to;
    h->report_due = true;
}

/* Given away, and nothing of it is left here. */
static bool part_over(const struct holder_part *p)
{
    return p->used && !p->assigned && p->state == PART_IDLE && p->doubt == OFFSET_NONE && p->want == 0 &&
           !p->follow_commit;
}

static void part_free(struct holder_part *p)
{
    struct window window = p->window; /* its slots are the shell's, and stay for the next partition here */
    void *opaque = p->opaque;

    ASSERT(p->window.open == 0);
    memset(p, 0, sizeof(*p));
    window.head = window.tail = 0;
    p->window = window;
    p->opaque = opaque;
}

bool holder_fenced(const struct holder *h, int64_t now_ms)
{
    return now_ms - h->contact_ms >= h->config.session_timeout_ms;
}

int holder_find(const struct holder *h, int topic, int32_t partition)
{
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used && h->parts[i].topic == topic && h->parts[i].partition == partition)
            return i;
    return -1;
}

static void part_retry(struct holder *h, struct holder_part *p, int64_t now_ms)
{
    p->token = 0;
    p->retry_ms = now_ms + h->config.retry_ms;
}

static void commit(struct holder_part *p, int64_t offset, int64_t now_ms)
{
    p->committing = offset;
    p->asked_ms = now_ms;
    p->want |= WANT_COMMIT;
}

/* Stops delivering now. What is in flight goes on; what was fetched and not delivered is thrown away. */
static void part_stop(struct holder *h, struct holder_part *p, const struct holder_event *ev)
{
    p->want =
        (p->want & ~(unsigned)WANT_ATTACH) | WANT_DETACH; /* begun and stopped in one step, it was never attached */
    p->stopped_unix_us = p->worked_unix_us = ev->now_unix_us;
    p->drained_unix_us = p->window.open == 0 ? ev->now_unix_us : 0;
    part_move(h, p, PART_DRAINING);
}

/* It is ours no more; no answer that is still out changes anything. What was done and is not known to be committed is a doubt. */
static void part_let_go(struct holder_part *p)
{
    p->assigned = p->revoking = false;
    p->lost = p->state != PART_IDLE;
    p->want &= ~(unsigned)(WANT_COMMIT | WANT_READ | WANT_ATTACH);
    ASSERT(!p->follow_commit || p->token != 0);
    if (!p->follow_commit) /* else it is under way, and waited for: nothing is acknowledged before (rule 7) */
        p->token = 0;
}

static void part_flow(struct holder *h, struct holder_part *p, const struct holder_event *ev)
{
    p->want |= WANT_ATTACH;
    p->attached_ms = ev->now_ms;
    p->attached_unix_us = ev->now_unix_us;
    p->first = OFFSET_NONE;
    p->first_unix_us = 0;
    part_move(h, p, PART_ACTIVE);
}

/* What was done and cannot be committed any more is a doubt, known exactly here (rule 12). */
static void part_give_up(struct holder *h, struct holder_part *p)
{
    if (p->window.position > p->committed && p->window.position > p->doubt)
        p->doubt = p->window.position;
    p->token = 0;
    p->lost = false;
    part_move(h, p, PART_IDLE);
}

static void part_start_at(struct holder *h, struct holder_part *p, const struct baton *b, int64_t start, int64_t now_ms)
{
    if (p->epoch != b->epoch)
        p->given_again = 0;
    p->epoch = b->epoch;
    p->committed = OFFSET_NONE;
    window_reset(&p->window, start);
    part_move(h, p, PART_STARTING);
    commit(p, start, now_ms);
}

/* Rule 6. False: the mark is newer than the document, so the member is behind and waits. */
static bool start_offset(int64_t *ret, const struct baton *b, int64_t committed, struct mark mark)
{
    if (committed == OFFSET_NONE)
        mark.kind = MARK_NOTHING;
    switch (mark.kind) {
    case MARK_NOTHING:
    case MARK_FOLLOW:
        *ret = b->from;
        return true;
    case MARK_FOREIGN:
        *ret = b->taken ? committed : b->from;
        return true;
    case MARK_EPOCH:
        if (mark.epoch > b->epoch)
            return false;
        *ret = mark.epoch == b->epoch ? committed : b->from;
        return true;
    }
    return false;
}

static void part_begin(struct holder *h, struct holder_part *p, const struct baton *b, const struct holder_event *ev)
{
    /*
     * Owner since before the grant was written, and not begun under it: nobody else of this color can have begun either. Had it
     * begun itself (and fenced itself since, while the document still says granted), its own commit counts.
     */
    if (b->state == RIGHT_GRANTED && b->epoch > p->barrier_epoch && b->epoch != p->epoch && p->state == PART_IDLE) {
        part_start_at(h, p, b, b->from, ev->now_ms);
        return;
    }
    part_move(h, p, PART_READING);
    p->want |= WANT_READ;
}

/* May what is done on it still be committed under its epoch? No baton: a deleted fleet. */
static bool part_committable(const struct holder *h, struct holder_part *p)
{
    const struct baton *b = baton_of(h, p);

    return p->assigned && !p->lost && (!b || (b->holder == h->config.color && b->epoch == p->epoch));
}

/* Nothing is in flight any more on a partition that had been stopped. */
static void part_drained(struct holder *h, struct holder_part *p, const struct holder_event *ev)
{
    if (!part_committable(h, p)) {
        part_give_up(h, p);
        return;
    }
    part_move(h, p, PART_COMMITTING);
    commit(p, p->window.position, ev->now_ms);
}

static void part_reconcile(struct holder *h, struct holder_part *p, const struct holder_event *ev)
{
    const struct baton *b = baton_of(h, p);
    const enum word word = word_of(h, b);
    const bool may_begin = p->assigned && !p->revoking && !h->closing && p->barrier == BARRIER_PASSED;
    const bool goes_on =
        may_begin && !p->lost && word == WORD_PROCESS && b->epoch == p->epoch && !holder_fenced(h, ev->now_ms);

    if (p->state == PART_RELEASED &&
        (!p->assigned || p->lost || !b || b->epoch != p->epoch || (word != WORD_RELEASE && word != WORD_REST)) &&
        (!p->revoking || !p->assigned))
        part_move(h, p, PART_IDLE); /* the word it waited for has come */
    switch (p->state) {
    case PART_IDLE:
        if (p->token == 0 && may_begin && ev->now_ms >= p->retry_ms && (word == WORD_PROCESS || word == WORD_RELEASE))
            part_begin(h, p, b, ev);
        break;
    case PART_READING:
    case PART_STARTING:
        if (!p->assigned || p->lost) {
            p->token = 0;
            p->lost = false;
            part_move(h, p, PART_IDLE);
        } else if (p->token == 0 && p->want == 0 && ev->now_ms >= p->retry_ms) {
            if (!may_begin || (word != WORD_PROCESS && word != WORD_RELEASE))
                part_move(h, p, PART_IDLE);
            else if (p->state == PART_READING)
                p->want |= WANT_READ;
            else
                commit(p, p->window.position, ev->now_ms);
        }
        break;
    case PART_ACTIVE:
        if (!goes_on)
            part_stop(h, p, ev);
        else if (p->first == OFFSET_NONE && ev->now_ms - p->attached_ms >= h->config.watchdog_ms) {
            p->want |= WANT_ATTACH;
            p->attached_ms = ev->now_ms;
        }
        break;
    case PART_DRAINING:
        break;
    case PART_COMMITTING:
        if (!p->assigned || p->lost)
            part_give_up(h, p);
        else if (p->token == 0 && p->want == 0 && ev->now_ms >= p->retry_ms)
            commit(p, p->window.position, ev->now_ms);
        break;
    case PART_RELEASED:
        break;
    }
    if (p->state == PART_DRAINING) {
        if (goes_on)
            part_flow(h, p, ev); /* an order taken back: on where it stopped */
        else if (p->window.open == 0 && p->token == 0)
            part_drained(h, p, ev);
    }
    if (p->doubt != OFFSET_NONE && b && b->doubt >= p->doubt)
        p->doubt = OFFSET_NONE; /* the document has it now */
}

/* --- events ------------------------------------------------------------------------------------------------------------------ */

static void on_doc(struct holder *h, const struct holder_event *ev)
{
    const bool head = ev->doc->kind == DOC_WHOLE || ev->doc->kind == DOC_HEAD;
    static const struct doc gone = { .kind = DOC_GONE };

    h->log_position = ev->log_position;
    /*
     * A log that is read again from its beginning: a tombstone carries no version, so it would take the fleet that was made again
     * since, and those of its shards that are older than its newest head would never come back.
     */
    if (ev->doc_offset < h->born_at)
        return;
    if (ev->doc->kind == DOC_GONE)
        h->born_at = ev->doc_offset + 1;
    /* A fleet made again with other topics: what our partitions are called is not theirs any more. A restart learns the new names. */
    h->estranged = h->estranged || (head && !fleet_topics_extend(h->fleet, &ev->doc->fleet));
    switch (fleet_apply(h->fleet, h->estranged ? &gone : ev->doc)) {
    case DOC_APPLIED:
        if (head) {
            h->heard_written_unix_us = h->fleet->written_unix_us;
            h->heard_unix_us = ev->now_unix_us;
        }
        h->report_due = true;
        break;
    case DOC_STALE:
        h->stale_ignored++;
        break;
    case DOC_FITS_NOT:
        break; /* the partitions concerned have no baton here, so they stay paused */
    }
}

static void on_assigned(struct holder *h, const struct holder_event *ev)
{
    for (int i = 0; i < ev->tp_count; i++) {
        int n = holder_find(h, ev->tps[i].topic, ev->tps[i].partition);
        struct holder_part *p;

        for (int k = 0; n < 0 && k < h->part_max; k++)
            if (!h->parts[k].used)
                n = k;
        ASSERT(n >= 0); /* the shell gives a slot for every partition of the topics */
        p = &h->parts[n];
        if (!p->used) {
            p->used = true;
            p->topic = ev->tps[i].topic;
            p->partition = ev->tps[i].partition;
            p->baton = -1;
            p->committed = p->first = p->doubt = OFFSET_NONE;
        }
        p->assigned = true;
        p->revoking = false;
        p->barrier = BARRIER_REPORT;
        p->barrier_report = h->report_sequence + 1;
    }
    h->joined = true;
    h->contact_ms = ev->now_ms; /* joining was a contact */
    h->answer_assign = true;
    h->report_due = true;
}

static void on_revoked(struct holder *h, const struct holder_event *ev, bool lost)
{
    for (int i = 0; i < ev->tp_count; i++) {
        const int n = holder_find(h, ev->tps[i].topic, ev->tps[i].partition);

        if (n < 0 || !h->parts[n].assigned)
            continue;
        h->parts[n].revoking = true;
        h->parts[n].lost =
            h->parts[n].lost || lost; /* a left-over of an earlier loss stays one, though assigned anew */
    }
    h->answer_revoke = true;
    h->revoke_began_ms = ev->now_ms;
}

static void on_committed_part(struct holder *h, struct holder_part *p, bool failed, const struct holder_event *ev)
{
    const struct baton *b;

    if (!failed && p->asked_ms > h->contact_ms)
        h->contact_ms = p->asked_ms;
    if (p->follow_commit) {
        p->follow_commit = false;
        p->token = 0;
        return;
    }
    if (failed) {
        part_retry(h, p, ev->now_ms);
        return;
    }
    p->token = 0;
    p->committed = p->committing;
    if (p->state == PART_COMMITTING) {
        part_move(h, p, PART_RELEASED);
        return;
    }
    if (p->state != PART_STARTING)
        return;
    b = baton_of(h, p);
    if (!p->assigned || p->revoking || h->closing || !b || b->holder != h->config.color || b->epoch != p->epoch)
        part_move(h, p, PART_IDLE);
    else if (word_of(h, b) == WORD_PROCESS)
        part_flow(h, p, ev);
    else {
        p->stopped_unix_us = p->drained_unix_us = ev->now_unix_us;
        part_move(h, p, PART_RELEASED);
    }
}

static void on_committed(struct holder *h, const struct holder_event *ev)
{
    for (int i = 0; i < ev->part_count; i++) {
        struct holder_part *p = &h->parts[ev->parts[i].part];

        if (p->used && p->token == ev->token)
            on_committed_part(h, p, ev->part_failed ? ev->part_failed[i] : ev->failed, ev);
    }
}

static void on_offsets(struct holder *h, const struct holder_event *ev)
{
    for (int i = 0; i < ev->part_count; i++) {
        const struct holder_part_at *at = &ev->parts[i];
        struct holder_part *p = &h->parts[at->part];
        const struct baton *b;
        enum word word;
        int64_t start;

        if (!p->used || p->token != ev->token || p->state != PART_READING)
            continue;
        p->token = 0;
        b = baton_of(h, p);
        word = word_of(h, b);
        if (!p->assigned || p->revoking || h->closing || (word != WORD_PROCESS && word != WORD_RELEASE))
            part_move(h, p, PART_IDLE);
        else if (ev->failed || (ev->part_failed && ev->part_failed[i]) ||
                 !start_offset(&start, b, at->offset, at->mark))
            part_retry(h, p, ev->now_ms);
        else
            part_start_at(h, p, b, start, ev->now_ms);
    }
}

static void on_active_offsets(struct holder *h, const struct holder_event *ev)
{
    for (int i = 0; i < ev->part_count; i++) {
        const struct holder_part_at *at = &ev->parts[i];
        struct holder_part *p = &h->parts[at->part];

        if (!p->used || p->token != ev->token || !p->follow_commit)
            continue;
        p->token = 0;
        p->follow_commit = false;
        if (ev->failed || (ev->part_failed && ev->part_failed[i]) || at->offset == OFFSET_NONE ||
            p->state != PART_IDLE || !p->assigned || p->revoking || h->closing ||
            word_of(h, baton_of(h, p)) != WORD_FOLLOW)
            continue;
        p->follow_commit = true;
        commit(p, at->offset, ev->now_ms);
    }
}

static void on_log_end(struct holder *h, const struct holder_event *ev)
{
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (!p->used || p->barrier != BARRIER_LOG_END || p->barrier_token != ev->token)
            continue;
        p->barrier = ev->failed ? BARRIER_REPORT : BARRIER_CATCH_UP;
        p->barrier_end = ev->log_position;
        if (ev->failed)
            p->retry_ms = ev->now_ms + h->config.retry_ms;
    }
}

static void on_left(struct holder *h)
{
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (p->used)
            part_let_go(p);
    }
    h->left = true;
    h->answer_assign = h->answer_revoke = false;
    h->report_due = true;
}

static void note(struct holder *h, const struct holder_event *ev)
{
    switch (ev->type) {
    case HOLDER_DOC:
        on_doc(h, ev);
        break;
    case HOLDER_LOG_POSITION:
        if (ev->log_position > h->log_position)
            h->log_position = ev->log_position;
        break;
    case HOLDER_LOG_END:
        on_log_end(h, ev);
        break;
    case HOLDER_REPORT_ACKED:
    case HOLDER_REPORT_FAILED:
        if (ev->sequence != h->report_sequence)
            break;
        h->report_outstanding = false;
        if (ev->type == HOLDER_REPORT_ACKED) {
            h->report_acked = ev->sequence;
            h->closed = h->left && h->goodbye_made;
        } else {
            h->report_due = true;
            h->report_retry_ms = ev->now_ms + h->config.retry_ms;
            h->closed = h->left && h->abandoned;
        }
        break;
    case HOLDER_ASSIGNED:
        on_assigned(h, ev);
        break;
    case HOLDER_REVOKED:
        on_revoked(h, ev, false);
        break;
    case HOLDER_LOST:
        on_revoked(h, ev, true);
        break;
    case HOLDER_COMMITTED:
        on_committed(h, ev);
        break;
    case HOLDER_OFFSETS:
        on_offsets(h, ev);
        break;
    case HOLDER_ACTIVE_OFFSETS:
        on_active_offsets(h, ev);
        break;
    case HOLDER_CLOSE:
        h->closing = true;
        break;
    case HOLDER_ABANDON:
        h->closing = h->abandoned = true;
        break;
    case HOLDER_LEFT:
        on_left(h);
        break;
    case HOLDER_TICK:
        break;
    }
}

/* --- what follows from the facts ------------------------------------------------------------------------------------------------- */

static void part_barrier(struct holder *h, struct holder_part *p, int64_t now_ms)
{
    if (!p->assigned || p->barrier == BARRIER_PASSED)
        return;
    if (p->barrier == BARRIER_REPORT && h->report_acked >= p->barrier_report && now_ms >= p->retry_ms)
        p->want |= WANT_LOG_END;
    if (p->barrier == BARRIER_CATCH_UP && h->log_position >= p->barrier_end) {
        p->barrier = BARRIER_PASSED;
        p->barrier_epoch = h->fleet->version.epoch;
        h->report_due = true;
    }
}

static bool revoke_settled(const struct holder *h, int64_t now_ms)
{
    if (now_ms - h->revoke_began_ms >= h->config.revoke_ms_max)
        return true;
    for (int i = 0; i < h->part_max; i++) {
        const struct holder_part *p = &h->parts[i];

        if (p->used && p->revoking && !p->lost &&
            ((p->state != PART_IDLE && p->state != PART_RELEASED) || p->token != 0))
            return false;
    }
    return true;
}

/* The last chance to commit what is done while other records are still in flight: their successor does only those again. */
static void commit_before_leaving(struct holder *h, int64_t now_ms)
{
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (p->used && p->state == PART_DRAINING && p->token == 0 && part_committable(h, p) &&
            window_low(&p->window) > p->committed)
            commit(p, window_low(&p->window), now_ms);
    }
}

/* The callback is answered: what is revoked is let go; what is still in flight lives on as a leftover. */
static void revoke_finish(struct holder *h)
{
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (p->used && p->revoking)
            part_let_go(p);
    }
}

static bool part_progresses(const struct holder *h, struct holder_part *p)
{
    return p->state == PART_ACTIVE || (p->state == PART_DRAINING && p->window.open > 0 && part_committable(h, p));
}

/* Progress: the low watermark of every partition at work, and at least one commit a quarter session as a sign of life (rule 11). */
static void commit_progress(struct holder *h, int64_t now_ms)
{
    const bool sign_of_life = now_ms - h->contact_ms >= h->config.session_timeout_ms / 4;
    const bool due = now_ms - h->commits_ms >= h->config.commit_interval_ms;

    if (!sign_of_life && !due)
        return;
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (p->used && part_progresses(h, p) && p->token == 0 && p->want == 0 && now_ms >= p->retry_ms &&
            (window_low(&p->window) > p->committed || sign_of_life))
            commit(p, window_low(&p->window), now_ms);
    }
    h->commits_ms = now_ms;
}

static void follow(struct holder *h, int64_t now_ms)
{
    if (now_ms - h->follow_ms < h->fleet->spec.follow_interval_ms || !h->fleet->exists || h->closing)
        return;
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (p->used && p->assigned && !p->revoking && p->barrier == BARRIER_PASSED && p->state == PART_IDLE &&
            p->token == 0 && p->want == 0 && word_of(h, baton_of(h, p)) == WORD_FOLLOW)
            p->want |= WANT_FOLLOW; /* want: the commit of what was just read has no token yet */
    }
    h->follow_ms = now_ms;
}

static void acknowledge(struct holder *h)
{
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used && h->parts[i].follow_commit)
            return; /* rule 7: a late follow-commit would overwrite the taker's */
    if (version_compare(h->acknowledged, h->fleet->applied) < 0) {
        h->acknowledged = h->fleet->applied;
        h->report_due = true;
    }
}

/* No partition is on its way anywhere. */
static bool settled(const struct holder *h)
{
    for (int i = 0; i < h->part_max; i++) {
        const struct holder_part *p = &h->parts[i];

        if (p->used && ((p->state != PART_IDLE && p->state != PART_RELEASED) || p->token != 0))
            return false;
    }
    return true;
}

static bool nothing_in_flight(const struct holder *h)
{
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used && h->parts[i].window.open > 0)
            return false;
    return true;
}

/* --- effects ------------------------------------------------------------------------------------------------------------------- */

void holder_effects_clear(struct holder_effects *fx)
{
    fx->count = fx->part_count = 0;
}

static struct holder_effect *effect(struct holder_effects *fx, enum holder_effect_type type)
{
    struct holder_effect *e = &fx->items[fx->count];

    ASSERT(fx->count < HOLDER_EFFECTS_MAX);
    fx->count++;
    *e = (struct holder_effect){ .type = type, .first = fx->part_count };
    return e;
}

static const struct {
    unsigned want;
    enum holder_effect_type type;
    bool answered; /* an answer with a token comes back */
} wants[] = {
    { WANT_DETACH, HOLDER_DETACH, false },     { WANT_ATTACH, HOLDER_ATTACH, false },
    { WANT_COMMIT, HOLDER_COMMIT, true },      { WANT_READ, HOLDER_READ_OFFSETS, true },
    { WANT_FOLLOW, HOLDER_READ_ACTIVE, true },
};

static void gather(struct holder *h, unsigned want, enum holder_effect_type type, bool answered,
                   struct holder_effects *fx)
{
    struct holder_effect *e = NULL;

    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];
        struct holder_part_at *at;

        if (!p->used || !(p->want & want))
            continue;
        if (!e) {
            e = effect(fx, type);
            e->token = answered ? ++h->token_last : 0;
        }
        ASSERT(fx->part_count < fx->part_max);
        at = &fx->parts[fx->part_count++];
        e->count++;
        *at = (struct holder_part_at){ .part = i, .offset = p->window.position };
        if (want == WANT_COMMIT) {
            at->offset = p->committing;
            at->mark = p->follow_commit ? (struct mark){ .kind = MARK_FOLLOW } : (struct mark){ MARK_EPOCH, p->epoch };
        }
        if (want == WANT_FOLLOW) {
            ASSERT(p->token == 0); /* rule 7: a commit that is under way would be forgotten */
            p->follow_commit = true;
        }
        if (answered)
            p->token = e->token;
        p->want &= ~want;
    }
}

static void gather_log_end(struct holder *h, struct holder_effects *fx)
{
    struct holder_effect *e = NULL;

    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (!p->used || !(p->want & WANT_LOG_END))
            continue;
        if (!e) {
            e = effect(fx, HOLDER_READ_LOG_END);
            e->token = ++h->token_last;
        }
        p->barrier = BARRIER_LOG_END;
        p->barrier_token = e->token;
        p->want &= ~(unsigned)WANT_LOG_END;
    }
}

static void report_if_due(struct holder *h, int64_t now_ms, struct holder_effects *fx)
{
    const bool due = h->report_due || now_ms - h->report_made_ms >= h->config.report_interval_ms;

    if (!due || h->report_outstanding || h->closed || now_ms < h->report_retry_ms)
        return;
    if (h->left && h->goodbye_made && !h->report_due)
        return;
    h->report_waits = !h->left && now_ms - h->report_made_ms < h->config.report_gap_ms;
    if (h->report_waits)
        return;
    h->report_sequence++;
    h->report_due = false;
    h->report_outstanding = true;
    h->report_made_ms = now_ms;
    if (h->left)
        h->goodbye_made = true;
    effect(fx, HOLDER_REPORT);
}

void holder_step(struct holder *h, const struct holder_event *ev, struct holder_effects *fx)
{
    const bool was_closed = h->closed;
    unsigned wanted = 0;

    for (int i = 0; i < h->part_max; i++) /* not before: the last step's effects still named them */
        if (part_over(&h->parts[i]))
            part_free(&h->parts[i]);
    note(h, ev);
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used) {
            part_barrier(h, &h->parts[i], ev->now_ms);
            part_reconcile(h, &h->parts[i], ev);
        }
    if (!h->left) {
        commit_progress(h, ev->now_ms);
        follow(h, ev->now_ms);
    }
    if (h->answer_revoke && revoke_settled(h, ev->now_ms)) {
        commit_before_leaving(h, ev->now_ms);
        gather(h, WANT_COMMIT, HOLDER_COMMIT, true, fx);
        revoke_finish(h);
        for (int i = 0; i < h->part_max; i++)
            if (h->parts[i].used)
                part_reconcile(h, &h->parts[i], ev);
        h->answer_revoke = false;
        h->report_due = true;
        gather(h, WANT_DETACH, HOLDER_DETACH, false, fx);
        effect(fx, HOLDER_ANSWER_REVOKE);
    }
    acknowledge(h);
    if (h->abandoned && !h->leave_asked)
        commit_before_leaving(h, ev->now_ms);
    for (int i = 0; i < h->part_max; i++)
        wanted |= h->parts[i].want;
    for (size_t i = 0; i < ARRAY_COUNT(wants) && wanted; i++)
        gather(h, wants[i].want, wants[i].type, wants[i].answered, fx);
    if (wanted & WANT_LOG_END)
        gather_log_end(h, fx);
    if (h->answer_assign) {
        h->answer_assign = false;
        effect(fx, HOLDER_ANSWER_ASSIGN);
    }
    if (h->closing && !h->leave_asked && (h->abandoned || (settled(h) && !h->answer_revoke))) {
        h->leave_asked = true;
        effect(fx, HOLDER_LEAVE);
    }
    report_if_due(h, ev->now_ms, fx);
    if (h->closed && !was_closed)
        effect(fx, HOLDER_CLOSED);
    holder_check(h);
}

int64_t holder_next_ms(const struct holder *h, int64_t now_ms)
{
    int64_t next = now_ms + 100;

    if (h->report_waits && h->report_made_ms + h->config.report_gap_ms < next)
        next = h->report_made_ms + h->config.report_gap_ms;
    for (int i = 0; i < h->part_max; i++)
        if (h->parts[i].used && h->parts[i].retry_ms > now_ms && h->parts[i].retry_ms < next)
            next = h->parts[i].retry_ms;
    return next;
}

void holder_init(struct holder *h, const struct holder_config *config, struct fleet *fleet, struct holder_part *parts,
                 int part_max, int64_t now_ms)
{
    memset(h, 0, sizeof(*h));
    memset(parts, 0, (size_t)part_max * sizeof(*parts));
    h->config = *config;
    h->fleet = fleet;
    h->parts = parts;
    h->part_max = part_max;
    h->acknowledged = (struct version){ .term = -1 };
    h->contact_ms = h->report_made_ms = h->commits_ms = now_ms;
    h->report_due = true;
}

/* --- the short way of a record ---------------------------------------------------------------------------------------------------- */

enum deliver holder_deliver(struct holder *h, int part, int64_t offset, int64_t now_ms, int64_t now_unix_us)
{
    struct holder_part *p = &h->parts[part];

    if (!p->used || p->state != PART_ACTIVE || offset < p->window.position) {
        h->records_gated++;
        return DELIVER_DROP;
    }
    if (holder_fenced(h, now_ms) || window_full(&p->window))
        return DELIVER_LATER; /* fenced: the next tick detaches, and the record is fetched again */
    if (p->first == OFFSET_NONE) {
        p->first = offset;
        p->first_unix_us = now_unix_us;
        h->report_due = true;
    }
    window_push(&p->window, offset);
    return DELIVER_NOW;
}

void holder_given_again(struct holder *h, int part)
{
    struct holder_part *p = &h->parts[part];

    p->given_again += p->given_again < INT32_MAX;
}

/* Of one that drains: is nothing in flight any more? Then it stands still since the last record that was done. */
static bool part_empty(struct holder *h, struct holder_part *p)
{
    if (p->window.open > 0)
        return false;
    p->drained_unix_us = p->worked_unix_us;
    h->report_due = true;
    return true;
}

bool holder_done(struct holder *h, int part, int64_t offset, int64_t now_unix_us)
{
    struct holder_part *p = &h->parts[part];

    if (!window_done(&p->window, offset))
        return false;
    h->records_done++;
    if (p->state != PART_DRAINING)
        return false;
    p->worked_unix_us = now_unix_us;
    return part_empty(h, p);
}

bool holder_take_back(struct holder *h, int part, int64_t offset)
{
    struct holder_part *p = &h->parts[part];

    if (p->state != PART_DRAINING || !window_take_back(&p->window, offset))
        return false;
    part_empty(h, p);
    return true;
}

bool holder_at_end(struct holder *h, int part, int64_t offset, int64_t now_unix_us)
{
    struct holder_part *p = &h->parts[part];

    (void)now_unix_us; /* an empty partition stood still until it was attached: attached_unix_us */
    if (!p->used || p->state != PART_ACTIVE || p->first != OFFSET_NONE || offset != p->window.position)
        return false;
    p->first = offset;
    h->report_due = true;
    return true;
}

bool holder_cut(struct holder *h, int part, int64_t offset)
{
    struct holder_part *p = &h->parts[part];

    if (!p->used || p->state != PART_ACTIVE || p->window.open > 0)
        return false;
    if (offset >= p->window.position)
        return true; /* it stands below the cut */
    window_reset(&p->window, offset);
    p->committed =
        OFFSET_NONE; /* what is committed lies beyond the end; a commit that is still out says nothing any more */
    p->token = 0;
    p->want &= ~(unsigned)WANT_COMMIT;
    h->report_due = true;
    return true;
}

bool holder_wants_turn(const struct holder *h)
{
    return h->report_due && !h->report_outstanding && !h->report_waits;
}

/* --- the report -------------------------------------------------------------------------------------------------------------------- */

static void report_part(const struct holder *h, struct holder_part *p, struct report_part *ret)
{
    const struct baton *b = baton_of(h, p);
    const bool began = p->state != PART_IDLE && p->state != PART_READING;

    *ret = (struct report_part){
        .topic = p->topic,
        .partition = p->partition,
        .order = b ? b->order : 0,
        .local = part_states[p->state].local,
        .owned = p->assigned,
        .position = began ? p->window.position : OFFSET_NONE,
        .committed = began ? p->committed : OFFSET_NONE,
        .in_flight = (int32_t)p->window.open,
        .doubt = p->doubt,
        .given_again = p->given_again,
        .first = p->first,
        .stopped_unix_us = p->stopped_unix_us,
        .drained_unix_us = p->drained_unix_us,
        .attached_unix_us = p->attached_unix_us,
        .first_unix_us = p->first_unix_us,
    };
}

void holder_report(const struct holder *h, struct report *ret, int64_t now_unix_us)
{
    bool passed = true;

    ret->color = h->config.color;
    ret->sequence = h->report_sequence;
    ret->applied = h->acknowledged;
    ret->report_interval_ms = h->config.report_interval_ms;
    ret->sent_unix_us = now_unix_us;
    ret->heard_written_unix_us = h->heard_written_unix_us;
    ret->heard_unix_us = h->heard_unix_us;
    ret->records_done = h->records_done;
    ret->records_gated = h->records_gated;
    ret->stale_ignored = h->stale_ignored;
    ret->part_count = 0;
    for (int i = 0; i < h->part_max; i++) {
        struct holder_part *p = &h->parts[i];

        if (!p->used || part_over(p))
            continue;
        passed = passed && (!p->assigned || p->barrier == BARRIER_PASSED);
        ASSERT(ret->part_count < ret->part_max);
        report_part(h, p, &ret->parts[ret->part_count++]);
    }
    ret->goodbye = h->left && nothing_in_flight(h);
    ret->ready = h->joined && !h->closing && h->fleet->exists && passed;
}
