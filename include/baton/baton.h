/*
 * baton.h - consume Kafka as one color of a fleet, and hand partitions over without loss or repetition.
 *
 * A fleet is one application that reads some topics. It runs in two colors, `blue` and `green`: the version that
 * works and the version that comes next. Both run side by side, each in a consumer group of its own. For every
 * partition exactly one color holds the *baton*, the right to process it; the operator passes batons (`baton switch
 * payments`), and this library obeys: a consumer gets a record from baton_poll() only if Kafka has assigned the
 * partition to it and its color holds the baton. A consumer of the other color stands by: it is a full member of its
 * group, gets no records, and takes over within milliseconds, at the very offset where the first one stopped.
 *
 * An application keeps to three rules and needs to know nothing else:
 *
 *   1. Process the records that baton_poll() gives, and no others.
 *   2. Call baton_done() for each when its effects are safe, and not before. Baton commits offsets; you never do.
 *   3. Call baton_close() before the process ends.
 *
 * A complete program:
 *
 *     #include <baton/baton.h>
 *     #include <signal.h>
 *     #include <stdio.h>
 *
 *     static volatile sig_atomic_t stop;
 *     static void on_signal(int number) { (void)number; stop = 1; }
 *
 *     int main(void)
 *     {
 *         struct baton_consumer *consumer;
 *         struct baton_record *records[100];
 *         char why[BATON_WHY_MAX];
 *         int count = 0;
 *
 *         signal(SIGTERM, on_signal);
 *         if (baton_new(&consumer) < 0)
 *             return 1;
 *         if (baton_set(consumer, "baton.fleet", "payments", why, sizeof(why)) < 0 ||
 *             baton_set(consumer, "baton.color", "blue", why, sizeof(why)) < 0 ||
 *             baton_set(consumer, "baton.version", "4.1.7", why, sizeof(why)) < 0 ||
 *             baton_set(consumer, "bootstrap.servers", "localhost:9092", why, sizeof(why)) < 0 ||
 *             baton_open(consumer, why, sizeof(why)) < 0) {
 *             fprintf(stderr, "%s\n", why);
 *             return 1;
 *         }
 *         while (!stop && (count = baton_poll(consumer, records, 100, 500)) >= 0) {
 *             for (int i = 0; i < count; i++) {
 *                 size_t len;
 *                 const char *value = baton_record_value(records[i], &len);
 *
 *                 printf("%.*s\n", (int)len, value ? value : "");
 *                 baton_done(records[i]);
 *             }
 *         }
 *         if (count < 0)
 *             fprintf(stderr, "%s\n", baton_error_text(count));
 *         baton_close(consumer, 10000);
 *         baton_free(consumer);
 *         return count < 0;
 *     }
 *
 *     cc payments.c $(pkg-config --cflags --libs libbaton)
 *
 * Topics, groups and where a new fleet begins stand in the fleet file (`baton fleet apply`), the same for every
 * consumer; so a program names only its fleet, its color, its version and its brokers. It may start before the fleet
 * exists: it says so in the log and waits.
 *
 * THREADS. baton_new(), baton_set() and baton_open() by one thread. From then on baton_poll(), baton_done(),
 * baton_get() and baton_close() by any number of threads at once. One record belongs to one thread at a time. The
 * library has a thread of its own (and librdkafka some), which keeps the group membership alive however long your
 * processing takes. No function may be called from a signal handler, nor in a child after fork() (exec at once, or
 * open consumers after the fork).
 *
 * ORDER. Records of a partition are handed out in the order of their offsets. With several polling threads two
 * records of one partition may be processed at the same time; if that must not be, set baton.in.flight.max to 1, or
 * poll in one thread and choose the worker by partition. baton_done() may come in any order: what is committed is the
 * offset below which all is done.
 *
 * OWNERSHIP. A record, and all that its accessors return, is yours from baton_poll() until baton_done(), after which
 * it must not be touched. No function keeps a pointer that you pass in, except baton_log_to() its opaque.
 *
 * IN FLIGHT is a record that baton_poll() has given and that is not done. When a baton is passed on, the partition
 * stops, and the pass waits for its records in flight: keep them few and short. A record that can never be done (a
 * poison pill) should go where your application keeps such, and then be done. There is no "failed": a record that is
 * not done holds its partition's commits, and after a crash Kafka delivers again from there on, to the same color.
 *
 * EXACTLY ONCE is between your store and you: within a color Kafka delivers at least once (after a crash). Keep
 * (fleet, topic, partition, offset) with what you write, as a unique key, in the same transaction. See
 * examples/orders.c.
 *
 * UNITS. Times are milliseconds, sizes bytes; option values are text ("30000", "true"). Strings are UTF-8, ended by
 * NUL, except keys and values of records, which are bytes with a length.
 *
 * ERRORS. A function that can fail returns 0 (or a count) or one of the negative numbers of `enum baton_error`. Those
 * with `why` also write a sentence there: what, where, how to mend. `why` may be NULL. Out of memory is an answer
 * (BATON_ERR_NOMEM), never the end of your process. Brokers that go away and come back are no error: the library says
 * so in the log and goes on.
 */
