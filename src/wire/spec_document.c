/*
 * spec_document - docs/fleet-file.md, made from the table of options, so that it cannot lag behind.
 */
#include <string.h>

#include "wire/spec.h"

static void add_choices(struct str *ret, const char *choices)
{
    for (const char *p = choices; p;) {
        const char *bar = strchr(p, '|');

        if (p != choices)
            str_add(ret, bar ? ", " : " or ");
        str_add_bytes(ret, p, bar ? (size_t)(bar - p) : strlen(p));
        p = bar ? bar + 1 : NULL;
    }
}

void spec_option_bounds(struct str *ret, const struct spec_option *o)
{
    char low[32], high[32];

    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_GROUP:
        str_addf(ret, "text of at most %d bytes", (int)o->max);
        break;
    case OPTION_NAME:
        str_addf(ret, "name of at most %d letters", (int)o->max);
        break;
    case OPTION_DURATION:
        str_addf(ret, "%s to %s", format_duration(low, o->min), format_duration(high, o->max));
        break;
    case OPTION_INT:
        str_addf(ret, "%d to %d", (int)o->min, (int)o->max);
        break;
    case OPTION_CHOICE:
        add_choices(ret, o->choices);
        break;
    case OPTION_STAGES:
        str_addf(ret, "list of 1 to %d stages, the last 100%%", (int)o->max);
        break;
    case OPTION_TOPICS:
        str_addf(ret, "list of 1 to %d topics", (int)o->max);
        break;
    case OPTION_SHARE:
        str_addf(ret, "%s to %s", format_share(low, (int)o->min), format_share(high, (int)o->max));
        break;
    case OPTION_WORDS:
        str_add(ret, "any of ");
        add_choices(ret, o->choices);
        break;
    case OPTION_URL:
        str_addf(ret, "address of at most %d bytes, with http:// or https://", (int)o->max);
        break;
    case OPTION_SIGNALS:
        str_addf(ret, "list of at most %d signals", (int)o->max);
        break;
    case OPTION_DECIMAL:
        str_add(ret, "decimal number");
        break;
    case OPTION_KEEP:
        str_addf(ret, "1%% to 99%%, or %d to %d partitions", (int)o->min, (int)o->max);
        break;
    }
    if (spec_option_zero(o))
        str_addf(ret, ", or %s", spec_option_zero(o));
}

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_TEXT:
    case OPTION_GROUP:
        return "text";
    case OPTION_NAME:
        return "name";
    case OPTION_DURATION:
        return "duration";
    case OPTION_INT:
        return "whole number";
    case OPTION_CHOICE:
        return "choice";
    case OPTION_STAGES:
    case OPTION_TOPICS:
    case OPTION_WORDS:
    case OPTION_SIGNALS:
        return "list";
    case OPTION_SHARE:
        return "percentage";
    case OPTION_URL:
        return "address";
    case OPTION_DECIMAL:
        return "number";
    case OPTION_KEEP:
        return "share or number";
    }
    return "";
}

// clang-format off
static const char head[] =
    "# The fleet file\n"
    "\n"
    "A fleet file says what one fleet is: which topics it consumes, under which groups, and how a switch goes.\n"
    "`baton fleet apply payments.yaml` makes the fleet or changes it; `examples/` holds ready ones. The same keys are\n"
    "taken as JSON by `PUT /v1/fleets/{name}`.\n"
    "\n"
    "<!-- Made from the table in src/wire/spec.c: change that, then run build/src/wire/fleet-file-doc. -->\n"
    "\n"
    "The least file:\n"
    "\n"
    "```yaml\n"
    "fleet: payments\n"
    "topics: [orders]\n"
    "```\n"
    "\n"
    "One with everything in it that people change:\n"
    "\n"
    "```yaml\n"
    "fleet: payments\n"
    "topics: [orders, refunds]\n"
    "colors:\n"
    "  blue: {group: payments}          # the group the application has today\n"
    "  green: {group: payments-green}\n"
    "switch:\n"
    "  stages: [10%, 50%, 100%]\n"
    "  observe: 30s\n"
    "  deadline: 60s\n"
    "members:\n"
    "  session_timeout: 45s\n"
    "  processing_max: 30s\n"
    "```\n"
    "\n"
    "A file is refused, with line, column, the line itself and, where one is near, the word that was meant, when it\n"
    "holds an unknown key, a key twice, a value of the wrong kind or out of its bounds, a duration without a unit,\n"
    "options that contradict each other, a tab as indentation, an anchor, alias or tag, or a second document. It has\n"
    "at most 256 KiB.\n"
    "\n"
    "A duration is a sum of whole numbers with units, largest first: `d`, `h`, `m`, `s`, `ms`; `1m30s`.\n"
    "\n"
    "Options that must fit together:\n"
    "\n"
    "- The two groups differ.\n"
    "- With `switch.on_unreachable: fence`, `switch.deadline` is longer than twice `members.session_timeout` plus\n"
    "  `members.processing_max`: earlier no silent member can count as gone, and every such switch would turn back.\n"
    "- With `judge.mode: auto`, `switch.observe` is longer than `judge.warmup` and two `judge.interval`, and one figure at\n"
    "  least is judged.\n"
    "- `judge.no_progress` is longer than `members.processing_max`, `judge.crash_window` at least `judge.interval`.\n"
    "- `judge.limits` and `window.rules` are of no use with `judge.mode: off`; `judge.limits.latency_p99` is not longer than\n"
    "  `members.processing_max`.\n"
    "- `signals` need `prometheus.url`; one whose query names no `$color`, `$group` or `$version` needs a `limit`.\n"
    "- `throttle_when.until` is lower than `throttle_when.above`; `throttle_when.signal: query` needs `throttle_when.query`\n"
    "  and `prometheus.url`.\n"
    "\n"
    "Of a fleet that exists, `fleet`, the groups, `strategy` and `active` stay as they are, and topics are only\n"
    "appended; all else may change between two switches.\n"
    "\n"
    "## Options\n"
    "\n"
    "| key | kind | default |\n"
    "|---|---|---|\n";
// clang-format on

/* Words on lines of at most 100 letters. */
static void add_wrapped(struct str *ret, const char *text)
{
    size_t column = 0;

    while (*text) {
        const size_t word = strcspn(text, " ");

        if (column > 0)
            str_add_char(ret, column + 1 + word > 100 ? '\n' : ' ');
        column = column > 0 && column + 1 + word <= 100 ? column + 1 + word : word;
        str_add_bytes(ret, text, word);
        text += word + (text[word] == ' ');
    }
}

void spec_document(struct str *ret)
{
    str_add(ret, head);
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];

        str_addf(ret, "| `%s` | %s | ", o->key, type_name(o->type));
        if (o->standard)
            str_addf(ret, "`%s` |\n", o->standard);
        else
            str_add(ret, "must be given |\n");
    }
    for (int i = 0; i < spec_option_count; i++) {
        const struct spec_option *o = &spec_options[i];

        str_addf(ret, "\n### `%s`\n\n", o->key);
        add_wrapped(ret, o->help);
        str_add(ret, "\n\nAllowed: ");
        spec_option_bounds(ret, o);
        str_addf(ret, ". Example: `%s`.", o->example);
        if (o->standard)
            str_addf(ret, " Default: `%s`.", o->standard);
        str_add_char(ret, '\n');
    }
}
