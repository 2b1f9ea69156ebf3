/* relay - see relay.h. */
#include "channel/relay.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "kafka/admin.h"

#define QUEUE_BYTES_MAX (16 * 1024 * 1024) /* records that the member has not taken: the stream waits above */
#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 1000
#define TROUBLE_LASTS_MS 5000

struct relay_item {
    struct relay_item *next;
    int64_t offset; /* of a record; the position itself */
    char *key;      /* NULL: a position */
    char *value;    /* NULL: gone */
    size_t value_len;
};

struct relay_post { /* a report on its way */
    struct relay_post *next;
    uint64_t token;
    char *json;
    size_t len;
};

struct relay_acked {
    struct relay_acked *next;
    struct kafka_appended it;
};

static struct relay *relay_of(struct channel *c)
{
    return (struct relay *)c;
}

/* --- what both threads say ---------------------------------------------------------------------------------------- */

void relay_trouble(struct relay *r, int error, const char *text)
{
    pthread_mutex_lock(&r->lock);
    if (r->trouble_ms == 0)
        r->trouble_ms = clock_ms();
    r->trouble_error = error;
    snprintf(r->trouble, sizeof(r->trouble), "%.500s", text);
    pthread_mutex_unlock(&r->lock);
}

void relay_good(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    r->trouble_ms = 0;
    r->trouble_told = false;
    pthread_mutex_unlock(&r->lock);
}

bool relay_stopping(struct relay *r)
{
    bool ret;

    pthread_mutex_lock(&r->lock);
    ret = r->stopping;
    pthread_mutex_unlock(&r->lock);
    return ret;
}

bool relay_wants(struct relay *r, int generation)
{
    bool ret;

    pthread_mutex_lock(&r->lock);
    ret = !r->stopping && r->generation == generation;
    pthread_mutex_unlock(&r->lock);
    return ret;
}

void relay_leave(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    r->generation++;
    pthread_mutex_unlock(&r->lock);
}

void relay_wait(struct relay *r, int64_t until_ms)
{
    const struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    pthread_cond_timedwait(&r->changed, &r->lock, &at);
}

