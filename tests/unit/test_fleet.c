/* test_fleet - the fleet document: taken in whole or in shards, in any order, and refused when it cannot be. */
#include <stdio.h>

#include "documents.h"

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

static void all_blue(struct baton *ret, int count)
{
    for (int i = 0; i < count; i++)
        ret[i] = baton(i, RIGHT_HELD, BLUE, 1);
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
        cmocka_unit_test(a_lower_version_changes_nothing),
        cmocka_unit_test(shards_may_come_in_any_order),
        cmocka_unit_test(a_document_is_as_large_as_it_says),
        cmocka_unit_test(what_has_half_arrived_is_no_fault),
        cmocka_unit_test(topics_are_only_appended),
        cmocka_unit_test(a_head_says_how_many_there_are),
        cmocka_unit_test(failed_versions_are_kept_the_newest_first),
        cmocka_unit_test(a_document_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
