/*
 * member - the shell of a holder: a process with an application, a connection to its coordinator, a reader of the control log.
 *
 * It does what src/member does, and can be killed between any two effects, stopped, cut off from its coordinator, from the
 * control log or from both while its records still flow.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define FAILS_MS 30 /* between two tries of a record that fails ... */
#define FAILS 8     /* ... so many, on an average */

struct answer *answer_new(enum holder_event_type type, int parts, int tps)
{
    struct answer *a = arena(sizeof(*a));

    a->ev.type = type;
    a->at = parts ? arena((size_t)parts * sizeof(*a->at)) : NULL;
    a->tps = tps ? arena((size_t)tps * sizeof(*a->tps)) : NULL;
    return a;
}

void member_send(struct world *w, int n, struct answer *a, int64_t delay_ms)
{
    put(w,
        (struct at){
            .ms = w->now_ms + delay_ms, .kind = AT_MEMBER_EVENT, .who = n, .life = w->members[n].life, .payload = a });
}

void member_callback(struct world *w, int n, struct answer *a)
{
    int64_t ms = w->now_ms + hop_ms(w);

    if (ms <= w->members[n].from_broker_ms)
        ms = w->members[n].from_broker_ms + 1;
    w->members[n].from_broker_ms = ms;
    member_send(w, n, a, ms - w->now_ms);
}

/* One connection: in order. */
static void to_broker(struct world *w, int n, enum at_kind kind, void *payload)
{
    int64_t ms = w->now_ms + hop_ms(w);

    if (ms < w->members[n].to_broker_ms)
        ms = w->members[n].to_broker_ms;
    w->members[n].to_broker_ms = ms;
    put(w, (struct at){ .ms = ms,
                        .kind = kind,
                        .who = n,
                        .life = w->members[n].life,
                        .payload = payload,
                        .a = w->members[n].session });
}

static struct holder_event plain(const struct world *w, const struct member *m, enum holder_event_type type)
{
    return (struct holder_event){ .type = type,
                                  .now_ms = clock_of_ms(w, &m->clock),
                                  .now_unix_us = clock_of_unix_us(w, &m->clock) };
}

int64_t member_oldest_ms(const struct member *m, int part)
{
    const struct window *win = &m->parts[part].window;

    return win->head == win->tail ? INT64_MAX : m->given[part][win->head & (win->room - 1)];
}

/* --- effects --------------------------------------------------------------------------------------------------------------------- */

static void effect_commit(struct world *w, int n, const struct holder_effect *e, const struct holder_part_at *at)
{
    struct commit *c = arena(sizeof(*c));

    c->token = e->token;
    c->session = w->members[n].session;
    c->member = n;
    c->count = e->count;
    c->at = arena((size_t)e->count * sizeof(*c->at));
    c->partition = arena((size_t)e->count * sizeof(*c->partition));
    for (int i = 0; i < e->count; i++) {
        c->at[i] = at[i];
        c->partition[i] = w->members[n].parts[at[i].part].partition;
    }
    rules_commits(w, n, at, e->count);
    to_broker(w, n, AT_BROKER_COMMIT, c);
}

static void effect_read_offsets(struct world *w, int n, const struct holder_effect *e, const struct holder_part_at *at)
{
    struct member *m = &w->members[n];
    const bool own = e->type == HOLDER_READ_OFFSETS;
    const struct group *g = &w->groups[own ? m->color : color_other(m->color)];
    struct answer *a = answer_new(own ? HOLDER_OFFSETS : HOLDER_ACTIVE_OFFSETS, e->count, 0);

    a->ev.token = e->token;
    a->ev.part_count = e->count;
    a->ev.failed = m->coordinator_cut || strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]);
    for (int i = 0; i < e->count; i++) {
        const int p = m->parts[at[i].part].partition;

        a->at[i] = (struct holder_part_at){ at[i].part, g->committed[p], g->mark[p] };
        if (own)
            m->read[p] = (struct read_back){ w->now_ms, g->committed[p], g->mark[p], m->color };
        else
            rules_follows(w, n, at[i].part);
    }
    member_send(w, n, a, a->ev.failed ? 100 : hop_ms(w));
}

