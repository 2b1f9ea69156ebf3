/*
 * post - see post.h.
 */
#include "run/post.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/client.h"

#define ANSWER_SHOWN_MAX 200 /* bytes of a refusal's body that are told */

enum post_state { POST_IDLE, POST_ASKED, POST_ANSWERED };

struct post {
    struct http_client *http;
    char *path; /* with its query */
    char server[300];
    int64_t timeout_ms;
    int wake_fd;
    bool busy; /* the main thread's: from post_send() to post_answer() */

    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* the rest */
    pthread_cond_t asked;
    enum post_state state;
    bool end;
    struct str body;
    const char *content_type;
    enum post_outcome outcome;
    char why[512];
};

/* The part of a refusal's body that a log can hold. */
static void first_words(char *ret, size_t ret_size, const char *body)
{
    size_t n = 0;

    for (; n + 1 < ret_size && n < ANSWER_SHOWN_MAX && body[n] && body[n] != '\n'; n++)
        ret[n] = body[n] >= ' ' && body[n] < 0x7f && body[n] != '"' ? body[n] : '?';
    ret[n] = '\0';
}

static enum post_outcome ask(struct post *p, char *why, size_t why_size)
{
    struct errmsg m = { 0 };
    struct http_reply reply;
    char words[ANSWER_SHOWN_MAX + 1];
    int r = http_client_request(p->http, &reply, "POST", p->path, p->content_type, p->body.buf, p->body.len, &m);

    if (r == ERR_OK) {
        int status = reply.status;

        first_words(words, sizeof(words), reply.body);
        http_reply_free(&reply);
        snprintf(why, why_size, "%s answered %d%s%s", p->server, status, *words ? ": " : "", words);
        return status >= 200 && status < 300 ? POST_DONE : POST_REFUSED;
    }
    if (r == ERR_TIMEOUT) {
        snprintf(why, why_size, "%s gave no answer within %lld ms", p->server, (long long)p->timeout_ms);
        return POST_LATE;
    }
    if (r == ERR_UNAVAILABLE && !http_client_sent(p->http)) {
        snprintf(why, why_size, "nothing can be reached at %s: is it running?", p->server);
        return POST_UNREACHABLE;
    }
    if (r == ERR_UNAVAILABLE) {
        snprintf(why, why_size, "%s broke the connection before it had answered", p->server);
        return POST_BROKEN;
    }
    snprintf(why, why_size, "%s", m.text);
    return POST_REFUSED;
}

static void *post_thread(void *opaque)
{
    struct post *p = opaque;
    const uint64_t one = 1;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        enum post_outcome outcome;
        char why[sizeof(p->why)];

        while (p->state != POST_ASKED && !p->end)
            pthread_cond_wait(&p->asked, &p->lock);
        if (p->end)
            break;
        pthread_mutex_unlock(&p->lock);
        outcome = ask(p, why, sizeof(why));
        pthread_mutex_lock(&p->lock);
        str_free(&p->body);
        p->outcome = outcome;
        snprintf(p->why, sizeof(p->why), "%s", why);
        p->state = POST_ANSWERED;
        if (write(p->wake_fd, &one, sizeof(one)) < 0) {
            /* full: it is readable anyway */
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int post_open(struct post **ret, const struct post_config *config, struct errmsg *m)
{
    const char *host = strstr(config->url, "://"), *path = host ? strpbrk(host + 3, "/?") : NULL;
    size_t server_len = path ? (size_t)(path - config->url) : strlen(config->url);
    struct post *p = calloc(1, sizeof(*p));
    struct http_client_config http = { 0 };
    int r;

    if (!p)
        return err_set(m, ERR_NOMEM, "out of memory");
    p->body = STR_WITH_MAX(SIZE_MAX / 4);
    p->timeout_ms = config->timeout_ms;
    p->wake_fd = config->wake_fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->asked, NULL);
    r = !host || server_len >= sizeof(p->server)
            ? err_set(m, ERR_INVALID, "--to %.100s: write it as http://HOST:PORT/PATH", config->url)
            : ERR_OK;
    if (r < 0)
        goto fail;
    snprintf(p->server, sizeof(p->server), "%.*s", (int)server_len, config->url);
    if (asprintf(&p->path, "%s%s", path && *path == '/' ? "" : "/", path ? path : "") < 0) {
        p->path = NULL;
        r = err_set(m, ERR_NOMEM, "out of memory");
        goto fail;
    }
    http.server = p->server;
    http.ca_file = config->ca_file;
    http.token_file = config->token_file;
    http.timeout_ms = config->timeout_ms;
    r = http_client_open(&p->http, &http, m);
    if (r < 0)
        goto fail;
    if (pthread_create(&p->thread, NULL, post_thread, p) != 0) {
        r = err_set(m, ERR_IO, "cannot start a thread");
        goto fail;
    }
    p->thread_runs = true;
    *ret = p;
    return ERR_OK;
fail:
    post_close(p);
    return r;
}

void post_send(struct post *p, struct str *body, const char *content_type)
{
    pthread_mutex_lock(&p->lock);
    p->body = *body;
    p->content_type = content_type;
    p->state = POST_ASKED;
    pthread_cond_signal(&p->asked);
    pthread_mutex_unlock(&p->lock);
    *body = STR_WITH_MAX(body->max);
    p->busy = true;
}

bool post_answer(struct post *p, enum post_outcome *ret, char *why, size_t why_size)
{
    bool answered;

    pthread_mutex_lock(&p->lock);
    answered = p->state == POST_ANSWERED;
    if (answered) {
        p->state = POST_IDLE;
        *ret = p->outcome;
        snprintf(why, why_size, "%s", p->why);
    }
    pthread_mutex_unlock(&p->lock);
    if (answered)
        p->busy = false;
    return answered;
}

bool post_busy(const struct post *p)
{
    return p->busy;
}

void post_close(struct post *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->end = true;
    pthread_cond_signal(&p->asked);
    pthread_mutex_unlock(&p->lock);
    if (p->thread_runs)
        pthread_join(p->thread, NULL);
    http_client_close(p->http);
    pthread_cond_destroy(&p->asked);
    pthread_mutex_destroy(&p->lock);
    str_free(&p->body);
    free(p->path);
    free(p);
}
