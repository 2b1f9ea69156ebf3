/*
 * test_record - every record of both topics: there and back, refused when broken, named when refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/check.h"
#include "wire/record.h"
#include "wire/spec.h"

#define MUTATIONS 10000

/* ---- worlds ---- */

static uint64_t random_state;

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

static struct str new_text(void)
{
    return STR_WITH_MAX(16 * 1024 * 1024);
}

static void fill_spec(struct spec *s, int topic_count)
{
    spec_defaults(s);
    strcpy(s->fleet, "payments");
    s->topic_count = topic_count;
    for (int i = 0; i < topic_count; i++)
        snprintf(s->topics[i], sizeof(s->topics[i]), "topic-%d", i);
    strcpy(s->colors[BLUE].group, "payments-blue");
    strcpy(s->colors[GREEN].group, "payments-green");
}

/* A fleet of `count` batons over `topics` topics, in an order that no sorting would give back. */
static struct fleet *new_fleet(int topics, int count)
{
    struct fleet *f = malloc(sizeof(*f));
    struct baton *batons = calloc(BATONS_MAX, sizeof(*batons));

    assert_true(f && batons);
    fleet_init(f, batons, BATONS_MAX);
    fill_spec(&f->spec, topics);
    f->version = f->applied = (struct version){ .term = INT64_MAX - 3, .epoch = (uint64_t)INT64_MAX };
    f->phase = PHASE_OBSERVING;
    f->active = GREEN;
    f->switch_number = 4294967295u;
    f->deadline_unix_ms = 1795363200000;
    f->written_unix_us = INT64_C(1795363200000000);
    strcpy(f->reason, "deploy \"4.2.0\"\n\xc3\xa4");
    f->exists = true;
    for (int i = 0; i < count; i++) {
        struct baton *b = &batons[i];

        b->topic = (uint16_t)(topics - 1 - i % topics);
        b->partition = i / topics;
        b->state = (enum right)((i / 7) % RIGHT_COUNT);
        b->holder = (enum color)((i / 5) % COLOR_COUNT);
        b->epoch = 1 + (uint64_t)(i / 50);
        b->order = i % 3 ? b->epoch : (uint64_t)INT64_MAX;
        b->taken = i % 3 != 1;
        b->from = i % 11 ? INT64_MAX - i : 0;
        b->doubt = i % 13 ? OFFSET_NONE : INT64_MAX;
    }
    f->baton_count = count;
    return f;
}

static void free_fleet(struct fleet *f)
{
    free(f->batons);
    free(f);
}

static struct doc *new_doc(int baton_max)
{
    struct doc *doc = calloc(1, sizeof(*doc));
    struct baton *batons = calloc((size_t)baton_max + 1, sizeof(*batons));

    assert_true(doc && batons);
    doc->fleet.batons = batons;
    doc->fleet.baton_max = baton_max;
    return doc;
}

static void free_doc(struct doc *doc)
{
    free(doc->fleet.batons);
    free(doc);
}

static struct record_key head_key(void)
{
    return (struct record_key){ .kind = RECORD_HEAD, .fleet = "payments", .shard = -1 };
}

static struct record_key shard_key(int shard)
{
    return (struct record_key){ .kind = RECORD_SHARD, .fleet = "payments", .shard = shard };
}

static void assert_same_baton(const struct baton *a, const struct baton *b)
{
    assert_int_equal(a->topic, b->topic);
    assert_int_equal(a->partition, b->partition);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->holder, b->holder);
    assert_true(a->from == b->from && a->epoch == b->epoch && a->order == b->order && a->doubt == b->doubt &&
                a->taken == b->taken);
}

/* ---- keys ---- */

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
    static const char *const reports[] = {
        "",          "payments",     "payments/",
        "/x",        "payments/a/b", "order/",
        "order/a b", "PAY/x",        "payments/0123456789012345678901234567890123456"
    };
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

/* ---- claims and what all records share ---- */

static const struct claim a_claim = { .controller = "c0ffee",
                                      .host = "node-1",
                                      .address = "http://10.0.0.5:8080",
                                      .version = "0.1.0",
                                      .unix_ms = 1795363200000 };

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

/* ---- documents ---- */

static void test_document_text(void **state)
{
    struct fleet *f = new_fleet(1, 0);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    strcpy(f->spec.topics[0], "orders");
    strcpy(f->reason, "deploy");
    f->version = (struct version){ .term = 1042, .epoch = 17 };
    f->switch_number = 6;
    f->baton_count = 6;
    for (int i = 0; i < 6; i++)
        f->batons[i] = (struct baton){ .partition = i,
                                       .state = RIGHT_HELD,
                                       .holder = GREEN,
                                       .from = i < 3 ? 100 + i : 0,
                                       .epoch = i < 3 ? 17 : 12,
                                       .order = 17,
                                       .taken = true,
                                       .doubt = i == 4 ? 9 : OFFSET_NONE };
    f->batons[5].partition = 9;
    assert_int_equal(fleet_encode(&text, f, -1, &m), ERR_OK);
    assert_non_null(strstr(
        text.buf,
        "{\"format\":1,\"term\":1042,\"epoch\":17,\"fleet\":\"payments\",\"phase\":\"observing\",\"active\":\"green\","
        "\"switch\":{\"number\":6,\"deadline_unix_ms\":1795363200000,\"reason\":\"deploy\"},"
        "\"written_unix_us\":1795363200000000,\"spec\":{\"fleet\":\"payments\",\"topics\":[\"orders\"],"));
    assert_non_null(strstr(text.buf, "\"baton_count\":6,\"batons\":["
                                     "{\"topic\":\"orders\",\"partitions\":\"0-2\",\"state\":\"held\",\"holder\":"
                                     "\"green\",\"epoch\":17,\"order\":17,\"from\":[100,101,102]},"
                                     "{\"topic\":\"orders\",\"partitions\":\"3-4\",\"state\":\"held\",\"holder\":"
                                     "\"green\",\"epoch\":12,\"order\":17,\"from\":0,\"doubt\":[null,9]},"
                                     "{\"topic\":\"orders\",\"partitions\":\"9\",\"state\":\"held\",\"holder\":"
                                     "\"green\",\"epoch\":12,\"order\":17,\"from\":0}]}"));
    str_free(&text);
    free_fleet(f);
}

