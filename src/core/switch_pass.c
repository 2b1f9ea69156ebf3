/*
 * switch_pass - one baton passes.
 *
 *     order       it waits for a doubt first (rule 10), then its holder's color is told to stop         baton_advance()
 *     barrier     what was written is appended; then the reports are read to their end (rule 2)          passes_advance()
 *     quiet       every member has applied the order, and nobody is at work there (rules 4, 5, 7)        baton_quiet()
 *     read-back   the committed offset, from the brokers: there the holder's color ended (rule 4)        pass_on_offsets()
 *     grant       the other color may have it, from exactly there; or it rests, or it stays (rule 10)    baton_released()
 *     take        its new owner is at work                                                               baton_advance()
 *     proof       its new owner has seen a first position                                                pass_prove()
 *
 * Nothing here remembers how far a baton has come: the document says it, and each step does what the facts allow. So a new leader goes on
 * from whatever stands in the log. A slow partition holds up nobody else.
 *
 * Beside it the receipt is written: what each side did, by its own clock, and what retention took between.
 */
#include "core/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define RETRY_MS 200 /* after a reading that failed or did not settle the matter */
#define STARTS_RETRY_MS 1000

/* --- the receipt -------------------------------------------------------------------------------------------------- */

static struct pass *pass_of(struct switcher *s, int i, bool back)
{
    return back ? &s->op.back[i] : &s->op.forth[i];
}

void pass_clear(struct pass *p)
{
    memset(p, 0, sizeof(*p));
    p->released = p->committed = p->from = p->first = p->log_start = OFFSET_NONE;
    p->doubt = p->repeat_to = p->replay_from = OFFSET_NONE;
}

/* Ordered, perhaps for the second time: what an order that was taken back had noted is void. */
static void pass_begin(struct pass *p, const struct baton *b)
{
    const int64_t replay_from = p->replay_from;
    const uint8_t stage = p->stage;

    pass_clear(p);
    p->replay_from = replay_from;
    p->stage = stage;
    p->ordered = true;
    p->order = b->order;
}

/* What the old holder's owner says of its release. */
static void pass_note_release(struct switcher *s, struct pass *p, int i, enum color c, int64_t now_unix_us)
{
    const struct baton_fact *fact = &s->facts[i];
    const struct switcher_member *m = fact->owner[c] < 0 ? NULL : &s->members[fact->owner[c]];

    if (p->release_heard_unix_us == 0)
        p->release_heard_unix_us = now_unix_us;
    if (!m || fact->owned[c]->drained_unix_us == 0)
        return;
    if (fact->owned[c]->local == LOCAL_RELEASED)
        p->released = fact->owned[c]->committed;
    if (p->drained_unix_us == 0) { /* the first to stop counts: whoever owns it later has not worked on it since */
        p->stopped_unix_us = member_time(m, fact->owned[c]->stopped_unix_us);
        p->drained_unix_us = member_time(m, fact->owned[c]->drained_unix_us);
    }
    if (fact->owned[c]->given_again > p->given_again)
        p->given_again = fact->owned[c]->given_again;
    snprintf(p->released_by, sizeof(p->released_by), "%s", m->report->incarnation);
}

/* A passage is proven when its new holder has seen a first position; only then has the stage passed. */
static void pass_prove(struct switcher *s, int i, bool back, int64_t now_unix_us)
{
    const struct baton *b = &s->fleet->batons[i];
    const struct baton_fact *fact = &s->facts[i];
    const struct report_part *part = fact->owned[b->holder], *before = fact->owned[color_other(b->holder)];
    const struct switcher_member *m;
    struct pass *p = pass_of(s, i, back);

    if (p->taken || b->state != RIGHT_HELD || b->holder != (back ? s->op.from : s->op.to) ||
        b->epoch <= s->op.epoch_first)
        return; /* not passed by this operation */
    if (!part || part->order != b->order || part->local != LOCAL_ACTIVE || part->first < b->from)
        return; /* not seen to flow yet */
    m = &s->members[fact->owner[b->holder]];
    if (p->grant !=
        b->epoch) {    /* granted by a former reign: what it noted went with it; the document has the essence */
        pass_clear(p); /* nothing is listed there: what is listed is written before its grant is */
        p->ordered = true;
        p->grant = b->epoch;
        p->committed = p->from = b->from;
        if (before && before->committed == b->from) /* what it said of this release, not of an older one */
            pass_note_release(s, p, i, color_other(b->holder), 0);
    }
    p->taken = true;
    p->first = part->first;
    p->attached_unix_us = member_time(m, part->attached_unix_us);
    p->first_unix_us = member_time(m, part->first_unix_us);
    p->take_heard_unix_us = now_unix_us;
    snprintf(p->taken_by, sizeof(p->taken_by), "%s", m->report->incarnation);
}

