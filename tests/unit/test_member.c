/*
 * test_member - libbaton against a broker and a control log that is written by hand (member_world.h): what a program sees of
 * each story.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "member_world.h"

/* --- options --- */

static void refused(struct baton_consumer *c, const char *name, const char *value, const char *words)
{
    char why[BATON_WHY_MAX] = "";

    assert_int_equal(baton_set(c, name, value, why, sizeof(why)), BATON_ERR_INVALID);
    if (!strstr(why, words))
        fail_msg("%s=%s: '%s' does not say '%s'", name, value, why, words);
}

static void options_are_checked(void **state)
{
    struct baton_consumer *c;
    struct baton_record *record;
    char why[BATON_WHY_MAX], value[64];
    const char *name, *standard, *help;

    (void)state;
    assert_int_equal(baton_new(&c), 0);
    refused(c, "baton.flet", "payments", "did you mean 'baton.fleet'?");
    refused(c, "fleet", "payments", "did you mean 'baton.fleet'?");
    refused(c, "bootstrap.server", "x:1", "did you mean 'bootstrap.servers'?");
    refused(c, "baton.fleet", "Payments", "no fleet name");
    refused(c, "baton.color", "red", "neither blue nor green");
    refused(c, "baton.in.flight.max", "0", "baton.in.flight.max");
    refused(c, "baton.commit.interval.ms", "5s", "baton.commit.interval.ms");
    refused(c, "enable.auto.commit", "true", "Baton owns it");
    refused(c, "auto.offset.reset", "latest", "fleet file");
    refused(c, "session.timeout.ms", "many", "session.timeout.ms");
    assert_int_equal(baton_set(c, "enable.auto.commit", "false", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "baton.in.flight.max", "1000", why, sizeof(why)), 0);
    assert_int_equal(baton_get(c, "baton.in.flight.max", value, sizeof(value)), 0);
    assert_string_equal(value, "1024");
    assert_int_equal(baton_set(c, "fetch.min.bytes", "7", why, sizeof(why)), 0);
    assert_int_equal(baton_get(c, "fetch.min.bytes", value, sizeof(value)), 0);
    assert_string_equal(value, "7");
    assert_int_equal(baton_get(c, "baton.nothing", value, sizeof(value)), BATON_ERR_NOT_FOUND);
    assert_int_equal(baton_get(c, "baton.state", value, 2), BATON_ERR_TOO_LARGE);
    assert_true(state_is(c, "new"));
    assert_int_equal(baton_poll(c, &record, 1, 0), BATON_ERR_STATE);
    assert_int_equal(baton_open(c, why, sizeof(why)), BATON_ERR_INVALID);
    assert_non_null(strstr(why, "baton.fleet"));
    assert_int_equal(baton_set(c, "baton.fleet", "payments", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "baton.color", "green", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "bootstrap.servers", "127.0.0.1:1", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "group.protocol", "consumer", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "partition.assignment.strategy", "range", why, sizeof(why)), 0);
    assert_int_equal(baton_open(c, why, sizeof(why)), BATON_ERR_INVALID);
    assert_non_null(strstr(why, "group.protocol=consumer"));
    for (int i = 0; baton_option(i, &name, &standard, &help) == 0; i++) {
        assert_int_equal(strncmp(name, "baton.", 6), 0);
        assert_true(strlen(help) > 10);
        if (standard[0])
            assert_int_equal(baton_set(c, name, standard, why, sizeof(why)), 0);
    }
    baton_free(c);
    baton_free(NULL);
}

static void no_broker_is_said_in_time(void **state)
{
    const int64_t began_ms = clock_ms();
    struct baton_consumer *c;
    char why[BATON_WHY_MAX] = "";

    (void)state;
    assert_int_equal(baton_new(&c), 0);
    assert_int_equal(baton_set(c, "baton.fleet", "payments", NULL, 0), 0);
    assert_int_equal(baton_set(c, "baton.color", "blue", NULL, 0), 0);
    assert_int_equal(baton_set(c, "bootstrap.servers", "127.0.0.1:1", NULL, 0), 0);
    assert_int_equal(baton_set(c, "baton.connect.timeout.ms", "1000", NULL, 0), 0);
    assert_int_equal(baton_open(c, why, sizeof(why)), BATON_ERR_UNAVAILABLE);
    assert_non_null(strstr(why, "127.0.0.1:1"));
    assert_true(clock_ms() - began_ms < PATIENCE_MS / 2);
    assert_int_equal(baton_close(c, 0), 0);
    baton_free(c);
}

