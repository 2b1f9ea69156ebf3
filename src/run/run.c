/*
 * run - see run.h: making ready, the loop, and the end.
 *
 * One turn: take what libbaton has, look at the clocks, give, tell libbaton what is done, say how much may come, and
 * wait. Everything else happens because a descriptor said something.
 *
 * The end, after SIGTERM: nothing more is asked of libbaton; what is in hand is given and waited for; stdin is closed,
 * which is how a command learns that nothing more comes; then the progress is committed and the group is left. What
 * does not fit into the grace is killed and stays undone: the next member of the same color gets it.
 */
#include "run/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "kafka/client.h"
#include "run/internal.h"

#define COMPLAIN_US 10000000
#define WAIT_MS_MAX 1000
#define GIVE_BACK_US 50000 /* between two looks whether what waits for another try can be given back */
#define TERM_US 2000000    /* before the end of the grace: SIGTERM to the command, and half of it later SIGKILL */
#define CLOSE_MS_LEAST 1000
#define EXIT_DEADLINE 124
#define ENVIRONMENT_OWN 5

extern char **environ;

bool complain(struct run *run, struct complaint *c, unsigned *more)
{
    if (c->said_us && run->now_us - c->said_us < COMPLAIN_US) {
        c->more++;
        return false;
    }
    *more = c->more;
    c->more = 0;
    c->said_us = run->now_us;
    return true;
}

/* ---- making ready ---- */

/* What a process finds in its environment: ours, and who it is. */
static char **environment_of(const struct run_config *c, int number)
{
    int count = 0, own = 0;
    char **ret;
    bool failed = false;

    while (environ[count])
        count++;
    ret = calloc((size_t)count + ENVIRONMENT_OWN + 1, sizeof(*ret));
    if (!ret)
        return NULL;
    failed = asprintf(&ret[own++], "BATON_FLEET=%s", c->fleet) < 0 || failed;
    failed = asprintf(&ret[own++], "BATON_COLOR=%s", c->color) < 0 || failed;
    failed = asprintf(&ret[own++], "BATON_VERSION=%s", c->version ? c->version : "") < 0 || failed;
    failed = asprintf(&ret[own++], "BATON_PROCESS=%d", number) < 0 || failed;
    /* Python keeps what it prints to a pipe until 8 KiB are together: acknowledgements that nobody hears. */
    if (!getenv("PYTHONUNBUFFERED"))
        failed = !(ret[own++] = strdup("PYTHONUNBUFFERED=1")) || failed;
    for (int i = 0; i < count; i++) {
        bool ours = false;

        for (int k = 0; k < own && !failed; k++)
            ours = ours || strncmp(environ[i], ret[k], strcspn(ret[k], "=") + 1) == 0;
        if (!ours && !(ret[own++] = strdup(environ[i])))
            failed = true;
    }
    if (failed) {
        for (int i = 0; i < own; i++)
            free(ret[i]);
        free(ret);
        return NULL;
    }
    return ret;
}

static int set(struct run *run, const char *name, const char *value, struct errmsg *m)
{
    char why[BATON_WHY_MAX];
    int r = value ? baton_set(run->consumer, name, value, why, sizeof(why)) : BATON_OK;

    return r < 0 ? err_set(m, r, "%s", why) : ERR_OK;
}

static int open_consumer(struct run *run, struct errmsg *m)
{
    const struct run_config *c = run->config;
    char why[BATON_WHY_MAX];
    const char *name, *value;
    int r = baton_new(&run->consumer);

    if (r < 0)
        return err_set(m, r, "out of memory");
    if ((r = set(run, "baton.fleet", c->fleet, m)) < 0 || (r = set(run, "baton.color", c->color, m)) < 0 ||
        (r = set(run, "baton.version", c->version, m)) < 0 || (r = set(run, "baton.control.prefix", c->prefix, m)) < 0)
        return r;
    for (int i = 0; kafka_settings_at(c->kafka, i, &name, &value); i++)
        if ((r = set(run, name, value, m)) < 0)
            return r;
    for (int i = 0; i < c->baton_count; i++)
        if ((r = set(run, c->baton[i][0], c->baton[i][1], m)) < 0)
            return r;
    r = baton_open(run->consumer, why, sizeof(why));
    return r < 0 ? err_set(m, r, "%s", why) : ERR_OK;
}

