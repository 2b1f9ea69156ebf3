/* throttle - see throttle.h. */
#include "core/throttle.h"

#include "base/check.h"

const char *throttle_place_name(enum throttle_place p)
{
    static const char *const names[THROTTLE_PLACE_COUNT] = {
        [THROTTLE_OPEN] = "open",
        [THROTTLE_OVERRULED] = "overruled",
        [THROTTLE_OURS] = "throttled",
        [THROTTLE_HANDS_OFF] = "hands-off",
    };

    ASSERT(p < THROTTLE_PLACE_COUNT);
    return names[p];
}

const char *throttle_signal_name(enum throttle_signal s)
{
    static const char *const names[THROTTLE_SIGNAL_COUNT] = {
        [THROTTLE_NONE] = "none",
        [THROTTLE_QUERY] = "query",
        [THROTTLE_ERROR_RATE] = "error_rate",
        [THROTTLE_LATENCY_P99] = "latency_p99",
    };

    ASSERT(s < THROTTLE_SIGNAL_COUNT);
    return names[s];
}

enum throttle_place throttle_place(const struct fleet *f, const struct op *newest)
{
    if (!op_ended(newest))
        return THROTTLE_HANDS_OFF;
    if (f->phase == PHASE_THROTTLED)
        return newest->kind == OP_THROTTLE && newest->by_signal ? THROTTLE_OURS : THROTTLE_HANDS_OFF;
    if (f->phase != PHASE_STEADY)
        return THROTTLE_HANDS_OFF;
    return newest->number > 0 && newest->kind == OP_RESUME && !newest->by_signal ? THROTTLE_OVERRULED : THROTTLE_OPEN;
}

enum throttle_word throttle_step(struct throttle *t, const struct throttle_policy *p, const struct fleet *f,
                                 const struct op *newest, double figure, int64_t now_ms)
{
    const enum throttle_place place = throttle_place(f, newest);
    const bool lift = place == THROTTLE_OURS, low = figure <= p->until, high = figure > p->above; /* NAN: neither */

    if (t->began_ms == 0 || t->number != newest->number)
        *t = (struct throttle){ .number = newest->number, .began_ms = now_ms };
    t->low = t->low || low;
    if (lift ? !low : !high || place == THROTTLE_HANDS_OFF || (place == THROTTLE_OVERRULED && !t->low)) {
        t->since_ms = 0;
        return THROTTLE_STAY;
    }
    if (t->since_ms == 0)
        t->since_ms = now_ms;
    if (now_ms - t->since_ms < (lift ? p->rest_ms : p->wait_ms) ||
        (newest->by_signal && now_ms - t->began_ms < p->rest_ms))
        return THROTTLE_STAY;
    t->since_ms = 0;
    return lift ? THROTTLE_LIFT : THROTTLE_NARROW;
}

int keep_of(const struct keep *k, int all)
{
    return k->percent ? (int)(((int64_t)all * k->amount + 99) / 100) : k->amount;
}
