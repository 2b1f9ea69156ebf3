/* board - see board.h. */
#include "kube/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1
#define HEAD_MAX 300
#define END "end %016" PRIx64 "\n"
#define END_LEN (sizeof("end 0123456789abcdef\n") - 1)

/* FNV-1a. */
static uint64_t checksum(const char *text, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3u;
    return sum;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Bytes of the UTF-8 sequence at text, 0: it is none. */
static size_t utf8_len(const unsigned char *text, size_t len)
{
    const unsigned char c = text[0];
    const size_t want = c < 0x80                ? 1
                        : c >= 0xc2 && c < 0xe0 ? 2
                        : c >= 0xe0 && c < 0xf0 ? 3
                        : c >= 0xf0 && c < 0xf5 ? 4
                                                : 0;

    if (want == 0 || want > len || c == 0)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) || (c == 0xf0 && text[1] < 0x90) ||
        (c == 0xf4 && text[1] > 0x8f))
        return 0;
    return want;
}

static void text_add(struct str *ret, const char *text, size_t len)
{
    size_t good = 0, part;

    while (good < len) {
        for (part = good; part < len;) {
            const size_t step = utf8_len((const unsigned char *)text + part, len - part);

            if (step == 0)
                break;
            part += step;
        }
        str_add_bytes(ret, text + good, part - good);
        if (part < len)
            str_add_char(ret, '?');
        good = part + 1;
    }
}

void board_begin(struct str *ret, const struct board_head *head)
{
    str_addf(ret, "baton %d %s %s %" PRId64 " %" PRId64 "\n", FORMAT, head->fleet, head->edition, head->term,
             head->position);
}

void board_add(struct str *ret, int64_t offset, const char *key, const char *text, size_t len)
{
    if (!text) {
        str_addf(ret, "gone %" PRId64 " %s\n", offset, key);
        return;
    }
    str_addf(ret, "record %" PRId64 " %s %zu\n", offset, key, len);
    text_add(ret, text, len);
    str_add_char(ret, '\n');
}

void board_end(struct str *ret)
{
    str_addf(ret, END, checksum(ret->buf, ret->len));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The next record: 1; 0: there is none; -1: a line cannot be read. */
static int record_next(struct board_record *ret, struct board_place *p)
{
    while (p->at < p->end) {
        const char *line = p->at, *stop = memchr(line, '\n', (size_t)(p->end - line));
        char head[HEAD_MAX + 1], kind[8], key[BOARD_KEY_MAX + 1];
        size_t bytes = 0;
        int found;

        if (!stop)
            return -1;
        p->at = stop + 1;
        if (strncmp(line, "record ", 7) != 0 && strncmp(line, "gone ", 5) != 0)
            continue; /* a newer Baton's */
        snprintf(head, sizeof(head), "%.*s", stop - line > HEAD_MAX ? HEAD_MAX : (int)(stop - line), line);
        found = sscanf(head, "%7s %" SCNd64 " %200s %zu", kind, &ret->offset, key, &bytes);
        if (found < 3 || ret->offset < 0 || (kind[0] == 'r') != (found == 4))
            return -1;
        text_copy(ret->key, sizeof(ret->key), key);
        ret->text = kind[0] == 'r' ? p->at : NULL;
        ret->text_len = bytes;
        if (!ret->text)
            return 1;
        if (bytes >= (size_t)(p->end - p->at) || p->at[bytes] != '\n')
            return -1;
        p->at += bytes + 1;
        return 1;
    }
    return 0;
}

bool board_next(struct board_record *ret, struct board_place *place)
{
    return record_next(ret, place) > 0;
}

int board_open(struct board_head *ret, struct board_place *place, const char *text, size_t len, struct errmsg *m)
{
    struct board_place body = { .end = text + len - END_LEN };
    struct board_record record;
    struct board_head head;
    char first[HEAD_MAX + 1], last[END_LEN + 1];
    int format, found;

    if (len < END_LEN || len > BOARD_BYTES_MAX || strlen(text) != len)
        return err_set(m, ERR_CORRUPT, "it is empty, too large, or no text");
    snprintf(first, sizeof(first), "%s", text);
    if (sscanf(first, "baton %d ", &format) == 1 && format != FORMAT)
        return err_set(m, ERR_NEWER, "it has format %d, and this Baton reads %d: update it", format, FORMAT);
    snprintf(last, sizeof(last), END, checksum(text, len - END_LEN));
    if (strcmp(body.end, last) != 0)
        return err_set(m, ERR_CORRUPT, "it is not whole: its last line does not fit what is above");
    if (sscanf(first, "baton %d %63s %16s %" SCNd64 " %" SCNd64, &format, head.fleet, head.edition, &head.term,
               &head.position) != 5 ||
        head.position < 0)
        return err_set(m, ERR_CORRUPT, "its first line is no board's");
    body.at = text + strcspn(text, "\n") + 1;
    *place = body;
    do
        found = record_next(&record, &body);
    while (found > 0);
    if (found < 0)
        return err_set(m, ERR_CORRUPT, "a line of it cannot be read");
    *ret = head;
    return ERR_OK;
}
