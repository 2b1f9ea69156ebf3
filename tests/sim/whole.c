/*
 * whole - worlds of foreign fleets: the switcher, two holders and core/whole between brokers, processes that nobody has changed, and words
 * that come late, twice, or from an agent that is dead.
 *
 * Time goes in steps; whatever is on its way is a letter with a day of arrival. The processes consume, commit now and then without
 * a mark, stop slowly (some do not stop for a long time and say that they have), are killed and come back; agents are killed at any
 * moment and their letters arrive all the same. Judged from outside, at every step and at the end:
 *
 *   no two colors work on one partition at a time;
 *   no record is done by both colors unless a receipt lists it, and none twice by one unless a process died with it;
 *   in the end one color works, and every record is done.
 *
 *     sim-whole [--worlds N] [--first N] [--trace]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/switch.h"
#include "core/whole.h"

#define PARTS 3
#define PODS 2
#define RECORDS_MAX 8000
#define LETTERS_MAX 4096
#define LOG_MAX 4096
#define STEP_MS 5
#define SESSION_MS 6000
#define STUBBORN_MS 15000
#define LATE_MS 1900   /* a word of an agent that died; core/whole waits for 2 s */
#define STORM_MS 90000 /* then nothing goes wrong any more ... */
#define LAST_MS 110000 /* ... there are no more records ... */
#define END_MS 240000  /* ... and by then all has come to rest */

enum letter_type { TO_POD, FROM_POD, TO_BROKER, FROM_BROKER, REPORT, ACK, DOCUMENT, LOG_END, TO_CONTROLLER };
enum question { LISTING, READING, ENDS, SETTING, QUESTIONS };

struct letter {
    bool used;
    enum letter_type type;
    int64_t at_ms;
    int color, pod, life; /* of the agent that it is from or to */
    bool start, failed;   /* the word; a question that was refused */
    enum question question;
    int64_t asked_ms;
    uint64_t proof, token;
    struct holder_part_at parts[PARTS];
    int count;
    struct whole_listing listing;
    struct report *report;
    int64_t number; /* of a document, or the log's end */
    struct switcher_event ev;
    struct switcher_reading readings[PARTS];
};

struct process {
    bool alive, wanted; /* wanted: its binding is started */
    bool member;        /* of its group, consuming */
    int64_t stops_ms, back_ms, works_ms, commits_ms, joined_ms;
    int64_t position[PARTS], done[PARTS]; /* fetched up to; done up to, and not yet committed */
    bool owns[PARTS];
    bool answers; /* a word is being answered */
};

struct group {
    int64_t committed[PARTS];
    struct mark mark[PARTS];
    struct {
        int64_t until_ms;
    } ghosts[64];
    int64_t moves_ms; /* its members own what they own from then on; 0: at rest */
};

struct agent {
    bool alive;
    int life;
    int64_t back_ms, told_ms, asked_ms[QUESTIONS];
    bool out[QUESTIONS], word_out[PODS], fresh_out, fresh;
    int next_word[PODS]; /* 0 none, 1 stop, 2 start */
    uint64_t losses;
    struct holder holder;
    struct fleet fleet;
    struct baton batons[PARTS];
    struct holder_part parts[PARTS];
    struct window_slot slots[PARTS][4];
    struct whole whole;
    struct whole_part whole_parts[PARTS];
    struct holder_effects fx;
    struct holder_part_at fx_parts[4 * PARTS];
    int64_t heard;      /* documents applied */
    uint64_t log_token; /* of the holder's question for the log's end */
    int64_t log_wait, fresh_wait;
    int64_t first_sequence;
};

struct world {
    uint64_t random, seed;
    bool trace;
    int64_t now_ms, ends[PARTS];
    uint8_t done[COLOR_COUNT][PARTS][RECORDS_MAX];
    bool listed[PARTS][RECORDS_MAX];
    bool lost[PARTS][RECORDS_MAX]; /* done by a process that died before it committed: to be done again */
    struct process pods[COLOR_COUNT][PODS];
    struct group groups[COLOR_COUNT];
    struct agent agents[COLOR_COUNT];
    struct letter letters[LETTERS_MAX];
    struct fleet log[LOG_MAX]; /* documents */
    struct baton log_batons[LOG_MAX][PARTS];
    int64_t log_end;
    struct switcher switcher;
    struct fleet fleet;
    struct baton batons[PARTS];
    struct baton_fact facts[PARTS];
    struct pass forth[PARTS], back[PARTS];
    struct stage_item items[PARTS];
    struct switcher_effects fx;
    int fx_batons[4 * PARTS];
    int64_t reports_sent, reports_read; /* those in the log of reports */
    struct report *reports[65536];
    int64_t ticked_ms, ordered_ms, frozen_ms; /* the controller hears and says nothing until then */
    int orders, kills, crashes, refusals;
};

static struct world *w;

