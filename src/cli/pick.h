/*
 * pick - reads what an answer holds at a dotted path, with a fallback for what is not there.
 *
 * Answers come from a controller that may be older or newer than this command: a missing member is an empty
 * column, never a crash.
 */
#ifndef CLI_PICK_H
#define CLI_PICK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

const json_t *pick(const json_t *json, const char *path); /* NULL: not there */
const char *pick_text(const json_t *json, const char *path, const char *otherwise);
/*
 * Whole part, within PICK_INT_MAX: no count, offset or time of ours is beyond what JSON carries exactly, so pages may
 * add and subtract without a thought.
 */
#define PICK_INT_MAX (INT64_C(1) << 53)
int64_t pick_int(const json_t *json, const char *path, int64_t otherwise);
int64_t pick_bounded(double number); /* the same of a number at hand */
bool pick_bool(const json_t *json, const char *path, bool otherwise);
/* Unix milliseconds, from a number or from "2026-11-22T17:40:03.120Z"; 0: not there. */
int64_t pick_time(const json_t *json, const char *path);
size_t pick_count(const json_t *json, const char *path); /* of an array */

#endif
