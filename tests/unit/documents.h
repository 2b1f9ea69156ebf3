/*
 * documents - a baton, a whole document and a preflight as they should be, for tests to spoil.
 */
#ifndef UNIT_DOCUMENTS_H
#define UNIT_DOCUMENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/plan.h"

struct preflight {
    struct fleet fleet;
    struct baton table[2];
    struct op op;
    struct report reports[3];
    const struct report *newest[3];
    struct report_part parts[3][2];
    struct snapshot snapshot;
    struct partition_view partitions[2];
    struct group_member members[COLOR_COUNT][2];
    struct plan_input in;
};

struct baton baton(int partition, enum right right, enum color holder, uint64_t epoch);
void doc_whole(struct doc *doc, struct baton *batons, int count, int64_t term, uint64_t epoch);
void preflight_good(struct preflight *p);

#endif
