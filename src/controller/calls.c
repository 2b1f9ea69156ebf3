/*
 * calls - requests from their arrival to their answer, whoever brought them.
 *
 *   NEW --turn--> (handler) --> TAKEN --> answered
 *                    ^  |
 *                    |  v
 *                  WAITING: for the replay, for a leader, for the mirror to show what was just written
 *
 * Every call has a patience; what it waited for is told when that ends. A call is answered exactly once, and freed
 * at the end of a turn, so nobody is left with a pointer to it.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "http/tls.h"

#define NO_LEADER_MS_MAX 10000  /* how long a change waits for somebody to lead */
#define HANDED_PATIENCE_MS 4000 /* a command whose order nobody took up by then stands for election itself */
#define LEADER_ASK_MS 1000
#define SHOWN_MS 50
#define SHOWN_BYTES_MIN (16 * 1024)
#define TAKEN_EVERY_MS 100
#define TURN_MS_MAX 20 /* a crowd of readers does not keep the fleets' switchers waiting */

static char *copy(const char *text, size_t len)
{
    char *to = malloc(len + 1);

    ASSERT(to != NULL);
    memcpy(to, text, len);
    to[len] = '\0';
    return to;
}

struct call *call_new(struct controller *c, const struct api_request *request, api_answered *answered, void *opaque)
{
    struct call *call = calloc(1, sizeof(*call));
    const char *body = request->body ? request->body : "";

    ASSERT(call != NULL);
    call->c = c;
    text_copy(call->method, sizeof(call->method), request->method);
    call->path = copy(request->path, strlen(request->path));
    call->query = copy(request->query ? request->query : "", request->query ? strlen(request->query) : 0);
    call->content_type =
        request->content_type ? copy(request->content_type, strlen(request->content_type)) : copy("", 0);
    call->accept = copy(request->accept ? request->accept : "", request->accept ? strlen(request->accept) : 0);
    call->body = copy(body, request->body ? request->body_len : 0);
    call->body_len = request->body ? request->body_len : 0;
    call->pieces = request->pieces;
    text_copy(call->by, sizeof(call->by), request->by && *request->by ? request->by : c->by ? c->by : "");
    if (!request->request_id || !body_id_clean(request->request_id) ||
        !text_copy(call->request_id, sizeof(call->request_id), request->request_id))
        random_hex(call->request_id, 32);
    call->began_ms = clock_ms();
    call->deadline_ms = call->began_ms + (request->patience_ms > 0 ? request->patience_ms : PATIENCE_MS);
    call->answered = answered;
    call->opaque = opaque;
    *c->calls_end = call;
    c->calls_end = &call->next;
    controller_wake(c);
    return call;
}

void call_free(struct call *call)
{
    struct entry *e = call->spec ? entry_make(call->c, call->spec->fleet) : NULL;

    ASSERT(call->led == NULL);
    if (call->append)
        call->append->call = NULL;
    if (e && e->birth == call)
        e->birth = NULL;
    brokers_forget(call->c->brokers, call);
    reading_free(call->reading);
    if (call->fleet)
        free(call->fleet->batons);
    free(call->fleet);
    free(call->spec);
    free(call->order);
    free(call->path);
    free(call->query);
    free(call->content_type);
    free(call->accept);
    free(call->body);
    free(call);
}

void controller_request(struct controller *c, const struct api_request *request, api_answered *answered, void *opaque)
{
    call_new(c, request, answered, opaque);
}

struct call *call_after(const struct controller *c, const struct call *call)
{
    struct call *next = call ? call->next : c->calls;

    return next || (call && call->taken_at) ? next : c->taken;
}

void controller_forget(struct controller *c, api_answered *answered, void *opaque)
{
    for (struct call *call = call_after(c, NULL); call; call = call_after(c, call))
        if (call->answered == answered && call->opaque == opaque)
            call->answered = NULL;
}

/* --- two lists ---------------------------------------------------------------------------------------------------- */

/* Out of the first list already. */
static void call_take(struct call *call)
{
    struct controller *c = call->c;

    call->next = c->taken;
    call->taken_at = &c->taken;
    if (c->taken)
        c->taken->taken_at = &call->next;
    c->taken = call;
}

