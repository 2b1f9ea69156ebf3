/* posted - see posted.h. */
#include "controller/posted.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record.h"

#define PLACES 2048 /* a decoded report takes some 10 KB; so many are seldom under way at once */

struct place {
    struct report *report; /* NULL: empty */
    char *text;
    size_t len;
    int topic_count;
};

struct posted {
    struct place places[PLACES];
    int count;
};

struct posted *posted_new(void)
{
    return must(calloc(1, sizeof(struct posted)));
}

static struct place *place_of(struct posted *p, const char *incarnation)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (const char *at = incarnation; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return &p->places[(hash ^ hash >> 16) % PLACES];
}

static void place_clear(struct posted *p, struct place *at)
{
    p->count -= at->report != NULL;
    report_free(at->report);
    free(at->text);
    *at = (struct place){ 0 };
}

void posted_put(struct posted *p, struct report *report, int topic_count, char *text, size_t len)
{
    struct place *at = place_of(p, report->incarnation);

    place_clear(p, at);
    *at = (struct place){ report, text, len, topic_count };
    p->count++;
}

struct report *posted_get(struct posted *p, const char *incarnation, int topic_count, const char *text, size_t len)
{
    struct place *at = place_of(p, incarnation);
    struct report *report = at->report;

    if (!report || at->topic_count != topic_count || at->len != len || memcmp(at->text, text, len) != 0)
        return NULL;
    at->report = NULL;
    p->count--;
    place_clear(p, at);
    return report;
}

void posted_forget(struct posted *p)
{
    for (int i = 0; i < PLACES && p->count > 0; i++)
        place_clear(p, &p->places[i]);
}

void posted_free(struct posted *p)
{
    if (!p)
        return;
    posted_forget(p);
    free(p);
}
