/* spec_round - see spec_round.h. */
#include "spec_round.h"

#include <string.h>

#include "fuzz.h"

void spec_round(const struct spec *spec)
{
    struct str yaml = STR_WITH_MAX(SPEC_BYTES_MAX);
    struct spec again;
    struct errmsg m;
    json_t *json;

    fuzz_accepted(spec_validate(spec, &m), &m, spec->fleet);
    fuzz_accepted(spec_to_yaml(&yaml, spec, &m), &m, spec->fleet);
    fuzz_accepted(spec_from_yaml(&again, "again", yaml.buf, yaml.len, &m), &m, yaml.buf);
    ASSERT(memcmp(spec, &again, sizeof(again)) == 0);
    json = spec_to_json(spec);
    ASSERT(json != NULL);
    fuzz_accepted(spec_from_json(&again, json, &m), &m, yaml.buf);
    ASSERT(memcmp(spec, &again, sizeof(again)) == 0);
    json_decref(json);
    str_free(&yaml);
}
