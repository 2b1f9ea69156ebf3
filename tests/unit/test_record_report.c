/* test_record_report - a member's report: there and back, small when it can be, and refused when it is too large or broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record_world.h"

static void add_signals(struct report *r)
{
    r->signals = calloc(1, sizeof(*r->signals));
    assert_non_null(r->signals);
    signals_fail(r->signals, "time out/1", 3);
    signals_fail(r->signals, "schema", UINT64_C(1) << 40);
    histogram_add(&r->signals->processing, 0, 1);
    histogram_add(&r->signals->processing, 1500, 70000);
    histogram_add(&r->signals->processing, INT64_MAX, 2);
    histogram_add(&r->signals->metadata, 12000, 1);
}

static void check_signals(const struct report *a, const struct report *b)
{
    if (!a->signals) {
        assert_null(b->signals);
        return;
    }
    assert_non_null(b->signals);
    assert_memory_equal(a->signals, b->signals, sizeof(*a->signals));
    assert_string_equal(b->signals->failed[0].name, "time_out_1");
}

/* Of every second part, as long as a report has room. */
static void add_works(struct report *r)
{
    r->works = calloc(WORK_PARTS_MAX, sizeof(*r->works));
    assert_non_null(r->works);
    for (int i = 0; i < r->part_count && r->work_count < WORK_PARTS_MAX; i += 2) {
        struct part_work *w = &r->works[r->work_count++];

        *w = (struct part_work){ .topic = r->parts[i].topic, .partition = r->parts[i].partition };
        w->work.done = UINT32_MAX - (uint32_t)i;
        w->work.failed = (uint32_t)i;
        w->work.times[i % WORK_BUCKETS] = 1 + (uint32_t)i;
        w->work.times[WORK_BUCKETS - 1] = UINT32_MAX;
    }
}

static void check_works(const struct report *a, const struct report *b)
{
    assert_int_equal(a->work_count, b->work_count);
    for (int i = 0; i < a->work_count; i++) {
        assert_true(a->works[i].topic == b->works[i].topic && a->works[i].partition == b->works[i].partition);
        assert_memory_equal(&a->works[i].work, &b->works[i].work, sizeof(struct work));
    }
}

