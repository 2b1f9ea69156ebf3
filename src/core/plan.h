/*
 * plan - the preflight: may this operation begin, and if not, what is wrong and how is it mended.
 *
 * Pure: it reads a snapshot of the brokers, the members' reports and the fleet document, and lists findings.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/op.h"
#include "core/report.h"

enum severity { FINDING_NOTE, FINDING_WARNING, FINDING_REFUSAL, SEVERITY_COUNT };
const char *severity_name(enum severity s);

struct finding {
    enum severity severity;
    char code[40];  /* "uncovered-partition": stable, documented in docs/preflight.md */
    char what[480]; /* "partition orders/7 is assigned to no member of payments-green" */
    char why[200];  /* "records of it would wait until a member joins" */
    char mend[240]; /* "start another green member, or wait for its rebalance to end" */
};

struct findings {
    struct finding items[FINDINGS_MAX];
    int count; /* kept */
    int total; /* found */
    int refusals;
};
void findings_add(struct findings *f, enum severity s, const char *code, const char *what, const char *why,
                  const char *mend);

/* A consumer in a group, as the brokers list it. */
struct group_member {
    char member_id[MEMBER_ID_MAX + 1];
    char client_id[CLIENT_ID_MAX + 1];
    char host[HOST_MAX + 1];
    char instance_id[CLIENT_ID_MAX + 1];
};

struct group_view {
    bool known; /* false: could not be read (why says it); unsupported on the embedded broker */
    bool unsupported;
    bool rebalancing;       /* anything but stable or empty; KIP-848: Unknown too */
    bool consumer_protocol; /* KIP-848 */
    char assignor[48];
    char why[160];
    int32_t coordinator; /* the broker's id, -1: there is none */
    struct group_member *members;
    int member_count;
    int *owner; /* per baton: index into members or -1; NULL: not known */
};

struct partition_view {
    int64_t committed[COLOR_COUNT]; /* OFFSET_NONE: nothing committed */
    struct mark mark[COLOR_COUNT];
    int64_t log_start, log_end; /* OFFSET_NONE: not readable */
    int64_t stable_end;         /* the last stable offset; OFFSET_NONE: the same, or not asked for */
};

struct topic_view {
    bool exists;
    int partition_count;
    int64_t retention_ms; /* -1: unlimited or unknown */
    char why[160];        /* when it could not be read */
};

/* How long the broker that coordinates a group makes its consumers wait. Of foreign fleets. */
struct coordinator_view {
    bool known; /* false: could not be read (why says it) */
    int32_t id;
    int64_t delay_ms;     /* group.initial.rebalance.delay.ms: for others that may join a group that was Empty */
    int64_t heartbeat_ms; /* group.consumer.heartbeat.interval.ms (KIP-848), 0: it has none */
    char why[160];
};

/* One reading of the brokers. The shell allocates it and frees it after the step. */
struct snapshot {
    struct group_view groups[COLOR_COUNT];
    struct coordinator_view coordinators[COLOR_COUNT];
    struct topic_view topics[TOPICS_MAX];
    struct partition_view *partitions; /* per baton, in the order of fleet.batons */
    int partition_count;               /* may be less than the fleet's by now: new ones are found next time */
    char error[256];                   /* the whole reading failed: a sentence, else "" */
};

struct plan_input {
    const struct fleet *fleet;
    const struct op *op;                 /* the operation as asked for */
    const struct report *const *reports; /* newest of each member of both colors */
    int report_count;
    const struct snapshot *snapshot;
    bool force; /* a version that failed before may be tried again */
};
void plan_check(struct findings *ret, const struct plan_input *in);

#endif
