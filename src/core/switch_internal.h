/*
 * switch_internal - the switcher's parts, as they see each other. Who uses the switcher needs switch.h only.
 *
 * To be read as a switch runs; each part may call those below it in this list, and switch.c, the way in, calls them all:
 *
 *     switch_order.c   an order is taken, planned, checked and begun, steers what is under way, or is refused
 *     switch_pass.c    one baton passes: order, barrier, quiet, read-back, grant, take, proof; and its receipt
 *     switch_member.c  what the members say, laid over the batons; a silent one, its doubts, and when it is gone
 *     switch_op.c      the operation: where it wants each baton, its stages, deadlines, verdicts, the way back, the end
 *     switch_word.c    what is written of a baton, and asked of the outside
 *
 * A fact comes in by one of the functions `..._on_...`, which only notes it, or does what it settles at once; `..._advance` does what the
 * facts allow by then. One step calls them in one order (switcher_step()), whatever the event.
 */
#ifndef CORE_SWITCH_INTERNAL_H
#define CORE_SWITCH_INTERNAL_H

#include "core/switch.h"

#define ANSWER_MS_MAX 15000 /* a reading that has not come back by then is asked for again */

/* --- switch_order.c ----------------------------------------------------------------------------------------------- */

void order_on_order(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
void order_on_snapshot(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
void order_on_tick(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);

/* --- switch_pass.c ------------------------------------------------------------------------------------------------ */

void pass_clear(struct pass *p);
void pass_on_reports_read(struct switcher *s, const struct switcher_event *ev);
void pass_on_offsets(struct switcher *s, const struct switcher_event *ev);
void pass_on_starts(struct switcher *s, const struct switcher_event *ev);
void passes_advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
/* Asks for log starts, where a receipt needs them. */
void passes_read_starts(struct switcher *s, struct switcher_effects *fx);

/* --- switch_member.c ---------------------------------------------------------------------------------------------- */

void member_on_report(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx);
void member_on_report_gone(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx);
void member_on_ends(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
void members_on_groups(struct switcher *s, const struct switcher_event *ev);
void members_on_tick(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
void members_reign(struct switcher *s);
/* What they say of each baton: into s->facts. */
void members_survey(struct switcher *s);
void members_advance(struct switcher *s, const struct switcher_event *ev, struct switcher_effects *fx);
/* Is it one of the color that has to be heard? */
bool member_counts(const struct switcher_member *m, enum color c);
/* Has it applied this order, under this leader? */
bool member_acknowledged(const struct switcher *s, const struct report *r, uint64_t order);
bool members_acknowledged(const struct switcher *s, enum color c, uint64_t order);
/* A time by the member's clock, by ours. */
int64_t member_time(const struct switcher_member *m, int64_t member_unix_us);

/* --- switch_op.c -------------------------------------------------------------------------------------------------- */

/* Where a baton has to go now: its right place, or out of it. */
enum aim { AIM_REST, AIM_PASS, AIM_PAUSE, AIM_RESUME };

struct aim_of {
    enum aim aim;
    enum color to;
    bool back; /* on the way back: its passage goes into op.back */
};

struct aim_of aim_of(const struct switcher *s, int i);
/* Of a throttle: which partitions work, into s->facts. */
void op_throttle_pick(struct switcher *s);
void op_on_verdict(struct switcher *s, const struct switcher_event *ev);
void op_on_kept(struct switcher *s, const struct switcher_event *ev);
void op_advance(struct switcher *s, const struct switcher_event *ev);
void op_settle(struct switcher *s, int64_t now_unix_us);
void op_reign(struct switcher *s, int64_t now_unix_us);
void op_enter(struct switcher *s, enum op_state state, int64_t now_unix_us);
void op_turn_back(struct switcher *s, enum op_cause cause, const char *why, int64_t now_unix_us);
void op_next_stage(struct switcher *s, int64_t now_unix_us);
void op_hold(struct switcher *s, int64_t now_unix_us);
/* Is there a way back? */
bool op_returns(const struct switcher *s);
/* Its record has to be written. */
void op_touch(struct switcher *s);

/* --- switch_word.c ------------------------------------------------------------------------------------------------ */

/* The document changes: the epoch of this step. */
uint64_t word_touch(struct switcher *s, int64_t now_unix_us);
/* The baton, to be changed and written. */
struct baton *word_change(struct switcher *s, int i, int64_t now_unix_us);
void word_release(struct switcher *s, int i, int64_t now_unix_us);
void word_restore(struct switcher *s, int i, int64_t now_unix_us);
void word_pause(struct switcher *s, int i, int64_t from, int64_t now_unix_us);
void word_grant(struct switcher *s, int i, enum color to, int64_t from, int64_t now_unix_us);
void word_hold(struct switcher *s, int i, int64_t now_unix_us);
struct switcher_effect *effect_add(struct switcher_effects *fx, enum switcher_effect_type type);
/* One more baton of the effect that was added last. */
void effect_baton(struct switcher_effects *fx, struct switcher_effect *e, int baton);

#endif
