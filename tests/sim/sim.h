/*
 * sim - what the files of the simulation share: one world, its queue of events and its dice.
 *
 * Reading order: world.h (what a world is made of), this, queue.c (time and chance), broker.c (groups, offsets, the two logs),
 * member.c and controller.c (what the shells of both halves do), fate.c (operator and faults), judge.c (what must come
 * out), rules.c (how), worlds.c (the table of worlds), coverage.c, main.c.
 *
 * All memory of a world comes from one arena that is emptied when the next world begins: nothing is freed one by one.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "core/claim.h"
#include "core/holder.h"
#include "core/replay.h"
#include "core/switch.h"
#include "core/terms.h"
#include "core/uptake.h"
#include "coverage.h"
#include "world.h"

#define PARTITIONS_MAX BATONS_MAX
#define LIVES_MAX MEMBERS_MAX /* processes in one world's life */
#define CONTROLLERS_MAX 3
#define SLOTS 16
#define SESSION_MS 1000
#define WORK_MS_BOUND 300 /* what the operator promises as the longest processing time */
#define TICK_MS 100
#define COMPACTION_LAG_MS 2500 /* an hour in the world outside */
#define GROUP_SIZE_MAX 6
#define LISTED_MAX 1024

enum at_kind {
    AT_MEMBER_TICK,
    AT_MEMBER_READ, /* the control log */
    AT_MEMBER_FETCH,
    AT_MEMBER_EVENT, /* an answer, a callback */
    AT_MEMBER_FAILS, /* its application at a record, once more */
    AT_MEMBER_DONE,  /* its application is done with a record */
    AT_MEMBER_WAKES, /* SIGCONT */
    AT_MEMBER_HEALS, /* reaches its coordinator again */
    AT_MEMBER_SEES,  /* reads the control log again */
    AT_MEMBER_JOINS, /* again, after it was dropped */
    AT_MEMBER_STARTS,
    AT_BROKER_COMMIT,
    AT_BROKER_JOIN, /* the answer to a revocation */
    AT_BROKER_LEAVE,
    AT_BROKER_REPORT,
    AT_GROUP_EXPIRES, /* a session */
    AT_CONTROLLER_TICK,
    AT_CONTROLLER_READ, /* both logs */
    AT_CONTROLLER_TURN,
    AT_CONTROLLER_APPEND,
    AT_CONTROLLER_ACKED,
    AT_CONTROLLER_EVENT,
    AT_CONTROLLER_LEADS,    /* it is elected */
    AT_CONTROLLER_LOSES,    /* it hears that it is not any more */
    AT_CONTROLLER_CLAIM,    /* arrives at the control log */
    AT_CONTROLLER_CLAIMED,  /* its answer */
    AT_CONTROLLER_FORGETS,  /* a tombstone arrives */
    AT_CONTROLLER_RESTORES, /* a report that a tombstone had buried arrives again */
    AT_PRODUCE,
    AT_FAULT,
    AT_OPERATOR,
};

struct at {
    int64_t ms;
    uint64_t order; /* of two at the same moment the older comes first */
    enum at_kind kind;
    int who;
    uint64_t life; /* of the actor when it was sent: a crash makes it void */
    void *payload;
    int64_t a, b, c, d;
};

/* An actor's clocks: drift in parts per thousand of both, an offset of the wall clock alone. */
struct clock_of {
    int drift;
    int64_t wall_us;
};

/* One record of the control log. */
struct control_record {
    bool claim; /* else it has a key */
    struct replay_key key;
    bool gone;  /* a tombstone; of a head with a document that says so */
    bool again; /* of the history: told again by a leader that heals */
    bool dead;  /* written under a term that another leader had ended by then */
    int writer; /* which controller, and of a claim: of which life and election */
    uint64_t process, number;
    int reports; /* of a claim: so many there were when it was written */
    int64_t term;
    int64_t ms;
    bool compacted; /* away */
    const struct doc *doc;
    const struct op *op; /* REPLAY_OP: without passes; REPLAY_PASSES: those of the shard, at their place */
};

struct kept { /* the true records of an operation */
    const struct op *op, *passes[SHARDS_MAX];
};
#define KEPT_MAX 24 /* operations of a fleet in a controller's memory */

struct report_record {
    const char *incarnation;
    int64_t ms;
    struct report *report; /* NULL: a tombstone */
    bool compacted;
};

struct shown {         /* what rule 2 asks of a member that is given a partition */
    uint64_t sequence; /* a report newer than this has to show that it owns it ... */
    int64_t log_end;   /* ... and this is where the control log stood when that was written, -1: it has not been yet */
};