/* --- stories --- */

static void paused_until_told(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    const int64_t until_ms = clock_ms() + 1500;

    produce_all(w, 20);
    while (clock_ms() < until_ms)
        assert_int_equal(work(w, c, 50), 0); /* no fleet: nothing is delivered */
    assert_true(state_is(c, "waiting"));
    make_fleet(w, GREEN);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_STANDBY) && w->heard[0]->ready);
    assert_true(state_is(c, "standby"));
    assert_int_equal(delivered(w, BLUE), 0);
    say(w, -1, RIGHT_GRANTED, BLUE);
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    assert_true(state_is(c, "active"));
    audit(w);
    close_all(&c, 1);
    WORK_UNTIL(w, &c, 0, w->heard[0]->goodbye);
}

static void hands_over_and_back(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[2] = { consumer_open(w, BLUE), consumer_open(w, GREEN) };
    struct mark mark;

    make_fleet(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, c, 2, delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    for (enum color to = GREEN;; to = BLUE) {
        const enum color from = color_other(to);

        say(w, -1, RIGHT_RELEASING, from);
        WORK_UNTIL(w, c, 2, all_are(w, from, LOCAL_RELEASED));
        for (int i = 0; i < PARTITIONS; i++) {
            w->batons[i].from = committed(w, from, i, &mark);
            assert_int_equal(w->batons[i].from, w->produced[i]);
            assert_int_equal(mark.kind, MARK_EPOCH);
            assert_int_equal(mark.epoch, w->batons[i].epoch);
            assert_int_equal(owner(w, from, i)->committed, w->batons[i].from);
            assert_int_equal(owner(w, from, i)->in_flight, 0);
        }
        produce_all(w, 50); /* nobody's for now */
        say(w, -1, RIGHT_GRANTED, to);
        WORK_UNTIL(w, c, 2, all_are(w, to, LOCAL_ACTIVE));
        say(w, -1, RIGHT_HELD, to);
        produce_all(w, 50);
        WORK_UNTIL(w, c, 2, delivered(w, BLUE) + delivered(w, GREEN) == produced(w));
        WORK_UNTIL(w, c, 2, first_are_from(w, to));
        if (to == BLUE)
            break;
    }
    audit(w);
    assert_int_equal(delivered(w, GREEN), PARTITIONS * 100);
    close_all(c, 2);
}

/* A quiet partition is taken at its end, without a record, in no time. */
static void takes_an_empty_partition(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[2] = { consumer_open(w, BLUE), consumer_open(w, GREEN) };

    make_fleet(w, BLUE);
    produce_all(w, 5);
    WORK_UNTIL(w, c, 2,
               delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE) && all_are(w, GREEN, LOCAL_STANDBY));
    say(w, -1, RIGHT_RELEASING, BLUE);
    WORK_UNTIL(w, c, 2, all_are(w, BLUE, LOCAL_RELEASED));
    for (int i = 0; i < PARTITIONS; i++)
        w->batons[i].from = 5;
    say(w, -1, RIGHT_GRANTED, GREEN);
    WORK_UNTIL(w, c, 2,
               all_are(w, GREEN, LOCAL_ACTIVE) && owner(w, GREEN, 0)->first == 5 && owner(w, GREEN, 3)->first == 5);
    close_all(c, 2);
}

/* A standby that had nothing to commit for longer than its session has not lost it: it takes in less than another one. */
static void takes_after_a_long_silence(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[2] = { consumer_open(w, BLUE), consumer_open(w, GREEN) };
    struct mark mark;
    int64_t began_ms;

    make_fleet(w, BLUE);
    w->fleet.spec.follow_interval_ms = 600000;
    publish(w);
    WORK_UNTIL(w, c, 2, all_are(w, BLUE, LOCAL_ACTIVE) && all_are(w, GREEN, LOCAL_STANDBY));
    began_ms = clock_ms();
    WORK_UNTIL(w, c, 2, clock_ms() - began_ms > w->fleet.spec.session_timeout_ms);
    produce_all(w, 5);
    say(w, -1, RIGHT_RELEASING, BLUE);
    WORK_UNTIL(w, c, 2, all_are(w, BLUE, LOCAL_RELEASED));
    for (int i = 0; i < PARTITIONS; i++)
        w->batons[i].from = committed(w, BLUE, i, &mark);
    say(w, -1, RIGHT_GRANTED, GREEN);
    began_ms = clock_ms();
    WORK_UNTIL(w, c, 2, all_are(w, GREEN, LOCAL_ACTIVE));
    assert_true(clock_ms() - began_ms < w->fleet.spec.session_timeout_ms);
    close_all(c, 2);
}

