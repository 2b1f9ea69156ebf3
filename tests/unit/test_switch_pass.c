/*
 * test_switch_pass - one baton passes: ordered, quiet, read back, granted, taken, proven; with a doubt, with a replay; and its receipt.
 */
#include <string.h>

#include "reign.h"

/* --- the order ---------------------------------------------------------------------------------------------------- */

/* Rules 4, 5, 7: each member of both colors has to have applied the order, whoever owns what. */
static void everybody_has_to_have_applied_the_order(void **state)
{
    (void)state;
    for (int c = 0; c < COLOR_COUNT; c++) {
        struct reign *r = reign_new();
        int granted = 0;

        r->fleet.spec.deadline_ms = 60000;
        member_add(r, (enum color)c);
        r->members[2].idle = true;
        obey(r, 2);
        order_give(r, order_of(ORDER_SWITCH));
        r->members[2].silent = true;
        obey(r, 5);
        for (int i = 0; i < PARTS; i++)
            granted += r->table[i].holder == GREEN;
        assert_int_equal(granted, 0);
        r->members[2].silent = false;
        obey(r, 5);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        reign_free(r);
    }
}

/* Rule 2 once more: that the reports were read after some former order says nothing of this one. */
static void the_reports_are_read_for_each_order(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_PAUSE));
    order_give(r, order_of(ORDER_ABORT)); /* taken back: the grant is the same */
    r->members[BLUE].silent = false;
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    r->deaf[SWITCHER_READ_REPORTS] = true;
    asked = r->asked[SWITCHER_READ_OFFSETS];
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    reign_free(r);
}

static void the_reports_are_read_until_they_are_read(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fails[SWITCHER_READ_REPORTS] = true;
    r->deaf[SWITCHER_READ_REPORTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 4);
    assert_int_equal(r->asked[SWITCHER_READ_REPORTS], 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 0); /* nothing is believed before (rule 2) */
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_REPORTS_READ, .token = r->token[SWITCHER_READ_REPORTS], .failed = true });
    assert_int_equal(r->asked[SWITCHER_READ_REPORTS], 2);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORTS_READ,
                                           .token = r->token[SWITCHER_READ_REPORTS] - 1 }); /* an older question */
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 0);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORTS_READ, .token = r->token[SWITCHER_READ_REPORTS] });
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 1);
    reign_free(r);
}

/* Whatever one step changes has one epoch. */
static void a_step_has_one_epoch(void **state)
{
    struct reign *r = reign_new();
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    r->deaf[SWITCHER_READ_REPORTS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->fleet.version.epoch, before + 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].order, before + 1);
    reign_free(r);
}

/* The head was written, its operation was not: what it had ordered nobody wants, and the phase is that of a fleet at rest. */
static void an_order_of_nobody_is_taken_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->table[1].state = RIGHT_RELEASING;
    r->table[1].order = r->fleet.version.epoch;
    r->fleet.phase = PHASE_PASSING;
    r->fleet.deadline_unix_ms = 77;
    switcher_reign(&r->s, 5, r->now_ms, r->now_ms * 1000);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    assert_int_equal(r->fleet.deadline_unix_ms, 0);
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS] > 0, true); /* at once: nobody's absence counts from before */
    assert_int_equal(r->table[1].state, RIGHT_HELD);
    assert_int_equal(r->table[1].order, r->fleet.version.epoch);
    reign_free(r);
}

/* A grant that nobody has taken is not ordered on the way forth: its holder begins first, and ends where it says. */
static void who_has_not_begun_is_not_ordered(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_RESUME));
    tick(r, 5000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
    tick(r, 100);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    r->members[BLUE].silent = false;
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_free(r);
}

/* What an order had to wait for is no matter of the next one. */
static void a_new_order_asks_at_once(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->fails[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, GREEN);
    speak(r, BLUE);
    assert_true(r->facts[0].retry_ms > r->now_ms);
    order_give(r, order_of(ORDER_ABORT));
    speak(r, BLUE);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, GREEN);
    speak(r, BLUE);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    reign_free(r);
}

/* --- read back, granted, taken ------------------------------------------------------------------------------------ */

