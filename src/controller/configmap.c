/* configmap - see configmap.h. */
#include "controller/configmap.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "controller/asks.h"
#include "http/tls.h"
#include "kube/board.h"

#define LOOK_EVERY_MS 2000
#define RETRY_MS_MIN 300
#define RETRY_MS_MAX 10000
#define LEFT_MS 1000 /* a request that stands so long is nobody's */
#define ANSWERS_MAX 20000
#define GUESTS_MAX 20000
#define GUEST_SILENT_MS 600000 /* it says something every ten seconds: its process is no more */
#define STAMP_MAX 64
#define OFFSET_LONG INT64_C(1000000000000) /* a young topic's grow to as many digits */
#define BOARD_LINE_BYTES 150               /* about so much of a ConfigMap is a record's line and its own head */

enum job_kind { JOB_LOOK, JOB_WRITE, JOB_ANSWER, JOB_DELETE };

/* Something for a writer. */
struct job {
    struct job *next;
    enum job_kind kind;
    char name[KUBE_NAME_MAX + 1];
    json_t *object; /* to be written, or the patch */
    /* of a fleet's: what its state is when it was written */
    uint64_t number;
    char fleet[FLEET_NAME_MAX + 1], edition[BOARD_EDITION_LEN + 1];
    int64_t position;
    /* what came of it */
    int error;
    int retry_after_s;
    char version[STAMP_MAX]; /* of what stands there now; "": nothing */
    char their_edition[STAMP_MAX];
    int64_t their_position; /* -1: it does not say */
};

/* A writer's thread and what it has to do. Fleets have one of their own: no number of answers holds up a document. */
enum lane_name { LANE_FLEETS, LANE_ANSWERS, LANE_COUNT };
struct lane {
    struct configmaps *owner;
    pthread_t thread;
    bool runs;
    struct kube *kube;
    /* under the lock */
    struct job *jobs, **jobs_end;
    int count;
    char trouble[400]; /* "": none */
};

/* What is known of a fleet's ConfigMap. */
struct board {
    struct board *next;
    char fleet[FLEET_NAME_MAX + 1];
    struct notice notice;
    bool known;              /* what stands there: the version below */
    char version[STAMP_MAX]; /* "": there is none */
    int64_t their_position;
    uint64_t job;    /* that is out, 0: none */
    int64_t next_ms; /* of the next look */
    int64_t retry_ms, not_before_ms;
    int64_t unfit_at; /* the state that did not fit, as feed->needed names it; -1: none */
    size_t unfit_bytes;
};

/* A member's ConfigMap. */
struct guest {
    struct guest *next;
    char name[KUBE_NAME_MAX + 1];
    char *request;         /* the newest; NULL: taken, or answered */
    int64_t since_ms;      /* when it came */
    int64_t heard_ms;      /* the last word of it */
    uint64_t number_taken; /* of the newest that was taken */
};

struct configmaps {
    struct controller *c;
    char prefix[KUBE_NAME_MAX];
    struct board *boards;
    struct asks asks;
    uint64_t job_last;
    bool led, trouble_said;
    int64_t swept_ms;
    pthread_t watcher;
    bool watcher_runs;
    struct kube *watch;
    struct lane lanes[LANE_COUNT];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    struct job *done; /* fleets' alone */
    struct guest *guests;
    int guest_count;
    char watch_trouble[400];
};

/* --- writers ------------------------------------------------------------------------------------------------------ */

static void job_free(struct job *j)
{
    json_decref(j->object);
    free(j);
}

static struct job *job_new(enum job_kind kind, const char *name)
{
    struct job *j = must(calloc(1, sizeof(*j)));

    j->kind = kind;
    text_copy(j->name, sizeof(j->name), name);
    return j;
}

