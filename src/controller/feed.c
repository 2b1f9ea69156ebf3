/*
 * feed - see feed.h; and how it goes over HTTP (channel/http.c).
 *
 * Any controller serves it, follower or leader: records are passed on as they are, the void ones too, and the member
 * judges them by the same rules as if it had read them itself. A stream begins with the records that a log compacted to the last byte
 * would hold, in their order; `position` says when all below it has been sent. It is sent when records were, or when
 * somebody asked for the end: a fleet's members are not woken by what happens to others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "controller/feed.h"
#include "controller/posted.h"
#include "http/server.h"

#define END_MS_MAX 5000
#define FRESH_BYTES (64 * 1024) /* more than this goes out before the end of the turn */

struct feeds *feeds_new(struct controller *c)
{
    struct feeds *f = calloc(1, sizeof(*f));

    ASSERT(f != NULL);
    f->c = c;
    f->claim.good.offset = f->claim.bad.offset = -1;
    return f;
}

static void text_clear(struct feed_text *t)
{
    free(t->text);
    *t = (struct feed_text){ .offset = -1 };
}

static void text_set(struct feed_text *t, const struct kafka_record *rec)
{
    text_clear(t);
    t->offset = rec->offset;
    if (!rec->value)
        return;
    t->text = malloc(rec->value_len + 1);
    ASSERT(t->text != NULL);
    memcpy(t->text, rec->value, rec->value_len);
    t->text[rec->value_len] = '\0';
    t->len = rec->value_len;
}

static void slot_clear(struct feed_slot *s)
{
    text_clear(&s->good);
    text_clear(&s->bad);
}

struct feed *feed_find(const struct feeds *f, const char *fleet)
{
    struct feed *feed = f->list;

    while (feed && strcmp(feed->fleet, fleet) != 0)
        feed = feed->next;
    return feed;
}

/* Of every name that the log knows, and of those that members ask for: NULL when there are too many. */
static struct feed *feed_make(struct feeds *f, const char *fleet)
{
    struct feed *feed = feed_find(f, fleet);

