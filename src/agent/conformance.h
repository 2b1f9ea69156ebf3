/*
 * conformance - does an application keep the lifecycle contract? One check after the other, each with what was seen instead.
 *
 * It plays the agent to an application that has none: makes a partition ready, runs it, holds it, and asks the brokers whether what
 * the application says is so. So it is for an application on a test's topic: its group is moved. Rebalances and `leave` are
 * not among the checks.
 */
#ifndef AGENT_CONFORMANCE_H
#define AGENT_CONFORMANCE_H

#include "kafka/client.h"

struct conformance_config {
    const char *application;            /* URL */
    const char *application_token_file; /* NULL: none */
    const struct kafka_settings *kafka;
};

enum conformance_result { CONFORMANCE_OK, CONFORMANCE_FAILED, CONFORMANCE_SKIPPED };
typedef void conformance_checked(void *opaque, const char *name, enum conformance_result result, const char *why);

/* How many failed; an enum err when they could not be made at all. A check that others rest on ends it when it fails. */
int conformance_run(const struct conformance_config *config, conformance_checked *on_checked, void *opaque,
                    struct errmsg *m);

#endif
