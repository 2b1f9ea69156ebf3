/* reign - see reign.h. Whatever the switcher asks for is answered in the same step, by what the world holds. */
#include "reign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_offsets(struct reign *r, const struct switcher_effect *e, const int *batons)
{
    struct switcher_reading readings[PARTS];

    for (int i = 0; i < e->count; i++) {
        const int b = batons[e->first + i];

        readings[i] = (struct switcher_reading){ .baton = b, .offset = r->position[b], .mark = r->mark[b] };
        assert_true(e->type != SWITCHER_READ_OFFSETS || e->color == r->table[b].holder);
        if (e->type != SWITCHER_READ_OFFSETS)
            readings[i].offset = e->type == SWITCHER_READ_ENDS ? r->ends : r->starts;
    }
    reign_step(r, (struct switcher_event){ .type = e->type == SWITCHER_READ_OFFSETS ? SWITCHER_OFFSETS
                                                   : e->type == SWITCHER_READ_ENDS  ? SWITCHER_ENDS
                                                                                    : SWITCHER_STARTS,
                                           .token = e->token,
                                           .failed = r->fails[e->type],
                                           .color = e->color,
                                           .readings = readings,
                                           .reading_count = e->count });
}

static void list_groups(struct reign *r, struct group_member lists[COLOR_COUNT][MEMBERS])
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        struct group_view *g = &r->groups[c];

        g->member_count = 0;
        g->members = lists[c];
        for (int m = 0; m < MEMBERS; m++)
            if (r->members[m].exists && !r->members[m].unlisted && r->members[m].report.color == (enum color)c)
                snprintf(lists[c][g->member_count++].member_id, MEMBER_ID_MAX + 1, "%s",
                         r->members[m].report.member_id);
    }
}

void read_groups(struct reign *r)
{
    struct group_member lists[COLOR_COUNT][MEMBERS];

    list_groups(r, lists);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_GROUPS, .groups = r->groups });
}

void read_all(struct reign *r, uint64_t token)
{
    static struct snapshot snapshot;
    struct group_member lists[COLOR_COUNT][MEMBERS];
    struct partition_view partitions[PARTS];

    list_groups(r, lists);
    memset(&snapshot, 0, sizeof(snapshot));
    memcpy(snapshot.groups, r->groups, sizeof(r->groups));
    snapshot.topics[0] = (struct topic_view){ .exists = true, .partition_count = r->fleet.baton_count };
    snapshot.partitions = partitions;
    snapshot.partition_count = r->fleet.baton_count;
    for (int i = 0; i < r->fleet.baton_count; i++)
        partitions[i] =
            (struct partition_view){ { r->position[i], r->position[i] }, .log_start = r->starts, .log_end = r->ends };
    reign_step(r, (struct switcher_event){ .type = SWITCHER_SNAPSHOT, .token = token, .snapshot = &snapshot });
}

static void answer(struct reign *r, const struct switcher_effect *e, const int *batons)
{
    r->token[e->type] = e->token;
    r->asked[e->type]++;
    if (r->deaf[e->type])
        return;
    switch (e->type) {
    case SWITCHER_READ_REPORTS:
        reign_step(r, (struct switcher_event){
                          .type = SWITCHER_REPORTS_READ, .token = e->token, .failed = r->fails[e->type] });
        break;
    case SWITCHER_READ_OFFSETS:
    case SWITCHER_READ_ENDS:
    case SWITCHER_READ_STARTS:
        read_offsets(r, e, batons);
        break;
    case SWITCHER_READ_GROUPS:
        read_groups(r);
        break;
    case SWITCHER_READ_ALL:
        read_all(r, e->token);
        break;
    case SWITCHER_FORGET:
        memcpy(r->forgotten, e->incarnation, sizeof(r->forgotten));
        break;
    case SWITCHER_RESTORE:
        memcpy(r->restored, e->incarnation, sizeof(r->restored));
        break;
    case SWITCHER_REPLY:
        r->told = *e;
        break;
    case SWITCHER_DROP_OP:
        r->dropped = e->number;
        break;
    }
}

