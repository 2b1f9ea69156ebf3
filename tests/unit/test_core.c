/* test_core - the pure parts one by one: marks, terms, windows, documents, receipts, and a holder's life told step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/burrow.h"
#include "core/holder.h"
#include "core/replay.h"
#include "core/switch.h"
#include "core/terms.h"

/* --- marks, terms ----------------------------------------------------------------------------------------------------------- */

static void marks_are_read_back(void **state)
{
    static const struct {
        const char *text;
        struct mark mark;
    } cases[] = {
        { "baton/1 follow", { MARK_FOLLOW, 0 } },
        { "baton/1 epoch=0", { MARK_EPOCH, 0 } },
        { "baton/1 epoch=1", { MARK_EPOCH, 1 } },
        { "baton/1 epoch=01", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=9223372036854775807", { MARK_EPOCH, INT64_MAX } },
        { "", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=12x", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=-1", { MARK_FOREIGN, 0 } },
        { "baton/1 epoch=99999999999999999999", { MARK_FOREIGN, 0 } },
        { "baton/2 epoch=1", { MARK_FOREIGN, 0 } },
        { "somebody else's", { MARK_FOREIGN, 0 } },
    };
    char text[MARK_TEXT_MAX];

    (void)state;
    assert_int_equal(mark_parse("baton/1 epoch=7", sizeof("baton/1 epoch=7")).epoch,
                     7); /* the text's end comes along */
    assert_int_equal(mark_parse("baton/1 follow", sizeof("baton/1 follow")).kind, MARK_FOLLOW);
    assert_int_equal(mark_parse("\0", 1).kind, MARK_FOREIGN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct mark m = mark_parse(cases[i].text, strlen(cases[i].text));

        assert_int_equal(m.kind, cases[i].mark.kind);
        assert_int_equal(m.epoch, cases[i].mark.epoch);
        if (m.kind == MARK_FOREIGN)
            continue;
        mark_format(text, m);
        assert_string_equal(text, cases[i].text);
    }
}

static void a_dead_terms_record_is_void(void **state)
{
    struct terms t;

    (void)state;
    terms_init(&t);
    assert_true(terms_valid(&t, 3)); /* its claim was compacted away */
    terms_claim(&t, 10);
    assert_true(terms_valid(&t, 10));
    terms_claim(&t, 20);
    assert_false(terms_valid(&t, 10));
    assert_true(terms_valid(&t, 20));
    assert_false(terms_valid(&t, 19));
    terms_claim(&t, 10); /* told again by a log that is read from its beginning */
    assert_false(terms_valid(&t, 19));
    assert_true(terms_valid(&t, 21));
}

/* What a dead term's record hides is remembered key by key: a tombstone mends its own key and no other. */
static void a_tombstone_mends_its_own_key(void **state)
{
    const struct replay_key op_key = { REPLAY_OP, 1, -1 }, passes_key = { REPLAY_PASSES, 1, 0 };
    struct baton batons[1];
    struct fleet fleet;
    struct replay_op ops[4];
    struct replay_fleet f;
    struct terms t;
    struct replay_change done;
    int kept;

    (void)state;
    fleet_init(&fleet, batons, 1);
    replay_init(&f, &fleet, ops, 4);
    terms_init(&t);
    terms_claim(&t, 10);
    for (int order = 0; order < 2; order++) {
        const struct replay_key *first = order ? &op_key : &passes_key, *last = order ? &passes_key : &op_key;

        done = replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 10 });
        assert_int_equal(done.fate, REPLAY_KEPT);
        done.op->kept = &kept;
        replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_RECORD, .term = 3 });
        done = replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 3 });
        assert_int_equal(done.fate, REPLAY_VOID);
        assert_true(done.op->known);
        assert_true(replay_needs_heal(&f));
        done = replay_step(&f, &t, &(struct replay_record){ .key = *first, .what = REPLAY_TOMBSTONE });
        assert_int_equal(done.fate, REPLAY_GONE);
        assert_non_null(done.op);
        assert_ptr_equal(done.dropped, order ? &kept : NULL);
        assert_true(replay_needs_heal(&f));
        done = replay_step(&f, &t, &(struct replay_record){ .key = *last, .what = REPLAY_TOMBSTONE });
        assert_null(done.op);
        assert_ptr_equal(done.dropped, order ? NULL : &kept);
        assert_false(replay_needs_heal(&f));
        assert_int_equal(f.op_count, 0);
    }
    /* Of an operation that was never known, too. */
    replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_RECORD, .term = 3 });
    replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_RECORD, .term = 3 });
    done = replay_step(&f, &t, &(struct replay_record){ .key = passes_key, .what = REPLAY_TOMBSTONE });
    assert_non_null(done.op);
    assert_true(replay_needs_heal(&f));
    replay_step(&f, &t, &(struct replay_record){ .key = op_key, .what = REPLAY_TOMBSTONE });
    assert_int_equal(f.op_count, 0);
}

/* --- windows ------------------------------------------------------------------------------------------------------------------ */

