/*
 * internal - the parts of the controller and what they share; nothing outside src/controller includes it.
 *
 *   controller.c  the loop: wakes, polls Kafka, replays, runs the turn; opening and closing
 *   mirror.c      what the log says            brokers.c  questions to the brokers
 *   election.c    who is to lead               reign.c    claim, switchers, batches, effects, healing
 *   fleet_entry.c one fleet's members          calls.c    requests from their arrival to their answer
 *   api.c         routes and handlers          body.c     strict JSON bodies
 *   view.c        state as JSON                events.c   server-sent events
 *   handed.c      orders through Kafka         verify.c   receipts against the brokers
 *   burrow*.c     windows of all groups' commits, and Burrow's HTTP v3
 *   metrics.c     what is counted, and the page for Prometheus
 *   watch.c       what the judge is told        prometheus.c  queries to Prometheus
 *   feed.c        the log for members without rights on it
 *   posted.c      reports that were decoded there already
 *   keeper.c      the same in a Redis
 *   configmap.c   the same in ConfigMaps of a Kubernetes cluster
 *   asks.c        what members ask over these two
 *
 * Callbacks of Kafka, sockets and timers only note what came; controller_turn() does the rest, so no function is
 * entered again while it is at work.
 */
#ifndef CONTROLLER_INTERNAL_H
#define CONTROLLER_INTERNAL_H

#include <jansson.h>

#include "base/str.h"
#include "controller/brokers.h"
#include "controller/burrow.h"
#include "controller/controller.h"
#include "controller/election.h"
#include "controller/metrics.h"
#include "controller/mirror.h"
#include "controller/watch.h"
#include "core/claim.h"
#include "core/switch.h"
#include "wire/spec.h"

#define API_BODY_MAX (8 * 1024 * 1024)
#define PATIENCE_MS 30000

struct call;
struct entry;
struct led;
struct http_server;
struct http_exchange;
struct http_request;
struct posted;

/* --- fleet_entry.c: one fleet, as everybody sees it --------------------------------------------------------------- */

struct member {
    struct report *report;
    int64_t heard_ms;
};

/* Hangs at mirror_fleet.opaque, from the first record or report of the name on. */
struct entry {
    struct controller *c;
    struct mirror_fleet *mirror;
    struct member *members; /* empty while `led`: the switcher has them */
    int member_count, member_room;
    struct led *led;          /* not NULL: we lead this fleet */
    const struct call *birth; /* the call that is making it, NULL: none */
    struct tally *tally;      /* metrics.h; NULL: nothing was counted yet */
    struct lags *lags;
    struct watch *watch;           /* watch.h; NULL: nobody looks */
    struct yardstick *yardstick;   /* the newest that a leader has left for the next, NULL: none */
    struct throttling *throttling; /* throttling.h; NULL: the same */
};

struct entry *entry_get(struct controller *c, const char *fleet);  /* NULL: no such fleet exists in the log */
struct entry *entry_make(struct controller *c, const char *fleet); /* NULL: too many names */
void entry_free(struct entry *e);
/* Members by index, whoever has them; false beyond the last. */
bool entry_member(const struct entry *e, int i, const struct report **ret, int64_t *ret_heard_ms);
void entry_report_take(struct entry *e, struct report *report);
void entry_report_gone(struct entry *e, const char *incarnation);

/* A report of a fleet that is not there (yet): kept as text until it is. */
struct orphan {
    struct orphan *next;
    struct record_key key;
    char *json;
    size_t len;
};
void orphan_set(struct controller *c, const struct record_key *key, const char *json, size_t len); /* NULL: gone */
void orphans_adopt(struct controller *c, struct entry *e);
/* The fleet goes: its members' reports, decoded by `fleet`, become orphans. Frees the report. */
void orphan_make(struct controller *c, const struct fleet *fleet, struct report *report_take);
void entry_orphan_all(struct entry *e);

/* --- reign.c ------------------------------------------------------------------------------------------------------ */

void reign_elected(struct controller *c);
/* Ends it, whatever its state. rest: leave the group and join again in a second. why NULL: it is no failure. */
void reign_end(struct controller *c, const char *why, bool rest);
void reign_turn(struct controller *c);
void reign_appended(struct controller *c, const struct kafka_appended *a);
void reign_log_changed(struct controller *c, const struct mirror_change *change);
bool reign_idle(const struct controller *c); /* no batch is out */
void reign_tick(struct controller *c);

/* The switcher's view, for progress and waiting; NULL: not led, or the log has moved on. */
const struct switcher *led_switcher(const struct led *l);
struct fleet *led_fleet(struct led *l);

