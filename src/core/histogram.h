/*
 * histogram - how long things took, in buckets that fit every process: counted, merged and subtracted without loss.
 *
 * The buckets are fixed: whole microseconds below 8, then eight to each doubling, so a bound is at most 12.5 % above the
 * value; what is longer than 19 hours counts as that. Two histograms therefore always add up, whoever made them. A member
 * counts from its start and reports the whole; who wants an interval subtracts (histogram_since).
 */
#ifndef CORE_HISTOGRAM_H
#define CORE_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_STEPS 8                              /* buckets to a doubling */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (1 + 33)) /* up to 2^36 us */

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t sum_us; /* of all values; for a mean, and for Prometheus' _sum */
};

int histogram_bucket(int64_t us);       /* below 0 counts as 0 */
int64_t histogram_bound_us(int bucket); /* the first value that lies above the bucket */

void histogram_add(struct histogram *h, int64_t us, uint64_t count);
void histogram_merge(struct histogram *h, const struct histogram *more); /* sums stop at the largest number */
/* What came since `old`; false when it cannot be a later state of it (a count fell: another process), *ret untouched. */
bool histogram_since(struct histogram *ret, const struct histogram *now, const struct histogram *old);

uint64_t histogram_count(const struct histogram *h);
uint64_t histogram_above(const struct histogram *h, int bucket); /* values in higher buckets */
/* The least bucket with at least `share` (0 .. 1) of all values in it or below; -1: there are none. */
int histogram_quantile(const struct histogram *h, double share);
/* Its bound: never below the true quantile, at most 12.5 % above. -1: there are no values. */
int64_t histogram_quantile_us(const struct histogram *h, double share);

#endif
