/*
 * http - peers that mean harm, against a real `baton serve`, while an honest one goes on asking.
 *
 *     hostile-http BATON [FAULTS.so]
 *
 * Each row of `attacks` is a crowd of sockets for some seconds: heads and bodies that come drop by drop, thousands of
 * idle connections, bodies without end, garbage, readers that do not read; then all of them together. The honest one
 * asks over a connection of its own each time, as the command line does, and must get every answer. Then the process
 * runs out of descriptors, out of disk for its log, and every socket call fails now and then. The resident size of the
 * server is watched all the time, and bounded.
 *
 * Ends with one line of JSON; exit 1 when an answer was missed or a bound was broken.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/children.h"

#define PEERS_MAX 10000
#define ATTACK_MS 3000
#define LATENCIES_MAX 100000
#define ANSWER_MS_MAX 20000 /* then an honest question counts as missed */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RSS_MB_MAX 4096 /* a sanitizer keeps what was freed */
#else
#define RSS_MB_MAX 128
#endif
#define START_MS 90000
#define GIVEN_BACK_MS 40000 /* beyond the 30 s that a peer has */
#define SPARE 20            /* descriptors that are left to a server which shall run out of them */

#define SMALL "fleet: small\ntopics: [few]\nswitch: {deadline: %ds}\n"
#define LARGE "fleet: large\ntopics: [many-a, many-b]\n"

enum { BROKER, SERVER, CHILDREN };

static struct hostile {
    const char *baton;
    char folder[64], full[80];
    struct child children[CHILDREN];
    struct sockaddr_in server;
    char bootstrap[80];
    int descriptors; /* of the server before anybody came */
    bool
        sockets_faulty; /* the server's: there is room for everybody, so an answer that ends early was cut by mistake */
    int failures;
} h;

static void fail(const char *what, const char *more)
{
    fprintf(stderr, "hostile-http: %s: %s\n", what, more);
    h.failures++;
}

/* --- an honest peer ----------------------------------------------------------------------------------------------- */

static int dial(bool wait)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
    const struct timeval tv = { .tv_sec = ANSWER_MS_MAX / 1000 };

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(fd, (const struct sockaddr *)&h.server, sizeof(h.server)) == 0 || (!wait && errno == EINPROGRESS))
        return fd;
    close(fd);
    return -1;
}

/* Its head, and as much of a body as that says. */
static bool answer_whole(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");

    return body && (!length || length > body || strlen(body + 4) == strtoul(length + 16, NULL, 10));
}

/* The status; -1: no whole answer. why: 200 bytes. */
static int ask(const char *method, const char *path, const char *body, char why[200])
{
    struct str request = STR_WITH_MAX(4096), answer = STR_WITH_MAX(4 * 1024 * 1024);
    char part[16384];
    int fd = dial(true), status = -1;
    ssize_t n = -1;

    snprintf(why, 200, "connect: %s", strerror(errno));
    if (fd < 0)
        return -1;
    str_addf(&request,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/yaml\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             method, path, strlen(body), body);
    if (send(fd, request.buf, request.len, MSG_NOSIGNAL) == (ssize_t)request.len)
        while ((n = recv(fd, part, sizeof(part), 0)) > 0)
            str_add_bytes(&answer, part, (size_t)n);
    snprintf(why, 200, "%s after %zu bytes: %.100s", n < 0 ? strerror(errno) : "ended", answer.len, answer.buf);
    if (n == 0 && answer.len > 0)
        sscanf(answer.buf, "HTTP/1.1 %d", &status);
    if (h.sockets_faulty && n == 0 && answer.len > 0 && !answer_whole(answer.buf))
        fail("an answer was torn, and its connection ended well", why);
    close(fd);
    str_free(&request);
    str_free(&answer);
    return status;
}

static struct honest {
    pthread_t thread;
    atomic_bool stop;
    int64_t *us;
    int count, missed, told;
    char why[200];
} honest;

