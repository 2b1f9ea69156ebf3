/* claim - see claim.h. */
#include "core/claim.h"

#include <stddef.h>

#include "base/check.h"

void claim_init(struct claimant *c)
{
    *c = (struct claimant){ .state = CLAIM_NONE, .term = -1 };
}

bool claim_under_way(const struct claimant *c)
{
    return c->state >= CLAIM_CATCH_UP && c->state <= CLAIM_REPORTS;
}

static void claim_check(const struct claimant *c)
{
    ASSERT((c->term >= 0) == (c->state >= CLAIM_READ && c->state <= CLAIM_LEADING));
}

static void enter(struct claimant *c, enum claim_state next)
{
    MET("claim", c->state, next);
    c->state = next;
    claim_check(c);
}

static enum claim_effect leave(struct claimant *c, enum claim_state next, const char *why, int64_t now_ms)
{
    if (c->state == CLAIM_NONE || c->state == CLAIM_RESTING)
        return CLAIM_NOTHING; /* it has nothing to lose */
    c->term = -1;
    c->since_ms = now_ms;
    c->why = why;
    enter(c, next);
    return next == CLAIM_RESTING ? CLAIM_STEP_DOWN : CLAIM_STOP;
}

/* An answer that is waited for: what it leads to, and what it means when it says no. */
static const struct {
    enum claim_state in, next;
    enum claim_effect then;
    const char *failed;
} answers[] = {
    [CLAIM_CAUGHT_UP] = { CLAIM_CATCH_UP, CLAIM_WRITE, CLAIM_APPEND, "the end of the control log could not be read" },
    [CLAIM_WRITTEN] = { CLAIM_WRITE, CLAIM_READ, CLAIM_NOTHING, "the claim was not acknowledged" },
    [CLAIM_REPORTS_READ] = { CLAIM_REPORTS, CLAIM_LEADING, CLAIM_LEAD, "the reports could not be read to their end" },
};

static enum claim_effect answered(struct claimant *c, const struct claim_event *ev)
{
    if (c->state != answers[ev->type].in || ev->number != c->number)
        return CLAIM_NOTHING; /* to a question of an earlier reign */
    if (ev->failed)
        return leave(c, CLAIM_RESTING, answers[ev->type].failed, ev->now_ms);
    if (ev->type == CLAIM_WRITTEN)
        c->term = ev->offset;
    enter(c, answers[ev->type].next);
    return answers[ev->type].then;
}

static enum claim_effect log_read(struct claimant *c, const struct claim_event *ev)
{
    if (c->term < 0)
        return CLAIM_NOTHING; /* whoever leads, this one comes after him */
    if (ev->highest > c->term)
        return leave(c, CLAIM_RESTING, "another controller has claimed the lead", ev->now_ms);
    if (c->state != CLAIM_READ || ev->position <= c->term)
        return CLAIM_NOTHING;
    if (ev->highest != c->term || !ev->ours)
        return leave(c, CLAIM_RESTING, "the claim is not in the control log: its brokers have lost it", ev->now_ms);
    enter(c, CLAIM_REPORTS);
    return CLAIM_ASK_REPORTS;
}

static enum claim_effect tick(struct claimant *c, const struct claim_event *ev)
{
    const int64_t lasts_ms = ev->now_ms - c->since_ms;

    if (claim_under_way(c) && lasts_ms > CLAIM_MS_MAX)
        return leave(c, CLAIM_RESTING, "it took too long to begin it", ev->now_ms);
    if (c->state == CLAIM_RESTING && lasts_ms >= CLAIM_REST_MS)
        enter(c, CLAIM_NONE);
    return CLAIM_NOTHING;
}

enum claim_effect claim_step(struct claimant *c, const struct claim_event *ev)
{
    switch (ev->type) {
    case CLAIM_ELECTED:
        if (c->state != CLAIM_NONE && c->state != CLAIM_RESTING)
            return CLAIM_NOTHING; /* told again */
        c->number++;
        c->since_ms = ev->now_ms;
        c->why = NULL;
        enter(c, CLAIM_CATCH_UP);
        return CLAIM_ASK_LOG;
    case CLAIM_LOST:
        return leave(c, CLAIM_NONE, NULL, ev->now_ms);
    case CLAIM_FAILED:
        return leave(c, CLAIM_RESTING, NULL, ev->now_ms);
    case CLAIM_CAUGHT_UP:
    case CLAIM_WRITTEN:
    case CLAIM_REPORTS_READ:
        return answered(c, ev);
    case CLAIM_LOG:
        return log_read(c, ev);
    case CLAIM_TICK:
        return tick(c, ev);
    }
    return CLAIM_NOTHING;
}