    if (feed || f->count == 2 * MIRROR_FLEETS_MAX)
        return feed;
    feed = calloc(1, sizeof(*feed));
    ASSERT(feed != NULL && text_copy(feed->fleet, sizeof(feed->fleet), fleet));
    for (int i = 0; i <= SHARDS_MAX; i++)
        feed->slots[i].good.offset = feed->slots[i].bad.offset = -1;
    feed->feeds = f;
    feed->fresh = STR_WITH_MAX(FRESH_BYTES + 2 * RECORD_BYTES_MAX);
    feed->next = f->list;
    f->list = feed;
    f->count++;
    return feed;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* "OFFSET KEY", and of a record its text: a line of data for each of its lines. */
static void event_format(struct str *to, int64_t offset, const char *key, const char *text, size_t len)
{
    str_addf(to, "event: %s\ndata: %lld %s\n", text ? "record" : "gone", (long long)offset, key);
    for (const char *at = text, *end = text + len; text && at <= end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = stop ? stop : end;

        str_add(to, "data: ");
        str_add_bytes(to, at, (size_t)(line_end - at));
        str_add_char(to, '\n');
        at = line_end + 1;
    }
    str_add_char(to, '\n');
}

static void position_format(struct str *to, int64_t position)
{
    str_addf(to, "event: position\ndata: %lld\n\n", (long long)position);
}

static void feed_flush(struct feed *feed)
{
    for (struct feed_stream *s = feed->streams; s && feed->fresh.len > 0; s = s->next)
        if (!s->gone)
            http_stream_send(s->x, feed->fresh.buf, feed->fresh.len);
    str_clear(&feed->fresh);
    if (!feed->streams)
        str_free(&feed->fresh);
}

static void feed_forward(struct feed *feed, const char *key, const struct kafka_record *rec)
{
    struct str event = STR_WITH_MAX(2 * RECORD_BYTES_MAX);

    feed->news = true;
    feed->needed = rec->offset + 1;
    if (!feed->streams)
        return;
    event_format(&event, rec->offset, key, rec->value, rec->value ? rec->value_len : 0);
    if (!str_error(&event))
        str_add_bytes(&feed->fresh, event.buf, event.len);
    str_free(&event);
    if (feed->fresh.len > FRESH_BYTES)
        feed_flush(feed);
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

void feeds_record_begin(struct feeds *f, const struct kafka_record *rec)
{
    f->record = rec;
    f->record_good = false;
}

void feeds_log_changed(struct feeds *f, const struct mirror_change *change)
{
    f->record_good = f->record_good || change->type == MIRROR_HEAD || change->type == MIRROR_SHARD ||
                     change->type == MIRROR_CLAIM || change->type == MIRROR_GONE;
}

static void slot_take(struct feed_slot *s, const struct kafka_record *rec, bool good)
{
    if (good)
        text_clear(&s->bad);
    text_set(good ? &s->good : &s->bad, rec);
}

void feeds_record_end(struct feeds *f)
{
    const struct kafka_record *rec = f->record;
    char name[RECORD_KEY_MAX];
    struct record_key key;
    struct feed *feed;

    f->record = NULL;
    record_key_parse(&key, rec->key ? rec->key : "", rec->key ? rec->key_len : 0, true);
    if (key.kind != RECORD_TERM && key.kind != RECORD_HEAD && key.kind != RECORD_SHARD)
        return;
    record_key_format(name, &key);
    if (key.kind == RECORD_TERM) {
        slot_take(&f->claim, rec, f->record_good);
        for (feed = f->list; feed; feed = feed->next)
            feed_forward(feed, name, rec);
        return;
    }
    if (key.shard >= SHARDS_MAX)
        return;
    feed = feed_make(f, key.fleet);
    if (!feed)
        return; /* the mirror has said so */
    slot_take(&feed->slots[key.kind == RECORD_HEAD ? 0 : 1 + key.shard], rec, f->record_good);
    feed_forward(feed, name, rec);
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static int line_order(const void *a, const void *b)
{
    const struct feed_line *l = a, *r = b;

    return (l->text->offset > r->text->offset) - (l->text->offset < r->text->offset);
}

static int slot_lines(struct feed_line *lines, const struct feed_slot *s, const struct record_key *key)
{
    const struct feed_text *const texts[] = { &s->good, &s->bad };
    int count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (texts[i]->offset < 0)
            continue;
        lines[count].text = texts[i];
        record_key_format(lines[count++].key, key);
    }
    return count;
}

int feed_lines(struct feed_line lines[FEED_LINES_MAX], const struct feed *feed)
{
    static const struct record_key claim = { .kind = RECORD_TERM };
    struct record_key key = { .kind = RECORD_HEAD };
    int count;

    text_copy(key.fleet, sizeof(key.fleet), feed->fleet);
    count = slot_lines(lines, &feed->feeds->claim, &claim);
    for (int i = 0; i <= SHARDS_MAX; i++) {
        key.kind = i == 0 ? RECORD_HEAD : RECORD_SHARD;
        key.shard = i - 1;
        count += slot_lines(lines + count, &feed->slots[i], &key);
    }
    qsort(lines, (size_t)count, sizeof(*lines), line_order);
    return count;
}

static void stream_begin(const struct feed_stream *s)
{
    struct feed_line *lines = must(calloc(FEED_LINES_MAX, sizeof(*lines)));
    struct str text = STR_WITH_MAX((size_t)FEED_LINES_MAX * RECORD_BYTES_MAX);
    const int count = feed_lines(lines, s->feed);

    for (int i = 0; i < count; i++)
        event_format(&text, lines[i].text->offset, lines[i].key, lines[i].text->text, lines[i].text->len);
    position_format(&text, s->feed->feeds->c->mirror.position);
    if (!str_error(&text))
        http_stream_send(s->x, text.buf, text.len);
    str_free(&text);
    free(lines);
}

static void on_hung_up(void *opaque)
{
    struct feed_stream *s = opaque;

    s->gone = s->feed->stream_gone = true;
}

bool feeds_stream(struct feeds *f, struct http_exchange *x, const char *fleet)
{
    struct feed *feed = feed_make(f, fleet);
    struct feed_stream *s;

    if (!feed || !f->c->replayed)
        return false;
    if (!http_stream(x))
        return true;
    s = calloc(1, sizeof(*s));
    ASSERT(s != NULL);
    feed_flush(feed); /* it begins with all that the others are to get */
    s->feed = feed;
    s->x = x;
    s->next = feed->streams;
    feed->streams = s;
    http_exchange_on_hung_up(x, on_hung_up, s);
    stream_begin(s);
    return true;
}

static void streams_sweep(struct feed *feed)
{
    if (!feed->stream_gone)
        return;
    feed->stream_gone = false;
    for (struct feed_stream **at = &feed->streams; *at;) {
        struct feed_stream *s = *at;

        if (!s->gone) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        free(s);
    }
}

void feeds_turn(struct feeds *f)
{
    const int64_t position = f->c->mirror.position;

    for (struct feed *feed = f->list; feed; feed = feed->next) {
        streams_sweep(feed);
        if (feed->news && feed->told < position) {
            if (feed->streams)
                position_format(&feed->fresh, position);
            feed->told = position;
        }
        feed->news = false;
        feed_flush(feed);
    }
}

static void feeds_hang_up(struct feeds *f)
{
    for (struct feed *feed = f->list; feed; feed = feed->next) {
        for (struct feed_stream *s = feed->streams; s; s = s->next) {
            if (!s->gone)
                http_stream_end(s->x);
            s->gone = feed->stream_gone = true;
        }
        streams_sweep(feed);
    }
}

void feeds_forget(struct feeds *f)
{
    feeds_hang_up(f);
    slot_clear(&f->claim);
    while (f->list) {
        struct feed *feed = f->list;

        f->list = feed->next;
        for (int i = 0; i <= SHARDS_MAX; i++)
            slot_clear(&feed->slots[i]);
        str_free(&feed->fresh);
        free(feed->kept.offsets);
        free(feed);
    }
    f->count = 0;
    f->question = 0;
}

void feeds_free(struct feeds *f)
{
    if (!f)
        return;
    feeds_forget(f);
    free(f);
}

/* --- where is the end --------------------------------------------------------------------------------------------- */

static void question_turn(struct feeds *f)
{
    enum kafka_end state;

    if (!f->question)
        return;
    state = kafka_reader_end(f->c->control, f->question, &f->end);
    if (state == KAFKA_END_PENDING)
        return;
    f->question = 0;
    if (state == KAFKA_END_REACHED)
        f->answered = f->asked;
}

/* One question serves all who asked before it went out: so many may ask at once as there are members. */
bool feeds_end_known(struct feeds *f, uint64_t *question)
{
    question_turn(f);
    if (*question == 0)
        *question = f->asked + 1;
    if (f->answered >= *question)
        return true;
    if (!f->question) {
        f->question = ++f->c->question_last;
        f->asked++;
        kafka_reader_ask_end(f->c->control, f->question, END_MS_MAX);
    }
    return false;
}

bool notice_replaceable(struct feeds *f, struct notice *n, const char *fleet, int64_t theirs, const char *event)
{
    if (theirs <= f->c->mirror.position)
        return true;
    if (!feeds_end_known(f, &n->question))
        return false;
    n->question = 0;
    if (theirs <= f->end)
        return theirs <= f->c->mirror.position; /* we were behind */
    log_warn(event, "fleet=%s position=%lld end=%lld, what stands there is of a control log that is gone; writing anew",
             fleet, (long long)theirs, (long long)f->end);
    return true;
}

void feeds_end(struct feeds *f, struct call *call, const char *fleet)
{
    struct feed *feed = feed_make(f, fleet);

    if (!feeds_end_known(f, &call->feed_question)) {
        call_wait(call, "the end of the control log to be read");
        return;
    }
    if (feed)
        feed->news = true;
    call_json(call, 200, json_pack("{s:I}", "end", (json_int_t)f->end));
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

void feeds_report(struct call *call, struct entry *e)
{
    const struct fleet *fleet = e->led ? led_fleet(e->led) : &e->mirror->fleet;
    struct record_key key = { .kind = RECORD_REPORT };
    char name[RECORD_KEY_MAX];
    struct errmsg m = { 0 };
    struct report *report;
    int r = report_decode(&report, fleet, call->body ? call->body : "", call->body_len, &m);

    if (r < 0) {
        call_fail(call, r == ERR_CORRUPT ? ERR_INVALID : r, &m);
        return;
    }
    text_copy(key.fleet, sizeof(key.fleet), report->fleet);
    text_copy(key.id, sizeof(key.id), report->incarnation);
    if (strcmp(report->fleet, e->mirror->name) != 0) {
        report_free(report);
        call_error(call, 422, "invalid", NULL, NULL, "the report is of fleet '%s', the path names '%s'", key.fleet,
                   e->mirror->name);
        return;
    }
    record_key_format(name, &key);
    call->state = CALL_TAKEN;
    if (!controller_append_report(call->c, call, name, call->body, call->body_len)) {
        report_free(report);
        call_error(call, 503, "unavailable", "send it again", NULL, "the report could not be appended");
        return;
    }
    posted_put(call->c->posted, report, fleet->spec.topic_count, call->body, call->body_len);
    call->body = NULL;
    call->body_len = 0;
}
