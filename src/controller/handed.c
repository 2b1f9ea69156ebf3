/*
 * handed - orders that come and go through the reports topic, for controllers that cannot be reached by HTTP.
 *
 *   asker:  appends order/<request id> (method, path, body, patience)
 *   leader: reads it, answers it through the same routes as an HTTP request, appends the answer with the same key
 *   asker:  reads the answer, hands it on, appends a tombstone
 *
 * A leader that dies in between leaves the order in the log: the next one takes it up, within its patience. Doing it
 * twice does no harm, since an operation carries its request id. An order whose patience is over is answered by
 * nobody; a leader buries it a minute later. Whoever may write into the reports topic may order: docs/security.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"

#define HANDED_MAX 256 /* orders that are known and not answered */
#define BURY_AFTER_MS 60000

static void append_handed(struct controller *c, const char *id, const struct handed *handed)
{
    struct record_key key = { .kind = RECORD_ORDER, .shard = -1 };
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    char name[RECORD_KEY_MAX];
    struct errmsg m = { 0 };

    text_copy(key.id, sizeof(key.id), id);
    record_key_format(name, &key);
    if (!handed)
        controller_append(c, APPEND_LOOSE, NULL, false, name, NULL, 0);
    else if (handed_encode(&text, handed, &m) == ERR_OK)
        controller_append(c, APPEND_LOOSE, NULL, false, name, text.buf, text.len);
    else
        log_error("order_not_written", "request=%s error=\"%s\"", id, m.text);
    str_free(&text);
}

/* --- the asker ---------------------------------------------------------------------------------------------------- */

void handed_send(struct call *call)
{
    struct handed handed = { .unix_ms = clock_unix_ms(), .patience_ms = call->deadline_ms - clock_ms() };

    if (snprintf(handed.path, sizeof(handed.path), "%s%s%s", call->path, call->query[0] ? "?" : "", call->query) >=
        (int)sizeof(handed.path)) {
        call_error(call, 404, "not-found", NULL, NULL, "the path is too long to be one of ours");
        return;
    }
    text_copy(handed.method, sizeof(handed.method), call->method);
    text_copy(handed.by, sizeof(handed.by), call->by);
    handed.body = call->body;
    call->state = CALL_TAKEN;
    call->handed = true;
    call->handed_ms = clock_ms();
    log_debug("order_handed", "request=%s method=%s path=%s", call->request_id, call->method, call->path);
    append_handed(call->c, call->request_id, &handed);
}

static void answer_came(struct controller *c, const char *id, const struct handed *answer)
{
    for (struct call *call = call_after(c, NULL), *next; call; call = next) {
        next = call_after(c, call);
        if (call->handed && call->state == CALL_TAKEN && !strcmp(call->request_id, id)) {
            call_text(call, answer->status, "application/json", answer->body ? answer->body : "",
                      answer->body ? strlen(answer->body) : 0);
            append_handed(c, id, NULL);
        }
    }
}

/* --- the leader --------------------------------------------------------------------------------------------------- */

struct handed_ticket {
    struct controller *c;
    char id[REQUEST_ID_MAX + 1];
};

static void on_answered(void *opaque, const struct api_answer *answer)
{
    struct handed_ticket *ticket = opaque;
    struct handed handed = { .is_answer = true, .status = answer->status, .unix_ms = clock_unix_ms() };

    handed.body = (char *)answer->body;
    append_handed(ticket->c, ticket->id, &handed);
    free(ticket);
}

static void handed_remove(struct handed_order **at)
{
    struct handed_order *o = *at;

    *at = o->next;
    free(o->handed.body);
    free(o);
}

static void take(struct controller *c, struct handed_order *o, int64_t left_ms)
{
    struct handed_ticket *ticket = calloc(1, sizeof(*ticket));
    char path[sizeof(o->handed.path)];
    const size_t path_len = strcspn(o->handed.path, "?");
    const struct api_request request = {
        .method = o->handed.method,
        .path = path,
        .query = o->handed.path[path_len] ? o->handed.path + path_len + 1 : NULL,
        .content_type = o->handed.body && o->handed.body[0] != '{' ? "application/yaml" : "application/json",
        .body = o->handed.body,
        .body_len = o->handed.body ? strlen(o->handed.body) : 0,
        .by = o->handed.by,
        .request_id = o->id,
        .patience_ms = left_ms,
    };

    ASSERT(ticket != NULL);
    memcpy(path, o->handed.path, path_len);
    path[path_len] = '\0';
    ticket->c = c;
    text_copy(ticket->id, sizeof(ticket->id), o->id);
    o->taken = true;
    log_info("order_taken", "request=%s method=%s path=%s by=%s", o->id, request.method, request.path, o->handed.by);
    call_new(c, &request, on_answered, ticket)->from_handed = true;
}

void handed_turn(struct controller *c)
{
    const int64_t now_unix_ms = clock_unix_ms();

    if (!controller_leads(c))
        return;
    for (struct handed_order **at = &c->handed; *at;) {
        struct handed_order *o = *at;
        const int64_t left_ms = o->handed.unix_ms + o->handed.patience_ms - now_unix_ms;

        if (!o->taken && left_ms > 0) {
            take(c, o, left_ms);
        } else if (left_ms < -BURY_AFTER_MS) {
            append_handed(c, o->id, NULL);
            handed_remove(at);
            continue;
        }
        at = &o->next;
    }
}

/* --- what the log brings ------------------------------------------------------------------------------------------ */

void handed_record(struct controller *c, const char *id, const char *json, size_t len)
{
    struct handed_order **at = &c->handed;
    struct handed handed = { 0 };
    struct errmsg why = { 0 };
    int count = 0;

    for (; *at && strcmp((*at)->id, id) != 0; at = &(*at)->next)
        count++;
    if (json && handed_decode(&handed, json, len, &why) < 0) {
        log_warn("order_corrupt", "request=%s error=\"%s\", skipped", id, why.text);
        return;
    }
    if (!json || handed.is_answer) {
        if (*at)
            handed_remove(at);
        if (json)
            answer_came(c, id, &handed);
        free(handed.body);
        return;
    }
    if (*at || count >= HANDED_MAX) {
        if (!*at)
            log_warn("orders_too_many", "request=%s limit=%d, skipped", id, HANDED_MAX);
        free(handed.body);
        return;
    }
    *at = calloc(1, sizeof(**at));
    ASSERT(*at != NULL);
    text_copy((*at)->id, sizeof((*at)->id), id);
    (*at)->handed = handed;
    (*at)->heard_ms = clock_ms();
}

void handed_free(struct controller *c)
{
    while (c->handed)
        handed_remove(&c->handed);
}
