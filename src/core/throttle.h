/*
 * throttle - when does a figure throttle a fleet, and when is it let go again?
 *
 * Two bounds with a gap between them, and a time that the figure has to stay beyond either without a break: a figure that
 * swings, or a single bad reading, moves nothing. A figure that is unknown is neither: it ends the stay, throttles nothing and
 * lets nothing go.
 *
 * A person's word stands above the figure's. What somebody throttled or paused is not let go here, and a throttle that somebody
 * lifted is not ordered again before the figure has once been low.
 */
#ifndef CORE_THROTTLE_H
#define CORE_THROTTLE_H

#include "core/op.h"

/* What the figure may do as things stand. */
enum throttle_place {
    THROTTLE_OPEN,      /* all work: it may throttle */
    THROTTLE_OVERRULED, /* all work because a person said so: it may throttle once it has been low */
    THROTTLE_OURS,      /* throttled by it: it may let go */
    THROTTLE_HANDS_OFF, /* something is under way, or a person has paused or throttled */
    THROTTLE_PLACE_COUNT
};
const char *throttle_place_name(enum throttle_place p);
const char *throttle_signal_name(enum throttle_signal s);
enum throttle_place throttle_place(const struct fleet *f, const struct op *newest);

enum throttle_word { THROTTLE_STAY, THROTTLE_NARROW, THROTTLE_LIFT };

struct throttle {
    uint32_t number;  /* of the newest operation: with another one all begins anew ... */
    int64_t began_ms; /* ... at this time, 0: never */
    int64_t since_ms; /* since when the figure has been where it moves something, 0: it is not there */
    bool low;         /* it has been low since began_ms */
};

/* One look; `figure` NAN: unknown. What it says is said again after as long, should nothing have come of it. */
enum throttle_word throttle_step(struct throttle *t, const struct throttle_policy *p, const struct fleet *f,
                                 const struct op *newest, double figure, int64_t now_ms);

/* How many of `all` partitions work. */
int keep_of(const struct keep *k, int all);

#endif
