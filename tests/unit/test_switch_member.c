/*
 * test_switch_member - what the members say of each baton, how it is measured, and what it means that one is silent.
 */
#include <stdio.h>
#include <string.h>

#include "reign.h"

/* --- what they say ------------------------------------------------------------------------------------------------ */

/* Rule 13: of two reports with one number the first counts. */
static void a_report_counts_once(void **state)
{
    struct reign *r = reign_new();
    struct report *again = report_new(r, &r->members[BLUE]);

    (void)state;
    again->sequence--;
    again->ready = false;
    hear(r, again);
    assert_true(switcher_report(&r->s, "blue0")->ready);
    reign_free(r);
}

/* Where two say that they own a partition, the newer word counts: a grant is taken by who answers it. */
static void the_newer_word_counts(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, GREEN);
    obey(r, 2);
    i = switch_ordered(r);
    speak(r, 2);
    speak(r, GREEN);
    speak(r, BLUE);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    report = report_new(r, &r->members[GREEN]);
    entry(report, i)->order--; /* at work, but by an older word */
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    speak(r, GREEN);
    assert_int_equal(r->table[i].state, RIGHT_HELD); /* though the third member, heard before, says nothing of it yet */
    assert_true(r->table[i].taken);
    reign_free(r);
}

/* Rule 4: whoever says under the order that he is at work, or has a record in hand, keeps it; so does an older word. */
static void who_has_it_in_hand_keeps_it(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        struct reign *r = reign_new();
        struct report *report;
        int i;

        r->fleet.spec.deadline_ms = 60000;
        i = switch_ordered(r);
        report = report_new(r, &r->members[BLUE]);
        if (what == 0)
            entry(report, i)->local = LOCAL_ACTIVE;
        else if (what == 1)
            entry(report, i)->local = LOCAL_DRAINING;
        else if (what == 2) {
            entry(report, i)->owned = false; /* a left-over of a partition that was taken away */
            entry(report, i)->in_flight = 1;
        } else if (what == 3)
            entry(report, i)->order--;
        hear(r, report);
        speak(r, GREEN);
        tick(r, 1000);
        assert_int_equal(r->table[i].state, what < 4 ? RIGHT_RELEASING : RIGHT_GRANTED);
        speak(r, BLUE);
        tick(r, 1000);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        reign_free(r);
    }
}

/* Of several entries each counts: a doubt behind one that has none, one that stands already behind another. */
static void every_entry_of_a_report_counts(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    member_add(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        r->members[2].owns[i] = false;
    r->table[1].doubt = 70;
    report = report_new(r, &r->members[2]);
    entry(report, 1)->doubt = 60;
    entry(report, 2)->doubt = 22; /* the owner has committed that */
    entry(report, 3)->doubt = 60;
    hear(r, report);
    assert_int_equal(r->table[0].doubt, OFFSET_NONE);
    assert_int_equal(r->table[1].doubt, 70);
    assert_int_equal(r->table[2].doubt, OFFSET_NONE);
    assert_int_equal(r->table[3].doubt, 60);
    assert_true(r->head_written);
    report = report_new(r, &r->members[2]); /* the same again is nothing new */
    entry(report, 3)->doubt = 60;
    hear(r, report);
    assert_false(r->head_written);
    r->members[BLUE].owns[3] = false; /* nobody owns it: who tells a doubt has no opposite */
    speak(r, BLUE);
    report = report_new(r, &r->members[2]);
    entry(report, 3)->doubt = 61;
    hear(r, report);
    assert_int_equal(r->table[3].doubt, 61);
    report = report_new(r, &r->members[2]); /* of a partition that the fleet does not have */
    entry(report, 0)->partition = 77;
    entry(report, 0)->doubt = 99;
    entry(report, 1)->doubt = 71;
    hear(r, report);
    assert_int_equal(r->table[1].doubt, 71);
    reign_free(r);
}

/* A member that cannot be kept track of could be at work unseen: nothing is released any more. */
static void one_member_too_many_stops_everything(void **state)
{
    struct reign *r = reign_new();
    struct member crowd = { .exists = true, .report = { .color = GREEN, .ready = true, .report_interval_ms = 1000 } };

    (void)state;
    for (int i = 0; i < MEMBERS_MAX - 1; i++) {
        struct switcher_event ev = { .type = SWITCHER_REPORT };

        snprintf(crowd.report.incarnation, INCARNATION_MAX + 1, "crowd%d", i);
        ev.report = report_new(r, &crowd);
        reign_step(r, ev);
    }
    assert_true(r->s.members_overflow);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_REFUSED);
    assert_true(r->s.findings.total > 0);
    assert_true(r->s.findings.count == FINDINGS_MAX || /* so many are not listed that it may not have fitted in */
                strcmp(r->s.findings.items[r->s.findings.count - 1].code, "too-many-members") == 0);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    obey(r, 8);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_RELEASING);
    reign_free(r);
}

