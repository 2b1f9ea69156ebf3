/*
 * metrics - the table of metrics, and the page that is made from it.
 *
 * One row a metric: what it is called, what it means, and the function that writes its samples. docs/metrics.md is printed
 * from the same table, and a test compares both, the alert rules and the dashboard with a page that was really served.
 *
 * How many series there can be is bounded: fleets by FLEETS_MAX, their topics by TOPICS_MAX, kinds of failure by
 * FAILURE_CLASSES_MAX, partitions by an option, all fleets together. No label holds what churns, such as a member's id.
 */
#include "controller/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "controller/internal.h"
#include "controller/metrics_page.h"
#include "controller/prometheus.h"
#include "controller/throttling.h"
#include "controller/watch.h"

#define PAGE_BYTES_MAX (32 * 1024 * 1024)
#define VERSIONS_MAX 4 /* of a color that are shown */

/* --- noting ------------------------------------------------------------------------------------------------------- */

void metrics_open(struct controller *c)
{
    c->metrics.began_unix_ms = clock_unix_ms();
}

void metrics_close(struct controller *c)
{
    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next)
        if (f->opaque) {
            lags_free(f->opaque);
            watch_free(f->opaque);
            throttling_free(f->opaque);
        }
    prometheus_close(c->prometheus);
    c->prometheus = NULL;
}

void metrics_log_changed(struct controller *c, const struct mirror_change *change)
{
    if (change->type == MIRROR_CLAIM && c->replayed && strcmp(c->mirror.claim.controller, c->id) == 0)
        c->metrics.reigns++;
    c->metrics.skipped += change->type == MIRROR_VOID && c->replayed;
    if (change->fleet)
        tally_log_changed(entry_make(c, change->fleet->name), change);
}

void metrics_tick(struct controller *c)
{
    const int64_t now_ms = clock_ms();

    for (struct mirror_fleet *f = c->mirror.fleets; f; f = f->next)
        if (f->opaque) {
            watch_tick(f->opaque, now_ms);
            throttling_tick(f->opaque, now_ms);
            lags_tick(f->opaque, now_ms);
        }
}

/* --- of the process ----------------------------------------------------------------------------------------------- */

static void write_build(struct page *p, struct controller *c)
{
    (void)c;
    page_labels(p, "version", BATON_VERSION, "librdkafka", rd_kafka_version_str(), NULL);
    page_int(p, 1);
}

static void write_role(struct page *p, struct controller *c)
{
    static const char *names[] = { "replaying", "following", "leading" };
    struct controller_state state;

    controller_state(c, &state);
    page_states(p, names, ARRAY_COUNT(names), (int)state.role);
}

static void write_term(struct page *p, struct controller *c)
{
    if (c->mirror.terms.highest >= 0)
        page_int(p, c->mirror.terms.highest);
}

static void write_reigns(struct page *p, struct controller *c)
{
    page_count(p, c->metrics.reigns);
}

static void write_reachable(struct page *p, struct controller *c)
{
    page_int(p, c->trouble[0] == '\0');
}

static void write_log_position(struct page *p, struct controller *c)
{
    page_int(p, c->mirror.position);
}

static void write_log_void(struct page *p, struct controller *c)
{
    page_count(p, c->metrics.skipped);
}

static void write_turns(struct page *p, struct controller *c)
{
    page_histogram(p, &c->metrics.turns, 5, 23, 2); /* 32 us to 8.4 s */
}

static void write_cpu(struct page *p, struct controller *c)
{
    struct rusage u;

    (void)c;
    if (getrusage(RUSAGE_SELF, &u) == 0)
        page_seconds(p, (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
                            u.ru_stime.tv_usec);
}

static void write_memory(struct page *p, struct controller *c)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long long pages;

    (void)c;
    if (f && fscanf(f, "%*s %lld", &pages) == 1)
        page_int(p, pages * sysconf(_SC_PAGESIZE));
    if (f)
        fclose(f);
}

static void write_start(struct page *p, struct controller *c)
{
    page_ms(p, c->metrics.began_unix_ms);
}

