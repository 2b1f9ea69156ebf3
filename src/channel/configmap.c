/*
 * configmap - the controller that leads keeps the fleet's records in a ConfigMap, and takes requests from one that the member
 * writes (kube/names.h, docs/configmap.md).
 *
 *     watch the fleet's ConfigMap      ---> each state of it is all the records there are
 *     write `request` into one's own, watch it ---> `answer`
 *
 * The API server is a notice board, as Redis is, and believed no more (PROTOCOL rule 3): an etcd that was put back from a copy,
 * or a writer that was deposed, shows an old state. So records are judged as those of the log, the position tells up to where they
 * are whole, and whether that is far enough is decided by the log's end, which the controller reads from the brokers for each
 * question and answers for the edition that it has just written. What went back makes a member wait, never go on.
 *
 * Three threads wait for the server: the relay's two, and one that watches for answers. Both watches begin with what is there, so
 * nothing is lost between a request and its answer, whatever breaks. The member's own ConfigMap goes with it: deleted
 * at the end, by the cluster when the pod goes (ownerReferences), or by the controller when nothing came for a while.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "channel/board_put.h"
#include "channel/petition.h"
#include "kube/board.h"
#include "kube/client.h"
#include "wire/record.h"

#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 2000

struct way {
    struct relay relay;                   /* first */
    char fleet_object[KUBE_NAME_MAX + 1]; /* names */
    char own_object[KUBE_NAME_MAX + 1];
    struct kube *boards, *answers, *requests; /* each its thread's own */
    pthread_t answer_thread;
    bool answer_runs;
    /* the stream thread's own */
    int generation;
    struct board_put put;
    struct errmsg why; /* what is wrong with what was read, "": nothing */
    /* the request thread's own */
    bool made; /* the member's ConfigMap */
    int64_t not_before_ms;
    struct petition petition;
    char answer_trouble[300]; /* what keeps answers from being heard, "": nothing; under the relay's lock */
};

static struct way *way_of(struct relay *r)
{
    return (struct way *)r;
}

/* --- the fleet's records ------------------------------------------------------------------------------------------ */

/* False: the stream is to end. */
static bool board_put(struct way *w, const struct board_head *head, struct board_place place)
{
    return board_put_records(&w->put, &w->relay, w->generation, head, place) &&
           petition_read(&w->petition, w->generation, head->edition, head->position);
}

static bool on_fleet(void *opaque, const char *name, const json_t *object, bool gone)
{
    struct way *w = opaque;
    const char *text = kube_data(object, KUBE_LOG);
    struct board_head head;
    struct board_place place;

    if (strcmp(name, w->fleet_object) != 0)
        return true;
    if (gone) {
        relay_trouble(&w->relay, ERR_UNAVAILABLE, "the fleet's ConfigMap was deleted: the controller writes it anew");
        return true;
    }
    if (!text || board_open(&head, &place, text, strlen(text), &w->why) < 0) {
        err_wrap(&w->why, ERR_CORRUPT, "ConfigMap '%s' cannot be read%s", name,
                 text ? "" : ": it has no 'log'; delete it, the controller writes it anew");
        relay_trouble(&w->relay, ERR_CORRUPT, w->why.text);
        return true; /* the next state of it may be good */
    }
    if (strcmp(head.fleet, w->relay.fleet) != 0) {
        relay_trouble(&w->relay, ERR_CORRUPT, "the fleet's ConfigMap holds another fleet's records");
        return true;
    }
    return board_put(w, &head, place);
}

static bool on_fleet_idle(void *opaque)
{
    struct way *w = opaque;

    return relay_wants(&w->relay, w->generation);
}

