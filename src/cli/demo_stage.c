/*
 * demo_stage - sets the demo up, and takes everything away again.
 *
 * The order of the end matters: consumers leave their groups while there is a controller and a broker, topics go when
 * nobody uses them any more.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/demo_run.h"
#include "cli/live.h"
#include "cli/pick.h"
#include "cli/producer.h"
#include "kafka/log.h"

void stage_name(struct demo *d)
{
    unsigned char bytes[4];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        uint32_t clock = (uint32_t)clock_unix_us();

        memcpy(bytes, &clock, sizeof(bytes));
    }
    snprintf(d->name, sizeof(d->name), "baton-demo-%02x%02x%02x", bytes[0], bytes[1], bytes[2]);
    snprintf(d->prefix, sizeof(d->prefix), "%s.", d->name);
    snprintf(d->fleet_path, sizeof(d->fleet_path), "/v1/fleets/%s", d->name);
}

bool stage_folder(struct demo *d)
{
    const char *tmp = getenv("TMPDIR");
    struct errmsg m = { 0 };
    ssize_t len = readlink("/proc/self/exe", d->self, sizeof(d->self) - 1);

    if (len <= 0) {
        err_set(&m, ERR_IO, "find this program: %s", strerror(errno));
        return demo_fail(d, &m);
    }
    d->self[len] = 0;
    snprintf(d->folder, sizeof(d->folder), "%s/baton-demo-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(d->folder)) {
        err_set(&m, ERR_IO, "make a folder %s: %s", d->folder, strerror(errno));
        d->folder[0] = 0;
        return demo_fail(d, &m);
    }
    for (int i = 0; i < DEMO_CONSUMERS; i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s-%d.db", d->folder, demo_color_names[i / 2], i % 2 + 1);
        ledger_init(&d->ledgers[i], path);
    }
    return true;
}

bool stage_broker(struct demo *d)
{
    char topic[64];
    const char *const argv[] = { d->self, "broker", "--quiet", "--prefix", d->prefix, "--topic", topic, NULL };
    struct errmsg m = { 0 };

    snprintf(topic, sizeof(topic), "%s=%d", d->name, DEMO_PARTITIONS);
    if (child_start(&d->children[0], "broker", d->folder, argv, true, &m) < 0 ||
        child_line(&d->children[0], d->bootstrap, sizeof(d->bootstrap), DEMO_READY_MS, &m) < 0 ||
        kafka_settings_set(d->settings, "bootstrap.servers", d->bootstrap, &m) < 0)
        return demo_fail(d, &m);
    demo_tell(d, PLAIN, "an embedded broker on %s (a mock, not Kafka)", d->bootstrap);
    return true;
}

bool stage_kafka(struct demo *d)
{
    struct kafka_handle h = { 0 };
    struct errmsg m = { 0 };
    int r;

    snprintf(d->bootstrap, sizeof(d->bootstrap), "%s", kafka_settings_get(d->settings, "bootstrap.servers"));
    r = kafka_handle_open(&h, RD_KAFKA_CONSUMER, "demo", d->settings, NULL, NULL, NULL, &m);
    if (r < 0)
        return demo_fail(d, &m);
    r = kafka_handle_connect(&h, 10000, &m);
    if (r == ERR_OK)
        r = kafka_topic_create(&h, d->name, DEMO_PARTITIONS, NULL, 10000, &m);
    kafka_handle_close(&h);
    if (r < 0)
        return demo_fail(d, &m);
    demo_tell(d, PLAIN, "Kafka at %s, topic %s", d->bootstrap, d->name);
    return true;
}

/* --config and -X of the command line, for children. */
static int pass_on(const struct args *a, const char **argv, int argc)
{
    if (a->value[OPT_CONFIG]) {
        argv[argc++] = "--config";
        argv[argc++] = a->value[OPT_CONFIG];
    }
    for (int i = 0; i < a->many_count; i++)
        if (a->many_id[i] == OPT_PROPERTY) {
            argv[argc++] = "-X";
            argv[argc++] = a->many[i];
        }
    return argc;
}

