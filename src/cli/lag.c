/*
 * lag - `baton lag`: how far groups are behind, from a controller that samples them or straight from the brokers.
 *
 * With --bootstrap no controller, no fleet and no topic of Baton's is needed: a reader of lags lives as long as the command, and
 * with --watch as long as one looks, so that it knows the ages of records from its own samples. --exact reads the one record after
 * each commit for its time stamp instead. What is printed comes from the same JSON either way.
 *
 * Exit 1 also when some of it could not be read: the rest has been printed, and standard error says what is missing.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/api.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/render.h"
#include "controller/lag_view.h"
#include "kafka/admin.h"
#include "kafka/client.h"
#include "kafka/lag.h"
#include "kafka/lag_exact.h"

#define PAGE_MAX (64u * 1024 * 1024)
#define CONNECT_MS 10000
#define WATCH_MS 2000
#define WATCH_ALL_MS 5000
#define EXACT_MS 10000
#define TREND_MAX 24
#define GROUP "baton-lag" /* which never joins and never commits */

struct source {
    struct cli *cli;
    const char *group, *topic; /* NULL: all */
    char path[FLEET_PATH_MAX * 3 + 32];
    /* straight from the brokers */
    struct kafka_settings *settings;
    struct kafka_handle handle;
    struct lag_reader *reader;
    int wake_fd;
};

/* --- straight from the brokers ------------------------------------------------------------------------------------ */

static void source_close(struct source *s)
{
    lag_reader_close(s->reader);
    kafka_handle_close(&s->handle);
    kafka_settings_free(s->settings);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
}

static int source_open(struct source *s, struct errmsg *m)
{
    const struct lag_reader_config config = { .follow = s->cli->args.times[OPT_WATCH] && !s->group ? s->settings : NULL,
                                              .groups = s->group ? &s->group : NULL,
                                              .group_count = s->group ? 1 : 0 };
    int r = kafka_asker_open(&s->handle, s->settings, GROUP, m);

    if (r == ERR_OK)
        r = kafka_handle_connect(&s->handle, CONNECT_MS, m);
    if (r == ERR_OK)
        r = s->wake_fd = kafka_eventfd(m);
    if (r >= 0)
        r = lag_reader_open(&s->reader, &s->handle, s->wake_fd, &config, m);
    return r;
}

/* One refresh; false: interrupted. */
static bool reader_refresh(struct source *s, int interrupts)
{
    struct pollfd wake[2] = { { .fd = s->wake_fd, .events = POLLIN }, { .fd = interrupts_catch(), .events = POLLIN } };
    const int seen = interrupts;

    lag_reader_refresh(s->reader);
    while (!lag_reader_poll(s->reader)) {
        if (interrupts_count() != seen)
            return false;
        poll(wake, 2, 100);
        kafka_eventfd_clear(s->wake_fd);
    }
    return true;
}

static int exact_add(struct source *s, json_t *answer, struct errmsg *m)
{
    json_t *rows = json_object_get(answer, "partitions"), *row;
    struct lag_exact *asks = calloc(json_array_size(rows) + 1, sizeof(*asks));
    int64_t oldest_ms = 0;
    int count = 0, r;
    size_t i;

    ASSERT(asks != NULL);
    json_array_foreach(rows, i, row)
    {
        if (pick_int(row, "lag", 0) <= 0)
            continue;
        asks[count++] = (struct lag_exact){ .topic = pick_text(row, "topic", ""),
                                            .partition = (int32_t)pick_int(row, "partition", 0),
                                            .offset = pick_int(row, "end", 0) - pick_int(row, "lag", 0),
                                            .end = pick_int(row, "end", 0),
                                            .opaque = row };
    }
    r = lag_exact_read(s->settings, asks, count, EXACT_MS, m);
    for (int k = 0; k < count; k++) {
        json_t *to = asks[k].opaque;
        int64_t age_ms = asks[k].state == LAG_EXACT_NO_RECORD ? 0 : clock_unix_ms() - asks[k].timestamp_ms;
        const bool aged =
            asks[k].state == LAG_EXACT_NO_RECORD || (asks[k].state == LAG_EXACT_RECORD && asks[k].timestamp_ms >= 0);

        if (age_ms < 0)
            age_ms = 0; /* the clock that wrote it is ahead of ours */
        json_object_del(to, "time_lag_at_least");
        json_object_set_new(to, "time_lag_ms", aged ? json_integer(age_ms) : json_null());
        oldest_ms = !aged || oldest_ms < 0 ? -1 : age_ms > oldest_ms ? age_ms : oldest_ms;
    }
    json_object_del(answer, "time_lag_at_least");
    json_object_set_new(answer, "time_lag_ms", oldest_ms < 0 ? json_null() : json_integer(oldest_ms));
    free(asks);
    return r;
}

