/*
 * burrow_http - Burrow's HTTP v3: the same paths, fields, sentences and statuses as Burrow 1.9.5's.
 *
 * Text is written as Go writes it where a strict script might look: `complete` in as few digits as a float needs, whole
 * numbers without a point, lists in brackets when they are empty. Lists come sorted; Burrow's come in any order. What is
 * not known under the corrected rules is told as OK, since Burrow's readers know no other word for it.
 *
 * Not the same: what needs no store (/burrow/admin, configuration) answers at once, everything else waits for the replay
 * of the log of commits, where Burrow would tell what it happens to know. DELETE forgets the group in this process until it
 * commits again, as in Burrow; nothing is deleted in Kafka. There are no notifiers and no ZooKeeper.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/burrow.h"
#include "controller/internal.h"
#include "kafka/client.h"
#include "wire/json_write.h"

#define TEXT_TYPE "text/plain; charset=utf-8" /* what Go finds in a text */
#define NAMES_MAX 3
#define ANSWER_MAX (24 * 1024 * 1024) /* the windows of some 20,000 partitions; the server sends 32 MiB at a time */

struct ask {
    struct http_pieces pieces; /* of a page that is too long for `text` */
    struct controller *c;
    struct call *call;
    const char *pattern; /* of the route */
    const struct burrow_options *options;
    struct burrow *store; /* locked; NULL where the route needs none */
    char name[NAMES_MAX][BURROW_NAME_MAX + 1];
    struct str text;
    struct json_out out;
    int status;
};

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* A value that is JSON already. */
static void put_raw(struct json_out *o, const char *key, const char *json)
{
    if (o->comma)
        str_add_char(o->text, ',');
    if (key)
        str_addf(o->text, "\"%s\":", key);
    str_add(o->text, json);
    o->comma = true;
}

static void put_lag(struct json_out *o, const char *key, uint64_t lag)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, lag);
    put_raw(o, key, text);
}

/* The fewest digits that are read back as the same float. */
static void put_float(struct json_out *o, const char *key, float value)
{
    char text[32];

    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    put_raw(o, key, text);
}

static void begin(struct ask *a, bool error, const char *message)
{
    json_open(&a->out, NULL, '{');
    json_put_bool(&a->out, "error", error);
    json_put_text(&a->out, "message", message);
}

static void put_request(struct ask *a)
{
    json_open(&a->out, "request", '{');
    json_put_text(&a->out, "url", a->call->path);
    json_put_text(&a->out, "host", a->c->host);
    json_close(&a->out, '}');
}

static void end(struct ask *a)
{
    put_request(a);
    json_close(&a->out, '}');
}

static void say_error(struct ask *a, int status, const char *message)
{
    str_clear(&a->text);
    a->out.comma = false;
    a->status = status;
    begin(a, true, message);
    end(a);
}

static void on_name(void *opaque, const char *name)
{
    json_put_text(opaque, NULL, name);
}

static const char *word(enum burrow_status status)
{
    return burrow_status_name(status == BURROW_UNKNOWN ? BURROW_OK : status);
}

/* Is the first name in the path our cluster's? */
static bool cluster_known(struct ask *a, const char *otherwise)
{
    if (!strcmp(a->name[0], a->options->cluster))
        return true;
    say_error(a, 404, otherwise);
    return false;
}

/* --- clusters and topics ------------------------------------------------------------------------------------------ */

static void get_admin(struct ask *a)
{
    str_add(&a->text, "GOOD");
}

static void get_clusters(struct ask *a)
{
    begin(a, false, "cluster list returned");
    json_open(&a->out, "clusters", '[');
    json_put_text(&a->out, NULL, a->options->cluster);
    json_close(&a->out, ']');
    end(a);
}

