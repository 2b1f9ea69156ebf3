/*
 * report - what one member says of itself: level-triggered and whole.
 *
 * The newest report of each incarnation stands in `baton.reports`, so a new leader needs no history.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "core/signals.h"
#include "core/types.h"
#include "core/work.h"

struct report_part {
    uint16_t topic; /* index into the fleet's spec.topics */
    int32_t partition;
    uint64_t order; /* the baton's order that this entry answers, 0: none known */
    enum local_state local;
    bool owned;          /* Kafka assigns it to this member now */
    int64_t position;    /* next offset to deliver, OFFSET_NONE */
    int64_t committed;   /* last commit known to have succeeded, OFFSET_NONE */
    int32_t in_flight;   /* delivered, not yet done */
    int64_t doubt;       /* done up to here and no longer committable (rule 12), OFFSET_NONE */
    int32_t given_again; /* since the last take: records whose work was broken off and began anew in this member */
    int64_t first;       /* since the last take: first offset seen (delivered, or the end when empty), OFFSET_NONE */
    int64_t stopped_unix_us;  /* the last release: when delivery stopped ... */
    int64_t drained_unix_us;  /* ... when the last record in flight was done ... */
    int64_t attached_unix_us; /* the last take: when the partition was attached ... */
    int64_t first_unix_us;    /* ... when `first` was seen; 0 each: has not happened */
};

#define RIVAL_MAX 95

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
    char rival[RIVAL_MAX + 1];           /* whoever took it met another process of this name: "baton-agent-3f9c0a12 on
                                            10.0.0.7", "": none; not on the wire */
    int64_t rival_ms;                    /* last heard then, by the taker's clock */
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
    struct part_work
        *works;     /* of the same owner: of those of the parts in which anything was done; none: it tells nothing */
    int work_count; /* at most WORK_PARTS_MAX */
};

/*
 * Agents of one color of a foreign fleet speak under one incarnation, 32 digits as of any, so that the one that comes up goes on where
 * the one before has ended; client_id tells them apart. Two that both live show by a word of the elder, void by its number (rule 13),
 * after the younger has spoken.
 */
void agent_incarnation(char ret[INCARNATION_MAX + 1], const char *fleet, enum color color);
void report_void(struct report *newest, const struct report *elder, int64_t now_ms);
/* `newest` takes the place of `former`; a rival that has been silent for a while is none any more. */
void report_succeed(struct report *newest, const struct report *former, int64_t now_ms);

#endif
