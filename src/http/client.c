#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/curl_calls.h"
#include "http/parse.h"
#include "http/token.h"

#define REPLY_BYTES_MAX (64 * 1024 * 1024)
#define EVENT_BYTES_MAX (1024 * 1024)
#define REDIRECTS_MAX 3
#define SILENCE_MS_MAX 45000 /* of a stream: the server says something every 15 s */
#define TOKEN_LINE_MAX 8192  /* a Kubernetes token has a thousand characters and more */
#define RETRY_AFTER_S_MAX 3600

struct http_client {
    CURL *easy;
    char origin[400]; /* "http://127.0.0.1:8484" */
    char ca_file[1024];
    char token[TOKEN_LINE_MAX]; /* "Authorization: Bearer ...", "" */
    char by[200];
    int64_t connect_ms, timeout_ms;
    bool led_astray, foreign;
    char last_id[64]; /* of events */
    char curl_error[CURL_ERROR_SIZE];
};

struct reply_sink {
    struct str body;
    char location[700];
    int retry_after_s;
};

/* "http://host:port/" to "http://host:port"; false: not a base address. */
static bool origin_copy(char *ret, size_t ret_size, const char *url)
{
    const char *rest = !strncasecmp(url, "http://", 7) ? url + 7 : !strncasecmp(url, "https://", 8) ? url + 8 : NULL;
    size_t len;
    char host_port[300], host[300];
    int port;

    if (!rest)
        return false;
    len = strcspn(rest, "/");
    if ((rest[len] && rest[len + 1]) || len >= sizeof(host_port) || (size_t)(rest - url) + len >= ret_size)
        return false;
    memcpy(host_port, rest, len);
    host_port[len] = '\0';
    if (strpbrk(host_port, "@?# ") || !http_host_split(host_port, host, sizeof(host), &port))
        return false;
    memcpy(ret, url, (size_t)(rest - url) + len);
    ret[(size_t)(rest - url) + len] = '\0';
    return true;
}

int http_client_open(struct http_client **ret, const struct http_client_config *config, struct errmsg *m)
{
    struct http_client *c = calloc(1, sizeof(*c));
    char token[TOKEN_MAX + 1] = "";
    int r = ERR_OK;

    if (!c)
        return err_set(m, ERR_NOMEM, "HTTP client");
    c->connect_ms = config->connect_ms ? config->connect_ms : 5000;
    c->timeout_ms = config->timeout_ms ? config->timeout_ms : 60000;
    c->foreign = config->foreign;
    if (!origin_copy(c->origin, sizeof(c->origin), config->server))
        r = err_set(m, ERR_INVALID, "server '%s' is not of the form http://HOST:PORT or https://HOST:PORT",
                    config->server);
    else if (config->ca_file && !text_copy(c->ca_file, sizeof(c->ca_file), config->ca_file))
        r = err_set(m, ERR_TOO_LARGE, "the name of the CA file is too long");
    else if (config->token_file)
        r = token_read(token, config->token_file, 1, m);
    if (token[0])
        snprintf(c->token, sizeof(c->token), "Authorization: Bearer %s", token);
    explicit_bzero(token, sizeof(token));
    if (r == ERR_OK && config->by && *config->by && !strpbrk(config->by, "\r\n"))
        snprintf(c->by, sizeof(c->by), "X-Baton-By: %.180s", config->by);
    if (r == ERR_OK)
        r = curl_calls_load(m);
    if (r == ERR_OK) {
        c->easy = curl.easy_init();
        if (!c->easy)
            r = err_set(m, ERR_NOMEM, "HTTP client");
    }
    if (r < 0) {
        http_client_close(c);
        return r;
    }
    *ret = c;
    return ERR_OK;
}

void http_client_close(struct http_client *c)
{
    if (!c)
        return;
    if (c->easy)
        curl.easy_cleanup(c->easy);
    explicit_bzero(c->token, sizeof(c->token));
    free(c);
}