static void a_lost_answer_is_asked_for_again(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->fleet.spec.deadline_ms = 600000;
    r->deaf[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 4);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    assert_int_equal(asked, 1);
    tick(r, 14000);
    obey(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    tick(r, 2000);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    r->deaf[SWITCHER_READ_OFFSETS] = false;
    r->fails[SWITCHER_READ_OFFSETS] = true;
    tick(r, 16000); /* it fails: again in a moment, not at once */
    asked = r->asked[SWITCHER_READ_OFFSETS];
    tick(r, 199);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    r->fails[SWITCHER_READ_OFFSETS] = false;
    tick(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_free(r);
}

/* One step may ask for the end of one partition's log and the start of another's: each question has its own list. */
static void two_questions_have_two_lists(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    r->fleet.spec.observe_ms = 600000;
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    member_add(r, BLUE);
    obey(r, 2);
    r->deaf[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = r->table[i].holder == BLUE;
    hear(r, report);
    r->s.members[2].gone = true;
    r->deaf[SWITCHER_READ_STARTS] = false;
    tick(r, 1000);
    assert_string_equal(r->forgotten, "blue2");
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].doubt, r->table[i].holder == BLUE ? 100 : OFFSET_NONE);
        assert_int_equal(r->forth[i].log_start, r->forth[i].taken ? 25 : OFFSET_NONE);
    }
    reign_free(r);
}

/* Rule 6 as the controller applies it to what it reads back: where the holder has ended, or somebody else commits there. */
static void what_is_read_back_is_looked_at(void **state)
{
    static const struct {
        int64_t offset;
        struct mark mark;
        bool taken;
        int64_t from; /* OFFSET_NONE: it turns back */
    } cases[] = {
        { 20, { MARK_EPOCH, 1 }, true, 20 },
        { 44, { MARK_EPOCH, 0 }, true, 10 },           /* a former life's: it has not begun under this grant */
        { 44, { MARK_EPOCH, 9 }, true, OFFSET_NONE },  /* from the future */
        { 44, { MARK_FOLLOW, 0 }, true, OFFSET_NONE }, /* a follow-commit over a holder's */
        { 44, { MARK_FOLLOW, 0 }, false, 10 },
        { 44, { MARK_FOREIGN, 0 }, true, 44 }, /* an operator's reset */
        { 44, { MARK_FOREIGN, 0 }, false, 10 },
        { OFFSET_NONE, { MARK_EPOCH, 1 }, true, 10 }, /* nothing is committed, so nothing is marked */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();

        for (int k = 0; k < PARTS; k++) {
            r->table[k].taken = cases[i].taken;
            r->members[BLUE].owns[k] = false; /* nobody says where it stopped */
        }
        r->members[GREEN].silent = true;
        speak(r, BLUE);
        r->members[GREEN].silent = false;
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        r->position[0] = r->position[1] = cases[i].offset;
        r->position[2] = r->position[3] = cases[i].offset;
        for (int k = 0; k < PARTS; k++)
            r->mark[k] = cases[i].mark;
        obey(r, 1);
        for (int k = 0; k < PARTS; k++)
            if (r->forth[k].ordered && cases[i].from != OFFSET_NONE) {
                assert_int_equal(r->table[k].holder, GREEN);
                assert_int_equal(r->table[k].from, cases[i].from);
                assert_int_equal(r->forth[k].committed, cases[i].from);
            }
        assert_int_equal(r->s.op.cause, cases[i].from == OFFSET_NONE ? CAUSE_FOREIGN_COMMIT : CAUSE_NONE);
        reign_free(r);
    }
}

