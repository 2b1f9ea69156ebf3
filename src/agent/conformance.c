/* conformance - see conformance.h. */
#include "agent/conformance.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/application.h"
#include "base/check.h"
#include "base/clock.h"
#include "kafka/admin.h"

#define AGENT "conformance"
#define COMMIT_EVERY_MS 500
#define FENCE_MS 45000
#define JOIN_MS_MAX 30000
#define ACT_MS_MAX 10000 /* until the consumer's loop comes round */
#define BROKER_MS_MAX 10000
#define WHY_MAX 400
#define ANSWER_MS_MAX 1000
#define IN_A_ROW \
    3 /* what takes too long so often in a row is slow: a machine may stop for some seconds at any moment */

struct suite {
    struct event_base *base;
    struct application *application;
    struct kafka_handle handle;
    struct kafka_admin *admin;
    uint64_t token;

    bool answered;
    struct application_answer answer; /* the last */
    struct observed *seen;            /* the last document */
    int slow_count, slow_count_max;   /* answers in a row that took too long, now and at worst */

    char instance[INSTANCE_MAX + 1];
    struct observed_part part; /* the one that is played with */
    uint64_t revision, epoch;
    int64_t term, from;
    char why[WHY_MAX];
};

static enum conformance_result failed(struct suite *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum conformance_result failed(struct suite *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->why, sizeof(s->why), fmt, ap);
    va_end(ap);
    return CONFORMANCE_FAILED;
}

