/*
 * member_world - a broker, a control log written by hand, and consumers of both colors: what the tests of libbaton have in
 * common.
 *
 * The test plays the controller: it claims a term, writes fleet documents and reads the members' reports and what
 * they commit. On the embedded broker, or with BATON_TEST_BOOTSTRAP=HOST:PORT on any Kafka; BATON_TEST_OPTIONS="name=value
 * ..." gives every consumer further options, such as another assignor. Every wait has a deadline and says what it
 * waited for.
 */
#ifndef TESTS_MEMBER_WORLD_H
#define TESTS_MEMBER_WORLD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

#pragma GCC diagnostic ignored "-Wunused-function" /* no test needs all of it */

#define PARTITIONS 4
#define MEMBERS 4
#define PATIENCE_MS 90000
#define RECORDS_MAX 20000

/* --- the world --- */

struct seen {
    int times[RECORDS_MAX]; /* how often record n of this partition was delivered */
    int64_t next;           /* one past the highest offset delivered */
    int64_t doubt;          /* one past the last record that a member said it had done and could not commit, 0: none */
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
    pthread_t watch;
    atomic_bool ends, stood_still; /* of the watch */
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

/* The embedded broker puts a member out that is a second late while its group rebalances. */
static void *watch(void *arg)
{
    struct world *w = arg;

    while (!atomic_load(&w->ends)) {
        const int64_t before_ms = clock_ms();

        usleep(50000);
        if (clock_ms() - before_ms > 500)
            atomic_store(&w->stood_still, true);
    }
    return NULL;
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
    assert_int_equal(pthread_create(&w->watch, NULL, watch, w), 0);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    atomic_store(&w->ends, true);
    pthread_join(w->watch, NULL);
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
    assert_string_not_equal(report->client_id,
                            ""); /* the judge tells processes apart by it, from the first report on */
    for (int i = 0; i < report->part_count; i++) {
        struct seen *seen = &w->seen[report->color][report->parts[i].partition];

        if (report->parts[i].doubt > seen->doubt)
            seen->doubt = report->parts[i].doubt;
    }
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
    if (w->broker) { /* it answers an empty fetch only at its end, and a rebalance takes it a session less a second; a
                        member that it puts out while it joins is never answered: it asks again after max.poll.interval.ms */
        assert_int_equal(baton_set(c, "fetch.wait.max.ms", "10", why, sizeof(why)), 0);
        assert_int_equal(baton_set(c, "session.timeout.ms", "6000", why, sizeof(why)), 0);
        assert_int_equal(baton_set(c, "heartbeat.interval.ms", "200", why, sizeof(why)), 0);
        assert_int_equal(baton_set(c, "max.poll.interval.ms", "10000", why, sizeof(why)), 0);
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
static int work_some(struct world *w, struct baton_consumer *c, int max, int timeout_ms)
{
    struct baton_record *records[64];
    const int count = baton_poll(c, records, max, timeout_ms);

    for (int i = 0; i < count; i++)
        note(w, records[i]);
    baton_done_all(records, count);
    return count;
}

static int work(struct world *w, struct baton_consumer *c, int timeout_ms)
{
    return work_some(w, c, 64, timeout_ms);
}

/* Records, however often: audit() says whether that was once. */
static int64_t delivered(const struct world *w, enum color color)
{
    int64_t sum = 0;

    for (int i = 0; i < PARTITIONS; i++)
        for (int64_t k = 0; k < w->produced[i]; k++)
            sum += w->seen[color][i].times[k] > 0;
    return sum;
}

static int64_t produced(const struct world *w)
{
    int64_t sum = 0;

    for (int i = 0; i < PARTITIONS; i++)
        sum += w->produced[i];
    return sum;
}

/*
 * Every record once, by whichever color. A color may have done again what one of its members said it had done and could not commit
 * (rule 12: the embedded broker takes no commit while a group rebalances), and what not, on a machine that stood still, where the
 * broker may have put members out of their group; but no other color has.
 */
static void audit(const struct world *w)
{
    const bool stood_still = atomic_load(&w->stood_still);

    for (int i = 0; i < PARTITIONS; i++)
        for (int64_t k = 0; k < w->produced[i]; k++) {
            const int blue = w->seen[BLUE][i].times[k], green = w->seen[GREEN][i].times[k];

            const bool again = stood_still || k < w->seen[blue > 0 ? BLUE : GREEN][i].doubt;

            if (again ? (blue > 0) + (green > 0) != 1 : blue + green != 1)
                fail_msg("partition %d, record %lld: %d times by blue, %d by green", i, (long long)k, blue, green);
        }
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < PARTITIONS; i++)
            assert_true(stood_still || !w->seen[c][i].out_of_order);
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

#endif