static int ask_brokers(struct source *s, json_t **ret, int interrupts)
{
    const struct lag_group *g;
    struct errmsg m = { 0 };

    if (!reader_refresh(s, interrupts))
        return EXITS_LOOKED_AWAY;
    if (!s->group) {
        *ret = lag_view_groups(s->reader);
        return EXITS_DONE;
    }
    g = lag_group_find(s->reader, s->group);
    if (!g || (word_is(g->state, "Dead") && g->row_count == 0 && !g->trouble[0]))
        return cli_fail(s->cli, EXITS_NOT_FOUND, "there is no group '%s'; 'baton lag' shows all", s->group);
    *ret = lag_view_group(s->reader, g, s->topic);
    if (s->cli->args.times[OPT_EXACT] && exact_add(s, *ret, &m) < 0 && !json_object_get(*ret, "trouble"))
        json_object_set_new(*ret, "trouble", json_string(m.text));
    return EXITS_DONE;
}

static int ask_server(struct source *s, json_t **ret)
{
    struct api_reply reply = { 0 };
    const int code = cli_call(s->cli, &reply, "GET", s->path, NULL);

    if (code == EXITS_DONE)
        *ret = json_incref(reply.json);
    api_reply_free(&reply);
    return code;
}

static int ask(struct source *s, json_t **ret, int interrupts)
{
    const int code = s->reader ? ask_brokers(s, ret, interrupts) : ask_server(s, ret);

    if (code == EXITS_DONE && s->topic && json_array_size(json_object_get(*ret, "partitions")) == 0)
        return cli_fail(s->cli, EXITS_NOT_FOUND,
                        "group '%s' has committed nothing in topic '%s'; 'baton lag %s' shows where", s->group,
                        s->topic, s->group);
    return code;
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static const char *age_text(char ret[48], const json_t *of)
{
    const int64_t ms = pick_int(of, "time_lag_ms", -1);
    const char *more = pick_bool(of, "time_lag_at_least", false) ? "> " : "";

    if (ms < 0)
        snprintf(ret, 48, "?");
    else if (ms == 0)
        snprintf(ret, 48, "%s0", more);
    else if (ms < 10000)
        snprintf(ret, 48, "%s%.1f s", more, (double)ms / 1000);
    else if (ms < 600000)
        snprintf(ret, 48, "%s%" PRId64 " s", more, ms / 1000);
    else if (ms < INT64_C(36000000))
        snprintf(ret, 48, "%s%" PRId64 " min", more, ms / 60000);
    else
        snprintf(ret, 48, "%s%" PRId64 " h", more, ms / 3600000);
    return ret;
}

static const char *count_text(char ret[32], const json_t *of, const char *name)
{
    return json_is_integer(json_object_get(of, name)) ? render_number(ret, pick_int(of, name, 0)) : "?";
}

/* The worse comes first: what is wrong, what is lost, where nothing is committed, what is behind; then by lag. */
static int trouble_rank(const json_t *of)
{
    const char *state = pick_text(of, "state", "");

    if (json_object_get(of, "trouble") || pick_int(of, "unknown", 0) > 0)
        return 4;
    if (json_object_get(of, "topic") && !word_is(state, "known"))
        return word_is(state, "no-commit") ? 2 : 4;
    return pick_int(of, "lost", 0) > 0 ? 3 : pick_int(of, "lag", 0) > 0 ? 1 : 0;
}

static int trouble_compare(const void *a, const void *b)
{
    const json_t *l = *(const json_t *const *)a, *r = *(const json_t *const *)b;
    const int by_rank = trouble_rank(r) - trouble_rank(l);
    const int64_t left = pick_int(l, "lag", 0), right = pick_int(r, "lag", 0);
    int by_name;

    if (by_rank != 0)
        return by_rank;
    if (left != right)
        return left < right ? 1 : -1;
    by_name =
        strcmp(pick_text(l, "topic", pick_text(l, "group", "")), pick_text(r, "topic", pick_text(r, "group", "")));
    return by_name ? by_name : (int)(pick_int(l, "partition", 0) - pick_int(r, "partition", 0));
}

/* Borrowed, in the order in which to print them. */
static const json_t **sorted(const json_t *list, size_t *ret_count)
{
    const json_t **ret = calloc(json_array_size(list) + 1, sizeof(*ret));

    ASSERT(ret != NULL);
    *ret_count = json_array_size(list);
    for (size_t i = 0; i < *ret_count; i++)
        ret[i] = json_array_get(list, i);
    qsort(ret, *ret_count, sizeof(*ret), trouble_compare);
    return ret;
}

/* What was seen of a line before: the newest TREND_MAX lags by its name. */
static json_t *trend_of(json_t *trends, const json_t *of)
{
    char name[TOPIC_NAME_MAX + 32];
    json_t *trend;

    snprintf(name, sizeof(name), "%s/%d", pick_text(of, "topic", pick_text(of, "group", "")),
             (int)pick_int(of, "partition", -1));
    trend = json_object_get(trends, name);
    if (!trend) {
        trend = json_array();
        json_object_set_new(trends, name, trend);
    }
    return trend;
}

static void trends_note(json_t *trends, const json_t *answer)
{
    const json_t *list = pick(answer, "partitions") ? pick(answer, "partitions") : pick(answer, "groups");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *of = json_array_get(list, i);
        json_t *trend = trend_of(trends, of);

        json_array_append_new(trend, json_integer(pick_int(of, "lag", -1)));
        if (json_array_size(trend) > TREND_MAX)
            json_array_remove(trend, 0);
    }
}