/* Between the question for a committed offset and its answer: another question, a failure, somebody who comes. */
static void an_offset_is_believed_as_long_as_all_is_quiet(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        struct reign *r = reign_new();
        struct switcher_reading reading = { .offset = 20, .mark = { MARK_EPOCH, 1 } };
        struct switcher_event ev = { .type = SWITCHER_OFFSETS, .readings = &reading, .reading_count = 1 };
        int i;

        r->fleet.spec.deadline_ms = 600000;
        r->deaf[SWITCHER_READ_OFFSETS] = true;
        order_give(r, order_of(ORDER_SWITCH));
        obey(r, 4);
        i = first_releasing(r);
        r->position[i] = reading.offset;
        speak(r, BLUE);
        reading.baton = i;
        ev.token = r->token[SWITCHER_READ_OFFSETS];
        if (what == 0) {
            tick(r, 15001); /* asked again meanwhile */
            assert_int_not_equal(r->token[SWITCHER_READ_OFFSETS], ev.token);
        } else if (what == 1)
            ev.failed = true;
        else if (what == 2)
            reading.failed = true;
        else if (what == 3) { /* who has read the table before the order, and owns it */
            struct report *report;

            member_add(r, BLUE);
            report = report_new(r, &r->members[2]);
            report->applied.epoch = 1;
            entry(report, i)->order = 1;
            hear(r, report);
        }
        r->deaf[SWITCHER_READ_OFFSETS] = what < 4;
        reign_step(r, ev);
        assert_int_equal(r->table[i].holder, what < 4 ? BLUE : GREEN);
        reign_free(r);
    }
}

/* Only who says that he has released is believed to have; a standby's times are of an older release. */
static void a_standby_has_released_nothing(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    i = switch_ordered(r);
    speak(r, GREEN);
    report = report_new(r, &r->members[BLUE]);
    for (int k = 0; k < PARTS; k++)
        entry(report, k)->local = LOCAL_STANDBY;
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    assert_int_equal(r->forth[i].released, OFFSET_NONE);
    reign_free(r);
}

/* Somebody else commits in the group: what was released and what stands there is told. */
static void a_foreign_commit_is_told(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    i = switch_ordered(r);
    speak(r, GREEN);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->position = 99;
    r->position[i] = 44;
    hear(r, report);
    assert_int_equal(r->s.op.cause, CAUSE_FOREIGN_COMMIT);
    assert_non_null(strstr(r->s.op.why, i == 0 ? "t/0: released at 20, but group f-blue has 44 committed"
                                               : "t/1: released at 21, but group f-blue has 44 committed"));
    reign_free(r);
}

/* On the way back a foreign commit turns nothing round: it is read again in a moment, until it is ours or the time is over. */
static void a_foreign_commit_on_the_way_back_is_read_again(void **state)
{
    struct reign *r = reign_new();
    int asked, i = 0;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    while (r->table[i].holder != GREEN)
        i++;
    r->mark[i] = (struct mark){ MARK_EPOCH, 999 };
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->table[i].holder, GREEN);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    r->now_ms = r->facts[i].retry_ms - 1;
    tick(r, 0);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    tick(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    r->mark[i].epoch = r->table[i].epoch;
    r->facts[i].retry_ms = 0;
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* A grant is taken by who answers it, not by who is at work by an older word. */
static void an_older_word_takes_no_grant(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    i = switch_ordered(r);
    speak(r, GREEN);
    speak(r, BLUE);
    report = report_new(r, &r->members[GREEN]);
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    assert_false(r->table[i].taken);
    speak(r, GREEN);
    assert_int_equal(r->table[i].state, RIGHT_HELD);
    reign_free(r);
}

/* A stage has passed when every partition is seen to flow; on the way back the receipt's figures are waited for three seconds. */
static void a_passage_is_proven_by_a_first_position(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[4];

    (void)state;
    r->no_first = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_PASSING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 1);
    assert_string_equal(who[0].who, "green");
    assert_string_equal(who[0].what, "takes 0 granted partitions, fetches the first of 2");
    r->no_first = false;
    obey(r, 2);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    r->no_first = true;
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    tick(r, 2800);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    tick(r, 300);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* On its way back a passage may still be proven: as long as its partition waits for a doubt, the receipt learns of it. */
static void a_passage_is_proven_on_the_way_back(void **state)
{
    struct reign *r = reign_new();
    struct progress p;
    int i = 0;

    (void)state;
    r->no_first = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    while (r->table[i].holder != GREEN)
        i++;
    assert_true(r->table[i].state == RIGHT_HELD && !r->forth[i].taken);
    for (int k = 0; k < PARTS; k++)
        r->table[k].doubt = k == i ? 500 : OFFSET_NONE;
    order_give(r, order_of(ORDER_ABORT));
    tick(r, 10);
    assert_int_equal(r->table[i].state, RIGHT_HELD);
    r->no_first = false;
    speak(r, GREEN);
    assert_true(r->forth[i].taken && !r->back[i].ordered);
    obey(r, 6);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.returned, 1);
    r->position[i] = 500;
    obey(r, 8);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.returned, 2);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* On the way back a partition that was granted and never taken is ordered at once; nobody waits for who does not come. */
