/*
 * internal - the agent's one struct, as its parts see it.
 *
 *     follow.c       channel -> documents, the log's end, acknowledgements
 *     member.c       the holder's effects -> words for the application; slot.c what it was told of each partition
 *     heard.c        what the application says -> events
 *     witness.c      the holder's commits, and what the brokers say of them
 *     life.c         one process of the application
 *     report.c       what the agent says of its member -> channel
 *     application.c  requests to the application (line.c carries them)
 *     name.c         Kafka's name of the application's member, where the application does not know it
 *     change.c       a command (command.c runs it) and a signal, for an application that can do no more
 *     outside.c      the holder's effects on an application that nobody has changed (drive.c and stream.c carry the words)
 *     agent.c        the loop, the endpoints, the end
 *
 * One thread, one loop. The agent lives as long as it likes; a `life` is one process of the application, and one incarnation
 * of a member: when the application comes up anew, a new holder begins, and the old incarnation goes as that of any process that
 * crashed (PROTOCOL rule 9), with its doubt.
 */
#ifndef AGENT_INTERNAL_H
#define AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/application.h"
#include "agent/outside.h"
#include "channel/documents.h"
#include "core/holder.h"

#define WHY_MAX 512
#define ENDS_MAX 32
#define LIVES_MAX 8
#define SHADOW_MAX 4 /* records in a shadow: a power of two */

enum ask_state { ASK_NONE, ASK_APPLICATION, ASK_BROKERS, ASK_SETTLED };

/* Beside every partition of the holder: what the application was told of it, and says. */
struct slot {
    int64_t assignment; /* the application's, 0: the slot is free */
    enum word_told word;
    uint64_t told; /* revision in which this word was told first */
    uint64_t epoch;
    int64_t from;
    struct mark mark;
    bool busy;   /* it was told to run, and has not shown yet that it stopped and committed */
    bool leaks;  /* it hands over records unasked: reported as at work, whatever the holder says */
    bool former; /* Kafka has taken it away */
    int64_t heard_position, heard_committed; /* since it was made ready: the newest, and the highest */

    /* The holder's commit that is outstanding. */
    enum ask_state ask;
    uint64_t ask_token;
    int64_t ask_offset, ask_ms;
    struct mark ask_mark;
    bool ask_withdrawn;  /* took too long: answered with a failure once the application has acted upon `hold` */
    bool ask_reading;    /* a question to the brokers is out */
    bool ask_witnessed;  /* the brokers have it */
    int64_t ask_read_ms; /* the next one, not before */

    struct observed_part seen; /* the newest it said of this assignment */
    bool named;                /* ... in its newest document */
    int64_t end;               /* the log reached at least so far, OFFSET_NONE: not asked yet */
    int64_t end_asked_ms;
};

enum life_state {
    LIFE_NONE,   /* no application has answered yet */
    LIFE_FOUND,  /* it has; the control log is not read yet, or the fleet is not there */
    LIFE_TAKING, /* all is to be held, so that the holder begins with nothing at work */
    LIFE_ON
};

enum question_type { QUESTION_OFFSETS, QUESTION_ACTIVE, QUESTION_WITNESS, QUESTION_END };
struct question { /* to the brokers */
    struct question *next;
    enum question_type type;
    uint64_t token;        /* the admin's */
    uint64_t holder_token; /* of OFFSETS and ACTIVE */
    uint64_t life;
    int count;
    struct holder_part_at parts[];
};

struct agent {
    const struct agent_config *config;
    struct event_base *base;
    int wake_fd;
    char why[WHY_MAX]; /* what it waits for, "" */
    int failed;        /* an error that ends it, with `why`; 0: none */

    /* follow.c */
    struct channel *channel;
    struct kafka_admin *admin;
    char control_topic[320], reports_topic[320];
    struct fleet fleet;
    struct documents documents;
    bool control_read, log_restarted, control_told;
    bool change_due; /* the fleet's document has changed since it was told (change.h) */
    int64_t control_retry_ms;
    struct {
        uint64_t token;
        bool refused;
    } ends[ENDS_MAX];

