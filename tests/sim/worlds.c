/*
 * worlds - the worlds of PROTOCOL section 5 by name, random ones, and how a broken one is made smaller.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#pragma GCC diagnostic ignored "-Woverride-init" /* a line says where it differs from CALM or BUSY */

#define CALM                                                                                         \
    .members = { 2, 2 }, .partitions = 3, .controllers = 1, .orders = 2, .stages = 1, .records = 60, \
    .work_ms_max = 10, .deadline_ms = 4000
#define BUSY                                                                                          \
    .members = { 2, 2 }, .partitions = 4, .controllers = 2, .orders = 3, .stages = 1, .records = 160, \
    .work_ms_max = 40, .deadline_ms = 4000, .at_append = 400
#define W(name) [FAULT_##name]

static const struct world_config worlds[] = {
    { .name = "calm", .rule = "4, 5, 6", CALM },
    { .name = "canary", .rule = "4, 5, 6", CALM, .partitions = 8, .stages = 4 },
    { .name = "zombie-leader",
      .rule = "1, 14",
      BUSY,
      .faults = 4,
      .weight = { W(ZOMBIE_CONTROLLER) = 4, W(COMPACTION) = 1 },
      .chance = { W(LATE) = 100 } },
    { .name = "zombie-leader-compacted",
      .rule = "14",
      BUSY,
      .partitions = 6,
      .faults = 6,
      .weight = { W(ZOMBIE_CONTROLLER) = 2, W(COMPACTION) = 3, W(CRASH_CONTROLLER) = 1, W(JOIN_MEMBER) = 1 },
      .chance = { W(LATE) = 150 } },
    { .name = "stale-belief",
      .rule = "2, 11",
      BUSY,
      .faults = 5,
      .weight = { W(STOP_MEMBER) = 3, W(CUT_LOG) = 2, W(JOIN_MEMBER) = 1, W(CUT_BOTH) = 2 } },
    { .name = "paused-unseen",
      .rule = "2",
      BUSY,
      .members = { 1, 1 },
      .partitions = 2,
      .orders = 12,
      .faults = 24,
      .at_append = 700,
      .weight = { W(PAUSE) = 6, W(LAG_LOG) = 3, W(LAG_REPORTS) = 3, W(CLOSE_MEMBER) = 4, W(JOIN_MEMBER) = 1 },
      .chance = { W(LOST) = 60 } },
    { .name = "newcomer-lags",
      .rule = "2",
      BUSY,
      .partitions = 6,
      .orders = 6,
      .faults = 14,
      .weight = { W(LAG_LOG) = 4, W(LAG_REPORTS) = 1, W(JOIN_MEMBER) = 3, W(CLOSE_MEMBER) = 3 } },
    { .name = "newcomer-behind",
      .rule = "2",
      BUSY,
      .orders = 5,
      .faults = 8,
      .weight = { W(JOIN_MEMBER) = 3, W(CLOSE_MEMBER) = 2, W(CUT_LOG) = 2 },
      .chance = { W(LATE) = 150 } },
    { .name = "late-and-lost",
      .rule = "3, 13",
      BUSY,
      .chance = { W(LATE) = 60, W(LOST) = 40, W(REPEATED) = 60, W(COMMIT_UNHEARD) = 30, W(COMMIT_FAILED) = 30,
                  W(REPORT_LOST) = 60, W(REPORT_LATE) = 30 } },
    { .name = "reads-again",
      .rule = "1, 2",
      BUSY,
      .orders = 5,
      .faults = 10,
      .weight = { W(REREAD_LOG) = 4, W(JOIN_MEMBER) = 1, W(ZOMBIE_CONTROLLER) = 1, W(REGRET) = 1 } },
    { .name = "reports-lag",
      .rule = "2, 13",
      BUSY,
      .orders = 5,
      .chance = { W(REPORT_LATE) = 60, W(LATE) = 200, W(REPEATED) = 100, W(REPORT_LOST) = 60 } },
    { .name = "old-work-in-flight",
      .rule = "4, 12",
      BUSY,
      .orders = 5,
      .faults = 6,
      .weight = { W(JOIN_MEMBER) = 2, W(CLOSE_MEMBER) = 1 },
      .chance = { W(OUT_OF_ORDER) = 200 } },
    { .name = "older-order",
      .rule = "4, 13",
      BUSY,
      .deadline_ms = 600,
      .orders = 6,
      .faults = 4,
      .weight = { W(REGRET) = 2, W(STOP_MEMBER) = 1 },
      .chance = { W(LATE) = 150, W(OUT_OF_ORDER) = 100 } },
    { .name = "foreign-commit", .rule = "4, 6", BUSY, .orders = 4, .faults = 5, .weight = { W(FOREIGN_COMMIT) = 1 } },
    { .name = "late-follow",
      .rule = "7",
      BUSY,
      .partitions = 6,
      .records = 300,
      .orders = 6,
      .faults = 10,
      .weight = { W(JOIN_MEMBER) = 2, W(CLOSE_MEMBER) = 2 },
      .chance = { W(LATE) = 200 } },
    { .name = "taken-back",
      .rule = "6, 9",
      BUSY,
      .stages = 3,
      .orders = 5,
      .faults = 3,
      .weight = { W(REGRET) = 3, W(CLOSE_MEMBER) = 1, W(CRASH_MEMBER) = 1 } },
    { .name = "log-end-lost",
      .rule = "4, 6",
      BUSY,
      .records = 400,
      .orders = 5,
      .faults = 8,
      .weight = { W(CUT_END) = 4, W(CRASH_MEMBER) = 1, W(JOIN_MEMBER) = 1 },
      .chance = { W(OUT_OF_ORDER) = 60 } },
    { .name = "judged",
      .rule = "15",
      BUSY,
      .stages = 3,
      .orders = 6,
      .faults = 4,
      .weight = { W(VERDICT) = 2, W(CRASH_CONTROLLER) = 2, W(JOIN_MEMBER) = 1, W(CLOSE_MEMBER) = 1, W(REGRET) = 1 } },
    { .name = "operators-reset",
      .rule = "6",
      BUSY,
      .orders = 4,
      .faults = 6,
      .weight = { W(FOREIGN_COMMIT) = 2, W(CRASH_MEMBER) = 1, W(JOIN_MEMBER) = 1 } },
    { .name = "made-again",
      .rule = "6",
      CALM,
      .records = 200,
      .orders = 4,
      .faults = 3,
      .at_append = 0,
      .weight = { W(REMADE) = 2, W(CLOSE_MEMBER) = 1 } },
    { .name = "made-again-and-read-again",
      .rule = "1, 6",
      CALM,
      .partitions = 9, /* some shards stay as they were while others move */
      .records = 200,
      .orders = 10,
      .stages = 3,
      .faults = 8,
      .at_append = 0,
      .weight = { W(REMADE) = 1, W(REREAD_LOG) = 4 } },
    { .name = "born-in-mid-switch",
      .rule = "8",
      BUSY,
      .partitions = 3,
      .grow_max = 4,
      .stages = 3,
      .faults = 6,
      .weight = { W(GROW) = 3, W(JOIN_MEMBER) = 1 } },
    { .name = "silent-member", .rule = "9, 11, 13", BUSY, .faults = 4, .weight = { W(STOP_MEMBER) = 1 } },
    { .name = "gone-and-back",
      .rule = "9, 11, 13",
      BUSY,
      .orders = 4,
      .faults = 4,
      .weight = { W(STOP_LONG) = 2, W(CUT_BOTH) = 2, W(CUT_COORDINATOR) = 1 } },
    { .name = "takers-asleep",
      .rule = "9, 10, 15",
      BUSY,
      .stages = 2,
      .orders = 4,
      .faults = 3,
      .weight = { W(TAKERS_STOP) = 1 } },
    { .name = "fenced-member",
      .rule = "9, 10, 11",
      BUSY,
      .faults = 4,
      .fence = true,
      .weight = { W(STOP_LONG) = 2, W(CUT_BOTH) = 3, W(CRASH_MEMBER) = 1 } },
    { .name = "fenced-while-fed",
      .rule = "11",
      BUSY,
      .members = { 2, 2 },
      .orders = 2,
      .faults = 3,
      .fence = true,
      .records = 600,
      .weight = { W(CUT_BOTH) = 1 } },
    { .name = "doubt-waits",
      .rule = "10",
      BUSY,
      .orders = 4,
      .faults = 4,
      .weight = { W(CRASH_MEMBER) = 1 },
      .chance = { W(CRASH_MEMBER_EFFECT) = 4 } },
    { .name = "doubt-listed",
      .rule = "10",
      BUSY,
      .orders = 4,
      .faults = 4,
      .weight = { W(CRASH_MEMBER) = 1 },
      .list_doubt = true },
    { .name = "revoked-in-flight",
      .rule = "12",
      BUSY,
      .orders = 5,
      .faults = 8,
      .weight = { W(JOIN_MEMBER) = 3, W(CLOSE_MEMBER) = 2 },
      .chance = { W(OUT_OF_ORDER) = 300, W(STUCK) = 20 } },
    { .name = "given-back",
      .rule = "4",
      BUSY,
      .orders = 5,
      .stages = 2,
      .faults = 6,
      .weight = { W(CRASH_MEMBER) = 1, W(CRASH_CONTROLLER) = 1, W(JOIN_MEMBER) = 2, W(CLOSE_MEMBER) = 2 },
      .chance = { W(GIVE_BACK) = 200, W(OUT_OF_ORDER) = 30, W(STUCK) = 5, W(COMMIT_FAILED) = 30 } },
    { .name = "leader-lost-anywhere",
      .rule = "15",
      BUSY,
      .controllers = 3,
      .stages = 2,
      .faults = 6,
      .weight = { W(CRASH_CONTROLLER) = 3, W(STOP_CONTROLLER) = 1 },
      .chance = { W(CRASH_CONTROLLER_EFFECT) = 60, W(APPEND_FAILED) = 40 } },
    { .name = "old-member",
      .rule = "2",
      BUSY,
      .partitions = 9, /* three shards, and a head that waits for them */
      .orders = 5,
      .faults = 8,
      .weight = { W(OLD_MEMBER) = 3, W(JOIN_MEMBER) = 1, W(ZOMBIE_CONTROLLER) = 1 },
      .chance = { W(APPEND_FAILED) = 60 } },
    { .name = "two-claimants",
      .rule = "1",
      BUSY,
      .controllers = 3,
      .faults = 10,
      .at_append = 700,
      .weight = { W(LOSE_LEASE) = 4, W(CRASH_CONTROLLER) = 1, W(LAG_CONTROLLER) = 1 },
      .chance = { W(LATE) = 250 } },
    { .name = "claim-unheard",
      .rule = "1",
      BUSY,
      .orders = 4,
      .faults = 5,
      .weight = { W(STOP_CONTROLLER) = 2, W(CRASH_CONTROLLER) = 1 },
      .chance = { W(CLAIM_UNHEARD) = 400, W(LOST) = 30 } },
    { .name = "claim-late",
      .rule = "1, 14",
      BUSY,
      .controllers = 3,
      .orders = 4,
      .faults = 8,
      .weight = { W(STOP_CONTROLLER) = 2, W(LOSE_LEASE) = 2, W(COMPACTION) = 1 },
      .chance = { W(CLAIM_LATE) = 400, W(LATE) = 40 } },
    { .name = "lease-lost-while-claiming",
      .rule = "1",
      BUSY,
      .controllers = 2,
      .faults = 12,
      .at_append = 900,
      .weight = { W(LOSE_LEASE) = 2, W(ZOMBIE_CONTROLLER) = 3, W(STOP_CONTROLLER) = 1 },
      .chance = { W(LATE) = 200 } },
    { .name = "log-lags-at-the-claim",
      .rule = "1, 2",
      BUSY,
      .controllers = 3,
      .faults = 10,
      .at_append = 700,
      .weight = { W(LAG_CONTROLLER) = 3, W(LAG_REPORTS) = 1, W(CRASH_CONTROLLER) = 2, W(LOSE_LEASE) = 2,
                  W(JOIN_MEMBER) = 1 } },
    { .name = "crash-after-the-claim",
      .rule = "1, 15",
      BUSY,
      .controllers = 3,
      .stages = 2,
      .faults = 10,
      .at_append = 900,
      .weight = { W(CRASH_CONTROLLER) = 3, W(STOP_CONTROLLER) = 2, W(ZOMBIE_CONTROLLER) = 1, W(JOIN_MEMBER) = 1 },
      .chance = { W(CRASH_CONTROLLER_EFFECT) = 100, W(LATE) = 250 } },
    { .name = "deadline-anywhere",
      .rule = "9, 15",
      BUSY,
      .deadline_ms = 60,
      .orders = 5,
      .stages = 2,
      .chance = { W(LATE) = 40, W(OUT_OF_ORDER) = 40, W(STUCK) = 10 } },
    { .name = "clocks-lie",
      .rule = "1, 15",
      BUSY,
      .faults = 4,
      .drift = 20,
      .weight = { W(CLOCK_JUMP) = 2, W(CRASH_CONTROLLER) = 1, W(STOP_MEMBER) = 1 } },
    { .name = "replay",
      .rule = "5",
      BUSY,
      .replay = true,
      .orders = 4,
      .faults = 2,
      .weight = { W(CRASH_CONTROLLER) = 1 } },
    { .name = "paused",
      .rule = "5, 8",
      BUSY,
      .orders = 6,
      .faults = 3,
      .weight = { W(PAUSE) = 2, W(CRASH_MEMBER) = 1, W(CRASH_CONTROLLER) = 1 } },
    { .name = "paused-in-doubt",
      .rule = "10",
      BUSY,
      .orders = 8,
      .faults = 8,
      .records = 300,
      .list_doubt = true,
      .weight = { W(PAUSE) = 3, W(CRASH_MEMBER) = 2, W(CUT_BOTH) = 2 } },
    { .name = "born-while-paused",
      .rule = "8",
      BUSY,
      .partitions = 3,
      .grow_max = 4,
      .orders = 8,
      .faults = 8,
      .at_append = 600,
      .weight = { W(GROW) = 3, W(PAUSE) = 4 } },
    { .name = "eager",
      .rule = "2, 12",
      BUSY,
      .protocol = { GROUP_EAGER, GROUP_EAGER },
      .orders = 4,
      .faults = 5,
      .weight = { W(JOIN_MEMBER) = 2, W(CLOSE_MEMBER) = 2, W(CRASH_MEMBER) = 1, W(STOP_MEMBER) = 1 },
      .chance = { W(OUT_OF_ORDER) = 60 } },
    { .name = "many-partitions",
      .rule = "2, 4",
      BUSY,
      .partitions = 40,
      .members = { 5, 4 },
      .records = 400,
      .orders = 2,
      .stages = 3,
      .faults = 3,
      .weight = { W(JOIN_MEMBER) = 2, W(CRASH_MEMBER) = 1, W(CRASH_CONTROLLER) = 1 } },
    { .name = "everything",
      .rule = "all",
      BUSY,
      .controllers = 3,
      .stages = 2,
      .orders = 4,
      .grow_max = 2,
      .faults = 8,
      .weight = { W(CRASH_MEMBER) = 1,
                  W(STOP_MEMBER) = 1,
                  W(STOP_LONG) = 1,
                  W(CUT_COORDINATOR) = 1,
                  W(CUT_LOG) = 1,
                  W(CUT_BOTH) = 1,
                  W(CLOSE_MEMBER) = 1,
                  W(JOIN_MEMBER) = 1,
                  W(CRASH_CONTROLLER) = 1,
                  W(STOP_CONTROLLER) = 1,
                  W(ZOMBIE_CONTROLLER) = 1,
                  W(GROW) = 1,
                  W(CLOCK_JUMP) = 1,
                  W(COMPACTION) = 1,
                  W(REGRET) = 1,
                  W(SECOND_ORDER) = 1,
                  W(PAUSE) = 1,
                  W(TAKERS_STOP) = 1,
                  W(REREAD_LOG) = 1,
                  W(VERDICT) = 1,
                  W(CUT_END) = 1,
                  W(LOSE_LEASE) = 1,
                  W(LAG_CONTROLLER) = 1,
                  W(OLD_MEMBER) = 1 },
      .chance = { W(LATE) = 20, W(LOST) = 10, W(REPEATED) = 10, W(COMMIT_FAILED) = 10, W(COMMIT_UNHEARD) = 10,
                  W(REPORT_LOST) = 10, W(CRASH_MEMBER_EFFECT) = 1, W(CRASH_CONTROLLER_EFFECT) = 5, W(APPEND_FAILED) = 5,
                  W(ORDER_LOST) = 50, W(STUCK) = 3, W(OUT_OF_ORDER) = 30, W(REPORT_LATE) = 5, W(CLAIM_LATE) = 30,
                  W(CLAIM_UNHEARD) = 30 } },
};

