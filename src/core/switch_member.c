/*
 * switch_member - what the members say, and what it means that one is silent.
 *
 * A report counts when it is newer than the last of its incarnation (rule 13). The survey lays all of them over the batons: who of each
 * color is, or may be, at work there, and whom Kafka has given it; whatever a pass decides it decides from that (rules 4 and 5).
 *
 * A silent member is waited for. It is gone when the brokers have not listed it for gone_after (rule 9); then the log's ends are read, for
 * up to there it may have worked, the doubts are written (rule 10), and only then is it forgotten.
 */
#include "core/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define GROUPS_BUSY_MS 1000   /* how often the groups' members are read while somebody is waited for ... */
#define GROUPS_QUIET_MS 10000 /* ... and else */
#define LOAD_WINDOW_MS 5000   /* how far a holder moves on is measured over so long at least */

/* --- what it says ------------------------------------------------------------------------------------------------- */

static struct switcher_member *member_find(struct switcher *s, const char *incarnation)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (s->members[i].used && strcmp(s->members[i].report->incarnation, incarnation) == 0)
            return &s->members[i];
    return NULL;
}

/* A member's clock minus ours lies between what a report's way here and a document's way there allow. */
static void member_skew(struct switcher_member *m, int64_t now_unix_us)
{
    const struct report *r = m->report;
    const int64_t low = r->sent_unix_us - now_unix_us, high = r->heard_unix_us - r->heard_written_unix_us;

    if (!m->skew_known || low > m->skew_low_us)
        m->skew_low_us = low;
    if (r->heard_written_unix_us != 0 && (!m->skew_known || high < m->skew_high_us)) {
        m->skew_high_us = high;
        m->skew_known = true;
    }
}

int64_t member_time(const struct switcher_member *m, int64_t member_unix_us)
{
    if (member_unix_us == 0 || !m->skew_known || (m->skew_low_us <= 0 && m->skew_high_us >= 0))
        return member_unix_us; /* the clocks may well be the same */
    return member_unix_us - (m->skew_low_us + m->skew_high_us) / 2;
}

/* Rule 12: what the member has done and could not commit. Known to be committed by now, it is no doubt any more. */
static void member_doubts(struct switcher *s, const struct report *r, int64_t now_unix_us)
{
    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = part->doubt == OFFSET_NONE ? -1 : fleet_find(s->fleet, part->topic, part->partition);
        const struct report_part *owned = i < 0 ? NULL : s->facts[i].owned[r->color];

        if (i < 0 || s->fleet->batons[i].holder != r->color || s->fleet->batons[i].doubt >= part->doubt)
            continue;
        if (owned && owned != part && owned->order == s->fleet->batons[i].order && owned->committed >= part->doubt)
            continue;
        word_change(s, i, now_unix_us)->doubt = part->doubt;
    }
}

/* How fast a partition's holder moves on, for the stages of a switch. */
static void member_loads(struct switcher *s, const struct report *r, int64_t now_ms)
{
    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = part->local == LOCAL_ACTIVE && part->position >= 0
                          ? fleet_find(s->fleet, part->topic, part->partition)
                          : -1;
        struct baton_fact *fact = i < 0 ? NULL : &s->facts[i];
        int64_t load;

        if (!fact ||
            (fact->load_ms && part->position >= fact->load_position && now_ms - fact->load_ms < LOAD_WINDOW_MS))
            continue;
        if (fact->load_ms && part->position >= fact->load_position) {
            load = (int64_t)((double)(part->position - fact->load_position) * 60000 / (double)(now_ms - fact->load_ms));
            fact->load = fact->load_known ? (fact->load + load) / 2 : load;
            fact->load_known = true;
        }
        fact->load_ms = now_ms ? now_ms : 1;
        fact->load_position = part->position;
    }
}