/* Rule 12: a doubt that a member tells is written, unless it is another color's, known, or committed by now. */
static void a_doubt_that_is_told_is_written(void **state)
{
    static const struct {
        enum color who;
        int64_t before, told, committed;
        bool newest; /* who has committed answers the present order */
        int64_t after;
    } cases[] = {
        { BLUE, OFFSET_NONE, 50, 20, true, 50 },
        { BLUE, 60, 50, 20, true, 60 },
        { BLUE, 40, 50, 20, true, 50 },
        { BLUE, OFFSET_NONE, 50, 50, true, OFFSET_NONE },
        { BLUE, OFFSET_NONE, 50, 49, true, 50 },
        { BLUE, OFFSET_NONE, 50, 50, false, 50 },
        { GREEN, OFFSET_NONE, 50, 20, true, OFFSET_NONE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();
        struct report *report;

        member_add(r, cases[i].who);
        r->members[2].owns[0] = false;
        report = report_new(r, &r->members[cases[i].who]);
        entry(report, 0)->committed = cases[i].committed;
        entry(report, 0)->order -= !cases[i].newest;
        hear(r, report);
        r->table[0].doubt = cases[i].before;
        report = report_new(r, &r->members[2]);
        entry(report, 0)->doubt = cases[i].told;
        hear(r, report);
        if (r->table[0].doubt != cases[i].after)
            fail_msg("line %zu: %lld", i, (long long)r->table[0].doubt);
        reign_free(r);
    }
}

/* Two hosts' clocks differ: a member's times are told by ours, as far as the way of its reports lets us know. */
static void a_members_clock_is_set_right(void **state)
{
    static const int64_t skews_us[] = { 0, 5000000, -7000000 };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(skews_us); k++) {
        struct reign *r = reign_new();

        order_give(r, order_of(ORDER_SWITCH));
        for (int round = 0; round < 8; round++) {
            for (int m = 0; m < 2; m++) {
                struct report *report = report_new(r, &r->members[m]);

                const int64_t way_us = round % 3 == 1 ? 1000 : 40000; /* the shortest ways tell most */

                report->sent_unix_us = r->now_ms * 1000 + skews_us[k] - way_us;
                report->heard_written_unix_us = r->fleet.written_unix_us;
                report->heard_unix_us = r->fleet.written_unix_us + skews_us[k] + way_us;
                for (int i = 0; i < report->part_count; i++) {
                    struct report_part *p = &report->parts[i];

                    p->stopped_unix_us += p->stopped_unix_us ? skews_us[k] : 0;
                    p->drained_unix_us += p->drained_unix_us ? skews_us[k] : 0;
                    p->attached_unix_us += p->attached_unix_us ? skews_us[k] : 0;
                    p->first_unix_us += p->first_unix_us ? skews_us[k] + 5 : 0;
                }
                reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
            }
            tick(r, 10);
        }
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        for (int i = 0; i < PARTS; i++)
            if (r->forth[i].taken) {
                assert_int_equal(r->forth[i].drained_unix_us, r->forth[i].release_heard_unix_us);
                assert_int_equal(r->forth[i].attached_unix_us, r->forth[i].take_heard_unix_us);
                assert_int_equal(r->forth[i].first_unix_us, r->forth[i].take_heard_unix_us + 5);
            }
        reign_free(r);
    }
}

