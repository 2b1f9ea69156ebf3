/*
 * curl_calls - libcurl, loaded when the first HTTP client is opened.
 *
 * libcurl brings some thirty libraries (LDAP, Kerberos, a second TLS): 4 MB that `baton serve`, which is no HTTP
 * client, would keep resident for nothing. So it is not linked; what client.c needs of it is looked up once. The
 * names are libcurl's own.
 */
#ifndef HTTP_CURL_CALLS_H
#define HTTP_CURL_CALLS_H

#include <curl/curl.h>

#include "base/err.h"

/* clang-format off */
#define CURL_CALLS(X) \
    X(global_init) \
    X(easy_init) X(easy_cleanup) X(easy_reset) X(easy_setopt) X(easy_perform) X(easy_getinfo) X(easy_strerror) \
    X(slist_append) X(slist_free_all) \
    X(multi_init) X(multi_cleanup) X(multi_add_handle) X(multi_remove_handle) X(multi_perform) X(multi_poll) \
    X(multi_info_read) X(multi_setopt) X(multi_socket_action) X(multi_assign) \
    X(easy_escape) X(free)
/* clang-format on */

struct curl_calls {
#define CURL_CALL(name) __typeof__(curl_##name) *name;
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
};

/* Filled by curl_calls_load(). */
extern struct curl_calls curl;

/* Thread: the one that opens clients. A second call does nothing. */
int curl_calls_load(struct errmsg *m);

#endif