/* The agents of a foreign fleet read in the document which of them speaks: the others give no word any more. */
static void member_speaks(struct switcher *s, const struct report *r, int64_t now_unix_us)
{
    char *speaker = s->fleet->speakers[r->color], incarnation[INCARNATION_MAX + 1];

    if (s->fleet->spec.strategy != STRATEGY_FOREIGN || r->goodbye || strcmp(speaker, r->client_id) == 0)
        return;
    agent_incarnation(incarnation, s->fleet->spec.fleet, r->color);
    if (strcmp(incarnation, r->incarnation) != 0)
        return; /* no agent */
    snprintf(speaker, sizeof(s->fleet->speakers[0]), "%s", r->client_id);
    word_touch(s, now_unix_us);
}

void member_on_report(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    struct report *new = ev->report;
    struct switcher_member *m = member_find(s, new->incarnation);

    if (m && new->sequence <= m->report->sequence) { /* rule 13: ev->report goes back unused */
        report_void(m->report, new, ev->now_ms);
        return;
    }
    for (int i = 0; !m && i < MEMBERS_MAX; i++)
        if (!s->members[i].used)
            m = &s->members[i];
    if (!m) {
        s->members_overflow = true;
        return;
    }
    if (new->goodbye) {
        struct switcher_effect *e =
            effect_add(fx, SWITCHER_FORGET); /* its key gets a tombstone, which comes back as REPORT_GONE */

        snprintf(e->incarnation, sizeof(e->incarnation), "%s", new->incarnation);
    }
    if (!m->used)
        memset(m, 0, sizeof(*m));
    else
        report_succeed(new, m->report, ev->now_ms);
    ev->report = m->used ? m->report : NULL;
    m->used = true;
    m->report = new;
    m->heard_ms = ev->now_ms;
    m->gone = m->forgotten = false;
    m->missing_since_ms = 0;
    m->ends_token = 0;
    member_speaks(s, new, ev->now_unix_us);
    member_skew(m, ev->now_unix_us);
    member_doubts(s, new, ev->now_unix_us);
    member_loads(s, new, ev->now_ms);
}

const struct report *switcher_report(struct switcher *s, const char *incarnation)
{
    const struct switcher_member *m = member_find(s, incarnation);

    return m && !m->forgotten && !m->report->goodbye ? m->report : NULL;
}

/*
 * A member that was thought gone and has come back may have spoken before its tombstone came to the log. This reign knows it; who
 * leads next would not, and would not wait for it (I8). So what it said is said again.
 */
void member_on_report_gone(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx)
{
    struct switcher_member *m = member_find(s, ev->incarnation);

    ev->report = NULL;
    if (m && !m->forgotten && !m->report->goodbye) {
        struct switcher_effect *e = effect_add(fx, SWITCHER_RESTORE);

        snprintf(e->incarnation, sizeof(e->incarnation), "%s", m->report->incarnation);
        return;
    }
    if (!m)
        return;
    ev->report = m->report;
    memset(m, 0, sizeof(*m));
}

bool switcher_still_forgets(const struct switcher *s, const char *incarnation)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (s->members[i].used && strcmp(s->members[i].report->incarnation, incarnation) == 0)
            return s->members[i].forgotten || s->members[i].report->goodbye;
    return true;
}

/* --- what all of them say of a baton ------------------------------------------------------------------------------ */

bool member_counts(const struct switcher_member *m, enum color c)
{
    return m->used && !m->forgotten && !m->report->goodbye && m->report->color == c;
}

bool member_acknowledged(const struct switcher *s, const struct report *r, uint64_t order)
{
    return r->applied.term == s->fleet->version.term && r->applied.epoch >= order;
}

/* Every member of the color has applied the order (rules 4, 5, 7). */
bool members_acknowledged(const struct switcher *s, enum color c, uint64_t order)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (member_counts(&s->members[i], c) && !member_acknowledged(s, s->members[i].report, order))
            return false;
    return !s->members_overflow;
}

