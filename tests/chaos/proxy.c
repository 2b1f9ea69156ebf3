/*
 * proxy - stands in every TCP connection of the chaos test and spoils the links that it is told to.
 *
 * A link is a pair of names, who connects and what is connected to: "blue-0 kafka-2". Whoever listens has one port here
 * (`listen`); who connects is found out by asking the kernel which process holds the other end of the accepted
 * connection, so that one port a broker serves all, and a broker may advertise it to other brokers too. (It is asked by
 * netlink and /proc/PID/fd: /proc/net/tcp takes 50 ms to read where many connections are.) A process that nobody named is
 * "other".
 *
 * Each way of a link has a state of its own: "up" is from who connected to who listens, "down" is back.
 *
 *     -            bytes pass at once
 *     cut          bytes wait here, the end of the connection too, until the state changes: as on a network that drops
 *                  packets and comes back, old requests arrive late. New connections are accepted and stay silent.
 *     delay:MS     bytes pass MS later
 *     throttle:N   N bytes a second
 *
 * Commands, a line each, on stdin; its end is ours:
 *
 *     listen PORT TO_PORT NAME      127.0.0.1:PORT is NAME, which listens on 127.0.0.1:TO_PORT
 *     actor NAME PID                the process PID is NAME from now on
 *     link FROM TO UP DOWN          the state of both ways
 *     reset FROM TO                 every connection of the link is broken off with RST, now
 *     down PORT                     nobody listens behind it: connections are refused, as without a proxy
 *     up PORT                       somebody does again
 *     clear                         all links are whole
 *     stats                         one line of JSON on stdout
 *
 * A command that is not understood ends the program with a sentence: its only user is chaos.py.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_BYTES 32
#define PORTS_MAX 64
#define ACTORS_MAX 64
#define LINKS_MAX 1024
#define HELD_BYTES_MAX (1 << 20) /* of one way of one connection; then we stop reading */
#define CHUNKS_MAX 1024
#define CHUNK_BYTES_MAX 8192

enum state { WHOLE, CUT, DELAY, THROTTLE };
enum { UP, DOWN, WAYS };

struct way {
    enum state state;
    int64_t number; /* milliseconds or bytes a second */
};

struct link {
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
    struct way ways[WAYS];
};

struct port {
    char name[NAME_MAX_BYTES];
    uint16_t number, to;
    struct evconnlistener *listener;
};

struct actor {
    char name[NAME_MAX_BYTES];
    int pid;
};

/* What came in on one side and is not yet handed to the other. */
struct flow {
    struct conn *conn;
    struct bufferevent *in, *out;
    struct evbuffer *held;
    struct {
        size_t len;
        int64_t due_us;
    } chunks[CHUNKS_MAX]; /* a ring */
    unsigned first, count;
    int64_t free_us; /* when a throttled way has room again */
    struct event *timer;
    bool ended; /* `in` has said its last */
};

struct conn {
    struct conn *next, **self;
    struct link *link;
    const struct port *port;
    uint16_t peer;
    struct flow flows[WAYS];
};

static struct event_base *base;
static int netlink;
static struct port ports[PORTS_MAX];
static struct actor actors[ACTORS_MAX];
static struct link links[LINKS_MAX];
static unsigned port_count, actor_count, link_count;
static struct conn *conns;
static int64_t accepted, passed_bytes, resets;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("proxy: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _Exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* -- who is at the other end ------------------------------------------------------------------------------------- */

/* The inode of the socket that is bound to `local` and connected to `remote`, 0 when there is none. */
static unsigned long inode_of(uint16_t local, uint16_t remote)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 wanted;
    } ask = { .head = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
              .wanted = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX } };
    struct {
        struct nlmsghdr head;
        struct inet_diag_msg socket;
        char more[1024];
    } answer;

    ask.wanted.id.idiag_sport = htons(local);
    ask.wanted.id.idiag_dport = htons(remote);
    ask.wanted.id.idiag_src[0] = ask.wanted.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
    ask.wanted.id.idiag_cookie[0] = ask.wanted.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (send(netlink, &ask, sizeof(ask), 0) < 0 ||
        recv(netlink, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.head))
        die("netlink: %s", strerror(errno));
    return answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY ? answer.socket.idiag_inode : 0;
}