static uint64_t draw(uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return below ? w->random % below : 0;
}

static bool chance(int in)
{
    return draw((uint64_t)in) == 0;
}

static bool storm(void)
{
    return w->now_ms < STORM_MS;
}

#define TRACE(...)                                    \
    do {                                              \
        if (w->trace) {                               \
            printf("[%7lld] ", (long long)w->now_ms); \
            printf(__VA_ARGS__);                      \
            putchar('\n');                            \
        }                                             \
    } while (0)

static void broken(const char *what, int p, int64_t offset)
{
    printf("world %llu breaks at %lld ms: %s (partition %d, record %lld)\n", (unsigned long long)w->seed,
           (long long)w->now_ms, what, p, (long long)offset);
    exit(1);
}

/* --- letters ------------------------------------------------------------------------------------------------------- */

/* Most are quick; in the storm some take their time. */
static int64_t way_ms(void)
{
    return STEP_MS + (int64_t)draw(20) + (storm() && chance(30) ? (int64_t)draw(1500) : 0);
}

static struct letter *letter_new(enum letter_type type, int color)
{
    for (int i = 0; i < LETTERS_MAX; i++)
        if (!w->letters[i].used) {
            memset(&w->letters[i], 0, sizeof(w->letters[i]));
            w->letters[i].used = true;
            w->letters[i].type = type;
            w->letters[i].color = color;
            w->letters[i].life = w->agents[color].life;
            w->letters[i].at_ms = w->now_ms + way_ms();
            return &w->letters[i];
        }
    ASSERT(false);
    return NULL;
}

static void forward(const struct letter *l)
{
    struct letter *to = letter_new(l->type, l->color);

    *to = *l;
    to->used = true;
    to->at_ms = w->now_ms + way_ms();
}

/* --- the brokers --------------------------------------------------------------------------------------------------- */

static int member_count(int c)
{
    int n = 0;

    for (int i = 0; i < PODS; i++)
        n += w->pods[c][i].member;
    for (int i = 0; i < 64; i++)
        n += w->groups[c].ghosts[i].until_ms > w->now_ms;
    return n;
}

static void rebalance(int c)
{
    w->groups[c].moves_ms = w->now_ms + 50 + (int64_t)draw(200);
}

/* What a member loses by a rebalance it commits first. */
static void commit(int c, struct process *p)
{
    for (int i = 0; i < PARTS; i++)
        if (p->owns[i] && p->done[i] > w->groups[c].committed[i]) {
            w->groups[c].committed[i] = p->done[i];
            w->groups[c].mark[i] = (struct mark){ .kind = MARK_FOREIGN };
        }
}

/* Where a process begins that is given the partition. */
static int64_t next_of(const struct group *g, int i)
{
    return g->committed[i] < 0 ? 0 : g->committed[i];
}

static void group_step(int c)
{
    struct group *g = &w->groups[c];
    int turn = 0, members = 0;

    for (int i = 0; i < 64; i++)
        if (g->ghosts[i].until_ms && g->ghosts[i].until_ms <= w->now_ms) {
            g->ghosts[i].until_ms = 0;
            rebalance(c);
        }
    if (!g->moves_ms || w->now_ms < g->moves_ms)
        return;
    g->moves_ms = 0;
    members = member_count(c);
    for (int i = 0; i < PODS; i++)
        if (w->pods[c][i].member)
            commit(c, &w->pods[c][i]);
    for (int i = 0; i < PARTS && members > 0; i++) {
        const int owner = (i + turn) % members; /* those that are beyond the pods are ghosts': nobody works there */
        int k = 0;

        for (int n = 0; n < PODS; n++) {
            struct process *p = &w->pods[c][n];
            const bool owns = p->member && k++ == owner;

            if (owns && !p->owns[i])
                p->position[i] = p->done[i] = next_of(g, i);
            p->owns[i] = owns;
        }
    }
}

/* --- the processes ------------------------------------------------------------------------------------------------- */

static void leave(int c, struct process *p)
{
    commit(c, p);
    p->member = false;
    memset(p->owns, 0, sizeof(p->owns));
    rebalance(c);
}

static void obey(int c, int n, bool start)
{
    struct process *p = &w->pods[c][n];

    if (!p->alive)
        return;
    p->wanted = start;
    if (!start && p->member && !p->stops_ms)
        p->stops_ms = w->now_ms + (int64_t)draw(200) + (storm() && chance(20) ? STUBBORN_MS : 0);
}

static void kill_process(int c, int n)
{
    struct process *p = &w->pods[c][n];

    if (!p->alive)
        return;
    TRACE("%s/%d is killed", color_name((enum color)c), n);
    w->kills++;
    for (int i = 0; i < 64 && p->member; i++)
        if (w->groups[c].ghosts[i].until_ms <= w->now_ms) {
            w->groups[c].ghosts[i].until_ms = w->now_ms + SESSION_MS + (int64_t)draw(1000);
            break;
        }
    for (int i = 0; i < PARTS; i++)
        for (int64_t o = next_of(&w->groups[c], i); p->owns[i] && o < p->done[i]; o++)
            w->lost[i][o] = true;
    memset(p, 0, sizeof(*p));
    p->back_ms = w->now_ms + 3400 + (int64_t)draw(4000);
}

