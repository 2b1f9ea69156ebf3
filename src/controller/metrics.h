/*
 * metrics - what a controller counts, and the page that shows it (GET /metrics).
 *
 *   metrics_tally.c  sums over members that come and go     metrics_lag.c   the fleets' lag, read from the brokers
 *   metrics.c        the table of metrics, and the page     metrics_page.c  the two text formats
 *
 * Every controller shows itself; what is said of fleets only the leader says, so that nothing is counted twice where
 * several are scraped. All counters begin at 0 when the process starts, though the log and the members' reports go
 * further back: to Prometheus a new process, or a new leader, is a reset and nothing else.
 */
#ifndef CONTROLLER_METRICS_H
#define CONTROLLER_METRICS_H

#include "base/str.h"
#include "controller/mirror.h"
#include "core/lag.h"
#include "core/op.h"
#include "core/report.h"

struct call;
struct controller;
struct entry;
struct tally; /* of a fleet */
struct lags;  /* of a fleet */

/* Of the process. */
struct metrics {
    int64_t began_unix_ms;
    struct histogram turns;
    uint64_t reigns, skipped;
    int shown; /* partitions with series of their own */
};

void metrics_open(struct controller *c);
void metrics_close(struct controller *c); /* before the brokers are */
void metrics_log_changed(struct controller *c, const struct mirror_change *change);
void metrics_tick(struct controller *c);
void metrics_write(struct controller *c, struct str *ret, bool openmetrics);
void metrics_get(struct controller *c, struct call *call);
/* docs/metrics.md's table, from the same table as the page. */
void metrics_document(struct str *ret);

/* --- metrics_tally.c ---------------------------------------------------------------------------------------------- */

/* Of one color, since this process began to follow the log: what its members did, whoever of them is still there. */
struct tally_color {
    uint64_t reports, done, gated;
    struct signals signals;
};
const struct tally_color *tally_color(const struct entry *e, enum color color); /* never NULL */
/* The same of each stratum (judge.h), as many as the fleet has now; numbers go round at 2^32. NULL: nothing was told yet. */
const struct work *tally_works(const struct entry *e, enum color color, int *ret_count);
void tally_report(struct entry *e, const struct report *report);
void tally_free(struct tally *t);

/* How operations ended, and how long partitions stood still in them. */
void tally_log_changed(struct entry *e, const struct mirror_change *change);
uint64_t tally_ended(const struct entry *e, enum op_kind kind, enum op_state state);
const struct histogram *tally_standstill(const struct entry *e);

/* --- metrics_lag.c ------------------------------------------------------------------------------------------------ */

struct lag_part {
    uint16_t topic;
    int32_t partition;
    int64_t log_start, log_end;
    int64_t stable_end; /* OFFSET_NONE: not known, or nobody judges */
    int64_t committed[COLOR_COUNT];
    struct lag lag[COLOR_COUNT];
    struct time_lag time[COLOR_COUNT];
};
/* The newest reading: in the order of the fleet's batons; NULL: none, or too old to be said. */
const struct lag_part *lags_read(const struct entry *e, int *ret_count, int64_t *ret_unix_ms);
int lags_shown(const struct entry *e); /* of them so many have series of their own */
void lags_tick(struct entry *e, int64_t now_ms);
void lags_free(struct entry *e);

#endif
