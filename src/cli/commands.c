/*
 * commands - the two tables from which everything about the command line is made.
 *
 * A new option is one line here and one name in args.h; a new command is one entry and one function.
 */
#include "cli/cli.h"

#include "base/check.h"

/* Tables, one thought a line. */
/* clang-format off */

#define BIT OPTION_BIT

#define OPT(id_, name_, letter_, value_) .id = id_, .name = name_, .letter = letter_, .value = value_

const struct option options[OPT_COUNT] = {
    [OPT_SERVER] = { OPT(OPT_SERVER, "server", 0, "URL"), .everywhere = true, .env = "BATON_SERVER",
        .help = "A controller to ask; http://127.0.0.1:8080 when neither this nor --bootstrap is given." },
    [OPT_BOOTSTRAP] = { OPT(OPT_BOOTSTRAP, "bootstrap", 0, "HOST:PORT"), .everywhere = true, .env = "BATON_BOOTSTRAP",
        .help = "Kafka brokers: work straight on the control log. The command leads by itself when no controller "
                "does, else it hands its order to the one that leads." },
    [OPT_CONFIG] = { OPT(OPT_CONFIG, "config", 0, "FILE"), .everywhere = true, .env = "BATON_CONFIG",
        .complete = COMPLETE_FILE,
        .help = "librdkafka properties, name=value a line (security.protocol, sasl.mechanisms, ssl.ca.location ...)." },
    [OPT_PROPERTY] = { OPT(OPT_PROPERTY, "property", 'X', "NAME=VALUE"), .many = true, .everywhere = true,
        .help = "One librdkafka property; wins over --config." },
    [OPT_PREFIX] = { OPT(OPT_PREFIX, "prefix", 0, "TEXT"), .everywhere = true, .env = "BATON_PREFIX",
        .help = "Put before the names of Baton's own topics and group, to keep installations apart on one cluster." },
    [OPT_TOKEN_FILE] = { OPT(OPT_TOKEN_FILE, "token-file", 0, "FILE"), .everywhere = true, .env = "BATON_TOKEN_FILE",
        .complete = COMPLETE_FILE, .help = "The controller's token, one line of at least 16 characters." },
    [OPT_CA_FILE] = { OPT(OPT_CA_FILE, "ca-file", 0, "FILE"), .everywhere = true, .env = "BATON_CA_FILE",
        .complete = COMPLETE_FILE, .help = "Certificates that sign a https:// controller's, instead of the system's." },
    [OPT_OUTPUT] = { OPT(OPT_OUTPUT, "output", 'o', "FORMAT"), .everywhere = true, .choices = "table|json",
        .complete = COMPLETE_CHOICES, .help = "Form of what is printed to standard output." },
    [OPT_NO_COLOR] = { OPT(OPT_NO_COLOR, "no-color", 0, NULL), .everywhere = true,
        .help = "No colors on a terminal; NO_COLOR in the environment does the same." },
    [OPT_QUIET] = { OPT(OPT_QUIET, "quiet", 'q', NULL), .everywhere = true,
        .help = "Only data and errors, no progress and no remarks." },
    [OPT_VERBOSE] = { OPT(OPT_VERBOSE, "verbose", 'v', NULL), .everywhere = true,
        .help = "Log lines on standard error; twice for all of them." },
    [OPT_HELP] = { OPT(OPT_HELP, "help", 'h', NULL), .everywhere = true, .help = "This text." },

    [OPT_TO] = { OPT(OPT_TO, "to", 0, "COLOR"), .choices = "blue|green", .complete = COMPLETE_CHOICES,
        .help = "The color that shall work afterwards; the other one when it is left out." },
    [OPT_STAGES] = { OPT(OPT_STAGES, "stages", 0, "LIST"),
        .help = "What the new color has after each stage, growing to 100%: shares (10%,50%,100%), numbers of partitions "
                "(3,100%) or partitions (orders/0,orders/7,100%). The fleet file's when it is left out." },
    [OPT_PARTITIONS] = { OPT(OPT_PARTITIONS, "partitions", 0, "COUNT"),
        .help = "How many partitions go on working: a number (4), a share (25%), or all, which lifts the throttle." },
    [OPT_OBSERVE] = { OPT(OPT_OBSERVE, "observe", 0, "TIME"),
        .help = "How long to look on after each stage: 30s, 5m, 0s." },
    [OPT_DEADLINE] = { OPT(OPT_DEADLINE, "deadline", 0, "TIME"),
        .help = "How long it may take to pass (each stage of a switch); after that everything goes back." },
    [OPT_REASON] = { OPT(OPT_REASON, "reason", 0, "TEXT"), .help = "Why, for the history and the receipt." },
    [OPT_REPLAY] = { OPT(OPT_REPLAY, "replay", 0, NULL),
        .help = "Begin where the other color had begun: what it did is done again (only with idempotent sinks)." },
    [OPT_DRY_RUN] = { OPT(OPT_DRY_RUN, "dry-run", 0, NULL),
        .help = "Only check whether it could begin, change nothing." },
    [OPT_AUTO] = { OPT(OPT_AUTO, "auto", 0, NULL),
        .help = "The judge decides: a stage counts when the new color is as good, and worse passes everything back "
                "(judge.mode: auto, for this switch)." },
    [OPT_NO_JUDGE] = { OPT(OPT_NO_JUDGE, "no-judge", 0, NULL), .help = "Nothing turns it back by what the new color does." },
    [OPT_FORCE] = { OPT(OPT_FORCE, "force", 0, NULL), .help = "Even to a version that the judge turned back before." },
    [OPT_POLICY] = { OPT(OPT_POLICY, "policy", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "The fleet file whose policy to judge by; the defaults with judge.mode: auto when it is left out." },
    [OPT_NO_WAIT] = { OPT(OPT_NO_WAIT, "no-wait", 0, NULL), .help = "Return as soon as it is accepted." },
    [OPT_WATCH] = { OPT(OPT_WATCH, "watch", 'w', NULL),
        .help = "Keep looking: redrawn in place on a terminal, else a line a change. q or Ctrl-C ends." },
    [OPT_VERIFY] = { OPT(OPT_VERIFY, "verify", 0, NULL),
        .help = "Read the brokers again and say whether they still agree with it." },
    [OPT_LIMIT] = { OPT(OPT_LIMIT, "limit", 'n', "COUNT"), .help = "The newest COUNT only." },
    [OPT_YES] = { OPT(OPT_YES, "yes", 'y', NULL), .help = "Do not ask." },
    [OPT_LISTEN] = { OPT(OPT_LISTEN, "listen", 0, "HOST:PORT"), .many = true,
        .help = "Where to serve HTTP; 127.0.0.1:8080 when it is left out, of an agent 127.0.0.1:8090. Other addresses "
                "than loopback need --token-file. A controller may be given it more than once." },
    [OPT_ADVERTISE] = { OPT(OPT_ADVERTISE, "advertise", 0, "URL"),
        .help = "Where others reach this controller; made from --listen when it is left out." },
    [OPT_MEMBER_TOKEN_FILE] = { OPT(OPT_MEMBER_TOKEN_FILE, "member-token-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "A second token, for members with baton.channel=http: good for their fleet's documents and reports, "
                "not for changes." },
    [OPT_CONNECTIONS] = { OPT(OPT_CONNECTIONS, "connections", 0, "COUNT"),
        .help = "HTTP connections at a time, three quarters of which may be event streams; 256 when it is left out. A member with "
                "baton.channel=http has two." },
    [OPT_REDIS] = { OPT(OPT_REDIS, "redis", 0, "URL"),
        .help = "A Redis for members with baton.channel=redis: redis://USER@HOST:PORT/DB, rediss:// for TLS; several, parted "
                "by commas, are tried in turn." },
    [OPT_REDIS_PASSWORD_FILE] = { OPT(OPT_REDIS_PASSWORD_FILE, "redis-password-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Its password, one line." },
    [OPT_REDIS_CA] = { OPT(OPT_REDIS_CA, "redis-ca", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Certificates (PEM) that sign that of rediss://, instead of the system's." },
    [OPT_REDIS_CERT] = { OPT(OPT_REDIS_CERT, "redis-cert", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "A certificate and its key (PEM), for a rediss:// server that asks its clients for one." },
    [OPT_CONFIGMAP] = { OPT(OPT_CONFIGMAP, "configmap", 0, "SERVER"),
        .help = "A Kubernetes API server for members with baton.channel=configmap: in-cluster, in-cluster/NAMESPACE, or "
                "https://HOST:PORT/NAMESPACE." },
    [OPT_CONFIGMAP_TOKEN_FILE] = { OPT(OPT_CONFIGMAP_TOKEN_FILE, "configmap-token-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Its token, one line, read before each request; the pod's own in the cluster." },
    [OPT_CONFIGMAP_CA] = { OPT(OPT_CONFIGMAP_CA, "configmap-ca", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Certificates (PEM) that sign its own; the pod's in the cluster, else the system's." },
    [OPT_CONFIGMAP_FILE] = { OPT(OPT_CONFIGMAP_FILE, "configmap-file", 0, "FOLDER"), .complete = COMPLETE_FILE,
        .help = "The fleet's ConfigMap, mounted as a folder: for an agent that only tells (--on-change, --signal)." },
    [OPT_OPEN_READS] = { OPT(OPT_OPEN_READS, "open-reads", 0, NULL), .help = "Reading needs no token, changing does." },
    [OPT_TLS_CERT] = { OPT(OPT_TLS_CERT, "tls-cert", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Certificate chain (PEM) to serve https with." },
    [OPT_TLS_KEY] = { OPT(OPT_TLS_KEY, "tls-key", 0, "FILE"), .complete = COMPLETE_FILE, .help = "Its private key." },
    [OPT_SESSION] = { OPT(OPT_SESSION, "session", 0, "TIME"),
        .help = "How soon a killed leader is missed; 6s when it is left out, the least that most brokers allow." },
    [OPT_BURROW] = { OPT(OPT_BURROW, "burrow", 0, "NAME=VALUE,..."),
        .help = "How Burrow's HTTP API under /v3 answers: cluster=NAME (local when it is left out), rules=burrow to judge "
                "as Burrow does bug for bug, intervals, min-distance, expire-group, allowed-lag, minimum-complete, "
                "offset-refresh, topic-refresh, commit-interval, as in cluster=prod,intervals=15." },
    [OPT_TOPICS_KEEP] = { OPT(OPT_TOPICS_KEEP, "topics-keep", 0, NULL),
        .help = "Do not create Baton's topics when they are missing: fail, and say the commands that do." },
    [OPT_PROMETHEUS_AUTH_FILE] = { OPT(OPT_PROMETHEUS_AUTH_FILE, "prometheus-auth-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "What the Prometheus of fleets' signals wants to be shown: one line, a bearer token or user:password." },
    [OPT_PROMETHEUS_CA] = { OPT(OPT_PROMETHEUS_CA, "prometheus-ca", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Certificates (PEM) that vouch for it; the system's when it is left out." },
    [OPT_METRICS_PARTITIONS] = { OPT(OPT_METRICS_PARTITIONS, "metrics-partitions", 0, "COUNT"),
        .help = "Partitions, of all fleets together, that have series of their own on /metrics; 1000 when it is left "
                "out. Topics have theirs in any case." },
    [OPT_METRICS_KAFKA_EXPORTER] = { OPT(OPT_METRICS_KAFKA_EXPORTER, "metrics-kafka-exporter", 0, NULL),
        .help = "Show the fleets' groups and topics on /metrics by the names of kafka_exporter too." },
    [OPT_LOG_FORMAT] = { OPT(OPT_LOG_FORMAT, "log-format", 0, "FORMAT"), .choices = "text|json",
        .complete = COMPLETE_CHOICES, .help = "Form of the log lines on standard error." },
    [OPT_LOG_LEVEL] = { OPT(OPT_LOG_LEVEL, "log-level", 0, "LEVEL"), .choices = "debug|info|warn|error",
        .complete = COMPLETE_CHOICES, .help = "The least that is logged; info when it is left out." },
    [OPT_TOPIC] = { OPT(OPT_TOPIC, "topic", 0, "NAME"), .many = true,
        .help = "'broker': a topic to create, with so many partitions (NAME=COUNT). 'lag': the only topic to show." },
    [OPT_PORT] = { OPT(OPT_PORT, "port", 0, "PORT"), .help = "Where to listen; any free port when it is left out." },
    [OPT_RATE] = { OPT(OPT_RATE, "rate", 0, "COUNT"),
        .help = "Records produced a second; 2000 when it is left out." },
    [OPT_MARKDOWN] = { OPT(OPT_MARKDOWN, "markdown", 0, NULL), .help = "As Markdown: docs/cli.md." },

    [OPT_COLOR] = { OPT(OPT_COLOR, "color", 0, "COLOR"), .choices = "blue|green", .complete = COMPLETE_CHOICES,
        .env = "BATON_COLOR", .help = "The color it consumes as." },
    [OPT_APP_VERSION] = { OPT(OPT_APP_VERSION, "app-version", 0, "LABEL"),
        .help = "What runs: an image tag, a commit; shown beside the color." },
    [OPT_TO_URL] = { OPT(OPT_TO_URL, "to", 0, "URL"),
        .help = "Instead of a command: POST each record there as a CloudEvent; 2xx is 'done'." },
    [OPT_ORDER] = { OPT(OPT_ORDER, "order", 0, "ORDER"), .choices = "partition|key|none",
        .complete = COMPLETE_CHOICES,
        .help = "What is processed in order: each partition (when it is left out), each key, or nothing." },
    [OPT_CONCURRENCY] = { OPT(OPT_CONCURRENCY, "concurrency", 0, "COUNT"),
        .help = "Processes of the command, or connections to the URL; 1 when it is left out." },
    [OPT_BATCH] = { OPT(OPT_BATCH, "batch", 0, "COUNT"),
        .help = "At most so many records in one line or request; 1, without a list around it, when it is left out." },
    [OPT_VALUE] = { OPT(OPT_VALUE, "value", 0, "FORM"), .choices = "text|json|base64", .complete = COMPLETE_CHOICES,
        .help = "A record's value as text (when it is left out), as JSON inside the line, or always as base64." },
    [OPT_FIELDS] = { OPT(OPT_FIELDS, "fields", 0, "LIST"),
        .help = "Which members a line has, as in key,value: fewer are faster. All when it is left out." },
    [OPT_RECORD_TIMEOUT] = { OPT(OPT_RECORD_TIMEOUT, "record-timeout", 0, "TIME"),
        .help = "How long a record may take; then its process is killed and it has failed. 30s when it is left out, "
                "0s: for ever." },
    [OPT_ON_ERROR] = { OPT(OPT_ON_ERROR, "on-error", 0, "POLICY"), .choices = "retry|skip|dlq|stop",
        .complete = COMPLETE_CHOICES,
        .help = "What becomes of a record that fails: tried again for ever (when it is left out), or after --retries "
                "skipped, sent to --dlq, or the end." },
    [OPT_RETRIES] = { OPT(OPT_RETRIES, "retries", 0, "COUNT"),
        .help = "How often a failed record is tried again before it is given up; 3 when it is left out." },
    [OPT_DLQ] = { OPT(OPT_DLQ, "dlq", 0, "TOPIC"),
        .help = "Where records that failed go, with headers that say why; means --on-error dlq." },
    [OPT_GRACE] = { OPT(OPT_GRACE, "grace", 0, "TIME"),
        .help = "After SIGTERM: how long to finish, commit and leave; 25s when it is left out." },
    [OPT_APPLICATION] = { OPT(OPT_APPLICATION, "application", 0, "URL"),
        .help = "The application beside it, as in http://127.0.0.1:8081; it serves /baton/v1/lifecycle there, or at the path "
                "that is given." },
    [OPT_APPLICATION_TOKEN_FILE] = { OPT(OPT_APPLICATION_TOKEN_FILE, "application-token-file", 0, "FILE"),
        .complete = COMPLETE_FILE, .help = "The application's token, if it wants one: one line." },
    [OPT_ON_CHANGE] = { OPT(OPT_ON_CHANGE, "on-change", 0, "COMMAND"),
        .help = "For sh -c: run when the color's part in the fleet has changed, with all of it as JSON on stdin, and as "
                "BATON_STATE (working, standing-by or changing), BATON_ACTIVE, BATON_COLOR, BATON_FLEET, BATON_SWITCH." },
    [OPT_ON_CHANGE_TIMEOUT] = { OPT(OPT_ON_CHANGE_TIMEOUT, "on-change-timeout", 0, "TIME"),
        .help = "A run that takes longer is ended, and tried again; 30s when it is left out." },
    [OPT_SIGNAL] = { OPT(OPT_SIGNAL, "signal", 0, "NAME"), .choices = "USR1|USR2|HUP", .complete = COMPLETE_CHOICES,
        .help = "Sent to the process of --pid-file when the color's part in the fleet has changed, which /v1/change tells." },
    [OPT_PID_FILE] = { OPT(OPT_PID_FILE, "pid-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "Where the process id for --signal stands; a new one is told anew." },
    [OPT_SPRING_STREAM] = { OPT(OPT_SPRING_STREAM, "spring-stream", 0, "URL"), .many = true,
        .help = "Address of a process of a Spring Cloud Stream application that nobody has changed, as in http://10.0.0.7:8080: "
                "one process each, never a load balancer. The fleet's strategy is foreign." },
    [OPT_BINDING] = { OPT(OPT_BINDING, "binding", 0, "NAME"),
        .help = "The binding that consumes, as in orders-in-0." },
    [OPT_ACTUATOR] = { OPT(OPT_ACTUATOR, "actuator", 0, "PATH"),
        .help = "Where its actuator is; /actuator when it is left out." },
    [OPT_PODS_FILE] = { OPT(OPT_PODS_FILE, "pods-file", 0, "FILE"), .complete = COMPLETE_FILE,
        .help = "More addresses for --spring-stream, one a line, read anew every second; # begins a comment." },
    [OPT_START] = { OPT(OPT_START, "start", 0, "COMMAND"),
        .help = "For sh -c: starts all processes of a color of an application that nobody has changed. Run again and again while the color "
                "is to work, so it must do no harm to one that runs; BATON_FLEET and BATON_COLOR name it." },
    [OPT_STOP] = { OPT(OPT_STOP, "stop", 0, "COMMAND"),
        .help = "For sh -c: stops them. Run again and again while the color is to stand by." },
    [OPT_READY_ALARM] = { OPT(OPT_READY_ALARM, "ready-alarm", 0, "TIME"),
        .help = "An application that was started and shows no commit for so long is told of at /readyz; when it is left out 5s, and "
                "6s with group.protocol=consumer." },
    [OPT_LAG] = { OPT(OPT_LAG, "lag", 0, "WHICH"), .choices = "fleets|all|off", .complete = COMPLETE_CHOICES,
        .help = "Whose lags to sample: those of the fleets' groups when it is left out, or of all groups of the cluster." },
    [OPT_LAG_INTERVAL] = { OPT(OPT_LAG_INTERVAL, "lag-interval", 0, "TIME"),
        .help = "How often to sample them; 10s when it is left out." },
    [OPT_EXACT] = { OPT(OPT_EXACT, "exact", 0, NULL),
        .help = "Read the first record after each commit for its time stamp, instead of estimating its age." },
};

#define ORDERING (BIT(OPT_DEADLINE) | BIT(OPT_REASON) | BIT(OPT_NO_WAIT) | BIT(OPT_DRY_RUN))
#define PLANNING (BIT(OPT_TO) | BIT(OPT_STAGES) | BIT(OPT_OBSERVE) | BIT(OPT_DEADLINE))

const struct command commands[] = {
    { .name = "status", .arguments = "[FLEET]", .arg_max = 1, .options = BIT(OPT_WATCH), .output = "table|wide|json",
      .complete = { COMPLETE_FLEET }, .run = cmd_status,
      .help = "Say what is going on: who works, who stands by, what is under way.",
      .details = "Without a fleet it lists all of them; when there is only one, it shows that one. '-o wide' has a "
                 "line for each partition, with what is committed and left to do. With --watch and -o json a line of "
                 "JSON is printed on every change.",
      .examples = { { "baton status payments --watch", "look on, live" },
                    { "baton status -o json", "for programs" } } },
    { .name = "lag", .arguments = "[GROUP]", .arg_max = 1, .options = BIT(OPT_WATCH) | BIT(OPT_TOPIC) | BIT(OPT_EXACT),
      .run = cmd_lag, .help = "Say how far consumer groups are behind: any group of the cluster, in records and in time.",
      .details = "Without a group it lists all of them, the worst first; with one, its partitions. Needs no fleet: with "
                 "--bootstrap it reads the brokers, with --server it shows what the controller has sampled. The age of "
                 "the oldest unprocessed record is known from samples, so from the second look of --watch on, or with "
                 "--exact. A lag that cannot be known is '?', with the reason. Exit 1 when not all could be read.",
      .examples = { { "baton lag --bootstrap kafka-1:9092", "all groups of the cluster" },
                    { "baton lag payments-blue --watch", "look on, with the trend of each partition" },
                    { "baton lag payments-blue --exact -o json", "ages by the records' own time stamps" } } },
    { .name = "plan", .arguments = "[FLEET]", .arg_max = 1, .options = PLANNING, .complete = { COMPLETE_FLEET },
      .run = cmd_plan, .help = "Check whether a switch could begin now; changes nothing.",
      .details = "Reads the brokers and the members: uncovered partitions, consumers Baton does not know, mixed "
                 "versions, missing offsets, retention that threatens them. Each finding says what is wrong, why it "
                 "matters and how to mend it. Exit 1 when a switch would be refused.",
      .examples = { { "baton plan payments", "check the switch to the other color" },
                    { "baton plan payments --to green -o json", "findings for programs" } } },
    { .name = "switch", .changes = true, .arguments = "[FLEET]", .arg_max = 1,
      .options = PLANNING | ORDERING | BIT(OPT_AUTO) | BIT(OPT_NO_JUDGE) | BIT(OPT_FORCE),
      .complete = { COMPLETE_FLEET }, .run = cmd_switch,
      .help = "Pass all partitions from the color that works to the other.",
      .details = "Shows the progress until the end and then the receipt in short. Ctrl-C stops looking on, not the "
                 "switch. When a stage does not pass within its deadline, everything goes back and the exit code is "
                 "6. Which partitions pass first is picked so that a stage is like the whole in load; the heaviest go "
                 "last. A switch in stages is steered by 'baton hold', 'baton promote' and 'baton abort'.",
      .examples = { { "baton switch payments --to green --reason \"deploy 4.2.0\"", "all at once" },
                    { "baton switch payments --stages 10%,50%,100% --observe 5m --auto", "a canary in three stages, judged" },
                    { "baton switch payments --dry-run", "what would be refused, and how to mend it" },
                    { "baton switch payments --bootstrap kafka-1:9092", "with no controller running" } } },
    { .name = "rollback", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = ORDERING | BIT(OPT_REPLAY),
      .complete = { COMPLETE_FLEET }, .run = cmd_rollback,
      .help = "Take the last switch back: the color before works again.",
      .details = "During a switch it turns that switch back. It goes on where the other color stopped; with "
                 "--replay where the other color had begun, so that everything it did is done again, and the "
                 "receipt lists that.",
      .examples = { { "baton rollback payments --reason \"error rate\"", "back, nothing lost, nothing repeated" },
                    { "baton rollback payments --replay", "do again what the new version did" } } },
    { .name = "pause", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = ORDERING,
      .complete = { COMPLETE_FLEET }, .run = cmd_pause,
      .help = "Stop the whole fleet: work under way is finished and committed, then nobody works.",
      .examples = { { "baton pause payments --reason \"database migration\"", "both colors stand by" } } },
    { .name = "resume", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = ORDERING,
      .complete = { COMPLETE_FLEET }, .run = cmd_resume,
      .help = "Let a paused or throttled fleet go on where it stopped.",
      .examples = { { "baton resume payments", "the color that was active works again" } } },
    { .name = "throttle", .changes = true, .arguments = "[FLEET]", .arg_max = 1,
      .options = ORDERING | BIT(OPT_PARTITIONS), .complete = { COMPLETE_FLEET }, .run = cmd_throttle,
      .help = "Let only a share of the partitions work, for a database that must not be overrun.",
      .details = "The others finish what is under way, commit and wait; nobody leaves a group, nothing is rebalanced. "
                 "They are taken evenly over the topics and the members. It lasts until 'baton resume', or --partitions all, "
                 "whoever leads. A throttled fleet is not switched: lift it first.",
      .examples = { { "baton throttle payments --partitions 4 --reason \"database is slow\"", "four work, the rest waits" },
                    { "baton throttle payments --partitions 25%", "a quarter of them" },
                    { "baton throttle payments --partitions all", "back to all: the same as resume" } } },
    { .name = "hold", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = BIT(OPT_REASON),
      .complete = { COMPLETE_FLEET }, .run = cmd_hold,
      .help = "Stay at the present stage of a switch until somebody decides.",
      .details = "The time of observation does not end it any more: 'baton promote' goes on, 'baton abort' takes it back. "
                 "The fleet works all the while. Exit 5 when no switch is under way.",
      .examples = { { "baton hold payments", "before its time is over: look first" } } },
    { .name = "promote", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = BIT(OPT_REASON),
      .complete = { COMPLETE_FLEET }, .run = cmd_promote,
      .help = "Go on to the next stage of a switch now, or complete it.",
      .details = "Exit 5 when no switch is under way, or its stage is still passing.",
      .examples = { { "baton promote payments", "enough seen of this stage" } } },
    { .name = "abort", .changes = true, .arguments = "[FLEET]", .arg_max = 1, .options = BIT(OPT_REASON),
      .complete = { COMPLETE_FLEET }, .run = cmd_abort,
      .help = "Take back what is under way, and nothing else.",
      .details = "What has passed goes back to the color that had it. Unlike 'baton rollback' it never touches a switch that "
                 "has ended: then it exits with 5.",
      .examples = { { "baton abort payments --reason \"error rate\"", "take the canary back" } } },
    { .name = "history", .arguments = "[FLEET]", .arg_max = 1, .options = BIT(OPT_LIMIT),
      .complete = { COMPLETE_FLEET }, .run = cmd_history, .help = "List the fleet's operations, newest first.",
      .examples = { { "baton history payments -n 5", "the last five" } } },
    { .name = "receipt", .arguments = "[FLEET] [NUMBER]", .arg_max = 2, .options = BIT(OPT_VERIFY),
      .complete = { COMPLETE_FLEET }, .run = cmd_receipt,
      .help = "Show the proof of an operation: where each partition was handed over, and what it cost.",
      .details = "The newest one when NUMBER is left out. Per partition: the offset released, the committed offset "
                 "read back from the brokers, where the new holder began, the first offset it saw, how long nobody "
                 "worked, and what may have been processed twice.",
      .examples = { { "baton receipt payments", "of the newest operation" },
                    { "baton receipt payments 6 --verify", "and compare it with the brokers again" } } },
    { .name = "judge", .arguments = "FILE", .arg_min = 1, .arg_max = 1, .options = BIT(OPT_REPLAY) | BIT(OPT_POLICY),
      .complete = { COMPLETE_FILE }, .run = cmd_judge,
      .help = "Judge recorded signals again: when would it have decided, and why.",
      .details = "The recording is what GET /v1/fleets/FLEET/signals answers, or its samples one a line; '-' reads standard "
                 "input. With --policy another policy is tried on it. Needs no controller and no Kafka.",
      .examples = { { "baton judge --replay incident.json", "with the default policy" },
                    { "baton judge --replay incident.json --policy payments.yaml -o json", "with this one, for programs" } } },
    { .name = "fleet apply", .changes = true, .arguments = "FILE", .arg_min = 1, .arg_max = 1,
      .complete = { COMPLETE_FILE }, .run = cmd_fleet_apply,
      .help = "Create a fleet from its file, or change it; '-' reads standard input.",
      .examples = { { "baton fleet apply payments.yaml", "create or change" } } },
    { .name = "fleet list", .arguments = "", .run = cmd_fleet_list, .help = "List the fleets.",
      .examples = { { "baton fleet list", "one line each" } } },
    { .name = "fleet show", .arguments = "[FLEET]", .arg_max = 1, .output = "yaml|json",
      .complete = { COMPLETE_FLEET }, .run = cmd_fleet_show,
      .help = "Print a fleet's file as the control log has it, with all defaults.",
      .examples = { { "baton fleet show payments > payments.yaml", "to edit and apply again" } } },
    { .name = "fleet delete", .changes = true, .arguments = "FLEET", .arg_min = 1, .arg_max = 1,
      .options = BIT(OPT_YES), .output = "", .complete = { COMPLETE_FLEET }, .run = cmd_fleet_delete,
      .help = "Forget a fleet; its members deliver nothing any more.",
      .details = "Topics, groups and committed offsets stay as they are: a fleet made again begins where the group "
                 "of its active color has committed. Refused while an operation is under way. On a terminal it asks "
                 "first; elsewhere it needs --yes.",
      .examples = { { "baton fleet delete payments --yes", "without being asked" } } },
    { .name = "serve", .arguments = "", .output = "",
      .options = BIT(OPT_LISTEN) | BIT(OPT_ADVERTISE) | BIT(OPT_MEMBER_TOKEN_FILE) | BIT(OPT_CONNECTIONS) | BIT(OPT_REDIS) | BIT(OPT_REDIS_PASSWORD_FILE) | BIT(OPT_REDIS_CA) | BIT(OPT_REDIS_CERT) | BIT(OPT_CONFIGMAP) | BIT(OPT_CONFIGMAP_TOKEN_FILE) | BIT(OPT_CONFIGMAP_CA) | BIT(OPT_OPEN_READS) | BIT(OPT_LAG) | BIT(OPT_LAG_INTERVAL) | BIT(OPT_TLS_CERT) | BIT(OPT_TLS_KEY) |
                 BIT(OPT_PROMETHEUS_AUTH_FILE) | BIT(OPT_PROMETHEUS_CA) |
                 BIT(OPT_METRICS_PARTITIONS) | BIT(OPT_METRICS_KAFKA_EXPORTER) | BIT(OPT_SESSION) | BIT(OPT_TOPICS_KEEP) | BIT(OPT_BURROW) | BIT(OPT_LOG_FORMAT) | BIT(OPT_LOG_LEVEL),
      .run = cmd_serve, .help = "Run a controller: the HTTP API, and the lead when no other has it.",
      .details = "Any number of controllers may run; one leads, the others take over when it goes. The state is in "
                 "Kafka, so a controller has no data of its own. SIGTERM hands over at once. The consumers keep "
                 "working without any.",
      .examples = { { "baton serve --bootstrap kafka-1:9092", "on loopback" },
                    { "baton serve --bootstrap kafka-1:9092 --listen 0.0.0.0:8080 --token-file token", "for others, "
                    "with a token" } } },
    { .name = "run", .arguments = "FLEET [OPTIONS] -- COMMAND", .arg_min = 1, .arg_max = 1, .output = "", .rest = true,
      .options = BIT(OPT_COLOR) | BIT(OPT_APP_VERSION) | BIT(OPT_TO_URL) | BIT(OPT_ORDER) | BIT(OPT_CONCURRENCY) |
                 BIT(OPT_BATCH) | BIT(OPT_VALUE) | BIT(OPT_FIELDS) | BIT(OPT_RECORD_TIMEOUT) | BIT(OPT_ON_ERROR) | BIT(OPT_RETRIES) |
                 BIT(OPT_DLQ) | BIT(OPT_GRACE) | BIT(OPT_LOG_FORMAT) | BIT(OPT_LOG_LEVEL),
      .complete = { COMPLETE_FLEET }, .run = cmd_run,
      .help = "Consume as one color and hand the records to a command in any language, or to a URL.",
      .details = "The command reads a line of JSON a record on stdin and answers each with a line on stdout: the "
                 "record's id when it is done, or {\"id\":17,\"error\":\"why\"}. What it does not answer is given "
                 "again. A partition is handed over when the records in hand are done. -X takes libbaton's options "
                 "too (-X baton.in.flight.max=4096). Ends with the command's exit code when that ends again and again, "
                 "with 124 when the grace was too short. docs/run.md has examples in five languages.",
      .examples = { { "baton run payments --color blue -- python3 consumer.py", "one process, each partition in order" },
                    { "baton run payments --color blue --order key --concurrency 4 -- ./consumer", "four processes" },
                    { "baton run payments --color blue --dlq payments.failed -- node consumer.mjs", "dead letters" },
                    { "baton run payments --color green --to http://127.0.0.1:8080/", "CloudEvents by HTTP" } } },
    { .name = "agent", .arguments = "FLEET", .arg_min = 1, .arg_max = 1, .output = "",
      .options = BIT(OPT_COLOR) | BIT(OPT_APP_VERSION) | BIT(OPT_APPLICATION) | BIT(OPT_APPLICATION_TOKEN_FILE) | BIT(OPT_LISTEN) |
                 BIT(OPT_MEMBER_TOKEN_FILE) | BIT(OPT_GRACE) | BIT(OPT_LOG_FORMAT) | BIT(OPT_LOG_LEVEL) | BIT(OPT_ON_CHANGE) |
                 BIT(OPT_ON_CHANGE_TIMEOUT) | BIT(OPT_SIGNAL) | BIT(OPT_PID_FILE) | BIT(OPT_REDIS) | BIT(OPT_REDIS_PASSWORD_FILE) |
                 BIT(OPT_REDIS_CA) | BIT(OPT_REDIS_CERT) | BIT(OPT_CONFIGMAP) | BIT(OPT_CONFIGMAP_TOKEN_FILE) | BIT(OPT_CONFIGMAP_CA) |
                 BIT(OPT_CONFIGMAP_FILE) | BIT(OPT_SPRING_STREAM) | BIT(OPT_BINDING) | BIT(OPT_ACTUATOR) | BIT(OPT_PODS_FILE) |
                 BIT(OPT_START) | BIT(OPT_STOP) | BIT(OPT_READY_ALARM),
      .complete = { COMPLETE_FLEET }, .run = cmd_agent,
      .help = "Run beside an application with a consumer of its own, and hold and release its partitions.",
      .details = "The application serves a small document over HTTP (docs/lifecycle.md); the agent is the member of the fleet. It "
                 "hears from the controller through Kafka, or through --server, --redis or --configmap. Serves /v1/agent, /healthz, /readyz and /prestop "
                 "at --listen (127.0.0.1:8090 when it is left out; other addresses than loopback need --token-file, which "
                 "/healthz and /readyz do not ask for). SIGTERM, or /prestop, holds everything, lets the application commit and "
                 "leave its group, within --grace; 124 when that was too short. An application that can do no more is told with --on-change or "
                 "--signal, in place of --application or beside it: telling alone hands nothing over, so both colors may work at once. "
                 "With --spring-stream, or --start and --stop, one agent speaks for all processes of a color, of an application that nobody has "
                 "changed (strategy: foreign, docs/foreign.md): it is stopped and started whole, and the brokers are the witness; the end of "
                 "such an agent leaves the application as it is.",
      .examples = { { "baton agent payments --color blue --application http://127.0.0.1:8081", "beside an application on port 8081" },
                    { "baton agent payments --color blue --application http://127.0.0.1:8081 --server http://10.0.0.5:8080",
                      "without rights on Baton's topics" },
                    { "baton agent payments --color blue --on-change ./told.sh", "tells a script" },
                    { "baton agent payments --color blue --spring-stream http://10.0.0.7:8080 --binding orders-in-0",
                      "all of an application as it is" } } },
    { .name = "conformance", .arguments = "URL", .arg_min = 1, .arg_max = 1, .options = BIT(OPT_APPLICATION_TOKEN_FILE),
      .run = cmd_conformance, .help = "Check whether an application keeps the lifecycle contract, rule by rule.",
      .details = "Plays the agent to an application that has none: makes one of its partitions ready, runs it, holds it, and asks "
                 "the brokers (--bootstrap) whether what it says is so. For a test's topic, with some records in it: the group is "
                 "moved, and its records are handed over. Rebalances and leaving are not among the checks. Exit 1 when one failed.",
      .examples = { { "baton conformance http://127.0.0.1:8081 --bootstrap localhost:9092", "of an application on port 8081" } } },
    { .name = "demo", .arguments = "", .options = BIT(OPT_RATE), .run = cmd_demo,
      .help = "Show all of it in under a minute, with an audit at the end.",
      .details = "Starts an embedded broker (or uses a Kafka given by --bootstrap), a controller, a producer and 2 "
                 "+ 2 consumers, switches, rolls back, kills a consumer with SIGKILL in the middle of a switch, and "
                 "compares what was produced with what each consumer wrote down. Leaves nothing behind: its topics "
                 "have names of their own and are removed.",
      .examples = { { "baton demo", "needs nothing" },
                    { "baton demo --bootstrap localhost:9092", "the same on a real Kafka" },
                    { "baton demo -o json", "ends with one JSON object" } } },
    { .name = "broker", .arguments = "", .options = BIT(OPT_TOPIC) | BIT(OPT_PORT), .run = cmd_broker,
      .help = "Run the embedded broker until Ctrl-C and print its address: for trying things out; it is not Kafka.",
      .details = "It is librdkafka's mock cluster: everything is in memory and gone at the end, nothing is "
                 "compacted, old records vanish after 100,000 a partition, groups cannot be described.",
      .examples = { { "baton broker --topic orders=12", "with a topic of 12 partitions" } } },
    { .name = "completion", .arguments = "SHELL", .arg_min = 1, .arg_max = 1, .output = "",
      .complete = { COMPLETE_CHOICES }, .choices = "bash|zsh|fish", .run = cmd_completion,
      .help = "Print the completion script of a shell.",
      .examples = { { "baton completion bash > /etc/bash_completion.d/baton", "for everyone" },
                    { "source <(baton completion bash)", "for this shell" } } },
    { .name = "man", .arguments = "", .options = BIT(OPT_MARKDOWN), .output = "", .run = cmd_man, .help = "Print the manual page.",
      .examples = { { "baton man | man -l -", "read it" } } },
    { .name = "version", .arguments = "", .run = cmd_version, .help = "Print the versions of Baton and of librdkafka.",
      .examples = { { "baton version -o json", "for programs" } } },
    { .name = "help", .arguments = "[COMMAND]", .arg_max = 2, .output = "", .complete = { COMPLETE_COMMAND },
      .run = cmd_help, .help = "Explain a command.", .examples = { { "baton help switch", "the same as 'baton switch "
             "--help'" } } },
};
const int command_count = ARRAY_COUNT(commands);
