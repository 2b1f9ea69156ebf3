/*
 * test_whole - applications that nobody has changed: when one may run, and when it is proved to stand still. tests/sim/whole.c has the worlds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/whole.h"

struct color_of_two { /* partitions, all assigned */
    struct fleet fleet;
    struct baton batons[2];
    struct holder holder;
    struct holder_part parts[2];
    struct window_slot slots[2][4];
    struct whole whole;
    struct whole_part whole_parts[2];
};

static void begin(struct color_of_two *c)
{
    memset(c, 0, sizeof(*c));
    fleet_init(&c->fleet, c->batons, 2);
    c->fleet.exists = true;
    c->fleet.baton_count = 2;
    c->holder = (struct holder){
        .config = { .color = BLUE, .session_timeout_ms = 1000000 }, .fleet = &c->fleet, .parts = c->parts, .part_max = 2
    };
    for (int i = 0; i < 2; i++) {
        c->batons[i] = (struct baton){ .partition = i, .state = RIGHT_HELD, .holder = BLUE, .epoch = 7, .taken = true };
        c->batons[i].doubt = OFFSET_NONE;
        c->parts[i] = (struct holder_part){ .used = true, .partition = i, .state = PART_ACTIVE, .doubt = OFFSET_NONE };
        c->parts[i].first = OFFSET_NONE;
        c->parts[i].window.slots = c->slots[i];
        c->parts[i].window.room = 4;
    }
    c->whole.parts = c->whole_parts;
    whole_init(&c->whole, &c->holder, 1000);
    for (int i = 0; i < 2; i++)
        whole_assigned(&c->whole, i);
}

static bool listed(struct color_of_two *c, int64_t asked_ms, int members, bool at_rest)
{
    return whole_listed(&c->whole,
                        &(struct whole_listing){
                            .asked_ms = asked_ms, .known = true, .at_rest = at_rest, .member_count = members });
}

static enum whole_want wanted(struct color_of_two *c)
{
    whole_turn(&c->whole, 1000);
    return c->whole.want;
}

static void it_runs_when_all_is_held(void **state)
{
    struct color_of_two c;

    (void)state;
    begin(&c);
    assert_int_equal(wanted(&c), WHOLE_RUN);
    c.parts[1].state = PART_STARTING;
    assert_int_equal(wanted(&c), WHOLE_AS_IS); /* it has just come up, and what runs goes on */
    c.parts[1].state = PART_ACTIVE;
    c.batons[0].state = RIGHT_GRANTED;
    assert_int_equal(wanted(&c), WHOLE_STOP); /* not before it is held: rule 6 */
    c.batons[0].state = RIGHT_RELEASING;
    assert_int_equal(wanted(&c), WHOLE_STOP);
    c.batons[0] = (struct baton){ .state = RIGHT_HELD, .holder = GREEN };
    assert_int_equal(wanted(&c), WHOLE_STOP);
    c.batons[0] = (struct baton){ .partition = -1, .state = RIGHT_HELD };
    assert_int_equal(wanted(&c), WHOLE_AS_IS); /* its shard is not read */
    c.batons[0] = (struct baton){ .state = RIGHT_HELD, .holder = GREEN };
    c.holder.estranged = true; /* of another fleet than it was: nothing is known */
    assert_int_equal(wanted(&c), WHOLE_AS_IS);
    begin(&c);
    c.holder.closing = true;
    assert_int_equal(wanted(&c), WHOLE_STOP);
    c.fleet.exists = false;
    assert_int_equal(wanted(&c), WHOLE_AS_IS);
}

static void it_stands_still_when_the_brokers_say_so_twice(void **state)
{
    struct color_of_two c;

    (void)state;
    begin(&c);
    c.batons[0].state = RIGHT_RELEASING;
    wanted(&c);
    assert_true(c.whole.busy);               /* nobody has looked yet */
    assert_false(listed(&c, 2000, 0, true)); /* words of the agent before may still come */
    assert_false(listed(&c, 2500, 0, true));
    assert_false(listed(&c, 3001, 0, true));
    assert_true(c.whole.busy);                /* once is not enough */
    assert_false(listed(&c, 3050, 0, false)); /* a rebalance */
    assert_false(listed(&c, 3100, 0, true));
    assert_false(listed(&c, 3150, 1, true)); /* a member */
    assert_false(listed(&c, 3200, 0, true));
    assert_true(listed(&c, 3250, 0, true));
    assert_false(c.whole.busy);
    assert_false(listed(&c, 3300, 1, true)); /* it is back */
    assert_true(c.whole.busy);
    whole_started(&c.whole, 4000);
    assert_false(listed(&c, 4000, 0, true)); /* asked before the word was answered */
    assert_false(listed(&c, 4001, 0, true));
    assert_true(listed(&c, 4002, 0, true));

    whole_started(&c.whole, 5000);
    assert_false(listed(&c, 5001, 0, true));
    whole_started(&c.whole, 6000); /* the count begins anew */
    whole_started(&c.whole, 5500); /* an answer that is heard late changes nothing */
    assert_false(listed(&c, 5800, 0, true));
    assert_false(listed(&c, 5900, 0, true));
    assert_false(listed(&c, 6001, 0, true));
    for (int i = 0; i < 2; i++) /* the brokers did not answer */
        assert_false(whole_listed(&c.whole, &(struct whole_listing){ .asked_ms = 6002 + i, .at_rest = true }));
    assert_true(listed(&c, 6010, 0, true));
}

