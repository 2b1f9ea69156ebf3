/*
 * channel: one suite, and every way passes all of it: the embedded broker, a controller in this process, and a channel whose
 * records are written down as they come. What a record means is the holder's matter; here it is which come, and when.
 *
 * `redis` runs a real one (scripts/redis.sh), with the users and rights that docs/channels.md gives; where none is to be had its
 * tests are skipped, and say so.
 *
 * `configmap` runs against tests/fake/kube_api.py, which can do to its clients what such servers do; and against a real
 * kube-apiserver, where tests/system/cases_kube.py starts this program with one (CHANNEL_KUBE and the others below).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "channel/channel.h"
#include "controller/configmap.h"
#include "controller/controller.h"
#include "core/terms.h"
#include "kube/board.h"
#include "kube/client.h"
#include "redis/client.h"
#include "wire/record.h"
#include "wire/spec.h"

#define WAIT_MS 20000
#define FLEET "payments"
#define OPERATORS "operators-0123456789"
#define MEMBERS "members-0123456789"

#define CONTROLLER_PASSWORD "controllers-pw-1"
#define MEMBER_PASSWORD "members-pw-12345"

/* As in docs/channels.md. The third is an operator's. */
#define REDIS_USERS                                                                                                   \
    "user default off\n"                                                                                              \
    "user controller on >" CONTROLLER_PASSWORD                                                                        \
    " ~baton:* &baton:* +eval +xrevrange +xadd +xdel +del +publish +blpop +lindex +lpop "                             \
    "+ping +info\n"                                                                                                   \
    "user member on >" MEMBER_PASSWORD " %R~baton:log:* ~baton:requests resetchannels &baton:bell:* &baton:answer:* " \
    "+xrange +xrevrange +rpush +ltrim +expire +subscribe +ping\n"                                                     \
    "user root on >" OPERATORS " ~* &* +@all\n"

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
    char body[1000 * 1000];
    struct kafka_appended acked;
    int acked_count;
    int corrupt_count; /* how often the log was said to begin anew */
    /* of `redis` */
    char program[300], redis[64]; /* its address */
    char users[64], controller_password[64], member_password[64], root_password[64];
    bool tls;
    char certificate[64]; /* with its key: the server's, everybody's, and who signed it */
    int redis_port;
    pid_t redis_pid;
    struct redis_config redis_config;
    /* of `configmap` */
    bool kube, kube_real;
    int kube_port;
    pid_t kube_pid;
    char kube_server[100]; /* with its namespace */
    char kube_token[64];   /* a file: of everybody's, where it is the fake */
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

static int free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void server_wait(const struct stage *s, int port)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)port) };

    for (int64_t until_ms = clock_ms() + WAIT_MS;;) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const bool there = connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0;

        close(fd);
        if (there)
            return;
        if (clock_ms() > until_ms)
            fail_msg("%s: nobody on port %d within %d ms", s->way, port, WAIT_MS);
        usleep(10000);
    }
}

