/*
 * outside - see outside.h.
 *
 * Each turn: what the holder waits for is answered as far as the newest reading of the brokers allows; then the application is told what
 * is wanted of it; then the brokers are asked what has to be known next. One listing of the group, one reading of its offsets and
 * one setting of them are out at a time.
 */
#include "agent/outside.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/whole.h"
#include "http/tls.h"
#include "wire/json_write.h"

#define QUESTION_MS_MAX 5000
#define SOON_MS 50     /* between two questions while somebody waits for the answer ... */
#define NOW_MS 2       /* ... while the whole fleet does: it has been told to stop, and the brokers are to show it, */
#define HASTE_MS 2000  /* which takes no longer, or so long that it is all the same */
#define REST_MS 1000   /* ... and else */
#define AGAIN_MS 1000  /* a word that has not shown yet is given again */
#define ASSERT_MS 5000 /* one that has, too; */
#define RUN_MS 2000    /* shorter than a process takes to come back: one that died does not answer */
#define FOREVER_MS (INT64_MAX / 4)
#define ALARM_CLASSIC_MS 5000  /* the brokers' initial rebalance delay is 3 s */
#define ALARM_CONSUMER_MS 6000 /* KIP-848 */
#define STUCK_MS 2000          /* a group that is not Empty so long after the stop is told of */
#define UNHEARD_MS 10000       /* reports that nobody has taken note of for so long are told of */
#define END_TOKEN (UINT64_MAX / 2)

/* A question to the brokers, one at a time of each type. */
struct inquiry {
    uint64_t token; /* 0: none is out */
    int64_t asked_ms, done_ms;
    uint64_t proof; /* when it was asked; 0: it might be at work */
    int *slots;     /* of the partitions in it */
    int count;
};

struct outside {
    struct whole whole;
    struct drive *drive;
    int part_max; /* of whole.parts */
    uint64_t token_last;
    struct inquiry listing, reading, setting, ends;
    struct group_view group; /* members: ours */
    bool group_heard;
    int64_t listed_ms; /* the newest listing was asked then */
    uint64_t losses;   /* of the driver, as many as are known */
    int64_t told_ms;   /* the last round of words */
    bool fresh_asked;
    bool ending;
    char name[32];         /* of this process, in its reports: the incarnation is the color's */
    bool named;            /* the document has said that it speaks */
    int64_t began_ms;      /* its life of the fleet */
    char set_trouble[300]; /* why the offsets could not be set, "" */
    char trouble[WHY_MAX];
};

static const char *group_of(const struct agent *a)
{
    return a->fleet.spec.colors[a->config->color].group;
}

/* Another agent of the color has come up since: who speaks now, or NULL. This one is silent, and only watches. */
static const char *replaced_by(const struct agent *a)
{
    const char *speaker = a->fleet.speakers[a->config->color];

    return a->outside->named && *speaker && strcmp(speaker, a->outside->name) != 0 ? speaker : NULL;
}

/* It speaks, and nobody takes note: its numbers come from its clock, and the agent before it has used higher ones. */
static bool unheard(const struct agent *a)
{
    const struct outside *o = a->outside;
    const char *speaker = a->fleet.speakers[a->config->color];

    return !o->named && *speaker && strcmp(speaker, o->name) != 0 && a->holder.report_acked > 0 &&
           clock_ms() - o->began_ms >= UNHEARD_MS;
}

/* --- room ---------------------------------------------------------------------------------------------------------- */

static void reserve(struct agent *a, int part_count)
{
    struct outside *o = a->outside;

    member_reserve(a, part_count);
    if (o->part_max == a->holder.part_max)
        return;
    o->whole.parts = must(realloc(o->whole.parts, (size_t)a->holder.part_max * sizeof(*o->whole.parts)));
    memset(o->whole.parts + o->part_max, 0, (size_t)(a->holder.part_max - o->part_max) * sizeof(*o->whole.parts));
    o->part_max = a->holder.part_max;
}

