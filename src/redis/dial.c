/* dial - see dial.h. */
#include "redis/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

struct dial_tls {
    SSL_CTX *context;
};

struct dial {
    BIO *bio;
};

/* The first system error of OpenSSL's queue, or its first reason; empties the queue. */
static void reason(char ret[DIAL_WHY_MAX])
{
    bool found = false, system_found = false;
    unsigned long e;

    snprintf(ret, DIAL_WHY_MAX, "the connection was closed");
    while ((e = ERR_get_error()) != 0) {
        const char *text = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);

        if (!text || system_found || (found && !ERR_SYSTEM_ERROR(e)))
            continue;
        snprintf(ret, DIAL_WHY_MAX, "%s", text);
        found = true;
        system_found = ERR_SYSTEM_ERROR(e);
    }
}

bool dial_tls_open(struct dial_tls **ret, const char *ca_file, const char *cert_file, char ret_why[DIAL_WHY_MAX])
{
    struct dial_tls *tls = calloc(1, sizeof(*tls));
    char why[DIAL_WHY_MAX];
    SSL_CTX *context;

    ERR_clear_error();
    if (tls)
        tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls || !tls->context) {
        snprintf(ret_why, DIAL_WHY_MAX, "out of memory");
        dial_tls_close(tls);
        return false;
    }
    context = tls->context;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (*ca_file ? SSL_CTX_load_verify_file(context, ca_file) != 1 : SSL_CTX_set_default_verify_paths(context) != 1) {
        reason(why);
        snprintf(ret_why, DIAL_WHY_MAX, "read the certificates '%s': %s", ca_file, why);
    } else if (*cert_file && (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1 ||
                              SSL_CTX_use_PrivateKey_file(context, cert_file, SSL_FILETYPE_PEM) != 1)) {
        reason(why);
        snprintf(ret_why, DIAL_WHY_MAX, "'%s' must hold a certificate and its key, as PEM: %s", cert_file, why);
    } else {
        *ret = tls;
        return true;
    }
    dial_tls_close(tls);
    return false;
}

void dial_tls_close(struct dial_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* Until it can go on; false: not in time. */
static bool ready(BIO *bio, int64_t until_ms)
{
    const int64_t left_ms = until_ms - clock_ms();
    struct pollfd p = { .fd = -1, .events = BIO_should_read(bio) ? POLLIN : POLLOUT };

    BIO_get_fd(bio, &p.fd);
    return left_ms >= 0 && (poll(&p, 1, (int)left_ms) > 0 || clock_ms() < until_ms);
}

static bool connected(BIO *bio, int64_t until_ms, char ret_why[DIAL_WHY_MAX])
{
    while (BIO_do_connect(bio) <= 0) {
        if (!BIO_should_retry(bio)) {
            reason(ret_why);
            return false;
        }
        if (!ready(bio, until_ms)) {
            snprintf(ret_why, DIAL_WHY_MAX, "it does not answer");
            return false;
        }
    }
    return true;
}

struct dial *dial_open(struct dial_tls *tls, const char *address, const char *host, int64_t until_ms,
                       char ret_why[DIAL_WHY_MAX])
{
    struct dial *d = calloc(1, sizeof(*d));
    const int on = 1;
    SSL *ssl = NULL;
    int fd = -1;

    ERR_clear_error();
    snprintf(ret_why, DIAL_WHY_MAX, "out of memory");
    if (d)
        d->bio = tls ? BIO_new_ssl_connect(tls->context) : BIO_new(BIO_s_connect());
    if (!d || !d->bio || BIO_set_conn_hostname(d->bio, address) != 1) {
        dial_close(d);
        return NULL;
    }
    BIO_set_nbio(d->bio, 1);
    if (tls) {
        BIO_get_ssl(d->bio, &ssl);
        SSL_set_tlsext_host_name(ssl, host);
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1) {
            ERR_clear_error(); /* no address: a name */
            SSL_set1_host(ssl, host);
        }
    }
    if (!connected(d->bio, until_ms, ret_why)) {
        dial_close(d);
        return NULL;
    }
    if (BIO_get_fd(d->bio, &fd) >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return d;
}

void dial_close(struct dial *d)
{
    if (!d)
        return;
    BIO_free_all(d->bio);
    free(d);
}

/* Is it to be tried again? Else `n` is what the caller is told. */
static bool again(struct dial *d, int *n, int64_t until_ms, char ret_why[DIAL_WHY_MAX])
{
    if (*n > 0)
        return false;
    if (!BIO_should_retry(d->bio)) {
        reason(ret_why);
        *n = -1;
        return false;
    }
    *n = 0;
    return ready(d->bio, until_ms);
}

int dial_read(struct dial *d, void *ret, int size, int64_t until_ms, char ret_why[DIAL_WHY_MAX])
{
    int n;

    do
        n = BIO_read(d->bio, ret, size);
    while (again(d, &n, until_ms, ret_why));
    return n;
}

int dial_write(struct dial *d, const void *bytes, int len, int64_t until_ms, char ret_why[DIAL_WHY_MAX])
{
    int n;

    do
        n = BIO_write(d->bio, bytes, len);
    while (again(d, &n, until_ms, ret_why));
    return n;
}
