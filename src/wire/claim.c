/*
 * claim - the record by which a controller begins its reign, the term of any other, and a request handed over by Kafka.
 *
 * A claim carries no term: the offset it gets is the term.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/record_common.h"

int claim_encode(struct str *ret, const struct claim *claim, struct errmsg *m)
{
    size_t start;
    struct json_out o = record_begin(ret, &start);

    json_put_text(&o, "controller", claim->controller);
    json_put_text(&o, "host", claim->host);
    json_put_text(&o, "address", claim->address);
    json_put_text(&o, "version", claim->version);
    json_put_int(&o, "unix_ms", claim->unix_ms);
    return record_end(&o, start, m, "a claim");
}

int claim_decode(struct claim *ret, const char *json, size_t len, struct errmsg *m)
{
    struct claim claim = { 0 };
    struct json_reader reader;
    struct json_at record;
    json_t *tree;
    int r = record_read(&tree, &record, &reader, json, len, m);

    if (r < 0)
        return r;
    json_copy_text(&record, "controller", claim.controller, sizeof(claim.controller));
    json_copy_text(&record, "host", claim.host, sizeof(claim.host));
    json_copy_text(&record, "address", claim.address, sizeof(claim.address));
    json_copy_text(&record, "version", claim.version, sizeof(claim.version));
    claim.unix_ms = record_count(&record, "unix_ms");
    json_decref(tree);
    if (reader.error)
        return reader.error;
    *ret = claim;
    return ERR_OK;
}

/* Digits at *at, few enough not to overflow; moves *at behind them. */
static bool skip_digits(int64_t *ret, const char **at, const char *end)
{
    const char *p = *at;
    int64_t value = 0;

    while (p < end && p - *at < 18 && *p >= '0' && *p <= '9')
        value = value * 10 + (*p++ - '0');
    if (p == *at || p == end)
        return false;
    *ret = value;
    *at = p;
    return true;
}

static bool skip_text(const char **at, const char *end, const char *text)
{
    const size_t len = strlen(text);

    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

/* As record_begin() and record_put_version() write it: the two come first. Anything else is for the real reader. */
static bool term_at_start(int64_t *ret, const char *json, size_t len)
{
    const char *at = json, *end = json + len;
    int64_t format, term;

    if (!skip_text(&at, end, "{\"format\":") || !skip_digits(&format, &at, end) || !skip_text(&at, end, ",\"term\":") ||
        !skip_digits(&term, &at, end) || *at != ',')
        return false;
    *ret = term;
    return true;
}

/*
 * Whatever its format: "term" keeps its place and meaning in all of them, so that a dead term's record is void before it
 * is newer. A replay asks this of every record before it reads it, so the usual one is not read twice as a whole; what
 * is wrong behind the term comes out when it is decoded.
 */
int record_term(int64_t *ret, const char *json, size_t len, struct errmsg *m)
{
    struct json_reader reader = { .m = m };
    struct json_at record;
    json_t *tree;
    int64_t term;
    int r;

    if (term_at_start(ret, json, len))
        return ERR_OK;
    r = json_read_tree(&tree, json, len, RECORD_BYTES_MAX, m);
    if (r < 0)
        return r;
    record = json_root(&reader, tree);
    term = record_count(&record, "term");
    json_decref(tree);
    if (reader.error)
        return reader.error;
    *ret = term;
    return ERR_OK;
}

int handed_encode(struct str *ret, const struct handed *h, struct errmsg *m)
{
    size_t start;
    struct json_out o;

    if (h->body && !json_text_is_clean(h->body))
        return err_set(m, ERR_INVALID, "the body is not UTF-8");
    o = record_begin(ret, &start);
    json_put_bool(&o, "answer", h->is_answer);
    json_put_text(&o, "method", h->method);
    json_put_text(&o, "path", h->path);
    if (h->is_answer)
        json_put_int(&o, "status", h->status);
    json_put_text(&o, "by", h->by);
    json_put_int(&o, "unix_ms", h->unix_ms);
    json_put_int(&o, "patience_ms", h->patience_ms);
    if (h->body)
        json_put_text(&o, "body", h->body);
    return record_end(&o, start, m, h->is_answer ? "the answer" : "the request");
}

int handed_decode(struct handed *ret, const char *json, size_t len, struct errmsg *m)
{
    struct handed h = { 0 };
    struct json_reader reader;
    struct json_at record;
    json_t *tree;
    int r = record_read(&tree, &record, &reader, json, len, m);

    if (r < 0)
        return r;
    h.is_answer = json_flag(&record, "answer");
    json_copy_text(&record, "method", h.method, sizeof(h.method));
    json_copy_text(&record, "path", h.path, sizeof(h.path));
    if (h.is_answer)
        h.status = (int)json_int(&record, "status", 100, 599);
    json_copy_text(&record, "by", h.by, sizeof(h.by));
    h.unix_ms = record_count(&record, "unix_ms");
    h.patience_ms = record_count(&record, "patience_ms");
    if (json_has(&record, "body")) {
        const char *body = json_text(&record, "body");

        h.body = reader.error ? NULL : strdup(body);
        if (!reader.error && !h.body)
            reader.error = err_set(m, ERR_NOMEM, "read a handed request");
    }
    json_decref(tree);
    if (reader.error) {
        free(h.body);
        return reader.error;
    }
    *ret = h;
    return ERR_OK;
}
