/*
 * test_holder - the member's half, a life told step by step: where it begins, how it stops, what it follows, and what becomes of what could
 * not be committed.
 */
#include <stdio.h>
#include <string.h>

#include "core/holder.h"
#include "documents.h"

/* --- it begins ---------------------------------------------------------------------------------------------------- */

struct life {
    struct holder h;
    struct fleet fleet;
    struct baton table[4], batons[1];
    struct holder_part parts[4];
    struct window_slot slots[4][8];
    struct holder_part_at at[16];
    struct holder_effects fx;
    struct doc doc;
    char trace[1024];
    int64_t now_ms;
    bool at_once;   /* the next event comes at the same moment */
    uint64_t token; /* of the last effect that wants an answer */
};

static void life_begin(struct life *l, enum color color)
{
    const struct holder_config config = { .color = color,
                                          .session_timeout_ms = 6000,
                                          .commit_interval_ms = 1000,
                                          .revoke_ms_max = 1000,
                                          .report_interval_ms = 1000,
                                          .retry_ms = 50,
                                          .watchdog_ms = 2000 };

    memset(l, 0, sizeof(*l));
    l->now_ms = 1000;
    fleet_init(&l->fleet, l->table, 4);
    holder_init(&l->h, &config, &l->fleet, l->parts, 4, l->now_ms);
    for (int i = 0; i < 4; i++) {
        l->parts[i].window.slots = l->slots[i];
        l->parts[i].window.room = 8;
    }
    l->fx.parts = l->at;
    l->fx.part_max = 16;
}

static void life_step(struct life *l, struct holder_event ev)
{
    static const char *const names[] = {
        [HOLDER_ATTACH] = "attach",
        [HOLDER_DETACH] = "detach",
        [HOLDER_COMMIT] = "commit",
        [HOLDER_READ_OFFSETS] = "read offsets",
        [HOLDER_READ_ACTIVE] = "read active",
        [HOLDER_READ_LOG_END] = "read log end",
        [HOLDER_REPORT] = "report",
        [HOLDER_ANSWER_ASSIGN] = "answer assign",
        [HOLDER_ANSWER_REVOKE] = "answer revoke",
        [HOLDER_LEAVE] = "leave",
        [HOLDER_CLOSED] = "closed",
    };
    char mark[MARK_TEXT_MAX];

    ev.now_ms = l->now_ms += l->at_once ? 0 : 10;
    ev.now_unix_us = l->now_ms * 1000;
    l->at_once = false;
    holder_effects_clear(&l->fx);
    holder_step(&l->h, &ev, &l->fx);
    for (int i = 0; i < l->fx.count; i++) {
        const struct holder_effect *e = &l->fx.items[i];
        char *end = l->trace + strlen(l->trace);
        const size_t room = sizeof(l->trace) - strlen(l->trace);

        if (e->token)
            l->token = e->token;
        mark_format(mark, e->count ? l->fx.parts[e->first].mark : (struct mark){ 0 });
        if (e->type == HOLDER_COMMIT)
            snprintf(end, room, "commit %lld %s\n", (long long)l->fx.parts[e->first].offset, mark);
        else if (e->type == HOLDER_ATTACH)
            snprintf(end, room, "attach at %lld\n", (long long)l->fx.parts[e->first].offset);
        else
            snprintf(end, room, "%s\n", names[e->type]);
        l->at_once = e->type == HOLDER_REPORT;
        if (l->at_once)
            life_step(l, (struct holder_event){ .type = HOLDER_REPORT_ACKED, .sequence = l->h.report_sequence });
    }
}

static void life_doc(struct life *l, enum right right, enum color holder, uint64_t epoch, uint64_t order, int64_t from)
{
    l->batons[0] = baton(0, right, holder, epoch);
    l->batons[0].order = order;
    l->batons[0].from = from;
    l->batons[0].taken = right != RIGHT_GRANTED;
    doc_whole(&l->doc, l->batons, 1, 1, order);
    life_step(l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l->doc, .log_position = (int64_t)order + 1 });
}

static void life_assign(struct life *l)
{
    static const struct holder_topic_partition tp = { 0, 0 };

    life_step(l, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = &tp, .tp_count = 1 });
    life_step(l, (struct holder_event){ .type = HOLDER_LOG_END, .token = l->token, .log_position = l->h.log_position });
}

static void life_answer(struct life *l, enum holder_event_type type, int64_t offset, struct mark mark)
{
    const struct holder_part_at at = { 0, offset, mark };

    life_step(l, (struct holder_event){ .type = type, .token = l->token, .parts = &at, .part_count = 1 });
}

/* Kafka has given it the partition, which blue holds. */
static void life_owns(struct life *l, enum color color, int64_t from)
{
    life_begin(l, color);
    life_doc(l, RIGHT_HELD, BLUE, 5, 5, from);
    life_assign(l);
}

/* ... and it is blue, and has begun where nobody had been before. */
static void life_works(struct life *l)
{
    life_owns(l, BLUE, 0);
    life_answer(l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
}

/* ... a moment ago, and all its clocks begin now. */
static void life_active(struct life *l)
{
    life_works(l);
    assert_int_equal(l->parts[0].state, PART_ACTIVE);
    l->h.commits_ms = l->h.contact_ms = l->h.follow_ms = l->now_ms;
    l->trace[0] = '\0';
}

static void without_a_baton_nothing_is_delivered(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_assign(&l);
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 0), DELIVER_DROP);
    life_doc(&l, RIGHT_HELD, GREEN, 1, 1, 0);
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 0), DELIVER_DROP);
    assert_int_equal(l.h.records_gated, 2);
}

static void said(struct life *l, const char *story)
{
    assert_string_equal(l->trace, story);
    l->trace[0] = '\0';
}

