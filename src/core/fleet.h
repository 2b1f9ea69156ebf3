/*
 * fleet - the fleet document: who may process what, level-triggered.
 *
 * Any member can act on the newest document alone. The controller's switcher owns one and
 * changes it; a member's holder owns another and copies into it what the log says. `wire/doc_json` writes and
 * reads it, in one record or, above SHARD_BATONS, as a head and shards.
 */
#ifndef CORE_FLEET_H
#define CORE_FLEET_H

#include "core/spec.h"

#define OFFSET_NONE (-1) /* no offset, no doubt */

struct baton {
    uint16_t topic; /* index into spec.topics */
    int32_t partition;
    enum right state;
    enum color holder;
    int64_t from;   /* where the holder began when the baton was last granted */
    uint64_t epoch; /* of the grant by which the holder has it: the mark in its commits */
    uint64_t order; /* of the last word about it: what reports answer to */
    bool taken;     /* its holder has begun under `epoch`: false from the grant until `held` is written. An
                       offset without a mark is an operator's reset once it is true, a former life's before (rule 6) */
    int64_t doubt;  /* a lost member may have worked up to here; OFFSET_NONE */
};

/* A version that the judge turned back. */
#define FAILED_MAX 4
struct failed_version {
    char version[VERSION_MAX + 1];
    uint32_t number; /* of the switch that failed */
};

struct fleet {
    struct spec spec;
    struct version version; /* (term, epoch) of the newest record applied: never goes back (I4) */
    struct version applied; /* of the newest head applied: what a member acknowledges. Shards of a change
                               are written before their head, so whoever has the head has them all */
    enum phase phase;
    enum color active;
    uint32_t switch_number;   /* the newest operation, 0: none yet */
    int64_t deadline_unix_ms; /* of what is under way, 0: nothing is */
    char reason[REASON_MAX + 1];
    struct failed_version failed[FAILED_MAX]; /* the newest first; a switch to one of them wants --force */
    int failed_count;
    char speakers[COLOR_COUNT]
                 [CLIENT_ID_MAX + 1]; /* of a foreign fleet: the client id of each color's newest agent, "": none
                                                      yet. One that is not named any more has been replaced */
    int64_t written_unix_us;          /* controller's wall clock when it wrote the head */

    struct baton *batons; /* caller's storage */
    int baton_count;
    int baton_max;
    bool exists; /* false: no document, or a deleted fleet */
};

/*
 * One record of a fleet document as it travels: a head with all batons, a head without (its batons
 * stand in shards), a shard (batons number SHARD_BATONS * shard and on), or the tombstone of a deleted fleet.
 */
enum doc_kind { DOC_WHOLE, DOC_HEAD, DOC_SHARD, DOC_GONE };
struct doc {
    enum doc_kind kind;
    struct version version; /* DOC_GONE carries none */
    int shard;              /* of DOC_SHARD */
    struct fleet fleet;     /* head fields unless DOC_SHARD; batons unless DOC_HEAD; of a DOC_HEAD
                               baton_count says how many the shards hold */
};

/*
 * Shards may be read before their head and in any order (each key keeps its last record's place in the log), so a shard names the
 * index of its topics itself; a baton whose shard has not been read yet has partition -1 and matches nothing.
 */
enum doc_result { DOC_APPLIED, DOC_STALE, DOC_FITS_NOT };
/*
 * Applies a valid-by-term record in log order. DOC_STALE: a lower version, nothing changed. DOC_FITS_NOT: more batons
 * than baton_max; nothing changed.
 */
enum doc_result fleet_apply(struct fleet *f, const struct doc *doc);

/* `batons` stays the caller's. */
void fleet_init(struct fleet *f, struct baton *batons, int baton_max);

/* Index of the partition's baton or -1. Batons stay where they were born; new ones are appended. */
int fleet_find(const struct fleet *f, int topic, int32_t partition);
/*
 * Can its holder's color have held every partition since this grant? Not if one that was granted no later is the other color's, or has not been
 * held yet.
 */
bool fleet_can_have_been_whole(const struct fleet *f, int baton);
int fleet_topic(const struct fleet *f, const char *name); /* index or -1 */
/* Does `new` keep every topic of `old` at its index? A fleet made again under an old name may not. */
bool fleet_topics_extend(const struct fleet *old, const struct fleet *new);
/* The entry of this version, or -1. No label is no version. */
int fleet_failed(const struct fleet *f, const char *version);
void fleet_failed_add(struct fleet *f, const char *version, uint32_t number);
void fleet_failed_drop(struct fleet *f, const char *version);
int fleet_count_held(const struct fleet *f, enum color c); /* held or granted */

/* Facts that hold for every document ever written or read (ASSERTs; for what came from outside use fleet_valid). */
void fleet_check(const struct fleet *f);
bool fleet_valid(const struct fleet *f, const char **ret_why);

#endif
