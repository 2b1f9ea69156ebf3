/*
 * metrics_page - metrics as text: OpenMetrics 1.0, or Prometheus' older format for those that do not ask for it.
 *
 * The caller names a metric and then gives its samples; names, units, suffixes, escapes and order are seen to. The same
 * samples make both formats: where the older one has no word (info, state set, when a counter began), it gets a gauge or
 * nothing.
 *
 *     page_metric(&p, &metric);                           # TYPE baton_batons gauge ...
 *     page_labels(&p, "fleet", "payments", "holder", "blue", NULL);
 *     page_int(&p, 12);                                   baton_batons{fleet="payments",holder="blue"} 12
 */
#ifndef CONTROLLER_METRICS_PAGE_H
#define CONTROLLER_METRICS_PAGE_H

#include "base/str.h"
#include "core/histogram.h"

enum metric_type {
    METRIC_TYPE_GAUGE,
    METRIC_TYPE_COUNTER,
    METRIC_TYPE_HISTOGRAM,
    METRIC_TYPE_INFO,
    METRIC_TYPE_STATESET
};

struct metric {
    const char *name; /* with its unit, without _total, _info and the like */
    enum metric_type type;
    const char *unit;   /* "seconds", "" */
    const char *labels; /* for the docs: "fleet, color" */
    const char *help;
};

struct page {
    struct str *text;
    bool openmetrics;
    const struct metric *metric;
    struct str labels;       /* of the samples that follow: a="b",c="d" */
    int64_t created_unix_ms; /* when counters began */
    int samples;             /* so far */
};

/* Does who accepts this want OpenMetrics? */
bool page_wants_openmetrics(const char *accept);
const char *page_content_type(bool openmetrics);

void page_begin(struct page *p, struct str *text, bool openmetrics, int64_t created_unix_ms);
void page_end(struct page *p);

void page_metric(struct page *p, const struct metric *metric);
/* Pairs of name and value, NULL at the end. */
void page_labels(struct page *p, ...) __attribute__((sentinel));
void page_int(struct page *p, int64_t value);
void page_count(struct page *p, uint64_t value); /* of a counter */
void page_seconds(struct page *p, int64_t us);   /* of a gauge or a counter */
void page_ms(struct page *p, int64_t ms);        /* as seconds */
/* All states, `now` is the one that holds. */
void page_states(struct page *p, const char *const *names, int count, int now);
/*
 * Buckets at 2^first, 2^(first+step) ... 2^last microseconds, bounds that `h` has exactly: with a bound of one
 * microsecond less, to be exact, which nobody sees.
 */
void page_histogram(struct page *p, const struct histogram *h, int first, int last, int step);

#endif
