/*
 * mirror - what the control log says, kept in memory: fleets, the newest operation of each, and the history as text.
 *
 * Pure: records in log order go in, changes come out through a callback. Leader and follower keep the same mirror, so
 * reads are answered alike by both, a reign starts from it, and when one ends there is nothing to undo: what was not
 * in the log never was in the mirror.
 *
 * What a record means is core/replay's to say; this parses them and keeps the texts. A record of a dead term, or a corrupt one,
 * is said, skipped, and healed by a leader (PROTOCOL rule 14). A record of a newer Baton is not guessed at: the mirror says
 * so and nobody may lead from it.
 *
 * The history is kept as the JSON it came in: some 300 bytes a partition and operation, history_count operations
 * (100) a fleet, deflated to about a tenth once the operation is not the newest any more.
 */
#ifndef CONTROLLER_MIRROR_H
#define CONTROLLER_MIRROR_H

#include "core/replay.h"
#include "kafka/log.h"
#include "wire/record.h"

#define MIRROR_OPS_MAX 1100 /* a fleet's history_count is at most 1000; older ones than these are forgotten */
#define MIRROR_FLEETS_MAX (4 * FLEETS_MAX) /* names ever seen; deleted ones count */

struct mirror_text {
    char *bytes; /* NULL: no valid record yet */
    uint32_t len;
    uint32_t packed_len; /* 0: bytes are the text itself, else they are deflated */
};

struct mirror_op { /* what replay_op keeps */
    uint32_t number;
    struct mirror_text op;
    struct mirror_text *passes; /* by shard */
    int passes_count;
};

struct mirror_fleet {
    struct mirror_fleet *next;
    char name[FLEET_NAME_MAX + 1];
    struct fleet fleet;
    struct replay_fleet log;
    char broken[256]; /* the newest record of a key is of a living term and cannot be read: a sentence, else "" */
    void *opaque;     /* the controller's */
};

enum mirror_change_type {
    MIRROR_CLAIM, /* mirror.claim, mirror.terms */
    MIRROR_HEAD,  /* the fleet's document as a whole is as the head says */
    MIRROR_SHARD,
    MIRROR_OP,     /* number */
    MIRROR_PASSES, /* number, shard */
    MIRROR_GONE,   /* a tombstone: of the fleet (key.kind RECORD_HEAD; told just before it takes effect), a shard, an
                      operation or its passes */
    MIRROR_VOID,   /* of a dead term, or corrupt: nothing changed */
};

struct mirror_change {
    enum mirror_change_type type;
    struct mirror_fleet *fleet; /* NULL for a claim */
    struct record_key key;
    int64_t offset;
    const struct replay_record *record; /* NULL for a claim */
    enum replay_fate fate;
};

struct mirror;
typedef void mirror_changed(void *opaque, const struct mirror_change *change);

struct mirror {
    struct terms terms;
    struct claim claim; /* of terms.highest */
    bool claim_known;
    int64_t position;            /* one past the last record */
    struct mirror_fleet *fleets; /* by name */
    int fleet_count;
    char newer[256];         /* the log holds records of a newer Baton: a sentence, else "" */
    uint64_t voids, corrupt; /* counted */
    mirror_changed *changed;
    void *opaque;
    struct doc scratch; /* of the record under way */
    struct baton *scratch_batons;
};

int mirror_init(struct mirror *m, mirror_changed *changed, void *opaque);
void mirror_deinit(struct mirror *m);
void mirror_record(struct mirror *m, const struct kafka_record *rec);

struct mirror_fleet *mirror_find(const struct mirror *m, const char *name);
/* Finds or adds; NULL: MIRROR_FLEETS_MAX names are known. */
struct mirror_fleet *mirror_add(struct mirror *m, const char *name);

/* By growing number, log.op_count of them. One without a text is known by void records alone. */
const struct mirror_op *mirror_op_at(const struct mirror_fleet *f, int i);
const struct mirror_op *mirror_op_find(const struct mirror_fleet *f, uint32_t number);
/* The newest that has its op record, NULL: none. */
const struct mirror_op *mirror_op_newest(const struct mirror_fleet *f);
/* The text of a record, free() it; NULL: there is none. */
char *mirror_text_get(const struct mirror_text *t, size_t *ret_len);
/*
 * Decodes an operation; with passes when forth and back are given (pass_max of each). Their order is that of the
 * fleet's batons.
 */
int mirror_op_decode(struct op *ret, const struct mirror_op *o, struct pass *forth, struct pass *back, int pass_max,
                     struct errmsg *m);

#endif
