/* hiredis_calls - see hiredis_calls.h. */
#include "redis/hiredis_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* The layout of a reply changed between its versions: the one that was built with, and no other. */
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define HIREDIS_LIBRARY "libhiredis.so." TEXT(HIREDIS_SONAME)

struct hiredis_calls hiredis;

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

/* A data pointer becomes a function pointer only through memory (POSIX: dlsym). */
static bool find(void *library, const char *name, void *ret)
{
    void *symbol = dlsym(library, name);

    memcpy(ret, &symbol, sizeof(symbol));
    return symbol != NULL;
}

static int load(struct errmsg *m)
{
    static bool loaded;
    void *library;

    if (loaded)
        return ERR_OK;
    library = dlopen(HIREDIS_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(m, ERR_NOT_FOUND, "load " HIREDIS_LIBRARY ": %s; install hiredis (Debian 12: libhiredis0.14)",
                       dlerror());
    loaded = true;
#define HIREDIS_CALL(name) loaded = find(library, #name, &hiredis.name) && loaded;
    HIREDIS_CALLS(HIREDIS_CALL)
#undef HIREDIS_CALL
    return loaded ? ERR_OK : err_set(m, ERR_NOT_FOUND, HIREDIS_LIBRARY " lacks a function: install hiredis again");
}

int hiredis_calls_load(struct errmsg *m)
{
    int r;

    pthread_mutex_lock(&loading);
    r = load(m);
    pthread_mutex_unlock(&loading);
    return r;
}
