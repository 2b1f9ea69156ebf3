/*
 * http - a controller reads the control log for the member, and writes its reports (docs/channels.md).
 *
 * Two threads of its own, each with blocking requests (http/client.h): one holds the stream of records and lines them up, the
 * other posts reports and asks for the log's end, one after the other, so that reports keep their order. The member's thread
 * only takes from queues and puts into them.
 *
 * Any controller will do, leader or follower; the servers are tried in turn, from the one that answered last on. A
 * stream begins with the fleet's newest records, so a stream that broke costs nothing but time. Positions only grow: a
 * controller that is behind the one before repeats what is known, and its positions count once they are news.
 *
 * The end of a log never lies below a position that was seen. When it does, the topic has been made anew: the log is
 * handed out again from its beginning, and channel_poll() says so.
 */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "channel/channel.h"
#include "http/client.h"
#include "kafka/admin.h"

#define QUESTIONS_MAX 64
#define QUEUE_BYTES_MAX (16 * 1024 * 1024) /* records that the member has not taken: the stream waits above */
#define REQUEST_MS_MAX 3000
#define CONNECT_MS_MAX 1000
#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 1000
#define TROUBLE_LASTS_MS 5000
#define SERVER_MAX 300

enum item_kind { ITEM_RECORD, ITEM_GONE, ITEM_POSITION };
struct item {
    struct item *next;
    enum item_kind kind;
    int64_t offset; /* of a record; the position itself */
    char *key;      /* NULL for a position */
    char *value;    /* NULL for what is gone */
    size_t value_len;
};

struct post { /* a report on its way */
    struct post *next;
    uint64_t token;
    char *json;
    size_t len;
};

struct acked {
    struct acked *next;
    struct kafka_appended it;
};

enum question_state { QUESTION_FREE, QUESTION_NEW, QUESTION_ASKED, QUESTION_ANSWERED, QUESTION_FAILED };
struct question {
    enum question_state state;
    uint64_t token;
    int64_t deadline_ms;
    int64_t end; /* of QUESTION_ANSWERED */
};

struct way {
    struct channel channel; /* first */
    struct kafka_handle handle;
    bool handle_open;
    char fleet[FLEET_NAME_MAX + 1];
    char servers[CHANNEL_SERVERS_MAX][SERVER_MAX];
    int server_count;
    struct http_client *streams[CHANNEL_SERVERS_MAX], *requests[CHANNEL_SERVERS_MAX];
    int wake_fd;
    pthread_t stream_thread, request_thread;
    bool stream_runs, request_runs;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int generation;    /* of the stream: raised, the one that runs ends, and what it still brings is thrown away */
    int stream_server; /* it is with this one */
    int good;          /* the server that answered last */
    struct item *items, **items_end;
    size_t item_bytes;
    struct post *posts, **posts_end;
    bool posting;
    struct acked *acks, **acks_end;
    struct question questions[QUESTIONS_MAX];
    bool restarted; /* to be told by the next poll */
    int64_t position;
    int64_t trouble_ms; /* since when; 0: none */
    bool trouble_told;
    char trouble[512];
};

static struct way *way_of(struct channel *c)
{
    return (struct way *)c;
}

/* --- what both threads say ---------------------------------------------------------------------------------------- */

static void note_trouble(struct way *w, const char *text)
{
    pthread_mutex_lock(&w->lock);
    if (w->trouble_ms == 0)
        w->trouble_ms = clock_ms();
    snprintf(w->trouble, sizeof(w->trouble), "%.500s", text);
    pthread_mutex_unlock(&w->lock);
}

static void note_good(struct way *w, int server)
{
    pthread_mutex_lock(&w->lock);
    w->good = server;
    w->trouble_ms = 0;
    w->trouble_told = false;
    pthread_mutex_unlock(&w->lock);
}

static bool stopping(struct way *w)
{
    bool ret;

    pthread_mutex_lock(&w->lock);
    ret = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return ret;
}

