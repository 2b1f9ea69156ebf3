/*
 * judge - what must hold, seen from outside: from the log as it was written, and from what each application did.
 *
 * It believes neither half: it keeps its own table of who holds what, by the records whose term counts, and its own book
 * of which record was done by which color. The invariants' numbers are those of docs/protocol.md; the core asserts its own side.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

static bool is_listed(const struct world *w, int p, int64_t offset)
{
    for (int i = 0; i < w->listed_count; i++)
        if (w->listed[i].partition == p && w->listed[i].from <= offset && offset < w->listed[i].to)
            return true;
    return false;
}

/* --- the log --------------------------------------------------------------------------------------------------------------------- */

static void judge_grant(struct world *w, int p, const struct baton *b)
{
    struct truth *t = &w->truth[p];
    const int owner = w->groups[t->holder].owner[p];

    if (owner >= 0 && w->members[owner].alive && t->holder != b->holder) {
        const int part = holder_find(&w->members[owner].holder, 0, p);
        const struct holder_part *released = part < 0 ? NULL : &w->members[owner].parts[part];

        MUST((!released || released->state != PART_RELEASED || released->epoch != t->epoch ||
              released->window.position >= b->from) &&
             "I2: a grant begins no later than its holder stopped");
        MUST((!released || released->state != PART_RELEASED || released->epoch != t->epoch ||
              released->window.position == b->from || w->config.replay || t->reset) &&
             "I2: a grant begins where its holder stopped");
    }
    if (t->reset)
        return;
    while (t->low < w->ends[p] && w->done[p][t->low])
        t->low++;
    if (t->low < b->from)
        say(w, "!! %d is granted from %lld, but %lld is not done", p, (long long)b->from, (long long)t->low);
    MUST(t->low >= b->from && "I2: all before the start of a grant is done");
    for (int64_t o = b->from; o < w->ends[p] && t->holder != b->holder; o++) {
        const bool again = (w->done[p][o] & (1u << t->holder)) && !is_listed(w, p, o);

        if (again)
            say(w, "!! %d is granted from %lld, but %s has done %lld, and no receipt lists it", p, (long long)b->from,
                color_name(t->holder), (long long)o);
        MUST(!again && "I3: what the old color has done beyond the start of a grant is listed");
    }
}

/*
 * Somebody of the other color has records of it in hand: is that excused? Only by a process that slept, or an application that
 * worked, longer than the operator promised; its sink has to refuse it by epoch, and I3 holds all the same.
 */
static bool excused(const struct world *w, const struct member *o, int part)
{
    return (o->frozen_ms_max && w->now_ms >= o->frozen_ms_max) || w->now_ms - member_oldest_ms(o, part) > WORK_MS_BOUND;
}

/* A release is believed: is nobody of the color at work? */
static void judge_release(struct world *w, int p)
{
    for (int k = 0; k < w->incarnations; k++) {
        const struct member *o = &w->members[k];
        const int part = o->exists && o->alive && o->color == w->truth[p].holder && !o->frozen_ms_max
                             ? holder_find(&o->holder, 0, p)
                             : -1;

        MUST((part < 0 || o->parts[part].state != PART_ACTIVE) &&
             "I1: what is released is delivered to nobody of its color");
        MUST((part < 0 || o->parts[part].window.open == 0 || excused(w, o, part)) &&
             "I1: what is released is in nobody's hand");
    }
}

