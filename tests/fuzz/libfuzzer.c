/*
 * libfuzzer - the way in for libFuzzer: one program a target, which FUZZ_TARGET names.
 */
#include "fuzz.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    JOIN(fuzz_, FUZZ_TARGET)((const char *)data, size);
    return 0;
}
