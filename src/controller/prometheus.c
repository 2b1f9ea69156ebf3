/*
 * prometheus - see prometheus.h: libcurl's sockets and its timer on libevent's loop.
 *
 * libcurl says which sockets it wants watched (on_curl_socket) and when it wants to be called at the latest (on_curl_timer);
 * it is told what came (on_ready, on_timer). Answers are given from the loop alone, never out of prometheus_ask().
 */
#include "controller/prometheus.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/curl_calls.h"

#define CONNECTIONS_MAX 16
#define AUTH_MAX 512

struct ask {
    struct ask *next;
    struct prometheus *prometheus;
    CURL *easy; /* NULL: it failed before it began, `why` says it */
    struct curl_slist *headers;
    struct str body;
    char curl_error[CURL_ERROR_SIZE];
    char why[PROMETHEUS_WHY_MAX + 1];
    prometheus_answered *answered; /* NULL: forgotten */
    void *opaque;
};

struct watched { /* a socket of libcurl's */
    struct watched *next;
    struct event *event;
};

struct prometheus {
    struct event_base *base;
    char *auth_file, *ca_file;
    CURLM *multi;                 /* NULL: nothing was asked yet */
    struct event *timer, *failed; /* failed: some ask has to be answered though libcurl has not begun it */
    struct watched *watched;
    struct ask *asks;
    int ask_count;
};

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void ask_free(struct ask *a)
{
    struct ask **at = &a->prometheus->asks;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->prometheus->ask_count--;
    if (a->easy) {
        curl.multi_remove_handle(a->prometheus->multi, a->easy);
        curl.easy_cleanup(a->easy);
    }
    if (a->headers)
        curl.slist_free_all(a->headers);
    str_free(&a->body);
    free(a);
}

static void ask_answer(struct ask *a, const struct prometheus_figure *figure)
{
    prometheus_answered *answered = a->answered;
    void *opaque = a->opaque;

    ask_free(a);
    if (answered)
        answered(opaque, figure);
}

/* What libcurl says, and what mends it. */
static void say_failure(const struct ask *a, CURLcode code, char *ret, size_t size)
{
    const char *why = a->curl_error[0] ? a->curl_error : curl.easy_strerror(code);
    const char *mend = "";

    switch (code) {
    case CURLE_WRITE_ERROR:
        why = "its answer is larger than 1 MiB";
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        mend = strstr(why, "expired")         ? "; renew its certificate"
               : strstr(why, "not yet valid") ? "; see whether a clock is wrong"
               : strstr(why, "match")         ? "; write prometheus.url with a name that its certificate is for"
                                              : "; give the certificate of its CA with --prometheus-ca";
        break;
    case CURLE_SSL_CACERT_BADFILE:
        mend = "; see whether --prometheus-ca holds certificates in PEM";
        break;
    case CURLE_SSL_CONNECT_ERROR:
        mend = "; does it speak TLS on this port? If not, write http://";
        break;
    default:
        break;
    }
    snprintf(ret, size, "%.150s%s", why, mend);
}

static void ask_done(struct ask *a, CURLcode code)
{
    struct prometheus_figure figure = { 0 };
    const char *type = NULL;
    long status = 0;

    if (code == CURLE_OK) {
        curl.easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
        curl.easy_getinfo(a->easy, CURLINFO_CONTENT_TYPE, &type);
        prometheus_read(&figure, (int)status, type ? type : "", a->body.buf, a->body.len, clock_unix_ms());
    } else {
        say_failure(a, code, figure.why, sizeof(figure.why));
    }
    ask_answer(a, &figure);
}

static void take_done(struct prometheus *p)
{
    CURLMsg *message;
    int left;

    while ((message = curl.multi_info_read(p->multi, &left))) {
        struct ask *a = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&a);
        ask_done(a, message->data.result);
    }
}

/* --- libcurl on the loop ------------------------------------------------------------------------------------------- */

