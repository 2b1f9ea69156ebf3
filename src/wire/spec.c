/*
 * spec - see spec.h: the table of options and the meaning of a fleet file.
 *
 * A default is written in the table as a user would write it and goes through the same parser, so no default can be
 * one that a file could not have. A choice's number in the core is its place in `choices`; the unit test compares
 * both.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"
#include "wire/spec_tree.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define AT(field) offsetof(struct spec, field)

// clang-format off
enum option_index {
    OPT_FLEET, OPT_TOPICS, OPT_STRATEGY, OPT_BLUE_GROUP, OPT_GREEN_GROUP, OPT_ACTIVE, OPT_RESET, OPT_STAGES,
    OPT_OBSERVE, OPT_DEADLINE, OPT_UNREACHABLE, OPT_DOUBT, OPT_SESSION, OPT_PROCESSING, OPT_FOLLOW, OPT_KEEP,
    OPT_HISTORY, OPT_JUDGE_MODE, OPT_JUDGE_METRICS, OPT_JUDGE_ALPHA, OPT_JUDGE_TOLERANCE, OPT_JUDGE_INTERVAL,
    OPT_JUDGE_WARMUP, OPT_JUDGE_RECORDS, OPT_JUDGE_PROMOTE, OPT_JUDGE_WORSE, OPT_JUDGE_WORSE_FULL, OPT_JUDGE_UNDECIDED,
    OPT_JUDGE_UNKNOWN, OPT_JUDGE_PROGRESS, OPT_JUDGE_CATCH_UP, OPT_JUDGE_CRASHES, OPT_JUDGE_CRASH_WINDOW,
    OPT_LIMIT_ERRORS, OPT_LIMIT_LATENCY, OPT_LIMIT_TIME_LAG, OPT_WINDOW_RULES, OPT_PROMETHEUS_URL, OPT_SIGNALS, OPT_THROTTLE_SIGNAL,
    OPT_THROTTLE_QUERY, OPT_THROTTLE_ABOVE, OPT_THROTTLE_UNTIL, OPT_THROTTLE_FOR, OPT_THROTTLE_REST, OPT_THROTTLE_KEEP,
    OPT_COUNT
};

const struct spec_option spec_options[] = {
    [OPT_FLEET] = { "fleet", OPTION_NAME, NULL, 1, FLEET_NAME_MAX, NULL,
      "Name of the fleet: one logical consumer application. Lower-case letters, digits and '-'; it cannot be "
      "changed later.",
      "payments", AT(fleet) },
    [OPT_TOPICS] = { "topics", OPTION_TOPICS, NULL, 1, TOPICS_MAX, NULL,
      "Topics the fleet consumes. More can be appended later; one that is there cannot be taken away.",
      "[orders, refunds]", AT(topics) },
    [OPT_STRATEGY] = { "strategy", OPTION_CHOICE, "separate-groups", 0, 0, "separate-groups|foreign",
      "How the two colors share Kafka groups. With separate groups each color has one of its own, fully assigned, "
      "so a switch needs no rebalance. foreign is for an application whose consumers nobody has changed: each color is "
      "stopped and started as a whole by its agent, with the brokers as the only witness; a switch passes all partitions "
      "at once and stands still for the brokers' initial rebalance delay.",
      "foreign", AT(strategy) },
    [OPT_BLUE_GROUP] = { "colors.blue.group", OPTION_GROUP, "<fleet>-blue", 1, GROUP_NAME_MAX, NULL,
      "Consumer group (group.id) of the blue members. Give the group that the application has today to go on "
      "where it stands.",
      "payments", AT(colors[BLUE].group) },
    [OPT_GREEN_GROUP] = { "colors.green.group", OPTION_GROUP, "<fleet>-green", 1, GROUP_NAME_MAX, NULL,
      "Consumer group (group.id) of the green members.",
      "payments-green", AT(colors[GREEN].group) },
    [OPT_ACTIVE] = { "active", OPTION_CHOICE, "blue", 0, 0, "blue|green",
      "Color that holds every partition when the fleet is made. Afterwards only a switch moves partitions.",
      "blue", AT(first_active) },
    [OPT_RESET] = { "offsets.reset", OPTION_CHOICE, "earliest", 0, 0, "earliest|latest|none",
      "Where a partition begins when the active group has committed nothing, like auto.offset.reset; none refuses "
      "to begin. Earliest, because the other default, Kafka's own latest, skips records in silence.",
      "earliest", AT(offset_reset) },
    [OPT_STAGES] = { "switch.stages", OPTION_STAGES, "[100%]", 1, STAGES_MAX, NULL,
      "What the new color holds after each stage: a share (10%), a number of partitions (3), or partitions by name "
      "(orders/0; names next to one another are one stage); growing, the last is 100%. What is not named is picked to "
      "be like the whole in load, and the heaviest go last. All at once unless told otherwise, because a canary is a "
      "decision.",
      "[10%, 50%, 100%]", AT(stages) },
    [OPT_OBSERVE] = { "switch.observe", OPTION_DURATION, "10s", 0, DAY, NULL,
      "How long each stage, the last one too, is watched before it counts. A member of the new color that is found "
      "lost in it turns the switch back; that takes members.session_timeout and members.processing_max, so only a "
      "longer watch catches a crash by itself. Ten seconds leave time to look and to roll back.",
      "30s", AT(observe_ms) },
    [OPT_DEADLINE] = { "switch.deadline", OPTION_DURATION, "60s", SECOND, HOUR, NULL,
      "Longest time of one stage's pass, and of the way back; past it everything returns to the color that had "
      "it. A minute lets slow records finish and does not keep an operator waiting.",
      "60s", AT(deadline_ms) },
    [OPT_UNREACHABLE] = { "switch.on_unreachable", OPTION_CHOICE, "refuse", 0, 0, "refuse|fence",
      "What to do when a member of the old color does not answer. refuse waits until the deadline and turns back; "
      "fence goes on without it once the brokers show that it is gone, and the receipt lists what it may have "
      "processed as well.",
      "refuse", AT(on_unreachable) },
    [OPT_DOUBT] = { "switch.on_doubt", OPTION_CHOICE, "wait", 0, 0, "wait|list",
      "What to do about records that a lost member may have processed without committing them. wait lets its own "
      "color do them first; list hands them over and lists them in the receipt.",
      "wait", AT(on_doubt) },
    [OPT_SESSION] = { "members.session_timeout", OPTION_DURATION, "45s", 6 * SECOND, HOUR, NULL,
      "Session timeout of both groups, session.timeout.ms: a member silent for so long is out of its group. "
      "Kafka's own default; under group.protocol=consumer it is the broker's (45s) and must be written here as it "
      "is there.",
      "45s", AT(session_timeout_ms) },
    [OPT_PROCESSING] = { "members.processing_max", OPTION_DURATION, "30s", 100, HOUR, NULL,
      "Longest time from the delivery of a record until it is marked done. A lost member is waited for so much "
      "longer, since it may still be at work; too short a time breaks that promise.",
      "30s", AT(processing_ms_max) },
    [OPT_FOLLOW] = { "members.follow_interval", OPTION_DURATION, "10s", 100, 10 * MINUTE, NULL,
      "How often a standby commits the active color's offsets into its own group, so that lag monitors and "
      "autoscalers see the truth.",
      "10s", AT(follow_interval_ms) },
    [OPT_KEEP] = { "keep_standby", OPTION_DURATION, "10m", 0, 7 * DAY, NULL,
      "How long after a switch the old color should be kept running, for a rollback in milliseconds.",
      "10m", AT(keep_standby_ms) },
    [OPT_HISTORY] = { "history", OPTION_INT, "100", 1, 10000, NULL,
      "Switches of which the control log keeps the receipt.",
      "100", AT(history_count) },
    [OPT_JUDGE_MODE] = { "judge.mode", OPTION_CHOICE, "guard", 0, 0, "guard|auto|off",
      "What may turn a switch back by itself. guard: what needs no statistics, that is a new color that vanishes, "
      "starts again and again, stands still, fails most of its records or breaks a limit of yours. auto: also a new "
      "color whose figures are worse than the old one's, and a stage counts only when they are not. off: nothing.",
      "off", AT(judge.mode) },
    [OPT_JUDGE_METRICS] = { "judge.metrics", OPTION_WORDS, "[error_rate, latency, lag]", 0, 4,
      "error_rate|latency|lag|metadata",
      "Figures that auto compares, besides the signals. metadata is the time of metadata refreshes; it can only say no.",
      "[error_rate, lag]", AT(judge.metrics) },
    [OPT_JUDGE_ALPHA] = { "judge.alpha", OPTION_SHARE, "5%", 1000, 500000, NULL,
      "Share of switches to an equally good version that auto may turn back wrongly, over all figures, looks and stages "
      "together.",
      "1%", AT(judge.alpha_ppm) },
    [OPT_JUDGE_TOLERANCE] = { "judge.tolerance", OPTION_SHARE, "25%", 0, 10 * PPM, NULL,
      "How much more often than with the old color something bad may happen and still pass, as a share of that.",
      "10%", AT(judge.tolerance_ppm) },
    [OPT_JUDGE_INTERVAL] = { "judge.interval", OPTION_DURATION, "5s", SECOND, 5 * MINUTE, NULL,
      "Time between two looks, and so the longest time from a verdict to the way back. Looking often costs nothing but "
      "work: the bound on wrong verdicts holds however often one looks.",
      "10s", AT(judge.interval_ms) },
    [OPT_JUDGE_WARMUP] = { "judge.warmup", OPTION_DURATION, "30s", 0, HOUR, NULL,
      "Time from the first record of a stage in which figures are not compared, since a cold start is slow.",
      "1m", AT(judge.warmup_ms) },
    [OPT_JUDGE_RECORDS] = { "judge.min_records", OPTION_INT, "100", 1, 1000000, NULL,
      "Records before any comparison counts.",
      "1000", AT(judge.records_min) },
    [OPT_JUDGE_PROMOTE] = { "judge.promote", OPTION_CHOICE, "at-end", 0, 0, "at-end|early",
      "When an ok ends a stage: at the end of switch.observe, or as soon as it is said.",
      "early", AT(judge.promote) },
    [OPT_JUDGE_WORSE] = { "judge.on_worse", OPTION_CHOICE, "rollback", 0, 0, "rollback|hold",
      "What a verdict of worse does while the old color still has partitions: pass all of them back, or stay and say so.",
      "hold", AT(judge.on_worse) },
    [OPT_JUDGE_WORSE_FULL] = { "judge.on_worse_full", OPTION_CHOICE, "rollback", 0, 0, "rollback|hold",
      "The same once the new color has all partitions, which may be beyond the point where a rollback is harmless.",
      "hold", AT(judge.on_worse_full) },
    [OPT_JUDGE_UNDECIDED] = { "judge.on_undecided", OPTION_CHOICE, "hold", 0, 0, "hold|promote|rollback",
      "What auto does at the end of switch.observe without a verdict: stay as it is and say so, go on, or pass back. "
      "Figures that are missing never cause a rollback.",
      "promote", AT(judge.on_undecided) },
    [OPT_JUDGE_UNKNOWN] = { "judge.on_unknown", OPTION_CHOICE, "hold", 0, 0, "hold|ignore",
      "What a figure that is missing, stale or no number does to an ok: it keeps it from being said, or it is left out.",
      "ignore", AT(judge.on_unknown) },
    [OPT_JUDGE_PROGRESS] = { "judge.no_progress", OPTION_DURATION, "auto", 10 * SECOND, DAY, NULL,
      "How long a partition may stand still with records waiting. auto: twice members.processing_max, at least 60s.",
      "2m", AT(judge.no_progress_ms) },
    [OPT_JUDGE_CATCH_UP] = { "judge.catch_up", OPTION_DURATION, "10m", 10 * SECOND, DAY, NULL,
      "Longest time for the new color to work off the backlog of a switch. Until then its lag breaks no limit.",
      "2m", AT(judge.catch_up_ms) },
    [OPT_JUDGE_CRASHES] = { "judge.crash_loop", OPTION_INT, "3", 2, 60, NULL,
      "Starts of one process within judge.crash_window that make a crash loop.",
      "5", AT(judge.crash_loop) },
    [OPT_JUDGE_CRASH_WINDOW] = { "judge.crash_window", OPTION_DURATION, "10m", 10 * SECOND, HOUR, NULL,
      "See judge.crash_loop. Long enough for a process that works for minutes before it falls.",
      "2m", AT(judge.crash_window_ms) },
    [OPT_LIMIT_ERRORS] = { "judge.limits.error_rate", OPTION_SHARE, "none", 1, PPM, NULL,
      "Share of failed records, over a minute, above which the new color is worse whatever the old one does.",
      "5%", AT(judge.error_rate_limit_ppm) },
    [OPT_LIMIT_LATENCY] = { "judge.limits.latency_p99", OPTION_DURATION, "none", 1, HOUR, NULL,
      "Time that at most one record in a hundred may take longer than.",
      "2s", AT(judge.latency_p99_limit_ms) },
    [OPT_LIMIT_TIME_LAG] = { "judge.limits.time_lag", OPTION_DURATION, "none", 10 * SECOND, DAY, NULL,
      "Longest lag, counted in time of arrivals, once the backlog is worked off or judge.catch_up has passed.",
      "1m", AT(judge.time_lag_limit_ms) },
    [OPT_WINDOW_RULES] = { "window.rules", OPTION_CHOICE, "none", 0, 0, "none|corrected|burrow",
      "Rules by which a window of the new color's commits is labelled, as docs/burrow.md has them: corrected, or burrow, "
      "bug for bug. A group that is STOP, STALL or REWIND for half a minute after the backlog was worked off is worse, unless the "
      "old color's was so too. The controller then follows the commits of the whole cluster.",
      "corrected", AT(judge.window) },
    [OPT_PROMETHEUS_URL] = { "prometheus.url", OPTION_URL, "none", 1, URL_MAX, NULL,
      "Prometheus that answers the queries of the signals.",
      "http://prometheus:9090", AT(prometheus_url) },
    [OPT_SIGNALS] = { "signals", OPTION_SIGNALS, "[]", 0, SIGNALS_MAX, NULL,
      "More figures, from Prometheus. Each has a name and a query, in which $fleet, $color, $group and $version stand for "
      "those of the color that is asked for; worse: higher (default) or lower; and, if it is to have one, a limit beyond "
      "which the new color is worse whatever the old one does. A query without $color, $group or $version cannot tell the "
      "colors apart, so it needs a limit.",
      "[{name: cpu, query: 'avg(cpu{color=\"$color\"})', limit: 0.9}]", AT(judge.signals) },
    [OPT_THROTTLE_SIGNAL] = { "throttle_when.signal", OPTION_CHOICE, "none", 0, 0, "none|query|error_rate|latency_p99",
      "Figure that throttles the fleet by itself, so that a database is not overrun, and sets it going again: what "
      "throttle_when.query gives, or of the active color's members the share of failed records (0 to 1) or the 99th "
      "percentile of the processing time, in seconds. A figure that is missing, stale or no number throttles nothing and "
      "lets nothing go.",
      "none", AT(throttle.signal) },
    [OPT_THROTTLE_QUERY] = { "throttle_when.query", OPTION_TEXT, "none", 1, SIGNAL_QUERY_MAX, NULL,
      "Query to prometheus.url for throttle_when.signal: query. One number; $fleet, and $color, $group and $version of the "
      "active color stand in it as in signals. Where less is worse, negate it.",
      "max(pg_stat_activity_count)", AT(throttle.query) },
    [OPT_THROTTLE_ABOVE] = { "throttle_when.above", OPTION_DECIMAL, "0", 0, 0, NULL,
      "Figure above which the fleet is throttled.",
      "250", AT(throttle.above) },
    [OPT_THROTTLE_UNTIL] = { "throttle_when.until", OPTION_DECIMAL, "0", 0, 0, NULL,
      "Figure at or below which it is set going again; lower than throttle_when.above, so that it does not swing between "
      "the two.",
      "150", AT(throttle.until) },
    [OPT_THROTTLE_FOR] = { "throttle_when.for", OPTION_DURATION, "15s", 0, HOUR, NULL,
      "How long the figure has to stay above throttle_when.above without a break.",
      "30s", AT(throttle.wait_ms) },
    [OPT_THROTTLE_REST] = { "throttle_when.rest", OPTION_DURATION, "1m", SECOND, DAY, NULL,
      "How long it has to stay at or below throttle_when.until without a break, and the shortest time from there to the "
      "next throttle.",
      "5m", AT(throttle.rest_ms) },
    [OPT_THROTTLE_KEEP] = { "throttle_when.partitions", OPTION_KEEP, "50%", 1, BATONS_MAX, NULL,
      "How many partitions go on working meanwhile: a share, rounded up, or a number.",
      "4", AT(throttle.keep) },
};
// clang-format on
const int spec_option_count = OPT_COUNT;

/* ---- meaning ---- */