static void rest(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void on_answer(void *opaque, struct application_answer *answer)
{
    struct suite *s = opaque;
    const int64_t took_ms = clock_ms() - answer->asked_ms;

    s->answered = true;
    s->answer = *answer;
    s->slow_count = took_ms > ANSWER_MS_MAX ? s->slow_count + 1 : 0;
    s->slow_count_max = s->slow_count > s->slow_count_max ? s->slow_count : s->slow_count_max;
    if (!answer->observed)
        return;
    observed_free(s->seen);
    s->seen = answer->observed;
}

/* A GET where there is no text. What was not answered in time is asked again: it may be told twice. */
static bool ask(struct suite *s, const char *text, size_t len)
{
    for (int i = 0; i < IN_A_ROW && (i == 0 || s->answer.error == ERR_TIMEOUT); i++) {
        s->answered = false;
        if (text)
            application_put(s->application, 1, text, len);
        else
            application_get(s->application);
        while (!s->answered)
            event_base_loop(s->base, EVLOOP_ONCE);
    }
    return s->answer.error == ERR_OK;
}

static bool get(struct suite *s)
{
    return ask(s, NULL, 0);
}

struct told {
    const char *instance, *agent;
    uint64_t revision, epoch;
    const struct desired_part *part; /* NULL: names none */
};

static bool put(struct suite *s, struct told t)
{
    const struct desired d = { .instance = t.instance ? t.instance : s->instance,
                               .agent = t.agent ? t.agent : AGENT,
                               .fleet = AGENT,
                               .color = BLUE,
                               .revision = t.revision,
                               .version = { s->term, t.epoch },
                               .commit_every_ms = COMMIT_EVERY_MS,
                               .fence_ms = FENCE_MS,
                               .parts = t.part,
                               .part_count = t.part ? 1 : 0 };
    struct str text = STR_WITH_MAX(64 * 1024);
    struct errmsg m;
    bool fine;

    must(desired_encode(&text, &d, &m) == ERR_OK ? s : NULL);
    fine = ask(s, text.buf, text.len);
    str_free(&text);
    return fine;
}

/* The entry of the partition that is played with, NULL: it says nothing of it. */
static const struct observed_part *entry(const struct suite *s)
{
    for (int i = 0; i < s->seen->part_count; i++)
        if (strcmp(s->seen->parts[i].topic, s->part.topic) == 0 && s->seen->parts[i].partition == s->part.partition &&
            s->seen->parts[i].assignment == s->part.assignment)
            return &s->seen->parts[i];
    return NULL;
}

/* Looks until the consumer's loop has acted upon the newest word and, where a state is given, until the partition is in it. */
static bool becomes(struct suite *s, int state)
{
    const int64_t by_ms = clock_ms() + ACT_MS_MAX;
    const struct observed_part *e = NULL;

    do {
        if (get(s) && s->seen->revision >= s->revision && (e = entry(s)) && (state < 0 || (int)e->state == state))
            return true;
        rest();
    } while (clock_ms() < by_ms);
    if (s->answer.error)
        failed(s, "%s", s->answer.why);
    else if (s->seen->revision < s->revision)
        failed(s, "its loop has not acted upon revision %llu within 10 s (observed.revision is %llu)",
               (unsigned long long)s->revision, (unsigned long long)s->seen->revision);
    else if (!e)
        failed(s, "it says nothing of %s/%d any more", s->part.topic, s->part.partition);
    else
        failed(s, "%s/%d is %s, not %s", s->part.topic, s->part.partition, observed_state_name(e->state),
               observed_state_name((enum observed_state)state));
    return false;
}

static bool tell(struct suite *s, enum word_told word, uint64_t epoch, int64_t assignment)
{
    const struct desired_part part = { .topic = s->part.topic,
                                       .partition = s->part.partition,
                                       .assignment = assignment,
                                       .word = word,
                                       .epoch = epoch,
                                       .from = s->from,
                                       .mark = { MARK_EPOCH, epoch } };

    s->revision++;
    if (put(s, (struct told){ .revision = s->revision, .epoch = s->epoch, .part = &part }))
        return true;
    failed(s, "a right PUT was not accepted: %s", s->answer.why);
    return false;
}

enum question { ASK_COMMITTED, ASK_START, ASK_END };

static bool ask_brokers(struct suite *s, enum question question, struct kafka_tp *ret)
{
    const int64_t by_ms = clock_ms() + BROKER_MS_MAX;
    struct kafka_tp tp = { .partition = s->part.partition };
    bool known = false, over = false;

    text_copy(tp.topic, sizeof(tp.topic), s->part.topic);
    s->token++;
    if (question == ASK_COMMITTED)
        over = kafka_admin_offsets(s->admin, s->token, s->seen->group, &tp, 1, BROKER_MS_MAX) < 0;
    else if (question == ASK_START)
        over = kafka_admin_starts(s->admin, s->token, &tp, 1, BROKER_MS_MAX) < 0;
    else
        over = kafka_admin_ends(s->admin, s->token, &tp, 1, BROKER_MS_MAX) < 0;
    while (!over && clock_ms() < by_ms) {
        struct kafka_answer *a = kafka_admin_poll(s->admin);

        if (!a) {
            rest();
            continue;
        }
        over = a->token == s->token;
        known = over && !a->error && a->tp_count == 1 && !a->tps[0].failed;
        if (known)
            *ret = a->tps[0];
        kafka_answer_free(a);
    }
    if (!known)
        failed(s, "the brokers do not answer for %s/%d", s->part.topic, s->part.partition);
    return known;
}

/* Do the brokers list it by what it says of itself? They may not describe groups (the embedded one): then so. */
static bool listed(struct suite *s)
{
    const int64_t by_ms = clock_ms() + BROKER_MS_MAX;
    char client_id[OBSERVED_CLIENT_ID_MAX + 1];
    bool found = false;

    observed_client_id(client_id, s->seen);
    while (!found && clock_ms() < by_ms) {
        struct kafka_answer *a = NULL;

        kafka_admin_group(s->admin, ++s->token, s->seen->group, BROKER_MS_MAX);
        while (!a && clock_ms() < by_ms) {
            a = kafka_admin_poll(s->admin);
            if (a && a->token != s->token) {
                kafka_answer_free(a);
                a = NULL;
            }
            if (!a)
                rest();
        }
        found = a && a->group.unsupported;
        for (int i = 0; a && !a->error && i < a->group.member_count; i++)
            found = found || (s->seen->member_id[0] ? text_equal(a->group.members[i].member_id, s->seen->member_id)
                                                    : text_equal(a->group.members[i].client_id, client_id));
        if (a)
            kafka_answer_free(a);
        rest();
    }
    if (!found && s->seen->member_id[0])
        failed(s, "the brokers list no member '%s' in %s", s->seen->member_id, s->seen->group);
    else if (!found)
        failed(s, "member_id is empty, and the brokers list no member of %s with the client id '%s'", s->seen->group,
               client_id);
    return found;
}

/* --- checks -------------------------------------------------------------------------------------------------------- */

static enum conformance_result answers(struct suite *s)
{
    if (!get(s))
        return failed(s, "%s", s->answer.why);
    if (s->seen->agent[0] && strcmp(s->seen->agent, AGENT) != 0)
        return failed(s, "an agent speaks with it already (%s): restart the application without one", s->seen->agent);
    text_copy(s->instance, sizeof(s->instance), s->seen->instance);
    s->revision = s->seen->accepted;
    s->term = s->seen->version.term;
    s->epoch = s->seen->version.epoch + 1;
    return CONFORMANCE_OK;
}

static enum conformance_result one_process(struct suite *s)
{
    for (int i = 0; i < 10; i++) {
        if (!get(s))
            return failed(s, "%s", s->answer.why);
        if (strcmp(s->seen->instance, s->instance) != 0)
            return failed(s, "instance %s answered, then %s: give the address of one process, not of a load balancer",
                          s->instance, s->seen->instance);
    }
    return CONFORMANCE_OK;
}

static enum conformance_result assigned(struct suite *s)
{
    const int64_t by_ms = clock_ms() + JOIN_MS_MAX;
    struct kafka_tp tp;

    do {
        if (!get(s))
            return failed(s, "%s", s->answer.why);
        for (int i = 0; i < s->seen->part_count && s->seen->joined; i++) {
            if (!s->seen->parts[i].assigned)
                continue;
            s->part = s->seen->parts[i];
            if (!listed(s) || !ask_brokers(s, ASK_COMMITTED, &tp))
                return CONFORMANCE_FAILED;
            s->from = tp.offset;
            if (tp.offset == OFFSET_NONE && !ask_brokers(s, ASK_START, &tp))
                return CONFORMANCE_FAILED;
            s->from = tp.offset;
            return CONFORMANCE_OK;
        }
        rest();
    } while (clock_ms() < by_ms);
    return failed(s, "no partition was assigned to it within 30 s (joined: %s)", s->seen->joined ? "true" : "false");
}

static enum conformance_result held_at_first(struct suite *s)
{
    if (s->seen->accepted)
        return CONFORMANCE_SKIPPED; /* it was told something before */
    for (int i = 0; i < s->seen->part_count; i++)
        if (s->seen->parts[i].state != OBSERVED_HELD)
            return failed(s, "%s/%d is %s, though nobody has told it anything", s->seen->parts[i].topic,
                          s->seen->parts[i].partition, observed_state_name(s->seen->parts[i].state));
    return CONFORMANCE_OK;
}

static enum conformance_result refused(struct suite *s, int wanted, const char *what)
{
    if (s->answer.status != wanted)
        return failed(s, "%s: %d is wanted, here is %d", what, wanted, s->answer.status);
    return CONFORMANCE_OK;
}

static enum conformance_result refuses_nonsense(struct suite *s)
{
    ask(s, "{", 1);
    if (refused(s, 400, "a PUT that is no JSON") != CONFORMANCE_OK)
        return CONFORMANCE_FAILED;
    ask(s, "{}", 2);
    return refused(s, 400, "a PUT with nothing in it");
}

static enum conformance_result refuses_other_instance(struct suite *s)
{
    put(s, (struct told){ .instance = "0000000000000000", .revision = s->revision + 1, .epoch = s->epoch });
    return refused(s, 409, "a PUT for another instance");
}

static enum conformance_result accepts(struct suite *s)
{
    if (!tell(s, TELL_HOLD, 0, s->part.assignment))
        return CONFORMANCE_FAILED;
    if (s->seen->accepted != s->revision || strcmp(s->seen->agent, AGENT) != 0)
        return failed(s, "desired shows revision %llu of agent '%s', not what was accepted",
                      (unsigned long long)s->seen->accepted, s->seen->agent);
    return becomes(s, OBSERVED_HELD) ? CONFORMANCE_OK : CONFORMANCE_FAILED;
}

static enum conformance_result repeats(struct suite *s)
{
    if (!put(s, (struct told){ .revision = s->revision, .epoch = s->epoch }))
        return failed(s, "the same revision of the same agent again was refused: %s", s->answer.why);
    return CONFORMANCE_OK;
}

static enum conformance_result refuses_old(struct suite *s)
{
    s->revision++;
    if (!put(s, (struct told){ .revision = s->revision, .epoch = s->epoch }))
        return failed(s, "a higher revision was refused: %s", s->answer.why);
    put(s, (struct told){ .revision = s->revision - 1, .epoch = s->epoch });
    return refused(s, 409, "a lower revision");
}

static enum conformance_result refuses_other_agent(struct suite *s)
{
    put(s, (struct told){ .agent = "another", .revision = s->revision, .epoch = s->epoch });
    return refused(s, 409, "the same revision from another agent");
}

static enum conformance_result refuses_old_epoch(struct suite *s)
{
    put(s, (struct told){ .revision = s->revision + 1, .epoch = s->epoch - 1 });
    return refused(s, 409, "a higher revision with an older epoch");
}

static enum conformance_result run_needs_ready(struct suite *s)
{
    if (!tell(s, TELL_RUN, s->epoch, s->part.assignment) || !becomes(s, -1))
        return CONFORMANCE_FAILED;
    if (entry(s)->state != OBSERVED_HELD)
        return failed(s, "told to run, it is %s, though it was never made ready", observed_state_name(entry(s)->state));
    return CONFORMANCE_OK;
}

static enum conformance_result assignment_counts(struct suite *s)
{
    if (!tell(s, TELL_READY, s->epoch, s->part.assignment + 1000) || !becomes(s, -1))
        return CONFORMANCE_FAILED;
    if (entry(s)->state != OBSERVED_HELD)
        return failed(s, "a word about another assignment made it %s", observed_state_name(entry(s)->state));
    return CONFORMANCE_OK;
}

static enum conformance_result ready(struct suite *s)
{
    const struct observed_part *e;

    if (!tell(s, TELL_READY, s->epoch, s->part.assignment) || !becomes(s, OBSERVED_READY))
        return CONFORMANCE_FAILED;
    e = entry(s);
    if (e->position != s->from || e->committed != s->from || e->epoch != s->epoch)
        return failed(s, "made ready at %lld under epoch %llu, it says position %lld, committed %lld, epoch %llu",
                      (long long)s->from, (unsigned long long)s->epoch, (long long)e->position, (long long)e->committed,
                      (unsigned long long)e->epoch);
    return CONFORMANCE_OK;
}

/* Do the brokers have the position, with the mark? */
static enum conformance_result is_committed(struct suite *s)
{
    const int64_t wanted = entry(s)->position;
    struct kafka_tp tp;

    if (!ask_brokers(s, ASK_COMMITTED, &tp))
        return CONFORMANCE_FAILED;
    if (tp.offset != wanted)
        return failed(s, "it says that %lld is committed, the brokers have %lld", (long long)wanted,
                      (long long)tp.offset);
    if (tp.mark.kind != MARK_EPOCH || tp.mark.epoch != s->epoch)
        return failed(s, "the commit of %lld lacks its metadata 'baton/1 epoch=%llu'", (long long)wanted,
                      (unsigned long long)s->epoch);
    return CONFORMANCE_OK;
}

static enum conformance_result runs(struct suite *s)
{
    return tell(s, TELL_RUN, s->epoch, s->part.assignment) && becomes(s, OBSERVED_RUNNING) ? CONFORMANCE_OK
                                                                                           : CONFORMANCE_FAILED;
}

static enum conformance_result hands_over(struct suite *s)
{
    const int64_t by_ms = clock_ms() + ACT_MS_MAX;
    struct kafka_tp tp;

    if (!ask_brokers(s, ASK_END, &tp))
        return CONFORMANCE_FAILED;
    if (tp.offset <= s->from) {
        snprintf(s->why, sizeof(s->why), "%s/%d has no records from %lld on: produce some", s->part.topic,
                 s->part.partition, (long long)s->from);
        return CONFORMANCE_SKIPPED;
    }
    while (clock_ms() < by_ms && get(s) && entry(s) && entry(s)->first == OFFSET_NONE)
        rest();
    if (!entry(s) || entry(s)->first == OFFSET_NONE)
        return failed(s, "it handed over nothing within 10 s, though the log goes from %lld to %lld",
                      (long long)s->from, (long long)tp.offset);
    if (entry(s)->first < s->from)
        return failed(s, "it began at %lld, before %lld where it was made ready", (long long)entry(s)->first,
                      (long long)s->from);
    return CONFORMANCE_OK;
}

static enum conformance_result sign_of_life(struct suite *s)
{
    int64_t oldest_ms = 3 * COMMIT_EVERY_MS + 1;

    for (int i = 0; i < IN_A_ROW && oldest_ms > 3 * COMMIT_EVERY_MS; i++) {
        const int64_t by_ms = clock_ms() + 5 * COMMIT_EVERY_MS;

        oldest_ms = 0;
        while (clock_ms() < by_ms && get(s) && entry(s)) {
            oldest_ms = entry(s)->committed_ago_ms > oldest_ms ? entry(s)->committed_ago_ms : oldest_ms;
            rest();
        }
    }
    if (!entry(s) || oldest_ms > 3 * COMMIT_EVERY_MS)
        return failed(s, "told to commit every %d ms, the last commit was %lld ms ago", COMMIT_EVERY_MS,
                      (long long)oldest_ms);
    return CONFORMANCE_OK;
}

static enum conformance_result holds(struct suite *s)
{
    const struct observed_part *e;

    if (!tell(s, TELL_HOLD, 0, s->part.assignment) || !becomes(s, OBSERVED_HELD))
        return CONFORMANCE_FAILED;
    e = entry(s);
    if (e->in_flight > 0 || e->committed != e->position)
        return failed(s, "held, it has %d in flight, position %lld, committed %lld", e->in_flight,
                      (long long)e->position, (long long)e->committed);
    return CONFORMANCE_OK;
}

static enum conformance_result stays_held(struct suite *s)
{
    const int64_t by_ms = clock_ms() + 500, position = entry(s)->position;

    while (clock_ms() < by_ms && get(s) && entry(s))
        if (entry(s)->position != position || entry(s)->state != OBSERVED_HELD)
            return failed(s, "held at %lld, it went to %lld and is %s", (long long)position,
                          (long long)entry(s)->position, observed_state_name(entry(s)->state));
    return CONFORMANCE_OK;
}

static enum conformance_result goes_back(struct suite *s)
{
    if (holds(s) != CONFORMANCE_OK)
        return CONFORMANCE_FAILED;
    s->epoch++;
    return ready(s);
}

static enum conformance_result unnamed_is_held(struct suite *s)
{
    if (runs(s) != CONFORMANCE_OK)
        return CONFORMANCE_FAILED;
    s->revision++;
    if (!put(s, (struct told){ .revision = s->revision, .epoch = s->epoch }))
        return failed(s, "a right PUT was not accepted: %s", s->answer.why);
    return becomes(s, OBSERVED_HELD) ? CONFORMANCE_OK : CONFORMANCE_FAILED;
}

static enum conformance_result in_time(struct suite *s)
{
    return s->slow_count_max < IN_A_ROW
               ? CONFORMANCE_OK
               : failed(s, "%d answers in a row took more than %d ms each", s->slow_count_max, ANSWER_MS_MAX);
}

static const struct {
    const char *name;
    bool needed; /* the others rest on it */
    enum conformance_result (*check)(struct suite *s);
} checks[] = {
    { "GET answers the document", true, answers },
    { "one process answers", true, one_process },
    { "joins and is assigned a partition", true, assigned },
    { "held until told (rule 2)", false, held_at_first },
    { "refuses what it does not understand", false, refuses_nonsense },
    { "refuses what is meant for another instance (rule 1)", false, refuses_other_instance },
    { "accepts a PUT and acts upon it", true, accepts },
    { "accepts the same PUT again (rule 1)", false, repeats },
    { "refuses a lower revision (rule 1)", false, refuses_old },
    { "refuses another agent's revision (rule 1)", false, refuses_other_agent },
    { "refuses an older epoch (rule 1)", false, refuses_old_epoch },
    { "does not run what was not made ready (section 2)", false, run_needs_ready },
    { "obeys only words about its assignment (rule 2)", false, assignment_counts },
    { "ready: stands at `from`, committed", true, ready },
    { "ready: the brokers have the commit and its mark (rule 4)", false, is_committed },
    { "run: runs", true, runs },
    { "run: hands over from `from` on", false, hands_over },
    { "run: commits as a sign of life (rule 5)", false, sign_of_life },
    { "hold: nothing in flight, all committed (rule 3)", true, holds },
    { "hold: the brokers have the commit and its mark (rule 4)", false, is_committed },
    { "hold: stays where it is", false, stays_held },
    { "run again: goes on without ready", false, runs },
    { "ready: goes back to `from`", false, goes_back },
    { "what a PUT does not name is held (rule 2)", false, unnamed_is_held },
    { "answers within a second", false, in_time },
};

int conformance_run(const struct conformance_config *config, conformance_checked *on_checked, void *opaque,
                    struct errmsg *m)
{
    struct suite s = { .base = must(event_base_new()) };
    int wake_fd = kafka_eventfd(m), failures = 0, r = wake_fd < 0 ? wake_fd : ERR_OK;
    bool on = true;

    if (r == ERR_OK)
        r = application_open(&s.application, s.base, config->application, config->application_token_file, on_answer, &s,
                             m);
    if (r == ERR_OK)
        r = kafka_asker_open(&s.handle, config->kafka, "baton.conformance", m);
    if (r == ERR_OK) {
        r = kafka_handle_connect(&s.handle, BROKER_MS_MAX, m);
        if (r == ERR_OK)
            r = kafka_admin_open(&s.admin, &s.handle, wake_fd, m);
        for (size_t i = 0; r == ERR_OK && on && i < ARRAY_COUNT(checks); i++) {
            enum conformance_result result;

            s.why[0] = '\0';
            result = checks[i].check(&s);
            failures += result == CONFORMANCE_FAILED;
            on = result != CONFORMANCE_FAILED || !checks[i].needed;
            on_checked(opaque, checks[i].name, result, result == CONFORMANCE_OK ? "" : s.why);
        }
        kafka_admin_close(s.admin);
        kafka_handle_close(&s.handle);
    }
    observed_free(s.seen);
    application_close(s.application);
    event_base_free(s.base);
    return r < 0 ? r : failures;
}
