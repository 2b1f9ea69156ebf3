/*
 * broker - two consumer groups, their committed offsets, and the two logs.
 *
 * Cooperative groups and those of KIP-848 move only what has to move: it is revoked, and given to somebody else when its owner has
 * answered. An eager group takes everything from everybody first. What a member sends to its coordinator arrives in the order in which
 * it was sent, as on one connection; a session that ends drops the member, whether it knows or not.
 */
#include <string.h>

#include "sim.h"

/* --- the logs ---------------------------------------------------------------------------------------------------------------- */

int64_t log_append(struct world *w, struct control_record record)
{
    if (w->log_count == w->log_room) {
        struct control_record *grown = arena((size_t)(w->log_room ? 2 * w->log_room : 64) * sizeof(*grown));

        if (w->log_count)
            memcpy(grown, w->log, (size_t)w->log_count * sizeof(*grown));
        w->log = grown;
        w->log_room = w->log_room ? 2 * w->log_room : 64;
    }
    if (record.claim)
        record.term = w->log_count;
    record.reports = w->report_count;
    record.ms = w->now_ms;
    w->log[w->log_count++] = record;
    judge_appended(w, w->log_count - 1);
    for (int n = 0; n < w->incarnations; n++)
        if (w->members[n].exists && w->members[n].alive)
            put(w, (struct at){
                       .ms = w->now_ms + hop_ms(w), .kind = AT_MEMBER_READ, .who = n, .life = w->members[n].life });
    controllers_notice(w);
    return w->log_count - 1;
}

void reports_append(struct world *w, const char *incarnation, struct report *r)
{
    if (w->report_count == w->report_room) {
        struct report_record *grown = arena((size_t)(w->report_room ? 2 * w->report_room : 64) * sizeof(*grown));

        if (w->report_count)
            memcpy(grown, w->reports, (size_t)w->report_count * sizeof(*grown));
        w->reports = grown;
        w->report_room = w->report_room ? 2 * w->report_room : 64;
    }
    rules_reported(w, incarnation, r);
    w->reports[w->report_count++] = (struct report_record){ .incarnation = incarnation, .report = r, .ms = w->now_ms };
    controllers_notice(w);
}

bool same_key(const struct control_record *a, const struct control_record *b)
{
    return a->claim == b->claim && a->key.kind == b->key.kind && a->key.shard == b->key.shard &&
           a->key.number == b->key.number;
}

/*
 * Of each key only the newest record stays, be it valid or not: compaction knows nothing of terms. But it does not look at records that
 * are younger than min.compaction.lag.ms: so long a leader has to heal.
 */
void log_compact(struct world *w)
{
    for (int i = 0; i < w->log_count; i++)
        for (int k = i + 1; k < w->log_count && !w->log[i].compacted && w->log[k].ms < w->now_ms - COMPACTION_LAG_MS;
             k++)
            w->log[i].compacted = same_key(&w->log[i], &w->log[k]);
    for (int i = 0; i < w->report_count; i++)
        for (int k = i + 1; k < w->report_count && !w->reports[i].compacted; k++)
            w->reports[i].compacted = strcmp(w->reports[i].incarnation, w->reports[k].incarnation) == 0;
}

/* --- groups --------------------------------------------------------------------------------------------------------------------- */

int group_members(const struct world *w, enum color c, int *ret)
{
    int n = 0;

    for (int m = 0; m < w->incarnations; m++)
        if (w->members[m].exists && w->members[m].in_group && w->members[m].color == c) {
            if (ret)
                ret[n] = m;
            n++;
        }
    return n;
}

bool group_rebalancing(const struct world *w, enum color c)
{
    for (int p = 0; p < w->partitions; p++)
        if (w->groups[c].revoking[p] || w->groups[c].owner[p] < 0)
            return true;
    return w->groups[c].preparing;
}

static void revoke(struct world *w, int n, int keep)
{
    struct group *g = &w->groups[w->members[n].color];
    struct answer *a = answer_new(HOLDER_REVOKED, 0, w->partitions);
    int owned = 0;

    for (int p = 0; p < w->partitions; p++)
        owned += g->owner[p] == n && !g->revoking[p];
    for (int p = 0; p < w->partitions && owned > keep; p++)
        if (g->owner[p] == n && !g->revoking[p]) {
            g->revoking[p] = true;
            a->tps[a->ev.tp_count++] = (struct holder_topic_partition){ 0, p };
            owned--;
        }
    if (a->ev.tp_count == 0)
        return;
    w->members[n].revoke_out = true;
    w->disturbed = w->disturbed || w->requests > 0;
    member_callback(w, n, a);
}