/* Empty, whatever was in it before. */
static void redis_start(struct stage *s)
{
    char port[16], plain[16];

    snprintf(port, sizeof(port), "%d", s->redis_port);
    snprintf(plain, sizeof(plain), "%d", s->tls ? 0 : s->redis_port);
    s->redis_pid = fork();
    assert_true(s->redis_pid >= 0);
    if (s->redis_pid > 0) {
        server_wait(s, s->redis_port);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp(s->program, s->program, "--port", plain, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
           "--logfile", "/dev/null", "--aclfile", s->users, s->tls ? "--tls-port" : NULL, port, "--tls-cert-file",
           s->certificate, "--tls-key-file", s->certificate, "--tls-ca-cert-file", s->certificate, NULL);
    _exit(127);
}

static void redis_kill(struct stage *s)
{
    kill(s->redis_pid, SIGKILL);
    waitpid(s->redis_pid, NULL, 0);
    s->redis_pid = 0;
}

/* Where scripts/redis.sh has one; it fetches nothing here. */
static bool redis_find(struct stage *s)
{
    FILE *answer = popen(REDIS_SH " look 2>/dev/null", "r");
    const bool found = answer && fgets(s->program, sizeof(s->program), answer);

    if (answer)
        pclose(answer);
    s->program[strcspn(s->program, "\n")] = '\0';
    return found;
}

static void redis_open_stage(struct stage *s)
{
    char command[800];

    s->redis_port = free_port();
    snprintf(s->redis, sizeof(s->redis), "redis%s://member@127.0.0.1:%d", s->tls ? "s" : "", s->redis_port);
    file_write(s->users, REDIS_USERS);
    file_write(s->controller_password, CONTROLLER_PASSWORD "\n");
    file_write(s->member_password, MEMBER_PASSWORD);
    file_write(s->root_password, OPERATORS);
    file_write(s->certificate, "");
    if (s->tls) {
        snprintf(
            command, sizeof(command),
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=baton-test -addext "
            "subjectAltName=IP:127.0.0.1 -keyout %s.k -out %s.c 2>/dev/null && cat %s.k %s.c >%s && rm %s.k %s.c",
            s->certificate, s->certificate, s->certificate, s->certificate, s->certificate, s->certificate,
            s->certificate);
        assert_int_equal(system(command), 0);
    }
    redis_start(s);
}

static void redis_close_stage(struct stage *s)
{
    if (s->redis_pid > 0)
        redis_kill(s);
    unlink(s->users);
    unlink(s->controller_password);
    unlink(s->member_password);
    unlink(s->root_password);
    unlink(s->certificate);
}

/* --- a Kubernetes ------------------------------------------------------------------------------------------------- */

#define KUBE_TOKEN "kubernetes-0123456789"
/* Of a real server: its address with the namespace, its CA, the tokens of both sides, and its process. */
#define KUBE_ENV(name) getenv("CHANNEL_KUBE" name)

/* The fake is empty whenever it starts. */
static void kube_start(struct stage *s)
{
    char port[16];

    if (s->kube_real) {
        kill((pid_t)atoi(KUBE_ENV("_PID")), SIGCONT);
        return;
    }
    snprintf(port, sizeof(port), "%d", s->kube_port);
    s->kube_pid = fork();
    assert_true(s->kube_pid >= 0);
    if (s->kube_pid == 0) {
        execlp("python3", "python3", KUBE_FAKE, port, s->kube_token, NULL);
        _exit(127);
    }
    server_wait(s, s->kube_port);
}

static void kube_stop(struct stage *s)
{
    if (s->kube_real) {
        kill((pid_t)atoi(KUBE_ENV("_PID")), SIGSTOP);
        return;
    }
    kill(s->kube_pid, SIGKILL);
    waitpid(s->kube_pid, NULL, 0);
    s->kube_pid = 0;
}

static struct kube *kube_root(struct stage *s)
{
    const struct kube_config config = { .server = s->kube_server,
                                        .token_file = s->kube_real ? KUBE_ENV("_CONTROLLER_TOKEN") : s->kube_token,
                                        .ca_file = KUBE_ENV("_CA") };
    struct errmsg m = { 0 };
    struct kube *ret = NULL;

    assert_int_equal(kube_open(&ret, &config, &m), ERR_OK);
    return ret;
}

static void kube_open_stage(struct stage *s)
{
    s->kube = true;
    s->kube_real = KUBE_ENV("") != NULL;
    file_write(s->kube_token, KUBE_TOKEN);
    if (s->kube_real) { /* which may hold what the test before has left */
        struct kube *root;

        snprintf(s->kube_server, sizeof(s->kube_server), "%s", KUBE_ENV(""));
        root = kube_root(s);
        kube_delete(root, "baton-" FLEET, NULL);
        kube_delete(root, "baton-refunds", NULL);
        kube_close(root);
        return;
    }
    s->kube_port = free_port();
    snprintf(s->kube_server, sizeof(s->kube_server), "http://127.0.0.1:%d/baton", s->kube_port);
    kube_start(s);
}

static void kube_fault(struct stage *s, const char *json)
{
    char server[64];
    const struct http_client_config to = { .server = server, .foreign = true };
    struct http_client *c = NULL;
    struct http_reply reply = { 0 };
    struct errmsg m = { 0 };

    snprintf(server, sizeof(server), "http://127.0.0.1:%d", s->kube_port);
    assert_int_equal(http_client_open(&c, &to, &m), ERR_OK);
    if (http_client_request(c, &reply, "POST", "/fault", "application/json", json, strlen(json), &m) < 0)
        fail_msg("%s", m.text);
    http_reply_free(&reply);
    http_client_close(c);
}

static void controller_start(struct stage *s)
{
    const struct kube_config to_kube = { .server = s->kube_server,
                                         .token_file = s->kube_real ? KUBE_ENV("_CONTROLLER_TOKEN") : s->kube_token,
                                         .ca_file = KUBE_ENV("_CA") };
    char redis[64];
    const char *listen[] = { s->address };
    struct errmsg m = { 0 };
    const struct redis_config to_redis = { .servers = redis,
                                           .password_file = s->controller_password,
                                           .ca_file = s->tls ? s->certificate : NULL,
                                           .cert_file = s->tls ? s->certificate : NULL };
    const struct controller_config config = { .kafka = s->settings,
                                              .redis = s->redis_port ? &to_redis : NULL,
                                              .configmap = s->kube ? &to_kube : NULL,
                                              .lead = CONTROLLER_SERVE,
                                              .listen = listen,
                                              .listen_count = 1,
                                              .token_file = s->operators,
                                              .member_token_file = s->members };

    snprintf(redis, sizeof(redis), "redis%s://controller@127.0.0.1:%d", s->tls ? "s" : "", s->redis_port);
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
        s->corrupt_count += channel_poll(s->channel, 100, on_record, s, &m) == ERR_CORRUPT;
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

static int setup_way(void **state, enum channel_kind kind, bool tls)
{
    static const char *const names[] = {
        [CHANNEL_KAFKA] = "kafka", [CHANNEL_HTTP] = "http", [CHANNEL_REDIS] = "redis", [CHANNEL_CONFIGMAP] = "configmap"
    };
    struct stage *s = calloc(1, sizeof(*s));
    struct errmsg m = { 0 };

    log_set_level(getenv("CHANNEL_DEBUG") ? LOG_DEBUG : LOG_ERROR);
    *state = NULL;
    s->way = names[kind];
    s->tls = tls;
    if (kind == CHANNEL_REDIS && !redis_find(s)) {
        fprintf(stderr, "no Redis here, its tests are left out: scripts/redis.sh fetches one\n");
        free(s);
        return 0;
    }
    if (kind == CHANNEL_REDIS)
        redis_open_stage(s);
    if (kind == CHANNEL_CONFIGMAP)
        kube_open_stage(s);
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
                                         .prefix = "",
                                         .servers = kind == CHANNEL_REDIS ? s->redis : s->server,
                                         .token_file = kind == CHANNEL_REDIS ? s->member_password : s->members,
                                         .ca_file = tls ? s->certificate : "",
                                         .cert_file = tls ? s->certificate : "",
                                         .wake_fd = kafka_eventfd(&m) };
    if (kind == CHANNEL_CONFIGMAP) {
        s->config.servers = s->kube_server;
        s->config.token_file = s->kube_real ? KUBE_ENV("_MEMBER_TOKEN") : s->kube_token;
        s->config.ca_file = s->kube_real ? KUBE_ENV("_CA") : "";
    }
    assert_int_equal(kafka_appender_open(&s->appender, s->settings, CONTROL_TOPIC, -1, &m), ERR_OK);
    *state = s;
    return 0;
}

static int setup_kafka(void **state)
{
    return setup_way(state, CHANNEL_KAFKA, false);
}

static int setup_http(void **state)
{
    return setup_way(state, CHANNEL_HTTP, false);
}

static int setup_redis(void **state)
{
    return setup_way(state, CHANNEL_REDIS, false);
}

static int setup_configmap(void **state)
{
    return setup_way(state, CHANNEL_CONFIGMAP, false);
}

static int setup_redis_tls(void **state)
{
    return setup_way(state, CHANNEL_REDIS, true);
}

/* The fake goes; a real one is left running, whatever a test has done to it. */
static void kube_start_again(struct stage *s)
{
    if (s->kube_real)
        kube_start(s);
    else if (s->kube_pid > 0)
        kube_stop(s);
}

static int teardown(void **state)
{
    struct stage *s = *state;

    if (!s)
        return 0;
    channel_close(s->channel, 0);
    controller_close(s->controller);
    kafka_appender_close(s->appender, 0);
    embedded_broker_close(s->broker);
    event_base_free(s->base);
    kafka_settings_free(s->settings);
    close(s->config.wake_fd);
    unlink(s->operators);
    unlink(s->members);
    if (s->redis_port)
        redis_close_stage(s);
    if (s->kube) {
        kube_start_again(s);
        unlink(s->kube_token);
    }
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

/* A question may fail, while the way is cut and a little longer: who needs the answer asks again, as members do. */
static int64_t end_now(struct stage *s, uint64_t token)
{
    enum kafka_end state = KAFKA_END_FAILED;
    int64_t end = -1;

    for (int64_t last_ms = clock_ms() + WAIT_MS; state == KAFKA_END_FAILED && clock_ms() < last_ms;) {
        channel_ask_end(s->channel, token, WAIT_MS);
        UNTIL(s, (state = channel_end(s->channel, token, &end)) != KAFKA_END_PENDING);
    }
    assert_int_equal(state, KAFKA_END_REACHED);
    assert_true(channel_position(s->channel) >= end);
    return end;
}

/* --- the suite ---------------------------------------------------------------------------------------------------- */

static struct stage *stage_of(void **state)
{
    if (!*state)
        skip();
    return *state;
}

static void spec_put(struct stage *s, int observe_s)
{
    char file[100];

    snprintf(file, sizeof(file), "fleet: " FLEET "\ntopics: [orders]\nswitch: {observe: %ds}\n", observe_s);
    request(s, "PUT", "/v1/fleets/" FLEET, "application/yaml", file, 200);
}

static void it_can_work_at_all(void **state)
{
    struct stage *s = stage_of(state);
    struct errmsg m = { 0 };

    if (s->config.kind == CHANNEL_KAFKA)
        return;
    /* nobody is there: said at once */
    s->config.servers = s->config.kind == CHANNEL_HTTP    ? "http://127.0.0.1:1"
                        : s->config.kind == CHANNEL_REDIS ? "redis://127.0.0.1:1"
                                                          : "http://127.0.0.1:1/baton";
    assert_int_equal(channel_reach(&s->config, 2000, &m), ERR_UNAVAILABLE);
    assert_non_null(strstr(m.text, "127.0.0.1"));
    s->config.servers = "";
    assert_int_equal(channel_reach(&s->config, 2000, &m), ERR_INVALID);
}

static void a_fleet_that_comes_later_is_heard_of(void **state)
{
    struct stage *s = stage_of(state);

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
    struct stage *s = stage_of(state);
    int64_t known;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    for (int i = 1; i <= 5; i++)
        spec_put(s, i);
    end_now(s, 2);
    for (int i = 1; i < s->heard_count; i++)
        assert_true(s->heard[i].offset > s->heard[i - 1].offset);
    assert_true(s->heard_count >=
                (s->kube ? 2 : 6)); /* a ConfigMap is a state: what came and went before it was read is not in it */
    known = believed(s);
    channel_close(s->channel, 0);
    open_channel(s);
    end_now(s, 1);
    assert_int_equal(believed(s), known);
}

/* Rule 2: what was in the log before the question has been handed out with the answer. */
static void an_end_is_asked_anew(void **state)
{
    struct stage *s = stage_of(state);

    fleet_make(s);
    open_channel(s);
    for (uint64_t token = 1; token <= 20; token++) {
        const int64_t offset = put(s, "of-nobody", "{}"); /* no record of the fleet follows: only the position tells */

        assert_true(end_now(s, token) > offset);
    }
}

static void a_stale_writer_is_not_believed(void **state)
{
    struct stage *s = stage_of(state);
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
    struct stage *s = stage_of(state);
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

static void report_of(struct str *text, const char *fleet, const char *incarnation, uint64_t sequence)
{
    struct fleet f;
    struct errmsg m = { 0 };
    struct report r = { .color = BLUE, .sequence = sequence, .ready = true, .report_interval_ms = 1000 };

    fleet_init(&f, NULL, 0);
    text_copy(r.fleet, sizeof(r.fleet), fleet);
    text_copy(r.incarnation, sizeof(r.incarnation), incarnation);
    text_copy(r.client_id, sizeof(r.client_id), "the-member");
    if (report_encode(text, &r, &f, &m) < 0)
        fail_msg("%s", m.text);
}

static void a_report_is_acknowledged_in_the_log(void **state)
{
    struct stage *s = stage_of(state);
    struct errmsg m = { 0 };

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);

        report_of(&text, FLEET, "0123456789abcdef0123456789abcdef", sequence);
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
    struct stage *s = stage_of(state);
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
    struct stage *s = stage_of(state);
    const char *secret = s->config.kind == CHANNEL_REDIS ? "password" : "token";
    struct errmsg m = { 0 };
    char wrong[64];

    if (s->config.kind == CHANNEL_KAFKA)
        return;
    file_write(wrong, "wrong-0123456789ab");
    s->config.token_file = wrong;
    assert_int_equal(channel_open(&s->channel, &s->config, &m), ERR_OK);
    channel_ask_end(s->channel, 1, WAIT_MS);
    UNTIL(s, channel_end(s->channel, 1, NULL) == KAFKA_END_FAILED);
    /* A server that is slow just then is told of first. */
    UNTIL(s, channel_trouble(s->channel, &m) < 0 && strstr(m.text, secret) != NULL);
    assert_null(strstr(m.text, "wrong-0123"));
    unlink(wrong);
}

/* The way is cut, as it can be cut from outside; what was on its way is lost. */
static void cut(struct stage *s)
{
    if (s->config.kind == CHANNEL_HTTP) {
        controller_close(s->controller);
        s->controller = NULL;
    } else if (s->config.kind == CHANNEL_REDIS) {
        redis_kill(s);
    } else if (s->kube) {
        kube_stop(s);
    }
}

static void mend(struct stage *s)
{
    if (s->config.kind == CHANNEL_HTTP)
        controller_start(s);
    else if (s->config.kind == CHANNEL_REDIS)
        redis_start(s);
    else if (s->kube)
        kube_start(s);
}

/* Of one key, what counts comes in the order of the log, however often it is repeated: nobody believes what is older. */
static void order_check(const struct stage *s)
{
    int64_t newest = -1;

    assert_int_equal(s->corrupt_count, 0);

    for (int i = 0; i < s->heard_count; i++) {
        if (s->heard[i].offset <
            newest) /* repeated: only as a whole, from its newest on, so what comes last is the newest */
            assert_true(believed(s) >= newest);
        newest = s->heard[i].offset > newest ? s->heard[i].offset : newest;
    }
    assert_int_equal(believed(s), newest);
}

/* A pass is a row of records: the way breaks between any two of them. */
static void a_reconnect_in_the_middle_of_a_pass(void **state)
{
    struct stage *s = stage_of(state);
    uint64_t token = 0;

    fleet_make(s);
    open_channel(s);
    end_now(s, ++token);
    for (int i = 1; i <= 4; i++) {
        spec_put(s, 2 * i);
        cut(s);
        mend(s);
        spec_put(s, 2 * i + 1);
        end_now(s, ++token);
        order_check(s);
    }
}

/* Nothing comes and nothing is acknowledged, and it is said; then everything is made up for. */
static void a_way_that_is_down_for_long(void **state)
{
    struct stage *s = stage_of(state);
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct errmsg m = { 0 };
    int64_t known;
    int heard;

    if (s->config.kind == CHANNEL_KAFKA)
        return; /* the brokers: tests/system has outages of those */
    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    known = believed(s);
    heard = s->heard_count;
    cut(s);
    report_of(&text, FLEET, "0123456789abcdef0123456789abcdef", 1);
    assert_int_equal(channel_report(s->channel, 1, FLEET "/0123456789abcdef0123456789abcdef", text.buf, text.len, &m),
                     ERR_OK);
    channel_ask_end(s->channel, 2, WAIT_MS);
    UNTIL(s, s->acked_count == 1);
    assert_true(s->acked.error < 0); /* it may be sent again: the member does */
    UNTIL(s, channel_end(s->channel, 2, NULL) == KAFKA_END_FAILED);
    assert_true(channel_trouble(s->channel, &m) < 0);
    assert_int_equal(s->heard_count, heard);
    assert_int_equal(believed(s), known);
    mend(s);
    UNTIL(s, channel_trouble(s->channel, NULL) == ERR_OK);
    assert_int_equal(channel_report(s->channel, 2, FLEET "/0123456789abcdef0123456789abcdef", text.buf, text.len, &m),
                     ERR_OK);
    UNTIL(s, s->acked_count == 2);
    assert_int_equal(s->acked.error, ERR_OK);
    end_now(s, 3);
    assert_int_equal(believed(s), known);
    str_free(&text);
}

/* Two fleets of as many members as a fleet may have: their reports through one channel each, all acknowledged, all known. */
static void a_thousand_members(void **state)
{
    static const char *const fleets[] = { FLEET, "refunds" };
    struct stage *s = stage_of(state);
    struct errmsg m = { 0 };

    fleet_make(s);
    request(s, "PUT", "/v1/fleets/refunds", "application/yaml", "fleet: refunds\ntopics: [orders]\n", 201);
    for (int i = 0; i < 2; i++) {
        int known = 0;

        s->config.fleet = fleets[i];
        s->acked_count = 0;
        open_channel(s);
        end_now(s, 1);
        for (int member = 0; member < 500; member++) {
            struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
            char incarnation[40], key[100];

            snprintf(incarnation, sizeof(incarnation), "%032x", member + 1000 * i);
            snprintf(key, sizeof(key), "%s/%s", fleets[i], incarnation);
            report_of(&text, fleets[i], incarnation, 1);
            assert_int_equal(channel_report(s->channel, (uint64_t)member, key, text.buf, text.len, &m), ERR_OK);
            str_free(&text);
        }
        for (int seen = 0; seen < 500;
             seen = s->acked_count) /* by a ConfigMap one after the other: each has its time */
            UNTIL(s, s->acked_count > seen);
        assert_int_equal(s->acked_count, 500);
        assert_int_equal(s->acked.error, ERR_OK);
        for (int64_t until_ms = clock_ms() + WAIT_MS; known < 500 && clock_ms() < until_ms;) {
            known = 0;
            request(s, "GET", i == 0 ? "/v1/fleets/" FLEET : "/v1/fleets/refunds", NULL, NULL, 200);
            for (const char *at = s->body; (at = strstr(at, "\"incarnation\"")); at++)
                known++;
        }
        assert_int_equal(known, 500);
        channel_close(s->channel, 0);
        s->channel = NULL;
    }
}

/* --- what only a Redis can do to its members ---------------------------------------------------------------------- */

static struct redis *root_open(struct stage *s)
{
    char server[64];
    const struct redis_config config = { .servers = server, .password_file = s->root_password };
    struct errmsg m = { 0 };
    struct redis *ret = NULL;

    snprintf(server, sizeof(server), "redis://root@127.0.0.1:%d", s->redis_port);
    assert_int_equal(redis_open(&ret, &config, &m), ERR_OK);
    return ret;
}

static void redis_forgets(void **state)
{
    struct stage *s = stage_of(state);
    struct redis *root = root_open(s);
    struct errmsg m = { 0 };
    int64_t known;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    for (uint64_t i = 0; i < 5; i++) {
        spec_put(s, (int)i + 1);
        assert_int_equal(i % 2 ? REDIS_COMMAND(root, NULL, &m, "FLUSHALL")
                               : REDIS_COMMAND(root, NULL, &m, "DEL", "baton:log:" FLEET),
                         ERR_OK);
        end_now(s, 2 + i);
    }
    known = believed(s);
    assert_int_equal(REDIS_COMMAND(root, NULL, &m, "FLUSHALL"), ERR_OK);
    channel_close(s->channel, 0);
    open_channel(s); /* a newcomer waits until it is written again */
    end_now(s, 1);
    assert_int_equal(believed(s), known);
    redis_close(root);
}

/* It went back to an older state, as one does that fails over, or is restarted from a file. */
static void redis_goes_back(void **state)
{
    struct stage *s = stage_of(state);
    struct redis *root = root_open(s);
    struct errmsg m = { 0 };
    redisReply *old = NULL;
    int64_t known;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    assert_int_equal(REDIS_COMMAND(root, &old, &m, "DUMP", "baton:log:" FLEET), ERR_OK);
    for (int i = 1; i <= 3; i++)
        spec_put(s, i);
    end_now(s, 2);
    known = believed(s);
    for (uint64_t i = 0; i < 3; i++) {
        const char *argv[] = { "RESTORE", "baton:log:" FLEET, "0", old->str, "REPLACE" };
        const size_t lens[] = { 7, strlen(argv[1]), 1, old->len, 7 };

        assert_int_equal(redis_command(root, NULL, 5, argv, lens, &m), ERR_OK);
        channel_close(s->channel, 0);
        open_channel(s);
        end_now(s, 3 + i);
        assert_int_equal(believed(s), known);
    }
    redis_reply_free(old);
    redis_close(root);
}

/* Somebody who is behind, or has another log, writes what he knows: it is not believed, and written over. */
static void a_stale_writer_in_redis(void **state)
{
    static const char *const positions[] = { "2-0", "99999999-0" };
    struct stage *s = stage_of(state);
    struct redis *root = root_open(s);
    struct errmsg m = { 0 };
    int64_t known;

    fleet_make(s);
    spec_put(s, 1);
    open_channel(s);
    end_now(s, 1);
    known = believed(s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(REDIS_COMMAND(root, NULL, &m, "DEL", "baton:log:" FLEET), ERR_OK);
        assert_int_equal(REDIS_COMMAND(root, NULL, &m, "XADD", "baton:log:" FLEET, "1-1", "record", "fleet/" FLEET,
                                       "text", "{\"format\":1,\"term\":0,\"epoch\":99}"),
                         ERR_OK);
        assert_int_equal(REDIS_COMMAND(root, NULL, &m, "XADD", "baton:log:" FLEET, positions[i], "term", "0", "edition",
                                       "stale"),
                         ERR_OK);
        assert_int_equal(REDIS_COMMAND(root, NULL, &m, "PUBLISH", "baton:bell:" FLEET, ""), ERR_OK);
        channel_close(s->channel, 0);
        open_channel(s);
        end_now(s, 10); /* a position that is too high fails questions until it is written over */
        assert_int_equal(believed(s), known);
    }
    redis_close(root);
}

/* A list of requests that holds anything: a controller takes what it can read, and only what members may ask. */
static void redis_holds_nonsense(void **state)
{
    static const char *const nonsense[] = { "",
                                            "x",
                                            "0123456789abcdef0123456789abcdef 1 delete " FLEET "\n",
                                            "0123456789abcdef0123456789abcdef 1 end ../../v1\n",
                                            "0123456789abcdef0123456789abcdef 99999999999999999999 report " FLEET "\n{",
                                            "0123456789abcdef0123456789abcdef 2 report " FLEET "\n{\"a\":" };
    struct stage *s = stage_of(state);
    struct redis *root = root_open(s);
    struct errmsg m = { 0 };

    fleet_make(s);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
        assert_int_equal(REDIS_COMMAND(root, NULL, &m, "RPUSH", "baton:requests", nonsense[i]), ERR_OK);
    open_channel(s);
    end_now(s, 1);
    assert_int_equal(REDIS_COMMAND(root, NULL, &m, "DEL", "baton:log:" FLEET), ERR_OK);
    assert_int_equal(REDIS_COMMAND(root, NULL, &m, "XADD", "baton:log:" FLEET, "100000-1", "record", "x"), ERR_OK);
    end_now(s, 2);
    request(s, "GET", "/v1/fleets/" FLEET, NULL, NULL, 200);
    redis_close(root);
}

/* It may throw records away: an operator is told before a switch. */
static void a_redis_that_evicts_is_found(void **state)
{
    struct stage *s = stage_of(state);
    struct redis *root = root_open(s);
    struct errmsg m = { 0 };

    assert_int_equal(REDIS_COMMAND(root, NULL, &m, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), ERR_OK);
    redis_close(root);
    log_set_level(LOG_ERROR + 1); /* it is said there, too */
    controller_close(s->controller);
    controller_start(s);
    fleet_make(s);
    UNTIL(s, (request(s, "POST", "/v1/fleets/" FLEET "/plan", "application/json",
                      "{\"kind\":\"switch\",\"to\":\"green\"}", 200),
              strstr(s->body, "redis-evicts")));
}

static void a_redis_is_named_well(void **state)
{
    static const struct {
        const char *servers, *why;
    } wrong[] = {
        { "10.0.0.7:6379", "no address of a Redis" },
        { "http://10.0.0.7:6379", "no address of a Redis" },
        { "redis://", "no host and port" },
        { "redis://:6379", "no host and port" },
        { "redis://a:b:6379", "no host and port" },
        { "redis://10.0.0.7:66666", "port" },
        { "redis://10.0.0.7/x", "database" },
        { "redis://member:secret@10.0.0.7", "into a file" },
        { "redis://a,redis://b,redis://c,redis://d,redis://e,redis://f,redis://g,redis://h,redis://i", "more than" },
    };
    static const char *const right[] = { "redis://10.0.0.7", "redis://u@[::1]:6380/3", "redis://[::1]",
                                         "redis://a/,redis://b:1" };
    struct redis *r = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct redis_config config = { .servers = wrong[i].servers };
        struct errmsg m = { 0 };

        assert_true(redis_open(&r, &config, &m) < 0);
        if (!strstr(m.text, wrong[i].why) || strstr(m.text, "secret"))
            fail_msg("%s: %s", wrong[i].servers, m.text);
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        const struct redis_config config = { .servers = right[i] };
        struct errmsg m = { 0 };

        if (redis_open(&r, &config, &m) < 0)
            fail_msg("%s: %s", right[i], m.text);
        redis_close(r);
    }
}

/* --- what only a Kubernetes can do to its clients ----------------------------------------------------------------- */

static struct stage *fake_of(void **state)
{
    struct stage *s = stage_of(state);

    if (s->kube_real)
        skip();
    return s;
}

/* Each may cost time, and no more. */
static void a_server_with_moods(void **state)
{
    static const char *const moods[] = {
        "{\"status\":429,\"times\":3,\"retry_after\":1}",
        "{\"status\":503,\"times\":4}",
        "{\"status\":500,\"times\":2,\"method\":\"PUT\"}",
        "{\"status\":409,\"times\":3,\"method\":\"PUT\"}",
        "{\"status\":404,\"times\":2,\"method\":\"PATCH\"}",
        "{\"half\":3}",
        "{\"slow\":0.7,\"times\":4}",
        "{\"slow\":4,\"times\":2}",
        "{\"forget\":true}",
        "{\"hang_up\":true}",
        "{\"clear\":true}",
        "{\"status\":410,\"times\":2,\"method\":\"GET\"}",
    };
    struct stage *s = fake_of(state);
    uint64_t token = 0;

    log_set_level(LOG_ERROR + 1); /* the controller says so, too */
    fleet_make(s);
    open_channel(s);
    end_now(s, ++token);
    for (size_t i = 0; i < sizeof(moods) / sizeof(moods[0]); i++) {
        kube_fault(s, moods[i]);
        spec_put(s, (int)i + 1);
        end_now(s, ++token);
        order_check(s);
    }
}

/* An etcd of yesterday: what it holds is older than what was seen, and a newcomer does not believe it. */
static void a_server_that_goes_back(void **state)
{
    struct stage *s = fake_of(state);
    int64_t known;

    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    kube_fault(s, "{\"remember\":true}");
    for (int i = 1; i <= 3; i++)
        spec_put(s, i);
    end_now(s, 2);
    known = believed(s);
    for (uint64_t i = 0; i < 3; i++) {
        kube_fault(s, "{\"put_back\":true}");
        channel_close(s->channel, 0);
        open_channel(s);
        end_now(s, 3 + i);
        assert_int_equal(believed(s), known);
    }
}

/* Tokens are exchanged while all goes on: the old one is refused from now on. */
static void a_token_that_changes(void **state)
{
    struct stage *s = fake_of(state);
    uint64_t token = 0;

    fleet_make(s);
    open_channel(s);
    end_now(s, ++token);
    for (int i = 1; i <= 3; i++) {
        FILE *file = fopen(s->kube_token, "w");

        assert_non_null(file);
        fprintf(file, "kubernetes-%d-%0*d", i, 1000 * i, i); /* as long as a pod's, and longer */
        fclose(file);
        kube_fault(s, "{\"hang_up\":true}");
        spec_put(s, i);
        end_now(s, ++token);
    }
}

/* Somebody who is behind, or has another log, writes what he knows: it is not believed, and written over. */
static void a_stale_writer_in_a_configmap(void **state)
{
    char edges[3][24] = { "2", "99999999" };
    struct stage *s = stage_of(state);
    struct kube *root = kube_root(s);
    struct errmsg m = { 0 };
    int64_t known;

    fleet_make(s);
    spec_put(s, 1);
    open_channel(s);
    end_now(s, 1);
    known = believed(s);
    snprintf(edges[2], sizeof(edges[2]), "%lld", (long long)channel_position(s->channel)); /* as far as the log goes */
    for (size_t i = 0; i < 3; i++) {
        struct board_head head = { .fleet = FLEET, .edition = "stale", .position = atoll(edges[i]) };
        const char stale[] = "{\"format\":1,\"term\":0,\"epoch\":99}";
        struct str text = STR_WITH_MAX(BOARD_BYTES_MAX);
        struct kube_answer answer;
        json_t *patch;

        board_begin(&text, &head);
        board_add(&text, 1, "fleet/" FLEET, stale, sizeof(stale) - 1);
        board_end(&text);
        patch = json_pack("{s:{s:{s:s, s:s, s:s}}, s:{s:s}}", "metadata", "annotations", KUBE_EDITION, "stale",
                          KUBE_POSITION, edges[i], KUBE_TERM, "0", "data", KUBE_LOG, text.buf);
        if (kube_patch(root, &answer, "baton-" FLEET, patch, &m) < 0)
            fail_msg("%s", m.text);
        kube_answer_free(&answer);
        json_decref(patch);
        str_free(&text);
        channel_close(s->channel, 0);
        open_channel(s);
        end_now(s, 10); /* a position that is too high fails questions until it is written over */
        assert_int_equal(believed(s), known);
    }
    kube_close(root);
}

/* Whatever somebody writes there, it is mended, and nobody falls over it. */
static void a_configmap_of_nonsense(void **state)
{
    static const char *const nonsense[] = { "", "x", "baton 1\n", "baton 99 a b 1 2\nend 0\n",
                                            ("baton 1 payments e 1 2\nrecord 1 fleet/payments 99999999\n{}\nend "
                                             "0000000000000000\n") };
    struct stage *s = stage_of(state);
    struct kube *root = kube_root(s);
    struct errmsg m = { 0 };
    uint64_t token = 0;

    fleet_make(s);
    open_channel(s);
    end_now(s, ++token);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        json_t *patch = json_pack("{s:{s:s}}", "data", KUBE_LOG, nonsense[i]);
        json_t *request = kube_object("baton-member-nonsense", "member");
        struct kube_answer answer;

        json_object_set_new(request, "data",
                            json_pack("{s:s%, s:s}", KUBE_REQUEST, "1 end \0payments", (size_t)15, "x", nonsense[i]));
        if (kube_patch(root, &answer, "baton-" FLEET, patch, &m) < 0)
            fail_msg("%s", m.text);
        kube_answer_free(&answer);
        kube_put(root, &answer, "baton-member-nonsense", request, &m);
        kube_answer_free(&answer);
        json_decref(request);
        json_decref(patch);
        end_now(s, ++token);
        order_check(s);
        kube_delete(root, "baton-member-nonsense", &m);
    }
    assert_int_equal(kube_delete(root, "baton-" FLEET, &m), ERR_OK);
    end_now(s, ++token);
    kube_close(root);
}

