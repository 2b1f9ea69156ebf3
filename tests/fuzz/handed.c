/* handed - an HTTP request, or its answer, that travels through Kafka. */
#include <stdlib.h>

#include "fuzz.h"
#include "wire/record.h"

void fuzz_handed(const char *text, size_t len)
{
    struct str once = STR_WITH_MAX(RECORD_BYTES_MAX), twice = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct handed handed, again;
    struct errmsg m;

    if (handed_decode(&handed, text, len, &m) < 0)
        return;
    fuzz_accepted(handed_encode(&once, &handed, &m), &m, handed.path);
    fuzz_accepted(handed_decode(&again, once.buf, once.len, &m), &m, once.buf);
    ASSERT(handed.is_answer == again.is_answer && handed.status == again.status);
    ASSERT(text_equal(handed.method, again.method) && text_equal(handed.path, again.path));
    ASSERT(text_equal(handed.by, again.by) && !handed.body == !again.body);
    ASSERT(!handed.body || text_equal(handed.body, again.body));
    ASSERT(handed.unix_ms == again.unix_ms && handed.patience_ms == again.patience_ms);
    fuzz_accepted(handed_encode(&twice, &again, &m), &m, once.buf);
    fuzz_same(&once, &twice);
    free(handed.body);
    free(again.body);
    str_free(&once);
    str_free(&twice);
}