static void who_never_took_it_is_not_waited_for(void **state)
{
    struct reign *r = reign_new();
    int granted = 0, ordered = 0;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    speak(r, GREEN);
    speak(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        granted += r->table[i].state == RIGHT_GRANTED;
    assert_int_equal(granted, 2);
    order_give(r, order_of(ORDER_ABORT));
    for (int i = 0; i < PARTS; i++)
        if (r->table[i].state == RIGHT_RELEASING) {
            ordered++;
            assert_true(r->back[i].ordered && r->back[i].order == r->table[i].order);
        }
    assert_int_equal(ordered, 2);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, BLUE);
        assert_int_equal(r->position[i], 20 + i);
    }
    reign_free(r);
}

/* --- doubts ------------------------------------------------------------------------------------------------------- */

/* Rule 10: waited for until the holder itself, at work under the present word, has committed beyond it; or listed. */
static void a_doubt_is_waited_for_or_listed(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct reign *r = reign_new();
        struct report *report;
        struct receipt_sum sum;
        int64_t scratch[2 * PARTS];
        struct waiting who[4];

        r->fleet.spec.on_doubt = how == 1 ? DOUBT_LIST : DOUBT_WAIT;
        r->fleet.spec.on_unreachable = how == 2 ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
        r->fleet.spec.deadline_ms = 60000;
        for (int i = 0; i < PARTS; i++)
            r->table[i].doubt = 50;
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        if (how == 0) {
            static const struct {
                int64_t committed, position;
                enum local_state local;
                int older;
            } not_yet[] = { { 49, 60, LOCAL_ACTIVE, 0 }, { 50, 60, LOCAL_RELEASED, 0 }, { 50, 60, LOCAL_ACTIVE, 1 } };

            for (size_t k = 0; k < ARRAY_COUNT(not_yet); k++) {
                report = report_new(r, &r->members[BLUE]);
                for (int i = 0; i < PARTS; i++) {
                    entry(report, i)->committed = not_yet[k].committed;
                    entry(report, i)->position = not_yet[k].position;
                    entry(report, i)->local = not_yet[k].local;
                    entry(report, i)->order -= (uint64_t)not_yet[k].older;
                }
                hear(r, report);
                for (int i = 0; i < PARTS; i++)
                    assert_int_equal(r->table[i].state, RIGHT_HELD);
                assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 1);
                assert_string_equal(who[0].who, "blue");
                assert_non_null(strstr(who[0].what, "does again on 2 partitions"));
            }
            for (int i = 0; i < PARTS; i++)
                r->position[i] = 50;
        }
        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        receipt_sum(&sum, &r->s.op, scratch);
        for (int i = 0; i < PARTS; i++)
            if (r->forth[i].grant) {
                assert_int_equal(r->forth[i].doubt, how == 0 ? OFFSET_NONE : 50);
                assert_int_equal(r->table[i].doubt, OFFSET_NONE);
            }
        assert_true(how == 0 ? sum.listed_repeats == 0 : sum.listed_repeats > 2 * (50 - 20 - PARTS));
        reign_free(r);
    }
}

