/* url.h: the URLs that the broker can call: http://host[:port][/path][?query], taken apart. */
#ifndef HALFMQ_PROTOCOL_URL_H
#define HALFMQ_PROTOCOL_URL_H

#include "protocol/base/slice.h"

/* Slices of the text that was parsed. */
struct url {
    struct slice host; /* a name or an address; of [::1] without its brackets */
    uint16_t port;     /* 80 where none is given */
    struct slice target; /* path and query as they stand; may be empty, or begin with '?' */
    bool bracketed;    /* host is an IPv6 address */
};

/* False: another scheme, a user, a fragment, a byte that a URL may not contain, no host, or an invalid port. */
bool url_parse(struct slice text, struct url *ret_url);

#endif
