/*
 * fate - what becomes of a record: done, tried again, skipped, a dead letter, or the end of the run.
 *
 * A record is held responsible only for what is certainly its own doing: an error that names it, or a deadline that
 * passed with it first in line; and a crash only when it was alone in hand, and only if the command has done another
 * record since one was last given up for a crash. Without the last rule a command that cannot even start (a missing
 * module, a password that changed) would empty the topic into the dead letters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/internal.h"

#define BACKOFF_LEAST_US 100000
#define BACKOFF_MOST_US 30000000
#define LETTER_AGAIN_US 1000000

/* A dead letter that is not safe yet. */
struct letter {
    struct letter *next; /* in the list of those to be sent again */
    struct run *run;
    struct item *item;
    char error[ACK_ERROR_MAX];
};

static bool header_of(const void *self, int index, const char **name, const void **value, size_t *len)
{
    return baton_record_header(self, index, name, value, len) == BATON_OK;
}

void record_view_of(struct record_view *ret, const struct item *item)
{
    const struct baton_record *r = item->record;

    *ret = (struct record_view){ .fleet = baton_record_fleet(r),
                                 .color = baton_record_color(r),
                                 .topic = baton_record_topic(r),
                                 .partition = baton_record_partition(r),
                                 .offset = baton_record_offset(r),
                                 .timestamp_ms = baton_record_timestamp_ms(r),
                                 .epoch = baton_record_epoch(r),
                                 .attempt = item->handed,
                                 .header = header_of,
                                 .self = r };
    ret->key = baton_record_key(r, &ret->key_len);
    ret->value = baton_record_value(r, &ret->value_len);
}

/* "orders/3/42" */
static const char *place_of(char ret[300], const struct item *item)
{
    const struct baton_record *r = item->record;

    snprintf(ret, 300, "%s/%d/%lld", baton_record_topic(r), baton_record_partition(r),
             (long long)baton_record_offset(r));
    return ret;
}

void fate_flush(struct run *run)
{
    baton_done_all(run->done, run->done_count);
    run->done_count = 0;
}

static void tell_done(struct run *run, struct item *item)
{
    run->done[run->done_count++] = item->record;
    run->done_total++;
    if (run->done_count == DONE_MAX)
        fate_flush(run);
}

void fate_done(struct run *run, struct hand *hand, struct line *line, struct item *item)
{
    tell_done(run, item);
    lanes_done(&run->lanes, line, item);
    hand->fruitful = true;
    run->proven = true;
}

static int64_t backoff_us(int failed)
{
    int64_t us = BACKOFF_LEAST_US;

    for (int i = 1; i < failed && us < BACKOFF_MOST_US; i++)
        us *= 2;
    return us < BACKOFF_MOST_US ? us : BACKOFF_MOST_US;
}

/* ---- dead letters ---- */

static void letter_later(struct letter *letter, const char *error)
{
    struct run *run = letter->run;
    char place[300], quoted[600];

    log_error("dead_letter_refused", "record=%s topic=%s error=%s, trying again in 1 s", place_of(place, letter->item),
              run->config->dlq, log_quote(quoted, sizeof(quoted), error));
    letter->next = run->letters;
    run->letters = letter;
    run->letters_us = run->now_us + LETTER_AGAIN_US;
}

static void letter_send(struct letter *letter)
{
    struct record_view view;
    struct errmsg m = { 0 };

    record_view_of(&view, letter->item);
    view.attempt = letter->item->failed;
    if (dlq_send(letter->run->dlq, &view, letter->error, letter, &m) < 0)
        letter_later(letter, m.text);
}

static void letter_said(void *opaque, void *which, const char *error)
{
    struct letter *letter = which;
    struct run *run = opaque;
    char place[300], quoted[600];

    if (error) {
        letter_later(letter, error);
        return;
    }
    log_warn("dead_letter", "record=%s topic=%s error=%s", place_of(place, letter->item), run->config->dlq,
             log_quote(quoted, sizeof(quoted), letter->error));
    tell_done(run, letter->item);
    lanes_unpark(&run->lanes, letter->item);
    run->parked--;
    free(letter);
}