/* Signals come as bytes of a descriptor; blocked before any thread starts, so that none of them gets one. */
static int open_signals(struct run *run, struct errmsg *m)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };
    sigset_t all;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&all);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        sigaddset(&all, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    run->signal_fd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
    run->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    run->dlq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (run->signal_fd < 0 || run->wake_fd < 0 || run->dlq_fd < 0)
        return err_set(m, ERR_IO, "signals: %s", strerror(errno));
    return ERR_OK;
}

static int open_hands(struct run *run, struct errmsg *m)
{
    const struct run_config *c = run->config;
    struct post_config post = { .url = c->url,
                                .ca_file = c->ca_file,
                                .token_file = c->token_file,
                                .timeout_ms = c->record_timeout_ms * c->batch,
                                .wake_fd = run->wake_fd };
    int r = ERR_OK;

    run->hands = calloc((size_t)c->concurrency, sizeof(*run->hands));
    run->environments = calloc((size_t)c->concurrency, sizeof(*run->environments));
    if (!run->hands || !run->environments)
        return err_set(m, ERR_NOMEM, "out of memory");
    for (int i = 0; i < c->concurrency; i++) {
        run->hands[i].run = run;
        run->hands[i].number = i;
        worker_init(&run->hands[i].worker);
    }
    if (post.timeout_ms <= 0 || post.timeout_ms > 3600000)
        post.timeout_ms = 3600000;
    for (int i = 0; i < c->concurrency && r == ERR_OK; i++) {
        if (c->url)
            r = post_open(&run->hands[i].post, &post, m);
        else if (!(run->environments[i] = environment_of(c, i)))
            r = err_set(m, ERR_NOMEM, "out of memory");
    }
    return r;
}

static void tell_memory(const struct run *run)
{
    const struct run_config *c = run->config;
    const char *queued = kafka_settings_get(c->kafka, "queued.max.messages.kbytes");
    long long ahead = (queued ? atoll(queued) : 65536) / 1024, hand = IN_HAND_BYTES_MAX / 1024 / 1024;
    long long each = c->url ? 2 : 5;

    log_info(
        "memory",
        "at most about %lld MiB for records: %lld fetched ahead (queued.max.messages.kbytes), %lld in hand, %lld on "
        "the way to each of %d %s; one record more where records are larger than that",
        ahead + hand + each * c->concurrency, ahead, hand, each, c->concurrency, c->url ? "connections" : "processes");
}

static int open_all(struct run *run, struct errmsg *m)
{
    const struct run_config *c = run->config;
    int r = c->url ? ERR_OK : worker_find(&run->program, c->command[0], m);

    if (r == ERR_OK)
        r = open_signals(run, m);
    if (r == ERR_OK)
        r = lanes_init(&run->lanes, c->order, IN_HAND_MAX, m);
    if (r == ERR_OK)
        r = open_hands(run, m);
    if (r == ERR_OK)
        r = open_consumer(run, m);
    if (r == ERR_OK && c->on_error == ON_ERROR_DLQ)
        r = fate_letters_open(run, m);
    if (r < 0)
        return r;
    pace_init(&run->pace, c->concurrency, IN_HAND_MAX);
    tell_memory(run);
    run->now_us = clock_us();
    for (int i = 0; i < c->concurrency; i++)
        hand_start(&run->hands[i]);
    return intake_start(&run->intake, run->consumer, run->wake_fd, m);
}

/* ---- the loop ---- */

static void take_in(struct run *run)
{
    struct baton_record *records[INTAKE_MAX];
    char why[BATON_WHY_MAX];
    int error = 0, count = intake_take(&run->intake, records, &error);
    size_t largest = 0;

    for (int i = 0; i < count; i++) {
        size_t key_len, value_len;
        const void *key = baton_record_key(records[i], &key_len);

        baton_record_value(records[i], &value_len);
        lanes_put(&run->lanes, records[i], baton_record_topic(records[i]), baton_record_partition(records[i]), key,
                  key_len, key_len + value_len, run->now_us);
        if (key_len + value_len > largest)
            largest = key_len + value_len;
    }
    if (count)
        run->record_bytes = largest > run->record_bytes / 2 ? largest : run->record_bytes / 2;
    if (error && !run->deaf) {
        run->deaf = true;
        if (baton_get(run->consumer, "baton.why", why, sizeof(why)) < 0 || !*why)
            snprintf(why, sizeof(why), "%s", baton_error_text(error));
        log_error("no_more_records", "%s", why);
        run_stop(run, 1);
    }
}