static void check_report(int topics, int parts)
{
    struct fleet *f = new_fleet(topics, 0);
    struct report *r = new_report(f, parts), *back = NULL;
    struct str text = new_text(), again = new_text();
    struct errmsg m = { 0 };

    if (parts % 2 == 0)
        add_signals(r);
    add_works(r);
    assert_int_equal(report_encode(&text, r, f, &m), ERR_OK);
    if (report_decode(&back, f, text.buf, text.len, &m) < 0)
        print_error("%s\n", m.text);
    assert_string_equal(m.text, "");
    assert_int_equal(back->part_count, parts);
    for (int i = 0; i < parts; i++) {
        const struct report_part *a = &r->parts[i], *b = &back->parts[i];

        assert_true(a->topic == b->topic && a->partition == b->partition && a->order == b->order &&
                    a->local == b->local);
        assert_true(a->owned == b->owned && a->position == b->position && a->committed == b->committed);
        assert_true(a->in_flight == b->in_flight && a->doubt == b->doubt && a->first == b->first);
        assert_int_equal(a->given_again, b->given_again);
        assert_true(a->stopped_unix_us == b->stopped_unix_us && a->drained_unix_us == b->drained_unix_us);
        assert_true(a->attached_unix_us == b->attached_unix_us && a->first_unix_us == b->first_unix_us);
    }
    check_signals(r, back);
    check_works(r, back);
    assert_string_equal(back->member_id, r->member_id);
    assert_true(back->sequence == (uint64_t)INT64_MAX && back->applied.term == 1042 && back->applied.epoch == 17);
    assert_int_equal(report_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    str_free(&text);
    str_free(&again);
    report_free(back);
    report_free(r);
    free_fleet(f);
}

static void test_report(void **state)
{
    (void)state;
    check_report(1, 0);
    check_report(1, 1);
    check_report(3, 64);
    check_report(1, 2000);
    check_report(32, 3000);
}

static void test_report_of_many_idle_is_small(void **state)
{
    struct fleet *f = new_fleet(1, 0);
    struct report *r = new_report(f, BATONS_MAX);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    for (int i = 0; i < BATONS_MAX; i++)
        r->parts[i] = (struct report_part){ .partition = i,
                                            .owned = true,
                                            .position = OFFSET_NONE,
                                            .committed = 1000000 + 3 * i,
                                            .doubt = OFFSET_NONE,
                                            .first = OFFSET_NONE };
    assert_int_equal(report_encode(&text, r, f, &m), ERR_OK);
    assert_true(text.len < 150 * 1024);
    str_free(&text);
    report_free(r);
    free_fleet(f);
}

/* One member with far too many busy partitions hears what to do, and no half record is written. */
static void test_report_too_large(void **state)
{
    struct fleet *f = new_fleet(1, 0);
    struct report *r = new_report(f, BATONS_MAX);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    for (int i = 0; i < BATONS_MAX; i++)
        r->parts[i].doubt = INT64_MAX - i;
    assert_int_equal(report_encode(&text, r, f, &m), ERR_TOO_LARGE);
    assert_non_null(strstr(m.text, "member payments-green-1 owns 16384 partitions: start more members: "));
    str_free(&text);
    report_free(r);
    free_fleet(f);
}

/* The member has read a document with one topic more than ours. */
/* Lists of work that nobody can have meant; the places of all four are in the sentence. */
static void test_report_of_broken_work(void **state)
{
    static const char *const broken[] = {
        "[[3,1]]",       "[[3,1,0,5]]", "[[3,1,0,80,1]]",    "[[3,1,0,5,1,5,1]]",
        "[[3,1,0,5,0]]", "[[-1,1,0]]",  "[[3,1,0],[3,1,0]]", "[[3,4294967296,0]]",
        "[3]",           "[[]]",
    };
    struct fleet *f = new_fleet(1, 0);
    struct errmsg m;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct report *r = new_report(f, 4), *back = NULL;
        struct str text = new_text();
        char work[200];

        assert_int_equal(report_encode(&text, r, f, &m), ERR_OK);
        snprintf(work, sizeof(work), ",\"work\":[{\"topic\":\"%s\",\"parts\":%s}]}", f->spec.topics[0], broken[i]);
        text.buf[--text.len] = '\0';
        str_add(&text, work);
        assert_int_equal(report_decode(&back, f, text.buf, text.len, &m), ERR_CORRUPT);
        assert_non_null(strstr(m.text, "work[0].parts"));
        report_free(r);
        str_free(&text);
    }
    free_fleet(f);
}

static void test_report_of_unknown_topics(void **state)
{
    struct fleet *f = new_fleet(3, 0);
    struct report *r = new_report(f, 30), *back = NULL;
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(report_encode(&text, r, f, &m), ERR_OK);
    f->spec.topic_count = 2;
    assert_int_equal(report_decode(&back, f, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(back->part_count, 20);
    for (int i = 0; i < 20; i++)
        assert_true(back->parts[i].topic < 2);
    report_free(back);
    f->spec.topic_count = 0;
    f->spec.fleet[0] = 0; /* no document yet: identity alone */
    assert_int_equal(report_decode(&back, f, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(back->part_count, 0);
    assert_string_equal(back->host, "10.0.0.7");
    report_free(back);
    str_free(&text);
    report_free(r);
    free_fleet(f);
}

/* A client id that is no UTF-8 must not make the member invisible. */
static void test_report_with_strange_names(void **state)
{
    struct fleet *f = new_fleet(1, 0);
    struct report *r = new_report(f, 0), *back = NULL;
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    memset(r->client_id, '\xff', CLIENT_ID_MAX);
    strcpy(r->host, "h\xc3\xb6st\x1b\xe2\x82");
    assert_int_equal(report_encode(&text, r, f, &m), ERR_OK);
    assert_int_equal(report_decode(&back, f, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(strspn(back->client_id, "?"), CLIENT_ID_MAX);
    assert_string_equal(back->host, "h\xc3\xb6st\x1b??");
    report_free(back);
    str_free(&text);
    report_free(r);
    free_fleet(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_report_of_many_idle_is_small),
        cmocka_unit_test(test_report_too_large),
        cmocka_unit_test(test_report_of_broken_work),
        cmocka_unit_test(test_report_of_unknown_topics),
        cmocka_unit_test(test_report_with_strange_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