/* A clock that may be ours is not corrected; a time that has not come is none by any clock. */
static void a_time_that_is_none_stays_none(void **state)
{
    static const struct {
        int64_t sent_us, heard_us, time_us, expected_us; /* all but the last by the member's clock; ours is 1 s */
    } cases[] = {
        { 1000000, 0, 900000, 900000 },    /* it may be the same */
        { 990000, 10000, 900000, 900000 }, /* with a way in between */
        { 990000, 0, 900000, 900000 },
        { 1000001, 11, 900000, 899994 },       /* a moment ahead */
        { 3000000, 2000000, 900000, -1100000 } /* two seconds ahead */
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(cases); k++)
        for (int none = 0; none < 2; none++) {
            struct reign *r = reign_new();
            struct report *report;
            int i;

            i = switch_ordered(r);
            speak(r, GREEN);
            report = report_new(r, &r->members[BLUE]);
            report->sent_unix_us = r->now_ms * 1000 - 1000000 + cases[k].sent_us;
            report->heard_written_unix_us = 500000;
            report->heard_unix_us = 500000 + cases[k].heard_us;
            entry(report, i)->stopped_unix_us = none ? 0 : cases[k].time_us;
            entry(report, i)->drained_unix_us = cases[k].time_us;
            hear(r, report);
            assert_int_equal(r->table[i].state, RIGHT_GRANTED);
            if (r->forth[i].drained_unix_us != cases[k].expected_us)
                fail_msg("case %zu: %lld", k, (long long)r->forth[i].drained_unix_us);
            assert_int_equal(r->forth[i].stopped_unix_us, none ? 0 : cases[k].expected_us);
            reign_free(r);
        }
}

/* How fast a holder moves on: over five seconds at least, the mean with what was known; what goes back begins anew. */
static void loads_are_measured_over_a_while(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->facts[i].load_known, false);
    r->members[BLUE].owns[0] = false; /* a standby's says nothing of a load, and those behind it still do */
    for (int i = 0; i < PARTS; i++)
        r->facts[i].load_ms = 0;
    speak(r, BLUE);
    assert_int_equal(r->facts[0].load_ms, 0);
    assert_int_equal(r->facts[1].load_ms, r->now_ms);
    r->now_ms += 4999;
    for (int i = 0; i < PARTS; i++)
        r->position[i] += 100 * i;
    speak(r, BLUE);
    assert_false(r->facts[1].load_known);
    r->now_ms += 1;
    speak(r, BLUE);
    assert_false(r->facts[0].load_known);
    for (int i = 1; i < PARTS; i++) {
        assert_true(r->facts[i].load_known);
        assert_int_equal(r->facts[i].load, 1200 * i); /* a minute */
    }
    r->now_ms += 10000;
    r->position[1] += 1000;
    r->position[2] -= 50; /* a reset */
    speak(r, BLUE);
    assert_int_equal(r->facts[1].load, (1200 + 6000) / 2);
    assert_int_equal(r->facts[2].load, 2400);
    assert_int_equal(r->facts[2].load_position, r->position[2]);
    assert_int_equal(r->facts[2].load_ms, r->now_ms);
    assert_int_equal(r->facts[3].load, 3600 / 2); /* it stood still */
    report = report_new(r, &r->members[BLUE]);
    entry(report, 1)->position = OFFSET_NONE;
    r->now_ms += 10000;
    hear(r, report);
    assert_int_equal(r->facts[1].load, 3600);
    reign_free(r);
}

