/*
 * follow - the control log, as it reaches the agent: documents for the holder (channel/documents.h says which records count),
 * and answers to "where is the end now?".
 */
#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#define RETRY_MS 1000
#define READ_MAX 256
#define FLUSH_MS 500
#define QUESTION_MS_MAX 5000

struct channel_config follow_channel(const struct agent *a)
{
    const struct agent_config *config = a->config;

    return (struct channel_config){ .kind = config->channel,
                                    .kafka = config->kafka,
                                    .fleet = config->fleet,
                                    .control_topic = a->control_topic,
                                    .reports_topic = a->reports_topic,
                                    .prefix = config->prefix ? config->prefix : "",
                                    .servers = config->servers,
                                    .token_file = config->token_file ? config->token_file : "",
                                    .ca_file = config->ca_file ? config->ca_file : "",
                                    .cert_file = config->cert_file ? config->cert_file : "",
                                    .wake_fd = a->wake_fd };
}

static bool control_open(struct agent *a)
{
    const struct channel_config way = follow_channel(a);
    struct errmsg m = { 0 };
    int r;

    if (a->channel)
        return true;
    if (clock_ms() < a->control_retry_ms)
        return false;
    r = channel_open(&a->channel, &way, &m);
    if (r == ERR_OK)
        r = kafka_admin_open(&a->admin, channel_handle(a->channel), a->wake_fd, &m);
    if (r == ERR_OK) {
        a->control_told = false;
        channel_ask_end(a->channel, 0, QUESTION_MS_MAX);
        return true;
    }
    channel_close(a->channel, 0);
    a->channel = NULL;
    a->control_retry_ms = clock_ms() + RETRY_MS;
    if (!a->control_told)
        log_warn("control_log_missing", "topic=%s error=\"%s\", waiting for it", a->control_topic, m.text);
    a->control_told = true;
    text_copy(a->why, sizeof(a->why), m.text);
    return false;
}

/* Room in our copy of the document for what the record says that the fleet has. */
static bool room_for(struct agent *a, const struct doc *doc)
{
    const int first = doc->kind == DOC_SHARD ? doc->shard * SHARD_BATONS : 0;
    const int needed = first + doc->fleet.baton_count;
    int room = a->fleet.baton_max > 0 ? a->fleet.baton_max : 16;

    if (doc->kind == DOC_GONE || needed <= a->fleet.baton_max)
        return true;
    if (needed > BATONS_MAX)
        return false;
    while (room < needed)
        room *= 2;
    a->fleet.batons = must(realloc(a->fleet.batons, (size_t)room * sizeof(*a->fleet.batons)));
    a->fleet.baton_max = room;
    return true;
}

static void on_document(void *opaque, const struct doc *doc, int64_t offset, int64_t position)
{
    struct agent *a = opaque;

    if (!room_for(a, doc))
        return; /* the partitions concerned have no baton here, so they stay held */
    a->change_due = true;
    if (a->life == LIFE_ON && (doc->kind == DOC_WHOLE || doc->kind == DOC_HEAD) && doc->fleet.phase != a->fleet.phase) {
        a->revision++; /* a switch begins: an application that was told something listens more closely for what follows */
        a->changed_ms = clock_ms();
    }
    if (a->life == LIFE_ON)
        member_step(a, (struct holder_event){
                           .type = HOLDER_DOC, .doc = doc, .doc_offset = offset, .log_position = position });
    else
        fleet_apply(&a->fleet, doc);
}

static void on_unreadable(void *opaque, int64_t offset, int code, const char *why)
{
    struct agent *a = opaque;

    log_error(code == ERR_NEWER ? "record_newer" : "record_corrupt",
              "topic=%s offset=%lld error=\"%s\", what runs goes on, nothing new is taken%s", a->control_topic,
              (long long)offset, why, code == ERR_NEWER ? ": update the agent" : " until it is mended");
    text_copy(a->why, sizeof(a->why), why);
}

