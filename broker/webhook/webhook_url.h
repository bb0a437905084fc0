/*
 * webhook_url.h: takes a CHECKURL apart.
 *
 *   http://orders.example.org:8080/check?shop=1
 *          └─ host ─────────┘ port └─ target ─┘      authority: what goes into the Host header
 *
 * protocol/base/url.h says what a URL is (http only: TLS comes with a later release). Here its parts are copied and
 * made ready for a request.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_URL_H
#define HALFMQ_BROKER_WEBHOOK_URL_H

#include "protocol/base/slice.h"

#define WEBHOOK_URL_MAX 2048
#define WEBHOOK_HOST_MAX 253

struct webhook_url {
    char host[WEBHOOK_HOST_MAX + 1]; /* a name in lower case, or an address without brackets */
    bool is_address;
    uint16_t port;
    char authority[WEBHOOK_HOST_MAX + 16];
    char target[WEBHOOK_URL_MAX + 2];
};

/* False: text is not such a URL. */
bool webhook_url_parse(struct slice text, struct webhook_url *ret_url);

#endif