static void put_servers(struct ask *a)
{
    const char *servers = kafka_settings_get(a->c->settings, "bootstrap.servers");
    char copy[2000], *save = NULL;

    json_open(&a->out, "servers", '[');
    snprintf(copy, sizeof(copy), "%s", servers ? servers : "");
    for (char *one = strtok_r(copy, ", ", &save); one; one = strtok_r(NULL, ", ", &save))
        json_put_text(&a->out, NULL, one);
    json_close(&a->out, ']');
}

static void put_client_profile(struct ask *a)
{
    const char *client_id = kafka_settings_get(a->c->settings, "client.id");

    json_open(&a->out, "client-profile", '{');
    json_put_text(&a->out, "name", "");
    json_put_text(&a->out, "client-id", client_id ? client_id : "");
    json_put_text(&a->out, "kafka-version", "");
    json_put_null(&a->out, "tls");
    json_put_null(&a->out, "sasl");
    json_close(&a->out, '}');
}

static void get_cluster(struct ask *a)
{
    if (!cluster_known(a, "cluster module not found"))
        return;
    begin(a, false, "cluster module detail returned");
    json_open(&a->out, "module", '{');
    json_put_text(&a->out, "class-name", "kafka");
    put_servers(a);
    put_client_profile(a);
    json_put_int(&a->out, "topic-refresh", a->options->topic_refresh_ms / 1000);
    json_put_int(&a->out, "offset-refresh", a->options->offset_refresh_ms / 1000);
    json_close(&a->out, '}');
    end(a);
}

static void get_topics(struct ask *a)
{
    if (!cluster_known(a, "cluster not found"))
        return;
    begin(a, false, "topic list returned");
    json_open(&a->out, "topics", '[');
    burrow_topics(a->store, on_name, &a->out);
    json_close(&a->out, ']');
    end(a);
}

/* Burrow leaves out what it does not know, so that all behind it are told of the wrong partition; corrected (C12): -1. */
static void on_end(void *opaque, int32_t partition, bool known, int64_t end)
{
    struct ask *a = opaque;

    (void)partition;
    if (known)
        json_put_int(&a->out, NULL, end);
    else if (a->options->rules == BURROW_RULES_CORRECTED)
        json_put_int(&a->out, NULL, -1);
}

static void get_topic(struct ask *a)
{
    if (!cluster_known(a, "cluster or topic not found"))
        return;
    begin(a, false, "topic offsets returned");
    json_open(&a->out, "offsets", '[');
    if (!burrow_topic(a->store, a->name[1], on_end, a)) {
        say_error(a, 404, "cluster or topic not found");
        return;
    }
    json_close(&a->out, ']');
    end(a);
}

