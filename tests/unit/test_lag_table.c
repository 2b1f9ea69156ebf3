/*
 * lag_table - what the reader of lags knows, fed by hand: no broker. A refresh is made known at once, and what
 * becomes of a lag when a coordinator, a leader or a topic goes. The reader around it is tested on a real Kafka
 * (tests/system/cases_lag.py): the embedded broker does not answer its questions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "kafka/lag_table.h"

struct world {
    struct lag_table table;
    int64_t now_ms;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    lag_table_init(&w->table);
    w->now_ms = 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    lag_table_deinit(&w->table);
    free(w);
    return 0;
}

/* --- a refresh by hand -------------------------------------------------------------------------------------------- */

static void begin(struct world *w)
{
    w->now_ms += 10000;
    lag_table_begin(&w->table);
}

/* "orders/0=5 orders/1=? audit/0=7@3": '?' is an error of that partition, "none" no offset, '@' a leader epoch. */
static rd_kafka_topic_partition_list_t *list_of(const char *text)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    char copy[1024], *at = copy, *word;

    snprintf(copy, sizeof(copy), "%s", text);
    while ((word = strsep(&at, " "))) {
        char *partition = strchr(word, '/'), *offset = strchr(word, '='), *epoch = strchr(word, '@');
        rd_kafka_topic_partition_t *tp;

        if (!*word)
            continue;
        *partition = '\0';
        tp = rd_kafka_topic_partition_list_add(list, word, atoi(partition + 1));
        tp->offset = offset[1] == '?' || offset[1] == 'n' ? RD_KAFKA_OFFSET_INVALID : atoll(offset + 1);
        tp->err = offset[1] == '?' ? RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (epoch)
            rd_kafka_topic_partition_set_leader_epoch(tp, atoi(epoch + 1));
    }
    return list;
}

static void told(struct world *w, const char *group, const char *text, bool whole)
{
    struct lag_entry *e = lag_table_keep(&w->table, group);
    rd_kafka_topic_partition_list_t *list = list_of(text);

    assert_non_null(e);
    (whole ? lag_table_commits : lag_table_commits_again)(&w->table, e, list, w->now_ms);
    rd_kafka_topic_partition_list_destroy(list);
}

static void commits(struct world *w, const char *group, const char *text)
{
    told(w, group, text, true);
}

static void again(struct world *w, const char *group, const char *text)
{
    told(w, group, text, false);
}

static void end(struct world *w, const char *topic, int32_t partition, int64_t offset, int32_t epoch)
{
    struct lag_part *part = &w->table.parts[lag_table_part_find(&w->table, topic, partition)];

    assert_true(part->wanted);
    part->read_end = offset;
    part->read_epoch = epoch;
    part->read_code = offset < 0 ? RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void known(struct world *w)
{
    lag_table_troubled(&w->table, w->now_ms);
    lag_table_publish(&w->table, w->now_ms);
}

/* "orders/0 known 5, orders/1 no-commit 0" of a group */
static void expect(struct world *w, const char *group, const char *text)
{
    const struct lag_entry *e = lag_table_find(&w->table, group);
    char got[1024] = "";

    assert_non_null(e);
    for (int i = 0; i < e->known.row_count; i++) {
        const struct lag_row row = lag_table_row(&w->table, e, i, w->now_ms);
        const size_t len = strlen(got);

        snprintf(got + len, sizeof(got) - len, "%s%s/%d %s %lld", len ? ", " : "", row.topic, (int)row.partition,
                 lag_state_name(row.lag.state), (long long)row.lag.records);
    }
    assert_string_equal(got, text);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_a_refresh_is_known_at_once(void **state)
{
    struct world *w = *state;

    begin(w);
    commits(w, "readers", "orders/1=5 audit/0=2 orders/0=4"); /* in any order */
    lag_table_wanted(&w->table);
    assert_int_equal(w->table.end_count, 3);
    end(w, "orders", 0, 10, 0);
    end(w, "orders", 1, 5, 0);
    end(w, "audit", 0, 3, 0);
    assert_null(lag_table_find(&w->table, "readers"));
    known(w);
    expect(w, "readers", "audit/0 known 1, orders/0 known 6, orders/1 known 0");
    assert_int_equal(lag_table_find(&w->table, "readers")->known.lag, 7);
    assert_int_equal(lag_table_find(&w->table, "readers")->known.time.state, TIME_LAG_UNKNOWN); /* not 0 of orders/1 */

    begin(w);
    commits(w, "readers", "orders/0=9 orders/1=5 audit/0=2");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 20, 0);
    end(w, "orders", 1, 8, 0);
    end(w, "audit", 0, 3, 0);
    expect(w, "readers", "audit/0 known 1, orders/0 known 6, orders/1 known 0"); /* still the one before */
    known(w);
    expect(w, "readers", "audit/0 known 1, orders/0 known 11, orders/1 known 3");
}

static void test_groups_come_and_go(void **state)
{
    struct world *w = *state;

    begin(w);
    commits(w, "b", "orders/0=1");
    commits(w, "a", "orders/0=1 orders/1=1");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 5, 0);
    end(w, "orders", 1, 5, 0);
    known(w);
    assert_int_equal(w->table.group_count, 2);
    assert_string_equal(w->table.groups[0]->known.name, "a");
    begin(w);
    commits(w, "b", "orders/0=1");
    lag_table_wanted(&w->table);
    assert_int_equal(w->table.end_count, 1); /* nobody asks for orders/1 any more */
    end(w, "orders", 0, 6, 0);
    known(w);
    assert_null(lag_table_find(&w->table, "a"));
    expect(w, "b", "orders/0 known 5");
    begin(w);
    commits(w, "b", ""); /* its offsets have expired */
    lag_table_wanted(&w->table);
    known(w);
    expect(w, "b", "");
}

