/*
 * kafka: settings, sentences, questions, the log. Against the embedded broker; what it cannot do is asked of a real Kafka
 * when BATON_TEST_BOOTSTRAP names one (its topics are made under a random prefix).
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include "kafka/internal.h"
#include "kafka/log.h"

#define DEAD_PORT "127.0.0.1:21099" /* nothing listens there */
#define LATE_PORT 21098
#define PATIENCE_MS 60000
#define WIDE_PARTITIONS 1200 /* more than two requests of 500 */

static const char *const admin_extra[] = { "group.id", "baton.test", NULL };

/* ---- help ---- */

static struct kafka_settings *settings_for(const char *bootstrap)
{
    struct kafka_settings *s = kafka_settings_new();

    assert_non_null(s);
    assert_int_equal(kafka_settings_set(s, "bootstrap.servers", bootstrap, NULL), ERR_OK);
    return s;
}

/* Everything a test of the log needs, on one broker. */
struct bench {
    struct embedded_broker *broker; /* NULL: a real one */
    struct kafka_settings *settings;
    struct kafka_handle handle;
    struct kafka_admin *admin;
    struct kafka_appender *appender;
    int fd;
    uint64_t token;
};

static void must_be(int r, const struct errmsg *m, const char *what)
{
    if (r < 0)
        fail_msg("%s: %d %s", what, r, m->text);
}

static struct bench *bench_new(const char *bootstrap)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct errmsg m = { 0 };

    assert_non_null(b);
    if (!bootstrap) {
        must_be(embedded_broker_open(&b->broker, 0, &m), &m, "embedded broker");
        bootstrap = embedded_broker_bootstrap(b->broker);
    }
    b->settings = settings_for(bootstrap);
    b->fd = kafka_eventfd(&m);
    assert_true(b->fd >= 0);
    must_be(kafka_handle_open(&b->handle, RD_KAFKA_CONSUMER, "test", b->settings, admin_extra, NULL, NULL, &m), &m,
            "open");
    must_be(kafka_handle_connect(&b->handle, PATIENCE_MS, &m), &m, "connect");
    must_be(kafka_admin_open(&b->admin, &b->handle, b->fd, &m), &m, "admin");
    must_be(kafka_appender_open(&b->appender, b->settings, CONTROL_TOPIC, b->fd, &m), &m, "appender");
    return b;
}

static void bench_free(struct bench *b)
{
    kafka_appender_close(b->appender, 1000);
    kafka_admin_close(b->admin);
    kafka_handle_close(&b->handle);
    kafka_settings_free(b->settings);
    embedded_broker_close(b->broker);
    close(b->fd);
    free(b);
}

static int embedded_setup(void **state)
{
    *state = bench_new(NULL);
    return 0;
}

static int bench_teardown(void **state)
{
    bench_free(*state);
    return 0;
}

/* Until something may have happened; false: the deadline has passed. */
static bool bench_wait(struct bench *b, int64_t deadline_ms)
{
    struct pollfd p = { .fd = b->fd, .events = POLLIN };
    int64_t left_ms = deadline_ms - clock_ms();

    if (left_ms <= 0)
        return false;
    poll(&p, 1, (int)left_ms);
    kafka_eventfd_clear(b->fd);
    return true;
}

static struct kafka_answer *bench_answer(struct bench *b, uint64_t token)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    struct kafka_answer *a;

    do {
        a = kafka_admin_poll(b->admin);
        if (a) {
            assert_int_equal(a->token, token);
            return a;
        }
    } while (bench_wait(b, deadline_ms));
    fail_msg("no answer to question %d", (int)token);
    return NULL;
}

static int64_t bench_append(struct bench *b, const char *topic, const char *key, const char *value)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    struct kafka_appended done;
    struct errmsg m = { 0 };
    uint64_t token = ++b->token;

    must_be(kafka_append(b->appender, token, topic, 0, key, value, value ? strlen(value) : 0, &m), &m, "append");
    do {
        if (kafka_appender_poll(b->appender, &done)) {
            assert_int_equal(done.token, token);
            assert_int_equal(done.error, ERR_OK);
            return done.offset;
        }
    } while (bench_wait(b, deadline_ms));
    fail_msg("not acknowledged: %s", topic);
    return -1;
}

/* What a reader handed out, as text. */
struct story {
    struct str text;
    int count;
    int64_t last;
};

static void story_record(void *opaque, const struct kafka_record *rec)
{
    struct story *s = opaque;

    assert_true(rec->offset > s->last);
    s->last = rec->offset;
    s->count++;
    str_addf(&s->text, "%.*s=%.*s ", (int)rec->key_len, rec->key, rec->value ? (int)rec->value_len : 1,
             rec->value ? rec->value : "-");
}

/* Reads until the question is answered. */
static enum kafka_end reader_wait(struct bench *b, struct kafka_reader *r, uint64_t token, struct story *s,
                                  int64_t *end)
{
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    struct errmsg m = { 0 };
    enum kafka_end state;

    do {
        must_be(kafka_reader_poll(r, 10, story_record, s, &m), &m, "read");
        state = kafka_reader_end(r, token, end);
        if (state != KAFKA_END_PENDING)
            return state;
    } while (bench_wait(b, deadline_ms));
    fail_msg("the end was not reached; position %lld", (long long)kafka_reader_position(r, 0));
    return KAFKA_END_FAILED;
}

/* ---- settings ---- */

