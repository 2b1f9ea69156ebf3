/*
 * application - requests to the application beside the agent: one at a time, each answered within a bound.
 *
 * line.h carries them; here is what they say. Whatever is no document of the contract is an error with a sentence.
 */
#ifndef AGENT_APPLICATION_H
#define AGENT_APPLICATION_H

#include "agent/lifecycle.h"

struct event_base;
struct application;

struct application_answer {
    int error; /* 0: `observed` is there; ERR_CONFLICT: a PUT was refused (409); else it cannot be used, and `why` says so */
    int status; /* of HTTP, 0: none came */
    char why[512];
    struct observed *observed; /* whoever is called frees it */
    int64_t asked_ms;          /* when the request was begun: what the answer tells is no older */
    uint64_t revision;         /* of the PUT that it answers, 0: a GET */
};
typedef void application_answered(void *opaque, struct application_answer *answer);

/* url: "http://127.0.0.1:8081", with a path where it is not LIFECYCLE_PATH. token_file: NULL for none. */
int application_open(struct application **ret, struct event_base *base, const char *url, const char *token_file,
                     application_answered *on_answer, void *opaque, struct errmsg *m);
void application_close(struct application *a);
bool application_busy(const struct application *a);
void application_get(struct application *a);
/* Copies. */
void application_put(struct application *a, uint64_t revision, const char *body, size_t len);

#endif
