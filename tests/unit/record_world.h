/*
 * record_world - the largest and the oddest of every kind of record, as the tests of their texts want them.
 */
#ifndef UNIT_RECORD_WORLD_H
#define UNIT_RECORD_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "wire/record.h"
#include "wire/spec.h"

struct str new_text(void);
/* A fleet of `count` batons over `topics` topics, in an order that no sorting would give back. */
struct fleet *new_fleet(int topics, int count);
void free_fleet(struct fleet *f);
struct doc *new_doc(int baton_max);
void free_doc(struct doc *doc);
struct record_key head_key(void);
struct record_key shard_key(int shard);
extern const struct claim a_claim;
struct op *new_op(int count);
void free_op(struct op *op);
void fill_op(struct op *op);
void fill_pass(struct pass *p, int i);
struct report *new_report(const struct fleet *f, int parts);

#endif
