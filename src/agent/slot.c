/*
 * slot - what the application was told of a partition, and the partition's window, which is a shadow here: see member.c.
 */
#include "agent/internal.h"
#include "base/clock.h"

void revision_raise(struct agent *a)
{
    a->revision++;
    a->changed_ms = clock_ms();
}

void slot_tell(struct agent *a, int slot, enum word_told word)
{
    revision_raise(a);
    a->slots[slot].word = word;
    a->slots[slot].told = a->revision;
}

const char *slot_topic(const struct agent *a, int slot)
{
    return a->fleet.spec.topics[a->holder.parts[slot].topic];
}

bool slot_acted_upon(const struct agent *a, const struct slot *s)
{
    return a->seen && a->seen->revision >= s->told;
}

void slot_busy(struct agent *a, int i, int64_t committed, int64_t position)
{
    struct holder_part *p = &a->holder.parts[i];
    const int64_t low = committed > p->committed ? committed : p->committed;

    window_reset(&p->window, low);
    window_push(&p->window, low);
    if (position - 1 > low)
        window_push(&p->window, position - 1);
}

void slot_drained(struct agent *a, int i, int64_t position)
{
    struct holder_part *p = &a->holder.parts[i];

    window_reset(&p->window, position);
    p->drained_unix_us = clock_unix_us();
    a->holder.report_due = true;
    a->slots[i].busy = false;
}