/* --- questions ----------------------------------------------------------------------------------------------------- */

static void inquire(struct agent *a, struct inquiry *q)
{
    struct outside *o = a->outside;

    q->token = ++o->token_last;
    q->asked_ms = clock_ms();
    q->proof = whole_proof(&o->whole);
    q->slots = must(realloc(q->slots, (size_t)(a->holder.part_max + 1) * sizeof(*q->slots)));
    q->count = 0;
}

static struct kafka_tp *inquire_parts(struct agent *a, struct inquiry *q, bool (*wanted)(struct agent *a, int i))
{
    struct kafka_tp *tps = must(calloc((size_t)a->holder.part_max + 1, sizeof(*tps)));

    inquire(a, q);
    for (int i = 0; i < a->holder.part_max; i++) {
        const struct holder_part *p = &a->holder.parts[i];

        if (!p->used || (wanted && !wanted(a, i)))
            continue;
        text_copy(tps[q->count].topic, sizeof(tps[q->count].topic), a->fleet.spec.topics[p->topic]);
        tps[q->count].partition = p->partition;
        tps[q->count].offset = a->outside->whole.parts[i].offset;
        tps[q->count].mark = a->outside->whole.parts[i].mark;
        q->slots[q->count++] = i;
    }
    return tps;
}

/* Nobody answers, or nothing was to be asked. */
static void inquiry_end(struct inquiry *q, int error)
{
    if (error != ERR_OK || q->count == 0)
        q->token = 0;
    q->done_ms = clock_ms();
}

/* Every process has answered that it stopped: each look at the group is a part of the standstill now, and two are needed. */
static bool in_haste(const struct agent *a)
{
    const struct outside *o = a->outside;
    const int64_t now_ms = clock_ms();

    return o->whole.want == WHOLE_STOP && o->whole.busy && o->told_ms && now_ms - o->whole.want_ms < HASTE_MS &&
           now_ms > o->whole.started_ms && !drive_pending(o->drive, now_ms);
}

static bool inquiry_due(const struct agent *a, const struct inquiry *q)
{
    const int64_t pause_ms = q == &a->outside->listing && in_haste(a) ? NOW_MS
                             : whole_waits(&a->outside->whole)        ? SOON_MS
                                                                      : REST_MS;

    return a->admin && q->token == 0 && clock_ms() - q->done_ms >= pause_ms;
}

static void ask_listing(struct agent *a)
{
    struct outside *o = a->outside;

    if (!inquiry_due(a, &o->listing))
        return;
    inquire(a, &o->listing);
    kafka_admin_group(a->admin, o->listing.token, group_of(a), QUESTION_MS_MAX);
}

static void ask_reading(struct agent *a)
{
    struct outside *o = a->outside;
    struct kafka_tp *tps;
    const bool proof_new = !o->whole.busy && o->whole.read_proof != o->whole.proof; /* nobody waits a moment for that */

    if (o->reading.token || (!inquiry_due(a, &o->reading) && !(proof_new && a->admin)))
        return;
    tps = inquire_parts(a, &o->reading, NULL);
    inquiry_end(&o->reading,
                kafka_admin_offsets(a->admin, o->reading.token, group_of(a), tps, o->reading.count, QUESTION_MS_MAX));
    free(tps);
}

static bool wants_end(struct agent *a, int i)
{
    return whole_wants_end(&a->outside->whole, i);
}

static void ask_ends(struct agent *a)
{
    struct outside *o = a->outside;
    struct kafka_tp *tps;

    if (!inquiry_due(a, &o->ends))
        return;
    tps = inquire_parts(a, &o->ends, wants_end);
    inquiry_end(&o->ends, o->ends.count == 0
                              ? ERR_OK
                              : kafka_admin_ends(a->admin, o->ends.token, tps, o->ends.count, QUESTION_MS_MAX));
    free(tps);
}

static bool wants_setting(struct agent *a, int i)
{
    return whole_sets(&a->outside->whole, i);
}

