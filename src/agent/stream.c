/* stream - see stream.h. */
#include "agent/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/line.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/fleet.h"
#include "wire/json_read.h"
#include "wire/json_write.h"

#define POST_MS_MAX 30000 /* a stop may wait for a slow record: Spring's shutdownTimeout is 10 s */
#define LOOK_MS_MAX 60000 /* the binder asks its brokers, and waits for them so long */
#define LOOK_AGAIN_MS 5000
#define LOOK_RARELY_MS 300000
#define UNSURE_MS 2000       /* a word to start that broke off may still be carried out ... */
#define UNSURE_LATE_MS 30000 /* ... and one that was never answered for longer */
#define FILE_MS 1000
#define ENTRY_MAX 300 /* a line of the list */
#define BODY_BYTES_MAX 1048576
#define URL_TEXT_MAX 255

enum word { WORD_NONE, WORD_STOPPED, WORD_STARTED, WORD_RESUMED };
static const char *const words[] = {
    [WORD_NONE] = "", [WORD_STOPPED] = "STOPPED", [WORD_STARTED] = "STARTED", [WORD_RESUMED] = "RESUMED"
};

struct pod {
    struct stream *stream;
    char url[URL_TEXT_MAX + 1];
    char address[INET6_ADDRSTRLEN]; /* as the brokers would write it, "": not known */
    bool listed;                    /* in the newest list */
    struct line *post, *look;
    enum word out, next; /* on its way; and what follows it */
    enum word told;      /* the last that was answered as it should be */
    int status;          /* of the last answer, 0: none */
    int64_t unsure_ms;   /* a word to start may take effect until then */
    int64_t look_ms;     /* the next look, not before */
    bool looked;
    char trouble[DRIVE_WHY_MAX], health[DRIVE_WHY_MAX];
};

struct stream {
    struct event_base *base;
    const struct drive_config *config;
    struct line_config post, look;
    char post_path[URL_TEXT_MAX + 1], look_path[URL_TEXT_MAX + 1];
    void (*changed)(void *opaque);
    void *opaque;
    struct pod *pods[DRIVE_PODS_MAX];
    int pod_count;
    int64_t file_ms;
    char file_trouble[DRIVE_WHY_MAX];
    const struct fleet *fleet; /* of the last turn */
    const char *group;
    uint64_t losses;
    char trouble[URL_TEXT_MAX + DRIVE_WHY_MAX + 8];
};

/* --- sentences ----------------------------------------------------------------------------------------------------- */

void stream_status_text(char *ret, size_t room, int status, const char *path)
{
    if (status == 204)
        ret[0] = '\0';
    else if (status == 401)
        snprintf(ret, room, "it answered 401: give the agent its token (--application-token-file)");
    else if (status == 403)
        snprintf(
            ret, room,
            "it answered 403: Spring Security refuses a POST without its token (--application-token-file), and any "
            "POST to the actuator unless CSRF protection leaves it out");
    else if (status == 404)
        snprintf(
            ret, room,
            "it answered 404: %.120s is not served there. Is management.endpoints.web.exposure.include=bindings,health "
            "set, the port that of management.server.port, and --actuator its base path?",
            path);
    else if (status == 405 || status == 415)
        snprintf(ret, room, "it answered %d: %.120s takes no POST of JSON, so it is not Spring Cloud Stream's endpoint",
                 status, path);
    else if (status >= 300 && status < 400)
        snprintf(
            ret, room,
            "it answered %d, a redirect, which is not followed: give the address of the process itself, as http://",
            status);
    else if (status >= 200 && status < 300)
        snprintf(
            ret, room,
            "it answered %d, and Spring Cloud Stream answers 204: something else, or something between, listens there",
            status);
    else
        snprintf(ret, room, "it answered %d", status);
}

/* All listener containers in the tree: their place depends on the binder's name, and on how many there are. */
static void health_walk(const json_t *at, int depth, const json_t **ret_groups, int *count, const json_t **ret_topics)
{
    const char *key;
    const json_t *value;
    size_t i;

    if (depth > 8)
        return;
    json_object_foreach((json_t *)at, key, value)
    {
        if (strcmp(key, "topicsInUse") == 0 && json_is_array(value))
            *ret_topics = value;
        if (strcmp(key, "listenerContainers") == 0 && json_is_array(value)) {
            const json_t *item;

            json_array_foreach(value, i, item)
            {
                if (*count < DRIVE_PODS_MAX && json_is_string(json_object_get(item, "groupId")))
                    ret_groups[(*count)++] = json_object_get(item, "groupId");
            }
        } else if (json_is_object(value)) {
            health_walk(value, depth + 1, ret_groups, count, ret_topics);
        }
    }
}

