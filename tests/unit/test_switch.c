/*
 * test_switch - a switcher's reign told step by step, in a world where everybody does at once what he is told.
 *
 * The simulation looks for what goes wrong between many; here stands what one answer, one verdict, one order has to lead to: the
 * policy of a stage as a table, orders that must be refused, answers that never come, those that come too late.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/switch.h"

#define PARTS 4
#define MEMBERS 4

struct member {
    bool exists, silent, unlisted; /* silent: it is written to, and does not answer */
    bool idle;                     /* Kafka has given it nothing: it has no partition to tell of */
    struct report report;          /* what it says each time, but for its parts */
    bool owns[PARTS];
};

struct reign {
    struct switcher s;
    struct fleet fleet;
    struct spec spec;
    struct baton table[PARTS];
    struct baton_fact facts[PARTS];
    struct pass forth[PARTS], back[PARTS];
    struct stage_item items[PARTS];
    struct switcher_effects fx;
    int batons[4 * PARTS];
    struct member members[MEMBERS];
    int64_t position[PARTS]; /* of the holder, all of it committed */
    struct mark mark[PARTS];
    int64_t first[PARTS]; /* where a taker finds the first record, -1: where it was told to begin */
    bool no_first;        /* a taker has not seen any yet */
    int64_t ends, starts; /* of every log */
    bool deaf[SWITCHER_DROP_OP + 1], fails[SWITCHER_DROP_OP + 1]; /* by effect: not answered; answered by a failure */
    uint64_t token[SWITCHER_DROP_OP + 1];                         /* of the newest effect of each kind */
    int asked[SWITCHER_DROP_OP + 1];                              /* how often */
    struct switcher_effect told;                                  /* the last reply */
    char forgotten[INCARNATION_MAX + 1], restored[INCARNATION_MAX + 1];
    uint32_t dropped;
    struct group_view groups[COLOR_COUNT];
    int64_t now_ms;
    bool op_written, head_written, passes_written; /* by the last event, and the answers to what it asked for */
    int depth;
};

static void reign_step(struct reign *r, struct switcher_event ev);

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

static void read_groups(struct reign *r)
{
    struct group_member lists[COLOR_COUNT][MEMBERS];

    list_groups(r, lists);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_GROUPS, .groups = r->groups });
}

static void read_all(struct reign *r, uint64_t token)
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

/* One event, and the answers to what it asked for. */
static void reign_step(struct reign *r, struct switcher_event ev)
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

static void tick(struct reign *r, int64_t later_ms)
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

static struct report *report_new(struct reign *r, struct member *m)
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

static void speak(struct reign *r, int m)
{
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report_new(r, &r->members[m]) });
}

/* All do what they are told, until nothing changes any more: at most so many rounds. */
static void obey(struct reign *r, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        for (int m = 0; m < MEMBERS; m++)
            if (r->members[m].exists && !r->members[m].silent)
                speak(r, m);
        tick(r, 10);
    }
}

static void member_add(struct reign *r, enum color c)
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

static struct reign *reign_new(void)
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

static void reign_free(struct reign *r)
{
    for (int i = 0; i < MEMBERS_MAX; i++)
        if (r->s.members[i].used)
            free(r->s.members[i].report);
    free(r);
}

static struct order order_of(enum order_kind kind)
{
    return (struct order){ .kind = kind, .observe_ms = -1, .deadline_ms = -1 };
}

static enum reply_status order_give(struct reign *r, struct order o)
{
    static int number;

    if (!o.request_id[0])
        snprintf(o.request_id, sizeof(o.request_id), "r%d", ++number);
    r->told.request_id[0] = '\0';
    reign_step(r, (struct switcher_event){ .type = SWITCHER_ORDER, .order = &o });
    return r->told.status;
}

/* What is moved first. */
static int first_releasing(const struct reign *r)
{
    int i = 0;

    while (i < PARTS && r->table[i].state != RIGHT_RELEASING)
        i++;
    assert_true(i < PARTS);
    return i;
}

/* The reply's text says so. */
static void told(const struct reign *r, enum reply_status status, const char *text)
{
    assert_int_equal(r->told.status, status);
    if (!strstr(r->told.text, text))
        fail_msg("told '%s', not '%s'", r->told.text, text);
}

static void verdict(struct reign *r, enum verdict verdict, bool blind, int stage)
{
    struct judge_verdict v = { .verdict = verdict, .blind = blind, .sentence = "so it is" };

    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_VERDICT, .verdict = &v, .number = r->s.op.number, .stage = stage });
}

/* A switch up to where its stage is observed. */
static struct reign *observed(const struct judge_policy *judge, int stage)
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

/* --- what becomes of a stage ------------------------------------------------------------------------------------------------- */

enum then { WATCHED, HELD, NEXT, BACK };

/* Every line: what was said of a stage under which policy, how it stands then, and once its time is over. */
static void a_stage_goes_as_its_policy_says(void **state)
{
    enum { NOT_YET = -1 };
    static const struct {
        enum judge_mode mode;
        enum on_worse on_worse, on_worse_full;
        enum on_undecided on_undecided;
        enum judge_promote promote;
        int stage, verdict;
        bool blind;
        enum then now, after;
    } cases[] = {
        /* without a judge only time counts */
        { JUDGE_OFF, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_OFF, 0, 0, 0, 0, 0, VERDICT_WORSE, false, WATCHED, NEXT },
        { JUDGE_OFF, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_OK, false, WATCHED, NEXT },
        /* on guard: nobody waits for a verdict, but worse is worse */
        { JUDGE_GUARD, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_GUARD, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, false, WATCHED, NEXT },
        { JUDGE_GUARD, 0, 0, 0, 0, 0, VERDICT_WORSE, false, BACK, BACK },
        /* auto: an ok is waited for */
        { JUDGE_AUTO, 0, 0, 0, 0, 0, NOT_YET, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, 0, 0, 0, VERDICT_OK, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_OK, false, NEXT, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 1, VERDICT_OK, false, NEXT, NEXT },
        { JUDGE_AUTO, 0, 0, 0, PROMOTE_EARLY, 0, VERDICT_UNDECIDED, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, 0, 0, 1, VERDICT_OK, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, 0, 0, 0, VERDICT_UNDECIDED, false, WATCHED, HELD },
        { JUDGE_AUTO, 0, 0, UNDECIDED_PROMOTE, 0, 0, VERDICT_UNDECIDED, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, UNDECIDED_PROMOTE, 0, 0, NOT_YET, false, WATCHED, NEXT },
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, false, WATCHED, BACK },
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_UNDECIDED, true, WATCHED, HELD }, /* blind: no reason */
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, NOT_YET, false, WATCHED, HELD },          /* nor is silence */
        { JUDGE_AUTO, 0, 0, UNDECIDED_ROLLBACK, 0, 0, VERDICT_OK, false, WATCHED, NEXT },
        /* worse, while some and when all is passed */
        { JUDGE_AUTO, WORSE_ROLLBACK, WORSE_HOLD, 0, 0, 0, VERDICT_WORSE, false, BACK, BACK },
        { JUDGE_AUTO, WORSE_ROLLBACK, WORSE_HOLD, 0, 0, 1, VERDICT_WORSE, false, HELD, HELD },
        { JUDGE_AUTO, WORSE_HOLD, WORSE_ROLLBACK, 0, 0, 0, VERDICT_WORSE, false, HELD, HELD },
        { JUDGE_AUTO, WORSE_HOLD, WORSE_ROLLBACK, 0, 0, 1, VERDICT_WORSE, false, BACK, BACK },
        { JUDGE_AUTO, WORSE_HOLD, 0, UNDECIDED_PROMOTE, PROMOTE_EARLY, 0, VERDICT_WORSE, false, HELD, HELD },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct judge_policy policy = { .mode = cases[i].mode,
                                             .interval_ms = 1000,
                                             .warmup_ms = 1000,
                                             .on_worse = cases[i].on_worse,
                                             .on_worse_full = cases[i].on_worse_full,
                                             .on_undecided = cases[i].on_undecided,
                                             .promote = cases[i].promote };
        struct reign *r = observed(&policy, cases[i].stage);
        enum then now = WATCHED, then;

        if (cases[i].verdict != NOT_YET)
            verdict(r, (enum verdict)cases[i].verdict, cases[i].blind, cases[i].stage);
        for (int after = 0; after < 2; after++) {
            const struct op *op = &r->s.op;

            then = op->state == OP_RETURNING                                ? BACK
                   : op->state == OP_COMPLETE || op->stage > cases[i].stage ? NEXT
                   : op->held                                               ? HELD
                                                                            : WATCHED;
            if (after == 0)
                now = then;
            if (after == 0 && then == WATCHED) { /* not a moment before its time */
                tick(r, op->deadline_unix_ms - r->now_ms - 1);
                assert_int_equal(op->state, OP_OBSERVING);
                assert_false(op->held);
                tick(r, 1);
                assert_true(r->op_written); /* whatever it is now */
            }
        }
        if (now != cases[i].now || then != cases[i].after)
            fail_msg("line %zu: %d, then %d", i, now, then);
        if (then == HELD) { /* for ever, until somebody says something, and nothing is written of it again */
            tick(r, 10 * r->fleet.spec.observe_ms);
            assert_false(r->op_written || r->head_written);
            assert_true(r->s.op.held && r->s.op.state == OP_OBSERVING && r->fleet.deadline_unix_ms == 0);
        }
        reign_free(r);
    }
}

/* A verdict ends the hold that the want of one had begun; the version that was worse is remembered. */
static void a_held_stage_goes_on_with_an_ok(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    struct reign *r = observed(&policy, 0);

    (void)state;
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_OK, false, 0);
    assert_int_equal(r->s.op.stage, 1);
    assert_false(r->s.op.held);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_false(r->s.op.judged);     /* the next stage has a verdict of its own */
    verdict(r, VERDICT_OK, false, 0); /* of the stage before */
    assert_false(r->s.op.judged);
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_WORSE, false, 1);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_VERDICT);
    assert_string_equal(r->s.op.why, "so it is");
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), 0);
    verdict(r, VERDICT_OK, false, 1); /* too late */
    assert_int_equal(r->s.op.verdict.verdict, VERDICT_WORSE);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.active, BLUE);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_REFUSED); /* that version has failed */
    reign_free(r);
}

/* Turned back for another reason than that it was worse, a version may be tried again; once it has passed, it is no failed one. */
static void only_worse_fails_a_version(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_undecided = UNDECIDED_ROLLBACK
    };
    struct reign *r = observed(&policy, 0);
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    verdict(r, VERDICT_UNDECIDED, false, 0);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_VERDICT);
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), -1);
    obey(r, 8);
    fleet_failed_add(&r->fleet, "green-v1", 9);
    assert_int_equal(order_give(r, o), REPLY_REFUSED);
    o.force = true;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    order_give(r, order_of(ORDER_PROMOTE));
    obey(r, 8);
    order_give(r, order_of(ORDER_PROMOTE));
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(fleet_failed(&r->fleet, "green-v1"), -1);
    reign_free(r);
}

static void a_verdict_is_written_when_it_says_something_new(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    struct reign *r = observed(&policy, 0);
    struct judge_verdict v = { .verdict = VERDICT_UNDECIDED, .looks = 1 };
    struct switcher_event ev = { .type = SWITCHER_VERDICT, .verdict = &v, .number = r->s.op.number };

    (void)state;
    reign_step(r, ev);
    assert_true(r->op_written && r->head_written);
    v.looks = 2;
    reign_step(r, ev);
    assert_false(r->op_written);
    assert_int_equal(r->s.op.verdict.looks, 2); /* known all the same */
    v.blind = true;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.rule = RULE_EVIDENCE;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.verdict = VERDICT_OK;
    reign_step(r, ev);
    assert_true(r->op_written);
    v.verdict = VERDICT_UNDECIDED;
    reign_step(r, ev);
    assert_true(r->op_written);
    ev.number = r->s.op.number + 1; /* of another operation */
    v.verdict = VERDICT_WORSE;
    reign_step(r, ev);
    assert_int_equal(r->s.op.verdict.verdict, VERDICT_UNDECIDED);
    reign_free(r);
}

/* What the judge leaves to the one after it is written with the operation that it is about, as long as that is under way. */
static void what_the_judge_leaves_is_kept(void **state)
{
    const struct judge_policy policy = { .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000 };
    const struct judge_kept kept = { .known = true, .stage = 0, .records = 7 }, late = { .known = true, .records = 8 };
    struct reign *r = observed(&policy, 0);
    struct switcher_event ev = { .type = SWITCHER_KEPT, .kept = &late, .number = r->s.op.number + 1 };

    (void)state;
    reign_step(r, ev); /* of another operation */
    assert_false(r->s.op.kept.known || r->op_written);
    ev.number = r->s.op.number;
    ev.kept = &kept;
    reign_step(r, ev);
    assert_true(r->s.op.kept.known && r->op_written);
    assert_true(r->s.op.kept.records > 6 && r->s.op.kept.records < 8);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    ev.kept = &late; /* too late */
    reign_step(r, ev);
    assert_false(r->op_written);
    assert_true(r->s.op.kept.records < 8);
    reign_free(r);
}

/* --- orders ------------------------------------------------------------------------------------------------------------------ */

static void what_cannot_be_is_refused_with_a_reason(void **state)
{
    struct reign *r = reign_new();
    struct order o;

    (void)state;
    order_give(r, order_of(ORDER_RESUME));
    told(r, REPLY_CONFLICT, "not paused");
    order_give(r, order_of(ORDER_HOLD));
    told(r, REPLY_CONFLICT, "nothing is under way");
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "taken back by a rollback");
    order_give(r, order_of(ORDER_ROLLBACK));
    told(r, REPLY_CONFLICT, "name the color");
    o = order_of(ORDER_THROTTLE);
    o.keep = 4;
    order_give(r, o);
    told(r, REPLY_CONFLICT, "all of them working is no throttle");
    o = order_of(ORDER_SWITCH);
    o.stages = (struct stages){
        .items = { { STAGE_NAMES, 1, 0 }, { STAGE_SHARE, 100, 0 } }, .count = 2, .names = { { 0, 7 } }, .name_count = 1
    };
    order_give(r, o);
    told(r, REPLY_CONFLICT, "t/7, named in the stages, is no partition");
    assert_int_equal(r->s.op.number, 0);
    reign_free(r);
}

