/*
 * world - a simulated Kafka with both halves of the protocol, as a pure function of a seed.
 *
 * Brokers (two consumer groups, committed offsets, the control log, the reports), controllers, members and an operator live in
 * one queue of events with virtual time. The halves are the shipping ones (core/switch, core/holder, core/terms); only what is
 * outside of them is made up here. Rates and scripts of a world are data, so a named world is one line of a table.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct world_config {
    const char *name;
    const char *rule;      /* of PROTOCOL that it is about */
    int members[2];        /* at the start, blue and green */
    int partitions;
    int controllers;
    int orders;            /* switches, rollbacks, pauses the operator asks for, one after the other */
    int stages;            /* 1: all at once */
    int rate_per_s;        /* records a second and partition */
    int work_ms_max;       /* an app is done with a record within this */
    int out_of_order;      /* percent of records that take much longer than their neighbours */
    /* faults: chances in 1,000 for each opportunity */
    int lose, repeat, late;      /* answers and reports */
    int commit_lost_answer;      /* a commit succeeds, its answer does not come */
    /* faults: mean ms between two, 0: never */
    int crash_member_ms;         /* kill -9, restarted later as a new incarnation */
    int stop_member_ms;          /* SIGSTOP for a while, sometimes longer than the session */
    int sleep_long;              /* in 1,000: the stop is longer than a member is missed for, 0: 300 */
    int takers_stop;             /* in 1,000: all who are granted something are stopped at that moment */
    int close_member_ms;         /* closes in good order, restarted later */
    int crash_controller_ms;     /* the leader */
    int zombie_controller_ms;    /* the leader is cut off, another takes over, its writes arrive late */
    int cut_log_ms;              /* a member cannot read the control log for a while */
    int rebalance_ms;            /* a member of a color comes or goes */
    int grow_ms;                 /* a partition is added */
    int foreign_commit_ms;       /* somebody else commits into a group */
    int regret;                  /* percent of orders taken back by the operator in mid-switch */
    bool fence;                  /* on_unreachable: fence */
    bool list_doubt;             /* on_doubt: list */
    bool replay;
};

struct world_result {
    uint64_t seed;
    const char *broken;          /* the fact that did not hold, NULL: all did */
    char where[200];
    int64_t records, repeats_in_color, repeats_listed;
    int completed, rolled_back, need_operator, refused, failovers;
    int64_t virtual_ms;
};

/* Runs one world to its end. trace: to stdout, readable lines. */
void world_run(struct world_result *ret, const struct world_config *config, uint64_t seed, bool trace);

#endif
