/*
 * holder - the member's half of the protocol: what may be delivered now, when a release is
 * complete, what to commit, where to begin.
 *
 * Pure: events in, effects out, no clock, no I/O. The shell (src/member, the sidecar's agent, the simulation) turns
 * rebalances, control-log records, timers and answers into events, and carries effects out in order.
 *
 *                 baton ours                offset known            committed
 *      IDLE -----------------> READING --------------> STARTING ------------> ACTIVE
 *       ^ ^                       |                                             | order, revocation,
 *       | |                       | baton is releasing                          | baton gone, fence
 *       | |  baton another's      v              committed         drained      v
 *       | +--- RELEASED <---- COMMITTING <---------------------------------- DRAINING
 *       |                                                                       |
 *       +-----------------------------------------------------------------------+
 *                       drained, but no longer ours to commit: a doubt (rule 12)
 *
 * A turn of the shell: every event that has come is given to holder_step(), then the effects are run.
 * Records take the short way: holder_deliver() and holder_done() are called per record, under the same lock as
 * holder_step(), and touch one partition.
 */
#ifndef CORE_HOLDER_H
#define CORE_HOLDER_H

#include "core/fleet.h"
#include "core/report.h"
#include "core/window.h"

enum part_state {
    PART_IDLE,       /* delivers nothing */
    PART_READING,    /* has asked where its color's group stands (rule 6) */
    PART_STARTING,   /* commits its start with the mark */
    PART_ACTIVE,     /* attached; records flow */
    PART_DRAINING,   /* detached; waits for records in flight */
    PART_COMMITTING, /* commits where it stopped */
    PART_RELEASED,   /* said so; waits for the next word */
};
#define PART_STATE_COUNT (PART_RELEASED + 1)
const char *part_state_name(enum part_state s);

enum barrier { BARRIER_REPORT, BARRIER_LOG_END, BARRIER_CATCH_UP, BARRIER_PASSED }; /* rule 2 */

/* A partition that Kafka assigns to this member, or of which it still has records in flight. */
struct holder_part {
    bool used;
    bool assigned;
    bool revoking; /* the rebalance callback waits for us (rule 12) */
    bool lost;     /* revoked by "lost": nothing can be committed */
    uint16_t topic;
    int32_t partition;
    int baton; /* a guess at its index in the document */
    enum part_state state;
    unsigned want; /* effects that this step owes it */

    enum barrier barrier;
    uint64_t barrier_report; /* the report that must be acknowledged */
    uint64_t barrier_token;  /* of the question for the log's end */
    int64_t barrier_end;     /* the log must be applied up to here */
    uint64_t barrier_epoch;  /* the document's epoch when it passed: later grants find this member the owner */

    uint64_t epoch;      /* grant under which it is, or was last, active */
    uint64_t token;      /* of the read or commit that is outstanding, 0: none */
    int64_t committing;  /* offset in that commit */
    int64_t asked_ms;    /* when it was asked */
    int64_t committed;   /* last that succeeded under `epoch`, OFFSET_NONE */
    bool follow_commit;  /* the outstanding commit is a standby's (rule 7) */
    int64_t doubt;       /* rule 12, OFFSET_NONE */
    int32_t given_again; /* of the report, since it was last started */
    int64_t retry_ms;    /* after a failed read or commit, 0: now */

    struct window window; /* room 0: the shell has not given it slots yet; nothing is delivered */
    int64_t attached_ms;  /* for the watchdog: no first position in time -> attach again */
    int64_t first;
    int64_t stopped_unix_us, drained_unix_us, attached_unix_us, first_unix_us;
    int64_t worked_unix_us; /* while it drains: when it stopped, or a record was last done */
    void *opaque;           /* the shell's */
};