int fate_letters_open(struct run *run, struct errmsg *m)
{
    return dlq_open(&run->dlq, run->config->kafka, run->config->dlq, run->dlq_fd, letter_said, run, m);
}

void fate_letters_turn(struct run *run)
{
    struct letter *again = run->letters;

    if (!run->dlq)
        return;
    dlq_turn(run->dlq);
    if (!again || run->now_us < run->letters_us)
        return;
    again = run->letters;
    run->letters = NULL;
    while (again) {
        struct letter *next = again->next;

        letter_send(again);
        again = next;
    }
}

/* ---- failures ---- */

static void give_up(struct run *run, struct line *line, struct item *item, const char *error)
{
    char place[300], quoted[600];
    struct letter *letter;

    place_of(place, item);
    log_quote(quoted, sizeof(quoted), error);
    switch (run->config->on_error) {
    case ON_ERROR_RETRY:
        break; /* never given up */
    case ON_ERROR_SKIP:
        log_error("record_skipped", "record=%s attempts=%d error=%s", place, item->failed, quoted);
        tell_done(run, item);
        lanes_done(&run->lanes, line, item);
        break;
    case ON_ERROR_DLQ:
        letter = calloc(1, sizeof(*letter));
        if (!letter) {
            lanes_back(&run->lanes, line, item, run->now_us + BACKOFF_LEAST_US);
            break;
        }
        letter->run = run;
        letter->item = item;
        snprintf(letter->error, sizeof(letter->error), "%s", error);
        lanes_park(&run->lanes, line, item);
        run->parked++;
        letter_send(letter);
        break;
    case ON_ERROR_STOP:
        log_error("record_failed", "record=%s attempts=%d error=%s, stopping: it stays the next one to do", place,
                  item->failed, quoted);
        lanes_back(&run->lanes, line, item, INT64_MAX);
        run_stop(run, 1);
        break;
    }
}

static void try_again(struct run *run, struct line *line, struct item *item, const char *error)
{
    int64_t wait_us = backoff_us(item->failed);
    char place[300], quoted[600];
    unsigned more;

    if (complain(run, &run->failing, &more))
        log_warn("record_failed", "record=%s attempt=%d error=%s, trying again in %lld ms%s%.0d%s",
                 place_of(place, item), item->handed, log_quote(quoted, sizeof(quoted), error),
                 (long long)(wait_us / 1000), more ? "; since the last such line " : "", (int)more,
                 more ? " more failed" : "");
    if (item->apart == APART_NO)
        item->apart = APART_LINE;
    lanes_back(&run->lanes, line, item, run->now_us + wait_us);
}

void fate_failed(struct run *run, struct line *line, struct item *item, const char *error)
{
    run->failed_total++;
    item->failed++;
    if (run->config->on_error != ON_ERROR_RETRY && item->failed > run->config->retries)
        give_up(run, line, item, error);
    else
        try_again(run, line, item, error);
}

static bool give(void *record)
{
    return baton_give_back(record) == BATON_OK;
}

void fate_give_back(struct run *run)
{
    const int count = lanes_give_back(&run->lanes, give);

    if (count > 0)
        log_info("given_back", "records=%d, they failed or wait behind one that did, and their partition is passed on",
                 count);
}

void fate_crashed(struct run *run, struct line *line, struct item *item, const char *error, bool certain)
{
    const struct run_config *c = run->config;

    item->apart = APART_IDLE;
    run->again_total++;
    if (!certain || !run->proven) {
        lanes_back(&run->lanes, line, item, 0);
        return;
    }
    if (c->on_error != ON_ERROR_RETRY && item->failed + 1 > c->retries)
        run->proven = false;
    fate_failed(run, line, item, error);
}
