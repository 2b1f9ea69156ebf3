/* intake - see intake.h. */
#include "member/intake.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#define WAIT_MS_MAX 1000 /* a waiting thread looks up this often */
#define DONE_MAX 64      /* records done under one taking of the lock */
#define TURN_MAX 64      /* records of one lane, then the next one's */
/*
 * Of a partition's records in one poll the first is measured, and so many later the next: a clock for every record would
 * cost as much as all else that is done for it.
 */
#define MEASURE_EVERY 16

/* --- the pool --- */

static bool pool_reserve(struct baton_consumer *c)
{
    struct intake *in = &c->intake;
    struct record_chunk *chunk;

    if (in->free_count >= FETCH_MAX)
        return true;
    chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return false;
    chunk->next = in->chunks;
    in->chunks = chunk;
    for (size_t i = 0; i < ARRAY_COUNT(chunk->records); i++) {
        chunk->records[i].consumer = c;
        chunk->records[i].next = in->free;
        in->free = &chunk->records[i];
    }
    in->free_count += FETCH_MAX;
    return true;
}

static struct baton_record *pool_get(struct intake *in)
{
    struct baton_record *record = in->free;

    ASSERT(record); /* pool_reserve() came before the fetch */
    in->free = record->next;
    in->free_count--;
    record->next = NULL;
    return record;
}

static void pool_put(struct intake *in, struct baton_record *record)
{
    record->message = NULL;
    record->next = in->free;
    in->free = record;
    in->free_count++;
}

/* --- lanes --- */

static void turn_append(struct intake *in, int slot)
{
    in->lanes[slot].next_lane = -1;
    if (in->last_lane >= 0)
        in->lanes[in->last_lane].next_lane = slot;
    else
        in->first_lane = slot;
    in->last_lane = slot;
}

static int turn_pop(struct intake *in)
{
    const int slot = in->first_lane;

    in->first_lane = in->lanes[slot].next_lane;
    if (in->first_lane < 0)
        in->last_lane = -1;
    return slot;
}

static void turn_remove(struct intake *in, int slot)
{
    int before = -1;

    for (int i = in->first_lane; i != slot; i = in->lanes[i].next_lane)
        before = i;
    if (before < 0) {
        turn_pop(in);
        return;
    }
    in->lanes[before].next_lane = in->lanes[slot].next_lane;
    if (in->last_lane == slot)
        in->last_lane = before;
}

static void lane_heard(struct intake *in, struct lane *lane)
{
    in->fresh -= lane->fresh;
    lane->fresh = false;
}

static void lane_append(struct intake *in, int slot, rd_kafka_message_t *message)
{
    struct lane *lane = &in->lanes[slot];
    struct baton_record *record = pool_get(in);

    record->message = message;
    record->offset = message->offset;
    record->part = slot;
    if (lane->tail) {
        lane->tail->next = record;
    } else {
        lane->head = record;
        turn_append(in, slot);
    }
    lane->tail = record;
    lane->taken = record->offset + 1;
    lane_heard(in, lane);
    in->ready++;
}

void intake_open(struct baton_consumer *c, int slot)
{
    struct lane *lane = &c->intake.lanes[slot];

    c->intake.fresh += !lane->fresh;
    lane->open = lane->fresh = true;
}

void intake_purge(struct baton_consumer *c, int slot)
{
    struct intake *in = &c->intake;
    struct lane *lane = &in->lanes[slot];

    if (lane->head)
        turn_remove(in, slot);
    while (lane->head) {
        struct baton_record *record = lane->head;

        lane->head = record->next;
        rd_kafka_message_destroy(record->message);
        pool_put(in, record);
        in->ready--;
    }
    lane->tail = NULL;
    lane->open = lane->blocked = false;
    lane_heard(in, lane);
}

/* Those of so many partitions that no report has room for them are told no more. */
static int works_grow(struct baton_consumer *c, int count)
{
    struct intake *in = &c->intake;
    struct part_work *works = NULL;

    if (count <= WORK_PARTS_MAX) {
        works = realloc(in->works, (size_t)count * sizeof(*works));
        if (!works)
            return ERR_NOMEM;
        memset(works + c->holder.part_max, 0, (size_t)(count - c->holder.part_max) * sizeof(*works));
    } else {
        free(in->works);
    }
    in->works = works;
    return ERR_OK;
}