static void a_paused_fleet_is_paused_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_PAUSE);

    (void)state;
    o.dry_run = true;
    assert_int_equal(order_give(r, o), REPLY_PLANNED); /* nothing happens */
    assert_int_equal(r->s.op.number, 0);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_HOLD));
    told(r, REPLY_CONFLICT, "no stages");
    obey(r, 6);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    order_give(r, order_of(ORDER_PAUSE));
    told(r, REPLY_CONFLICT, "paused already");
    o = order_of(ORDER_SWITCH);
    assert_int_equal(order_give(r, o), REPLY_REFUSED);
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "no way back");
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        assert_int_equal(r->table[i].from, 20 + i);
    }
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    reign_free(r);
}

/* Asked twice is done once, whatever it was; two orders at the same time are one and a conflict. */
static void an_order_is_carried_out_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    snprintf(o.request_id, sizeof(o.request_id), "again");
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, o);
    assert_string_equal(r->told.request_id, ""); /* it waits for its preflight */
    order_give(r, order_of(ORDER_SWITCH));
    told(r, REPLY_CONFLICT, "another order is being checked");
    read_all(r, r->token[SWITCHER_READ_ALL] - 1); /* an answer to nobody's question */
    assert_int_equal(r->s.op.number, 0);
    read_all(r, r->token[SWITCHER_READ_ALL]);
    assert_int_equal(r->told.status, REPLY_ACCEPTED);
    assert_string_equal(r->told.request_id, "again"); /* the conflict has not put itself in its place */
    read_all(r, r->token[SWITCHER_READ_ALL]);         /* twice */
    assert_int_equal(r->s.op.number, 1);
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.number, 1);
    o.request_id[0] = '\0';
    order_give(r, o);
    told(r, REPLY_CONFLICT, "switch 1 is under way (passing)");
    o.dry_run = true;
    r->deaf[SWITCHER_READ_ALL] = false;
    assert_int_equal(order_give(r, o), REPLY_PLANNED); /* a plan may be made at any time */
    assert_int_equal(r->s.op.state, OP_PASSING);
    o = order_of(ORDER_ROLLBACK);
    o.dry_run = true;
    order_give(r, o);
    assert_int_equal(r->s.op.state, OP_PASSING); /* and turns nothing back */
    reign_free(r);
}

/* While one preflight is out another operation begins: a pause needs none. */
static void who_comes_first_begins(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, order_of(ORDER_SWITCH));
    r->s.op.number = r->fleet.switch_number = 1; /* as a resume by signal would have it */
    r->s.op.kind = OP_RESUME;
    r->s.op.state = OP_PASSING;
    r->s.op.deadline_ms = 1000;
    r->s.deadline_ms = r->now_ms + 1000;
    r->fails[SWITCHER_READ_ALL] = false;
    r->table[0].state = RIGHT_PAUSED;
    read_all(r, r->token[SWITCHER_READ_ALL]);
    told(r, REPLY_CONFLICT, "another operation has begun meanwhile");
    reign_free(r);
}

static void a_preflight_without_an_answer_ends(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->deaf[SWITCHER_READ_ALL] = true;
    order_give(r, order_of(ORDER_SWITCH));
    tick(r, 15000);
    assert_string_equal(r->told.request_id, "");
    tick(r, 1);
    told(r, REPLY_UNAVAILABLE, "did not answer");
    read_all(r, r->token[SWITCHER_READ_ALL]); /* too late */
    assert_int_equal(r->s.op.number, 0);
    reign_free(r);
}

static void an_order_brings_what_it_names(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    o.observe_ms = 7000;
    o.deadline_ms = 8000;
    o.judge_given = true;
    o.judge = JUDGE_GUARD;
    o.stages = (struct stages){ .items = { { STAGE_NUMBER, 1, 0 }, { STAGE_NUMBER, 2, 0 }, { STAGE_SHARE, 100, 0 } },
                                .count = 3 };
    snprintf(o.reason, sizeof(o.reason), "because");
    snprintf(o.by, sizeof(o.by), "ann");
    o.by_signal = true;
    r->fleet.switch_number = 6; /* of operations that are forgotten */
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.number, 7);
    assert_int_equal(r->fleet.switch_number, 7);
    assert_int_equal(r->dropped, 5);
    r->s.op.number = r->fleet.switch_number = 1;
    r->dropped = 0;
    assert_true(r->s.op.by_signal && strcmp(r->s.op.by, "ann") == 0);
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000);
    assert_string_equal(r->s.op.version_from, "blue-v1");
    assert_string_equal(r->s.op.version_to, "green-v1");
    assert_string_equal(r->fleet.reason, "because");
    assert_int_equal(r->s.op.judge, JUDGE_GUARD);
    for (int stage = 0; stage < 3; stage++) {
        static const int holds[] = { 1, 2, 4 };
        int green = 0;

        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        for (int i = 0; i < PARTS; i++)
            green += r->table[i].holder == GREEN;
        assert_int_equal(green, holds[stage]);
        tick(r, 7000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.active, GREEN);
    assert_int_equal(r->dropped, 0);
    for (int i = 0; i < 2; i++) { /* no more than two are kept */
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        for (int stage = 0; stage < 2; stage++) {
            obey(r, 8);
            tick(r, 60000);
        }
        assert_int_equal(r->s.op.state, OP_COMPLETE);
    }
    assert_int_equal(r->s.op.number, 3);
    assert_int_equal(r->dropped, 1);
    reign_free(r);
}

/* Held by hand it stays, whatever the judge says, until it is promoted; that lasts for one stage. */
static void a_hold_lasts_until_a_promote(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .promote = PROMOTE_EARLY
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED);
    assert_true(r->op_written && r->s.op.held && r->s.op.by_hand);
    verdict(r, VERDICT_OK, false, 0);
    tick(r, 600000);
    assert_int_equal(r->s.op.stage, 0);
    assert_int_equal(order_give(r, order_of(ORDER_PROMOTE)), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.stage, 1);
    assert_false(r->s.op.by_hand || r->s.op.held);
    order_give(r, order_of(ORDER_PROMOTE));
    told(r, REPLY_CONFLICT, "stage 2 of 2 is still passing");
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED); /* of the stage that passes */
    assert_true(r->s.op.by_hand && !r->s.op.held && r->s.op.deadline_unix_ms > 0);
    obey(r, 8);
    assert_true(r->s.op.state == OP_OBSERVING && r->s.op.held);
    assert_int_equal(order_give(r, order_of(ORDER_ABORT)), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->s.op.cause, CAUSE_OPERATOR);
    assert_false(r->s.op.by_hand);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "on its way back already");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    order_give(r, order_of(ORDER_ROLLBACK));
    told(r, REPLY_CONFLICT, "nothing more to take back");
    reign_free(r);
}

/* The stage that passes is held beforehand, and let go again before it is there. */
static void a_hold_may_be_taken_back(void **state)
{
    struct reign *r = reign_new();
    struct order o;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    assert_int_equal(order_give(r, order_of(ORDER_HOLD)), REPLY_ACCEPTED);
    assert_int_equal(order_give(r, order_of(ORDER_PROMOTE)), REPLY_ACCEPTED);
    assert_false(r->s.op.by_hand);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_false(r->s.op.held);
    o = order_of(ORDER_ROLLBACK);
    snprintf(o.reason, sizeof(o.reason), "a hunch");
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED); /* while it is under way it turns back */
    assert_int_equal(r->s.op.number, 1);
    assert_string_equal(r->s.op.why, "a hunch");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* --- a throttle ---------------------------------------------------------------------------------------------------------------- */

static int at_work(const struct reign *r)
{
    int n = 0;

    for (int i = 0; i < PARTS; i++)
        n += r->table[i].state == RIGHT_HELD;
    return n;
}

static void a_throttle_keeps_so_many_at_work(void **state)
{
    static const struct {
        int keep;
        bool percent;
        int work;
    } steps[] = { { 1, true, 1 }, { 3, false, 3 }, { 50, true, 2 }, { 0, false, 0 }, { 1, false, 1 } };
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    struct progress p;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        o.keep = steps[i].keep;
        o.keep_percent = steps[i].percent;
        assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
        obey(r, 10);
        assert_int_equal(r->s.op.state, OP_COMPLETE);
        assert_int_equal(at_work(r), steps[i].work);
        assert_int_equal(r->fleet.phase, steps[i].work ? PHASE_THROTTLED : PHASE_PAUSED);
        switcher_progress(&r->s, &p);
        assert_int_equal(p.taken, p.total);
        order_give(r, o);
        told(r, REPLY_CONFLICT, "work already");
    }
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(at_work(r), PARTS);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->position[i], 20 + i);
    reign_free(r);
}

/* Which could not be stopped in time: those that were go on, those that rested before do not. */
static void a_throttle_is_taken_back_to_where_it_was(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    enum right before[PARTS];
    struct report *report;

    (void)state;
    o.keep = 3;
    order_give(r, o);
    obey(r, 10);
    for (int i = 0; i < PARTS; i++)
        before[i] = r->table[i].state;
    o.keep = 1;
    order_give(r, o);
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS && report->part_count == PARTS; i++)
        if (r->table[i].state == RIGHT_RELEASING) { /* one is slow */
            report->parts[i].local = LOCAL_DRAINING;
            report->parts[i].in_flight = 1;
            break;
        }
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
    assert_int_equal(at_work(r), 1);
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.state, OP_RETURNING);
    obey(r, 10);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_THROTTLED);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, before[i]);
    reign_free(r);
}

/* --- answers that do not come, or not as hoped ------------------------------------------------------------------------------------ */

static void a_lost_answer_is_asked_for_again(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->fleet.spec.deadline_ms = 600000;
    r->deaf[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 4);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    assert_int_equal(asked, 1);
    tick(r, 14000);
    obey(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    tick(r, 2000);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    r->deaf[SWITCHER_READ_OFFSETS] = false;
    r->fails[SWITCHER_READ_OFFSETS] = true;
    tick(r, 16000); /* it fails: again in a moment, not at once */
    asked = r->asked[SWITCHER_READ_OFFSETS];
    tick(r, 199);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    r->fails[SWITCHER_READ_OFFSETS] = false;
    tick(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_free(r);
}

static void the_reports_are_read_until_they_are_read(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fails[SWITCHER_READ_REPORTS] = true;
    r->deaf[SWITCHER_READ_REPORTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 4);
    assert_int_equal(r->asked[SWITCHER_READ_REPORTS], 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 0); /* nothing is believed before (rule 2) */
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_REPORTS_READ, .token = r->token[SWITCHER_READ_REPORTS], .failed = true });
    assert_int_equal(r->asked[SWITCHER_READ_REPORTS], 2);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORTS_READ,
                                           .token = r->token[SWITCHER_READ_REPORTS] - 1 }); /* an older question */
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 0);
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORTS_READ, .token = r->token[SWITCHER_READ_REPORTS] });
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], 1);
    reign_free(r);
}

static void a_listing_that_does_not_come_is_asked_for_again(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    tick(r, 10000);
    r->deaf[SWITCHER_READ_GROUPS] = true;
    tick(r, 10000);
    asked = r->asked[SWITCHER_READ_GROUPS];
    tick(r, 14000);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 1001);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    reign_free(r);
}

/* --- members ------------------------------------------------------------------------------------------------------------------ */

/* Rule 9: out of its group, seen so twice gone_after apart, and silent as long. */
static void who_is_gone_is_forgotten_after_his_time(void **state)
{
    struct reign *r = reign_new();
    const int64_t gone_after_ms = 10000;

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    obey(r, 1);
    read_groups(r); /* first seen so now */
    for (int64_t ms = 0; ms < gone_after_ms - 1000; ms += 1000) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "");
    for (int i = 0; i < 4; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    assert_null(switcher_report(&r->s, "blue2"));
    assert_true(switcher_still_forgets(&r->s, "blue2"));
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].doubt, 100); /* it may have worked up to there */
    r->members[2].silent = false;                 /* it was only asleep */
    speak(r, 2);
    assert_false(switcher_still_forgets(&r->s, "blue2"));
    assert_non_null(switcher_report(&r->s, "blue2"));
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "blue2"); /* the tombstone comes after it has spoken again */
    reign_free(r);
}

/* In a group that is rebalancing, that cannot be read, or where it is listed again, nobody is gone. */
static void who_may_be_there_is_not_gone(void **state)
{
    static const int faults = 3;

    (void)state;
    for (int fault = 0; fault < faults; fault++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = r->members[BLUE].unlisted = true;
        for (int i = 0; i < 40; i++) {
            r->groups[BLUE].rebalancing = fault == 0;
            r->groups[BLUE].known = fault != 1;
            r->members[BLUE].unlisted = fault != 2 || i % 8 != 7;
            tick(r, 1000);
        }
        assert_string_equal(r->forgotten, "");
        reign_free(r);
    }
}

/* A broker that describes no groups: silence alone has to do. */
static void without_a_listing_silence_counts(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->groups[BLUE].known = r->groups[GREEN].known = false;
    r->groups[BLUE].unsupported = r->groups[GREEN].unsupported = true;
    r->members[BLUE].silent = true;
    for (int i = 0; i < 30; i++) {
        obey(r, 1);
        tick(r, 1000);
    }
    assert_string_equal(r->forgotten, "blue0");
    reign_free(r);
}

