/*
 * clock - the two clocks, read only by the shells; `core` is told the time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* monotonic */
int64_t clock_us(void);      /* monotonic */
int64_t clock_unix_ms(void); /* wall */
int64_t clock_unix_us(void); /* wall */

/* "2026-11-22T17:40:03.120Z"; "-" before 1970 and after 9999, as Kafka's "no timestamp", -1, is. */
const char *clock_format_unix_ms(char ret[32], int64_t unix_ms);

#endif
