/*
 * test_record - every record of both topics has a key, and a term that can be told even of one that is broken; claims and orders on their
 * way. Documents, operations and reports: test_record_document, test_record_op, test_record_report; all of them bent: test_record_bent.
 */
#include <stdlib.h>
#include <string.h>

#include "record_world.h"

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
    static const struct {
        const char *text;
        bool control;
        struct record_key key;
    } keys[] = {
        { "term", true, { .kind = RECORD_TERM, .shard = -1 } },
        { "fleet/payments", true, { .kind = RECORD_HEAD, .fleet = "payments", .shard = -1 } },
        { "fleet/payments/batons/31", true, { .kind = RECORD_SHARD, .fleet = "payments", .shard = 31 } },
        { "switch/payments/4294967295",
          true,
          { .kind = RECORD_OP, .fleet = "payments", .number = 4294967295u, .shard = -1 } },
        { "switch/a-b/7/batons/0", true, { .kind = RECORD_PASSES, .fleet = "a-b", .number = 7 } },
        { "payments/0123456789abcdef",
          false,
          { .kind = RECORD_REPORT, .fleet = "payments", .id = "0123456789abcdef", .shard = -1 } },
        { "order/ci-run_7.1", false, { .kind = RECORD_ORDER, .id = "ci-run_7.1", .shard = -1 } },
        { "judge/payments/yardstick", false, { .kind = RECORD_YARDSTICK, .fleet = "payments", .shard = -1 } },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        struct record_key key;
        char text[RECORD_KEY_MAX];

        record_key_parse(&key, keys[i].text, strlen(keys[i].text), keys[i].control);
        assert_int_equal(key.kind, keys[i].key.kind);
        assert_string_equal(key.fleet, keys[i].key.fleet);
        assert_string_equal(key.id, keys[i].key.id);
        assert_int_equal(key.number, keys[i].key.number);
        assert_int_equal(key.shard, keys[i].key.shard);
        record_key_format(text, &key);
        assert_string_equal(text, keys[i].text);
    }
}

static void test_unknown_keys(void **state)
{
    static const char *const control[] = {
        "",
        "term/",
        "terms",
        "fleet",
        "fleet/",
        "fleet/Payments",
        "fleet/-a",
        "fleet/a/",
        "fleet/a/batons",
        "fleet/a/batons/32",
        "fleet/a/batons/-1",
        "fleet/a/batons/01",
        "fleet/a/batons/1/2",
        "fleet/a/judge/1",
        "switch/a",
        "switch/a/0",
        "switch/a/01",
        "switch/a/4294967296",
        "switch/a/1/batons",
        "switch/a/1/batons/32",
        "switch/a/+1",
        "switch/a/1 ",
        "member/a",
        "fleet/0123456789012345678901234567890123456789012345678901234567890123",
        "a/b/c/d/e/f/g",
    };
    static const char *const reports[] = { "",
                                           "payments",
                                           "payments/",
                                           "/x",
                                           "payments/a/b",
                                           "judge/PAY/yardstick",
                                           "order/",
                                           "order/a b",
                                           "PAY/x",
                                           "payments/0123456789012345678901234567890123456" };
    char longest[400];
    struct record_key key;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(control); i++) {
        record_key_parse(&key, control[i], strlen(control[i]), true);
        assert_int_equal(key.kind, RECORD_UNKNOWN);
        assert_string_equal(key.fleet, "");
    }
    for (size_t i = 0; i < ARRAY_COUNT(reports); i++) {
        record_key_parse(&key, reports[i], strlen(reports[i]), false);
        assert_int_equal(key.kind, RECORD_UNKNOWN);
    }
    memset(longest, 'a', sizeof(longest));
    record_key_parse(&key, longest, sizeof(longest), true);
    assert_int_equal(key.kind, RECORD_UNKNOWN);
    record_key_parse(&key, "term\0x", 6, true);
    assert_int_equal(key.kind, RECORD_UNKNOWN);
}

