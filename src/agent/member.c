/*
 * member - the holder's effects as words for the application, and what the application says as the holder's events.
 *
 *   holder                       told                 believed when the application's loop has acted upon it and
 *   COMMIT of a start            ready(from, mark)    says ready there, and the brokers have that offset with that mark
 *   COMMIT of a standby          ready(from, follow)  says ready there
 *   ATTACH                       run                  (busy from now on)
 *   DETACH                       hold                 says held, nothing in flight, committed = position
 *   COMMIT of a release          (hold)               the brokers have that offset with that mark, within the log
 *   COMMIT of progress           (run)                says that Kafka has taken it since it was asked
 *   LEAVE                        leave                says that it has left, or answers no more after all was held
 *
 * The window of a partition is a shadow here: records come and go unseen, so from the first `run` until the application has shown
 * that it stopped, the shadow has something in flight, and its low end is what the application says it has committed. So nothing
 * is ever taken for drained because nobody has looked.
 *
 * What an application says wrong costs time, never a hand-over: it is told, and what was waited for is waited for on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/record.h"

#define PARTS_MIN 16
#define ASK_MS_MAX 5000 /* the application gets so long for a commit, then the holder asks anew */
#define READ_AGAIN_MS 200
#define QUESTION_MS_MAX 5000
#define END_EVERY_MS 250
#define REPORT_MS 1000
#define REPORT_MS_MAX 10000
#define REPORT_PARTS_A_MS 16
#define LIFE_SHIFT 40                    /* a report's token: the life above, its sequence below */
#define GOODBYE_SEQUENCE (INT64_MAX / 4) /* behind whatever the agent before us has said */

/* --- small things ------------------------------------------------------------------------------------------------- */

static void raise_revision(struct agent *a)
{
    a->revision++;
    a->changed_ms = clock_ms();
}

static void tell(struct agent *a, int slot, enum word_told word)
{
    raise_revision(a);
    a->slots[slot].word = word;
    a->slots[slot].told = a->revision;
}

static const char *topic_of(const struct agent *a, int slot)
{
    return a->fleet.spec.topics[a->holder.parts[slot].topic];
}

static bool acted_upon(const struct agent *a, const struct slot *s)
{
    return a->seen && a->seen->revision >= s->told;
}

static void part_answer(struct agent *a, enum holder_event_type type, uint64_t token, struct holder_part_at at,
                        bool failed)
{
    member_step(a,
                (struct holder_event){ .type = type, .token = token, .failed = failed, .parts = &at, .part_count = 1 });
}

static void ask_answer(struct agent *a, int i, bool failed)
{
    struct slot *s = &a->slots[i];

    s->ask = ASK_NONE;
    part_answer(a, HOLDER_COMMITTED, s->ask_token,
                (struct holder_part_at){ .part = i, .offset = s->ask_offset, .mark = s->ask_mark }, failed);
}

/* --- the shadow --------------------------------------------------------------------------------------------------- */

/* Something is in flight, from what it has committed on. */
static void shadow_busy(struct agent *a, int i, int64_t committed, int64_t position)
{
    struct holder_part *p = &a->holder.parts[i];
    const int64_t low = committed > p->committed ? committed : p->committed;

    window_reset(&p->window, low);
    window_push(&p->window, low);
    if (position - 1 > low)
        window_push(&p->window, position - 1);
}

static void shadow_drained(struct agent *a, int i, int64_t position)
{
    struct holder_part *p = &a->holder.parts[i];

    window_reset(&p->window, position);
    p->drained_unix_us = clock_unix_us();
    a->holder.report_due = true;
    a->slots[i].busy = false;
}

/* --- room ---------------------------------------------------------------------------------------------------------- */

static void reserve(struct agent *a, int part_count)
{
    struct holder *h = &a->holder;
    int part_max = h->part_max > 0 ? h->part_max : PARTS_MIN;

    while (part_max < part_count)
        part_max *= 2;
    if (part_max == h->part_max)
        return;
    h->parts = must(realloc(h->parts, (size_t)part_max * sizeof(*h->parts)));
    a->slots = must(realloc(a->slots, (size_t)part_max * sizeof(*a->slots)));
    memset(h->parts + h->part_max, 0, (size_t)(part_max - h->part_max) * sizeof(*h->parts));
    memset(a->slots + h->part_max, 0, (size_t)(part_max - h->part_max) * sizeof(*a->slots));
    for (int i = h->part_max; i < part_max; i++) {
        h->parts[i].window.slots = must(calloc(SHADOW_MAX, sizeof(struct window_slot)));
        h->parts[i].window.room = SHADOW_MAX;
    }
    h->part_max = part_max;
    a->fx.parts = must(realloc(a->fx.parts, 4 * (size_t)part_max * sizeof(*a->fx.parts)));
    a->fx.part_max = 4 * part_max;
    a->report.parts = must(realloc(a->report.parts, (size_t)part_max * sizeof(*a->report.parts)));
    a->report.part_max = part_max;
}

static void room_free(struct agent *a)
{
    for (int i = 0; i < a->holder.part_max; i++)
        free(a->holder.parts[i].window.slots);
    free(a->holder.parts);
    free(a->slots);
    a->holder.parts = NULL;
    a->slots = NULL;
    a->holder.part_max = 0;
}

/* --- questions to the brokers -------------------------------------------------------------------------------------- */

