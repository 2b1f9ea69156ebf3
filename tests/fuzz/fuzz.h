/*
 * fuzz - everything that reads what others wrote, one target a parser.
 *
 * A target takes any bytes. It must neither crash nor hang, and what it accepts it holds against itself: what is read
 * is written and read again, and all must be the same. One line of TARGETS and one line of meson.build make a target;
 * its seeds lie in seeds/<name>/, its words in words/, and what once broke it in found/<name>/.
 *
 * Two programs run the same targets. `fuzz-<name>` is libFuzzer's (clang, `make fuzz`); `fuzz-replay` needs nothing and
 * runs every seed and every find in `make check`.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"

#define TARGETS(X)                                                             \
    X(figures)    /* durations, percentages, whole numbers */                  \
    X(mark)       /* commit metadata */                                        \
    X(key)        /* keys of both topics */                                    \
    X(claim)      /* a reign begins; the term of any record */                 \
    X(document)   /* the fleet document, head and shards, one record a line */ \
    X(operation)  /* an operation */                                           \
    X(passes)     /* its passes, and the receipt made of them */               \
    X(report)     /* what a member says of itself */                           \
    X(handed)     /* a request handed over through Kafka */                    \
    X(runs)       /* neighbouring partitions and their columns */              \
    X(fleet_file) /* YAML by people */                                         \
    X(spec)       /* the same as JSON */                                       \
    X(http)       /* the head of a request */                                  \
    X(order)      /* the body of an order */                                   \
    X(events)     /* server-sent events, in pieces of any size */              \
    X(answer)     /* answers of the API, receipts among them, as the CLI shows them */

#define FUZZ_DECLARE(name) void fuzz_##name(const char *text, size_t len);
TARGETS(FUZZ_DECLARE)
#undef FUZZ_DECLARE

/* `text` in memory of exactly its size and a terminator, so that a byte read beyond is seen. free() it. */
char *fuzz_copy(const char *text, size_t len);

/* Two texts that must be the same; tells both before it ends the run. */
void fuzz_same(const struct str *once, const struct str *again);
/* What reads back our own writing must not fail. */
void fuzz_accepted(int code, const struct errmsg *m, const char *text);

#endif
