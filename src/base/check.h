/*
 * check - assertions for our own mistakes, on in release builds.
 *
 * Never for input or I/O. A failed one prints the fact, file and line, and
 * aborts: state is in Kafka, and a wrong hand-over is worse than none.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define ASSERT(fact) ((fact) ? (void)0 : check_failed(#fact, __FILE__, __LINE__))

/* A state machine moved: the simulation counts which of its transitions the worlds have met. Nothing elsewhere. */
#ifdef BATON_SIM
void met(const char *machine, unsigned from, unsigned to);
#define MET(machine, from, to) met(machine, (unsigned)(from), (unsigned)(to))
#else
#define MET(machine, from, to) ((void)0)
#endif

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Memory that there must be: for programs that end when it runs out (STYLE section 4), never for libbaton's host. */
#define must(memory) check_memory(memory, __FILE__, __LINE__)

_Noreturn void check_failed(const char *fact, const char *file, int line);

static inline void *check_memory(void *memory, const char *file, int line)
{
    if (!memory)
        check_failed("out of memory", file, line);
    return memory;
}

/*
 * The simulation sets one to learn of a broken invariant; it must not return (longjmp). It is that of the
 * calling thread; NULL: print and abort again.
 */
void check_set_handler(void (*handler)(const char *fact, const char *file, int line));

#endif