/* What does not fit is not written, not even in part, and said; when it fits again, all goes on. */
static void a_fleet_that_does_not_fit(void **state)
{
    static const char *const shards[] = { "fleet/" FLEET "/batons/7", "fleet/" FLEET "/batons/8" };
    struct stage *s = stage_of(state);
    struct kube *root = kube_root(s);
    struct str large = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct kube_answer answer;
    struct board_place place;
    struct board_head head;
    struct errmsg m = { 0 };

    log_set_level(LOG_ERROR + 1); /* it is said there, too */
    fleet_make(s);
    open_channel(s);
    end_now(s, 1);
    str_addf(&large, "{\"format\":1,\"term\":%d,\"x\":\"%0*d\"}", 0, 600 * 1000, 1);
    for (size_t i = 0; i < 2; i++)
        put(s, shards[i], large.buf);
    UNTIL(s, (request(s, "POST", "/v1/fleets/" FLEET "/plan", "application/json",
                      "{\"kind\":\"switch\",\"to\":\"green\"}", 200),
              strstr(s->body, "configmap-too-large")));
    spec_put(s, 4); /* who changes it is told as well */
    assert_non_null(strstr(s->body, "configmap-too-large"));
    assert_int_equal(kube_get(root, &answer, "baton-" FLEET, &m), ERR_OK);
    assert_int_equal(board_open(&head, &place, kube_data(answer.object, KUBE_LOG),
                                strlen(kube_data(answer.object, KUBE_LOG)), &m),
                     ERR_OK);
    kube_answer_free(&answer);
    for (size_t i = 0; i < 2; i++)
        put(s, shards[i], NULL);
    spec_put(s, 3);
    end_now(s, 2);
    order_check(s);
    str_free(&large);
    kube_close(root);
}

