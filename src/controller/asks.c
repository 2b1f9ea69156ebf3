/* asks - see asks.h. */
#include "controller/asks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/record_common.h"

#define LINE_MAX_BYTES 100
#define PATIENCE_OF_MEMBER_MS 3000

struct ask *ask_new(const char *to, uint64_t number, char *text, size_t len, size_t at)
{
    struct ask *a = must(calloc(1, sizeof(*a)));

    ASSERT(text_copy(a->to, sizeof(a->to), to) && at <= len);
    a->number = number;
    a->text = text;
    a->len = len;
    a->at = at;
    return a;
}

static void ask_free(struct ask *a)
{
    free(a->answer);
    free(a->text);
    free(a);
}

void ask_free_all(struct ask *list)
{
    while (list) {
        struct ask *a = list;

        list = a->next;
        ask_free(a);
    }
}

/* Frees it. An answer that is too large is none: its member asks again. */
static void ask_answer(struct ask *a, int status, const char *edition, const char *body, size_t len)
{
    struct str text = STR_WITH_MAX(API_BODY_MAX + LINE_MAX_BYTES);

    str_addf(&text, "%" PRIu64 " %d %s\n", a->number, status, edition);
    str_add_bytes(&text, body, len);
    if (!str_error(&text))
        a->asks->answer(a->asks->opaque, a->to, text.buf, text.len);
    str_free(&text);
    ask_free(a);
}

static void on_answer(void *opaque, const struct api_answer *answer)
{
    struct ask *a = opaque;
    struct asks *s = a->asks;
    struct ask **at = &s->open;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    if (!a->end || answer->status != 200) {
        ask_answer(a, answer->status, "-", answer->body, answer->body_len);
        return;
    }
    a->answer = must(strdup(answer->body));
    a->position = s->c->feeds->end; /* this turn's answer */
    a->held_ms = clock_ms();
    a->next = s->held;
    s->held = a;
}

void asks_take(struct asks *s, struct ask *a)
{
    char what[8], fleet[FLEET_NAME_MAX + 2] = "", path[FLEET_NAME_MAX + 40];
    struct api_request r = { .by = s->by, .path = path, .patience_ms = PATIENCE_OF_MEMBER_MS };
    const char *line = a->text + a->at, *end = strchr(line, '\n');

    if (!end || end - line > LINE_MAX_BYTES || sscanf(line, "%7s %64s", what, fleet) != 2 || !fleet_name_valid(fleet) ||
        (strcmp(what, "end") != 0 && strcmp(what, "report") != 0)) {
        log_debug("request_unknown", "by=%s of=%s, skipped", s->by, a->to);
        ask_free(a);
        return;
    }
    a->asks = s;
    a->next = s->open;
    s->open = a;
    a->end = what[0] == 'e';
    text_copy(a->fleet, sizeof(a->fleet), fleet);
    snprintf(path, sizeof(path), "/v1/fleets/%s/%s", fleet, a->end ? "log/end" : "reports");
    r.method = a->end ? "GET" : "POST";
    if (!a->end) {
        r.body = end + 1;
        r.body_len = a->len - (size_t)(end + 1 - a->text);
    }
    controller_request(s->c, &r, on_answer, a);
}

/* Ends that the board has are answered; of the others, their fleets are to be written. */
void asks_turn(struct asks *s)
{
    const int64_t now_ms = clock_ms();

    for (struct feed *feed = s->c->feeds->list; feed; feed = feed->next) {
        struct notice *n = s->notice(s->opaque, feed->fleet);

        if (n)
            n->asked = false;
    }
    for (struct ask **at = &s->held; *at;) {
        struct ask *a = *at;
        struct feed *feed = feed_find(s->c->feeds, a->fleet);
        struct notice *n = s->notice(s->opaque, a->fleet);
        const bool kept = n && n->whole && n->position >= a->position;

        if (feed && !kept && feed->needed < a->position)
            feed->needed = a->position;
        if (n)
            n->asked = true;
        if (feed && !kept && now_ms - a->held_ms < PATIENCE_OF_MEMBER_MS) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        if (kept)
            ask_answer(a, 200, n->edition, a->answer, strlen(a->answer));
        else
            ask_free(a); /* its member has asked again */
    }
}

void asks_deinit(struct asks *s)
{
    ask_free_all(s->open);
    ask_free_all(s->held);
}
