/*
 * test_claim - the leader's claim, told step by step. Its races with others are the simulation's (tests/sim).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/claim.h"

static enum claim_effect tell(struct claimant *c, enum claim_event_type type, int64_t now_ms)
{
    return claim_step(c, &(struct claim_event){ .type = type, .now_ms = now_ms, .number = c->number });
}

static enum claim_effect written(struct claimant *c, int64_t offset)
{
    return claim_step(c, &(struct claim_event){ .type = CLAIM_WRITTEN, .number = c->number, .offset = offset });
}

static enum claim_effect log_read(struct claimant *c, int64_t position, int64_t highest, bool ours)
{
    return claim_step(c, &(struct claim_event){
                             .type = CLAIM_LOG, .position = position, .highest = highest, .ours = ours });
}

/* Elected at 1000, its claim written at 7. */
static struct claimant with_claim(void)
{
    struct claimant c;

    claim_init(&c);
    assert_int_equal(tell(&c, CLAIM_ELECTED, 1000), CLAIM_ASK_LOG);
    assert_int_equal(tell(&c, CLAIM_CAUGHT_UP, 1010), CLAIM_APPEND);
    assert_int_equal(written(&c, 7), CLAIM_NOTHING);
    assert_int_equal(c.state, CLAIM_READ);
    assert_int_equal(c.term, 7);
    return c;
}

static void leads_with_the_offset_of_its_claim(void **state)
{
    struct claimant c = with_claim();

    (void)state;
    assert_true(claim_under_way(&c));
    assert_int_equal(tell(&c, CLAIM_ELECTED, 1020), CLAIM_NOTHING); /* told again */
    assert_int_equal(log_read(&c, 7, 3, false), CLAIM_NOTHING);     /* not up to it yet */
    assert_int_equal(log_read(&c, 8, 7, true), CLAIM_ASK_REPORTS);
    assert_int_equal(tell(&c, CLAIM_REPORTS_READ, 1030), CLAIM_LEAD);
    assert_int_equal(log_read(&c, 20, 7, true), CLAIM_NOTHING);
    assert_int_equal(tell(&c, CLAIM_TICK, 1000 + 2 * CLAIM_MS_MAX), CLAIM_NOTHING);
    assert_int_equal(c.state, CLAIM_LEADING);
    assert_int_equal(log_read(&c, 22, 21, false), CLAIM_STEP_DOWN);
    assert_non_null(strstr(c.why, "another controller"));
    assert_int_equal(c.term, -1);
}

static void a_higher_claim_wins_before_it_leads(void **state)
{
    struct claimant c = with_claim();

    (void)state;
    assert_int_equal(log_read(&c, 9, 8, false), CLAIM_STEP_DOWN);
    assert_int_equal(c.state, CLAIM_RESTING);
}

/* Brokers that lose what they have acknowledged: another's claim may stand at the very same offset. */
static void a_claim_that_is_not_there_begins_nothing(void **state)
{
    static const struct {
        int64_t highest;
        bool ours;
    } cases[] = { { 3, true }, { -1, false }, { 7, false } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct claimant c = with_claim();

        assert_int_equal(log_read(&c, 8, cases[i].highest, cases[i].ours), CLAIM_STEP_DOWN);
        assert_non_null(strstr(c.why, "lost it"));
    }
}

static void an_answer_to_an_earlier_reign_is_void(void **state)
{
    struct claimant c = with_claim();

    (void)state;
    assert_int_equal(tell(&c, CLAIM_LOST, 2000), CLAIM_STOP);
    assert_int_equal(tell(&c, CLAIM_LOST, 2000), CLAIM_NOTHING);
    assert_int_equal(tell(&c, CLAIM_FAILED, 2000), CLAIM_NOTHING); /* it has nothing to lose */
    assert_int_equal(c.state, CLAIM_NONE);
    assert_int_equal(tell(&c, CLAIM_ELECTED, 3000), CLAIM_ASK_LOG);
    assert_int_equal(tell(&c, CLAIM_CAUGHT_UP, 3010), CLAIM_APPEND);
    assert_int_equal(claim_step(&c,
                                &(struct claim_event){ .type = CLAIM_WRITTEN, .number = c.number - 1, .offset = 9 }),
                     CLAIM_NOTHING);
    assert_int_equal(c.state, CLAIM_WRITE);
    assert_int_equal(log_read(&c, 10, 9, true), CLAIM_NOTHING);
    assert_int_equal(written(&c, 10), CLAIM_NOTHING);
    assert_int_equal(tell(&c, CLAIM_CAUGHT_UP, 3020), CLAIM_NOTHING); /* asked once, answered twice */
    assert_int_equal(log_read(&c, 11, 10, true), CLAIM_ASK_REPORTS);
}

