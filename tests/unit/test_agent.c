/*
 * agent: what an application may say of itself, and what is refused with its place named; what it is told; where it may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "agent/lifecycle.h"
#include "agent/line.h"
#include "base/check.h"

#define PART                                                                                                       \
    "{\"topic\":\"orders\",\"partition\":3,\"assignment\":2,\"assigned\":true,\"state\":\"running\",\"epoch\":17," \
    "\"first\":100,\"position\":120,\"committed\":110,\"committed_ago_ms\":212,\"in_flight\":4,\"why\":\"\"}"

static const char whole[] =
    "{\"lifecycle\":1,\"instance\":\"5f0d9c51e3a84b0c\",\"group\":\"payments-blue\",\"member_id\":\"m-1\","
    "\"client_id\":\"c\",\"assignor\":\"cooperative-sticky\",\"joined\":true,\"left\":false,\"done\":9,"
    "\"desired\":{\"agent\":\"a\",\"revision\":42,\"term\":5,\"epoch\":17},\"later\":[1,{}],"
    "\"observed\":{\"revision\":41,\"partitions\":[" PART "]}}";

/* `whole` with one place written otherwise. */
static char *with(const char *place, const char *instead)
{
    const char *at = strstr(whole, place);
    char *ret;

    assert_non_null(at);
    assert_true(asprintf(&ret, "%.*s%s%s", (int)(at - whole), whole, instead, at + strlen(place)) > 0);
    return ret;
}

static void a_document_is_read(void **state)
{
    struct errmsg m = { 0 };
    struct observed *o;

    (void)state;
    assert_int_equal(observed_decode(&o, whole, strlen(whole), &m), ERR_OK);
    assert_string_equal(o->instance, "5f0d9c51e3a84b0c");
    assert_string_equal(o->agent, "a");
    assert_int_equal(o->accepted, 42);
    assert_int_equal(o->revision, 41);
    assert_int_equal(o->part_count, 1);
    assert_int_equal(o->parts[0].state, OBSERVED_RUNNING);
    assert_int_equal(o->parts[0].position, 120);
    assert_int_equal(o->parts[0].committed_ago_ms, 212);
    observed_free(o);
}

static void what_is_no_document_is_refused(void **state)
{
    static const struct {
        const char *place, *instead, *why;
    } cases[] = {
        { "{\"lifecycle\":1", "{\"lifecycle\":2", "lifecycle" },
        { "5f0d9c51e3a84b0c", "5f0d", "instance" },
        { "5f0d9c51e3a84b0c", "5f0d9c51/../../x", "instance" },
        { "\"joined\":true", "\"joined\":1", "joined" },
        { "\"revision\":41", "\"revision\":43", "observed.revision: 43 has never been accepted" },
        { "\"revision\":41", "\"revision\":-1", "observed.revision" },
        { "\"state\":\"running\"", "\"state\":\"Running\"", "observed.partitions[0].state" },
        { "\"committed\":110", "\"committed\":121", "observed.partitions[0].committed: 121 lies beyond the position" },
        { "\"first\":100", "\"first\":130", "observed.partitions[0].first" },
        { "\"position\":120", "\"position\":null", "observed.partitions[0]." },
        { "\"position\":120", "\"position\":9223372036854775807", "observed.partitions[0].position" },
        { "\"in_flight\":4", "\"in_flight\":-1", "observed.partitions[0].in_flight" },
        { "\"assignment\":2", "\"assignment\":0", "observed.partitions[0].assignment" },
        { "\"partition\":3", "\"partition\":3,\"partition\":4", "duplicate" },
        { "\"partitions\":[", "\"partitions\":{\"a\":[", "not JSON" },
        { "\"observed\":{", "\"observed\":[],\"x\":{", "observed" },
        { "]}}", "]}", "not JSON" },
        { "{\"lifecycle\":1", "<html>", "not JSON" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *text = with(cases[i].place, cases[i].instead);
        struct errmsg m = { 0 };
        struct observed *o = NULL;

        assert_int_equal(observed_decode(&o, text, strlen(text), &m), ERR_CORRUPT);
        if (!strstr(m.text, cases[i].why))
            fail_msg("'%s' instead of '%s': \"%s\" does not say '%s'", cases[i].instead, cases[i].place, m.text,
                     cases[i].why);
        free(text);
    }
}

static void what_it_is_told(void **state)
{
    const struct desired_part parts[] = {
        { .topic = "orders",
          .partition = 3,
          .assignment = 2,
          .word = TELL_RUN,
          .epoch = 17,
          .from = 100,
          .mark = { MARK_EPOCH, 17 } },
        { .topic = "orders", .partition = 4, .assignment = 2, .word = TELL_HOLD },
        { .topic = "orders",
          .partition = 5,
          .assignment = 2,
          .word = TELL_READY,
          .from = 7,
          .mark = { .kind = MARK_FOLLOW } },
    };
    const struct desired d = { .instance = "5f0d9c51e3a84b0c",
                               .agent = "a",
                               .fleet = "payments",
                               .color = BLUE,
                               .revision = 43,
                               .version = { 5, 18 },
                               .commit_every_ms = 1000,
                               .fence_ms = 45000,
                               .parts = parts,
                               .part_count = 3 };
    struct str text = STR_WITH_MAX(4096);
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(desired_encode(&text, &d, &m), ERR_OK);
    assert_string_equal(
        text.buf,
        "{\"lifecycle\":1,\"instance\":\"5f0d9c51e3a84b0c\",\"agent\":\"a\",\"revision\":43,\"term\":5,\"epoch\":18,"
        "\"fleet\":\"payments\",\"color\":\"blue\",\"commit_every_ms\":1000,\"fence_ms\":45000,\"leave\":false,"
        "\"partitions\":["
        "{\"topic\":\"orders\",\"partition\":3,\"assignment\":2,\"state\":\"run\",\"epoch\":17,\"from\":100,"
        "\"metadata\":\"baton/1 epoch=17\"},"
        "{\"topic\":\"orders\",\"partition\":4,\"assignment\":2,\"state\":\"hold\"},"
        "{\"topic\":\"orders\",\"partition\":5,\"assignment\":2,\"state\":\"ready\",\"epoch\":0,\"from\":7,"
        "\"metadata\":\"baton/1 follow\"}]}");
    str_free(&text);
}

static void where_it_may_be(void **state)
{
    static const struct {
        const char *url, *host;
        int port;
        const char *path;
    } good[] = {
        { "http://127.0.0.1:8081", "127.0.0.1", 8081, "" },
        { "http://orders", "orders", 80, "" },
        { "http://orders:8081/", "orders", 8081, "" },
        { "http://orders:8081/in/there", "orders", 8081, "/in/there" },
        { "http://[::1]:8081", "::1", 8081, "" },
        { "http://[fd00::7]/x", "fd00::7", 80, "/x" },
    };
    static const char *const bad[] = {
        "",
        "orders:8081",
        "https://orders",
        "http://:8081",
        "http://[]:8081",
        "http://me@orders",
        "http://orders/?a",
        "http://orders/#a",
        "http://orders:70000",
    };
    char longer[LINE_PATH_MAX + 40] = "http://orders/";
    struct line_address address;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(line_address_parse(&address, good[i].url));
        assert_string_equal(address.host, good[i].host);
        assert_int_equal(address.port, good[i].port);
        assert_string_equal(address.path, good[i].path);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(line_address_parse(&address, bad[i]));
    memset(longer + strlen(longer), 'a', LINE_PATH_MAX);
    assert_false(line_address_parse(&address, longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_read),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(what_it_is_told),
        cmocka_unit_test(where_it_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