static void trend_text(struct str *ret, const struct look *look, const json_t *trend)
{
    static const char *const bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }, *const plain[] = {
        "_", ".", ":", "-", "=", "+", "*", "#"
    };
    int64_t most = 1;

    for (size_t i = 0; i < json_array_size(trend); i++)
        if (json_integer_value(json_array_get(trend, i)) > most)
            most = json_integer_value(json_array_get(trend, i));
    for (size_t i = 0; i < json_array_size(trend); i++) {
        const int64_t value = json_integer_value(json_array_get(trend, i));
        const int height = value < 0 ? -1 : (int)((double)value / (double)most * 7);

        str_add(ret, height < 0 ? "?" : look->unicode ? bars[height] : plain[height]);
    }
}

static void note_text(struct str *ret, const json_t *row)
{
    const char *state = pick_text(row, "state", "");
    char number[32];

    if (pick_int(row, "lost", 0) > 0)
        str_addf(ret, "%s lost to retention", render_number(number, pick_int(row, "lost", 0)));
    else if (word_is(state, "no-commit"))
        str_add(ret, "nothing committed");
    else if (word_is(state, "ahead-of-log"))
        str_add(ret, "committed past the end: log truncated, or topic made again");
    else if (word_is(state, "topic-remade"))
        str_add(ret, "topic made again since the commit");
    else if (word_is(state, "topic-deleted"))
        str_add(ret, "topic deleted");
    else if (!word_is(state, "known"))
        str_addf(ret, "%s: %s", state, pick_text(row, "why", "no answer"));
    else if (!word_is(pick_text(row, "label", "OK"), "OK"))
        str_add(ret, pick_text(row, "label_why", ""));
}