bool stage_controller(struct demo *d)
{
    const char *argv[16 + 2 * MANY_MAX] = { d->self,    "serve",       "--bootstrap", d->bootstrap,
                                            "--listen", "127.0.0.1:0", "--prefix",    d->prefix };
    struct child *c = &d->children[1];
    char line[160] = "";
    struct errmsg m = { 0 };
    char *url;

    pass_on(&d->cli->args, argv, 8);
    if (child_start(c, "controller", d->folder, argv, true, &m) < 0 ||
        child_line(c, line, sizeof(line), DEMO_READY_MS, &m) < 0)
        return demo_fail(d, &m);
    url = strstr(line, "http://");
    snprintf(d->server, sizeof(d->server), "%s", url ? url : "");
    d->asker = (struct cli){ .out = d->cli->out, .err = d->cli->err };
    d->asker.args.value[OPT_SERVER] = d->server;
    d->asker.args.times[OPT_SERVER] = 1;
    if (api_open(&d->asker.api, &d->asker, &m) < 0)
        return demo_fail(d, &m);
    api_interrupts(d->asker.api);
    demo_tell(d, PLAIN, "a controller on %s", d->server);
    return true;
}

bool stage_fleet(struct demo *d)
{
    char yaml[512];
    struct api_reply reply;
    struct errmsg m = { 0 };

    /* Short times, so that a killed consumer is missed within the demo's minute. */
    snprintf(yaml, sizeof(yaml),
             "fleet: %s\ntopics: [%s]\nswitch:\n  observe: 0s\n  deadline: 30s\n"
             "members:\n  session_timeout: 6s\n  processing_max: 1s\n  follow_interval: 1s\n",
             d->name, d->name);
    if (api_call(d->asker.api, &reply, "PUT", d->fleet_path, "application/yaml", yaml, strlen(yaml), &m) < 0)
        return demo_fail(d, &m);
    if (reply.status >= 300) {
        err_set(&m, ERR_STATE, "the fleet file was refused: %s",
                pick_text(reply.json, "error.message", "for no reason that Baton understands"));
        api_reply_free(&reply);
        return demo_fail(d, &m);
    }
    api_reply_free(&reply);
    return true;
}

/* What the consumers are told beyond the demo's own: the lines of --config and each -X, as NAME=VALUE. */
void stage_options(struct demo *d)
{
    const struct args *a = &d->cli->args;
    FILE *file = a->value[OPT_CONFIG] ? fopen(a->value[OPT_CONFIG], "re") : NULL;
    char line[1024];

    while (file && fgets(line, sizeof(line), file) && d->more_count < DEMO_OPTIONS_MAX) {
        char *at = line + strspn(line, " \t"), *value = strchr(at, '='), *end;

        at[strcspn(at, "\r\n")] = 0;
        if (*at == '#' || !value)
            continue;
        for (end = value; end > at && strchr(" \t", end[-1]); end--)
            ;
        *value++ = 0;
        *end = 0;
        value += strspn(value, " \t");
        if (!word_is(at, "bootstrap.servers") && asprintf(&d->more[d->more_count], "%s=%s", at, value) >= 0)
            d->more_count++;
    }
    if (file)
        fclose(file);
    for (int i = 0; i < a->many_count && d->more_count < DEMO_OPTIONS_MAX; i++)
        if (a->many_id[i] == OPT_PROPERTY && (d->more[d->more_count] = strdup(a->many[i])))
            d->more_count++;
}

