/*
 * parse - the head of an HTTP/1.1 request, as text to a struct; no I/O.
 *
 * Strict where laxness has been an attack: bare CR or LF inside a line, a blank before the colon, folded lines, two
 * lengths, any transfer coding, control characters, "..": refused. The text is changed in place and owns all that the
 * result points to.
 */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX 64

struct http_field {
    const char *name; /* lower case */
    const char *value;
};

struct http_head {
    const char *method;
    const char *path;  /* decoded */
    const char *query; /* "" */
    bool keep_alive;
    bool http_1_0; /* its peer knows no chunks */
    bool expect_continue;
    int64_t body_bytes; /* Content-Length, 0 without one */
    struct http_field fields[HTTP_FIELDS_MAX];
    int field_count;
};

/*
 * `text` is the head without its blank line, terminated. 0, or the HTTP status of the refusal and its sentence.
 */
int http_head_parse(struct http_head *ret, char *text, const char **ret_why);
const char *http_head_field(const struct http_head *head, const char *name); /* "" when absent */

/* %XX in place; false: broken, or a control character came out. plus: '+' is a blank (queries). */
bool http_unescape(char *text, bool plus);
/* The value of `name` in "a=b&c=d", decoded; false: absent, broken or longer than ret. */
bool http_query_get(const char *query, const char *name, char *ret, size_t ret_size);

/* The host of "host:port" or "[::1]:port" is an IP address / loopback ("localhost" too). */
bool http_host_is_address(const char *host_port);
bool http_host_is_loopback(const char *host_port);
/* Splits "host:port" and "[::1]:port"; false: not of that form or too long. */
bool http_host_split(const char *host_port, char *ret_host, size_t ret_host_size, int *ret_port);

#endif