/* It is TAKEN no more. */
static void call_give_back(struct call *call)
{
    struct controller *c = call->c;

    if (!call->taken_at)
        return;
    *call->taken_at = call->next;
    if (call->next)
        call->next->taken_at = call->taken_at;
    call->taken_at = NULL;
    call->next = NULL;
    *c->calls_end = call;
    c->calls_end = &call->next;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void call_answer(struct call *call, const struct api_answer *answer)
{
    api_answered *answered = call->answered;

    ASSERT(call->state != CALL_DONE);
    if (call->led)
        led_call_forget(call->led, call);
    call->state = CALL_DONE;
    call_give_back(call);
    call->answered = NULL;
    controller_wake(call->c); /* to be freed */
    if (answered)
        answered(call->opaque, answer);
    else if (answer->pieces.more)
        answer->pieces.over(answer->pieces.opaque);
}

static char *shown_name(const struct call *call)
{
    const size_t path_len = strlen(call->path), query_len = strlen(call->query);
    char *name = malloc(path_len + query_len + 2);

    ASSERT(name != NULL);
    snprintf(name, path_len + query_len + 2, "%s?%s", call->path, call->query);
    return name;
}

static void shown_keep(const struct call *call, const char *body, size_t len)
{
    struct controller *c = call->c;
    struct shown *s = &c->shown[c->shown_next];

    if (strcmp(call->method, "GET") != 0 || len < SHOWN_BYTES_MIN)
        return;
    c->shown_next = (c->shown_next + 1) % SHOWN_MAX;
    free(s->asked);
    free(s->text);
    *s = (struct shown){ shown_name(call), copy(body, len), len, c->mirror.position, clock_ms() };
}

void shown_forget(struct controller *c, int64_t older_than_ms)
{
    for (int i = 0; i < SHOWN_MAX; i++)
        if (c->shown[i].asked && clock_ms() - c->shown[i].made_ms >= older_than_ms) {
            free(c->shown[i].asked);
            free(c->shown[i].text);
            c->shown[i] = (struct shown){ 0 };
        }
}

bool shown_before(struct call *call)
{
    struct controller *c = call->c;
    char *name = shown_name(call);
    bool found = false;

    for (int i = 0; i < SHOWN_MAX && !found && !strcmp(call->method, "GET"); i++) {
        const struct shown *s = &c->shown[i];

        if (!s->asked || strcmp(s->asked, name) != 0 || s->position != c->mirror.position ||
            clock_ms() - s->made_ms >= SHOWN_MS)
            continue;
        call_answer(call, &(struct api_answer){
                              .status = 200, .content_type = "application/json", .body = s->text, .body_len = s->len });
        found = true;
    }
    free(name);
    return found;
}

void call_text(struct call *call, int status, const char *content_type, const char *body, size_t len)
{
    if (status == 200)
        shown_keep(call, body, len);
    call_answer(call,
                &(struct api_answer){ .status = status, .content_type = content_type, .body = body, .body_len = len });
}

void call_json(struct call *call, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    ASSERT(text != NULL);
    call_text(call, status, "application/json", text, strlen(text));
    free(text);
}

void call_str(struct call *call, int status, struct str *json)
{
    if (str_error(json))
        call_error(call, 500, "internal", NULL, NULL, "the answer is larger than %zu bytes", json->max);
    else
        call_text(call, status, "application/json", json->buf, json->len);
    str_free(json);
}

int status_of_error(int error)
{
    switch (error) {
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
    case ERR_STATE:
        return 409;
    case ERR_DENIED:
        return 403;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_UNAVAILABLE:
    case ERR_KAFKA:
    case ERR_CLOSED:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    default:
        return 500;
    }
}

const char *code_of_status(int status)
{
    switch (status) {
    case 400:
    case 415:
    case 411:
        return "invalid";
    case 401:
    case 403:
        return "denied";
    case 404:
        return "not-found";
    case 405:
        return "method-not-allowed";
    case 409:
        return "conflict";
    case 413:
    case 431:
        return "too-large";
    case 422:
        return "refused";
    case 503:
        return "unavailable";
    case 408:
    case 504:
        return "timeout";
    default:
        return status >= 500 ? "internal" : "invalid";
    }
}

void error_encode(struct str *ret, const char *code, const char *message, const char *mend, json_t *findings,
                  const char *request_id)
{
    json_t *error = json_pack("{s:s, s:s#}", "code", code, "message", message, (int)strlen(message)), *all;
    char *text;

    if (!error) /* not UTF-8: some broker's own words */
        error = json_pack("{s:s, s:s}", "code", code, "message", "(a message that is not UTF-8)");
    if (mend)
        json_object_set_new(error, "mend", json_string(mend));
    if (findings)
        json_object_set_new(error, "findings", findings);
    if (request_id)
        json_object_set_new(error, "request_id", json_string(request_id));
    all = json_pack("{s:o}", "error", error);
    text = json_dumps(all, JSON_COMPACT);
    ASSERT(text != NULL);
    str_add(ret, text);
    free(text);
    json_decref(all);
}

void call_pieces(struct call *call, int status, const char *content_type, struct http_pieces pieces)
{
    struct str all = STR_WITH_MAX(HTTP_PIECE_MAX);
    int more = 1;

    if (call->pieces) {
        call_answer(call, &(struct api_answer){ .status = status, .content_type = content_type, .pieces = pieces });
        return;
    }
    while (more > 0)
        more = pieces.more(pieces.opaque, &all);
    pieces.over(pieces.opaque);
    if (more < 0 || str_error(&all))
        call_error(call, 500, "internal", "ask over HTTP, where it comes in pieces", NULL, "the answer is too large");
    else
        call_text(call, status, content_type, all.buf, all.len);
    str_free(&all);
}

void call_error(struct call *call, int status, const char *code, const char *mend, json_t *findings, const char *fmt,
                ...)
{
    struct str body = STR_WITH_MAX(512 * 1024), message = STR_WITH_MAX(4096);
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&message, fmt, ap);
    va_end(ap);
    error_encode(&body, code, message.buf, mend, findings, call->request_id);
    str_free(&message);
    call_str(call, status, &body);
}