static void process_step(int c, int n)
{
    struct process *p = &w->pods[c][n];

    if (!p->alive) {
        if (w->now_ms >= p->back_ms)
            p->alive = true; /* its binding is stopped: autoStartup=false */
        return;
    }
    if (storm() && chance(8000))
        kill_process(c, n);
    if (p->stops_ms && w->now_ms >= p->stops_ms) {
        p->stops_ms = 0;
        leave(c, p);
    }
    if (p->wanted && !p->member && !p->stops_ms) {
        if (!p->joined_ms)
            p->joined_ms = w->now_ms + 20 + (int64_t)draw(100);
        if (w->now_ms >= p->joined_ms) {
            p->joined_ms = 0;
            p->member = true;
            rebalance(c);
        }
    }
    if (!p->member || w->now_ms < p->works_ms)
        return;
    p->works_ms = w->now_ms + 10 + (int64_t)draw(30);
    for (int i = 0; i < PARTS; i++) {
        if (!p->owns[i] || p->position[i] >= w->ends[i])
            continue;
        w->done[c][i][p->position[i]]++;
        if (w->done[1 - c][i][p->position[i]] && !w->listed[i][p->position[i]])
            broken("done by both colors, and no receipt lists it", i, p->position[i]);
        if (w->done[c][i][p->position[i]] > 1 && !w->lost[i][p->position[i]])
            broken("done twice by one color, and nobody died", i, p->position[i]);
        p->done[i] = ++p->position[i];
    }
    if (w->now_ms >= p->commits_ms) {
        p->commits_ms = w->now_ms + 50 + (int64_t)draw(1000);
        commit(c, p);
    }
}

/* --- the agents: the shell of src/agent/outside.c ------------------------------------------------------------------ */

static void agent_step(struct agent *a, struct holder_event ev);

static void agent_report(struct agent *a, int c)
{
    struct letter *l = letter_new(REPORT, c);
    struct report *r = calloc(1, sizeof(*r));

    r->parts = calloc(PARTS, sizeof(*r->parts));
    r->part_max = PARTS;
    holder_report(&a->holder, r, w->now_ms * 1000);
    whole_report(&a->whole, r);
    snprintf(r->incarnation, sizeof(r->incarnation), "agent-%d", c);
    snprintf(r->version, sizeof(r->version), "%d", c);
    l->report = r;
}

static void carry_out(struct agent *a, const struct holder_effect *e)
{
    const int c = (int)(a - w->agents);

    for (int k = 0; k < e->count; k++) {
        const struct holder_part_at *at = &a->fx_parts[e->first + k];

        if (e->type == HOLDER_ATTACH)
            whole_attach(&a->whole, at);
        if (e->type == HOLDER_COMMIT)
            whole_ask(&a->whole, WHOLE_WAITS_COMMIT, e->token, at, w->now_ms);
        if (e->type == HOLDER_READ_OFFSETS)
            whole_ask(&a->whole, WHOLE_WAITS_READ, e->token, at, w->now_ms);
        if (e->type == HOLDER_READ_ACTIVE)
            whole_ask(&a->whole, WHOLE_WAITS_FOLLOW, e->token, at, w->now_ms);
    }
    if (e->type == HOLDER_REPORT)
        agent_report(a, c);
    if (e->type == HOLDER_READ_LOG_END) {
        struct letter *l = letter_new(LOG_END, c);

        l->token = a->log_token = e->token;
        l->number = w->log_end;
        a->log_wait = -1;
    }
}

static void agent_step(struct agent *a, struct holder_event ev)
{
    ev.now_ms = w->now_ms;
    ev.now_unix_us = w->now_ms * 1000;
    holder_effects_clear(&a->fx);
    holder_step(&a->holder, &ev, &a->fx);
    for (int i = 0; i < a->fx.count; i++)
        carry_out(a, &a->fx.items[i]);
}

