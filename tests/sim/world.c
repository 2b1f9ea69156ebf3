/* world - see world.h. Top to bottom: dice, queue, brokers, members, controllers, operator and faults, checks. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/holder.h"
#include "core/switch.h"
#include "core/terms.h"

#define PARTITIONS_MAX 64
#define MEMBERS 64 /* incarnations in one world's life */
#define CONTROLLERS 3
#define SLOTS 64
#define SESSION_MS 3000
#define WORK_MS_BOUND 1000
#define DEADLINE_MS 8000
#define EPOCHS_PER_PARTITION 40 /* documents that one operation may cost: it passes each forth and back, and again after a doubt */

enum kind {
    AT_MEMBER_TICK,
    AT_MEMBER_READ,     /* control log */
    AT_MEMBER_EVENT,    /* an answer */
    AT_MEMBER_DONE,     /* its app is done with a record */
    AT_MEMBER_RESUME,   /* SIGCONT */
    AT_MEMBER_START,
    AT_BROKER_COMMIT,
    AT_BROKER_REPORT,
    AT_GROUP_EXPIRE,
    AT_GROUP_ASSIGN,
    AT_CONTROLLER_TURN,
    AT_CONTROLLER_ACKED,
    AT_CONTROLLER_EVENT,
    AT_CONTROLLER_APPEND,
    AT_CONTROLLER_LEAD,
    AT_PRODUCE,
    AT_FAULT,
    AT_OPERATOR,
};

struct at {
    int64_t ms;
    uint64_t order;
    enum kind kind;
    int who;
    uint64_t life;   /* of the actor when it was sent: a crash makes it void */
    void *payload;   /* freed after use */
    int64_t a, b, c;
};

/* A record of the control log: a claim, a document or an operation. */
struct control_record {
    int64_t term;
    bool claim;
    struct doc doc;
    struct op *op;
    bool passes_only, op_only; /* what of it the record holds */
};

struct report_record {
    char incarnation[INCARNATION_MAX + 1];
    struct report *report; /* NULL: a tombstone */
};

struct member {
    bool exists, alive, stopped, in_group, log_cut, closing;
    enum color color;
    uint64_t life;
    char incarnation[INCARNATION_MAX + 1];
    struct fleet fleet;
    struct baton batons[PARTITIONS_MAX];
    struct holder holder;
    struct holder_part parts[PARTITIONS_MAX];
    struct window_slot slots[PARTITIONS_MAX][SLOTS];
    struct holder_part_at at[4 * PARTITIONS_MAX];
    struct terms terms;
    int64_t log_next;
    int64_t fetch[PARTITIONS_MAX]; /* next offset to fetch by part, -1: not attached */
    int64_t heartbeat_ms;
    bool revoke_sent;
    int64_t stops;
    int64_t stops_long; /* from here on its sleep is longer than any bound, 0: it was not */
    int64_t group_ms; /* when its last rebalance callback comes */
    struct at *kept; /* events while stopped */
    int kept_count;
};

struct group {
    int owner[PARTITIONS_MAX]; /* member or -1 */
    bool revoking[PARTITIONS_MAX];
    int64_t committed[PARTITIONS_MAX];
    struct mark mark[PARTITIONS_MAX];
};

struct controller {
    bool alive, leads, busy; /* busy: a batch is out */
    bool cut;                /* a zombie: believes that it leads */
    uint64_t life;
    int64_t term;
    int64_t log_next, reports_next;
    struct terms terms;
    struct fleet fleet;
    struct baton batons[PARTITIONS_MAX];
    struct baton_fact facts[PARTITIONS_MAX];
    struct pass forth[PARTITIONS_MAX], back[PARTITIONS_MAX];
    struct switcher switcher;
    struct switcher_effects fx;
    int fx_batons[4 * PARTITIONS_MAX];
    struct at *inbox;
    int inbox_count;
    int64_t reports_wanted_end;
    uint64_t reports_token;
    bool heal;
    struct op passes; /* the newest passes read; their arrays are the log's */
};

struct listed {
    int partition;
    int64_t from, to;
};

struct world {
    struct world_config config;
    uint64_t dice;
    int64_t now_ms;
    uint64_t order_last;
    struct at *heap;
    int heap_count, heap_room;
    struct control_record *log;
    int log_count, log_room;
    struct report_record *reports;
    int report_count, report_room;
    struct member members[MEMBERS];
    struct group groups[COLOR_COUNT];
    struct controller controllers[CONTROLLERS];
    int leader; /* as the broker has it, -1 */
    int partitions;
    int incarnations;
    int64_t ends[PARTITIONS_MAX];
    unsigned char *done[PARTITIONS_MAX]; /* bit 0, 1: by blue, green; counts of the color in bits 2.. */
    int64_t done_room[PARTITIONS_MAX];
    struct listed listed[4096];
    int listed_count;
    int orders_left;
    uint32_t watched; /* the operation the operator waits for */
    int64_t ordered_ms;
    bool calm;        /* no more faults: everything has to come to rest */
    struct world_result *result;
    bool trace;
    bool order_out;
};

static struct world *W; /* the one being run: asserts jump out of it */
static jmp_buf broken_at;
static const char *broken_fact;
static char broken_where[200];

static void broken(const char *fact, const char *file, int line)
{
    broken_fact = fact;
    snprintf(broken_where, sizeof(broken_where), "%.120s:%d", file, line);
    longjmp(broken_at, 1);
}

#define MUST(fact) ((fact) ? (void)0 : broken(#fact, __FILE__, __LINE__))

/* --- dice ----------------------------------------------------------------------------------------------------------------- */

