/*
 * agent - `baton agent`: the member's half of the protocol for an application whose consumer is its own.
 *
 *     controller <== channel ==> agent (core/holder) <== lifecycle document ==> application ==> its consumer group
 *
 * The rules are core/holder's, the same as libbaton's. Where libbaton attaches a partition, the agent says `run`; where it commits, the
 * application does and the agent reads the offset back from the brokers; where it counts records in flight, it takes a
 * partition for busy from the first `run` until the application has shown that it stopped (docs/agent.md).
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/change.h"
#include "agent/drive.h"
#include "channel/channel.h"

struct agent_config {
    const char *fleet;
    enum color color;
    const char *version; /* label of what runs, may be NULL */
    const char *prefix;  /* NULL: none */
    const struct kafka_settings *kafka;
    enum channel_kind channel;
    const char *servers;                /* of all but CHANNEL_KAFKA, as channel.h has it */
    const char *token_file, *ca_file;   /* the same */
    const char *cert_file;              /* of CHANNEL_REDIS */
    const char *application;            /* URL; NULL: none that keeps the contract, it is only told */
    const char *application_token_file; /* NULL: none */
    const char *listen;                 /* "127.0.0.1:8090" */
    const char *listen_token_file;      /* for addresses that are not loopback */
    int64_t grace_ms;
    struct change_config change;
    struct drive_config drive; /* of an application that nobody has changed (outside.h) */
};

/*
 * Runs until SIGTERM or SIGINT (drains, lets the application leave, says goodbye, within grace_ms), or until another agent has
 * taken over. ERR_TIMEOUT: the grace was too short; ERR_CONFLICT: another agent speaks with the application now.
 */
int agent_run(const struct agent_config *config, struct errmsg *m);

#endif
