/* test_metrics - the page in both formats, and the sums over members that come and go. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <netinet/in.h>

/* Before ours: one name is in both. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "base/check.h"
#include "base/clock.h"
#include "controller/internal.h"
#include "controller/metrics_page.h"
#include "controller/prometheus.h"
#include "http/server.h"

/* --- the page ------------------------------------------------------------------------------------------------------ */

static void formats_are_asked_for(void **state)
{
    static const struct {
        const char *accept;
        bool openmetrics;
    } cases[] = {
        { "", false },
        { "*/*", false },
        { "text/plain", false },
        { "application/openmetrics-text", true },
        { "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
          true },
        { "text/plain;q=0.5, APPLICATION/OpenMetrics-text; version=1.0.0", true },
        { "application/openmetrics-text;q=0,text/plain", false },
        { "application/openmetrics-text;q=0.0, text/plain;q=1", false },
        { "application/openmetrics-text, text/plain;q=0", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (page_wants_openmetrics(cases[i].accept) != cases[i].openmetrics)
            fail_msg("Accept: %s", cases[i].accept);
}

static const struct metric lag_metric = { "x_lag_seconds", METRIC_TYPE_GAUGE, "seconds", "", "How \"late\".\nA \\." };
static const struct metric done_metric = { "x_done", METRIC_TYPE_COUNTER, "", "", "Done." };
static const struct metric phase_metric = { "x_phase", METRIC_TYPE_STATESET, "", "", "Phase." };
static const struct metric build_metric = { "x_build", METRIC_TYPE_INFO, "", "", "Build." };
static const struct metric wait_metric = { "x_wait_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "", "Waiting." };

static void write_page(struct str *ret, bool openmetrics)
{
    static const char *const phases[] = { "steady", "passing" };
    struct histogram h = { 0 };
    struct page p;

    histogram_add(&h, 1, 2);
    histogram_add(&h, 1023, 1);
    histogram_add(&h, 1024, 1);
    histogram_add(&h, 99000000, 1);
    page_begin(&p, ret, openmetrics, 1700000000007);
    page_metric(&p, &lag_metric);
    page_labels(&p, "fleet", "pay\"ments\\\n", "color", "blue", NULL);
    page_ms(&p, 1500);
    page_labels(&p, "fleet", "b", NULL);
    page_seconds(&p, -1);
    page_metric(&p, &done_metric);
    page_count(&p, UINT64_MAX);
    page_metric(&p, &phase_metric);
    page_labels(&p, "fleet", "a", NULL);
    page_states(&p, phases, 2, 1);
    page_metric(&p, &build_metric);
    page_labels(&p, "version", "1", NULL);
    page_int(&p, 1);
    page_metric(&p, &wait_metric);
    page_histogram(&p, &h, 10, 12, 2);
    page_end(&p);
    assert_int_equal(str_error(ret), 0);
}

static void openmetrics_is_written(void **state)
{
    struct str text = STR_WITH_MAX(8192);

    (void)state;
    write_page(&text, true);
    assert_string_equal(text.buf, "# TYPE x_lag_seconds gauge\n"
                                  "# UNIT x_lag_seconds seconds\n"
                                  "# HELP x_lag_seconds How \\\"late\\\".\\nA \\\\.\n"
                                  "x_lag_seconds{fleet=\"pay\\\"ments\\\\\\n\",color=\"blue\"} 1.500\n"
                                  "x_lag_seconds{fleet=\"b\"} -0.000001\n"
                                  "# TYPE x_done counter\n"
                                  "# HELP x_done Done.\n"
                                  "x_done_total 18446744073709551615\n"
                                  "x_done_created 1700000000.007\n"
                                  "# TYPE x_phase stateset\n"
                                  "# HELP x_phase Phase.\n"
                                  "x_phase{fleet=\"a\",x_phase=\"steady\"} 0\n"
                                  "x_phase{fleet=\"a\",x_phase=\"passing\"} 1\n"
                                  "# TYPE x_build info\n"
                                  "# HELP x_build Build.\n"
                                  "x_build_info{version=\"1\"} 1\n"
                                  "# TYPE x_wait_seconds histogram\n"
                                  "# UNIT x_wait_seconds seconds\n"
                                  "# HELP x_wait_seconds Waiting.\n"
                                  "x_wait_seconds_bucket{le=\"0.001024\"} 3\n"
                                  "x_wait_seconds_bucket{le=\"0.004096\"} 4\n"
                                  "x_wait_seconds_bucket{le=\"+Inf\"} 5\n"
                                  "x_wait_seconds_count 5\n"
                                  "x_wait_seconds_sum 99.002049\n"
                                  "x_wait_seconds_created 1700000000.007\n"
                                  "# EOF\n");
    str_free(&text);
}

static void the_older_format_is_written(void **state)
{
    struct str text = STR_WITH_MAX(8192);

    (void)state;
    write_page(&text, false);
    assert_non_null(strstr(text.buf, "# TYPE x_done_total counter\n# HELP x_done_total Done.\nx_done_total 184"));
    assert_non_null(strstr(text.buf, "# TYPE x_phase gauge\n"));
    assert_non_null(strstr(text.buf, "# TYPE x_build_info gauge\n# HELP x_build_info Build.\nx_build_info{"));
    assert_non_null(strstr(text.buf, "# HELP x_lag_seconds How \"late\".\\nA \\\\.\n"));
    assert_null(strstr(text.buf, "_created"));
    assert_null(strstr(text.buf, "# UNIT"));
    assert_null(strstr(text.buf, "# EOF"));
    str_free(&text);
}

/* --- sums over members ---------------------------------------------------------------------------------------------- */

struct told {
    struct controller c;
    struct mirror_fleet mirror;
    struct entry e;
};

static int told_new(void **state)
{
    struct told *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    t->e.c = &t->c;
    t->e.mirror = &t->mirror;
    t->c.replayed = true;
    *state = t;
    return 0;
}

static int told_free(void **state)
{
    struct told *t = *state;

    tally_free(t->e.tally);
    free(t);
    return 0;
}

static void tell(struct told *t, enum color color, const char *who, uint64_t sequence, uint64_t done, uint64_t failed)
{
    struct signals s = { 0 };
    struct report r = {
        .color = color, .sequence = sequence, .records_done = done, .records_gated = done / 10, .signals = &s
    };

    strcpy(r.incarnation, who);
    if (failed > 0)
        signals_fail(&s, "timeout", failed);
    histogram_add(&s.processing, 1000, done);
    tally_report(&t->e, &r);
}

static void what_members_do_is_added_up(void **state)
{
    struct told *t = *state;
    const struct tally_color *blue = tally_color(&t->e, BLUE), *green = tally_color(&t->e, GREEN);

    assert_int_equal(blue->done, 0);
    tell(t, BLUE, "a", 1, 10, 0);
    tell(t, BLUE, "b", 2, 5, 1);
    tell(t, BLUE, "a", 7, 40, 2); /* reports between were lost */
    tell(t, BLUE, "a", 6, 30, 2); /* late: void */
    tell(t, GREEN, "g", 1, 3, 0);
    blue = tally_color(&t->e, BLUE);
    green = tally_color(&t->e, GREEN);
    assert_int_equal(blue->done, 45);
    assert_int_equal(blue->gated, 4);
    assert_int_equal(blue->reports, 3);
    assert_int_equal(green->done, 3);
    assert_int_equal(signals_failed(&blue->signals), 3);
    assert_int_equal(histogram_count(&blue->signals.processing), 45);
}

/* A member that restarts is another one, which begins at 0: the sum goes on. */
static void a_restart_is_no_step_back(void **state)
{
    struct told *t = *state;

    tell(t, BLUE, "a", 1, 100, 4);
    tell(t, BLUE, "a2", 1, 0, 0);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 100);
    tell(t, BLUE, "a2", 2, 7, 1);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 107);
    assert_int_equal(signals_failed(&tally_color(&t->e, BLUE)->signals), 5);
}

/* What `who` says it did of the partitions 0 and 2, since it got them; -1: it has not got it. */
static void tell_works(struct told *t, const char *who, uint64_t sequence, int of_0, int of_2)
{
    struct part_work works[2] = { { .partition = 0 }, { .partition = 2 } };
    struct report r = { .color = GREEN, .sequence = sequence, .works = works };
    const int done[2] = { of_0, of_2 };

    strcpy(r.incarnation, who);
    for (int i = 0; i < 2; i++)
        if (done[i] >= 0) {
            works[i].work.done = (uint32_t)done[i];
            works[i].work.times[7] = (uint32_t)done[i];
            works[r.work_count++] = works[i];
        }
    tally_report(&t->e, &r);
}

static uint32_t done_of(const struct told *t, int stratum)
{
    int count;
    const struct work *works = tally_works(&t->e, GREEN, &count);

    assert_int_equal(count, 3);
    assert_int_equal(works[stratum].done, works[stratum].times[7]);
    return works[stratum].done;
}

/* By partition, whoever has it: a member that gets one again begins at 0. */
static void works_are_added_up_by_partition(void **state)
{
    struct told *t = *state;
    struct fleet *f = &t->mirror.fleet;
    struct baton batons[3] = { { .partition = 0 }, { .partition = 1 }, { .partition = 2 } };
    int count;

    f->batons = batons;
    f->baton_count = 3;
    assert_null(tally_works(&t->e, GREEN, &count));
    tell_works(t, "a", 1, 10, 5);
    tell_works(t, "b", 900, 4000, -1); /* missed for long: its first report is where counting begins */
    assert_int_equal(done_of(t, 0), 10);
    assert_int_equal(done_of(t, 2), 5);
    tell_works(t, "a", 2, 12, 5);
    tell_works(t, "b", 901, 4001, 3); /* it has got partition 2 */
    assert_int_equal(done_of(t, 0), 13);
    assert_int_equal(done_of(t, 2), 8);
    tell_works(t, "a", 3, 12, -1);
    tell_works(t, "a", 4, 12, 7); /* and has got it back */
    assert_int_equal(done_of(t, 2), 15);
    tell_works(t, "a", 5, 2, 8); /* it has given 0 up and got it again between two reports */
    assert_int_equal(done_of(t, 0), 15);
    assert_int_equal(done_of(t, 2), 16);
    assert_int_equal(done_of(t, 1), 0);
    f->baton_count = 2; /* other strata: all begins anew */
    tell_works(t, "a", 6, 3, 9);
    assert_int_equal(tally_works(&t->e, GREEN, &count)[0].done, 1);
    assert_int_equal(count, 2);
    f->baton_count = 0;
    f->batons = NULL;
}

/* What was done before this controller listened is not counted, nor what a member did that it missed for long. */
static void the_past_is_not_counted(void **state)
{
    struct told *t = *state;

    t->c.replayed = false;
    tell(t, BLUE, "a", 3, 1000, 50);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 0);
    assert_int_equal(tally_color(&t->e, BLUE)->reports, 0);
    t->c.replayed = true;
    tell(t, BLUE, "a", 4, 1001, 50);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 1);
    assert_int_equal(signals_failed(&tally_color(&t->e, BLUE)->signals), 0);
    tell(t, BLUE, "old", 5000, 90000, 0);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 1);
    tell(t, BLUE, "old", 5001, 90002, 0);
    assert_int_equal(tally_color(&t->e, BLUE)->done, 3);
}