static void *be_honest(void *opaque)
{
    char path[] = "/v1/fleets/small", why[200], body[200];

    (void)opaque;
    for (int i = 0; !honest.stop; i++) {
        const bool change = i % 16 == 15; /* something for the readers of events */
        const int64_t began_us = clock_unix_us();
        int status;

        snprintf(body, sizeof(body), SMALL, 60 + i / 16 % 2);
        /* Told to come again, or let go without a word to make room: both questions may be asked twice, as every client does. */
        while (((status = ask(change ? "PUT" : "GET", path, change ? body : "", why)) == 503 || status <= 0) &&
               clock_unix_us() - began_us < 1000 * ANSWER_MS_MAX) {
            honest.told++;
            usleep(100 * 1000);
        }
        if (status != 200 && status != 201) {
            honest.missed++;
            memcpy(honest.why, why, sizeof(why));
        }
        if (honest.count < LATENCIES_MAX)
            honest.us[honest.count++] = clock_unix_us() - began_us;
        usleep(4000);
    }
    return NULL;
}

static void honest_begin(void)
{
    honest.stop = false;
    honest.count = honest.missed = honest.told = 0;
    if (pthread_create(&honest.thread, NULL, be_honest, NULL) != 0)
        abort();
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_ms(int percent)
{
    return honest.count == 0 ? 0 : (double)honest.us[(honest.count * percent + 99) / 100 - 1] / 1000;
}

static double rss_mb(void)
{
    char path[64], line[200];
    double mb = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)h.children[SERVER].pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, "VmRSS:", 6))
            mb = strtod(line + 6, NULL) / 1024;
    if (file)
        fclose(file);
    return mb;
}

/* --- hostile ones ------------------------------------------------------------------------------------------------- */

struct peer {
    int fd; /* -1: not connected */
    int64_t said;
    int64_t next_ms;
};

/* Fills `ret` with what is to be sent now, at most `size` bytes. */
typedef size_t speech(struct peer *p, char *ret, size_t size);

static size_t text(char *ret, size_t size, const char *what)
{
    return (size_t)snprintf(ret, size, "%s", what);
}

static size_t drip_head(struct peer *p, char *ret, size_t size)
{
    return text(ret, size, p->said == 0 ? "GET /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nX-Slow: " : "a");
}

static size_t drip_body(struct peer *p, char *ret, size_t size)
{
    return text(ret, size,
                p->said == 0 ? "PUT /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n"
                             : "a");
}

/* All that is announced but the last byte: what a body can cost at most. */
static size_t hoard(struct peer *p, char *ret, size_t size)
{
    const int64_t left = 262000 - p->said;

    if (p->said == 0)
        return text(ret, size, "PUT /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 262144\r\n\r\n");
    memset(ret, 'a', size);
    return left <= 0 ? 0 : (size_t)left < size ? (size_t)left : size;
}

static size_t pour(struct peer *p, char *ret, size_t size)
{
    static const char *const heads[] = {
        "PUT /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000000000000\r\n\r\n",
        "PUT /v1/fleets/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
        "GET /",
    };

    if (p->said == 0)
        return text(ret, size, heads[(size_t)p->next_ms % ARRAY_COUNT(heads)]);
    memset(ret, 'a', size);
    return size;
}

static size_t garbage(struct peer *p, char *ret, size_t size)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        " \r\n \r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        "DELETE /v1/fleets/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    unsigned seed = (unsigned)(p->next_ms + p->said);

    if (p->said == 0)
        return text(ret, size, heads[(size_t)p->next_ms % ARRAY_COUNT(heads)]);
    for (size_t i = 0; i < 200; i++)
        ret[i] = (char)(seed = seed * 1103515245u + 12345u, seed >> 16);
    return size < 200 ? size : 200;
}

