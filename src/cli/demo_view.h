/*
 * demo_view - what the demo shows: a picture while it runs and the audit at its end. Pure, like render.
 */
#ifndef CLI_DEMO_VIEW_H
#define CLI_DEMO_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "cli/audit.h"
#include "cli/look.h"

#define DEMO_PARTITIONS 12
#define DEMO_HISTORY 48 /* samples of the rates that are kept */

struct demo_color {
    const char *version;
    int running, killed;     /* consumers */
    int64_t done;            /* records written down */
    int rates[DEMO_HISTORY]; /* records a second, the newest last */
};

struct demo_view {
    const char *where; /* "embedded broker (not Kafka)" */
    int64_t elapsed_ms;
    int rate; /* records produced a second: the height of the curves */
    int64_t produced;
    struct demo_color colors[2];       /* blue, green */
    char holders[DEMO_PARTITIONS + 1]; /* 'b', 'g', 'r' on the way, '?' */
    const char *doing;                 /* what is going on now */
    const json_t *op;                  /* an operation under way, NULL */
    bool finished;
    int frame; /* counts, for what turns */
};

struct demo_standstill {
    int64_t known, p50_us, p99_us, max_us; /* -1: none known */
};

void demo_picture(struct str *ret, const struct look *look, const struct demo_view *v, int64_t now_unix_ms);
/* after_kill: of the switch during which a consumer was killed; NULL: none was. */
void demo_audit_page(struct str *ret, const struct look *look, const struct audit_result *a,
                     const struct demo_standstill *s, const struct demo_standstill *after_kill);

#endif
