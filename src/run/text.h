/*
 * text - bytes of a record as JSON text, fast: this runs for every byte that goes through `baton run`.
 *
 * jansson would build a tree of each record, checked and copied twice, only to print it; here a value that needs no
 * escape is one copy. What is read as JSON from outside (acknowledgements) goes through jansson.
 */
#ifndef RUN_TEXT_H
#define RUN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Adds "text" between quotes, with escapes. False: it is not UTF-8, and nothing was added. */
bool text_add_string(struct str *s, const void *bytes, size_t len);
void text_add_base64(struct str *s, const void *bytes, size_t len); /* between quotes */
#define NUMBER_MAX 24
size_t number_text(char ret[NUMBER_MAX], int64_t number); /* its length; not terminated */
/* Back to an earlier length; nothing after an error. */
void text_cut(struct str *s, size_t len);
/* Exactly one JSON value, at most 200 levels deep, in UTF-8. */
bool text_is_json(const void *bytes, size_t len);
/* Such a value as part of one line: its line ends, which can only stand between tokens, become blanks. */
void text_add_json(struct str *s, const void *bytes, size_t len);

#endif