/* A holder's member that goes while its color is asked turns the switch back; one that is fenced off does not. */
static void a_lost_member_turns_a_switch_back(void **state)
{
    (void)state;
    for (int fence = 0; fence < 2; fence++) {
        struct reign *r = reign_new();

        r->fleet.spec.on_unreachable = fence ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
        r->fleet.spec.deadline_ms = 60000;
        r->ends = 30;
        member_add(r, BLUE);
        for (int i = 0; i < PARTS; i++)
            r->members[2].owns[i] = false;
        obey(r, 2);
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        r->members[2].silent = r->members[2].unlisted = true;
        for (int i = 0; i < 30 && r->s.op.state == OP_PASSING; i++) {
            obey(r, 1);
            tick(r, 990);
        }
        assert_string_equal(r->forgotten, "blue2");
        assert_int_equal(r->s.op.state == OP_OBSERVING, fence);
        assert_int_equal(r->s.op.cause, fence ? CAUSE_NONE : CAUSE_MEMBER_GONE);
        assert_int_equal(strstr(r->s.op.why, "without a goodbye") != NULL, !fence);
        reign_free(r);
    }
}

static void a_goodbye_is_the_last_word(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    member_add(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        r->members[2].owns[i] = false;
    r->members[2].report.goodbye = r->members[2].unlisted = true;
    speak(r, 2);
    assert_string_equal(r->forgotten, "blue2");
    assert_null(switcher_report(&r->s, "blue2"));
    r->members[2].silent = true;
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING); /* nobody waits for it */
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "");
    assert_true(switcher_still_forgets(&r->s, "nobody"));
    reign_free(r);
}

/* A member that cannot be kept track of could be at work unseen: nothing is released any more. */
static void one_member_too_many_stops_everything(void **state)
{
    struct reign *r = reign_new();
    struct member crowd = { .exists = true, .report = { .color = GREEN, .ready = true, .report_interval_ms = 1000 } };

    (void)state;
    for (int i = 0; i < MEMBERS_MAX - 1; i++) {
        struct switcher_event ev = { .type = SWITCHER_REPORT };

        snprintf(crowd.report.incarnation, INCARNATION_MAX + 1, "crowd%d", i);
        ev.report = report_new(r, &crowd);
        reign_step(r, ev);
    }
    assert_true(r->s.members_overflow);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_REFUSED);
    assert_true(r->s.findings.total > 0);
    assert_true(r->s.findings.count == FINDINGS_MAX || /* so many are not listed that it may not have fitted in */
                strcmp(r->s.findings.items[r->s.findings.count - 1].code, "too-many-members") == 0);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    obey(r, 8);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_RELEASING);
    reign_free(r);
}

/* --- where a passage begins, and what the receipt knows of it ------------------------------------------------------------------------ */

/* Rule 6 as the controller applies it to what it reads back: where the holder has ended, or somebody else commits there. */
static void what_is_read_back_is_looked_at(void **state)
{
    static const struct {
        int64_t offset;
        struct mark mark;
        bool taken;
        int64_t from; /* OFFSET_NONE: it turns back */
    } cases[] = {
        { 20, { MARK_EPOCH, 1 }, true, 20 },
        { 44, { MARK_EPOCH, 0 }, true, 10 },           /* a former life's: it has not begun under this grant */
        { 44, { MARK_EPOCH, 9 }, true, OFFSET_NONE },  /* from the future */
        { 44, { MARK_FOLLOW, 0 }, true, OFFSET_NONE }, /* a follow-commit over a holder's */
        { 44, { MARK_FOLLOW, 0 }, false, 10 },
        { 44, { MARK_FOREIGN, 0 }, true, 44 }, /* an operator's reset */
        { 44, { MARK_FOREIGN, 0 }, false, 10 },
        { OFFSET_NONE, { MARK_EPOCH, 1 }, true, 10 }, /* nothing is committed, so nothing is marked */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();

        for (int k = 0; k < PARTS; k++) {
            r->table[k].taken = cases[i].taken;
            r->members[BLUE].owns[k] = false; /* nobody says where it stopped */
        }
        r->members[GREEN].silent = true;
        speak(r, BLUE);
        r->members[GREEN].silent = false;
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        r->position[0] = r->position[1] = cases[i].offset;
        r->position[2] = r->position[3] = cases[i].offset;
        for (int k = 0; k < PARTS; k++)
            r->mark[k] = cases[i].mark;
        obey(r, 1);
        for (int k = 0; k < PARTS; k++)
            if (r->forth[k].ordered && cases[i].from != OFFSET_NONE) {
                assert_int_equal(r->table[k].holder, GREEN);
                assert_int_equal(r->table[k].from, cases[i].from);
                assert_int_equal(r->forth[k].committed, cases[i].from);
            }
        assert_int_equal(r->s.op.cause, cases[i].from == OFFSET_NONE ? CAUSE_FOREIGN_COMMIT : CAUSE_NONE);
        reign_free(r);
    }
}

/* The first record lies beyond the start: retention has taken some, which the receipt says as soon as the log's start is known. */
static void what_retention_took_is_in_the_receipt(void **state)
{
    struct reign *r = reign_new();
    struct receipt_sum sum;
    int64_t scratch[2 * PARTS];

    (void)state;
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    r->fails[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1); /* it failed, and is not asked again at once */
    for (int what = 0; what < 4; what++) { /* of another question; unread; none; of a partition that is not there */
        const struct switcher_reading reading = { .baton = what == 3 ? PARTS : 0,
                                                  .offset = what == 2 ? OFFSET_NONE : 26,
                                                  .failed = what == 1 };

        r->deaf[SWITCHER_READ_STARTS] = true;
        tick(r, 1000);
        reign_step(r, (struct switcher_event){ .type = SWITCHER_STARTS,
                                               .token = r->token[SWITCHER_READ_STARTS] - (what == 0),
                                               .readings = &reading,
                                               .reading_count = 1 });
    }
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->forth[i].log_start, OFFSET_NONE);
    r->deaf[SWITCHER_READ_STARTS] = false;
    r->fails[SWITCHER_READ_STARTS] = false;
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 6);
    tick(r, 2000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 6); /* it is known */
    receipt_sum(&sum, &r->s.op, scratch);
    assert_int_equal(sum.passed, 2);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(pass_removed_to(&r->forth[i]), r->forth[i].grant ? 25 : OFFSET_NONE);
    reign_free(r);
}

/* Two hosts' clocks differ: a member's times are told by ours, as far as the way of its reports lets us know. */
static void a_members_clock_is_set_right(void **state)
{
    static const int64_t skews_us[] = { 0, 5000000, -7000000 };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(skews_us); k++) {
        struct reign *r = reign_new();

        order_give(r, order_of(ORDER_SWITCH));
        for (int round = 0; round < 8; round++) {
            for (int m = 0; m < 2; m++) {
                struct report *report = report_new(r, &r->members[m]);

                const int64_t way_us = round % 3 == 1 ? 1000 : 40000; /* the shortest ways tell most */

                report->sent_unix_us = r->now_ms * 1000 + skews_us[k] - way_us;
                report->heard_written_unix_us = r->fleet.written_unix_us;
                report->heard_unix_us = r->fleet.written_unix_us + skews_us[k] + way_us;
                for (int i = 0; i < report->part_count; i++) {
                    struct report_part *p = &report->parts[i];

                    p->stopped_unix_us += p->stopped_unix_us ? skews_us[k] : 0;
                    p->drained_unix_us += p->drained_unix_us ? skews_us[k] : 0;
                    p->attached_unix_us += p->attached_unix_us ? skews_us[k] : 0;
                    p->first_unix_us += p->first_unix_us ? skews_us[k] + 5 : 0;
                }
                reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
            }
            tick(r, 10);
        }
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        for (int i = 0; i < PARTS; i++)
            if (r->forth[i].taken) {
                assert_int_equal(r->forth[i].drained_unix_us, r->forth[i].release_heard_unix_us);
                assert_int_equal(r->forth[i].attached_unix_us, r->forth[i].take_heard_unix_us);
                assert_int_equal(r->forth[i].first_unix_us, r->forth[i].take_heard_unix_us + 5);
            }
        reign_free(r);
    }
}

/* --- the end, and a new reign ------------------------------------------------------------------------------------------------------ */

static void what_does_not_come_home_needs_an_operator(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[4];

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 0);
    order_give(r, order_of(ORDER_ABORT));
    r->members[GREEN].silent = true;
    tick(r, 14000); /* its deadline, and the time after which a member is gone */
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 2);
    assert_non_null(strstr(who[1].who, "green"));
    assert_non_null(strstr(who[1].what, "silent for 14 s"));
    tick(r, 1000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_string_equal(r->s.op.why,
                        "the operator asked for it; then the way back did not end in time: 2 partitions are not home");
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_HELD);
    r->s.op.judged = false;
    r->members[GREEN].silent = false;
    switcher_reign(&r->s, 9, r->now_ms, r->now_ms * 1000); /* the next leader sees it, too */
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    assert_int_equal(r->fleet.version.term, 9);
    reign_free(r);
}

/* A resume that cannot be finished stops where it is: there is no way back to being paused. */
static void a_resume_that_stands_needs_an_operator(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_RESUME));
    tick(r, 4999);
    assert_int_equal(r->s.op.state, OP_PASSING);
    tick(r, 1);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR); /* granted is not yet taken */
    assert_non_null(strstr(r->s.op.why, "taken up again"));
    r->members[BLUE].silent = false;
    obey(r, 4); /* they are taken after all: nobody is needed */
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    reign_free(r);
}

/* What is left of a deadline is carried on, by clocks that may differ. */
static void a_new_leader_has_what_is_left_of_the_time(void **state)
{
    static const struct {
        int64_t clock_ms, left_ms; /* how the new leader's wall clock differs; what it gives */
    } cases[] = { { 0, 4000 }, { 1000, 3000 }, { 60000, 0 }, { -500, 4500 }, { -60000, 5000 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = true;
        order_give(r, order_of(ORDER_SWITCH));
        tick(r, 1000);
        switcher_reign(&r->s, 5, r->now_ms, (r->now_ms + cases[i].clock_ms) * 1000);
        assert_true(r->s.dirty.op && r->s.dirty.head);
        assert_int_equal(r->fleet.phase, PHASE_PASSING);
        if (cases[i].left_ms > 0) {
            tick(r, cases[i].left_ms - 1);
            assert_int_equal(r->s.op.state, OP_PASSING);
        }
        tick(r, 1);
        assert_int_not_equal(r->s.op.state, OP_PASSING);
        assert_int_equal(r->s.op.cause, CAUSE_DEADLINE);
        reign_free(r);
    }
}

static void nothing_happens_to_a_fleet_that_is_not(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fleet.exists = false;
    tick(r, 60000);
    assert_int_equal(r->fx.count, 0);
    reign_free(r);
}

/* --- what a report says, and who says it --------------------------------------------------------------------------------------------- */

/* A report whose entries a test bends before it is heard. */
static struct report_part *entry(struct report *report, int i)
{
    return &report->parts[i];
}

static void hear(struct reign *r, struct report *report)
{
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
}

/* Rule 4: whoever says under the order that he is at work, or has a record in hand, keeps it; so does an older word. */
static void who_has_it_in_hand_keeps_it(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        struct reign *r = reign_new();
        struct report *report;
        int i;

        r->fleet.spec.deadline_ms = 60000;
        order_give(r, order_of(ORDER_SWITCH));
        i = first_releasing(r);
        report = report_new(r, &r->members[BLUE]);
        if (what == 0)
            entry(report, i)->local = LOCAL_ACTIVE;
        else if (what == 1)
            entry(report, i)->local = LOCAL_DRAINING;
        else if (what == 2) {
            entry(report, i)->owned = false; /* a left-over of a partition that was taken away */
            entry(report, i)->in_flight = 1;
        } else if (what == 3)
            entry(report, i)->order--;
        hear(r, report);
        speak(r, GREEN);
        tick(r, 1000);
        assert_int_equal(r->table[i].state, what < 4 ? RIGHT_RELEASING : RIGHT_GRANTED);
        speak(r, BLUE);
        tick(r, 1000);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        reign_free(r);
    }
}

/* Rules 4, 5, 7: each member of both colors has to have applied the order, whoever owns what. */
static void everybody_has_to_have_applied_the_order(void **state)
{
    (void)state;
    for (int c = 0; c < COLOR_COUNT; c++) {
        struct reign *r = reign_new();
        int granted = 0;

        r->fleet.spec.deadline_ms = 60000;
        member_add(r, (enum color)c);
        r->members[2].idle = true;
        obey(r, 2);
        order_give(r, order_of(ORDER_SWITCH));
        r->members[2].silent = true;
        obey(r, 5);
        for (int i = 0; i < PARTS; i++)
            granted += r->table[i].holder == GREEN;
        assert_int_equal(granted, 0);
        r->members[2].silent = false;
        obey(r, 5);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        reign_free(r);
    }
}

/* Rule 2 once more: that the reports were read after some former order says nothing of this one. */
static void the_reports_are_read_for_each_order(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_PAUSE));
    order_give(r, order_of(ORDER_ABORT)); /* taken back: the grant is the same */
    r->members[BLUE].silent = false;
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    r->deaf[SWITCHER_READ_REPORTS] = true;
    asked = r->asked[SWITCHER_READ_OFFSETS];
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    reign_free(r);
}

/* Rule 13: of two reports with one number the first counts. */
static void a_report_counts_once(void **state)
{
    struct reign *r = reign_new();
    struct report *again = report_new(r, &r->members[BLUE]);

    (void)state;
    again->sequence--;
    again->ready = false;
    hear(r, again);
    assert_true(switcher_report(&r->s, "blue0")->ready);
    reign_free(r);
}

/* Where two say that they own a partition, the newer word counts: a grant is taken by who answers it. */
static void the_newer_word_counts(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, GREEN);
    obey(r, 2);
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    speak(r, 2);
    speak(r, GREEN);
    speak(r, BLUE);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    report = report_new(r, &r->members[GREEN]);
    entry(report, i)->order--; /* at work, but by an older word */
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    speak(r, GREEN);
    assert_int_equal(r->table[i].state, RIGHT_HELD); /* though the third member, heard before, says nothing of it yet */
    assert_true(r->table[i].taken);
    reign_free(r);
}

