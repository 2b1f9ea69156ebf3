/*
 * test_cli - the command line, the pages, and what is made from the tables.
 *
 * Pages are rendered from answers as the API gives them, at 80 columns and without a bound; a page whose lines do not
 * fit is as wrong as one that says the wrong thing.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "cli/audit.h"
#include "cli/cli.h"
#include "cli/demo_view.h"
#include "cli/pick.h"
#include "cli/render.h"

#define PAGE_MAX (1024 * 1024)
#define NOW 1795369200000

/* ---- the command line ---- */

static char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static char *some_env(const char *name)
{
    static char server[] = "http://env:1";

    return strcmp(name, "BATON_SERVER") == 0 ? server : NULL;
}

/* Parses words parted by blanks; "_" stands for a blank within a word. */
static int parse(struct args *ret, char *line, struct errmsg *m)
{
    static char baton[] = "baton";
    char *argv[32] = { baton };
    int argc = 1;

    *m = (struct errmsg){ 0 };
    for (char *at = strtok(line, " "); at; at = strtok(NULL, " ")) {
        for (char *c = at; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        argv[argc++] = at;
    }
    return args_parse(ret, argc, argv, no_env, m);
}

static void assert_usage(const char *line, const char *sentence)
{
    char copy[256];
    struct args a;
    struct errmsg m;

    snprintf(copy, sizeof(copy), "%s", line);
    assert_int_equal(parse(&a, copy, &m) < 0 ? 2 : 0, 2);
    assert_string_equal(m.text, sentence);
}

static void test_options_stand_anywhere(void **state)
{
    char line[] = "-o json switch --to=green payments --stages 10%,100% -qv --reason a_b -X a=b --property=c=d";
    struct args a;
    struct errmsg m;

    (void)state;
    assert_int_equal(parse(&a, line, &m), 0);
    assert_string_equal(a.command->name, "switch");
    assert_string_equal(a.words[0], "payments");
    assert_int_equal(a.word_count, 1);
    assert_string_equal(a.value[OPT_OUTPUT], "json");
    assert_string_equal(a.value[OPT_TO], "green");
    assert_string_equal(a.value[OPT_STAGES], "10%,100%");
    assert_string_equal(a.value[OPT_REASON], "a b");
    assert_int_equal(a.times[OPT_QUIET], 1);
    assert_int_equal(a.times[OPT_VERBOSE], 1);
    assert_int_equal(a.many_count, 2);
    assert_string_equal(a.many[0], "a=b");
    assert_string_equal(a.many[1], "c=d");
}

static void test_two_word_commands_and_dashes(void **state)
{
    char apply[] = "fleet apply -- -strange.yaml", input[] = "fleet apply -", group[] = "fleet";
    struct args a;
    struct errmsg m;

    (void)state;
    assert_int_equal(parse(&a, apply, &m), 0);
    assert_string_equal(a.command->name, "fleet apply");
    assert_string_equal(a.words[0], "-strange.yaml");
    assert_int_equal(parse(&a, input, &m), 0);
    assert_string_equal(a.words[0], "-");
    assert_int_equal(parse(&a, group, &m), 0);
    assert_null(a.command);
    assert_string_equal(a.group, "fleet");
}

static void test_another_program_has_the_words_behind_dashes(void **state)
{
    char line[] = "run payments --color blue -- python3 -u x.py --help -- -q",
         url[] = "--to http://h/ run p --color blue", color[] = "--to green switch p";
    struct args a;
    struct errmsg m;

    (void)state;
    assert_int_equal(parse(&a, line, &m), ERR_OK);
    assert_int_equal(a.word_count, 1);
    assert_int_equal(a.times[OPT_HELP] + a.times[OPT_QUIET], 0);
    assert_string_equal(a.rest[0], "python3");
    assert_string_equal(a.rest[3], "--help");
    assert_string_equal(a.rest[5], "-q");
    assert_null(a.rest[6]);
    assert_usage("run payments --color blue python3",
                 "'run' takes FLEET [OPTIONS] -- COMMAND: what is 'python3'? The command to run stands behind --");
    assert_int_equal(parse(&a, url, &m), ERR_OK); /* --to means what the command means, wherever it stands */
    assert_string_equal(a.value[OPT_TO_URL], "http://h/");
    assert_int_equal(parse(&a, color, &m), ERR_OK);
    assert_string_equal(a.value[OPT_TO], "green");
    assert_usage("run payments --to http://h/ --to http://i/", "--to is given twice: 'http://h/' and 'http://i/'");
}

static void test_environment_stands_behind_what_was_typed(void **state)
{
    char baton[] = "baton", status[] = "status", server[] = "--server=http://typed:1";
    char *argv[] = { baton, status, server };
    struct args a;
    struct errmsg m = { 0 };

    (void)state;
    assert_int_equal(args_parse(&a, 2, argv, some_env, &m), 0);
    assert_string_equal(a.value[OPT_SERVER], "http://env:1");
    assert_int_equal(a.times[OPT_SERVER], 0);
    assert_int_equal(args_parse(&a, 3, argv, some_env, &m), 0);
    assert_string_equal(a.value[OPT_SERVER], "http://typed:1");
}

static void test_wrong_lines_get_the_nearest_right_one(void **state)
{
    (void)state;
    assert_usage("swich", "there is no command 'swich', did you mean 'switch'?");
    assert_usage("fleet aply x", "there is no command 'fleet aply', did you mean 'fleet apply'?");
    assert_usage("xyzzy", "there is no command 'xyzzy'");
    assert_usage("switch --reson x", "there is no option --reson, did you mean --reason?");
    assert_usage("history --reason x", "'history' takes no option --reason");
    assert_usage("--reason x history", "'history' takes no option --reason");
    assert_usage("switch --to", "--to needs a value: --to COLOR");
    assert_usage("switch --to gren", "--to is one of blue|green, not 'gren', did you mean 'green'?");
    assert_usage("switch --dry-run=yes", "--dry-run takes no value, it was given 'yes'");
    assert_usage("switch --to blue --to green", "--to is given twice: 'blue' and 'green'");
    assert_usage("switch a b", "'switch' takes [FLEET]: what is 'b'?");
    assert_usage("fleet apply", "'fleet apply' needs FILE");
    assert_usage("status -o yaml", "--output is one of table|wide|json, not 'yaml'");
    assert_usage("history -o wide", "--output is one of table|json, not 'wide'");
    assert_usage("completion tcsh", "'completion' takes one of bash|zsh|fish, not 'tcsh'");
    assert_usage("status -z", "there is no option -z");
    assert_usage("demo-consume", "there is no command 'demo-consume'");
}

/* Examples are part of the help; one that the parser refuses is a lie. */
static void test_tables_are_sound(void **state)
{
    (void)state;
    for (int i = 0; i < OPT_COUNT; i++) {
        assert_int_equal(options[i].id, i);
        assert_non_null(options[i].name);
        assert_true(strlen(options[i].help) > 5);
        for (int k = 0; k < i; k++) {
            /* one name may be two options (--to), but never of one command */
            for (int c = 0; c < command_count && !strcmp(options[i].name, options[k].name); c++)
                assert_false(command_takes(&commands[c], i) && command_takes(&commands[c], k));
            assert_true(!options[i].letter || options[i].letter != options[k].letter);
        }
    }
    for (int i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        assert_true(c->arg_max <= ARGS_MAX && c->arg_min <= c->arg_max);
        assert_true(c->examples[0][0]);
        for (size_t k = 0; k < ARRAY_COUNT(c->examples) && c->examples[k][0]; k++) {
            char line[200];
            struct args a;
            struct errmsg m;

            assert_int_equal(strncmp(c->examples[k][0], "baton ", 6) && strncmp(c->examples[k][0], "source <(", 9), 0);
            if (strncmp(c->examples[k][0], "baton ", 6))
                continue;
            snprintf(line, sizeof(line), "%.*s", (int)strcspn(c->examples[k][0] + 6, ">|"), c->examples[k][0] + 6);
            for (char *q = strchr(line, '"'), in = 0; q && *q; q++) { /* blanks between quotes stay in one word */
                in ^= *q == '"';
                if (in && *q == ' ')
                    *q = '_';
            }
            if (parse(&a, line, &m) < 0)
                fail_msg("%s: %s", c->examples[k][0], m.text);
            assert_ptr_equal(a.command, c);
        }
    }
}

/* ---- dressing ---- */

static const struct look plain = { 0 };
static const struct look narrow = { .terminal = true, .color = true, .unicode = true, .width = 80, .height = 24 };

static void test_text_is_measured_cut_and_cleaned(void **state)
{
    struct str s = STR_WITH_MAX(PAGE_MAX);
    struct look ten = narrow;

    (void)state;
    ten.width = 10;
    assert_int_equal(look_columns("abc"), 3);
    assert_int_equal(look_columns("\033[31mabc\033[0m"), 3);
    assert_int_equal(look_columns("배포"), 4);
    look_fit(&s, &ten, "0123456789\n0123456789x\n배포배포배포\n");
    assert_string_equal(s.buf, "0123456789\n012345678…\033[0m\n배포배포…\033[0m\n");
    str_clear(&s);
    look_fit(&s, &plain, "0123456789x");
    assert_string_equal(s.buf, "0123456789x");
    str_clear(&s);
    look_clean(&s, "a\033[2Jb\x9b"
                   "c\nd\xe2\x80\xae"
                   "e\xc2\x9b 배\xff");
    assert_string_equal(s.buf, "a?[2Jb?c?d?e? 배?");
    str_clear(&s);
    look_wrap(&s, "one two three four", 12, 4);
    assert_string_equal(s.buf, "one two\n    three\n    four");
    str_free(&s);
}

static void test_ranges_and_figures(void **state)
{
    const int32_t some[] = { 0, 1, 2, 3, 5, 7, 8, 63 };
    struct str s = STR_WITH_MAX(PAGE_MAX);
    char text[32];

    (void)state;
    render_ranges(&s, some, ARRAY_COUNT(some));
    assert_string_equal(s.buf, "0-3,5,7,8,63");
    assert_string_equal(render_number(text, 0), "0");
    assert_string_equal(render_number(text, 999), "999");
    assert_string_equal(render_number(text, 1234567), "1,234,567");
    assert_string_equal(render_number(text, -1000), "-1,000");
    assert_string_equal(render_us(text, -1), "-");
    assert_string_equal(render_us(text, 3420), "3.4 ms");
    assert_string_equal(render_us(text, 1200000), "1.2 s");
    str_free(&s);
}

static void test_pick(void **state)
{
    json_t *json = json_loads("{\"a\":{\"b\":7,\"t\":\"2026-11-22T17:40:03.120Z\",\"n\":1795369203120}}", 0, NULL);

    (void)state;
    assert_int_equal(pick_int(json, "a.b", 0), 7);
    assert_int_equal(pick_int(json, "a.c.d", 9), 9);
    assert_string_equal(pick_text(json, "a.b", "-"), "-");
    assert_true(pick_time(json, "a.t") == pick_time(json, "a.n"));
    assert_true(pick_time(json, "a.x") == 0);
    json_decref(json);
}

/* ---- pages ---- */

typedef void renderer(struct str *ret, const struct look *look, const json_t *answer);

/* Renders without a bound and at 80 columns, where every line must fit; returns the plain one, the caller's to free. */
static char *render_both(renderer *render, const char *text)
{
    json_t *answer = json_loads(text, 0, NULL);
    struct str wide = STR_WITH_MAX(PAGE_MAX), page = STR_WITH_MAX(PAGE_MAX);

    assert_non_null(answer);
    render(&wide, &plain, answer);
    render(&page, &narrow, answer);
    for (char *line = page.buf; *line;) {
        size_t len = strcspn(line, "\n");
        char end = line[len];

        line[len] = 0;
        if (look_columns(line) > 80)
            fail_msg("wider than 80 columns: '%s'", line);
        line[len] = end;
        line += len + (end != 0);
    }
    assert_null(strchr(wide.buf, '\033'));
    if (getenv("BATON_SHOW_PAGES"))
        fputs(page.buf, stderr);
    str_free(&page);
    json_decref(answer);
    return str_take(&wide);
}

static void assert_holds(const char *page, const char *part)
{
    if (!strstr(page, part))
        fail_msg("the page\n%s\nlacks '%s'", page, part);
}

#define MEMBER(name, version, active)                                                                               \
    "{\"incarnation\":\"0123456789abcdef\",\"client_id\":\"" name "\",\"host\":\"10.0.0.7\",\"version\":\"" version \
    "\",\"ready\":true,\"partitions\":2,\"active\":" active ",\"in_flight\":3,\"heard_ms_ago\":412}"
#define BATON(partition, holder, state)                                                                              \
    "{\"topic\":\"orders\",\"partition\":" partition ",\"state\":\"" state "\",\"holder\":\"" holder                 \
    "\",\"from\":120034,\"epoch\":17,\"order\":18,\"doubt\":null,\"owner\":{\"blue\":\"payments-blue-1\",\"green\":" \
    "null}}"
#define STATUS(phase, operation)                                                                                      \
    "{\"name\":\"payments\",\"phase\":\"" phase "\",\"active\":\"blue\",\"term\":1042,\"epoch\":17,"                  \
    "\"leader\":{\"host\":\"control-1\",\"address\":\"http://10.0.0.5:8080\"},\"spec\":{},\"colors\":{"               \
    "\"blue\":{\"group\":\"payments-blue\",\"holds\":4,\"members\":[" MEMBER(                                         \
        "payments-blue-1", "4.1.0",                                                                                   \
        "2") "," MEMBER("payments-blue-2", "4.1.0",                                                                   \
                        "2") "]},"                                                                                    \
                             "\"green\":{\"group\":\"payments-green\",\"holds\":0,\"members\":[" MEMBER(              \
                                 "payments-green-1", "4.2.0",                                                         \
                                 "0") "]}},"                                                                          \
                                      "\"partitions\":[" BATON("0", "blue", "held") "," BATON(                        \
                                          "1", "blue",                                                                \
                                          "held") "," BATON("2", "green",                                             \
                                                            "granted") "," BATON("3", "blue",                         \
                                                                                 "held") "],\"operation\":" operation \
                                                                                         "}"
#define OPERATION(state, extra)                                                                                        \
    "{\"number\":6,\"kind\":\"switch\",\"state\":\"" state "\",\"from\":\"blue\",\"to\":\"green\","                    \
    "\"stages\":[\"10%\",\"50%\",\"100%\"],\"stage\":1,\"cause\":\"none\",\"why\":\"\",\"reason\":\"deploy 4.2.0\","   \
    "\"by\":\"jane@desk\",\"created\":\"2026-11-22T17:39:50.000Z\",\"ended\":null,\"deadline\":\"2026-11-22T17:40:21." \
    "000Z\","                                                                                                          \
    "\"progress\":{\"total\":6,\"ordered\":3,\"granted\":2,\"taken\":1,\"returned\":0}," extra                         \
    "\"waiting\":[{\"who\":\"payments-blue-1 (10.0.0.7)\",\"what\":\"has 12 records of orders/3 in flight\"},"         \
    "{\"who\":\"the brokers\",\"what\":\"committed offset of orders/1\"}]}"

static void render_status_now(struct str *ret, const struct look *look, const json_t *answer)
{
    render_status(ret, look, answer, false, NOW);
}

static void render_status_wide(struct str *ret, const struct look *look, const json_t *answer)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    render_status(&page, look, answer, true, NOW);
    look_fit(ret, look, page.buf);
    str_free(&page);
}

