/*
 * test_record_bent - every kind of record with bytes changed, and with every number in it replaced by those that break arithmetic: it is
 * refused with a sentence, or read and then written the same.
 */
#include <stdlib.h>
#include <string.h>

#include "record_world.h"

#define MUTATIONS 10000

static uint64_t random_state;

/* A valid record of one kind, and how it is read and written again. */
struct subject {
    struct str good;
    void (*feed)(const char *json, size_t len);
};

static struct fleet *subject_fleet;
static struct doc *subject_doc;

/* What decodes, re-encodes; what that gives decodes again. */
static void feed_head(const char *json, size_t len)
{
    const struct record_key key = head_key();
    struct str again = new_text(), third = new_text();
    struct errmsg m = { 0 };

    if (fleet_decode(subject_doc, &key, NULL, json, len, &m) == ERR_OK) {
        if (subject_doc->kind == DOC_WHOLE) {
            assert_int_equal(fleet_encode(&again, &subject_doc->fleet, -1, &m), ERR_OK);
            assert_int_equal(fleet_decode(subject_doc, &key, NULL, again.buf, again.len, &m), ERR_OK);
            assert_int_equal(fleet_encode(&third, &subject_doc->fleet, -1, &m), ERR_OK);
            assert_string_equal(again.buf, third.buf);
        }
    } else {
        assert_string_not_equal(m.text, "");
    }
    str_free(&again);
    str_free(&third);
}

static void feed_shard(const char *json, size_t len)
{
    const struct record_key key = shard_key(1);
    struct errmsg m = { 0 };

    if (fleet_decode(subject_doc, &key, subject_fleet, json, len, &m) < 0) {
        assert_string_not_equal(m.text, "");
        return;
    }
    for (int i = 0; i < subject_doc->fleet.baton_count; i++) {
        const struct baton *b = &subject_doc->fleet.batons[i];

        assert_true(b->topic < subject_doc->fleet.spec.topic_count && b->partition >= 0 && b->from >= 0 &&
                    b->order >= b->epoch);
    }
}

static void feed_op(const char *json, size_t len)
{
    struct op op = { 0 }, back = { 0 };
    struct str again = new_text(), third = new_text();
    struct errmsg m = { 0 };

    if (op_decode(&op, json, len, &m) == ERR_OK) {
        assert_int_equal(op_encode(&again, &op, subject_fleet, &m), ERR_OK);
        assert_int_equal(op_decode(&back, again.buf, again.len, &m), ERR_OK);
        assert_int_equal(op_encode(&third, &back, subject_fleet, &m), ERR_OK);
        assert_string_equal(again.buf, third.buf);
    } else {
        assert_string_not_equal(m.text, "");
    }
    str_free(&again);
    str_free(&third);
}

static void feed_passes(const char *json, size_t len)
{
    struct op *op = new_op(40);
    struct str again = new_text();
    struct errmsg m = { 0 };

    op->pass_count = 0;
    if (passes_decode(op, 40, 0, json, len, &m) == ERR_OK) {
        op->number = 7;
        assert_int_equal(passes_encode(&again, op, 0, subject_fleet, &m), ERR_OK);
        assert_int_equal(passes_decode(op, 40, 0, again.buf, again.len, &m), ERR_OK);
    } else {
        assert_string_not_equal(m.text, "");
    }
    str_free(&again);
    free_op(op);
}

static void feed_report(const char *json, size_t len)
{
    struct report *r = NULL, *back = NULL;
    struct str again = new_text();
    struct errmsg m = { 0 };

    if (report_decode(&r, subject_fleet, json, len, &m) == ERR_OK) {
        assert_int_equal(report_encode(&again, r, subject_fleet, &m), ERR_OK);
        assert_int_equal(report_decode(&back, subject_fleet, again.buf, again.len, &m), ERR_OK);
        assert_int_equal(back->part_count, r->part_count);
        for (int i = 0; i < r->part_count; i++)
            assert_memory_equal(&r->parts[i], &back->parts[i], sizeof(r->parts[i]));
    } else {
        assert_string_not_equal(m.text, "");
    }
    str_free(&again);
    report_free(r);
    report_free(back);
}

static void feed_claim(const char *json, size_t len)
{
    struct claim claim;
    struct str again = new_text();
    struct errmsg m = { 0 };
    int64_t term;

    record_term(&term, json, len, NULL);
    if (claim_decode(&claim, json, len, &m) == ERR_OK) {
        assert_int_equal(claim_encode(&again, &claim, &m), ERR_OK);
        assert_int_equal(claim_decode(&claim, again.buf, again.len, &m), ERR_OK);
    }
    str_free(&again);
}

static void feed_handed(const char *json, size_t len)
{
    struct handed h;
    struct str again = new_text();
    struct errmsg m = { 0 };

    if (handed_decode(&h, json, len, &m) == ERR_OK) {
        assert_int_equal(handed_encode(&again, &h, &m), ERR_OK);
        free(h.body);
        assert_int_equal(handed_decode(&h, again.buf, again.len, &m), ERR_OK);
        free(h.body);
    }
    str_free(&again);
}

static void feed_key(const char *text, size_t len)
{
    struct record_key key;
    char again[RECORD_KEY_MAX];

    for (int control = 0; control < 2; control++) {
        record_key_parse(&key, text, len, control);
        if (key.kind == RECORD_UNKNOWN)
            continue;
        record_key_format(again, &key);
        assert_int_equal(strlen(again), len);
        assert_memory_equal(again, text, len);
    }
}

static uint64_t random_next(void) /* splitmix64: the same on every machine */
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int random_below(int n)
{
    return (int)(random_next() % (uint64_t)n);
}

