/*
 * judge - is the new color worse than the old one?
 *
 * While the old color works alone, judge_baseline() gathers what is normal. judge_begin() freezes that when a stage has
 * passed, and judge_step() looks once an interval: a bet against "the new color is no worse", one a metric, whose stake
 * grows only if that is false (an e-process). Whoever stops when the stake has grown m/alpha-fold is wrong in at most
 * alpha of all switches, however often he looks; docs/judge.md has the formulae and what they were measured to do.
 * Beside the bets stand plain rules (limits, no progress, crash loop, vanished), which need no statistics.
 *
 * Pure: values in, a verdict out; no clock, no allocation, everything bounded. A figure that is missing, not a number or
 * makes no sense is *unknown*: it moves no bet, and a metric without figures never votes.
 */
#ifndef CORE_JUDGE_H
#define CORE_JUDGE_H

#include "core/burrow.h"
#include "core/histogram.h"
#include "core/spec.h"
#include "core/work.h"

/* Figures of one color over one interval. All is unknown in a zeroed one, except the signals: set them to NAN. */
struct judge_figures {
    bool counted;   /* records and errors are known */
    double records; /* done in the interval ... */
    double errors;  /* ... of which failed */
    bool latency_known, metadata_known;
    struct histogram latency;    /* of the interval, all members of the color: delivered to done */
    struct histogram metadata;   /* of the interval: metadata refreshes */
    double signals[SIGNALS_MAX]; /* in the order of spec.judge.signals; NAN: missing, stale or no number */
};

/* A partition that the new color holds, as the lag reader or its owner's report has it. */
struct judge_part {
    int baton;        /* index into fleet.batons: the judge knows it again by that */
    int64_t position; /* next offset to do: committed, or what the owner has done of it */
    int64_t end;      /* the last stable offset: what waits behind an open transaction is not the consumer's to do */
};

/* A process of the new color that was not there at the last look. */
struct judge_birth {
    uint64_t slot; /* hash of what a restarted process keeps: client id and host */
    int peers;     /* live members of the same slot, this one too */
};
#define JUDGE_BIRTHS_MAX 32

struct judge_sample {
    int64_t now_ms;
    bool excluded; /* a rebalance or a broker's trouble lies in the interval: counts for neither side, within bounds */
    struct judge_figures of[COLOR_COUNT];
    const struct work
        *works[COLOR_COUNT]; /* the same by stratum, as many as judge_strata() was told; NULL: not known */
    bool lag_known;
    const struct judge_part *parts; /* of the new color (judge_baseline: of the only one) */
    int part_count;
    bool control_lag_known; /* canary: what the old color still holds */
    int64_t control_lag;    /* records */
    bool members_known;     /* reports are being read */
    int live[COLOR_COUNT];  /* members heard from lately */
    struct judge_birth births[JUDGE_BIRTHS_MAX];
    int birth_count;
    enum burrow_status window; /* of its group, by the policy's rules; NOTFOUND or UNKNOWN: not known */
};

enum verdict { VERDICT_UNDECIDED, VERDICT_OK, VERDICT_WORSE };
#define VERDICT_COUNT (VERDICT_WORSE + 1)
const char *verdict_name(enum verdict v);
bool verdict_parse(enum verdict *ret, const char *name);

const char *judge_mode_name(enum judge_mode m);
bool judge_mode_parse(enum judge_mode *ret, const char *name);

/* What decided. */
enum judge_rule {
    RULE_NONE,
    RULE_EVIDENCE,    /* a metric's bet, either way */
    RULE_LIMIT,       /* a hard limit of the fleet file */
    RULE_BREAKER,     /* more than half of everything fails */
    RULE_CATCH_UP,    /* the backlog was not worked off in its time */
    RULE_NO_PROGRESS, /* partitions held, records waiting, position unchanged */
    RULE_CRASH_LOOP,
    RULE_VANISHED,
    RULE_WINDOW, /* its commits are labelled STOP, STALL or REWIND */
    JUDGE_RULE_COUNT
};
const char *judge_rule_name(enum judge_rule r);
bool judge_rule_parse(enum judge_rule *ret, const char *name);

#define JUDGE_METRICS_MAX (METRIC_SIGNAL + SIGNALS_MAX)

enum metric_state { METRIC_UNKNOWN, METRIC_UNDECIDED, METRIC_OK, METRIC_WORSE };
#define METRIC_STATE_COUNT (METRIC_WORSE + 1)
const char *metric_state_name(enum metric_state s);
bool metric_state_parse(enum metric_state *ret, const char *name);

/* One metric's case. Shares are of `what`: errors of records, records slower than a bound, intervals in which lag grew. */
struct judge_evidence {
    char name[SIGNAL_NAME_MAX + 1];
    enum metric_state state;
    bool votes;           /* an `ok` needs it; the others may only say no */
    double records, bad;  /* counted since the stage's clock began */
    double observed;      /* bad / records; NAN: nothing yet */
    double expected;      /* the old color's share; NAN: no baseline */
    double tolerated;     /* the largest share that still passes */
    double e_value;       /* the stake: 1 at the start; "1 in e_value" that chance alone did it */
    double e_bound;       /* from here on it is worse */
    double e_promote;     /* the same against "twice the tolerated share": 20 makes it ok */
    double design_effect; /* how much the old color's bad records come in bursts, 1: not at all */
    int64_t looks;
    char sentence[240];
};

