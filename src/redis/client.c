/*
 * client - see client.h: dial.c connects and moves bytes, hiredis writes commands and reads replies.
 */
#include "redis/client.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/token.h"
#include "redis/dial.h"

#define CONNECT_MS_MAX 2000
#define COMMAND_MS_MAX 3000
#define REPLY_BYTES_MAX (64 * 1024 * 1024)
#define ADDRESS_MAX 300

struct server {
    bool tls;
    char address[ADDRESS_MAX]; /* "10.0.0.7:6379", "[::1]:6379": as BIO and messages want it */
    char host[ADDRESS_MAX];    /* as a certificate names it */
    char user[128];
    char database[12];
};

struct redis {
    struct server servers[REDIS_SERVERS_MAX];
    int server_count, good, connects;
    char *password_file;
    struct dial_tls *tls; /* NULL: no server wants it */
    struct dial *dial;    /* NULL: not connected */
    redisReader *reader;
};

/* --- configuration ------------------------------------------------------------------------------------------------ */

/* "redis://user@host:port/db". Cuts the text up. */
static int server_parse(struct server *s, char *text, struct errmsg *m)
{
    char *at = strstr(text, "://"), *end, *port;
    int64_t number;

    if (!at ||
        ((at - text != 5 || strncmp(text, "redis", 5) != 0) && (at - text != 6 || strncmp(text, "rediss", 6) != 0)))
        return err_set(m, ERR_INVALID,
                       "'%s' is no address of a Redis, such as redis://10.0.0.7:6379, or rediss:// for TLS",
                       strchr(text, '@') ? strchr(text, '@') + 1 : text);
    s->tls = at - text == 6;
    at += 3;
    end = strrchr(at, '@');
    if (end) {
        *end = '\0';
        if (strchr(at, ':'))
            return err_set(m, ERR_INVALID,
                           "the address of %s has a password in it, where everybody can read it: put it "
                           "into a file",
                           end + 1);
        if (!text_copy(s->user, sizeof(s->user), at))
            return err_set(m, ERR_TOO_LARGE, "the user in the address of %s is too long", end + 1);
        at = end + 1;
    }
    end = strchr(at, '/');
    if (end && end[1] && parse_int64(&number, end + 1, 0, 1000000, m) < 0)
        return err_wrap(m, ERR_INVALID, "database '%s' of %s", end + 1, at);
    text_copy(s->database, sizeof(s->database), end && end[1] ? end + 1 : "");
    if (end)
        *end = '\0';
    port = strrchr(at, ':');
    if (port && strchr(port, ']'))
        port = NULL;
    if (port && parse_int64(&number, port + 1, 1, 65535, m) < 0)
        return err_wrap(m, ERR_INVALID, "port of '%s'", at);
    if (!*at || port == at || (strchr(at, ':') != port && at[0] != '['))
        return err_set(m, ERR_INVALID, "'%s' is no host and port, such as 10.0.0.7:6379 or [::1]:6379", at);
    if (snprintf(s->address, sizeof(s->address), "%s%s", at, port ? "" : ":6379") >= (int)sizeof(s->address))
        return err_set(m, ERR_TOO_LARGE, "the address %.40s... is too long", at);
    if (port)
        *port = '\0';
    text_copy(s->host, sizeof(s->host), at + (at[0] == '['));
    s->host[strcspn(s->host, "]")] = '\0';
    return ERR_OK;
}

static int servers_parse(struct redis *r, const char *list, struct errmsg *m)
{
    while (*list) {
        const size_t len = strcspn(list, ",");
        char text[2 * ADDRESS_MAX];
        int e;

        if (r->server_count == REDIS_SERVERS_MAX)
            return err_set(m, ERR_TOO_LARGE, "more than %d addresses are named", REDIS_SERVERS_MAX);
        if (len >= sizeof(text))
            return err_set(m, ERR_TOO_LARGE, "an address is longer than %zu characters", sizeof(text) - 1);
        memcpy(text, list, len);
        text[len] = '\0';
        e = server_parse(&r->servers[r->server_count++], text, m);
        if (e < 0)
            return e;
        list += len + (list[len] == ',');
    }
    return r->server_count > 0 ? ERR_OK : err_set(m, ERR_INVALID, "no Redis is named: such as redis://10.0.0.7:6379");
}

static int tls_open(struct redis *r, const struct redis_config *config, struct errmsg *m)
{
    bool wanted = false;
    char why[DIAL_WHY_MAX];

    for (int i = 0; i < r->server_count; i++)
        wanted = wanted || r->servers[i].tls;
    if (wanted && !dial_tls_open(&r->tls, config->ca_file ? config->ca_file : "",
                                 config->cert_file ? config->cert_file : "", why))
        return err_set(m, ERR_INVALID, "%s", why);
    return ERR_OK;
}

