/* library.c: flags as options of libhalfmq (library.h). */
#include "bench/options/library.h"

bool library_set(hmq_options *lib, const struct options *o, hmq_error *err)
{
    const char *pairs[][2] = {{"tls", o->tls ? "yes" : "no"},
                              {"tls_ca", o->cacert},
                              {"tls_cert", o->cert},
                              {"tls_key", o->key},
                              {"tls_verify", o->insecure ? "no" : "yes"},
                              {"user", o->user},
                              {"password", o->password ? o->password : ""}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (hmq_options_set(lib, pairs[i][0], pairs[i][1], err) != HMQ_OK)
            return false;
    }
    return true;
}
