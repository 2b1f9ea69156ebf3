/*
 * test_member - libbaton against a broker and a control log that is written by hand.
 *
 * The test plays the controller: it claims a term, writes fleet documents and reads the members' reports and what
 * they commit. Each story runs on the embedded broker; with BATON_TEST_BOOTSTRAP=HOST:PORT on any Kafka, and
 * BATON_TEST_OPTIONS="name=value ..." gives every consumer further options, such as another assignor. Every wait has
 * a deadline and says what it waited for.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "baton/baton.h"
#include "kafka/log.h"
#include "wire/record.h"
#include "wire/spec.h"

#define PARTITIONS 4
#define MEMBERS 4
#define PATIENCE_MS 30000
#define RECORDS_MAX 20000

/* --- the world --- */

struct seen {
    int times[RECORDS_MAX]; /* how often record n of this partition was delivered */
    int64_t next;           /* one past the highest offset delivered */
    bool out_of_order;
};

struct world {
    struct embedded_broker *broker; /* NULL: a real Kafka */
    char bootstrap[256];
    char fleet_name[64], topic[64], groups[COLOR_COUNT][80];
    struct kafka_settings *settings;
    struct kafka_appender *appender;
    struct kafka_reader *reports;
    struct kafka_admin *admin;
    uint64_t token;
    int64_t term;
    struct fleet fleet;
    struct baton batons[PARTITIONS];
    struct report *heard[MEMBERS * 4]; /* the newest of each incarnation */
    int heard_count;
    int64_t produced[PARTITIONS];
    struct seen seen[COLOR_COUNT][PARTITIONS];
};

static struct errmsg m;

static void check(int r)
{
    if (r < 0)
        fail_msg("%s", m.text);
}

static int64_t append(struct world *w, const char *topic, int partition, const char *key, const char *value, size_t len)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    const uint64_t token = ++w->token;
    struct kafka_appended answer;

    check(kafka_append(w->appender, token, topic, partition, key, value, len, &m));
    while (clock_ms() < until_ms) {
        while (kafka_appender_poll(w->appender, &answer))
            if (answer.token == token) {
                assert_int_equal(answer.error, ERR_OK);
                return answer.offset;
            }
        usleep(200);
    }
    fail_msg("no acknowledgement of an append to %s", topic);
    return -1;
}

static void claim(struct world *w)
{
    const struct claim claim = { .controller = "test", .host = "here", .version = "0" };
    struct str json = STR_WITH_MAX(4096);

    check(claim_encode(&json, &claim, &m));
    w->term = append(w, CONTROL_TOPIC, 0, "term", json.buf, json.len);
    str_free(&json);
}

static void fleet_key(const struct world *w, char ret[RECORD_KEY_MAX])
{
    struct record_key key = { .kind = RECORD_HEAD };

    snprintf(key.fleet, sizeof(key.fleet), "%s", w->fleet_name);
    record_key_format(ret, &key);
}

/* Writes the document as it stands, with the next epoch. */
static void publish(struct world *w)
{
    struct str json = STR_WITH_MAX(RECORD_BYTES_MAX);
    char key[RECORD_KEY_MAX];

    w->fleet.version = w->fleet.applied = (struct version){ w->term, w->fleet.version.epoch + 1 };
    w->fleet.written_unix_us = clock_unix_us();
    check(fleet_encode(&json, &w->fleet, -1, &m));
    fleet_key(w, key);
    append(w, CONTROL_TOPIC, 0, key, json.buf, json.len);
    str_free(&json);
}

/* All batons (or one) get a word. A grant has a new epoch; every word has a new order. */
static void say(struct world *w, int partition, enum right right, enum color holder)
{
    const uint64_t epoch = w->fleet.version.epoch + 1;

    for (int i = 0; i < PARTITIONS; i++) {
        struct baton *b = &w->batons[i];

        if (partition >= 0 && partition != i)
            continue;
        if (right == RIGHT_GRANTED)
            b->epoch = epoch;
        b->state = right;
        b->holder = holder;
        b->order = epoch;
        b->taken = right == RIGHT_HELD;
    }
    publish(w);
}

