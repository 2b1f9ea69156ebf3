/* http - the head of a request; what is let through holds what parse.h promises. */
#include "http/parse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"

static void clean(const char *text)
{
    for (; *text; text++)
        ASSERT(((unsigned char)*text >= 0x20 || *text == '\t') && *text != 0x7f);
}

static void addresses(const char *host)
{
    char name[64];
    int port;

    if (http_host_split(host, name, sizeof(name), &port)) {
        ASSERT(name[0] && port >= -1 && port <= 65535);
    }
    ASSERT(!http_host_is_loopback(host) || http_host_is_address(host) || strncasecmp(host, "localhost", 9) == 0);
}

void fuzz_http(const char *bytes, size_t len)
{
    char *text = fuzz_copy(bytes, len), value[64];
    struct http_head head;
    const char *why = NULL;
    const int status = http_head_parse(&head, text, &why);

    if (status != 0) {
        ASSERT(status >= 400 && status <= 505 && why && *why);
        free(text);
        return;
    }
    ASSERT(*head.method && head.path[0] == '/' && head.body_bytes >= 0 && head.field_count <= HTTP_FIELDS_MAX);
    ASSERT(!strstr(head.path, "/../"));
    clean(head.path);
    clean(head.query);
    for (int i = 0; i < head.field_count; i++) {
        ASSERT(*head.fields[i].name && !strpbrk(head.fields[i].name, " \t\r\n:ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        clean(head.fields[i].value);
        addresses(head.fields[i].value);
    }
    ASSERT(http_head_field(&head, "transfer-encoding")[0] == 0);
    if (http_query_get(head.query, "limit", value, sizeof(value)))
        clean(value);
    free(text);
}