static void assert_same_head(const struct fleet *a, const struct fleet *b)
{
    assert_memory_equal(&a->spec, &b->spec, sizeof(a->spec));
    assert_int_equal(version_compare(a->version, b->version), 0);
    assert_int_equal(version_compare(a->applied, b->applied), 0);
    assert_int_equal(a->phase, b->phase);
    assert_int_equal(a->active, b->active);
    assert_int_equal(a->switch_number, b->switch_number);
    assert_true(a->deadline_unix_ms == b->deadline_unix_ms && a->written_unix_us == b->written_unix_us);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->baton_count, b->baton_count);
}

static void check_whole(int topics, int count)
{
    struct fleet *f = new_fleet(topics, count);
    struct doc *doc = new_doc(SHARD_BATONS);
    const struct record_key key = head_key();
    struct str text = new_text();
    struct errmsg m = { 0 };

    assert_int_equal(fleet_encode(&text, f, -1, &m), ERR_OK);
    if (fleet_decode(doc, &key, NULL, text.buf, text.len, &m) < 0)
        print_error("%s\n", m.text);
    assert_string_equal(m.text, "");
    assert_int_equal(doc->kind, DOC_WHOLE);
    assert_int_equal(version_compare(doc->version, f->version), 0);
    assert_true(doc->fleet.exists);
    assert_same_head(f, &doc->fleet);
    for (int i = 0; i < count; i++)
        assert_same_baton(&f->batons[i], &doc->fleet.batons[i]);
    str_free(&text);
    free_doc(doc);
    free_fleet(f);
}

static void test_whole_document(void **state)
{
    (void)state;
    check_whole(1, 0);
    check_whole(1, 1);
    check_whole(1, 12);
    check_whole(3, 64);
    check_whole(32, SHARD_BATONS);
}

/* The largest fleet: a head, 32 shards, put together by the core as a member does. */
static void test_sharded_document(void **state)
{
    struct fleet *f = new_fleet(3, BATONS_MAX), *copy = new_fleet(1, 0);
    struct doc *doc = new_doc(SHARD_BATONS);
    struct errmsg m = { 0 };

    (void)state;
    fleet_init(copy, copy->batons, BATONS_MAX);
    for (int shard = SHARDS_MAX - 1; shard >= -1; shard--) {
        const struct record_key key = shard < 0 ? head_key() : shard_key(shard);
        struct str text = new_text();

        assert_int_equal(fleet_encode(&text, f, shard, &m), ERR_OK);
        assert_true(text.len < RECORD_BYTES_MAX / 4);
        if (fleet_decode(doc, &key, shard % 2 ? copy : NULL, text.buf, text.len, &m) < 0)
            print_error("%s\n", m.text);
        assert_string_equal(m.text, "");
        assert_int_equal(doc->kind, shard < 0 ? DOC_HEAD : DOC_SHARD);
        assert_int_equal(fleet_apply(copy, doc), DOC_APPLIED);
        str_free(&text);
    }
    assert_same_head(f, copy);
    for (int i = 0; i < BATONS_MAX; i++)
        assert_same_baton(&f->batons[i], &copy->batons[i]);
    fleet_check(copy);
    free_doc(doc);
    free_fleet(copy);
    free_fleet(f);
}

/* Names of full length, no two batons alike, the largest numbers: still well below the bound. */
static void test_worst_document_fits(void **state)
{
    struct fleet *f = new_fleet(TOPICS_MAX, SHARD_BATONS + 1);
    struct errmsg m = { 0 };

    (void)state;
    for (int i = 0; i < TOPICS_MAX; i++) {
        memset(f->spec.topics[i], 'a' + i % 26, TOPIC_NAME_MAX);
        f->spec.topics[i][0] = (char)('A' + i % 26);
        f->spec.topics[i][1] = (char)('0' + i / 26);
    }
    memset(f->reason, '\x01', REASON_MAX);
    for (int i = 0; i <= SHARD_BATONS; i++) {
        f->batons[i].epoch = (uint64_t)INT64_MAX - (uint64_t)i - 1;
        f->batons[i].order = (uint64_t)INT64_MAX;
        f->batons[i].from = f->batons[i].doubt = INT64_MAX - i;
    }
    for (int count = SHARD_BATONS; count <= SHARD_BATONS + 1; count++) {
        struct str text = new_text();

        f->baton_count = count;
        assert_int_equal(fleet_encode(&text, f, count > SHARD_BATONS ? 0 : -1, &m), ERR_OK);
        assert_true(text.len < RECORD_BYTES_MAX / 2);
        str_free(&text);
    }
    free_fleet(f);
}

