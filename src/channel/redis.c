/*
 * redis - the controller that leads keeps the fleet's records in a Redis, and takes requests from it (redis/keys.h,
 * docs/channels.md).
 *
 *     subscribe ---> read the stream ---> wait for the bell, a second at most ---> read what is new ---> ...
 *
 * Nothing that a Redis says is believed because it says so (PROTOCOL rule 3). It may have lost its newest writes, all of
 * them, or be somebody else's: records are judged as those of the log, a position tells up to where they are whole, and
 * whether that is far enough is decided by the log's end, which the controller reads from the brokers for each question and
 * answers to this question's own number, and for the edition of the stream that it has just written. So a Redis that went
 * back, or that holds another log's records, makes a member wait, and never go on.
 *
 * The bell only saves time: the stream is read every second without it. Another edition of the stream is read from its
 * beginning, whatever its ids are. A request that is not answered is handed in again; then the subscription is made anew,
 * since it is what answers come by.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "channel/petition.h"
#include "redis/client.h"
#include "redis/keys.h"
#include "wire/record.h"

#define READ_ENTRIES_MAX 16
#define READ_EVERY_MS 1000
#define LOOK_EVERY_MS 200 /* whether the stream is still wanted */
#define HAND_IN_EVERY_MS 1000
#define REQUEST_HEAD_MAX (REDIS_ANSWER_ID_LEN + FLEET_NAME_MAX + 60)

struct way {
    struct relay relay; /* first */
    char log[REDIS_KEY_MAX], bell[REDIS_KEY_MAX], answer[REDIS_KEY_MAX], requests[REDIS_KEY_MAX];
    char id[REDIS_ANSWER_ID_LEN + 1]; /* random: answers to others are not for us */
    pthread_mutex_t commands_lock;    /* before the relay's, if both */
    struct redis *commands;
    /* the stream thread's own */
    struct redis *listener;
    int64_t from,
        from_part; /* id to read from: behind the newest record, or the newest position, to see whether it is still there */
    char edition[PETITION_EDITION_MAX]; /* of the stream that was read; "": none yet */
    bool listening;                     /* under the relay's lock */
    struct petition petition;
};

static struct way *way_of(struct relay *r)
{
    return (struct way *)r;
}

/* --- reading the stream ------------------------------------------------------------------------------------------- */

static int command(struct way *w, redisReply **ret, int argc, const char **argv, const size_t *lens, struct errmsg *m)
{
    int e;

    pthread_mutex_lock(&w->commands_lock);
    e = redis_command(w->commands, ret, argc, argv, lens, m);
    pthread_mutex_unlock(&w->commands_lock);
    return e;
}

/* An entry of a stream: its id, and names and values in turn. */
struct entry {
    int64_t id, part;
    const redisReply *fields;
};

static bool entry_parse(struct entry *ret, const redisReply *reply)
{
    int end = 0;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY || reply->element[1]->elements % 2 != 0)
        return false;
    ret->fields = reply->element[1];
    for (size_t i = 0; i < ret->fields->elements; i++)
        if (ret->fields->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return sscanf(reply->element[0]->str, "%" SCNd64 "-%" SCNd64 "%n", &ret->id, &ret->part, &end) == 2 &&
           !reply->element[0]->str[end];
}

/* NULL: it has none of that name. */
static const redisReply *entry_field(const struct entry *e, const char *name)
{
    for (size_t i = 0; i < e->fields->elements; i += 2)
        if (strcmp(e->fields->element[i]->str, name) == 0)
            return e->fields->element[i + 1];
    return NULL;
}

enum taken { TAKEN, TAKEN_AS_LAST, TAKEN_OTHER_EDITION, TAKEN_NOT_WANTED, TAKEN_NOT_READABLE };

static enum taken position_take(struct way *w, int generation, const struct entry *e, const redisReply *edition)
{
    const bool known = w->from == e->id && w->from_part == e->part;