static void test_what_cannot_be_read_is_unknown(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++) {
        begin(w);
        commits(w, "near", "orders/0=4 orders/1=4");
        commits(w, "far", "orders/0=2");
        lag_table_wanted(&w->table);
        end(w, "orders", 0, 10, 0);
        end(w, "orders", 1, 10, 0);
        known(w);
    }
    begin(w);
    commits(w, "near", "orders/0=6 orders/1=?");
    lag_table_failed(lag_table_keep(&w->table, "far"), RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 12, 0);
    end(w, "orders", 1, 12, 0);
    known(w);
    expect(w, "near", "orders/0 known 6, orders/1 commit-unread 0");
    expect(w, "far", "orders/0 commit-unread 0");
    assert_true(lag_table_find(&w->table, "far")->known.trouble[0] != '\0');
    assert_int_equal(lag_table_find(&w->table, "far")->known.unknown, 1);
    begin(w);
    commits(w, "near", "orders/0=6 orders/1=4");
    commits(w, "far", "orders/0=2");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, OFFSET_UNKNOWN, -1);
    end(w, "orders", 1, 13, 0);
    known(w);
    expect(w, "near", "orders/0 end-unread 0, orders/1 known 9");
    expect(w, "far", "orders/0 end-unread 0");
}

/* Nobody who was not asked is unread: what is known of him counts. */
static void test_not_asked_is_not_unread(void **state)
{
    struct world *w = *state;

    begin(w);
    commits(w, "quiet", "orders/0=4");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 10, 0);
    known(w);
    begin(w);
    lag_table_keep(&w->table, "quiet");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 15, 0);
    known(w);
    expect(w, "quiet", "orders/0 known 11");
}

/* A record of the log of commits; offset -1: it does not tell. */
static void followed(struct world *w, const char *group, const char *topic, int32_t partition, int64_t offset)
{
    struct kafka_commit c = { .partition = partition, .offset = offset, .epoch = -1 };

    snprintf(c.group, sizeof(c.group), "%s", group);
    snprintf(c.topic, sizeof(c.topic), "%s", topic);
    lag_table_followed(&w->table, &c, offset >= 0);
}

/* Of "orders" 0 to 2, which end at 10; what was followed of the group counts if it is known to be all of it. */
static void ends_known(struct world *w, const char *group, bool stands)
{
    struct lag_entry *e = lag_table_find(&w->table, group);

    if (e)
        lag_table_keep(&w->table, group);
    if (e && stands)
        lag_table_news(&w->table, e, w->now_ms);
    lag_table_wanted(&w->table);
    for (int i = 0; i < 3; i++)
        if (w->table.parts[lag_table_part_find(&w->table, "orders", i)].wanted)
            end(w, "orders", i, 10, 0);
    known(w);
}