static void ask_setting(struct agent *a)
{
    struct outside *o = a->outside;
    struct kafka_tp *tps;

    if (o->whole.busy || o->setting.token || !a->admin || replaced_by(a))
        return;
    tps = inquire_parts(a, &o->setting, wants_setting);
    for (int k = 0; k < o->setting.count; k++)
        o->whole.parts[o->setting.slots[k]].setting = true;
    inquiry_end(&o->setting, o->setting.count == 0 ? ERR_OK
                                                   : kafka_admin_commit(a->admin, o->setting.token, group_of(a), tps,
                                                                        o->setting.count, QUESTION_MS_MAX));
    if (o->setting.token == 0)
        for (int k = 0; k < o->setting.count; k++)
            o->whole.parts[o->setting.slots[k]].setting = false;
    free(tps);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* One that was there is there no more, though nobody was told to stop. */
static bool member_lost(const struct outside *o, const struct group_view *now)
{
    for (int i = 0; i < o->group.member_count; i++) {
        bool there = false;

        for (int k = 0; k < now->member_count && !there; k++)
            there = strcmp(o->group.members[i].member_id, now->members[k].member_id) == 0;
        if (!there)
            return true;
    }
    return false;
}

static void on_listing(struct agent *a, const struct kafka_answer *answer)
{
    struct outside *o = a->outside;
    const struct whole_listing listing = { .asked_ms = o->listing.asked_ms,
                                           .known = answer->error == 0 && answer->group.known,
                                           .at_rest = !answer->group.rebalancing,
                                           .member_count = answer->group.member_count };

    if (listing.known && o->whole.want == WHOLE_RUN && o->listed_ms >= o->whole.want_ms &&
        member_lost(o, &answer->group)) {
        log_warn("consumer_lost", "fleet=%s group=%s, what it did and did not commit is a doubt", a->config->fleet,
                 group_of(a));
        whole_lost(&o->whole, clock_ms());
    }
    if (listing.known)
        o->listed_ms = listing.asked_ms;
    free(o->group.members);
    o->group = answer->group;
    o->group.members = must(calloc((size_t)answer->group.member_count + 1, sizeof(*o->group.members)));
    if (answer->group.member_count > 0)
        memcpy(o->group.members, answer->group.members, (size_t)answer->group.member_count * sizeof(*o->group.members));
    o->group_heard = o->group_heard || listing.known;
    if (listing.known && !o->whole.busy && o->whole.want == WHOLE_STOP &&
        (listing.member_count > 0 || !listing.at_rest)) {
        log_warn(
            "application_back",
            "fleet=%s group=%s members=%d, it was to stand still: stopping it again; what it has done since may be "
            "done twice",
            a->config->fleet, group_of(a), listing.member_count);
        o->told_ms = 0;
    }
    if (whole_listed(&o->whole, &listing))
        log_info("application_still", "fleet=%s group=%s, the brokers list nobody any more", a->config->fleet,
                 group_of(a));
}

/* Of all partitions, or nothing at all. */
static struct holder_part_at *answer_parts(const struct inquiry *q, const struct kafka_answer *answer)
{
    struct holder_part_at *parts = must(calloc((size_t)q->count + 1, sizeof(*parts)));
    bool fine = !answer->error && answer->tp_count == q->count;

    for (int k = 0; fine && k < q->count; k++) {
        fine = !answer->tps[k].failed;
        parts[k] = (struct holder_part_at){ .part = q->slots[k],
                                            .offset = answer->tps[k].offset,
                                            .mark = answer->tps[k].mark };
    }
    if (!fine) {
        free(parts);
        parts = NULL;
    }
    return parts;
}

static void on_reading(struct agent *a, const struct kafka_answer *answer)
{
    struct outside *o = a->outside;
    struct holder_part_at *parts = answer_parts(&o->reading, answer);

    if (parts)
        whole_read(&o->whole, parts, o->reading.count, o->reading.asked_ms, o->reading.proof);
    free(parts);
}

static void on_ends(struct agent *a, const struct kafka_answer *answer)
{
    struct outside *o = a->outside;
    struct holder_part_at *parts = answer_parts(&o->ends, answer);

    if (parts)
        whole_ends(&o->whole, parts, o->ends.count, o->ends.asked_ms);
    free(parts);
}

static void on_set(struct agent *a, const struct kafka_answer *answer)
{
    struct outside *o = a->outside;
    char quoted[2 * sizeof(o->set_trouble)];

    if (answer->error && strncmp(o->set_trouble, answer->message.text, sizeof(o->set_trouble) - 1) != 0) {
        snprintf(o->set_trouble, sizeof(o->set_trouble), "%s", answer->message.text);
        log_warn("offsets_unset", "group=%s error=%s, trying again", group_of(a),
                 log_quote(quoted, sizeof(quoted), o->set_trouble));
    }
    if (!answer->error)
        o->set_trouble[0] = '\0';
    for (int k = 0; k < o->setting.count; k++) {
        const bool failed = k >= answer->tp_count || answer->tps[k].failed;
        struct holder_part_at at;
        struct holder_event ev;

        if (whole_set(&o->whole, o->setting.slots[k], failed, &ev, &at, clock_ms()))
            member_step(a, ev);
    }
}

void outside_answered(struct agent *a, const struct kafka_answer *answer)
{
    struct outside *o = a->outside;
    const struct {
        struct inquiry *q;
        void (*on)(struct agent *a, const struct kafka_answer *answer);
    } all[] = {
        { &o->listing, on_listing }, { &o->reading, on_reading }, { &o->ends, on_ends }, { &o->setting, on_set }
    };

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        if (all[i].q->token == 0 || all[i].q->token != answer->token)
            continue;
        all[i].q->token = 0;
        all[i].q->done_ms = clock_ms();
        if (a->life == LIFE_ON)
            all[i].on(a, answer);
    }
}

