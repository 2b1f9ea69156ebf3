/*
 * uptake - which records of the control log a member takes in as its fleet's document.
 *
 * A dead term's record is void (core/terms). Behind one that cannot be read, what is known may be old (docs/control-log.md): no head
 * is applied before that key is mended (the newest one waits), and no barrier is passed, since the log counts as read only up to
 * there.
 *
 * Texts are the shell's to parse and to keep: src/channel/documents.c for libbaton and the agent, and the simulation.
 */
#ifndef CORE_UPTAKE_H
#define CORE_UPTAKE_H

#include "core/limits.h"
#include "core/terms.h"

struct uptake {
    struct terms terms;
    bool unreadable[1 + SHARDS_MAX]; /* whose newest record cannot be read: [0] the head, [1 + n] shard n */
    int unreadable_count;
    int64_t unreadable_at; /* offset of the first of them */
    bool head_waits;
};

/* A head or a shard of the fleet. */
struct uptake_record {
    int shard; /* -1: the head */
    bool gone; /* a tombstone */
    int64_t offset;
    bool termless; /* its term is not known, as it cannot be read */
    int64_t term;
};

enum uptake_word {
    UPTAKE_NOTHING,
    UPTAKE_TAKE, /* apply it */
    UPTAKE_KEEP, /* a head that waits: see uptake_head_due(). It takes the place of one that was kept */
};

void uptake_init(struct uptake *in);
/* Does it count, so that it is worth reading? */
bool uptake_counts(const struct uptake *in, const struct uptake_record *r);
/* One that counts, in log order. */
enum uptake_word uptake_step(struct uptake *in, const struct uptake_record *r, bool readable);
/* After every step: is the head that was kept to be applied now? */
bool uptake_head_due(const struct uptake *in);
void uptake_head_taken(struct uptake *in);
/* How far the log counts as read: barriers wait at the first record that could not be read. */
int64_t uptake_read_to(const struct uptake *in, int64_t position);

#endif
