/*
 * world - a simulated Kafka with both halves of the protocol, as a pure function of a seed.
 *
 * Brokers (two consumer groups, committed offsets, the control log, the reports), controllers, members, applications and an operator
 * live in one queue of events with virtual time. The halves are the shipping ones (core/switch, core/holder, core/fleet,
 * core/replay, core/claim), built with smaller limits so that a fleet of five partitions has shards; only what is outside of them is made
 * up here. What a world is made of is data, so a named world is one line of a table, a random one a roll of the dice, and a
 * broken one can be shrunk number by number.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

/* What can go wrong. Weights of those that strike by themselves stand in world_config.weight. */
#define FAULTS(X)                                                        \
    X(CRASH_MEMBER, "member killed")                                     \
    X(STOP_MEMBER, "member stopped for a while")                         \
    X(STOP_LONG, "member stopped beyond every promise")                  \
    X(CUT_COORDINATOR, "member cut off from its coordinator")            \
    X(CUT_LOG, "member cannot read the control log")                     \
    X(LAG_LOG, "member reads the control log late, and is told its end") \
    X(CUT_BOTH, "member cut off from both, and still fed with records")  \
    X(CLOSE_MEMBER, "member closes")                                     \
    X(JOIN_MEMBER, "member joins")                                       \
    X(CRASH_CONTROLLER, "leader killed")                                 \
    X(STOP_CONTROLLER, "leader hands over")                              \
    X(ZOMBIE_CONTROLLER, "leader replaced without knowing")              \
    X(LAG_REPORTS, "leader reads the reports late")                      \
    X(GROW, "partition added")                                           \
    X(CLOCK_JUMP, "wall clock jumps")                                    \
    X(COMPACTION, "control log compacted")                               \
    X(FOREIGN_COMMIT, "somebody else commits")                           \
    X(REMADE, "fleet deleted and made again")                            \
    X(REGRET, "operator takes it back")                                  \
    X(SECOND_ORDER, "second order at the same time")                     \
    X(PAUSE, "operator pauses the fleet")                                \
    X(TAKERS_STOP, "all takers stopped at the grant")                    \
    X(REREAD_LOG, "member reads the control log again from its start")   \
    X(VERDICT, "judge says something")                                   \
    X(CUT_END, "end of a partition's log lost by the brokers")           \
    X(LOSE_LEASE, "lead given to another, and told late")                \
    X(LAG_CONTROLLER, "leader reads the control log late")               \
    X(OLD_MEMBER, "member that cannot read some records")                \
    /* from here on: chances of a message or an effect */                \
    X(CRASH_MEMBER_EFFECT, "member killed between two effects")          \
    X(CRASH_CONTROLLER_EFFECT, "leader killed between two effects")      \
    X(APPEND_FAILED, "leader's batch fails or comes in half")            \
    X(LOST, "answer lost")                                               \
    X(LATE, "message late")                                              \
    X(REPEATED, "message repeated")                                      \
    X(REPORT_LOST, "report lost")                                        \
    X(COMMIT_FAILED, "commit fails")                                     \
    X(COMMIT_UNHEARD, "commit succeeds, its answer is lost")             \
    X(ORDER_LOST, "order or its answer lost, asked again")               \
    X(STUCK, "application stuck with a record")                          \
    X(OUT_OF_ORDER, "record done long after its successors")             \
    X(REPORT_LATE, "report given up, and written after its successors")  \
    X(CLAIM_LATE, "claim given up, and written late")                    \
    X(CLAIM_UNHEARD, "claim written, its answer lost")                   \
    X(GIVE_BACK, "record that fails, and is given back where it can be")

enum fault {
#define X(name, text) FAULT_##name,
    FAULTS(X)
#undef X
        FAULT_COUNT
};
#define FAULT_STRIKES_COUNT (FAULT_OLD_MEMBER + 1) /* those that strike by themselves */

enum group_protocol { GROUP_COOPERATIVE, GROUP_EAGER, GROUP_KIP848, GROUP_PROTOCOL_COUNT };

struct world_config {
    const char *name;
    const char *rule; /* of PROTOCOL that it is about */
    int members[2];   /* at the start, blue and green */
    int partitions;
    int grow_max; /* partitions that may be added */
    int controllers;
    int orders;      /* what the operator asks for, one after the other */
    int stages;      /* 1: all at once */
    int records;     /* produced in all */
    int work_ms_max; /* an application is done with a record within this, unless it is out of order or stuck */
    int deadline_ms;
    enum group_protocol protocol[2];
    int faults;                      /* how many strike by themselves ... */
    int weight[FAULT_STRIKES_COUNT]; /* ... and which */
    int at_append; /* in 1,000: one strikes right after a record of the log, when it hurts; else at any time */
    int chance[FAULT_COUNT]; /* in 1,000, of those that belong to a message or an effect */
    int drift;               /* clocks: parts per thousand, and wall clocks that differ */
    bool fence;              /* on_unreachable: fence */
    bool list_doubt;         /* on_doubt: list */
    bool replay;             /* rollbacks ask for it */
};

struct world_result {
    uint64_t seed;
    const char *broken; /* the fact that did not hold, NULL: all did */
    char where[200];
    int64_t records, repeats_in_color, repeats_listed, events;
    int completed, rolled_back, need_operator, refused, failovers, faults, whole;
    int64_t virtual_ms;
    int64_t home_ms_max; /* longest time to come to rest after the faults had ended */
};

/* Runs one world to its end. trace: to stdout, readable lines. */
void world_run(struct world_result *ret, const struct world_config *config, uint64_t seed, bool trace);

/* worlds.c */
int world_count(void);
const struct world_config *world_at(int i);
const struct world_config *world_named(const char *name);
void world_draw(struct world_config *ret, uint64_t seed); /* a random one */
/* Fewer of everything as long as the same seed still breaks the same fact; `ret` is the smallest found. */
void world_shrink(struct world_config *ret, const struct world_config *config, uint64_t seed, const char *fact);
void world_print(const struct world_config *config);

#endif
