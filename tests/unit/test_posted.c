/* test_posted - a report that was decoded once is found again by its very bytes, and by nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "controller/posted.h"
#include "wire/record.h"

static void put(struct posted *p, const char *incarnation, uint64_t sequence, int topics, const char *text)
{
    struct report *r = must(calloc(1, sizeof(*r)));

    strcpy(r->incarnation, incarnation);
    r->sequence = sequence;
    posted_put(p, r, topics, must(strdup(text)), strlen(text));
}

/* Its sequence; 0: it is not known. */
static uint64_t get(struct posted *p, const char *incarnation, int topics, const char *text)
{
    struct report *r = posted_get(p, incarnation, topics, text, strlen(text));
    const uint64_t sequence = r ? r->sequence : 0;

    report_free(r);
    return sequence;
}

static void it_is_found_once(void **state)
{
    struct posted *p = posted_new();

    (void)state;
    put(p, "a", 7, 1, "text");
    assert_int_equal(get(p, "a", 1, "text"), 7);
    assert_int_equal(get(p, "a", 1, "text"), 0);
    posted_free(p);
}

static void other_bytes_are_another(void **state)
{
    struct posted *p = posted_new();

    (void)state;
    put(p, "a", 7, 1, "text");
    assert_int_equal(get(p, "a", 1, "texT"), 0);
    assert_int_equal(get(p, "a", 1, "text "), 0);
    assert_int_equal(get(p, "b", 1, "text"), 0);
    assert_int_equal(get(p, "a", 2, "text"), 0); /* of a topic that the decoder did not know */
    assert_int_equal(get(p, "a", 1, "text"), 7);
    posted_free(p);
}

static void the_newer_takes_the_place(void **state)
{
    struct posted *p = posted_new();

    (void)state;
    put(p, "a", 7, 1, "text");
    put(p, "a", 8, 1, "newer");
    assert_int_equal(get(p, "a", 1, "text"), 0);
    assert_int_equal(get(p, "a", 1, "newer"), 8);
    posted_free(p);
}

static void all_is_forgotten(void **state)
{
    struct posted *p = posted_new();
    char name[16];

    (void)state;
    for (int i = 0; i < 40000; i++) { /* more than there are places */
        snprintf(name, sizeof(name), "m%d", i);
        put(p, name, 1, 1, name);
    }
    assert_int_equal(get(p, name, 1, name), 1);
    put(p, name, 1, 1, name);
    posted_forget(p);
    assert_int_equal(get(p, name, 1, name), 0);
    posted_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_once),
        cmocka_unit_test(other_bytes_are_another),
        cmocka_unit_test(the_newer_takes_the_place),
        cmocka_unit_test(all_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