static void settings_are_checked_by_name(void **state)
{
    struct kafka_settings *s = kafka_settings_new(), *copy, *common;
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(kafka_settings_set(s, "bootstrap.server", "a:1", &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "did you mean 'bootstrap.servers'"));
    assert_int_equal(kafka_settings_set(s, "sasl.usernam", "a", &m),
                     ERR_INVALID); /* has no default, is known nevertheless */
    assert_non_null(strstr(m.text, "did you mean 'sasl.username'"));
    assert_int_equal(kafka_settings_set(s, "sasl.jaas.config", "x", &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "sasl.password"));
    assert_int_equal(kafka_settings_set(s, "session.timeout.ms", "soon", &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "session.timeout.ms"));
    assert_int_equal(kafka_settings_set(s, "", "soon", &m), ERR_INVALID);
    assert_null(kafka_settings_get(s, "session.timeout.ms"));

    assert_int_equal(kafka_settings_set(s, "metadata.broker.list", "a:1", &m), ERR_OK);
    assert_int_equal(kafka_settings_set(s, "bootstrap.servers", "b:2", &m), ERR_OK);
    assert_string_equal(kafka_settings_get(s, "metadata.broker.list"), "b:2");
    assert_int_equal(kafka_settings_set(s, "session.timeout.ms", "7000", &m), ERR_OK);
    assert_int_equal(kafka_settings_set(s, "compression.type", "zstd", &m), ERR_OK);
    assert_int_equal(kafka_settings_set(s, "ssl.ca.location", "x.pem", &m), ERR_OK);

    copy = kafka_settings_copy(s);
    common = kafka_settings_common(s);
    kafka_settings_free(s);
    assert_string_equal(kafka_settings_get(copy, "session.timeout.ms"), "7000");
    assert_string_equal(kafka_settings_get(common, "ssl.ca.location"), "x.pem");
    assert_null(kafka_settings_get(common, "session.timeout.ms"));
    assert_null(kafka_settings_get(common, "compression.type"));
    kafka_settings_free(copy);
    kafka_settings_free(common);
}

static void file_is_loaded(const char *text, int expected, const char *says)
{
    char path[] = "/tmp/baton-test-XXXXXX";
    int fd = mkstemp(path);
    struct kafka_settings *s = kafka_settings_new();
    struct errmsg m = { 0 };

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(kafka_settings_load(s, path, &m), expected);
    if (says && !strstr(m.text, says))
        fail_msg("'%s' lacks '%s'", m.text, says);
    if (expected == ERR_OK)
        assert_string_equal(kafka_settings_get(s, "client.id"), "a = b");
    unlink(path);
    kafka_settings_free(s);
}

static void settings_come_from_files(void **state)
{
    struct kafka_settings *s = kafka_settings_new();
    struct errmsg m = { 0 };

    (void)state;
    file_is_loaded("# comment\n\n  client.id = a = b  \r\nacks=all", ERR_OK, NULL);
    file_is_loaded("client.id=x\nclient.ip=1\n", ERR_INVALID, "line 2: setting 'client.ip'");
    file_is_loaded("client.id\n", ERR_INVALID, "line 1: no '='");
    assert_int_equal(kafka_settings_load(s, "/nonexistent/file", &m), ERR_NOT_FOUND);
    assert_non_null(strstr(m.text, "/nonexistent/file"));
    kafka_settings_free(s);
}

static void settings_that_contradict_name_the_client(void **state)
{
    struct kafka_settings *s = settings_for(DEAD_PORT);
    struct kafka_handle h;
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(kafka_settings_set(s, "max.poll.interval.ms", "1000", &m), ERR_OK);
    assert_int_equal(kafka_settings_set(s, "session.timeout.ms", "6000", &m), ERR_OK);
    assert_int_equal(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "election", s, admin_extra, NULL, NULL, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "election client"));
    assert_non_null(strstr(m.text, "max.poll.interval.ms"));
    /* a consumer's tuning is no matter to a producer */
    must_be(kafka_handle_open(&h, RD_KAFKA_PRODUCER, "reports", s, NULL, NULL, NULL, &m), &m, "open producer");
    kafka_handle_close(&h);
    kafka_settings_free(s);
    s = kafka_settings_new();
    assert_int_equal(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "election", s, admin_extra, NULL, NULL, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "bootstrap.servers"));
    kafka_settings_free(s);
}

/* ---- trouble ---- */

static void failure_names_broker_cause_and_mend(const char *bootstrap, const char *a, const char *b)
{
    struct kafka_settings *s = settings_for(bootstrap);
    struct kafka_handle h;
    struct errmsg m = { 0 };
    int64_t began_ms = clock_ms();

    must_be(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "test", s, admin_extra, NULL, NULL, &m), &m, "open");
    assert_int_equal(kafka_handle_connect(&h, 600, &m), ERR_UNAVAILABLE);
    assert_true(clock_ms() - began_ms < PATIENCE_MS);
    if (!strstr(m.text, a) || !strstr(m.text, b))
        fail_msg("'%s' lacks '%s' or '%s'", m.text, a, b);
    kafka_handle_close(&h);
    kafka_settings_free(s);
}

static void nobody_listens(void **state)
{
    (void)state;
    failure_names_broker_cause_and_mend(DEAD_PORT, "broker " DEAD_PORT " cannot be reached", "bootstrap.servers");
}

static void host_has_no_address(void **state)
{
    (void)state;
    failure_names_broker_cause_and_mend("kafka.invalid:9092", "broker kafka.invalid:9092 cannot be resolved",
                                        "bootstrap.servers");
}

