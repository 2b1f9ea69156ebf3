/* order - the body of a switch, rollback, pause, resume or plan. */
#include <stdlib.h>
#include <string.h>

#include "controller/internal.h"
#include "fuzz.h"
#include "wire/json_write.h"

static void clean(const char *text)
{
    for (; *text; text++)
        ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check(const struct order *o)
{
    ASSERT(o->stage_count >= 0 && o->stage_count <= STAGES_MAX);
    for (int i = 0; i < o->stage_count; i++)
        ASSERT(o->stages_percent[i] > (i > 0 ? o->stages_percent[i - 1] : 0) && o->stages_percent[i] <= 100);
    ASSERT(o->stage_count == 0 || o->stages_percent[o->stage_count - 1] == 100);
    ASSERT(o->observe_ms >= -1 && o->deadline_ms >= -1 && o->deadline_ms != 0);
    ASSERT(!o->request_id[0] || body_id_clean(o->request_id));
    ASSERT(json_text_is_clean(o->reason) && json_text_is_clean(o->by));
    clean(o->reason);
    clean(o->by);
}

void fuzz_order(const char *bytes, size_t len)
{
    static const enum order_kind kinds[] = { ORDER_SWITCH, ORDER_ROLLBACK, ORDER_PAUSE, ORDER_RESUME };
    char *text = fuzz_copy(bytes, len);
    struct order order;
    struct errmsg m;

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (body_order(&order, text, len, kinds[i], false, &m) == ERR_OK)
            check(&order);
    if (body_order(&order, text, len, ORDER_SWITCH, true, &m) == ERR_OK)
        check(&order);
    free(text);
}