static bool has_socket(int pid, unsigned long inode)
{
    char path[64], wanted[64], is[64];
    struct dirent *entry;
    bool ret = false;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    d = opendir(path);
    if (!d)
        return false; /* it has ended */
    while (!ret && (entry = readdir(d))) {
        ssize_t n = readlinkat(dirfd(d), entry->d_name, is, sizeof(is) - 1);

        if (n > 0) {
            is[n] = '\0';
            ret = strcmp(is, wanted) == 0;
        }
    }
    closedir(d);
    return ret;
}

static const char *who(uint16_t peer, uint16_t port)
{
    unsigned long inode = inode_of(peer, port);

    for (unsigned i = 0; inode != 0 && i < actor_count; i++)
        if (has_socket(actors[i].pid, inode))
            return actors[i].name;
    return "other";
}

static struct link *link_find(const char *from, const char *to)
{
    for (unsigned i = 0; i < link_count; i++)
        if (strcmp(links[i].from, from) == 0 && strcmp(links[i].to, to) == 0)
            return &links[i];
    if (link_count == LINKS_MAX)
        die("more than %d links", LINKS_MAX);
    snprintf(links[link_count].from, NAME_MAX_BYTES, "%s", from);
    snprintf(links[link_count].to, NAME_MAX_BYTES, "%s", to);
    return &links[link_count++];
}

/* -- one connection ---------------------------------------------------------------------------------------------- */

static void conn_free(struct conn *c, bool hard)
{
    *c->self = c->next;
    if (c->next)
        c->next->self = c->self;
    for (int i = 0; i < WAYS; i++) {
        struct flow *f = &c->flows[i];

        if (hard) {
            struct linger at_once = { .l_onoff = 1 };

            setsockopt(bufferevent_getfd(f->in), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        }
        bufferevent_free(f->in);
        evbuffer_free(f->held);
        event_free(f->timer);
    }
    free(c);
}

static const struct way *flow_way(const struct flow *f)
{
    return &f->conn->link->ways[f - f->conn->flows];
}

static void flow_wake(struct flow *f, int64_t us)
{
    struct timeval t = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

    event_add(f->timer, &t);
}

/* Hands over what is due. Frees the connection when one side has ended and the other knows all it said. */
static void flow_pump(struct flow *f)
{
    const struct way *way = flow_way(f);
    int64_t now = now_us();

    while (f->count > 0 && way->state != CUT && f->chunks[f->first].due_us <= now) {
        size_t len = f->chunks[f->first].len;

        evbuffer_remove_buffer(f->held, bufferevent_get_output(f->out), len);
        passed_bytes += (int64_t)len;
        f->first = (f->first + 1) % CHUNKS_MAX;
        f->count--;
    }
    if (f->ended) {
        if (f->count == 0 && way->state != CUT && evbuffer_get_length(bufferevent_get_output(f->out)) == 0)
            conn_free(f->conn, false);
        else if (f->count == 0 && way->state != CUT)
            flow_wake(f, 10000);
        else if (way->state != CUT)
            flow_wake(f, f->chunks[f->first].due_us - now);
        return;
    }
    if (f->count > 0 && way->state != CUT)
        flow_wake(f, f->chunks[f->first].due_us - now);
    if (f->count < CHUNKS_MAX / 2 && evbuffer_get_length(f->held) < HELD_BYTES_MAX)
        bufferevent_enable(f->in, EV_READ);
}

static void on_timer(evutil_socket_t fd, short what, void *opaque)
{
    (void)fd;
    (void)what;
    flow_pump(opaque);
}

static void on_read(struct bufferevent *in, void *opaque)
{
    struct conn *c = opaque;
    struct flow *f = &c->flows[in == c->flows[UP].in ? UP : DOWN];
    const struct way *way = flow_way(f);
    struct evbuffer *input = bufferevent_get_input(in);
    size_t left = evbuffer_get_length(input);
    int64_t now = now_us();

    while (left > 0 && f->count < CHUNKS_MAX) {
        size_t len = left < CHUNK_BYTES_MAX ? left : CHUNK_BYTES_MAX;
        unsigned last = (f->first + f->count++) % CHUNKS_MAX;

        if (way->state == THROTTLE)
            f->free_us = (f->free_us > now ? f->free_us : now) + (int64_t)len * 1000000 / way->number;
        f->chunks[last].len = len;
        f->chunks[last].due_us = way->state == DELAY      ? now + way->number * 1000
                                 : way->state == THROTTLE ? f->free_us
                                                          : now;
        evbuffer_remove_buffer(input, f->held, len);
        left -= len;
    }
    if (left > 0 || f->count >= CHUNKS_MAX / 2 || evbuffer_get_length(f->held) >= HELD_BYTES_MAX)
        bufferevent_disable(in, EV_READ);
    flow_pump(f);
}

static void on_event(struct bufferevent *in, short what, void *opaque)
{
    struct conn *c = opaque;
    int way = in == c->flows[UP].in ? UP : DOWN;
    struct flow *f = &c->flows[way];

    if (what & BEV_EVENT_CONNECTED)
        return;
    if (c->flows[!way].ended || (way == DOWN && what & BEV_EVENT_ERROR && c->link->ways[DOWN].state != CUT)) {
        conn_free(c, true); /* both are gone, or nobody listens */
        return;
    }
    f->ended = true;
    bufferevent_disable(in, EV_READ);
    evbuffer_drain(bufferevent_get_output(in), evbuffer_get_length(bufferevent_get_output(in)));
    flow_pump(f);
}

static void flow_init(struct conn *c, int way, struct bufferevent *in, struct bufferevent *out)
{
    struct flow *f = &c->flows[way];

    f->conn = c;
    f->in = in;
    f->out = out;
    f->held = evbuffer_new();
    f->timer = evtimer_new(base, on_timer, f);
    if (!f->held || !f->timer)
        die("out of memory");
    bufferevent_setcb(in, on_read, NULL, on_event, c);
    bufferevent_setwatermark(in, EV_READ, 0, CHUNK_BYTES_MAX * 8);
    bufferevent_enable(in, EV_READ | EV_WRITE);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *opaque)
{
    const struct port *port = opaque;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port->to) };
    struct bufferevent *client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    struct bufferevent *server = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct conn *c = calloc(1, sizeof(*c));
    const int on = 1;

    (void)l;
    (void)len;
    if (!client || !server || !c)
        die("out of memory");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    accepted++;
    c->port = port;
    c->peer = ntohs(((struct sockaddr_in *)(void *)from)->sin_port);
    c->link = link_find(who(c->peer, port->number), port->name);
    c->self = &conns;
    c->next = conns;
    if (conns)
        conns->self = &c->next;
    conns = c;
    flow_init(c, UP, client, server);
    flow_init(c, DOWN, server, client);
    if (bufferevent_socket_connect(server, (struct sockaddr *)&to, sizeof(to)) < 0)
        return; /* on_event() has been told */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(bufferevent_getfd(server), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* -- commands ---------------------------------------------------------------------------------------------------- */

static void port_open(struct port *p)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(p->number) };

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = evconnlistener_new_bind(base, on_accept, p, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 512,
                                          (struct sockaddr *)&at, sizeof(at));
    if (!p->listener)
        die("listen on %d: %s", p->number, strerror(errno));
}

