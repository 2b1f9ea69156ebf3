/* carry - see carry.h. */
#include "member/carry.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "member/flow.h"
#include "member/intake.h"
#include "wire/record.h"

#define QUESTION_MS_MAX 5000
#define PARTS_MIN 16
#define REPORT_PARTS_A_MS 16

/* --- room --- */

static int reserve_more(struct baton_consumer *c, int part_max)
{
    const size_t count = (size_t)part_max;
    struct holder_part_at *at = realloc(c->fx.parts, 4 * count * sizeof(*at));
    struct report_part *reported;
    struct part_work *works;
    struct holder_part *parts;

    if (!at)
        return ERR_NOMEM;
    c->fx.parts = at;
    c->fx.part_max = 4 * part_max;
    reported = realloc(c->report.parts, count * sizeof(*reported));
    if (!reported)
        return ERR_NOMEM;
    c->report.parts = reported;
    c->report.part_max = part_max;
    if (part_max <= WORK_PARTS_MAX) {
        works = realloc(c->report.works, count * sizeof(*works));
        if (!works)
            return ERR_NOMEM;
        c->report.works = works;
    }
    if (intake_grow(c, part_max) < 0)
        return ERR_NOMEM;
    parts = realloc(c->holder.parts, count * sizeof(*parts));
    if (!parts)
        return ERR_NOMEM;
    memset(parts + c->holder.part_max, 0, (count - (size_t)c->holder.part_max) * sizeof(*parts));
    c->holder.parts = parts;
    c->holder.part_max = part_max;
    return ERR_OK;
}