/* --- of fleets: the leader says it -------------------------------------------------------------------------------- */

/* The next one that exists; NULL at the end, and always where another controller leads. */
static struct entry *next_entry(struct controller *c, const struct entry *before)
{
    struct mirror_fleet *f = before ? before->mirror->next : c->mirror.fleets;

    while (f && (!f->opaque || !f->fleet.exists))
        f = f->next;
    return f && controller_leads(c) ? f->opaque : NULL;
}
#define EACH_FLEET(e, c) for (struct entry *e = next_entry(c, NULL); e; e = next_entry(c, e))
#define EACH_COLOR(color) for (enum color color = BLUE; color < COLOR_COUNT; color++)

static void write_fleets(struct page *p, struct controller *c)
{
    int count = 0;

    EACH_FLEET(e, c)
        count++;
    if (controller_leads(c))
        page_int(p, count);
}

static void write_phase(struct page *p, struct controller *c)
{
    const char *names[PHASE_COUNT];

    for (int i = 0; i < PHASE_COUNT; i++)
        names[i] = phase_name((enum phase)i);
    EACH_FLEET(e, c) {
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_states(p, names, PHASE_COUNT, (int)e->mirror->fleet.phase);
    }
}

static void write_active(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color) {
            page_labels(p, "fleet", e->mirror->name, "color", color_name(color), NULL);
            page_int(p, e->mirror->fleet.active == color);
        }
}

static void write_epoch(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_int(p, (int64_t)e->mirror->fleet.version.epoch);
    }
}

static void write_broken(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_int(p, e->mirror->broken[0] != '\0');
    }
}

static void write_batons(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        const struct fleet *f = &e->mirror->fleet;
        int counts[COLOR_COUNT][RIGHT_COUNT] = { 0 };

        for (int i = 0; i < f->baton_count; i++)
            if (f->batons[i].partition >= 0)
                counts[f->batons[i].holder][f->batons[i].state]++;
        EACH_COLOR(color)
            for (int s = 0; s < RIGHT_COUNT; s++) {
                page_labels(p, "fleet", e->mirror->name, "holder", color_name(color), "state",
                            right_name((enum right)s), NULL);
                page_int(p, counts[color][s]);
            }
    }
}

static void write_members(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int counts[COLOR_COUNT][2] = { 0 };
        const struct report *r;
        int64_t heard_ms;

        for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
            if (!r->goodbye)
                counts[r->color][r->ready]++;
        EACH_COLOR(color)
            for (int ready = 0; ready < 2; ready++) {
                page_labels(p, "fleet", e->mirror->name, "color", color_name(color), "ready", ready ? "yes" : "no",
                            NULL);
                page_int(p, counts[color][ready]);
            }
    }
}

static void write_versions_of(struct page *p, const struct entry *e, enum color color)
{
    const char *seen[VERSIONS_MAX];
    const struct report *r;
    int64_t heard_ms;
    int count = 0;

    for (int i = 0; count < VERSIONS_MAX && entry_member(e, i, &r, &heard_ms); i++) {
        bool known = r->goodbye || r->color != color;

        for (int k = 0; k < count && !known; k++)
            known = strcmp(seen[k], r->version) == 0;
        if (known)
            continue;
        seen[count++] = r->version;
        page_labels(p, "fleet", e->mirror->name, "color", color_name(color), "version", r->version, NULL);
        page_int(p, 1);
    }
}

static void write_versions(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color)
            write_versions_of(p, e, color);
}

static void write_operations(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c)
        for (int k = 0; k < OP_KIND_COUNT; k++)
            for (int s = OP_COMPLETE; s < OP_STATE_COUNT; s++) {
                page_labels(p, "fleet", e->mirror->name, "kind", op_kind_name((enum op_kind)k), "outcome",
                            op_state_name((enum op_state)s), NULL);
                page_count(p, tally_ended(e, (enum op_kind)k, (enum op_state)s));
            }
}

static void write_standstill(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_histogram(p, tally_standstill(e), 9, 26, 1); /* 0.5 ms to 67 s */
    }
}

