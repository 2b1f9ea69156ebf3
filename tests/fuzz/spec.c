/* spec - a fleet's options as JSON: PUT /v1/fleets/{fleet}. */
#include "fuzz.h"
#include "spec_round.h"

void fuzz_spec(const char *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    struct spec spec;
    struct errmsg m;

    if (json && spec_from_json(&spec, json, &m) == ERR_OK)
        spec_round(&spec);
    json_decref(json);
}
