/*
 * test_switch_order - what is asked for: taken once, refused with a reason, planned, begun; and what steers what is under way.
 */
#include <stdio.h>
#include <string.h>

#include "reign.h"

/* --- taken, refused, planned -------------------------------------------------------------------------------------- */

/* Asked twice is done once, whatever it was; two orders at the same time are one and a conflict. */
static void an_order_is_carried_out_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    snprintf(o.request_id, sizeof(o.request_id), "again");
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, o);
    assert_string_equal(r->told.request_id, ""); /* it waits for its preflight */
    order_give(r, order_of(ORDER_SWITCH));
    told(r, REPLY_CONFLICT, "another order is being checked");
    read_all(r, r->token[SWITCHER_READ_ALL] - 1); /* an answer to nobody's question */
    assert_int_equal(r->s.op.number, 0);
    read_all(r, r->token[SWITCHER_READ_ALL]);
    assert_int_equal(r->told.status, REPLY_ACCEPTED);
    assert_string_equal(r->told.request_id, "again"); /* the conflict has not put itself in its place */
    read_all(r, r->token[SWITCHER_READ_ALL]);         /* twice */
    assert_int_equal(r->s.op.number, 1);
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.number, 1);
    o.request_id[0] = '\0';
    order_give(r, o);
    told(r, REPLY_CONFLICT, "switch 1 is under way (passing)");
    o.dry_run = true;
    r->deaf[SWITCHER_READ_ALL] = false;
    assert_int_equal(order_give(r, o), REPLY_PLANNED); /* a plan may be made at any time */
    assert_int_equal(r->s.op.state, OP_PASSING);
    o = order_of(ORDER_ROLLBACK);
    o.dry_run = true;
    order_give(r, o);
    assert_int_equal(r->s.op.state, OP_PASSING); /* and turns nothing back */
    reign_free(r);
}

/* While one preflight is out another operation begins: a pause needs none. */
static void who_comes_first_begins(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, order_of(ORDER_SWITCH));
    r->s.op.number = r->fleet.switch_number = 1; /* as a resume by signal would have it */
    r->s.op.kind = OP_RESUME;
    r->s.op.state = OP_PASSING;
    r->s.op.deadline_ms = 1000;
    r->s.deadline_ms = r->now_ms + 1000;
    r->fails[SWITCHER_READ_ALL] = false;
    r->table[0].state = RIGHT_PAUSED;
    read_all(r, r->token[SWITCHER_READ_ALL]);
    told(r, REPLY_CONFLICT, "another operation has begun meanwhile");
    reign_free(r);
}

static void what_cannot_be_is_refused_with_a_reason(void **state)
{
    struct reign *r = reign_new();
    struct order o;

    (void)state;
    order_give(r, order_of(ORDER_RESUME));
    told(r, REPLY_CONFLICT, "not paused");
    order_give(r, order_of(ORDER_HOLD));
    told(r, REPLY_CONFLICT, "nothing is under way");
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "taken back by a rollback");
    order_give(r, order_of(ORDER_ROLLBACK));
    told(r, REPLY_CONFLICT, "name the color");
    o = order_of(ORDER_THROTTLE);
    o.keep = 4;
    order_give(r, o);
    told(r, REPLY_CONFLICT, "all of them working is no throttle");
    o = order_of(ORDER_SWITCH);
    o.stages = (struct stages){
        .items = { { STAGE_NAMES, 1, 0 }, { STAGE_SHARE, 100, 0 } }, .count = 2, .names = { { 0, 7 } }, .name_count = 1
    };
    order_give(r, o);
    told(r, REPLY_CONFLICT, "t/7, named in the stages, is no partition");
    assert_int_equal(r->s.op.number, 0);
    reign_free(r);
}

static void a_paused_fleet_is_paused_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_PAUSE);

    (void)state;
    o.dry_run = true;
    assert_int_equal(order_give(r, o), REPLY_PLANNED); /* nothing happens */
    assert_int_equal(r->s.op.number, 0);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_HOLD));
    told(r, REPLY_CONFLICT, "no stages");
    obey(r, 6);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    order_give(r, order_of(ORDER_PAUSE));
    told(r, REPLY_CONFLICT, "paused already");
    o = order_of(ORDER_SWITCH);
    assert_int_equal(order_give(r, o), REPLY_REFUSED);
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "no way back");
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        assert_int_equal(r->table[i].from, 20 + i);
    }
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    reign_free(r);
}

