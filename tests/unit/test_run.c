/*
 * test_run - `baton run` without Kafka: acknowledgements, lines, the order of lanes, the pace, and a process that misbehaves.
 */
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "run/ack.h"
#include "run/lanes.h"
#include "run/line.h"
#include "run/pace.h"
#include "run/text.h"
#include "run/worker.h"

/* ---- acknowledgements ---- */

static void test_acknowledgements(void **state)
{
    static const struct {
        const char *line;
        enum ack_about about;
        uint64_t id;
        bool failed;
        int64_t done;
        const char *error;
    } good[] = {
        { "", ACK_NOTHING, 0, false, -1, "" },
        { "  \r", ACK_NOTHING, 0, false, -1, "" },
        { "17", ACK_LINE, 17, false, -1, "" },
        { " 17\r", ACK_LINE, 17, false, -1, "" },
        { "\"17\"", ACK_LINE, 17, false, -1, "" },
        { "ok", ACK_OLDEST, 0, false, -1, "" },
        { "error", ACK_OLDEST, 0, true, -1, "" },
        { "error no such customer", ACK_OLDEST, 0, true, -1, "no such customer" },
        { "{\"id\":17}", ACK_LINE, 17, false, -1, "" },
        { "{\"id\":\"17\",\"error\":null}", ACK_LINE, 17, false, -1, "" },
        { "{\"id\":17,\"error\":\"x\"}", ACK_LINE, 17, true, -1, "x" },
        { "{\"id\":17,\"done\":3,\"error\":\"x\"}", ACK_LINE, 17, true, 3, "x" },
        { "{\"topic\":\"a.b\",\"partition\":3,\"offset\":42}", ACK_RECORD, 0, false, -1, "" },
        { "{\"topic\":\"a.b\",\"partition\":3,\"offset\":42,\"error\":\"y\"}", ACK_RECORD, 0, true, -1, "y" },
        { "{\"id\":5,\"topic\":\"a\",\"value\":{\"id\":6}}", ACK_LINE, 5, false, -1, "" },
    };
    static const char *const bad[] = {
        "hello",
        "-1",
        "17 18",
        "1.5",
        "99999999999999999999",
        "okay",
        "[17]",
        "{}",
        "{\"id\":17",
        "{\"id\":-1}",
        "{\"id\":1.5}",
        "{\"id\":\"x\"}",
        "{\"id\":1,\"id\":2}",
        "{\"id\":1,\"error\":5}",
        "{\"id\":1,\"done\":2}",
        "{\"id\":1,\"done\":-2,\"error\":\"x\"}",
        "{\"topic\":\"a\"}",
        "{\"topic\":\"a\",\"partition\":-1,\"offset\":0}",
        "{\"topic\":\"a\",\"partition\":3000000000,\"offset\":0}",
        "{\"offset\":4}",
        "\x01\xff\x80",
    };
    struct ack ack;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct errmsg m = { 0 };

        if (ack_parse(&ack, good[i].line, strlen(good[i].line), &m) < 0)
            fail_msg("%s: %s", good[i].line, m.text);
        assert_int_equal(ack.about, good[i].about);
        assert_int_equal(ack.failed, good[i].failed);
        assert_int_equal(ack.done, good[i].done);
        assert_string_equal(ack.error, good[i].error);
        if (ack.about == ACK_LINE)
            assert_int_equal(ack.id, good[i].id);
        if (ack.about == ACK_RECORD) {
            assert_string_equal(ack.topic, "a.b");
            assert_int_equal(ack.partition, 3);
            assert_int_equal(ack.offset, 42);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct errmsg m = { 0 };

        if (ack_parse(&ack, bad[i], strlen(bad[i]), &m) == ERR_OK)
            fail_msg("taken for an acknowledgement: %s", bad[i]);
        assert_non_null(strstr(m.text, "stderr")); /* the mend */
    }
}

/* ---- lines ---- */

struct header {
    const char *name;
    const void *value;
    size_t len;
};