/* More members than there may be: memory has a bound, and those that still speak are counted on. */
static void many_members_are_forgotten_in_turn(void **state)
{
    struct told *t = *state;
    char name[20];

    for (int i = 0; i < 3 * MEMBERS_MAX; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        tell(t, GREEN, name, 1, 1, 0);
    }
    assert_int_equal(tally_color(&t->e, GREEN)->done, 3 * MEMBERS_MAX);
    tell(t, GREEN, name, 2, 5, 0);
    assert_int_equal(tally_color(&t->e, GREEN)->done, 3 * MEMBERS_MAX + 4);
}

static void classes_have_a_bound(void **state)
{
    struct signals sum = { 0 }, now = { 0 };
    char name[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "class %d", i);
        signals_fail(&now, name, 1);
    }
    assert_int_equal(now.failed_count, FAILURE_CLASSES_MAX);
    assert_string_equal(now.failed[0].name, "class_0");
    assert_string_equal(now.failed[FAILURE_CLASSES_MAX - 1].name, FAILURE_CLASS_OTHER);
    assert_int_equal(now.failed[FAILURE_CLASSES_MAX - 1].count, 20 - (FAILURE_CLASSES_MAX - 1));
    signals_add_since(&sum, &now, NULL);
    assert_memory_equal(&sum, &now, sizeof(sum));
    signals_add_since(&sum, &now, &now); /* nothing came since */
    assert_memory_equal(&sum, &now, sizeof(sum));
}