static void a_dead_broker_answers_questions_with_a_failure(void **state)
{
    struct kafka_settings *s = settings_for(DEAD_PORT);
    struct kafka_handle h;
    struct kafka_admin *a;
    struct kafka_answer *answer;
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    struct kafka_tp tp = { .topic = "orders" };
    const char *topics[] = { "orders" };
    int seen = 0, fd = kafka_eventfd(&m);
    int64_t deadline_ms = clock_ms() + PATIENCE_MS, began_ms;

    (void)state;
    must_be(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "test", s, admin_extra, NULL, NULL, &m), &m, "open");
    must_be(kafka_admin_open(&a, &h, fd, &m), &m, "admin");
    kafka_admin_offsets(a, 1, "g", &tp, 1, 300);
    kafka_admin_ends(a, 2, &tp, 1, 300);
    kafka_admin_group(a, 3, "g", 300);
    kafka_admin_topics(a, 4, topics, 1, 300);
    while (seen != 0x1e && clock_ms() < deadline_ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        answer = kafka_admin_poll(a);
        if (!answer) {
            poll(&p, 1, 1000);
            kafka_eventfd_clear(fd);
            continue;
        }
        assert_int_equal(seen & 1 << answer->token, 0);
        seen |= 1 << answer->token;
        assert_true(answer->error < 0);
        assert_non_null(strstr(answer->message.text, DEAD_PORT));
        if (answer->type == KAFKA_ANSWER_GROUP) {
            assert_false(answer->group.known);
            assert_false(answer->group.unsupported);
            assert_true(answer->group.why[0]);
        } else if (answer->type != KAFKA_ANSWER_TOPICS) {
            assert_true(answer->tps[0].failed);
            assert_int_equal(answer->tps[0].offset, OFFSET_NONE);
        }
        kafka_answer_free(answer);
    }
    assert_int_equal(seen, 0x1e);
    began_ms = clock_ms();
    kafka_admin_offsets(a, 5, "g", &tp, 1, 1000); /* closing waits for its answer ... */
    kafka_admin_topics(a, 6, topics, 1, 60000);   /* ... and not for this thread's patience */
    kafka_admin_close(a);
    assert_in_range(clock_ms() - began_ms, 900, 10000);
    kafka_handle_close(&h);
    assert_true(clock_ms() < deadline_ms);
    (void)r;
    kafka_settings_free(s);
    close(fd);
}

static struct {
    pthread_mutex_t lock;
    int began, ended;
} trouble_log = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void trouble_sink(void *opaque, enum log_level level, const char *event, const char *text)
{
    (void)opaque;
    pthread_mutex_lock(&trouble_log.lock);
    if (strcmp(event, "kafka_trouble") == 0 && level == LOG_WARN && strstr(text, "127.0.0.1:21098"))
        trouble_log.began++;
    if (strcmp(event, "kafka_trouble_ended") == 0)
        trouble_log.ended++;
    pthread_mutex_unlock(&trouble_log.lock);
}

static void trouble_is_logged_when_it_starts_and_when_it_ends(void **state)
{
    struct kafka_settings *s = settings_for("127.0.0.1:21098");
    struct embedded_broker *b;
    struct kafka_handle h;
    struct errmsg m = { 0 };

    (void)state;
    log_set_sink(trouble_sink, NULL);
    must_be(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "test", s, admin_extra, NULL, NULL, &m), &m, "open");
    assert_int_equal(kafka_handle_connect(&h, 300, &m), ERR_UNAVAILABLE);
    assert_int_equal(kafka_trouble_lasting(&h, 60000, &m), ERR_OK); /* not yet */
    assert_int_equal(kafka_trouble_lasting(&h, 100, &m), ERR_UNAVAILABLE);
    assert_int_equal(kafka_trouble_lasting(&h, 100, &m), ERR_OK); /* once */
    must_be(embedded_broker_open(&b, LATE_PORT, &m), &m, "broker");
    must_be(kafka_handle_connect(&h, PATIENCE_MS, &m), &m, "connect");
    assert_int_equal(kafka_trouble(&h, &m), ERR_OK);
    kafka_handle_close(&h);
    log_set_sink(NULL, NULL);
    assert_int_equal(trouble_log.began, 1);
    assert_int_equal(trouble_log.ended, 1);
    embedded_broker_close(b);
    kafka_settings_free(s);
}

/* ---- the embedded broker ---- */

static void embedded_topics_are_checked(void **state)
{
    struct bench *b = *state;
    struct errmsg m = { 0 };
    struct embedded_broker *second;
    int64_t began_ms = clock_ms();
    int partitions = -1;
    char value[16];

    must_be(topics_ensure(&b->handle, "", true, 2 * PATIENCE_MS, &m), &m, "topics");
    assert_true(clock_ms() - began_ms < PATIENCE_MS); /* it is not asked what it never answers */
    must_be(kafka_topic_partitions(&b->handle, CONTROL_TOPIC, &partitions, 5000, &m), &m, "partitions");
    assert_int_equal(partitions, 1);
    must_be(kafka_topic_partitions(&b->handle, "absent", &partitions, 5000, &m), &m, "partitions");
    assert_int_equal(partitions, 0); /* and asking does not make it */
    must_be(kafka_topic_partitions(&b->handle, "absent", &partitions, 5000, &m), &m, "partitions");
    assert_int_equal(partitions, 0);
    assert_int_equal(topics_ensure(&b->handle, "team-a.", true, 5000, &m), ERR_NOT_FOUND);
    assert_non_null(strstr(m.text, "kafka-topics.sh --bootstrap-server 127.0.0.1:"));
    assert_non_null(strstr(m.text, "--topic team-a.baton.control"));
    assert_int_equal(kafka_topic_config(&b->handle, CONTROL_TOPIC, "cleanup.policy", value, sizeof(value), 5000, &m),
                     ERR_STATE);
    assert_int_equal(embedded_broker_topic(b->broker, "bad name", 1, &m), ERR_INVALID);
    assert_int_equal(embedded_broker_topic(b->broker, "x", 0, &m), ERR_INVALID);
    assert_int_equal(embedded_broker_topic(b->broker, CONTROL_TOPIC, 1, &m), ERR_CONFLICT);
    assert_int_equal(embedded_broker_open(&second, 70000, &m), ERR_INVALID);
}

static void a_silent_handle_is_revived_until_a_learned_broker_is_up(void **state)
{
    struct kafka_handle h = { 0 };
    int64_t now_ms;

    (void)state;
    pthread_mutex_init(&h.trouble.lock, NULL);
    revive_note(&h, 1, "10.0.0.1:9092/1", 9092, "UP");
    now_ms = clock_ms() + 4000;
    assert_false(revive_due(&h, now_ms));
    revive_note(&h, 1, "10.0.0.1:9092/1", 9092, "DOWN");
    assert_true(revive_due(&h, now_ms));
    /* The bootstrap server's answer names nobody, so it is taken leave of as well. */
    revive_note(&h, -1, "10.0.0.1:9092/bootstrap", 9092, "UP");
    revive_note(&h, -1, "10.0.0.1:9092/bootstrap", 9092, "DOWN");
    assert_false(revive_due(&h, now_ms + 4900));
    assert_true(revive_due(&h, now_ms += 5100));
    assert_false(revive_due(&h, now_ms + 9900)); /* the pauses grow ... */
    for (int i = 0; i < 20; i++)
        assert_true(revive_due(&h, now_ms += 300000)); /* ... within bounds */
    revive_note(&h, 2, "10.0.0.2:9092/2", 9092, "UP");
    assert_false(revive_due(&h, now_ms += 300000));
    revive_note(&h, 2, "10.0.0.2:9092/2", 9092, "DOWN");
    assert_true(revive_due(&h, now_ms));
    assert_false(revive_due(&h, now_ms + 4900));
    assert_true(revive_due(&h, now_ms + 5100));
    pthread_mutex_destroy(&h.trouble.lock);
}