static void test_tombstone(void **state)
{
    const struct record_key head = head_key(), shard = shard_key(2);
    struct doc *doc = new_doc(4);
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(fleet_decode(doc, &head, NULL, "", 0, &m), ERR_OK);
    assert_int_equal(doc->kind, DOC_GONE);
    assert_false(doc->fleet.exists);
    assert_int_equal(fleet_decode(doc, &shard, NULL, NULL, 0, &m), ERR_OK);
    assert_int_equal(doc->kind, DOC_GONE);
    assert_int_equal(doc->shard, 2);
    free_doc(doc);
}

/* Replaces the first `from` in a good document by `to` and expects the sentence. */
static void assert_document_refused(int shard, const char *from, const char *to, int code, const char *what)
{
    const struct record_key key = shard < 0 ? head_key() : shard_key(shard);
    struct fleet *f = new_fleet(2, shard < 0 ? 8 : SHARD_BATONS + 8);
    struct doc *doc = new_doc(shard < 0 ? 8 : 20);
    struct str good = new_text(), bad = new_text();
    struct errmsg m = { 0 };
    const char *at;
    int r;

    f->version = f->applied = (struct version){ .term = 5, .epoch = 1000 };
    for (int i = 0; i < f->baton_count; i++)
        f->batons[i] = (struct baton){ .topic = (uint16_t)(i % 2),
                                       .partition = i / 2,
                                       .holder = BLUE,
                                       .epoch = 3,
                                       .order = 4,
                                       .taken = true,
                                       .from = 10 + i,
                                       .doubt = i == 3 ? 99 : OFFSET_NONE };
    assert_int_equal(fleet_encode(&good, f, shard, &m), ERR_OK);
    at = strstr(good.buf, from);
    if (!at)
        print_error("'%s' is not in %s\n", from, good.buf);
    assert_non_null(at);
    str_add_bytes(&bad, good.buf, (size_t)(at - good.buf));
    str_add(&bad, to);
    str_add(&bad, at + strlen(from));
    r = fleet_decode(doc, &key, f, bad.buf, bad.len, &m);
    if (r != code || !strstr(m.text, what))
        print_error("%d: '%s' instead of '%s'\n", r, m.text, what);
    assert_int_equal(r, code);
    assert_non_null(strstr(m.text, what));
    str_free(&good);
    str_free(&bad);
    free_doc(doc);
    free_fleet(f);
}

static void test_broken_documents(void **state)
{
    (void)state;
    assert_document_refused(-1, "\"format\":1", "\"format\":2", ERR_NEWER, "format 2");
    assert_document_refused(-1, "\"term\":5", "\"term\":-5", ERR_CORRUPT, "term: -5 is not from 0");
    assert_document_refused(-1, "\"fleet\":\"payments\"", "\"fleet\":\"refunds\"", ERR_CORRUPT,
                            "fleet: it is not 'payments', as the key says");
    assert_document_refused(-1, "\"observing\"", "\"dreaming\"", ERR_CORRUPT,
                            "phase: 'dreaming' is none of the names known here");
    assert_document_refused(-1, "\"switch\":{", "\"switch\":7,\"x\":{", ERR_CORRUPT,
                            "switch: an object is wanted, here is a whole number");
    assert_document_refused(-1, "\"number\":4294967295", "\"number\":4294967296", ERR_CORRUPT,
                            "switch.number: 4294967296 is not from 0 to 4294967295");
    assert_document_refused(-1, "\"spec\":{\"fleet\":\"payments\"", "\"spec\":{\"fleet\":\"refunds\"", ERR_CORRUPT,
                            "spec.fleet: it is not that of the record");
    assert_document_refused(-1, "\"observe\":\"10s\"", "\"observe\":\"10\"", ERR_CORRUPT,
                            "spec: switch.observe: \"10\" is not a duration");
    assert_document_refused(-1, "\"baton_count\":8", "\"baton_count\":9", ERR_TOO_LARGE,
                            "9 batons, there is room for 8");
    assert_document_refused(-1, "\"baton_count\":8", "\"baton_count\":7", ERR_CORRUPT,
                            "batons: 8 batons where baton_count says 7");
    assert_document_refused(-1, "\"baton_count\":8", "\"baton_count\":16385", ERR_CORRUPT,
                            "baton_count: 16385 is not from 0 to 16384");
    assert_document_refused(-1, "\"batons\":[", "\"batons\":[7,", ERR_CORRUPT,
                            "batons[0].topic: a text is wanted, here is nothing");
    assert_document_refused(-1, "\"topic\":\"topic-1\"", "\"topic\":\"other\"", ERR_CORRUPT,
                            "batons[1].topic: 'other' is none of the fleet's topics");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"0-\"", ERR_CORRUPT,
                            "batons[0].partitions: '0-' is no range");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"3-2\"", ERR_CORRUPT, "is no range");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"00\"", ERR_CORRUPT, "is no range");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"16384\"", ERR_CORRUPT,
                            "is no range such as 0-11 below 16384");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"0-512\"", ERR_CORRUPT,
                            "513 partitions, at most 512 are allowed here");
    assert_document_refused(-1, "\"partitions\":\"0\"", "\"partitions\":\"1\"", ERR_CORRUPT,
                            "batons[2].partitions: topic-0/1 stands there twice");
    assert_document_refused(-1, "\"state\":\"held\"", "\"state\":\"hold\"", ERR_CORRUPT, "batons[0].state: 'hold'");
    assert_document_refused(-1, "\"holder\":\"blue\"", "\"holder\":null", ERR_CORRUPT,
                            "batons[0].holder: a text is wanted, here is null");
    assert_document_refused(-1, "\"epoch\":3", "\"epoch\":0", ERR_CORRUPT, "batons[0].epoch: 0 is not from 1 to 1000");
    assert_document_refused(-1, "\"epoch\":3", "\"epoch\":1001", ERR_CORRUPT,
                            "batons[0].epoch: 1001 is not from 1 to 1000");
    assert_document_refused(-1, "\"order\":4", "\"order\":2", ERR_CORRUPT, "batons[0].order: 2 is not from 3 to 1000");
    assert_document_refused(-1, "\"from\":10", "\"from\":-10", ERR_CORRUPT, "batons[0].from: -10 is not from 0");
    assert_document_refused(-1, "\"from\":10", "\"from\":null", ERR_CORRUPT, "batons[0].from: partition 0 has none");
    assert_document_refused(-1, "\"from\":10", "\"from\":[10,11]", ERR_CORRUPT,
                            "batons[0].from: 2 items, at most 1 are allowed");
    assert_document_refused(-1, "\"from\":10", "\"from\":[]", ERR_CORRUPT, "batons[0].from: 0 items for 1 partitions");
    assert_document_refused(-1, "\"from\":10", "\"from\":[true]", ERR_CORRUPT,
                            "batons[0].from[0]: a whole number is wanted, here is true or false");
    assert_document_refused(-1, "\"doubt\":99", "\"doubt\":\"99\"", ERR_CORRUPT,
                            "batons[3].doubt: a whole number is wanted, here is a text");
    assert_document_refused(1, "\"shard\":1", "\"shard\":0", ERR_CORRUPT, "shard: it is not 1, as the key says");
    assert_document_refused(1, "[\"topic-0\"", "[\"topic-9\"", ERR_CORRUPT, "topics[0]: the head has 'topic-0' there");
    assert_document_refused(1, "[\"topic-0\"", "[\"topic-1\"", ERR_CORRUPT, "topics[0]: the head has 'topic-0' there");
    assert_document_refused(1, "\"batons\":[", "\"batons\":[],\"x\":[", ERR_CORRUPT, "batons: there is none");
    assert_document_refused(1, "\"partitions\":\"256\"", "\"partitions\":\"300-400\"", ERR_TOO_LARGE,
                            "more than 20 batons");
}