static void a_listing_from_before_the_stop_proves_nothing(void **state)
{
    struct color_of_two c;

    (void)state;
    begin(&c);
    c.batons[0].state = RIGHT_RELEASING;
    whole_turn(&c.whole, 10000);
    for (int i = 0; i < 3; i++)
        assert_false(listed(&c, 9990 + i, 0, true));
    assert_false(listed(&c, 10001, 0, true));
    assert_true(listed(&c, 10002, 0, true));
}

/* Proved to stand still, nothing in doubt, and read where: at `committed`, by an application's own commit. */
static void stand_still(struct color_of_two *c, int64_t committed)
{
    const struct holder_part_at at[] = { { .part = 0, .offset = committed, .mark = { .kind = MARK_FOREIGN } },
                                         { .part = 1, .offset = committed, .mark = { .kind = MARK_FOREIGN } } };

    begin(c);
    c->batons[0].state = RIGHT_RELEASING;
    wanted(c);
    assert_false(listed(c, 4000, 0, true));
    assert_true(listed(c, 4001, 0, true));
    whole_ends(&c->whole, at, 2, 4002);
    whole_read(&c->whole, at, 2, 4003, whole_proof(&c->whole));
}

static bool answered(struct color_of_two *c, struct holder_event *ev, struct holder_part_at *at)
{
    return whole_answer(&c->whole, 0, ev, at, 9000, 9000000);
}

/* The holder asks for something of the first partition. */
static void ask(struct color_of_two *c, enum part_state state, enum whole_wait waits, int64_t offset, int64_t now_ms)
{
    c->parts[0].state = state;
    c->parts[0].token = 5;
    whole_ask(&c->whole, waits, 5, &(struct holder_part_at){ .part = 0, .offset = offset, .mark = { MARK_EPOCH, 7 } },
              now_ms);
}

static void where_it_stands_is_read_when_it_stands_still(void **state)
{
    const struct holder_part_at newer = { .part = 0, .offset = 40, .mark = { .kind = MARK_FOREIGN } };
    struct holder_part_at at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    stand_still(&c, 30);
    ask(&c, PART_READING, WHOLE_WAITS_READ, OFFSET_NONE, 5000);
    assert_false(answered(&c, &ev, &at)); /* the reading is older than the question */
    c.whole.busy = true;
    whole_read(&c.whole, &newer, 1, 5001, 0);
    assert_false(answered(&c, &ev, &at)); /* it may be at work */
    c.whole.busy = false;
    assert_false(answered(&c, &ev, &at)); /* and was when that was read */
    whole_read(&c.whole, &newer, 1, 5002, whole_proof(&c.whole));
    whole_lost(&c.whole, 5002);
    assert_false(answered(&c, &ev, &at)); /* a process may have died: its doubt comes first */
    whole_ends(&c.whole, &newer, 1, 5003);
    assert_true(answered(&c, &ev, &at));
    assert_int_equal(ev.type, HOLDER_OFFSETS);
    assert_int_equal(at.offset, 40);
    assert_false(answered(&c, &ev, &at)); /* once */
}

static void a_release_is_set_where_it_stopped(void **state)
{
    const struct holder_part_at further = { .part = 0, .offset = 50, .mark = { .kind = MARK_FOREIGN } };
    struct holder_part_at at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    stand_still(&c, 30);
    ask(&c, PART_COMMITTING, WHOLE_WAITS_COMMIT, 30, 5000);
    assert_false(answered(&c, &ev, &at));
    assert_true(whole_sets(&c.whole, 0));
    c.whole.busy = true;
    assert_false(whole_sets(&c.whole, 0));
    c.whole.busy = false;
    c.whole.proof++; /* it was at work in between, and nobody has read since */
    assert_false(whole_sets(&c.whole, 0));
    whole_read(&c.whole, &further, 1, 5001, whole_proof(&c.whole));
    assert_true(answered(&c, &ev, &at)); /* it has come further: from there, then */
    assert_true(ev.type == HOLDER_COMMITTED && ev.failed);
    assert_int_equal(window_low(&c.parts[0].window), 50);

    stand_still(&c, 30);
    ask(&c, PART_COMMITTING, WHOLE_WAITS_COMMIT, 30, 5000);
    c.parts[0].token = 6; /* the holder waits for another one by now */
    assert_false(whole_sets(&c.whole, 0));
    c.parts[0].token = 5;
    c.batons[0].state = RIGHT_HELD; /* the order was taken back: the application may run, and nothing is set */
    assert_false(whole_sets(&c.whole, 0));
    assert_true(answered(&c, &ev, &at));
    assert_true(ev.type == HOLDER_COMMITTED && !ev.failed);
}

