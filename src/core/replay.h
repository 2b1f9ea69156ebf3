/*
 * replay - the control log: what a record of it means for who reads, and which records a leader has to write.
 *
 * Reading: records in log order go through replay_step(), which says what becomes of each. One of a dead term is void
 * (core/terms.h), and so is one that nobody can read. When it is the newest of its key, compaction would make it the truth, so
 * that key is marked until a true record follows.
 *
 * Writing: replay_write() names the records of a batch in their order. Healing (PROTOCOL rule 14) is part of it: as long as
 * some key is marked, all that the leader has is written again, and what it has not is buried.
 *
 * Texts, files and sockets are the shell's: it reads and parses a record, keeps its text where `kept` says, and appends what
 * replay_put is told. src/controller (mirror.c, reign.c) and the simulation are the two shells.
 */
#ifndef CORE_REPLAY_H
#define CORE_REPLAY_H

#include "core/switch.h"
#include "core/terms.h"

enum replay_kind { REPLAY_HEAD, REPLAY_SHARD, REPLAY_OP, REPLAY_PASSES };
struct replay_key {
    enum replay_kind kind;
    uint32_t number; /* of an operation or its passes */
    int shard;       /* of batons or passes */
};

/* An operation that the log has, or had a void record of. Its passes: one bit a shard. */
struct replay_op {
    uint32_t number;
    bool known;       /* its record is true: without it, passes belong to no operation */
    bool void_newest; /* the newest record of its key is void */
    uint32_t passes_known, passes_void;
    void *kept; /* the shell's: what the true records say */
};

struct replay_fleet {
    struct fleet *fleet;    /* caller's: the document as the log has it */
    uint64_t epoch_highest; /* of any true document this log ever had for the name, deleted fleets too */
    bool head_void, shard_void[SHARDS_MAX];
    struct replay_op *ops; /* caller's, by growing number */
    int op_count, op_max;  /* one more than op_max: the oldest is dropped */
};

enum replay_what { REPLAY_RECORD, REPLAY_TOMBSTONE, REPLAY_CORRUPT };
struct replay_record {
    struct replay_key key;
    enum replay_what what;
    int64_t term;          /* of REPLAY_RECORD */
    const struct doc *doc; /* of a head or shard that counts */
};

enum replay_fate {
    REPLAY_KEPT,     /* it is the truth of its key */
    REPLAY_GONE,     /* a tombstone (it carries no term): there is nothing under the key */
    REPLAY_VOID,     /* nothing changed; its key is marked */
    REPLAY_STALE,    /* the same: its term is good, and its document older than what was there */
    REPLAY_FITS_NOT, /* more batons than fleet->baton_max; nothing changed */
};
struct replay_change {
    enum replay_fate fate;
    struct replay_op *op; /* of an operation or its passes: where it stands now, NULL: nowhere any more */
    void *dropped;        /* `kept` of an operation whose record is no longer there, NULL: none */
};

void replay_init(struct replay_fleet *f, struct fleet *fleet, struct replay_op *ops, int op_max);
/* Does a record count, so that its text is worth reading? */
bool replay_counts(const struct terms *t, const struct replay_record *r);
struct replay_change replay_step(struct replay_fleet *f, const struct terms *t, const struct replay_record *r);
/* The newest operation that has its record, NULL: none. */
struct replay_op *replay_newest(const struct replay_fleet *f);
struct replay_op *replay_find(const struct replay_fleet *f, uint32_t number);
/* Some key has a void record as its newest. */
bool replay_needs_heal(const struct replay_fleet *f);

/* What a leader remembers of its own writing. */
struct replay_pen {
    bool heal;    /* all of it is to be written again */
    bool sharded; /* the log has its batons in shards */
};
void replay_reign(struct replay_pen *pen, const struct replay_fleet *f);
/* A leader has read a record behind its own: does it have to heal? */
void replay_behind(struct replay_pen *pen, const struct switcher *s, const struct replay_record *r,
                   enum replay_fate fate);

enum replay_text {
    REPLAY_PRESENT, /* as the switcher has it now */
    REPLAY_AGAIN,   /* as `kept` of replay_find() has it, under the leader's term */
    REPLAY_NOTHING, /* a tombstone */
};
/* Appends a record; false: it cannot, and nothing more is asked of it. */
typedef bool replay_put(void *opaque, const struct replay_key *key, enum replay_text text);

/* All that is dirty, in the order that switcher_dirty prescribes, and what healing wants. Nothing is dirty afterwards. */
void replay_write(struct replay_pen *pen, const struct replay_fleet *f, struct switcher *s, replay_put *put,
                  void *opaque);
/*
 * The tombstones of operations up to `number`, but not of the newest that is true in the log: tombstones carry no term, and a deposed
 * leader that reads late must not bury the operation that counts.
 */
void replay_drop(const struct replay_fleet *f, uint32_t number, replay_put *put, void *opaque);
/* Those of a whole fleet, its head last: until then it is there and may be deleted again. */
void replay_delete(const struct replay_fleet *f, const struct switcher *s, replay_put *put, void *opaque);
/* Those of what is left under the name of a fleet that does not exist. */
void replay_bury(const struct replay_fleet *f, replay_put *put, void *opaque);

#endif