/* A newer Baton of the same format may add fields, in the spec too. */
static void test_document_skips_unknown(void **state)
{
    assert_document_refused(-1, "\"term\":5", "\"mood\":[{}],\"term\":5", ERR_OK, "");
    assert_document_refused(-1, "\"spec\":{", "\"spec\":{\"soothsayer\":{\"metric\":\"lag\"},\"a.b\":1,", ERR_OK, "");
    assert_document_refused(-1, "\"topic\":", "\"mood\":1,\"topic\":", ERR_OK, "");
    (void)state;
}

/* ---- operations ---- */

static struct op *new_op(int count)
{
    struct op *op = calloc(1, sizeof(*op));

    assert_non_null(op);
    op->forth = calloc((size_t)count + 1, sizeof(struct pass));
    op->back = calloc((size_t)count + 1, sizeof(struct pass));
    assert_true(op->forth && op->back);
    for (int i = 0; i < count; i++) {
        const struct pass none = { .released = OFFSET_NONE,
                                   .committed = OFFSET_NONE,
                                   .from = OFFSET_NONE,
                                   .first = OFFSET_NONE,
                                   .doubt = OFFSET_NONE,
                                   .repeat_to = OFFSET_NONE,
                                   .replay_from = OFFSET_NONE };

        op->forth[i] = op->back[i] = none;
    }
    op->pass_count = count;
    return op;
}

static void free_op(struct op *op)
{
    free(op->forth);
    free(op->back);
    free(op);
}

static void fill_op(struct op *op)
{
    op->number = 4294967295u;
    op->kind = OP_ROLLBACK;
    op->state = OP_NEEDS_OPERATOR;
    op->from = GREEN;
    op->to = BLUE;
    op->replay = true;
    op->of_number = 41;
    op->stages = (struct stages){ .items = { { STAGE_NUMBER, 1, 0 }, { STAGE_NAMES, 2, 0 }, { STAGE_SHARE, 100, 2 } },
                                  .count = 3,
                                  .names = { { 0, 7 }, { 1, 0 } },
                                  .name_count = 2 };
    op->by_hand = true;
    op->keep = 4;
    op->by_signal = true;
    strcpy(op->steered, "ci-8");
    op->stage = 2;
    op->observe_ms = 30000;
    op->deadline_ms = INT64_MAX;
    op->on_unreachable = UNREACHABLE_FENCE;
    op->on_doubt = DOUBT_LIST;
    memset(op->reason, '"', REASON_MAX);
    memset(op->by, 'b', BY_MAX);
    strcpy(op->request_id, "ci-7");
    strcpy(op->version_from, "4.1.9");
    strcpy(op->version_to, "4.2.0");
    op->created_unix_ms = 1795363200000;
    op->ended_unix_ms = 1795363260000;
    op->stage_began_unix_ms = 3;
    op->deadline_unix_ms = 4;
    op->cause = CAUSE_FOREIGN_COMMIT;
    strcpy(op->why, "somebody else commits into payments-blue");
    op->epoch_first = 17;
    op->epoch_last = (uint64_t)INT64_MAX;
}

