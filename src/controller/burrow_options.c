/* burrow_options - what may be set of Burrow's windows and of their feeding: one table. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "controller/burrow.h"

enum burrow_option_type { OPTION_NAME, OPTION_RULES, OPTION_COUNT, OPTION_TIME, OPTION_PERCENT };

struct burrow_option {
    const char *name;
    enum burrow_option_type type;
    size_t at;
    int64_t min, max;
    const char *standard, *help;
};

#define AT(field) offsetof(struct burrow_options, field)
#define DAY_MS (24LL * 3600 * 1000)

static const struct burrow_option table[] = {
    { "cluster", OPTION_NAME, AT(cluster), 0, 0, "local", "The cluster's name in paths and answers." },
    { "rules", OPTION_RULES, AT(rules), 0, 0, "corrected", "burrow: as Burrow judges, bug for bug. Or corrected." },
    { "intervals", OPTION_COUNT, AT(intervals), 1, BURROW_SLOTS_MAX, "10", "Commits and ends that a window holds." },
    { "min-distance", OPTION_TIME, AT(min_distance_ms), 0, DAY_MS, "0s",
      "A commit that comes sooner after the last overwrites it." },
    { "expire-group", OPTION_TIME, AT(expire_group_ms), 1000, 3650 * DAY_MS, "7d",
      "A group that has not committed for so long is forgotten." },
    { "allowed-lag", OPTION_COUNT, AT(allowed_lag), 0, INT64_MAX, "0", "A lag of up to so many records is none." },
    { "minimum-complete", OPTION_PERCENT, AT(minimum_complete_percent), 0, 100, "0%",
      "A window less full than that is OK without being judged." },
    { "offset-refresh", OPTION_TIME, AT(offset_refresh_ms), 100, DAY_MS, "10s", "How often the ends are sampled." },
    { "topic-refresh", OPTION_TIME, AT(topic_refresh_ms), 100, DAY_MS, "60s", "How often topics are listed." },
    { "commit-interval", OPTION_TIME, AT(commit_interval_ms), 1, DAY_MS, "5s",
      "How often the consumers commit, for the corrected rules." },
};

static int value_set(struct burrow_options *o, const struct burrow_option *option, const char *value, struct errmsg *m)
{
    char *field = (char *)o + option->at;
    int64_t *number = (int64_t *)(void *)field;
    int percent;
    int r;

    switch (option->type) {
    case OPTION_NAME:
        if (!*value || strchr(value, '/') || !text_copy(field, sizeof(o->cluster), value))
            return err_set(m, ERR_INVALID, "'%.80s' is no name of 1 to %d letters without '/'", value,
                           BURROW_CLUSTER_MAX);
        return ERR_OK;
    case OPTION_RULES:
        for (int rules = BURROW_RULES_CORRECTED; rules <= BURROW_RULES_BURROW; rules++)
            if (!strcmp(value, burrow_rules_name((enum burrow_rules)rules))) {
                *number = rules;
                return ERR_OK;
            }
        return err_set(m, ERR_INVALID, "'%.80s' is neither 'corrected' nor 'burrow'", value);
    case OPTION_COUNT:
        return parse_int64(number, value, option->min, option->max, m);
    case OPTION_TIME:
        return parse_duration_ms(number, value, option->min, option->max, m);
    case OPTION_PERCENT:
        if (!strcmp(value, "0%")) {
            *number = 0;
            return ERR_OK;
        }
        r = parse_percent(&percent, value, m);
        if (r == ERR_OK)
            *number = percent;
        return r;
    }
    return ERR_OK;
}

static int option_set(struct burrow_options *o, const char *name, const char *value, struct errmsg *m)
{
    const char *names[ARRAY_COUNT(table)], *near;

    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        names[i] = table[i].name;
        if (!strcmp(table[i].name, name)) {
            const int r = value_set(o, &table[i], value, m);

            return r < 0 ? err_wrap(m, r, "%s", name) : ERR_OK;
        }
    }
    near = suggest(name, names, ARRAY_COUNT(names));
    return err_set(m, ERR_INVALID, "there is no '%.80s'%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

int burrow_options_set(struct burrow_options *o, const char *text, struct errmsg *m)
{
    struct burrow_options changed = *o;
    char copy[1000], *save = NULL;
    int r;

    if (!text_copy(copy, sizeof(copy), text))
        return err_set(m, ERR_TOO_LARGE, "it is longer than %zu letters", sizeof(copy) - 1);
    for (char *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(one, '=');

        if (!equals)
            return err_set(m, ERR_INVALID, "'%.80s': write it as NAME=VALUE, as in intervals=15", one);
        *equals = '\0';
        r = option_set(&changed, one, equals + 1, m);
        if (r < 0)
            return r;
    }
    if (changed.min_distance_ms % 1000 || changed.expire_group_ms % 1000)
        return err_set(m, ERR_INVALID, "min-distance and expire-group are whole seconds, as in min-distance=1s");
    *o = changed;
    return ERR_OK;
}

void burrow_options_default(struct burrow_options *o)
{
    struct errmsg m = { 0 };

    memset(o, 0, sizeof(*o));
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        ASSERT(value_set(o, &table[i], table[i].standard, &m) == ERR_OK);
}

void burrow_options_help(struct str *ret)
{
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        str_addf(ret, "%s=%s\t%s\n", table[i].name, table[i].standard, table[i].help);
}
