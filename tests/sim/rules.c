/*
 * rules - what PROTOCOL's rules ask of both halves, looked at where a rule is kept or broken, not where harm comes of it.
 *
 * judge.c sees what comes out: a record done twice, a gap, an operation that never ends. Many a broken rule does harm only when two
 * or three rare things meet. So here each rule is looked at by itself, with the world's own books: what was written when, who was told
 * what, who has spoken. The numbers in the facts are those of docs/protocol.md.
 */
#include <string.h>

#include "sim.h"

#define GONE_AFTER_MS (SESSION_MS + WORK_MS_BOUND) /* as spec_gone_after_ms() */
#define TURN_MS 1000   /* it came back in the very turn in which it was forgotten: a batch may be late */
#define NOTICE_MS 3000 /* from a fact to what a leader makes of it, with late messages */

/* Clocks drift: what is a second for an actor is a little more or less here. */
static int64_t at_most_ms(const struct world *w, int64_t ms)
{
    return ms + ms * w->config.drift / 1000 + 1;
}

static int64_t at_least_ms(const struct world *w, int64_t ms)
{
    return ms - 2 * ms * w->config.drift / 1000 - 1;
}

/* --- rule 2, the member's half: report, have it written, read the log's end, apply up to there, deliver ---------------------------- */

void rules_assigned(struct world *w, int n, const struct holder_event *ev)
{
    struct member *m = &w->members[n];

    m->contact_ms = w->now_ms;
    for (int i = 0; i < ev->tp_count; i++)
        m->shown[ev->tps[i].partition] = (struct shown){ m->holder.report_sequence, -1 };
}

static void shows(const struct world *w, struct member *m, const struct report *r)
{
    for (int i = 0; i < r->part_count; i++) {
        struct shown *s = &m->shown[r->parts[i].partition];

        if (r->parts[i].owned && s->log_end < 0 && r->sequence > s->sequence)
            s->log_end = w->log_count;
    }
}

void rules_given(struct world *w, int n, int partition)
{
    const struct member *m = &w->members[n];

    MUST(m->shown[partition].log_end >= 0 && "rule 2: who delivers has written before that he owns it");
    MUST(m->log_seen >= m->shown[partition].log_end && "rule 2: who delivers has read on to where the log stood then");
    MUST(w->now_ms - m->contact_ms <= at_most_ms(w, SESSION_MS) &&
         "rule 11: who delivers has had contact with his coordinator");
}

/* A report is what others believe of a member: it has to name all that its application has in hand, and all that it fetches. */
void rules_report_made(struct world *w, int n, const struct report *r)
{
    const struct member *m = &w->members[n];
    int said = 0, in_hand = 0;

    for (int i = 0; i < r->part_count; i++) {
        MUST(r->parts[i].in_flight == m->in_hand[r->parts[i].partition] &&
             "rules 4 and 12: a report names every record in flight");
        said += r->parts[i].in_flight;
    }
    for (int i = 0; i < w->partitions_max; i++) {
        bool named = m->fetch[i] < 0;

        in_hand += m->in_hand[i];
        for (int k = 0; k < r->part_count && !named; k++)
            named = r->parts[k].partition == m->parts[i].partition && r->parts[k].local == LOCAL_ACTIVE;
        MUST(named && "rule 4: a report names as active whatever is fetched");
    }
    MUST(said == in_hand && "rules 4 and 12: a report names every record in flight");
    MUST((!r->goodbye || in_hand == 0) && "rule 12: nobody says goodbye with records in flight");
    MUST(version_compare(r->applied, m->fleet.applied) <= 0 && "I4: nobody acknowledges what he has not applied");
    MUST((member_reads_all(m) || version_compare(r->applied, m->whole) <= 0) &&
         "rule 2: nobody acknowledges a document of which he could not read all");
}

/* Rule 1, I4: whoever has read the log to its end has the very document that counts. */
static bool has_what_counts(const struct world *w, const struct fleet *f)
{
    int written = 0;

    for (int p = 0; p < w->partitions; p++)
        written += w->truth[p].doc.epoch > 0;
    if (f->exists && f->baton_count != written)
        return false;
    for (int i = 0; i < f->baton_count && f->exists; i++) {
        const struct baton *b = &f->batons[i], *doc = b->partition < 0 ? NULL : &w->truth[b->partition].doc;

        if (!doc || doc->state != b->state || doc->holder != b->holder || doc->from != b->from ||
            doc->epoch != b->epoch || doc->order != b->order || doc->taken != b->taken || doc->doubt != b->doubt)
            return false;
    }
    return f->exists == w->fleet_exists;
}