static struct report *report_of(struct world *w, struct member *m)
{
    struct report *r = arena(sizeof(*r));

    r->part_max = w->partitions_max;
    r->parts = arena((size_t)r->part_max * sizeof(*r->parts));
    text_copy(r->fleet, sizeof(r->fleet), "f");
    text_copy(r->incarnation, sizeof(r->incarnation), m->incarnation);
    text_copy(r->member_id, sizeof(r->member_id), m->incarnation);
    text_copy(r->version, sizeof(r->version), color_name(m->color));
    r->eager = w->groups[m->color].protocol == GROUP_EAGER;
    holder_report(&m->holder, r, clock_of_unix_us(w, &m->clock));
    rules_report_made(w, (int)(m - w->members), r);
    return r;
}

static void member_effect(struct world *w, int n, const struct holder_effects *fx, const struct holder_effect *e)
{
    struct member *m = &w->members[n];
    const struct holder_part_at *at = &fx->parts[e->first];
    struct answer *a;

    switch (e->type) {
    case HOLDER_ATTACH:
        for (int i = 0; i < e->count; i++)
            m->fetch[at[i].part] = at[i].offset;
        put(w, (struct at){ .ms = w->now_ms + hop_ms(w), .kind = AT_MEMBER_FETCH, .who = n, .life = m->life });
        break;
    case HOLDER_DETACH:
        for (int i = 0; i < e->count; i++) {
            struct truth *t = &w->truth[m->parts[at[i].part].partition];

            m->fetch[at[i].part] = -1;
            t->stopped_ms[m->color] = w->now_ms;
            t->stopper[m->color] = n;
        }
        break;
    case HOLDER_COMMIT:
        effect_commit(w, n, e, at);
        break;
    case HOLDER_READ_OFFSETS:
    case HOLDER_READ_ACTIVE:
        effect_read_offsets(w, n, e, at);
        break;
    case HOLDER_READ_LOG_END:
        a = answer_new(HOLDER_LOG_END, 0, 0);
        a->ev.token = e->token;
        a->ev.log_position = w->log_count;
        a->ev.failed = m->log_cut || strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]);
        if (a->ev.failed)
            a->ev.log_position = 0; /* nothing that an answer without an answer says is true */
        member_send(w, n, a, hop_ms(w));
        break;
    case HOLDER_REPORT:
        put(w, (struct at){ .ms = w->now_ms + hop_ms(w),
                            .kind = AT_BROKER_REPORT,
                            .who = n,
                            .life = m->life,
                            .payload = report_of(w, m) });
        break;
    case HOLDER_ANSWER_ASSIGN:
        break;
    case HOLDER_ANSWER_REVOKE:
        if (m->in_group && m->revoke_out)
            to_broker(w, n, AT_BROKER_JOIN, NULL);
        break;
    case HOLDER_LEAVE:
        to_broker(w, n, AT_BROKER_LEAVE, NULL);
        break;
    case HOLDER_CLOSED:
        say(w, "member %s of %s has closed", m->incarnation, color_name(m->color));
        m->alive = false;
        m->life++;
        break;
    }
}