static void judge_baton(struct world *w, const struct baton *b, int writer)
{
    struct truth *t = &w->truth[b->partition];
    const bool born = !w->fleet_exists || t->epoch == 0;
    const bool anew = b->epoch != t->epoch; /* else an order taken back */

    if (!born && (anew || (b->state == RIGHT_PAUSED && t->state != RIGHT_PAUSED))) {
        rules_believed(w, b->partition, b, writer);
        if (t->state == RIGHT_RELEASING)
            judge_release(w, b->partition);
    }
    if (born) {
        rules_born(w, b);
        t->holder = t->before = b->holder;
        t->epoch = b->epoch;
        t->from = b->from;
        t->first = t->committed = OFFSET_NONE;
    } else if (anew) {
        MUST(b->epoch > t->epoch && "I4: a grant is newer than the last");
        judge_grant(w, b->partition, b);
        say(w, "partition %d is granted to %s from %lld (epoch %llu)", (int)b->partition, color_name(b->holder),
            (long long)b->from, (unsigned long long)b->epoch);
        t->granted_order = t->order;
        t->before = t->holder;
        t->holder = b->holder;
        t->epoch = b->epoch;
        t->from = b->from;
        t->first = t->committed = OFFSET_NONE;
        t->stood_ms = -1;
    }
    MUST(t->holder == b->holder && "I1: a holder changes only by a grant");
    rules_taken(w, b->partition, b);
    rules_ordered(w, b->partition, b);
    t->state = b->state;
    t->doc = *b;
}

static void judge_doc(struct world *w, const struct doc *doc, int writer)
{
    if (doc->kind == DOC_GONE) {
        w->fleet_exists = false;
        w->seen.number = 0;
        w->version = (struct version){ .term = -1 };
        w->passes_number = 0;
        return;
    }
    MUST(version_compare(doc->version, w->version) >= 0 && "I4: what counts is never older than what counted before");
    w->version = doc->version;
    if (doc->kind != DOC_SHARD)
        w->head_epoch = doc->version.epoch;
    for (int i = 0; i < doc->fleet.baton_count && doc->kind != DOC_HEAD; i++)
        judge_baton(w, &doc->fleet.batons[i], writer);
    if (doc->kind != DOC_SHARD)
        w->fleet_exists = true;
}

static void judge_pass(struct world *w, int i, const struct pass *p)
{
    const int64_t to = p->doubt > p->repeat_to ? p->doubt : p->repeat_to;

    MUST((!p->taken || (p->grant && p->first >= p->from)) && "a receipt's first position is one of its own passage");
    MUST((!p->grant || p->from == p->committed || p->repeat_to == p->committed) &&
         "I2: it begins where the other ended");
    if (!p->grant || to == OFFSET_NONE)
        return;
    for (int k = 0; k < w->listed_count; k++)
        if (w->listed[k].partition == i && w->listed[k].from <= p->from && w->listed[k].to >= to)
            return;
    if (w->listed_count < LISTED_MAX)
        w->listed[w->listed_count++] = (struct listed){ i, p->from, to };
}

static void judge_passes(struct world *w, const struct control_record *r)
{
    const int first = r->key.shard * SHARD_BATONS;

    for (int side = 0; side < 2; side++) {
        const struct pass *from = side ? r->op->back : r->op->forth;

        for (int i = 0; i < r->op->pass_count && first + i < w->partitions_max; i++) {
            judge_pass(w, first + i, &from[i]);
            w->passes[side][first + i] = from[i];
        }
    }
    w->passes_shards = (w->passes_number == r->key.number ? w->passes_shards : 0) | UINT32_C(1) << r->key.shard;
    w->passes_number = r->key.number;
}

static const struct member *member_called(const struct world *w, const char *incarnation)
{
    for (int n = 0; n < w->incarnations; n++)
        if (strcmp(w->members[n].incarnation, incarnation) == 0)
            return &w->members[n];
    return NULL;
}