struct reading {
    struct spec *spec;
    const struct spec_value *stages; /* the list, to be read when the topics are known */
    bool skip_unknown;
    struct {
        int line, column;
    } places[OPT_COUNT]; /* where an option was given */
    struct spec_fault *fault;
    bool failed;
};

static void fail_at(struct reading *r, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void fail_at(struct reading *r, int line, int column, const char *fmt, ...)
{
    va_list ap;

    if (r->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(r->fault->what, sizeof(r->fault->what), fmt, ap);
    va_end(ap);
    r->fault->line = line;
    r->fault->column = column;
    r->failed = true;
}

static const char *kind_name(const struct spec_value *v)
{
    switch (v->kind) {
    case SPEC_NULL:
        return "nothing";
    case SPEC_TEXT:
        return "a text";
    case SPEC_NUMBER:
        return "a number";
    case SPEC_LIST:
        return "a list";
    case SPEC_MAP:
        return "a group of keys";
    case SPEC_OTHER:
        return "something else";
    }
    return "something else";
}

static void fail_kind(struct reading *r, const struct spec_option *o, const struct spec_value *v, const char *wanted)
{
    fail_at(r, v->line, v->column, "%s: %s is wanted, as in '%s', and here is %s", o->key, wanted, o->example,
            kind_name(v));
}

static void *field(struct spec *spec, const struct spec_option *o)
{
    return (char *)spec + o->at;
}

int spec_choice_index(const char *choices, const char *text, char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX], int *ret_count)
{
    int found = -1, count = 0;

    for (const char *p = choices; p && count < SPEC_CHOICES_MAX;) {
        const char *bar = strchr(p, '|');
        const size_t len = bar ? (size_t)(bar - p) : strlen(p);

        ASSERT(len < SPEC_KEY_MAX);
        memcpy(names[count], p, len);
        names[count][len] = 0;
        if (strcmp(names[count], text) == 0)
            found = count;
        count++;
        p = bar ? bar + 1 : NULL;
    }
    *ret_count = count;
    return found;
}

static void set_choice(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX];
    const char *candidates[SPEC_CHOICES_MAX], *near;
    int count, index = spec_choice_index(o->choices, v->text, names, &count);
    struct str allowed = STR_WITH_MAX(256);

    for (int i = 0; i < count; i++)
        candidates[i] = names[i];
    if (index >= 0) {
        const unsigned number = (unsigned)index;

        _Static_assert(sizeof(enum color) == sizeof(number), "an enum of the spec is as wide as a number");
        memcpy(field(r->spec, o), &number, sizeof(number));
        return;
    }
    near = suggest(v->text, candidates, (size_t)count);
    spec_option_bounds(&allowed, o);
    if (near)
        fail_at(r, v->line, v->column, "%s: unknown value '%.80s', did you mean '%s'?", o->key, v->text, near);
    else
        fail_at(r, v->line, v->column, "%s: unknown value '%.80s'; allowed: %s", o->key, v->text, allowed.buf);
    str_free(&allowed);
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static const char *group_fault(const char *name)
{
    const size_t len = strlen(name);

    if (len == 0)
        return "it is empty";
    if (len > GROUP_NAME_MAX)
        return "it is longer than 255 bytes";
    for (size_t i = 0; i < len; i++)
        if (is_control(name[i]))
            return "it holds a control character";
    if (name[0] == ' ' || name[len - 1] == ' ')
        return "it begins or ends with a blank";
    if (strcmp(name, "baton.controller") == 0)
        return "this is the group of Baton's controllers";
    return NULL;
}

static const char *url_fault(const char *url)
{
    const char *host = strstr(url, "://");

    if (!host || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return "it must begin with http:// or https://";
    if (strlen(url) > URL_MAX)
        return "it is longer than 255 bytes";
    for (const char *p = url; *p; p++)
        if (is_control(*p) || *p == ' ')
            return "it holds a blank or a control character";
    return host[3] ? NULL : "the host is missing";
}

static const char *topic_fault(const char *name)
{
    const size_t len = strlen(name);

    if (len == 0)
        return "a topic's name is empty";
    if (len > TOPIC_NAME_MAX)
        return "a topic's name is longer than Kafka's 249 bytes";
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]))
            return "Kafka allows letters, digits, '.', '_' and '-' in a topic's name";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "Kafka allows no topic of that name";
    if (strcmp(name, "baton.control") == 0 || strcmp(name, "baton.reports") == 0)
        return "this topic is Baton's own";
    return NULL;
}