static void test_status_says_what_is_going_on(void **state)
{
    char *page = render_both(render_status_now, STATUS("steady", "null"));

    (void)state;
    assert_holds(page, "payments: blue works on all 4 partitions (2 members); green stands by (1).\n");
    assert_holds(page, "led by http://10.0.0.5:8080");
    assert_holds(page, "payments-green-1");
    assert_holds(page, "orders  blue    held         3  0,1,3");
    assert_holds(page, "orders  green   granted      1  2");
    free(page);
    page = render_both(render_status_wide, STATUS("steady", "null"));
    assert_holds(page, "orders/2");
    assert_holds(page, "120,034");
    free(page);
}

static void test_status_of_a_switch(void **state)
{
    char *page = render_both(render_status_now, STATUS("passing", OPERATION("passing", "")));

    (void)state;
    assert_holds(page, "payments: switch 6 passes blue -> green, stage 2 of 3 (50%): 1 of 6 done.\n");
    assert_holds(page, "ordered 3  granted 2  taken 1  of 6");
    assert_holds(page, "deploy 4.2.0");
    free(page);
    page = render_both(render_status_now, STATUS("observing", OPERATION("observing", "")));
    assert_holds(page, "switch 6 has passed 50% to green and looks on for another 21 s.");
    free(page);
    page = render_both(render_status_now, STATUS("paused", "null"));
    assert_holds(page, "payments is paused: nobody works until 'baton resume'.");
    free(page);
    page = render_both(render_status_now, STATUS("needs-operator", OPERATION("needs-operator", "")));
    assert_holds(page, "payments: needs an operator: the last operation could not end by itself.\n");
    free(page);
}