/* --- Prometheus ------------------------------------------------------------------------------------------------------ */

#define NOW_UNIX_MS INT64_C(1795363200000)
#define VECTOR(series) "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" series "]}}"
#define SERIES(at, value) "{\"metric\":{},\"value\":[" at ",\"" value "\"]}"

static void answers_are_numbers_or_unknown(void **state)
{
    static const struct {
        int status;
        const char *type, *body;
        bool known;
        double value;
        const char *why; /* a part of it */
    } cases[] = {
        { 200, "application/json", VECTOR(SERIES("1795363200.123", "0.25")), true, 0.25, "" },
        { 200, "application/json; charset=utf-8", VECTOR(SERIES("1795363190", "-1e3")), true, -1000, "" },
        { 200, "application/json",
          "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
          "[1795363200,\"7\"]},\"warnings\":[\"x\"]}",
          true, 7, "" },
        { 200, "application/json", VECTOR(""), false, 0, "no series" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "1") "," SERIES("1795363200", "2")), false, 0,
          "2 series, one is wanted" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "NaN")), false, 0, "NaN" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "+Inf")), false, 0, "infinity" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "-Inf")), false, 0, "infinity" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "")), false, 0, "is no number" },
        { 200, "application/json", VECTOR(SERIES("1795363200", "1 2")), false, 0, "is no number" },
        { 200, "application/json", VECTOR(SERIES("1795363000", "1")), false, 0, "200 s ago: it is stale" },
        { 200, "application/json", VECTOR(SERIES("1795363400", "1")), false, 0, "200 s ahead" },
        { 200, "application/json", VECTOR(SERIES("\"x\"", "1")), false, 0, "not of the form" },
        { 200, "application/json", VECTOR("{}"), false, 0, "not of the form" },
        { 200, "application/json", VECTOR("{\"histogram\":[1795363200,{}]}"), false, 0, "histogram_quantile" },
        { 200, "application/json", "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}", false,
          0, "gives a matrix" },
        { 200, "application/json", "{\"status\":\"success\"}", false, 0, "no result" },
        { 400, "application/json",
          "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error:\\nunexpected end\"}", false, 0,
          "Prometheus says: parse error: unexpected end" },
        { 503, "text/plain", "Service Unavailable", false, 0, "status 503: that is no Prometheus" },
        { 200, "text/html", "<html>", false, 0, "answers in text/html with status 200: that is no Prometheus" },
        { 200, "application/json", "{\"status\":", false, 0, "not that of a Prometheus" },
        { 200, "application/json", "[]", false, 0, "not that of a Prometheus" },
        { 200, "", "", false, 0, "no Prometheus" },
        { 401, "text/plain", "Unauthorized", false, 0, "--prometheus-auth-file" },
        { 302, "text/html", "", false, 0, "sends us elsewhere" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct prometheus_figure f;

        prometheus_read(&f, cases[i].status, cases[i].type, cases[i].body, strlen(cases[i].body), NOW_UNIX_MS);
        if (f.known != cases[i].known || (f.known && f.value != cases[i].value) || !strstr(f.why, cases[i].why))
            fail_msg("%s: known=%d value=%g why='%s'", cases[i].body, f.known, f.value, f.why);
    }
}