static void agent_begin(struct agent *a)
{
    static const struct holder_topic_partition tps[PARTS] = { { 0, 0 }, { 0, 1 }, { 0, 2 } };
    const int c = (int)(a - w->agents), life = a->life + 1;
    const struct holder_config config = { .color = (enum color)c,
                                          .session_timeout_ms = INT64_MAX / 4,
                                          .commit_interval_ms = 1000,
                                          .revoke_ms_max = 5000,
                                          .report_interval_ms = 1000,
                                          .retry_ms = 20,
                                          .watchdog_ms = INT64_MAX / 4 };

    memset(a, 0, sizeof(*a));
    a->alive = true;
    a->life = life;
    fleet_init(&a->fleet, a->batons, PARTS);
    a->fx.parts = a->fx_parts;
    a->fx.part_max = 4 * PARTS;
    /* the log is read to its end first */
    a->fleet = w->log[w->log_end - 1];
    a->fleet.batons = a->batons;
    memcpy(a->batons, w->log_batons[w->log_end - 1], sizeof(a->batons));
    a->heard = w->log_end;
    holder_init(&a->holder, &config, &a->fleet, a->parts, PARTS, w->now_ms);
    a->holder.report_sequence = (uint64_t)w->now_ms * 1000;
    for (int i = 0; i < PARTS; i++) {
        a->parts[i].window.slots = a->slots[i];
        a->parts[i].window.room = 4;
    }
    a->whole.parts = a->whole_parts;
    whole_init(&a->whole, &a->holder, w->now_ms);
    for (int i = 0; i < PARTS; i++)
        whole_assigned(&a->whole, i);
    agent_step(a, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = tps, .tp_count = PARTS });
    agent_step(a, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = a->heard });
}

static void word_send(struct agent *a, int n)
{
    struct letter *l;

    if (a->word_out[n] || !a->next_word[n])
        return;
    l = letter_new(TO_POD, (int)(a - w->agents));
    l->pod = n;
    l->start = a->next_word[n] == 2;
    a->next_word[n] = 0;
    a->word_out[n] = true;
}

static void tell_all(struct agent *a, bool start)
{
    for (int n = 0; n < PODS; n++) {
        a->next_word[n] = start ? 2 : 1;
        word_send(a, n);
    }
}

static void agent_tell(struct agent *a)
{
    bool pending = false;

    if (whole_turn(&a->whole, w->now_ms)) {
        TRACE("%s wants %s", color_name(a->holder.config.color), whole_want_name(a->whole.want));
        a->told_ms = 0;
        a->fresh_out = a->fresh = false;
    }
    for (int n = 0; n < PODS; n++)
        pending = pending || a->word_out[n];
    if (a->whole.busy && pending)
        whole_started(&a->whole, w->now_ms);
    if (a->whole.want == WHOLE_STOP && w->now_ms - a->told_ms >= (a->whole.busy ? 1000 : 5000)) {
        a->told_ms = w->now_ms;
        tell_all(a, false);
    }
    if (a->whole.want == WHOLE_RUN &&
        (!a->told_ms || w->now_ms - a->told_ms >= (whole_shown(&a->whole) ? 2000 : 1000))) {
        if (!a->fresh_out && !a->fresh) {
            struct letter *l = letter_new(LOG_END, (int)(a - w->agents));

            l->number = w->log_end;
            a->fresh_out = true;
            a->fresh_wait = -1;
        }
        if (a->fresh) {
            a->fresh = false;
            a->told_ms = w->now_ms;
            whole_started(&a->whole, w->now_ms);
            tell_all(a, true);
        }
    }
}

static void agent_ask(struct agent *a, enum question q)
{
    struct letter *l;

    if (a->out[q] || w->now_ms - a->asked_ms[q] < (whole_waits(&a->whole) ? 50 : 1000))
        return;
    l = letter_new(TO_BROKER, (int)(a - w->agents));
    l->question = q;
    l->asked_ms = w->now_ms;
    l->proof = whole_proof(&a->whole);
    for (int i = 0; i < PARTS; i++) {
        if ((q == ENDS && !whole_wants_end(&a->whole, i)) || (q == SETTING && !whole_sets(&a->whole, i)))
            continue;
        l->parts[l->count++] =
            (struct holder_part_at){ .part = i, .offset = a->whole_parts[i].offset, .mark = a->whole_parts[i].mark };
        if (q == SETTING)
            a->whole_parts[i].setting = true;
    }
    a->out[q] = l->count > 0;
    a->asked_ms[q] = w->now_ms;
    l->used = l->count > 0;
}

static void agent_turn(struct agent *a)
{
    const int c = (int)(a - w->agents);
    bool words = false, late;

    if (!a->alive) {
        if (w->now_ms >= a->back_ms)
            agent_begin(a);
        return;
    }
    for (int n = 0; n < PODS; n++)
        words = words || a->word_out[n];
    if (storm() && chance(words ? 500 : 4000)) {
        TRACE("the agent of %s is killed", color_name((enum color)c));
        w->crashes++;
        late = chance(2);
        for (int i = 0; i < LETTERS_MAX && late; i++) /* its words are on their way */
            if (w->letters[i].used && w->letters[i].type == TO_POD && w->letters[i].color == c)
                w->letters[i].at_ms = w->now_ms + (int64_t)draw(LATE_MS);
        a->alive = false;
        a->life++;
        a->back_ms = w->now_ms + (int64_t)draw(chance(6) ? 2 * SESSION_MS : SESSION_MS / 2);
        return;
    }
    if (a->log_wait > 0 && a->heard >= a->log_wait) {
        a->log_wait = 0;
        agent_step(a, (struct holder_event){ .type = HOLDER_LOG_END, .token = a->log_token, .log_position = a->heard });
    }
    if (a->fresh_out && a->fresh_wait > 0 && a->heard >= a->fresh_wait) {
        a->fresh_out = false;
        a->fresh = true;
    }
    agent_step(a, (struct holder_event){ .type = HOLDER_TICK });
    for (int i = 0; i < PARTS; i++) {
        struct holder_part_at at;
        struct holder_event ev;

        if (whole_answer(&a->whole, i, &ev, &at, w->now_ms, w->now_ms * 1000))
            agent_step(a, ev);
    }
    agent_tell(a);
    for (int q = 0; q < QUESTIONS; q++)
        agent_ask(a, (enum question)q);
    agent_step(a, (struct holder_event){ .type = HOLDER_TICK });
}