static void assign_free(struct world *w, enum color c, const int *members, int count)
{
    struct group *g = &w->groups[c];
    struct answer *answers[LIVES_MAX] = { NULL };
    int load[LIVES_MAX] = { 0 };

    for (int p = 0; p < w->partitions; p++)
        if (g->owner[p] >= 0 && !g->revoking[p])
            load[g->owner[p]]++;
    for (int p = 0; p < w->partitions; p++) {
        int best = members[0];

        if (g->owner[p] >= 0)
            continue;
        for (int k = 1; k < count; k++)
            if (load[members[k]] < load[best])
                best = members[k];
        g->owner[p] = best;
        load[best]++;
        if (!answers[best])
            answers[best] = answer_new(HOLDER_ASSIGNED, 0, w->partitions);
        answers[best]->tps[answers[best]->ev.tp_count++] = (struct holder_topic_partition){ 0, p };
    }
    for (int k = 0; k < count; k++)
        if (answers[members[k]])
            member_callback(w, members[k], answers[members[k]]);
}

void group_balance(struct world *w, enum color c)
{
    struct group *g = &w->groups[c];
    int members[LIVES_MAX], owned[LIVES_MAX] = { 0 };
    const int count = group_members(w, c, members);
    bool waits = false, uneven = false;
    int low;

    if (count == 0)
        return;
    low = w->partitions / count;
    for (int p = 0; p < w->partitions; p++) {
        if (g->owner[p] < 0)
            uneven = true;
        else if (!g->revoking[p])
            owned[g->owner[p]]++;
    }
    for (int k = 0; k < count; k++)
        uneven = uneven || owned[members[k]] < low || owned[members[k]] > low + 1;
    if (g->protocol == GROUP_EAGER) {
        g->preparing = g->preparing || uneven;
        for (int k = 0; k < count && g->preparing; k++) {
            if (!w->members[members[k]].revoke_out)
                revoke(w, members[k], 0);
            waits = waits || w->members[members[k]].revoke_out;
        }
        if (!g->preparing || waits)
            return;
        g->preparing = false;
    } else {
        for (int k = 0; k < count && uneven; k++)
            if (!w->members[members[k]].revoke_out)
                revoke(w, members[k], low + (k < w->partitions % count));
    }
    assign_free(w, c, members, count);
}

void group_answered(struct world *w, int n)
{
    struct group *g = &w->groups[w->members[n].color];

    w->members[n].revoke_out = false;
    for (int p = 0; p < w->partitions; p++)
        if (g->owner[p] == n && g->revoking[p]) {
            g->owner[p] = -1;
            g->revoking[p] = false;
        }
    group_balance(w, w->members[n].color);
}

void group_join(struct world *w, int n)
{
    w->members[n].in_group = true;
    w->members[n].revoke_out = false;
    w->members[n].session++;
    w->members[n].out_until_ms = w->now_ms;
    member_callback(w, n, answer_new(HOLDER_ASSIGNED, 0, 0));
    group_balance(w, w->members[n].color);
}

void group_drop(struct world *w, int n)
{
    struct group *g = &w->groups[w->members[n].color];

    if (!w->members[n].in_group)
        return;
    w->members[n].in_group = w->members[n].revoke_out = false;
    w->members[n].out_since_ms = w->now_ms;
    w->members[n].out_until_ms = 0;
    for (int p = 0; p < w->partitions; p++)
        if (g->owner[p] == n) {
            g->owner[p] = -1;
            g->revoking[p] = false;
        }
    group_balance(w, w->members[n].color);
}

/* --- commits ----------------------------------------------------------------------------------------------------------------------- */

/* The broker asks whether the member belongs to the group, in this session; never whether it owns the partition. */
void broker_commit(struct world *w, struct commit *c, bool heard)
{
    struct member *m = &w->members[c->member];
    struct group *g = &w->groups[m->color];
    struct answer *a = answer_new(HOLDER_COMMITTED, c->count, 0);
    const bool refused = !m->in_group || c->session != m->session ||
                         strikes(w, FAULT_COMMIT_FAILED, w->config.chance[FAULT_COMMIT_FAILED]);

    if (!refused)
        m->contact_ms = w->now_ms;
    for (int i = 0; i < c->count; i++) {
        if (!refused && g->committed[c->partition[i]] != c->at[i].offset)
            say(w, "%s commits partition %d at %lld", m->incarnation, (int)c->partition[i], (long long)c->at[i].offset);
        if (!refused && !heard && w->truth[c->partition[i]].cuts > 0)
            continue; /* a dead member's late commit would hide the cut from its successor: Kafka has no remedy for that */
        if (!refused) {
            judge_commits(w, m, c->partition[i], &c->at[i]);
            g->committed[c->partition[i]] = c->at[i].offset;
            g->mark[c->partition[i]] = c->at[i].mark;
        }
        a->at[i] = c->at[i];
    }
    if (!heard)
        return;
    a->ev.token = c->token;
    a->ev.part_count = c->count;
    a->ev.failed = refused || strikes(w, FAULT_COMMIT_UNHEARD, w->config.chance[FAULT_COMMIT_UNHEARD]);
    member_send(w, c->member, a, a->ev.failed && !refused ? 100 : hop_ms(w));
}