static void render_progress_now(struct str *ret, const struct look *look, const json_t *op)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    render_progress(&page, look, "payments", op, NOW);
    look_fit(ret, look, page.buf);
    str_free(&page);
}

static void render_line(struct str *ret, const struct look *look, const json_t *op)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);

    render_progress_line(&page, "payments", op);
    look_fit(ret, look, page.buf);
    str_free(&page);
}

static void render_end_of(struct str *ret, const struct look *look, const json_t *op)
{
    render_end(ret, look, "payments", op);
}

static void test_progress(void **state)
{
    char *page = render_both(render_progress_now, OPERATION("passing", ""));

    (void)state;
    assert_holds(page, "payments  switch 6  blue -> green  deploy 4.2.0\n");
    assert_holds(page, "  stage 1   10%  ##############################  passed\n");
    assert_holds(page, "  stage 2   50%  #####.........................  1/6\n");
    assert_holds(page, "  waits for payments-blue-1 (10.0.0.7): has 12 records of orders/3 in flight\n");
    assert_holds(page, "  10 s, deadline in 21 s\n");
    free(page);
    page = render_both(render_line, OPERATION("passing", ""));
    assert_string_equal(page, "payments: switch 6 passing, stage 2/3 (50%), ordered 3 granted 2 taken 1/6, waits for "
                              "payments-blue-1 (10.0.0.7), the brokers");
    free(page);
    page = render_both(render_end_of,
                       "{\"number\":6,\"kind\":\"switch\",\"state\":\"rolled-back\",\"from\":\"blue\",\"to\":\"green\","
                       "\"cause\":\"deadline\",\"why\":\"stage 2 did not pass within 60s\","
                       "\"created\":1000,\"ended\":61000}");
    assert_string_equal(page, "payments: switch 6 was rolled back, blue works as before (1 min 00 s).\n"
                              "  Cause: stage 2 did not pass within 60s\n");
    free(page);
}

