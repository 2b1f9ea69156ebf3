/*
 * verdict_json - what the judge said, with its evidence: the same object in the operation's record, in the receipt and on
 * the command line.
 */
#include <math.h>
#include <string.h>

#include "wire/record_common.h"

void verdict_put(struct json_out *o, const char *key, const struct judge_verdict *v)
{
    json_open(o, key, '{');
    json_put_text(o, "verdict", verdict_name(v->verdict));
    json_put_text(o, "rule", judge_rule_name(v->rule));
    json_put_bool(o, "blind", v->blind);
    json_put_int(o, "after_ms", v->after_ms);
    json_put_int(o, "looks", v->looks);
    json_put_text(o, "sentence", v->sentence);
    json_open(o, "metrics", '[');
    for (int i = 0; i < v->metric_count; i++) {
        const struct judge_evidence *e = &v->metrics[i];

        json_open(o, NULL, '{');
        json_put_text(o, "name", e->name);
        json_put_text(o, "state", metric_state_name(e->state));
        json_put_bool(o, "votes", e->votes);
        json_put_real(o, "records", e->records);
        json_put_real(o, "bad", e->bad);
        json_put_real(o, "observed", e->observed);
        json_put_real(o, "expected", e->expected);
        json_put_real(o, "tolerated", e->tolerated);
        json_put_real(o, "e_value", e->e_value);
        json_put_real(o, "e_bound", e->e_bound);
        json_put_real(o, "e_promote", e->e_promote);
        json_put_real(o, "design_effect", e->design_effect);
        json_put_int(o, "looks", e->looks);
        json_put_text(o, "sentence", e->sentence);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
}

static void read_evidence(struct judge_evidence *e, const struct json_at *at)
{
    json_copy_text(at, "name", e->name, sizeof(e->name));
    json_name(at, "state", &e->state, metric_state_parse);
    e->votes = json_flag(at, "votes");
    e->records = json_real_or(at, "records", 0);
    e->bad = json_real_or(at, "bad", 0);
    e->observed = json_real_or(at, "observed", NAN);
    e->expected = json_real_or(at, "expected", NAN);
    e->tolerated = json_real_or(at, "tolerated", NAN);
    e->e_value = json_real_or(at, "e_value", NAN);
    e->e_bound = json_real_or(at, "e_bound", NAN);
    e->e_promote = json_real_or(at, "e_promote", NAN);
    e->design_effect = json_real_or(at, "design_effect", NAN);
    e->looks = record_count(at, "looks");
    json_copy_text(at, "sentence", e->sentence, sizeof(e->sentence));
}

void verdict_read(struct judge_verdict *ret, const struct json_at *at)
{
    struct json_at list;

    memset(ret, 0, sizeof(*ret));
    json_name(at, "verdict", &ret->verdict, verdict_parse);
    json_name(at, "rule", &ret->rule, judge_rule_parse);
    ret->blind = json_flag_or(at, "blind", false);
    ret->after_ms = record_count(at, "after_ms");
    ret->looks = record_count(at, "looks");
    json_copy_text(at, "sentence", ret->sentence, sizeof(ret->sentence));
    if (!json_array_member(&list, at, "metrics", JUDGE_METRICS_MAX))
        return;
    for (size_t i = 0; i < json_array_size(list.value) && !at->reader->error; i++) {
        const struct json_at item = json_item(&list, i);

        read_evidence(&ret->metrics[ret->metric_count++], &item);
    }
}
