/*
 * work - what a member did of one partition: records, failures, and a coarse histogram of times.
 *
 * The judge needs it by partition, since partitions may differ by nature: one holds the big customers and takes three times
 * as long. Four buckets to a doubling, from 64 us to 67 s, are enough for that, and small enough for a report. A member counts
 * from when it got the partition; numbers only grow until it gives the partition up, and begin at 0 when it gets it again.
 */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/histogram.h"

#define WORK_BUCKETS 80
#define WORK_PARTS_MAX 512 /* a member of more partitions tells nothing by partition: its report would be too large */

struct work {
    uint32_t done, failed;        /* records; failed ones are done as well */
    uint32_t times[WORK_BUCKETS]; /* from delivery to done, of those that are measured (docs/metrics.md) */
};

struct part_work {
    uint16_t topic; /* index into the fleet's spec.topics */
    int32_t partition;
    struct work work;
};

int work_bucket(int bucket);       /* of a histogram's */
int64_t work_bound_us(int bucket); /* the first value that lies above the bucket */
uint64_t work_timed(const struct work *w);
void work_merge(struct work *sum, const struct work *more); /* numbers go round at 2^32, as differences do */
/* What came since `old`; false when it cannot be a later state of it, *ret untouched. */
bool work_since(struct work *ret, const struct work *now, const struct work *old);

#endif
