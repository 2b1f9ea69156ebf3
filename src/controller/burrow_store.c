/*
 * burrow_store - see burrow_store.h: two trees of names, and below them arrays by partition.
 *
 * Windows are kept packed (burrow_pack.h). One that is asked for or committed to is unpacked into the store's scratch, so what a callback is
 * shown is gone after it.
 */
#include "controller/burrow_store.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "controller/burrow_pack.h"

struct ends {
    int count;
    int64_t newest;   /* the last of offsets, at hand for each commit */
    int64_t *offsets; /* oldest first, config.intervals of them, and behind them ... */
    int64_t *at_ms;   /* ... when each was sampled */
};

struct topic {
    char *name; /* first: names are compared through it */
    int count;
    struct ends *parts;
};

/* Who owns partitions of a group: a member has many of them. */
struct owner {
    char *host, *client_id;
};

struct ring {
    uint32_t owner;       /* which of the group's, from 1 on; 0: not known */
    uint16_t count, room; /* commits, and bytes for them */
    uint8_t packed[];     /* oldest first, at most config.intervals of them */
};
_Static_assert(BURROW_SLOTS_MAX *BURROW_PACKED_MAX <= UINT16_MAX, "room");

/* The partitions of a topic in a group. */
struct consumed {
    struct topic *topic;
    int count;
    struct ring **rings; /* NULL: nothing was ever committed there */
};

struct group {
    char *name; /* first */
    int64_t last_commit_ms;
    int count, last;         /* last: of the topic that was last committed in */
    struct consumed *topics; /* by name */
    struct owner *owners;
    uint32_t owner_count;
};

struct burrow {
    struct burrow_config config;
    void *topics, *groups; /* tsearch's */
    int topic_count, group_count, end_count, ring_count;
    uint64_t left_out;
    struct burrow_commit *window, *window_of_max; /* scratch: the one that is shown, and that of a verdict's max */
    uint8_t *packed;                              /* scratch: the one that is written */
    /* found last: records of commits come group by group, and topic by topic */
    struct topic *last_topic;
    struct group *last_group;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void *named(void *const *tree, const char *name)
{
    void *found = tfind(&name, tree, compare_names);

