/*
 * look - dresses text for a terminal, a file or a pipe.
 *
 * Everything that measures text knows that escape sequences take no column and that a Korean letter takes two
 * (wcwidth). The tables are libsmartcols'; it wraps and cuts by the same measure.
 */
#include "cli/look.h"

#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/check.h"

static const char *const codes[STYLE_COUNT] = {
    [PLAIN] = "\033[0m",   [BOLD] = "\033[1m",      [DIM] = "\033[2m",        [RED] = "\033[31m",
    [YELLOW] = "\033[33m", [BLUE_INK] = "\033[94m", [GREEN_INK] = "\033[32m", [CYAN] = "\033[36m",
};

void look_resize(struct look *look, int fd)
{
    struct winsize size;

    if (!look->terminal)
        return;
    look->width = 80;
    look->height = 24;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        look->width = size.ws_col;
        look->height = size.ws_row > 0 ? size.ws_row : 24;
    }
}

void look_of(struct look *ret, int fd, bool no_color)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");

    *ret = (struct look){ 0 };
    ret->terminal = isatty(fd) && term && !word_is(term, "dumb");
    ret->color = ret->terminal && !no_color && !(plain && *plain);
    ret->unicode = ret->terminal && word_is(nl_langinfo(CODESET), "UTF-8");
    look_resize(ret, fd);
}

const char *look_code(const struct look *look, enum style style)
{
    return look->color ? codes[style] : "";
}

enum style look_color(const char *color)
{
    return word_is(color, "blue") ? BLUE_INK : word_is(color, "green") ? GREEN_INK : PLAIN;
}

void look_add(struct str *ret, const struct look *look, enum style style, const char *text)
{
    if (style == PLAIN) {
        str_add(ret, text);
        return;
    }
    str_add(ret, look_code(look, style));
    str_add(ret, text);
    str_add(ret, look_code(look, PLAIN));
}

void look_addf(struct str *ret, const struct look *look, enum style style, const char *fmt, ...)
{
    va_list ap;

    if (style != PLAIN)
        str_add(ret, look_code(look, style));
    va_start(ap, fmt);
    str_vaddf(ret, fmt, ap);
    va_end(ap);
    if (style != PLAIN)
        str_add(ret, look_code(look, PLAIN));
}

/* One UTF-8 letter; returns its bytes, 0 when it is broken. */
static int letter_read(const unsigned char *at, uint32_t *ret)
{
    int len = *at < 0x80 ? 1 : (*at & 0xe0) == 0xc0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : (*at & 0xf8) == 0xf0 ? 4 : 0;
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (len == 0)
        return 0;
    *ret = len == 1 ? *at : *at & (0xffu >> (len + 1));
    for (int i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *ret = *ret << 6 | (at[i] & 0x3f);
    }
    return *ret < least[len] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret < 0xe000) ? 0 : len;
}

void look_clean(struct str *ret, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        uint32_t letter = 0;
        int len = letter_read(at, &letter);

        /* Controls of both sets, and the marks that turn the direction of what follows. */
        if (len == 0 || letter < 0x20 || (letter >= 0x7f && letter < 0xa0) || (letter >= 0x202a && letter <= 0x202e) ||
            (letter >= 0x2066 && letter <= 0x2069))
            str_add_char(ret, '?');
        else
            str_add_bytes(ret, at, (size_t)len);
        at += len ? len : 1;
    }
}

/* Bytes of the escape sequence that stands here, 0: none does. Only our own "ESC [ ... letter" are met. */
static size_t escape_len(const char *at)
{
    size_t len = 2;

    if (at[0] != '\033' || at[1] != '[')
        return 0;
    while (at[len] && (at[len] < '@' || at[len] > '~'))
        len++;
    return at[len] ? len + 1 : len;
}

/* Bytes of the next sign and its columns. */
static size_t sign_len(const char *at, int *ret_columns)
{
    uint32_t letter = 0;
    size_t escape = escape_len(at);
    int len, width;

    *ret_columns = 0;
    if (escape)
        return escape;
    len = letter_read((const unsigned char *)at, &letter);
    width = len > 0 ? wcwidth((wchar_t)letter) : 1;
    *ret_columns = width < 0 ? 1 : width;
    return len > 0 ? (size_t)len : 1;
}

int look_columns(const char *text)
{
    int columns = 0, width;

    while (*text) {
        text += sign_len(text, &width);
        columns += width;
    }
    return columns;
}

static void line_fit(struct str *ret, const struct look *look, const char *line, size_t len)
{
    char *copy = strndup(line, len);
    const char *more = look->unicode ? "…" : "..";
    int room, columns = 0, width;

    if (!copy)
        return;
    if (look_columns(copy) <= look->width) {
        str_add(ret, copy);
        free(copy);
        return;
    }
    room = look->width - look_columns(more);
    for (const char *at = copy; *at;) {
        size_t sign = sign_len(at, &width);

        if (columns + width > room)
            break;
        str_add_bytes(ret, at, sign);
        columns += width;
        at += sign;
    }
    str_add(ret, more);
    str_add(ret, look_code(look, PLAIN));
    free(copy);
}

