/*
 * switch_word - what the leader writes of a baton, and whom it asks.
 *
 * Every word about a baton is said here, and nowhere else: release it, keep it after all, have it, it is yours now, rest. The table says
 * which may follow which. Two numbers go with them (docs/protocol.md, "What travels"): `epoch` is that of the grant by which its holder
 * has it, `order` that of the last word about it. So only a grant makes a new epoch, and each word but `held` a new order.
 *
 * All that one step writes carries one epoch, and leaves in one batch. An effect is a question to the outside, run after the append.
 */
#include "core/switch_internal.h"

#include <string.h>

#include "base/check.h"

#define TO(state) (1u << (state))

/* From which state a baton may come to which. A grant to the same color is a resume; held -> held is an order taken back. */
static const uint32_t right_next[RIGHT_COUNT] = {
    [RIGHT_HELD] = TO(RIGHT_RELEASING),
    [RIGHT_RELEASING] = TO(RIGHT_HELD) | TO(RIGHT_GRANTED) | TO(RIGHT_PAUSED),
    [RIGHT_PAUSED] = TO(RIGHT_GRANTED),
    [RIGHT_GRANTED] = TO(RIGHT_HELD) | TO(RIGHT_RELEASING),
};

/* One epoch a step: everything that a step changes goes into one batch. */
uint64_t word_touch(struct switcher *s, int64_t now_unix_us)
{
    s->surveyed = false;
    if (!s->bumped) {
        s->bumped = true;
        s->fleet->version.epoch++;
        s->fleet->applied = s->fleet->version;
        s->fleet->written_unix_us = now_unix_us;
        s->dirty.head = true;
    }
    return s->fleet->version.epoch;
}

struct baton *word_change(struct switcher *s, int i, int64_t now_unix_us)
{
    word_touch(s, now_unix_us);
    s->dirty.shards[i / SHARD_BATONS] = true;
    return &s->fleet->batons[i];
}

static void word_move(struct baton *b, enum right to)
{
    ASSERT(right_next[b->state] & TO(to));
    MET("right", b->state, to);
    b->state = to;
}

static void fact_reset(struct baton_fact *fact)
{
    fact->token = 0;
    fact->retry_ms = 0;
    fact->waits_doubt = false;
}

void word_release(struct switcher *s, int i, int64_t now_unix_us)
{
    struct baton *b = word_change(s, i, now_unix_us);

    word_move(b, RIGHT_RELEASING);
    b->order = s->fleet->version.epoch;
    fact_reset(&s->facts[i]);
}

/* An order is taken back: same grant, new word. */
void word_restore(struct switcher *s, int i, int64_t now_unix_us)
{
    struct baton *b = word_change(s, i, now_unix_us);

    word_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);
    b->order = s->fleet->version.epoch;
    fact_reset(&s->facts[i]);
}

/* Released, and kept by nobody on purpose: whoever is granted it again begins at `from`. */
void word_pause(struct switcher *s, int i, int64_t from, int64_t now_unix_us)
{
    struct baton *b = word_change(s, i, now_unix_us);

    word_move(b, RIGHT_PAUSED);
    b->from = from;
    b->order = s->fleet->version.epoch;
    fact_reset(&s->facts[i]);
}

void word_grant(struct switcher *s, int i, enum color to, int64_t from, int64_t now_unix_us)
{
    struct baton *b = word_change(s, i, now_unix_us);

    ASSERT(b->state == RIGHT_PAUSED || !s->facts[i].busy[b->holder]); /* I1: nobody of the other color is at work */
    word_move(b, RIGHT_GRANTED);
    if (b->holder != to)
        b->doubt = OFFSET_NONE; /* listed, or passed; a resume lists nothing, so there it stays */
    b->holder = to;
    b->from = from;
    b->epoch = b->order = s->fleet->version.epoch;
    b->taken = false;
    fact_reset(&s->facts[i]);
}

/* Its holder is at work: the same grant, the same word. */
void word_hold(struct switcher *s, int i, int64_t now_unix_us)
{
    struct baton *b = word_change(s, i, now_unix_us);

    word_move(b, RIGHT_HELD);
    b->taken = true;
}

void switcher_effects_clear(struct switcher_effects *fx)
{
    fx->count = fx->baton_count = 0;
}

struct switcher_effect *effect_add(struct switcher_effects *fx, enum switcher_effect_type type)
{
    struct switcher_effect *e = &fx->items[fx->count];

    ASSERT(fx->count < SWITCHER_EFFECTS_MAX);
    fx->count++;
    memset(e, 0, sizeof(*e));
    e->type = type;
    e->first = fx->baton_count;
    return e;
}

void effect_baton(struct switcher_effects *fx, struct switcher_effect *e, int baton)
{
    ASSERT(fx->baton_count < fx->baton_max);
    fx->batons[fx->baton_count++] = baton;
    e->count++;
}
