/*
 * test_replay - the control log: what each record means for who reads it, and which records a leader writes, in which order.
 *
 * What is written is told in a line, record by record: h (head), s1 (shard 1), o7 (operation 7), p7.1 (passes of 7, shard 1); and
 * then what it says: + as it is now, = as it was kept, - a tombstone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/replay.h"

#define BATONS (3 * SHARD_BATONS)
#define OPS 3
#define DEAD 5 /* a term whose reign is over, */
#define TERM 10
#define NEXT 20 /* and one whose claim was compacted away */

static const struct replay_key head = { REPLAY_HEAD, 0, -1 };

static struct replay_key shard(int n)
{
    return (struct replay_key){ REPLAY_SHARD, 0, n };
}

static struct replay_key op_key(uint32_t number)
{
    return (struct replay_key){ REPLAY_OP, number, -1 };
}

static struct replay_key passes(uint32_t number, int n)
{
    return (struct replay_key){ REPLAY_PASSES, number, n };
}

/* One who reads the log, and the leader that he may become. */
struct log {
    struct fleet fleet;
    struct baton batons[BATONS];
    struct replay_op ops[OPS];
    struct replay_fleet f;
    struct terms terms;
    struct switcher s;
    struct pass forth[BATONS], back[BATONS];
    struct baton_fact facts[BATONS];
    struct stage_item items[BATONS];
    struct replay_pen pen;
    char written[1024];
    int room; /* for so many records more, -1: for all */
};

static struct log *log_new(void)
{
    struct log *l = calloc(1, sizeof(*l));

    fleet_init(&l->fleet, l->batons, BATONS);
    replay_init(&l->f, &l->fleet, l->ops, OPS);
    terms_init(&l->terms);
    terms_claim(&l->terms, TERM);
    switcher_init(&l->s, &(struct switcher_memory){ &l->fleet, l->facts, l->forth, l->back, l->items });
    l->room = -1;
    return l;
}

/* The document of so many batons as it stands in the log. */
static struct doc *doc_new(enum doc_kind kind, int n, int count, struct version version)
{
    static struct baton batons[BATONS + 1];
    static struct doc doc;

    for (int i = 0; i <= BATONS; i++)
        batons[i] = (struct baton){ .partition = i, .epoch = 1, .order = 1, .doubt = OFFSET_NONE };
    memset(&doc, 0, sizeof(doc));
    doc.kind = kind;
    doc.version = doc.fleet.version = doc.fleet.applied = version;
    doc.shard = n;
    doc.fleet.exists = true;
    doc.fleet.spec.topic_count = 1;
    doc.fleet.batons = &batons[kind == DOC_SHARD && n < BATONS / SHARD_BATONS ? n * SHARD_BATONS : 0];
    doc.fleet.baton_count = doc.fleet.baton_max = count;
    return &doc;
}

static struct replay_change take(struct log *l, struct replay_key key, enum replay_what what, int64_t term,
                                 const struct doc *doc)
{
    return replay_step(&l->f, &l->terms, &(struct replay_record){ .key = key, .what = what, .term = term, .doc = doc });
}

static struct replay_change record(struct log *l, struct replay_key key, int64_t term)
{
    static uint64_t epoch = 100;
    struct doc *doc =
        doc_new(key.kind == REPLAY_SHARD ? DOC_SHARD : DOC_WHOLE, key.shard, 1, (struct version){ term, ++epoch });

    return take(l, key, REPLAY_RECORD, term, doc);
}

static struct replay_change bury(struct log *l, struct replay_key key)
{
    return take(l, key, REPLAY_TOMBSTONE, 0, NULL);
}

static bool put(void *opaque, const struct replay_key *key, enum replay_text text)
{
    struct log *l = opaque;
    const size_t len = strlen(l->written);
    char *at = l->written + len;
    const size_t room = sizeof(l->written) - len;
    const char *sep = len ? " " : "", say = text == REPLAY_PRESENT ? '+' : text == REPLAY_AGAIN ? '=' : '-';

    if (l->room == 0) {
        snprintf(at, room, "%s!", sep);
        return false;
    }
    l->room--;
    switch (key->kind) {
    case REPLAY_HEAD:
        snprintf(at, room, "%sh%c", sep, say);
        break;
    case REPLAY_SHARD:
        snprintf(at, room, "%ss%d%c", sep, key->shard, say);
        break;
    case REPLAY_OP:
        snprintf(at, room, "%so%u%c", sep, (unsigned)key->number, say);
        break;
    case REPLAY_PASSES:
        snprintf(at, room, "%sp%u.%d%c", sep, (unsigned)key->number, key->shard, say);
        break;
    }
    return true;
}

