/* test_plan - the preflight: every fault has its finding, and what is almost a fault has none. */
#include <stdio.h>
#include <string.h>

#include "documents.h"

static void spoil(struct preflight *p, const char *how)
{
    const char *const fault = strchr(how, ' ') ? strchr(how, ' ') + 1 : how;

#define IF(name) if (strcmp(fault, name) == 0)
    IF("already-there") p->table[0].holder = p->table[1].holder = GREEN;
    IF("fleet-paused") p->fleet.batons[0].state = p->fleet.batons[1].state = RIGHT_PAUSED;
    IF("fleet-throttled") p->fleet.batons[1].state = RIGHT_PAUSED;
    IF("deadline-below-fence") p->op.on_unreachable = UNREACHABLE_FENCE;
    IF("topic-missing")
    {
        p->snapshot.topics[0].exists = false;
        snprintf(p->snapshot.topics[0].why, sizeof(p->snapshot.topics[0].why), "no such topic");
    }
    IF("partitions-added") p->snapshot.topics[0].partition_count = 3;
    IF("groups-unreadable")
    {
        p->snapshot.groups[BLUE].known = false;
        snprintf(p->snapshot.groups[BLUE].why, sizeof(p->snapshot.groups[BLUE].why), "not allowed");
    }
    IF("embedded") p->snapshot.groups[BLUE].unsupported = true;
    IF("rebalancing") p->snapshot.groups[GREEN].rebalancing = true;
    IF("unmanaged-consumer") p->snapshot.groups[GREEN].member_count = 2;
    IF("member-not-listed") p->snapshot.groups[BLUE].member_count = 0;
    IF("member-not-ready") p->reports[GREEN].ready = false;
    IF("holder-not-ready") p->reports[BLUE].ready = false;
    IF("member-behind") p->reports[GREEN].applied.epoch = 1;
    IF("another-term") p->reports[GREEN].applied.term = 6;
    IF("eager-assignor")
    p->reports[GREEN].eager = true, p->op.stages.items[1] = p->op.stages.items[0], p->op.stages.count = 2;
    IF("static-member") snprintf(p->reports[BLUE].instance_id, 8, "i0");
    IF("no-receiver") p->in.report_count = 1;
    IF("no-holder") p->reports[BLUE].color = GREEN, p->snapshot.groups[BLUE].member_count = 0;
    IF("mixed-versions")
    {
        p->reports[2] = p->reports[GREEN];
        snprintf(p->reports[2].version, 8, "v2");
        p->in.report_count = 3;
    }
    IF("idle-members")
    {
        p->fleet.baton_count = 1;
        p->reports[2] = p->reports[GREEN];
        p->in.report_count = 3;
    }
    IF("uncovered-partition") p->reports[GREEN].part_count = 1;
    IF("log-unreadable") p->partitions[1].log_end = OFFSET_NONE;
    IF("no-commit") p->partitions[1].committed[BLUE] = OFFSET_NONE;
    IF("expired-offset") p->partitions[1].log_start = 11;
    IF("retention-threatens")
    p->partitions[1] = (struct partition_view){ { 110, 110 }, .log_start = 100, .log_end = 5000 };
    IF("doubt") p->table[1].doubt = 15;
    IF("failed-version") fleet_failed_add(&p->fleet, "v1", 4), snprintf(p->op.version_to, 8, "v1");
    IF("insisted")
    {
        fleet_failed_add(&p->fleet, "v1", 4);
        snprintf(p->op.version_to, 8, "v1");
        p->in.force = true;
    }
    IF("observed-too-short")
    {
        p->op.judge = JUDGE_AUTO;
        p->op.deadline_ms = 600000;
        p->fleet.spec.judge.warmup_ms = 50000;
        p->fleet.spec.judge.interval_ms = 5000;
    }
    IF("of-green") p->snapshot.groups[GREEN].unsupported = p->snapshot.groups[BLUE].unsupported = true;
    IF("other-topic") p->reports[GREEN].parts[1].topic = 1;
    IF("unnamed") p->reports[BLUE].member_id[0] = '\0';
    IF("half-owned") p->reports[GREEN].parts[1].owned = false;
    IF("first-unowned") p->reports[GREEN].parts[0].owned = false;
    IF("the-rest-expired") p->table[0].holder = GREEN, p->partitions[1].log_start = 11;
    IF("both-expired") p->partitions[0].log_start = p->partitions[1].log_start = 11;
    IF("both-near")
    {
        p->partitions[0] = (struct partition_view){ { 110, 110 }, .log_start = 100, .log_end = 5000 };
        p->partitions[1] = p->partitions[0];
    }
    IF("start-unreadable") p->partitions[0].log_start = OFFSET_NONE;
    IF("listed-doubt") p->table[1].doubt = 15, p->op.on_doubt = DOUBT_LIST;
    IF("nameless")
    p->reports[GREEN].member_id[0] = '\0', p->snapshot.groups[GREEN].member_count = 0, p->reports[GREEN].ready = false;
    IF("named")
    {
        for (int c = 0; c < COLOR_COUNT; c++)
            snprintf(p->reports[c].client_id, 8, "payer");
        p->reports[GREEN].ready = p->reports[BLUE].ready = false;
        p->reports[GREEN].applied.epoch = 1;
        p->snapshot.groups[BLUE].member_count = 0;
        p->reports[GREEN].eager = true;
        p->op.stages.items[1] = p->op.stages.items[0];
        p->op.stages.count = 2;
    }
    IF("blue-mixed")
    {
        p->reports[2] = p->reports[BLUE];
        snprintf(p->reports[2].version, 8, "v2");
        p->in.report_count = 3;
    }
    IF("brokers-unreadable") snprintf(p->snapshot.error, sizeof(p->snapshot.error), "-");
#undef IF
}