static uint64_t roll(struct world *w)
{
    uint64_t x = w->dice += 0x9e3779b97f4a7c15u; /* splitmix64, public domain constants by Vigna */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int below(struct world *w, int n)
{
    return n <= 0 ? 0 : (int)(roll(w) % (uint64_t)n);
}

static bool chance(struct world *w, int in_1000)
{
    return below(w, 1000) < in_1000;
}

static int64_t soon(struct world *w)
{
    if (!w->calm && chance(w, w->config.late))
        return 50 + below(w, 2500);
    return 1 + below(w, 6);
}

__attribute__((format(printf, 2, 3))) static void say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (!w->trace)
        return;
    printf("[%7lld] ", (long long)w->now_ms);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static void *must_alloc(size_t n)
{
    void *p = calloc(1, n);

    if (!p)
        abort();
    return p;
}

/* --- the queue ----------------------------------------------------------------------------------------------------------------- */

static bool before(const struct at *a, const struct at *b)
{
    return a->ms != b->ms ? a->ms < b->ms : a->order < b->order;
}

static void put(struct world *w, struct at at)
{
    int i;

    if (w->heap_count == w->heap_room) {
        w->heap_room = w->heap_room ? 2 * w->heap_room : 256;
        w->heap = realloc(w->heap, (size_t)w->heap_room * sizeof(*w->heap));
        if (!w->heap)
            abort();
    }
    at.order = ++w->order_last;
    for (i = w->heap_count++; i > 0 && before(&at, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = at;
}

static struct at take(struct world *w)
{
    struct at first = w->heap[0], last = w->heap[--w->heap_count];
    int i = 0;

    for (;;) {
        int child = 2 * i + 1;

        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return first;
}

/* --- brokers ----------------------------------------------------------------------------------------------------------------------- */

static int64_t log_append(struct world *w, const struct control_record *r)
{
    if (w->log_count == w->log_room) {
        w->log_room = w->log_room ? 2 * w->log_room : 64;
        w->log = realloc(w->log, (size_t)w->log_room * sizeof(*w->log));
        if (!w->log)
            abort();
    }
    w->log[w->log_count] = *r;
    return w->log_count++;
}

static struct report *report_copy(const struct report *r)
{
    struct report *n = must_alloc(sizeof(*n));

    *n = *r;
    n->parts = must_alloc((size_t)(r->part_count ? r->part_count : 1) * sizeof(*n->parts));
    memcpy(n->parts, r->parts, (size_t)r->part_count * sizeof(*n->parts));
    n->part_max = r->part_count;
    return n;
}

static void report_free(struct report *r)
{
    if (r)
        free(r->parts);
    free(r);
}

static void reports_append(struct world *w, const char *incarnation, struct report *take_report)
{
    if (w->report_count == w->report_room) {
        w->report_room = w->report_room ? 2 * w->report_room : 64;
        w->reports = realloc(w->reports, (size_t)w->report_room * sizeof(*w->reports));
        if (!w->reports)
            abort();
    }
    memset(&w->reports[w->report_count], 0, sizeof(*w->reports));
    snprintf(w->reports[w->report_count].incarnation, INCARNATION_MAX + 1, "%s", incarnation);
    w->reports[w->report_count++].report = take_report;
}

struct commit {
    uint64_t token;
    int member;
    int count;
    struct holder_part_at at[PARTITIONS_MAX];
    int32_t partition[PARTITIONS_MAX];
};

struct answer { /* to a member */
    struct holder_event ev;
    struct holder_part_at at[PARTITIONS_MAX];
    bool failed[PARTITIONS_MAX];
    struct holder_topic_partition tps[PARTITIONS_MAX];
};

static void member_send(struct world *w, int m, struct answer *a, int64_t delay_ms)
{
    put(w, (struct at){ .ms = w->now_ms + delay_ms, .kind = AT_MEMBER_EVENT, .who = m, .life = w->members[m].life, .payload = a });
}

/* Rebalance callbacks reach a member in their order. */
static void group_send(struct world *w, int m, struct answer *a)
{
    int64_t ms = w->now_ms + 1 + below(w, 5);

    if (ms <= w->members[m].group_ms)
        ms = w->members[m].group_ms + 1;
    w->members[m].group_ms = ms;
    member_send(w, m, a, ms - w->now_ms);
}

static int group_members(const struct world *w, enum color c, int *ret)
{
    int n = 0;

    for (int m = 0; m < MEMBERS; m++)
        if (w->members[m].exists && w->members[m].in_group && w->members[m].color == c)
            ret[n++] = m;
    return n;
}

static bool group_rebalancing(const struct world *w, enum color c)
{
    for (int p = 0; p < w->partitions; p++)
        if (w->groups[c].revoking[p] || w->groups[c].owner[p] < 0)
            return true;
    return false;
}

/* Cooperative: only what has to move is revoked; it is assigned when its old owner has answered. */
static void group_balance(struct world *w, enum color c)
{
    struct group *g = &w->groups[c];
    int members[MEMBERS], load[MEMBERS] = { 0 };
    const int n = group_members(w, c, members);
    int fair;

    if (n == 0)
        return;
    fair = (w->partitions + n - 1) / n;
    for (int p = 0; p < w->partitions; p++)
        if (g->owner[p] >= 0)
            load[g->owner[p]]++;
    for (int k = 0; k < n; k++) { /* too many: give up, in one callback */
        struct answer *a = NULL;
        const int m = members[k];

        for (int p = 0; p < w->partitions && load[m] > fair; p++) {
            if (g->owner[p] != m || g->revoking[p])
                continue;
            if (w->members[m].revoke_sent)
                break; /* one callback at a time */
            if (!a)
                a = must_alloc(sizeof(*a));
            a->tps[a->ev.tp_count++] = (struct holder_topic_partition){ 0, p };
            g->revoking[p] = true;
            load[m]--;
        }
        if (a) {
            a->ev.type = HOLDER_REVOKED;
            w->members[m].revoke_sent = true;
            group_send(w, m, a);
        }
    }
    for (int p = 0; p < w->partitions; p++) { /* nobody's: to the least loaded */
        struct answer *a;
        int best = members[0];

        if (g->owner[p] >= 0)
            continue;
        for (int k = 1; k < n; k++)
            if (load[members[k]] < load[best])
                best = members[k];
        g->owner[p] = best;
        load[best]++;
        a = must_alloc(sizeof(*a));
        a->ev.type = HOLDER_ASSIGNED;
        a->ev.tp_count = 1;
        a->tps[0] = (struct holder_topic_partition){ 0, p };
        group_send(w, best, a);
    }
}

static void group_drop(struct world *w, int m)
{
    struct group *g = &w->groups[w->members[m].color];

    if (!w->members[m].in_group)
        return;
    w->members[m].in_group = false;
    for (int p = 0; p < w->partitions; p++)
        if (g->owner[p] == m) {
            g->owner[p] = -1;
            g->revoking[p] = false;
        }
    group_balance(w, w->members[m].color);
}

static void broker_commit(struct world *w, struct commit *c)
{
    struct member *m = &w->members[c->member];
    struct group *g = &w->groups[m->color];
    struct answer *a = must_alloc(sizeof(*a));
    const bool refused = !m->in_group || (!w->calm && chance(w, w->config.lose));

    for (int i = 0; i < c->count; i++) {
        const int p = c->partition[i];

        if (!refused) {
            g->committed[p] = c->at[i].offset;
            g->mark[p] = c->at[i].mark;
        }
        a->at[i] = c->at[i];
    }
    a->ev.type = HOLDER_COMMITTED;
    a->ev.token = c->token;
    a->ev.part_count = c->count;
    a->ev.failed = refused || (!w->calm && chance(w, w->config.commit_lost_answer));
    member_send(w, c->member, a, a->ev.failed ? 100 : soon(w));
}

/* --- members ------------------------------------------------------------------------------------------------------------------------- */

static void fetch_and_deliver(struct world *w, int n);

static void mark_done(struct world *w, int p, int64_t offset, enum color c)
{
    unsigned char *d = &w->done[p][offset];

    MUST(offset < w->ends[p]);
    if (*d & (1u << c))
        w->result->repeats_in_color++;
    if (*d & (1u << color_other(c))) {
        bool listed = false;

        for (int i = 0; i < w->listed_count && !listed; i++)
            listed = w->listed[i].partition == p && w->listed[i].from <= offset && offset < w->listed[i].to;
        if (!listed && w->trace)
            say(w, "!! record %d/%lld done by both colors and listed nowhere", p, (long long)offset);
        MUST(listed && "I3: a record done by both colors is listed");
        w->result->repeats_listed++;
    }
    *d |= (unsigned char)(1u << c);
}

static struct holder_event plain(struct world *w, enum holder_event_type type)
{
    return (struct holder_event){ .type = type, .now_ms = w->now_ms, .now_unix_us = 1000000 + w->now_ms * 1000 };
}

static void member_effect(struct world *w, int n, const struct holder_effects *fx, const struct holder_effect *e)
{
    struct member *m = &w->members[n];
    struct group *g = &w->groups[m->color];
    const struct holder_part_at *at = &fx->parts[e->first];
    struct answer *a;
    struct commit *c;

    switch (e->type) {
    case HOLDER_ATTACH:
        for (int i = 0; i < e->count; i++)
            m->fetch[at[i].part] = at[i].offset;
        break;
    case HOLDER_DETACH:
        for (int i = 0; i < e->count; i++)
            m->fetch[at[i].part] = -1;
        break;
    case HOLDER_COMMIT:
        c = must_alloc(sizeof(*c));
        c->token = e->token;
        c->member = n;
        c->count = e->count;
        for (int i = 0; i < e->count; i++) {
            c->at[i] = at[i];
            c->partition[i] = m->parts[at[i].part].partition;
        }
        put(w, (struct at){ .ms = w->now_ms + soon(w), .kind = AT_BROKER_COMMIT, .who = n, .life = m->life, .payload = c });
        break;
    case HOLDER_READ_OFFSETS:
    case HOLDER_READ_ACTIVE:
        a = must_alloc(sizeof(*a));
        a->ev.type = e->type == HOLDER_READ_OFFSETS ? HOLDER_OFFSETS : HOLDER_ACTIVE_OFFSETS;
        a->ev.token = e->token;
        a->ev.part_count = e->count;
        a->ev.failed = !w->calm && chance(w, w->config.lose);
        g = e->type == HOLDER_READ_OFFSETS ? g : &w->groups[color_other(m->color)];
        for (int i = 0; i < e->count; i++) {
            const int p = m->parts[at[i].part].partition;

            a->at[i] = (struct holder_part_at){ at[i].part, g->committed[p], g->mark[p] };
        }
        member_send(w, n, a, soon(w));
        break;
    case HOLDER_READ_LOG_END:
        a = must_alloc(sizeof(*a));
        a->ev.type = HOLDER_LOG_END;
        a->ev.token = e->token;
        a->ev.log_position = w->log_count;
        a->ev.failed = m->log_cut || (!w->calm && chance(w, w->config.lose));
        member_send(w, n, a, soon(w));
        break;
    case HOLDER_REPORT: {
        struct report_part parts[PARTITIONS_MAX];
        struct report r = { .parts = parts, .part_max = PARTITIONS_MAX };

        snprintf(r.fleet, sizeof(r.fleet), "f");
        snprintf(r.incarnation, sizeof(r.incarnation), "%s", m->incarnation);
        snprintf(r.member_id, sizeof(r.member_id), "%s", m->incarnation);
        snprintf(r.version, sizeof(r.version), "%s", color_name(m->color));
        holder_report(&m->holder, &r, 1000000 + w->now_ms * 1000);
        put(w, (struct at){ .ms = w->now_ms + soon(w), .kind = AT_BROKER_REPORT, .who = n, .life = m->life, .payload = report_copy(&r),
                            .a = (int64_t)r.sequence });
        break;
    }
    case HOLDER_ANSWER_ASSIGN:
        break;
    case HOLDER_ANSWER_REVOKE:
        m->revoke_sent = false;
        for (int p = 0; p < w->partitions; p++)
            if (g->owner[p] == n && g->revoking[p]) {
                g->owner[p] = -1;
                g->revoking[p] = false;
            }
        group_balance(w, m->color);
        break;
    case HOLDER_LEAVE:
        group_drop(w, n);
        a = must_alloc(sizeof(*a));
        a->ev.type = HOLDER_LEFT;
        member_send(w, n, a, 1);
        break;
    case HOLDER_CLOSED:
        say(w, "member %s of %s has closed", m->incarnation, color_name(m->color));
        m->alive = false;
        m->life++;
        break;
    }
}

static void member_step(struct world *w, int n, const struct holder_event *ev)
{
    struct member *m = &w->members[n];
    struct holder_effects fx = { .parts = m->at, .part_max = 4 * PARTITIONS_MAX };
    enum part_state before_states[PARTITIONS_MAX];

    for (int i = 0; i < PARTITIONS_MAX; i++)
        before_states[i] = m->parts[i].state;
    holder_effects_clear(&fx);
    holder_step(&m->holder, ev, &fx);
    for (int i = 0; i < PARTITIONS_MAX && w->trace; i++)
        if (m->parts[i].used && m->parts[i].state != before_states[i] &&
            (m->parts[i].state == PART_ACTIVE || m->parts[i].state == PART_DRAINING || m->parts[i].state == PART_RELEASED))
            say(w, "%s %s: partition %d %s at %lld, %u in flight", color_name(m->color), m->incarnation, (int)m->parts[i].partition,
                m->parts[i].state == PART_ACTIVE ? "active" : m->parts[i].state == PART_DRAINING ? "draining" : "released",
                (long long)m->parts[i].window.position, m->parts[i].window.open);
    for (int i = 0; i < fx.count; i++)
        member_effect(w, n, &fx, &fx.items[i]);
}

static void member_read(struct world *w, int n)
{
    struct member *m = &w->members[n];

    while (m->log_next < w->log_count && !m->log_cut) {
        const struct control_record *r = &w->log[m->log_next];
        struct holder_event ev = plain(w, HOLDER_LOG_POSITION);

        if (r->claim)
            terms_claim(&m->terms, m->log_next);
        else if (!r->op && terms_valid(&m->terms, r->term)) {
            ev.type = HOLDER_DOC;
            ev.doc = &r->doc;
        }
        ev.log_position = ++m->log_next;
        member_step(w, n, &ev);
        if (!m->alive)
            return;
    }
}

static void fetch_and_deliver(struct world *w, int n)
{
    struct member *m = &w->members[n];

    for (int i = 0; i < PARTITIONS_MAX; i++) {
        struct holder_part *part = &m->parts[i];

        while (m->alive && part->used && m->fetch[i] >= 0 && m->fetch[i] < w->ends[part->partition]) {
            const int64_t offset = m->fetch[i];
            const enum deliver d = holder_deliver(&m->holder, i, offset, w->now_ms, 1000000 + w->now_ms * 1000);
            int64_t work_ms;

            if (d == DELIVER_LATER)
                break;
            m->fetch[i]++;
            if (d == DELIVER_DROP)
                continue;
            for (int k = 0; k < MEMBERS; k++) { /* I1, as an outsider sees it: who has this partition's records in hand? */
                const struct member *o = &w->members[k];
                const int theirs = o->exists && o->alive && o->color != m->color ? holder_find(&o->holder, 0, part->partition) : -1;

                /* One that slept beyond every bound with records in its hands is the sink's to refuse (by epoch); I3 still holds. */
                MUST((theirs < 0 || o->parts[theirs].window.open == 0 || (o->stops_long && w->now_ms >= o->stops_long)) && "I1: nobody of the other color has it in flight");
            }
            work_ms = chance(w, 10 * w->config.out_of_order) ? below(w, WORK_MS_BOUND) : below(w, w->config.work_ms_max + 1);
            put(w, (struct at){ .ms = w->now_ms + work_ms, .kind = AT_MEMBER_DONE, .who = n, .life = m->life, .a = i, .b = offset,
                                .c = part->partition });
        }
        if (m->alive && part->used && m->fetch[i] >= 0 && m->fetch[i] == w->ends[part->partition])
            holder_at_end(&m->holder, i, m->fetch[i], 1000000 + w->now_ms * 1000);
    }
}

static void member_start(struct world *w, enum color c)
{
    const struct holder_config config = {
        .color = c,
        .session_timeout_ms = SESSION_MS,
        .commit_interval_ms = 300,
        .revoke_ms_max = 400,
        .report_interval_ms = 1000,
        .retry_ms = 50,
        .watchdog_ms = 2000,
    };
    int n = 0;
    struct member *m;

    while (n < MEMBERS && w->members[n].exists && (w->members[n].alive || w->members[n].in_group))
        n++;
    if (n == MEMBERS)
        return;
    m = &w->members[n];
    memset(m, 0, sizeof(*m));
    m->exists = m->alive = m->in_group = true;
    m->color = c;
    m->life = roll(w);
    snprintf(m->incarnation, sizeof(m->incarnation), "%c%d", color_name(c)[0], w->incarnations++);
    fleet_init(&m->fleet, m->batons, PARTITIONS_MAX);
    holder_init(&m->holder, &config, &m->fleet, m->parts, PARTITIONS_MAX, w->now_ms);
    for (int i = 0; i < PARTITIONS_MAX; i++) {
        m->parts[i].window.slots = m->slots[i];
        m->parts[i].window.room = SLOTS;
        m->fetch[i] = -1;
    }
    terms_init(&m->terms);
    m->heartbeat_ms = w->now_ms;
    say(w, "member %s of %s starts", m->incarnation, color_name(c));
    put(w, (struct at){ .ms = w->now_ms + 1, .kind = AT_MEMBER_READ, .who = n, .life = m->life });
    put(w, (struct at){ .ms = w->now_ms + 1, .kind = AT_MEMBER_TICK, .who = n, .life = m->life });
    group_balance(w, c);
}

static void member_kill(struct world *w, int n)
{
    struct member *m = &w->members[n];

    say(w, "member %s of %s is killed", m->incarnation, color_name(m->color));
    for (int i = 0; i < PARTITIONS_MAX; i++) { /* half of what was in its hands had its effect, unsaid */
        const struct window *win = &m->parts[i].window;

        for (uint32_t k = win->head; m->parts[i].used && k != win->tail; k++)
            if (!win->slots[k & (win->room - 1)].done && chance(w, 500))
                mark_done(w, m->parts[i].partition, win->slots[k & (win->room - 1)].offset, m->color);
    }
    m->alive = false;
    m->life++;
    free(m->kept);
    m->kept = NULL;
    m->kept_count = 0;
    put(w, (struct at){ .ms = w->now_ms + SESSION_MS + below(w, 500), .kind = AT_GROUP_EXPIRE, .who = n, .life = m->life });
    put(w, (struct at){ .ms = w->now_ms + 200 + below(w, 4000), .kind = AT_MEMBER_START, .who = (int)m->color });
}

/* --- controllers ---------------------------------------------------------------------------------------------------------------------- */

struct told { /* an event for a switcher, with what it points to */
    struct switcher_event ev;
    struct switcher_reading readings[PARTITIONS_MAX];
    struct group_view groups[COLOR_COUNT];
    struct group_member members[COLOR_COUNT][MEMBERS];
    struct snapshot snapshot;
    struct partition_view partitions[PARTITIONS_MAX];
    struct order order;
    char incarnation[INCARNATION_MAX + 1];
    int64_t first_offsets[PARTITIONS_MAX];
};

static void told_free(struct told *t)
{
    if (t && t->ev.type == SWITCHER_REPORT)
        report_free(t->ev.report);
    free(t);
}

static struct told *told_new(enum switcher_event_type type)
{
    struct told *t = must_alloc(sizeof(*t));

    t->ev.type = type;
    return t;
}

static void controller_queue(struct world *w, int n, struct told *t)
{
    struct controller *c = &w->controllers[n];

    c->inbox = realloc(c->inbox, (size_t)(c->inbox_count + 1) * sizeof(*c->inbox));
    if (!c->inbox)
        abort();
    c->inbox[c->inbox_count++] = (struct at){ .payload = t };
    if (!c->busy)
        put(w, (struct at){ .ms = w->now_ms, .kind = AT_CONTROLLER_TURN, .who = n, .life = c->life });
}

static void controller_send(struct world *w, int n, struct told *t, int64_t delay_ms)
{
    put(w, (struct at){ .ms = w->now_ms + delay_ms, .kind = AT_CONTROLLER_EVENT, .who = n, .life = w->controllers[n].life,
                        .payload = t });
}

static void fill_groups(struct world *w, struct told *t)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        struct group_view *g = &t->groups[c];

        g->known = true;
        g->rebalancing = group_rebalancing(w, (enum color)c);
        g->members = t->members[c];
        for (int m = 0; m < MEMBERS; m++)
            if (w->members[m].exists && w->members[m].in_group && w->members[m].color == (enum color)c)
                snprintf(t->members[c][g->member_count++].member_id, MEMBER_ID_MAX, "%s", w->members[m].incarnation);
    }
    t->ev.groups = t->groups;
}

static void controller_effect(struct world *w, int n, const struct switcher_effect *e)
{
    struct controller *c = &w->controllers[n];
    const int *batons = &c->fx.batons[e->first];
    const bool fails = !w->calm && chance(w, w->config.lose);
    struct told *t;

    switch (e->type) {
    case SWITCHER_READ_REPORTS:
        c->reports_token = e->token;
        c->reports_wanted_end = w->report_count;
        break;
    case SWITCHER_READ_OFFSETS:
    case SWITCHER_READ_ENDS:
        t = told_new(e->type == SWITCHER_READ_OFFSETS ? SWITCHER_OFFSETS : SWITCHER_ENDS);
        t->ev.token = e->token;
        t->ev.color = e->color;
        t->ev.failed = fails;
        t->ev.reading_count = e->count;
        for (int i = 0; i < e->count; i++) {
            const int p = c->fleet.batons[batons[i]].partition;

            t->readings[i] = (struct switcher_reading){ .baton = batons[i], .offset = w->ends[p] };
            if (e->type == SWITCHER_READ_OFFSETS) {
                t->readings[i].offset = w->groups[e->color].committed[p];
                t->readings[i].mark = w->groups[e->color].mark[p];
            }
        }
        t->ev.readings = t->readings;
        controller_send(w, n, t, soon(w));
        break;
    case SWITCHER_READ_GROUPS:
        t = told_new(SWITCHER_GROUPS);
        fill_groups(w, t);
        controller_send(w, n, t, soon(w));
        break;
    case SWITCHER_READ_ALL:
        t = told_new(SWITCHER_SNAPSHOT);
        t->ev.token = e->token;
        fill_groups(w, t);
        for (int k = 0; k < COLOR_COUNT; k++)
            t->snapshot.groups[k] = t->groups[k];
        t->snapshot.topics[0] = (struct topic_view){ .exists = true, .partition_count = w->partitions };
        t->snapshot.partition_count = w->partitions;
        t->snapshot.partitions = t->partitions;
        for (int p = 0; p < w->partitions; p++) {
            t->partitions[p].log_end = w->ends[p];
            for (int k = 0; k < COLOR_COUNT; k++) {
                t->partitions[p].committed[k] = w->groups[k].committed[p];
                t->partitions[p].mark[k] = w->groups[k].mark[p];
            }
        }
        t->ev.snapshot = &t->snapshot;
        controller_send(w, n, t, soon(w));
        break;
    case SWITCHER_FORGET:
        say(w, "controller %d forgets member %s", n, e->incarnation);
        reports_append(w, e->incarnation, NULL);
        break;
    case SWITCHER_REPLY:
        w->order_out = false;
        if (e->status == REPLY_ACCEPTED) {
            w->watched = e->number;
            w->ordered_ms = w->now_ms;
            say(w, "operator: accepted as %u", e->number);
        } else {
            w->result->refused++;
            say(w, "operator: refused (%d) %s %s", (int)e->status, e->text, c->switcher.findings.count ? c->switcher.findings.items[0].what : "");
        }
        break;
    case SWITCHER_DROP_OP:
        break;
    }
}

static void list_passes(struct world *w, const struct op *op)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < op->pass_count; i++) {
            const struct pass *p = side ? &op->back[i] : &op->forth[i];
            const int64_t to = p->doubt > p->repeat_to ? p->doubt : p->repeat_to;
            bool known = false;

            MUST((!p->taken || (p->grant && p->first >= p->from)) && "a receipt's first position is one of its own passage");
            MUST((!p->grant || p->from == p->committed || p->repeat_to == p->committed) && "I2: it begins where the other ended");
            if (!p->grant || to == OFFSET_NONE)
                continue;
            for (int k = 0; k < w->listed_count && !known; k++)
                known = w->listed[k].partition == i && w->listed[k].from <= p->from && w->listed[k].to >= to;
            if (!known && w->listed_count < 4096)
                w->listed[w->listed_count++] = (struct listed){ i, p->from, to };
        }
}