static void member_step(struct world *w, int n, struct holder_event *ev)
{
    struct member *m = &w->members[n];
    struct holder_effects fx;
    enum part_state before[PARTITIONS_MAX];

    for (int i = 0; i < w->partitions_max && w->trace; i++)
        before[i] = m->parts[i].state;
    ev->now_ms = clock_of_ms(w, &m->clock);
    ev->now_unix_us = clock_of_unix_us(w, &m->clock);
    fx.parts = m->at;
    fx.part_max = 4 * w->partitions_max;
    holder_effects_clear(&fx);
    holder_step(&m->holder, ev, &fx);
    for (int i = 0; i < w->partitions_max && w->trace; i++)
        if (m->parts[i].used && m->parts[i].state != before[i])
            say(w, "%s partition %d: %s -> %s at %lld, %u in flight", m->incarnation, (int)m->parts[i].partition,
                part_state_name(before[i]), part_state_name(m->parts[i].state), (long long)m->parts[i].window.position,
                m->parts[i].window.open);
    for (int i = 0; i < fx.count && m->alive; i++) {
        if (w->incarnations < LIVES_MAX - 2 * GROUP_SIZE_MAX &&
            strikes(w, FAULT_CRASH_MEMBER_EFFECT, w->config.chance[FAULT_CRASH_MEMBER_EFFECT])) {
            member_kill(w, n);
            return;
        }
        member_effect(w, n, &fx, &fx.items[i]);
    }
}

static void member_tick(struct world *w, int n)
{
    struct holder_event ev = { .type = HOLDER_TICK };

    member_step(w, n, &ev);
}

/* --- the control log, records, the application ------------------------------------------------------------------------------------------ */

/* By the world's own book: is there nothing that it could not read? */
bool member_reads_all(const struct member *m)
{
    for (int i = 0; i <= SHARDS_MAX; i++)
        if (m->unread[i])
            return false;
    return true;
}

/* A document, or how far the log is read. */
static void member_is_told(struct world *w, int n, enum holder_event_type type, const struct doc *doc, int64_t offset)
{
    struct member *m = &w->members[n];
    const struct version before = m->fleet.version;
    struct holder_event ev = { .type = type, .doc = doc, .doc_offset = offset };

    ev.log_position = uptake_read_to(&m->uptake, m->log_next);
    if (member_reads_all(m) && m->log_next > m->log_seen)
        m->log_seen = m->log_next;
    if (member_reads_all(m) && type == HOLDER_DOC && (doc->kind == DOC_WHOLE || doc->kind == DOC_HEAD))
        m->whole = doc->version;
    member_step(w, n, &ev);
    judge_heard(w, m, before);
}

/* A head or a shard, as src/channel/documents.c does it. True: it was told something. */
static bool member_reads(struct world *w, int n, const struct control_record *r, int64_t offset)
{
    struct member *m = &w->members[n];
    const int shard = r->key.kind == REPLAY_HEAD ? -1 : r->key.shard;
    const struct uptake_record record = { .shard = shard, .gone = r->gone, .offset = offset, .term = r->term };
    const bool readable = r->gone || !m->old || !chance(w, 300);
    bool told = false;

    if (!uptake_counts(&m->uptake, &record))
        return false;
    m->unread[1 + shard] = !readable;
    switch (uptake_step(&m->uptake, &record, readable)) {
    case UPTAKE_NOTHING:
        break;
    case UPTAKE_KEEP:
        m->head = r->doc;
        m->head_at = offset;
        break;
    case UPTAKE_TAKE:
        member_is_told(w, n, HOLDER_DOC, r->doc, offset);
        told = true;
        break;
    }
    if (m->alive && uptake_head_due(&m->uptake)) {
        uptake_head_taken(&m->uptake);
        member_is_told(w, n, HOLDER_DOC, m->head, m->head_at);
        told = true;
    }
    return told;
}

static void member_read(struct world *w, int n)
{
    struct member *m = &w->members[n];

    while (m->alive && !m->log_cut && !m->log_lags && m->log_next < w->log_count) {
        const int64_t offset = m->log_next++;
        const struct control_record *r = &w->log[offset];
        bool told = false;

        if (r->claim && !r->compacted)
            terms_claim(&m->uptake.terms, offset);
        else if (!r->claim && !r->compacted && (r->key.kind == REPLAY_HEAD || r->key.kind == REPLAY_SHARD))
            told = member_reads(w, n, r, offset);
        if (m->alive && !told && m->log_next == w->log_count) /* the position alone is told once, at the end */
            member_is_told(w, n, HOLDER_LOG_POSITION, NULL, 0);
    }
    rules_caught_up(w, n);
}

