/*
 * feed - a fleet's part of the control log, for members that have no rights on Baton's topics.
 *
 *   GET  /v1/fleets/{fleet}/log       a stream: first the newest record of each key, then every new one
 *   GET  /v1/fleets/{fleet}/log/end   where the log ends: read from the brokers after the question, and replayed here
 *   POST /v1/fleets/{fleet}/reports   a report; answered when it stands in baton.reports
 *
 * feed.c keeps what a log compacted to the last byte would hold, and serves it over HTTP; keeper.c writes the same into a
 * Redis. `told` is the position that a fleet's members are to know.
 */
#ifndef CONTROLLER_FEED_H
#define CONTROLLER_FEED_H

#include "controller/internal.h"

/* The text of a record, as it stands in the log; offset -1: none. */
struct feed_text {
    int64_t offset;
    char *text; /* NULL: a tombstone */
    size_t len;
};

/* A key of the log. What follows its last good record is passed on, too: it may be what is being mended. */
struct feed_slot {
    struct feed_text good, bad;
};

struct feed_stream {
    struct feed_stream *next;
    struct feed *feed;
    struct http_exchange *x;
    bool gone; /* freed when nobody walks the list */
};

#define FEED_EDITION_LEN 16
#define FEED_STAMP_MAX 80

/* A fleet on a notice board, which others write, too. */
struct notice {
    bool whole;                         /* what stands there is what this controller wrote: all below the position */
    char edition[FEED_EDITION_LEN + 1]; /* of what it wrote */
    int64_t position;
    bool asked;        /* members wait for it to have the log's end */
    uint64_t question; /* to the log's end, 0: not asked */
};

/* What the Redis has of it, as far as keeper.c knows. */
struct feed_kept {
    struct notice notice;
    bool stamp_known;           /* that below */
    char stamp[FEED_STAMP_MAX]; /* of the stream's last entry, "": there is no stream */
    int64_t *offsets;           /* of the entries, in order; those of the notice */
    int offset_count;
    uint64_t job;    /* the one that is out, 0: none */
    int64_t next_ms; /* not looked at before */
};

struct feed {
    struct feed *next;
    struct feeds *feeds;
    char fleet[FLEET_NAME_MAX + 1];
    struct feed_slot slots[1 + SHARDS_MAX]; /* the head, the shards */
    struct feed_stream *streams;
    bool stream_gone; /* one of them is */
    struct str fresh; /* events that its streams get at the end of the turn, in one piece */
    int64_t told;     /* the position that its members know, or are about to */
    bool news;        /* they are to know a higher one */
    int64_t needed;   /* one past the newest record of it */
    struct feed_kept kept;
};

struct feeds {
    struct controller *c;
    struct feed_slot claim;
    struct feed *list;
    int count;
    const struct kafka_record *record; /* being replayed */
    bool record_good;
    uint64_t question; /* "where is the end?", 0: not asked */
    uint64_t asked;    /* questions so far */
    uint64_t answered; /* the newest of them that was answered ... */
    int64_t end;       /* ... with this */
};

struct feed *feed_find(const struct feeds *f, const char *fleet); /* NULL: there is none */

#define FEED_LINES_MAX (2 * (2 + SHARDS_MAX))
struct feed_line {
    const struct feed_text *text;
    char key[RECORD_KEY_MAX];
};
/* What its members are to know, in log order: the claim, the head, the shards. How many. */
int feed_lines(struct feed_line lines[FEED_LINES_MAX], const struct feed *feed);

/* True: f->end was read from the brokers after *question was first 0, and is replayed. Else it is being asked. */
bool feeds_end_known(struct feeds *f, uint64_t *question);

/*
 * What stands on the board up to `theirs` is not this controller's: may it be written over? False: not now, it is ahead of
 * what is replayed here. What is ahead of the very end is of a log that is gone; that is said under the name `event`.
 */
bool notice_replaceable(struct feeds *f, struct notice *n, const char *fleet, int64_t theirs, const char *event);

#endif