struct read_back {      /* a partition's committed offset, as somebody was told */
    int64_t ms, offset; /* ms: when it was asked */
    struct mark mark;
    enum color color;
};

struct first_given { /* the first record that a member got under a grant */
    uint64_t epoch;
    int64_t offset;
};

struct member {
    bool exists, alive, stopped, in_group, log_cut, log_lags, coordinator_cut, closing;
    enum color color;
    uint64_t life;
    struct clock_of clock;
    char incarnation[INCARNATION_MAX + 1];
    struct fleet fleet;
    struct holder holder;
    struct holder_part *parts;
    struct holder_part_at *at;
    int64_t *fetch;                  /* by part: next offset to fetch, -1: not attached */
    int64_t (*given)[SLOTS];         /* by part and slot of its window: when it was delivered */
    struct first_given *first_given; /* by partition */
    struct first_given *begun;       /* by partition: where it last began, and under which grant */
    struct shown *shown;             /* by partition: rule 2 */
    struct uptake uptake;
    const struct doc *head;      /* that waits for a shard */
    int64_t head_at;             /* its offset */
    bool old;                    /* a newer leader writes what it cannot always read ... */
    bool unread[1 + SHARDS_MAX]; /* ... and has not read: as uptake has it, by the world's book */
    int64_t log_next;
    bool revoke_out;      /* it owes the group an answer */
    int64_t session;      /* counts its joins */
    int64_t to_broker_ms; /* what it sends to its coordinator arrives in order */
    int64_t from_broker_ms;
    int64_t away_ms;           /* since when its coordinator has not heard of it, 0: it does */
    int64_t frozen_ms_max;     /* from here on its sleep is longer than any promise, 0: it is not */
    int64_t contact_ms;        /* its coordinator last heard of it */
    int64_t log_seen;          /* the control log was read so far, once */
    struct read_back *read;    /* by partition: what its own group had, when it last asked */
    int known_at;              /* how many reports there were when its first was written, -1: it is not known */
    struct version whole;      /* of the newest head behind which it could read all */
    struct version acked;      /* the newest that a written report of it has acknowledged */
    int *in_hand;              /* by partition: records that its application has, as the world counts them */
    const struct report *last; /* that was written, NULL: none, or buried */
    bool left;                 /* said goodbye, once and for all */
    bool parted;               /* said goodbye, or was forgotten, and has not spoken since */
    int64_t spoke_ms;          /* when its last report was written */
    int64_t out_since_ms, out_until_ms; /* of its group, the last time; until: 0, it still is */
    struct at *kept;                    /* events while stopped */
    int kept_count, kept_room;
};

struct group {
    enum group_protocol protocol;
    int owner[PARTITIONS_MAX]; /* member or -1 */
    bool revoking[PARTITIONS_MAX];
    bool preparing; /* eager: all give up all first */
    int64_t committed[PARTITIONS_MAX];
    struct mark mark[PARTITIONS_MAX];
};

struct told { /* an event for a switcher and what it points to */
    int64_t asked_ms;
    struct switcher_event ev;
    struct told *next;
};

struct controller {
    struct claimant reign;
    bool busy;              /* a batch is out */
    bool cut_log;           /* a zombie: does not see that another has claimed the lead ... */
    bool cut_all;           /* ... and reads nothing else either */
    bool loses;             /* it will hear that it has lost the lead */
    bool lost;              /* it has heard so, and was not elected since */
    uint64_t process, life; /* of a reign */
    struct clock_of clock;
    int64_t log_next, reports_next;
    int64_t log_elected; /* where the log stood when it was elected */
    int64_t log_wanted;  /* to be read before it claims; -1: it cannot learn how far */
    bool fresh;          /* a process that knows nothing of the log yet */
    struct terms terms;
    struct fleet mirrored; /* the document as the log has it ... */
    struct replay_fleet log;
    struct fleet fleet; /* ... and as it leads it */
    struct baton_fact *facts;
    struct pass *forth, *back;
    struct switcher switcher;
    struct switcher_effects fx;
    struct told *inbox, **inbox_end;
    int64_t reports_wanted;
    int64_t lag_ms, lag_until_ms;         /* reads reports only when they are so old, until then ... */
    int64_t log_lag_ms, log_lag_until_ms; /* ... and the control log */
    int64_t again_ms;                     /* so it reads again then */
    uint64_t reports_token;
    struct replay_pen pen;
    struct read_back read_back[PARTITIONS_MAX];
    int64_t reports_asked_ms; /* when the last reading of the reports that did not fail was asked for ... */
    int64_t reports_asks_ms;  /* ... and the one that is out */
    int64_t report_taken_ms[LIVES_MAX];
    uint64_t report_taken[LIVES_MAX]; /* the newest report of each that it has taken in */
};