    w->from = e->id;
    w->from_part = e->part;
    if (strcmp(w->edition, edition->str) != 0) {
        snprintf(w->edition, sizeof(w->edition), "%.63s", edition->str);
        relay_drop(&w->relay);
        return TAKEN_OTHER_EDITION;
    }
    if (known)
        return TAKEN_AS_LAST;
    return petition_read(&w->petition, generation, w->edition, e->id) ? TAKEN_AS_LAST : TAKEN_NOT_WANTED;
}

static enum taken entry_take(struct way *w, int generation, const redisReply *reply)
{
    const redisReply *record, *text, *edition;
    struct entry e;

    if (!entry_parse(&e, reply))
        return TAKEN_NOT_READABLE;
    edition = entry_field(&e, "edition");
    if (edition)
        return position_take(w, generation, &e, edition);
    w->from = e.id;
    w->from_part = e.part + 1;
    record = entry_field(&e, "record");
    text = entry_field(&e, "text");
    if (!record != !text)
        return TAKEN_NOT_READABLE;
    if (!record)
        record = entry_field(&e, "gone");
    if (!record)
        return TAKEN; /* a newer controller's */
    return relay_put(&w->relay, generation, e.id, record->str, record->len, text ? text->str : NULL,
                     text ? text->len : 0)
               ? TAKEN
               : TAKEN_NOT_WANTED;
}

/* Which edition is about to be read? Its last entry says so. */
static int edition_read(struct way *w, struct errmsg *m)
{
    const char *argv[] = { "XREVRANGE", w->log, "+", "-", "COUNT", "1" };
    const redisReply *edition;
    redisReply *reply;
    struct entry e;
    const int r = command(w, &reply, ARRAY_COUNT(argv), argv, NULL, m);

    if (r < 0)
        return r;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && entry_parse(&e, reply->element[0])) {
        edition = entry_field(&e, "edition");
        snprintf(w->edition, sizeof(w->edition), "%.63s", edition ? edition->str : "");
    }
    redis_reply_free(reply);
    return r;
}

/* A part of what is new; *ret_more: there may be more of it. */
static int entries_read(struct way *w, int generation, bool *ret_more, struct errmsg *m)
{
    char from[48], count[12];
    const char *argv[] = { "XRANGE", w->log, from, "+", "COUNT", count };
    enum taken taken = TAKEN;
    redisReply *reply;
    size_t reply_count;
    int r;

    snprintf(from, sizeof(from), "%" PRId64 "-%" PRId64, w->from, w->from_part);
    snprintf(count, sizeof(count), "%d", READ_ENTRIES_MAX);
    r = command(w, &reply, ARRAY_COUNT(argv), argv, NULL, m);
    if (r < 0)
        return r;
    reply_count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    *ret_more = reply_count == READ_ENTRIES_MAX;
    for (size_t i = 0; i < reply_count; i++) {
        taken = entry_take(w, generation, reply->element[i]);
        if (taken != TAKEN)
            break;
    }
    redis_reply_free(reply);
    if (taken == TAKEN_NOT_READABLE)
        return err_set(m, ERR_CORRUPT,
                       "stream '%s' holds what is no record of Baton's: delete it, the controller writes "
                       "it anew",
                       w->log);
    if (reply_count == 0)
        w->edition[0] = '\0'; /* not even what was read last: it is gone, or another one */
    if (reply_count == 0 || taken == TAKEN_OTHER_EDITION) {
        w->from = w->from_part = 0;
        *ret_more = reply_count > 0;
    }
    if (taken == TAKEN_NOT_WANTED)
        *ret_more = false;
    return r;
}

static int log_read(struct way *w, int generation, struct errmsg *m)
{
    int r = w->edition[0] ? ERR_OK : edition_read(w, m);

    for (bool more = true; more && r == ERR_OK && relay_wants(&w->relay, generation);)
        r = entries_read(w, generation, &more, m);
    return r;
}

/* --- listening ---------------------------------------------------------------------------------------------------- */