    return found ? *(void **)found : NULL;
}

static struct topic *topic_find(struct burrow *b, const char *name)
{
    if (!b->last_topic || strcmp(b->last_topic->name, name) != 0)
        b->last_topic = named(&b->topics, name);
    return b->last_topic;
}

static struct group *group_find(struct burrow *b, const char *name)
{
    if (!b->last_group || strcmp(b->last_group->name, name) != 0)
        b->last_group = named(&b->groups, name);
    return b->last_group;
}

static enum burrow_taken no_room(struct burrow *b)
{
    b->left_out++;
    return BURROW_NO_ROOM;
}

/* A new one of `size` bytes that begins with its name, in the tree; NULL: no room. */
static void *name_add(void **tree, const char *name, size_t size, int *count, int max)
{
    char **one;

    if (*count >= max || strlen(name) > BURROW_NAME_MAX)
        return NULL;
    one = calloc(1, size);
    if (!one)
        return NULL;
    *one = strdup(name);
    if (!*one || !tsearch(one, tree, compare_names)) {
        free(*one);
        free(one);
        return NULL;
    }
    (*count)++;
    return one;
}

/* --- topics and their ends ---------------------------------------------------------------------------------------- */

static void topic_free(struct burrow *b, struct topic *t)
{
    for (int i = 0; i < t->count; i++)
        free(t->parts[i].offsets);
    b->end_count -= t->count;
    b->topic_count--;
    b->last_topic = NULL;
    free(t->parts);
    free(t->name);
    free(t);
}

static bool topic_grow(struct burrow *b, struct topic *t, int count)
{
    struct ends *parts;

    if (count <= t->count)
        return true;
    if (count - t->count > b->config.limits.topic_partitions - b->end_count)
        return false;
    parts = realloc(t->parts, (size_t)count * sizeof(*parts));
    if (!parts)
        return false;
    memset(&parts[t->count], 0, (size_t)(count - t->count) * sizeof(*parts));
    b->end_count += count - t->count;
    t->parts = parts;
    t->count = count;
    return true;
}

enum burrow_taken burrow_end(struct burrow *b, const char *topic, int32_t partition, int32_t partition_count,
                             int64_t offset, int64_t at_ms)
{
    const int slots = b->config.intervals;
    struct topic *t = topic_find(b, topic);
    struct ends *e;

    if (partition < 0 || partition >= partition_count)
        return BURROW_NO_END;
    if (!t)
        t = name_add(&b->topics, topic, sizeof(*t), &b->topic_count, b->config.limits.topics);
    if (!t || !topic_grow(b, t, partition_count))
        return no_room(b);
    e = &t->parts[partition];
    if (!e->offsets) {
        e->offsets = calloc((size_t)slots, 2 * sizeof(*e->offsets));
        if (!e->offsets)
            return no_room(b);
        e->at_ms = e->offsets + slots;
    }
    if (e->count == slots) {
        memmove(e->offsets, e->offsets + 1, (size_t)(slots - 1) * sizeof(*e->offsets));
        memmove(e->at_ms, e->at_ms + 1, (size_t)(slots - 1) * sizeof(*e->at_ms));
        e->count--;
    }
    e->newest = e->offsets[e->count] = offset;
    e->at_ms[e->count++] = at_ms;
    return BURROW_TAKEN;
}

/* The samples of a partition; NULL: none yet. */
static const struct ends *ends_of(const struct topic *t, int32_t partition)
{
    return t && partition >= 0 && partition < t->count && t->parts[partition].count > 0 ? &t->parts[partition] : NULL;
}

static uint64_t lag_of(int64_t end, int64_t offset)
{
    return end > offset ? (uint64_t)end - (uint64_t)offset : 0;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static void consumed_free(struct burrow *b, struct consumed *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->rings[i]) {
            free(c->rings[i]);
            b->ring_count--;
        }
    free(c->rings);
}

static int consumed_index(const struct group *g, const char *topic)
{
    for (int i = 0; i < g->count; i++)
        if (!strcmp(g->topics[i].topic->name, topic))
            return i;
    return -1;
}

static struct consumed *consumed_find(struct group *g, const struct topic *t)
{
    if (g->last < g->count && g->topics[g->last].topic == t)
        return &g->topics[g->last];
    for (g->last = 0; g->last < g->count; g->last++)
        if (g->topics[g->last].topic == t)
            return &g->topics[g->last];
    return NULL;
}

static void consumed_remove(struct burrow *b, struct group *g, const char *topic)
{
    const int i = consumed_index(g, topic);

    if (i < 0)
        return;
    consumed_free(b, &g->topics[i]);
    g->count--;
    memmove(&g->topics[i], &g->topics[i + 1], (size_t)(g->count - i) * sizeof(*g->topics));
}

static struct consumed *consumed_add(struct group *g, struct topic *topic)
{
    struct consumed *topics = realloc(g->topics, (size_t)(g->count + 1) * sizeof(*topics));
    int at = 0;

    if (!topics)
        return NULL;
    g->topics = topics;
    while (at < g->count && strcmp(topics[at].topic->name, topic->name) < 0)
        at++;
    memmove(&topics[at + 1], &topics[at], (size_t)(g->count - at) * sizeof(*topics));
    topics[at] = (struct consumed){ .topic = topic };
    g->count++;
    return &topics[at];
}

static void owners_free(struct group *g)
{
    for (uint32_t i = 0; i < g->owner_count; i++) {
        free(g->owners[i].host);
        free(g->owners[i].client_id);
    }
    free(g->owners);
    g->owners = NULL;
    g->owner_count = 0;
}

static void group_free(struct burrow *b, struct group *g)
{
    for (int i = 0; i < g->count; i++)
        consumed_free(b, &g->topics[i]);
    b->group_count--;
    b->last_group = NULL;
    owners_free(g);
    free(g->topics);
    free(g->name);
    free(g);
}

static struct group *group_make(struct burrow *b, const char *name)
{
    struct group *g = group_find(b, name);

    return g ? g : name_add(&b->groups, name, sizeof(*g), &b->group_count, b->config.limits.groups);
}

static size_t ring_bytes(size_t room)
{
    return sizeof(struct ring) + room;
}

static struct ring *ring_new(const struct burrow *b)
{
    /* its first commit takes the bytes of two or three; with more commits of the usual kind it never has to move */
    const size_t room = (size_t)(b->config.intervals + 2) * BURROW_PACKED_USUAL;
    struct ring *r = malloc(ring_bytes(room));

    if (r)
        *r = (struct ring){ .room = (uint16_t)room };
    return r;
}

/* The place of a partition's ring, which the topic has; every partition of it counts as the group's from then on. NULL: no room. */
static struct ring **ring_make(struct burrow *b, struct group *g, struct topic *t, int32_t partition)
{
    struct consumed *c = consumed_find(g, t);