void stream_health_text(char *ret, size_t room, const char *body, size_t len, const struct fleet *fleet,
                        const char *group)
{
    const json_t *groups[DRIVE_PODS_MAX], *topics = NULL;
    const char *other = NULL;
    bool ours = false, anonymous = false;
    int count = 0;
    json_t *tree = NULL;
    struct errmsg m = { 0 };

    ret[0] = '\0';
    if (json_read_tree(&tree, body, len, BODY_BYTES_MAX, &m) < 0) {
        snprintf(ret, room, "its answer to health/binders is no JSON");
        return;
    }
    health_walk(tree, 0, groups, &count, &topics);
    for (int i = 0; i < count; i++) {
        const char *name = json_string_value(groups[i]);

        ours = ours || strcmp(name, group) == 0;
        anonymous = anonymous || strncmp(name, "anonymous.", 10) == 0;
        other = name;
    }
    if (count > 0 && !ours && anonymous)
        snprintf(ret, room,
                 "its consumer has an anonymous group: once stopped it could never be started again. Give it "
                 "spring.cloud.stream.bindings.<binding>.group=%.100s",
                 group);
    else if (count > 0 && !ours)
        snprintf(ret, room, "it consumes as group %.100s, and this color is group %.100s: it is another application",
                 other, group);
    for (int t = 0; !*ret && topics && json_array_size(topics) > 0 && t < fleet->spec.topic_count; t++) {
        bool used = false;

        for (size_t i = 0; i < json_array_size(topics) && !used; i++)
            used = json_is_string(json_array_get(topics, i)) &&
                   strcmp(json_string_value(json_array_get(topics, i)), fleet->spec.topics[t]) == 0;
        if (!used)
            snprintf(ret, room, "it does not use topic %.120s of the fleet", fleet->spec.topics[t]);
    }
    json_decref(tree);
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static void pod_note(struct pod *p, char *at, const char *why)
{
    char quoted[2 * DRIVE_WHY_MAX];

    if (strcmp(at, why) == 0)
        return;
    if (*why)
        log_warn("pod_trouble", "pod=%s error=%s, trying again", p->url, log_quote(quoted, sizeof(quoted), why));
    else
        log_info("pod_well", "pod=%s", p->url);
    snprintf(at, DRIVE_WHY_MAX, "%s", why);
}

static void pod_send(struct pod *p)
{
    char body[40];

    if (line_busy(p->post) || p->next == WORD_NONE)
        return;
    p->out = p->next;
    p->next = p->out == WORD_STARTED ? WORD_RESUMED : WORD_NONE;
    snprintf(body, sizeof(body), "{\"state\":\"%s\"}", words[p->out]);
    line_send(p->post, EVHTTP_REQ_POST, p->stream->post_path, body, strlen(body));
}

static void on_posted(void *opaque, const struct line_answer *answer)
{
    struct pod *p = opaque;
    const int status = answer->status;
    const enum word word = p->out;
    char why[DRIVE_WHY_MAX];

    p->out = WORD_NONE;
    p->status = status;
    if (status > 0)
        stream_status_text(why, sizeof(why), status, p->stream->post_path);
    else if (answer->late)
        snprintf(why, sizeof(why), "it did not answer %s within %d s", words[word], POST_MS_MAX / 1000);
    else
        snprintf(why, sizeof(why), "nothing answers there: is it running?");
    p->stream->losses += status == 0;
    if (word == WORD_STARTED && status == 0)
        p->unsure_ms = clock_ms() + (answer->late ? UNSURE_LATE_MS : UNSURE_MS);
    if (*why && p->next == WORD_RESUMED)
        p->next = WORD_NONE; /* given again, as a whole */
    if (!*why) {
        if (p->told != word && word != WORD_RESUMED && !(word == WORD_STARTED && p->told == WORD_RESUMED))
            log_info("pod_told", "pod=%s word=%s", p->url, words[word]);
        p->told = word;
    }
    pod_note(p, p->trouble, why);
    pod_send(p);
    p->stream->changed(p->stream->opaque);
}

/* A process that shows no details, or no health at all, is no trouble: what it does the brokers show. */
static void on_looked(void *opaque, const struct line_answer *answer)
{
    struct pod *p = opaque;
    const int status = answer->status;
    char why[DRIVE_WHY_MAX] = "";

    p->look_ms = clock_ms() + LOOK_RARELY_MS;
    if (status == 200 || status == 503)
        stream_health_text(why, sizeof(why), answer->body, answer->len, p->stream->fleet, p->stream->group);
    if (status == 0 || *why)
        p->look_ms = clock_ms() + LOOK_AGAIN_MS;
    p->looked = status > 0;
    pod_note(p, p->health, why);
    p->stream->changed(p->stream->opaque);
}

void stream_tell(struct stream *s, bool start)
{
    for (int i = 0; i < s->pod_count; i++) {
        struct pod *p = s->pods[i];

        if (!p->listed)
            continue;
        p->next = start ? WORD_STARTED : WORD_STOPPED;
        if (p->out == WORD_STARTED && start)
            p->next = WORD_RESUMED; /* its own second half */
        if (p->out == WORD_STOPPED && !start)
            p->next = WORD_NONE; /* it is being told: no word more, which would be waited for as well */
        pod_send(p);
    }
}

bool stream_pending(const struct stream *s, int64_t now_ms)
{
    for (int i = 0; i < s->pod_count; i++)
        if (s->pods[i]->out != WORD_NONE || s->pods[i]->unsure_ms > now_ms)
            return true;
    return false;
}

uint64_t stream_losses(const struct stream *s)
{
    return s->losses;
}

/* --- the list ------------------------------------------------------------------------------------------------------ */

/* As the brokers would write it, where the list has a name. */
static void pod_resolve(struct pod *p, const char *host)
{
    struct addrinfo *list = NULL;

    if (getaddrinfo(host, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &list) == 0 && list)
        getnameinfo(list->ai_addr, list->ai_addrlen, p->address, sizeof(p->address), NULL, 0, NI_NUMERICHOST);
    if (list)
        freeaddrinfo(list);
}

static void pod_free(struct pod *p)
{
    line_close(p->post);
    line_close(p->look);
    free(p);
}

static int pod_add(struct stream *s, const char *url, struct errmsg *m)
{
    struct line_address address;
    struct pod *p;

    for (int i = 0; i < s->pod_count; i++)
        if (strcmp(s->pods[i]->url, url) == 0) {
            s->pods[i]->listed = true;
            return ERR_OK;
        }
    if (s->pod_count == DRIVE_PODS_MAX)
        return err_set(m, ERR_TOO_LARGE, "more than %d processes", DRIVE_PODS_MAX);
    if (strlen(url) > URL_TEXT_MAX || !line_address_parse(&address, url) || address.path[0])
        return err_set(m, ERR_INVALID,
                       "'%.200s' is no address of a process: write it as http://10.0.0.7:8080, without a path "
                       "(--actuator has that)",
                       url);
    p = must(calloc(1, sizeof(*p)));
    p->stream = s;
    text_copy(p->url, sizeof(p->url), url);
    pod_resolve(p, address.host);
    p->post = line_open(s->base, &address, &s->post, on_posted, p);
    p->look = line_open(s->base, &address, &s->look, on_looked, p);
    p->listed = true;
    s->pods[s->pod_count++] = p;
    return ERR_OK;
}

/* A file that cannot be read leaves the list as it is: nobody is forgotten for that. */
static int file_read(struct stream *s, struct errmsg *m)
{
    FILE *f = fopen(s->config->pods_file, "re");
    char entry[ENTRY_MAX];
    int r = ERR_OK;

    if (!f)
        return err_set(m, ERR_IO, "%.200s: %s", s->config->pods_file, strerror(errno));
    for (int i = s->config->url_count; i < s->pod_count; i++)
        s->pods[i]->listed = false;
    while (r == ERR_OK && fgets(entry, sizeof(entry), f)) {
        char *from = entry + strspn(entry, " \t");

        from[strcspn(from, " \t\r\n#")] = '\0';
        if (*from)
            r = pod_add(s, from, m);
    }
    for (int i = 0; i < s->pod_count && r < 0; i++)
        s->pods[i]->listed = true;
    fclose(f);
    return r < 0 ? err_wrap(m, r, "%.200s", s->config->pods_file) : ERR_OK;
}

static void file_turn(struct stream *s, int64_t now_ms)
{
    struct errmsg m = { 0 };
    int kept = 0;

    if (!s->config->pods_file || now_ms < s->file_ms)
        return;
    s->file_ms = now_ms + FILE_MS;
    snprintf(s->file_trouble, sizeof(s->file_trouble), "%s", file_read(s, &m) < 0 ? m.text : "");
    for (int i = 0; i < s->pod_count; i++) {
        struct pod *p = s->pods[i];

        if (p->listed || line_busy(p->post) || p->unsure_ms > now_ms) {
            s->pods[kept++] = p;
            continue;
        }
        log_info("pod_gone", "pod=%s, it is in the list no more", p->url);
        s->losses += p->told != WORD_STOPPED;
        pod_free(p);
    }
    s->pod_count = kept;
}

void stream_turn(struct stream *s, const struct fleet *fleet, const char *group)
{
    const int64_t now_ms = clock_ms();

    s->fleet = fleet;
    s->group = group;
    file_turn(s, now_ms);
    for (int i = 0; i < s->pod_count; i++) {
        struct pod *p = s->pods[i];

        if (line_busy(p->look) || now_ms < p->look_ms)
            continue;
        p->look_ms = now_ms + LOOK_AGAIN_MS;
        line_send(p->look, EVHTTP_REQ_GET, s->look_path, NULL, 0);
    }
}

/* --- what is seen -------------------------------------------------------------------------------------------------- */

const char *stream_trouble(const struct stream *s)
{
    struct stream *mutable = (struct stream *)s;

    if (s->file_trouble[0])
        return s->file_trouble;
    if (s->pod_count == 0)
        return "no process is listed: give --spring-stream, or write one a line into --pods-file";
    for (int i = 0; i < s->pod_count; i++) {
        const struct pod *p = s->pods[i];
        const char *why = p->trouble[0] ? p->trouble : p->health[0] ? p->health : "";

        if (!p->looked && !*why)
            why = "it has not been looked at yet";
        if (p->listed && *why) {
            snprintf(mutable->trouble, sizeof(mutable->trouble), "%s: %s", p->url, why);
            return s->trouble;
        }
    }
    return "";
}

bool stream_knows(const struct stream *s, const char *host)
{
    for (int i = 0; i < s->pod_count; i++) {
        const struct pod *p = s->pods[i];

        /* on loopback, or behind a name that resolves to nothing, nobody knows how the brokers see it */
        if (!p->address[0] || strncmp(p->address, "127.", 4) == 0 || strcmp(p->address, "::1") == 0 ||
            strcmp(p->address, host + (*host == '/')) == 0)
            return true;
    }
    return false;
}

void stream_show(const struct stream *s, struct json_out *o)
{
    json_open(o, "pods", '[');
    for (int i = 0; i < s->pod_count; i++) {
        const struct pod *p = s->pods[i];

        json_open(o, NULL, '{');
        json_put_text(o, "url", p->url);
        json_put_text(o, "told", words[p->told]);
        json_put_int(o, "status", p->status);
        json_put_text(o, "trouble", p->trouble[0] ? p->trouble : p->health);
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

int stream_open(struct stream **ret, struct event_base *base, const struct drive_config *config,
                void (*changed)(void *opaque), void *opaque, struct errmsg *m)
{
    struct stream *s = must(calloc(1, sizeof(*s)));
    int r = line_token_check(config->token_file, m);

    s->base = base;
    s->config = config;
    s->changed = changed;
    s->opaque = opaque;
    snprintf(s->post_path, sizeof(s->post_path), "%s/bindings/%s", config->actuator, config->binding);
    snprintf(s->look_path, sizeof(s->look_path), "%s/health/binders", config->actuator);
    s->post = s->look = (struct line_config){ .token_file = config->token_file, .body_bytes_max = BODY_BYTES_MAX };
    s->post.answer_ms_max = POST_MS_MAX;
    s->look.answer_ms_max = LOOK_MS_MAX;
    for (int i = 0; i < config->url_count && r == ERR_OK; i++)
        r = pod_add(s, config->urls[i], m);
    if (r == ERR_OK && config->pods_file)
        r = file_read(s, m);
    if (r < 0) {
        stream_close(s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->pod_count; i++)
        pod_free(s->pods[i]);
    free(s);
}