static struct op *op_copy(const struct op *op)
{
    struct op *n = must_alloc(sizeof(*n));

    *n = *op;
    n->forth = must_alloc(PARTITIONS_MAX * sizeof(*n->forth));
    n->back = must_alloc(PARTITIONS_MAX * sizeof(*n->back));
    memcpy(n->forth, op->forth, PARTITIONS_MAX * sizeof(*n->forth));
    memcpy(n->back, op->back, PARTITIONS_MAX * sizeof(*n->back));
    return n;
}

static void op_free(struct op *op)
{
    if (!op)
        return;
    free(op->forth);
    free(op->back);
    free(op);
}

struct batch {
    struct control_record records[3];
    int count;
};

static void member_stop(struct world *w, int n, int64_t sleep_ms)
{
    struct member *m = &w->members[n];

    say(w, "member %s is stopped for %lld ms", m->incarnation, (long long)sleep_ms);
    m->stopped = true;
    if (sleep_ms > SESSION_MS + WORK_MS_BOUND)
        m->stops_long = w->now_ms + SESSION_MS + WORK_MS_BOUND;
    put(w, (struct at){ .ms = w->now_ms + SESSION_MS, .kind = AT_GROUP_EXPIRE, .who = n, .life = m->life, .a = ++m->stops });
    put(w, (struct at){ .ms = w->now_ms + sleep_ms, .kind = AT_MEMBER_RESUME, .who = n, .life = m->life });
}