static bool header_of(const void *self, int index, const char **name, const void **value, size_t *len)
{
    const struct header *h = self;

    if (!h || !h[index].name)
        return false;
    *name = h[index].name;
    *value = h[index].value;
    *len = h[index].len;
    return true;
}

static struct record_view record_of(const char *key, const void *value, size_t value_len)
{
    return (struct record_view){ .fleet = "payments",
                                 .color = "blue",
                                 .topic = "orders",
                                 .partition = 3,
                                 .offset = 42,
                                 .timestamp_ms = 1795369200123,
                                 .epoch = 7,
                                 .key = key,
                                 .key_len = key ? strlen(key) : 0,
                                 .value = value,
                                 .value_len = value_len,
                                 .attempt = 1,
                                 .header = header_of };
}

static void assert_line(const struct record_view *r, uint64_t id, enum value_form form, const char *wanted)
{
    struct str s = STR_WITH_MAX(1 << 20);
    struct errmsg m = { 0 };

    if (line_add_record(&s, r, id, form, FIELDS_ALL, &m) < 0)
        fail_msg("%s", m.text);
    assert_string_equal(s.buf, wanted);
    assert_true(text_is_json(s.buf, s.len));
    str_free(&s);
}

static void test_lines_keep_everything(void **state)
{
    static const struct header headers[] = {
        { "trace", "abc", 3 }, { "trace", "d\"e", 3 }, { "raw", "\xff\x00", 2 }, { "none", NULL, 0 }, { NULL, NULL, 0 }
    };
    struct record_view r = record_of("k1", "a \"b\"\n\t\x01\\ \xc3\xa9", 12);

    (void)state;
    assert_line(&r, 17, VALUE_TEXT,
                "{\"id\":17,\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"epoch\":7,\"timestamp\":1795369200123,"
                "\"key\":\"k1\",\"headers\":[],\"value\":\"a \\\"b\\\"\\n\\t\\u0001\\\\ \xc3\xa9\"}");
    r = record_of(NULL, NULL, 0); /* a tombstone without a key */
    r.timestamp_ms = -1;
    r.attempt = 2;
    assert_line(&r, 0, VALUE_JSON,
                "{\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"epoch\":7,\"attempt\":2,\"timestamp\":null,"
                "\"key\":null,\"headers\":[],\"value\":null}");
    r = record_of("k\xff", "\x00\x01\xfe", 3); /* no UTF-8 */
    r.self = headers;
    assert_line(
        &r, 1, VALUE_TEXT,
        "{\"id\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"epoch\":7,\"timestamp\":1795369200123,"
        "\"key_base64\":\"a/8=\",\"headers\":[{\"name\":\"trace\",\"value\":\"abc\"},{\"name\":\"trace\","
        "\"value\":\"d\\\"e\"},{\"name\":\"raw\",\"value_base64\":\"/wA=\"},{\"name\":\"none\",\"value\":null}],"
        "\"value_base64\":\"AAH+\"}");
    r = record_of("k", "{\"a\":\n[1.50, 9007199254740993]}", 31);
    assert_line(&r, 1, VALUE_JSON,
                "{\"id\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"epoch\":7,\"timestamp\":1795369200123,"
                "\"key\":\"k\",\"headers\":[],\"value\":{\"a\": [1.50, 9007199254740993]}}");
    r = record_of("", "", 0); /* empty is not absent */
    assert_line(&r, 1, VALUE_BASE64,
                "{\"id\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"epoch\":7,\"timestamp\":1795369200123,"
                "\"key\":\"\",\"headers\":[],\"value_base64\":\"\"}");
}

