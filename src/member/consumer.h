/*
 * consumer - one member of a fleet, as its three parts see it.
 *
 *     the program's threads                  the library's thread (loop.c)
 *     baton_poll, baton_done  (baton.c)      Kafka's events in, the holder's effects out
 *            |                                       |
 *            |  records (intake.c)                   |  what librdkafka fetches (flow.c)
 *            +------------ lock: holder, lanes ------+
 *
 * The rules are core/holder's. The lock guards the holder, the document, the lanes and the record pool; it is never
 * held over a call that can wait. Only the library's thread changes the document and talks to the group; a program's
 * thread that finds nothing ready fetches by itself, so that a record changes hands once and wakes nobody.
 */
#ifndef MEMBER_CONSUMER_H
#define MEMBER_CONSUMER_H

#include <pthread.h>

#include "baton/baton.h"
#include "channel/channel.h"
#include "channel/documents.h"
#include "core/holder.h"
#include "member/options.h"

#define FETCH_MAX 256         /* records taken from librdkafka at once */
#define ENDS_MAX 32           /* one for every rebalance that is not settled */
#define READY_MAX 4096        /* records taken and not delivered: no more is fetched above ... */
#define READY_FRESH_MAX 65536 /* ... unless a partition waits for its first */

struct baton_record {
    struct baton_consumer *consumer;
    rd_kafka_message_t *message; /* NULL: the record is free */
    struct baton_record *next;   /* in its lane, or among the free */
    int64_t offset;              /* the message's: whoever only looks at the order leaves the message in peace */
    int part;
    uint64_t epoch;
    int64_t delivered_us; /* 0: how long this one takes is not measured */
};

struct record_chunk {
    struct record_chunk *next;
    struct baton_record records[FETCH_MAX];
};

/* Beside every slot of the holder: the partition's way through librdkafka and to the program. */
struct lane {
    struct baton_record *head, *tail; /* taken, not delivered */
    int next_lane;                    /* among those with records, -1: last */
    bool open;                        /* what is taken now belongs here; shut from detach until attached anew */
    bool fresh;                       /* opened, and neither a record nor its end has come yet */
    bool blocked;                     /* the first record waits until something in flight is done */

    uint16_t topic; /* of this lane: the holder may have freed its slot already */
    int32_t partition;
    bool attached; /* librdkafka has it in its assignment */
    bool paused;   /* ... paused (baton.standby=paused) */
    bool wanted;   /* the holder wants it fetched ... */
    bool again;    /* ... from `start` on, whatever is fetched now ... */
    bool renew;    /* ... and not by a seek: librdkafka refused that */
    int64_t start;
    int64_t taken;       /* offset after the last record taken, or `start` */
    bool out_of_range;   /* the log has nothing at `taken` ... */
    int64_t repaired_to; /* ... so it went on here ... */
    bool held;           /* ... or must not, by the fleet file, and has said so */
};

struct intake_topic {
    rd_kafka_topic_t *reference; /* keeps `seen` from being reused for another topic */
    int32_t known;               /* partitions whose leader librdkafka has asked for */
    const rd_kafka_topic_t *seen;
    int32_t *part_of; /* by partition: slot + 1, 0: none */
    int32_t part_of_count;
};

struct intake {
    rd_kafka_queue_t *queue;   /* all partitions' records; NULL before the group is joined */
    struct lane *lanes;        /* as many as the holder's slots */
    int first_lane, last_lane; /* those with records, in turn; -1: none */
    int ready;                 /* records in lanes */
    int fresh;                 /* lanes that are */
    struct intake_topic topics[TOPICS_MAX];
    int last_topic; /* of the last record: they come in runs */

    rd_kafka_message_t *batch[FETCH_MAX]; /* the fetching thread's */
    bool fetching;                        /* a program's thread is inside librdkafka ... */
    bool hold;                            /* ... and none may go there: the flow is being changed */
    int waiters;                          /* threads waiting on ready_cond */
    pthread_cond_t ready_cond, hold_cond;

    struct part_work *works; /* beside the lanes: what was done of each; NULL: of too many partitions for a report */

