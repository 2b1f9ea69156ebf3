/* client - see client.h. */
#include "kube/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define POD_FILES "/var/run/secrets/kubernetes.io/serviceaccount/"
#define IN_CLUSTER "in-cluster"
#define TOKEN_BYTES_MAX 8000
#define NAMESPACE_MAX 63
#define PREFIX_BYTES_MAX 100
#define CONNECT_MS_MAX 1000
#define REQUEST_MS_MAX 3000
#define OBJECT_BYTES_MAX ((size_t)8 * 1024 * 1024) /* 1 MiB of data as JSON, at its worst */

/* A watch ends after four to six minutes, not all at once; bookmarks come every minute, or it is dead. */
#define WATCH_S_MIN 240
#define WATCH_S_SPREAD 120
#define SILENCE_MS_MAX 150000
#define WATCH_MS_MIN 1000 /* shorter ones are none */

/* A NUL in somebody's text ends it, and must not end the watch of all. */
#define READ_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

struct kube {
    struct http_client *http;
    char server[300], space[NAMESPACE_MAX + 1];
    char token_file[1024];
};

/* --- where it is -------------------------------------------------------------------------------------------------- */

/* The first line of a file. Its text is in no error. */
static int line_read(char *ret, size_t ret_size, const char *path, const char *what, struct errmsg *m)
{
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file)
        return err_set(m, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open %s '%s': %s", what, path, strerror(errno));
    len = fread(ret, 1, ret_size - 1, file);
    fclose(file);
    ret[len] = '\0';
    len = strcspn(ret, "\r\n");
    if (len == 0 || len == ret_size - 1 || strlen(ret + len) > 2) {
        explicit_bzero(ret, ret_size);
        return err_set(m, ERR_INVALID, "%s '%s' must hold one line of %zu characters at most", what, path,
                       ret_size - 2);
    }
    ret[len] = '\0';
    return ERR_OK;
}

static int namespace_set(struct kube *k, const char *name, struct errmsg *m)
{
    const size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (len == 0 || name[len] || !text_copy(k->space, sizeof(k->space), name))
        return err_set(m, ERR_INVALID, "'%s' is no namespace: small letters, digits and '-', %d at most", name,
                       NAMESPACE_MAX);
    return ERR_OK;
}

static int cluster_find(struct kube *k, const char *space, struct errmsg *m)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    char own[NAMESPACE_MAX + 3];
    int r;

    if (!host || !host[0])
        return err_set(m, ERR_INVALID,
                       "this runs in no pod: KUBERNETES_SERVICE_HOST is not set; from outside name the API server, "
                       "such as https://10.0.0.1:6443/NAMESPACE");
    snprintf(k->server, sizeof(k->server), strchr(host, ':') ? "https://[%.250s]:%.10s" : "https://%.250s:%.10s", host,
             port && port[0] ? port : "443");
    if (space)
        return namespace_set(k, space, m);
    r = line_read(own, sizeof(own), POD_FILES "namespace", "the pod's namespace", m);
    return r < 0 ? r : namespace_set(k, own, m);
}

static int server_set(struct kube *k, const char *text, struct errmsg *m)
{
    const char *rest = strstr(text, "://"), *slash = rest ? strchr(rest + 3, '/') : NULL;

    if (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://127.0.0.1:", 17) != 0 &&
        strncmp(text, "http://localhost:", 17) != 0)
        return err_set(m, ERR_INVALID,
                       "'%.100s' is no API server: in-cluster, in-cluster/NAMESPACE or https://HOST:PORT/NAMESPACE",
                       strchr(text, '@') ? "..." : text);
    if (!slash || !slash[1])
        return err_set(m, ERR_INVALID, "which namespace? Put it behind the address: https://HOST:PORT/NAMESPACE");
    if (memchr(text, '@', (size_t)(slash - text)))
        return err_set(m, ERR_INVALID, "the address of an API server holds no user: put a token into a file");
    if ((size_t)(slash - text) >= sizeof(k->server))
        return err_set(m, ERR_INVALID, "the address of the API server is too long");
    snprintf(k->server, sizeof(k->server), "%.*s", (int)(slash - text), text);
    return namespace_set(k, slash + 1, m);
}

static const char *given(const char *text)
{
    return text && text[0] ? text : NULL;
}

