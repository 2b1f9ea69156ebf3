/* uptake - see uptake.h. */
#include "core/uptake.h"

#include <string.h>

#include "base/check.h"

void uptake_init(struct uptake *in)
{
    memset(in, 0, sizeof(*in));
    terms_init(&in->terms);
}

bool uptake_counts(const struct uptake *in, const struct uptake_record *r)
{
    return r->gone || r->termless || terms_valid(&in->terms, r->term);
}

static void note(struct uptake *in, int slot, int64_t offset, bool unreadable)
{
    if (unreadable && in->unreadable_count == 0)
        in->unreadable_at = offset;
    in->unreadable_count += (int)unreadable - (int)in->unreadable[slot];
    in->unreadable[slot] = unreadable;
}

enum uptake_word uptake_step(struct uptake *in, const struct uptake_record *r, bool readable)
{
    ASSERT(r->shard >= -1 && r->shard < SHARDS_MAX);
    if (r->shard < 0)
        in->head_waits = false;
    note(in, 1 + r->shard, r->offset, !readable);
    if (!readable || (r->gone && r->shard >= 0)) /* a smaller fleet's head no longer counts the shard */
        return UPTAKE_NOTHING;
    in->head_waits = in->head_waits || (r->shard < 0 && !r->gone && in->unreadable_count > 0);
    return r->shard < 0 && in->head_waits ? UPTAKE_KEEP : UPTAKE_TAKE;
}

bool uptake_head_due(const struct uptake *in)
{
    return in->head_waits && in->unreadable_count == 0;
}

void uptake_head_taken(struct uptake *in)
{
    in->head_waits = false;
}

int64_t uptake_read_to(const struct uptake *in, int64_t position)
{
    return in->unreadable_count > 0 && in->unreadable_at < position ? in->unreadable_at : position;
}
