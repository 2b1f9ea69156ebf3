/*
 * test_spec - the fleet file: what is taken, what is refused and with which words, and that it survives every way
 * round.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core/throttle.h"
#include "wire/spec.h"

static const char least[] = "fleet: payments\ntopics: [orders]\n";

static const char full[] =
    "fleet: payments\n"
    "topics:\n"
    "  - orders\n"
    "  - \"refunds.v2\"\n"
    "strategy: separate-groups\n"
    "colors:\n"
    "  blue: {group: payments}\n"
    "  green: {group: 'payments: the next'}\n"
    "active: green\n"
    "offsets: {reset: latest}\n"
    "switch: {stages: [10%, 50%, 100%], observe: 30s, deadline: 2m30s, on_unreachable: fence, on_doubt: list}\n"
    "members:\n"
    "  session_timeout: 10s\n"
    "  processing_max: 1500ms # slow ones\n"
    "  follow_interval: 5s\n"
    "keep_standby: 1h\n"
    "history: 7\n";

static void read_yaml(struct spec *ret, const char *yaml)
{
    struct errmsg m = { 0 };
    int r = spec_from_yaml(ret, "f.yaml", yaml, strlen(yaml), &m);

    if (r < 0)
        print_error("%s\n", m.text);
    assert_int_equal(r, ERR_OK);
}

static void assert_refused(const char *yaml, const char *text)
{
    struct errmsg m = { 0 };
    struct spec spec;

    assert_int_equal(spec_from_yaml(&spec, "f.yaml", yaml, strlen(yaml), &m), ERR_INVALID);
    assert_string_equal(m.text, text);
}

static void assert_refused_with(const char *yaml, const char *part)
{
    struct errmsg m = { 0 };
    struct spec spec;

    assert_int_equal(spec_from_yaml(&spec, "f.yaml", yaml, strlen(yaml), &m), ERR_INVALID);
    if (!strstr(m.text, part))
        print_error("'%s' has no '%s'\n", m.text, part);
    assert_non_null(strstr(m.text, part));
}

static void test_least(void **state)
{
    struct spec s;

    (void)state;
    read_yaml(&s, least);
    assert_string_equal(s.fleet, "payments");
    assert_int_equal(s.topic_count, 1);
    assert_string_equal(s.topics[0], "orders");
    assert_string_equal(s.colors[BLUE].group, "payments-blue");
    assert_string_equal(s.colors[GREEN].group, "payments-green");
    assert_int_equal(s.strategy, STRATEGY_SEPARATE_GROUPS);
    assert_int_equal(s.first_active, BLUE);
    assert_int_equal(s.offset_reset, RESET_EARLIEST);
    assert_int_equal(s.stages.count, 1);
    assert_int_equal(s.stages.items[0].amount, 100);
    assert_int_equal(s.observe_ms, 10000);
    assert_int_equal(s.deadline_ms, 60000);
    assert_int_equal(s.on_unreachable, UNREACHABLE_REFUSE);
    assert_int_equal(s.on_doubt, DOUBT_WAIT);
    assert_int_equal(s.session_timeout_ms, 45000);
    assert_int_equal(s.processing_ms_max, 30000);
    assert_int_equal(s.follow_interval_ms, 10000);
    assert_int_equal(s.keep_standby_ms, 600000);
    assert_int_equal(s.history_count, 100);
    assert_int_equal(spec_validate(&s, NULL), ERR_OK);
}

static void test_full(void **state)
{
    struct spec s;

    (void)state;
    read_yaml(&s, full);
    assert_int_equal(s.topic_count, 2);
    assert_string_equal(s.topics[1], "refunds.v2");
    assert_string_equal(s.colors[BLUE].group, "payments");
    assert_string_equal(s.colors[GREEN].group, "payments: the next");
    assert_int_equal(s.first_active, GREEN);
    assert_int_equal(s.offset_reset, RESET_LATEST);
    assert_int_equal(s.stages.count, 3);
    assert_int_equal(s.stages.items[1].amount, 50);
    assert_int_equal(s.observe_ms, 30000);
    assert_int_equal(s.deadline_ms, 150000);
    assert_int_equal(s.on_unreachable, UNREACHABLE_FENCE);
    assert_int_equal(s.on_doubt, DOUBT_LIST);
    assert_int_equal(s.session_timeout_ms, 10000);
    assert_int_equal(s.processing_ms_max, 1500);
    assert_int_equal(s.follow_interval_ms, 5000);
    assert_int_equal(s.keep_standby_ms, 3600000);
    assert_int_equal(s.history_count, 7);
}

/* struct spec has no padding that matters here: both sides begin as zeroes. */
static void assert_same_after_json_and_yaml(const char *yaml)
{
    struct str text = STR_WITH_MAX(SPEC_BYTES_MAX);
    struct errmsg m = { 0 };
    struct spec a, b, c;
    json_t *json;

    read_yaml(&a, yaml);
    json = spec_to_json(&a);
    assert_non_null(json);
    assert_int_equal(spec_from_json(&b, json, &m), ERR_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(spec_to_yaml(&text, &a, &m), ERR_OK);
    read_yaml(&c, text.buf);
    assert_memory_equal(&a, &c, sizeof(a));
    json_decref(json);
    str_free(&text);
}

static void test_round_trip(void **state)
{
    (void)state;
    assert_same_after_json_and_yaml(least);
    assert_same_after_json_and_yaml(full);
    assert_same_after_json_and_yaml("fleet: \"123\"\ntopics: [\"null\", \"1.0\", \"true\", \"-\", a_b]\n");
    assert_same_after_json_and_yaml(
        "fleet: a\ntopics: [b]\ncolors: {blue: {group: \"a \\\"quoted\\\" \\\\ group \\u00e9\"}}\n");
}

static const char judged[] = "fleet: p\n"
                             "topics: [o]\n"
                             "switch: {observe: 10m}\n"
                             "judge:\n"
                             "  mode: auto\n"
                             "  metrics: [lag, metadata]\n"
                             "  alpha: 0.5%\n"
                             "  tolerance: 12.3456%\n"
                             "  no_progress: 2m\n"
                             "  limits: {error_rate: 5%, time_lag: 1m}\n"
                             "window: {rules: burrow}\n"
                             "prometheus:\n"
                             "  url: http://localhost:9090/prom\n"
                             "signals:\n"
                             "  - {name: cpu, query: 'avg(cpu{color=\"$color\"}) > 0', limit: 0.1}\n"
                             "  - name: pool_free\n"
                             "    query: min(free)\n"
                             "    worse: lower\n"
                             "    limit: -1.5e3\n";

static void test_judge(void **state)
{
    struct spec s;

    (void)state;
    read_yaml(&s, least);
    assert_int_equal(s.judge.mode, JUDGE_GUARD);
    assert_int_equal(s.judge.alpha_ppm, 50000);
    assert_int_equal(s.judge.metrics, 1 << METRIC_ERROR_RATE | 1 << METRIC_LATENCY | 1 << METRIC_LAG);
    assert_int_equal(s.judge.error_rate_limit_ppm, 0);
    assert_int_equal(s.judge.no_progress_ms, 0);
    assert_int_equal(spec_judge(&s).no_progress_ms, 60000);
    assert_int_equal(s.judge.signal_count, 0);
    assert_int_equal(s.judge.window, WINDOW_NONE);
    read_yaml(&s, judged);
    assert_int_equal(s.judge.mode, JUDGE_AUTO);
    assert_int_equal(s.judge.metrics, 1 << METRIC_LAG | 1 << METRIC_METADATA);
    assert_int_equal(s.judge.alpha_ppm, 5000);
    assert_int_equal(s.judge.tolerance_ppm, 123456);
    assert_int_equal(s.judge.error_rate_limit_ppm, 50000);
    assert_int_equal(s.judge.time_lag_limit_ms, 60000);
    assert_int_equal(s.judge.window, WINDOW_BURROW);
    assert_int_equal(s.judge.signal_count, 2);
    assert_string_equal(s.judge.signals[0].query, "avg(cpu{color=\"$color\"}) > 0");
    assert_true(s.judge.signals[0].limited && s.judge.signals[0].limit == 0.1);
    assert_int_equal(s.judge.signals[1].worse, SIGNAL_LOWER_IS_WORSE);
    assert_true(s.judge.signals[1].limit == -1500);
    assert_same_after_json_and_yaml(judged);
}

/* What contradicts itself is found when the file is read, with its place. */
static void test_judge_contradictions(void **state)
{
    static const struct {
        const char *lines, *words;
    } bad[] = {
        { "judge: {mode: auto}\n", "3:15: switch.observe: with judge.mode: auto it must be longer than 40s" },
        { "switch: {observe: 1h}\njudge: {mode: auto, metrics: []}\n",
          "4:30: judge.metrics: with judge.mode: auto one" },
        { "judge: {no_progress: 30s}\n",
          "3:22: judge.no_progress: it must be longer than members.processing_max (30s)" },
        { "judge: {interval: 1m, crash_window: 30s}\n", "3:37: judge.crash_window: it must not be shorter" },
        { "signals: [{name: a, query: 'x{c=\"$color\"}'}]\n", "3:10: prometheus.url: signals need it" },
        { "signals: [{name: a, query: up}]\n", "3:11: signals: 'a' can never say anything" },
        { "signals: [{name: a, quer: up}]\n", "3:21: signals: unknown key 'quer', did you mean 'query'?" },
        { "signals: [{query: $color}]\n", "3:11: signals: a signal's name is missing" },
        { "signals: [{name: a}]\n", "3:11: signals: 'a' has no query" },
        { "signals: [{name: a, name: b, query: $color}]\n", "3:21: signals: key 'name' stands there twice" },
        { "signals: [{name: A b, query: $color}]\n", "3:18: signals: name: 'A b': a signal's name is made of" },
        { "signals: [{name: a, query: $color, limit: .inf}]\n", "3:43: signals: limit: '.inf': a limit is a decimal" },
        { "signals: [{name: a, query: $color, limit: 0x10}]\n", "a limit is a decimal" },
        { "signals: [{name: a, query: $color, worse: up}]\n", "write higher or lower" },
        { "signals: [{name: a, query: $color}, {name: a, query: $group}]\n", "3:37: signals: 'a' stands there twice" },
        { "judge: {mode: off}\nwindow: {rules: burrow}\n",
          "4:17: window.rules: with judge.mode: off nobody looks at it" },
        { "judge: {mode: off, limits: {time_lag: 1m}}\n", "3:39: judge.limits.time_lag: with judge.mode: off nobody" },
        { "judge: {limits: {latency_p99: 1m}}\n",
          "3:31: judge.limits.latency_p99: it is longer than members.processing_max (30s)" },
        { "window: {rules: burow}\n", "3:17: window.rules: unknown value 'burow', did you mean 'burrow'?" },
        { "window: {rule: burrow}\n", "3:10: unknown key 'rule' below 'window', did you mean 'rules'?" },
        { "window: burrow\n", "3:9: window: keys are wanted below it, and here is a text" },
        { "rules: burrow\n", "3:1: unknown key 'rules', did you mean 'rules' below 'window'?" },
        { "signals: [cpu]\n", "3:11: signals: a signal is wanted" },
        { "judge: {metrics: [lagg]}\n", "3:19: judge.metrics: unknown value 'lagg', did you mean 'lag'?" },
        { "judge: {metrics: [lag, lag]}\n", "3:24: judge.metrics: 'lag' stands there twice" },
        { "judge: {limits: {error_rate: 0.05}}\n", "3:30: judge.limits.error_rate: \"0.05\" is not a share" },
        { "judge: {limits: {error_rate: 0%}}\n", "allowed are 0.0001% to 100%, or write none" },
        { "judge: {alpha: 0.12345%}\n", "is not a share" },
        { "judge: {alpha: 51%}\n", "out of range: allowed are 0.1% to 50%" },
        { "prometheus: {url: localhost}\n", "3:19: prometheus.url: 'localhost': it must begin with http" },
        { "judge: {on_undecided: rolback}\n", "did you mean 'rollback'?" },
        { "throttle_when: {signal: error_rate}\n",
          "3:25: throttle_when.until: it must be lower than throttle_when.above (0)" },
        { "throttle_when: {signal: error_rate, above: 0.1, until: 0.1}\n",
          "3:56: throttle_when.until: it must be lower" },
        { "throttle_when: {signal: error_rate, above: 5, until: 1}\n", "write 0.05 for 5 %" },
        { "throttle_when: {signal: query, above: 2, until: 1}\n",
          "3:25: throttle_when.query: with throttle_when.signal" },
        { "throttle_when: {signal: query, query: up, above: 2, until: 1}\n",
          "3:25: prometheus.url: throttle_when.query" },
        { "throttle_when: {signal: latency_99, above: 2, until: 1}\n", "did you mean 'latency_p99'?" },
        { "throttle_when: {above: 2s}\n", "3:24: throttle_when.above: '2s' is no decimal number" },
        { "throttle_when: {partitions: 100%}\n", "3:29: throttle_when.partitions: 100% is no throttle" },
        { "throttle_when: {partitions: 0}\n", "3:29: throttle_when.partitions: " },
        { "throttle_when: {partition: 4}\n", "did you mean 'partitions'?" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char yaml[300];

        snprintf(yaml, sizeof(yaml), "fleet: p\ntopics: [o]\n%s", bad[i].lines);
        assert_refused_with(yaml, bad[i].words);
    }
}

static void test_json_stays_as_yaml(void **state)
{
    struct spec s;

    (void)state;
    read_yaml(&s,
              "{\"fleet\": \"payments\", \"topics\": [\"orders\"], \"switch\": {\"observe\": \"0s\"}, \"history\": 5}");
    assert_int_equal(s.observe_ms, 0);
    assert_int_equal(s.history_count, 5);
}

static void test_messages(void **state)
{
    (void)state;
    assert_refused("fleet: payments\ntopcis: [orders]\n", "f.yaml:2:1: unknown key 'topcis', did you mean 'topics'?\n"
                                                          "    topcis: [orders]\n"
                                                          "    ^");
    assert_refused(
        "fleet: payments\ntopics: [orders]\nswitch:\n  deadline: 60\n",
        "f.yaml:4:13: switch.deadline: \"60\" is not a duration: write whole numbers with a unit of d, h, m, s or ms, "
        "largest first, as in 30s, 1m30s or 250ms\n"
        "      deadline: 60\n"
        "                ^");
    assert_refused("fleet: payments\ntopics: [orders]\nswitch:\n  observe: 1s\n  observe: 2s\n",
                   "f.yaml:5:3: key 'switch.observe' stands there twice, first in line 4\n"
                   "      observe: 2s\n"
                   "      ^");
    assert_refused("fleet: payments\n\ttopics: [orders]\n", "f.yaml:2:1: a tab; YAML is indented with blanks\n"
                                                            "    \ttopics: [orders]\n"
                                                            "    ^");
    assert_refused(
        "fleet: p\ntopics: [o]\nswitch: {on_unreachable: fence}\n",
        "f.yaml:3:26: switch.deadline: with on_unreachable: fence it must be longer than 2m, or it ends before a "
        "silent "
        "member can count as gone: session_timeout (45s) until the brokers drop it, then session_timeout and "
        "processing_max (30s) more\n"
        "    switch: {on_unreachable: fence}\n"
        "                             ^");
    /* Columns count letters, and the caret stands below the letter. */
    assert_refused("fleet: p\ntopics: [o]\ncolors: {blue: {group: \"\xc3\xa4\xc3\xb6\"}, gren: 1}\n",
                   "f.yaml:3:31: unknown key 'gren' below 'colors', did you mean 'green'?\n"
                   "    colors: {blue: {group: \"\xc3\xa4\xc3\xb6\"}, gren: 1}\n"
                   "                                  ^");
}

static void test_unknown_keys(void **state)
{
    (void)state;
    assert_refused_with("fleet: p\ntopics: [o]\ndeadline: 60s\n",
                        "3:1: unknown key 'deadline', did you mean 'deadline' below 'switch'?");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch.deadline: 60s\n", "did you mean 'deadline' below 'switch'?");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {history: 3}\n", "did you mean 'history' at the left margin?");
    assert_refused_with(
        "fleet: p\ntopics: [o]\nswitch: {xyzzy: 3}\n",
        "unknown key 'xyzzy' below 'switch'; allowed: stages, observe, deadline, on_unreachable, on_doubt");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {on_unreachable: fense}\n",
                        "unknown value 'fense', did you mean 'fence'?");
    assert_refused_with("fleet: p\ntopics: [o]\nactive: purple\n", "unknown value 'purple'; allowed: blue or green");
}