static void member_fetch(struct world *w, int n)
{
    struct member *m = &w->members[n];

    for (int i = 0; i < w->partitions_max; i++) {
        struct holder_part *part = &m->parts[i];

        if (m->alive && part->used && m->fetch[i] > w->ends[part->partition]) { /* out of range: the log was cut */
            if (!holder_cut(&m->holder, i, w->truth[part->partition].cut_at))
                continue;
            say(w, "%s goes back to %lld on partition %d", m->incarnation, (long long)part->window.position,
                (int)part->partition);
            m->fetch[i] = w->truth[part->partition].cut_at;
        }
        if (part->used && part->state == PART_ACTIVE && part->committed != OFFSET_NONE && part->token == 0 &&
            m->fetch[i] <= w->ends[part->partition])
            w->truth[part->partition].cut_seen = true;
        while (m->alive && part->used && m->fetch[i] >= 0 && m->fetch[i] < w->ends[part->partition]) {
            const struct holder_event now = plain(w, m, HOLDER_TICK);
            const int64_t offset = m->fetch[i];
            const uint32_t slot = part->window.tail & (SLOTS - 1);
            const enum deliver d = holder_deliver(&m->holder, i, offset, now.now_ms, now.now_unix_us);
            int64_t work_ms = below(w, w->config.work_ms_max + 1);
            bool fails;

            if (d == DELIVER_LATER)
                break;
            m->fetch[i]++;
            if (d == DELIVER_DROP)
                continue;
            m->given[i][slot] = w->now_ms;
            m->in_hand[part->partition]++;
            rules_given(w, n, part->partition);
            judge_delivered(w, n, i, offset);
            if (strikes(w, FAULT_OUT_OF_ORDER, w->config.chance[FAULT_OUT_OF_ORDER]))
                work_ms = below(w, WORK_MS_BOUND);
            if (strikes(w, FAULT_STUCK, w->config.chance[FAULT_STUCK]))
                work_ms = WORK_MS_BOUND + below(w, 4000);
            fails = w->config.chance[FAULT_GIVE_BACK] && strikes(w, FAULT_GIVE_BACK, w->config.chance[FAULT_GIVE_BACK]);
            put(w, (struct at){ .ms = w->now_ms + (fails ? FAILS_MS : work_ms),
                                .kind = fails ? AT_MEMBER_FAILS : AT_MEMBER_DONE,
                                .who = n,
                                .life = m->life,
                                .a = i,
                                .b = offset,
                                .c = part->partition,
                                .d = w->truth[part->partition].cuts });
        }
        if (m->alive && part->used && m->fetch[i] >= 0 && m->fetch[i] == w->ends[part->partition])
            holder_at_end(&m->holder, i, m->fetch[i], clock_of_unix_us(w, &m->clock));
    }
    if (m->alive && holder_wants_turn(&m->holder))
        member_tick(w, n);
}

void members_fetch(struct world *w, int partition)
{
    for (int n = 0; n < w->incarnations; n++)
        for (int i = 0; w->members[n].exists && w->members[n].alive && i < w->partitions_max; i++)
            if (w->members[n].fetch[i] >= 0 && w->members[n].parts[i].partition == partition)
                put(w,
                    (struct at){
                        .ms = w->now_ms + hop_ms(w), .kind = AT_MEMBER_FETCH, .who = n, .life = w->members[n].life });
}

static void member_done(struct world *w, int n, const struct at *at)
{
    struct member *m = &w->members[n];
    m->in_hand[at->c]--;
    if (at->d == w->truth[at->c].cuts || at->b < w->truth[at->c].cut_at) /* else it is lost, and what is there is new */
        judge_done(w, n, (int)at->c, at->b);
    if (holder_done(&m->holder, (int)at->a, at->b, clock_of_unix_us(w, &m->clock)))
        member_tick(w, n);
    else if (m->fetch[at->a] >= 0 && m->fetch[at->a] < w->ends[at->c])
        put(w, (struct at){
                   .ms = w->now_ms + 1, .kind = AT_MEMBER_FETCH, .who = n, .life = m->life }); /* there is room again */
}

