/*
 * judge - `baton judge --replay FILE`: what the judge would have said of recorded signals, and when.
 *
 * The recording is what GET /v1/fleets/{fleet}/signals answers, or the same samples one a line; docs/judge.md describes it.
 * The code that decides is the controller's own, so a policy can be tuned on last month's incident.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "wire/record_common.h"
#include "wire/spec.h"

#define RECORDING_BYTES_MAX (64 * 1024 * 1024)
#define PARTS_MAX 1024

struct replay {
    struct spec spec;
    struct judge judge;
    struct judge_progress progress[BATONS_MAX];
    struct judge_sample sample;
    struct judge_part parts[PARTS_MAX];
    struct work works[COLOR_COUNT][JUDGE_STRATA_MAX], strata[2 * JUDGE_STRATA_MAX];
    struct judge_verdict said;
    int signals[SIGNALS_MAX]; /* where in the recording the policy's signal stands; -1: nowhere */
    bool begun;
    int64_t operation, stage, stages;
    int looks, stage_looks;
    struct json_out out; /* -o json */
    struct str text;
};

/* --- one sample out of the recording ------------------------------------------------------------------------------------------ */

/* Pairs of bucket and count. */
static bool read_histogram(struct histogram *ret, const struct json_at *at, const char *key)
{
    struct json_at list;

    memset(ret, 0, sizeof(*ret));
    if (!json_has(at, key) || !json_array_member(&list, at, key, (size_t)2 * HISTOGRAM_BUCKETS))
        return false;
    for (size_t i = 0; i + 1 < json_array_size(list.value) && !at->reader->error; i += 2) {
        const struct json_at bucket = json_item(&list, i), count = json_item(&list, i + 1);

        ret->counts[json_int(&bucket, NULL, 0, HISTOGRAM_BUCKETS - 1)] =
            (uint64_t)json_int(&count, NULL, 0, INT64_C(1) << 53);
    }
    return true;
}

static void read_figures(struct replay *p, const struct json_at *sample, enum color color)
{
    struct judge_figures *f = &p->sample.of[color];
    struct json_at at, list;

    for (int i = 0; i < SIGNALS_MAX; i++)
        f->signals[i] = NAN;
    if (!json_has(sample, color_name(color)) || !json_object_member(&at, sample, color_name(color)))
        return;
    p->sample.live[color] = (int)json_int_or(&at, "members", 0, 100000, 0);
    f->counted = json_has(&at, "records");
    f->records = json_real_or(&at, "records", 0);
    f->errors = json_real_or(&at, "errors", 0);
    f->latency_known = read_histogram(&f->latency, &at, "latency");
    f->metadata_known = read_histogram(&f->metadata, &at, "metadata");
    if (json_has(&at, "work")) {
        works_read(p->works[color], JUDGE_STRATA_MAX, &at, "work");
        p->sample.works[color] = p->works[color];
    }
    if (!json_has(&at, "signals") || !json_array_member(&list, &at, "signals", SIGNALS_MAX))
        return;
    for (int i = 0; i < p->spec.judge.signal_count; i++)
        if (p->signals[i] >= 0 && (size_t)p->signals[i] < json_array_size(list.value)) {
            const struct json_at item = json_item(&list, (size_t)p->signals[i]);

            f->signals[i] = json_real_or(&item, NULL, NAN);
        }
}

static void read_parts(struct replay *p, const struct json_at *sample)
{
    struct json_at list;

    p->sample.lag_known = json_has(sample, "parts") && json_array_member(&list, sample, "parts", (size_t)3 * PARTS_MAX);
    p->sample.parts = p->parts;
    for (size_t i = 0; p->sample.lag_known && i + 2 < json_array_size(list.value); i += 3) {
        const struct json_at baton = json_item(&list, i), at = json_item(&list, i + 1), end = json_item(&list, i + 2);

        p->parts[p->sample.part_count++] = (struct judge_part){
            .baton = (int)json_int(&baton, NULL, 0, BATONS_MAX - 1),
            .position = json_int(&at, NULL, 0, INT64_MAX),
            .end = json_int(&end, NULL, 0, INT64_MAX),
        };
    }
}

static void read_births(struct replay *p, const struct json_at *sample)
{
    struct judge_sample *s = &p->sample;
    struct json_at list;

    if (!json_has(sample, "births") || !json_array_member(&list, sample, "births", (size_t)2 * JUDGE_BIRTHS_MAX))
        return;
    for (size_t i = 0; i + 1 < json_array_size(list.value); i += 2) {
        const struct json_at slot = json_item(&list, i), peers = json_item(&list, i + 1);

        s->births[s->birth_count++] = (struct judge_birth){
            .slot = strtoull(json_text(&slot, NULL), NULL, 16),
            .peers = (int)json_int(&peers, NULL, 0, 100000),
        };
    }
}

/* --- what is said of it --------------------------------------------------------------------------------------------------------- */