/* It comes up while its partition is released: what is below it is let pass, what is beyond goes back to be done again. */
static void a_doubt_may_come_up_late(void **state)
{
    static const struct {
        bool list, began;
        int64_t doubt; /* it is released at 30 */
        bool granted;
        int64_t listed, left;
    } cases[] = {
        { false, true, 30, true, OFFSET_NONE, OFFSET_NONE },
        { false, true, 31, false, OFFSET_NONE, 31 },
        { true, true, 31, true, 31, OFFSET_NONE },
        { true, true, 30, true, OFFSET_NONE, OFFSET_NONE },
        { false, false, 99, true, OFFSET_NONE, OFFSET_NONE }, /* a start is committed before the first record */
        { true, false, 99, true, OFFSET_NONE, OFFSET_NONE },
        { false, true, 32, false, OFFSET_NONE, 32 }, /* begun, as its mark shows, and not heard of yet */
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(cases); k++) {
        struct reign *r = reign_new();
        int i;

        r->fleet.spec.on_doubt = cases[k].list ? DOUBT_LIST : DOUBT_WAIT;
        r->deaf[SWITCHER_READ_OFFSETS] = true;
        order_give(r, order_of(ORDER_SWITCH));
        obey(r, 2);
        i = first_releasing(r);
        for (int n = 0; n < PARTS; n++) {
            r->position[n] = r->table[n].from = 30;
            r->table[n].taken = cases[k].began && cases[k].doubt != 32;
            r->table[n].doubt = cases[k].doubt;
            if (!cases[k].began)
                r->mark[n] = (struct mark){ MARK_EPOCH, 0 };
        }
        r->deaf[SWITCHER_READ_OFFSETS] = false;
        speak(r, BLUE); /* where it stands now */
        r->facts[i].token = 0;
        r->facts[i].retry_ms = 0;
        tick(r, 10);
        assert_int_equal(r->table[i].state, cases[k].granted ? RIGHT_GRANTED : RIGHT_HELD);
        assert_int_equal(r->table[i].holder, cases[k].granted ? GREEN : BLUE);
        assert_int_equal(r->forth[i].doubt, cases[k].listed);
        assert_int_equal(r->table[i].doubt, cases[k].left);
        if (!cases[k].granted)
            assert_true(r->table[i].taken && r->table[i].order > r->table[i].epoch);
        reign_free(r);
    }
}

/* Of two of one color who say that they own it the newer word counts, whoever is heard last; with nobody, nothing is known. */
static void an_older_word_of_the_holder_is_none(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->fleet.spec.deadline_ms = 600000;
    i = switch_ordered(r);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->local = LOCAL_DRAINING;
    hear(r, report);
    report = report_new(r, &r->members[2]); /* released, by a word of before */
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->facts[i].owner[BLUE], 0);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    assert_int_equal(r->forth[i].drained_unix_us, 0);
    report = report_new(r, &r->members[BLUE]); /* the other one says nothing of this order either */
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    reign_free(r);
    r = reign_new();
    for (int k = 0; k < PARTS; k++) {
        r->members[BLUE].owns[k] = false;
        r->table[k].doubt = 50;
    }
    speak(r, BLUE);
    order_give(r, order_of(ORDER_PAUSE));
    for (int k = 0; k < PARTS; k++)
        assert_int_equal(r->table[k].state, RIGHT_HELD); /* nobody has passed the doubt */
    reign_free(r);
}

/* What is listed is written in the very step in which it leaves the document (I3). */
static void a_listed_doubt_is_written_with_its_grant(void **state)
{
    (void)state;
    for (int doubt = 0; doubt < 2; doubt++) {
        struct reign *r = reign_new();
        int i;

        r->fleet.spec.on_doubt = DOUBT_LIST;
        for (int n = 0; n < PARTS; n++)
            r->table[n].doubt = doubt ? 50 : OFFSET_NONE;
        i = switch_ordered(r);
        speak(r, GREEN);
        r->passes_written = false;
        speak(r, BLUE);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        assert_int_equal(r->passes_written, doubt);
        reign_free(r);
    }
}

/* --- replays ------------------------------------------------------------------------------------------------------ */

/* A replay begins where the other color had begun, and says so; back again, or without being asked for, nothing is repeated. */
static void a_replay_does_it_all_again(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_ROLLBACK);
    struct receipt_sum sum;
    int64_t scratch[2 * PARTS];

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    for (int stage = 0; stage < 2; stage++) {
        int in_second = 0;

        obey(r, 8);
        for (int i = 0; i < PARTS; i++)
            in_second += r->forth[i].stage == 1;
        assert_int_equal(in_second, 2); /* the receipt has it, too */
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++)
        r->position[i] = 90;
    o.replay = true;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, BLUE);
        assert_int_equal(r->forth[i].from, 20 + i);
        assert_int_equal(r->forth[i].committed, 90);
        assert_int_equal(r->forth[i].repeat_to, 90);
        assert_int_equal(r->back[i].replay_from, OFFSET_NONE);
    }
    receipt_sum(&sum, &r->s.op, scratch);
    assert_int_equal(sum.listed_repeats, 70 + 69 + 68 + 67);
    assert_int_equal(sum.gaps, 0);
    reign_free(r);
}