#ifndef BATON_BATON_H
#define BATON_BATON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BATON_API __attribute__((visibility("default")))

#define BATON_WHY_MAX 1024 /* a `why` of this size holds every sentence */

struct baton_consumer;
struct baton_record;

/* The numbers never change; new ones are added at the end. */
enum baton_error {
    BATON_OK = 0,
    BATON_ERR_NOMEM = -1,       /* out of memory */
    BATON_ERR_IO = -2,          /* the operating system refused: descriptors, threads */
    BATON_ERR_INVALID = -3,     /* an unknown option, a bad value, a bad argument */
    BATON_ERR_NOT_FOUND = -4,   /* no such thing */
    BATON_ERR_CORRUPT = -5,     /* a record of the control log is broken */
    BATON_ERR_CONFLICT = -6,    /* contradicts something else, such as the fleet file */
    BATON_ERR_DENIED = -7,      /* the brokers do not allow it: TLS, SASL, ACL */
    BATON_ERR_TIMEOUT = -8,     /* took longer than allowed */
    BATON_ERR_UNAVAILABLE = -9, /* no broker can be reached */
    BATON_ERR_TOO_LARGE = -10,  /* does not fit */
    BATON_ERR_NEWER = -11,      /* written by a newer Baton: update this library */
    BATON_ERR_STATE = -12,      /* not possible now: not opened yet, opened already */
    BATON_ERR_CLOSED = -13,     /* the consumer is closing or closed */
    BATON_ERR_KAFKA = -14,      /* Kafka refused for good; baton_get(consumer, "baton.why", ...) has the sentence */
    BATON_ERR_INTERNAL = -15    /* a mistake of this library: please report it */
};

/* Two or three words for an error number; never NULL. */
BATON_API const char *baton_error_text(int error);

/* The library's version, "0.1.0". */
BATON_API const char *baton_version(void);

