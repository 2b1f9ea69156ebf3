/*
 * fleet_entry - one fleet's members, whoever keeps them at the moment.
 *
 * As follower the newest report of each incarnation lies here; while this controller leads the fleet the switcher
 * owns them (the core judges by them), and at the end of the reign they come back. So there is never a second copy.
 *
 * A report of a fleet that the log does not know is kept as text, within bounds: the fleet may be made in a moment, and
 * then its members have to be known from the first step on (PROTOCOL rule 2).
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/internal.h"
#include "controller/throttling.h"

#define ORPHAN_BYTES_MAX (4u * 1024 * 1024)

struct entry *entry_make(struct controller *c, const char *fleet)
{
    struct mirror_fleet *f = mirror_add(&c->mirror, fleet);
    struct entry *e;

    if (!f)
        return NULL;
    if (f->opaque)
        return f->opaque;
    e = calloc(1, sizeof(*e));
    ASSERT(e != NULL);
    e->c = c;
    e->mirror = f;
    f->opaque = e;
    return e;
}

struct entry *entry_get(struct controller *c, const char *fleet)
{
    struct mirror_fleet *f = mirror_find(&c->mirror, fleet);

    return f && f->fleet.exists ? entry_make(c, fleet) : NULL;
}

void entry_free(struct entry *e)
{
    if (!e)
        return;
    free(e->yardstick);
    for (int i = 0; i < e->member_count; i++)
        report_free(e->members[i].report);
    free(e->members);
    tally_free(e->tally);
    lags_free(e);
    watch_free(e);
    throttling_free(e);
    free(e);
}

bool entry_member(const struct entry *e, int i, const struct report **ret, int64_t *ret_heard_ms)
{
    if (e->led)
        return led_member(e->led, i, ret, ret_heard_ms);
    if (i >= e->member_count)
        return false;
    *ret = e->members[i].report;
    *ret_heard_ms = e->members[i].heard_ms;
    return true;
}

static struct member *member_find(struct entry *e, const char *incarnation)
{
    for (int i = 0; i < e->member_count; i++)
        if (!strcmp(e->members[i].report->incarnation, incarnation))
            return &e->members[i];
    return NULL;
}

void entry_report_take(struct entry *e, struct report *report)
{
    struct member *m;

    if (e->led) {
        led_report_take(e->led, report);
        return;
    }
    m = member_find(e, report->incarnation);
    if (m && report->sequence <= m->report->sequence) { /* rule 13 */
        report_void(m->report, report, clock_ms());
        report_free(report);
        return;
    }
    if (!m && e->member_count == MEMBERS_MAX) {
        log_warn("members_too_many", "fleet=%s limit=%d, member %s is not counted", e->mirror->name, MEMBERS_MAX,
                 report->incarnation);
        report_free(report);
        return;
    }
    if (!m && e->member_count == e->member_room) {
        e->member_room = e->member_room ? e->member_room * 2 : 8;
        e->members = realloc(e->members, (size_t)e->member_room * sizeof(*e->members));
        ASSERT(e->members != NULL);
    }
    if (m) {
        report_succeed(report, m->report, clock_ms());
        report_free(m->report);
    } else {
        m = &e->members[e->member_count++];
    }
    m->report = report;
    m->heard_ms = clock_ms();
}

void entry_report_gone(struct entry *e, const char *incarnation)
{
    struct member *m;

    if (e->led) {
        led_report_gone(e->led, incarnation);
        return;
    }
    m = member_find(e, incarnation);
    if (!m)
        return;
    report_free(m->report);
    *m = e->members[--e->member_count];
}

static bool orphan_is(const struct orphan *o, const struct record_key *key)
{
    return !strcmp(o->key.fleet, key->fleet) && !strcmp(o->key.id, key->id);
}

static void orphan_remove(struct controller *c, struct orphan **at)
{
    struct orphan *o = *at;

    *at = o->next;
    c->orphan_bytes -= o->len + sizeof(*o);
    free(o->json);
    free(o);
}

void orphan_set(struct controller *c, const struct record_key *key, const char *json, size_t len)
{
    struct orphan **at = &c->orphans, *o;

    while (*at && !orphan_is(*at, key))
        at = &(*at)->next;
    if (*at)
        orphan_remove(c, at);
    if (!json)
        return;
    if (c->orphan_bytes + len + sizeof(*o) > ORPHAN_BYTES_MAX) {
        log_warn("report_dropped",
                 "fleet=%s incarnation=%s, there is no such fleet, and too many reports of such fleets", key->fleet,
                 key->id);
        return;
    }
    o = calloc(1, sizeof(*o));
    ASSERT(o != NULL);
    o->key = *key;
    o->json = malloc(len + 1);
    ASSERT(o->json != NULL);
    memcpy(o->json, json, len);
    o->json[len] = '\0';
    o->len = len;
    o->next = c->orphans;
    c->orphans = o;
    c->orphan_bytes += len + sizeof(*o);
}

void orphans_adopt(struct controller *c, struct entry *e)
{
    const struct fleet *fleet = e->led ? led_fleet(e->led) : &e->mirror->fleet;

    for (struct orphan **at = &c->orphans; *at;) {
        struct report *report;
        struct errmsg why = { 0 };

        if (strcmp((*at)->key.fleet, e->mirror->name) != 0) {
            at = &(*at)->next;
            continue;
        }
        if (report_decode(&report, fleet, (*at)->json, (*at)->len, &why) == ERR_OK)
            entry_report_take(e, report);
        else
            log_warn("report_corrupt", "fleet=%s incarnation=%s error=\"%s\", skipped", e->mirror->name, (*at)->key.id,
                     why.text);
        orphan_remove(c, at);
    }
}

void orphan_make(struct controller *c, const struct fleet *fleet, struct report *report)
{
    struct record_key key = { .kind = RECORD_REPORT };
    struct str text = STR_WITH_MAX(RECORD_BYTES_MAX);
    struct errmsg ignored;

    text_copy(key.fleet, sizeof(key.fleet), report->fleet);
    text_copy(key.id, sizeof(key.id), report->incarnation);
    if (report_encode(&text, report, fleet, &ignored) == ERR_OK)
        orphan_set(c, &key, text.buf, text.len);
    str_free(&text);
    report_free(report);
}

void entry_orphan_all(struct entry *e)
{
    for (int i = 0; i < e->member_count; i++)
        orphan_make(e->c, &e->mirror->fleet, e->members[i].report);
    e->member_count = 0;
}
