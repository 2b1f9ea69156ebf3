/*
 * carry - one step of the holder, and its effects carried out.
 *
 * Commits and questions are asked without waiting; an `ask` remembers for which partitions until the answer comes, by
 * whichever way, and becomes the holder's event. What fails at once is answered in the next turn, so that effects of
 * one step never run inside those of another.
 */
#ifndef MEMBER_CARRY_H
#define MEMBER_CARRY_H

#include "member/consumer.h"

enum ask_type { ASK_COMMIT, ASK_OFFSETS, ASK_ACTIVE };

struct ask {
    struct ask *next;
    enum ask_type type;
    uint64_t token;
    bool refused; /* could not even be asked */
    int count;
    struct holder_part_at parts[];
};

/* The library's thread, without the lock. Fills in the clocks. */
void carry_step(struct baton_consumer *c, struct holder_event ev);
/* The answer to a commit or a question. `failed` NULL: all failed if `all_failed`. Frees the ask. */
void carry_answer(struct baton_consumer *c, struct ask *ask, const bool *failed, bool all_failed);
struct ask *carry_find(struct baton_consumer *c, uint64_t token);
/* What was refused at once. */
void carry_refused(struct baton_consumer *c);
/* Room for so many partitions; ERR_NOMEM. */
int carry_reserve(struct baton_consumer *c, int part_count);
void carry_release(struct baton_consumer *c);

#endif
