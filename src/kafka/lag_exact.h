/*
 * lag_exact - the age of the oldest unprocessed record from that record itself.
 *
 * Reads the first record at or after an offset of each partition: a fetch of some kilobytes a partition, so it is for somebody who
 * looks at one group, not for a sampler. Blocks.
 */
#ifndef KAFKA_LAG_EXACT_H
#define KAFKA_LAG_EXACT_H

#include "kafka/client.h"

enum lag_exact_state {
    LAG_EXACT_UNREAD,    /* no answer in time, or not allowed */
    LAG_EXACT_RECORD,    /* timestamp_ms is its time; -1: it has none */
    LAG_EXACT_NO_RECORD, /* only markers of transactions, or what was aborted or compacted, is left up to the end */
};

struct lag_exact {
    const char *topic;
    int32_t partition;
    int64_t offset, end; /* from the first up to, without, the second */
    void *opaque;
    enum lag_exact_state state;
    int64_t timestamp_ms;
};

/* ERR_OK, or what kept some of them from being read: their state is UNREAD. */
int lag_exact_read(const struct kafka_settings *s, struct lag_exact *asks, int count, int timeout_ms, struct errmsg *m);

#endif
