/*
 * run - `baton run`: consumes as one color of a fleet and hands the records to a command, or to an HTTP endpoint.
 *
 * To Kafka it is an application on libbaton like any other, so all that Baton promises holds: a partition is passed on
 * when the records in hand are acknowledged, and only then. To the command it is a pipe: a line of JSON a record on
 * stdin, a line an acknowledgement on stdout. What is not acknowledged is given again, until it is, or until it
 * failed for good (--on-error).
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "run/lanes.h"
#include "run/line.h"

enum on_error { ON_ERROR_RETRY, ON_ERROR_SKIP, ON_ERROR_DLQ, ON_ERROR_STOP };

struct kafka_settings;

struct run_config {
    const char *fleet, *color;
    const char *version; /* NULL: none */
    const char *prefix;  /* NULL: none */
    const struct kafka_settings *kafka;
    const char *const (*baton)[2]; /* options of libbaton: name, value */
    int baton_count;

    char *const *command; /* ended by NULL; NULL: `url` it is */
    const char *url, *ca_file, *token_file;
    int concurrency, batch;
    enum order order;
    enum value_form value;
    unsigned fields;           /* of a line */
    int64_t record_timeout_ms; /* 0: none */
    enum on_error on_error;
    int retries;
    const char *dlq;
    int64_t grace_ms;
};

#define RUN_CONCURRENCY_MAX 256
#define RUN_BATCH_MAX 10000

/* How it ended: an exit code, or a negative enum err (with its sentence) when it did not come to run. */
int run(const struct run_config *config, struct errmsg *m);

#endif
