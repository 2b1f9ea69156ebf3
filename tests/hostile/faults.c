/*
 * faults - preloaded into `baton serve`: calls of the system that fail as they may, though they seldom do.
 *
 * Sockets: of ten reads, writes and accepts of the server some are interrupted (EINTR), some would block (EAGAIN), some do
 * one byte only. Whoever treats one of these as an end, or as the whole, breaks at once.
 * Disk: while the file named by BATON_FAULTS_FULL exists, nothing can be written to standard error (ENOSPC).
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void *real(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    if (!symbol)
        abort();
    return symbol;
}

/* The next fault: 0 none, 1 interrupted, 2 would block, 3 one byte only. The same in every run. */
static int fault(void)
{
    static atomic_uint state = 1;
    const unsigned next = atomic_fetch_add(&state, 1) * 2654435761u >> 24;

    return next < 40 ? 1 : next < 80 ? 2 : next < 120 ? 3 : 0;
}

static ssize_t refuse(int code)
{
    errno = code;
    return -1;
}

typedef ssize_t vector_call(int fd, const struct iovec *iov, int count);

static ssize_t vector(const char *name, int fd, const struct iovec *iov, int count)
{
    vector_call *call;
    struct iovec one;
    void *symbol = real(name);

    memcpy(&call, &symbol, sizeof(call));
    switch (fault()) {
    case 1:
        return refuse(EINTR);
    case 2:
        return refuse(EAGAIN);
    case 3:
        for (int i = 0; i < count; i++)
            if (iov[i].iov_len > 0) {
                one = (struct iovec){ iov[i].iov_base, 1 };
                return call(fd, &one, 1);
            }
        break;
    default:
        break;
    }
    return call(fd, iov, count);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
    return vector("readv", fd, iov, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return vector("writev", fd, iov, count);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    ssize_t (*call)(int, const void *, size_t, int);
    void *symbol = real("send");
    const int f = fault();

    memcpy(&call, &symbol, sizeof(call));
    return f == 1 ? refuse(EINTR) : f == 2 ? refuse(EAGAIN) : call(fd, bytes, f == 3 && len > 1 ? 1 : len, flags);
}

EXPORT int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
    int (*call)(int, struct sockaddr *restrict, socklen_t *restrict, int);
    void *symbol = real("accept4");
    const int f = fault();

    memcpy(&call, &symbol, sizeof(call));
    return f == 1   ? (int)refuse(EINTR)
           : f == 2 ? (int)refuse(EAGAIN)
           : f == 3 ? (int)refuse(ECONNABORTED)
                    : call(fd, address, len, flags);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    ssize_t (*call)(int, const void *, size_t);
    const char *full = getenv("BATON_FAULTS_FULL");
    void *symbol = real("write");

    memcpy(&call, &symbol, sizeof(call));
    return fd == STDERR_FILENO && full && access(full, F_OK) == 0 ? refuse(ENOSPC) : call(fd, bytes, len);
}
