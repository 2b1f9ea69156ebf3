/* flow - see flow.h. */
#include "member/flow.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "member/carry.h"
#include "member/intake.h"

#define SEEK_MS_MAX 1000
#define RETRY_MS 200
#define REPAIR_RETRY_MS 1000
#define OLD_COMMIT_MS_MAX 2000
#define WATERMARK_MS_MAX 2000

typedef rd_kafka_topic_partition_list_t tp_list;

/* Does Kafka assign the lane's partition to us? Under the lock or on the library's thread, which alone changes it. */
static bool assigned(const struct baton_consumer *c, int slot)
{
    const struct holder_part *p = &c->holder.parts[slot];

    return p->used && p->assigned;
}

static void list_add(const struct baton_consumer *c, tp_list *list, int slot, int64_t offset)
{
    const struct lane *lane = &c->intake.lanes[slot];

    rd_kafka_topic_partition_list_add(list, c->fleet.spec.topics[lane->topic], lane->partition)->offset = offset;
}

/*
 * Its records go to the common queue from their first on; librdkafka's own forwarding does not override this. But it
 * drops it whenever a partition is stopped, which its main thread does some time after an unassign has returned: one
 * question to that thread, and it has.
 */
static void forward(struct baton_consumer *c, const tp_list *list)
{
    tp_list *have = NULL;

    if (list->cnt == 0)
        return;
    if (rd_kafka_assignment(c->main.rk, &have) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_topic_partition_list_destroy(have);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_queue_t *queue =
            rd_kafka_queue_get_partition(c->main.rk, list->elems[i].topic, list->elems[i].partition);

        if (!queue)
            continue;
        rd_kafka_queue_forward(queue, c->intake.queue);
        rd_kafka_queue_destroy(queue);
    }
}

static bool failed(rd_kafka_error_t *error, const char *doing)
{
    if (!error)
        return false;
    log_error("assignment_failed", "doing=%s error=\"%s\", trying again", doing, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return true;
}

static bool list_failed(const tp_list *list, const char *doing)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err) {
            log_warn("partition_call_failed", "doing=%s topic=%s partition=%d error=\"%s\", attaching it anew", doing,
                     list->elems[i].topic, list->elems[i].partition, rd_kafka_err2str(list->elems[i].err));
            return true;
        }
    return false;
}

/* --- marks --- */

void flow_attach(struct baton_consumer *c, int slot, int64_t offset)
{
    struct lane *lane = &c->intake.lanes[slot];

    pthread_mutex_lock(&c->lock);
    intake_purge(c, slot);
    lane->topic = c->holder.parts[slot].topic;
    lane->partition = c->holder.parts[slot].partition;
    lane->wanted = lane->again = true;
    lane->start = offset;
    pthread_mutex_unlock(&c->lock);
}

void flow_detach(struct baton_consumer *c, int slot)
{
    struct lane *lane = &c->intake.lanes[slot];

    pthread_mutex_lock(&c->lock);
    intake_purge(c, slot);
    lane->wanted = lane->again = lane->out_of_range = lane->held = false;
    pthread_mutex_unlock(&c->lock);
}

/* --- one change of the assignment --- */

struct change {
    tp_list *remove, *add; /* incremental */
    tp_list *whole;        /* eager: all that shall be attached afterwards */
    bool any;
};

/* Should librdkafka have it after the change? */
static bool attach_it(const struct baton_consumer *c, int slot)
{
    const struct lane *lane = &c->intake.lanes[slot];

    return !c->leaving && assigned(c, slot) && (lane->wanted || c->options.standby == STANDBY_PAUSED);
}

static bool anew(const struct baton_consumer *c, int slot)
{
    const struct lane *lane = &c->intake.lanes[slot];

    return lane->again && (lane->renew || c->options.standby == STANDBY_DETACHED);
}

/*
 * Always a number. What is only paused could be assigned where its log ends, too; but librdkafka would ask a broker where that is,
 * and an answer that a seek or another assignment has overtaken makes it ask again half a second later and go on at the end.
 */
static int64_t start_of(const struct baton_consumer *c, int slot)
{
    const struct lane *lane = &c->intake.lanes[slot];

    if (!lane->wanted)
        return 0;
    return lane->again ? lane->start : lane->taken;
}

static void change_plan(struct baton_consumer *c, struct change *ch)
{
    for (int i = 0; i < c->holder.part_max; i++) {
        struct lane *lane = &c->intake.lanes[i];
        const bool want = attach_it(c, i);

        if (want && !lane->attached) {
            lane->topic = c->holder.parts[i].topic;
            lane->partition = c->holder.parts[i].partition;
        }
        if (lane->attached && (!want || anew(c, i)))
            list_add(c, ch->remove, i, RD_KAFKA_OFFSET_INVALID);
        if (want && (!lane->attached || anew(c, i)))
            list_add(c, ch->add, i, start_of(c, i));
    }
    ch->any = ch->remove->cnt > 0 || ch->add->cnt > 0;
}