/* What the judge has seen with its own eyes. */
struct truth {
    enum color holder;
    enum right state;
    uint64_t epoch;
    int64_t from;
    int cuts;                             /* how often the end of its log was lost ... */
    int64_t cut_at;                       /* ... and where it ended then */
    bool cut_seen;                        /* its holder stands and has committed below that end: it may grow again */
    enum color before;                    /* who held it before this grant */
    int64_t first;                        /* the first offset delivered under this grant, OFFSET_NONE */
    int first_by;                         /* whom */
    int64_t done_ms[COLOR_COUNT];         /* when its stopper was last done with a record of it */
    int64_t stopped_ms[COLOR_COUNT];      /* when one of the color last stopped fetching it ... */
    int stopper[COLOR_COUNT], stopped_by; /* ... and who; of the last grant */
    uint64_t order;                       /* the newest of a release, and how many reports there were then */
    int order_reports;
    uint64_t granted_order;             /* the order that the last grant answers to */
    int64_t order_ms;                   /* when that order was written */
    struct baton doc;                   /* as last written */
    uint64_t active_order[COLOR_COUNT]; /* the newest order under which one of the color has said that it is at work */
    int64_t ordered_ms;                 /* when its release was last ordered */
    int64_t committed;                  /* by a holder under this grant, OFFSET_NONE */
    int64_t low;                        /* all below is done */
    bool reset;                         /* somebody else committed: repeats of it are his */
    int64_t stood_ms; /* of the last grant: from the old color's last work to the new one's first record, -1 */
};

struct listed {
    int partition;
    int64_t from, to;
};

struct world {
    struct world_config config;
    uint64_t dice;
    int64_t now_ms;
    uint64_t order_last;
    struct at *heap;
    int heap_count, heap_room;
    struct control_record *log;
    int log_count, log_room;
    struct report_record *reports;
    int report_count, report_room;
    struct group groups[COLOR_COUNT];
    int leader; /* as the brokers have it */
    int partitions, partitions_max;
    int incarnations;
    int64_t ends[PARTITIONS_MAX];
    unsigned char *done[PARTITIONS_MAX]; /* bit c: by color c */
    int64_t done_room;
    int64_t records_left;

    int faults_left;
    bool calm; /* no more faults: everything has to come to rest */
    int64_t rest_ms_max;

    /* the operator */
    int orders_left;
    uint32_t watched; /* the operation that is waited for */
    bool order_out, order_counts;
    int64_t ordered_ms;
    int requests;
    char request_id[REQUEST_ID_MAX + 1];
    int whole; /* operations seen to their end */
    bool remaking;

    /* the judge */
    int64_t claim_highest;
    struct op seen;        /* the newest operation as written ... */
    int64_t seen_since_ms; /* ... and since when it is in this state and stage */
    int64_t led_since_ms;  /* by the present leader */
    struct truth truth[PARTITIONS_MAX];
    struct version version;
    uint64_t head_epoch; /* of the newest head that counts */
    bool fleet_exists;
    struct listed listed[LISTED_MAX];
    int listed_count;
    struct pass *passes[2];                /* of the newest operation as written, forth and back */
    uint32_t passes_number, passes_shards; /* and which of its shards were written, a bit each */
    bool clocks_lie;
    bool gentle;    /* nothing happened but what happens on a good day: members join, the operator changes his mind */
    bool disturbed; /* a member was killed, stopped, cut off or revoked: who stopped when is not known for all */
    bool mixed;     /* an operation ended with "needs operator", and no color has all since */

    struct world_result *result;
    bool trace;

    /* Large: of the last world only what was used is cleared. */
    struct controller controllers[CONTROLLERS_MAX];
    struct member members[LIVES_MAX];
};

/* queue.c */
uint64_t roll(struct world *w);
int below(struct world *w, int n);
bool chance(struct world *w, int in_1000);
/* Like chance, but never once the world is calm; counts the fault when it strikes. */
bool strikes(struct world *w, enum fault f, int in_1000);
int64_t hop_ms(struct world *w); /* one message's way */
void *arena(size_t bytes);       /* zeroed */
void *arena_raw(size_t bytes);   /* as it comes */
void *arena_copy(const void *from, size_t bytes);
void arena_reset(void);
void put(struct world *w, struct at at);
struct at take(struct world *w);
void say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t clock_of_ms(const struct world *w, const struct clock_of *c);
int64_t clock_of_unix_us(const struct world *w, const struct clock_of *c);
void clock_draw(struct world *w, struct clock_of *c);
void fault_met(struct world *w, enum fault f);