static void a_restart_begins_at_its_own_commit(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
    l.trace[0] = '\0';
    life_assign(&l);
    said(&l, "answer assign\nreport\nread log end\nread offsets\nreport\n");
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    said(&l, "commit 140 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "attach at 140\nreport\n");
}

static void where_a_holder_begins(void **state)
{
    static const struct {
        enum right right;
        int64_t committed;
        struct mark mark;
        const char *commit; /* NULL: it waits */
    } cases[] = {
        { RIGHT_HELD, OFFSET_NONE, { MARK_NOTHING, 0 }, "commit 100 " },
        { RIGHT_HELD, 70, { MARK_FOREIGN, 0 }, "commit 70 " },     /* an operator's reset */
        { RIGHT_GRANTED, 70, { MARK_FOREIGN, 0 }, "commit 100 " }, /* a former life's */
        { RIGHT_HELD, 70, { MARK_FOLLOW, 0 }, "commit 100 " },
        { RIGHT_HELD, 170, { MARK_EPOCH, 5 }, "commit 170 " },
        { RIGHT_GRANTED, 170, { MARK_EPOCH, 4 }, "commit 100 " },
        { RIGHT_HELD, 170, { MARK_EPOCH, 6 }, NULL }, /* the member is behind */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct life l;

        life_begin(&l, BLUE);
        life_doc(&l, cases[i].right, BLUE, 5, 5, 100);
        life_assign(&l);
        l.trace[0] = '\0';
        life_answer(&l, HOLDER_OFFSETS, cases[i].committed, cases[i].mark);
        if (cases[i].commit)
            assert_memory_equal(l.trace, cases[i].commit, strlen(cases[i].commit));
        else
            assert_string_equal(l.trace, "");
    }
}

static void a_grant_to_the_owner_needs_no_reading(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, GREEN);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    life_assign(&l);
    l.trace[0] = '\0';
    life_doc(&l, RIGHT_GRANTED, GREEN, 7, 7, 42);
    said(&l, "commit 42 baton/1 epoch=7\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "attach at 42\nreport\n");
}

/* Between the question and its answer the world may change: an answer that comes then begins nothing. */
static void an_answer_that_comes_too_late_begins_nothing(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };

    (void)state;
    for (int committing = 0; committing < 2; committing++)
        for (int what = 0; what < 6; what++) {
            struct life l;
            uint64_t token;

            life_owns(&l, BLUE, 100);
            if (committing)
                life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
            assert_int_equal(l.parts[0].state, committing ? PART_STARTING : PART_READING);
            token = l.token;
            if (what == 0)
                life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
            else if (what == 1)
                life_step(&l, (struct holder_event){ .type = HOLDER_LOST, .tps = &tp, .tp_count = 1 });
            else if (what == 2)
                life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
            else if (what == 3)
                life_doc(&l, RIGHT_HELD, GREEN, 6, 6, 100);
            else if (what == 4)
                life_doc(&l, RIGHT_PAUSED, BLUE, 5, 6, 100);
            else
                life_step(&l, (struct holder_event){
                                  .type = HOLDER_DOC, .doc = &(struct doc){ .kind = DOC_GONE }, .log_position = 9 });
            l.token = token;
            l.trace[0] = '\0';
            life_answer(&l, committing ? HOLDER_COMMITTED : HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
            assert_null(strstr(l.trace, "attach"));
            assert_null(strstr(l.trace, "commit"));
            assert_int_not_equal(l.parts[0].state, PART_ACTIVE);
            assert_int_equal(holder_deliver(&l.h, 0, 140, l.now_ms, 1), DELIVER_DROP);
        }
}

/* A fleet made again with other topics under the same name: what our partitions are called is not theirs. */
static void another_fleet_of_the_same_name_is_not_ours(void **state)
{
    struct baton many[5];
    struct life l;

    (void)state;
    life_owns(&l, BLUE, 100);
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    for (int i = 0; i < 5; i++)
        many[i] = baton(i, RIGHT_HELD, GREEN, 6);
    doc_whole(&l.doc, many, 5, 1, 6); /* more than there is room for: nothing of it is taken in */
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 7 });
    assert_int_equal(l.parts[0].state, PART_ACTIVE);
    assert_int_equal(l.h.log_position, 7);
    life_doc(&l, RIGHT_HELD, BLUE, 4, 4, 100); /* older than what counts */
    assert_int_equal(l.h.stale_ignored, 1);
    strcpy(l.doc.fleet.spec.topics[0], "refunds");
    l.doc.version = l.doc.fleet.version = (struct version){ 2, 7 };
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 9 });
    assert_ptr_equal(strstr(l.trace, "detach\ncommit 140"), l.trace);
    life_doc(&l, RIGHT_HELD, BLUE, 8, 8, 100); /* nor does it come back to us when it is called as before */
    assert_false(l.fleet.exists);
    assert_int_equal(holder_deliver(&l.h, 0, 200, l.now_ms, 1), DELIVER_DROP);
}

/* Deleted and made again, a fleet may have its partitions in another order: a member finds its own. */
static void a_fleet_made_again_is_looked_through_anew(void **state)
{
    static const struct holder_topic_partition two[] = { { 0, 0 }, { 0, 1 } };
    const struct doc gone = { .kind = DOC_GONE };
    struct baton first[2] = { baton(0, RIGHT_HELD, BLUE, 5), baton(1, RIGHT_HELD, GREEN, 5) };
    struct baton again[3] = { baton(2, RIGHT_HELD, GREEN, 9), baton(1, RIGHT_HELD, BLUE, 9),
                              baton(0, RIGHT_HELD, GREEN, 9) };
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    doc_whole(&l.doc, first, 2, 1, 5);
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .doc_offset = 5, .log_position = 6 });
    life_step(&l, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = two, .tp_count = 2 });
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_END, .token = l.token, .log_position = 6 });
    assert_int_equal(l.parts[0].state, PART_READING);
    assert_int_equal(l.parts[1].state, PART_IDLE);
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &gone, .doc_offset = 6, .log_position = 7 });
    life_answer(&l, HOLDER_OFFSETS, 3, (struct mark){ MARK_EPOCH, 5 });
    assert_int_equal(l.parts[0].state, PART_IDLE);
    doc_whole(&l.doc, again, 3, 1, 9);
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .doc_offset = 9, .log_position = 10 });
    assert_int_equal(l.parts[0].state, PART_IDLE);
    assert_int_equal(l.parts[1].state, PART_READING);
    doc_whole(&l.doc, again, 1, 1, 10); /* and then there is only one */
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .doc_offset = 10, .log_position = 11 });
    assert_int_equal(holder_deliver(&l.h, 1, 0, l.now_ms, 1), DELIVER_DROP);
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = 4 });
    assert_int_equal(l.h.log_position, 11); /* it never goes back */
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = 40 });
    assert_int_equal(l.h.log_position, 40);
}

/* --- it stops ----------------------------------------------------------------------------------------------------- */

