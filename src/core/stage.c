/*
 * stage - see stage.h.
 */
#include "core/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "core/fleet.h"

#define HEAVY_TIMES 2 /* so many times the average is heavy */

/* ---- the list ---- */

void stages_whole(struct stages *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->items[0] = (struct stage_size){ .kind = STAGE_SHARE, .amount = 100 };
    ret->count = 1;
}

static int stage_new(struct stages *s, enum stage_kind kind, int amount, struct errmsg *m)
{
    if (s->count == STAGES_MAX)
        return err_set(m, ERR_INVALID, "at most %d stages are allowed", STAGES_MAX);
    s->items[s->count++] = (struct stage_size){ .kind = kind, .amount = amount, .first = s->name_count };
    return ERR_OK;
}

/* Shares grow, and so do numbers. Which of a share and a number is more depends on the fleet. */
static int amount_grows(const struct stages *s, enum stage_kind kind, int amount, struct errmsg *m)
{
    const char *unit = kind == STAGE_SHARE ? "%" : "";

    for (int i = s->count - 1; i >= 0; i--)
        if (s->items[i].kind == kind && s->items[i].amount >= amount)
            return err_set(m, ERR_INVALID, "%d%s does not follow %d%s: stages must grow, as in 10%%, 50%%, 100%%",
                           amount, unit, s->items[i].amount, unit);
    return ERR_OK;
}

int stages_add_name(struct stages *s, uint16_t topic, int32_t partition, struct errmsg *m)
{
    int r;

    for (int i = 0; i < s->name_count; i++)
        if (s->names[i].topic == topic && s->names[i].partition == partition)
            return err_set(m, ERR_INVALID, "partition %d of a topic stands there twice", (int)partition);
    if (s->name_count == STAGE_NAMES_MAX)
        return err_set(m, ERR_INVALID, "at most %d partitions are named", STAGE_NAMES_MAX);
    if (s->count == 0 || s->items[s->count - 1].kind != STAGE_NAMES) {
        r = stage_new(s, STAGE_NAMES, 0, m);
        if (r < 0)
            return r;
    }
    s->items[s->count - 1].amount++;
    s->names[s->name_count++] = (struct stage_name){ .topic = topic, .partition = partition };
    return ERR_OK;
}