/* Asked to do again from 20 on, the color finds its group at or below that: there is nothing to do again, and nothing is left out. */
static void a_replay_never_leaves_anything_out(void **state)
{
    (void)state;
    for (int64_t at = 19; at < 22; at++) {
        struct reign *r = reign_new();
        struct order o = order_of(ORDER_ROLLBACK);

        for (int i = 0; i < PARTS; i++)
            r->position[i] = 20;
        speak(r, BLUE);
        order_give(r, order_of(ORDER_SWITCH));
        for (int stage = 0; stage < 2; stage++) {
            obey(r, 8);
            tick(r, 60000);
        }
        assert_int_equal(r->s.op.state, OP_COMPLETE);
        for (int i = 0; i < PARTS; i++)
            r->position[i] = at; /* an operator has reset the group, say */
        o.replay = true;
        assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
        obey(r, 8);
        for (int i = 0; i < PARTS; i++) {
            assert_int_equal(r->forth[i].from, at < 20 ? at : 20);
            assert_int_equal(r->forth[i].committed, at);
            assert_int_equal(r->forth[i].repeat_to, at > 20 ? at : OFFSET_NONE);
        }
        reign_free(r);
    }
}

/* --- the receipt -------------------------------------------------------------------------------------------------- */

/* The first to stop counts, and when it was heard first: nobody has worked on it since, however often that is said. */
static void a_standstill_begins_with_who_stopped_first(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int64_t stopped_us = 0;
    int i;

    (void)state;
    r->members[GREEN].silent = true;
    i = switch_ordered(r);
    report = report_new(r, &r->members[BLUE]); /* still at it */
    entry(report, i)->local = LOCAL_DRAINING;
    entry(report, i)->drained_unix_us = 0;
    hear(r, report);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    for (int k = 0; k < 3; k++) {
        r->now_ms += 10;
        stopped_us = stopped_us ? stopped_us : r->now_ms * 1000;
        report = report_new(r, &r->members[BLUE]);
        entry(report, i)->given_again = 2;
        hear(r, report);
    }
    r->members[GREEN].silent = false;
    obey(r, 4);
    assert_true(r->forth[i].taken);
    assert_int_equal(r->forth[i].release_heard_unix_us, stopped_us);
    assert_int_equal(r->forth[i].drained_unix_us, stopped_us);
    assert_int_equal(r->forth[i].stopped_unix_us, stopped_us);
    assert_int_equal(r->forth[i].released, r->forth[i].committed);
    assert_string_equal(r->forth[i].released_by, "blue0");
    assert_string_equal(r->forth[i].taken_by, "green1");
    assert_int_equal(r->forth[i].given_again, 2);
    reign_free(r);
}

/* One who had lost the partition and did not know tells of a release, too: its offset is not the receipt's. */
static void who_had_lost_it_says_nothing_of_its_end(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, BLUE);
    r->members[2].owns[0] = r->members[2].owns[1] = r->members[2].owns[2] = r->members[2].owns[3] = false;
    obey(r, 2);
    r->members[GREEN].silent = true;
    i = switch_ordered(r);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->committed = 15;
    hear(r, report);
    assert_int_equal(r->forth[i].released, 15);
    report = report_new(r, &r->members[BLUE]); /* now it knows */
    entry(report, i)->owned = false;
    entry(report, i)->local = LOCAL_STANDBY;
    hear(r, report);
    report = report_new(r, &r->members[2]);
    entry(report, i)->owned = true;
    hear(r, report);
    r->members[GREEN].silent = false;
    obey(r, 4);
    assert_int_equal(r->forth[i].committed, 20 + i);
    assert_int_equal(r->forth[i].released, OFFSET_NONE);
    assert_string_equal(r->forth[i].released_by, "");
    reign_free(r);
}

