/*
 * burrow_metrics - the page for Prometheus that Burrow has at /metrics: the same names, labels and values.
 *
 * As in Burrow a partition's status and offset are shown once its window is full. A family's samples stand together, and the page
 * of a large cluster is longer than anybody wants to keep in memory: so it is made in pieces, a pass over all groups for each family, and
 * the store is locked for a piece only. A group that comes or goes meanwhile is in some families and not in others.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "controller/burrow.h"

enum family { LAG_TOTAL, STATUS, PARTITION_LAG, CURRENT_OFFSET, PARTITION_STATUS, TOPIC_OFFSET, FAMILY_COUNT };

static const struct {
    const char *name, *help;
} families[FAMILY_COUNT] = {
    [LAG_TOTAL] = { "burrow_kafka_consumer_lag_total", "Sum of the lags of the group's partitions." },
    [STATUS] = { "burrow_kafka_consumer_status", "1 OK, 2 WARN, 3 ERR." },
    [PARTITION_LAG] = { "burrow_kafka_consumer_partition_lag", "Records that the group is behind in the partition." },
    [CURRENT_OFFSET] = { "burrow_kafka_consumer_current_offset", "Newest commit of the group in the partition." },
    [PARTITION_STATUS] = { "burrow_kafka_topic_partition_status", "1 OK, 2 WARN, 4 STOP, 5 STALL, 6 REWIND." },
    [TOPIC_OFFSET] = { "burrow_kafka_topic_partition_offset", "Newest end of the partition's log." },
};

#define PIECE_BYTES (64 * 1024)

struct name {
    struct name *next;
    char text[];
};

struct burrow_page {
    struct burrow_follower *follower;
    struct burrow *store;
    const char *cluster;
    int64_t now_s;
    struct name *groups, *topics;
    int family;                 /* -1: none has begun */
    const struct name *subject; /* the group or topic whose turn it is in this family */
    struct str *to;
};

static void add_label(struct str *to, const char *label, const char *value)
{
    str_addf(to, "%s=\"", label);
    for (const char *p = value; *p; p++) {
        if (*p == '\\' || *p == '"')
            str_add_char(to, '\\');
        if (*p == '\n')
            str_add(to, "\\n");
        else
            str_add_char(to, *p);
    }
    str_add_char(to, '"');
}

/* The head of a sample: group and topic may be NULL. */
static void add_sample(struct burrow_page *page, const char *group, const char *topic, int32_t partition)
{
    str_addf(page->to, "%s{", families[page->family].name);
    add_label(page->to, "cluster", page->cluster);
    if (group) {
        str_add_char(page->to, ',');
        add_label(page->to, "consumer_group", group);
    }
    if (topic) {
        str_add_char(page->to, ',');
        add_label(page->to, "topic", topic);
        str_addf(page->to, ",partition=\"%" PRId32 "\"", partition);
    }
    str_add(page->to, "} ");
}

static unsigned number_of(enum burrow_status status)
{
    return status == BURROW_UNKNOWN ? BURROW_OK : status;
}

static void on_partition(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *v)
{
    struct burrow_page *page = opaque;

    if (page->family != PARTITION_LAG && (v->complete < 1.0F || !v->end))
        return;
    add_sample(page, page->subject->text, p->topic, p->partition);
    if (page->family == PARTITION_LAG)
        str_addf(page->to, "%" PRIu64 "\n", p->window.current_lag);
    else if (page->family == CURRENT_OFFSET)
        str_addf(page->to, "%" PRId64 "\n", v->end->offset);
    else
        str_addf(page->to, "%u\n", number_of(v->status));
}

static void add_group(struct burrow_page *page)
{
    const bool sums = page->family == LAG_TOTAL || page->family == STATUS;
    const char *group = page->subject->text;
    struct burrow_group_verdict g;

    burrow_group_judge(&g, page->store, group, page->now_s, sums ? NULL : on_partition, page);
    if (!sums || g.status == BURROW_NOTFOUND)
        return;
    add_sample(page, group, NULL, -1);
    if (page->family == LAG_TOTAL)
        str_addf(page->to, "%" PRIu64 "\n", g.total_lag);
    else
        str_addf(page->to, "%u\n", number_of(g.status));
}

static void on_end(void *opaque, int32_t partition, bool known, int64_t end)
{
    struct burrow_page *page = opaque;

    if (!known)
        return;
    add_sample(page, NULL, page->subject->text, partition);
    str_addf(page->to, "%" PRId64 "\n", end);
}

static void begin_family(struct burrow_page *page)
{
    const char *name = families[page->family].name;

    str_addf(page->to, "# HELP %s %s\n# TYPE %s gauge\n", name, families[page->family].help, name);
    page->subject = page->family == TOPIC_OFFSET ? page->topics : page->groups;
}

/* What one group or topic has in one family, and the next family's head behind the last. False: that was all. */
static bool add_subject(struct burrow_page *page)
{
    if (page->subject && page->family == TOPIC_OFFSET)
        burrow_topic(page->store, page->subject->text, on_end, page);
    else if (page->subject)
        add_group(page);
    if (page->subject)
        page->subject = page->subject->next;
    while (!page->subject && ++page->family < FAMILY_COUNT)
        begin_family(page);
    return page->family < FAMILY_COUNT;
}

static int page_more(void *opaque, struct str *to)
{
    struct burrow_page *page = opaque;
    char trouble[512] = "";
    bool more = true;

    page->store = burrow_follower_lock(page->follower, trouble, sizeof(trouble));
    if (!page->store)
        return -1;
    page->to = to;
    while (more && to->len < PIECE_BYTES)
        more = add_subject(page);
    burrow_follower_unlock(page->follower);
    return more;
}

static void names_free(struct name *names)
{
    while (names) {
        struct name *next = names->next;

        free(names);
        names = next;
    }
}

static void page_over(void *opaque)
{
    struct burrow_page *page = opaque;

    names_free(page->groups);
    names_free(page->topics);
    free(page);
}

static void on_name(void *opaque, const char *text)
{
    struct name ***end = opaque, *one = must(malloc(sizeof(*one) + strlen(text) + 1));

    one->next = NULL;
    strcpy(one->text, text);
    **end = one;
    *end = &one->next;
}

struct http_pieces burrow_metrics(struct burrow_follower *follower, const struct burrow *store, const char *cluster)
{
    struct burrow_page *page = must(calloc(1, sizeof(*page)));
    struct name **groups_end = &page->groups, **topics_end = &page->topics;

    page->follower = follower;
    page->cluster = cluster;
    page->now_s = clock_unix_ms() / 1000;
    page->family = -1;
    burrow_groups(store, on_name, &groups_end);
    burrow_topics(store, on_name, &topics_end);
    return (struct http_pieces){ .more = page_more, .over = page_over, .opaque = page };
}