/* The longest of each kind fits into RECORD_KEY_MAX: format() asserts it. */
static void test_longest_keys(void **state)
{
    struct record_key key = { .number = UINT32_MAX, .shard = SHARDS_MAX - 1 };
    char text[RECORD_KEY_MAX];

    (void)state;
    memset(key.fleet, 'f', FLEET_NAME_MAX);
    memset(key.id, 'i', INCARNATION_MAX);
    for (int kind = 0; kind < RECORD_UNKNOWN; kind++) {
        struct record_key back;

        key.kind = (enum record_kind)kind;
        record_key_format(text, &key);
        record_key_parse(&back, text, strlen(text), kind < RECORD_REPORT);
        assert_int_equal(back.kind, kind);
    }
}

/* --- claims, and what every record has ---------------------------------------------------------------------------- */

static void test_claim(void **state)
{
    struct str text = new_text();
    struct errmsg m = { 0 };
    struct claim back;

    (void)state;
    assert_int_equal(claim_encode(&text, &a_claim, &m), ERR_OK);
    assert_string_equal(text.buf, "{\"format\":1,\"controller\":\"c0ffee\",\"host\":\"node-1\",\"address\":"
                                  "\"http://10.0.0.5:8080\",\"version\":\"0.1.0\",\"unix_ms\":1795363200000}");
    assert_int_equal(claim_decode(&back, text.buf, text.len, &m), ERR_OK);
    assert_string_equal(back.controller, "c0ffee");
    assert_string_equal(back.host, "node-1");
    assert_string_equal(back.address, "http://10.0.0.5:8080");
    assert_string_equal(back.version, "0.1.0");
    assert_true(back.unix_ms == a_claim.unix_ms);
    str_free(&text);
}

static void assert_claim_refused(const char *json, int code, const char *what)
{
    struct errmsg m = { 0 };
    struct claim back;

    assert_int_equal(claim_decode(&back, json, strlen(json), &m), code);
    if (!strstr(m.text, what))
        print_error("'%s' has no '%s'\n", m.text, what);
    assert_non_null(strstr(m.text, what));
}

#define CLAIM_REST "\"controller\":\"c\",\"host\":\"h\",\"address\":\"\",\"version\":\"1\",\"unix_ms\":1}"

static void test_broken_records(void **state)
{
    struct errmsg m = { 0 };
    struct claim back;
    char deep[2000];

    (void)state;
    assert_claim_refused("", ERR_CORRUPT, "it is empty");
    assert_claim_refused("{", ERR_CORRUPT, "not JSON: ");
    assert_claim_refused("[]", ERR_CORRUPT, "not a JSON object");
    assert_claim_refused("7", ERR_CORRUPT, "not JSON: ");
    assert_claim_refused("{}", ERR_CORRUPT, "format: a whole number is wanted, here is nothing");
    assert_claim_refused("{\"format\":\"1\"}", ERR_CORRUPT, "format: a whole number is wanted, here is a text");
    assert_claim_refused("{\"format\":1.0," CLAIM_REST, ERR_CORRUPT,
                         "format: a whole number is wanted, here is a number with a point");
    assert_claim_refused("{\"format\":0," CLAIM_REST, ERR_CORRUPT, "format: 0 is not from 1 to ");
    assert_claim_refused("{\"format\":1,\"format\":1," CLAIM_REST, ERR_CORRUPT, "duplicate");
    assert_claim_refused("{\"format\":2}", ERR_NEWER, "it is of format 2, this Baton reads formats up to 1");
    assert_claim_refused("{\"format\":1} x", ERR_CORRUPT, "not JSON: ");
    assert_claim_refused("{\"format\":1,\"controller\":\"\\u0000\"}", ERR_CORRUPT, "not JSON: ");
    assert_claim_refused("{\"format\":1,\"controller\":\"\xff\"}", ERR_CORRUPT, "not JSON: ");
    assert_claim_refused(
        "{\"format\":1,\"controller\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
        ERR_CORRUPT, "controller: 64 bytes, at most 63 are allowed");
    assert_claim_refused("{\"format\":9223372036854775808}", ERR_CORRUPT, "not JSON: ");
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(claim_decode(&back, deep, sizeof(deep), &m), ERR_CORRUPT);
    assert_non_null(strstr(m.text, "nested deeper than 12 levels"));
    /* What is not known is skipped. */
    assert_int_equal(claim_decode(&back, "{\"format\":1,\"new\":{\"a\":[1]}," CLAIM_REST,
                                  strlen("{\"format\":1,\"new\":{\"a\":[1]}," CLAIM_REST), &m),
                     ERR_OK);
}