static void embedded_port_may_be_taken(void **state)
{
    struct embedded_broker *a, *b;
    struct errmsg m = { 0 };

    (void)state;
    must_be(embedded_broker_open(&a, LATE_PORT, &m), &m, "broker");
    assert_string_equal(embedded_broker_bootstrap(a), "127.0.0.1:21098");
    assert_int_equal(embedded_broker_open(&b, LATE_PORT, &m), ERR_IO);
    assert_non_null(strstr(m.text, "21098"));
    embedded_broker_close(a);
}

/* ---- the log ---- */

static void records_come_in_order(void **state)
{
    struct bench *b = *state;
    struct story s = { .text = STR_WITH_MAX(4000), .last = -1 };
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    int64_t end = -1;

    must_be(kafka_reader_open(&r, b->settings, CONTROL_TOPIC, b->fd, &m), &m, "reader");
    kafka_reader_ask_end(r, 1, 5000);
    assert_int_equal(reader_wait(b, r, 1, &s, &end), KAFKA_END_REACHED); /* empty */
    assert_int_equal(end, 0);
    assert_int_equal(kafka_reader_end(r, 1, &end), KAFKA_END_FAILED); /* answered once */
    assert_int_equal(bench_append(b, CONTROL_TOPIC, "a", "1"), 0);
    assert_int_equal(bench_append(b, CONTROL_TOPIC, "b", ""), 1);
    assert_int_equal(bench_append(b, CONTROL_TOPIC, "a", NULL), 2);
    kafka_reader_ask_end(r, 2, 5000);
    assert_int_equal(reader_wait(b, r, 2, &s, &end), KAFKA_END_REACHED);
    assert_int_equal(end, 3);
    assert_int_equal(kafka_reader_position(r, 0), 3);
    assert_string_equal(s.text.buf, "a=1 b= a=- ");
    kafka_reader_close(r);

    /* another one reads all of it again */
    s.last = -1;
    str_clear(&s.text);
    must_be(kafka_reader_open(&r, b->settings, CONTROL_TOPIC, b->fd, &m), &m, "reader");
    kafka_reader_ask_end(r, 7, 5000);
    assert_int_equal(reader_wait(b, r, 7, &s, &end), KAFKA_END_REACHED);
    assert_string_equal(s.text.buf, "a=1 b= a=- ");
    kafka_reader_close(r);
    str_free(&s.text);
}

/* The rule that everything stands on: an end that was asked for after an append is not reached before that record was read. */
static void the_end_is_not_reached_too_early(void **state)
{
    struct bench *b = *state;
    struct story s = { .text = STR_WITH_MAX(100000), .last = -1 };
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    int64_t end, deadline_ms = clock_ms() + PATIENCE_MS;

    must_be(kafka_reader_open(&r, b->settings, CONTROL_TOPIC, b->fd, &m), &m, "reader");
    kafka_reader_ask_end(r, 1, 5000);
    assert_int_equal(reader_wait(b, r, 1, &s, &end), KAFKA_END_REACHED);
    for (int i = 0; i < 50; i++) {
        int64_t offset = bench_append(b, CONTROL_TOPIC, "k", "v");
        int64_t quiet_ms = clock_ms() + 20;

        kafka_reader_ask_end(r, 100, 5000);
        kafka_reader_ask_end(r, 100, 5000);    /* asked again: the newer one counts */
        while (i < 5 && clock_ms() < quiet_ms) /* answered, but nothing is read */
            assert_int_equal(kafka_reader_end(r, 100, &end), KAFKA_END_PENDING);
        while (kafka_reader_end(r, 100, &end) != KAFKA_END_REACHED) {
            assert_true(bench_wait(b, deadline_ms));
            assert_true(kafka_reader_poll(r, 1, story_record, &s, &m) >= 0);
        }
        assert_true(end > offset);
        assert_true(s.last >= offset);
    }
    /* many questions at once: each is answered, the oldest beyond the bound is dropped */
    for (uint64_t t = 1000; t < 1000 + 70; t++)
        kafka_reader_ask_end(r, t, 5000);
    assert_int_equal(reader_wait(b, r, 1069, &s, &end), KAFKA_END_REACHED);
    assert_int_equal(kafka_reader_end(r, 1000, &end), KAFKA_END_FAILED);
    kafka_reader_close(r);
    str_free(&s.text);
}

/* Nobody reads while the log moves on beyond what the embedded broker keeps (5 MB). */
static void lost_records_start_the_log_again(void **state)
{
    struct bench *b = *state;
    struct story s = { .text = STR_WITH_MAX(64), .last = -1 };
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    char *big = malloc(200001);
    int64_t end, deadline_ms = clock_ms() + PATIENCE_MS;
    int n = 0;

    memset(big, 'x', 200000);
    big[200000] = '\0';
    must_be(kafka_reader_open(&r, b->settings, REPORTS_TOPIC, b->fd, &m), &m, "reader");
    kafka_reader_ask_end(r, 1, 5000);
    assert_int_equal(reader_wait(b, r, 1, &s, &end), KAFKA_END_REACHED);
    for (int i = 0; i < 60; i++)
        bench_append(b, REPORTS_TOPIC, "k", big);
    kafka_reader_ask_end(r, 2, 5000);
    do {
        n = kafka_reader_poll(r, 10, story_record, &s, &m);
    } while (n >= 0 && bench_wait(b, deadline_ms));
    assert_int_equal(n, ERR_CORRUPT);
    assert_non_null(strstr(m.text, REPORTS_TOPIC));
    assert_int_equal(kafka_reader_end(r, 2, &end), KAFKA_END_FAILED);
    kafka_reader_ask_end(r, 3, 5000);
    s.last = -1;
    assert_int_equal(reader_wait(b, r, 3, &s, &end), KAFKA_END_REACHED);
    assert_int_equal(end, 60);
    assert_int_equal(s.last, 59);
    kafka_reader_close(r);
    str_free(&s.text);
    free(big);
}

