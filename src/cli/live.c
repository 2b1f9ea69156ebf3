/*
 * live - see live.h.
 */
#include "cli/live.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"

#define PAGE_MAX (4u * 1024 * 1024)

static struct {
    struct look *look; /* NULL: nothing is drawn */
    int fd;
    bool screen;
    struct str drawn; /* the last frame, to know how many rows it takes now */
    struct termios before;
    bool keys;
} live;

static void put(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(live.fd, text, len);

        if (n <= 0)
            return; /* the terminal is gone; nobody looks */
        text += n;
        len -= (size_t)n;
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

/* What is typed does not show; for a whole screen it also comes key by key. Ctrl-C stays a signal. */
static void keys_quiet(bool one_by_one)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &live.before) != 0)
        return;
    raw = live.before;
    raw.c_lflag &= ~(tcflag_t)(ECHO | (one_by_one ? ICANON : 0));
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    live.keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void live_begin(struct look *look, int fd, bool screen)
{
    ASSERT(!live.look && look->terminal);
    live.look = look;
    live.fd = fd;
    live.screen = screen;
    live.drawn = STR_WITH_MAX(PAGE_MAX);
    keys_quiet(screen);
    if (screen) {
        put_text("\033[?1049h\033[?25l\033[H\033[2J");
    } else {
        put_text("\033[?25l");
    }
}

/* Rows the last frame takes in a window this wide: a terminal that was made narrower has wrapped its lines. */
static int rows_drawn(void)
{
    int rows = 0;

    for (char *line = live.drawn.buf; *line;) {
        size_t len = strcspn(line, "\n");
        char end = line[len];
        int columns;

        line[len] = 0;
        columns = look_columns(line);
        line[len] = end;
        rows += columns > live.look->width && live.look->width > 0 ? (columns + live.look->width - 1) / live.look->width
                                                                   : 1;
        line += len + (end != 0);
    }
    return rows;
}

static void back_to_top(struct str *out)
{
    int rows = rows_drawn();

    if (live.screen)
        str_add(out, "\033[H");
    else if (rows > 0)
        str_addf(out, "\r\033[%dA", rows);
}

/* Cut to the window: as many lines as there are rows, less one for the cursor. */
static void frame(struct str *ret, const char *page)
{
    struct str fitted = STR_WITH_MAX(PAGE_MAX);
    int rows = 0, rows_max = live.look->height > 2 ? live.look->height - 1 : 1, lines = 0;

    look_fit(&fitted, live.look, page);
    for (const char *at = fitted.buf; *at; at++)
        lines += *at == '\n';
    for (const char *at = fitted.buf; *at;) {
        size_t len = strcspn(at, "\n");

        if (rows == rows_max - 1 && lines > rows_max) {
            look_addf(ret, live.look, DIM, "... %d more lines", lines - rows);
            str_add(ret, "\n");
            break;
        }
        str_add_bytes(ret, at, len);
        str_add(ret, "\n");
        rows++;
        at += len + (at[len] != 0);
    }
    str_free(&fitted);
}

void live_draw(const char *page)
{
    struct str out = STR_WITH_MAX(2 * PAGE_MAX), next = STR_WITH_MAX(PAGE_MAX);

    ASSERT(live.look);
    look_resize(live.look, live.fd);
    frame(&next, page);
    back_to_top(&out);
    for (const char *at = next.buf; *at;) {
        size_t len = strcspn(at, "\n");

        str_add_bytes(&out, at, len);
        str_add(&out, "\033[K\n");
        at += len + (at[len] != 0);
    }
    str_add(&out, "\033[J");
    put(out.buf, out.len);
    str_free(&live.drawn);
    live.drawn = next;
    str_free(&out);
}

void live_above(const char *text)
{
    struct str out = STR_WITH_MAX(PAGE_MAX);

    back_to_top(&out);
    str_add(&out, "\033[J");
    str_add(&out, text);
    put(out.buf, out.len);
    str_free(&out);
    str_free(&live.drawn);
}

void live_restore(void)
{
    if (!live.look)
        return;
    put_text(live.screen ? "\033[?25h\033[?1049l" : "\033[?25h\033[0m");
    if (live.keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &live.before);
}

void live_end(bool keep)
{
    if (!live.look)
        return;
    if (!keep && !live.screen)
        live_above("");
    live_restore();
    str_free(&live.drawn);
    live.look = NULL;
    live.keys = false;
}
