/* base: the helpers that everything else stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

/* --- err --- */

static void err_grows_like_a_path(void **state)
{
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(err_set(&m, ERR_CORRUPT, "bad checksum in %d", 7), ERR_CORRUPT);
    assert_int_equal(err_wrap(&m, ERR_CORRUPT, "segment '%s'", "0042"), ERR_CORRUPT);
    assert_int_equal(err_wrap(&m, ERR_IO, "open journal"), ERR_IO);
    assert_string_equal(m.text, "open journal: segment '0042': bad checksum in 7");
}

static void err_without_a_message_names_the_code(void **state)
{
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(err_wrap(&m, ERR_NOMEM, "open control log"), ERR_NOMEM);
    assert_string_equal(m.text, "open control log: out of memory");
    assert_int_equal(err_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
    assert_int_equal(err_wrap(NULL, ERR_IO, "nobody listens"), ERR_IO);
    assert_string_equal(err_text(ERR_OK), "success");
    assert_string_equal(err_text(-4711), "unknown error");
}

static void err_may_quote_itself(void **state)
{
    struct errmsg m = { 0 };

    (void)state;
    err_set(&m, ERR_IO, "first");
    err_set(&m, ERR_IO, "second, after '%s'", m.text);
    assert_string_equal(m.text, "second, after 'first'");
    err_wrap(&m, ERR_IO, "third: %s", m.text);
    assert_string_equal(m.text, "third: second, after 'first': second, after 'first'");
}

static void err_keeps_the_start_of_a_long_text(void **state)
{
    struct errmsg m = { 0 };
    char x[2000], umlauts[2001];

    (void)state;
    memset(x, 'x', sizeof(x) - 1);
    x[sizeof(x) - 1] = 0;
    err_set(&m, ERR_IO, "%s", x);
    err_wrap(&m, ERR_IO, "outermost");
    assert_int_equal(strlen(m.text), sizeof(m.text) - 1);
    assert_memory_equal(m.text, "outermost: xxx", 14);

    for (size_t i = 0; i < sizeof(umlauts) - 1; i += 2)
        memcpy(umlauts + i, "\xc3\xbc", 2);
    umlauts[sizeof(umlauts) - 1] = 0;
    err_set(&m, ERR_IO, "%s", umlauts); /* 1,023 bytes have room for 511 of them and a half */
    assert_int_equal(strlen(m.text), sizeof(m.text) - 2);
    err_set(&m, ERR_IO, "a%s", umlauts);
    assert_int_equal(strlen(m.text), sizeof(m.text) - 1);
}

/* --- check --- */

static jmp_buf world_end;
static const char *broken_fact;

static void on_broken_fact(const char *fact, const char *file, int line)
{
    assert_non_null(strstr(file, "test_base.c"));
    assert_true(line > 0);
    broken_fact = fact;
    longjmp(world_end, 1);
}

static void check_handler_leaves_by_longjmp(void **state)
{
    int one = 1;

    (void)state;
    for (volatile int round = 0; round < 3; round++) { /* and works again for the next world */
        broken_fact = NULL;
        check_set_handler(on_broken_fact);
        if (setjmp(world_end) == 0) {
            ASSERT(one == 1);
            assert_null(broken_fact);
            ASSERT(one == 2);
            fail_msg("a broken fact went unnoticed");
        }
        check_set_handler(NULL);
        assert_string_equal(broken_fact, "one == 2");
    }
}

/* --- str --- */

static void str_grows_to_its_bound(void **state)
{
    struct str s = STR_WITH_MAX(1000);

    (void)state;
    assert_string_equal(s.buf, "");
    for (int i = 0; i < 100; i++)
        str_addf(&s, "%09d,", i);
    assert_int_equal(s.len, 1000);
    assert_int_equal(str_error(&s), ERR_OK);
    assert_memory_equal(s.buf + 990, "000000099,", 11);
    str_add_char(&s, 'x');
    assert_int_equal(str_error(&s), ERR_TOO_LARGE);
    assert_int_equal(s.len, 1000);
    str_free(&s);
    assert_int_equal(str_error(&s), ERR_OK);
    assert_int_equal(s.max, 1000);
    str_add(&s, "again");
    assert_string_equal(s.buf, "again");
    str_free(&s);
    str_free(&s);
}

static void str_leaves_out_what_does_not_fit(void **state)
{
    struct str s = STR_WITH_MAX(8);

    (void)state;
    str_add(&s, "12345");
    str_addf(&s, "%s", "6789");
    str_add(&s, "x"); /* would fit: the first failure sticks */
    assert_string_equal(s.buf, "12345");
    assert_int_equal(str_error(&s), ERR_TOO_LARGE);
    assert_null(str_take(&s));
    str_add_bytes(&s, "a\0b", 3);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.buf, "a\0b", 4);
    str_clear(&s);
    assert_string_equal(s.buf, "");
    str_add(&s, "12345678");
    assert_int_equal(str_error(&s), ERR_OK);
    str_free(&s);
}

