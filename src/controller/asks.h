/*
 * asks - requests that members leave on a notice board, a Redis (keeper.h) or ConfigMaps (configmap.h), and their answers.
 *
 *   end FLEET\n            where does the log end?
 *   report FLEET\nREPORT   a report of mine
 *
 * These two a member may make there, and no others, whatever the text holds; each becomes a controller_request() of the
 * route that members use over HTTP (feed.h). An answer is one line, NUMBER STATUS EDITION, and the body of the answer.
 *
 * A member that asked for the end reads its records from the board: so that answer waits until the board has all below it, and names the
 * EDITION that has; until then the fleet is `asked` for, and its keeper writes it, also where it does not lead. What waits longer
 * than a member does is let go, since the member has asked again.
 *
 * All of it is the loop's; another thread may make an ask_new() and hand it over.
 */
#ifndef CONTROLLER_ASKS_H
#define CONTROLLER_ASKS_H

#include "controller/feed.h"

#define ASK_TO_MAX 260

struct ask {
    struct ask *next;
    struct asks *asks;
    char to[ASK_TO_MAX + 1]; /* whom to answer, in the board's own words */
    uint64_t number;         /* the member's own of it */
    char *text;              /* all of it; the request itself begins at */
    size_t len, at;
    char fleet[FLEET_NAME_MAX + 1];
    bool end; /* that is asked for; else it is a report */
    /* of an end that is known, and waits to be on the board */
    int64_t position, held_ms;
    char *answer;
};

struct asks {
    struct controller *c;
    const char *by; /* "redis" */
    /* What is known of the fleet on the board, NULL: nothing. */
    struct notice *(*notice)(void *opaque, const char *fleet);
    void (*answer)(void *opaque, const char *to, const char *text, size_t len);
    void *opaque;
    struct ask *open; /* being answered */
    struct ask *held; /* ends that the board does not have yet */
};

struct ask *ask_new(const char *to, uint64_t number, char *text_take, size_t len, size_t at);
void ask_free_all(struct ask *list);
void asks_take(struct asks *s, struct ask *ask_take);
void asks_turn(struct asks *s);   /* of the ends that are held: after requests were taken, before fleets are written */
void asks_deinit(struct asks *s); /* none of them may be under way in the controller any more */

#endif
