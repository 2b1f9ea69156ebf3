/*
 * record - documents, operations, reports, claims and orders as records of the two topics, and back.
 *
 * Everything is JSON with bounds on size and depth, duplicate keys refused. A field that is not known is skipped; a
 * record whose "format" is higher than ours is ERR_NEWER, a broken one ERR_CORRUPT with a sentence that names the
 * field. docs/control-log.md describes every field.
 *
 * An encoder appends to `ret`; its text has at most RECORD_BYTES_MAX, or it is ERR_TOO_LARGE and `ret` is not to be
 * used. A decoder that fails leaves what it was to fill undefined, but safe to free and to fill again.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "base/err.h"
#include "base/str.h"
#include "core/op.h"
#include "core/plan.h"
#include "core/report.h"

#define RECORD_BYTES_MAX (900 * 1024) /* below Kafka's default message.max.bytes */
#define RECORD_KEY_MAX 200

enum record_kind {
    RECORD_TERM,      /* "term" */
    RECORD_HEAD,      /* "fleet/<name>" */
    RECORD_SHARD,     /* "fleet/<name>/batons/<n>" */
    RECORD_OP,        /* "switch/<fleet>/<number>" */
    RECORD_PASSES,    /* "switch/<fleet>/<number>/batons/<n>" */
    RECORD_REPORT,    /* in baton.reports: "<fleet>/<incarnation>" */
    RECORD_ORDER,     /* in baton.reports: "order/<request id>": an order handed over through Kafka, or its answer */
    RECORD_YARDSTICK, /* in baton.reports: "judge/<fleet>/yardstick" */
    RECORD_UNKNOWN,
};
struct record_key {
    enum record_kind kind;
    char fleet[FLEET_NAME_MAX + 1];
    char id[REQUEST_ID_MAX + 1]; /* incarnation or request id */
    uint32_t number;
    int shard;
};
void record_key_format(char ret[RECORD_KEY_MAX], const struct record_key *key);
/* control: the key stands in baton.control, else in baton.reports. Never fails: RECORD_UNKNOWN. */
void record_key_parse(struct record_key *ret, const char *key, size_t len, bool control);

/* What the leader has seen of the active color so far, for the judge of the next one. */
struct yardstick {
    char fleet[FLEET_NAME_MAX + 1];
    enum color color;
    char version[VERSION_MAX + 1]; /* its label; "": it has none */
    int64_t at_unix_ms;
    struct judge_kept kept;
};
int yardstick_encode(struct str *ret, const struct yardstick *y, struct errmsg *m);
int yardstick_decode(struct yardstick *ret, const char *json, size_t len, struct errmsg *m);

struct claim {
    char controller[64]; /* random id of the process */
    char host[HOST_MAX + 1];
    char address[300]; /* "http://10.0.0.5:8080" where it takes changes, "" for a command that leads by itself */
    char version[32];
    int64_t unix_ms;
};
int claim_encode(struct str *ret, const struct claim *claim, struct errmsg *m);
int claim_decode(struct claim *ret, const char *json, size_t len, struct errmsg *m);

/* The term that any control record says it is of, without decoding the rest; ERR_CORRUPT when it has none. */
int record_term(int64_t *ret, const char *json, size_t len, struct errmsg *m);

/* shard -1: the head, with its batons when baton_count <= SHARD_BATONS; else that shard. */
int fleet_encode(struct str *ret, const struct fleet *f, int shard, struct errmsg *m);
/*
 * Into doc, whose fleet.batons / baton_max the caller has set (BATONS_MAX or less; too few: ERR_TOO_LARGE). An empty
 * value is DOC_GONE. A shard may be read before any head (compaction keeps each key's last place), so it carries its
 * topics' names AND their indexes in spec.topics; with `head` given the two must agree.
 */
int fleet_decode(struct doc *doc, const struct record_key *key, const struct fleet *head, const char *json, size_t len,
                 struct errmsg *m);

int op_encode(struct str *ret, const struct op *op, const struct fleet *f, struct errmsg *m);
int op_decode(struct op *ret, const char *json, size_t len, struct errmsg *m); /* leaves forth/back/pass_count alone */
/* Passes SHARD_BATONS * shard and on; `f` names the partitions. */
int passes_encode(struct str *ret, const struct op *op, int shard, const struct fleet *f, struct errmsg *m);
/*
 * Into op->forth and op->back, which have room for pass_max; op->pass_count grows as far as this shard reaches, and
 * what lies before it and was not read is a pass in which nothing has happened. op->number, unless 0, must be the
 * record's.
 */
int passes_decode(struct op *op, int pass_max, int shard, const char *json, size_t len, struct errmsg *m);

/* `f` resolves topics; entries of unknown topics are dropped on decode (the member is ahead). */
int report_encode(struct str *ret, const struct report *r, const struct fleet *f, struct errmsg *m);
int report_decode(struct report **ret, const struct fleet *f, const char *json, size_t len, struct errmsg *m);
void report_free(struct report *r); /* one that report_decode made; NULL is fine */

/* For the API and -o json: findings as a JSON array text. */
int findings_encode(struct str *ret, const struct findings *f, struct errmsg *m);
/* The whole receipt as one JSON object (op, sums, partitions): the same text the CLI prints with -o json. */
int receipt_encode(struct str *ret, const struct op *op, const struct fleet *f, struct errmsg *m);
/* One of its stages for people: "10%", "3", "orders/0,orders/7". */
void stage_text(struct str *ret, const struct op *op, const struct fleet *f, int stage);

/* One object through which an HTTP request is handed to the leader by Kafka, and its answer. */
struct handed {
    bool is_answer;
    char method[8];
    char path[512];
    int status; /* of an answer */
    char by[BY_MAX + 1];
    char *body;      /* malloc; NULL: none */
    int64_t unix_ms; /* when it was asked; an order older than its patience is not taken up */
    int64_t patience_ms;
};
int handed_encode(struct str *ret, const struct handed *h, struct errmsg *m);
int handed_decode(struct handed *ret, const char *json, size_t len, struct errmsg *m); /* free(ret->body) */

#endif