static const char *fleet_fault(const char *name)
{
    if (!fleet_name_valid(name))
        return "write at most 63 lower-case letters, digits and '-', with a letter or digit first and last";
    if (strcmp(name, "order") == 0)
        return "this name stands for handed-over orders in baton.reports; choose another, such as orders";
    return NULL;
}

static void set_text(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    const char *fault = o->type == OPTION_NAME    ? fleet_fault(v->text)
                        : o->type == OPTION_GROUP ? group_fault(v->text)
                        : o->type == OPTION_URL   ? url_fault(v->text)
                                                  : NULL;

    if (!fault && !text_copy(field(r->spec, o), (size_t)o->max + 1, v->text))
        fault = "it is too long";
    if (fault)
        fail_at(r, v->line, v->column, "%s: '%.80s': %s", o->key, v->text, fault);
}

static void set_number(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    struct errmsg m = { 0 };
    int64_t number;
    int n;

    if (o->type == OPTION_DURATION)
        n = parse_duration_ms(&number, v->text, o->min, o->max, &m);
    else
        n = parse_int64(&number, v->text, o->min, o->max, &m);
    if (n < 0)
        fail_at(r, v->line, v->column, "%s: %s", o->key, m.text);
    else if (o->type == OPTION_DURATION)
        memcpy(field(r->spec, o), &number, sizeof(number));
    else
        *(int *)field(r->spec, o) = (int)number;
}

