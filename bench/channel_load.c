/*
 * channel_load - thousands of members on the HTTP channel of one controller, as far as the controller can tell.
 *
 *     channel_load PORT TOKEN_FILE FLEETS MEMBERS PLACES
 *
 * Fleet i is channel-i, with MEMBERS members each. Every member is an incarnation of its own and does what channel/http.c does:
 * it holds an event stream, asks where the log ends, posts a report at each new document (again, when a newer one came
 * meanwhile) and one every 10 s; a stream that broke is begun anew after 100 ms, 200 ms, ... up to 1 s, half of it by chance. Of a
 * document it reads no more than term, epoch and time: ten thousand members would not parse on the controller's machine.
 * Partition i of a fleet, up to PARTITIONS, is member 2 i's, which is of blue, while blue holds it; there are no records.
 *
 * PLACES is how many sockets there may be in all. Where they do not suffice for two a member, some members share the one for their reports.
 *
 * Workers share what they see in a table of documents; the parent prints a line of JSON when one is acknowledged by all members
 * of its fleet, that is when each has heard 204: the report stands in baton.reports. It ends with its stdin.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLEETS_MAX 64
#define MEMBERS_MAX 512
#define DOCUMENTS 64 /* of a fleet that are remembered: a ring by epoch */
#define WORKERS 2
#define COUNT_BITS 16
#define PARTITIONS 10
#define REPORT_MS 10000
#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 1000
#define SWEEP_MS 50
#define PENDING_MAX (1024 * 1024)

/* --- what all see ------------------------------------------------------------------------------------------------- */

struct document {
    _Atomic uint64_t
        state; /* its epoch, and in the lower bits how many have acknowledged it: together, for workers race */
    _Atomic int64_t written_us;
    bool told;
    uint32_t took_us[MEMBERS_MAX];
};

static struct shared {
    struct document documents[FLEETS_MAX][DOCUMENTS];
    _Atomic int streams;        /* open, and their first document heard */
    _Atomic int back;           /* members whose newest report was acknowledged since their stream began */
    _Atomic uint64_t refused;   /* answers but 204 and 200 */
    _Atomic uint64_t broken;    /* connections that ended */
    _Atomic uint64_t reports;   /* acknowledged */
    _Atomic uint64_t bytes_in;  /* of streams */
    _Atomic uint64_t bytes_out; /* of reports */
    _Atomic uint64_t answers_in;
} * shared;

static int64_t clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "channel_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void document_heard(int fleet, uint64_t epoch, int64_t written_us)
{
    struct document *d = &shared->documents[fleet][epoch % DOCUMENTS];
    uint64_t before = atomic_load(&d->state);

    if (before >> COUNT_BITS >= epoch)
        return;
    atomic_store(&d->written_us, written_us); /* the same from whoever hears it first */
    while (before >> COUNT_BITS < epoch && !atomic_compare_exchange_weak(&d->state, &before, epoch << COUNT_BITS))
        continue;
}

static void document_acked(int fleet, uint64_t epoch, int member)
{
    struct document *d = &shared->documents[fleet][epoch % DOCUMENTS];
    uint64_t before = atomic_load(&d->state);

    if (before >> COUNT_BITS != epoch)
        return;
    d->took_us[member] = (uint32_t)(clock_us(CLOCK_REALTIME) - atomic_load(&d->written_us));
    while (before >> COUNT_BITS == epoch && !atomic_compare_exchange_weak(&d->state, &before, before + 1))
        continue;
}

/* --- a worker ----------------------------------------------------------------------------------------------------- */

enum conn_state { CONN_NONE, CONN_HEAD, CONN_STREAM, CONN_IDLE, CONN_ASKED };

struct member;
struct conn {
    int fd;
    enum conn_state state;
    bool is_stream;
    struct member *member; /* whose stream; of a post: who waits for the answer */
    char *pending;         /* the beginning of what is not whole yet */
    size_t pending_len, pending_room;
    int64_t retry_at_ms, retry_ms;
    uint64_t epoch; /* that the report which is out has applied; 0: the question for the log's end is out */
};