/* A word that says something new is a line; the evidence of every metric goes with it. */
static void say(struct replay *p, const struct judge_verdict *v, int64_t at_unix_ms)
{
    char after[32];

    if (p->out.text) {
        json_open(&p->out, NULL, '{');
        json_put_int(&p->out, "operation", p->operation);
        json_put_int(&p->out, "stage", p->stage);
        json_put_int_or_null(&p->out, "at_unix_ms", at_unix_ms, 0);
        verdict_put(&p->out, "verdict", v);
        json_close(&p->out, '}');
        return;
    }
    str_addf(&p->text, "operation %lld, stage %lld, after %s (%lld looks): %s: %s\n", (long long)p->operation,
             (long long)p->stage + 1, format_duration(after, v->after_ms), (long long)v->looks,
             verdict_name(v->verdict), v->sentence);
    for (int i = 0; i < v->metric_count; i++)
        str_addf(&p->text, "    %-10s %s\n", metric_state_name(v->metrics[i].state), v->metrics[i].sentence);
}

static void replay_sample(struct replay *p, const struct json_at *sample, const char *what, enum color active)
{
    const int64_t number = json_int_or(sample, "operation", 0, UINT32_MAX, 0);
    const int64_t stage = json_int_or(sample, "stage", 0, STAGES_MAX, 0);
    const int64_t at_unix_ms = json_int_or(sample, "at_unix_ms", 0, INT64_MAX, 0);
    struct judge_verdict v;

    if (sample->reader->error)
        return;
    if (strcmp(what, "baseline") == 0) {
        judge_baseline(&p->judge, active, &p->sample);
        p->begun = false;
        return;
    }
    if (strcmp(what, "look") != 0)
        return; /* a stage passes: nobody is judged */
    if (!p->begun || number != p->operation || stage != p->stage) {
        judge_begin(&p->judge, &p->spec.judge, color_other(active), (int)p->stages,
                    p->sample.now_ms - p->spec.judge.interval_ms);
        memset(&p->said, 0, sizeof(p->said));
        p->begun = true;
        p->operation = number;
        p->stage = stage;
        p->stage_looks = 0;
    }
    p->looks++;
    judge_step(&p->judge, &p->sample);
    judge_explain(&p->judge, &v);
    if (p->stage_looks++ == 0 || v.verdict != p->said.verdict || v.rule != p->said.rule)
        say(p, &v, at_unix_ms);
    p->said = v;
}

static bool window_parse(enum burrow_status *ret, const char *name)
{
    for (int i = BURROW_NOTFOUND; i <= BURROW_UNKNOWN; i++)
        if (strcmp(name, burrow_status_name((enum burrow_status)i)) == 0) {
            *ret = (enum burrow_status)i;
            return true;
        }
    return false;
}

static void read_sample(struct replay *p, const struct json_at *sample)
{
    enum color active = BLUE;
    const char *what = json_text(sample, "what");

    memset(&p->sample, 0, sizeof(p->sample));
    p->sample.now_ms = json_int(sample, "at_ms", 0, INT64_MAX);
    p->sample.excluded = json_flag_or(sample, "excluded", false);
    if (json_has(sample, "active"))
        json_name(sample, "active", &active, color_parse);
    for (int c = 0; c < COLOR_COUNT; c++)
        read_figures(p, sample, (enum color)c);
    p->sample.members_known = p->sample.live[BLUE] > 0 || p->sample.live[GREEN] > 0;
    read_parts(p, sample);
    p->sample.control_lag_known = json_has(sample, "control_lag");
    p->sample.control_lag = json_int_or(sample, "control_lag", 0, INT64_MAX, 0);
    read_births(p, sample);
    if (json_has(sample, "window"))
        json_name(sample, "window", &p->sample.window, window_parse);
    replay_sample(p, sample, what, active);
}

/* Which of the recorded signals are the policy's: by name. */
static void read_signal_names(struct replay *p, const struct json_at *record)
{
    struct json_at list;

    if (!json_has(record, "signals") || !json_array_member(&list, record, "signals", SIGNALS_MAX))
        return;
    for (int i = 0; i < p->spec.judge.signal_count; i++)
        for (size_t k = 0; k < json_array_size(list.value); k++) {
            const struct json_at item = json_item(&list, k);

            if (strcmp(json_text(&item, NULL), p->spec.judge.signals[i].name) == 0)
                p->signals[i] = (int)k;
        }
}

/* --- the recording -------------------------------------------------------------------------------------------------------------- */

/* A whole answer of the API, with all samples in it; or one line of a file. */
static int replay_json(struct replay *p, json_t *json, struct errmsg *m)
{
    struct json_reader reader = { .m = m };
    const struct json_at root = json_root(&reader, json);
    struct json_at list;

    if (json_has(&root, "signals"))
        read_signal_names(p, &root);
    if (!json_has(&root, "samples")) {
        if (json_has(&root, "what"))
            read_sample(p, &root);
        return reader.error;
    }
    if (!json_is_array(json_object_get(json, "samples")))
        return err_set(m, ERR_CORRUPT, "'samples' is no list");
    list = json_member(&root, "samples");
    for (size_t i = 0; i < json_array_size(list.value) && !reader.error; i++) {
        const struct json_at item = json_item(&list, i);

        read_sample(p, &item);
    }
    return reader.error;
}