struct holder_config {
    enum color color;
    int64_t session_timeout_ms; /* rule 11: silent so long from the coordinator, it delivers nothing */
    int64_t commit_interval_ms; /* progress is committed this often */
    int64_t revoke_ms_max;      /* longest time a revocation waits for records in flight */
    int64_t report_interval_ms; /* 1 s .. 10 s */
    int64_t report_gap_ms;      /* between two reports, whatever changes: a member of thousands tells a lot in each */
    int64_t retry_ms;           /* after a failed read or commit */
    int64_t watchdog_ms;        /* attached and no first position: attach again */
};

struct holder_part_at {
    int part; /* index into holder.parts */
    int64_t offset;
    struct mark mark;
};

enum holder_effect_type {
    HOLDER_ATTACH,        /* parts with offsets: fetch from there on. Also when attached already (watchdog) */
    HOLDER_DETACH,        /* parts: stop fetching, throw away what is fetched and not delivered */
    HOLDER_COMMIT,        /* parts, offsets, marks, in one request into its own group; answer COMMITTED */
    HOLDER_READ_OFFSETS,  /* parts: committed offset and mark of its own group; answer OFFSETS */
    HOLDER_READ_ACTIVE,   /* parts: the other color's committed offsets; answer ACTIVE_OFFSETS */
    HOLDER_READ_LOG_END,  /* the control log's present end; answer LOG_END */
    HOLDER_REPORT,        /* holder_report() now, append it, answer REPORT_ACKED */
    HOLDER_ANSWER_ASSIGN, /* tell Kafka that the assignment is taken note of (nothing attached by it) */
    HOLDER_ANSWER_REVOKE, /* all that could be finished is: let go */
    HOLDER_LEAVE,         /* closing: leave the group, then event LEFT */
    HOLDER_CLOSED,        /* the last report is acknowledged (or could not be given): all is over */
};

struct holder_effect {
    enum holder_effect_type type;
    uint64_t token;
    int first, count; /* in holder_effects.parts */
};

/* Caller's storage; HOLDER_EFFECTS_MAX effects and at least 4 * part_max parts are always enough for one step. */
#define HOLDER_EFFECTS_MAX 64
struct holder_effects {
    struct holder_effect items[HOLDER_EFFECTS_MAX];
    int count;
    struct holder_part_at *parts;
    int part_count, part_max;
};

struct holder_topic_partition {
    uint16_t topic;
    int32_t partition;
};

enum holder_event_type {
    HOLDER_TICK,           /* at least every 100 ms; holder_next_ms() says when the next has work */
    HOLDER_DOC,            /* doc (valid by term) and its offset, log_position after it */
    HOLDER_LOG_POSITION,   /* log_position: the control log is applied up to here (records of others, end of log) */
    HOLDER_LOG_END,        /* token, log_position = end; failed: ask again */
    HOLDER_REPORT_ACKED,   /* sequence */
    HOLDER_REPORT_FAILED,  /* sequence */
    HOLDER_ASSIGNED,       /* tps: gained by a rebalance */
    HOLDER_REVOKED,        /* tps: to be given up */
    HOLDER_LOST,           /* tps: lost already */
    HOLDER_COMMITTED,      /* token; parts with .failed for those that failed */
    HOLDER_OFFSETS,        /* token; parts with offset and mark (MARK_NOTHING: none), or failed */
    HOLDER_ACTIVE_OFFSETS, /* token; parts with offset or OFFSET_NONE, or failed */
    HOLDER_CLOSE,          /* stop delivering, finish, commit, leave */
    HOLDER_ABANDON,        /* the close deadline has passed: leave without what is in flight */
    HOLDER_LEFT,           /* it is out of the group */
};

struct holder_event {
    enum holder_event_type type;
    int64_t now_ms;      /* monotonic */
    int64_t now_unix_us; /* wall, for the receipt's figures only */
    const struct doc *doc;
    int64_t doc_offset; /* its place in the log; log_position may stand before it, at a record that nobody can read */
    int64_t log_position;
    uint64_t token;
    uint64_t sequence;
    bool failed;
    const struct holder_topic_partition *tps;
    int tp_count;
    const struct holder_part_at *parts; /* answers: same parts as asked */
    const bool *part_failed;            /* COMMITTED: per part; NULL: `failed` is for all */
    int part_count;
};

