/*
 * report - what the agent says of its member, on its way to the controllers; member.c and outside.c say what.
 *
 * Each is answered once: acknowledged, or failed. One that could not even be handed to the channel fails with the next turn, not from
 * within the step that made it.
 */
#include "agent/internal.h"
#include "base/log.h"
#include "wire/record.h"

#define REPORT_MS 1000
#define REPORT_MS_MAX 10000

/* A report's token: the life above, the sequence below, which outside.c counts in ms since 1970. */
#define LIFE_SHIFT 44
#define SEQUENCE_MASK ((UINT64_C(1) << LIFE_SHIFT) - 1)

static uint64_t token_of(const struct agent *a, uint64_t sequence)
{
    return a->life_number << LIFE_SHIFT | (sequence & SEQUENCE_MASK);
}

int64_t report_interval_ms(const struct agent *a)
{
    const int64_t fleet_ms = COLOR_COUNT * (int64_t)a->fleet.baton_count;
    const int64_t bounded_ms = fleet_ms < REPORT_MS_MAX ? fleet_ms : REPORT_MS_MAX;

    return bounded_ms > REPORT_MS ? bounded_ms : REPORT_MS;
}

void report_identify(const struct agent *a, struct report *r)
{
    text_copy(r->fleet, sizeof(r->fleet), a->config->fleet);
    text_copy(r->incarnation, sizeof(r->incarnation), a->incarnation);
    text_copy(r->version, sizeof(r->version), a->config->version ? a->config->version : "");
    text_copy(r->library, sizeof(r->library), "agent " BATON_VERSION);
    text_copy(r->host, sizeof(r->host), a->host);
    r->color = a->config->color;
}

void report_send(struct agent *a, const struct report *r, bool awaited)
{
    struct record_key key = { .kind = RECORD_REPORT };
    struct str json = STR_WITH_MAX(RECORD_BYTES_MAX);
    char key_text[RECORD_KEY_MAX];
    struct errmsg m = { 0 };
    int code;

    text_copy(key.fleet, sizeof(key.fleet), r->fleet);
    text_copy(key.id, sizeof(key.id), r->incarnation);
    record_key_format(key_text, &key);
    code = a->channel ? report_encode(&json, r, &a->fleet, &m) : ERR_STATE;
    if (code == ERR_OK)
        code = channel_report(a->channel, awaited ? token_of(a, r->sequence) : 0, key_text, json.buf, json.len, &m);
    str_free(&json);
    if (code == ERR_OK)
        return;
    if (awaited)
        a->report_refused = r->sequence;
    if (a->channel)
        log_warn("report_failed", "error=\"%s\", trying again", m.text);
}

void report_answered(struct agent *a, const struct kafka_appended *appended)
{
    const uint64_t sequence = appended->token & SEQUENCE_MASK;

    if (a->life != LIFE_ON || appended->token == 0 || appended->token != token_of(a, sequence))
        return; /* of a former life, or nobody waits for it */
    member_step(a, (struct holder_event){ .type = appended->error ? HOLDER_REPORT_FAILED : HOLDER_REPORT_ACKED,
                                          .sequence = sequence });
}

void report_turn(struct agent *a)
{
    const uint64_t refused = a->report_refused;

    a->holder.config.report_interval_ms = report_interval_ms(a);
    if (refused == 0)
        return;
    a->report_refused = 0;
    member_step(a, (struct holder_event){ .type = HOLDER_REPORT_FAILED, .sequence = refused });
}