static void str_is_taken_whole(void **state)
{
    struct str s = STR_WITH_MAX(100);
    char *text;

    (void)state;
    text = str_take(&s); /* nothing was added: still the caller's to free */
    assert_string_equal(text, "");
    free(text);
    str_addf(&s, "%d", 42);
    text = str_take(&s);
    assert_string_equal(text, "42");
    free(text);
    assert_string_equal(s.buf, "");
    assert_int_equal(s.max, 100);
}

static void str_of_no_room_stays_empty(void **state)
{
    struct str s = STR_WITH_MAX(0);

    (void)state;
    str_add(&s, "");
    assert_int_equal(str_error(&s), ERR_OK);
    str_add(&s, "a");
    assert_int_equal(str_error(&s), ERR_TOO_LARGE);
    assert_string_equal(s.buf, "");
    str_free(&s);
}

static void text_copy_fits_or_says_so(void **state)
{
    char ret[4] = "???";

    (void)state;
    assert_true(text_copy(ret, sizeof(ret), "abc"));
    assert_string_equal(ret, "abc");
    assert_false(text_copy(ret, sizeof(ret), "abcd"));
    assert_string_equal(ret, "");
    assert_true(text_equal("a", "a"));
    assert_false(text_equal("a", "ab"));
}

/* --- parse --- */

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        { "0s", 0 }, { "10s", 10000 }, { "1m30s", 90000 }, { "250ms", 250 }, { "1d2h3m4s5ms", 93784005 },
        { "2d", 172800000 }, { "90m", 5400000 }, { "1h5ms", 3600005 }, { "007s", 7000 },
    };
    static const char *const bad[] = {
        "", "0", "10", "s", "10 s", " 10s", "10s ", "-1s", "+1s", "1.5s", "10S", "10sec", "1s1s", "30s1m", "1m30", "1ms1s",
        "99999999999999999999s", "9223372036854775807d", "106751991168d", "1s\n",
    };
    struct errmsg m;
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(parse_duration_ms(&ms, good[i].text, 0, INT64_MAX, &m), ERR_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ms = 4711;
        assert_int_equal(parse_duration_ms(&ms, bad[i], 0, INT64_MAX, &m), ERR_INVALID);
        assert_int_equal(ms, 4711);
        assert_non_null(strstr(m.text, "30s"));
    }
}

static void durations_have_bounds(void **state)
{
    struct errmsg m;
    int64_t ms;

    (void)state;
    assert_int_equal(parse_duration_ms(&ms, "1s", 1000, 60000, &m), ERR_OK);
    assert_int_equal(parse_duration_ms(&ms, "1m", 1000, 60000, &m), ERR_OK);
    assert_int_equal(parse_duration_ms(&ms, "61s", 1000, 60000, &m), ERR_INVALID);
    assert_string_equal(m.text, "\"61s\" is out of range: allowed are 1s to 1m");
    assert_int_equal(parse_duration_ms(&ms, "999ms", 1000, 60000, NULL), ERR_INVALID);
}

static void durations_are_written_as_they_are_read(void **state)
{
    static const int64_t figures[] = { 0, 1, 999, 1000, 1001, 59999, 60000, 90000, 3600000, 86399999, 86400000, INT64_MAX };
    char text[32];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
        format_duration(text, figures[i]);
        assert_int_equal(parse_duration_ms(&ms, text, 0, INT64_MAX, NULL), ERR_OK);
        assert_int_equal(ms, figures[i]);
    }
    assert_string_equal(format_duration(text, 90000), "1m30s");
    assert_string_equal(format_duration(text, 250), "250ms");
    assert_string_equal(format_duration(text, -1500), "-1s500ms");
    assert_string_equal(format_duration(text, INT64_MIN), "-106751991167d7h12m55s808ms");
}

static void percentages_are_read(void **state)
{
    static const char *const bad[] = { "", "10", "%", "0%", "101%", "10%%", "-1%", "1.5%", " 10%", "999999999999999999999%" };
    struct errmsg m;
    int percent;

    (void)state;
    assert_int_equal(parse_percent(&percent, "1%", &m), ERR_OK);
    assert_int_equal(percent, 1);
    assert_int_equal(parse_percent(&percent, "100%", &m), ERR_OK);
    assert_int_equal(percent, 100);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(parse_percent(&percent, bad[i], &m), ERR_INVALID);
        assert_non_null(strstr(m.text, "25%"));
    }
    assert_int_equal(percent, 100);
}

