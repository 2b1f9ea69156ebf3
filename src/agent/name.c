/*
 * name - Kafka's name of the application's member, where the application's client does not tell it.
 *
 * The brokers list members by that name, so reports need it. An application that leaves it empty has joined with the client id
 * CLIENT_ID-INSTANCE (docs/lifecycle.md); the brokers are asked for the member with that one whenever the application has been
 * assigned anything anew, since only then can its name have changed.
 */
#include <string.h>

#include "agent/internal.h"
#include "base/clock.h"

#define ASK_AGAIN_MS 500
#define ANSWER_MS_MAX 5000

static bool to_be_found(const struct agent *a)
{
    return a->seen && a->seen->joined && !a->seen->member_id[0];
}

static int64_t newest_assignment(const struct observed *o)
{
    int64_t newest = 0;

    for (int i = 0; i < o->part_count; i++)
        if (o->parts[i].assignment > newest)
            newest = o->parts[i].assignment;
    return newest;
}

const char *name_of_member(const struct agent *a)
{
    if (!a->seen)
        return "";
    return to_be_found(a) && text_equal(a->name.instance, a->seen->instance) ? a->name.member_id : a->seen->member_id;
}

void name_turn(struct agent *a)
{
    const int64_t now_ms = clock_ms();

    if (!to_be_found(a) || !a->admin || !a->fleet.exists ||
        now_ms < a->name.asked_ms + (a->name.token ? 2 * ANSWER_MS_MAX : ASK_AGAIN_MS))
        return;
    if (text_equal(a->name.instance, a->seen->instance) && a->name.assignment == newest_assignment(a->seen))
        return;
    a->name.token = ++a->question_last;
    a->name.asked_assignment = newest_assignment(a->seen);
    a->name.asked_ms = now_ms;
    text_copy(a->name.asked_instance, sizeof(a->name.asked_instance), a->seen->instance);
    observed_client_id(a->name.asked_client_id, a->seen);
    kafka_admin_group(a->admin, a->name.token, a->fleet.spec.colors[a->config->color].group, ANSWER_MS_MAX);
}

bool name_answered(struct agent *a, const struct kafka_answer *answer)
{
    const struct group_member *found = NULL;
    int count = 0;

    if (!a->name.token || answer->token != a->name.token)
        return false;
    a->name.token = 0;
    for (int i = 0; !answer->error && i < answer->group.member_count; i++)
        if (text_equal(answer->group.members[i].client_id, a->name.asked_client_id)) {
            found = &answer->group.members[i];
            count++;
        }
    if (count != 1)
        return true; /* asked again */
    text_copy(a->name.instance, sizeof(a->name.instance), a->name.asked_instance);
    text_copy(a->name.member_id, sizeof(a->name.member_id), found->member_id);
    a->name.assignment = a->name.asked_assignment;
    return true;
}
