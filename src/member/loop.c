/* loop - see loop.h. */
#include "member/loop.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "member/carry.h"
#include "member/flow.h"
#include "member/group.h"
#include "member/intake.h"

#define CONTROL_RETRY_MS 1000
#define READ_MAX 256        /* records of the control log in one turn */
#define GOODBYE_MS_MAX 5000 /* after the deadline of a close: for leaving and the last report */
#define APPEND_FLUSH_MS 500
#define REPORT_MS_MAX 10000
#define METADATA_FIRST_MS 10000 /* not in the turmoil of the beginning */
#define METADATA_EVERY_MS 30000
#define METADATA_MS_MAX 2000              /* who closes waits for it */
#define METADATA_DEAF_MS (10 * 60 * 1000) /* after a question that was not answered: the embedded broker never does */

#define NOTICE_MS 1500 /* librdkafka has noticed by then that a session is over */

/* --- the control log --- */

/* False: it is not there yet, or cannot be read now; asked again later. */
static bool control_open(struct baton_consumer *c)
{
    struct channel_config config;
    struct errmsg m = { 0 };
    int r;

    if (c->channel)
        return true;
    if (clock_ms() < c->control_retry_ms)
        return false;
    consumer_channel(c, &config);
    r = channel_open(&c->channel, &config, &m);
    if (r == ERR_OK)
        r = kafka_admin_open(&c->admin, channel_handle(c->channel), c->wake_fd, &m);
    if (r == ERR_OK) {
        c->control_told = false;
        channel_ask_end(c->channel, 0, CONTROL_RETRY_MS * 5); /* when is all of it read for the first time? */
        return true;
    }
    channel_close(c->channel, 0);
    c->channel = NULL;
    c->control_retry_ms = clock_ms() + CONTROL_RETRY_MS;
    if (!c->control_told)
        log_warn("control_log_missing", "topic=%s error=\"%s\", waiting for it", c->control_topic, m.text);
    c->control_told = true;
    consumer_note_why(c, m.text);
    return false;
}

/* Room in our copy of the document for what the record says that the fleet has. */
static int room_for(struct baton_consumer *c, const struct doc *doc)
{
    const int first = doc->kind == DOC_SHARD ? doc->shard * SHARD_BATONS : 0;
    const int needed = first + doc->fleet.baton_count;
    int room = c->fleet.baton_max > 0 ? c->fleet.baton_max : SHARD_BATONS;
    struct baton *batons;

    if (doc->kind == DOC_GONE || needed <= c->fleet.baton_max)
        return ERR_OK;
    if (needed > BATONS_MAX)
        return ERR_TOO_LARGE;
    while (room < needed)
        room *= 2;
    pthread_mutex_lock(&c->lock);
    batons = realloc(c->fleet.batons, (size_t)room * sizeof(*batons));
    if (batons) {
        c->fleet.batons = batons;
        c->fleet.baton_max = room;
    }
    pthread_mutex_unlock(&c->lock);
    return batons ? ERR_OK : ERR_NOMEM;
}

/* A large fleet's members speak less often: 1,000 reports a second together, with a member a partition in both colors. */
static int64_t report_interval_ms(const struct baton_consumer *c)
{
    const int64_t fleet_ms = COLOR_COUNT * (int64_t)c->fleet.baton_count;
    const int64_t bounded_ms = fleet_ms < REPORT_MS_MAX ? fleet_ms : REPORT_MS_MAX;

    return bounded_ms > c->options.report_interval_ms ? bounded_ms : c->options.report_interval_ms;
}