static void the_low_watermark_waits_for_the_slowest(void **state)
{
    struct window_slot slots[4] = { 0 };
    struct window w = { .slots = slots, .room = 4 };

    (void)state;
    window_reset(&w, 100);
    assert_int_equal(window_low(&w), 100);
    window_push(&w, 100);
    window_push(&w, 103); /* a gap: compaction */
    window_push(&w, 104);
    assert_true(window_done(&w, 103));
    assert_int_equal(window_low(&w), 100);
    assert_int_equal(window_high_done(&w), 104);
    assert_false(window_done(&w, 200)); /* nor that */
    assert_false(window_done(&w, 103)); /* twice */
    assert_false(window_done(&w, 101)); /* never delivered */
    assert_true(window_done(&w, 100));
    assert_int_equal(window_low(&w), 104);
    assert_true(window_done(&w, 104));
    assert_int_equal(window_low(&w), 105);
    assert_int_equal(w.open, 0);
}

static void a_full_window_takes_no_more(void **state)
{
    struct window_slot slots[2];
    struct window w = { .slots = slots, .room = 2 }, none = { .room = 0 };

    (void)state;
    window_reset(&w, 0);
    assert_false(window_done(&w, 0)); /* there is nothing in flight */
    assert_int_equal(window_high_done(&w), OFFSET_NONE);
    window_push(&w, 0);
    window_push(&w, 1);
    assert_true(window_full(&w));
    window_done(&w, 1);
    assert_true(window_full(&w)); /* 0 is still in flight, so 1 keeps its place */
    window_done(&w, 0);
    assert_false(window_full(&w));
    assert_true(window_full(&none)); /* no slots yet: nothing is delivered */
}

/* --- documents ------------------------------------------------------------------------------------------------------------------ */

static struct baton baton(int partition, enum right right, enum color holder, uint64_t epoch)
{
    return (struct baton){ .partition = partition,
                           .state = right,
                           .holder = holder,
                           .epoch = epoch,
                           .order = epoch,
                           .taken = true,
                           .doubt = OFFSET_NONE };
}

static void all_blue(struct baton *ret, int count)
{
    for (int i = 0; i < count; i++)
        ret[i] = baton(i, RIGHT_HELD, BLUE, 1);
}

static void doc_whole(struct doc *doc, struct baton *batons, int count, int64_t term, uint64_t epoch)
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

static void a_lower_version_changes_nothing(void **state)
{
    struct baton old[1] = { baton(0, RIGHT_HELD, BLUE, 1) }, new[1] = { baton(0, RIGHT_HELD, GREEN, 2) }, table[4];
    struct fleet f;
    struct doc doc;

    (void)state;
    fleet_init(&f, table, 4);
    doc_whole(&doc, new, 1, 7, 2);
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    doc_whole(&doc, old, 1, 7, 1);
    assert_int_equal(fleet_apply(&f, &doc), DOC_STALE);
    doc_whole(&doc, old, 1, 6, 9);
    assert_int_equal(fleet_apply(&f, &doc), DOC_STALE);
    assert_int_equal(f.batons[0].holder, GREEN);
    assert_int_equal(f.version.epoch, 2);
}

static void shards_may_come_in_any_order(void **state)
{
    static struct baton table[2 * SHARD_BATONS], part[SHARD_BATONS];
    struct fleet f;
    struct doc doc;

    (void)state;
    for (int i = 0; i < 10; i++)
        part[i] = baton(SHARD_BATONS + i, RIGHT_HELD, BLUE, 1);
    fleet_init(&f, table, 2 * SHARD_BATONS);
    doc_whole(&doc, part, 10, 1, 1);
    doc.kind = DOC_SHARD;
    doc.shard = 1;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(fleet_find(&f, 0, SHARD_BATONS + 3), SHARD_BATONS + 3);
    assert_int_equal(fleet_find(&f, 0, 3), -1);
    assert_int_equal(fleet_find(&f, 0, 0), -1); /* what has not come is nobody's */
    all_blue(part, SHARD_BATONS);
    doc_whole(&doc, part, SHARD_BATONS, 1, 1);
    doc.kind = DOC_SHARD;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(fleet_find(&f, 0, 3), 3);
    assert_true(f.applied.term < 1); /* acknowledged only with the head */
    doc_whole(&doc, part, SHARD_BATONS + 10, 1, 1);
    doc.kind = DOC_HEAD;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(f.baton_count, SHARD_BATONS + 10);
    assert_int_equal(f.applied.epoch, 1);
    doc.fleet.baton_count = 2 * SHARD_BATONS; /* as many as there is room for */
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    doc.fleet.baton_count++;
    assert_int_equal(fleet_apply(&f, &doc), DOC_FITS_NOT);
    doc.fleet.baton_count = 3 * SHARD_BATONS;
    assert_int_equal(fleet_apply(&f, &doc), DOC_FITS_NOT);
    doc_whole(&doc, part, 1, 1, 2);
    doc.kind = DOC_SHARD;
    doc.shard = 2; /* beyond the room */
    assert_int_equal(fleet_apply(&f, &doc), DOC_FITS_NOT);
    doc.shard = 0; /* a shard takes nothing away from those behind it */
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(f.baton_count, SHARD_BATONS + 10);
}

