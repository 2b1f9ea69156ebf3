/* queue - time, chance and memory of a world. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* --- dice ------------------------------------------------------------------------------------------------------------------ */

uint64_t roll(struct world *w)
{
    uint64_t x = w->dice += 0x9e3779b97f4a7c15u; /* splitmix64, public domain constants by Vigna */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int below(struct world *w, int n)
{
    return n <= 1 ? 0 : (int)(roll(w) % (uint64_t)n);
}

bool chance(struct world *w, int in_1000)
{
    return in_1000 > 0 && below(w, 1000) < in_1000;
}

void fault_met(struct world *w, enum fault f)
{
    const struct controller *c = leader(w);

    w->result->faults++;
    w->gentle = w->gentle && (f == FAULT_JOIN_MEMBER || f == FAULT_REGRET || f == FAULT_GROW || f == FAULT_PAUSE ||
                              f == FAULT_VERDICT);
    coverage_fault(f);
    if (!c || !c->fleet.exists)
        return;
    coverage_op(f, op_ended(&c->switcher.op) ? OP_STATE_COUNT : (unsigned)c->switcher.op.state);
    if (f == FAULT_CRASH_CONTROLLER || f == FAULT_ZOMBIE_CONTROLLER || f == FAULT_STOP_CONTROLLER ||
        f == FAULT_CRASH_CONTROLLER_EFFECT)
        for (int i = 0; i < c->fleet.baton_count; i++)
            coverage_right(f, (unsigned)c->fleet.batons[i].state);
}

bool strikes(struct world *w, enum fault f, int in_1000)
{
    if (w->calm || !chance(w, in_1000))
        return false;
    fault_met(w, f);
    return true;
}

int64_t hop_ms(struct world *w)
{
    if (strikes(w, FAULT_LATE, w->config.chance[FAULT_LATE]))
        return 20 + below(w, 800);
    return 1 + below(w, 5);
}

/* --- clocks ------------------------------------------------------------------------------------------------------------------- */

int64_t clock_of_ms(const struct world *w, const struct clock_of *c)
{
    return w->now_ms + w->now_ms * c->drift / 1000;
}

int64_t clock_of_unix_us(const struct world *w, const struct clock_of *c)
{
    return 1000000000000 + 1000 * clock_of_ms(w, c) + c->wall_us;
}

void clock_draw(struct world *w, struct clock_of *c)
{
    *c = (struct clock_of){ 0 };
    if (w->config.drift == 0)
        return;
    c->drift = below(w, 2 * w->config.drift + 1) - w->config.drift;
    c->wall_us = 1000 * (int64_t)(below(w, 4000) - 2000);
}

/* --- memory ------------------------------------------------------------------------------------------------------------------- */

#define CHUNK_BYTES ((size_t)1 << 20)

struct chunk {
    struct chunk *next;
    size_t room, used;
    char bytes[];
};

static struct chunk *chunks, *present;

void *arena_raw(size_t bytes)
{
    void *p;

    bytes = (bytes + 15) & ~(size_t)15;
    while (!present || present->used + bytes > present->room) {
        if (present && present->next) {
            present = present->next;
            continue;
        }
        struct chunk *c = malloc(sizeof(*c) + (bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES));

        if (!c)
            abort();
        c->next = NULL;
        c->used = 0;
        c->room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        if (present)
            present->next = c;
        else
            chunks = c;
        present = c;
    }
    p = present->bytes + present->used;
    present->used += bytes;
    return p;
}

void *arena(size_t bytes)
{
    return memset(arena_raw(bytes), 0, bytes);
}

void *arena_copy(const void *from, size_t bytes)
{
    return bytes ? memcpy(arena_raw(bytes), from, bytes) : arena_raw(bytes);
}

void arena_reset(void)
{
    for (struct chunk *c = chunks; c; c = c->next)
        c->used = 0;
    present = chunks;
}

/* --- the queue ------------------------------------------------------------------------------------------------------------------ */

static bool before(const struct at *a, const struct at *b)
{
    return a->ms != b->ms ? a->ms < b->ms : a->order < b->order;
}

void put(struct world *w, struct at at)
{
    int i;

    if (w->heap_count == w->heap_room) {
        struct at *grown = arena((size_t)(w->heap_room ? 2 * w->heap_room : 256) * sizeof(*grown));

        if (w->heap_count)
            memcpy(grown, w->heap, (size_t)w->heap_count * sizeof(*grown));
        w->heap = grown;
        w->heap_room = w->heap_room ? 2 * w->heap_room : 256;
    }
    at.order = ++w->order_last;
    for (i = w->heap_count++; i > 0 && before(&at, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = at;
}

struct at take(struct world *w)
{
    const struct at first = w->heap[0], last = w->heap[--w->heap_count];
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

void say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    if (!w->trace)
        return;
    printf("[%6lld] ", (long long)w->now_ms);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}