void relay_rest(struct relay *r, int64_t ms)
{
    pthread_mutex_lock(&r->lock);
    if (!r->stopping)
        relay_wait(r, clock_ms() + ms);
    pthread_mutex_unlock(&r->lock);
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

static void item_free(struct relay_item *item)
{
    if (!item)
        return;
    free(item->key);
    free(item->value);
    free(item);
}

static void items_drop(struct relay *r)
{
    while (r->items) {
        struct relay_item *item = r->items;

        r->items = item->next;
        item_free(item);
    }
    r->items_end = &r->items;
    r->item_bytes = 0;
    r->taken_count = r->put_count;
}

void relay_drop(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    items_drop(r);
    pthread_mutex_unlock(&r->lock);
}

static bool item_put_take(struct relay *r, int generation, struct relay_item *item)
{
    bool wanted;

    pthread_mutex_lock(&r->lock);
    while (r->item_bytes > QUEUE_BYTES_MAX && !r->stopping && r->generation == generation)
        relay_wait(r, clock_ms() + 1000);
    wanted = !r->stopping && r->generation == generation;
    if (wanted) {
        *r->items_end = item;
        r->items_end = &item->next;
        r->item_bytes += sizeof(*item) + item->value_len;
        r->put_count++;
        item = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    item_free(item);
    kafka_eventfd_ring(r->wake_fd);
    return wanted;
}

bool relay_put(struct relay *r, int generation, int64_t offset, const char *key, size_t key_len, const char *value,
               size_t value_len)
{
    struct relay_item *item = calloc(1, sizeof(*item));

    if (item) {
        item->offset = offset;
        item->key = strndup(key, key_len);
        item->value = value ? malloc(value_len + 1) : NULL;
    }
    if (!item || !item->key || (value && !item->value)) {
        item_free(item);
        return false; /* the stream ends, and begins anew */
    }
    if (value) {
        memcpy(item->value, value, value_len);
        item->value[value_len] = '\0';
        item->value_len = value_len;
    }
    return item_put_take(r, generation, item);
}

bool relay_put_position(struct relay *r, int generation, int64_t position)
{
    struct relay_item *item = calloc(1, sizeof(*item));

    if (!item)
        return false;
    item->offset = position;
    return item_put_take(r, generation, item);
}

static void *stream_run(void *opaque)
{
    struct relay *r = opaque;
    unsigned chance = (unsigned)clock_us();
    int64_t retry_ms = RETRY_MS_MIN;

    pthread_setname_np(pthread_self(), "baton-stream");
    while (!relay_stopping(r)) {
        struct errmsg m = { 0 };
        const int64_t began_ms = clock_ms();
        int generation, e;

        pthread_mutex_lock(&r->lock);
        generation = r->generation;
        pthread_mutex_unlock(&r->lock);
        e = r->ops->stream(r, generation, &m);
        if (e == ERR_OK)
            continue; /* it was told to end */
        log_debug("stream_broke", "error=\"%s\", trying again", m.text);
        relay_trouble(r, e, m.text);
        if (clock_ms() - began_ms > RETRY_MS_MAX)
            retry_ms = RETRY_MS_MIN; /* it had worked */
        /* half of it is chance: ten thousand members do not come back to a controller in one moment */
        relay_rest(r, retry_ms / 2 + rand_r(&chance) % (retry_ms / 2));
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

int relay_answer(int status, const char *body, size_t len, int64_t *ret_end, struct errmsg *m)
{
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *end = json_object_get(json, "end");
    const char *text = json_string_value(json_object_get(json_object_get(json, "error"), "message"));
    int r = error_of(status);

    if (r < 0)
        err_set(m, r, "status %d: %.300s", status, text ? text : body);
    else if (ret_end && (!json_is_integer(end) || json_integer_value(end) < 0))
        r = err_set(m, ERR_CORRUPT, "the controller's answer to 'where does the log end' cannot be read");
    else if (ret_end)
        *ret_end = json_integer_value(end);
    json_decref(json);
    return r;
}

static void post_free(struct relay_post *p)
{
    free(p->json);
    free(p);
}

static void ack_put(struct relay *r, uint64_t token, int error)
{
    struct relay_acked *a = calloc(1, sizeof(*a));

    ASSERT(a != NULL);
    a->it = (struct kafka_appended){ .token = token, .error = error, .offset = -1 };
    pthread_mutex_lock(&r->lock);
    *r->acks_end = a;
    r->acks_end = &a->next;
    pthread_mutex_unlock(&r->lock);
    kafka_eventfd_ring(r->wake_fd);
}

static void post_send(struct relay *r, struct relay_post *p)
{
    struct errmsg m = { 0 };
    const int e = r->ops->post(r, p->json, p->len, &m);

    if (e < 0) {
        log_debug("report_failed", "error=\"%s\"", m.text);
        relay_trouble(r, e, m.text);
    }
    ack_put(r, p->token, e);
}

/* Under the lock. */
static bool questions_begin(struct relay *r)
{
    bool any = false;

    for (int i = 0; i < RELAY_QUESTIONS_MAX; i++) {
        if (r->questions[i].state != QUESTION_NEW)
            continue;
        r->questions[i].state = QUESTION_ASKED;
        any = true;
    }
    return any;
}

/* One answer for all that were asked before the request went out. */
static void questions_ask(struct relay *r)
{
    struct errmsg m = { 0 };
    int64_t end = 0;
    const int e = r->ops->end(r, &end, &m);

    if (e < 0)
        relay_trouble(r, e, m.text);
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < RELAY_QUESTIONS_MAX; i++) {
        if (r->questions[i].state != QUESTION_ASKED)
            continue;
        r->questions[i].state = e < 0 ? QUESTION_FAILED : QUESTION_ANSWERED;
        r->questions[i].end = end;
        r->questions[i].put_count = r->put_count;
    }
    if (e == ERR_OK && end < r->position) {
        for (int i = 0; i < RELAY_QUESTIONS_MAX; i++)
            if (r->questions[i].state != QUESTION_FREE)
                r->questions[i].state = QUESTION_FAILED;
        r->restarted = true;
        r->generation++;
        items_drop(r);
    }
    pthread_mutex_unlock(&r->lock);
    kafka_eventfd_ring(r->wake_fd);
}

static void *request_run(void *opaque)
{
    struct relay *r = opaque;

    pthread_setname_np(pthread_self(), "baton-reports");
    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        struct relay_post *p = r->posts;

        if (p) {
            r->posts = p->next;
            if (!r->posts)
                r->posts_end = &r->posts;
            r->posting = true;
            pthread_mutex_unlock(&r->lock);
            post_send(r, p);
            post_free(p);
            pthread_mutex_lock(&r->lock);
            r->posting = false;
            pthread_cond_broadcast(&r->changed);
        } else if (questions_begin(r)) {
            pthread_mutex_unlock(&r->lock);
            questions_ask(r);
            pthread_mutex_lock(&r->lock);
        } else {
            relay_wait(r, clock_ms() + 10000);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* --- the member's side -------------------------------------------------------------------------------------------- */

static void record_give(const struct relay_item *item, void (*on_record)(void *opaque, const struct kafka_record *rec),
                        void *opaque)
{
    on_record(opaque, &(struct kafka_record){ .key = item->key,
                                              .key_len = strlen(item->key),
                                              .value = item->value,
                                              .value_len = item->value_len,
                                              .offset = item->offset });
}

int relay_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
               void *opaque, struct errmsg *m)
{
    struct relay *r = relay_of(c);
    int count = 0, e = ERR_OK;

    pthread_mutex_lock(&r->lock);
    if (r->restarted) {
        r->restarted = false;
        r->position = 0;
        e = err_set(m, ERR_CORRUPT, "the control log ends before what was read of it: it was made anew");
    }
    while (count < max && r->items && e == ERR_OK) {
        struct relay_item *item = r->items;

        r->items = item->next;
        if (!r->items)
            r->items_end = &r->items;
        r->item_bytes -= sizeof(*item) + item->value_len;
        r->taken_count++;
        if (!item->key && item->offset > r->position)
            r->position = item->offset;
        pthread_mutex_unlock(&r->lock);
        if (item->key) {
            record_give(item, on_record, opaque);
            count++;
        }
        item_free(item);
        pthread_mutex_lock(&r->lock);
    }
    if (r->items)
        kafka_eventfd_ring(r->wake_fd);
    if (e == ERR_OK && count == 0 && r->trouble_ms != 0 && !r->trouble_told &&
        clock_ms() - r->trouble_ms >= TROUBLE_LASTS_MS) {
        r->trouble_told = true;
        e = err_set(m, ERR_UNAVAILABLE, "%s", r->trouble);
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return e < 0 ? e : count;
}

int64_t relay_position(const struct channel *c)
{
    return ((const struct relay *)c)->position; /* only relay_poll() changes it, in this thread */
}

void relay_ask_end(struct channel *c, uint64_t token, int timeout_ms)
{
    struct relay *r = relay_of(c);
    struct relay_question *q = NULL;

    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < RELAY_QUESTIONS_MAX; i++)
        if (r->questions[i].state != QUESTION_FREE && r->questions[i].token == token)
            q = &r->questions[i];
    for (int i = 0; i < RELAY_QUESTIONS_MAX && !q; i++)
        if (r->questions[i].state == QUESTION_FREE)
            q = &r->questions[i];
    ASSERT(q != NULL);
    *q = (struct relay_question){ .state = QUESTION_NEW, .token = token, .deadline_ms = clock_ms() + timeout_ms };
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

enum kafka_end relay_end(struct channel *c, uint64_t token, int64_t *ret_end)
{
    struct relay *r = relay_of(c);
    enum kafka_end ret = KAFKA_END_FAILED;

    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < RELAY_QUESTIONS_MAX; i++) {
        struct relay_question *q = &r->questions[i];

        if (q->state == QUESTION_FREE || q->token != token)
            continue;
        ret = KAFKA_END_PENDING;
        if (q->state == QUESTION_ANSWERED && r->position >= q->end && r->taken_count >= q->put_count)
            ret = KAFKA_END_REACHED;
        else if (q->state == QUESTION_FAILED || clock_ms() >= q->deadline_ms)
            ret = KAFKA_END_FAILED;
        if (ret == KAFKA_END_REACHED && ret_end)
            *ret_end = q->end;
        if (ret != KAFKA_END_PENDING)
            q->state = QUESTION_FREE;
        break;
    }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int relay_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len, struct errmsg *m)
{
    struct relay *r = relay_of(c);
    struct relay_post *p = calloc(1, sizeof(*p));

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
    pthread_mutex_lock(&r->lock);
    *r->posts_end = p;
    r->posts_end = &p->next;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return ERR_OK;
}

bool relay_reported(struct channel *c, struct kafka_appended *ret)
{
    struct relay *r = relay_of(c);
    struct relay_acked *a;

    pthread_mutex_lock(&r->lock);
    a = r->acks;
    if (a) {
        r->acks = a->next;
        if (!r->acks)
            r->acks_end = &r->acks;
    }
    pthread_mutex_unlock(&r->lock);
    if (!a)
        return false;
    *ret = a->it;
    free(a);
    return true;
}

struct kafka_handle *relay_handle(struct channel *c)
{
    return &relay_of(c)->handle;
}

int relay_in_trouble(struct channel *c, struct errmsg *m)
{
    struct relay *r = relay_of(c);
    int e = ERR_OK;

    pthread_mutex_lock(&r->lock);
    if (r->trouble_ms != 0)
        e = err_set(m, r->trouble_error, "%s", r->trouble);
    pthread_mutex_unlock(&r->lock);
    return e;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void relay_init(struct relay *r, const struct channel_ops *channel, const struct relay_ops *ops,
                const struct channel_config *config)
{
    pthread_condattr_t attr;

    r->channel.ops = channel;
    r->ops = ops;
    r->wake_fd = config->wake_fd;
    r->items_end = &r->items;
    r->posts_end = &r->posts;
    r->acks_end = &r->acks;
    text_copy(r->fleet, sizeof(r->fleet), config->fleet);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* as clock_ms() */
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
}

void relay_deinit(struct relay *r)
{
    items_drop(r);
    while (r->posts) {
        struct relay_post *p = r->posts;

        r->posts = p->next;
        post_free(p);
    }
    while (r->acks) {
        struct relay_acked *a = r->acks;

        r->acks = a->next;
        free(a);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}

int relay_brokers_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    struct kafka_handle probe;
    int e = kafka_asker_open(&probe, config->kafka, config->fleet, m);

    if (e < 0)
        return e;
    e = kafka_handle_connect(&probe, timeout_ms, m);
    kafka_handle_close(&probe);
    return e;
}

static void record_ignore(void *opaque, const struct kafka_record *rec)
{
    (void)opaque;
    (void)rec;
}

static int end_reach(struct channel *c, int timeout_ms, const char *why, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + timeout_ms;
    enum kafka_end state = KAFKA_END_PENDING;

    relay_ask_end(c, 1, timeout_ms);
    while (state == KAFKA_END_PENDING && clock_ms() < until_ms) {
        relay_rest(relay_of(c), 20);
        relay_poll(c, 1000, record_ignore, NULL, m);
        state = relay_end(c, 1, NULL);
    }
    if (state == KAFKA_END_REACHED)
        return ERR_OK;
    return relay_in_trouble(c, m) < 0 ? relay_in_trouble(c, m) : err_set(m, ERR_TIMEOUT, "%s", why);
}

int relay_reach(const struct channel_ops *way, const struct channel_config *config, int timeout_ms, const char *name,
                const char *why, struct errmsg *m)
{
    struct channel *c;
    int e = way->open(&c, config, m);

    if (e == ERR_OK) {
        e = end_reach(c, timeout_ms, why, m);
        way->close(c, 0);
    }
    return e < 0 ? err_wrap(m, e, "baton.channel=%s", name) : relay_brokers_reach(config, timeout_ms, m);
}

int relay_open(struct channel **ret, struct relay *r, const struct channel_config *config, struct errmsg *m)
{
    int e = kafka_asker_open(&r->handle, config->kafka, config->fleet, m);

    r->handle_open = e == ERR_OK;
    if (e == ERR_OK)
        e = thread_start(&r->stream_thread, &r->stream_runs, stream_run, r, m);
    if (e == ERR_OK)
        e = thread_start(&r->request_thread, &r->request_runs, request_run, r, m);
    if (e < 0)
        r->channel.ops->close(&r->channel, 0);
    else
        *ret = &r->channel;
    return e;
}

void relay_stop(struct relay *r, int flush_ms)
{
    const int64_t until_ms = clock_ms() + flush_ms;

    pthread_mutex_lock(&r->lock);
    while (r->request_runs && (r->posts || r->posting) && clock_ms() < until_ms)
        relay_wait(r, until_ms);
    r->stopping = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->stream_runs)
        pthread_join(r->stream_thread, NULL);
    if (r->request_runs)
        pthread_join(r->request_thread, NULL);
    r->stream_runs = r->request_runs = false;
    if (r->handle_open)
        kafka_handle_close(&r->handle);
    r->handle_open = false;
}