/* --- the controller ------------------------------------------------------------------------------------------------ */

static void switcher_turn(struct switcher_event ev);

static void read_back(const struct switcher_effect *e)
{
    struct letter *l = letter_new(TO_CONTROLLER, 0);

    l->ev = (struct switcher_event){ .token = e->token, .color = e->color, .reading_count = e->count };
    l->ev.type = e->type == SWITCHER_READ_OFFSETS ? SWITCHER_OFFSETS
                 : e->type == SWITCHER_READ_ENDS  ? SWITCHER_ENDS
                                                  : SWITCHER_STARTS;
    for (int k = 0; k < e->count; k++)
        l->readings[k].baton = w->fx_batons[e->first + k];
}

static void note_lists(const struct pass *p, int i)
{
    for (int64_t o = p->committed; p->doubt != OFFSET_NONE && o >= 0 && o < p->doubt; o++)
        w->listed[i][o] = true;
}

static void report_free(struct report *r)
{
    if (r)
        free(r->parts);
    free(r);
}

static void switcher_turn(struct switcher_event ev)
{
    struct switcher_effects fx;
    int batons[4 * PARTS];

    ev.now_ms = w->now_ms;
    ev.now_unix_us = w->now_ms * 1000;
    switcher_effects_clear(&w->fx);
    memset(&w->switcher.dirty, 0, sizeof(w->switcher.dirty));
    switcher_step(&w->switcher, &ev, &w->fx);
    report_free(ev.report);
    if (w->switcher.dirty.head) {
        ASSERT(w->log_end < LOG_MAX);
        w->log[w->log_end] = w->fleet;
        memcpy(w->log_batons[w->log_end], w->batons, sizeof(w->batons));
        w->log_end++;
        for (int i = 0; i < PARTS; i++)
            TRACE("epoch %d: %d %s %s from %d granted %d ordered %d doubt %d", (int)w->fleet.version.epoch, i,
                  right_name(w->batons[i].state), color_name(w->batons[i].holder), (int)w->batons[i].from,
                  (int)w->batons[i].epoch, (int)w->batons[i].order, (int)w->batons[i].doubt);
    }
    for (int i = 0; i < PARTS; i++) {
        note_lists(&w->forth[i], i);
        note_lists(&w->back[i], i);
    }
    fx = w->fx;
    memcpy(batons, w->fx_batons, sizeof(batons));
    for (int i = 0; i < fx.count; i++) {
        const struct switcher_effect *e = &fx.items[i];

        memcpy(w->fx_batons, batons, sizeof(batons));
        if (e->type == SWITCHER_READ_OFFSETS || e->type == SWITCHER_READ_ENDS || e->type == SWITCHER_READ_STARTS)
            read_back(e);
        if (e->type == SWITCHER_READ_REPORTS) {
            struct letter *l = letter_new(TO_CONTROLLER, 0);

            l->ev = (struct switcher_event){ .type = SWITCHER_REPORTS_READ, .token = e->token };
            l->number = w->reports_sent;
        }
        if (e->type == SWITCHER_READ_ALL) {
            struct letter *l = letter_new(TO_CONTROLLER, 0);

            l->ev = (struct switcher_event){ .type = SWITCHER_SNAPSHOT, .token = e->token };
        }
        if (e->type == SWITCHER_REPLY) {
            w->refusals += e->status == REPLY_REFUSED;
            TRACE("reply %d %s %s", (int)e->status, e->text,
                  w->switcher.findings.count ? w->switcher.findings.items[0].what : "");
        }
    }
}