#define RECEIPT                                                                                                        \
    "{\"fleet\":\"payments\",\"number\":6,\"kind\":\"switch\",\"state\":\"complete\",\"from\":\"blue\",\"to\":"        \
    "\"green\","                                                                                                       \
    "\"version_from\":\"4.1.0\",\"version_to\":\"4.2.0\",\"replay\":false,\"of_number\":null,\"stages\":[\"50%\","     \
    "\"100%\"],"                                                                                                       \
    "\"by\":\"jane@desk\",\"reason\":\"deploy\",\"created\":\"2026-11-22T17:40:00.000Z\",\"ended\":\"2026-11-22T17:"   \
    "40:01.200Z\","                                                                                                    \
    "\"cause\":\"none\",\"why\":\"\",\"totals\":{\"ordered\":2,\"passed\":2,\"returned\":0,\"lost\":0,\"repeated\":5," \
    "\"standstill_ms\":{\"known\":2,\"p50\":3.42,\"p99\":8.1,\"max\":8.1}},\"partitions\":["                           \
    "{\"topic\":\"orders\",\"partition\":0,\"forth\":{\"order\":17,\"grant\":18,\"taken\":true,\"released\":120034,"   \
    "\"committed\":120034,\"from\":120034,\"first\":120034,\"standstill_ms\":3.42,\"release_to_take_heard_ms\":5.0,"   \
    "\"possibly_repeated\":{\"from\":120034,\"to\":120039,\"by\":[\"blue\",\"green\"],\"why\":\"a member was "         \
    "lost\"},\"replayed\":null},\"back\":null},"                                                                       \
    "{\"topic\":\"orders\",\"partition\":1,\"forth\":{\"order\":17,\"grant\":18,\"taken\":true,\"released\":7,"        \
    "\"committed\":7,\"from\":7,\"first\":null,\"standstill_ms\":8.1,\"release_to_take_heard_ms\":null,"               \
    "\"possibly_repeated\":null,\"replayed\":null},\"back\":null}]}"