static void wrote(struct log *l, const char *expected)
{
    assert_string_equal(l->written, expected);
    l->written[0] = '\0';
    l->room = -1;
}

static void write_all(struct log *l, const char *expected)
{
    replay_write(&l->pen, &l->f, &l->s, put, l);
    wrote(l, expected);
}

/* From the beginning, with room for so many records in one append. */
static void heals(struct log *l, int room, const char *story)
{
    l->pen.heal = true;
    l->room = room;
    write_all(l, story);
}

static void dirty_all(struct log *l)
{
    l->s.dirty.head = l->s.dirty.op = true;
    for (int i = 0; i < SHARDS_MAX; i++)
        l->s.dirty.shards[i] = l->s.dirty.passes[i] = true;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static bool marked(const struct log *l, struct replay_key key)
{
    const struct replay_op *op = replay_find(&l->f, key.number);

    switch (key.kind) {
    case REPLAY_HEAD:
        return l->f.head_void;
    case REPLAY_SHARD:
        return l->f.shard_void[key.shard];
    case REPLAY_OP:
        return op && op->void_newest;
    case REPLAY_PASSES:
        return op && (op->passes_void & (UINT32_C(1) << key.shard));
    }
    return false;
}

/* The last record of a key decides: dead, unreadable, true, or a tombstone. */
static void the_newest_of_a_key_decides(void **state)
{
    const struct replay_key keys[] = { head, shard(0), shard(2), op_key(7), passes(7, 0), passes(7, 31) };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        struct log *l = log_new();
        const struct replay_key k = keys[i];

        assert_int_equal(record(l, k, TERM).fate, REPLAY_KEPT);
        assert_false(replay_needs_heal(&l->f));
        assert_int_equal(record(l, k, DEAD).fate, REPLAY_VOID);
        for (size_t n = 0; n < ARRAY_COUNT(keys); n++)
            assert_int_equal(marked(l, keys[n]), n == i);
        assert_true(replay_needs_heal(&l->f));
        assert_int_equal(record(l, k, NEXT).fate, REPLAY_KEPT);
        assert_false(replay_needs_heal(&l->f));
        assert_int_equal(take(l, k, REPLAY_CORRUPT, 0, NULL).fate, REPLAY_VOID);
        assert_true(replay_needs_heal(&l->f));
        assert_int_equal(bury(l, k).fate, REPLAY_GONE);
        assert_false(replay_needs_heal(&l->f));
        free(l);
    }
}

static void marks_are_of_one_key_each(void **state)
{
    struct log *l = log_new();

    (void)state;
    record(l, op_key(7), TERM);
    record(l, passes(7, 0), DEAD);
    record(l, passes(7, 2), DEAD);
    record(l, passes(7, 0), TERM);
    assert_int_equal(l->ops[0].passes_void, 1u << 2);
    assert_int_equal(l->ops[0].passes_known, 1u << 0);
    record(l, shard(1), DEAD);
    record(l, shard(0), TERM);
    assert_true(l->f.shard_void[1]);
    bury(l, passes(7, 2));
    assert_true(replay_needs_heal(&l->f)); /* the shard still does */
    assert_int_equal(l->ops[0].passes_known, 1u << 0);
    bury(l, shard(1));
    assert_false(replay_needs_heal(&l->f));
    free(l);
}