void rules_caught_up(struct world *w, int n)
{
    const struct member *m = &w->members[n];

    if (!m->alive || m->log_next < w->log_count || !member_reads_all(m))
        return;
    if (!m->fleet.exists && m->fleet.version.epoch > w->head_epoch)
        return; /* the first head that it could have taken is older than a shard by now: it has nothing, until the next */
    MUST(has_what_counts(w, &m->fleet) && "rule 1: at the log's end a member has the document that counts");
    MUST((!m->fleet.exists || m->fleet.applied.epoch == w->head_epoch || m->fleet.version.epoch > w->head_epoch) &&
         "rule 1: at the log's end a member has applied the head that counts, or waits for the next");
}

/* --- rule 1: the claim ----------------------------------------------------------------------------------------------------------------- */

void rules_claims(struct world *w, int n)
{
    const struct controller *c = &w->controllers[n];

    MUST(c->log_next >= c->log_elected && "rule 1: who claims has read the log to where it stood when he was elected");
    MUST(!c->lost && "rule 1: who has heard that another was elected claims nothing");
}

void rules_log_read(struct world *w, int n)
{
    const struct controller *c = &w->controllers[n];

    MUST((c->reign.term < 0 || c->terms.highest <= c->reign.term) && "rule 1: who reads a higher claim leads no more");
    (void)w;
}

/*
 * Who begins to lead has his own claim in the log, of this election, and knows what stands before it and who had spoken by then. He has
 * the document that counts, and the operation too: what of it was never written is no operation.
 */
void rules_leads(struct world *w, int n)
{
    const struct controller *c = &w->controllers[n];
    const struct control_record *claim = &w->log[c->reign.term];
    const struct op *op = &c->switcher.op;

    MUST(claim->claim && claim->writer == n && claim->process == c->process && claim->number == c->reign.number &&
         "rule 1: a term is the offset of this reign's own claim");
    MUST(c->log_next > c->reign.term && "rule 1: who leads has read the log up to his claim");
    MUST(c->reports_next >= claim->reports && "rule 2: who leads knows who had spoken when he claimed");
    MUST(!c->lost && "rule 1: who has heard that another was elected does not lead");
    if (c->reign.term < w->claim_highest)
        return; /* deposed already, without knowing: what he writes is void */
    MUST(has_what_counts(w, &c->fleet) && "rule 1: a leader begins with the document that counts");
    MUST(op->number == w->seen.number && "rule 15: a leader begins with the operation that is under way");
    MUST((op->number == 0 ||
          (op->state == w->seen.state && op->stage == w->seen.stage && op->epoch_first == w->seen.epoch_first)) &&
         "rule 15: a leader begins with the operation as it stands");
}

/* --- reports ------------------------------------------------------------------------------------------------------------------------- */

void rules_reported(struct world *w, const char *incarnation, const struct report *r)
{
    struct member *m = &w->members[member_number(incarnation)];

    if (!r) {
        m->known_at = -1;
        m->parted = true;
        m->last = NULL;
        return;
    }
    shows(w, m, r);
    m->left = m->left || r->goodbye;
    if (m->last && r->sequence < m->last->sequence)
        return; /* older than its last */
    if (m->known_at < 0)
        m->known_at = w->report_count;
    if (version_compare(r->applied, m->acked) > 0)
        m->acked = r->applied;
    m->parted = m->left;
    m->last = r;
    m->spoke_ms = w->now_ms;
    for (int i = 0; i < r->part_count; i++) {
        uint64_t *order = &w->truth[r->parts[i].partition].active_order[r->color];

        if (r->parts[i].local == LOCAL_ACTIVE && r->parts[i].order > *order)
            *order = r->parts[i].order;
    }
}

void rules_report_taken(struct world *w, int n, const struct report *given, const struct report *back)
{
    uint64_t *taken = &w->controllers[n].report_taken[member_number(given->incarnation)];
    const bool counts = back != given;

    MUST((!counts || given->sequence > *taken) && "rule 13: a report older than its member's last counts for nothing");
    MUST((counts || given->sequence <= *taken) && "rule 13: a report newer than its member's last counts");
    if (counts) {
        *taken = given->sequence;

        w->controllers[n].report_taken_ms[member_number(given->incarnation)] = w->now_ms;
    }
}

/*
 * Rule 9: out of its group for so long, now or a moment ago; or out now and silent for so long, where it was back between two looks at
 * the group. Who said goodbye, or was forgotten before, is nobody's concern.
 */