/* Answers are taken as they come; ends after a bell, or when it is time to read anyway. */
static int bell_wait(struct way *w, int generation, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + READ_EVERY_MS;
    bool rung = false;
    int r = ERR_OK;

    while (r == ERR_OK && clock_ms() < until_ms && relay_wants(&w->relay, generation)) {
        redisReply *reply = NULL;

        r = redis_next(w->listener, &reply, rung ? 0 : LOOK_EVERY_MS, m);
        if (rung && !reply)
            break; /* what rang together is heard together */
        if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
            reply->element[1]->type == REDIS_REPLY_STRING && reply->element[2]->type == REDIS_REPLY_STRING) {
            if (strcmp(reply->element[1]->str, w->answer) == 0)
                petition_hear(&w->petition, reply->element[2]->str, reply->element[2]->len);
            else
                rung = true;
        }
        redis_reply_free(reply);
    }
    return r;
}

static void listening_set(struct way *w, bool listening)
{
    pthread_mutex_lock(&w->relay.lock);
    w->listening = listening;
    pthread_cond_broadcast(&w->relay.changed);
    pthread_mutex_unlock(&w->relay.lock);
}

static int way_stream(struct relay *relay, int generation, struct errmsg *m)
{
    struct way *w = way_of(relay);
    int r = redis_connect(w->listener, m), connects = redis_connects(w->listener);

    /* Nobody answers what was not asked: so the first of them is confirmed by the next word. */
    if (r == ERR_OK)
        r = REDIS_COMMAND(w->listener, NULL, m, "SUBSCRIBE", w->answer);
    if (r == ERR_OK)
        r = REDIS_COMMAND(w->listener, NULL, m, "SUBSCRIBE", w->bell);
    if (r == ERR_OK && redis_connects(w->listener) != connects)
        r = err_set(m, ERR_UNAVAILABLE, "Redis %s hung up", redis_server(w->listener));
    listening_set(w, r == ERR_OK);
    w->from = w->from_part = 0;
    w->edition[0] = '\0';
    while (r == ERR_OK && relay_wants(relay, generation)) {
        r = log_read(w, generation, m);
        if (r == ERR_OK)
            r = bell_wait(w, generation, m);
    }
    listening_set(w, false);
    redis_hang_up(w->listener);
    return r;
}

/* --- reports and questions ---------------------------------------------------------------------------------------- */

/* The list never grows without bounds, and does not stay when nobody takes from it. */
static int hand_in(struct way *w, const struct str *text, struct errmsg *m)
{
    char least[16], seconds[16];
    const char *push[] = { "RPUSH", w->requests, text->buf };
    const size_t lens[] = { strlen(push[0]), strlen(push[1]), text->len };
    const char *trim[] = { "LTRIM", w->requests, least, "-1" }, *expire[] = { "EXPIRE", w->requests, seconds };
    int r = command(w, NULL, ARRAY_COUNT(push), push, lens, m);

    snprintf(least, sizeof(least), "-%d", REDIS_REQUESTS_MAX);
    snprintf(seconds, sizeof(seconds), "%d", REDIS_REQUESTS_LAST_S);
    if (r == ERR_OK)
        r = command(w, NULL, ARRAY_COUNT(trim), trim, NULL, m);
    if (r == ERR_OK)
        r = command(w, NULL, ARRAY_COUNT(expire), expire, NULL, m);
    return r;
}

/* Connected, so that what is wrong with that is said, and listening, so that the answer is heard. */
static int prepare(struct way *w, int64_t until_ms, struct errmsg *m)
{
    int r;

    pthread_mutex_lock(&w->commands_lock);
    r = redis_connect(w->commands, m);
    pthread_mutex_unlock(&w->commands_lock);
    if (r < 0)
        return r;
    pthread_mutex_lock(&w->relay.lock);
    while (!w->listening && !w->relay.stopping && clock_ms() < until_ms)
        relay_wait(&w->relay, until_ms);
    if (!w->listening)
        r = err_set(m, ERR_UNAVAILABLE, "%s", w->relay.trouble_ms ? w->relay.trouble : "cannot subscribe");
    pthread_mutex_unlock(&w->relay.lock);
    return r;
}

