/* Lists of stages as words, and which partitions each stage takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/str.h"
#include "core/fleet.h"

#define COUNT 12
#define SAME 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7

static const struct spec spec = { .topics = { "orders", "refunds" }, .topic_count = 2 };

static int read_list(struct stages *ret, const char *text, struct errmsg *m)
{
    char word[STAGE_WORD_MAX];
    int r = ERR_OK;

    memset(ret, 0, sizeof(*ret));
    for (const char *at = text; *at && r == ERR_OK; at += strspn(at, ", ")) {
        const size_t len = strcspn(at, ",");

        snprintf(word, sizeof(word), "%.*s", (int)len, at);
        r = stages_add(ret, &spec, word, m);
        at += len;
    }
    return r == ERR_OK ? stages_end(ret, m) : r;
}

static void lists_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        const char *wrong; /* NULL: it is good */
        int stages;
    } cases[] = {
        { "100%", NULL, 1 },
        { "10%,50%,100%", NULL, 3 },
        { "3,6,100%", NULL, 3 },
        { "3,25%,100%", NULL, 3 },
        { "orders/0,orders/7,100%", NULL, 2 },
        { "orders/0,1,refunds/3,100%", NULL, 4 },
        { "", "the list is empty", 0 },
        { "50%", "the last stage must be 100%", 0 },
        { "100", "the last stage must be 100%", 0 },
        { "orders/0", "the last stage must be 100%", 0 },
        { "50%,10%,100%", "10% does not follow 50%", 0 },
        { "5,3,100%", "3 does not follow 5", 0 },
        { "100%,100%", "nothing is left", 0 },
        { "0,100%", "is no stage", 0 },
        { "ten,100%", "is no stage", 0 },
        { "101%", "1% to 100%", 0 },
        { "order/0,100%", "did you mean 'orders'", 0 },
        { "orders/x,100%", "the partition in 'orders/x'", 0 },
        { "orders/-1,100%", "the partition in", 0 },
        { "orders/1,orders/1,100%", "twice", 0 },
        { "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,100%", "at most 16 stages", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct str again = STR_WITH_MAX(1000);
        struct errmsg m = { 0 };
        struct stages s;
        const int r = read_list(&s, cases[i].text, &m);

        if ((r < 0) != (cases[i].wrong != NULL) || (cases[i].wrong && !strstr(m.text, cases[i].wrong)))
            fail_msg("%s: %d %s", cases[i].text, r, m.text);
        if (cases[i].wrong)
            continue;
        assert_int_equal(s.count, cases[i].stages);
        assert_true(stages_valid(&s, &spec));
        for (int w = 0; w < stages_word_count(&s); w++) {
            char word[STAGE_WORD_MAX];

            stages_word(word, &s, &spec, w);
            str_addf(&again, "%s%s", w ? "," : "", word);
        }
        assert_string_equal(again.buf, cases[i].text);
        s.items[s.count - 1].amount = 99;
        assert_false(stages_valid(&s, &spec));
        str_free(&again);
    }
}

/* Eight partitions of orders and four of refunds; a digit a partition says with which stage it goes. */
static void stages_are_like_the_whole(void **state)
{
    static const struct {
        const char *stages;
        int64_t load[COUNT];
        const char *picked;
        int partitions, percent; /* of the first stage */
    } cases[] = {
        { "100%", { SAME }, "000000000000", 12, 100 },
        /* nothing is known, or all alike: evenly over the fleet, so over both topics */
        { "2,100%", { 0 }, "110111110111", 2, -1 },
        { "25%,50%,100%", { SAME }, "201220122012", 3, 25 },
        { "1%,100%", { SAME }, "111110111111", 1, 8 },
        /* the heaviest go last; the others as evenly as their loads allow */
        { "50%,100%", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1000 }, "010101010101", 6, 1 },
        { "11,100%", { 900, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1000 }, "000000000001", 11, 48 },
        { "10%,100%", { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120 }, "110111110111", 2, 15 },
        { "50%,100%", { 120, 110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10 }, "101010101010", 6, 46 },
        /* what is named is taken, whatever it weighs, and no other stage takes it */
        { "orders/7,100%", { 1, 1, 1, 1, 1, 1, 1, 1000, 1, 1, 1, 1 }, "111111101111", 1, 99 },
        { "orders/0,refunds/3,3,100%", { SAME }, "022221222220", 2, 17 },
        { "3,orders/6,100%", { SAME }, "202220122202", 3, 25 },
        /* stages that ask for no more than the one before */
        { "50%,2,100%", { SAME }, "020202020202", 6, 50 },
        { "30,100%", { SAME }, "000000000000", 12, 100 },
    };
    static struct baton batons[COUNT];
    struct fleet f;

    (void)state;
    fleet_init(&f, batons, COUNT);
    f.spec = spec;
    f.baton_count = COUNT;
    for (int i = 0; i < COUNT; i++)
        batons[i] = (struct baton){ .topic = i >= 8, .partition = i % 8 };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct stage_item items[COUNT];
        struct errmsg m = { 0 };
        struct stages s;
        char picked[COUNT + 1] = "";
        int partitions, percent;

        assert_int_equal(read_list(&s, cases[i].stages, &m), ERR_OK);
        assert_int_equal(stages_unknown_name(&s, &f), -1);
        for (int b = 0; b < COUNT; b++)
            items[b] = (struct stage_item){ .load = cases[i].load[b], .baton = b };
        stages_pick(&s, &f, items, COUNT);
        for (int b = 0; b < COUNT; b++) {
            assert_int_equal(items[b].baton, b);
            picked[b] = (char)('0' + items[b].stage);
        }
        stages_share(items, COUNT, 0, &partitions, &percent);
        if (strcmp(picked, cases[i].picked) || partitions != cases[i].partitions || percent != cases[i].percent)
            fail_msg("%s (case %zu): %s, %d partitions, %d %% of the load", cases[i].stages, i, picked, partitions,
                     percent);
    }
}