const char *spec_option_zero(const struct spec_option *o)
{
    const char *word = o->standard;

    return word && (strcmp(word, "none") == 0 || strcmp(word, "auto") == 0) ? word : NULL;
}

bool spec_option_is_text(const struct spec_option *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_URL;
}

static bool means_zero(const struct spec_option *o, const struct spec_value *v)
{
    return spec_option_zero(o) && v->kind == SPEC_TEXT && strcmp(v->text, spec_option_zero(o)) == 0;
}

static void set_share(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    struct errmsg m = { 0 };

    if (parse_share_ppm(field(r->spec, o), v->text, (int)o->min, (int)o->max, &m) < 0)
        fail_at(r, v->line, v->column, "%s: %s%s%s", o->key, m.text, spec_option_zero(o) ? ", or write " : "",
                spec_option_zero(o) ? spec_option_zero(o) : "");
}

/* A list of the choices, each at most once: bits by their place. */
static void set_words(struct reading *r, const struct spec_option *o, const struct spec_value *list)
{
    char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX];
    const char *candidates[SPEC_CHOICES_MAX];
    unsigned *bits = field(r->spec, o);
    int count;

    *bits = 0;
    for (const struct spec_value *v = list->first; v && !r->failed; v = v->next) {
        const int index = v->kind == SPEC_TEXT ? spec_choice_index(o->choices, v->text, names, &count) : -1;
        const char *near = NULL;

        for (int i = 0; v->kind == SPEC_TEXT && i < count; i++)
            candidates[i] = names[i];
        if (v->kind == SPEC_TEXT && index < 0)
            near = suggest(v->text, candidates, (size_t)count);
        if (v->kind != SPEC_TEXT)
            fail_kind(r, o, v, "a word");
        else if (near)
            fail_at(r, v->line, v->column, "%s: unknown value '%.80s', did you mean '%s'?", o->key, v->text, near);
        else if (index < 0 && r->skip_unknown)
            continue;
        else if (index < 0)
            fail_at(r, v->line, v->column, "%s: unknown value '%.80s'; allowed: %s", o->key, v->text, o->choices);
        else if (*bits >> index & 1)
            fail_at(r, v->line, v->column, "%s: '%s' stands there twice", o->key, v->text);
        else
            *bits |= 1u << index;
    }
}

static const char *signal_name_fault(const char *name)
{
    if (!name[0] || strlen(name) > SIGNAL_NAME_MAX)
        return "a signal's name has 1 to 31 letters";
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        return "a signal's name is made of lower-case letters, digits and '_'";
    return NULL;
}

/* A decimal number, whole text; no infinity, no hexadecimal. */
static bool read_limit(double *ret, const char *text)
{
    char *end;

    if (!text[0] || strlen(text) > 32 || strspn(text, "+-0123456789.eE") != strlen(text))
        return false;
    *ret = strtod(text, &end);
    return !*end && *ret > -1e15 && *ret < 1e15;
}

static void set_decimal(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    double number;

    if (read_limit(&number, v->text))
        memcpy(field(r->spec, o), &number, sizeof(number));
    else
        fail_at(r, v->line, v->column, "%s: '%.80s' is no decimal number, as in 0.9", o->key, v->text);
}

/* "25%" or "4" */
static void set_keep(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    struct keep keep = { .percent = strchr(v->text, '%') != NULL };
    struct errmsg m = { 0 };
    int64_t number = 0;
    int n;

    if (keep.percent)
        n = parse_percent(&keep.amount, v->text, &m);
    else
        n = parse_int64(&number, v->text, o->min, o->max, &m);
    if (n == ERR_OK && keep.percent && keep.amount == 100)
        n = err_set(&m, ERR_INVALID, "100%% is no throttle: write 99%% at most");
    if (!keep.percent)
        keep.amount = (int)number;
    if (n < 0)
        fail_at(r, v->line, v->column, "%s: %s", o->key, m.text);
    else
        *(struct keep *)field(r->spec, o) = keep;
}

