/*
 * spec_tree - a fleet file after its syntax and before its meaning: YAML and JSON both become this small tree.
 *
 * Bounded by SPEC_VALUES_MAX values. The meaning is read by spec_from_tree(), once for both; what is wrong comes back
 * with the place, and each reader says the place in its own way.
 */
#ifndef WIRE_SPEC_TREE_H
#define WIRE_SPEC_TREE_H

#include "wire/json_read.h"
#include "wire/spec.h"

#define SPEC_VALUES_MAX 1024
#define SPEC_DEPTH_MAX 6
#define SPEC_KEY_MAX 64 /* of one option or word of the table, with its terminator */
#define SPEC_CHOICES_MAX 8

enum spec_kind { SPEC_NULL, SPEC_TEXT, SPEC_NUMBER, SPEC_LIST, SPEC_MAP, SPEC_OTHER };
struct spec_value {
    enum spec_kind kind;
    bool plain;       /* a text without quotes: may be meant as a number */
    char *key;        /* of a member of a map */
    char *text;       /* of a text or number */
    int line, column; /* from 1; 0: no place, as in JSON */
    int key_line, key_column;
    struct spec_value *first, *last; /* of a list or map */
    struct spec_value *next;
};

struct spec_tree {
    struct spec_value values[SPEC_VALUES_MAX];
    int count; /* values[0] is the root */
};

struct spec_tree *spec_tree_new(void);
void spec_tree_free(struct spec_tree *tree);
/* A value, the last child of `up` (NULL: the root); NULL when there are too many. */
struct spec_value *spec_tree_add(struct spec_tree *tree, struct spec_value *up, enum spec_kind kind);

struct spec_fault {
    int line, column;
    char what[600];
};
/*
 * ERR_OK, or ERR_INVALID with *fault. `skip_unknown`: keys that are not ours are skipped, policies not checked (the
 * log).
 */
int spec_from_tree(struct spec *ret, const struct spec_tree *tree, bool skip_unknown, struct spec_fault *fault);

/* The number of `text` in "a|b|c", -1 when it is none; all of them in `names`. */
int spec_choice_index(const char *choices, const char *text, char names[SPEC_CHOICES_MAX][SPEC_KEY_MAX],
                      int *ret_count);

/* Out of a record: fails at its place. */
void spec_from_record(struct spec *ret, const struct json_at *at);

#endif
