/*
 * kafka - the member reads the control topic and writes the reports topic itself: log.h already speaks as a channel does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "channel/channel.h"

struct way {
    struct channel channel; /* first */
    struct kafka_reader *reader;
    struct kafka_appender *appender;
    char reports_topic[TOPIC_NAME_MAX + 1];
};

static struct way *way_of(struct channel *c)
{
    return (struct way *)c;
}

/* A broker answers, and the control topic is what it should be, or not there yet. */
static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    static const char *const extra[] = { "allow.auto.create.topics", "false", NULL };
    struct kafka_handle probe;
    int partitions = 0;
    int r = kafka_handle_open(&probe, RD_KAFKA_CONSUMER, "probe", config->kafka, extra, NULL, NULL, m);

    if (r < 0)
        return r;
    r = kafka_topic_partitions(&probe, config->control_topic, &partitions, timeout_ms, m);
    if (r == ERR_OK && partitions > 1)
        r = err_set(m, ERR_CONFLICT,
                    "topic '%s' has %d partitions, and only one partition has an order: delete it and let `baton "
                    "serve` make it",
                    config->control_topic, partitions);
    kafka_handle_close(&probe);
    return r;
}

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = way_of(c);

    kafka_appender_close(w->appender, flush_ms);
    kafka_reader_close(w->reader);
    free(w);
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    struct way *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    w->channel.ops = &channel_kafka;
    text_copy(w->reports_topic, sizeof(w->reports_topic), config->reports_topic);
    r = kafka_reader_open(&w->reader, config->kafka, config->control_topic, config->wake_fd, m);
    if (r == ERR_OK)
        r = kafka_appender_open(&w->appender, config->kafka, config->reports_topic, config->wake_fd, m);
    if (r < 0) {
        way_close(&w->channel, 0);
        return r;
    }
    *ret = &w->channel;
    return ERR_OK;
}

static int way_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                    void *opaque, struct errmsg *m)
{
    return kafka_reader_poll(way_of(c)->reader, max, on_record, opaque, m);
}

static int64_t way_position(const struct channel *c)
{
    return kafka_reader_position(((const struct way *)c)->reader, 0);
}

static void way_ask_end(struct channel *c, uint64_t token, int timeout_ms)
{
    kafka_reader_ask_end(way_of(c)->reader, token, timeout_ms);
}

static enum kafka_end way_end(struct channel *c, uint64_t token, int64_t *ret_end)
{
    return kafka_reader_end(way_of(c)->reader, token, ret_end);
}

static int way_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len,
                      struct errmsg *m)
{
    struct way *w = way_of(c);

    return kafka_append(w->appender, token, w->reports_topic, -1, key, json, len, m);
}

static bool way_reported(struct channel *c, struct kafka_appended *ret)
{
    return kafka_appender_poll(way_of(c)->appender, ret);
}

static struct kafka_handle *way_handle(struct channel *c)
{
    return kafka_reader_handle(way_of(c)->reader);
}

static int way_trouble(struct channel *c, struct errmsg *m)
{
    return kafka_trouble(way_handle(c), m);
}

const struct channel_ops channel_kafka = {
    .reach = way_reach,
    .open = way_open,
    .close = way_close,
    .poll = way_poll,
    .position = way_position,
    .ask_end = way_ask_end,
    .end = way_end,
    .report = way_report,
    .reported = way_reported,
    .handle = way_handle,
    .trouble = way_trouble,
};
