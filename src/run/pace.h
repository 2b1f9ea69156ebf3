/*
 * pace - how many records may be in hand, so that a hand-over never waits long for them.
 *
 * A baton passes when the records in hand are done, so what is fetched ahead is standstill: a thousand records are
 * nothing for a command that does 100,000 a second, and a quarter of an hour for one that does one. So the bound follows
 * the command: as long as records are in hand for less than half of PACE_TARGET_US it doubles, above PACE_TARGET_US it
 * shrinks. It never goes below one record for each process. Pure.
 */
#ifndef RUN_PACE_H
#define RUN_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_TARGET_US 50000
#define PACE_LOOK_US 5000

struct pace {
    int limit, least, most;
    bool full; /* the bound was felt since the last look */
    int64_t looked_us, sum_us;
    int64_t count;
};

void pace_init(struct pace *p, int least, int most);
/* `in_hand` records are in hand now. */
void pace_holds(struct pace *p, int in_hand);
/* `count` records were in hand for so long, and are done. */
void pace_done(struct pace *p, int count, int64_t took_us, int64_t now_us);

#endif