static void a_release_waits_for_what_is_in_flight(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 1), DELIVER_NOW);
    assert_int_equal(holder_deliver(&l.h, 0, 1, l.now_ms, 1), DELIVER_NOW);
    l.trace[0] = '\0';
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    said(&l, "detach\nreport\n");
    assert_int_equal(holder_deliver(&l.h, 0, 2, l.now_ms, 1), DELIVER_DROP);
    assert_false(holder_done(&l.h, 0, 1, 2));
    assert_true(holder_done(&l.h, 0, 0, 3));
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "commit 2 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "report\n");
    assert_int_equal(l.parts[0].state, PART_RELEASED);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 7, 0); /* taken back: begins again by rule 6 */
    said(&l, "read offsets\nreport\n");
}

/* What cannot be done here goes back from the last one on, and whoever is next begins there. */
static void what_fails_is_taken_back_from_the_last_one_on(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    for (int64_t offset = 0; offset < 4; offset++)
        assert_int_equal(holder_deliver(&l.h, 0, offset, l.now_ms, 1), DELIVER_NOW);
    assert_false(holder_take_back(&l.h, 0, 3)); /* the partition stays */
    l.trace[0] = '\0';
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    said(&l, "detach\nreport\n");
    assert_false(holder_take_back(&l.h, 0, 2)); /* another one is behind it */
    assert_true(holder_take_back(&l.h, 0, 3));
    assert_false(holder_take_back(&l.h, 0, 3)); /* it is not in flight any more */
    assert_false(holder_done(&l.h, 0, 3, 5));
    assert_false(holder_done(&l.h, 0, 0, 7));
    assert_true(holder_take_back(&l.h, 0, 2));
    assert_true(holder_take_back(&l.h, 0, 1));
    assert_int_equal(l.parts[0].drained_unix_us, 7); /* the last that was done: it stands still since then */
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "commit 1 baton/1 epoch=5\nreport\n");
}

/* What is behind it and done would be done again: it stays, and is waited for. */
static void what_has_a_done_one_behind_it_is_not_taken_back(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    for (int64_t offset = 0; offset < 2; offset++)
        assert_int_equal(holder_deliver(&l.h, 0, offset, l.now_ms, 1), DELIVER_NOW);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    assert_false(holder_done(&l.h, 0, 1, 5));
    assert_false(holder_take_back(&l.h, 0, 0));
    assert_int_equal(l.parts[0].window.open, 1);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 7, 0); /* the order is taken back: on where it stopped */
    assert_int_equal(l.parts[0].state, PART_ACTIVE);
    assert_int_equal(holder_deliver(&l.h, 0, 2, l.now_ms, 1), DELIVER_NOW);
}

/* Taken back with its order, the partition goes on with what was given back. */
static void what_was_taken_back_is_delivered_again(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    for (int64_t offset = 0; offset < 3; offset++)
        assert_int_equal(holder_deliver(&l.h, 0, offset, l.now_ms, 1), DELIVER_NOW);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    assert_true(holder_take_back(&l.h, 0, 2));
    assert_true(holder_take_back(&l.h, 0, 1));
    l.trace[0] = '\0';
    life_doc(&l, RIGHT_HELD, BLUE, 5, 7, 0);
    said(&l, "attach at 1\nreport\n");
    assert_int_equal(holder_deliver(&l.h, 0, 1, l.now_ms, 1), DELIVER_NOW);
    assert_int_equal(holder_deliver(&l.h, 0, 2, l.now_ms, 1), DELIVER_NOW);
}

/* Ordered while it had not begun: it says where it stands all the same, so that there is an offset to pass on at. */
static void who_has_not_begun_releases_where_it_would_have(void **state)
{
    struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 100);
    life_assign(&l);
    l.trace[0] = '\0';
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    said(&l, "commit 140 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "report\n");
    holder_report(&l.h, &r, 0);
    assert_int_equal(parts[0].local, LOCAL_RELEASED);
    assert_int_equal(parts[0].committed, 140);
    assert_int_equal(parts[0].order, 6);
    assert_int_equal(parts[0].first, OFFSET_NONE);
    assert_true(r.ready && !r.goodbye);
}

static void a_close_says_goodbye_last(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
    said(&l, "detach\ncommit 0 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "leave\nreport\n");
    life_step(&l, (struct holder_event){ .type = HOLDER_LEFT });
    said(&l, "report\nclosed\n");
}

/* Who has to go at once goes, though his last report cannot be written; who has time says goodbye until it is. */
static void a_goodbye_is_said_until_it_is_heard(void **state)
{
    (void)state;
    for (int abandoned = 0; abandoned < 2; abandoned++) {
        struct holder_event failed = { .type = HOLDER_REPORT_FAILED };
        struct life l;

        life_begin(&l, BLUE);
        life_doc(&l, RIGHT_HELD, GREEN, 5, 5, 100);
        life_assign(&l);
        l.trace[0] = '\0';
        life_step(&l, (struct holder_event){ .type = abandoned ? HOLDER_ABANDON : HOLDER_CLOSE });
        assert_non_null(strstr(l.trace, "leave"));
        l.h.report_outstanding = true; /* so that the last one is ours to answer */
        life_step(&l, (struct holder_event){ .type = HOLDER_LEFT });
        failed.sequence = l.h.report_sequence - 1; /* of an older one: says nothing */
        life_step(&l, failed);
        assert_true(l.h.report_outstanding);
        l.trace[0] = '\0';
        failed.sequence = l.h.report_sequence;
        life_step(&l, failed);
        if (abandoned) {
            said(&l, "closed\n");
            continue;
        }
        said(&l, "");
        l.now_ms += 50;
        life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
        said(&l, "report\nclosed\n");
        l.now_ms += 5000; /* and then it is silent */
        life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
        said(&l, "");
    }
}

/* A tick at that moment. */
static const char *life_at(struct life *l, int64_t ms)
{
    l->trace[0] = '\0';
    l->now_ms = ms;
    l->at_once = true;
    life_step(l, (struct holder_event){ .type = HOLDER_TICK });
    return l->trace;
}

/* Blue, at work from 0 on, nothing is due. */
static void a_revocation_does_not_wait_for_ever(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    struct life l;
    int64_t t;

    (void)state;
    life_active(&l);
    holder_deliver(&l.h, 0, 0, l.now_ms, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
    t = l.now_ms;
    assert_null(strstr(life_at(&l, t + 999), "answer revoke"));
    assert_string_equal(life_at(&l, t + 1000), "answer revoke\nreport\n");
    life_active(&l); /* with nothing in flight it is answered when the last commit is */
    life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
    said(&l, "detach\ncommit 0 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "answer revoke\nreport\n");
    assert_int_equal(l.parts[0].state, PART_IDLE); /* at once */
    assert_false(l.parts[0].assigned || l.parts[0].revoking);
    life_begin(&l, GREEN); /* a standby's is let go at once, and told */
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
    said(&l, "answer revoke\nreport\n");
}

/* --- it commits --------------------------------------------------------------------------------------------------- */

/* Two records in flight, the first done: whoever comes next must not do it again because the second is slow. */
static void what_is_done_is_committed_though_others_are_in_flight(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    static const enum holder_event_type ends[] = { HOLDER_REVOKED, HOLDER_ABANDON };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct life l;

        life_works(&l);
        holder_deliver(&l.h, 0, 0, l.now_ms, 1);
        holder_deliver(&l.h, 0, 1, l.now_ms, 1);
        if (ends[i] == HOLDER_REVOKED)
            life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
        else
            life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
        holder_done(&l.h, 0, 0, 1);
        l.h.commits_ms = l.now_ms + 5000; /* not by chance as progress */
        l.now_ms += ends[i] == HOLDER_REVOKED ? 1000 : 0;
        l.trace[0] = '\0';
        life_step(&l, (struct holder_event){ .type = ends[i] == HOLDER_REVOKED ? HOLDER_TICK : HOLDER_ABANDON });
        assert_ptr_equal(strstr(l.trace, "commit 1 baton/1 epoch=5\n"), l.trace);
        assert_non_null(strstr(l.trace, ends[i] == HOLDER_REVOKED ? "answer revoke" : "leave"));
    }
}

static void what_cannot_be_committed_is_a_doubt(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };
    struct life l;

    (void)state;
    life_works(&l);
    holder_deliver(&l.h, 0, 0, l.now_ms, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
    assert_null(strstr(l.trace, "answer revoke")); /* it waits for the record in flight ... */
    l.now_ms += 1000;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    assert_non_null(strstr(l.trace, "answer revoke")); /* ... but not for ever */
    holder_report(&l.h, &r, 0);
    assert_int_equal(parts[0].in_flight, 1);
    assert_false(parts[0].owned);
    holder_done(&l.h, 0, 0, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    holder_report(&l.h, &r, 0);
    assert_int_equal(parts[0].doubt, 1);
    l.batons[0].doubt = 1; /* the document has it: it is dropped here */
    doc_whole(&l.doc, l.batons, 1, 1, 6);
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 7 });
    holder_report(&l.h, &r, 0);
    assert_int_equal(r.part_count, 0);
}

static struct report_part life_report(struct life *l)
{
    static struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };

    holder_report(&l->h, &r, 0);
    assert_int_equal(r.part_count, 1);
    return parts[0];
}

