/*
 * order - orders and looking on until they end.
 */
#ifndef CLI_ORDER_H
#define CLI_ORDER_H

#include <jansson.h>
#include <stdint.h>

#include "cli/cli.h"

/*
 * Shows an operation until it ends, then prints how, with the receipt in short (-o json: the receipt). fleet is
 * escaped for a path, name is for people; `first` is the answer to its order; rollback: that was ordered; seen:
 * interrupts_count() before it was sent, so that a Ctrl-C since then counts. Returns the exit code.
 */
int order_follow(struct cli *cli, const char *fleet, const char *name, json_t *first, bool rollback, int seen);

#endif
