/*
 * channel_floor - a bare loop over thousands of sockets: what a controller could not do faster.
 *
 *     channel_floor CONNECTIONS DOWN_BYTES UP_BYTES BACK_BYTES ROUNDS
 *
 * In a round it writes DOWN_BYTES to each connection, as a document goes out; each peer answers UP_BYTES, as a report comes in, and gets
 * BACK_BYTES. A round ends when the last peer has those. One process with one epoll serves, two others are the peers; nobody reads what
 * the bytes say. Prints the rounds' times and the server's processor time in microseconds.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS 2
#define BUFFER (1024 * 1024)

static int down, up, back;
static char buffer[BUFFER];
static _Atomic int *done; /* connections whose round is over */

struct conn {
    int fd, got;
};

static void fail(const char *what)
{
    fprintf(stderr, "channel_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void put(int fd, int len)
{
    const int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (send(fd, buffer, (size_t)len, MSG_NOSIGNAL) != len)
        fail("send");
}

static void watch(int epoll, struct conn *c)
{
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = c }) < 0)
        fail("epoll");
}

/* True when `wanted` bytes have come. */
static int take(struct conn *c, int wanted)
{
    const ssize_t got = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        _exit(0);
    c->got += got > 0 ? (int)got : 0;
    return c->got == wanted;
}

static void peer_run(int port, int count)
{
    struct conn *conns = calloc((size_t)count, sizeof(*conns));
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[512];

    for (int i = 0; i < count; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };

        conns[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (conns[i].fd < 0 || connect(conns[i].fd, (struct sockaddr *)&to, sizeof(to)) < 0)
            fail("connect");
        watch(epoll, &conns[i]);
    }
    for (;;)
        for (int i = 0, n = epoll_wait(epoll, events, 512, -1); i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->got < down && take(c, down)) {
                put(c->fd, up);
            } else if (c->got >= down && take(c, down + back)) {
                c->got = 0;
                atomic_fetch_add(done, 1);
            }
        }
}

static int64_t round_run(int epoll, struct conn *conns, int count)
{
    const int64_t began_us = now_us();
    struct epoll_event events[512];

    atomic_store(done, 0);
    for (int i = 0; i < count; i++)
        put(conns[i].fd, down);
    while (atomic_load(done) < count)
        for (int i = 0, n = epoll_wait(epoll, events, 512, 1); i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (!take(c, up))
                continue;
            c->got = 0;
            put(c->fd, back);
        }
    return now_us() - began_us;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t at_len = sizeof(at);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct rusage used;
    struct conn *conns;
    int count, rounds;

    if (argc != 6) {
        fprintf(stderr, "usage: channel_floor CONNECTIONS DOWN_BYTES UP_BYTES BACK_BYTES ROUNDS\n");
        return 2;
    }
    count = atoi(argv[1]) / PEERS * PEERS;
    down = atoi(argv[2]);
    up = atoi(argv[3]);
    back = atoi(argv[4]);
    rounds = atoi(argv[5]);
    if (count <= 0 || down <= 0 || up <= 0 || back <= 0 || down > BUFFER || up > BUFFER || back > BUFFER)
        fail("arguments");
    done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (done == MAP_FAILED || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(listener, SOMAXCONN) < 0 || getsockname(listener, (struct sockaddr *)&at, &at_len) < 0)
        fail("listen");
    for (int i = 0; i < PEERS; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            peer_run(ntohs(at.sin_port), count / PEERS);
        }
    conns = calloc((size_t)count, sizeof(*conns));
    for (int i = 0; i < count; i++) {
        conns[i].fd = accept(listener, NULL, NULL);
        if (conns[i].fd < 0)
            fail("accept (ulimit -n?)");
        watch(epoll, &conns[i]);
    }
    printf("{\"rounds_us\":[");
    for (int i = 0; i < rounds; i++)
        printf("%s%lld", i ? "," : "", (long long)round_run(epoll, conns, count));
    getrusage(RUSAGE_SELF, &used);
    printf("],\"cpu_us\":%lld}\n", (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                                       used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return 0;
}