int http_client_token_set(struct http_client *c, const char *token, struct errmsg *m)
{
    if (strlen(token) > TOKEN_LINE_MAX - 40 || strpbrk(token, "\r\n"))
        return err_set(m, ERR_INVALID, "a token is one line of at most %d characters", TOKEN_LINE_MAX - 40);
    explicit_bzero(c->token, sizeof(c->token));
    if (token[0])
        snprintf(c->token, sizeof(c->token), "Authorization: Bearer %s", token);
    return ERR_OK;
}

bool http_client_led_astray(const struct http_client *c)
{
    return c->led_astray;
}

bool http_client_sent(const struct http_client *c)
{
    double seconds = 0; /* until the request could be sent; 0: it never was */

    curl.easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME, &seconds);
    return seconds > 0;
}

void http_reply_free(struct http_reply *reply)
{
    free(reply->content_type);
    free(reply->body);
    *reply = (struct http_reply){ 0 };
}

static size_t on_body(char *bytes, size_t size, size_t count, void *opaque)
{
    struct reply_sink *sink = opaque;

    str_add_bytes(&sink->body, bytes, size * count);
    return str_error(&sink->body) ? 0 : size * count;
}

/* Its value, if the line is that header's and it fits; else ret stays as it is. */
static void header_copy(char *ret, size_t ret_size, const char *line, size_t len, const char *name)
{
    const char *begin = line + strlen(name), *end = line + len;

    if (len <= strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
        return;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - begin) >= ret_size)
        return;
    memcpy(ret, begin, (size_t)(end - begin));
    ret[end - begin] = '\0';
}

static size_t on_header(char *bytes, size_t size, size_t count, void *opaque)
{
    struct reply_sink *sink = opaque;
    const size_t len = size * count;
    char seconds[12] = "";

    header_copy(sink->location, sizeof(sink->location), bytes, len, "location:");
    header_copy(seconds, sizeof(seconds), bytes, len, "retry-after:"); /* a date in place of seconds is not read */
    if (seconds[0] && atoi(seconds) > 0)
        sink->retry_after_s = atoi(seconds) < RETRY_AFTER_S_MAX ? atoi(seconds) : RETRY_AFTER_S_MAX;
    return len;
}

static int client_explain_foreign(const struct http_client *c, CURLcode code, const char *origin, const char *why,
                                  struct errmsg *m)
{
    double connected = 0;

    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return err_set(m, ERR_DENIED, "%s: %s; is the file with its CA's certificate the right one?", origin, why);
    if (code == CURLE_WRITE_ERROR)
        return err_set(m, ERR_TOO_LARGE, "%s: the answer is larger than what is read of it", origin);
    curl.easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME, &connected);
    return err_set(m, code == CURLE_OPERATION_TIMEDOUT && connected > 0 ? ERR_TIMEOUT : ERR_UNAVAILABLE, "%s: %s",
                   origin, why);
}

static int client_explain(const struct http_client *c, CURLcode code, const char *origin, struct errmsg *m)
{
    const char *why = c->curl_error[0] ? c->curl_error : curl.easy_strerror(code);
    double connected = 0; /* seconds until the request could be sent; 0: it never was */

    if (c->foreign)
        return client_explain_foreign(c, code, origin, why, m);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(m, ERR_UNAVAILABLE, "%s: the host's name cannot be resolved; check --server", origin);
    case CURLE_COULDNT_CONNECT:
        return err_set(m, ERR_UNAVAILABLE,
                       "%s: %s; is 'baton serve' running there? Without a server, use --bootstrap HOST:PORT", origin,
                       why);
    case CURLE_OPERATION_TIMEDOUT:
        curl.easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME, &connected);
        return err_set(m, connected > 0 ? ERR_TIMEOUT : ERR_UNAVAILABLE, "%s: %s", origin, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(m, ERR_DENIED, "%s: %s; give the certificate of the server's CA with --ca-file", origin, why);
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(m, ERR_UNAVAILABLE, "%s: %s; does the server speak TLS on this port?", origin, why);
    case CURLE_WRITE_ERROR:
        return err_set(m, ERR_TOO_LARGE, "%s: the answer is larger than %d MiB", origin, REPLY_BYTES_MAX / 1024 / 1024);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(m, ERR_UNAVAILABLE, "%s: %s; is that a Baton controller?", origin, why);
    default:
        return err_set(m, ERR_UNAVAILABLE, "%s: %s", origin, why);
    }
}

