/*
 * resp_http.c: tells a line of HTTP from a line of words.
 *
 *   POST /any HTTP/1.1        a request line: the method, and for a method that is also a command, HTTP/ in the last word
 *   Host: 127.0.0.1:4253      the header that each HTTP/1.1 request has, whatever its method
 *   TOPIC DELETE orders       what a web page may put into the body of its request
 *
 * A web page that somebody looks at may make their browser send a POST to any port of their machine. Each line of its
 * body would be a command here. So the connection is closed at the first line that is HTTP, before the body; the
 * browser sends the request line and the header in front of it and the page cannot leave them out. Redis does the same.
 *
 * A new method: a line in `methods`.
 */
#include "protocol/resp/resp_http.h"

#include <string.h>

#include "protocol/base/text.h"

static const struct {
    const char *word;
    bool is_command; /* of ours, now or reserved: HTTP only if the line ends as a request line does */
} methods[] = {
    {"GET", true},      {"HEAD", false},  {"POST", false},    {"PUT", false}, {"DELETE", false},
    {"OPTIONS", false}, {"PATCH", false}, {"CONNECT", false}, {"TRACE", true}, {"PRI", false},
};

static bool http_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool http_begins(struct slice s, struct slice with)
{
    return s.len >= with.len && slice_equal_nocase(slice_of(s.data, with.len), with);
}

static struct slice http_last_word(struct slice line)
{
    while (line.len && http_is_blank(line.data[line.len - 1]))
        line.len--;
    size_t from = line.len;
    while (from && !http_is_blank(line.data[from - 1]))
        from--;
    return slice_of(line.data + from, line.len - from);
}

bool resp_line_is_http(struct slice line)
{
    while (line.len && http_is_blank(*line.data))
        line = slice_of(line.data + 1, line.len - 1);
    if (http_begins(line, SLICE_LIT("Host:")))
        return true;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t n = strlen(methods[i].word);
        if (line.len > n && http_is_blank(line.data[n]) && http_begins(line, slice_str(methods[i].word)))
            return !methods[i].is_command || http_begins(http_last_word(line), SLICE_LIT("HTTP/"));
    }
    return false;
}
