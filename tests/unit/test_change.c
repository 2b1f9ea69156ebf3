/*
 * change: what a command and a signal are told, and how often: the whole state, the newest only, until it was taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/change.h"
#include "base/check.h"
#include "base/clock.h"

#define PATIENCE_MS 60000

struct bench {
    struct event_base *base;
    struct change *change;
    char folder[64];
};

static int setup(void **state)
{
    struct bench *b = must(calloc(1, sizeof(*b)));

    snprintf(b->folder, sizeof(b->folder), "/tmp/baton-change-XXXXXX");
    must(mkdtemp(b->folder));
    must(chdir(b->folder) == 0 ? b : NULL);
    b->base = must(event_base_new());
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    char command[100];

    change_close(b->change);
    event_base_free(b->base);
    snprintf(command, sizeof(command), "rm -rf %s", b->folder);
    must(chdir("/") == 0 && system(command) == 0 ? b : NULL);
    free(b);
    return 0;
}

static void open_change(struct bench *b, struct change_config config)
{
    struct errmsg m = { 0 };

    config.timeout_ms = config.timeout_ms ? config.timeout_ms : PATIENCE_MS;
    assert_int_equal(change_open(&b->change, b->base, &config, &m), ERR_OK);
}

/* The file's text, "" when it is not there; until the next call. */
static const char *text_of(const char *name)
{
    static char text[4096];
    FILE *f = fopen(name, "r");
    size_t len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    text[len] = '\0';
    if (f)
        fclose(f);
    return text;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = must(fopen(name, "w"));

    fputs(text, f);
    fclose(f);
}

static void turn(struct bench *b)
{
    event_base_loop(b->base, EVLOOP_NONBLOCK);
    change_turn(b->change);
    nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL);
}

static void until_trouble(struct bench *b, const char *words)
{
    const int64_t by_ms = clock_ms() + PATIENCE_MS;

    while (*words ? !strstr(change_trouble(b->change), words) : *change_trouble(b->change) != '\0') {
        if (clock_ms() > by_ms)
            fail_msg("trouble is '%s', not '%s'", change_trouble(b->change), words);
        turn(b);
    }
}

static void until_text(struct bench *b, const char *name, const char *words)
{
    const int64_t by_ms = clock_ms() + PATIENCE_MS;

    while (!strstr(text_of(name), words)) {
        if (clock_ms() > by_ms)
            fail_msg("%s holds '%s', not '%s'", name, text_of(name), words);
        turn(b);
    }
}

#define DOCUMENT(state) \
    "{\"fleet\":\"f\",\"color\":\"blue\",\"state\":\"" state "\",\"active\":\"blue\",\"switch\":7,\"partitions\":[]}"

static void a_color_s_part(void **state)
{
    static const struct {
        enum right rights[2];
        enum color holders[2];
        const char *words;
    } cases[] = {
        { { RIGHT_HELD, RIGHT_HELD }, { BLUE, BLUE }, "\"state\":\"working\"" },
        { { RIGHT_HELD, RIGHT_HELD }, { GREEN, GREEN }, "\"state\":\"standing-by\"" },
        { { RIGHT_HELD, RIGHT_HELD }, { BLUE, GREEN }, "\"state\":\"changing\"" },
        { { RIGHT_RELEASING, RIGHT_HELD }, { BLUE, BLUE }, "\"state\":\"changing\"" },
        { { RIGHT_PAUSED, RIGHT_PAUSED }, { BLUE, BLUE }, "\"state\":\"changing\"" },
    };
    struct baton batons[2];
    static struct fleet f;
    struct str text = STR_WITH_MAX(4096);

    (void)state;
    fleet_init(&f, batons, 2);
    change_document(&text, &f, "f", BLUE);
    assert_int_equal(text.len, 0); /* no such fleet */
    f.exists = true;
    f.baton_count = 2;
    f.switch_number = 7;
    text_copy(f.spec.topics[0], sizeof(f.spec.topics[0]), "orders");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (int k = 0; k < 2; k++)
            batons[k] = (struct baton){ .partition = k, .state = cases[i].rights[k], .holder = cases[i].holders[k] };
        change_document(&text, &f, "f", BLUE);
        assert_non_null(strstr(text.buf, cases[i].words));
    }
    assert_string_equal(text.buf,
                        "{\"fleet\":\"f\",\"color\":\"blue\",\"state\":\"changing\",\"active\":\"blue\",\"switch\":7,"
                        "\"partitions\":["
                        "{\"topic\":\"orders\",\"partition\":0,\"holder\":\"blue\",\"state\":\"paused\"},"
                        "{\"topic\":\"orders\",\"partition\":1,\"holder\":\"blue\",\"state\":\"paused\"}]}");
    str_free(&text);
}

