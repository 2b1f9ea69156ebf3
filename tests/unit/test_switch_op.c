/*
 * test_switch_op - the operation as a whole: its stages by the policy, its deadlines, the way back, its end; how a fleet is born and
 * grows meanwhile, and what a new leader makes of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reign.h"

/* --- what becomes of a stage -------------------------------------------------------------------------------------- */

enum then { WATCHED, HELD, NEXT, BACK };

/* Every line: what was said of a stage under which policy, how it stands then, and once its time is over. */
static void a_stage_goes_as_its_policy_says(void **state)
{
    enum { NOT_YET = -1 };
    static const struct {
        enum judge_mode mode;
        enum on_worse on_worse, on_worse_full;
        enum on_undecided on_undecided;
        enum judge_promote promote;
        int stage, verdict;
        bool blind;
        enum then now, after;
    } cases[] = {
        /* without a judge only time counts */
        { JUDGE_OFF, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_OFF, 0, 0, 0, 0, 0, VERDICT_WORSE, false, WATCHED, NEXT },
        { JUDGE_OFF, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_OK, false, WATCHED, NEXT },
        /* on guard: nobody waits for a verdict, but worse is worse */
        { JUDGE_GUARD, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_GUARD, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, false, WATCHED, NEXT },
        { JUDGE_GUARD, 0, 0, 0, 0, 0, VERDICT_WORSE, false, BACK, BACK },
        /* auto: an ok is waited for */
        { JUDGE_AUTO, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, 0, 0, 0, VERDICT_OK, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_OK, false, NEXT, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 1, VERDICT_OK, false, NEXT, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_UNDECIDED, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, 0, 0, 1, VERDICT_OK, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, 0, 0, 0, VERDICT_UNDECIDED, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, UNDECIDED_PROMOTE, 0, 0, VERDICT_UNDECIDED, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, UNDECIDED_PROMOTE, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, false, WATCHED, BACK },
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, true, WATCHED, HELD }, /* blind: no reason */
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, NOT_YET, false, WATCHED, HELD },          /* nor is silence */
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_OK, false, WATCHED, NEXT },
        /* worse, while some and when all is passed */
        { JUDGE_AUTO, WORSE_ROLLBACK, WORSE_HOLD, 0, 0, 0, VERDICT_WORSE, false, BACK, BACK },
        { JUDGE_AUTO, WORSE_ROLLBACK, WORSE_HOLD, 0, 0, 1, VERDICT_WORSE, false, HELD, HELD },
        { JUDGE_AUTO, WORSE_HOLD, WORSE_ROLLBACK, 0, 0, 0, VERDICT_WORSE, false, HELD, HELD },
        { JUDGE_AUTO, WORSE_HOLD, WORSE_ROLLBACK, 0, 0, 1, VERDICT_WORSE, false, BACK, BACK },
        { JUDGE_AUTO, WORSE_HOLD, 0, UNDECIDED_PROMOTE, PROMOTE_EARLY, 0, VERDICT_WORSE, false, HELD, HELD },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct judge_policy policy = { .mode = cases[i].mode,
                                             .interval_ms = 1000,
                                             .warmup_ms = 1000,
                                             .on_worse = cases[i].on_worse,
                                             .on_worse_full = cases[i].on_worse_full,
                                             .on_undecided = cases[i].on_undecided,
                                             .promote = cases[i].promote };
        struct reign *r = observed(&policy, cases[i].stage);
        enum then now = WATCHED, then;

        if (cases[i].verdict != NOT_YET)
            verdict(r, (enum verdict)cases[i].verdict, cases[i].blind, cases[i].stage);
        for (int after = 0; after < 2; after++) {
            const struct op *op = &r->s.op;

            then = op->state == OP_RETURNING                                ? BACK
                   : op->state == OP_COMPLETE || op->stage > cases[i].stage ? NEXT
                   : op->held                                               ? HELD
                                                                            : WATCHED;
            if (after == 0)
                now = then;
            if (after == 0 && then == WATCHED) { /* not a moment before its time */
                tick(r, op->deadline_unix_ms - r->now_ms - 1);
                assert_int_equal(op->state, OP_OBSERVING);
                assert_false(op->held);
                tick(r, 1);
                assert_true(r->op_written); /* whatever it is now */
            }
        }
        if (now != cases[i].now || then != cases[i].after)
            fail_msg("line %zu: %d, then %d", i, now, then);
        if (then == HELD) { /* for ever, until somebody says something, and nothing is written of it again */
            tick(r, 10 * r->fleet.spec.observe_ms);
            assert_false(r->op_written || r->head_written);
            assert_true(r->s.op.held && r->s.op.state == OP_OBSERVING && r->fleet.deadline_unix_ms == 0);
        }
        reign_free(r);
    }
}

