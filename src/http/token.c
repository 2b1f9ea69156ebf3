/*
 * token - see token.h.
 */
#include "http/token.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool all_visible(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return false;
    return true;
}

int token_read(char ret[TOKEN_MAX + 1], const char *path, int least, struct errmsg *m)
{
    char text[TOKEN_MAX + 3] = { 0 }; /* a line end, and room to see that it is longer */
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file)
        return err_set(m, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open token file '%s': %s", path, strerror(errno));
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        text[--len] = '\0';
    if (strlen(text) != len || !all_visible(text) || len < (size_t)least || len > TOKEN_MAX) {
        explicit_bzero(text, sizeof(text));
        return err_set(m, ERR_INVALID,
                       "token file '%s' must hold one line of %d to %d visible characters and nothing else; "
                       "make one with: openssl rand -hex 32",
                       path, least, TOKEN_MAX);
    }
    memcpy(ret, text, len + 1);
    explicit_bzero(text, sizeof(text));
    return ERR_OK;
}
