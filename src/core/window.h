/*
 * window - the records of one partition that are in flight, and what may be committed.
 *
 * Offsets are delivered in growing order, with gaps (compaction, transactions); done comes in any order from any
 * worker. The low watermark is the offset below which everything delivered is done: what may be committed.
 * A ring of the caller's memory; not thread-safe by itself.
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window_slot {
    int64_t offset;
    bool done;
};

struct window {
    struct window_slot *slots; /* caller's, `room` of them, a power of two */
    uint32_t room;
    uint32_t head, tail; /* free-running; tail - head = slots in use */
    uint32_t open;       /* slots in use that are not done: "in flight" */
    int64_t position;    /* next offset to deliver: last delivered + 1, or where it began */
};

/* Empty, delivering from `position`. */
void window_reset(struct window *w, int64_t position);
bool window_full(const struct window *w);
/* offset >= position, not full: ASSERTed. */
void window_push(struct window *w, int64_t offset);
/* False: not in flight (done twice, or of an older life); nothing changes. */
bool window_done(struct window *w, int64_t offset);
/* The record that was delivered last, undone: it goes back, and is the next to deliver. False: another one is the last, or it is done. */
bool window_take_back(struct window *w, int64_t offset);
/* What may be committed: the first offset not done, or `position` when all is. */
int64_t window_low(const struct window *w);
/* One past the highest offset that is done, OFFSET_NONE (-1) when none in the ring is: for a doubt. */
int64_t window_high_done(const struct window *w);

#endif