/* The receipt's numbers against what the world did. Batons are in the order of their partitions here. */
static void judge_receipt_pass(struct world *w, int i, const struct pass *p)
{
    const struct truth *t = &w->truth[i];
    const struct member *m;

    if (p->grant == 0 || p->grant != t->epoch)
        return; /* passed on since: what it was is not kept */
    MUST(p->from == t->from && "the receipt's start is that of the grant");
    if (!p->taken)
        return;
    m = member_called(w, p->taken_by);
    MUST(m && m->color == t->holder && "the receipt names a taker of the right color");
    MUST((!p->released_by[0] ||
          (member_called(w, p->released_by) && member_called(w, p->released_by)->color == t->before)) &&
         "the receipt names a releaser of the right color");
    if (p->released != OFFSET_NONE && p->released != p->committed)
        say(w, "!! receipt of %d: released at %lld by %s, committed %lld", i, (long long)p->released, p->released_by,
            (long long)p->committed);
    MUST((t->reset || p->released == OFFSET_NONE || p->released == p->committed) &&
         "the receipt's release is what was committed");
    MUST((p->grant == 0 || p->ordered) && "the receipt knows that what was granted was ordered");
    MUST((w->result->failovers > 0 || p->order == t->granted_order) && "the receipt's order is that of the release");
    if (m->first_given[i].epoch == p->grant && p->first_unix_us)
        MUST((w->result->faults > 0 ? p->first >= m->first_given[i].offset : p->first == m->first_given[i].offset) &&
             "the receipt's first offset is the one that the taker saw");
    if (w->disturbed || t->cuts > 0 || w->config.drift || w->clocks_lie || t->stood_ms < 0 || t->first != p->first ||
        m != &w->members[t->first_by] || p->first_unix_us == 0 || p->drained_unix_us == 0 ||
        member_called(w, p->released_by) != &w->members[t->stopped_by])
        return; /* what a member that is lost would have told is known to nobody */
    if (pass_standstill_us(p) / 1000 < t->stood_ms)
        say(w, "!! receipt of %d: %lld us, the world saw %lld ms", i, (long long)pass_standstill_us(p),
            (long long)t->stood_ms);
    MUST(pass_standstill_us(p) / 1000 >= t->stood_ms &&
         "the receipt's standstill is no shorter than what the world saw");
    MUST((w->result->failovers > 0 || pass_standstill_us(p) / 1000 == t->stood_ms) &&
         "the receipt's standstill is what the world saw"); /* a new reign may know a later release only */
}

#define EPOCHS_MIN 40
#define EPOCHS_PER_PARTITION \
    16 /* it passes each forth and back, in steps of one document each, and again after a doubt */

/* What the receipt sums up, added up anew. */
static void judge_sum(struct world *w, const struct op *op)
{
    struct op whole = *op;
    struct receipt_sum sum;
    int64_t scratch[2 * PARTITIONS_MAX], repeats = 0, longest = -1;
    int passed = 0, returned = 0;

    whole.forth = w->passes[0];
    whole.back = w->passes[1];
    receipt_sum(&sum, &whole, scratch);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < op->pass_count; i++) {
            const struct pass *p = &w->passes[side][i];

            if (!p->ordered || p->grant == 0)
                continue;
            *(side ? &returned : &passed) += 1;
            repeats += p->doubt > p->committed ? p->doubt - p->committed : 0;
            repeats += p->repeat_to > p->from ? p->repeat_to - p->from : 0;
            if (pass_standstill_us(p) > longest)
                longest = pass_standstill_us(p);
        }
    MUST(sum.passed == passed && sum.returned == returned && "the receipt counts what was passed and what came back");
    MUST(sum.listed_repeats == repeats && sum.gaps == 0 && "the receipt counts what may be done twice, and no gap");
    MUST(sum.standstill_us_max == longest && sum.standstill_us_p50 <= sum.standstill_us_p99 &&
         sum.standstill_us_p99 <= longest && "the receipt's longest standstill is the longest");
    for (int i = 0; i < w->partitions && op->state == OP_COMPLETE && w->result->failovers == 0; i++)
        MUST((w->truth[i].epoch <= op->epoch_first || w->truth[i].epoch > op->epoch_last ||
              w->truth[i].before == op->to || (w->passes[0][i].grant == w->truth[i].epoch && w->passes[0][i].taken)) &&
             "the receipt of a complete switch has every grant, and has seen it flow");
}