static bool query_by_color(const char *query)
{
    return strstr(query, "$color") || strstr(query, "$group") || strstr(query, "$version");
}

static const char *const signal_keys[] = { "name", "query", "worse", "limit" };

static void set_signal_key(struct reading *r, struct signal_policy *s, const struct spec_value *v)
{
    const bool text = v->kind == SPEC_TEXT || (v->kind == SPEC_NUMBER && strcmp(v->key, "limit") == 0);
    const char *fault = NULL;

    if (!text)
        fail_at(r, v->line, v->column, "signals: %s: a text is wanted, and here is %s", v->key, kind_name(v));
    else if (strcmp(v->key, "name") == 0)
        fault = signal_name_fault(v->text);
    else if (strcmp(v->key, "query") == 0)
        fault = !v->text[0]                          ? "a query is missing"
                : strlen(v->text) > SIGNAL_QUERY_MAX ? "a query has at most 511 bytes"
                                                     : NULL;
    else if (strcmp(v->key, "worse") == 0)
        fault = strcmp(v->text, "higher") != 0 && strcmp(v->text, "lower") != 0 ? "write higher or lower" : NULL;
    else
        fault = read_limit(&s->limit, v->text) ? NULL : "a limit is a decimal number, as in 0.9";
    if (fault)
        fail_at(r, v->line, v->column, "signals: %s: '%.80s': %s", v->key, v->text, fault);
    if (r->failed)
        return;
    if (strcmp(v->key, "name") == 0)
        text_copy(s->name, sizeof(s->name), v->text);
    else if (strcmp(v->key, "query") == 0)
        text_copy(s->query, sizeof(s->query), v->text);
    else if (strcmp(v->key, "worse") == 0)
        s->worse = strcmp(v->text, "lower") == 0 ? SIGNAL_LOWER_IS_WORSE : SIGNAL_HIGHER_IS_WORSE;
    else
        s->limited = true;
}

static void set_signal(struct reading *r, struct signal_policy *s, const struct spec_value *map)
{
    memset(s, 0, sizeof(*s));
    for (const struct spec_value *v = map->first; v && !r->failed; v = v->next) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_COUNT(signal_keys); i++)
            known = known || strcmp(v->key, signal_keys[i]) == 0;
        for (const struct spec_value *before = map->first; before != v; before = before->next)
            if (strcmp(before->key, v->key) == 0 && !r->skip_unknown)
                fail_at(r, v->key_line, v->key_column, "signals: key '%s' stands there twice", v->key);
        if (known)
            set_signal_key(r, s, v);
        else if (!r->skip_unknown) {
            const char *near = suggest(v->key, signal_keys, ARRAY_COUNT(signal_keys));

            fail_at(r, v->key_line, v->key_column, "signals: unknown key '%.80s'%s%s%s", v->key,
                    near ? ", did you mean '" : "; allowed: name, query, worse, limit", near ? near : "",
                    near ? "'?" : "");
        }
    }
    if (!s->name[0])
        fail_at(r, map->line, map->column, "signals: a signal's name is missing");
    if (!s->query[0])
        fail_at(r, map->line, map->column, "signals: '%s' has no query", s->name);
    if (!query_by_color(s->query) && !s->limited)
        fail_at(
            r, map->line, map->column,
            "signals: '%s' can never say anything: its query names no $color, $group or $version, and it has no limit",
            s->name);
}

static void set_signals(struct reading *r, const struct spec_option *o, const struct spec_value *list)
{
    struct judge_policy *p = &r->spec->judge;

    p->signal_count = 0;
    memset(p->signals, 0, sizeof(p->signals));
    for (const struct spec_value *v = list->first; v && !r->failed; v = v->next) {
        if (v->kind != SPEC_MAP) {
            fail_kind(r, o, v, "a signal");
            return;
        }
        if (p->signal_count == SIGNALS_MAX) {
            fail_at(r, v->line, v->column, "signals: a fleet has at most %d", SIGNALS_MAX);
            return;
        }
        set_signal(r, &p->signals[p->signal_count], v);
        for (int i = 0; i < p->signal_count; i++)
            if (strcmp(p->signals[i].name, p->signals[p->signal_count].name) == 0)
                fail_at(r, v->line, v->column, "signals: '%s' stands there twice", p->signals[i].name);
        p->signal_count++;
    }
}

/* After all else is read: names of partitions need the topics. */
static void set_stages(struct reading *r)
{
    const struct spec_option *o = &spec_options[OPT_STAGES];
    const struct spec_value *list = r->stages;
    struct stages *stages = &r->spec->stages;
    struct errmsg m = { 0 };

    if (!list || r->failed)
        return;
    memset(stages, 0, sizeof(*stages));
    for (const struct spec_value *v = list->first; v && !r->failed; v = v->next) {
        m = (struct errmsg){ 0 };
        if (v->kind != SPEC_TEXT && v->kind != SPEC_NUMBER)
            fail_kind(r, o, v, "a stage");
        else if (stages_add(stages, r->spec, v->text, &m) < 0)
            fail_at(r, v->line, v->column, "%s: %s", o->key, m.text);
        else if (!v->next && stages_end(stages, &m) < 0)
            fail_at(r, v->line, v->column, "%s: %s", o->key, m.text);
    }
    if (!list->first)
        fail_at(r, list->line, list->column, "%s: the list is empty; write one stage at least, as in [100%%]", o->key);
}

static void set_topics(struct reading *r, const struct spec_option *o, const struct spec_value *list)
{
    struct spec *s = r->spec;

    s->topic_count = 0;
    for (const struct spec_value *v = list->first; v && !r->failed; v = v->next) {
        const char *fault;

        if (v->kind != SPEC_TEXT) {
            fail_kind(r, o, v, "a topic's name");
            return;
        }
        fault = topic_fault(v->text);
        if (s->topic_count == TOPICS_MAX)
            fault = "a fleet has at most 32 topics";
        for (int i = 0; i < s->topic_count; i++)
            if (strcmp(s->topics[i], v->text) == 0)
                fault = "this topic stands there twice";
        if (fault)
            fail_at(r, v->line, v->column, "%s: '%.80s': %s", o->key, v->text, fault);
        else
            text_copy(s->topics[s->topic_count++], sizeof(s->topics[0]), v->text);
    }
    if (!list->first)
        fail_at(r, list->line, list->column, "%s: the list is empty; name one topic at least", o->key);
}

