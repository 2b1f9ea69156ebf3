/*
 * test_foreign - fleets that Baton does not drive itself: what is said of a process that does not answer as Spring Cloud Stream does, what
 * the preflight finds, and of two agents. When an application may run is test_whole's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/stream.h"
#include "base/check.h"
#include "core/plan.h"
#include "wire/spec.h"

static void what_a_status_says(void **state)
{
    static const struct {
        int status;
        const char *words;
    } cases[] = { { 401, "--application-token-file" },
                  { 403, "CSRF" },
                  { 404, "management.endpoints.web.exposure.include=bindings,health" },
                  { 415, "takes no POST of JSON" },
                  { 302, "a redirect, which is not followed" },
                  { 200, "answers 204" },
                  { 500, "it answered 500" } };
    char why[DRIVE_WHY_MAX];

    (void)state;
    stream_status_text(why, sizeof(why), 204, "/actuator/bindings/in");
    assert_string_equal(why, "");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        stream_status_text(why, sizeof(why), cases[i].status, "/actuator/bindings/in");
        if (!strstr(why, cases[i].words))
            fail_msg("%d: %s", cases[i].status, why);
    }
}

#define HEALTH(groups, topics)                                                                               \
    "{\"status\":\"UP\",\"components\":{\"k\":{\"components\":{\"x\":{\"details\":{\"topicsInUse\":[" topics \
    "],\"listenerContainers\":[" groups "]}}}}}}"
#define CONTAINER(group) "{\"isRunning\":true,\"groupId\":\"" group "\"}"

static void what_health_says(void **state)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        { HEALTH(CONTAINER("pay-blue"), "\"orders\""), "" },
        { HEALTH(CONTAINER("other") "," CONTAINER("pay-blue"), "\"orders\",\"more\""), "" },
        { HEALTH("", ""), "" },        /* stopped: it shows nothing */
        { "{\"status\":\"UP\"}", "" }, /* show-details=never */
        { HEALTH(CONTAINER("pay-green"), "\"orders\""),
          "it consumes as group pay-green, and this color is group pay-blue" },
        { HEALTH(CONTAINER("anonymous.1f"), "\"orders\""), "an anonymous group: once stopped" },
        { HEALTH(CONTAINER("pay-blue"), "\"others\""), "it does not use topic orders" },
        { "<html>", "no JSON" },
        { "{\"a\":", "no JSON" },
    };
    struct fleet fleet = { .spec = { .topics = { "orders" }, .topic_count = 1 } };
    char why[DRIVE_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        stream_health_text(why, sizeof(why), cases[i].body, strlen(cases[i].body), &fleet, "pay-blue");
        if (*cases[i].words ? !strstr(why, cases[i].words) : *why)
            fail_msg("%s: '%s'", cases[i].body, why);
    }
}

static void what_a_fleet_file_must_not_say(void **state)
{
    static const struct {
        const char *more, *words;
    } cases[] = {
        { "", NULL },
        { "switch:\n  stages: [50%, 100%]\n", "switch.stages: with strategy: foreign the application passes whole" },
        { "switch:\n  on_unreachable: fence\n  deadline: 10m\n", "switch.on_unreachable: with strategy: foreign" },
        { "throttle_when:\n  signal: error_rate\n  above: 0.5\n  until: 0.1\n",
          "throttle_when.signal: with strategy: foreign" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[400];
        struct errmsg m = { 0 };
        struct spec spec;
        int r;

        snprintf(text, sizeof(text), "fleet: pay\ntopics: [orders]\nstrategy: foreign\n%s", cases[i].more);
        r = spec_from_yaml(&spec, "fleet.yaml", text, strlen(text), &m);
        if (!cases[i].words ? r != ERR_OK : r == ERR_OK || !strstr(m.text, cases[i].words))
            fail_msg("%s: %s", cases[i].more, m.text);
    }
}

static bool found(const struct findings *all, const char *code)
{
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->items[i].code, code) == 0)
            return true;
    return false;
}

/* Its consumers are in no report, and that is as it should be. */
static void what_the_preflight_finds(void **state)
{
    static struct findings all;
    static struct group_member members[] = { { .member_id = "m", .client_id = "consumer-1", .host = "/10.0.0.7" } };
    struct report_part part = { .owned = true };
    struct report blue = { .color = BLUE, .ready = true, .parts = &part, .part_count = 1 };
    struct report green = { .color = GREEN, .ready = true, .parts = &part, .part_count = 1 }, second = green;
    const struct report *reports[] = { &blue, &green, &second };
    struct partition_view partition = { .committed = { 5, 5 }, .log_end = 9 };
    struct snapshot now = { .partitions = &partition, .partition_count = 1 };
    struct baton baton = { .state = RIGHT_HELD, .holder = BLUE, .taken = true, .doubt = OFFSET_NONE };
    struct fleet fleet;
    struct op op = { .kind = OP_SWITCH, .from = BLUE, .to = GREEN, .stages = { .count = 1 } };
    struct plan_input in = { .fleet = &fleet, .op = &op, .reports = reports, .report_count = 2, .snapshot = &now };

    (void)state;
    fleet_init(&fleet, &baton, 1);
    fleet.baton_count = 1;
    fleet.spec.strategy = STRATEGY_FOREIGN;
    fleet.spec.topic_count = 1;
    now.topics[0] = (struct topic_view){ .exists = true, .partition_count = 1 };
    now.groups[BLUE] = (struct group_view){ .known = true, .rebalancing = true, .members = members, .member_count = 1 };
    now.groups[GREEN] = (struct group_view){ .known = true };
    plan_check(&all, &in);
    assert_int_equal(all.refusals, 0);
    assert_true(found(&all, "foreign-standstill"));

    memset(&all, 0, sizeof(all));
    now.groups[BLUE].member_count = 0;
    now.groups[GREEN] = (struct group_view){ .known = true, .members = members, .member_count = 1 };
    op.stages.count = 2;
    in.report_count = 3;
    plan_check(&all, &in);
    assert_true(found(&all, "nobody-at-work"));
    assert_true(found(&all, "standby-at-work"));
    assert_true(found(&all, "foreign-stages"));
    assert_true(found(&all, "two-agents"));
    assert_false(found(&all, "unmanaged-consumer"));

    memset(&all, 0, sizeof(all));
    now.groups[GREEN] = (struct group_view){ .unsupported = true };
    plan_check(&all, &in);
    assert_true(found(&all, "foreign-blind"));
}

