/*
 * baton-sim - runs simulated worlds; a broken one is printed with its seed, then made smaller, and ends the run.
 *
 * Named worlds and random ones take turns; every seed that ever failed comes first (tests/sim/seeds). The last line is one object
 * of JSON with the figures.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coverage.h"
#include "world.h"

#define RANDOM_PER_NAMED 9        /* of ten worlds one is a named one */
#define COVERAGE_WORLDS_MIN 50000 /* as many are enough to meet everything */

struct sums {
    int64_t worlds, broken, records, completed, rolled_back, need_operator, refused, failovers, listed, in_color,
        faults, events, whole, home_ms_max;
};

struct options {
    const struct world_config *only;
    bool random_only, trace, keep_going, coverage, no_shrink;
    bool seed_given;
    uint64_t seed;
    int64_t worlds, seconds;
    const char *seeds;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void broke(const struct world_config *config, const struct world_result *r, bool shrink)
{
    struct world_config small;
    struct world_result again;

    printf("BROKEN: baton-sim --world %s --seed %" PRIu64 " --trace\n  %s (%s)\n", config->name, r->seed, r->broken,
           r->where);
    fflush(stdout);
    if (!shrink)
        return;
    world_shrink(&small, config, r->seed, r->broken);
    world_run(&again, &small, r->seed, false);
    printf("as small as it still breaks, %s (%s):\n  ", again.broken, again.where);
    world_print(&small);
    fflush(stdout);
}

static void run(const struct world_config *config, uint64_t seed, const struct options *o, struct sums *s)
{
    struct world_config drawn;
    struct world_result r;

    if (!config) {
        world_draw(&drawn, seed);
        config = &drawn;
    }
    world_run(&r, config, seed, o->trace);
    s->worlds++;
    s->records += r.records;
    s->completed += r.completed;
    s->rolled_back += r.rolled_back;
    s->need_operator += r.need_operator;
    s->refused += r.refused;
    s->failovers += r.failovers;
    s->listed += r.repeats_listed;
    s->in_color += r.repeats_in_color;
    s->faults += r.faults;
    s->events += r.events;
    s->whole += r.whole > 0;
    if (r.home_ms_max > s->home_ms_max)
        s->home_ms_max = r.home_ms_max;
    if (!r.broken)
        return;
    s->broken++;
    if (o->trace) {
        struct world_config small;

        world_shrink(&small, config, seed, r.broken);
        printf("--- the same, as small as it still breaks:\n");
        world_run(&r, &small, seed, true);
        world_print(&small);
    } else {
        broke(config, &r, !o->no_shrink);
    }
}

/* Lines of "WORLD SEED"; # begins a comment. */
static int run_seeds(const struct options *o, struct sums *s)
{
    FILE *f = o->seeds ? fopen(o->seeds, "r") : NULL;
    char line[256], name[64];
    uint64_t seed;

    if (o->seeds && !f) {
        perror(o->seeds);
        return -1;
    }
    while (f && fgets(line, sizeof(line), f)) {
        if (line[0] == '#' || sscanf(line, "%63s %" SCNu64, name, &seed) != 2)
            continue;
        if (strcmp(name, "random") != 0 && !world_named(name)) {
            fprintf(stderr, "%s: there is no world \"%s\"\n", o->seeds, name);
            fclose(f);
            return -1;
        }
        run(world_named(name), seed, o, s);
    }
    if (f)
        fclose(f);
    return 0;
}

static int usage(int code)
{
    FILE *to = code ? stderr : stdout;

    fprintf(to, "usage: baton-sim [OPTION]...\n"
                "  --worlds N      so many worlds\n"
                "  --seconds N     for so long\n"
                "  --world NAME    only this one; \"random\": only random ones\n"
                "  --seed N        the first seed; alone: only that world\n"
                "  --fresh         seeds that nobody has seen, from the clock\n"
                "  --seeds FILE    first the worlds of this file, lines of \"NAME SEED\"\n"
                "  --trace         tell the story of each world, and of the shrunk one when it breaks\n"
                "  --keep-going    after a broken world, too\n"
                "  --no-shrink     do not look for a smaller world that still breaks\n"
                "  --coverage      print how often each fault, transition and pair was met\n"
                "exit code: 0 all held, 1 a world broke or something was never met, 2 usage\nworlds:");
    for (int i = 0; i < world_count(); i++)
        fprintf(to, " %s", world_at(i)->name);
    fputc('\n', to);
    return code;
}

static int parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;

