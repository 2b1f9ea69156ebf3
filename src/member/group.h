/*
 * group - the membership in the color's Kafka group: joining it as the fleet's document says, and the events of its
 * handle.
 */
#ifndef MEMBER_GROUP_H
#define MEMBER_GROUP_H

#include "member/consumer.h"

/* The library's thread, without the lock, all of them. */

/* Opens the group's handle with the document's settings and subscribes; also when the document has gained topics. */
int group_join(struct baton_consumer *c, struct errmsg *m);
/* Can this document be obeyed by a consumer that has joined? Not when its group or topics are no longer the same. */
int group_fits(const struct baton_consumer *c, const struct fleet *next, struct errmsg *m);
/* Everything that has come on the group's handle. */
void group_events(struct baton_consumer *c);
void group_release(struct baton_consumer *c);

#endif
