/* histogram - see histogram.h. */
#include "core/histogram.h"

#include <string.h>

#define US_MAX ((INT64_C(1) << 36) - 1)

int histogram_bucket(int64_t us)
{
    const uint64_t v = us < 0 ? 0 : us > US_MAX ? (uint64_t)US_MAX : (uint64_t)us;
    int doublings;

    if (v < HISTOGRAM_STEPS)
        return (int)v;
    doublings = 60 - __builtin_clzll(v); /* of 8: 0 for 8 .. 15 */
    return HISTOGRAM_STEPS * doublings + (int)(v >> doublings);
}

int64_t histogram_bound_us(int bucket)
{
    const int doublings = bucket < HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;

    return (int64_t)(bucket - HISTOGRAM_STEPS * doublings + 1) << doublings;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void histogram_add(struct histogram *h, int64_t us, uint64_t count)
{
    const int bucket = histogram_bucket(us);
    const uint64_t v = us < 0 ? 0 : us > US_MAX ? (uint64_t)US_MAX : (uint64_t)us;

    h->counts[bucket] = add(h->counts[bucket], count);
    h->sum_us = add(h->sum_us, v != 0 && count > UINT64_MAX / v ? UINT64_MAX : v * count);
}

void histogram_merge(struct histogram *h, const struct histogram *more)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->counts[i] = add(h->counts[i], more->counts[i]);
    h->sum_us = add(h->sum_us, more->sum_us);
}

bool histogram_since(struct histogram *ret, const struct histogram *now, const struct histogram *old)
{
    if (now->sum_us < old->sum_us)
        return false;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (now->counts[i] < old->counts[i])
            return false;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        ret->counts[i] = now->counts[i] - old->counts[i];
    ret->sum_us = now->sum_us - old->sum_us;
    return true;
}

uint64_t histogram_above(const struct histogram *h, int bucket)
{
    uint64_t n = 0;

    for (int i = bucket + 1; i < HISTOGRAM_BUCKETS; i++)
        n = add(n, h->counts[i]);
    return n;
}

uint64_t histogram_count(const struct histogram *h)
{
    return histogram_above(h, -1);
}

int histogram_quantile(const struct histogram *h, double share)
{
    const uint64_t count = histogram_count(h);
    const double wanted = share < 0 ? 0 : share > 1 ? 1 : share;
    uint64_t rank = (uint64_t)(wanted * (double)count), seen = 0;

    if (count == 0)
        return -1;
    if ((double)rank < wanted * (double)count)
        rank++;
    if (rank > count)
        rank = count;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen = add(seen, h->counts[i]);
        if (seen >= rank && seen > 0)
            return i;
    }
    return HISTOGRAM_BUCKETS - 1;
}

int64_t histogram_quantile_us(const struct histogram *h, double share)
{
    const int bucket = histogram_quantile(h, share);

    return bucket < 0 ? -1 : histogram_bound_us(bucket);
}
