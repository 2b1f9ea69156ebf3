/*
 * line - see line.h.
 *
 * A record that was produced as a CloudEvent (the Kafka protocol binding: `ce_` headers, or a content type of
 * application/cloudevents) leaves as that very event; any other is wrapped, with its place in Kafka as its identity.
 */
#include "run/line.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "run/text.h"

#define TOPIC_TEXT_MAX 249 /* Kafka's bound */

/* "name":"text", or "name_base64":"..." where it is no UTF-8; NULL is null. */
static void add_bytes(struct str *s, const char *name, const void *bytes, size_t len)
{
    size_t before = s->len;

    str_add_bytes(s, ",\"", 2);
    str_add(s, name);
    str_add_bytes(s, "\":", 2);
    if (!bytes) {
        str_add(s, "null");
    } else if (!text_add_string(s, bytes, len)) {
        text_cut(s, before);
        str_addf(s, ",\"%s_base64\":", name);
        text_add_base64(s, bytes, len);
    }
}

static void add_headers(struct str *s, const struct record_view *r)
{
    const char *name;
    const void *value;
    size_t len;

    str_add_char(s, '[');
    for (int i = 0; r->header(r->self, i, &name, &value, &len); i++) {
        size_t before;

        str_add(s, i ? ",{" : "{");
        before = s->len;
        add_bytes(s, "name", name, strlen(name));
        if (!str_error(s)) { /* the comma before its first member */
            memmove(s->buf + before, s->buf + before + 1, s->len - before);
            text_cut(s, s->len - 1);
        }
        add_bytes(s, "value", value, len);
        str_add_char(s, '}');
    }
    str_add_char(s, ']');
}

static int check_value(const struct record_view *r, enum value_form form, struct errmsg *m)
{
    if (form == VALUE_JSON && r->value && !text_is_json(r->value, r->value_len))
        return err_set(m, ERR_INVALID, "its value is no JSON, and --value json was asked for");
    return ERR_OK;
}

/* The members that are numbers, and the topic: short, so they are put together in one place and added at once. */
struct head {
    char text[TOPIC_TEXT_MAX + 200];
    size_t len;
};

static void head_text(struct head *h, const char *text, size_t len)
{
    ASSERT(len <= sizeof(h->text) - h->len);
    memcpy(h->text + h->len, text, len);
    h->len += len;
}

/* `name` with its comma before and its colon behind. */
static void head_number(struct head *h, const char *name, int64_t number)
{
    char digits[NUMBER_MAX];
    size_t len = number_text(digits, number);

    head_text(h, name, strlen(name));
    head_text(h, digits, len);
}

static void head_of(struct head *h, const struct record_view *r, uint64_t id, unsigned fields)
{
    h->len = 0;
    if (id)
        head_number(h, ",\"id\":", (int64_t)id);
    if (fields & 1u << FIELD_topic) {
        head_text(h, ",\"topic\":\"", strlen(",\"topic\":\""));
        head_text(h, r->topic, strnlen(r->topic, TOPIC_TEXT_MAX)); /* letters, digits, '.', '_' and '-': Kafka's rule */
        head_text(h, "\"", 1);
    }
    if (fields & 1u << FIELD_partition)
        head_number(h, ",\"partition\":", r->partition);
    if (fields & 1u << FIELD_offset)
        head_number(h, ",\"offset\":", r->offset);
    if (fields & 1u << FIELD_epoch)
        head_number(h, ",\"epoch\":", (int64_t)r->epoch);
    if (fields & 1u << FIELD_attempt && r->attempt > 1)
        head_number(h, ",\"attempt\":", r->attempt);
    if (fields & 1u << FIELD_timestamp && r->timestamp_ms < 0)
        head_text(h, ",\"timestamp\":null", strlen(",\"timestamp\":null"));
    else if (fields & 1u << FIELD_timestamp)
        head_number(h, ",\"timestamp\":", r->timestamp_ms);
}

