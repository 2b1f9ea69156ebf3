/*
 * whole - an application that nobody has changed: it is stopped and started as a whole, and only the brokers say what it does.
 *
 * One agent speaks for all processes of a color (src/agent/outside). It is the color's one member: the holder has every partition of
 * the fleet, and this says what follows from that for an application that has but one valve, and how the holder's questions are
 * answered from what the brokers show.
 *
 *   every baton is ours and held, and the holder is active on each     RUN    it is started, and started again
 *   every baton is ours and held, and the holder is on its way there   AS_IS  an agent that has just come up leaves it alone
 *   anything else                                                      STOP   it is stopped, and stopped again
 *
 * A baton is held, and not merely granted, before the application is started: what it commits then carries no mark, and of a held
 * baton a commit without a mark is the holder's own (PROTOCOL rule 6), for an agent that comes up later too.
 *
 * Busy: it may be at work. So it is taken to be from the start of the agent on and from every word to start, until the brokers have
 * listed its group without a member twice, both times asked after any such word had been answered, while it was to be stopped. An
 * answer of the application proves nothing. Each such proof has a number: what was read before the newest one is not where it
 * stopped.
 *
 * A loss: a process that died may have done records that it did not commit, and they will be done again. So the log's ends are read after
 * it, and what lies between is a doubt (PROTOCOL rule 10). The brokers show it, or the driver does; the start of the agent
 * counts as one, since nobody has looked before, and so does a group that takes longer to be left than a stop takes.
 */
#ifndef CORE_WHOLE_H
#define CORE_WHOLE_H

#include "core/holder.h"

enum whole_want { WHOLE_AS_IS, WHOLE_STOP, WHOLE_RUN };
#define WHOLE_WANT_COUNT (WHOLE_RUN + 1)
const char *whole_want_name(enum whole_want want);

enum whole_wait { WHOLE_WAITS_NOT, WHOLE_WAITS_READ, WHOLE_WAITS_COMMIT, WHOLE_WAITS_FOLLOW };

/* Beside every partition of the holder. */
struct whole_part {
    enum whole_wait waits; /* what the holder has asked for ... */
    uint64_t token;
    int64_t offset;
    struct mark mark;
    int64_t asked_ms;
    bool setting;      /* ... and the brokers are being told to set it */
    int64_t committed; /* of its group, by the newest reading, OFFSET_NONE */
    struct mark committed_mark;
    int64_t set_ms;      /* it was set, and known to be, then: readings that were asked for before say nothing */
    uint64_t read_epoch; /* the holder's start under it was worked out from a reading ... */
    uint64_t read_proof; /* ... of this proof, 0: it ran */
    int64_t start;       /* where it was attached */
    int64_t end;         /* of the log, the shell's; OFFSET_NONE: not asked */
};

struct whole {
    struct holder *holder;
    struct whole_part *parts; /* the caller's, as many as the holder's */
    enum whole_want want;
    int64_t want_ms; /* since when */
    bool busy;
    int empty_count;    /* listings in a row that show nobody */
    int64_t started_ms; /* a word to start may take effect until then: what was asked before says nothing */
    uint64_t proof;     /* number of the newest proof that it stands still */
    int64_t read_ms;    /* the newest reading was asked then */
    uint64_t read_proof;
    int64_t
        loss_ms; /* a process may have died by then, with records done and not committed; 0: none since the ends were read */
    int member_count; /* of the group, by the newest listing */
    bool at_rest;
    uint64_t done; /* records that it has committed */
};

/* How the brokers list the color's group. */
struct whole_listing {
    int64_t asked_ms;
    bool known;
    bool at_rest; /* it is not rebalancing */
    int member_count;
};

/* The holder has been initialised. `parts` may be moved, and grow, later. */
void whole_init(struct whole *w, struct holder *h, int64_t now_ms);
/* A partition has been given to the holder: its slot. */
void whole_assigned(struct whole *w, int part);
/* Every baton of the fleet is this color's, and held: an application that runs may go on. */
bool whole_holds(const struct whole *w);
/* Looks at the document; true: another thing is wanted now. */
bool whole_turn(struct whole *w, int64_t now_ms);
/* It is told to start now, or may still follow a word that has been given. */
void whole_started(struct whole *w, int64_t now_ms);

/* The holder's effects READ_OFFSETS, COMMIT, READ_ACTIVE and ATTACH. */
void whole_ask(struct whole *w, enum whole_wait waits, uint64_t token, const struct holder_part_at *at, int64_t now_ms);
void whole_attach(struct whole *w, const struct holder_part_at *at);

/* True: it has just been proved to stand still. */
bool whole_listed(struct whole *w, const struct whole_listing *listing);
/* A process may have died. */
void whole_lost(struct whole *w, int64_t now_ms);
/* The log's ends: of every partition where whole_wants_ends() says so. */
bool whole_wants_end(const struct whole *w, int part);
void whole_ends(struct whole *w, const struct holder_part_at *parts, int count, int64_t asked_ms);
/* What the group has committed, of all partitions at once; proof: whole_proof() when it was asked. */
uint64_t whole_proof(const struct whole *w);
void whole_read(struct whole *w, const struct holder_part_at *parts, int count, int64_t asked_ms, uint64_t proof);
/* What is due for a partition; true: `ev` and `at` are to be given to the holder now. */
bool whole_answer(struct whole *w, int part, struct holder_event *ev, struct holder_part_at *at, int64_t now_ms,
                  int64_t now_unix_us);
/* Its offset is to be set at the brokers: parts[].offset and mark. They refuse while the group has a member. */
bool whole_sets(const struct whole *w, int part);
/* It has been, or not; as whole_answer(). */
bool whole_set(struct whole *w, int part, bool failed, struct holder_event *ev, struct holder_part_at *at,
               int64_t now_ms);
/* Somebody waits for what the brokers show. */
bool whole_waits(const struct whole *w);
/* Every partition has shown that it works. */
bool whole_shown(const struct whole *w);

/* What may be at work is reported as at work, whatever the holder thinks of it. */
void whole_report(const struct whole *w, struct report *ret);

#endif
