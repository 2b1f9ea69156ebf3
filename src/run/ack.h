/*
 * ack - one line of what a command says on its stdout: an acknowledgement, or not.
 *
 *     17                                     line 17 is done: all of its records
 *     "17"                                   the same (what jq makes of a text)
 *     ok                                     the oldest line that is not done yet
 *     error it is too big                    that one failed
 *     {"id":17}                              done; other members are ignored, so a line that is echoed is done
 *     {"id":17,"error":"too big"}            failed
 *     {"id":17,"done":3,"error":"too big"}   of a batch: the first three are done, the fourth failed, the rest was not tried
 *     {"topic":"orders","partition":3,"offset":42}                     one record is done, by its place
 *     {"topic":"orders","partition":3,"offset":42,"error":"too big"}   it failed
 *
 * Pure. A line that is none of these is answered with a sentence: what it is, and what to do about it.
 */
#ifndef RUN_ACK_H
#define RUN_ACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ACK_ERROR_MAX 500
#define ACK_TOPIC_MAX 250

enum ack_about { ACK_NOTHING, ACK_LINE, ACK_OLDEST, ACK_RECORD };

struct ack {
    enum ack_about about; /* ACK_NOTHING: an empty line */
    uint64_t id;          /* ACK_LINE */
    char topic[ACK_TOPIC_MAX];
    int32_t partition;
    int64_t offset; /* ACK_RECORD */
    bool failed;
    int64_t done; /* with a failure: so many of the line are done, -1: not said */
    char error[ACK_ERROR_MAX];
};

/* line: without its newline, not terminated. ERR_INVALID: it is no acknowledgement. */
int ack_parse(struct ack *ret, const char *line, size_t len, struct errmsg *m);

#endif
