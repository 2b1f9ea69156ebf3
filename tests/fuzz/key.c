/* key - keys of both topics: a key that is known is written exactly as it was read, so no record has two. */
#include <string.h>

#include "fuzz.h"
#include "wire/record.h"

static void one(const char *text, size_t len, bool control)
{
    char written[RECORD_KEY_MAX];
    struct record_key key;

    record_key_parse(&key, text, len, control);
    if (key.kind == RECORD_UNKNOWN)
        return;
    record_key_format(written, &key);
    ASSERT(strlen(written) == len && memcmp(written, text, len) == 0);
}

void fuzz_key(const char *text, size_t len)
{
    one(text, len, true);
    one(text, len, false);
}
