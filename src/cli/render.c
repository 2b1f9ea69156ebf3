/*
 * render - see render.h.
 *
 * Nothing here decides anything: what a fleet is at was decided by the controller. Texts that came from outside
 * pass through look_clean() (the tables do that by themselves).
 */
#include "cli/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/pick.h"

#define TEXT_MAX (1024 * 1024)
#define STAGE_COLUMNS 40 /* of a stage's name in a line */

/* ---- small ones ---- */

const char *render_number(char ret[32], int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, number < 0 ? -number : number), at = 0;

    if (number < 0)
        ret[at++] = '-';
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            ret[at++] = ',';
        ret[at++] = digits[i];
    }
    ret[at] = 0;
    return ret;
}

const char *render_us(char ret[32], int64_t us)
{
    if (us < 0)
        snprintf(ret, 32, "-");
    else if (us < 1000000)
        snprintf(ret, 32, "%.1f ms", (double)us / 1000);
    else
        snprintf(ret, 32, "%.1f s", (double)us / 1000000);
    return ret;
}

void render_ranges(struct str *ret, const int32_t *numbers, int count)
{
    for (int i = 0; i < count;) {
        int last = i;

        while (last + 1 < count && numbers[last + 1] == (int64_t)numbers[last] + 1)
            last++;
        str_addf(ret, "%s%" PRId32, i ? "," : "", numbers[i]);
        if (last > i)
            str_addf(ret, "%s%" PRId32, last == i + 1 ? "," : "-", numbers[last]);
        i = last + 1;
    }
}