/* What a fleet may come to need is told beforehand: at least as much as it does need when its partitions are passed one by one. */
static void a_fleet_is_reckoned_beforehand(void **state)
{
    struct fleet *f = must(calloc(1, sizeof(*f)));
    struct baton *batons = must(calloc(BATONS_MAX, sizeof(*batons)));
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    size_t few, bytes = 0;
    struct errmsg m;

    (void)state;
    fleet_init(f, batons, BATONS_MAX);
    spec_defaults(&f->spec);
    text_copy(f->spec.fleet, sizeof(f->spec.fleet), FLEET);
    f->spec.topic_count = 1;
    text_copy(f->spec.topics[0], sizeof(f->spec.topics[0]), "orders");
    f->version.epoch = 1000000;
    f->baton_count = 4;
    few = configmaps_bytes_most(f);
    assert_in_range(few, 500, 10000);
    f->baton_count = BATONS_MAX;
    for (int i = 0; i < BATONS_MAX; i++)
        batons[i] = (struct baton){ .partition = i,
                                    .state = i % 2 ? RIGHT_GRANTED : RIGHT_RELEASING,
                                    .holder = i % 2 ? GREEN : BLUE,
                                    .from = 1000 + i,
                                    .epoch = 1000 + (uint64_t)i,
                                    .order = 2000 + (uint64_t)i,
                                    .doubt = OFFSET_NONE };
    for (int shard = -1; shard < SHARDS_MAX; shard++) {
        str_clear(&text);
        if (fleet_encode(&text, f, shard, &m) < 0)
            fail_msg("%s", m.text);
        bytes += text.len;
    }
    assert_true(bytes > BOARD_BYTES_MAX && configmaps_bytes_most(f) > bytes);
    str_free(&text);
    free(batons);
    free(f);
}