static void make_fleet(struct world *w, enum color active)
{
    claim(w);
    fleet_init(&w->fleet, w->batons, PARTITIONS);
    spec_defaults(&w->fleet.spec);
    snprintf(w->fleet.spec.fleet, sizeof(w->fleet.spec.fleet), "%s", w->fleet_name);
    snprintf(w->fleet.spec.topics[0], sizeof(w->fleet.spec.topics[0]), "%s", w->topic);
    w->fleet.spec.topic_count = 1;
    for (int c = 0; c < COLOR_COUNT; c++)
        text_copy(w->fleet.spec.colors[c].group, sizeof(w->fleet.spec.colors[c].group), w->groups[c]);
    w->fleet.spec.session_timeout_ms = 6000;
    w->fleet.spec.follow_interval_ms = 1000;
    w->fleet.exists = true;
    w->fleet.active = active;
    w->fleet.baton_count = PARTITIONS;
    w->fleet.version.epoch = 10;
    for (int i = 0; i < PARTITIONS; i++)
        w->batons[i] = (struct baton){ .partition = i,
                                       .state = RIGHT_HELD,
                                       .holder = active,
                                       .epoch = 11,
                                       .order = 11,
                                       .taken = true,
                                       .doubt = OFFSET_NONE };
    publish(w);
}

static void make_topic(struct world *w, struct kafka_handle *h, const char *topic, int partitions)
{
    const char *none[] = { NULL };

    if (w->broker) {
        embedded_broker_topic(w->broker, topic, partitions, NULL);
        return;
    }
    if (kafka_topic_create(h, topic, partitions, none, 10000, &m) < 0 && !strstr(m.text, "exist"))
        fail_msg("%s", m.text);
}

static int world_open(void **state)
{
    const char *bootstrap = getenv("BATON_TEST_BOOTSTRAP");
    struct world *w = calloc(1, sizeof(*w));
    const unsigned unique = (unsigned)(clock_unix_us() & 0xffffff);
    struct kafka_handle h;

    if (!bootstrap) {
        check(embedded_broker_open(&w->broker, 0, &m));
        bootstrap = embedded_broker_bootstrap(w->broker);
    }
    snprintf(w->bootstrap, sizeof(w->bootstrap), "%s", bootstrap);
    snprintf(w->fleet_name, sizeof(w->fleet_name), "pay-%06x", unique);
    snprintf(w->topic, sizeof(w->topic), "orders-%06x", unique);
    for (int c = 0; c < COLOR_COUNT; c++)
        snprintf(w->groups[c], sizeof(w->groups[c]), "%s-%s", w->fleet_name, color_name((enum color)c));
    w->settings = kafka_settings_new();
    check(kafka_settings_set(w->settings, "bootstrap.servers", w->bootstrap, &m));
    check(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "test", w->settings, NULL, NULL, NULL, &m));
    check(topics_ensure(&h, "", true, 10000, &m));
    make_topic(w, &h, w->topic, PARTITIONS);
    kafka_handle_close(&h);
    check(kafka_appender_open(&w->appender, w->settings, CONTROL_TOPIC, -1, &m));
    check(kafka_reader_open(&w->reports, w->settings, REPORTS_TOPIC, -1, &m));
    check(kafka_admin_open(&w->admin, kafka_reader_handle(w->reports), -1, &m));
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < w->heard_count; i++)
        report_free(w->heard[i]);
    kafka_admin_close(w->admin);
    kafka_reader_close(w->reports);
    kafka_appender_close(w->appender, 1000);
    kafka_settings_free(w->settings);
    embedded_broker_close(w->broker);
    free(w);
    return 0;
}

/* --- producing and looking --- */

static void produce(struct world *w, int partition, int count)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    const uint64_t last = w->token + (uint64_t)count;
    struct kafka_appended answer;
    int acked = 0;
    char value[32];

    for (int i = 0; i < count; i++) {
        const int len = snprintf(value, sizeof(value), "%lld", (long long)w->produced[partition]++);

        check(kafka_append(w->appender, ++w->token, w->topic, partition, "key", value, (size_t)len, &m));
    }
    assert_int_equal(w->token, last);
    while (acked < count && clock_ms() < until_ms)
        acked += kafka_appender_poll(w->appender, &answer);
    assert_int_equal(acked, count);
}

static void produce_all(struct world *w, int count)
{
    for (int i = 0; i < PARTITIONS; i++)
        produce(w, i, count);
}

static void on_report(void *opaque, const struct kafka_record *rec)
{
    struct world *w = opaque;
    struct report *report;
    struct record_key key;

    record_key_parse(&key, rec->key, rec->key_len, false);
    if (key.kind != RECORD_REPORT || strcmp(key.fleet, w->fleet_name) != 0 || !rec->value)
        return;
    check(report_decode(&report, &w->fleet, rec->value, rec->value_len, &m));
    for (int i = 0; i < w->heard_count; i++)
        if (strcmp(w->heard[i]->incarnation, report->incarnation) == 0) {
            assert_true(report->sequence > w->heard[i]->sequence);
            report_free(w->heard[i]);
            w->heard[i] = report;
            return;
        }
    assert_true(w->heard_count < (int)ARRAY_COUNT(w->heard));
    w->heard[w->heard_count++] = report;
}

