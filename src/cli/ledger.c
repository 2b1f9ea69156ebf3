/*
 * ledger - see ledger.h.
 */
#include "cli/ledger.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit.h"

#define BUSY_MS 2000

void ledger_init(struct ledger *l, const char *path)
{
    *l = (struct ledger){ 0 };
    snprintf(l->path, sizeof(l->path), "%s", path);
}

void ledger_deinit(struct ledger *l)
{
    sqlite3_finalize(l->count);
    sqlite3_close(l->db);
    l->count = NULL;
    l->db = NULL;
}

/* Never creates it: a database that is not there belongs to a consumer that has not begun. */
static bool ledger_open(struct ledger *l)
{
    if (l->count)
        return true;
    if (!l->db && sqlite3_open_v2(l->path, &l->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        sqlite3_close(l->db);
        l->db = NULL;
        return false;
    }
    sqlite3_busy_timeout(l->db, 0);
    return sqlite3_prepare_v2(l->db, "SELECT count(*) FROM orders", -1, &l->count, NULL) == SQLITE_OK;
}

int64_t ledger_count(struct ledger *l)
{
    if (!ledger_open(l))
        return l->counted;
    if (sqlite3_step(l->count) == SQLITE_ROW)
        l->counted = sqlite3_column_int64(l->count, 0);
    sqlite3_reset(l->count);
    return l->counted;
}

int ledger_read(struct ledger *l, struct audit *audit, int consumer, struct errmsg *m)
{
    sqlite3_stmt *rows = NULL;
    int r, code = ERR_OK;

    if (!ledger_open(l))
        return ERR_OK; /* it never wrote anything */
    sqlite3_busy_timeout(l->db, BUSY_MS);
    if (sqlite3_prepare_v2(l->db, "SELECT partition, offset, placed FROM orders", -1, &rows, NULL) != SQLITE_OK)
        return err_set(m, ERR_IO, "read %s: %s", l->path, sqlite3_errmsg(l->db));
    while ((r = sqlite3_step(rows)) == SQLITE_ROW) {
        const char *placed = (const char *)sqlite3_column_text(rows, 2);
        int64_t number = -1;

        if (!placed || sscanf(placed, "{\"order\":%" SCNd64, &number) != 1)
            number = -1; /* the audit will find it strange */
        if (!audit_processed(audit, consumer, sqlite3_column_int(rows, 0), sqlite3_column_int64(rows, 1), number)) {
            code = err_set(m, ERR_TOO_LARGE, "read %s: more records than the audit has room for", l->path);
            break;
        }
    }
    if (code == ERR_OK && r != SQLITE_DONE)
        code = err_set(m, ERR_IO, "read %s: %s", l->path, sqlite3_errmsg(l->db));
    sqlite3_finalize(rows);
    return code;
}
