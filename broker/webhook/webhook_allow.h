/*
 * webhook_allow.h: which hosts the broker may be made to call: the setting webhook_allow.
 *
 *   *                 any host                 hooks.example.org   that name
 *   *.example.org     names under that one     10.1.2.3  fd00::1   that address
 *                                              10.0.0.0/8          addresses of that network
 *
 * Whoever may write PGROUP SET makes the broker send requests from where it stands, so the list is asked
 * twice: what a URL names, when it is set, and the address that is about to be connected to, since a
 * name may lead anywhere. Link-local addresses (169.254.0.0/16, fe80::/10: the metadata services of
 * clouds) are only allowed where the list names them as addresses.
 *
 * Pure; any thread may ask.
 */
#ifndef HALFMQ_BROKER_WEBHOOK_ALLOW_H
#define HALFMQ_BROKER_WEBHOOK_ALLOW_H

#include <sys/socket.h>

#include "broker/webhook/webhook_url.h"

struct webhook_allow;

/* NULL: err says which word is wrong (or that there is no memory). */
struct webhook_allow *webhook_allow_new(const char *list, char *err, size_t err_size);
void webhook_allow_free(struct webhook_allow *a); /* NULL is fine */

/* May the URL name its host? */
bool webhook_allow_url(const struct webhook_allow *a, const struct webhook_url *url);

/* May this address be connected to, on behalf of that URL? */
bool webhook_allow_address(const struct webhook_allow *a, const struct webhook_url *url,
                           const struct sockaddr *address);

#endif