static bool part_busy(const struct report_part *part, const struct baton *b)
{
    return part->local == LOCAL_ACTIVE || part->local == LOCAL_DRAINING || part->in_flight > 0 ||
           part->order != b->order;
}

void members_survey(struct switcher *s)
{
    s->doubtful[BLUE] = s->doubtful[GREEN] = false;
    for (int i = 0; i < s->fleet->baton_count; i++)
        if (s->fleet->batons[i].doubt != OFFSET_NONE)
            s->doubtful[s->fleet->batons[i].holder] = true;
    for (int i = 0; i < s->fleet->baton_count; i++)
        for (int c = 0; c < COLOR_COUNT; c++) {
            s->facts[i].busy[c] = false;
            s->facts[i].owned[c] = NULL;
            s->facts[i].owner[c] = -1;
        }
    for (int m = 0; m < MEMBERS_MAX; m++) {
        const struct report *r = s->members[m].report;

        if (!s->members[m].used || s->members[m].forgotten || r->goodbye)
            continue;
        for (int k = 0; k < r->part_count; k++) {
            const struct report_part *part = &r->parts[k];
            const int i = fleet_find(s->fleet, part->topic, part->partition);
            struct baton_fact *fact = i < 0 ? NULL : &s->facts[i];

            if (!fact)
                continue;
            if (part_busy(part, &s->fleet->batons[i]))
                fact->busy[r->color] = true;
            if (part->owned && (fact->owner[r->color] < 0 || part->order >= fact->owned[r->color]->order)) {
                fact->owned[r->color] = part;
                fact->owner[r->color] = m;
            }
        }
    }
}

/* --- that it is silent -------------------------------------------------------------------------------------------- */

void members_on_tick(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    bool waited = !op_ended(&s->op);

    for (int i = 0; i < MEMBERS_MAX && !waited; i++)
        waited =
            s->members[i].used && ev->now_ms - s->members[i].heard_ms > 2 * s->members[i].report->report_interval_ms;
    if (s->groups_out && ev->now_ms - s->groups_asked_ms > ANSWER_MS_MAX)
        s->groups_out = false;
    if (!s->groups_out && ev->now_ms - s->groups_asked_ms >= (waited ? GROUPS_BUSY_MS : GROUPS_QUIET_MS)) {
        effect_add(fx, SWITCHER_READ_GROUPS);
        s->groups_out = true;
        s->groups_asked_ms = ev->now_ms;
    }
}

/* The first reading of the groups is due at once: nobody's absence counts from before this reign. */
void members_reign(struct switcher *s)
{
    s->groups_asked_ms = s->now_ms - GROUPS_QUIET_MS;
}

static bool group_lists(const struct group_view *g, const struct report *r)
{
    for (int i = 0; i < g->member_count; i++)
        if (r->member_id[0] && strcmp(g->members[i].member_id, r->member_id) == 0)
            return true;
    return false;
}

/* Rule 9: not listed, in a group that is not rebalancing, for gone_after since this leader first saw that, and silent as long. */
void members_on_groups(struct switcher *s, const struct switcher_event *ev)
{
    const int64_t gone_after_ms = spec_gone_after_ms(&s->fleet->spec);

    s->groups_out = false;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        struct switcher_member *m = &s->members[i];
        const struct group_view *g = m->used ? &ev->groups[m->report->color] : NULL;

        if (!m->used || m->gone || m->report->goodbye || (!g->known && !g->unsupported))
            continue;
        if (s->fleet->spec.strategy == STRATEGY_FOREIGN)
            continue; /* its agent is in no group, and the application it speaks for may run on without it */
        if (g->known && group_lists(g, m->report)) {
            m->missing_since_ms = 0;
            continue;
        }
        if (m->missing_since_ms == 0)
            m->missing_since_ms = ev->now_ms;
        /* an answer that took its time says how it was when it was asked for */
        if (g->rebalancing || s->groups_asked_ms - m->missing_since_ms < gone_after_ms ||
            ev->now_ms - m->heard_ms < gone_after_ms)
            continue;
        m->gone = true;
    }
}

