/* report - what a member says of itself; topics that the reader does not know are dropped, the rest stays. */
#include <string.h>

#include "core/fleet.h"
#include "fuzz.h"
#include "wire/record.h"

static void parts_equal(const struct report *a, const struct report *b)
{
    ASSERT(a->part_count == b->part_count);
    for (int i = 0; i < a->part_count; i++) {
        const struct report_part *x = &a->parts[i], *y = &b->parts[i];

        ASSERT(x->topic == y->topic && x->partition == y->partition && x->order == y->order);
        ASSERT(x->local == y->local && x->owned == y->owned && x->position == y->position);
        ASSERT(x->committed == y->committed && x->in_flight == y->in_flight && x->doubt == y->doubt);
        ASSERT(x->first == y->first && x->stopped_unix_us == y->stopped_unix_us);
        ASSERT(x->drained_unix_us == y->drained_unix_us && x->attached_unix_us == y->attached_unix_us);
        ASSERT(x->first_unix_us == y->first_unix_us);
    }
}

static void works_equal(const struct report *a, const struct report *b)
{
    ASSERT(a->work_count == b->work_count);
    for (int i = 0; i < a->work_count; i++) {
        ASSERT(a->works[i].topic == b->works[i].topic && a->works[i].partition == b->works[i].partition);
        ASSERT(memcmp(&a->works[i].work, &b->works[i].work, sizeof(struct work)) == 0);
    }
}

void fuzz_report(const char *text, size_t len)
{
    struct str once = STR_WITH_MAX(RECORD_BYTES_MAX), twice = STR_WITH_MAX(RECORD_BYTES_MAX);
    const struct fleet fleet = {
        .spec = { .fleet = "payments", .topics = { "orders", "refunds" }, .topic_count = 2 },
    };
    struct report *report, *again;
    struct errmsg m;

    if (report_decode(&report, &fleet, text, len, &m) < 0)
        return;
    fuzz_accepted(report_encode(&once, report, &fleet, &m), &m, report->member_id);
    fuzz_accepted(report_decode(&again, &fleet, once.buf, once.len, &m), &m, once.buf);
    ASSERT(report->color == again->color && report->sequence == again->sequence);
    ASSERT(report->goodbye == again->goodbye && report->ready == again->ready);
    ASSERT(version_compare(report->applied, again->applied) == 0);
    ASSERT(!report->signals == !again->signals);
    ASSERT(!report->signals || memcmp(report->signals, again->signals, sizeof(*report->signals)) == 0);
    parts_equal(report, again);
    works_equal(report, again);
    fuzz_accepted(report_encode(&twice, again, &fleet, &m), &m, once.buf);
    fuzz_same(&once, &twice);
    report_free(report);
    report_free(again);
    str_free(&once);
    str_free(&twice);
}