/* Of a partition's window of commits; only a controller that follows them knows. */
static enum style label_style(const json_t *row)
{
    const char *label = pick_text(row, "label", "");

    if (word_is(label, "STOP") || word_is(label, "STALL") || word_is(label, "REWIND"))
        return RED;
    return word_is(label, "WARN") ? YELLOW : PLAIN;
}

static void page_group(struct str *ret, const struct look *look, const json_t *answer, json_t *trends)
{
    struct table *t = table_new(look);
    struct str text = STR_WITH_MAX(4096);
    size_t count;
    const json_t **rows = sorted(pick(answer, "partitions"), &count);
    const bool labels = pick(answer, "label") != NULL;
    const bool whole = (int64_t)count >= pick_int(answer, "partition_count", 0); /* not one topic of several */
    int64_t lag = 0;
    int behind = 0, unknown = 0;
    char a[48], b[48], c[48];

    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(lag, pick_int(rows[i], "lag", 0), &lag))
            lag = INT64_MAX;
        behind += pick_int(rows[i], "lag", 0) > 0;
        unknown += !json_is_integer(json_object_get(rows[i], "lag"));
    }
    look_clean(&text, pick_text(answer, "group", ""));
    look_add(ret, look, BOLD, text.buf);
    str_addf(ret, " (%s%s%s): %s behind", pick_text(answer, "state", ""),
             pick_text(answer, "protocol", "")[0] ? ", " : "", pick_text(answer, "protocol", ""),
             render_number(a, lag));
    if (behind > 0 && whole)
        str_addf(ret, ", oldest %s", age_text(b, answer));
    str_addf(ret, ", in %d of %zu partitions", behind, count);
    if (unknown > 0)
        str_addf(ret, ", not known in %d", unknown);
    str_add_char(ret, '\n');
    table_column(t, "TOPIC", TABLE_TRUNC);
    table_column(t, "PARTITION", TABLE_RIGHT);
    table_column(t, "COMMITTED", TABLE_RIGHT);
    table_column(t, "END", TABLE_RIGHT);
    table_column(t, "LAG", TABLE_RIGHT);
    table_column(t, "AGE", TABLE_RIGHT);
    if (labels)
        table_column(t, "STATUS", TABLE_LEFT);
    if (trends)
        table_column(t, "TREND", TABLE_LEFT);
    table_column(t, "", TABLE_LEFT);
    for (size_t i = 0; i < count; i++) {
        const int rank = trouble_rank(rows[i]);
        const enum style style = rank >= 3 ? RED : rank == 2 ? YELLOW : PLAIN;

        table_row(t);
        table_cell(t, PLAIN, "%s", pick_text(rows[i], "topic", ""));
        table_cell(t, PLAIN, "%d", (int)pick_int(rows[i], "partition", 0));
        table_cell(t, PLAIN, "%s", count_text(a, rows[i], "committed"));
        table_cell(t, PLAIN, "%s", count_text(b, rows[i], "end"));
        table_cell(t, style, "%s", count_text(c, rows[i], "lag"));
        table_cell(t, PLAIN, "%s", age_text(a, rows[i]));
        if (labels)
            table_cell(t, label_style(rows[i]), "%s", pick_text(rows[i], "label", ""));
        if (trends) {
            str_clear(&text);
            trend_text(&text, look, trend_of(trends, rows[i]));
            table_cell(t, CYAN, "%s", text.buf);
        }
        str_clear(&text);
        note_text(&text, rows[i]);
        table_cell(t, style, "%s", text.buf);
    }
    table_end(t, ret);
    str_free(&text);
    free(rows);
}