static void on_ready(evutil_socket_t fd, short what, void *opaque)
{
    struct prometheus *p = opaque;
    int running;

    curl.multi_socket_action(p->multi, fd,
                             (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0),
                             &running);
    take_done(p);
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
    struct prometheus *p = opaque;
    int running;

    (void)fd;
    (void)what;
    curl.multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_done(p);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *opaque)
{
    struct prometheus *p = opaque;
    const struct timeval in = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };

    (void)multi;
    if (timeout_ms < 0)
        event_del(p->timer);
    else
        event_add(p->timer, &in);
    return 0;
}

static void unwatch(struct prometheus *p, struct watched *w)
{
    struct watched **at = &p->watched;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    event_free(w->event);
    free(w);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *opaque, void *of_socket)
{
    struct prometheus *p = opaque;
    struct watched *w = of_socket;
    const short kinds =
        (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            unwatch(p, w);
        return 0;
    }
    if (!w) {
        w = calloc(1, sizeof(*w));
        ASSERT(w != NULL);
        w->next = p->watched;
        p->watched = w;
        curl.multi_assign(p->multi, fd, w);
    } else {
        event_free(w->event);
    }
    w->event = event_new(p->base, fd, kinds, on_ready, p);
    ASSERT(w->event != NULL && event_add(w->event, NULL) == 0);
    return 0;
}

/* What failed before it began is answered as all else is: from the loop. */
static void on_failed(evutil_socket_t fd, short what, void *opaque)
{
    struct prometheus *p = opaque;

    (void)fd;
    (void)what;
    for (struct ask *a = p->asks; a;) {
        struct prometheus_figure figure = { 0 };

        if (a->easy) {
            a = a->next;
            continue;
        }
        text_copy(figure.why, sizeof(figure.why), a->why);
        ask_answer(a, &figure);
        a = p->asks; /* whoever was answered may have asked again */
    }
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *opaque)
{
    struct ask *a = opaque;

    str_add_bytes(&a->body, bytes, size * count);
    return str_error(&a->body) ? 0 : size * count;
}

/* One line of visible letters; a blank is possible in a password. False: `why` says what is wrong. */
static bool read_auth(struct prometheus *p, struct ask *a, char ret[AUTH_MAX + 1])
{
    FILE *file = fopen(p->auth_file, "re");
    size_t len;

    if (!file) {
        snprintf(a->why, sizeof(a->why), "open '%.120s': %s", p->auth_file, strerror(errno));
        return false;
    }
    len = fread(ret, 1, AUTH_MAX, file);
    fclose(file);
    while (len > 0 && (ret[len - 1] == '\n' || ret[len - 1] == '\r'))
        len--;
    ret[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)ret[i] < 0x20 || ret[i] == 0x7f)
            len = 0;
    if (len == 0)
        snprintf(a->why, sizeof(a->why), "'%.120s' must hold one line, a token or user:password", p->auth_file);
    return len > 0;
}

