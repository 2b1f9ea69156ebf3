/*
 * worker - a consumer on libbaton that writes down every record it processes, for the auditor.
 *
 * "Processed" is the write(2) of one line to a file of its own, before baton_done(): what a kill -9 leaves behind is
 * exactly what was processed. A line:
 *
 *     partition offset number epoch color unix_us topic
 *
 * Remarks begin with "#": when it started and how it ended. A test bends it by options: a delay for each record, done
 * out of order, several polling threads, and a "hold" file. While that file exists, no record is processed, so a test
 * holds a hand-over open in the phase it wants, for as long as it wants, without any sleep. A "worse" file makes it worse while it
 * runs: it holds how many of a thousand records fail, and by how many microseconds each is late.
 *
 * SIGTERM: finish what is polled, baton_close(), exit 0. SIGUSR2: exit at once without closing, records in flight and all.
 */
#include <baton/baton.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX 1000
#define THREADS_MAX 64
#define HOLD_LOOK_US 2000

static volatile sig_atomic_t stop;

static struct {
    struct baton_consumer *consumer;
    int fd;
    int batch, threads;
    long delay_us;
    bool shuffle;
    const char *hold, *worse;
    int fails, late_us; /* what the "worse" file says */
    int64_t worse_read_us;
} worker = { .batch = 100, .threads = 1, .fd = -1 };

static void on_signal(int number)
{
    if (number == SIGUSR2)
        _exit(9);
    stop = 1;
}

static int64_t now_unix_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "worker: %s: %s\n", what, why);
    _exit(1); /* without closing: a worker that cannot write must not commit */
}

static void put(const char *line, size_t len)
{
    ssize_t n = write(worker.fd, line, len);

    if (n != (ssize_t)len)
        die("write", n < 0 ? strerror(errno) : "short");
}

static void wait_while_held(void)
{
    while (worker.hold && access(worker.hold, F_OK) == 0)
        usleep(HOLD_LOOK_US);
}

/* Looked at every ten milliseconds; of no use to several threads, where nobody minds. */
static void worse_read(void)
{
    const int64_t now = now_unix_us();
    FILE *file;

    if (!worker.worse || now - worker.worse_read_us < 10000)
        return;
    worker.worse_read_us = now;
    worker.fails = worker.late_us = 0;
    file = fopen(worker.worse, "re");
    if (!file)
        return;
    if (fscanf(file, "%d %d", &worker.fails, &worker.late_us) < 1)
        worker.fails = worker.late_us = 0;
    fclose(file);
}

/* Bad ones come evenly: a test must not depend on luck. */
static void done(struct baton_record *r)
{
    static _Atomic unsigned count;

    if (worker.fails > 0 && count++ * (unsigned)worker.fails % 1000 < (unsigned)worker.fails)
        baton_failed(r, "broken");
    else
        baton_done(r);
}

static void process(const struct baton_record *r)
{
    size_t len;
    const char *value = baton_record_value(r, &len);
    char number[24] = "-1", line[512];
    int n;

    wait_while_held();
    worse_read();
    if (worker.delay_us + worker.late_us > 0)
        usleep((useconds_t)(worker.delay_us + worker.late_us));
    for (size_t i = 0; value && i < len && i < sizeof(number) - 1 && value[i] >= '0' && value[i] <= '9'; i++) {
        number[i] = value[i];
        number[i + 1] = '\0';
    }
    n = snprintf(line, sizeof(line), "%" PRId32 " %" PRId64 " %s %" PRIu64 " %s %" PRId64 " %s\n",
                 baton_record_partition(r), baton_record_offset(r), number, baton_record_epoch(r),
                 baton_record_color(r), now_unix_us(), baton_record_topic(r));
    put(line, (size_t)n);
}

static void finish(struct baton_record **records, int count, unsigned *seed)
{
    if (worker.shuffle)
        for (int i = count - 1; i > 0; i--) {
            int j = (int)((unsigned)rand_r(seed) % (unsigned)(i + 1));
            struct baton_record *r = records[i];

            records[i] = records[j];
            records[j] = r;
        }
    for (int i = 0; i < count; i++)
        done(records[i]);
}