    if (!c)
        c = consumed_add(g, t);
    if (!c)
        return NULL;
    if (partition >= c->count) {
        struct ring **rings = realloc(c->rings, (size_t)t->count * sizeof(struct ring *));

        if (!rings)
            return NULL;
        memset(&rings[c->count], 0, (size_t)(t->count - c->count) * sizeof(struct ring *));
        c->rings = rings;
        c->count = t->count;
    }
    if (!c->rings[partition] && b->ring_count < b->config.limits.group_partitions) {
        c->rings[partition] = ring_new(b);
        b->ring_count += c->rings[partition] != NULL;
    }
    return c->rings[partition] ? &c->rings[partition] : NULL;
}

/* Its commits, in the store's scratch. */
static struct burrow_ring ring_open(const struct burrow *b, const struct ring *r)
{
    burrow_unpack(b->window, r->count, r->packed);
    return (struct burrow_ring){ r->count, b->config.intervals, b->window };
}

static bool ring_store(const struct burrow *b, struct ring **at, const struct burrow_ring *from)
{
    const size_t size = burrow_pack(b->packed, from->commits, from->count);

    if (size > (*at)->room) {
        struct ring *r = realloc(*at, ring_bytes(size));

        if (!r)
            return false;
        r->room = (uint16_t)size;
        *at = r;
    }
    (*at)->count = (uint16_t)from->count;
    memcpy((*at)->packed, b->packed, size);
    return true;
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static int64_t expired_before_ms(const struct burrow *b, int64_t now_s)
{
    return (int64_t)(((uint64_t)now_s - (uint64_t)b->config.expire_group_s) * 1000);
}

enum burrow_taken burrow_commit(struct burrow *b, const char *group, const char *topic, int32_t partition,
                                const struct burrow_commit *commit, int64_t now_s)
{
    struct burrow_commit c = { .offset = commit->offset,
                               .order = commit->order,
                               .timestamp_ms = commit->timestamp_ms,
                               .observed_s = (uint32_t)now_s,
                               .replayed = commit->replayed };
    struct topic *t = topic_find(b, topic);
    const struct ends *ends = ends_of(t, partition);
    struct burrow_place place;
    struct burrow_ring kept;
    struct group *g;
    struct ring **r;

    if (c.timestamp_ms < expired_before_ms(b, now_s))
        return BURROW_EXPIRED;
    if (!ends)
        return BURROW_NO_END;
    g = group_make(b, group);
    r = g ? ring_make(b, g, t, partition) : NULL;
    if (!r)
        return no_room(b);
    kept = ring_open(b, *r);
    if (!burrow_ring_find(&place, &kept, c.order))
        return BURROW_LATE;
    if (place.append) {
        c.lag = lag_of(ends->newest, c.offset);
        c.lag_known = true;
    }
    burrow_ring_put(&kept, place, &c, b->config.min_distance_s);
    if (!ring_store(b, r, &kept))
        return no_room(b);
    if (place.append)
        g->last_commit_ms = c.timestamp_ms;
    return BURROW_TAKEN;
}

void burrow_commit_gone(struct burrow *b, const char *group, const char *topic, int32_t partition)
{
    struct group *g = named(&b->groups, group);
    const int i = g ? consumed_index(g, topic) : -1;
    bool any = false;

    if (b->config.policy.rules == BURROW_RULES_BURROW || i < 0 || partition < 0 || partition >= g->topics[i].count ||
        !g->topics[i].rings[partition])
        return;
    g->topics[i].rings[partition]->count = 0;
    for (int p = 0; p < g->topics[i].count; p++)
        any = any || (g->topics[i].rings[p] && g->topics[i].rings[p]->count > 0);
    if (!any)
        burrow_group_delete(b, group, topic);
}

/* --- owners ------------------------------------------------------------------------------------------------------- */

/* Its number; 0: no memory. They are told member by member, so it is the last one or a new one. */
static uint32_t owner_of(struct group *g, const char *host, const char *client_id)
{
    struct owner *owners, *last = g->owner_count ? &g->owners[g->owner_count - 1] : NULL;

    if (last && !strcmp(last->host, host) && !strcmp(last->client_id, client_id))
        return g->owner_count;
    owners = realloc(g->owners, (g->owner_count + 1) * sizeof(*owners));
    if (!owners)
        return 0;
    g->owners = owners;
    last = &owners[g->owner_count];
    *last = (struct owner){ strdup(host), strdup(client_id) };
    if (last->host && last->client_id)
        return ++g->owner_count;
    free(last->host);
    free(last->client_id);
    return 0;
}

enum burrow_taken burrow_owner(struct burrow *b, const char *group, const char *topic, int32_t partition,
                               const char *owner, const char *client_id)
{
    struct topic *t = topic_find(b, topic);
    struct group *g = group_make(b, group); /* even when nothing is known of the topic */
    struct ring **r;

    if (!g)
        return no_room(b);
    if (!ends_of(t, partition))
        return BURROW_NO_END;
    r = ring_make(b, g, t, partition);
    if (!r)
        return no_room(b);
    (*r)->owner = owner_of(g, owner, client_id);
    return (*r)->owner ? BURROW_TAKEN : no_room(b);
}

void burrow_owners_clear(struct burrow *b, const char *group)
{
    struct group *g = group_find(b, group);

    if (!g || g->owner_count == 0)
        return;
    for (int i = 0; i < g->count; i++)
        for (int p = 0; p < g->topics[i].count; p++)
            if (g->topics[i].rings[p])
                g->topics[i].rings[p]->owner = 0;
    owners_free(g);
}

/* --- deleting ----------------------------------------------------------------------------------------------------- */

static void group_remove(struct burrow *b, struct group *g)
{
    tdelete(g, &b->groups, compare_names);
    group_free(b, g);
}

void burrow_group_delete(struct burrow *b, const char *group, const char *topic)
{
    struct group *g = named(&b->groups, group);

    if (!g)
        return;
    if (topic)
        consumed_remove(b, g, topic);
    if (!topic || g->count == 0)
        group_remove(b, g);
}

/* twalk_r() hands on a node and how often it was met; names come in order at these. */
static bool in_order(VISIT which)
{
    return which == postorder || which == leaf;
}

struct topic_gone {
    struct burrow *b;
    const char *topic;
};

static void on_group_of_topic_gone(const void *node, VISIT which, void *closure)
{
    const struct topic_gone *gone = closure;

    if (in_order(which))
        consumed_remove(gone->b, *(struct group *const *)node, gone->topic);
}

void burrow_topic_delete(struct burrow *b, const char *topic)
{
    struct topic_gone gone = { b, topic };
    struct topic *t = named(&b->topics, topic);

    if (!t)
        return;
    twalk_r(b->groups, on_group_of_topic_gone, &gone);
    tdelete(t, &b->topics, compare_names);
    topic_free(b, t);
}

/* --- what is kept ------------------------------------------------------------------------------------------------- */

struct name_walk {
    burrow_name *each;
    void *opaque;
    const char *topic; /* only groups that have it; NULL: all */
};

static void on_name(const void *node, VISIT which, void *closure)
{
    const struct name_walk *walk = closure;
    char *const *const *named_one = node;

    if (in_order(which))
        walk->each(walk->opaque, **named_one);
}

static void on_group_of_topic(const void *node, VISIT which, void *closure)
{
    const struct name_walk *walk = closure;
    const struct group *g = *(struct group *const *)node;

    if (in_order(which) && consumed_index(g, walk->topic) >= 0)
        walk->each(walk->opaque, g->name);
}

void burrow_topics(const struct burrow *b, burrow_name *each, void *opaque)
{
    struct name_walk walk = { each, opaque, NULL };

    twalk_r(b->topics, on_name, &walk);
}

void burrow_groups(const struct burrow *b, burrow_name *each, void *opaque)
{
    struct name_walk walk = { each, opaque, NULL };

    twalk_r(b->groups, on_name, &walk);
}

void burrow_topic_groups(const struct burrow *b, const char *topic, burrow_name *each, void *opaque)
{
    struct name_walk walk = { each, opaque, topic };

    twalk_r(b->groups, on_group_of_topic, &walk);
}

bool burrow_topic(const struct burrow *b, const char *topic, burrow_topic_end *each, void *opaque)
{
    const struct topic *t = named(&b->topics, topic);

    for (int p = 0; t && p < t->count; p++)
        each(opaque, p, t->parts[p].count > 0, t->parts[p].count > 0 ? t->parts[p].newest : 0);
    return t != NULL;
}

static void partition_view(struct burrow_partition *ret, const struct burrow *b, const struct group *g,
                           const struct consumed *c, int32_t p)
{
    const struct ends *e = ends_of(c->topic, p);
    const struct ring *r = c->rings[p];

    *ret = (struct burrow_partition){ .topic = c->topic->name, .partition = p, .owner = "", .client_id = "" };
    if (e) {
        ret->window.ends = e->offsets;
        ret->window.end_ms = e->at_ms;
        ret->window.end_count = e->count;
    }
    if (!r)
        return;
    if (r->owner) {
        ret->owner = g->owners[r->owner - 1].host;
        ret->client_id = g->owners[r->owner - 1].client_id;
    }
    ret->window.commits = ring_open(b, r).commits;
    ret->window.count = r->count;
    ret->window.slots = b->config.intervals;
    if (e && r->count > 0)
        ret->window.current_lag = lag_of(e->newest, ret->window.commits[r->count - 1].offset);
}

bool burrow_group(struct burrow *b, const char *group, int64_t now_s, burrow_each *each, void *opaque)
{
    struct group *g = named(&b->groups, group);
    struct burrow_partition view;

    if (g && expired_before_ms(b, now_s) > g->last_commit_ms) {
        if (g->last_commit_ms || b->config.policy.rules == BURROW_RULES_BURROW) /* C11 */
            group_remove(b, g);
        g = NULL;
    }
    for (int i = 0; g && i < g->count; i++)
        for (int32_t p = 0; p < g->topics[i].count; p++) {
            partition_view(&view, b, g, &g->topics[i], p);
            each(opaque, &view);
        }
    return g != NULL;
}

struct judging {
    struct burrow_group_verdict *ret;
    struct burrow *store;
    int64_t now_s;
    int full;
    burrow_judged *each;
    void *opaque;
};

/* What was unpacked last stays; the next one comes to where the max was until now. */
static void windows_swap(struct burrow *b)
{
    struct burrow_commit *kept = b->window;

    b->window = b->window_of_max;
    b->window_of_max = kept;
}

static void on_judged(void *opaque, const struct burrow_partition *p)
{
    struct judging *j = opaque;
    struct burrow_group_verdict *ret = j->ret;
    struct burrow_verdict v;

    burrow_judge(&v, &p->window, &j->store->config.policy, j->now_s);
    ret->status = burrow_group_worse(ret->status, v.status);
    ret->partition_count++;
    ret->total_lag += p->window.current_lag;
    j->full += v.complete >= 1.0F;
    if (!ret->has_max || p->window.current_lag > ret->max.window.current_lag) {
        ret->has_max = true;
        ret->max = *p;
        ret->max_verdict = v;
        windows_swap(j->store);
    }
    if (j->each)
        j->each(j->opaque, p, &v);
}

void burrow_group_judge(struct burrow_group_verdict *ret, struct burrow *b, const char *group, int64_t now_s,
                        burrow_judged *each, void *opaque)
{
    struct judging j = { ret, b, now_s, 0, each, opaque };

    *ret = (struct burrow_group_verdict){ .status = BURROW_OK };
    if (!burrow_group(b, group, now_s, on_judged, &j))
        *ret = (struct burrow_group_verdict){ .status = BURROW_NOTFOUND, .complete = 1.0F };
    else if (ret->partition_count > 0)
        ret->complete = (float)j.full / (float)ret->partition_count;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

struct burrow *burrow_new(const struct burrow_config *config)
{
    struct burrow *b = calloc(1, sizeof(*b));
    const size_t slots = (size_t)config->intervals;

    ASSERT(config->intervals > 0 && config->intervals <= BURROW_SLOTS_MAX);
    if (!b)
        return NULL;
    b->config = *config;
    b->window = calloc(slots, sizeof(*b->window));
    b->window_of_max = calloc(slots, sizeof(*b->window_of_max));
    b->packed = calloc(slots, BURROW_PACKED_MAX);
    if (b->window && b->window_of_max && b->packed)
        return b;
    burrow_free(b);
    return NULL;
}

void burrow_free(struct burrow *b)
{
    if (!b)
        return;
    while (b->groups)
        group_remove(b, *(struct group **)b->groups);
    while (b->topics) {
        struct topic *t = *(struct topic **)b->topics;

        tdelete(t, &b->topics, compare_names);
        topic_free(b, t);
    }
    free(b->window);
    free(b->window_of_max);
    free(b->packed);
    free(b);
}

const struct burrow_config *burrow_config(const struct burrow *b)
{
    return &b->config;
}

uint64_t burrow_left_out(const struct burrow *b)
{
    return b->left_out;
}