/* The record is tried again and again, until it is done after all or can be given back. */
static void member_fails(struct world *w, int n, const struct at *at)
{
    struct member *m = &w->members[n];
    struct at again = *at;

    if (holder_take_back(&m->holder, (int)at->a, at->b)) {
        say(w, "%s gives back %d/%lld", m->incarnation, (int)at->c, (long long)at->b);
        m->in_hand[at->c]--;
        member_tick(w, n);
        return;
    }
    if (below(w, FAILS) == 0) {
        member_done(w, n, at);
        return;
    }
    again.ms = w->now_ms + FAILS_MS;
    put(w, again);
}

/* --- a process's life ----------------------------------------------------------------------------------------------------------------------- */

void member_start(struct world *w, enum color c)
{
    const struct holder_config config = {
        .color = c,
        .session_timeout_ms = SESSION_MS,
        .commit_interval_ms = 150,
        .revoke_ms_max = 200,
        .report_interval_ms = 500,
        .retry_ms = 50,
        .watchdog_ms = 800,
    };
    const int pmax = w->partitions_max, n = w->incarnations;
    struct member *m = &w->members[n];
    struct window_slot *slots;

    if (n == LIVES_MAX || group_members(w, c, NULL) >= GROUP_SIZE_MAX)
        return;
    w->incarnations++;
    memset(m, 0, sizeof(*m));
    m->exists = m->alive = true;
    m->color = c;
    m->life = 1;
    clock_draw(w, &m->clock);
    snprintf(m->incarnation, sizeof(m->incarnation), "%c%d", color_name(c)[0], n);
    m->parts = arena((size_t)pmax * sizeof(*m->parts));
    m->at = arena(4 * (size_t)pmax * sizeof(*m->at));
    m->fetch = arena((size_t)pmax * sizeof(*m->fetch));
    m->given = arena((size_t)pmax * sizeof(*m->given));
    m->first_given = arena((size_t)pmax * sizeof(*m->first_given));
    m->in_hand = arena((size_t)pmax * sizeof(*m->in_hand));
    m->shown = arena((size_t)pmax * sizeof(*m->shown));
    m->read = arena((size_t)pmax * sizeof(*m->read));
    m->begun = arena((size_t)pmax * sizeof(*m->begun));
    m->known_at = -1;
    slots = arena((size_t)pmax * SLOTS * sizeof(*slots));
    fleet_init(&m->fleet, arena((size_t)pmax * sizeof(struct baton)), pmax);
    holder_init(&m->holder, &config, &m->fleet, m->parts, pmax, clock_of_ms(w, &m->clock));
    for (int i = 0; i < pmax; i++) {
        m->parts[i].window.slots = &slots[(size_t)i * SLOTS];
        m->parts[i].window.room = SLOTS;
        m->fetch[i] = -1;
    }
    uptake_init(&m->uptake);
    say(w, "member %s of %s starts", m->incarnation, color_name(c));
    put(w, (struct at){ .ms = w->now_ms + hop_ms(w), .kind = AT_MEMBER_READ, .who = n, .life = m->life });
    put(w, (struct at){ .ms = w->now_ms + 1 + below(w, TICK_MS), .kind = AT_MEMBER_TICK, .who = n, .life = m->life });
    group_join(w, n);
}

static void expires(struct world *w, int n)
{
    struct member *m = &w->members[n];

    w->disturbed = true;
    if (m->away_ms == 0)
        m->away_ms = w->now_ms;
    put(w, (struct at){ .ms = w->now_ms + SESSION_MS, .kind = AT_GROUP_EXPIRES, .who = n, .a = m->away_ms });
}

