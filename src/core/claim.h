/*
 * claim - how a controller comes to lead, and how it ceases to (PROTOCOL rule 1).
 *
 * Kafka elects, but two may believe for a while that they are elected. A claim in the control log decides: its offset is the term of the
 * reign, and a higher claim ends it, whoever wrote that one and whatever became of him.
 *
 *   NONE --elected--> CATCH_UP --the log is read to its end--> WRITE --acknowledged: its offset is the term--> READ
 *                                                                                                               |
 *   LEADING <--the reports are read to their end-- REPORTS <--the log is read up to the claim, and it is there--+
 *
 *   NONE <--the lead was lost-- (all five), and from RESTING after a second
 *   RESTING <--a higher claim, an answer that says no, too long under way, any failure of the shell-- (all five)
 *
 * CATCH_UP: who is far behind deposes nobody. READ: what stands before the claim counts, so it is known before anything is written.
 * REPORTS: who has said something before the claim was there is known, and waited for (rules 2 and 9).
 *
 * A claim whose answer was lost, or that comes late, may stand in the log all the same. It ends the reign of whoever leads then, and
 * begins none: an answer counts for the question of this reign alone. The ends of two readings and an acknowledgement are the shell's to
 * get (src/controller/reign.c, the simulation).
 */
#ifndef CORE_CLAIM_H
#define CORE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"

enum claim_state {
    CLAIM_NONE,
    CLAIM_CATCH_UP,
    CLAIM_WRITE,
    CLAIM_READ,
    CLAIM_REPORTS,
    CLAIM_LEADING,
    CLAIM_RESTING,
};
#define CLAIM_STATE_COUNT (CLAIM_RESTING + 1)

struct claimant {
    enum claim_state state;
    uint64_t number; /* counts its elections: answers name it */
    int64_t term;    /* the offset of its claim, from READ to LEADING; else -1 */
    int64_t since_ms;
    const char *why; /* why the last reign ended, where the rules above end it; NULL: the shell knows */
};

enum claim_event_type {
    CLAIM_ELECTED,
    CLAIM_LOST,         /* the lead is another's, or the session is over */
    CLAIM_CAUGHT_UP,    /* answer to CLAIM_ASK_LOG */
    CLAIM_WRITTEN,      /* answer to CLAIM_APPEND */
    CLAIM_REPORTS_READ, /* answer to CLAIM_ASK_REPORTS */
    CLAIM_LOG,          /* how far the log is read: told after every reading */
    CLAIM_FAILED,       /* something of the shell's: what it leads may not be what is in the log */
    CLAIM_TICK,
};

struct claim_event {
    enum claim_event_type type;
    int64_t now_ms;
    uint64_t number; /* of an answer: the claimant's when it was asked */
    bool failed;     /* of an answer */
    int64_t offset;  /* of CLAIM_WRITTEN */
    /* of CLAIM_LOG */
    int64_t position; /* one past the last record that was read */
    int64_t highest;  /* claim that was read, -1: none */
    bool ours;        /* this process wrote it */
};

/* What the shell has to do now. */
enum claim_effect {
    CLAIM_NOTHING,
    CLAIM_ASK_LOG,     /* where does the control log end? Answered when it is read so far */
    CLAIM_APPEND,      /* the claim */
    CLAIM_ASK_REPORTS, /* the same of the reports, asked from now on */
    CLAIM_LEAD,        /* begins with what the log says */
    CLAIM_STOP,        /* forgets all that it led; it is no leader any more */
    CLAIM_STEP_DOWN,   /* the same, and leaves the election until it is NONE again */
};

void claim_init(struct claimant *c);
enum claim_effect claim_step(struct claimant *c, const struct claim_event *ev);
/* Elected, and does not lead yet. */
bool claim_under_way(const struct claimant *c);

#endif