static int name_add(struct stages *s, const struct spec *spec, const char *word, struct errmsg *m)
{
    const char *slash = strrchr(word, '/'), *near, *candidates[TOPICS_MAX];
    char name[TOPIC_NAME_MAX + 1];
    int64_t partition;
    int topic = -1, r = parse_int64(&partition, slash + 1, 0, INT32_MAX, m);

    if (r < 0)
        return err_wrap(m, r, "the partition in '%.80s'", word);
    snprintf(name, sizeof(name), "%.*s", (int)(slash - word), word);
    for (int t = 0; t < spec->topic_count; t++) {
        candidates[t] = spec->topics[t];
        if (strlen(spec->topics[t]) == (size_t)(slash - word) && strcmp(spec->topics[t], name) == 0)
            topic = t;
    }
    near = suggest(name, candidates, (size_t)spec->topic_count);
    if (topic < 0)
        return err_set(m, ERR_INVALID, "'%.80s' is no topic of the fleet%s%s%s", name, near ? ", did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    return stages_add_name(s, (uint16_t)topic, (int32_t)partition, m);
}

int stages_add(struct stages *s, const struct spec *spec, const char *word, struct errmsg *m)
{
    const bool share = strchr(word, '%') != NULL;
    int percent = 0, r;
    int64_t number;

    if (s->count > 0 && stages_end(s, NULL) == ERR_OK)
        return err_set(m, ERR_INVALID, "'%.80s' follows 100%%: nothing is left then", word);
    if (strchr(word, '/'))
        return name_add(s, spec, word, m);
    if (share) {
        r = parse_percent(&percent, word, m);
    } else {
        r = parse_int64(&number, word, 1, BATONS_MAX, m);
        if (r < 0)
            r = err_set(
                m, ERR_INVALID,
                "'%.80s' is no stage: write a share (10%%), a number of partitions (3) or a partition (orders/0)",
                word);
        else
            percent = (int)number;
    }
    if (r == ERR_OK)
        r = amount_grows(s, share ? STAGE_SHARE : STAGE_NUMBER, percent, m);
    return r < 0 ? r : stage_new(s, share ? STAGE_SHARE : STAGE_NUMBER, percent, m);
}

int stages_end(const struct stages *s, struct errmsg *m)
{
    const struct stage_size *last = s->count > 0 ? &s->items[s->count - 1] : NULL;

    if (!last)
        return err_set(m, ERR_INVALID, "the list is empty: write one stage at least, as in 100%%");
    if (last->kind == STAGE_SHARE && last->amount == 100)
        return ERR_OK;
    return err_set(m, ERR_INVALID, "the last stage must be 100%%, as in 10%%, 50%%, 100%%");
}

int stages_word_count(const struct stages *s)
{
    int count = 0;

    for (int i = 0; i < s->count; i++)
        count += s->items[i].kind == STAGE_NAMES ? s->items[i].amount : 1;
    return count;
}

void stages_word(char ret[STAGE_WORD_MAX], const struct stages *s, const struct spec *spec, int word)
{
    for (int i = 0; i < s->count; i++) {
        const struct stage_size *stage = &s->items[i];
        const int words = stage->kind == STAGE_NAMES ? stage->amount : 1;
        const struct stage_name *name = &s->names[stage->first + word];

        if (word >= words)
            word -= words;
        else if (stage->kind == STAGE_NAMES) {
            snprintf(ret, STAGE_WORD_MAX, "%s/%d", spec->topics[name->topic], (int)name->partition);
            return;
        } else {
            snprintf(ret, STAGE_WORD_MAX, "%d%s", stage->amount, stage->kind == STAGE_SHARE ? "%" : "");
            return;
        }
    }
    ASSERT(word < 0); /* there are not so many */
}

bool stages_valid(const struct stages *s, const struct spec *spec)
{
    struct stages again = { .count = 0 };

    if (s->count < 1 || s->count > STAGES_MAX || s->name_count < 0 || s->name_count > STAGE_NAMES_MAX)
        return false;
    for (int i = 0; i < s->count; i++) {
        const struct stage_size *stage = &s->items[i];

        if (stage->kind == STAGE_NAMES &&
            (stage->amount < 1 || stage->first < 0 || stage->first > s->name_count - stage->amount))
            return false;
    }
    for (int i = 0; i < s->name_count; i++)
        if (s->names[i].topic >= spec->topic_count)
            return false;
    for (int i = 0; i < stages_word_count(s); i++) {
        char word[STAGE_WORD_MAX];

        stages_word(word, s, spec, i);
        if (stages_add(&again, spec, word, NULL) < 0)
            return false;
    }
    return stages_end(&again, NULL) == ERR_OK && again.count == s->count && again.name_count == s->name_count;
}

/* ---- the pick ---- */

int stages_unknown_name(const struct stages *s, const struct fleet *f)
{
    for (int i = 0; i < s->name_count; i++)
        if (fleet_find(f, s->names[i].topic, s->names[i].partition) < 0)
            return i;
    return -1;
}

static int compare_load(const void *a, const void *b)
{
    const struct stage_item *x = a, *y = b;

    if (x->load != y->load)
        return x->load < y->load ? -1 : 1;
    return x->baton < y->baton ? -1 : x->baton > y->baton;
}

static int compare_baton(const void *a, const void *b)
{
    const struct stage_item *x = a, *y = b;

    return x->baton < y->baton ? -1 : x->baton > y->baton;
}

static int64_t load_sum(const struct stage_item *items, int count)
{
    int64_t sum = 0;

    for (int i = 0; i < count; i++) /* in a double's reach, whatever the unit: no sum overflows */
        sum += items[i].load < INT64_MAX / BATONS_MAX ? items[i].load : INT64_MAX / BATONS_MAX;
    return sum;
}

/* In items sorted by load: the first that is heavy. */
static int heavy_from(const struct stage_item *items, int count)
{
    const int64_t average = load_sum(items, count) / count;
    int at = count;

    if (items[0].load == items[count - 1].load)
        return count; /* all alike, or nothing is known */
    while (at > 1 && (at == count || items[at - 1].load / HEAVY_TIMES > average))
        at--;
    return at;
}

#define NOT_PICKED UINT8_MAX

/* `need` of the first `end` items that are not picked yet, evenly over their order; the middle one when it is one. */
static int pick_evenly(struct stage_item *items, int end, int need, int stage)
{
    int left = 0, walk, picked = 0;

    for (int i = 0; i < end; i++)
        left += items[i].stage == NOT_PICKED;
    if (need > left)
        need = left;
    walk = left / 2;
    for (int i = 0; i < end && picked < need; i++) {
        if (items[i].stage != NOT_PICKED)
            continue;
        walk += need;
        if (walk < left)
            continue;
        walk -= left;
        items[i].stage = (uint8_t)stage;
        picked++;
    }
    return picked;
}

static int pick_names(const struct stages *s, const struct fleet *f, int stage, struct stage_item *items, int count)
{
    const struct stage_size *names = &s->items[stage];
    int picked = 0;

    for (int n = names->first; n < names->first + names->amount; n++) {
        const int baton = fleet_find(f, s->names[n].topic, s->names[n].partition);

        for (int i = 0; i < count; i++)
            if (items[i].baton == baton && items[i].stage == NOT_PICKED) {
                items[i].stage = (uint8_t)stage;
                picked++;
            }
    }
    return picked;
}

void stages_pick(const struct stages *s, const struct fleet *f, struct stage_item *items, int count)
{
    int picked = 0, light;

    if (count == 0)
        return;
    for (int i = 0; i < count; i++)
        items[i].stage = NOT_PICKED;
    qsort(items, (size_t)count, sizeof(*items), compare_load);
    light = heavy_from(items, count);
    for (int k = 0; k < s->count; k++) /* first of all: no other stage may take what is named */
        if (s->items[k].kind == STAGE_NAMES)
            pick_names(s, f, k, items, count);
    for (int k = 0; k < s->count; k++) {
        const struct stage_size *stage = &s->items[k];
        int target = stage->amount;

        if (stage->kind == STAGE_NAMES) {
            for (int i = 0; i < count; i++)
                picked += items[i].stage == k;
            continue;
        }
        if (stage->kind == STAGE_SHARE)
            target = (int)(((int64_t)count * stage->amount + 99) / 100);
        target = target < count ? target : count;
        if (picked < target)
            picked += pick_evenly(items, light, target - picked, k);
        if (picked < target) /* only heavy ones are left: the lightest of them */
            for (int i = 0; i < count && picked < target; i++)
                if (items[i].stage == NOT_PICKED) {
                    items[i].stage = (uint8_t)k;
                    picked++;
                }
    }
    qsort(items, (size_t)count, sizeof(*items), compare_baton);
    for (int i = 0; i < count; i++)
        if (items[i].stage == NOT_PICKED)
            items[i].stage = (uint8_t)(s->count - 1);
}

void stages_share(const struct stage_item *items, int count, int stage, int *ret_partitions, int *ret_percent)
{
    const int64_t all = load_sum(items, count);
    int64_t sum = 0;
    int partitions = 0;

    for (int i = 0; i < count; i++)
        if (items[i].stage <= stage) {
            partitions++;
            sum += load_sum(&items[i], 1);
        }
    *ret_partitions = partitions;
    *ret_percent = all == 0 ? -1 : (int)((double)sum * 100 / (double)all + 0.5);
}
