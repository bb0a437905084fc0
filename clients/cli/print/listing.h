/*
 * listing.h: lists of messages and leases as tables: a line for each, with what a person looks for.
 *
 *   DLQ LIST       id, origin, attempts, died, reason, body
 *   DELAYED LIST   token, due, in, key, tag, body
 *   FIND           id, stored, key, tag, body
 *   GROUP LEASES   receipt, lease_until, left, consumer
 *   ACL LOG        count, reason, object, user, ago, client
 *
 * A body is cut. `--json` prints all there is.
 */
#ifndef HALFMQ_CLIENTS_CLI_LISTING_H
#define HALFMQ_CLIENTS_CLI_LISTING_H

#include "clients/cli/print/view.h"

/* The rows of a list's tree, as objects, for human_print; NULL: no memory. Another shape, or another tree: the tree itself.
 * The tree is freed, or becomes part of what this returns. */
cJSON *listing_rows(cJSON *tree, enum reply_shape shape);

#endif
