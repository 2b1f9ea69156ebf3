/*
 * hiredis_calls - hiredis, loaded when the first connection to a Redis is opened.
 *
 * Of it Baton takes the protocol, how a command is written and a reply read: a program that has nothing to do with Redis
 * need not have it installed. Connections are client.c's own, since Debian 12's hiredis has no TLS. The names are hiredis's.
 */
#ifndef REDIS_HIREDIS_CALLS_H
#define REDIS_HIREDIS_CALLS_H

#include <hiredis/hiredis.h>

#include "base/err.h"

/* clang-format off */
#define HIREDIS_CALLS(X) \
    X(redisReaderCreate) X(redisReaderFree) X(redisReaderFeed) X(redisReaderGetReply) \
    X(redisFormatCommandArgv) X(redisFreeCommand) X(freeReplyObject)
/* clang-format on */

struct hiredis_calls {
#define HIREDIS_CALL(name) __typeof__(name) *name;
    HIREDIS_CALLS(HIREDIS_CALL)
#undef HIREDIS_CALL
};

/* Filled by hiredis_calls_load(). */
extern struct hiredis_calls hiredis;

/* Any thread; a second call does nothing. */
int hiredis_calls_load(struct errmsg *m);

#endif