/* Retention has deleted what was not processed: with offset_reset none the partition waits, else it goes on after the gap. */
static void a_gap_is_jumped_only_if_it_may_be(void **state)
{
    enum { BIG = 100 * 1024, COUNT = 120 }; /* the embedded broker keeps 5 MB a partition */
    struct world *w = *state;
    struct baton_consumer *c;
    char why[BATON_WHY_MAX], *value;
    int64_t first = 0;

    if (!w->broker)
        skip();
    c = consumer_open(w, BLUE);
    make_fleet(w, GREEN);
    w->fleet.spec.offset_reset = RESET_NONE;
    value = malloc(BIG);
    assert_non_null(value);
    memset(value, 'x', BIG);
    for (int i = 0; i < COUNT; i++) {
        snprintf(value, 32, "%d", i);
        append(w, w->topic, 0, "key", value, BIG);
        w->produced[0]++;
    }
    free(value);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_STANDBY));
    say(w, -1, RIGHT_GRANTED, BLUE); /* from 0 on */
    WORK_UNTIL(w, &c, 1, baton_get(c, "baton.why", why, sizeof(why)) == 0 && strstr(why, "offset_reset is none"));
    produce(w, 1, 10); /* the others go on */
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == 10);
    w->fleet.spec.offset_reset =
        RESET_LATEST; /* of fleets with nothing committed: what is still there is not skipped */
    say(w, -1, RIGHT_HELD, BLUE);
    WORK_UNTIL(w, &c, 1, w->seen[BLUE][0].next == COUNT);
    while (w->seen[BLUE][0].times[first] == 0)
        first++;
    assert_in_range(first, 1, COUNT - 10);
    WORK_UNTIL(w, &c, 1, owner(w, BLUE, 0) && owner(w, BLUE, 0)->first == first);
    close_all(&c, 1);
}

/* The brokers have lost the log's end: what is committed lies beyond it, and what comes there is new and must be done. */
static void a_log_that_was_cut_is_followed_from_its_end(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct mark mark;

    make_fleet(w, GREEN);
    produce(w, 0, 30);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_STANDBY));
    w->batons[0].from = 100;
    say(w, 0, RIGHT_GRANTED, BLUE);
    WORK_UNTIL(w, &c, 1, committed(w, BLUE, 0, &mark) == 30);
    assert_int_equal(mark.epoch, w->batons[0].epoch);
    produce(w, 0, 10);
    WORK_UNTIL(w, &c, 1, w->seen[BLUE][0].next == 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(w->seen[BLUE][0].times[i], i < 30 ? 0 : 1);
    WORK_UNTIL(w, &c, 1, committed(w, BLUE, 0, &mark) == 40);
    close_all(&c, 1);
}

/* However large the backlog of the others: every partition that is taken gets its turn at once. */
static void a_slow_program_takes_every_partition(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c;
    int seen = 0;

    make_fleet(w, BLUE);
    produce_all(w, 2000);
    c = consumer_open(w, BLUE);
    for (int i = 0; i < 400 && seen < PARTITIONS; i++) {
        if (work_some(w, c, 1, PATIENCE_MS) == 1)
            usleep(10000); /* the program's work */
        seen = 0;
        for (int p = 0; p < PARTITIONS; p++)
            seen += w->seen[BLUE][p].next > 0;
    }
    assert_int_equal(seen, PARTITIONS);
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    audit(w);
    close_all(&c, 1);
}