static void labels_color(struct page *p, const struct entry *e, enum color color)
{
    page_labels(p, "fleet", e->mirror->name, "color", color_name(color), NULL);
}

/* One a fleet and color, of the count that stands at `at` in struct tally_color. */
static void write_count(struct page *p, struct controller *c, size_t at)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color) {
            labels_color(p, e, color);
            page_count(p, *(const uint64_t *)(const void *)((const char *)tally_color(e, color) + at));
        }
}

static void write_reports(struct page *p, struct controller *c)
{
    write_count(p, c, offsetof(struct tally_color, reports));
}

static void write_done(struct page *p, struct controller *c)
{
    write_count(p, c, offsetof(struct tally_color, done));
}

static void write_gated(struct page *p, struct controller *c)
{
    write_count(p, c, offsetof(struct tally_color, gated));
}

static void write_failed(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color) {
            const struct signals *s = &tally_color(e, color)->signals;

            for (int i = 0; i < s->failed_count; i++) {
                page_labels(p, "fleet", e->mirror->name, "color", color_name(color), "class", s->failed[i].name, NULL);
                page_count(p, s->failed[i].count);
            }
            if (s->failed_count == 0) { /* a series that is there from the start shows the first failure as a rise */
                page_labels(p, "fleet", e->mirror->name, "color", color_name(color), "class", FAILURE_CLASS_OTHER,
                            NULL);
                page_count(p, 0);
            }
        }
}

/* One a fleet and color, of the histogram that stands at `at` in struct signals. */
static void write_histogram(struct page *p, struct controller *c, size_t at, int first, int last, int step)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color) {
            labels_color(p, e, color);
            page_histogram(p, (const void *)((const char *)&tally_color(e, color)->signals + at), first, last, step);
        }
}

static void write_processing(struct page *p, struct controller *c)
{
    write_histogram(p, c, offsetof(struct signals, processing), 6, 26, 1); /* 64 us to 67 s */
}

static void write_poll_gap(struct page *p, struct controller *c)
{
    write_histogram(p, c, offsetof(struct signals, poll_gap), 10, 28, 2); /* 1 ms to 268 s */
}

static void write_metadata(struct page *p, struct controller *c)
{
    write_histogram(p, c, offsetof(struct signals, metadata), 10, 24, 2); /* 1 ms to 16.8 s */
}

/* --- lag ---------------------------------------------------------------------------------------------------------- */

static void labels_topic(struct page *p, const struct entry *e, enum color color, int topic)
{
    const struct spec *s = &e->mirror->fleet.spec;

    page_labels(p, "fleet", s->fleet, "color", color_name(color), "group", s->colors[color].group, "topic",
                s->topics[topic], NULL);
}

static void labels_partition(struct page *p, const struct entry *e, enum color color, const struct lag_part *part)
{
    const struct spec *s = &e->mirror->fleet.spec;
    char partition[16];

    snprintf(partition, sizeof(partition), "%d", (int)part->partition);
    page_labels(p, "fleet", s->fleet, "color", color_name(color), "group", s->colors[color].group, "topic",
                s->topics[part->topic], "partition", partition, NULL);
}

/* What is read of a fleet that was made anew since then is not of this one. */
static const struct lag_part *parts_of(const struct entry *e, int *ret_count)
{
    const struct fleet *f = &e->mirror->fleet;
    int64_t at_unix_ms;
    const struct lag_part *parts = lags_read(e, ret_count, &at_unix_ms);
    bool ours = parts && *ret_count <= f->baton_count;

    for (int i = 0; ours && i < *ret_count; i++)
        ours = parts[i].topic == f->batons[i].topic && parts[i].partition == f->batons[i].partition;
    if (!ours)
        *ret_count = 0;
    return ours ? parts : NULL;
}

static void write_lag(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int count;
        const struct lag_part *parts = parts_of(e, &count);
        const int shown = lags_shown(e) < count ? lags_shown(e) : count;

        EACH_COLOR(color)
            for (int i = 0; i < shown; i++)
                if (parts[i].lag[color].state == LAG_KNOWN) {
                    labels_partition(p, e, color, &parts[i]);
                    page_int(p, parts[i].lag[color].records);
                }
    }
}

