/*
 * status.c: the table of outcomes, out of status.def. A new outcome is a line there, nothing here.
 */
#include "protocol/status.h"

#include <string.h>

struct status_line {
    const char *code;
    const char *text;
    bool retry;
};

static const struct status_line lines[] = {
#define STATUS(name, code, retry, text) [ST_##name] = {code, text, retry},
#include "protocol/status.def"
#undef STATUS
    [ST_MORE] = {"ERR", "more bytes are needed", false},
    [ST_BAD] = {"ERR", "malformed or damaged bytes", false},
    [ST_GONE] = {"ERR", "it is not there", false},
    [ST_NOMEM] = {"BUSY", "out of memory, nothing was done: try again", true},
    [ST_IO] = {"ERR", "the store refused", false},
};

static const struct status_line *line_of(enum status s)
{
    size_t at = (size_t)s;
    return &lines[at < sizeof lines / sizeof *lines ? at : (size_t)ST_ERR];
}

const char *status_code(enum status s) { return line_of(s)->code; }

const char *status_text(enum status s) { return line_of(s)->text; }

bool status_retryable(enum status s) { return line_of(s)->retry; }

enum status status_from_code(const char *code, size_t len)
{
    for (int s = 0; s < ST_WIRE_COUNT; s++) {
        if (strlen(lines[s].code) == len && memcmp(lines[s].code, code, len) == 0)
            return (enum status)s;
    }
    return ST_ERR;
}