/* In two hands after a way back that did not end: a pause and a resume change no holder, and mend nothing; naming a color does. */
static void two_hands(enum color to)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);
    enum color holder[PARTS];

    o.stages = (struct stages){
        .items = { { STAGE_NAMES, 1, 0 }, { STAGE_SHARE, 100, 0 } }, .count = 2, .names = { { 0, 0 } }, .name_count = 1
    };
    order_give(r, o);
    obey(r, 8);
    order_give(r, order_of(ORDER_ABORT));
    r->members[GREEN].silent = true;
    tick(r, 15000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(r->table[0].holder, GREEN);
    assert_int_equal(r->fleet.active, BLUE); /* who was: nobody has all */
    r->members[GREEN].silent = false;
    for (int i = 0; i < PARTS; i++)
        holder[i] = r->table[i].holder;
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].holder, holder[i]);
    o = order_of(ORDER_SWITCH);
    o.to_given = true;
    o.to = to;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.from, color_other(to));
    for (int stage = 0; stage < 2; stage++) {
        obey(r, 8);
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    assert_int_equal(r->fleet.active, to);
    for (int i = 0; i < PARTS; i++) /* who was there already is not of this receipt */
        assert_int_equal(r->forth[i].taken, holder[i] != to);
    reign_free(r);
}

static void two_hands_stay_two_until_a_color_is_named(void **state)
{
    (void)state;
    two_hands(GREEN);
    two_hands(BLUE);
}

static void a_preflight_without_an_answer_ends(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, order_of(ORDER_SWITCH));
    tick(r, 15000);
    assert_string_equal(r->told.request_id, "");
    tick(r, 1);
    told(r, REPLY_UNAVAILABLE, "did not answer");
    read_all(r, r->token[SWITCHER_READ_ALL]); /* too late */
    assert_int_equal(r->s.op.number, 0);
    reign_free(r);
}

static void an_order_brings_what_it_names(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    o.observe_ms = 7000;
    o.deadline_ms = 8000;
    o.judge_given = true;
    o.judge = JUDGE_GUARD;
    o.stages = (struct stages){ .items = { { STAGE_NUMBER, 1, 0 }, { STAGE_NUMBER, 2, 0 }, { STAGE_SHARE, 100, 0 } },
                                .count = 3 };
    snprintf(o.reason, sizeof(o.reason), "because");
    snprintf(o.by, sizeof(o.by), "ann");
    o.by_signal = true;
    r->fleet.switch_number = 6; /* of operations that are forgotten */
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.number, 7);
    assert_int_equal(r->fleet.switch_number, 7);
    assert_int_equal(r->dropped, 5);
    r->s.op.number = r->fleet.switch_number = 1;
    r->dropped = 0;
    assert_true(r->s.op.by_signal && strcmp(r->s.op.by, "ann") == 0);
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000);
    assert_string_equal(r->s.op.version_from, "blue-v1");
    assert_string_equal(r->s.op.version_to, "green-v1");
    assert_string_equal(r->fleet.reason, "because");
    assert_int_equal(r->s.op.judge, JUDGE_GUARD);
    for (int stage = 0; stage < 3; stage++) {
        static const int holds[] = { 1, 2, 4 };
        int green = 0;

        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        for (int i = 0; i < PARTS; i++)
            green += r->table[i].holder == GREEN;
        assert_int_equal(green, holds[stage]);
        tick(r, 7000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.active, GREEN);
    assert_int_equal(r->dropped, 0);
    for (int i = 0; i < 2; i++) { /* no more than two are kept */
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        for (int stage = 0; stage < 2; stage++) {
            obey(r, 8);
            tick(r, 60000);
        }
        assert_int_equal(r->s.op.state, OP_COMPLETE);
    }
    assert_int_equal(r->s.op.number, 3);
    assert_int_equal(r->dropped, 1);
    reign_free(r);
}