static bool is_gone(const struct world *w, const struct member *m)
{
    if (m->parted || (!m->in_group && w->now_ms - m->spoke_ms >= at_least_ms(w, GONE_AFTER_MS)))
        return true;
    if (m->in_group && w->now_ms - m->out_until_ms > NOTICE_MS)
        return false;
    return (m->in_group ? m->out_until_ms : w->now_ms) - m->out_since_ms >= at_least_ms(w, GONE_AFTER_MS);
}

/* I8: a leader that reads the tombstone of a member that counts says again what it said, for who leads next. */
void rules_buried(struct world *w, int n, const char *incarnation, bool counted)
{
    struct controller *c = &w->controllers[n];
    bool restored = !counted;

    for (int i = 0; i < c->fx.count && !restored; i++)
        restored = c->fx.items[i].type == SWITCHER_RESTORE && strcmp(c->fx.items[i].incarnation, incarnation) == 0;
    MUST(restored && "I8: no tombstone buries who has come back");
}

void rules_forgets(struct world *w, int n, const char *incarnation)
{
    const struct member *m = &w->members[member_number(incarnation)];
    const struct controller *c = &w->controllers[n];
    const struct op *op = &c->switcher.op;
    const int64_t silent_ms = w->now_ms - c->report_taken_ms[m - w->members];

    MUST((m->parted || silent_ms < TURN_MS || silent_ms >= at_least_ms(w, GONE_AFTER_MS)) &&
         "rule 9: forgotten is only who was silent so long");
    MUST(is_gone(w, m) && "rule 9: forgotten is only who said goodbye, or was out of his group so long");
    MUST((m->parted || w->config.fence || w->now_ms - w->seen_since_ms < SESSION_MS || op_ended(op) ||
          op->state != OP_PASSING || m->color != op->from || !op_between_colors(op)) &&
         "rule 9: a switch during which a member of the holder's color goes is rolled back");
}

/* --- a release, and what may follow ---------------------------------------------------------------------------------------------------- */

/* An answer is given to a leader. One to an older question comes to nothing: what it says is not kept, nor may it be used. */
void rules_read_back(struct world *w, int n, const struct told *t)
{
    const struct controller *c = &w->controllers[n];

    for (int i = 0; i < t->ev.reading_count; i++) {
        const struct switcher_reading *r = &t->ev.readings[i];
        struct read_back *back = &w->controllers[n].read_back[c->fleet.batons[r->baton].partition];

        if (t->asked_ms >= back->ms)
            *back = (struct read_back){ t->asked_ms, r->offset, r->mark, t->ev.color };
    }
}

/* Rule 6, as docs/protocol.md has it. */
static bool may_start_at(const struct truth *t, const struct read_back *r, int64_t from)
{
    const enum mark_kind kind = r->offset == OFFSET_NONE ? MARK_NOTHING : r->mark.kind;

    if (kind == MARK_EPOCH && r->mark.epoch > t->epoch)
        return false;
    if (kind == MARK_EPOCH && r->mark.epoch == t->epoch)
        return from == r->offset;
    return from == t->from || (kind == MARK_FOREIGN && from == r->offset);
}

void rules_ordered(struct world *w, int partition, const struct baton *b)
{
    struct truth *t = &w->truth[partition];

    MUST((b->state == t->state || (t->state == RIGHT_GRANTED && b->state == RIGHT_HELD) || b->order > t->doc.order) &&
         "rule 9: an order, or one that is taken back, is a new word");
    if (b->state != RIGHT_RELEASING)
        return;
    MUST((t->state != RIGHT_HELD || b->order == t->order || b->doubt == OFFSET_NONE || b->doubt != t->doc.doubt ||
          b->doubt <= w->groups[b->holder].committed[partition] || /* passed, and told once more by who had it */
          w->config.list_doubt || w->config.fence) &&
         "rule 10: what is in doubt is not ordered before it was done again");
    if (t->state != RIGHT_RELEASING)
        t->ordered_ms = w->now_ms;
    if (b->order != t->order) {
        t->order = b->order;
        t->order_ms = w->now_ms;
        t->order_reports = w->report_count;
    }
}

/* Rule 6: a grant is taken when somebody has said under it that he is at work, not before. */
void rules_taken(struct world *w, int partition, const struct baton *b)
{
    const struct truth *t = &w->truth[partition];

    MUST((b->state != RIGHT_GRANTED || b->epoch == t->doc.epoch || !b->taken) && "rule 6: no grant is born taken");
    MUST((t->state != RIGHT_GRANTED || b->state != RIGHT_HELD || t->active_order[b->holder] >= t->doc.order) &&
         "rule 6: a grant counts as taken when its holder has said so");
}