/* Of a foreign fleet's agents one speaks for its color: the document says which, and of the other that it has been heard as well. */
static void which_agent_speaks_stands_in_the_document(void **state)
{
    enum { FIRST, AGAIN, NO_AGENT, OTHER_FLEET, GOODBYE, NEXT, LATE, LATER, EVENTS };
    static const struct {
        const char *client_id, *speaker, *rival;
        bool agent, foreign, goodbye, late, written;
    } cases[EVENTS] = {
        [FIRST] = { "a", "a", "", true, true, false, false, true },
        [AGAIN] = { "a", "a", "", true, true, false, false, false }, /* nothing new: nothing is written */
        [NO_AGENT] = { "b", "a", NULL, false, true, false, false, false },
        [OTHER_FLEET] = { "b", "a", "", true, false, false, false, false }, /* it is not foreign */
        [GOODBYE] = { "b", "a", NULL, true, true, true, false, false },
        [NEXT] = { "b", "b", "", true, true, false, false, true },
        [LATE] = { "a", "b", "a on h0", true, true, false, true, false }, /* it lives, too */
        [LATER] = { "b", "b", "a on h0", true, true, false, false, false },
    };
    struct reign *r = reign_new();
    char agent[INCARNATION_MAX + 1];

    (void)state;
    agent_incarnation(agent, r->fleet.spec.fleet, BLUE);
    for (int k = 0; k < EVENTS; k++) {
        struct report *report = report_new(r, &r->members[BLUE]);
        const uint64_t epoch = r->fleet.version.epoch;

        report->part_count = 0;
        r->fleet.spec.strategy = cases[k].foreign ? STRATEGY_FOREIGN : STRATEGY_SEPARATE_GROUPS;
        snprintf(report->client_id, sizeof(report->client_id), "%s", cases[k].client_id);
        snprintf(report->host, sizeof(report->host), "h0");
        snprintf(report->incarnation, sizeof(report->incarnation), "%s", cases[k].agent ? agent : "b0");
        report->goodbye = cases[k].goodbye;
        if (cases[k].late)
            report->sequence = 1;
        hear(r, report);
        assert_string_equal(r->fleet.speakers[BLUE], cases[k].speaker);
        assert_string_equal(r->fleet.speakers[GREEN], "");
        assert_int_equal(r->fleet.version.epoch - epoch, cases[k].written);
        if (cases[k].rival)
            assert_string_equal(switcher_report(&r->s, agent)->rival, cases[k].rival);
    }
    reign_free(r);
}

/* --- silence ------------------------------------------------------------------------------------------------------ */

/* Silent for more than twice its interval, somebody is looked for at once; else nobody is, in a quiet fleet. */
static void who_is_late_is_looked_for(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    tick(r, 10000);
    obey(r, 1);
    asked = r->asked[SWITCHER_READ_GROUPS];
    tick(r, 1980); /* not late yet */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 30); /* more than 2 s since they spoke */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    tick(r, 990);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 2); /* every second, as long as it lasts */
    obey(r, 1);
    order_give(r, order_of(ORDER_PAUSE));
    asked = r->asked[SWITCHER_READ_GROUPS];
    r->now_ms = r->s.groups_asked_ms;
    tick(r, 999);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 1); /* while something is under way, too */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    reign_free(r);
}

static void a_listing_that_does_not_come_is_asked_for_again(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    tick(r, 10000);
    r->deaf[SWITCHER_READ_GROUPS] = true;
    tick(r, 10000);
    asked = r->asked[SWITCHER_READ_GROUPS];
    tick(r, 14000);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 1001);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    reign_free(r);
}

/* A listing is as old as its question: whoever was missing in an answer that took its time was not missing since. */
static void an_old_listing_is_old(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->members[BLUE].silent = r->members[BLUE].unlisted = true;
    tick(r, 10000);
    r->deaf[SWITCHER_READ_GROUPS] = true;
    tick(r, 9000); /* asked now, less than gone_after since it was missed first */
    tick(r, 1000);
    assert_string_equal(r->forgotten, "");
    r->now_ms += 1500;
    read_groups(r);
    assert_string_equal(r->forgotten, "");
    r->deaf[SWITCHER_READ_GROUPS] = false;
    tick(r, 2000);
    assert_string_equal(r->forgotten, "blue0");
    reign_free(r);
}

/* In a group that is rebalancing, that cannot be read, or where it is listed again, nobody is gone. */
static void who_may_be_there_is_not_gone(void **state)
{
    static const int faults = 3;

    (void)state;
    for (int fault = 0; fault < faults; fault++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = r->members[BLUE].unlisted = true;
        for (int i = 0; i < 40; i++) {
            r->groups[BLUE].rebalancing = fault == 0;
            r->groups[BLUE].known = fault != 1;
            r->members[BLUE].unlisted = fault != 2 || i % 8 != 7;
            tick(r, 1000);
        }
        assert_string_equal(r->forgotten, "");
        reign_free(r);
    }
}

