/*
 * lag_table - what the reader of lags knows: topics with their partitions, groups with their commits.
 *
 * Topics and partitions only grow and keep their index, so that a row of a group is 32 bytes. A refresh writes beside what is known:
 * into `next` of a group and `read_*` of a partition; lag_table_publish() makes it known at once.
 */
#ifndef KAFKA_LAG_TABLE_H
#define KAFKA_LAG_TABLE_H

#include "kafka/commits.h"
#include "kafka/lag.h"

#define LAG_CURVE_POINTS 60
#define LAG_START_FRESH_MS 60000 /* a log's start moves with retention, which a broker looks at every few minutes */

struct lag_topic {
    char *name;
    int rank;                /* place among the names */
    int64_t id_high, id_low; /* 0, 0: not known */
    int partition_count;     /* 0: not known */
    bool gone;
    int64_t remade_unix_ms; /* when another topic of this name was met; 0: never */
    int64_t described_ms;   /* 0: never */
    int32_t *parts;         /* index of each partition, -1: nobody has committed there */
    int part_room;
};

struct lag_part {
    int32_t topic, partition, leader;
    bool wanted;      /* by a group, in this refresh */
    bool lagging;     /* some group is behind: its start matters */
    bool past_stable; /* some group has committed past the last stable offset: the high watermark matters */
    /* known */
    int64_t end, high, start;
    int32_t end_epoch;
    rd_kafka_resp_err_t code;
    /* of this refresh */
    int64_t read_end, read_high;
    int32_t read_epoch;
    rd_kafka_resp_err_t read_code;
    int64_t start_ms; /* when the start was read; 0: never */
    struct curve curve;
};

struct lag_commits {
    int32_t part, epoch;
    int64_t committed, since_unix_ms;
    int64_t news; /* committed since, as the log of commits tells; OFFSET_UNKNOWN: it has told nothing */
    int32_t news_epoch;
    uint8_t dirty; /* in how many refreshes to ask for it again: the log told that there is something new, not what */
    bool unread;
};

struct lag_entry {          /* a group */
    struct lag_group known; /* first: a pointer to it is one to the entry */
    struct lag_commits *rows, *next;
    int next_count;
    bool read;        /* `next` is what its coordinator has answered in this refresh */
    bool failed;      /* it has not answered this time */
    bool failed_last; /* nor the time before: asked last */
    int whole;        /* in how many refreshes to ask for all it has committed */
    int64_t read_ms;  /* when it last told all it has committed; 0: never */
    bool news;        /* `rows` have some that do not count yet */
    int after_last; /* the log of commits has last told of the row before this one: the next record is likely of this one */
    bool keep;      /* of this refresh */
    bool listed;
    const char *state, *protocol;
    char why[sizeof(((struct lag_group *)NULL)->trouble)];
};

struct lag_table {
    struct lag_topic **topics; /* by index */
    int32_t *by_name;          /* indexes, sorted by name */
    int topic_count, topic_room;
    struct lag_part *parts;
    int part_count, part_room;
    struct lag_entry **groups, **next_groups;
    int group_count, next_count, next_room;
    int32_t *ends; /* wanted partitions, sorted by topic and partition */
    int end_count;
    bool ends_stale;
    /* found last: answers come topic by topic, records of commits group by group */
    int32_t last_topic;
    struct lag_entry *last_entry;
};

void lag_table_init(struct lag_table *t);
void lag_table_deinit(struct lag_table *t);

/* -1: too many, or a name or number that no Kafka has. */
int32_t lag_table_topic(struct lag_table *t, const char *name);
int32_t lag_table_part(struct lag_table *t, const char *topic, int32_t partition);
int32_t lag_table_part_find(struct lag_table *t, const char *topic, int32_t partition);

/* A refresh begins: no group is kept yet. */
void lag_table_begin(struct lag_table *t);
/* This group is there (made when it is new); NULL: too many. */
struct lag_entry *lag_table_keep(struct lag_table *t, const char *name);
struct lag_entry *lag_table_find(const struct lag_table *t, const char *name);
/* What the group has committed; the list is the answer of its coordinator. */
void lag_table_commits(struct lag_table *t, struct lag_entry *e, const rd_kafka_topic_partition_list_t *list,
                       int64_t now_unix_ms);
/* The same of some of them, which it had committed before. */
void lag_table_commits_again(struct lag_table *t, struct lag_entry *e, const rd_kafka_topic_partition_list_t *list,
                             int64_t now_unix_ms);
/*
 * A record of the log of commits. It does not count before lag_table_news(). Where it does not tell what was committed, that has to
 * be asked, in the next refresh and the one after.
 */
void lag_table_followed(struct lag_table *t, const struct kafka_commit *commit, bool known);
/* What was followed of this group counts in this refresh: it is not older than what its coordinator has answered. */
void lag_table_news(struct lag_table *t, struct lag_entry *e, int64_t now_unix_ms);
void lag_table_failed(struct lag_entry *e, rd_kafka_resp_err_t code);
/* Which partitions are wanted, now that commits are read; sorted into t->ends. */
void lag_table_wanted(struct lag_table *t);
/* Which of them need their start and their high watermark, now that ends are read. */
void lag_table_troubled(struct lag_table *t, int64_t now_ms);
void lag_table_described(struct lag_table *t, const rd_kafka_TopicDescription_t *d, int64_t now_ms,
                         int64_t now_unix_ms);
void lag_table_publish(struct lag_table *t, int64_t ends_ms);

struct lag_row lag_table_row(const struct lag_table *t, const struct lag_entry *e, int i, int64_t ends_ms);

#endif
