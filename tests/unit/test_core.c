/* test_core - the small pure parts one by one: marks, terms, windows, histograms, groups, failures by class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/burrow.h"
#include "core/replay.h"
#include "core/signals.h"
#include "core/terms.h"
#include "core/window.h"

/* --- marks, terms ------------------------------------------------------------------------------------------------- */

static void marks_are_read_back(void **state)
{
    static const struct {
        const char *text;
        struct mark mark;
    } cases[] = {
        { "baton/1 follow", { MARK_FOLLOW, 0 } },
        { "baton/1 epoch=0", { MARK_EPOCH, 0 } },
        { "baton/1 epoch=1", { MARK_EPOCH, 1 } },
        { "baton/1 epoch=01", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=9223372036854775807", { MARK_EPOCH, INT64_MAX } },
        { "", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=12x", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=-1", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=99999999999999999999", { MARK_FOREIGN, 0 } },
        { "baton/2 epoch=1", { MARK_FOREIGN, 0 } },
        { "somebody else's", { MARK_FOREIGN, 0 } },
    };
    char text[MARK_TEXT_MAX];

    (void)state;
    assert_int_equal(mark_parse("baton/1 epoch=7", sizeof("baton/1 epoch=7")).epoch,
                     7); /* the text's end comes along */
    assert_int_equal(mark_parse("baton/1 follow", sizeof("baton/1 follow")).kind, MARK_FOLLOW);
    assert_int_equal(mark_parse("\0", 1).kind, MARK_FOREIGN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct mark m = mark_parse(cases[i].text, strlen(cases[i].text));

        assert_int_equal(m.kind, cases[i].mark.kind);
        assert_int_equal(m.epoch, cases[i].mark.epoch);
        if (m.kind == MARK_FOREIGN)
            continue;
        mark_format(text, m);
        assert_string_equal(text, cases[i].text);
    }
}

static void a_dead_terms_record_is_void(void **state)
{
    struct terms t;

    (void)state;
    terms_init(&t);
    assert_true(terms_valid(&t, 3)); /* its claim was compacted away */
    terms_claim(&t, 10);
    assert_true(terms_valid(&t, 10));
    terms_claim(&t, 20);
    assert_false(terms_valid(&t, 10));
    assert_true(terms_valid(&t, 20));
    assert_false(terms_valid(&t, 19));
    terms_claim(&t, 10); /* told again by a log that is read from its beginning */
    assert_false(terms_valid(&t, 19));
    assert_true(terms_valid(&t, 21));
}

/* What a dead term's record hides is remembered key by key: a tombstone mends its own key and no other. */
static void a_tombstone_mends_its_own_key(void **state)
{
    const struct replay_key op_key = { REPLAY_OP, 1, -1 }, passes_key = { REPLAY_PASSES, 1, 0 };
    struct baton batons[1];
    struct fleet fleet;
    struct replay_op ops[4];
    struct replay_fleet f;
    struct terms t;
    struct replay_change done;
    int kept;

    (void)state;
    fleet_init(&fleet, batons, 1);
    replay_init(&f, &fleet, ops, 4);
    terms_init(&t);
    terms_claim(&t, 10);
    for (int order = 0; order < 2; order++) {
        const struct replay_key *first = order ? &op_key : &passes_key, *last = order ? &passes_key : &op_key;

        done = replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 10 });
        assert_int_equal(done.fate, REPLAY_KEPT);
        done.op->kept = &kept;
        replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_RECORD, .term = 3 });
        done = replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 3 });
        assert_int_equal(done.fate, REPLAY_VOID);
        assert_true(done.op->known);
        assert_true(replay_needs_heal(&f));
        done = replay_step(&f, &t, &(struct replay_record){ .key = *first, .what = REPLAY_TOMBSTONE });
        assert_int_equal(done.fate, REPLAY_GONE);
        assert_non_null(done.op);
        assert_ptr_equal(done.dropped, order ? &kept : NULL);
        assert_true(replay_needs_heal(&f));
        done = replay_step(&f, &t, &(struct replay_record){ .key = *last, .what = REPLAY_TOMBSTONE });
        assert_null(done.op);
        assert_ptr_equal(done.dropped, order ? NULL : &kept);
        assert_false(replay_needs_heal(&f));
        assert_int_equal(f.op_count, 0);
    }
    /* Of an operation that was never known, too. */
    replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_RECORD, .term = 3 });
    replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 3 });
    done = replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_TOMBSTONE });
    assert_non_null(done.op);
    assert_true(replay_needs_heal(&f));
    replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_TOMBSTONE });
    assert_int_equal(f.op_count, 0);
}