static void write_lag_seconds(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int count;
        const struct lag_part *parts = parts_of(e, &count);
        const int shown = lags_shown(e) < count ? lags_shown(e) : count;

        EACH_COLOR(color)
            for (int i = 0; i < shown; i++)
                if (parts[i].time[color].state != TIME_LAG_UNKNOWN) {
                    labels_partition(p, e, color, &parts[i]);
                    page_ms(p, parts[i].time[color].ms);
                }
    }
}

/* Of one group and topic: sums over the partitions where it is known. */
struct topic_lag {
    int known, unknown, timed;
    int64_t records, committed, ms;
};

static struct topic_lag topic_lag(const struct lag_part *parts, int count, enum color color, int topic)
{
    struct topic_lag sum = { 0 };

    for (int i = 0; i < count; i++) {
        const struct lag_part *part = &parts[i];

        if (part->topic != topic)
            continue;
        if (part->lag[color].state == LAG_KNOWN) {
            sum.known++;
            sum.records += part->lag[color].records;
            sum.committed += part->committed[color];
        } else {
            sum.unknown++;
        }
        if (part->time[color].state != TIME_LAG_UNKNOWN) {
            sum.timed++;
            sum.ms = part->time[color].ms > sum.ms ? part->time[color].ms : sum.ms;
        }
    }
    return sum;
}

enum topic_figure { TOPIC_RECORDS, TOPIC_SECONDS, TOPIC_UNKNOWN };

static void write_topics(struct page *p, struct controller *c, enum topic_figure figure)
{
    EACH_FLEET(e, c) {
        int count;
        const struct lag_part *parts = parts_of(e, &count);

        EACH_COLOR(color)
            for (int t = 0; parts && t < e->mirror->fleet.spec.topic_count; t++) {
                const struct topic_lag sum = topic_lag(parts, count, color, t);

                labels_topic(p, e, color, t);
                if (figure == TOPIC_UNKNOWN)
                    page_int(p, sum.unknown);
                else if (figure == TOPIC_RECORDS && sum.known > 0)
                    page_int(p, sum.records);
                else if (figure == TOPIC_SECONDS && sum.timed > 0)
                    page_ms(p, sum.ms);
            }
    }
}

static void write_topic_lag(struct page *p, struct controller *c)
{
    write_topics(p, c, TOPIC_RECORDS);
}

static void write_topic_lag_seconds(struct page *p, struct controller *c)
{
    write_topics(p, c, TOPIC_SECONDS);
}

static void write_topic_lag_unknown(struct page *p, struct controller *c)
{
    write_topics(p, c, TOPIC_UNKNOWN);
}

static void write_lag_time(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int64_t at_unix_ms;
        int count;

        if (!lags_read(e, &count, &at_unix_ms))
            continue;
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_ms(p, at_unix_ms);
    }
}

static void write_hidden(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int count;

        if (!parts_of(e, &count))
            continue;
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_int(p, count > lags_shown(e) ? count - lags_shown(e) : 0);
    }
}

/* --- the judge ---------------------------------------------------------------------------------------------------- */

static void write_verdict(struct page *p, struct controller *c)
{
    const char *names[VERDICT_COUNT];

    for (int i = 0; i < VERDICT_COUNT; i++)
        names[i] = verdict_name((enum verdict)i);
    EACH_FLEET(e, c) {
        const struct switcher *s = e->led ? led_switcher(e->led) : NULL;

        if (!s || !s->op.judged)
            continue;
        page_labels(p, "fleet", e->mirror->name, NULL);
        page_states(p, names, VERDICT_COUNT, (int)s->op.verdict.verdict);
    }
}

static void write_signals(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        int known;
        const int count = watch_signals(e, &known);

        for (int i = 0; i < 2; i++) {
            page_labels(p, "fleet", e->mirror->name, "state", i ? "known" : "unknown", NULL);
            page_int(p, i ? known : count - known);
        }
    }
}

