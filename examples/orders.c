/*
 * orders - a small real consumer: writes the orders it reads from Kafka into SQLite, each exactly once.
 *
 *     orders FLEET COLOR BROKERS DATABASE [NAME=VALUE]...
 *     orders payments blue localhost:9092 orders.db baton.version=4.1.7
 *
 * A batch of records is one transaction. Where a record came from is the table's key, so a record that Kafka delivers
 * a second time (after a crash between the commit here and the commit there) changes nothing. The epoch is kept
 * beside it: it says under which grant of its color the order was written.
 */
#include <baton/baton.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 500

static const char schema[] = "PRAGMA journal_mode = WAL;"
                             "CREATE TABLE IF NOT EXISTS orders ("
                             "  topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,"
                             "  color TEXT NOT NULL, epoch INTEGER NOT NULL, placed TEXT,"
                             "  PRIMARY KEY (topic, partition, offset)) WITHOUT ROWID";
static const char insert[] = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "orders: %s: %s\n", what, why);
    exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

static void write_order(sqlite3 *db, sqlite3_stmt *statement, const struct baton_record *record)
{
    size_t len;
    const char *value = baton_record_value(record, &len);

    sqlite3_bind_text(statement, 1, baton_record_topic(record), -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, baton_record_partition(record));
    sqlite3_bind_int64(statement, 3, baton_record_offset(record));
    sqlite3_bind_text(statement, 4, baton_record_color(record), -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)baton_record_epoch(record));
    sqlite3_bind_text(statement, 6, value, (int)len, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        die("write an order", sqlite3_errmsg(db));
    sqlite3_reset(statement);
}

static struct baton_consumer *open_consumer(int argc, char **argv)
{
    const char *options[][2] = { { "baton.fleet", argv[1] },
                                 { "baton.color", argv[2] },
                                 { "bootstrap.servers", argv[3] } };
    struct baton_consumer *consumer;
    char why[BATON_WHY_MAX];

    if (baton_new(&consumer) < 0)
        die("start", "out of memory");
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (baton_set(consumer, options[i][0], options[i][1], why, sizeof(why)) < 0)
            die("option", why);
    for (int i = 5; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (!value)
            die(argv[i], "options are written NAME=VALUE");
        *value++ = '\0';
        if (baton_set(consumer, argv[i], value, why, sizeof(why)) < 0)
            die("option", why);
    }
    if (baton_open(consumer, why, sizeof(why)) < 0)
        die("open", why);
    return consumer;
}

int main(int argc, char **argv)
{
    struct baton_consumer *consumer;
    struct baton_record *records[BATCH];
    sqlite3_stmt *statement;
    sqlite3 *db;
    int count = 0;

    if (argc < 5)
        die("usage", "orders FLEET COLOR BROKERS DATABASE [NAME=VALUE]...");
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (sqlite3_open(argv[4], &db) != SQLITE_OK)
        die(argv[4], sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 10000);
    run(db, schema);
    if (sqlite3_prepare_v2(db, insert, -1, &statement, NULL) != SQLITE_OK)
        die("prepare", sqlite3_errmsg(db));
    consumer = open_consumer(argc, argv);

    while (!stop && (count = baton_poll(consumer, records, BATCH, 200)) >= 0) {
        if (count == 0)
            continue;
        run(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < count; i++)
            write_order(db, statement, records[i]);
        run(db, "COMMIT");
        baton_done_all(records, count); /* only now: the orders are on disk */
    }
    if (count < 0)
        fprintf(stderr, "orders: %s\n", baton_error_text(count));
    baton_close(consumer, -1);
    baton_free(consumer);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count < 0;
}
