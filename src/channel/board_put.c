#include "channel/board_put.h"

#include <string.h>

#include "base/str.h"

bool board_put_records(struct board_put *put, struct relay *r, int generation, const struct board_head *head,
                       struct board_place place)
{
    struct board_record record;

    if (strcmp(put->edition, head->edition) != 0) {
        if (put->edition[0])
            relay_drop(r);
        text_copy(put->edition, sizeof(put->edition), head->edition);
        put->offset = -1;
    }
    while (board_next(&record, &place)) {
        if (record.offset <= put->offset)
            continue; /* known of an earlier state of the same edition */
        if (!relay_put(r, generation, record.offset, record.key, strlen(record.key), record.text, record.text_len))
            return false;
        put->offset = record.offset;
    }
    return true;
}
