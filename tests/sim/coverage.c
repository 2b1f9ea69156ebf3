/* coverage - see coverage.h. Numbers only grow; one process runs many worlds. */
#include "coverage.h"

#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "core/claim.h"
#include "core/holder.h"
#include "core/op.h"

#define STATES_MAX 8

static const char *const fault_texts[FAULT_COUNT] = {
#define X(name, text) [FAULT_##name] = text,
    FAULTS(X)
#undef X
};

static int64_t faults[FAULT_COUNT];
static int64_t in_op[FAULT_COUNT][OP_STATE_COUNT + 1];
static int64_t in_part[FAULT_COUNT][PART_STATE_COUNT];
static int64_t in_right[FAULT_COUNT][RIGHT_COUNT];
static int64_t in_claim[FAULT_COUNT][CLAIM_STATE_COUNT];

/* The machines of the core, and the transitions that each may make: what is never met is a hole in the worlds. */
struct machine {
    const char *name;
    unsigned count;
    const char *states[STATES_MAX];
    unsigned next[STATES_MAX]; /* bits */
    int64_t met[STATES_MAX][STATES_MAX];
};

#define TO(state) (1u << (state))

static struct machine machines[] = {
    { .name = "operation",
      .count = OP_STATE_COUNT,
      .states = { "passing", "observing", "returning", "complete", "rolled-back", "needs-operator" },
      .next = { [OP_PASSING] = TO(OP_OBSERVING) | TO(OP_COMPLETE) | TO(OP_RETURNING) | TO(OP_NEEDS_OPERATOR),
                [OP_OBSERVING] = TO(OP_PASSING) | TO(OP_COMPLETE) | TO(OP_RETURNING),
                [OP_RETURNING] = TO(OP_ROLLED_BACK) | TO(OP_NEEDS_OPERATOR) } },
    { .name = "right",
      .count = RIGHT_COUNT,
      .states = { "held", "releasing", "paused", "granted" },
      .next = { [RIGHT_HELD] = TO(RIGHT_RELEASING),
                [RIGHT_RELEASING] = TO(RIGHT_HELD) | TO(RIGHT_GRANTED) | TO(RIGHT_PAUSED),
                [RIGHT_PAUSED] = TO(RIGHT_GRANTED),
                [RIGHT_GRANTED] = TO(RIGHT_HELD) | TO(RIGHT_RELEASING) } },
    { .name = "part",
      .count = PART_STATE_COUNT,
      .states = { "idle", "reading", "starting", "active", "draining", "committing", "released" },
      .next = { [PART_IDLE] = TO(PART_READING) | TO(PART_STARTING),
                [PART_READING] = TO(PART_STARTING) | TO(PART_IDLE),
                [PART_STARTING] = TO(PART_ACTIVE) | TO(PART_RELEASED) | TO(PART_IDLE),
                [PART_ACTIVE] = TO(PART_DRAINING),
                [PART_DRAINING] = TO(PART_COMMITTING) | TO(PART_ACTIVE) | TO(PART_IDLE),
                [PART_COMMITTING] = TO(PART_RELEASED) | TO(PART_IDLE),
                [PART_RELEASED] = TO(PART_IDLE) } },
    { .name = "claim",
      .count = CLAIM_STATE_COUNT,
      .states = { "none", "catch-up", "write", "read", "reports", "leading", "resting" },
      .next = { [CLAIM_NONE] = TO(CLAIM_CATCH_UP),
                [CLAIM_CATCH_UP] = TO(CLAIM_WRITE) | TO(CLAIM_RESTING) | TO(CLAIM_NONE),
                [CLAIM_WRITE] = TO(CLAIM_READ) | TO(CLAIM_RESTING) | TO(CLAIM_NONE),
                [CLAIM_READ] = TO(CLAIM_REPORTS) | TO(CLAIM_RESTING) | TO(CLAIM_NONE),
                [CLAIM_REPORTS] = TO(CLAIM_LEADING) | TO(CLAIM_RESTING) | TO(CLAIM_NONE),
                [CLAIM_LEADING] = TO(CLAIM_RESTING) | TO(CLAIM_NONE),
                [CLAIM_RESTING] = TO(CLAIM_NONE) | TO(CLAIM_CATCH_UP) } },
};

void met(const char *machine, unsigned from, unsigned to)
{
    for (size_t i = 0; i < ARRAY_COUNT(machines); i++)
        if (strcmp(machines[i].name, machine) == 0 && from < STATES_MAX && to < STATES_MAX)
            machines[i].met[from][to]++;
}

void coverage_fault(enum fault f)
{
    faults[f]++;
}

void coverage_op(enum fault f, unsigned op_state)
{
    in_op[f][op_state]++;
}

void coverage_part(enum fault f, unsigned part_state)
{
    in_part[f][part_state]++;
}

