/* board_put - the records of a board (kube/board.h) into a relay, for the ways that read one: configmap.c, file.c. */
#ifndef CHANNEL_BOARD_PUT_H
#define CHANNEL_BOARD_PUT_H

#include "channel/relay.h"
#include "kube/board.h"

/* What has been put of which edition. */
struct board_put {
    char edition[BOARD_EDITION_LEN + 1]; /* "": nothing */
    int64_t offset;                      /* up to here; a stream that begins anew sets it to -1 */
};
/* What is news in it; of another edition all, and what was put of the one before is dropped. False: the stream is to end. */
bool board_put_records(struct board_put *put, struct relay *r, int generation, const struct board_head *head,
                       struct board_place place);

#endif