/* --- what the holder asks for -------------------------------------------------------------------------------------- */

static void ask(struct agent *a, const struct holder_effect *e, enum whole_wait waits)
{
    for (int k = 0; k < e->count; k++)
        whole_ask(&a->outside->whole, waits, e->token, &a->fx.parts[e->first + k], clock_ms());
}

static void report_now(struct agent *a)
{
    struct outside *o = a->outside;
    struct report *r = &a->report;

    holder_report(&a->holder, r, clock_unix_us());
    whole_report(&o->whole, r);
    report_identify(a, r);
    text_copy(r->client_id, sizeof(r->client_id), o->name);
    r->records_done = o->whole.done;
    r->ready = r->ready && !o->trouble[0];
    report_send(a, r, true);
}

void outside_carry_out(struct agent *a, const struct holder_effect *e)
{
    switch (e->type) {
    case HOLDER_ATTACH:
        for (int k = 0; k < e->count; k++)
            whole_attach(&a->outside->whole, &a->fx.parts[e->first + k]);
        break;
    case HOLDER_DETACH:
        break; /* whole_turn() says it */
    case HOLDER_COMMIT:
        ask(a, e, WHOLE_WAITS_COMMIT);
        break;
    case HOLDER_READ_OFFSETS:
        ask(a, e, WHOLE_WAITS_READ);
        break;
    case HOLDER_READ_ACTIVE:
        ask(a, e, WHOLE_WAITS_FOLLOW);
        break;
    case HOLDER_READ_LOG_END:
        follow_ask_end(a, e->token);
        break;
    case HOLDER_REPORT:
        report_now(a);
        break;
    case HOLDER_ANSWER_ASSIGN:
    case HOLDER_ANSWER_REVOKE:
        break; /* no rebalance of ours */
    case HOLDER_LEAVE:
        a->leave = true;
        break;
    case HOLDER_CLOSED:
        a->over = true;
        break;
    }
}