static void judge_op(struct world *w, const struct op *op)
{
    rules_operation(w, op);
    if (!op_ended(op))
        return;
    MUST((int64_t)(op->epoch_last - op->epoch_first) <= EPOCHS_MIN + EPOCHS_PER_PARTITION * w->partitions &&
         "I6: an operation does not turn in circles");
    if (op_between_colors(op) && op->state != OP_ROLLED_BACK)
        w->mixed = op->state == OP_NEEDS_OPERATOR;
    for (int i = 0; i < w->partitions; i++) {
        if (w->truth[i].epoch == 0)
            continue;
        MUST(w->truth[i].state != RIGHT_RELEASING && "I6: at an end nothing is on its way");
        if (op->state == OP_COMPLETE && op_between_colors(op))
            MUST(w->truth[i].holder == op->to && "I6: complete is complete");
        if (op->state == OP_ROLLED_BACK && w->passes_number == op->number && w->passes[0][i].grant > 0)
            MUST(w->truth[i].holder == op->from && "I6: rolled back is rolled back");
    }
    if (op_between_colors(op) && w->passes_number == op->number)
        judge_sum(w, op);
    for (int side = 0; side < 2 && w->passes_number == op->number; side++)
        for (int i = 0; i < w->partitions; i++)
            judge_receipt_pass(w, i, &w->passes[side][i]);
}

/* Of the operation that counts. Passes of more batons than it has taken in, or than the fleet has, are a deposed leader's. */
static bool counts(const struct world *w, const struct replay_key *key)
{
    int batons = 0;

    if (key->number == 0 || key->number != w->seen.number)
        return false;
    for (int p = 0; p < w->partitions; p++)
        batons += w->truth[p].doc.epoch > 0;
    return key->kind == REPLAY_OP || (w->passes_number == key->number && (w->passes_shards >> key->shard & 1) != 0 &&
                                      key->shard * SHARD_BATONS < batons);
}

void judge_appended(struct world *w, int64_t offset)
{
    const struct control_record *r = &w->log[offset];

    MUST(w->log[r->term].claim && w->log[r->term].writer == r->writer &&
         "rule 1: who writes does so under his own claim");
    if (r->claim) {
        w->claim_highest = offset;
    } else if (r->gone) {
        MUST((!counts(w, &r->key) || w->remaking || !w->fleet_exists) && "nobody buries the operation that counts");
        if (r->doc)
            judge_doc(w, r->doc, r->writer);
    } else if (r->term < w->claim_highest) {
        say(w, "a dead term's record comes late");
        w->log[offset].dead = true;
    } else if (!r->again) {
        if (r->doc)
            judge_doc(w, r->doc, r->writer);
        else if (r->key.kind == REPLAY_PASSES)
            judge_passes(w, r);
        else
            judge_op(w, r->op);
    }
}

void judge_heard(struct world *w, struct member *m, struct version before)
{
    (void)w;
    MUST((!m->fleet.exists || version_compare(m->fleet.version, before) >= 0) &&
         "I4: a member's document never goes back");
}

/* What a color's group holds decides where its next owner begins: it never goes back under one grant. */
void judge_commits(struct world *w, const struct member *m, int p, const struct holder_part_at *at)
{
    struct truth *t = &w->truth[p];
    const struct mark before = w->groups[m->color].mark[p];

    if (t->reset || t->holder != m->color || !w->fleet_exists)
        return;
    MUST(!(at->mark.kind == MARK_FOLLOW && before.kind == MARK_EPOCH && before.epoch == t->epoch) &&
         "I2: a follow-commit covers no holder's");
    MUST((at->mark.kind != MARK_FOLLOW || t->state != RIGHT_GRANTED) &&
         "rule 7: follow-commits are over before the grant");
    if (at->mark.kind != MARK_EPOCH || at->mark.epoch != t->epoch)
        return;
    MUST(at->offset >= t->committed && "I2: commits under one grant never go back");
    t->committed = at->offset;
}

/* --- the applications -------------------------------------------------------------------------------------------------------------- */

