/*
 * fleet_file_doc - prints docs/fleet-file.md, for whoever changed the table of options.
 */
#include <stdio.h>

#include "wire/spec.h"

int main(void)
{
    struct str document = STR_WITH_MAX(SPEC_BYTES_MAX);

    spec_document(&document);
    if (str_error(&document) || fputs(document.buf, stdout) == EOF || fflush(stdout) != 0) {
        fprintf(stderr, "fleet-file-doc: cannot write\n");
        return 1;
    }
    str_free(&document);
    return 0;
}
