/* keeper - see keeper.h. */
#include "controller/keeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "controller/asks.h"
#include "http/tls.h"
#include "redis/keys.h"

#define LOOK_EVERY_MS 1000
#define RETRY_MS 300
#define TAKE_S "1"
#define LEFT_EVERY_MS 500
#define TAKE_MS_MAX 4000 /* TAKE_S and an answer's time */
#define SLICE_MS 100     /* of waiting: whether it is to stop */
#define ANSWERS_MAX 20000
#define ASKS_MAX 20000

/*
 * What the stream's last entry must be; what to do ("look": nothing), whom to wake; how many entries to delete, and which;
 * then ID KIND KEY TEXT of each new one, then ID TERM EDITION of the position. "kept", or what its last entry is instead.
 */
static const char script[] =
    "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]\n"
    "local stamp = ''\n"
    "if last then stamp = last[1] .. ' ' .. (last[2][4] or '') end\n"
    "stamp = string.sub(stamp, 1, 70)\n"
    "if stamp ~= ARGV[1] or ARGV[2] == 'look' then return stamp end\n"
    "if ARGV[2] == 'whole' then redis.call('DEL', KEYS[1]) end\n"
    "local i = 5\n"
    "for n = 1, tonumber(ARGV[4]) do redis.call('XDEL', KEYS[1], ARGV[i]); i = i + 1 end\n"
    "while #ARGV - i > 2 do\n"
    "  if ARGV[i + 1] == 'gone' then redis.call('XADD', KEYS[1], ARGV[i], 'gone', ARGV[i + 2])\n"
    "  else redis.call('XADD', KEYS[1], ARGV[i], 'record', ARGV[i + 2], 'text', ARGV[i + 3]) end\n"
    "  i = i + 4\n"
    "end\n"
    "redis.call('XADD', KEYS[1], ARGV[i], 'term', ARGV[i + 1], 'edition', ARGV[i + 2])\n"
    "redis.call('PUBLISH', ARGV[3], '')\n"
    "return 'kept'\n";

#define WORDS_MAX (16 + 5 * FEED_LINES_MAX)

/* Something for the writer: a stream's next state, or an answer. */
struct job {
    struct job *next;
    uint64_t number; /* of a stream's; 0: an answer */
    char fleet[FLEET_NAME_MAX + 1];
    int argc;
    const char **argv; /* each of its own */
    size_t *lens;
    /* what the stream's state is when it was kept */
    char stamp[FEED_STAMP_MAX], edition[FEED_EDITION_LEN + 1];
    int64_t position, *offsets;
    int offset_count;
    /* what came of it */
    int error;
    char reply[FEED_STAMP_MAX];
};

struct keeper {
    struct controller *c;
    pthread_t writer, taker;
    bool writer_runs, taker_runs;
    struct redis *write, *take; /* each its thread's own */
    char requests[REDIS_KEY_MAX];
    uint64_t job_last;
    bool led;
    bool trouble_said;
    struct asks asks;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping, replayed, taking; /* taking: it leads */
    struct job *jobs, **jobs_end;    /* to be done */
    struct job *done;                /* streams' alone */
    int answer_count;                /* among jobs */
    struct ask *taken, **taken_end;
    int taken_count;
    char trouble[2][400]; /* of the writer, of the taker; "": none */
    char server[300];
    char policy[40]; /* its maxmemory-policy, "": not known */
    int64_t memory_max;
};

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static struct job *job_new(void)
{
    struct job *j = must(calloc(1, sizeof(*j)));

    j->argv = must(calloc(WORDS_MAX, sizeof(*j->argv)));
    j->lens = must(calloc(WORDS_MAX, sizeof(*j->lens)));
    return j;
}

static void job_free(struct job *j)
{
    for (int i = 0; i < j->argc; i++)
        free((char *)j->argv[i]);
    free(j->argv);
    free(j->lens);
    free(j->offsets);
    free(j);
}