void judge_delivered(struct world *w, int n, int part, int64_t offset)
{
    struct member *m = &w->members[n];
    const int p = m->parts[part].partition;
    struct truth *t = &w->truth[p];

    w->result->records++;
    if (w->fleet_exists) {
        MUST(t->epoch && "I5: without a baton nothing is delivered");
        MUST(t->holder == m->color && "I1: only the color that holds a baton gets its records");
        MUST(t->state != RIGHT_PAUSED && "I5: what is paused is not delivered");
        MUST((offset >= t->from || t->reset) && "I2: nothing before the start of its grant");
        if (t->first == OFFSET_NONE && m->parts[part].epoch == t->epoch) {
            t->first = offset;
            t->first_by = n;
            t->stopped_by = t->stopper[t->before];
            t->stood_ms = t->before == t->holder || t->stopped_ms[t->before] < t->ordered_ms ? -1
                          : t->done_ms[t->before] > t->stopped_ms[t->before] ? w->now_ms - t->done_ms[t->before]
                                                                             : w->now_ms - t->stopped_ms[t->before];
        }
    }
    if (m->first_given[p].epoch != m->parts[part].epoch)
        m->first_given[p] = (struct first_given){ m->parts[part].epoch, offset };
    for (int k = 0; k < w->incarnations; k++) {
        const struct member *o = &w->members[k];
        const int theirs = o->exists && o->alive && o->color != m->color ? holder_find(&o->holder, 0, p) : -1;

        MUST((theirs < 0 || o->parts[theirs].window.open == 0 || excused(w, o, theirs)) &&
             "I1: nobody of the other color has it in hand");
    }
}

/* What was beyond the new end is gone, and what will be there is new: it has to be done all the same. */
void judge_cut(struct world *w, int p, int64_t end)
{
    struct truth *t = &w->truth[p];

    memset(w->done[p] + end, 0, (size_t)(w->done_room - end));
    t->low = t->low < end ? t->low : end;
    t->reset = true; /* offsets are worth less here from now on */
    t->cut_at = end;
    t->cuts++;
    t->cut_seen = false;
    w->ends[p] = end;
}

void judge_done(struct world *w, int n, int p, int64_t offset)
{
    const enum color c = w->members[n].color;
    unsigned char *d = &w->done[p][offset];

    if (offset >= w->ends[p] && w->truth[p].cuts > 0)
        return; /* it was killed with a record in hand that is lost */
    MUST(offset < w->ends[p] && "only what was produced");
    w->result->repeats_in_color += (*d & (1u << c)) != 0;
    if ((*d & (1u << color_other(c))) && !(*d & (1u << c)) && !w->truth[p].reset) {
        const bool listed = is_listed(w, p, offset);

        if (!listed)
            say(w, "!! record %d/%lld is done by both colors and listed nowhere", p, (long long)offset);
        MUST(listed && "I3: a record done by both colors is listed");
        w->result->repeats_listed++;
    }
    *d |= (unsigned char)(1u << c);
    if (w->truth[p].stopper[c] ==
        n) /* who had lost the partition earlier may be at work on a record that is done again */
        w->truth[p].done_ms[c] = w->now_ms;
}

/* --- the end ------------------------------------------------------------------------------------------------------------------------- */

static bool all_done(struct world *w)
{
    for (int p = 0; p < w->partitions; p++) {
        struct truth *t = &w->truth[p];

        while (t->low < w->ends[p] && w->done[p][t->low])
            t->low++;
        if (t->low < w->ends[p])
            return false;
    }
    return true;
}

bool judge_at_rest(struct world *w)
{
    const struct controller *c = leader(w);

    if (!c || c->busy || c->log_next < w->log_count || replay_needs_heal(&c->log) || !c->fleet.exists ||
        !op_ended(&c->switcher.op) || w->order_out || w->whole == 0 || c->fleet.phase == PHASE_PAUSED ||
        c->fleet.phase == PHASE_THROTTLED || c->fleet.baton_count < w->partitions)
        return false;
    for (int i = 0; i < c->fleet.baton_count; i++)
        if (c->fleet.batons[i].state != RIGHT_HELD)
            return false;
    return all_done(w);
}

#define FAIR_DEADLINE_MS 2000