void call_fail(struct call *call, int error, const struct errmsg *m)
{
    const int status = status_of_error(error);

    call_error(call, status, code_of_status(status), NULL, NULL, "%s", m->text[0] ? m->text : err_text(error));
}

void call_redirect(struct call *call, const char *location)
{
    struct str body = STR_WITH_MAX(8192), message = STR_WITH_MAX(4096);

    str_addf(&message, "another controller leads: %s", location);
    error_encode(&body, "moved", message.buf, "send the same request there", NULL, call->request_id);
    call_answer(call, &(struct api_answer){ .status = 307,
                                            .content_type = "application/json",
                                            .body = body.buf,
                                            .body_len = body.len,
                                            .location = location });
    str_free(&message);
    str_free(&body);
}

void call_again(struct call *call)
{
    ASSERT(call->state != CALL_DONE);
    call->state = CALL_NEW;
    call_give_back(call);
    controller_wake(call->c);
}

void call_wait(struct call *call, const char *what)
{
    call->state = CALL_WAITING;
    call_give_back(call);
    call->wait = what;
}

/* --- to the leader ------------------------------------------------------------------------------------------------ */

static void on_leader_group(void *opaque, struct kafka_answer *a)
{
    bool *out = opaque;
    struct controller *c = (struct controller *)((char *)out - offsetof(struct controller, leader_question_out));
    struct errmsg m = { 0 };

    *out = false;
    c->group_members = a->error == ERR_OK && a->group.known ? a->group.member_count : -1;
    if (c->group_members <= 0 && election_join(c->election, &m) < 0)
        snprintf(c->election_trouble, sizeof(c->election_trouble), "%.500s", m.text);
    controller_wake(c);
}

/* A command: the group of the controllers tells whether anybody stands for election; nobody is disturbed by asking. */
static void command_to_leader(struct call *call)
{
    struct controller *c = call->c;

    if (c->election_trouble[0]) {
        call_error(call, 503, "unavailable", NULL, NULL, "%s", c->election_trouble);
    } else if (election_joined(c->election)) {
        if (c->other_leads && c->reign.state == CLAIM_NONE)
            handed_send(call);
        else
            call_wait(call, "the election of a leader");
    } else if (c->group_members > 0) {
        handed_send(call);
    } else {
        if (!c->leader_question_out && (c->leader_asked_ms == 0 || clock_ms() - c->leader_asked_ms > LEADER_ASK_MS)) {
            c->leader_question_out = true;
            c->leader_asked_ms = clock_ms();
            brokers_group(c->brokers, c->group, on_leader_group, &c->leader_question_out);
        }
        call_wait(call, "the answer whether a controller leads");
    }
}