static void waits_for_records_in_flight(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct baton_record *records[10];
    struct mark mark;
    int count = 0;

    make_fleet(w, BLUE);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_ACTIVE));
    produce(w, 0, 10);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; count < 10 && clock_ms() < until_ms;)
        count += baton_poll(c, records + count, 10 - count, 100);
    assert_int_equal(count, 10);
    say(w, -1, RIGHT_RELEASING, BLUE);
    WORK_UNTIL(w, &c, 1,
               owner(w, BLUE, 0) && owner(w, BLUE, 0)->local == LOCAL_DRAINING && owner(w, BLUE, 0)->in_flight == 10 &&
                   owner(w, BLUE, 1)->local == LOCAL_RELEASED);
    for (int i = 9; i >= 0; i--) { /* done in the wrong order */
        note(w, records[i]);
        baton_done(records[i]);
    }
    w->seen[BLUE][0].out_of_order = false; /* ours, not the library's */
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_RELEASED));
    assert_int_equal(committed(w, BLUE, 0, &mark), 10);
    assert_int_equal(committed(w, BLUE, 1, &mark), 0); /* commits also where nothing was processed */
    audit(w);
    close_all(&c, 1);
}

/* Only what is done without a gap is committed, also while it works. */
static void commits_the_low_watermark(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_new(w, BLUE);
    struct baton_record *records[10];
    struct mark mark;
    int64_t at = -1;
    int count = 0;

    assert_int_equal(baton_set(c, "baton.commit.interval.ms", "50", NULL, 0), 0);
    assert_int_equal(baton_open(c, NULL, 0), 0);
    make_fleet(w, BLUE);
    produce(w, 0, 10);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; count < 10 && clock_ms() < until_ms;)
        count += baton_poll(c, records + count, 10 - count, 100);
    assert_int_equal(count, 10);
    baton_done_all(records, 3);
    baton_done_all(records + 5, 5);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; at != 3 && clock_ms() < until_ms;)
        at = committed(w, BLUE, 0, &mark);
    assert_int_equal(at, 3);
    baton_done_all(records + 3, 2);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; at != 10 && clock_ms() < until_ms;)
        at = committed(w, BLUE, 0, &mark);
    assert_int_equal(at, 10);
    close_all(&c, 1);
}

static const struct signals *heard_signals(const struct world *w)
{
    static const struct signals none;

    return w->heard_count > 0 && w->heard[0]->signals ? w->heard[0]->signals : &none;
}

/* A record that failed is done, and its member says how many of which kind, how long records took, how often it asked. */
static void failures_are_told(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct baton_record *records[10];
    const struct signals *s;
    char number[20];
    int count = 0;

    make_fleet(w, BLUE);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_ACTIVE));
    produce(w, 0, 10);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; count < 10 && clock_ms() < until_ms;)
        count += baton_poll(c, records + count, 10 - count, 100);
    assert_int_equal(count, 10);
    for (int i = 0; i < 10; i++)
        note(w, records[i]);
    for (int i = 0; i < 3; i++)
        baton_failed(records[i], "timeout");
    baton_failed(records[3], NULL);
    baton_done_all(records + 4, 6);
    assert_int_equal(baton_get(c, "baton.failed", number, sizeof(number)), 0);
    assert_string_equal(number, "4");
    WORK_UNTIL(w, &c, 1, signals_failed(heard_signals(w)) == 4 && w->heard[0]->records_done == 10);
    s = heard_signals(w);
    assert_int_equal(s->failed_count, 2);
    assert_string_equal(s->failed[0].name, "timeout");
    assert_int_equal(s->failed[0].count, 3);
    assert_string_equal(s->failed[1].name, "other");
    assert_in_range(histogram_count(&s->processing), 1, 10);
    assert_true(histogram_count(&s->poll_gap) > 0);
    audit(w);
    close_all(&c, 1);
}

static void an_order_is_taken_back(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);

    make_fleet(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    say(w, -1, RIGHT_RELEASING, BLUE);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_RELEASED));
    produce_all(w, 100);
    say(w, -1, RIGHT_HELD, BLUE); /* same epoch, new order */
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    for (int round = 0; round < 5; round++) { /* faster than it can drain */
        say(w, -1, RIGHT_RELEASING, BLUE);
        say(w, -1, RIGHT_HELD, BLUE);
        produce_all(w, 20);
    }
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    audit(w);
    close_all(&c, 1);
}