/* A broker that describes no groups: silence alone has to do. */
static void without_a_listing_silence_counts(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->groups[BLUE].known = r->groups[GREEN].known = false;
    r->groups[BLUE].unsupported = r->groups[GREEN].unsupported = true;
    r->members[BLUE].silent = true;
    for (int i = 0; i < 30; i++) {
        obey(r, 1);
        tick(r, 1000);
    }
    assert_string_equal(r->forgotten, "blue0");
    reign_free(r);
}

/* Gone is who was missing in two listings that were asked for gone_after apart, to the millisecond. */
static void who_is_gone_is_gone_at_his_time(void **state)
{
    (void)state;
    for (int late_ms = 0; late_ms < 2; late_ms++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = r->members[BLUE].unlisted = true;
        r->now_ms = r->s.groups_asked_ms = 20000;
        read_groups(r);
        r->now_ms = r->s.groups_asked_ms = 29999 + late_ms;
        read_groups(r);
        assert_string_equal(r->forgotten, late_ms ? "blue0" : "");
        reign_free(r);
    }
}

/* Rule 9: out of its group, seen so twice gone_after apart, and silent as long. */
static void who_is_gone_is_forgotten_after_his_time(void **state)
{
    struct reign *r = reign_new();
    const int64_t gone_after_ms = 10000;

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    obey(r, 1);
    read_groups(r); /* first seen so now */
    for (int64_t ms = 0; ms < gone_after_ms - 1000; ms += 1000) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "");
    for (int i = 0; i < 4; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    assert_null(switcher_report(&r->s, "blue2"));
    assert_true(switcher_still_forgets(&r->s, "blue2"));
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].doubt, 100); /* it may have worked up to there */
    r->members[2].silent = false;                 /* it was only asleep */
    speak(r, 2);
    assert_false(switcher_still_forgets(&r->s, "blue2"));
    assert_non_null(switcher_report(&r->s, "blue2"));
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "blue2"); /* the tombstone comes after it has spoken again */
    reign_free(r);
}

/* Its tombstone is read back: it is over, and what it said is not said again. Who has said goodbye is not looked for. */
static void who_is_forgotten_stays_forgotten(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "");
    for (int m = 0; m < MEMBERS_MAX; m++)
        assert_int_equal(r->s.members[m].used, m < 2);
    reign_free(r);
    r = reign_new();
    r->members[BLUE].report.goodbye = r->members[BLUE].unlisted = true;
    speak(r, BLUE);
    r->members[BLUE].silent = true;
    for (int i = 0; i < 30; i++)
        tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 0);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].doubt, OFFSET_NONE); /* it was done with everything */
    reign_free(r);
}

static void a_goodbye_is_the_last_word(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    member_add(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        r->members[2].owns[i] = false;
    r->members[2].report.goodbye = r->members[2].unlisted = true;
    speak(r, 2);
    assert_string_equal(r->forgotten, "blue2");
    assert_null(switcher_report(&r->s, "blue2"));
    r->members[2].silent = true;
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING); /* nobody waits for it */
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "");
    assert_true(switcher_still_forgets(&r->s, "nobody"));
    reign_free(r);
}

/* --- what it leads to --------------------------------------------------------------------------------------------- */

/* Rule 10: what a lost member owned or had in hand is read, of its own color's partitions only; back in time, it is not lost. */
static void what_a_lost_member_may_have_done_is_read(void **state)
{
    const struct switcher_reading failed = { .baton = 0, .offset = 1000 };
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    member_add(r, BLUE);
    obey(r, 1);
    r->table[3].holder = GREEN;
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = i == 1 || i == 3;
    entry(report, 0)->in_flight = 2;
    hear(r, report);
    r->members[2].silent = r->members[2].unlisted = true;
    r->deaf[SWITCHER_READ_ENDS] = true;
    for (int i = 0; i < 30 && !r->asked[SWITCHER_READ_ENDS]; i++)
        tick(r, 1000);
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 1); /* one question at a time */
    speak(r, 2);                                       /* it is back */
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = i == 1 || i == 3;
    entry(report, 0)->in_flight = 2;
    hear(r, report);
    r->deaf[SWITCHER_READ_ENDS] = true; /* gone again, and the ends cannot be read at first */
    for (int i = 0; i < 30 && r->asked[SWITCHER_READ_ENDS] < 2; i++)
        tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 2);
    r->deaf[SWITCHER_READ_ENDS] = false;
    r->table[1].doubt = 500; /* somebody may have done more */
    reign_step(r, (struct switcher_event){ .type = SWITCHER_ENDS,
                                           .token = r->token[SWITCHER_READ_ENDS],
                                           .failed = true,
                                           .readings = &failed,
                                           .reading_count = 1 });
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 3);
    assert_string_equal(r->forgotten, "blue2");
    assert_int_equal(r->table[0].doubt, 100);
    assert_int_equal(r->table[1].doubt, 500);
    assert_int_equal(r->table[2].doubt, OFFSET_NONE);
    assert_int_equal(r->table[3].doubt, OFFSET_NONE);
    reign_free(r);
}

