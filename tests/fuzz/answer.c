/*
 * answer - what a server says, as the CLI shows it: any page for any JSON, and nothing of a stranger's reaches the
 * terminal that is no letter.
 */
#include "cli/render.h"
#include "fuzz.h"

static void page_shown(struct str *page)
{
    ASSERT(str_error(page) == ERR_OK || str_error(page) == ERR_TOO_LARGE);
    for (size_t i = 0; i < page->len; i++)
        ASSERT((unsigned char)page->buf[i] >= 0x20 || page->buf[i] == '\n');
    str_clear(page);
}

void fuzz_answer(const char *text, size_t len)
{
    static const struct look look = { .width = 80, .terminal = true };
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    struct str page = STR_WITH_MAX(1024 * 1024);

    if (!json)
        return;
    render_fleets(&page, &look, json);
    page_shown(&page);
    render_status(&page, &look, json, false, 1000000);
    page_shown(&page);
    render_status(&page, &look, json, true, 1000000);
    page_shown(&page);
    render_history(&page, &look, json, 3, 1000000);
    page_shown(&page);
    render_receipt(&page, &look, json);
    page_shown(&page);
    render_receipt_short(&page, &look, json);
    page_shown(&page);
    render_verify(&page, &look, json);
    page_shown(&page);
    render_findings(&page, &look, json);
    page_shown(&page);
    render_error(&page, &look, 409, json);
    page_shown(&page);
    render_progress(&page, &look, "payments", json, 1000000);
    page_shown(&page);
    render_progress_line(&page, "payments", json);
    page_shown(&page);
    render_end(&page, &look, "payments", json);
    page_shown(&page);
    str_free(&page);
    json_decref(json);
}