/* Of a release that a former reign has noted only that is believed which fits what was granted. */
static void an_older_release_is_none_of_this_grant(void **state)
{
    (void)state;
    for (int fits = 0; fits < 2; fits++) {
        struct reign *r = reign_new();
        struct report *report;
        int i;

        i = switch_ordered(r);
        speak(r, GREEN);
        speak(r, BLUE);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        memset(r->forth[i].released_by, 0, sizeof(r->forth[i].released_by));
        r->forth[i].grant = 0; /* what was noted went with the reign */
        report = report_new(r, &r->members[BLUE]);
        entry(report, i)->committed = 20 + i - !fits;
        entry(report, i)->local = LOCAL_RELEASED;
        entry(report, i)->drained_unix_us = 77;
        hear(r, report);
        speak(r, GREEN);
        assert_true(r->forth[i].taken && r->forth[i].ordered);
        assert_int_equal(r->forth[i].committed, 20 + i);
        assert_string_equal(r->forth[i].released_by, fits ? "blue0" : "");
        reign_free(r);
    }
}

/* The one before has ordered, and what it noted went with it: the next leader's receipt says the essence all the same. */
static void what_a_former_reign_ordered_stands_in_the_receipt(void **state)
{
    (void)state;
    for (int granted = 0; granted < 2; granted++) {
        struct reign *r = reign_new();
        uint64_t order;
        int i;

        r->fleet.spec.deadline_ms = 60000;
        i = switch_ordered(r);
        order = r->table[i].order;
        assert_true(r->forth[i].ordered && r->forth[i].order == order && !r->back[i].ordered);
        if (granted) {
            speak(r, GREEN);
            speak(r, BLUE);
            assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        }
        r->forth[i].ordered = false;
        r->forth[i].order = r->forth[i].grant = 0;
        r->forth[i].released = r->forth[i].committed = r->forth[i].from = OFFSET_NONE;
        r->forth[i].release_heard_unix_us = r->forth[i].drained_unix_us = 0;
        switcher_reign(&r->s, 5, r->now_ms, r->now_ms * 1000);
        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        assert_true(r->forth[i].ordered && r->forth[i].taken);
        assert_int_equal(r->forth[i].order, granted ? 0 : order);
        assert_int_equal(r->forth[i].grant, r->table[i].epoch);
        assert_int_equal(r->forth[i].from, 20 + i);
        assert_int_equal(r->forth[i].committed, 20 + i);
        assert_string_equal(r->forth[i].taken_by, "green1");
        reign_free(r);
    }
}

/* The first record lies beyond the start: retention has taken some, which the receipt says as soon as the log's start is known. */
static void what_retention_took_is_in_the_receipt(void **state)
{
    struct reign *r = reign_new();
    struct receipt_sum sum;
    int64_t scratch[2 * PARTS];

    (void)state;
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    r->fails[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1); /* it failed, and is not asked again at once */
    for (int what = 0; what < 4; what++) { /* of another question; unread; none; of a partition that is not there */
        const struct switcher_reading reading = { .baton = what == 3 ? PARTS : 0,
                                                  .offset = what == 2 ? OFFSET_NONE : 26,
                                                  .failed = what == 1 };

        r->deaf[SWITCHER_READ_STARTS] = true;
        tick(r, 1000);
        reign_step(r, (struct switcher_event){ .type = SWITCHER_STARTS,
                                               .token = r->token[SWITCHER_READ_STARTS] - (what == 0),
                                               .readings = &reading,
                                               .reading_count = 1 });
    }
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->forth[i].log_start, OFFSET_NONE);
    r->deaf[SWITCHER_READ_STARTS] = false;
    r->fails[SWITCHER_READ_STARTS] = false;
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 6);
    tick(r, 2000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 6); /* it is known */
    receipt_sum(&sum, &r->s.op, scratch);
    assert_int_equal(sum.passed, 2);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(pass_removed_to(&r->forth[i]), r->forth[i].grant ? 25 : OFFSET_NONE);
    reign_free(r);
}

