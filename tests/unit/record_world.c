/* record_world - see record_world.h. What is random is the same on every machine. */
#include "record_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct str new_text(void)
{
    return STR_WITH_MAX(16 * 1024 * 1024);
}

static void fill_spec(struct spec *s, int topic_count)
{
    spec_defaults(s);
    strcpy(s->fleet, "payments");
    s->topic_count = topic_count;
    for (int i = 0; i < topic_count; i++)
        snprintf(s->topics[i], sizeof(s->topics[i]), "topic-%d", i);
    strcpy(s->colors[BLUE].group, "payments-blue");
    strcpy(s->colors[GREEN].group, "payments-green");
}

struct fleet *new_fleet(int topics, int count)
{
    struct fleet *f = malloc(sizeof(*f));
    struct baton *batons = calloc(BATONS_MAX, sizeof(*batons));

    assert_true(f && batons);
    fleet_init(f, batons, BATONS_MAX);
    fill_spec(&f->spec, topics);
    f->version = f->applied = (struct version){ .term = INT64_MAX - 3, .epoch = (uint64_t)INT64_MAX };
    f->phase = PHASE_OBSERVING;
    f->active = GREEN;
    f->switch_number = 4294967295u;
    f->deadline_unix_ms = 1795363200000;
    f->written_unix_us = INT64_C(1795363200000000);
    strcpy(f->reason, "deploy \"4.2.0\"\n\xc3\xa4");
    f->exists = true;
    for (int i = 0; i < count; i++) {
        struct baton *b = &batons[i];

        b->topic = (uint16_t)(topics - 1 - i % topics);
        b->partition = i / topics;
        b->state = (enum right)((i / 7) % RIGHT_COUNT);
        b->holder = (enum color)((i / 5) % COLOR_COUNT);
        b->epoch = 1 + (uint64_t)(i / 50);
        b->order = i % 3 ? b->epoch : (uint64_t)INT64_MAX;
        b->taken = i % 3 != 1;
        b->from = i % 11 ? INT64_MAX - i : 0;
        b->doubt = i % 13 ? OFFSET_NONE : INT64_MAX;
    }
    f->baton_count = count;
    return f;
}

void free_fleet(struct fleet *f)
{
    free(f->batons);
    free(f);
}

struct doc *new_doc(int baton_max)
{
    struct doc *doc = calloc(1, sizeof(*doc));
    struct baton *batons = calloc((size_t)baton_max + 1, sizeof(*batons));

    assert_true(doc && batons);
    doc->fleet.batons = batons;
    doc->fleet.baton_max = baton_max;
    return doc;
}

void free_doc(struct doc *doc)
{
    free(doc->fleet.batons);
    free(doc);
}

struct record_key head_key(void)
{
    return (struct record_key){ .kind = RECORD_HEAD, .fleet = "payments", .shard = -1 };
}

struct record_key shard_key(int shard)
{
    return (struct record_key){ .kind = RECORD_SHARD, .fleet = "payments", .shard = shard };
}

const struct claim a_claim = { .controller = "c0ffee",
                               .host = "node-1",
                               .address = "http://10.0.0.5:8080",
                               .version = "0.1.0",
                               .unix_ms = 1795363200000 };

struct op *new_op(int count)
{
    struct op *op = calloc(1, sizeof(*op));

    assert_non_null(op);
    op->forth = calloc((size_t)count + 1, sizeof(struct pass));
    op->back = calloc((size_t)count + 1, sizeof(struct pass));
    assert_true(op->forth && op->back);
    for (int i = 0; i < count; i++) {
        const struct pass none = { .released = OFFSET_NONE,
                                   .committed = OFFSET_NONE,
                                   .from = OFFSET_NONE,
                                   .first = OFFSET_NONE,
                                   .doubt = OFFSET_NONE,
                                   .repeat_to = OFFSET_NONE,
                                   .replay_from = OFFSET_NONE };

        op->forth[i] = op->back[i] = none;
    }
    op->pass_count = count;
    return op;
}

void free_op(struct op *op)
{
    free(op->forth);
    free(op->back);
    free(op);
}