static void numbers_are_read(void **state)
{
    static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1x", "0x10", "1e3", "--1", "9223372036854775808" };
    struct errmsg m;
    int64_t n;

    (void)state;
    assert_int_equal(parse_int64(&n, "9223372036854775807", INT64_MIN, INT64_MAX, &m), ERR_OK);
    assert_true(n == INT64_MAX);
    assert_int_equal(parse_int64(&n, "-12", -12, 0, &m), ERR_OK);
    assert_int_equal(n, -12);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(parse_int64(&n, bad[i], INT64_MIN, INT64_MAX, &m), ERR_INVALID);
    assert_int_equal(parse_int64(&n, "11", 1, 10, &m), ERR_INVALID);
    assert_string_equal(m.text, "\"11\" is out of range: allowed are 1 to 10");
    assert_int_equal(n, -12);
}

static void what_a_wrong_text_holds_cannot_hurt(void **state)
{
    struct errmsg m;
    int64_t n;
    char text[5001];

    (void)state;
    assert_int_equal(parse_int64(&n, "\x1b[2J\n\"7\"", 0, 9, &m), ERR_INVALID);
    assert_string_equal(m.text, "\"\\u001b[2J\\n\\\"7\\\"\" is not a whole number: write one from 0 to 9");
    memset(text, '7', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    assert_int_equal(parse_int64(&n, text, 0, 9, &m), ERR_INVALID);
    assert_true(strlen(m.text) < 200);
    assert_non_null(strstr(m.text, "777...\""));
}

static void near_words_are_suggested(void **state)
{
    static const char *const words[] = { "blue", "green", "bootstrap.servers", "on_unreachable", "deadline" };
    char word[500];

    (void)state;
    assert_string_equal(suggest("gren", words, ARRAY_COUNT(words)), "green");
    assert_string_equal(suggest("geren", words, ARRAY_COUNT(words)), "green"); /* swapped letters are one slip */
    assert_string_equal(suggest("Deadline", words, ARRAY_COUNT(words)), "deadline");
    assert_string_equal(suggest("bootstrap.server", words, ARRAY_COUNT(words)), "bootstrap.servers");
    assert_string_equal(suggest("on-unreachable", words, ARRAY_COUNT(words)), "on_unreachable");
    assert_null(suggest("red", words, ARRAY_COUNT(words)));
    assert_null(suggest("grass", words, ARRAY_COUNT(words)));
    assert_null(suggest("", words, ARRAY_COUNT(words)));
    assert_null(suggest("green", words, 0));
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = 0;
    assert_null(suggest(word, words, ARRAY_COUNT(words)));
}

/* --- clock --- */

static void clocks_run(void **state)
{
    int64_t ms = clock_ms(), us = clock_us(), unix_ms = clock_unix_ms();

    (void)state;
    assert_true(clock_us() >= us);
    assert_true(clock_us() / 1000 >= ms);
    assert_true(unix_ms > 1700000000000); /* 2023 */
    assert_true(clock_unix_us() / 1000 >= unix_ms);
}

static void times_are_written(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(clock_format_unix_ms(text, 1795369203120), "2026-11-22T17:40:03.120Z");
    assert_string_equal(clock_format_unix_ms(text, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_format_unix_ms(text, 253402300799999), "9999-12-31T23:59:59.999Z");
    assert_string_equal(clock_format_unix_ms(text, 253402300800000), "-");
    assert_string_equal(clock_format_unix_ms(text, -1), "-");
}

/* --- log --- */

static char logged[4096];

/* What stderr gets for one event, without the time. */
static const char *log_line(bool json, const char *event, const char *text)
{
    int saved = dup(STDERR_FILENO), ends[2];
    ssize_t len;

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_set_json(json);
    log_warn(event, "%s", text);
    log_set_json(false);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    len = read(ends[0], logged, sizeof(logged) - 1);
    close(ends[0]);
    assert_true(len > 0);
    logged[len] = 0;
    return logged + strlen(json ? "{\"time\":\"2026-11-22T17:40:03.120Z\"," : "2026-11-22T17:40:03.120Z ");
}

static void log_lines_are_written(void **state)
{
    (void)state;
    assert_string_equal(log_line(false, "append_failed", "partition=3 error=\"no\", retrying in 1 s"),
                        "warn  append_failed partition=3 error=\"no\", retrying in 1 s\n");
    assert_string_equal(log_line(true, "append_failed", "partition=3 error=\"it \\\"broke\\\", twice\", retrying in 1 s"),
                        "\"level\":\"warn\",\"event\":\"append_failed\",\"fields\":{\"partition\":\"3\","
                        "\"error\":\"it \\\"broke\\\", twice\"},\"message\":\"retrying in 1 s\"}\n");
    assert_string_equal(log_line(true, "stopped", ""),
                        "\"level\":\"warn\",\"event\":\"stopped\",\"fields\":{},\"message\":\"\"}\n");
}

static void log_lines_cannot_be_forged(void **state)
{
    (void)state;
    assert_string_equal(log_line(false, "joined", "client=evil\n2026 error \x1b[2J \xff \xc3\xbc"),
                        "warn  joined client=evil\\n2026 error \\x1b[2J \\xff \xc3\xbc\n");
    assert_string_equal(log_line(true, "joined", "say \"\n\" \x01 \xff \xed\xa0\x80 \xc3\xbc"),
                        "\"level\":\"warn\",\"event\":\"joined\",\"fields\":{},"
                        "\"message\":\"say \\\"\\n\\\" \\u0001 \\ufffd \\ufffd\\ufffd\\ufffd \xc3\xbc\"}\n");
    assert_string_equal(log_line(true, "joined", "client=\"open"),
                        "\"level\":\"warn\",\"event\":\"joined\",\"fields\":{\"client\":\"open\"},\"message\":\"\"}\n");
}

static char sunk[4096];
static int sunk_count;

static void sink(void *opaque, enum log_level level, const char *event, const char *text)
{
    assert_ptr_equal(opaque, sunk);
    assert_int_equal(level, LOG_ERROR);
    assert_string_equal(event, "event");
    assert_true(text_copy(sunk, sizeof(sunk), text));
    sunk_count++;
}

static void log_sink_gets_what_passes_the_level(void **state)
{
    char text[3000];

    (void)state;
    log_set_sink(sink, sunk);
    log_debug("too_low", "x=1");
    log_set_level(LOG_ERROR);
    log_warn("too_low", "x=1");
    log_error("event", "x=%d", 1);
    assert_int_equal(sunk_count, 1);
    assert_string_equal(sunk, "x=1");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    log_error("event", "%s", text);
    assert_true(strlen(sunk) < 2000);
    assert_string_equal(sunk + strlen(sunk) - 4, "x...");
    log_set_level(LOG_INFO);
    log_set_sink(NULL, NULL);
}

static void quotes_fit(void **state)
{
    char ret[12];

    (void)state;
    assert_string_equal(log_quote(ret, sizeof(ret), "a \"b\""), "\"a \\\"b\\\"\"");
    assert_string_equal(log_quote(ret, sizeof(ret), "123456789"), "\"123456789\"");
    assert_string_equal(log_quote(ret, sizeof(ret), "1234567890"), "\"123456...\"");
    assert_string_equal(log_quote(ret, sizeof(ret), "12345\n\n\n"), "\"12345...\"");
    assert_string_equal(log_quote(ret, sizeof(ret), ""), "\"\"");
    for (size_t size = 8; size < sizeof(ret); size++) {
        memset(ret, '#', sizeof(ret));
        log_quote(ret, size, "\xc3\xbc\x01\xff\"\\\xc3\xbc\x01\xff\"\\");
        assert_true(strlen(ret) < size);
        assert_int_equal(ret[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_grows_like_a_path),
        cmocka_unit_test(err_without_a_message_names_the_code),
        cmocka_unit_test(err_may_quote_itself),
        cmocka_unit_test(err_keeps_the_start_of_a_long_text),
        cmocka_unit_test(check_handler_leaves_by_longjmp),
        cmocka_unit_test(str_grows_to_its_bound),
        cmocka_unit_test(str_leaves_out_what_does_not_fit),
        cmocka_unit_test(str_is_taken_whole),
        cmocka_unit_test(str_of_no_room_stays_empty),
        cmocka_unit_test(text_copy_fits_or_says_so),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(durations_have_bounds),
        cmocka_unit_test(durations_are_written_as_they_are_read),
        cmocka_unit_test(percentages_are_read),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(what_a_wrong_text_holds_cannot_hurt),
        cmocka_unit_test(near_words_are_suggested),
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(times_are_written),
        cmocka_unit_test(log_lines_are_written),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(log_sink_gets_what_passes_the_level),
        cmocka_unit_test(quotes_fit),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