void member_kill(struct world *w, int n)
{
    struct member *m = &w->members[n];

    say(w, "member %s of %s is killed", m->incarnation, color_name(m->color));
    for (int i = 0; i < w->partitions_max; i++) { /* half of what was in its hands had its effect, unsaid */
        const struct window *win = &m->parts[i].window;

        if (m->parts[i].used)
            coverage_part(FAULT_CRASH_MEMBER, (unsigned)m->parts[i].state);
        for (uint32_t k = win->head; m->parts[i].used && k != win->tail; k++)
            if (!win->slots[k & (win->room - 1)].done && chance(w, 500))
                judge_done(w, n, m->parts[i].partition, win->slots[k & (win->room - 1)].offset);
    }
    m->alive = false;
    m->life++;
    m->kept_count = 0;
    expires(w, n);
    put(w, (struct at){ .ms = w->now_ms + 50 + below(w, 1500), .kind = AT_MEMBER_STARTS, .who = (int)m->color });
}

void member_stop(struct world *w, int n, int64_t sleep_ms)
{
    struct member *m = &w->members[n];

    say(w, "member %s is stopped for %lld ms", m->incarnation, (long long)sleep_ms);
    for (int i = 0; i < w->partitions_max; i++)
        if (m->parts[i].used)
            coverage_part(FAULT_STOP_MEMBER, (unsigned)m->parts[i].state);
    m->stopped = true;
    if (sleep_ms > SESSION_MS + WORK_MS_BOUND)
        m->frozen_ms_max = w->now_ms + SESSION_MS + WORK_MS_BOUND;
    expires(w, n);
    put(w, (struct at){ .ms = w->now_ms + sleep_ms, .kind = AT_MEMBER_WAKES, .who = n, .life = m->life });
}

void member_cut(struct world *w, int n, int64_t lasts_ms)
{
    struct member *m = &w->members[n];

    say(w, "member %s is cut off from its coordinator for %lld ms", m->incarnation, (long long)lasts_ms);
    for (int i = 0; i < w->partitions_max; i++)
        if (m->parts[i].used)
            coverage_part(FAULT_CUT_COORDINATOR, (unsigned)m->parts[i].state);
    m->coordinator_cut = true;
    expires(w, n);
    put(w, (struct at){ .ms = w->now_ms + lasts_ms, .kind = AT_MEMBER_HEALS, .who = n, .life = m->life });
}

/* It learns that it was dropped, sooner or later, and joins again. */
static void lost(struct world *w, int n)
{
    struct member *m = &w->members[n];
    struct answer *a = answer_new(HOLDER_LOST, 0, w->partitions_max);

    for (int i = 0; i < w->partitions_max; i++)
        if (m->parts[i].used && m->parts[i].assigned)
            a->tps[a->ev.tp_count++] = (struct holder_topic_partition){ 0, m->parts[i].partition };
    member_callback(w, n, a);
    put(w, (struct at){
               .ms = m->from_broker_ms + 20 + below(w, 200), .kind = AT_MEMBER_JOINS, .who = n, .life = m->life });
}

static void member_back(struct world *w, int n)
{
    struct member *m = &w->members[n];

    if (m->stopped || m->coordinator_cut)
        return;
    m->away_ms = 0;
    if (!m->in_group && !m->closing)
        lost(w, n);
}

static void member_wakes(struct world *w, int n)
{
    struct member *m = &w->members[n];
    const int count = m->kept_count;

    say(w, "member %s goes on%s", m->incarnation, m->in_group ? "" : ", and is out of its group without knowing");
    m->stopped = false;
    m->kept_count = 0;
    for (int i = 0; i < count; i++) { /* what waited in its sockets */
        m->kept[i].ms = w->now_ms;
        put(w, m->kept[i]);
    }
    member_back(w, n);
}