/* What `none` or `auto` leaves: 0, or an empty text. */
static void zero_option(struct spec *spec, const struct spec_option *o)
{
    const size_t size = spec_option_is_text(o)       ? (size_t)o->max + 1
                        : o->type == OPTION_DURATION ? sizeof(int64_t)
                                                     : sizeof(int);

    memset(field(spec, o), 0, size);
}

static void set_option(struct reading *r, const struct spec_option *o, const struct spec_value *v)
{
    if (v->kind == SPEC_NULL) {
        fail_at(r, v->line, v->column, "%s: a value is missing, as in '%s'", o->key, o->example);
        return;
    }
    if (means_zero(o, v)) {
        zero_option(r->spec, o);
        return;
    }
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_GROUP:
    case OPTION_URL:
        if (v->kind != SPEC_TEXT)
            fail_kind(r, o, v, "a name");
        else
            set_text(r, o, v);
        break;
    case OPTION_CHOICE:
        if (v->kind != SPEC_TEXT)
            fail_kind(r, o, v, "a word");
        else
            set_choice(r, o, v);
        break;
    case OPTION_DURATION:
        if (v->kind != SPEC_TEXT && v->kind != SPEC_NUMBER)
            fail_kind(r, o, v, "a duration");
        else
            set_number(r, o, v);
        break;
    case OPTION_INT:
        if (v->kind != SPEC_NUMBER && !(v->kind == SPEC_TEXT && v->plain))
            fail_kind(r, o, v, "a whole number");
        else
            set_number(r, o, v);
        break;
    case OPTION_STAGES:
        if (v->kind != SPEC_LIST)
            fail_kind(r, o, v, "a list");
        else
            r->stages = v;
        break;
    case OPTION_TOPICS:
        if (v->kind != SPEC_LIST)
            fail_kind(r, o, v, "a list");
        else
            set_topics(r, o, v);
        break;
    case OPTION_SHARE:
        if (v->kind != SPEC_TEXT && v->kind != SPEC_NUMBER)
            fail_kind(r, o, v, "a percentage");
        else
            set_share(r, o, v);
        break;
    case OPTION_DECIMAL:
    case OPTION_KEEP:
        if (v->kind != SPEC_TEXT && v->kind != SPEC_NUMBER)
            fail_kind(r, o, v, "a number");
        else if (o->type == OPTION_KEEP)
            set_keep(r, o, v);
        else
            set_decimal(r, o, v);
        break;
    case OPTION_WORDS:
    case OPTION_SIGNALS:
        if (v->kind != SPEC_LIST)
            fail_kind(r, o, v, "a list");
        else if (o->type == OPTION_WORDS)
            set_words(r, o, v);
        else
            set_signals(r, o, v);
        break;
    }
}

/* Finds "prefix.key" as an option (*ret its number), or tells whether keys lie below it. */
static bool find_key(int *ret, const char *path)
{
    const size_t len = strlen(path);
    bool below = false;

    *ret = -1;
    for (int i = 0; i < OPT_COUNT; i++) {
        if (strcmp(spec_options[i].key, path) == 0)
            *ret = i;
        if (strncmp(spec_options[i].key, path, len) == 0 && spec_options[i].key[len] == '.')
            below = true;
    }
    return below || *ret >= 0;
}

/* The keys that may stand at `prefix`, each once; they point into `room`. */
static int keys_at(const char *prefix, char room[OPT_COUNT][SPEC_KEY_MAX], const char *names[OPT_COUNT])
{
    const size_t len = strlen(prefix);
    int count = 0;

    for (int i = 0; i < OPT_COUNT; i++) {
        const char *key = spec_options[i].key;
        size_t end;

        if (len > 0 && (strncmp(key, prefix, len) != 0 || key[len] != '.'))
            continue;
        key += len > 0 ? len + 1 : 0;
        end = strcspn(key, ".");
        memcpy(room[count], key, end);
        room[count][end] = 0;
        if (count > 0 && strcmp(room[count - 1], room[count]) == 0)
            continue; /* a group's keys are neighbours in the table */
        names[count] = room[count];
        count++;
    }
    return count;
}

/* The option that is called so at another depth, or is written with its dots: "deadline", "switch.deadline". */
static const char *option_elsewhere(const char *key)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const char *dot = strrchr(spec_options[i].key, '.');

        if (strcmp(spec_options[i].key, key) == 0 || (dot && strcmp(dot + 1, key) == 0))
            return spec_options[i].key;
    }
    return NULL;
}

static void fail_unknown(struct reading *r, const char *prefix, const struct spec_value *v)
{
    char room[OPT_COUNT][SPEC_KEY_MAX];
    const char *names[OPT_COUNT];
    const int count = keys_at(prefix, room, names);
    const char *near = suggest(v->key, names, (size_t)count), *elsewhere = option_elsewhere(v->key);
    struct str what = STR_WITH_MAX(sizeof(r->fault->what) - 1);

    str_addf(&what, "unknown key '%.80s'", v->key);
    if (prefix[0])
        str_addf(&what, " below '%s'", prefix);
    if (near) {
        str_addf(&what, ", did you mean '%s'?", near);
    } else if (elsewhere) {
        const char *dot = strrchr(elsewhere, '.');

        if (dot)
            str_addf(&what, ", did you mean '%s' below '%.*s'?", dot + 1, (int)(dot - elsewhere), elsewhere);
        else
            str_addf(&what, ", did you mean '%s' at the left margin?", elsewhere);
    } else {
        for (int i = 0; i < count; i++)
            str_addf(&what, "%s%s", i > 0 ? ", " : "; allowed: ", names[i]);
    }
    fail_at(r, v->key_line, v->key_column, "%s", what.buf);
    str_free(&what);
}

static void read_map(struct reading *r, const char *prefix, const struct spec_value *map)
{
    for (const struct spec_value *v = map->first; v && !r->failed; v = v->next) {
        char path[2 * SPEC_KEY_MAX];
        int option = -1;
        const bool fits =
            snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", v->key) < (int)sizeof(path);
        const bool known = fits && !strchr(v->key, '.') && find_key(&option, path);

        if (!known && r->skip_unknown)
            continue;
        if (!known) {
            fail_unknown(r, prefix, v);
            return;
        }
        for (const struct spec_value *before = map->first; before != v; before = before->next)
            if (strcmp(before->key, v->key) == 0 && !r->skip_unknown)
                fail_at(r, v->key_line, v->key_column, "key '%s' stands there twice, first in line %d", path,
                        before->key_line);
        if (option >= 0) {
            r->places[option].line = v->line;
            r->places[option].column = v->column;
            set_option(r, &spec_options[option], v);
        } else if (v->kind == SPEC_MAP) {
            read_map(r, path, v);
        } else {
            fail_at(r, v->line, v->column, "%s: keys are wanted below it, and here is %s", path, kind_name(v));
        }
    }
}