/* A duration in words of at most two units, for what counts up or down. */
static const char *seconds_text(char ret[32], int64_t ms)
{
    int64_t s = ms < 0 ? 0 : ms / 1000;

    if (ms < 10000)
        snprintf(ret, 32, "%.1f s", (double)(ms < 0 ? 0 : ms) / 1000);
    else if (s < 60)
        snprintf(ret, 32, "%d s", (int)s);
    else if (s < 3600)
        snprintf(ret, 32, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    else if (s < 86400)
        snprintf(ret, 32, "%d h %02d min", (int)(s / 3600), (int)(s / 60 % 60));
    else
        snprintf(ret, 32, "%d d %02d h", (int)(s / 86400 % 100000), (int)(s / 3600 % 24));
    return ret;
}

static const char *time_text(char ret[32], int64_t unix_ms)
{
    if (unix_ms <= 0)
        return memcpy(ret, "-", 2);
    clock_format_unix_ms(ret, unix_ms);
    if (strlen(ret) > 19) /* seconds are enough for people */
        memcpy(ret + 19, "Z", 2);
    return ret;
}

static void clean_add(struct str *ret, const struct look *look, enum style style, const char *text)
{
    struct str clean = STR_WITH_MAX(TEXT_MAX);

    look_clean(&clean, text);
    look_add(ret, look, style, clean.buf);
    str_free(&clean);
}

static void color_add(struct str *ret, const struct look *look, const char *color)
{
    clean_add(ret, look, look_color(color), color);
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* "10%", "3", "orders/0,orders/7": cut when it is long. */
static const char *stage_name(char ret[STAGE_COLUMNS + 1], const json_t *op, size_t i)
{
    const json_t *stage = json_array_get(pick(op, "stages"), i);
    struct str clean = STR_WITH_MAX(TEXT_MAX);

    look_clean(&clean, json_is_string(stage) ? json_string_value(stage) : "?");
    if (clean.len > STAGE_COLUMNS)
        snprintf(ret, STAGE_COLUMNS + 1, "%.*s...", STAGE_COLUMNS - 3, clean.buf);
    else
        snprintf(ret, STAGE_COLUMNS + 1, "%s", clean.buf);
    str_free(&clean);
    return ret;
}

bool op_has_ended(const json_t *op)
{
    const char *state = pick_text(op, "state", "");

    return word_is(state, "complete") || word_is(state, "rolled-back") || word_is(state, "needs-operator");
}

static enum style state_style(const char *state)
{
    return word_is(state, "complete") || word_is(state, "held") ? GREEN_INK
           : word_is(state, "rolled-back")                      ? YELLOW
           : word_is(state, "needs-operator")                   ? RED
                                                                : PLAIN;
}

/* "switch 6" */
static void op_name(struct str *ret, const json_t *op)
{
    look_clean(ret, pick_text(op, "kind", "operation"));
    str_addf(ret, " %" PRId64, pick_int(op, "number", 0));
}

/* ---- the sentence ---- */

static void passing_sentence(struct str *ret, const struct look *look, const json_t *status, const json_t *op)
{
    const char *kind = pick_text(op, "kind", "switch");
    size_t stages = pick_count(op, "stages");
    int64_t stage = pick_int(op, "stage", 0);
    char name[STAGE_COLUMNS + 1];

    op_name(ret, op);
    if (word_is(kind, "throttle"))
        str_addf(ret, " lets %" PRId64 " partition%s work: ", pick_int(op, "partitions", 0),
                 plural(pick_int(op, "partitions", 0)));
    else if (word_is(kind, "pause"))
        str_addf(ret, " lets everyone finish: ");
    else if (word_is(kind, "resume"))
        str_addf(ret, " sets the fleet going: ");
    else {
        str_add(ret, " passes ");
        color_add(ret, look, pick_text(op, "from", pick_text(status, "active", "?")));
        str_add(ret, look->unicode ? " → " : " -> ");
        color_add(ret, look, pick_text(op, "to", "?"));
        if (stages > 1)
            str_addf(ret, ", stage %" PRId64 " of %zu (%s)", stage + 1, stages, stage_name(name, op, (size_t)stage));
        str_add(ret, ": ");
    }
    str_addf(ret, "%" PRId64 " of %" PRId64 " done", pick_int(op, "progress.taken", 0),
             pick_int(op, "progress.total", 0));
}

static void observing_sentence(struct str *ret, const struct look *look, const json_t *op, int64_t now_unix_ms)
{
    size_t stages = pick_count(op, "stages");
    int64_t stage = pick_int(op, "stage", 0), end = pick_time(op, "deadline");
    char left[32], name[STAGE_COLUMNS + 1];

    op_name(ret, op);
    str_addf(ret, " has passed %s to ", stages ? stage_name(name, op, (size_t)stage) : "100%");
    color_add(ret, look, pick_text(op, "to", "?"));
    if (pick_bool(op, "held", false))
        look_add(ret, look, YELLOW, " and is held there until 'baton promote' or 'baton abort'");
    else
        str_add(ret, " and looks on");
    if (end > 0)
        str_addf(ret, " for another %s", seconds_text(left, end - now_unix_ms));
    if (*pick_text(op, "verdict.sentence", "")) {
        str_add(ret, ": ");
        clean_add(ret, look, PLAIN, pick_text(op, "verdict.sentence", ""));
    }
}

static int64_t members_active(const json_t *members)
{
    int64_t active = 0;
    size_t i;
    json_t *m;

    json_array_foreach((json_t *)members, i, m)
    {
        active += pick_int(m, "active", 0);
    }
    return active;
}

static void steady_sentence(struct str *ret, const struct look *look, const json_t *status)
{
    const char *active = pick_text(status, "active", "?");
    const char *other = word_is(active, "blue") ? "green" : "blue";
    const json_t *colors = pick(status, "colors");
    const json_t *workers = pick(json_object_get(colors, active), "members");
    int64_t partitions = (int64_t)pick_count(status, "partitions"), works = members_active(workers);
    int64_t worker_count = (int64_t)json_array_size(workers);
    int64_t standby_count = (int64_t)pick_count(json_object_get(colors, other), "members");

    if (worker_count == 0) {
        look_add(ret, look, RED, "nobody works: ");
        color_add(ret, look, active);
        str_addf(ret, " holds %" PRId64 " partition%s and has no members", partitions, plural(partitions));
    } else if (works < partitions) {
        color_add(ret, look, active);
        str_addf(ret, " holds %" PRId64 " partition%s, its %" PRId64 " member%s ", partitions, plural(partitions),
                 worker_count, plural(worker_count));
        look_addf(ret, look, YELLOW, "work%s on %" PRId64 " of them", worker_count == 1 ? "s" : "", works);
    } else {
        color_add(ret, look, active);
        str_addf(ret, " works on %s%" PRId64 " partition%s (%" PRId64 " member%s)", partitions > 1 ? "all " : "",
                 partitions, plural(partitions), worker_count, plural(worker_count));
    }
    str_add(ret, standby_count ? "; " : "; no member of ");
    color_add(ret, look, other);
    if (standby_count)
        str_addf(ret, " stands by (%" PRId64 ")", standby_count);
    else
        str_add(ret, " stands by");
}

static int64_t partitions_paused(const json_t *status)
{
    int64_t paused = 0;
    size_t i;
    json_t *p;

    json_array_foreach((json_t *)pick(status, "partitions"), i, p)
    {
        paused += word_is(pick_text(p, "state", ""), "paused");
    }
    return paused;
}

void render_sentence(struct str *ret, const struct look *look, const json_t *status, int64_t now_unix_ms)
{
    const char *phase = pick_text(status, "phase", "");
    const json_t *op = pick(status, "operation");

    if (word_is(phase, "needs-operator")) {
        const char *why = pick_text(op, "why", "");

        look_add(ret, look, RED, "needs an operator: ");
        look_clean(ret, *why ? why : "the last operation could not end by itself");
    } else if (word_is(phase, "paused")) {
        look_add(ret, look, YELLOW, "is paused");
        str_add(ret, ": nobody works until 'baton resume'");
    } else if (word_is(phase, "throttled")) {
        int64_t all = (int64_t)pick_count(status, "partitions"), waiting = partitions_paused(status);

        look_add(ret, look, YELLOW, "is throttled");
        if (pick_bool(op, "by_signal", false)) {
            str_add(ret, " by throttle_when: ");
            look_clean(ret, pick_text(op, "reason", ""));
            str_addf(ret, "; %" PRId64 " of %" PRId64 " partitions work until it is low, or 'baton resume'",
                     all - waiting, all);
        } else
            str_addf(ret, ": %" PRId64 " of %" PRId64 " partitions work, the others wait until 'baton resume'",
                     all - waiting, all);
    } else if (word_is(phase, "returning")) {
        op_name(ret, op);
        look_add(ret, look, YELLOW, " goes back");
        str_addf(ret, ": %" PRId64 " of %" PRId64 " home", pick_int(op, "progress.returned", 0),
                 pick_int(op, "progress.total", 0));
        if (*pick_text(op, "why", "")) {
            str_add(ret, ", because ");
            look_clean(ret, pick_text(op, "why", ""));
        }
    } else if (word_is(phase, "observing"))
        observing_sentence(ret, look, op, now_unix_ms);
    else if (word_is(phase, "passing") || word_is(phase, "pausing") || word_is(phase, "resuming") ||
             word_is(phase, "throttling"))
        passing_sentence(ret, look, status, op);
    else
        steady_sentence(ret, look, status);
}

bool sentence_is_verb(const json_t *status)
{
    const char *phase = pick_text(status, "phase", "");

    return word_is(phase, "paused") || word_is(phase, "throttled");
}

/* ---- status ---- */

void render_fleets(struct str *ret, const struct look *look, const json_t *answer)
{
    const json_t *fleets = pick(answer, "fleets");
    struct table *t;
    size_t i;
    json_t *f;

    if (json_array_size(fleets) == 0) {
        str_add(ret, "There is no fleet yet: write a fleet file and run 'baton fleet apply FILE'.\n"
                     "('baton help fleet apply' explains the file.)\n");
        return;
    }
    t = table_new(look);
    table_column(t, "FLEET", TABLE_LEFT);
    table_column(t, "PHASE", TABLE_LEFT);
    table_column(t, "ACTIVE", TABLE_LEFT);
    table_column(t, "PARTITIONS", TABLE_RIGHT);
    table_column(t, "BLUE", TABLE_RIGHT);
    table_column(t, "GREEN", TABLE_RIGHT);
    table_column(t, "SWITCH", TABLE_RIGHT);
    json_array_foreach((json_t *)fleets, i, f)
    {
        const char *phase = pick_text(f, "phase", "");

        table_row(t);
        table_cell(t, PLAIN, "%s", pick_text(f, "name", ""));
        table_cell(t, word_is(phase, "steady") ? PLAIN : word_is(phase, "needs-operator") ? RED : YELLOW, "%s", phase);
        table_cell(t, look_color(pick_text(f, "active", "")), "%s", pick_text(f, "active", ""));
        table_cell(t, PLAIN, "%" PRId64, pick_int(f, "partitions", 0));
        table_cell(t, PLAIN, "%" PRId64, pick_int(f, "members.blue", 0));
        table_cell(t, PLAIN, "%" PRId64, pick_int(f, "members.green", 0));
        if (pick_int(f, "switch", 0) > 0)
            table_cell(t, PLAIN, "%" PRId64, pick_int(f, "switch", 0));
        else
            table_cell(t, PLAIN, "-");
    }
    table_end(t, ret);
}

static void colors_table(struct str *ret, const struct look *look, const json_t *status)
{
    static const char *const names[] = { "blue", "green" };
    struct table *t = table_new(look);

    table_column(t, "COLOR", TABLE_LEFT);
    table_column(t, "MEMBER", TABLE_LEFT);
    table_column(t, "HOST", TABLE_LEFT);
    table_column(t, "VERSION", TABLE_LEFT);
    table_column(t, "ASSIGNED", TABLE_RIGHT);
    table_column(t, "WORKS ON", TABLE_RIGHT);
    table_column(t, "IN FLIGHT", TABLE_RIGHT);
    table_column(t, "HEARD", TABLE_RIGHT);
    for (size_t c = 0; c < ARRAY_COUNT(names); c++) {
        const json_t *color = json_object_get(pick(status, "colors"), names[c]);
        const json_t *members = pick(color, "members");
        size_t i;
        json_t *m;

        if (json_array_size(members) == 0) {
            table_row(t);
            table_cell(t, look_color(names[c]), "%s", names[c]);
            table_cell(t, pick_int(color, "holds", 0) ? RED : DIM, "no member");
        }
        json_array_foreach((json_t *)members, i, m)
        {
            int64_t heard = pick_int(m, "heard_ms_ago", -1);
            bool ready = pick_bool(m, "ready", true);
            char ago[32];

            table_row(t);
            table_cell(t, look_color(names[c]), "%s", names[c]);
            table_cell(t, PLAIN, "%s", pick_text(m, "client_id", pick_text(m, "incarnation", "?")));
            table_cell(t, PLAIN, "%s", pick_text(m, "host", ""));
            table_cell(t, PLAIN, "%s%s", pick_text(m, "version", ""), ready ? "" : " (not ready)");
            table_cell(t, PLAIN, "%" PRId64, pick_int(m, "partitions", 0));
            table_cell(t, pick_int(m, "active", 0) ? look_color(names[c]) : DIM, "%" PRId64, pick_int(m, "active", 0));
            table_cell(t, PLAIN, "%" PRId64, pick_int(m, "in_flight", 0));
            table_cell(t, heard > 15000 ? RED : PLAIN, "%s", heard < 0 ? "-" : seconds_text(ago, heard));
        }
    }
    table_end(t, ret);
}

static void partitions_wide(struct str *ret, const struct look *look, const json_t *partitions)
{
    struct table *t = table_new(look);
    char number[32];
    size_t i;
    json_t *p;

    table_column(t, "PARTITION", TABLE_LEFT);
    table_column(t, "HOLDER", TABLE_LEFT);
    table_column(t, "STATE", TABLE_LEFT);
    table_column(t, "FROM", TABLE_RIGHT);
    table_column(t, "COMMITTED", TABLE_RIGHT);
    table_column(t, "LEFT", TABLE_RIGHT);
    table_column(t, "EPOCH", TABLE_RIGHT);
    table_column(t, "DOUBT", TABLE_RIGHT);
    table_column(t, "BLUE OWNER", TABLE_LEFT);
    table_column(t, "GREEN OWNER", TABLE_LEFT);
    json_array_foreach((json_t *)partitions, i, p)
    {
        const char *holder = pick_text(p, "holder", ""), *state = pick_text(p, "state", "");
        int64_t doubt = pick_int(p, "doubt", -1), from = pick_int(p, "from", -1), end = pick_int(p, "log_end", -1);
        int64_t committed = pick_int(pick(p, "committed"), holder, -1);
        int64_t left = end < 0 || committed < 0 ? -1 : end > committed ? end - committed : 0;

        table_row(t);
        table_cell(t, PLAIN, "%s/%" PRId64, pick_text(p, "topic", ""), pick_int(p, "partition", 0));
        table_cell(t, look_color(holder), "%s", holder);
        table_cell(t, word_is(state, "held") ? PLAIN : YELLOW, "%s", state);
        table_cell(t, PLAIN, "%s", from < 0 ? "-" : render_number(number, from));
        table_cell(t, PLAIN, "%s", committed < 0 ? "-" : render_number(number, committed));
        table_cell(t, PLAIN, "%s", left < 0 ? "-" : render_number(number, left));
        table_cell(t, PLAIN, "%" PRId64, pick_int(p, "epoch", 0));
        table_cell(t, doubt < 0 ? PLAIN : YELLOW, "%s", doubt < 0 ? "-" : render_number(number, doubt));
        table_cell(t, PLAIN, "%s", pick_text(p, "owner.blue", "-"));
        table_cell(t, PLAIN, "%s", pick_text(p, "owner.green", "-"));
    }
    table_end(t, ret);
}

/* Partitions of one topic, holder and state on one line. */
static void partitions_grouped(struct str *ret, const struct look *look, const json_t *partitions)
{
    size_t count = json_array_size(partitions);
    bool *done = calloc(count ? count : 1, sizeof(*done));
    int32_t *numbers = calloc(count ? count : 1, sizeof(*numbers));
    struct table *t = table_new(look);

    if (!done || !numbers)
        goto out;
    table_column(t, "TOPIC", TABLE_LEFT);
    table_column(t, "HOLDER", TABLE_LEFT);
    table_column(t, "STATE", TABLE_LEFT);
    table_column(t, "COUNT", TABLE_RIGHT);
    table_column(t, "PARTITIONS", TABLE_WRAP);
    for (size_t i = 0; i < count; i++) {
        const json_t *p = json_array_get(partitions, i);
        const char *topic = pick_text(p, "topic", ""), *holder = pick_text(p, "holder", ""),
                   *state = pick_text(p, "state", "");
        struct str ranges = STR_WITH_MAX(4000);
        int n = 0;

        if (done[i])
            continue;
        for (size_t k = i; k < count; k++) {
            const json_t *q = json_array_get(partitions, k);

            if (done[k] || !word_is(pick_text(q, "topic", ""), topic) || !word_is(pick_text(q, "holder", ""), holder) ||
                !word_is(pick_text(q, "state", ""), state))
                continue;
            done[k] = true;
            numbers[n++] = (int32_t)pick_int(q, "partition", 0);
        }
        render_ranges(&ranges, numbers, n);
        table_row(t);
        table_cell(t, PLAIN, "%s", topic);
        table_cell(t, look_color(holder), "%s", holder);
        table_cell(t, word_is(state, "held") ? PLAIN : YELLOW, "%s", state);
        table_cell(t, PLAIN, "%d", n);
        table_cell(t, PLAIN, "%s%s", ranges.buf, str_error(&ranges) ? "..." : "");
        str_free(&ranges);
    }
out:
    table_end(t, ret);
    free(done);
    free(numbers);
}

static void leader_add(struct str *ret, const struct look *look, const json_t *status)
{
    const json_t *leader = pick(status, "leader");
    const char *host = pick_text(leader, "host", ""), *address = pick_text(leader, "address", "");

    look_addf(ret, look, DIM, "term %" PRId64 ", epoch %" PRId64, pick_int(status, "term", 0),
              pick_int(status, "epoch", 0));
    if (*host || *address) {
        str_add(ret, look_code(look, DIM));
        str_add(ret, *address ? ", led by " : ", last led by a command on ");
        look_clean(ret, *address ? address : host);
        str_add(ret, look_code(look, PLAIN));
    }
    str_add_char(ret, '\n');
}

/* What throttle_when of the fleet file sees. */
static void throttle_add(struct str *ret, const struct look *look, const json_t *throttle)
{
    const json_t *figure = pick(throttle, "figure");
    const bool throttled = word_is(pick_text(throttle, "state", ""), "throttled");

    if (!json_is_object(throttle))
        return;
    look_addf(ret, look, DIM, "throttle_when: %s ", pick_text(throttle, "signal", "?"));
    if (json_is_number(figure)) {
        look_addf(ret, look, DIM, "is %.6g", json_number_value(figure));
    } else {
        look_add(ret, look, YELLOW, "is unknown");
        look_add(ret, look, DIM, " (");
        clean_add(ret, look, DIM, pick_text(throttle, "unknown", ""));
        look_add(ret, look, DIM, ")");
    }
    look_addf(ret, look, DIM, ", %s %.6g", throttled ? "sets it going at" : "throttles above",
              json_number_value(pick(throttle, throttled ? "until" : "above")));
    if (word_is(pick_text(throttle, "state", ""), "overruled"))
        look_addf(ret, look, DIM, " once it has been at %.6g: somebody lifted the last throttle",
                  json_number_value(pick(throttle, "until")));
    str_add_char(ret, '\n');
}

/* Agents of one color of a foreign fleet that both live. */
static void rivals_add(struct str *ret, const struct look *look, const json_t *status)
{
    static const char *const names[] = { "blue", "green" };
    size_t i;
    json_t *m;

    for (size_t c = 0; c < ARRAY_COUNT(names); c++)
        json_array_foreach((json_t *)pick(json_object_get(pick(status, "colors"), names[c]), "members"), i, m)
        {
            if (!*pick_text(m, "rival", ""))
                continue;
            look_addf(ret, look, RED, "two agents of %s: ", names[c]);
            clean_add(ret, look, PLAIN, pick_text(m, "client_id", "?"));
            str_add(ret, " speaks, and beside it lives ");
            clean_add(ret, look, PLAIN, pick_text(m, "rival", ""));
            str_add(ret, ": end one of them\n");
        }
}

void render_status(struct str *ret, const struct look *look, const json_t *status, bool wide, int64_t now_unix_ms)
{
    const json_t *partitions = pick(status, "partitions"), *op = pick(status, "operation");
    struct str sentence = STR_WITH_MAX(TEXT_MAX);

    clean_add(&sentence, look, BOLD, pick_text(status, "name", "?"));
    str_add(&sentence, sentence_is_verb(status) ? " " : ": ");
    render_sentence(&sentence, look, status, now_unix_ms);
    str_add_char(&sentence, '.');
    look_wrap(ret, sentence.buf, look->width, 0);
    str_add_char(ret, '\n');
    str_free(&sentence);
    leader_add(ret, look, status);
    throttle_add(ret, look, pick(status, "throttle_when"));
    rivals_add(ret, look, status);
    if (pick_text(status, "broken", NULL)) {
        look_add(ret, look, RED, "Its document cannot be read: ");
        look_clean(ret, pick_text(status, "broken", ""));
        str_add_char(ret, '\n');
    }
    if (json_is_object(op) && !op_has_ended(op)) {
        str_add_char(ret, '\n');
        render_progress(ret, look, NULL, op, now_unix_ms);
    }
    str_add_char(ret, '\n');
    colors_table(ret, look, status);
    str_add_char(ret, '\n');
    if (wide)
        partitions_wide(ret, look, partitions);
    else
        partitions_grouped(ret, look, partitions);
}

/* ---- progress ---- */

static void stage_line(struct str *ret, const struct look *look, const json_t *op, size_t i, size_t stages)
{
    const char *state = pick_text(op, "state", ""), *to = pick_text(op, "to", ""), *kind = pick_text(op, "kind", "");
    const char *passed = word_is(kind, "switch") || word_is(kind, "rollback") ? "passed" : "done";
    const char *looks_on = pick_bool(op, "held", false) ? "passed, held here" : "passed, looking on";
    char name[STAGE_COLUMNS + 1];
    size_t stage = (size_t)pick_int(op, "stage", 0);
    int64_t total = pick_int(op, "progress.total", 0), taken = pick_int(op, "progress.taken", 0);
    bool complete = word_is(state, "complete"), returning = word_is(state, "returning");
    int columns = look->width && look->width < 70 ? 16 : 30;

    if (stages > 1)
        str_addf(ret, "  stage %zu  %4s  ", i + 1, stage_name(name, op, i));
    else
        str_add(ret, "  ");
    if (complete || i < stage || (i == stage && word_is(state, "observing"))) {
        look_bar(ret, look, returning ? DIM : look_color(to), columns, 1, 1);
        str_add(ret, "  ");
        look_add(ret, look, i == stage && !complete ? PLAIN : DIM, i == stage && !complete ? looks_on : passed);
    } else if (i == stage && returning) {
        look_bar(ret, look, YELLOW, columns, (long)pick_int(op, "progress.returned", 0), (long)total);
        look_addf(ret, look, YELLOW, "  going back, %" PRId64 "/%" PRId64 " home", pick_int(op, "progress.returned", 0),
                  total);
    } else if (i == stage) {
        look_bar(ret, look, look_color(to) == PLAIN ? CYAN : look_color(to), columns, (long)taken, (long)total);
        str_addf(ret, "  %" PRId64 "/%" PRId64, taken, total);
    } else {
        look_bar(ret, look, DIM, columns, 0, 1);
    }
    str_add_char(ret, '\n');
}

void render_progress(struct str *ret, const struct look *look, const char *fleet, const json_t *op, int64_t now_unix_ms)
{
    const char *state = pick_text(op, "state", ""), *kind = pick_text(op, "kind", "switch");
    int64_t created = pick_time(op, "created"), deadline = pick_time(op, "deadline"), ended = pick_time(op, "ended");
    const json_t *waiting = pick(op, "waiting");
    size_t stages = pick_count(op, "stages"), i;
    char text[32];
    json_t *w;

    if (fleet) {
        clean_add(ret, look, BOLD, fleet);
        str_add(ret, "  ");
    }
    op_name(ret, op);
    if (word_is(kind, "switch") || word_is(kind, "rollback")) {
        str_add(ret, "  ");
        color_add(ret, look, pick_text(op, "from", "?"));
        str_add(ret, look->unicode ? " → " : " -> ");
        color_add(ret, look, pick_text(op, "to", "?"));
    }
    if (*pick_text(op, "reason", "")) {
        str_add(ret, "  ");
        clean_add(ret, look, DIM, pick_text(op, "reason", ""));
    }
    str_add_char(ret, '\n');
    for (i = 0; i < (stages ? stages : 1); i++)
        stage_line(ret, look, op, i, stages);
    if (!op_has_ended(op) && !word_is(state, "observing")) {
        str_addf(ret, "  ordered %" PRId64 "  granted %" PRId64 "  taken %" PRId64 "  of %" PRId64,
                 pick_int(op, "progress.ordered", 0), pick_int(op, "progress.granted", 0),
                 pick_int(op, "progress.taken", 0), pick_int(op, "progress.total", 0));
        str_add_char(ret, '\n');
        json_array_foreach((json_t *)waiting, i, w)
        {
            if (i == 4) {
                look_addf(ret, look, DIM, "    and %zu more", json_array_size(waiting) - i);
                str_add_char(ret, '\n');
                break;
            }
            str_add(ret, i ? "            " : "  waits for ");
            clean_add(ret, look, YELLOW, pick_text(w, "who", "?"));
            str_add(ret, ": ");
            look_clean(ret, pick_text(w, "what", "?"));
            str_add_char(ret, '\n');
        }
    }
    if (created > 0) {
        str_addf(ret, "  %s", seconds_text(text, (ended > 0 ? ended : now_unix_ms) - created));
        if (!op_has_ended(op) && deadline > 0)
            look_addf(ret, look, DIM, word_is(state, "observing") ? ", looking on for another %s" : ", deadline in %s",
                      seconds_text(text, deadline - now_unix_ms));
        str_add_char(ret, '\n');
    }
}

void render_progress_line(struct str *ret, const char *fleet, const json_t *op)
{
    const char *state = pick_text(op, "state", "?");
    size_t stages = pick_count(op, "stages");
    int64_t stage = pick_int(op, "stage", 0);
    char name[STAGE_COLUMNS + 1];
    const json_t *waits;
    size_t i;

    look_clean(ret, fleet);
    str_add(ret, ": ");
    op_name(ret, op);
    str_add_char(ret, ' ');
    look_clean(ret, state);
    if (stages > 1)
        str_addf(ret, ", stage %" PRId64 "/%zu (%s)", stage + 1, stages, stage_name(name, op, (size_t)stage));
    if (op_has_ended(op))
        return;
    if (pick_bool(op, "held", false))
        str_add(ret, ", held");
    if (word_is(state, "returning"))
        str_addf(ret, ", returned %" PRId64 "/%" PRId64, pick_int(op, "progress.returned", 0),
                 pick_int(op, "progress.total", 0));
    else
        str_addf(ret, ", ordered %" PRId64 " granted %" PRId64 " taken %" PRId64 "/%" PRId64,
                 pick_int(op, "progress.ordered", 0), pick_int(op, "progress.granted", 0),
                 pick_int(op, "progress.taken", 0), pick_int(op, "progress.total", 0));
    /* By name alone: how many records somebody still has in flight changes with every look. */
    json_array_foreach((json_t *)pick(op, "waiting"), i, waits)
    {
        str_add(ret, i ? ", " : ", waits for ");
        look_clean(ret, pick_text(waits, "who", "?"));
        if (i == 3)
            break;
    }
}

void render_end(struct str *ret, const struct look *look, const char *fleet, const json_t *op)
{
    const char *state = pick_text(op, "state", ""), *kind = pick_text(op, "kind", "switch");
    const char *why = pick_text(op, "why", "");
    int64_t took = pick_time(op, "ended") - pick_time(op, "created");
    char text[32];

    if (word_is(state, "complete")) {
        look_add(ret, look, GREEN_INK, look->unicode ? "✔ " : "");
        look_clean(ret, fleet);
        str_add(ret, ": ");
        op_name(ret, op);
        if (word_is(kind, "pause"))
            str_add(ret, " is complete: nobody works until 'baton resume'");
        else if (word_is(kind, "throttle"))
            str_addf(ret, " is complete: %" PRId64 " partition%s work, the others wait until 'baton resume'",
                     pick_int(op, "partitions", 0), plural(pick_int(op, "partitions", 0)));
        else {
            str_add(ret, " is complete: ");
            color_add(ret, look, pick_text(op, "to", "?"));
            str_add(ret, " works");
        }
    } else if (word_is(state, "rolled-back")) {
        look_add(ret, look, YELLOW, look->unicode ? "↩ " : "");
        look_clean(ret, fleet);
        str_add(ret, ": ");
        op_name(ret, op);
        str_add(ret, " was rolled back, ");
        color_add(ret, look, pick_text(op, "from", "?"));
        str_add(ret, " works as before");
    } else if (word_is(state, "observing")) {
        look_add(ret, look, YELLOW, look->unicode ? "❚❚ " : "");
        look_clean(ret, fleet);
        str_add(ret, ": ");
        op_name(ret, op);
        str_add(ret, " is held where it is, until a verdict or a person ends that ('baton rollback' takes it back)");
        why = pick_text(op, "verdict.sentence", why);
    } else {
        look_add(ret, look, RED, look->unicode ? "✘ " : "");
        look_clean(ret, fleet);
        str_add(ret, ": ");
        op_name(ret, op);
        str_add(ret, " needs an operator");
    }
    if (took > 0)
        str_addf(ret, " (%s)", seconds_text(text, took));
    if (*why) {
        str_add(ret, ".\n  Cause: ");
        look_clean(ret, why);
    }
    str_add_char(ret, '\n');
}

/* ---- history ---- */

void render_history(struct str *ret, const struct look *look, const json_t *answer, int limit, int64_t now_unix_ms)
{
    const json_t *ops = pick(answer, "switches");
    struct table *t;
    size_t i;
    json_t *op;

    if (json_array_size(ops) == 0) {
        str_add(ret, "Nothing was done to this fleet yet.\n");
        return;
    }
    t = table_new(look);
    table_column(t, "NUMBER", TABLE_RIGHT);
    table_column(t, "WHAT", TABLE_LEFT);
    table_column(t, "TO", TABLE_LEFT);
    table_column(t, "STATE", TABLE_LEFT);
    table_column(t, "BEGAN", TABLE_LEFT);
    table_column(t, "TOOK", TABLE_RIGHT);
    table_column(t, "BY", TABLE_LEFT);
    table_column(t, "REASON", TABLE_TRUNC);
    json_array_foreach((json_t *)ops, i, op)
    {
        const char *state = pick_text(op, "state", ""), *kind = pick_text(op, "kind", "");
        const char *to = word_is(kind, "switch") || word_is(kind, "rollback") ? pick_text(op, "to", "") : "";
        int64_t created = pick_time(op, "created"), ended = pick_time(op, "ended");
        const char *reason = pick_text(op, "reason", ""), *why = pick_text(op, "why", "");
        char time[32], took[32];

        if (limit > 0 && i == (size_t)limit)
            break;
        table_row(t);
        table_cell(t, PLAIN, "%" PRId64, pick_int(op, "number", 0));
        table_cell(t, PLAIN, "%s", kind);
        table_cell(t, look_color(to), "%s", to);
        table_cell(t, state_style(state), "%s", state);
        table_cell(t, PLAIN, "%s", time_text(time, created));
        table_cell(t, PLAIN, "%s", created ? seconds_text(took, (ended ? ended : now_unix_ms) - created) : "-");
        table_cell(t, PLAIN, "%s", pick_text(op, "by", ""));
        table_cell(t, PLAIN, "%s%s%s%s", reason, *why ? (*reason ? " [" : "[") : "", why, *why ? "]" : "");
    }
    table_end(t, ret);
}

/* ---- findings and errors ---- */

static void finding_part(struct str *ret, const struct look *look, const char *label_text, const char *text)
{
    struct str clean = STR_WITH_MAX(TEXT_MAX);

    if (!*text || word_is(text, "nothing"))
        return;
    look_clean(&clean, text);
    look_addf(ret, look, DIM, "    %-5s", label_text);
    look_wrap(ret, clean.buf, look->width, 9);
    str_add_char(ret, '\n');
    str_free(&clean);
}

void render_findings(struct str *ret, const struct look *look, const json_t *findings)
{
    size_t i;
    json_t *f;

    json_array_foreach((json_t *)findings, i, f)
    {
        const char *severity = pick_text(f, "severity", "note");

        str_add(ret, "  ");
        clean_add(ret, look,
                  word_is(severity, "refusal")   ? RED
                  : word_is(severity, "warning") ? YELLOW
                                                 : CYAN,
                  severity);
        str_add_char(ret, ' ');
        look_clean(ret, pick_text(f, "code", ""));
        str_add_char(ret, '\n');
        finding_part(ret, look, "what", pick_text(f, "what", ""));
        finding_part(ret, look, "why", pick_text(f, "why", ""));
        finding_part(ret, look, "mend", pick_text(f, "mend", ""));
    }
}

void render_error(struct str *ret, const struct look *look, int status, const json_t *answer)
{
    const json_t *error = pick(answer, "error");
    const char *message = pick_text(error, "message", NULL), *mend = pick_text(error, "mend", "");
    struct str text = STR_WITH_MAX(TEXT_MAX);

    look_add(&text, look, RED, "baton:");
    str_add_char(&text, ' ');
    if (message)
        look_clean(&text, message);
    else
        str_addf(&text, "the controller answered with status %d and nothing that Baton understands", status);
    look_wrap(ret, text.buf, look->width, 0);
    str_add_char(ret, '\n');
    finding_part(ret, look, "mend", mend);
    render_findings(ret, look, pick(error, "findings"));
    str_free(&text);
}

/* ---- receipt ---- */

int64_t receipt_us(const json_t *json, const char *path)
{
    const json_t *value = pick(json, path);

    return json_is_number(value) ? pick_bounded(json_number_value(value) * 1000 + 0.5) : -1;
}

static void label(struct str *ret, const struct look *look, const char *text)
{
    look_addf(ret, look, DIM, "  %-12s", text);
}

static void version_add(struct str *ret, const struct look *look, const char *color, const char *version)
{
    color_add(ret, look, color);
    if (*version) {
        str_add_char(ret, ' ');
        clean_add(ret, look, DIM, version);
    }
}

/* "replayed" and "possibly_repeated" are {from, to} or null. */
static int64_t range_count(const json_t *pass, const char *path)
{
    const json_t *range = pick(pass, path);

    return json_is_object(range) ? pick_int(range, "to", 0) - pick_int(range, "from", 0) : 0;
}

static void offset_cell(struct table *t, const json_t *pass, const char *path, enum style style)
{
    int64_t offset = pick_int(pass, path, -1);
    char text[32];

    table_cell(t, style, "%s", offset < 0 ? "-" : render_number(text, offset));
}

/* The topic that all its partitions are of; NULL: of several. */
static const char *only_topic(const json_t *receipt)
{
    const char *topic = pick_text(json_array_get(pick(receipt, "partitions"), 0), "topic", NULL);
    size_t i;
    json_t *p;

    json_array_foreach((json_t *)pick(receipt, "partitions"), i, p)
    {
        if (!word_is(pick_text(p, "topic", ""), topic))
            return NULL;
    }
    return topic;
}

static void pass_row(struct table *t, const json_t *partition, const json_t *pass, bool with_topic)
{
    bool moved = pick_int(pass, "from", -1) >= 0 && pick_int(pass, "from", -1) != pick_int(pass, "committed", -1);
    bool replayed = range_count(pass, "replayed") > 0;
    int64_t twice = range_count(pass, "possibly_repeated") + range_count(pass, "replayed");
    char text[32];

    table_row(t);
    table_cell(t, PLAIN, "%s%s%" PRId64, with_topic ? pick_text(partition, "topic", "?") : "", with_topic ? "/" : "",
               pick_int(partition, "partition", -1));
    offset_cell(t, pass, "released", PLAIN);
    offset_cell(t, pass, "committed", PLAIN);
    offset_cell(t, pass, "from", moved && !replayed ? RED : PLAIN);
    offset_cell(t, pass, "first", PLAIN);
    table_cell(t, PLAIN, "%s", render_us(text, receipt_us(pass, "standstill_ms")));
    table_cell(t, DIM, "%s", render_us(text, receipt_us(pass, "release_to_take_heard_ms")));
    table_cell(t, twice ? YELLOW : PLAIN, "%s%s", render_number(text, twice), replayed ? " (replay)" : "");
}

static void passes_table(struct str *ret, const struct look *look, const json_t *receipt, const char *direction)
{
    const char *topic = only_topic(receipt);
    struct table *t = table_new(look);
    size_t i;
    json_t *p;

    table_column(t, "PARTITION", topic ? TABLE_RIGHT : TABLE_LEFT);
    table_column(t, "RELEASED", TABLE_RIGHT);
    table_column(t, "READ BACK", TABLE_RIGHT);
    table_column(t, "FROM", TABLE_RIGHT);
    table_column(t, "FIRST", TABLE_RIGHT);
    table_column(t, "STANDSTILL", TABLE_RIGHT);
    table_column(t, "HEARD", TABLE_RIGHT);
    table_column(t, "TWICE?", TABLE_RIGHT);
    json_array_foreach((json_t *)pick(receipt, "partitions"), i, p)
    {
        if (json_is_object(json_object_get(p, direction)))
            pass_row(t, p, json_object_get(p, direction), !topic);
    }
    table_end(t, ret);
}

static const char *by_text(const json_t *range, size_t i)
{
    const char *text = json_string_value(json_array_get(pick(range, "by"), i));

    return text ? text : "?";
}

/* Which records both colors may have processed, and why that was allowed. */
static void passes_listed(struct str *ret, const struct look *look, const json_t *receipt, const char *direction,
                          const char *key)
{
    const bool with_topic = !only_topic(receipt);
    struct str text = STR_WITH_MAX(TEXT_MAX);
    const json_t *range;
    char from[32], to[32];
    size_t i;
    json_t *p;

    json_array_foreach((json_t *)pick(receipt, "partitions"), i, p)
    {
        range = pick(json_object_get(p, direction), key);
        if (!json_is_object(range))
            continue;
        if (text.len > 0) {
            str_add(&text, "; ");
        } else if (!pick(range, "by")) {
            str_add(&text, "REMOVED: ");
            look_clean(&text, pick_text(range, "why", "?"));
            str_add(&text, ". First to last record of each partition: ");
        } else {
            str_add(&text, "TWICE?: by ");
            look_clean(&text, by_text(range, 0));
            str_add(&text, " and then by ");
            look_clean(&text, by_text(range, 1));
            str_add(&text, ": ");
            look_clean(&text, pick_text(range, "why", "?"));
            str_add(&text, ". First to last record of each partition: ");
        }
        if (with_topic) {
            look_clean(&text, pick_text(p, "topic", "?"));
            str_add_char(&text, '/');
        }
        str_addf(&text, "%" PRId64 " %s to %s", pick_int(p, "partition", -1),
                 render_number(from, pick_int(range, "from", 0)), render_number(to, pick_int(range, "to", 1) - 1));
    }
    if (text.len > 0) {
        look_wrap(ret, text.buf, look->width, 0);
        str_add_char(ret, '\n');
    }
    str_free(&text);
}

static bool any_pass(const json_t *receipt, const char *direction)
{
    size_t i;
    json_t *p;

    json_array_foreach((json_t *)pick(receipt, "partitions"), i,
                       p) if (json_is_object(json_object_get(p, direction))) return true;
    return false;
}

/* Not lost by a switch, and gone all the same: never in silence. */
static void removed_add(struct str *ret, const struct look *look, const json_t *receipt)
{
    const int64_t removed = pick_int(receipt, "totals.removed_by_retention", 0);

    if (removed)
        look_addf(ret, look, RED, ", %" PRId64 " removed by retention before anybody processed them", removed);
}

static void receipt_sums(struct str *ret, const struct look *look, const json_t *receipt)
{
    int64_t lost = pick_int(receipt, "totals.lost", 0), repeated = pick_int(receipt, "totals.repeated", 0);
    int64_t known = pick_int(receipt, "totals.standstill_ms.known", 0);
    char a[32], b[32], c[32];

    if (only_topic(receipt)) {
        label(ret, look, "topic");
        look_clean(ret, only_topic(receipt));
        str_add_char(ret, '\n');
    }
    label(ret, look, "partitions");
    str_addf(ret, "%" PRId64 " ordered, %" PRId64 " passed, %" PRId64 " returned\n",
             pick_int(receipt, "totals.ordered", 0), pick_int(receipt, "totals.passed", 0),
             pick_int(receipt, "totals.returned", 0));
    label(ret, look, "lost");
    look_addf(ret, look, lost ? RED : GREEN_INK, "%-8" PRId64, lost);
    look_add(ret, look, DIM,
             lost ? "partitions whose new holder began elsewhere\n"
                  : "each began at the offset read back from the brokers\n");
    label(ret, look, "repeated");
    look_addf(ret, look, repeated ? YELLOW : GREEN_INK, "%-8" PRId64, repeated);
    look_add(ret, look, DIM,
             repeated ? "records that both colors may have processed, listed below\n"
                      : "no record may have been processed by both colors\n");
    if (pick_int(receipt, "totals.given_again", 0) > 0) {
        label(ret, look, "again");
        look_addf(ret, look, YELLOW, "%-8" PRId64, pick_int(receipt, "totals.given_again", 0));
        look_add(ret, look, DIM,
                 "records possibly repeated within a color: their work was broken off and began anew\n");
    }
    if (pick_int(receipt, "totals.removed_by_retention", 0) > 0) {
        label(ret, look, "removed");
        look_addf(ret, look, RED, "%-8" PRId64, pick_int(receipt, "totals.removed_by_retention", 0));
        look_add(ret, look, DIM, "records that retention took before anybody processed them, listed below\n");
    }
    label(ret, look, "standstill");
    if (known > 0)
        str_addf(ret, "p50 %s, p99 %s, max %s", render_us(a, receipt_us(receipt, "totals.standstill_ms.p50")),
                 render_us(b, receipt_us(receipt, "totals.standstill_ms.p99")),
                 render_us(c, receipt_us(receipt, "totals.standstill_ms.max")));
    else
        str_add(ret, "not known");
    str_add_char(ret, '\n');
}

/* What the judge said, and what each figure had to say. */
static void receipt_verdict(struct str *ret, const struct look *look, const json_t *receipt)
{
    const char *verdict = pick_text(receipt, "verdict.verdict", "");
    const json_t *metrics = pick(receipt, "verdict.metrics");
    size_t i;
    json_t *metric;

    if (!*verdict)
        return;
    label(ret, look, "judge");
    look_add(ret, look, word_is(verdict, "worse") ? RED : word_is(verdict, "ok") ? GREEN_INK : YELLOW, verdict);
    str_addf(ret, " after %" PRId64 " looks: ", pick_int(receipt, "verdict.looks", 0));
    look_clean(ret, pick_text(receipt, "verdict.sentence", ""));
    str_add_char(ret, '\n');
    json_array_foreach((json_t *)metrics, i, metric)
    {
        label(ret, look, "");
        look_addf(ret, look, DIM, "%-10s", pick_text(metric, "state", ""));
        look_clean(ret, pick_text(metric, "sentence", ""));
        str_add_char(ret, '\n');
    }
}

void render_receipt(struct str *ret, const struct look *look, const json_t *receipt)
{
    const char *state = pick_text(receipt, "state", ""), *kind = pick_text(receipt, "kind", "");
    int64_t created = pick_time(receipt, "created"), ended = pick_time(receipt, "ended");
    size_t stages = pick_count(receipt, "stages");
    bool passes = word_is(kind, "switch") || word_is(kind, "rollback");
    char time[32], took[32];

    look_add(ret, look, BOLD, "Receipt: ");
    clean_add(ret, look, BOLD, pick_text(receipt, "fleet", "?"));
    str_add(ret, ", ");
    op_name(ret, receipt);
    str_add(ret, ", ");
    clean_add(ret, look, state_style(state), state);
    str_add_char(ret, '\n');
    if (passes) {
        label(ret, look, "passed");
        version_add(ret, look, pick_text(receipt, "from", "?"), pick_text(receipt, "version_from", ""));
        str_add(ret, look->unicode ? " → " : " -> ");
        version_add(ret, look, pick_text(receipt, "to", "?"), pick_text(receipt, "version_to", ""));
        if (pick_int(receipt, "of_number", 0) > 0)
            str_addf(ret, ", taking back switch %" PRId64, pick_int(receipt, "of_number", 0));
        str_add_char(ret, '\n');
    }
    label(ret, look, "when");
    str_addf(ret, "%s", time_text(time, created));
    if (created && ended)
        str_addf(ret, ", took %s", seconds_text(took, ended - created));
    str_add_char(ret, '\n');
    label(ret, look, "by");
    look_clean(ret, pick_text(receipt, "by", ""));
    str_add_char(ret, '\n');
    if (*pick_text(receipt, "reason", "")) {
        label(ret, look, "reason");
        look_clean(ret, pick_text(receipt, "reason", ""));
        str_add_char(ret, '\n');
    }
    if (*pick_text(receipt, "why", "")) {
        label(ret, look, "cause");
        look_clean(ret, pick_text(receipt, "why", ""));
        str_add_char(ret, '\n');
    }
    receipt_verdict(ret, look, receipt);
    if (stages > 1) {
        label(ret, look, "stages");
        for (size_t i = 0; i < stages; i++) {
            const char *stage = json_string_value(json_array_get(pick(receipt, "stages"), i));

            str_add(ret, i ? ", " : "");
            look_clean(ret, stage ? stage : "?");
        }
        str_add_char(ret, '\n');
    }
    receipt_sums(ret, look, receipt);
    if (any_pass(receipt, "forth")) {
        str_add_char(ret, '\n');
        passes_table(ret, look, receipt, "forth");
        passes_listed(ret, look, receipt, "forth", "possibly_repeated");
        passes_listed(ret, look, receipt, "forth", "replayed");
        passes_listed(ret, look, receipt, "forth", "removed_by_retention");
    }
    if (any_pass(receipt, "back")) {
        str_add(ret, "\nThe way back\n");
        passes_table(ret, look, receipt, "back");
        passes_listed(ret, look, receipt, "back", "possibly_repeated");
        passes_listed(ret, look, receipt, "back", "removed_by_retention");
    }
    if (pick_count(receipt, "partitions")) {
        look_add(ret, look, DIM,
                 "STANDSTILL: by the members' clocks, last record done to first one seen.\n"
                 "HEARD: by the controller's clock, the release heard to the take heard.");
        str_add_char(ret, '\n');
    }
}

void render_receipt_short(struct str *ret, const struct look *look, const json_t *receipt)
{
    int64_t lost = pick_int(receipt, "totals.lost", 0), repeated = pick_int(receipt, "totals.repeated", 0);
    int64_t passed = pick_int(receipt, "totals.passed", 0), returned = pick_int(receipt, "totals.returned", 0);
    const char *kind = pick_text(receipt, "kind", "");
    char a[32], b[32], c[32];

    if (!word_is(kind, "switch") && !word_is(kind, "rollback"))
        return; /* no baton changes hands: there is nothing to prove */
    str_addf(ret, "  %" PRId64 " partition%s passed", passed, plural(passed));
    if (returned)
        str_addf(ret, ", %" PRId64 " returned", returned);
    str_add(ret, ", lost ");
    look_addf(ret, look, lost ? RED : GREEN_INK, "%" PRId64, lost);
    str_add(ret, ", repeated ");
    look_addf(ret, look, repeated ? YELLOW : GREEN_INK, "%" PRId64, repeated);
    removed_add(ret, look, receipt);
    if (pick_int(receipt, "totals.standstill_ms.known", 0) > 0)
        str_addf(ret, "\n  standstill p50 %s, p99 %s, max %s",
                 render_us(a, receipt_us(receipt, "totals.standstill_ms.p50")),
                 render_us(b, receipt_us(receipt, "totals.standstill_ms.p99")),
                 render_us(c, receipt_us(receipt, "totals.standstill_ms.max")));
    str_add_char(ret, '\n');
}

void render_verify(struct str *ret, const struct look *look, const json_t *answer)
{
    bool agrees = pick_bool(answer, "agrees", false);
    int64_t partitions = pick_int(answer, "partitions", 0);

    look_add(ret, look, agrees ? GREEN_INK : RED, agrees ? "The brokers agree" : "The brokers do not agree");
    str_addf(ret, " with it: %" PRId64 " partition%s read again.\n", partitions, plural(partitions));
    render_findings(ret, look, pick(answer, "findings"));
}
