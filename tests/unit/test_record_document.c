/* test_record_document - fleet documents: there and back, whole and in shards, refused when broken; the worst one fits. */
#include <string.h>
#include <time.h>

#include "record_world.h"

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

static void assert_same_baton(const struct baton *a, const struct baton *b)
{
    assert_int_equal(a->topic, b->topic);
    assert_int_equal(a->partition, b->partition);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->holder, b->holder);
    assert_true(a->from == b->from && a->epoch == b->epoch && a->order == b->order && a->doubt == b->doubt &&
                a->taken == b->taken);
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
        cmocka_unit_test(test_document_text),
        cmocka_unit_test(test_whole_document),
        cmocka_unit_test(test_sharded_document),
        cmocka_unit_test(test_worst_document_fits),
        cmocka_unit_test(test_tombstone),
        cmocka_unit_test(test_broken_documents),
        cmocka_unit_test(test_document_skips_unknown),
        cmocka_unit_test(test_encoding_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