static void on_document(void *opaque, const struct doc *doc, int64_t offset, int64_t position)
{
    struct baton_consumer *c = opaque;
    struct errmsg m = { 0 };

    if ((doc->kind == DOC_HEAD || doc->kind == DOC_WHOLE) && group_fits(c, &doc->fleet, &m) < 0) {
        consumer_fail(c, ERR_CONFLICT, m.text);
        return;
    }
    if (room_for(c, doc) < 0) {
        consumer_fail(c, ERR_NOMEM, "out of memory for the fleet's document");
        return;
    }
    carry_step(c,
               (struct holder_event){ .type = HOLDER_DOC, .doc = doc, .doc_offset = offset, .log_position = position });
    pthread_mutex_lock(&c->lock);
    if (c->fleet.exists) {
        c->holder.config.session_timeout_ms = options_session_ms(&c->options, &c->fleet.spec);
        c->holder.config.report_interval_ms = report_interval_ms(c);
    }
    pthread_mutex_unlock(&c->lock);
}

static void on_unreadable(void *opaque, int64_t offset, int code, const char *why)
{
    struct baton_consumer *c = opaque;

    log_error(code == ERR_NEWER ? "record_newer" : "record_corrupt",
              "topic=%s offset=%lld error=\"%s\", going on with what it is active on, taking nothing new%s",
              c->control_topic, (long long)offset, why,
              code == ERR_NEWER ? ": update this program" : " until it is mended");
    consumer_note_why(c, why);
}

static void on_record(void *opaque, const struct kafka_record *rec)
{
    struct baton_consumer *c = opaque;
    const int r = documents_read(&c->documents, rec, channel_position(c->channel));

    if (r < 0)
        consumer_fail(c, r, "out of memory for the fleet's document");
}

/* Answers to "where is the end?", once everything before it has been handed out. */
static void control_ends(struct baton_consumer *c)
{
    for (int i = 0; i < ENDS_MAX; i++) {
        int64_t end = 0;
        enum kafka_end state;

        if (c->ends[i].token == 0)
            continue;
        state = c->ends[i].refused ? KAFKA_END_FAILED : channel_end(c->channel, c->ends[i].token, &end);
        if (state == KAFKA_END_PENDING)
            continue;
        const uint64_t token = c->ends[i].token;

        c->ends[i].token = 0;
        carry_step(c, (struct holder_event){ .type = HOLDER_LOG_END,
                                             .token = token,
                                             .failed = state == KAFKA_END_FAILED,
                                             .log_position = end });
    }
}

/* Has the log been read to an end that was fresh after we opened it? */
static void control_first_end(struct baton_consumer *c)
{
    int64_t end;

    if (c->control_read)
        return;
    switch (channel_end(c->channel, 0, &end)) {
    case KAFKA_END_PENDING:
        break;
    case KAFKA_END_REACHED:
        c->control_read = true;
        if (c->log_restarted && end <= c->documents.uptake.terms.highest)
            consumer_fail(c, ERR_CONFLICT, "the control topic was deleted and made anew: restart this program");
        c->log_restarted = false;
        break;
    case KAFKA_END_FAILED:
        channel_ask_end(c->channel, 0, CONTROL_RETRY_MS * 5);
        break;
    }
}

static void control_turn(struct baton_consumer *c)
{
    struct errmsg m = { 0 };
    int64_t position;
    int r;

    if (!control_open(c))
        return;
    r = channel_poll(c->channel, READ_MAX, on_record, c, &m);
    if (r < 0) {
        log_warn("control_log_trouble", "topic=%s error=\"%s\", going on with what is known", c->control_topic, m.text);
        consumer_note_why(c, m.text);
        if (r ==
            ERR_CORRUPT) { /* from its beginning again: when it has been read, it shows whether it is the same log */
            c->log_restarted = true;
            c->control_read = false;
            channel_ask_end(c->channel, 0, CONTROL_RETRY_MS * 5);
        }
        c->control_trouble = true;
    } else if (c->control_trouble && c->documents.uptake.unreadable_count == 0 &&
               channel_trouble(c->channel, NULL) == 0) {
        consumer_note_why(c, "");
        c->control_trouble = false;
    }
    position = documents_read_to(&c->documents, channel_position(c->channel));
    if (position > c->holder.log_position)
        carry_step(c, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = position });
    control_first_end(c);
    control_ends(c);
}

/* --- joining --- */

