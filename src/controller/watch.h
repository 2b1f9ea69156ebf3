/*
 * watch - looks at a fleet once an interval, and tells the judge what it sees.
 *
 *   members' reports (metrics_tally) --+
 *   lag, from the brokers (metrics_lag) +--> one sample an interval --> judge --> verdict --> switcher
 *   Prometheus (prometheus) -----------+                |
 *                                                       +--> the last hour of samples: GET /v1/fleets/{fleet}/signals
 *
 * Only the leader watches. While nothing is under way the samples are the old color's baseline; from the moment a stage has
 * passed each is a look at the new one, until the switcher goes on. What could not be read is unknown in the sample: the judge
 * never takes silence for an answer. Of a switch under way the operation's record keeps what a new leader's judge needs to go on
 * (judge.h); a baseline for the next switch it gathers anew.
 */
#ifndef CONTROLLER_WATCH_H
#define CONTROLLER_WATCH_H

#include <stdint.h>

#include "core/types.h"

struct entry;
struct watch;
struct call;

/* What the leader before has seen of the active color; text NULL: nothing any more. */
void watch_inherit(struct entry *e, const char *text, size_t len);
void watch_disinherit(struct entry *e); /* the fleet is deleted */
void watch_tick(struct entry *e, int64_t now_ms);
void watch_free(struct entry *e);
/* How old the lag may be that it wants to see; 0: it does not look. */
int64_t watch_lag_ms(const struct entry *e);
void watch_get(struct entry *e, struct call *call);
/* A query with $color and the like filled in, and whom to ask; NULL: he cannot be asked. */
#define WATCH_QUERY_BYTES_MAX 4096
struct str;
struct controller;
struct prometheus;
void watch_query(struct str *ret, const struct entry *e, const char *query, enum color color);
struct prometheus *watch_prometheus(struct controller *c);
/* Signals of the fleet file: how many of the newest answers were figures. For the page. */
int watch_signals(const struct entry *e, int *ret_known);
/* For the preflight: signals of the active color that are unknown, and why. */
struct findings;
void watch_findings(const struct entry *e, struct findings *ret);

#endif