/* Records that wait behind one that is tried again later are no work, so they hold up nobody else. */
static void allow(struct run *run)
{
    struct lanes *l = &run->lanes;
    int busy = l->in_hand - l->stuck, room = run->pace.limit - busy, hard = l->items_max - l->in_hand;

    pace_holds(&run->pace, busy);
    if (room > hard)
        room = hard;
    if (l->bytes >= IN_HAND_BYTES_MAX)
        room = 0;
    else if (run->record_bytes && room > (int)((IN_HAND_BYTES_MAX - l->bytes) / run->record_bytes) + 1)
        room = (int)((IN_HAND_BYTES_MAX - l->bytes) / run->record_bytes) + 1;
    if (!run->stop_us)
        intake_allow(&run->intake, room > 0 ? room : 0);
}

static void clear(int fd)
{
    uint64_t ignored;

    if (read(fd, &ignored, sizeof(ignored)) < 0) {
        /* nothing rang */
    }
}

static void on_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        int number = (int)info.ssi_signo;

        if (number == SIGCHLD)
            continue; /* every turn looks who ended */
        if (number == SIGTERM || number == SIGINT) {
            log_info("stopping", "signal=%d, finishing %d records in hand within %lld ms; %s", number,
                     run->lanes.in_hand, (long long)run->config->grace_ms, "a second signal ends at once");
            run->hurried = run->stop_us != 0;
            run_stop(run, 0);
            continue;
        }
        for (int i = 0; i < run->config->concurrency; i++) /* theirs: read the configuration again, and the like */
            if (run->hands[i].worker.pid)
                kill(run->hands[i].worker.pid, number);
    }
}

static void wait_and_hear(struct run *run, int64_t next_us)
{
    struct pollfd fds[3 + 2 * RUN_CONCURRENCY_MAX] = { { .fd = run->signal_fd, .events = POLLIN },
                                                       { .fd = run->wake_fd, .events = POLLIN },
                                                       { .fd = run->dlq_fd, .events = POLLIN } };
    int n = run->config->concurrency, wait;
    int64_t wait_ms = (next_us - clock_us() + 999) / 1000;

    for (int i = 0; i < n; i++) {
        struct worker *w = &run->hands[i].worker;
        bool writes = w->in >= 0;

        /* a pipe that is empty of us is watched too: that its reader is gone is told by POLLERR */
        fds[3 + 2 * i] = (struct pollfd){ .fd = w->in, .events = writes && w->sent < w->out.len ? POLLOUT : 0 };
        fds[4 + 2 * i] = (struct pollfd){ .fd = w->out_fd, .events = POLLIN };
    }
    wait = (int)(wait_ms < 0 ? 0 : wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms);
    poll(fds, 3 + 2 * (nfds_t)n, wait);
    run->now_us = clock_us();
    clear(run->wake_fd);
    if (fds[2].revents)
        clear(run->dlq_fd);
    if (fds[0].revents)
        on_signals(run);
    for (int i = 0; i < n; i++) {
        struct hand *hand = &run->hands[i];

        if (hand->post || fds[4 + 2 * i].revents)
            hand_hear(hand);
        if (fds[3 + 2 * i].revents & POLLERR)
            hand_lost_reader(hand);
        else if (fds[3 + 2 * i].revents)
            hand_write(hand);
    }
}

void run_stop(struct run *run, int exit_code)
{
    if (run->stop_us)
        return;
    run->stop_us = run->now_us;
    run->stop_by_us = run->now_us + run->config->grace_ms * 1000;
    run->exit_code = exit_code;
}

/* What is left to do before the end; true: nothing. */
static bool stopped(struct run *run, int64_t *next_us)
{
    const struct lanes *l = &run->lanes;
    bool given = l->in_hand - l->out == l->stuck, gone = true;
    int64_t step_us = run->stop_by_us - TERM_US;

    for (int i = 0; i < run->config->concurrency; i++) {
        struct hand *hand = &run->hands[i];

        if (hand->post) {
            gone = gone && (!post_busy(hand->post) || run->hurried) && (given || hand->starts_us);
            continue;
        }
        if (!hand->worker.pid)
            continue;
        gone = false;
        if (given)
            worker_finish(&hand->worker);
        if (run->hurried || run->now_us >= step_us + TERM_US / 2)
            worker_signal(&hand->worker, SIGKILL);
        else if (run->now_us >= step_us && !hand->kill_us) {
            worker_signal(&hand->worker, SIGTERM);
            hand->kill_us = step_us + TERM_US / 2;
        }
    }
    *next_us = run->now_us + 20000; /* the end is looked for, not waited for: it takes many forms */
    if (gone && (run->parked == 0 || run->hurried))
        return true;
    return run->now_us >= run->stop_by_us;
}