/* Whatever one step changes has one epoch. */
static void a_step_has_one_epoch(void **state)
{
    struct reign *r = reign_new();
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    r->deaf[SWITCHER_READ_REPORTS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->fleet.version.epoch, before + 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].order, before + 1);
    reign_free(r);
}

/* A listing is as old as its question: whoever was missing in an answer that took its time was not missing since. */
static void an_old_listing_is_old(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->members[BLUE].silent = r->members[BLUE].unlisted = true;
    tick(r, 10000);
    r->deaf[SWITCHER_READ_GROUPS] = true;
    tick(r, 9000); /* asked now, less than gone_after since it was missed first */
    tick(r, 1000);
    assert_string_equal(r->forgotten, "");
    r->now_ms += 1500;
    read_groups(r);
    assert_string_equal(r->forgotten, "");
    r->deaf[SWITCHER_READ_GROUPS] = false;
    tick(r, 2000);
    assert_string_equal(r->forgotten, "blue0");
    reign_free(r);
}

/* Rule 10: what a lost member owned or had in hand is read, of its own color's partitions only; back in time, it is not lost. */
static void what_a_lost_member_may_have_done_is_read(void **state)
{
    const struct switcher_reading failed = { .baton = 0, .offset = 1000 };
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    member_add(r, BLUE);
    obey(r, 1);
    r->table[3].holder = GREEN;
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = i == 1 || i == 3;
    entry(report, 0)->in_flight = 2;
    hear(r, report);
    r->members[2].silent = r->members[2].unlisted = true;
    r->deaf[SWITCHER_READ_ENDS] = true;
    for (int i = 0; i < 30 && !r->asked[SWITCHER_READ_ENDS]; i++)
        tick(r, 1000);
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 1); /* one question at a time */
    speak(r, 2);                                       /* it is back */
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = i == 1 || i == 3;
    entry(report, 0)->in_flight = 2;
    hear(r, report);
    r->deaf[SWITCHER_READ_ENDS] = true; /* gone again, and the ends cannot be read at first */
    for (int i = 0; i < 30 && r->asked[SWITCHER_READ_ENDS] < 2; i++)
        tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 2);
    r->deaf[SWITCHER_READ_ENDS] = false;
    r->table[1].doubt = 500; /* somebody may have done more */
    reign_step(r, (struct switcher_event){ .type = SWITCHER_ENDS,
                                           .token = r->token[SWITCHER_READ_ENDS],
                                           .failed = true,
                                           .readings = &failed,
                                           .reading_count = 1 });
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 3);
    assert_string_equal(r->forgotten, "blue2");
    assert_int_equal(r->table[0].doubt, 100);
    assert_int_equal(r->table[1].doubt, 500);
    assert_int_equal(r->table[2].doubt, OFFSET_NONE);
    assert_int_equal(r->table[3].doubt, OFFSET_NONE);
    reign_free(r);
}

/* Rule 12: a doubt that a member tells is written, unless it is another color's, known, or committed by now. */
static void a_doubt_that_is_told_is_written(void **state)
{
    static const struct {
        enum color who;
        int64_t before, told, committed;
        bool newest; /* who has committed answers the present order */
        int64_t after;
    } cases[] = {
        { BLUE, OFFSET_NONE, 50, 20, true, 50 },
        { BLUE, 60, 50, 20, true, 60 },
        { BLUE, 40, 50, 20, true, 50 },
        { BLUE, OFFSET_NONE, 50, 50, true, OFFSET_NONE },
        { BLUE, OFFSET_NONE, 50, 49, true, 50 },
        { BLUE, OFFSET_NONE, 50, 50, false, 50 },
        { GREEN, OFFSET_NONE, 50, 20, true, OFFSET_NONE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reign *r = reign_new();
        struct report *report;

        member_add(r, cases[i].who);
        r->members[2].owns[0] = false;
        report = report_new(r, &r->members[cases[i].who]);
        entry(report, 0)->committed = cases[i].committed;
        entry(report, 0)->order -= !cases[i].newest;
        hear(r, report);
        r->table[0].doubt = cases[i].before;
        report = report_new(r, &r->members[2]);
        entry(report, 0)->doubt = cases[i].told;
        hear(r, report);
        if (r->table[0].doubt != cases[i].after)
            fail_msg("line %zu: %lld", i, (long long)r->table[0].doubt);
        reign_free(r);
    }
}

/* --- doubts --------------------------------------------------------------------------------------------------------------------------- */

/* Rule 10: waited for until the holder itself, at work under the present word, has committed beyond it; or listed. */
static void a_doubt_is_waited_for_or_listed(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct reign *r = reign_new();
        struct report *report;
        struct receipt_sum sum;
        int64_t scratch[2 * PARTS];
        struct waiting who[4];

        r->fleet.spec.on_doubt = how == 1 ? DOUBT_LIST : DOUBT_WAIT;
        r->fleet.spec.on_unreachable = how == 2 ? UNREACHABLE_FENCE : UNREACHABLE_REFUSE;
        r->fleet.spec.deadline_ms = 60000;
        for (int i = 0; i < PARTS; i++)
            r->table[i].doubt = 50;
        assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
        if (how == 0) {
            static const struct {
                int64_t committed, position;
                enum local_state local;
                int older;
            } not_yet[] = { { 49, 60, LOCAL_ACTIVE, 0 }, { 50, 60, LOCAL_RELEASED, 0 }, { 50, 60, LOCAL_ACTIVE, 1 } };

            for (size_t k = 0; k < ARRAY_COUNT(not_yet); k++) {
                report = report_new(r, &r->members[BLUE]);
                for (int i = 0; i < PARTS; i++) {
                    entry(report, i)->committed = not_yet[k].committed;
                    entry(report, i)->position = not_yet[k].position;
                    entry(report, i)->local = not_yet[k].local;
                    entry(report, i)->order -= (uint64_t)not_yet[k].older;
                }
                hear(r, report);
                for (int i = 0; i < PARTS; i++)
                    assert_int_equal(r->table[i].state, RIGHT_HELD);
                assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 1);
                assert_string_equal(who[0].who, "blue");
                assert_non_null(strstr(who[0].what, "does again on 2 partitions"));
            }
            for (int i = 0; i < PARTS; i++)
                r->position[i] = 50;
        }
        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        receipt_sum(&sum, &r->s.op, scratch);
        for (int i = 0; i < PARTS; i++)
            if (r->forth[i].grant) {
                assert_int_equal(r->forth[i].doubt, how == 0 ? OFFSET_NONE : 50);
                assert_int_equal(r->table[i].doubt, OFFSET_NONE);
            }
        assert_true(how == 0 ? sum.listed_repeats == 0 : sum.listed_repeats > 2 * (50 - 20 - PARTS));
        reign_free(r);
    }
}

/* It comes up while its partition is released: what is below it is let pass, what is beyond goes back to be done again. */
static void a_doubt_may_come_up_late(void **state)
{
    static const struct {
        bool list, began;
        int64_t doubt; /* it is released at 30 */
        bool granted;
        int64_t listed, left;
    } cases[] = {
        { false, true, 30, true, OFFSET_NONE, OFFSET_NONE },
        { false, true, 31, false, OFFSET_NONE, 31 },
        { true, true, 31, true, 31, OFFSET_NONE },
        { true, true, 30, true, OFFSET_NONE, OFFSET_NONE },
        { false, false, 99, true, OFFSET_NONE, OFFSET_NONE }, /* a start is committed before the first record */
        { true, false, 99, true, OFFSET_NONE, OFFSET_NONE },
        { false, true, 32, false, OFFSET_NONE, 32 }, /* begun, as its mark shows, and not heard of yet */
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(cases); k++) {
        struct reign *r = reign_new();
        int i;

        r->fleet.spec.on_doubt = cases[k].list ? DOUBT_LIST : DOUBT_WAIT;
        r->deaf[SWITCHER_READ_OFFSETS] = true;
        order_give(r, order_of(ORDER_SWITCH));
        obey(r, 2);
        i = first_releasing(r);
        for (int n = 0; n < PARTS; n++) {
            r->position[n] = r->table[n].from = 30;
            r->table[n].taken = cases[k].began && cases[k].doubt != 32;
            r->table[n].doubt = cases[k].doubt;
            if (!cases[k].began)
                r->mark[n] = (struct mark){ MARK_EPOCH, 0 };
        }
        r->deaf[SWITCHER_READ_OFFSETS] = false;
        speak(r, BLUE); /* where it stands now */
        r->facts[i].token = 0;
        r->facts[i].retry_ms = 0;
        tick(r, 10);
        assert_int_equal(r->table[i].state, cases[k].granted ? RIGHT_GRANTED : RIGHT_HELD);
        assert_int_equal(r->table[i].holder, cases[k].granted ? GREEN : BLUE);
        assert_int_equal(r->forth[i].doubt, cases[k].listed);
        assert_int_equal(r->table[i].doubt, cases[k].left);
        if (!cases[k].granted)
            assert_true(r->table[i].taken && r->table[i].order > r->table[i].epoch);
        reign_free(r);
    }
}

/* --- ways back ------------------------------------------------------------------------------------------------------------------------- */

/* A replay begins where the other color had begun, and says so; back again, or without being asked for, nothing is repeated. */
static void a_replay_does_it_all_again(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_ROLLBACK);
    struct receipt_sum sum;
    int64_t scratch[2 * PARTS];

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    for (int stage = 0; stage < 2; stage++) {
        int in_second = 0;

        obey(r, 8);
        for (int i = 0; i < PARTS; i++)
            in_second += r->forth[i].stage == 1;
        assert_int_equal(in_second, 2); /* the receipt has it, too */
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++)
        r->position[i] = 90;
    o.replay = true;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, BLUE);
        assert_int_equal(r->forth[i].from, 20 + i);
        assert_int_equal(r->forth[i].committed, 90);
        assert_int_equal(r->forth[i].repeat_to, 90);
        assert_int_equal(r->back[i].replay_from, OFFSET_NONE);
    }
    receipt_sum(&sum, &r->s.op, scratch);
    assert_int_equal(sum.listed_repeats, 70 + 69 + 68 + 67);
    assert_int_equal(sum.gaps, 0);
    reign_free(r);
}

/* On the way back a partition that was granted and never taken is ordered at once; nobody waits for who does not come. */
static void who_never_took_it_is_not_waited_for(void **state)
{
    struct reign *r = reign_new();
    int granted = 0, ordered = 0;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    speak(r, GREEN);
    speak(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        granted += r->table[i].state == RIGHT_GRANTED;
    assert_int_equal(granted, 2);
    order_give(r, order_of(ORDER_ABORT));
    for (int i = 0; i < PARTS; i++)
        if (r->table[i].state == RIGHT_RELEASING) {
            ordered++;
            assert_true(r->back[i].ordered && r->back[i].order == r->table[i].order);
        }
    assert_int_equal(ordered, 2);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, BLUE);
        assert_int_equal(r->position[i], 20 + i);
    }
    reign_free(r);
}

/* A stage has passed when every partition is seen to flow; on the way back the receipt's figures are waited for three seconds. */
static void a_passage_is_proven_by_a_first_position(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[4];

    (void)state;
    r->no_first = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_PASSING);
    assert_int_equal(switcher_waiting(&r->s, who, 4, r->now_ms), 1);
    assert_string_equal(who[0].who, "green");
    assert_string_equal(who[0].what, "takes 0 granted partitions, fetches the first of 2");
    r->no_first = false;
    obey(r, 2);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    r->no_first = true;
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    tick(r, 2800);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    tick(r, 300);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* Why it was turned back is one thing, how it was judged another: who aborts a held switch fails no version. */
static void an_abort_fails_no_version(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_worse = WORSE_HOLD
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    verdict(r, VERDICT_WORSE, false, 0);
    assert_true(r->s.op.held);
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.cause, CAUSE_OPERATOR);
    assert_int_equal(r->fleet.failed_count, 0);
    reign_free(r);
}

/* In two hands after a way back that did not end: a pause and a resume change no holder, and mend nothing; naming a color does. */
static void two_hands(enum color to)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);
    enum color holder[PARTS];

    o.stages = (struct stages){
        .items = { { STAGE_NAMES, 1, 0 }, { STAGE_SHARE, 100, 0 } }, .count = 2, .names = { { 0, 0 } }, .name_count = 1
    };
    order_give(r, o);
    obey(r, 8);
    order_give(r, order_of(ORDER_ABORT));
    r->members[GREEN].silent = true;
    tick(r, 15000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(r->table[0].holder, GREEN);
    assert_int_equal(r->fleet.active, BLUE); /* who was: nobody has all */
    r->members[GREEN].silent = false;
    for (int i = 0; i < PARTS; i++)
        holder[i] = r->table[i].holder;
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    assert_int_equal(order_give(r, order_of(ORDER_RESUME)), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].holder, holder[i]);
    o = order_of(ORDER_SWITCH);
    o.to_given = true;
    o.to = to;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.from, color_other(to));
    for (int stage = 0; stage < 2; stage++) {
        obey(r, 8);
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    assert_int_equal(r->fleet.active, to);
    for (int i = 0; i < PARTS; i++) /* who was there already is not of this receipt */
        assert_int_equal(r->forth[i].taken, holder[i] != to);
    reign_free(r);
}

static void two_hands_stay_two_until_a_color_is_named(void **state)
{
    (void)state;
    two_hands(GREEN);
    two_hands(BLUE);
}

