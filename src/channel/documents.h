/*
 * documents - which records of the control log are a fleet's document, for whoever follows it: libbaton's thread and the agent.
 *
 * Which of them count, and which has to wait, is core/uptake's to say; this parses them and keeps the text of the head that waits.
 */
#ifndef CHANNEL_DOCUMENTS_H
#define CHANNEL_DOCUMENTS_H

#include "core/fleet.h"
#include "core/uptake.h"
#include "kafka/log.h"

/* A document to apply, and how far the log has been read with it. `doc` is valid during the call. */
typedef void documents_take(void *opaque, const struct doc *doc, int64_t offset, int64_t position);
/* A record that cannot be read; `code` ERR_NEWER: a newer Baton wrote it. */
typedef void documents_trouble(void *opaque, int64_t offset, int code, const char *why);

struct documents {
    const char *name;          /* the fleet's; these five are the caller's to set before documents_open() */
    const struct fleet *fleet; /* the document as it was taken so far */
    documents_take *take;
    documents_trouble *trouble;
    void *opaque;

    struct uptake uptake;
    char *head; /* text of the head that waits, NULL: none */
    size_t head_len;
    int64_t head_offset;
    struct doc doc; /* of the record that is being read */
};

int documents_open(struct documents *d); /* ERR_NOMEM */
void documents_close(struct documents *d);
/* The next record of the log; `position` is where the log stands behind it. ERR_NOMEM: the record was not taken. */
int documents_read(struct documents *d, const struct kafka_record *rec, int64_t position);
/* How far the log counts as read: barriers wait at the first record that could not be read. */
int64_t documents_read_to(const struct documents *d, int64_t position);

#endif