static void fill_pass(struct pass *p, int i)
{
    p->ordered = true;
    p->taken = i % 2;
    p->order = (uint64_t)INT64_MAX;
    p->grant = (uint64_t)INT64_MAX - (uint64_t)i;
    p->released = p->committed = p->from = INT64_MAX - i;
    p->first = i % 3 ? OFFSET_NONE : INT64_MAX;
    p->doubt = i % 5 ? OFFSET_NONE : INT64_MAX;
    p->repeat_to = i % 7 ? OFFSET_NONE : INT64_MAX;
    p->replay_from = i % 4 ? OFFSET_NONE : i;
    snprintf(p->released_by, sizeof(p->released_by), "%036d", i % 4);
    snprintf(p->taken_by, sizeof(p->taken_by), "%036d", 1000 + i);
    p->stopped_unix_us = INT64_MAX;
    p->drained_unix_us = INT64_MAX - 1;
    p->attached_unix_us = INT64_MAX - 2;
    p->first_unix_us = i % 3 ? 0 : INT64_MAX - 3;
    p->release_heard_unix_us = INT64_MAX - 4;
    p->take_heard_unix_us = INT64_MAX - 5;
}

static void assert_same_pass(const struct pass *a, const struct pass *b)
{
    assert_true(a->ordered == b->ordered && a->taken == b->taken && a->order == b->order && a->grant == b->grant);
    assert_true(a->released == b->released && a->committed == b->committed && a->from == b->from &&
                a->first == b->first);
    assert_true(a->doubt == b->doubt && a->repeat_to == b->repeat_to && a->replay_from == b->replay_from);
    assert_string_equal(a->released_by, b->released_by);
    assert_string_equal(a->taken_by, b->taken_by);
    assert_true(a->stopped_unix_us == b->stopped_unix_us && a->drained_unix_us == b->drained_unix_us);
    assert_true(a->attached_unix_us == b->attached_unix_us && a->first_unix_us == b->first_unix_us);
    assert_true(a->release_heard_unix_us == b->release_heard_unix_us && a->take_heard_unix_us == b->take_heard_unix_us);
}

static void test_op(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct pass *forth = back->forth;
    struct str text = new_text(), again = new_text();
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_ptr_equal(back->forth, forth);
    assert_int_equal(back->pass_count, 3);
    assert_string_equal(back->reason, op->reason);
    assert_string_equal(back->by, op->by);
    assert_true(back->deadline_ms == INT64_MAX && back->epoch_last == (uint64_t)INT64_MAX);
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    str_free(&text);
    str_free(&again);
    free_op(op);
    free_op(back);
    free_fleet(f);
}

/* What the judge leaves to the next one comes back as it went, and is not kept longer than it is needed. */
static void test_op_kept(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct str text = new_text(), again = new_text();
    struct judge_kept *k = &op->kept;
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    op->state = OP_OBSERVING;
    *k = (struct judge_kept){ .known = true,
                              .stage = 2,
                              .begun = true,
                              .evidence = true,
                              .steady = true,
                              .after_ms = INT64_MAX,
                              .evidence_ms = 1,
                              .splits = 7,
                              .backlog = 1e14,
                              .records = 1234567,
                              .errors = 12,
                              .timed = 5,
                              .slow = 4,
                              .seconds = 0.25,
                              .rate_max = 1e6,
                              .bet_count = JUDGE_KEPT_MAX };
    for (int i = 0; i < JUDGE_KEPT_MAX; i++) {
        memset(k->bets[i].name, 'a', SIGNAL_NAME_MAX);
        k->bets[i].looks = i;
        k->bets[i].bet = (struct judge_bet){ .usable = i % 2,
                                             .bucket = HISTOGRAM_BUCKETS - 1 - i,
                                             .share = i == 3 ? NAN : 0.015625 * i,
                                             .tolerated = 0.5,
                                             .design = 1 + i,
                                             .log_stakes = { -700, 0.5, i },
                                             .log_promote = -1.25,
                                             .n = 1e9,
                                             .late_x = i };
    }
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_true(back->kept.known && back->kept.bet_count == JUDGE_KEPT_MAX && back->kept.after_ms == INT64_MAX);
    assert_true(isnan(back->kept.bets[3].bet.share) && back->kept.bets[4].bet.log_stakes[2] == 4);
    back->kept.bets[3].bet.share = k->bets[3].bet.share; /* no two NANs are the same */
    assert_memory_equal(&back->kept, k, sizeof(*k));
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    assert_true(text.len < 16384);
    op->state = OP_COMPLETE;
    str_clear(&text);
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_null(strstr(text.buf, "\"kept\""));
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_false(back->kept.known);
    str_free(&text);
    str_free(&again);
    free_op(op);
    free_op(back);
    free_fleet(f);
}

