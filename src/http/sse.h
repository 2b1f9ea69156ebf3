/*
 * sse - reads text/event-stream as it comes, in pieces of any size: id, event, data (many lines), comments.
 *
 * The grammar is that of the HTML standard, section "Server-sent events", without `retry`. A line or an event over the
 * bound ends the reading: what follows could not be told from what was cut.
 */
#ifndef HTTP_SSE_H
#define HTTP_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* id is "" for events without one. False: no more. */
typedef bool http_on_event(void *opaque, const char *id, const char *type, const char *data);

struct sse {
    http_on_event *on_event;
    void *opaque;
    struct str line, data;
    char id[64], type[64];
    bool id_seen;
    bool stopped;     /* on_event said so */
    char last_id[64]; /* of the last event that had one: what Last-Event-ID asks from */
};

/* bytes_max: of a line, and of the data of an event. */
void sse_init(struct sse *s, size_t bytes_max, http_on_event *on_event, void *opaque);
void sse_deinit(struct sse *s);
/* False: over the bound, or out of memory. */
bool sse_feed(struct sse *s, const char *bytes, size_t len);

#endif
