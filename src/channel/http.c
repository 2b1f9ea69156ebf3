/*
 * http - a controller reads the control log for the member, and writes its reports (docs/channels.md).
 *
 * A stream of server-sent events down, a request for each report and each question up (http/client.h), as relay.h wants
 * them. Any controller will do, leader or follower; the servers are tried in turn, from the one that answered last on. A
 * stream begins with the fleet's newest records, so a stream that broke costs nothing but time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "channel/relay.h"
#include "http/client.h"

#define SERVER_MAX 300

struct way {
    struct relay relay; /* first */
    char servers[CHANNEL_SERVERS_MAX][SERVER_MAX];
    int server_count;
    struct http_client *streams[CHANNEL_SERVERS_MAX], *requests[CHANNEL_SERVERS_MAX];
    int next; /* server of the next stream: its thread's own */
    /* under the relay's lock */
    int stream_server; /* the stream is with this one */
    int good;          /* the server that answered last */
};

static struct way *way_of(struct relay *r)
{
    return (struct way *)r;
}

static void note_good(struct way *w, int server)
{
    pthread_mutex_lock(&w->relay.lock);
    w->good = server;
    pthread_mutex_unlock(&w->relay.lock);
    relay_good(&w->relay);
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

struct stream {
    struct way *w;
    int server, generation;
};

/* "OFFSET KEY" and, of a record, a line end and its text. -1: it cannot be read; else what relay_put() says. */
static int record_put(const struct stream *s, const char *data, bool gone)
{
    struct relay *r = &s->w->relay;
    char *rest = NULL;
    const int64_t offset = strtoll(data, &rest, 10);
    size_t key_len;

    if (rest == data || offset < 0 || *rest++ != ' ')
        return -1;
    key_len = strcspn(rest, "\n");
    if (gone == (rest[key_len] == '\n'))
        return -1;
    data = rest + key_len + 1;
    return relay_put(r, s->generation, offset, rest, key_len, gone ? NULL : data, gone ? 0 : strlen(data));
}

static int position_put(const struct stream *s, const char *data)
{
    char *rest = NULL;
    const int64_t position = strtoll(data, &rest, 10);

    if (rest == data || position < 0)
        return -1;
    note_good(s->w, s->server);
    return relay_put_position(&s->w->relay, s->generation, position);
}

static bool on_event(void *opaque, const char *id, const char *type, const char *data)
{
    const struct stream *s = opaque;
    int wanted = 1; /* what it does not know is a newer controller's */

    (void)id;
    if (!strcmp(type, "record") || !strcmp(type, "gone"))
        wanted = record_put(s, data, type[0] == 'g');
    else if (!strcmp(type, "position"))
        wanted = position_put(s, data);
    if (wanted < 0)
        relay_trouble(&s->w->relay, ERR_CORRUPT, "the controller sent an event that cannot be read");
    return wanted > 0;
}

static bool on_idle(void *opaque)
{
    const struct stream *s = opaque;

    return relay_wants(&s->w->relay, s->generation);
}

static int way_stream(struct relay *r, int generation, struct errmsg *m)
{
    struct way *w = way_of(r);
    struct stream s = { .w = w, .generation = generation, .server = w->next };
    char path[FLEET_NAME_MAX + 40];

    snprintf(path, sizeof(path), "/v1/fleets/%s/log", r->fleet);
    w->next = (w->next + 1) % w->server_count;
    pthread_mutex_lock(&r->lock);
    w->stream_server = s.server;
    pthread_mutex_unlock(&r->lock);
    return http_client_events(w->streams[s.server], path, on_event, on_idle, &s, m);
}

/* --- reports and questions ---------------------------------------------------------------------------------------- */

/* One that answers no request is not waited for to notice that its stream is dead, too. */
static void stream_leave(struct way *w, int server)
{
    bool leave;

    pthread_mutex_lock(&w->relay.lock);
    leave = w->stream_server == server && w->server_count > 1;
    pthread_mutex_unlock(&w->relay.lock);
    if (leave)
        relay_leave(&w->relay);
}

/*
 * One request, at the server that answered last, else at the others. A report that was taken by two of them stands in the log
 * twice, the same: no harm.
 */
static int request(struct way *w, const char *method, const char *what, const char *body, size_t len, int64_t *ret_end,
                   struct errmsg *m)
{
    char path[FLEET_NAME_MAX + 40];
    int good, r = ERR_UNAVAILABLE;

    snprintf(path, sizeof(path), "/v1/fleets/%s/%s", w->relay.fleet, what);
    pthread_mutex_lock(&w->relay.lock);
    good = w->good;
    pthread_mutex_unlock(&w->relay.lock);
    for (int i = 0; i < w->server_count && r == ERR_UNAVAILABLE && !relay_stopping(&w->relay); i++) {
        const int server = (good + i) % w->server_count;
        struct http_reply reply = { 0 };

        r = http_client_request(w->requests[server], &reply, method, path, body ? "application/json" : NULL, body, len,
                                m);
        if (r == ERR_UNAVAILABLE || r == ERR_TIMEOUT) {
            r = ERR_UNAVAILABLE;
            stream_leave(w, server);
        }
        if (r < 0)
            continue;
        r = relay_answer(reply.status, reply.body, reply.body_len, ret_end, m);
        http_reply_free(&reply);
        if (r == ERR_OK)
            note_good(w, server);
        else
            err_wrap(m, r, "%s refuses %s %s", w->servers[server], method, path);
    }
    return r;
}

static int way_post(struct relay *r, const char *json, size_t len, struct errmsg *m)
{
    return request(way_of(r), "POST", "reports", json, len, NULL, m);
}

static int way_end(struct relay *r, int64_t *ret, struct errmsg *m)
{
    return request(way_of(r), "GET", "log/end", NULL, 0, ret, m);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static const struct relay_ops relay_ops = { .stream = way_stream, .post = way_post, .end = way_end };

static int servers_read(struct way *w, const char *list, struct errmsg *m)
{
    while (*list) {
        const size_t len = strcspn(list, ",");

        if (w->server_count == CHANNEL_SERVERS_MAX)
            return err_set(m, ERR_TOO_LARGE, "more than %d controllers are named", CHANNEL_SERVERS_MAX);
        if (len == 0 || len >= SERVER_MAX)
            return err_set(m, ERR_INVALID, "'%s' is no list of controllers, such as http://10.0.0.5:8080", list);
        memcpy(w->servers[w->server_count], list, len);
        w->servers[w->server_count++][len] = '\0';
        list += len + (list[len] == ',');
    }
    return w->server_count > 0
               ? ERR_OK
               : err_set(m, ERR_INVALID, "no controller is named: such as http://10.0.0.5:8080,http://10.0.0.6:8080");
}

static int clients_open(struct way *w, const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    int r = servers_read(w, config->servers, m);

    for (int i = 0; i < w->server_count && r == ERR_OK; i++) {
        const struct http_client_config http = { .server = w->servers[i],
                                                 .token_file = config->token_file[0] ? config->token_file : NULL,
                                                 .ca_file = config->ca_file[0] ? config->ca_file : NULL,
                                                 .connect_ms = RELAY_CONNECT_MS_MAX,
                                                 .timeout_ms = timeout_ms };

        r = http_client_open(&w->streams[i], &http, m);
        if (r == ERR_OK)
            r = http_client_open(&w->requests[i], &http, m);
    }
    return r;
}

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = (struct way *)c;

    relay_stop(&w->relay, flush_ms);
    for (int i = 0; i < w->server_count; i++) {
        http_client_close(w->streams[i]);
        http_client_close(w->requests[i]);
    }
    relay_deinit(&w->relay);
    free(w);
}

static int way_new(struct way **ret, const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    struct way *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    relay_init(&w->relay, &channel_http, &relay_ops, config);
    r = clients_open(w, config, timeout_ms, m);
    if (r < 0) {
        way_close(&w->relay.channel, 0);
        return r;
    }
    *ret = w;
    return ERR_OK;
}

static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    struct way *w;
    int64_t end;
    int r = way_new(&w, config, RELAY_REQUEST_MS_MAX < timeout_ms ? RELAY_REQUEST_MS_MAX : timeout_ms, m);

    if (r == ERR_OK) {
        r = way_end(&w->relay, &end, m);
        way_close(&w->relay.channel, 0);
    }
    return r < 0 ? err_wrap(m, r, "baton.channel=http") : relay_brokers_reach(config, timeout_ms, m);
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    struct way *w;
    const int r = way_new(&w, config, RELAY_REQUEST_MS_MAX, m);

    return r < 0 ? r : relay_open(ret, &w->relay, config, m);
}

const struct channel_ops channel_http = { .reach = way_reach, .open = way_open, .close = way_close, RELAY_CHANNEL };