/* What requests and streams have in common. */
static struct curl_slist *client_prepare(struct http_client *c, const char *origin, const char *url,
                                         const char *content_type)
{
    struct curl_slist *headers = NULL;
    CURL *easy = c->easy;
    char line[200];

    curl.easy_reset(easy);
    c->curl_error[0] = '\0';
    curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, c->curl_error);
    curl.easy_setopt(easy, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
    curl.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl.easy_setopt(easy, CURLOPT_USERAGENT, "baton/" BATON_VERSION);
    if (c->ca_file[0])
        curl.easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
#if LIBCURL_VERSION_NUM >= 0x075700
    if (c->ca_file[0])
        curl.easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* it may change */
#endif
    if (http_host_is_loopback(strstr(origin, "://") + 3))
        curl.easy_setopt(easy, CURLOPT_PROXY, "");
    headers = curl.slist_append(headers, "Expect:");
    if (content_type) {
        snprintf(line, sizeof(line), "Content-Type: %s", content_type);
        headers = curl.slist_append(headers, line);
    }
    if (c->token[0])
        headers = curl.slist_append(headers, c->token);
    if (c->by[0])
        headers = curl.slist_append(headers, c->by);
    return headers;
}

/* May the 307 be followed? Then *origin becomes the leader's. */
static int client_follow(char *origin, size_t origin_size, const char *location, const char *path, struct errmsg *m)
{
    const char *rest = strstr(location, "://");
    size_t len = rest ? (size_t)(rest - location) + 3 + strcspn(rest + 3, "/") : 0;
    char next[400], checked[400];

    if (!rest || len >= sizeof(next))
        return err_set(m, ERR_DENIED, "%s points to '%s', which is no address of a controller", origin, location);
    memcpy(next, location, len);
    next[len] = '\0';
    if (strcmp(location + len, path) != 0 || !origin_copy(checked, sizeof(checked), next))
        return err_set(m, ERR_DENIED, "%s points to '%s', which is not the same request on another controller", origin,
                       location);
    if (!strncasecmp(origin, "https://", 8) && strncasecmp(next, "https://", 8) != 0)
        return err_set(
            m, ERR_DENIED,
            "%s points to %s: the token is not sent from https to http; give that controller --tls-cert and an "
            "https --advertise",
            origin, next);
    text_copy(origin, origin_size, next);
    return ERR_OK;
}

static int client_once(struct http_client *c, struct reply_sink *sink, long *ret_status, const char *origin,
                       const char *method, const char *path, const char *content_type, const char *body,
                       size_t body_len, struct errmsg *m)
{
    struct str url = STR_WITH_MAX(8192);
    struct curl_slist *headers;
    CURLcode code;

    str_addf(&url, "%s%s", origin, path);
    if (str_error(&url)) {
        str_free(&url);
        return err_set(m, ERR_TOO_LARGE, "the request's path is too long");
    }
    headers = client_prepare(c, origin, url.buf, content_type);
    curl.easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
    if (body || !strcmp(method, "POST") || !strcmp(method, "PUT")) {
        curl.easy_setopt(c->easy, CURLOPT_POSTFIELDS, body ? body : "");
        curl.easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? body_len : 0));
    }
    curl.easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    curl.easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
    curl.easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl.easy_setopt(c->easy, CURLOPT_WRITEDATA, sink);
    curl.easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl.easy_setopt(c->easy, CURLOPT_HEADERDATA, sink);
    code = curl.easy_perform(c->easy);
    curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, ret_status);
    curl.slist_free_all(headers);
    str_free(&url);
    return code == CURLE_OK ? ERR_OK : client_explain(c, code, origin, m);
}