int kube_open(struct kube **ret, const struct kube_config *config, struct errmsg *m)
{
    const char *token_file = given(config->token_file), *ca_file = given(config->ca_file), *server = config->server;
    struct kube *k = calloc(1, sizeof(*k));
    int r;

    if (!k)
        return err_set(m, ERR_NOMEM, "Kubernetes client");
    if (strcmp(server, IN_CLUSTER) == 0 || strncmp(server, IN_CLUSTER "/", sizeof(IN_CLUSTER)) == 0) {
        r = cluster_find(k, server[sizeof(IN_CLUSTER) - 1] ? server + sizeof(IN_CLUSTER) : NULL, m);
        token_file = token_file ? token_file : POD_FILES "token";
        ca_file = ca_file ? ca_file : POD_FILES "ca.crt";
    } else {
        r = server_set(k, server, m);
    }
    if (r == ERR_OK && token_file && !text_copy(k->token_file, sizeof(k->token_file), token_file))
        r = err_set(m, ERR_TOO_LARGE, "the name of the token file is too long");
    if (r == ERR_OK)
        r = http_client_open(&k->http,
                             &(struct http_client_config){ .server = k->server,
                                                           .ca_file = ca_file,
                                                           .foreign = true,
                                                           .connect_ms = CONNECT_MS_MAX,
                                                           .timeout_ms = REQUEST_MS_MAX },
                             m);
    if (r < 0) {
        kube_close(k);
        return r;
    }
    *ret = k;
    return ERR_OK;
}

void kube_close(struct kube *k)
{
    if (!k)
        return;
    http_client_close(k->http);
    free(k);
}

const char *kube_server(const struct kube *k)
{
    return k->server;
}

const char *kube_namespace(const struct kube *k)
{
    return k->space;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static int token_refresh(struct kube *k, struct errmsg *m)
{
    char token[TOKEN_BYTES_MAX + 3];
    int r;

    if (!k->token_file[0])
        return ERR_OK;
    r = line_read(token, sizeof(token), k->token_file, "the token file", m);
    if (r == ERR_OK)
        r = http_client_token_set(k->http, token, m);
    explicit_bzero(token, sizeof(token));
    return r;
}

void kube_answer_free(struct kube_answer *a)
{
    json_decref(a->object);
    *a = (struct kube_answer){ 0 };
}

/* The Status that the server explains itself by, as a sentence with the mend. */
static int refusal(const struct kube *k, int status, const json_t *object, const char *body, struct errmsg *m)
{
    const char *text = json_string_value(json_object_get(object, "message"));

    if (!text)
        text = body;
    switch (status) {
    case 401:
        return err_set(m, ERR_DENIED, "%s does not know this token: is the token file the right one? (%.200s)",
                       k->server, text);
    case 403:
        return err_set(
            m, ERR_DENIED,
            "%s: %.400s; give the service account the Role for configmaps in namespace '%s' that docs/configmap.md "
            "shows",
            k->server, text, k->space);
    case 404:
        return err_set(m, ERR_NOT_FOUND, "%s: %.400s", k->server, text);
    case 409:
        return err_set(m, ERR_CONFLICT, "%s: %.400s", k->server, text);
    case 413:
    case 422:
        return err_set(m, ERR_TOO_LARGE, "%s: %.400s", k->server, text);
    case 400:
    case 405:
    case 415:
        return err_set(m, ERR_INVALID, "%s: status %d: %.400s", k->server, status, text);
    default:
        return err_set(m, ERR_UNAVAILABLE, "%s: status %d: %.400s", k->server, status, text);
    }
}

/* `name` NULL: a new object. Frees nothing of the caller's. */
static int request(struct kube *k, struct kube_answer *ret, const char *method, const char *name, const char *type,
                   const json_t *body, struct errmsg *m)
{
    char path[2 * KUBE_NAME_MAX];
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_reply reply = { 0 };
    int r = body && !text ? err_set(m, ERR_NOMEM, "ConfigMap") : token_refresh(k, m);

    *ret = (struct kube_answer){ 0 };
    snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps%s%s", k->space, name ? "/" : "", name ? name : "");
    if (r == ERR_OK)
        r = http_client_request(k->http, &reply, method, path, type, text, text ? strlen(text) : 0, m);
    free(text);
    if (r < 0)
        return r;
    ret->status = reply.status;
    ret->retry_after_s = reply.retry_after_s;
    ret->object = json_loadb(reply.body, reply.body_len, READ_FLAGS, NULL);
    if (reply.status >= 200 && reply.status < 300)
        r = json_is_object(ret->object)
                ? ERR_OK
                : err_set(m, ERR_UNAVAILABLE, "%s: the answer to %s %s cannot be read", k->server, method, path);
    else
        r = refusal(k, reply.status, ret->object, reply.body, m);
    http_reply_free(&reply);
    if (r < 0) {
        json_decref(ret->object);
        ret->object = NULL;
    }
    return r;
}

int kube_get(struct kube *k, struct kube_answer *ret, const char *name, struct errmsg *m)
{
    return request(k, ret, "GET", name, NULL, NULL, m);
}

int kube_put(struct kube *k, struct kube_answer *ret, const char *name, const json_t *object, struct errmsg *m)
{
    const bool known = kube_version(object)[0] != '\0';

    return request(k, ret, known ? "PUT" : "POST", known ? name : NULL, "application/json", object, m);
}

int kube_patch(struct kube *k, struct kube_answer *ret, const char *name, const json_t *patch, struct errmsg *m)
{
    return request(k, ret, "PATCH", name, "application/merge-patch+json", patch, m);
}

int kube_delete(struct kube *k, const char *name, struct errmsg *m)
{
    struct kube_answer answer;
    const int r = request(k, &answer, "DELETE", name, NULL, NULL, m);

    kube_answer_free(&answer);
    return r;
}

/* --- objects ------------------------------------------------------------------------------------------------------ */

const char *kube_version(const json_t *object)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));

    return text ? text : "";
}

