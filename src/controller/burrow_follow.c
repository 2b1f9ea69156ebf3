/*
 * burrow_follow - the thread that fills the store: what is committed, what the ends are, who owns what.
 *
 *     OPEN ---> TOPICS ---> ENDS ---> FOLLOW: records as they come, ends and topics again when they are due
 *       ^                               |
 *       +---- 2 s later ----------------+  the log of commits is not there (nobody has ever committed), may not be
 *                                          read, or was made anew
 *
 * Records are read when the first ends are known, for a commit without an end is dropped. Until the end that the log
 * had at the start is reached, commits count as replayed: a lag reckoned from today's end was not theirs.
 *
 * Who owns what in a KIP-848 group its coordinator is asked, one group after the other, once its records say that something has
 * changed: they name topics by id.
 *
 * Ends are asked for in small questions, a few at a time: librdkafka is quadratic in the partitions of one, and all at once would be megabytes
 * that only the next sample needs again. A sample that a question fails of gives up; the next one goes on behind it.
 *
 * A topic that is not listed any more is deleted from the store; a list that could not be had deletes nothing.
 */
#include <poll.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settle.h"
#include "controller/burrow.h"
#include "kafka/commits.h"
#include "kafka/log.h"

#define OFFSETS_TOPIC "__consumer_offsets"
#define QUESTION_MS_MAX 5000
#define OPEN_AGAIN_MS 2000
#define RECORDS_A_TURN 500 /* under one lock: a reader waits for less than a millisecond */
#define IDLE_MS_MAX 1000
#define ENDS_A_QUESTION 50
#define ENDS_OUT_MAX 8
#define REPLAY_QUESTION 1
#define OWNERS_SETTLE_MS 500 /* one change of a group is many records */

struct listed_topic {
    char *name;
    int partition_count;
};

struct burrow_follower {
    struct burrow_options options;
    struct kafka_settings *settings;
    pthread_t thread;
    int wake_fd;

    pthread_mutex_t lock; /* of what follows */
    struct burrow *store;
    bool stopping, ready;
    char trouble[512];

    /* the thread's own */
    struct kafka_reader *reader;
    struct kafka_admin *admin;
    struct listed_topic *topics;
    int topic_count, partition_count;
    int ends_topic, ends_partition; /* asked for next */
    int ends_left, ends_out;        /* of this sample: partitions to ask for, questions that are not answered yet */
    bool ends_failed, ends_known, replayed;
    int64_t ends_due_ms, topics_due_ms;
    int64_t now_s; /* of the records that are being read */
    void *owners_now,
        *owners_next; /* tsearch's: groups whose owners are asked, and those after them from owners_due_ms on */
    uint64_t token, owners_out; /* 0: no question is out */
    char owners_group[GROUP_NAME_MAX + 1];
    int64_t owners_due_ms;
};

static struct burrow *store_new(const struct burrow_options *o)
{
    struct burrow_config config = BURROW_CONFIG;

    config.intervals = (int)o->intervals;
    config.min_distance_s = o->min_distance_ms / 1000;
    config.expire_group_s = o->expire_group_ms / 1000;
    config.policy = (struct burrow_policy){ .rules = (enum burrow_rules)o->rules,
                                            .allowed_lag = (uint64_t)o->allowed_lag,
                                            .minimum_complete = (float)o->minimum_complete_percent / 100.0F,
                                            .commit_interval_ms = o->commit_interval_ms };
    return burrow_new(&config);
}

static bool stopping(struct burrow_follower *f)
{
    bool is;

    pthread_mutex_lock(&f->lock);
    is = f->stopping;
    pthread_mutex_unlock(&f->lock);
    return is;
}

/* Said in the log when it begins and when it ends; m NULL: all is well. */
static void trouble_set(struct burrow_follower *f, const struct errmsg *m)
{
    pthread_mutex_lock(&f->lock);
    if (m && !f->trouble[0])
        log_warn("burrow_trouble", "error=\"%s\", trying on", m->text);
    if (!m && f->trouble[0])
        log_info("burrow_trouble_over", "commits are followed again");
    snprintf(f->trouble, sizeof(f->trouble), "%.500s", m ? m->text : "");
    pthread_mutex_unlock(&f->lock);
}