static void an_operation_has_its_times(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    o.deadline_ms = 8000;
    order_give(r, o); /* the fleet's observation, its own deadline */
    assert_int_equal(r->s.op.observe_ms, 60000);
    assert_int_equal(r->s.op.deadline_ms, 8000);
    assert_int_equal(r->s.op.created_unix_ms, r->now_ms);
    assert_int_equal(r->s.op.stage_began_unix_ms, r->now_ms);
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000);
    assert_int_equal(r->fleet.deadline_unix_ms, r->now_ms + 8000);
    assert_int_equal(r->s.op.ended_unix_ms, 0);
    assert_int_equal(r->fleet.written_unix_us, r->now_ms * 1000);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(r->s.op.deadline_unix_ms, r->s.op.stage_began_unix_ms + 60000);
    assert_int_equal(r->fleet.deadline_unix_ms, r->s.op.deadline_unix_ms);
    r->now_ms += 100;
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000 + 10000);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_true(r->s.op.ended_unix_ms > r->s.op.created_unix_ms && r->s.op.ended_unix_ms <= r->now_ms);
    assert_true(r->s.op.deadline_unix_ms == 0 && r->fleet.deadline_unix_ms == 0);
    assert_true(r->s.op.epoch_first < r->s.op.epoch_last && r->s.op.epoch_last == r->fleet.version.epoch);
    assert_string_equal(r->s.op.why, "the operator asked for it");
    o = order_of(ORDER_SWITCH);
    o.observe_ms = 5;
    order_give(r, o);
    assert_int_equal(r->s.op.observe_ms, 5);
    assert_int_equal(r->s.op.deadline_ms, 5000);
    order_give(r, order_of(ORDER_ROLLBACK));
    assert_string_equal(r->s.op.why, "the operator asked for it");
    reign_free(r);
}

static void a_rollback_has_one_stage_and_is_not_observed(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_ROLLBACK);

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    for (int stage = 0; stage < 2; stage++) {
        obey(r, 8);
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    r->fleet.spec.judge.mode = JUDGE_AUTO;
    fleet_failed_add(&r->fleet, "blue-v1", 9); /* whether it is any better is not asked on a way back */
    o.observe_ms = 7000;                       /* says nothing of a way back */
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.of_number, 1);
    assert_int_equal(r->s.op.stages.count, 1);
    assert_int_equal(r->s.op.judge, JUDGE_OFF);
    assert_int_equal(r->s.op.observe_ms, 0);
    assert_true(r->s.op.from == GREEN && r->s.op.to == BLUE);
    assert_string_equal(r->s.op.version_from, "green-v1");
    assert_string_equal(r->s.op.version_to, "blue-v1");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.active, BLUE);
    assert_int_equal(fleet_failed(&r->fleet, "blue-v1"), 0);
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->s.op.of_number, 0); /* there is nothing to take back any more */
    assert_true(r->s.op.from == BLUE && r->s.op.to == BLUE && r->s.op.keep == 0);
    reign_free(r);
}

/* Where every partition's load is known it decides which goes first; else what the log holds of each. */
static void a_rollback_typed_twice_does_not_go_forth(void **state)
{
    static struct switcher s;
    static struct baton table[1], born[1];
    static struct baton_fact facts[1];
    static struct pass forth[1], back[1];
    static struct stage_item items[1];
    static const struct {
        uint32_t number;
        enum op_kind kind;
        enum op_state state;
        uint32_t of_number;
        bool asks; /* its preflight begins */
    } cases[] = {
        { 0, OP_SWITCH, OP_COMPLETE, 0, false },     { 1, OP_SWITCH, OP_COMPLETE, 0, true },
        { 1, OP_SWITCH, OP_ROLLED_BACK, 0, false },  { 2, OP_ROLLBACK, OP_COMPLETE, 1, false },
        { 2, OP_ROLLBACK, OP_ROLLED_BACK, 1, true }, { 2, OP_SWITCH, OP_NEEDS_OPERATOR, 0, true },
        { 3, OP_RESUME, OP_COMPLETE, 1, true },      { 3, OP_RESUME, OP_COMPLETE, 0, false },
    };
    const struct order order = { .kind = ORDER_ROLLBACK, .observe_ms = -1, .deadline_ms = -1 };
    const struct spec spec = { .topic_count = 1,
                               .stages = { .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 },
                               .deadline_ms = 1000 };
    int batons[4];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct switcher_effects fx = { .batons = batons, .baton_max = 4 };
        struct switcher_event ev = { .type = SWITCHER_ORDER, .now_ms = 1000, .now_unix_us = 1000000, .order = &order };
        struct fleet fleet;

        fleet_init(&fleet, table, 1);
        switcher_init(&s, &(struct switcher_memory){ &fleet, facts, forth, back, items });
        switcher_birth(&s, &spec, (struct version){ 1, 1 }, born, 1, 1000000);
        s.op.number = cases[i].number;
        s.op.kind = cases[i].kind;
        s.op.state = cases[i].state;
        s.op.of_number = cases[i].of_number;
        switcher_step(&s, &ev, &fx);
        assert_int_equal(fx.count, 1);
        assert_int_equal(fx.items[0].type, cases[i].asks ? SWITCHER_READ_ALL : SWITCHER_REPLY);
        if (!cases[i].asks)
            assert_int_equal(fx.items[0].status, REPLY_CONFLICT);
    }
}