static void part_turn(struct agent *a, int i)
{
    struct holder_part_at at;
    struct holder_event ev;

    if (whole_answer(&a->outside->whole, i, &ev, &at, clock_ms(), clock_unix_us()))
        member_step(a, ev);
}

/* --- words to the application -------------------------------------------------------------------------------------- */

/*
 * A word to start is given only after the control log has been read to an end that was asked for since it was due (PROTOCOL rule 2): an
 * agent that has been cut off, or stood still for a while, does not start what another one has stopped.
 */
static bool log_is_fresh(struct agent *a)
{
    struct outside *o = a->outside;
    enum kafka_end state;
    int64_t end;

    if (!a->channel)
        return false;
    if (!o->fresh_asked) {
        channel_ask_end(a->channel, END_TOKEN, QUESTION_MS_MAX);
        o->fresh_asked = true;
        return false;
    }
    state = channel_end(a->channel, END_TOKEN, &end);
    o->fresh_asked = state == KAFKA_END_PENDING;
    return state == KAFKA_END_REACHED;
}

static void tell(struct agent *a)
{
    struct outside *o = a->outside;
    const int64_t now_ms = clock_ms();

    if (whole_turn(&o->whole, now_ms)) {
        log_info("application_wanted", "fleet=%s color=%s want=%s", a->config->fleet, color_name(a->config->color),
                 whole_want_name(o->whole.want));
        o->told_ms = o->listing.done_ms = o->reading.done_ms = 0;
        o->fresh_asked = false;
    }
    if (o->whole.busy && drive_pending(o->drive, now_ms))
        whole_started(&o->whole, now_ms);
    if (drive_losses(o->drive) != o->losses) {
        o->losses = drive_losses(o->drive);
        if (o->whole.busy)
            whole_lost(&o->whole, now_ms);
    }
    if (replaced_by(a))
        return;
    switch (o->whole.want) {
    case WHOLE_AS_IS:
        break;
    case WHOLE_STOP:
        if (o->told_ms && now_ms - o->told_ms < (o->whole.busy ? AGAIN_MS : ASSERT_MS))
            break;
        o->told_ms = now_ms;
        drive_stop(o->drive);
        break;
    case WHOLE_RUN:
        if ((o->told_ms && now_ms - o->told_ms < (whole_shown(&o->whole) ? RUN_MS : AGAIN_MS)) || !log_is_fresh(a))
            break;
        if (!o->told_ms)
            log_debug("application_starts", "fleet=%s color=%s", a->config->fleet, color_name(a->config->color));
        o->told_ms = now_ms;
        whole_started(&o->whole, now_ms);
        drive_start(o->drive);
        break;
    }
}

/* --- what is wrong ------------------------------------------------------------------------------------------------- */

static const struct group_member *stranger(const struct agent *a)
{
    const struct outside *o = a->outside;

    for (int i = 0; i < o->group.member_count; i++)
        if (!drive_knows(o->drive, o->group.members[i].host))
            return &o->group.members[i];
    return NULL;
}