static void ready_set(struct burrow_follower *f, bool ready)
{
    pthread_mutex_lock(&f->lock);
    f->ready = ready;
    pthread_mutex_unlock(&f->lock);
}

/* --- topics and ends ---------------------------------------------------------------------------------------------- */

static int compare_pointed(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct forgetting {
    const char **listed; /* sorted */
    size_t listed_count;
    char **gone;
    size_t gone_count;
};

static void on_topic_kept(void *opaque, const char *name)
{
    struct forgetting *f = opaque;

    if (bsearch(&name, f->listed, f->listed_count, sizeof(*f->listed), compare_pointed))
        return;
    f->gone = must(reallocarray(f->gone, f->gone_count + 1, sizeof(*f->gone)));
    f->gone[f->gone_count++] = must(strdup(name));
}

static void topics_forget(struct burrow_follower *f, const struct rd_kafka_metadata *md)
{
    struct forgetting to = { .listed = must(calloc((size_t)md->topic_cnt + 1, sizeof(*to.listed))) };

    for (int i = 0; i < md->topic_cnt; i++)
        if (md->topics[i].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            to.listed[to.listed_count++] = md->topics[i].topic;
    qsort(to.listed, to.listed_count, sizeof(*to.listed), compare_pointed);
    pthread_mutex_lock(&f->lock);
    burrow_topics(f->store, on_topic_kept, &to);
    for (size_t i = 0; i < to.gone_count; i++) {
        burrow_topic_delete(f->store, to.gone[i]);
        free(to.gone[i]);
    }
    pthread_mutex_unlock(&f->lock);
    free(to.gone);
    free(to.listed);
}

static void topics_free(struct burrow_follower *f)
{
    for (int i = 0; i < f->topic_count; i++)
        free(f->topics[i].name);
    free(f->topics);
    f->topics = NULL;
    f->topic_count = f->partition_count = f->ends_topic = f->ends_partition = 0;
}

static void topics_take(struct burrow_follower *f, const struct rd_kafka_metadata *md)
{
    topics_free(f);
    f->topics = must(calloc((size_t)md->topic_cnt + 1, sizeof(*f->topics)));
    for (int i = 0; i < md->topic_cnt; i++) {
        const int count = md->topics[i].partition_cnt;

        if (count == 0 || count > BURROW_LIMITS.topic_partitions - f->partition_count ||
            strlen(md->topics[i].topic) > TOPIC_NAME_MAX)
            continue;
        f->topics[f->topic_count++] = (struct listed_topic){ must(strdup(md->topics[i].topic)), count };
        f->partition_count += count;
    }
}

/* Blocks for as long as the brokers take, which is why this is a thread. */
static int topics_read(struct burrow_follower *f, struct kafka_handle *h, struct errmsg *m)
{
    const struct rd_kafka_metadata *md;
    const rd_kafka_resp_err_t code = rd_kafka_metadata(h->rk, 1, NULL, &md, QUESTION_MS_MAX);

    if (code)
        return kafka_explain(h, code, "list the topics", m);
    topics_take(f, md);
    topics_forget(f, md);
    rd_kafka_metadata_destroy(md);
    return ERR_OK;
}

static bool sampling(const struct burrow_follower *f)
{
    return f->ends_left > 0 || f->ends_out > 0;
}

static void sample_begin(struct burrow_follower *f)
{
    f->ends_left = f->partition_count;
    f->ends_failed = false;
    f->ends_known = f->ends_known || f->partition_count == 0;
}

static void ends_fail(struct burrow_follower *f)
{
    f->ends_left = 0;
    f->ends_failed = true;
}

static void ends_ask(struct burrow_follower *f)
{
    struct kafka_tp tps[ENDS_A_QUESTION];

    while (f->ends_left > 0 && f->ends_out < ENDS_OUT_MAX) {
        const int first = f->ends_topic;
        int count = 0;

        for (; count < ENDS_A_QUESTION && f->ends_left > 0; count++, f->ends_left--) {
            tps[count] = (struct kafka_tp){ .partition = f->ends_partition };
            text_copy(tps[count].topic, sizeof(tps[count].topic), f->topics[f->ends_topic].name);
            if (++f->ends_partition == f->topics[f->ends_topic].partition_count) {
                f->ends_partition = 0;
                f->ends_topic = (f->ends_topic + 1) % f->topic_count;
            }
        }
        if (kafka_admin_ends(f->admin, (uint64_t)first, tps, count, QUESTION_MS_MAX) < 0)
            ends_fail(f);
        else
            f->ends_out++;
    }
}

/* In the order asked, from the topic on that is the question's token: topics are not listed anew during a sample. */
static void ends_take(struct burrow_follower *f, const struct kafka_answer *a)
{
    const int64_t now_ms = clock_unix_ms();
    int at = (int)a->token;

    f->ends_out--;
    if (a->error) {
        log_debug("burrow_ends_unread", "error=\"%s\", the next sample goes on behind them", a->message.text);
        ends_fail(f);
    }
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < a->tp_count && !a->error; i++) {
        while (strcmp(f->topics[at].name, a->tps[i].topic) != 0)
            at = (at + 1) % f->topic_count;
        if (!a->tps[i].failed && a->tps[i].offset >= 0)
            burrow_end(f->store, a->tps[i].topic, a->tps[i].partition, f->topics[at].partition_count, a->tps[i].offset,
                       now_ms);
    }
    pthread_mutex_unlock(&f->lock);
    if (!sampling(f) && !f->ends_failed)
        f->ends_known = true;
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

struct owning {
    struct burrow *store;
    const char *group;
};

static void on_owner(void *opaque, const char *topic, int32_t partition, const char *host, const char *client_id)
{
    const struct owning *o = opaque;

    burrow_owner(o->store, o->group, topic, partition, host, client_id);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void owners_ask_later(struct burrow_follower *f, const char *group, int64_t wait_ms)
{
    if (!f->owners_next)
        f->owners_due_ms = clock_ms() + wait_ms;
    if (!tfind(group, &f->owners_next, compare_names))
        must(tsearch(must(strdup(group)), &f->owners_next, compare_names));
}

static void owners_ask(struct burrow_follower *f, int64_t now_ms)
{
    char *group;

    if (!f->replayed || f->owners_out)
        return;
    if (!f->owners_now && f->owners_next && now_ms >= f->owners_due_ms) {
        f->owners_now = f->owners_next;
        f->owners_next = NULL;
    }
    if (!f->owners_now)
        return;
    group = *(char **)f->owners_now; /* of a tree any will do: its root */
    text_copy(f->owners_group, sizeof(f->owners_group), group);
    tdelete(group, &f->owners_now, compare_names);
    free(group);
    f->owners_out = ++f->token;
    kafka_admin_group(f->admin, f->owners_out, f->owners_group, QUESTION_MS_MAX);
}

static void owners_take(struct burrow_follower *f, const struct kafka_answer *a)
{
    f->owners_out = 0;
    if (a->error == ERR_DENIED || (!a->error && !a->group.known))
        return; /* they are not told, or too many; its next change is a new try */
    if (a->error) {
        owners_ask_later(f, f->owners_group, OPEN_AGAIN_MS);
        return;
    }
    pthread_mutex_lock(&f->lock);
    burrow_owners_clear(f->store, f->owners_group);
    for (int i = 0; i < a->group.member_count; i++)
        for (int k = 0; k < a->group_assigned_count[i]; k++)
            burrow_owner(f->store, f->owners_group, a->group_assigned[i][k].topic, a->group_assigned[i][k].partition,
                         a->group.members[i].host, a->group.members[i].client_id);
    pthread_mutex_unlock(&f->lock);
}

/* Under the lock. */
static void on_record(void *opaque, const struct kafka_record *rec)
{
    struct burrow_follower *f = opaque;
    struct kafka_commit c;
    struct owning owning = { f->store, c.group };

    switch (kafka_commits_decode(&c, rec->key, rec->key_len, rec->value, rec->value_len)) {
    case KAFKA_COMMITS_COMMIT:
        burrow_commit(f->store, c.group, c.topic, c.partition,
                      &(struct burrow_commit){ .offset = c.offset,
                                               .order = rec->offset,
                                               .timestamp_ms = c.timestamp_ms,
                                               .replayed = !f->replayed },
                      f->now_s);
        break;
    case KAFKA_COMMITS_GONE:
        burrow_commit_gone(f->store, c.group, c.topic, c.partition);
        break;
    case KAFKA_COMMITS_GROUP:
        burrow_owners_clear(f->store, c.group);
        kafka_commits_owners(rec->value, rec->value_len, on_owner, &owning);
        break;
    case KAFKA_COMMITS_MEMBERS:
        owners_ask_later(f, c.group, OWNERS_SETTLE_MS);
        break;
    case KAFKA_COMMITS_OTHER:
    case KAFKA_COMMITS_NEWER:
    case KAFKA_COMMITS_BROKEN:
        break;
    }
}

static int records_take(struct burrow_follower *f, struct errmsg *m)
{
    int r;

    f->now_s = clock_unix_ms() / 1000;
    pthread_mutex_lock(&f->lock);
    r = kafka_reader_poll(f->reader, RECORDS_A_TURN, on_record, f, m);
    pthread_mutex_unlock(&f->lock);
    if (r == ERR_UNAVAILABLE) /* of the connection: it comes back by itself */
        trouble_set(f, m);
    if (r > 0)
        trouble_set(f, NULL);
    if (r >= 0 && !f->replayed) {
        const enum kafka_end end = kafka_reader_end(f->reader, REPLAY_QUESTION, NULL);

        f->replayed = end == KAFKA_END_REACHED;
        if (end == KAFKA_END_FAILED)
            kafka_reader_ask_end(f->reader, REPLAY_QUESTION, QUESTION_MS_MAX);
        if (f->replayed) {
            trouble_set(f, NULL);
            memory_settle(); /* a whole log came at once; from now on its records come as they are written */
        }
        ready_set(f, f->replayed);
    }
    return r;
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

/* Waits for Kafka, for the end, or for the time. */
static void wait_ms(struct burrow_follower *f, int64_t ms)
{
    struct pollfd wake = { .fd = f->wake_fd, .events = POLLIN };

    poll(&wake, 1, (int)(ms < 0 ? 0 : ms > IDLE_MS_MAX ? IDLE_MS_MAX : ms));
    kafka_eventfd_clear(f->wake_fd);
}

static void follow_turn(struct burrow_follower *f, struct kafka_handle *asker, struct errmsg *m)
{
    struct kafka_answer *a;
    int64_t now_ms = clock_ms();

    if (now_ms >= f->topics_due_ms && !sampling(f)) {
        const int r = topics_read(f, asker, m);

        trouble_set(f, r < 0 ? m : NULL);
        now_ms = clock_ms();
        f->topics_due_ms = now_ms + (r < 0 ? OPEN_AGAIN_MS : f->options.topic_refresh_ms);
    }
    if (now_ms >= f->ends_due_ms && !sampling(f)) {
        sample_begin(f);
        f->ends_due_ms = now_ms + f->options.offset_refresh_ms;
    }
    while ((a = kafka_admin_poll(f->admin))) {
        if (a->type == KAFKA_ANSWER_ENDS)
            ends_take(f, a);
        if (a->type == KAFKA_ANSWER_GROUP && a->token == f->owners_out)
            owners_take(f, a);
        kafka_answer_free(a);
    }
    ends_ask(f);
    owners_ask(f, now_ms);
}

/* What comes by itself rings: records, and the answers that a sample waits for. */
static int64_t next_due_ms(const struct burrow_follower *f)
{
    const int64_t sample_ms = sampling(f) ? INT64_MAX / 2 : f->ends_due_ms;

    return f->owners_next && f->owners_due_ms < sample_ms ? f->owners_due_ms : sample_ms;
}

/* From open to the first failure that needs a new beginning. */
static int follow(struct burrow_follower *f, struct errmsg *m)
{
    int r = kafka_reader_open(&f->reader, f->settings, OFFSETS_TOPIC, f->wake_fd, m);

    if (r < 0)
        return r;
    r = kafka_admin_open(&f->admin, kafka_reader_handle(f->reader), f->wake_fd, m);
    f->ends_left = f->ends_out = 0;
    f->owners_out = 0;
    f->ends_known = f->replayed = false;
    f->topics_due_ms = f->ends_due_ms = 0;
    if (r == ERR_OK)
        kafka_reader_ask_end(f->reader, REPLAY_QUESTION, QUESTION_MS_MAX);
    while (r == ERR_OK && !stopping(f)) {
        int taken = 0;

        follow_turn(f, kafka_reader_handle(f->reader), m);
        if (f->ends_known)
            taken = records_take(f, m);
        if (taken < 0 && taken != ERR_UNAVAILABLE)
            r = taken;
        if (taken < RECORDS_A_TURN)
            wait_ms(f, next_due_ms(f) - clock_ms());
    }
    return r;
}

static void forget_all(struct burrow_follower *f)
{
    kafka_admin_close(f->admin);
    kafka_reader_close(f->reader);
    f->admin = NULL;
    f->reader = NULL;
    tdestroy(f->owners_now, free);
    tdestroy(f->owners_next, free);
    f->owners_now = f->owners_next = NULL;
}

static void *run(void *opaque)
{
    struct burrow_follower *f = opaque;

    while (!stopping(f)) {
        struct errmsg m = { 0 };
        const int r = follow(f, &m);
        const int64_t again_ms = clock_ms() + OPEN_AGAIN_MS;

        forget_all(f);
        if (r == ERR_OK)
            break;
        /* No log of commits: nobody has ever committed, and that is a full answer. */
        if (r == ERR_NOT_FOUND)
            ready_set(f, true);
        else
            ready_set(f, false);
        trouble_set(f, r == ERR_NOT_FOUND ? NULL : &m);
        pthread_mutex_lock(&f->lock);
        burrow_free(f->store);
        f->store = store_new(&f->options);
        pthread_mutex_unlock(&f->lock);
        ASSERT(f->store != NULL);
        while (!stopping(f) && clock_ms() < again_ms)
            wait_ms(f, again_ms - clock_ms());
    }
    return NULL;
}

struct burrow *burrow_follower_lock(struct burrow_follower *f, char *ret_trouble, size_t ret_trouble_size)
{
    pthread_mutex_lock(&f->lock);
    if (f->ready)
        return f->store;
    text_copy(ret_trouble, ret_trouble_size, f->trouble);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void burrow_follower_unlock(struct burrow_follower *f)
{
    pthread_mutex_unlock(&f->lock);
}

struct burrow_follower *burrow_follower_start(const struct burrow_options *o, const struct kafka_settings *s)
{
    struct burrow_follower *f = calloc(1, sizeof(*f));
    struct errmsg m = { 0 };

    if (!f)
        return NULL;
    f->options = *o;
    f->settings = kafka_settings_copy(s);
    f->store = store_new(o);
    f->wake_fd = kafka_eventfd(&m);
    pthread_mutex_init(&f->lock, NULL);
    if (!f->settings || !f->store || f->wake_fd < 0 || pthread_create(&f->thread, NULL, run, f) != 0) {
        log_error("burrow_failed", "error=\"%s\", nothing is followed", m.text[0] ? m.text : "no memory or no thread");
        if (f->wake_fd >= 0)
            close(f->wake_fd);
        burrow_free(f->store);
        kafka_settings_free(f->settings);
        free(f);
        return NULL;
    }
    return f;
}

void burrow_follower_stop(struct burrow_follower *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_mutex_unlock(&f->lock);
    kafka_eventfd_ring(f->wake_fd);
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->lock);
    close(f->wake_fd);
    burrow_free(f->store);
    kafka_settings_free(f->settings);
    topics_free(f);
    free(f);
}