static size_t ask_and_not_read(struct peer *p, char *ret, size_t size)
{
    return p->said > 20000 ? 0 : text(ret, size, "GET /v1/fleets/large HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static size_t watch_and_not_read(struct peer *p, char *ret, size_t size)
{
    return p->said > 0 ? 0 : text(ret, size, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

enum { CALM, SLOW_HEADS, SLOW_BODIES, HOARDED, IDLE, ENDLESS, GARBAGE, UNREAD_ANSWERS, UNREAD_EVENTS, ATTACKS };

static const struct attack {
    const char *name;
    int peers;
    speech *say;    /* NULL: they only connect */
    int every_ms;   /* between two words of a peer */
    size_t at_once; /* bytes of a word */
    bool reads;     /* and so learns that it was hung up on, and comes again */
} attacks[ATTACKS] = {
    [CALM] = { "calm", 0, NULL, 0, 0, false },
    [SLOW_HEADS] = { "slow heads", 400, drip_head, 50, 1000, true },
    [SLOW_BODIES] = { "slow bodies", 400, drip_body, 50, 1000, true },
    [HOARDED] = { "hoarded bodies", 400, hoard, 0, 16000, true },
    [IDLE] = { "idle", PEERS_MAX, NULL, 1000, 0, false },
    [ENDLESS] = { "bodies without end", 64, pour, 0, 16000, true },
    [GARBAGE] = { "garbage", 64, garbage, 5, 1000, true },
    [UNREAD_ANSWERS] = { "answers unread", 300, ask_and_not_read, 10, 1000, false },
    [UNREAD_EVENTS] = { "events unread", 300, watch_and_not_read, 10, 1000, false },
};

static struct peer peers[ATTACKS][PEERS_MAX];

static void peer_leave(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->said = 0;
}

/* False: gone. */
static bool peer_listens(struct peer *p)
{
    char bytes[65536];
    ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN));
}

static void peer_turn(const struct attack *a, struct peer *p, int64_t now_ms)
{
    char bytes[16384];
    size_t len;
    ssize_t n;

    if (now_ms < p->next_ms)
        return;
    p->next_ms = now_ms + a->every_ms;
    if (p->fd < 0 && (p->fd = dial(false)) < 0)
        return;
    if (a->reads && !peer_listens(p)) {
        peer_leave(p);
        return;
    }
    len = a->say ? a->say(p, bytes, a->at_once) : 0;
    n = len > 0 ? send(p->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n > 0)
        p->said += n;
    else if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
        peer_leave(p);
}

struct figures {
    double p50_ms, p99_ms, max_ms, rss_mb;
    int asked, missed, told, opened;
};

/* The attacks [first, last) for a while. An attack lasts until each of its peers has been there. */
static struct figures attack(const char *name, size_t first, size_t last, int peers_max)
{
    struct figures ret = { 0 };
    int64_t end_ms = clock_ms() + ATTACK_MS, look_ms = 0, now_ms;
    bool all_there = false;

    for (size_t a = 0; a < ATTACKS; a++)
        for (int i = 0; i < PEERS_MAX; i++)
            peers[a][i] = (struct peer){ .fd = -1, .next_ms = i % 1000 };
    honest_begin();
    while ((now_ms = clock_ms()) < end_ms || (!all_there && now_ms < end_ms + 20 * ATTACK_MS)) {
        int opened = 0, wanted = 0;

        for (size_t a = first; a < last; a++)
            for (int i = 0; i < attacks[a].peers && i < peers_max; i++) {
                peer_turn(&attacks[a], &peers[a][i], now_ms);
                opened += peers[a][i].fd >= 0;
                wanted++;
            }
        all_there = all_there || opened >= wanted * 9 / 10;
        ret.opened = opened > ret.opened ? opened : ret.opened;
        if (now_ms >= look_ms) {
            const double mb = rss_mb();

            ret.rss_mb = mb > ret.rss_mb ? mb : ret.rss_mb;
            look_ms = now_ms + 50;
        }
        usleep(1000);
    }
    honest.stop = true;
    pthread_join(honest.thread, NULL);
    for (size_t a = first; a < last; a++)
        for (int i = 0; i < attacks[a].peers; i++)
            peer_leave(&peers[a][i]);
    qsort(honest.us, (size_t)honest.count, sizeof(*honest.us), compare_int64);
    ret.asked = honest.count;
    ret.missed = honest.missed;
    ret.told = honest.told;
    ret.p50_ms = percentile_ms(50);
    ret.p99_ms = percentile_ms(99);
    ret.max_ms = percentile_ms(100);
    fprintf(stderr,
            "%-20s %6d peers  %5d asked  %d missed  %d told to come again  p50 %7.1f ms  p99 %7.1f ms  max %7.1f ms  "
            "%5.1f MB\n",
            name, ret.opened, ret.asked, ret.missed, ret.told, ret.p50_ms, ret.p99_ms, ret.max_ms, ret.rss_mb);
    if (ret.missed > 0)
        fail(name, honest.why);
    if (ret.rss_mb > RSS_MB_MAX)
        fail(name, "the server's memory went over its bound");
    if (!child_runs(&h.children[SERVER]))
        fail(name, "the server ended");
    return ret;
}

/* --- the server --------------------------------------------------------------------------------------------------- */

static void demand(int r, const struct errmsg *m)
{
    if (r >= 0)
        return;
    fprintf(stderr, "hostile-http: %s\n", m->text);
    children_end(h.children, CHILDREN, 5000);
    exit(1);
}

static int descriptors(void)
{
    char path[64];
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)h.children[SERVER].pid, fd);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void server_start(const char *preload)
{
    const char *const argv[] = { h.baton,    "serve",       "--bootstrap", h.bootstrap,
                                 "--listen", "127.0.0.1:0", "--log-level", preload ? "debug" : "info",
                                 NULL };
    const int64_t end_ms = clock_ms() + START_MS;
    struct errmsg m = { 0 };
    char line[200], why[200];

    if (preload) {
        setenv("LD_PRELOAD", preload, 1);
        setenv("BATON_FAULTS_FULL", h.full, 1);
    }
    demand(child_start(&h.children[SERVER], preload ? "server-faults" : "server", h.folder, argv, true, &m), &m);
    unsetenv("LD_PRELOAD");
    demand(child_line(&h.children[SERVER], line, sizeof(line), START_MS, &m), &m);
    h.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    h.server.sin_port = htons((uint16_t)atoi(strrchr(line, ':') ? strrchr(line, ':') + 1 : "0"));
    snprintf(line, sizeof(line), SMALL, 60);
    while (ask("PUT", "/v1/fleets/small", line, why) / 100 != 2 ||
           ask("PUT", "/v1/fleets/large", LARGE, why) / 100 != 2) {
        if (clock_ms() > end_ms || !child_runs(&h.children[SERVER])) {
            err_set(&m, ERR_TIMEOUT, "the fleets could not be made: %s", why);
            demand(ERR_TIMEOUT, &m);
        }
        usleep(100 * 1000);
    }
    h.descriptors = descriptors();
}

/* How often the server's log says it. */
static int logged(const char *what)
{
    FILE *file = fopen(h.children[SERVER].log, "re");
    char line[8192];
    int count = 0;

    while (file && fgets(line, sizeof(line), file))
        count += strstr(line, what) != NULL;
    if (file)
        fclose(file);
    return count;
}

/* 200 peers, and descriptors for a tenth of them. All of those that the attacks took must have come back before. */
static struct figures out_of_descriptors(void)
{
    struct rlimit few = { .rlim_max = 4096 };
    const int64_t end_ms = clock_ms() + GIVEN_BACK_MS;
    struct figures ret;

    while (descriptors() > h.descriptors + SPARE / 2 && clock_ms() < end_ms)
        usleep(100 * 1000);
    if (clock_ms() >= end_ms)
        fail("no descriptors", "those of the attacks did not come back");
    few.rlim_cur = (rlim_t)(descriptors() + SPARE);
    if (prlimit(h.children[SERVER].pid, RLIMIT_NOFILE, &few, NULL) != 0)
        fail("no descriptors", strerror(errno));
    ret = attack("no descriptors", IDLE, IDLE + 1, 200);
    if (logged("http_accept_failed") != 1)
        fail("no descriptors", "it is not said once in the log");
    few.rlim_cur = few.rlim_max;
    prlimit(h.children[SERVER].pid, RLIMIT_NOFILE, &few, NULL);
    return ret;
}

/* No room for the log: it goes on without, and says so afterwards. */
static struct figures log_full(void)
{
    struct figures ret;
    int64_t end_ms;
    char why[200];

    close(open(h.full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ret = attack("log full", CALM, CALM + 1, 0);
    unlink(h.full);
    for (end_ms = clock_ms() + ANSWER_MS_MAX; logged("log_lines_lost") == 0 && clock_ms() < end_ms; usleep(50 * 1000))
        ask("GET", "/healthz", "", why);
    if (logged("log_lines_lost") != 1)
        fail("log full", "that lines were lost is not said once");
    return ret;
}

static void figures_print(const char *name, const struct figures *f, bool last)
{
    printf("\"%s\":{\"peers\":%d,\"asked\":%d,\"missed\":%d,\"told_to_come_again\":%d,\"p50_ms\":%.1f,\"p99_ms\":%.1f,"
           "\"max_ms\":%.1f,\"rss_mb\":"
           "%.1f}%s",
           name, f->opened, f->asked, f->missed, f->told, f->p50_ms, f->p99_ms, f->max_ms, f->rss_mb, last ? "" : ",");
}

int main(int argc, char **argv)
{
    const char *broker[] = {
        NULL, "broker", "--topic", "few=8", "--topic", "many-a=256", "--topic", "many-b=256", NULL
    };
    struct figures f[ATTACKS], all, dry, faulty = { 0 }, full = { 0 };
    struct rlimit limit;
    struct errmsg m = { 0 };
    int peers_max;

    if (argc < 2) {
        fprintf(stderr, "usage: hostile-http BATON [FAULTS.so]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    peers_max = limit.rlim_cur > PEERS_MAX + 3000 ? PEERS_MAX : (int)limit.rlim_cur - 3000;
    honest.us = calloc(LATENCIES_MAX, sizeof(*honest.us));
    h.baton = broker[0] = argv[1];
    snprintf(h.folder, sizeof(h.folder), "/tmp/baton-hostile-XXXXXX");
    if (!honest.us || !mkdtemp(h.folder))
        return 1;
    snprintf(h.full, sizeof(h.full), "%s/full", h.folder);
    limit.rlim_cur = 1024; /* the children's: what a process usually has */
    setrlimit(RLIMIT_NOFILE, &limit);
    demand(child_start(&h.children[BROKER], "broker", h.folder, broker, true, &m), &m);
    demand(child_line(&h.children[BROKER], h.bootstrap, sizeof(h.bootstrap), START_MS, &m), &m);
    server_start(NULL);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    for (size_t a = 0; a < ATTACKS; a++)
        f[a] = attack(attacks[a].name, a, a + 1, peers_max);
    all = attack("all at once", SLOW_HEADS, ATTACKS, 1000);
    dry = out_of_descriptors();
    if (argc > 2) {
        children_end(&h.children[SERVER], 1, 10000);
        server_start(argv[2]);
        h.sockets_faulty = true;
        faulty = attack("faulty sockets", GARBAGE, GARBAGE + 1, 64);
        full = log_full();
    }
    children_end(h.children, CHILDREN, 10000);

    printf("{");
    for (size_t a = 0; a < ATTACKS; a++)
        figures_print(attacks[a].name, &f[a], false);
    figures_print("all at once", &all, false);
    figures_print("no descriptors", &dry, false);
    if (argc > 2) {
        figures_print("faulty sockets", &faulty, false);
        figures_print("log full", &full, false);
    }
    printf("\"rss_mb_max\":%d,\"failures\":%d}\n", RSS_MB_MAX, h.failures);
    if (h.failures == 0) {
        for (int i = 0; i < CHILDREN; i++)
            unlink(h.children[i].log);
        unlink(h.full);
        rmdir(h.folder);
    } else {
        fprintf(stderr, "kept: %s\n", h.folder);
    }
    free(honest.us);
    return h.failures ? 1 : 0;
}