/* A verdict ends the hold that the want of one had begun; the version that was worse is remembered. */
static void a_held_stage_goes_on_with_an_ok(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    struct reign *r = observed(&policy, 0);

    (void)state;
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_OK, false, 0);
    assert_int_equal(r->s.op.stage, 1);
    assert_false(r->s.op.held);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_false(r->s.op.judged);     /* the next stage has a verdict of its own */
    verdict(r, VERDICT_OK, false, 0); /* of the stage before */
    assert_false(r->s.op.judged);
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_WORSE, false, 1);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_VERDICT);
    assert_string_equal(r->s.op.why, "so it is");
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), 0);
    verdict(r, VERDICT_OK, false, 1); /* too late */
    assert_int_equal(r->s.op.verdict.verdict, VERDICT_WORSE);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.active, BLUE);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_REFUSED); /* that version has failed */
    reign_free(r);
}

/* A held stage is not let go by an undecided, whoever sees better now. */
static void an_undecided_ends_no_hold(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_undecided = UNDECIDED_ROLLBACK
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    verdict(r, VERDICT_UNDECIDED, true, 0);
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_UNDECIDED, false, 0);
    tick(r, 60000);
    assert_true(r->s.op.held && r->s.op.state == OP_OBSERVING);
    verdict(r, VERDICT_OK, false, 0);
    assert_int_equal(r->s.op.stage, 1);
    reign_free(r);
}

/* Turned back for another reason than that it was worse, a version may be tried again; once it has passed, it is no failed one. */
static void only_worse_fails_a_version(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_undecided = UNDECIDED_ROLLBACK
    };
    struct reign *r = observed(&policy, 0);
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    verdict(r, VERDICT_UNDECIDED, false, 0);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_VERDICT);
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), -1);
    obey(r, 8);
    fleet_failed_add(&r->fleet, "green-v1", 9);
    assert_int_equal(order_give(r, o), REPLY_REFUSED);
    o.force = true;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    order_give(r, order_of(ORDER_PROMOTE));
    obey(r, 8);
    order_give(r, order_of(ORDER_PROMOTE));
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), -1);
    reign_free(r);
}

static void a_verdict_is_written_when_it_says_something_new(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    struct reign *r = observed(&policy, 0);
    struct judge_verdict v = { .verdict = VERDICT_UNDECIDED, .looks = 1 };
    struct switcher_event ev = { .type = SWITCHER_VERDICT, .verdict = &v, .number = r->s.op.number };

    (void)state;
    reign_step(r, ev);
    assert_true(r->op_written && r->head_written);
    v.looks = 2;
    reign_step(r, ev);
    assert_false(r->op_written);
    assert_int_equal(r->s.op.verdict.looks, 2); /* known all the same */
    v.blind = true;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.rule = RULE_EVIDENCE;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.verdict = VERDICT_OK;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.verdict = VERDICT_UNDECIDED;
    reign_step(r, ev);
    assert_true(r->op_written);
    ev.number = r->s.op.number + 1; /* of another operation */
    v.verdict = VERDICT_WORSE;
    reign_step(r, ev);
    assert_int_equal(r->s.op.verdict.verdict, VERDICT_UNDECIDED);
    reign_free(r);
}

