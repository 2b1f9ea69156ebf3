/* operation - switch, rollback, pause, resume, as the log has them. */
#include "fuzz.h"
#include "wire/record.h"

void fuzz_operation(const char *text, size_t len)
{
    struct str once = STR_WITH_MAX(RECORD_BYTES_MAX), twice = STR_WITH_MAX(RECORD_BYTES_MAX);
    const struct fleet fleet = { .spec.fleet = "payments", .version = { 1042, 17 } };
    struct op op = { 0 }, again = { 0 };
    struct errmsg m;

    if (op_decode(&op, text, len, &m) < 0)
        return;
    fuzz_accepted(op_encode(&once, &op, &fleet, &m), &m, op.why);
    fuzz_accepted(op_decode(&again, once.buf, once.len, &m), &m, once.buf);
    ASSERT(op.number == again.number && op.kind == again.kind && op.state == again.state);
    ASSERT(op.from == again.from && op.to == again.to && op.replay == again.replay);
    ASSERT(op.stages.count == again.stages.count && op.by_hand == again.by_hand && op.keep == again.keep &&
           op.stage == again.stage && op.cause == again.cause);
    ASSERT(text_equal(op.reason, again.reason) && text_equal(op.why, again.why));
    fuzz_accepted(op_encode(&twice, &again, &fleet, &m), &m, once.buf);
    fuzz_same(&once, &twice);
    op_ended(&op);
    str_free(&once);
    str_free(&twice);
}
