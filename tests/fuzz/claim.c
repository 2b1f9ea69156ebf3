/* claim - the record that begins a reign; and the quick look for a record's term against the thorough one. */
#include <string.h>

#include "fuzz.h"
#include "wire/json_read.h"
#include "wire/record.h"

static void term(const char *text, size_t len)
{
    struct errmsg m;
    int64_t quick;
    json_t *tree;

    if (record_term(&quick, text, len, &m) < 0)
        return;
    ASSERT(quick >= 0);
    if (json_read_tree(&tree, text, len, RECORD_BYTES_MAX, &m) < 0)
        return;
    ASSERT(json_integer_value(json_object_get(tree, "term")) == quick);
    json_decref(tree);
}

void fuzz_claim(const char *text, size_t len)
{
    struct str once = STR_WITH_MAX(RECORD_BYTES_MAX), twice = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct claim claim, again;
    struct errmsg m;

    term(text, len);
    if (claim_decode(&claim, text, len, &m) < 0)
        return;
    fuzz_accepted(claim_encode(&once, &claim, &m), &m, text);
    fuzz_accepted(claim_decode(&again, once.buf, once.len, &m), &m, once.buf);
    ASSERT(text_equal(claim.controller, again.controller) && text_equal(claim.host, again.host));
    ASSERT(text_equal(claim.address, again.address) && text_equal(claim.version, again.version));
    ASSERT(claim.unix_ms == again.unix_ms);
    fuzz_accepted(claim_encode(&twice, &again, &m), &m, once.buf);
    fuzz_same(&once, &twice);
    str_free(&once);
    str_free(&twice);
}
