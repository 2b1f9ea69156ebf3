/*
 * client - a connection to a Redis or a Valkey (5.0 or newer), for one thread at a time. Blocks, never without a deadline.
 *
 * Several servers may be named: they are tried in turn, from the one that answered last on, and one that turns out to be
 * a replica is left for the next. After a failure the next command connects anew, so a caller only tries again. The
 * password is read from its file at every connect, so it can be changed while the program runs.
 *
 * A thread that calls this has SIGPIPE blocked or ignored.
 */
#ifndef REDIS_CLIENT_H
#define REDIS_CLIENT_H

#include "base/err.h"
#include "redis/hiredis_calls.h"

#define REDIS_SERVERS_MAX 8

struct redis_config {
    const char *servers; /* "redis://baton@10.0.0.7:6379/0,rediss://10.0.0.8:6380": user and database may be missing */
    const char *password_file; /* one line; NULL or "": none */
    const char *ca_file;       /* of rediss://: PEM; NULL or "": the system's */
    const char *cert_file; /* of rediss://: PEM, a certificate and its key, where the Redis asks for one; NULL or "" */
};

struct redis;
/* Reads the configuration; does not connect. Copies. */
int redis_open(struct redis **ret, const struct redis_config *config, struct errmsg *m);
void redis_close(struct redis *r);
/* Nothing when it is connected. */
int redis_connect(struct redis *r, struct errmsg *m);
void redis_hang_up(struct redis *r);
/* The one that it is or was last connected with: "10.0.0.7:6379". */
const char *redis_server(const struct redis *r);
/* How often it has connected: who subscribed has to do it again. */
int redis_connects(const struct redis *r);

/*
 * A command and its reply, which the caller frees; ret may be NULL. Connects when need be, once more when a connection that
 * was there before turns out to be dead: so it may be carried out twice. An error of the Redis is an error here:
 * ERR_DENIED, ERR_INVALID, or ERR_UNAVAILABLE for what may mend itself.
 */
int redis_command(struct redis *r, redisReply **ret, int argc, const char **argv, const size_t *lens, struct errmsg *m);
/* The words are texts, to their terminator. */
#define REDIS_COMMAND(r, ret, m, ...)                                                      \
    redis_command(r, ret, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), \
                  (const char *[]){ __VA_ARGS__ }, NULL, m)
/* What comes next by itself, after SUBSCRIBE or from a command that waits; *ret is NULL when nothing did in time. */
int redis_next(struct redis *r, redisReply **ret, int timeout_ms, struct errmsg *m);
/* For redis_next(): sends only. Does not connect. */
int redis_send(struct redis *r, int argc, const char **argv, const size_t *lens, struct errmsg *m);
void redis_reply_free(redisReply *reply);

#endif
