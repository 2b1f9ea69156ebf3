/* test_record_op - operations, their passes, receipts and findings: there and back, refused when broken; the worst one fits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record_world.h"

static void test_op(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct pass *forth = back->forth;
    struct str text = new_text(), again = new_text();
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_ptr_equal(back->forth, forth);
    assert_int_equal(back->pass_count, 3);
    assert_string_equal(back->reason, op->reason);
    assert_string_equal(back->by, op->by);
    assert_true(back->deadline_ms == INT64_MAX && back->epoch_last == (uint64_t)INT64_MAX);
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    str_free(&text);
    str_free(&again);
    free_op(op);
    free_op(back);
    free_fleet(f);
}

/* What the judge leaves to the next one comes back as it went, and is not kept longer than it is needed. */
static void test_op_kept(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct str text = new_text(), again = new_text();
    struct judge_kept *k = &op->kept;
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    op->state = OP_OBSERVING;
    *k = (struct judge_kept){ .known = true,
                              .stage = 2,
                              .begun = true,
                              .evidence = true,
                              .steady = true,
                              .after_ms = INT64_MAX,
                              .evidence_ms = 1,
                              .splits = 7,
                              .backlog = 1e14,
                              .records = 1234567,
                              .errors = 12,
                              .timed = 5,
                              .slow = 4,
                              .seconds = 0.25,
                              .rate_max = 1e6,
                              .bet_count = JUDGE_KEPT_MAX };
    for (int i = 0; i < JUDGE_KEPT_MAX; i++) {
        memset(k->bets[i].name, 'a', SIGNAL_NAME_MAX);
        k->bets[i].looks = i;
        k->bets[i].bet = (struct judge_bet){ .usable = i % 2,
                                             .bucket = HISTOGRAM_BUCKETS - 1 - i,
                                             .share = i == 3 ? NAN : 0.015625 * i,
                                             .tolerated = 0.5,
                                             .design = 1 + i,
                                             .log_stakes = { -700, 0.5, i },
                                             .log_promote = -1.25,
                                             .n = 1e9,
                                             .late_x = i,
                                             .part_n = i,
                                             .part_e = i / 2.0 };
    }
    k->stratum_count = 3;
    for (int i = 0; i < k->stratum_count; i++)
        k->strata[i] = (struct judge_stratum){ .done = 1000.0F * (float)i, .failed = 3 };
    k->strata[1].timed = 16777215;
    k->strata[1].bounds[2] = WORK_BUCKETS - 1;
    k->strata[1].above[3] = 7;
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_true(back->kept.known && back->kept.bet_count == JUDGE_KEPT_MAX && back->kept.after_ms == INT64_MAX);
    assert_true(isnan(back->kept.bets[3].bet.share) && back->kept.bets[4].bet.log_stakes[2] == 4);
    back->kept.bets[3].bet.share = k->bets[3].bet.share; /* no two NANs are the same */
    assert_memory_equal(&back->kept, k, sizeof(*k));
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    assert_true(text.len < 16384);
    op->state = OP_COMPLETE;
    str_clear(&text);
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_null(strstr(text.buf, "\"kept\""));
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_false(back->kept.known);
    str_free(&text);
    str_free(&again);
    free_op(op);
    free_op(back);
    free_fleet(f);
}