/* Lost while it was stopped: what it has done is a doubt, though the partition comes and goes again meanwhile. */
static void what_was_lost_stays_lost(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    struct life l;

    (void)state;
    life_active(&l);
    holder_deliver(&l.h, 0, 0, l.now_ms, 1);
    holder_deliver(&l.h, 0, 1, l.now_ms, 1);
    holder_done(&l.h, 0, 0, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_LOST, .tps = &tp, .tp_count = 1 });
    said(&l, "detach\nanswer revoke\nreport\n"); /* nobody would take a commit */
    life_assign(&l);
    assert_int_equal(l.parts[0].barrier, BARRIER_PASSED);
    assert_int_equal(l.parts[0].state,
                     PART_DRAINING); /* somebody else may have been at it meanwhile: it does not go on */
    life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
    holder_done(&l.h, 0, 1, 2);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    assert_null(strstr(l.trace, "commit"));
    assert_int_equal(life_report(&l).doubt, 2);
    life_active(&l); /* lost while its last commit is out */
    holder_deliver(&l.h, 0, 0, l.now_ms, 1);
    holder_done(&l.h, 0, 0, 1);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    assert_int_equal(l.parts[0].state, PART_COMMITTING);
    life_step(&l, (struct holder_event){ .type = HOLDER_LOST, .tps = &tp, .tp_count = 1 });
    assert_int_equal(l.parts[0].state, PART_IDLE);
    assert_int_equal(life_report(&l).doubt, 1);
    life_answer(&l, HOLDER_COMMITTED, 1, (struct mark){ 0 }); /* an answer that comes now changes nothing */
    assert_int_equal(life_report(&l).doubt, 1);
    l.batons[0].doubt = 0; /* a smaller one is not ours */
    doc_whole(&l.doc, l.batons, 1, 1, 7);
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 8 });
    assert_int_equal(life_report(&l).doubt, 1);
}

/* Passed on to another color, or granted anew, while records are in flight: they cannot be committed under the old grant any more. */
static void what_is_another_grants_is_not_committed(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        struct life l;

        life_active(&l);
        holder_deliver(&l.h, 0, 0, l.now_ms, 1);
        life_doc(&l, RIGHT_HELD, what == 0 ? GREEN : BLUE, what == 1 ? 6 : 5, 6, 0);
        if (what == 2) { /* deleted: what is done may still be committed */
            life_step(&l, (struct holder_event){
                              .type = HOLDER_DOC, .doc = &(struct doc){ .kind = DOC_GONE }, .log_position = 9 });
        }
        assert_int_equal(l.parts[0].state, PART_DRAINING);
        holder_done(&l.h, 0, 0, 1);
        l.trace[0] = '\0';
        life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
        assert_int_equal(strstr(l.trace, "commit 1 baton/1 epoch=5\n") != NULL, what == 2);
        if (what < 2) {
            assert_true(l.parts[0].doubt == 1 || l.parts[0].state != PART_DRAINING);
            assert_int_equal(l.parts[0].doubt, 1);
        }
    }
}

/* What a part of an answer says counts for that partition; a failed one is asked again in a moment, not at once. */
static void an_answer_may_fail_for_one_partition(void **state)
{
    const struct holder_part_at at = { 0, 140, { MARK_EPOCH, 5 } };
    const bool failed = true;
    struct holder_event ev = { .type = HOLDER_OFFSETS, .parts = &at, .part_count = 1, .part_failed = &failed };
    struct life l;

    (void)state;
    life_owns(&l, BLUE, 100);
    l.trace[0] = '\0';
    ev.token = l.token - 1; /* of an older question */
    life_step(&l, ev);
    assert_int_equal(l.parts[0].token, l.token);
    ev.token = l.token;
    life_step(&l, ev);
    said(&l, "");
    assert_int_equal(holder_next_ms(&l.h, l.now_ms), l.now_ms + 50);
    l.now_ms += 50;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "read offsets\n");
    ev = (struct holder_event){
        .type = HOLDER_OFFSETS, .token = l.token, .failed = true, .parts = &at, .part_count = 1
    };
    life_step(&l, ev);
    l.now_ms += 50;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "read offsets\n");
    life_answer(&l, HOLDER_OFFSETS, 140, at.mark);
    said(&l, "commit 140 baton/1 epoch=5\nreport\n");
    ev = (struct holder_event){
        .type = HOLDER_COMMITTED, .token = l.token, .parts = &at, .part_count = 1, .part_failed = &failed
    };
    life_step(&l, ev); /* its start is not committed, so it does not begin */
    l.now_ms += 50;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "commit 140 baton/1 epoch=5\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "attach at 140\nreport\n");
}