/* broker.c */
int64_t log_append(struct world *w, struct control_record record);
void reports_append(struct world *w, const char *incarnation, struct report *r);
void log_compact(struct world *w);
bool same_key(const struct control_record *a, const struct control_record *b);
struct commit {
    uint64_t token;
    int64_t session;
    int member, count;
    struct holder_part_at *at;
    int32_t *partition;
};
void broker_commit(struct world *w, struct commit *c, bool heard);
void group_balance(struct world *w, enum color c);
void group_answered(struct world *w, int n);
void group_join(struct world *w, int n);
void group_drop(struct world *w, int n);
int group_members(const struct world *w, enum color c, int *ret);
bool group_rebalancing(const struct world *w, enum color c);

/* member.c */
struct answer { /* to a member */
    struct holder_event ev;
    struct holder_part_at *at;
    struct holder_topic_partition *tps;
};
struct answer *answer_new(enum holder_event_type type, int parts, int tps);
void member_send(struct world *w, int n, struct answer *a, int64_t delay_ms);
void member_callback(struct world *w, int n, struct answer *a); /* in order */
void member_start(struct world *w, enum color c);
void member_kill(struct world *w, int n);
void member_stop(struct world *w, int n, int64_t sleep_ms);
void member_cut(struct world *w, int n, int64_t lasts_ms);
void member_at(struct world *w, struct at *at);
void members_fetch(struct world *w, int partition);
bool member_reads_all(const struct member *m);
int64_t member_oldest_ms(const struct member *m, int part); /* when the oldest record in its hands was given to it */

/* controller.c */
static inline int member_number(const char *incarnation) /* "b12" is the twelfth that was started */
{
    return atoi(incarnation + 1);
}
struct told *told_new(enum switcher_event_type type, size_t more);
void controller_queue(struct world *w, int n, struct told *t);
static inline bool leads(const struct controller *c)
{
    return c->reign.state == CLAIM_LEADING;
}
void controller_elected(struct world *w, int n);
void controller_loses(struct world *w, int n); /* hears that it has lost the lead */
void controller_reset(struct controller *c);   /* what it was about to do is void */
void controller_die(struct controller *c);     /* the same, and it has forgotten everything */
void controller_deletes(struct world *w, int n);
void controller_at(struct world *w, struct at *at);
void controllers_notice(struct world *w); /* a log has grown */
struct controller *leader(struct world *w);

/* fate.c */
void operator_at(struct world *w);
void operator_told(struct world *w, const struct switcher_effect *e);
void operator_order(struct world *w, enum order_kind kind);
void fault_at(struct world *w);
void fault_soon(struct world *w, int within_ms);
void replace_leader(struct world *w, bool same, int64_t after_ms);
void produce(struct world *w);

/* rules.c */
void rules_assigned(struct world *w, int n, const struct holder_event *ev);
void rules_reported(struct world *w, const char *incarnation, const struct report *r);
void rules_report_made(struct world *w, int n, const struct report *r);
void rules_given(struct world *w, int n, int partition);
void rules_caught_up(struct world *w, int n);
void rules_commits(struct world *w, int n, const struct holder_part_at *at, int count);
void rules_follows(struct world *w, int n, int part);
void rules_read_back(struct world *w, int n, const struct told *t);
void rules_born(struct world *w, const struct baton *b);
void rules_report_taken(struct world *w, int n, const struct report *given, const struct report *back);
void rules_buried(struct world *w, int n, const char *incarnation, bool counted);
void rules_forgets(struct world *w, int n, const char *incarnation);
void rules_ordered(struct world *w, int partition, const struct baton *b);
void rules_believed(struct world *w, int partition, const struct baton *b, int writer);
void rules_taken(struct world *w, int partition, const struct baton *b);
void rules_claims(struct world *w, int n);
void rules_leads(struct world *w, int n);
void rules_log_read(struct world *w, int n);
void rules_operation(struct world *w, const struct op *op);
void rules_deadline(struct world *w);

/* judge.c */
#define MUST(fact) ((fact) ? (void)0 : judge_broken(#fact, __FILE__, __LINE__))
_Noreturn void judge_broken(const char *fact, const char *file, int line);
void judge_appended(struct world *w, int64_t offset);
void judge_delivered(struct world *w, int n, int part, int64_t offset);
void judge_commits(struct world *w, const struct member *m, int partition, const struct holder_part_at *at);
void judge_cut(struct world *w, int partition, int64_t end);
void judge_done(struct world *w, int n, int partition, int64_t offset);
void judge_heard(struct world *w, struct member *m, struct version before);
bool judge_at_rest(struct world *w);
void judge_end(struct world *w);
void judge_unrest(struct world *w);

#endif
