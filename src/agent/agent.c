/*
 * agent - the loop, the endpoints, and the end. See agent.h, and internal.h for the parts.
 *
 *   GET  /v1/agent     what it is at, as JSON
 *   GET  /healthz      200 as long as the loop turns
 *   GET  /readyz       200 when the application answers, has joined, and may be handed a partition
 *   GET  /v1/change    what --on-change is given on its stdin
 *   GET  /prestop      (or POST) an orchestrator's hook: holds everything, lets the application commit and leave, says
 *                      goodbye, and answers when that is done; 504 when the grace did not suffice
 */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settle.h"
#include "http/server.h"

#define LOOK_MS 250      /* at an application where nothing is on its way */
#define LOOK_SOON_MS 5   /* and where something is ... */
#define LOOK_LATER_MS 50 /* ... for longer than RESTLESS_MS */
#define RESTLESS_MS 1000
#define ASSERT_MS 1000 /* the desired state is told again */
#define DEAF_MS 250    /* after an answer that could not be used */
#define STATE_BYTES_MAX (4 * 1024 * 1024)

#define SETTLED_MS 5000 /* after the start, and after the document has changed */

/* Of the grace: what is not for draining. */
#define COMMIT_MS 2000
#define LEAVE_MS 3000

struct face {
    struct agent agent; /* first */
    struct http_server *server;
    struct event *wake, *timer, *stops[2];
    struct http_exchange *prestop; /* waits for the end */
    int64_t put_not_before_ms, get_not_before_ms;
    bool stopping, abandoned, grace_told, exits;
    uint64_t stopped_life; /* number of the process that is being stopped */
    int64_t stop_by_ms;
    int64_t settled_ms;     /* the code of the start, or of a switch, is given back then, 0: it has been */
    uint64_t settled_epoch; /* of the document then */
};

/* --- the application ----------------------------------------------------------------------------------------------- */

static void on_answer(void *opaque, struct application_answer *answer)
{
    struct face *f = opaque;
    const int64_t now_ms = clock_ms();

    f->get_not_before_ms = now_ms + (answer->error && answer->error != ERR_CONFLICT ? DEAF_MS : 0);
    if (answer->error)
        f->put_not_before_ms = now_ms + DEAF_MS;
    heard_take(&f->agent, answer);
    event_active(f->wake, EV_READ, 0);
}

static int64_t look_ms(const struct agent *a, int64_t now_ms)
{
    if (!member_restless(a))
        return LOOK_MS;
    return now_ms - a->changed_ms < RESTLESS_MS ? LOOK_SOON_MS : LOOK_LATER_MS;
}

static void put(struct face *f, int64_t now_ms)
{
    struct agent *a = &f->agent;
    struct str body = STR_WITH_MAX(LIFECYCLE_BYTES_MAX);
    struct errmsg m = { 0 };

    a->put_ms = now_ms;
    if (member_desired(a, &body, &m) == ERR_OK)
        application_put(a->application, a->revision, body.buf, body.len);
    else
        log_error("application_untold", "error=\"%s\"", m.text);
    str_free(&body);
}