static void join_if_due(struct baton_consumer *c)
{
    struct errmsg m = { 0 };
    int r;

    if (!c->control_read || c->close_fed || c->failed)
        return;
    if (!c->fleet.exists) {
        if (!c->fleet_told) {
            err_set(&m, ERR_NOT_FOUND, "there is no fleet '%s' yet: make it with `baton fleet apply`",
                    c->options.fleet);
            log_warn("fleet_missing", "fleet=%s error=\"%s\", waiting for it", c->options.fleet, m.text);
            consumer_note_why(c, m.text);
            c->fleet_told = true;
        }
        return;
    }
    if (c->topics_subscribed == c->fleet.spec.topic_count)
        return;
    r = group_join(c, &m);
    if (r < 0) {
        consumer_fail(c, r, m.text);
        return;
    }
    c->fleet_told = false;
    consumer_note_why(c, "");
}

/* --- answers --- */

/* A partition that begins waits for this answer: said when it fails, and when it comes again. */
static void offsets_trouble(struct baton_consumer *c, const struct kafka_answer *answer)
{
    const bool failed = answer->error != 0;

    if (failed == c->offsets_told)
        return;
    c->offsets_told = failed;
    if (failed)
        log_warn("offsets_unread", "error=\"%s\", asking again", answer->message.text);
    else
        log_info("offsets_read", "the brokers answer again");
    consumer_note_why(c, failed ? answer->message.text : "");
}

static void on_offsets(struct baton_consumer *c, const struct kafka_answer *answer)
{
    struct ask *ask = carry_find(c, answer->token);
    bool *failed;

    if (!ask)
        return;
    failed = calloc(ask->count > 0 ? (size_t)ask->count : 1, sizeof(*failed));
    if (!failed || answer->error || answer->tp_count != ask->count) {
        offsets_trouble(c, answer);
        free(failed);
        carry_answer(c, ask, NULL, true);
        return;
    }
    for (int i = 0; i < ask->count; i++) {
        failed[i] = answer->tps[i].failed;
        ask->parts[i].offset = answer->tps[i].offset;
        ask->parts[i].mark = answer->tps[i].mark;
    }
    offsets_trouble(c, answer);
    carry_answer(c, ask, failed, false);
    free(failed);
}

/* How long do the brokers take to tell about the topics? Only a question of our own can be timed. */
static void metadata_turn(struct baton_consumer *c)
{
    const char *topics[TOPICS_MAX];
    const int64_t now_ms = clock_ms();

    if (c->metadata_next_ms == 0)
        c->metadata_next_ms = now_ms + METADATA_FIRST_MS;
    if (!c->admin || !c->fleet.exists || c->leaving || c->metadata_asked_us > 0 || now_ms < c->metadata_next_ms)
        return;
    for (int i = 0; i < c->fleet.spec.topic_count; i++)
        topics[i] = c->fleet.spec.topics[i];
    c->metadata_next_ms = now_ms + METADATA_EVERY_MS;
    if (kafka_admin_metadata(c->admin, 0, topics, c->fleet.spec.topic_count, METADATA_MS_MAX) == ERR_OK)
        c->metadata_asked_us = clock_us();
}

static void on_metadata(struct baton_consumer *c, const struct kafka_answer *answer)
{
    const int64_t took_us = clock_us() - c->metadata_asked_us;

    c->metadata_asked_us = 0;
    if (answer->error) {
        log_debug("metadata_unread", "error=\"%s\", asking again in ten minutes", answer->message.text);
        c->metadata_next_ms = clock_ms() + METADATA_DEAF_MS;
        return;
    }
    pthread_mutex_lock(&c->lock);
    histogram_add(&c->signals.metadata, took_us, 1);
    pthread_mutex_unlock(&c->lock);
}

static void answers_turn(struct baton_consumer *c)
{
    struct kafka_answer *answer;
    struct kafka_appended appended;

    while (c->admin && (answer = kafka_admin_poll(c->admin))) {
        if (answer->type == KAFKA_ANSWER_OFFSETS)
            on_offsets(c, answer);
        if (answer->type == KAFKA_ANSWER_METADATA)
            on_metadata(c, answer);
        kafka_answer_free(answer);
    }
    while (c->channel && channel_reported(c->channel, &appended))
        carry_step(c, (struct holder_event){ .type = appended.error ? HOLDER_REPORT_FAILED : HOLDER_REPORT_ACKED,
                                             .sequence = appended.token });
}

