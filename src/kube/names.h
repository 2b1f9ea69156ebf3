/*
 * names - what controllers and members call their ConfigMaps in a Kubernetes namespace; docs/configmap.md shows them to
 * operators, for their Roles.
 *
 *   {prefix}baton-{fleet}         label baton.dev/kind: fleet
 *     log                         the newest record of each key of the fleet's part of the control log: board.h
 *     annotations baton.dev/edition, baton.dev/position, baton.dev/term: what log's first line says
 *   {prefix}baton-member-{id}     label baton.dev/kind: member; one a process, made and deleted by it
 *     request                     "NUMBER report FLEET" or "NUMBER end FLEET", a line end, then the report itself
 *     answer                      "NUMBER STATUS EDITION", a line end, then what the same request over HTTP is answered with
 *
 * The controller that leads writes the first with the resourceVersion that it knows. Of the second the member writes
 * `request` and a controller `answer`, each by a patch of its own key: the newest of each is all there is to know. An
 * end is answered when the fleet's ConfigMap has it: the one of this edition, and no other.
 */
#ifndef KUBE_NAMES_H
#define KUBE_NAMES_H

#define KUBE_NAME_MAX 253 /* of an object */

#define KUBE_FLEET "baton-"
#define KUBE_MEMBER "baton-member-"
#define KUBE_MEMBER_ID_LEN 32 /* hex digits */

#define KUBE_KIND "baton.dev/kind"
#define KUBE_EDITION "baton.dev/edition"
#define KUBE_POSITION "baton.dev/position"
#define KUBE_TERM "baton.dev/term"

#define KUBE_LOG "log"
#define KUBE_REQUEST "request"
#define KUBE_ANSWER "answer"

#endif