/* Is a member at work on it, by its own word? What it said after it had applied the order stays true (rule 4). */
static bool says_busy(const struct member *m, int p)
{
    for (int i = 0; m->last && i < m->last->part_count; i++)
        if (m->last->parts[i].partition == p &&
            (m->last->parts[i].local == LOCAL_ACTIVE || m->last->parts[i].local == LOCAL_DRAINING ||
             m->last->parts[i].in_flight > 0))
            return true;
    return false;
}

static bool color_is_quiet(const struct world *w, enum color c, int p)
{
    for (int k = 0; k < w->incarnations; k++)
        if (w->members[k].exists && w->members[k].color == c && w->members[k].known_at < w->truth[p].order_reports &&
            !is_gone(w, &w->members[k]) && says_busy(&w->members[k], p))
            return false;
    return true;
}

/* Every member of the color that was known at the order has shown that it has applied it (rules 4, 5, 7, 9, 13). */
static bool color_has_answered(struct world *w, const struct truth *t, enum color c)
{
    for (int k = 0; k < w->incarnations; k++) {
        const struct member *m = &w->members[k];

        if (!m->exists || m->color != c || m->known_at < 0 || m->known_at >= t->order_reports || is_gone(w, m) ||
            (m->acked.term == w->version.term && m->acked.epoch >= t->order))
            continue;
        say(w, "!! %s has acknowledged %lld/%llu only, of %lld/%llu", m->incarnation, (long long)m->acked.term,
            (unsigned long long)m->acked.epoch, (long long)w->version.term, (unsigned long long)t->order);
        return false;
    }
    return true;
}

/* The document says that partition `p`, as it was in w->truth, was let go of: it is granted anew, or paused. */
void rules_believed(struct world *w, int p, const struct baton *b, int writer)
{
    const struct truth *t = &w->truth[p];
    const struct controller *c = &w->controllers[writer];
    const struct read_back *r = &c->read_back[p];

    if (t->state == RIGHT_PAUSED) {
        MUST(b->holder == t->holder && b->from == t->doc.from && "rule 5: what was paused goes on where it stopped");
        return;
    }
    MUST(t->state == RIGHT_RELEASING && "I7: what is granted or paused was ordered before, in writing");
    MUST(c->reports_asked_ms >= t->order_ms && "rule 2: the reports were read after the order was written");
    MUST(c->reports_next >= t->order_reports && "rule 2: the reports were read to where they stood at the order");
    MUST(color_has_answered(w, t, t->holder) && "rule 4: every member of the color has answered the order");
    MUST(color_is_quiet(w, t->holder, p) && "rule 4: no member of the color says that it is at work");
    MUST((b->holder == t->holder || color_has_answered(w, t, b->holder)) &&
         "rules 5 and 7: every member of the receiving color has answered the order");
    MUST(r->ms >= t->order_ms && r->color == t->holder && r->ms > 0 &&
         "rule 4: the committed offset was read back after the order");
    MUST((may_start_at(t, r, b->from) || (w->config.replay && b->from < r->offset)) &&
         "rule 4: a grant begins at what was read back");
}

/* --- where a member begins, and what a standby follows ------------------------------------------------------------------------------- */

/* Rule 6: by what its group had committed when it asked, or, not having asked, at a grant under which nobody has begun. */
static bool begins_right(const struct world *w, const struct member *m, const struct baton *b, int64_t at)
{
    const struct group *g = &w->groups[m->color];
    const struct read_back *r = &m->read[b->partition];
    const bool begun = m->in_group && g->committed[b->partition] != OFFSET_NONE &&
                       g->mark[b->partition].kind == MARK_EPOCH && g->mark[b->partition].epoch == b->epoch;

    if (m->begun[b->partition].epoch == b->epoch && m->begun[b->partition].offset == at)
        return true; /* the same start, asked again */
    if (b->state == RIGHT_GRANTED && at == b->from && !begun)
        return true;
    if (r->ms == 0)
        return false;
    if (r->offset == OFFSET_NONE || r->mark.kind == MARK_NOTHING || r->mark.kind == MARK_FOLLOW)
        return at == b->from;
    if (r->mark.kind == MARK_FOREIGN)
        return at == (b->taken ? r->offset : b->from);
    return r->mark.epoch <= b->epoch && at == (r->mark.epoch == b->epoch ? r->offset : b->from);
}

static const struct baton *baton_of(const struct member *m, int part)
{
    const int i = m->fleet.exists ? fleet_find(&m->fleet, 0, m->parts[part].partition) : -1;

    return i < 0 ? NULL : &m->fleet.batons[i];
}