/* The time that it takes to read a log of so many records, and one more that comes when all are read. */
static int64_t read_in_ms(struct bench *b, int count)
{
    struct story s = { .text = STR_WITH_MAX(64), .last = -1 };
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    int64_t end, took_ms = clock_ms();

    must_be(kafka_reader_open(&r, b->settings, CONTROL_TOPIC, b->fd, &m), &m, "reader");
    kafka_reader_ask_end(r, 1, 5000);
    assert_int_equal(reader_wait(b, r, 1, &s, &end), KAFKA_END_REACHED);
    assert_int_equal(s.count, count);
    bench_append(b, CONTROL_TOPIC, "k", "v"); /* the one behind the pause */
    kafka_reader_ask_end(r, 2, 5000);
    assert_int_equal(reader_wait(b, r, 2, &s, &end), KAFKA_END_REACHED);
    assert_int_equal(s.count, count + 1);
    took_ms = clock_ms() - took_ms;
    kafka_reader_close(r);
    str_free(&s.text);
    return took_ms;
}

/*
 * More records than the reader's queue holds: each time it is full the fetch pauses, and that must not be a second. The
 * best of some tries: a machine that stood still in one of them proves nothing.
 */
static void a_long_log_is_read_in_one_go(void **state)
{
    struct bench *b = *state;
    struct kafka_appended done;
    struct errmsg m = { 0 };
    int64_t deadline_ms = clock_ms() + PATIENCE_MS, best_ms = INT64_MAX;
    int acked = 0;

    for (uint64_t i = 1; i <= 8000; i++)
        must_be(kafka_append(b->appender, i, CONTROL_TOPIC, 0, "k", "v", 1, &m), &m, "append");
    while (acked < 8000) {
        while (kafka_appender_poll(b->appender, &done))
            acked++;
        assert_true(acked == 8000 || bench_wait(b, deadline_ms));
    }
    for (int i = 0; i < 5 && best_ms >= 900; i++) {
        const int64_t took_ms = read_in_ms(b, 8000 + i);

        best_ms = took_ms < best_ms ? took_ms : best_ms;
    }
    assert_true(best_ms < 900);
}

static void a_topic_that_is_not_there_is_said(void **state)
{
    struct bench *b = *state;
    struct kafka_reader *r;
    struct errmsg m = { 0 };

    assert_int_equal(kafka_reader_open(&r, b->settings, "absent", b->fd, &m), ERR_NOT_FOUND);
    assert_non_null(strstr(m.text, "absent"));
}

static void appends_have_bounds(void **state)
{
    struct bench *b = *state;
    struct errmsg m = { 0 };
    size_t len = 2000000;
    char *big = calloc(1, len);

    assert_int_equal(kafka_append(b->appender, 1, CONTROL_TOPIC, 0, "k", big, len, &m), ERR_TOO_LARGE);
    assert_non_null(strstr(m.text, CONTROL_TOPIC));
    free(big);
}

static void appends_keep_their_order(void **state)
{
    struct bench *b = *state;
    struct kafka_appended done;
    struct errmsg m = { 0 };
    uint64_t next = 1;
    int64_t deadline_ms = clock_ms() + PATIENCE_MS, offset = -1;

    for (uint64_t i = 1; i <= 1000; i++)
        must_be(kafka_append(b->appender, i, CONTROL_TOPIC, 0, "k", "v", 1, &m), &m, "append");
    while (next <= 1000) {
        while (kafka_appender_poll(b->appender, &done)) {
            assert_int_equal(done.token, next);
            assert_int_equal(done.error, ERR_OK);
            assert_true(done.offset > offset);
            offset = done.offset;
            next++;
        }
        assert_true(next > 1000 || bench_wait(b, deadline_ms));
    }
}

/* ---- questions ---- */

static struct kafka_tp *wide_partitions(const char *topic)
{
    struct kafka_tp *tps = calloc(WIDE_PARTITIONS, sizeof(*tps));

    for (int i = 0; i < WIDE_PARTITIONS; i++) {
        snprintf(tps[i].topic, sizeof(tps[i].topic), "%s", topic);
        tps[i].partition = (i * 7) % WIDE_PARTITIONS; /* in no order */
        tps[i].offset = 1000 + tps[i].partition;
        tps[i].mark = (struct mark){ .kind = i % 3 == 0   ? MARK_EPOCH
                                             : i % 3 == 1 ? MARK_FOLLOW
                                                          : MARK_FOREIGN,
                                     .epoch = i % 3 == 0 ? (uint64_t)i + 1 : 0 };
    }
    return tps;
}