/* After intake_hold(): positions stand still. */
static void change_close(struct baton_consumer *c, struct change *ch)
{
    for (int i = 0; i < c->holder.part_max; i++) {
        const struct lane *lane = &c->intake.lanes[i];

        if (lane->attached ? !attach_it(c, i) || anew(c, i) : attach_it(c, i))
            intake_purge(c, i);
        if (c->eager && attach_it(c, i))
            list_add(c, ch->whole, i, start_of(c, i));
    }
}

/* librdkafka has them now. */
static void change_note(struct baton_consumer *c, bool removed, bool added)
{
    for (int i = 0; i < c->holder.part_max; i++) {
        struct lane *lane = &c->intake.lanes[i];

        if (removed && lane->attached && (!attach_it(c, i) || anew(c, i)))
            lane->attached = lane->paused = false;
        if (!added || !attach_it(c, i) || lane->attached)
            continue;
        lane->taken = start_of(c, i);
        lane->attached = true;
        if (lane->wanted)
            intake_open(c, i);
        lane->again = lane->renew = false;
    }
}

static void incremental(struct baton_consumer *c, struct change *ch, enum answer answer, bool *removed, bool *added)
{
    *removed = *added = true;
    if (ch->remove->cnt > 0 || answer == ANSWER_REVOKE)
        *removed = !failed(rd_kafka_incremental_unassign(c->main.rk, ch->remove), "incremental_unassign");
    if (!*removed || (ch->add->cnt == 0 && answer != ANSWER_ASSIGN))
        return;
    forward(c, ch->add);
    *added = !failed(rd_kafka_incremental_assign(c->main.rk, ch->add), "incremental_assign");
}

static void whole(struct baton_consumer *c, struct change *ch, enum answer answer, bool *removed, bool *added)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (ch->any || answer == ANSWER_REVOKE)
        err = rd_kafka_assign(c->main.rk, NULL);
    if (!err && (ch->whole->cnt > 0 || answer == ANSWER_ASSIGN)) {
        forward(c, ch->whole);
        err = rd_kafka_assign(c->main.rk, ch->whole);
    }
    *removed = *added = !err;
    if (err)
        log_error("assignment_failed", "doing=assign error=\"%s\", trying again", rd_kafka_err2str(err));
}

/* What librdkafka really has; ours was wrong (a fatal error, a session lost under our feet). */
static void resync(struct baton_consumer *c)
{
    tp_list *have = NULL;

    if (rd_kafka_assignment(c->main.rk, &have) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->holder.part_max; i++) {
        struct lane *lane = &c->intake.lanes[i];

        if (lane->attached &&
            !rd_kafka_topic_partition_list_find(have, c->fleet.spec.topics[lane->topic], lane->partition)) {
            lane->attached = lane->paused = false;
            intake_purge(c, i);
            lane->again = lane->wanted;
            lane->start = c->holder.parts[i].window.position;
        }
    }
    pthread_mutex_unlock(&c->lock);
    rd_kafka_topic_partition_list_destroy(have);
}

/*
 * Pause flags live in the client, per partition, and outlive an assignment: what is to flow is resumed before it is
 * assigned, what is not is paused before (which librdkafka may not know yet: pause_apply() sees to those).
 */
static void preset_pauses(struct baton_consumer *c)
{
    tp_list *stop = rd_kafka_topic_partition_list_new(16), *go = rd_kafka_topic_partition_list_new(16);

    for (int i = 0; i < c->holder.part_max; i++)
        if (attach_it(c, i) && (!c->intake.lanes[i].attached || anew(c, i)))
            list_add(c, c->intake.lanes[i].wanted ? go : stop, i, RD_KAFKA_OFFSET_INVALID);
    if (stop->cnt > 0)
        rd_kafka_pause_partitions(c->main.rk, stop);
    if (go->cnt > 0)
        rd_kafka_resume_partitions(c->main.rk, go);
    rd_kafka_topic_partition_list_destroy(stop);
    rd_kafka_topic_partition_list_destroy(go);
}

