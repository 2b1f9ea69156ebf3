/*
 * plan - see plan.h. One function a kind of finding; each reads the snapshot and says what, why and how to mend it.
 *
 * docs/preflight.md lists every code.
 */
#include "core/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define STANDSTILL_MS_MIN 100 /* of a foreign application, as measured (docs/standstill.md) */
#define STANDSTILL_MS_MAX 500
#define DELAY_MS_DEFAULT 3000 /* Kafka's own */
#define HEARTBEAT_MS_DEFAULT 5000

#define WHAT(...) (snprintf(what, sizeof(what), __VA_ARGS__), what)
#define MEND(...) (snprintf(mend, sizeof(mend), __VA_ARGS__), mend)

static const char *const severity_names[SEVERITY_COUNT] = {
    [FINDING_NOTE] = "note",
    [FINDING_WARNING] = "warning",
    [FINDING_REFUSAL] = "refusal",
};

const char *severity_name(enum severity s)
{
    ASSERT((unsigned)s < SEVERITY_COUNT);
    return severity_names[s];
}

void findings_add(struct findings *f, enum severity s, const char *code, const char *what, const char *why,
                  const char *mend)
{
    struct finding *item = &f->items[f->count];

    f->total++;
    f->refusals += s == FINDING_REFUSAL;
    if (f->count == FINDINGS_MAX)
        return;
    f->count++;
    item->severity = s;
    snprintf(item->code, sizeof(item->code), "%s", code);
    snprintf(item->what, sizeof(item->what), "%s", what);
    snprintf(item->why, sizeof(item->why), "%s", why);
    snprintf(item->mend, sizeof(item->mend), "%s", mend);
}

static const char *group_of(const struct plan_input *in, enum color c)
{
    return in->fleet->spec.colors[c].group;
}

static const char *topic_of(const struct plan_input *in, int i)
{
    return in->fleet->spec.topics[in->fleet->batons[i].topic];
}

static void check_target(struct findings *ret, const struct plan_input *in)
{
    const struct fleet *f = in->fleet;
    char what[480], mend[240];
    int moves = 0, paused = 0;

    for (int i = 0; i < f->baton_count; i++) {
        moves += f->batons[i].holder != in->op->to;
        paused += f->batons[i].state == RIGHT_PAUSED;
    }
    if (moves == 0)
        findings_add(ret, FINDING_REFUSAL, "already-there",
                     WHAT("%s holds every partition of %s already", color_name(in->op->to), f->spec.fleet),
                     "there is nothing to pass",
                     MEND("name the other color: --to %s", color_name(color_other(in->op->to))));
    if (paused > 0)
        findings_add(ret, FINDING_REFUSAL, paused == f->baton_count ? "fleet-paused" : "fleet-throttled",
                     WHAT("%d of %d partitions of %s are paused", paused, f->baton_count, f->spec.fleet),
                     "a pass begins with a color that works", MEND("baton resume %s, then try again", f->spec.fleet));
    if (in->op->on_unreachable == UNREACHABLE_FENCE && in->op->deadline_ms <= spec_gone_after_ms(&f->spec))
        findings_add(ret, FINDING_REFUSAL, "deadline-below-fence",
                     WHAT("the deadline of %" PRId64
                          " s is not longer than session timeout and longest processing time together (%" PRId64 " s)",
                          in->op->deadline_ms / 1000, spec_gone_after_ms(&f->spec) / 1000),
                     "on_unreachable: fence goes on without a lost member only when both have passed since the brokers "
                     "dropped it",
                     MEND("--deadline %" PRId64 "s or more", spec_gone_after_ms(&f->spec) / 1000 + 30));
}

static void check_topics(struct findings *ret, const struct plan_input *in)
{
    const struct fleet *f = in->fleet;
    char what[480];

    for (int t = 0; t < f->spec.topic_count; t++) {
        const struct topic_view *v = &in->snapshot->topics[t];
        int known = 0;

        for (int i = 0; i < f->baton_count; i++)
            known += f->batons[i].topic == t;
        if (!v->exists)
            findings_add(ret, FINDING_REFUSAL, "topic-missing",
                         WHAT("topic %s cannot be read: %s", f->spec.topics[t], v->why),
                         "its partitions could be passed, but not be consumed",
                         "create the topic, or allow Baton to describe it");
        else if (v->partition_count != known)
            findings_add(ret, FINDING_NOTE, "partitions-added",
                         WHAT("topic %s has %d partitions, the document %d", f->spec.topics[t], v->partition_count,
                              known),
                         "new partitions are born held by the active color and move with the last stage",
                         "nothing: Baton takes them in within seconds");
    }
}