static void every_fault_has_its_finding(void **state)
{
    static const struct {
        const char *how; /* the code, and the fault where it has another name */
        enum severity severity;
        const char *what, *mend;
    } cases[] = {
        { "already-there", FINDING_REFUSAL, "green holds every partition of f already",
          "name the other color: --to blue" },
        { "fleet-paused", FINDING_REFUSAL, "2 of 2 partitions of f are paused", "baton resume f, then try again" },
        { "fleet-throttled", FINDING_REFUSAL, "1 of 2 partitions of f are paused", "baton resume f, then try again" },
        { "deadline-below-fence", FINDING_REFUSAL,
          "the deadline of 60 s is not longer than session timeout and longest processing time together (75 s)",
          "--deadline 105s or more" },
        { "topic-missing", FINDING_REFUSAL, "topic t cannot be read: no such topic",
          "create the topic, or allow Baton to describe it" },
        { "partitions-added", FINDING_NOTE, "topic t has 3 partitions, the document 2",
          "nothing: Baton takes them in within seconds" },
        { "groups-unreadable", FINDING_REFUSAL, "group f-blue cannot be described: not allowed",
          "allow DESCRIBE on group f-blue to Baton's principal" },
        { "groups-unreadable embedded", FINDING_NOTE,
          "this broker does not describe consumer groups (the embedded broker)",
          "use a real Kafka for anything but a demo" },
        { "rebalancing", FINDING_REFUSAL, "group f-green is rebalancing", "wait until it is stable, then try again" },
        { "unmanaged-consumer", FINDING_REFUSAL,
          "group f-green has a consumer that Baton does not know: client id  on host ",
          "stop it, or make it a member: libbaton, or a baton agent beside it" },
        { "member-not-listed", FINDING_REFUSAL,
          "member in0 (h0) of blue reported, but the brokers do not list it in group f-blue",
          "end it if it runs; a controller that has looked on for 75 s forgets it (where none runs, baton switch "
          "looks on itself)" },
        { "member-not-ready", FINDING_REFUSAL, "member in1 (h1) of green is not ready",
          "wait for it, or look into its log" },
        { "member-not-ready holder-not-ready", FINDING_WARNING, "member in0 (h0) of blue is not ready",
          "wait for it, or look into its log" },
        { "member-behind", FINDING_WARNING, "member in1 of green has applied epoch 1 of 5",
          "the pass waits for it, at most until the deadline" },
        { "member-behind another-term", FINDING_WARNING, "member in1 of green has applied epoch 5 of 5",
          "the pass waits for it, at most until the deadline" },
        { "eager-assignor", FINDING_WARNING, "member in1 of green uses the eager assignor ",
          "use partition.assignment.strategy=cooperative-sticky" },
        { "static-member", FINDING_NOTE, "member  of blue is a static member (group.instance.id i0)",
          "leave group.instance.id out" },
        { "no-receiver", FINDING_REFUSAL, "green has no member",
          "start some, or see in their logs, or their agents' (baton agent f --color green), what they wait for" },
        { "no-holder", FINDING_REFUSAL, "blue has no member",
          "start some, or see in their logs, or their agents' (baton agent f --color blue), what they wait for" },
        { "mixed-versions", FINDING_REFUSAL, "members of green run versions v1 and v2",
          "finish or undo the rollout of that color first" },
        { "idle-members", FINDING_WARNING, "green has 2 members for 1 partitions", "run fewer members" },
        { "uncovered-partition", FINDING_REFUSAL, "1 of 2 partitions are assigned to no member of f-green, first t/1",
          "start more members of green, or wait for their rebalance to end" },
        { "log-unreadable", FINDING_REFUSAL, "the log ends of 1 partitions cannot be read",
          "see that every partition has a leader and Baton may describe the topic" },
        { "no-commit", FINDING_NOTE, "f-blue has committed nothing yet on 1 partitions", "nothing" },
        { "expired-offset", FINDING_WARNING,
          "1 partitions are committed below the log's start, first t/1: retention has taken records",
          "raise retention.ms, find out why the color is behind" },
        { "retention-threatens", FINDING_WARNING, "1 partitions lag close to the log's start, first t/1",
          "let the color catch up, or raise retention.ms, before switching" },
        { "doubt", FINDING_WARNING,
          "a lost member may have done up to 5 records on 1 partitions without committing them",
          "wait a moment, or choose switch.on_doubt: list" },
        { "failed-version", FINDING_REFUSAL, "version 'v1' was turned back as worse by switch 4",
          "read that switch's receipt, switch to a mended version, or insist with --force" },
        { "failed-version insisted", FINDING_WARNING, "version 'v1' was turned back as worse by switch 4",
          "read that switch's receipt, switch to a mended version, or insist with --force" },
        { "observed-too-short", FINDING_REFUSAL,
          "each stage is observed for 60 s, and the judge warms up for 50 s and looks every 5 s",
          "observe longer, --observe 5m, or shorten judge.warmup (50 s)" },
        { "groups-unreadable of-green", FINDING_NOTE,
          "this broker does not describe consumer groups (the embedded broker)",
          "use a real Kafka for anything but a demo" },
        { "uncovered-partition half-owned", FINDING_REFUSAL,
          "1 of 2 partitions are assigned to no member of f-green, first t/1",
          "start more members of green, or wait for their rebalance to end" },
        { "uncovered-partition first-unowned", FINDING_REFUSAL,
          "1 of 2 partitions are assigned to no member of f-green, first t/0",
          "start more members of green, or wait for their rebalance to end" },
        { "expired-offset the-rest-expired", FINDING_WARNING,
          "1 partitions are committed below the log's start, first t/1: retention has taken records",
          "raise retention.ms, find out why the color is behind" },
        { "uncovered-partition other-topic", FINDING_REFUSAL,
          "1 of 2 partitions are assigned to no member of f-green, first t/1",
          "start more members of green, or wait for their rebalance to end" },
        { "unmanaged-consumer unnamed", FINDING_REFUSAL,
          "group f-blue has a consumer that Baton does not know: client id  on host ",
          "stop it, or make it a member: libbaton, or a baton agent beside it" },
        { "expired-offset both-expired", FINDING_WARNING,
          "2 partitions are committed below the log's start, first t/0: retention has taken records",
          "raise retention.ms, find out why the color is behind" },
        { "retention-threatens both-near", FINDING_WARNING, "2 partitions lag close to the log's start, first t/0",
          "let the color catch up, or raise retention.ms, before switching" },
        { "log-unreadable start-unreadable", FINDING_REFUSAL, "the log ends of 1 partitions cannot be read",
          "see that every partition has a leader and Baton may describe the topic" },
        { "doubt listed-doubt", FINDING_NOTE,
          "a lost member may have done up to 5 records on 1 partitions without committing them",
          "wait a moment, or choose switch.on_doubt: wait" },
        { "member-not-ready nameless", FINDING_REFUSAL, "member in1 (h1) of green is not ready",
          "wait for it, or look into its log" }, /* it has not joined, so nobody can list it */
        { "member-not-ready named", FINDING_WARNING, "member payer (h0) of blue is not ready",
          "wait for it, or look into its log" },
        { "member-behind named", FINDING_WARNING, "member payer of green has applied epoch 1 of 5",
          "the pass waits for it, at most until the deadline" },
        { "member-not-listed named", FINDING_REFUSAL,
          "member payer (h0) of blue reported, but the brokers do not list it in group f-blue",
          "end it if it runs; a controller that has looked on for 75 s forgets it (where none runs, baton switch "
          "looks on itself)" },
        { "eager-assignor named", FINDING_WARNING, "member payer of green uses the eager assignor ",
          "use partition.assignment.strategy=cooperative-sticky" },
        { "mixed-versions blue-mixed", FINDING_WARNING, "members of blue run versions v0 and v2",
          "finish or undo the rollout of that color first" },
        { "brokers-unreadable", FINDING_REFUSAL, "-", "mend the connection or the permissions named, then try again" },
    };
    static struct preflight p;
    static struct findings found;

    (void)state;
    preflight_good(&p);
    plan_check(&found, &p.in);
    assert_int_equal(found.total, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t code = strcspn(cases[i].how, " ");
        bool made = false;

        memset(&found, 0, sizeof(found));
        preflight_good(&p);
        spoil(&p, cases[i].how);
        plan_check(&found, &p.in);
        for (int k = 0; k < found.count; k++)
            made = made || (strlen(found.items[k].code) == code && !memcmp(found.items[k].code, cases[i].how, code) &&
                            found.items[k].severity == cases[i].severity &&
                            !strcmp(found.items[k].what, cases[i].what) && !strcmp(found.items[k].mend, cases[i].mend));
        if (!made)
            fail_msg("no finding: %s", cases[i].how);
        assert_string_not_equal(severity_name(cases[i].severity), "");
    }
}