/* --- it follows --------------------------------------------------------------------------------------------------- */

/* What the other color has committed is followed; where it has committed nothing, or cannot be read, nothing is. */
static void nothing_is_followed_that_is_not_known(void **state)
{
    static const bool bad[] = { true };

    (void)state;
    for (int fault = 0; fault < 4; fault++) {
        const struct holder_part_at at = { 0, fault == 0 ? OFFSET_NONE : 33, { MARK_EPOCH, 5 } };
        struct life l;

        life_owns(&l, GREEN, 0);
        l.now_ms += 20000;
        life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
        l.trace[0] = '\0';
        life_step(&l, (struct holder_event){ .type = HOLDER_ACTIVE_OFFSETS,
                                             .token = l.token,
                                             .failed = fault == 1,
                                             .part_failed = fault == 2 ? bad : NULL,
                                             .parts = &at,
                                             .part_count = 1 });
        if (fault < 3) {
            assert_string_equal(l.trace, "");
            assert_false(l.parts[0].follow_commit);
        } else
            said(&l, "commit 33 baton/1 follow\n");
    }
}

static void a_standby_follows_now_and_then(void **state)
{
    struct life l;
    int64_t t;

    (void)state;
    for (int what = 0; what < 3; what++) {
        life_owns(&l, GREEN, 0);
        t = l.h.follow_ms = l.now_ms;
        if (what == 1)
            l.h.closing = l.h.leave_asked = true;
        if (what == 2)
            life_step(&l, (struct holder_event){
                              .type = HOLDER_DOC, .doc = &(struct doc){ .kind = DOC_GONE }, .log_position = 9 });
        assert_null(strstr(life_at(&l, t + 9999), "read active"));
        assert_int_equal(strstr(life_at(&l, t + 10000), "read active") != NULL, what == 0);
        assert_null(strstr(life_at(&l, t + 10001), "read active"));
    }
}

static void a_follow_commit_holds_back_the_acknowledgement(void **state)
{
    struct life l;

    (void)state;
    life_owns(&l, GREEN, 0);
    l.now_ms += 20000;
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "read active\nreport\n");
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    assert_int_equal(l.h.acknowledged.epoch, 5); /* the question is out, and a commit could still come of it */
    life_answer(&l, HOLDER_ACTIVE_OFFSETS, 33, (struct mark){ MARK_EPOCH, 5 });
    assert_null(strstr(l.trace, "commit"));
    assert_int_equal(l.h.acknowledged.epoch, 6);
}

/* The answer may be as old as the next question would be due: one at a time. */
static void a_follow_commit_is_not_asked_over(void **state)
{
    struct life l;

    (void)state;
    life_owns(&l, GREEN, 0);
    l.now_ms += 20000;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    l.now_ms += 20000;
    l.trace[0] = '\0';
    life_answer(&l, HOLDER_ACTIVE_OFFSETS, 33, (struct mark){ MARK_EPOCH, 5 });
    assert_non_null(strstr(l.trace, "commit 33"));
    assert_null(strstr(l.trace, "read active"));
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    assert_int_equal(l.h.acknowledged.epoch, 5); /* the commit is out */
    life_answer(&l, HOLDER_COMMITTED, 33, (struct mark){ 0 });
    assert_int_equal(l.h.acknowledged.epoch, 6);
}

/* A question of a standby that is on its way when it is told to go: nothing comes of the answer, and it says goodbye. */
static void a_follow_commit_is_called_off_by_what_comes_between(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };

    (void)state;
    for (int what = 0; what < 3; what++) {
        struct life l;

        life_owns(&l, GREEN, 0);
        l.now_ms += 20000;
        life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
        assert_true(l.parts[0].follow_commit);
        if (what == 0)
            life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
        else if (what == 1)
            life_step(&l, (struct holder_event){ .type = HOLDER_REVOKED, .tps = &tp, .tp_count = 1 });
        else
            life_doc(&l, RIGHT_GRANTED, GREEN, 6, 6, 40);
        l.trace[0] = '\0';
        life_answer(&l, HOLDER_ACTIVE_OFFSETS, 33, (struct mark){ MARK_EPOCH, 5 });
        assert_null(strstr(l.trace, "follow"));
        assert_false(l.parts[0].follow_commit);
    }
}

/* --- what the log, Kafka and time do to it ------------------------------------------------------------------------ */

/* The brokers lost the log's end: it goes on below what is committed, and what comes there is new. */
static void a_log_that_is_cut_is_followed_from_its_end(void **state)
{
    struct life l;

    (void)state;
    life_owns(&l, BLUE, 50);
    life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    assert_false(holder_cut(&l.h, 0, 10)); /* not at work yet */
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    assert_int_equal(holder_deliver(&l.h, 0, 50, l.now_ms, 1), DELIVER_NOW);
    assert_false(holder_cut(&l.h, 0, 10)); /* in flight */
    assert_false(holder_done(&l.h, 0, 50, 2));
    l.now_ms += 1000;
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "commit 51 baton/1 epoch=5\nreport\n");
    assert_true(holder_cut(&l.h, 0, 10)); /* the commit that is out says nothing any more */
    assert_int_equal(holder_deliver(&l.h, 0, 10, l.now_ms, 3), DELIVER_NOW);
    assert_true(holder_cut(&l.h, 0, 11) == false);
    life_answer(&l, HOLDER_COMMITTED, 51, (struct mark){ 0 });
    assert_int_equal(l.parts[0].committed, OFFSET_NONE);
    assert_false(holder_done(&l.h, 0, 10, 4));
    l.now_ms += 1000;
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "commit 11 baton/1 epoch=5\nreport\n");
    assert_true(holder_cut(&l.h, 0, 20)); /* above where it stands: nothing to do */
    assert_int_equal(l.parts[0].window.position, 11);
}