static int exchange(struct way *w, const struct str *text, int64_t until_ms, int64_t *ret_end, struct errmsg *m)
{
    int r = ERR_OK;
    bool answered = false;

    while (!answered && r == ERR_OK && clock_ms() < until_ms && !relay_stopping(&w->relay)) {
        const int64_t again_ms = clock_ms() + HAND_IN_EVERY_MS;

        r = hand_in(w, text, m);
        if (r == ERR_OK)
            answered = petition_wait(&w->petition, again_ms < until_ms ? again_ms : until_ms);
    }
    if (r < 0)
        return r;
    if (!answered) {
        relay_leave(&w->relay);
        return err_set(
            m, ERR_UNAVAILABLE,
            "no controller has answered through Redis %s: does the one that leads run with --redis, and does "
            "it name this Redis?",
            redis_server(w->commands));
    }
    return petition_answer(&w->petition, ret_end, "through Redis", m);
}

static int request(struct way *w, const char *what, const char *body, size_t len, int64_t *ret_end, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + RELAY_REQUEST_MS_MAX;
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX + REQUEST_HEAD_MAX);
    int r;

    str_addf(&text, "%s %" PRIu64 " %s %s\n", w->id, petition_begin(&w->petition), what, w->relay.fleet);
    str_add_bytes(&text, body, len);
    r = str_error(&text) ? err_set(m, str_error(&text), "request through Redis") : prepare(w, until_ms, m);
    if (r == ERR_OK)
        r = exchange(w, &text, until_ms, ret_end, m);
    str_free(&text);
    return r;
}

static int way_post(struct relay *r, const char *json, size_t len, struct errmsg *m)
{
    return request(way_of(r), "report", json, len, NULL, m);
}

static int way_end(struct relay *r, int64_t *ret, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + RELAY_REQUEST_MS_MAX;
    struct way *w = way_of(r);

    do {
        const int e = request(w, "end", "", 0, ret, m);

        if (e < 0 || petition_end_is_read(&w->petition, *ret))
            return e;
    } while (clock_ms() < until_ms && !relay_stopping(r));
    return err_set(m, ERR_UNAVAILABLE, "stream '%s' of Redis %s is not what the controller wrote", w->log,
                   redis_server(w->commands));
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static const struct relay_ops relay_ops = { .stream = way_stream, .post = way_post, .end = way_end };

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = (struct way *)c;

    relay_stop(&w->relay, flush_ms);
    redis_close(w->listener);
    redis_close(w->commands);
    relay_deinit(&w->relay);
    petition_deinit(&w->petition);
    pthread_mutex_destroy(&w->commands_lock);
    free(w);
}

static int names_make(struct way *w, const struct channel_config *config, struct errmsg *m)
{
    uint64_t random[2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set(m, ERR_IO, "no random bytes for a name");
    snprintf(w->id, sizeof(w->id), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    snprintf(w->log, sizeof(w->log), "%s" REDIS_LOG "%s", config->prefix, config->fleet);
    snprintf(w->bell, sizeof(w->bell), "%s" REDIS_BELL "%s", config->prefix, config->fleet);
    snprintf(w->answer, sizeof(w->answer), "%s" REDIS_ANSWER "%s", config->prefix, w->id);
    snprintf(w->requests, sizeof(w->requests), "%s" REDIS_REQUESTS, config->prefix);
    return ERR_OK;
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    const struct redis_config redis = { .servers = config->servers,
                                        .password_file = config->token_file,
                                        .ca_file = config->ca_file,
                                        .cert_file = config->cert_file };
    struct way *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    relay_init(&w->relay, &channel_redis, &relay_ops, config);
    petition_init(&w->petition, &w->relay);
    pthread_mutex_init(&w->commands_lock, NULL);
    r = names_make(w, config, m);
    if (r == ERR_OK)
        r = redis_open(&w->listener, &redis, m);
    if (r == ERR_OK)
        r = redis_open(&w->commands, &redis, m);
    if (r < 0) {
        way_close(&w->relay.channel, 0);
        return r;
    }
    return relay_open(ret, &w->relay, config, m);
}

static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    return relay_reach(&channel_redis, config, timeout_ms, "redis",
                       "the fleet's records are not in Redis up to the log's end", m);
}

const struct channel_ops channel_redis = { .reach = way_reach, .open = way_open, .close = way_close, RELAY_CHANNEL };
