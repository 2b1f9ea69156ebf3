/* terms - see terms.h. */
#include "core/terms.h"

void terms_init(struct terms *t)
{
    t->highest = -1;
}

void terms_claim(struct terms *t, int64_t offset)
{
    if (offset > t->highest) /* a log that is read again from its beginning tells old claims again */
        t->highest = offset;
}

bool terms_valid(const struct terms *t, int64_t term)
{
    return term >= t->highest;
}