int world_count(void)
{
    return (int)ARRAY_COUNT(worlds);
}

const struct world_config *world_at(int i)
{
    return &worlds[i];
}

const struct world_config *world_named(const char *name)
{
    for (int i = 0; i < world_count(); i++)
        if (strcmp(worlds[i].name, name) == 0)
            return &worlds[i];
    return NULL;
}

/* --- random ones --------------------------------------------------------------------------------------------------------------------- */

/* The most that a message or an effect may be struck, in 1,000; beyond that nothing ever ends. */
static const int chance_max[FAULT_COUNT] = {
    W(CRASH_MEMBER_EFFECT) = 6,
    W(CRASH_CONTROLLER_EFFECT) = 60,
    W(APPEND_FAILED) = 60,
    W(LOST) = 100,
    W(LATE) = 200,
    W(REPEATED) = 150,
    W(REPORT_LOST) = 100,
    W(COMMIT_FAILED) = 100,
    W(COMMIT_UNHEARD) = 80,
    W(ORDER_LOST) = 300,
    W(STUCK) = 20,
    W(OUT_OF_ORDER) = 300,
    W(REPORT_LATE) = 100,
    W(CLAIM_LATE) = 300,
    W(CLAIM_UNHEARD) = 300,
    W(GIVE_BACK) = 300,
};