    /* member.c, life.c, report.c, witness.c; most of outside.c, too */
    enum life_state life;
    uint64_t life_number;
    char incarnation[INCARNATION_MAX + 1];
    char instance[INSTANCE_MAX + 1];
    char former_lives[LIVES_MAX][INSTANCE_MAX + 1];
    int former_life_count;
    char replaced[INCARNATION_MAX + 1]; /* the agent before us at this process: gets its goodbye */
    struct holder holder;
    struct slot *slots; /* as many as the holder's parts */
    struct holder_effects fx;
    struct report report;
    struct question *questions;
    uint64_t question_last;
    uint64_t report_refused;
    uint64_t revision;  /* of what the application shall be told */
    int64_t changed_ms; /* when it was last raised */
    bool leave;         /* of the application: leave the group */
    bool over;          /* the goodbye is acknowledged */
    char host[HOST_MAX + 1];

    /* the application, as it answered last */
    struct application *application;
    struct observed *seen; /* its newest, NULL: none of this life */
    int64_t heard_ms;      /* when it answered rightly */
    uint64_t accepted;     /* revision that it took */
    int64_t put_ms;        /* the last PUT */
    char trouble[WHY_MAX]; /* why it cannot be believed or reached just now, "" */
    char witness[WHY_MAX]; /* what the brokers say otherwise, "" */
    bool taken_over;       /* another agent speaks with it */

    struct {                                                           /* name.c */
        char instance[INSTANCE_MAX + 1], member_id[MEMBER_ID_MAX + 1]; /* as found, "": not yet ... */
        int64_t assignment;                                            /* ... when this was the application's newest */
        char asked_instance[INSTANCE_MAX + 1], asked_client_id[OBSERVED_CLIENT_ID_MAX + 1];
        int64_t asked_assignment, asked_ms;
        uint64_t token; /* of the question that is out, 0: none */
    } name;

    struct change *change;   /* NULL: nobody is to be told */
    struct outside *outside; /* of an application that nobody has changed, NULL: it keeps the contract */
};

/* follow.c */
struct channel_config follow_channel(const struct agent *a);
void follow_open(struct agent *a);
void follow_turn(struct agent *a);
void follow_ask_end(struct agent *a, uint64_t token);
void follow_close(struct agent *a);

/* member.c */
void member_open(struct agent *a);
void member_close(struct agent *a);
/* A step of the holder; only in LIFE_ON. */
void member_step(struct agent *a, struct holder_event ev);
void member_turn(struct agent *a);
/* Is something on its way, so that the application should be looked at soon? */
bool member_restless(const struct agent *a);
/* Room for so many partitions, of the holder, the slots and the report; and all of it given back. */
void member_reserve(struct agent *a, int part_count);
void member_room_free(struct agent *a);
int member_desired(struct agent *a, struct str *ret, struct errmsg *m);
/* "" when all is as it should be: for /readyz. */
const char *member_unready(const struct agent *a);
void member_state(struct str *ret, const struct agent *a); /* for /v1/agent */

/* slot.c */
void revision_raise(struct agent *a);                              /* the application is to be told something new ... */
void slot_tell(struct agent *a, int slot, enum word_told word);    /* ... this, of a partition */
bool slot_acted_upon(const struct agent *a, const struct slot *s); /* by its loop */
const char *slot_topic(const struct agent *a, int slot);
/* Something is in flight, from what it has committed on; nothing is, up to where it stands. */
void slot_busy(struct agent *a, int slot, int64_t committed, int64_t position);
void slot_drained(struct agent *a, int slot, int64_t position);

/* heard.c */
void heard_take(struct agent *a, struct application_answer *answer);

/* witness.c */
void witness_commit(struct agent *a, const struct holder_effect *e);
void witness_read(struct agent *a, const struct holder_effect *e, enum question_type type); /* of OFFSETS and ACTIVE */
void witness_turn(struct agent *a);
void witness_answered(struct agent *a, const struct kafka_answer *answer);
void witness_close(struct agent *a);

/* life.c */
bool life_is_former(const struct agent *a, const char *instance);
void life_find(struct agent *a, const struct observed *o); /* a process that was not known */
void life_turn(struct agent *a);

/* report.c */
int64_t report_interval_ms(const struct agent *a);                       /* the larger the fleet, the longer */
void report_identify(const struct agent *a, struct report *r);           /* what every one says of the agent itself */
void report_send(struct agent *a, const struct report *r, bool awaited); /* awaited: the holder waits for its answer */
void report_answered(struct agent *a, const struct kafka_appended *appended);
void report_turn(struct agent *a);

/* name.c */
void name_turn(struct agent *a);
bool name_answered(struct agent *a, const struct kafka_answer *answer); /* true: it was for us */
const char *name_of_member(const struct agent *a);                      /* "": not known (yet) */

#endif