/* What cannot be followed is asked, twice, and no mark is lost while one asks. */
static void test_only_what_was_committed(void **state)
{
    struct world *w = *state;
    const struct lag_entry *e;

    begin(w);
    commits(w, "g", "orders/0=1 orders/1=1 orders/2=1");
    ends_known(w, "g", true);
    e = lag_table_find(&w->table, "g");
    followed(w, "g", "orders", 1, -1);
    followed(w, "nobody", "orders", 1, -1);
    assert_int_equal(e->rows[0].dirty, 0);
    assert_int_equal(e->rows[1].dirty, 2);
    begin(w);
    e->rows[1].dirty--; /* asked */
    again(w, "g", "orders/1=5 strange/7=3");
    followed(w, "g", "orders", 2, -1); /* while one waits */
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 known 9, orders/1 known 5, orders/2 known 9");
    assert_int_equal(e->rows[1].dirty, 1);
    assert_int_equal(e->rows[2].dirty, 2);
    begin(w);
    again(w, "g", "orders/1=? orders/2=none"); /* not decided yet; expired */
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 known 9, orders/1 commit-unread 0, orders/2 no-commit 0");
    assert_true(e->rows[1].dirty > 0);
    /* one part of the question fails: nothing of it counts, whichever comes first */
    for (int first = 0; first < 2; first++) {
        begin(w);
        if (first)
            lag_table_failed(lag_table_keep(&w->table, "g"), RD_KAFKA_RESP_ERR__TIMED_OUT);
        again(w, "g", "orders/0=7");
        lag_table_failed(lag_table_keep(&w->table, "g"), RD_KAFKA_RESP_ERR__TIMED_OUT);
        ends_known(w, "g", true);
        expect(w, "g", "orders/0 commit-unread 0, orders/1 commit-unread 0, orders/2 commit-unread 0");
    }
    /* where it has never committed before, all is asked */
    ((struct lag_entry *)e)->whole = 0;
    followed(w, "g", "payments", 0, 4);
    assert_int_equal(e->whole, 2);
}

/* What is followed counts with the refresh, not before, and not while more may be hidden; nothing of it is lost meanwhile. */
static void test_what_is_followed(void **state)
{
    struct world *w = *state;

    begin(w);
    commits(w, "g", "orders/0=1 orders/1=1 orders/2=1");
    ends_known(w, "g", true);
    for (int i = 2; i >= 0; i--) /* in any order, and the last word counts */
        for (int64_t offset = 3; offset <= 4; offset++)
            followed(w, "g", "orders", i, offset + i);
    expect(w, "g", "orders/0 known 9, orders/1 known 9, orders/2 known 9");
    begin(w);
    ends_known(w, "g", false);
    expect(w, "g", "orders/0 known 9, orders/1 known 9, orders/2 known 9");
    begin(w);
    commits(w, "g", "orders/0=2 orders/1=2"); /* asked before that was committed; another one has expired */
    ends_known(w, "g", false);
    expect(w, "g", "orders/0 known 8, orders/1 known 8");
    begin(w);
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 known 6, orders/1 known 5");
    /* between the answers and the moment when all is known: it is for the next refresh */
    begin(w);
    again(w, "g", "orders/1=9");
    lag_table_news(&w->table, lag_table_keep(&w->table, "g"), w->now_ms);
    followed(w, "g", "orders", 0, 8);
    ends_known(w, "g", false);
    expect(w, "g", "orders/0 known 6, orders/1 known 1");
    begin(w);
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 known 2, orders/1 known 1");
    /* committed and then expired: there is nothing to count */
    followed(w, "g", "orders", 0, 9);
    followed(w, "g", "orders", 0, -1);
    begin(w);
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 known 2, orders/1 known 1");
    /* a coordinator that does not answer: unknown, and what was followed is not forgotten */
    followed(w, "g", "orders", 1, 10);
    begin(w);
    lag_table_failed(lag_table_keep(&w->table, "g"), RD_KAFKA_RESP_ERR__TIMED_OUT);
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 commit-unread 0, orders/1 commit-unread 0");
    begin(w);
    again(w, "g", "orders/0=none");
    ends_known(w, "g", true);
    expect(w, "g", "orders/0 no-commit 0, orders/1 known 0");
}