static void a_start_from_before_it_ran_on_is_not_set(void **state)
{
    struct holder_part_at at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    stand_still(&c, 50);
    c.parts[0].epoch = 7;
    c.whole_parts[0].read_epoch = 7; /* worked out while it ran */
    ask(&c, PART_STARTING, WHOLE_WAITS_COMMIT, 30, 5000);
    assert_false(whole_sets(&c.whole, 0));
    assert_true(answered(&c, &ev, &at));
    assert_true(ev.type == HOLDER_COMMITTED && ev.failed);
    assert_int_equal(window_low(&c.parts[0].window), 50);
    ask(&c, PART_STARTING, WHOLE_WAITS_COMMIT, 50, 5001); /* as the holder asks then */
    assert_true(whole_sets(&c.whole, 0));
    c.whole.busy = true;
    assert_false(whole_sets(&c.whole, 0));

    stand_still(&c, 50); /* but what stands there is of a former grant, and says nothing of this one */
    c.parts[0].epoch = 7;
    c.whole_parts[0].read_epoch = 7;
    c.whole_parts[0].committed_mark = (struct mark){ .kind = MARK_EPOCH, .epoch = 6 };
    ask(&c, PART_STARTING, WHOLE_WAITS_COMMIT, 30, 5000);
    assert_false(answered(&c, &ev, &at));
    assert_true(whole_sets(&c.whole, 0));
}

static void it_is_drained_when_it_stands_still(void **state)
{
    struct holder_part_at at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    stand_still(&c, 30);
    window_reset(&c.parts[0].window, 20);
    window_push(&c.parts[0].window, 20);
    c.parts[0].state = PART_DRAINING;
    c.whole.busy = true;
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].window.open, 1);
    c.whole.busy = false;
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].window.open, 0);
    assert_int_equal(window_low(&c.parts[0].window), 30);
}

static void what_shows_that_it_works(void **state)
{
    const struct holder_part_at at_30 = { .part = 0, .offset = 30 }, moved = { .part = 0, .offset = 31 };
    struct holder_part_at at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    begin(&c);
    assert_int_equal(wanted(&c), WHOLE_RUN);
    whole_attach(&c.whole, &at_30);
    whole_read(&c.whole, &moved, 1, 1000, 0); /* asked before it was to run */
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].first, OFFSET_NONE);
    whole_read(&c.whole, &moved, 1, 1001, 0);
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].first, 30);

    begin(&c); /* all is read to its end */
    assert_int_equal(wanted(&c), WHOLE_RUN);
    whole_attach(&c.whole, &at_30);
    whole_ends(&c.whole, &at_30, 1, 1001);
    listed(&c, 1002, 0, true);
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].first, OFFSET_NONE); /* by nobody */
    listed(&c, 1003, 1, false);
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].first, OFFSET_NONE); /* by somebody who has no partition yet */
    listed(&c, 1004, 1, true);
    answered(&c, &ev, &at);
    assert_int_equal(c.parts[0].first, 30);
}

static void while_it_is_to_run_an_empty_group_proves_nothing(void **state)
{
    struct color_of_two c;

    (void)state;
    begin(&c);
    assert_int_equal(wanted(&c), WHOLE_RUN);
    for (int i = 0; i < 5; i++)
        assert_false(listed(&c, 5000 + i, 0, true));
    assert_true(c.whole.busy);
}

static void what_is_in_doubt_lies_below_the_end(void **state)
{
    const struct holder_part_at ends[] = { { .part = 0, .offset = 90 }, { .part = 1, .offset = 50 } };
    struct color_of_two c;

    (void)state;
    begin(&c);
    c.whole_parts[0].committed = 40;
    c.whole_parts[1].committed = 50;
    whole_ends(&c.whole, ends, 2, 900); /* asked for before: says nothing of the start of the agent */
    assert_int_equal(c.parts[0].doubt, OFFSET_NONE);
    assert_true(whole_wants_end(&c.whole, 0));
    whole_ends(&c.whole, ends, 2, 1001);
    assert_int_equal(c.parts[0].doubt, 90);
    assert_int_equal(c.parts[1].doubt, OFFSET_NONE); /* all is committed */
    assert_int_equal(c.whole.loss_ms, 0);

    c.batons[0].state = RIGHT_RELEASING; /* a group that is left late: a dead member may have been in it */
    wanted(&c);
    assert_false(listed(&c, 13001, 0, true));
    assert_true(listed(&c, 13002, 0, true));
    assert_int_not_equal(c.whole.loss_ms, 0);
}

