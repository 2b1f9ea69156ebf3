/*
 * test_member_memory - every allocation of libbaton fails once: nothing crashes, leaks or hangs, and the error says so.
 *
 * The code under test is libbaton's own objects with malloc() and its like renamed (alloc.sh). An allocation is known by
 * the calls that led to it. One life of a consumer (made, joined, following, active, releasing, closed) tells which
 * there are; then each of them fails in a life of its own. A life that meets its failure ends with BATON_ERR_NOMEM, or the
 * library asks again and the story goes on to its end. Lives are mostly waiting, so several processes share them.
 *
 * jansson's allocations while a record is read are the same question, asked without a broker.
 */
#include <execinfo.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "member_world.h"

#define STACKS_MAX 1024
#define FRAMES 7
#define PROCESSES 6
#define LIFE_S_MAX 100

/* --- allocations that fail --- */

static struct shared {
    atomic_int count; /* of stacks */
    uint64_t stacks[STACKS_MAX];
    atomic_int met, survived; /* lives that met their failure; those of them whose story went on to its end */
} * shared;

static struct {
    pthread_mutex_t lock;
    bool collecting;
    uint64_t target; /* fails once */
    bool met;
} fault = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local bool inside; /* a call of the program into the library */

/* The library's own thread, or a call into it; the test's helpers use the same code and are spared. */
static bool ours(void)
{
    char name[16] = "";

    if (inside)
        return true;
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return strcmp(name, "baton") == 0;
}

static bool fails(void)
{
    void *frames[FRAMES];
    uint64_t stack = 1469598103934665603u;
    bool now = false;
    int i, count;

    if ((!fault.collecting && !fault.target) || !ours())
        return false;
    count = backtrace(frames, FRAMES);
    for (i = 0; i < count; i++)
        stack = (stack ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
    pthread_mutex_lock(&fault.lock);
    if (fault.collecting) {
        for (i = 0; i < shared->count && shared->stacks[i] != stack; i++)
            ;
        if (i == shared->count && i < STACKS_MAX) {
            shared->stacks[i] = stack;
            shared->count++;
        }
    } else if (!fault.met && fault.target == stack) {
        fault.met = now = true;
    }
    pthread_mutex_unlock(&fault.lock);
    return now;
}

void *fail_malloc(size_t size);
void *fail_calloc(size_t count, size_t size);
void *fail_realloc(void *old, size_t size);
char *fail_strdup(const char *text);

void *fail_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *fail_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *fail_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

char *fail_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

/* --- a life --- */

#define INSIDE(call) (inside = true, inside_result = (call), inside = false, inside_result)
static int inside_result;

enum end { END_NOMEM, END_STORY };

static const char *const options[][2] = { { "baton.color", "blue" },
                                          { "baton.version", "1.0" },
                                          { "fetch.wait.max.ms", "10" },
                                          { "session.timeout.ms", "2500" },
                                          { "heartbeat.interval.ms", "200" } };

static int set(struct baton_consumer *c, const char *name, const char *value)
{
    char why[BATON_WHY_MAX] = "";
    const int r = INSIDE(baton_set(c, name, value, why, sizeof(why)));

    if (r < 0) {
        assert_int_equal(r, BATON_ERR_NOMEM);
        assert_true(fault.met);
        assert_non_null(strstr(why, "out of memory"));
    }
    return r;
}

/* Made, told everything, opened; END_NOMEM: not, and nothing is left of it. */
static enum end born(struct world *w, struct baton_consumer **ret)
{
    struct baton_consumer *c = NULL;
    char why[BATON_WHY_MAX] = "";
    int r = INSIDE(baton_new(&c));

    if (r == BATON_ERR_NOMEM)
        return END_NOMEM;
    assert_int_equal(r, 0);
    r = set(c, "baton.fleet", w->fleet_name);
    if (r == 0)
        r = set(c, "bootstrap.servers", w->bootstrap);
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(options); i++)
        r = set(c, options[i][0], options[i][1]);
    if (r == 0) {
        r = INSIDE(baton_open(c, why, sizeof(why)));
        if (r < 0 && (r != BATON_ERR_NOMEM || !strstr(why, "out of memory")))
            fail_msg("open: %s: %s", baton_error_text(r), why);
    }
    if (r == 0) {
        *ret = c;
        return END_STORY;
    }
    baton_free(c);
    return END_NOMEM;
}

