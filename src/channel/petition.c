/* petition - see petition.h. */
#include "channel/petition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define READ_MS_MAX 1000

void petition_init(struct petition *p, struct relay *r)
{
    p->relay = r;
}

void petition_deinit(struct petition *p)
{
    free(p->body);
}

bool petition_read(struct petition *p, int generation, const char *edition, int64_t position)
{
    relay_good(p->relay);
    if (!relay_put_position(p->relay, generation, position))
        return false;
    pthread_mutex_lock(&p->relay->lock);
    text_copy(p->read_edition, sizeof(p->read_edition), edition);
    p->read_position = position;
    pthread_cond_broadcast(&p->relay->changed);
    pthread_mutex_unlock(&p->relay->lock);
    return true;
}

void petition_hear(struct petition *p, const char *text, size_t len)
{
    const char *end = strchr(text, '\n');
    char edition[PETITION_EDITION_MAX];
    uint64_t number;
    int status;

    if (!end || sscanf(text, "%" SCNu64 " %d %63s", &number, &status, edition) != 3 || status < 100 || status > 599)
        return;
    pthread_mutex_lock(&p->relay->lock);
    if (number == p->number && p->status == 0) {
        p->body_len = len - (size_t)(end + 1 - text);
        p->body = malloc(p->body_len + 1);
        if (p->body) {
            memcpy(p->body, end + 1, p->body_len + 1);
            text_copy(p->edition, sizeof(p->edition), edition);
            p->status = status;
        }
        pthread_cond_broadcast(&p->relay->changed);
    }
    pthread_mutex_unlock(&p->relay->lock);
}

uint64_t petition_begin(struct petition *p)
{
    uint64_t number;

    pthread_mutex_lock(&p->relay->lock);
    number = ++p->number;
    p->status = 0;
    free(p->body);
    p->body = NULL;
    pthread_mutex_unlock(&p->relay->lock);
    return number;
}

bool petition_wait(struct petition *p, int64_t until_ms)
{
    bool answered;

    pthread_mutex_lock(&p->relay->lock);
    while (p->status == 0 && !p->relay->stopping && clock_ms() < until_ms)
        relay_wait(p->relay, until_ms);
    answered = p->status != 0;
    pthread_mutex_unlock(&p->relay->lock);
    return answered;
}

int petition_answer(struct petition *p, int64_t *ret_end, const char *how, struct errmsg *m)
{
    /* nobody writes them before the next petition */
    const int r = relay_answer(p->status, p->body, p->body_len, ret_end, m);

    if (r < 0)
        return err_wrap(m, r, "the controller refuses a request %s", how);
    relay_good(p->relay);
    return ERR_OK;
}

bool petition_end_is_read(struct petition *p, int64_t end)
{
    const int64_t until_ms = clock_ms() + READ_MS_MAX;
    bool read;

    pthread_mutex_lock(&p->relay->lock);
    for (;;) {
        read = strcmp(p->read_edition, p->edition) == 0 && p->read_position >= end;
        if (read || p->relay->stopping || clock_ms() >= until_ms)
            break;
        relay_wait(p->relay, until_ms);
    }
    pthread_mutex_unlock(&p->relay->lock);
    return read;
}
