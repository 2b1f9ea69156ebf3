/*
 * tls - OpenSSL kept in one place: its names collide with ours (ERR_STATE), so this header shows none of them.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event_base;
struct http_tls;

/* PEM files, the certificate with its chain. False: ret_why says what is wrong. TLS 1.2 and newer. */
bool http_tls_open(struct http_tls **ret, const char *cert, const char *key, char *ret_why, size_t ret_why_size);
void http_tls_close(struct http_tls *tls);
/* The server's end of a connection; NULL: out of memory, and the fd stays the caller's. */
struct bufferevent *http_tls_accept(struct http_tls *tls, struct event_base *base, int fd);

bool secret_equal(const char *a, const char *b, size_t len); /* takes the same time wherever they differ */
void secret_clear(void *bytes, size_t len);
void random_bytes(void *ret, size_t len);
/* Lower-case hex digits, `len` of them and a terminator. */
void random_hex(char *ret, size_t len);

#endif