static void test_wrong_types(void **state)
{
    (void)state;
    assert_refused_with("fleet: [p]\ntopics: [o]\n",
                        "1:8: fleet: a name is wanted, as in 'payments', and here is a list");
    assert_refused_with("fleet: p\ntopics: o\n", "2:9: topics: a list is wanted");
    assert_refused_with("fleet: p\ntopics: [o, {a: b}]\n", "topics: a topic's name is wanted");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: 3\n",
                        "3:9: switch: keys are wanted below it, and here is a text");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {deadline: {a: b}}\n", "switch.deadline: a duration is wanted");
    assert_refused_with("fleet: p\ntopics: [o]\nhistory: '100'\n", "history: a whole number is wanted");
    assert_refused_with("fleet: p\ntopics: [o]\nhistory: 1e2\n", "\"1e2\" is not a whole number");
    assert_refused_with("fleet: p\ntopics: [o]\nhistory: 0\n", "out of range: allowed are 1 to 10000");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: 100%}\n", "switch.stages: a list is wanted");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: [100]}\n", "the last stage must be 100%, as in");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {observe: 60 s}\n", "\"60 s\" is not a duration");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {observe: 10}\n", "\"10\" is not a duration");
    assert_refused_with("fleet: p\ntopics: [o]\nmembers: {session_timeout: 5s}\n",
                        "\"5s\" is out of range: allowed are 6s to 1h");
    assert_refused_with("fleet: p\ntopics: [o]\nactive:\n", "active: a value is missing, as in 'blue'");
    assert_refused_with("[fleet, p]\n", "keys are wanted, as in 'fleet: payments', and here is a list");
    assert_refused_with("just words\n", "and here is a text");
    assert_refused_with("fleet: p\ntopics: [o]\n? [a]\n: b\n", "a key must be a word");
}