/* What the judge leaves to the one after it is written with the operation that it is about, as long as that is under way. */
static void what_the_judge_leaves_is_kept(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    const struct judge_kept kept = { .known = true, .stage = 0, .records = 7 }, late = { .known = true, .records = 8 };
    struct reign *r = observed(&policy, 0);
    struct switcher_event ev = { .type = SWITCHER_KEPT, .kept = &late, .number = r->s.op.number + 1 };

    (void)state;
    reign_step(r, ev); /* of another operation */
    assert_false(r->s.op.kept.known || r->op_written);
    ev.number = r->s.op.number;
    ev.kept = &kept;
    reign_step(r, ev);
    assert_true(r->s.op.kept.known && r->op_written);
    assert_true(r->s.op.kept.records > 6 && r->s.op.kept.records < 8);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    ev.kept = &late; /* too late */
    reign_step(r, ev);
    assert_false(r->op_written);
    assert_true(r->s.op.kept.records < 8);
    reign_free(r);
}

/* --- the way back, and the end ------------------------------------------------------------------------------------ */

/* The document says what is under way. */
static void a_phase_says_what_is_under_way(void **state)
{
    static const struct {
        enum order_kind kind;
        enum phase passing, done, returning, back;
    } cases[] = {
        { ORDER_PAUSE, PHASE_PAUSING, PHASE_PAUSED, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_THROTTLE, PHASE_THROTTLING, PHASE_THROTTLED, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_SWITCH, PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_ROLLBACK, PHASE_PASSING, PHASE_STEADY, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_RESUME, PHASE_RESUMING, PHASE_STEADY, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (int abort = 0; abort < 2; abort++) {
            struct reign *r = reign_new();
            struct order o = order_of(cases[i].kind);

            if (cases[i].kind == ORDER_RESUME) {
                order_give(r, order_of(ORDER_PAUSE));
                obey(r, 6);
            } else if (cases[i].kind == ORDER_ROLLBACK) {
                order_give(r, order_of(ORDER_SWITCH));
                for (int stage = 0; stage < 2; stage++) {
                    obey(r, 8);
                    tick(r, 60000);
                }
            }
            o.keep = 2;
            assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
            assert_int_equal(r->fleet.phase, cases[i].passing);
            if (!abort) {
                obey(r, 8);
                assert_int_equal(r->fleet.phase, cases[i].done);
            } else if (cases[i].kind != ORDER_RESUME) {
                r->members[BLUE].silent = r->members[GREEN].silent = true;
                r->table[0].state = RIGHT_GRANTED; /* so that it is not over at once */
                order_give(r, order_of(ORDER_ABORT));
                assert_int_equal(r->fleet.phase, cases[i].returning);
                r->members[BLUE].silent = r->members[GREEN].silent = false;
                obey(r, 10);
                assert_int_equal(r->fleet.phase, cases[i].back);
            }
            reign_free(r);
        }
}

/* What had been passed before an operation is none of its way back. */
static void a_way_back_is_of_its_own_operation(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    r->table[0].holder = GREEN; /* in two hands, whoever left it so */
    o.to_given = true;
    o.to = GREEN;
    o.stages = (struct stages){ .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 };
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, i == 0 ? GREEN : BLUE);
        assert_int_equal(r->back[i].ordered, i != 0);
    }
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    reign_free(r);
}

