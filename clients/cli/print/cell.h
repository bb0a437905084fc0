/*
 * cell.h: a value of a reply as a short text for people. Names tell what a number is:
 *
 *   born, stored, due, lease_until ...    Unix ms ─► 2026-01-31T12:00:00.500Z
 *   lease, retention, oldest_ms ...       ms      ─► 1m 30s
 */
#ifndef HALFMQ_CLIENTS_CLI_CELL_H
#define HALFMQ_CLIENTS_CLI_CELL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CELL_BYTES 512 /* room for a text; a longer one is cut */

/* name: NULL: it has none. */
void cell_text(const char *name, const cJSON *item, char *out, size_t size);

bool cell_is_number(const cJSON *item);

/* Whether a column of this name has numbers for people as well, and not dates or durations. */
bool cell_stays_number(const char *name, const cJSON *item);

/* "1d 2h", "1m 30s", "1.5s", "250ms", "0s"; below 0: "-" before it. */
void cell_duration(int64_t ms, char *out, size_t size);

#endif
