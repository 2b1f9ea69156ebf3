/*
 * judge_internal - the judge's parts, as they see each other. Who uses the judge needs judge.h only.
 *
 * Each part may call those below it in this list (and judge_kept.c, which puts a judge in the place of another, judge_begin()):
 *
 *     judge.c            a judge's life: the old color alone, a stage has passed, looks; what all cases say together
 *     judge_say.c        the same for people, in sentences
 *     judge_kept.c       what a lost leader's judge leaves to the next one
 *     judge_rules.c      what is worse without any statistics
 *     judge_bet.c        one bet a figure, and a metric's case made of bets
 *     judge_strata.c     partitions differ by nature: each is compared with itself
 *     judge_lag.c        what waits, and who stands still
 *     judge_baseline.c   figures as "x bad of n", what is normal of them, and how they wander
 *     judge_math.h       shares, normal tails, sums of logs
 */
#ifndef CORE_JUDGE_INTERNAL_H
#define CORE_JUDGE_INTERNAL_H

#include "core/judge.h"
#include "core/judge_math.h"

#define GAP_INTERVALS 5 /* a longer silence between two samples starts blocks and clocks anew */
#define LAG_LOOK_MS 5000
#define LAG_FLOOR_S 10.0 /* three times what the old color was behind at most, between this and a smaller one */
#define LIMIT_LOOKS 3
#define MIRROR 2.0         /* `ok` means: surely below this many times the tolerated odds */
#define LOG_BETA 2.995732  /* log 20: `ok` is wrong once in 20 */
#define CONTROL_SHARE 0.25 /* the old color's part, measured on the new one's, from which on it serves as the control */

/* --- judge_rules.c --- */

/* The first that calls this decides. */
void judge_worse(struct judge *j, enum judge_rule rule, int metric, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void judge_births_look(struct judge *j, const struct judge_sample *s);
void judge_members_look(struct judge *j, const struct judge_sample *s);
void judge_limits_look(struct judge *j, const struct judge_sample *s);
void judge_signals_look(struct judge *j, const struct judge_sample *s);
void judge_window_look(struct judge *j, const struct judge_sample *s);
bool judge_window_bad(const struct judge_sample *s);
/* What lies above it is slower than the policy's limit for p99. */
int judge_slow_bucket(const struct judge_policy *p);

/* --- judge_bet.c --- */

/* What was to be expected of a color's partitions, were they as they were under the old one. */
struct expected {
    bool by_partition;
    double n, x;     /* records, bad ones */
    double e;        /* expected bad ones; not by partition: n, since all are taken to be alike */
    double variance; /* of e over the stage, relative to its square: how well the yardstick is known */
};

void judge_bets_open(struct judge *j, int64_t now_ms);
void judge_bets_split(struct judge *j, int64_t now_ms);
void judge_bet_look(struct judge_bet *b, double passes, double z, const struct expected *new,
                    const struct expected *old);
void judge_bet_look_lag(struct judge_bet *b, bool grew);
void judge_case_freeze(struct judge *j, int metric, double z);
void judge_case_freeze_lag(struct judge *j, double z);
double judge_case_log_stake(const struct judge_case *c, int metric);
double judge_case_log_promote(const struct judge_case *c);
double judge_case_records(const struct judge_case *c);
double judge_case_passes(const struct judge *j, int bet);
bool judge_case_stale(const struct judge *j, const struct judge_case *c);
enum metric_state judge_case_state(const struct judge *j, int metric);

/* --- judge_strata.c --- */

void judge_strata_forget(struct judge *j);
void judge_strata_age(struct judge *j);
/* What the old color did in an interval, NULL: nothing is known. */
void judge_strata_add(struct judge *j, const struct work *works);
void judge_strata_freeze(struct judge *j);
/* How much each stratum is taken to be one of many; after the cases are frozen. */
void judge_strata_pull(struct judge *j);
void judge_strata_mix(struct judge *j, const struct judge_sample *s);
void judge_strata_expect(const struct judge *j, struct expected *ret, int metric, int k, const struct work *works,
                         const float *mix);
bool judge_strata_tell(const struct judge *j, const struct judge_bet *b, const struct expected *of,
                       const struct judge_open_block *figures);
double judge_strata_errors(const struct judge *j, double *ret_share);

/* --- judge_lag.c --- */

/* Did the lag grow, of all together and of the partitions that were far behind by themselves? Only what was far behind counts. */
enum lag_bet { LAG_ALL, LAG_PARTS, LAG_BETS };
struct lag_step {
    bool counts[LAG_BETS], grew[LAG_BETS];
};

void judge_progress_look(struct judge *j, const struct judge_sample *s);
void judge_progress_pause(struct judge *j);
void judge_lag_read(struct judge *j, const struct judge_sample *s, double seconds);
double judge_lag_seconds(const struct judge *j);
double judge_lag_worst_seconds(const struct judge *j);
bool judge_lag_step(struct judge *j, const struct judge_sample *s, struct lag_step *ret);
void judge_lag_floor(struct judge *j);

/* --- judge_baseline.c --- */

extern const double judge_quantiles[JUDGE_QUANTILES];

const char *judge_metric_name(const struct judge *j, int metric);
bool judge_metric_on(const struct judge_policy *p, int metric);
/* An `ok` needs it; the others may only say no. */
bool judge_metric_votes(int metric);
bool judge_figures_above(struct judge_open_block *ret, const struct judge_policy *p, const struct judge_figures *f,
                         int metric);
void judge_blocks_close(struct judge *j, int64_t now_ms);
void judge_blocks_drop(struct judge *j, int64_t now_ms);
void judge_baseline_add(struct judge *j, const struct judge_figures *f);
double judge_design_effect(const struct judge *j, int metric, int bucket);
double judge_baseline_share(const struct judge *j, int metric, int bucket, double *ret_share);
int judge_baseline_quantile(const struct judge *j, int metric, double q);

#endif
