/*
 * internal - what the files of `run` share: the run, and the hands that its records are in.
 *
 * A `hand` is one process of the command, or one connection to the endpoint. It is given lines and settles them, or
 * ends with lines unsettled. fate.c says what becomes of a record, hand.c moves lines, run.c is the loop. One thread.
 */
#ifndef RUN_INTERNAL_H
#define RUN_INTERNAL_H

#include <baton/baton.h>
#include <poll.h>

#include "run/ack.h"
#include "run/dlq.h"
#include "run/intake.h"
#include "run/lanes.h"
#include "run/pace.h"
#include "run/post.h"
#include "run/run.h"
#include "run/worker.h"

#define IN_HAND_MAX 16384                    /* records */
#define IN_HAND_BYTES_MAX (64 * 1024 * 1024) /* of keys and values, and what one poll brings beyond */
#define LINE_BYTES_MAX (1024 * 1024)         /* of a batch, or one record */
#define LINES_SINGLE 64                      /* on their way to one process, without --batch */
#define LINES_BATCH 2                        /* with it: one at work, one ready behind it */
#define FRUITLESS_MAX 6                      /* ends in a row without a record done */
#define DONE_MAX 1024

struct run;

/* A complaint that may come a thousand times a second is written every 10 s, with how often it came. */
struct complaint {
    int64_t said_us;
    unsigned more;
};

struct hand {
    struct run *run;
    int number;
    struct worker worker;
    struct post *post;         /* NULL: a process */
    struct line *lines, *tail; /* given and not settled, oldest first */
    int line_count;
    int64_t starts_us; /* it is down until then; 0: it is up */
    int64_t kill_us;   /* when patience with it ends; 0: there is no reason */
    bool late;         /* killed for a record that took too long */
    bool fruitful;     /* a record was done since its start */
    int fruitless;     /* ends, or requests, in a row without any */
    struct complaint garbage, unknown;
};

struct run {
    const struct run_config *config;
    char *program;
    char ***environments; /* of each process, NULL-terminated both */
    struct baton_consumer *consumer;
    struct intake intake;
    struct lanes lanes;
    struct pace pace;
    struct dlq *dlq;
    struct letter *letters; /* that wait to be sent again */
    int parked;
    int64_t letters_us;
    int64_t give_back_us; /* not before */
    struct hand *hands;
    int signal_fd, wake_fd, dlq_fd;
    uint64_t line_id;
    int64_t now_us;
    size_t record_bytes; /* of the largest one lately */
    bool proven;         /* a record was done since one was last given up for a crash */
    struct baton_record *done[DONE_MAX];
    int done_count;
    uint64_t done_total, failed_total, again_total;
    struct complaint failing;

    int64_t stop_us; /* since then it stops; 0: it runs */
    int64_t stop_by_us;
    bool hurried; /* a second signal */
    bool deaf;    /* libbaton gives nothing any more */
    int exit_code;
};

/* ---- fate.c: what becomes of a record ---- */

void record_view_of(struct record_view *ret, const struct item *item);
void fate_done(struct run *run, struct hand *hand, struct line *line, struct item *item);
void fate_flush(struct run *run); /* tells libbaton */
/* It failed, and it is known which one: again later, or given up. */
void fate_failed(struct run *run, struct line *line, struct item *item, const char *error);
/* The same for what a crash left: `certain` when it was the only one in hand. */
void fate_crashed(struct run *run, struct line *line, struct item *item, const char *error, bool certain);
/* What only waits to be tried again, of partitions that are being given away, goes back: whoever has them next begins there. */
void fate_give_back(struct run *run);
int fate_letters_open(struct run *run, struct errmsg *m);
void fate_letters_turn(struct run *run);

/* ---- hand.c ---- */

bool hand_start(struct hand *hand); /* false: it cannot be started now, and is tried again */
void hands_give(struct run *run);
void hand_hear(struct hand *hand); /* reads its stdout, or the answer */
void hand_write(struct hand *hand);
void hand_lost_reader(struct hand *hand); /* nobody reads its stdin any more */
void hand_reap(struct hand *hand);        /* did the process end? */
void hand_look_at_clock(struct hand *hand, int64_t *next_us);

/* ---- run.c ---- */

void run_stop(struct run *run, int exit_code);
/* True: say it now; *more: how often it was not said. */
bool complain(struct run *run, struct complaint *c, unsigned *more);

#endif