static void offsets_come_back_as_committed(void **state)
{
    struct bench *b = *state;
    struct errmsg m = { 0 };
    struct kafka_tp *tps = wide_partitions("wide");
    struct kafka_answer *a;

    must_be(embedded_broker_topic(b->broker, "wide", WIDE_PARTITIONS, &m), &m, "topic");
    must_be(kafka_group_commit(&b->handle, "payments-blue", tps, WIDE_PARTITIONS - 1, 10000, &m), &m, "commit");
    kafka_admin_offsets(b->admin, 5, "payments-blue", tps, WIDE_PARTITIONS, 10000);
    a = bench_answer(b, 5);
    must_be(a->error, &a->message, "offsets");
    assert_int_equal(a->type, KAFKA_ANSWER_OFFSETS);
    assert_int_equal(a->tp_count, WIDE_PARTITIONS);
    for (int i = 0; i < WIDE_PARTITIONS; i++) {
        assert_int_equal(a->tps[i].partition, tps[i].partition);
        assert_false(a->tps[i].failed);
        if (i == WIDE_PARTITIONS - 1) {
            assert_int_equal(a->tps[i].offset, OFFSET_NONE);
            assert_int_equal(a->tps[i].mark.kind, MARK_NOTHING);
            continue;
        }
        assert_int_equal(a->tps[i].offset, tps[i].offset);
        assert_int_equal(a->tps[i].mark.kind, tps[i].mark.kind);
        assert_int_equal(a->tps[i].mark.epoch, tps[i].mark.epoch);
    }
    kafka_answer_free(a);
    kafka_admin_offsets(b->admin, 6, "nobody", tps, 1, 10000);
    a = bench_answer(b, 6);
    must_be(a->error, &a->message, "offsets");
    assert_int_equal(a->tps[0].mark.kind, MARK_NOTHING);
    kafka_answer_free(a);
    kafka_admin_offsets(b->admin, 7, "nobody", tps, 0, 10000);
    a = bench_answer(b, 7);
    assert_int_equal(a->error, ERR_OK);
    assert_int_equal(a->tp_count, 0);
    kafka_answer_free(a);
    free(tps);
}

static void ends_and_starts_are_told(void **state)
{
    struct bench *b = *state;
    struct kafka_tp *tps = wide_partitions("broad");
    struct kafka_answer *a;
    struct errmsg m = { 0 };
    struct kafka_tp odd[2] = { { .topic = CONTROL_TOPIC }, { .topic = "absent", .partition = 3 } };

    must_be(embedded_broker_topic(b->broker, "broad", WIDE_PARTITIONS, &m), &m, "topic");
    snprintf(tps[600].topic, sizeof(tps[600].topic), "%s", CONTROL_TOPIC);
    tps[600].partition = 0;
    bench_append(b, CONTROL_TOPIC, "k", "v");
    kafka_admin_ends(b->admin, 8, tps, WIDE_PARTITIONS, 10000);
    a = bench_answer(b, 8);
    must_be(a->error, &a->message, "ends");
    for (int i = 0; i < WIDE_PARTITIONS; i++) {
        assert_false(a->tps[i].failed);
        assert_true(i == 600 ? a->tps[i].offset > 0 : a->tps[i].offset == 0);
    }
    kafka_answer_free(a);
    kafka_admin_starts(b->admin, 9, tps, WIDE_PARTITIONS, 10000);
    a = bench_answer(b, 9);
    must_be(a->error, &a->message, "starts");
    for (int i = 0; i < WIDE_PARTITIONS; i++)
        assert_int_equal(a->tps[i].offset, 0);
    kafka_answer_free(a);
    /* what is not there does not hide what is */
    kafka_admin_ends(b->admin, 10, odd, 2, 2000);
    a = bench_answer(b, 10);
    assert_true(a->tps[1].failed);
    assert_int_equal(a->tps[1].offset, OFFSET_NONE);
    kafka_answer_free(a);
    free(tps);
}

static void groups_of_the_embedded_broker_cannot_be_described(void **state)
{
    struct bench *b = *state;
    struct kafka_answer *a;

    kafka_admin_group(b->admin, 11, "payments-blue", 5000);
    a = bench_answer(b, 11);
    assert_int_equal(a->error, ERR_OK);
    assert_false(a->group.known);
    assert_true(a->group.unsupported);
    assert_true(a->group.why[0]);
    kafka_answer_free(a);
}

static void topics_are_told(void **state)
{
    struct bench *b = *state;
    const char *topics[] = { CONTROL_TOPIC, "absent", "many" };
    struct kafka_answer *a;
    struct errmsg m = { 0 };

    must_be(embedded_broker_topic(b->broker, "many", 12, &m), &m, "topic");
    kafka_admin_topics(b->admin, 12, topics, 3, 5000);
    a = bench_answer(b, 12);
    must_be(a->error, &a->message, "topics");
    assert_int_equal(a->topic_count, 3);
    assert_true(a->topics[0].exists);
    assert_int_equal(a->topics[0].partition_count, 1);
    assert_false(a->topics[1].exists);
    assert_true(a->topics[1].why[0]);
    assert_int_equal(a->topics[2].partition_count, 12);
    kafka_answer_free(a);
}

static void questions_need_a_consumer_with_a_group(void **state)
{
    struct bench *b = *state;
    struct kafka_handle h;
    struct kafka_admin *a;
    struct errmsg m = { 0 };

    assert_int_equal(kafka_admin_open(&a, kafka_appender_handle(b->appender), -1, &m), ERR_INVALID);
    must_be(kafka_handle_open(&h, RD_KAFKA_CONSUMER, "test", b->settings, NULL, NULL, NULL, &m), &m, "open");
    assert_int_equal(kafka_admin_open(&a, &h, -1, &m), ERR_INVALID);
    kafka_handle_close(&h);
}

/* ---- a real Kafka ---- */

static char real_prefix[40];

static int real_setup(void **state)
{
    if (!real_prefix[0])
        snprintf(real_prefix, sizeof(real_prefix), "test-%llx.", (unsigned long long)clock_unix_us());
    *state = bench_new(getenv("BATON_TEST_BOOTSTRAP"));
    return 0;
}

static const char *real_name(const char *name)
{
    static char names[4][TOPIC_NAME_MAX + 1];
    static int next;
    char *ret = names[next++ % 4];

    snprintf(ret, sizeof(names[0]), "%s%s", real_prefix, name);
    return ret;
}

