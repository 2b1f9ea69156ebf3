/*
 * file - the fleet's ConfigMap, mounted into a pod as a folder: its file `log` holds the fleet's records (kube/board.h).
 *
 * Nothing goes back this way: no report, and no question where the log ends now. So it is for those who only want to know, such
 * as an agent that runs a command (`--on-change`); what is read may be as old as the kubelet's last look, a minute and more.
 * "The end" is that of the state that was read.
 *
 * The kubelet writes a new folder and renames the link `..data` to it: the file itself never changes, and a watch on it
 * dies with the old folder. So inotify watches the mounted folder, the file is opened afresh by its name, and once a second
 * without any event, since an inotify may be had by nobody any more (EMFILE), or say nothing (NFS). In a folder that somebody
 * else writes a file may be half: the checksum says so, and the next look sees it whole. A single file that was mounted with
 * `subPath` is never brought up to date: it is known by having no `..data` and being a mount of its own, and said.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "channel/board_put.h"
#include "kube/board.h"
#include "kube/names.h"

#define LOOK_EVERY_MS 1000
#define SLICE_MS 200 /* whether it is still wanted */
#define FILE_MAX 1100

struct way {
    struct relay relay; /* first */
    char folder[FILE_MAX - 10], file[FILE_MAX];
    int inotify_fd, inotify_watch;
    bool sub_path_told;
    /* the stream thread's own */
    struct board_put put;
    char *text; /* what was read last: the same again is not put */
    /* under the relay's lock */
    int64_t read_position; /* -1: nothing was read yet */
};