/* Compaction leaves the newest record of each key: none of a dead term, or what it hides would be gone for good. */
static void judge_log(struct world *w)
{
    for (int64_t i = 0; i < w->log_count; i++) {
        bool newest = !w->log[i].compacted && w->log[i].dead;

        for (int64_t k = i + 1; k < w->log_count && newest; k++)
            newest = !same_key(&w->log[i], &w->log[k]);
        if (newest)
            say(w, "!! record %lld of a dead term is the newest of its key", (long long)i);
        MUST(!newest && "rule 14: at rest no dead term's record is the newest of its key");
    }
}

void judge_end(struct world *w)
{
    const struct controller *c = leader(w);

    judge_log(w);

    MUST(all_done(w) && "nothing is lost");
    MUST((!w->gentle || w->config.replay || w->result->repeats_in_color == 0) &&
         "rule 12: on a good day nothing is done twice");
    MUST((w->result->faults > 0 || w->config.deadline_ms < FAIR_DEADLINE_MS ||
          (w->result->rolled_back == 0 && w->result->need_operator == 0)) &&
         "I6: where nothing goes wrong, nothing is rolled back");
    for (int i = 0; i < c->fleet.baton_count; i++)
        MUST((w->mixed || c->fleet.batons[i].holder == c->fleet.active) && "I6: one color is active");
}

void judge_unrest(struct world *w)
{
    const struct controller *c = leader(w);

    say(w, "not at rest: leader %d, operation %u %s, order out %d, whole %d", w->leader, c ? c->switcher.op.number : 0,
        c && c->switcher.op.number ? op_state_name(c->switcher.op.state) : "-", w->order_out, w->whole);
    for (int i = 0; c && i < c->fleet.baton_count; i++) {
        const struct baton *b = &c->fleet.batons[i];
        const int p = b->partition;

        say(w,
            "  %d: %s %s from %lld epoch %llu doubt %lld, end %lld, first not done %lld, committed %lld/%lld, owners "
            "%d/%d",
            p, right_name(b->state), color_name(b->holder), (long long)b->from, (unsigned long long)b->epoch,
            (long long)b->doubt, (long long)w->ends[p], (long long)w->truth[p].low,
            (long long)w->groups[BLUE].committed[p], (long long)w->groups[GREEN].committed[p], w->groups[BLUE].owner[p],
            w->groups[GREEN].owner[p]);
    }
}

/* --- one world ------------------------------------------------------------------------------------------------------------------------ */

static jmp_buf broken_at;
static struct world *present;

void judge_broken(const char *fact, const char *file, int line)
{
    const char *slash = strrchr(file, '/');

    present->result->broken = fact;
    snprintf(present->result->where, sizeof(present->result->where), "%.120s:%d", slash ? slash + 1 : file, line);
    longjmp(broken_at, 1);
}

static void handle(struct world *w, struct at *at)
{
    w->result->events++;
    if (at->kind == AT_PRODUCE)
        produce(w);
    else if (at->kind == AT_FAULT)
        fault_at(w);
    else if (at->kind == AT_OPERATOR)
        operator_at(w);
    else if (at->kind >= AT_CONTROLLER_TICK)
        controller_at(w, at);
    else
        member_at(w, at);
}

/*
 * The stated bound (I6): once the faults are over, what is under way has its deadline, its way back has that and the time
 * after which a lost member is gone (rule 9, seen at the latest GROUPS_QUIET_MS after), a reading may be asked for again after
 * ANSWER_MS_MAX, an application may be stuck for some seconds, and a claim without an answer is given up after CLAIM_MS_MAX.
 */
static int64_t bound_ms(const struct world *w)
{
    return 2 * w->config.deadline_ms + 3 * (SESSION_MS + WORK_MS_BOUND) + 10000 + 15000 + 8000 + CLAIM_MS_MAX;
}

static void calm_down(struct world *w)
{
    say(w, "faults and records end");
    w->calm = true;
    w->remaking = false;
    for (int n = 0; n < w->incarnations; n++)
        w->members[n].log_cut = w->members[n].log_lags = false;
    for (int n = 0; n < w->config.controllers; n++)
        w->controllers[n].cut_log = w->controllers[n].cut_all = false;
    for (int c = 0; c < COLOR_COUNT; c++)
        if (group_members(w, (enum color)c, NULL) == 0)
            member_start(w, (enum color)c);
    w->rest_ms_max = w->now_ms + bound_ms(w);
}