static void the_preflight_tells_the_load_of_a_stage(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct reign *r = reign_new();
        struct order o = order_of(ORDER_SWITCH);
        bool told_of = false;

        for (int i = 0; i < PARTS; i++) {
            r->facts[i].load_known = i < PARTS - 1 || known;
            r->facts[i].load = i == 0 ? 700 : 100;
        }
        o.dry_run = true;
        assert_int_equal(order_give(r, o), REPLY_PLANNED);
        for (int i = 0; i < r->s.findings.count; i++)
            if (strcmp(r->s.findings.items[i].code, "stage") == 0) {
                told_of = true;
                assert_string_equal(r->s.findings.items[i].what, known
                                                                     ? "stage 1: 2 of 4 partitions, 20 % of the load"
                                                                     : "stage 1: 2 of 4 partitions, 50 % of the load");
                assert_non_null(strstr(r->s.findings.items[i].why, known ? "works through" : "what the log holds"));
            }
        assert_true(told_of);
        for (int i = 0; i < PARTS; i++)
            r->facts[i].load = 0;
        order_give(r, o);
        if (known)
            for (int i = 0; i < r->s.findings.count; i++)
                if (strcmp(r->s.findings.items[i].code, "stage") == 0)
                    assert_string_equal(r->s.findings.items[i].what, "stage 1: 2 of 4 partitions");
        reign_free(r);
    }
}

/* --- what is under way is steered --------------------------------------------------------------------------------- */

/* Held by hand it stays, whatever the judge says, until it is promoted; that lasts for one stage. */
static void a_hold_lasts_until_a_promote(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .promote = PROMOTE_EARLY
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED);
    assert_true(r->op_written && r->s.op.held && r->s.op.by_hand);
    verdict(r, VERDICT_OK, false, 0);
    tick(r, 600000);
    assert_int_equal(r->s.op.stage, 0);
    assert_int_equal(order_give(r, order_of(ORDER_PROMOTE)), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.stage, 1);
    assert_false(r->s.op.by_hand || r->s.op.held);
    order_give(r, order_of(ORDER_PROMOTE));
    told(r, REPLY_CONFLICT, "stage 2 of 2 is still passing");
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED); /* of the stage that passes */
    assert_true(r->s.op.by_hand && !r->s.op.held && r->s.op.deadline_unix_ms > 0);
    obey(r, 8);
    assert_true(r->s.op.state == OP_OBSERVING && r->s.op.held);
    assert_int_equal(order_give(r, order_of(ORDER_ABORT)), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_OPERATOR);
    assert_false(r->s.op.by_hand);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "on its way back already");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    order_give(r, order_of(ORDER_ROLLBACK));
    told(r, REPLY_CONFLICT, "nothing more to take back");
    reign_free(r);
}

/* The stage that passes is held beforehand, and let go again before it is there. */
static void a_hold_may_be_taken_back(void **state)
{
    struct reign *r = reign_new();
    struct order o;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED);
    assert_int_equal(order_give(r, order_of(ORDER_PROMOTE)), REPLY_ACCEPTED);
    assert_false(r->s.op.by_hand);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_false(r->s.op.held);
    o = order_of(ORDER_ROLLBACK);
    snprintf(o.reason, sizeof(o.reason), "a hunch");
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED); /* while it is under way it turns back */
    assert_int_equal(r->s.op.number, 1);
    assert_string_equal(r->s.op.why, "a hunch");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* A word of the operator that is sent twice is heard once; a plan under its number is still a plan. */
static void a_word_is_heard_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_PROMOTE);

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    snprintf(o.request_id, sizeof(o.request_id), "once");
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.stage, 1);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    o = order_of(ORDER_SWITCH);
    snprintf(o.request_id, sizeof(o.request_id), "once");
    o.dry_run = true;
    assert_int_equal(order_give(r, o), REPLY_PLANNED);
    reign_free(r);
}

static int at_work(const struct reign *r)
{
    int n = 0;

    for (int i = 0; i < PARTS; i++)
        n += r->table[i].state == RIGHT_HELD;
    return n;
}

/* A throttle that only lets more work has no way back: it would have to stop them, which is another order. */
static void more_work_has_no_way_back(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);

    (void)state;
    o.keep = 1;
    order_give(r, o);
    obey(r, 8);
    r->members[BLUE].silent = true;
    o.keep = 3;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "no way back");
    tick(r, 5000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    r->members[BLUE].silent = false;
    obey(r, 4);
    assert_int_equal(at_work(r), 3);
    reign_free(r);
}

