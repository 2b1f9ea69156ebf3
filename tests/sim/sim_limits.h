/* sim_limits - see core/limits.h: the few bounds that are smaller in the simulation. */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H

#define TOPICS_MAX 2
#define BATONS_MAX 64
#define SHARD_BATONS 4
#define MEMBERS_MAX 48
#define FINDINGS_MAX 8
#define SIGNALS_MAX 1
#define CLAIM_MS_MAX 4000
#define CLAIM_REST_MS 300

#endif
