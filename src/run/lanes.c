/*
 * lanes - see lanes.h.
 */
#include "run/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define NO_LANE UINT32_MAX
#define LANES_SHARED 16384 /* of partitions or keys; two that meet in one wait for each other and lose nothing else */

static void list_push(struct lanes *l, struct lane_list *list, uint32_t at)
{
    l->lanes[at].next = NO_LANE;
    if (list->head == NO_LANE)
        list->head = at;
    else
        l->lanes[list->tail].next = at;
    list->tail = at;
}

static uint32_t list_pop(struct lanes *l, struct lane_list *list)
{
    uint32_t at = list->head;

    if (at != NO_LANE)
        list->head = l->lanes[at].next;
    return at;
}

int lanes_init(struct lanes *l, enum order order, int items_max, struct errmsg *m)
{
    *l = (struct lanes){ .order = order, .items_max = items_max };
    l->lane_count = order == ORDER_NONE ? (uint32_t)items_max : LANES_SHARED;
    l->items = calloc((size_t)items_max, sizeof(*l->items));
    l->lanes = calloc(l->lane_count, sizeof(*l->lanes));
    if (!l->items || !l->lanes) {
        lanes_deinit(l);
        return err_set(m, ERR_NOMEM, "out of memory");
    }
    for (int i = items_max - 1; i >= 0; i--) {
        l->items[i].next = l->free;
        l->free = &l->items[i];
    }
    l->ready.head = l->ready_apart.head = l->asleep.head = NO_LANE;
    return ERR_OK;
}

void lanes_deinit(struct lanes *l)
{
    free(l->items);
    free(l->lanes);
    l->items = NULL;
    l->lanes = NULL;
}