static int way_stream(struct relay *r, int generation, struct errmsg *m)
{
    struct way *w = way_of(r);
    char selector[KUBE_NAME_MAX + 40];
    const struct kube_watch watch = {
        .selector = selector, .on_object = on_fleet, .on_idle = on_fleet_idle, .opaque = w
    };

    snprintf(selector, sizeof(selector), "fieldSelector=metadata.name%%3D%s", w->fleet_object);
    w->generation = generation;
    w->put.edition[0] = '\0'; /* begins with the newest of each key */
    return kube_watch(w->boards, &watch, m);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static bool on_own(void *opaque, const char *name, const json_t *object, bool gone)
{
    struct way *w = opaque;
    const char *text = gone ? NULL : kube_data(object, KUBE_ANSWER);

    (void)name;
    if (text)
        petition_hear(&w->petition, text, strlen(text));
    return true;
}

static bool on_own_idle(void *opaque)
{
    struct way *w = opaque;

    if (w->answer_trouble[0]) { /* it goes: this is called when nothing came, too */
        pthread_mutex_lock(&w->relay.lock);
        w->answer_trouble[0] = '\0';
        pthread_mutex_unlock(&w->relay.lock);
    }
    return !relay_stopping(&w->relay);
}

static void *answers_run(void *opaque)
{
    struct way *w = opaque;
    char selector[KUBE_NAME_MAX + 40];
    const struct kube_watch watch = { .selector = selector, .on_object = on_own, .on_idle = on_own_idle, .opaque = w };
    int64_t retry_ms = RETRY_MS_MIN;

    pthread_setname_np(pthread_self(), "baton-answers");
    snprintf(selector, sizeof(selector), "fieldSelector=metadata.name%%3D%s", w->own_object);
    while (!relay_stopping(&w->relay)) {
        const int64_t began_ms = clock_ms();
        struct errmsg m = { 0 };

        if (kube_watch(w->answers, &watch, &m) == ERR_OK)
            continue;
        pthread_mutex_lock(&w->relay.lock);
        snprintf(w->answer_trouble, sizeof(w->answer_trouble), "%.290s", m.text);
        pthread_mutex_unlock(&w->relay.lock);
        if (clock_ms() - began_ms > RETRY_MS_MAX)
            retry_ms = RETRY_MS_MIN;
        for (const int64_t until_ms = clock_ms() + retry_ms; clock_ms() < until_ms && !relay_stopping(&w->relay);)
            relay_rest(&w->relay, until_ms - clock_ms() + 1); /* it wakes for whatever changes */
        retry_ms = retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : retry_ms * 2;
    }
    return NULL;
}

/* --- reports and questions ---------------------------------------------------------------------------------------- */

/* The pod takes its members' ConfigMaps with it, where they are in its own namespace: an owner in another one would be none. */
static void owner_add(const struct way *w, json_t *object)
{
    const char *name = getenv("POD_NAME"), *uid = getenv("POD_UID"), *space = getenv("POD_NAMESPACE");

    if (name && name[0] && uid && uid[0] && space && strcmp(space, kube_namespace(w->requests)) == 0)
        json_object_set_new(json_object_get(object, "metadata"), "ownerReferences",
                            json_pack("[{s:s, s:s, s:s, s:s}]", "apiVersion", "v1", "kind", "Pod", "name", name, "uid",
                                      uid));
}

static int own_make(struct way *w, struct kube_answer *answer, json_t *data, struct errmsg *m)
{
    json_t *object = kube_object(w->own_object, "member");
    int r;

    json_object_set(object, "data", data);
    owner_add(w, object);
    r = kube_put(w->requests, answer, w->own_object, object, m);
    json_decref(object);
    return r;
}

/* The request into the member's ConfigMap, which is made with the first one, and again when somebody deleted it. */
static int hand_in(struct way *w, const struct str *text, struct errmsg *m)
{
    json_t *patch = json_pack("{s:{s:s}}", "data", KUBE_REQUEST, text->buf);
    struct kube_answer answer = { 0 };
    int r;

    if (!patch)
        return err_set(m, ERR_INVALID, "a report that is no UTF-8 text");
    r = w->made ? kube_patch(w->requests, &answer, w->own_object, patch, m) : ERR_NOT_FOUND;
    if (r == ERR_NOT_FOUND) {
        kube_answer_free(&answer);
        r = own_make(w, &answer, json_object_get(patch, "data"), m);
        w->made = r == ERR_OK || r == ERR_CONFLICT; /* it is there: an answer was lost */
    }
    if (answer.retry_after_s > 0)
        w->not_before_ms = clock_ms() + 1000 * answer.retry_after_s;
    kube_answer_free(&answer);
    json_decref(patch);
    return r;
}

/* A server that is busy says when to come again: a request that would come earlier is not sent. */
static int patience(struct way *w, int64_t until_ms, struct errmsg *m)
{
    pthread_mutex_lock(&w->relay.lock);
    while (!w->relay.stopping && clock_ms() < w->not_before_ms && clock_ms() < until_ms)
        relay_wait(&w->relay, w->not_before_ms < until_ms ? w->not_before_ms : until_ms);
    pthread_mutex_unlock(&w->relay.lock);
    return clock_ms() < w->not_before_ms ? err_set(m, ERR_UNAVAILABLE, "the API server has asked to be left alone")
                                         : ERR_OK;
}

static int exchange(struct way *w, const struct str *text, int64_t until_ms, bool *ret_answered, struct errmsg *m)
{
    int r = patience(w, until_ms, m);

    while (r == ERR_OK && (r = hand_in(w, text, m)) == ERR_CONFLICT && clock_ms() < until_ms)
        r = ERR_OK; /* made meanwhile: now it is patched */
    if (r < 0)
        return r;
    *ret_answered = petition_wait(&w->petition, until_ms);
    pthread_mutex_lock(&w->relay.lock);
    if (!*ret_answered && w->answer_trouble[0])
        r = err_set(m, ERR_UNAVAILABLE, "%s", w->answer_trouble);
    pthread_mutex_unlock(&w->relay.lock);
    return r;
}

static int request(struct way *w, const char *what, const char *body, size_t len, int64_t *ret_end, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + RELAY_REQUEST_MS_MAX;
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX + FLEET_NAME_MAX + 60);
    bool answered = false;
    int r;

    str_addf(&text, "%" PRIu64 " %s %s\n", petition_begin(&w->petition), what, w->relay.fleet);
    str_add_bytes(&text, body, len);
    r = str_error(&text) ? err_set(m, str_error(&text), "request by ConfigMap")
                         : exchange(w, &text, until_ms, &answered, m);
    str_free(&text);
    log_debug("configmap_request", "what=%s answered=%d took_ms=%lld", what, answered,
              (long long)(clock_ms() - (until_ms - RELAY_REQUEST_MS_MAX)));
    if (r == ERR_TIMEOUT)
        r = ERR_UNAVAILABLE;
    if (r < 0)
        return r;
    if (!answered) {
        relay_leave(&w->relay);
        return err_set(
            m, ERR_UNAVAILABLE,
            "no controller has answered in ConfigMap '%s' of namespace '%s': does one run with --configmap, for "
            "this namespace?",
            w->own_object, kube_namespace(w->requests));
    }
    return petition_answer(&w->petition, ret_end, "by ConfigMap", m);
}

