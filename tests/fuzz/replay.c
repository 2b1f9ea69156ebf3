/*
 * replay - runs every seed, and every input that once broke something, through its target; no clang is needed.
 *
 *     fuzz-replay [FOLDER [TARGET FILE...]]
 *
 * FOLDER is tests/fuzz. A target without a seed is a failure: it would prove nothing. What breaks ends the program, and
 * the last line names the file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define FILE_BYTES_MAX (1024 * 1024)

static const struct target {
    const char *name;
    void (*run)(const char *text, size_t len);
} targets[] = {
#define TARGET_LINE(name) { #name, fuzz_##name },
    TARGETS(TARGET_LINE)
#undef TARGET_LINE
};

static int run_file(const struct target *target, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(FILE_BYTES_MAX), *exact;
    size_t len;

    if (!file || !bytes) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    len = fread(bytes, 1, FILE_BYTES_MAX, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    exact = malloc(len > 0 ? len : 1); /* no terminator: the target was promised none */
    ASSERT(exact != NULL);
    memcpy(exact, bytes, len);
    target->run(exact, len);
    free(exact);
    free(bytes);
    return 1;
}

static int run_folder(const struct target *target, const char *folder, const char *kind)
{
    char path[4096];
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/%s/%s", folder, kind, target->name);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/%s/%s", folder, kind, target->name, entry->d_name);
        count += run_file(target, path);
    }
    if (dir)
        closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "tests/fuzz";
    int passed = 0, failed = 0;

    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        int seeds;

        if (argc > 2 && strcmp(argv[2], targets[i].name) != 0)
            continue;
        for (int k = 3; k < argc; k++)
            passed += run_file(&targets[i], argv[k]);
        if (argc > 3)
            continue;
        seeds = run_folder(&targets[i], folder, "seeds");
        if (seeds == 0) {
            fprintf(stderr, "%s: no seed below %s/seeds\n", targets[i].name, folder);
            failed++;
        }
        passed += seeds + run_folder(&targets[i], folder, "found");
    }
    if (passed + failed == 0)
        failed = 1; /* no such target */
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