static void page_groups(struct str *ret, const struct look *look, const json_t *answer, json_t *trends)
{
    struct table *t = table_new(look);
    struct str text = STR_WITH_MAX(4096);
    size_t count;
    const json_t **groups = sorted(pick(answer, "groups"), &count);
    char a[48], b[48];

    table_column(t, "GROUP", TABLE_TRUNC);
    table_column(t, "STATE", TABLE_LEFT);
    table_column(t, "PROTOCOL", TABLE_LEFT);
    table_column(t, "PARTITIONS", TABLE_RIGHT);
    table_column(t, "LAG", TABLE_RIGHT);
    table_column(t, "OLDEST", TABLE_RIGHT);
    table_column(t, "UNKNOWN", TABLE_RIGHT);
    table_column(t, "LOST", TABLE_RIGHT);
    if (trends)
        table_column(t, "TREND", TABLE_LEFT);
    for (size_t i = 0; i < count; i++) {
        const int rank = trouble_rank(groups[i]);

        table_row(t);
        table_cell(t, PLAIN, "%s", pick_text(groups[i], "group", ""));
        table_cell(t, PLAIN, "%s", pick_text(groups[i], "state", ""));
        table_cell(t, PLAIN, "%s", pick_text(groups[i], "protocol", ""));
        table_cell(t, PLAIN, "%d", (int)pick_int(groups[i], "partition_count", 0));
        table_cell(t, rank >= 3 ? RED : PLAIN, "%s", count_text(a, groups[i], "lag"));
        table_cell(t, PLAIN, "%s", age_text(b, groups[i]));
        table_cell(t, rank == 4 ? RED : PLAIN, "%d", (int)pick_int(groups[i], "unknown", 0));
        table_cell(t, pick_int(groups[i], "lost", 0) > 0 ? RED : PLAIN, "%s", count_text(a, groups[i], "lost"));
        if (trends) {
            str_clear(&text);
            trend_text(&text, look, trend_of(trends, groups[i]));
            table_cell(t, CYAN, "%s", text.buf);
        }
    }
    table_end(t, ret);
    str_addf(ret, "%zu group%s\n", count, count == 1 ? "" : "s");
    str_free(&text);
    free(groups);
}

static void page_of(struct str *ret, const struct look *look, const json_t *answer, json_t *trends)
{
    const char *trouble = pick_text(answer, "trouble", NULL);

    if (trouble && trends) { /* above the table, which may be longer than the window */
        look_add(ret, look, RED, "Not all could be read: ");
        look_clean(ret, trouble);
        str_add_char(ret, '\n');
    }
    (pick(answer, "partitions") ? page_group : page_groups)(ret, look, answer, trends);
}

/* --- once, or for as long as one looks ----------------------------------------------------------------------------- */

static int print_once(struct cli *cli, const json_t *answer)
{
    const char *trouble = pick_text(answer, "trouble", NULL);
    struct str page = STR_WITH_MAX(PAGE_MAX);
    int code;

    if (cli->json) {
        code = cli_print_json(answer);
    } else {
        page_of(&page, &cli->out, answer, NULL);
        code = cli_print(&page);
    }
    str_free(&page);
    return trouble && code == EXITS_DONE ? cli_fail(cli, EXITS_FAILED, "not all could be read: %s", trouble) : code;
}

/* A key, a signal, or the time is over. */
static int look_wait(int timeout_ms, bool keys)
{
    struct pollfd wake[2] = { { .fd = interrupts_catch(), .events = POLLIN },
                              { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN } };
    char key = 0;

    poll(wake, 2, timeout_ms);
    if (wake[1].revents && read(STDIN_FILENO, &key, 1) != 1)
        return 0;
    return key;
}

