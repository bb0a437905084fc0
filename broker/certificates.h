/*
 * certificates.h: from the settings tls_* to the certificate that connections are served with.
 *
 *   start ──────► certificates_load ──► refused, with a sentence: the broker does not start
 *   CONFIG SET ─► certificates_fit ───► refused, with a sentence: nothing changes
 *   SIGHUP ─────► certificates_reload ─► a line in the log: new connections get the new ones, or the old ones stay
 *
 * Threads: fit and reload by any.
 */
#ifndef HALFMQ_BROKER_CERTIFICATES_H
#define HALFMQ_BROKER_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/settings/settings.h"

struct server;

/* Reads what the settings name, with `changes` instead of what is set, and forgets it again. False: err says what is
 * wrong. */
bool certificates_fit(struct settings *c, const struct setting_change *changes, size_t n, char *err, size_t err_size);

/* Takes what the settings name into use. False: nothing was changed, and err says what is wrong. */
bool certificates_load(struct server *s, char *err, size_t err_size);

/* The same, with a line in the log about what came of it. */
void certificates_reload(struct server *s);

/* Is one of the changes about TLS? */
bool certificates_concern(const struct setting_change *changes, size_t n);

#endif