static void test_receipt(void **state)
{
    char *page = render_both(render_receipt, RECEIPT);

    (void)state;
    assert_holds(page, "Receipt: payments, switch 6, complete\n");
    assert_holds(page, "blue 4.1.0 -> green 4.2.0\n");
    assert_holds(page, "2026-11-22T17:40:00Z, took 1.2 s\n");
    assert_holds(page, "p50 3.4 ms, p99 8.1 ms, max 8.1 ms\n");
    assert_holds(page, "        0   120,034    120,034  120,034  120,034      3.4 ms  5.0 ms       5\n");
    assert_holds(page, "        1         7          7        7        -      8.1 ms       -       0\n");
    assert_holds(page,
                 "TWICE?: by blue and then by green: a member was lost. First to last record of each partition: 0 "
                 "120,034 to 120,038\n");
    assert_null(strstr(page, "way back"));
    free(page);
    page = render_both(render_receipt_short, RECEIPT);
    assert_string_equal(page,
                        "  2 partitions passed, lost 0, repeated 5\n  standstill p50 3.4 ms, p99 8.1 ms, max 8.1 ms\n");
    free(page);
}

static void render_refused(struct str *ret, const struct look *look, const json_t *answer)
{
    render_error(ret, look, 422, answer);
}

static void test_refusals_say_what_why_and_mend(void **state)
{
    char *page =
        render_both(render_refused,
                    "{\"error\":{\"code\":\"refused\",\"message\":\"the preflight refuses the switch\",\"mend\":\"\","
                    "\"findings\":[{\"severity\":\"refusal\",\"code\":\"uncovered-partition\","
                    "\"what\":\"partition orders/7 is assigned to no member of payments-green\","
                    "\"why\":\"records of it would wait until a member joins\","
                    "\"mend\":\"start another green member, or wait for its rebalance to end\"}]}}");

    (void)state;
    assert_string_equal(page, "baton: the preflight refuses the switch\n"
                              "  refusal uncovered-partition\n"
                              "    what partition orders/7 is assigned to no member of payments-green\n"
                              "    why  records of it would wait until a member joins\n"
                              "    mend start another green member, or wait for its rebalance to end\n");
    free(page);
    page = render_both(render_refused, "{}");
    assert_holds(page, "status 422");
    free(page);
}

