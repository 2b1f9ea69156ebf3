/*
 * log - follows one topic from its beginning, and knows when it has seen all of it.
 *
 * Two handles. One fetches and does nothing else. The other one asks where the end is and serves other questions
 * (kafka_reader_handle): a broker answers the requests of one connection in order, so a question behind a long poll
 * would wait until the poll ends (measured: docs/librdkafka.md). The fetching one has no group id and uses the simple
 * consumer: no coordinator, no ACL on a group, one connection and two threads less.
 *
 * What "the end" means (PROTOCOL, rule 2): a question is answered with the log's end at a moment after it was asked,
 * and that end counts as reached when the position has passed it. The last offsets of a log need not be records:
 * compaction leaves gaps, transactions leave markers. So the position moves by records and by the end-of-partition
 * events alike; the latter say up to where there is nothing more.
 *
 * When the log's start has overtaken the position, or the topic was made anew, the fetcher stops. It begins again at the
 * log's beginning, positions and open questions with it, and the poll says so once: the caller's replay starts over.
 */
#include "kafka/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define OPEN_MS_MAX 9000
#define PARTITIONS_MAX 1024
#define QUESTIONS_MAX 64
#define TROUBLE_LASTS_MS 5000
/* A real broker answers a waiting fetch when a record comes: a long wait costs nothing but a slower close. The embedded
 * one does not, it answers at the end of the wait. */
#define FETCH_WAIT_MS "500"
#define FETCH_WAIT_EMBEDDED_MS "10"

struct reader_part {
    int64_t position;
    bool restarted;           /* and nothing was seen since */
    rd_kafka_resp_err_t told; /* the error that was last told */
};

struct end_question {
    bool used;
    uint64_t token;
    enum kafka_end state; /* PENDING until the brokers have answered: then `ends` counts */
    bool answered;
    uint64_t age;
    int64_t *ends; /* per partition */
};

struct kafka_reader {
    struct kafka_handle fetcher, asker;
    struct kafka_admin *admin;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *queue; /* records */
    rd_kafka_queue_t *main;  /* errors of the fetcher */
    char topic[TOPIC_NAME_MAX + 1];
    struct reader_part *parts;
    int part_count;
    int started;
    struct end_question questions[QUESTIONS_MAX];
    uint64_t asked_count;
    int wake_fd;
};

/* ---- where is the end ---- */

static struct end_question *question_find(struct kafka_reader *r, uint64_t token)
{
    for (int i = 0; i < QUESTIONS_MAX; i++)
        if (r->questions[i].used && r->questions[i].token == token)
            return &r->questions[i];
    return NULL;
}

static void question_forget(struct end_question *q)
{
    free(q->ends);
    memset(q, 0, sizeof(*q));
}

/* A free one, or that of the oldest question: who asks so much has stopped to listen. */
static struct end_question *question_take(struct kafka_reader *r)
{
    struct end_question *oldest = &r->questions[0];

    for (int i = 0; i < QUESTIONS_MAX; i++) {
        if (!r->questions[i].used)
            return &r->questions[i];
        if (r->questions[i].age < oldest->age)
            oldest = &r->questions[i];
    }
    question_forget(oldest);
    return oldest;
}

void kafka_reader_ask_end(struct kafka_reader *r, uint64_t token, int timeout_ms)
{
    struct end_question *q = question_find(r, token);
    struct kafka_tp *tps = calloc((size_t)r->part_count, sizeof(*tps));

    if (q)
        question_forget(q); /* asked again: the old answer does not count */
    else
        q = question_take(r);
    *q = (struct end_question){ .used = true, .token = token, .state = KAFKA_END_PENDING, .age = ++r->asked_count };
    q->ends = calloc((size_t)r->part_count, sizeof(*q->ends));
    if (!tps || !q->ends) {
        q->state = KAFKA_END_FAILED;
    } else {
        for (int i = 0; i < r->part_count; i++) {
            snprintf(tps[i].topic, sizeof(tps[i].topic), "%s", r->topic);
            tps[i].partition = i;
        }
        /* by age, not by token: an answer to an earlier question of the same token is too old */
        if (kafka_admin_ends(r->admin, q->age, tps, r->part_count, timeout_ms) < 0)
            q->state = KAFKA_END_FAILED;
    }
    free(tps);
}

