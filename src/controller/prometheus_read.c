/* prometheus_read - an answer of Prometheus' is one number, or unknown with a reason: prometheus.h. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controller/prometheus.h"

__attribute__((format(printf, 2, 3))) static void unknown(struct prometheus_figure *ret, const char *fmt, ...)
{
    va_list ap;

    *ret = (struct prometheus_figure){ .value = NAN };
    va_start(ap, fmt);
    vsnprintf(ret->why, sizeof(ret->why), fmt, ap);
    va_end(ap);
    for (char *c = ret->why; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
}

/* [1795363200.123, "0.25"]: Prometheus writes numbers as text, since JSON has no NaN. */
static void read_value(struct prometheus_figure *ret, const json_t *pair, int64_t now_unix_ms)
{
    const json_t *at = json_array_get(pair, 0), *value = json_array_get(pair, 1);
    const char *text = json_string_value(value);
    char *end = NULL;
    double seconds, number;

    if (json_array_size(pair) != 2 || !json_is_number(at) || !text) {
        unknown(ret, "a value is not of the form [time, \"number\"]");
        return;
    }
    number = strtod(text, &end);
    seconds = json_number_value(at);
    if (end == text || *end)
        unknown(ret, "the value '%.40s' is no number", text);
    else if (isnan(number))
        unknown(ret, "the query gives NaN: it divides nothing by nothing, or its histogram is empty");
    else if (isinf(number))
        unknown(ret, "the query gives infinity: it divides by nothing");
    else if (fabs(seconds * 1000 - (double)now_unix_ms) > PROMETHEUS_STALE_MS)
        unknown(ret, "the value is of %.0f s %s: it is stale, or a clock is wrong",
                fabs(seconds - (double)now_unix_ms / 1000), seconds * 1000 < (double)now_unix_ms ? "ago" : "ahead");
    else
        *ret = (struct prometheus_figure){ .known = true, .value = number };
}

static void read_data(struct prometheus_figure *ret, const json_t *data, int64_t now_unix_ms)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    const size_t count = json_array_size(result);

    if (!type || !json_is_array(result))
        unknown(ret, "the answer has no result");
    else if (strcmp(type, "scalar") == 0)
        read_value(ret, result, now_unix_ms);
    else if (strcmp(type, "vector") != 0)
        unknown(ret, "the query gives a %.20s, a single number is wanted: leave the range away", type);
    else if (count == 0)
        unknown(ret, "the query gives no series");
    else if (count > 1)
        unknown(ret, "the query gives %zu series, one is wanted: put sum() or max() around it", count);
    else if (json_object_get(json_array_get(result, 0), "histogram"))
        unknown(ret, "the query gives a histogram, a single number is wanted: histogram_quantile() makes one");
    else
        read_value(ret, json_object_get(json_array_get(result, 0), "value"), now_unix_ms);
}

void prometheus_read(struct prometheus_figure *ret, int status, const char *content_type, const char *body, size_t len,
                     int64_t now_unix_ms)
{
    json_error_t ignored;
    json_t *tree = json_loadb(body, len, JSON_REJECT_DUPLICATES, &ignored);
    const char *said = json_string_value(json_object_get(tree, "status"));
    const char *error = json_string_value(json_object_get(tree, "error"));

    if (status == 401 || status == 403)
        unknown(ret, "it refuses us with status %d: give --prometheus-auth-file", status);
    else if (status >= 300 && status < 400)
        unknown(ret, "it sends us elsewhere with status %d: give the address where it is", status);
    else if (!said && strncasecmp(content_type, "application/json", 16) != 0)
        unknown(ret, "it answers %s%.60s with status %d: that is no Prometheus",
                content_type[0] ? "in " : "without a type", content_type, status);
    else if (!said)
        unknown(ret, "its answer, status %d, is not that of a Prometheus", status);
    else if (strcmp(said, "success") != 0 || status != 200)
        unknown(ret, "Prometheus says: %.200s", error ? error : "an error, and not which");
    else
        read_data(ret, json_object_get(tree, "data"), now_unix_ms);
    json_decref(tree);
}