int redis_open(struct redis **ret, const struct redis_config *config, struct errmsg *m)
{
    struct redis *r = calloc(1, sizeof(*r));
    int e;

    if (!r)
        return err_set(m, ERR_NOMEM, "Redis client");
    e = servers_parse(r, config->servers, m);
    if (e == ERR_OK && config->password_file && config->password_file[0]) {
        char password[TOKEN_MAX + 1] = "";

        r->password_file = strdup(config->password_file);
        e = r->password_file ? token_read(password, r->password_file, 1, m) : err_set(m, ERR_NOMEM, "Redis client");
        explicit_bzero(password, sizeof(password));
    }
    if (e == ERR_OK)
        e = tls_open(r, config, m);
    if (e == ERR_OK)
        e = hiredis_calls_load(m);
    if (e < 0) {
        redis_close(r);
        return e;
    }
    *ret = r;
    return ERR_OK;
}

void redis_hang_up(struct redis *r)
{
    dial_close(r->dial);
    r->dial = NULL;
    if (r->reader)
        hiredis.redisReaderFree(r->reader);
    r->reader = NULL;
}

void redis_close(struct redis *r)
{
    if (!r)
        return;
    redis_hang_up(r);
    dial_tls_close(r->tls);
    free(r->password_file);
    free(r);
}

const char *redis_server(const struct redis *r)
{
    return r->servers[r->good].address;
}

int redis_connects(const struct redis *r)
{
    return r->connects;
}

void redis_reply_free(redisReply *reply)
{
    if (reply)
        hiredis.freeReplyObject(reply);
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

/* why NULL: nothing came in time. */
static int broken(struct redis *r, const char *what, const char *why, struct errmsg *m)
{
    redis_hang_up(r);
    return err_set(m, ERR_UNAVAILABLE, "%s Redis %s: %s", what, redis_server(r), why ? why : "it does not answer");
}

int redis_send(struct redis *r, int argc, const char **argv, const size_t *lens, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + COMMAND_MS_MAX;
    char why[DIAL_WHY_MAX], *text = NULL;
    const int len = hiredis.redisFormatCommandArgv(&text, argc, argv, lens);

    if (len < 0)
        return err_set(m, ERR_NOMEM, "command to Redis");
    for (int sent = 0; sent < len;) {
        const int n = dial_write(r->dial, text + sent, len - sent, until_ms, why);

        if (n <= 0) {
            hiredis.redisFreeCommand(text);
            return broken(r, "send to", n < 0 ? why : NULL, m);
        }
        sent += n;
    }
    hiredis.redisFreeCommand(text);
    return ERR_OK;
}

int redis_next(struct redis *r, redisReply **ret, int timeout_ms, struct errmsg *m)
{
    const int64_t until_ms = clock_ms() + timeout_ms;
    char bytes[16 * 1024], why[DIAL_WHY_MAX];

    for (;;) {
        void *reply = NULL;
        int n;

        if (hiredis.redisReaderGetReply(r->reader, &reply) != REDIS_OK || r->reader->len > REPLY_BYTES_MAX) {
            redis_hang_up(r);
            return err_set(m, ERR_UNAVAILABLE, "%s does not answer as a Redis does", redis_server(r));
        }
        if (reply) {
            *ret = reply;
            return ERR_OK;
        }
        n = dial_read(r->dial, bytes, sizeof(bytes), until_ms, why);
        if (n < 0)
            return broken(r, "read from", why, m);
        if (n == 0) {
            *ret = NULL;
            return ERR_OK;
        }
        if (hiredis.redisReaderFeed(r->reader, bytes, (size_t)n) != REDIS_OK) {
            redis_hang_up(r);
            return err_set(m, ERR_NOMEM, "reply of Redis");
        }
    }
}

/* --- replies that are errors -------------------------------------------------------------------------------------- */

static const struct refusal {
    const char *begins;
    int error;
    bool leave; /* this server: the next one may be better */
    const char *mend;
} refusals[] = {
    { "NOAUTH", ERR_DENIED, false, "; give the user in its address and the password in a file" },
    { "WRONGPASS", ERR_DENIED, false, "; correct the user in its address or the password's file" },
    { "ERR invalid password", ERR_DENIED, false, "; correct the password's file" },
    { "NOPERM", ERR_DENIED, false, "; docs/channels.md has the ACLs that are needed" },
    { "WRONGTYPE", ERR_INVALID, false, "; delete the key, the controller writes it anew" },
    { "READONLY", ERR_UNAVAILABLE, true, "; name the primary" },
    { "MASTERDOWN", ERR_UNAVAILABLE, true, "" },
    { "LOADING", ERR_UNAVAILABLE, true, "" },
    { "OOM", ERR_UNAVAILABLE, false, "; raise its maxmemory, or give Baton a Redis of its own" },
    { "MISCONF", ERR_UNAVAILABLE, false,
      "; let it save again, or turn stop-writes-on-bgsave-error off: Baton needs nothing "
      "that it saves" },
    { "MOVED", ERR_INVALID, false, "; it is a Redis Cluster, name a Redis that is none" },
    { "CLUSTERDOWN", ERR_INVALID, false, "; it is a Redis Cluster, name a Redis that is none" },
};

static int refused(struct redis *r, const redisReply *reply, struct errmsg *m)
{
    const char *text = reply->str ? reply->str : "";

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *what = &refusals[i];

        if (strncmp(text, what->begins, strlen(what->begins)) != 0)
            continue;
        err_set(m, what->error, "Redis %s: %.300s%s", redis_server(r), text, what->mend);
        if (what->leave) {
            redis_hang_up(r);
            r->good = (r->good + 1) % r->server_count;
        }
        return what->error;
    }
    return err_set(m, ERR_INVALID, "Redis %s: %.300s", redis_server(r), text);
}