int intake_grow(struct baton_consumer *c, int count)
{
    struct lane *lanes = realloc(c->intake.lanes, (size_t)count * sizeof(*lanes));

    if (!lanes)
        return ERR_NOMEM;
    for (int i = c->holder.part_max; i < count; i++)
        lanes[i] = (struct lane){ .next_lane = -1 };
    c->intake.lanes = lanes;
    return works_grow(c, count);
}

/* A slot that another partition had counts anew. */
static void work_begin(struct baton_consumer *c, int topic, int32_t partition, int slot)
{
    struct part_work *work = c->intake.works ? &c->intake.works[slot] : NULL;

    if (work && (work->topic != topic || work->partition != partition))
        *work = (struct part_work){ .topic = (uint16_t)topic, .partition = partition };
}

int intake_route(struct baton_consumer *c, int topic, int32_t partition, int slot)
{
    struct intake_topic *t = &c->intake.topics[topic];

    if (partition >= t->part_of_count) {
        const int32_t count = (partition + 64) & ~63;
        int32_t *part_of = realloc(t->part_of, (size_t)count * sizeof(*part_of));

        if (!part_of)
            return ERR_NOMEM;
        memset(part_of + t->part_of_count, 0, (size_t)(count - t->part_of_count) * sizeof(*part_of));
        t->part_of = part_of;
        t->part_of_count = count;
    }
    t->part_of[partition] = slot + 1;
    work_begin(c, topic, partition, slot);
    return ERR_OK;
}

/* The topic of a message by its object; by name only when the object is seen for the first time. */
static int topic_of(struct baton_consumer *c, const rd_kafka_topic_t *rkt)
{
    struct intake *in = &c->intake;
    const char *name;

    if (in->topics[in->last_topic].seen == rkt)
        return in->last_topic;
    for (int i = 0; i < c->fleet.spec.topic_count; i++)
        if (in->topics[i].seen == rkt)
            return in->last_topic = i;
    name = rd_kafka_topic_name(rkt);
    for (int i = 0; i < c->fleet.spec.topic_count; i++)
        if (in->topics[i].reference && strcmp(c->fleet.spec.topics[i], name) == 0) {
            in->topics[i].seen = rkt;
            return in->last_topic = i;
        }
    return -1;
}

/* The slot a message belongs to, -1: none now. */
static int slot_of(struct baton_consumer *c, const rd_kafka_message_t *message)
{
    const int topic = message->rkt ? topic_of(c, message->rkt) : -1;
    const struct intake_topic *t = &c->intake.topics[topic < 0 ? 0 : topic];
    const struct holder_part *p;
    int slot;

    if (topic < 0 || message->partition < 0 || message->partition >= t->part_of_count)
        return -1;
    slot = t->part_of[message->partition] - 1;
    if (slot < 0 || !c->intake.lanes[slot].open)
        return -1;
    p = &c->holder.parts[slot];
    return p->topic == topic && p->partition == message->partition ? slot : -1;
}

/* --- from librdkafka into the lanes --- */

/* Not a record: the end of a partition, or its trouble. True: the library's thread should look. */
static bool intake_event(struct baton_consumer *c, const rd_kafka_message_t *message, int64_t now_unix_us)
{
    const int slot = slot_of(c, message);

    if (slot < 0)
        return false;
    lane_heard(&c->intake, &c->intake.lanes[slot]);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return !c->intake.lanes[slot].head && holder_at_end(&c->holder, slot, message->offset, now_unix_us);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        c->intake.lanes[slot].out_of_range = true;
        return true;
    }
    log_warn("partition_trouble", "topic=%s partition=%d error=\"%s\", librdkafka tries again",
             c->fleet.spec.topics[c->holder.parts[slot].topic], message->partition, rd_kafka_message_errstr(message));
    return false;
}

/* Waits for the first message only: a batch call would wait until the batch is full. Without the lock. */
static int fetch(struct intake *in, int wait_ms)
{
    ssize_t more;

    in->batch[0] = rd_kafka_consume_queue(in->queue, wait_ms);
    if (!in->batch[0])
        return 0;
    more = rd_kafka_consume_batch_queue(in->queue, 0, in->batch + 1, FETCH_MAX - 1);
    return more > 0 ? (int)more + 1 : 1;
}

