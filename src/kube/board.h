/*
 * board - a fleet's part of the control log as one text: what stands in a ConfigMap, and in the file that is mounted of it.
 *
 *   baton 1 FLEET EDITION TERM POSITION     all records of the fleet below POSITION are here
 *   record OFFSET KEY BYTES                 then so many bytes, the record as it stands in the log, and a line end
 *   gone OFFSET KEY                         a tombstone
 *   end CHECKSUM                            of all before it
 *
 * In log order. The checksum is for a file that is read while somebody writes it: half of one is never taken for the whole. Another
 * EDITION: written anew by somebody who did not know what stood there. A line that begins with another word is a newer Baton's and
 * skipped; another number behind `baton` is one that cannot be read.
 */
#ifndef KUBE_BOARD_H
#define KUBE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "core/types.h"

/* Kubernetes takes 1 MiB of data in a ConfigMap. */
#define BOARD_BYTES_MAX (1024 * 1024 - 16 * 1024)
#define BOARD_EDITION_LEN 16
#define BOARD_KEY_MAX 200

struct board_head {
    char fleet[FLEET_NAME_MAX + 1];
    char edition[BOARD_EDITION_LEN + 1];
    int64_t term, position;
};

/* One after the other; what does not fit shows in str_error() at the end. Text that is no UTF-8 cannot stand in a ConfigMap
 * and is no record that anybody could read: the bytes concerned become '?'. `text` NULL: a tombstone. */
void board_begin(struct str *ret, const struct board_head *head);
void board_add(struct str *ret, int64_t offset, const char *key, const char *text, size_t len);
void board_end(struct str *ret);

struct board_record {
    int64_t offset;
    char key[BOARD_KEY_MAX + 1];
    const char *text; /* NULL: a tombstone; else not terminated */
    size_t text_len;
};

/*
 * A text that was read: board_open() checks all of it, board_next() then gives one record after the other. ERR_CORRUPT: it is
 * not whole, or no such text; ERR_NEWER. The place is one in the caller's text.
 */
struct board_place {
    const char *at, *end;
};
int board_open(struct board_head *ret, struct board_place *place, const char *text, size_t len, struct errmsg *m);
bool board_next(struct board_record *ret, struct board_place *place);

#endif
