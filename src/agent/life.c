/*
 * life - one process of the application, and one incarnation of the member: found, taken, and on.
 *
 * The holder begins with nothing at work, as that of a process that has just come up: so everything is to be held first, whatever an
 * agent before us has told. A new process is a new life, and the former one's partitions are its doubt.
 */
#include <string.h>

#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/tls.h"

bool life_is_former(const struct agent *a, const char *instance)
{
    for (int i = 0; i < a->former_life_count && i < LIVES_MAX; i++)
        if (strcmp(a->former_lives[i], instance) == 0)
            return true;
    return false;
}

void life_find(struct agent *a, const struct observed *o)
{
    if (a->life != LIFE_NONE) {
        text_copy(a->former_lives[a->former_life_count++ % LIVES_MAX], INSTANCE_MAX + 1, a->instance);
        if (a->over)
            log_info("application_restarted", "fleet=%s, a new process answers: the former one has left",
                     a->config->fleet);
        else
            log_warn("application_restarted",
                     "fleet=%s, a new process answers: what the former one did and did not commit is its doubt",
                     a->config->fleet);
    } else {
        log_info("application_found", "fleet=%s group=%s instance=%s", a->config->fleet, o->group, o->instance);
    }
    member_room_free(a);
    text_copy(a->instance, sizeof(a->instance), o->instance);
    text_copy(a->replaced, sizeof(a->replaced), o->agent);
    random_hex(a->incarnation, INCARNATION_MAX);
    memset(a->ends, 0, sizeof(a->ends));
    a->life = LIFE_FOUND;
    a->life_number++;
    a->leave = a->over = false; /* said of the former one */
    a->revision = a->accepted = o->accepted;
    a->report_refused = 0;
    a->witness[0] = '\0';
}

static void life_begin(struct agent *a)
{
    const struct holder_config config = { .color = a->config->color,
                                          .session_timeout_ms = a->fleet.spec.session_timeout_ms,
                                          .commit_interval_ms = 1000,
                                          .revoke_ms_max = 5000,
                                          .report_interval_ms = report_interval_ms(a),
                                          .retry_ms = 100,
                                          .watchdog_ms = 2000 };
    struct holder_part none;

    memset(&a->report, 0, offsetof(struct report, parts));
    holder_init(&a->holder, &config, &a->fleet, &none, 0, clock_ms());
    a->holder.parts = NULL;
    member_reserve(a, 1);
    a->life = LIFE_ON;
    member_step(a, (struct holder_event){ .type = HOLDER_LOG_POSITION,
                                          .log_position =
                                              documents_read_to(&a->documents, channel_position(a->channel)) });
}

/* Everything is held and nothing in flight: the holder can begin as a process that has just come up. */
static bool all_held(const struct observed *o)
{
    for (int i = 0; i < o->part_count; i++)
        if (o->parts[i].in_flight > 0 || o->parts[i].state == OBSERVED_RUNNING ||
            (o->parts[i].assigned && o->parts[i].state != OBSERVED_HELD))
            return false;
    return true;
}

void life_turn(struct agent *a)
{
    if (a->life == LIFE_FOUND && a->control_read && a->fleet.exists) {
        a->life = LIFE_TAKING;
        revision_raise(a);
    }
    if (a->life == LIFE_TAKING && a->seen && a->seen->revision >= a->revision && all_held(a->seen))
        life_begin(a);
}
