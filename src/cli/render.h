/*
 * render - the API's answers as text for people: pure, JSON and a look in, a page out.
 *
 * Used by every command and by the live views, so what a screen shows and what a file gets come from the same lines.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <jansson.h>
#include <stdint.h>

#include "cli/look.h"

/* GET /v1/fleets */
void render_fleets(struct str *ret, const struct look *look, const json_t *answer);
/* GET /v1/fleets/{f}; wide: a line for each partition. now_unix_ms: for what counts down. */
void render_status(struct str *ret, const struct look *look, const json_t *status, bool wide, int64_t now_unix_ms);
/* What is going on, in one sentence without a line end. */
bool sentence_is_verb(const json_t *status); /* "payments is paused", not "payments: ..." */
void render_sentence(struct str *ret, const struct look *look, const json_t *status, int64_t now_unix_ms);
/* GET /v1/fleets/{f}/switches; limit 0: all */
void render_history(struct str *ret, const struct look *look, const json_t *answer, int limit, int64_t now_unix_ms);
/* The text of receipt_encode(). */
void render_receipt(struct str *ret, const struct look *look, const json_t *receipt);
/* Its sums in two lines, for the end of a switch. */
void render_receipt_short(struct str *ret, const struct look *look, const json_t *receipt);
/* GET .../verify */
void render_verify(struct str *ret, const struct look *look, const json_t *answer);
/* An array of findings: what, why, mend. */
void render_findings(struct str *ret, const struct look *look, const json_t *findings);
/* {"error":{...}} or whatever came instead: "code: message", mend, findings. */
void render_error(struct str *ret, const struct look *look, int status, const json_t *answer);

/* An operation under way, for the live view: several lines. */
void render_progress(struct str *ret, const struct look *look, const char *fleet, const json_t *op,
                     int64_t now_unix_ms);
/* The same as one plain line for a file or pipe; equal lines mean that nothing changed. */
void render_progress_line(struct str *ret, const char *fleet, const json_t *op);
/* How it ended, in one sentence. */
void render_end(struct str *ret, const struct look *look, const char *fleet, const json_t *op);

/* "0-3,5,7-11" of an ascending list. */
void render_ranges(struct str *ret, const int32_t *numbers, int count);
/* "1,234,567" */
const char *render_number(char ret[32], int64_t number);
/* "3.4 ms", "1.2 s" of microseconds; "-" when negative */
const char *render_us(char ret[32], int64_t us);

/* Microseconds of a figure in milliseconds; -1: it is not there. */
int64_t receipt_us(const json_t *receipt, const char *path);
bool op_has_ended(const json_t *op);

#endif