static void test_too_large_a_record(void **state)
{
    struct errmsg m = { 0 };
    struct claim back;
    char *text = malloc(RECORD_BYTES_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', RECORD_BYTES_MAX + 1);
    text[0] = '{';
    text[RECORD_BYTES_MAX] = '}';
    assert_int_equal(claim_decode(&back, text, RECORD_BYTES_MAX + 1, &m), ERR_CORRUPT);
    assert_non_null(strstr(m.text, "more than the 921600 allowed"));
    free(text);
}

static void test_term(void **state)
{
    struct errmsg m = { 0 };
    int64_t term = 0;

    (void)state;
    assert_int_equal(record_term(&term, "{\"term\":9223372036854775807}", 28, &m), ERR_OK);
    assert_true(term == INT64_MAX);
    /* Of any format: whether a record is void must be known before whether it can be read. */
    assert_int_equal(record_term(&term, "{\"format\":9,\"term\":5,\"x\":{}}", 28, &m), ERR_OK);
    assert_int_equal(term, 5);
    assert_int_equal(record_term(&term, "{\"format\":1,\"term\":42,\"epoch\":3}", 32, &m), ERR_OK);
    assert_int_equal(term, 42);
    assert_int_equal(record_term(&term, "{\"format\":1,\"term\":9223372036854775807,\"epoch\":3}", 49, &m), ERR_OK);
    assert_true(term == INT64_MAX);
    assert_int_equal(record_term(&term, "{\"format\":1,\"term\":42.5,\"epoch\":3}", 34, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "{\"format\":1,\"term\":42", 21, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "{\"format\":1,\"term\":-4,\"epoch\":3}", 32, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "{\"format\":1}", 12, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "{\"term\":-1}", 11, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "{\"a\":{\"term\":1}}", 16, &m), ERR_CORRUPT);
    assert_int_equal(record_term(&term, "", 0, &m), ERR_CORRUPT);
}

/* --- on their way ------------------------------------------------------------------------------------------------- */

static void test_handed(void **state)
{
    struct handed h = { .method = "POST",
                        .path = "/v1/fleets/payments/switches",
                        .by = "ann",
                        .unix_ms = 1795363200000,
                        .patience_ms = 5000 };
    char body[] = "{\"to\": \"green\"}\n";
    struct handed back;
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    h.body = body;
    assert_int_equal(handed_encode(&text, &h, &m), ERR_OK);
    assert_int_equal(handed_decode(&back, text.buf, text.len, &m), ERR_OK);
    assert_false(back.is_answer);
    assert_string_equal(back.method, "POST");
    assert_string_equal(back.path, h.path);
    assert_string_equal(back.by, "ann");
    assert_string_equal(back.body, body);
    assert_true(back.unix_ms == h.unix_ms && back.patience_ms == 5000);
    free(back.body);
    str_clear(&text);
    h.is_answer = true;
    h.status = 409;
    h.body = NULL;
    assert_int_equal(handed_encode(&text, &h, &m), ERR_OK);
    assert_int_equal(handed_decode(&back, text.buf, text.len, &m), ERR_OK);
    assert_true(back.is_answer && back.status == 409 && !back.body);
    str_clear(&text);
    h.status = 99;
    assert_int_equal(handed_encode(&text, &h, &m), ERR_OK);
    assert_int_equal(handed_decode(&back, text.buf, text.len, &m), ERR_CORRUPT);
    assert_string_equal(m.text, "status: 99 is not from 100 to 599");
    body[0] = '\xff';
    h.body = body;
    assert_int_equal(handed_encode(&text, &h, &m), ERR_INVALID);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),  cmocka_unit_test(test_unknown_keys),   cmocka_unit_test(test_longest_keys),
        cmocka_unit_test(test_claim), cmocka_unit_test(test_broken_records), cmocka_unit_test(test_too_large_a_record),
        cmocka_unit_test(test_term),  cmocka_unit_test(test_handed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
