/* sse - see sse.h. */
#include "http/sse.h"

#include <string.h>

void sse_init(struct sse *s, size_t bytes_max, http_on_event *on_event, void *opaque)
{
    *s = (struct sse){
        .on_event = on_event, .opaque = opaque, .line = STR_WITH_MAX(bytes_max), .data = STR_WITH_MAX(bytes_max)
    };
}

void sse_deinit(struct sse *s)
{
    str_free(&s->line);
    str_free(&s->data);
}

/* The value behind "name:", one space after the colon does not belong to it. NULL: another field. */
static const char *field(const struct str *line, const char *name)
{
    const size_t len = strlen(name);

    if (strncmp(line->buf, name, len) != 0)
        return NULL;
    return line->buf + len + (line->buf[len] == ' ');
}

static void event_end(struct sse *s)
{
    if (s->data.len > 0 && !str_error(&s->data)) {
        if (s->id_seen)
            text_copy(s->last_id, sizeof(s->last_id), s->id);
        s->stopped = !s->on_event(s->opaque, s->id_seen ? s->id : "", s->type[0] ? s->type : "message", s->data.buf);
    }
    str_clear(&s->data);
    s->type[0] = '\0';
    s->id_seen = false;
}

static void line_end(struct sse *s)
{
    const char *value;

    if (s->line.len == 0) {
        event_end(s);
    } else if ((value = field(&s->line, "id:"))) {
        s->id_seen = text_copy(s->id, sizeof(s->id), value);
    } else if ((value = field(&s->line, "event:"))) {
        text_copy(s->type, sizeof(s->type), value);
    } else if ((value = field(&s->line, "data:"))) {
        if (s->data.len > 0)
            str_add_char(&s->data, '\n');
        str_add(&s->data, value);
    }
    str_clear(&s->line);
}

bool sse_feed(struct sse *s, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && !s->stopped; i++) {
        if (str_error(&s->line) || str_error(&s->data))
            return false;
        if (bytes[i] == '\n')
            line_end(s);
        else if (bytes[i] != '\r')
            str_add_char(&s->line, bytes[i]);
    }
    return !str_error(&s->line) && !str_error(&s->data);
}