    struct record_chunk *chunks;
    struct baton_record *free;
    int free_count;
    int64_t in_flight;
    int64_t taken_us;    /* when records were last given to the program */
    int64_t returned_us; /* when the last thread left baton_poll(), 0: none has yet */
    int pollers;         /* threads inside it */
};

/* To a rebalance. */
enum answer { ANSWER_NONE, ANSWER_ASSIGN, ANSWER_REVOKE };

enum life { LIFE_NEW, LIFE_OPEN, LIFE_CLOSING, LIFE_CLOSED };

struct baton_consumer {
    struct options options;
    char incarnation[INCARNATION_MAX + 1];
    pthread_mutex_t lock;
    pthread_cond_t closed_cond;
    enum life life;
    int64_t close_by_ms;     /* while LIFE_CLOSING: abandon then */
    bool clean;              /* closed with nothing left in flight */
    int failed;              /* enum err for every baton_poll(), 0: none */
    char why[BATON_WHY_MAX]; /* what it waits for or why it failed */
    int wake_fd;             /* -1: not open */
    bool wake_pending;

    struct holder holder;
    struct fleet fleet;
    struct intake intake;
    struct signals signals;

    /* From here on the library's thread alone. */
    pthread_t thread;
    bool thread_runs;
    struct kafka_handle main; /* the group's; rk NULL: not joined yet */
    bool main_open, left;
    rd_kafka_queue_t *group_queue, *commit_queue;
    struct channel *channel; /* NULL: not open yet */
    struct kafka_admin *admin;
    struct documents documents;
    bool log_restarted; /* the log was handed out again from its beginning: is it the same one? */
    struct holder_effects fx;
    struct report report;
    struct signals reported;   /* the report's */
    int64_t metadata_asked_us; /* the brokers are being asked about the topics since then, 0: they are not */
    int64_t metadata_next_ms;
    char reports_topic[PREFIX_MAX + sizeof(REPORTS_TOPIC)];
    char control_topic[PREFIX_MAX + sizeof(CONTROL_TOPIC)];
    char member_id[MEMBER_ID_MAX + 1]; /* written under the lock */
    char client_id[CLIENT_ID_MAX + 1], host[HOST_MAX + 1], instance_id[CLIENT_ID_MAX + 1];
    int topics_subscribed;
    bool eager;
    int64_t flow_retry_ms;   /* a change of the assignment failed, again then; 0: none */
    int64_t repair_retry_ms; /* partitions out of range are looked at again then */
    enum answer owed;        /* librdkafka waits for it */
    bool owed_due;           /* the holder has given it ... */
    uint64_t owed_commit; /* ... but commits up to this token, asked before the rebalance, are not answered yet ... */
    int64_t owed_by_ms;   /* ... and are waited for until then */
    rd_kafka_event_t *next_rebalance;       /* came before the last was answered: see group.c */
    struct holder_topic_partition *revoked; /* of a revocation that is not answered */
    int revoked_count;
    int64_t commits_barred_ms; /* the group does not know us (any more): nothing is committed until then */
    int64_t turned_ms;         /* the last turn: after a gap the session may be over */
    bool fatal;                /* librdkafka has given the handle up */
    bool leaving;              /* the group is being left: nothing is attached any more */
    struct ask *asks;          /* questions and commits that are outstanding */
    struct {
        uint64_t token; /* 0: free */
        bool refused;
    } ends[ENDS_MAX];        /* questions for the control log's end */
    uint64_t report_refused; /* sequence of a report that could not even be sent, 0: none */
    bool control_read;       /* the control log has been read to its end once */
    bool close_fed, abandon_fed, over;
    int64_t control_retry_ms; /* open the control log then */
    bool control_trouble, control_told, offsets_told, fleet_told, active_told, standby_told, fenced_told;
    rd_kafka_resp_err_t group_error_told;
};

/* Asks the library's thread for a turn. Under the lock. */
void consumer_wake(struct baton_consumer *c);
/* No more records, ever: baton_poll() answers `code` from now on, and the group is left. Without the lock. */
void consumer_fail(struct baton_consumer *c, int code, const char *why);
/* How it reaches the controller, as the options say. */
void consumer_channel(const struct baton_consumer *c, struct channel_config *ret);
/* What it waits for, "" for nothing. Without the lock. */
void consumer_note_why(struct baton_consumer *c, const char *why);

#endif