static void what_fails_rests_for_a_while(void **state)
{
    struct claimant c;

    (void)state;
    claim_init(&c);
    assert_int_equal(tell(&c, CLAIM_ELECTED, 1000), CLAIM_ASK_LOG);
    assert_int_equal(claim_step(&c,
                                &(struct claim_event){
                                    .type = CLAIM_CAUGHT_UP, .now_ms = 1100, .number = c.number, .failed = true }),
                     CLAIM_STEP_DOWN);
    assert_int_equal(tell(&c, CLAIM_TICK, 1100 + CLAIM_REST_MS - 1), CLAIM_NOTHING);
    assert_int_equal(c.state, CLAIM_RESTING);
    tell(&c, CLAIM_TICK, 1100 + CLAIM_REST_MS);
    assert_int_equal(c.state, CLAIM_NONE);

    assert_int_equal(tell(&c, CLAIM_ELECTED, 5000), CLAIM_ASK_LOG); /* and no answer at all */
    assert_int_equal(tell(&c, CLAIM_TICK, 5000 + CLAIM_MS_MAX), CLAIM_NOTHING);
    assert_int_equal(tell(&c, CLAIM_TICK, 5001 + CLAIM_MS_MAX), CLAIM_STEP_DOWN);
    assert_int_equal(tell(&c, CLAIM_LOST, 5002 + CLAIM_MS_MAX), CLAIM_NOTHING);
    assert_int_equal(c.state, CLAIM_RESTING);
    assert_int_equal(tell(&c, CLAIM_ELECTED, 5003 + CLAIM_MS_MAX), CLAIM_ASK_LOG); /* Kafka knows no rest */
}

/* Each election has a number of its own, an old reason is none of the next reign's, and the rules hold in each of its states. */
static void every_reign_begins_anew(void **state)
{
    struct claimant c = with_claim();
    uint64_t number = c.number;

    (void)state;
    assert_int_equal(log_read(&c, 8, 7, true), CLAIM_ASK_REPORTS);
    assert_true(claim_under_way(&c));
    assert_int_equal(log_read(&c, 9, 8, false), CLAIM_STEP_DOWN); /* while the reports are read, too */
    assert_int_equal(claim_step(&c, &(struct claim_event){ .type = CLAIM_REPORTS_READ, .number = number }),
                     CLAIM_NOTHING);
    assert_non_null(c.why);
    assert_false(claim_under_way(&c));
    assert_int_equal(tell(&c, CLAIM_ELECTED, 3000), CLAIM_ASK_LOG);
    assert_null(c.why);
    assert_int_equal(claim_step(&c, &(struct claim_event){ .type = CLAIM_CAUGHT_UP, .number = number }),
                     CLAIM_NOTHING); /* of the election before */
    assert_int_equal(c.state, CLAIM_CATCH_UP);
    assert_int_equal(tell(&c, CLAIM_FAILED, 3500), CLAIM_STEP_DOWN);
    assert_int_equal(c.state, CLAIM_RESTING);
    assert_int_equal(c.since_ms, 3500);
    assert_null(c.why); /* the shell knows */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leads_with_the_offset_of_its_claim),
        cmocka_unit_test(a_higher_claim_wins_before_it_leads),
        cmocka_unit_test(a_claim_that_is_not_there_begins_nothing),
        cmocka_unit_test(an_answer_to_an_earlier_reign_is_void),
        cmocka_unit_test(what_fails_rests_for_a_while),
        cmocka_unit_test(every_reign_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