static int watch(struct source *s, json_t *answer)
{
    struct cli *cli = s->cli;
    const bool screen = cli->out.terminal && !cli->json;
    const int seen = interrupts_count();
    struct str page = STR_WITH_MAX(PAGE_MAX);
    json_t *trends = json_object();
    int code = EXITS_DONE, key = 0;

    ASSERT(trends != NULL);
    json_incref(answer);
    if (screen)
        live_begin(&cli->out, STDOUT_FILENO, true);
    while (code == EXITS_DONE && interrupts_count() == seen && key != 'q' && key != 'Q' && key != 3 &&
           !ferror(stdout)) {
        trends_note(trends, answer);
        str_clear(&page);
        if (cli->json) {
            json_dumpf(answer, stdout, JSON_COMPACT);
            fputc('\n', stdout);
            fflush(stdout);
        } else {
            if (screen)
                look_add(&page, &cli->out, DIM, "q or Ctrl-C ends looking, nothing else\n");
            page_of(&page, &cli->out, answer, trends);
            if (screen)
                live_draw(page.buf);
            else
                cli_print(&page);
        }
        key = look_wait(s->group ? WATCH_MS : WATCH_ALL_MS, screen && isatty(STDIN_FILENO));
        if (interrupts_count() != seen || key == 'q' || key == 'Q' || key == 3)
            break;
        json_decref(answer);
        answer = NULL;
        code = ask(s, &answer, seen);
    }
    live_end(false);
    json_decref(answer);
    json_decref(trends);
    str_free(&page);
    return code == EXITS_LOOKED_AWAY ? EXITS_DONE : code;
}

/* What was typed wins over the environment, a server over brokers: as for every command. */
static int source_choose(struct source *s, bool *ret_server, struct errmsg *m)
{
    const struct args *a = &s->cli->args;
    int r = kafka_settings_of(&s->settings, s->cli, m);

    if (r < 0)
        return r;
    *ret_server =
        a->times[OPT_SERVER] ||
        (!a->times[OPT_BOOTSTRAP] && (a->value[OPT_SERVER] || !kafka_settings_get(s->settings, "bootstrap.servers")));
    return ERR_OK;
}

static int source_path(struct source *s)
{
    char group[FLEET_PATH_MAX * 2] = "", topic[FLEET_PATH_MAX * 2] = "";

    if (s->group && strlen(s->group) > GROUP_NAME_MAX)
        return cli_fail(s->cli, EXITS_USAGE, "a group's name has at most %d letters", GROUP_NAME_MAX);
    if (s->group)
        path_escape(group, sizeof(group), s->group);
    if (s->topic)
        path_escape(topic, sizeof(topic), s->topic);
    snprintf(s->path, sizeof(s->path), "/v1/lag%s%s%s%s", s->group ? "?group=" : "", group, s->topic ? "&topic=" : "",
             topic);
    return EXITS_DONE;
}

int cmd_lag(struct cli *cli)
{
    struct source s = { .cli = cli, .wake_fd = -1 };
    json_t *answer = NULL;
    struct errmsg m = { 0 };
    bool server = false;
    int code, r;

    s.group = cli->args.word_count > 0 ? cli->args.words[0] : NULL;
    s.topic = cli->args.value[OPT_TOPIC];
    for (int i = 0; i < cli->args.many_count; i++)
        if (cli->args.many_id[i] == OPT_TOPIC)
            s.topic = cli->args.many[i];
    if (s.topic && !s.group)
        return cli_fail(cli, EXITS_USAGE, "--topic narrows a group down: 'baton lag GROUP --topic %.100s'", s.topic);
    if (cli->args.times[OPT_EXACT] && !s.group)
        return cli_fail(cli, EXITS_USAGE,
                        "--exact reads a record of each partition: of one group, 'baton lag GROUP --exact'");
    r = source_choose(&s, &server, &m);
    if (r < 0)
        return cli_fail(cli, exit_of_error(r), "%s", m.text);
    if (server && cli->args.times[OPT_EXACT])
        r = err_set(&m, ERR_INVALID, "--exact reads records from the brokers: give --bootstrap HOST:PORT");
    code = r < 0 ? cli_fail(cli, EXITS_USAGE, "%s", m.text) : source_path(&s);
    if (code == EXITS_DONE && !server) {
        interrupts_catch();
        r = source_open(&s, &m);
        if (r < 0)
            code = cli_fail(cli, exit_of_error(r), "%s", m.text);
    } else if (code == EXITS_DONE) {
        code = cli_api(cli);
    }
    if (code == EXITS_DONE)
        code = ask(&s, &answer, interrupts_count());
    if (code == EXITS_DONE)
        code = cli->args.times[OPT_WATCH] ? watch(&s, answer) : print_once(cli, answer);
    json_decref(answer);
    source_close(&s);
    return code;
}