/* A document as a whole says how many there are; a head may speak of more than have come. */
static void a_document_is_as_large_as_it_says(void **state)
{
    struct baton table[4], some[4];
    struct fleet f;
    struct doc doc;

    (void)state;
    all_blue(some, 4);
    fleet_init(&f, table, 4);
    assert_true(f.version.term == -1 && f.applied.term == -1 && !f.exists && f.baton_max == 4);
    doc_whole(&doc, some, 3, 1, 1);
    doc.fleet.applied = (struct version){ 0, 0 }; /* it counts as it came */
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_true(f.baton_count == 3 && f.exists && f.batons == table && f.baton_max == 4);
    assert_int_equal(version_compare(f.applied, (struct version){ 1, 1 }), 0);
    doc_whole(&doc, some, 2, 1, 2);
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(f.baton_count, 2);
    doc_whole(&doc, some, 4, 1, 3);
    doc.kind = DOC_HEAD;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(f.baton_count, 2);
    assert_int_equal(f.version.epoch, 3);
    doc_whole(&doc, some, 4, 1, 3); /* the same again changes nothing, and is no older */
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    table[1].topic = 1; /* orders/0, refunds/1, orders/1 */
    table[2].partition = 1;
    assert_int_equal(fleet_find(&f, 0, 1), 2);
    assert_int_equal(fleet_find(&f, 1, 1), 1);
    assert_int_equal(fleet_find(&f, 0, 2), -1);
}

/* Half of a change is there: batons that are newer than their head are no fault, a table of nobody's is none either. */
static void what_has_half_arrived_is_no_fault(void **state)
{
    struct baton table[2] = { baton(0, RIGHT_HELD, BLUE, 9), baton(1, RIGHT_HELD, BLUE, 9) };
    struct fleet f;

    (void)state;
    fleet_init(&f, table, 2);
    f.baton_count = 3;
    fleet_check(&f); /* deleted, or not born yet */
    f.baton_count = 2;
    f.exists = true;
    f.applied = (struct version){ 1, 8 };
    f.version = (struct version){ 1, 9 };
    table[1].order = 2; /* older than its grant */
    fleet_check(&f);
}

static void topics_are_only_appended(void **state)
{
    static const struct {
        const char *topics[3];
        bool extend;
    } cases[] = {
        { { "a", "b" }, true },  { { "a", "b", "c" }, true },  { { "a" }, false },
        { { "a", "c" }, false }, { { "b", "a", "c" }, false },
    };
    static struct fleet old, new;

    (void)state;
    old.spec = (struct spec){ .topics = { "a", "b" }, .topic_count = 2 };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        new.spec.topic_count = 0;
        for (int k = 0; k < 3 && cases[i].topics[k]; k++)
            snprintf(new.spec.topics[new.spec.topic_count++], TOPIC_NAME_MAX + 1, "%s", cases[i].topics[k]);
        assert_int_equal(fleet_topics_extend(&old, &new), cases[i].extend);
        assert_int_equal(fleet_topic(&new, "c"), new.spec.topic_count == 3 ? 2 : i == 3 ? 1 : -1);
    }
}

/* A fleet made again may have fewer partitions: what is beyond is nobody's any more. */
static void a_head_says_how_many_there_are(void **state)
{
    struct baton table[4], some[4];
    struct fleet f;
    struct doc doc;

    (void)state;
    all_blue(some, 4);
    fleet_init(&f, table, 4);
    doc_whole(&doc, some, 4, 1, 1);
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    doc_whole(&doc, some, 2, 1, 2);
    doc.kind = DOC_HEAD;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_int_equal(f.baton_count, 2);
    assert_int_equal(fleet_find(&f, 0, 3), -1);
    f.batons[1].state = RIGHT_PAUSED;
    assert_int_equal(fleet_count_held(&f, BLUE), 1);
    f.batons[1].state = RIGHT_GRANTED;
    assert_int_equal(fleet_count_held(&f, BLUE), 2);
    assert_int_equal(fleet_count_held(&f, GREEN), 0);
    doc.kind = DOC_GONE;
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_false(f.exists);
    assert_int_equal(f.baton_count, 0);
    doc_whole(&doc, NULL, 0, 1, 3); /* of a topic that has no partitions yet */
    assert_int_equal(fleet_apply(&f, &doc), DOC_APPLIED);
    assert_true(f.exists);
    assert_int_equal(f.baton_count, 0);
}

static void failed_versions_are_kept_the_newest_first(void **state)
{
    static struct fleet f;

    (void)state;
    for (uint32_t i = 1; i <= FAILED_MAX + 2; i++) {
        char version[8];

        snprintf(version, sizeof(version), "v%u", (unsigned)i);
        fleet_failed_add(&f, version, i);
    }
    assert_int_equal(f.failed_count, FAILED_MAX);
    for (int i = 0; i < FAILED_MAX; i++)
        assert_int_equal(f.failed[i].number, FAILED_MAX + 2 - i);
    assert_int_equal(fleet_failed(&f, "v1"), -1);
    fleet_failed_add(&f, "v4", 9); /* again: it moves to the front */
    assert_int_equal(f.failed_count, FAILED_MAX);
    assert_int_equal(fleet_failed(&f, "v4"), 0);
    assert_int_equal(f.failed[0].number, 9);
    assert_int_equal(f.failed[FAILED_MAX - 1].number, 3);
    fleet_failed_drop(&f, "v6");
    assert_int_equal(f.failed_count, FAILED_MAX - 1);
    assert_int_equal(f.failed[1].number, 5);
    fleet_failed_drop(&f, "never tried");
    fleet_failed_add(&f, "", 10); /* no label is no version */
    assert_int_equal(f.failed_count, FAILED_MAX - 1);
    assert_int_equal(fleet_failed(&f, ""), -1);
}