/* Without the right to write it, operators are told in a plan, with the mend; and members what is wrong. */
static void a_missing_role_is_said(void **state)
{
    struct stage *s = fake_of(state);
    struct errmsg m = { 0 };

    log_set_level(LOG_ERROR + 1);
    kube_fault(s, "{\"status\":403,\"times\":100000}");
    fleet_make(s);
    UNTIL(s, (request(s, "POST", "/v1/fleets/" FLEET "/plan", "application/json",
                      "{\"kind\":\"switch\",\"to\":\"green\"}", 200),
              strstr(s->body, "configmap-failed")));
    assert_non_null(strstr(s->body, "docs/configmap.md"));
    assert_null(strstr(s->body, KUBE_TOKEN));
    spec_put(s, 3);
    assert_non_null(strstr(s->body, "configmap-failed"));
    assert_int_equal(channel_reach(&s->config, 3000, &m), ERR_DENIED);
    assert_non_null(strstr(m.text, "Role"));
    assert_null(strstr(m.text, KUBE_TOKEN));
}

static void a_kubernetes_is_named_well(void **state)
{
    static const struct {
        const char *server, *why;
    } wrong[] = {
        { "10.0.0.7:6443", "no API server" },
        { "http://10.0.0.7:6443/baton", "no API server" },
        { "https://10.0.0.7:6443", "which namespace" },
        { "https://10.0.0.7:6443/", "which namespace" },
        { "https://10.0.0.7:6443/Baton", "no namespace" },
        { "https://10.0.0.7:6443/baton/x", "no namespace" },
        { "https://me:secret@10.0.0.7:6443/baton", "no user" },
        { "in-cluster", "runs in no pod" },
        { "in-cluster/baton", "runs in no pod" },
    };
    struct kube *k = NULL;

    (void)state;
    unsetenv("KUBERNETES_SERVICE_HOST");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct errmsg m = { 0 };

        assert_true(kube_open(&k, &(struct kube_config){ .server = wrong[i].server }, &m) < 0);
        if (!strstr(m.text, wrong[i].why) || strstr(m.text, "secret"))
            fail_msg("%s: %s", wrong[i].server, m.text);
    }
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kube_open(&k, &(struct kube_config){ .server = "in-cluster/baton" }, NULL), ERR_OK);
    assert_string_equal(kube_server(k), "https://10.96.0.1:443");
    kube_close(k);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(kube_open(&k, &(struct kube_config){ .server = "in-cluster/baton" }, NULL), ERR_OK);
    assert_string_equal(kube_server(k), "https://[fd00::1]:443");
    kube_close(k);
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
}

