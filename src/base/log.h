/*
 * log - one line an event: a name, then key=value, then what happens next.
 *
 *     log_info("leader_claimed", "term=%lld", term);
 *     log_warn("append_failed", "error=\"%s\", retrying in 1 s", m.text);
 *
 * Lines go to the sink (stderr by default), which may be called from any thread. Values
 * that may hold blanks or quotes are written by log_quote(). A program chooses
 * the format ("text" or "json") and the least level once, before its threads start.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

typedef void log_sink(void *opaque, enum log_level level, const char *event, const char *text);

void log_set_sink(log_sink *sink, void *opaque); /* NULL: stderr again */
void log_set_level(enum log_level least);
void log_set_json(bool json);
void log_event(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)

/* `text` between quotes with escapes, cut with "..." to fit; returns ret. */
const char *log_quote(char *ret, unsigned long ret_size, const char *text);

#endif