static void real_topics_are_made_and_checked(void **state)
{
    static const char *const deleted[] = { "cleanup.policy", "compact,delete", NULL };
    struct bench *b = *state;
    struct errmsg m = { 0 };
    char value[100];
    char prefix[80];
    int partitions = 0;

    assert_int_equal(topics_ensure(&b->handle, real_prefix, false, 8000, &m), ERR_NOT_FOUND);
    assert_non_null(strstr(m.text, "--config min.compaction.lag.ms=3600000"));
    must_be(topics_ensure(&b->handle, real_prefix, true, 8000, &m), &m, "make topics");
    must_be(topics_ensure(&b->handle, real_prefix, true, 8000, &m), &m, "check topics");
    must_be(kafka_topic_config(&b->handle, real_name(CONTROL_TOPIC), "cleanup.policy", value, sizeof(value), 5000, &m),
            &m, "config");
    assert_string_equal(value, "compact");
    must_be(kafka_topic_config(&b->handle, real_name(CONTROL_TOPIC), "min.compaction.lag.ms", value, sizeof(value),
                               5000, &m),
            &m, "config");
    assert_string_equal(value, "3600000");
    must_be(kafka_topic_config(&b->handle, real_name(REPORTS_TOPIC), "segment.bytes", value, sizeof(value), 5000, &m),
            &m, "config");
    assert_string_equal(value, "67108864");
    assert_int_equal(kafka_topic_config(&b->handle, real_name("absent"), "cleanup.policy", value, sizeof(value), 5000,
                                        &m),
                     ERR_NOT_FOUND);
    assert_int_equal(kafka_topic_create(&b->handle, real_name(CONTROL_TOPIC), 1, NULL, 8000, &m), ERR_CONFLICT);

    snprintf(prefix, sizeof(prefix), "%sdel.", real_prefix);
    must_be(kafka_topic_create(&b->handle, real_name("del." CONTROL_TOPIC), 1, deleted, 8000, &m), &m, "create");
    assert_int_equal(topics_ensure(&b->handle, prefix, true, 8000, &m), ERR_STATE);
    assert_non_null(strstr(m.text, "kafka-configs.sh --bootstrap-server"));
    assert_non_null(strstr(m.text, "--add-config cleanup.policy=compact"));
    snprintf(prefix, sizeof(prefix), "%stwo.", real_prefix);
    must_be(kafka_topic_create(&b->handle, real_name("two." CONTROL_TOPIC), 2, NULL, 8000, &m), &m, "create");
    assert_int_equal(topics_ensure(&b->handle, prefix, true, 8000, &m), ERR_STATE);
    assert_non_null(strstr(m.text, "has 2 partitions"));
    assert_non_null(strstr(m.text, "kafka-topics.sh"));
    must_be(kafka_topic_partitions(&b->handle, real_name("two." CONTROL_TOPIC), &partitions, 5000, &m), &m,
            "partitions");
    assert_int_equal(partitions, 2);
}

/* A member of a group, polled until it owns something. */
static void member_join(struct kafka_handle *h, const struct kafka_settings *s, const char *group, const char *topic,
                        const char *protocol)
{
    const char *const extra[] = { "group.id", group, "group.protocol", protocol, "client.id", "worker-1", NULL };
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1), *owned;
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    struct errmsg m = { 0 };
    int count = 0;

    must_be(kafka_handle_open(h, RD_KAFKA_CONSUMER, "member", s, extra, NULL, NULL, &m), &m, "member");
    rd_kafka_poll_set_consumer(h->rk);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(h->rk, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
    while (count == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(h->rk, 50);

        if (message)
            rd_kafka_message_destroy(message);
        assert_true(clock_ms() < deadline_ms);
        assert_int_equal(rd_kafka_assignment(h->rk, &owned), RD_KAFKA_RESP_ERR_NO_ERROR);
        count = owned->cnt;
        rd_kafka_topic_partition_list_destroy(owned);
    }
}

static void member_leave(struct kafka_handle *h)
{
    rd_kafka_consumer_close(h->rk);
    kafka_handle_close(h);
}

static void real_group_is_described(struct bench *b, const char *protocol)
{
    bool kip848 = strcmp(protocol, "consumer") == 0;
    char topic[TOPIC_NAME_MAX + 1], group[TOPIC_NAME_MAX + 1];
    int64_t deadline_ms = clock_ms() + PATIENCE_MS;
    struct kafka_handle h;
    struct kafka_answer *a;
    struct kafka_tp tps[2] = { { .offset = 7, .mark = { .kind = MARK_EPOCH, .epoch = 3 } },
                               { .partition = 1, .offset = OFFSET_NONE } };
    struct errmsg m = { 0 };
    char *id;

    snprintf(topic, sizeof(topic), "%s", real_name("orders"));
    snprintf(group, sizeof(group), "%s%s", real_name("group-"), protocol);
    kafka_admin_group(b->admin, 1, group, 5000);
    a = bench_answer(b, 1);
    must_be(a->error, &a->message, "describe a group that is not there");
    assert_true(a->group.known);
    assert_false(a->group.rebalancing);
    assert_int_equal(a->group.member_count, 0);
    kafka_answer_free(a);

    member_join(&h, b->settings, group, topic, protocol);
    id = rd_kafka_memberid(h.rk);
    for (uint64_t t = 2;; t++) {
        kafka_admin_group(b->admin, t, group, 5000);
        a = bench_answer(b, t);
        must_be(a->error, &a->message, "describe");
        assert_true(a->group.known);
        if (!a->group.rebalancing && a->group.member_count == 1 && a->group_assigned_count[0] == 2)
            break;
        kafka_answer_free(a);
        assert_true(clock_ms() < deadline_ms);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(h.rk, 50);
        if (message)
            rd_kafka_message_destroy(message);
    }
    assert_int_equal(a->group.consumer_protocol, kip848);
    assert_string_equal(a->group.members[0].member_id, id);
    assert_string_equal(a->group.members[0].client_id, "worker-1");
    assert_true(a->group.members[0].host[0]);
    assert_string_equal(a->group_assigned[0][0].topic, topic);
    kafka_answer_free(a);
    rd_kafka_mem_free(h.rk, id);

    snprintf(tps[0].topic, sizeof(tps[0].topic), "%s", topic);
    snprintf(tps[1].topic, sizeof(tps[1].topic), "%s", topic);
    assert_int_equal(kafka_group_commit(&b->handle, group, tps, 1, 5000, &m), ERR_CONFLICT); /* it is in use */
    member_leave(&h);
    must_be(kafka_group_commit(&b->handle, group, tps, 1, 5000, &m), &m, "commit");
    kafka_admin_offsets(b->admin, 900, group, tps, 2, 5000);
    a = bench_answer(b, 900);
    must_be(a->error, &a->message, "offsets");
    assert_int_equal(a->tps[0].offset, 7);
    assert_int_equal(a->tps[0].mark.kind, MARK_EPOCH);
    assert_int_equal(a->tps[0].mark.epoch, 3);
    assert_int_equal(a->tps[1].mark.kind, MARK_NOTHING);
    kafka_answer_free(a);
    tps[0].offset = OFFSET_NONE;
    must_be(kafka_group_commit(&b->handle, group, tps, 1, 5000, &m), &m, "delete");
    kafka_admin_offsets(b->admin, 901, group, tps, 1, 5000);
    a = bench_answer(b, 901);
    assert_int_equal(a->tps[0].mark.kind, MARK_NOTHING);
    kafka_answer_free(a);
}