static void why_of(struct agent *a, char why[WHY_MAX])
{
    struct outside *o = a->outside;
    const int64_t now_ms = clock_ms(), alarm_ms = a->config->drive.alarm_ms    ? a->config->drive.alarm_ms
                                                  : o->group.consumer_protocol ? ALARM_CONSUMER_MS
                                                                               : ALARM_CLASSIC_MS;
    const struct group_member *first = o->group.member_count > 0 ? &o->group.members[0] : NULL;

    why[0] = '\0';
    if (replaced_by(a))
        snprintf(
            why, WHY_MAX,
            "another agent of %s, %.80s, has come up after this one (%s) and speaks in its place: this one gives no "
            "word any more. End one of the two; start this one again if the other is dead",
            color_name(a->config->color), replaced_by(a), o->name);
    else if (unheard(a))
        snprintf(
            why, WHY_MAX,
            "the fleet still has %.80s as the agent of %s, though this one (%s) reports: either no controller leads, "
            "or the clock of this host is behind, and all it reports is taken for old",
            a->fleet.speakers[a->config->color], color_name(a->config->color), o->name);
    else if (drive_trouble(o->drive)[0])
        snprintf(why, WHY_MAX, "%s", drive_trouble(o->drive));
    else if (o->group.why[0])
        snprintf(why, WHY_MAX, "group %.100s cannot be described: %.200s", group_of(a), o->group.why);
    else if (!o->group_heard)
        snprintf(why, WHY_MAX, "the brokers have not told of group %.100s yet", group_of(a));
    else if (stranger(a))
        snprintf(why, WHY_MAX,
                 "group %.100s has a consumer on host %.60s (client id %.80s), which is none of the addresses that "
                 "this agent "
                 "knows: it would not be stopped",
                 group_of(a), stranger(a)->host, stranger(a)->client_id);
    else if (o->whole.want == WHOLE_STOP && o->whole.busy && first && now_ms - o->whole.want_ms >= STUCK_MS)
        snprintf(
            why, WHY_MAX,
            "it was told to stop %lld s ago, and group %.100s still has %d consumers, the first: client id %.80s on "
            "host %.60s. Is --binding right, is each address one process, was one killed (it counts until its "
            "session ends)?",
            (long long)(now_ms - o->whole.want_ms) / 1000, group_of(a), o->group.member_count, first->client_id,
            first->host);
    else if (o->whole.want == WHOLE_STOP && o->whole.busy)
        snprintf(why, WHY_MAX, "it is being stopped: the brokers do not show group %.100s without a member yet",
                 group_of(a));
    else if (o->set_trouble[0] && o->whole.want == WHOLE_STOP)
        snprintf(why, WHY_MAX, "%s", o->set_trouble);
    else if (o->whole.want == WHOLE_RUN && !whole_shown(&o->whole) && o->told_ms &&
             now_ms - o->whole.want_ms >= alarm_ms)
        snprintf(
            why, WHY_MAX,
            first
                ? "it was started %lld s ago and is a member of group %.100s, but commits nothing, whatever its health "
                  "says: does it work?"
                : "it was started %lld s ago, and group %.100s has no member yet. Is --binding right, does it start at "
                  "all?",
            (long long)(now_ms - o->whole.want_ms) / 1000, group_of(a));
}

/* The seconds in a sentence are no news. */
static bool same_but_for_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789";

    while (*a && *b) {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b)
            return false;
        if (*a) {
            a++;
            b++;
        }
    }
    return *a == *b;
}

static void trouble_turn(struct agent *a)
{
    struct outside *o = a->outside;
    char why[WHY_MAX], quoted[2 * WHY_MAX];

    why_of(a, why);
    if (!same_but_for_numbers(why, o->trouble)) {
        if (*why)
            log_warn("application_trouble", "fleet=%s color=%s error=%s", a->config->fleet,
                     color_name(a->config->color), log_quote(quoted, sizeof(quoted), why));
        else
            log_info("application_well", "fleet=%s color=%s", a->config->fleet, color_name(a->config->color));
        if (!*why != !o->trouble[0])
            a->holder.report_due = true;
    }
    text_copy(o->trouble, sizeof(o->trouble), why);
}

/* --- a life -------------------------------------------------------------------------------------------------------- */

/* Every partition of the fleet is this member's. */
static void assign(struct agent *a)
{
    struct holder_topic_partition *tps = must(calloc((size_t)a->fleet.baton_count + 1, sizeof(*tps)));
    int count = 0, used = 0;

    for (int i = 0; i < a->fleet.baton_count && !a->holder.closing; i++) {
        const struct baton *b = &a->fleet.batons[i];

        if (b->partition >= 0 && holder_find(&a->holder, b->topic, b->partition) < 0)
            tps[count++] = (struct holder_topic_partition){ .topic = b->topic, .partition = b->partition };
    }
    for (int i = 0; i < a->holder.part_max; i++)
        used += a->holder.parts[i].used;
    if (count > 0) {
        reserve(a, used + count);
        member_step(a, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = tps, .tp_count = count });
        for (int k = 0; k < count; k++)
            whole_assigned(&a->outside->whole, holder_find(&a->holder, tps[k].topic, tps[k].partition));
    }
    free(tps);
}

