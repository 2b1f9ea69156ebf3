/*
 * op - one operation on a fleet (switch, rollback, pause, resume, throttle) and its receipt.
 *
 * `switch/<fleet>/<number>` in the control log holds the op, `switch/<fleet>/<number>/batons/<n>` its passes: who
 * released where, who began where, how long nobody worked. The receipt is these two and nothing else.
 */
#ifndef CORE_OP_H
#define CORE_OP_H

#include "core/fleet.h"
#include "core/judge.h"

enum op_kind { OP_SWITCH, OP_ROLLBACK, OP_PAUSE, OP_RESUME, OP_THROTTLE };
#define OP_KIND_COUNT (OP_THROTTLE + 1)

/*
 *                              stage passed            observed, more to come
 *   (accepted) --> PASSING ----------------> OBSERVING ------------------> PASSING
 *                     |                         |  observed, the last: COMPLETE
 *                     | deadline, refusal,      |
 *                     | member gone, operator   | operator, verdict
 *                     +--------> RETURNING <----+
 *                                   |  all back: ROLLED_BACK
 *                                   |  deadline: NEEDS_OPERATOR
 */
enum op_state { OP_PASSING, OP_OBSERVING, OP_RETURNING, OP_COMPLETE, OP_ROLLED_BACK, OP_NEEDS_OPERATOR };
#define OP_STATE_COUNT (OP_NEEDS_OPERATOR + 1)

/* Why it turned back; `why` has the sentence. */
enum op_cause {
    CAUSE_NONE,
    CAUSE_DEADLINE,
    CAUSE_OPERATOR,
    CAUSE_MEMBER_GONE,
    CAUSE_FOREIGN_COMMIT,
    CAUSE_VERDICT,
    CAUSE_COUNT
};

/* One baton's passage, forth (switch) or back (the way back of the same op). Times are 0 when not known. */
struct pass {
    bool ordered;      /* this op ordered its release */
    uint64_t order;    /* epoch of the order */
    uint64_t grant;    /* epoch of the grant, 0: not granted */
    int64_t released;  /* what the old holder said it stopped at, OFFSET_NONE */
    int64_t committed; /* its group's committed offset, read back from the brokers before the grant */
    int64_t from;      /* where the new holder was told to begin */
    int64_t first;     /* the first offset it saw */
    int64_t
        given_again;   /* records that the old holder had given again within its color by then, their work broken off */
    int64_t log_start; /* read when `first` lay beyond `from`: what of [from, first) retention has taken; OFFSET_NONE */
    int64_t doubt;     /* [committed, doubt) may have been processed by both: listed; OFFSET_NONE */
    int64_t replay_from;                   /* --replay: where the other color had begun; OFFSET_NONE */
    int64_t repeat_to;                     /* --replay: [from, repeat_to) is done again on purpose; OFFSET_NONE */
    char released_by[INCARNATION_MAX + 1]; /* incarnations */
    char taken_by[INCARNATION_MAX + 1];
    int64_t stopped_unix_us, drained_unix_us;          /* the old holder's clock, corrected by its skew */
    int64_t attached_unix_us, first_unix_us;           /* the new holder's, corrected by its skew */
    int64_t release_heard_unix_us, take_heard_unix_us; /* the controller's clock: no skew, but hearing is not doing */
    bool taken;                                        /* reported active with a first position */
    uint8_t stage;                                     /* of a switch: with which it passes */
};
/* Nobody worked: from the last record done to the first position of the new holder (attached when the partition was empty). -1: unknown. */
int64_t pass_standstill_us(const struct pass *p);
/* From the release heard to the taking heard; -1: unknown. No bound: a release may be heard late, a taking too. */
int64_t pass_heard_us(const struct pass *p);
/* [from, this) was removed by retention before anybody processed it; OFFSET_NONE: nothing was. */
int64_t pass_removed_to(const struct pass *p);

struct op {
    uint32_t number; /* 0: no operation yet */
    enum op_kind kind;
    enum op_state state;
    enum color from, to; /* pause and resume: equal */
    bool replay;
    uint32_t
        of_number; /* rollback: of which switch; else, but for a switch: which one a rollback after it would take back */
    struct stages stages;
    int stage;                        /* index of the present one */
    char steered[REQUEST_ID_MAX + 1]; /* request id of the last word that held, promoted or aborted it */
    bool by_hand;                     /* somebody holds the present stage: only a promote or an abort ends it */
    int keep;                         /* throttle: how many partitions work */
    bool by_signal;                   /* throttle, resume: ordered by throttle_when of the fleet file */
    int64_t observe_ms, deadline_ms;
    enum on_unreachable on_unreachable;
    enum on_doubt on_doubt;
    char reason[REASON_MAX + 1], by[BY_MAX + 1], request_id[REQUEST_ID_MAX + 1];
    char version_from[VERSION_MAX + 1], version_to[VERSION_MAX + 1];
    int64_t created_unix_ms, ended_unix_ms;
    int64_t stage_began_unix_ms; /* of the present PASSING or OBSERVING */
    int64_t deadline_unix_ms;    /* of the present PASSING or RETURNING; end of OBSERVING */
    enum op_cause cause;
    char why[256];
    enum judge_mode judge;        /* of this operation: the fleet's, --auto or --no-judge */
    bool held;                    /* OBSERVING does not end by itself: for want of a verdict, or by order */
    struct judge_verdict verdict; /* the newest; judged: there is one */
    bool judged;
    struct judge_kept kept;           /* for the judge of the next leader; of an operation under way only */
    uint64_t epoch_first, epoch_last; /* documents it made */
    struct pass *forth, *back;        /* caller's, one a baton, in the order of fleet.batons */
    int pass_count;
};

const char *op_kind_name(enum op_kind k);
const char *op_state_name(enum op_state s);
const char *op_cause_name(enum op_cause c);
bool op_kind_parse(enum op_kind *ret, const char *name);
bool op_state_parse(enum op_state *ret, const char *name);
bool op_cause_parse(enum op_cause *ret, const char *name);
static inline bool op_ended(const struct op *op)
{
    return op->number == 0 || op->state == OP_COMPLETE || op->state == OP_ROLLED_BACK || op->state == OP_NEEDS_OPERATOR;
}

/* Batons change hands: a pause, a resume and a throttle leave them with their color. */
static inline bool op_between_colors(const struct op *op)
{
    return op->kind == OP_SWITCH || op->kind == OP_ROLLBACK;
}

/* What the receipt sums up; made from the op alone, so anyone who reads the log makes the same. */
struct receipt_sum {
    int ordered, passed, returned; /* batons */
    int64_t listed_repeats;        /* records in [committed, doubt) and in replays */
    int64_t given_again;           /* records that were given again within a color, their work broken off */
    int64_t removed;               /* records that retention took before anybody processed them */
    int gaps;                      /* passes where from != committed without a replay: always 0 (I2) */
    int64_t standstill_us_p50, standstill_us_p99, standstill_us_max; /* -1: none known */
    int standstill_known;
};
/* `scratch` holds 2 * pass_count numbers. */
void receipt_sum(struct receipt_sum *ret, const struct op *op, int64_t *scratch);

#endif
