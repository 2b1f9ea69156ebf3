/*
 * settle - gives back the memory that only the start needed.
 *
 * A controller idles for weeks. Opening four handles of librdkafka, TLS libraries and their dependencies touches many
 * pages of program text and constants once; the kernel keeps them mapped as long as there is memory, so that the
 * process seems twice as large as what it works with. They are clean pages of files: unmapped, they come back from
 * the page cache when somebody runs through them again. So once the log is replayed, free heap is trimmed and such
 * pages are let go.
 */
#ifndef CONTROLLER_SETTLE_H
#define CONTROLLER_SETTLE_H

/* Best effort: what cannot be given back stays. Safe with other threads at work. */
void memory_settle(void);

#endif