        if (strcmp(argv[i], "--trace") == 0)
            o->trace = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            o->keep_going = true;
        else if (strcmp(argv[i], "--coverage") == 0)
            o->coverage = true;
        else if (strcmp(argv[i], "--no-shrink") == 0)
            o->no_shrink = true;
        else if (strcmp(argv[i], "--fresh") == 0)
            o->seed = (uint64_t)time(NULL) * 1000003u;
        else if (!value)
            return -1;
        else if (strcmp(argv[i], "--world") == 0) {
            o->random_only = strcmp(value, "random") == 0;
            o->only = world_named(value);
            if (!o->only && !o->random_only)
                return -1;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            o->seeds = value;
            i++;
        } else {
            const uint64_t number = strtoull(value, &end, 10);

            if (*end || end == value)
                return -1;
            if (strcmp(argv[i], "--seed") == 0) {
                o->seed = number;
                o->seed_given = true;
            } else if (strcmp(argv[i], "--worlds") == 0) {
                o->worlds = (int64_t)number;
            } else if (strcmp(argv[i], "--seconds") == 0) {
                o->seconds = (int64_t)number;
            } else {
                return -1;
            }
            i++;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1 };
    struct sums s = { 0 };
    double began, took, cpu;
    int missing = 0, unmet;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (parse(&o, argc, argv) < 0)
        return usage(2);
    if (o.seed_given && !o.worlds && !o.seconds)
        o.worlds = 1;
    if (!o.worlds && !o.seconds)
        o.worlds = 4000;
    began = now_s();
    if (run_seeds(&o, &s) < 0)
        return 2;
    for (int64_t n = 0; (!s.broken || o.keep_going) && (!o.worlds || n < o.worlds) &&
                        (!o.seconds || now_s() - began < (double)o.seconds);
         n++) {
        const bool named =
            !o.random_only && !o.only && !(o.seed_given && o.worlds == 1) && n % (RANDOM_PER_NAMED + 1) == 0;
        const int64_t turn = n / (RANDOM_PER_NAMED + 1);

        run(o.only ? o.only : named ? world_at((int)(turn % world_count())) : NULL, o.seed + (uint64_t)n, &o, &s);
    }
    took = now_s() - began;
    cpu = (double)clock() / CLOCKS_PER_SEC; /* what others take of the machine does not count */
    if (o.coverage || (s.worlds >= COVERAGE_WORLDS_MIN && !o.only))
        missing = coverage_print(stdout, o.coverage);
    unmet = s.worlds < COVERAGE_WORLDS_MIN || o.only ? 0 : missing; /* so few need not have met everything */

    printf("%" PRId64 " passed, %" PRId64 " failed\n", s.worlds - s.broken, s.broken + (unmet > 0));
    printf(
        "{\"sim\":{\"worlds\":%" PRId64 ",\"broken\":%" PRId64
        ",\"seconds\":%.1f,\"worlds_per_second\":%.0f,\"worlds_per_cpu_second\":%.0f,\"with_a_whole_switch\":%" PRId64
        ",\"events\":%" PRId64 ",\"faults\":%" PRId64 ",\"records\":%" PRId64 ",\"completed\":%" PRId64
        ",\"rolled_back\":%" PRId64 ",\"needs_operator\":%" PRId64 ",\"refused\":%" PRId64 ",\"failovers\":%" PRId64
        ",\"repeats_listed\":%" PRId64 ",\"repeats_in_color\":%" PRId64 ",\"rest_ms_max\":%" PRId64
        ",\"never_met\":%d}}\n",
        s.worlds, s.broken, took, (double)s.worlds / (took > 0 ? took : 1), (double)s.worlds / (cpu > 0 ? cpu : 1),
        s.whole, s.events, s.faults, s.records, s.completed, s.rolled_back, s.need_operator, s.refused, s.failovers,
        s.listed, s.in_color, s.home_ms_max, missing);
    return s.broken > 0 || unmet > 0;
}
