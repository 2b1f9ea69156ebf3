/* application - see application.h. */
#include "agent/application.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/line.h"
#include "base/check.h"
#include "base/clock.h"

#define ANSWER_MS_MAX 2000 /* the contract says a second */

struct application {
    struct line_config config;
    struct line *line;
    char path[LINE_PATH_MAX + 1];
    application_answered *on_answer;
    void *opaque;
    int64_t asked_ms;
    uint64_t revision;
};

static void give(struct application *a, int status, int error, const char *why, struct observed *observed)
{
    struct application_answer answer = {
        .error = error, .status = status, .observed = observed, .asked_ms = a->asked_ms, .revision = a->revision
    };

    text_copy(answer.why, sizeof(answer.why), why);
    a->on_answer(a->opaque, &answer);
}

static void give_status(struct application *a, int status)
{
    char why[200];

    if (status == 401 || status == 403)
        snprintf(why, sizeof(why), "it answered %d: give the agent its token (--application-token-file)", status);
    else if (status >= 300 && status < 400)
        snprintf(why, sizeof(why), "it answered %d, a redirect: give the address of the process itself", status);
    else if (status == 404)
        snprintf(why, sizeof(why), "it answered 404: it does not serve %.100s", a->path);
    else
        snprintf(why, sizeof(why), "it answered %d", status);
    give(a, status, status == 409 && a->revision ? ERR_CONFLICT : ERR_CORRUPT, why, NULL);
}

static void give_document(struct application *a, const struct line_answer *answer)
{
    struct observed *observed = NULL;
    struct errmsg m = { 0 }, why = { 0 };
    const int r = observed_decode(&observed, answer->body, answer->len, &m);

    if (r < 0)
        err_set(&why, r, "its answer is no lifecycle document: %.300s", m.text);
    give(a, answer->status, r, why.text, observed);
}

static void on_answer(void *opaque, const struct line_answer *answer)
{
    struct application *a = opaque;

    if (answer->late)
        give(a, 0, ERR_TIMEOUT, "it did not answer within 2 s", NULL);
    else if (answer->status == 0)
        give(a, 0, ERR_UNAVAILABLE, "nothing answers there: is it running?", NULL);
    else if (answer->status != 200)
        give_status(a, answer->status);
    else
        give_document(a, answer);
}

bool application_busy(const struct application *a)
{
    return line_busy(a->line);
}

void application_get(struct application *a)
{
    a->asked_ms = clock_ms();
    a->revision = 0;
    line_send(a->line, EVHTTP_REQ_GET, a->path, NULL, 0);
}

void application_put(struct application *a, uint64_t revision, const char *body, size_t len)
{
    a->asked_ms = clock_ms();
    a->revision = revision;
    line_send(a->line, EVHTTP_REQ_PUT, a->path, body, len);
}

int application_open(struct application **ret, struct event_base *base, const char *url, const char *token_file,
                     application_answered *on_answered, void *opaque, struct errmsg *m)
{
    struct line_address address;
    struct application *a;
    int r;

    if (!line_address_parse(&address, url))
        return err_set(m, ERR_INVALID, "'%.200s' is no address of an application: write it as http://127.0.0.1:8081",
                       url);
    r = line_token_check(token_file, m);
    if (r < 0)
        return r;
    a = must(calloc(1, sizeof(*a)));
    a->config = (struct line_config){ .token_file = token_file,
                                      .answer_ms_max = ANSWER_MS_MAX,
                                      .body_bytes_max = LIFECYCLE_BYTES_MAX };
    text_copy(a->path, sizeof(a->path), address.path[0] ? address.path : LIFECYCLE_PATH);
    a->on_answer = on_answered;
    a->opaque = opaque;
    a->line = line_open(base, &address, &a->config, on_answer, a);
    *ret = a;
    return ERR_OK;
}

void application_close(struct application *a)
{
    if (!a)
        return;
    line_close(a->line);
    free(a);
}
