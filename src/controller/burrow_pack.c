/*
 * burrow_pack - see burrow_pack.h. Of each commit: its time, when it was seen (against its time) with the two flags, offset, order and, where
 * it is known, the lag. A difference wraps like all arithmetic of windows (core/burrow.c), so every one has its 64 bits.
 */
#include "controller/burrow_pack.h"

#define FLAG_LAG_KNOWN 1
#define FLAG_REPLAYED 2
#define FLAG_BITS 2

/* Seven bits a byte, the lowest first; the eighth says that there are more. */
static uint8_t *put(uint8_t *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

static uint64_t take(const uint8_t **from)
{
    uint64_t v = 0;
    int shift = 0;

    for (; **from & 0x80; shift += 7)
        v |= (uint64_t)(*(*from)++ & 0x7f) << shift;
    return v | (uint64_t) * (*from)++ << shift;
}

/* A small number, be it below zero, becomes a small one that is not: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... */
static uint64_t folded(uint64_t difference)
{
    return difference >> 63 ? ~(difference << 1) : difference << 1;
}

static uint64_t unfolded(uint64_t v)
{
    return v & 1 ? ~(v >> 1) : v >> 1;
}

static uint8_t *put_difference(uint8_t *to, uint64_t v, uint64_t before)
{
    return put(to, folded(v - before));
}

static uint64_t take_difference(const uint8_t **from, uint64_t before)
{
    return before + unfolded(take(from));
}

/* A time is no more than 2^63 ms, so a second has bits to spare for the flags. */
static uint64_t second_of(const struct burrow_commit *c)
{
    return (uint64_t)(c->timestamp_ms / 1000);
}

size_t burrow_pack(uint8_t *ret, const struct burrow_commit *commits, int count)
{
    struct burrow_commit before = { 0 };
    uint64_t lag = 0; /* the last one that was known */
    uint8_t *to = ret;

    for (int i = 0; i < count; i++) {
        const struct burrow_commit *c = &commits[i];
        const unsigned flags = (c->lag_known ? FLAG_LAG_KNOWN : 0) | (c->replayed ? FLAG_REPLAYED : 0);

        to = put_difference(to, (uint64_t)c->timestamp_ms, (uint64_t)before.timestamp_ms);
        to = put(to, folded(c->observed_s - second_of(c)) << FLAG_BITS | flags);
        to = put_difference(to, (uint64_t)c->offset, (uint64_t)before.offset);
        to = put_difference(to, (uint64_t)c->order, (uint64_t)before.order);
        if (c->lag_known) {
            to = put_difference(to, c->lag, lag);
            lag = c->lag;
        }
        before = *c;
    }
    return (size_t)(to - ret);
}

void burrow_unpack(struct burrow_commit *ret, int count, const uint8_t *packed)
{
    struct burrow_commit c = { 0 };
    uint64_t lag = 0;

    for (int i = 0; i < count; i++) {
        uint64_t seen;

        c.timestamp_ms = (int64_t)take_difference(&packed, (uint64_t)c.timestamp_ms);
        seen = take(&packed);
        c.observed_s = (uint32_t)(second_of(&c) + unfolded(seen >> FLAG_BITS));
        c.offset = (int64_t)take_difference(&packed, (uint64_t)c.offset);
        c.order = (int64_t)take_difference(&packed, (uint64_t)c.order);
        c.lag_known = seen & FLAG_LAG_KNOWN;
        c.replayed = seen & FLAG_REPLAYED;
        if (c.lag_known)
            lag = take_difference(&packed, lag);
        c.lag = c.lag_known ? lag : 0;
        ret[i] = c;
    }
}