static void a_member_without_contact_fences_itself(void **state)
{
    struct life l;

    (void)state;
    life_works(&l);
    l.now_ms += 7000; /* SIGSTOP, say */
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 1), DELIVER_LATER);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "detach\ncommit 0 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 }); /* still a member: it begins again by rule 6 */
    said(&l, "read offsets\nreport\n");
}

static void commits_have_their_times(void **state)
{
    struct life l;
    int64_t t;

    (void)state;
    life_active(&l);
    t = l.now_ms;
    assert_false(holder_fenced(&l.h, t + 5999));
    assert_true(holder_fenced(&l.h, t + 6000));
    assert_int_equal(holder_deliver(&l.h, 0, 0, t + 5999, 1), DELIVER_NOW);
    assert_int_equal(holder_deliver(&l.h, 0, 1, t + 6000, 1), DELIVER_LATER);
    holder_done(&l.h, 0, 0, 1);
    assert_null(strstr(life_at(&l, t + 999), "commit"));
    assert_non_null(strstr(life_at(&l, t + 1000), "commit 1 baton/1 epoch=5\n"));
    assert_null(strstr(life_at(&l, t + 1300), "commit")); /* one at a time */
    life_answer(&l, HOLDER_COMMITTED, 1, (struct mark){ 0 });
    assert_int_equal(l.h.contact_ms, t + 1000); /* when it was asked, not when it was answered */
    assert_int_equal(l.parts[0].committed, 1);
    t += 1000;
    assert_null(strstr(life_at(&l, t + 1499), "commit"));        /* nothing to commit */
    assert_non_null(strstr(life_at(&l, t + 1500), "commit 1 ")); /* a quarter session: a sign of life (rule 11) */
    life_step(&l, (struct holder_event){ .type = HOLDER_COMMITTED,
                                         .token = l.token,
                                         .failed = true,
                                         .parts = &(struct holder_part_at){ 0, 1, { 0 } },
                                         .part_count = 1 });
    assert_int_equal(l.h.contact_ms, t); /* a commit that failed is none */
    t = l.parts[0].retry_ms;
    assert_int_equal(t, l.now_ms + 50);
    assert_null(strstr(life_at(&l, t - 1), "commit"));
    assert_non_null(strstr(life_at(&l, t), "commit 1 "));
    l.h.contact_ms = t + 500; /* it joined again meanwhile */
    life_answer(&l, HOLDER_COMMITTED, 1, (struct mark){ 0 });
    assert_int_equal(l.h.contact_ms, t + 500);
}

static void what_failed_is_tried_again_in_a_moment(void **state)
{
    static const struct {
        enum part_state state;
        const char *what;
    } cases[] = { { PART_READING, "read offsets\n" },
                  { PART_STARTING, "commit 0 " },
                  { PART_COMMITTING, "commit 0 " } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct holder_part_at at = { 0, OFFSET_NONE, { 0 } };
        struct life l;
        int64_t t;

        life_owns(&l, BLUE, 0);
        if (i > 0)
            life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
        if (i > 1) {
            life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
            life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
        }
        assert_int_equal(l.parts[0].state, cases[i].state);
        life_step(&l, (struct holder_event){ .type = i > 0 ? HOLDER_COMMITTED : HOLDER_OFFSETS,
                                             .token = l.token,
                                             .failed = true,
                                             .parts = &at,
                                             .part_count = 1 });
        t = l.parts[0].retry_ms;
        assert_int_equal(t, l.now_ms + 50);
        assert_int_equal(holder_next_ms(&l.h, t - 20), t);
        assert_int_equal(holder_next_ms(&l.h, t - 200), t - 100);
        assert_int_equal(holder_next_ms(&l.h, t), t + 100);
        assert_string_equal(life_at(&l, t - 1), "");
        assert_ptr_equal(strstr(life_at(&l, t), cases[i].what), l.trace);
        life_at(&l, t + 1);
        assert_null(strstr(l.trace, cases[i].what)); /* it is out */
    }
}

static void a_question_for_the_log_end_is_asked_again(void **state)
{
    static const struct holder_topic_partition tps[] = { { 0, 0 }, { 0, 1 } };
    struct life l;
    uint64_t first;
    int64_t t;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_step(&l, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = &tps[0], .tp_count = 1 });
    first = l.token;
    life_step(&l, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = &tps[1], .tp_count = 1 });
    assert_int_not_equal(l.token, first);
    assert_int_equal(l.parts[0].barrier, BARRIER_LOG_END);
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_END, .token = l.token, .log_position = 6 });
    assert_int_equal(l.parts[0].barrier, BARRIER_LOG_END); /* each has its own question */
    assert_int_equal(l.parts[1].barrier, BARRIER_PASSED);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_END, .token = first, .failed = true });
    assert_int_equal(l.parts[0].barrier, BARRIER_REPORT);
    t = l.parts[0].retry_ms;
    assert_int_equal(t, l.now_ms + 50);
    assert_null(strstr(life_at(&l, t - 1), "read log end"));
    assert_non_null(strstr(life_at(&l, t), "read log end"));
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_END, .token = l.token, .log_position = 8 });
    assert_int_equal(l.parts[0].barrier, BARRIER_CATCH_UP);
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = 7 });
    assert_int_equal(l.parts[0].barrier, BARRIER_CATCH_UP);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_POSITION, .log_position = 8 });
    assert_int_equal(l.parts[0].barrier, BARRIER_PASSED);
    assert_int_equal(l.parts[0].barrier_epoch, 5);
    assert_string_equal(l.trace, "read offsets\nreport\n");
}

static void what_is_attached_and_sees_nothing_is_attached_again(void **state)
{
    struct life l;
    int64_t t;

    (void)state;
    life_active(&l);
    t = l.parts[0].attached_ms;
    assert_null(strstr(life_at(&l, t + 1499), "attach"));
    l.h.contact_ms = t + 1500;
    assert_null(strstr(life_at(&l, t + 1999), "attach"));
    assert_non_null(strstr(life_at(&l, t + 2000), "attach at 0\n"));
    assert_null(strstr(life_at(&l, t + 3999), "attach"));
    l.h.contact_ms = t + 3999;
    assert_non_null(strstr(life_at(&l, t + 4000), "attach at 0\n"));
    holder_at_end(&l.h, 0, 0, 1);
    l.h.contact_ms = t + 6000;
    assert_null(strstr(life_at(&l, t + 7000), "attach")); /* it flows */
}

/* --- what it says ------------------------------------------------------------------------------------------------- */