/* Now and then, not each turn: it asks libbaton about every lane that sleeps. */
static void give_back(struct run *run, int64_t *next_us)
{
    if (run->lanes.stuck == 0)
        return;
    if (run->now_us >= run->give_back_us) {
        fate_give_back(run);
        run->give_back_us = run->now_us + GIVE_BACK_US;
    }
    if (run->give_back_us < *next_us)
        *next_us = run->give_back_us;
}

static void loop(struct run *run)
{
    for (;;) {
        int64_t next_us = INT64_MAX, wake_us;

        take_in(run);
        fate_letters_turn(run);
        for (int i = 0; i < run->config->concurrency; i++) {
            hand_reap(&run->hands[i]);
            hand_look_at_clock(&run->hands[i], &next_us);
        }
        wake_us = lanes_wake(&run->lanes, run->now_us);
        give_back(run, &wake_us);
        if (wake_us < next_us)
            next_us = wake_us;
        if (run->letters && run->letters_us < next_us)
            next_us = run->letters_us;
        hands_give(run);
        fate_flush(run);
        allow(run);
        if (run->stop_us) {
            if (run->intake.runs) {
                intake_stop(&run->intake);
                continue; /* what it still had */
            }
            if (stopped(run, &next_us))
                return;
        }
        wait_and_hear(run, next_us);
    }
}

/* ---- the end ---- */

/* True: a request is under way, and the thread that waits for its answer cannot be ended. */
static bool run_deinit(struct run *run)
{
    bool busy = false;

    intake_stop(&run->intake);
    for (int i = 0; run->hands && i < run->config->concurrency; i++) {
        struct hand *hand = &run->hands[i];

        if (hand->worker.pid) {
            worker_signal(&hand->worker, SIGKILL);
            hand_reap(hand);
        }
        worker_deinit(&hand->worker);
        if (hand->post && post_busy(hand->post))
            busy = true;
        else
            post_close(hand->post);
        for (char **word = run->environments ? run->environments[i] : NULL; word && *word; word++)
            free(*word);
        if (run->environments)
            free(run->environments[i]);
    }
    free(run->environments);
    free(run->hands);
    dlq_close(run->dlq);
    if (run->consumer)
        baton_free(run->consumer);
    lanes_deinit(&run->lanes);
    free(run->program);
    if (run->signal_fd >= 0)
        close(run->signal_fd);
    if (run->dlq_fd >= 0)
        close(run->dlq_fd);
    if (run->wake_fd >= 0 && !busy)
        close(run->wake_fd);
    return busy;
}

static void end(struct run *run)
{
    int64_t left_ms = (run->stop_by_us - clock_us()) / 1000;
    int unfinished = run->lanes.in_hand;

    fate_flush(run);
    if (unfinished) {
        log_warn("unfinished", "records=%d, they will be delivered again to the color %s", unfinished,
                 run->config->color);
        if (!run->exit_code)
            run->exit_code = EXIT_DEADLINE;
    }
    if (left_ms < CLOSE_MS_LEAST)
        left_ms = CLOSE_MS_LEAST;
    baton_close(run->consumer, unfinished ? 0 : (int)left_ms);
    log_info("ended", "done=%llu failed=%llu given_again=%llu", (unsigned long long)run->done_total,
             (unsigned long long)run->failed_total, (unsigned long long)run->again_total);
}

int run(const struct run_config *config, struct errmsg *m)
{
    struct run *run = calloc(1, sizeof(*run));
    int r;

    if (!run)
        return err_set(m, ERR_NOMEM, "out of memory");
    run->config = config;
    run->signal_fd = run->wake_fd = run->dlq_fd = -1;
    r = open_all(run, m);
    if (r == ERR_OK) {
        loop(run);
        end(run);
        r = run->exit_code;
    }
    if (run_deinit(run)) {
        fflush(NULL);
        _exit(r < 0 ? 1 : r);
    }
    free(run);
    return r;
}
