/*
 * demo_view - see demo_view.h. Above it the story scrolls by, line by line; the picture stays below.
 */
#include "cli/demo_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/pick.h"
#include "cli/render.h"

static const enum style inks[2] = { BLUE_INK, GREEN_INK };
static const char *const names[2] = { "blue", "green" };

static void spark(struct str *ret, const struct look *look, enum style ink, const int *rates, int count, int highest)
{
    static const char *const fine[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const rough[] = { " ", ".", ".", ":", ":", "|", "|", "#", "#" };

    str_add(ret, look_code(look, ink));
    for (int i = DEMO_HISTORY - count; i < DEMO_HISTORY; i++) {
        int level = rates[i] * 8 / highest;

        if (rates[i] > 0 && level == 0)
            level = 1;
        str_add(ret, (look->unicode ? fine : rough)[level > 8 ? 8 : level]);
    }
    str_add(ret, look_code(look, PLAIN));
}

static void color_line(struct str *ret, const struct look *look, const struct demo_view *v, int c)
{
    const struct demo_color *color = &v->colors[c];
    int columns = look->width && look->width < 78 ? 24 : look->width > 100 ? DEMO_HISTORY : 32;
    char number[32];

    str_add(ret, "  ");
    look_addf(ret, look, inks[c], "%-6s", names[c]);
    look_addf(ret, look, DIM, "%-4s", color->version);
    for (int i = 0; i < color->running; i++)
        look_add(ret, look, inks[c], look->unicode ? "● " : "o ");
    for (int i = 0; i < color->killed; i++)
        look_add(ret, look, RED, look->unicode ? "✘ " : "x ");
    for (int i = color->running + color->killed; i < 3; i++)
        str_add(ret, "  ");
    spark(ret, look, inks[c], color->rates, columns, v->rate + v->rate / 4 + 1);
    str_addf(ret, " %6s/s\n", render_number(number, color->rates[DEMO_HISTORY - 1]));
}

static void partitions_line(struct str *ret, const struct look *look, const struct demo_view *v)
{
    int held[2] = { 0, 0 }, moving = 0;

    str_add(ret, "  partitions      ");
    for (const char *h = v->holders; *h; h++) {
        enum style ink = *h == 'b' ? BLUE_INK : *h == 'g' ? GREEN_INK : YELLOW;

        held[0] += *h == 'b';
        held[1] += *h == 'g';
        moving += *h == 'r';
        if (look->unicode)
            look_add(ret, look, ink, *h == 'r' ? "◆ " : "■ ");
        else
            look_addf(ret, look, ink, "%c ", *h == 'r' ? '*' : *h);
    }
    str_addf(ret, " %d blue, %d green", held[0], held[1]);
    if (moving)
        look_addf(ret, look, YELLOW, ", %d moving", moving);
    str_add_char(ret, '\n');
}

void demo_picture(struct str *ret, const struct look *look, const struct demo_view *v, int64_t now_unix_ms)
{
    static const char *const turning[] = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" };
    char produced[32], done[32];

    str_add_char(ret, '\n');
    color_line(ret, look, v, 0);
    color_line(ret, look, v, 1);
    partitions_line(ret, look, v);
    str_addf(ret, "  records         %s produced, %s processed\n\n", render_number(produced, v->produced),
             render_number(done, v->colors[0].done + v->colors[1].done));
    if (v->finished)
        look_add(ret, look, GREEN_INK, look->unicode ? "✔" : "*");
    else
        look_add(ret, look, CYAN, look->unicode ? turning[v->frame % (int)ARRAY_COUNT(turning)] : "*");
    str_add_char(ret, ' ');
    look_add(ret, look, BOLD, v->doing);
    look_addf(ret, look, DIM, "  %d s", (int)(v->elapsed_ms / 1000));
    str_add_char(ret, '\n');
    if (v->op)
        render_progress(ret, look, NULL, v->op, now_unix_ms);
}

static void figure(struct str *ret, const struct look *look, const char *name, enum style style, int64_t number,
                   const char *remark)
{
    char text[32];

    look_addf(ret, look, DIM, "  %-20s", name);
    look_addf(ret, look, style, "%9s", render_number(text, number));
    if (*remark)
        look_addf(ret, look, DIM, "  %s", remark);
    str_add_char(ret, '\n');
}

static void standstill_line(struct str *ret, const struct look *look, const char *name, const struct demo_standstill *s)
{
    char p50[32], p99[32], max[32];

    look_addf(ret, look, DIM, "  %-20s", name);
    if (s->known > 0)
        str_addf(ret, "p50 %s, p99 %s, max %s, %" PRId64 " passes\n", render_us(p50, s->p50_us),
                 render_us(p99, s->p99_us), render_us(max, s->max_us), s->known);
    else
        str_add(ret, "not known\n");
}

void demo_audit_page(struct str *ret, const struct look *look, const struct audit_result *a,
                     const struct demo_standstill *s, const struct demo_standstill *after_kill)
{
    char number[32];

    look_add(ret, look, BOLD, "Audit: what was produced against what each consumer wrote down");
    str_add_char(ret, '\n');
    figure(ret, look, "produced", PLAIN, a->produced, "records the brokers acknowledged");
    figure(ret, look, "lost", a->lost ? RED : GREEN_INK, a->lost, a->first_lost);
    figure(ret, look, "repeated", a->repeated ? RED : GREEN_INK, a->repeated, "done by both colors, or twice by one");
    figure(ret, look, "  in no receipt", a->unlisted ? RED : GREEN_INK, a->unlisted, a->first_unlisted);
    if (a->strange)
        figure(ret, look, "strange", RED, a->strange, "written down with another number");
    if (after_kill)
        figure(ret, look, "repeated by Kafka", PLAIN, a->repeated_by_kafka,
               "within a color after kill -9: at least once");
    standstill_line(ret, look, "standstill", s);
    if (after_kill)
        standstill_line(ret, look, "  with the kill", after_kill);
    str_add_char(ret, '\n');
    if (a->lost == 0 && a->unlisted == 0 && a->strange == 0)
        look_addf(ret, look, GREEN_INK, "%s%s records: none lost, none done by both colors%s.",
                  look->unicode ? "✔ " : "", render_number(number, a->produced),
                  a->repeated ? " but what the receipts list" : "");
    else
        look_addf(ret, look, RED, "%sThis must not be: see the figures in red.", look->unicode ? "✘ " : "");
    str_add_char(ret, '\n');
}
