/* terms - see terms.h. */
#include "core/terms.h"

#include "base/check.h"

void terms_init(struct terms *t)
{
    t->highest = -1;
}

void terms_claim(struct terms *t, int64_t offset)
{
    ASSERT(offset > t->highest); /* the log is read in its order */
    t->highest = offset;
}

bool terms_valid(const struct terms *t, int64_t term)
{
    return term >= t->highest;
}
