/* fleet - see fleet.h. */
#include "core/fleet.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

void fleet_init(struct fleet *f, struct baton *batons, int baton_max)
{
    memset(f, 0, sizeof(*f));
    f->version = f->applied = (struct version){ .term = -1 };
    f->batons = batons;
    f->baton_max = baton_max;
}

int fleet_topic(const struct fleet *f, const char *name)
{
    for (int i = 0; i < f->spec.topic_count; i++)
        if (strcmp(f->spec.topics[i], name) == 0)
            return i;
    return -1;
}

int fleet_find(const struct fleet *f, int topic, int32_t partition)
{
    /* Batons of a topic are born in blocks of growing partitions, so the distance to the wanted partition is a good guess. */
    for (int i = 0; i < f->baton_count;) {
        const struct baton *b = &f->batons[i];

        if (b->topic == topic && b->partition == partition)
            return i;
        if (b->topic == topic && b->partition < partition) {
            int64_t guess = (int64_t)i + partition - b->partition;

            if (guess < f->baton_count && f->batons[guess].topic == topic && f->batons[guess].partition == partition)
                return (int)guess;
        }
        i++;
    }
    return -1;
}

bool fleet_can_have_been_whole(const struct fleet *f, int baton)
{
    const struct baton *b = &f->batons[baton];

    for (int i = 0; i < f->baton_count; i++)
        if (f->batons[i].epoch <= b->epoch && (f->batons[i].holder != b->holder || !f->batons[i].taken))
            return false;
    return true;
}

int fleet_count_held(const struct fleet *f, enum color c)
{
    int n = 0;

    for (int i = 0; i < f->baton_count; i++)
        n += f->batons[i].holder == c && (f->batons[i].state == RIGHT_HELD || f->batons[i].state == RIGHT_GRANTED);
    return n;
}

int fleet_failed(const struct fleet *f, const char *version)
{
    for (int i = 0; version[0] && i < f->failed_count; i++)
        if (strcmp(f->failed[i].version, version) == 0)
            return i;
    return -1;
}

void fleet_failed_drop(struct fleet *f, const char *version)
{
    const int i = fleet_failed(f, version);

    if (i < 0)
        return;
    f->failed_count--;
    memmove(&f->failed[i], &f->failed[i + 1], (size_t)(f->failed_count - i) * sizeof(f->failed[0]));
    memset(&f->failed[f->failed_count], 0, sizeof(f->failed[0]));
}

void fleet_failed_add(struct fleet *f, const char *version, uint32_t number)
{
    fleet_failed_drop(f, version);
    if (!version[0])
        return;
    if (f->failed_count < FAILED_MAX)
        f->failed_count++;
    memmove(&f->failed[1], &f->failed[0], (size_t)(f->failed_count - 1) * sizeof(f->failed[0]));
    memset(&f->failed[0], 0, sizeof(f->failed[0]));
    snprintf(f->failed[0].version, sizeof(f->failed[0].version), "%s", version);
    f->failed[0].number = number;
}

static const char *baton_fault(const struct fleet *f, const struct baton *b)
{
    if (b->topic >= f->spec.topic_count)
        return "a baton's topic is none of the fleet's";
    if (b->partition < 0)
        return "a shard is missing";
    if ((unsigned)b->state >= RIGHT_COUNT || (unsigned)b->holder >= COLOR_COUNT)
        return "a baton's state or holder is unknown";
    if (b->epoch == 0 || b->order < b->epoch)
        return "a baton's order is older than its grant";
    if (b->order > f->version.epoch)
        return "a baton is newer than its document";
    if (b->from < 0)
        return "a baton begins at a negative offset";
    if (b->doubt < OFFSET_NONE)
        return "a doubt is negative";
    return NULL;
}

bool fleet_valid(const struct fleet *f, const char **ret_why)
{
    const char *why = NULL;

    if (f->baton_count < 0 || f->baton_count > f->baton_max)
        why = "more batons than a fleet can have";
    if (f->spec.topic_count < 1 || f->spec.topic_count > TOPICS_MAX)
        why = "no topic, or more than a fleet can have";
    if ((unsigned)f->phase >= PHASE_COUNT || (unsigned)f->active >= COLOR_COUNT)
        why = "phase or active color is unknown";
    for (int i = 0; !why && i < f->baton_count; i++) {
        why = baton_fault(f, &f->batons[i]);
        if (!why && fleet_find(f, f->batons[i].topic, f->batons[i].partition) != i)
            why = "a partition has two batons";
    }
    if (why && ret_why)
        *ret_why = why;
    return !why;
}

void fleet_check(const struct fleet *f)
{
    if (!f->exists)
        return;
    ASSERT(f->baton_count <= f->baton_max);
    ASSERT(version_compare(f->applied, f->version) <= 0);
    if (version_compare(f->applied, f->version) < 0)
        return; /* shards are in, their head is still to come */
    for (int i = 0; i < f->baton_count; i++)
        ASSERT(f->batons[i].partition < 0 || baton_fault(f, &f->batons[i]) == NULL);
}

bool fleet_topics_extend(const struct fleet *old, const struct fleet *new)
{
    if (new->spec.topic_count < old->spec.topic_count)
        return false;
    for (int i = 0; i < old->spec.topic_count; i++)
        if (strcmp(old->spec.topics[i], new->spec.topics[i]) != 0)
            return false;
    return true;
}

static void copy_head(struct fleet *to, const struct fleet *from)
{
    struct baton *batons = to->batons;
    const int count = to->baton_count, max = to->baton_max;

    *to = *from;
    to->batons = batons;
    to->baton_count = count;
    to->baton_max = max;
    to->exists = true;
}

enum doc_result fleet_apply(struct fleet *f, const struct doc *doc)
{
    const struct fleet *new = &doc->fleet;
    const int first = doc->kind == DOC_SHARD ? doc->shard * SHARD_BATONS : 0;

    if (doc->kind == DOC_GONE) {
        f->exists = false;
        f->baton_count = 0;
        return DOC_APPLIED;
    }
    if (version_compare(doc->version, f->version) < 0)
        return DOC_STALE;
    if (doc->kind == DOC_HEAD ? new->baton_count > f->baton_max : first + new->baton_count > f->baton_max)
        return DOC_FITS_NOT;
    if (doc->kind != DOC_SHARD) {
        copy_head(f, new);
        f->applied = doc->version;
    }
    f->version = doc->version;
    if (doc->kind == DOC_HEAD) {
        if (new->baton_count < f->baton_count)
            f->baton_count = new->baton_count;
        return DOC_APPLIED;
    }
    for (int i = f->baton_count; i < first; i++)
        f->batons[i] = (struct baton){ .partition = -1 }; /* compaction may leave a later shard first */
    if (new->baton_count > 0)
        memcpy(&f->batons[first], new->batons, (size_t) new->baton_count * sizeof(*new->batons));
    if (doc->kind == DOC_WHOLE || first + new->baton_count > f->baton_count)
        f->baton_count = first + new->baton_count;
    return DOC_APPLIED;
}