static bool sort(struct baton_consumer *c, int count)
{
    struct intake *in = &c->intake;
    const int64_t now_unix_us = clock_unix_us();
    const rd_kafka_topic_t *rkt = NULL;
    int32_t partition = -1;
    int slot = -1;
    bool wake = false;

    for (int i = 0; i < count; i++) {
        rd_kafka_message_t *message = in->batch[i];

        if (message->err) {
            wake = intake_event(c, message, now_unix_us) || wake;
            rd_kafka_message_destroy(message);
            continue;
        }
        if (message->rkt != rkt || message->partition != partition) { /* they come in runs of one partition */
            slot = slot_of(c, message);
            rkt = message->rkt;
            partition = message->partition;
        }
        if (slot >= 0) {
            lane_append(in, slot, message);
        } else {
            c->holder.records_gated++;
            rd_kafka_message_destroy(message);
        }
    }
    return wake;
}

static int fetch_and_sort(struct baton_consumer *c, int wait_ms)
{
    struct intake *in = &c->intake;
    int count;

    if (!pool_reserve(c))
        return ERR_NOMEM;
    in->fetching = true;
    pthread_mutex_unlock(&c->lock);
    count = fetch(in, wait_ms);
    pthread_mutex_lock(&c->lock);
    in->fetching = false;
    if (sort(c, count))
        consumer_wake(c);
    if (in->hold)
        pthread_cond_signal(&in->hold_cond);
    return ERR_OK;
}

/* --- from the lanes to the program --- */

/* Takes from one lane what the gate lets through. */
static int take_lane(struct baton_consumer *c, int slot, struct baton_record **ret, int max, int64_t now_ms)
{
    struct intake *in = &c->intake;
    struct lane *lane = &in->lanes[slot];
    const int64_t now_unix_us =
        c->holder.parts[slot].first == OFFSET_NONE ? clock_unix_us() : 0; /* only the first is told */
    struct baton_record *record;
    int count = 0;

    lane->blocked = false;
    while (count < max && (record = lane->head)) {
        const enum deliver verdict = holder_deliver(&c->holder, slot, record->offset, now_ms, now_unix_us);

        if (verdict == DELIVER_LATER) {
            lane->blocked = true;
            break;
        }
        lane->head = record->next;
        in->ready--;
        if (verdict == DELIVER_NOW) {
            record->epoch = c->holder.parts[slot].epoch;
            record->delivered_us = count % MEASURE_EVERY == 0 ? in->taken_us : 0;
            ret[count++] = record;
        } else {
            rd_kafka_message_destroy(record->message);
            pool_put(in, record);
        }
    }
    if (!lane->head)
        lane->tail = NULL;
    return count;
}

static int take(struct baton_consumer *c, struct baton_record **ret, int max)
{
    struct intake *in = &c->intake;
    const int64_t now_us = clock_us(); /* read here: after a SIGSTOP the fence must know */
    const int64_t now_ms = now_us / 1000;
    bool any = true;
    int count = 0;

    in->taken_us = now_us;
    while (any && in->first_lane >= 0 && count < max) {
        const int last = in->last_lane;
        int slot;

        any = false;
        do {
            const int room = max - count < TURN_MAX ? max - count : TURN_MAX;
            int taken;

            slot = turn_pop(in);
            taken = take_lane(c, slot, ret + count, room, now_ms);
            count += taken;
            any = any || taken > 0;
            if (in->lanes[slot].head)
                turn_append(in, slot);
        } while (slot != last && count < max);
    }
    in->in_flight += count;
    if (count > 0 && holder_wants_turn(&c->holder))
        consumer_wake(c);
    return count;
}

static void wait_ready(struct baton_consumer *c, int64_t until_ms)
{
    const struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    c->intake.waiters++;
    pthread_cond_timedwait(&c->intake.ready_cond, &c->lock, &at);
    c->intake.waiters--;
}

static bool may_fetch(const struct intake *in, int ready_max)
{
    return in->queue && !in->fetching && !in->hold && in->ready < ready_max;
}