/* --- the window --------------------------------------------------------------------------------------------------- */

static void the_low_watermark_waits_for_the_slowest(void **state)
{
    struct window_slot slots[4] = { 0 };
    struct window w = { .slots = slots, .room = 4 };

    (void)state;
    window_reset(&w, 100);
    assert_int_equal(window_low(&w), 100);
    window_push(&w, 100);
    window_push(&w, 103); /* a gap: compaction */
    window_push(&w, 104);
    assert_true(window_done(&w, 103));
    assert_int_equal(window_low(&w), 100);
    assert_int_equal(window_high_done(&w), 104);
    assert_false(window_done(&w, 200)); /* nor that */
    assert_false(window_done(&w, 103)); /* twice */
    assert_false(window_done(&w, 101)); /* never delivered */
    assert_true(window_done(&w, 100));
    assert_int_equal(window_low(&w), 104);
    assert_true(window_done(&w, 104));
    assert_int_equal(window_low(&w), 105);
    assert_int_equal(w.open, 0);
}

static void the_last_one_goes_back_undone(void **state)
{
    struct window_slot slots[4] = { 0 };
    struct window w = { .slots = slots, .room = 4 };

    (void)state;
    window_reset(&w, 100);
    assert_false(window_take_back(&w, 100)); /* nothing is in flight */
    window_push(&w, 100);
    window_push(&w, 103);
    window_push(&w, 104);
    assert_false(window_take_back(&w, 103)); /* not the last */
    assert_true(window_take_back(&w, 104));
    assert_int_equal(w.position, 104);
    assert_true(window_done(&w, 103));
    assert_false(window_take_back(&w, 103)); /* done */
    assert_false(window_take_back(&w, 100)); /* a done one is behind it */
    assert_int_equal(window_low(&w), 100);
    window_push(&w, 104);
    assert_int_equal(w.open, 2);
}

static void a_full_window_takes_no_more(void **state)
{
    struct window_slot slots[2];
    struct window w = { .slots = slots, .room = 2 }, none = { .room = 0 };

    (void)state;
    window_reset(&w, 0);
    assert_false(window_done(&w, 0)); /* there is nothing in flight */
    assert_int_equal(window_high_done(&w), OFFSET_NONE);
    window_push(&w, 0);
    window_push(&w, 1);
    assert_true(window_full(&w));
    window_done(&w, 1);
    assert_true(window_full(&w)); /* 0 is still in flight, so 1 keeps its place */
    window_done(&w, 0);
    assert_false(window_full(&w));
    assert_true(window_full(&none)); /* no slots yet: nothing is delivered */
}

/* --- counts ------------------------------------------------------------------------------------------------------- */

static void a_histogram_has_its_ends(void **state)
{
    struct histogram h = { 0 }, old, since;

    (void)state;
    histogram_add(&h, 3, 1);
    histogram_add(&h, 100, 1);
    histogram_add(&h, INT64_MAX, 1); /* beyond the last bucket */
    assert_int_equal(histogram_quantile(&h, -1), histogram_bucket(3));
    assert_int_equal(histogram_quantile(&h, 0), histogram_bucket(3));
    assert_int_equal(histogram_quantile(&h, 0.34), histogram_bucket(100)); /* the second of three */
    assert_int_equal(histogram_quantile(&h, 1), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_quantile(&h, 2), HISTOGRAM_BUCKETS - 1);
    old = h;
    old.counts[histogram_bucket(3)] = 5; /* another process': fewer by now than before */
    assert_false(histogram_since(&since, &h, &old));
}