static void give_to_controller(struct letter *l)
{
    static struct snapshot snapshot;
    static struct partition_view views[PARTS];

    if (w->now_ms < w->frozen_ms || (l->ev.type == SWITCHER_REPORTS_READ && w->reports_read < l->number)) {
        forward(l); /* or not read up to there yet */
        return;
    }
    for (int k = 0; k < l->ev.reading_count; k++) {
        struct switcher_reading *r = &l->readings[k];
        const int c = (int)l->ev.color;

        r->offset = l->ev.type == SWITCHER_ENDS ? w->ends[r->baton] : 0;
        if (l->ev.type == SWITCHER_OFFSETS) {
            r->offset = w->groups[c].committed[r->baton];
            r->mark = w->groups[c].mark[r->baton];
        }
    }
    l->ev.readings = l->readings;
    if (l->ev.type == SWITCHER_SNAPSHOT) {
        memset(&snapshot, 0, sizeof(snapshot));
        snapshot.partitions = views;
        snapshot.partition_count = PARTS;
        snapshot.topics[0] = (struct topic_view){ .exists = true, .partition_count = PARTS };
        for (int c = 0; c < COLOR_COUNT; c++) {
            static struct group_member members[COLOR_COUNT][64 + PODS];

            snapshot.groups[c] =
                (struct group_view){ .known = true, .members = members[c], .member_count = member_count(c) };
            for (int i = 0; i < PARTS; i++) {
                views[i].committed[c] = w->groups[c].committed[i];
                views[i].mark[c] = w->groups[c].mark[i];
                views[i].log_end = w->ends[i];
            }
        }
        l->ev.snapshot = &snapshot;
    }
    switcher_turn(l->ev);
}

static void order(enum order_kind kind)
{
    struct order o = { .kind = kind, .observe_ms = 500, .deadline_ms = 8000 + (int64_t)draw(40000) };

    snprintf(o.request_id, sizeof(o.request_id), "r%d", ++w->orders);
    TRACE("order %d", (int)kind);
    switcher_turn((struct switcher_event){ .type = SWITCHER_ORDER, .order = &o });
}

static void controller_step(void)
{
    static const enum order_kind kinds[] = { ORDER_SWITCH, ORDER_SWITCH,   ORDER_SWITCH, ORDER_SWITCH,
                                             ORDER_PAUSE,  ORDER_ROLLBACK, ORDER_RESUME, ORDER_ABORT };

    if (storm() && chance(2000))
        w->frozen_ms = w->now_ms + (int64_t)draw(4000);
    if (w->now_ms < w->frozen_ms)
        return;
    while (w->reports_read < w->reports_sent && chance(2))
        switcher_turn((struct switcher_event){ .type = SWITCHER_REPORT, .report = w->reports[w->reports_read++] });
    if (w->now_ms - w->ticked_ms >= 100) {
        w->ticked_ms = w->now_ms;
        switcher_turn((struct switcher_event){ .type = SWITCHER_TICK });
    }
    if (w->now_ms >= w->ordered_ms && storm()) {
        w->ordered_ms = w->now_ms + 500 + (int64_t)draw(8000);
        order(kinds[draw(ARRAY_COUNT(kinds))]);
    }
    if (!storm() && w->now_ms >= w->ordered_ms && op_ended(&w->switcher.op)) {
        w->ordered_ms = w->now_ms + 10000;
        if (w->fleet.phase == PHASE_PAUSED)
            order(ORDER_RESUME);
        else if (w->fleet.phase == PHASE_NEEDS_OPERATOR)
            order(ORDER_SWITCH);
    }
}

/* --- arrivals ------------------------------------------------------------------------------------------------------ */

static void at_broker(struct letter *l)
{
    struct group *g = &w->groups[l->color];

    for (int k = 0; k < l->count; k++) {
        struct holder_part_at *at = &l->parts[k];

        if (l->question == READING) {
            at->offset = g->committed[at->part];
            at->mark = at->offset < 0 ? (struct mark){ .kind = MARK_NOTHING } : g->mark[at->part];
        } else if (l->question == ENDS) {
            at->offset = w->ends[at->part];
        } else if (l->question == SETTING && member_count(l->color) == 0) {
            g->committed[at->part] = at->offset;
            g->mark[at->part] = at->mark;
            TRACE("%s/%d is set to %d, epoch %d", color_name((enum color)l->color), at->part, (int)at->offset,
                  (int)at->mark.epoch);
        } else if (l->question == SETTING) {
            l->failed = true;
        }
    }
    l->listing = (struct whole_listing){ .asked_ms = l->asked_ms,
                                         .known = !storm() || !chance(20),
                                         .at_rest = g->moves_ms == 0 || member_count(l->color) == 0,
                                         .member_count = member_count(l->color) };
    l->type = FROM_BROKER;
    forward(l);
}