void call_to_leader(struct call *call)
{
    struct controller *c = call->c;
    const struct claim *claim = &c->mirror.claim;
    char location[900];

    if (call->from_handed || claim_under_way(&c->reign)) {
        call_wait(call, "this controller to begin its lead");
    } else if (c->config.lead == CONTROLLER_COMMAND) {
        command_to_leader(call);
    } else if (!c->mirror.claim_known || !strcmp(claim->controller, c->id) || !c->other_leads) {
        /* the log only knows who claimed last; that somebody has the lead now, the group must have told us */
        call_wait(call, "a controller to lead");
        if (clock_ms() - call->began_ms > NO_LEADER_MS_MAX)
            call_error(call, 503, "unavailable", "try again in some seconds; see the controllers' logs if it lasts",
                       NULL, "no controller leads at the moment%s%s", c->election_trouble[0] ? ": " : "",
                       c->election_trouble);
    } else if (claim->address[0]) {
        snprintf(location, sizeof(location), "%s%s%s%s", claim->address, call->path, call->query[0] ? "?" : "",
                 call->query);
        call_redirect(call, location);
    } else {
        handed_send(call); /* a command leads: it has no address, but it reads the same topics */
    }
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void call_late(struct call *call)
{
    if (call->state == CALL_TAKEN && call->handed)
        call_error(call, 504, "timeout",
                   "the order may still be carried out: repeat it with the same request_id to learn", NULL,
                   "the controller that leads has not answered in time");
    else if (call->state == CALL_TAKEN)
        call_error(call, 504, "timeout",
                   "what was asked may still be carried out: repeat it with the same request_id to learn", NULL,
                   "it took longer than the request's patience");
    else
        call_error(call, 503, "unavailable", NULL, NULL, "waited in vain for %s%s%s",
                   call->wait ? call->wait : "its turn", call->c->trouble[0] ? ": " : "", call->c->trouble);
}

static void call_turn(struct call *call, int64_t now_ms)
{
    struct controller *c = call->c;
    struct errmsg m = { 0 };

    if (call->state == CALL_TAKEN && call->handed && c->config.lead == CONTROLLER_COMMAND &&
        !election_joined(c->election) && now_ms - call->handed_ms > HANDED_PATIENCE_MS) {
        log_info("order_not_taken_up", "request=%s, standing for election", call->request_id);
        if (election_join(c->election, &m) < 0)
            snprintf(c->election_trouble, sizeof(c->election_trouble), "%.500s", m.text);
    }
    if (call->state == CALL_NEW || (call->state == CALL_WAITING && now_ms >= call->again_ms)) {
        call->state = CALL_NEW;
        call->again_ms = 0;
        api_dispatch(c, call);
        ASSERT(call->state != CALL_NEW);
    }
    if (call->state != CALL_DONE && now_ms >= call->deadline_ms)
        call_late(call);
}

static void calls_sweep(struct controller *c)
{
    struct call **at = &c->calls;

    while (*at) {
        struct call *call = *at;

        if (call->state == CALL_NEW || call->state == CALL_WAITING) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        if (call->state == CALL_TAKEN)
            call_take(call);
        else
            call_free(call);
    }
    c->calls_end = at;
}

/* Of those that somebody else will answer only the patience is looked after, now and then. */
static void taken_turn(struct controller *c, int64_t now_ms)
{
    struct call *next;

    if (now_ms - c->taken_ms < TAKEN_EVERY_MS)
        return;
    c->taken_ms = now_ms;
    for (struct call *call = c->taken; call; call = next) {
        next = call->next;
        call_turn(call, now_ms);
    }
}

void calls_turn(struct controller *c)
{
    int64_t now_ms = clock_ms(), end_ms = now_ms + TURN_MS_MAX;

    taken_turn(c, now_ms);
    for (struct call *call = c->calls; call && now_ms <= end_ms; call = call->next) {
        const enum call_state was = call->state;

        if (call->state != CALL_DONE)
            call_turn(call, now_ms);
        if (was == CALL_NEW || was == CALL_WAITING) /* the others cost nothing */
            now_ms = clock_ms();
    }
    if (now_ms > end_ms)
        event_add(c->turn_event, &(struct timeval){ 0 }); /* the others when sockets have been looked at */
    calls_sweep(c);
    shown_forget(c, 20 * SHOWN_MS);
}