static struct question *question_new(struct agent *a, enum question_type type, uint64_t holder_token, int count)
{
    struct question *q = must(calloc(1, sizeof(*q) + (size_t)count * sizeof(q->parts[0])));

    q->next = a->questions;
    q->type = type;
    q->token = ++a->question_last;
    q->holder_token = holder_token;
    q->life = a->life_number;
    a->questions = q;
    return q;
}

static void question_free(struct agent *a, struct question *q)
{
    struct question **at = &a->questions;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    free(q);
}

/* Sends it; false: it cannot be asked now. */
static bool question_send(struct agent *a, struct question *q)
{
    struct kafka_tp *tps = must(calloc((size_t)q->count + 1, sizeof(*tps)));
    const enum color color = q->type == QUESTION_ACTIVE ? color_other(a->config->color) : a->config->color;
    int r = ERR_UNAVAILABLE;

    for (int i = 0; i < q->count; i++) {
        text_copy(tps[i].topic, sizeof(tps[i].topic), topic_of(a, q->parts[i].part));
        tps[i].partition = a->holder.parts[q->parts[i].part].partition;
    }
    if (a->admin && q->type == QUESTION_END)
        r = kafka_admin_ends(a->admin, q->token, tps, q->count, QUESTION_MS_MAX);
    else if (a->admin)
        r = kafka_admin_offsets(a->admin, q->token, a->fleet.spec.colors[color].group, tps, q->count, QUESTION_MS_MAX);
    free(tps);
    return r == ERR_OK;
}

static void question_answer(struct agent *a, struct question *q, const struct kafka_answer *answer)
{
    const bool all_failed = !answer || answer->error != 0 || answer->tp_count != q->count;
    bool *failed = must(calloc((size_t)q->count + 1, sizeof(*failed)));

    for (int i = 0; i < q->count && !all_failed; i++) {
        failed[i] = answer->tps[i].failed;
        q->parts[i].offset = answer->tps[i].offset;
        q->parts[i].mark = answer->tps[i].mark;
    }
    if (answer && answer->error)
        log_debug("brokers_unread", "error=\"%s\", asking again", answer->message.text);
    member_step(a, (struct holder_event){ .type = q->type == QUESTION_ACTIVE ? HOLDER_ACTIVE_OFFSETS : HOLDER_OFFSETS,
                                          .token = q->holder_token,
                                          .failed = all_failed,
                                          .parts = q->parts,
                                          .part_failed = all_failed ? NULL : failed,
                                          .part_count = q->count });
    free(failed);
}

/* The brokers have it; is it within the log, too? Both are asked at once, and the later answer settles it. */
static void witnessed(struct agent *a, int i)
{
    const struct slot *s = &a->slots[i];

    if (s->ask != ASK_BROKERS || !s->ask_witnessed ||
        (a->holder.parts[i].state == PART_COMMITTING && s->end < s->ask_offset))
        return;
    a->witness[0] = '\0';
    ask_answer(a, i, false);
}

/* Do the brokers have what the application says that it committed? */
static void witness(struct agent *a, int i, const struct kafka_tp *tp)
{
    struct slot *s = &a->slots[i];
    const bool marked = tp->mark.kind == s->ask_mark.kind && tp->mark.epoch == s->ask_mark.epoch;

    s->ask_reading = false;
    s->ask_read_ms = clock_ms() + READ_AGAIN_MS;
    if (s->ask != ASK_BROKERS || tp->failed)
        return;
    if (tp->offset == s->ask_offset && marked) {
        s->ask_witnessed = true;
        witnessed(a, i);
        return;
    }
    if (tp->offset == s->ask_offset)
        snprintf(a->witness, sizeof(a->witness), "it says that it committed %s/%d at %lld, but without its metadata",
                 topic_of(a, i), a->holder.parts[i].partition, (long long)s->ask_offset);
    else
        snprintf(a->witness, sizeof(a->witness),
                 "it says that it committed %s/%d at %lld, but the brokers have %lld for group %.100s", topic_of(a, i),
                 a->holder.parts[i].partition, (long long)s->ask_offset, (long long)tp->offset,
                 a->fleet.spec.colors[a->config->color].group);
}

/* An empty partition has its first position where it ends; and nobody stands beyond the end. */
static void end_known(struct agent *a, int i, const struct kafka_tp *tp)
{
    struct slot *s = &a->slots[i];
    struct holder_part *p = &a->holder.parts[i];

    if (tp->failed || tp->offset < 0)
        return;
    if (tp->offset > s->end)
        s->end = tp->offset;
    if (s->seen.position > s->end)
        snprintf(a->witness, sizeof(a->witness), "it says that it stands at %lld in %s/%d, but the log ends at %lld",
                 (long long)s->seen.position, topic_of(a, i), p->partition, (long long)s->end);
    if (p->state != PART_ACTIVE || p->first != OFFSET_NONE || s->seen.state != OBSERVED_RUNNING ||
        s->seen.position != tp->offset)
        return;
    window_reset(&p->window, tp->offset);
    holder_at_end(&a->holder, i, tp->offset, clock_unix_us());
    shadow_busy(a, i, s->seen.committed, s->seen.position);
}

