/*
 * petition - a request that a member leaves on a notice board for the controller, and its answer: the member's half of what the
 * controller's asks.h answers, for the ways that have one (redis.c, configmap.c).
 *
 * One at a time, made by the relay's request thread; the answer, "NUMBER STATUS EDITION" and a line end, then what HTTP would have
 * for a body, comes by another. That of an earlier one is not waited for any more, and counts for nothing.
 *
 * Where the log ends is answered for one EDITION of the board, and counts once that very edition has been read up to it: a board
 * that went back, or holds another log's records, makes a member wait, and never go on.
 */
#ifndef CHANNEL_PETITION_H
#define CHANNEL_PETITION_H

#include "channel/relay.h"

#define PETITION_EDITION_MAX 64

struct petition {
    struct relay *relay;
    /* under the relay's lock */
    uint64_t number; /* of the newest */
    int status;      /* its answer, as HTTP's; 0: none yet */
    char edition[PETITION_EDITION_MAX];
    char *body;
    size_t body_len;
    char read_edition[PETITION_EDITION_MAX]; /* of the position below */
    int64_t read_position;                   /* of the board: all below it was put */
};

/* All else is to be zero. */
void petition_init(struct petition *p, struct relay *r);
void petition_deinit(struct petition *p);

/* --- of the thread that reads the board, and of the one that hears answers ---------------------------------------- */

/* All below `position` was put into the relay, which takes that in, too. False: the stream is to end. */
bool petition_read(struct petition *p, int generation, const char *edition, int64_t position);
void petition_hear(struct petition *p, const char *text, size_t len);

/* --- of the request thread ---------------------------------------------------------------------------------------- */

/* The number of a new one. */
uint64_t petition_begin(struct petition *p);
/* Until it is answered: true; else until so late, or the end. */
bool petition_wait(struct petition *p, int64_t until_ms);
/* What was answered; `how` it went ("through Redis"), for the sentence. ret_end may be NULL. */
int petition_answer(struct petition *p, int64_t *ret_end, const char *how, struct errmsg *m);
/* Is the board known up to the end that was answered? Waits a moment for it: another edition may be on its way. */
bool petition_end_is_read(struct petition *p, int64_t end);

#endif
