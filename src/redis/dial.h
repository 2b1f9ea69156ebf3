/*
 * dial - a connection, with or without TLS, and bytes over it, each with a deadline. OpenSSL kept in one place: its names
 * collide with ours (ERR_STATE), so this header shows none of them, and errors are sentences without a code.
 */
#ifndef REDIS_DIAL_H
#define REDIS_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dial;
struct dial_tls;

#define DIAL_WHY_MAX 200

/* PEM files, "" for none: who signs the other side's certificate (else the system's), ours with its key. TLS 1.2 and newer. */
bool dial_tls_open(struct dial_tls **ret, const char *ca_file, const char *cert_file, char ret_why[DIAL_WHY_MAX]);
void dial_tls_close(struct dial_tls *tls);

/* address: "10.0.0.7:6379", "[::1]:6379"; host: as a certificate names it. tls NULL: without. NULL: ret_why says why not. */
struct dial *dial_open(struct dial_tls *tls, const char *address, const char *host, int64_t until_ms,
                       char ret_why[DIAL_WHY_MAX]);
void dial_close(struct dial *d);
/* How many bytes, 1 at least; 0: none in time; -1: ret_why says why there will be none. */
int dial_read(struct dial *d, void *ret, int size, int64_t until_ms, char ret_why[DIAL_WHY_MAX]);
int dial_write(struct dial *d, const void *bytes, int len, int64_t until_ms, char ret_why[DIAL_WHY_MAX]);

#endif