/* Which a throttle keeps does not change while it is under way, and a way back wakes only what it has stopped itself. */
static void a_throttle_knows_what_it_has_stopped(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);
    struct report *report;
    bool keep[PARTS];

    (void)state;
    o.keep = 2;
    order_give(r, o);
    for (int i = 0; i < PARTS; i++)
        keep[i] = r->table[i].state == RIGHT_HELD;
    for (int slow = 0; slow < PARTS; slow++) { /* one after the other */
        report = report_new(r, &r->members[BLUE]);
        for (int i = slow + 1; i < PARTS; i++)
            if (r->table[i].state == RIGHT_RELEASING)
                entry(report, i)->local = LOCAL_DRAINING;
        hear(r, report);
        tick(r, 10);
        for (int i = 0; i < PARTS; i++)
            assert_int_equal(keep[i], r->table[i].state == RIGHT_HELD);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(order_give(r, order_of(ORDER_PAUSE)), REPLY_ACCEPTED);
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS; i++)
        if (keep[i])
            entry(report, i)->local = LOCAL_DRAINING;
    hear(r, report);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_THROTTLED);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, keep[i] ? RIGHT_HELD : RIGHT_PAUSED);
    reign_free(r);
}

/* --- a receipt's times -------------------------------------------------------------------------------------------------------------------- */

/* The first to stop counts, and when it was heard first: nobody has worked on it since, however often that is said. */
static void a_standstill_begins_with_who_stopped_first(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int64_t stopped_us = 0;
    int i;

    (void)state;
    r->members[GREEN].silent = true;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    report = report_new(r, &r->members[BLUE]); /* still at it */
    entry(report, i)->local = LOCAL_DRAINING;
    entry(report, i)->drained_unix_us = 0;
    hear(r, report);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    for (int k = 0; k < 3; k++) {
        r->now_ms += 10;
        stopped_us = stopped_us ? stopped_us : r->now_ms * 1000;
        speak(r, BLUE);
    }
    r->members[GREEN].silent = false;
    obey(r, 4);
    assert_true(r->forth[i].taken);
    assert_int_equal(r->forth[i].release_heard_unix_us, stopped_us);
    assert_int_equal(r->forth[i].drained_unix_us, stopped_us);
    assert_int_equal(r->forth[i].stopped_unix_us, stopped_us);
    assert_int_equal(r->forth[i].released, r->forth[i].committed);
    assert_string_equal(r->forth[i].released_by, "blue0");
    assert_string_equal(r->forth[i].taken_by, "green1");
    reign_free(r);
}

/* One who had lost the partition and did not know tells of a release, too: its offset is not the receipt's. */
static void who_had_lost_it_says_nothing_of_its_end(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, BLUE);
    r->members[2].owns[0] = r->members[2].owns[1] = r->members[2].owns[2] = r->members[2].owns[3] = false;
    obey(r, 2);
    r->members[GREEN].silent = true;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->committed = 15;
    hear(r, report);
    assert_int_equal(r->forth[i].released, 15);
    report = report_new(r, &r->members[BLUE]); /* now it knows */
    entry(report, i)->owned = false;
    entry(report, i)->local = LOCAL_STANDBY;
    hear(r, report);
    report = report_new(r, &r->members[2]);
    entry(report, i)->owned = true;
    hear(r, report);
    r->members[GREEN].silent = false;
    obey(r, 4);
    assert_int_equal(r->forth[i].committed, 20 + i);
    assert_int_equal(r->forth[i].released, OFFSET_NONE);
    assert_string_equal(r->forth[i].released_by, "");
    reign_free(r);
}

/* --- partitions are born --------------------------------------------------------------------------------------------------------------------- */

/* Rule 8, in each phase; in mid-switch they go with the last stage; more than there is room for are left where they are. */
static void partitions_are_born_where_the_fleet_is(void **state)
{
    static const int64_t first[PARTS + 2] = { 0, 0, 0, 7, 0, 0 };

    (void)state;
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        struct reign *r = reign_new();
        const bool rests =
            phase == PHASE_PAUSED || phase == PHASE_PAUSING || phase == PHASE_THROTTLED || phase == PHASE_THROTTLING;

        r->fleet.baton_count = PARTS - 1;
        r->fleet.phase = (enum phase)phase;
        r->fleet.active = GREEN;
        for (int i = 0; i < PARTS; i++)
            r->table[i].holder = GREEN;
        r->facts[PARTS - 1].load_known = true; /* of nobody */
        reign_step(r, (struct switcher_event){
                          .type = SWITCHER_PARTITIONS, .partition_count = PARTS + 2, .first_offsets = first });
        assert_int_equal(r->fleet.baton_count, PARTS);
        assert_int_equal(r->table[PARTS - 1].partition, PARTS - 1);
        assert_int_equal(r->table[PARTS - 1].from, 7);
        assert_int_equal(r->table[PARTS - 1].holder, GREEN);
        assert_int_equal(r->table[PARTS - 1].state, rests ? RIGHT_PAUSED : RIGHT_HELD);
        assert_int_equal(r->table[PARTS - 1].epoch, r->fleet.version.epoch);
        assert_true(r->table[PARTS - 1].taken && r->head_written);
        assert_int_equal(r->table[PARTS - 1].doubt, OFFSET_NONE);
        assert_false(r->facts[PARTS - 1].load_known);
        reign_free(r);
    }
}

static void who_is_born_in_mid_switch_goes_with_the_last_stage(void **state)
{
    static const int64_t first[PARTS] = { 0, 0, 0, 7 };
    struct reign *r = reign_new();
    int stages = 0;

    (void)state;
    r->fleet.baton_count = PARTS - 1;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_PARTITIONS, .partition_count = PARTS, .first_offsets = first });
    r->position[3] = 7;
    r->mark[3] = (struct mark){ MARK_EPOCH, r->table[3].epoch };
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_OBSERVING); /* it is none of this stage's */
    assert_int_equal(r->s.op.pass_count, PARTS);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 0); /* nobody has begun beyond where he was told to */
    assert_int_equal(r->table[3].holder, BLUE);
    order_give(r, order_of(ORDER_PROMOTE));
    obey(r, 8);
    assert_int_equal(r->table[3].holder, GREEN);
    r->fleet.baton_count = PARTS - 1; /* and one that is born when the last stage is observed goes after it */
    reign_step(r, (struct switcher_event){
                      .type = SWITCHER_PARTITIONS, .partition_count = PARTS, .first_offsets = first });
    r->mark[3] = (struct mark){ MARK_EPOCH, r->table[3].epoch };
    r->position[3] = 7;
    assert_int_equal(r->table[3].holder, BLUE);
    tick(r, 10);
    assert_int_equal(r->s.op.state, OP_PASSING); /* not observed as long as it is on its way */
    obey(r, 8);
    assert_int_equal(r->table[3].holder, GREEN);
    tick(r, 60000);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    for (int i = 0; i < PARTS; i++)
        stages += r->table[i].holder == GREEN;
    assert_int_equal(stages, PARTS);
    reign_free(r);
}

/* --- a reign over what is left ------------------------------------------------------------------------------------------------------------------ */

/* The head was written, its operation was not: what it had ordered nobody wants, and the phase is that of a fleet at rest. */
static void an_order_of_nobody_is_taken_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->table[1].state = RIGHT_RELEASING;
    r->table[1].order = r->fleet.version.epoch;
    r->fleet.phase = PHASE_PASSING;
    r->fleet.deadline_unix_ms = 77;
    switcher_reign(&r->s, 5, r->now_ms, r->now_ms * 1000);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    assert_int_equal(r->fleet.deadline_unix_ms, 0);
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS] > 0, true); /* at once: nobody's absence counts from before */
    assert_int_equal(r->table[1].state, RIGHT_HELD);
    assert_int_equal(r->table[1].order, r->fleet.version.epoch);
    reign_free(r);
}

/* A grant that nobody has taken is not ordered on the way forth: its holder begins first, and ends where it says. */
static void who_has_not_begun_is_not_ordered(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    obey(r, 6);
    r->members[BLUE].silent = true;
    order_give(r, order_of(ORDER_RESUME));
    tick(r, 5000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    assert_int_equal(order_give(r, order_of(ORDER_SWITCH)), REPLY_ACCEPTED);
    tick(r, 100);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    r->members[BLUE].silent = false;
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    reign_free(r);
}

/* A held stage is not let go by an undecided, whoever sees better now. */
static void an_undecided_ends_no_hold(void **state)
{
    const struct judge_policy policy = {
        .mode = JUDGE_AUTO, .interval_ms = 1000, .warmup_ms = 1000, .on_undecided = UNDECIDED_ROLLBACK
    };
    struct reign *r = observed(&policy, 0);

    (void)state;
    verdict(r, VERDICT_UNDECIDED, true, 0);
    tick(r, 60000);
    assert_true(r->s.op.held);
    verdict(r, VERDICT_UNDECIDED, false, 0);
    tick(r, 60000);
    assert_true(r->s.op.held && r->s.op.state == OP_OBSERVING);
    verdict(r, VERDICT_OK, false, 0);
    assert_int_equal(r->s.op.stage, 1);
    reign_free(r);
}

/* A word of the operator that is sent twice is heard once; a plan under its number is still a plan. */
static void a_word_is_heard_once(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_PROMOTE);

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    snprintf(o.request_id, sizeof(o.request_id), "once");
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.stage, 1);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    o = order_of(ORDER_SWITCH);
    snprintf(o.request_id, sizeof(o.request_id), "once");
    o.dry_run = true;
    assert_int_equal(order_give(r, o), REPLY_PLANNED);
    reign_free(r);
}

/* A throttle that only lets more work has no way back: it would have to stop them, which is another order. */
static void more_work_has_no_way_back(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_THROTTLE);

    (void)state;
    o.keep = 1;
    order_give(r, o);
    obey(r, 8);
    r->members[BLUE].silent = true;
    o.keep = 3;
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    order_give(r, order_of(ORDER_ABORT));
    told(r, REPLY_CONFLICT, "no way back");
    tick(r, 5000);
    assert_int_equal(r->s.op.state, OP_NEEDS_OPERATOR);
    r->members[BLUE].silent = false;
    obey(r, 4);
    assert_int_equal(at_work(r), 3);
    reign_free(r);
}

/* A grant is taken by who answers it, not by who is at work by an older word. */
static void an_older_word_takes_no_grant(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    speak(r, GREEN);
    speak(r, BLUE);
    report = report_new(r, &r->members[GREEN]);
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    assert_false(r->table[i].taken);
    speak(r, GREEN);
    assert_int_equal(r->table[i].state, RIGHT_HELD);
    reign_free(r);
}

/* Only who held what is passed, or holds what is observed, turns a switch back by going. */
static void whose_loss_turns_back_depends_on_when(void **state)
{
    (void)state;
    for (int observing = 0; observing < 2; observing++)
        for (int c = 0; c < COLOR_COUNT; c++) {
            struct reign *r = reign_new();
            const bool turns = observing ? c == GREEN : c == BLUE;

            r->fleet.spec.deadline_ms = 600000;
            r->fleet.spec.observe_ms = 600000;
            r->ends = 20;
            member_add(r, (enum color)c);
            r->members[2].idle = true;
            obey(r, 2);
            r->no_first = !observing;
            order_give(r, order_of(ORDER_SWITCH));
            obey(r, 8);
            assert_int_equal(r->s.op.state, observing ? OP_OBSERVING : OP_PASSING);
            r->members[2].silent = r->members[2].unlisted = true;
            for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
                obey(r, 1);
                tick(r, 990);
            }
            assert_non_null(strstr(r->forgotten, "2"));
            assert_int_equal(r->s.op.cause, turns ? CAUSE_MEMBER_GONE : CAUSE_NONE);
            reign_free(r);
        }
}

/* Between the question for a committed offset and its answer: another question, a failure, somebody who comes. */
static void an_offset_is_believed_as_long_as_all_is_quiet(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        struct reign *r = reign_new();
        struct switcher_reading reading = { .offset = 20, .mark = { MARK_EPOCH, 1 } };
        struct switcher_event ev = { .type = SWITCHER_OFFSETS, .readings = &reading, .reading_count = 1 };
        int i;

        r->fleet.spec.deadline_ms = 600000;
        r->deaf[SWITCHER_READ_OFFSETS] = true;
        order_give(r, order_of(ORDER_SWITCH));
        obey(r, 4);
        i = first_releasing(r);
        r->position[i] = reading.offset;
        speak(r, BLUE);
        reading.baton = i;
        ev.token = r->token[SWITCHER_READ_OFFSETS];
        if (what == 0) {
            tick(r, 15001); /* asked again meanwhile */
            assert_int_not_equal(r->token[SWITCHER_READ_OFFSETS], ev.token);
        } else if (what == 1)
            ev.failed = true;
        else if (what == 2)
            reading.failed = true;
        else if (what == 3) { /* who has read the table before the order, and owns it */
            struct report *report;

            member_add(r, BLUE);
            report = report_new(r, &r->members[2]);
            report->applied.epoch = 1;
            entry(report, i)->order = 1;
            hear(r, report);
        }
        r->deaf[SWITCHER_READ_OFFSETS] = what < 4;
        reign_step(r, ev);
        assert_int_equal(r->table[i].holder, what < 4 ? BLUE : GREEN);
        reign_free(r);
    }
}

/* --- what is known beyond the document ------------------------------------------------------------------------------------------- */

/* How fast a holder moves on: over five seconds at least, the mean with what was known; what goes back begins anew. */
static void loads_are_measured_over_a_while(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->facts[i].load_known, false);
    r->members[BLUE].owns[0] = false; /* a standby's says nothing of a load, and those behind it still do */
    for (int i = 0; i < PARTS; i++)
        r->facts[i].load_ms = 0;
    speak(r, BLUE);
    assert_int_equal(r->facts[0].load_ms, 0);
    assert_int_equal(r->facts[1].load_ms, r->now_ms);
    r->now_ms += 4999;
    for (int i = 0; i < PARTS; i++)
        r->position[i] += 100 * i;
    speak(r, BLUE);
    assert_false(r->facts[1].load_known);
    r->now_ms += 1;
    speak(r, BLUE);
    assert_false(r->facts[0].load_known);
    for (int i = 1; i < PARTS; i++) {
        assert_true(r->facts[i].load_known);
        assert_int_equal(r->facts[i].load, 1200 * i); /* a minute */
    }
    r->now_ms += 10000;
    r->position[1] += 1000;
    r->position[2] -= 50; /* a reset */
    speak(r, BLUE);
    assert_int_equal(r->facts[1].load, (1200 + 6000) / 2);
    assert_int_equal(r->facts[2].load, 2400);
    assert_int_equal(r->facts[2].load_position, r->position[2]);
    assert_int_equal(r->facts[2].load_ms, r->now_ms);
    assert_int_equal(r->facts[3].load, 3600 / 2); /* it stood still */
    report = report_new(r, &r->members[BLUE]);
    entry(report, 1)->position = OFFSET_NONE;
    r->now_ms += 10000;
    hear(r, report);
    assert_int_equal(r->facts[1].load, 3600);
    reign_free(r);
}

