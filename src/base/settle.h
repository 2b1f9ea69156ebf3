/*
 * settle - lets go of the file pages that only the start, or a switch, has needed.
 *
 * What it does: clean pages of program text and constants are unmapped (madvise), and the heap's free end is given
 * back (malloc_trim). A controller does it some seconds after its start and every quarter of an hour, an agent after its start and
 * after each change of the document. What it does not: it frees nothing
 * that is in use, and it does not make Baton need less; whatever runs again comes back from the page cache, and under
 * pressure the kernel would take the same pages by itself. It makes the resident size say what an idle process works
 * with.
 *
 * Measured of a controller with 64 partitions and four members on a real Kafka: 13.3 MB after the start, of which 9.4 MB are pages of
 * files (3.0 MB libcrypto, which librdkafka initialises with TLS or without); 7.4 MB after this. Its own memory, 3.8 MB,
 * stays: one malloc arena instead of eight saves 0.2 MB of it, so there is no setting for that.
 */
#ifndef BASE_SETTLE_H
#define BASE_SETTLE_H

/* Best effort: what cannot be given back stays. Safe with other threads at work. */
void memory_settle(void);

#endif