void coverage_right(enum fault f, unsigned right)
{
    in_right[f][right]++;
}

void coverage_claim(enum fault f, unsigned claim_state)
{
    in_claim[f][claim_state == CLAIM_REPORTS ? CLAIM_READ : claim_state]++; /* each takes a hop: one cell */
}

int64_t coverage_fault_count(enum fault f)
{
    return faults[f];
}

/* Pairs that cannot be, with the reason. */
static bool cannot_be(enum fault f, unsigned op_state)
{
    if (op_state == OP_COMPLETE || op_state == OP_ROLLED_BACK || op_state == OP_NEEDS_OPERATOR)
        return true;                                       /* ended: counted as none */
    if (f == FAULT_CLAIM_LATE || f == FAULT_CLAIM_UNHEARD) /* as long as one claims, nobody leads */
        return true;
    if (f == FAULT_ORDER_LOST) /* nobody orders what is on its way back */
        return op_state == OP_RETURNING;
    if (f == FAULT_REGRET) /* he takes back only what is under way and not on its way back */
        return op_state != OP_PASSING && op_state != OP_OBSERVING;
    if (f == FAULT_VERDICT) /* only what is observed is judged */
        return op_state != OP_OBSERVING;
    if (f == FAULT_SECOND_ORDER || f == FAULT_PAUSE || f == FAULT_REMADE) /* when nothing is under way */
        return op_state != OP_STATE_COUNT;
    return false;
}

static const enum fault of_parts[] = { FAULT_CRASH_MEMBER, FAULT_STOP_MEMBER, FAULT_CUT_COORDINATOR, FAULT_CUT_LOG,
                                       FAULT_JOIN_MEMBER };
static const enum fault of_rights[] = { FAULT_CRASH_CONTROLLER, FAULT_STOP_CONTROLLER, FAULT_ZOMBIE_CONTROLLER,
                                        FAULT_CRASH_CONTROLLER_EFFECT };
static const enum fault of_claims[] = { FAULT_CRASH_CONTROLLER, FAULT_STOP_CONTROLLER, FAULT_ZOMBIE_CONTROLLER,
                                        FAULT_LOSE_LEASE, FAULT_LAG_CONTROLLER };

static int cell(FILE *to, bool all, const char *what, const char *fault, const char *state, int64_t count)
{
    if (all || count == 0)
        fprintf(to, "%-10s %-46s %-16s %12" PRId64 "%s\n", what, fault, state, count, count ? "" : "  never met");
    return count == 0;
}

int coverage_print(FILE *to, bool all)
{
    int missing = 0;

    for (int f = 0; f < FAULT_COUNT; f++)
        missing += cell(to, all, "fault", fault_texts[f], "", faults[f]);
    for (size_t i = 0; i < ARRAY_COUNT(machines); i++)
        for (unsigned a = 0; a < machines[i].count; a++)
            for (unsigned b = 0; b < machines[i].count; b++)
                if (machines[i].next[a] & TO(b))
                    missing += cell(to, all, "transition", machines[i].states[a], machines[i].states[b],
                                    machines[i].met[a][b]);
    for (int f = 0; f < FAULT_COUNT; f++)
        for (unsigned s = 0; s <= OP_STATE_COUNT; s++)
            if (!cannot_be((enum fault)f, s))
                missing += cell(to, all, "in op", fault_texts[f],
                                s == OP_STATE_COUNT ? "none" : op_state_name((enum op_state)s), in_op[f][s]);
    for (size_t k = 0; k < ARRAY_COUNT(of_parts); k++)
        for (unsigned s = 0; s < PART_STATE_COUNT; s++)
            missing += cell(to, all, "in part",
                            of_parts[k] == FAULT_JOIN_MEMBER ? "partition revoked" : fault_texts[of_parts[k]],
                            machines[2].states[s], in_part[of_parts[k]][s]);
    for (size_t k = 0; k < ARRAY_COUNT(of_rights); k++)
        for (unsigned s = 0; s < RIGHT_COUNT; s++)
            missing +=
                cell(to, all, "in right", fault_texts[of_rights[k]], machines[1].states[s], in_right[of_rights[k]][s]);
    for (size_t k = 0; k < ARRAY_COUNT(of_claims); k++)
        for (unsigned s = CLAIM_CATCH_UP; s <= CLAIM_LEADING; s += s == CLAIM_READ ? 2 : 1)
            missing +=
                cell(to, all, "in claim", fault_texts[of_claims[k]], machines[3].states[s], in_claim[of_claims[k]][s]);
    return missing;
}

int coverage_missing(void)
{
    FILE *nowhere = fopen("/dev/null", "w");
    int missing;

    if (!nowhere)
        return 1;
    missing = coverage_print(nowhere, false);
    fclose(nowhere);
    return missing;
}