void reign_step(struct reign *r, struct switcher_event ev)
{
    struct switcher_effects fx;
    int batons[4 * PARTS];

    ev.now_ms = r->now_ms;
    ev.now_unix_us = r->now_ms * 1000;
    switcher_effects_clear(&r->fx);
    memset(&r->s.dirty, 0, sizeof(r->s.dirty));
    switcher_step(&r->s, &ev, &r->fx);
    if (r->depth++ == 0)
        r->op_written = r->head_written = r->passes_written = false;
    r->op_written = r->op_written || r->s.dirty.op;
    r->passes_written = r->passes_written || r->s.dirty.passes[0];
    r->head_written = r->head_written || r->s.dirty.head;
    free(ev.report);
    fx = r->fx;
    memcpy(batons, r->batons, sizeof(batons));
    for (int i = 0; i < fx.count; i++)
        answer(r, &fx.items[i], batons);
    r->depth--;
}

void tick(struct reign *r, int64_t later_ms)
{
    r->now_ms += later_ms;
    reign_step(r, (struct switcher_event){ .type = SWITCHER_TICK });
}

/* What a member that does at once what it is told says of a partition. */
static struct report_part part_of(struct reign *r, const struct member *m, int i)
{
    const struct baton *b = &r->table[i];
    const bool ours = b->holder == m->report.color && m->owns[i];
    struct report_part part = { .partition = i,
                                .order = b->order,
                                .owned = m->owns[i],
                                .position = r->position[i],
                                .committed = r->position[i],
                                .doubt = OFFSET_NONE,
                                .first = OFFSET_NONE };

    if (!ours)
        return part;
    if (b->state == RIGHT_GRANTED && r->mark[i].epoch != b->epoch) {
        r->position[i] = b->from;
        r->mark[i] = (struct mark){ MARK_EPOCH, b->epoch };
        part.position = part.committed = b->from;
    }
    part.local = b->state == RIGHT_HELD || b->state == RIGHT_GRANTED ? LOCAL_ACTIVE : LOCAL_RELEASED;
    part.first = part.local == LOCAL_ACTIVE && !r->no_first ? (r->first[i] < 0 ? b->from : r->first[i]) : OFFSET_NONE;
    part.stopped_unix_us = part.drained_unix_us = part.local == LOCAL_RELEASED ? r->now_ms * 1000 : 0;
    part.attached_unix_us = part.first_unix_us = part.local == LOCAL_ACTIVE ? r->now_ms * 1000 : 0;
    return part;
}

struct report *report_new(struct reign *r, struct member *m)
{
    struct report *report = calloc(1, sizeof(*report) + PARTS * sizeof(struct report_part));

    m->report.sequence++;
    m->report.applied = r->fleet.version;
    *report = m->report;
    report->parts = (struct report_part *)(report + 1);
    for (int i = 0; i < r->fleet.baton_count && !m->idle; i++)
        report->parts[report->part_count++] = part_of(r, m, i);
    return report;
}

void speak(struct reign *r, int m)
{
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report_new(r, &r->members[m]) });
}

void obey(struct reign *r, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        for (int m = 0; m < MEMBERS; m++)
            if (r->members[m].exists && !r->members[m].silent)
                speak(r, m);
        tick(r, 10);
    }
}

void member_add(struct reign *r, enum color c)
{
    int m = 0;

    while (r->members[m].exists)
        m++;
    r->members[m] =
        (struct member){ .exists = true, .report = { .color = c, .ready = true, .report_interval_ms = 1000 } };
    snprintf(r->members[m].report.incarnation, INCARNATION_MAX + 1, "%s%d", color_name(c), m);
    snprintf(r->members[m].report.member_id, MEMBER_ID_MAX + 1, "id-%s%d", color_name(c), m);
    snprintf(r->members[m].report.version, VERSION_MAX + 1, "%s-v1", color_name(c));
    for (int i = 0; i < PARTS; i++)
        r->members[m].owns[i] = true;
}