/* A server that behaves as the path says, on the same loop. */
struct peer {
    struct event_base *base;
    struct http_server *server;
    struct prometheus *prometheus;
    char url[100];
    struct prometheus_figure figure;
    int answers;
    char query[200];
};

static void peer_handle(void *opaque, struct http_exchange *x, const struct http_request *request)
{
    struct peer *p = opaque;
    char *large;
    char body[200];
    int len;

    text_copy(p->query, sizeof(p->query), request->query);
    if (strstr(request->path, "slow"))
        return; /* never answers */
    if (strstr(request->path, "html")) {
        http_answer(x, 200, "text/html", "<html>", 6, NULL);
    } else if (strstr(request->path, "away")) {
        http_answer(x, 302, "text/plain", "", 0, "http://127.0.0.1:1/");
    } else if (strstr(request->path, "large")) {
        large = calloc(1, 2 * PROMETHEUS_BYTES_MAX);
        memset(large, ' ', 2 * PROMETHEUS_BYTES_MAX);
        http_answer(x, 200, "application/json", large, 2 * PROMETHEUS_BYTES_MAX, NULL);
        free(large);
    } else {
        len = snprintf(body, sizeof(body), VECTOR("{\"value\":[%lld,\"0.5\"]}"), (long long)clock_unix_ms() / 1000);
        http_answer(x, 200, "application/json", body, (size_t)len, NULL);
    }
}