/* There are records, but some partition waits for its first: it may be behind them. */
static int look_behind(struct baton_consumer *c)
{
    struct intake *in = &c->intake;
    int before, r = ERR_OK;

    do {
        before = in->ready;
        if (in->fresh > 0 && before > 0 && may_fetch(in, READY_FRESH_MAX))
            r = fetch_and_sort(c, 0);
    } while (r == ERR_OK && in->ready > before);
    return r;
}

/* Fetches, or waits for the thread that does, at most until then. */
static int wait_for_more(struct baton_consumer *c, int64_t deadline_ms)
{
    struct intake *in = &c->intake;
    const int64_t now_ms = clock_ms();
    int64_t wait_ms = deadline_ms - now_ms;

    wait_ms = wait_ms < 0 ? 0 : wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
    if (may_fetch(in, READY_MAX))
        return fetch_and_sort(c, (int)wait_ms);
    if (wait_ms > 0)
        wait_ready(c, now_ms + wait_ms);
    return ERR_OK;
}

static int poll_locked(struct baton_consumer *c, struct baton_record **ret, int max, int64_t deadline_ms)
{
    for (bool waited = false;; waited = true) {
        int r = look_behind(c);

        if (c->failed)
            return c->failed;
        if (c->life != LIFE_OPEN)
            return c->life == LIFE_NEW ? ERR_STATE : ERR_CLOSED;
        if (r < 0)
            return r;
        r = c->intake.ready > 0 ? take(c, ret, max) : 0;
        if (r > 0 || (waited && clock_ms() >= deadline_ms))
            return r;
        r = wait_for_more(c, deadline_ms);
        if (r < 0)
            return r;
    }
}

int intake_poll(struct baton_consumer *c, struct baton_record **ret, int max, int timeout_ms)
{
    const int64_t now_us = clock_us();
    const int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : timeout_ms == 0 ? 0 : now_us / 1000 + timeout_ms;
    struct intake *in = &c->intake;
    int r;

    pthread_mutex_lock(&c->lock);
    if (in->pollers++ == 0 && in->returned_us > 0)
        histogram_add(&c->signals.poll_gap, now_us - in->returned_us, 1);
    r = poll_locked(c, ret, max, deadline_ms);
    if (--in->pollers == 0)
        in->returned_us = r > 0 ? in->taken_us : clock_us();
    if (in->waiters > 0 && (in->ready > 0 || !in->fetching))
        pthread_cond_signal(&in->ready_cond); /* somebody else takes the rest, or fetches */
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* --- done --- */

/* At most DONE_MAX at a time; their messages are freed without the lock. */
static void done_some(struct baton_consumer *c, struct baton_record *const *records, int count)
{
    struct intake *in = &c->intake;
    rd_kafka_message_t *messages[DONE_MAX];
    bool wake = false, unblocked = false;
    int64_t now_us = 0; /* one clock for all that are measured */

    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < count; i++) {
        struct baton_record *record = records[i];
        struct work *work = in->works ? &in->works[record->part].work : NULL;

        messages[i] = record->message;
        ASSERT(record->consumer == c && messages[i]); /* done twice? */
        wake = holder_done(&c->holder, record->part, record->offset,
                           c->holder.parts[record->part].state == PART_DRAINING ? clock_unix_us() : 0) ||
               wake;
        unblocked = unblocked || in->lanes[record->part].blocked;
        if (work)
            work->done++;
        if (record->delivered_us > 0) {
            now_us = now_us > 0 ? now_us : clock_us();
            histogram_add(&c->signals.processing, now_us - record->delivered_us, 1);
            if (work)
                work->times[work_bucket(histogram_bucket(now_us - record->delivered_us))]++;
        }
        pool_put(in, record);
    }
    in->in_flight -= count;
    if (wake || (c->life == LIFE_CLOSING && in->in_flight == 0))
        consumer_wake(c);
    if (unblocked && in->fetching)
        rd_kafka_queue_yield(in->queue); /* a thread waits for others while these may go */
    if (unblocked && in->waiters > 0)
        pthread_cond_signal(&in->ready_cond);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < count; i++)
        rd_kafka_message_destroy(messages[i]);
}

void intake_done(struct baton_consumer *c, struct baton_record *const *records, int count)
{
    for (int i = 0; i < count; i += DONE_MAX)
        done_some(c, records + i, count - i < DONE_MAX ? count - i : DONE_MAX);
}