static const struct report *report_of(const struct plan_input *in, const char *member_id)
{
    for (int i = 0; i < in->report_count; i++)
        if (in->reports[i]->member_id[0] && strcmp(in->reports[i]->member_id, member_id) == 0)
            return in->reports[i];
    return NULL;
}

static void check_groups(struct findings *ret, const struct plan_input *in, enum color c)
{
    const struct group_view *g = &in->snapshot->groups[c];
    char what[480], mend[240];

    if (g->unsupported) {
        if (c == BLUE)
            findings_add(ret, FINDING_NOTE, "groups-unreadable",
                         "this broker does not describe consumer groups (the embedded broker)",
                         "consumers that Baton does not know cannot be seen",
                         "use a real Kafka for anything but a demo");
        return;
    }
    if (!g->known) {
        findings_add(ret, FINDING_REFUSAL, "groups-unreadable",
                     WHAT("group %s cannot be described: %s", group_of(in, c), g->why),
                     "without it nobody knows who else consumes there",
                     MEND("allow DESCRIBE on group %s to Baton's principal", group_of(in, c)));
        return;
    }
    if (in->fleet->spec.strategy == STRATEGY_FOREIGN)
        return; /* its members are the application's, which is stopped whole, and no report names one: check_foreign() */
    if (g->rebalancing)
        findings_add(ret, FINDING_REFUSAL, "rebalancing", WHAT("group %s is rebalancing", group_of(in, c)),
                     "who owns which partition is about to change", "wait until it is stable, then try again");
    for (int i = 0; i < g->member_count; i++)
        if (!report_of(in, g->members[i].member_id))
            findings_add(ret, FINDING_REFUSAL, "unmanaged-consumer",
                         WHAT("group %s has a consumer that Baton does not know: client id %.80s on host %.80s",
                              group_of(in, c), g->members[i].client_id, g->members[i].host),
                         "it would go on processing whatever Kafka assigns to it, whoever holds the baton",
                         "stop it, or make it a member: libbaton, or a baton agent beside it");
    for (int i = 0; i < in->report_count; i++) {
        const struct report *r = in->reports[i];
        bool listed = r->color != c || !r->member_id[0];

        for (int k = 0; k < g->member_count && !listed; k++)
            listed = strcmp(g->members[k].member_id, r->member_id) == 0;
        if (!listed && !g->rebalancing)
            findings_add(ret, FINDING_REFUSAL, "member-not-listed",
                         WHAT("member %.80s (%.80s) of %s reported, but the brokers do not list it in group %s",
                              r->client_id[0] ? r->client_id : r->incarnation, r->host, color_name(c), group_of(in, c)),
                         "it may still be at work without being a member any more: nobody is forgotten on silence",
                         MEND("end it if it runs; a controller that has looked on for %" PRId64
                              " s forgets it (where none runs, baton switch looks on itself)",
                              spec_gone_after_ms(&in->fleet->spec) / 1000));
    }
}

