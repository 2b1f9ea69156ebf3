/*
 * receipt_json - the receipt and the findings as the API and `-o json` give them: names for people, nothing left out.
 *
 * A number that is not known is null, never 0. A partition appears when the operation ordered its release; "forth" is
 * the way of the operation, "back" the way back of the same one.
 *
 * Two figures of time a partition. "standstill_ms" is what the members measured: the last record done in the old color
 * to the first position in the new one, their clocks brought together. "release_to_take_heard_ms" is what this
 * controller saw of it by its one clock, report heard to report heard: it needs no skew, but bounds nothing, since a
 * report of the release may come late and make it short.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wire/json_write.h"
#include "wire/record.h"
#include "wire/record_common.h"

static void put_time(struct json_out *o, const char *key, int64_t unix_ms)
{
    char text[32];

    if (unix_ms == 0)
        json_put_null(o, key);
    else
        json_put_text(o, key, clock_format_unix_ms(text, unix_ms));
}

/* Records [from, to) that both colors may have processed: who did first, who again, and which order allowed it. */
static void put_twice(struct json_out *o, const char *key, int64_t from, int64_t to, const struct op *op, bool back,
                      const char *why)
{
    if (from == OFFSET_NONE || to <= from) {
        json_put_null(o, key);
        return;
    }
    json_open(o, key, '{');
    json_put_int(o, "from", from);
    json_put_int(o, "to", to);
    json_open(o, "by", '[');
    json_put_text(o, NULL, color_name(back ? op->to : op->from));
    json_put_text(o, NULL, color_name(back ? op->from : op->to));
    json_close(o, ']');
    json_put_text(o, "why", why);
    json_close(o, '}');
}

static void put_name(struct json_out *o, const char *key, const char *name)
{
    if (name[0])
        json_put_text(o, key, name);
    else
        json_put_null(o, key);
}

/* What nobody could process any more when its new holder came to it. */
static void put_removed(struct json_out *o, const struct pass *p)
{
    const int64_t to = pass_removed_to(p);

    if (to == OFFSET_NONE) {
        json_put_null(o, "removed_by_retention");
        return;
    }
    json_open(o, "removed_by_retention", '{');
    json_put_int(o, "from", p->from);
    json_put_int(o, "to", to);
    json_put_int(o, "records", to - p->from);
    json_put_text(o, "why", "removed by retention before anybody processed it");
    json_close(o, '}');
}

static void put_pass(struct json_out *o, const char *key, const struct pass *p, const struct op *op, bool back)
{
    if (!p->ordered) {
        json_put_null(o, key);
        return;
    }
    json_open(o, key, '{');
    json_put_uint(o, "order", p->order);
    json_put_int_or_null(o, "grant", (int64_t)p->grant, 0);
    json_put_bool(o, "taken", p->taken);
    json_put_int_or_null(o, "released", p->released, OFFSET_NONE);
    json_put_int_or_null(o, "committed", p->committed, OFFSET_NONE);
    json_put_int_or_null(o, "from", p->from, OFFSET_NONE);
    json_put_int_or_null(o, "first", p->first, OFFSET_NONE);
    json_put_us_as_ms(o, "standstill_ms", pass_standstill_us(p));
    json_put_us_as_ms(o, "release_to_take_heard_ms", pass_heard_us(p));
    put_twice(o, "possibly_repeated", p->committed, p->doubt, op, back,
              op->on_unreachable == UNREACHABLE_FENCE
                  ? "a member was lost before it had committed them, and the fleet says on_unreachable: fence"
                  : "a member was lost before it had committed them, and the fleet says on_doubt: list");
    json_put_int(o, "given_again", p->given_again);
    put_twice(o, "replayed", p->from, p->repeat_to, op, back, "the rollback was ordered with replay");
    put_removed(o, p);
    put_name(o, "released_by", p->released_by);
    put_name(o, "taken_by", p->taken_by);
    json_close(o, '}');
}

void stage_text(struct str *ret, const struct op *op, const struct fleet *f, int stage)
{
    const struct stage_size *s = &op->stages.items[stage];

    if (s->kind != STAGE_NAMES)
        str_addf(ret, "%d%s", s->amount, s->kind == STAGE_SHARE ? "%" : "");
    for (int n = s->first; s->kind == STAGE_NAMES && n < s->first + s->amount; n++) {
        const struct stage_name *name = &op->stages.names[n];

        str_addf(ret, "%s%s/%d", n > s->first ? "," : "",
                 name->topic < f->spec.topic_count ? f->spec.topics[name->topic] : "?", (int)name->partition);
    }
}