/*
 * Faults that came later are drawn last and apart, so that an old seed still makes the world it made: those that strike by themselves
 * from here on, those of a message from there on.
 */
#define STRIKES_FIRST (FAULT_TAKERS_STOP + 1)
#define CHANCES_FIRST (FAULT_OUT_OF_ORDER + 1)

static int pick(struct world *w, const int *of, int count)
{
    return of[below(w, count)];
}

void world_draw(struct world_config *ret, uint64_t seed)
{
    static const int partitions[] = { 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 12 };
    static const int stages[] = { 1, 1, 1, 2, 3, 4 };
    static const int deadlines_ms[] = { 4000, 4000, 4000, 2500, 800, 250, 60 };
    static const int work_ms[] = { 0, 2, 10, 40, 100 };
    static struct world dice; /* only its dice are used */
    struct world *w = &dice;

    w->dice = seed * 0x2545f4914f6cdd1du + 1;
    memset(ret, 0, sizeof(*ret));
    ret->name = "random";
    ret->rule = "all";
    ret->members[BLUE] = 1 + below(w, chance(w, 100) ? 6 : 3);
    ret->members[GREEN] = 1 + below(w, chance(w, 100) ? 6 : 3);
    ret->partitions = chance(w, 15) ? 13 + below(w, 50) : pick(w, partitions, ARRAY_COUNT(partitions));
    ret->grow_max = chance(w, 200) && ret->partitions + 3 <= PARTITIONS_MAX ? 1 + below(w, 3) : 0;
    ret->controllers = 1 + below(w, CONTROLLERS_MAX);
    ret->orders = 1 + below(w, 3);
    ret->stages = pick(w, stages, ARRAY_COUNT(stages));
    ret->records = 10 + below(w, 25 * (ret->partitions < 8 ? ret->partitions : 8));
    ret->work_ms_max = pick(w, work_ms, ARRAY_COUNT(work_ms));
    ret->deadline_ms = pick(w, deadlines_ms, ARRAY_COUNT(deadlines_ms));
    for (int c = 0; c < COLOR_COUNT; c++)
        ret->protocol[c] = (enum group_protocol)below(w, GROUP_PROTOCOL_COUNT);
    ret->fence = chance(w, 300);
    ret->list_doubt = chance(w, 300);
    ret->replay = chance(w, 100);
    if (ret->fence)
        ret->deadline_ms = 4000;
    if (chance(w, 100))
        return; /* fair weather */
    ret->faults = below(w, 5);
    for (int i = 1 + below(w, 4); i > 0; i--) /* a few kinds together: each alone and each pair comes up often */
        ret->weight[below(w, STRIKES_FIRST)] = 1 + below(w, 3);
    ret->at_append = below(w, 800);
    for (int i = below(w, 4); i > 0; i--) {
        const int f = FAULT_STRIKES_COUNT + below(w, CHANCES_FIRST - FAULT_STRIKES_COUNT);

        ret->chance[f] = 1 + below(w, chance_max[f]);
    }
    ret->drift = chance(w, 150) ? 1 + below(w, 20) : 0;
    for (int f = STRIKES_FIRST; f < FAULT_VERDICT; f++)
        ret->weight[f] = chance(w, 60) ? 1 + below(w, 3) : 0;
    for (int f = CHANCES_FIRST; f < FAULT_CLAIM_LATE; f++)
        ret->chance[f] = chance(w, 80) ? 1 + below(w, chance_max[f]) : 0;
    ret->weight[FAULT_VERDICT] = chance(w, 100) ? 1 : 0;
    for (int f = FAULT_LOSE_LEASE; f <= FAULT_OLD_MEMBER; f++)
        ret->weight[f] = chance(w, 80) ? 1 + below(w, 3) : 0;
    for (int f = FAULT_CLAIM_LATE; f < FAULT_COUNT; f++)
        ret->chance[f] = chance(w, 80) ? 1 + below(w, chance_max[f]) : 0;
}

