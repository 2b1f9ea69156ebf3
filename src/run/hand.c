/*
 * hand - lines on their way: given to a process or an endpoint, settled by what it says, or left over when it ends.
 *
 * The clock of a record starts when its line is the oldest of its process: what waits in the pipe behind a slow record
 * is not late. A process that ends leaves lines behind; they are given again, and the log says which (possibly repeated).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "run/ack.h"
#include "run/internal.h"
#include "run/text.h"

#define START_AGAIN_US 100000
#define START_AGAIN_US_MAX 10000000
#define PATIENCE_US 5000000 /* with a process that closed its stdin or stdout and does not end */
#define PLACES_SHOWN 5      /* of records that may be repeated */
#define BODY_MAX WORKER_OUT_MAX

/* ---- lines ---- */

static void hand_push(struct hand *hand, struct line *line)
{
    if (hand->lines)
        hand->tail->next = line;
    else
        hand->lines = line;
    hand->tail = line;
    hand->line_count++;
}

/* A line that is settled goes; the next one's clock starts when it becomes the oldest. */
static void hand_drop(struct hand *hand, struct line *line)
{
    struct line *before = NULL;

    ASSERT(line->left == 0);
    for (struct line *l = hand->lines; l != line; l = l->next)
        before = l;
    if (before)
        before->next = line->next;
    else
        hand->lines = line->next;
    if (hand->tail == line)
        hand->tail = before;
    if (!before && hand->lines)
        hand->lines->since_us = hand->run->now_us;
    hand->line_count--;
    if (line->came_us)
        pace_done(&hand->run->pace, line->count, hand->run->now_us - line->came_us, hand->run->now_us);
    free(line);
}

static void line_done(struct hand *hand, struct line *line)
{
    while (line->first)
        fate_done(hand->run, hand, line, line->first);
}

/* All that is left of it waits again; `apart`: because of something that one of them did. */
static void line_back(struct hand *hand, struct line *line, enum apart apart)
{
    while (line->first) {
        struct item *item = line->first;

        if (item->apart < apart)
            item->apart = apart;
        lanes_back(&hand->run->lanes, line, item, 0);
    }
}

static void line_failed(struct hand *hand, struct line *line, int64_t done, const char *error)
{
    if (line->count == 1 && done <= 0) {
        if (line->first)
            fate_failed(hand->run, line, line->first, error);
        return;
    }
    if (done < 0) {
        line_back(hand, line, APART_LINE); /* whichever it was: each goes by itself now */
        return;
    }
    for (struct item *item = line->first, *next; item; item = next) {
        next = item->line_next;
        if (item->place < done)
            fate_done(hand->run, hand, line, item);
        else if (item->place == done)
            fate_failed(hand->run, line, item, error);
        else
            lanes_back(&hand->run->lanes, line, item, 0);
    }
}

/* ---- giving ---- */

static bool has_room(const struct hand *hand, bool idle)
{
    const struct run *run = hand->run;

    if (hand->starts_us || hand->late || (idle && hand->line_count))
        return false;
    if (hand->post)
        return !post_busy(hand->post) && !run->hurried;
    if (hand->line_count && hand->lines->apart == APART_IDLE)
        return false;
    return hand->worker.pid && worker_room(&hand->worker) &&
           hand->line_count < (run->config->batch > 1 ? LINES_BATCH : LINES_SINGLE);
}

static int records_of(const struct hand *hand)
{
    int count = 0;

    for (const struct line *l = hand->lines; l; l = l->next)
        count += l->left;
    return count;
}

static struct hand *pick(struct run *run)
{
    bool idle = lanes_wants_idle(&run->lanes);
    struct hand *best = NULL;
    int least = 0;

    for (int i = 0; i < run->config->concurrency; i++) {
        struct hand *hand = &run->hands[i];
        int records;

        if (!has_room(hand, idle))
            continue;
        records = records_of(hand);
        if (!best || records < least) {
            best = hand;
            least = records;
        }
    }
    return best;
}

static void out_of_memory(void)
{
    log_error("out_of_memory", "nothing more can be done; what is not acknowledged will be delivered again");
    _exit(1);
}

