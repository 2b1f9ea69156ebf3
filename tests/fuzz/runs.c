/* runs - "partitions": "0-11" and its columns; written from what was read, they read back the same. */
#include <string.h>

#include "fuzz.h"
#include "wire/runs.h"

#define COUNT_MAX 64

struct run {
    int32_t first;
    int count;
    int64_t from[COUNT_MAX], doubt[COUNT_MAX];
};

static int run_read(struct run *ret, const char *text, size_t len, struct errmsg *m)
{
    struct json_reader reader = { .m = m };
    struct json_at root;
    json_t *tree;
    int r = json_read_tree(&tree, text, len, 4096, m);

    if (r < 0)
        return r;
    root = json_root(&reader, tree);
    ret->count = run_partitions(&root, &ret->first, COUNT_MAX);
    column_read(&root, "from", ret->from, ret->count, 0, INT64_MAX, -1);
    column_read(&root, "ago", ret->doubt, ret->count, INT64_MIN + 1, INT64_MAX, INT64_MIN);
    json_decref(tree);
    return reader.error;
}

static void run_write(struct str *ret, const struct run *run)
{
    struct json_out o = { .text = ret };

    json_open(&o, NULL, '{');
    run_put_partitions(&o, run->first, run->count);
    column_put(&o, "from", run->from, run->count, -1);
    column_put(&o, "ago", run->doubt, run->count, INT64_MIN);
    json_close(&o, '}');
}

void fuzz_runs(const char *text, size_t len)
{
    struct str written = STR_WITH_MAX(16 * 1024);
    struct run run, again;
    struct errmsg m;

    if (run_read(&run, text, len, &m) < 0)
        return;
    ASSERT(run.first >= 0 && run.count >= 1 && run.count <= COUNT_MAX);
    run_write(&written, &run);
    ASSERT(str_error(&written) == ERR_OK);
    fuzz_accepted(run_read(&again, written.buf, written.len, &m), &m, written.buf);
    ASSERT(run.first == again.first && run.count == again.count);
    ASSERT(memcmp(run.from, again.from, (size_t)run.count * sizeof(run.from[0])) == 0);
    ASSERT(memcmp(run.doubt, again.doubt, (size_t)run.count * sizeof(run.doubt[0])) == 0);
    str_free(&written);
}
