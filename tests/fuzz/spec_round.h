/* spec_round - a spec that was read: valid, and the same again by way of YAML and of JSON. */
#ifndef FUZZ_SPEC_ROUND_H
#define FUZZ_SPEC_ROUND_H

#include "wire/spec.h"

void spec_round(const struct spec *spec);

#endif
