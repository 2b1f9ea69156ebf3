/*
 * member - the holder's effects as words for the application (what it says in turn, heard.c and witness.c believe or not).
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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/json_write.h"

#define PARTS_MIN 16
#define REPORT_PARTS_A_MS 16
#define GOODBYE_SEQUENCE (INT64_MAX / 4) /* behind whatever the agent before us has said */

/* --- room ---------------------------------------------------------------------------------------------------------- */

void member_reserve(struct agent *a, int part_count)
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

void member_room_free(struct agent *a)
{
    for (int i = 0; i < a->holder.part_max; i++)
        free(a->holder.parts[i].window.slots);
    free(a->holder.parts);
    free(a->slots);
    a->holder.parts = NULL;
    a->slots = NULL;
    a->holder.part_max = 0;
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

/* Kafka's name for the member is the application's: the brokers list that one. */
static void identify(struct agent *a, struct report *r)
{
    report_identify(a, r);
    if (!a->seen)
        return;
    text_copy(r->member_id, sizeof(r->member_id), name_of_member(a));
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
    a->report.ready = a->report.ready && !a->trouble[0] && *name_of_member(a);
    report_send(a, &a->report, true);
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
    report_send(a, &r, false);
    a->replaced[0] = '\0';
}

static void attach(struct agent *a, const struct holder_effect *e)
{
    for (int k = 0; k < e->count; k++) {
        const struct holder_part_at *at = &a->fx.parts[e->first + k];
        struct slot *s = &a->slots[at->part];

        if (s->word == TELL_RUN)
            continue; /* the watchdog's: it is told again every second anyway */
        s->busy = true;
        slot_busy(a, at->part, s->seen.committed < at->offset ? s->seen.committed : at->offset, at->offset);
        slot_tell(a, at->part, TELL_RUN);
    }
}

static void detach(struct agent *a, const struct holder_effect *e)
{
    for (int k = 0; k < e->count; k++)
        if (a->slots[a->fx.parts[e->first + k].part].word != TELL_HOLD)
            slot_tell(a, a->fx.parts[e->first + k].part, TELL_HOLD);
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
        witness_commit(a, e);
        break;
    case HOLDER_READ_OFFSETS:
        witness_read(a, e, QUESTION_OFFSETS);
        break;
    case HOLDER_READ_ACTIVE:
        witness_read(a, e, QUESTION_ACTIVE);
        break;
    case HOLDER_READ_LOG_END:
        follow_ask_end(a, e->token);
        break;
    case HOLDER_REPORT:
        report_now(a);
        break;
    case HOLDER_ANSWER_ASSIGN:
    case HOLDER_ANSWER_REVOKE:
        revision_raise(a); /* the application has answered Kafka already; what it need not keep is named no more */
        break;
    case HOLDER_LEAVE:
        a->leave = true;
        revision_raise(a);
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
        (a->outside ? outside_carry_out : carry_out)(a, &a->fx.items[i]);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

void member_turn(struct agent *a)
{
    const int64_t now_ms = clock_ms();

    life_turn(a);
    if (a->life != LIFE_ON)
        return;
    a->holder.config.session_timeout_ms = a->fleet.exists ? a->fleet.spec.session_timeout_ms : 45000;
    report_turn(a);
    witness_turn(a);
    name_turn(a);
    if (a->leave && !a->holder.left &&
        (a->seen->left || (a->trouble[0] && now_ms - a->heard_ms > 1000))) /* gone, after all was held */
        member_step(a, (struct holder_event){ .type = HOLDER_LEFT });
    member_step(a, (struct holder_event){ .type = HOLDER_TICK });
    if (a->holder.report_acked > 0)
        goodbye_of_replaced(a);
}

bool member_restless(const struct agent *a)
{
    if (a->life == LIFE_TAKING || a->accepted < a->revision)
        return true;
    for (int i = 0; a->life == LIFE_ON && i < a->holder.part_max; i++) {
        const struct slot *s = &a->slots[i];
        const struct holder_part *p = &a->holder.parts[i];

        if (p->used && s->assignment &&
            (!slot_acted_upon(a, s) || (s->ask != ASK_NONE && s->word == TELL_READY) ||
             (s->busy && s->word == TELL_HOLD) || p->state == PART_COMMITTING ||
             (p->state == PART_ACTIVE && p->first == OFFSET_NONE)))
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
        parts[d.part_count++] = (struct desired_part){ .topic = slot_topic(a, i),
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

/* --- what it shows ------------------------------------------------------------------------------------------------- */

const char *member_unready(const struct agent *a)
{
    if (a->outside)
        return outside_unready(a);
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
    if (!*name_of_member(a))
        return "the brokers list no member with its client id (CLIENT_ID-INSTANCE) yet";
    if (a->holder.closing)
        return "it is leaving";
    return "";
}

static void state_part(struct json_out *o, const struct agent *a, int i)
{
    const struct holder_part *p = &a->holder.parts[i];
    const struct slot *s = &a->slots[i];

    json_open(o, NULL, '{');
    json_put_text(o, "topic", a->fleet.spec.topics[p->topic]);
    json_put_int(o, "partition", p->partition);
    json_put_text(o, "state", part_state_name(p->state));
    json_put_text(o, "told", word_told_name(s->word));
    json_put_text(o, "observed", observed_state_name(s->seen.state));
    json_put_uint(o, "epoch", p->epoch);
    json_put_int_or_null(o, "position", s->seen.position, OFFSET_NONE);
    json_put_int_or_null(o, "committed", s->seen.committed, OFFSET_NONE);
    json_put_int(o, "in_flight", s->seen.in_flight);
    json_close(o, '}');
}

void member_state(struct str *ret, const struct agent *a)
{
    static const char *const lives[] = {
        [LIFE_NONE] = "waiting", [LIFE_FOUND] = "found", [LIFE_TAKING] = "taking", [LIFE_ON] = "on"
    };
    struct json_out o = { .text = ret };
    const char *why = member_unready(a);

    json_open(&o, NULL, '{');
    json_put_text(&o, "fleet", a->config->fleet);
    json_put_text(&o, "color", color_name(a->config->color));
    json_put_text(&o, "version", a->config->version ? a->config->version : "");
    json_put_text(&o, "state", a->holder.closing ? "leaving" : lives[a->life]);
    json_put_bool(&o, "ready", !*why);
    json_put_text(&o, "why", why);
    json_put_text(&o, "incarnation", a->incarnation);
    json_open(&o, "application", '{');
    json_put_text(&o, "instance", a->instance);
    json_put_text(&o, "member_id", name_of_member(a));
    json_put_uint(&o, "accepted", a->accepted);
    json_put_uint(&o, "acted_upon", a->seen ? a->seen->revision : 0);
    json_put_uint(&o, "told", a->revision);
    json_put_int_or_null(&o, "heard_ago_ms", a->heard_ms ? clock_ms() - a->heard_ms : -1, -1);
    json_close(&o, '}');
    json_put_int(&o, "term", a->fleet.applied.term);
    json_put_uint(&o, "epoch", a->fleet.applied.epoch);
    json_open(&o, "partitions", '[');
    for (int i = 0; a->life == LIFE_ON && i < a->holder.part_max; i++)
        if (a->holder.parts[i].used && a->slots[i].assignment)
            state_part(&o, a, i);
    json_close(&o, ']');
    json_close(&o, '}');
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

void member_open(struct agent *a)
{
    fleet_init(&a->fleet, NULL, 0);
    if (gethostname(a->host, sizeof(a->host) - 1) < 0)
        a->host[0] = '\0';
}

void member_close(struct agent *a)
{
    witness_close(a);
    member_room_free(a);
    free(a->fx.parts);
    free(a->report.parts);
    observed_free(a->seen);
}