/* A pause that is taken back: what it has stopped goes on under a new grant, what it has not under the old one. */
static void a_pause_is_taken_back(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    struct progress p;

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    report = report_new(r, &r->members[BLUE]);
    entry(report, 2)->local = LOCAL_DRAINING;
    entry(report, 2)->in_flight = 1;
    hear(r, report);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, i == 2 ? RIGHT_RELEASING : RIGHT_PAUSED);
    switcher_progress(&r->s, &p);
    assert_true(p.total == PARTS && p.taken == 3 && p.ordered == 1 && p.granted == 0 && p.returned == 0);
    order_give(r, order_of(ORDER_ABORT));
    tick(r, 10);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].state, i == 2 ? RIGHT_HELD : RIGHT_GRANTED);
        assert_int_equal(r->table[i].epoch > 1, i != 2);
        assert_int_equal(r->table[i].holder, BLUE);
    }
    switcher_progress(&r->s, &p);
    assert_true(p.granted == 3 && p.ordered == 0);
    tick(r, 100);
    for (int i = 0; i < PARTS; i++)
        assert_int_not_equal(r->table[i].state, RIGHT_RELEASING);
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->position[i], 20 + i);
    reign_free(r);
}

static void what_does_not_come_home_needs_an_operator(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[4];

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 0);
    order_give(r, order_of(ORDER_ABORT));
    r->members[GREEN].silent = true;
    tick(r, 14000); /* its deadline, and the time after which a member is gone */
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 2);
    assert_non_null(strstr(who[1].who, "green"));
    assert_non_null(strstr(who[1].what, "silent for 14 s"));
    tick(r, 1000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_string_equal(r->s.op.why,
                        "the operator asked for it; then the way back did not end in time: 2 partitions are not home");
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_HELD);
    r->s.op.judged = false;
    r->members[GREEN].silent = false;
    switcher_reign(&r->s, 9, r->now_ms, r->now_ms * 1000); /* the next leader sees it, too */
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    assert_int_equal(r->fleet.version.term, 9);
    reign_free(r);
}

/* A resume that cannot be finished stops where it is: there is no way back to being paused. */
static void a_resume_that_stands_needs_an_operator(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_RESUME));
    tick(r, 4999);
    assert_int_equal(r->s.op.state, OP_PASSING);
    tick(r, 1);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR); /* granted is not yet taken */
    assert_non_null(strstr(r->s.op.why, "taken up again"));
    r->members[BLUE].silent = false;
    obey(r, 4); /* they are taken after all: nobody is needed */
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    reign_free(r);
}

/* --- a fleet is born, grows, changes; a new leader ---------------------------------------------------------------- */

static void nothing_happens_to_a_fleet_that_is_not(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fleet.exists = false;
    tick(r, 60000);
    assert_int_equal(r->fx.count, 0);
    reign_free(r);
}

/* A fleet born again in the place of another brings nothing of it along. */
static void a_birth_is_a_beginning(void **state)
{
    static const struct baton born[PARTS] = { { .from = 3 }, { .partition = 1, .from = 4 } };
    struct reign *r = reign_new();
    const struct op none = { 0 };

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    snprintf(r->fleet.reason, sizeof(r->fleet.reason), "because");
    obey(r, 3);
    fleet_failed_add(&r->fleet, "v9", 9);
    r->spec.first_active = GREEN;
    memset(&r->s.dirty, 0, sizeof(r->s.dirty));
    switcher_birth(&r->s, &r->spec, (struct version){ 4, 50 }, born, 2, 77);
    assert_true(r->fleet.exists && r->fleet.baton_count == 2 && r->fleet.phase == PHASE_STEADY);
    assert_true(r->fleet.active == GREEN && r->fleet.switch_number == 0 && r->fleet.failed_count == 0);
    assert_true(r->fleet.deadline_unix_ms == 0 && !r->fleet.reason[0] && r->fleet.written_unix_us == 77);
    assert_int_equal(version_compare(r->fleet.version, (struct version){ 4, 50 }), 0);
    assert_int_equal(version_compare(r->fleet.applied, (struct version){ 4, 50 }), 0);
    assert_memory_equal(&r->s.op, &none, offsetof(struct op, forth));
    assert_int_equal(r->s.op.pass_count, 0);
    assert_true(r->s.dirty.head && r->s.dirty.shards[0] && !r->s.dirty.op);
    assert_true(r->s.barrier_asked == 0 && r->s.barrier_read == 0);
    for (int i = 0; i < 2; i++) {
        assert_true(r->table[i].state == RIGHT_HELD && r->table[i].holder == GREEN && r->table[i].taken);
        assert_true(r->table[i].epoch == 50 && r->table[i].order == 50 && r->table[i].doubt == OFFSET_NONE);
        assert_int_equal(r->table[i].from, 3 + i);
    }
    reign_free(r);
}