struct member {
    int fleet, number;
    char incarnation[33];
    struct conn stream;
    struct conn *post;
    uint64_t term, epoch, acked;
    uint64_t order; /* of the baton of its partition ... */
    bool works;     /* ... and it works on that */
    uint64_t sequence;
    bool asked_end, wants, back;
    int64_t due_ms;
};

static struct worker {
    int port, epoll;
    char token[600];
    struct member *members;
    int member_count;
    struct conn *posts;
    int post_count;
} w;

static void conn_close(struct conn *c)
{
    if (c->state == CONN_NONE)
        return;
    close(c->fd);
    atomic_fetch_add(&shared->broken, 1);
    if (c->is_stream && c->state == CONN_STREAM)
        atomic_fetch_sub(&shared->streams, 1);
    if (c->is_stream && c->member->back)
        atomic_fetch_sub(&shared->back, 1);
    if (c->is_stream)
        c->member->back = c->member->asked_end = false;
    else if (c->state == CONN_ASKED)
        c->member->wants = true;
    c->state = CONN_NONE;
    c->pending_len = 0;
    c->retry_ms = c->retry_ms ? c->retry_ms * 2 : RETRY_MS_MIN;
    if (c->retry_ms > RETRY_MS_MAX)
        c->retry_ms = RETRY_MS_MAX;
    c->retry_at_ms = now_ms() + c->retry_ms / 2 + rand() % (c->retry_ms / 2);
}

static void conn_open(struct conn *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)w.port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    /* from more addresses than one: none of them has so many ports */
    struct sockaddr_in from = { .sin_family = AF_INET,
                                .sin_addr = { htonl(INADDR_LOOPBACK + 1 + (uint32_t)(rand() % 8)) } };
    const int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail("socket (ulimit -n?)");
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        fail("bind");
    c->state = CONN_HEAD;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
        conn_close(c);
        return;
    }
    if (epoll_ctl(w.epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){ .events = EPOLLOUT, .data.ptr = c }) < 0)
        fail("epoll");
}

static void conn_listen(struct conn *c)
{
    epoll_ctl(w.epoll, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = c });
}

/* What is sent is small: a socket that does not take it at once is broken. */
static bool conn_send(struct conn *c, const char *bytes, int len)
{
    if (send(c->fd, bytes, (size_t)len, MSG_NOSIGNAL) == len)
        return true;
    conn_close(c);
    return false;
}

static void stream_ask(struct conn *c)
{
    char head[900];
    const int len = snprintf(head, sizeof(head),
                             "GET /v1/fleets/channel-%d/log HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                             "%s\r\nAccept: text/event-stream\r\n\r\n",
                             c->member->fleet, w.token);

    if (conn_send(c, head, len))
        conn_listen(c);
}

static int report_format(char *ret, size_t size, const struct member *m)
{
    const unsigned long long n = m->sequence;
    char part[200] = "";

    if (m->works)
        snprintf(part, sizeof(part),
                 "{\"topic\":\"channel-%d\",\"partitions\":\"%d\",\"local\":\"active\",\"owned\":true,\"order\":%llu}",
                 m->fleet, m->number / 2, (unsigned long long)m->order);
    return snprintf(
        ret, size,
        "{\"format\":1,\"fleet\":\"channel-%d\",\"color\":\"%s\",\"incarnation\":\"%s\",\"member_id\":\"channel-%d-%d-%"
        "s\","
        "\"client_id\":\"channel-%d-%d\",\"host\":\"10.0.%d.%d\",\"version\":\"1.0\",\"library\":\"1.0.0\","
        "\"sequence\":%llu,"
        "\"applied\":{\"term\":%llu,\"epoch\":%llu},\"ready\":true,\"goodbye\":false,\"eager\":false,"
        "\"assignor\":\"cooperative-sticky\",\"instance_id\":\"\",\"report_interval_ms\":%d,\"sent_unix_us\":%lld,"
        "\"heard_written_unix_us\":0,\"heard_unix_us\":0,\"records_done\":%llu,\"records_gated\":0,\"stale_ignored\":0,"
        "\"signals\":{\"failed\":[],\"processing\":{\"sum_us\":%llu,\"buckets\":[48,%llu,49,%llu,50,%llu,56,%llu]},"
        "\"poll_gap\":{\"sum_us\":%llu,\"buckets\":[58,%llu,60,%llu]}},\"parts\":[%s]}",
        m->fleet, m->number % 2 ? "green" : "blue", m->incarnation, m->fleet, m->number, m->incarnation, m->fleet,
        m->number, m->fleet, m->number % 250, n, (unsigned long long)m->term, (unsigned long long)m->epoch, REPORT_MS,
        (long long)clock_us(CLOCK_REALTIME), n * 1000, n * 123456, n * 700, n * 200, n * 90, n * 10, n * 4567, n * 5,
        n * 3, part);
}