static void add_value(struct str *s, const struct record_view *r, enum value_form form)
{
    if (form == VALUE_JSON && r->value) {
        str_add_bytes(s, ",\"value\":", 9);
        text_add_json(s, r->value, r->value_len);
    } else if (form == VALUE_BASE64 && r->value) {
        str_add(s, ",\"value_base64\":");
        text_add_base64(s, r->value, r->value_len);
    } else {
        add_bytes(s, "value", r->value, r->value_len);
    }
}

int line_add_record(struct str *s, const struct record_view *r, uint64_t id, enum value_form form, unsigned fields,
                    struct errmsg *m)
{
    int e = fields & 1u << FIELD_value ? check_value(r, form, m) : ERR_OK;
    size_t begin = s->len;
    struct head h;

    if (e < 0)
        return e;
    head_of(&h, r, id, fields);
    str_add_bytes(s, h.text, h.len);
    if (fields & 1u << FIELD_key)
        add_bytes(s, "key", r->key, r->key_len);
    if (fields & 1u << FIELD_headers) {
        str_add(s, ",\"headers\":");
        add_headers(s, r);
    }
    if (fields & 1u << FIELD_value)
        add_value(s, r, form);
    if (s->len == begin)
        str_add_char(s, ',');
    str_add_char(s, '}');
    if (!str_error(s))
        s->buf[begin] = '{'; /* each member brought its comma; the first one's is not needed */
    return ERR_OK;
}

int line_fields(unsigned *ret, const char *list, struct errmsg *m)
{
    static const char *const names[FIELD_COUNT] = {
#define FIELD_NAME(name) [FIELD_##name] = #name,
        FIELD_MAP(FIELD_NAME)
#undef FIELD_NAME
    };
    unsigned fields = 0;

    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        int i = 0;

        while (i < FIELD_COUNT && (strlen(names[i]) != len || memcmp(names[i], at, len) != 0))
            i++;
        if (i == FIELD_COUNT)
            return err_set(m, ERR_INVALID,
                           "there is no member '%.*s'; there are topic, partition, offset, epoch, attempt, timestamp, "
                           "key, headers and value",
                           (int)(len < 40 ? len : 40), at);
        fields |= 1u << i;
        at += len;
        if (!*at)
            break;
    }
    *ret = fields;
    return ERR_OK;
}

/* ---- CloudEvents ---- */

static bool find_header(const struct record_view *r, const char *wanted, const void **value, size_t *len)
{
    const char *name;

    for (int i = 0; r->header(r->self, i, &name, value, len); i++)
        if (strcasecmp(name, wanted) == 0 && *value)
            return true;
    return false;
}

/* A whole JSON object, in case it is a structured event. */
static bool begins_with_brace(const struct record_view *r)
{
    const char *at = r->value, *end = at + r->value_len;

    while (at < end && isspace((unsigned char)*at))
        at++;
    return at < end && *at == '{' && text_is_json(r->value, r->value_len);
}

static bool has_word(const void *text, size_t len, const char *word)
{
    return text && memmem(text, len, word, strlen(word)) != NULL;
}

static bool is_attribute(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");

    return len > 0 && !name[len] && strcmp(name, "data") != 0 && strcmp(name, "datacontenttype") != 0;
}

/* The attributes of a plain record: its place is its identity. */
static void add_own_attributes(struct str *s, const struct record_view *r)
{
    char time[32];

    str_addf(s, ",\"id\":\"%s/%d/%lld\",\"source\":\"/kafka/%s\",\"type\":\"io.baton.kafka.record\"", r->topic,
             r->partition, (long long)r->offset, r->topic);
    if (r->timestamp_ms >= 0)
        str_addf(s, ",\"time\":\"%s\"", clock_format_unix_ms(time, r->timestamp_ms));
}

/* Those of an event in binary mode. The four that must be there are checked by the reader, as in any event. */
static void add_event_attributes(struct str *s, const struct record_view *r)
{
    const char *name;
    const void *value;
    size_t len;

    for (int i = 0; r->header(r->self, i, &name, &value, &len); i++) {
        if (strncasecmp(name, "ce_", 3) != 0 || !value || !is_attribute(name + 3) ||
            strcmp(name + 3, "specversion") == 0 || strncmp(name + 3, "kafka", 5) == 0 ||
            strncmp(name + 3, "baton", 5) == 0)
            continue;
        str_addf(s, ",\"%s\":", name + 3);
        if (!text_add_string(s, value, len))
            str_add(s, "\"\"");
    }
}

