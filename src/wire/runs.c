/* runs - see runs.h. */
#include "wire/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void run_put_partitions(struct json_out *o, int32_t first, int count)
{
    char text[32];

    ASSERT(first >= 0 && count >= 1);
    if (count == 1)
        snprintf(text, sizeof(text), "%d", (int)first);
    else
        snprintf(text, sizeof(text), "%d-%d", (int)first, (int)first + count - 1);
    json_put_text(o, "partitions", text);
}

/* Digits without leading zeros, below BATONS_MAX: no partition of a fleet is higher. Moves *at behind them. */
static bool read_partition(int32_t *ret, const char **at)
{
    const char *p = *at;
    int32_t value = 0;

    if (*p == '0' && p[1] >= '0' && p[1] <= '9')
        return false;
    while (*p >= '0' && *p <= '9' && value < BATONS_MAX)
        value = value * 10 + (*p++ - '0');
    if (p == *at || value >= BATONS_MAX)
        return false;
    *ret = value;
    *at = p;
    return true;
}

int run_partitions(const struct json_at *run, int32_t *ret_first, int count_max)
{
    const char *text = json_text(run, "partitions"), *at = text;
    int32_t first, last;

    *ret_first = 0;
    if (run->reader->error)
        return 0;
    if (!read_partition(&first, &at)) {
        json_fail(run, "partitions", "'%.40s' is no range such as 0-11 below %d", text, BATONS_MAX);
        return 0;
    }
    last = first;
    if (*at == '-') {
        at++;
        if (!read_partition(&last, &at))
            last = -1;
    }
    if (*at || last < first) {
        json_fail(run, "partitions", "'%.40s' is no range such as 0-11 below %d", text, BATONS_MAX);
        return 0;
    }
    if (last - first >= count_max) {
        json_fail(run, "partitions", "%d partitions, at most %d are allowed here", (int)(last - first + 1), count_max);
        return 0;
    }
    *ret_first = first;
    return (int)(last - first + 1);
}

void column_put(struct json_out *o, const char *key, const int64_t *values, int count, int64_t none)
{
    int same = 1;

    while (same < count && values[same] == values[0])
        same++;
    if (same == count) {
        if (values[0] != none)
            json_put_int(o, key, values[0]);
        return;
    }
    json_open(o, key, '[');
    for (int i = 0; i < count; i++)
        json_put_int_or_null(o, NULL, values[i], none);
    json_close(o, ']');
}

void column_read(const struct json_at *run, const char *key, int64_t *ret, int count, int64_t min, int64_t max,
                 int64_t none)
{
    struct json_at list;
    const bool is_list = json_is_array(json_object_get(run->value, key));
    const int64_t all = is_list ? none : json_int_or(run, key, min, max, none);

    for (int i = 0; i < count; i++)
        ret[i] = run->reader->error ? none : all;
    if (!is_list || !json_array_member(&list, run, key, (size_t)count))
        return;
    if (json_array_size(list.value) < (size_t)count) {
        json_fail(run, key, "%zu items for %d partitions", json_array_size(list.value), count);
        return;
    }
    for (int i = 0; i < count; i++) {
        const struct json_at item = json_item(&list, (size_t)i);

        ret[i] = json_int_or(&item, NULL, min, max, none);
    }
}

enum partition_added partition_set_add(struct partition_set *set, int topic, int32_t partition)
{
    const uint64_t bit = UINT64_C(1) << (partition % 64);
    uint64_t *word;

    ASSERT(topic >= 0 && topic < TOPICS_MAX && partition >= 0 && partition < BATONS_MAX);
    if (!set->bits[topic])
        set->bits[topic] = calloc(BATONS_MAX / 64, sizeof(uint64_t));
    if (!set->bits[topic])
        return PARTITION_NOMEM;
    word = &set->bits[topic][partition / 64];
    if (*word & bit)
        return PARTITION_KNOWN;
    *word |= bit;
    return PARTITION_ADDED;
}

void partition_set_deinit(struct partition_set *set)
{
    for (int i = 0; i < TOPICS_MAX; i++)
        free(set->bits[i]);
    memset(set, 0, sizeof(*set));
}