/* The moment between a grant and its taking is short: here all takers fall asleep in it. */
static void takers_stop(struct world *w, const struct fleet *f)
{
    bool takes[COLOR_COUNT] = { false };

    for (int i = 0; i < f->baton_count; i++)
        takes[f->batons[i].holder] = takes[f->batons[i].holder] || f->batons[i].state == RIGHT_GRANTED;
    for (int n = 0; n < MEMBERS; n++)
        if (w->members[n].exists && w->members[n].alive && !w->members[n].stopped && !w->members[n].closing &&
            takes[w->members[n].color] && chance(w, 800))
            member_stop(w, n, SESSION_MS + below(w, 4 * SESSION_MS));
}

/* The first `count` records reach the log. */
static void batch_append(struct world *w, struct batch *b, int count)
{
    for (int i = count; i < b->count; i++) {
        op_free(b->records[i].op);
        free(b->records[i].doc.fleet.batons);
    }
    for (int i = 0; i < count; i++) {
        if (b->records[i].passes_only)
            list_passes(w, b->records[i].op);
        log_append(w, &b->records[i]);
        if (!w->calm && !b->records[i].op && chance(w, w->config.takers_stop))
            takers_stop(w, &b->records[i].doc.fleet);
    }
}

/* What is dirty, in the order that switcher_dirty prescribes. */
static struct batch *batch_of(struct controller *c)
{
    struct switcher_dirty *d = &c->switcher.dirty;
    struct batch *b = must_alloc(sizeof(*b));
    bool passes = false;