static void put_op(struct json_out *o, const struct op *op, const struct fleet *f)
{
    json_put_text(o, "fleet", f->spec.fleet);
    json_put_int(o, "number", op->number);
    json_put_text(o, "kind", op_kind_name(op->kind));
    json_put_text(o, "state", op_state_name(op->state));
    json_put_text(o, "from", color_name(op->from));
    json_put_text(o, "to", color_name(op->to));
    put_name(o, "version_from", op->version_from);
    put_name(o, "version_to", op->version_to);
    json_put_bool(o, "replay", op->replay);
    json_put_int_or_null(o, "of_number", op->of_number, 0);
    json_open(o, "stages", '[');
    for (int i = 0; i < op->stages.count; i++) {
        struct str text = STR_WITH_MAX(STAGE_NAMES_MAX * STAGE_WORD_MAX);

        stage_text(&text, op, f, i);
        json_put_text(o, NULL, text.buf);
        str_free(&text);
    }
    json_close(o, ']');
    json_put_text(o, "by", op->by);
    json_put_bool(o, "by_signal", op->by_signal);
    json_put_text(o, "reason", op->reason);
    json_put_text(o, "request_id", op->request_id);
    put_time(o, "created", op->created_unix_ms);
    put_time(o, "ended", op->ended_unix_ms);
    json_put_text(o, "cause", op_cause_name(op->cause));
    json_put_text(o, "why", op->why);
    json_put_text(o, "judge", judge_mode_name(op->judge));
    json_put_bool(o, "held", op->held);
    if (op->judged)
        verdict_put(o, "verdict", &op->verdict);
    else
        json_put_null(o, "verdict");
    json_put_text(o, "on_unreachable", on_unreachable_name(op->on_unreachable));
    json_put_text(o, "on_doubt", on_doubt_name(op->on_doubt));
    json_put_uint(o, "epoch_first", op->epoch_first);
    json_put_uint(o, "epoch_last", op->epoch_last);
}

static void put_totals(struct json_out *o, const struct receipt_sum *sum)
{
    json_open(o, "totals", '{');
    json_put_int(o, "ordered", sum->ordered);
    json_put_int(o, "passed", sum->passed);
    json_put_int(o, "returned", sum->returned);
    json_put_int(o, "lost", sum->gaps);
    json_put_int(o, "repeated", sum->listed_repeats);
    json_put_int(o, "given_again", sum->given_again);
    json_put_int(o, "removed_by_retention", sum->removed);
    json_open(o, "standstill_ms", '{');
    json_put_int(o, "known", sum->standstill_known);
    json_put_us_as_ms(o, "p50", sum->standstill_us_p50);
    json_put_us_as_ms(o, "p99", sum->standstill_us_p99);
    json_put_us_as_ms(o, "max", sum->standstill_us_max);
    json_close(o, '}');
    json_close(o, '}');
}

static int finish(const struct json_out *o, struct errmsg *m, const char *what)
{
    return str_error(o->text) ? err_set(m, str_error(o->text), "write %s", what) : ERR_OK;
}

int receipt_encode(struct str *ret, const struct op *op, const struct fleet *f, struct errmsg *m)
{
    struct json_out o = { .text = ret };
    struct receipt_sum sum;
    int64_t *scratch;

    if (op->pass_count > f->baton_count)
        return err_set(m, ERR_STATE, "operation %u is of %d partitions, the fleet has %d", (unsigned)op->number,
                       op->pass_count, f->baton_count);
    scratch = calloc((size_t)op->pass_count * 2 + 1, sizeof(*scratch));
    if (!scratch)
        return err_set(m, ERR_NOMEM, "write the receipt");
    receipt_sum(&sum, op, scratch);
    free(scratch);
    json_open(&o, NULL, '{');
    put_op(&o, op, f);
    put_totals(&o, &sum);
    json_open(&o, "partitions", '[');
    for (int i = 0; i < op->pass_count; i++) {
        const struct baton *b = &f->batons[i];

        if (!op->forth[i].ordered && !op->back[i].ordered)
            continue;
        json_open(&o, NULL, '{');
        json_put_text(&o, "topic", f->spec.topics[b->topic]);
        json_put_int(&o, "partition", b->partition);
        put_pass(&o, "forth", &op->forth[i], op, false);
        put_pass(&o, "back", &op->back[i], op, true);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return finish(&o, m, "the receipt");
}

int findings_encode(struct str *ret, const struct findings *f, struct errmsg *m)
{
    struct json_out o = { .text = ret };

    json_open(&o, NULL, '[');
    for (int i = 0; i < f->count; i++) {
        const struct finding *item = &f->items[i];

        json_open(&o, NULL, '{');
        json_put_text(&o, "severity", severity_name(item->severity));
        json_put_text(&o, "code", item->code);
        json_put_text(&o, "what", item->what);
        json_put_text(&o, "why", item->why);
        json_put_text(&o, "mend", item->mend);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return finish(&o, m, "the findings");
}