/* --- kafka_exporter's names --------------------------------------------------------------------------------------- */

enum exporter_figure { EXPORTER_OFFSET, EXPORTER_LAG, EXPORTER_END, EXPORTER_START };

static void exporter_partition(struct page *p, const char *group, const char *topic, const struct lag_part *part,
                               int64_t value)
{
    char partition[16];

    snprintf(partition, sizeof(partition), "%d", (int)part->partition);
    if (group)
        page_labels(p, "consumergroup", group, "topic", topic, "partition", partition, NULL);
    else
        page_labels(p, "topic", topic, "partition", partition, NULL);
    page_int(p, value);
}

/* Groups and topics belong to one fleet each, so no series is given twice; topics that two fleets share are the exception. */
static bool topic_shown_before(struct controller *c, const struct entry *e, const char *topic)
{
    for (struct entry *before = next_entry(c, NULL); before && before != e; before = next_entry(c, before))
        if (fleet_topic(&before->mirror->fleet, topic) >= 0)
            return true;
    return false;
}

static bool group_shown_before(struct controller *c, const struct entry *e, const char *group)
{
    for (struct entry *before = next_entry(c, NULL); before && before != e; before = next_entry(c, before))
        EACH_COLOR(color)
            if (strcmp(before->mirror->fleet.spec.colors[color].group, group) == 0)
                return true;
    return false;
}

static void write_exporter_group(struct page *p, struct controller *c, enum exporter_figure figure)
{
    EACH_FLEET(e, c) {
        const struct spec *s = &e->mirror->fleet.spec;
        int count;
        const struct lag_part *parts = parts_of(e, &count);
        const int shown = lags_shown(e) < count ? lags_shown(e) : count;

        EACH_COLOR(color)
            for (int i = 0; i < shown && !group_shown_before(c, e, s->colors[color].group); i++)
                if (parts[i].lag[color].state == LAG_KNOWN)
                    exporter_partition(p, s->colors[color].group, s->topics[parts[i].topic], &parts[i],
                                       figure == EXPORTER_LAG ? parts[i].lag[color].records
                                                              : parts[i].committed[color]);
    }
}

static void write_exporter_group_sum(struct page *p, struct controller *c, enum exporter_figure figure)
{
    EACH_FLEET(e, c) {
        const struct spec *s = &e->mirror->fleet.spec;
        int count;
        const struct lag_part *parts = parts_of(e, &count);

        EACH_COLOR(color)
            for (int t = 0; parts && t < s->topic_count && !group_shown_before(c, e, s->colors[color].group); t++) {
                const struct topic_lag sum = topic_lag(parts, count, color, t);

                if (sum.known == 0)
                    continue;
                page_labels(p, "consumergroup", s->colors[color].group, "topic", s->topics[t], NULL);
                page_int(p, figure == EXPORTER_LAG ? sum.records : sum.committed);
            }
    }
}

static void write_exporter_topic(struct page *p, struct controller *c, enum exporter_figure figure)
{
    EACH_FLEET(e, c) {
        int count;
        const struct lag_part *parts = parts_of(e, &count);
        const int shown = lags_shown(e) < count ? lags_shown(e) : count;

        for (int i = 0; i < shown; i++) {
            const char *topic = e->mirror->fleet.spec.topics[parts[i].topic];
            const int64_t offset = figure == EXPORTER_END ? parts[i].log_end : parts[i].log_start;

            if (offset != OFFSET_NONE && !topic_shown_before(c, e, topic))
                exporter_partition(p, NULL, topic, &parts[i], offset);
        }
    }
}

static void write_exporter_offset(struct page *p, struct controller *c)
{
    write_exporter_group(p, c, EXPORTER_OFFSET);
}

static void write_exporter_lag(struct page *p, struct controller *c)
{
    write_exporter_group(p, c, EXPORTER_LAG);
}

static void write_exporter_offset_sum(struct page *p, struct controller *c)
{
    write_exporter_group_sum(p, c, EXPORTER_OFFSET);
}