static void hear(struct world *w)
{
    if (w->fleet.exists)
        kafka_reader_poll(w->reports, 1000, on_report, w, &m);
}

/* The one member that owns the partition in this color, by the newest reports; NULL: none or two. */
static const struct report_part *owner(const struct world *w, enum color color, int partition)
{
    const struct report_part *found = NULL;

    for (int i = 0; i < w->heard_count; i++) {
        const struct report *r = w->heard[i];

        for (int k = 0; k < r->part_count; k++)
            if (r->color == color && !r->goodbye && r->parts[k].partition == partition && r->parts[k].owned) {
                if (found)
                    return NULL;
                found = &r->parts[k];
            }
    }
    return found;
}

/* Every partition's owner says that it began where it was told to. */
static bool first_are_from(const struct world *w, enum color color)
{
    for (int i = 0; i < PARTITIONS; i++)
        if (!owner(w, color, i) || owner(w, color, i)->first != w->batons[i].from)
            return false;
    return true;
}

static bool all_are(struct world *w, enum color color, enum local_state local)
{
    for (int i = 0; i < PARTITIONS; i++) {
        const struct report_part *p = owner(w, color, i);

        if (!p || p->local != local || (local != LOCAL_STANDBY && p->order != w->batons[i].order))
            return false;
    }
    return true;
}

/* Committed offset and mark of a partition in a group, from the broker. */
static int64_t committed(struct world *w, enum color color, int partition, struct mark *mark)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    const uint64_t token = ++w->token;
    struct kafka_tp tp = { .partition = partition };
    struct kafka_answer *answer;

    snprintf(tp.topic, sizeof(tp.topic), "%s", w->topic);
    kafka_admin_offsets(w->admin, token, w->groups[color], &tp, 1, 5000);
    while (clock_ms() < until_ms) {
        answer = kafka_admin_poll(w->admin);
        if (answer && answer->token == token && !answer->error) {
            const int64_t offset = answer->tps[0].offset;

            *mark = answer->tps[0].mark;
            kafka_answer_free(answer);
            return offset;
        }
        if (answer && answer->token == token)
            fail_msg("committed offset: %s", answer->message.text);
        kafka_answer_free(answer);
        usleep(500);
    }
    fail_msg("no answer about committed offsets");
    return -1;
}

/* --- consumers --- */

static struct baton_consumer *consumer_new(struct world *w, enum color color)
{
    const char *more = getenv("BATON_TEST_OPTIONS");
    struct baton_consumer *c;
    char why[BATON_WHY_MAX], list[512], *rest, *word;

    assert_int_equal(baton_new(&c), 0);
    assert_int_equal(baton_set(c, "baton.fleet", w->fleet_name, why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "baton.color", color_name(color), why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "baton.version", "1.0", why, sizeof(why)), 0);
    assert_int_equal(baton_set(c, "bootstrap.servers", w->bootstrap, why, sizeof(why)), 0);
    if (w->broker) { /* it answers an empty fetch only at its end, and a rebalance takes it a session less a second */
        assert_int_equal(baton_set(c, "fetch.wait.max.ms", "10", why, sizeof(why)), 0);
        assert_int_equal(baton_set(c, "session.timeout.ms", "2500", why, sizeof(why)), 0);
        assert_int_equal(baton_set(c, "heartbeat.interval.ms", "200", why, sizeof(why)), 0);
    }
    snprintf(list, sizeof(list), "%s", more ? more : "");
    for (word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');

        assert_non_null(value);
        *value = '\0';
        if (baton_set(c, word, value + 1, why, sizeof(why)) < 0)
            fail_msg("%s", why);
    }
    return c;
}

static struct baton_consumer *consumer_open(struct world *w, enum color color)
{
    struct baton_consumer *c = consumer_new(w, color);
    char why[BATON_WHY_MAX];

    if (baton_open(c, why, sizeof(why)) < 0)
        fail_msg("%s", why);
    return c;
}

static void note(struct world *w, const struct baton_record *r)
{
    const enum color color = strcmp(baton_record_color(r), "blue") == 0 ? BLUE : GREEN;
    struct seen *s = &w->seen[color][baton_record_partition(r)];
    const int64_t offset = baton_record_offset(r);
    size_t len;

    assert_string_equal(baton_record_topic(r), w->topic);
    assert_string_equal(baton_record_fleet(r), w->fleet_name);
    assert_true(offset < RECORDS_MAX);
    assert_int_equal(strtoll(baton_record_value(r, &len), NULL, 10), offset);
    assert_memory_equal(baton_record_key(r, &len), "key", 3);
    s->times[offset]++;
    s->out_of_order = s->out_of_order || offset < s->next;
    s->next = offset + 1;
}