static void answers_take(struct kafka_reader *r)
{
    struct kafka_answer *answer;

    while ((answer = kafka_admin_poll(r->admin))) {
        struct end_question *q = NULL;

        for (int i = 0; i < QUESTIONS_MAX && !q; i++)
            if (r->questions[i].used && r->questions[i].age == answer->token)
                q = &r->questions[i];
        if (q) {
            q->answered = true;
            if (answer->error)
                q->state = KAFKA_END_FAILED;
            for (int i = 0; i < answer->tp_count; i++) {
                q->ends[i] = answer->tps[i].offset;
                if (answer->tps[i].failed)
                    q->state = KAFKA_END_FAILED;
            }
        }
        kafka_answer_free(answer);
    }
}

static bool question_reached(const struct kafka_reader *r, const struct end_question *q)
{
    if (!q->answered)
        return false;
    for (int i = 0; i < r->part_count; i++)
        if (r->parts[i].position < q->ends[i])
            return false;
    return true;
}

enum kafka_end kafka_reader_end(struct kafka_reader *r, uint64_t token, int64_t *ret_end_of_partition_0)
{
    struct end_question *q;
    enum kafka_end state;

    answers_take(r);
    q = question_find(r, token);
    if (!q)
        return KAFKA_END_FAILED;
    state = q->state;
    if (state == KAFKA_END_PENDING && question_reached(r, q))
        state = KAFKA_END_REACHED;
    if (state == KAFKA_END_PENDING)
        return state;
    if (state == KAFKA_END_REACHED && ret_end_of_partition_0)
        *ret_end_of_partition_0 = q->ends[0];
    question_forget(q);
    return state;
}

/* ---- records ---- */

int64_t kafka_reader_position(const struct kafka_reader *r, int32_t partition)
{
    ASSERT(partition >= 0 && partition < r->part_count);
    return r->parts[partition].position;
}

/* From the beginning again. Ends asked for before are those of a log that is gone. */
static int reader_restart(struct kafka_reader *r, int32_t partition, const char *why, struct errmsg *m)
{
    bool again = r->parts[partition].restarted; /* the same failure may be queued twice: told once */

    r->parts[partition].position = 0;
    r->parts[partition].restarted = true;
    for (int i = 0; i < QUESTIONS_MAX && !again; i++)
        if (r->questions[i].used)
            r->questions[i].state = KAFKA_END_FAILED;
    /* A seek would change nothing, and say so to nobody: after a refused reset the partition is not being fetched. */
    rd_kafka_consume_stop(r->rkt, partition);
    if (rd_kafka_consume_start_queue(r->rkt, partition, RD_KAFKA_OFFSET_BEGINNING, r->queue) < 0)
        return kafka_explain(&r->fetcher, rd_kafka_last_error(), "begin the log again", m);
    if (again)
        return ERR_OK;
    log_warn("log_restarted", "topic=%s partition=%d reason=\"%s\", reading it again from its beginning", r->topic,
             (int)partition, why);
    return err_set(m, ERR_CORRUPT,
                   "topic '%s': records were removed before they were read, or it was made anew (%s): it is read "
                   "again from its beginning",
                   r->topic, why);
}

/* Whether an error on the way is worth an answer to the caller: each once, until records flow again. */
static int error_take(struct kafka_reader *r, const rd_kafka_message_t *message, struct errmsg *m)
{
    int32_t p = message->partition;
    struct reader_part *part = p >= 0 && p < r->part_count ? &r->parts[p] : NULL;
    char doing[TOPIC_NAME_MAX + 40];

    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (!part)
            return ERR_OK;
        if (message->offset > part->position)
            part->position = message->offset;
        part->told = RD_KAFKA_RESP_ERR_NO_ERROR;
        part->restarted = false;
        return ERR_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__LOG_TRUNCATION:
        if (part)
            return reader_restart(r, p, rd_kafka_message_errstr(message), m);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
        return ERR_OK; /* trouble of the connection: kafka_trouble_lasting() tells it */
    default:
        break;
    }
    if (part && part->told == message->err)
        return ERR_OK;
    if (part)
        part->told = message->err;
    snprintf(doing, sizeof(doing), "read topic '%s'", r->topic);
    return kafka_explain(&r->fetcher, message->err, doing, m);
}