void look_fit(struct str *ret, const struct look *look, const char *text)
{
    if (look->width == 0) {
        str_add(ret, text);
        return;
    }
    while (*text) {
        size_t len = strcspn(text, "\n");

        line_fit(ret, look, text, len);
        if (text[len])
            str_add_char(ret, '\n');
        text += len + (text[len] != 0);
    }
}

void look_wrap(struct str *ret, const char *text, int width, int indent)
{
    int column = indent;
    bool first = true;

    for (const char *at = text; *at;) {
        size_t len = strcspn(at, " \n");
        char word[512];
        int columns;

        if (len >= sizeof(word))
            len = sizeof(word) - 1;
        memcpy(word, at, len);
        word[len] = 0;
        columns = look_columns(word);
        if (len && !first && width > 0 && column + 1 + columns > width) {
            str_addf(ret, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        if (len && !first) {
            str_add_char(ret, ' ');
            column++;
        }
        str_add(ret, word);
        column += columns;
        first = first && !len;
        at += len;
        while (*at == ' ')
            at++;
        if (*at == '\n') {
            str_addf(ret, "\n%*s", at[1] && at[1] != '\n' ? indent : 0, "");
            column = indent;
            first = true;
            at++;
        }
    }
}

void look_bar(struct str *ret, const struct look *look, enum style style, int columns, long done, long total)
{
    long filled = total > 0 ? done * columns / total : 0;

    if (done > 0 && filled == 0)
        filled = 1;
    if (filled > columns)
        filled = columns;
    str_add(ret, look_code(look, style));
    for (long i = 0; i < filled; i++)
        str_add(ret, look->unicode ? "━" : "#");
    if (style != PLAIN)
        str_add(ret, look_code(look, PLAIN));
    str_add(ret, look_code(look, DIM));
    for (long i = filled; i < columns; i++)
        str_add(ret, look->unicode ? "─" : ".");
    str_add(ret, look_code(look, PLAIN));
}

struct table {
    const struct look *look;
    struct libscols_table *scols;
    struct libscols_line *line;
    size_t cell;
    bool failed;
};

struct table *table_new(const struct look *look)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->look = look;
    t->scols = scols_new_table();
    if (!t->scols) {
        free(t);
        return NULL;
    }
    scols_table_enable_colors(t->scols, look->color);
    scols_table_enable_ascii(t->scols, !look->unicode);
    scols_table_set_column_separator(t->scols, "  ");
    scols_table_set_termforce(t->scols, look->width ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
    if (look->width)
        scols_table_set_termwidth(t->scols, (size_t)look->width);
    return t;
}

void table_column(struct table *t, const char *name, enum table_column kind)
{
    static const int flags[] = {
        [TABLE_LEFT] = 0, [TABLE_RIGHT] = SCOLS_FL_RIGHT, [TABLE_TRUNC] = SCOLS_FL_TRUNC, [TABLE_WRAP] = SCOLS_FL_WRAP
    };
    struct libscols_column *c;

    if (!t)
        return;
    c = scols_table_new_column(t->scols, name, kind == TABLE_TRUNC || kind == TABLE_WRAP ? 0.3 : 1, flags[kind]);
    if (!c)
        t->failed = true;
    else if (t->look->color)
        scols_cell_set_color(scols_column_get_header(c), codes[DIM]);
}

void table_row(struct table *t)
{
    if (!t)
        return;
    t->line = scols_table_new_line(t->scols, NULL);
    t->cell = 0;
    t->failed = t->failed || !t->line;
}

void table_cell(struct table *t, enum style style, const char *fmt, ...)
{
    struct str text = STR_WITH_MAX(4096), clean = STR_WITH_MAX(4096);
    va_list ap;

    if (!t || !t->line)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    look_clean(&clean, text.buf);
    if (scols_line_set_data(t->line, t->cell, clean.buf) != 0)
        t->failed = true;
    else if (t->look->color && style != PLAIN)
        scols_cell_set_color(scols_line_get_cell(t->line, t->cell), codes[style]);
    t->cell++;
    str_free(&text);
    str_free(&clean);
}

int table_end(struct table *t, struct str *ret)
{
    char *text = NULL;
    int r = ERR_NOMEM;

    if (!t)
        return ERR_NOMEM;
    if (!t->failed && scols_print_table_to_string(t->scols, &text) == 0) {
        str_add(ret, text ? text : "");
        if (ret->len && ret->buf[ret->len - 1] != '\n')
            str_add_char(ret, '\n');
        r = str_error(ret);
    }
    free(text);
    scols_unref_table(t->scols);
    free(t);
    return r;
}