static void keep(struct member *m, const struct at *at)
{
    if (m->kept_count == m->kept_room) {
        struct at *grown = arena((size_t)(m->kept_room ? 2 * m->kept_room : 16) * sizeof(*grown));

        if (m->kept_count)
            memcpy(grown, m->kept, (size_t)m->kept_count * sizeof(*grown));
        m->kept = grown;
        m->kept_room = m->kept_room ? 2 * m->kept_room : 16;
    }
    m->kept[m->kept_count++] = *at;
}

static void member_event(struct world *w, int n, struct answer *a)
{
    struct member *m = &w->members[n];
    const bool callback = a->ev.type == HOLDER_ASSIGNED || a->ev.type == HOLDER_REVOKED || a->ev.type == HOLDER_LOST;

    if (callback && m->in_group == (a->ev.type == HOLDER_LOST))
        return; /* of another session: LOST is on its way, or has been told */
    if (a->ev.type == HOLDER_REVOKED)
        for (int i = 0; i < w->partitions_max; i++)
            if (m->parts[i].used)
                coverage_part(FAULT_JOIN_MEMBER, (unsigned)m->parts[i].state);
    a->ev.parts = a->at;
    a->ev.tps = a->tps;
    for (int i = 0; callback && i < a->ev.tp_count; i++)
        say(w, "%s %s partition %d", m->incarnation,
            a->ev.type == HOLDER_ASSIGNED  ? "is assigned"
            : a->ev.type == HOLDER_REVOKED ? "has to give up"
                                           : "has lost",
            (int)a->tps[i].partition);
    if (a->ev.type == HOLDER_ASSIGNED)
        rules_assigned(w, n, &a->ev);
    member_step(w, n, &a->ev);
    if (m->alive && !callback && strikes(w, FAULT_REPEATED, w->config.chance[FAULT_REPEATED]))
        member_step(w, n, &a->ev);
}

static void broker_report(struct world *w, const struct at *at)
{
    const struct member *m = &w->members[at->who];
    struct report *r = at->payload;
    struct answer *a = answer_new(HOLDER_REPORT_ACKED, 0, 0);
    a->ev.sequence = r->sequence;
    if (at->a == 0 && strikes(w, FAULT_REPORT_LATE, w->config.chance[FAULT_REPORT_LATE])) {
        put(w, (struct at){ .ms = w->now_ms + 20 + below(w, 1500),
                            .kind = AT_BROKER_REPORT,
                            .who = at->who,
                            .life = at->life,
                            .payload = r,
                            .a = 1 });
        a->ev.type = HOLDER_REPORT_FAILED;
    } else if (at->a == 1) {
        reports_append(w, m->incarnation, r);
        return;
    } else if (strikes(w, FAULT_REPORT_LOST, w->config.chance[FAULT_REPORT_LOST])) {
        a->ev.type = HOLDER_REPORT_FAILED;
    } else {
        reports_append(w, m->incarnation, r);
        if (strikes(w, FAULT_REPEATED, w->config.chance[FAULT_REPEATED]))
            reports_append(w, m->incarnation, r);
        if (strikes(w, FAULT_LOST, w->config.chance[FAULT_LOST]))
            a->ev.type = HOLDER_REPORT_FAILED;
    }
    if (m->life == at->life)
        member_send(w, at->who, a, hop_ms(w));
}

/* What it had sent before it died may still arrive. */
static bool arrives(struct world *w, const struct at *at)
{
    const struct member *m = &w->members[at->who];

    return m->life == at->life || (m->life == at->life + 1 && chance(w, 500));
}