static int find_throttle_conflict(const struct spec *s, char *ret, size_t ret_size, int *ret_other)
{
    const struct throttle_policy *p = &s->throttle;

    *ret_other = OPT_THROTTLE_SIGNAL;
    if (p->signal == THROTTLE_NONE)
        return -1;
    if (p->signal == THROTTLE_QUERY && !p->query[0]) {
        snprintf(ret, ret_size,
                 "with throttle_when.signal: query it must be given, as in 'max(pg_stat_activity_count)'");
        return OPT_THROTTLE_QUERY;
    }
    if (p->signal == THROTTLE_QUERY && !s->prometheus_url[0]) {
        snprintf(ret, ret_size,
                 "throttle_when.query needs it: write where Prometheus answers, as in http://prometheus:9090");
        return OPT_PROMETHEUS_URL;
    }
    if (p->signal == THROTTLE_ERROR_RATE && p->above >= 1) {
        snprintf(ret, ret_size, "an error rate is a share: it is never above 1, write 0.05 for 5 %%");
        return OPT_THROTTLE_ABOVE;
    }
    if (p->until >= p->above) {
        snprintf(ret, ret_size,
                 "it must be lower than throttle_when.above (%.6g), or the fleet would be throttled and let go again "
                 "and again; give both",
                 p->above);
        return OPT_THROTTLE_UNTIL;
    }
    return -1;
}

/* What an application that is started and stopped whole cannot do. */
static int find_foreign_conflict(const struct spec *s, char *ret, size_t ret_size, int *ret_other)
{
    *ret_other = OPT_STRATEGY;
    if (s->strategy != STRATEGY_FOREIGN)
        return -1;
    if (s->stages.count > 1) {
        snprintf(ret, ret_size, "with strategy: foreign the application passes whole: leave it out, or write [100%%]");
        return OPT_STAGES;
    }
    if (s->throttle.signal != THROTTLE_NONE) {
        snprintf(
            ret, ret_size,
            "with strategy: foreign the application is stopped and started whole, so none of its partitions can be "
            "slowed down: leave it out");
        return OPT_THROTTLE_SIGNAL;
    }
    if (s->on_unreachable == UNREACHABLE_FENCE) {
        snprintf(
            ret, ret_size,
            "with strategy: foreign nobody can fence the application off when its agent is silent: write refuse, or "
            "leave it out");
        return OPT_UNREACHABLE;
    }
    return -1;
}

static int find_judge_conflict(const struct spec *s, char *ret, size_t ret_size, int *ret_other)
{
    const struct judge_policy *p = &s->judge;
    const int64_t least_ms = p->warmup_ms + 2 * p->interval_ms;
    char least[32], warmup[32], interval[32];

    *ret_other = OPT_JUDGE_MODE;
    if (p->mode == JUDGE_OFF && p->window != WINDOW_NONE) {
        snprintf(ret, ret_size,
                 "with judge.mode: off nobody looks at it; write guard or auto there, or leave this out");
        return OPT_WINDOW_RULES;
    }
    if (p->mode == JUDGE_AUTO && p->metrics == 0 && p->signal_count == 0) {
        snprintf(ret, ret_size, "with judge.mode: auto one figure at least has to be judged");
        return OPT_JUDGE_METRICS;
    }
    if (p->mode == JUDGE_AUTO && s->observe_ms <= least_ms) {
        snprintf(ret, ret_size,
                 "with judge.mode: auto it must be longer than %s, or every stage ends before a verdict: judge.warmup "
                 "(%s) and two looks (judge.interval, %s)",
                 format_duration(least, least_ms), format_duration(warmup, p->warmup_ms),
                 format_duration(interval, p->interval_ms));
        return OPT_OBSERVE;
    }
    if (p->mode == JUDGE_OFF &&
        (p->error_rate_limit_ppm > 0 || p->latency_p99_limit_ms > 0 || p->time_lag_limit_ms > 0)) {
        snprintf(ret, ret_size,
                 "with judge.mode: off nobody looks at it; write guard or auto there, or leave this out");
        return p->error_rate_limit_ppm > 0   ? OPT_LIMIT_ERRORS
               : p->latency_p99_limit_ms > 0 ? OPT_LIMIT_LATENCY
                                             : OPT_LIMIT_TIME_LAG;
    }
    *ret_other = OPT_PROCESSING;
    if (p->latency_p99_limit_ms > s->processing_ms_max) {
        snprintf(ret, ret_size, "it is longer than members.processing_max (%s), which no record may take anyway",
                 format_duration(least, s->processing_ms_max));
        return OPT_LIMIT_LATENCY;
    }
    if (p->no_progress_ms > 0 && p->no_progress_ms <= s->processing_ms_max) {
        snprintf(ret, ret_size,
                 "it must be longer than members.processing_max (%s), or one slow record is a standstill",
                 format_duration(least, s->processing_ms_max));
        return OPT_JUDGE_PROGRESS;
    }
    *ret_other = OPT_JUDGE_INTERVAL;
    if (p->crash_window_ms < p->interval_ms) {
        snprintf(ret, ret_size, "it must not be shorter than judge.interval (%s)",
                 format_duration(interval, p->interval_ms));
        return OPT_JUDGE_CRASH_WINDOW;
    }
    *ret_other = OPT_SIGNALS;
    if (p->signal_count > 0 && !s->prometheus_url[0]) {
        snprintf(ret, ret_size, "signals need it: write where Prometheus answers, as in http://prometheus:9090");
        return OPT_PROMETHEUS_URL;
    }
    return find_throttle_conflict(s, ret, ret_size, ret_other);
}

/*
 * What must hold between options: returns the one at fault, or -1, and in *ret_other the one it does not go with.
 * Without `policies` only what must hold of every spec ever written, for a rule that came later must not break a
 * running fleet.
 */
