/* commits - see commits.h. Integers are big-endian; from version 4 on lengths are varints and tagged fields follow. */
#include "kafka/commits.h"

#include <stdbool.h>
#include <string.h>

#define FLEXIBLE_SINCE 4
#define VERSION_NEWEST 4
#define KEY_COMMIT_NEWEST 1
#define KEY_GROUP 2
#define KEY_MEMBERS_NEWEST 8 /* from 3 on */

/* What is left to read. A read beyond it, or of nonsense, breaks it for good: one look at the end is enough. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool flexible, broken;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    const uint8_t *at = r->at;

    if (r->broken || len > r->left) {
        r->broken = true;
        return NULL;
    }
    r->at += len;
    r->left -= len;
    return at;
}

static int64_t take_int(struct reader *r, size_t bytes)
{
    const uint8_t *p = take(r, bytes);
    uint64_t v = 0;

    for (size_t i = 0; p && i < bytes; i++)
        v = v << 8 | p[i];
    if (p && bytes < 8 && (p[0] & 0x80))
        v |= ~UINT64_C(0) << (8 * bytes);
    return (int64_t)v;
}

static uint32_t take_varint(struct reader *r)
{
    uint32_t v = 0;

    for (int shift = 0; shift < 35; shift += 7) {
        const uint8_t *p = take(r, 1);

        if (!p)
            return 0;
        v |= (uint32_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80))
            return v;
    }
    r->broken = true;
    return 0;
}

/* Length of a text, a run of bytes or an array; -1: null. wide: 4 bytes where it is no varint, else 2. */
static int64_t take_length(struct reader *r, bool wide)
{
    const int64_t len = r->flexible ? (int64_t)take_varint(r) - 1 : take_int(r, wide ? 4 : 2);

    if (len < -1)
        r->broken = true;
    return r->broken ? -1 : len;
}

/* Into ret, cut to nothing when it is null; one that does not fit or holds a zero byte breaks. NULL: it is skipped. */
static void take_text(struct reader *r, char *ret, size_t ret_size)
{
    const int64_t len = take_length(r, false);
    const uint8_t *p = len > 0 ? take(r, (size_t)len) : NULL;

    if (ret)
        ret[0] = '\0';
    if (!p || !ret)
        return;
    if ((size_t)len >= ret_size || memchr(p, 0, (size_t)len)) {
        r->broken = true;
        return;
    }
    memcpy(ret, p, (size_t)len);
    ret[len] = '\0';
}

static struct reader take_bytes(struct reader *r)
{
    const int64_t len = take_length(r, true);
    const uint8_t *p = len > 0 ? take(r, (size_t)len) : NULL;

    return (struct reader){ .at = p, .left = p ? (size_t)len : 0, .broken = r->broken };
}

static void take_tags(struct reader *r)
{
    if (!r->flexible)
        return;
    for (uint32_t count = take_varint(r); count > 0 && !r->broken; count--) {
        take_varint(r);
        take(r, take_varint(r));
    }
}

static bool version_take(struct reader *r, int64_t *ret)
{
    *ret = take_int(r, 2);
    r->flexible = *ret >= FLEXIBLE_SINCE;
    return !r->broken && *ret >= 0 && *ret <= VERSION_NEWEST;
}

enum kafka_commits kafka_commits_decode(struct kafka_commit *ret, const void *key, size_t key_len, const void *value,
                                        size_t value_len)
{
    struct reader k = { .at = key, .left = key_len }, v = { .at = value, .left = value_len };
    const int64_t kind = take_int(&k, 2);
    int64_t version;

    ret->group[0] = ret->topic[0] = '\0';
    ret->partition = ret->epoch = -1;
    ret->offset = ret->timestamp_ms = 0;
    if (k.broken)
        return KAFKA_COMMITS_BROKEN;
    if (kind < 0 || kind > KEY_MEMBERS_NEWEST)
        return KAFKA_COMMITS_OTHER;
    take_text(&k, ret->group, sizeof(ret->group));
    if (kind >= KEY_GROUP)
        return k.broken ? KAFKA_COMMITS_BROKEN : kind == KEY_GROUP ? KAFKA_COMMITS_GROUP : KAFKA_COMMITS_MEMBERS;
    take_text(&k, ret->topic, sizeof(ret->topic));
    ret->partition = (int32_t)take_int(&k, 4);
    if (k.broken || !ret->topic[0] || ret->partition < 0)
        return KAFKA_COMMITS_BROKEN;
    if (!value)
        return KAFKA_COMMITS_GONE;
    if (!version_take(&v, &version))
        return v.broken ? KAFKA_COMMITS_BROKEN : KAFKA_COMMITS_NEWER;
    ret->offset = take_int(&v, 8);
    ret->epoch = version >= 3 ? (int32_t)take_int(&v, 4) : -1;
    take_text(&v, NULL, 0);
    ret->timestamp_ms = take_int(&v, 8);
    return v.broken ? KAFKA_COMMITS_BROKEN : KAFKA_COMMITS_COMMIT;
}

/* A consumer's assignment, as the client that led the group wrote it. */
static bool assignment_tell(struct reader a, const char *host, const char *client_id, kafka_commits_owner *each,
                            void *opaque)
{
    char topic[TOPIC_NAME_MAX + 1];
    int64_t topics, partitions;

    if (a.left == 0)
        return !a.broken;
    take_int(&a, 2);
    topics = take_int(&a, 4);
    for (; topics > 0 && !a.broken; topics--) {
        take_text(&a, topic, sizeof(topic));
        partitions = take_int(&a, 4);
        for (; partitions > 0 && !a.broken; partitions--) {
            const int64_t p = take_int(&a, 4);

            if (!a.broken)
                each(opaque, topic, (int32_t)p, host, client_id);
        }
    }
    return !a.broken;
}

bool kafka_commits_owners(const void *value, size_t value_len, kafka_commits_owner *each, void *opaque)
{
    struct reader v = { .at = value, .left = value_len };
    char protocol[32], client_id[CLIENT_ID_MAX + 1], host[HOST_MAX + 1];
    int64_t version, members;

    if (!value)
        return true; /* the group is gone: nobody owns anything */
    if (!version_take(&v, &version))
        return false;
    take_text(&v, protocol, sizeof(protocol));
    if (strcmp(protocol, "consumer") != 0)
        return !v.broken; /* Connect's assignments are of another form */
    take_int(&v, 4);      /* generation */
    take_text(&v, NULL, 0);
    take_text(&v, NULL, 0); /* assignor, leader */
    if (version >= 2)
        take_int(&v, 8); /* since when it is in this state */
    members = take_length(&v, true);
    for (; members > 0 && !v.broken; members--) {
        struct reader assignment;

        take_text(&v, NULL, 0); /* member id */
        if (version >= 3)
            take_text(&v, NULL, 0); /* instance id */
        take_text(&v, client_id, sizeof(client_id));
        take_text(&v, host, sizeof(host));
        take_int(&v, version >= 1 ? 8 : 4); /* rebalance and session time-outs */
        take_bytes(&v);                     /* subscription */
        assignment = take_bytes(&v);
        take_tags(&v);
        if (!assignment_tell(assignment, host, client_id, each, opaque))
            return false;
    }
    return !v.broken;
}