static void job_word_bytes(struct job *j, const char *bytes, size_t len)
{
    char *word = must(malloc(len + 1));

    ASSERT(j->argc < WORDS_MAX);
    memcpy(word, bytes, len);
    word[len] = '\0';
    j->argv[j->argc] = word;
    j->lens[j->argc++] = len;
}

static void __attribute__((format(printf, 2, 3))) job_word(struct job *j, const char *fmt, ...)
{
    char text[REDIS_KEY_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    job_word_bytes(j, text, strlen(text));
}

static void job_put(struct keeper *k, struct job *j)
{
    pthread_mutex_lock(&k->lock);
    if (j->number == 0 && k->answer_count >= ANSWERS_MAX) {
        pthread_mutex_unlock(&k->lock);
        job_free(j); /* its member asks again */
        return;
    }
    k->answer_count += j->number == 0;
    *k->jobs_end = j;
    k->jobs_end = &j->next;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* --- the writer's thread ------------------------------------------------------------------------------------------ */

enum thread { WRITER, TAKER };

static void trouble_note(struct keeper *k, enum thread of, const char *text)
{
    pthread_mutex_lock(&k->lock);
    snprintf(k->trouble[of], sizeof(k->trouble[of]), "%.390s", text);
    pthread_mutex_unlock(&k->lock);
}

/* The line "name:value" of an INFO. */
static void info_field(char *ret, size_t ret_size, const char *info, const char *name)
{
    const char *at = strstr(info, name);

    ret[0] = '\0';
    if (at)
        snprintf(ret, ret_size, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

/* May it throw a fleet's stream away? What cannot be asked is not known: the ACL need not allow it. */
static void setup_read(struct keeper *k)
{
    char policy[40] = "", memory[32] = "";
    redisReply *reply = NULL;
    struct errmsg m = { 0 };

    if (REDIS_COMMAND(k->write, &reply, &m, "INFO", "memory") == ERR_OK && reply->type == REDIS_REPLY_STRING) {
        info_field(policy, sizeof(policy), reply->str, "\nmaxmemory_policy:");
        info_field(memory, sizeof(memory), reply->str, "\nmaxmemory:");
    }
    redis_reply_free(reply);
    pthread_mutex_lock(&k->lock);
    text_copy(k->policy, sizeof(k->policy), policy);
    k->memory_max = strtoll(memory, NULL, 10);
    snprintf(k->server, sizeof(k->server), "%.290s", redis_server(k->write));
    pthread_mutex_unlock(&k->lock);
    if (strncmp(policy, "allkeys-", 8) == 0)
        log_warn("redis_evicts",
                 "server=%s maxmemory_policy=%s maxmemory=%s, it may throw a fleet's records away when memory is "
                 "short: they "
                 "are written again within a second, and members that start wait so long; set noeviction or "
                 "volatile-lru, or give Baton a Redis of its own",
                 redis_server(k->write), policy, memory);
}

static void job_do(struct keeper *k, struct job *j)
{
    const int connects = redis_connects(k->write);
    redisReply *reply = NULL;
    struct errmsg m = { 0 };

    j->error = redis_command(k->write, &reply, j->argc, j->argv, j->lens, &m);
    if (j->error == ERR_OK && reply->str)
        snprintf(j->reply, sizeof(j->reply), "%.*s", FEED_STAMP_MAX - 1, reply->str);
    redis_reply_free(reply);
    trouble_note(k, WRITER, j->error < 0 ? m.text : "");
    if (j->error == ERR_OK && redis_connects(k->write) != connects)
        setup_read(k);
}

static void *writer_run(void *opaque)
{
    struct keeper *k = opaque;

    pthread_setname_np(pthread_self(), "baton-redis-w");
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        struct job *j = k->jobs;

        if (!j) {
            pthread_cond_wait(&k->changed, &k->lock);
            continue;
        }
        k->jobs = j->next;
        if (!k->jobs)
            k->jobs_end = &k->jobs;
        k->answer_count -= j->number == 0;
        pthread_mutex_unlock(&k->lock);
        job_do(k, j);
        pthread_mutex_lock(&k->lock);
        if (j->number == 0) {
            job_free(j);
            continue;
        }
        j->next = k->done;
        k->done = j;
        kafka_eventfd_ring(k->c->wake_fd);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* --- the taker's thread ------------------------------------------------------------------------------------------- */

static struct ask *ask_parse(const redisReply *text)
{
    char id[REDIS_ANSWER_ID_LEN + 1], *copy;
    uint64_t number;
    int at = 0;

    if (text->len > RECORD_BYTES_MAX + REDIS_KEY_MAX ||
        sscanf(text->str, "%32[0-9a-f] %" SCNu64 " %n", id, &number, &at) != 2 || strlen(id) != REDIS_ANSWER_ID_LEN)
        return NULL;
    copy = must(malloc(text->len + 1));
    memcpy(copy, text->str, text->len + 1);
    return ask_new(id, number, copy, text->len, (size_t)at);
}

static bool taking(struct keeper *k, bool leads)
{
    bool ret;

    pthread_mutex_lock(&k->lock);
    ret = k->replayed && k->taking == leads && !k->stopping;
    pthread_mutex_unlock(&k->lock);
    return ret;
}

static void ask_put(struct keeper *k, struct ask *a)
{
    pthread_mutex_lock(&k->lock);
    *k->taken_end = a;
    k->taken_end = &a->next;
    while (++k->taken_count > ASKS_MAX && !k->stopping)
        pthread_cond_wait(&k->changed, &k->lock);
    pthread_mutex_unlock(&k->lock);
    kafka_eventfd_ring(k->c->wake_fd);
}

static void take_one(struct keeper *k, const redisReply *text)
{
    struct ask *a = text->type == REDIS_REPLY_STRING ? ask_parse(text) : NULL;

    if (a)
        ask_put(k, a);
}

/* One request, or none within TAKE_S. */
static int take(struct keeper *k, struct errmsg *m)
{
    const char *argv[] = { "BLPOP", k->requests, TAKE_S };
    const int64_t until_ms = clock_ms() + TAKE_MS_MAX;
    redisReply *reply = NULL;
    int r = redis_connect(k->take, m);

    if (r == ERR_OK)
        r = redis_send(k->take, ARRAY_COUNT(argv), argv, NULL, m);
    while (r == ERR_OK && !reply && clock_ms() < until_ms && taking(k, true))
        r = redis_next(k->take, &reply, SLICE_MS, m);
    if (r < 0)
        return r;
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        r = taking(k, true) ? err_set(m, ERR_UNAVAILABLE, "Redis %s: take requests: %s", redis_server(k->take),
                                      reply ? reply->str : "it does not answer")
                            : ERR_OK;
        redis_hang_up(k->take); /* what it still says is not the answer to the next command */
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        take_one(k, reply->element[1]);
    }
    redis_reply_free(reply);
    return r;
}

/* The leader takes a request at once: one that has stood there since the last look is nobody's. */
static int take_left(struct keeper *k, redisReply **last, struct errmsg *m)
{
    redisReply *first = NULL;
    int r = REDIS_COMMAND(k->take, &first, m, "LINDEX", k->requests, "0");
    bool left = r == ERR_OK && *last && first->type == REDIS_REPLY_STRING && (*last)->type == REDIS_REPLY_STRING &&
                strcmp(first->str, (*last)->str) == 0;

    redis_reply_free(*last);
    *last = first;
    while (left && r == ERR_OK && taking(k, false)) {
        redisReply *text = NULL;

        r = REDIS_COMMAND(k->take, &text, m, "LPOP", k->requests);
        left = r == ERR_OK && text->type == REDIS_REPLY_STRING;
        if (left)
            take_one(k, text);
        redis_reply_free(text);
    }
    return r;
}

static void *taker_run(void *opaque)
{
    struct keeper *k = opaque;
    redisReply *last = NULL;

    pthread_setname_np(pthread_self(), "baton-redis-t");
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        const bool leads = k->taking;
        struct errmsg m = { 0 };
        int r = ERR_OK;

        if (!k->replayed) {
            pthread_cond_wait(&k->changed, &k->lock);
            continue;
        }
        pthread_mutex_unlock(&k->lock);
        r = leads ? take(k, &m) : take_left(k, &last, &m);
        trouble_note(k, TAKER, r < 0 ? m.text : "");
        pthread_mutex_lock(&k->lock);
        if ((r < 0 || !leads) && !k->stopping) {
            const int64_t until_ms = clock_ms() + (r < 0 ? RETRY_MS : LEFT_EVERY_MS);
            const struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

            pthread_cond_timedwait(&k->changed, &k->lock, &at);
        }
    }
    pthread_mutex_unlock(&k->lock);
    redis_reply_free(last);
    return NULL;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void answer_put(void *opaque, const char *to, const char *text, size_t len)
{
    struct keeper *k = opaque;
    struct job *j = job_new();

    job_word(j, "PUBLISH");
    job_word(j, "%s" REDIS_ANSWER "%s", k->c->prefix ? k->c->prefix : "", to);
    job_word_bytes(j, text, len);
    job_put(k, j);
}

static struct notice *notice_of(void *opaque, const char *fleet)
{
    struct keeper *k = opaque;
    struct feed *feed = feed_find(k->c->feeds, fleet);

    return feed ? &feed->kept.notice : NULL;
}

static void taken_turn(struct keeper *k)
{
    struct ask *taken;

    pthread_mutex_lock(&k->lock);
    taken = k->taken;
    k->taken = NULL;
    k->taken_end = &k->taken;
    k->taken_count = 0;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    while (taken) {
        struct ask *a = taken;

        taken = a->next;
        asks_take(&k->asks, a);
    }
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static struct job *stream_job(struct keeper *k, struct feed *feed, const char *what)
{
    const char *prefix = k->c->prefix ? k->c->prefix : "";
    struct job *j = job_new();

    j->number = feed->kept.job = ++k->job_last;
    text_copy(j->fleet, sizeof(j->fleet), feed->fleet);
    job_word(j, "EVAL");
    job_word_bytes(j, script, sizeof(script) - 1);
    job_word(j, "1");
    job_word(j, "%s" REDIS_LOG "%s", prefix, feed->fleet);
    job_word(j, "%s", feed->kept.stamp);
    job_word(j, "%s", what);
    job_word(j, "%s" REDIS_BELL "%s", prefix, feed->fleet);
    return j;
}

static bool offset_among(const int64_t *offsets, int count, int64_t offset)
{
    for (int i = 0; i < count; i++)
        if (offsets[i] == offset)
            return true;
    return false;
}

/* What is in the stream and no record of the present any more; with its position. */
static void job_add_deletions(struct job *j, const struct feed_kept *kept)
{
    int count = 1;

    for (int i = 0; i < kept->offset_count; i++)
        count += !offset_among(j->offsets, j->offset_count, kept->offsets[i]);
    job_word(j, "%d", count);
    job_word(j, "%" PRId64 "-0", kept->notice.position);
    for (int i = 0; i < kept->offset_count; i++)
        if (!offset_among(j->offsets, j->offset_count, kept->offsets[i]))
            job_word(j, "%" PRId64 "-1", kept->offsets[i]);
}

static void job_add_record(struct job *j, const struct feed_line *line)
{
    job_word(j, "%" PRId64 "-1", line->text->offset);
    job_word(j, line->text->text ? "record" : "gone");
    job_word(j, "%s", line->key);
    job_word_bytes(j, line->text->text ? line->text->text : "", line->text->len);
}

/* The stream as it is to be. Anew, as a whole, unless what it holds is known. */
static void stream_write(struct keeper *k, struct feed *feed)
{
    struct feed_line *lines = must(calloc(FEED_LINES_MAX, sizeof(*lines)));
    struct feed_kept *kept = &feed->kept;
    const bool more = kept->notice.whole;
    struct job *j = stream_job(k, feed, more ? "more" : "whole");

    j->offset_count = feed_lines(lines, feed);
    j->offsets = must(calloc(FEED_LINES_MAX, sizeof(*j->offsets)));
    for (int i = 0; i < j->offset_count; i++)
        j->offsets[i] = lines[i].text->offset;
    if (more)
        text_copy(j->edition, sizeof(j->edition), kept->notice.edition);
    else
        random_hex(j->edition, FEED_EDITION_LEN);
    if (more)
        job_add_deletions(j, kept);
    else
        job_word(j, "0");
    for (int i = 0; i < j->offset_count; i++)
        if (!more || !offset_among(kept->offsets, kept->offset_count, j->offsets[i]))
            job_add_record(j, &lines[i]);
    j->position = k->c->mirror.position;
    job_word(j, "%" PRId64 "-0", j->position);
    job_word(j, "%" PRId64, k->c->mirror.terms.highest);
    job_word(j, "%s", j->edition);
    snprintf(j->stamp, sizeof(j->stamp), "%" PRId64 "-0 %s", j->position, j->edition);
    free(lines);
    job_put(k, j);
}

static void stream_turn(struct keeper *k, struct feed *feed, int64_t now_ms)
{
    struct feed_kept *kept = &feed->kept;

    const bool writes = k->led || kept->notice.asked;

    if (kept->job || k->c->mirror.position <= 0)
        return;
    if (writes && kept->notice.whole && kept->notice.position < feed->needed) {
        stream_write(k, feed);
    } else if (writes && kept->stamp_known && !kept->notice.whole) {
        if (notice_replaceable(k->c->feeds, &kept->notice, feed->fleet, strtoll(kept->stamp, NULL, 10),
                               "redis_log_gone"))
            stream_write(k, feed);
    } else if (now_ms >= kept->next_ms) {
        job_put(k, stream_job(k, feed, "look"));
    }
}

/* The job's stamp stands, or another. */
static void stream_done(struct feed *feed, struct job *j, int64_t now_ms)
{
    struct feed_kept *kept = &feed->kept;

    kept->job = 0;
    kept->next_ms = now_ms + (j->error < 0 ? RETRY_MS : LOOK_EVERY_MS);
    if (j->error < 0) {
        kept->stamp_known = kept->notice.whole = false;
    } else if (strcmp(j->reply, "kept") == 0) {
        text_copy(kept->stamp, sizeof(kept->stamp), j->stamp);
        text_copy(kept->notice.edition, sizeof(kept->notice.edition), j->edition);
        free(kept->offsets);
        kept->offsets = j->offsets;
        j->offsets = NULL;
        kept->offset_count = j->offset_count;
        kept->notice.position = j->position;
        kept->stamp_known = kept->notice.whole = true;
    } else if (!kept->stamp_known || strcmp(j->reply, kept->stamp) != 0) {
        if (kept->notice.whole)
            log_info("redis_lost", "fleet=%s, the Redis does not hold what was written, writing anew", feed->fleet);
        text_copy(kept->stamp, sizeof(kept->stamp), j->reply);
        kept->stamp_known = true;
        kept->notice.whole = false;
        kept->notice.question = 0; /* to be asked after it was seen */
    }
}

static void streams_turn(struct keeper *k)
{
    const int64_t now_ms = clock_ms();
    struct job *done;

    pthread_mutex_lock(&k->lock);
    done = k->done;
    k->done = NULL;
    pthread_mutex_unlock(&k->lock);
    while (done) {
        struct job *j = done;
        struct feed *feed = feed_find(k->c->feeds, j->fleet);

        done = j->next;
        if (feed && feed->kept.job == j->number)
            stream_done(feed, j, now_ms);
        job_free(j);
    }
    for (struct feed *feed = k->c->feeds->list; feed && k->c->replayed; feed = feed->next)
        stream_turn(k, feed, now_ms);
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void lead_turn(struct keeper *k)
{
    const bool leads = controller_leads(k->c);

    if (leads && !k->led)
        for (struct feed *feed = k->c->feeds->list; feed; feed = feed->next)
            feed->kept.next_ms = 0;
    k->led = leads;
    pthread_mutex_lock(&k->lock);
    if (k->taking != leads || k->replayed != k->c->replayed)
        pthread_cond_broadcast(&k->changed);
    k->taking = leads;
    k->replayed = k->c->replayed;
    pthread_mutex_unlock(&k->lock);
}

static void trouble_turn(struct keeper *k)
{
    char text[sizeof(k->trouble[WRITER])];

    pthread_mutex_lock(&k->lock);
    text_copy(text, sizeof(text), k->trouble[WRITER][0] ? k->trouble[WRITER] : k->trouble[TAKER]);
    pthread_mutex_unlock(&k->lock);
    if ((text[0] != '\0') == k->trouble_said)
        return;
    k->trouble_said = text[0] != '\0';
    if (k->trouble_said)
        log_error("redis_failed", "error=\"%s\", members with baton.channel=redis go on with what they hold; trying on",
                  text);
    else
        log_info("redis_works", "trouble is over");
}

void keeper_turn(struct keeper *k)
{
    if (!k)
        return;
    lead_turn(k);
    taken_turn(k);
    asks_turn(&k->asks);
    streams_turn(k);
    trouble_turn(k);
}

void keeper_findings(struct keeper *k, struct findings *ret)
{
    char what[480];

    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    if (k->trouble[WRITER][0] || k->trouble[TAKER][0]) {
        snprintf(what, sizeof(what), "%s", k->trouble[WRITER][0] ? k->trouble[WRITER] : k->trouble[TAKER]);
        findings_add(ret, FINDING_WARNING, "redis-failed", what,
                     "members with baton.channel=redis hear of nothing, and a switch that needs them is rolled back",
                     "see what the controller's log says of it, and wait until it has said redis_works");
    } else if (strncmp(k->policy, "allkeys-", 8) == 0) {
        snprintf(what, sizeof(what), "Redis %s may throw fleets' records away: maxmemory-policy %s, maxmemory %lld",
                 k->server, k->policy, (long long)k->memory_max);
        findings_add(ret, FINDING_WARNING, "redis-evicts", what,
                     "they are written again within a second; a member that starts or gets partitions waits so long",
                     "CONFIG SET maxmemory-policy noeviction or volatile-lru, or a Redis of its own for Baton");
    }
    pthread_mutex_unlock(&k->lock);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int threads_start(struct keeper *k, struct errmsg *m)
{
    const int r = thread_start(&k->writer, &k->writer_runs, writer_run, k, m);

    return r < 0 ? r : thread_start(&k->taker, &k->taker_runs, taker_run, k, m);
}

int keeper_open(struct keeper **ret, struct controller *c, const struct redis_config *config, struct errmsg *m)
{
    struct keeper *k = must(calloc(1, sizeof(*k)));
    pthread_condattr_t attr;
    int r;

    k->c = c;
    k->asks = (struct asks){ .c = c, .by = "redis", .notice = notice_of, .answer = answer_put, .opaque = k };
    k->jobs_end = &k->jobs;
    k->taken_end = &k->taken;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* as clock_ms() */
    pthread_cond_init(&k->changed, &attr);
    pthread_condattr_destroy(&attr);
    snprintf(k->requests, sizeof(k->requests), "%s" REDIS_REQUESTS, c->prefix ? c->prefix : "");
    r = redis_open(&k->write, config, m);
    if (r == ERR_OK)
        r = redis_open(&k->take, config, m);
    if (r == ERR_OK)
        r = threads_start(k, m);
    if (r < 0) {
        keeper_close(k);
        return err_wrap(m, r, "--redis");
    }
    *ret = k;
    return ERR_OK;
}

static void jobs_free(struct job *list)
{
    while (list) {
        struct job *j = list;

        list = j->next;
        job_free(j);
    }
}

void keeper_close(struct keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    if (k->writer_runs)
        pthread_join(k->writer, NULL);
    if (k->taker_runs)
        pthread_join(k->taker, NULL);
    redis_close(k->write);
    redis_close(k->take);
    jobs_free(k->jobs);
    jobs_free(k->done);
    ask_free_all(k->taken);
    asks_deinit(&k->asks);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
