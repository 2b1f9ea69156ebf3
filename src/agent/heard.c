/*
 * heard - what the application says of itself: to the slots, and to the holder as events.
 *
 * What contradicts itself, or what it was told, is trouble: said at /readyz and in the log, and it costs time, never a hand-over. Silence is
 * not consent: a partition that was at work, and is named no more, counts as at work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

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
        log_warn("application_trouble", "fleet=%s application=%s error=%s, waiting for it", a->config->fleet,
                 a->config->application, log_quote(quoted, sizeof(quoted), why));
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
                                   : s->word == TELL_HOLD && slot_acted_upon(a, s) && e->state == OBSERVED_HELD;

    if (e->committed < s->heard_committed) { /* a position may go back to it: records that failed are fetched again */
        if (slot_acted_upon(a, s))
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
        slot_drained(a, i, e->position);
        return;
    }
    if (s->word == TELL_HOLD && slot_acted_upon(a, s) && e->state == OBSERVED_RUNNING)
        trouble(why, "it goes on with %s/%d, which it was told to hold", e->topic, e->partition);
    slot_busy(a, i, e->committed, e->position);
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
                trouble(why, "it says nothing any more of %s/%d, which was at work", slot_topic(a, i), p->partition);
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
    member_reserve(a, used + count);
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
        revision_raise(a);
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
            revision_raise(a);
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

    if (strcmp(o->instance, a->instance) != 0 && life_is_former(a, o->instance))
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

void heard_take(struct agent *a, struct application_answer *answer)
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
        revision_raise(a);
    }
    life_turn(a);
    if (a->life == LIFE_ON)
        parts_heard(a, o, why);
    trouble(why, "%s", a->witness);
    note_trouble(a, why);
}