static void from_broker(struct agent *a, struct letter *l)
{
    a->out[l->question] = false;
    a->asked_ms[l->question] = w->now_ms;
    if (l->question == LISTING) {
        const int before = a->whole.member_count;

        if (l->listing.known && a->whole.want == WHOLE_RUN && l->asked_ms >= a->whole.want_ms &&
            l->listing.member_count < before)
            whole_lost(&a->whole, w->now_ms);
        if (whole_listed(&a->whole, &l->listing))
            TRACE("%s stands still", color_name(a->holder.config.color));
    } else if (l->question == READING) {
        whole_read(&a->whole, l->parts, l->count, l->asked_ms, l->proof);
    } else if (l->question == ENDS) {
        whole_ends(&a->whole, l->parts, l->count, l->asked_ms);
    } else {
        for (int k = 0; k < l->count; k++) {
            struct holder_part_at at;
            struct holder_event ev;

            if (whole_set(&a->whole, l->parts[k].part, l->failed, &ev, &at, w->now_ms))
                agent_step(a, ev);
        }
    }
}

static void arrive(struct letter *arrived)
{
    struct letter copy = *arrived, *l = &copy; /* its place is another's by now */
    struct agent *a = &w->agents[l->color];
    const bool ours = a->alive && a->life == l->life;

    arrived->used = false;
    switch (l->type) {
    case TO_POD:
        l->failed = !w->pods[l->color][l->pod].alive;
        obey(l->color, l->pod, l->start);
        l->type = FROM_POD;
        forward(l);
        break;
    case FROM_POD:
        if (!ours)
            break;
        a->word_out[l->pod] = false;
        if (l->failed && a->whole.busy)
            whole_lost(&a->whole, w->now_ms);
        word_send(a, l->pod);
        break;
    case TO_BROKER:
        at_broker(l);
        break;
    case FROM_BROKER:
        if (ours)
            from_broker(a, l);
        break;
    case REPORT:
        ASSERT(w->reports_sent < (int64_t)ARRAY_COUNT(w->reports));
        w->reports[w->reports_sent++] = l->report;
        l->type = ACK;
        l->token = l->report->sequence;
        forward(l);
        break;
    case ACK:
        if (ours)
            agent_step(a, (struct holder_event){ .type = HOLDER_REPORT_ACKED, .sequence = l->token });
        break;
    case LOG_END:
        if (ours && l->token)
            a->log_wait = l->number;
        else if (ours)
            a->fresh_wait = l->number;
        break;
    case TO_CONTROLLER:
        give_to_controller(l);
        break;
    case DOCUMENT:
        break;
    }
}

/* Documents come in order, each when it likes. */
static void documents_step(struct agent *a)
{
    while (a->alive && a->heard < w->log_end && chance(storm() && chance(50) ? 200 : 3)) {
        struct doc doc = { .kind = DOC_WHOLE, .fleet = w->log[a->heard], .version = w->log[a->heard].version };

        doc.fleet.batons = w->log_batons[a->heard];
        a->heard++;
        agent_step(a, (struct holder_event){
                          .type = HOLDER_DOC, .doc = &doc, .doc_offset = a->heard - 1, .log_position = a->heard });
    }
}

/* --- the judge ----------------------------------------------------------------------------------------------------- */

static void judge(void)
{
    for (int i = 0; i < PARTS; i++) {
        bool at_work[COLOR_COUNT] = { false, false };

        for (int c = 0; c < COLOR_COUNT; c++)
            for (int n = 0; n < PODS; n++)
                at_work[c] = at_work[c] || (w->pods[c][n].member && w->pods[c][n].owns[i]);
        if (at_work[BLUE] && at_work[GREEN])
            broken("both colors are at work", i, 0);
    }
}

/* For a person who looks at a world. */
static void show(void)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        const struct agent *a = &w->agents[c];

        printf("%s: alive %d want %s busy %d proof %d read_proof %d loss %d members %d\n", color_name((enum color)c),
               a->alive, whole_want_name(a->whole.want), a->whole.busy, (int)a->whole.proof, (int)a->whole.read_proof,
               (int)a->whole.loss_ms, member_count(c));
        for (int i = 0; i < PARTS; i++)
            printf("    part %d: %s barrier %d waits %d setting %d open %d position %d doubt %d; group has %d (kind %d "
                   "epoch %d)\n",
                   i, part_state_name(a->parts[i].state), (int)a->parts[i].barrier, (int)a->whole_parts[i].waits,
                   a->whole_parts[i].setting, (int)a->parts[i].window.open, (int)a->parts[i].window.position,
                   (int)a->parts[i].doubt, (int)w->groups[c].committed[i], (int)w->groups[c].mark[i].kind,
                   (int)w->groups[c].mark[i].epoch);
    }
    for (int i = 0; i < PARTS; i++)
        printf("    baton %d: %s %s from %d epoch %d order %d taken %d doubt %d end %d\n", i,
               right_name(w->batons[i].state), color_name(w->batons[i].holder), (int)w->batons[i].from,
               (int)w->batons[i].epoch, (int)w->batons[i].order, w->batons[i].taken, (int)w->batons[i].doubt,
               (int)w->ends[i]);
}

static bool all_done(void)
{
    for (int i = 0; i < PARTS; i++)
        if (w->groups[w->fleet.active].committed[i] != w->ends[i])
            return false;
    return op_ended(&w->switcher.op) && w->fleet.phase == PHASE_STEADY;
}

