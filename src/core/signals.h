/*
 * signals - how a member's work goes, for the judge and the metrics: failures by class, and three histograms of time.
 *
 * A member counts from the start of its process and reports the whole, so a report that is lost costs nothing and an
 * interval is the difference of two. What a controller adds up of many members are such differences: its sums only grow,
 * though members come and go.
 */
#ifndef CORE_SIGNALS_H
#define CORE_SIGNALS_H

#include "core/histogram.h"

#define FAILURE_CLASSES_MAX 8 /* the last is "other": what comes after seven */
#define FAILURE_CLASS_MAX 31
#define FAILURE_CLASS_OTHER "other"

struct failure_class {
    char name[FAILURE_CLASS_MAX + 1]; /* letters, digits, '_', '-', '.' */
    uint64_t count;
};

struct signals {
    struct failure_class failed[FAILURE_CLASSES_MAX]; /* records that failed, by what the program calls it */
    int failed_count;
    struct histogram processing; /* from delivery to done, of a sample of the records (docs/metrics.md) */
    struct histogram poll_gap;   /* how long no thread asked for records, between two polls */
    struct histogram metadata;   /* how long the brokers took to tell about the fleet's topics */
};

/* Counts failures of a class: letters that a class cannot have become '_', a long name loses its end, "" is "other". */
void signals_fail(struct signals *s, const char *class_name, uint64_t count);
uint64_t signals_failed(const struct signals *s); /* of all classes */

/*
 * Adds to `sum` what a process counted between two of its reports. `old` NULL: all of `now`. Where a number fell, `old`
 * is not an earlier state of it, and all of `now` counts.
 */
void signals_add_since(struct signals *sum, const struct signals *now, const struct signals *old);

#endif
