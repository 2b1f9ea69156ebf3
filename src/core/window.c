/* window - see window.h. A ring of offsets in the order of delivery; done ones leave it from the front. */
#include "core/window.h"

#include "base/check.h"
#include "core/fleet.h"

static struct window_slot *slot(const struct window *w, uint32_t i)
{
    return &w->slots[i & (w->room - 1)];
}

static void window_check(const struct window *w)
{
    ASSERT((w->room & (w->room - 1)) == 0);
    ASSERT(w->tail - w->head <= w->room);
    ASSERT(w->open <= w->tail - w->head);
    if (w->tail == w->head)
        ASSERT(w->open == 0);
    else
        ASSERT(!slot(w, w->head)->done);
}

void window_reset(struct window *w, int64_t position)
{
    w->head = w->tail = w->open = 0;
    w->position = position;
    window_check(w);
}

bool window_full(const struct window *w)
{
    return w->tail - w->head >= w->room;
}

void window_push(struct window *w, int64_t offset)
{
    ASSERT(!window_full(w));
    ASSERT(offset >= w->position);
    *slot(w, w->tail++) = (struct window_slot){ .offset = offset };
    w->open++;
    w->position = offset + 1;
}

/* Offsets grow along the ring, so the one asked for is found by halving. */
static struct window_slot *find(const struct window *w, int64_t offset)
{
    uint32_t low = w->head, count = w->tail - w->head;

    while (count > 0) {
        uint32_t half = count / 2;
        struct window_slot *s = slot(w, low + half);

        if (s->offset == offset)
            return s;
        if (s->offset < offset) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return NULL;
}

bool window_done(struct window *w, int64_t offset)
{
    struct window_slot *s;

    if (w->head == w->tail)
        return false;
    s = slot(w, w->head); /* in order is the common case */
    if (s->offset != offset)
        s = find(w, offset);
    if (!s || s->done)
        return false;
    s->done = true;
    w->open--;
    while (w->head != w->tail && slot(w, w->head)->done)
        w->head++;
    window_check(w);
    return true;
}

bool window_take_back(struct window *w, int64_t offset)
{
    const struct window_slot *s = w->head == w->tail ? NULL : slot(w, w->tail - 1);

    if (!s || s->offset != offset || s->done)
        return false;
    w->tail--;
    w->open--;
    w->position = offset;
    window_check(w);
    return true;
}

int64_t window_low(const struct window *w)
{
    return w->head == w->tail ? w->position : slot(w, w->head)->offset;
}

int64_t window_high_done(const struct window *w)
{
    for (uint32_t i = w->tail; i != w->head; i--)
        if (slot(w, i - 1)->done)
            return slot(w, i - 1)->offset + 1;
    return OFFSET_NONE;
}
