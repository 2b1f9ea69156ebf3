/*
 * reign - a switcher's reign told step by step, in a world where everybody does at once what he is told.
 *
 * The simulation looks for what goes wrong between many; the tests on this world say what one answer, one verdict, one order has to lead
 * to. Each kind of answer can be kept back (deaf) or be a failure (fails), each member be silent, idle or not listed.
 */
#ifndef UNIT_REIGN_H
#define UNIT_REIGN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/switch.h"

#define PARTS 4
#define MEMBERS 4

struct member {
    bool exists, silent, unlisted; /* silent: it is written to, and does not answer */
    bool idle;                     /* Kafka has given it nothing: it has no partition to tell of */
    struct report report;          /* what it says each time, but for its parts */
    bool owns[PARTS];
};

struct reign {
    struct switcher s;
    struct fleet fleet;
    struct spec spec;
    struct baton table[PARTS];
    struct baton_fact facts[PARTS];
    struct pass forth[PARTS], back[PARTS];
    struct stage_item items[PARTS];
    struct switcher_effects fx;
    int batons[4 * PARTS];
    struct member members[MEMBERS];
    int64_t position[PARTS]; /* of the holder, all of it committed */
    struct mark mark[PARTS];
    int64_t first[PARTS]; /* where a taker finds the first record, -1: where it was told to begin */
    bool no_first;        /* a taker has not seen any yet */
    int64_t ends, starts; /* of every log */
    bool deaf[SWITCHER_DROP_OP + 1], fails[SWITCHER_DROP_OP + 1]; /* by effect: not answered; answered by a failure */
    uint64_t token[SWITCHER_DROP_OP + 1];                         /* of the newest effect of each kind */
    int asked[SWITCHER_DROP_OP + 1];                              /* how often */
    struct switcher_effect told;                                  /* the last reply */
    char forgotten[INCARNATION_MAX + 1], restored[INCARNATION_MAX + 1];
    uint32_t dropped;
    struct group_view groups[COLOR_COUNT];
    int64_t now_ms;
    bool op_written, head_written, passes_written; /* by the last event, and the answers to what it asked for */
    int depth;
};

void read_groups(struct reign *r);
void read_all(struct reign *r, uint64_t token);
/* One event, and the answers to what it asked for. */
void reign_step(struct reign *r, struct switcher_event ev);
void tick(struct reign *r, int64_t later_ms);
struct report *report_new(struct reign *r, struct member *m);
void speak(struct reign *r, int m);
/* All do what they are told, until nothing changes any more: at most so many rounds. */
void obey(struct reign *r, int rounds);
void member_add(struct reign *r, enum color c);
struct reign *reign_new(void);
void reign_free(struct reign *r);
struct order order_of(enum order_kind kind);
enum reply_status order_give(struct reign *r, struct order o);
/* What is moved first. */
int first_releasing(const struct reign *r);
/* A switch is ordered; what is moved first. */
int switch_ordered(struct reign *r);
/* The reply's text says so. */
void told(const struct reign *r, enum reply_status status, const char *text);
void verdict(struct reign *r, enum verdict verdict, bool blind, int stage);
/* A switch up to where its stage is observed. */
struct reign *observed(const struct judge_policy *judge, int stage);
/* A report whose entries a test bends before it is heard. */
struct report_part *entry(struct report *report, int i);
void hear(struct reign *r, struct report *report);

#endif