/* Rule 8, in each phase; in mid-switch they go with the last stage; more than there is room for are left where they are. */
static void partitions_are_born_where_the_fleet_is(void **state)
{
    static const int64_t first[PARTS + 2] = { 0, 0, 0, 7, 0, 0 };

    (void)state;
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        struct reign *r = reign_new();
        const bool rests =
            phase == PHASE_PAUSED || phase == PHASE_PAUSING || phase == PHASE_THROTTLED || phase == PHASE_THROTTLING;

        r->fleet.baton_count = PARTS - 1;
        r->fleet.phase = (enum phase)phase;
        r->fleet.active = GREEN;
        for (int i = 0; i < PARTS; i++)
            r->table[i].holder = GREEN;
        r->facts[PARTS - 1].load_known = true; /* of nobody */
        reign_step(r, (struct switcher_event){
                          .type = SWITCHER_PARTITIONS, .partition_count = PARTS + 2, .first_offsets = first });
        assert_int_equal(r->fleet.baton_count, PARTS);
        assert_int_equal(r->table[PARTS - 1].partition, PARTS - 1);
        assert_int_equal(r->table[PARTS - 1].from, 7);
        assert_int_equal(r->table[PARTS - 1].holder, GREEN);
        assert_int_equal(r->table[PARTS - 1].state, rests ? RIGHT_PAUSED : RIGHT_HELD);
        assert_int_equal(r->table[PARTS - 1].epoch, r->fleet.version.epoch);
        assert_true(r->table[PARTS - 1].taken && r->head_written);
        assert_int_equal(r->table[PARTS - 1].doubt, OFFSET_NONE);
        assert_false(r->facts[PARTS - 1].load_known);
        reign_free(r);
    }
}

static void who_is_born_in_mid_switch_goes_with_the_last_stage(void **state)
{
    static const int64_t first[PARTS] = { 0, 0, 0, 7 };
    struct reign *r = reign_new();
    int stages = 0;

    (void)state;
    r->fleet.baton_count = PARTS - 1;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_PARTITIONS, .partition_count = PARTS, .first_offsets = first });
    r->position[3] = 7;
    r->mark[3] = (struct mark){ MARK_EPOCH, r->table[3].epoch };
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_OBSERVING); /* it is none of this stage's */
    assert_int_equal(r->s.op.pass_count, PARTS);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 0); /* nobody has begun beyond where he was told to */
    assert_int_equal(r->table[3].holder, BLUE);
    order_give(r, order_of(ORDER_PROMOTE));
    obey(r, 8);
    assert_int_equal(r->table[3].holder, GREEN);
    r->fleet.baton_count = PARTS - 1; /* and one that is born when the last stage is observed goes after it */
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_PARTITIONS, .partition_count = PARTS, .first_offsets = first });
    r->mark[3] = (struct mark){ MARK_EPOCH, r->table[3].epoch };
    r->position[3] = 7;
    assert_int_equal(r->table[3].holder, BLUE);
    tick(r, 10);
    assert_int_equal(r->s.op.state, OP_PASSING); /* not observed as long as it is on its way */
    obey(r, 8);
    assert_int_equal(r->table[3].holder, GREEN);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++)
        stages += r->table[i].holder == GREEN;
    assert_int_equal(stages, PARTS);
    reign_free(r);
}