/* Where every partition's load is known it decides which goes first; else what the log holds of each. */
static void the_preflight_tells_the_load_of_a_stage(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct reign *r = reign_new();
        struct order o = order_of(ORDER_SWITCH);
        bool told_of = false;

        for (int i = 0; i < PARTS; i++) {
            r->facts[i].load_known = i < PARTS - 1 || known;
            r->facts[i].load = i == 0 ? 700 : 100;
        }
        o.dry_run = true;
        assert_int_equal(order_give(r, o), REPLY_PLANNED);
        for (int i = 0; i < r->s.findings.count; i++)
            if (strcmp(r->s.findings.items[i].code, "stage") == 0) {
                told_of = true;
                assert_string_equal(r->s.findings.items[i].what, known
                                                                     ? "stage 1: 2 of 4 partitions, 20 % of the load"
                                                                     : "stage 1: 2 of 4 partitions, 50 % of the load");
                assert_non_null(strstr(r->s.findings.items[i].why, known ? "works through" : "what the log holds"));
            }
        assert_true(told_of);
        for (int i = 0; i < PARTS; i++)
            r->facts[i].load = 0;
        order_give(r, o);
        if (known)
            for (int i = 0; i < r->s.findings.count; i++)
                if (strcmp(r->s.findings.items[i].code, "stage") == 0)
                    assert_string_equal(r->s.findings.items[i].what, "stage 1: 2 of 4 partitions");
        reign_free(r);
    }
}

/* A clock that may be ours is not corrected; a time that has not come is none by any clock. */
static void a_time_that_is_none_stays_none(void **state)
{
    static const struct {
        int64_t sent_us, heard_us, time_us, expected_us; /* all but the last by the member's clock; ours is 1 s */
    } cases[] = {
        { 1000000, 0, 900000, 900000 },    /* it may be the same */
        { 990000, 10000, 900000, 900000 }, /* with a way in between */
        { 990000, 0, 900000, 900000 },
        { 1000001, 11, 900000, 899994 },       /* a moment ahead */
        { 3000000, 2000000, 900000, -1100000 } /* two seconds ahead */
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(cases); k++)
        for (int none = 0; none < 2; none++) {
            struct reign *r = reign_new();
            struct report *report;
            int i;

            order_give(r, order_of(ORDER_SWITCH));
            i = first_releasing(r);
            speak(r, GREEN);
            report = report_new(r, &r->members[BLUE]);
            report->sent_unix_us = r->now_ms * 1000 - 1000000 + cases[k].sent_us;
            report->heard_written_unix_us = 500000;
            report->heard_unix_us = 500000 + cases[k].heard_us;
            entry(report, i)->stopped_unix_us = none ? 0 : cases[k].time_us;
            entry(report, i)->drained_unix_us = cases[k].time_us;
            hear(r, report);
            assert_int_equal(r->table[i].state, RIGHT_GRANTED);
            if (r->forth[i].drained_unix_us != cases[k].expected_us)
                fail_msg("case %zu: %lld", k, (long long)r->forth[i].drained_unix_us);
            assert_int_equal(r->forth[i].stopped_unix_us, none ? 0 : cases[k].expected_us);
            reign_free(r);
        }
}

/* Of several entries each counts: a doubt behind one that has none, one that stands already behind another. */
static void every_entry_of_a_report_counts(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    member_add(r, BLUE);
    for (int i = 0; i < PARTS; i++)
        r->members[2].owns[i] = false;
    r->table[1].doubt = 70;
    report = report_new(r, &r->members[2]);
    entry(report, 1)->doubt = 60;
    entry(report, 2)->doubt = 22; /* the owner has committed that */
    entry(report, 3)->doubt = 60;
    hear(r, report);
    assert_int_equal(r->table[0].doubt, OFFSET_NONE);
    assert_int_equal(r->table[1].doubt, 70);
    assert_int_equal(r->table[2].doubt, OFFSET_NONE);
    assert_int_equal(r->table[3].doubt, 60);
    assert_true(r->head_written);
    report = report_new(r, &r->members[2]); /* the same again is nothing new */
    entry(report, 3)->doubt = 60;
    hear(r, report);
    assert_false(r->head_written);
    r->members[BLUE].owns[3] = false; /* nobody owns it: who tells a doubt has no opposite */
    speak(r, BLUE);
    report = report_new(r, &r->members[2]);
    entry(report, 3)->doubt = 61;
    hear(r, report);
    assert_int_equal(r->table[3].doubt, 61);
    report = report_new(r, &r->members[2]); /* of a partition that the fleet does not have */
    entry(report, 0)->partition = 77;
    entry(report, 0)->doubt = 99;
    entry(report, 1)->doubt = 71;
    hear(r, report);
    assert_int_equal(r->table[1].doubt, 71);
    reign_free(r);
}

/* --- what an operation says of itself -------------------------------------------------------------------------------------------- */

static void an_operation_has_its_times(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    o.deadline_ms = 8000;
    order_give(r, o); /* the fleet's observation, its own deadline */
    assert_int_equal(r->s.op.observe_ms, 60000);
    assert_int_equal(r->s.op.deadline_ms, 8000);
    assert_int_equal(r->s.op.created_unix_ms, r->now_ms);
    assert_int_equal(r->s.op.stage_began_unix_ms, r->now_ms);
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000);
    assert_int_equal(r->fleet.deadline_unix_ms, r->now_ms + 8000);
    assert_int_equal(r->s.op.ended_unix_ms, 0);
    assert_int_equal(r->fleet.written_unix_us, r->now_ms * 1000);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    assert_int_equal(r->s.op.deadline_unix_ms, r->s.op.stage_began_unix_ms + 60000);
    assert_int_equal(r->fleet.deadline_unix_ms, r->s.op.deadline_unix_ms);
    r->now_ms += 100;
    order_give(r, order_of(ORDER_ABORT));
    assert_int_equal(r->s.op.deadline_unix_ms, r->now_ms + 8000 + 10000);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_true(r->s.op.ended_unix_ms > r->s.op.created_unix_ms && r->s.op.ended_unix_ms <= r->now_ms);
    assert_true(r->s.op.deadline_unix_ms == 0 && r->fleet.deadline_unix_ms == 0);
    assert_true(r->s.op.epoch_first < r->s.op.epoch_last && r->s.op.epoch_last == r->fleet.version.epoch);
    assert_string_equal(r->s.op.why, "the operator asked for it");
    o = order_of(ORDER_SWITCH);
    o.observe_ms = 5;
    order_give(r, o);
    assert_int_equal(r->s.op.observe_ms, 5);
    assert_int_equal(r->s.op.deadline_ms, 5000);
    order_give(r, order_of(ORDER_ROLLBACK));
    assert_string_equal(r->s.op.why, "the operator asked for it");
    reign_free(r);
}

static void a_rollback_has_one_stage_and_is_not_observed(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_ROLLBACK);

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    for (int stage = 0; stage < 2; stage++) {
        obey(r, 8);
        tick(r, 60000);
    }
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    r->fleet.spec.judge.mode = JUDGE_AUTO;
    fleet_failed_add(&r->fleet, "blue-v1", 9); /* whether it is any better is not asked on a way back */
    o.observe_ms = 7000;                       /* says nothing of a way back */
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    assert_int_equal(r->s.op.of_number, 1);
    assert_int_equal(r->s.op.stages.count, 1);
    assert_int_equal(r->s.op.judge, JUDGE_OFF);
    assert_int_equal(r->s.op.observe_ms, 0);
    assert_true(r->s.op.from == GREEN && r->s.op.to == BLUE);
    assert_string_equal(r->s.op.version_from, "green-v1");
    assert_string_equal(r->s.op.version_to, "blue-v1");
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.active, BLUE);
    assert_int_equal(fleet_failed(&r->fleet, "blue-v1"), 0);
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->s.op.of_number, 0); /* there is nothing to take back any more */
    assert_true(r->s.op.from == BLUE && r->s.op.to == BLUE && r->s.op.keep == 0);
    reign_free(r);
}

/* A pause that is taken back: what it has stopped goes on under a new grant, what it has not under the old one. */
static void a_pause_is_taken_back(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    struct progress p;

    (void)state;
    order_give(r, order_of(ORDER_PAUSE));
    report = report_new(r, &r->members[BLUE]);
    entry(report, 2)->local = LOCAL_DRAINING;
    entry(report, 2)->in_flight = 1;
    hear(r, report);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, i == 2 ? RIGHT_RELEASING : RIGHT_PAUSED);
    switcher_progress(&r->s, &p);
    assert_true(p.total == PARTS && p.taken == 3 && p.ordered == 1 && p.granted == 0 && p.returned == 0);
    order_give(r, order_of(ORDER_ABORT));
    tick(r, 10);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].state, i == 2 ? RIGHT_HELD : RIGHT_GRANTED);
        assert_int_equal(r->table[i].epoch > 1, i != 2);
        assert_int_equal(r->table[i].holder, BLUE);
    }
    switcher_progress(&r->s, &p);
    assert_true(p.granted == 3 && p.ordered == 0);
    tick(r, 100);
    for (int i = 0; i < PARTS; i++)
        assert_int_not_equal(r->table[i].state, RIGHT_RELEASING);
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    assert_int_equal(r->fleet.phase, PHASE_STEADY);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->position[i], 20 + i);
    reign_free(r);
}

/* Who goes while a fleet is paused or waked turns nothing back: his partitions are paused all the same. */
static void a_lost_member_turns_no_pause_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->fleet.spec.deadline_ms = 600000;
    r->ends = 20;
    member_add(r, BLUE);
    r->members[2].idle = true;
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    order_give(r, order_of(ORDER_PAUSE));
    for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    assert_int_equal(r->s.op.cause, CAUSE_NONE);
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_COMPLETE);
    assert_int_equal(r->fleet.phase, PHASE_PAUSED);
    reign_free(r);
}

/* What is listed is written in the very step in which it leaves the document (I3). */
static void a_listed_doubt_is_written_with_its_grant(void **state)
{
    (void)state;
    for (int doubt = 0; doubt < 2; doubt++) {
        struct reign *r = reign_new();
        int i;

        r->fleet.spec.on_doubt = DOUBT_LIST;
        for (int n = 0; n < PARTS; n++)
            r->table[n].doubt = doubt ? 50 : OFFSET_NONE;
        order_give(r, order_of(ORDER_SWITCH));
        i = first_releasing(r);
        speak(r, GREEN);
        r->passes_written = false;
        speak(r, BLUE);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        assert_int_equal(r->passes_written, doubt);
        reign_free(r);
    }
}

/* What retention has taken of a log that begins at 0 is nothing, and asked for once. */
static void a_log_from_the_beginning_is_asked_for_once(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    r->starts = 0;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27; /* compaction, or a transaction's end */
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->forth[i].log_start, r->forth[i].taken ? 0 : OFFSET_NONE);
    tick(r, 1000);
    tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 1);
    reign_free(r);
}

/* Silent for more than twice its interval, somebody is looked for at once; else nobody is, in a quiet fleet. */
static void who_is_late_is_looked_for(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    tick(r, 10000);
    obey(r, 1);
    asked = r->asked[SWITCHER_READ_GROUPS];
    tick(r, 1980); /* not late yet */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 30); /* more than 2 s since they spoke */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    tick(r, 990);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 2); /* every second, as long as it lasts */
    obey(r, 1);
    order_give(r, order_of(ORDER_PAUSE));
    asked = r->asked[SWITCHER_READ_GROUPS];
    r->now_ms = r->s.groups_asked_ms;
    tick(r, 999);
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked);
    tick(r, 1); /* while something is under way, too */
    assert_int_equal(r->asked[SWITCHER_READ_GROUPS], asked + 1);
    reign_free(r);
}

/* A fleet born again in the place of another brings nothing of it along. */
static void a_birth_is_a_beginning(void **state)
{
    static const struct baton born[PARTS] = { { .from = 3 }, { .partition = 1, .from = 4 } };
    struct reign *r = reign_new();
    const struct op none = { 0 };

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    snprintf(r->fleet.reason, sizeof(r->fleet.reason), "because");
    obey(r, 3);
    fleet_failed_add(&r->fleet, "v9", 9);
    r->spec.first_active = GREEN;
    memset(&r->s.dirty, 0, sizeof(r->s.dirty));
    switcher_birth(&r->s, &r->spec, (struct version){ 4, 50 }, born, 2, 77);
    assert_true(r->fleet.exists && r->fleet.baton_count == 2 && r->fleet.phase == PHASE_STEADY);
    assert_true(r->fleet.active == GREEN && r->fleet.switch_number == 0 && r->fleet.failed_count == 0);
    assert_true(r->fleet.deadline_unix_ms == 0 && !r->fleet.reason[0] && r->fleet.written_unix_us == 77);
    assert_int_equal(version_compare(r->fleet.version, (struct version){ 4, 50 }), 0);
    assert_int_equal(version_compare(r->fleet.applied, (struct version){ 4, 50 }), 0);
    assert_memory_equal(&r->s.op, &none, offsetof(struct op, forth));
    assert_int_equal(r->s.op.pass_count, 0);
    assert_true(r->s.dirty.head && r->s.dirty.shards[0] && !r->s.dirty.op);
    assert_true(r->s.barrier_asked == 0 && r->s.barrier_read == 0);
    for (int i = 0; i < 2; i++) {
        assert_true(r->table[i].state == RIGHT_HELD && r->table[i].holder == GREEN && r->table[i].taken);
        assert_true(r->table[i].epoch == 50 && r->table[i].order == 50 && r->table[i].doubt == OFFSET_NONE);
        assert_int_equal(r->table[i].from, 3 + i);
    }
    reign_free(r);
}

