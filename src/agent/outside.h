/*
 * outside - the member's half for an application that nobody has changed: all processes of a color are one member, with one valve.
 *
 *   holder                    the application                      the brokers
 *   COMMIT of a start         stopped                              group Empty: the offset is set there, with its mark
 *   ATTACH of the last one    STARTED, again and again             commits move on, or all is read to its end: the first position
 *   DETACH of any             STOPPED, again and again
 *   (drained)                                                      group Empty, twice; then what it has committed is read
 *   COMMIT of a release       stopped                              group Empty: the offset is set there, with its mark
 *   COMMIT of progress        runs                                 what it has committed is read
 *
 * What may be told and believed is core/whole.h; who carries the words is drive.h. The member's incarnation is its fleet's and
 * color's, for ever: an agent that comes up goes on in the name of the one before, whose application it has inherited with all that may
 * be at work there. Its reports are numbered from the wall clock on, so that what an agent says that was replaced is void.
 *
 * The end of the agent is not the end of the application: it goes on as it is. Silence is not consent, so a goodbye is said only by an
 * agent whose application has been proved to stand still.
 */
#ifndef AGENT_OUTSIDE_H
#define AGENT_OUTSIDE_H

#include "base/err.h"
#include "base/str.h"

struct agent;
struct holder_effect;
struct kafka_answer;

int outside_open(struct agent *a, struct errmsg *m);
void outside_close(struct agent *a);
void outside_carry_out(struct agent *a, const struct holder_effect *e);
void outside_turn(struct agent *a);
void outside_answered(struct agent *a, const struct kafka_answer *answer);
/* The end of the agent. */
void outside_end(struct agent *a);
/* ms until the next turn has work to do, as far as it knows. */
int outside_wait_ms(const struct agent *a);
const char *outside_unready(const struct agent *a);
/* For /v1/agent. */
void outside_state(struct str *ret, const struct agent *a);

#endif
