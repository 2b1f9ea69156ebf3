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

/*
 * Whatever its format: "term" keeps its meaning in all of them, so that a dead term's record is void before it is
 * newer.
 */
int record_term(int64_t *ret, const char *json, size_t len, struct errmsg *m)
{
    struct json_reader reader = { .m = m };
    struct json_at record;
    json_t *tree;
    int64_t term;
    int r = json_read_tree(&tree, json, len, RECORD_BYTES_MAX, m);

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