/* --- closing --- */

static void close_turn(struct baton_consumer *c)
{
    const int64_t now_ms = clock_ms();
    int64_t close_by_ms;
    bool closing, failed, in_flight;

    pthread_mutex_lock(&c->lock);
    closing = c->life == LIFE_CLOSING;
    failed = c->failed != 0;
    close_by_ms = c->close_by_ms;
    in_flight = c->intake.in_flight > 0;
    pthread_mutex_unlock(&c->lock);
    if (!closing && !failed)
        return;
    if (!c->main_open) { /* was never in the group, never spoke */
        c->over = true;
        return;
    }
    if (!c->close_fed) {
        c->close_fed = true;
        carry_step(c, (struct holder_event){ .type = HOLDER_CLOSE });
    }
    if (!c->abandon_fed && ((closing && now_ms >= close_by_ms) || (c->fatal && !in_flight))) {
        c->abandon_fed = true;
        if (in_flight)
            log_warn("close_deadline", "records in flight are left undone, they will be delivered again");
        carry_step(c, (struct holder_event){ .type = HOLDER_ABANDON });
    }
    if (c->left && !c->holder.left)
        carry_step(c, (struct holder_event){ .type = HOLDER_LEFT });
    if (closing && now_ms >= close_by_ms + GOODBYE_MS_MAX && !c->over) {
        log_warn("close_unfinished", "the brokers do not answer: they will notice by the session time-out");
        c->over = true;
    }
}

/* --- what it is at --- */

void loop_count(const struct baton_consumer *c, int *assigned, int *active, bool *fenced)
{
    *assigned = *active = 0;
    for (int i = 0; i < c->holder.part_max; i++) {
        *assigned += c->holder.parts[i].used && c->holder.parts[i].assigned;
        *active += c->holder.parts[i].used && c->holder.parts[i].state == PART_ACTIVE;
    }
    *fenced = *active == 0 && c->active_told && holder_fenced(&c->holder, clock_ms());
}

/* Every assigned partition has heard the newest word and gone where it sends it. */
static bool settled(const struct baton_consumer *c)
{
    for (int i = 0; i < c->holder.part_max; i++) {
        const struct holder_part *p = &c->holder.parts[i];

        if (p->used && p->assigned &&
            (p->barrier != BARRIER_PASSED || p->state == PART_READING || p->state == PART_STARTING))
            return false;
    }
    return true;
}

/* State changes are told here, and nowhere else. */
static void tell(struct baton_consumer *c)
{
    bool fenced, became_active, became_standby;
    int assigned, active;

    if (!c->holder.joined)
        return;
    pthread_mutex_lock(&c->lock);
    loop_count(c, &assigned, &active, &fenced);
    became_active = active > 0 && !c->active_told;
    became_standby = active == 0 && !fenced && !c->standby_told && !c->close_fed && !c->failed && settled(c);
    if (active > 0 || became_standby)
        c->standby_told = became_standby;
    if (!fenced)
        c->active_told = active > 0;
    pthread_mutex_unlock(&c->lock);
    if (fenced && !c->fenced_told)
        log_warn("fenced",
                 "fleet=%s color=%s, no word from the group's coordinator for the session time-out: delivering nothing",
                 c->options.fleet, color_name(c->options.color));
    c->fenced_told = fenced;
    if (became_active || became_standby)
        log_info(became_active ? "active" : "standby", "fleet=%s color=%s partitions=%d of=%d epoch=%llu",
                 c->options.fleet, color_name(c->options.color), active, assigned,
                 (unsigned long long)c->fleet.version.epoch);
}

/* --- the thread --- */

/*
 * A process that stood still (SIGSTOP, a machine that slept) may have lost its session, and librdkafka is given the time
 * to notice: a commit that the group refuses for an unknown member would throw the new membership away that it is just
 * asking for. Silence alone says nothing: a standby with nothing to follow commits nothing for hours.
 */