static void check_members(struct findings *ret, const struct plan_input *in, enum color c)
{
    const struct fleet *f = in->fleet;
    const bool receives = c == in->op->to, foreign = f->spec.strategy == STRATEGY_FOREIGN;
    const char *version = NULL, *other = NULL;
    const struct report *rival = NULL;
    char what[480], mend[240];
    int count = 0;

    for (int i = 0; i < in->report_count; i++) {
        const struct report *r = in->reports[i];

        if (r->color != c)
            continue;
        count++;
        rival = r->rival[0] ? r : rival;
        if (!r->ready)
            findings_add(ret, receives ? FINDING_REFUSAL : FINDING_WARNING, "member-not-ready",
                         WHAT("member %.80s (%.80s) of %s is not ready",
                              r->client_id[0] ? r->client_id : r->incarnation, r->host, color_name(c)),
                         "it has not joined its group yet, has not read the table, or is closing",
                         "wait for it, or look into its log");
        if (r->applied.term != f->version.term || r->applied.epoch + 1 < f->version.epoch)
            findings_add(ret, FINDING_WARNING, "member-behind",
                         WHAT("member %.80s of %s has applied epoch %" PRIu64 " of %" PRIu64,
                              r->client_id[0] ? r->client_id : r->incarnation, color_name(c), r->applied.epoch,
                              f->version.epoch),
                         "every member of both colors has to acknowledge the order",
                         "the pass waits for it, at most until the deadline");
        if (r->eager && in->op->stages.count > 1)
            findings_add(ret, FINDING_WARNING, "eager-assignor",
                         WHAT("member %.80s of %s uses the eager assignor %.40s",
                              r->client_id[0] ? r->client_id : r->incarnation, color_name(c), r->assignor),
                         "a partial stage stalls every partition that it holds for a moment",
                         "use partition.assignment.strategy=cooperative-sticky");
        if (r->instance_id[0])
            findings_add(ret, FINDING_NOTE, "static-member",
                         WHAT("member %.80s of %s is a static member (group.instance.id %.60s)", r->client_id,
                              color_name(c), r->instance_id),
                         "closing does not take it out of its group: its partitions wait for the session timeout",
                         "leave group.instance.id out");
        if (!version)
            version = r->version;
        else if (strcmp(version, r->version) != 0)
            other = r->version;
    }
    if (count == 0)
        findings_add(
            ret, FINDING_REFUSAL, receives ? "no-receiver" : "no-holder", WHAT("%s has no member", color_name(c)),
            receives ? "there is nobody to pass to" : "nobody can say where the partitions stand",
            foreign ? MEND("start its agent: baton agent %s --color %s ...", f->spec.fleet, color_name(c))
                    : MEND("start some, or see in their logs, or their agents' (baton agent %s --color %s), what they "
                           "wait for",
                           f->spec.fleet, color_name(c)));
    if (foreign && rival)
        findings_add(ret, FINDING_REFUSAL, "two-agents",
                     WHAT("two agents report for %s: %.80s on %.80s, which speaks for it, and %s", color_name(c),
                          rival->client_id, rival->host, rival->rival),
                     "a foreign application is stopped and started by one agent, and the other one may list other "
                     "processes",
                     "end one of them; one that has just ended is forgotten within seconds");
    else if (foreign && count > 1)
        findings_add(ret, FINDING_REFUSAL, "two-agents", WHAT("%d members report for %s", count, color_name(c)),
                     "a foreign application is stopped and started by one agent, which speaks for all of it",
                     "stop all but one; consumers that are built on libbaton belong into a fleet of separate groups");
    if (other)
        findings_add(ret, receives ? FINDING_REFUSAL : FINDING_WARNING, "mixed-versions",
                     WHAT("members of %s run versions %.60s and %.60s", color_name(c), version, other),
                     "a switch goes to one version, and its receipt names it",
                     "finish or undo the rollout of that color first");
    if (count > 0 && f->baton_count < count)
        findings_add(ret, FINDING_WARNING, "idle-members",
                     WHAT("%s has %d members for %d partitions", color_name(c), count, f->baton_count),
                     "members above the number of partitions do nothing", "run fewer members");
}

static void check_coverage(struct findings *ret, const struct plan_input *in)
{
    const struct fleet *f = in->fleet;
    char what[480], mend[240];
    int uncovered = 0, first = -1;

    for (int i = 0; i < f->baton_count; i++) {
        bool covered = f->batons[i].holder == in->op->to;

        for (int k = 0; k < in->report_count && !covered; k++) {
            const struct report *r = in->reports[k];

            for (int n = 0; r->color == in->op->to && n < r->part_count && !covered; n++)
                covered = r->parts[n].owned && r->parts[n].topic == f->batons[i].topic &&
                          r->parts[n].partition == f->batons[i].partition;
        }
        if (!covered && uncovered++ == 0)
            first = i;
    }
    if (uncovered > 0)
        findings_add(ret, FINDING_REFUSAL, "uncovered-partition",
                     WHAT("%d of %d partitions are assigned to no member of %s, first %s/%d", uncovered, f->baton_count,
                          group_of(in, in->op->to), topic_of(in, first), (int)f->batons[first].partition),
                     "records of them would wait until somebody is assigned",
                     MEND("start more members of %s, or wait for their rebalance to end", color_name(in->op->to)));
}

