/*
 * events - server-sent events: what changed, as it stands in the control log.
 *
 * Made where the log is read, by leader and follower alike, and numbered by the log's offsets: who was connected to
 * one controller resumes at another. Those that do not stand in the log (members come and go) carry no id and are not
 * repeated. The newest 1024 are kept; whoever asks for older ones is told with "reset" to read the state anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "controller/internal.h"
#include "http/server.h"

struct event_kept {
    int64_t offset; /* -1: not in the log */
    char type[24];
    char *json;
};

struct event_ring {
    int size, count, next;
    int64_t dropped; /* the newest offset that is not kept any more, -1: none */
    struct event_kept *events;
};

struct controller_watch {
    struct controller_watch *next;
    struct controller *c;
    controller_event *on_event;
    void *opaque;
    struct http_exchange *x;
    bool gone; /* freed when nobody walks the list */
};

struct event_ring *events_ring_new(int size)
{
    struct event_ring *ring = calloc(1, sizeof(*ring));

    ASSERT(ring != NULL);
    ring->size = size;
    ring->dropped = -1;
    ring->events = calloc((size_t)size, sizeof(*ring->events));
    ASSERT(ring->events != NULL);
    return ring;
}

void events_ring_free(struct event_ring *ring)
{
    if (!ring)
        return;
    for (int i = 0; i < ring->size; i++)
        free(ring->events[i].json);
    free(ring->events);
    free(ring);
}

static void watch_tell(struct controller_watch *w, int64_t offset, const char *type, const char *json)
{
    char id[24] = "";
    struct str text = STR_WITH_MAX(1024 * 1024);

    if (offset >= 0)
        snprintf(id, sizeof(id), "%lld", (long long)offset);
    if (!w->x) {
        w->on_event(w->opaque, id[0] ? id : NULL, type, json);
        return;
    }
    if (id[0])
        str_addf(&text, "id: %s\n", id);
    str_addf(&text, "event: %s\ndata: %s\n\n", type, json);
    if (!str_error(&text))
        http_stream_send(w->x, text.buf, text.len);
    str_free(&text);
}

static void watches_sweep(struct controller *c)
{
    for (struct controller_watch **at = &c->watches; *at;) {
        struct controller_watch *w = *at;

        if (!w->gone) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

void events_add(struct controller *c, int64_t offset, const char *type, json_t *json)
{
    struct event_ring *ring = c->ring;
    struct event_kept *kept = &ring->events[ring->next];
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    ASSERT(text != NULL);
    for (struct controller_watch *w = c->watches; w; w = w->next)
        if (!w->gone)
            watch_tell(w, offset, type, text);
    if (offset < 0) {
        free(text);
        return;
    }
    if (ring->count == ring->size)
        ring->dropped = kept->offset;
    else
        ring->count++;
    free(kept->json);
    kept->offset = offset;
    kept->json = text;
    text_copy(kept->type, sizeof(kept->type), type);
    ring->next = (ring->next + 1) % ring->size;
}

void events_log_changed(struct controller *c, const struct mirror_change *change)
{
    struct entry *e = change->fleet ? entry_make(c, change->fleet->name) : NULL;
    const struct mirror_op *o;
    struct errmsg ignored;
    struct op op;

    ASSERT(change->fleet || change->type == MIRROR_CLAIM);
    switch (change->type) {
    case MIRROR_CLAIM:
        events_add(c, change->offset, "leader", view_leader(c));
        break;
    case MIRROR_HEAD:
        events_add(c, change->offset, "fleet", view_fleet_event(e));
        break;
    case MIRROR_OP:
        o = mirror_op_find(change->fleet, change->key.number);
        if (o && mirror_op_decode(&op, o, NULL, NULL, 0, &ignored) == ERR_OK)
            events_add(c, change->offset, "operation", view_op(e, &op, false));
        break;
    case MIRROR_GONE:
        if (change->key.kind == RECORD_HEAD && change->fleet->fleet.exists)
            events_add(c, change->offset, "deleted", json_pack("{s:s}", "fleet", change->fleet->name));
        break;
    case MIRROR_SHARD:
    case MIRROR_PASSES:
    case MIRROR_VOID:
        break;
    }
}

void events_member(struct entry *e, const struct report *r, const char *what)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "fleet", e->mirror->name, "what", what, "color",
                             color_name(r->color), "incarnation", r->incarnation, "client_id", r->client_id, "host",
                             r->host, "version", r->version);

    if (json)
        events_add(e->c, -1, "member", json);
}

/* What happened since `last_event_id`; NULL or "": from now on. */
static void watch_catch_up(struct controller_watch *w, const char *last_event_id)
{
    const struct event_ring *ring = w->c->ring;
    int64_t last;

    if (!last_event_id || !*last_event_id)
        return;
    if (parse_int64(&last, last_event_id, 0, INT64_MAX, NULL) < 0 || last < ring->dropped ||
        last >= w->c->mirror.position) {
        watch_tell(w, -1, "reset", "{\"why\":\"events since then are not kept; read the state anew\"}");
        return;
    }
    for (int i = 0; i < ring->count; i++) {
        const struct event_kept *kept = &ring->events[(ring->next - ring->count + i + ring->size) % ring->size];

        if (kept->offset > last)
            watch_tell(w, kept->offset, kept->type, kept->json);
    }
}

static struct controller_watch *watch_new(struct controller *c)
{
    struct controller_watch *w = calloc(1, sizeof(*w));

    ASSERT(w != NULL);
    w->c = c;
    w->next = c->watches;
    c->watches = w;
    return w;
}

struct controller_watch *controller_watch(struct controller *c, const char *last_event_id, controller_event *on_event,
                                          void *opaque)
{
    struct controller_watch *w = watch_new(c);

    w->on_event = on_event;
    w->opaque = opaque;
    watch_catch_up(w, last_event_id);
    return w;
}

void controller_unwatch(struct controller *c, struct controller_watch *w)
{
    if (!w)
        return;
    w->gone = true;
    controller_wake(c); /* swept in the turn: it may be called from within on_event */
}

static void on_hung_up(void *opaque)
{
    struct controller_watch *w = opaque;

    controller_unwatch(w->c, w);
}

void events_stream(struct controller *c, struct http_exchange *x, const char *last_event_id)
{
    struct controller_watch *w;

    if (!http_stream(x))
        return;
    w = watch_new(c);
    w->x = x;
    http_exchange_on_hung_up(x, on_hung_up, w);
    http_stream_send(x, "retry: 1000\n\n", 13);
    watch_catch_up(w, last_event_id);
}

void events_turn(struct controller *c)
{
    watches_sweep(c);
}

void events_end(struct controller *c)
{
    for (struct controller_watch *w = c->watches; w; w = w->next) {
        if (w->x && !w->gone)
            http_stream_end(w->x);
        w->gone = true;
    }
    watches_sweep(c);
}