void member_at(struct world *w, struct at *at)
{
    const int n = at->who;
    struct member *m = &w->members[n];
    const bool its_own = at->kind <= AT_MEMBER_JOINS;

    if (its_own && (!m->alive || at->life != m->life))
        return;
    if (m->stopped && at->kind <= AT_MEMBER_DONE) {
        keep(m, at);
        return;
    }
    switch (at->kind) {
    case AT_MEMBER_TICK:
        put(w, (struct at){ .ms = w->now_ms + TICK_MS, .kind = AT_MEMBER_TICK, .who = n, .life = m->life });
        member_tick(w, n);
        if (m->alive)
            member_fetch(w, n);
        break;
    case AT_MEMBER_READ:
        member_read(w, n);
        break;
    case AT_MEMBER_FETCH:
        member_fetch(w, n);
        break;
    case AT_MEMBER_EVENT:
        member_event(w, n, at->payload);
        break;
    case AT_MEMBER_FAILS:
        member_fails(w, n, at);
        break;
    case AT_MEMBER_DONE:
        member_done(w, n, at);
        break;
    case AT_MEMBER_WAKES:
        member_wakes(w, n);
        break;
    case AT_MEMBER_HEALS:
        m->coordinator_cut = false;
        member_back(w, n);
        break;
    case AT_MEMBER_SEES:
        m->log_cut = m->log_lags = false;
        if (m->old)
            member_kill(w, n); /* somebody has started the new version in its place */
        else
            member_read(w, n);
        break;
    case AT_MEMBER_JOINS:
        if (!m->in_group && !m->closing && !m->stopped && !m->coordinator_cut)
            group_join(w, n);
        break;
    case AT_MEMBER_STARTS:
        member_start(w, (enum color)n);
        break;
    case AT_BROKER_COMMIT:
        if (m->coordinator_cut && m->alive) { /* times out */
            struct commit *c = at->payload;
            struct answer *a = answer_new(HOLDER_COMMITTED, c->count, 0);

            memcpy(a->at, c->at, (size_t)c->count * sizeof(*c->at));
            a->ev.token = c->token;
            a->ev.part_count = c->count;
            a->ev.failed = true;
            member_send(w, n, a, 200);
        } else if (arrives(w, at)) {
            broker_commit(w, at->payload, m->life == at->life);
        }
        break;
    case AT_BROKER_JOIN:
        if (!m->in_group || m->life != at->life || m->session != at->a)
            break;
        if (m->coordinator_cut)
            put(w, (struct at){ .ms = w->now_ms + 50, .kind = at->kind, .who = n, .life = at->life, .a = at->a });
        else
            group_answered(w, n);
        break;
    case AT_BROKER_LEAVE:
        if (m->life != at->life)
            break;
        if (!m->coordinator_cut)
            group_drop(w, n);
        member_send(w, n, answer_new(HOLDER_LEFT, 0, 0), hop_ms(w));
        break;
    case AT_BROKER_REPORT:
        if (arrives(w, at))
            broker_report(w, at);
        break;
    case AT_GROUP_EXPIRES:
        if (!m->in_group || m->away_ms != at->a)
            break;
        say(w, "the group drops %s", m->incarnation);
        group_drop(w, n);
        if (m->alive && m->coordinator_cut && !m->stopped) { /* it may notice by itself, late */
            struct answer *a = answer_new(HOLDER_LOST, 0, w->partitions_max);

            for (int i = 0; i < w->partitions_max; i++)
                if (m->parts[i].used && m->parts[i].assigned)
                    a->tps[a->ev.tp_count++] = (struct holder_topic_partition){ 0, m->parts[i].partition };
            member_send(w, n, a, below(w, 3000));
        }
        break;
    case AT_CONTROLLER_TICK:
    case AT_CONTROLLER_READ:
    case AT_CONTROLLER_TURN:
    case AT_CONTROLLER_APPEND:
    case AT_CONTROLLER_ACKED:
    case AT_CONTROLLER_EVENT:
    case AT_CONTROLLER_LEADS:
    case AT_CONTROLLER_LOSES:
    case AT_CONTROLLER_CLAIM:
    case AT_CONTROLLER_CLAIMED:
    case AT_CONTROLLER_FORGETS:
    case AT_CONTROLLER_RESTORES:
    case AT_PRODUCE:
    case AT_FAULT:
    case AT_OPERATOR:
        break;
    }
}