/* What is almost a fault is none. */
static void what_is_almost_a_fault_is_none(void **state)
{
    static struct preflight p;
    static struct findings found;

    (void)state;
    for (int i = 0; i < 14; i++) {
        memset(&found, 0, sizeof(found));
        preflight_good(&p);
        switch (i) {
        case 0: /* one document behind: it is on its way */
            p.reports[GREEN].applied.epoch = 4;
            break;
        case 1:
            p.op.on_unreachable = UNREACHABLE_FENCE;
            p.op.deadline_ms = 75001;
            break;
        case 2:
            p.op.on_unreachable = UNREACHABLE_REFUSE;
            p.op.deadline_ms = 1000;
            break;
        case 3: /* a version that failed, and another one now */
            fleet_failed_add(&p.fleet, "v0", 4);
            snprintf(p.op.version_to, 8, "v1");
            break;
        case 4:
            p.op.judge = JUDGE_AUTO;
            p.op.observe_ms = 15001;
            p.fleet.spec.judge.warmup_ms = 5000;
            p.fleet.spec.judge.interval_ms = 5000;
            break;
        case 5: /* lags, but the log begins where it always has */
            p.partitions[0] = (struct partition_view){ { 10, 10 }, .log_end = 5000 };
            break;
        case 6: /* near the start of a short log */
            p.partitions[0] = (struct partition_view){ { 101, 101 }, .log_start = 100, .log_end = 900 };
            break;
        case 7: /* near the start, and at the end of it */
            p.partitions[0] = (struct partition_view){ { 150, 150 }, .log_start = 100, .log_end = 5000 };
            p.table[0].holder = GREEN; /* it is there already */
            break;
        case 8: /* in doubt, and done again since */
            p.table[1].doubt = 10;
            break;
        case 12: /* one more has come since the brokers were read */
            p.snapshot.partition_count = 1;
            p.partitions[1].log_end = OFFSET_NONE;
            break;
        case 13: /* behind, but far from the start */
            p.partitions[0] = (struct partition_view){ { 345, 345 }, .log_start = 100, .log_end = 5000 };
            break;
        case 9: /* eager, but all at once */
            p.reports[GREEN].eager = true;
            break;
        case 10:
            p.op.kind = OP_PAUSE;
            p.snapshot.groups[GREEN].member_count = 0;
            break;
        default: /* the holders' group may be out of order on its way back */
            p.op.kind = OP_ROLLBACK;
            p.op.judge = JUDGE_AUTO;
            p.op.observe_ms = 0;
        }
        plan_check(&found, &p.in);
        if (found.total > 0)
            fail_msg("case %d: %s", i, found.items[0].what);
    }
}

static void more_findings_than_fit_are_counted(void **state)
{
    static struct findings found;

    (void)state;
    for (int i = 0; i < FINDINGS_MAX + 3; i++)
        findings_add(&found, FINDING_REFUSAL, "c", "w", "y", "m");
    assert_int_equal(found.count, FINDINGS_MAX);
    assert_int_equal(found.total, FINDINGS_MAX + 3);
    assert_int_equal(found.refusals, FINDINGS_MAX + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_has_its_finding),
        cmocka_unit_test(what_is_almost_a_fault_is_none),
        cmocka_unit_test(more_findings_than_fit_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