static bool set_auth(struct prometheus *p, struct ask *a)
{
    char auth[AUTH_MAX + 1], header[AUTH_MAX + 40];
    bool done = true;

    if (!p->auth_file)
        return true;
    if (!read_auth(p, a, auth))
        return false;
    if (strchr(auth, ':')) {
        done = curl.easy_setopt(a->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
               curl.easy_setopt(a->easy, CURLOPT_USERPWD, auth) == CURLE_OK;
    } else {
        snprintf(header, sizeof(header), "Authorization: Bearer %s", auth);
        a->headers = curl.slist_append(a->headers, header);
        done = a->headers != NULL;
    }
    explicit_bzero(auth, sizeof(auth));
    explicit_bzero(header, sizeof(header));
    return done;
}

static bool set_url(struct ask *a, const char *url, const char *query)
{
    const size_t url_len = strlen(url) - (url[0] && url[strlen(url) - 1] == '/');
    struct str full = STR_WITH_MAX(8192);
    char *escaped = curl.easy_escape(a->easy, query, 0);
    bool done;

    str_addf(&full, "%.*s/api/v1/query?query=%s", (int)url_len, url, escaped ? escaped : "");
    done = escaped && !str_error(&full) && curl.easy_setopt(a->easy, CURLOPT_URL, full.buf) == CURLE_OK;
    if (!done)
        snprintf(a->why, sizeof(a->why), "the query is too long");
    curl.free(escaped);
    str_free(&full);
    return done;
}

static bool ask_begin(struct prometheus *p, struct ask *a, const char *url, const char *query, int64_t timeout_ms)
{
    bool done = set_auth(p, a) && set_url(a, url, query);

    if (!done)
        return false;
    a->headers = curl.slist_append(a->headers, "Accept: application/json");
    curl.easy_setopt(a->easy, CURLOPT_HTTPHEADER, a->headers);
    curl.easy_setopt(a->easy, CURLOPT_PRIVATE, a);
    curl.easy_setopt(a->easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(a->easy, CURLOPT_ERRORBUFFER, a->curl_error);
    curl.easy_setopt(a->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl.easy_setopt(a->easy, CURLOPT_WRITEDATA, a);
    curl.easy_setopt(a->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl.easy_setopt(a->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl.easy_setopt(a->easy, CURLOPT_USERAGENT, "baton/" BATON_VERSION);
    curl.easy_setopt(a->easy, CURLOPT_ACCEPT_ENCODING, "");
    if (p->ca_file)
        curl.easy_setopt(a->easy, CURLOPT_CAINFO, p->ca_file);
    return curl.multi_add_handle(p->multi, a->easy) == CURLM_OK;
}

static bool load(struct prometheus *p, struct errmsg *m)
{
    if (p->multi)
        return true;
    if (curl_calls_load(m) < 0)
        return false;
    p->multi = curl.multi_init();
    ASSERT(p->multi != NULL);
    curl.multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl.multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    curl.multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl.multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
    curl.multi_setopt(p->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
    return true;
}

void prometheus_ask(struct prometheus *p, const char *url, const char *query, int64_t timeout_ms,
                    prometheus_answered *answered, void *opaque)
{
    struct ask *a = calloc(1, sizeof(*a));
    struct errmsg m = { 0 };

    ASSERT(a != NULL);
    a->prometheus = p;
    a->body = STR_WITH_MAX(PROMETHEUS_BYTES_MAX);
    a->answered = answered;
    a->opaque = opaque;
    a->next = p->asks;
    p->asks = a;
    p->ask_count++;
    if (p->ask_count > PROMETHEUS_ASKS_MAX)
        snprintf(a->why, sizeof(a->why), "more than %d questions at a time", PROMETHEUS_ASKS_MAX);
    else if (!load(p, &m))
        snprintf(a->why, sizeof(a->why), "%.250s", m.text);
    else
        a->easy = curl.easy_init();
    if (a->easy && ask_begin(p, a, url, query, timeout_ms))
        return;
    if (!a->why[0])
        snprintf(a->why, sizeof(a->why), "libcurl does not take the question");
    if (a->easy)
        curl.easy_cleanup(a->easy);
    a->easy = NULL;
    event_active(p->failed, EV_TIMEOUT, 0);
}

void prometheus_forget(struct prometheus *p, void *opaque)
{
    for (struct ask *a = p ? p->asks : NULL; a; a = a->next)
        if (a->opaque == opaque)
            a->answered = NULL;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

int prometheus_open(struct prometheus **ret, struct event_base *base, const struct prometheus_config *config,
                    struct errmsg *m)
{
    struct prometheus *p = calloc(1, sizeof(*p));

    if (!p)
        return err_set(m, ERR_NOMEM, "Prometheus client");
    p->base = base;
    p->auth_file = config->auth_file ? strdup(config->auth_file) : NULL;
    p->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
    p->timer = event_new(base, -1, 0, on_timer, p);
    p->failed = event_new(base, -1, 0, on_failed, p);
    if (!p->timer || !p->failed || (config->auth_file && !p->auth_file) || (config->ca_file && !p->ca_file)) {
        prometheus_close(p);
        return err_set(m, ERR_NOMEM, "Prometheus client");
    }
    *ret = p;
    return ERR_OK;
}

void prometheus_close(struct prometheus *p)
{
    if (!p)
        return;
    while (p->asks)
        ask_free(p->asks);
    if (p->multi)
        curl.multi_cleanup(p->multi);
    while (p->watched)
        unwatch(p, p->watched);
    if (p->timer)
        event_free(p->timer);
    if (p->failed)
        event_free(p->failed);
    free(p->auth_file);
    free(p->ca_file);
    free(p);
}