static void test_fields(void **state)
{
    struct record_view r = record_of("k", "v", 1);
    struct str s = STR_WITH_MAX(1000);
    struct errmsg m = { 0 };
    unsigned fields;

    (void)state;
    assert_int_equal(line_fields(&fields, "value,key", &m), ERR_OK);
    assert_int_equal(line_add_record(&s, &r, 0, VALUE_TEXT, fields, &m), ERR_OK);
    assert_int_equal(line_add_record(&s, &r, 5, VALUE_TEXT, 1u << FIELD_offset, &m), ERR_OK);
    r.attempt = 1;
    assert_int_equal(line_add_record(&s, &r, 0, VALUE_TEXT, 1u << FIELD_attempt, &m), ERR_OK);
    assert_string_equal(s.buf, "{\"key\":\"k\",\"value\":\"v\"}{\"id\":5,\"offset\":42}{}");
    assert_int_equal(line_fields(&fields, "key,", &m), ERR_INVALID);
    assert_int_equal(line_fields(&fields, "valu", &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "no member 'valu'"));
    str_free(&s);
}

static void assert_event(const struct record_view *r, enum value_form form, const char *wanted)
{
    struct str s = STR_WITH_MAX(1 << 20);
    struct errmsg m = { 0 };

    if (line_add_event(&s, r, form, &m) < 0)
        fail_msg("%s", m.text);
    assert_string_equal(s.buf, wanted);
    assert_true(text_is_json(s.buf, s.len));
    str_free(&s);
}

#define PLACE                                                                                            \
    "\"kafkatopic\":\"orders\",\"kafkapartition\":3,\"kafkaoffset\":\"42\",\"batonfleet\":\"payments\"," \
    "\"batoncolor\":\"blue\",\"batonepoch\":\"7\""
#define OWN                                                                                  \
    "{\"specversion\":\"1.0\",\"id\":\"orders/3/42\",\"source\":\"/kafka/orders\",\"type\":" \
    "\"io.baton.kafka.record\",\"time\":\"2026-11-22T17:40:00.123Z\"," PLACE

static void test_cloud_events(void **state)
{
    static const struct header event[] = { { "ce_specversion", "1.0", 3 },
                                           { "ce_id", "e1", 2 },
                                           { "ce_source", "/shop", 5 },
                                           { "ce_type", "placed", 6 },
                                           { "content-type", "application/json", 16 },
                                           { NULL, NULL, 0 } };
    static const struct header whole[] = { { "content-type", "application/cloudevents+json", 28 }, { NULL, NULL, 0 } };
    struct record_view r = record_of("k", "hello", 5);
    struct str s = STR_WITH_MAX(1 << 20);
    struct errmsg m = { 0 };

    (void)state;
    assert_event(&r, VALUE_TEXT,
                 OWN ",\"partitionkey\":\"k\",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data\":\"hello\"}");
    assert_event(&r, VALUE_BASE64,
                 OWN ",\"partitionkey\":\"k\",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":"
                     "\"aGVsbG8=\"}");
    r = record_of("\xfe", "\xff", 1);
    assert_event(&r, VALUE_TEXT,
                 OWN ",\"kafkakeybase64\":\"/g==\",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":"
                     "\"/w==\"}");
    r = record_of(NULL, NULL, 0);
    assert_event(&r, VALUE_TEXT, OWN "}"); /* a tombstone has no data */
    r = record_of(NULL, "{\"n\":1}", 7);
    assert_event(&r, VALUE_JSON, OWN ",\"datacontenttype\":\"application/json\",\"data\":{\"n\":1}}");
    assert_int_equal(line_add_event(&s, &r, VALUE_TEXT, &m), ERR_OK);
    str_clear(&s);
    r = record_of(NULL, "{\"n\":", 5);
    assert_int_equal(line_add_event(&s, &r, VALUE_JSON, &m), ERR_INVALID);
    assert_int_equal(s.len, 0);
    r = record_of(NULL, "{\"n\":1}", 7); /* an event in binary mode stays that event */
    r.self = event;
    assert_int_equal(line_add_event(&s, &r, VALUE_TEXT, &m), ERR_OK);
    assert_non_null(strstr(s.buf, "\"id\":\"e1\",\"source\":\"/shop\",\"type\":\"placed\""));
    assert_non_null(strstr(s.buf, "\"datacontenttype\":\"application/json\",\"data\":{\"n\":1}"));
    assert_true(text_is_json(s.buf, s.len));
    r = record_of(NULL, " {\"specversion\":\"1.0\",\"id\":\"x\"}", 31);
    r.self = whole;
    assert_event(&r, VALUE_TEXT, " {\"specversion\":\"1.0\",\"id\":\"x\"}");
    str_free(&s);
}

