/* channel - see channel.h: from the name of a way to its functions. */
#include "channel/channel.h"

static const struct channel_ops *ops_of(enum channel_kind kind)
{
    static const struct channel_ops *const ways[] = { [CHANNEL_KAFKA] = &channel_kafka,
                                                      [CHANNEL_HTTP] = &channel_http,
                                                      [CHANNEL_REDIS] = &channel_redis,
                                                      [CHANNEL_CONFIGMAP] = &channel_configmap,
                                                      [CHANNEL_FILE] = &channel_file };

    return ways[kind];
}

int channel_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    return ops_of(config->kind)->reach(config, timeout_ms, m);
}

int channel_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    return ops_of(config->kind)->open(ret, config, m);
}

void channel_close(struct channel *c, int flush_ms)
{
    if (c)
        c->ops->close(c, flush_ms);
}

int channel_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
                 void *opaque, struct errmsg *m)
{
    return c->ops->poll(c, max, on_record, opaque, m);
}

int64_t channel_position(const struct channel *c)
{
    return c->ops->position(c);
}

void channel_ask_end(struct channel *c, uint64_t token, int timeout_ms)
{
    c->ops->ask_end(c, token, timeout_ms);
}

enum kafka_end channel_end(struct channel *c, uint64_t token, int64_t *ret_end)
{
    return c->ops->end(c, token, ret_end);
}

int channel_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len, struct errmsg *m)
{
    return c->ops->report(c, token, key, json, len, m);
}

bool channel_reported(struct channel *c, struct kafka_appended *ret)
{
    return c->ops->reported(c, ret);
}

struct kafka_handle *channel_handle(struct channel *c)
{
    return c->ops->handle(c);
}

int channel_trouble(struct channel *c, struct errmsg *m)
{
    return c->ops->trouble(c, m);
}

bool channel_goes_up(enum channel_kind kind)
{
    return kind != CHANNEL_FILE;
}