bool stage_consumer(struct demo *d, int i)
{
    const char *color = demo_color_names[i / 2];
    char name[32], client[64], prefix[80], version[64];
    const char *argv[16 + DEMO_OPTIONS_MAX] = {
        d->self, "demo-consumer", d->name, color, d->bootstrap, d->ledgers[i].path, "session.timeout.ms=6000", client,
        prefix, version,
        /* the embedded broker never answers a member that it puts out while it joins: it asks again after this */
        "max.poll.interval.ms=15000"
    };
    struct errmsg m = { 0 };

    snprintf(name, sizeof(name), "%s-%d", color, i % 2 + 1);
    snprintf(client, sizeof(client), "client.id=%s", name);
    snprintf(prefix, sizeof(prefix), "baton.control.prefix=%s", d->prefix);
    snprintf(version, sizeof(version), "baton.version=%s", demo_versions[i / 2]);
    for (int k = 0; k < d->more_count; k++)
        argv[11 + k] = d->more[k];
    if (child_start(&d->children[DEMO_CONSUMER_FIRST + i], name, d->folder, argv, false, &m) < 0)
        return demo_fail(d, &m);
    d->view.colors[i / 2].running++;
    return true;
}

static void remove_topics(struct demo *d)
{
    char control[80], reports[80], group[3][80];
    const char *const topics[3] = { d->name, control, reports };
    struct kafka_handle h = { 0 };
    struct errmsg m = { 0 };
    rd_kafka_DeleteTopic_t *t[3];
    rd_kafka_DeleteGroup_t *g[3];
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;

    if (d->embedded || !d->bootstrap[0] ||
        kafka_handle_open(&h, RD_KAFKA_CONSUMER, "demo", d->settings, NULL, NULL, NULL, &m) < 0)
        return;
    snprintf(control, sizeof(control), "%s%s", d->prefix, CONTROL_TOPIC);
    snprintf(reports, sizeof(reports), "%s%s", d->prefix, REPORTS_TOPIC);
    snprintf(group[0], sizeof(group[0]), "%s-blue", d->name);
    snprintf(group[1], sizeof(group[1]), "%s-green", d->name);
    snprintf(group[2], sizeof(group[2]), "%s%s", d->prefix, CONTROLLER_GROUP);
    queue = rd_kafka_queue_new(h.rk);
    for (int i = 0; i < 3; i++) {
        t[i] = rd_kafka_DeleteTopic_new(topics[i]);
        g[i] = rd_kafka_DeleteGroup_new(group[i]);
    }
    rd_kafka_DeleteTopics(h.rk, t, 3, NULL, queue);
    rd_kafka_DeleteGroups(h.rk, g, 3, NULL, queue);
    for (int i = 0; i < 2; i++) {
        event = rd_kafka_queue_poll(queue, 10000);
        if (event && rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
            cli_say(d->cli, "demo: could not remove its %s: %s",
                    rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT ? "topics" : "groups",
                    rd_kafka_event_error_string(event));
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(t, 3);
    rd_kafka_DeleteGroup_destroy_array(g, 3);
    rd_kafka_queue_destroy(queue);
    kafka_handle_close(&h);
}

static void remove_folder(struct demo *d)
{
    DIR *dir = d->folder[0] ? opendir(d->folder) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (d->folder[0])
        rmdir(d->folder);
}

/* In the order in which nobody misses another: consumers leave their groups while there is a broker. */
void stage_clear(struct demo *d)
{
    struct errmsg m = { 0 };

    live_end(d->code == EXITS_DONE);
    d->live = false;
    if (d->producer)
        producer_stop(d->producer, 500, &m);
    children_end(&d->children[DEMO_CONSUMER_FIRST], DEMO_CONSUMERS, 5000);
    api_close(d->asker.api);
    children_end(&d->children[1], 1, 5000);
    remove_topics(d);
    children_end(&d->children[0], 1, 2000);
    for (int i = 0; i < DEMO_CONSUMERS; i++)
        ledger_deinit(&d->ledgers[i]);
    remove_folder(d);
    for (int i = 0; i < d->more_count; i++)
        free(d->more[i]);
    json_decref(d->status);
    json_decref(d->receipts);
    audit_free(d->audit);
    kafka_settings_free(d->settings);
}