static void test_impossible(void **state)
{
    char many[2048] = "fleet: p\ntopics: [t0";

    (void)state;
    assert_refused_with("topics: [o]\n", "fleet is missing");
    assert_refused_with("fleet: p\n", "topics is missing");
    assert_refused_with("fleet: p\ntopics: []\n", "the list is empty");
    assert_refused_with("fleet: p\ntopics: [o, o]\n", "2:13: topics: 'o': this topic stands there twice");
    assert_refused_with("fleet: p\ntopics: [baton.control]\n", "Baton's own");
    assert_refused_with("fleet: p\ntopics: [a/b]\n", "Kafka allows letters");
    assert_refused_with("fleet: p\ntopics: ['..']\n", "Kafka allows no topic of that name");
    assert_refused_with("fleet: Payments\ntopics: [o]\n", "lower-case letters");
    assert_refused_with("fleet: order\ntopics: [o]\n", "choose another");
    assert_refused_with("fleet: p\ntopics: [o]\ncolors: {blue: {group: g}, green: {group: g}}\n",
                        "colors.green.group: both colors have group 'g'");
    assert_refused_with("fleet: p\ntopics: [o]\ncolors: {blue: {group: p-green}}\n",
                        "3:24: colors.green.group: both colors");
    assert_refused_with("fleet: p\ntopics: [o]\ncolors: {blue: {group: ''}}\n", "it is empty");
    assert_refused_with("fleet: p\ntopics: [o]\ncolors: {blue: {group: baton.controller}}\n", "Baton's controllers");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: [50%, 10%]}\n",
                        "10% does not follow 50%: stages must grow");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: [50%, 50%, 100%]}\n", "50% does not follow 50%");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: [50%, 60%]}\n", "the last stage must be 100%");
    assert_refused_with("fleet: p\ntopics: [o]\nswitch: {stages: []}\n", "the list is empty");
    for (int i = 1; i <= TOPICS_MAX; i++)
        sprintf(many + strlen(many), ", t%d", i);
    strcat(many, "]\n");
    assert_refused_with(many, "'t32': a fleet has at most 32 topics");
}

