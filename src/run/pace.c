/*
 * pace - see pace.h.
 */
#include "run/pace.h"

void pace_init(struct pace *p, int least, int most)
{
    *p = (struct pace){ .limit = least, .least = least, .most = most };
}

void pace_holds(struct pace *p, int in_hand)
{
    p->full = p->full || in_hand >= p->limit / 2;
}

void pace_done(struct pace *p, int count, int64_t took_us, int64_t now_us)
{
    int64_t mean_us, limit;

    p->sum_us += took_us * count;
    p->count += count;
    if (now_us - p->looked_us < PACE_LOOK_US)
        return;
    mean_us = p->sum_us / p->count;
    limit = p->limit;
    if (mean_us > PACE_TARGET_US)
        limit = mean_us < 2 * PACE_TARGET_US ? limit * PACE_TARGET_US / mean_us : limit / 2;
    else if (mean_us < PACE_TARGET_US / 2 && p->full)
        limit *= 2;
    p->limit = (int)(limit < p->least ? p->least : limit > p->most ? p->most : limit);
    p->full = false;
    p->looked_us = now_us;
    p->sum_us = p->count = 0;
}
