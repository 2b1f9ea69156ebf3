/*
 * record_common - what the records of both topics have in common: format, term and epoch, and how one ends.
 */
#ifndef WIRE_RECORD_COMMON_H
#define WIRE_RECORD_COMMON_H

#include "core/judge.h"
#include "wire/json_read.h"
#include "wire/json_write.h"
#include "wire/record.h"

#define RECORD_FORMAT 1

/* Opens the record: {"format":1. The text's present end is kept in *ret_start for record_end(). */
struct json_out record_begin(struct str *text, size_t *ret_start);
void record_put_version(struct json_out *o, struct version version);
/* Closes it and looks at memory and size. `what` names it in errors: "the report of ...". */
int record_end(struct json_out *o, size_t start, struct errmsg *m, const char *what);

/*
 * Reads the text, refuses a higher format; *ret_tree is the caller's to json_decref() on success. The reader that the
 * returned place points to is `reader`.
 */
int record_read(json_t **ret_tree, struct json_at *ret, struct json_reader *reader, const char *json, size_t len,
                struct errmsg *m);
struct version record_version(const struct json_at *record);
/* A time on the wall clock, or any other number of which only the sign is known. */
int64_t record_count(const struct json_at *at, const char *key);

/* The judge's verdict, wherever it stands. */
void verdict_put(struct json_out *o, const char *key, const struct judge_verdict *v);
void verdict_read(struct judge_verdict *ret, const struct json_at *at);
/* What it leaves to the judge of the next leader. */
void kept_put(struct json_out *o, const char *key, const struct judge_kept *k);
/* Of each stratum in which anything was done one list: its number, done, failed, then pairs of bucket and count. */
void works_put(struct json_out *o, const char *key, const struct work *works, int count);
void works_read(struct work *ret, int count, const struct json_at *at, const char *key); /* what is left out is 0 */
void work_put(struct json_out *o, int number, const struct work *w);
int work_read(struct work *ret, const struct json_at *list, int number_max); /* its number */
void kept_read(struct judge_kept *ret, const struct json_at *at);

/* Is it a legal fleet name, request id, incarnation: what may stand in a key. */
bool fleet_name_valid(const char *name);
bool id_valid(const char *id, size_t len_max);

#endif