/* A new holder's first position lies beyond what it was told: has retention taken what is between? */
static bool start_wanted(const struct pass *p)
{
    return p->taken && p->log_start == OFFSET_NONE && p->first > p->from;
}

void passes_read_starts(struct switcher *s, struct switcher_effects *fx)
{
    struct switcher_effect *e = NULL;

    if (!s->op.number || (s->starts_ms && s->now_ms - s->starts_ms < STARTS_RETRY_MS))
        return;
    for (int i = 0; i < s->op.pass_count; i++) {
        if (!start_wanted(&s->op.forth[i]) && !start_wanted(&s->op.back[i]))
            continue;
        if (!e) {
            e = effect_add(fx, SWITCHER_READ_STARTS);
            e->token = s->starts_token = ++s->token_last;
            s->starts_ms = s->now_ms;
        }
        effect_baton(fx, e, i);
    }
}

void pass_on_starts(struct switcher *s, const struct switcher_event *ev)
{
    if (ev->token != s->starts_token || ev->failed)
        return; /* of a former operation; or asked again in a moment */
    s->starts_token = 0;
    for (int k = 0; k < ev->reading_count; k++) {
        const struct switcher_reading *r = &ev->readings[k];

        if (r->failed || r->offset < 0 || r->baton >= s->op.pass_count)
            continue;
        for (int back = 0; back < 2; back++) {
            struct pass *p = pass_of(s, r->baton, back);

            if (!start_wanted(p))
                continue;
            p->log_start = r->offset;
            s->dirty.passes[r->baton / SHARD_BATONS] = true;
        }
    }
}

/* --- the pass ----------------------------------------------------------------------------------------------------- */

static bool is_foreign(const struct switcher *s)
{
    return s->fleet->spec.strategy == STRATEGY_FOREIGN;
}

/* An application that stops whole cannot do again what is in doubt while any of its partitions is ordered: one keeps them all. */
static bool doubt_keeps(const struct switcher *s, const struct baton *b)
{
    return (b->doubt != OFFSET_NONE || (is_foreign(s) && s->doubtful[b->holder])) && s->op.on_doubt == DOUBT_WAIT &&
           s->op.on_unreachable != UNREACHABLE_FENCE;
}

/*
 * Rule 10: the holder itself, at work, has done again and committed what was in doubt. What the brokers show is not enough: a
 * commit that the lost member had under way may land there late, while its successor begins below it.
 */
static bool doubt_passed(const struct baton *b, const struct report_part *owned)
{
    return owned && owned->order == b->order && owned->local == LOCAL_ACTIVE && owned->committed >= b->doubt;
}

/* Is this baton released as far as the members can say (rule 4), and may the other color have it (rules 5 and 7)? */
static bool baton_quiet(const struct switcher *s, int i, const struct aim_of *a)
{
    const struct baton *b = &s->fleet->batons[i];

    return s->barrier_read >= b->order && !s->facts[i].busy[b->holder] &&
           members_acknowledged(s, b->holder, b->order) &&
           (a->to == b->holder || members_acknowledged(s, a->to, b->order));
}

/* Rule 6, as the holder's color would apply it: where it would begin, or has ended. OFFSET_NONE: the commit is somebody else's. */
static int64_t released_offset(const struct baton *b, int64_t committed, struct mark mark)
{
    if (committed == OFFSET_NONE)
        mark.kind = MARK_NOTHING;
    switch (mark.kind) {
    case MARK_NOTHING:
        return b->from;
    case MARK_FOLLOW:
        return b->taken ? OFFSET_NONE : b->from; /* a late follow-commit over a holder's (rule 7) */
    case MARK_FOREIGN:
        return b->taken ? committed : b->from;
    case MARK_EPOCH:
        if (mark.epoch > b->epoch)
            return OFFSET_NONE;
        return mark.epoch == b->epoch ? committed : b->from;
    }
    return OFFSET_NONE;
}