    for (int i = 0; i < SHARDS_MAX; i++)
        passes = passes || d->passes[i];
    if (passes) {
        b->records[b->count].term = c->term;
        b->records[b->count].passes_only = true;
        b->records[b->count++].op = op_copy(&c->switcher.op);
    }
    if (d->head) {
        struct control_record *r = &b->records[b->count++];

        r->term = c->term;
        r->doc.kind = DOC_WHOLE;
        r->doc.version = c->fleet.version;
        r->doc.fleet = c->fleet;
        r->doc.fleet.batons = must_alloc(PARTITIONS_MAX * sizeof(struct baton));
        memcpy(r->doc.fleet.batons, c->batons, PARTITIONS_MAX * sizeof(struct baton));
    }
    if (d->op) {
        b->records[b->count].term = c->term;
        b->records[b->count].op_only = true;
        b->records[b->count++].op = op_copy(&c->switcher.op);
    }
    memset(d, 0, sizeof(*d));
    return b;
}

static void controller_turn(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const enum op_state state = c->switcher.op.state;
    const uint32_t number = c->switcher.op.number;
    struct batch *b;
    int taken = 0;

    if (!c->leads || c->busy)
        return;
    switcher_effects_clear(&c->fx);
    while (taken < c->inbox_count && c->fx.count < SWITCHER_EFFECTS_MAX - 16 && c->fx.baton_count < 2 * PARTITIONS_MAX) {
        struct told *t = c->inbox[taken++].payload;

        t->ev.now_ms = w->now_ms;
        t->ev.now_unix_us = 1000000 + w->now_ms * 1000;
        switcher_step(&c->switcher, &t->ev, &c->fx);
        if (t->ev.type == SWITCHER_REPORT || t->ev.type == SWITCHER_REPORT_GONE)
            report_free(t->ev.report);
        free(t);
    }
    memmove(c->inbox, c->inbox + taken, (size_t)(c->inbox_count - taken) * sizeof(*c->inbox));
    c->inbox_count -= taken;
    if (c->switcher.op.number != number || c->switcher.op.state != state)
        say(w, "controller %d: %s %u is %s %s", n, op_kind_name(c->switcher.op.kind), c->switcher.op.number,
            op_state_name(c->switcher.op.state), c->switcher.op.why);
    if (c->heal) {
        c->switcher.dirty.head = c->heal = false;
        c->switcher.dirty.head = true;
        c->switcher.dirty.op = c->switcher.op.number > 0;
    }
    b = batch_of(c);
    c->busy = true;
    put(w, (struct at){ .ms = w->now_ms + (b->count ? soon(w) : 0), .kind = AT_CONTROLLER_APPEND, .who = n, .life = c->life, .payload = b });
}

static void controller_reset(struct controller *c)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (c->switcher.members[i].used)
            report_free(c->switcher.members[i].report);
    for (int i = 0; i < c->inbox_count; i++)
        told_free(c->inbox[i].payload);
    free(c->inbox);
    c->inbox = NULL;
    c->inbox_count = 0;
    memset(&c->switcher, 0, sizeof(c->switcher));
    c->leads = c->busy = c->cut = false;
    c->life++;
}

/* Reads the control log from where it stands. True: a higher claim than its own was seen. */
static bool controller_read_log(struct world *w, struct controller *c)
{
    bool deposed = false;

    for (; c->log_next < w->log_count; c->log_next++) {
        const struct control_record *r = &w->log[c->log_next];

        if (r->claim) {
            terms_claim(&c->terms, c->log_next);
            deposed = deposed || (c->leads && c->log_next > c->term);
        } else if (!terms_valid(&c->terms, r->term)) {
            c->heal = true;
        } else if (c->leads) {
            continue; /* its own */
        } else if (r->op) {
            struct pass *forth = c->switcher.op.forth, *back = c->switcher.op.back;

            if (r->passes_only) { /* of this number's operation, be it written or not */
                c->passes = *r->op;
                continue;
            }
            c->switcher.op = *r->op;
            c->switcher.op.forth = forth;
            c->switcher.op.back = back;
        } else {
            fleet_apply(&c->fleet, &r->doc);
        }
    }
    return deposed;
}

