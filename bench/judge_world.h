/*
 * judge_world - made-up traffic for the judge: records, errors and latencies of a color, drawn from a seed.
 *
 * Errors may come in bursts: every ten seconds the chance of one is multiplied by a gamma variable of mean 1 and variance
 * 0.5. Latencies are lognormal. Header only, for the benchmark and the unit test.
 */
#ifndef BENCH_JUDGE_WORLD_H
#define BENCH_JUDGE_WORLD_H

#include <math.h>
#include <string.h>

#include "core/judge.h"

struct world {
    uint64_t random;
    double rate;   /* records a second */
    double errors; /* share that fails */
    bool bursty;
    double median_ms, sigma; /* of latency; 0: none */
    int64_t burst_until_ms;
    double burst;
};

static inline double world_uniform(struct world *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double world_normal(struct world *w)
{
    const double u = world_uniform(w), v = world_uniform(w);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static inline double world_poisson(struct world *w, double mean)
{
    double product = 1, limit, n = -1;

    if (mean > 500)
        return floor(mean + sqrt(mean) * world_normal(w) + 0.5); /* of traffic alone; bad ones are fewer */
    if (mean > 30)
        return world_poisson(w, mean / 2) + world_poisson(w, mean / 2);
    limit = exp(-mean);
    do {
        product *= world_uniform(w);
        n++;
    } while (product > limit);
    return n;
}

/* Gamma of shape 2 and mean 1: variance 0.5. */
static inline double world_gamma(struct world *w)
{
    return -0.5 * (log(world_uniform(w)) + log(world_uniform(w)));
}

/* One interval's figures; `worse` multiplies the share of errors, `slower` the latencies. */
static inline void world_figures(struct world *w, struct judge_figures *f, int64_t now_ms, int64_t interval_ms,
                                 double worse, double slower)
{
    const double records = world_poisson(w, w->rate * (double)interval_ms / 1000);
    double errors;

    if (now_ms >= w->burst_until_ms) {
        w->burst = w->bursty ? world_gamma(w) : 1;
        w->burst_until_ms = now_ms + 10000;
    }
    errors = world_poisson(w, records * w->errors * worse * w->burst);
    f->counted = true;
    f->records = records;
    f->errors = errors > records ? records : errors;
    f->latency_known = w->median_ms > 0;
    if (!f->latency_known)
        return;
    memset(&f->latency, 0, sizeof(f->latency));
    for (int i = 0; i < (int)records; i++)
        histogram_add(&f->latency, (int64_t)(1000 * w->median_ms * slower * exp(w->sigma * world_normal(w))), 1);
}

static inline void world_sample_init(struct judge_sample *s)
{
    memset(s, 0, sizeof(*s));
    for (int i = 0; i < SIGNALS_MAX; i++)
        s->of[BLUE].signals[i] = s->of[GREEN].signals[i] = NAN;
}

#endif