static void check_offsets(struct findings *ret, const struct plan_input *in)
{
    const struct fleet *f = in->fleet;
    char what[480], mend[240];
    int none = 0, expired = 0, near = 0, doubts = 0, unreadable = 0, first_expired = -1, first_near = -1;
    int64_t doubt_records = 0;

    for (int i = 0; i < f->baton_count && i < in->snapshot->partition_count; i++) {
        const struct partition_view *v = &in->snapshot->partitions[i];
        const struct baton *b = &f->batons[i];
        const int64_t committed = v->committed[b->holder];

        if (b->holder == in->op->to)
            continue;
        if (v->log_start == OFFSET_NONE || v->log_end == OFFSET_NONE) {
            unreadable++;
            continue;
        }
        if (committed == OFFSET_NONE) {
            none++;
        } else if (committed < v->log_start) {
            expired++;
            first_expired = first_expired < 0 ? i : first_expired;
        } else if (v->log_end - v->log_start > 1000 && committed - v->log_start < (v->log_end - v->log_start) / 20 &&
                   v->log_start > 0) {
            near++;
            first_near = first_near < 0 ? i : first_near;
        }
        if (b->doubt != OFFSET_NONE && committed != OFFSET_NONE && b->doubt > committed) {
            doubts++;
            doubt_records += b->doubt - committed;
        }
    }
    if (unreadable)
        findings_add(ret, FINDING_REFUSAL, "log-unreadable",
                     WHAT("the log ends of %d partitions cannot be read", unreadable),
                     "without them nobody can say that nothing is lost",
                     "see that every partition has a leader and Baton may describe the topic");
    if (none)
        findings_add(ret, FINDING_NOTE, "no-commit",
                     WHAT("%s has committed nothing yet on %d partitions", group_of(in, in->op->from), none),
                     "its members begin where the document says, and commit when they release", "nothing");
    if (expired)
        findings_add(ret, FINDING_WARNING, "expired-offset",
                     WHAT("%d partitions are committed below the log's start, first %s/%d: retention has taken records",
                          expired, topic_of(in, first_expired), (int)f->batons[first_expired].partition),
                     "those records are lost to both colors already; the receipt cannot cover them",
                     "raise retention.ms, find out why the color is behind");
    if (near)
        findings_add(ret, FINDING_WARNING, "retention-threatens",
                     WHAT("%d partitions lag close to the log's start, first %s/%d", near, topic_of(in, first_near),
                          (int)f->batons[first_near].partition),
                     "retention may delete records before either color gets to them",
                     "let the color catch up, or raise retention.ms, before switching");
    if (doubts)
        findings_add(
            ret, in->op->on_doubt == DOUBT_WAIT ? FINDING_WARNING : FINDING_NOTE, "doubt",
            WHAT("a lost member may have done up to %" PRId64 " records on %d partitions without committing them",
                 doubt_records, doubts),
            in->op->on_doubt == DOUBT_WAIT
                ? "the pass of these waits until the color has gone beyond them, at most until the deadline"
                : "the receipt will list them as possibly repeated",
            MEND("wait a moment, or choose switch.on_doubt: %s", in->op->on_doubt == DOUBT_WAIT ? "list" : "wait"));
}

/*
 * Baton's own part is some tenths of a second; the rest is what the brokers make a group wait for that was Empty: with the classic
 * protocol all of it, with KIP-848 a part that is luck.
 */
static void check_standstill(struct findings *ret, const struct plan_input *in)
{
    const struct snapshot *now = in->snapshot;
    const struct coordinator_view *c = &now->coordinators[in->op->to];
    const bool consumer = now->groups[BLUE].consumer_protocol || now->groups[GREEN].consumer_protocol;
    const char *option = consumer ? "group.consumer.heartbeat.interval.ms" : "group.initial.rebalance.delay.ms";
    long long wait_ms = consumer ? HEARTBEAT_MS_DEFAULT : DELAY_MS_DEFAULT;
    char what[480], mend[240], span[64];

    if (!c->known && now->coordinators[in->op->from].known)
        c = &now->coordinators[in->op->from];
    if (c->known && (!consumer || c->heartbeat_ms > 0))
        wait_ms = consumer ? c->heartbeat_ms : c->delay_ms;
    snprintf(span, sizeof(span), "%.1f to %.1f s", (STANDSTILL_MS_MIN + (consumer ? 0 : (double)wait_ms)) / 1000,
             (STANDSTILL_MS_MAX + (double)wait_ms) / 1000);
    findings_add(
        ret, FINDING_NOTE, "foreign-standstill",
        c->known ? WHAT("the fleet will stand still for %s: broker %d has %s=%lld", span, (int)c->id, option, wait_ms)
                 : WHAT("the fleet will stand still for %s if the brokers have %s=%lld, Kafka's default; it could "
                        "not be read: %.150s",
                        span, option, wait_ms, c->why[0] ? c->why : "neither group has been seen yet"),
        "a foreign application stops as a whole before the other one joins its group",
        wait_ms > 0 ? MEND("lower %s on the brokers, or build on libbaton, the starter or `baton run`", option)
                    : "build on libbaton, the Spring starter or `baton run` for milliseconds");
}