static void controller_lead(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];
    const struct switcher_memory memory = { &c->fleet, c->facts, c->forth, c->back };
    struct control_record claim = { .claim = true };

    fleet_init(&c->fleet, c->batons, PARTITIONS_MAX);
    switcher_init(&c->switcher, &memory);
    terms_init(&c->terms);
    c->fx.batons = c->fx_batons;
    c->fx.baton_max = 4 * PARTITIONS_MAX;
    c->log_next = c->reports_next = 0;
    c->reports_token = 0;
    c->heal = false;
    claim.term = w->log_count;
    c->term = log_append(w, &claim);
    memset(&c->passes, 0, sizeof(c->passes));
    controller_read_log(w, c);
    if (c->passes.number == c->switcher.op.number && c->passes.number) {
        memcpy(c->forth, c->passes.forth, sizeof(c->forth));
        memcpy(c->back, c->passes.back, sizeof(c->back));
    }
    c->leads = true;
    say(w, "controller %d leads with term %lld", n, (long long)c->term);
    if (!c->fleet.exists) {
        struct spec spec = { .topic_count = 1, .first_active = BLUE, .stage_count = 1, .stages_percent = { 100 },
                             .observe_ms = 50, .deadline_ms = DEADLINE_MS, .session_timeout_ms = SESSION_MS,
                             .processing_ms_max = WORK_MS_BOUND, .follow_interval_ms = 500, .history_count = 10 };
        struct baton batons[PARTITIONS_MAX] = { { 0 } };

        snprintf(spec.fleet, sizeof(spec.fleet), "f");
        snprintf(spec.topics[0], sizeof(spec.topics[0]), "t");
        spec.on_unreachable = w->config.fence ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
        spec.on_doubt = w->config.list_doubt ? DOUBT_LIST : DOUBT_WAIT;
        for (int p = 0; p < w->partitions; p++)
            batons[p].partition = p;
        switcher_birth(&c->switcher, &spec, (struct version){ c->term, 1 }, batons, w->partitions, 1000000 + w->now_ms * 1000);
    } else {
        switcher_reign(&c->switcher, c->term, w->now_ms, 1000000 + w->now_ms * 1000);
        w->result->failovers++;
    }
    controller_queue(w, n, told_new(SWITCHER_TICK));
}

static void controller_tick(struct world *w, int n)
{
    struct controller *c = &w->controllers[n];

    if (!c->leads)
        return;
    if (!c->cut) {
        if (controller_read_log(w, c)) {
            say(w, "controller %d is deposed", n);
            controller_reset(c);
            return;
        }
        for (; c->reports_next < w->report_count; c->reports_next++) {
            const struct report_record *r = &w->reports[c->reports_next];
            struct told *t = told_new(r->report ? SWITCHER_REPORT : SWITCHER_REPORT_GONE);

            t->ev.report = r->report ? report_copy(r->report) : NULL;
            snprintf(t->incarnation, sizeof(t->incarnation), "%s", r->incarnation);
            t->ev.incarnation = t->incarnation;
            controller_queue(w, n, t);
        }
        if (c->reports_token) {
            struct told *t = told_new(SWITCHER_REPORTS_READ);

            t->ev.token = c->reports_token;
            t->ev.failed = c->reports_next < c->reports_wanted_end;
            c->reports_token = 0;
            controller_queue(w, n, t);
        }
        if (c->fleet.exists && c->fleet.baton_count < w->partitions && c->inbox_count < 50) {
            struct told *t = told_new(SWITCHER_PARTITIONS);

            t->ev.partition_count = w->partitions;
            t->ev.first_offsets = t->first_offsets;
            controller_queue(w, n, t);
        }
    }
    controller_queue(w, n, told_new(SWITCHER_TICK));
}

/* --- operator and faults ----------------------------------------------------------------------------------------------------------------- */

static struct controller *leader(struct world *w)
{
    return w->leader >= 0 && w->controllers[w->leader].leads ? &w->controllers[w->leader] : NULL;
}

static void operator_order(struct world *w, enum order_kind kind)
{
    struct told *t = told_new(SWITCHER_ORDER);

    t->order = (struct order){ .kind = kind, .observe_ms = -1, .deadline_ms = -1, .replay = w->config.replay };
    if (kind == ORDER_SWITCH && w->config.stages > 1) {
        t->order.stage_count = w->config.stages;
        for (int i = 0; i < w->config.stages; i++)
            t->order.stages_percent[i] = 100 * (i + 1) / w->config.stages;
    }
    t->ev.order = &t->order;
    w->order_out = true;
    w->ordered_ms = w->now_ms;
    controller_queue(w, w->leader, t);
}

static void operator_look(struct world *w)
{
    const struct controller *c = leader(w);
    const struct op *op = c ? &c->switcher.op : NULL;

    if (!c || !c->fleet.exists)
        return;
    if (w->order_out && w->now_ms - w->ordered_ms > 20000)
        w->order_out = false; /* went down with a leader */
    if (w->order_out)
        return;
    if (!op_ended(op)) {
        if (!w->calm && op->state != OP_RETURNING && chance(w, w->config.regret / 4))
            operator_order(w, ORDER_ROLLBACK);
        /* I6: it ends, within its deadlines and a bound for what one leader after the other needs to get going. */
        return;
    }
    if (w->watched && op->number == w->watched) {
        const int64_t epochs = (int64_t)(op->epoch_last - op->epoch_first);

        MUST(epochs <= EPOCHS_PER_PARTITION * w->partitions && "an operation does not turn in circles");
        w->result->completed += op->state == OP_COMPLETE;
        w->result->rolled_back += op->state == OP_ROLLED_BACK;
        w->result->need_operator += op->state == OP_NEEDS_OPERATOR;
        w->watched = 0;
    }
    if (w->orders_left == 0 || w->calm)
        return;
    if (chance(w, 700))
        return;
    w->orders_left--;
    if (c->fleet.phase == PHASE_PAUSED)
        operator_order(w, ORDER_RESUME);
    else if (chance(w, 100))
        operator_order(w, ORDER_PAUSE);
    else
        operator_order(w, op->number && chance(w, 300) ? ORDER_ROLLBACK : ORDER_SWITCH);
}

static int pick_member(struct world *w)
{
    const int first = below(w, MEMBERS);

    for (int i = 0; i < MEMBERS; i++) {
        const int n = (first + i) % MEMBERS;

        if (w->members[n].exists && w->members[n].alive && !w->members[n].stopped && !w->members[n].closing)
            return n;
    }
    return -1;
}

static bool strikes(struct world *w, int mean_ms)
{
    return mean_ms > 0 && below(w, mean_ms) < 20; /* asked every 20 ms */
}

static void faults(struct world *w)
{
    const struct world_config *f = &w->config;
    int n;

    if (strikes(w, f->crash_member_ms) && (n = pick_member(w)) >= 0)
        member_kill(w, n);
    if (strikes(w, f->stop_member_ms) && (n = pick_member(w)) >= 0) {
        const int64_t sleep_ms = 100 + below(w, chance(w, w->config.sleep_long ? w->config.sleep_long : 300) ? 5 * SESSION_MS : SESSION_MS);

        member_stop(w, n, sleep_ms);
    }
    if ((strikes(w, f->close_member_ms) || strikes(w, f->rebalance_ms)) && (n = pick_member(w)) >= 0) {
        struct answer *a = must_alloc(sizeof(*a));

        say(w, "member %s closes", w->members[n].incarnation);
        a->ev.type = HOLDER_CLOSE;
        w->members[n].closing = true;
        member_send(w, n, a, 1);
        put(w, (struct at){ .ms = w->now_ms + 10 + below(w, 2000), .kind = AT_MEMBER_START, .who = (int)w->members[n].color });
    }
    if (strikes(w, f->rebalance_ms) && below(w, 3) == 0) {
        int members[MEMBERS];

        n = below(w, 2);
        if (group_members(w, (enum color)n, members) < 6)
            member_start(w, (enum color)n);
    }
    if (strikes(w, f->cut_log_ms) && (n = pick_member(w)) >= 0) {
        say(w, "member %s cannot read the control log", w->members[n].incarnation);
        w->members[n].log_cut = true;
    }
    if (strikes(w, f->crash_controller_ms) && leader(w)) {
        say(w, "controller %d is killed", w->leader);
        controller_reset(leader(w));
        n = (w->leader + 1) % w->config.controllers;
        if (w->controllers[n].leads)
            controller_reset(&w->controllers[n]); /* a zombie that comes to its senses */
        w->leader = n;
        put(w, (struct at){ .ms = w->now_ms + 50 + below(w, 1500), .kind = AT_CONTROLLER_LEAD, .who = n, .life = w->controllers[n].life });
    }
    if (strikes(w, f->zombie_controller_ms) && leader(w) && w->config.controllers > 1) {
        say(w, "controller %d is cut off and believes that it leads", w->leader);
        leader(w)->cut = true;
        n = (w->leader + 1) % w->config.controllers;
        if (w->controllers[n].leads)
            controller_reset(&w->controllers[n]);
        w->leader = n;
        put(w, (struct at){ .ms = w->now_ms + 50 + below(w, 1500), .kind = AT_CONTROLLER_LEAD, .who = n, .life = w->controllers[n].life });
    }
    if (strikes(w, f->grow_ms) && w->partitions < PARTITIONS_MAX) {
        say(w, "partition %d is added", w->partitions);
        w->groups[BLUE].owner[w->partitions] = w->groups[GREEN].owner[w->partitions] = -1;
        w->partitions++;
        group_balance(w, BLUE);
        group_balance(w, GREEN);
    }
}