static void record_take(struct kafka_reader *r, const rd_kafka_message_t *message,
                        void (*on_record)(void *opaque, const struct kafka_record *rec), void *opaque)
{
    struct kafka_record rec = { .key = message->key ? message->key : "",
                                .key_len = message->key ? message->key_len : 0,
                                .value = message->payload,
                                .value_len = message->len,
                                .partition = message->partition,
                                .offset = message->offset };
    rd_kafka_timestamp_type_t type;

    ASSERT(rec.partition >= 0 && rec.partition < r->part_count);
    rec.timestamp_ms = rd_kafka_message_timestamp(message, &type);
    r->parts[rec.partition].told = RD_KAFKA_RESP_ERR_NO_ERROR;
    r->parts[rec.partition].restarted = false;
    r->parts[rec.partition].position = rec.offset + 1;
    on_record(opaque, &rec);
}

int kafka_reader_poll(struct kafka_reader *r, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                      void *opaque, struct errmsg *m)
{
    int count = 0, error = ERR_OK;
    rd_kafka_event_t *event;

    kafka_revive();
    answers_take(r);
    /* its callbacks run in here, and its wake-up is armed again by reading it */
    while ((event = rd_kafka_queue_poll(r->main, 0)))
        rd_kafka_event_destroy(event);
    while (count < max && error == ERR_OK) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(r->queue, 0);

        if (!message)
            break;
        if (message->err) {
            error = error_take(r, message, m);
        } else {
            record_take(r, message, on_record, opaque);
            count++;
        }
        rd_kafka_message_destroy(message);
    }
    /* Neither is armed again before it was found empty: what is left must wake the caller once more. */
    if ((count == max || error) && r->wake_fd >= 0)
        kafka_eventfd_ring(r->wake_fd);
    if (error == ERR_OK && count == 0)
        error = kafka_trouble_lasting(&r->fetcher, TROUBLE_LASTS_MS, m);
    return error < 0 ? error : count;
}

/* ---- life ---- */

struct kafka_handle *kafka_reader_handle(struct kafka_reader *r)
{
    return &r->asker;
}

static int reader_start(struct kafka_reader *r, struct errmsg *m)
{
    int error, partitions;

    r->rkt = rd_kafka_topic_new(r->fetcher.rk, r->topic, NULL);
    if (!r->rkt)
        return kafka_explain(&r->fetcher, rd_kafka_last_error(), "follow the topic", m);
    /* A fetch that starts without a known leader looks for one half a second later. */
    error = kafka_topic_partitions(&r->fetcher, r->topic, &partitions, OPEN_MS_MAX, m);
    if (error < 0)
        return error;
    r->queue = rd_kafka_queue_new(r->fetcher.rk);
    r->main = rd_kafka_queue_get_main(r->fetcher.rk);
    if (r->wake_fd >= 0) {
        kafka_queue_wake(r->queue, r->wake_fd);
        kafka_queue_wake(r->main, r->wake_fd);
    }
    for (; r->started < r->part_count; r->started++)
        if (rd_kafka_consume_start_queue(r->rkt, r->started, RD_KAFKA_OFFSET_BEGINNING, r->queue) < 0)
            return kafka_explain(&r->fetcher, rd_kafka_last_error(), "follow the topic", m);
    return ERR_OK;
}

