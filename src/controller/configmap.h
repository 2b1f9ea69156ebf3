/*
 * configmap - keeps every fleet's part of the control log in a ConfigMap, and answers what members ask in theirs (kube/names.h).
 *
 * The same as keeper.h over another notice board: the controller that leads is the source, Kafka's log the truth. A fleet's
 * ConfigMap is replaced as a whole, with the resourceVersion that this controller knows, one write at a time, the
 * newest state alone. When somebody else has written it (409, or another resourceVersion at the look every two seconds), the
 * writer reads what stands there and gives way when that is ahead of its own log: then it is this one that is stale. The position
 * guards that more strictly than the term beside it would, since a record of a later term has a later offset. A ConfigMap
 * that is ahead of the log's very end was made from a log that is gone, and is written over.
 *
 * A controller that does not lead writes nothing of its own accord. But when it sees a request that nobody answers, it answers
 * it, and writes what that needs: so members are answered while there is no leader, too.
 *
 * A document that is larger than a ConfigMap can be is not written at all; what stood there stays, its members wait, and a plan says so. A plan and
 * whoever makes or changes the fleet are told before, too: how large can it become?
 *
 * Three threads talk to the API server: one watches for requests, one writes fleets, one answers. configmap_turn()
 * exchanges with them what is to be done and what came of it. asks.h says what members may ask.
 */
#ifndef CONTROLLER_CONFIGMAP_H
#define CONTROLLER_CONFIGMAP_H

#include "controller/feed.h"
#include "core/plan.h"
#include "kube/client.h"

struct configmaps;
/* Fails for a wrong configuration only: a server that cannot be reached is tried again and again, and said. */
int configmaps_open(struct configmaps **ret, struct controller *c, const struct kube_config *config, struct errmsg *m);
void configmaps_turn(struct configmaps *k);
void configmaps_close(struct configmaps *k); /* no request of it may be under way any more: after all are answered */
/* So many at the most, while its partitions are passed one by one. */
size_t configmaps_bytes_most(const struct fleet *fleet);
/* What is wrong: no right to write, a server that is not there, a fleet that does not fit, or will not in the midst of a switch. */
void configmaps_findings(struct configmaps *k, const struct fleet *fleet, struct findings *ret);

#endif