static void render_history_of(struct str *ret, const struct look *look, const json_t *answer)
{
    render_history(ret, look, answer, 0, NOW);
}

static void test_lists(void **state)
{
    char *page = render_both(render_history_of, "{\"switches\":[" OPERATION("passing", "") "]}");

    (void)state;
    assert_holds(page, "     6  switch  green  passing  2026-11-22T17:39:50Z  10 s  jane@desk  deploy 4.2.0\n");
    free(page);
    page = render_both(render_fleets, "{\"fleets\":[{\"name\":\"payments\",\"phase\":\"steady\",\"active\":\"blue\","
                                      "\"partitions\":12,\"members\":{\"blue\":2,\"green\":2},\"switch\":6}]}");
    assert_holds(page, "payments  steady  blue            12     2      2       6\n");
    free(page);
    page = render_both(render_fleets, "{\"fleets\":[]}");
    assert_holds(page, "There is no fleet yet");
    free(page);
}

/* ---- the demo's judge ---- */

/* Two partitions of ten records each; consumers 0 and 1 are blue, 1 is killed, 2 is green. */
static struct audit *audit_of_twenty(void)
{
    struct audit *a = audit_new(2);

    assert_non_null(a);
    assert_true(audit_consumer(a, 0, "blue-1", false, false));
    assert_true(audit_consumer(a, 1, "blue-2", false, true));
    assert_true(audit_consumer(a, 2, "green-1", true, false));
    for (int i = 0; i < 20; i++)
        assert_true(audit_produced(a, i / 10, i % 10, 100 + i));
    return a;
}