/* The judge's word comes back as it went, with what could not be known. */
static void test_op_verdict(void **state)
{
    struct fleet *f = new_fleet(1, 3), *other = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct str text = new_text(), again = new_text();
    struct judge_evidence *e = op->verdict.metrics;
    const struct record_key key = head_key();
    struct doc *doc = new_doc(3);
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    op->judge = JUDGE_AUTO;
    op->held = op->judged = true;
    op->verdict = (struct judge_verdict){
        .verdict = VERDICT_WORSE, .rule = RULE_EVIDENCE, .after_ms = 1234, .looks = 7, .metric_count = 2
    };
    snprintf(op->verdict.sentence, sizeof(op->verdict.sentence), "error_rate: 12 of 100 records failed");
    e[0] = (struct judge_evidence){
        .name = "error_rate", .state = METRIC_WORSE, .votes = true, .records = 100, .bad = 12
    };
    e[0].observed = 0.12;
    e[0].expected = e[1].expected = e[1].observed = NAN;
    e[0].e_value = 1.0142320547e304;
    snprintf(e[1].name, sizeof(e[1].name), "lag");
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_true(back->held && back->judged && back->judge == JUDGE_AUTO);
    assert_int_equal(back->verdict.metric_count, 2);
    assert_true(back->verdict.metrics[0].observed == 0.12 && isnan(back->verdict.metrics[1].observed));
    assert_string_equal(back->verdict.sentence, op->verdict.sentence);
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);

    f->version = f->applied = (struct version){ .term = 5, .epoch = 1000 };
    for (int i = 0; i < f->baton_count; i++)
        f->batons[i].epoch = f->batons[i].order = 3;
    fleet_failed_add(f, "", 3); /* no label, no memory */
    for (uint32_t i = 1; i <= 6; i++) {
        char version[8];

        snprintf(version, sizeof(version), "v%u", i);
        fleet_failed_add(f, version, i);
    }
    fleet_failed_add(f, "v5", 9);
    str_clear(&text);
    assert_int_equal(fleet_encode(&text, f, -1, &m), ERR_OK);
    assert_int_equal(fleet_decode(doc, &key, other, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(doc->fleet.failed_count, FAILED_MAX);
    assert_string_equal(doc->fleet.failed[0].version, "v5");
    assert_int_equal(doc->fleet.failed[0].number, 9);
    assert_int_equal(fleet_failed(&doc->fleet, "v4"), 2);
    assert_int_equal(fleet_failed(&doc->fleet, "v2"), -1);
    str_free(&text);
    str_free(&again);
    free_doc(doc);
    free_op(op);
    free_op(back);
    free_fleet(f);
    free_fleet(other);
}

static void check_passes(int count)
{
    const int shards = (count + SHARD_BATONS - 1) / SHARD_BATONS;
    struct fleet *f = new_fleet(3, count);
    struct op *op = new_op(count), *back = new_op(count);
    struct errmsg m = { 0 };

    op->number = back->number = 7;
    back->pass_count = 0;
    memset(back->forth, 0x5a, (size_t)count * sizeof(struct pass));
    memset(back->back, 0x5a, (size_t)count * sizeof(struct pass));
    for (int i = 0; i < count; i++) {
        if (i % 4 != 1)
            fill_pass(&op->forth[i], i);
        if (i % 4 > 1)
            fill_pass(&op->back[i], i + 1);
    }
    for (int shard = shards - 1; shard >= 0; shard--) {
        struct str text = new_text();

        assert_int_equal(passes_encode(&text, op, shard, f, &m), ERR_OK);
        assert_true(text.len < RECORD_BYTES_MAX * 3 / 4);
        if (passes_decode(back, count, shard, text.buf, text.len, &m) < 0)
            print_error("%s\n", m.text);
        assert_string_equal(m.text, "");
        str_free(&text);
    }
    assert_int_equal(back->pass_count, count);
    for (int i = 0; i < count; i++) {
        assert_same_pass(&op->forth[i], &back->forth[i]);
        assert_same_pass(&op->back[i], &back->back[i]);
    }
    free_op(op);
    free_op(back);
    free_fleet(f);
}

static void test_passes(void **state)
{
    (void)state;
    check_passes(1);
    check_passes(SHARD_BATONS);
    check_passes(SHARD_BATONS + 1);
    check_passes(4096);
}

static void test_worst_passes_fit(void **state)
{
    struct fleet *f = new_fleet(1, SHARD_BATONS);
    struct op *op = new_op(SHARD_BATONS);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    memset(f->spec.topics[0], 't', TOPIC_NAME_MAX);
    for (int i = 0; i < SHARD_BATONS; i++) {
        fill_pass(&op->forth[i], 105 * i);
        fill_pass(&op->back[i], 105 * i);
        snprintf(op->forth[i].taken_by, sizeof(op->forth[i].taken_by), "forth-%030d", i);
        snprintf(op->back[i].taken_by, sizeof(op->back[i].taken_by), "back-%031d", i);
    }
    op->number = UINT32_MAX;
    if (passes_encode(&text, op, 0, f, &m) < 0)
        print_error("%s\n", m.text);
    assert_string_equal(m.text, "");
    str_free(&text);
    free_op(op);
    free_fleet(f);
}

static void test_broken_passes(void **state)
{
    static const struct {
        const char *json;
        int code;
        const char *what;
    } bad[] = {
        { "\"number\":8,\"shard\":0,\"pass_count\":1,\"members\":[],\"passes\":[]}", ERR_CORRUPT,
          "number: it is not that of operation 7" },
        { "\"number\":7,\"shard\":1,\"pass_count\":1,\"members\":[],\"passes\":[]}", ERR_CORRUPT,
          "shard: it is not 0" },
        { "\"number\":7,\"shard\":0,\"pass_count\":5,\"members\":[],\"passes\":[]}", ERR_TOO_LARGE,
          "5 passes, there is room for 4" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":2}]}", ERR_CORRUPT,
          "passes[0].baton: 2 is not from 0 to 1" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1},{\"baton\":1}]}",
          ERR_CORRUPT, "passes[1].baton: 1 is not from 2" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1,\"forth\":7}]}",
          ERR_CORRUPT, "passes[0].forth: an object is wanted" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1,\"back\":{\"ordered\":"
          "true,\"taken\":true,\"order\":1,\"grant\":1,\"released_by\":0}}]}",
          ERR_CORRUPT, "passes[0].back.released_by: members is empty" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[\"0123456789012345678901234567890123456\"],"
          "\"passes\":[{\"baton\":1,\"back\":{\"ordered\":true,\"taken\":true,\"order\":1,\"grant\":1,\"released_by\":"
          "0}}]}",
          ERR_CORRUPT, "members[0]: 37 bytes, at most 36 are allowed" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct str text = new_text();
        struct op *op = new_op(4);
        struct errmsg m = { 0 };
        int r;

        op->number = 7;
        str_addf(&text, "{\"format\":1,\"term\":1,\"epoch\":1,%s", bad[i].json);
        r = passes_decode(op, 4, 0, text.buf, text.len, &m);
        if (r != bad[i].code || !strstr(m.text, bad[i].what))
            print_error("%d: %s\n", r, m.text);
        assert_int_equal(r, bad[i].code);
        assert_non_null(strstr(m.text, bad[i].what));
        str_free(&text);
        free_op(op);
    }
}

/* ---- reports ---- */

static struct report *new_report(const struct fleet *f, int parts)
{
    struct report *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    r->parts = calloc((size_t)parts + 1, sizeof(*r->parts));
    assert_non_null(r->parts);
    strcpy(r->fleet, f->spec.fleet);
    r->color = GREEN;
    strcpy(r->incarnation, "0123456789abcdef0123456789abcdef");
    strcpy(r->member_id, "payments-green-1-6d0f");
    strcpy(r->client_id, "payments-green-1");
    strcpy(r->host, "10.0.0.7");
    strcpy(r->version, "4.2.0");
    strcpy(r->library, "0.1.0");
    r->sequence = (uint64_t)INT64_MAX;
    r->applied = (struct version){ .term = 1042, .epoch = 17 };
    r->ready = true;
    strcpy(r->assignor, "cooperative-sticky");
    r->report_interval_ms = 1000;
    r->sent_unix_us = INT64_C(1795363200000000);
    r->heard_written_unix_us = INT64_C(1795363199000000);
    r->heard_unix_us = INT64_C(1795363199000700);
    r->records_done = 5;
    r->records_gated = 6;
    r->stale_ignored = 7;
    r->part_count = parts;
    for (int i = 0; i < parts; i++) {
        struct report_part *p = &r->parts[i];

        p->topic = (uint16_t)(i % f->spec.topic_count);
        p->partition = i / f->spec.topic_count;
        p->order = (uint64_t)(i / 100);
        p->local = (enum local_state)((i / 40) % LOCAL_STATE_COUNT);
        p->owned = (i / 20) % 3 > 0;
        p->position = i % 4 ? INT64_C(1200000000) + i : OFFSET_NONE;
        p->committed = i % 5 ? INT64_C(1200000000) - i : OFFSET_NONE;
        p->in_flight = i % 6 ? i % 100 : 0;
        p->doubt = i % 50 ? OFFSET_NONE : INT64_MAX;
        p->first = i % 3 ? INT64_C(1200000000) : OFFSET_NONE;
        p->stopped_unix_us = i % 7 ? r->sent_unix_us - i : 0;
        p->drained_unix_us = i % 8 ? r->sent_unix_us + i : 0; /* its clock was set back */
        p->attached_unix_us = i % 9 ? 1 + i : 0;
        p->first_unix_us = i % 10 ? INT64_MAX : 0;
    }
    return r;
}

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

static void check_report(int topics, int parts)
{
    struct fleet *f = new_fleet(topics, 0);
    struct report *r = new_report(f, parts), *back = NULL;
    struct str text = new_text(), again = new_text();
    struct errmsg m = { 0 };

    if (parts % 2 == 0)
        add_signals(r);
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
        assert_true(a->stopped_unix_us == b->stopped_unix_us && a->drained_unix_us == b->drained_unix_us);
        assert_true(a->attached_unix_us == b->attached_unix_us && a->first_unix_us == b->first_unix_us);
    }
    check_signals(r, back);
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

/* ---- receipts, findings, handed requests ---- */

static void test_receipt(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    strcpy(f->spec.topics[0], "orders");
    op->number = 6;
    op->kind = OP_SWITCH;
    op->state = OP_COMPLETE;
    op->from = BLUE;
    op->to = GREEN;
    stages_whole(&op->stages);
    strcpy(op->by, "ann");
    strcpy(op->reason, "deploy 4.2.0");
    strcpy(op->version_to, "4.2.0");
    op->created_unix_ms = 1795363200123;
    op->epoch_first = 16;
    op->epoch_last = 19;
    for (int i = 0; i < 2; i++)
        op->forth[i] = (struct pass){ .ordered = true,
                                      .order = 16,
                                      .grant = 17,
                                      .released = 100,
                                      .committed = 100,
                                      .from = 100,
                                      .first = i ? 100 : 107,
                                      .log_start = i ? OFFSET_NONE : 105,
                                      .doubt = i ? 130 : OFFSET_NONE,
                                      .repeat_to = OFFSET_NONE,
                                      .replay_from = OFFSET_NONE,
                                      .released_by = "b1",
                                      .taken_by = "g1",
                                      .drained_unix_us = 5000000,
                                      .first_unix_us = 5012345,
                                      .release_heard_unix_us = 5001000,
                                      .take_heard_unix_us = 5020000,
                                      .taken = true };
    assert_int_equal(receipt_encode(&text, op, f, &m), ERR_OK);
    assert_string_equal(
        text.buf,
        "{\"fleet\":\"payments\",\"number\":6,\"kind\":\"switch\",\"state\":\"complete\",\"from\":"
        "\"blue\",\"to\":\"green\","
        "\"version_from\":null,\"version_to\":\"4.2.0\",\"replay\":false,\"of_number\":null,\"stages\":"
        "[\"100%\"],\"by\":\"ann\",\"by_signal\":false,"
        "\"reason\":\"deploy "
        "4.2.0\",\"request_id\":\"\",\"created\":\"2026-11-22T16:00:00.123Z\",\"ended\":null,\"cause\":"
        "\"none\",\"why\":\"\",\"judge\":\"guard\",\"held\":false,\"verdict\":null,"
        "\"on_unreachable\":\"refuse\",\"on_doubt\":\"wait\",\"epoch_first\":16,\"epoch_last\":19,"
        "\"totals\":{\"ordered\":2,\"passed\":2,\"returned\":0,\"lost\":0,\"repeated\":30,"
        "\"removed_by_retention\":5,"
        "\"standstill_ms\":{\"known\":2,\"p50\":12.345,\"p99\":12.345,\"max\":12.345}},\"partitions\":["
        "{\"topic\":\"orders\",\"partition\":0,\"forth\":{\"order\":16,\"grant\":17,\"taken\":true,"
        "\"released\":100,\"committed\":100,"
        "\"from\":100,\"first\":107,\"standstill_ms\":12.345,\"release_to_take_heard_ms\":19.000,"
        "\"possibly_repeated\":null,"
        "\"replayed\":null,\"removed_by_retention\":{\"from\":100,\"to\":105,\"records\":5,\"why\":"
        "\"removed by retention before anybody processed "
        "it\"},\"released_by\":\"b1\",\"taken_by\":\"g1\"},\"back\":null},"
        "{\"topic\":\"orders\",\"partition\":1,\"forth\":{\"order\":16,\"grant\":17,\"taken\":true,"
        "\"released\":100,\"committed\":100,"
        "\"from\":100,\"first\":100,\"standstill_ms\":12.345,\"release_to_take_heard_ms\":19.000,"
        "\"possibly_repeated\":{\"from\":100,\"to\":130,\"by\":[\"blue\",\"green\"],\"why\":\"a member was lost "
        "before it had committed them, and the fleet says on_doubt: list\"},\"replayed\":null,"
        "\"removed_by_retention\":null,"
        "\"released_by\":\"b1\","
        "\"taken_by\":\"g1\"},\"back\":null}]}");
    str_free(&text);
    free_op(op);
    free_fleet(f);
}

static void test_findings(void **state)
{
    struct findings *f = calloc(1, sizeof(*f));
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    assert_non_null(f);
    assert_int_equal(findings_encode(&text, f, &m), ERR_OK);
    assert_string_equal(text.buf, "[]");
    str_clear(&text);
    findings_add(f, FINDING_REFUSAL, "uncovered-partition", "what", "why", "mend");
    assert_int_equal(findings_encode(&text, f, &m), ERR_OK);
    assert_non_null(
        strstr(text.buf, "\"code\":\"uncovered-partition\",\"what\":\"what\",\"why\":\"why\",\"mend\":\"mend\"}]"));
    str_free(&text);
    free(f);
}

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

/* ---- mutations ---- */

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

/* ---- cost ---- */

static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The least of some rounds, in processor time: other people's work does not count. */
static int64_t encoding_us(int count)
{
    struct fleet *f = new_fleet(1, count);
    struct str text = new_text();
    struct errmsg m = { 0 };
    int64_t least = INT64_MAX;

    for (int round = 0; round < 10; round++) {
        const int64_t began = cpu_us();
        int64_t took;

        str_clear(&text);
        for (int shard = -1; shard < count / SHARD_BATONS; shard++)
            assert_int_equal(fleet_encode(&text, f, shard, &m), ERR_OK);
        took = cpu_us() - began;
        least = took < least ? took : least;
    }
    str_free(&text);
    free_fleet(f);
    return least;
}

/* Eight times the batons cost eight times the work; a square would cost 64 times. */
static void test_encoding_is_linear(void **state)
{
    (void)state;
    assert_true(encoding_us(BATONS_MAX) <= 32 * (encoding_us(BATONS_MAX / 8) + 50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_longest_keys),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_too_large_a_record),
        cmocka_unit_test(test_term),
        cmocka_unit_test(test_document_text),
        cmocka_unit_test(test_whole_document),
        cmocka_unit_test(test_sharded_document),
        cmocka_unit_test(test_worst_document_fits),
        cmocka_unit_test(test_tombstone),
        cmocka_unit_test(test_broken_documents),
        cmocka_unit_test(test_document_skips_unknown),
        cmocka_unit_test(test_op),
        cmocka_unit_test(test_op_kept),
        cmocka_unit_test(test_op_verdict),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_worst_passes_fit),
        cmocka_unit_test(test_broken_passes),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_report_of_many_idle_is_small),
        cmocka_unit_test(test_report_too_large),
        cmocka_unit_test(test_report_of_unknown_topics),
        cmocka_unit_test(test_report_with_strange_names),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_handed),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_encoding_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
