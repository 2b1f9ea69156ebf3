/* fleet_file - YAML that people write. */
#include <stdlib.h>

#include "fuzz.h"
#include "spec_round.h"

void fuzz_fleet_file(const char *bytes, size_t len)
{
    char *text = fuzz_copy(bytes, len);
    struct spec spec;
    struct errmsg m;

    if (spec_from_yaml(&spec, "payments.yaml", text, len, &m) == ERR_OK)
        spec_round(&spec);
    free(text);
}