const char *kube_annotation(const json_t *object, const char *name)
{
    return json_string_value(
        json_object_get(json_object_get(json_object_get(object, "metadata"), "annotations"), name));
}

const char *kube_data(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(json_object_get(object, "data"), name));
}

bool kube_prefix_is(const char *prefix)
{
    const size_t len = strspn(prefix, "abcdefghijklmnopqrstuvwxyz0123456789-.");

    return !prefix[len] && len <= PREFIX_BYTES_MAX && prefix[0] != '-' && prefix[0] != '.';
}

json_t *kube_object(const char *name, const char *kind)
{
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}, s:{}}}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                     "name", name, "labels", "app.kubernetes.io/managed-by", "baton", KUBE_KIND, kind, "annotations");
}

/* --- watching ----------------------------------------------------------------------------------------------------- */

struct watching {
    const struct kube_watch *watch;
    char version[64]; /* to go on from; "": from what is there now */
    bool stopped, forgotten;
    char why[300]; /* of an ERROR */
};

static bool on_line(void *opaque, const char *line, size_t len)
{
    struct watching *w = opaque;
    json_t *event = json_loadb(line, len, READ_FLAGS, NULL);
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *object = json_object_get(event, "object");
    const char *name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    const char *message = json_string_value(json_object_get(object, "message"));
    bool more = true;

    if (!type || strcmp(type, "ERROR") == 0) {
        w->forgotten = true;
        snprintf(w->why, sizeof(w->why), "%.290s", message ? message : "an event that cannot be read");
        more = false;
    } else {
        text_copy(w->version, sizeof(w->version), kube_version(object));
        if (strcmp(type, "BOOKMARK") != 0 && name)
            more = w->watch->on_object(w->watch->opaque, name, object, strcmp(type, "DELETED") == 0);
        w->stopped = !more;
    }
    json_decref(event);
    return more;
}

static bool on_idle(void *opaque)
{
    struct watching *w = opaque;

    w->stopped = !w->watch->on_idle(w->watch->opaque);
    return !w->stopped;
}

static int watch_once(struct kube *k, struct watching *w, long *ret_status, struct errmsg *m)
{
    const struct http_lines lines = { .line_bytes_max = OBJECT_BYTES_MAX,
                                      .silence_ms_max = SILENCE_MS_MAX,
                                      .on_line = on_line,
                                      .on_idle = on_idle,
                                      .opaque = w };
    const int seconds = WATCH_S_MIN + (int)(clock_unix_ms() % WATCH_S_SPREAD);
    char path[1000];
    int r = token_refresh(k, m);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path),
             "/api/v1/namespaces/%s/configmaps?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&%s%s%s", k->space,
             seconds, w->watch->selector, w->version[0] ? "&resourceVersion=" : "", w->version);
    return http_client_lines(k->http, ret_status, path, &lines, m);
}

int kube_watch(struct kube *k, const struct kube_watch *watch, struct errmsg *m)
{
    struct watching w = { .watch = watch };

    for (;;) {
        const int64_t began_ms = clock_ms();
        long status = 0;
        int r;

        w.forgotten = false;
        r = watch_once(k, &w, &status, m);
        if (w.stopped)
            return ERR_OK;
        if ((w.forgotten || status == 410) && w.version[0]) {
            log_debug("watch_anew", "selector=%s why=\"%s\"", watch->selector, w.why);
            w.version[0] = '\0';
            continue;
        }
        if (w.forgotten)
            return err_set(m, ERR_UNAVAILABLE, "%s: the watch was broken off: %s", k->server, w.why);
        if (r == ERR_CLOSED && clock_ms() - began_ms >= WATCH_MS_MIN)
            continue;
        if (status == 401 || status == 403) {
            const struct errmsg why = *m;

            return refusal(k, (int)status, NULL, why.text, m);
        }
        return r == ERR_CLOSED ? ERR_UNAVAILABLE : r;
    }
}