static void test_other_logs(void **state)
{
    struct world *w = *state;
    const struct lag_entry *e;

    begin(w);
    commits(w, "g", "orders/0=4@2 orders/1=4@2 orders/2=4@2");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 3, 2);  /* truncated */
    end(w, "orders", 1, 90, 0); /* made again, and grown past the commit */
    end(w, "orders", 2, 9, 2);
    known(w);
    expect(w, "g", "orders/0 ahead-of-log 0, orders/1 ahead-of-log 0, orders/2 known 5");
    /* who reads uncommitted records has committed past the last stable offset */
    begin(w);
    commits(w, "g", "orders/0=4@2 orders/1=4@2 orders/2=12@2");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 3, 2);
    end(w, "orders", 1, 90, 0);
    end(w, "orders", 2, 9, 2);
    lag_table_troubled(&w->table, w->now_ms);
    assert_true(w->table.parts[lag_table_part_find(&w->table, "orders", 2)].past_stable);
    w->table.parts[lag_table_part_find(&w->table, "orders", 2)].read_high = 14;
    known(w);
    expect(w, "g", "orders/0 ahead-of-log 0, orders/1 ahead-of-log 0, orders/2 known 2");
    assert_int_equal(lag_table_row(&w->table, lag_table_find(&w->table, "g"), 2, w->now_ms).time.state,
                     TIME_LAG_UNKNOWN);
    /* a topic of the same name with another id: old commits are another log's, a new one is not */
    w->table.topics[lag_table_topic(&w->table, "orders")]->remade_unix_ms = w->now_ms + 10000;
    begin(w);
    commits(w, "g", "orders/1=7@0 orders/2=12@2");
    lag_table_wanted(&w->table);
    end(w, "orders", 1, 90, 0);
    end(w, "orders", 2, 90, 2);
    known(w);
    expect(w, "g", "orders/1 known 83, orders/2 topic-remade 0");
    w->table.topics[lag_table_topic(&w->table, "orders")]->gone = true;
    expect(w, "g", "orders/1 topic-deleted 0, orders/2 topic-deleted 0");
    e = lag_table_find(&w->table, "g");
    assert_int_equal(e->known.row_count, 2);
}

static void test_partitions_without_commit(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++) {
        begin(w);
        commits(w, "g", "orders/1=4 audit/0=1");
        lag_table_wanted(&w->table);
        w->table.topics[lag_table_topic(&w->table, "orders")]->partition_count = 3;
        end(w, "orders", 1, 5, 0);
        end(w, "audit", 0, 1, 0);
        known(w);
        expect(w, "g", "audit/0 known 0, orders/0 no-commit 0, orders/1 known 1, orders/2 no-commit 0");
        assert_int_equal(lag_table_find(&w->table, "g")->known.unknown, 2);
    }
}

static void look(struct world *w, const char *committed, int64_t end_0)
{
    begin(w);
    commits(w, "g", committed);
    lag_table_wanted(&w->table);
    end(w, "orders", 0, end_0, -1);
    known(w);
}

static void expect_age(struct world *w, enum time_lag_state state, int64_t ms)
{
    const struct time_lag time = lag_table_row(&w->table, lag_table_find(&w->table, "g"), 0, w->now_ms).time;

    assert_int_equal(time.state, state);
    assert_int_equal(time.ms, ms);
}

