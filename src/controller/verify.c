/*
 * verify - a receipt against the brokers: do they still say what it says?
 *
 * For every partition that passed: the old color's group stands where the receipt says that it ended, the new color's
 * stands at or beyond where it began and carries the mark of the grant (or of a later one), and the log still reaches
 * back to that offset. Offsets move on for good reasons after a switch: the standby follows, a later operation passes
 * the baton on. Those are told as notes. What no rule of Baton explains is a refusal, and then the receipt and the
 * brokers do not agree. A foreign application marks nothing, so of its commits only the offsets are compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "controller/internal.h"

struct verify {
    struct findings *findings;
    const struct fleet *fleet;
    const struct baton *baton;
    const struct pass *pass;
    const struct partition_view *now;
    enum color from, to; /* of the pass */
    bool later;          /* a later grant has moved the baton on */
};

static void found(struct verify *v, enum severity severity, const char *code, const char *why, const char *mend,
                  const char *what)
{
    char text[320];

    snprintf(text, sizeof(text), "%.100s/%d: %.200s", v->fleet->spec.topics[v->baton->topic], (int)v->baton->partition,
             what);
    findings_add(v->findings, severity, code, text, why, mend);
}

/* By an application that works under a later grant, as far as anybody can tell. */
static bool foreign_at_work(const struct verify *v, struct mark mark)
{
    return v->fleet->spec.strategy == STRATEGY_FOREIGN && mark.kind == MARK_FOREIGN && v->later;
}

/* Where the old color ended. */
static void verify_old(struct verify *v)
{
    const int64_t committed = v->now->committed[v->from], said = v->pass->committed;
    const struct mark mark = v->now->mark[v->from];
    const char *group = v->fleet->spec.colors[v->from].group;
    char what[260];

    if (committed == said)
        return;
    if (committed == OFFSET_NONE) {
        snprintf(what, sizeof(what), "group %.100s has no committed offset any more, the receipt says %lld", group,
                 (long long)said);
        found(v, FINDING_WARNING, "offset-expired",
              "the brokers forget the offsets of a group without members (offsets.retention.minutes)",
              "nothing to mend; the receipt itself stays", what);
    } else if (committed > said && mark.kind == MARK_FOLLOW) {
        snprintf(what, sizeof(what), "group %.100s moved on from %lld to %lld by following as standby", group,
                 (long long)said, (long long)committed);
        found(v, FINDING_NOTE, "moved-on-by-follow", "a standby commits the active color's offsets", "nothing to mend",
              what);
    } else if (mark.kind == MARK_EPOCH && mark.epoch > v->pass->grant) {
        snprintf(what, sizeof(what), "group %.100s moved from %lld to %lld under the later grant %llu", group,
                 (long long)said, (long long)committed, (unsigned long long)mark.epoch);
        found(v, FINDING_NOTE, "moved-on-by-grant", "a later operation passed the baton back", "nothing to mend", what);
    } else if (committed > said && foreign_at_work(v, mark)) {
        snprintf(what, sizeof(what), "group %.100s moved on from %lld to %lld", group, (long long)said,
                 (long long)committed);
        found(v, FINDING_NOTE, "moved-on-by-grant", "a later operation passed the baton back", "nothing to mend", what);
    } else {
        snprintf(what, sizeof(what), "group %.100s stands at %lld, the receipt says that it ended at %lld", group,
                 (long long)committed, (long long)said);
        found(v, FINDING_REFUSAL, "old-color-moved", "somebody else commits into this group, or it was reset",
              "find the consumer with kafka-consumer-groups.sh --describe --members", what);
    }
}