/* The committed offset of a quiet baton has been read back: rule 4 is complete, rule 5 may follow. */
static void baton_released(struct switcher *s, int i, const struct switcher_reading *reading,
                           const struct switcher_event *ev)
{
    struct baton *b = &s->fleet->batons[i];
    const struct aim_of a = aim_of(s, i);
    const struct report_part *owned = s->facts[i].owned[b->holder];
    const bool list = s->op.on_doubt == DOUBT_LIST || s->op.on_unreachable == UNREACHABLE_FENCE;
    const int64_t o = released_offset(b, reading->offset, reading->mark);
    const bool began = b->taken || (reading->mark.kind == MARK_EPOCH && reading->mark.epoch == b->epoch);
    struct pass *p = pass_of(s, i, a.back);
    char why[256];
    int64_t from = o;

    if (o == OFFSET_NONE || (owned && owned->local == LOCAL_RELEASED && owned->committed != o)) {
        if (s->op.state == OP_RETURNING) {
            s->facts[i].retry_ms = ev->now_ms + RETRY_MS; /* until the deadline; then a person has to look */
            return;
        }
        snprintf(why, sizeof(why),
                 "%.80s/%d: released at %lld, but group %.60s has %lld committed: somebody else commits there",
                 s->fleet->spec.topics[b->topic], (int)b->partition, owned ? (long long)owned->committed : -1LL,
                 s->fleet->spec.colors[b->holder].group, (long long)reading->offset);
        op_turn_back(s, CAUSE_FOREIGN_COMMIT, why, ev->now_unix_us);
        return;
    }
    if (b->doubt > o && !began) /* a start is committed before the first record: who was lost had not begun */
        word_change(s, i, ev->now_unix_us)->doubt = OFFSET_NONE;
    if (b->doubt > o && !list) {
        b->taken = true; /* the mark shows it, so it goes back to held, */
        word_restore(s, i,
                     ev->now_unix_us); /* its color does that again first, and then it is ordered anew (rule 10) */
        return;
    }
    if (a.aim == AIM_PAUSE) {
        word_pause(s, i, o, ev->now_unix_us);
        return;
    }
    pass_note_release(s, p, i, b->holder, ev->now_unix_us);
    if (p->released != OFFSET_NONE && p->released != o) { /* said by one who had lost the partition and did not know */
        p->released = OFFSET_NONE;
        p->released_by[0] = '\0';
    }
    if (p->replay_from != OFFSET_NONE && p->replay_from < o) {
        from = p->replay_from;
        p->repeat_to = o;
    }
    p->ordered = true; /* perhaps by a former reign, and what it noted went with it */
    p->order = b->order;
    p->committed = o;
    p->from = from;
    p->doubt = b->doubt > o ? b->doubt : OFFSET_NONE;
    word_grant(s, i, a.to, from, ev->now_unix_us);
    p->grant = b->epoch;
    if (p->doubt != OFFSET_NONE || p->repeat_to != OFFSET_NONE)
        s->dirty.passes[i / SHARD_BATONS] = true;
    ASSERT(p->from == p->committed || p->repeat_to == p->committed); /* I2, I3 */
}