int carry_reserve(struct baton_consumer *c, int part_count)
{
    int part_max = c->holder.part_max > 0 ? c->holder.part_max : PARTS_MIN, r;

    while (part_max < part_count)
        part_max *= 2;
    if (part_max == c->holder.part_max)
        return ERR_OK;
    pthread_mutex_lock(&c->lock);
    r = reserve_more(c, part_max);
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* A window for the partition of this slot, once; slots keep it for the next partition. */
static bool window_ready(struct baton_consumer *c, int slot)
{
    struct window *w = &c->holder.parts[slot].window;
    struct window_slot *slots;

    if (w->slots)
        return true;
    slots = calloc((size_t)c->options.in_flight_max, sizeof(*slots));
    if (!slots)
        return false;
    pthread_mutex_lock(&c->lock);
    w->slots = slots;
    w->room = (uint32_t)c->options.in_flight_max;
    pthread_mutex_unlock(&c->lock);
    return true;
}

void carry_release(struct baton_consumer *c)
{
    while (c->asks) {
        struct ask *next = c->asks->next;

        free(c->asks);
        c->asks = next;
    }
    for (int i = 0; i < c->holder.part_max; i++)
        free(c->holder.parts[i].window.slots);
    free(c->holder.parts);
    free(c->fx.parts);
    free(c->report.parts);
    free(c->report.works);
    c->holder.parts = NULL;
    c->holder.part_max = 0;
    c->fx.parts = NULL;
    c->report.parts = NULL;
    c->report.works = NULL;
}

/* --- asks --- */

struct ask *carry_find(struct baton_consumer *c, uint64_t token)
{
    for (struct ask *ask = c->asks; ask; ask = ask->next)
        if (ask->token == token)
            return ask;
    return NULL;
}

static struct ask *ask_new(struct baton_consumer *c, enum ask_type type, const struct holder_effect *e)
{
    struct ask *ask = malloc(sizeof(*ask) + (size_t)e->count * sizeof(ask->parts[0]));

    if (!ask) {
        consumer_fail(c, ERR_NOMEM, "out of memory for a question to the brokers");
        return NULL;
    }
    *ask = (struct ask){ .next = c->asks, .type = type, .token = e->token, .count = e->count };
    memcpy(ask->parts, c->fx.parts + e->first, (size_t)e->count * sizeof(ask->parts[0]));
    c->asks = ask;
    return ask;
}

void carry_answer(struct baton_consumer *c, struct ask *ask, const bool *failed, bool all_failed)
{
    static const enum holder_event_type answers[] = {
        [ASK_COMMIT] = HOLDER_COMMITTED, [ASK_OFFSETS] = HOLDER_OFFSETS, [ASK_ACTIVE] = HOLDER_ACTIVE_OFFSETS
    };
    struct ask **at = &c->asks;

    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    carry_step(c, (struct holder_event){ .type = answers[ask->type],
                                         .token = ask->token,
                                         .failed = all_failed,
                                         .parts = ask->parts,
                                         .part_failed = failed,
                                         .part_count = ask->count });
    free(ask);
}

void carry_refused(struct baton_consumer *c)
{
    struct ask *ask;

    do {
        for (ask = c->asks; ask && !ask->refused; ask = ask->next)
            ;
        if (ask)
            carry_answer(c, ask, NULL, true);
    } while (ask);
    if (c->report_refused) {
        const uint64_t sequence = c->report_refused;

        c->report_refused = 0;
        carry_step(c, (struct holder_event){ .type = HOLDER_REPORT_FAILED, .sequence = sequence });
    }
}

/* --- effects --- */

static const char *topic_of(const struct baton_consumer *c, int slot)
{
    return c->fleet.spec.topics[c->holder.parts[slot].topic];
}

static void commit(struct baton_consumer *c, const struct holder_effect *e)
{
    struct ask *ask = ask_new(c, ASK_COMMIT, e);
    rd_kafka_topic_partition_list_t *list;
    char mark[MARK_TEXT_MAX];

    if (!ask)
        return;
    list = rd_kafka_topic_partition_list_new(e->count);
    for (int i = 0; i < ask->count; i++) {
        const struct holder_part_at *at = &ask->parts[i];
        rd_kafka_topic_partition_t *tp =
            rd_kafka_topic_partition_list_add(list, topic_of(c, at->part), c->holder.parts[at->part].partition);

        mark_format(mark, at->mark);
        tp->offset = at->offset;
        tp->metadata = strdup(mark);
        tp->metadata_size = tp->metadata ? strlen(mark) : 0;
        ask->refused = ask->refused || !tp->metadata; /* without its mark it would be a foreign one */
    }
    if (!c->main_open || ask->refused || clock_ms() < c->commits_barred_ms ||
        rd_kafka_commit_queue(c->main.rk, list, c->commit_queue, NULL, (void *)(uintptr_t)ask->token) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
        ask->refused = true;
    rd_kafka_topic_partition_list_destroy(list);
}

static void read_offsets(struct baton_consumer *c, const struct holder_effect *e, enum ask_type type)
{
    const enum color color = type == ASK_ACTIVE ? color_other(c->options.color) : c->options.color;
    struct ask *ask = ask_new(c, type, e);
    struct kafka_tp *tps;

    if (!ask)
        return;
    tps = calloc((size_t)ask->count, sizeof(*tps));
    if (!tps || !c->admin) {
        ask->refused = true;
        free(tps);
        return;
    }
    for (int i = 0; i < ask->count; i++) {
        text_copy(tps[i].topic, sizeof(tps[i].topic), topic_of(c, ask->parts[i].part));
        tps[i].partition = c->holder.parts[ask->parts[i].part].partition;
    }
    ask->refused = kafka_admin_offsets(c->admin, ask->token, c->fleet.spec.colors[color].group, tps, ask->count,
                                       QUESTION_MS_MAX) < 0;
    free(tps);
}

static bool routed(struct baton_consumer *c, int slot)
{
    const struct holder_part *p = &c->holder.parts[slot];
    int r;

    pthread_mutex_lock(&c->lock);
    r = intake_route(c, p->topic, p->partition, slot);
    pthread_mutex_unlock(&c->lock);
    return r == ERR_OK;
}

static void attach(struct baton_consumer *c, const struct holder_effect *e)
{
    for (int i = 0; i < e->count; i++) {
        const struct holder_part_at *at = &c->fx.parts[e->first + i];

        if (at->offset < 0) /* librdkafka would take it for a word of its own, such as "the end" */
            consumer_fail(c, ERR_CORRUPT, "the fleet's document gives a partition no offset to begin at");
        else if (!window_ready(c, at->part) || !routed(c, at->part))
            consumer_fail(c, ERR_NOMEM, "out of memory for the records of a partition");
        else
            flow_attach(c, at->part, at->offset);
    }
}

/*
 * A report tells of every partition, some 200 bytes each. While thousands of them stop or start one after the other, a
 * report a change would be most of a hand-over's work, for the member and for the controller that reads them all: so the
 * next one waits for a time that grows with this one's size.
 */
static void report(struct baton_consumer *c)
{
    struct record_key key = { .kind = RECORD_REPORT };
    struct str json = STR_WITH_MAX(RECORD_BYTES_MAX);
    char key_text[RECORD_KEY_MAX];
    struct errmsg m = { 0 };
    uint64_t sequence;
    int r;

    pthread_mutex_lock(&c->lock);
    holder_report(&c->holder, &c->report, clock_unix_us());
    c->holder.config.report_gap_ms = c->report.part_count / REPORT_PARTS_A_MS;
    intake_report(c, &c->report);
    c->reported = c->signals;
    pthread_mutex_unlock(&c->lock);
    c->report.signals = &c->reported;
    sequence = c->report.sequence;
    text_copy(c->report.member_id, sizeof(c->report.member_id), c->member_id);
    c->report.eager = c->eager;
    text_copy(key.fleet, sizeof(key.fleet), c->options.fleet);
    text_copy(key.id, sizeof(key.id), c->incarnation);
    record_key_format(key_text, &key);
    r = c->channel ? report_encode(&json, &c->report, &c->fleet, &m) : ERR_STATE;
    if (r == ERR_OK)
        r = channel_report(c->channel, sequence, key_text, json.buf, json.len, &m);
    str_free(&json);
    if (r == ERR_OK)
        return;
    c->report_refused = sequence;
    if (c->channel)
        log_warn("report_failed", "error=\"%s\", trying again", m.text);
}

static void leave(struct baton_consumer *c)
{
    rd_kafka_error_t *error;

    c->leaving = true;
    if (!c->main_open)
        return; /* the turn sees that there is nothing to leave */
    flow_apply(c);
    flow_answer(c);
    error = rd_kafka_consumer_close_queue(c->main.rk, c->group_queue);
    if (error) {
        log_warn("leave_failed", "error=\"%s\", the brokers will notice by the session time-out",
                 rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        c->left = true;
    }
}

static void ask_end(struct baton_consumer *c, uint64_t token)
{
    int i = 0;

    while (i < ENDS_MAX && c->ends[i].token != 0)
        i++;
    ASSERT(i < ENDS_MAX); /* each belongs to a rebalance younger than QUESTION_MS_MAX */
    c->ends[i].token = token;
    c->ends[i].refused = !c->channel;
    if (c->channel)
        channel_ask_end(c->channel, token, QUESTION_MS_MAX);
}

static void detach(struct baton_consumer *c, const struct holder_effect *e)
{
    for (int i = 0; i < e->count; i++)
        flow_detach(c, c->fx.parts[e->first + i].part);
}

static void carry_out(struct baton_consumer *c, const struct holder_effect *e)
{
    switch (e->type) {
    case HOLDER_ATTACH:
        attach(c, e);
        break;
    case HOLDER_DETACH:
        detach(c, e);
        break;
    case HOLDER_COMMIT:
        commit(c, e);
        break;
    case HOLDER_READ_OFFSETS:
        read_offsets(c, e, ASK_OFFSETS);
        break;
    case HOLDER_READ_ACTIVE:
        read_offsets(c, e, ASK_ACTIVE);
        break;
    case HOLDER_READ_LOG_END:
        ask_end(c, e->token);
        break;
    case HOLDER_REPORT:
        report(c);
        break;
    case HOLDER_ANSWER_ASSIGN:
    case HOLDER_ANSWER_REVOKE:
        flow_answer(c);
        break;
    case HOLDER_LEAVE:
        leave(c);
        break;
    case HOLDER_CLOSED:
        c->over = true;
        break;
    }
}

/*
 * The order of a step's effects. What is marked holds at once: nothing is delivered from a lane that is shut. So
 * the questions go out before librdkafka's assignment is changed, which takes two conversations between threads
 * and would stand in the way of every release; the words to others come last.
 */
static const enum rank {
    RANK_MARK,
    RANK_ASK,
    RANK_TELL
} ranks[] = {
    [HOLDER_ATTACH] = RANK_MARK,      [HOLDER_DETACH] = RANK_MARK,        [HOLDER_COMMIT] = RANK_ASK,
    [HOLDER_READ_OFFSETS] = RANK_ASK, [HOLDER_READ_ACTIVE] = RANK_ASK,    [HOLDER_READ_LOG_END] = RANK_ASK,
    [HOLDER_REPORT] = RANK_TELL,      [HOLDER_ANSWER_ASSIGN] = RANK_TELL, [HOLDER_ANSWER_REVOKE] = RANK_TELL,
    [HOLDER_LEAVE] = RANK_TELL,       [HOLDER_CLOSED] = RANK_TELL,
};

static int carry_out_rank(struct baton_consumer *c, enum rank rank)
{
    int count = 0;

    for (int i = 0; i < c->fx.count; i++)
        if (ranks[c->fx.items[i].type] == rank) {
            carry_out(c, &c->fx.items[i]);
            count++;
        }
    return count;
}

void carry_step(struct baton_consumer *c, struct holder_event ev)
{
    bool marked;

    ev.now_ms = clock_ms();
    ev.now_unix_us = clock_unix_us();
    pthread_mutex_lock(&c->lock);
    holder_effects_clear(&c->fx);
    holder_step(&c->holder, &ev, &c->fx);
    pthread_mutex_unlock(&c->lock);
    marked = carry_out_rank(c, RANK_MARK) > 0;
    carry_out_rank(c, RANK_ASK);
    if (marked)
        flow_apply(c);
    carry_out_rank(c, RANK_TELL);
}