/* Why it was turned back is one thing, how it was judged another: who aborts a held switch fails no version. */
static void an_abort_fails_no_version(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_worse = WORSE_HOLD
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    verdict(r, VERDICT_WORSE, false, 0);
    assert_true(r->s.op.held);
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.cause, CAUSE_OPERATOR);
    assert_int_equal(r->fleet.failed_count, 0);
    reign_free(r);
}

/* --- a throttle --------------------------------------------------------------------------------------------------- */

static void a_throttle_keeps_so_many_at_work(void **state)
{
    static const struct {
        int keep;
        bool percent;
        int work;
    } steps[] = { { 1, true, 1 }, { 3, false, 3 }, { 50, true, 2 }, { 0, false, 0 }, { 1, false, 1 } };
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    struct progress p;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        o.keep = steps[i].keep;
        o.keep_percent = steps[i].percent;
        assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
        obey(r, 10);
        assert_int_equal(r->s.op.state, OP_COMPLETE);
        assert_int_equal(at_work(r), steps[i].work);
        assert_int_equal(r->fleet.phase, steps[i].work ? PHASE_THROTTLED : PHASE_PAUSED);
        switcher_progress(&r->s, &p);
        assert_int_equal(p.taken, p.total);
        order_give(r, o);
        told(r, REPLY_CONFLICT, "work already");
    }
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(at_work(r), PARTS);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->position[i], 20 + i);
    reign_free(r);
}

/* Which could not be stopped in time: those that were go on, those that rested before do not. */
static void a_throttle_is_taken_back_to_where_it_was(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    enum right before[PARTS];
    struct report *report;

    (void)state;
    o.keep = 3;
    order_give(r, o);
    obey(r, 10);
    for (int i = 0; i < PARTS; i++)
        before[i] = r->table[i].state;
    o.keep = 1;
    order_give(r, o);
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS && report->part_count == PARTS; i++)
        if (r->table[i].state == RIGHT_RELEASING) { /* one is slow */
            report->parts[i].local = LOCAL_DRAINING;
            report->parts[i].in_flight = 1;
            break;
        }
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
    assert_int_equal(at_work(r), 1);
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.state, OP_RETURNING);
    obey(r, 10);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_THROTTLED);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, before[i]);
    reign_free(r);
}

/* Which a throttle keeps does not change while it is under way, and a way back wakes only what it has stopped itself. */
static void a_throttle_knows_what_it_has_stopped(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    struct report *report;
    bool keep[PARTS];

    (void)state;
    o.keep = 2;
    order_give(r, o);
    for (int i = 0; i < PARTS; i++)
        keep[i] = r->table[i].state == RIGHT_HELD;
    for (int slow = 0; slow < PARTS; slow++) { /* one after the other */
        report = report_new(r, &r->members[BLUE]);
        for (int i = slow + 1; i < PARTS; i++)
            if (r->table[i].state == RIGHT_RELEASING)
                entry(report, i)->local = LOCAL_DRAINING;
        hear(r, report);
        tick(r, 10);
        for (int i = 0; i < PARTS; i++)
            assert_int_equal(keep[i], r->table[i].state == RIGHT_HELD);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS; i++)
        if (keep[i])
            entry(report, i)->local = LOCAL_DRAINING;
    hear(r, report);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_THROTTLED);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, keep[i] ? RIGHT_HELD : RIGHT_PAUSED);
    reign_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_carried_out_once),
        cmocka_unit_test(who_comes_first_begins),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
        cmocka_unit_test(a_paused_fleet_is_paused_once),
        cmocka_unit_test(two_hands_stay_two_until_a_color_is_named),
        cmocka_unit_test(a_preflight_without_an_answer_ends),
        cmocka_unit_test(an_order_brings_what_it_names),
        cmocka_unit_test(an_operation_has_its_times),
        cmocka_unit_test(a_rollback_has_one_stage_and_is_not_observed),
        cmocka_unit_test(a_rollback_typed_twice_does_not_go_forth),
        cmocka_unit_test(the_preflight_tells_the_load_of_a_stage),
        cmocka_unit_test(a_hold_lasts_until_a_promote),
        cmocka_unit_test(a_hold_may_be_taken_back),
        cmocka_unit_test(a_word_is_heard_once),
        cmocka_unit_test(more_work_has_no_way_back),
        cmocka_unit_test(an_abort_fails_no_version),
        cmocka_unit_test(a_throttle_keeps_so_many_at_work),
        cmocka_unit_test(a_throttle_is_taken_back_to_where_it_was),
        cmocka_unit_test(a_throttle_knows_what_it_has_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
