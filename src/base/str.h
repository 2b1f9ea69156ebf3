/*
 * str - text that grows up to the bound it was born with.
 *
 * `buf` is never NULL and always terminated. The first failure (out of memory,
 * bound reached) sticks and later calls do nothing, so a page of str_addf()
 * needs one str_error() at its end.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *buf;
    size_t len;  /* without the terminator */
    size_t room; /* bytes allocated; 0 while buf is the shared empty text */
    size_t max;  /* len never exceeds this */
    int error;   /* 0, ERR_NOMEM or ERR_TOO_LARGE */
};

extern char str_empty[1];

#define STR_WITH_MAX(bytes_max) ((struct str){ .buf = str_empty, .max = (bytes_max) })

void str_free(struct str *s);  /* back to empty, same bound; the error is forgotten */
void str_clear(struct str *s); /* the same, but keeps the memory */
int str_error(const struct str *s);
/* What does not fit as a whole is not added at all. */
void str_add(struct str *s, const char *text);
void str_add_bytes(struct str *s, const void *bytes, size_t len);
void str_add_char(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap);
/* The text, now the caller's to free(); NULL after an error. The str is empty again. */
char *str_take(struct str *s);

/* Copies into a fixed array; false (and an empty ret) when `text` does not fit. */
bool text_copy(char *ret, size_t ret_size, const char *text);
bool text_equal(const char *a, const char *b);

/*
 * Bounded parsers of human figures. Each returns 0 or ERR_INVALID with a sentence that
 * names the text and shows a right one.
 *
 * duration: whole number and unit ms|s|m|h|d, "10s", also summed, largest first: "1m30s"; bare numbers refused
 *           ("0" too: write "0s").
 * percent:  "10%", 1 to 100.
 * share:    "0.5%", up to four decimals; in millionths.
 * number:   decimal, whole text.
 */
struct errmsg;
int parse_duration_ms(int64_t *ret, const char *text, int64_t min_ms, int64_t max_ms, struct errmsg *m);
int parse_percent(int *ret, const char *text, struct errmsg *m);
int parse_share_ppm(int *ret, const char *text, int min_ppm, int max_ppm, struct errmsg *m);
int parse_int64(int64_t *ret, const char *text, int64_t min, int64_t max, struct errmsg *m);

/* "10s", "1m30s", "250ms": what parse_duration_ms reads back, and "-1s" for what lies in the past. */
const char *format_duration(char ret[32], int64_t ms);
const char *format_share(char ret[32], int ppm);

/*
 * The candidate nearest to `word` by edit distance, or NULL when none is near enough
 * (more than a third of its letters differ): for "did you mean".
 */
const char *suggest(const char *word, const char *const *candidates, size_t count);

#endif