static void on_record(void *opaque, const struct kafka_record *rec)
{
    struct agent *a = opaque;
    const int r = documents_read(&a->documents, rec, channel_position(a->channel));

    ASSERT(r == ERR_OK); /* else memory has run out, and with it the agent ends */
}

static void first_end(struct agent *a)
{
    int64_t end;

    if (a->control_read)
        return;
    switch (channel_end(a->channel, 0, &end)) {
    case KAFKA_END_PENDING:
        break;
    case KAFKA_END_REACHED:
        a->control_read = true;
        text_copy(a->why, sizeof(a->why), "");
        if (a->log_restarted && end <= a->documents.uptake.terms.highest) {
            a->failed = ERR_CONFLICT;
            text_copy(a->why, sizeof(a->why), "the control topic was deleted and made anew: restart the agent");
        }
        a->log_restarted = false;
        if (!a->fleet.exists)
            log_warn("fleet_missing", "fleet=%s, waiting for it: make it with `baton fleet apply`", a->config->fleet);
        break;
    case KAFKA_END_FAILED:
        channel_ask_end(a->channel, 0, QUESTION_MS_MAX);
        break;
    }
}

/* Answers to "where is the end?", once everything before it has been handed out. */
static void ends_turn(struct agent *a)
{
    for (int i = 0; i < ENDS_MAX; i++) {
        const uint64_t token = a->ends[i].token;
        enum kafka_end state;
        int64_t end = 0;

        if (token == 0)
            continue;
        state = a->ends[i].refused ? KAFKA_END_FAILED : channel_end(a->channel, token, &end);
        if (state == KAFKA_END_PENDING)
            continue;
        a->ends[i].token = 0;
        if (a->life == LIFE_ON)
            member_step(a, (struct holder_event){ .type = HOLDER_LOG_END,
                                                  .token = token,
                                                  .failed = state == KAFKA_END_FAILED,
                                                  .log_position = end });
    }
}

void follow_ask_end(struct agent *a, uint64_t token)
{
    int i = 0;

    while (i < ENDS_MAX && a->ends[i].token != 0)
        i++;
    ASSERT(i < ENDS_MAX); /* each belongs to a rebalance younger than QUESTION_MS_MAX */
    a->ends[i].token = token;
    a->ends[i].refused = !a->channel;
    if (a->channel)
        channel_ask_end(a->channel, token, QUESTION_MS_MAX);
}

void follow_open(struct agent *a)
{
    a->documents = (struct documents){
        .name = a->config->fleet, .fleet = &a->fleet, .take = on_document, .trouble = on_unreadable, .opaque = a
    };
    if (documents_open(&a->documents) < 0)
        must(NULL);
}

void follow_turn(struct agent *a)
{
    struct errmsg m = { 0 };
    int64_t position;
    int r;

    if (!control_open(a))
        return;
    r = channel_poll(a->channel, READ_MAX, on_record, a, &m);
    if (r < 0) {
        log_warn("control_log_trouble", "topic=%s error=\"%s\", going on with what is known", a->control_topic, m.text);
        text_copy(a->why, sizeof(a->why), m.text);
        if (r ==
            ERR_CORRUPT) { /* from its beginning again: when it has been read, it shows whether it is the same log */
            a->log_restarted = true;
            a->control_read = false;
            channel_ask_end(a->channel, 0, QUESTION_MS_MAX);
        }
    } else if (a->control_read && a->why[0] && a->documents.uptake.unreadable_count == 0 &&
               channel_trouble(a->channel, NULL) == 0) {
        text_copy(a->why, sizeof(a->why), "");
    }
    position = documents_read_to(&a->documents, channel_position(a->channel));
    if (a->life == LIFE_ON && position > a->holder.log_position)
        member_step(a, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = position });
    first_end(a);
    ends_turn(a);
}

void follow_close(struct agent *a)
{
    kafka_admin_close(a->admin);
    channel_close(a->channel, FLUSH_MS);
    documents_close(&a->documents);
    free(a->fleet.batons);
}