/* FNV-1a: short keys, no enemy to fear (who floods one lane slows down that lane). */
static uint32_t hash_of(uint32_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static uint32_t lane_of(const struct lanes *l, const struct item *item, const char *topic, int32_t partition,
                        const void *key, size_t key_len)
{
    uint32_t hash = 2166136261u;

    if (l->order == ORDER_NONE)
        return (uint32_t)(item - l->items);
    hash = hash_of(hash, topic, strlen(topic));
    if (l->order == ORDER_KEY && key)
        return hash_of(hash, key, key_len) % l->lane_count;
    return (hash + (uint32_t)partition) % l->lane_count; /* partitions of one topic never share a lane */
}

/* Nothing of the lane is out: where does it wait? */
static void lane_queue(struct lanes *l, uint32_t at)
{
    struct lane *lane = &l->lanes[at];

    if (lane->out > 0 || !lane->head)
        return;
    lane->asleep = lane->wake_us > 0;
    if (lane->asleep) {
        l->stuck += lane->count;
        list_push(l, &l->asleep, at);
    } else {
        list_push(l, lane->head->apart ? &l->ready_apart : &l->ready, at);
    }
}

void lanes_put(struct lanes *l, void *record, const char *topic, int32_t partition, const void *key, size_t key_len,
               size_t bytes, int64_t now_us)
{
    struct item *item = l->free;
    struct lane *lane;
    bool idle;

    ASSERT(item);
    l->free = item->next;
    *item = (struct item){ .record = record, .bytes = bytes, .came_us = now_us, .number = l->numbered++ };
    item->lane = lane_of(l, item, topic, partition, key, key_len);
    lane = &l->lanes[item->lane];
    idle = !lane->head && lane->out == 0;
    if (lane->head)
        lane->tail->next = item;
    else
        lane->head = item;
    lane->tail = item;
    lane->count++;
    l->stuck += lane->asleep;
    l->in_hand++;
    l->bytes += bytes;
    if (idle) {
        lane->wake_us = 0;
        lane_queue(l, item->lane);
    }
}

bool lanes_ready(const struct lanes *l)
{
    return l->ready.head != NO_LANE || l->ready_apart.head != NO_LANE;
}

bool lanes_wants_idle(const struct lanes *l)
{
    return l->ready_apart.head != NO_LANE && l->lanes[l->ready_apart.head].head->apart == APART_IDLE;
}

static void line_add(struct lanes *l, struct line *line, struct lane *lane)
{
    struct item *item = lane->head;

    lane->head = item->next;
    lane->count--;
    lane->out++;
    l->out++;
    item->next = NULL;
    item->place = line->count++;
    item->handed++;
    item->line_next = NULL;
    item->line_prev = line->last;
    if (line->last)
        line->last->line_next = item;
    else
        line->first = item;
    line->last = item;
    line->left++;
}

bool lanes_take(struct lanes *l, struct line *ret, int count_max, size_t bytes_max, bool idle)
{
    size_t bytes = 0;
    uint32_t at;

    *ret = (struct line){ .id = ret->id };
    if (l->ready_apart.head != NO_LANE && (idle || !lanes_wants_idle(l))) {
        struct lane *lane = &l->lanes[list_pop(l, &l->ready_apart)];

        ret->apart = lane->head->apart;
        line_add(l, ret, lane);
        return true;
    }
    while (ret->count < count_max && bytes < bytes_max && (at = list_pop(l, &l->ready)) != NO_LANE) {
        struct lane *lane = &l->lanes[at];

        while (lane->head && !lane->head->apart && ret->count < count_max && bytes < bytes_max) {
            bytes += lane->head->bytes;
            line_add(l, ret, lane);
        }
    }
    ret->came_us = ret->first && ret->first->handed == 1 ? ret->first->came_us : 0;
    return ret->count > 0;
}

static void line_drop(struct line *line, struct item *item)
{
    if (item->line_prev)
        item->line_prev->line_next = item->line_next;
    else
        line->first = item->line_next;
    if (item->line_next)
        item->line_next->line_prev = item->line_prev;
    else
        line->last = item->line_prev;
    line->left--;
}

static void lane_less(struct lanes *l, uint32_t at)
{
    l->lanes[at].out--;
    l->out--;
    ASSERT(l->lanes[at].out >= 0 && l->out >= 0);
    lane_queue(l, at);
}

void lanes_done(struct lanes *l, struct line *line, struct item *item)
{
    line_drop(line, item);
    lanes_unpark(l, item);
}

void lanes_back(struct lanes *l, struct line *line, struct item *item, int64_t wake_us)
{
    struct lane *lane = &l->lanes[item->lane];
    struct item **at = &lane->head;

    line_drop(line, item);
    while (*at && (*at)->number < item->number)
        at = &(*at)->next;
    item->next = *at;
    *at = item;
    if (!item->next)
        lane->tail = item;
    lane->count++;
    if (wake_us > lane->wake_us)
        lane->wake_us = wake_us;
    lane_less(l, item->lane);
}

void lanes_park(struct lanes *l, struct line *line, struct item *item)
{
    (void)l;
    line_drop(line, item);
}

void lanes_unpark(struct lanes *l, struct item *item)
{
    uint32_t at = item->lane;

    l->in_hand--;
    l->bytes -= item->bytes;
    item->next = l->free;
    l->free = item;
    lane_less(l, at);
}

static struct item *reversed(struct item *item)
{
    struct item *ret = NULL;

    while (item) {
        struct item *next = item->next;

        item->next = ret;
        ret = item;
        item = next;
    }
    return ret;
}

static int lane_give_back(struct lanes *l, struct lane *lane, bool (*give)(void *record))
{
    int count = 0;

    if (!lane->head || !give(lane->tail->record))
        return 0; /* as a rule: the lane is left as it is */
    lane->head = reversed(lane->head);
    do {
        struct item *item = lane->head;

        lane->head = item->next;
        lane->count--;
        l->in_hand--;
        l->bytes -= item->bytes;
        item->next = l->free;
        l->free = item;
        count++;
    } while (lane->head && give(lane->head->record));
    lane->tail = lane->head;
    lane->head = reversed(lane->head);
    return count;
}

int lanes_give_back(struct lanes *l, bool (*give)(void *record))
{
    struct lane_list before = l->asleep;
    int count = 0;
    uint32_t at;

    l->asleep.head = NO_LANE;
    l->stuck = 0;
    while ((at = list_pop(l, &before)) != NO_LANE) {
        count += lane_give_back(l, &l->lanes[at], give);
        lane_queue(l, at);
    }
    return count;
}

int64_t lanes_wake(struct lanes *l, int64_t now_us)
{
    struct lane_list before = l->asleep;
    int64_t next_us = INT64_MAX;
    uint32_t at;

    l->asleep.head = NO_LANE;
    l->stuck = 0;
    while ((at = list_pop(l, &before)) != NO_LANE) {
        struct lane *lane = &l->lanes[at];

        lane->asleep = false;
        if (lane->wake_us <= now_us)
            lane->wake_us = 0;
        else if (lane->wake_us < next_us)
            next_us = lane->wake_us;
        lane_queue(l, at);
    }
    return next_us;
}