static void produce(struct world *w)
{
    for (int p = 0; p < w->partitions; p++) {
        const int n = w->config.rate_per_s >= 50 ? 1 + below(w, w->config.rate_per_s / 25) : chance(w, w->config.rate_per_s * 20);

        if (w->ends[p] + n + 1 > w->done_room[p]) {
            const int64_t room = 2 * w->done_room[p] + 1024;

            w->done[p] = realloc(w->done[p], (size_t)room);
            if (!w->done[p])
                abort();
            memset(w->done[p] + w->done_room[p], 0, (size_t)(room - w->done_room[p]));
            w->done_room[p] = room;
        }
        w->ends[p] += n;
    }
}

/* --- one event -------------------------------------------------------------------------------------------------------------------------- */

static void keep(struct member *m, const struct at *at)
{
    m->kept = realloc(m->kept, (size_t)(m->kept_count + 1) * sizeof(*m->kept));
    if (!m->kept)
        abort();
    m->kept[m->kept_count++] = *at;
}

static void member_event(struct world *w, struct at *at)
{
    struct member *m = &w->members[at->who];
    struct answer *a = at->payload;

    if (!m->alive || at->life != m->life)
        return;
    if (m->stopped && at->kind != AT_MEMBER_RESUME) {
        keep(m, at);
        at->payload = NULL;
        return;
    }
    if (at->kind == AT_MEMBER_EVENT) {
        a->ev.now_ms = w->now_ms;
        a->ev.now_unix_us = 1000000 + w->now_ms * 1000;
        a->ev.parts = a->at;
        a->ev.tps = a->tps;
        if (a->ev.type == HOLDER_REVOKED && !m->in_group)
            a->ev.type = HOLDER_LOST;
        member_step(w, at->who, &a->ev);
        if (m->alive && !w->calm && chance(w, w->config.repeat) && a->ev.type != HOLDER_ASSIGNED && a->ev.type != HOLDER_REVOKED &&
            a->ev.type != HOLDER_LOST)
            member_step(w, at->who, &a->ev);
    } else if (at->kind == AT_MEMBER_DONE) {
        mark_done(w, (int)at->c, at->b, m->color);
        if (holder_done(&m->holder, (int)at->a, at->b, 1000000 + w->now_ms * 1000)) {
            const struct holder_event ev = plain(w, HOLDER_TICK);

            member_step(w, at->who, &ev);
        }
    } else if (at->kind == AT_MEMBER_READ) {
        if (m->log_cut && (w->calm || chance(w, 10)))
            m->log_cut = false;
        member_read(w, at->who);
        if (m->alive)
            put(w, (struct at){ .ms = w->now_ms + soon(w), .kind = AT_MEMBER_READ, .who = at->who, .life = m->life });
    } else if (at->kind == AT_MEMBER_TICK) {
        const struct holder_event ev = plain(w, HOLDER_TICK);

        member_step(w, at->who, &ev);
        if (m->alive)
            fetch_and_deliver(w, at->who);
        if (m->alive)
            put(w, (struct at){ .ms = w->now_ms + 3 + below(w, 10), .kind = AT_MEMBER_TICK, .who = at->who, .life = m->life });
    } else if (at->kind == AT_MEMBER_RESUME) {
        struct at *kept = m->kept;
        const int count = m->kept_count;

        say(w, "member %s goes on%s", m->incarnation, m->in_group ? "" : ", and is out of its group without knowing");
        m->stopped = false;
        m->kept = NULL;
        m->kept_count = 0;
        if (!m->in_group) { /* it learns that in a moment, and joins again */
            struct answer *lost = must_alloc(sizeof(*lost));

            lost->ev.type = HOLDER_LOST;
            for (int i = 0; i < PARTITIONS_MAX; i++)
                if (m->parts[i].used && m->parts[i].assigned)
                    lost->tps[lost->ev.tp_count++] = (struct holder_topic_partition){ 0, m->parts[i].partition };
            member_send(w, at->who, lost, below(w, 200));
            put(w, (struct at){ .ms = w->now_ms + 300, .kind = AT_GROUP_ASSIGN, .who = at->who, .life = m->life });
        }
        for (int i = 0; i < count; i++) {
            kept[i].ms = w->now_ms;
            if (kept[i].kind == AT_MEMBER_EVENT && !m->in_group &&
                (((struct answer *)kept[i].payload)->ev.type == HOLDER_ASSIGNED ||
                 ((struct answer *)kept[i].payload)->ev.type == HOLDER_REVOKED)) {
                free(kept[i].payload);
                continue;
            }
            put(w, kept[i]);
        }
        free(kept);
    }
}

static void handle(struct world *w, struct at *at)
{
    struct controller *c = at->who >= 0 && at->who < CONTROLLERS ? &w->controllers[at->who] : NULL;
    struct member *m = at->who >= 0 && at->who < MEMBERS ? &w->members[at->who] : NULL;
    struct batch *b;
    struct answer *a;

    switch (at->kind) {
    case AT_MEMBER_TICK:
    case AT_MEMBER_READ:
    case AT_MEMBER_EVENT:
    case AT_MEMBER_DONE:
    case AT_MEMBER_RESUME:
        member_event(w, at);
        break;
    case AT_MEMBER_START: {
        int members[MEMBERS];

        if (group_members(w, (enum color)at->who, members) < 6)
            member_start(w, (enum color)at->who);
        break;
    }
    case AT_BROKER_COMMIT:
        if (m->life == at->life || (m->life == at->life + 1 && chance(w, 500))) /* what a killed member had sent may arrive */
            broker_commit(w, at->payload);
        break;
    case AT_BROKER_REPORT: {
        struct report *r = at->payload;

        a = must_alloc(sizeof(*a));
        a->ev.type = HOLDER_REPORT_ACKED;
        a->ev.sequence = (uint64_t)at->a;
        if (!w->calm && chance(w, w->config.lose)) {
            a->ev.type = HOLDER_REPORT_FAILED;
            report_free(r);
        } else {
            if (!w->calm && chance(w, w->config.repeat))
                reports_append(w, r->incarnation, report_copy(r));
            reports_append(w, r->incarnation, r);
        }
        at->payload = NULL;
        member_send(w, at->who, a, soon(w));
        break;
    }
    case AT_GROUP_EXPIRE:
        if (m->exists && m->life == at->life && (!at->a || (m->stopped && m->stops == at->a))) {
            say(w, "the group drops %s", m->incarnation);
            group_drop(w, at->who);
        }
        break;
    case AT_GROUP_ASSIGN: /* a dropped member joins again */
        if (m->alive && m->life == at->life && !m->in_group && !m->closing) {
            m->in_group = true;
            m->revoke_sent = false;
            group_balance(w, m->color);
        }
        break;
    case AT_CONTROLLER_TURN:
        if (at->life == c->life)
            controller_turn(w, at->who);
        break;
    case AT_CONTROLLER_APPEND:
        b = at->payload;
        if (at->life == c->life)
            batch_append(w, b, b->count);
        else
            batch_append(w, b, below(w, b->count + 1)); /* of a dead leader's last batch some may still arrive */
        if (at->life == c->life)
            put(w, (struct at){ .ms = w->now_ms + (b->count ? soon(w) : 0), .kind = AT_CONTROLLER_ACKED, .who = at->who, .life = c->life });
        break;
    case AT_CONTROLLER_ACKED:
        if (at->life != c->life)
            break;
        c->busy = false;
        for (int i = 0; i < c->fx.count; i++)
            controller_effect(w, at->who, &c->fx.items[i]);
        if (c->inbox_count)
            put(w, (struct at){ .ms = w->now_ms, .kind = AT_CONTROLLER_TURN, .who = at->who, .life = c->life });
        break;
    case AT_CONTROLLER_EVENT:
        if (at->life == c->life && c->leads)
            controller_queue(w, at->who, at->payload);
        else
            told_free(at->payload);
        at->payload = NULL;
        break;
    case AT_CONTROLLER_LEAD:
        if (at->who == w->leader && !c->leads)
            controller_lead(w, at->who);
        break;
    case AT_PRODUCE:
        if (!w->calm)
            produce(w);
        for (int i = 0; i < w->config.controllers; i++)
            controller_tick(w, i);
        put(w, (struct at){ .ms = w->now_ms + 20, .kind = AT_PRODUCE, .who = -1 });
        break;
    case AT_FAULT:
        if (!w->calm)
            faults(w);
        put(w, (struct at){ .ms = w->now_ms + 20, .kind = AT_FAULT, .who = -1 });
        break;
    case AT_OPERATOR:
        operator_look(w);
        put(w, (struct at){ .ms = w->now_ms + 100, .kind = AT_OPERATOR, .who = -1 });
        break;
    }
    free(at->payload);
}