static const char *standstill_of(struct plan_input *in)
{
    static struct findings all;

    memset(&all, 0, sizeof(all));
    plan_check(&all, in);
    for (int i = 0; i < all.count; i++)
        if (strcmp(all.items[i].code, "foreign-standstill") == 0)
            return all.items[i].what;
    return "";
}

/* As the broker has it that coordinates the group, or Kafka's default where that cannot be read. */
static void how_long_it_will_stand_still(void **state)
{
    struct snapshot now = { 0 };
    struct fleet fleet;
    struct op op = { .kind = OP_SWITCH, .from = BLUE, .to = GREEN, .stages = { .count = 1 } };
    struct plan_input in = { .fleet = &fleet, .op = &op, .snapshot = &now };

    (void)state;
    fleet_init(&fleet, NULL, 0);
    fleet.spec.strategy = STRATEGY_FOREIGN;
    snprintf(now.coordinators[GREEN].why, sizeof(now.coordinators[GREEN].why), "Broker: Cluster authorization failed");
    assert_string_equal(standstill_of(&in), "the fleet will stand still for 3.1 to 3.5 s if the brokers have "
                                            "group.initial.rebalance.delay.ms=3000, Kafka's default; it could not be "
                                            "read: Broker: Cluster authorization failed");
    now.coordinators[GREEN] = (struct coordinator_view){ .known = true, .id = 2, .delay_ms = 0, .heartbeat_ms = 5000 };
    assert_string_equal(standstill_of(&in), "the fleet will stand still for 0.1 to 0.5 s: broker 2 has "
                                            "group.initial.rebalance.delay.ms=0");
    now.groups[BLUE].consumer_protocol = true;
    assert_string_equal(standstill_of(&in), "the fleet will stand still for 0.1 to 5.5 s: broker 2 has "
                                            "group.consumer.heartbeat.interval.ms=5000");
    now.groups[BLUE].consumer_protocol = false;
    now.coordinators[BLUE] = (struct coordinator_view){ .known = true, .id = 1, .delay_ms = 250 };
    now.coordinators[GREEN] = (struct coordinator_view){ .known = false }; /* green has never been there */
    assert_string_equal(standstill_of(&in), "the fleet will stand still for 0.3 to 0.8 s: broker 1 has "
                                            "group.initial.rebalance.delay.ms=250");
}

/* Two agents of a color that both live show by what the elder still says; one that has ended is forgotten. */
static void an_agent_beside_another_is_told(void **state)
{
    static struct findings all;
    struct report elder = { .client_id = "baton-agent-1", .host = "a", .report_interval_ms = 1000 };
    struct report first = { .client_id = "baton-agent-2", .host = "b", .report_interval_ms = 1000 }, next = first;
    struct snapshot now = { 0 };
    struct fleet fleet;
    struct op op = { .kind = OP_SWITCH, .from = BLUE, .to = GREEN, .stages = { .count = 1 } };
    const struct report *reports[] = { &first };
    struct plan_input in = { .fleet = &fleet, .op = &op, .reports = reports, .report_count = 1, .snapshot = &now };
    char blue[INCARNATION_MAX + 1], green[INCARNATION_MAX + 1];

    (void)state;
    report_succeed(&first, &elder, 1000);
    assert_string_equal(first.rival, ""); /* it took the place of one that was silent since */
    report_void(&first, &next, 1500);
    assert_string_equal(first.rival, ""); /* its own, that came late */
    report_void(&first, &elder, 2000);
    assert_string_equal(first.rival, "baton-agent-1 on a");
    report_succeed(&next, &first, 2000 + 8000);
    assert_string_equal(next.rival, first.rival);
    report_succeed(&next, &first, 2000 + 8001);
    assert_string_equal(next.rival, "");

    fleet_init(&fleet, NULL, 0);
    fleet.spec.strategy = STRATEGY_FOREIGN;
    first.color = GREEN;
    plan_check(&all, &in);
    assert_true(found(&all, "two-agents"));

    agent_incarnation(blue, "payments", BLUE); /* one name a fleet and color, for ever */
    agent_incarnation(green, "payments", GREEN);
    assert_int_equal(strlen(blue), 32);
    assert_string_not_equal(blue, green);
    agent_incarnation(green, "payments", BLUE);
    assert_string_equal(blue, green);
    agent_incarnation(green, "payment", BLUE);
    assert_string_not_equal(blue, green);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_status_says),
        cmocka_unit_test(what_health_says),
        cmocka_unit_test(what_a_fleet_file_must_not_say),
        cmocka_unit_test(what_the_preflight_finds),
        cmocka_unit_test(how_long_it_will_stand_still),
        cmocka_unit_test(an_agent_beside_another_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