static void notice_gap(struct baton_consumer *c)
{
    const int64_t now_ms = clock_ms();

    if (c->turned_ms != 0 && now_ms - c->turned_ms >= c->holder.config.session_timeout_ms / 2) {
        log_debug("stood_still", "gap_ms=%lld, committing nothing for %d ms", (long long)(now_ms - c->turned_ms),
                  NOTICE_MS);
        c->commits_barred_ms = now_ms + NOTICE_MS;
    }
    c->turned_ms = now_ms;
}

static void turn(struct baton_consumer *c)
{
    notice_gap(c);
    kafka_eventfd_clear(c->wake_fd);
    pthread_mutex_lock(&c->lock);
    c->wake_pending = false; /* before everything is read: what comes from now on wakes again */
    pthread_mutex_unlock(&c->lock);
    if (c->main_open)
        group_events(c);
    control_turn(c);
    answers_turn(c);
    carry_refused(c);
    join_if_due(c);
    if (c->main_open) {
        flow_settle(c);
        flow_repair(c);
        metadata_turn(c);
    }
    close_turn(c);
    if (c->main_open)
        carry_step(c, (struct holder_event){ .type = HOLDER_TICK });
    tell(c);
}

static void wait_for_news(struct baton_consumer *c)
{
    struct pollfd fd = { .fd = c->wake_fd, .events = POLLIN };
    const int64_t now_ms = clock_ms();
    int64_t wait_ms = c->main_open ? holder_next_ms(&c->holder, now_ms) - now_ms : 100;

    if (wait_ms > 0)
        poll(&fd, 1, (int)wait_ms);
}

static bool finished(struct baton_consumer *c)
{
    bool closing;

    pthread_mutex_lock(&c->lock);
    closing = c->life == LIFE_CLOSING;
    pthread_mutex_unlock(&c->lock);
    return closing && c->over;
}

static void *loop_run(void *opaque)
{
    struct baton_consumer *c = opaque;

    pthread_setname_np(pthread_self(), "baton");
    while (!finished(c)) {
        turn(c);
        if (!finished(c))
            wait_for_news(c);
    }
    kafka_admin_close(c->admin);
    channel_close(c->channel, APPEND_FLUSH_MS);
    c->admin = NULL;
    c->channel = NULL;
    pthread_mutex_lock(&c->lock);
    c->clean = c->intake.in_flight == 0 && (!c->main_open || c->left);
    c->life = LIFE_CLOSED;
    pthread_cond_broadcast(&c->closed_cond);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int loop_start(struct baton_consumer *c, struct errmsg *m)
{
    const struct holder_config config = { .color = c->options.color,
                                          .session_timeout_ms = 45000, /* the document's, when it is there */
                                          .commit_interval_ms = c->options.commit_interval_ms,
                                          .revoke_ms_max = c->options.revoke_timeout_ms,
                                          .report_interval_ms = c->options.report_interval_ms,
                                          .retry_ms = 100,
                                          .watchdog_ms = 2000 };

    c->documents = (struct documents){
        .name = c->options.fleet, .fleet = &c->fleet, .take = on_document, .trouble = on_unreadable, .opaque = c
    };
    if (documents_open(&c->documents) < 0 || carry_reserve(c, 1) < 0)
        return err_set(m, ERR_NOMEM, "documents");
    fleet_init(&c->fleet, NULL, 0);
    holder_init(&c->holder, &config, &c->fleet, c->holder.parts, c->holder.part_max, clock_ms());
    c->wake_fd = kafka_eventfd(m);
    if (c->wake_fd < 0)
        return c->wake_fd;
    return thread_start(&c->thread, &c->thread_runs, loop_run, c, m);
}

void loop_release(struct baton_consumer *c)
{
    group_release(c);
    carry_release(c);
    documents_close(&c->documents);
    free(c->fleet.batons);
    c->fleet.batons = NULL;
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    c->wake_fd = -1;
}