/* Writes the line; records that cannot be written as asked for (--value json) fail at once and are not in it. */
static void line_write(struct hand *hand, struct line *line, struct str *s)
{
    struct run *run = hand->run;
    const struct run_config *c = run->config;
    size_t begin = s->len;
    int placed = 0;

    if (c->batch > 1 && hand->post)
        str_add_char(s, '[');
    else if (c->batch > 1)
        str_addf(s, "{\"id\":%llu,\"records\":[", (unsigned long long)line->id);
    for (struct item *item = line->first, *next; item; item = next) {
        struct record_view view;
        struct errmsg m = { 0 };
        int r;

        next = item->line_next;
        record_view_of(&view, item);
        if (placed)
            str_add_char(s, ','); /* taken back below when the record is refused */
        r = hand->post ? line_add_event(s, &view, c->value, &m)
                       : line_add_record(s, &view, c->batch > 1 ? 0 : line->id, c->value, c->fields, &m);
        if (str_error(s))
            out_of_memory();
        if (r < 0) {
            if (placed)
                text_cut(s, s->len - 1);
            fate_failed(run, line, item, m.text);
            continue;
        }
        item->place = placed++;
    }
    line->count = placed;
    if (placed == 0) {
        text_cut(s, begin);
        return;
    }
    if (c->batch > 1)
        str_add(s, hand->post ? "]" : "]}");
    if (!hand->post)
        str_add_char(s, '\n');
    if (str_error(s))
        out_of_memory();
}

/* False: nothing was there to give. */
static bool give(struct hand *hand)
{
    struct run *run = hand->run;
    const struct run_config *c = run->config;
    int waiting = run->lanes.in_hand - run->lanes.out, share = (waiting + c->concurrency - 1) / c->concurrency;
    struct line *line = calloc(1, sizeof(*line));
    struct str body = STR_WITH_MAX(BODY_MAX);

    if (!line)
        out_of_memory();
    line->id = ++run->line_id;
    if (!lanes_take(&run->lanes, line, share < c->batch ? share : c->batch, LINE_BYTES_MAX, hand->line_count == 0)) {
        free(line);
        return false;
    }
    line->since_us = run->now_us;
    line_write(hand, line, hand->post ? &body : &hand->worker.out);
    if (line->left == 0) {
        free(line);
        str_free(&body);
        return true;
    }
    hand_push(hand, line);
    if (hand->post)
        post_send(hand->post, &body,
                  c->batch > 1 ? "application/cloudevents-batch+json; charset=utf-8"
                               : "application/cloudevents+json; charset=utf-8");
    return true;
}

void hands_give(struct run *run)
{
    struct hand *hand;

    while (lanes_ready(&run->lanes) && (hand = pick(run)) && give(hand))
        ;
    for (int i = 0; i < run->config->concurrency; i++)
        if (!run->hands[i].post)
            hand_write(&run->hands[i]);
}

void hand_lost_reader(struct hand *hand)
{
    worker_close_stdin(&hand->worker);
    hand_reap(hand); /* it ended, most likely */
    if (!hand->worker.pid || hand->run->stop_us)
        return;
    log_warn("command_reads_no_more", "process=%d, it closed its stdin", hand->number);
    if (!hand->kill_us)
        hand->kill_us = hand->run->now_us + PATIENCE_US;
}

void hand_write(struct hand *hand)
{
    if (hand->worker.in >= 0 && !worker_write(&hand->worker) && hand->worker.pid)
        hand_lost_reader(hand);
}

/* ---- hearing ---- */

static bool is_record(const struct item *item, const struct ack *ack)
{
    const struct baton_record *r = item->record;

    return baton_record_offset(r) == ack->offset && baton_record_partition(r) == ack->partition &&
           strcmp(baton_record_topic(r), ack->topic) == 0;
}

static struct line *find(const struct hand *hand, const struct ack *ack, struct item **item)
{
    if (ack->about == ACK_OLDEST)
        return hand->lines;
    for (struct line *line = hand->lines; line; line = line->next) {
        if (ack->about == ACK_LINE && line->id == ack->id)
            return line;
        for (*item = line->first; ack->about == ACK_RECORD && *item; *item = (*item)->line_next)
            if (is_record(*item, ack))
                return line;
    }
    return NULL;
}

static void tell_unknown(struct hand *hand, const struct ack *ack)
{
    char what[350] = "there is no line that is not done";
    unsigned more;

    if (!complain(hand->run, &hand->unknown, &more))
        return;
    if (ack->about == ACK_LINE)
        snprintf(what, sizeof(what), "line %llu is not in its hands", (unsigned long long)ack->id);
    else if (ack->about == ACK_RECORD)
        snprintf(what, sizeof(what), "record %s/%d/%lld is not in its hands", ack->topic, ack->partition,
                 (long long)ack->offset);
    log_warn("acknowledgement_unknown", "process=%d, %s: acknowledged twice, or never given? It is ignored%s%.0d",
             hand->number, what, more ? ", as others before" : "", (int)more);
}