static void *run(void *opaque)
{
    struct baton_record *records[BATCH_MAX];
    unsigned seed = (unsigned)(uintptr_t)opaque + 1;
    int count = 0;

    while (!stop && (count = baton_poll(worker.consumer, records, worker.batch, 100)) >= 0) {
        for (int i = 0; i < count; i++) {
            process(records[i]);
            if (!worker.shuffle)
                done(records[i]);
        }
        if (worker.shuffle)
            finish(records, count, &seed);
    }
    if (count < 0 && count != BATON_ERR_CLOSED) {
        char why[BATON_WHY_MAX] = "";

        baton_get(worker.consumer, "baton.why", why, sizeof(why));
        fprintf(stderr, "worker: poll: %s: %s\n", baton_error_text(count), why);
        stop = 2;
    }
    return NULL;
}

/* All of the library's lines, the debug ones too: they tell what happened when a test fails. */
static void on_log(void *opaque, int level, const char *event, const char *text)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    const int64_t now = now_unix_us();
    const time_t seconds = now / 1000000;
    struct tm tm;

    (void)opaque;
    gmtime_r(&seconds, &tm);
    fprintf(stderr, "%02d:%02d:%02d.%03d %-5s %s %s\n", tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now / 1000 % 1000),
            levels[level & 3], event, text);
}

static void option(const char *name, const char *value)
{
    char why[BATON_WHY_MAX];

    if (baton_set(worker.consumer, name, value, why, sizeof(why)) < 0)
        die("option", why);
}

static void remark(const char *what, int number)
{
    char line[200];
    int n = snprintf(line, sizeof(line), "# %s %d at %" PRId64 "\n", what, number, now_unix_us());

    put(line, (size_t)n);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!strcmp(name, "--shuffle")) {
            worker.shuffle = true;
            continue;
        }
        if (!value)
            die(name, "wants a value");
        i++;
        if (!strcmp(name, "--out")) {
            worker.fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
            if (worker.fd < 0)
                die(value, strerror(errno));
        } else if (!strcmp(name, "--hold")) {
            worker.hold = value;
        } else if (!strcmp(name, "--worse")) {
            worker.worse = value;
        } else if (!strcmp(name, "--threads")) {
            worker.threads = atoi(value);
        } else if (!strcmp(name, "--batch")) {
            worker.batch = atoi(value);
        } else if (!strcmp(name, "--delay-us")) {
            worker.delay_us = atol(value);
        } else if (!strncmp(name, "--", 2)) {
            option(name + 2, value); /* --baton.fleet payments, --bootstrap.servers ... */
        } else {
            die(name, "unknown option");
        }
    }
    if (worker.fd < 0 || worker.threads < 1 || worker.threads > THREADS_MAX || worker.batch < 1 ||
        worker.batch > BATCH_MAX)
        die("usage",
            "--out FILE [--threads N] [--batch N] [--delay-us N] [--shuffle] [--hold FILE] [--OPTION VALUE]...");
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = on_signal };
    pthread_t threads[THREADS_MAX];
    char why[BATON_WHY_MAX];
    int r;

    baton_log_to(on_log, NULL, 0);
    if (baton_new(&worker.consumer) < 0)
        die("baton_new", "out of memory");
    parse(argc, argv);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    remark("start pid", (int)getpid());
    if (baton_open(worker.consumer, why, sizeof(why)) < 0)
        die("open", why);
    for (int i = 0; i < worker.threads; i++) {
        r = pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1));
        if (r != 0)
            die("thread", strerror(r));
    }
    for (int i = 0; i < worker.threads; i++)
        pthread_join(threads[i], NULL);
    r = baton_close(worker.consumer, 20000);
    remark("closed", r);
    baton_free(worker.consumer);
    if (r < 0)
        fprintf(stderr, "worker: close: %s\n", baton_error_text(r));
    return stop == 2 || r < 0;
}