int http_client_request(struct http_client *c, struct http_reply *ret, const char *method, const char *path,
                        const char *content_type, const char *body, size_t body_len, struct errmsg *m)
{
    struct reply_sink sink = { .body = STR_WITH_MAX(REPLY_BYTES_MAX) };
    char origin[sizeof(c->origin)];
    long status = 0;
    char *type = NULL;
    int r;

    text_copy(origin, sizeof(origin), c->origin);
    c->led_astray = false;
    for (int hop = 0;; hop++) {
        str_clear(&sink.body);
        sink.location[0] = '\0';
        sink.retry_after_s = 0;
        r = client_once(c, &sink, &status, origin, method, path, content_type, body, body_len, m);
        c->led_astray = hop > 0 && r == ERR_UNAVAILABLE;
        if (r < 0 || status != 307 || !sink.location[0])
            break;
        if (hop == REDIRECTS_MAX) {
            c->led_astray = true;
            r = err_set(m, ERR_UNAVAILABLE,
                        "%s: the controllers point to one another; the leader is changing, try again", origin);
            break;
        }
        r = client_follow(origin, sizeof(origin), sink.location, path, m);
        if (r < 0)
            break;
    }
    if (r == ERR_OK)
        curl.easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
    if (r == ERR_OK) {
        struct http_reply reply = { .status = (int)status,
                                    .body_len = sink.body.len,
                                    .retry_after_s = sink.retry_after_s };

        reply.content_type = strdup(type ? type : "");
        reply.body = sink.body.len > 0 ? str_take(&sink.body) : strdup("");
        if (reply.content_type && reply.body)
            *ret = reply;
        else
            r = err_set(m, ERR_NOMEM, "HTTP answer");
        if (r < 0)
            http_reply_free(&reply);
    }
    str_free(&sink.body);
    return r;
}

/* A stream of events or of lines. */
struct stream {
    struct http_client *client;
    bool (*feed)(struct stream *s, const char *bytes, size_t len); /* false: no more */
    http_on_idle *on_idle;
    void *opaque;
    bool stopped;
    struct str refusal;
    long status;
    int64_t heard_ms, silence_ms_max;
    struct sse sse;  /* of events */
    struct str line; /* of lines: what has no end yet */
    http_on_line *on_line;
};

static bool events_feed(struct stream *s, const char *bytes, size_t len)
{
    const bool more = sse_feed(&s->sse, bytes, len);

    s->stopped = s->sse.stopped;
    return more;
}

static bool lines_feed(struct stream *s, const char *bytes, size_t len)
{
    for (const char *end; !s->stopped && (end = memchr(bytes, '\n', len)) != NULL;) {
        const size_t part = (size_t)(end - bytes);

        str_add_bytes(&s->line, bytes, part);
        if (str_error(&s->line))
            return false;
        s->stopped = s->line.len > 0 && !s->on_line(s->opaque, s->line.buf, s->line.len);
        str_clear(&s->line);
        bytes += part + 1;
        len -= part + 1;
    }
    str_add_bytes(&s->line, bytes, len);
    return !s->stopped && !str_error(&s->line);
}

static size_t on_stream(char *bytes, size_t size, size_t count, void *opaque)
{
    struct stream *s = opaque;
    const size_t len = size * count;

    s->heard_ms = clock_ms();
    curl.easy_getinfo(s->client->easy, CURLINFO_RESPONSE_CODE, &s->status);
    if (s->status != 200) {
        str_add_bytes(&s->refusal, bytes,
                      len < s->refusal.max - s->refusal.len ? len : s->refusal.max - s->refusal.len);
        return len;
    }
    return s->feed(s, bytes, len) ? len : 0;
}

