/*
 * posted - reports that were handed to this controller (feed.h), decoded, until their records come back from the topic.
 *
 * A report is decoded where it is handed in, for a wrong one is refused there; and it is taken in where its record is read, for
 * the log's order counts (PROTOCOL rule 13). Mostly that record is the text that was decoded a moment before: so the report
 * waits here beside its text, and a record of the same bytes, of a fleet with the same topics, is it. Whatever else comes is
 * decoded: what is kept here saves time, and decides nothing.
 *
 * A fleet's topics are only ever appended to, so their number tells them apart, until the fleet goes: then all is forgotten.
 * There is one place for a hash of the incarnation: who comes later to it takes it.
 */
#ifndef CONTROLLER_POSTED_H
#define CONTROLLER_POSTED_H

#include <stddef.h>

#include "core/report.h"

struct posted;
struct posted *posted_new(void);
void posted_free(struct posted *p);
void posted_put(struct posted *p, struct report *report_take, int topic_count, char *text_take, size_t len);
/* The caller's from now on. NULL: it is to be decoded. */
struct report *posted_get(struct posted *p, const char *incarnation, int topic_count, const char *text, size_t len);
void posted_forget(struct posted *p);

#endif