static void do_listen(char **words)
{
    struct port *p = &ports[port_count++];

    if (port_count > PORTS_MAX)
        die("more than %d ports", PORTS_MAX);
    p->number = (uint16_t)atoi(words[1]);
    p->to = (uint16_t)atoi(words[2]);
    snprintf(p->name, sizeof(p->name), "%s", words[3]);
    port_open(p);
}

static struct port *port_find(const char *number)
{
    for (unsigned i = 0; i < port_count; i++)
        if (ports[i].number == atoi(number))
            return &ports[i];
    die("%s is no port of ours", number);
}

static void do_down(char **words)
{
    struct port *p = port_find(words[1]);

    if (p->listener)
        evconnlistener_free(p->listener);
    p->listener = NULL;
}

static void do_up(char **words)
{
    struct port *p = port_find(words[1]);

    if (!p->listener)
        port_open(p);
}

/* A process connects before we are told its name, now and then: such a connection gets its name here. */
static void do_actor(char **words)
{
    unsigned i = 0;

    while (i < actor_count && strcmp(actors[i].name, words[1]) != 0)
        i++;
    if (i == ACTORS_MAX)
        die("more than %d actors", ACTORS_MAX);
    if (i == actor_count)
        actor_count++;
    snprintf(actors[i].name, sizeof(actors[i].name), "%s", words[1]);
    actors[i].pid = atoi(words[2]);
    for (struct conn *c = conns; c; c = c->next)
        if (strcmp(c->link->from, "other") == 0)
            c->link = link_find(who(c->peer, c->port->number), c->port->name);
}