static void test_syntax(void **state)
{
    struct errmsg m = { 0 };
    struct spec spec;

    (void)state;
    assert_refused_with("", "f.yaml: the file is empty");
    assert_refused_with("# nothing\n", "f.yaml: the file is empty");
    assert_refused_with("---\n", "f.yaml: the file is empty");
    assert_refused_with("fleet: p\ntopics: [o]\n---\nfleet: q\n", "3:1: a second document");
    assert_refused_with("fleet: p\ntopics: [o\n", "not YAML: ");
    assert_refused_with("fleet: p topics: [o]\n", "f.yaml:1:");
    assert_refused_with("fleet: &a p\ntopics: [o]\n", "anchors and aliases are not used");
    assert_refused_with("fleet: p\ntopics: *a\n", "anchors and aliases are not used");
    assert_refused_with("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "1:5: anchors and aliases are not used");
    assert_refused_with("fleet: !!str p\ntopics: [o]\n", "tags are not used");
    assert_refused_with("fleet: p\ntopics: [[[[[[[[[[[[o]]]]]]]]]]]]\n", "nested too deep");
    assert_refused_with("fleet: p\x01\ntopics: [o]\n", "1:9: a control character");
    assert_refused_with("fleet: p\xff\ntopics: [o]\n", "not UTF-8");
    assert_int_equal(spec_from_yaml(&spec, "f.yaml", "fleet: p\0\n", 10, &m), ERR_INVALID);
}

static void test_large(void **state)
{
    char *text = malloc(SPEC_BYTES_MAX + 2);
    struct errmsg m = { 0 };
    struct spec spec;

    (void)state;
    assert_non_null(text);
    memset(text, '#', SPEC_BYTES_MAX + 2);
    assert_int_equal(spec_from_yaml(&spec, "f.yaml", text, SPEC_BYTES_MAX + 1, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "at most 262144 are allowed"));
    memset(text, '[', SPEC_BYTES_MAX);
    assert_int_equal(spec_from_yaml(&spec, "f.yaml", text, SPEC_BYTES_MAX, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "nested too deep"));
    memcpy(text, "topics: [", 9);
    for (int i = 9; i < SPEC_BYTES_MAX; i++)
        text[i] = i % 2 ? 'a' : ',';
    assert_int_equal(spec_from_yaml(&spec, "f.yaml", text, SPEC_BYTES_MAX, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "too many values"));
    free(text);
}

static void assert_json_refused(const char *text, const char *what)
{
    json_t *json = json_loads(text, 0, NULL);
    struct errmsg m = { 0 };
    struct spec spec;

    assert_non_null(json);
    assert_int_equal(spec_from_json(&spec, json, &m), ERR_INVALID);
    assert_string_equal(m.text, what);
    json_decref(json);
}

static void test_json_is_strict(void **state)
{
    (void)state;
    assert_json_refused("{\"fleet\":\"p\",\"topcis\":[\"o\"]}", "unknown key 'topcis', did you mean 'topics'?");
    assert_json_refused("{\"fleet\":7,\"topics\":[\"o\"]}",
                        "fleet: a name is wanted, as in 'payments', and here is a number");
    assert_json_refused("{\"fleet\":\"p\",\"topics\":[\"o\"],\"history\":\"7\"}",
                        "history: a whole number is wanted, as in '100', and here is a text");
    assert_json_refused(
        "{\"fleet\":\"p\",\"topics\":[\"o\"],\"switch\":{\"deadline\":9223372036854775807}}",
        "switch.deadline: \"9223372036854775807\" is not a duration: write whole numbers with a unit of d, h, m, s or "
        "ms, largest first, as in 30s, 1m30s or 250ms");
    assert_json_refused("{\"fleet\":\"p\",\"topics\":[[[[[[[[[\"o\"]]]]]]]]]}",
                        "it has more than 1024 values or is nested deeper than 6 levels");
}

/* Any cut and any wrong byte of a good file: an answer, never a crash. */
static void test_every_cut_and_byte(void **state)
{
    char text[sizeof(full)];
    struct spec spec;

    (void)state;
    for (size_t len = 0; len < sizeof(full); len++) {
        struct errmsg m = { 0 };

        spec_from_yaml(&spec, "f.yaml", full, len, &m);
    }
    for (size_t i = 0; i < sizeof(full) - 1; i++) {
        static const char bytes[] = "\t\n\"'[]{}:,&*!|>%@`#-?\x80\xff\0 z0";

        for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
            struct errmsg m = { 0 };

            memcpy(text, full, sizeof(full));
            text[i] = bytes[b];
            if (spec_from_yaml(&spec, "f.yaml", text, sizeof(full) - 1, &m) == ERR_OK)
                assert_int_equal(spec_validate(&spec, &m), ERR_OK);
            else
                assert_string_not_equal(m.text, "");
        }
    }
}