static void talk(struct face *f)
{
    struct agent *a = &f->agent;
    const int64_t now_ms = clock_ms();
    const bool due = a->life >= LIFE_TAKING && (a->accepted < a->revision || now_ms - a->put_ms >= ASSERT_MS);

    if (!a->application || application_busy(a->application))
        return;
    if (due && now_ms >= f->put_not_before_ms)
        put(f, now_ms);
    else if (now_ms >= f->get_not_before_ms && now_ms - a->heard_ms >= look_ms(a, now_ms))
        application_get(a->application);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

static void grace_tell(struct face *f)
{
    const struct agent_config *config = f->agent.config;
    const int64_t drain_ms = config->grace_ms - COMMIT_MS - LEAVE_MS,
                  longest_ms = f->agent.fleet.spec.processing_ms_max;

    f->grace_told = true;
    if (drain_ms < longest_ms)
        log_warn(
            "grace_too_short",
            "grace_ms=%lld drain_ms=%lld commit_ms=%d leave_ms=%d processing_ms_max=%lld, a record that takes as long "
            "as the "
            "fleet file allows would not be finished, and delivered again: give --grace (and the orchestrator's grace "
            "period, which must be longer) %lld ms",
            (long long)config->grace_ms, (long long)drain_ms, COMMIT_MS, LEAVE_MS, (long long)longest_ms,
            (long long)(longest_ms + COMMIT_MS + LEAVE_MS));
    else
        log_info("grace", "grace_ms=%lld drain_ms=%lld commit_ms=%d leave_ms=%d", (long long)config->grace_ms,
                 (long long)drain_ms, COMMIT_MS, LEAVE_MS);
}

static void stop_begin(struct face *f, const char *why)
{
    struct agent *a = &f->agent;

    if (f->stopping)
        return;
    f->stopping = true;
    f->stopped_life = f->agent.life_number;
    f->stop_by_ms = clock_ms() + a->config->grace_ms;
    log_info("stopping", "why=%s grace_ms=%lld, holding, committing, leaving; a second signal ends at once", why,
             (long long)a->config->grace_ms);
    if (a->outside)
        outside_end(a);
    else if (a->life == LIFE_ON)
        member_step(a, (struct holder_event){ .type = HOLDER_CLOSE });
    else
        a->over = true; /* never told it anything, never spoke */
}

static void prestop_answer(struct face *f, int status, const char *text)
{
    if (f->prestop)
        http_answer(f->prestop, status, "text/plain", text, strlen(text), NULL);
    f->prestop = NULL;
}

static void stop_turn(struct face *f)
{
    struct agent *a = &f->agent;
    const int64_t now_ms = clock_ms();

    if (a->taken_over || a->failed)
        event_base_loopbreak(a->base);
    if (!f->stopping)
        return;
    if (!f->exits && !a->outside && a->life_number != f->stopped_life) {
        /* only the application ended, and came again: it is a new member, of which nobody has asked anything */
        prestop_answer(f, 504, "it ended before all was finished: that will be delivered again, to the same color\n");
        f->stopping = f->abandoned = false;
        return;
    }
    if (!a->over && !f->abandoned && now_ms >= f->stop_by_ms - LEAVE_MS && a->life == LIFE_ON) {
        f->abandoned = true;
        if (!a->leave)
            log_warn("grace_over", "not all is finished: what is left will be delivered again, to the same color");
        member_step(a, (struct holder_event){ .type = HOLDER_ABANDON });
    }
    if (!a->over && now_ms < f->stop_by_ms)
        return;
    if (a->over && !f->abandoned)
        prestop_answer(f, 200, "held, committed, left\n");
    else
        prestop_answer(f, 504, "the grace was too short: what is left will be delivered again, to the same color\n");
    if (f->exits)
        event_base_loopbreak(a->base);
}

/* --- what it shows ------------------------------------------------------------------------------------------------- */

static void answer_text(struct http_exchange *x, int status, const char *text)
{
    http_answer(x, status, "text/plain", text, strlen(text), NULL);
}

static void answer_json(struct http_exchange *x, const struct str *body)
{
    if (str_error(body))
        answer_text(x, 500, "too large\n");
    else
        http_answer(x, 200, "application/json", body->buf, body->len, NULL);
}

static void serve_state(struct face *f, struct http_exchange *x)
{
    struct str body = STR_WITH_MAX(STATE_BYTES_MAX);

    (f->agent.outside ? outside_state : member_state)(&body, &f->agent);
    answer_json(x, &body);
    str_free(&body);
}

static void serve_change(struct face *f, struct http_exchange *x)
{
    struct str body = STR_WITH_MAX(STATE_BYTES_MAX);

    change_document(&body, &f->agent.fleet, f->agent.config->fleet, f->agent.config->color);
    if (body.len == 0)
        answer_text(x, 404, "there is no such fleet yet\n");
    else
        answer_json(x, &body);
    str_free(&body);
}

static void serve_health(struct face *f, struct http_exchange *x)
{
    (void)f;
    answer_text(x, 200, "ok\n");
}

static void serve_ready(struct face *f, struct http_exchange *x)
{
    const char *why = member_unready(&f->agent);
    struct str text = STR_WITH_MAX(WHY_MAX + 2);

    str_addf(&text, "%s\n", *why ? why : "ready");
    answer_text(x, *why ? 503 : 200, text.buf);
    str_free(&text);
}

static void prestop_gone(void *opaque)
{
    struct face *f = opaque;

    f->prestop = NULL;
}

static void serve_prestop(struct face *f, struct http_exchange *x)
{
    if (f->agent.outside) {
        answer_text(
            x, 409,
            "this agent speaks for a whole color, not for this process: when it ends, and when a process ends, the "
            "application goes on as it is\n");
        return;
    }
    if (!f->agent.config->application) {
        answer_text(x, 409, "this agent only tells: it holds nothing, so nothing can be finished or left\n");
        return;
    }
    prestop_answer(f, 409, "asked again by another request\n");
    f->prestop = x;
    http_exchange_on_hung_up(x, prestop_gone, f);
    stop_begin(f, "prestop");
    stop_turn(f);
}

static const struct {
    const char *path, *methods;
    bool open; /* needs no token: probes bring none */
    void (*serve)(struct face *f, struct http_exchange *x);
} routes[] = {
    { "/v1/agent", "GET", false, serve_state },       { "/v1/change", "GET", false, serve_change },
    { "/healthz", "GET", true, serve_health },        { "/readyz", "GET", true, serve_ready },
    { "/prestop", "GET POST", false, serve_prestop },
};

static void on_request(void *opaque, struct http_exchange *x, const struct http_request *request)
{
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (strcmp(request->path, routes[i].path) != 0)
            continue;
        if (!strstr(routes[i].methods, request->method))
            answer_text(x, 405, "another method\n");
        else if (!routes[i].open && !request->authorized)
            answer_text(x, 401, "a token is wanted: Authorization: Bearer ...\n");
        else
            routes[i].serve(opaque, x);
        return;
    }
    answer_text(x, 404, "there are /v1/agent, /v1/change, /healthz, /readyz and /prestop\n");
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void settle_turn(struct face *f)
{
    const uint64_t epoch = f->agent.fleet.applied.epoch;

    if (f->settled_epoch != epoch)
        f->settled_ms = clock_ms() + SETTLED_MS;
    f->settled_epoch = epoch;
    if (!f->settled_ms || clock_ms() < f->settled_ms)
        return;
    memory_settle();
    f->settled_ms = 0;
}

/* --- the loop ------------------------------------------------------------------------------------------------------ */

static void brokers_turn(struct agent *a)
{
    struct kafka_answer *answer;
    struct kafka_appended appended;

    while (a->admin && (answer = kafka_admin_poll(a->admin))) {
        (a->outside ? outside_answered : witness_answered)(a, answer);
        kafka_answer_free(answer);
    }
    while (a->channel && channel_reported(a->channel, &appended))
        report_answered(a, &appended);
}

static void timer_set(struct face *f)
{
    const struct agent *a = &f->agent;
    const int64_t now_ms = clock_ms(), look = a->outside ? LOOK_MS : look_ms(a, now_ms);
    int64_t wait_ms = a->life == LIFE_ON ? holder_next_ms(&a->holder, now_ms) - now_ms : LOOK_MS;
    struct timeval tv;

    wait_ms = look < wait_ms ? look : wait_ms;
    if (a->outside && outside_wait_ms(a) < wait_ms)
        wait_ms = outside_wait_ms(a);
    wait_ms = wait_ms > 1 ? wait_ms : 1;
    tv = (struct timeval){ .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };
    event_add(f->timer, &tv);
}

static void tell_change(struct agent *a)
{
    struct str document = STR_WITH_MAX(STATE_BYTES_MAX);

    if (!a->control_read || !a->change_due) {
        change_turn(a->change);
        return;
    }
    a->change_due = false;
    change_document(&document, &a->fleet, a->config->fleet, a->config->color);
    if (str_error(&document))
        log_error("change_untold", "error=\"the document is too large\"");
    else
        change_tell(a->change, document.len > 0 ? document.buf : "");
    str_free(&document);
}

static void turn(struct face *f)
{
    struct agent *a = &f->agent;

    kafka_eventfd_clear(a->wake_fd);
    follow_turn(a);
    brokers_turn(a);
    (a->outside ? outside_turn : member_turn)(a);
    if (a->change)
        tell_change(a);
    if (a->fleet.exists && a->application && !f->grace_told)
        grace_tell(f);
    stop_turn(f);
    talk(f);
    settle_turn(f);
    timer_set(f);
}

static void on_turn(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    turn(opaque);
}

static void on_stop(evutil_socket_t number, short what, void *opaque)
{
    struct face *f = opaque;

    (void)what;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    f->exits = true;
    stop_begin(f, number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop_turn(f);
}

static int face_open(struct face *f, struct errmsg *m)
{
    struct agent *a = &f->agent;
    const struct agent_config *config = a->config;
    const struct http_server_config server = {
        .listen = &config->listen, .listen_count = 1, .token_file = config->listen_token_file, .connections_max = 32
    };
    int r = ERR_OK;

    a->base = must(event_base_new());
    a->wake_fd = kafka_eventfd(m);
    if (a->wake_fd < 0)
        return a->wake_fd;
    f->wake = must(event_new(a->base, a->wake_fd, EV_READ | EV_PERSIST, on_turn, f));
    f->timer = must(evtimer_new(a->base, on_turn, f));
    f->stops[0] = must(evsignal_new(a->base, SIGINT, on_stop, f));
    f->stops[1] = must(evsignal_new(a->base, SIGTERM, on_stop, f));
    event_add(f->wake, NULL);
    event_add(f->stops[0], NULL);
    event_add(f->stops[1], NULL);
    member_open(a);
    follow_open(a);
    if (config->application)
        r = application_open(&a->application, a->base, config->application, config->application_token_file, on_answer,
                             f, m);
    if (r == ERR_OK && drive_wanted(&config->drive))
        r = outside_open(a, m);
    if (r == ERR_OK && (config->change.command || config->change.signal))
        r = change_open(&a->change, a->base, &config->change, m);
    if (r == ERR_OK)
        r = http_server_open(&f->server, a->base, &server, on_request, f, m);
    return r;
}

static void face_close(struct face *f)
{
    struct agent *a = &f->agent;
    struct event *events[] = { f->wake, f->timer, f->stops[0], f->stops[1] };

    http_server_close(f->server);
    application_close(a->application);
    change_close(a->change);
    outside_close(a);
    follow_close(a);
    member_close(a);
    for (size_t i = 0; i < ARRAY_COUNT(events); i++)
        if (events[i])
            event_free(events[i]);
    if (a->base)
        event_base_free(a->base);
    free(f);
}

/* What went out with the last answer: the loop runs until it is sent. */
static void answers_flush(struct face *f)
{
    const int64_t by_ms = clock_ms() + 1000;

    http_server_stop(f->server);
    while (http_server_pending(f->server) > 0 && clock_ms() < by_ms)
        event_base_loop(f->agent.base, EVLOOP_ONCE);
}

int agent_run(const struct agent_config *config, struct errmsg *m)
{
    struct face *f = must(calloc(1, sizeof(*f)));
    struct agent *a = &f->agent;
    struct channel_config way;
    int r;

    a->config = config;
    a->wake_fd = -1;
    f->settled_ms = clock_ms() + SETTLED_MS;
    snprintf(a->control_topic, sizeof(a->control_topic), "%s%s", config->prefix ? config->prefix : "", CONTROL_TOPIC);
    snprintf(a->reports_topic, sizeof(a->reports_topic), "%s%s", config->prefix ? config->prefix : "", REPORTS_TOPIC);
    way = follow_channel(a);
    r = channel_reach(&way, 10000, m);
    if (r == ERR_OK)
        r = face_open(f, m);
    if (r == ERR_OK) {
        printf("baton agent for fleet %s, %s: http://%s\n", config->fleet, color_name(config->color),
               http_server_address(f->server, 0));
        fflush(stdout);
        turn(f);
        event_base_dispatch(a->base);
        if (a->failed)
            r = err_set(m, a->failed, "%s", a->why);
        else if (a->taken_over)
            r = err_set(m, ERR_CONFLICT, "another agent speaks with the application at %.200s now",
                        config->application);
        else if (f->abandoned || !a->over)
            r = err_set(m, ERR_TIMEOUT,
                        "the grace of %lld ms was too short: what is left will be delivered again, to the same color",
                        (long long)config->grace_ms);
        answers_flush(f);
    }
    face_close(f);
    return r;
}