/* Of two of one color who say that they own it the newer word counts, whoever is heard last; with nobody, nothing is known. */
static void an_older_word_of_the_holder_is_none(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->fleet.spec.deadline_ms = 600000;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->local = LOCAL_DRAINING;
    hear(r, report);
    report = report_new(r, &r->members[2]); /* released, by a word of before */
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->facts[i].owner[BLUE], 0);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    assert_int_equal(r->forth[i].drained_unix_us, 0);
    report = report_new(r, &r->members[BLUE]); /* the other one says nothing of this order either */
    entry(report, i)->order--;
    hear(r, report);
    assert_int_equal(r->forth[i].release_heard_unix_us, 0);
    reign_free(r);
    r = reign_new();
    for (int k = 0; k < PARTS; k++) {
        r->members[BLUE].owns[k] = false;
        r->table[k].doubt = 50;
    }
    speak(r, BLUE);
    order_give(r, order_of(ORDER_PAUSE));
    for (int k = 0; k < PARTS; k++)
        assert_int_equal(r->table[k].state, RIGHT_HELD); /* nobody has passed the doubt */
    reign_free(r);
}

/* On its way back a passage may still be proven: as long as its partition waits for a doubt, the receipt learns of it. */
static void a_passage_is_proven_on_the_way_back(void **state)
{
    struct reign *r = reign_new();
    struct progress p;
    int i = 0;

    (void)state;
    r->no_first = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    while (r->table[i].holder != GREEN)
        i++;
    assert_true(r->table[i].state == RIGHT_HELD && !r->forth[i].taken);
    for (int k = 0; k < PARTS; k++)
        r->table[k].doubt = k == i ? 500 : OFFSET_NONE;
    order_give(r, order_of(ORDER_ABORT));
    tick(r, 10);
    assert_int_equal(r->table[i].state, RIGHT_HELD);
    r->no_first = false;
    speak(r, GREEN);
    assert_true(r->forth[i].taken && !r->back[i].ordered);
    obey(r, 6);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.returned, 1);
    r->position[i] = 500;
    obey(r, 8);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.returned, 2);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* Somebody else commits in the group: what was released and what stands there is told. */
static void a_foreign_commit_is_told(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    speak(r, GREEN);
    report = report_new(r, &r->members[BLUE]);
    entry(report, i)->position = 99;
    r->position[i] = 44;
    hear(r, report);
    assert_int_equal(r->s.op.cause, CAUSE_FOREIGN_COMMIT);
    assert_non_null(strstr(r->s.op.why, i == 0 ? "t/0: released at 20, but group f-blue has 44 committed"
                                               : "t/1: released at 21, but group f-blue has 44 committed"));
    reign_free(r);
}

/* Gone is who was missing in two listings that were asked for gone_after apart, to the millisecond. */
static void who_is_gone_is_gone_at_his_time(void **state)
{
    (void)state;
    for (int late_ms = 0; late_ms < 2; late_ms++) {
        struct reign *r = reign_new();

        r->members[BLUE].silent = r->members[BLUE].unlisted = true;
        r->now_ms = r->s.groups_asked_ms = 20000;
        read_groups(r);
        r->now_ms = r->s.groups_asked_ms = 29999 + late_ms;
        read_groups(r);
        assert_string_equal(r->forgotten, late_ms ? "blue0" : "");
        reign_free(r);
    }
}

/* One step may ask for the end of one partition's log and the start of another's: each question has its own list. */
static void two_questions_have_two_lists(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    r->fleet.spec.observe_ms = 600000;
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    member_add(r, BLUE);
    obey(r, 2);
    r->deaf[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++)
        entry(report, i)->owned = r->table[i].holder == BLUE;
    hear(r, report);
    r->s.members[2].gone = true;
    r->deaf[SWITCHER_READ_STARTS] = false;
    tick(r, 1000);
    assert_string_equal(r->forgotten, "blue2");
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].doubt, r->table[i].holder == BLUE ? 100 : OFFSET_NONE);
        assert_int_equal(r->forth[i].log_start, r->forth[i].taken ? 25 : OFFSET_NONE);
    }
    reign_free(r);
}

/* The document says what is under way. */
static void a_phase_says_what_is_under_way(void **state)
{
    static const struct {
        enum order_kind kind;
        enum phase passing, done, returning, back;
    } cases[] = {
        { ORDER_PAUSE, PHASE_PAUSING, PHASE_PAUSED, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_THROTTLE, PHASE_THROTTLING, PHASE_THROTTLED, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_SWITCH, PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_ROLLBACK, PHASE_PASSING, PHASE_STEADY, PHASE_RETURNING, PHASE_STEADY },
        { ORDER_RESUME, PHASE_RESUMING, PHASE_STEADY, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (int abort = 0; abort < 2; abort++) {
            struct reign *r = reign_new();
            struct order o = order_of(cases[i].kind);

            if (cases[i].kind == ORDER_RESUME) {
                order_give(r, order_of(ORDER_PAUSE));
                obey(r, 6);
            } else if (cases[i].kind == ORDER_ROLLBACK) {
                order_give(r, order_of(ORDER_SWITCH));
                for (int stage = 0; stage < 2; stage++) {
                    obey(r, 8);
                    tick(r, 60000);
                }
            }
            o.keep = 2;
            assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
            assert_int_equal(r->fleet.phase, cases[i].passing);
            if (!abort) {
                obey(r, 8);
                assert_int_equal(r->fleet.phase, cases[i].done);
            } else if (cases[i].kind != ORDER_RESUME) {
                r->members[BLUE].silent = r->members[GREEN].silent = true;
                r->table[0].state = RIGHT_GRANTED; /* so that it is not over at once */
                order_give(r, order_of(ORDER_ABORT));
                assert_int_equal(r->fleet.phase, cases[i].returning);
                r->members[BLUE].silent = r->members[GREEN].silent = false;
                obey(r, 10);
                assert_int_equal(r->fleet.phase, cases[i].back);
            }
            reign_free(r);
        }
}

/* Its tombstone is read back: it is over, and what it said is not said again. Who has said goodbye is not looked for. */
static void who_is_forgotten_stays_forgotten(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    member_add(r, BLUE);
    obey(r, 2);
    r->members[2].silent = r->members[2].unlisted = true;
    for (int i = 0; i < 30 && !r->forgotten[0]; i++) {
        obey(r, 1);
        tick(r, 990);
    }
    assert_string_equal(r->forgotten, "blue2");
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT_GONE, .incarnation = "blue2" });
    assert_string_equal(r->restored, "");
    for (int m = 0; m < MEMBERS_MAX; m++)
        assert_int_equal(r->s.members[m].used, m < 2);
    reign_free(r);
    r = reign_new();
    r->members[BLUE].report.goodbye = r->members[BLUE].unlisted = true;
    speak(r, BLUE);
    r->members[BLUE].silent = true;
    for (int i = 0; i < 30; i++)
        tick(r, 1000);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 0);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].doubt, OFFSET_NONE); /* it was done with everything */
    reign_free(r);
}

/* What had been passed before an operation is none of its way back. */
static void a_way_back_is_of_its_own_operation(void **state)
{
    struct reign *r = reign_new();
    struct order o = order_of(ORDER_SWITCH);

    (void)state;
    r->table[0].holder = GREEN; /* in two hands, whoever left it so */
    o.to_given = true;
    o.to = GREEN;
    o.stages = (struct stages){ .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 };
    assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_OBSERVING);
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(r->table[i].holder, i == 0 ? GREEN : BLUE);
        assert_int_equal(r->back[i].ordered, i != 0);
    }
    assert_int_equal(r->fleet.phase, PHASE_NEEDS_OPERATOR);
    reign_free(r);
}

/* On the way back a foreign commit turns nothing round: it is read again in a moment, until it is ours or the time is over. */
static void a_foreign_commit_on_the_way_back_is_read_again(void **state)
{
    struct reign *r = reign_new();
    int asked, i = 0;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    while (r->table[i].holder != GREEN)
        i++;
    r->mark[i] = (struct mark){ MARK_EPOCH, 999 };
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 4);
    assert_int_equal(r->s.op.state, OP_RETURNING);
    assert_int_equal(r->table[i].holder, GREEN);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    r->now_ms = r->facts[i].retry_ms - 1;
    tick(r, 0);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked);
    tick(r, 1);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    r->mark[i].epoch = r->table[i].epoch;
    r->facts[i].retry_ms = 0;
    obey(r, 6);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    reign_free(r);
}

/* Asked to do again from 20 on, the color finds its group at or below that: there is nothing to do again, and nothing is left out. */
static void a_replay_never_leaves_anything_out(void **state)
{
    (void)state;
    for (int64_t at = 19; at < 22; at++) {
        struct reign *r = reign_new();
        struct order o = order_of(ORDER_ROLLBACK);

        for (int i = 0; i < PARTS; i++)
            r->position[i] = 20;
        speak(r, BLUE);
        order_give(r, order_of(ORDER_SWITCH));
        for (int stage = 0; stage < 2; stage++) {
            obey(r, 8);
            tick(r, 60000);
        }
        assert_int_equal(r->s.op.state, OP_COMPLETE);
        for (int i = 0; i < PARTS; i++)
            r->position[i] = at; /* an operator has reset the group, say */
        o.replay = true;
        assert_int_equal(order_give(r, o), REPLY_ACCEPTED);
        obey(r, 8);
        for (int i = 0; i < PARTS; i++) {
            assert_int_equal(r->forth[i].from, at < 20 ? at : 20);
            assert_int_equal(r->forth[i].committed, at);
            assert_int_equal(r->forth[i].repeat_to, at > 20 ? at : OFFSET_NONE);
        }
        reign_free(r);
    }
}

/* The one before has ordered, and what it noted went with it: the next leader's receipt says the essence all the same. */
static void what_a_former_reign_ordered_stands_in_the_receipt(void **state)
{
    (void)state;
    for (int granted = 0; granted < 2; granted++) {
        struct reign *r = reign_new();
        uint64_t order;
        int i;

        r->fleet.spec.deadline_ms = 60000;
        order_give(r, order_of(ORDER_SWITCH));
        i = first_releasing(r);
        order = r->table[i].order;
        assert_true(r->forth[i].ordered && r->forth[i].order == order && !r->back[i].ordered);
        if (granted) {
            speak(r, GREEN);
            speak(r, BLUE);
            assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        }
        r->forth[i].ordered = false;
        r->forth[i].order = r->forth[i].grant = 0;
        r->forth[i].released = r->forth[i].committed = r->forth[i].from = OFFSET_NONE;
        r->forth[i].release_heard_unix_us = r->forth[i].drained_unix_us = 0;
        switcher_reign(&r->s, 5, r->now_ms, r->now_ms * 1000);
        obey(r, 8);
        assert_int_equal(r->s.op.state, OP_OBSERVING);
        assert_true(r->forth[i].ordered && r->forth[i].taken);
        assert_int_equal(r->forth[i].order, granted ? 0 : order);
        assert_int_equal(r->forth[i].grant, r->table[i].epoch);
        assert_int_equal(r->forth[i].from, 20 + i);
        assert_int_equal(r->forth[i].committed, 20 + i);
        assert_string_equal(r->forth[i].taken_by, "green1");
        reign_free(r);
    }
}

/* Only who says that he has released is believed to have; a standby's times are of an older release. */
static void a_standby_has_released_nothing(void **state)
{
    struct reign *r = reign_new();
    struct report *report;
    int i;

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    i = first_releasing(r);
    speak(r, GREEN);
    report = report_new(r, &r->members[BLUE]);
    for (int k = 0; k < PARTS; k++)
        entry(report, k)->local = LOCAL_STANDBY;
    hear(r, report);
    assert_int_equal(r->table[i].state, RIGHT_GRANTED);
    assert_int_equal(r->forth[i].released, OFFSET_NONE);
    reign_free(r);
}

/* What an order had to wait for is no matter of the next one. */
static void a_new_order_asks_at_once(void **state)
{
    struct reign *r = reign_new();
    int asked;

    (void)state;
    r->fails[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, GREEN);
    speak(r, BLUE);
    assert_true(r->facts[0].retry_ms > r->now_ms);
    order_give(r, order_of(ORDER_ABORT));
    speak(r, BLUE);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    asked = r->asked[SWITCHER_READ_OFFSETS];
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, GREEN);
    speak(r, BLUE);
    assert_int_equal(r->asked[SWITCHER_READ_OFFSETS], asked + 1);
    reign_free(r);
}

/* Of a release that a former reign has noted only that is believed which fits what was granted. */
static void an_older_release_is_none_of_this_grant(void **state)
{
    (void)state;
    for (int fits = 0; fits < 2; fits++) {
        struct reign *r = reign_new();
        struct report *report;
        int i;

        order_give(r, order_of(ORDER_SWITCH));
        i = first_releasing(r);
        speak(r, GREEN);
        speak(r, BLUE);
        assert_int_equal(r->table[i].state, RIGHT_GRANTED);
        memset(r->forth[i].released_by, 0, sizeof(r->forth[i].released_by));
        r->forth[i].grant = 0; /* what was noted went with the reign */
        report = report_new(r, &r->members[BLUE]);
        entry(report, i)->committed = 20 + i - !fits;
        entry(report, i)->local = LOCAL_RELEASED;
        entry(report, i)->drained_unix_us = 77;
        hear(r, report);
        speak(r, GREEN);
        assert_true(r->forth[i].taken && r->forth[i].ordered);
        assert_int_equal(r->forth[i].committed, 20 + i);
        assert_string_equal(r->forth[i].released_by, fits ? "blue0" : "");
        reign_free(r);
    }
}

