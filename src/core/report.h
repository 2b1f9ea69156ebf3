/*
 * report - what one member says of itself: level-triggered and whole.
 *
 * The newest report of each incarnation stands in `baton.reports`, so a new leader needs no history.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "core/signals.h"
#include "core/types.h"

struct report_part {
    uint16_t topic; /* index into the fleet's spec.topics */
    int32_t partition;
    uint64_t order; /* the baton's order that this entry answers, 0: none known */
    enum local_state local;
    bool owned;        /* Kafka assigns it to this member now */
    int64_t position;  /* next offset to deliver, OFFSET_NONE */
    int64_t committed; /* last commit known to have succeeded, OFFSET_NONE */
    int32_t in_flight; /* delivered, not yet done */
    int64_t doubt;     /* done up to here and no longer committable (rule 12), OFFSET_NONE */
    int64_t first;     /* since the last take: first offset seen (delivered, or the end when empty), OFFSET_NONE */
    int64_t stopped_unix_us;  /* the last release: when delivery stopped ... */
    int64_t drained_unix_us;  /* ... when the last record in flight was done ... */
    int64_t attached_unix_us; /* the last take: when the partition was attached ... */
    int64_t first_unix_us;    /* ... when `first` was seen; 0 each: has not happened */
};

struct report {
    char fleet[FLEET_NAME_MAX + 1];
    enum color color;
    char incarnation[INCARNATION_MAX + 1];
    char member_id[MEMBER_ID_MAX + 1]; /* Kafka's, "" before the first join */
    char client_id[CLIENT_ID_MAX + 1];
    char host[HOST_MAX + 1];
    char version[VERSION_MAX + 1];
    char library[32];                    /* libbaton's version */
    uint64_t sequence;                   /* grows with every report of the incarnation */
    struct version applied;              /* acknowledges every order up to here */
    bool ready;                          /* has joined, knows the table, may take a baton */
    bool goodbye;                        /* the last report: nothing is in flight any more */
    bool eager;                          /* its assignor is an eager one: a partial stage stalls all it holds */
    char assignor[48];                   /* "cooperative-sticky", "range", "consumer" (KIP-848 server side) ... */
    char instance_id[CLIENT_ID_MAX + 1]; /* group.instance.id or "" */
    int64_t report_interval_ms;          /* how often it promises to speak */
    int64_t sent_unix_us;                /* its wall clock when it made this */
    int64_t heard_written_unix_us;       /* fleet.written_unix_us of the applied document ... */
    int64_t heard_unix_us;               /* ... and its own wall clock when it read that: for the skew */
    /* for the judge and the status page, since the start of the process */
    uint64_t records_done;
    uint64_t records_gated;  /* stopped by the gate: fetched, never delivered */
    uint64_t stale_ignored;  /* documents of a lower (term, epoch) (I4) */
    struct signals *signals; /* of the same owner as parts; NULL: it tells nothing */

    struct report_part *parts; /* owner: whoever allocated the report */
    int part_count;
    int part_max;
};

#endif
