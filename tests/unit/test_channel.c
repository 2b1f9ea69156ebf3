/*
 * channel: one suite, and every way passes all of it: the embedded broker, a controller in this process, and a channel whose
 * records are written down as they come. What a record means is the holder's matter; here it is which come, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/channel.h"
#include "controller/controller.h"
#include "core/terms.h"
#include "wire/record.h"

#define WAIT_MS 20000
#define FLEET "payments"
#define OPERATORS "operators-0123456789"
#define MEMBERS "members-0123456789"

struct heard {
    char key[RECORD_KEY_MAX];
    int64_t offset, term;
    bool gone, counts; /* as a member judges it */
};

struct stage {
    const char *way;
    struct embedded_broker *broker;
    struct kafka_settings *settings;
    struct kafka_appender *appender;
    struct event_base *base;
    struct controller *controller;
    struct channel *channel;
    struct channel_config config;
    char address[64], server[200], operators[64], members[64];
    struct terms terms;
    struct heard heard[1000];
    int heard_count;
    int status; /* of the last request, 0: not answered */
    char body[4000];
    struct kafka_appended acked;
    int acked_count;
};

/* --- the stage ---------------------------------------------------------------------------------------------------- */

static void file_write(char path[64], const char *text)
{
    int fd;

    strcpy(path, "/tmp/baton-channel-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void controller_start(struct stage *s)
{
    const char *listen[] = { s->address };
    struct errmsg m = { 0 };
    const struct controller_config config = { .kafka = s->settings,
                                              .lead = CONTROLLER_SERVE,
                                              .listen = listen,
                                              .listen_count = 1,
                                              .token_file = s->operators,
                                              .member_token_file = s->members };

    for (int64_t until_ms = clock_ms() + WAIT_MS;;) { /* the port may be in use for a moment after a close */
        if (controller_open(&s->controller, s->base, &config, &m) == ERR_OK)
            break;
        if (clock_ms() > until_ms)
            fail_msg("%s", m.text);
        usleep(50000);
    }
    snprintf(s->address, sizeof(s->address), "%s", controller_listening(s->controller, 0));
    snprintf(s->server, sizeof(s->server), "http://%s", s->address);
}

static void on_record(void *opaque, const struct kafka_record *rec)
{
    struct stage *s = opaque;
    struct heard *h = &s->heard[s->heard_count];
    struct record_key key;

    assert_true(s->heard_count < (int)(sizeof(s->heard) / sizeof(s->heard[0])));
    record_key_parse(&key, rec->key, rec->key_len, true);
    if (key.kind == RECORD_TERM && rec->value)
        terms_claim(&s->terms, rec->offset);
    if (key.kind != RECORD_HEAD || strcmp(key.fleet, FLEET) != 0)
        return;
    *h = (struct heard){ .offset = rec->offset, .gone = rec->value == NULL, .term = -1 };
    text_copy(h->key, sizeof(h->key), rec->key);
    if (rec->value && record_term(&h->term, rec->value, rec->value_len, NULL) == ERR_OK)
        h->counts = terms_valid(&s->terms, h->term);
    s->heard_count++;
}

/* A moment of everybody's life. */
static void live(struct stage *s)
{
    struct pollfd wake = { .fd = s->config.wake_fd, .events = POLLIN };
    struct errmsg m = { 0 };

    if (s->controller)
        event_base_loop(s->base, EVLOOP_NONBLOCK);
    if (s->channel) {
        kafka_eventfd_clear(s->config.wake_fd);
        channel_poll(s->channel, 100, on_record, s, &m);
        while (channel_reported(s->channel, &s->acked))
            s->acked_count++;
    }
    poll(&wake, 1, 1);
}

#define UNTIL(s, condition)                                                                                   \
    for (int64_t until_ms = clock_ms() + WAIT_MS; !(condition);) {                                            \
        if (clock_ms() > until_ms)                                                                            \
            fail_msg("%s: not within %d ms: %s (heard %d)", (s)->way, WAIT_MS, #condition, (s)->heard_count); \
        live(s);                                                                                              \
    }

static void on_answer(void *opaque, const struct api_answer *answer)
{
    struct stage *s = opaque;

    s->status = answer->status;
    snprintf(s->body, sizeof(s->body), "%s", answer->body);
}

static void request(struct stage *s, const char *method, const char *path, const char *type, const char *body,
                    int status)
{
    const struct api_request r = { .method = method,
                                   .path = path,
                                   .content_type = type,
                                   .body = body,
                                   .body_len = body ? strlen(body) : 0,
                                   .by = "test" };

    s->status = 0;
    controller_request(s->controller, &r, on_answer, s);
    UNTIL(s, s->status != 0);
    if (s->status != status)
        fail_msg("%s %s: %d instead of %d: %s", method, path, s->status, status, s->body);
}

static void fleet_make(struct stage *s)
{
    request(s, "PUT", "/v1/fleets/" FLEET, "application/yaml", "fleet: " FLEET "\ntopics: [orders]\n", 201);
}

static void open_channel(struct stage *s)
{
    struct errmsg m = { 0 };

    terms_init(&s->terms);
    s->heard_count = 0;
    if (channel_open(&s->channel, &s->config, &m) < 0)
        fail_msg("%s", m.text);
}

static int setup(void **state, enum channel_kind kind)
{
    struct stage *s = calloc(1, sizeof(*s));
    struct errmsg m = { 0 };

    log_set_level(LOG_ERROR);
    s->way = kind == CHANNEL_HTTP ? "http" : "kafka";
    assert_int_equal(embedded_broker_open(&s->broker, 0, &m), ERR_OK);
    assert_int_equal(embedded_broker_topic(s->broker, "orders", 4, &m), ERR_OK);
    s->settings = kafka_settings_new();
    assert_int_equal(kafka_settings_set(s->settings, "bootstrap.servers", embedded_broker_bootstrap(s->broker), &m),
                     ERR_OK);
    file_write(s->operators, OPERATORS);
    file_write(s->members, MEMBERS);
    s->base = event_base_new();
    strcpy(s->address, "127.0.0.1:0");
    controller_start(s);
    s->config = (struct channel_config){ .kind = kind,
                                         .kafka = s->settings,
                                         .fleet = FLEET,
                                         .control_topic = CONTROL_TOPIC,
                                         .reports_topic = REPORTS_TOPIC,
                                         .servers = s->server,
                                         .token_file = s->members,
                                         .ca_file = "",
                                         .wake_fd = kafka_eventfd(&m) };
    assert_int_equal(kafka_appender_open(&s->appender, s->settings, CONTROL_TOPIC, -1, &m), ERR_OK);
    *state = s;
    return 0;
}

static int setup_kafka(void **state)
{
    return setup(state, CHANNEL_KAFKA);
}

static int setup_http(void **state)
{
    return setup(state, CHANNEL_HTTP);
}

static int teardown(void **state)
{
    struct stage *s = *state;

    channel_close(s->channel, 0);
    controller_close(s->controller);
    kafka_appender_close(s->appender, 0);
    embedded_broker_close(s->broker);
    event_base_free(s->base);
    kafka_settings_free(s->settings);
    close(s->config.wake_fd);
    unlink(s->operators);
    unlink(s->members);
    free(s);
    return 0;
}

/* What the member believes: the newest record that counts, -1: none. */
static int64_t believed(const struct stage *s)
{
    for (int i = s->heard_count - 1; i >= 0; i--)
        if (s->heard[i].counts || s->heard[i].gone)
            return s->heard[i].offset;
    return -1;
}

/* Its offset. */
static int64_t put(struct stage *s, const char *key, const char *value)
{
    struct kafka_appended acked;
    struct errmsg m = { 0 };

    assert_int_equal(kafka_append(s->appender, 1, CONTROL_TOPIC, 0, key, value, value ? strlen(value) : 0, &m), ERR_OK);
    UNTIL(s, kafka_appender_poll(s->appender, &acked));
    assert_int_equal(acked.error, ERR_OK);
    return acked.offset;
}

static int64_t end_now(struct stage *s, uint64_t token)
{
    enum kafka_end state = KAFKA_END_PENDING;
    int64_t end = -1;

    channel_ask_end(s->channel, token, WAIT_MS);
    UNTIL(s, (state = channel_end(s->channel, token, &end)) != KAFKA_END_PENDING);
    assert_int_equal(state, KAFKA_END_REACHED);
    assert_true(channel_position(s->channel) >= end);
    return end;
}

/* --- the suite ---------------------------------------------------------------------------------------------------- */

static void it_can_work_at_all(void **state)
{
    struct stage *s = *state;
    struct errmsg m = { 0 };

    s->config.servers = "http://127.0.0.1:1";
    if (s->config.kind == CHANNEL_HTTP) { /* nobody is there: said at once */
        assert_int_equal(channel_reach(&s->config, 2000, &m), ERR_UNAVAILABLE);
        assert_non_null(strstr(m.text, "127.0.0.1"));
    }
    s->config.servers = "";
    if (s->config.kind == CHANNEL_HTTP)
        assert_int_equal(channel_reach(&s->config, 2000, &m), ERR_INVALID);
}

static void a_fleet_that_comes_later_is_heard_of(void **state)
{
    struct stage *s = *state;

    open_channel(s);
    end_now(s, 1);
    assert_int_equal(s->heard_count, 0);
    fleet_make(s);
    UNTIL(s, s->heard_count > 0);
    assert_true(s->heard[0].counts && !s->heard[0].gone);
    request(s, "DELETE", "/v1/fleets/" FLEET, NULL, NULL, 204);
    UNTIL(s, s->heard[s->heard_count - 1].gone);
}

/* What a newcomer hears is what one heard who was there all the time. */
static void a_newcomer_hears_the_newest(void **state)
{
    struct stage *s = *state;
    int64_t known;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    for (int i = 1; i <= 5; i++) {
        char file[100];

        snprintf(file, sizeof(file), "fleet: " FLEET "\ntopics: [orders]\nswitch: {observe: %ds}\n", i);
        request(s, "PUT", "/v1/fleets/" FLEET, "application/yaml", file, 200);
    }
    end_now(s, 2);
    for (int i = 1; i < s->heard_count; i++)
        assert_true(s->heard[i].offset > s->heard[i - 1].offset);
    assert_true(s->heard_count >= 6);
    known = believed(s);
    channel_close(s->channel, 0);
    open_channel(s);
    end_now(s, 1);
    assert_int_equal(believed(s), known);
}

/* Rule 2: what was in the log before the question has been handed out with the answer. */
static void an_end_is_asked_anew(void **state)
{
    struct stage *s = *state;

    fleet_make(s);
    open_channel(s);
    for (uint64_t token = 1; token <= 20; token++) {
        const int64_t offset = put(s, "of-nobody", "{}"); /* no record of the fleet follows: only the position tells */

        assert_true(end_now(s, token) > offset);
    }
}

static void a_stale_writer_is_not_believed(void **state)
{
    struct stage *s = *state;
    int64_t stale, known;

    fleet_make(s);
    put(s, "term", "{\"format\":1,\"controller\":\"other\",\"host\":\"h\",\"version\":\"1\",\"unix_ms\":1}");
    UNTIL(s, (request(s, "GET", "/v1/leader", NULL, NULL, 200), strstr(s->body, "\"self\":true"))); /* leads again */
    open_channel(s);
    end_now(s, 1);
    known = believed(s);
    stale = put(s, "fleet/" FLEET, "{\"format\":1,\"term\":0,\"epoch\":99}");
    end_now(s, 2);
    assert_true(believed(s) == known || believed(s) > stale); /* untouched, or healed by the leader */
    channel_close(s->channel, 0);
    open_channel(s); /* one who begins now does not take it either */
    end_now(s, 1);
    assert_true(believed(s) != stale && believed(s) >= known);
}

/* It is handed out, and the member says that it is too old for it. */
static void a_newer_batons_record_arrives(void **state)
{
    struct stage *s = *state;
    int64_t newer;

    fleet_make(s);
    open_channel(s);
    newer = put(s, "fleet/" FLEET, "{\"format\":99,\"term\":1000000,\"whatever\":[1,\n2]}");
    end_now(s, 1);
    assert_true(s->heard_count > 0 && s->heard[s->heard_count - 1].offset == newer);
    channel_close(s->channel, 0);
    open_channel(s);
    end_now(s, 1);
    assert_true(s->heard_count > 0 && s->heard[s->heard_count - 1].offset == newer);
}

static void report_of(struct str *text, const char *incarnation, uint64_t sequence)
{
    struct fleet f;
    struct errmsg m = { 0 };
    struct report r = { .color = BLUE, .sequence = sequence, .ready = true, .report_interval_ms = 1000 };

    fleet_init(&f, NULL, 0);
    text_copy(r.fleet, sizeof(r.fleet), FLEET);
    text_copy(r.incarnation, sizeof(r.incarnation), incarnation);
    text_copy(r.client_id, sizeof(r.client_id), "the-member");
    if (report_encode(text, &r, &f, &m) < 0)
        fail_msg("%s", m.text);
}

static void a_report_is_acknowledged_in_the_log(void **state)
{
    struct stage *s = *state;
    struct errmsg m = { 0 };

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);

        report_of(&text, "0123456789abcdef0123456789abcdef", sequence);
        assert_int_equal(channel_report(s->channel, sequence, FLEET "/0123456789abcdef0123456789abcdef", text.buf,
                                        text.len, &m),
                         ERR_OK);
        str_free(&text);
    }
    UNTIL(s, s->acked_count == 50);
    assert_int_equal(s->acked.error, ERR_OK);
    assert_int_equal(s->acked.token, 50); /* in order */
    UNTIL(s, (request(s, "GET", "/v1/fleets/" FLEET, NULL, NULL, 200), strstr(s->body, "the-member")));
}

/* The controller goes and another one comes: what it missed arrives, and questions are answered again. */
static void a_controller_goes_and_comes(void **state)
{
    struct stage *s = *state;
    struct errmsg m = { 0 };
    int64_t written;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    controller_close(s->controller);
    s->controller = NULL;
    channel_ask_end(s->channel, 2, 500);
    written = put(s, "fleet/" FLEET, NULL);
    UNTIL(s, channel_end(s->channel, 2, NULL) != KAFKA_END_PENDING); /* whichever: it must not hang */
    controller_start(s);
    UNTIL(s, s->heard[s->heard_count - 1].gone && s->heard[s->heard_count - 1].offset == written);
    end_now(s, 3);
    assert_int_equal(channel_trouble(s->channel, &m), ERR_OK);
}

static void a_wrong_token_opens_nothing(void **state)
{
    struct stage *s = *state;
    struct errmsg m = { 0 };
    char wrong[64];

    if (s->config.kind != CHANNEL_HTTP)
        return;
    file_write(wrong, "wrong-0123456789ab");
    s->config.token_file = wrong;
    assert_int_equal(channel_open(&s->channel, &s->config, &m), ERR_OK);
    channel_ask_end(s->channel, 1, WAIT_MS);
    UNTIL(s, channel_end(s->channel, 1, NULL) == KAFKA_END_FAILED);
    assert_true(channel_trouble(s->channel, &m) < 0);
    assert_non_null(strstr(m.text, "token"));
    assert_null(strstr(m.text, "wrong-0123"));
    unlink(wrong);
}

#define WAYS(test)                                          \
    { "kafka: " #test, test, setup_kafka, teardown, NULL }, \
    {                                                       \
        "http: " #test, test, setup_http, teardown, NULL    \
    }

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WAYS(it_can_work_at_all),
        WAYS(a_fleet_that_comes_later_is_heard_of),
        WAYS(a_newcomer_hears_the_newest),
        WAYS(an_end_is_asked_anew),
        WAYS(a_stale_writer_is_not_believed),
        WAYS(a_newer_batons_record_arrives),
        WAYS(a_report_is_acknowledged_in_the_log),
        WAYS(a_controller_goes_and_comes),
        WAYS(a_wrong_token_opens_nothing),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "http: *" */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