/* An application that is started whole has done nothing under a grant while another partition was not yet its color's. */
static void what_never_ran_leaves_no_doubt(void **state)
{
    static const struct {
        struct baton other;
        bool worked;
    } cases[] = {
        { { .holder = GREEN, .epoch = 6, .taken = true }, false }, /* green's all the time */
        { { .holder = GREEN, .epoch = 7 }, false },
        { { .holder = GREEN, .epoch = 8 }, true }, /* it was blue's before */
        { { .holder = BLUE, .epoch = 6 }, false }, /* granted, and not begun */
        { { .holder = BLUE, .epoch = 8 }, true },  /* it was taken back and granted again: all was held in between */
        { { .holder = BLUE, .epoch = 6, .taken = true }, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct holder_part_at end = { .part = 0, .offset = 90 };
        struct color_of_two c;

        begin(&c);
        c.whole_parts[0].committed = 40;
        c.batons[1] = cases[i].other;
        c.batons[1].partition = 1;
        whole_ends(&c.whole, &end, 1, 1001);
        assert_int_equal(c.parts[0].doubt, cases[i].worked ? 90 : OFFSET_NONE);
        assert_int_equal(c.whole.loss_ms, 0);
    }
}

static void a_reading_from_before_a_setting_says_nothing(void **state)
{
    struct holder_part_at old = { .part = 0, .offset = 10, .mark = { .kind = MARK_FOREIGN } }, at;
    struct holder_event ev;
    struct color_of_two c;

    (void)state;
    begin(&c);
    c.whole.busy = false;
    c.batons[0].state = RIGHT_GRANTED;
    c.parts[0].state = PART_STARTING;
    c.parts[0].token = 5;
    whole_ask(&c.whole, WHOLE_WAITS_COMMIT, 5,
              &(struct holder_part_at){ .part = 0, .offset = 30, .mark = { MARK_EPOCH, 7 } }, 2000);
    c.whole_parts[0].read_epoch = 99; /* of another start */
    assert_true(whole_sets(&c.whole, 0));
    c.whole_parts[0].setting = true;
    assert_true(whole_set(&c.whole, 0, false, &ev, &at, 2050));
    assert_int_equal(ev.type, HOLDER_COMMITTED);
    assert_int_equal(ev.token, 5);
    assert_false(ev.failed);
    whole_read(&c.whole, &old, 1, 2049, 0);
    assert_int_equal(c.whole_parts[0].committed, 30);
    whole_read(&c.whole, &old, 1, 2051, 0);
    assert_int_equal(c.whole_parts[0].committed, 10);
}

static void what_may_be_at_work_is_reported_so(void **state)
{
    struct report_part parts[] = { { .local = LOCAL_STANDBY }, { .local = LOCAL_ACTIVE }, { .local = LOCAL_RELEASED } };
    struct report r = { .parts = parts, .part_count = 3 };
    struct color_of_two c;

    (void)state;
    begin(&c);
    whole_report(&c.whole, &r);
    assert_int_equal(parts[0].local, LOCAL_DRAINING);
    assert_int_equal(parts[0].in_flight, 1);
    assert_int_equal(parts[1].local, LOCAL_ACTIVE);
    assert_int_equal(parts[2].local, LOCAL_DRAINING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_when_all_is_held),
        cmocka_unit_test(it_stands_still_when_the_brokers_say_so_twice),
        cmocka_unit_test(a_listing_from_before_the_stop_proves_nothing),
        cmocka_unit_test(where_it_stands_is_read_when_it_stands_still),
        cmocka_unit_test(a_release_is_set_where_it_stopped),
        cmocka_unit_test(a_start_from_before_it_ran_on_is_not_set),
        cmocka_unit_test(it_is_drained_when_it_stands_still),
        cmocka_unit_test(what_shows_that_it_works),
        cmocka_unit_test(while_it_is_to_run_an_empty_group_proves_nothing),
        cmocka_unit_test(what_is_in_doubt_lies_below_the_end),
        cmocka_unit_test(what_never_ran_leaves_no_doubt),
        cmocka_unit_test(a_reading_from_before_a_setting_says_nothing),
        cmocka_unit_test(what_may_be_at_work_is_reported_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
