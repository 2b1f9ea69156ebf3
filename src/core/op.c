/* op - see op.h. */
#include "core/op.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/names.h"

static const char *const op_kind_names[OP_KIND_COUNT] = {
    [OP_SWITCH] = "switch", [OP_ROLLBACK] = "rollback", [OP_PAUSE] = "pause",
    [OP_RESUME] = "resume", [OP_THROTTLE] = "throttle",
};
static const char *const op_state_names[OP_STATE_COUNT] = {
    [OP_PASSING] = "passing",   [OP_OBSERVING] = "observing",     [OP_RETURNING] = "returning",
    [OP_COMPLETE] = "complete", [OP_ROLLED_BACK] = "rolled-back", [OP_NEEDS_OPERATOR] = "needs-operator",
};
static const char *const op_cause_names[CAUSE_COUNT] = {
    [CAUSE_NONE] = "none",
    [CAUSE_DEADLINE] = "deadline",
    [CAUSE_OPERATOR] = "operator",
    [CAUSE_MEMBER_GONE] = "member-gone",
    [CAUSE_FOREIGN_COMMIT] = "foreign-commit",
    [CAUSE_VERDICT] = "verdict",
};

NAMED(op_kind, enum op_kind, op_kind_names, OP_KIND_COUNT)
NAMED(op_state, enum op_state, op_state_names, OP_STATE_COUNT)
NAMED(op_cause, enum op_cause, op_cause_names, CAUSE_COUNT)

static int64_t span(int64_t from, int64_t to)
{
    if (from == 0 || to == 0)
        return -1;
    return to > from ? to - from : 0; /* two clocks: what is left of their skew may turn it round */
}

int64_t pass_standstill_us(const struct pass *p)
{
    return p->taken ? span(p->drained_unix_us, p->first_unix_us ? p->first_unix_us : p->attached_unix_us) : -1;
}

int64_t pass_heard_us(const struct pass *p)
{
    return p->taken ? span(p->release_heard_unix_us, p->take_heard_unix_us) : -1;
}

int64_t pass_removed_to(const struct pass *p)
{
    if (p->log_start == OFFSET_NONE || p->from == OFFSET_NONE || p->first <= p->from || p->log_start <= p->from)
        return OFFSET_NONE;
    return p->log_start < p->first ? p->log_start : p->first;
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Nearest rank: the smallest value with at least `percent` of all at or below it. */
static int64_t percentile(const int64_t *sorted, int count, int percent)
{
    return count == 0 ? -1 : sorted[(count * percent + 99) / 100 - 1];
}

/* Adds the records of [from, to), never beyond the largest number: a receipt may have been read from anywhere. */
static int64_t add(int64_t sum, int64_t from, int64_t to)
{
    if (from < 0 || to <= from)
        return sum;
    return to - from > INT64_MAX - sum ? INT64_MAX : sum + (to - from);
}

static void sum_passes(struct receipt_sum *ret, const struct pass *passes, int count, int64_t *scratch)
{
    for (int i = 0; i < count; i++) {
        const struct pass *p = &passes[i];

        if (!p->ordered || p->grant == 0)
            continue;
        ret->listed_repeats = add(ret->listed_repeats, p->committed, p->doubt);
        ret->listed_repeats = add(ret->listed_repeats, p->from, p->repeat_to);
        ret->given_again = add(ret->given_again, 0, p->given_again);
        ret->removed = add(ret->removed, p->from, pass_removed_to(p));
        if (p->repeat_to == OFFSET_NONE && p->from != p->committed)
            ret->gaps++;
        if (pass_standstill_us(p) >= 0)
            scratch[ret->standstill_known++] = pass_standstill_us(p);
    }
}

void receipt_sum(struct receipt_sum *ret, const struct op *op, int64_t *scratch)
{
    memset(ret, 0, sizeof(*ret));
    for (int i = 0; i < op->pass_count; i++) {
        ret->ordered += op->forth[i].ordered;
        ret->passed += op->forth[i].grant != 0;
        ret->returned += op->back[i].grant != 0;
    }
    sum_passes(ret, op->forth, op->pass_count, scratch);
    sum_passes(ret, op->back, op->pass_count, scratch);
    qsort(scratch, (size_t)ret->standstill_known, sizeof(*scratch), compare_int64);
    ret->standstill_us_p50 = percentile(scratch, ret->standstill_known, 50);
    ret->standstill_us_p99 = percentile(scratch, ret->standstill_known, 99);
    ret->standstill_us_max = percentile(scratch, ret->standstill_known, 100);
}
