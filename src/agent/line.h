/*
 * line - requests to one process beside the agent, one at a time: the application (application.h), or one of those that are driven
 * from outside (stream.h).
 *
 * Plain HTTP by libevent's client, on the agent's loop, over a connection of its own (the process is on loopback, in the same pod or the
 * same network). A redirect is not followed, nothing is sent a second time, head and body of an answer have bounds, and so has the
 * wait for it. The token is read for each request, since tokens are renewed; a file that cannot be read by then shows as the process's
 * 401. Nothing of a body is ever put into a log, and the token nowhere.
 */
#ifndef AGENT_LINE_H
#define AGENT_LINE_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LINE_HOST_MAX 255
#define LINE_PATH_MAX 1023

struct line_address {
    char host[LINE_HOST_MAX + 1]; /* a name or an address, of IPv6 without brackets */
    int port;
    char path[LINE_PATH_MAX + 1]; /* "": none, or only "/" */
};
/* Of "http://HOST[:PORT][PATH]"; false for anything else: https, a user, a query, a fragment, what is too long. */
bool line_address_parse(struct line_address *ret, const char *url);
/* Can the token be read now? NULL, for none, is fine. Errors: token_read()'s. */
int line_token_check(const char *token_file, struct errmsg *m);

struct line_config {
    const char *token_file; /* NULL: none */
    int answer_ms_max;
    size_t body_bytes_max; /* of an answer */
};

struct line_answer {
    int status; /* of HTTP, 0: none came ... */
    bool
        late; /* ... within answer_ms_max; else nobody is there, or it hung up, or its answer is longer than the bounds */
    const char *body; /* during the call */
    size_t len;
};
typedef void line_answered(void *opaque, const struct line_answer *answer);

struct line;
/* `config` stays the caller's, for as long as the line. */
struct line *line_open(struct event_base *base, const struct line_address *address, const struct line_config *config,
                       line_answered *on_answer, void *opaque);
void line_close(struct line *l); /* what is out is not answered any more */
/* Is a request out? */
bool line_busy(const struct line *l);
/* Only when none is out. Copies. Answered once, perhaps before it returns; the next one may be sent from within the answer. */
void line_send(struct line *l, enum evhttp_cmd_type method, const char *path, const char *body, size_t len);

#endif
