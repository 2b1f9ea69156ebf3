/*
 * limits - the bound of every array and text in the core, in one place.
 *
 * The simulation sets a few smaller ones beforehand (tests/sim/sim_limits.h): the same code, with shards from five partitions on.
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#ifndef BATONS_MAX
#define TOPICS_MAX 32      /* topics of a fleet */
#define BATONS_MAX 16384   /* partitions of a fleet */
#define SHARD_BATONS 512   /* batons in one record of the control log */
#define MEMBERS_MAX 512    /* members of a fleet, both colors */
#define SIGNALS_MAX 8      /* of a fleet's own, for the judge */
#define FINDINGS_MAX 64    /* findings of one preflight; more are counted, not kept */
#define CLAIM_MS_MAX 30000 /* from elected to leading */
#define CLAIM_REST_MS 1000 /* out of the election, after a failure */
#endif
#define SHARDS_MAX (BATONS_MAX / SHARD_BATONS)

#define FLEET_NAME_MAX 63  /* a DNS label, so that it fits into every orchestrator's names */
#define GROUP_NAME_MAX 255 /* Kafka's own bound is that of a string; this keeps records small */
#define TOPIC_NAME_MAX 249 /* Kafka: org.apache.kafka.common.internals.Topic */
#define VERSION_MAX 127    /* the label of a color: an image tag, a commit */
#define REASON_MAX 255
#define BY_MAX 127         /* who ordered it */
#define INCARNATION_MAX 36 /* random, 32 hex digits */
#define MEMBER_ID_MAX 255  /* Kafka's member id: client id + uuid */
#define CLIENT_ID_MAX 255
#define HOST_MAX 255
#define REQUEST_ID_MAX 63

#define STAGES_MAX 16
#define STAGE_NAMES_MAX 64 /* partitions named in the stages of a switch */
#define FLEETS_MAX 256

#endif
