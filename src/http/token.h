/*
 * token - a bearer token (RFC 6750) from a file, so that it is in no process list: one line of visible ASCII.
 */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include "base/err.h"

#define TOKEN_MAX 512

/* Of `least` characters or more. Errors: ERR_NOT_FOUND, ERR_IO, ERR_INVALID; the text names the file, never what is in it. */
int token_read(char ret[TOKEN_MAX + 1], const char *path, int least, struct errmsg *m);

#endif
