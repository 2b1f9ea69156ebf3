/* metrics_page - see metrics_page.h. */
#include "controller/metrics_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

#define LABELS_BYTES_MAX 4096

static const struct {
    const char *word, *old_word; /* after # TYPE */
    const char *suffix;          /* of the plain sample */
} types[] = {
    [METRIC_TYPE_GAUGE] = { "gauge", "gauge", "" },
    [METRIC_TYPE_COUNTER] = { "counter", "counter", "_total" },
    [METRIC_TYPE_HISTOGRAM] = { "histogram", "histogram", "" },
    [METRIC_TYPE_INFO] = { "info", "gauge", "_info" },
    [METRIC_TYPE_STATESET] = { "stateset", "gauge", "" },
};

/*
 * Prometheus sends "application/openmetrics-text;version=1.0.0,...,text/plain;version=0.0.4;q=0.5": whoever names the format
 * can read it, unless with a quality of 0.
 */
bool page_wants_openmetrics(const char *accept)
{
    const char *at = strcasestr(accept, "application/openmetrics-text");
    const size_t len = at ? strcspn(at, ",") : 0;
    const char *quality = at ? strcasestr(at, "q=") : NULL;

    return at && (!quality || quality >= at + len || strtod(quality + 2, NULL) > 0);
}

const char *page_content_type(bool openmetrics)
{
    return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8";
}

void page_begin(struct page *p, struct str *text, bool openmetrics, int64_t created_unix_ms)
{
    *p = (struct page){ .text = text,
                        .openmetrics = openmetrics,
                        .labels = STR_WITH_MAX(LABELS_BYTES_MAX),
                        .created_unix_ms = created_unix_ms };
}

void page_end(struct page *p)
{
    if (p->openmetrics)
        str_add(p->text, "# EOF\n");
    str_free(&p->labels);
}

/* Backslash and line feed, and in a label's value the quote, are escaped. */
static void add_escaped(struct str *to, const char *value, bool quote)
{
    for (size_t len; *value; value += len) {
        len = strcspn(value, quote ? "\\\n\"" : "\\\n");
        str_add_bytes(to, value, len);
        if (value[len]) {
            str_add(to, value[len] == '\n' ? "\\n" : value[len] == '"' ? "\\\"" : "\\\\");
            len++;
        }
    }
}

void page_metric(struct page *p, const struct metric *metric)
{
    const char *suffix = p->openmetrics ? "" : types[metric->type].suffix;

    p->metric = metric;
    str_clear(&p->labels);
    str_addf(p->text, "# TYPE %s%s %s\n", metric->name, suffix,
             p->openmetrics ? types[metric->type].word : types[metric->type].old_word);
    if (p->openmetrics && metric->unit[0])
        str_addf(p->text, "# UNIT %s %s\n", metric->name, metric->unit);
    str_addf(p->text, "# HELP %s%s ", metric->name, suffix);
    add_escaped(p->text, metric->help, p->openmetrics);
    str_add_char(p->text, '\n');
}

static void add_label(struct str *to, const char *name, const char *value)
{
    if (to->len > 0)
        str_add_char(to, ',');
    str_add(to, name);
    str_add(to, "=\"");
    add_escaped(to, value, true);
    str_add_char(to, '"');
}

void page_labels(struct page *p, ...)
{
    va_list ap;

    str_clear(&p->labels);
    va_start(ap, p);
    for (const char *name; (name = va_arg(ap, const char *));)
        add_label(&p->labels, name, va_arg(ap, const char *));
    va_end(ap);
}

/* Name, labels and the blank before the value. */
static void add_sample(struct page *p, const char *suffix, const char *label, const char *value)
{
    const size_t len = p->labels.len;

    if (label)
        add_label(&p->labels, label, value);
    str_add(p->text, p->metric->name);
    str_add(p->text, suffix);
    if (p->labels.len > 0) {
        str_add_char(p->text, '{');
        str_add_bytes(p->text, p->labels.buf, p->labels.len);
        str_add_char(p->text, '}');
    }
    str_add_char(p->text, ' ');
    if (label) { /* back to what the next sample has too */
        p->labels.len = len;
        p->labels.buf[len] = '\0';
    }
    p->samples++;
}

static void add_created(struct page *p)
{
    if (!p->openmetrics)
        return;
    add_sample(p, "_created", NULL, NULL);
    str_addf(p->text, "%" PRId64 ".%03d\n", p->created_unix_ms / 1000, (int)(p->created_unix_ms % 1000));
}

void page_int(struct page *p, int64_t value)
{
    ASSERT(p->metric->type == METRIC_TYPE_GAUGE || p->metric->type == METRIC_TYPE_INFO);
    add_sample(p, types[p->metric->type].suffix, NULL, NULL);
    str_addf(p->text, "%" PRId64 "\n", value);
}

void page_count(struct page *p, uint64_t value)
{
    ASSERT(p->metric->type == METRIC_TYPE_COUNTER);
    add_sample(p, "_total", NULL, NULL);
    str_addf(p->text, "%" PRIu64 "\n", value);
    add_created(p);
}

static void add_us(struct page *p, int64_t us)
{
    const uint64_t size = us < 0 ? -(uint64_t)us : (uint64_t)us;

    str_addf(p->text, "%s%" PRIu64 ".%06d\n", us < 0 ? "-" : "", size / 1000000, (int)(size % 1000000));
}

void page_seconds(struct page *p, int64_t us)
{
    add_sample(p, types[p->metric->type].suffix, NULL, NULL);
    add_us(p, us);
    if (p->metric->type == METRIC_TYPE_COUNTER)
        add_created(p);
}

void page_ms(struct page *p, int64_t ms)
{
    add_sample(p, types[p->metric->type].suffix, NULL, NULL);
    str_addf(p->text, "%" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

void page_states(struct page *p, const char *const *names, int count, int now)
{
    for (int i = 0; i < count; i++) {
        add_sample(p, "", p->metric->name, names[i]);
        str_add(p->text, i == now ? "1\n" : "0\n");
    }
}

void page_histogram(struct page *p, const struct histogram *h, int first, int last, int step)
{
    uint64_t count = 0;
    int bucket = 0;

    ASSERT(first >= 3); /* below, a bucket is not a doubling */
    for (int power = first; power <= last; power += step) {
        const int64_t bound_us = INT64_C(1) << power;
        char le[32];

        for (; bucket < HISTOGRAM_BUCKETS && histogram_bound_us(bucket) <= bound_us; bucket++)
            count += h->counts[bucket];
        snprintf(le, sizeof(le), "%.9g", (double)bound_us / 1e6);
        add_sample(p, "_bucket", "le", le);
        str_addf(p->text, "%" PRIu64 "\n", count);
    }
    for (; bucket < HISTOGRAM_BUCKETS; bucket++)
        count += h->counts[bucket];
    add_sample(p, "_bucket", "le", "+Inf");
    str_addf(p->text, "%" PRIu64 "\n", count);
    add_sample(p, "_count", NULL, NULL);
    str_addf(p->text, "%" PRIu64 "\n", count);
    add_sample(p, "_sum", NULL, NULL);
    add_us(p, h->sum_us > INT64_MAX ? INT64_MAX : (int64_t)h->sum_us);
    add_created(p);
}
