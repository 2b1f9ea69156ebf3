/*
 * audit - compares what was produced with what each consumer wrote down: the demo's own judge.
 *
 * It knows nothing of batons and asks nobody: a record that was acknowledged to the producer must have been written
 * down by a consumer, and by one alone. What is written down twice is sorted by who did it: by both colors (listed in
 * a receipt or not), or by a killed consumer and its successor of the same color, which Kafka itself promises to do
 * and no switch can prevent.
 */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#define AUDIT_CONSUMERS_MAX 16
#define AUDIT_OFFSETS_MAX (16 * 1024 * 1024) /* of one partition */

struct audit;
struct audit_result {
    int64_t produced;
    int64_t processed;                        /* lines written down */
    int64_t lost;                             /* produced, written down by nobody */
    int64_t repeated;                         /* done twice and not by a killed one and its successor: listed or not */
    int64_t unlisted;                         /* those of them that no receipt lists */
    int64_t repeated_by_kafka;                /* within a color, after a kill */
    int64_t strange;                          /* written down with another number than was produced there */
    char first_lost[80], first_unlisted[160]; /* "partition 3 offset 17", "" */
};

struct audit *audit_new(int partition_count);
void audit_free(struct audit *a);
/* False: out of memory or bounds; the audit cannot be trusted then. */
bool audit_produced(struct audit *a, int partition, int64_t offset, int64_t number);
bool audit_consumer(struct audit *a, int consumer, const char *name, bool green, bool killed);
bool audit_processed(struct audit *a, int consumer, int partition, int64_t offset, int64_t number);
/* A receipt says that [from, to) may have been done by both colors. */
bool audit_listed(struct audit *a, int partition, int64_t from, int64_t to);
/* Forgets what was written down, so that the ledgers can be read again. */
void audit_forget_processed(struct audit *a);
void audit_judge(const struct audit *a, struct audit_result *ret);

#endif
