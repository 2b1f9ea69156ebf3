/* documents - see documents.h. */
#include "documents.h"

#include <stdio.h>
#include <string.h>

struct baton baton(int partition, enum right right, enum color holder, uint64_t epoch)
{
    return (struct baton){ .partition = partition,
                           .state = right,
                           .holder = holder,
                           .epoch = epoch,
                           .order = epoch,
                           .taken = true,
                           .doubt = OFFSET_NONE };
}

void doc_whole(struct doc *doc, struct baton *batons, int count, int64_t term, uint64_t epoch)
{
    memset(doc, 0, sizeof(*doc));
    doc->kind = DOC_WHOLE;
    doc->version = (struct version){ term, epoch };
    doc->fleet.version = doc->fleet.applied = doc->version;
    doc->fleet.exists = true;
    doc->fleet.spec.topic_count = 1;
    strcpy(doc->fleet.spec.topics[0], "orders");
    doc->fleet.spec.follow_interval_ms = 10000;
    doc->fleet.batons = batons;
    doc->fleet.baton_count = doc->fleet.baton_max = count;
}

void preflight_good(struct preflight *p)
{
    struct spec *spec = &p->fleet.spec;

    memset(p, 0, sizeof(*p));
    fleet_init(&p->fleet, p->table, 2);
    snprintf(spec->fleet, sizeof(spec->fleet), "f");
    snprintf(spec->topics[0], sizeof(spec->topics[0]), "t");
    spec->topic_count = 1;
    spec->session_timeout_ms = 45000;
    spec->processing_ms_max = 30000;
    p->fleet.exists = true;
    p->fleet.version = p->fleet.applied = (struct version){ 7, 5 };
    p->fleet.baton_count = 2;
    p->op = (struct op){ .kind = OP_SWITCH, .from = BLUE, .to = GREEN };
    stages_whole(&p->op.stages);
    p->op.deadline_ms = 60000;
    p->op.observe_ms = 60000;
    for (int i = 0; i < 2; i++) {
        struct report *r = &p->reports[i];

        p->table[i] = baton(i, RIGHT_HELD, BLUE, 3);
        p->partitions[i] = (struct partition_view){ .committed = { 10, 10 }, .log_end = 20 };
        *r = (struct report){ .color = (enum color)i, .applied = { 7, 5 }, .ready = true, .parts = p->parts[i] };
        snprintf(r->member_id, sizeof(r->member_id), "m%d", i);
        snprintf(r->incarnation, sizeof(r->incarnation), "in%d", i);
        snprintf(r->host, sizeof(r->host), "h%d", i);
        snprintf(spec->colors[i].group, sizeof(spec->colors[i].group), "f-%s", color_name((enum color)i));
        snprintf(r->version, sizeof(r->version), "v%d", i);
        for (r->part_count = 0; r->part_count < 2; r->part_count++)
            r->parts[r->part_count] = (struct report_part){ .partition = r->part_count, .owned = true };
        snprintf(p->members[i][0].member_id, sizeof(p->members[i][0].member_id), "m%d", i);
        p->snapshot.groups[i] = (struct group_view){ .known = true, .members = p->members[i], .member_count = 1 };
        p->newest[i] = r;
    }
    p->newest[2] = &p->reports[2];
    p->snapshot.topics[0] = (struct topic_view){ .exists = true, .partition_count = 2, .retention_ms = -1 };
    p->snapshot.partitions = p->partitions;
    p->snapshot.partition_count = 2;
    p->in = (struct plan_input){ &p->fleet, &p->op, p->newest, 2, &p->snapshot, false };
}