static void test_json_or_not(void **state)
{
    static const char *const good[] = { "0",
                                        "-0.5e+7",
                                        "\"\"",
                                        "null",
                                        " true ",
                                        "[]",
                                        "{}",
                                        "[1,[2,{}],3]",
                                        "{\"a\":{\"b\":[]}}",
                                        "\"\\u00e9\\n\xf0\x9f\x98\x80\"",
                                        "[\n1]",
                                        "{ }",
                                        "{\"a\" : 1 , \"b\":2}" };
    static const char *const bad[] = { "",
                                       " ",
                                       "01",
                                       "1.",
                                       "-",
                                       "+1",
                                       "tru",
                                       "[1,]",
                                       "[,1]",
                                       "{,}",
                                       "{\"a\"}",
                                       "{\"a\":}",
                                       "{\"a\":1,}",
                                       "[1 2]",
                                       "\"\n\"",
                                       "\"\\x\"",
                                       "\"\\u12\"",
                                       "\"\xff\"",
                                       "\"\xc0\x80\"",
                                       "\"\xed\xa0\x80\"",
                                       "[1]]",
                                       "{\"a\":1]",
                                       "[",
                                       "{1:2}",
                                       "nul",
                                       "1 2",
                                       "\"a",
                                       "\"\xf5\x80\x80\x80\"" };
    char deep[500];
    struct str s = STR_WITH_MAX(100);

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        if (!text_is_json(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (text_is_json(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    memset(deep, '[', 201);
    memset(deep + 201, ']', 201);
    assert_false(text_is_json(deep, 402));
    assert_true(text_is_json(deep + 1, 400));
    /* each place of a byte in a word of eight is looked at */
    for (size_t at = 0; at < 20; at++)
        for (int c = 0; c < 256; c++) {
            char text[24];

            memset(text, 'a', 20);
            text[at] = (char)c;
            str_clear(&s);
            assert_int_equal(text_add_string(&s, text, 20), c < 0x80);
            assert_int_equal(s.len, c >= 0x80                                                 ? 0
                                    : c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11) ? 23
                                    : c < 0x20                                                ? 27
                                                                                              : 22);
        }
    str_free(&s);
}

/* ---- lanes ---- */

static void put(struct lanes *l, int partition, const char *key, intptr_t record)
{
    lanes_put(l, (void *)record, "orders", partition, key, key ? strlen(key) : 0, 10, 1);
}

/* The records of a line, as digits. */
static const char *records(const struct line *line)
{
    static char text[64];
    int n = 0;

    text[0] = '\0';
    for (const struct item *i = line->first; i; i = i->line_next)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%d ", (int)(intptr_t)i->record);
    return text;
}

static void all_done(struct lanes *l, struct line *line)
{
    while (line->first)
        lanes_done(l, line, line->first);
}

static void test_a_lane_waits_for_its_own(void **state)
{
    struct lanes l;
    struct line a, b, c;

    (void)state;
    assert_int_equal(lanes_init(&l, ORDER_PARTITION, 100, NULL), ERR_OK);
    put(&l, 0, NULL, 1);
    put(&l, 0, NULL, 2);
    put(&l, 1, NULL, 3);
    assert_true(lanes_take(&l, &a, 1, 1000, true));
    assert_string_equal(records(&a), "1 ");
    assert_true(lanes_take(&l, &b, 9, 1000, false)); /* not 2: 1 is out */
    assert_string_equal(records(&b), "3 ");
    assert_false(lanes_take(&l, &c, 9, 1000, true));
    lanes_back(&l, &a, a.first, 500); /* it failed: 2 waits behind it all the same */
    assert_false(lanes_ready(&l));
    assert_int_equal(l.stuck, 2);
    assert_int_equal(lanes_wake(&l, 499), 500);
    assert_false(lanes_ready(&l));
    assert_int_equal(lanes_wake(&l, 500), INT64_MAX);
    assert_int_equal(l.stuck, 0);
    assert_true(lanes_take(&l, &a, 9, 1000, true));
    assert_string_equal(records(&a), "1 2 ");
    assert_int_equal(a.first->handed, 2);
    all_done(&l, &a);
    all_done(&l, &b);
    assert_int_equal(l.in_hand + l.out, 0);
    assert_int_equal(l.bytes, 0);
    lanes_deinit(&l);
}

static void test_order_of_keys_and_none(void **state)
{
    struct lanes l;
    struct line a, b;

    (void)state;
    assert_int_equal(lanes_init(&l, ORDER_KEY, 100, NULL), ERR_OK);
    put(&l, 0, "x", 1);
    put(&l, 0, "y", 2);
    put(&l, 0, "x", 3);
    put(&l, 0, NULL, 4);
    put(&l, 0, NULL, 5); /* without a key: the order of the partition */
    assert_true(lanes_take(&l, &a, 1, 1000, true));
    assert_true(lanes_take(&l, &b, 1, 1000, true));
    assert_string_equal(records(&b), "2 ");
    all_done(&l, &b);
    assert_true(lanes_take(&l, &b, 1, 1000, true));
    assert_string_equal(records(&b), "4 ");
    assert_false(lanes_ready(&l));
    all_done(&l, &a);
    assert_true(lanes_take(&l, &a, 9, 1000, true));
    assert_string_equal(records(&a), "3 ");
    lanes_deinit(&l);
    assert_int_equal(lanes_init(&l, ORDER_NONE, 100, NULL), ERR_OK);
    put(&l, 0, "x", 1);
    put(&l, 0, "x", 2);
    assert_true(lanes_take(&l, &a, 1, 1000, true));
    assert_true(lanes_take(&l, &b, 1, 1000, true));
    lanes_deinit(&l);
}

static void test_what_comes_back_keeps_its_order(void **state)
{
    struct lanes l;
    struct line a, b;

    (void)state;
    assert_int_equal(lanes_init(&l, ORDER_PARTITION, 100, NULL), ERR_OK);
    for (int i = 1; i <= 5; i++)
        put(&l, 0, NULL, i);
    assert_true(lanes_take(&l, &a, 4, 1000, true));
    lanes_done(&l, &a, a.first);
    lanes_back(&l, &a, a.last, 0);
    assert_false(lanes_ready(&l)); /* 2 and 3 are still out */
    while (a.first)
        lanes_back(&l, &a, a.first, 0);
    assert_true(lanes_take(&l, &b, 9, 1000, true));
    assert_string_equal(records(&b), "2 3 4 5 ");
    lanes_park(&l, &b, b.first); /* its fate is decided elsewhere; the lane waits */
    put(&l, 0, NULL, 6);
    all_done(&l, &b);
    assert_false(lanes_ready(&l));
    lanes_deinit(&l);
}

static intptr_t given_back_from; /* records from here on are taken */

static bool takes_back(void *record)
{
    return (intptr_t)record >= given_back_from;
}

static void test_what_sleeps_is_given_back_from_its_end(void **state)
{
    struct lanes l;
    struct line a, b;

    (void)state;
    assert_int_equal(lanes_init(&l, ORDER_PARTITION, 100, NULL), ERR_OK);
    for (int i = 1; i <= 4; i++)
        put(&l, 0, NULL, i);
    put(&l, 1, NULL, 5);
    given_back_from = 0;
    assert_int_equal(lanes_give_back(&l, takes_back), 0); /* nothing sleeps */
    assert_true(lanes_take(&l, &a, 1, 1000, true));
    lanes_back(&l, &a, a.first, 500);
    given_back_from = 5;
    assert_int_equal(lanes_give_back(&l, takes_back), 0); /* 5 does not sleep */
    given_back_from = 3;
    assert_int_equal(lanes_give_back(&l, takes_back), 2);
    assert_int_equal(l.in_hand, 3);
    assert_int_equal(l.stuck, 2);
    put(&l, 0, NULL, 6); /* taken back, the partition goes on: behind what has stayed */
    assert_int_equal(lanes_wake(&l, 500), INT64_MAX);
    assert_true(lanes_take(&l, &b, 9, 1000, true));
    assert_string_equal(records(&b), "5 1 2 6 ");
    lanes_back(&l, &b, b.last, 900);
    all_done(&l, &b);
    given_back_from = 0;
    assert_int_equal(lanes_give_back(&l, takes_back), 1); /* the lane is empty, and sleeps no more */
    assert_int_equal(l.in_hand + l.out + l.stuck, 0);
    assert_int_equal(l.bytes, 0);
    put(&l, 0, NULL, 7);
    assert_true(lanes_take(&l, &a, 9, 1000, true));
    assert_string_equal(records(&a), "7 ");
    all_done(&l, &a);
    lanes_deinit(&l);
}

static void test_a_suspect_goes_alone(void **state)
{
    struct lanes l;
    struct line a, b;

    (void)state;
    assert_int_equal(lanes_init(&l, ORDER_PARTITION, 100, NULL), ERR_OK);
    for (int i = 1; i <= 4; i++)
        put(&l, i % 2, NULL, i);
    assert_true(lanes_take(&l, &a, 9, 1000, true));
    assert_string_equal(records(&a), "1 3 2 4 ");
    while (a.first) {
        a.first->apart = APART_IDLE;
        lanes_back(&l, &a, a.first, 0);
    }
    assert_true(lanes_wants_idle(&l));
    assert_false(lanes_take(&l, &a, 9, 1000, false));
    assert_true(lanes_take(&l, &a, 9, 1000, true));
    assert_int_equal(a.count, 1);
    assert_true(lanes_take(&l, &b, 9, 1000, true));
    assert_int_equal(b.count, 1);
    all_done(&l, &a);
    all_done(&l, &b);
    assert_int_equal(l.in_hand, 2);
    lanes_deinit(&l);
}

static void test_pace_follows_the_command(void **state)
{
    struct pace p;
    int64_t now_us = 0;

    (void)state;
    pace_init(&p, 2, 1000);
    for (int i = 0; i < 20; i++) { /* fast: it grows to the top */
        pace_holds(&p, p.limit);
        pace_done(&p, 100, 1000, now_us += PACE_LOOK_US);
    }
    assert_int_equal(p.limit, 1000);
    for (int i = 0; i < 20; i++) /* a second a record: down to the least */
        pace_done(&p, 1, 1000000, now_us += PACE_LOOK_US);
    assert_int_equal(p.limit, 2);
    for (int i = 0; i < 20; i++) /* fast, but there is little to do: no reason to grow */
        pace_done(&p, 1, 1000, now_us += PACE_LOOK_US);
    assert_int_equal(p.limit, 2);
}

/* ---- a process ---- */

struct heard {
    char lines[4][200];
    int count, too_much;
};

static void on_said(void *opaque, enum worker_said what, const char *line, size_t len)
{
    struct heard *h = opaque;

    if (what == WORKER_SAID_TOO_MUCH)
        h->too_much++;
    else if (h->count < 4)
        snprintf(h->lines[h->count++], sizeof(h->lines[0]), "%.*s", (int)len, line);
}

static void start(struct worker *w, const char *script)
{
    static char sh[] = "sh", c[] = "-c", *environment[] = { NULL };
    char *argv[] = { sh, c, (char *)(uintptr_t)script, NULL };
    struct errmsg m = { 0 };

    worker_init(w);
    if (worker_start(w, "/bin/sh", argv, environment, &m) < 0)
        fail_msg("%s", m.text);
}

static int finish(struct worker *w, struct heard *h)
{
    int64_t until_ms = clock_ms() + 20000;
    int status = 0;

    while (worker_read(w, on_said, h) && clock_ms() < until_ms)
        poll(&(struct pollfd){ .fd = w->out_fd, .events = POLLIN }, 1, 1000);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    worker_ended(w);
    worker_deinit(w);
    return status;
}

static void test_a_process_is_spoken_with(void **state)
{
    struct heard h = { 0 };
    struct worker w;

    (void)state;
    start(&w, "while read -r a; do echo \"<$a>\"; done; printf 'no end'; exit 3");
    str_add(&w.out, "one\ntwo\n");
    assert_true(worker_write(&w));
    worker_finish(&w);
    assert_int_equal(WEXITSTATUS(finish(&w, &h)), 3);
    assert_int_equal(h.count, 3);
    assert_string_equal(h.lines[0], "<one>");
    assert_string_equal(h.lines[2], "no end"); /* the last words of one that ends count */
}

static void test_a_process_that_misbehaves(void **state)
{
    struct heard h = { 0 };
    struct worker w;
    char *found;
    struct errmsg m = { 0 };
    int64_t until_ms = clock_ms() + 20000;

    (void)state;
    start(&w, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo 5"); /* a line without an end */
    finish(&w, &h);
    assert_int_equal(h.too_much, 1);
    assert_int_equal(h.count, 1);
    assert_string_equal(h.lines[0], "5");

    start(&w, "exec <&-; echo closed; sleep 60"); /* reads no more */
    while (worker_room(&w) && clock_ms() < until_ms) {
        str_add(&w.out, "line\n");
        if (!worker_write(&w))
            break;
        poll(NULL, 0, 5);
    }
    assert_int_equal(w.in, -1);
    worker_signal(&w, SIGKILL);
    assert_true(WIFSIGNALED(finish(&w, &h)));

    assert_int_equal(worker_find(&found, "no-such-program-anywhere", &m), ERR_NOT_FOUND);
    assert_int_equal(worker_find(&found, "./no/such", &m), ERR_NOT_FOUND);
    assert_int_equal(worker_find(&found, "/etc/passwd", &m), ERR_DENIED);
    assert_int_equal(worker_find(&found, "/", &m), ERR_DENIED);
    assert_int_equal(worker_find(&found, "sh", &m), ERR_OK);
    free(found);
}

static void test_a_pipe_that_is_full_waits(void **state)
{
    struct heard h = { 0 };
    struct worker w;
    int64_t until_ms = clock_ms() + 20000;
    char *lines = malloc(8000001);

    (void)state;
    assert_non_null(lines);
    memset(lines, 'x', 8000000);
    for (int i = 99; i < 8000000; i += 100)
        lines[i] = '\n';
    lines[8000000] = '\0';
    start(&w, "read a; wc -l");
    str_add(&w.out, lines);
    assert_true(worker_write(&w));
    assert_false(worker_room(&w)); /* 8 MB are more than a pipe takes */
    while (w.in >= 0 && clock_ms() < until_ms) {
        poll(&(struct pollfd){ .fd = w.in, .events = POLLOUT }, 1, 1000);
        assert_true(worker_write(&w));
        worker_finish(&w);
    }
    finish(&w, &h);
    assert_int_equal(atoi(h.lines[0]), 79999);
    free(lines);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledgements),
        cmocka_unit_test(test_lines_keep_everything),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_cloud_events),
        cmocka_unit_test(test_json_or_not),
        cmocka_unit_test(test_a_lane_waits_for_its_own),
        cmocka_unit_test(test_order_of_keys_and_none),
        cmocka_unit_test(test_what_comes_back_keeps_its_order),
        cmocka_unit_test(test_what_sleeps_is_given_back_from_its_end),
        cmocka_unit_test(test_a_suspect_goes_alone),
        cmocka_unit_test(test_pace_follows_the_command),
        cmocka_unit_test(test_a_process_is_spoken_with),
        cmocka_unit_test(test_a_process_that_misbehaves),
        cmocka_unit_test(test_a_pipe_that_is_full_waits),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