/* A canary: one partition passes while the others flow. */
static void passes_one_partition(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[2] = { consumer_open(w, BLUE), consumer_open(w, GREEN) };
    struct mark mark;

    make_fleet(w, BLUE);
    produce_all(w, 50);
    WORK_UNTIL(w, c, 2, delivered(w, BLUE) == produced(w) && all_are(w, GREEN, LOCAL_STANDBY));
    for (int p = 0; p < PARTITIONS; p++) {
        say(w, p, RIGHT_RELEASING, BLUE);
        produce_all(w, 50);
        WORK_UNTIL(w, c, 2,
                   owner(w, BLUE, p) && owner(w, BLUE, p)->local == LOCAL_RELEASED &&
                       owner(w, BLUE, p)->order == w->batons[p].order);
        w->batons[p].from = committed(w, BLUE, p, &mark);
        say(w, p, RIGHT_GRANTED, GREEN);
        produce_all(w, 50);
        WORK_UNTIL(w, c, 2, owner(w, GREEN, p) && owner(w, GREEN, p)->local == LOCAL_ACTIVE);
        say(w, p, RIGHT_HELD, GREEN);
    }
    produce_all(w, 50);
    WORK_UNTIL(w, c, 2, delivered(w, BLUE) + delivered(w, GREEN) == produced(w));
    audit(w);
    close_all(c, 2);
}

/* Members come and go in the color that works: what moves is committed first, nothing is done twice. */
static void survives_rebalances(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[3] = { consumer_open(w, BLUE) };

    make_fleet(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, c, 1, delivered(w, BLUE) == produced(w));
    c[1] = consumer_open(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, c, 2,
               delivered(w, BLUE) == produced(w) && w->heard_count == 2 && w->heard[1]->part_count > 0 &&
                   all_are(w, BLUE, LOCAL_ACTIVE));
    c[2] = consumer_open(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, c, 3,
               delivered(w, BLUE) == produced(w) && w->heard_count == 3 && w->heard[2]->part_count > 0 &&
                   all_are(w, BLUE, LOCAL_ACTIVE));
    close_all(c, 1);
    produce_all(w, 100);
    WORK_UNTIL(w, c + 1, 2, delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    close_all(c + 1, 1);
    produce_all(w, 100);
    WORK_UNTIL(w, c + 2, 1, delivered(w, BLUE) == produced(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    for (int i = 0; i < PARTITIONS; i++)
        w->seen[BLUE][i].out_of_order = false; /* of three consumers together */
    audit(w);
    close_all(c + 2, 1);
}

static void a_restart_goes_on_where_it_stopped(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);

    make_fleet(w, BLUE);
    produce_all(w, 100);
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    close_all(&c, 1);
    produce_all(w, 100);
    c = consumer_open(w, BLUE);
    WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    audit(w);
    close_all(&c, 1);
}

static void standby_follows(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c[2] = { consumer_open(w, BLUE), consumer_open(w, GREEN) };
    struct mark mark = { 0 };

    make_fleet(w, BLUE);
    produce_all(w, 30);
    WORK_UNTIL(w, c, 2, delivered(w, BLUE) == produced(w));
    WORK_UNTIL(w, c, 2, committed(w, GREEN, 2, &mark) == 30);
    assert_int_equal(mark.kind, MARK_FOLLOW);
    close_all(c, 2);
}

static void ignores_a_deposed_leader(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    int64_t old;

    make_fleet(w, BLUE);
    WORK_UNTIL(w, &c, 1, all_are(w, BLUE, LOCAL_ACTIVE));
    old = w->term;
    claim(w); /* and has not written anything yet */
    w->term = old;
    say(w, -1, RIGHT_RELEASING, BLUE); /* a zombie's word */
    for (int i = 0; i < 50; i++) {     /* long enough for it to be read */
        produce_all(w, 1);
        WORK_UNTIL(w, &c, 1, delivered(w, BLUE) == produced(w));
    }
    assert_true(state_is(c, "active"));
    close_all(&c, 1);
}

static int poll_some(struct baton_consumer *c, struct baton_record **ret, int wanted)
{
    int count = 0;

    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; count < wanted && clock_ms() < until_ms;)
        count += baton_poll(c, ret + count, wanted - count, 100);
    return count;
}

static void closes_by_the_deadline(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct baton_record *records[5];
    struct mark mark;

    make_fleet(w, BLUE);
    produce(w, 1, 5);
    assert_int_equal(poll_some(c, records, 5), 5);
    baton_done_all(records, 2);
    assert_int_equal(baton_close(c, 300), BATON_ERR_TIMEOUT);
    assert_int_equal(baton_poll(c, records, 5, 0), BATON_ERR_CLOSED);
    assert_true(committed(w, BLUE, 1, &mark) <= 2); /* never past what is not done */
    baton_done(records[2]);                         /* too late, but not forbidden */
    assert_true(state_is(c, "closed"));
    assert_int_equal(baton_close(c, 0), BATON_ERR_TIMEOUT);
    baton_free(c); /* two records are still out */
}

static void keeps_the_bound_of_records_in_flight(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_new(w, BLUE);
    struct baton_record *records[64], *more[64];
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    int count = 0;

    assert_int_equal(baton_set(c, "baton.in.flight.max", "8", NULL, 0), 0);
    assert_int_equal(baton_open(c, NULL, 0), 0);
    make_fleet(w, BLUE);
    produce(w, 0, 100);
    while (count < 8 && clock_ms() < until_ms)
        count += baton_poll(c, records + count, 64 - count, 100);
    assert_int_equal(count, 8);
    assert_int_equal(baton_poll(c, more, 64, 300), 0);
    produce(w, 1, 4); /* another partition goes on */
    for (int got = 0; got < 4 && clock_ms() < until_ms;) {
        const int n = baton_poll(c, more, 64, 100);

        for (int i = 0; i < n; i++)
            assert_int_equal(baton_record_partition(more[i]), 1);
        got += n;
        baton_done_all(more, n);
    }
    baton_done(records[0]);
    count = 0;
    while (count == 0 && clock_ms() < until_ms)
        count = baton_poll(c, more, 64, 1000);
    assert_int_equal(count, 1);
    assert_int_equal(baton_record_offset(more[0]), 8);
    baton_done(more[0]);
    baton_done_all(records + 1, 7);
    close_all(&c, 1);
}

static void hear_until(struct world *w, enum color color, enum local_state local)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;

    for (hear(w); !all_are(w, color, local); hear(w)) {
        if (clock_ms() > until_ms) {
            tell(w);
            fail_msg("waited for %s to be %s", color_name(color), local_state_name(local));
        }
        usleep(500);
    }
}