static void peer_answered(void *opaque, const struct prometheus_figure *figure)
{
    struct peer *p = opaque;

    p->figure = *figure;
    p->answers++;
    event_base_loopbreak(p->base);
}

static int peer_new(void **state)
{
    struct peer *p = calloc(1, sizeof(*p));
    const char *listen = "127.0.0.1:0";
    const struct http_server_config config = { .listen = &listen, .listen_count = 1 };
    struct errmsg m = { 0 };

    assert_non_null(p);
    p->base = event_base_new();
    assert_int_equal(http_server_open(&p->server, p->base, &config, peer_handle, p, &m), ERR_OK);
    assert_int_equal(prometheus_open(&p->prometheus, p->base, &(struct prometheus_config){ 0 }, &m), ERR_OK);
    snprintf(p->url, sizeof(p->url), "http://%s", http_server_address(p->server, 0));
    *state = p;
    return 0;
}

static int peer_free(void **state)
{
    struct peer *p = *state;

    prometheus_close(p->prometheus);
    http_server_close(p->server);
    event_base_free(p->base);
    free(p);
    return 0;
}

static void ask(struct peer *p, const char *path, const char *query, int64_t timeout_ms)
{
    const int before = p->answers;
    char url[200];

    snprintf(url, sizeof(url), "%s%s", p->url, path);
    prometheus_ask(p->prometheus, url, query, timeout_ms, peer_answered, p);
    assert_int_equal(p->answers, before); /* never before it returns */
    for (const int64_t until_ms = clock_ms() + 20000; p->answers == before && clock_ms() < until_ms;)
        event_base_loop(p->base, EVLOOP_ONCE);
    assert_int_equal(p->answers, before + 1);
}

static void expect_unknown(const struct peer *p, const char *why)
{
    if (p->figure.known || !strstr(p->figure.why, why))
        fail_msg("known=%d '%s', expected '%s'", p->figure.known, p->figure.why, why);
}

static void a_prometheus_is_asked(void **state)
{
    struct peer *p = *state;

    ask(p, "", "sum(rate(x{a=\"b c\"}[1m]))", 5000);
    assert_true(p->figure.known && p->figure.value == 0.5);
    assert_string_equal(p->query, "query=sum%28rate%28x%7Ba%3D%22b%20c%22%7D%5B1m%5D%29%29");
    ask(p, "/prefix/", "up", 5000);
    assert_true(p->figure.known);
}

static void bad_peers_are_unknown(void **state)
{
    struct peer *p = *state;

    ask(p, "/html", "up", 5000);
    expect_unknown(p, "no Prometheus");
    ask(p, "/away", "up", 5000);
    expect_unknown(p, "elsewhere");
    ask(p, "/large", "up", 5000);
    expect_unknown(p, "larger than 1 MiB");
    ask(p, "/slow", "up", 300);
    expect_unknown(p, "imed out");
    text_copy(p->url, sizeof(p->url), "http://127.0.0.1:1");
    ask(p, "", "up", 5000);
    expect_unknown(p, "127.0.0.1");
    text_copy(p->url, sizeof(p->url), "https://");
    ask(p, "", "up", 5000);
    assert_false(p->figure.known);
}