static void job_put(struct configmaps *k, enum lane_name to, struct job *j)
{
    struct lane *lane = &k->lanes[to];

    pthread_mutex_lock(&k->lock);
    if (to == LANE_ANSWERS && lane->count >= ANSWERS_MAX) {
        pthread_mutex_unlock(&k->lock);
        job_free(j); /* its member asks again */
        return;
    }
    lane->count++;
    *lane->jobs_end = j;
    lane->jobs_end = &j->next;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* What stands there, of a fleet's: the answer to a look or to a write. */
static void state_take(struct job *j, const json_t *object)
{
    const char *edition = kube_annotation(object, KUBE_EDITION), *position = kube_annotation(object, KUBE_POSITION);

    text_copy(j->version, sizeof(j->version), kube_version(object));
    text_copy(j->their_edition, sizeof(j->their_edition), edition ? edition : "");
    j->their_position = position ? strtoll(position, NULL, 10) : -1;
}

static int job_do(struct lane *lane, struct job *j, struct errmsg *m)
{
    struct kube_answer answer = { 0 };
    int r = ERR_OK;

    switch (j->kind) {
    case JOB_LOOK:
        r = kube_get(lane->kube, &answer, j->name, m);
        break;
    case JOB_WRITE:
        r = kube_put(lane->kube, &answer, j->name, j->object, m);
        break;
    case JOB_ANSWER:
        r = kube_patch(lane->kube, &answer, j->name, j->object, m);
        break;
    case JOB_DELETE:
        r = kube_delete(lane->kube, j->name, m);
        break;
    }
    j->retry_after_s = answer.retry_after_s;
    j->their_position = -1;
    if (r == ERR_OK && answer.object)
        state_take(j, answer.object);
    kube_answer_free(&answer);
    return r;
}

/* A member that went without waiting for its answer, somebody who wrote in between: nothing is wrong with the server. */
static bool expected(const struct job *j)
{
    return j->error == ERR_OK || j->error == ERR_NOT_FOUND || j->error == ERR_CONFLICT;
}

static void *lane_run(void *opaque)
{
    struct lane *lane = opaque;
    struct configmaps *k = lane->owner;

    pthread_setname_np(pthread_self(), "baton-kube-w");
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        struct job *j = lane->jobs;
        struct errmsg m = { 0 };

        if (!j) {
            pthread_cond_wait(&k->changed, &k->lock);
            continue;
        }
        lane->jobs = j->next;
        if (!lane->jobs)
            lane->jobs_end = &lane->jobs;
        lane->count--;
        pthread_mutex_unlock(&k->lock);
        j->error = job_do(lane, j, &m);
        pthread_mutex_lock(&k->lock);
        snprintf(lane->trouble, sizeof(lane->trouble), "%.390s", expected(j) ? "" : m.text);
        if (j->kind == JOB_ANSWER || j->kind == JOB_DELETE) {
            job_free(j);
            continue;
        }
        j->next = k->done;
        k->done = j;
        kafka_eventfd_ring(k->c->wake_fd);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* --- the watcher -------------------------------------------------------------------------------------------------- */

/* Under the lock. NULL: there are too many. */
static struct guest *guest_find(struct configmaps *k, const char *name)
{
    struct guest *m = k->guests;

    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    if (m || k->guest_count == GUESTS_MAX)
        return m;
    m = must(calloc(1, sizeof(*m)));
    text_copy(m->name, sizeof(m->name), name);
    m->next = k->guests;
    k->guests = m;
    k->guest_count++;
    return m;
}

static void guest_free(struct guest *m)
{
    free(m->request);
    free(m);
}

/* Under the lock. */
static void guest_forget(struct configmaps *k, const char *name)
{
    for (struct guest **at = &k->guests; *at; at = &(*at)->next) {
        struct guest *m = *at;

        if (strcmp(m->name, name) != 0)
            continue;
        *at = m->next;
        k->guest_count--;
        guest_free(m);
        break;
    }
}

static void request_note(struct configmaps *k, const char *name, const char *request, const char *answer)
{
    const uint64_t number = strtoull(request, NULL, 10);
    struct guest *m = guest_find(k, name);

    if (!m)
        return;
    m->heard_ms = clock_ms();
    free(m->request);
    m->request = NULL;
    if ((answer && strtoull(answer, NULL, 10) == number) || number == m->number_taken)
        return;
    m->request = must(strdup(request));
    m->since_ms = m->heard_ms;
}

static bool on_member(void *opaque, const char *name, const json_t *object, bool gone)
{
    struct configmaps *k = opaque;
    const char *request = kube_data(object, KUBE_REQUEST);
    const size_t prefix = strlen(k->prefix);

    if (strncmp(name, k->prefix, prefix) != 0 || strncmp(name + prefix, KUBE_MEMBER, sizeof(KUBE_MEMBER) - 1) != 0)
        return true; /* another Baton's in the same namespace */
    pthread_mutex_lock(&k->lock);
    if (gone)
        guest_forget(k, name);
    else if (request)
        request_note(k, name, request, kube_data(object, KUBE_ANSWER));
    pthread_mutex_unlock(&k->lock);
    if (!gone)
        kafka_eventfd_ring(k->c->wake_fd);
    return true;
}

static bool on_watch_idle(void *opaque)
{
    struct configmaps *k = opaque;
    bool stopping;

    pthread_mutex_lock(&k->lock);
    stopping = k->stopping;
    pthread_mutex_unlock(&k->lock);
    return !stopping;
}

static void *watcher_run(void *opaque)
{
    struct configmaps *k = opaque;
    const struct kube_watch watch = { .selector = "labelSelector=baton.dev%2Fkind%3Dmember",
                                      .on_object = on_member,
                                      .on_idle = on_watch_idle,
                                      .opaque = k };
    int64_t retry_ms = RETRY_MS_MIN;

    pthread_setname_np(pthread_self(), "baton-kube-r");
    while (on_watch_idle(k)) {
        const int64_t began_ms = clock_ms();
        struct errmsg m = { 0 };
        const int r = kube_watch(k->watch, &watch, &m);
        int64_t until_ms;

        if (clock_ms() - began_ms > RETRY_MS_MAX)
            retry_ms = RETRY_MS_MIN; /* it had worked */
        until_ms = clock_ms() + retry_ms;
        retry_ms = retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : retry_ms * 2;
        pthread_mutex_lock(&k->lock);
        snprintf(k->watch_trouble, sizeof(k->watch_trouble), "%.390s", r < 0 ? m.text : "");
        kafka_eventfd_ring(k->c->wake_fd);
        while (r < 0 && !k->stopping && clock_ms() < until_ms) {
            const struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

            pthread_cond_timedwait(&k->changed, &k->lock, &at);
        }
        if (!k->stopping)
            k->watch_trouble[0] = '\0';
        pthread_mutex_unlock(&k->lock);
    }
    return NULL;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void answer_put(void *opaque, const char *to, const char *text, size_t len)
{
    struct configmaps *k = opaque;
    struct job *j = job_new(JOB_ANSWER, to);

    j->object = json_pack("{s:{s:s%}}", "data", KUBE_ANSWER, text, len);
    if (j->object)
        job_put(k, LANE_ANSWERS, j);
    else
        job_free(j);
}

static struct board *board_find(struct configmaps *k, const char *fleet)
{
    struct board *b = k->boards;

    while (b && strcmp(b->fleet, fleet) != 0)
        b = b->next;
    return b;
}

static struct notice *notice_of(void *opaque, const char *fleet)
{
    struct board *b = board_find(opaque, fleet);

    return b ? &b->notice : NULL;
}

/* Frees the text, when it is done with. */
static void request_take(struct configmaps *k, const char *object, char *text)
{
    uint64_t number;
    int at = 0;

    if (sscanf(text, "%" SCNu64 " %n", &number, &at) == 1)
        asks_take(&k->asks, ask_new(object, number, text, strlen(text), (size_t)at));
    else
        free(text);
}

struct taken {
    struct taken *next;
    char name[KUBE_NAME_MAX + 1];
    char *request;
};

/* The leader takes a request at once, another one what is left. */
static struct taken *requests_due(struct configmaps *k, int64_t now_ms)
{
    struct taken *list = NULL;

    pthread_mutex_lock(&k->lock);
    for (struct guest *m = k->guests; m; m = m->next) {
        struct taken *t;

        if (!m->request || (!k->led && now_ms - m->since_ms < LEFT_MS))
            continue;
        t = must(calloc(1, sizeof(*t)));
        text_copy(t->name, sizeof(t->name), m->name);
        t->request = m->request;
        m->request = NULL;
        m->number_taken = strtoull(t->request, NULL, 10);
        t->next = list;
        list = t;
    }
    pthread_mutex_unlock(&k->lock);
    return list;
}

static void requests_turn(struct configmaps *k, int64_t now_ms)
{
    struct taken *list = k->c->replayed ? requests_due(k, now_ms) : NULL;

    while (list) {
        struct taken *t = list;

        list = t->next;
        request_take(k, t->name, t->request);
        free(t);
    }
}

/* What processes left that ended without a word. One that only slept makes its ConfigMap anew. */
static void silent_turn(struct configmaps *k, int64_t now_ms)
{
    if (!k->led || now_ms - k->swept_ms < GUEST_SILENT_MS / 10)
        return;
    k->swept_ms = now_ms;
    pthread_mutex_lock(&k->lock);
    for (struct guest **at = &k->guests; *at;) {
        struct guest *m = *at;
        struct job *j;

        if (now_ms - m->heard_ms < GUEST_SILENT_MS) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        k->guest_count--;
        j = job_new(JOB_DELETE, m->name);
        guest_free(m);
        pthread_mutex_unlock(&k->lock);
        job_put(k, LANE_ANSWERS, j);
        pthread_mutex_lock(&k->lock);
        at = &k->guests; /* the list may be another one by now */
    }
    pthread_mutex_unlock(&k->lock);
}

/* --- fleets ------------------------------------------------------------------------------------------------------- */

static struct job *board_job(struct configmaps *k, struct board *b, enum job_kind kind)
{
    char name[KUBE_NAME_MAX + 1];
    struct job *j;

    snprintf(name, sizeof(name), "%.100s" KUBE_FLEET "%s", k->prefix, b->fleet);
    j = job_new(kind, name);
    text_copy(j->fleet, sizeof(j->fleet), b->fleet);
    j->number = b->job = ++k->job_last;
    return j;
}

static void board_text(struct str *ret, const struct board_head *head, const struct feed *feed)
{
    struct feed_line *lines = must(calloc(FEED_LINES_MAX, sizeof(*lines)));
    const int count = feed_lines(lines, feed);

    board_begin(ret, head);
    for (int i = 0; i < count; i++)
        board_add(ret, lines[i].text->offset, lines[i].key, lines[i].text->text, lines[i].text->len);
    board_end(ret);
    free(lines);
}

static void unfit(struct board *b, const struct feed *feed, size_t bytes)
{
    if (b->unfit_at < 0)
        log_error(
            "configmap_too_large",
            "fleet=%s bytes=%zu most=%d, not written: its members with baton.channel=configmap wait; give it fewer "
            "partitions, or another channel",
            b->fleet, bytes, BOARD_BYTES_MAX);
    b->unfit_at = feed->needed;
    b->unfit_bytes = bytes;
}

/* As it is to be, as a whole; under the version that is known. */
static void board_write(struct configmaps *k, struct board *b, const struct feed *feed)
{
    struct board_head head = { .term = k->c->mirror.terms.highest, .position = k->c->mirror.position };
    struct str text = STR_WITH_MAX((size_t)FEED_LINES_MAX * RECORD_BYTES_MAX);
    char term[24], position[24];
    json_t *metadata;
    struct job *j;

    text_copy(head.fleet, sizeof(head.fleet), b->fleet);
    if (b->notice.whole)
        text_copy(head.edition, sizeof(head.edition), b->notice.edition);
    else
        random_hex(head.edition, BOARD_EDITION_LEN);
    board_text(&text, &head, feed);
    if (str_error(&text) || text.len > BOARD_BYTES_MAX) {
        unfit(b, feed, text.len);
        str_free(&text);
        return;
    }
    b->unfit_at = -1;
    j = board_job(k, b, JOB_WRITE);
    text_copy(j->edition, sizeof(j->edition), head.edition);
    j->position = head.position;
    snprintf(term, sizeof(term), "%" PRId64, head.term);
    snprintf(position, sizeof(position), "%" PRId64, head.position);
    j->object = must(kube_object(j->name, "fleet"));
    metadata = json_object_get(j->object, "metadata");
    json_object_set_new(metadata, "annotations",
                        json_pack("{s:s, s:s, s:s}", KUBE_EDITION, head.edition, KUBE_POSITION, position, KUBE_TERM,
                                  term));
    if (b->version[0])
        json_object_set_new(metadata, "resourceVersion", json_string(b->version));
    json_object_set_new(j->object, "data", json_pack("{s:s%}", KUBE_LOG, text.buf, text.len));
    str_free(&text);
    job_put(k, LANE_FLEETS, j);
}

static void board_turn(struct configmaps *k, struct board *b, struct feed *feed, int64_t now_ms)
{
    const bool writes = (k->led || b->notice.asked) && b->unfit_at != feed->needed;

    if (b->job || k->c->mirror.position <= 0 || now_ms < b->not_before_ms)
        return;
    if (writes && b->notice.whole && b->notice.position < feed->needed) {
        board_write(k, b, feed);
    } else if (writes && b->known && !b->notice.whole) {
        if (notice_replaceable(k->c->feeds, &b->notice, b->fleet, b->their_position, "configmap_log_gone"))
            board_write(k, b, feed);
    } else if (now_ms >= b->next_ms) {
        job_put(k, LANE_FLEETS, board_job(k, b, JOB_LOOK));
    }
}

/* The first trouble of a row, longer ones later: and never before the server wants to be asked again. */
static void back_off(struct board *b, const struct job *j, int64_t now_ms)
{
    b->retry_ms = b->retry_ms == 0 ? RETRY_MS_MIN : b->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : b->retry_ms * 2;
    b->not_before_ms = now_ms + (1000 * j->retry_after_s > b->retry_ms ? 1000 * j->retry_after_s : b->retry_ms);
}

static void board_done(struct board *b, struct job *j, int64_t now_ms)
{
    b->job = 0;
    b->next_ms = now_ms + LOOK_EVERY_MS;
    if (j->error == ERR_OK && j->kind == JOB_WRITE) {
        text_copy(b->version, sizeof(b->version), j->version);
        text_copy(b->notice.edition, sizeof(b->notice.edition), j->edition);
        b->notice.position = j->position;
        b->known = b->notice.whole = j->version[0] != '\0';
        b->retry_ms = 0;
        return;
    }
    if (j->kind == JOB_LOOK && (j->error == ERR_OK || j->error == ERR_NOT_FOUND)) {
        if (b->known && strcmp(j->version, b->version) == 0)
            return;
        if (b->notice.whole)
            log_info("configmap_lost", "fleet=%s, the ConfigMap is not what was written, writing anew", b->fleet);
        text_copy(b->version, sizeof(b->version), j->version);
        b->their_position = j->their_position;
        b->known = true;
        b->notice.whole = false;
        b->notice.question = 0; /* to be asked after it was seen */
        b->retry_ms = 0;
        return;
    }
    /* Somebody wrote in between, or nobody knows whether this write arrived: what stands there decides. */
    b->known = b->notice.whole = false;
    b->next_ms = now_ms;
    if (j->error != ERR_CONFLICT && j->error != ERR_NOT_FOUND)
        back_off(b, j, now_ms);
}

static void boards_turn(struct configmaps *k, int64_t now_ms)
{
    struct job *done;

    pthread_mutex_lock(&k->lock);
    done = k->done;
    k->done = NULL;
    pthread_mutex_unlock(&k->lock);
    while (done) {
        struct job *j = done;
        struct board *b = board_find(k, j->fleet);

        done = j->next;
        if (b && b->job == j->number)
            board_done(b, j, now_ms);
        job_free(j);
    }
    for (struct board **at = &k->boards; *at;) {
        struct board *b = *at;

        if (feed_find(k->c->feeds, b->fleet)) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        free(b);
    }
    for (struct feed *feed = k->c->feeds->list; feed && k->c->replayed; feed = feed->next) {
        struct board *b = board_find(k, feed->fleet);

        if (!b) {
            b = must(calloc(1, sizeof(*b)));
            text_copy(b->fleet, sizeof(b->fleet), feed->fleet);
            b->unfit_at = -1;
            b->next = k->boards;
            k->boards = b;
        }
        board_turn(k, b, feed, now_ms);
    }
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

/* Under the lock. "": none. */
static const char *trouble_of(const struct configmaps *k)
{
    if (k->lanes[LANE_FLEETS].trouble[0])
        return k->lanes[LANE_FLEETS].trouble;
    return k->watch_trouble[0] ? k->watch_trouble : k->lanes[LANE_ANSWERS].trouble;
}

static void trouble_turn(struct configmaps *k)
{
    char text[sizeof(k->watch_trouble)];

    pthread_mutex_lock(&k->lock);
    text_copy(text, sizeof(text), trouble_of(k));
    pthread_mutex_unlock(&k->lock);
    if ((text[0] != '\0') == k->trouble_said)
        return;
    k->trouble_said = text[0] != '\0';
    if (k->trouble_said)
        log_error("configmap_failed",
                  "error=\"%s\", members with baton.channel=configmap go on with what they hold; trying on", text);
    else
        log_info("configmap_works", "trouble is over");
}

void configmaps_turn(struct configmaps *k)
{
    const int64_t now_ms = clock_ms();

    if (!k)
        return;
    if (controller_leads(k->c) && !k->led)
        for (struct board *b = k->boards; b; b = b->next)
            b->next_ms = b->not_before_ms = 0;
    k->led = controller_leads(k->c);
    requests_turn(k, now_ms);
    asks_turn(&k->asks);
    boards_turn(k, now_ms);
    silent_turn(k, now_ms);
    trouble_turn(k);
}

/* Each of its batons stands for itself then. */
size_t configmaps_bytes_most(const struct fleet *fleet)
{
    const int count = fleet->baton_count;
    const int shards = count > SHARD_BATONS ? (count + SHARD_BATONS - 1) / SHARD_BATONS : 0;
    struct fleet *f = must(malloc(sizeof(*f)));
    struct errmsg ignored;
    size_t bytes = 0;

    *f = *fleet;
    f->batons = must(calloc((size_t)count + 1, sizeof(*f->batons)));
    for (int i = 0; i < count; i++) {
        f->batons[i] = fleet->batons[i];
        f->batons[i].state = RIGHT_RELEASING;
        f->batons[i].holder = GREEN;
        f->batons[i].from = fleet->batons[i].from > OFFSET_LONG ? fleet->batons[i].from : OFFSET_LONG;
        f->batons[i].epoch = f->batons[i].order = fleet->version.epoch + 1 + (uint64_t)i;
    }
    for (int shard = -1; shard < shards; shard++) {
        struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);

        bytes += BOARD_LINE_BYTES;
        bytes += fleet_encode(&text, f, shard, &ignored) == ERR_OK ? text.len : RECORD_BYTES_MAX;
        str_free(&text);
    }
    free(f->batons);
    free(f);
    return bytes;
}

void configmaps_findings(struct configmaps *k, const struct fleet *fleet, struct findings *ret)
{
    const struct board *b = k ? board_find(k, fleet->spec.fleet) : NULL;
    const size_t most = k ? configmaps_bytes_most(fleet) : 0;
    char what[500];

    if (!k)
        return;
    if (!(b && b->unfit_at >= 0) && most > BOARD_BYTES_MAX) {
        snprintf(
            what, sizeof(what),
            "fleet '%s' may come to need %zu bytes in a ConfigMap, when its %d partitions are passed one by one, and "
            "%d is the most",
            fleet->spec.fleet, most, fleet->baton_count, BOARD_BYTES_MAX);
        findings_add(ret, FINDING_WARNING, "configmap-too-large", what,
                     "a state that does not fit is not written: its members wait, and the switch is rolled back",
                     "give the fleet fewer partitions, or its members another channel (docs/channels.md)");
    }
    if (b && b->unfit_at >= 0) {
        snprintf(what, sizeof(what), "fleet '%s' needs %zu bytes in a ConfigMap, and %d is the most", b->fleet,
                 b->unfit_bytes, BOARD_BYTES_MAX);
        findings_add(
            ret, FINDING_WARNING, "configmap-too-large", what,
            "it is not written, so members with baton.channel=configmap, and those that read it as a file, hear of "
            "nothing",
            "give the fleet fewer partitions, or its members another channel (docs/channels.md)");
    }
    pthread_mutex_lock(&k->lock);
    snprintf(what, sizeof(what), "%s", trouble_of(k));
    pthread_mutex_unlock(&k->lock);
    if (what[0])
        findings_add(
            ret, FINDING_WARNING, "configmap-failed", what,
            "members with baton.channel=configmap hear of nothing, and a switch that needs them is rolled back",
            "see what the controller's log says of it (docs/configmap.md has the Role), and wait until it has said "
            "configmap_works");
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int threads_start(struct configmaps *k, struct errmsg *m)
{
    int r = thread_start(&k->watcher, &k->watcher_runs, watcher_run, k, m);

    for (int i = 0; i < LANE_COUNT && r == ERR_OK; i++)
        r = thread_start(&k->lanes[i].thread, &k->lanes[i].runs, lane_run, &k->lanes[i], m);
    return r;
}

int configmaps_open(struct configmaps **ret, struct controller *c, const struct kube_config *config, struct errmsg *m)
{
    struct configmaps *k = must(calloc(1, sizeof(*k)));
    pthread_condattr_t attr;
    int r = ERR_OK;

    k->c = c;
    k->asks = (struct asks){ .c = c, .by = "configmap", .notice = notice_of, .answer = answer_put, .opaque = k };
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* as clock_ms() */
    pthread_cond_init(&k->changed, &attr);
    pthread_condattr_destroy(&attr);
    for (int i = 0; i < LANE_COUNT; i++) {
        k->lanes[i].owner = k;
        k->lanes[i].jobs_end = &k->lanes[i].jobs;
    }
    if (!kube_prefix_is(c->prefix ? c->prefix : "") ||
        !text_copy(k->prefix, sizeof(k->prefix), c->prefix ? c->prefix : ""))
        r = err_set(m, ERR_INVALID,
                    "the prefix '%s' cannot be part of a ConfigMap's name: small letters, digits, '-' and '.'",
                    c->prefix);
    if (r == ERR_OK)
        r = kube_open(&k->watch, config, m);
    for (int i = 0; i < LANE_COUNT && r == ERR_OK; i++)
        r = kube_open(&k->lanes[i].kube, config, m);
    if (r == ERR_OK)
        r = threads_start(k, m);
    if (r < 0) {
        configmaps_close(k);
        return err_wrap(m, r, "--configmap");
    }
    log_info("configmaps", "server=%s namespace=%s, fleets are kept there", kube_server(k->watch),
             kube_namespace(k->watch));
    *ret = k;
    return ERR_OK;
}

static void jobs_free(struct job *list)
{
    while (list) {
        struct job *j = list;

        list = j->next;
        job_free(j);
    }
}

void configmaps_close(struct configmaps *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    if (k->watcher_runs)
        pthread_join(k->watcher, NULL);
    kube_close(k->watch);
    for (int i = 0; i < LANE_COUNT; i++) {
        if (k->lanes[i].runs)
            pthread_join(k->lanes[i].thread, NULL);
        kube_close(k->lanes[i].kube);
        jobs_free(k->lanes[i].jobs);
    }
    jobs_free(k->done);
    asks_deinit(&k->asks);
    while (k->guests) {
        struct guest *m = k->guests;

        k->guests = m->next;
        guest_free(m);
    }
    while (k->boards) {
        struct board *b = k->boards;

        k->boards = b->next;
        free(b);
    }
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
