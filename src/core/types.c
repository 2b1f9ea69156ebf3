/* types - see types.h. One table of names for each enum; parsing and printing read the same one. */
#include "core/types.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "core/names.h"

static const char *const color_names[COLOR_COUNT] = { [BLUE] = "blue", [GREEN] = "green" };
static const char *const right_names[RIGHT_COUNT] = {
    [RIGHT_HELD] = "held",
    [RIGHT_RELEASING] = "releasing",
    [RIGHT_PAUSED] = "paused",
    [RIGHT_GRANTED] = "granted",
};
static const char *const local_state_names[LOCAL_STATE_COUNT] = {
    [LOCAL_STANDBY] = "standby",
    [LOCAL_ACTIVE] = "active",
    [LOCAL_DRAINING] = "draining",
    [LOCAL_RELEASED] = "released",
};
static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_STEADY] = "steady",         [PHASE_PASSING] = "passing",
    [PHASE_OBSERVING] = "observing",   [PHASE_RETURNING] = "returning",
    [PHASE_PAUSING] = "pausing",       [PHASE_PAUSED] = "paused",
    [PHASE_RESUMING] = "resuming",     [PHASE_NEEDS_OPERATOR] = "needs-operator",
    [PHASE_THROTTLING] = "throttling", [PHASE_THROTTLED] = "throttled",
};
static const char *const strategy_names[STRATEGY_COUNT] = {
    [STRATEGY_SEPARATE_GROUPS] = "separate-groups", [STRATEGY_FOREIGN] = "foreign"
};
static const char *const on_unreachable_names[ON_UNREACHABLE_COUNT] = {
    [UNREACHABLE_REFUSE] = "refuse",
    [UNREACHABLE_FENCE] = "fence",
};
static const char *const on_doubt_names[ON_DOUBT_COUNT] = { [DOUBT_WAIT] = "wait", [DOUBT_LIST] = "list" };
static const char *const offset_reset_names[OFFSET_RESET_COUNT] = {
    [RESET_EARLIEST] = "earliest",
    [RESET_LATEST] = "latest",
    [RESET_NONE] = "none",
};

NAMED(color, enum color, color_names, COLOR_COUNT)
NAMED(right, enum right, right_names, RIGHT_COUNT)
NAMED(local_state, enum local_state, local_state_names, LOCAL_STATE_COUNT)
NAMED(phase, enum phase, phase_names, PHASE_COUNT)
NAMED(strategy, enum strategy, strategy_names, STRATEGY_COUNT)
NAMED(on_unreachable, enum on_unreachable, on_unreachable_names, ON_UNREACHABLE_COUNT)
NAMED(on_doubt, enum on_doubt, on_doubt_names, ON_DOUBT_COUNT)
NAMED(offset_reset, enum offset_reset, offset_reset_names, OFFSET_RESET_COUNT)

#define MARK_FOLLOW_TEXT "baton/1 follow"
#define MARK_EPOCH_TEXT "baton/1 epoch="

void mark_format(char ret[MARK_TEXT_MAX], struct mark mark)
{
    if (mark.kind == MARK_EPOCH)
        snprintf(ret, MARK_TEXT_MAX, MARK_EPOCH_TEXT "%" PRIu64, mark.epoch);
    else
        snprintf(ret, MARK_TEXT_MAX, "%s", mark.kind == MARK_FOLLOW ? MARK_FOLLOW_TEXT : "");
}

struct mark mark_parse(const char *metadata, size_t len)
{
    const struct mark foreign = { .kind = MARK_FOREIGN };
    const size_t head = strlen(MARK_EPOCH_TEXT);
    struct mark mark = { .kind = MARK_EPOCH };

    if (len > 0 && metadata[len - 1] == '\0')
        len--; /* confluent-kafka for Python sends the end of its C text along */
    if (len == strlen(MARK_FOLLOW_TEXT) && memcmp(metadata, MARK_FOLLOW_TEXT, len) == 0)
        return (struct mark){ .kind = MARK_FOLLOW };
    if (len <= head || len > head + 19 || memcmp(metadata, MARK_EPOCH_TEXT, head) != 0 ||
        (metadata[head] == '0' && len > head + 1))
        return foreign;
    for (size_t i = head; i < len; i++) {
        if (metadata[i] < '0' || metadata[i] > '9')
            return foreign;
        mark.epoch = mark.epoch * 10 + (uint64_t)(metadata[i] - '0');
    }
    return mark;
}
