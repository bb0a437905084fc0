/*
 * resp_http.h: tells a line of HTTP from a line of words; private to the RESP reader.
 */
#ifndef HALFMQ_PROTOCOL_RESP_HTTP_H
#define HALFMQ_PROTOCOL_RESP_HTTP_H

#include <stdbool.h>

#include "protocol/base/slice.h"

/* line: an inline request without its line end. True: it is an HTTP request line, or a Host header. */
bool resp_line_is_http(struct slice line);

#endif
