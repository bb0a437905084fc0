/*
 * acl.h: the password of `acl setuser`, which is read here and not written into the command line.
 *
 *   acl setuser shop on --password ~orders             asks at the terminal, or reads standard input
 *   acl setuser shop on --password-file F ~orders      the first line of a file
 *                       └─ becomes the rule >password
 */
#ifndef HALFMQ_CLIENTS_CLI_ACL_H
#define HALFMQ_CLIENTS_CLI_ACL_H

#include "clients/cli/options.h"
#include "protocol/base/buf.h"
#include "protocol/base/slice.h"

/* Replaces --password or --password-file F, if the command is ACL SETUSER, by the rule, whose bytes are in `rule`, for the
 * caller to free with password_forget. stdin_is_free: commands do not come from it. */
enum exit_code acl_fill(struct slice *words, size_t *n, struct buf *rule, bool stdin_is_free);

#endif