/* --- smaller ones ---------------------------------------------------------------------------------------------------------------------- */

/* In the same way as before. */
static bool breaks(const struct world_config *config, uint64_t seed, const char *fact)
{
    struct world_result r;

    world_run(&r, config, seed, false);
    return r.broken && strcmp(r.broken, fact) == 0;
}

void world_shrink(struct world_config *ret, const struct world_config *config, uint64_t seed, const char *fact)
{
    struct world_config best = *config;
    bool smaller = true;

    while (smaller) {
        int *const numbers[] = { &best.faults,      &best.orders,  &best.stages,        &best.partitions,
                                 &best.grow_max,    &best.records, &best.members[BLUE], &best.members[GREEN],
                                 &best.controllers, &best.drift,   &best.work_ms_max,   &best.at_append };
        const int least[] = { 0, 1, 1, 1, 0, 10, 1, 1, 1, 0, 0, 0 };

        smaller = false;
        for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
            const int was = *numbers[i], tries[] = { least[i], (was + least[i]) / 2, was - 1 };

            for (size_t k = 0; k < ARRAY_COUNT(tries) && *numbers[i] == was; k++)
                if (tries[k] >= least[i] && tries[k] < was) {
                    *numbers[i] = tries[k];
                    if (!breaks(&best, seed, fact))
                        *numbers[i] = was;
                }
            smaller = smaller || *numbers[i] != was;
        }
        for (int f = 0; f < FAULT_COUNT; f++) {
            int *const n = f < FAULT_STRIKES_COUNT ? &best.weight[f] : &best.chance[f];
            const int was = *n;

            *n = 0;
            if (was && !breaks(&best, seed, fact))
                *n = was;
            smaller = smaller || *n != was;
        }
    }
    *ret = best;
}

