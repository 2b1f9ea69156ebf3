/*
 * topics - baton.control and baton.reports exist and are as they must be, or the operator is told how to make them so.
 *
 * A control topic that is not compacted forgets fleets after a week; one with two partitions has no order; one that is
 * compacted at once can lose the truth to a deposed leader's late record (PROTOCOL, rule 14). None of that shows before
 * it hurts, so it is looked at each time, and refused with the command that mends it. Replication factor and
 * min.insync.replicas stay what the cluster's owner chose as defaults.
 *
 * The embedded broker answers neither CreateTopics nor DescribeConfigs, but times both out: it is recognised by its
 * cluster id and not asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "kafka/log.h"

#define COMPACTION_LAG_MS_MIN 3600000
#define CREATED_POLL_MS 50
#define KNOWN_MS_MAX 30000 /* a broker that makes thousands of partitions at the moment takes its time */

struct topic_rule {
    const char *name;
    const char *configs[9]; /* name, value pairs and a NULL */
};

static const struct topic_rule topic_rules[] = {
    { CONTROL_TOPIC,
      { "cleanup.policy", "compact", "segment.bytes", "67108864", "min.compaction.lag.ms", "3600000", NULL } },
    { REPORTS_TOPIC, { "cleanup.policy", "compact", "segment.bytes", "67108864", NULL } },
};

static void sleep_ms(int ms)
{
    struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    nanosleep(&pause, NULL);
}

static void create_command(char *ret, size_t ret_size, const struct kafka_handle *h, const char *topic,
                           const struct topic_rule *rule)
{
    struct str s = STR_WITH_MAX(1000);

    str_addf(&s, "kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions 1", h->bootstrap, topic);
    for (int i = 0; rule->configs[i]; i += 2)
        str_addf(&s, " --config %s=%s", rule->configs[i], rule->configs[i + 1]);
    snprintf(ret, ret_size, "%s", s.buf);
    str_free(&s);
}

/* *ret: its partitions, as a broker gives them. None means that this broker has not heard of it yet: it is asked again. */
static int topic_make(struct kafka_handle *h, const char *topic, const struct topic_rule *rule, int *ret,
                      int timeout_ms, struct errmsg *m)
{
    const int64_t deadline_ms = clock_ms() + KNOWN_MS_MAX;
    char command[700];
    int r;

    create_command(command, sizeof(command), h, topic, rule);
    r = kafka_topic_create(h, topic, 1, rule->configs, timeout_ms, m);
    if (r == ERR_DENIED)
        return err_set(
            m, ERR_DENIED,
            "topic '%s' is missing and the broker at %s does not let us create it; let somebody who may run: %s", topic,
            h->bootstrap, command);
    if (r < 0 && r != ERR_CONFLICT) { /* conflict: another one was faster */
        struct errmsg cause = *m;

        return err_set(m, r, "%s; by hand: %s", cause.text, command);
    }
    if (r == ERR_OK)
        log_info("topic_created", "topic=%s", topic);
    for (;;) { /* every broker hears of it a moment later */
        r = kafka_topic_partitions(h, topic, ret, timeout_ms, m);
        if (r < 0 || *ret > 0)
            return r;
        if (clock_ms() >= deadline_ms)
            return err_set(m, ERR_TIMEOUT,
                           "topic '%s' was created, but after %d ms the broker at %s does not know it yet: try again",
                           topic, KNOWN_MS_MAX, h->bootstrap);
        sleep_ms(CREATED_POLL_MS);
    }
}

/* "compact" among "compact,delete". */
static bool policy_has(const char *policy, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = policy; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        while (*p == ' ')
            p++;
        if (strncmp(p, word, len) == 0 && (p[len] == '\0' || p[len] == ',' || p[len] == ' '))
            return true;
    }
    return false;
}

