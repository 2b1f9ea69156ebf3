/*
 * stream - the processes of a Spring Cloud Stream application as it is: POST {actuator}/bindings/{binding}.
 *
 * Facts and traps are those of applications that were run (docs/spring.md). The endpoint is never read: a GET of it breaks the
 * application (Spring Cloud Stream #3268). PAUSED outlives a stop, so a start is STARTED and then RESUMED. 204 says that the word was
 * heard, no more: it is the answer for a binding that does not exist, too. What group a process consumes as is read from
 * {actuator}/health/binders, where it shows that, before it is called well.
 *
 * Words go over one line (line.h) a process, so that none overtakes the one before; looks go over another.
 */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include "agent/drive.h"

struct stream;

int stream_open(struct stream **ret, struct event_base *base, const struct drive_config *config,
                void (*changed)(void *opaque), void *opaque, struct errmsg *m);
void stream_close(struct stream *s);
void stream_turn(struct stream *s, const struct fleet *fleet, const char *group);
void stream_tell(struct stream *s, bool start);
bool stream_pending(const struct stream *s, int64_t now_ms);
uint64_t stream_losses(const struct stream *s);
const char *stream_trouble(const struct stream *s);
bool stream_knows(const struct stream *s, const char *host);
void stream_show(const struct stream *s, struct json_out *o);

/* What a status that is not 204 says of the endpoint; for tests, too. */
void stream_status_text(char *ret, size_t room, int status, const char *path);
/* What {actuator}/health/binders says of the group and topics: "" when nothing is wrong, or nothing is told there. */
void stream_health_text(char *ret, size_t room, const char *body, size_t len, const struct fleet *fleet,
                        const char *group);

#endif