static bool change_make(struct baton_consumer *c, enum answer answer)
{
    struct change ch = { .remove = rd_kafka_topic_partition_list_new(16),
                         .add = rd_kafka_topic_partition_list_new(16),
                         .whole = rd_kafka_topic_partition_list_new(16) };
    bool removed = true, added = true;

    pthread_mutex_lock(&c->lock);
    change_plan(c, &ch);
    if (ch.any)
        intake_hold(c);
    if (ch.any || answer != ANSWER_NONE)
        change_close(c, &ch);
    pthread_mutex_unlock(&c->lock);
    if (ch.any || answer != ANSWER_NONE) {
        if (c->options.standby == STANDBY_PAUSED)
            preset_pauses(c);
        if (c->eager)
            whole(c, &ch, answer, &removed, &added);
        else
            incremental(c, &ch, answer, &removed, &added);
    }
    pthread_mutex_lock(&c->lock);
    if (ch.any) {
        change_note(c, removed, added);
        intake_unhold(c);
    }
    pthread_mutex_unlock(&c->lock);
    rd_kafka_topic_partition_list_destroy(ch.remove);
    rd_kafka_topic_partition_list_destroy(ch.add);
    rd_kafka_topic_partition_list_destroy(ch.whole);
    return removed && added;
}

/* --- standby = paused --- */

static bool pause_all(struct baton_consumer *c, tp_list *list)
{
    return list->cnt == 0 ||
           (rd_kafka_pause_partitions(c->main.rk, list) == RD_KAFKA_RESP_ERR_NO_ERROR && !list_failed(list, "pause"));
}

/* Never ends on resume: the fetcher would sleep on for up to a second. */
static bool seek_resume_seek(struct baton_consumer *c, tp_list *list)
{
    if (list->cnt == 0)
        return true;
    if (failed(rd_kafka_seek_partitions(c->main.rk, list, SEEK_MS_MAX), "seek") || list_failed(list, "seek"))
        return false;
    if (rd_kafka_resume_partitions(c->main.rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR || list_failed(list, "resume"))
        return false;
    return !failed(rd_kafka_seek_partitions(c->main.rk, list, SEEK_MS_MAX), "seek") && !list_failed(list, "seek");
}

/* True: some could not be woken, they must be assigned anew. */
static bool pause_apply(struct baton_consumer *c)
{
    tp_list *stop = rd_kafka_topic_partition_list_new(16), *go = rd_kafka_topic_partition_list_new(16);
    bool stopped, gone, renew = false;

    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->holder.part_max; i++) {
        const struct lane *lane = &c->intake.lanes[i];

        if (lane->attached && !lane->wanted && !lane->paused)
            list_add(c, stop, i, RD_KAFKA_OFFSET_INVALID);
        if (lane->attached && lane->wanted && (lane->paused || lane->again))
            list_add(c, go, i, lane->start);
    }
    if (stop->cnt > 0 || go->cnt > 0)
        intake_hold(c);
    pthread_mutex_unlock(&c->lock);
    stopped = pause_all(c, stop);
    gone = seek_resume_seek(c, go);
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->holder.part_max; i++) {
        struct lane *lane = &c->intake.lanes[i];

        if (!lane->attached)
            continue;
        if (!lane->wanted) {
            lane->paused = lane->paused || stopped;
        } else if (gone && (lane->paused || lane->again)) {
            lane->paused = lane->again = false;
            lane->taken = lane->start;
            intake_open(c, i);
        } else if (lane->again || lane->paused) {
            lane->again = lane->renew = true; /* a seek is refused where the fetcher has not started */
            renew = true;
        }
    }
    if (stop->cnt > 0 || go->cnt > 0)
        intake_unhold(c);
    pthread_mutex_unlock(&c->lock);
    rd_kafka_topic_partition_list_destroy(stop);
    rd_kafka_topic_partition_list_destroy(go);
    return renew;
}

/* --- the way in --- */

static void apply(struct baton_consumer *c, enum answer answer)
{
    bool made = change_make(c, answer);

    if (!made) {
        resync(c);
        made = change_make(c, answer);
    }
    c->flow_retry_ms = made ? 0 : clock_ms() + RETRY_MS;
}

void flow_apply(struct baton_consumer *c)
{
    if (!c->main_open)
        return;
    if (c->owed == ANSWER_NONE)
        apply(c, ANSWER_NONE);
    if (c->options.standby == STANDBY_PAUSED && pause_apply(c) && c->owed == ANSWER_NONE) /* a pause is no answer */
        apply(c, ANSWER_NONE);
}

void flow_owe(struct baton_consumer *c, enum answer answer)
{
    c->owed = answer;
    c->owed_due = false;
    c->owed_commit = 0;
    c->owed_by_ms = clock_ms() + OLD_COMMIT_MS_MAX;
    for (const struct ask *ask = c->asks; ask; ask = ask->next)
        if (ask->type == ASK_COMMIT && ask->token > c->owed_commit)
            c->owed_commit = ask->token;
}

