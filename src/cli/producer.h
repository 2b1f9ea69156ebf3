/*
 * producer - numbered records at a steady rate, on a thread of its own, and what the brokers acknowledged of them.
 */
#ifndef CLI_PRODUCER_H
#define CLI_PRODUCER_H

#include <stdint.h>

#include "base/err.h"

struct audit;
struct kafka_settings;
struct producer;

/* Acknowledged records go into `audit` until producer_stop() returns; nobody else may touch it meanwhile. */
int producer_start(struct producer **ret, const struct kafka_settings *settings, const char *topic, int partition_count,
                   int rate, struct audit *audit, struct errmsg *m);
int64_t producer_count(const struct producer *p); /* acknowledged so far */
/* Waits for what is still out; 0 or ERR_... when some record was refused or the audit has no room. Frees it. */
int producer_stop(struct producer *p, int timeout_ms, struct errmsg *m);

#endif
