/*
 * keys - the names that controllers and members use in a Redis; docs/channels.md shows them to operators, for their ACLs.
 *
 *   {prefix}baton:log:{fleet}    stream: the newest record of each key of the fleet's part of the control log
 *   {prefix}baton:requests       list: what members ask of the controller that leads
 *   {prefix}baton:bell:{fleet}   channel: the stream has changed (nothing is in the message)
 *   {prefix}baton:answer:{id}    channel: answers to one member
 *
 * An entry of the stream has its record's offset in its id: "OFFSET-1". The last one is the position, "POSITION-0": all of
 * the fleet's records below it are there. So the stream is in log order, and one read from an id on is all there is to know.
 *
 *   OFFSET-1    record KEY text TEXT
 *   OFFSET-1    gone KEY
 *   POSITION-0  position TERM edition EDITION     another edition: the stream was written anew, as a whole
 *
 * A request is a line "ID NUMBER report FLEET" or "ID NUMBER end FLEET", then the report itself. Its answer: a line
 * "NUMBER STATUS EDITION", then what the same request over HTTP is answered with. An end is answered when the stream has it:
 * the one of this edition, and no other.
 */
#ifndef REDIS_KEYS_H
#define REDIS_KEYS_H

#define REDIS_KEY_MAX 400

#define REDIS_LOG "baton:log:"
#define REDIS_BELL "baton:bell:"
#define REDIS_ANSWER "baton:answer:"
#define REDIS_REQUESTS "baton:requests"

#define REDIS_REQUESTS_MAX 10000 /* of the list: the oldest go, their members ask again */
#define REDIS_REQUESTS_LAST_S 30 /* a list that nobody takes from does not stay */
#define REDIS_ANSWER_ID_LEN 32   /* hex digits */

#endif