struct judge_verdict {
    enum verdict verdict;
    enum judge_rule rule;
    bool blind;       /* undecided, and figures are missing: nobody may turn back because of that */
    int64_t after_ms; /* since the stage had passed */
    int64_t looks;
    char sentence[320];
    struct judge_evidence metrics[JUDGE_METRICS_MAX];
    int metric_count;
};

/* --- state: the caller's storage, not to be looked into ------------------------------------------------------------------- */

#define JUDGE_ALTERNATIVES 6
#define JUDGE_QUANTILES 4
#define JUDGE_BLOCKS 3  /* sizes over which burstiness is measured: one interval, 30 s, 150 s */
#define JUDGE_RECENT 64 /* looks with records: a minute of them, or those of the last twenty records */
#define JUDGE_BIRTH_RING 64
#define JUDGE_STRATA_MAX 256

/*
 * Partitions may differ by nature, so the new color's are compared with themselves under the old one. A stratum is a partition;
 * in a fleet of more than JUDGE_STRATA_MAX of them it is a few neighbours.
 */
int judge_stratum_count(int baton_count);
int judge_stratum_of(int baton, int baton_count);

/* What the frozen yardstick keeps of one: its share of bad ones, and how slow its slowest were. */
struct judge_stratum {
    float done, failed;
    float timed;                     /* 0: too few to tell */
    float above[JUDGE_QUANTILES];    /* timed ones ... */
    uint8_t bounds[JUDGE_QUANTILES]; /* ... above these buckets of struct work */
};

/*
 * What a baseline keeps of a metric: how many of n lay above each bucket (of a count: above[0] is the bad ones), and, over
 * closed blocks, how far those wander from block to block: sums of n, x and x^2/n.
 */
struct judge_spread {
    double n, above[HISTOGRAM_BUCKETS];
    struct {
        int count;
        double n, x[HISTOGRAM_BUCKETS], xx[HISTOGRAM_BUCKETS];
    } blocks[JUDGE_BLOCKS];
};

struct judge_open_block {
    double n, above[HISTOGRAM_BUCKETS];
};

/* Up to 30 minutes; the baseline is the present generation and the one before. */
struct judge_generation {
    int64_t since_ms;
    struct judge_spread spreads[JUDGE_METRICS_MAX];
    double lag_counted, lag_grew;
    double lag_max_s;         /* the furthest behind that any partition was; 0: no lag was read */
    bool window_bad;          /* the old color's group was labelled so as well */
    double rate_max, seconds; /* records a second in the best 30 s; what was watched altogether */
};

/* One bet that a share is no larger than tolerated, against alternatives. */
struct judge_bet {
    bool usable; /* there is a baseline */
    int bucket;  /* bad lies above it */
    double share, tolerated, design;
    double log_stakes[JUDGE_ALTERNATIVES];
    double log_promote;
    double n, x;                 /* the new color's, since the phase began ... */
    double late_n, late_x;       /* ... and since the stake last fell: what speaks against it */
    double control_n, control_x; /* the old one's at the same time */
    double part_n,
        part_e; /* of n so many were compared partition by partition, and so many bad ones were to be expected ... */
    double part_control_e; /* ... and of control_n */
    double passes;         /* how many times the expected passed at the last such look, 0: there was none */
};

struct judge_case {
    bool on;
    int bet_count;
    struct judge_bet bets[JUDGE_QUANTILES];
    int64_t looks, known_ms; /* known_ms: of the last figures, 0: none yet */
    int over_limit;          /* looks in a row beyond the hard limit */
};

struct judge_progress {
    int64_t position, since_ms, seen_ms; /* position: the furthest it came, so what is done again is no progress */
    bool stuck_before;                   /* it stood still under the old color already */
    int64_t end, end_ms;
    double arrivals;         /* a second, smoothed */
    double lag, before;      /* now, and at the last lag look ... */
    bool behind;             /* ... and was it far behind then? */
    int64_t behind_since_ms; /* 0: it is not */
};

struct judge {
    struct judge_policy policy;
    struct judge_generation generations[2]; /* 0: the present one */
    struct judge_open_block open[JUDGE_BLOCKS][JUDGE_METRICS_MAX];
    int64_t open_since_ms[JUDGE_BLOCKS];
    int64_t last_ms; /* of the last sample, 0: none */

