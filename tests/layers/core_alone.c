/*
 * core_alone - all of `core` in a program with `base` and the C library, and nothing else.
 *
 * It does nothing; that it links is the test (tests/layers/meson.build). A call from `core` into Kafka, JSON or any
 * other adapter stops the build here.
 */
int main(void)
{
    return 0;
}