static void do_all(struct audit *a, int but)
{
    for (int i = 0; i < 20; i++)
        if (i != but)
            assert_true(audit_processed(a, i / 10 ? 2 : 0, i / 10, i % 10, 100 + i));
}

static void test_audit_of_clean_work(void **state)
{
    struct audit *a = audit_of_twenty();
    struct audit_result r;

    (void)state;
    do_all(a, -1);
    audit_judge(a, &r);
    assert_int_equal(r.produced, 20);
    assert_int_equal(r.processed, 20);
    assert_int_equal(r.lost + r.repeated + r.unlisted + r.repeated_by_kafka + r.strange, 0);
    audit_forget_processed(a);
    audit_judge(a, &r);
    assert_int_equal(r.lost, 20);
    audit_free(a);
}

static void test_audit_finds_what_is_wrong(void **state)
{
    struct audit *a = audit_of_twenty();
    struct audit_result r;

    (void)state;
    do_all(a, 7);
    assert_true(audit_processed(a, 1, 0, 3, 103)); /* the killed one and its successor: Kafka's own */
    assert_true(audit_processed(a, 2, 0, 4, 104)); /* both colors, in no receipt */
    assert_true(audit_processed(a, 2, 0, 5, 105)); /* both colors, listed */
    assert_true(audit_processed(a, 2, 1, 0, 110)); /* the same one twice, and nobody killed it */
    assert_true(audit_processed(a, 0, 1, 20, 7));  /* nobody produced it */
    assert_true(audit_listed(a, 0, 5, 6));
    audit_judge(a, &r);
    assert_int_equal(r.lost, 1);
    assert_string_equal(r.first_lost, "partition 0 offset 7");
    assert_int_equal(r.repeated_by_kafka, 1);
    assert_int_equal(r.repeated, 3);
    assert_int_equal(r.unlisted, 2);
    assert_string_equal(r.first_unlisted, "partition 0 offset 4 by blue-1 green-1");
    assert_int_equal(r.strange, 0);
    assert_true(audit_processed(a, 0, 0, 7, 999)); /* another record than was produced there */
    audit_judge(a, &r);
    assert_int_equal(r.lost, 0);
    assert_int_equal(r.strange, 1);
    audit_free(a);
}

static void test_audit_refuses_what_it_cannot_hold(void **state)
{
    struct audit *a = audit_new(1);

    (void)state;
    assert_false(audit_produced(a, 1, 0, 1));
    assert_false(audit_produced(a, 0, -1, 1));
    assert_false(audit_produced(a, 0, AUDIT_OFFSETS_MAX, 1));
    assert_false(audit_processed(a, 0, 0, 0, 1)); /* a consumer it was not told of */
    audit_free(a);
}

static void render_demo(struct str *ret, const struct look *look, const json_t *op)
{
    struct demo_view v = { .rate = 2000, .produced = 24123, .doing = "green works", .op = op, .elapsed_ms = 12000 };
    const struct audit_result clean = { .produced = 24123, .processed = 24130, .repeated_by_kafka = 7 };
    const struct demo_standstill none = { .p50_us = -1, .p99_us = -1, .max_us = -1 };
    const struct demo_standstill some = { 24, 3400, 8100, 8100 };

    strcpy(v.holders, "bbbbbbggggrr");
    v.colors[0] = (struct demo_color){ .version = "v1", .running = 1, .killed = 1, .done = 20000 };
    v.colors[1] = (struct demo_color){ .version = "v2", .running = 2, .done = 4000 };
    for (int i = 0; i < DEMO_HISTORY; i++) {
        v.colors[0].rates[i] = i * 50;
        v.colors[1].rates[i] = 100000; /* more than the picture is high */
    }
    demo_picture(ret, look, &v, NOW);
    demo_audit_page(ret, look, &clean, &some, &none);
}

