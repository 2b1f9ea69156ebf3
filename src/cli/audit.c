/*
 * audit - see audit.h. One small cell for each offset of each partition; a topic of the demo begins at offset 0.
 */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct cell {
    int64_t number;      /* produced here */
    int64_t number_done; /* the first one written down */
    uint16_t consumers;  /* a bit each */
    uint8_t times;       /* written down; stops at 255 */
    bool produced, listed, strange;
};

struct audit {
    struct {
        struct cell *cells;
        int64_t count, room;
    } * partitions;
    int partition_count;
    struct {
        char name[32];
        bool known, green, killed;
    } consumers[AUDIT_CONSUMERS_MAX];
};

struct audit *audit_new(int partition_count)
{
    struct audit *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->partition_count = partition_count;
    a->partitions = calloc((size_t)partition_count, sizeof(*a->partitions));
    if (!a->partitions) {
        free(a);
        return NULL;
    }
    return a;
}

void audit_free(struct audit *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->partition_count; i++)
        free(a->partitions[i].cells);
    free(a->partitions);
    free(a);
}

static struct cell *cell_at(struct audit *a, int partition, int64_t offset)
{
    if (partition < 0 || partition >= a->partition_count || offset < 0 || offset >= AUDIT_OFFSETS_MAX)
        return NULL;
    if (offset >= a->partitions[partition].room) {
        int64_t room = (offset + 1024) * 2;
        struct cell *cells = realloc(a->partitions[partition].cells, (size_t)room * sizeof(*cells));

        if (!cells)
            return NULL;
        memset(cells + a->partitions[partition].room, 0,
               (size_t)(room - a->partitions[partition].room) * sizeof(*cells));
        a->partitions[partition].cells = cells;
        a->partitions[partition].room = room;
    }
    if (offset >= a->partitions[partition].count)
        a->partitions[partition].count = offset + 1;
    return &a->partitions[partition].cells[offset];
}

bool audit_produced(struct audit *a, int partition, int64_t offset, int64_t number)
{
    struct cell *c = cell_at(a, partition, offset);

    if (!c)
        return false;
    c->strange = c->strange || c->produced || (c->times > 0 && c->number_done != number);
    c->produced = true;
    c->number = number;
    return true;
}

bool audit_consumer(struct audit *a, int consumer, const char *name, bool green, bool killed)
{
    if (consumer < 0 || consumer >= AUDIT_CONSUMERS_MAX)
        return false;
    snprintf(a->consumers[consumer].name, sizeof(a->consumers[consumer].name), "%s", name);
    a->consumers[consumer].known = true;
    a->consumers[consumer].green = green;
    a->consumers[consumer].killed = killed;
    return true;
}

bool audit_processed(struct audit *a, int consumer, int partition, int64_t offset, int64_t number)
{
    struct cell *c = cell_at(a, partition, offset);

    if (!c || consumer < 0 || consumer >= AUDIT_CONSUMERS_MAX || !a->consumers[consumer].known)
        return false;
    c->strange = c->strange || (c->produced && c->number != number) || (c->times > 0 && c->number_done != number);
    if (c->times == 0)
        c->number_done = number;
    c->consumers |= (uint16_t)(1u << consumer);
    if (c->times < UINT8_MAX)
        c->times++;
    return true;
}

bool audit_listed(struct audit *a, int partition, int64_t from, int64_t to)
{
    /* Beyond the end of what is there: the list may reach over records that nobody did twice. */
    for (int64_t offset = from; offset < to && offset < AUDIT_OFFSETS_MAX; offset++) {
        if (partition < 0 || partition >= a->partition_count || offset < 0)
            return false;
        if (offset >= a->partitions[partition].count)
            break;
        a->partitions[partition].cells[offset].listed = true;
    }
    return true;
}

void audit_forget_processed(struct audit *a)
{
    for (int p = 0; p < a->partition_count; p++)
        for (int64_t i = 0; i < a->partitions[p].count; i++) {
            struct cell *c = &a->partitions[p].cells[i];

            *c = (struct cell){ .number = c->number, .produced = c->produced, .listed = c->listed };
        }
}

static void who(const struct audit *a, const struct cell *c, int partition, int64_t offset, char *ret, size_t ret_size)
{
    int len = snprintf(ret, ret_size, "partition %d offset %" PRId64 " by", partition, offset);

    for (int i = 0; i < AUDIT_CONSUMERS_MAX; i++)
        if ((c->consumers & (1u << i)) && len >= 0 && (size_t)len < ret_size)
            len += snprintf(ret + len, ret_size - (size_t)len, " %s", a->consumers[i].name);
}

static void judge_cell(const struct audit *a, const struct cell *c, int partition, int64_t offset,
                       struct audit_result *ret)
{
    bool blue = false, green = false, killed = false;
    int consumers = 0;

    ret->produced += c->produced;
    ret->processed += c->times;
    ret->strange += c->strange;
    if (c->produced && c->times == 0 && ret->lost++ == 0)
        snprintf(ret->first_lost, sizeof(ret->first_lost), "partition %d offset %" PRId64, partition, offset);
    if (c->times < 2)
        return;
    for (int i = 0; i < AUDIT_CONSUMERS_MAX; i++) {
        if (!(c->consumers & (1u << i)))
            continue;
        consumers++;
        killed = killed || a->consumers[i].killed;
        blue = blue || !a->consumers[i].green;
        green = green || a->consumers[i].green;
    }
    /* One color, one of them killed, each of them once: at-least-once, as Kafka has it. */
    if (!(blue && green) && killed && consumers == c->times) {
        ret->repeated_by_kafka++;
        return;
    }
    ret->repeated++;
    if (!c->listed && ret->unlisted++ == 0)
        who(a, c, partition, offset, ret->first_unlisted, sizeof(ret->first_unlisted));
}

void audit_judge(const struct audit *a, struct audit_result *ret)
{
    *ret = (struct audit_result){ 0 };
    for (int p = 0; p < a->partition_count; p++)
        for (int64_t offset = 0; offset < a->partitions[p].count; offset++)
            judge_cell(a, &a->partitions[p].cells[offset], p, offset, ret);
}
