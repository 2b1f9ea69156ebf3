#include "http/tls.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

struct http_tls {
    SSL_CTX *context;
};

static bool fail(struct http_tls *tls, char *ret_why, size_t ret_why_size, const char *doing, const char *path)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error()); /* the first is the cause, the last is not */

    snprintf(ret_why, ret_why_size, "%s '%s': %s", doing, path, reason ? reason : "unknown reason");
    ERR_clear_error();
    http_tls_close(tls);
    return false;
}

bool http_tls_open(struct http_tls **ret, const char *cert, const char *key, char *ret_why, size_t ret_why_size)
{
    struct http_tls *tls = calloc(1, sizeof(*tls));

    ERR_clear_error();
    if (tls)
        tls->context = SSL_CTX_new(TLS_server_method());
    if (!tls || !tls->context)
        return fail(tls, ret_why, ret_why_size, "set up TLS for", cert);
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(tls->context, cert) != 1)
        return fail(tls, ret_why, ret_why_size, "read the TLS certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1)
        return fail(tls, ret_why, ret_why_size, "read the TLS key", key);
    if (SSL_CTX_check_private_key(tls->context) != 1)
        return fail(tls, ret_why, ret_why_size, "the TLS key is not the certificate's:", key);
    *ret = tls;
    return true;
}

void http_tls_close(struct http_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

struct bufferevent *http_tls_accept(struct http_tls *tls, struct event_base *base, int fd)
{
    SSL *ssl = SSL_new(tls->context);
    struct bufferevent *bev;

    if (!ssl)
        return NULL;
    bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

bool secret_equal(const char *a, const char *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void secret_clear(void *bytes, size_t len)
{
    OPENSSL_cleanse(bytes, len);
}

void random_bytes(void *ret, size_t len)
{
    if (RAND_bytes(ret, (int)len) != 1)
        abort(); /* without randomness two processes could take each other for one */
}

void random_hex(char *ret, size_t len)
{
    random_bytes(ret, len);
    for (size_t i = 0; i < len; i++)
        ret[i] = "0123456789abcdef"[ret[i] & 15];
    ret[len] = '\0';
}