struct holder {
    struct holder_config config;
    struct fleet *fleet; /* caller's; this half's copy of the document */
    struct holder_part *parts;
    int part_max; /* slots; used ones are marked */

    int64_t log_position;
    int64_t born_at; /* one past the newest tombstone: what stands before it is of a fleet that was deleted */
    uint64_t token_last;
    uint64_t report_sequence; /* of the last made */
    uint64_t report_acked;
    bool report_due;         /* something changed since the last */
    bool report_outstanding; /* one at a time: changes meanwhile go into the next */
    bool report_waits;       /* it is due, and the gap is not over */
    int64_t report_made_ms;
    int64_t report_retry_ms;     /* after one that failed */
    int64_t commits_ms;          /* when progress was last committed */
    int64_t follow_ms;           /* when standbys last followed */
    struct version acknowledged; /* what reports say: held back while follow-commits are out (rule 7) */
    int64_t contact_ms;          /* the last commit that Kafka accepted was asked then (rule 11) */
    bool answer_assign, answer_revoke;
    int64_t revoke_began_ms;
    bool joined; /* Kafka has answered with an assignment, be it an empty one */
    bool closing, leave_asked, left, goodbye_made, closed;
    bool abandoned;
    bool estranged; /* the fleet was made again with other topics: delivers nothing until restarted */
    int64_t heard_written_unix_us, heard_unix_us;
    uint64_t records_done, records_gated, stale_ignored;
};

/* All storage is the caller's and must outlive the holder. `parts` is zeroed here. */
void holder_init(struct holder *h, const struct holder_config *config, struct fleet *fleet, struct holder_part *parts,
                 int part_max, int64_t now_ms);
void holder_effects_clear(struct holder_effects *fx);
void holder_step(struct holder *h, const struct holder_event *ev, struct holder_effects *fx);
/* When the next tick has work to do: monotonic ms, never more than 100 ms away. */
int64_t holder_next_ms(const struct holder *h, int64_t now_ms);

/* Index of the partition's slot or -1. */
int holder_find(const struct holder *h, int topic, int32_t partition);

/* The gate. NOW: the record is in flight from here on. DROP: not ours (now). LATER: ours, but too many are in flight. */
enum deliver { DELIVER_NOW, DELIVER_DROP, DELIVER_LATER };
enum deliver holder_deliver(struct holder *h, int part, int64_t offset, int64_t now_ms, int64_t now_unix_us);
/* After a delivery: is there something to tell (a first position), so that a TICK should come soon? */
bool holder_wants_turn(const struct holder *h);
/* A record in flight: the work on it was broken off, and begins anew in this member. The receipt counts them. */
void holder_given_again(struct holder *h, int part);
/* True: this may complete something; give the holder a TICK soon. */
bool holder_done(struct holder *h, int part, int64_t offset, int64_t now_unix_us);
/*
 * The record that was delivered last, not done, of a partition that is being given away: whoever has it next begins there. True as
 * above. False: the partition stays, or something behind the record is done or in flight, so it stays in flight.
 */
bool holder_take_back(struct holder *h, int part, int64_t offset);
/* The fetcher reached the end of an attached partition at `offset` (a first position without a record). True as above. */
bool holder_at_end(struct holder *h, int part, int64_t offset, int64_t now_unix_us);

/*
 * The brokers have lost the end of this partition's log (an unclean leader election): it ends at `offset`, below where the partition
 * stands, and what is produced from there on is new. True: the partition goes on there, and the next TICK commits it. False: it is not
 * at work, or records of the lost end are in flight; ask again when they are done.
 */
bool holder_cut(struct holder *h, int part, int64_t offset);

/* Fills the fields the holder knows (applied, sequence, goodbye, ready, parts ...); identity is the shell's. parts: caller's. */
void holder_report(const struct holder *h, struct report *ret, int64_t now_unix_us);

/* May anything be delivered at all: for baton_state() and the log. */
bool holder_fenced(const struct holder *h, int64_t now_ms);

#endif