static void a_missing_password_is_told(void **state)
{
    struct peer *p = *state;
    const struct prometheus_config config = { .auth_file = "/nonexistent/baton" };
    struct errmsg m;

    prometheus_close(p->prometheus);
    assert_int_equal(prometheus_open(&p->prometheus, p->base, &config, &m), ERR_OK);
    ask(p, "", "up", 5000);
    expect_unknown(p, "open '/nonexistent/baton'");
}

/* Who has gone is not called, and what is under way is freed with the client. */
static void the_forgotten_are_not_called(void **state)
{
    struct peer *p = *state;
    char url[200];

    snprintf(url, sizeof(url), "%s/slow", p->url);
    for (int i = 0; i < PROMETHEUS_ASKS_MAX; i++)
        prometheus_ask(p->prometheus, url, "up", 5000, peer_answered, p);
    prometheus_ask(p->prometheus, url, "up", 5000, peer_answered, p); /* one too many */
    for (const int64_t until_ms = clock_ms() + 20000; p->answers == 0 && clock_ms() < until_ms;)
        event_base_loop(p->base, EVLOOP_ONCE);
    assert_int_equal(p->answers, 1);
    expect_unknown(p, "questions at a time");
    prometheus_forget(p->prometheus, p);
    event_base_loop(p->base, EVLOOP_NONBLOCK);
    assert_int_equal(p->answers, 1);
}

/* A certificate of its own for `name`, from so many days ago on for `days`, with its key: PEM files. */
static void certificate_write(const char *cert, const char *key, const char *name, int ago, int days)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);
    FILE *cert_file = fopen(cert, "we"), *key_file = fopen(key, "we");

    assert_true(pair && x && names && cert_file && key_file);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, X509_VERSION_3);
    X509_time_adj_ex(X509_getm_notBefore(x), -ago, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(x), days - ago, 0, NULL);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"baton-test", -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, pair);
    X509_add_ext(x, names, -1);
    assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(cert_file, x), 1);
    assert_int_equal(PEM_write_PrivateKey(key_file, pair, NULL, NULL, 0, NULL, NULL), 1);
    fclose(cert_file);
    fclose(key_file);
    X509_EXTENSION_free(names);
    X509_free(x);
    EVP_PKEY_free(pair);
}

/* Whom Baton cannot be sure of is not believed, and what to do about it is said. */
static void tls_that_is_not_to_be_trusted_is_unknown(void **state)
{
    static const struct {
        const char *name;
        int ago, days;
        bool trusted, known;
        const char *why, *mend;
    } cases[] = {
        { "IP:127.0.0.1", 1, 3, true, true, "", "" },
        { "IP:127.0.0.1", 1, 3, false, false, "certificate", "--prometheus-ca" },
        { "IP:127.0.0.1", 5, 3, true, false, "expired", "renew its certificate" },
        { "IP:127.0.0.1", -2, 3, true, false, "not yet valid", "clock" },
        { "DNS:prometheus.example", 1, 3, true, false, "match", "prometheus.url" },
    };
    char folder[] = "/tmp/baton-test-tls-XXXXXX", cert[64], key[64];
    struct peer *p = *state;
    const char *listen = "127.0.0.1:0";
    const struct http_server_config server = { .listen = &listen, .listen_count = 1, .tls_cert = cert, .tls_key = key };
    struct errmsg m = { 0 };

    assert_non_null(mkdtemp(folder));
    snprintf(cert, sizeof(cert), "%s/cert.pem", folder);
    snprintf(key, sizeof(key), "%s/key.pem", folder);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct prometheus_config config = { .ca_file = cases[i].trusted ? cert : NULL };

        certificate_write(cert, key, cases[i].name, cases[i].ago, cases[i].days);
        http_server_close(p->server);
        prometheus_close(p->prometheus);
        assert_int_equal(http_server_open(&p->server, p->base, &server, peer_handle, p, &m), ERR_OK);
        assert_int_equal(prometheus_open(&p->prometheus, p->base, &config, &m), ERR_OK);
        snprintf(p->url, sizeof(p->url), "https://%s", http_server_address(p->server, 0));
        ask(p, "", "up", 20000);
        if (p->figure.known != cases[i].known || !strstr(p->figure.why, cases[i].why) ||
            !strstr(p->figure.why, cases[i].mend))
            fail_msg("case %zu: known=%d '%s', expected '%s' and '%s'", i, p->figure.known, p->figure.why, cases[i].why,
                     cases[i].mend);
    }
    snprintf(p->url, sizeof(p->url), "http://%s", http_server_address(p->server, 0)); /* no TLS where it is wanted */
    ask(p, "", "up", 20000);
    assert_false(p->figure.known);
    unlink(cert); /* a CA that cannot be read */
    snprintf(p->url, sizeof(p->url), "https://%s", http_server_address(p->server, 0));
    ask(p, "", "up", 20000);
    expect_unknown(p, "--prometheus-ca");
    unlink(key);
    rmdir(folder);
}