static void the_command_is_given_it(void **state)
{
    struct bench *b = *state;

    setenv("BATON_STATE", "of long ago", 1);
    open_change(b,
                (struct change_config){ .command = "cat >in; echo $BATON_FLEET $BATON_COLOR $BATON_STATE $BATON_ACTIVE "
                                                   "$BATON_SWITCH >env" });
    assert_string_equal(change_trouble(b->change), "nothing is known yet");
    change_tell(b->change, "");
    assert_string_equal(change_trouble(b->change), "nothing is known yet");
    change_tell(b->change, DOCUMENT("working"));
    assert_string_equal(change_trouble(b->change), "the command runs");
    until_trouble(b, "");
    assert_string_equal(text_of("in"), DOCUMENT("working"));
    assert_string_equal(text_of("env"), "f blue working blue 7\n");
    unsetenv("BATON_STATE");
}

static void only_the_newest_is_told(void **state)
{
    struct bench *b = *state;

    open_change(b, (struct change_config){ .command =
                                               "echo $BATON_STATE >>states; until test -e go; do sleep 0.01; done" });
    change_tell(b->change, DOCUMENT("working"));
    until_text(b, "states", "working");
    change_tell(b->change, DOCUMENT("changing"));
    change_tell(b->change, DOCUMENT("standing-by"));
    write_text("go", "");
    until_trouble(b, "");
    assert_string_equal(text_of("states"), "working\nstanding-by\n");
    change_tell(b->change, DOCUMENT("standing-by")); /* nothing has changed */
    assert_string_equal(change_trouble(b->change), "");
    change_tell(b->change, DOCUMENT("working"));
    until_trouble(b, "");
    assert_string_equal(text_of("states"), "working\nstanding-by\nworking\n");
}

static void what_fails_is_told_again(void **state)
{
    struct bench *b = *state;

    open_change(b, (struct change_config){ .command = "echo $BATON_STATE >>states; test -e fine || exit 3" });
    change_tell(b->change, DOCUMENT("working"));
    until_trouble(b, "the command ended with 3");
    write_text("fine", "");
    until_trouble(b, "");
    assert_int_equal(strncmp(text_of("states"), "working\nworking\n", 16), 0);
}

static void what_takes_too_long_is_ended(void **state)
{
    struct bench *b = *state;

    open_change(b, (struct change_config){ .command = "trap 'echo ended >>states; exit' TERM; sleep 1000 & wait",
                                           .timeout_ms = 300 });
    change_tell(b->change, DOCUMENT("working"));
    until_trouble(b, "longer than 300 ms");
    until_text(b, "states", "ended");
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static void a_signal_is_sent_once_a_change(void **state)
{
    struct bench *b = *state;
    char own[32];
    pid_t gone;

    signals = 0;
    signal(SIGUSR1, on_signal);
    assert_int_equal(change_signal_parse("USR1"), SIGUSR1);
    assert_int_equal(change_signal_parse("SIGHUP"), SIGHUP);
    assert_int_equal(change_signal_parse("KILL"), 0);
    open_change(b, (struct change_config){ .signal = SIGUSR1, .pid_file = "pid" });
    change_tell(b->change, DOCUMENT("working"));
    assert_non_null(strstr(change_trouble(b->change), "pid file pid: No such file"));
    write_text("pid", "not a number\n");
    change_turn(b->change);
    assert_non_null(strstr(change_trouble(b->change), "holds no process id"));
    snprintf(own, sizeof(own), "%d\n", (int)getpid());
    write_text("pid", own);
    change_turn(b->change);
    assert_string_equal(change_trouble(b->change), "");
    assert_int_equal(signals, 1);
    change_turn(b->change);
    change_tell(b->change, DOCUMENT("working"));
    assert_int_equal(signals, 1);
    change_tell(b->change, DOCUMENT("standing-by"));
    assert_int_equal(signals, 2);

    /* A process that has ended, and one that has come in its place. */
    gone = fork();
    if (gone == 0)
        _exit(0);
    while (kill(gone, 0) == 0) /* the change's own handler of SIGCHLD may not have it: it waits for its command alone */
        if (waitpid(gone, NULL, WNOHANG) == gone)
            break;
    snprintf(own, sizeof(own), "%d", (int)gone);
    write_text("pid", own);
    change_turn(b->change);
    assert_non_null(strstr(change_trouble(b->change), "No such process"));
    snprintf(own, sizeof(own), "%d", (int)getpid());
    write_text("pid", own);
    change_turn(b->change);
    assert_int_equal(signals, 2); /* it was told this already */
    assert_string_equal(change_trouble(b->change), "");
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_color_s_part),
        cmocka_unit_test_setup_teardown(the_command_is_given_it, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_newest_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fails_is_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_too_long_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signal_is_sent_once_a_change, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