/* The same, of what was seen between two switches. */
static void test_yardstick(void **state)
{
    struct yardstick *y = calloc(1, sizeof(*y)), *back = calloc(1, sizeof(*back));
    struct str text = new_text(), again = new_text();
    struct errmsg m = { 0 };

    (void)state;
    assert_true(y && back);
    *y = (struct yardstick){ .fleet = "payments", .color = GREEN, .version = "4.2.0", .at_unix_ms = 1795363200000 };
    y->kept = (struct judge_kept){ .known = true, .records = 12, .seconds = 1800, .stratum_count = JUDGE_STRATA_MAX };
    for (int i = 0; i < JUDGE_STRATA_MAX; i++)
        y->kept.strata[i] = (struct judge_stratum){ .done = 123456,
                                                    .failed = 1234,
                                                    .timed = 12345,
                                                    .above = { 6000, 1200, 120, 12 },
                                                    .bounds = { 40, 50, 60, 70 } };
    assert_int_equal(yardstick_encode(&text, y, &m), ERR_OK);
    assert_true(text.len < 64 * JUDGE_STRATA_MAX);
    assert_int_equal(yardstick_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_memory_equal(back, y, sizeof(*y));
    assert_int_equal(yardstick_encode(&again, back, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);
    assert_int_equal(yardstick_decode(back, "{\"format\":1}", 12, &m), ERR_CORRUPT);
    str_free(&text);
    str_free(&again);
    free(y);
    free(back);
}

/* The judge's word comes back as it went, with what could not be known. */
static void test_op_verdict(void **state)
{
    struct fleet *f = new_fleet(1, 3), *other = new_fleet(1, 3);
    struct op *op = new_op(3), *back = new_op(3);
    struct str text = new_text(), again = new_text();
    struct judge_evidence *e = op->verdict.metrics;
    const struct record_key key = head_key();
    struct doc *doc = new_doc(3);
    struct errmsg m = { 0 };

    (void)state;
    fill_op(op);
    op->judge = JUDGE_AUTO;
    op->held = op->judged = true;
    op->verdict = (struct judge_verdict){
        .verdict = VERDICT_WORSE, .rule = RULE_EVIDENCE, .after_ms = 1234, .looks = 7, .metric_count = 2
    };
    snprintf(op->verdict.sentence, sizeof(op->verdict.sentence), "error_rate: 12 of 100 records failed");
    e[0] = (struct judge_evidence){
        .name = "error_rate", .state = METRIC_WORSE, .votes = true, .records = 100, .bad = 12
    };
    e[0].observed = 0.12;
    e[0].expected = e[1].expected = e[1].observed = NAN;
    e[0].e_value = 1.0142320547e304;
    snprintf(e[1].name, sizeof(e[1].name), "lag");
    assert_int_equal(op_encode(&text, op, f, &m), ERR_OK);
    assert_int_equal(op_decode(back, text.buf, text.len, &m), ERR_OK);
    assert_true(back->held && back->judged && back->judge == JUDGE_AUTO);
    assert_int_equal(back->verdict.metric_count, 2);
    assert_true(back->verdict.metrics[0].observed == 0.12 && isnan(back->verdict.metrics[1].observed));
    assert_string_equal(back->verdict.sentence, op->verdict.sentence);
    assert_int_equal(op_encode(&again, back, f, &m), ERR_OK);
    assert_string_equal(text.buf, again.buf);

    f->version = f->applied = (struct version){ .term = 5, .epoch = 1000 };
    for (int i = 0; i < f->baton_count; i++)
        f->batons[i].epoch = f->batons[i].order = 3;
    fleet_failed_add(f, "", 3); /* no label, no memory */
    for (uint32_t i = 1; i <= 6; i++) {
        char version[8];

        snprintf(version, sizeof(version), "v%u", i);
        fleet_failed_add(f, version, i);
    }
    fleet_failed_add(f, "v5", 9);
    snprintf(f->speakers[GREEN], sizeof(f->speakers[GREEN]), "baton-agent-1");
    str_clear(&text);
    assert_int_equal(fleet_encode(&text, f, -1, &m), ERR_OK);
    assert_int_equal(fleet_decode(doc, &key, other, text.buf, text.len, &m), ERR_OK);
    assert_int_equal(doc->fleet.failed_count, FAILED_MAX);
    assert_string_equal(doc->fleet.failed[0].version, "v5");
    assert_int_equal(doc->fleet.failed[0].number, 9);
    assert_int_equal(fleet_failed(&doc->fleet, "v4"), 2);
    assert_int_equal(fleet_failed(&doc->fleet, "v2"), -1);
    assert_string_equal(doc->fleet.speakers[GREEN], "baton-agent-1");
    assert_string_equal(doc->fleet.speakers[BLUE], "");
    str_free(&text);
    str_free(&again);
    free_doc(doc);
    free_op(op);
    free_op(back);
    free_fleet(f);
    free_fleet(other);
}

static void assert_same_pass(const struct pass *a, const struct pass *b)
{
    assert_true(a->ordered == b->ordered && a->taken == b->taken && a->order == b->order && a->grant == b->grant);
    assert_true(a->released == b->released && a->committed == b->committed && a->from == b->from &&
                a->first == b->first);
    assert_true(a->given_again == b->given_again && a->doubt == b->doubt && a->repeat_to == b->repeat_to &&
                a->replay_from == b->replay_from);
    assert_string_equal(a->released_by, b->released_by);
    assert_string_equal(a->taken_by, b->taken_by);
    assert_true(a->stopped_unix_us == b->stopped_unix_us && a->drained_unix_us == b->drained_unix_us);
    assert_true(a->attached_unix_us == b->attached_unix_us && a->first_unix_us == b->first_unix_us);
    assert_true(a->release_heard_unix_us == b->release_heard_unix_us && a->take_heard_unix_us == b->take_heard_unix_us);
}

static void check_passes(int count)
{
    const int shards = (count + SHARD_BATONS - 1) / SHARD_BATONS;
    struct fleet *f = new_fleet(3, count);
    struct op *op = new_op(count), *back = new_op(count);
    struct errmsg m = { 0 };

    op->number = back->number = 7;
    back->pass_count = 0;
    memset(back->forth, 0x5a, (size_t)count * sizeof(struct pass));
    memset(back->back, 0x5a, (size_t)count * sizeof(struct pass));
    for (int i = 0; i < count; i++) {
        if (i % 4 != 1)
            fill_pass(&op->forth[i], i);
        if (i % 4 > 1)
            fill_pass(&op->back[i], i + 1);
    }
    for (int shard = shards - 1; shard >= 0; shard--) {
        struct str text = new_text();

        assert_int_equal(passes_encode(&text, op, shard, f, &m), ERR_OK);
        assert_true(text.len < RECORD_BYTES_MAX * 3 / 4);
        if (passes_decode(back, count, shard, text.buf, text.len, &m) < 0)
            print_error("%s\n", m.text);
        assert_string_equal(m.text, "");
        str_free(&text);
    }
    assert_int_equal(back->pass_count, count);
    for (int i = 0; i < count; i++) {
        assert_same_pass(&op->forth[i], &back->forth[i]);
        assert_same_pass(&op->back[i], &back->back[i]);
    }
    free_op(op);
    free_op(back);
    free_fleet(f);
}

static void test_passes(void **state)
{
    (void)state;
    check_passes(1);
    check_passes(SHARD_BATONS);
    check_passes(SHARD_BATONS + 1);
    check_passes(4096);
}

static void test_worst_passes_fit(void **state)
{
    struct fleet *f = new_fleet(1, SHARD_BATONS);
    struct op *op = new_op(SHARD_BATONS);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    memset(f->spec.topics[0], 't', TOPIC_NAME_MAX);
    for (int i = 0; i < SHARD_BATONS; i++) {
        fill_pass(&op->forth[i], 105 * i);
        fill_pass(&op->back[i], 105 * i);
        snprintf(op->forth[i].taken_by, sizeof(op->forth[i].taken_by), "forth-%030d", i);
        snprintf(op->back[i].taken_by, sizeof(op->back[i].taken_by), "back-%031d", i);
    }
    op->number = UINT32_MAX;
    if (passes_encode(&text, op, 0, f, &m) < 0)
        print_error("%s\n", m.text);
    assert_string_equal(m.text, "");
    str_free(&text);
    free_op(op);
    free_fleet(f);
}

static void test_broken_passes(void **state)
{
    static const struct {
        const char *json;
        int code;
        const char *what;
    } bad[] = {
        { "\"number\":8,\"shard\":0,\"pass_count\":1,\"members\":[],\"passes\":[]}", ERR_CORRUPT,
          "number: it is not that of operation 7" },
        { "\"number\":7,\"shard\":1,\"pass_count\":1,\"members\":[],\"passes\":[]}", ERR_CORRUPT,
          "shard: it is not 0" },
        { "\"number\":7,\"shard\":0,\"pass_count\":5,\"members\":[],\"passes\":[]}", ERR_TOO_LARGE,
          "5 passes, there is room for 4" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":2}]}", ERR_CORRUPT,
          "passes[0].baton: 2 is not from 0 to 1" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1},{\"baton\":1}]}",
          ERR_CORRUPT, "passes[1].baton: 1 is not from 2" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1,\"forth\":7}]}",
          ERR_CORRUPT, "passes[0].forth: an object is wanted" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[],\"passes\":[{\"baton\":1,\"back\":{\"ordered\":"
          "true,\"taken\":true,\"order\":1,\"grant\":1,\"released_by\":0}}]}",
          ERR_CORRUPT, "passes[0].back.released_by: members is empty" },
        { "\"number\":7,\"shard\":0,\"pass_count\":2,\"members\":[\"0123456789012345678901234567890123456\"],"
          "\"passes\":[{\"baton\":1,\"back\":{\"ordered\":true,\"taken\":true,\"order\":1,\"grant\":1,\"released_by\":"
          "0}}]}",
          ERR_CORRUPT, "members[0]: 37 bytes, at most 36 are allowed" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct str text = new_text();
        struct op *op = new_op(4);
        struct errmsg m = { 0 };
        int r;

        op->number = 7;
        str_addf(&text, "{\"format\":1,\"term\":1,\"epoch\":1,%s", bad[i].json);
        r = passes_decode(op, 4, 0, text.buf, text.len, &m);
        if (r != bad[i].code || !strstr(m.text, bad[i].what))
            print_error("%d: %s\n", r, m.text);
        assert_int_equal(r, bad[i].code);
        assert_non_null(strstr(m.text, bad[i].what));
        str_free(&text);
        free_op(op);
    }
}

static void test_receipt(void **state)
{
    struct fleet *f = new_fleet(1, 3);
    struct op *op = new_op(3);
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    strcpy(f->spec.topics[0], "orders");
    op->number = 6;
    op->kind = OP_SWITCH;
    op->state = OP_COMPLETE;
    op->from = BLUE;
    op->to = GREEN;
    stages_whole(&op->stages);
    strcpy(op->by, "ann");
    strcpy(op->reason, "deploy 4.2.0");
    strcpy(op->version_to, "4.2.0");
    op->created_unix_ms = 1795363200123;
    op->epoch_first = 16;
    op->epoch_last = 19;
    for (int i = 0; i < 2; i++)
        op->forth[i] = (struct pass){ .ordered = true,
                                      .order = 16,
                                      .grant = 17,
                                      .released = 100,
                                      .committed = 100,
                                      .from = 100,
                                      .first = i ? 100 : 107,
                                      .log_start = i ? OFFSET_NONE : 105,
                                      .doubt = i ? 130 : OFFSET_NONE,
                                      .given_again = i ? 0 : 3,
                                      .repeat_to = OFFSET_NONE,
                                      .replay_from = OFFSET_NONE,
                                      .released_by = "b1",
                                      .taken_by = "g1",
                                      .drained_unix_us = 5000000,
                                      .first_unix_us = 5012345,
                                      .release_heard_unix_us = 5001000,
                                      .take_heard_unix_us = 5020000,
                                      .taken = true };
    assert_int_equal(receipt_encode(&text, op, f, &m), ERR_OK);
    assert_string_equal(
        text.buf,
        "{\"fleet\":\"payments\",\"number\":6,\"kind\":\"switch\",\"state\":\"complete\",\"from\":"
        "\"blue\",\"to\":\"green\","
        "\"version_from\":null,\"version_to\":\"4.2.0\",\"replay\":false,\"of_number\":null,\"stages\":"
        "[\"100%\"],\"by\":\"ann\",\"by_signal\":false,"
        "\"reason\":\"deploy "
        "4.2.0\",\"request_id\":\"\",\"created\":\"2026-11-22T16:00:00.123Z\",\"ended\":null,\"cause\":"
        "\"none\",\"why\":\"\",\"judge\":\"guard\",\"held\":false,\"verdict\":null,"
        "\"on_unreachable\":\"refuse\",\"on_doubt\":\"wait\",\"epoch_first\":16,\"epoch_last\":19,"
        "\"totals\":{\"ordered\":2,\"passed\":2,\"returned\":0,\"lost\":0,\"repeated\":30,"
        "\"given_again\":3,\"removed_by_retention\":5,"
        "\"standstill_ms\":{\"known\":2,\"p50\":12.345,\"p99\":12.345,\"max\":12.345}},\"partitions\":["
        "{\"topic\":\"orders\",\"partition\":0,\"forth\":{\"order\":16,\"grant\":17,\"taken\":true,"
        "\"released\":100,\"committed\":100,"
        "\"from\":100,\"first\":107,\"standstill_ms\":12.345,\"release_to_take_heard_ms\":19.000,"
        "\"possibly_repeated\":null,\"given_again\":3,"
        "\"replayed\":null,\"removed_by_retention\":{\"from\":100,\"to\":105,\"records\":5,\"why\":"
        "\"removed by retention before anybody processed "
        "it\"},\"released_by\":\"b1\",\"taken_by\":\"g1\"},\"back\":null},"
        "{\"topic\":\"orders\",\"partition\":1,\"forth\":{\"order\":16,\"grant\":17,\"taken\":true,"
        "\"released\":100,\"committed\":100,"
        "\"from\":100,\"first\":100,\"standstill_ms\":12.345,\"release_to_take_heard_ms\":19.000,"
        "\"possibly_repeated\":{\"from\":100,\"to\":130,\"by\":[\"blue\",\"green\"],\"why\":\"a member was lost "
        "before it had committed them, and the fleet says on_doubt: list\"},\"given_again\":0,\"replayed\":null,"
        "\"removed_by_retention\":null,"
        "\"released_by\":\"b1\","
        "\"taken_by\":\"g1\"},\"back\":null}]}");
    str_free(&text);
    free_op(op);
    free_fleet(f);
}

static void test_findings(void **state)
{
    struct findings *f = calloc(1, sizeof(*f));
    struct str text = new_text();
    struct errmsg m = { 0 };

    (void)state;
    assert_non_null(f);
    assert_int_equal(findings_encode(&text, f, &m), ERR_OK);
    assert_string_equal(text.buf, "[]");
    str_clear(&text);
    findings_add(f, FINDING_REFUSAL, "uncovered-partition", "what", "why", "mend");
    assert_int_equal(findings_encode(&text, f, &m), ERR_OK);
    assert_non_null(
        strstr(text.buf, "\"code\":\"uncovered-partition\",\"what\":\"what\",\"why\":\"why\",\"mend\":\"mend\"}]"));
    str_free(&text);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_op),
        cmocka_unit_test(test_op_kept),
        cmocka_unit_test(test_yardstick),
        cmocka_unit_test(test_op_verdict),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_worst_passes_fit),
        cmocka_unit_test(test_broken_passes),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