void fill_op(struct op *op)
{
    op->number = 4294967295u;
    op->kind = OP_ROLLBACK;
    op->state = OP_NEEDS_OPERATOR;
    op->from = GREEN;
    op->to = BLUE;
    op->replay = true;
    op->of_number = 41;
    op->stages = (struct stages){ .items = { { STAGE_NUMBER, 1, 0 }, { STAGE_NAMES, 2, 0 }, { STAGE_SHARE, 100, 2 } },
                                  .count = 3,
                                  .names = { { 0, 7 }, { 1, 0 } },
                                  .name_count = 2 };
    op->by_hand = true;
    op->keep = 4;
    op->by_signal = true;
    strcpy(op->steered, "ci-8");
    op->stage = 2;
    op->observe_ms = 30000;
    op->deadline_ms = INT64_MAX;
    op->on_unreachable = UNREACHABLE_FENCE;
    op->on_doubt = DOUBT_LIST;
    memset(op->reason, '"', REASON_MAX);
    memset(op->by, 'b', BY_MAX);
    strcpy(op->request_id, "ci-7");
    strcpy(op->version_from, "4.1.9");
    strcpy(op->version_to, "4.2.0");
    op->created_unix_ms = 1795363200000;
    op->ended_unix_ms = 1795363260000;
    op->stage_began_unix_ms = 3;
    op->deadline_unix_ms = 4;
    op->cause = CAUSE_FOREIGN_COMMIT;
    strcpy(op->why, "somebody else commits into payments-blue");
    op->epoch_first = 17;
    op->epoch_last = (uint64_t)INT64_MAX;
}

void fill_pass(struct pass *p, int i)
{
    p->ordered = true;
    p->taken = i % 2;
    p->order = (uint64_t)INT64_MAX;
    p->grant = (uint64_t)INT64_MAX - (uint64_t)i;
    p->released = p->committed = p->from = INT64_MAX - i;
    p->first = i % 3 ? OFFSET_NONE : INT64_MAX;
    p->doubt = i % 5 ? OFFSET_NONE : INT64_MAX;
    p->given_again = i % 7 ? 0 : INT64_C(1) << 40;
    p->repeat_to = i % 7 ? OFFSET_NONE : INT64_MAX;
    p->replay_from = i % 4 ? OFFSET_NONE : i;
    snprintf(p->released_by, sizeof(p->released_by), "%036d", i % 4);
    snprintf(p->taken_by, sizeof(p->taken_by), "%036d", 1000 + i);
    p->stopped_unix_us = INT64_MAX;
    p->drained_unix_us = INT64_MAX - 1;
    p->attached_unix_us = INT64_MAX - 2;
    p->first_unix_us = i % 3 ? 0 : INT64_MAX - 3;
    p->release_heard_unix_us = INT64_MAX - 4;
    p->take_heard_unix_us = INT64_MAX - 5;
}

struct report *new_report(const struct fleet *f, int parts)
{
    struct report *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    r->parts = calloc((size_t)parts + 1, sizeof(*r->parts));
    assert_non_null(r->parts);
    strcpy(r->fleet, f->spec.fleet);
    r->color = GREEN;
    strcpy(r->incarnation, "0123456789abcdef0123456789abcdef");
    strcpy(r->member_id, "payments-green-1-6d0f");
    strcpy(r->client_id, "payments-green-1");
    strcpy(r->host, "10.0.0.7");
    strcpy(r->version, "4.2.0");
    strcpy(r->library, "0.1.0");
    r->sequence = (uint64_t)INT64_MAX;
    r->applied = (struct version){ .term = 1042, .epoch = 17 };
    r->ready = true;
    strcpy(r->assignor, "cooperative-sticky");
    r->report_interval_ms = 1000;
    r->sent_unix_us = INT64_C(1795363200000000);
    r->heard_written_unix_us = INT64_C(1795363199000000);
    r->heard_unix_us = INT64_C(1795363199000700);
    r->records_done = 5;
    r->records_gated = 6;
    r->stale_ignored = 7;
    r->part_count = parts;
    for (int i = 0; i < parts; i++) {
        struct report_part *p = &r->parts[i];

        p->topic = (uint16_t)(i % f->spec.topic_count);
        p->partition = i / f->spec.topic_count;
        p->order = (uint64_t)(i / 100);
        p->local = (enum local_state)((i / 40) % LOCAL_STATE_COUNT);
        p->owned = (i / 20) % 3 > 0;
        p->position = i % 4 ? INT64_C(1200000000) + i : OFFSET_NONE;
        p->committed = i % 5 ? INT64_C(1200000000) - i : OFFSET_NONE;
        p->in_flight = i % 6 ? i % 100 : 0;
        p->doubt = i % 50 ? OFFSET_NONE : INT64_MAX;
        p->given_again = i % 3 ? 0 : i;
        p->first = i % 3 ? INT64_C(1200000000) : OFFSET_NONE;
        p->stopped_unix_us = i % 7 ? r->sent_unix_us - i : 0;
        p->drained_unix_us = i % 8 ? r->sent_unix_us + i : 0; /* its clock was set back */
        p->attached_unix_us = i % 9 ? 1 + i : 0;
        p->first_unix_us = i % 10 ? INT64_MAX : 0;
    }
    return r;
}
