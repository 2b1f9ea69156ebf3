#include "http/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(unsigned char c)
{
    return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!is_token_char((unsigned char)*text))
            return false;
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool http_unescape(char *text, bool plus)
{
    char *out = text;

    for (const char *in = text; *in; in++) {
        unsigned char c = (unsigned char)*in;

        if (c == '%') {
            int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);

            if (low < 0)
                return false;
            c = (unsigned char)(high * 16 + low);
            in += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        *out++ = (char)c;
    }
    *out = '\0';
    return true;
}

bool http_query_get(const char *query, const char *name, char *ret, size_t ret_size)
{
    size_t name_len = strlen(name);

    while (query && *query) {
        size_t len = strcspn(query, "&");

        if (len > name_len && !strncmp(query, name, name_len) && query[name_len] == '=') {
            size_t value_len = len - name_len - 1;

            if (value_len >= ret_size)
                return false;
            memcpy(ret, query + name_len + 1, value_len);
            ret[value_len] = '\0';
            return http_unescape(ret, true);
        }
        query += len;
        query += *query == '&';
    }
    return false;
}

bool http_host_split(const char *host_port, char *ret_host, size_t ret_host_size, int *ret_port)
{
    const char *begin = host_port, *end, *port = NULL;
    long number = 0;

    if (*begin == '[') {
        end = strchr(++begin, ']');
        if (!end || (end[1] && end[1] != ':') || !memchr(begin, ':', (size_t)(end - begin)))
            return false; /* brackets are for IPv6 alone */
        port = end[1] ? end + 2 : NULL;
    } else {
        end = begin + strcspn(begin, ":");
        port = *end ? end + 1 : NULL;
        if (port && strchr(port, ':'))
            return false; /* an IPv6 address without its brackets */
    }
    if (port) {
        char *rest;

        if (!isdigit((unsigned char)*port))
            return false;
        number = strtol(port, &rest, 10);
        if (*rest || number > 65535)
            return false;
    }
    if (end == begin || (size_t)(end - begin) >= ret_host_size)
        return false;
    memcpy(ret_host, begin, (size_t)(end - begin));
    ret_host[end - begin] = '\0';
    *ret_port = port ? (int)number : -1;
    return true;
}

bool http_host_is_address(const char *host_port)
{
    unsigned char address[16];
    char host[256];
    int port;

    return http_host_split(host_port, host, sizeof(host), &port) &&
           (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1);
}

bool http_host_is_loopback(const char *host_port)
{
    unsigned char address[16];
    static const unsigned char one[16] = { [15] = 1 };
    char host[256];
    int port;

    if (!http_host_split(host_port, host, sizeof(host), &port))
        return false;
    if (!strcasecmp(host, "localhost"))
        return true;
    if (inet_pton(AF_INET, host, address) == 1)
        return address[0] == 127;
    return inet_pton(AF_INET6, host, address) == 1 && !memcmp(address, one, sizeof(one));
}

const char *http_head_field(const struct http_head *head, const char *name)
{
    for (int i = 0; i < head->field_count; i++)
        if (!strcmp(head->fields[i].name, name))
            return head->fields[i].value;
    return "";
}

static int refuse(const char **ret_why, int status, const char *why)
{
    *ret_why = why;
    return status;
}

static bool has_dot_dot(const char *path)
{
    for (const char *p = path; (p = strstr(p, "/..")); p += 3)
        if (p[3] == '\0' || p[3] == '/')
            return true;
    return false;
}

static int parse_target(struct http_head *head, char *target, const char **ret_why)
{
    char *query = strchr(target, '?');

    if (*target != '/')
        return refuse(ret_why, 400, "the request target must be a path that begins with '/'");
    for (const char *p = target; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '#')
            return refuse(ret_why, 400, "the request target holds a blank, a '#' or a control character");
    if (query)
        *query++ = '\0';
    head->query = query ? query : "";
    if (!http_unescape(target, false))
        return refuse(ret_why, 400, "the path holds a broken %-escape or a control character");
    if (has_dot_dot(target))
        return refuse(ret_why, 400, "the path holds '..'");
    head->path = target;
    return 0;
}