static void a_document_counts_by_its_version_too(void **state)
{
    struct log *l = log_new();
    struct doc *doc;

    (void)state;
    take(l, head, REPLAY_RECORD, TERM, doc_new(DOC_WHOLE, 0, 2, (struct version){ TERM, 7 }));
    assert_int_equal(l->f.epoch_highest, 7);
    doc = doc_new(DOC_WHOLE, 0, 1, (struct version){ TERM, 6 });
    assert_int_equal(take(l, head, REPLAY_RECORD, TERM, doc).fate, REPLAY_STALE);
    assert_true(l->f.head_void); /* compaction would leave the older one */
    assert_int_equal(l->fleet.baton_count, 2);
    doc = doc_new(DOC_WHOLE, 0, BATONS + 1, (struct version){ TERM, 9 });
    assert_int_equal(take(l, head, REPLAY_RECORD, TERM, doc).fate, REPLAY_FITS_NOT);
    assert_int_equal(l->f.epoch_highest, 7); /* of what counts only */
    assert_true(l->f.head_void);             /* as it was */
    take(l, head, REPLAY_RECORD, NEXT, doc_new(DOC_WHOLE, 0, 2, (struct version){ NEXT, 8 }));
    assert_int_equal(l->f.epoch_highest, 8);
    assert_false(l->f.head_void);
    doc = doc_new(DOC_WHOLE, 0, BATONS + 1, (struct version){ NEXT, 10 });
    assert_int_equal(take(l, head, REPLAY_RECORD, NEXT, doc).fate, REPLAY_FITS_NOT);
    assert_false(l->f.head_void); /* it is no less the truth for being too large for us: nobody writes over it */
    free(l);
}

/* A fleet made again under the name begins anew, but above every mark of the old one. */
static void a_deleted_fleet_leaves_its_highest_epoch(void **state)
{
    struct log *l = log_new();

    (void)state;
    take(l, head, REPLAY_RECORD, TERM, doc_new(DOC_WHOLE, 0, 2, (struct version){ TERM, 70 }));
    bury(l, head);
    assert_false(l->fleet.exists);
    assert_int_equal(l->fleet.baton_count, 0);
    assert_int_equal(l->fleet.baton_max, BATONS);
    assert_int_equal(l->f.epoch_highest, 70);
    assert_int_equal(take(l, head, REPLAY_RECORD, TERM, doc_new(DOC_WHOLE, 0, 1, (struct version){ TERM, 3 })).fate,
                     REPLAY_KEPT);
    assert_true(l->fleet.exists);
    assert_int_equal(l->f.epoch_highest, 70);
    free(l);
}