/* Rule 7: by its own document, another color's, and standing still. */
void rules_follows(struct world *w, int n, int part)
{
    const struct member *m = &w->members[n];
    const struct baton *b = baton_of(m, part);

    MUST(b && b->holder != m->color && (b->state == RIGHT_HELD || b->state == RIGHT_PAUSED) &&
         "rule 7: a standby follows only what is held or paused");
}

void rules_commits(struct world *w, int n, const struct holder_part_at *at, int count)
{
    struct member *m = &w->members[n];

    for (int i = 0; i < count; i++) {
        const struct baton *b = baton_of(m, at[i].part);

        if (at[i].mark.kind == MARK_FOLLOW)
            rules_follows(w, n, at[i].part);
        else if (b && m->parts[at[i].part].state == PART_STARTING && m->parts[at[i].part].epoch == b->epoch) {
            MUST(begins_right(w, m, b, at[i].offset) && "rule 6: who begins begins where it says");
            m->begun[b->partition] = (struct first_given){ b->epoch, at[i].offset };
        }
    }
}

/* Rule 8: a new partition is the active color's, at work or at rest as the fleet is. */
void rules_born(struct world *w, const struct baton *b)
{
    bool paused = w->seen.number > 0 && w->seen.kind == OP_PAUSE && w->seen.state == OP_COMPLETE;

    /* a resume whose document is written may have lost its operation's record with the leader */
    for (int p = 0; p < w->partitions && paused; p++)
        paused = w->truth[p].epoch == 0 || w->truth[p].state == RIGHT_PAUSED;
    MUST((!w->fleet_exists || !paused || b->state == RIGHT_PAUSED) && "rule 8: in a paused fleet all are born paused");
}

/* --- rule 15: it ends ---------------------------------------------------------------------------------------------------------------- */

static int64_t lasts_ms(const struct op *op)
{
    return op->state == OP_PASSING     ? op->deadline_ms
           : op->state == OP_RETURNING ? op->deadline_ms + GONE_AFTER_MS
                                       : op->observe_ms;
}

#define WRITTEN_MS 10 /* from a step to its record */

/* A record of the operation was written. */
void rules_operation(struct world *w, const struct op *op)
{
    const bool clocks_agree = !w->clocks_lie && !w->config.drift && !w->config.chance[FAULT_LATE];
    const int64_t lasted_ms = w->now_ms - w->seen_since_ms;

    if (op->number == w->seen.number && op->state == w->seen.state && op->stage == w->seen.stage) {
        if (op->by_hand != w->seen.by_hand && op->state == OP_OBSERVING) /* held, or let go on: its time begins anew */
            w->seen_since_ms = w->now_ms;
        w->seen.by_hand = op->by_hand;
        return;
    }
    MUST((op->number == w->seen.number || strcmp(op->request_id, w->seen.request_id) != 0) &&
         "rule 15: what is asked twice is done once");
    if (op->number == w->seen.number && clocks_agree) {
        MUST((w->seen.state != OP_PASSING || op->state != OP_RETURNING || op->cause != CAUSE_DEADLINE ||
              lasted_ms >= op->deadline_ms - WRITTEN_MS) &&
             "rule 15: nothing is turned back before its deadline");
        MUST((w->seen.state != OP_RETURNING || op->state != OP_NEEDS_OPERATOR ||
              lasted_ms >= lasts_ms(&w->seen) - WRITTEN_MS) &&
             "rule 15: no way back is given up before its deadline");
        MUST((w->seen.state != OP_OBSERVING || op->state != OP_COMPLETE || w->config.weight[FAULT_VERDICT] ||
              lasted_ms >= op->observe_ms - WRITTEN_MS || strcmp(op->steered, w->seen.steered) != 0) &&
             "rule 15: what is observed is observed so long, unless somebody promotes it");
    }
    w->seen = *op;
    w->seen_since_ms = w->now_ms;
}

/* A deadline is the operation's, not a reign's: whoever leads carries on with what is left of it. */
void rules_deadline(struct world *w)
{
    const int64_t ends_ms = w->seen_since_ms + at_most_ms(w, lasts_ms(&w->seen));
    const struct controller *c = leader(w);

    if (op_ended(&w->seen) || !c || w->clocks_lie || w->config.drift || c->switcher.op.held || c->switcher.op.by_hand ||
        w->seen.by_hand ||
        c->switcher.op.state != w->seen.state || /* it has just moved, which will be in the log in a moment */
        (w->seen.state == OP_OBSERVING && w->config.weight[FAULT_VERDICT]))
        return; /* a stage may be held until the judge has said something */
    MUST(w->now_ms <= (ends_ms > w->led_since_ms ? ends_ms : w->led_since_ms) + NOTICE_MS &&
         "rule 15: a state of an operation lasts no longer than its deadline");
}