static void test_demo_pages(void **state)
{
    char *page = render_both(render_demo, OPERATION("passing", ""));

    (void)state;
    assert_holds(page, "b b b b b b g g g g * *  6 blue, 4 green, 2 moving\n");
    assert_holds(page, "24,123 produced, 24,000 processed\n");
    assert_holds(page, "  repeated by Kafka           7  within a color");
    assert_holds(page, "p50 3.4 ms, p99 8.1 ms, max 8.1 ms, 24 passes\n");
    assert_holds(page, "24,123 records: none lost, none done by both colors.\n");
    free(page);
}

/* ---- made from the tables ---- */

static void test_completions_know_everything(void **state)
{
    static const char *const shells[] = { "bash", "zsh", "fish" };

    (void)state;
    for (size_t s = 0; s < ARRAY_COUNT(shells); s++) {
        struct str page = STR_WITH_MAX(PAGE_MAX);

        assert_int_equal(completion_write(&page, shells[s]), 0);
        for (int i = 0; i < OPT_COUNT; i++)
            assert_holds(page.buf, options[i].name);
        for (int i = 0; i < command_count; i++)
            assert_holds(page.buf,
                         strchr(commands[i].name, ' ') ? strchr(commands[i].name, ' ') + 1 : commands[i].name);
        assert_null(strstr(page.buf, "demo-consumer"));
        str_free(&page);
    }
}

static void test_document_is_current(void **state)
{
    struct str document = STR_WITH_MAX(PAGE_MAX);
    const char *slash = strrchr(__FILE__, '/');
    char name[1024], *text = calloc(1, PAGE_MAX);
    FILE *file;

    (void)state;
    assert_non_null(text);
    snprintf(name, sizeof(name), "%.*s/../../docs/cli.md", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".");
    file = fopen(name, "rb");
    assert_non_null(file);
    assert_true(fread(text, 1, PAGE_MAX - 1, file) > 0);
    fclose(file);
    markdown_write(&document);
    assert_string_equal(document.buf, text); /* red? run baton man --markdown > docs/cli.md */
    str_free(&document);
    free(text);
}

static void test_help_and_manual_fit(void **state)
{
    struct str page = STR_WITH_MAX(PAGE_MAX), man = STR_WITH_MAX(PAGE_MAX);

    (void)state;
    help_overview(&page, &narrow);
    for (int i = 0; i < command_count; i++)
        help_command(&page, &narrow, &commands[i]);
    for (char *line = strtok(page.buf, "\n"); line; line = strtok(NULL, "\n"))
        if (look_columns(line) > 80 && !strstr(line, "baton "))
            fail_msg("wider than 80 columns: '%s'", line);
    man_write(&man);
    assert_int_equal(str_error(&man), 0);
    assert_holds(man.buf, ".SS baton fleet apply \\fIFILE\\fR");
    assert_holds(man.buf, ".SH EXIT STATUS");
    assert_holds(man.buf, "switch.deadline");
    str_free(&page);
    str_free(&man);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_is_current),
        cmocka_unit_test(test_options_stand_anywhere),
        cmocka_unit_test(test_two_word_commands_and_dashes),
        cmocka_unit_test(test_another_program_has_the_words_behind_dashes),
        cmocka_unit_test(test_environment_stands_behind_what_was_typed),
        cmocka_unit_test(test_wrong_lines_get_the_nearest_right_one),
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_text_is_measured_cut_and_cleaned),
        cmocka_unit_test(test_ranges_and_figures),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_status_says_what_is_going_on),
        cmocka_unit_test(test_status_of_a_switch),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_refusals_say_what_why_and_mend),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_audit_of_clean_work),
        cmocka_unit_test(test_audit_finds_what_is_wrong),
        cmocka_unit_test(test_audit_refuses_what_it_cannot_hold),
        cmocka_unit_test(test_demo_pages),
        cmocka_unit_test(test_completions_know_everything),
        cmocka_unit_test(test_help_and_manual_fit),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
