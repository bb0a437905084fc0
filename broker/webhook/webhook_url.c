/* webhook_url.c: copies a URL into the parts that a request needs. What a URL is, protocol/base/url.h says. */
#include "broker/webhook/webhook_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "protocol/limits.h"
#include "protocol/base/url.h"

static_assert(WEBHOOK_URL_MAX >= URL_BYTES_MAX, "");

/* False: there are brackets, but no IPv6 address in them. */
static bool take_host(const struct url *url, struct webhook_url *u)
{
    uint8_t raw[16];
    for (size_t i = 0; i < url->host.len; i++)
        u->host[i] = (char)tolower(url->host.data[i]);
    u->host[url->host.len] = 0;
    u->is_address = inet_pton(url->bracketed ? AF_INET6 : AF_INET, u->host, raw) == 1;
    return u->is_address || !url->bracketed;
}

bool webhook_url_parse(struct slice text, struct webhook_url *ret_url)
{
    struct url url;
    struct webhook_url u = {.port = 80};
    if (text.len > WEBHOOK_URL_MAX || !url_parse(text, &url) || url.host.len > WEBHOOK_HOST_MAX ||
        !take_host(&url, &u))
        return false;
    u.port = url.port;
    int n = snprintf(u.authority, sizeof u.authority, url.bracketed ? "[%s]" : "%s", u.host);
    if (u.port != 80)
        snprintf(u.authority + n, sizeof u.authority - (size_t)n, ":%u", u.port);
    bool rooted = url.target.len > 0 && url.target.data[0] == '/';
    n = snprintf(u.target, sizeof u.target, "%s%.*s", rooted ? "" : "/", (int)url.target.len,
                 (const char *)url.target.data);
    if (n <= 0 || (size_t)n >= sizeof u.target)
        return false;
    *ret_url = u;
    return true;
}