/* --- a board, and a folder that it is mounted at ------------------------------------------------------------------ */

static void board_make(struct str *text, const char *edition, int64_t position, int count)
{
    struct board_head head = { .fleet = FLEET, .term = 1, .position = position };
    char value[64];

    text_copy(head.edition, sizeof(head.edition), edition);
    str_clear(text);
    board_begin(text, &head);
    for (int i = 0; i < count; i++) {
        snprintf(value, sizeof(value), "{\"format\":1,\"term\":0,\n\"n\":%lld}", (long long)position);
        board_add(text, position - count + i, "fleet/" FLEET, i % 3 == 2 ? NULL : value, strlen(value));
    }
    board_end(text);
}

/* What was written is read; what was cut off or changed anywhere is none. */
static void a_board_is_whole_or_none(void **state)
{
    struct str text = STR_WITH_MAX(BOARD_BYTES_MAX);
    struct board_record record;
    struct board_place place;
    struct board_head head;
    struct errmsg m = { 0 };
    int count = 0;

    (void)state;
    board_make(&text, "abc", 100, 7);
    assert_int_equal(board_open(&head, &place, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(head.position, 100);
    for (; board_next(&record, &place); count++) {
        assert_int_equal(record.offset, 93 + count);
        assert_string_equal(record.key, "fleet/" FLEET);
        assert_int_equal(record.text == NULL, count % 3 == 2);
    }
    assert_int_equal(count, 7);
    for (size_t cut_at = 0; cut_at < text.len; cut_at++) {
        char *half = strndup(text.buf, cut_at), *other = strndup(text.buf, text.len);

        assert_true(board_open(&head, &place, half, cut_at, &m) < 0);
        other[cut_at] ^= 1;
        assert_true(board_open(&head, &place, other, text.len, &m) < 0);
        free(half);
        free(other);
    }
    str_clear(&text);
    board_begin(&text, &(struct board_head){ .fleet = FLEET, .edition = "e" });
    board_add(&text, 1, "k", "\xff\0\xc3\xa4\xed\xa0\x80.", 8); /* no UTF-8 but for the second */
    board_end(&text);
    assert_int_equal(board_open(&head, &place, text.buf, text.len, &m), ERR_OK);
    assert_true(board_next(&record, &place));
    assert_int_equal(record.text_len, 8);
    assert_memory_equal(record.text, "??\xc3\xa4???.", 8);
    str_free(&text);
}

static void file_put(const char *folder, const char *name, const struct str *text)
{
    char path[200];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text->buf, 1, text->len, file), text->len);
    fclose(file);
}

