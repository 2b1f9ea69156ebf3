/*
 * burrow_pack - a window of commits in few bytes.
 *
 * The commits of a partition resemble each other: the next one is a little later, a little further on, a little more or less behind. So of
 * each only the differences from the one before it are kept, every number in as many bytes as it needs: some 8 bytes a commit
 * instead of 40. Nothing is rounded or cut: what is unpacked is what was packed, whatever numbers a client has written.
 */
#ifndef CONTROLLER_BURROW_PACK_H
#define CONTROLLER_BURROW_PACK_H

#include "core/burrow.h"

#define BURROW_PACKED_USUAL 8 /* bytes of a commit */
#define BURROW_PACKED_MAX 50  /* five numbers of at most ten bytes */

/* ret has room for count * BURROW_PACKED_MAX bytes; how many were written. */
size_t burrow_pack(uint8_t *ret, const struct burrow_commit *commits, int count);
void burrow_unpack(struct burrow_commit *ret, int count, const uint8_t *packed);

#endif