static void write_exporter_lag_sum(struct page *p, struct controller *c)
{
    write_exporter_group_sum(p, c, EXPORTER_LAG);
}

static void write_exporter_end(struct page *p, struct controller *c)
{
    write_exporter_topic(p, c, EXPORTER_END);
}

static void write_exporter_start(struct page *p, struct controller *c)
{
    write_exporter_topic(p, c, EXPORTER_START);
}

static void write_exporter_members(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c)
        EACH_COLOR(color) {
            const char *group = e->mirror->fleet.spec.colors[color].group;
            const struct report *r;
            int64_t heard_ms;
            int count = 0;

            for (int i = 0; entry_member(e, i, &r, &heard_ms); i++)
                count += r->color == color && !r->goodbye;
            if (group_shown_before(c, e, group))
                continue;
            page_labels(p, "consumergroup", group, NULL);
            page_int(p, count);
        }
}

static void write_exporter_partitions(struct page *p, struct controller *c)
{
    EACH_FLEET(e, c) {
        const struct fleet *f = &e->mirror->fleet;

        for (int t = 0; t < f->spec.topic_count; t++) {
            int count = 0;

            for (int i = 0; i < f->baton_count; i++)
                count += f->batons[i].topic == t && f->batons[i].partition >= 0;
            if (topic_shown_before(c, e, f->spec.topics[t]))
                continue;
            page_labels(p, "topic", f->spec.topics[t], NULL);
            page_int(p, count);
        }
    }
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

enum whose { OF_PROCESS, OF_FLEETS, OF_EXPORTER };

// clang-format off
static const struct row {
    enum whose whose;
    struct metric metric;
    void (*write)(struct page *p, struct controller *c);
} rows[] = {
    { OF_PROCESS, { "baton_build", METRIC_TYPE_INFO, "", "version, librdkafka", "What runs here." }, write_build },
    { OF_PROCESS, { "baton_controller_role", METRIC_TYPE_STATESET, "", "baton_controller_role",
      "What this controller does: replaying, following or leading. Only the one that leads tells of fleets." }, write_role },
    { OF_PROCESS, { "baton_controller_term", METRIC_TYPE_GAUGE, "", "", "Newest term in the control log: the offset of its claim." }, write_term },
    { OF_PROCESS, { "baton_controller_reigns", METRIC_TYPE_COUNTER, "", "", "How often this controller began to lead." }, write_reigns },
    { OF_PROCESS, { "baton_kafka_reachable", METRIC_TYPE_GAUGE, "", "", "1 while the brokers answer, else 0." }, write_reachable },
    { OF_PROCESS, { "baton_control_log_position", METRIC_TYPE_GAUGE, "", "", "Next offset of the control log to be read." }, write_log_position },
    { OF_PROCESS, { "baton_control_log_skipped_records", METRIC_TYPE_COUNTER, "", "",
      "Records of the control log without effect: of a dead term, or corrupt." }, write_log_void },
    { OF_PROCESS, { "baton_loop_turn_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "", "How long a turn of the event loop took." }, write_turns },
    { OF_PROCESS, { "process_cpu_seconds", METRIC_TYPE_COUNTER, "seconds", "", "Processor time, user and system." }, write_cpu },
    { OF_PROCESS, { "process_resident_memory_bytes", METRIC_TYPE_GAUGE, "bytes", "", "Memory that is resident." }, write_memory },
    { OF_PROCESS, { "process_start_time_seconds", METRIC_TYPE_GAUGE, "seconds", "", "When the process started, since 1970." }, write_start },

    { OF_FLEETS, { "baton_fleets", METRIC_TYPE_GAUGE, "", "", "Fleets that exist." }, write_fleets },
    { OF_FLEETS, { "baton_fleet_phase", METRIC_TYPE_STATESET, "", "fleet, baton_fleet_phase", "What the fleet is at." }, write_phase },
    { OF_FLEETS, { "baton_fleet_active", METRIC_TYPE_GAUGE, "", "fleet, color", "1 for the active color, 0 for the other." }, write_active },
    { OF_FLEETS, { "baton_fleet_epoch", METRIC_TYPE_GAUGE, "", "fleet", "Number of the fleet's document: grows with every change." }, write_epoch },
    { OF_FLEETS, { "baton_fleet_broken", METRIC_TYPE_GAUGE, "", "fleet",
      "1 while a record of the fleet in the control log cannot be read, else 0." }, write_broken },
    { OF_FLEETS, { "baton_batons", METRIC_TYPE_GAUGE, "", "fleet, holder, state", "Partitions by the color that holds their baton and by its state." }, write_batons },
    { OF_FLEETS, { "baton_members", METRIC_TYPE_GAUGE, "", "fleet, color, ready", "Members by color, and whether they may take a baton." }, write_members },
    { OF_FLEETS, { "baton_color_version", METRIC_TYPE_INFO, "", "fleet, color, version",
      "Versions that members of a color say they run, four at most." }, write_versions },
    { OF_FLEETS, { "baton_operations", METRIC_TYPE_COUNTER, "", "fleet, kind, outcome", "Switches, rollbacks, pauses and resumes by how they ended." }, write_operations },
    { OF_FLEETS, { "baton_standstill_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "fleet",
      "How long nobody worked on a partition while it was handed over, by the members' clocks." }, write_standstill },
    { OF_FLEETS, { "baton_reports", METRIC_TYPE_COUNTER, "", "fleet, color", "Reports of members that were read." }, write_reports },
    { OF_FLEETS, { "baton_records_done", METRIC_TYPE_COUNTER, "", "fleet, color", "Records that members marked done." }, write_done },
    { OF_FLEETS, { "baton_records_failed", METRIC_TYPE_COUNTER, "", "fleet, color, class", "Those of them that had failed, by what the program calls it." }, write_failed },
    { OF_FLEETS, { "baton_records_gated", METRIC_TYPE_COUNTER, "", "fleet, color",
      "Records that were fetched and were not the member's to deliver." }, write_gated },
    { OF_FLEETS, { "baton_processing_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "fleet, color",
      "From delivery to done, of a sample of the records." }, write_processing },
    { OF_FLEETS, { "baton_poll_gap_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "fleet, color", "How long members did not ask for records, between two polls." }, write_poll_gap },
    { OF_FLEETS, { "baton_metadata_seconds", METRIC_TYPE_HISTOGRAM, "seconds", "fleet, color",
      "How long the brokers took to tell a member about the fleet's topics." }, write_metadata },
    { OF_FLEETS, { "baton_partition_lag_records", METRIC_TYPE_GAUGE, "", "fleet, color, group, topic, partition",
      "Records between what the group has committed and the end of the log. No sample: not known." }, write_lag },
    { OF_FLEETS, { "baton_partition_lag_seconds", METRIC_TYPE_GAUGE, "seconds", "fleet, color, group, topic, partition",
      "Age of the oldest record that is not committed, at least: the log's growth is remembered for ten minutes." }, write_lag_seconds },
    { OF_FLEETS, { "baton_topic_lag_records", METRIC_TYPE_GAUGE, "", "fleet, color, group, topic", "The same, summed over the partitions where it is known." }, write_topic_lag },
    { OF_FLEETS, { "baton_topic_lag_seconds", METRIC_TYPE_GAUGE, "seconds", "fleet, color, group, topic", "The oldest of the topic's partitions." }, write_topic_lag_seconds },
    { OF_FLEETS, { "baton_topic_lag_unknown_partitions", METRIC_TYPE_GAUGE, "", "fleet, color, group, topic",
      "Partitions whose lag is not known: nothing committed, or it could not be read." }, write_topic_lag_unknown },
    { OF_FLEETS, { "baton_lag_read_timestamp_seconds", METRIC_TYPE_GAUGE, "seconds", "fleet", "When lag was read from the brokers, since 1970." }, write_lag_time },
    { OF_FLEETS, { "baton_lag_hidden_partitions", METRIC_TYPE_GAUGE, "", "fleet",
      "Partitions without lag series of their own: beyond the bound of --metrics-partitions." }, write_hidden },
    { OF_FLEETS, { "baton_verdict", METRIC_TYPE_STATESET, "", "fleet, baton_verdict",
      "What the judge says of the newest stage that is or was watched. No sample: nothing has been judged yet." }, write_verdict },
    { OF_FLEETS, { "baton_signals", METRIC_TYPE_GAUGE, "", "fleet, state",
      "Queries of the fleet file to Prometheus, one a color: how many have a figure now, and how many are unknown." }, write_signals },

    { OF_EXPORTER, { "kafka_consumergroup_current_offset", METRIC_TYPE_GAUGE, "", "consumergroup, topic, partition", "Committed offset." }, write_exporter_offset },
    { OF_EXPORTER, { "kafka_consumergroup_current_offset_sum", METRIC_TYPE_GAUGE, "", "consumergroup, topic", "Committed offsets of all partitions." }, write_exporter_offset_sum },
    { OF_EXPORTER, { "kafka_consumergroup_lag", METRIC_TYPE_GAUGE, "", "consumergroup, topic, partition", "Records not committed." }, write_exporter_lag },
    { OF_EXPORTER, { "kafka_consumergroup_lag_sum", METRIC_TYPE_GAUGE, "", "consumergroup, topic", "Records not committed in all partitions." }, write_exporter_lag_sum },
    { OF_EXPORTER, { "kafka_consumergroup_members", METRIC_TYPE_GAUGE, "", "consumergroup", "Members, by their reports." }, write_exporter_members },
    { OF_EXPORTER, { "kafka_topic_partitions", METRIC_TYPE_GAUGE, "", "topic", "Partitions of the topic." }, write_exporter_partitions },
    { OF_EXPORTER, { "kafka_topic_partition_current_offset", METRIC_TYPE_GAUGE, "", "topic, partition", "End of the log." }, write_exporter_end },
    { OF_EXPORTER, { "kafka_topic_partition_oldest_offset", METRIC_TYPE_GAUGE, "", "topic, partition", "Start of the log." }, write_exporter_start },
};
// clang-format on

void metrics_write(struct controller *c, struct str *ret, bool openmetrics)
{
    struct page page;

    page_begin(&page, ret, openmetrics, c->metrics.began_unix_ms);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].whose == OF_EXPORTER && !c->config.metrics_kafka_exporter)
            continue;
        page_metric(&page, &rows[i].metric);
        rows[i].write(&page, c);
    }
    page_end(&page);
}

void metrics_get(struct controller *c, struct call *call)
{
    const bool openmetrics = page_wants_openmetrics(call->accept);
    struct str text = STR_WITH_MAX(PAGE_BYTES_MAX);

    metrics_write(c, &text, openmetrics);
    if (str_error(&text))
        call_error(call, 500, "internal", "give a smaller --metrics-partitions", NULL, "the page is too large");
    else
        call_text(call, 200, page_content_type(openmetrics), text.buf, text.len);
    str_free(&text);
}

void metrics_document(struct str *ret)
{
    static const char *const headings[] = {
        [OF_PROCESS] = "Of every controller",
        [OF_FLEETS] = "Of fleets, told by the controller that leads",
        [OF_EXPORTER] = "With --metrics-kafka-exporter",
    };
    static const char *const words[] = {
        [METRIC_TYPE_GAUGE] = "gauge",         [METRIC_TYPE_COUNTER] = "counter, `_total`",
        [METRIC_TYPE_HISTOGRAM] = "histogram", [METRIC_TYPE_INFO] = "info, `_info`",
        [METRIC_TYPE_STATESET] = "state set",
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct metric *m = &rows[i].metric;

        if (i == 0 || rows[i].whose != rows[i - 1].whose)
            str_addf(ret, "%s### %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", i ? "\n" : "",
                     headings[rows[i].whose]);
        str_addf(ret, "| `%s` | %s | %s | %s |\n", m->name, words[m->type], m->labels, m->help);
    }
}
