/*
 * throttling - throttles a fleet when a figure is too high, and lets it go again: throttle_when of the fleet file.
 *
 * Looks once a second at the figure, which is the answer of a query to Prometheus, or the failed share or 99th percentile of the
 * active color's members, over the last records that are enough to say so. core/throttle.h says what follows from it; an order
 * then goes the way of a person's, with the figure in its reason. Only the leader looks.
 */
#ifndef CONTROLLER_THROTTLING_H
#define CONTROLLER_THROTTLING_H

#include <jansson.h>
#include <stdint.h>

struct entry;
struct throttling;

void throttling_tick(struct entry *e, int64_t now_ms);
void throttling_free(struct entry *e);
json_t *
throttling_view(const struct entry *e); /* null: the fleet file asks for none, or this controller does not lead */

#endif
