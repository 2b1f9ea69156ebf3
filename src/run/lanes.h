/*
 * lanes - in which order records may be handed out, and which of them are in hand.
 *
 * Each record belongs to a lane: that of its partition, of its key, or one of its own (`enum order`). The records of a
 * lane are handed out one line after the other: as long as a record of a lane is out, in somebody's hands, nothing
 * else of that lane is. So whatever happens to a record, an error and a second try, a crash, what comes behind it
 * waits. Lanes go in turn, and to whoever has time: a lane is bound to no process.
 *
 * A `line` is what is handed out at once: one record, or a batch. It may hold several records of one lane, in order.
 *
 *                 put                take                    done, unpark
 *     (nothing) -------> waiting ------------> out --------------------------> (nothing)
 *                          ^                    | ^ park: its fate is
 *                          +--------------------+ |   decided elsewhere (dead letters)
 *                                  back           +--> parked
 *
 * A record that failed together with others is handed out in a line of its own (APART_LINE); one that may be what killed
 * a process, to somebody who has nothing else in hand (APART_IDLE), so that the next crash has one possible cause.
 *
 * Pure but for its memory, which is allocated once: `items_max` records at most are in hand.
 */
#ifndef RUN_LANES_H
#define RUN_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum order { ORDER_PARTITION, ORDER_KEY, ORDER_NONE };

/* May it be in one line with others, and may who gets it have others in hand? */
enum apart { APART_NO, APART_LINE, APART_IDLE };

struct item {
    struct item *next;                  /* in its lane, or among the free ones */
    struct item *line_prev, *line_next; /* in its line */
    void *record;
    uint64_t number; /* of arrival */
    size_t bytes;
    int64_t came_us;
    uint32_t lane;
    int place;  /* in its line, from 0 */
    int handed; /* so many times */
    int failed; /* so often held against it */
    enum apart apart;
};

struct line {
    uint64_t id;
    struct item *first, *last; /* those that are still out */
    int count;                 /* as handed out */
    int left;
    enum apart apart;
    int64_t came_us;  /* when its first record came; 0: not for the first time */
    int64_t since_us; /* the caller's: from when on it is waited for */
    struct line *next;
};

struct lane {
    struct item *head, *tail;
    int count; /* waiting */
    int out;
    bool asleep;
    int64_t wake_us; /* nothing before then; 0: at once */
    uint32_t next;   /* lane behind it in one of the lists */
};

struct lane_list {
    uint32_t head, tail;
};

struct lanes {
    enum order order;
    struct item *items, *free;
    struct lane *lanes;
    uint32_t lane_count;
    struct lane_list ready, ready_apart, asleep;
    uint64_t numbered;
    int items_max;
    int in_hand;  /* waiting, out and parked */
    int out;      /* out and parked */
    int stuck;    /* waiting in lanes that sleep */
    size_t bytes; /* of all in hand */
};

int lanes_init(struct lanes *l, enum order order, int items_max, struct errmsg *m);
void lanes_deinit(struct lanes *l);

/* A record came. key NULL: it has none, and goes by its partition. There must be room: in_hand < items_max. */
void lanes_put(struct lanes *l, void *record, const char *topic, int32_t partition, const void *key, size_t key_len,
               size_t bytes, int64_t now_us);
/* There are records that want to be handed out. */
bool lanes_ready(const struct lanes *l);
bool lanes_wants_idle(const struct lanes *l); /* the next one that is apart goes only to somebody idle */
/*
 * Fills a line (its id and since_us are the caller's). False: there is nothing for now. `idle`: who will get it has
 * nothing else in hand. Those that are apart go first.
 */
bool lanes_take(struct lanes *l, struct line *ret, int count_max, size_t bytes_max, bool idle);

/* The item's record was the caller's before; the item is gone. */
void lanes_done(struct lanes *l, struct line *line, struct item *item);
/* It waits again, before all that came after it, and not before wake_us. */
void lanes_back(struct lanes *l, struct line *line, struct item *item, int64_t wake_us);
void lanes_park(struct lanes *l, struct line *line, struct item *item);
void lanes_unpark(struct lanes *l, struct item *item); /* done */

/*
 * Offers what waits in lanes that sleep, the newest of a lane first: give() answers whether it took the record, and then its item is
 * gone; what lies before one that it does not take is not offered. Answers how many were taken.
 */
int lanes_give_back(struct lanes *l, bool (*give)(void *record));
/* Lets lanes go on whose time has come. Returns when the next one wakes, INT64_MAX: none sleeps. */
int64_t lanes_wake(struct lanes *l, int64_t now_us);

#endif
