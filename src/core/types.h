/*
 * types - the words of the protocol as enums, each with its one table of names.
 *
 * The names are those of the documents on the wire, of the CLI and of the log.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/limits.h"

enum color { BLUE, GREEN, COLOR_COUNT };
static inline enum color color_other(enum color c)
{
    return c == BLUE ? GREEN : BLUE;
}

/* What a baton's document says (PROTOCOL section 1). */
enum right { RIGHT_HELD, RIGHT_RELEASING, RIGHT_PAUSED, RIGHT_GRANTED };
#define RIGHT_COUNT (RIGHT_GRANTED + 1)

/* What a member says of a partition it owns or still has records of in flight. */
enum local_state { LOCAL_STANDBY, LOCAL_ACTIVE, LOCAL_DRAINING, LOCAL_RELEASED, LOCAL_STATE_COUNT };

/* What the fleet is at, for readers of the document. */
enum phase {
    PHASE_STEADY,
    PHASE_PASSING,
    PHASE_OBSERVING,
    PHASE_RETURNING,
    PHASE_PAUSING,
    PHASE_PAUSED,
    PHASE_RESUMING,
    PHASE_NEEDS_OPERATOR,
    PHASE_THROTTLING,
    PHASE_THROTTLED, /* some partitions work, the others are paused */
    PHASE_COUNT
};

/* How the two colors share Kafka groups (DESIGN section 6). */
enum strategy { STRATEGY_SEPARATE_GROUPS, STRATEGY_FOREIGN, STRATEGY_COUNT };

enum on_unreachable { UNREACHABLE_REFUSE, UNREACHABLE_FENCE, ON_UNREACHABLE_COUNT };
enum on_doubt { DOUBT_WAIT, DOUBT_LIST, ON_DOUBT_COUNT };
enum offset_reset { RESET_EARLIEST, RESET_LATEST, RESET_NONE, OFFSET_RESET_COUNT };

/*
 * The mark in a commit's metadata: "baton/1 epoch=N" by a holder, "baton/1 follow" by a standby.
 * MARK_NOTHING: nothing is committed at all. MARK_FOREIGN: an offset without a mark.
 */
enum mark_kind { MARK_NOTHING, MARK_FOREIGN, MARK_FOLLOW, MARK_EPOCH };
struct mark {
    enum mark_kind kind;
    uint64_t epoch; /* of MARK_EPOCH */
};
#define MARK_TEXT_MAX 40
void mark_format(char ret[MARK_TEXT_MAX], struct mark mark);
/* Reads commit metadata; anything that is not exactly one of ours is MARK_FOREIGN. */
struct mark mark_parse(const char *metadata, size_t len);

/* Names; NULL is never returned. *_parse give false for an unknown name. */
const char *color_name(enum color c);
const char *right_name(enum right s);
const char *local_state_name(enum local_state s);
const char *phase_name(enum phase p);
const char *strategy_name(enum strategy s);
const char *on_unreachable_name(enum on_unreachable v);
const char *on_doubt_name(enum on_doubt v);
const char *offset_reset_name(enum offset_reset v);
bool color_parse(enum color *ret, const char *name);
bool right_parse(enum right *ret, const char *name);
bool local_state_parse(enum local_state *ret, const char *name);
bool phase_parse(enum phase *ret, const char *name);
bool strategy_parse(enum strategy *ret, const char *name);
bool on_unreachable_parse(enum on_unreachable *ret, const char *name);
bool on_doubt_parse(enum on_doubt *ret, const char *name);
bool offset_reset_parse(enum offset_reset *ret, const char *name);

/* (term, epoch) orders everything a controller ever said (invariant I4). */
struct version {
    int64_t term;
    uint64_t epoch;
};
static inline int version_compare(struct version a, struct version b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    return a.epoch < b.epoch ? -1 : a.epoch > b.epoch;
}

#endif
