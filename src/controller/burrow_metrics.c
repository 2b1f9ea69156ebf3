/*
 * burrow_metrics - the page for Prometheus that Burrow has at /metrics: the same names, labels and values.
 *
 * As in Burrow a partition's status and offset are shown once its window is full. A family's samples stand together, so each
 * is written into a text of its own; the page is their sum.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
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

struct name {
    struct name *next;
    char text[];
};

struct page {
    struct str family[FAMILY_COUNT];
    const char *cluster, *subject; /* subject: the group or topic whose turn it is */
    struct name *names, **names_end;
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

/* The head of a sample: group and topic may be NULL, partition -1. */
static void add_sample(struct page *page, enum family family, const char *group, const char *topic, int32_t partition)
{
    struct str *to = &page->family[family];

    str_addf(to, "%s{", families[family].name);
    add_label(to, "cluster", page->cluster);
    if (group) {
        str_add_char(to, ',');
        add_label(to, "consumer_group", group);
    }
    if (topic) {
        str_add_char(to, ',');
        add_label(to, "topic", topic);
        str_addf(to, ",partition=\"%" PRId32 "\"", partition);
    }
    str_add(to, "} ");
}

static unsigned number_of(enum burrow_status status)
{
    return status == BURROW_UNKNOWN ? BURROW_OK : status;
}

static void on_partition(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *v)
{
    struct page *page = opaque;

    add_sample(page, PARTITION_LAG, page->subject, p->topic, p->partition);
    str_addf(&page->family[PARTITION_LAG], "%" PRIu64 "\n", p->window.current_lag);
    if (v->complete < 1.0F || !v->end)
        return;
    add_sample(page, CURRENT_OFFSET, page->subject, p->topic, p->partition);
    str_addf(&page->family[CURRENT_OFFSET], "%" PRId64 "\n", v->end->offset);
    add_sample(page, PARTITION_STATUS, page->subject, p->topic, p->partition);
    str_addf(&page->family[PARTITION_STATUS], "%u\n", number_of(v->status));
}

static void on_end(void *opaque, int32_t partition, bool known, int64_t end)
{
    struct page *page = opaque;

    if (!known)
        return;
    add_sample(page, TOPIC_OFFSET, NULL, page->subject, partition);
    str_addf(&page->family[TOPIC_OFFSET], "%" PRId64 "\n", end);
}

/* Judging may forget an expired group, which the walk over names does not allow: they are noted first. */
static void on_name(void *opaque, const char *name)
{
    struct page *page = opaque;
    struct name *one = malloc(sizeof(*one) + strlen(name) + 1);

    ASSERT(one != NULL);
    one->next = NULL;
    strcpy(one->text, name);
    *page->names_end = one;
    page->names_end = &one->next;
}

static const char *name_take(struct page *page, struct name **taken)
{
    free(*taken);
    *taken = page->names;
    page->names = *taken ? (*taken)->next : NULL;
    return *taken ? (*taken)->text : NULL;
}

void burrow_metrics(struct str *ret, struct burrow *store, const char *cluster, int64_t now_s)
{
    struct page page = { .cluster = cluster, .names_end = &page.names };
    struct burrow_group_verdict g;
    struct name *taken = NULL;

    for (int i = 0; i < FAMILY_COUNT; i++) {
        page.family[i] = STR_WITH_MAX(ret->max);
        str_addf(&page.family[i], "# HELP %s %s\n# TYPE %s gauge\n", families[i].name, families[i].help,
                 families[i].name);
    }
    burrow_groups(store, on_name, &page);
    while ((page.subject = name_take(&page, &taken))) {
        burrow_group_judge(&g, store, page.subject, now_s, on_partition, &page);
        if (g.status == BURROW_NOTFOUND)
            continue;
        add_sample(&page, LAG_TOTAL, page.subject, NULL, -1);
        str_addf(&page.family[LAG_TOTAL], "%" PRIu64 "\n", g.total_lag);
        add_sample(&page, STATUS, page.subject, NULL, -1);
        str_addf(&page.family[STATUS], "%u\n", number_of(g.status));
    }
    page.names_end = &page.names;
    burrow_topics(store, on_name, &page);
    while ((page.subject = name_take(&page, &taken)))
        burrow_topic(store, page.subject, on_end, &page);
    for (int i = 0; i < FAMILY_COUNT; i++) {
        if (str_error(&page.family[i]))
            ret->error = str_error(&page.family[i]);
        str_add_bytes(ret, page.family[i].buf, page.family[i].len);
        str_free(&page.family[i]);
    }
}