/* An edited fleet file is taken over as it is, and written. */
static void an_edited_fleet_file_is_taken_over(void **state)
{
    struct reign *r = reign_new();
    struct spec edited = r->fleet.spec;
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    edited.observe_ms = 1234;
    edited.topic_count = 2;
    snprintf(edited.topics[1], sizeof(edited.topics[1]), "u");
    reign_step(r, (struct switcher_event){ .type = SWITCHER_SPEC, .spec = &edited });
    assert_memory_equal(&r->fleet.spec, &edited, sizeof(edited));
    assert_true(r->head_written);
    assert_int_equal(r->fleet.version.epoch, before + 1);
    reign_free(r);
}

/* Each reign raises the epoch, and so does the first thing that it changes. */
static void a_reign_has_an_epoch_of_its_own(void **state)
{
    struct reign *r = reign_new();
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    memset(&r->s.dirty, 0, sizeof(r->s.dirty));
    switcher_reign(&r->s, 5, r->now_ms, 123456789);
    assert_int_equal(version_compare(r->fleet.version, (struct version){ 5, before + 1 }), 0);
    assert_int_equal(version_compare(r->fleet.applied, r->fleet.version), 0);
    assert_int_equal(r->fleet.written_unix_us, 123456789);
    assert_true(r->s.dirty.head);
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->fleet.version.epoch, before + 2);
    assert_int_equal(r->s.op.epoch_first, before + 2);
    reign_free(r);
}

/* What is left of a deadline is carried on, by clocks that may differ. */
static void a_new_leader_has_what_is_left_of_the_time(void **state)
{
    static const struct {
        int64_t clock_ms, left_ms; /* how the new leader's wall clock differs; what it gives */
    } cases[] = { { 0, 4000 }, { 1000, 3000 }, { 60000, 0 }, { -500, 4500 }, { -60000, 5000 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = true;
        order_give(r, order_of(ORDER_SWITCH));
        tick(r, 1000);
        switcher_reign(&r->s, 5, r->now_ms, (r->now_ms + cases[i].clock_ms) * 1000);
        assert_true(r->s.dirty.op && r->s.dirty.head);
        assert_int_equal(r->fleet.phase, PHASE_PASSING);
        if (cases[i].left_ms > 0) {
            tick(r, cases[i].left_ms - 1);
            assert_int_equal(r->s.op.state, OP_PASSING);
        }
        tick(r, 1);
        assert_int_not_equal(r->s.op.state, OP_PASSING);
        assert_int_equal(r->s.op.cause, CAUSE_DEADLINE);
        reign_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_goes_as_its_policy_says),
        cmocka_unit_test(a_held_stage_goes_on_with_an_ok),
        cmocka_unit_test(an_undecided_ends_no_hold),
        cmocka_unit_test(only_worse_fails_a_version),
        cmocka_unit_test(a_verdict_is_written_when_it_says_something_new),
        cmocka_unit_test(what_the_judge_leaves_is_kept),
        cmocka_unit_test(a_phase_says_what_is_under_way),
        cmocka_unit_test(a_way_back_is_of_its_own_operation),
        cmocka_unit_test(a_pause_is_taken_back),
        cmocka_unit_test(what_does_not_come_home_needs_an_operator),
        cmocka_unit_test(a_resume_that_stands_needs_an_operator),
        cmocka_unit_test(nothing_happens_to_a_fleet_that_is_not),
        cmocka_unit_test(a_birth_is_a_beginning),
        cmocka_unit_test(partitions_are_born_where_the_fleet_is),
        cmocka_unit_test(who_is_born_in_mid_switch_goes_with_the_last_stage),
        cmocka_unit_test(an_edited_fleet_file_is_taken_over),
        cmocka_unit_test(a_reign_has_an_epoch_of_its_own),
        cmocka_unit_test(a_new_leader_has_what_is_left_of_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
