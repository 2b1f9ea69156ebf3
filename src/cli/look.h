/*
 * look - how text may be dressed for one output: colors, signs beyond ASCII, how wide.
 *
 * Rendering is pure: it gets a look and writes into a str, so a test sees what a terminal of 80 columns sees.
 * Names that came from outside (client ids, reasons) pass through look_clean(): no escape sequence of
 * a stranger reaches the terminal.
 */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum style { PLAIN, BOLD, DIM, RED, YELLOW, BLUE_INK, GREEN_INK, CYAN, STYLE_COUNT };

/* NULL equals nothing. */
static inline bool word_is(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

struct look {
    bool terminal; /* a person looks */
    bool color;
    bool unicode; /* bars and dots; else ASCII */
    int width;    /* columns; 0: no bound */
    int height;   /* rows; 0: no bound */
};

/* Of a file descriptor: terminal, NO_COLOR, TERM=dumb, locale, size. no_color: --no-color was given. */
void look_of(struct look *ret, int fd, bool no_color);
void look_resize(struct look *look, int fd);

void look_add(struct str *ret, const struct look *look, enum style style, const char *text);
void look_addf(struct str *ret, const struct look *look, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
const char *look_code(const struct look *look, enum style style); /* "" without color; PLAIN: the reset */
enum style look_color(const char *color);                         /* "blue", "green" */

/* Without control characters and broken UTF-8 ('?' for each). */
void look_clean(struct str *ret, const char *text);
/* Columns it takes; escape sequences take none. */
int look_columns(const char *text);
/* Cuts every line at the width (with "…" or "..") and closes colors; nothing happens with width 0. */
void look_fit(struct str *ret, const struct look *look, const char *text);
/* Breaks words at `width`, later lines indented. */
void look_wrap(struct str *ret, const char *text, int width, int indent);
/* A bar of `columns`, `done` of `total` filled. */
void look_bar(struct str *ret, const struct look *look, enum style style, int columns, long done, long total);

/* A table by libsmartcols. Cells are added row by row, left to right. */
struct table;
enum table_column { TABLE_LEFT, TABLE_RIGHT, TABLE_TRUNC, TABLE_WRAP };
struct table *table_new(const struct look *look);
void table_column(struct table *t, const char *name, enum table_column kind);
void table_row(struct table *t);
void table_cell(struct table *t, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends the table to ret and frees it; ERR_NOMEM. */
int table_end(struct table *t, struct str *ret);

#endif