/* Polls once; false: the library has given up, and says why. */
static bool turn(struct world *w, struct baton_consumer *c)
{
    struct baton_record *records[64];
    char why[BATON_WHY_MAX];
    const int count = INSIDE(baton_poll(c, records, 64, 2));

    for (int i = 0; i < count; i++)
        note(w, records[i]);
    baton_done_all(records, count);
    if (count >= 0)
        return true;
    assert_int_equal(count, BATON_ERR_NOMEM);
    if (!state_is(c, "failed"))
        return true; /* a poll that found no memory; the next one may */
    assert_int_equal(baton_get(c, "baton.why", why, sizeof(why)), 0);
    if (!strstr(why, "out of memory"))
        fail_msg("why: %s", why);
    return false;
}

/* Only what this life says. */
static void hear_one(struct world *w, struct baton_consumer *c)
{
    char own[64];
    int kept = 0;

    assert_int_equal(baton_get(c, "baton.incarnation", own, sizeof(own)), 0);
    hear(w);
    for (int i = 0; i < w->heard_count; i++)
        if (strcmp(w->heard[i]->incarnation, own) == 0)
            w->heard[kept++] = w->heard[i];
        else
            report_free(w->heard[i]);
    w->heard_count = kept;
}

#define LIFE_UNTIL(w, c, condition)                                              \
    do {                                                                         \
        const int64_t until_ms_ = clock_ms() + PATIENCE_MS;                      \
                                                                                 \
        for (hear_one(w, c); !(condition); hear_one(w, c)) {                     \
            if (!turn(w, c))                                                     \
                return END_NOMEM;                                                \
            if (clock_ms() > until_ms_) {                                        \
                tell(w);                                                         \
                fail_msg("waited %d s for: %s", PATIENCE_MS / 1000, #condition); \
            }                                                                    \
        }                                                                        \
    } while (0)

static bool all_delivered(const struct world *w)
{
    for (int i = 0; i < PARTITIONS; i++)
        if (w->seen[BLUE][i].next < w->produced[i])
            return false;
    return true;
}

static enum end lived(struct world *w, struct baton_consumer *c)
{
    struct mark mark = { 0 };

    LIFE_UNTIL(w, c, all_are(w, BLUE, LOCAL_STANDBY) && w->heard[0]->ready);
    LIFE_UNTIL(w, c, committed(w, BLUE, 0, &mark) == w->produced[0] && mark.kind == MARK_FOLLOW);
    for (int i = 0; i < PARTITIONS; i++)
        w->batons[i].from = w->produced[i];
    say(w, -1, RIGHT_GRANTED, BLUE);
    produce_all(w, 3);
    LIFE_UNTIL(w, c, all_delivered(w) && all_are(w, BLUE, LOCAL_ACTIVE));
    say(w, -1, RIGHT_RELEASING, BLUE);
    LIFE_UNTIL(w, c, all_are(w, BLUE, LOCAL_RELEASED));
    return END_STORY;
}

/* Where the other color stands, so that there is something to follow. */
static void green_commits(struct world *w)
{
    struct kafka_tp tps[PARTITIONS];

    memset(tps, 0, sizeof(tps));
    for (int i = 0; i < PARTITIONS; i++) {
        snprintf(tps[i].topic, sizeof(tps[i].topic), "%s", w->topic);
        tps[i].partition = i;
        tps[i].offset = w->produced[i];
        tps[i].mark = (struct mark){ .kind = MARK_EPOCH, .epoch = w->batons[i].epoch };
    }
    check(kafka_group_commit(kafka_reader_handle(w->reports), w->groups[GREEN], tps, PARTITIONS, 10000, &m));
}

static enum end life(struct world *w)
{
    struct baton_consumer *c = NULL;
    int64_t began_ms;
    enum end end;
    int r;

    if (!w->fleet.exists)
        make_fleet(w, GREEN);
    produce_all(w, 1);
    green_commits(w);
    say(w, -1, RIGHT_HELD, GREEN);
    end = born(w, &c);
    if (!c)
        return end;
    end = lived(w, c);
    began_ms = clock_ms();
    r = INSIDE(baton_close(c, 5000));
    if (r != 0 || clock_ms() - began_ms > 20000)
        fail_msg("close: %s after %lld ms", baton_error_text(r), (long long)(clock_ms() - began_ms));
    baton_free(c);
    return end;
}

/* --- the tests --- */

static void collects(void **state)
{
    fault.collecting = true;
    assert_int_equal(life(*state), END_STORY);
    fault.collecting = false;
    assert_in_range(shared->count, 30, STACKS_MAX - 1);
}

static int first_stack;

static void survives(void **state)
{
    for (int i = first_stack; i < shared->count; i += PROCESSES) {
        enum end end;

        fault.met = false;
        fault.target = shared->stacks[i];
        alarm(LIFE_S_MAX); /* a hang ends the process */
        end = life(*state);
        fault.target = 0;
        if (!fault.met)
            assert_int_equal(end, END_STORY);
        shared->met += fault.met;
        shared->survived += fault.met && end == END_STORY;
    }
    alarm(0);
}

static int run(const char *name, CMUnitTestFunction function)
{
    const struct CMUnitTest tests[] = { { name, function, world_open, world_close, NULL } };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* In a process of its own: threads do not survive a fork. */
static pid_t spawn(const char *name, CMUnitTestFunction function)
{
    const pid_t pid = fork();

    if (pid == 0)
        exit(run(name, function));
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status = 0;

    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int json_left;

static void *json_malloc(size_t size)
{
    return json_left-- == 0 ? NULL : malloc(size);
}

/* Each allocation while a document is read. */
static void reading_without_memory(void **state)
{
    struct baton batons[PARTITIONS], read[PARTITIONS];
    struct fleet fleet, empty;
    struct record_key key = { .kind = RECORD_HEAD, .fleet = "pay", .shard = -1 };
    struct doc doc;
    struct str json = STR_WITH_MAX(RECORD_BYTES_MAX);
    int r, n = 0;

    (void)state;
    memset(batons, 0, sizeof(batons));
    fleet_init(&fleet, batons, PARTITIONS);
    spec_defaults(&fleet.spec);
    snprintf(fleet.spec.fleet, sizeof(fleet.spec.fleet), "pay");
    snprintf(fleet.spec.topics[0], sizeof(fleet.spec.topics[0]), "orders");
    fleet.spec.topic_count = 1;
    snprintf(fleet.spec.colors[BLUE].group, sizeof(fleet.spec.colors[BLUE].group), "pay-blue");
    snprintf(fleet.spec.colors[GREEN].group, sizeof(fleet.spec.colors[GREEN].group), "pay-green");
    fleet.exists = true;
    fleet.version = fleet.applied = (struct version){ 1, 11 };
    fleet.baton_count = PARTITIONS;
    for (int i = 0; i < PARTITIONS; i++)
        batons[i] = (struct baton){ .partition = i, .epoch = 11, .order = 11, .taken = true, .doubt = OFFSET_NONE };
    check(fleet_encode(&json, &fleet, -1, &m));
    json_set_alloc_funcs(json_malloc, free);
    fleet_init(&empty, NULL, 0);
    do {
        memset(&doc, 0, sizeof(doc));
        fleet_init(&doc.fleet, read, PARTITIONS);
        json_left = n++;
        r = fleet_decode(&doc, &key, &empty, json.buf, json.len, &m);
        if (r == ERR_CORRUPT) { /* jansson's word for it, sometimes; whoever asks again hears the truth */
            memset(&doc, 0, sizeof(doc));
            fleet_init(&doc.fleet, read, PARTITIONS);
            assert_int_equal(fleet_decode(&doc, &key, &empty, json.buf, json.len, &m), ERR_OK);
        } else if (r != ERR_OK) {
            assert_int_equal(r, ERR_NOMEM);
        }
    } while (json_left < 0);
    assert_int_equal(r, ERR_OK);
    assert_in_range(n, 50, 10000);
    json_set_alloc_funcs(malloc, free);
    str_free(&json);
}

static void quiet(void *opaque, int level, const char *event, const char *text)
{
    (void)opaque;
    (void)level;
    (void)event;
    (void)text;
}

int main(void)
{
    const struct CMUnitTest plain[] = { cmocka_unit_test(reading_without_memory) };
    void *frames[FRAMES];
    pid_t pids[PROCESSES];
    int failed;

    backtrace(frames, FRAMES); /* its own first allocation */
    if (getenv("BATON_TEST_LOG"))
        baton_log_to(NULL, NULL, atoi(getenv("BATON_TEST_LOG")));
    else
        baton_log_to(quiet, NULL, 3);
    failed = cmocka_run_group_tests(plain, NULL, NULL);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    if (!ended_well(spawn("collects", collects)))
        return 1;
    for (first_stack = 0; first_stack < PROCESSES; first_stack++)
        pids[first_stack] = spawn("survives", survives);
    for (int i = 0; i < PROCESSES; i++)
        failed += !ended_well(pids[i]);
    printf("%d allocations, %d failed once, %d of them without an end of the story\n", shared->count, shared->met,
           shared->survived);
    return failed || shared->met < shared->count * 8 / 10;
}
