/* work - see work.h. */
#include "core/work.h"

#define FIRST (4 * HISTOGRAM_STEPS) /* the histogram's bucket of 64 us */
#define FINER 2                     /* so many of its buckets are one of these */

int work_bucket(int bucket)
{
    const int coarse = bucket < FIRST ? 0 : (bucket - FIRST) / FINER;

    return coarse < WORK_BUCKETS ? coarse : WORK_BUCKETS - 1;
}

int64_t work_bound_us(int bucket)
{
    return histogram_bound_us(FIRST + FINER * bucket + FINER - 1);
}

uint64_t work_timed(const struct work *w)
{
    uint64_t sum = 0;

    for (int i = 0; i < WORK_BUCKETS; i++)
        sum += w->times[i];
    return sum;
}

void work_merge(struct work *sum, const struct work *more)
{
    sum->done += more->done;
    sum->failed += more->failed;
    for (int i = 0; i < WORK_BUCKETS; i++)
        sum->times[i] += more->times[i];
}

bool work_since(struct work *ret, const struct work *now, const struct work *old)
{
    struct work since = { .done = now->done - old->done, .failed = now->failed - old->failed };

    if (now->done < old->done || now->failed < old->failed)
        return false;
    for (int i = 0; i < WORK_BUCKETS; i++) {
        if (now->times[i] < old->times[i])
            return false;
        since.times[i] = now->times[i] - old->times[i];
    }
    *ret = since;
    return true;
}