static void live(struct world *w)
{
    const int64_t busy_ms_max = w->now_ms + 4000 + 3000 * w->config.orders;

    while (w->heap_count > 0) {
        struct at at = take(w);

        w->now_ms = at.ms;
        handle(w, &at);
        if (at.kind != AT_OPERATOR)
            continue;
        if (!w->calm && (w->now_ms > busy_ms_max || (w->orders_left == 0 && w->watched == 0 && !w->order_out)))
            calm_down(w);
        if (w->calm && judge_at_rest(w))
            return;
        if (w->calm && w->now_ms > w->rest_ms_max) {
            judge_unrest(w);
            MUST(w->now_ms <= w->rest_ms_max && "I6, nothing lost: it ends, and every record is done");
        }
    }
    MUST(w->heap_count > 0 && "time goes on");
}

static void begin(struct world *w)
{
    w->done_room = w->config.records + 64;
    for (int p = 0; p < w->partitions_max; p++) {
        w->done[p] = arena((size_t)w->done_room);
        w->truth[p].first = OFFSET_NONE;
        w->truth[p].stood_ms = -1;
    }
    for (int side = 0; side < 2; side++)
        w->passes[side] = arena(((size_t)w->partitions_max + SHARD_BATONS) * sizeof(struct pass));
    for (int c = 0; c < COLOR_COUNT; c++) {
        w->groups[c].protocol = w->config.protocol[c];
        for (int p = 0; p < PARTITIONS_MAX; p++) {
            w->groups[c].owner[p] = -1;
            w->groups[c].committed[p] = OFFSET_NONE;
        }
    }
    controller_elected(w, 0);
    for (int c = 0; c < COLOR_COUNT; c++)
        for (int i = 0; i < w->config.members[c]; i++)
            member_start(w, (enum color)c);
    put(w, (struct at){ .ms = w->now_ms, .kind = AT_PRODUCE, .who = -1 });
    put(w, (struct at){ .ms = w->now_ms + 150, .kind = AT_OPERATOR, .who = -1 });
    for (int i = 0; i < w->config.faults; i++) /* those that wait for no record */
        if (!chance(w, w->config.at_append))
            put(w, (struct at){
                       .ms = w->now_ms + 100 + below(w, 600 + 400 * w->config.orders), .kind = AT_FAULT, .who = -1 });
}

void world_run(struct world_result *ret, const struct world_config *config, uint64_t seed, bool trace)
{
    static struct world world;
    struct world *w = present = &world;

    arena_reset();
    memset(w->controllers, 0, (size_t)w->config.controllers * sizeof(w->controllers[0]));
    memset(w->members, 0, (size_t)w->incarnations * sizeof(w->members[0]));
    memset(w, 0, offsetof(struct world, controllers));
    memset(ret, 0, sizeof(*ret));
    w->config = *config;
    w->dice = seed;
    w->result = ret;
    w->trace = trace;
    w->now_ms = 1000;
    w->partitions = config->partitions;
    w->partitions_max = config->partitions + config->grow_max;
    w->orders_left = config->orders;
    w->records_left = config->records;
    w->faults_left = config->faults;
    w->claim_highest = -1;
    w->gentle = true;
    w->version = (struct version){ .term = -1 };
    for (int n = 0; n < CONTROLLERS_MAX; n++)
        controller_die(&w->controllers[n]);
    ret->seed = seed;
    check_set_handler(judge_broken);
    if (setjmp(broken_at) == 0) {
        begin(w);
        live(w);
        ret->home_ms_max = w->now_ms - (w->rest_ms_max - bound_ms(w));
        judge_end(w);
    } else {
        say(w, "BROKEN: %s (%s)", ret->broken, ret->where);
    }
    check_set_handler(NULL);
    ret->whole = w->whole;
    ret->virtual_ms = w->now_ms;
}
