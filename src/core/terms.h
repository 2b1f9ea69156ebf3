/*
 * terms - which records of the control log count (PROTOCOL rules 1 and 14).
 *
 * The term of a reign is the offset of its claim record. Reading in log order, a record whose term is
 * lower than the highest claim seen is void: a deposed leader wrote it late.
 */
#ifndef CORE_TERMS_H
#define CORE_TERMS_H

#include <stdbool.h>
#include <stdint.h>

struct terms {
    int64_t highest; /* -1: no claim seen */
};

void terms_init(struct terms *t);
/* A claim record at `offset` was read. */
void terms_claim(struct terms *t, int64_t offset);
/* Does a record of `term`, read now, count? One of a higher term does: its claim was compacted away. */
bool terms_valid(const struct terms *t, int64_t term);

#endif