/* An application that is stopped and started whole, with the brokers as the only witness. */
static void check_foreign(struct findings *ret, const struct plan_input *in)
{
    const struct group_view *to = &in->snapshot->groups[in->op->to], *from = &in->snapshot->groups[in->op->from];
    char what[480], mend[240];

    if (in->op->stages.count > 1)
        findings_add(ret, FINDING_REFUSAL, "foreign-stages",
                     WHAT("%d stages are asked for, and %s is a foreign fleet", in->op->stages.count,
                          in->fleet->spec.fleet),
                     "its application is stopped and started whole: no partition can be passed by itself",
                     "leave --stages out, and let each version run for as long as --observe");
    if (to->unsupported || from->unsupported)
        findings_add(ret, FINDING_REFUSAL, "foreign-blind", "this broker does not describe consumer groups",
                     "that a group has no member any more is the only proof that a foreign application has stopped",
                     "use a real Kafka");
    if (to->known && to->member_count > 0)
        findings_add(
            ret, FINDING_REFUSAL, "standby-at-work",
            WHAT("group %s has %d consumers (the first: client id %.80s on host %.80s), though %s is to stand by",
                 group_of(in, in->op->to), to->member_count, to->members[0].client_id, to->members[0].host,
                 color_name(in->op->to)),
            "where a group begins can be set only while it has no member, and what they do is done twice",
            MEND("stop them, or give their address to the agent of %s, which stops them; one that was killed "
                 "counts until its session ends",
                 color_name(in->op->to)));
    if (from->known && from->member_count == 0)
        findings_add(ret, FINDING_WARNING, "nobody-at-work",
                     WHAT("group %s has no consumer, though %s is active", group_of(in, in->op->from),
                          color_name(in->op->from)),
                     "the application does not run at present; what it has committed is where the other color begins",
                     "nothing, if that is as it should be");
    check_standstill(ret, in);
}

/* A version that the judge turned back is not tried again by itself. */
static void check_version(struct findings *ret, const struct plan_input *in)
{
    const int i = in->op->kind == OP_SWITCH ? fleet_failed(in->fleet, in->op->version_to) : -1;
    char what[480];

    if (i >= 0)
        findings_add(ret, in->force ? FINDING_WARNING : FINDING_REFUSAL, "failed-version",
                     WHAT("version '%.100s' was turned back as worse by switch %u", in->op->version_to,
                          (unsigned)in->fleet->failed[i].number),
                     "the same program would most likely be turned back again",
                     "read that switch's receipt, switch to a mended version, or insist with --force");
}

/* A stage that ends before anybody can have judged it would be held each time. */
static void check_judge(struct findings *ret, const struct plan_input *in)
{
    const struct judge_policy *p = &in->fleet->spec.judge;
    char what[480], mend[240];

    if (in->op->kind == OP_SWITCH && in->op->judge == JUDGE_AUTO &&
        in->op->observe_ms <= p->warmup_ms + 2 * p->interval_ms)
        findings_add(ret, FINDING_REFUSAL, "observed-too-short",
                     WHAT("each stage is observed for %lld s, and the judge warms up for %lld s and looks every %lld s",
                          (long long)in->op->observe_ms / 1000, (long long)p->warmup_ms / 1000,
                          (long long)p->interval_ms / 1000),
                     "no stage could have a verdict before it ends",
                     MEND("observe longer, --observe 5m, or shorten judge.warmup (%lld s)",
                          (long long)p->warmup_ms / 1000));
}

void plan_check(struct findings *ret, const struct plan_input *in)
{
    if (in->snapshot->error[0]) {
        findings_add(ret, FINDING_REFUSAL, "brokers-unreadable", in->snapshot->error,
                     "the preflight reads the brokers, not only the members",
                     "mend the connection or the permissions named, then try again");
        return;
    }
    if (!op_between_colors(in->op))
        return;
    check_version(ret, in);
    check_judge(ret, in);
    check_target(ret, in);
    check_topics(ret, in);
    for (int c = 0; c < COLOR_COUNT; c++) {
        check_groups(ret, in, (enum color)c);
        check_members(ret, in, (enum color)c);
    }
    check_coverage(ret, in);
    check_offsets(ret, in);
    if (in->fleet->spec.strategy == STRATEGY_FOREIGN)
        check_foreign(ret, in);
}