static void add_place(struct str *s, const struct record_view *r)
{
    str_addf(s, ",\"kafkatopic\":\"%s\",\"kafkapartition\":%d,\"kafkaoffset\":\"%lld\"", r->topic, r->partition,
             (long long)r->offset);
    str_addf(s, ",\"batonfleet\":\"%s\",\"batoncolor\":\"%s\",\"batonepoch\":\"%llu\"", r->fleet, r->color,
             (unsigned long long)r->epoch);
    if (r->attempt > 1)
        str_addf(s, ",\"batonattempt\":%d", r->attempt);
}

static void add_key(struct str *s, const struct record_view *r, bool has_partitionkey)
{
    size_t before = s->len;

    if (!r->key || (has_partitionkey && r->key))
        return;
    str_add(s, ",\"partitionkey\":");
    if (text_add_string(s, r->key, r->key_len))
        return;
    text_cut(s, before);
    str_add(s, ",\"kafkakeybase64\":");
    text_add_base64(s, r->key, r->key_len);
}

static void add_kafka_headers(struct str *s, const struct record_view *r)
{
    struct str list = STR_WITH_MAX(s->max);
    const char *name;
    const void *value;
    size_t len;

    if (!r->header(r->self, 0, &name, &value, &len))
        return;
    add_headers(&list, r);
    str_add(s, ",\"kafkaheaders\":");
    text_add_string(s, list.buf, list.len);
    str_free(&list);
}

static void add_data(struct str *s, const struct record_view *r, enum value_form form)
{
    const void *type = NULL;
    size_t type_len = 0, before = s->len;
    bool typed = find_header(r, "content-type", &type, &type_len);
    bool json = form == VALUE_JSON || (form == VALUE_TEXT && typed && has_word(type, type_len, "json") &&
                                       text_is_json(r->value, r->value_len));
    bool text = !json && form == VALUE_TEXT && !(typed && has_word(type, type_len, "json"));

    str_add(s, ",\"datacontenttype\":");
    if (form == VALUE_JSON && !(typed && has_word(type, type_len, "json")))
        str_add(s, "\"application/json\"");
    else if (!typed || !text_add_string(s, type, type_len))
        str_add(s, text ? "\"text/plain; charset=utf-8\"" : "\"application/octet-stream\"");
    if (json) {
        str_add(s, ",\"data\":");
        text_add_json(s, r->value, r->value_len);
        return;
    }
    if (text) {
        str_add(s, ",\"data\":");
        if (text_add_string(s, r->value, r->value_len))
            return;
        if (!typed) {
            text_cut(s, before);
            str_add(s, ",\"datacontenttype\":\"application/octet-stream\"");
        } else {
            text_cut(s, s->len - strlen(",\"data\":"));
        }
    }
    str_add(s, ",\"data_base64\":");
    text_add_base64(s, r->value, r->value_len);
}

int line_add_event(struct str *s, const struct record_view *r, enum value_form form, struct errmsg *m)
{
    const void *found = NULL;
    size_t len = 0;
    bool binary;
    int e;

    if (r->value && find_header(r, "content-type", &found, &len) && has_word(found, len, "application/cloudevents") &&
        begins_with_brace(r)) {
        text_add_json(s, r->value, r->value_len);
        return ERR_OK;
    }
    e = check_value(r, form, m);
    if (e < 0)
        return e;
    binary = find_header(r, "ce_specversion", &found, &len) && find_header(r, "ce_id", &found, &len) &&
             find_header(r, "ce_source", &found, &len) && find_header(r, "ce_type", &found, &len);
    str_add(s, "{\"specversion\":\"1.0\"");
    if (binary)
        add_event_attributes(s, r);
    else
        add_own_attributes(s, r);
    add_place(s, r);
    add_key(s, r, binary && find_header(r, "ce_partitionkey", &found, &len));
    add_kafka_headers(s, r);
    if (r->value)
        add_data(s, r, form);
    str_add_char(s, '}');
    return ERR_OK;
}
