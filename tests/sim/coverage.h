/*
 * coverage - how often each fault, each transition and each pair of a state and a fault was met.
 *
 * A world that was never entered proves nothing: a long run fails when something that it should have met stayed at zero.
 * Transitions are told by the core itself (MET in base/check.h).
 */
#ifndef SIM_COVERAGE_H
#define SIM_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "world.h"

void coverage_fault(enum fault f);
/* A fault while an operation was in `op_state` (OP_STATE_COUNT: none is under way). */
void coverage_op(enum fault f, unsigned op_state);
/* A fault of a member that had a partition in `part_state`. */
void coverage_part(enum fault f, unsigned part_state);
/* A fault of the leader while a baton was in `right`. */
void coverage_right(enum fault f, unsigned right);

/* A fault of a controller on its way to the lead, or there. */
void coverage_claim(enum fault f, unsigned claim_state);

/* Prints the tables; how many that should have been met were not. */
int coverage_print(FILE *to, bool all);
int64_t coverage_fault_count(enum fault f);
int coverage_missing(void);

#endif