/* Each answers the call when the log has what it changed. */
void led_order_take(struct led *l, struct call *call, const struct order *order);
void led_order_post(struct led *l, const struct order *order); /* Baton's own: nobody waits for an answer */
void led_spec_take(struct led *l, struct call *call, const struct spec *spec);
void led_delete_take(struct led *l, struct call *call);
void reign_birth_take(struct controller *c, struct entry *e, struct call *call, const struct spec *spec,
                      const struct baton *batons, int baton_count, uint64_t epoch);
void led_call_forget(struct led *l, struct call *call); /* it is not answered by the switcher any more */
void led_report_take(struct led *l, struct report *report);
void led_report_gone(struct led *l, const char *incarnation);
/* What the judge says of this operation and stage. */
void led_verdict_take(struct led *l, const struct judge_verdict *verdict, uint32_t number, int stage);
void led_kept_take(struct led *l, const struct judge_kept *kept, uint32_t number);
bool led_member(const struct led *l, int i, const struct report **ret, int64_t *ret_heard_ms);
void reign_partitions_soon(struct controller *c);

/* A preflight on a copy, so that followers can plan too: findings of `order` against `reading`. */
int plan_on_copy(struct entry *e, const struct order *order, struct reading *reading, struct findings *ret,
                 struct errmsg *m);

/* --- calls.c ------------------------------------------------------------------------------------------------------ */

enum call_state {
    CALL_NEW,     /* waits for the turn */
    CALL_WAITING, /* for what `wait` says; looked at again in every turn, or from again_ms on */
    CALL_TAKEN,   /* somebody will answer it: a switcher, a reading, another controller */
    CALL_DONE,    /* answered: freed at the end of the turn */
};