static void real_groups_are_described(void **state)
{
    struct bench *b = *state;
    struct errmsg m = { 0 };

    must_be(kafka_topic_create(&b->handle, real_name("orders"), 2, NULL, 8000, &m), &m, "create");
    real_group_is_described(b, "classic");
    real_group_is_described(b, "consumer");
}

/* The end of this log is a transaction's marker, which no consumer ever sees. */
static void real_end_behind_a_marker_is_reached(void **state)
{
    static const char *const transactional[] = { "transactional.id", "baton-test", NULL };
    struct bench *b = *state;
    struct story s = { .text = STR_WITH_MAX(1000), .last = -1 };
    struct kafka_handle h;
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    int64_t end, deadline_ms = clock_ms() + PATIENCE_MS;
    const char *topic = real_name("marked");

    must_be(kafka_topic_create(&b->handle, topic, 1, NULL, 8000, &m), &m, "create");
    must_be(kafka_reader_open(&r, b->settings, topic, b->fd, &m), &m, "reader");
    must_be(kafka_handle_open(&h, RD_KAFKA_PRODUCER, "transaction", b->settings, transactional, NULL, NULL, &m), &m,
            "producer");
    for (int i = 0; i < 5; i++) {
        rd_kafka_error_t *error = i == 0 ? rd_kafka_init_transactions(h.rk, PATIENCE_MS) : NULL;

        assert_null(error);
        assert_null(rd_kafka_begin_transaction(h.rk));
        assert_int_equal(rd_kafka_producev(h.rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                           RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE("v", 1), RD_KAFKA_V_END),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_null(rd_kafka_commit_transaction(h.rk, PATIENCE_MS));
        end = 0;
        while (end < 2 * i + 2) { /* the commit is answered before its marker is in the log */
            kafka_reader_ask_end(r, (uint64_t)i, 5000);
            assert_int_equal(reader_wait(b, r, (uint64_t)i, &s, &end), KAFKA_END_REACHED);
            assert_true(clock_ms() < deadline_ms);
        }
        assert_int_equal(s.last, 2 * i);
    }
    kafka_handle_close(&h);
    kafka_reader_close(r);
    str_free(&s.text);
}

/*
 * What one question costs beside a reader that waits for records all the time: no fetch's wait, which is half a second. More
 * than half of them must be quick: a machine that stood still in some of them proves nothing.
 */
static void real_questions_do_not_wait_behind_a_fetch(void **state)
{
    struct bench *b = *state;
    struct story s = { .text = STR_WITH_MAX(100000), .last = -1 };
    struct kafka_reader *r;
    struct errmsg m = { 0 };
    const char *topic = real_name("quiet");
    int64_t end;
    int quick = 0;

    must_be(kafka_topic_create(&b->handle, topic, 1, NULL, 8000, &m), &m, "create");
    must_be(kafka_reader_open(&r, b->settings, topic, b->fd, &m), &m, "reader");
    for (uint64_t i = 0; i < 51; i++) {
        const int64_t began_us = clock_us();

        kafka_reader_ask_end(r, i, 5000);
        assert_int_equal(reader_wait(b, r, i, &s, &end), KAFKA_END_REACHED);
        quick += clock_us() - began_us < 50000;
    }
    assert_true(quick > 25);
    kafka_reader_close(r);
    str_free(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_checked_by_name),
        cmocka_unit_test(settings_come_from_files),
        cmocka_unit_test(settings_that_contradict_name_the_client),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(host_has_no_address),
        cmocka_unit_test(a_dead_broker_answers_questions_with_a_failure),
        cmocka_unit_test(trouble_is_logged_when_it_starts_and_when_it_ends),
        cmocka_unit_test(a_silent_handle_is_revived_until_a_learned_broker_is_up),
        cmocka_unit_test(embedded_port_may_be_taken),
        cmocka_unit_test_setup_teardown(embedded_topics_are_checked, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(records_come_in_order, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(the_end_is_not_reached_too_early, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(lost_records_start_the_log_again, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_long_log_is_read_in_one_go, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_topic_that_is_not_there_is_said, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(appends_have_bounds, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(appends_keep_their_order, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(offsets_come_back_as_committed, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(ends_and_starts_are_told, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(groups_of_the_embedded_broker_cannot_be_described, embedded_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(topics_are_told, embedded_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(questions_need_a_consumer_with_a_group, embedded_setup, bench_teardown),
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test_setup_teardown(real_topics_are_made_and_checked, real_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(real_groups_are_described, real_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(real_end_behind_a_marker_is_reached, real_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(real_questions_do_not_wait_behind_a_fetch, real_setup, bench_teardown),
    };
    int failed = cmocka_run_group_tests_name("kafka", tests, NULL, NULL);

    if (getenv("BATON_TEST_BOOTSTRAP"))
        failed += cmocka_run_group_tests_name("kafka, a real one", real, NULL, NULL);
    else
        fprintf(stderr, "LEFT OUT: %d tests on a real Kafka. Set BATON_TEST_BOOTSTRAP=HOST:PORT to run them.\n",
                (int)ARRAY_COUNT(real));
    return failed;
}