void world_print(const struct world_config *c)
{
    static const char *const names[FAULT_COUNT] = {
#define X(name, text) [FAULT_##name] = #name,
        FAULTS(X)
#undef X
    };

    printf("{ .members = { %d, %d }, .partitions = %d, .grow_max = %d, .controllers = %d, .orders = %d, .stages = %d, "
           ".records = %d,\n"
           "  .work_ms_max = %d, .deadline_ms = %d, .protocol = { %d, %d }, .faults = %d, .at_append = %d, .drift = "
           "%d, .fence = %d,\n"
           "  .list_doubt = %d, .replay = %d,",
           c->members[0], c->members[1], c->partitions, c->grow_max, c->controllers, c->orders, c->stages, c->records,
           c->work_ms_max, c->deadline_ms, (int)c->protocol[0], (int)c->protocol[1], c->faults, c->at_append, c->drift,
           c->fence, c->list_doubt, c->replay);
    for (int f = 0; f < FAULT_COUNT; f++)
        if (c->weight[f < FAULT_STRIKES_COUNT ? f : 0] && f < FAULT_STRIKES_COUNT)
            printf(" W(%s) = %d,", names[f], c->weight[f]);
        else if (c->chance[f])
            printf(" C(%s) = %d,", names[f], c->chance[f]);
    printf(" }\n");
}
