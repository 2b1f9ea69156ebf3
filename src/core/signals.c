/* signals - see signals.h. */
#include "core/signals.h"

#include <string.h>

static bool class_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

static void class_clean(char ret[FAILURE_CLASS_MAX + 1], const char *name)
{
    size_t len = 0;

    for (; name[len] != '\0' && len < FAILURE_CLASS_MAX; len++)
        ret[len] = '_';
    for (size_t i = 0; i < len; i++)
        if (class_letter(name[i]))
            ret[i] = name[i];
    ret[len] = '\0';
    if (len == 0)
        memcpy(ret, FAILURE_CLASS_OTHER, sizeof(FAILURE_CLASS_OTHER));
}

static const struct failure_class *class_find(const struct signals *s, const char *name)
{
    for (int i = 0; i < s->failed_count; i++)
        if (strcmp(s->failed[i].name, name) == 0)
            return &s->failed[i];
    return NULL;
}

void signals_fail(struct signals *s, const char *class_name, uint64_t count)
{
    char name[FAILURE_CLASS_MAX + 1];
    struct failure_class *f;

    class_clean(name, class_name);
    f = (struct failure_class *)class_find(s, name);
    if (!f && s->failed_count >= FAILURE_CLASSES_MAX - 1) { /* the last place is kept for the rest */
        memcpy(name, FAILURE_CLASS_OTHER, sizeof(FAILURE_CLASS_OTHER));
        f = (struct failure_class *)class_find(s, name);
    }
    if (!f) {
        f = &s->failed[s->failed_count < FAILURE_CLASSES_MAX ? s->failed_count++ : FAILURE_CLASSES_MAX - 1];
        *f = (struct failure_class){ .count = f->count };
        memcpy(f->name, name, strlen(name) + 1);
    }
    f->count += count;
}

uint64_t signals_failed(const struct signals *s)
{
    uint64_t sum = 0;

    for (int i = 0; i < s->failed_count; i++)
        sum += s->failed[i].count;
    return sum;
}

static void histogram_add_since(struct histogram *sum, const struct histogram *now, const struct histogram *old)
{
    struct histogram since;

    histogram_merge(sum, old && histogram_since(&since, now, old) ? &since : now);
}

void signals_add_since(struct signals *sum, const struct signals *now, const struct signals *old)
{
    for (int i = 0; i < now->failed_count; i++) {
        const struct failure_class *f = &now->failed[i];
        const struct failure_class *before = old ? class_find(old, f->name) : NULL;
        const uint64_t count = before && before->count <= f->count ? f->count - before->count : f->count;

        if (count > 0)
            signals_fail(sum, f->name, count);
    }
    histogram_add_since(&sum->processing, &now->processing, old ? &old->processing : NULL);
    histogram_add_since(&sum->poll_gap, &now->poll_gap, old ? &old->poll_gap : NULL);
    histogram_add_since(&sum->metadata, &now->metadata, old ? &old->metadata : NULL);
}
