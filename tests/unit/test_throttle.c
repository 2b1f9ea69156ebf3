/*
 * test_throttle - a figure throttles a fleet and lets it go, and a person's word stands above it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/throttle.h"

#define SECOND 1000

static const struct throttle_policy policy = { .signal = THROTTLE_QUERY,
                                               .above = 100,
                                               .until = 60,
                                               .wait_ms = 10 * SECOND,
                                               .rest_ms = 30 * SECOND,
                                               .keep = { 25, true } };

struct story {
    struct throttle state;
    struct fleet fleet;
    struct op op;
    int64_t now_ms;
};

static void begin(struct story *s)
{
    *s = (struct story){ .fleet = { .phase = PHASE_STEADY }, .now_ms = 1000000 };
}

/* The figure for so many looks, one a second; says after how many the first word came, 0: none did. */
static int looks(struct story *s, double figure, int count, enum throttle_word *ret)
{
    *ret = THROTTLE_STAY;
    for (int i = 1; i <= count; i++) {
        s->now_ms += SECOND;
        *ret = throttle_step(&s->state, &policy, &s->fleet, &s->op, figure, s->now_ms);
        if (*ret != THROTTLE_STAY)
            return i;
    }
    return 0;
}

static void expect_stay(struct story *s, double figure, int count)
{
    enum throttle_word word;

    assert_int_equal(looks(s, figure, count, &word), 0);
}

static void expect_word(struct story *s, double figure, int after, enum throttle_word wanted)
{
    enum throttle_word word;

    assert_int_equal(looks(s, figure, after + 5, &word), after);
    assert_int_equal(word, wanted);
}

static void done(struct story *s, enum op_kind kind, bool by_signal, enum phase phase)
{
    s->op.number++;
    s->op.kind = kind;
    s->op.state = OP_COMPLETE;
    s->op.by_signal = by_signal;
    s->fleet.phase = phase;
}

static void there_and_back(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    expect_stay(&s, 100, 100); /* not above */
    expect_word(&s, 101, 11, THROTTLE_NARROW);
    done(&s, OP_THROTTLE, true, PHASE_THROTTLED);
    expect_stay(&s, 1000, 100);
    expect_stay(&s, 61, 1000); /* between the two bounds nothing moves */
    expect_word(&s, 60, 31, THROTTLE_LIFT);
    done(&s, OP_RESUME, true, PHASE_STEADY);
    expect_stay(&s, 200, 30); /* it has only just let go: no swing faster than rest */
    expect_word(&s, 200, 1, THROTTLE_NARROW);
}

static void what_swings_moves_nothing(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    for (int i = 0; i < 50; i++) {
        expect_stay(&s, 500, 10);
        expect_stay(&s, 99, 1);
    }
    done(&s, OP_THROTTLE, true, PHASE_THROTTLED);
    for (int i = 0; i < 50; i++) {
        expect_stay(&s, 10, 30);
        expect_stay(&s, 80, 1);
    }
}

static void unknown_neither_throttles_nor_lifts(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    expect_stay(&s, NAN, 1000);
    expect_stay(&s, 500, 10);
    expect_stay(&s, NAN, 1); /* nor does it count as time above */
    expect_stay(&s, 500, 10);
    expect_word(&s, 500, 1, THROTTLE_NARROW);
    done(&s, OP_THROTTLE, true, PHASE_THROTTLED);
    expect_stay(&s, NAN, 1000);
    expect_stay(&s, 10, 30);
    expect_stay(&s, NAN, 1);
    expect_word(&s, 10, 31, THROTTLE_LIFT);
}

static void a_person_stands_above_it(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    done(&s, OP_THROTTLE, false, PHASE_THROTTLED);
    expect_stay(&s, 0, 1000); /* somebody else's throttle is not let go */
    expect_stay(&s, 1000, 1000);
    done(&s, OP_PAUSE, false, PHASE_PAUSED);
    expect_stay(&s, 0, 1000);
    done(&s, OP_RESUME, false, PHASE_STEADY);
    expect_stay(&s, 1000, 1000); /* lifted by hand: not at once again */
    assert_int_equal(throttle_place(&s.fleet, &s.op), THROTTLE_OVERRULED);
    expect_stay(&s, 60, 1); /* but once it was low */
    expect_word(&s, 1000, 11, THROTTLE_NARROW);
}

static void nothing_while_something_is_under_way(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    done(&s, OP_SWITCH, false, PHASE_OBSERVING);
    s.op.state = OP_OBSERVING;
    expect_stay(&s, 1000, 1000);
    s.op.state = OP_COMPLETE;
    s.fleet.phase = PHASE_STEADY;
    expect_word(&s, 1000, 11, THROTTLE_NARROW);
}

static void what_came_to_nothing_is_tried_again(void **state)
{
    struct story s;

    (void)state;
    begin(&s);
    expect_word(&s, 1000, 11, THROTTLE_NARROW);
    expect_word(&s, 1000, 11, THROTTLE_NARROW); /* refused: no operation came of it */
    done(&s, OP_THROTTLE, true, PHASE_STEADY);
    s.op.state = OP_ROLLED_BACK;
    expect_word(&s, 1000, 31, THROTTLE_NARROW);
}

static void how_many_work(void **state)
{
    (void)state;
    assert_int_equal(keep_of(&(struct keep){ 25, true }, 4), 1);
    assert_int_equal(keep_of(&(struct keep){ 25, true }, 5), 2);
    assert_int_equal(keep_of(&(struct keep){ 99, true }, 16384), 16221);
    assert_int_equal(keep_of(&(struct keep){ 3, false }, 100), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_swings_moves_nothing),
        cmocka_unit_test(unknown_neither_throttles_nor_lifts),
        cmocka_unit_test(a_person_stands_above_it),
        cmocka_unit_test(nothing_while_something_is_under_way),
        cmocka_unit_test(what_came_to_nothing_is_tried_again),
        cmocka_unit_test(how_many_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
