/* fuzz - see fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *fuzz_copy(const char *text, size_t len)
{
    char *copy = malloc(len + 1);

    ASSERT(copy != NULL);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

void fuzz_same(const struct str *once, const struct str *again)
{
    if (once->len == again->len && memcmp(once->buf, again->buf, once->len) == 0)
        return;
    fprintf(stderr, "once:  %s\nagain: %s\n", once->buf, again->buf);
    check_failed("what was written reads back the same", __FILE__, __LINE__);
}

void fuzz_accepted(int code, const struct errmsg *m, const char *text)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "%s\nrefused: %s\n", text, m->text);
    check_failed("what was written can be read", __FILE__, __LINE__);
}