static void reports_have_their_times(void **state)
{
    struct life l;
    int64_t t;

    (void)state;
    life_active(&l);
    life_at(&l, l.now_ms + 10);
    t = l.h.report_made_ms;
    assert_string_equal(life_at(&l, t + 999), "");
    assert_string_equal(life_at(&l, t + 1000), "report\n");
    l.h.config.report_gap_ms = 128;
    t = l.h.report_made_ms;
    holder_deliver(&l.h, 0, 0, t, 1);
    assert_string_equal(life_at(&l, t + 127), "");
    assert_int_equal(holder_next_ms(&l.h, t + 127), t + 128);
    assert_int_equal(holder_next_ms(&l.h, t - 500), t - 400);
    assert_string_equal(life_at(&l, t + 128), "report\n");
    l.h.report_outstanding = true; /* one at a time */
    holder_at_end(&l.h, 0, 1, 1);
    l.h.report_due = true;
    assert_null(strstr(life_at(&l, t + 900), "report"));
    life_step(&l, (struct holder_event){ .type = HOLDER_REPORT_FAILED, .sequence = l.h.report_sequence });
    t = l.h.report_retry_ms;
    assert_int_equal(t, l.now_ms + 50);
    assert_null(strstr(life_at(&l, t - 1), "report"));
    assert_non_null(strstr(life_at(&l, t), "report\n"));
}

/* When it stopped, when the last record was done; when it began, when the first one came: the receipt's standstill. */
static void a_report_tells_when(void **state)
{
    struct report_part part;
    struct life l;
    int64_t us;

    (void)state;
    life_active(&l);
    part = life_report(&l);
    us = l.now_ms * 1000;
    assert_true(part.local == LOCAL_ACTIVE && part.owned);
    assert_true(part.attached_unix_us == us && part.first_unix_us == 0 && part.first == OFFSET_NONE);
    assert_true(part.stopped_unix_us == 0 && part.drained_unix_us == 0 && part.doubt == OFFSET_NONE);
    holder_deliver(&l.h, 0, 3, l.now_ms, 55);
    holder_deliver(&l.h, 0, 4, l.now_ms, 56);
    holder_given_again(&l.h, 0);
    holder_given_again(&l.h, 0);
    part = life_report(&l);
    assert_true(part.first == 3 && part.first_unix_us == 55 && part.attached_unix_us == us);
    assert_true(part.position == 5 && part.committed == 0 && part.in_flight == 2);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 0);
    part = life_report(&l);
    us = l.now_ms * 1000;
    assert_true(part.stopped_unix_us == us && part.drained_unix_us == 0 && part.order == 6);
    assert_false(holder_done(&l.h, 0, 4, 76)); /* not the last */
    assert_int_equal(life_report(&l).drained_unix_us, 0);
    assert_true(holder_done(&l.h, 0, 3, 77));
    assert_true(l.h.report_due);
    part = life_report(&l);
    assert_true(part.stopped_unix_us == us && part.drained_unix_us == 77 && part.in_flight == 0);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 7, 0); /* taken back before it was committed: on where it stopped */
    part = life_report(&l);
    assert_true(part.local == LOCAL_ACTIVE && part.position == 5);
    assert_true(part.attached_unix_us == l.now_ms * 1000 && part.first == OFFSET_NONE && part.first_unix_us == 0);
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 8, 0); /* nothing is in flight: it stops at once */
    part = life_report(&l);
    assert_true(part.stopped_unix_us == l.now_ms * 1000 && part.drained_unix_us == l.now_ms * 1000);
    assert_int_equal(part.local, LOCAL_DRAINING); /* not before its commit is there */
    life_answer(&l, HOLDER_COMMITTED, 5, (struct mark){ 0 });
    part = life_report(&l);
    assert_true(part.local == LOCAL_RELEASED && part.committed == 5);
    assert_int_equal(part.given_again, 2); /* since it was taken, whatever was ordered meanwhile */
    life_doc(&l, RIGHT_GRANTED, BLUE, 9, 9, 5);
    life_answer(&l, HOLDER_OFFSETS, 5, (struct mark){ MARK_EPOCH, 5 });
    assert_int_equal(life_report(&l).given_again, 0);
    life_begin(&l, BLUE); /* ordered before it has begun */
    life_doc(&l, RIGHT_RELEASING, BLUE, 5, 6, 100);
    life_assign(&l);
    part = life_report(&l);
    assert_true(part.position == OFFSET_NONE && part.committed == OFFSET_NONE && part.stopped_unix_us == 0);
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    part = life_report(&l);
    assert_true(part.position == 140 && part.committed == OFFSET_NONE && part.local == LOCAL_STANDBY);
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    part = life_report(&l);
    assert_true(part.stopped_unix_us == l.now_ms * 1000 && part.drained_unix_us == l.now_ms * 1000);
}

/* What it has heard, what it has applied, whether it may take a baton. */
static void a_report_tells_what_is_known(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };
    struct doc shard;
    struct life l;
    int64_t us;

    (void)state;
    life_begin(&l, GREEN);
    holder_report(&l.h, &r, 9);
    assert_true(!r.ready && !r.goodbye && r.sent_unix_us == 9 && r.color == GREEN && r.part_count == 0);
    assert_true(r.applied.term == -1 && r.report_interval_ms == 1000 && r.heard_unix_us == 0);
    doc_whole(&l.doc, l.batons, 1, 1, 5);
    l.batons[0] = baton(0, RIGHT_HELD, BLUE, 5);
    l.doc.fleet.written_unix_us = 4444;
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 6 });
    us = l.now_ms * 1000;
    life_step(&l, (struct holder_event){ .type = HOLDER_ASSIGNED, .tps = &tp, .tp_count = 1 });
    holder_report(&l.h, &r, 9);
    assert_true(!r.ready && r.applied.epoch == 5); /* it has not passed its barrier */
    assert_true(r.heard_written_unix_us == 4444 && r.heard_unix_us == us);
    doc_whole(&shard, l.batons, 1, 1, 6);
    shard.kind = DOC_SHARD;
    shard.fleet.written_unix_us = 5555; /* of its head, which has not come */
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &shard, .log_position = 7 });
    life_step(&l, (struct holder_event){ .type = HOLDER_DOC, .doc = &l.doc, .log_position = 8 }); /* an older one */
    life_step(&l, (struct holder_event){ .type = HOLDER_LOG_END, .token = l.token, .log_position = 8 });
    holder_report(&l.h, &r, 9);
    assert_true(r.ready && r.applied.epoch == 5 && r.stale_ignored == 1);
    assert_true(r.heard_written_unix_us == 4444 && r.heard_unix_us == us);
    assert_int_equal(r.sequence, l.h.report_sequence);
    life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
    holder_report(&l.h, &r, 9);
    assert_true(!r.ready && !r.goodbye);
    life_step(&l, (struct holder_event){ .type = HOLDER_LEFT });
    holder_report(&l.h, &r, 9);
    assert_true(r.goodbye);
    life_active(&l);
    holder_deliver(&l.h, 0, 0, l.now_ms, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_ABANDON });
    said(&l, "detach\nleave\nreport\n");
    life_step(&l, (struct holder_event){ .type = HOLDER_LEFT });
    holder_report(&l.h, &r, 9);
    assert_true(!r.goodbye && r.part_count == 1 && parts[0].in_flight == 1 && !parts[0].owned);
    holder_done(&l.h, 0, 0, 1);
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    holder_report(&l.h, &r, 9);
    assert_true(r.goodbye && r.part_count == 1 && parts[0].doubt == 1);
}

