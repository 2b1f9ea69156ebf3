/*
 * runs - neighbouring partitions in one entry: "partitions": "0-11" and one column for each number.
 *
 * Documents and reports list thousands of partitions that differ in little. A run holds partitions of one topic that
 * follow each other and agree in all names; what may differ stands in columns: left out when nothing is known of any,
 * one number when it is the same for all, else a list with one item each, null where nothing is known.
 */
#ifndef WIRE_RUNS_H
#define WIRE_RUNS_H

#include "core/limits.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

#define RUN_MAX SHARD_BATONS /* partitions of one run, so that a column fits into a caller's array */

void run_put_partitions(struct json_out *o, int32_t first, int count);
/* Reads "partitions" of `run`, at most count_max of them. After a failure: *first 0, and 0. */
int run_partitions(const struct json_at *run, int32_t *ret_first, int count_max);

void column_put(struct json_out *o, const char *key, const int64_t *values, int count, int64_t none);
/* Fills ret[0..count-1]; after a failure with `none`. */
void column_read(const struct json_at *run, const char *key, int64_t *ret, int count, int64_t min, int64_t max,
                 int64_t none);

/* Which partitions of which topics have been read: finds one that stands there twice. */
struct partition_set {
    uint64_t *bits[TOPICS_MAX]; /* of the topics met so far */
};
enum partition_added { PARTITION_ADDED, PARTITION_KNOWN, PARTITION_NOMEM };
enum partition_added partition_set_add(struct partition_set *set, int topic, int32_t partition);
void partition_set_deinit(struct partition_set *set);

#endif
