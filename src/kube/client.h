/*
 * client - the few requests that Baton makes of a Kubernetes API server: ConfigMaps of one namespace, read, written, watched.
 *
 * Where the server is, is one text: "in-cluster" for the one of the pod this runs in, "in-cluster/NAMESPACE", or
 * "https://HOST:PORT/NAMESPACE" from outside. The token is read from its file before every request, since a pod's is
 * exchanged every hour, the CA's certificate at every new connection. Neither is ever part of an error or a log line; http:// is for
 * loopback alone. By libcurl, and each call waits: for threads that may.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <jansson.h>

#include "http/client.h"
#include "kube/names.h"

struct kube_config {
    const char *server;
    const char *token_file, *ca_file; /* NULL or "": the pod's in the cluster; else no token, and the system's */
};

struct kube;

/* Bad text, a namespace that is none, no cluster around: ERR_INVALID. Connects to nothing yet. */
int kube_open(struct kube **ret, const struct kube_config *config, struct errmsg *m);
void kube_close(struct kube *k);
const char *kube_server(const struct kube *k);    /* "https://10.0.0.1:443" */
const char *kube_namespace(const struct kube *k); /* of all requests */

/*
 * What came of a request. ERR_DENIED with the Role that mends it, ERR_NOT_FOUND, ERR_CONFLICT (somebody wrote in between),
 * ERR_TOO_LARGE, ERR_UNAVAILABLE and ERR_TIMEOUT (worth another try; not before retry_after_s).
 */
struct kube_answer {
    json_t *object; /* the answer's; NULL after an error */
    int status;     /* HTTP's; 0: none came */
    int retry_after_s;
};
void kube_answer_free(struct kube_answer *a);

int kube_get(struct kube *k, struct kube_answer *ret, const char *name, struct errmsg *m);
/* `object` without a metadata.resourceVersion is made, with one it replaces that very state of it. */
int kube_put(struct kube *k, struct kube_answer *ret, const char *name, const json_t *object, struct errmsg *m);
/* A merge patch, of whatever state. */
int kube_patch(struct kube *k, struct kube_answer *ret, const char *name, const json_t *patch, struct errmsg *m);
int kube_delete(struct kube *k, const char *name, struct errmsg *m);

/* metadata.resourceVersion, "" without one: only to be compared. */
const char *kube_version(const json_t *object);
/* NULL: there is none. */
const char *kube_annotation(const json_t *object, const char *name);
const char *kube_data(const json_t *object, const char *name);
/* May it be the beginning of an object's name? */
bool kube_prefix_is(const char *prefix);
/* A new ConfigMap of Baton's, without data. */
json_t *kube_object(const char *name, const char *kind);

/*
 * All ConfigMaps that the selector names, as they are and whenever one changes, until a callback says false (ERR_OK), the server
 * breaks off or refuses. `selector` is a part of a query: "fieldSelector=metadata.name%3Dx". A watch that the server
 * ends in its time is taken up where it stood; one that it knows no more (410, an ERROR event) begins anew with all there are, and so
 * does each call. `gone`: deleted.
 */
struct kube_watch {
    const char *selector;
    bool (*on_object)(void *opaque, const char *name, const json_t *object, bool gone);
    bool (*on_idle)(void *opaque); /* at least every 200 ms */
    void *opaque;
};
int kube_watch(struct kube *k, const struct kube_watch *watch, struct errmsg *m);

#endif