/* Looks are ten seconds apart. */
static void test_ages(void **state)
{
    struct world *w = *state;

    look(w, "orders/0=100", 100);
    expect_age(w, TIME_LAG_KNOWN, 0); /* idle: no age, whatever is not known of the past */
    look(w, "orders/0=100", 200);
    expect_age(w, TIME_LAG_KNOWN, 10000);
    look(w, "orders/0=150", 300);
    expect_age(w, TIME_LAG_KNOWN, 15000);
    look(w, "orders/0=20", 300); /* set back by hand, to before our first look */
    expect(w, "g", "orders/0 known 280");
    expect_age(w, TIME_LAG_AT_LEAST, 30000);
    look(w, "orders/0=299", 300); /* what is left is the marker of a transaction: no reader gets past it */
    expect(w, "g", "orders/0 known 1");
    expect_age(w, TIME_LAG_KNOWN, 20100);
    /* made again, with lower offsets: the old log's times are no guide to the new one's */
    look(w, "orders/0=299", 40);
    expect(w, "g", "orders/0 ahead-of-log 0");
    expect_age(w, TIME_LAG_UNKNOWN, 0);
    look(w, "orders/0=10", 60);
    expect(w, "g", "orders/0 known 50");
    expect_age(w, TIME_LAG_AT_LEAST, 10000);
    look(w, "orders/0=50", 60);
    expect_age(w, TIME_LAG_KNOWN, 15000);
    /* a leader that did not answer: no lag and no age, and then both again */
    look(w, "orders/0=50", OFFSET_UNKNOWN);
    expect(w, "g", "orders/0 end-unread 0");
    expect_age(w, TIME_LAG_UNKNOWN, 0);
    look(w, "orders/0=50", 60);
    expect_age(w, TIME_LAG_KNOWN, 35000);
    /* grown: nothing is committed in the new partition, and its end is asked from the next look on */
    w->table.topics[lag_table_topic(&w->table, "orders")]->partition_count = 2;
    look(w, "orders/0=60", 60);
    expect(w, "g", "orders/0 known 0, orders/1 no-commit 0");
    begin(w);
    lag_table_keep(&w->table, "g");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 60, -1);
    end(w, "orders", 1, 5, -1);
    known(w);
    expect(w, "g", "orders/0 known 0, orders/1 no-commit 0");
}

static void test_log_starts(void **state)
{
    struct world *w = *state;
    struct lag_part *part;

    begin(w);
    commits(w, "g", "orders/0=4 orders/1=9");
    lag_table_wanted(&w->table);
    end(w, "orders", 0, 9, 0);
    end(w, "orders", 1, 9, 0);
    lag_table_troubled(&w->table, w->now_ms);
    part = &w->table.parts[lag_table_part_find(&w->table, "orders", 0)];
    assert_true(part->lagging); /* the start is asked where somebody is behind, */
    assert_false(w->table.parts[lag_table_part_find(&w->table, "orders", 1)].lagging);
    part->start = 6;
    part->start_ms = w->now_ms;
    known(w);
    expect(w, "g", "orders/0 known 3, orders/1 known 0");
    assert_int_equal(lag_table_find(&w->table, "g")->known.lost, 2);
    for (int i = 0; i < 6; i++) { /* and again a minute later */
        begin(w);
        lag_table_keep(&w->table, "g");
        lag_table_wanted(&w->table);
        end(w, "orders", 0, 9, 0);
        end(w, "orders", 1, 9, 0);
        lag_table_troubled(&w->table, w->now_ms);
        part = &w->table.parts[lag_table_part_find(&w->table, "orders", 0)];
        assert_int_equal(part->lagging, i == 5);
        known(w);
    }
}

/* Bounds on what a broker may say. */
static void test_strange_names_and_numbers(void **state)
{
    struct world *w = *state;
    char longer[TOPIC_NAME_MAX + 2], group[GROUP_NAME_MAX + 2];

    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    memset(group, 'g', sizeof(group));
    group[sizeof(group) - 1] = '\0';
    assert_int_equal(lag_table_part(&w->table, longer, 0), -1);
    assert_int_equal(lag_table_part(&w->table, "", 0), -1);
    assert_int_equal(lag_table_part(&w->table, "orders", -1), -1);
    assert_int_equal(lag_table_part(&w->table, "orders", INT32_MAX), -1);
    assert_int_equal(lag_table_part_find(&w->table, "orders", INT32_MAX), -1);
    assert_int_equal(lag_table_part_find(&w->table, "never", 0), -1);
    lag_table_begin(&w->table);
    assert_null(lag_table_keep(&w->table, group));
    assert_non_null(lag_table_keep(&w->table, "a group that is never made known")); /* and is freed nevertheless */
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_a_refresh_is_known_at_once),
        WITH_WORLD(test_groups_come_and_go),
        WITH_WORLD(test_what_cannot_be_read_is_unknown),
        WITH_WORLD(test_not_asked_is_not_unread),
        WITH_WORLD(test_ages),
        WITH_WORLD(test_only_what_was_committed),
        WITH_WORLD(test_what_is_followed),
        WITH_WORLD(test_other_logs),
        WITH_WORLD(test_partitions_without_commit),
        WITH_WORLD(test_log_starts),
        WITH_WORLD(test_strange_names_and_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
