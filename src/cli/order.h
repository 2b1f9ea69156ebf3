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
 * escaped for a path, name is for people; `first` is what is known of it. Returns the exit code.
 */
int order_follow(struct cli *cli, const char *fleet, const char *name, int64_t number, json_t *first);

#endif