/* A single partition of a lost member is read like many; a reading that fails in part is asked for again; each answer is its own. */
static void each_lost_member_is_read_by_itself(void **state)
{
    struct switcher_reading readings[] = { { .baton = 1, .offset = 60 }, { .baton = 2, .offset = 70, .failed = true } };
    struct switcher_event ev = { .type = SWITCHER_ENDS, .readings = readings, .reading_count = 2 };
    struct reign *r = reign_new();
    struct report *report;
    uint64_t first;

    (void)state;
    for (int m = 2; m < MEMBERS; m++) {
        member_add(r, BLUE);
        report = report_new(r, &r->members[m]);
        for (int i = 0; i < PARTS; i++)
            entry(report, i)->owned = i == m || (m == 3 && i == 1);
        hear(r, report);
    }
    r->deaf[SWITCHER_READ_ENDS] = r->deaf[SWITCHER_READ_GROUPS] = true;
    r->s.members[2].gone = r->s.members[3].gone = true;
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 1); /* of one partition */
    first = r->token[SWITCHER_READ_ENDS];
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 2);
    ev.token = r->token[SWITCHER_READ_ENDS];
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "");
    assert_int_equal(r->table[1].doubt, OFFSET_NONE);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 3);
    readings[1].failed = false;
    ev.token = r->token[SWITCHER_READ_ENDS];
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "blue3"); /* the other's question is still out */
    assert_int_equal(r->table[1].doubt, 60);
    assert_int_equal(r->table[2].doubt, 70);
    assert_non_null(switcher_report(&r->s, "blue2"));
    ev.token = first;
    ev.reading_count = 0;
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "blue2");
    reign_free(r);
}

/* A holder's member that goes while its color is asked turns the switch back; one that is fenced off does not. */
static void a_lost_member_turns_a_switch_back(void **state)
{
    (void)state;
    for (int fence = 0; fence < 2; fence++) {
        struct reign *r = reign_new();

        r->fleet.spec.on_unreachable = fence ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
        r->fleet.spec.deadline_ms = 60000;
        r->ends = 30;
        member_add(r, BLUE);
        for (int i = 0; i < PARTS; i++)
            r->members[2].owns[i] = false;
        obey(r, 2);
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        r->members[2].silent = r->members[2].unlisted = true;
        for (int i = 0; i < 30 && r->s.op.state == OP_PASSING; i++) {
            obey(r, 1);
            tick(r, 990);
        }
        assert_string_equal(r->forgotten, "blue2");
        assert_int_equal(r->s.op.state == OP_OBSERVING, fence);
        assert_int_equal(r->s.op.cause, fence ? CAUSE_NONE : CAUSE_MEMBER_GONE);
        assert_int_equal(strstr(r->s.op.why, "without a goodbye") != NULL, !fence);
        reign_free(r);
    }
}

