#include "base/settle.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

struct mapping {
    unsigned long begin, end;
    bool of_file, writable;
};

/* Only what never was written to: a private page that was (relocations) would be lost, not read again. */
static void let_go(const struct mapping *mapping, unsigned long anonymous_kb, unsigned long *total)
{
    if (!mapping->of_file || mapping->writable || anonymous_kb > 0)
        return;
    if (madvise((void *)mapping->begin, mapping->end - mapping->begin, MADV_DONTNEED) == 0)
        *total += mapping->end - mapping->begin;
}

void memory_settle(void)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    struct mapping mapping = { 0 };
    unsigned long begin, end, kb, total = 0;
    char line[4400], permissions[8];
    int path = 0;

    malloc_trim(0);
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%lx-%lx %7s %*x %*s %*u %n", &begin, &end, permissions, &path) >= 3 && path > 0) {
            mapping = (struct mapping){ begin, end, line[path] == '/', strchr(permissions, 'w') != NULL };
            path = 0;
        } else if (sscanf(line, "Anonymous: %lu kB", &kb) == 1) {
            let_go(&mapping, kb, &total);
            mapping.of_file = false;
        }
    }
    fclose(file);
    log_debug("memory_settled", "mapped_kb=%lu", total / 1024);
}