static void get_topic_consumers(struct ask *a)
{
    if (!cluster_known(a, "cluster not found"))
        return;
    begin(a, false, "consumers of topic returned");
    json_open(&a->out, "consumers", '[');
    burrow_topic_groups(a->store, a->name[1], on_name, &a->out);
    json_close(&a->out, ']');
    end(a);
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static void get_consumers(struct ask *a)
{
    if (!cluster_known(a, "cluster not found"))
        return;
    begin(a, false, "consumer list returned");
    json_open(&a->out, "consumers", '[');
    burrow_groups(a->store, on_name, &a->out);
    json_close(&a->out, ']');
    end(a);
}

static void put_commit(struct json_out *o, const char *key, const struct burrow_commit *c)
{
    if (!c) {
        json_put_null(o, key);
        return;
    }
    json_open(o, key, '{');
    json_put_int(o, "offset", c->offset);
    json_put_int(o, "timestamp", c->timestamp_ms);
    json_put_int(o, "observedAt", (int64_t)c->observed_s * 1000);
    if (c->lag_known)
        put_lag(o, "lag", c->lag);
    else
        json_put_null(o, "lag");
    json_close(o, '}');
}

struct detail {
    struct json_out *out;
    const char *topic; /* whose list is open; NULL: none */
};

/* Partitions come by topic and in order, so the place in the list is the partition. */
static void on_detail(void *opaque, const struct burrow_partition *p)
{
    struct detail *d = opaque;
    struct json_out *o = d->out;

    if (!d->topic || strcmp(d->topic, p->topic) != 0) {
        if (d->topic)
            json_close(o, ']');
        if (o->comma)
            str_add_char(o->text, ',');
        o->comma = false;
        json_put_text(o, NULL, p->topic);
        str_add_char(o->text, ':');
        o->comma = false;
        json_open(o, NULL, '[');
        d->topic = p->topic;
    }
    json_open(o, NULL, '{');
    json_open(o, "offsets", '[');
    for (int i = p->window.count; i < p->window.slots; i++)
        json_put_null(o, NULL);
    for (int i = 0; i < p->window.count; i++)
        put_commit(o, NULL, &p->window.commits[i]);
    json_close(o, ']');
    json_put_text(o, "owner", p->owner);
    json_put_text(o, "client_id", p->client_id);
    put_lag(o, "current-lag", p->window.current_lag);
    json_close(o, '}');
}

static void get_consumer(struct ask *a)
{
    struct detail d = { .out = &a->out };

    if (!cluster_known(a, "cluster or consumer not found"))
        return;
    begin(a, false, "consumer detail returned");
    json_open(&a->out, "topics", '{');
    if (!burrow_group(a->store, a->name[1], clock_unix_ms() / 1000, on_detail, &d)) {
        say_error(a, 404, "cluster or consumer not found");
        return;
    }
    if (d.topic)
        json_close(&a->out, ']');
    json_close(&a->out, '}');
    end(a);
}

static void put_partition(struct json_out *o, const char *key, const struct burrow_partition *p,
                          const struct burrow_verdict *v)
{
    json_open(o, key, '{');
    json_put_text(o, "topic", p->topic);
    json_put_int(o, "partition", p->partition);
    json_put_text(o, "owner", p->owner);
    json_put_text(o, "client_id", p->client_id);
    json_put_text(o, "status", word(v->status));
    put_commit(o, "start", v->start);
    put_commit(o, "end", v->end);
    put_lag(o, "current_lag", p->window.current_lag);
    put_float(o, "complete", v->complete);
    json_close(o, '}');
}

struct listing {
    struct json_out out;
    bool all;
};

static void on_judged(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *v)
{
    struct listing *l = opaque;

    if (l->all || (v->status > BURROW_OK && v->status != BURROW_UNKNOWN))
        put_partition(&l->out, NULL, p, v);
}

static void say_status(struct ask *a, bool all)
{
    struct str partitions = STR_WITH_MAX(ANSWER_MAX);
    struct listing listing = { .out = { .text = &partitions }, .all = all };
    struct burrow_group_verdict g = { .status = BURROW_NOTFOUND, .complete = 1.0F };

    json_open(&listing.out, NULL, '[');
    if (!strcmp(a->name[0], a->options->cluster))
        burrow_group_judge(&g, a->store, a->name[1], clock_unix_ms() / 1000, on_judged, &listing);
    json_close(&listing.out, ']');
    a->status = g.status == BURROW_NOTFOUND ? 404 : 200;
    begin(a, false, "consumer status returned");
    json_open(&a->out, "status", '{');
    json_put_text(&a->out, "cluster", a->name[0]);
    json_put_text(&a->out, "group", a->name[1]);
    json_put_text(&a->out, "status", word(g.status));
    put_float(&a->out, "complete", g.complete);
    put_raw(&a->out, "partitions", partitions.buf);
    json_put_int(&a->out, "partition_count", g.partition_count);
    if (g.has_max)
        put_partition(&a->out, "maxlag", &g.max, &g.max_verdict);
    else
        json_put_null(&a->out, "maxlag");
    put_lag(&a->out, "totallag", g.total_lag);
    json_close(&a->out, '}');
    end(a);
    if (str_error(&partitions))
        say_error(a, 500, "the answer is too large");
    str_free(&partitions);
}

static void get_status(struct ask *a)
{
    say_status(a, false);
}

static void get_lag(struct ask *a)
{
    say_status(a, true);
}

/* 200 also for what was never there, as in Burrow. */
static void forget(struct ask *a, const char *topic)
{
    if (!strcmp(a->name[0], a->options->cluster))
        burrow_group_delete(a->store, a->name[1], topic);
    begin(a, false, "consumer group removed");
    end(a);
}

static void delete_consumer(struct ask *a)
{
    forget(a, NULL);
}

static void delete_consumer_topic(struct ask *a)
{
    forget(a, a->name[2]);
}

/* --- labels for others -------------------------------------------------------------------------------------------- */

struct labelling {
    json_t *rows;
    size_t at;
};

/* Both lists are sorted alike; what is only in one is passed over. */
static void on_label(void *opaque, const struct burrow_partition *p, const struct burrow_verdict *v)
{
    struct labelling *l = opaque;

    for (; l->at < json_array_size(l->rows); l->at++) {
        json_t *row = json_array_get(l->rows, l->at);
        const char *topic = json_string_value(json_object_get(row, "topic"));
        const int order = strcmp(topic ? topic : "", p->topic);
        const json_int_t partition = json_integer_value(json_object_get(row, "partition"));

        if (order > 0 || (order == 0 && partition > p->partition))
            return;
        if (order < 0 || partition < p->partition)
            continue;
        json_object_set_new(row, "label", json_string(burrow_status_name(v->status)));
        json_object_set_new(row, "label_why", json_string(v->why));
    }
}

void burrow_label(struct controller *c, json_t *json, const char *group)
{
    struct labelling l = { .rows = json_object_get(json, "partitions") };
    struct burrow_group_verdict g;
    char trouble[512];
    struct burrow *store = c->burrow ? burrow_follower_lock(c->burrow, trouble, sizeof(trouble)) : NULL;

    if (!store)
        return;
    burrow_group_judge(&g, store, group, clock_unix_ms() / 1000, on_label, &l);
    burrow_follower_unlock(c->burrow);
    if (g.status != BURROW_NOTFOUND)
        json_object_set_new(json, "label", json_string(burrow_status_name(g.status)));
}

static void get_metrics(struct ask *a)
{
    a->pieces = burrow_metrics(a->c->burrow, a->store, a->options->cluster);
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

static void get_config(struct ask *a)
{
    begin(a, false, "main config returned");
    put_request(a);
    put_raw(&a->out, "general", "{\"pidfile\":\"\",\"stdout-logfile\":\"\",\"access-control-allow-origin\":\"\"}");
    put_raw(&a->out, "logging",
            "{\"filename\":\"\",\"max-size\":0,\"max-backups\":0,\"max-age\":0,\"use-local-time\":false,"
            "\"use-compression\":false,\"level\":\"\"}");
    put_raw(&a->out, "zookeeper", "{\"servers\":[],\"timeout\":0,\"root-path\":\"\"}");
    json_open(&a->out, "httpserver", '{');
    json_open(&a->out, "baton", '{');
    json_put_text(&a->out, "address", controller_listening(a->c, 0) ? controller_listening(a->c, 0) : "");
    json_put_text(&a->out, "tls", "");
    json_put_int(&a->out, "timeout", 30);
    json_close(&a->out, '}');
    json_close(&a->out, '}');
    json_close(&a->out, '}');
}

/* Each kind of module of Burrow's has one here, called as the cluster; there is no notifier. */
static void say_modules(struct ask *a, const char *coordinator)
{
    begin(a, false, "module list returned");
    put_request(a);
    json_put_text(&a->out, "coordinator", coordinator);
    json_open(&a->out, "modules", '[');
    if (strcmp(coordinator, "notifier") != 0)
        json_put_text(&a->out, NULL, a->options->cluster);
    json_close(&a->out, ']');
    json_close(&a->out, '}');
}

static void get_modules(struct ask *a)
{
    say_modules(a, strrchr(a->pattern, '/') + 1);
}

static void get_storage(struct ask *a)
{
    if (!cluster_known(a, "storage module not found"))
        return;
    begin(a, false, "storage module detail returned");
    json_open(&a->out, "module", '{');
    json_put_text(&a->out, "class-name", "inmemory");
    json_put_int(&a->out, "intervals", a->options->intervals);
    json_put_int(&a->out, "min-distance", a->options->min_distance_ms / 1000);
    json_put_text(&a->out, "group-allowlist", "");
    json_put_int(&a->out, "expire-group", a->options->expire_group_ms / 1000);
    json_close(&a->out, '}');
    end(a);
}

static void get_evaluator(struct ask *a)
{
    if (!cluster_known(a, "evaluator module not found"))
        return;
    begin(a, false, "evaluator module detail returned");
    put_raw(&a->out, "module", "{\"class-name\":\"caching\",\"expire-cache\":0}");
    end(a);
}

static void get_consumer_module(struct ask *a)
{
    if (!cluster_known(a, "consumer module not found"))
        return;
    begin(a, false, "consumer module detail returned");
    json_open(&a->out, "module", '{');
    json_put_text(&a->out, "class-name", "kafka");
    json_put_text(&a->out, "cluster", a->options->cluster);
    put_servers(a);
    json_put_text(&a->out, "group-allowlist", "");
    json_put_text(&a->out, "zookeeper-path", "");
    json_put_int(&a->out, "zookeeper-timeout", 0);
    put_client_profile(a);
    json_put_text(&a->out, "offsets-topic", "__consumer_offsets");
    json_put_bool(&a->out, "start-latest", false);
    json_close(&a->out, '}');
    end(a);
}

static void get_notifier(struct ask *a)
{
    say_error(a, 404, "notifier module not found");
}

static void get_log_level(struct ask *a)
{
    begin(a, false, "log level returned");
    json_put_text(&a->out, "level", "info");
    end(a);
}

static void post_log_level(struct ask *a)
{
    say_error(a, 405, "the log level is set when the controller starts: baton serve --log-level");
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *method, *path;
    void (*answer)(struct ask *a);
    bool plain;       /* text, not JSON */
    bool needs_store; /* waits for the replay */
} routes[] = {
    { "GET", "/burrow/admin", get_admin, true, false },
    { "GET", "/burrow/metrics", get_metrics, true, true },
    { "GET", "/v3/kafka", get_clusters, false, false },
    { "GET", "/v3/kafka/*", get_cluster, false, false },
    { "GET", "/v3/kafka/*/topic", get_topics, false, true },
    { "GET", "/v3/kafka/*/topic/*", get_topic, false, true },
    { "GET", "/v3/kafka/*/topic/*/consumers", get_topic_consumers, false, true },
    { "GET", "/v3/kafka/*/consumer", get_consumers, false, true },
    { "GET", "/v3/kafka/*/consumer/*", get_consumer, false, true },
    { "DELETE", "/v3/kafka/*/consumer/*", delete_consumer, false, true },
    { "DELETE", "/v3/kafka/*/consumer/*/topic/*", delete_consumer_topic, false, true },
    { "GET", "/v3/kafka/*/consumer/*/status", get_status, false, true },
    { "GET", "/v3/kafka/*/consumer/*/lag", get_lag, false, true },
    { "GET", "/v3/config", get_config, false, false },
    { "GET", "/v3/config/storage", get_modules, false, false },
    { "GET", "/v3/config/storage/*", get_storage, false, false },
    { "GET", "/v3/config/evaluator", get_modules, false, false },
    { "GET", "/v3/config/evaluator/*", get_evaluator, false, false },
    { "GET", "/v3/config/cluster", get_modules, false, false },
    { "GET", "/v3/config/cluster/*", get_cluster, false, false },
    { "GET", "/v3/config/consumer", get_modules, false, false },
    { "GET", "/v3/config/consumer/*", get_consumer_module, false, false },
    { "GET", "/v3/config/notifier", get_modules, false, false },
    { "GET", "/v3/config/notifier/*", get_notifier, false, false },
    { "GET", "/v3/admin/loglevel", get_log_level, false, false },
    { "POST", "/v3/admin/loglevel", post_log_level, false, false },
};

bool burrow_path(const char *path)
{
    return !strncmp(path, "/v3/", 4) || !strcmp(path, "/v3") || !strncmp(path, "/burrow/", 8);
}

/* Takes the segments of `path` at the stars of `pattern`. */
static bool path_matches(struct ask *a, const char *pattern, const char *path)
{
    int names = 0;

    for (; *pattern && *path; pattern++) {
        const size_t len = strcspn(path, "/");

        if (*pattern != '*') {
            if (*pattern != *path++)
                return false;
            continue;
        }
        if (len == 0 || len > BURROW_NAME_MAX || names == NAMES_MAX)
            return false;
        memcpy(a->name[names], path, len);
        a->name[names++][len] = '\0';
        path += len;
    }
    return !*pattern && (!*path || !strcmp(path, "/")); /* Burrow sends one slash too many on to the right path */
}

static void say_ready(struct controller *c, struct call *call)
{
    char trouble[512] = "";

    if (burrow_follower_lock(c->burrow, trouble, sizeof(trouble))) {
        burrow_follower_unlock(c->burrow);
        call_text(call, 200, TEXT_TYPE, "READY", 5);
    } else {
        call_text(call, 503, TEXT_TYPE, "STARTING", 8);
    }
}

static void say(struct ask *a, bool plain)
{
    if (a->pieces.more) {
        call_pieces(a->call, a->status, TEXT_TYPE, a->pieces);
        return;
    }
    if (str_error(&a->text)) {
        a->text.error = 0;
        say_error(a, 500, "the answer is too large");
    }
    call_text(a->call, a->status, plain ? TEXT_TYPE : "application/json", a->text.buf, a->text.len);
}

static void answer(struct ask *a, size_t route)
{
    char trouble[512] = "";

    if (routes[route].needs_store) {
        a->store = burrow_follower_lock(a->c->burrow, trouble, sizeof(trouble));
        if (!a->store && trouble[0]) {
            say_error(a, 503, trouble);
            say(a, false);
            return;
        }
        if (!a->store) {
            call_wait(a->call, "the log of commits to be read");
            return;
        }
    }
    a->pattern = routes[route].path;
    routes[route].answer(a);
    if (a->store)
        burrow_follower_unlock(a->c->burrow);
    say(a, routes[route].plain);
}

void burrow_answer(struct controller *c, struct call *call)
{
    static const char unknown[] = "{\"error\":true,\"message\":\"invalid request type\",\"result\":{}}\n";
    struct ask a = { .c = c, .call = call, .options = &c->burrow_options, .status = 200 };
    bool known = false;

    if (!c->burrow)
        c->burrow = burrow_follower_start(&c->burrow_options, c->settings);
    if (!c->burrow) {
        call_error(call, 503, "unavailable", NULL, NULL, "no thread could be started to follow the commits");
        return;
    }
    if (!strcmp(call->path, "/burrow/admin/ready") && !strcmp(call->method, "GET")) {
        say_ready(c, call);
        return;
    }
    a.text = STR_WITH_MAX(ANSWER_MAX);
    a.out.text = &a.text;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!path_matches(&a, routes[i].path, call->path))
            continue;
        known = true;
        if (strcmp(routes[i].method, call->method) != 0)
            continue;
        answer(&a, i);
        str_free(&a.text);
        return;
    }
    if (known)
        call_text(call, 405, TEXT_TYPE, "Method Not Allowed\n", 19);
    else
        call_text(call, 404, TEXT_TYPE, unknown, sizeof(unknown) - 1);
}