static int stream_perform(struct http_client *c, CURLM *multi, struct stream *s, struct errmsg *m)
{
    int running = 1, left;
    CURLMsg *message;

    while (running && !s->stopped) {
        if (curl.multi_perform(multi, &running) != CURLM_OK)
            return err_set(m, ERR_INTERNAL, "libcurl");
        if (s->stopped || !running)
            break;
        if (s->on_idle && !s->on_idle(s->opaque)) {
            s->stopped = true;
            break;
        }
        if (clock_ms() - s->heard_ms > s->silence_ms_max)
            return err_set(m, ERR_UNAVAILABLE, "%s: the event stream has fallen silent", c->origin);
        curl.multi_poll(multi, NULL, 0, 200, NULL);
    }
    if (s->stopped)
        return ERR_OK;
    message = curl.multi_info_read(multi, &left);
    if (message && message->msg == CURLMSG_DONE && message->data.result != CURLE_OK)
        return client_explain(c, message->data.result, c->origin, m);
    curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &s->status);
    if (s->status == 200)
        return err_set(m, ERR_CLOSED, "%s: the event stream was ended by the server", c->origin);
    return err_set(m,
                   s->status == 401 || s->status == 403 ? ERR_DENIED
                   : s->status == 404                   ? ERR_NOT_FOUND
                                                        : ERR_UNAVAILABLE,
                   "%s: events refused with status %ld: %s", c->origin, s->status, s->refusal.buf);
}

/* Frees the headers. */
static int stream_run(struct http_client *c, struct stream *s, struct curl_slist *headers, struct errmsg *m)
{
    CURLM *multi = curl.multi_init();
    int r;

    if (!multi) {
        curl.slist_free_all(headers);
        return err_set(m, ERR_NOMEM, "HTTP client");
    }
    s->client = c;
    s->refusal = STR_WITH_MAX(2000);
    s->heard_ms = clock_ms();
    curl.easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    curl.easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_stream);
    curl.easy_setopt(c->easy, CURLOPT_WRITEDATA, s);
    curl.multi_add_handle(multi, c->easy);
    r = stream_perform(c, multi, s, m);
    curl.multi_remove_handle(multi, c->easy);
    curl.multi_cleanup(multi);
    curl.slist_free_all(headers);
    str_free(&s->refusal);
    return r;
}

int http_client_events(struct http_client *c, const char *path, http_on_event *on_event, http_on_idle *on_idle,
                       void *opaque, struct errmsg *m)
{
    struct stream s = { .feed = events_feed, .on_idle = on_idle, .opaque = opaque, .silence_ms_max = SILENCE_MS_MAX };
    struct str url = STR_WITH_MAX(8192);
    struct curl_slist *headers;
    char line[100];
    int r;

    sse_init(&s.sse, EVENT_BYTES_MAX, on_event, opaque);
    text_copy(s.sse.last_id, sizeof(s.sse.last_id), c->last_id);
    str_addf(&url, "%s%s", c->origin, path);
    headers = client_prepare(c, c->origin, url.buf, NULL);
    headers = curl.slist_append(headers, "Accept: text/event-stream");
    if (c->last_id[0]) {
        snprintf(line, sizeof(line), "Last-Event-ID: %s", c->last_id);
        headers = curl.slist_append(headers, line);
    }
    r = stream_run(c, &s, headers, m);
    str_free(&url);
    text_copy(c->last_id, sizeof(c->last_id), s.sse.last_id);
    sse_deinit(&s.sse);
    return r == ERR_CLOSED ? ERR_UNAVAILABLE : r;
}

int http_client_lines(struct http_client *c, long *ret_status, const char *path, const struct http_lines *lines,
                      struct errmsg *m)
{
    struct stream s = { .feed = lines_feed,
                        .line = STR_WITH_MAX(lines->line_bytes_max),
                        .on_line = lines->on_line,
                        .on_idle = lines->on_idle,
                        .opaque = lines->opaque,
                        .silence_ms_max = lines->silence_ms_max };
    struct str url = STR_WITH_MAX(8192);
    int r;

    str_addf(&url, "%s%s", c->origin, path);
    r = stream_run(c, &s, client_prepare(c, c->origin, url.buf, NULL), m);
    *ret_status = s.status;
    str_free(&url);
    str_free(&s.line);
    return r;
}