static void on_said(void *opaque, enum worker_said what, const char *text, size_t len)
{
    struct hand *hand = opaque;
    struct ack ack;
    struct errmsg m = { 0 };
    struct item *item = NULL;
    struct line *line;
    unsigned more;

    if (what == WORKER_SAID_TOO_MUCH) {
        log_warn("command_says_too_much", "process=%d, a line of more than %d bytes on its stdout is dropped",
                 hand->number, WORKER_LINE_MAX);
        return;
    }
    if (ack_parse(&ack, text, len, &m) < 0) {
        if (complain(hand->run, &hand->garbage, &more))
            log_warn("command_says", "process=%d, its stdout said %s%s%.0d", hand->number, m.text,
                     more ? " (and more of that kind)" : "", (int)more);
        return;
    }
    if (ack.about == ACK_NOTHING)
        return;
    line = find(hand, &ack, &item);
    if (!line) {
        tell_unknown(hand, &ack);
        return;
    }
    if (ack.about == ACK_RECORD && ack.failed)
        fate_failed(hand->run, line, item, ack.error);
    else if (ack.about == ACK_RECORD)
        fate_done(hand->run, hand, line, item);
    else if (ack.failed)
        line_failed(hand, line, ack.done, ack.error);
    else
        line_done(hand, line);
    if (line->left == 0)
        hand_drop(hand, line);
}

/* ---- its end ---- */

static void tell_left_over(struct hand *hand, int count)
{
    struct str places = STR_WITH_MAX(2000);
    int shown = 0;

    if (count == 0)
        return;
    for (const struct line *line = hand->lines; line; line = line->next)
        for (const struct item *item = line->first; item; item = item->line_next, shown += shown < PLACES_SHOWN) {
            baton_given_again(item->record);
            if (shown == PLACES_SHOWN)
                continue;
            str_addf(&places, " %s/%d/%lld", baton_record_topic(item->record), baton_record_partition(item->record),
                     (long long)baton_record_offset(item->record));
        }
    log_warn("possibly_repeated", "process=%d records=%d, given and not acknowledged, they will be given again:%s%s",
             hand->number, count, places.buf, count > shown ? " ..." : "");
    str_free(&places);
}

static void back_off(struct hand *hand, bool at_once)
{
    int64_t us = START_AGAIN_US;

    hand->fruitless = hand->fruitful ? 0 : hand->fruitless + 1;
    for (int i = 1; i < hand->fruitless && us < START_AGAIN_US_MAX; i++)
        us *= 2;
    if (us > START_AGAIN_US_MAX)
        us = START_AGAIN_US_MAX;
    hand->starts_us = hand->run->now_us + (at_once && hand->fruitful ? 1 : us);
}

/* What it had in hand and did not settle. */
static void left_over(struct hand *hand, const char *why, bool stopped)
{
    struct run *run = hand->run;
    int count = records_of(hand);
    bool oldest = true;

    if (!stopped)
        tell_left_over(hand, count);
    while (hand->lines) {
        struct line *line = hand->lines;

        line->came_us = 0;
        if (hand->late && oldest)
            line_failed(hand, line, -1, why);
        else if (hand->late || stopped)
            line_back(hand, line, APART_NO);
        else
            while (line->first)
                fate_crashed(run, line, line->first, why, count == 1);
        oldest = false;
        if (line->left == 0)
            hand_drop(hand, line);
    }
}

static void process_ended(struct hand *hand, int status)
{
    struct run *run = hand->run;
    bool stopping = run->stop_us != 0;
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    char how[80], why[160];

    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof(how), "exit code %d", code);
    if (hand->late)
        snprintf(why, sizeof(why), "no acknowledgement within %lld ms", (long long)run->config->record_timeout_ms);
    else
        snprintf(why, sizeof(why), "the command ended (%s) with this record in hand", how);
    left_over(hand, why, stopping && !hand->late);
    worker_ended(&hand->worker);
    hand->kill_us = 0;
    if (stopping) {
        if (code && !run->exit_code && !hand->late && !run->hurried)
            run->exit_code = code;
        hand->late = false;
        return;
    }
    back_off(hand, code == 0);
    hand->late = false;
    if (hand->fruitless > FRUITLESS_MAX) {
        log_error("command_given_up", "process=%d %s, it ended %d times in a row without a record done", hand->number,
                  how, hand->fruitless);
        run_stop(run, code ? code : 1);
        return;
    }
    log_event(code ? LOG_WARN : LOG_INFO, "command_ended", "process=%d %s, starting it again in %lld ms", hand->number,
              how, (long long)(hand->starts_us - run->now_us) / 1000);
}