static int parse_request_line(struct http_head *head, char *line, bool *ret_http_1_0, const char **ret_why)
{
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;

    if (!version)
        return refuse(ret_why, 400, "the request line is not 'METHOD /path HTTP/1.1'");
    *target++ = '\0';
    *version++ = '\0';
    if (!is_token(line) || strlen(line) > 16)
        return refuse(ret_why, 400, "the request line does not begin with a method");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return refuse(ret_why, 505, "only HTTP/1.1 and HTTP/1.0 are served");
    *ret_http_1_0 = !strcmp(version, "HTTP/1.0");
    head->method = line;
    return parse_target(head, target, ret_why);
}

static int parse_field(struct http_head *head, char *line, const char **ret_why)
{
    char *colon = strchr(line, ':'), *value, *end;

    if (!colon)
        return refuse(ret_why, 400, "a header line has no colon");
    *colon = '\0';
    if (!is_token(line))
        return refuse(ret_why, 400, "a header's name holds a character that may not stand there");
    if (head->field_count == HTTP_FIELDS_MAX)
        return refuse(ret_why, 431, "more than 64 header lines");
    for (char *p = line; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    value = colon + 1 + strspn(colon + 1, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (const char *p = value; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return refuse(ret_why, 400, "a header's value holds a control character");
    head->fields[head->field_count++] = (struct http_field){ line, value };
    return 0;
}

/* Splits at CRLF; a lone CR or LF is a fault. NULL: no further line. */
static char *next_line(char **rest, bool *ret_broken)
{
    char *line = *rest, *end;

    if (!line)
        return NULL;
    end = strpbrk(line, "\r\n");
    if (!end) {
        *rest = NULL;
        return line;
    }
    if (end[0] != '\r' || end[1] != '\n')
        *ret_broken = true;
    *end = '\0';
    *rest = end + 2;
    return line;
}

static int count_field(const struct http_head *head, const char *name)
{
    int count = 0;

    for (int i = 0; i < head->field_count; i++)
        count += !strcmp(head->fields[i].name, name);
    return count;
}

static int parse_length(struct http_head *head, const char **ret_why)
{
    const char *text = http_head_field(head, "content-length");
    int64_t length = 0;

    if (count_field(head, "content-length") > 1)
        return refuse(ret_why, 400, "two Content-Length headers");
    if (count_field(head, "transfer-encoding") > 0)
        return refuse(ret_why, 411, "a transfer coding is not taken; send the body with a Content-Length");
    if (count_field(head, "content-length") == 0)
        return 0;
    if (!*text || strlen(text) > 12 || strspn(text, "0123456789") != strlen(text))
        return refuse(ret_why, 400, "Content-Length is not a number");
    for (; *text; text++)
        length = length * 10 + (*text - '0');
    head->body_bytes = length;
    return 0;
}

int http_head_parse(struct http_head *ret, char *text, const char **ret_why)
{
    bool http_1_0 = false, broken = false;
    char *rest = text, *line = next_line(&rest, &broken);
    const char *connection;
    int status;

    memset(ret, 0, sizeof(*ret));
    if (!line || broken)
        return refuse(ret_why, 400, "lines must end with CR LF");
    status = parse_request_line(ret, line, &http_1_0, ret_why);
    while (!status && (line = next_line(&rest, &broken))) {
        if (broken)
            return refuse(ret_why, 400, "lines must end with CR LF");
        status = parse_field(ret, line, ret_why);
    }
    if (!status)
        status = parse_length(ret, ret_why);
    if (status)
        return status;
    if (count_field(ret, "host") > 1 || (!http_1_0 && count_field(ret, "host") == 0))
        return refuse(ret_why, 400, "exactly one Host header is needed");
    if (count_field(ret, "authorization") > 1)
        return refuse(ret_why, 400, "two Authorization headers");
    connection = http_head_field(ret, "connection");
    ret->http_1_0 = http_1_0;
    ret->keep_alive = http_1_0 ? !strcasecmp(connection, "keep-alive") : strcasecmp(connection, "close") != 0;
    ret->expect_continue = !http_1_0 && !strcasecmp(http_head_field(ret, "expect"), "100-continue");
    return 0;
}