/* One to three changes: a byte, a swapped digit, a piece taken out or doubled, a cut. */
static size_t mutate(char *ret, size_t room, const struct str *good)
{
    static const char likely[] = "\"{}[]:,0123456789-.e+ntf\\u \xff";
    size_t len = good->len;

    memcpy(ret, good->buf, len);
    for (int n = 1 + random_below(3); n > 0 && len > 1; n--) {
        const size_t at = (size_t)random_below((int)len);
        size_t piece = 1 + (size_t)random_below(12);

        if (piece > len - at)
            piece = len - at;
        switch (random_below(6)) {
        case 0:
            ret[at] = (char)random_next();
            break;
        case 1:
        case 2:
            ret[at] = likely[random_below(sizeof(likely) - 1)];
            break;
        case 3:
            memmove(ret + at, ret + at + piece, len - at - piece);
            len -= piece;
            break;
        case 4:
            if (len + piece > room)
                break;
            memmove(ret + at + piece, ret + at, len - at);
            len += piece;
            break;
        case 5:
            if (random_below(20) == 0)
                len = at;
            break;
        }
    }
    return len;
}

static void test_mutations(void **state)
{
    struct subject subjects[8] = { { new_text(), feed_head },   { new_text(), feed_shard },  { new_text(), feed_op },
                                   { new_text(), feed_passes }, { new_text(), feed_report }, { new_text(), feed_claim },
                                   { new_text(), feed_handed }, { new_text(), feed_key } };
    struct handed h = {
        .is_answer = true, .method = "GET", .path = "/v1/fleets", .status = 200, .body = (char[]){ "x" }
    };
    struct fleet *large = new_fleet(2, SHARD_BATONS + 20);
    struct op *op = new_op(40);
    struct report *report;
    struct errmsg m = { 0 };

    (void)state;
    random_state = 20261122;
    subject_fleet = new_fleet(2, 40);
    subject_doc = new_doc(SHARD_BATONS);
    report = new_report(subject_fleet, 40);
    fill_op(op);
    op->number = 7;
    for (int i = 0; i < 40; i += 3)
        fill_pass(&op->forth[i], i);
    assert_int_equal(fleet_encode(&subjects[0].good, subject_fleet, -1, &m), ERR_OK);
    assert_int_equal(fleet_encode(&subjects[1].good, large, 1, &m), ERR_OK);
    assert_int_equal(op_encode(&subjects[2].good, op, subject_fleet, &m), ERR_OK);
    assert_int_equal(passes_encode(&subjects[3].good, op, 0, subject_fleet, &m), ERR_OK);
    assert_int_equal(report_encode(&subjects[4].good, report, subject_fleet, &m), ERR_OK);
    assert_int_equal(claim_encode(&subjects[5].good, &a_claim, &m), ERR_OK);
    assert_int_equal(handed_encode(&subjects[6].good, &h, &m), ERR_OK);
    str_add(&subjects[7].good, "switch/payments/17/batons/3");
    for (size_t s = 0; s < ARRAY_COUNT(subjects); s++) {
        const size_t room = subjects[s].good.len + 64;
        char *text = malloc(room);

        assert_non_null(text);
        subjects[s].feed(subjects[s].good.buf, subjects[s].good.len);
        for (int i = 0; i < MUTATIONS / (int)ARRAY_COUNT(subjects); i++) {
            const size_t len = mutate(text, room, &subjects[s].good);
            char *exact = malloc(len ? len : 1); /* so that the sanitizer sees one byte too far */

            assert_non_null(exact);
            memcpy(exact, text, len);
            subjects[s].feed(exact, len);
            free(exact);
        }
        free(text);
        str_free(&subjects[s].good);
    }
    report_free(report);
    free_op(op);
    free_fleet(large);
    free_fleet(subject_fleet);
    free_doc(subject_doc);
}

/* Every number of every record replaced by the hard ones, and by other kinds. */
static void test_every_number(void **state)
{
    static const char *const hard[] = { "-1",
                                        "0",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "1.5",
                                        "null",
                                        "true",
                                        "\"x\"",
                                        "[]",
                                        "{}",
                                        "4294967296" };
    struct subject subjects[3] = { { new_text(), feed_head },
                                   { new_text(), feed_passes },
                                   { new_text(), feed_report } };
    struct report *report;
    struct op *op = new_op(8);
    struct errmsg m = { 0 };

    (void)state;
    subject_fleet = new_fleet(2, 40);
    subject_doc = new_doc(SHARD_BATONS);
    report = new_report(subject_fleet, 8);
    op->number = 7;
    for (int i = 0; i < 8; i++)
        fill_pass(&op->forth[i], i);
    assert_int_equal(fleet_encode(&subjects[0].good, subject_fleet, -1, &m), ERR_OK);
    assert_int_equal(passes_encode(&subjects[1].good, op, 0, subject_fleet, &m), ERR_OK);
    assert_int_equal(report_encode(&subjects[2].good, report, subject_fleet, &m), ERR_OK);
    for (size_t s = 0; s < ARRAY_COUNT(subjects); s++) {
        const char *good = subjects[s].good.buf;

        for (const char *p = good; *p; p++) {
            const size_t digits = strspn(p, "-0123456789");

            if (p == good || !strchr(":[,", p[-1]) || digits == 0)
                continue;
            for (size_t h = 0; h < ARRAY_COUNT(hard); h++) {
                struct str text = new_text();

                str_add_bytes(&text, good, (size_t)(p - good));
                str_add(&text, hard[h]);
                str_add(&text, p + digits);
                subjects[s].feed(text.buf, text.len);
                str_free(&text);
            }
        }
        str_free(&subjects[s].good);
    }
    report_free(report);
    free_op(op);
    free_fleet(subject_fleet);
    free_doc(subject_doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_every_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