void flow_settle(struct baton_consumer *c)
{
    const enum answer answer = c->owed;

    if (c->flow_retry_ms != 0 && clock_ms() >= c->flow_retry_ms)
        flow_apply(c);
    if (!c->owed_due)
        return;
    for (const struct ask *ask = c->asks; ask && clock_ms() < c->owed_by_ms; ask = ask->next)
        if (ask->type == ASK_COMMIT && ask->token <= c->owed_commit)
            return;
    c->owed = ANSWER_NONE;
    c->owed_due = false;
    apply(c, answer);
    flow_apply(c);
    if (c->next_rebalance) {
        pthread_mutex_lock(&c->lock);
        consumer_wake(c);
        pthread_mutex_unlock(&c->lock);
    }
}

void flow_answer(struct baton_consumer *c)
{
    c->owed_due = c->owed != ANSWER_NONE;
    flow_settle(c);
}

/* The fleet file says that nothing may be jumped over: the partition waits until it says otherwise. */
static void hold(struct baton_consumer *c, struct lane *lane, int64_t at, int64_t to)
{
    struct errmsg m = { 0 };

    if (lane->held)
        return;
    lane->held = true;
    err_set(
        &m, ERR_NOT_FOUND,
        "%s/%d has nothing at offset %lld any more and would go on at %lld, but offset_reset is none: the partition "
        "waits; to go on with the gap, set offset_reset to earliest in the fleet file and apply it",
        c->fleet.spec.topics[lane->topic], lane->partition, (long long)at, (long long)to);
    log_error("offset_out_of_range", "error=\"%s\"", m.text);
    consumer_note_why(c, m.text);
}

/* The end of the log is lost: the holder goes on below what it has delivered. What is fetched and not delivered is of the lost end. */
static bool cut(struct baton_consumer *c, int slot, int64_t end)
{
    bool done;

    pthread_mutex_lock(&c->lock);
    done = holder_cut(&c->holder, slot, end);
    if (done)
        intake_purge(c, slot);
    pthread_mutex_unlock(&c->lock);
    return done;
}

/*
 * Begins at the nearer end of what the log has; false: ask again later. offset_reset says where a fleet begins that has
 * nothing committed. One that has is never sent further than it must go: not to the end (latest), past what is still
 * there, nor to the beginning (earliest), to what was done already.
 */
static bool repair(struct baton_consumer *c, int slot, int64_t at)
{
    struct lane *lane = &c->intake.lanes[slot];
    const char *topic = c->fleet.spec.topics[lane->topic];
    int64_t low = 0, high = 0, to;
    const rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(c->main.rk, topic, lane->partition, &low, &high, WATERMARK_MS_MAX);

    if (err) {
        log_warn("offset_out_of_range", "topic=%s partition=%d offset=%lld error=\"%s\", asking again", topic,
                 lane->partition, (long long)at, rd_kafka_err2str(err));
        return false;
    }
    to = at < low ? low : at > high ? high : at;
    if (to != at && c->fleet.spec.offset_reset == RESET_NONE) {
        hold(c, lane, at, to);
        return false;
    }
    if (at > high && !cut(c, slot, to))
        return false;            /* records of the lost end are in flight: asked again when they are done */
    if (to == lane->repaired_to) /* nothing has come there since: said already */
        log_debug("offset_out_of_range", "topic=%s partition=%d, still empty", topic, lane->partition);
    else
        log_error("offset_out_of_range", "topic=%s partition=%d offset=%lld low=%lld high=%lld, %s, going on at %lld",
                  topic, lane->partition, (long long)at, (long long)low, (long long)high,
                  at < low ? "retention has deleted what was not processed yet"
                           : "the brokers have lost what was there",
                  (long long)to);
    flow_attach(c, slot, to);
    lane->repaired_to = to;
    lane->held = false;
    return true;
}

void flow_repair(struct baton_consumer *c)
{
    const int64_t now_ms = clock_ms();
    bool any = false;

    if (now_ms < c->repair_retry_ms)
        return;
    for (int i = 0; i < c->holder.part_max; i++) {
        struct lane *lane = &c->intake.lanes[i];
        int64_t at;
        bool due;

        pthread_mutex_lock(&c->lock);
        at = lane->taken;
        due = lane->out_of_range && lane->wanted && lane->attached;
        lane->out_of_range = false;
        pthread_mutex_unlock(&c->lock);
        if (!due)
            continue;
        if (repair(c, i, at)) {
            any = true;
        } else {
            pthread_mutex_lock(&c->lock);
            lane->out_of_range = true;
            pthread_mutex_unlock(&c->lock);
            c->repair_retry_ms = now_ms + REPAIR_RETRY_MS;
        }
    }
    if (any)
        flow_apply(c);
}
