/*
 * relay - what the ways have in common on which somebody else reads and writes Baton's topics for the member.
 *
 * Two threads, each with blocking calls: one lines up the records that come, the other posts reports and asks for the
 * log's end, one after the other, so that reports keep their order. The member's thread only takes from queues and puts
 * into them. How bytes travel is the way's own (http.c, redis.c, configmap.c): three functions.
 *
 * Positions only grow: a source that is behind the one before repeats what is known, and its positions count once they
 * are news. The end of a log never lies below a position that was seen. When it does, the topic has been made anew: the log
 * is handed out again from its beginning, and channel_poll() says so.
 */
#ifndef CHANNEL_RELAY_H
#define CHANNEL_RELAY_H

#include <pthread.h>
#include <stdbool.h>

#include "channel/channel.h"

#define RELAY_REQUEST_MS_MAX 3000
#define RELAY_CONNECT_MS_MAX 1000
#define RELAY_QUESTIONS_MAX 64

struct relay;
struct relay_ops {
    /* Puts records until relay_wants(generation) is false, then ERR_OK; an error is trouble, and it is called again. Each time
     * it begins with the newest record of each key. */
    int (*stream)(struct relay *r, int generation, struct errmsg *m);
    /* One report, until it stands in baton.reports. */
    int (*post)(struct relay *r, const char *json, size_t len, struct errmsg *m);
    int (*end)(struct relay *r, int64_t *ret, struct errmsg *m);
};

enum relay_question_state { QUESTION_FREE, QUESTION_NEW, QUESTION_ASKED, QUESTION_ANSWERED, QUESTION_FAILED };
struct relay_question {
    enum relay_question_state state;
    uint64_t token;
    int64_t deadline_ms;
    int64_t end;        /* of QUESTION_ANSWERED */
    uint64_t put_count; /* what had been put by then */
};

/* The first member of a way's own struct. */
struct relay {
    struct channel channel; /* first */
    const struct relay_ops *ops;
    struct kafka_handle handle;
    bool handle_open;
    char fleet[FLEET_NAME_MAX + 1];
    int wake_fd;
    pthread_t stream_thread, request_thread;
    bool stream_runs, request_runs;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int generation; /* of the stream: raised, the one that runs ends, and what it still brings is thrown away */
    struct relay_item *items, **items_end;
    size_t item_bytes;
    uint64_t put_count, taken_count; /* items so far */
    struct relay_post *posts, **posts_end;
    bool posting;
    struct relay_acked *acks, **acks_end;
    struct relay_question questions[RELAY_QUESTIONS_MAX];
    bool restarted; /* to be told by the next poll */
    int64_t position;
    int64_t trouble_ms; /* since when; 0: none */
    int trouble_error;
    bool trouble_told;
    char trouble[512];
};

/* --- for the life of a way ---------------------------------------------------------------------------------------- */

void relay_init(struct relay *r, const struct channel_ops *channel, const struct relay_ops *ops,
                const struct channel_config *config);
/* The end of a way's open(): its threads run from here on. What cannot be opened is closed. */
int relay_open(struct channel **ret, struct relay *r, const struct channel_config *config, struct errmsg *m);
/* Gives reports that are on their way flush_ms; then nothing of it runs any more. */
void relay_stop(struct relay *r, int flush_ms);
void relay_deinit(struct relay *r);
/* Do the brokers answer? Members need them whatever the way. */
int relay_brokers_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m);
/* The reach() of a way on which a question is to be asked and answered; `why` when nothing else is known to be wrong. */
int relay_reach(const struct channel_ops *way, const struct channel_config *config, int timeout_ms, const char *name,
                const char *why, struct errmsg *m);

/* --- for its threads ---------------------------------------------------------------------------------------------- */

/* Each false: the stream is to end. `value` NULL: gone. Copies. */
bool relay_wants(struct relay *r, int generation);
bool relay_put(struct relay *r, int generation, int64_t offset, const char *key, size_t key_len, const char *value,
               size_t value_len);
bool relay_put_position(struct relay *r, int generation, int64_t position);
/* The stream begins anew. */
void relay_leave(struct relay *r);
/* What was put and is not taken yet is not to be: what follows says it again. */
void relay_drop(struct relay *r);
bool relay_stopping(struct relay *r);
void relay_trouble(struct relay *r, int error, const char *text);
void relay_good(struct relay *r); /* trouble is over */
/* The thread sleeps until something changes, or so long. */
void relay_rest(struct relay *r, int64_t ms);
/* The same under the lock, until so late: for who then looks again at what it waits for. */
void relay_wait(struct relay *r, int64_t until_ms);
/* What a controller answered, by HTTP's status: ERR_OK, or its refusal as a sentence. ret_end may be NULL. */
int relay_answer(int status, const char *body, size_t len, int64_t *ret_end, struct errmsg *m);

/* --- of struct channel_ops ---------------------------------------------------------------------------------------- */

int relay_poll(struct channel *c, int max, void (*on_record)(void *opaque, const struct kafka_record *rec),
               void *opaque, struct errmsg *m);
int64_t relay_position(const struct channel *c);
void relay_ask_end(struct channel *c, uint64_t token, int timeout_ms);
enum kafka_end relay_end(struct channel *c, uint64_t token, int64_t *ret_end);
int relay_report(struct channel *c, uint64_t token, const char *key, const char *json, size_t len, struct errmsg *m);
bool relay_reported(struct channel *c, struct kafka_appended *ret);
struct kafka_handle *relay_handle(struct channel *c);
int relay_in_trouble(struct channel *c, struct errmsg *m);

/* The functions of a way over a relay. */
#define RELAY_CHANNEL                                                                           \
    .poll = relay_poll, .position = relay_position, .ask_end = relay_ask_end, .end = relay_end, \
    .report = relay_report, .reported = relay_reported, .handle = relay_handle, .trouble = relay_in_trouble

#endif
