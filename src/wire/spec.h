/*
 * spec - the fleet file: one table of options, read from YAML by people and from JSON by the log.
 *
 * The table gives each option's key, type, bounds, default as a user would write it, and sentence of help; the YAML
 * reader, the JSON reader and writer, `baton fleet apply --help`, the manual page and docs/fleet-file.md come from
 * it. Both readers are strict, as people write what they read. The log's reader (doc_json) takes the same JSON and
 * skips what it does not know.
 */
#ifndef WIRE_SPEC_H
#define WIRE_SPEC_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "core/spec.h"

#define SPEC_BYTES_MAX (256 * 1024)

enum option_type {
    OPTION_TEXT,
    OPTION_NAME,
    OPTION_DURATION,
    OPTION_INT,
    OPTION_CHOICE,
    OPTION_STAGES,
    OPTION_TOPICS,
    OPTION_GROUP,
    OPTION_SHARE,
    OPTION_WORDS,
    OPTION_URL,
    OPTION_SIGNALS,
    OPTION_DECIMAL,
    OPTION_KEEP
};
struct spec_option {
    const char *key; /* "switch.deadline": nesting as dots */
    enum option_type type;
    const char *standard; /* default as written, NULL: must be given */
    int64_t min, max;
    const char *choices; /* "wait|list" */
    const char *help;    /* one sentence */
    const char *example;
    size_t at; /* offset of what it sets in struct spec */
};
extern const struct spec_option spec_options[];
extern const int spec_option_count;
/* The word, none or auto, that stands for 0 or an empty text: the default of those that have one. NULL: it has none. */
const char *spec_option_zero(const struct spec_option *option);
bool spec_option_is_text(const struct spec_option *option); /* that may be empty */

void spec_defaults(struct spec *ret);
/* `name` is the file's name for errors: "payments.yaml:7:3: unknown key 'topcis', did you mean 'topics'?" */
int spec_from_yaml(struct spec *ret, const char *name, const char *yaml, size_t len, struct errmsg *m);
int spec_from_json(struct spec *ret, const json_t *json, struct errmsg *m);
json_t *spec_to_json(const struct spec *spec); /* canonical: reads back the same */
int spec_to_yaml(struct str *ret, const struct spec *spec, struct errmsg *m);
/* Facts between options (stages grow and end at 100, groups differ ...); names the option. */
int spec_validate(const struct spec *spec, struct errmsg *m);

/* What may be given, in words: "10ms to 1h", "wait or list". For help and docs. */
void spec_option_bounds(struct str *ret, const struct spec_option *option);
/* docs/fleet-file.md, made from the table. */
void spec_document(struct str *ret);

#endif