static void room_free(struct agent *a)
{
    member_room_free(a);
    free(a->outside->whole.parts);
    a->outside->whole.parts = NULL;
    a->outside->part_max = 0;
}

static void life_begin(struct agent *a)
{
    struct outside *o = a->outside;
    const struct holder_config config = { .color = a->config->color,
                                          .session_timeout_ms = FOREVER_MS, /* its consumers fence themselves */
                                          .commit_interval_ms = 1000,
                                          .revoke_ms_max = 5000,
                                          .report_interval_ms = report_interval_ms(a),
                                          .retry_ms = 20,
                                          .watchdog_ms = FOREVER_MS };
    struct holder_part none;

    memset(&a->report, 0, offsetof(struct report, parts));
    holder_init(&a->holder, &config, &a->fleet, &none, 0, clock_ms());
    a->holder.parts = NULL;
    a->holder.report_sequence = (uint64_t)(clock_unix_us() / 1000);
    a->holder.report_due = false; /* nothing is said before it is known of what: see assign() */
    reserve(a, 1);
    whole_init(&o->whole, &a->holder, clock_ms());
    o->listing.token = o->reading.token = o->ends.token = o->setting.token = 0;
    o->named = false;
    o->began_ms = clock_ms();
    a->life = LIFE_ON;
    a->life_number++;
    assign(a);
    member_step(a, (struct holder_event){ .type = HOLDER_LOG_POSITION,
                                          .log_position =
                                              documents_read_to(&a->documents, channel_position(a->channel)) });
}

/* The fleet is deleted: its application is its own again, and left as it is. */
static void life_end(struct agent *a)
{
    log_info("fleet_gone", "fleet=%s, the application is left as it is", a->config->fleet);
    room_free(a);
    a->life = LIFE_FOUND;
}

void outside_turn(struct agent *a)
{
    struct outside *o = a->outside;

    if (a->life != LIFE_ON && a->control_read && a->fleet.exists && a->fleet.baton_count > 0 &&
        a->fleet.spec.strategy == STRATEGY_FOREIGN && !o->ending)
        life_begin(a);
    if (a->life == LIFE_ON && !a->fleet.exists)
        life_end(a);
    if (a->life != LIFE_ON)
        return;
    o->named = o->named || strcmp(a->fleet.speakers[a->config->color], o->name) == 0;
    report_turn(a);
    assign(a);
    drive_turn(o->drive, &a->fleet, group_of(a));
    member_step(a, (struct holder_event){ .type = HOLDER_TICK });
    for (int i = 0; i < a->holder.part_max; i++)
        if (a->holder.parts[i].used)
            part_turn(a, i);
    if (a->leave && !a->holder.left)
        member_step(a, (struct holder_event){ .type = HOLDER_LEFT });
    tell(a);
    ask_listing(a);
    ask_reading(a);
    ask_ends(a);
    ask_setting(a);
    trouble_turn(a);
    member_step(a, (struct holder_event){ .type = HOLDER_TICK });
}

void outside_end(struct agent *a)
{
    struct outside *o = a->outside;

    o->ending = true;
    if (a->life == LIFE_ON && !o->whole.busy && o->whole.want == WHOLE_STOP)
        member_step(a, (struct holder_event){ .type = HOLDER_CLOSE });
    else
        a->over = true; /* without a word: it may be at work, and whoever comes next answers for it */
}

int outside_wait_ms(const struct agent *a)
{
    if (a->life == LIFE_ON && in_haste(a))
        return NOW_MS;
    return a->life == LIFE_ON && (whole_waits(&a->outside->whole) || a->outside->fresh_asked) ? 10 : 250;
}