/* Whoever of those who share this connection has something to say, says it. */
static void post_next(struct conn *c)
{
    for (int i = (int)(c - w.posts); i < w.member_count; i += w.post_count) {
        struct member *m = &w.members[i];
        char text[3200], body[2000];
        int body_len, len;

        if (!m->wants || m->stream.state != CONN_STREAM)
            continue;
        m->wants = false;
        c->member = m;
        c->state = CONN_ASKED;
        if (!m->asked_end) {
            m->asked_end = m->wants = true; /* the report goes next */
            c->epoch = 0;
            len = snprintf(
                text, sizeof(text),
                "GET /v1/fleets/channel-%d/log/end HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n",
                m->fleet, w.token);
            conn_send(c, text, len);
            return;
        }
        c->epoch = m->epoch;
        m->due_ms = now_ms() + REPORT_MS;
        m->sequence++;
        body_len = report_format(body, sizeof(body), m);
        len = snprintf(text, sizeof(text),
                       "POST /v1/fleets/channel-%d/reports HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                       "%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       m->fleet, w.token, body_len, body);
        atomic_fetch_add(&shared->bytes_out, (uint64_t)len);
        conn_send(c, text, len);
        return;
    }
    c->state = CONN_IDLE;
}

static void member_wants(struct member *m)
{
    m->wants = true;
    if (m->post->state == CONN_IDLE)
        post_next(m->post);
    else if (m->post->state == CONN_NONE && now_ms() >= m->post->retry_at_ms)
        conn_open(m->post);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static uint64_t number_behind(const char *text, const char *end, const char *name)
{
    const char *at = memmem(text, (size_t)(end - text), name, strlen(name));

    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Of the run of batons that has the member's partition: order and state. Runs are flat but for lists of offsets. */
static void baton_read(struct member *m, const char *text, const char *end)
{
    static const char before[] = "\"partitions\":\"";
    const int partition = m->number / 2;
    const char *at = text;

    while ((at = memmem(at, (size_t)(end - at), before, sizeof(before) - 1))) {
        char *rest;
        const long first = strtol(at + sizeof(before) - 1, &rest, 10);
        const long last = *rest == '-' ? strtol(rest + 1, &rest, 10) : first;
        const char *run_end = memchr(rest, '}', (size_t)(end - rest));

        at = rest;
        if (partition < first || partition > last || !run_end)
            continue;
        m->order = number_behind(rest, run_end, "\"order\":");
        m->works = memmem(rest, (size_t)(run_end - rest), "\"held\"", 6) ||
                   memmem(rest, (size_t)(run_end - rest), "\"granted\"", 9);
    }
}

/* One event, whole and terminated. Only the head of the fleet says something to a member without partitions. */
static void event_read(struct member *m, char *text, char *end)
{
    char key[80];
    const int key_len = snprintf(key, sizeof(key), " fleet/channel-%d\n", m->fleet);
    const char *body = memmem(text, (size_t)(end - text), key, (size_t)key_len);
    uint64_t epoch;

    if (strncmp(text, "event: record\n", 14) != 0 || !body)
        return;
    body += key_len;
    epoch = number_behind(body, end, "\"epoch\":");
    if (epoch <= m->epoch)
        return;
    m->term = number_behind(body, end, "\"term\":");
    m->epoch = epoch;
    if (m->number % 2 == 0 && m->number / 2 < PARTITIONS)
        baton_read(m, body, end);
    document_heard(m->fleet, epoch, (int64_t)number_behind(body, end, "\"written_unix_us\":"));
    member_wants(m);
}

static void stream_begun(struct conn *c)
{
    c->state = CONN_STREAM;
    c->retry_ms = 0;
    atomic_fetch_add(&shared->streams, 1);
    member_wants(c->member);
}

/* What of it is used up; the rest is kept until more has come. */
static size_t stream_read(struct conn *c, char *text, size_t len)
{
    size_t used = 0;
    char *end;

    while (c->state != CONN_NONE && (end = memmem(text + used, len - used, c->state == CONN_HEAD ? "\r\n\r\n" : "\n\n",
                                                  c->state == CONN_HEAD ? 4 : 2))) {
        if (c->state == CONN_HEAD && strncmp(text, "HTTP/1.1 200", 12) != 0) {
            atomic_fetch_add(&shared->refused, 1);
            conn_close(c);
        } else if (c->state == CONN_HEAD) {
            used = (size_t)(end - text) + 4;
            stream_begun(c);
        } else {
            *end = '\0';
            event_read(c->member, text + used, end + 1);
            used = (size_t)(end - text) + 2;
        }
    }
    return used;
}

static void post_answered(struct conn *c, int status)
{
    struct member *m = c->member;

    c->retry_ms = 0;
    if (status == 204) {
        atomic_fetch_add(&shared->reports, 1);
        if (c->epoch > m->acked) {
            for (uint64_t e = m->acked && m->acked + DOCUMENTS > c->epoch ? m->acked + 1 : c->epoch; e <= c->epoch; e++)
                document_acked(m->fleet, e, m->number);
            m->acked = c->epoch;
        }
        if (!m->back && m->stream.state == CONN_STREAM) {
            m->back = true;
            atomic_fetch_add(&shared->back, 1);
        }
        if (m->epoch > m->acked)
            m->wants = true;
    } else if (status != 200) {
        atomic_fetch_add(&shared->refused, 1);
        m->wants = true;
        conn_close(c);
        return;
    }
    post_next(c);
}

static size_t post_read(struct conn *c, char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    size_t whole;

    if (!end)
        return 0;
    whole = (size_t)(end - text) + 4 + (size_t)number_behind(text, end, "Content-Length: ");
    if (whole > len)
        return 0;
    atomic_fetch_add(&shared->answers_in, whole);
    post_answered(c, atoi(text + 9));
    return whole;
}

static void conn_keep(struct conn *c, const char *bytes, size_t len)
{
    if (c->pending_room < len) {
        c->pending = realloc(c->pending, len);
        c->pending_room = len;
        if (!c->pending || len > PENDING_MAX)
            fail("an event is too large");
    }
    memmove(c->pending, bytes, len);
    c->pending_len = len;
}

static void conn_read(struct conn *c)
{
    static char buffer[2 * PENDING_MAX];
    const size_t before = c->pending_len;
    ssize_t got;
    size_t used;

    if (before > 0)
        memcpy(buffer, c->pending, before);
    got = recv(c->fd, buffer + before, sizeof(buffer) - before, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        conn_close(c);
        return;
    }
    if (c->is_stream)
        atomic_fetch_add(&shared->bytes_in, (uint64_t)got);
    used = c->is_stream ? stream_read(c, buffer, before + (size_t)got) : post_read(c, buffer, before + (size_t)got);
    if (c->state != CONN_NONE && (before > 0 || used < before + (size_t)got))
        conn_keep(c, buffer + used, before + (size_t)got - used);
}

static void on_event(struct conn *c, uint32_t events)
{
    if (c->state == CONN_HEAD && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP))) {
        if (c->is_stream) {
            stream_ask(c);
        } else {
            conn_listen(c);
            post_next(c);
        }
    } else if (events & EPOLLIN) {
        conn_read(c);
    } else {
        conn_close(c);
    }
}