/* Where the new color began, and that it has been at work since. */
static void verify_new(struct verify *v)
{
    const int64_t committed = v->now->committed[v->to], from = v->pass->from;
    const struct mark mark = v->now->mark[v->to];
    const char *group = v->fleet->spec.colors[v->to].group;
    char what[260];

    if (committed == OFFSET_NONE) {
        snprintf(what, sizeof(what), "group %.100s has no committed offset, the receipt says that it began at %lld",
                 group, (long long)from);
        found(v, FINDING_REFUSAL, "new-color-nothing", "a color that takes a baton commits its start at once",
              "see whether the group was deleted or its offsets have expired", what);
        return;
    }
    if (committed < from) {
        snprintf(what, sizeof(what), "group %.100s stands at %lld, before %lld where the receipt says that it began",
                 group, (long long)committed, (long long)from);
        found(v, v->later ? FINDING_NOTE : FINDING_REFUSAL, "new-color-behind",
              "an offset was reset, or a replay began earlier",
              "see the history for a later rollback with replay; else find out who reset the group", what);
        return;
    }
    if (mark.kind == MARK_EPOCH && mark.epoch >= v->pass->grant)
        return;
    if (mark.kind == MARK_FOLLOW && v->later)
        return; /* a standby by now */
    if (v->fleet->spec.strategy == STRATEGY_FOREIGN && mark.kind == MARK_FOREIGN)
        return;
    snprintf(what, sizeof(what), "the commit of group %.100s at %lld does not carry the mark of grant %llu", group,
             (long long)committed, (unsigned long long)v->pass->grant);
    found(v, v->later ? FINDING_NOTE : FINDING_REFUSAL, "new-color-unmarked",
          "libbaton marks each commit with the grant it works under",
          "see whether a consumer without libbaton, or an operator's reset, has committed there", what);
}

static void verify_log(struct verify *v)
{
    char what[260];

    if (v->now->log_start == OFFSET_NONE || v->now->log_start <= v->pass->from)
        return;
    snprintf(what, sizeof(what), "the log begins at %lld by now, beyond %lld where the new color began",
             (long long)v->now->log_start, (long long)v->pass->from);
    found(v, FINDING_NOTE, "log-shortened", "retention has removed the records since", "nothing to mend", what);
}

/* The last grant of this operation is what holds: on the way back the roles are changed. */
static bool verify_baton(struct verify *v, const struct op *op, int i)
{
    const bool back = i < op->pass_count && op->back[i].grant != 0;

    if (i >= op->pass_count || (!back && op->forth[i].grant == 0))
        return false;
    v->pass = back ? &op->back[i] : &op->forth[i];
    v->from = back ? op->to : op->from;
    v->to = back ? op->from : op->to;
    v->later = v->baton->epoch > v->pass->grant;
    verify_old(v);
    verify_new(v);
    verify_log(v);
    return true;
}

json_t *verify_receipt(const struct op *op, const struct fleet *f, const struct snapshot *now)
{
    struct findings *findings = calloc(1, sizeof(*findings));
    json_t *json, *list;
    int count = 0;
    bool agrees;

    ASSERT(findings != NULL);
    for (int i = 0; i < f->baton_count && i < now->partition_count; i++) {
        struct verify v = { .findings = findings, .fleet = f, .baton = &f->batons[i], .now = &now->partitions[i] };

        if (op_between_colors(op))
            count += verify_baton(&v, op, i);
    }
    list = view_findings(findings);
    agrees = findings->refusals == 0;
    json = json_pack("{s:i, s:b, s:i, s:i, s:o}", "number", (int)op->number, "agrees", agrees, "partitions", count,
                     "findings_total", findings->total, "findings", list);
    free(findings);
    return json;
}

static void on_reading(void *opaque, struct reading *r)
{
    struct call *call = opaque;
    struct entry *e = entry_get(call->c, call->fleet->spec.fleet);
    const struct snapshot *now = reading_snapshot(r);
    struct errmsg m = { 0 };
    struct op op;
    int error;

    call->reading = NULL;
    error = e ? entry_op(&op, e, call->number, &m) : err_set(&m, ERR_NOT_FOUND, "the fleet has been deleted meanwhile");
    if (error < 0) {
        call_fail(call, error, &m);
    } else if (now->error[0]) {
        call_error(call, 503, "unavailable", NULL, NULL, "the brokers could not be asked: %s", now->error);
    } else {
        call_json(call, 200, verify_receipt(&op, reading_fleet(r), now));
    }
    if (error == ERR_OK) {
        free(op.forth);
        free(op.back);
    }
    reading_free(r);
}

void verify_begin(struct entry *e, struct call *call, uint32_t number)
{
    call->fleet = calloc(1, sizeof(*call->fleet));
    ASSERT(call->fleet != NULL);
    text_copy(call->fleet->spec.fleet, sizeof(call->fleet->spec.fleet), e->mirror->name);
    call->number = number;
    call->state = CALL_TAKEN;
    call->reading = brokers_read(e->c->brokers, READING_OFFSETS | READING_BOUNDS, &e->mirror->fleet, on_reading, call);
}
