/*
 * options - what a program sets by name: Baton's own in one table, the rest librdkafka's.
 *
 * The table gives each option's type, bounds, default as a user would write it, and sentence of help; baton_set(),
 * baton_get() and baton_option() read it. A name that is not ours goes to librdkafka unchanged, except those that
 * Baton must own: they are refused, with the reason, unless they are set to what Baton needs.
 */
#ifndef MEMBER_OPTIONS_H
#define MEMBER_OPTIONS_H

#include "channel/channel.h"
#include "core/spec.h"

enum standby { STANDBY_DETACHED, STANDBY_PAUSED };

#define PREFIX_MAX 63
#define CONTROLLERS_TEXT_MAX 2047
#define FILE_NAME_MAX 1023

struct options {
    char fleet[FLEET_NAME_MAX + 1];
    enum color color;
    bool color_given;
    char version[VERSION_MAX + 1];
    char prefix[PREFIX_MAX + 1];
    enum standby standby;
    enum channel_kind channel;
    char controllers[CONTROLLERS_TEXT_MAX + 1], token_file[FILE_NAME_MAX + 1], ca_file[FILE_NAME_MAX + 1];
    char configmap[CONTROLLERS_TEXT_MAX + 1], configmap_token_file[FILE_NAME_MAX + 1];
    char redis[CONTROLLERS_TEXT_MAX + 1], redis_password_file[FILE_NAME_MAX + 1], redis_cert_file[FILE_NAME_MAX + 1];
    int64_t in_flight_max; /* a power of two */
    int64_t commit_interval_ms;
    int64_t revoke_timeout_ms;
    int64_t close_timeout_ms;
    int64_t connect_timeout_ms;
    int64_t report_interval_ms;
    struct kafka_settings *kafka; /* all that is librdkafka's */
};

/* Defaults; options_deinit() takes a half-built one. */
int options_init(struct options *o, struct errmsg *m);
void options_deinit(struct options *o);
int options_set(struct options *o, const char *name, const char *value, struct errmsg *m);
/* ERR_NOT_FOUND: no such option, or one of librdkafka's that was not set. ERR_TOO_LARGE: does not fit. */
int options_get(const struct options *o, const char *name, char *ret, size_t ret_size);
/* The option number `index` of the table; false past the last. */
bool options_describe(int index, const char **name, const char **standard, const char **help);
/* What must be given is; what contradicts is named. */
int options_check(const struct options *o, struct errmsg *m);

/* KIP-848: the broker assigns partitions and rules the session. */
bool options_server_side(const struct options *o);
/* The name of the assignor, for reports: "cooperative-sticky", "range,roundrobin", "consumer" ... */
const char *options_assignor(const struct options *o);
/* What the group knows the consumer by: the program's client.id, else "<fleet>-<color>". */
void options_client_id(const struct options *o, char *ret, size_t ret_size);
/*
 * Settings for the main consumer of this fleet: the program's, completed with the fleet file's group and session
 * time-out and with what Baton owns. Refuses a group.id or a session.timeout.ms that the fleet file contradicts. The
 * caller frees *ret.
 */
int options_consumer(const struct options *o, const struct spec *spec, struct kafka_settings **ret, struct errmsg *m);
/* How long without a sign of the coordinator until the member must stop by itself (PROTOCOL rule 11). */
int64_t options_session_ms(const struct options *o, const struct spec *spec);

#endif
