/*
 * stage - which partitions pass in which stage of a switch.
 *
 * A stage says how much the new color holds when it has passed: a share ("10%"), a number of partitions ("3"), or partitions by
 * name ("orders/0"); names that follow one another are one stage. The last one is 100%.
 *
 * What is not named is picked so that a stage is like the whole: the partitions are put in order of their load and every so
 * many-th is taken. The heaviest, and whatever bears more than twice the average, go with the last stage unless they are named
 * or nothing else is left: a version that is on trial does not get the busiest partition first. Where no load is known the order is
 * that of the fleet, so the stage has something of every topic.
 */
#ifndef CORE_STAGE_H
#define CORE_STAGE_H

#include "base/err.h"
#include "core/types.h"

struct spec;
struct fleet;

enum stage_kind { STAGE_SHARE, STAGE_NUMBER, STAGE_NAMES };

struct stage_size {
    enum stage_kind kind;
    int amount; /* percent; partitions; how many names */
    int first;  /* of STAGE_NAMES: its first in `names` */
};

struct stage_name {
    uint16_t topic; /* index into spec.topics */
    int32_t partition;
};

struct stages {
    struct stage_size items[STAGES_MAX];
    int count;
    struct stage_name names[STAGE_NAMES_MAX];
    int name_count;
};

/* One stage of everything. */
void stages_whole(struct stages *ret);
/* The next word of a list: "10%", "3", "orders/0". ERR_INVALID with what is wrong and how it is written. */
int stages_add(struct stages *s, const struct spec *spec, const char *word, struct errmsg *m);
/* The same for a partition. */
int stages_add_name(struct stages *s, uint16_t topic, int32_t partition, struct errmsg *m);
/* After the last word: is it a list that ends? */
int stages_end(const struct stages *s, struct errmsg *m);
/* The list as words again: a name each, else a stage each. `ret` holds the longest topic's name. */
#define STAGE_WORD_MAX (TOPIC_NAME_MAX + 16)
int stages_word_count(const struct stages *s);
void stages_word(char ret[STAGE_WORD_MAX], const struct stages *s, const struct spec *spec, int word);
/* Does it hold together, whoever wrote it? */
bool stages_valid(const struct stages *s, const struct spec *spec);

/* One partition in the picking: `load` in any unit, 0 where nothing is known. */
struct stage_item {
    int64_t load;
    int32_t baton;
    uint8_t stage; /* the answer */
};

/* A name that is no partition of the fleet: its place in s->names; -1: all are. */
int stages_unknown_name(const struct stages *s, const struct fleet *f);
/* items: one a baton of the fleet, in its order; they are in that order again afterwards. */
void stages_pick(const struct stages *s, const struct fleet *f, struct stage_item *items, int count);
/* After the pick: how many partitions the new color has with that stage, and what share of the load, in percent; -1: not known. */
void stages_share(const struct stage_item *items, int count, int stage, int *ret_partitions, int *ret_percent);

#endif
