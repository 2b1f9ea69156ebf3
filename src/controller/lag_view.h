/*
 * lag_view - what a reader of lags knows as JSON: GET /v1/lag, and `baton lag` with and without a controller.
 *
 * What is not known is null, with a "state" that says why; it is never 0.
 */
#ifndef CONTROLLER_LAG_VIEW_H
#define CONTROLLER_LAG_VIEW_H

#include <jansson.h>

#include "kafka/lag.h"

/* All groups, one line each. */
json_t *lag_view_groups(const struct lag_reader *r);
/* One group with its partitions. topic: only this one; NULL: all. */
json_t *lag_view_group(const struct lag_reader *r, const struct lag_group *g, const char *topic);

#endif