static void sweep(void)
{
    const int64_t at_ms = now_ms();

    for (int i = 0; i < w.member_count; i++) {
        struct member *m = &w.members[i];

        if (m->stream.state == CONN_NONE && at_ms >= m->stream.retry_at_ms)
            conn_open(&m->stream);
        else if (m->stream.state == CONN_STREAM && (at_ms >= m->due_ms || m->wants) && m->post->state != CONN_ASKED)
            member_wants(m);
    }
}

static void worker_run(int number, int fleets, int members, int places)
{
    int64_t next_ms = 0;

    srand((unsigned)getpid());
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    w.members = calloc((size_t)(fleets * members / WORKERS + 1), sizeof(*w.members));
    for (int i = number; i < fleets * members; i += WORKERS) {
        struct member *m = &w.members[w.member_count++];

        m->fleet = i / members;
        m->number = i % members;
        m->stream.is_stream = true;
        m->stream.member = m;
        m->stream.retry_at_ms = now_ms() + rand() % 3000; /* nobody starts ten thousand programs in one moment */
        m->due_ms = now_ms() + 3000 + rand() % REPORT_MS;
        snprintf(m->incarnation, sizeof(m->incarnation), "%08x%08x%08x%08x", (unsigned)rand(), (unsigned)rand(),
                 (unsigned)getpid(), (unsigned)i);
    }
    w.post_count =
        places / WORKERS - w.member_count < w.member_count ? places / WORKERS - w.member_count : w.member_count;
    if (w.post_count <= 0)
        fail("too few places");
    w.posts = calloc((size_t)w.post_count, sizeof(*w.posts));
    for (int i = 0; i < w.member_count; i++)
        w.members[i].post = &w.posts[i % w.post_count];
    for (;;) {
        struct epoll_event events[512];
        const int count = epoll_wait(w.epoll, events, 512, SWEEP_MS);

        for (int i = 0; i < count; i++)
            on_event(events[i].data.ptr, events[i].events);
        if (now_ms() >= next_ms) {
            sweep();
            next_ms = now_ms() + SWEEP_MS;
        }
    }
}

