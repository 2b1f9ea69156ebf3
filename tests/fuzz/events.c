/* events - server-sent events as they come: in one piece, byte by byte, or in pieces of seven, the same events are read. */
#include "http/sse.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define BYTES_MAX 300 /* small, so that the bound is met */

static bool note(void *opaque, const char *id, const char *type, const char *data)
{
    struct str *told = opaque;

    ASSERT(*type && strlen(id) < 64 && strlen(type) < 64 && strlen(data) <= BYTES_MAX);
    str_addf(told, "[%s][%s][%s]", id, type, data);
    return strcmp(type, "stop") != 0;
}

static bool read_in_pieces(struct str *told, const char *bytes, size_t len, size_t piece)
{
    struct sse sse;
    bool good = true;

    sse_init(&sse, BYTES_MAX, note, told);
    for (size_t at = 0; at < len && good && !sse.stopped; at += piece)
        good = sse_feed(&sse, bytes + at, len - at < piece ? len - at : piece);
    if (good)
        str_addf(told, "last [%s]%s", sse.last_id, sse.stopped ? " stopped" : "");
    sse_deinit(&sse);
    return good;
}

void fuzz_events(const char *bytes, size_t len)
{
    static const size_t pieces[] = { 1, 7 };
    struct str whole = STR_WITH_MAX(1024 * 1024);
    char *text = fuzz_copy(bytes, len);
    const bool good = read_in_pieces(&whole, text, len, len > 0 ? len : 1);

    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct str told = STR_WITH_MAX(1024 * 1024);

        ASSERT(read_in_pieces(&told, text, len, pieces[i]) == good);
        if (!str_error(&whole))
            fuzz_same(&whole, &told);
        str_free(&told);
    }
    str_free(&whole);
    free(text);
}
