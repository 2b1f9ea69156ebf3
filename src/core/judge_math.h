/*
 * judge_math - the few numbers that the judge's parts share.
 */
#ifndef CORE_JUDGE_MATH_H
#define CORE_JUDGE_MATH_H

#include <math.h>
#include <stdbool.h>

#define SHARE_FLOOR 1e-4 /* no share below it is told apart */
#define SHARE_CEILING 0.95
#define LOG_MAX 700.0 /* exp() of more is no number */

static inline bool signal_known(double level)
{
    return level > -1e15 && level < 1e15;
}

static inline bool sane(double v)
{
    return v >= 0 && v < 1e15; /* false for NAN */
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

static inline double within(double share)
{
    return smaller(larger(share, SHARE_FLOOR), SHARE_CEILING);
}

/* Wilson's bounds of a share, x of n at z standard errors; upper or lower. */
static inline double wilson(double x, double n, double z, int side)
{
    const double p = x / n, zz = z * z;

    return (p + zz / (2 * n) + side * z * sqrt(p * (1 - p) / n + zz / (4 * n * n))) / (1 + zz / n);
}

/* The z above which a normal value lies with the chance `tail` (0 .. 0.5); good to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
static inline double normal_tail(double tail)
{
    const double t = sqrt(-2 * log(tail));

    return t -
           (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
}

static inline double log_add(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;

    return high + log1p(exp(low - high));
}

static inline double log_mean(const double *logs, int count)
{
    double sum = logs[0];

    for (int i = 1; i < count; i++)
        sum = log_add(sum, logs[i]);
    return sum - log(count);
}

static inline double cap(double log_stake)
{
    return log_stake > LOG_MAX ? LOG_MAX : log_stake < -LOG_MAX ? -LOG_MAX : log_stake;
}

/* `times` the odds of p. Below 1 for every p below 1; for a small p the same as `times` p. */
static inline double odds_times(double p, double times)
{
    return times * p / (1 - p + times * p);
}

/* How much likelier x bad of n are at p1 than at p0. */
static inline double log_likelihood(double x, double n, double p0, double p1)
{
    return x * log(p1 / p0) + (n - x) * log((1 - p1) / (1 - p0));
}

#endif