/* It cannot do them; the partition is passed on with them, and comes back with them. */
static void gives_back_what_it_cannot_do(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct baton_record *records[5];
    struct mark mark;

    make_fleet(w, BLUE);
    produce(w, 1, 5);
    assert_int_equal(poll_some(c, records, 5), 5);
    assert_int_equal(baton_give_back(records[4]), BATON_ERR_STATE); /* the partition stays */
    baton_done_all(records, 2);
    say(w, -1, RIGHT_RELEASING, BLUE);
    for (int i = 4; i >= 2; i--)
        for (const int64_t until_ms = clock_ms() + PATIENCE_MS; baton_give_back(records[i]) != BATON_OK;) {
            assert_true(clock_ms() < until_ms);
            usleep(500);
        }
    hear_until(w, BLUE, LOCAL_RELEASED);
    assert_int_equal(committed(w, BLUE, 1, &mark), 2);
    say(w, -1, RIGHT_HELD, BLUE);
    assert_int_equal(poll_some(c, records, 3), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(baton_record_offset(records[i]), 2 + i);
    baton_done_all(records, 3);
    close_all(&c, 1);
}

/* Several threads poll, keep records for a while and do them in any order, while batons pass to and fro. */
struct crew {
    struct world *w;
    struct baton_consumer *consumers[2];
    pthread_mutex_t lock; /* of w->seen */
    atomic_bool stop;
};

static void *crew_work(void *opaque)
{
    struct crew *crew = opaque;
    struct baton_record *kept[200], *polled[40];
    unsigned seed = (unsigned)(uintptr_t)&seed;
    int count = 0;

    while (!atomic_load(&crew->stop) || count > 0) {
        const int got =
            count > 160 ? 0 : baton_poll(crew->consumers[rand_r(&seed) % 2], polled, 40, (int)(rand_r(&seed) % 5));

        pthread_mutex_lock(&crew->lock);
        for (int i = 0; i < got; i++) {
            note(crew->w, polled[i]);
            kept[count++] = polled[i];
        }
        pthread_mutex_unlock(&crew->lock);
        while (count > 0 && (rand_r(&seed) % 3 || got <= 0)) {
            const int at = (int)((unsigned)rand_r(&seed) % (unsigned)count);

            baton_done(kept[at]);
            kept[at] = kept[--count];
        }
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct world *w = *state;
    struct crew crew = { .w = w,
                         .consumers = { consumer_open(w, BLUE), consumer_open(w, GREEN) },
                         .lock = PTHREAD_MUTEX_INITIALIZER };
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    enum color holder = BLUE;
    pthread_t threads[4];
    struct mark mark;
    bool all = false;

    make_fleet(w, BLUE);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crew_work, &crew), 0);
    for (int round = 0; round < 10; round++, holder = color_other(holder)) {
        for (int k = 0; k < 8; k++) { /* orders taken back before anybody can obey them */
            say(w, -1, RIGHT_RELEASING, holder);
            produce_all(w, 30);
            say(w, -1, RIGHT_HELD, holder);
        }
        produce_all(w, 100);
        say(w, -1, RIGHT_RELEASING, holder);
        produce_all(w, 100);
        hear_until(w, holder, LOCAL_RELEASED);
        for (int i = 0; i < PARTITIONS; i++)
            w->batons[i].from = committed(w, holder, i, &mark);
        say(w, -1, RIGHT_GRANTED, color_other(holder));
        produce_all(w, 100);
        hear_until(w, color_other(holder), LOCAL_ACTIVE);
        say(w, -1, RIGHT_HELD, color_other(holder));
    }
    while (!all && clock_ms() < until_ms) {
        usleep(1000);
        pthread_mutex_lock(&crew.lock);
        all = delivered(w, BLUE) + delivered(w, GREEN) == produced(w);
        pthread_mutex_unlock(&crew.lock);
    }
    atomic_store(&crew.stop, true);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PARTITIONS; i++) /* threads note what they polled in no order */
        w->seen[BLUE][i].out_of_order = w->seen[GREEN][i].out_of_order = false;
    audit(w);
    close_all(crew.consumers, 2);
}