/* Until something changes, or so long. Under the lock. */
static void rest(struct way *w, int64_t ms)
{
    const int64_t until_ms = clock_ms() + ms;
    const struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    pthread_cond_timedwait(&w->changed, &w->lock, &at);
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

static void item_free(struct item *item)
{
    if (!item)
        return;
    free(item->key);
    free(item->value);
    free(item);
}

static void items_drop(struct way *w)
{
    while (w->items) {
        struct item *item = w->items;

        w->items = item->next;
        item_free(item);
    }
    w->items_end = &w->items;
    w->item_bytes = 0;
}

struct stream {
    struct way *w;
    int server, generation;
};

/* False: the stream is to end. */
static bool item_put(const struct stream *s, struct item *item)
{
    struct way *w = s->w;
    bool wanted;

    pthread_mutex_lock(&w->lock);
    while (w->item_bytes > QUEUE_BYTES_MAX && !w->stopping && w->generation == s->generation)
        rest(w, 1000);
    wanted = !w->stopping && w->generation == s->generation;
    if (wanted) {
        *w->items_end = item;
        w->items_end = &item->next;
        w->item_bytes += sizeof(*item) + item->value_len;
        item = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    item_free(item);
    kafka_eventfd_ring(w->wake_fd);
    return wanted;
}

/* "OFFSET KEY" and, of a record, a line end and the record's own text. NULL: not that. */
static struct item *item_parse(enum item_kind kind, const char *data)
{
    struct item *item = calloc(1, sizeof(*item));
    char *rest = NULL;
    size_t key_len;

    if (!item)
        return NULL;
    item->kind = kind;
    item->offset = strtoll(data, &rest, 10);
    if (rest == data || item->offset < 0)
        goto no;
    if (kind == ITEM_POSITION)
        return item;
    if (*rest != ' ')
        goto no;
    rest++;
    key_len = strcspn(rest, "\n");
    item->key = strndup(rest, key_len);
    if (!item->key || (kind == ITEM_RECORD) != (rest[key_len] == '\n'))
        goto no;
    if (kind == ITEM_RECORD) {
        item->value = strdup(rest + key_len + 1);
        if (!item->value)
            goto no;
        item->value_len = strlen(item->value);
    }
    return item;
no:
    item_free(item);
    return NULL;
}

static bool on_event(void *opaque, const char *id, const char *type, const char *data)
{
    static const char *const kinds[] = { "record", "gone", "position" };
    struct stream *s = opaque;

    (void)id;
    for (int kind = ITEM_RECORD; kind <= ITEM_POSITION; kind++) {
        struct item *item;

        if (strcmp(type, kinds[kind]) != 0)
            continue;
        item = item_parse((enum item_kind)kind, data);
        if (!item) {
            note_trouble(s->w, "the controller sent an event that cannot be read");
            return false;
        }
        if (kind == ITEM_POSITION)
            note_good(s->w, s->server);
        return item_put(s, item);
    }
    return true; /* a newer controller's */
}

static bool on_idle(void *opaque)
{
    const struct stream *s = opaque;
    bool go_on;

    pthread_mutex_lock(&s->w->lock);
    go_on = !s->w->stopping && s->w->generation == s->generation;
    pthread_mutex_unlock(&s->w->lock);
    return go_on;
}

static void *stream_run(void *opaque)
{
    struct way *w = opaque;
    struct stream s = { .w = w };
    int64_t retry_ms = RETRY_MS_MIN;
    char path[FLEET_NAME_MAX + 40];

    pthread_setname_np(pthread_self(), "baton-stream");
    snprintf(path, sizeof(path), "/v1/fleets/%s/log", w->fleet);
    for (; !stopping(w); s.server = (s.server + 1) % w->server_count) {
        struct errmsg m = { 0 };
        const int64_t began_ms = clock_ms();
        int r;

        pthread_mutex_lock(&w->lock);
        w->stream_server = s.server;
        s.generation = w->generation;
        pthread_mutex_unlock(&w->lock);
        r = http_client_events(w->streams[s.server], path, on_event, on_idle, &s, &m);
        if (r == ERR_OK)
            continue; /* it was told to end */
        log_debug("stream_broke", "error=\"%s\", trying the next controller", m.text);
        note_trouble(w, m.text);
        if (clock_ms() - began_ms > RETRY_MS_MAX)
            retry_ms = RETRY_MS_MIN; /* it had worked */
        pthread_mutex_lock(&w->lock);
        if (!w->stopping)
            rest(w, retry_ms);
        pthread_mutex_unlock(&w->lock);
        retry_ms = retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : retry_ms * 2;
    }
    return NULL;
}

/* --- reports and questions ---------------------------------------------------------------------------------------- */

static int error_of(int status)
{
    switch (status) {
    case 200:
    case 204:
        return ERR_OK;
    case 400:
    case 413:
    case 422:
        return ERR_INVALID;
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* The message of {"error": {"message": ...}}, or as much as there is. */
static void refusal_text(char *ret, size_t ret_size, const struct http_reply *reply)
{
    json_t *json = json_loadb(reply->body, reply->body_len, 0, NULL);
    const char *text = json_string_value(json_object_get(json_object_get(json, "error"), "message"));

    snprintf(ret, ret_size, "status %d: %.300s", reply->status, text ? text : reply->body);
    json_decref(json);
}

/* One that answers no request is not waited for to notice that its stream is dead, too. */
static void stream_leave(struct way *w, int server)
{
    pthread_mutex_lock(&w->lock);
    if (w->stream_server == server && w->server_count > 1)
        w->generation++;
    pthread_mutex_unlock(&w->lock);
}

/*
 * One request, at the server that answered last, else at the others. A report that was taken by two of them stands in the log
 * twice, the same: no harm. ERR_OK with a 2xx reply only.
 */
static int request(struct way *w, struct http_reply *ret, const char *method, const char *path, const char *body,
                   size_t len, struct errmsg *m)
{
    int good, r = ERR_UNAVAILABLE;
    char why[400];

    pthread_mutex_lock(&w->lock);
    good = w->good;
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->server_count && r == ERR_UNAVAILABLE && !stopping(w); i++) {
        const int server = (good + i) % w->server_count;

        r = http_client_request(w->requests[server], ret, method, path, body ? "application/json" : NULL, body, len, m);
        if (r == ERR_UNAVAILABLE || r == ERR_TIMEOUT) {
            r = ERR_UNAVAILABLE;
            stream_leave(w, server);
        }
        if (r < 0)
            continue;
        r = error_of(ret->status);
        if (r == ERR_OK) {
            note_good(w, server);
            return r;
        }
        refusal_text(why, sizeof(why), ret);
        http_reply_free(ret);
        r = err_set(m, r, "%s refuses %s %s: %s", w->servers[server], method, path, why);
    }
    note_trouble(w, m->text);
    return r;
}

static void post_free(struct post *p)
{
    free(p->json);
    free(p);
}

static void ack_put(struct way *w, uint64_t token, int error)
{
    struct acked *a = calloc(1, sizeof(*a));

    ASSERT(a != NULL);
    a->it = (struct kafka_appended){ .token = token, .error = error, .offset = -1 };
    pthread_mutex_lock(&w->lock);
    *w->acks_end = a;
    w->acks_end = &a->next;
    pthread_mutex_unlock(&w->lock);
    kafka_eventfd_ring(w->wake_fd);
}

static void post_send(struct way *w, struct post *p)
{
    struct http_reply reply = { 0 };
    struct errmsg m = { 0 };
    char path[FLEET_NAME_MAX + 40];
    int r;

    snprintf(path, sizeof(path), "/v1/fleets/%s/reports", w->fleet);
    r = request(w, &reply, "POST", path, p->json, p->len, &m);
    if (r < 0)
        log_debug("report_failed", "error=\"%s\"", m.text);
    http_reply_free(&reply);
    ack_put(w, p->token, r);
}

static int end_read(struct way *w, int64_t *ret)
{
    struct http_reply reply = { 0 };
    struct errmsg m = { 0 };
    char path[FLEET_NAME_MAX + 40];
    json_t *json, *end;
    int r;

    snprintf(path, sizeof(path), "/v1/fleets/%s/log/end", w->fleet);
    r = request(w, &reply, "GET", path, NULL, 0, &m);
    if (r < 0)
        return r;
    json = json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, NULL);
    end = json_object_get(json, "end");
    r = json_is_integer(end) && json_integer_value(end) >= 0 ? ERR_OK : ERR_CORRUPT;
    *ret = json_integer_value(end);
    if (r < 0)
        note_trouble(w, "the controller's answer to 'where does the log end' cannot be read");
    json_decref(json);
    http_reply_free(&reply);
    return r;
}

/* Under the lock. */
static bool questions_begin(struct way *w)
{
    bool any = false;

    for (int i = 0; i < QUESTIONS_MAX; i++) {
        if (w->questions[i].state != QUESTION_NEW)
            continue;
        w->questions[i].state = QUESTION_ASKED;
        any = true;
    }
    return any;
}

/* One answer for all that were asked before the request went out. */
static void questions_ask(struct way *w)
{
    int64_t end = 0;
    const int r = end_read(w, &end);

    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        if (w->questions[i].state != QUESTION_ASKED)
            continue;
        w->questions[i].state = r < 0 ? QUESTION_FAILED : QUESTION_ANSWERED;
        w->questions[i].end = end;
    }
    if (r == ERR_OK && end < w->position) {
        for (int i = 0; i < QUESTIONS_MAX; i++)
            if (w->questions[i].state != QUESTION_FREE)
                w->questions[i].state = QUESTION_FAILED;
        w->restarted = true;
        w->generation++;
        items_drop(w);
    }
    pthread_mutex_unlock(&w->lock);
    kafka_eventfd_ring(w->wake_fd);
}

static void *request_run(void *opaque)
{
    struct way *w = opaque;

    pthread_setname_np(pthread_self(), "baton-reports");
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct post *p = w->posts;

        if (p) {
            w->posts = p->next;
            if (!w->posts)
                w->posts_end = &w->posts;
            w->posting = true;
            pthread_mutex_unlock(&w->lock);
            post_send(w, p);
            post_free(p);
            pthread_mutex_lock(&w->lock);
            w->posting = false;
            pthread_cond_broadcast(&w->changed);
        } else if (questions_begin(w)) {
            pthread_mutex_unlock(&w->lock);
            questions_ask(w);
            pthread_mutex_lock(&w->lock);
        } else {
            rest(w, 10000);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- the member's side -------------------------------------------------------------------------------------------- */

static void record_give(const struct item *item, void (*on_record)(void *opaque, const struct kafka_record *rec),
                        void *opaque)
{
    on_record(opaque, &(struct kafka_record){ .key = item->key,
                                              .key_len = strlen(item->key),
                                              .value = item->value,
                                              .value_len = item->value_len,
                                              .offset = item->offset });
}

static int way_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                    void *opaque, struct errmsg *m)
{
    struct way *w = way_of(c);
    int count = 0, r = ERR_OK;

    pthread_mutex_lock(&w->lock);
    if (w->restarted) {
        w->restarted = false;
        w->position = 0;
        r = err_set(m, ERR_CORRUPT, "the control log ends before what was read of it: it was made anew");
    }
    while (count < max && w->items && r == ERR_OK) {
        struct item *item = w->items;

        w->items = item->next;
        if (!w->items)
            w->items_end = &w->items;
        w->item_bytes -= sizeof(*item) + item->value_len;
        if (item->kind == ITEM_POSITION && item->offset > w->position)
            w->position = item->offset;
        pthread_mutex_unlock(&w->lock);
        if (item->kind != ITEM_POSITION) {
            record_give(item, on_record, opaque);
            count++;
        }
        item_free(item);
        pthread_mutex_lock(&w->lock);
    }
    if (w->items)
        kafka_eventfd_ring(w->wake_fd);
    if (r == ERR_OK && count == 0 && w->trouble_ms != 0 && !w->trouble_told &&
        clock_ms() - w->trouble_ms >= TROUBLE_LASTS_MS) {
        w->trouble_told = true;
        r = err_set(m, ERR_UNAVAILABLE, "%s", w->trouble);
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return r < 0 ? r : count;
}

static int64_t way_position(const struct channel *c)
{
    return ((const struct way *)c)->position; /* only way_poll() changes it, in this thread */
}

static void way_ask_end(struct channel *c, uint64_t token, int timeout_ms)
{
    struct way *w = way_of(c);
    struct question *q = NULL;

    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < QUESTIONS_MAX; i++)
        if (w->questions[i].state != QUESTION_FREE && w->questions[i].token == token)
            q = &w->questions[i];
    for (int i = 0; i < QUESTIONS_MAX && !q; i++)
        if (w->questions[i].state == QUESTION_FREE)
            q = &w->questions[i];
    ASSERT(q != NULL);
    *q = (struct question){ .state = QUESTION_NEW, .token = token, .deadline_ms = clock_ms() + timeout_ms };
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static enum kafka_end way_end(struct channel *c, uint64_t token, int64_t *ret_end)
{
    struct way *w = way_of(c);
    enum kafka_end ret = KAFKA_END_FAILED;

    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        struct question *q = &w->questions[i];

        if (q->state == QUESTION_FREE || q->token != token)
            continue;
        ret = KAFKA_END_PENDING;
        if (q->state == QUESTION_ANSWERED && w->position >= q->end)
            ret = KAFKA_END_REACHED;
        else if (q->state == QUESTION_FAILED || clock_ms() >= q->deadline_ms)
            ret = KAFKA_END_FAILED;
        if (ret == KAFKA_END_REACHED && ret_end)
            *ret_end = q->end;
        if (ret != KAFKA_END_PENDING)
            q->state = QUESTION_FREE;
        break;
    }
    pthread_mutex_unlock(&w->lock);
    return ret;
}

static int way_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len,
                      struct errmsg *m)
{
    struct way *w = way_of(c);
    struct post *p = calloc(1, sizeof(*p));

    (void)key; /* the controller makes it of what the report says */
    if (p)
        p->json = malloc(len + 1);
    if (!p || !p->json) {
        free(p);
        return err_set(m, ERR_NOMEM, "report");
    }
    memcpy(p->json, json, len);
    p->json[len] = '\0';
    p->len = len;
    p->token = token;
    pthread_mutex_lock(&w->lock);
    *w->posts_end = p;
    w->posts_end = &p->next;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return ERR_OK;
}

static bool way_reported(struct channel *c, struct kafka_appended *ret)
{
    struct way *w = way_of(c);
    struct acked *a;

    pthread_mutex_lock(&w->lock);
    a = w->acks;
    if (a) {
        w->acks = a->next;
        if (!w->acks)
            w->acks_end = &w->acks;
    }
    pthread_mutex_unlock(&w->lock);
    if (!a)
        return false;
    *ret = a->it;
    free(a);
    return true;
}

static struct kafka_handle *way_handle(struct channel *c)
{
    return &way_of(c)->handle;
}

static int way_trouble(struct channel *c, struct errmsg *m)
{
    struct way *w = way_of(c);
    int r = ERR_OK;

    pthread_mutex_lock(&w->lock);
    if (w->trouble_ms != 0)
        r = err_set(m, ERR_UNAVAILABLE, "%s", w->trouble);
    pthread_mutex_unlock(&w->lock);
    return r;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int servers_read(struct way *w, const char *list, struct errmsg *m)
{
    while (*list) {
        const size_t len = strcspn(list, ",");

        if (w->server_count == CHANNEL_SERVERS_MAX)
            return err_set(m, ERR_TOO_LARGE, "more than %d controllers are named", CHANNEL_SERVERS_MAX);
        if (len == 0 || len >= SERVER_MAX)
            return err_set(m, ERR_INVALID, "'%s' is no list of controllers, such as http://10.0.0.5:8080", list);
        memcpy(w->servers[w->server_count], list, len);
        w->servers[w->server_count++][len] = '\0';
        list += len + (list[len] == ',');
    }
    return w->server_count > 0
               ? ERR_OK
               : err_set(m, ERR_INVALID, "no controller is named: such as http://10.0.0.5:8080,http://10.0.0.6:8080");
}

static int clients_open(struct way *w, const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    int r = servers_read(w, config->servers, m);

    for (int i = 0; i < w->server_count && r == ERR_OK; i++) {
        const struct http_client_config http = { .server = w->servers[i],
                                                 .token_file = config->token_file[0] ? config->token_file : NULL,
                                                 .ca_file = config->ca_file[0] ? config->ca_file : NULL,
                                                 .connect_ms = CONNECT_MS_MAX,
                                                 .timeout_ms = timeout_ms };

        r = http_client_open(&w->streams[i], &http, m);
        if (r == ERR_OK)
            r = http_client_open(&w->requests[i], &http, m);
    }
    return r;
}

static void clients_close(struct way *w)
{
    for (int i = 0; i < w->server_count; i++) {
        http_client_close(w->streams[i]);
        http_client_close(w->requests[i]);
    }
}

static struct way *way_new(const struct channel_config *config)
{
    struct way *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;

    if (!w)
        return NULL;
    w->channel.ops = &channel_http;
    w->wake_fd = config->wake_fd;
    w->items_end = &w->items;
    w->posts_end = &w->posts;
    w->acks_end = &w->acks;
    text_copy(w->fleet, sizeof(w->fleet), config->fleet);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* as clock_ms() */
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    return w;
}

static void way_free(struct way *w)
{
    clients_close(w);
    items_drop(w);
    while (w->posts) {
        struct post *p = w->posts;

        w->posts = p->next;
        post_free(p);
    }
    while (w->acks) {
        struct acked *a = w->acks;

        w->acks = a->next;
        free(a);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    struct way *w = way_new(config);
    struct http_reply reply = { 0 };
    struct kafka_handle probe;
    char path[FLEET_NAME_MAX + 40];
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    r = clients_open(w, config, REQUEST_MS_MAX < timeout_ms ? REQUEST_MS_MAX : timeout_ms, m);
    snprintf(path, sizeof(path), "/v1/fleets/%s/log/end", w->fleet);
    if (r == ERR_OK)
        r = request(w, &reply, "GET", path, NULL, 0, m);
    http_reply_free(&reply);
    way_free(w);
    if (r < 0)
        return err_wrap(m, r, "baton.channel=http");
    r = kafka_asker_open(&probe, config->kafka, config->fleet, m);
    if (r < 0)
        return r;
    r = kafka_handle_connect(&probe, timeout_ms, m);
    kafka_handle_close(&probe);
    return r;
}

static int threads_start(struct way *w, struct errmsg *m)
{
    sigset_t all, before;
    int r;

    sigfillset(&all); /* the host's signals are for the host's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&w->stream_thread, NULL, stream_run, w);
    w->stream_runs = r == 0;
    if (r == 0) {
        r = pthread_create(&w->request_thread, NULL, request_run, w);
        w->request_runs = r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? ERR_OK : err_set(m, ERR_IO, "start a thread: %s", strerror(r));
}

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = way_of(c);
    const int64_t until_ms = clock_ms() + flush_ms;

    pthread_mutex_lock(&w->lock);
    while (w->request_runs && (w->posts || w->posting) && clock_ms() < until_ms)
        rest(w, until_ms - clock_ms() + 1);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (w->stream_runs)
        pthread_join(w->stream_thread, NULL);
    if (w->request_runs)
        pthread_join(w->request_thread, NULL);
    if (w->handle_open)
        kafka_handle_close(&w->handle);
    way_free(w);
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    struct way *w = way_new(config);
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    r = clients_open(w, config, REQUEST_MS_MAX, m);
    if (r == ERR_OK)
        r = kafka_asker_open(&w->handle, config->kafka, config->fleet, m);
    w->handle_open = r == ERR_OK;
    if (r == ERR_OK)
        r = threads_start(w, m);
    if (r < 0) {
        way_close(&w->channel, 0);
        return r;
    }
    *ret = &w->channel;
    return ERR_OK;
}

const struct channel_ops channel_http = {
    .reach = way_reach,
    .open = way_open,
    .close = way_close,
    .poll = way_poll,
    .position = way_position,
    .ask_end = way_ask_end,
    .end = way_end,
    .report = way_report,
    .reported = way_reported,
    .handle = way_handle,
    .trouble = way_trouble,
};
