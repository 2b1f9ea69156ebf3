/*
 * switch - the controller's half of the protocol: passes batons from one color to the other and back.
 *
 * Pure: events in, effects out. One switcher a fleet. What it changed (head, shards, op) stands in `dirty`; the shell
 * appends that as one acknowledged batch and only then runs the effects of the same turn, so nothing is said
 * before it is written (I7). An append that fails ends the reign: throw the switcher away and replay the log.
 *
 * Level-triggered: an event only notes a fact; then one walk over the batons does what the facts allow.
 */
#ifndef CORE_SWITCH_H
#define CORE_SWITCH_H

#include "core/plan.h"

struct switcher_member {
    bool used;
    struct report *report; /* the shell's allocation; handed back through the event that replaces it */
    int64_t heard_ms;
    int64_t missing_since_ms;          /* when this leader first saw the brokers not list it, 0: listed or not looked */
    bool gone;                         /* rule 9: what it may have done is being read, then it is forgotten */
    uint64_t ends_token;               /* of that reading, 0: none is out */
    bool forgotten;                    /* counts no more; waits for its tombstone to be read back */
    int64_t skew_low_us, skew_high_us; /* its clock minus ours lies between */
    bool skew_known;
};

/* What this reign knows of a baton beyond the document. */
struct baton_fact {
    uint64_t token;       /* of the reading of its committed offset that is out, 0: none */
    uint64_t token_order; /* the baton's order when that was asked: another by now makes the answer void */
    int64_t asked_ms;     /* when it was asked */
    int64_t retry_ms;     /* not asked again before */
    bool wanted;          /* to be asked in this step */
    bool keep;            /* of a throttle: it works */
    /* How fast its holder moves on, for the stages: the position when the present window began; records a minute in the last ones. */
    int64_t load_position, load_ms, load;
    bool load_known;
    bool waits_doubt; /* in the stage, not ordered: its color has not yet passed the doubt (rule 10) */
    /* from the newest reports, surveyed anew in every step: */
    bool busy[COLOR_COUNT];                       /* somebody of the color is or may be at work on it */
    const struct report_part *owned[COLOR_COUNT]; /* the entry of the member that Kafka gives it, or NULL */
    int owner[COLOR_COUNT];                       /* that member, or -1 */
};

/* The last three steer what is under way: stay at this stage, go on to the next one now, take it back. */
enum order_kind {
    ORDER_SWITCH,
    ORDER_ROLLBACK,
    ORDER_PAUSE,
    ORDER_RESUME,
    ORDER_THROTTLE,
    ORDER_HOLD,
    ORDER_PROMOTE,
    ORDER_ABORT,
    ORDER_KIND_COUNT
};

struct order {
    enum order_kind kind;
    bool dry_run; /* plan only */
    bool to_given;
    enum color to;
    bool replay;
    struct stages stages; /* count 0: the fleet's */
    int keep;             /* throttle: so many partitions ... */
    bool keep_percent;    /* ... or percent of them go on working */
    bool by_signal;       /* throttle, resume: throttle_when orders it, no person */
    int64_t observe_ms;   /* -1: the fleet's */
    int64_t deadline_ms;  /* -1: the fleet's */
    bool judge_given;     /* --auto, --no-judge; false: the fleet's mode */
    enum judge_mode judge;
    bool force; /* to a version that the judge turned back before */
    char reason[REASON_MAX + 1], by[BY_MAX + 1], request_id[REQUEST_ID_MAX + 1];
};

/* Answer to an order. */
enum reply_status { REPLY_ACCEPTED, REPLY_PLANNED, REPLY_REFUSED, REPLY_CONFLICT, REPLY_UNAVAILABLE };

enum switcher_effect_type {
    SWITCHER_READ_REPORTS, /* read the reports topic to its present end, then REPORTS_READ (rule 2) */
    SWITCHER_READ_OFFSETS, /* color, batons: committed offsets and marks from the brokers, then OFFSETS */
    SWITCHER_READ_ENDS,    /* batons: log ends, read now, then ENDS */
    SWITCHER_READ_STARTS,  /* batons: log starts, then STARTS */
    SWITCHER_READ_GROUPS,  /* members of both groups, then GROUPS */
    SWITCHER_READ_ALL,     /* a snapshot for the preflight, then SNAPSHOT */
    SWITCHER_FORGET,       /* member (incarnation): tombstone in the reports topic */
    SWITCHER_RESTORE,      /* member (incarnation): append its switcher_report() again, if there is one */
    SWITCHER_REPLY,        /* request_id, status, number, findings (switcher.findings) */
    SWITCHER_DROP_OP,      /* number: tombstones for an old op and its passes */
};

