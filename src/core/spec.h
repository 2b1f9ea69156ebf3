/*
 * spec - what the operator wants of a fleet: the fleet file, checked and in one struct.
 *
 * `wire/spec_yaml` and `wire/spec_json` fill it from one table of options; the core only
 * reads it. It travels inside the head of the fleet document, so every member knows it.
 */
#ifndef CORE_SPEC_H
#define CORE_SPEC_H

#include "core/stage.h"

/* ppm: a millionth, the unit of every share in the fleet file. */
#define PPM 1000000

/* METRIC_SIGNAL + i: signal i of the fleet file. */
enum judge_metric { METRIC_ERROR_RATE, METRIC_LATENCY, METRIC_LAG, METRIC_METADATA, METRIC_SIGNAL };

#define SIGNAL_NAME_MAX 31
#define SIGNAL_QUERY_MAX 511
#define URL_MAX 255

/* `guard`: only what needs no statistics (vanished, crash loop, no progress, half of all fails) turns a switch back. */
enum judge_mode { JUDGE_GUARD, JUDGE_AUTO, JUDGE_OFF, JUDGE_MODE_COUNT };
enum on_undecided { UNDECIDED_HOLD, UNDECIDED_PROMOTE, UNDECIDED_ROLLBACK, ON_UNDECIDED_COUNT };
enum on_unknown { UNKNOWN_HOLD, UNKNOWN_IGNORE, ON_UNKNOWN_COUNT };
enum on_worse { WORSE_ROLLBACK, WORSE_HOLD, ON_WORSE_COUNT };
enum judge_promote { PROMOTE_AT_END, PROMOTE_EARLY, JUDGE_PROMOTE_COUNT };
enum signal_worse { SIGNAL_HIGHER_IS_WORSE, SIGNAL_LOWER_IS_WORSE, SIGNAL_WORSE_COUNT };

/* By whose rules the new color's group is labelled (core/burrow.h), for the judge; not at all unless told. */
enum window_rules { WINDOW_NONE, WINDOW_CORRECTED, WINDOW_BURROW, WINDOW_RULES_COUNT };

/* A query to Prometheus; $fleet, $color, $group and $version stand in it for those of the color that is asked for. */
struct signal_policy {
    char name[SIGNAL_NAME_MAX + 1];
    char query[SIGNAL_QUERY_MAX + 1];
    enum signal_worse worse;
    bool limited;
    double limit; /* beyond it (above or, where lower is worse, below) it is worse whatever the other color does */
};

struct judge_policy {
    enum judge_mode mode;
    int alpha_ppm;       /* false rollbacks, all metrics and stages of a switch together */
    int64_t interval_ms; /* between two looks */
    int64_t warmup_ms;
    int records_min;   /* before any statistical verdict */
    int tolerance_ppm; /* how much worse is still as good, relative */
    enum judge_promote promote;
    enum on_undecided on_undecided;
    enum on_unknown on_unknown;
    enum on_worse on_worse, on_worse_full; /* full: once the new color holds everything */
    unsigned metrics;                      /* those that are judged: 1 << enum judge_metric */
    int error_rate_limit_ppm;              /* hard limits; 0 each: none */
    int64_t latency_p99_limit_ms;
    int64_t time_lag_limit_ms;
    int64_t no_progress_ms;  /* a partition with records to do stands still */
    int64_t catch_up_ms;     /* longest time to work off the backlog */
    int crash_loop;          /* so many starts of one process ... */
    int64_t crash_window_ms; /* ... within this */
    enum window_rules window;
    struct signal_policy signals[SIGNALS_MAX];
    int signal_count;
};

/* What throttles a fleet by itself: a figure of the active color, or what a query to Prometheus gives. */
enum throttle_signal {
    THROTTLE_NONE,
    THROTTLE_QUERY,
    THROTTLE_ERROR_RATE,
    THROTTLE_LATENCY_P99,
    THROTTLE_SIGNAL_COUNT
};

/* How many partitions work: a number of them, or percent. */
struct keep {
    int amount;
    bool percent;
};

struct throttle_policy {
    enum throttle_signal signal;
    char query[SIGNAL_QUERY_MAX + 1]; /* of THROTTLE_QUERY */
    double above, until;              /* throttled above the one, let go at or below the other, which is lower */
    int64_t wait_ms, rest_ms;         /* for so long without a break, either way */
    struct keep keep;
};

struct spec_color {
    char group[GROUP_NAME_MAX + 1]; /* default <fleet>-<color> */
};

struct spec {
    char fleet[FLEET_NAME_MAX + 1];
    char topics[TOPICS_MAX][TOPIC_NAME_MAX + 1]; /* topics are only ever appended to a fleet */
    int topic_count;
    struct spec_color colors[COLOR_COUNT];
    enum strategy strategy;
    enum color first_active;        /* who holds the batons when the fleet is made */
    enum offset_reset offset_reset; /* where a fleet with nothing committed begins */

    struct stages stages;
    int64_t observe_ms;  /* after each stage */
    int64_t deadline_ms; /* of one stage's pass, and of the way back */
    enum on_unreachable on_unreachable;
    enum on_doubt on_doubt;

    int64_t session_timeout_ms; /* of the members' groups, 6 s .. 1 h */
    int64_t processing_ms_max;  /* longest time between delivery and done */
    int64_t follow_interval_ms;
    int64_t keep_standby_ms;
    int history_count; /* switches kept in the control log */

    struct judge_policy judge;
    char prometheus_url[URL_MAX + 1]; /* "": none */
    struct throttle_policy throttle;
};

/* The policy as the judge wants it: `auto` is filled in. No record takes so long as a standstill does. */
static inline struct judge_policy spec_judge(const struct spec *s)
{
    struct judge_policy policy = s->judge;

    if (policy.no_progress_ms == 0)
        policy.no_progress_ms = s->processing_ms_max > 30000 ? 2 * s->processing_ms_max : 60000;
    return policy;
}

/* session timeout + longest processing time: PROTOCOL rule 9. */
static inline int64_t spec_gone_after_ms(const struct spec *s)
{
    return s->session_timeout_ms + s->processing_ms_max;
}

#endif
