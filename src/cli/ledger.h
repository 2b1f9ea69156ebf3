/*
 * ledger - what the demo's consumers wrote into their databases (examples/orders.c), one database a process.
 */
#ifndef CLI_LEDGER_H
#define CLI_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct audit;
struct sqlite3;
struct sqlite3_stmt;

struct ledger {
    char path[128];
    struct sqlite3 *db; /* opened when the file is there */
    struct sqlite3_stmt *count;
    int64_t counted; /* the last count that could be had */
};

void ledger_init(struct ledger *l, const char *path);
void ledger_deinit(struct ledger *l);
/* Lines so far; while the writer is busy, those of the last look. */
int64_t ledger_count(struct ledger *l);
/* All lines into the audit, as done by `consumer`. */
int ledger_read(struct ledger *l, struct audit *audit, int consumer, struct errmsg *m);

/* The consumer itself: main() of examples/orders.c, compiled into this program as well. */
int orders_main(int argc, char **argv);

#endif
