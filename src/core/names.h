/*
 * names - the words of an enum, from one table: what is written, and what is read back.
 */
#ifndef CORE_NAMES_H
#define CORE_NAMES_H

#include <stdbool.h>
#include <string.h>

#include "base/check.h"

/* NAMED(color, enum color, color_names, COLOR_COUNT) defines color_name() and color_parse(). */
#define NAMED(noun, type, names, count)                \
    const char *noun##_name(type v)                    \
    {                                                  \
        ASSERT((unsigned)v < count);                   \
        return names[v];                               \
    }                                                  \
    bool noun##_parse(type *ret, const char *name)     \
    {                                                  \
        for (unsigned i = 0; i < count; i++)           \
            if (name && strcmp(names[i], name) == 0) { \
                *ret = (type)i;                        \
                return true;                           \
            }                                          \
        return false;                                  \
    }

#endif