/* Of a group the worst partition counts; unknown is worse than good, and better than everything else. */
static void a_group_is_as_its_worst_partition(void **state)
{
    static const struct {
        enum burrow_status group, partition, worse;
    } cases[] = {
        { BURROW_OK, BURROW_OK, BURROW_OK },           { BURROW_OK, BURROW_UNKNOWN, BURROW_UNKNOWN },
        { BURROW_UNKNOWN, BURROW_OK, BURROW_UNKNOWN }, { BURROW_UNKNOWN, BURROW_WARN, BURROW_WARN },
        { BURROW_WARN, BURROW_UNKNOWN, BURROW_WARN },  { BURROW_OK, BURROW_STOP, BURROW_ERR },
        { BURROW_ERR, BURROW_WARN, BURROW_ERR },       { BURROW_WARN, BURROW_STALL, BURROW_ERR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(burrow_group_worse(cases[i].group, cases[i].partition), cases[i].worse);
}

static void failures_are_told_by_class_and_no_more_than_fit(void **state)
{
    static struct signals s, old, sum;
    char name[FAILURE_CLASS_MAX + 20];

    (void)state;
    signals_fail(&s, "java.io.IOException", 2);
    signals_fail(&s, "a b\nC-9_z\x80", 1);
    signals_fail(&s, "", 4);
    assert_string_equal(s.failed[0].name, "java.io.IOException");
    assert_string_equal(s.failed[1].name, "a_b_C-9_z_");
    assert_string_equal(s.failed[2].name, FAILURE_CLASS_OTHER);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    signals_fail(&s, name, 1);
    assert_int_equal(strlen(s.failed[3].name), FAILURE_CLASS_MAX);
    assert_int_equal(signals_failed(&s), 8);
    old = s;
    signals_fail(&s, "java.io.IOException", 3);
    signals_add_since(&sum, &s, &old);
    assert_int_equal(signals_failed(&sum), 3);
    old.failed[0].count = 100; /* a process that began anew: all of it is new */
    old.processing.sum_us = 9;
    memset(&sum, 0, sizeof(sum));
    histogram_add(&s.processing, 5, 2);
    signals_add_since(&sum, &s, &old);
    assert_int_equal(sum.failed[0].count, 5);
    assert_int_equal(histogram_count(&sum.processing), 2);
    memset(&s, 0, sizeof(s));
    for (int i = 0; i < FAILURE_CLASSES_MAX + 5; i++) {
        snprintf(name, sizeof(name), "class%d", i);
        signals_fail(&s, name, 1);
    }
    assert_int_equal(s.failed_count, FAILURE_CLASSES_MAX);
    assert_string_equal(s.failed[FAILURE_CLASSES_MAX - 1].name, FAILURE_CLASS_OTHER);
    assert_int_equal(s.failed[FAILURE_CLASSES_MAX - 1].count, 6);
    assert_int_equal(signals_failed(&s), FAILURE_CLASSES_MAX + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_read_back),
        cmocka_unit_test(a_dead_terms_record_is_void),
        cmocka_unit_test(a_tombstone_mends_its_own_key),
        cmocka_unit_test(the_low_watermark_waits_for_the_slowest),
        cmocka_unit_test(the_last_one_goes_back_undone),
        cmocka_unit_test(a_full_window_takes_no_more),
        cmocka_unit_test(a_histogram_has_its_ends),
        cmocka_unit_test(a_group_is_as_its_worst_partition),
        cmocka_unit_test(failures_are_told_by_class_and_no_more_than_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