struct call {
    struct call *next;
    struct call **taken_at; /* where it hangs among those that are TAKEN; NULL: it is among the others */
    struct controller *c;
    enum call_state state;
    char method[8];
    char *path, *query, *content_type, *accept, *body;
    size_t body_len;
    bool pieces;
    char by[BY_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    int64_t began_ms, deadline_ms;
    const char *wait; /* "the log is being replayed": told when patience ends */
    int64_t again_ms; /* WAITING: not looked at before; 0: in every turn */
    api_answered *answered;
    void *opaque;
    struct reading *reading; /* the one it waits for */
    struct led *led;         /* the one that has it, or NULL */
    struct call *led_next;
    int64_t need_position; /* a read waits until the mirror has got there */
    int done_status;       /* what it asked for is in the log: it is answered so once the mirror has it; 0: not yet */
    bool handed;           /* its order stands in the reports topic */
    int64_t handed_ms;
    bool from_handed;       /* it came through Kafka: never handed on */
    uint64_t feed_question; /* feeds_end_known(): of this number or a later one; 0: it has just come */
    struct append *append;  /* that of its report, while it is out */
    /* of a call that makes a fleet or verifies a receipt */
    struct spec *spec;
    int64_t birth_ms; /* when the brokers were first asked about its topics; 0: not yet */
    struct fleet *fleet;
    uint32_t number;
    struct order *order;
};

/*
 * The last large answers: a page of thousands of partitions costs milliseconds to make, and a crowd that looks at the
 * same one gets the same text for a moment, as long as the log says nothing new.
 */
#define SHOWN_MAX 4
struct shown {
    char *asked; /* path?query, NULL: empty */
    char *text;
    size_t len;
    int64_t position, made_ms;
};
bool shown_before(struct call *call); /* true: answered */
void shown_forget(struct controller *c, int64_t older_than_ms);

void calls_turn(struct controller *c);
/* All of them, one after the other; NULL: begin. */
struct call *call_after(const struct controller *c, const struct call *call);
struct call *call_new(struct controller *c, const struct api_request *request, api_answered *answered, void *opaque);
void call_free(struct call *call);
/* Each ends the call. */
void call_json(struct call *call, int status, json_t *json_take);
void call_text(struct call *call, int status, const char *content_type, const char *body, size_t len);
void call_str(struct call *call, int status, struct str *json_take);
void call_pieces(struct call *call, int status, const char *content_type, struct http_pieces pieces);
/* code: "conflict". mend may be NULL; findings (an array) is taken or NULL. */
void call_error(struct call *call, int status, const char *code, const char *mend, json_t *findings_take,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void call_fail(struct call *call, int error, const struct errmsg *m); /* status and code by the enum err */
void call_redirect(struct call *call, const char *location);
/* Back into the queue: looked at in the next turn, as if it had just come. */
void call_again(struct call *call);
void call_wait(struct call *call, const char *what);
/* The request cannot be answered by this process: sends it on or says why not. */
void call_to_leader(struct call *call);
int status_of_error(int error);
const char *code_of_status(int status);
void error_encode(struct str *ret, const char *code, const char *message, const char *mend, json_t *findings,
                  const char *request_id);

/* --- api.c -------------------------------------------------------------------------------------------------------- */

void api_dispatch(struct controller *c, struct call *call);
/* Is the path one that everyone may read, whatever the token? Does the request change something? */
const struct api_route *api_route_find(const char *method, const char *path, bool *ret_path_known);
void api_order_planned(struct call *call, const struct findings *findings);

/* --- body.c ------------------------------------------------------------------------------------------------------- */

/*
 * An order as JSON; unknown fields are named with "did you mean". kind_given: a "kind" may stand there (plan). `spec` knows the
 * topics that stages may name.
 */
bool body_id_clean(const char *id); /* ids become keys of records and words of the log */
int body_order(struct order *ret, const struct spec *spec, const char *json, size_t len, enum order_kind kind,
               bool kind_given, struct errmsg *m);

/* --- view.c ------------------------------------------------------------------------------------------------------- */

json_t *view_fleets(struct controller *c);
json_t *view_fleet(struct entry *e, const struct snapshot *committed /* NULL: without */);
json_t *view_fleet_event(const struct entry *e);
json_t *view_leader(const struct controller *c);
json_t *view_op(struct entry *e, const struct op *op, bool live); /* live: progress and who is waited for */
json_t *view_findings(const struct findings *f);
int view_switches(json_t **ret, struct entry *e, struct errmsg *m);
int view_switch(json_t **ret, struct entry *e, uint32_t number, struct errmsg *m); /* ERR_NOT_FOUND */
int view_receipt(struct str *ret, struct entry *e, uint32_t number, struct errmsg *m);
/* The operation with its passes; free(ret->forth), free(ret->back). */
int entry_op(struct op *ret, const struct entry *e, uint32_t number, struct errmsg *m);

/* --- verify.c ----------------------------------------------------------------------------------------------------- */

void verify_begin(struct entry *e, struct call *call, uint32_t number);
/* Pure: does what the brokers say agree with the receipt? */
json_t *verify_receipt(const struct op *op, const struct fleet *f, const struct snapshot *now);

/* --- events.c ----------------------------------------------------------------------------------------------------- */

struct event_ring;
struct event;
struct event_ring *events_ring_new(int size);
void events_ring_free(struct event_ring *ring);
/* offset -1: an event that does not stand in the log. */
void events_add(struct controller *c, int64_t offset, const char *type, json_t *json_take);
void events_log_changed(struct controller *c, const struct mirror_change *change);
void events_member(struct entry *e, const struct report *report, const char *what);
void events_turn(struct controller *c);
void events_end(struct controller *c); /* nobody watches any more */
void events_stream(struct controller *c, struct http_exchange *x, const char *last_event_id);

/* --- feed.c: the log for members without rights on it ---------------------------------------------------------- */

struct feeds;
struct feeds *feeds_new(struct controller *c);
void feeds_free(struct feeds *f);
void feeds_forget(struct feeds *f); /* the log begins anew: hangs up on everybody */
/* Around mirror_record(), which says through feeds_log_changed() whether the record was taken. */
void feeds_record_begin(struct feeds *f, const struct kafka_record *rec);
void feeds_log_changed(struct feeds *f, const struct mirror_change *change);
void feeds_record_end(struct feeds *f);
void feeds_turn(struct feeds *f);
/* False: nothing was answered, since the log is not replayed, or there are too many fleets. */
bool feeds_stream(struct feeds *f, struct http_exchange *x, const char *fleet);
void feeds_end(struct feeds *f, struct call *call, const char *fleet);
void feeds_report(struct call *call, struct entry *e);

/* --- handed.c: orders through Kafka ------------------------------------------------------------------------------- */

struct handed_order {
    struct handed_order *next;
    char id[REQUEST_ID_MAX + 1];
    struct handed handed;
    bool taken; /* this reign works on it */
    int64_t heard_ms;
};
void handed_send(struct call *call);
void handed_record(struct controller *c, const char *id, const char *json, size_t len); /* NULL: a tombstone */
void handed_turn(struct controller *c); /* as leader: takes up what waits */
void handed_free(struct controller *c);

/* --- lag_api.c: how far groups are behind ------------------------------------------------------------------------- */

struct lag_reader;
struct lags_sampler;
int sampler_open(struct controller *c, struct errmsg *m);
void sampler_close(struct controller *c);
void sampler_turn(struct controller *c);
/* Between two turns: all of one refresh. NULL: none is known yet, or nothing is sampled. */
const struct lag_reader *sampler_reader(const struct controller *c);
void lag_answer(struct controller *c, struct call *call, const char *group); /* NULL: all, or ?group= */

/* --- controller.c ------------------------------------------------------------------------------------------------- */

/* What an acknowledgement is for. */
enum append_kind { APPEND_CLAIM, APPEND_BATCH, APPEND_LOOSE, APPEND_REPORT };
struct append {
    struct append *next;
    uint64_t token;
    enum append_kind kind;
    struct led *led;   /* BATCH; NULL: its reign is over */
    struct call *call; /* REPORT: answered with it; NULL: nobody waits any more */
    uint64_t reign;    /* c->reign.number when it was appended */
    char what[80];
};

/* "Where is the end of the reports?", asked by a fleet (rule 2) or at the start of a reign (led NULL). */
struct reports_ask {
    struct reports_ask *next;
    uint64_t token; /* 0: not asked yet */
    struct led *led;
    uint64_t switcher_token;
};

struct controller {
    struct event_base *base;
    struct controller_config config; /* strings below */
    char *prefix, *advertise, *by;
    char control_topic[TOPIC_NAME_MAX + 1], reports_topic[TOPIC_NAME_MAX + 1], group[GROUP_NAME_MAX + 1];
    char id[64], host[HOST_MAX + 1];
    struct kafka_settings *settings;

    int wake_fd;
    struct event *wake_event, *tick_event, *turn_event;
    struct kafka_reader *control, *reports;
    struct kafka_appender *appender;
    struct brokers *brokers;
    struct burrow_options burrow_options;
    struct burrow_follower *burrow; /* NULL: nobody has asked for it */
    struct election *election;
    struct http_server *http;

    struct mirror mirror;
    struct metrics metrics;
    struct prometheus *prometheus; /* NULL: nothing was asked yet */
    uint64_t question_last;        /* tokens for the readers */
    uint64_t replay_question;      /* of the control log's end at the start; 0: replayed */
    bool replayed, reports_open;
    struct orphan *orphans;
    size_t orphan_bytes;

    struct claimant reign;
    char reign_failed[512]; /* why it has to end at the end of this turn, "": it goes on */
    uint64_t reign_question;
    bool elected;
    bool other_leads; /* Kafka has told us so since we joined */
    struct led *leds;
    struct append *appends, **appends_end; /* as they were made, and mostly are acknowledged */
    uint64_t append_last;
    int64_t acked_offset; /* highest of ours in the control log */
    struct reports_ask *asks;
    int64_t partitions_ms; /* when topics were last looked at */
    bool partitions_out;

    struct call *calls, **calls_end; /* but for those that are ... */
    struct call *taken;              /* ... TAKEN: thousands, of which nothing is to be done but wait */
    int64_t taken_ms;                /* when these were last looked at */
    struct shown shown[SHOWN_MAX];
    int shown_next;
    struct handed_order *handed;
    bool leader_question_out; /* command mode: does the controllers' group have a member? */
    int group_members;        /* its answer; -1: not known */
    int64_t leader_asked_ms;

    struct feeds *feeds;
    struct posted *posted;
    struct keeper *keeper;         /* NULL: there is no Redis */
    struct configmaps *configmaps; /* NULL: no cluster is named */
    struct lags_sampler *sampler;
    struct event_ring *ring;
    struct controller_watch *watches;
    uint64_t watch_serial;

    bool stopping;
    char trouble[512];  /* of Kafka, "": none */
    int64_t trouble_ms; /* when it was last looked for */
    uint64_t probe;     /* a question that shows whether the brokers answer, 0: none asked */
    int64_t probe_ms;
    bool silent; /* they did not answer the last one */
    char election_trouble[512];
    int64_t opened_ms, settle_ms;
};

void controller_wake(struct controller *c); /* a turn soon */
/*
 * Appends to the control or the reports topic; NULL: could not (the reign is over, if it was one of its). value NULL:
 * tombstone.
 */
bool controller_append(struct controller *c, enum append_kind kind, struct led *led, bool control, const char *key,
                       const char *value, size_t len);
/* A member's report: the call is answered when it stands in the reports topic. */
bool controller_append_report(struct controller *c, struct call *call, const char *key, const char *json, size_t len);
bool controller_leads(const struct controller *c);
void http_refusal_json(void *opaque, int status, const char *why, char *ret, size_t ret_size);
void http_handle(void *opaque, struct http_exchange *x, const struct http_request *request);

#endif