static int replay_lines(struct replay *p, char *text, struct errmsg *m)
{
    int number = 0, r = ERR_OK;

    for (char *line = text, *next; line && *line && r == ERR_OK; line = next) {
        json_error_t why;
        json_t *json;

        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        json = json_loads(line, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(json))
            r = err_set(m, ERR_CORRUPT, "%s", json ? "this is no JSON object" : why.text);
        else
            r = replay_json(p, json, m);
        if (r < 0)
            r = err_wrap(m, r, "line %d", number);
        json_decref(json);
    }
    return r;
}

static int replay_text(struct replay *p, struct str *text, struct errmsg *m)
{
    json_t *json = json_loadb(text->buf, text->len, JSON_REJECT_DUPLICATES, NULL);
    int r = json_is_object(json) ? replay_json(p, json, m) : replay_lines(p, text->buf, m);

    json_decref(json);
    return r == ERR_OK && p->looks == 0
               ? err_set(m, ERR_INVALID, "there is no sample in it of a switch that is being observed ('what': 'look')")
               : r;
}

static int recording_read(struct cli *cli, const char *name, struct str *ret)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    char buf[65536];
    size_t n;
    bool failed;

    if (!file)
        return cli_fail(cli,
                        errno == ENOENT   ? EXITS_NOT_FOUND
                        : errno == EACCES ? EXITS_NOT_ALLOWED
                                          : EXITS_FAILED,
                        "cannot read the recording '%s': %s", name, strerror(errno));
    while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
        str_add_bytes(ret, buf, n);
    failed = ferror(file) != 0;
    if (file != stdin)
        fclose(file);
    if (failed || str_error(ret))
        return cli_fail(cli, EXITS_FAILED, "cannot read the recording '%s': %s", name,
                        failed ? "it cannot be read to its end" : "it is larger than 64 MiB");
    return EXITS_DONE;
}

/* Without a policy of its own: all defaults, and everything is compared. */
static int policy_read(struct cli *cli, struct spec *ret)
{
    struct str file = STR_WITH_MAX(SPEC_BYTES_MAX);
    int code = EXITS_DONE;

    if (cli->args.value[OPT_POLICY]) {
        code = cli_fleet_read(cli, cli->args.value[OPT_POLICY], &file, ret);
    } else {
        spec_defaults(ret);
        ret->judge.mode = JUDGE_AUTO;
    }
    ret->judge = spec_judge(ret);
    str_free(&file);
    return code;
}

int cmd_judge(struct cli *cli)
{
    struct replay *p = calloc(1, sizeof(*p));
    struct str text = STR_WITH_MAX(RECORDING_BYTES_MAX);
    struct errmsg m = { 0 };
    int code;

    if (!p)
        return cli_fail(cli, EXITS_FAILED, "out of memory");
    p->text = (struct str)STR_WITH_MAX(RECORDING_BYTES_MAX);
    if (!cli->args.times[OPT_REPLAY])
        code = cli_fail(cli, EXITS_USAGE, "say --replay: 'baton judge --replay FILE' judges recorded signals again");
    else
        code = policy_read(cli, &p->spec);
    if (code == EXITS_DONE)
        code = recording_read(cli, cli->args.words[0], &text);
    if (code == EXITS_DONE) {
        for (int i = 0; i < SIGNALS_MAX; i++)
            p->signals[i] = -1;
        p->stages = p->spec.stages.count;
        judge_init(&p->judge, &p->spec.judge, p->progress, BATONS_MAX);
        judge_strata(&p->judge, p->strata, JUDGE_STRATA_MAX);
        if (cli->json) {
            p->out.text = &p->text;
            json_open(&p->out, NULL, '{');
            json_open(&p->out, "verdicts", '[');
        }
        if (replay_text(p, &text, &m) < 0) {
            code = cli_fail(cli, EXITS_FAILED, "the recording '%s': %s", cli->args.words[0], m.text);
        } else {
            if (cli->json) {
                json_close(&p->out, ']');
                json_put_int(&p->out, "looks", p->looks);
                json_put_text(&p->out, "last", verdict_name(p->said.verdict));
                json_close(&p->out, '}');
                str_add_char(&p->text, '\n');
            } else {
                str_addf(&p->text, "%d looks; the last word is %s: %s\n", p->looks, verdict_name(p->said.verdict),
                         p->said.sentence);
            }
            code = str_error(&p->text) ? cli_fail(cli, EXITS_FAILED, "out of memory") : cli_print(&p->text);
        }
    }
    str_free(&text);
    str_free(&p->text);
    free(p);
    return code;
}