/* As the kubelet does: a new folder, and a link that is exchanged. */
static void kubelet_swap(const char *folder, int number, const struct str *text)
{
    char path[200], target[40], fresh[200], link[200], old[300];

    snprintf(target, sizeof(target), "..2026_%d", number);
    snprintf(path, sizeof(path), "%s/%s", folder, target);
    assert_int_equal(mkdir(path, 0700), 0);
    file_put(path, KUBE_LOG, text);
    snprintf(fresh, sizeof(fresh), "%s/..data_tmp", folder);
    snprintf(link, sizeof(link), "%s/..data", folder);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, link), 0);
    if (number == 1) {
        snprintf(path, sizeof(path), "%s/" KUBE_LOG, folder);
        assert_int_equal(symlink("..data/" KUBE_LOG, path), 0);
    }
    snprintf(old, sizeof(old), "%s/..2026_%d/" KUBE_LOG, folder, number - 1);
    unlink(old);
    *strrchr(old, '/') = '\0';
    rmdir(old);
}

static void file_open(struct stage *s, struct channel_config *config, char folder[64])
{
    struct errmsg m = { 0 };

    strcpy(folder, "/tmp/baton-channel-XXXXXX");
    assert_non_null(mkdtemp(folder));
    *config = s->config;
    config->kind = CHANNEL_FILE;
    config->servers = folder;
    s->config = *config;
    terms_init(&s->terms);
    terms_claim(&s->terms, 0);
    if (channel_open(&s->channel, &s->config, &m) < 0)
        fail_msg("%s", m.text);
}