/*
 * Making a consumer.
 *
 * baton_set() sets one option by its name. Names that begin with "baton." are Baton's own:
 *
 *   baton.fleet                 name of the fleet; must be given
 *   baton.color                 blue or green; must be given
 *   baton.version               label of what runs: an image tag, a commit; all consumers of a color should agree
 *   baton.control.prefix        put before the names of Baton's topics, if your operator set one
 *   baton.standby               how a consumer stands by: detached (default), or paused
 *   baton.in.flight.max         records in flight in one partition, 1 to 65536, rounded up to a power of two (1024)
 *   baton.commit.interval.ms    how often progress is committed, 10 to 60000 (1000); a hand-over never waits for it
 *   baton.revoke.timeout.ms     how long a rebalance waits for records in flight, 0 to 300000 (5000)
 *   baton.close.timeout.ms      what baton_close() takes when told -1, 0 to 3600000 (30000)
 *   baton.connect.timeout.ms    how long baton_open() tries to reach a broker, 100 to 600000 (10000)
 *   baton.report.interval.ms    how often it speaks to the controller when nothing changes, 500 to 10000 (1000);
 *                               in a fleet of more than 500 partitions less often, up to every 10 s
 *
 * baton_option() lists them with their defaults. Every other name is one of librdkafka's and goes there unchanged
 * ("bootstrap.servers", "security.protocol", "group.protocol", "partition.assignment.strategy", ...). A name that
 * neither knows is refused with the nearest one that exists. Some of librdkafka's belong to Baton and are refused
 * with the reason unless set to what Baton needs: enable.auto.commit (false), enable.auto.offset.store (false),
 * enable.partition.eof (true), auto.offset.reset (the fleet file says it). group.id is the fleet file's; set to
 * anything else, the consumer fails when it learns so.
 *
 * Four defaults differ from librdkafka's. fetch.wait.max.ms is 50 instead of 500: a partition that is handed over may
 * have to wait for a fetch that lingers at its broker; 50 keeps that short and costs an idle consumer 20 empty fetches
 * a second and broker. fetch.queue.backoff.ms is 10 instead of 1000: a consumer whose queue is full, as it is after
 * every backlog, would fetch nothing for a second and run dry. partition.assignment.strategy is cooperative-sticky
 * instead of range, so that a consumer that comes or goes stops only the partitions that move; all consumers of one
 * group must have the same. session.timeout.ms is the fleet file's, and may be set lower, not higher.
 */
BATON_API int baton_new(struct baton_consumer **ret);
BATON_API int baton_set(struct baton_consumer *consumer, const char *name, const char *value, char *why,
                        size_t why_size);

/* Baton's own option number `index`, from 0; BATON_ERR_NOT_FOUND past the last. *standard is "" where there is none. */
BATON_API int baton_option(int index, const char **name, const char **standard, const char **help);

/*
 * Checks the options, reaches a broker, starts the library's thread and returns; joining the group and learning who
 * holds what goes on in the background. After a failure the options may be mended and baton_open() called again.
 */
BATON_API int baton_open(struct baton_consumer *consumer, char *why, size_t why_size);

/*
 * Records, 1 to `max` of them, as soon as there is one; 0 when `timeout_ms` has passed without (-1: wait for ever). A
 * consumer that stands by gets 0 again and again: that is its work. BATON_ERR_CLOSED after baton_close() was called,
 * by whichever thread; BATON_ERR_NOMEM may be tried again; any other error is final and told here to every thread.
 */
BATON_API int baton_poll(struct baton_consumer *consumer, struct baton_record **ret, int max, int timeout_ms);

/*
 * The record's effects are safe: it need never be delivered again. Frees the record. Any thread, any order, also while
 * baton_close() waits and after it. baton_done_all() does the same for `count` records and is cheaper for many.
 */
BATON_API void baton_done(struct baton_record *record);
BATON_API void baton_done_all(struct baton_record *const *records, int count);

/*
 * The same as baton_done(), and the record counts as failed: it could not be processed as it should, and that has been
 * dealt with (it was skipped, or laid aside for somebody to look at). It is not delivered again. Baton compares how many
 * fail in the two colors. `failure` says what kind it was, in a word of letters, digits, '_', '-' and '.', at most 31 of
 * them: "timeout", "schema". A program can have seven kinds, what comes after them counts as "other"; NULL is "other".
 */
BATON_API void baton_failed(struct baton_record *record, const char *failure);

/*
 * The work on a record was broken off (the process that did it has died) and is going to begin anew: what it had done by
 * then may be done twice, by this color. Nothing changes for the record, which is still yours; the receipt of a
 * hand-over says how many of these its partition had since the color took it.
 */
BATON_API void baton_given_again(struct baton_record *record);

/*
 * The record cannot be processed now, and whoever has its partition next shall try: the other color, to which it is
 * being passed, or another member, or this program's next start. BATON_OK: its partition is being given away, and
 * begins there with this record; it is not yours any more. BATON_ERR_STATE: the partition stays, or a record behind it
 * is done or out; the record is still yours: try it again, and ask again now and then while it fails. So records of a
 * partition are given back from the last one to the first. Without this a record that fails in the old version only
 * keeps its partition from the version that mends it. Any thread; also while baton_close() waits.
 */
