/* url.c: takes an http URL apart; see url.h for the form. Whatever does not have that form exactly is refused. */
#include "protocol/base/url.h"

#include "protocol/base/text.h"

static bool printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= 0x20 || s.data[i] >= 0x7f || strchr("#\"<>\\^`{|}", s.data[i]))
            return false;
    return true;
}

static bool host_ok(struct slice host, bool bracketed)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool ok = bracketed ? hex || c == ':' || c == '.' : hex || letter || c == '-' || c == '.' || c == '_';
        if (!ok)
            return false;
    }
    return host.len > 0 && host.len <= 253;
}

/* Behind the host: nothing, or ":port". */
static bool port_parse(struct slice s, uint16_t *ret_port)
{
    uint64_t port = 80;
    if (s.len > 0 && (s.data[0] != ':' || !text_uint(slice_of(s.data + 1, s.len - 1), &port)))
        return false;
    if (port < 1 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static size_t find(struct slice s, const char *any)
{
    size_t i = 0;
    while (i < s.len && !strchr(any, s.data[i]))
        i++;
    return i;
}

static struct slice from(struct slice s, size_t at)
{
    return slice_of(s.data + at, s.len - at);
}

bool url_parse(struct slice text, struct url *ret_url)
{
    static const size_t scheme = sizeof("http://") - 1;
    if (text.len <= scheme || !slice_equal_nocase(slice_of(text.data, scheme), SLICE_LIT("http://")) ||
        !printable(text))
        return false;
    struct slice rest = from(text, scheme);
    size_t target = find(rest, "/?");
    struct slice authority = slice_of(rest.data, target);
    bool bracketed = authority.len > 0 && authority.data[0] == '[';
    size_t end = find(authority, bracketed ? "]" : ":");
    if (bracketed && end == authority.len)
        return false;
    struct url url = {.host = slice_of(authority.data + bracketed, end - bracketed),
                      .target = from(rest, target),
                      .bracketed = bracketed};
    if (!host_ok(url.host, bracketed) || !port_parse(from(authority, end + bracketed), &url.port))
        return false;
    *ret_url = url;
    return true;
}