static void folder_remove(const char *folder)
{
    char command[100];

    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* Each state that stays is read, none of a half, and it never goes back. */
static void a_mounted_file_is_followed(void **state)
{
    struct stage *s = stage_of(state);
    struct str text = STR_WITH_MAX(BOARD_BYTES_MAX);
    struct channel_config config;
    struct errmsg m = { 0 };
    int64_t began_ms, end = 0;
    char folder[64];

    file_open(s, &config, folder);
    channel_ask_end(s->channel, 1, WAIT_MS);
    UNTIL(s, channel_end(s->channel, 1, &end) == KAFKA_END_FAILED); /* there is nothing yet */
    for (int i = 1; i <= 100; i++) {
        board_make(&text, i % 10 ? "same" : "other", 100 * i, 3);
        kubelet_swap(folder, i, &text);
        if (i % 20 == 0)
            UNTIL(s, channel_position(s->channel) == 100 * i);
        if (s->heard_count > 0)
            assert_true(s->heard[s->heard_count - 1].offset >= believed(s));
        if (s->heard_count > 900)
            s->heard_count = 0;
    }
    UNTIL(s, channel_position(s->channel) == 10000);
    assert_int_equal(end_now(s, 2), 10000);
    began_ms = clock_ms();
    board_make(&text, "same", 20000, 3);
    kubelet_swap(folder, 101, &text);
    UNTIL(s, channel_position(s->channel) == 20000);
    assert_true(clock_ms() - began_ms < WAIT_MS / 2);
    assert_int_equal(channel_report(s->channel, 5, "k", "{}", 2, &m), ERR_OK);
    UNTIL(s, s->acked_count == 1);
    assert_int_equal(s->acked.error, ERR_STATE); /* nothing goes back */
    folder_remove(folder);
    str_free(&text);
}

/* In a plain folder a file may be half. And it may be of another fleet, or no file at all. */
static void a_half_file_is_waited_for(void **state)
{
    struct stage *s = stage_of(state);
    struct str text = STR_WITH_MAX(BOARD_BYTES_MAX), half = STR_WITH_MAX(BOARD_BYTES_MAX);
    struct channel_config config;
    struct errmsg m = { 0 };
    char folder[64];

    file_open(s, &config, folder);
    board_make(&text, "one", 100, 3);
    file_put(folder, KUBE_LOG, &text);
    UNTIL(s, channel_position(s->channel) == 100);
    board_make(&text, "one", 200, 3);
    str_add_bytes(&half, text.buf, text.len / 2);
    file_put(folder, KUBE_LOG, &half);
    UNTIL(s, channel_trouble(s->channel, &m) == ERR_CORRUPT);
    assert_non_null(strstr(m.text, "not whole"));
    assert_int_equal(channel_position(s->channel), 100);
    file_put(folder, KUBE_LOG, &text);
    UNTIL(s, channel_position(s->channel) == 200);
    str_clear(&half);
    board_begin(&half, &(struct board_head){ .fleet = "refunds", .edition = "e", .position = 900 });
    board_end(&half);
    file_put(folder, KUBE_LOG, &half);
    UNTIL(s, channel_trouble(s->channel, &m) == ERR_CORRUPT && strstr(m.text, "refunds"));
    assert_int_equal(channel_position(s->channel), 200);
    folder_remove(folder);
    UNTIL(s, channel_trouble(s->channel, &m) == ERR_NOT_FOUND);
    str_free(&text);
    str_free(&half);
}

#define WAYS(test)                                                                                                \
    { "kafka: " #test, test, setup_kafka, teardown, NULL }, { "http: " #test, test, setup_http, teardown, NULL }, \
        { "redis: " #test, test, setup_redis, teardown, NULL },                                                   \
    {                                                                                                             \
        "configmap: " #test, test, setup_configmap, teardown, NULL                                                \
    }
#define KUBE(test)                                                 \
    {                                                              \
        "configmap: " #test, test, setup_configmap, teardown, NULL \
    }
#define REDIS(test)                                        \
    {                                                      \
        "redis: " #test, test, setup_redis, teardown, NULL \
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
        WAYS(a_reconnect_in_the_middle_of_a_pass),
        WAYS(a_way_that_is_down_for_long),
        WAYS(a_thousand_members),
        REDIS(redis_forgets),
        REDIS(redis_goes_back),
        REDIS(a_stale_writer_in_redis),
        REDIS(redis_holds_nonsense),
        REDIS(a_redis_that_evicts_is_found),
        { "redis over TLS: a_report_is_acknowledged_in_the_log", a_report_is_acknowledged_in_the_log, setup_redis_tls,
          teardown, NULL },
        KUBE(a_server_with_moods),
        KUBE(a_server_that_goes_back),
        KUBE(a_token_that_changes),
        KUBE(a_stale_writer_in_a_configmap),
        KUBE(a_configmap_of_nonsense),
        KUBE(a_fleet_that_does_not_fit),
        KUBE(a_missing_role_is_said),
        { "file: a_mounted_file_is_followed", a_mounted_file_is_followed, setup_kafka, teardown, NULL },
        { "file: a_half_file_is_waited_for", a_half_file_is_waited_for, setup_kafka, teardown, NULL },
        { "a_board_is_whole_or_none", a_board_is_whole_or_none, NULL, NULL, NULL },
        { "a_fleet_is_reckoned_beforehand", a_fleet_is_reckoned_beforehand, NULL, NULL, NULL },
        { "a_kubernetes_is_named_well", a_kubernetes_is_named_well, NULL, NULL, NULL },
        { "a_redis_is_named_well", a_redis_is_named_well, NULL, NULL, NULL },
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* "http: *" */
    if (argc > 2)
        cmocka_set_skip_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