static struct way *way_of(struct relay *r)
{
    return (struct way *)r;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static int file_read(const struct way *w, struct str *ret, struct errmsg *m)
{
    const int fd = open(w->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char part[16384];
    ssize_t got;

    if (fd < 0)
        return err_set(m, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                       "open '%s': %s; the folder is to be a mount of ConfigMap '" KUBE_FLEET "%s'", w->file,
                       strerror(errno), w->relay.fleet);
    while ((got = read(fd, part, sizeof(part))) > 0 && !str_error(ret))
        str_add_bytes(ret, part, (size_t)got);
    close(fd);
    if (got < 0)
        return err_set(m, ERR_IO, "read '%s': %s", w->file, strerror(errno));
    return str_error(ret) ? err_set(m, str_error(ret), "'%s' is too large", w->file) : ERR_OK;
}

/* Mounted as a single file: another device or inode table than its folder's, and no `..data` that could be exchanged. */
static void sub_path_look(struct way *w)
{
    char data[FILE_MAX + 10];
    struct stat file, folder;

    if (w->sub_path_told)
        return;
    snprintf(data, sizeof(data), "%s/..data", w->folder);
    if (access(data, F_OK) == 0 || stat(w->file, &file) < 0 || stat(w->folder, &folder) < 0 ||
        file.st_dev == folder.st_dev)
        return;
    w->sub_path_told = true;
    log_warn("file_never_updated",
             "file='%s', it is a mount of its own (subPath), which the kubelet never brings up to date: mount the "
             "ConfigMap as a folder",
             w->file);
}

/* False: the stream is to end. */
static bool records_put(struct way *w, int generation, const struct board_head *head, struct board_place place)
{
    struct relay *r = &w->relay;

    if (!board_put_records(&w->put, r, generation, head, place))
        return false;
    if (!relay_put_position(r, generation, head->position))
        return false;
    pthread_mutex_lock(&r->lock);
    w->read_position = head->position;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return true;
}

/* The state that is there now; what was the last one, too, is let be. */
static int look(struct way *w, int generation, bool *ret_wanted, struct errmsg *m)
{
    struct str text = STR_WITH_MAX(BOARD_BYTES_MAX);
    struct board_head head;
    struct board_place place;
    int r = file_read(w, &text, m);

    *ret_wanted = true;
    sub_path_look(w);
    if (r == ERR_OK && w->text && strcmp(w->text, text.buf) == 0) {
        relay_good(&w->relay);
        str_free(&text);
        return ERR_OK;
    }
    if (r == ERR_OK) {
        r = board_open(&head, &place, text.buf, text.len, m);
        if (r < 0)
            err_wrap(m, r, "'%s'", w->file);
    }
    if (r == ERR_OK && strcmp(head.fleet, w->relay.fleet) != 0)
        r = err_set(m, ERR_CORRUPT, "'%s' holds the records of fleet '%s', not of '%s'", w->file, head.fleet,
                    w->relay.fleet);
    if (r == ERR_OK) {
        relay_good(&w->relay);
        *ret_wanted = records_put(w, generation, &head, place);
        free(w->text);
        w->text = str_take(&text);
    }
    str_free(&text);
    return r;
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

/* The folder may be exchanged as a whole, too: the watch is laid anew when it is gone. */
static void watch_lay(struct way *w)
{
    if (w->inotify_fd >= 0 && w->inotify_watch < 0)
        w->inotify_watch = inotify_add_watch(w->inotify_fd, w->folder,
                                             IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF);
}

/* Until something happens in the folder, or a second is over. */
static void change_wait(struct way *w, int generation)
{
    const int64_t until_ms = clock_ms() + LOOK_EVERY_MS;
    char events[4096] __attribute__((aligned(8)));
    bool seen = false;

    watch_lay(w);
    while (!seen && clock_ms() < until_ms && relay_wants(&w->relay, generation)) {
        struct pollfd fd = { .fd = w->inotify_fd, .events = POLLIN };

        poll(&fd, 1, SLICE_MS);
        for (ssize_t got; w->inotify_fd >= 0 && (got = read(w->inotify_fd, events, sizeof(events))) > 0;) {
            seen = true;
            for (ssize_t at = 0; at < got;) {
                const struct inotify_event *event = (const struct inotify_event *)(events + at);

                if (event->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF))
                    w->inotify_watch = -1;
                at += (ssize_t)(sizeof(*event) + event->len);
            }
        }
    }
}

static int way_stream(struct relay *r, int generation, struct errmsg *m)
{
    struct way *w = way_of(r);
    bool wanted = true;

    free(w->text);
    w->text = NULL;
    w->put.edition[0] = '\0'; /* begins with the newest of each key */
    watch_lay(w);
    while (wanted && relay_wants(r, generation)) {
        const int e = look(w, generation, &wanted, m);

        if (e < 0)
            relay_trouble(r, e, m->text); /* the next look may find it whole */
        if (wanted)
            change_wait(w, generation);
    }
    return ERR_OK;
}

/* --- what does not go --------------------------------------------------------------------------------------------- */

static int way_post(struct relay *r, const char *json, size_t len, struct errmsg *m)
{
    (void)r;
    (void)json;
    (void)len;
    return err_set(m, ERR_STATE, "nothing goes back by a mounted file: no report");
}

static int way_end(struct relay *r, int64_t *ret, struct errmsg *m)
{
    struct way *w = way_of(r);
    int e = ERR_OK;

    pthread_mutex_lock(&r->lock);
    if (w->read_position < 0)
        e = err_set(m, r->trouble_ms ? r->trouble_error : ERR_UNAVAILABLE, "%s",
                    r->trouble_ms ? r->trouble : "the file has not been read yet");
    else
        *ret = w->read_position > r->position ? w->read_position : r->position;
    pthread_mutex_unlock(&r->lock);
    if (e < 0)
        relay_rest(r, SLICE_MS);
    return e;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static const struct relay_ops relay_ops = { .stream = way_stream, .post = way_post, .end = way_end };

static void way_close(struct channel *c, int flush_ms)
{
    struct way *w = (struct way *)c;

    relay_stop(&w->relay, flush_ms);
    if (w->inotify_fd >= 0)
        close(w->inotify_fd);
    relay_deinit(&w->relay);
    free(w->text);
    free(w);
}

static int way_new(struct way **ret, const struct channel_config *config, struct errmsg *m)
{
    struct way *w = calloc(1, sizeof(*w));

    if (!w)
        return err_set(m, ERR_NOMEM, "open channel");
    relay_init(&w->relay, &channel_file, &relay_ops, config);
    w->read_position = -1;
    w->inotify_watch = -1;
    w->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC); /* without one it looks every second */
    if (!config->servers[0] || !text_copy(w->folder, sizeof(w->folder), config->servers)) {
        way_close(&w->relay.channel, 0);
        return err_set(m, ERR_INVALID, "which folder? Name the one that the fleet's ConfigMap is mounted at");
    }
    snprintf(w->file, sizeof(w->file), "%s/" KUBE_LOG, w->folder);
    *ret = w;
    return ERR_OK;
}

static int way_reach(const struct channel_config *config, int timeout_ms, struct errmsg *m)
{
    struct stat folder;
    struct way *w;
    int r = way_new(&w, config, m);

    if (r < 0)
        return r;
    if (stat(w->folder, &folder) < 0 || !S_ISDIR(folder.st_mode)) /* the file may come later */
        r = err_set(m, ERR_INVALID, "'%s' is no folder: mount ConfigMap '" KUBE_FLEET "%s' there", w->folder,
                    w->relay.fleet);
    way_close(&w->relay.channel, 0);
    return r < 0 ? r : relay_brokers_reach(config, timeout_ms, m);
}

static int way_open(struct channel **ret, const struct channel_config *config, struct errmsg *m)
{
    struct way *w;
    const int r = way_new(&w, config, m);

    return r < 0 ? r : relay_open(ret, &w->relay, config, m);
}

const struct channel_ops channel_file = { .reach = way_reach, .open = way_open, .close = way_close, RELAY_CHANNEL };