/* What retention takes on the way back stands in the receipt, too, and is written. */
static void what_retention_takes_on_the_way_back(void **state)
{
    struct reign *r = reign_new();

    (void)state;
    order_give(r, order_of(ORDER_SWITCH));
    obey(r, 8);
    assert_int_equal(r->asked[SWITCHER_READ_STARTS], 0);
    r->starts = 25;
    for (int i = 0; i < PARTS; i++)
        r->first[i] = 27;
    r->deaf[SWITCHER_READ_STARTS] = true;
    order_give(r, order_of(ORDER_ABORT));
    obey(r, 8);
    assert_int_equal(r->s.op.state, OP_ROLLED_BACK);
    r->deaf[SWITCHER_READ_STARTS] = false;
    r->passes_written = false;
    tick(r, 1000);
    assert_true(r->passes_written);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->back[i].log_start, r->back[i].taken ? 25 : OFFSET_NONE);
    reign_free(r);
}

/* A single partition of a lost member is read like many; a reading that fails in part is asked for again; each answer is its own. */
static void each_lost_member_is_read_by_itself(void **state)
{
    struct switcher_reading readings[] = { { .baton = 1, .offset = 60 }, { .baton = 2, .offset = 70, .failed = true } };
    struct switcher_event ev = { .type = SWITCHER_ENDS, .readings = readings, .reading_count = 2 };
    struct reign *r = reign_new();
    struct report *report;
    uint64_t first;

    (void)state;
    for (int m = 2; m < MEMBERS; m++) {
        member_add(r, BLUE);
        report = report_new(r, &r->members[m]);
        for (int i = 0; i < PARTS; i++)
            entry(report, i)->owned = i == m || (m == 3 && i == 1);
        hear(r, report);
    }
    r->deaf[SWITCHER_READ_ENDS] = r->deaf[SWITCHER_READ_GROUPS] = true;
    r->s.members[2].gone = r->s.members[3].gone = true;
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 1); /* of one partition */
    first = r->token[SWITCHER_READ_ENDS];
    tick(r, 10);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 2);
    ev.token = r->token[SWITCHER_READ_ENDS];
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "");
    assert_int_equal(r->table[1].doubt, OFFSET_NONE);
    assert_int_equal(r->asked[SWITCHER_READ_ENDS], 3);
    readings[1].failed = false;
    ev.token = r->token[SWITCHER_READ_ENDS];
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "blue3"); /* the other's question is still out */
    assert_int_equal(r->table[1].doubt, 60);
    assert_int_equal(r->table[2].doubt, 70);
    assert_non_null(switcher_report(&r->s, "blue2"));
    ev.token = first;
    ev.reading_count = 0;
    reign_step(r, ev);
    assert_string_equal(r->forgotten, "blue2");
    reign_free(r);
}

/* Committed offsets and a lost member's ends, asked in one step: neither list overwrites the other. */
static void offsets_and_ends_are_asked_side_by_side(void **state)
{
    struct reign *r = reign_new();
    struct report *report;

    (void)state;
    r->ends = 30;
    member_add(r, BLUE);
    r->members[2].idle = true;
    obey(r, 2);
    r->fails[SWITCHER_READ_OFFSETS] = true;
    order_give(r, order_of(ORDER_PAUSE));
    speak(r, BLUE);
    speak(r, GREEN);
    r->members[2].idle = false;
    report = report_new(r, &r->members[2]);
    for (int i = 0; i < PARTS; i++) {
        entry(report, i)->owned = i == PARTS - 1;
        entry(report, i)->local = LOCAL_RELEASED;
    }
    hear(r, report);
    assert_true(r->asked[SWITCHER_READ_OFFSETS] == 1 && r->facts[0].retry_ms > r->now_ms);
    r->s.members[2].gone = true;
    r->fails[SWITCHER_READ_OFFSETS] = false;
    r->deaf[SWITCHER_READ_ENDS] = true;
    r->now_ms = r->facts[0].retry_ms - 1;
    tick(r, 1);
    assert_true(r->asked[SWITCHER_READ_OFFSETS] == 2 && r->asked[SWITCHER_READ_ENDS] == 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(r->table[i].state, RIGHT_PAUSED);
    reign_free(r);
}

/* An edited fleet file is taken over as it is, and written. */
static void an_edited_fleet_file_is_taken_over(void **state)
{
    struct reign *r = reign_new();
    struct spec edited = r->fleet.spec;
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    edited.observe_ms = 1234;
    edited.topic_count = 2;
    snprintf(edited.topics[1], sizeof(edited.topics[1]), "u");
    reign_step(r, (struct switcher_event){ .type = SWITCHER_SPEC, .spec = &edited });
    assert_memory_equal(&r->fleet.spec, &edited, sizeof(edited));
    assert_true(r->head_written);
    assert_int_equal(r->fleet.version.epoch, before + 1);
    reign_free(r);
}

/* Each reign raises the epoch, and so does the first thing that it changes. */
static void a_reign_has_an_epoch_of_its_own(void **state)
{
    struct reign *r = reign_new();
    const uint64_t before = r->fleet.version.epoch;

    (void)state;
    memset(&r->s.dirty, 0, sizeof(r->s.dirty));
    switcher_reign(&r->s, 5, r->now_ms, 123456789);
    assert_int_equal(version_compare(r->fleet.version, (struct version){ 5, before + 1 }), 0);
    assert_int_equal(version_compare(r->fleet.applied, r->fleet.version), 0);
    assert_int_equal(r->fleet.written_unix_us, 123456789);
    assert_true(r->s.dirty.head);
    order_give(r, order_of(ORDER_PAUSE));
    assert_int_equal(r->fleet.version.epoch, before + 2);
    assert_int_equal(r->s.op.epoch_first, before + 2);
    reign_free(r);
}

/* --- for people ---------------------------------------------------------------------------------------------------------------------- */

static void who_is_waited_for_is_told(void **state)
{
    struct reign *r = reign_new();
    struct waiting who[8];
    struct progress p;
    struct report *report;

    (void)state;
    switcher_progress(&r->s, &p);
    assert_int_equal(p.total, 0);
    snprintf(r->members[BLUE].report.client_id, CLIENT_ID_MAX + 1, "payments");
    snprintf(r->members[BLUE].report.host, HOST_MAX + 1, "h1");
    r->table[0].doubt = 50; /* a lost member may have done so much */
    order_give(r, order_of(ORDER_SWITCH));
    report = report_new(r, &r->members[BLUE]);
    for (int i = 0; i < PARTS; i++)
        if (report->parts[i].local == LOCAL_RELEASED) {
            report->parts[i].local = LOCAL_DRAINING;
            report->parts[i].in_flight = 3;
        }
    reign_step(r, (struct switcher_event){ .type = SWITCHER_REPORT, .report = report });
    assert_int_equal(switcher_waiting(&r->s, who, 8, r->now_ms) >= 2, true);
    assert_string_equal(who[0].who, "payments (blue, h1)");
    assert_non_null(strstr(who[0].what, "records in flight on"));
    assert_non_null(strstr(who[1].who, "green1"));
    assert_non_null(strstr(who[1].what, "has applied epoch"));
    assert_int_equal(switcher_waiting(&r->s, who, 1, r->now_ms), 1);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.total, 2);
    assert_true(p.ordered >= 1);
    r->position[0] = 50;
    obey(r, 8);
    switcher_progress(&r->s, &p);
    assert_int_equal(p.taken, 2);
    assert_int_equal(p.granted + p.ordered + p.returned, 0);
    reign_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_goes_as_its_policy_says),
        cmocka_unit_test(a_held_stage_goes_on_with_an_ok),
        cmocka_unit_test(only_worse_fails_a_version),
        cmocka_unit_test(a_verdict_is_written_when_it_says_something_new),
        cmocka_unit_test(what_the_judge_leaves_is_kept),
        cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
        cmocka_unit_test(a_paused_fleet_is_paused_once),
        cmocka_unit_test(an_order_is_carried_out_once),
        cmocka_unit_test(who_comes_first_begins),
        cmocka_unit_test(a_preflight_without_an_answer_ends),
        cmocka_unit_test(an_order_brings_what_it_names),
        cmocka_unit_test(a_hold_lasts_until_a_promote),
        cmocka_unit_test(a_hold_may_be_taken_back),
        cmocka_unit_test(a_throttle_keeps_so_many_at_work),
        cmocka_unit_test(a_throttle_is_taken_back_to_where_it_was),
        cmocka_unit_test(a_lost_answer_is_asked_for_again),
        cmocka_unit_test(the_reports_are_read_until_they_are_read),
        cmocka_unit_test(a_listing_that_does_not_come_is_asked_for_again),
        cmocka_unit_test(who_is_gone_is_forgotten_after_his_time),
        cmocka_unit_test(who_may_be_there_is_not_gone),
        cmocka_unit_test(without_a_listing_silence_counts),
        cmocka_unit_test(a_lost_member_turns_a_switch_back),
        cmocka_unit_test(a_goodbye_is_the_last_word),
        cmocka_unit_test(one_member_too_many_stops_everything),
        cmocka_unit_test(what_is_read_back_is_looked_at),
        cmocka_unit_test(what_retention_took_is_in_the_receipt),
        cmocka_unit_test(a_members_clock_is_set_right),
        cmocka_unit_test(what_does_not_come_home_needs_an_operator),
        cmocka_unit_test(a_resume_that_stands_needs_an_operator),
        cmocka_unit_test(a_new_leader_has_what_is_left_of_the_time),
        cmocka_unit_test(nothing_happens_to_a_fleet_that_is_not),
        cmocka_unit_test(who_has_it_in_hand_keeps_it),
        cmocka_unit_test(everybody_has_to_have_applied_the_order),
        cmocka_unit_test(the_reports_are_read_for_each_order),
        cmocka_unit_test(a_report_counts_once),
        cmocka_unit_test(the_newer_word_counts),
        cmocka_unit_test(a_step_has_one_epoch),
        cmocka_unit_test(an_old_listing_is_old),
        cmocka_unit_test(what_a_lost_member_may_have_done_is_read),
        cmocka_unit_test(a_doubt_that_is_told_is_written),
        cmocka_unit_test(a_doubt_is_waited_for_or_listed),
        cmocka_unit_test(a_doubt_may_come_up_late),
        cmocka_unit_test(a_replay_does_it_all_again),
        cmocka_unit_test(who_never_took_it_is_not_waited_for),
        cmocka_unit_test(a_passage_is_proven_by_a_first_position),
        cmocka_unit_test(an_abort_fails_no_version),
        cmocka_unit_test(two_hands_stay_two_until_a_color_is_named),
        cmocka_unit_test(a_throttle_knows_what_it_has_stopped),
        cmocka_unit_test(a_standstill_begins_with_who_stopped_first),
        cmocka_unit_test(who_had_lost_it_says_nothing_of_its_end),
        cmocka_unit_test(partitions_are_born_where_the_fleet_is),
        cmocka_unit_test(who_is_born_in_mid_switch_goes_with_the_last_stage),
        cmocka_unit_test(an_order_of_nobody_is_taken_back),
        cmocka_unit_test(who_has_not_begun_is_not_ordered),
        cmocka_unit_test(an_undecided_ends_no_hold),
        cmocka_unit_test(a_word_is_heard_once),
        cmocka_unit_test(more_work_has_no_way_back),
        cmocka_unit_test(an_older_word_takes_no_grant),
        cmocka_unit_test(whose_loss_turns_back_depends_on_when),
        cmocka_unit_test(an_offset_is_believed_as_long_as_all_is_quiet),
        cmocka_unit_test(who_is_waited_for_is_told),
        cmocka_unit_test(loads_are_measured_over_a_while),
        cmocka_unit_test(the_preflight_tells_the_load_of_a_stage),
        cmocka_unit_test(a_time_that_is_none_stays_none),
        cmocka_unit_test(every_entry_of_a_report_counts),
        cmocka_unit_test(an_operation_has_its_times),
        cmocka_unit_test(a_rollback_has_one_stage_and_is_not_observed),
        cmocka_unit_test(a_pause_is_taken_back),
        cmocka_unit_test(a_lost_member_turns_no_pause_back),
        cmocka_unit_test(a_listed_doubt_is_written_with_its_grant),
        cmocka_unit_test(a_log_from_the_beginning_is_asked_for_once),
        cmocka_unit_test(who_is_late_is_looked_for),
        cmocka_unit_test(a_birth_is_a_beginning),
        cmocka_unit_test(an_older_word_of_the_holder_is_none),
        cmocka_unit_test(a_passage_is_proven_on_the_way_back),
        cmocka_unit_test(a_foreign_commit_is_told),
        cmocka_unit_test(who_is_gone_is_gone_at_his_time),
        cmocka_unit_test(two_questions_have_two_lists),
        cmocka_unit_test(a_phase_says_what_is_under_way),
        cmocka_unit_test(who_is_forgotten_stays_forgotten),
        cmocka_unit_test(a_way_back_is_of_its_own_operation),
        cmocka_unit_test(a_foreign_commit_on_the_way_back_is_read_again),
        cmocka_unit_test(a_replay_never_leaves_anything_out),
        cmocka_unit_test(what_a_former_reign_ordered_stands_in_the_receipt),
        cmocka_unit_test(a_standby_has_released_nothing),
        cmocka_unit_test(a_new_order_asks_at_once),
        cmocka_unit_test(an_older_release_is_none_of_this_grant),
        cmocka_unit_test(what_retention_takes_on_the_way_back),
        cmocka_unit_test(each_lost_member_is_read_by_itself),
        cmocka_unit_test(offsets_and_ends_are_asked_side_by_side),
        cmocka_unit_test(an_edited_fleet_file_is_taken_over),
        cmocka_unit_test(a_reign_has_an_epoch_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
