/*
 * spec_yaml - the syntax of a fleet file: YAML by libfyaml's events into a small tree (spec_tree.h).
 *
 * Events, not documents: an anchor is refused when it is met, so no alias can grow into a bomb, and duplicate keys
 * are ours to name with both lines. What is wrong is said as "file:line:column: what", then the line itself and a
 * caret below the place.
 */
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/json_write.h"
#include "wire/spec_tree.h"

#define SHOWN_BYTES_MAX 160 /* of a line in an error */

struct source {
    const char *name, *text;
    size_t len;
};

/* ---- saying where ---- */

/* The line's text, borrowed; its length in *ret_len. */
static const char *find_line(const struct source *s, int line, size_t *ret_len)
{
    const char *p = s->text, *end = s->text + s->len, *stop;

    while (--line > 0 && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        p = newline ? newline + 1 : end;
    }
    stop = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    stop = stop ? stop : end;
    if (stop > p && stop[-1] == '\r')
        stop--;
    *ret_len = (size_t)(stop - p);
    return p;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes before the column, which counts characters from 1. */
static size_t column_bytes(const char *line, size_t len, int column)
{
    size_t at = 0;

    while (--column > 0 && at < len) {
        at++;
        while (at < len && is_continuation(line[at]))
            at++;
    }
    return at;
}

/* The line and a caret; a long line is shown around the place. */
static void add_excerpt(struct str *ret, const struct source *s, int line_number, int column)
{
    size_t len, begin = 0, at, end;
    const char *line = find_line(s, line_number, &len);

    at = column_bytes(line, len, column);
    if (at > SHOWN_BYTES_MAX / 2)
        begin = at - SHOWN_BYTES_MAX / 2;
    while (begin < at && is_continuation(line[begin]))
        begin++;
    end = len - begin > SHOWN_BYTES_MAX ? begin + SHOWN_BYTES_MAX : len;
    while (end < len && end > at && is_continuation(line[end]))
        end--;
    str_add(ret, "\n    ");
    for (size_t i = begin; i < end; i++)
        str_add_char(ret, line[i] == '\t' || (unsigned char)line[i] >= 0x20 ? line[i] : '?');
    str_add(ret, "\n    ");
    for (size_t i = begin; i < at; i++)
        if (!is_continuation(line[i]))
            str_add_char(ret, line[i] == '\t' ? '\t' : ' ');
    str_add_char(ret, '^');
}

static int fail_at(struct errmsg *m, const struct source *s, int line, int column, const char *what)
{
    struct str excerpt = STR_WITH_MAX(4 * SHOWN_BYTES_MAX);

    add_excerpt(&excerpt, s, line, column);
    err_set(m, ERR_INVALID, "%.200s:%d:%d: %s%s", s->name, line, column, what, excerpt.buf);
    str_free(&excerpt);
    return ERR_INVALID;
}

/* ---- before the parser ---- */

static int check_text(const struct source *s, struct errmsg *m)
{
    char *copy;
    bool clean;
    int line = 1, column = 1;
    bool indent = true;

    if (s->len > SPEC_BYTES_MAX)
        return err_set(m, ERR_INVALID, "%.200s: the file has %zu bytes, at most %d are allowed", s->name, s->len,
                       SPEC_BYTES_MAX);
    for (size_t i = 0; i < s->len; i++) {
        const unsigned char c = (unsigned char)s->text[i];

        if (c == '\t' && indent)
            return fail_at(m, s, line, column, "a tab; YAML is indented with blanks");
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return fail_at(m, s, line, column, "a control character");
        indent = c == '\n' || (indent && c == ' ');
        line += c == '\n';
        column = c == '\n' ? 1 : column + !is_continuation((char)c);
    }
    copy = strndup(s->text, s->len);
    if (!copy)
        return err_set(m, ERR_NOMEM, "read %.200s", s->name);
    clean = json_text_is_clean(copy);
    free(copy);
    return clean ? ERR_OK : err_set(m, ERR_INVALID, "%.200s: the file is not UTF-8", s->name);
}

/* ---- events into the tree ---- */

struct builder {
    const struct source *source;
    struct errmsg *m;
    struct spec_tree *tree;
    struct spec_value *open[SPEC_DEPTH_MAX]; /* lists and maps that are not closed */
    int depth;
    char *key; /* of a map, read and still without its value */
    int key_line, key_column;
    int documents;
};

static int build_fail(struct builder *b, const struct fy_mark *mark, const char *what)
{
    return fail_at(b->m, b->source, mark ? mark->line + 1 : 1, mark ? mark->column + 1 : 1, what);
}

static bool wants_key(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == SPEC_MAP && !b->key;
}

static int add_value(struct builder *b, enum spec_kind kind, const struct fy_mark *mark, struct spec_value **ret)
{
    struct spec_value *v;

    if (wants_key(b))
        return build_fail(b, mark, "a key must be a word");
    v = spec_tree_add(b->tree, b->depth > 0 ? b->open[b->depth - 1] : NULL, kind);
    if (!v)
        return build_fail(b, mark, "too many values for a fleet file");
    v->line = mark->line + 1;
    v->column = mark->column + 1;
    v->key = b->key;
    v->key_line = b->key_line;
    v->key_column = b->key_column;
    b->key = NULL;
    *ret = v;
    return ERR_OK;
}

static int open_value(struct builder *b, enum spec_kind kind, const struct fy_mark *mark)
{
    struct spec_value *v;
    int r;

    if (b->depth == SPEC_DEPTH_MAX)
        return build_fail(b, mark, "nested too deep for a fleet file");
    r = add_value(b, kind, mark, &v);
    if (r == ERR_OK)
        b->open[b->depth++] = v;
    return r;
}

static bool is_null_word(const char *text)
{
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

/*
 * The text of a scalar, the caller's to free(), piece by piece: libfyaml 0.7.12's fy_token_get_text() leaks where much is
 * escaped, and its fy_token_iter_read() puts every piece at the beginning.
 */
static char *scalar_text(struct fy_token *token, size_t *ret_len)
{
    struct fy_token_iter *iter = fy_token_iter_create(token);
    struct str text = STR_WITH_MAX(SPEC_BYTES_MAX);
    const struct fy_iter_chunk *piece = NULL;
    int error = 0;

    while (iter && (piece = fy_token_iter_chunk_next(iter, piece, &error)))
        str_add_bytes(&text, piece->str, piece->len);
    if (!iter || error)
        text.error = ERR_NOMEM;
    fy_token_iter_destroy(iter);
    *ret_len = text.len;
    return str_take(&text);
}

static int add_scalar(struct builder *b, struct fy_token *token, const struct fy_mark *mark)
{
    size_t len = 0;
    const bool plain = fy_token_scalar_style(token) == FYSS_PLAIN;
    struct spec_value *v;
    char *copy = scalar_text(token, &len);
    int r;

    if (!copy)
        return err_set(b->m, ERR_NOMEM, "read %.200s", b->source->name);
    if (strlen(copy) != len) {
        free(copy);
        return build_fail(b, mark, "a zero byte in a text");
    }
    if (wants_key(b)) {
        b->key = copy;
        b->key_line = mark->line + 1;
        b->key_column = mark->column + 1;
        return ERR_OK;
    }
    r = add_value(b, plain && is_null_word(copy) ? SPEC_NULL : SPEC_TEXT, mark, &v);
    if (r < 0) {
        free(copy);
        return r;
    }
    v->plain = plain;
    v->text = copy;
    return ERR_OK;
}

static int refuse_ornaments(struct builder *b, struct fy_token *anchor, struct fy_token *tag)
{
    if (anchor)
        return build_fail(b, fy_token_start_mark(anchor),
                          "anchors and aliases are not used in fleet files; write the value out");
    if (tag)
        return build_fail(b, fy_token_start_mark(tag), "tags are not used in fleet files; write the bare value");
    return ERR_OK;
}

static int take_event(struct builder *b, struct fy_event *event)
{
    const struct fy_mark zero = { 0 }, *start = fy_event_start_mark(event), *mark = start ? start : &zero;
    int r;

    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++b->documents > 1)
            return build_fail(b, mark, "a second document; write one fleet in one file");
        return ERR_OK;
    case FYET_MAPPING_START:
        r = refuse_ornaments(b, event->mapping_start.anchor, event->mapping_start.tag);
        return r < 0 ? r : open_value(b, SPEC_MAP, mark);
    case FYET_SEQUENCE_START:
        r = refuse_ornaments(b, event->sequence_start.anchor, event->sequence_start.tag);
        return r < 0 ? r : open_value(b, SPEC_LIST, mark);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        ASSERT(b->depth > 0);
        b->depth--;
        return ERR_OK;
    case FYET_SCALAR:
        r = refuse_ornaments(b, event->scalar.anchor, event->scalar.tag);
        return r < 0 ? r : add_scalar(b, event->scalar.value, mark);
    case FYET_ALIAS:
        return build_fail(b, mark, "anchors and aliases are not used in fleet files; write the value out");
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        return ERR_OK;
    }
    return ERR_OK;
}