struct reign *reign_new(void)
{
    struct reign *r = calloc(1, sizeof(*r));
    static const struct baton born[PARTS] = { { .partition = 0, .from = 10 },
                                              { .partition = 1, .from = 10 },
                                              { .partition = 2, .from = 10 },
                                              { .partition = 3, .from = 10 } };

    r->now_ms = 1000;
    r->fx.batons = r->batons;
    r->fx.baton_max = 4 * PARTS;
    r->ends = 100;
    r->spec = (struct spec){ .fleet = "f",
                             .topics = { "t" },
                             .topic_count = 1,
                             .colors = { { "f-blue" }, { "f-green" } },
                             .stages = { .items = { { STAGE_SHARE, 50, 0 }, { STAGE_SHARE, 100, 0 } }, .count = 2 },
                             .observe_ms = 60000,
                             .deadline_ms = 5000,
                             .session_timeout_ms = 6000,
                             .processing_ms_max = 4000,
                             .history_count = 2,
                             .judge = { .mode = JUDGE_OFF, .interval_ms = 1000, .warmup_ms = 1000 } };
    for (int i = 0; i < PARTS; i++) {
        r->position[i] = 20 + i;
        r->mark[i] = (struct mark){ MARK_EPOCH, 1 };
        r->first[i] = OFFSET_NONE;
    }
    for (int c = 0; c < COLOR_COUNT; c++) {
        r->groups[c].known = true;
        member_add(r, (enum color)c);
    }
    fleet_init(&r->fleet, r->table, PARTS);
    switcher_init(&r->s, &(struct switcher_memory){ &r->fleet, r->facts, r->forth, r->back, r->items });
    switcher_birth(&r->s, &r->spec, (struct version){ 1, 1 }, born, PARTS, r->now_ms * 1000);
    obey(r, 3);
    return r;
}

void reign_free(struct reign *r)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (r->s.members[i].used)
            free(r->s.members[i].report);
    free(r);
}

struct order order_of(enum order_kind kind)
{
    return (struct order){ .kind = kind, .observe_ms = -1, .deadline_ms = -1 };
}

enum reply_status order_give(struct reign *r, struct order o)
{
    static int number;

    if (!o.request_id[0])
        snprintf(o.request_id, sizeof(o.request_id), "r%d", ++number);
    r->told.request_id[0] = '\0';
    reign_step(r, (struct switcher_event){ .type = SWITCHER_ORDER, .order = &o });
    return r->told.status;
}

int first_releasing(const struct reign *r)
{
    int i = 0;

    while (i < PARTS && r->table[i].state != RIGHT_RELEASING)
        i++;
    assert_true(i < PARTS);
    return i;
}

int switch_ordered(struct reign *r)
{
    order_give(r, order_of(ORDER_SWITCH));
    return first_releasing(r);
}

void told(const struct reign *r, enum reply_status status, const char *text)
{
    assert_int_equal(r->told.status, status);
    if (!strstr(r->told.text, text))
        fail_msg("told '%s', not '%s'", r->told.text, text);
}

void verdict(struct reign *r, enum verdict verdict, bool blind, int stage)
{
    struct judge_verdict v = { .verdict = verdict, .blind = blind, .sentence = "so it is" };

    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_VERDICT, .verdict = &v, .number = r->s.op.number, .stage = stage });
}

struct reign *observed(const struct judge_policy *judge, int stage)
{
    struct reign *r = reign_new();

    r->fleet.spec.judge = *judge;
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
    obey(r, 8);
    if (stage == 1) {
        assert_int_equal(order_give(r, order_of(ORDER_PROMOTE)), REPLY_ACCEPTED);
        obey(r, 8);
    }
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(r->s.op.stage, stage);
    return r;
}

struct report_part *entry(struct report *report, int i)
{
    return &report->parts[i];
}

void hear(struct reign *r, struct report *report)
{
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
}
