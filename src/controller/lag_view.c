/*
 * lag_view - see lag_view.h.
 */
#include "controller/lag_view.h"

#include <string.h>

#include "base/check.h"

static json_t *offset_json(int64_t offset)
{
    return must(offset < 0 ? json_null() : json_integer(offset));
}

/* Names come from anybody who may commit: what is not UTF-8 has no place in JSON. */
static json_t *name_json(const char *name)
{
    json_t *json = json_string(name);

    return json ? json : must(json_string("(not UTF-8)"));
}

static void time_lag_add(json_t *to, struct time_lag time)
{
    json_object_set_new(to, "time_lag_ms", must(time.state == TIME_LAG_UNKNOWN ? json_null() : json_integer(time.ms)));
    if (time.state == TIME_LAG_AT_LEAST)
        json_object_set_new(to, "time_lag_at_least", json_true());
}

static json_t *group_json(const struct lag_group *g)
{
    json_t *json = must(json_pack("{s:o, s:s, s:s, s:i, s:I, s:i, s:I}", "group", name_json(g->name), "state", g->state,
                                  "protocol", g->protocol, "partition_count", g->row_count, "lag", (json_int_t)g->lag,
                                  "unknown", g->unknown, "lost", (json_int_t)g->lost));

    time_lag_add(json, g->time);
    if (g->trouble[0])
        json_object_set_new(json, "trouble", must(json_string(g->trouble)));
    return json;
}

static json_t *row_json(const struct lag_row *row)
{
    json_t *json = must(json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:s}", "topic", name_json(row->topic), "partition",
                                  (int)row->partition, "committed", offset_json(row->committed), "end",
                                  offset_json(row->end), "log_start", offset_json(row->log_start), "lag",
                                  offset_json(row->lag.state == LAG_KNOWN ? row->lag.records : OFFSET_UNKNOWN), "state",
                                  lag_state_name(row->lag.state)));

    if (row->lag.lost > 0)
        json_object_set_new(json, "lost", must(json_integer(row->lag.lost)));
    time_lag_add(json, row->time);
    if (row->committed_unix_ms > 0)
        json_object_set_new(json, "committed_unix_ms", must(json_integer(row->committed_unix_ms)));
    if (row->why[0])
        json_object_set_new(json, "why", must(json_string(row->why)));
    return json;
}

static json_t *refresh_json(const struct lag_reader *r)
{
    const struct lag_refresh *last = lag_reader_last(r);
    json_t *json = must(json_pack("{s:I, s:I, s:I}", "refresh", (json_int_t)last->number, "at_unix_ms",
                                  (json_int_t)last->at_unix_ms, "took_ms", (json_int_t)last->took_ms));

    if (last->trouble[0])
        json_object_set_new(json, "trouble", must(json_string(last->trouble)));
    return json;
}

json_t *lag_view_groups(const struct lag_reader *r)
{
    json_t *json = refresh_json(r), *groups = must(json_array());

    for (int i = 0; i < lag_group_count(r); i++)
        json_array_append_new(groups, group_json(lag_group_at(r, i)));
    json_object_set_new(json, "groups", groups);
    return json;
}

json_t *lag_view_group(const struct lag_reader *r, const struct lag_group *g, const char *topic)
{
    json_t *json = refresh_json(r), *rows = must(json_array());

    json_object_update_new(json, group_json(g));
    for (int i = 0; i < g->row_count; i++) {
        const struct lag_row row = lag_row_at(r, g, i);

        if (!topic || strcmp(topic, row.topic) == 0)
            json_array_append_new(rows, row_json(&row));
    }
    json_object_set_new(json, "partitions", rows);
    return json;
}
