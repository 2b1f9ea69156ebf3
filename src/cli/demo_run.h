/*
 * demo_run - what the parts of the demo share: its state, how it tells, and how it lets time pass.
 *
 * A step that returns false has either failed (said so, and left the exit code in `code`) or met a signal; whoever
 * called it gives up at once, and stage_clear() takes everything away in either case.
 */
#ifndef CLI_DEMO_RUN_H
#define CLI_DEMO_RUN_H

#include <jansson.h>
#include <limits.h>

#include "cli/children.h"
#include "cli/cli.h"
#include "cli/demo_view.h"
#include "cli/ledger.h"

#define DEMO_CONSUMERS 4      /* two blue, two green */
#define DEMO_CONSUMER_FIRST 2 /* children: broker, controller, consumers */
#define DEMO_CHILDREN (DEMO_CONSUMER_FIRST + DEMO_CONSUMERS)
#define DEMO_READY_MS 90000 /* deadlines for a busy machine: they cost nothing elsewhere */
#define DEMO_PAGE_MAX (4u * 1024 * 1024)
#define DEMO_STANDSTILLS_MAX 4096
#define DEMO_OPTIONS_MAX 128

struct kafka_settings;
struct producer;
struct audit;

struct demo {
    struct cli *cli;     /* as called */
    struct cli asker;    /* asks our own controller */
    char self[PATH_MAX]; /* this program */
    char folder[64];
    char name[32]; /* fleet and topic: baton-demo-3f9c */
    char prefix[40];
    char bootstrap[512];
    char server[128];
    char fleet_path[64];
    bool embedded;
    struct kafka_settings *settings;
    struct child children[DEMO_CHILDREN];
    struct ledger ledgers[DEMO_CONSUMERS];
    bool killed[DEMO_CONSUMERS];
    struct producer *producer;
    struct audit *audit;
    struct demo_view view;
    json_t *status; /* newest */
    bool live;
    int64_t began_ms, rates_ms;
    int64_t done_before[2];
    struct standstills {
        int64_t us[DEMO_STANDSTILLS_MAX];
        int count;
    } orderly, after_kill; /* a killed consumer's partitions stand still until Kafka gives them away */
    int switches;
    json_t *receipts;             /* of all operations, in their order */
    char *more[DEMO_OPTIONS_MAX]; /* librdkafka properties for the consumers */
    int more_count;
    int64_t judged_ms;
    int code; /* what it ends with */
};

extern const char *const demo_color_names[2];
extern const char *const demo_versions[2];

/* demo_watch.c: one line of the story; the picture below it; why it ends here (returns false). */
void demo_tell(struct demo *d, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void demo_draw(struct demo *d);
bool demo_fail(struct demo *d, const struct errmsg *m);
/* Asks the controller how the fleet stands. */
void demo_look(struct demo *d);
/* Lets some 60 ms pass; false: a signal, or a process that ended by itself. */
bool demo_step(struct demo *d);
typedef bool demo_condition(struct demo *d);
bool demo_wait(struct demo *d, demo_condition *met, int timeout_ms, const char *what);

/* demo_stage.c: sets up one thing each, in this order; and takes all of it away again. */
void stage_name(struct demo *d);
void stage_options(struct demo *d);
bool stage_folder(struct demo *d);
bool stage_broker(struct demo *d); /* either this */
bool stage_kafka(struct demo *d);  /* or that */
bool stage_controller(struct demo *d);
bool stage_fleet(struct demo *d);
bool stage_consumer(struct demo *d, int i);
void stage_clear(struct demo *d);

#endif
