/*
 * pick - see pick.h.
 */
#include "cli/pick.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const json_t *pick(const json_t *json, const char *path)
{
    char name[64];

    while (json && *path) {
        size_t len = strcspn(path, ".");

        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = 0;
        json = json_object_get(json, name);
        path += len + (path[len] == '.');
    }
    return json;
}

const char *pick_text(const json_t *json, const char *path, const char *otherwise)
{
    const char *text = json_string_value(pick(json, path));

    return text ? text : otherwise;
}

int64_t pick_int(const json_t *json, const char *path, int64_t otherwise)
{
    const json_t *value = pick(json, path);

    if (json_is_real(value))
        return pick_bounded(json_real_value(value));
    if (!json_is_integer(value))
        return otherwise;
    return json_integer_value(value) > PICK_INT_MAX    ? PICK_INT_MAX
           : json_integer_value(value) < -PICK_INT_MAX ? -PICK_INT_MAX
                                                       : json_integer_value(value);
}

int64_t pick_bounded(double number)
{
    return number > (double)PICK_INT_MAX    ? PICK_INT_MAX
           : number < (double)-PICK_INT_MAX ? -PICK_INT_MAX
                                            : (int64_t)number;
}

bool pick_bool(const json_t *json, const char *path, bool otherwise)
{
    const json_t *value = pick(json, path);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int64_t pick_time(const json_t *json, const char *path)
{
    const char *text = pick_text(json, path, NULL);
    struct tm tm = { 0 };
    int ms = 0, read = 0;

    if (!text)
        return pick_int(json, path, 0);
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &read) != 6)
        return 0;
    sscanf(text + read, ".%3d", &ms);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

size_t pick_count(const json_t *json, const char *path)
{
    return json_array_size(pick(json, path));
}
