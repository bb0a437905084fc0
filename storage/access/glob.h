/* glob.h: patterns of names: `*` stands for any bytes, `?` for one. */
#ifndef HALFMQ_STORAGE_GLOB_H
#define HALFMQ_STORAGE_GLOB_H

#include "protocol/base/slice.h"

/* Is it a pattern: 1..SYSTEM_NAME_BYTES_MAX bytes of names, `*` and `?`? */
bool glob_ok(struct slice pattern);

/* The time is bounded by the product of both lengths. */
bool glob_matches(struct slice pattern, struct slice name);

#endif