static int way_post(struct relay *r, const char *json, size_t len, struct errmsg *m)
{
    return request(way_of(r), "report", json, len, NULL, m);
}

static int way_end(struct relay *r, int64_t *ret, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + RELAY_REQUEST_MS_MAX;
    struct way *w = way_of(r);

    do {
        const int e = request(w, "end", "", 0, ret, m);

        if (e < 0 || petition_end_is_read(&w->petition, *ret))
            return e;
    } while (clock_ms() < until_ms && !relay_stopping(r));
    relay_leave(r);
    return err_set(m, ERR_UNAVAILABLE, "ConfigMap '%s' is not what the controller wrote", w->fleet_object);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static const struct relay_ops relay_ops = { .stream = way_stream, .post = way_post, .end = way_end };

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = (struct way *)c;

    relay_stop(&w->relay, flush_ms);
    if (w->answer_runs)
        pthread_join(w->answer_thread, NULL);
    if (w->made && w->relay.trouble_ms == 0) /* else it cannot be reached: the controller does it */
        kube_delete(w->requests, w->own_object, NULL);
    kube_close(w->boards);
    kube_close(w->answers);
    kube_close(w->requests);
    relay_deinit(&w->relay);
    petition_deinit(&w->petition);
    free(w);
}

static int names_make(struct way *w, const struct channel_config *config, struct errmsg *m)
{
    uint64_t random[2];

    if (!kube_prefix_is(config->prefix))
        return err_set(m, ERR_INVALID,
                       "the prefix '%s' cannot be part of a ConfigMap's name: small letters, digits, '-' and '.'",
                       config->prefix);
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set(m, ERR_IO, "no random bytes for a name");
    snprintf(w->own_object, sizeof(w->own_object), "%s" KUBE_MEMBER "%016" PRIx64 "%016" PRIx64, config->prefix,
             random[0], random[1]);
    snprintf(w->fleet_object, sizeof(w->fleet_object), "%s" KUBE_FLEET "%s", config->prefix, config->fleet);
    return ERR_OK;
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    const struct kube_config kube = { .server = config->servers,
                                      .token_file = config->token_file,
                                      .ca_file = config->ca_file };
    struct way *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    relay_init(&w->relay, &channel_configmap, &relay_ops, config);
    petition_init(&w->petition, &w->relay);
    r = names_make(w, config, m);
    if (r == ERR_OK)
        r = kube_open(&w->boards, &kube, m);
    if (r == ERR_OK)
        r = kube_open(&w->answers, &kube, m);
    if (r == ERR_OK)
        r = kube_open(&w->requests, &kube, m);
    if (r == ERR_OK)
        r = thread_start(&w->answer_thread, &w->answer_runs, answers_run, w, m);
    if (r < 0) {
        way_close(&w->relay.channel, 0);
        return r;
    }
    return relay_open(ret, &w->relay, config, m);
}

static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    return relay_reach(&channel_configmap, config, timeout_ms, "configmap",
                       "the fleet's records are not in its ConfigMap up to the log's end", m);
}

const struct channel_ops channel_configmap = {
    .reach = way_reach, .open = way_open, .close = way_close, RELAY_CHANNEL
};
