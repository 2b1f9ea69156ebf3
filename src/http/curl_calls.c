/* curl_calls - see curl_calls.h. */
#include "http/curl_calls.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define CURL_LIBRARY "libcurl.so.4" /* its ABI since 2006 */

struct curl_calls curl;

/* A data pointer becomes a function pointer only through memory (POSIX: dlsym). */
static bool find(void *library, const char *name, void *ret)
{
    void *symbol = dlsym(library, name);

    memcpy(ret, &symbol, sizeof(symbol));
    return symbol != NULL;
}

int curl_calls_load(struct errmsg *m)
{
    static bool loaded;
    void *library;
    bool all = true;

    if (loaded)
        return ERR_OK;
    library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(m, ERR_NOT_FOUND, "load " CURL_LIBRARY ": %s; install libcurl (Debian and Ubuntu: libcurl4)",
                       dlerror());
#define CURL_CALL(name) all = find(library, "curl_" #name, &curl.name) && all;
    CURL_CALLS(CURL_CALL)
#undef CURL_CALL
    if (!all)
        return err_set(m, ERR_NOT_FOUND, CURL_LIBRARY " is older than 7.74; install a newer libcurl");
    loaded = curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return loaded ? ERR_OK : err_set(m, ERR_NOMEM, "start libcurl");
}
