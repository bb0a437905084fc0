/*
 * rule.h: the rules of ACL SETUSER: parsed, applied to a user from left to right, and printed.
 *
 *   on off  nopass resetpass  +@produce -@produce +send +topic|create -send allcommands nocommands
 *   ~orders.* alltopics resettopics  group:g* allgroups resetgroups  pgroup:p* allpgroups resetpgroups
 *   conns:10 rate:1000 bytes:1000000  reset
 *
 *   of a client    >password <password
 *   of the broker  #hash !hash          which it makes of the former, as slow salted hashes, before the command is stored
 *
 * Words are taken in any case, patterns and passwords as they are. To add a rule: a line in one of rule.c's tables.
 */
#ifndef HALFMQ_STORAGE_RULE_H
#define HALFMQ_STORAGE_RULE_H

#include "protocol/base/complaint.h"
#include "storage/access/user.h"

/* Applies the broker's rules in turn. Where one is refused, *r is to be thrown away. The slices of *r may point to the
 * rules afterwards. ST_ERR, ST_LIMIT; the complaint says why. */
enum status rules_apply(struct user_row *r, const struct slice *rules, uint32_t n, struct complaint c) MUST_CHECK;

/* Would a client's rules be taken? The state of the user does not count, so a later rules_apply may still refuse. */
enum status rules_check(const struct slice *rules, uint32_t n, struct complaint c) MUST_CHECK;

/* Is there a password among them, >password or <password? */
bool rules_have_password(const struct slice *rules, uint32_t n);

/* Allows or forbids a command, or all of a family ("topic"). False: there is none of that name. */
bool rule_set_command(struct user_row *r, struct slice name, bool on);

#endif
