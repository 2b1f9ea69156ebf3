/*
 * passes - what an operation did to each partition; and the receipt made of it, by its one reader, the CLI.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"
#include "fuzz.h"
#include "wire/record.h"

#define PASS_MAX (SHARD_BATONS + 64)

static struct baton batons[PASS_MAX];
static struct fleet fleet = {
    .spec = { .fleet = "payments", .topics = { "orders" }, .topic_count = 1 },
    .version = { 1042, 17 },
    .batons = batons,
    .baton_count = PASS_MAX,
    .baton_max = PASS_MAX,
};

static void receipt(const struct op *op)
{
    static const struct look look = { .width = 100 };
    struct str text = STR_WITH_MAX(4 * RECORD_BYTES_MAX), page = STR_WITH_MAX(4 * RECORD_BYTES_MAX);
    struct errmsg m;
    json_t *json;

    fuzz_accepted(receipt_encode(&text, op, &fleet, &m), &m, op->why);
    json = json_loadb(text.buf, text.len, JSON_REJECT_DUPLICATES, NULL);
    ASSERT(json != NULL);
    render_receipt(&page, &look, json);
    ASSERT(page.len > 0);
    json_decref(json);
    str_free(&text);
    str_free(&page);
}

void fuzz_passes(const char *text, size_t len)
{
    static struct pass forth[PASS_MAX], back[PASS_MAX], forth_again[PASS_MAX], back_again[PASS_MAX];
    struct str once = STR_WITH_MAX(RECORD_BYTES_MAX), twice = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct op op = { .forth = forth, .back = back }, again = { .forth = forth_again, .back = back_again };
    const int shard = memmem(text, len, "\"shard\":1", 9) != NULL;
    struct errmsg m;

    memset(forth, 0, sizeof(forth));
    memset(back, 0, sizeof(back));
    for (int i = 0; i < PASS_MAX; i++)
        batons[i].partition = i;
    if (passes_decode(&op, PASS_MAX, shard, text, len, &m) < 0)
        return;
    op.number = again.number = 6;
    fuzz_accepted(passes_encode(&once, &op, shard, &fleet, &m), &m, "passes");
    fuzz_accepted(passes_decode(&again, PASS_MAX, shard, once.buf, once.len, &m), &m, once.buf);
    fuzz_accepted(passes_encode(&twice, &again, shard, &fleet, &m), &m, once.buf);
    fuzz_same(&once, &twice);
    receipt(&op);
    str_free(&once);
    str_free(&twice);
}
