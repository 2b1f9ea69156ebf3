/*
 * spec - what the operator wants of a fleet: the fleet file, checked and in one struct.
 *
 * `wire/spec_yaml` and `wire/spec_json` fill it from one table of options; the core only
 * reads it. It travels inside the head of the fleet document, so every member knows it.
 */
#ifndef CORE_SPEC_H
#define CORE_SPEC_H

#include "core/types.h"

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

    int stages_percent[STAGES_MAX]; /* growing, the last is 100 */
    int stage_count;
    int64_t observe_ms;  /* after each stage */
    int64_t deadline_ms; /* of one stage's pass, and of the way back */
    enum on_unreachable on_unreachable;
    enum on_doubt on_doubt;

    int64_t session_timeout_ms; /* of the members' groups, 6 s .. 1 h */
    int64_t processing_ms_max;  /* longest time between delivery and done */
    int64_t follow_interval_ms;
    int64_t keep_standby_ms;
    int history_count; /* switches kept in the control log */
};

/* session timeout + longest processing time: PROTOCOL rule 9. */
static inline int64_t spec_gone_after_ms(const struct spec *s)
{
    return s->session_timeout_ms + s->processing_ms_max;
}

#endif