struct switcher_effect {
    enum switcher_effect_type type;
    uint64_t token;
    enum color color;
    int first, count; /* in switcher_effects.batons */
    char incarnation[INCARNATION_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    enum reply_status status;
    uint32_t number;
    char text[256]; /* of a reply that is no list of findings */
};

#define SWITCHER_EFFECTS_MAX 64
struct switcher_effects {
    struct switcher_effect items[SWITCHER_EFFECTS_MAX];
    int count;
    int *batons; /* caller's, 4 * baton_max */
    int baton_count, baton_max;
};

/*
 * What a turn has to append, in this order: passes, shards, head, op. Passes come first because a doubt and a replay
 * are listed there and leave the document with the grant: a leader lost in between must not lose the list (I3).
 */
struct switcher_dirty {
    bool passes[SHARDS_MAX];
    bool shards[SHARDS_MAX]; /* batons of these changed (not written when all fit into the head) */
    bool head;               /* the head (with all batons when they fit into one record) */
    bool op;
};

enum switcher_event_type {
    SWITCHER_TICK,        /* every 100 ms or so */
    SWITCHER_REPORT,      /* report: taken; the one it replaces (or itself, when void) comes back in ev->report */
    SWITCHER_REPORT_GONE, /* incarnation: its key's tombstone was read; its report comes back in ev->report (or NULL) */
    SWITCHER_REPORTS_READ, /* token */
    SWITCHER_OFFSETS,      /* token, color, readings; or failed */
    SWITCHER_ENDS,         /* token, readings (offset = end); or failed. Never asked for no batons */
    SWITCHER_STARTS,       /* token, readings (offset = start); or failed */
    SWITCHER_GROUPS,       /* groups[2]; members only, owner may be NULL */
    SWITCHER_SNAPSHOT,     /* token, snapshot */
    SWITCHER_ORDER,        /* order */
    SWITCHER_PARTITIONS, /* topic, readings: partition count and, in first[], their first offsets: born HELD by active (rule 8) */
    SWITCHER_VERDICT, /* verdict, number, stage: of which operation and stage; another's is void */
    SWITCHER_KEPT,    /* kept, number: what the judge leaves to the next one */
    SWITCHER_SPEC,    /* spec: an edited fleet file (policies and appended topics) */
};

struct switcher_reading {
    int baton;
    int64_t offset; /* OFFSET_NONE: nothing committed */
    struct mark mark;
    bool failed;
};

struct switcher_event {
    enum switcher_event_type type;
    int64_t now_ms;
    int64_t now_unix_us;
    uint64_t token;
    bool failed;
    struct report *report;
    const char *incarnation;
    enum color color;
    const struct switcher_reading *readings;
    int reading_count;
    const struct group_view *groups; /* COLOR_COUNT of them */
    const struct snapshot *snapshot;
    const struct order *order;
    int topic;
    int partition_count;
    const int64_t *first_offsets; /* one for each partition of the topic, the old ones too */
    const struct spec *spec;
    const struct judge_verdict *verdict;
    const struct judge_kept *kept;
    uint32_t number;
    int stage;
};

struct switcher {
    struct fleet *fleet; /* caller's */
    struct op op;        /* the newest; passes are caller's */
    struct op asked;     /* what `order` would become */
    struct order order;  /* the order whose preflight is out, if order_given */
    uint64_t snapshot_token;
    int64_t snapshot_asked_ms;
    struct findings findings; /* of the last preflight */
    struct baton_fact *facts; /* caller's, one a baton */
    struct stage_item *items; /* caller's, one a baton: which goes with which stage of `asked` */
    struct switcher_member members[MEMBERS_MAX];
    bool members_overflow;      /* more than MEMBERS_MAX: nothing can be released any more */
    int64_t now_ms;             /* of this step */
    int64_t deadline_ms;        /* of the present state of the operation, by this reign's monotonic clock */
    int64_t home_ms;            /* since when all is home on the way back, 0: it is not */
    bool bumped;                /* this step has raised the epoch already */
    bool doubtful[COLOR_COUNT]; /* some baton of the color has a doubt, as surveyed */
    bool surveyed;              /* the facts are as batons, reports and operation say: nothing has changed since */
    struct switcher_dirty dirty;
    uint64_t token_last;
    uint64_t barrier_asked,
        barrier_read; /* epochs: reports were asked for / read to their end after this one (rule 2) */
    uint64_t barrier_token;
    uint64_t starts_token; /* of the reading of log starts that is out, 0: none */
    int64_t starts_ms;     /* when it was asked for */
    int64_t groups_asked_ms;
    bool groups_out;
    bool order_given; /* `order` waits for its preflight */
};

struct switcher_memory {
    struct fleet *fleet;      /* initialised; exists or not */
    struct baton_fact *facts; /* fleet->baton_max of each of these */
    struct pass *forth, *back;
    struct stage_item *items;
};

void switcher_init(struct switcher *s, const struct switcher_memory *memory);
/*
 * Begins a reign over what the log says: s->fleet and s->op are replayed, reports come as events afterwards. Raises the
 * document to (term, its epoch); marks all dirty that has to be written under the new term.
 */
void switcher_reign(struct switcher *s, int64_t term, int64_t now_ms, int64_t now_unix_us);
/* A fleet is born: `epoch` is above every mark in its groups; readings give each partition's first offset to hold from. */
void switcher_birth(struct switcher *s, const struct spec *spec, struct version version, const struct baton *batons,
                    int baton_count, int64_t now_unix_us);
void switcher_step(struct switcher *s, struct switcher_event *ev, struct switcher_effects *fx);
void switcher_effects_clear(struct switcher_effects *fx);
/* The newest report of a member that counts, NULL: there is no such member. */
const struct report *switcher_report(struct switcher *s, const char *incarnation);

/*
 * Of an effect FORGET, asked when it is run: true unless the member has spoken again in the same turn. Its tombstone would bury the
 * report that says so.
 */
bool switcher_still_forgets(const struct switcher *s, const char *incarnation);

/* Who or what is waited for, in one line per party, for the progress view: up to `max` of them. */
struct waiting {
    char who[CLIENT_ID_MAX + HOST_MAX + 16]; /* "payments-blue-3 (10.0.0.7)", "the brokers" */
    char what[160];                          /* "has 12 records of orders/3 in flight" */
};
int switcher_waiting(const struct switcher *s, struct waiting *ret, int max, int64_t now_ms);

/* Batons of the present stage by where they are: for "per partition counts". */
struct progress {
    int total;    /* of this stage */
    int ordered;  /* releasing now */
    int granted;  /* told to the new holder */
    int taken;    /* proven to flow */
    int returned; /* on the way back: home again */
};
void switcher_progress(const struct switcher *s, struct progress *ret);

#endif