/* --- a whole world --------------------------------------------------------------------------------------------------------------------------- */

/* Everything produced is done, nothing is on the move. */
static bool at_rest(struct world *w)
{
    const struct controller *c = leader(w);

    if (!c || c->busy || !op_ended(&c->switcher.op) || w->order_out || !c->fleet.exists)
        return false;
    for (int i = 0; i < c->fleet.baton_count; i++)
        if (c->fleet.batons[i].state != RIGHT_HELD)
            return false;
    for (int p = 0; p < w->partitions; p++)
        for (int64_t o = 0; o < w->ends[p]; o++)
            if (!w->done[p][o])
                return false;
    return true;
}

static void tell_unrest(struct world *w)
{
    const struct controller *c = leader(w);

    say(w, "not at rest: leader %d, op %u %s, order out %d", w->leader, c ? c->switcher.op.number : 0,
        c && c->switcher.op.number ? op_state_name(c->switcher.op.state) : "-", w->order_out);
    for (int i = 0; c && i < c->fleet.baton_count; i++) {
        const struct baton *b = &c->fleet.batons[i];
        int64_t first = -1;

        for (int64_t o = 0; o < w->ends[i] && first < 0; o++)
            if (!w->done[i][o])
                first = o;
        say(w, "  %d: %s %s from %lld epoch %llu, end %lld, first not done %lld, committed %lld/%lld, owners %d/%d", i,
            right_name(b->state), color_name(b->holder), (long long)b->from, (unsigned long long)b->epoch, (long long)w->ends[i], (long long)first,
            (long long)w->groups[BLUE].committed[i], (long long)w->groups[GREEN].committed[i], w->groups[BLUE].owner[i], w->groups[GREEN].owner[i]);
    }
}

static void world_live(struct world *w)
{
    const int64_t busy_until = w->now_ms + 15000 + 6000 * w->config.orders;
    int64_t rest_until = 0;

    while (w->heap_count > 0) {
        struct at at = take(w);

        w->now_ms = at.ms;
        handle(w, &at);
        if (!w->calm && (w->now_ms > busy_until || (w->orders_left == 0 && w->watched == 0 && !w->order_out && leader(w) && op_ended(&leader(w)->switcher.op)))) {
            say(w, "faults and records end");
            w->calm = true;
            for (int n = 0; n < MEMBERS; n++)
                w->members[n].log_cut = false;
            /* liveness: a switch under way has its deadline and the way back; a lost member is gone after a while */
            rest_until = w->now_ms + 2 * DEADLINE_MS + 6 * (SESSION_MS + WORK_MS_BOUND) + 10000;
        }
        if (w->calm && leader(w) && leader(w)->fleet.phase == PHASE_PAUSED && !w->order_out && op_ended(&leader(w)->switcher.op))
            operator_order(w, ORDER_RESUME);
        if (w->calm && at.kind == AT_OPERATOR) {
            if (at_rest(w))
                return;
            if (w->now_ms > rest_until)
                tell_unrest(w);
            MUST(w->now_ms <= rest_until && "I6, nothing lost: it ends, and every record is done");
        }
    }
}

static void world_free(struct world *w)
{
    for (int i = 0; i < w->heap_count; i++) {
        if (w->heap[i].kind == AT_BROKER_REPORT)
            report_free(w->heap[i].payload);
        else if (w->heap[i].kind == AT_CONTROLLER_EVENT)
            told_free(w->heap[i].payload);
        else
            free(w->heap[i].payload);
    }
    for (int i = 0; i < w->log_count; i++) {
        free(w->log[i].doc.fleet.batons);
        op_free(w->log[i].op);
    }
    for (int i = 0; i < w->report_count; i++)
        report_free(w->reports[i].report);
    for (int i = 0; i < CONTROLLERS; i++)
        controller_reset(&w->controllers[i]);
    for (int n = 0; n < MEMBERS; n++) {
        for (int i = 0; i < w->members[n].kept_count; i++)
            free(w->members[n].kept[i].payload);
        free(w->members[n].kept);
    }
    for (int p = 0; p < PARTITIONS_MAX; p++)
        free(w->done[p]);
    free(w->heap);
    free(w->log);
    free(w->reports);
}

void world_run(struct world_result *ret, const struct world_config *config, uint64_t seed, bool trace)
{
    static struct world world;
    struct world *w = &world;

    memset(w, 0, sizeof(*w));
    memset(ret, 0, sizeof(*ret));
    W = w;
    w->config = *config;
    w->dice = seed;
    w->result = ret;
    w->trace = trace;
    w->now_ms = 1000;
    w->partitions = config->partitions;
    w->orders_left = config->orders;
    ret->seed = seed;
    check_set_handler(broken);
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int p = 0; p < PARTITIONS_MAX; p++) {
            w->groups[c].owner[p] = -1;
            w->groups[c].committed[p] = OFFSET_NONE;
        }
    if (setjmp(broken_at) == 0) {
        controller_lead(w, 0);
        for (int c = 0; c < COLOR_COUNT; c++)
            for (int i = 0; i < config->members[c]; i++)
                member_start(w, (enum color)c);
        put(w, (struct at){ .ms = w->now_ms, .kind = AT_PRODUCE, .who = -1 });
        put(w, (struct at){ .ms = w->now_ms + 500, .kind = AT_FAULT, .who = -1 });
        put(w, (struct at){ .ms = w->now_ms + 1000, .kind = AT_OPERATOR, .who = -1 });
        world_live(w);
    } else {
        ret->broken = broken_fact;
        snprintf(ret->where, sizeof(ret->where), "%s", broken_where);
        say(w, "BROKEN: %s (%s)", ret->broken, ret->where);
    }
    check_set_handler(NULL);
    for (int p = 0; p < w->partitions; p++)
        ret->records += w->ends[p];
    ret->virtual_ms = w->now_ms;
    world_free(w);
}
