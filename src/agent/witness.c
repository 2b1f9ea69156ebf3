/*
 * witness - the holder's commits, which the application makes: what it says of them is held against what the brokers have.
 *
 * A commit of a start or of a release counts when the brokers have that offset with that mark, and a release only within the log; one
 * of progress when the application says that Kafka has taken it since it was asked. What takes too long is withdrawn, told, and
 * asked for anew. Whatever else the holder wants to know of the brokers is asked here, too; questions that can be one are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#define ASK_MS_MAX 5000 /* the application gets so long for a commit, then the holder asks anew */
#define READ_AGAIN_MS 200
#define QUESTION_MS_MAX 5000
#define END_EVERY_MS 250

static void ask_answer(struct agent *a, int i, bool failed)
{
    struct slot *s = &a->slots[i];
    const struct holder_part_at at = { .part = i, .offset = s->ask_offset, .mark = s->ask_mark };

    s->ask = ASK_NONE;
    member_step(a,
                (struct holder_event){
                    .type = HOLDER_COMMITTED, .token = s->ask_token, .failed = failed, .parts = &at, .part_count = 1 });
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
        text_copy(tps[i].topic, sizeof(tps[i].topic), slot_topic(a, q->parts[i].part));
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
    struct slot *s = &a->slots[i];

    if (s->ask != ASK_BROKERS || !s->ask_witnessed ||
        (a->holder.parts[i].state == PART_COMMITTING && s->end < s->ask_offset))
        return;
    a->witness[0] = '\0';
    s->ask = ASK_SETTLED;
}

/* What one answer of the brokers has settled goes to the holder in one step a commit: so it tells of all in one report. */
static void answer_settled(struct agent *a)
{
    struct holder_part_at *parts = must(calloc((size_t)a->holder.part_max + 1, sizeof(*parts)));

    for (int i = 0; i < a->holder.part_max; i++) {
        const uint64_t token = a->slots[i].ask_token;
        int count = 0;

        if (a->slots[i].ask != ASK_SETTLED)
            continue;
        for (int k = i; k < a->holder.part_max; k++) {
            struct slot *s = &a->slots[k];

            if (s->ask != ASK_SETTLED || s->ask_token != token)
                continue;
            s->ask = ASK_NONE;
            parts[count++] = (struct holder_part_at){ .part = k, .offset = s->ask_offset, .mark = s->ask_mark };
        }
        member_step(a, (struct holder_event){
                           .type = HOLDER_COMMITTED, .token = token, .parts = parts, .part_count = count });
    }
    free(parts);
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
                 slot_topic(a, i), a->holder.parts[i].partition, (long long)s->ask_offset);
    else
        snprintf(a->witness, sizeof(a->witness),
                 "it says that it committed %s/%d at %lld, but the brokers have %lld for group %.100s",
                 slot_topic(a, i), a->holder.parts[i].partition, (long long)s->ask_offset, (long long)tp->offset,
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
                 (long long)s->seen.position, slot_topic(a, i), p->partition, (long long)s->end);
    if (p->state != PART_ACTIVE || p->first != OFFSET_NONE || s->seen.state != OBSERVED_RUNNING ||
        s->seen.position != tp->offset)
        return;
    window_reset(&p->window, tp->offset);
    holder_at_end(&a->holder, i, tp->offset, clock_unix_us());
    slot_busy(a, i, s->seen.committed, s->seen.position);
}

void witness_answered(struct agent *a, const struct kafka_answer *answer)
{
    struct question *q = a->questions;

    if (name_answered(a, answer))
        return;
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
        answer_settled(a);
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

/* --- commits ------------------------------------------------------------------------------------------------------- */

void witness_commit(struct agent *a, const struct holder_effect *e)
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
        s->ask_read_ms = s->end_asked_ms = 0;
        if (at->mark.kind != MARK_FOLLOW && a->holder.parts[at->part].state != PART_STARTING)
            continue;
        s->from = s->heard_position = s->heard_committed = at->offset;
        s->mark = at->mark;
        s->epoch = at->mark.kind == MARK_EPOCH ? at->mark.epoch : 0;
        s->end = OFFSET_NONE;
        slot_tell(a, at->part, TELL_READY);
    }
}

void witness_read(struct agent *a, const struct holder_effect *e, enum question_type type)
{
    struct question *q = question_new(a, type, e->token, e->count);

    memcpy(q->parts, a->fx.parts + e->first, (size_t)e->count * sizeof(q->parts[0]));
    q->count = e->count;
    if (!question_send(a, q))
        q->token = 0; /* answered by the next turn: not from within a step */
}

/* It was told `ready`: has it committed that? */
static void ready_turn(struct agent *a, int i, int64_t now_ms)
{
    struct slot *s = &a->slots[i];
    const struct observed_part *e = &s->seen;

    if (s->ask_withdrawn) {
        if (slot_acted_upon(a, s) || s->former)
            ask_answer(a, i, true);
    } else if (slot_acted_upon(a, s) && e->state == OBSERVED_READY && e->epoch == s->epoch && e->position == s->from &&
               e->committed == s->from) {
        if (s->ask_mark.kind != MARK_FOLLOW) {
            s->ask = ASK_BROKERS;
            return;
        }
        slot_tell(a, i, TELL_HOLD);
        ask_answer(a, i, false);
    } else if (now_ms - s->ask_ms >= ASK_MS_MAX || s->former) {
        log_warn("application_slow", "topic=%s partition=%d, it was not made ready at %lld within 5 s, asking anew",
                 slot_topic(a, i), a->holder.parts[i].partition, (long long)s->from);
        s->ask_withdrawn = true; /* no commit of it may come late */
        slot_tell(a, i, TELL_HOLD);
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
            slot_tell(a, i, TELL_HOLD);
    } else if (p->state == PART_COMMITTING && !s->former && e->state == OBSERVED_HELD && e->committed == e->position &&
               e->position != s->ask_offset && e->position >= p->committed) {
        window_reset(&a->holder.parts[i].window, e->position); /* it stopped elsewhere than it first said */
        ask_answer(a, i, true);
    } else if (s->ask == ASK_BROKERS) {
        if (now_ms - s->ask_ms < 2 * ASK_MS_MAX || s->ask_reading)
            return;
        if (s->word == TELL_READY)
            slot_tell(a, i, TELL_HOLD);
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

/* Those that could not be asked. */
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
}

void witness_turn(struct agent *a)
{
    const int64_t now_ms = clock_ms();

    refused_turn(a);
    for (int i = 0; i < a->holder.part_max; i++)
        if (a->holder.parts[i].used && a->slots[i].ask != ASK_NONE)
            ask_turn(a, i, now_ms);
    ask_brokers(a, QUESTION_WITNESS, wants_witness);
    ask_brokers(a, QUESTION_END, wants_end);
}

void witness_close(struct agent *a)
{
    while (a->questions)
        question_free(a, a->questions);
}