/* --- a holder's life ------------------------------------------------------------------------------------------------------------ */

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

static void said(struct life *l, const char *story)
{
    assert_string_equal(l->trace, story);
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

static void a_release_waits_for_what_is_in_flight(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
    life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
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

/* The brokers lost the log's end: it goes on below what is committed, and what comes there is new. */
static void a_log_that_is_cut_is_followed_from_its_end(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 50);
    life_assign(&l);
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

static void a_follow_commit_holds_back_the_acknowledgement(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, GREEN);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
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
    life_begin(&l, GREEN);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
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

static void a_member_without_contact_fences_itself(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
    life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    l.now_ms += 7000; /* SIGSTOP, say */
    assert_int_equal(holder_deliver(&l.h, 0, 0, l.now_ms, 1), DELIVER_LATER);
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_TICK });
    said(&l, "detach\ncommit 0 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 }); /* still a member: it begins again by rule 6 */
    said(&l, "read offsets\nreport\n");
}

static void what_cannot_be_committed_is_a_doubt(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
    life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
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

/* Two records in flight, the first done: whoever comes next must not do it again because the second is slow. */
static void what_is_done_is_committed_though_others_are_in_flight(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };
    static const enum holder_event_type ends[] = { HOLDER_REVOKED, HOLDER_ABANDON };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct life l;

        life_begin(&l, BLUE);
        life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
        life_assign(&l);
        life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
        life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
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

static void a_close_says_goodbye_last(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(&l);
    life_answer(&l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    l.trace[0] = '\0';
    life_step(&l, (struct holder_event){ .type = HOLDER_CLOSE });
    said(&l, "detach\ncommit 0 baton/1 epoch=5\nreport\n");
    life_answer(&l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    said(&l, "leave\nreport\n");
    life_step(&l, (struct holder_event){ .type = HOLDER_LEFT });
    said(&l, "report\nclosed\n");
}

/* What a part of an answer says counts for that partition; a failed one is asked again in a moment, not at once. */
static void an_answer_may_fail_for_one_partition(void **state)
{
    const struct holder_part_at at = { 0, 140, { MARK_EPOCH, 5 } };
    const bool failed = true;
    struct holder_event ev = { .type = HOLDER_OFFSETS, .parts = &at, .part_count = 1, .part_failed = &failed };
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
    life_assign(&l);
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

/* What the other color has committed is followed; where it has committed nothing, or cannot be read, nothing is. */
static void nothing_is_followed_that_is_not_known(void **state)
{
    static const bool bad[] = { true };

    (void)state;
    for (int fault = 0; fault < 4; fault++) {
        const struct holder_part_at at = { 0, fault == 0 ? OFFSET_NONE : 33, { MARK_EPOCH, 5 } };
        struct life l;

        life_begin(&l, GREEN);
        life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
        life_assign(&l);
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

/* A fleet made again with other topics under the same name: what our partitions are called is not theirs. */
static void another_fleet_of_the_same_name_is_not_ours(void **state)
{
    struct baton many[5];
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
    life_assign(&l);
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

/* Between the question and its answer the world may change: an answer that comes then begins nothing. */
static void an_answer_that_comes_too_late_begins_nothing(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };

    (void)state;
    for (int committing = 0; committing < 2; committing++)
        for (int what = 0; what < 6; what++) {
            struct life l;
            uint64_t token;

            life_begin(&l, BLUE);
            life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
            life_assign(&l);
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

/* A question of a standby that is on its way when it is told to go: nothing comes of the answer, and it says goodbye. */
static void a_follow_commit_is_called_off_by_what_comes_between(void **state)
{
    static const struct holder_topic_partition tp = { 0, 0 };

    (void)state;
    for (int what = 0; what < 3; what++) {
        struct life l;

        life_begin(&l, GREEN);
        life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
        life_assign(&l);
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

/* --- a holder's times, to the millisecond ------------------------------------------------------------------------------------ */

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
static void life_active(struct life *l)
{
    life_begin(l, BLUE);
    life_doc(l, RIGHT_HELD, BLUE, 5, 5, 0);
    life_assign(l);
    life_answer(l, HOLDER_OFFSETS, OFFSET_NONE, (struct mark){ 0 });
    life_answer(l, HOLDER_COMMITTED, 0, (struct mark){ 0 });
    assert_int_equal(l->parts[0].state, PART_ACTIVE);
    l->h.commits_ms = l->h.contact_ms = l->h.follow_ms = l->now_ms;
    l->trace[0] = '\0';
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

        life_begin(&l, BLUE);
        life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
        life_assign(&l);
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

static void a_standby_follows_now_and_then(void **state)
{
    struct life l;
    int64_t t;

    (void)state;
    for (int what = 0; what < 3; what++) {
        life_begin(&l, GREEN);
        life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 0);
        life_assign(&l);
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

/* --- what a holder reports --------------------------------------------------------------------------------------------------- */

static struct report_part life_report(struct life *l)
{
    static struct report_part parts[4];
    struct report r = { .parts = parts, .part_max = 4 };

    holder_report(&l->h, &r, 0);
    assert_int_equal(r.part_count, 1);
    return parts[0];
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

/* --- orders ------------------------------------------------------------------------------------------------------- */

static void a_large_member_speaks_now_and_then(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l, BLUE);
    life_doc(&l, RIGHT_HELD, BLUE, 5, 5, 100);
    life_assign(&l);
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

static void a_rollback_typed_twice_does_not_go_forth(void **state)
{
    static struct switcher s;
    static struct baton table[1], born[1];
    static struct baton_fact facts[1];
    static struct pass forth[1], back[1];
    static struct stage_item items[1];
    static const struct {
        uint32_t number;
        enum op_kind kind;
        enum op_state state;
        uint32_t of_number;
        bool asks; /* its preflight begins */
    } cases[] = {
        { 0, OP_SWITCH, OP_COMPLETE, 0, false },     { 1, OP_SWITCH, OP_COMPLETE, 0, true },
        { 1, OP_SWITCH, OP_ROLLED_BACK, 0, false },  { 2, OP_ROLLBACK, OP_COMPLETE, 1, false },
        { 2, OP_ROLLBACK, OP_ROLLED_BACK, 1, true }, { 2, OP_SWITCH, OP_NEEDS_OPERATOR, 0, true },
        { 3, OP_RESUME, OP_COMPLETE, 1, true },      { 3, OP_RESUME, OP_COMPLETE, 0, false },
    };
    const struct order order = { .kind = ORDER_ROLLBACK, .observe_ms = -1, .deadline_ms = -1 };
    const struct spec spec = { .topic_count = 1,
                               .stages = { .items = { { STAGE_SHARE, 100, 0 } }, .count = 1 },
                               .deadline_ms = 1000 };
    int batons[4];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct switcher_effects fx = { .batons = batons, .baton_max = 4 };
        struct switcher_event ev = { .type = SWITCHER_ORDER, .now_ms = 1000, .now_unix_us = 1000000, .order = &order };
        struct fleet fleet;

        fleet_init(&fleet, table, 1);
        switcher_init(&s, &(struct switcher_memory){ &fleet, facts, forth, back, items });
        switcher_birth(&s, &spec, (struct version){ 1, 1 }, born, 1, 1000000);
        s.op.number = cases[i].number;
        s.op.kind = cases[i].kind;
        s.op.state = cases[i].state;
        s.op.of_number = cases[i].of_number;
        switcher_step(&s, &ev, &fx);
        assert_int_equal(fx.count, 1);
        assert_int_equal(fx.items[0].type, cases[i].asks ? SWITCHER_READ_ALL : SWITCHER_REPLY);
        if (!cases[i].asks)
            assert_int_equal(fx.items[0].status, REPLY_CONFLICT);
    }
}

/* --- receipts --------------------------------------------------------------------------------------------------------------------- */

static void a_receipt_sums_up(void **state)
{
    struct pass forth[3], back[3];
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 3 };
    struct receipt_sum sum;
    int64_t scratch[6];

    (void)state;
    memset(forth, 0, sizeof(forth));
    memset(back, 0, sizeof(back));
    for (int i = 0; i < 3; i++) {
        back[i].doubt = back[i].repeat_to = OFFSET_NONE;
        forth[i] = (struct pass){ .ordered = true,
                                  .grant = 7,
                                  .committed = 50,
                                  .from = 50,
                                  .doubt = OFFSET_NONE,
                                  .repeat_to = OFFSET_NONE,
                                  .taken = true,
                                  .drained_unix_us = 1000,
                                  .attached_unix_us = 3000,
                                  .first_unix_us = 4000 + 1000 * i };
    }
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.passed, 3);
    assert_int_equal(sum.gaps, 0);
    assert_int_equal(sum.listed_repeats, 0);
    assert_int_equal(sum.standstill_us_p50, 4000);
    assert_int_equal(sum.standstill_us_max, 5000);
    forth[0].doubt = 53;
    forth[1].from = 40;
    forth[1].repeat_to = 50;
    forth[2].from = 51; /* never written by Baton: a gap must show */
    forth[2].first_unix_us = 0;
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.listed_repeats, 13);
    assert_int_equal(sum.gaps, 1);
    assert_int_equal(pass_standstill_us(&forth[2]), 2000); /* an empty partition stood still until it was attached */
}

/* The nearest rank of what is known, in whatever order; both ways count; what was ordered and never granted does not. */
static void a_receipt_sums_both_ways(void **state)
{
    static const int took_us[] = { 700, 100, 0, 900, 300, 500, 200, 800, 600, 400 };
    struct pass forth[10], back[10];
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 10 };
    struct receipt_sum sum;
    int64_t scratch[20];

    (void)state;
    for (int i = 0; i < 10; i++) {
        forth[i] = (struct pass){ .ordered = true,
                                  .grant = 7,
                                  .committed = 50,
                                  .from = 50,
                                  .first = 50,
                                  .log_start = OFFSET_NONE,
                                  .doubt = OFFSET_NONE,
                                  .repeat_to = OFFSET_NONE,
                                  .taken = true,
                                  .drained_unix_us = 1000,
                                  .first_unix_us = 1000 + took_us[i] };
        back[i] = (struct pass){ .log_start = OFFSET_NONE, .doubt = OFFSET_NONE, .repeat_to = OFFSET_NONE };
    }
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.ordered == 10 && sum.passed == 10 && sum.returned == 0 && sum.standstill_known == 10);
    assert_int_equal(sum.standstill_us_p50, 400);
    assert_int_equal(sum.standstill_us_p99, 900);
    assert_int_equal(sum.standstill_us_max, 900);
    for (int i = 0; i < 2; i++) {
        back[i] = forth[i];
        back[i].first_unix_us = 3000 + i;
    }
    back[0].from = 40; /* records 40 to 49 are done by both */
    back[0].repeat_to = 50;
    back[1].from = back[1].committed = 40;
    back[1].doubt = 44;
    back[1].log_start = 45; /* 40 to 44 had gone when it was fetched */
    back[1].first = 48;
    back[2].grant = 9; /* not ordered by this operation */
    back[2].doubt = 99;
    back[3].ordered = true; /* nor granted */
    back[3].doubt = 99;
    forth[4].from = 49; /* never written by Baton: back without being listed */
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.ordered == 10 && sum.passed == 10 && sum.returned == 3);
    assert_int_equal(sum.listed_repeats, 10 + 4);
    assert_int_equal(sum.removed, 5);
    assert_int_equal(sum.gaps, 1);
    assert_int_equal(sum.standstill_known, 12);
    assert_int_equal(sum.standstill_us_p50, 500);
    assert_int_equal(sum.standstill_us_max, 2001);
}

/* Clocks of two hosts, retention, numbers that somebody else wrote: a receipt never says what cannot be. */
static void a_receipt_says_nothing_that_cannot_be(void **state)
{
    struct pass p = { .taken = true, .drained_unix_us = 5000, .first_unix_us = 4000, .log_start = OFFSET_NONE };
    struct pass forth[2] = {
        { .ordered = true, .grant = 3, .committed = 1, .from = 1, .doubt = INT64_MAX, .repeat_to = OFFSET_NONE },
        { .ordered = true, .grant = 3, .committed = 1, .from = 1, .doubt = INT64_MAX - 1, .repeat_to = OFFSET_NONE }
    };
    struct pass back[2] = { { .ordered = true, .doubt = 9, .repeat_to = OFFSET_NONE }, /* never granted */
                            { .grant = 0, .doubt = 9 } };
    struct op op = { .number = 1, .forth = forth, .back = back, .pass_count = 2 };
    struct receipt_sum sum;
    int64_t scratch[4];

    (void)state;
    assert_int_equal(pass_standstill_us(&p), 0); /* the skew has turned it round */
    assert_int_equal(pass_heard_us(&p), -1);
    p.release_heard_unix_us = 7000;
    assert_int_equal(pass_heard_us(&p), -1);
    p.take_heard_unix_us = 9000;
    assert_int_equal(pass_heard_us(&p), 2000);
    p.drained_unix_us = 0;
    assert_int_equal(pass_standstill_us(&p), -1);
    p.taken = false;
    assert_int_equal(pass_heard_us(&p), -1);
    assert_int_equal(pass_standstill_us(&p), -1);
    p.from = 10;
    p.first = 20;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE); /* not known: the log's start was not read */
    p.log_start = 10;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE); /* compaction, or a transaction's end: nothing was removed */
    p.log_start = 15;
    assert_int_equal(pass_removed_to(&p), 15);
    p.log_start = 25; /* read later, when even more was gone */
    assert_int_equal(pass_removed_to(&p), 20);
    p.first = 10;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE);
    p.from = OFFSET_NONE;
    assert_int_equal(pass_removed_to(&p), OFFSET_NONE);
    receipt_sum(&sum, &op, scratch);
    assert_true(sum.listed_repeats == INT64_MAX); /* and not beyond */
    assert_int_equal(sum.passed, 2);
    assert_int_equal(sum.returned, 0);
    assert_int_equal(sum.standstill_known, 0);
    assert_int_equal(sum.standstill_us_p99, -1);
    forth[0].committed = -7;
    forth[1].doubt = 1;
    receipt_sum(&sum, &op, scratch);
    assert_int_equal(sum.listed_repeats, 0);
}

/* --- figures ------------------------------------------------------------------------------------------------------------------------ */

static void a_histogram_has_its_ends(void **state)
{
    struct histogram h = { 0 }, old, since;

    (void)state;
    histogram_add(&h, 3, 1);
    histogram_add(&h, 100, 1);
    histogram_add(&h, INT64_MAX, 1); /* beyond the last bucket */
    assert_int_equal(histogram_quantile(&h, -1), histogram_bucket(3));
    assert_int_equal(histogram_quantile(&h, 0), histogram_bucket(3));
    assert_int_equal(histogram_quantile(&h, 0.34), histogram_bucket(100)); /* the second of three */
    assert_int_equal(histogram_quantile(&h, 1), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_quantile(&h, 2), HISTOGRAM_BUCKETS - 1);
    old = h;
    old.counts[histogram_bucket(3)] = 5; /* another process': fewer by now than before */
    assert_false(histogram_since(&since, &h, &old));
}

/* Of a group the worst partition counts; unknown is worse than good, and better than everything else. */
static void a_group_is_as_its_worst_partition(void **state)
{
    static const struct {
        enum burrow_status group, partition, worse;
    } cases[] = {
        { BURROW_OK, BURROW_OK, BURROW_OK },           { BURROW_OK, BURROW_UNKNOWN, BURROW_UNKNOWN },
        { BURROW_UNKNOWN, BURROW_OK, BURROW_UNKNOWN }, { BURROW_UNKNOWN, BURROW_WARN, BURROW_WARN },
        { BURROW_WARN, BURROW_UNKNOWN, BURROW_WARN },  { BURROW_OK, BURROW_STOP, BURROW_ERR },
        { BURROW_ERR, BURROW_WARN, BURROW_ERR },       { BURROW_WARN, BURROW_STALL, BURROW_ERR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(burrow_group_worse(cases[i].group, cases[i].partition), cases[i].worse);
}

static void failures_are_told_by_class_and_no_more_than_fit(void **state)
{
    static struct signals s, old, sum;
    char name[FAILURE_CLASS_MAX + 20];

    (void)state;
    signals_fail(&s, "java.io.IOException", 2);
    signals_fail(&s, "a b\nC-9_z\x80", 1);
    signals_fail(&s, "", 4);
    assert_string_equal(s.failed[0].name, "java.io.IOException");
    assert_string_equal(s.failed[1].name, "a_b_C-9_z_");
    assert_string_equal(s.failed[2].name, FAILURE_CLASS_OTHER);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    signals_fail(&s, name, 1);
    assert_int_equal(strlen(s.failed[3].name), FAILURE_CLASS_MAX);
    assert_int_equal(signals_failed(&s), 8);
    old = s;
    signals_fail(&s, "java.io.IOException", 3);
    signals_add_since(&sum, &s, &old);
    assert_int_equal(signals_failed(&sum), 3);
    old.failed[0].count = 100; /* a process that began anew: all of it is new */
    old.processing.sum_us = 9;
    memset(&sum, 0, sizeof(sum));
    histogram_add(&s.processing, 5, 2);
    signals_add_since(&sum, &s, &old);
    assert_int_equal(sum.failed[0].count, 5);
    assert_int_equal(histogram_count(&sum.processing), 2);
    memset(&s, 0, sizeof(s));
    for (int i = 0; i < FAILURE_CLASSES_MAX + 5; i++) {
        snprintf(name, sizeof(name), "class%d", i);
        signals_fail(&s, name, 1);
    }
    assert_int_equal(s.failed_count, FAILURE_CLASSES_MAX);
    assert_string_equal(s.failed[FAILURE_CLASSES_MAX - 1].name, FAILURE_CLASS_OTHER);
    assert_int_equal(s.failed[FAILURE_CLASSES_MAX - 1].count, 6);
    assert_int_equal(signals_failed(&s), FAILURE_CLASSES_MAX + 5);
}

/* --- the preflight: a fleet that may be switched, spoiled in one way at a time ---------------------------------------------------- */

struct preflight {
    struct fleet fleet;
    struct baton table[2];
    struct op op;
    struct report reports[3];
    const struct report *newest[3];
    struct report_part parts[3][2];
    struct snapshot snapshot;
    struct partition_view partitions[2];
    struct group_member members[COLOR_COUNT][2];
    struct plan_input in;
};

static void preflight_good(struct preflight *p)
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
          "stop it, or build it on libbaton with this fleet and color" },
        { "member-not-listed", FINDING_REFUSAL,
          "member in0 (h0) of blue reported, but the brokers do not list it in group f-blue",
          "restart it or end it; it is forgotten 75 s after the brokers dropped it" },
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
          "start members with baton.fleet=f and baton.color=green" },
        { "no-holder", FINDING_REFUSAL, "blue has no member", "start members with baton.fleet=f and baton.color=blue" },
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
          "stop it, or build it on libbaton with this fleet and color" },
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
          "restart it or end it; it is forgotten 75 s after the brokers dropped it" },
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

/* --- documents from outside -------------------------------------------------------------------------------------------------------- */

static void a_document_that_cannot_be_is_refused(void **state)
{
    static struct preflight p;
    const char *why = NULL;

    (void)state;
    for (int fault = 0; fault < 17; fault++) {
        preflight_good(&p);
        switch (fault) {
        case 0:
            assert_true(fleet_valid(&p.fleet, &why));
            assert_int_equal(fleet_count_held(&p.fleet, BLUE), 2);
            continue;
        case 1:
            p.fleet.baton_count = 3;
            break;
        case 2:
            p.fleet.spec.topic_count = 0;
            break;
        case 3:
            p.fleet.active = COLOR_COUNT;
            break;
        case 4:
            p.table[0].topic = 1;
            break;
        case 5:
            p.table[1].partition = -1;
            break;
        case 6:
            p.table[1].state = (enum right)RIGHT_COUNT;
            break;
        case 7:
            p.table[1].order = p.table[1].epoch - 1;
            break;
        case 8:
            p.table[1].order = 6;
            break;
        case 9:
            p.table[1].from = -1;
            break;
        case 10:
            p.table[1].doubt = -2;
            break;
        case 11:
            p.table[1].partition = 0;
            break;
        case 12:
            p.table[1].holder = COLOR_COUNT;
            break;
        case 13:
            p.table[1].epoch = 0;
            break;
        case 14:
            p.fleet.baton_count = -1;
            break;
        case 15:
            p.fleet.spec.topic_count = TOPICS_MAX + 1;
            break;
        default:
            p.fleet.phase = PHASE_COUNT;
        }
        why = NULL;
        assert_false(fleet_valid(&p.fleet, &why));
        assert_non_null(why);
        assert_false(fleet_valid(&p.fleet, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_read_back),
        cmocka_unit_test(a_dead_terms_record_is_void),
        cmocka_unit_test(a_tombstone_mends_its_own_key),
        cmocka_unit_test(the_low_watermark_waits_for_the_slowest),
        cmocka_unit_test(a_full_window_takes_no_more),
        cmocka_unit_test(a_lower_version_changes_nothing),
        cmocka_unit_test(shards_may_come_in_any_order),
        cmocka_unit_test(a_document_is_as_large_as_it_says),
        cmocka_unit_test(what_has_half_arrived_is_no_fault),
        cmocka_unit_test(topics_are_only_appended),
        cmocka_unit_test(a_head_says_how_many_there_are),
        cmocka_unit_test(failed_versions_are_kept_the_newest_first),
        cmocka_unit_test(without_a_baton_nothing_is_delivered),
        cmocka_unit_test(a_restart_begins_at_its_own_commit),
        cmocka_unit_test(where_a_holder_begins),
        cmocka_unit_test(a_release_waits_for_what_is_in_flight),
        cmocka_unit_test(a_log_that_is_cut_is_followed_from_its_end),
        cmocka_unit_test(a_grant_to_the_owner_needs_no_reading),
        cmocka_unit_test(a_follow_commit_holds_back_the_acknowledgement),
        cmocka_unit_test(a_follow_commit_is_not_asked_over),
        cmocka_unit_test(a_member_without_contact_fences_itself),
        cmocka_unit_test(what_cannot_be_committed_is_a_doubt),
        cmocka_unit_test(what_is_done_is_committed_though_others_are_in_flight),
        cmocka_unit_test(a_close_says_goodbye_last),
        cmocka_unit_test(an_answer_may_fail_for_one_partition),
        cmocka_unit_test(nothing_is_followed_that_is_not_known),
        cmocka_unit_test(another_fleet_of_the_same_name_is_not_ours),
        cmocka_unit_test(the_short_way_knows_what_is_not_there),
        cmocka_unit_test(every_state_has_a_name),
        cmocka_unit_test(a_goodbye_is_said_until_it_is_heard),
        cmocka_unit_test(a_large_member_speaks_now_and_then),
        cmocka_unit_test(a_rollback_typed_twice_does_not_go_forth),
        cmocka_unit_test(a_receipt_sums_up),
        cmocka_unit_test(a_receipt_sums_both_ways),
        cmocka_unit_test(a_receipt_says_nothing_that_cannot_be),
        cmocka_unit_test(a_histogram_has_its_ends),
        cmocka_unit_test(failures_are_told_by_class_and_no_more_than_fit),
        cmocka_unit_test(every_fault_has_its_finding),
        cmocka_unit_test(what_is_almost_a_fault_is_none),
        cmocka_unit_test(more_findings_than_fit_are_counted),
        cmocka_unit_test(a_document_that_cannot_be_is_refused),
        cmocka_unit_test(a_fleet_made_again_is_looked_through_anew),
        cmocka_unit_test(an_answer_that_comes_too_late_begins_nothing),
        cmocka_unit_test(who_has_not_begun_releases_where_it_would_have),
        cmocka_unit_test(a_follow_commit_is_called_off_by_what_comes_between),
        cmocka_unit_test(a_group_is_as_its_worst_partition),
        cmocka_unit_test(commits_have_their_times),
        cmocka_unit_test(what_failed_is_tried_again_in_a_moment),
        cmocka_unit_test(a_question_for_the_log_end_is_asked_again),
        cmocka_unit_test(what_is_attached_and_sees_nothing_is_attached_again),
        cmocka_unit_test(reports_have_their_times),
        cmocka_unit_test(a_standby_follows_now_and_then),
        cmocka_unit_test(a_revocation_does_not_wait_for_ever),
        cmocka_unit_test(a_report_tells_when),
        cmocka_unit_test(a_report_tells_what_is_known),
        cmocka_unit_test(what_was_lost_stays_lost),
        cmocka_unit_test(what_is_another_grants_is_not_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
