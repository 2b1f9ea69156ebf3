/* mark - commit metadata: what is taken for a mark of ours must be one that we would have written. */
#include <string.h>

#include "core/types.h"
#include "fuzz.h"

void fuzz_mark(const char *text, size_t len)
{
    const struct mark mark = mark_parse(text, len);
    char written[MARK_TEXT_MAX];
    struct mark again;

    ASSERT(mark.kind != MARK_NOTHING);
    if (mark.kind == MARK_FOREIGN)
        return;
    mark_format(written, mark);
    again = mark_parse(written, strlen(written));
    ASSERT(again.kind == mark.kind && again.epoch == mark.epoch);
    ASSERT((strlen(written) == len || strlen(written) + 1 == len) && memcmp(written, text, len) == 0); /* with its end */
}