/* Partitions on which a lost member may have work that it never committed (rule 10): what it owned or had in flight. */
static int member_works(const struct switcher *s, const struct report *r, int *batons)
{
    int n = 0;

    for (int k = 0; k < r->part_count; k++) {
        const struct report_part *part = &r->parts[k];
        const int i = fleet_find(s->fleet, part->topic, part->partition);

        if (i < 0 || s->fleet->batons[i].holder != r->color ||
            (s->fleet->spec.strategy == STRATEGY_FOREIGN && !fleet_can_have_been_whole(s->fleet, i)))
            continue; /* an application that is started whole has not begun there */
        if (part->owned || part->in_flight > 0) {
            if (batons)
                batons[n] = i;
            n++;
        }
    }
    return n;
}

/* Counts no more. Its key gets a tombstone; when that is read back, its report is given back (REPORT_GONE). */
static void member_forget(struct switcher_member *m, struct switcher_effects *fx)
{
    struct switcher_effect *e = effect_add(fx, SWITCHER_FORGET);

    m->forgotten = true;
    snprintf(e->incarnation, sizeof(e->incarnation), "%s", m->report->incarnation);
}

static void member_gone(struct switcher *s, struct switcher_member *m, const struct switcher_event *ev,
                        struct switcher_effects *fx)
{
    char why[256];

    member_forget(m, fx);
    s->surveyed = false;
    if (op_ended(&s->op) || !op_between_colors(&s->op) || s->op.on_unreachable == UNREACHABLE_FENCE)
        return;
    if (!(s->op.state == OP_PASSING && m->report->color == s->op.from) &&
        !(s->op.state == OP_OBSERVING && m->report->color == s->op.to))
        return; /* only one that held what is passed, or that is being observed, turns it back */
    snprintf(why, sizeof(why), "member %.64s (%.64s) of %s went without a goodbye", m->report->client_id,
             m->report->host, color_name(m->report->color));
    op_turn_back(s, CAUSE_MEMBER_GONE, why, ev->now_unix_us);
}

/* Members that went without a goodbye: what they may have done is read, written down, and only then are they forgotten. */
void members_advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    for (int k = 0; k < MEMBERS_MAX; k++) {
        struct switcher_member *m = &s->members[k];
        struct switcher_effect *e;
        int n;

        if (!m->used || !m->gone || m->forgotten || m->ends_token)
            continue;
        n = member_works(s, m->report, NULL);
        if (n == 0) {
            member_gone(s, m, ev, fx);
            return; /* one a step */
        }
        ASSERT(fx->baton_count + n <= fx->baton_max);
        e = effect_add(fx, SWITCHER_READ_ENDS);
        e->token = m->ends_token = ++s->token_last;
        member_works(s, m->report, &fx->batons[fx->baton_count]);
        fx->baton_count += n;
        e->count = n;
        return;
    }
}

void member_on_ends(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx)
{
    for (int k = 0; k < MEMBERS_MAX; k++) {
        struct switcher_member *m = &s->members[k];

        if (!m->used || !m->gone || m->ends_token != ev->token)
            continue;
        m->ends_token = 0;
        for (int i = 0; i < ev->reading_count; i++)
            if (ev->failed || ev->readings[i].failed)
                return; /* asked again in the next step */
        for (int i = 0; i < ev->reading_count; i++) {
            const struct switcher_reading *r = &ev->readings[i];
            const struct baton *b = &s->fleet->batons[r->baton];

            if (b->holder == m->report->color && r->offset > b->doubt)
                word_change(s, r->baton, ev->now_unix_us)->doubt = r->offset;
        }
        member_gone(s, m, ev, fx);
        return;
    }
}