static int reader_open_handles(struct kafka_reader *r, const struct kafka_settings *s, struct errmsg *m)
{
    /* Committed transactions only would stop before one that is undecided; nothing of Baton's is transactional. */
    /* clang-format off: a pair a line */
    const char *fetch[] = { "enable.partition.eof", "true", "auto.offset.reset", "error", "isolation.level",
                            "read_uncommitted", "enable.auto.commit", "false", "enable.auto.offset.store", "false",
                            "fetch.min.bytes", "1", "fetch.error.backoff.ms", "100",
                            /* small queues; when they are full it looks again after 10 ms, not after a second */
                            "queued.min.messages", "1000", "queued.max.messages.kbytes", "2048",
                            "fetch.queue.backoff.ms", "10", "check.crcs", "true", "enable.metrics.push", "false",
                            "allow.auto.create.topics", "false", "fetch.wait.max.ms", FETCH_WAIT_MS, NULL };
    /* clang-format on */
    struct kafka_settings *common = kafka_settings_common(s);
    int error, embedded;

    if (!common)
        return err_set(m, ERR_NOMEM, "copy settings");
    error = kafka_asker_open(&r->asker, s, r->topic, m);
    if (error < 0)
        goto out;
    error = kafka_topic_partitions(&r->asker, r->topic, &r->part_count, OPEN_MS_MAX, m);
    if (error == ERR_OK && r->part_count == 0)
        error = err_set(m, ERR_NOT_FOUND, "the brokers at %s have no such topic", r->asker.bootstrap);
    if (error == ERR_OK && r->part_count > PARTITIONS_MAX)
        error = err_set(m, ERR_TOO_LARGE, "it has %d partitions, more than %d", r->part_count, PARTITIONS_MAX);
    if (error < 0)
        goto out;
    error = embedded = kafka_is_embedded(&r->asker, OPEN_MS_MAX, m);
    if (error < 0)
        goto out;
    if (embedded)
        fetch[ARRAY_COUNT(fetch) - 2] = FETCH_WAIT_EMBEDDED_MS;
    error = kafka_handle_open(&r->fetcher, RD_KAFKA_CONSUMER, "reader", common, fetch, NULL, r, m);
out:
    kafka_settings_free(common);
    return error;
}

int kafka_reader_open(struct kafka_reader **ret, const struct kafka_settings *s, const char *topic, int wake_fd,
                      struct errmsg *m)
{
    struct kafka_reader *r = calloc(1, sizeof(*r));
    int error = ERR_OK;

    if (!r)
        return err_set(m, ERR_NOMEM, "follow topic '%s'", topic);
    r->wake_fd = wake_fd;
    if (!text_copy(r->topic, sizeof(r->topic), topic))
        error = err_set(m, ERR_INVALID, "its name is longer than %d letters", TOPIC_NAME_MAX);
    if (error == ERR_OK)
        error = reader_open_handles(r, s, m);
    if (error == ERR_OK)
        error = kafka_admin_open(&r->admin, &r->asker, wake_fd, m);
    if (error == ERR_OK) {
        r->parts = calloc((size_t)r->part_count, sizeof(*r->parts));
        error = r->parts ? reader_start(r, m) : err_set(m, ERR_NOMEM, "positions");
    }
    if (error < 0) {
        kafka_reader_close(r);
        return err_wrap(m, error, "follow topic '%s'", topic);
    }
    *ret = r;
    return ERR_OK;
}

void kafka_reader_close(struct kafka_reader *r)
{
    if (!r)
        return;
    kafka_admin_close(r->admin);
    /* the caller's descriptor may be closed and its number be another's before our threads are gone */
    if (r->queue)
        rd_kafka_queue_io_event_enable(r->queue, -1, NULL, 0);
    if (r->main)
        rd_kafka_queue_io_event_enable(r->main, -1, NULL, 0);
    for (int i = 0; i < r->started; i++)
        rd_kafka_consume_stop(r->rkt, i);
    if (r->queue)
        rd_kafka_queue_destroy(r->queue);
    if (r->main)
        rd_kafka_queue_destroy(r->main);
    if (r->rkt)
        rd_kafka_topic_destroy(r->rkt);
    kafka_handle_close(&r->fetcher);
    kafka_handle_close(&r->asker);
    for (int i = 0; i < QUESTIONS_MAX; i++)
        free(r->questions[i].ends);
    free(r->parts);
    free(r);
}