static struct way way_parse(const char *text)
{
    static const struct {
        const char *name;
        enum state state;
        bool number;
    } states[] = {
        { "-", WHOLE, false }, { "cut", CUT, false }, { "delay:", DELAY, true }, { "throttle:", THROTTLE, true }
    };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        size_t len = strlen(states[i].name);

        if (!states[i].number && strcmp(text, states[i].name) == 0)
            return (struct way){ .state = states[i].state };
        if (states[i].number && strncmp(text, states[i].name, len) == 0 && atoll(text + len) > 0)
            return (struct way){ .state = states[i].state, .number = atoll(text + len) };
    }
    die("'%s' is no state of a link", text);
}

/* What waits under the old state goes no later than it would under the new one. */
static void link_changed(const struct link *link)
{
    int64_t now = now_us();

    for (struct conn *c = conns, *next; c; c = next) {
        next = c->next;
        if (c->link != link)
            continue;
        for (int i = 0; i < WAYS; i++) {
            struct flow *f = &c->flows[i];
            const struct way *way = flow_way(f);

            f->free_us = now;
            for (unsigned n = 0; n < f->count; n++)
                f->chunks[(f->first + n) % CHUNKS_MAX].due_us = now + (way->state == DELAY ? way->number * 1000 : 0);
            flow_wake(f, 0); /* not from here: it may free the connection */
        }
    }
}

static void do_link(char **words)
{
    struct link *link = link_find(words[1], words[2]);

    link->ways[UP] = way_parse(words[3]);
    link->ways[DOWN] = way_parse(words[4]);
    link_changed(link);
}

static void do_reset(char **words)
{
    const struct link *link = link_find(words[1], words[2]);

    for (struct conn *c = conns, *next; c; c = next) {
        next = c->next;
        if (c->link == link) {
            resets++;
            conn_free(c, true);
        }
    }
}

static void do_clear(char **words)
{
    (void)words;
    for (unsigned i = 0; i < link_count; i++) {
        if (links[i].ways[UP].state == WHOLE && links[i].ways[DOWN].state == WHOLE)
            continue;
        links[i].ways[UP] = links[i].ways[DOWN] = (struct way){ .state = WHOLE };
        link_changed(&links[i]);
    }
}

static void do_stats(char **words)
{
    int open = 0, unnamed = 0;

    (void)words;
    for (const struct conn *c = conns; c; c = c->next) {
        open++;
        unnamed += strcmp(c->link->from, "other") == 0;
    }
    printf("{\"accepted\":%" PRId64 ",\"open\":%d,\"unnamed\":%d,\"bytes\":%" PRId64 ",\"resets\":%" PRId64 "}\n",
           accepted, open, unnamed, passed_bytes, resets);
    fflush(stdout);
}

static const struct {
    const char *name;
    int words;
    void (*run)(char **words);
} commands[] = {
    { "listen", 4, do_listen }, { "actor", 3, do_actor }, { "link", 5, do_link },   { "down", 2, do_down },
    { "up", 2, do_up },         { "reset", 3, do_reset }, { "clear", 1, do_clear }, { "stats", 1, do_stats },
};

static void command(char *line)
{
    char *words[8], *rest = NULL;
    int count = 0;

    for (char *w = strtok_r(line, " ", &rest); w && count < 8; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    for (size_t i = 0; count > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(words[0], commands[i].name) == 0 && count == commands[i].words) {
            commands[i].run(words);
            return;
        }
    die("not a command: '%s' with %d words", count > 0 ? words[0] : "", count);
}

static void on_command(struct bufferevent *in, void *opaque)
{
    char *line;

    (void)opaque;
    while ((line = evbuffer_readln(bufferevent_get_input(in), NULL, EVBUFFER_EOL_LF))) {
        command(line);
        free(line);
    }
}

static void on_end(struct bufferevent *in, short what, void *opaque)
{
    (void)in;
    (void)what;
    (void)opaque;
    event_base_loopbreak(base);
}

int main(void)
{
    struct event_config *config = event_config_new();
    struct bufferevent *in;

    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
    base = event_base_new_with_config(config);
    event_config_free(config);
    if (!base)
        die("no event loop");
    netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        die("netlink: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    evutil_make_socket_nonblocking(STDIN_FILENO);
    in = bufferevent_socket_new(base, STDIN_FILENO, 0);
    if (!in)
        die("stdin");
    bufferevent_setcb(in, on_command, NULL, on_end, NULL);
    bufferevent_enable(in, EV_READ);
    event_base_dispatch(base);
    return 0;
}