static void a_large_member_speaks_now_and_then(void **state)
{
    struct life l;

    (void)state;
    life_owns(&l, BLUE, 100);
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    l.h.config.report_gap_ms = 128;
    l.now_ms += 200;
    l.trace[0] = '\0';
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "attach at 140\nreport\n"); /* the first change is told at once */
    assert_int_equal(holder_deliver(&l.h, 0, 140, l.now_ms, 0), DELIVER_NOW);
    assert_true(holder_wants_turn(&l.h));
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "");
    assert_false(holder_wants_turn(&l.h)); /* the turn was there, the next comes by the clock: not one a record */
    assert_int_equal(holder_next_ms(&l.h, l.now_ms + 60), l.h.report_made_ms + 128);
    l.now_ms += 128;
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "report\n");
}

/* Questions about what is not there, or not so far, are answered by no. */
static void the_short_way_knows_what_is_not_there(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 1), DELIVER_DROP);
    assert_false(holder_at_end(&l.h, 0, 0, 1));
    assert_false(holder_cut(&l.h, 0, 0));
    assert_int_equal(holder_find(&l.h, 0, 0), -1);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
    life_assign(&l);
    assert_int_equal(holder_find(&l.h, 0, 0), 0);
    assert_int_equal(holder_find(&l.h, 0, 1), -1);
    assert_int_equal(holder_find(&l.h, 1, 0), -1);
    life_answer(&l, HOLDER_OFFSETS, 140, (struct mark){ MARK_EPOCH, 5 });
    assert_false(holder_at_end(&l.h, 0, 140, 1)); /* it has not begun */
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    assert_false(holder_at_end(&l.h, 0, 139, 1)); /* not where it stands */
    assert_true(holder_at_end(&l.h, 0, 140, 1));
    assert_false(holder_at_end(&l.h, 0, 140, 1)); /* said once */
    assert_int_equal(l.parts[0].first, 140);
    assert_int_equal(holder_deliver(&l.h, 0, 139, l.now_ms, 1), DELIVER_DROP); /* below its fence */
    assert_false(holder_done(&l.h, 0, 140, 1));                                /* never delivered */
    assert_int_equal(l.h.records_done, 0);
    for (int64_t o = 140; o < 148; o++)
        assert_int_equal(holder_deliver(&l.h, 0, o, l.now_ms, 1), DELIVER_NOW);
    assert_int_equal(holder_deliver(&l.h, 0, 148, l.now_ms, 1), DELIVER_LATER); /* the window is full */
    assert_int_equal(l.parts[0].first, 140);
}

static void every_state_has_a_name(void **state)
{
    static const char *const names[PART_STATE_COUNT] = { "idle",     "reading",    "starting", "active",
                                                         "draining", "committing", "released" };

    (void)state;
    for (int i = 0; i < PART_STATE_COUNT; i++)
        assert_string_equal(part_state_name((enum part_state)i), names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_baton_nothing_is_delivered),
        cmocka_unit_test(a_restart_begins_at_its_own_commit),
        cmocka_unit_test(where_a_holder_begins),
        cmocka_unit_test(a_grant_to_the_owner_needs_no_reading),
        cmocka_unit_test(an_answer_that_comes_too_late_begins_nothing),
        cmocka_unit_test(another_fleet_of_the_same_name_is_not_ours),
        cmocka_unit_test(a_fleet_made_again_is_looked_through_anew),
        cmocka_unit_test(a_release_waits_for_what_is_in_flight),
        cmocka_unit_test(what_fails_is_taken_back_from_the_last_one_on),
        cmocka_unit_test(what_has_a_done_one_behind_it_is_not_taken_back),
        cmocka_unit_test(what_was_taken_back_is_delivered_again),
        cmocka_unit_test(who_has_not_begun_releases_where_it_would_have),
        cmocka_unit_test(a_close_says_goodbye_last),
        cmocka_unit_test(a_goodbye_is_said_until_it_is_heard),
        cmocka_unit_test(a_revocation_does_not_wait_for_ever),
        cmocka_unit_test(what_is_done_is_committed_though_others_are_in_flight),
        cmocka_unit_test(what_cannot_be_committed_is_a_doubt),
        cmocka_unit_test(what_was_lost_stays_lost),
        cmocka_unit_test(what_is_another_grants_is_not_committed),
        cmocka_unit_test(an_answer_may_fail_for_one_partition),
        cmocka_unit_test(nothing_is_followed_that_is_not_known),
        cmocka_unit_test(a_standby_follows_now_and_then),
        cmocka_unit_test(a_follow_commit_holds_back_the_acknowledgement),
        cmocka_unit_test(a_follow_commit_is_not_asked_over),
        cmocka_unit_test(a_follow_commit_is_called_off_by_what_comes_between),
        cmocka_unit_test(a_log_that_is_cut_is_followed_from_its_end),
        cmocka_unit_test(a_member_without_contact_fences_itself),
        cmocka_unit_test(commits_have_their_times),
        cmocka_unit_test(what_failed_is_tried_again_in_a_moment),
        cmocka_unit_test(a_question_for_the_log_end_is_asked_again),
        cmocka_unit_test(what_is_attached_and_sees_nothing_is_attached_again),
        cmocka_unit_test(reports_have_their_times),
        cmocka_unit_test(a_report_tells_when),
        cmocka_unit_test(a_report_tells_what_is_known),
        cmocka_unit_test(a_large_member_speaks_now_and_then),
        cmocka_unit_test(the_short_way_knows_what_is_not_there),
        cmocka_unit_test(every_state_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