/* What libfyaml did not like: its first error. */
static int syntax_error(const struct builder *b, struct fy_diag *diag)
{
    void *at = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    char what[200];

    if (!e)
        return err_set(b->m, ERR_INVALID, "%.200s: not YAML", b->source->name);
    snprintf(what, sizeof(what), "not YAML: %s", e->msg);
    return fail_at(b->m, b->source, e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, what);
}

static int build_tree(struct builder *b, struct fy_parser *parser, struct fy_diag *diag)
{
    int r = ERR_OK;

    if (fy_parser_set_string(parser, b->source->text, b->source->len) < 0)
        return err_set(b->m, ERR_NOMEM, "read %.200s", b->source->name);
    while (r == ERR_OK) {
        struct fy_event *event = fy_parser_parse(parser);

        if (!event)
            break;
        r = take_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (r == ERR_OK && fy_parser_get_stream_error(parser))
        r = syntax_error(b, diag);
    if (r == ERR_OK && (b->tree->count == 0 || (b->tree->count == 1 && b->tree->values[0].kind == SPEC_NULL)))
        r = err_set(b->m, ERR_INVALID, "%.200s: the file is empty; it begins with 'fleet: NAME'", b->source->name);
    return r;
}

static int parse_yaml(struct spec_tree *tree, const struct source *source, struct errmsg *m)
{
    struct builder b = { .source = source, .m = m, .tree = tree };
    const struct fy_diag_cfg diag_cfg = { .level = FYET_ERROR, .module_mask = ~0u };
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    const struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE, .diag = diag
    };
    struct fy_parser *parser = NULL;
    int r = ERR_NOMEM;

    if (diag) {
        fy_diag_set_collect_errors(diag, true);
        parser = fy_parser_create(&cfg);
    }
    if (parser)
        r = build_tree(&b, parser, diag);
    else
        err_set(m, r, "read %.200s", source->name);
    free(b.key);
    if (parser)
        fy_parser_destroy(parser);
    if (diag)
        fy_diag_destroy(diag);
    return r;
}

int spec_from_yaml(struct spec *ret, const char *name, const char *yaml, size_t len, struct errmsg *m)
{
    const struct source source = { .name = name, .text = yaml, .len = len };
    struct spec_tree *tree = spec_tree_new();
    struct spec_fault fault;
    int r = tree ? check_text(&source, m) : err_set(m, ERR_NOMEM, "read %.200s", name);

    if (r == ERR_OK)
        r = parse_yaml(tree, &source, m);
    if (r == ERR_OK && spec_from_tree(ret, tree, false, &fault) < 0)
        r = fail_at(m, &source, fault.line, fault.column, fault.what);
    spec_tree_free(tree);
    return r;
}
