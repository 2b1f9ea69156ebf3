/*
 * post - hands lines to an HTTP endpoint: one thread and one connection each, one request at a time.
 *
 * The main thread gives a body and goes on; the answer rings its eventfd. A 2xx is "done". libcurl blocks, so each has
 * a thread; `--concurrency` bounds how many.
 */
#ifndef RUN_POST_H
#define RUN_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct post;

enum post_outcome {
    POST_DONE,       /* 2xx */
    POST_REFUSED,    /* any other answer: held against the record */
    POST_LATE,       /* no answer in time: the same */
    POST_BROKEN,     /* the request was sent and the connection broke: it may have been processed */
    POST_UNREACHABLE /* nobody there: nothing was sent */
};

struct post_config {
    const char *url; /* http://127.0.0.1:8080/orders */
    const char *ca_file, *token_file;
    int64_t timeout_ms;
    int wake_fd; /* an eventfd, rung with each answer */
};

int post_open(struct post **ret, const struct post_config *config, struct errmsg *m);
/* body is taken over (it is empty afterwards). One at a time. */
void post_send(struct post *p, struct str *body, const char *content_type);
/* True: the answer to the last request, once. `why` has the sentence unless it is POST_DONE. */
bool post_answer(struct post *p, enum post_outcome *ret, char *why, size_t why_size);
bool post_busy(const struct post *p);
/* Waits for a request that is under way: not to be called before post_busy() is false, unless one can wait. */
void post_close(struct post *p);

#endif
