/* order - the body of a switch, rollback, pause, resume or plan. */
#include <stdlib.h>
#include <string.h>

#include "controller/internal.h"
#include "fuzz.h"
#include "wire/json_write.h"

static const struct spec spec = { .topics = { "orders", "refunds" }, .topic_count = 2 };

static void clean(const char *text)
{
    for (; *text; text++)
        ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check(const struct order *o)
{
    ASSERT(o->stages.count == 0 || stages_valid(&o->stages, &spec));
    ASSERT(o->keep >= 0 && o->keep <= BATONS_MAX && (o->kind != ORDER_THROTTLE || o->keep > 0));
    ASSERT(o->observe_ms >= -1 && o->deadline_ms >= -1 && o->deadline_ms != 0);
    ASSERT(!o->request_id[0] || body_id_clean(o->request_id));
    ASSERT(json_text_is_clean(o->reason) && json_text_is_clean(o->by));
    clean(o->reason);
    clean(o->by);
}

void fuzz_order(const char *bytes, size_t len)
{
    char *text = fuzz_copy(bytes, len);
    struct order order;
    struct errmsg m;

    for (int kind = 0; kind < ORDER_KIND_COUNT; kind++)
        if (body_order(&order, &spec, text, len, (enum order_kind)kind, false, &m) == ERR_OK)
            check(&order);
    if (body_order(&order, &spec, text, len, ORDER_SWITCH, true, &m) == ERR_OK)
        check(&order);
    free(text);
}