void hand_reap(struct hand *hand)
{
    struct worker *w = &hand->worker;
    siginfo_t info = { 0 };
    int status;

    if (!w->pid || waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != w->pid)
        return;
    worker_signal(w, SIGKILL); /* the rest of its group: it would go on with records that others get */
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    worker_read(w, on_said, hand); /* its last words count */
    process_ended(hand, status);
}

static void on_answer(struct hand *hand, enum post_outcome outcome, const char *why)
{
    struct run *run = hand->run;
    struct line *line = hand->lines;
    unsigned more;

    switch (outcome) {
    case POST_DONE:
        if (hand->fruitless)
            log_info("endpoint_reached", "url=%s", run->config->url);
        line_done(hand, line);
        hand->fruitless = 0;
        break;
    case POST_REFUSED:
    case POST_LATE:
        line_failed(hand, line, -1, why);
        break;
    case POST_BROKEN:
        left_over(hand, why, false);
        return;
    case POST_UNREACHABLE:
        for (struct item *item = line->first; item; item = item->line_next)
            item->handed--;
        line->came_us = 0;
        line_back(hand, line, APART_NO);
        hand->fruitful = false;
        back_off(hand, false);
        if (complain(run, &hand->unknown, &more))
            log_warn("endpoint_unreachable", "%s Trying again", why);
        break;
    }
    if (line->left == 0)
        hand_drop(hand, line);
}

void hand_hear(struct hand *hand)
{
    if (hand->post) {
        enum post_outcome outcome;
        char why[512];

        if (post_busy(hand->post) && post_answer(hand->post, &outcome, why, sizeof(why)))
            on_answer(hand, outcome, why);
        return;
    }
    if (hand->worker.out_fd < 0 || worker_read(&hand->worker, on_said, hand))
        return;
    if (hand->worker.pid && !hand->kill_us && !hand->run->stop_us)
        hand->kill_us = hand->run->now_us + PATIENCE_US; /* it says no more, so it can do no more */
}

/* ---- its beginning, and its times ---- */

bool hand_start(struct hand *hand)
{
    struct run *run = hand->run;
    struct errmsg m = { 0 };

    hand->fruitful = false;
    hand->starts_us = 0;
    if (hand->post)
        return true;
    if (worker_start(&hand->worker, run->program, run->config->command, run->environments[hand->number], &m) < 0) {
        back_off(hand, false);
        log_error("command_not_started", "process=%d error=\"%s\", trying again", hand->number, m.text);
        return false;
    }
    log_info("command_started", "process=%d pid=%d", hand->number, (int)hand->worker.pid);
    return true;
}

static void sooner(int64_t *next_us, int64_t us)
{
    if (us < *next_us)
        *next_us = us;
}

void hand_look_at_clock(struct hand *hand, int64_t *next_us)
{
    struct run *run = hand->run;
    int64_t timeout_us = run->config->record_timeout_ms * 1000;

    if (hand->starts_us && !run->stop_us && run->now_us >= hand->starts_us)
        hand_start(hand);
    if (hand->starts_us && !run->stop_us)
        sooner(next_us, hand->starts_us);
    if (hand->post || !hand->worker.pid)
        return;
    if (hand->kill_us && run->now_us >= hand->kill_us) {
        log_warn("command_killed", "process=%d, it %s and did not end", hand->number,
                 hand->worker.out_fd < 0 ? "closed its stdout" : "closed its stdin");
        worker_signal(&hand->worker, SIGKILL);
        hand->kill_us = 0;
    }
    if (hand->kill_us)
        sooner(next_us, hand->kill_us);
    if (!timeout_us || !hand->lines || hand->late)
        return;
    if (run->now_us < hand->lines->since_us + timeout_us * hand->lines->count) {
        sooner(next_us, hand->lines->since_us + timeout_us * hand->lines->count);
        return;
    }
    log_warn("command_hangs",
             "process=%d, no acknowledgement of line %llu within %lld ms: killing it. Does it write one for each line, "
             "and flush its stdout?",
             hand->number, (unsigned long long)hand->lines->id, (long long)(timeout_us / 1000 * hand->lines->count));
    hand->late = true;
    worker_signal(&hand->worker, SIGKILL);
}