void member_answered(struct agent *a, const struct kafka_answer *answer)
{
    struct question *q = a->questions;

    while (q && q->token != answer->token)
        q = q->next;
    if (!q)
        return;
    if (q->life == a->life_number && a->life == LIFE_ON) {
        if (q->type == QUESTION_OFFSETS || q->type == QUESTION_ACTIVE)
            question_answer(a, q, answer);
        for (int i = 0; i < q->count && q->type == QUESTION_WITNESS; i++) {
            const struct kafka_tp unknown = { .failed = true };

            witness(a, q->parts[i].part, answer->error ? &unknown : &answer->tps[i]);
        }
        for (int i = 0; i < q->count && q->type == QUESTION_END && !answer->error; i++) {
            end_known(a, q->parts[i].part, &answer->tps[i]);
            witnessed(a, q->parts[i].part);
        }
    }
    question_free(a, q);
}

/* All partitions of which the same is to be asked, in one question. */
static void ask_brokers(struct agent *a, enum question_type type, bool (*wanted)(struct agent *a, int slot))
{
    struct question *q = NULL;

    for (int i = 0; i < a->holder.part_max; i++) {
        if (!a->holder.parts[i].used || !wanted(a, i))
            continue;
        if (!q)
            q = question_new(a, type, 0, a->holder.part_max);
        q->parts[q->count++].part = i;
    }
    if (q && question_send(a, q))
        return;
    for (int i = 0; q && i < q->count; i++)
        a->slots[q->parts[i].part].ask_reading = false;
    if (q)
        question_free(a, q);
}

static bool wants_witness(struct agent *a, int i)
{
    struct slot *s = &a->slots[i];

    if (s->ask != ASK_BROKERS || s->ask_reading || clock_ms() < s->ask_read_ms)
        return false;
    s->ask_reading = true;
    return true;
}