    bool judging;
    enum color from, to;
    double log_bound;                         /* log of m/alpha, see judge_begin() */
    double lag_floor_s;                       /* what is further behind is far behind */
    int64_t began_ms, evidence_ms, steady_ms; /* stage passed; first figures; backlog worked off. 0: not yet */
    int64_t drained_since_ms, excluded_ms;
    int64_t split_ms; /* when a bet on what begins late was last added */
    int splits;
    int64_t looks;
    double z; /* standard errors by which a baseline may be too good by chance */
    struct judge_case cases[JUDGE_METRICS_MAX];
    struct work *strata; /* caller's, two generations of `stratum_max` each; NULL: nothing is told apart */
    int stratum_max;
    struct judge_stratum frozen[JUDGE_STRATA_MAX];
    int frozen_count; /* 0: nothing is told apart */
    struct judge_pull {
        double bad, records;                  /* so many are added to what is known of each stratum */
    } pulls[1 + JUDGE_QUANTILES];             /* of errors, then of each quantile */
    float mix[COLOR_COUNT][JUDGE_STRATA_MAX]; /* records done in this stage */
    bool restored; /* the yardstick is another judge's: there is no baseline to make one of */

    struct {
        bool known;
        int64_t at_ms; /* of the last comparison */
        double lag, before, ends, control_before;
        int parts;
        double arrivals;   /* a second, smoothed */
        double backlog;    /* at the first look */
        double worst_s;    /* seconds of arrivals that the partition which is furthest behind is behind */
        int64_t behind_ms; /* how long the one that has been far behind for longest has been so */
        bool behind;       /* all together, at the last lag look */
        int over_limit;
    } lag;
    struct judge_recent {
        int64_t at_ms; /* 0: none */
        double n, x, timed, slow;
    } recent[JUDGE_RECENT]; /* a ring of looks in which records were done */
    int recent_next;
    struct {
        uint64_t slot;
        int64_t at_ms;
    } births[JUDGE_BIRTH_RING];
    int birth_next;
    int silent_looks;
    int64_t window_bad_ms;           /* since when; 0: it is not */
    struct judge_progress *progress; /* caller's, one a baton */
    int progress_max;
    int stuck, stuck_baton;

    enum verdict verdict;
    enum judge_rule rule;
    int worse_metric; /* of RULE_EVIDENCE and RULE_LIMIT */
    int64_t worse_ms;
    char worse_why[200]; /* of a rule */
};

/*
 * What a judge leaves to the one after it, when the leader is lost: the yardstick, and how the bets stand. A few kilobytes, in the
 * operation's record. What was seen since it was last written is not counted twice and not made up for. The other rules (limits,
 * no progress, crash loop, vanished) look at the last minutes only and begin anew.
 */
#define JUDGE_KEPT_MAX (JUDGE_METRICS_MAX + JUDGE_QUANTILES - 1 + 1) /* latency has several bets, lag two */
struct judge_kept {
    bool known;
    int stage;     /* of the switch: that of the bets */
    bool begun;    /* the stage is being judged; else only the yardstick counts */
    bool evidence; /* the new color has shown work, evidence_ms ago */
    bool steady;   /* the backlog is worked off */
    int64_t after_ms, evidence_ms;
    int splits;
    double backlog;
    double records, errors, timed, slow, seconds, rate_max; /* of the old color: what limits and catching up ask for */
    double lag_max_s;
    struct judge_kept_bet {
        char name[SIGNAL_NAME_MAX + 1]; /* of the metric; latency has several */
        int64_t looks;
        struct judge_bet bet;
    } bets[JUDGE_KEPT_MAX];
    int bet_count;
    struct judge_stratum strata[JUDGE_STRATA_MAX];
    int stratum_count;
};

/* `progress`: the caller's, one a baton. The judge is big (some 400 KB): on the heap. */
void judge_init(struct judge *j, const struct judge_policy *policy, struct judge_progress *progress, int progress_max);
/* Samples tell works by stratum, so many; `strata`: the caller's, twice so many. Right after judge_init(). */
void judge_strata(struct judge *j, struct work *strata, int stratum_count);
/* The old color at work alone, steadily: once an interval while no operation is under way. */
void judge_baseline(struct judge *j, enum color active, const struct judge_sample *s);
/* A stage has passed: freezes the baseline, starts the clock. `stages`: of the whole switch; they share alpha. */
void judge_begin(struct judge *j, const struct judge_policy *policy, enum color to, int stages, int64_t now_ms);
/* The same as far as the yardstick goes, before anything has passed; the baseline goes on if nothing comes of it. */
void judge_freeze(struct judge *j, struct judge_kept *ret, const struct judge_policy *policy, enum color to, int stages,
                  int64_t now_ms);
double judge_seconds(const struct judge *j); /* how long the old color was watched */
void judge_keep(const struct judge *j, struct judge_kept *ret, int stage);
/* In place of judge_begin(), by another judge than the one that kept it. `verdict`: what that one had said last, NULL: nothing. */
void judge_restore(struct judge *j, const struct judge_kept *kept, const struct judge_verdict *verdict,
                   const struct judge_policy *policy, enum color to, int stages, int stage, int64_t now_ms);
/* One look. `worse` stays until the next judge_begin(). */
enum verdict judge_step(struct judge *j, const struct judge_sample *s);
/* The verdict with its evidence, in sentences and in numbers. */
void judge_explain(const struct judge *j, struct judge_verdict *ret);

#endif