void intake_failed(struct baton_consumer *c, const struct baton_record *record, const char *failure)
{
    pthread_mutex_lock(&c->lock);
    signals_fail(&c->signals, failure, 1);
    if (c->intake.works)
        c->intake.works[record->part].work.failed++;
    pthread_mutex_unlock(&c->lock);
}

void intake_given_again(struct baton_consumer *c, const struct baton_record *record)
{
    pthread_mutex_lock(&c->lock);
    holder_given_again(&c->holder, record->part);
    pthread_mutex_unlock(&c->lock);
}

int intake_give_back(struct baton_consumer *c, struct baton_record *record)
{
    rd_kafka_message_t *message = record->message;
    bool taken;

    pthread_mutex_lock(&c->lock);
    ASSERT(record->consumer == c && message); /* done already? */
    taken = holder_take_back(&c->holder, record->part, record->offset);
    if (taken) {
        pool_put(&c->intake, record);
        c->intake.in_flight--;
        consumer_wake(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (taken)
        rd_kafka_message_destroy(message);
    return taken ? ERR_OK : ERR_STATE;
}

/* --- the library's thread --- */

void intake_hold(struct baton_consumer *c)
{
    struct intake *in = &c->intake;

    in->hold = true;
    while (in->fetching) {
        rd_kafka_queue_yield(in->queue);
        pthread_cond_wait(&in->hold_cond, &c->lock);
    }
}

void intake_unhold(struct baton_consumer *c)
{
    c->intake.hold = false;
    if (c->intake.waiters > 0)
        pthread_cond_signal(&c->intake.ready_cond);
}

void intake_wake_all(struct baton_consumer *c)
{
    pthread_cond_broadcast(&c->intake.ready_cond);
    if (c->intake.fetching)
        rd_kafka_queue_yield(c->intake.queue);
}

/* Slots and parts are in one order. What was given up is forgotten: who gets it again begins at 0, and nothing counts twice. */
void intake_report(struct baton_consumer *c, struct report *r)
{
    const struct holder *h = &c->holder;

    r->work_count = 0;
    for (int slot = 0, part = 0; slot < h->part_max && c->intake.works; slot++) {
        struct part_work *work = &c->intake.works[slot];
        const bool told = part < r->part_count && h->parts[slot].used && r->parts[part].topic == h->parts[slot].topic &&
                          r->parts[part].partition == h->parts[slot].partition;

        part += told;
        if (!told || work->topic != h->parts[slot].topic || work->partition != h->parts[slot].partition)
            work->work = (struct work){ 0 };
        if (work->work.done > 0)
            r->works[r->work_count++] = *work;
    }
}

int intake_init(struct intake *in)
{
    pthread_condattr_t attr;
    int r;

    *in = (struct intake){ .first_lane = -1, .last_lane = -1 };
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    r = pthread_cond_init(&in->ready_cond, &attr);
    if (r == 0)
        r = pthread_cond_init(&in->hold_cond, NULL);
    pthread_condattr_destroy(&attr);
    return r == 0 ? ERR_OK : ERR_NOMEM;
}

void intake_release(struct baton_consumer *c)
{
    struct intake *in = &c->intake;

    for (struct record_chunk *chunk = in->chunks; chunk; chunk = chunk->next)
        for (size_t i = 0; i < ARRAY_COUNT(chunk->records); i++)
            if (chunk->records[i].message) {
                rd_kafka_message_destroy(chunk->records[i].message);
                chunk->records[i].message = NULL;
            }
    for (int i = 0; i < TOPICS_MAX; i++)
        if (in->topics[i].reference) {
            rd_kafka_topic_destroy(in->topics[i].reference);
            in->topics[i].reference = NULL;
        }
    if (in->queue)
        rd_kafka_queue_destroy(in->queue);
    in->queue = NULL;
}

void intake_deinit(struct intake *in)
{
    while (in->chunks) {
        struct record_chunk *next = in->chunks->next;

        free(in->chunks);
        in->chunks = next;
    }
    for (int i = 0; i < TOPICS_MAX; i++)
        free(in->topics[i].part_of);
    free(in->lanes);
    free(in->works);
    pthread_cond_destroy(&in->ready_cond);
    pthread_cond_destroy(&in->hold_cond);
}