static void a_wrong_group_is_refused(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_new(w, BLUE);
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    char why[BATON_WHY_MAX];
    int r = 0;

    assert_int_equal(baton_set(c, "group.id", "mine", NULL, 0), 0);
    assert_int_equal(baton_open(c, NULL, 0), 0);
    make_fleet(w, BLUE);
    while (r == 0 && clock_ms() < until_ms)
        r = work(w, c, 100);
    assert_int_equal(r, BATON_ERR_CONFLICT);
    assert_true(state_is(c, "failed"));
    assert_int_equal(baton_get(c, "baton.why", why, sizeof(why)), 0);
    assert_non_null(strstr(why, "group.id is 'mine'"));
    close_all(&c, 1);
}

static void quiet(void *opaque, int level, const char *event, const char *text)
{
    (void)opaque;
    (void)level;
    (void)event;
    (void)text;
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(no_broker_is_said_in_time),
        STORY(paused_until_told),
        STORY(hands_over_and_back),
        STORY(takes_an_empty_partition),
        STORY(takes_after_a_long_silence),
        STORY(a_gap_is_jumped_only_if_it_may_be),
        STORY(a_log_that_was_cut_is_followed_from_its_end),
        STORY(a_slow_program_takes_every_partition),
        STORY(waits_for_records_in_flight),
        STORY(commits_the_low_watermark),
        STORY(failures_are_told),
        STORY(an_order_is_taken_back),
        STORY(passes_one_partition),
        STORY(survives_rebalances),
        STORY(a_restart_goes_on_where_it_stopped),
        STORY(standby_follows),
        STORY(ignores_a_deposed_leader),
        STORY(closes_by_the_deadline),
        STORY(gives_back_what_it_cannot_do),
        STORY(keeps_the_bound_of_records_in_flight),
        STORY(many_threads),
        STORY(a_wrong_group_is_refused),
    };
    const char *only = getenv("BATON_TEST_ONLY"), *verbose = getenv("BATON_TEST_LOG");

    if (!verbose)
        baton_log_to(quiet, NULL, 3);
    else
        baton_log_to(NULL, NULL, atoi(verbose));
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
