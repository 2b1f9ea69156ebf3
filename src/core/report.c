/* report - see report.h. */
#include "core/report.h"

#include <stdio.h>
#include <string.h>

#define SILENT_INTERVALS 3 /* of reports that did not come: it has ended */
#define SILENT_MS 5000     /* and this long for the last one on its way */

void agent_incarnation(char ret[INCARNATION_MAX + 1], const char *fleet, enum color color)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (const char *at = fleet; *at; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    snprintf(ret, INCARNATION_MAX + 1, "f0%014llx%016llx", color == BLUE ? 0xb1eULL : 0x62eeULL,
             (unsigned long long)hash);
}

void report_void(struct report *newest, const struct report *elder, int64_t now_ms)
{
    if (strcmp(newest->client_id, elder->client_id) == 0)
        return; /* its own, late */
    snprintf(newest->rival, sizeof(newest->rival), "%.40s on %.50s", elder->client_id, elder->host);
    newest->rival_ms = now_ms;
}

void report_succeed(struct report *newest, const struct report *former, int64_t now_ms)
{
    newest->rival[0] = '\0';
    if (former->rival[0] == '\0' ||
        now_ms - former->rival_ms > SILENT_INTERVALS * newest->report_interval_ms + SILENT_MS)
        return;
    memcpy(newest->rival, former->rival, sizeof(newest->rival));
    newest->rival_ms = former->rival_ms;
}