static void operations_are_kept_by_number_the_oldest_goes(void **state)
{
    struct log *l = log_new();
    int kept[8];
    struct replay_change done;

    (void)state;
    for (uint32_t n = 3; n > 0; n--) {
        done = record(l, op_key(n * 2), TERM);
        assert_int_equal(done.op->number, n * 2);
        done.op->kept = &kept[n * 2];
    }
    assert_int_equal(l->f.op_count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(l->ops[i].number, 2 * i + 2);
    assert_int_equal(replay_newest(&l->f)->number, 6);
    assert_null(replay_find(&l->f, 5));
    done = record(l, passes(5, 1), TERM); /* it takes the place of 2 */
    assert_ptr_equal(done.dropped, &kept[2]);
    assert_int_equal(l->f.op_count, 3);
    assert_int_equal(l->ops[0].number, 4);
    assert_int_equal(l->ops[1].number, 5);
    assert_int_equal(l->ops[2].number, 6);
    assert_ptr_equal(l->ops[2].kept, &kept[6]);
    assert_null(l->ops[1].kept);
    assert_int_equal(l->ops[1].passes_known, 1u << 1);
    done = record(l, op_key(9), DEAD);
    assert_ptr_equal(done.dropped, &kept[4]);
    assert_int_equal(replay_newest(&l->f)->number, 6); /* of 9 nothing true is known, of 5 no record */
    assert_int_equal(replay_find(&l->f, 9)->number, 9);
    done = bury(l, op_key(6));
    assert_ptr_equal(done.dropped, &kept[6]);
    assert_null(done.op);
    assert_null(replay_newest(&l->f));
    assert_int_equal(l->f.op_count, 2);
    assert_int_equal(l->ops[1].number, 9);
    assert_int_equal(bury(l, op_key(77)).fate, REPLAY_GONE); /* of which nobody knows */
    assert_int_equal(l->f.op_count, 2);
    free(l);
}

static void passes_that_are_buried_leave_their_operation(void **state)
{
    struct log *l = log_new();

    (void)state;
    record(l, op_key(4), TERM);
    record(l, passes(4, 0), TERM);
    record(l, passes(4, 1), TERM);
    assert_ptr_equal(bury(l, passes(4, 0)).op, &l->ops[0]);
    assert_int_equal(l->ops[0].passes_known, 1u << 1);
    assert_true(l->ops[0].known);
    assert_null(bury(l, op_key(4)).op); /* and its own take the passes along */
    assert_int_equal(l->f.op_count, 0);
    free(l);
}

/* --- what a leader reads behind its own writes ------------------------------------------------------------------------ */

static void what_is_read_behind_is_mended(void **state)
{
    const struct {
        struct replay_key key;
        enum replay_fate fate;
        int batons;
        bool heal;
    } cases[] = {
        { head, REPLAY_KEPT, 1, false },
        { head, REPLAY_FITS_NOT, 1, false },
        { head, REPLAY_VOID, 1, true },
        { head, REPLAY_STALE, 1, true },
        { op_key(3), REPLAY_VOID, 1, true },
        { head, REPLAY_GONE, 1, true },
        { shard(0), REPLAY_GONE, SHARD_BATONS,
          false }, /* all in the head: we have none, and may have buried it ourselves */
        { shard(0), REPLAY_GONE, SHARD_BATONS + 1, true },
        { shard(1), REPLAY_GONE, SHARD_BATONS + 1, true },
        { shard(2), REPLAY_GONE, SHARD_BATONS + 1, false },
        { shard(2), REPLAY_GONE, 2 * SHARD_BATONS, false },
        { op_key(7), REPLAY_GONE, 1, true },
        { passes(7, 0), REPLAY_GONE, 1, true },
        { op_key(6), REPLAY_GONE, 1, false }, /* history that was dropped */
        { passes(6, 0), REPLAY_GONE, 1, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct log *l = log_new();

        l->fleet.baton_count = cases[i].batons;
        l->s.op.number = 7;
        replay_behind(&l->pen, &l->s, &(struct replay_record){ .key = cases[i].key }, cases[i].fate);
        if (l->pen.heal != cases[i].heal)
            fail_msg("case %d: healing is %d", (int)i, l->pen.heal);
        l->pen.heal = true; /* what has to be healed stays so */
        replay_behind(&l->pen, &l->s, &(struct replay_record){ .key = cases[i].key }, cases[i].fate);
        assert_true(l->pen.heal);
        l->s.op.number = 0;
        l->pen.heal = false;
        replay_behind(&l->pen, &l->s, &(struct replay_record){ .key = op_key(0) }, REPLAY_GONE);
        assert_false(l->pen.heal);
        free(l);
    }
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void a_batch_has_its_order(void **state)
{
    struct log *l = log_new();

    (void)state;
    l->fleet.baton_count = 2 * SHARD_BATONS + 1;
    l->s.op.number = 7;
    l->s.op.pass_count = SHARD_BATONS + 1;
    l->pen.sharded = true;
    write_all(l, "");
    dirty_all(l);
    write_all(l, "p7.0+ p7.1+ s0+ s1+ s2+ h+ o7+");
    write_all(l, ""); /* nothing is dirty any more */
    l->s.dirty.shards[1] = l->s.dirty.head = true;
    write_all(l, "s1+ h+");
    l->s.dirty.passes[1] = true;
    write_all(l, "p7.1+");
    l->s.dirty.op = true;
    write_all(l, "o7+");
    for (int room = 0; room < 7; room++) { /* what cannot be appended is the last that is tried */
        static const char *const written[] = { "!",
                                               "p7.0+ !",
                                               "p7.0+ p7.1+ !",
                                               "p7.0+ p7.1+ s0+ !",
                                               "p7.0+ p7.1+ s0+ s1+ !",
                                               "p7.0+ p7.1+ s0+ s1+ s2+ !",
                                               "p7.0+ p7.1+ s0+ s1+ s2+ h+ !" };

        dirty_all(l);
        l->room = room;
        write_all(l, written[room]);
    }
    free(l);
}

static void a_small_fleet_fits_into_its_head(void **state)
{
    struct log *l = log_new();

    (void)state;
    l->fleet.baton_count = l->s.op.pass_count = SHARD_BATONS;
    l->s.op.number = 7;
    replay_reign(&l->pen, &l->f);
    assert_false(l->pen.sharded);
    dirty_all(l);
    write_all(l, "p7.0+ h+ o7+");
    l->fleet.baton_count++; /* it outgrows one record: those of old were in the head */
    l->s.dirty.shards[1] = l->s.dirty.head = true;
    write_all(l, "s0+ s1+ h+");
    l->s.dirty.shards[1] = l->s.dirty.head = true;
    write_all(l, "s1+ h+"); /* once */
    replay_reign(&l->pen, &l->f);
    assert_true(l->pen.sharded);
    l->s.dirty.shards[1] = true;
    write_all(l, "s1+");
    free(l);
}

/* All that the leader has is written again; what it has not is buried. */
static void healing_writes_all_and_buries_the_rest(void **state)
{
    struct log *l = log_new();

    (void)state;
    l->fleet.baton_count = l->s.op.pass_count = SHARD_BATONS + 1;
    l->s.op.number = 7;
    replay_reign(&l->pen, &l->f);
    assert_false(l->pen.heal);
    record(l, shard(2), DEAD); /* of a larger fleet that never was */
    record(l, shard(1), DEAD); /* ours */
    record(l, op_key(7), TERM);
    record(l, passes(7, 1), DEAD); /* ours */
    record(l, passes(7, 2), DEAD); /* of another operation 7, that a deposed leader began */
    l->fleet.baton_count = SHARD_BATONS + 1;
    replay_reign(&l->pen, &l->f);
    assert_true(l->pen.heal);
    write_all(l, "s2- p7.2- p7.0+ p7.1+ s0+ s1+ h+ o7+");
    assert_false(l->pen.heal);
    write_all(l, "");
    heals(l, 0, "!");
    heals(l, 1, "s2- !");
    free(l);
}

static void a_head_alone_is_healed_with_what_there_is(void **state)
{
    struct log *l = log_new();

    (void)state;
    record(l, head, TERM);
    record(l, head, DEAD);
    record(l, shard(0), DEAD); /* we have no shards at all */
    replay_reign(&l->pen, &l->f);
    write_all(l, "s0- h+"); /* nor an operation */
    free(l);
}

/* An operation of the history is said again as it was kept; of what was never true nothing stays. */
static void the_history_is_healed_from_what_was_kept(void **state)
{
    struct log *l = log_new();

    (void)state;
    record(l, head, TERM);
    l->s.op.number = 9;
    record(l, op_key(3), TERM);
    record(l, passes(3, 0), TERM);
    record(l, passes(3, 0), DEAD);
    record(l, passes(3, 1), DEAD);
    record(l, op_key(3), DEAD);
    record(l, passes(4, 0), TERM); /* passes without an operation are nobody's */
    record(l, passes(4, 0), DEAD);
    record(l, op_key(4), DEAD);
    record(l, op_key(5), TERM); /* nothing is wrong with it */
    record(l, passes(5, 0), TERM);
    replay_reign(&l->pen, &l->f);
    write_all(l, "p3.0= p3.1- o3= p4.0- o4- h+ o9+");
    heals(l, 3, "p3.0= p3.1- o3= !");
    heals(l, 1, "p3.0= !");
    free(l);
}

/* --- tombstones ----------------------------------------------------------------------------------------------------- */

static void old_operations_are_dropped(void **state)
{
    struct log *l = log_new();

    (void)state;
    record(l, op_key(3), TERM);
    record(l, passes(3, 0), TERM);
    record(l, passes(3, 2), DEAD);
    record(l, op_key(5), TERM);
    record(l, op_key(6), TERM);
    replay_drop(&l->f, 2, put, l);
    wrote(l, "");
    replay_drop(&l->f, 3, put, l);
    wrote(l, "p3.0- p3.2- o3-");
    replay_drop(&l->f, 5, put, l); /* and what was left */
    wrote(l, "p3.0- p3.2- o3- o5-");
    replay_drop(&l->f, 99, put, l); /* what a deposed leader asks for never takes the operation that counts along */
    wrote(l, "p3.0- p3.2- o3- o5-");
    replay_drop(&l->f, 6, put, l); /* but never the newest that is true */
    wrote(l, "p3.0- p3.2- o3- o5-");
    l->room = 1;
    replay_drop(&l->f, 5, put, l);
    wrote(l, "p3.0- !");
    l->room = 2;
    replay_drop(&l->f, 5, put, l);
    wrote(l, "p3.0- p3.2- !");
    free(l);
}

/* The head goes last: until then the fleet is there and may be deleted again. */
static void a_fleet_is_deleted_head_last(void **state)
{
    static const char *const all = "o2- p7.0- p7.1- p7.2- o7- s0- s1- s2- h-";
    struct log *l = log_new();

    (void)state;
    record(l, op_key(2), TERM);
    record(l, op_key(7), TERM);
    record(l, passes(7, 2), DEAD);
    record(l, shard(2), DEAD);
    l->fleet.baton_count = l->s.op.pass_count = SHARD_BATONS + 1; /* its passes are not read back yet */
    l->s.op.number = 7;
    replay_delete(&l->f, &l->s, put, l);
    wrote(l, all);
    for (int room = 0; room < 9; room++) {
        char expected[128];
        size_t len = 0;

        for (int n = 0; n < room; n++)
            len += strcspn(all + len, " ") + 1;
        snprintf(expected, sizeof(expected), "%.*s!", (int)len, all);
        l->room = room;
        replay_delete(&l->f, &l->s, put, l);
        wrote(l, expected);
    }
    free(l);
    l = log_new(); /* nothing was ever ordered, and all is in the head */
    l->fleet.baton_count = SHARD_BATONS;
    replay_delete(&l->f, &l->s, put, l);
    wrote(l, "h-");
    l->s.op.number = 7; /* ordered and not read back */
    replay_delete(&l->f, &l->s, put, l);
    wrote(l, "o7- h-");
    free(l);
}

static void what_is_left_of_a_deleted_fleet_is_buried(void **state)
{
    static const char *const all = "h- s0- s31- p3.1- o3- o4-";
    struct log *l = log_new();

    (void)state;
    replay_bury(&l->f, put, l);
    wrote(l, "");
    record(l, op_key(3), TERM);
    record(l, passes(3, 1), TERM);
    replay_bury(&l->f, put, l);
    wrote(l, "p3.1- o3-");
    record(l, op_key(4), DEAD);
    record(l, shard(31), DEAD);
    record(l, shard(0), DEAD);
    record(l, head, DEAD);
    replay_bury(&l->f, put, l);
    wrote(l, all);
    for (int room = 0; room < 6; room++) {
        char expected[128];
        size_t len = 0;

        for (int n = 0; n < room; n++)
            len += strcspn(all + len, " ") + 1;
        snprintf(expected, sizeof(expected), "%.*s!", (int)len, all);
        l->room = room;
        replay_bury(&l->f, put, l);
        wrote(l, expected);
    }
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_a_key_decides),
        cmocka_unit_test(marks_are_of_one_key_each),
        cmocka_unit_test(a_document_counts_by_its_version_too),
        cmocka_unit_test(a_deleted_fleet_leaves_its_highest_epoch),
        cmocka_unit_test(operations_are_kept_by_number_the_oldest_goes),
        cmocka_unit_test(passes_that_are_buried_leave_their_operation),
        cmocka_unit_test(what_is_read_behind_is_mended),
        cmocka_unit_test(a_batch_has_its_order),
        cmocka_unit_test(a_small_fleet_fits_into_its_head),
        cmocka_unit_test(healing_writes_all_and_buries_the_rest),
        cmocka_unit_test(a_head_alone_is_healed_with_what_there_is),
        cmocka_unit_test(the_history_is_healed_from_what_was_kept),
        cmocka_unit_test(old_operations_are_dropped),
        cmocka_unit_test(a_fleet_is_deleted_head_last),
        cmocka_unit_test(what_is_left_of_a_deleted_fleet_is_buried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