static int policy_check(struct kafka_handle *h, const char *topic, int timeout_ms, struct errmsg *m)
{
    const int64_t deadline_ms = clock_ms() + timeout_ms;
    char policy[128];
    struct errmsg why = { 0 };
    int r;

    for (;;) { /* of a new topic, not every broker has heard yet */
        r = kafka_topic_config(h, topic, "cleanup.policy", policy, sizeof(policy), timeout_ms, &why);
        if (r != ERR_NOT_FOUND || clock_ms() >= deadline_ms)
            break;
        sleep_ms(CREATED_POLL_MS);
    }
    if (r == ERR_DENIED) {
        /* A member may be allowed to read and write the topic only; its controller looks. */
        log_info("topic_unchecked",
                 "topic=%s, its cleanup.policy cannot be read: DescribeConfigs is not allowed, going on", topic);
        return ERR_OK;
    }
    if (r < 0)
        return err_set(m, r, "%s", why.text);
    if (policy_has(policy, "compact") && !policy_has(policy, "delete"))
        return ERR_OK;
    return err_set(
        m, ERR_STATE,
        "topic '%s' has cleanup.policy=%s, so that Kafka would forget fleets in it; mend: kafka-configs.sh "
        "--bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config cleanup.policy=compact",
        topic, policy[0] ? policy : "(none)", h->bootstrap, topic);
}

/* Not refused: Baton heals late records at once, an hour of lag is the second line of defence. */
static void lag_check(struct kafka_handle *h, const char *topic, int timeout_ms)
{
    char text[64];
    int64_t lag_ms;

    if (kafka_topic_config(h, topic, "min.compaction.lag.ms", text, sizeof(text), timeout_ms, NULL) < 0 ||
        parse_int64(&lag_ms, text, INT64_MIN, INT64_MAX, NULL) < 0 || lag_ms >= COMPACTION_LAG_MS_MIN)
        return;
    log_warn(
        "topic_compacts_early",
        "topic=%s min.compaction.lag.ms=%lld, a deposed controller's late record could outlive the true one; mend: "
        "kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config "
        "min.compaction.lag.ms=%d",
        topic, (long long)lag_ms, h->bootstrap, topic, COMPACTION_LAG_MS_MIN);
}

static int topic_ensure(struct kafka_handle *h, const char *topic, const struct topic_rule *rule, bool create,
                        int timeout_ms, struct errmsg *m)
{
    char command[700];
    int partitions = 0, embedded, r = kafka_topic_partitions(h, topic, &partitions, timeout_ms, m);

    if (r < 0)
        return r;
    embedded = kafka_is_embedded(h, timeout_ms, m);
    if (embedded < 0)
        return embedded;
    create_command(command, sizeof(command), h, topic, rule);
    if (partitions == 0 && (!create || embedded))
        return err_set(m, ERR_NOT_FOUND, "topic '%s' does not exist at %s; make it: %s", topic, h->bootstrap, command);
    if (partitions == 0) {
        r = topic_make(h, topic, rule, &partitions, timeout_ms, m);
        if (r < 0)
            return r;
    }
    if (partitions != 1)
        return err_set(
            m, ERR_STATE,
            "topic '%s' has %d partitions and must have exactly one; mend: if no fleet lives in it, kafka-topics.sh "
            "--bootstrap-server %s --delete --topic %s, then %s",
            topic, partitions, h->bootstrap, topic, command);
    if (embedded)
        return ERR_OK;
    r = policy_check(h, topic, timeout_ms, m);
    if (r == ERR_OK && strcmp(rule->name, CONTROL_TOPIC) == 0)
        lag_check(h, topic, timeout_ms);
    return r;
}

int topics_ensure(struct kafka_handle *h, const char *prefix, bool create, int timeout_ms, struct errmsg *m)
{
    int r;

    for (size_t i = 0; i < sizeof(topic_rules) / sizeof(topic_rules[0]); i++) {
        char topic[TOPIC_NAME_MAX + 1];

        if (snprintf(topic, sizeof(topic), "%s%s", prefix, topic_rules[i].name) >= (int)sizeof(topic))
            return err_set(m, ERR_INVALID, "topic prefix '%.40s...' is too long: a topic's name has at most %d letters",
                           prefix, TOPIC_NAME_MAX);
        r = topic_ensure(h, topic, &topic_rules[i], create, timeout_ms, m);
        if (r < 0)
            return r;
    }
    if (kafka_is_embedded(h, timeout_ms, NULL) > 0)
        log_info("embedded_broker", "bootstrap=%s, it keeps nothing and compacts nothing: for demos and tests",
                 h->bootstrap);
    return ERR_OK;
}