static void judge_end(void)
{
    if (!all_done())
        broken("it has not come to rest", (int)w->fleet.phase, 0);
    for (int i = 0; i < PARTS; i++)
        for (int64_t o = 0; o < w->ends[i]; o++)
            if (!w->done[BLUE][i][o] && !w->done[GREEN][i][o])
                broken("done by nobody", i, o);
}

static void world_begin(uint64_t seed, bool trace)
{
    struct spec spec = { .topic_count = 1,
                         .strategy = STRATEGY_FOREIGN,
                         .deadline_ms = 20000,
                         .session_timeout_ms = SESSION_MS,
                         .processing_ms_max = 1000,
                         .follow_interval_ms = 10000,
                         .history_count = 100,
                         .judge = { .mode = JUDGE_OFF } };
    struct baton born[PARTS];

    memset(w, 0, sizeof(*w));
    w->random = seed * 0x9e3779b97f4a7c15 + 1;
    w->seed = seed;
    w->trace = trace;
    for (int i = 0; i < 20; i++)
        draw(1);
    snprintf(spec.fleet, sizeof(spec.fleet), "f");
    snprintf(spec.topics[0], sizeof(spec.topics[0]), "t");
    snprintf(spec.colors[BLUE].group, sizeof(spec.colors[BLUE].group), "b");
    snprintf(spec.colors[GREEN].group, sizeof(spec.colors[GREEN].group), "g");
    spec.on_doubt = chance(2) ? DOUBT_LIST : DOUBT_WAIT;
    stages_whole(&spec.stages);
    fleet_init(&w->fleet, w->batons, PARTS);
    w->fx.batons = w->fx_batons;
    w->fx.baton_max = 4 * PARTS;
    switcher_init(&w->switcher, &(struct switcher_memory){ &w->fleet, w->facts, w->forth, w->back, w->items });
    for (int i = 0; i < PARTS; i++) {
        born[i] = (struct baton){ .partition = i, .from = 0 };
        w->groups[BLUE].committed[i] = w->groups[GREEN].committed[i] = OFFSET_NONE;
    }
    switcher_birth(&w->switcher, &spec, (struct version){ 1, 1 }, born, PARTS, 0);
    w->log[0] = w->fleet;
    memcpy(w->log_batons[0], w->batons, sizeof(w->batons));
    w->log_end = 1;
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int n = 0; n < PODS; n++) {
            w->pods[c][n].alive = true;
            w->pods[c][n].wanted = c == BLUE; /* it has been at work before Baton came */
        }
    w->ordered_ms = 2000;
}

static void world_run(void)
{
    for (w->now_ms = STEP_MS; w->now_ms < END_MS && !(w->now_ms > LAST_MS && all_done()); w->now_ms += STEP_MS) {
        for (int i = 0; i < PARTS; i++)
            if (w->ends[i] < RECORDS_MAX - 1 && w->now_ms < LAST_MS && chance(8))
                w->ends[i]++;
        for (int i = 0; i < LETTERS_MAX; i++)
            if (w->letters[i].used && w->letters[i].at_ms <= w->now_ms)
                arrive(&w->letters[i]);
        for (int c = 0; c < COLOR_COUNT; c++) {
            group_step(c);
            for (int n = 0; n < PODS; n++)
                process_step(c, n);
            documents_step(&w->agents[c]);
            if (w->now_ms % 10 == 0)
                agent_turn(&w->agents[c]);
        }
        controller_step();
        judge();
        if (w->trace && w->now_ms % 10000 == 0)
            show();
    }
    judge_end();
}

static void world_end(void)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        report_free(w->switcher.members[i].report);
    for (int64_t i = w->reports_read; i < w->reports_sent; i++)
        report_free(w->reports[i]);
    for (int i = 0; i < LETTERS_MAX; i++)
        if (w->letters[i].used && w->letters[i].type == REPORT)
            report_free(w->letters[i].report);
}

int main(int argc, char **argv)
{
    uint64_t worlds = 200, first = 1, kills = 0, crashes = 0, orders = 0;
    bool trace = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--worlds") == 0 && i + 1 < argc)
            worlds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            first = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--trace") == 0)
            trace = true;
    }
    w = must(calloc(1, sizeof(*w)));
    for (uint64_t n = 0; n < worlds; n++) {
        world_begin(first + n, trace);
        world_run();
        world_end();
        kills += (uint64_t)w->kills;
        crashes += (uint64_t)w->crashes;
        orders += (uint64_t)w->switcher.op.number;
    }
    printf("%llu worlds: %llu operations, %llu processes and %llu agents killed; nothing broken\n",
           (unsigned long long)worlds, (unsigned long long)orders, (unsigned long long)kills,
           (unsigned long long)crashes);
    free(w);
    return 0;
}