static int find_conflict(const struct spec *s, bool policies, char *ret, size_t ret_size, int *ret_other)
{
    const int64_t fence_ms = s->session_timeout_ms + spec_gone_after_ms(s);
    char fence[32], session[32], processing[32];

    if (strcmp(s->colors[BLUE].group, s->colors[GREEN].group) == 0) {
        snprintf(ret, ret_size, "both colors have group '%.80s': with separate groups each needs its own",
                 s->colors[BLUE].group);
        *ret_other = OPT_BLUE_GROUP;
        return OPT_GREEN_GROUP;
    }
    if (policies && s->on_unreachable == UNREACHABLE_FENCE && s->deadline_ms <= fence_ms) {
        snprintf(ret, ret_size,
                 "with on_unreachable: fence it must be longer than %s, or it ends before a silent member can count as "
                 "gone: "
                 "session_timeout (%s) until the brokers drop it, then session_timeout and processing_max (%s) more",
                 format_duration(fence, fence_ms), format_duration(session, s->session_timeout_ms),
                 format_duration(processing, s->processing_ms_max));
        *ret_other = OPT_UNREACHABLE;
        return OPT_DEADLINE;
    }
    if (policies) {
        const int foreign = find_foreign_conflict(s, ret, ret_size, ret_other);

        return foreign >= 0 ? foreign : find_judge_conflict(s, ret, ret_size, ret_other);
    }
    return -1;
}

/* At the option itself where it is given, else at the one it does not go with; one of them is. */
static void check_conflicts(struct reading *r)
{
    char what[sizeof(r->fault->what) - SPEC_KEY_MAX];
    int other, option = r->failed ? -1 : find_conflict(r->spec, !r->skip_unknown, what, sizeof(what), &other);

    if (option < 0)
        return;
    if (r->places[option].line == 0)
        fail_at(r, r->places[other].line, r->places[other].column, "%s: %s", spec_options[option].key, what);
    else
        fail_at(r, r->places[option].line, r->places[option].column, "%s: %s", spec_options[option].key, what);
}

static void fill_groups(struct spec *s)
{
    for (int c = 0; c < COLOR_COUNT; c++) {
        char group[FLEET_NAME_MAX + 16];

        snprintf(group, sizeof(group), "%s-%s", s->fleet, color_name((enum color)c));
        if (!s->colors[c].group[0])
            text_copy(s->colors[c].group, sizeof(s->colors[c].group), group);
    }
}

int spec_from_tree(struct spec *ret, const struct spec_tree *tree, bool skip_unknown, struct spec_fault *fault)
{
    const struct spec_value *root = &tree->values[0];
    struct spec spec;
    struct reading r = { .spec = &spec, .skip_unknown = skip_unknown, .fault = fault };

    spec_defaults(&spec);
    if (root->kind != SPEC_MAP)
        fail_at(&r, root->line, root->column, "keys are wanted, as in 'fleet: payments', and here is %s",
                kind_name(root));
    else
        read_map(&r, "", root);
    if (!spec.fleet[0])
        fail_at(&r, root->line, root->column, "fleet is missing, as in 'fleet: payments'");
    if (spec.topic_count == 0)
        fail_at(&r, root->line, root->column, "topics is missing, as in 'topics: [orders]'");
    set_stages(&r);
    fill_groups(&spec);
    check_conflicts(&r);
    if (r.failed)
        return ERR_INVALID;
    *ret = spec;
    return ERR_OK;
}

/* ---- defaults ---- */

/* "[a, b]" as a list; cuts `text` up. */
static void list_default(struct spec_value *list, struct spec_value items[SPEC_CHOICES_MAX], char *text)
{
    struct spec_value **next = &list->first;
    int count = 0;

    for (char *p = text + 1; *p && *p != ']'; p += strspn(p, ", ")) {
        struct spec_value *v = &items[count++];
        const size_t len = strcspn(p, ",]");
        const bool last = p[len] == ']';

        ASSERT(count <= SPEC_CHOICES_MAX);
        *v = (struct spec_value){ .kind = SPEC_TEXT, .plain = true, .text = p };
        *next = v;
        next = &v->next;
        p[len] = 0;
        p += len + !last;
    }
}

void spec_defaults(struct spec *ret)
{
    struct spec_fault fault;
    struct reading r = { .spec = ret, .fault = &fault };

    memset(ret, 0, sizeof(*ret));
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct spec_option *o = &spec_options[i];
        struct spec_value items[SPEC_CHOICES_MAX], list = { .kind = SPEC_LIST };
        char text[SPEC_KEY_MAX];

        if (!o->standard || o->type == OPTION_GROUP)
            continue;
        ASSERT(text_copy(text, sizeof(text), o->standard));
        if (o->type == OPTION_STAGES) {
            stages_whole(&ret->stages);
        } else if (text[0] == '[') {
            list_default(&list, items, text);
            set_option(&r, o, &list);
        } else {
            items[0] = (struct spec_value){ .kind = SPEC_TEXT, .plain = true, .text = text };
            set_option(&r, o, &items[0]);
        }
        ASSERT(!r.failed);
    }
}

/* ---- validation of a spec that was made otherwise ---- */

static int invalid(struct errmsg *m, int option, const char *what)
{
    return err_set(m, ERR_INVALID, "%s: %s", spec_options[option].key, what);
}

int spec_validate(const struct spec *s, struct errmsg *m)
{
    char what[400];
    int conflict, other;

    if (fleet_fault(s->fleet))
        return invalid(m, OPT_FLEET, fleet_fault(s->fleet));
    if (s->topic_count < 1 || s->topic_count > TOPICS_MAX)
        return invalid(m, OPT_TOPICS, "a fleet has 1 to 32 topics");
    for (int i = 0; i < s->topic_count; i++) {
        if (topic_fault(s->topics[i]))
            return invalid(m, OPT_TOPICS, topic_fault(s->topics[i]));
        for (int k = 0; k < i; k++)
            if (strcmp(s->topics[i], s->topics[k]) == 0)
                return invalid(m, OPT_TOPICS, "a topic stands there twice");
    }
    for (int c = 0; c < COLOR_COUNT; c++)
        if (group_fault(s->colors[c].group))
            return invalid(m, c == BLUE ? OPT_BLUE_GROUP : OPT_GREEN_GROUP, group_fault(s->colors[c].group));
    if (!stages_valid(&s->stages, s))
        return invalid(m, OPT_STAGES, "1 to 16 stages are allowed, they grow, and the last must be 100%");
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct spec_option *o = &spec_options[i];
        const char *at = (const char *)s + o->at;
        int64_t number = o->min;

        if (o->type == OPTION_URL && at[0] && url_fault(at))
            return invalid(m, i, url_fault(at));
        if (o->type == OPTION_DURATION)
            memcpy(&number, at, sizeof(number));
        if (o->type == OPTION_INT || o->type == OPTION_SHARE || o->type == OPTION_KEEP)
            number = *(const int *)at;
        if (spec_option_zero(o) && number == 0)
            continue;
        if (number < o->min || number > o->max)
            return invalid(m, i, "it is out of range");
    }
    conflict = find_conflict(s, true, what, sizeof(what), &other);
    return conflict >= 0 ? invalid(m, conflict, what) : ERR_OK;
}