/* The words of the table are those of the core, number by number. */
static void test_choices_agree_with_the_core(void **state)
{
    /* Nobody else names these. */
    static const char *const judge_choices[][2] = {
        { "judge.mode", "guard|auto|off" },
        { "judge.promote", "at-end|early" },
        { "judge.on_worse", "rollback|hold" },
        { "judge.on_worse_full", "rollback|hold" },
        { "judge.on_undecided", "hold|promote|rollback" },
        { "judge.on_unknown", "hold|ignore" },
        { "window.rules", "none|corrected|burrow" },
    };
    struct str words = STR_WITH_MAX(200);

    (void)state;
    assert_true(JUDGE_GUARD == 0 && JUDGE_AUTO == 1 && JUDGE_OFF == 2 && PROMOTE_AT_END == 0 && PROMOTE_EARLY == 1);
    assert_true(WORSE_ROLLBACK == 0 && WORSE_HOLD == 1 && UNKNOWN_HOLD == 0 && UNKNOWN_IGNORE == 1);
    assert_true(UNDECIDED_HOLD == 0 && UNDECIDED_PROMOTE == 1 && UNDECIDED_ROLLBACK == 2);
    assert_true(WINDOW_NONE == 0 && WINDOW_CORRECTED == 1 && WINDOW_BURROW == 2);
    assert_true(METRIC_ERROR_RATE == 0 && METRIC_LATENCY == 1 && METRIC_LAG == 2 && METRIC_METADATA == 3);
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];

        str_clear(&words);
        if (strcmp(o->key, "strategy") == 0)
            for (int v = 0; v < STRATEGY_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", strategy_name((enum strategy)v));
        else if (strcmp(o->key, "active") == 0)
            for (int v = 0; v < COLOR_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", color_name((enum color)v));
        else if (strcmp(o->key, "offsets.reset") == 0)
            for (int v = 0; v < OFFSET_RESET_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", offset_reset_name((enum offset_reset)v));
        else if (strcmp(o->key, "switch.on_unreachable") == 0)
            for (int v = 0; v < ON_UNREACHABLE_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", on_unreachable_name((enum on_unreachable)v));
        else if (strcmp(o->key, "switch.on_doubt") == 0)
            for (int v = 0; v < ON_DOUBT_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", on_doubt_name((enum on_doubt)v));
        else if (strncmp(o->key, "judge.", 6) == 0 || strncmp(o->key, "window.", 7) == 0)
            for (size_t k = 0; k < ARRAY_COUNT(judge_choices); k++)
                str_add(&words, strcmp(o->key, judge_choices[k][0]) == 0 ? judge_choices[k][1] : "");
        else if (strcmp(o->key, "throttle_when.signal") == 0)
            for (int v = 0; v < THROTTLE_SIGNAL_COUNT; v++)
                str_addf(&words, "%s%s", v ? "|" : "", throttle_signal_name((enum throttle_signal)v));
        else
            assert_int_not_equal(o->type, OPTION_CHOICE);
        if (o->type == OPTION_CHOICE)
            assert_string_equal(o->choices, words.buf);
    }
    str_free(&words);
}

static void test_validate_names_the_option(void **state)
{
    struct errmsg m = { 0 };
    struct spec s;

    (void)state;
    read_yaml(&s, least);
    s.observe_ms = -1;
    assert_int_equal(spec_validate(&s, &m), ERR_INVALID);
    assert_string_equal(m.text, "switch.observe: it is out of range");
    read_yaml(&s, least);
    s.stages.items[0].amount = 99;
    assert_int_equal(spec_validate(&s, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "switch.stages: "));
    read_yaml(&s, least);
    s.topic_count = 0;
    assert_int_equal(spec_validate(&s, &m), ERR_INVALID);
    assert_non_null(strstr(m.text, "topics: "));
}

/* This file's own path leads to the source tree. */
static char *read_source(const char *path, size_t *ret_len)
{
    char name[1024];
    const char *slash = strrchr(__FILE__, '/');
    char *text = malloc(SPEC_BYTES_MAX);
    FILE *file;

    assert_non_null(text);
    snprintf(name, sizeof(name), "%.*s/../../%s", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".", path);
    file = fopen(name, "rb");
    if (!file)
        print_error("cannot open %s\n", name);
    assert_non_null(file);
    *ret_len = fread(text, 1, SPEC_BYTES_MAX - 1, file);
    text[*ret_len] = 0;
    fclose(file);
    return text;
}

static void test_document_is_current(void **state)
{
    struct str document = STR_WITH_MAX(SPEC_BYTES_MAX);
    size_t len;
    char *text = read_source("docs/fleet-file.md", &len);

    (void)state;
    spec_document(&document);
    assert_int_equal(str_error(&document), 0);
    assert_string_equal(document.buf, text); /* red? run fleet-file-doc > docs/fleet-file.md */
    str_free(&document);
    free(text);
}

static void test_examples_are_good(void **state)
{
    static const char *const files[] = { "examples/payments.yaml", "examples/canary.yaml", "examples/adopt.yaml" };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct errmsg m = { 0 };
        struct spec spec;
        size_t len;
        char *text = read_source(files[i], &len);

        if (spec_from_yaml(&spec, files[i], text, len, &m) < 0)
            print_error("%s\n", m.text);
        assert_string_equal(m.text, "");
        free(text);
    }
}

static void test_throttle_when(void **state)
{
    static const char yaml[] = "fleet: p\ntopics: [o]\nprometheus: {url: 'http://p:9090'}\n"
                               "throttle_when:\n"
                               "  signal: query\n"
                               "  query: 'max(connections{db=\"$fleet\"})'\n"
                               "  above: 250\n"
                               "  until: -0.1\n"
                               "  for: 0s\n"
                               "  partitions: 25%\n";
    struct spec s;

    (void)state;
    read_yaml(&s, least);
    assert_true(s.throttle.signal == THROTTLE_NONE && s.throttle.keep.percent && s.throttle.keep.amount == 50);
    read_yaml(&s, yaml);
    assert_int_equal(s.throttle.signal, THROTTLE_QUERY);
    assert_string_equal(s.throttle.query, "max(connections{db=\"$fleet\"})");
    assert_true(s.throttle.above == 250 && s.throttle.until == -0.1);
    assert_true(s.throttle.wait_ms == 0 && s.throttle.rest_ms == 60000);
    assert_true(s.throttle.keep.percent && s.throttle.keep.amount == 25);
    assert_same_after_json_and_yaml(yaml);
    assert_same_after_json_and_yaml(
        "fleet: p\ntopics: [o]\nthrottle_when: {signal: latency_p99, above: 0.5, until: 0.2, "
        "partitions: 4}\n");
}

/* Each option's own example can be written into a file. */
static void test_table_examples(void **state)
{
    (void)state;
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];
        struct str text = STR_WITH_MAX(1000);
        struct errmsg m = { 0 };
        struct spec spec;
        int depth = 0;

        str_add(&text, strcmp(o->key, "fleet") ? "fleet: f\n" : "");
        str_add(&text, strcmp(o->key, "topics") ? "topics: [t]\n" : "");
        str_add(&text, strcmp(o->key, "signals") ? "" : "prometheus: {url: 'http://p:9090'}\n");
        for (const char *p = o->key; p; depth++) {
            const char *dot = strchr(p, '.');

            str_addf(&text, "%*s%.*s:%s", 2 * depth, "", (int)strcspn(p, "."), p, dot ? "\n" : " ");
            p = dot ? dot + 1 : NULL;
        }
        str_addf(&text, "%s\n", o->example);
        if (spec_from_yaml(&spec, "f.yaml", text.buf, text.len, &m) < 0)
            print_error("%s\n", m.text);
        assert_string_equal(m.text, "");
        str_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_judge_contradictions),
        cmocka_unit_test(test_throttle_when),
        cmocka_unit_test(test_json_stays_as_yaml),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_json_is_strict),
        cmocka_unit_test(test_every_cut_and_byte),
        cmocka_unit_test(test_choices_agree_with_the_core),
        cmocka_unit_test(test_validate_names_the_option),
        cmocka_unit_test(test_document_is_current),
        cmocka_unit_test(test_examples_are_good),
        cmocka_unit_test(test_table_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