/* True: its committed offset has to be read from the brokers. */
static bool baton_advance(struct switcher *s, int i, const struct switcher_event *ev)
{
    struct baton *b = &s->fleet->batons[i];
    struct baton_fact *fact = &s->facts[i];
    const struct aim_of a = aim_of(s, i);
    const bool kept = is_foreign(s) && doubt_keeps(s, b);
    bool ask = false;

    if (b->state == RIGHT_GRANTED && fact->owned[b->holder] && fact->owned[b->holder]->order == b->order &&
        fact->owned[b->holder]->local == LOCAL_ACTIVE)
        word_hold(s, i, ev->now_unix_us);
    switch (b->state) {
    case RIGHT_HELD:
        if (a.aim != AIM_PASS && a.aim != AIM_PAUSE)
            break;
        if (b->doubt != OFFSET_NONE && doubt_passed(b, fact->owned[b->holder]))
            word_change(s, i, ev->now_unix_us)->doubt = OFFSET_NONE;
        fact->waits_doubt = doubt_keeps(s, b);
        if (fact->waits_doubt)
            break;
        word_release(s, i, ev->now_unix_us);
        pass_begin(pass_of(s, i, a.back), b);
        break;
    case RIGHT_GRANTED:
        if (a.aim == AIM_PASS && a.back && !kept) { /* never taken: the way back need not wait for it */
            word_release(s, i, ev->now_unix_us);
            pass_begin(pass_of(s, i, true), b);
        }
        break;
    case RIGHT_RELEASING:
        if ((a.aim != AIM_PASS && a.aim != AIM_PAUSE) || kept) {
            word_restore(s, i, ev->now_unix_us); /* an order of a former reign that nobody wants any more */
            break;
        }
        if (fact->owned[b->holder] && fact->owned[b->holder]->local == LOCAL_RELEASED &&
            fact->owned[b->holder]->order == b->order && pass_of(s, i, a.back)->release_heard_unix_us == 0)
            pass_note_release(s, pass_of(s, i, a.back), i, b->holder, ev->now_unix_us);
        ask = baton_quiet(s, i, &a);
        break;
    case RIGHT_PAUSED:
        if (a.aim == AIM_RESUME)
            word_grant(s, i, b->holder, b->from, ev->now_unix_us);
        break;
    }
    if (fact->token && ev->now_ms - fact->asked_ms > ANSWER_MS_MAX)
        fact->token = 0;
    return ask && fact->token == 0 && ev->now_ms >= fact->retry_ms;
}

/* One walk: each baton does what the facts allow, and what they do not show yet is asked for, all of it at once. */
void passes_advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    struct switcher_effect *reads[COLOR_COUNT] = { NULL };
    uint64_t newest = s->barrier_asked;

    for (int i = 0; i < s->fleet->baton_count; i++) {
        struct baton *b = &s->fleet->batons[i];

        s->facts[i].waits_doubt = s->facts[i].waits_doubt && b->state == RIGHT_HELD;
        if (baton_advance(s, i, ev)) {
            s->facts[i].token_order = b->order;
            s->facts[i].asked_ms = ev->now_ms;
            s->facts[i].wanted = true;
        }
        if (b->state == RIGHT_RELEASING && b->order > newest)
            newest = b->order;
        if (!op_ended(&s->op) && op_between_colors(&s->op))
            pass_prove(s, i, s->op.state == OP_RETURNING && s->op.back[i].ordered, ev->now_unix_us);
    }
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < s->fleet->baton_count; i++) {
            if (!s->facts[i].wanted || s->fleet->batons[i].holder != (enum color)c)
                continue;
            if (!reads[c]) {
                reads[c] = effect_add(fx, SWITCHER_READ_OFFSETS);
                reads[c]->color = (enum color)c;
                reads[c]->token = ++s->token_last;
            }
            s->facts[i].wanted = false;
            s->facts[i].token = reads[c]->token;
            effect_baton(fx, reads[c], i);
        }
    if (newest > s->barrier_asked || (s->barrier_read < s->barrier_asked && s->barrier_token == 0)) {
        struct switcher_effect *e =
            effect_add(fx, SWITCHER_READ_REPORTS); /* rule 2: after the append, read what the others wrote */

        s->barrier_asked = newest;
        s->barrier_token = e->token = ++s->token_last;
    }
}

void pass_on_reports_read(struct switcher *s, const struct switcher_event *ev)
{
    if (ev->token != s->barrier_token)
        return;
    s->barrier_token = 0;
    if (!ev->failed)
        s->barrier_read = s->barrier_asked;
}

void pass_on_offsets(struct switcher *s, const struct switcher_event *ev)
{
    for (int k = 0; k < ev->reading_count; k++) {
        const struct switcher_reading *r = &ev->readings[k];
        const int i = r->baton;
        struct baton *b = &s->fleet->batons[i];
        struct baton_fact *fact = &s->facts[i];
        struct aim_of a;

        if (i >= s->fleet->baton_count || fact->token != ev->token)
            continue;
        fact->token = 0;
        if (ev->failed || r->failed || b->order != fact->token_order) {
            fact->retry_ms = ev->now_ms + RETRY_MS;
            continue;
        }
        a = aim_of(s, i);
        if (b->state == RIGHT_RELEASING && (a.aim == AIM_PASS || a.aim == AIM_PAUSE) && baton_quiet(s, i, &a))
            baton_released(s, i, r, ev);
    }
}