/* Polls once and does everything at once. */
static int work(struct world *w, struct baton_consumer *c, int timeout_ms)
{
    struct baton_record *records[64];
    const int count = baton_poll(c, records, 64, timeout_ms);

    for (int i = 0; i < count; i++)
        note(w, records[i]);
    baton_done_all(records, count);
    return count;
}

static int64_t delivered(const struct world *w, enum color color)
{
    int64_t sum = 0;

    for (int i = 0; i < PARTITIONS; i++)
        for (int64_t k = 0; k < w->produced[i]; k++)
            sum += w->seen[color][i].times[k];
    return sum;
}

static int64_t produced(const struct world *w)
{
    int64_t sum = 0;

    for (int i = 0; i < PARTITIONS; i++)
        sum += w->produced[i];
    return sum;
}

/* Every record once, by whichever color. */
static void audit(const struct world *w)
{
    for (int i = 0; i < PARTITIONS; i++)
        for (int64_t k = 0; k < w->produced[i]; k++) {
            const int times = w->seen[BLUE][i].times[k] + w->seen[GREEN][i].times[k];

            if (times != 1)
                fail_msg("partition %d, record %lld: %d times by blue, %d by green", i, (long long)k,
                         w->seen[BLUE][i].times[k], w->seen[GREEN][i].times[k]);
        }
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < PARTITIONS; i++)
            assert_false(w->seen[c][i].out_of_order);
}

/* What a failed wait looks at first. */
static void tell(const struct world *w)
{
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < PARTITIONS; i++) {
            const struct report_part *p = owner(w, (enum color)c, i);
            int missing = 0, repeated = 0;

            for (int64_t k = 0; k < w->produced[i]; k++) {
                missing += w->seen[BLUE][i].times[k] + w->seen[GREEN][i].times[k] == 0;
                repeated += w->seen[BLUE][i].times[k] + w->seen[GREEN][i].times[k] > 1;
            }
            fprintf(stderr,
                    "%s %d: next %lld of %lld, missing %d, repeated %d; report: %s position %lld in flight %d\n",
                    color_name((enum color)c), i, (long long)w->seen[c][i].next, (long long)w->produced[i], missing,
                    repeated, p ? local_state_name(p->local) : "not owned", p ? (long long)p->position : -1,
                    p ? p->in_flight : 0);
        }
}

/* Lets all consumers work until the condition holds. */
#define WORK_UNTIL(w, consumers, count, condition)                               \
    do {                                                                         \
        const int64_t until_ms_ = clock_ms() + PATIENCE_MS;                      \
                                                                                 \
        for (hear(w); !(condition); hear(w)) {                                   \
            if (clock_ms() > until_ms_) {                                        \
                tell(w);                                                         \
                fail_msg("waited %d s for: %s", PATIENCE_MS / 1000, #condition); \
            }                                                                    \
            for (int i_ = 0; i_ < (count); i_++)                                 \
                work(w, (consumers)[i_], 2);                                     \
        }                                                                        \
    } while (0)

static bool state_is(struct baton_consumer *c, const char *state)
{
    char now[32];

    assert_int_equal(baton_get(c, "baton.state", now, sizeof(now)), 0);
    return strcmp(now, state) == 0;
}

static void close_all(struct baton_consumer **consumers, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(baton_close(consumers[i], 10000), 0);
        baton_free(consumers[i]);
    }
}

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
    assert_true(clock_ms() - began_ms < 5000);
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

/* A standby that had nothing to commit for longer than its session has not lost it: it takes in no time, too. */
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
    assert_true(clock_ms() - began_ms < 1000);
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

static void closes_by_the_deadline(void **state)
{
    struct world *w = *state;
    struct baton_consumer *c = consumer_open(w, BLUE);
    struct baton_record *records[5];
    struct mark mark;
    int count = 0;

    make_fleet(w, BLUE);
    produce(w, 1, 5);
    for (const int64_t until_ms = clock_ms() + PATIENCE_MS; count < 5 && clock_ms() < until_ms;)
        count += baton_poll(c, records + count, 5 - count, 100);
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
        STORY(waits_for_records_in_flight),
        STORY(commits_the_low_watermark),
        STORY(an_order_is_taken_back),
        STORY(passes_one_partition),
        STORY(survives_rebalances),
        STORY(a_restart_goes_on_where_it_stopped),
        STORY(standby_follows),
        STORY(ignores_a_deposed_leader),
        STORY(closes_by_the_deadline),
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