/* --- what it shows ------------------------------------------------------------------------------------------------- */

const char *outside_unready(const struct agent *a)
{
    if (a->why[0])
        return a->why;
    if (!a->control_read)
        return "the control log is not read yet";
    if (!a->fleet.exists)
        return "there is no such fleet yet: make it with `baton fleet apply`";
    if (a->fleet.spec.strategy != STRATEGY_FOREIGN)
        return "the fleet's strategy is not foreign: an application that is stopped and started whole has no place in "
               "it";
    if (a->life != LIFE_ON)
        return "the fleet has no partition yet";
    if (a->outside->trouble[0])
        return a->outside->trouble;
    if (a->holder.closing)
        return "it is leaving";
    return "";
}

static void state_part(struct json_out *j, const struct agent *a, int i)
{
    const struct holder_part *p = &a->holder.parts[i];

    json_open(j, NULL, '{');
    json_put_text(j, "topic", a->fleet.spec.topics[p->topic]);
    json_put_int(j, "partition", p->partition);
    json_put_text(j, "state", part_state_name(p->state));
    json_put_uint(j, "epoch", p->epoch);
    json_put_int_or_null(j, "position", p->window.position, OFFSET_NONE);
    json_put_int_or_null(j, "committed", a->outside->whole.parts[i].committed, OFFSET_NONE);
    json_close(j, '}');
}

void outside_state(struct str *ret, const struct agent *a)
{
    const struct outside *o = a->outside;
    struct json_out j = { .text = ret };
    const char *why = outside_unready(a);

    json_open(&j, NULL, '{');
    json_put_text(&j, "fleet", a->config->fleet);
    json_put_text(&j, "color", color_name(a->config->color));
    json_put_text(&j, "version", a->config->version ? a->config->version : "");
    json_put_text(&j, "state", a->life == LIFE_ON ? "on" : "waiting");
    json_put_bool(&j, "ready", !*why);
    json_put_text(&j, "why", why);
    json_put_text(&j, "incarnation", a->incarnation);
    json_put_text(&j, "client_id", o->name);
    json_put_text(&j, "want", whole_want_name(o->whole.want));
    json_put_bool(&j, "busy", o->whole.busy);
    json_open(&j, "group", '{');
    json_put_text(&j, "id", a->fleet.exists ? group_of(a) : "");
    json_put_int(&j, "members", o->group.member_count);
    json_put_bool(&j, "rebalancing", o->group.rebalancing);
    json_close(&j, '}');
    drive_show(o->drive, &j);
    json_put_int(&j, "term", a->fleet.applied.term);
    json_put_uint(&j, "epoch", a->fleet.applied.epoch);
    json_open(&j, "partitions", '[');
    for (int i = 0; a->life == LIFE_ON && i < a->holder.part_max; i++)
        if (a->holder.parts[i].used)
            state_part(&j, a, i);
    json_close(&j, ']');
    json_close(&j, '}');
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static void on_changed(void *opaque)
{
    struct agent *a = opaque;

    kafka_eventfd_ring(a->wake_fd);
}

int outside_open(struct agent *a, struct errmsg *m)
{
    const struct agent_config *config = a->config;
    char digits[9] = "";

    a->outside = must(calloc(1, sizeof(*a->outside)));
    agent_incarnation(a->incarnation, config->fleet, config->color);
    random_hex(digits, sizeof(digits) - 1);
    snprintf(a->outside->name, sizeof(a->outside->name), "baton-agent-%s", digits);
    return drive_open(&a->outside->drive, a->base, &config->drive, config->fleet, color_name(config->color), on_changed,
                      a, m);
}

void outside_close(struct agent *a)
{
    struct outside *o = a->outside;
    struct inquiry *all[] = { &o->listing, &o->reading, &o->setting, &o->ends };

    if (!o)
        return;
    drive_close(o->drive);
    room_free(a);
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        free(all[i]->slots);
    free(o->group.members);
    free(o);
    a->outside = NULL;
}