/* What retention takes on the way back stands in the receipt, too, and is written. */
static void what_retention_takes_on_the_way_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 0);
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    r->deaf[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    r->deaf[SWITCHER_READ_STARTS] = false;
    r->passes_written = false;
    tick(r, 1000);
    assert_true(r->passes_written);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->back[i].log_start, r->back[i].taken ? 25 : OFFSET_NONE);
    reign_free(r);
}

/* What retention has taken of a log that begins at 0 is nothing, and asked for once. */
static void a_log_from_the_beginning_is_asked_for_once(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->starts = 0;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27; /* compaction, or a transaction's end */
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->forth[i].log_start, r->forth[i].taken ? 0 : OFFSET_NONE);
    tick(r, 1000);
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1);
    reign_free(r);
}

/* Committed offsets and a lost member's ends, asked in one step: neither list overwrites the other. */
static void offsets_and_ends_are_asked_side_by_side(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    r->ends = 30;
    member_add(r, BLUE);
    r->members[2].idle = true;
    obey(r, 2);
    r->fails[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, BLUE);
    speak(r, GREEN);
    r->members[2].idle = false;
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++) {
        entry(report, i)->owned = i == PARTS - 1;
        entry(report, i)->local = LOCAL_RELEASED;
    }
    hear(r, report);
    assert_true(r->asked[SWITCHER_READ_OFFSETS] == 1 && r->facts[0].retry_ms > r->now_ms);
    r->s.members[2].gone = true;
    r->fails[SWITCHER_READ_OFFSETS] = false;
    r->deaf[SWITCHER_READ_ENDS] = true;
    r->now_ms = r->facts[0].retry_ms - 1;
    tick(r, 1);
    assert_true(r->asked[SWITCHER_READ_OFFSETS] == 2 && r->asked[SWITCHER_READ_ENDS] == 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_PAUSED);
    reign_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_has_to_have_applied_the_order),
        cmocka_unit_test(the_reports_are_read_for_each_order),
        cmocka_unit_test(the_reports_are_read_until_they_are_read),
        cmocka_unit_test(a_step_has_one_epoch),
        cmocka_unit_test(an_order_of_nobody_is_taken_back),
        cmocka_unit_test(who_has_not_begun_is_not_ordered),
        cmocka_unit_test(a_new_order_asks_at_once),
        cmocka_unit_test(a_lost_answer_is_asked_for_again),
        cmocka_unit_test(two_questions_have_two_lists),
        cmocka_unit_test(what_is_read_back_is_looked_at),
        cmocka_unit_test(an_offset_is_believed_as_long_as_all_is_quiet),
        cmocka_unit_test(a_standby_has_released_nothing),
        cmocka_unit_test(a_foreign_commit_is_told),
        cmocka_unit_test(a_foreign_commit_on_the_way_back_is_read_again),
        cmocka_unit_test(an_older_word_takes_no_grant),
        cmocka_unit_test(a_passage_is_proven_by_a_first_position),
        cmocka_unit_test(a_passage_is_proven_on_the_way_back),
        cmocka_unit_test(who_never_took_it_is_not_waited_for),
        cmocka_unit_test(a_doubt_is_waited_for_or_listed),
        cmocka_unit_test(a_doubt_may_come_up_late),
        cmocka_unit_test(an_older_word_of_the_holder_is_none),
        cmocka_unit_test(a_listed_doubt_is_written_with_its_grant),
        cmocka_unit_test(a_replay_does_it_all_again),
        cmocka_unit_test(a_replay_never_leaves_anything_out),
        cmocka_unit_test(a_standstill_begins_with_who_stopped_first),
        cmocka_unit_test(who_had_lost_it_says_nothing_of_its_end),
        cmocka_unit_test(an_older_release_is_none_of_this_grant),
        cmocka_unit_test(what_a_former_reign_ordered_stands_in_the_receipt),
        cmocka_unit_test(what_retention_took_is_in_the_receipt),
        cmocka_unit_test(what_retention_takes_on_the_way_back),
        cmocka_unit_test(a_log_from_the_beginning_is_asked_for_once),
        cmocka_unit_test(offsets_and_ends_are_asked_side_by_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