/* Only who held what is passed, or holds what is observed, turns a switch back by going. */
static void whose_loss_turns_back_depends_on_when(void **state)
{
    (void)state;
    for (int observing = 0; observing < 2; observing++)
        for (int c = 0; c < COLOR_COUNT; c++) {
            struct reign *r = reign_new();
            const bool turns = observing ? c == GREEN : c == BLUE;

            r->fleet.spec.deadline_ms = 600000;
            r->fleet.spec.observe_ms = 600000;
            r->ends = 20;
            member_add(r, (enum color)c);
            r->members[2].idle = true;
            obey(r, 2);
            r->no_first = !observing;
            order_give(r, order_of(ORDER_SWITCH));
            obey(r, 8);
            assert_int_equal(r->s.op.state, observing ? OP_OBSERVING : OP_PASSING);
            r->members[2].silent = r->members[2].unlisted = true;
            for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
                obey(r, 1);
                tick(r, 990);
            }
            assert_non_null(strstr(r->forgotten, "2"));
            assert_int_equal(r->s.op.cause, turns ? CAUSE_MEMBER_GONE : CAUSE_NONE);
            reign_free(r);
        }
}

/* Who goes while a fleet is paused or waked turns nothing back: his partitions are paused all the same. */
static void a_lost_member_turns_no_pause_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fleet.spec.deadline_ms = 600000;
    r->ends = 20;
    member_add(r, BLUE);
    r->members[2].idle = true;
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    order_give(r, order_of(ORDER_PAUSE));
    for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    assert_int_equal(r->s.op.cause, CAUSE_NONE);
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    reign_free(r);
}

static void who_is_waited_for_is_told(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[8];
    struct progress p;
    struct report *report;

    (void)state;
    switcher_progress(&r->s, &p);
    assert_int_equal(p.total, 0);
    snprintf(r->members[BLUE].report.client_id, CLIENT_ID_MAX + 1, "payments");
    snprintf(r->members[BLUE].report.host, HOST_MAX + 1, "h1");
    r->table[0].doubt = 50; /* a lost member may have done so much */
    order_give(r, order_of(ORDER_SWITCH));
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS; i++)
        if (report->parts[i].local == LOCAL_RELEASED) {
            report->parts[i].local = LOCAL_DRAINING;
            report->parts[i].in_flight = 3;
        }
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
    assert_int_equal(switcher_waiting(&r->s, who, 8, r->now_ms) >= 2, true);
    assert_string_equal(who[0].who, "payments (blue, h1)");
    assert_non_null(strstr(who[0].what, "records in flight on"));
    assert_non_null(strstr(who[1].who, "green1"));
    assert_non_null(strstr(who[1].what, "has applied epoch"));
    assert_int_equal(switcher_waiting(&r->s, who, 1, r->now_ms), 1);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.total, 2);
    assert_true(p.ordered >= 1);
    r->position[0] = 50;
    obey(r, 8);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.taken, 2);
    assert_int_equal(p.granted + p.ordered + p.returned, 0);
    reign_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_counts_once),
        cmocka_unit_test(the_newer_word_counts),
        cmocka_unit_test(who_has_it_in_hand_keeps_it),
        cmocka_unit_test(every_entry_of_a_report_counts),
        cmocka_unit_test(one_member_too_many_stops_everything),
        cmocka_unit_test(a_doubt_that_is_told_is_written),
        cmocka_unit_test(a_members_clock_is_set_right),
        cmocka_unit_test(a_time_that_is_none_stays_none),
        cmocka_unit_test(loads_are_measured_over_a_while),
        cmocka_unit_test(which_agent_speaks_stands_in_the_document),
        cmocka_unit_test(who_is_late_is_looked_for),
        cmocka_unit_test(a_listing_that_does_not_come_is_asked_for_again),
        cmocka_unit_test(an_old_listing_is_old),
        cmocka_unit_test(who_may_be_there_is_not_gone),
        cmocka_unit_test(without_a_listing_silence_counts),
        cmocka_unit_test(who_is_gone_is_gone_at_his_time),
        cmocka_unit_test(who_is_gone_is_forgotten_after_his_time),
        cmocka_unit_test(who_is_forgotten_stays_forgotten),
        cmocka_unit_test(a_goodbye_is_the_last_word),
        cmocka_unit_test(what_a_lost_member_may_have_done_is_read),
        cmocka_unit_test(each_lost_member_is_read_by_itself),
        cmocka_unit_test(a_lost_member_turns_a_switch_back),
        cmocka_unit_test(whose_loss_turns_back_depends_on_when),
        cmocka_unit_test(a_lost_member_turns_no_pause_back),
        cmocka_unit_test(who_is_waited_for_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