BATON_API int baton_give_back(struct baton_record *record);

/*
 * Stop, finish, commit, leave: nothing more is delivered; when the last record in flight is done (by other threads,
 * or before the call: a thread that keeps records undone waits for itself), progress is committed and the group is
 * left, so that others take over at once. Waits at most `timeout_ms` (-1: baton.close.timeout.ms) for records in
 * flight; then it leaves without them and returns BATON_ERR_TIMEOUT: they will be delivered again, to the same color.
 * BATON_ERR_KAFKA: Kafka had put this consumer out before. Called twice it answers the same; before baton_open(), 0.
 */
BATON_API int baton_close(struct baton_consumer *consumer, int timeout_ms);

/*
 * Closes with no patience if that was not done, and frees everything, records that are not done included. No other
 * thread may still use the consumer. NULL is fine.
 */
BATON_API void baton_free(struct baton_consumer *consumer);

/*
 * What a record is. Pointers are valid until baton_done(). A key or value that is absent (a tombstone) is NULL with
 * length 0; `len` may be NULL.
 */
BATON_API const char *baton_record_topic(const struct baton_record *record);
BATON_API int32_t baton_record_partition(const struct baton_record *record);
BATON_API int64_t baton_record_offset(const struct baton_record *record);
BATON_API const void *baton_record_key(const struct baton_record *record, size_t *len);
BATON_API const void *baton_record_value(const struct baton_record *record, size_t *len);
BATON_API int64_t baton_record_timestamp_ms(const struct baton_record *record); /* since 1970; -1: it has none */
/* Header number `index`, from 0; BATON_ERR_NOT_FOUND past the last. */
BATON_API int baton_record_header(const struct baton_record *record, int index, const char **name, const void **value,
                                  size_t *len);

/*
 * Under which right it was delivered. The epoch is that of the grant by which this color holds the partition: it only
 * grows, so a store that remembers the highest one per partition can refuse a writer that was cut off and came back.
 */
BATON_API const char *baton_record_fleet(const struct baton_record *record);
BATON_API const char *baton_record_color(const struct baton_record *record);
BATON_API uint64_t baton_record_epoch(const struct baton_record *record);

/*
 * What a consumer is at, as text: the value of any option that was set or has a default, and
 *
 *   baton.state        new | waiting (for the fleet's document) | joining | standby | active | fenced |
 *                      closing | closed | failed
 *   baton.why          what it waits for, or why it failed, as a sentence; "" when there is nothing to say
 *   baton.group        the Kafka group of its color        baton.member.id   Kafka's name for this member
 *   baton.incarnation  random name of this consumer        baton.applied     "<term>/<epoch>" of the document it obeys
 *   baton.assigned     partitions that Kafka assigns it    baton.active      those of them that it processes now
 *   baton.in.flight    records in flight                   baton.done        records done since it was opened
 *   baton.failed       those of them that failed
 *   baton.gated        records fetched that were not its to deliver
 *
 * Returns 0, BATON_ERR_NOT_FOUND for another name, BATON_ERR_TOO_LARGE when `ret` is too small.
 */
BATON_API int baton_get(struct baton_consumer *consumer, const char *name, char *ret, size_t ret_size);

/*
 * Where log lines go, for the whole process: `level` 0 debug, 1 info, 2 warning, 3 error; `event` is a short fixed
 * name ("active", "standby", "fleet_missing"), `text` the rest, "key=value ..." in one line. Called from any thread,
 * also from several at once; it must not call this library. Without it, or with NULL, lines of level info and above
 * go to stderr. Set it before the first consumer is made.
 */
typedef void baton_log_function(void *opaque, int level, const char *event, const char *text);
BATON_API void baton_log_to(baton_log_function *log, void *opaque, int level_least);

#ifdef __cplusplus
}
#endif

#endif
