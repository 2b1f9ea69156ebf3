/*
 * err - what went wrong, once for programs and once for people.
 *
 * A function returns 0 or a negative `enum err`; the sentence grows in a
 * `struct errmsg` on the way up, outermost first, like a path. The numbers are
 * explicit because exit codes, HTTP answers and the public library store them.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#define ERR_MAP(X)                                  \
    X(NOMEM, 1, "out of memory")                    \
    X(IO, 2, "input or output failed")              \
    X(INVALID, 3, "invalid input")                  \
    X(NOT_FOUND, 4, "not found")                    \
    X(CORRUPT, 5, "stored data is corrupt")         \
    X(CONFLICT, 6, "in conflict with present work") \
    X(DENIED, 7, "not allowed")                     \
    X(TIMEOUT, 8, "took too long")                  \
    X(UNAVAILABLE, 9, "not reachable")              \
    X(TOO_LARGE, 10, "larger than allowed")         \
    X(NEWER, 11, "written by a newer Baton")        \
    X(STATE, 12, "not possible in this state")      \
    X(CLOSED, 13, "closed")                         \
    X(KAFKA, 14, "Kafka refused")                   \
    X(INTERNAL, 15, "Baton's own mistake")

enum err {
    ERR_OK = 0,
#define ERR_ENUM(name, number, text) ERR_##name = -(number),
    ERR_MAP(ERR_ENUM)
#undef ERR_ENUM
};

/* A sentence under construction. Starts as `struct errmsg m = { 0 };`. */
struct errmsg {
    char text[1024];
};

/* Both return `code`, so that `return err_set(...)` reads well; `m` may be NULL. */
int err_set(struct errmsg *m, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "fmt: " before what `m` says; too long a text loses its end, never its start. */
int err_wrap(struct errmsg *m, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Analyzers read one file at a time and do not know that what these return is below zero. */
#ifdef __clang_analyzer__
#define err_set(m, code, ...) ((void)(err_set)(m, code, __VA_ARGS__), (code))
#define err_wrap(m, code, ...) ((void)(err_wrap)(m, code, __VA_ARGS__), (code))
#endif

/* "out of memory" and so on; never NULL. */
const char *err_text(int code);

#endif
