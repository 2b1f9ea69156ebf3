/* test_receipt - what a receipt sums up, and what it must never say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/op.h"

static void a_receipt_sums_up(void **state)
{
    struct pass forth[3], back[3];
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 3 };
    struct receipt_sum sum;
    int64_t scratch[6];

    (void)state;
    memset(forth, 0, sizeof(forth));
    memset(back, 0, sizeof(back));
    for (int i = 0; i < 3; i++) {
        back[i].doubt = back[i].repeat_to = OFFSET_NONE;
        forth[i] = (struct pass){ .ordered = true,
                                  .grant = 7,
                                  .committed = 50,
                                  .from = 50,
                                  .doubt = OFFSET_NONE,
                                  .repeat_to = OFFSET_NONE,
                                  .taken = true,
                                  .drained_unix_us = 1000,
                                  .attached_unix_us = 3000,
                                  .first_unix_us = 4000 + 1000 * i };
    }
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.passed, 3);
    assert_int_equal(sum.gaps, 0);
    assert_int_equal(sum.listed_repeats, 0);
    assert_int_equal(sum.standstill_us_p50, 4000);
    assert_int_equal(sum.standstill_us_max, 5000);
    forth[0].doubt = 53;
    forth[1].from = 40;
    forth[1].repeat_to = 50;
    forth[2].from = 51; /* never written by Baton: a gap must show */
    forth[2].first_unix_us = 0;
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.listed_repeats, 13);
    assert_int_equal(sum.gaps, 1);
    assert_int_equal(pass_standstill_us(&forth[2]), 2000); /* an empty partition stood still until it was attached */
}

/* The nearest rank of what is known, in whatever order; both ways count; what was ordered and never granted does not. */
static void a_receipt_sums_both_ways(void **state)
{
    static const int took_us[] = { 700, 100, 0, 900, 300, 500, 200, 800, 600, 400 };
    struct pass forth[10], back[10];
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 10 };
    struct receipt_sum sum;
    int64_t scratch[20];

    (void)state;
    for (int i = 0; i < 10; i++) {
        forth[i] = (struct pass){ .ordered = true,
                                  .grant = 7,
                                  .committed = 50,
                                  .from = 50,
                                  .first = 50,
                                  .log_start = OFFSET_NONE,
                                  .doubt = OFFSET_NONE,
                                  .repeat_to = OFFSET_NONE,
                                  .taken = true,
                                  .drained_unix_us = 1000,
                                  .first_unix_us = 1000 + took_us[i] };
        back[i] = (struct pass){ .log_start = OFFSET_NONE, .doubt = OFFSET_NONE, .repeat_to = OFFSET_NONE };
    }
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.ordered == 10 && sum.passed == 10 && sum.returned == 0 && sum.standstill_known == 10);
    assert_int_equal(sum.standstill_us_p50, 400);
    assert_int_equal(sum.standstill_us_p99, 900);
    assert_int_equal(sum.standstill_us_max, 900);
    for (int i = 0; i < 2; i++) {
        back[i] = forth[i];
        back[i].first_unix_us = 3000 + i;
    }
    back[0].from = 40; /* records 40 to 49 are done by both */
    back[0].repeat_to = 50;
    back[1].from = back[1].committed = 40;
    back[1].doubt = 44;
    back[1].log_start = 45; /* 40 to 44 had gone when it was fetched */
    back[1].first = 48;
    back[2].grant = 9; /* not ordered by this operation */
    back[2].doubt = 99;
    back[3].ordered = true; /* nor granted */
    back[3].doubt = 99;
    forth[4].from = 49; /* never written by Baton: back without being listed */
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.ordered == 10 && sum.passed == 10 && sum.returned == 3);
    assert_int_equal(sum.listed_repeats, 10 + 4);
    assert_int_equal(sum.removed, 5);
    assert_int_equal(sum.gaps, 1);
    assert_int_equal(sum.standstill_known, 12);
    assert_int_equal(sum.standstill_us_p50, 500);
    assert_int_equal(sum.standstill_us_max, 2001);
}

/* Clocks of two hosts, retention, numbers that somebody else wrote: a receipt never says what cannot be. */
static void a_receipt_says_nothing_that_cannot_be(void **state)
{
    struct pass p = { .taken = true, .drained_unix_us = 5000, .first_unix_us = 4000, .log_start = OFFSET_NONE };
    struct pass forth[2] = {
        { .ordered = true, .grant = 3, .committed = 1, .from = 1, .doubt = INT64_MAX, .repeat_to = OFFSET_NONE },
        { .ordered = true, .grant = 3, .committed = 1, .from = 1, .doubt = INT64_MAX - 1, .repeat_to = OFFSET_NONE }
    };
    struct pass back[2] = { { .ordered = true, .doubt = 9, .repeat_to = OFFSET_NONE }, /* never granted */
                            { .grant = 0, .doubt = 9 } };
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 2 };
    struct receipt_sum sum;
    int64_t scratch[4];

    (void)state;
    assert_int_equal(pass_standstill_us(&p), 0); /* the skew has turned it round */
    assert_int_equal(pass_heard_us(&p), -1);
    p.release_heard_unix_us = 7000;
    assert_int_equal(pass_heard_us(&p), -1);
    p.take_heard_unix_us = 9000;
    assert_int_equal(pass_heard_us(&p), 2000);
    p.drained_unix_us = 0;
    assert_int_equal(pass_standstill_us(&p), -1);
    p.taken = false;
    assert_int_equal(pass_heard_us(&p), -1);
    assert_int_equal(pass_standstill_us(&p), -1);
    p.from = 10;
    p.first = 20;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE); /* not known: the log's start was not read */
    p.log_start = 10;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE); /* compaction, or a transaction's end: nothing was removed */
    p.log_start = 15;
    assert_int_equal(pass_removed_to(&p), 15);
    p.log_start = 25; /* read later, when even more was gone */
    assert_int_equal(pass_removed_to(&p), 20);
    p.first = 10;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE);
    p.from = OFFSET_NONE;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE);
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.listed_repeats == INT64_MAX); /* and not beyond */
    assert_int_equal(sum.passed, 2);
    assert_int_equal(sum.returned, 0);
    assert_int_equal(sum.standstill_known, 0);
    assert_int_equal(sum.standstill_us_p99, -1);
    forth[0].committed = -7;
    forth[1].doubt = 1;
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.listed_repeats, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_sums_up),
        cmocka_unit_test(a_receipt_sums_both_ways),
        cmocka_unit_test(a_receipt_says_nothing_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