/* Says what a server without TLS says to a peer that begins with it. */
static void on_plain_peer(evutil_socket_t fd, short what, void *opaque)
{
    static const char said[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    int *accepted = opaque;

    (void)what;
    *accepted = accept(fd, NULL, NULL);
    assert_true(*accepted >= 0 && write(*accepted, said, sizeof(said) - 1) == (ssize_t)sizeof(said) - 1);
}

static void a_server_without_tls_is_unknown(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct peer *p = *state;
    struct event *ready;
    int accepted = -1;

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 1) == 0 &&
                getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    ready = event_new(p->base, fd, EV_READ, on_plain_peer, &accepted);
    assert_true(ready && event_add(ready, NULL) == 0);
    snprintf(p->url, sizeof(p->url), "https://127.0.0.1:%d", ntohs(at.sin_port));
    ask(p, "", "up", 20000);
    expect_unknown(p, "write http://");
    event_free(ready);
    close(accepted);
    close(fd);
}

/* --- docs ------------------------------------------------------------------------------------------------------------ */

static void the_document_is_current(void **state)
{
    struct str table = STR_WITH_MAX(64 * 1024);
    const char *slash = strrchr(__FILE__, '/');
    char name[1024], *text = calloc(1, 64 * 1024);
    FILE *file;

    (void)state;
    snprintf(name, sizeof(name), "%.*s/../../docs/metrics.md", slash ? (int)(slash - __FILE__) : 1,
             slash ? __FILE__ : ".");
    file = fopen(name, "rb");
    assert_non_null(file);
    assert_true(fread(text, 1, 64 * 1024 - 1, file) > 0);
    fclose(file);
    metrics_document(&table);
    assert_int_equal(str_error(&table), 0);
    if (!strstr(text, table.buf))
        fail_msg("docs/metrics.md does not end with the tables that 'test_metrics --document' prints");
    str_free(&table);
    free(text);
}

int main(int argc, char **argv)
{
#define PEER(f) cmocka_unit_test_setup_teardown(f, peer_new, peer_free)
#define TOLD(f) cmocka_unit_test_setup_teardown(f, told_new, told_free)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_asked_for),
        cmocka_unit_test(openmetrics_is_written),
        cmocka_unit_test(the_older_format_is_written),
        TOLD(what_members_do_is_added_up),
        TOLD(a_restart_is_no_step_back),
        TOLD(works_are_added_up_by_partition),
        TOLD(the_past_is_not_counted),
        TOLD(many_members_are_forgotten_in_turn),
        cmocka_unit_test(classes_have_a_bound),
        cmocka_unit_test(answers_are_numbers_or_unknown),
        PEER(a_prometheus_is_asked),
        PEER(bad_peers_are_unknown),
        PEER(tls_that_is_not_to_be_trusted_is_unknown),
        PEER(a_server_without_tls_is_unknown),
        PEER(a_missing_password_is_told),
        PEER(the_forgotten_are_not_called),
        cmocka_unit_test(the_document_is_current),
    };
    struct str table = STR_WITH_MAX(64 * 1024);

    if (argc == 2 && strcmp(argv[1], "--document") == 0) {
        metrics_document(&table);
        fputs(table.buf, stdout);
        str_free(&table);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN); /* as in baton: a peer that hangs up is an error like any other */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