static bool wants_end(struct agent *a, int i)
{
    struct slot *s = &a->slots[i];
    const struct holder_part *p = &a->holder.parts[i];
    const bool first = p->state == PART_ACTIVE && p->first == OFFSET_NONE && s->seen.state == OBSERVED_RUNNING;
    const bool stopped = s->ask == ASK_BROKERS && p->state == PART_COMMITTING && s->end < s->ask_offset;

    if ((!first && !stopped) || clock_ms() - s->end_asked_ms < (stopped ? READ_AGAIN_MS : END_EVERY_MS))
        return false;
    s->end_asked_ms = clock_ms();
    return true;
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

static void report(struct agent *a, const struct report *r, const char *incarnation, uint64_t token)
{
    struct record_key key = { .kind = RECORD_REPORT };
    struct str json = STR_WITH_MAX(RECORD_BYTES_MAX);
    char key_text[RECORD_KEY_MAX];
    struct errmsg m = { 0 };
    int code;

    text_copy(key.fleet, sizeof(key.fleet), a->config->fleet);
    text_copy(key.id, sizeof(key.id), incarnation);
    record_key_format(key_text, &key);
    code = a->channel ? report_encode(&json, r, &a->fleet, &m) : ERR_STATE;
    if (code == ERR_OK)
        code = channel_report(a->channel, token ? a->life_number << LIFE_SHIFT | token : 0, key_text, json.buf,
                              json.len, &m);
    str_free(&json);
    if (code == ERR_OK)
        return;
    if (token)
        a->report_refused = token;
    if (a->channel)
        log_warn("report_failed", "error=\"%s\", trying again", m.text);
}

/* Kafka's name for the member is the application's: the brokers list that one. */
static void identify(struct agent *a, struct report *r)
{
    text_copy(r->fleet, sizeof(r->fleet), a->config->fleet);
    text_copy(r->incarnation, sizeof(r->incarnation), a->incarnation);
    text_copy(r->version, sizeof(r->version), a->config->version ? a->config->version : "");
    text_copy(r->library, sizeof(r->library), "agent " BATON_VERSION);
    text_copy(r->host, sizeof(r->host), a->host);
    r->color = a->config->color;
    if (!a->seen)
        return;
    text_copy(r->member_id, sizeof(r->member_id), a->seen->member_id);
    text_copy(r->client_id, sizeof(r->client_id), a->seen->client_id);
    text_copy(r->assignor, sizeof(r->assignor), a->seen->assignor);
    r->eager = a->seen->assignor[0] && strcmp(a->seen->assignor, "cooperative-sticky") != 0 &&
               strcmp(a->seen->assignor, "consumer") != 0;
    r->records_done = a->seen->done;
}

/* What hands over records unasked is at work, whatever the holder thinks of it. */
static void report_leaks(struct agent *a)
{
    for (int k = 0; k < a->report.part_count; k++) {
        struct report_part *p = &a->report.parts[k];
        const int i = holder_find(&a->holder, p->topic, p->partition);

        if (i < 0 || !a->slots[i].leaks)
            continue;
        p->local = LOCAL_DRAINING;
        p->in_flight = p->in_flight > 0 ? p->in_flight : 1;
    }
}

static void report_now(struct agent *a)
{
    holder_report(&a->holder, &a->report, clock_unix_us());
    a->holder.config.report_gap_ms = a->report.part_count / REPORT_PARTS_A_MS;
    identify(a, &a->report);
    report_leaks(a);
    a->report.ready = a->report.ready && !a->trouble[0];
    report(a, &a->report, a->incarnation, a->report.sequence);
}

/* The agent before us at this very process says no more; its partitions are in our own report, which the controllers have. */
static void goodbye_of_replaced(struct agent *a)
{
    struct report r = { .sequence = GOODBYE_SEQUENCE, .goodbye = true, .applied = a->holder.acknowledged };

    if (!a->replaced[0])
        return;
    identify(a, &r);
    text_copy(r.incarnation, sizeof(r.incarnation), a->replaced);
    r.report_interval_ms = a->holder.config.report_interval_ms;
    r.sent_unix_us = clock_unix_us();
    log_info("agent_replaced", "incarnation=%s, said goodbye for it", a->replaced);
    report(a, &r, a->replaced, 0);
    a->replaced[0] = '\0';
}

static void commit(struct agent *a, const struct holder_effect *e)
{
    for (int k = 0; k < e->count; k++) {
        const struct holder_part_at *at = &a->fx.parts[e->first + k];
        struct slot *s = &a->slots[at->part];

        s->ask = ASK_APPLICATION;
        s->ask_token = e->token;
        s->ask_offset = at->offset;
        s->ask_mark = at->mark;
        s->ask_ms = clock_ms();
        s->ask_withdrawn = s->ask_reading = s->ask_witnessed = false;
        s->ask_read_ms = 0;
        if (at->mark.kind != MARK_FOLLOW && a->holder.parts[at->part].state != PART_STARTING)
            continue;
        s->from = s->heard_position = s->heard_committed = at->offset;
        s->mark = at->mark;
        s->epoch = at->mark.kind == MARK_EPOCH ? at->mark.epoch : 0;
        s->end = OFFSET_NONE;
        tell(a, at->part, TELL_READY);
    }
}

static void attach(struct agent *a, const struct holder_effect *e)
{
    for (int k = 0; k < e->count; k++) {
        const struct holder_part_at *at = &a->fx.parts[e->first + k];
        struct slot *s = &a->slots[at->part];

        if (s->word == TELL_RUN)
            continue; /* the watchdog's: it is told again every second anyway */
        s->busy = true;
        shadow_busy(a, at->part, s->seen.committed < at->offset ? s->seen.committed : at->offset, at->offset);
        tell(a, at->part, TELL_RUN);
    }
}

static void detach(struct agent *a, const struct holder_effect *e)
{
    for (int k = 0; k < e->count; k++)
        if (a->slots[a->fx.parts[e->first + k].part].word != TELL_HOLD)
            tell(a, a->fx.parts[e->first + k].part, TELL_HOLD);
}

static void read_offsets(struct agent *a, const struct holder_effect *e, enum question_type type)
{
    struct question *q = question_new(a, type, e->token, e->count);

    memcpy(q->parts, a->fx.parts + e->first, (size_t)e->count * sizeof(q->parts[0]));
    q->count = e->count;
    if (!question_send(a, q))
        q->token = 0; /* answered by the next turn: not from within a step */
}

static void carry_out(struct agent *a, const struct holder_effect *e)
{
    switch (e->type) {
    case HOLDER_ATTACH:
        attach(a, e);
        break;
    case HOLDER_DETACH:
        detach(a, e);
        break;
    case HOLDER_COMMIT:
        commit(a, e);
        break;
    case HOLDER_READ_OFFSETS:
        read_offsets(a, e, QUESTION_OFFSETS);
        break;
    case HOLDER_READ_ACTIVE:
        read_offsets(a, e, QUESTION_ACTIVE);
        break;
    case HOLDER_READ_LOG_END:
        follow_ask_end(a, e->token);
        break;
    case HOLDER_REPORT:
        report_now(a);
        break;
    case HOLDER_ANSWER_ASSIGN:
    case HOLDER_ANSWER_REVOKE:
        raise_revision(a); /* the application has answered Kafka already; what it need not keep is named no more */
        break;
    case HOLDER_LEAVE:
        a->leave = true;
        raise_revision(a);
        break;
    case HOLDER_CLOSED:
        a->over = true;
        break;
    }
}

void member_step(struct agent *a, struct holder_event ev)
{
    ASSERT(a->life == LIFE_ON);
    ev.now_ms = clock_ms();
    ev.now_unix_us = clock_unix_us();
    holder_effects_clear(&a->fx);
    holder_step(&a->holder, &ev, &a->fx);
    for (int i = 0; i < a->fx.count; i++)
        carry_out(a, &a->fx.items[i]);
}

/* --- a life -------------------------------------------------------------------------------------------------------- */

static bool former_life(const struct agent *a, const char *instance)
{
    for (int i = 0; i < a->former_life_count && i < LIVES_MAX; i++)
        if (strcmp(a->former_lives[i], instance) == 0)
            return true;
    return false;
}

static void random_name(char ret[INCARNATION_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[16];

    must(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random) ? ret : NULL);
    for (size_t i = 0; i < sizeof(random); i++) {
        ret[2 * i] = digits[random[i] >> 4];
        ret[2 * i + 1] = digits[random[i] & 15];
    }
    ret[2 * sizeof(random)] = '\0';
}

static void life_find(struct agent *a, const struct observed *o)
{
    if (a->life != LIFE_NONE) {
        text_copy(a->former_lives[a->former_life_count++ % LIVES_MAX], INSTANCE_MAX + 1, a->instance);
        log_warn("application_restarted",
                 "fleet=%s, a new process answers: what the former one did and did not commit is its doubt",
                 a->config->fleet);
    } else {
        log_info("application_found", "fleet=%s group=%s instance=%s", a->config->fleet, o->group, o->instance);
    }
    room_free(a);
    text_copy(a->instance, sizeof(a->instance), o->instance);
    text_copy(a->replaced, sizeof(a->replaced), o->agent);
    random_name(a->incarnation);
    memset(a->ends, 0, sizeof(a->ends));
    a->life = LIFE_FOUND;
    a->life_number++;
    a->revision = a->accepted = o->accepted;
    a->report_refused = 0;
    a->witness[0] = '\0';
}

static int64_t report_interval_ms(const struct agent *a)
{
    const int64_t fleet_ms = COLOR_COUNT * (int64_t)a->fleet.baton_count;
    const int64_t bounded_ms = fleet_ms < REPORT_MS_MAX ? fleet_ms : REPORT_MS_MAX;

    return bounded_ms > REPORT_MS ? bounded_ms : REPORT_MS;
}

static void life_begin(struct agent *a)
{
    const struct holder_config config = { .color = a->config->color,
                                          .session_timeout_ms = a->fleet.spec.session_timeout_ms,
                                          .commit_interval_ms = 1000,
                                          .revoke_ms_max = 5000,
                                          .report_interval_ms = report_interval_ms(a),
                                          .retry_ms = 100,
                                          .watchdog_ms = 2000 };

    struct holder_part none;

    memset(&a->report, 0, offsetof(struct report, parts));
    holder_init(&a->holder, &config, &a->fleet, &none, 0, clock_ms());
    a->holder.parts = NULL;
    reserve(a, 1);
    a->life = LIFE_ON;
    member_step(a, (struct holder_event){ .type = HOLDER_LOG_POSITION,
                                          .log_position =
                                              documents_read_to(&a->documents, channel_position(a->channel)) });
}

/* Everything is held and nothing in flight: the holder can begin as a process that has just come up. */
static bool all_held(const struct observed *o)
{
    for (int i = 0; i < o->part_count; i++)
        if (o->parts[i].in_flight > 0 || o->parts[i].state == OBSERVED_RUNNING ||
            (o->parts[i].assigned && o->parts[i].state != OBSERVED_HELD))
            return false;
    return true;
}

static void life_turn(struct agent *a)
{
    if (a->life == LIFE_FOUND && a->control_read && a->fleet.exists) {
        a->life = LIFE_TAKING;
        raise_revision(a);
    }
    if (a->life == LIFE_TAKING && a->seen && a->seen->revision >= a->revision && all_held(a->seen))
        life_begin(a);
}

/* --- what the application says ------------------------------------------------------------------------------------- */

static void trouble(char *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void trouble(char *ret, const char *fmt, ...)
{
    va_list ap;

    if (*ret)
        return; /* one at a time */
    va_start(ap, fmt);
    vsnprintf(ret, WHY_MAX, fmt, ap);
    va_end(ap);
}

/* Told when it begins, when it changes, and when it ends. */
static void note_trouble(struct agent *a, const char *why)
{
    char quoted[2 * WHY_MAX];

    if (strcmp(a->trouble, why) == 0)
        return;
    if (*why)
        log_warn("application_trouble", "fleet=%s error=%s, waiting for it", a->config->fleet,
                 log_quote(quoted, sizeof(quoted), why));
    else
        log_info("application_well", "fleet=%s, it answers as it should", a->config->fleet);
    text_copy(a->trouble, sizeof(a->trouble), why);
    a->holder.report_due = true;
}

static void first_seen(struct agent *a, int i, char *why)
{
    struct slot *s = &a->slots[i];
    struct holder_part *p = &a->holder.parts[i];
    const struct observed_part *e = &s->seen;

    if (p->state != PART_ACTIVE || p->first != OFFSET_NONE || e->first == OFFSET_NONE || e->epoch != s->epoch)
        return;
    if (e->first < s->from) {
        trouble(why, "it began %s/%d at %lld, before %lld where it was made ready", e->topic, e->partition,
                (long long)e->first, (long long)s->from);
        return;
    }
    window_reset(&p->window, e->first);
    holder_deliver(&a->holder, i, e->first, clock_ms(), clock_unix_us());
}

/* A partition that was told to run: is it still at work, or has it shown that it stopped? */
static void busy_heard(struct agent *a, int i, char *why)
{
    struct slot *s = &a->slots[i];
    const struct observed_part *e = &s->seen;
    const bool stopped = s->former ? e->in_flight == 0 && e->state != OBSERVED_RUNNING
                                   : s->word == TELL_HOLD && acted_upon(a, s) && e->state == OBSERVED_HELD;

    if (e->committed < s->heard_committed) { /* a position may go back to it: records that failed are fetched again */
        if (acted_upon(a, s))
            trouble(why, "what it has committed of %s/%d went back from %lld to %lld", e->topic, e->partition,
                    (long long)s->heard_committed, (long long)e->committed);
        return;
    }
    s->heard_position = e->position;
    s->heard_committed = e->committed;
    first_seen(a, i, why);
    if (stopped && (e->in_flight > 0 || (!s->former && e->committed != e->position))) {
        trouble(why, "it says that %s/%d is held, but has %d in flight, position %lld, committed %lld", e->topic,
                e->partition, e->in_flight, (long long)e->position, (long long)e->committed);
    } else if (stopped && e->position >= a->holder.parts[i].committed) {
        shadow_drained(a, i, e->position);
        return;
    }
    if (s->word == TELL_HOLD && acted_upon(a, s) && e->state == OBSERVED_RUNNING)
        trouble(why, "it goes on with %s/%d, which it was told to hold", e->topic, e->partition);
    shadow_busy(a, i, e->committed, e->position);
}

static void slot_heard(struct agent *a, int i, char *why)
{
    struct slot *s = &a->slots[i];
    const struct observed_part *e = &s->seen;
    const bool leaks = !s->busy && (e->state == OBSERVED_RUNNING || e->in_flight > 0);

    if (s->busy)
        busy_heard(a, i, why);
    if (leaks)
        trouble(why, "it is at work on %s/%d, which it was not told to run", e->topic, e->partition);
    if (leaks != s->leaks)
        a->holder.report_due = true;
    s->leaks = leaks;
}

/* Those that Kafka has taken away, and those of which it says nothing any more, go first. */
static void taken_away(struct agent *a, char *why)
{
    struct holder *h = &a->holder;
    struct holder_topic_partition *tps = must(calloc((size_t)h->part_max + 1, sizeof(*tps)));

    for (int lost = 0; lost < 2; lost++) {
        int count = 0;

        for (int i = 0; i < h->part_max; i++) {
            struct slot *s = &a->slots[i];
            const struct holder_part *p = &h->parts[i];
            const bool vanished = s->assignment && !s->named;

            if (!s->assignment || !p->used || !p->assigned || p->revoking || !(vanished || s->former) ||
                vanished != (lost == 1))
                continue;
            if (vanished && s->busy) { /* silence is not consent: it counts as at work */
                trouble(why, "it says nothing any more of %s/%d, which was at work", topic_of(a, i), p->partition);
                continue;
            }
            s->former = true;
            tps[count++] = (struct holder_topic_partition){ .topic = p->topic, .partition = p->partition };
        }
        if (count > 0)
            member_step(a, (struct holder_event){
                               .type = lost ? HOLDER_LOST : HOLDER_REVOKED, .tps = tps, .tp_count = count });
    }
    free(tps);
}

/* Those that are new, or whose former assignment is over for us. */
static void newly_assigned(struct agent *a, const struct observed *o)
{
    struct holder *h = &a->holder;
    struct holder_topic_partition *tps = must(calloc((size_t)o->part_count + 1, sizeof(*tps)));
    int64_t *assignments = must(calloc((size_t)o->part_count + 1, sizeof(*assignments)));
    int count = 0, used = 0;

    for (int k = 0; k < o->part_count; k++) {
        const struct observed_part *e = &o->parts[k];
        const int topic = fleet_topic(&a->fleet, e->topic);

        if (!e->assigned || topic < 0 || holder_find(h, topic, e->partition) >= 0 || a->holder.closing)
            continue;
        assignments[count] = e->assignment;
        tps[count++] = (struct holder_topic_partition){ .topic = (uint16_t)topic, .partition = e->partition };
    }
    for (int i = 0; i < h->part_max; i++)
        used += h->parts[i].used;
    reserve(a, used + count);
    if (count > 0 || (o->joined && !h->joined))
        member_step(a, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = tps, .tp_count = count });
    for (int k = 0; k < count; k++) {
        struct slot *s = &a->slots[holder_find(h, tps[k].topic, tps[k].partition)];

        memset(s, 0, sizeof(*s));
        s->assignment = assignments[k];
        s->end = OFFSET_NONE;
        s->named = true;
    }
    if (count > 0)
        raise_revision(a);
    free(assignments);
    free(tps);
}

/* What it says of each partition goes to its slot; what does not fit is said. */
static void sort_parts(struct agent *a, const struct observed *o, char *why)
{
    for (int i = 0; i < a->holder.part_max; i++)
        a->slots[i].named = false;
    for (int k = 0; k < o->part_count; k++) {
        const struct observed_part *e = &o->parts[k];
        const int topic = fleet_topic(&a->fleet, e->topic);
        const int i = topic < 0 ? -1 : holder_find(&a->holder, topic, e->partition);

        if (topic < 0) {
            trouble(why, "it consumes %s, which is no topic of the fleet", e->topic);
        } else if (i >= 0 && a->slots[i].assignment == e->assignment) {
            if (a->slots[i].named)
                trouble(why, "it tells of %s/%d twice", e->topic, e->partition);
            a->slots[i].seen = *e;
            a->slots[i].named = true;
            a->slots[i].former = a->slots[i].former || !e->assigned;
        } else if (fleet_find(&a->fleet, topic, e->partition) < 0 && e->assigned) {
            log_debug("partition_unknown", "topic=%s partition=%d, held until it has a baton", e->topic, e->partition);
        }
    }
}

static void slots_release(struct agent *a)
{
    for (int i = 0; i < a->holder.part_max; i++)
        if (a->slots[i].assignment && !a->holder.parts[i].used) {
            memset(&a->slots[i], 0, sizeof(a->slots[i]));
            raise_revision(a);
        }
}

static void parts_heard(struct agent *a, const struct observed *o, char *why)
{
    sort_parts(a, o, why);
    taken_away(a, why);
    for (int i = 0; i < a->holder.part_max; i++)
        if (a->slots[i].assignment && a->slots[i].named)
            slot_heard(a, i, why);
    member_step(a, (struct holder_event){ .type = HOLDER_TICK });
    slots_release(a);
    newly_assigned(a, o);
}

/* False: it is not believed at all. */
static bool belongs(struct agent *a, const struct observed *o, char *why)
{
    const char *group = a->fleet.exists ? a->fleet.spec.colors[a->config->color].group : NULL;

    if (strcmp(o->instance, a->instance) != 0 && former_life(a, o->instance))
        trouble(why,
                "several processes answer at this address in turn: give the address of one, not of a load balancer");
    else if (group && strcmp(o->group, group) != 0)
        trouble(why, "it consumes as group %.100s, but %s of fleet %s is group %.100s", o->group,
                color_name(a->config->color), a->config->fleet, group);
    else if (a->seen && strcmp(o->instance, a->instance) == 0 && o->revision < a->seen->revision)
        trouble(why, "its revision went back from %llu to %llu", (unsigned long long)a->seen->revision,
                (unsigned long long)o->revision);
    return !*why;
}

void member_heard(struct agent *a, struct application_answer *answer)
{
    char why[WHY_MAX] = "";
    struct observed *o = answer->observed;

    if (answer->error == ERR_CONFLICT)
        return; /* the next look says why */
    if (answer->error) {
        note_trouble(a, answer->why);
        return;
    }
    if (!belongs(a, o, why)) {
        note_trouble(a, why);
        observed_free(o);
        return;
    }
    if (a->life == LIFE_NONE || strcmp(o->instance, a->instance) != 0)
        life_find(a, o);
    a->heard_ms = answer->asked_ms;
    observed_free(a->seen);
    a->seen = o;
    if (strcmp(o->agent, a->incarnation) == 0) {
        a->accepted = o->accepted;
    } else if (a->life == LIFE_ON) {
        a->taken_over = true;
    } else if (a->life == LIFE_TAKING && o->accepted >= a->revision) {
        text_copy(a->replaced, sizeof(a->replaced), o->agent);
        a->revision = a->accepted = o->accepted;
        raise_revision(a);
    }
    life_turn(a);
    if (a->life == LIFE_ON)
        parts_heard(a, o, why);
    trouble(why, "%s", a->witness);
    note_trouble(a, why);
}

/* --- commits that are outstanding ---------------------------------------------------------------------------------- */

/* It was told `ready`: has it committed that? */
static void ready_turn(struct agent *a, int i, int64_t now_ms)
{
    struct slot *s = &a->slots[i];
    const struct observed_part *e = &s->seen;

    if (s->ask_withdrawn) {
        if (acted_upon(a, s) || s->former)
            ask_answer(a, i, true);
    } else if (acted_upon(a, s) && e->state == OBSERVED_READY && e->epoch == s->epoch && e->position == s->from &&
               e->committed == s->from) {
        if (s->ask_mark.kind != MARK_FOLLOW) {
            s->ask = ASK_BROKERS;
            return;
        }
        tell(a, i, TELL_HOLD);
        ask_answer(a, i, false);
    } else if (now_ms - s->ask_ms >= ASK_MS_MAX || s->former) {
        log_warn("application_slow", "topic=%s partition=%d, it was not made ready at %lld within 5 s, asking anew",
                 topic_of(a, i), a->holder.parts[i].partition, (long long)s->from);
        s->ask_withdrawn = true; /* no commit of it may come late */
        tell(a, i, TELL_HOLD);
    }
}

static void ask_turn(struct agent *a, int i, int64_t now_ms)
{
    struct slot *s = &a->slots[i];
    const struct holder_part *p = &a->holder.parts[i];
    const struct observed_part *e = &s->seen;

    if (p->token != s->ask_token) { /* it is ours no more: nobody waits for this */
        s->ask = ASK_NONE;
        if (s->word == TELL_READY)
            tell(a, i, TELL_HOLD);
    } else if (p->state == PART_COMMITTING && !s->former && e->state == OBSERVED_HELD && e->committed == e->position &&
               e->position != s->ask_offset && e->position >= p->committed) {
        window_reset(&a->holder.parts[i].window, e->position); /* it stopped elsewhere than it first said */
        ask_answer(a, i, true);
    } else if (s->ask == ASK_BROKERS) {
        if (now_ms - s->ask_ms < 2 * ASK_MS_MAX || s->ask_reading)
            return;
        if (s->word == TELL_READY)
            tell(a, i, TELL_HOLD);
        ask_answer(a, i, true);
    } else if (s->word == TELL_READY || s->ask_withdrawn) {
        ready_turn(a, i, now_ms);
    } else if (p->state == PART_COMMITTING && s->former) {
        ask_answer(a, i, e->committed != s->ask_offset);
    } else if (p->state == PART_COMMITTING && e->state == OBSERVED_HELD && e->committed == s->ask_offset) {
        s->ask = ASK_BROKERS;
    } else if (e->committed >= s->ask_offset && e->committed_ago_ms >= 0 &&
               a->heard_ms - e->committed_ago_ms >= s->ask_ms) {
        ask_answer(a, i, false);
    } else if (now_ms - s->ask_ms >= ASK_MS_MAX || (p->state == PART_DRAINING && !s->busy)) {
        ask_answer(a, i, true);
    }
}

static void refused_turn(struct agent *a)
{
    struct question *q;

    for (q = a->questions; q; q = a->questions) {
        while (q && q->token != 0)
            q = q->next;
        if (!q)
            break;
        if (q->life == a->life_number)
            question_answer(a, q, NULL);
        question_free(a, q);
    }
    if (a->report_refused) {
        const uint64_t sequence = a->report_refused;

        a->report_refused = 0;
        member_step(a, (struct holder_event){ .type = HOLDER_REPORT_FAILED, .sequence = sequence });
    }
}

void member_turn(struct agent *a)
{
    const int64_t now_ms = clock_ms();

    life_turn(a);
    if (a->life != LIFE_ON)
        return;
    a->holder.config.session_timeout_ms = a->fleet.exists ? a->fleet.spec.session_timeout_ms : 45000;
    a->holder.config.report_interval_ms = report_interval_ms(a);
    refused_turn(a);
    for (int i = 0; i < a->holder.part_max; i++)
        if (a->holder.parts[i].used && a->slots[i].ask != ASK_NONE)
            ask_turn(a, i, now_ms);
    ask_brokers(a, QUESTION_WITNESS, wants_witness);
    ask_brokers(a, QUESTION_END, wants_end);
    if (a->leave && !a->holder.left &&
        (a->seen->left || (a->trouble[0] && now_ms - a->heard_ms > 1000))) /* gone, after all was held */
        member_step(a, (struct holder_event){ .type = HOLDER_LEFT });
    member_step(a, (struct holder_event){ .type = HOLDER_TICK });
    if (a->holder.report_acked > 0)
        goodbye_of_replaced(a);
}

void member_reported(struct agent *a, const struct kafka_appended *appended)
{
    if (a->life != LIFE_ON || appended->token >> LIFE_SHIFT != a->life_number)
        return; /* of a former life, or the goodbye of the agent before us */
    member_step(a, (struct holder_event){ .type = appended->error ? HOLDER_REPORT_FAILED : HOLDER_REPORT_ACKED,
                                          .sequence = appended->token & ((UINT64_C(1) << LIFE_SHIFT) - 1) });
}

bool member_restless(const struct agent *a)
{
    if (a->life == LIFE_TAKING || a->accepted < a->revision)
        return true;
    for (int i = 0; a->life == LIFE_ON && i < a->holder.part_max; i++) {
        const struct slot *s = &a->slots[i];
        const struct holder_part *p = &a->holder.parts[i];

        if (p->used && s->assignment &&
            (!acted_upon(a, s) || (s->ask != ASK_NONE && s->word == TELL_READY) || (s->busy && s->word == TELL_HOLD) ||
             p->state == PART_COMMITTING || (p->state == PART_ACTIVE && p->first == OFFSET_NONE)))
            return true;
    }
    return a->leave && !a->holder.left;
}

int member_desired(struct agent *a, struct str *ret, struct errmsg *m)
{
    const int64_t session_ms = a->fleet.exists ? a->fleet.spec.session_timeout_ms : 45000;
    struct desired d = { .instance = a->instance,
                         .agent = a->incarnation,
                         .fleet = a->config->fleet,
                         .color = a->config->color,
                         .revision = a->revision,
                         .version = a->fleet.applied,
                         .commit_every_ms = session_ms / 8 < 1000 ? session_ms / 8 : 1000,
                         .fence_ms = session_ms,
                         .leave = a->leave };
    struct desired_part *parts = must(calloc((size_t)a->holder.part_max + 1, sizeof(*parts)));
    int r;

    for (int i = 0; a->life == LIFE_ON && i < a->holder.part_max; i++) {
        const struct slot *s = &a->slots[i];
        const struct holder_part *p = &a->holder.parts[i];

        if (!p->used || !s->assignment || (s->former && !p->assigned && !s->busy))
            continue;
        parts[d.part_count++] = (struct desired_part){ .topic = topic_of(a, i),
                                                       .partition = p->partition,
                                                       .assignment = s->assignment,
                                                       .word = s->word,
                                                       .epoch = s->epoch,
                                                       .from = s->from,
                                                       .mark = s->mark };
    }
    d.parts = parts;
    r = desired_encode(ret, &d, m);
    free(parts);
    return r;
}

const char *member_unready(const struct agent *a)
{
    if (a->trouble[0])
        return a->trouble;
    if (a->why[0])
        return a->why;
    if (a->change && *change_trouble(a->change))
        return change_trouble(a->change);
    if (!a->config->application)
        return "";
    if (a->life == LIFE_NONE)
        return "the application has not answered yet";
    if (!a->control_read)
        return "the control log is not read yet";
    if (!a->fleet.exists)
        return "there is no such fleet yet: make it with `baton fleet apply`";
    if (a->life != LIFE_ON)
        return "the application is holding its partitions for a moment";
    if (!a->seen->joined)
        return "the application has not joined its group yet";
    if (a->holder.closing)
        return "it is leaving";
    return "";
}

void member_open(struct agent *a)
{
    fleet_init(&a->fleet, NULL, 0);
    if (gethostname(a->host, sizeof(a->host) - 1) < 0)
        a->host[0] = '\0';
}

void member_close(struct agent *a)
{
    while (a->questions)
        question_free(a, a->questions);
    room_free(a);
    free(a->fx.parts);
    free(a->report.parts);
    observed_free(a->seen);
}