/* On the connection that there is. */
static int converse(struct redis *r, redisReply **ret, int argc, const char **argv, const size_t *lens,
                    struct errmsg *m)
{
    redisReply *reply = NULL;
    int e = redis_send(r, argc, argv, lens, m);

    if (e == ERR_OK)
        e = redis_next(r, &reply, COMMAND_MS_MAX, m);
    if (e == ERR_OK && !reply)
        e = broken(r, "read from", NULL, m);
    if (e == ERR_OK && reply->type == REDIS_REPLY_ERROR)
        e = refused(r, reply, m);
    if (e == ERR_OK && ret)
        *ret = reply;
    else
        redis_reply_free(reply);
    return e;
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

static int dial(struct redis *r, const struct server *s, struct errmsg *m)
{
    char why[DIAL_WHY_MAX];

    r->reader = hiredis.redisReaderCreate();
    if (!r->reader)
        return err_set(m, ERR_NOMEM, "connect to Redis");
    r->dial = dial_open(s->tls ? r->tls : NULL, s->address, s->host, clock_ms() + CONNECT_MS_MAX, why);
    return r->dial ? ERR_OK : broken(r, "connect to", why, m);
}

static int greet(struct redis *r, const struct server *s, struct errmsg *m)
{
    char password[TOKEN_MAX + 1] = "";
    int e = ERR_OK;

    if (r->password_file) {
        const char *with_user[] = { "AUTH", s->user, password }, *without[] = { "AUTH", password };

        e = token_read(password, r->password_file, 1, m);
        if (e == ERR_OK)
            e = s->user[0] ? converse(r, NULL, 3, with_user, NULL, m) : converse(r, NULL, 2, without, NULL, m);
        explicit_bzero(password, sizeof(password));
    }
    if (e == ERR_OK && s->database[0])
        e = converse(r, NULL, 2, (const char *[]){ "SELECT", s->database }, NULL, m);
    if (e == ERR_OK) /* a Redis that wants a password says so now, not in the middle of something */
        e = converse(r, NULL, 1, (const char *[]){ "PING" }, NULL, m);
    if (e < 0 && r->dial)
        redis_hang_up(r);
    return e;
}

int redis_connect(struct redis *r, struct errmsg *m)
{
    const int first = r->good;
    int e = ERR_UNAVAILABLE;

    if (r->dial)
        return ERR_OK;
    for (int i = 0; i < r->server_count && e == ERR_UNAVAILABLE; i++) {
        r->good = (first + i) % r->server_count;
        e = dial(r, &r->servers[r->good], m);
        if (e == ERR_OK)
            e = greet(r, &r->servers[r->good], m);
    }
    if (e == ERR_OK)
        r->connects++;
    return e;
}

int redis_command(struct redis *r, redisReply **ret, int argc, const char **argv, const size_t *lens, struct errmsg *m)
{
    const bool was_connected = r->dial != NULL;
    int e = redis_connect(r, m);

    if (e == ERR_OK)
        e = converse(r, ret, argc, argv, lens, m);
    if (e == ERR_UNAVAILABLE && was_connected && !r->dial) {
        e = redis_connect(r, m);
        if (e == ERR_OK)
            e = converse(r, ret, argc, argv, lens, m);
    }
    return e;
}