/* --- the parent --------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;

    return (l > r) - (l < r);
}

static void tell(int fleets, int members)
{
    static int streams = -1, back = -1;
    static int64_t told_ms;

    for (int f = 0; f < fleets; f++)
        for (int k = 0; k < DOCUMENTS; k++) {
            struct document *d = &shared->documents[f][k];
            const uint64_t state = atomic_load(&d->state);
            uint32_t took[MEMBERS_MAX];

            if ((int)(state & ((1 << COUNT_BITS) - 1)) < members)
                d->told = false;
            else if (!d->told) {
                d->told = true;
                memcpy(took, d->took_us, sizeof(took));
                qsort(took, (size_t)members, sizeof(*took), by_size);
                printf(
                    "{\"fleet\":%d,\"epoch\":%llu,\"written_us\":%lld,\"last_us\":%lld,\"p50_us\":%u,\"p99_us\":%u}\n",
                    f, (unsigned long long)(state >> COUNT_BITS), (long long)atomic_load(&d->written_us),
                    (long long)atomic_load(&d->written_us) + took[members - 1], took[members / 2],
                    took[(members * 99 - 1) / 100]);
            }
        }
    if ((streams != shared->streams || back != shared->back) || now_ms() - told_ms > 500) {
        streams = shared->streams;
        back = shared->back;
        told_ms = now_ms();
        printf("{\"streams\":%d,\"back\":%d,\"at_us\":%lld,\"reports\":%llu,\"refused\":%llu,\"broken\":%llu,\"bytes_"
               "in\":%llu,\"bytes_out\":%llu,\"answers_in\":%llu}\n",
               streams, back, (long long)clock_us(CLOCK_REALTIME), (unsigned long long)shared->reports,
               (unsigned long long)shared->refused, (unsigned long long)shared->broken,
               (unsigned long long)shared->bytes_in, (unsigned long long)shared->bytes_out,
               (unsigned long long)shared->answers_in);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int fleets, members;
    struct pollfd in = { .fd = 0, .events = POLLIN };
    FILE *token;

    if (argc != 6) {
        fprintf(stderr, "usage: channel_load PORT TOKEN_FILE FLEETS MEMBERS PLACES\n");
        return 2;
    }
    fleets = atoi(argv[3]);
    members = atoi(argv[4]);
    token = fopen(argv[2], "r");
    if (!token || fscanf(token, "%599s", w.token) != 1 || fleets < 1 || fleets > FLEETS_MAX || members < 1 ||
        members > MEMBERS_MAX)
        fail("arguments");
    fclose(token);
    w.port = atoi(argv[1]);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("mmap");
    for (int i = 0; i < WORKERS; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            worker_run(i, fleets, members, atoi(argv[5]));
        }
    while (poll(&in, 1, 20) == 0)
        tell(fleets, members);
    return 0;
}
