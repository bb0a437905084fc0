/*
 * bytes.h: bytes as JSON strings, or as base64 where they are not text.
 */
#ifndef HALFMQ_CLIENTS_CLI_BYTES_H
#define HALFMQ_CLIENTS_CLI_BYTES_H

#include <cjson/cJSON.h>

#include "protocol/base/slice.h"

/* True where a JSON string can hold the bytes: UTF-8 without a NUL. */
bool bytes_are_text(struct slice s);

/* A JSON string; the bytes must be text. NULL: no memory. */
cJSON *bytes_string(struct slice s);

/* A JSON string with the base64 form (RFC 4648, padded). NULL: no memory. */
cJSON *bytes_base64(struct slice s);

#endif