static void a_name_may_be_no_partition_of_the_fleet(void **state)
{
    static struct baton batons[1];
    struct stages s;
    struct fleet f;

    (void)state;
    fleet_init(&f, batons, 1);
    f.spec = spec;
    f.baton_count = 1;
    assert_int_equal(read_list(&s, "orders/0,orders/1,100%", NULL), ERR_OK);
    assert_int_equal(stages_unknown_name(&s, &f), 1);
}

/* What was not written as a list of words, but read from a record: whoever made it, it holds together or it is refused. */
static void a_list_from_elsewhere_is_looked_at(void **state)
{
    static const struct stages good = { .items = { { STAGE_NAMES, 2, 0 }, { STAGE_SHARE, 100, 0 } },
                                        .count = 2,
                                        .names = { { 0, 1 }, { 1, 2 } },
                                        .name_count = 2 };

    (void)state;
    for (int fault = 0; fault < 15; fault++) {
        struct stages s = good;

        switch (fault) {
        case 0:
            assert_true(stages_valid(&s, &spec));
            continue;
        case 1:
            s.count = 0;
            break;
        case 2:
            s.count = STAGES_MAX + 1;
            break;
        case 3:
            s.name_count = -1;
            break;
        case 4:
            s.name_count = STAGE_NAMES_MAX + 1;
            break;
        case 5:
            s.items[0].amount = 0;
            break;
        case 6:
            s.items[0].first = -1;
            break;
        case 7: /* names beyond the last */
            s.items[0].first = 1;
            break;
        case 8:
            s.names[1].topic = 2;
            break;
        case 9:
            s.names[1] = s.names[0];
            break;
        case 10: /* a name that is in no stage */
            s.items[0].amount = 1;
            break;
        case 11: /* names in two stages that follow one another are one */
            s = (struct stages){ .items = { { STAGE_NAMES, 1, 0 }, { STAGE_NAMES, 1, 1 }, { STAGE_SHARE, 100, 0 } },
                                 .count = 3,
                                 .names = { { 0, 1 }, { 1, 2 } },
                                 .name_count = 2 };
            break;
        case 12:
            s.items[1].amount = 101;
            break;
        case 13:
            s.names[0].topic = UINT16_MAX;
            break;
        default:
            s.count = 1; /* it does not end */
        }
        if (stages_valid(&s, &spec))
            fail_msg("fault %d", fault);
    }
}

static void lists_have_bounds(void **state)
{
    static struct baton batons[3];
    struct stage_item items[3] = { { 1, 0, 0 }, { 1, 1, 0 }, { 1, 2, 0 } };
    struct errmsg m = { 0 };
    struct stages s = { .count = 0 };
    struct fleet f;
    int first = 0;

    (void)state;
    for (int i = 0; i < STAGE_NAMES_MAX; i++)
        assert_int_equal(stages_add_name(&s, 0, i, &m), ERR_OK);
    assert_int_equal(s.count, 1);
    assert_int_equal(stages_add_name(&s, 0, STAGE_NAMES_MAX, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "at most 64 partitions"));
    assert_int_equal(s.name_count, STAGE_NAMES_MAX);
    s = (struct stages){ .count = 0 };
    for (int i = 1; i <= STAGES_MAX; i++) {
        char word[8];

        snprintf(word, sizeof(word), "%d", i);
        assert_int_equal(stages_add(&s, &spec, word, &m), ERR_OK);
    }
    assert_int_equal(stages_add_name(&s, 0, 0, &m), ERR_INVALID);
    assert_int_equal(stages_add(&s, &spec, "nothing like it/3", &m), ERR_INVALID);
    assert_null(strstr(m.text, "did you mean"));
    stages_pick(&s, NULL, NULL, 0); /* a fleet without partitions: nothing is picked */
    fleet_init(&f, batons, 3);
    f.baton_count = 3;
    s = (struct stages){ .items = { { STAGE_NUMBER, 1, 0 }, { STAGE_NUMBER, 2, 0 } }, .count = 2 };
    stages_pick(&s, &f, items, 3); /* a list that does not end: what is left goes with its last stage */
    for (int i = 0; i < 3; i++)
        first += items[i].stage == 0;
    assert_int_equal(first, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(stages_are_like_the_whole),
        cmocka_unit_test(a_name_may_be_no_partition_of_the_fleet),
        cmocka_unit_test(a_list_from_elsewhere_is_looked_at),
        cmocka_unit_test(lists_have_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
